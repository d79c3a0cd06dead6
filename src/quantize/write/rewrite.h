/*
 * The tools with which rules write nodes: the integers, scales and zero points
 * of a weight, and the quantized form of an activation that all its consumers
 * share. Nodes themselves are written with edit/edit.h.
 */
#ifndef OQ_QUANTIZE_WRITE_REWRITE_H
#define OQ_QUANTIZE_WRITE_REWRITE_H

#include "edit/edit.h"
#include "quantize/plan/plan.h"

/* The operators before which a model needs this opset of ai.onnx. */
#define OQ_OPSET_BROADCAST               7 /* Mul with numpy's broadcasting */
#define OQ_OPSET_DEQUANTIZE_LINEAR       10
#define OQ_OPSET_DYNAMIC_QUANTIZE_LINEAR 11 /* and all of 10: MatMulInteger, ConvInteger */
#define OQ_OPSET_DEQUANTIZE_INT16        21
#define OQ_OPSET_DEQUANTIZE_AXIS         13 /* scales along an axis */
#define OQ_OPSET_DEQUANTIZE_BLOCKS       21 /* scales in blocks, and 4 bits */

struct oq_rewrite {
    onnxq_plan *plan;
    struct oq_edit *edit;
    struct oq_strmap companions; /* what was made beside integers, once for all that want it */
    struct oq_strmap scalars;    /* scales of one number that products have, each once */
};

/* The integers of a site's weight, as an initializer where the weight is defined. */
const char *oq_rewrite_weight(struct oq_rewrite *rewrite, const struct oq_site *site);

/* Its zero point, or "" where it is 0 and may be left out. */
const char *oq_rewrite_zero_point(struct oq_rewrite *rewrite, const struct oq_site *site);

/*
 * Its scales times `factor`, of shape dims. Where there is one scale per
 * tensor, it is repeated to fill dims.
 */
const char *oq_rewrite_scale(struct oq_rewrite *rewrite, const struct oq_site *site,
                             const int64_t *dims, size_t n_dims, float factor);

/*
 * The same for a product of matrices: a scalar where there is one scale per tensor. ONNX
 * Runtime computes with it faster than with a vector where rows are few.
 */
const char *oq_rewrite_product_scale(struct oq_rewrite *rewrite, const struct oq_site *site,
                                     const int64_t *dims, size_t n_dims, float factor);

/*
 * Scales and zero points as float32 that broadcast over the weight itself: of
 * the weight's rank, or a scalar (n_dims 0). No name: the zero point is 0.
 */
struct oq_rewrite_values {
    const char *name;
    size_t n_dims;
};
struct oq_rewrite_values oq_rewrite_float_scale(struct oq_rewrite *rewrite,
                                                const struct oq_quantized *quantized);
struct oq_rewrite_values oq_rewrite_float_zero_point(struct oq_rewrite *rewrite,
                                                     const struct oq_quantized *quantized);

/* value as float32, and value - subtrahend, under fresh names. */
const char *oq_rewrite_cast(struct oq_rewrite *rewrite, const char *label, const char *value);
const char *oq_rewrite_subtract(struct oq_rewrite *rewrite, const char *label, const char *value,
                                const char *subtrahend);

/* What a bias has become: a new float32 initializer [n] in the current graph. */
const char *oq_rewrite_bias(struct oq_rewrite *rewrite, struct oq_constant *constant,
                            const float *values, int64_t n);

/* smooth_activations.c: the activation that a site's product takes, divided by what its weight was
 * multiplied by. */
const char *oq_rewrite_smooth(struct oq_rewrite *rewrite, const struct oq_site *site,
                              const char *name);

/*
 * smooth_activations.c: where some channels of the activation `name` are multiplied as floats, the
 * integers give `beside`, under a name of its own, and output = beside + those, behind the bias
 * where one follows; elsewhere it is `output` itself, and nothing is written.
 */
const char *oq_rewrite_beside_columns(struct oq_rewrite *rewrite, const struct oq_site *site,
                                      const char *output);
bool oq_rewrite_columns(struct oq_rewrite *rewrite, const struct oq_site *site, const char *name,
                        const char *beside, const char *output);

/* smooth_activations.c: the same where normalizations give it, before nodes are written. */
bool oq_rewrite_smooth_norms(struct oq_rewrite *rewrite);

/* A weight in blocks, shaped for `form`: integers, scales times `factor`, zero points or "". */
struct oq_rewrite_blocks {
    const char *integers, *scales, *zero_points;
};
struct oq_rewrite_blocks oq_rewrite_blocks(struct oq_rewrite *rewrite,
                                           struct oq_quantized *quantized, enum oq_block_form form,
                                           float factor);

/*
 * Where the name of a companion of `owner` is kept: tensors of that kind, shape and
 * factor are made once, however many nodes share a weight. NULL: memory is out.
 */
void **oq_rewrite_companion(struct oq_rewrite *rewrite, const void *owner, const char *kind,
                            const int64_t *dims, size_t n_dims, float factor);

/* Zero points of int8 that are 0, the same for all sites of a weight. */
const char *oq_rewrite_zeros(struct oq_rewrite *rewrite, const struct oq_site *site,
                             const int64_t *dims, size_t n_dims);

/* An activation in 8 bits: DynamicQuantizeLinear, one for all consumers in a graph. */
struct oq_activation {
    const char *quantized, *scale, *zero_point;
};
struct oq_activation oq_rewrite_activation(struct oq_rewrite *rewrite, const char *name,
                                           bool transposed, int32_t data_type);

/*
 * output = Cast(int32_value) * (activation scale * weight scale) [+ bias], in
 * data_type; bias is float32 where given. The order of operands is the one
 * that ONNX Runtime fuses.
 */
bool oq_rewrite_dequantize(struct oq_rewrite *rewrite, const char *label, const char *int32_value,
                           const char *activation_scale, const char *weight_scale, const char *bias,
                           int32_t data_type, const char *output);

/* round_trips.c: DequantizeLinear -> QuantizeLinear that changes nothing. */
bool oq_plan_find_round_trips(onnxq_plan *plan, onnxq_error *error);

/* round_trips.c: takes those of the plan out, before nodes are written. */
void oq_rewrite_round_trips(struct oq_rewrite *rewrite);

/* Of QuantizeLinear and DequantizeLinear with scales along an axis. */
const char *oq_rewrite_qdq_domain(const onnxq_plan *plan);

/* imported_floats.c: initializers as the checkpoint has them. */
bool oq_rewrite_import_floats(struct oq_rewrite *rewrite);

/* norms.c: keeps Add and LayerNormalization apart, before nodes are written. */
void oq_rewrite_norms(struct oq_rewrite *rewrite);

/* constant_quantizers.c: QuantizeLinear of constants; once all else is decided. */
bool oq_plan_find_constant_quantizers(onnxq_plan *plan, onnxq_error *error);
bool oq_rewrite_constant_quantizers(struct oq_rewrite *rewrite);

/* The integers as an initializer where the weight is defined. */
const char *oq_rewrite_integers(struct oq_rewrite *rewrite, struct oq_quantized *quantized);

/* Integers of a weight, its scales and zero points in the form in which they are folded. */
bool oq_rewrite_fold(struct oq_rewrite *rewrite, struct oq_constant *constant);

/* integer_recipe.c: the integers of a weight that has no blocks. */
struct oq_recipe oq_quantized_recipe(const struct oq_quantized *quantized);

/* refined_recipe.c: the same for those of oq_refinement, whose rows have at most so many elements.
 */
#define OQ_REFINED_ROW_MAX ((size_t)64 << 10)
bool oq_produce_refined(const struct oq_quantized *quantized, uint64_t first, size_t count,
                        uint8_t *dst, void *scratch, onnxq_error *error);

#endif
