/*
 * com.microsoft QAttention behind DynamicQuantizeLinear: inputs, weights, bias,
 * input scale, weight scale, mask, input zero point, weight zero point, past.
 * Attention takes the weights [inputs, 3H] as floats; attributes are the same.
 */
#include "dequantize/forms/forms_table.h"

static enum oq_outcome match(onnxq_dequantization *undo, struct oq_match *match)
{
    const Oq__Pb__NodeProto *node = match->place.node;
    match->activation = oq_undo_activation(undo, match->place.graph, oq_node_input(node, 0),
                                           oq_node_input(node, 3), oq_node_input(node, 6));
    if (match->activation == NULL)
        return oq_leave(undo, match, "its activation is not from DynamicQuantizeLinear");
    const char *reason = oq_undo_matrix(undo, match, match->place.graph, oq_node_input(node, 1),
                                        oq_node_input(node, 4), oq_node_input(node, 7));
    return reason != NULL ? oq_leave(undo, match, reason) : OQ_MATCH;
}

static bool emit(onnxq_dequantization *undo, struct oq_edit *edit, const struct oq_match *match)
{
    const Oq__Pb__NodeProto *node = match->place.node;
    const char *inputs[] = {match->activation,      oq_undo_weight_name(edit, match, 0),
                            oq_node_input(node, 2), oq_node_input(node, 5),
                            oq_node_input(node, 8), NULL};
    const char *outputs[3] = {NULL};
    (void)undo;
    for (size_t i = 0; i < node->n_output && i < 2; i++)
        outputs[i] = node->output[i];
    Oq__Pb__NodeProto *attention =
        oq_edit_node(edit, "com.microsoft", "Attention", oq_node_label(node), inputs, outputs);
    oq_edit_copy_attributes(edit, attention, node, NULL);
    return !edit->failed;
}

const struct oq_form oq_form_attention = {"QAttention", OQ_MS_QAttention, match, emit};
