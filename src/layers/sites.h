/*
 * Where two models of the same graph compute the same value in unlike ways.
 *
 * Rewriters keep the names of the values that they still compute. A value that
 * both models have is common; what computes it in a model, back to other
 * common values, inputs and constants, is its cone. Where the cones are unlike
 * lies a site: a place of the graph that was quantized.
 */
#ifndef OQ_LAYERS_SITES_H
#define OQ_LAYERS_SITES_H

#include "layers/scope.h"

struct oq_nodes {
    size_t *list; /* indices, ascending */
    size_t count, capacity;
};

/* All values that one node of the reference makes, as far as they differ. */
struct oq_layer_site {
    const char *name;    /* of that node, or of its first output */
    const char *op_type; /* of that node */
    const char *form;    /* what became of it, such as "MatMulInteger" */
    struct oq_name_list values;
    struct oq_name_list inputs;  /* common values and inputs that the candidate's cone reads */
    struct oq_nodes nodes;       /* the candidate's cone */
    struct oq_name_list weights; /* what `onnxq quantize --exclude` takes to leave the site as it
                                    is: nodes of the reference's cone, else their weights */
    size_t
        n_inside; /* quantized operators in bodies of If, Loop or Scan; they are not told apart */
    const char *unobservable; /* why it cannot be computed apart, or NULL */
};

struct oq_layer_sites {
    struct oq_layer_site *list;
    size_t count, capacity;
    size_t n_common; /* values that both models compute */
};

/* Everything lives in the arena. Constants of both models are read. */
bool oq_layer_sites_find(struct oq_layer_sites *sites, const onnxq_model *reference,
                         const onnxq_model *candidate, struct oq_arena *arena, onnxq_error *error);

#endif
