/*
 * Tables that are gathered as integers: Cast(Gather(integers, indices)) [- zero
 * point] * Gather(scales, indices), or with one scale for all, or by
 * DequantizeLinear. What is gathered becomes float: Gather(table, indices).
 */
#include "dequantize/forms/forms_table.h"

bool oq_emit_rows(onnxq_dequantization *undo, struct oq_edit *edit, const struct oq_match *match)
{
    const char *inputs[] = {oq_undo_weight_name(edit, match, 0), match->activation, NULL};
    const char *outputs[] = {match->place.node->output[0], NULL};
    Oq__Pb__NodeProto *node =
        oq_edit_node(edit, "", "Gather", oq_node_label(match->subject.node), inputs, outputs);
    (void)undo;
    oq_edit_add_int(edit, node, "axis", match->axis);
    return !edit->failed;
}

/* Gather of constant integers, in the same graph. */
static bool find_gather(onnxq_dequantization *undo, const struct oq_graph *graph, const char *name,
                        struct oq_place *gather, struct oq_constant_value *integers)
{
    struct oq_integer_type type;
    *gather = oq_producer_of(graph, name, "Gather");
    return gather->node != NULL && gather->graph == graph && gather->node->n_input == 2 &&
           oq_undo_constant(undo, graph, gather->node->input[0], integers) &&
           integers->tensor->dtype != NULL && oq_tensor_integer_type(integers->tensor, &type) &&
           type.nbits <= 16;
}

/* The axis of Gather; false where it is none of the table's. */
static bool find_axis(const struct oq_place *gather, const struct oq_constant_value *integers,
                      int64_t *axis)
{
    *axis = oq_node_int(gather->node, "axis", 0);
    *axis += *axis < 0 ? (int64_t)integers->n_dims : 0;
    return *axis >= 0 && *axis < (int64_t)integers->n_dims;
}

/*
 * The table behind numbers that were gathered in the same way as the integers,
 * or that are one for all of them; NULL: neither.
 */
static const char *find_table(onnxq_dequantization *undo, const struct oq_place *gather,
                              const struct oq_constant_value *integers, int64_t axis,
                              const char *name)
{
    struct oq_constant_value constant;
    struct oq_place other = oq_producer_of(gather->graph, name, "Gather");
    if (other.node == NULL)
        return oq_undo_constant(undo, gather->graph, name, &constant) &&
                       constant.tensor->nelem == 1 && constant.n_dims <= 1
                   ? name
                   : NULL;
    const char *table = oq_node_input(other.node, 0);
    int64_t other_axis;
    bool same = other.node->n_input == 2 && oq_undo_constant(undo, other.graph, table, &constant) &&
                constant.n_dims == integers->n_dims && !constant.transposed &&
                find_axis(&other, &constant, &other_axis) && other_axis == axis &&
                constant.dims[axis] == integers->dims[axis] &&
                oq_is_same_value(gather->graph, gather->node->input[1], other.graph,
                                 other.node->input[1]) &&
                oq_is_same_value(gather->graph, table, other.graph, table);
    return same ? table : NULL;
}

static const char *find_weight(onnxq_dequantization *undo, const struct oq_place *gather,
                               const struct oq_scaled *scaled, int64_t axis,
                               struct oq_weight **weight, struct oq_constant_value *integers)
{
    const struct oq_spread broadcast = {OQ_SPREAD_BROADCAST, 0, 1};
    const struct oq_graph *graph = gather->graph;
    int32_t data_type;
    const char *scale = find_table(undo, gather, integers, axis, scaled->scale);
    const char *zero_point = scaled->zero_point;
    if (zero_point[0] != '\0')
        zero_point = find_table(undo, gather, integers, axis, zero_point);
    if (scale == NULL || zero_point == NULL)
        return "its scales are not gathered as its integers are";
    const char *reason = oq_undo_weight(undo, graph, gather->node->input[0], weight, integers);
    if (reason == NULL && integers->transposed)
        reason = "behind a Transpose";
    if (reason == NULL)
        reason = oq_undo_scale(undo, graph, *weight, integers, scale, broadcast, &data_type);
    if (reason == NULL && data_type != scaled->data_type)
        reason = "its scale is of another type than the product";
    if (reason == NULL)
        reason = oq_undo_zero_point(undo, graph, *weight, integers, zero_point, broadcast);
    return reason;
}

static enum oq_outcome match(onnxq_dequantization *undo, struct oq_match *match)
{
    struct oq_scaled scaled;
    struct oq_constant_value integers;
    struct oq_place gather;
    struct oq_weight *weight;
    int32_t cast_type;
    struct oq_place mul = oq_find_product(undo, &match->place, &cast_type);
    if (mul.node == NULL)
        return OQ_NO_MATCH;
    size_t sides = 2; /* to be looked at, the second first */
    while (!oq_find_scaled(&mul, sides - 1, &scaled) ||
           !find_gather(undo, mul.graph, scaled.integers, &gather, &integers))
        if (undo->failed || --sides == 0)
            return OQ_NO_MATCH;
    match->subject = gather;
    match->activation = gather.node->input[1];
    if (!find_axis(&gather, &integers, &match->axis))
        return oq_leave(undo, match, "its axis is out of range");
    const char *reason = find_weight(undo, &gather, &scaled, match->axis, &weight, &integers);
    if (reason == NULL)
        reason = oq_undo_add_weight(undo, match, weight, integers.dims, integers.n_dims,
                                    cast_type != 0 ? cast_type : scaled.data_type);
    return reason != NULL ? oq_leave(undo, match, reason) : OQ_MATCH;
}

const struct oq_form oq_form_rows = {"int8 rows", OQ_ONNX_Mul, match, oq_emit_rows};
const struct oq_form oq_form_cast_rows = {"int8 rows", OQ_ONNX_Cast, match, oq_emit_rows};

bool oq_is_rows(onnxq_dequantization *undo, const struct oq_graph *graph, const char *name)
{
    struct oq_constant_value integers;
    struct oq_place gather;
    return find_gather(undo, graph, name, &gather, &integers);
}

const char *oq_undo_rows(onnxq_dequantization *undo, struct oq_match *match,
                         const struct oq_graph *graph, const char *rows, const char *scale,
                         const char *zero_point, int32_t *data_type)
{
    const struct oq_spread one = {OQ_SPREAD_BROADCAST, 0, 1};
    struct oq_constant_value integers, number;
    struct oq_place gather;
    struct oq_weight *weight;
    if (!find_gather(undo, graph, rows, &gather, &integers) ||
        !find_axis(&gather, &integers, &match->axis))
        return "its axis is out of range";
    match->activation = gather.node->input[1];
    if (!oq_undo_constant(undo, graph, scale, &number) || number.tensor->nelem != 1)
        return "its rows have scales of their own";
    const char *reason = oq_undo_weight(undo, graph, gather.node->input[0], &weight, &integers);
    if (reason == NULL && integers.transposed)
        reason = "behind a Transpose";
    if (reason == NULL)
        reason = oq_undo_scale(undo, graph, weight, &integers, scale, one, data_type);
    if (reason == NULL)
        reason = oq_undo_zero_point(undo, graph, weight, &integers, zero_point, one);
    if (reason != NULL)
        return reason;
    return oq_undo_add_weight(undo, match, weight, integers.dims, integers.n_dims, *data_type);
}

/* DequantizeLinear of rows, with one scale. */
static enum oq_outcome match_dequantized(onnxq_dequantization *undo, struct oq_match *match)
{
    const Oq__Pb__NodeProto *node = match->place.node;
    int32_t data_type;
    if (!oq_is_rows(undo, match->place.graph, oq_node_input(node, 0)))
        return OQ_NO_MATCH;
    const char *reason = oq_undo_rows(undo, match, match->place.graph, oq_node_input(node, 0),
                                      oq_node_input(node, 1), oq_node_input(node, 2), &data_type);
    int64_t output_type = oq_node_int(node, "output_dtype", 0);
    if (reason == NULL && output_type != 0 && output_type != data_type)
        reason = "its output is of another type than its scale";
    return reason != NULL ? oq_leave(undo, match, reason) : OQ_MATCH;
}

const struct oq_form oq_form_dequantized_rows = {"int8 rows", OQ_ONNX_DequantizeLinear,
                                                 match_dequantized, oq_emit_rows};
