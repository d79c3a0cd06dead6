/*
 * The product in integers, in the arrangement that ONNX Runtime fuses into
 * DynamicQuantizeMatMul, or into MatMulIntegerToFloat where several products share
 * the quantized activation. DynamicQuantizeLinear exists from opset 11 on; before,
 * the fused operator itself is written.
 */
#include "quantize/rules/product.h"

static bool emit_contrib(struct oq_rewrite *rewrite, const struct oq_site *site,
                         const struct oq_matmul *matmul)
{
    const char *x = oq_edit_float_input(rewrite->edit, matmul->activation, matmul->transposed,
                                        site->constant->source.data_type);
    const char *weight = oq_rewrite_weight(rewrite, site);
    const char *scale = oq_rewrite_product_scale(rewrite, site, matmul->scale_dims,
                                                 matmul->n_scale_dims, matmul->factor);
    const char *zero_point = oq_rewrite_zero_point(rewrite, site);
    const char *inputs[] = {x, weight, scale, zero_point, matmul->bias, NULL};
    return oq_edit_float_output(rewrite->edit, "com.microsoft", "DynamicQuantizeMatMul",
                                oq_node_label(site->node), inputs, matmul->output_type,
                                matmul->output);
}

static bool emit_integers(struct oq_rewrite *rewrite, const struct oq_site *site,
                          const struct oq_matmul *matmul)
{
    int32_t data_type = site->constant->source.data_type;
    if (rewrite->plan->model->opset < OQ_OPSET_DYNAMIC_QUANTIZE_LINEAR)
        return emit_contrib(rewrite, site, matmul);
    struct oq_activation x =
        oq_rewrite_activation(rewrite, matmul->activation, matmul->transposed, data_type);
    return oq_matmul_emit_product(rewrite, site, matmul, &x);
}

bool oq_matmul_emit(struct oq_rewrite *rewrite, const struct oq_site *site,
                    const struct oq_matmul *matmul)
{
    struct oq_matmul smooth = *matmul;
    if (site->blocks.form != OQ_BLOCKS_NONE)
        return oq_matmul_emit_blocks(rewrite, site, matmul);
    smooth.activation = oq_rewrite_smooth(rewrite, site, matmul->activation);
    smooth.output = oq_rewrite_beside_columns(rewrite, site, matmul->output);
    return emit_integers(rewrite, site, &smooth) &&
           oq_rewrite_columns(rewrite, site, matmul->activation, smooth.output, matmul->output);
}

bool oq_matmul_emit_product(struct oq_rewrite *rewrite, const struct oq_site *site,
                            const struct oq_matmul *matmul, const struct oq_activation *x)
{
    const char *label = oq_node_label(site->node);
    const char *weight = oq_rewrite_weight(rewrite, site);
    const char *scale = oq_rewrite_product_scale(rewrite, site, matmul->scale_dims,
                                                 matmul->n_scale_dims, matmul->factor);
    const char *zero_point = oq_rewrite_zero_point(rewrite, site);
    const char *product = oq_edit_name(rewrite->edit, matmul->output, "_int32");
    const char *inputs[] = {x->quantized, weight, x->zero_point, zero_point, NULL};
    const char *outputs[] = {product, NULL};
    oq_edit_node(rewrite->edit, "", "MatMulInteger", label, inputs, outputs);
    return oq_rewrite_dequantize(rewrite, label, product, x->scale, scale, matmul->bias,
                                 matmul->output_type, matmul->output);
}

const char *oq_matmul_form(const onnxq_plan *plan)
{
    return plan->model->opset < OQ_OPSET_DYNAMIC_QUANTIZE_LINEAR ? "DynamicQuantizeMatMul"
                                                                 : "MatMulInteger";
}

bool oq_turned_emit(struct oq_rewrite *rewrite, const struct oq_site *site,
                    const struct oq_matmul *matmul, const struct oq_turn *turn)
{
    struct oq_edit *edit = rewrite->edit;
    struct oq_activation x =
        oq_rewrite_activation(rewrite, matmul->activation, false, site->constant->source.data_type);
    struct oq_matmul product = *matmul;
    product.output = oq_edit_name(edit, matmul->output, "_turned");
    if (turn->there != NULL)
        x.quantized = oq_edit_permuted(edit, x.quantized, turn->suffix, turn->there, turn->rank);
    return oq_matmul_emit_product(rewrite, site, &product, &x) &&
           oq_edit_permute(edit, oq_node_label(site->node), product.output, turn->back, turn->rank,
                           matmul->output);
}
