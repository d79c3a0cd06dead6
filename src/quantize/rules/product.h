/* The integer product that MatMul, Gemm and Conv share. */
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

/* --- rules/blocks.c: the same with a weight in blocks --- */

/* Under ONNXQ_METHOD_BLOCKS, turns what was decided for a matrix into blocks. */
void oq_matmul_choose_blocks(const onnxq_plan *plan, struct oq_site *site);
bool oq_matmul_emit_blocks(struct oq_rewrite *rewrite, const struct oq_site *site,
                           const struct oq_matmul *matmul);

/* The operator that oq_matmul_emit() writes for this model. */
const char *oq_matmul_form(const onnxq_plan *plan);

#endif
