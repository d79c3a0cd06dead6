/* The integer product that MatMul, Gemm and Conv share, and what can stand in its place. */
#ifndef OQ_QUANTIZE_RULES_PRODUCT_H
#define OQ_QUANTIZE_RULES_PRODUCT_H

#include "quantize/rules/rules.h"

/* output = factor * activation . weight [+ bias] */
struct oq_matmul {
    const char *activation;
    bool transposed; /* of the activation, a matrix */
    const char *output;
    const int64_t *scale_dims; /* shape of the weight's scales */
    size_t n_scale_dims;
    float factor;
    const char *bias;    /* float32 [N], or NULL */
    int32_t output_type; /* TensorProto.DataType of output */
};

bool oq_matmul_emit(struct oq_rewrite *rewrite, const struct oq_site *site,
                    const struct oq_matmul *matmul);

/* The same from opset 11 on with an activation that is quantized already. */
bool oq_matmul_emit_product(struct oq_rewrite *rewrite, const struct oq_site *site,
                            const struct oq_matmul *matmul, const struct oq_activation *x);

/* The operator that oq_matmul_emit() writes for this model. */
const char *oq_matmul_form(const onnxq_plan *plan);

/* --- between two Transposes --- */

/* The orders of axes in which the product is done, and in which it is wanted. */
struct oq_turn {
    const char *suffix;          /* of the activation in that order */
    const int64_t *there, *back; /* [rank]; there NULL: the activation lies that way already */
    size_t rank;
};

/*
 * As oq_matmul_emit(), but for `transposed`. What is turned on the way in has 8
 * bits. From opset 11 on.
 */
bool oq_turned_emit(struct oq_rewrite *rewrite, const struct oq_site *site,
                    const struct oq_matmul *matmul, const struct oq_turn *turn);

/* conv.c: the order of axes with channels last, [rank], and the way back. */
void oq_channels_last(size_t rank, int64_t *there, int64_t *back);

/* conv.c: the kernel of a Conv is one point at every place: its weight is a matrix. */
bool oq_is_pointwise(const struct oq_site *site);

/* --- matmul_left.c ---
 * The constant on the left, W . X = (X' . W')': ONNX Runtime has no fast integer product whose
 * weight comes first. */

/* Decides on the left factor of a MatMul. */
void oq_matmul_left_decide(const onnxq_plan *plan, struct oq_site *site);

/*
 * Decides on a matrix W that is the left factor of what `emit` writes; is_turned:
 * it is stored as [K, M]. `objection` is what the operator has against it, or NULL.
 */
void oq_left_decide(const onnxq_plan *plan, struct oq_site *site, bool is_turned,
                    const char *objection,
                    bool (*emit)(struct oq_rewrite *rewrite, const struct oq_site *site));

/* The product where X, of that rank, is turned already if matmul->transposed says so. */
bool oq_left_emit(struct oq_rewrite *rewrite, const struct oq_site *site,
                  const struct oq_matmul *matmul, size_t rank);

/* --- blocks_rule.c: the same with a weight in blocks --- */

/* Under ONNXQ_METHOD_BLOCKS, turns what was decided for a matrix, or a table, into blocks. */
void oq_matmul_choose_blocks(struct oq_site *site);
void oq_gather_choose_blocks(const onnxq_plan *plan, struct oq_site *site);
bool oq_matmul_emit_blocks(struct oq_rewrite *rewrite, const struct oq_site *site,
                           const struct oq_matmul *matmul);

#endif
