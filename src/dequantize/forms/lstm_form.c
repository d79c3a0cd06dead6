/*
 * com.microsoft DynamicQuantizeLSTM: W [directions, inputs, 4H] and R
 * [directions, H, 4H], with a scale for each direction or each gate row. LSTM
 * wants both transposed.
 */
#include "dequantize/forms/forms_table.h"
#include "wire/data_type.h"

/* [directions] or [directions, 4H], as it meets [directions, inputs, 4H]. */
static const char *spread(onnxq_dequantization *undo, const struct oq_match *match,
                          struct oq_shared *shared, const struct oq_weight *weight,
                          const char *name, bool is_scale)
{
    struct oq_constant_value constant;
    if (!oq_undo_constant(undo, match->place.graph, name, &constant))
        return is_scale ? "its scale is no constant" : "its zero point is no constant";
    const char *reason = oq_shared_set(shared, constant.tensor);
    if (reason != NULL)
        return reason;
    bool is_float = constant.tensor->proto->data_type == OQ_TYPE(FLOAT);
    if (constant.n_dims < 1 || constant.n_dims > 2 || constant.transposed || is_float != is_scale ||
        shared->is_integer == is_scale)
        return "its scales or zero points do not fit its weight";
    const int64_t dims[] = {constant.dims[0], 1, constant.n_dims == 2 ? constant.dims[1] : 1};
    return oq_shared_spread(shared, weight, dims, 3, 0, 1);
}

static const char *add_weight(onnxq_dequantization *undo, struct oq_match *match, size_t input,
                              size_t scale, size_t zero_point)
{
    const Oq__Pb__NodeProto *node = match->place.node;
    struct oq_constant_value integers;
    struct oq_weight *weight;
    const char *reason =
        oq_undo_weight(undo, match->place.graph, oq_node_input(node, input), &weight, &integers);
    if (reason == NULL && (integers.n_dims != 3 || integers.transposed))
        reason = "its weight has not three dimensions";
    if (reason == NULL)
        reason = spread(undo, match, &weight->scale, weight, oq_node_input(node, scale), true);
    if (reason == NULL && oq_node_input(node, zero_point)[0] != '\0')
        reason = spread(undo, match, &weight->zero_point, weight, oq_node_input(node, zero_point),
                        false);
    if (reason != NULL)
        return reason;
    const int64_t dims[] = {integers.dims[0], integers.dims[2], integers.dims[1]};
    weight->transposed = true;
    return oq_undo_add_weight(undo, match, weight, dims, 3, OQ_TYPE(FLOAT));
}

static enum oq_outcome match(onnxq_dequantization *undo, struct oq_match *match)
{
    const char *reason = add_weight(undo, match, 1, 8, 9);
    if (reason == NULL)
        reason = add_weight(undo, match, 2, 10, 11);
    return reason != NULL ? oq_leave(undo, match, reason) : OQ_MATCH;
}

/* Inputs 0 to 7 as they are, but for W and R. */
static bool emit(onnxq_dequantization *undo, struct oq_edit *edit, const struct oq_match *match)
{
    const Oq__Pb__NodeProto *node = match->place.node;
    const char *inputs[9], *outputs[4] = {NULL};
    (void)undo;
    for (size_t i = 0; i < 8; i++)
        inputs[i] = oq_node_input(node, i);
    inputs[1] = oq_undo_weight_name(edit, match, 0);
    inputs[2] = oq_undo_weight_name(edit, match, 1);
    inputs[8] = NULL;
    for (size_t i = 0; i < node->n_output && i < 3; i++)
        outputs[i] = node->output[i];
    Oq__Pb__NodeProto *lstm = oq_edit_node(edit, "", "LSTM", oq_node_label(node), inputs, outputs);
    oq_edit_copy_attributes(edit, lstm, node, NULL);
    return !edit->failed;
}

const struct oq_form oq_form_lstm = {"DynamicQuantizeLSTM", OQ_MS_DynamicQuantizeLSTM, match, emit};
