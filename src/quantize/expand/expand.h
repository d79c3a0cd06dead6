/*
 * A model in the words that rules know: operators that join or abbreviate others are written as
 * those, and local functions as what they do, where a weight is multiplied there. An engine joins
 * again what is not quantized in the end.
 */
#ifndef OQ_QUANTIZE_EXPAND_EXPAND_H
#define OQ_QUANTIZE_EXPAND_EXPAND_H

#include "edit/edit.h"
#include "model/source.h"

/* What decides on that. */
struct oq_expand_options {
    uint64_t min_weight;  /* elements from which on the constant of a function is a weight, */
    uint64_t min_product; /* and from which on one is multiplied as integers */
    bool freeze_inputs;   /* initializers are constants, though they are inputs as well */
    bool products;        /* expands operators, not only functions */
};

/*
 * Derives models: at most OQ_MAX_EXPANSIONS, each of the one before, in the order in which they
 * are released last to first. *n = 0: there is nothing to expand. The options have to outlive them.
 */
#define OQ_MAX_EXPANSIONS 2
bool oq_expand(const onnxq_model *model, const struct oq_expand_options *options,
               onnxq_model *expanded[OQ_MAX_EXPANSIONS], size_t *n, onnxq_error *error);

/* True for an input of an operator that stands for a product: a weight of that product. */
bool oq_expand_takes(const struct oq_operator *op, size_t input);

/* --- for the files of this folder --- */

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

/* functions.c: whether a weight meets a local function; and the change that leaves none of them. */
bool oq_expand_finds_calls(const onnxq_model *model, const struct oq_expand_options *options,
                           bool *found, onnxq_error *error);
bool oq_expand_calls(const onnxq_model *base, const void *context, Oq__Pb__ModelProto *proto,
                     struct oq_arena *arena, struct oq_notes *notes, onnxq_error *error);

#endif
