/* What the files of this folder share: a graph that is written anew, node by node. */
#ifndef OQ_QUANTIZE_EXPAND_EXPANDER_H
#define OQ_QUANTIZE_EXPAND_EXPANDER_H

#include "edit/edit.h"
#include "model/source.h"

/* What decides on what is written out. */
struct oq_expand_options {
    uint64_t min_weight;  /* elements from which on the constant of a function is a weight, */
    uint64_t min_product; /* and from which on one is multiplied as integers */
    bool freeze_inputs;   /* initializers are constants, though they are inputs as well */
    bool products;        /* expands operators, not only functions */
};

/* One graph on its way, and the model as it was. */
struct oq_expander {
    const onnxq_model *base;
    const struct oq_expand_options *options;
    struct oq_edit edit;
    struct oq_notes *notes;
    const struct oq_graph *graph;
};

/*
 * The constant that input `k` of a node is, where that is a weight of a product; false: it is none.
 * Its dims are those of the value.
 */
bool oq_expand_find_weight(struct oq_expander *expander, const Oq__Pb__NodeProto *node, size_t k,
                           struct oq_source *weight);

/* A new constant of the current graph; its values have to outlive the model. */
const char *oq_expand_constant(struct oq_expander *expander, const char *base, const int64_t *ints,
                               size_t n_ints, const float *number);

/* The product that stands for `node` from now on has its name. */
void oq_expand_replace(const Oq__Pb__NodeProto *node, Oq__Pb__NodeProto *by);

/* True where it has written what stands for the node; false: the node is none of these. */
bool oq_expand_fused_matmul(struct oq_expander *expander, const Oq__Pb__NodeProto *node);
bool oq_expand_fused_gemm(struct oq_expander *expander, const Oq__Pb__NodeProto *node);
bool oq_expand_einsum(struct oq_expander *expander, const Oq__Pb__NodeProto *node);

/*
 * computed.c: the weights that are computed of constants, in the arena, or NULL; and the change
 * that puts them in place, of which they are the context.
 */
struct oq_computed;
bool oq_expand_find_computed(const onnxq_model *model, const struct oq_expand_options *options,
                             struct oq_arena *arena, const struct oq_computed **computed,
                             onnxq_error *error);
bool oq_expand_place_computed(const onnxq_model *base, const void *context,
                              Oq__Pb__ModelProto *proto, struct oq_arena *arena,
                              struct oq_notes *notes, onnxq_error *error);

/* functions.c: whether a weight meets a local function; and the change that leaves none of them. */
bool oq_expand_finds_calls(const onnxq_model *model, const struct oq_expand_options *options,
                           bool *found, onnxq_error *error);
bool oq_expand_calls(const onnxq_model *base, const void *context, Oq__Pb__ModelProto *proto,
                     struct oq_arena *arena, struct oq_notes *notes, onnxq_error *error);

#endif
