/*
 * What becomes of the values of a model, as far as rounding a constant matters:
 * whether they are compared, divide, are coordinates or indices - where the
 * constant is used, or behind operators that hand its elements on.
 */
#ifndef OQ_QUANTIZE_ANALYZE_FATE_H
#define OQ_QUANTIZE_ANALYZE_FATE_H

#include "quantize/plan/plan.h"

/* Follows all values back from their uses; each is looked at once. Sets plan->fates. */
bool oq_fates_find(onnxq_plan *plan, onnxq_error *error);

/* Why the site's constant cannot be rounded, or NULL. */
const char *oq_fate_refuses(onnxq_plan *plan, const struct oq_site *site);

/*
 * Why the site's node has to compute with floats: something divides by its result, or takes the
 * logarithm of it, a root, or the sine. Activations in 8 bits have a step of the largest one, and
 * small results are nothing but that. NULL: it may compute with integers.
 */
const char *oq_fate_refuses_integers(onnxq_plan *plan, const struct oq_site *site);

/* True where a product of the constant with activations is an angle or a coordinate: 8 bits are too
 * coarse. */
bool oq_fate_is_fine(const onnxq_plan *plan, const struct oq_constant *constant);

/*
 * True where something divides by a product of the constant with activations, or takes the
 * logarithm of it or its square: small results are as good as the weight, and 8 bits are coarse.
 */
bool oq_fate_is_small(const onnxq_plan *plan, const struct oq_constant *constant);

/*
 * cancel.c: why the site's product is taken off what it was made of itself, or added to its square,
 * so that large terms take each other away, or NULL. *is_unlike: numbers of unlike size stand
 * beside each other in the weight as well, and one scale for them leaves nothing of the small ones.
 */
const char *oq_fate_cancels(const onnxq_plan *plan, const struct oq_site *site, bool *is_unlike);

/* A number by itself, or a power of it. */
bool oq_node_is_square(const Oq__Pb__NodeProto *node);

/* Values become integers and floats again, as --method static has them. */
bool oq_node_is_around_integers(const Oq__Pb__NodeProto *node);

/* True where the value is made of constants alone. */
bool oq_fate_is_constant(const onnxq_plan *plan, const struct oq_value *value);

/* True where rows of the constant are looked up and added to what Softmax or ArgMax takes. */
bool oq_fate_is_scored(const onnxq_plan *plan, const struct oq_constant *constant);

/* True where what its elements have in common is taken off behind it, as normalizations do. */
bool oq_fate_is_centered(const onnxq_plan *plan, const struct oq_constant *constant);

/* True where elements of the site's constant meet others one by one, such as coordinates do. */
bool oq_fate_is_elementwise(const onnxq_plan *plan, const struct oq_site *site);

/* True where they meet those of activations, by themselves or behind arithmetic of constants. */
bool oq_fate_is_element(const onnxq_plan *plan, const struct oq_constant *constant);

/*
 * True where factors and rearrangement make of the constant weights of products, and nothing else
 * but sums: kernels that are multiplied by a constant, or by the style of an image.
 */
bool oq_fate_is_kernel(const onnxq_plan *plan, const struct oq_constant *constant);

/* True where that is a sum, or a distance. */
bool oq_fate_is_term(const onnxq_plan *plan, const struct oq_constant *constant);

/*
 * Where something is divided by norms of a constant, such as those of its rows in weight
 * normalization: they become zero only where a scale is too coarse for all of a row.
 */
bool oq_fate_has_norms(const onnxq_plan *plan, const struct oq_constant *constant);

/* The one axis that such norms do not sum up over; -1: there are none, or more. */
int oq_fate_channel_axis(const onnxq_plan *plan, const struct oq_constant *constant);

/* Why it cannot be rounded with scales like these, or NULL. */
const char *oq_fate_refuses_scales(onnxq_plan *plan, const struct oq_constant *constant,
                                   const struct oq_ranges *ranges);

#endif
