/*
 * Conv (ai.onnx, 1, 11, 22): W is [O, I/groups, kernel..].
 *
 * By default int8 only in the file: ONNX Runtime folds Cast and Mul when it
 * loads the model and then runs its float Conv. ConvInteger was measured 1.1
 * to 20 times slower than that; it is there for engines that want it, with
 * uint8 weights, which were 3 to 9 times faster than int8 ones. Where the kernel
 * is a single point, Conv is a product of matrices, and MatMulInteger was measured
 * up to 2.7 times faster than float.
 */
#include "quantize/rules/product.h"

static bool is_weight(size_t input)
{
    return input == 1 || input == 2;
}

static const char *refuse_integer(const onnxq_plan *plan, const struct oq_site *site)
{
    if (plan->model->opset < OQ_OPSET_DYNAMIC_QUANTIZE_LINEAR)
        return "ConvInteger on dynamic activations needs opset 11";
    if (!plan->options.symmetric && plan->options.per_channel)
        return "ConvInteger takes one zero point";
    if (oq_plan_constant(plan, site->graph, site->node->input[0]) != NULL)
        return "both inputs are constant";
    return NULL;
}

/* --- as MatMul --- */

/*
 * Smaller ones were measured slower than float in ONNX Runtime 1.31
 * (docs/decisions.md).
 */
#define MIN_MATMUL_C 128
#define MIN_MATMUL_O 64

/* True where a list attribute, if it is there, holds nothing but `value`. */
static bool is_all(const Oq__Pb__NodeProto *node, const char *name, int64_t value)
{
    const Oq__Pb__AttributeProto *attribute = oq_node_attribute(node, name);
    for (size_t i = 0; attribute != NULL && i < attribute->n_ints; i++)
        if (attribute->ints[i] != value)
            return false;
    return true;
}

/* Then no auto_pad adds anything. */
bool oq_is_pointwise(const struct oq_site *site)
{
    const struct oq_source *weight = &site->constant->source;
    for (size_t i = 2; i < weight->n_dims; i++)
        if (weight->dims[i] != 1)
            return false;
    return is_all(site->node, "kernel_shape", 1) && is_all(site->node, "strides", 1) &&
           is_all(site->node, "pads", 0) && oq_node_int(site->node, "group", 1) == 1;
}

static const char *refuse_matmul(const onnxq_plan *plan, const struct oq_site *site)
{
    const struct oq_source *weight = &site->constant->source;
    if (weight->n_dims > OQ_MAX_RANK || !oq_is_pointwise(site))
        return "not a product of matrices: its kernel is not a single point at every place";
    if (plan->model->opset < OQ_OPSET_DYNAMIC_QUANTIZE_LINEAR)
        return "MatMulInteger on dynamic activations needs opset 11";
    if ((weight->dims[1] < MIN_MATMUL_C || weight->dims[0] < MIN_MATMUL_O) &&
        !plan->options.force_integer)
        return "under 128 input or 64 output channels";
    return oq_integers_refuse(plan, site, weight->dims[1], 0);
}

void oq_channels_last(size_t rank, int64_t *there, int64_t *back)
{
    there[0] = back[0] = 0;
    for (size_t i = 1; i < rank; i++) {
        there[i] = (int64_t)(i + 1 < rank ? i + 1 : 1);
        back[i] = (int64_t)(i > 1 ? i - 1 : rank - 1);
    }
}

/* [batch, C, spatial..] as [batch, spatial.., C], and back; W is stored as [C, O]. */
static bool emit_matmul(struct oq_rewrite *rewrite, const struct oq_site *site)
{
    const Oq__Pb__NodeProto *node = site->node;
    const struct oq_source *weight = &site->constant->source;
    const size_t rank = weight->n_dims;
    int64_t there[OQ_MAX_RANK], back[OQ_MAX_RANK];
    oq_channels_last(rank, there, back);
    const struct oq_turn turn = {
        .suffix = "_channels_last", .there = there, .back = back, .rank = rank};
    struct oq_matmul matmul = {.activation = node->input[0],
                               .output = node->output[0],
                               .scale_dims = weight->dims,
                               .n_scale_dims = 1,
                               .factor = 1,
                               .output_type = weight->data_type};
    if (node->n_input > 2 && node->input[2][0] != '\0')
        matmul.bias = oq_edit_float_input(rewrite->edit, node->input[2], false, weight->data_type);
    return oq_turned_emit(rewrite, site, &matmul, &turn);
}

static void decide_matmul(const onnxq_plan *plan, struct oq_site *site)
{
    const char *refusal = refuse_matmul(plan, site);
    if (refusal != NULL) {
        oq_site_fold(site, 0, 0, refusal);
        return;
    }
    oq_site_dynamic(site, 0, 0, true, "MatMulInteger");
    site->n_dims = 2;
    site->emit = emit_matmul;
}

/* --- as Conv --- */

static void decide(const onnxq_plan *plan, struct oq_site *site)
{
    const struct oq_source *weight = &site->constant->source;
    const char *refusal = NULL;
    if (site->input == 2) {
        oq_site_keep(site, "a vector");
        return;
    }
    if (plan->options.conv == ONNXQ_CONV_SKIP) {
        oq_site_keep(site, "options.conv=skip");
        return;
    }
    if (weight->n_dims < 3) {
        oq_site_keep(site, "Conv takes weights of three dimensions or more");
        return;
    }
    if (plan->options.conv == ONNXQ_CONV_MATMUL) {
        decide_matmul(plan, site);
        return;
    }
    if (plan->options.conv == ONNXQ_CONV_INTEGER &&
        (refusal = refuse_integer(plan, site)) == NULL) {
        oq_site_dynamic(site, 0, 0, false, "ConvInteger");
        site->is_unsigned = true;
    } else {
        oq_site_fold(site, 0, 0, refusal);
    }
}

/* [O, 1, 1] or longer, to broadcast over [batch, O, spatial..]. */
static const char *make_bias(struct oq_rewrite *rewrite, const struct oq_site *site, int64_t *dims)
{
    const Oq__Pb__NodeProto *node = site->node;
    size_t rank = site->constant->source.n_dims;
    if (node->n_input < 3 || node->input[2][0] == '\0')
        return NULL;
    const char *b =
        oq_edit_float_input(rewrite->edit, node->input[2], false, site->constant->source.data_type);
    const char *shape = oq_edit_int64s(rewrite->edit, "bias_shape", dims, rank - 1);
    const char *reshaped = oq_edit_name(rewrite->edit, node->input[2], "_reshaped");
    const char *inputs[] = {b, shape, NULL};
    const char *outputs[] = {reshaped, NULL};
    oq_edit_node(rewrite->edit, "", "Reshape", oq_node_label(node), inputs, outputs);
    return reshaped;
}

static bool emit(struct oq_rewrite *rewrite, const struct oq_site *site)
{
    const Oq__Pb__NodeProto *node = site->node;
    const struct oq_source *weight = &site->constant->source;
    int32_t data_type = weight->data_type;
    const char *label = oq_node_label(node);
    int64_t *dims = oq_arena_array(rewrite->edit->arena, weight->n_dims, sizeof(*dims));
    if (dims == NULL)
        return oq_arena_fail(rewrite->edit->arena, rewrite->edit->error);
    for (size_t i = 0; i < weight->n_dims; i++)
        dims[i] = i == 0 ? weight->dims[0] : 1;

    const char *bias = make_bias(rewrite, site, dims);
    const char *scale = oq_rewrite_scale(rewrite, site, dims, weight->n_dims - 1, 1);
    const char *zero_point = oq_rewrite_zero_point(rewrite, site);
    struct oq_activation x = oq_rewrite_activation(rewrite, node->input[0], false, data_type);
    const char *product = oq_edit_name(rewrite->edit, node->output[0], "_int32");
    const char *inputs[] = {x.quantized, oq_rewrite_weight(rewrite, site), x.zero_point, zero_point,
                            NULL};
    const char *outputs[] = {product, NULL};
    oq_edit_copy_attributes(rewrite->edit,
                            oq_edit_node(rewrite->edit, "", "ConvInteger", label, inputs, outputs),
                            node, NULL);
    return oq_rewrite_dequantize(rewrite, label, product, x.scale, scale, bias, data_type,
                                 node->output[0]);
}

const struct oq_rule oq_rule_conv = {
    .op = OQ_ONNX_Conv, .is_weight = is_weight, .decide = decide, .is_product = true, .emit = emit};

/* ConvTranspose (ai.onnx, 1, 11, 22): W is [I, O/groups, kernel..]; always folded. */
static void decide_transpose(const onnxq_plan *plan, struct oq_site *site)
{
    size_t batch_axes = oq_node_int(site->node, "group", 1) == 1 ? 0 : 1;
    if (site->input == 2)
        oq_site_keep(site, "a vector");
    else if (plan->options.conv == ONNXQ_CONV_SKIP)
        oq_site_keep(site, "options.conv=skip");
    else if (site->constant->source.n_dims < 3)
        oq_site_keep(site, "ConvTranspose takes weights of three dimensions or more");
    else
        oq_site_fold(site, 1, batch_axes, NULL);
}

const struct oq_rule oq_rule_conv_transpose = {
    .op = OQ_ONNX_ConvTranspose, .is_weight = is_weight, .decide = decide_transpose};
