/*
 * What ONNX Runtime's optimizer makes of integer products, and onnxq writes
 * below opset 11: com.microsoft DynamicQuantizeMatMul, and MatMulIntegerToFloat
 * behind DynamicQuantizeLinear. Both become MatMul, and Add where they have a bias.
 */
#include "dequantize/forms/forms_table.h"

static enum oq_outcome match_matmul(onnxq_dequantization *undo, struct oq_match *match)
{
    const Oq__Pb__NodeProto *node = match->place.node;
    match->activation = oq_node_input(node, 0);
    match->bias = oq_node_input(node, 4);
    const char *reason = oq_undo_matrix(undo, match, match->place.graph, oq_node_input(node, 1),
                                        oq_node_input(node, 2), oq_node_input(node, 3));
    return reason != NULL ? oq_leave(undo, match, reason) : OQ_MATCH;
}

const struct oq_form oq_form_dynamic_quantize_matmul = {
    "DynamicQuantizeMatMul", OQ_MS_DynamicQuantizeMatMul, match_matmul, oq_undo_emit_product};

static enum oq_outcome match_to_float(onnxq_dequantization *undo, struct oq_match *match)
{
    const Oq__Pb__NodeProto *node = match->place.node;
    match->activation = oq_undo_activation(undo, match->place.graph, oq_node_input(node, 0),
                                           oq_node_input(node, 2), oq_node_input(node, 4));
    match->bias = oq_node_input(node, 6);
    if (match->activation == NULL)
        return oq_leave(undo, match, "its activation is not from DynamicQuantizeLinear");
    const char *reason = oq_undo_matrix(undo, match, match->place.graph, oq_node_input(node, 1),
                                        oq_node_input(node, 3), oq_node_input(node, 5));
    return reason != NULL ? oq_leave(undo, match, reason) : OQ_MATCH;
}

const struct oq_form oq_form_matmul_integer_to_float = {
    "MatMulIntegerToFloat", OQ_MS_MatMulIntegerToFloat, match_to_float, oq_undo_emit_product};
