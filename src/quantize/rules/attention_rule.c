/*
 * Attention (com.microsoft, 1): the projection of [batch, length, in] to queries,
 * keys and values by W [in, 3 * hidden], and the attention itself.
 *
 * QAttention does the projection in integers and takes all that Attention
 * takes, but for heads of different sizes and what newer versions have added.
 */
#include "wire/data_type.h"
#include "quantize/rules/rules.h"

/* Inputs of Attention. */
enum { INPUT, WEIGHTS, BIAS, MASK, PAST, ATTENTION_BIAS, PAST_LENGTH, N_INPUTS };

static bool is_weight(size_t input)
{
    return input == WEIGHTS;
}

static bool has_input(const Oq__Pb__NodeProto *node, size_t input)
{
    return oq_node_input(node, input)[0] != '\0';
}

static const char *refuse(const onnxq_plan *plan, const struct oq_site *site)
{
    const Oq__Pb__NodeProto *node = site->node;
    if (plan->model->opset < OQ_OPSET_DYNAMIC_QUANTIZE_LINEAR)
        return "QAttention on dynamic activations needs opset 11";
    if (oq_node_attribute(node, "qkv_hidden_sizes") != NULL)
        return "QAttention has no qkv_hidden_sizes";
    if (oq_node_int(node, "do_rotary", 0) != 0)
        return "QAttention has no rotary embedding";
    if (has_input(node, ATTENTION_BIAS))
        return "QAttention has no attention_bias";
    if (has_input(node, PAST_LENGTH))
        return "QAttention has no past_sequence_length";
    return node->n_input > N_INPUTS ? "Attention takes no more than 7 inputs" : NULL;
}

static void decide(const onnxq_plan *plan, struct oq_site *site)
{
    const struct oq_source *weight = &site->constant->source;
    if (weight->n_dims != 2) {
        oq_site_keep(site, "Attention takes a matrix");
        return;
    }
    int axis = weight->transposed ? 0 : 1;
    const char *refusal = refuse(plan, site);
    if (refusal == NULL)
        refusal = oq_matmul_refuses(plan, site, weight->dims[1 - axis], weight->dims[axis], INPUT);
    if (refusal != NULL) {
        oq_site_fold(site, axis, 0, refusal);
        return;
    }
    oq_site_dynamic(site, axis, 0, weight->transposed, "QAttention");
    if (!has_input(site->node, BIAS)) /* make_bias() */
        site->beside_nbytes = (uint64_t)weight->dims[axis] * sizeof(float);
}

/* The bias, which QAttention insists on. */
static const char *make_bias(struct oq_rewrite *rewrite, const struct oq_site *site)
{
    const struct oq_source *weight = &site->constant->source;
    int64_t n = weight->dims[site->axis];
    if (has_input(site->node, BIAS))
        return oq_edit_float_input(rewrite->edit, site->node->input[BIAS], false,
                                   weight->data_type);
    const float *zeros = oq_edit_allocate(rewrite->edit, (size_t)n, sizeof(*zeros));
    return zeros == NULL ? NULL
                         : oq_rewrite_bias(rewrite, site->quantized->ranges->constant, zeros, n);
}

/* Both outputs in the model's own type: output, present. */
static bool emit_node(struct oq_rewrite *rewrite, const struct oq_site *site,
                      const char *const *inputs)
{
    const Oq__Pb__NodeProto *node = site->node;
    const char *label = oq_node_label(node);
    int32_t data_type = site->constant->source.data_type;
    bool is_float = data_type == OQ_TYPE(FLOAT);
    const char *outputs[3] = {NULL};
    for (size_t i = 0; i < node->n_output && i < 2; i++)
        outputs[i] = is_float || node->output[i][0] == '\0'
                         ? node->output[i]
                         : oq_edit_name(rewrite->edit, node->output[i], "_f32");
    oq_edit_copy_attributes(
        rewrite->edit,
        oq_edit_node(rewrite->edit, "com.microsoft", "QAttention", label, inputs, outputs), node,
        "rotary_embedding_dim");
    for (size_t i = 0; !is_float && outputs[i] != NULL; i++)
        if (outputs[i][0] != '\0')
            oq_edit_cast(rewrite->edit, label, outputs[i], data_type, node->output[i]);
    return !rewrite->edit->failed;
}

static bool emit(struct oq_rewrite *rewrite, const struct oq_site *site)
{
    const Oq__Pb__NodeProto *node = site->node;
    const struct oq_source *weight = &site->constant->source;
    const char *past = has_input(node, PAST) ? oq_edit_float_input(rewrite->edit, node->input[PAST],
                                                                   false, weight->data_type)
                                             : "";
    struct oq_activation x =
        oq_rewrite_activation(rewrite, node->input[INPUT], false, weight->data_type);
    const char *inputs[] = {x.quantized,
                            oq_rewrite_weight(rewrite, site),
                            make_bias(rewrite, site),
                            x.scale,
                            oq_rewrite_scale(rewrite, site, &weight->dims[site->axis], 1, 1),
                            oq_node_input(node, MASK),
                            x.zero_point,
                            oq_rewrite_zero_point(rewrite, site),
                            past,
                            NULL};
    return emit_node(rewrite, site, inputs);
}

const struct oq_rule oq_rule_attention = {.op = OQ_MS_Attention,
                                          .is_weight = is_weight,
                                          .takes_transposed = 1 << WEIGHTS,
                                          .decide = decide,
                                          .is_product = true,
                                          .emit = emit};
