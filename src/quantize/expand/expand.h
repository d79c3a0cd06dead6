/*
 * A model in the words that rules know: operators that join or abbreviate others are written as
 * those, and local functions as what they do, where a weight is multiplied there; weights that are
 * computed of constants as their numbers. An engine joins again what is not quantized in the end.
 */
#ifndef OQ_QUANTIZE_EXPAND_EXPAND_H
#define OQ_QUANTIZE_EXPAND_EXPAND_H

#include "quantize/expand/expander.h"

/*
 * Derives models: at most OQ_MAX_EXPANSIONS, each of the one before, in the order in which they
 * are released last to first. *n = 0: there is nothing to expand. The options and what is in the
 * arena have to outlive them.
 */
#define OQ_MAX_EXPANSIONS 3
bool oq_expand(const onnxq_model *model, const struct oq_expand_options *options,
               struct oq_arena *arena, onnxq_model *expanded[OQ_MAX_EXPANSIONS], size_t *n,
               onnxq_error *error);

/* True for an input of an operator that stands for a product: a weight of that product. */
bool oq_expand_takes(const struct oq_operator *op, size_t input);

#endif
