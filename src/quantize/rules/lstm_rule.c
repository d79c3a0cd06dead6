/*
 * LSTM (ai.onnx, 1, 7, 14, 22): W is [directions, 4H, inputs], R [directions, 4H, H].
 *
 * Both become the int8 weights of com.microsoft DynamicQuantizeLSTM, which
 * wants them transposed and takes a scale for each gate row. It knows symmetric
 * int8 only, and both weights or none.
 */
#include "wire/data_type.h"
#include "quantize/rules/rules.h"

/* W and R are inputs 1 and 2. */
static bool is_weight(size_t input)
{
    return input == 1 || input == 2;
}

static size_t partner(size_t input)
{
    return 3 - input;
}

/* W [directions, 4H, inputs] and R [directions, 4H, H]: the scales of both have one shape. */
static bool weights_fit(const onnxq_plan *plan, const struct oq_site *site)
{
    const struct oq_constant *w = oq_plan_constant(plan, site->graph, site->node->input[1]);
    const struct oq_constant *r = oq_plan_constant(plan, site->graph, site->node->input[2]);
    if (w == NULL || r == NULL)
        return true; /* then its partner decides */
    if (w->source.n_dims != 3 || r->source.n_dims != 3)
        return false;
    const int64_t *wd = w->source.dims, *rd = r->source.dims;
    return rd[0] == wd[0] && rd[1] == wd[1] && rd[1] % 4 == 0 && rd[1] / 4 == rd[2];
}

static const char *refuse(const onnxq_plan *plan, const struct oq_site *site)
{
    const Oq__Pb__NodeProto *node = site->node;
    if (site->constant->source.data_type != OQ_TYPE(FLOAT))
        return "DynamicQuantizeLSTM takes float32";
    if (!plan->options.symmetric)
        return "DynamicQuantizeLSTM takes symmetric weights";
    if (oq_node_int(node, "layout", 0) != 0)
        return "DynamicQuantizeLSTM has no layout 1";
    if (oq_node_attribute(node, "hidden_size") == NULL)
        return "the node has no hidden_size";
    if (!weights_fit(plan, site))
        return "its two weights do not fit together";
    return NULL;
}

static void decide(const onnxq_plan *plan, struct oq_site *site)
{
    if (site->constant->source.n_dims != 3 || site->node->n_input < 3) {
        oq_site_keep(site, "LSTM takes weights of three dimensions");
        return;
    }
    const char *refusal = refuse(plan, site);
    site->is_unsigned = false;
    if (refusal != NULL) {
        oq_site_fold(site, 1, 1, refusal);
        return;
    }
    const int64_t *dims = site->constant->source.dims;
    oq_site_dynamic(site, 1, 1, true, "DynamicQuantizeLSTM");
    site->beside_nbytes = (uint64_t)(dims[0] * dims[1]); /* make_zeros() */
}

/* Inputs 0 to 7 as they are, but for W and R; then scale and zero point of each, 0 but wanted. */
static bool emit(struct oq_rewrite *rewrite, const struct oq_site *site)
{
    const Oq__Pb__NodeProto *node = site->node;
    const struct oq_site *w = oq_plan_sibling(rewrite->plan, site, 1);
    const struct oq_site *r = oq_plan_sibling(rewrite->plan, site, 2);
    const int64_t *dims = site->constant->source.dims; /* [directions, 4H, ..] in both */
    const char *inputs[13];
    for (size_t i = 0; i < 8; i++)
        inputs[i] = i < node->n_input ? node->input[i] : "";
    inputs[1] = oq_rewrite_weight(rewrite, w);
    inputs[2] = oq_rewrite_weight(rewrite, r);
    inputs[8] = oq_rewrite_scale(rewrite, w, dims, 2, 1);
    inputs[9] = oq_rewrite_zeros(rewrite, w, dims, 2);
    inputs[10] = oq_rewrite_scale(rewrite, r, dims, 2, 1);
    inputs[11] = oq_rewrite_zeros(rewrite, r, dims, 2);
    inputs[12] = NULL;
    const char *outputs[4] = {NULL};
    for (size_t i = 0; i < node->n_output && i < 3; i++)
        outputs[i] = node->output[i];
    Oq__Pb__NodeProto *lstm = oq_edit_node(rewrite->edit, "com.microsoft", "DynamicQuantizeLSTM",
                                           oq_node_label(node), inputs, outputs);
    oq_edit_copy_attributes(rewrite->edit, lstm, node, "layout");
    return !rewrite->edit->failed;
}

const struct oq_rule oq_rule_lstm = {.op = OQ_ONNX_LSTM,
                                     .is_weight = is_weight,
                                     .partner = partner,
                                     .decide = decide,
                                     .is_product = true,
                                     .emit = emit};
