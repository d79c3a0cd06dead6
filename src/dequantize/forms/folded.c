/*
 * Weights that the graph itself makes float: Cast(integers) [- zero point] *
 * scale [and a Cast to the type of the model], where the scale may be a product of
 * two. All of it is constant and becomes an initializer with the name of the last
 * node's output.
 */
#include "dequantize/forms/forms_table.h"
#include "wire/data_type.h"

static bool is_float_type(int64_t data_type)
{
    const struct oq_dtype *dtype =
        data_type < 0 || data_type > INT32_MAX ? NULL : oq_dtype_find((int32_t)data_type);
    return dtype != NULL && dtype->is_float;
}

bool oq_find_scaled(const struct oq_place *mul, size_t side, struct oq_scaled *scaled)
{
    const struct oq_graph *graph = mul->graph;
    const char *name = oq_node_input(mul->node, 1 - side);
    struct oq_place subtracted = oq_producer_of(graph, name, "Sub");
    *scaled = (struct oq_scaled){.graph = graph, .zero_point = ""};
    scaled->scale = oq_node_input(mul->node, side);
    if (subtracted.node != NULL && subtracted.graph == graph) {
        scaled->zero_point = oq_node_input(subtracted.node, 1);
        name = oq_node_input(subtracted.node, 0);
    }
    struct oq_place cast = oq_producer_of(graph, name, "Cast");
    int64_t to = cast.node == NULL ? 0 : oq_node_int(cast.node, "to", 0);
    if (!is_float_type(to) || cast.graph != graph)
        return false;
    scaled->integers = oq_node_input(cast.node, 0);
    scaled->data_type = (int32_t)to;
    return true;
}

static bool is_cast_by_all(const struct oq_place *mul, const struct oq_value *value)
{
    for (const struct oq_use *use = value->uses; use != NULL; use = use->next) {
        if (use->node == OQ_NO_NODE || use->graph != mul->graph)
            return false;
        const Oq__Pb__NodeProto *user = use->graph->proto->node[use->node];
        int64_t to = oq_node_int(user, "to", 0);
        if (!oq_node_is(user, "", "Cast") || !is_float_type(to) || to == OQ_TYPE(FLOAT))
            return false;
    }
    return value->uses != NULL;
}

/* Every user casts to another float type: those are the ends of the product, and all ask. */
static bool ends_in_casts(onnxq_dequantization *undo, const struct oq_place *mul)
{
    const struct oq_value *value = oq_graph_find(mul->graph, mul->node->output[0]);
    if (value == NULL)
        return false;
    enum oq_answer *answer = &undo->cast_by_all[value->ordinal];
    if (*answer == OQ_NOT_ASKED)
        *answer = is_cast_by_all(mul, value) ? OQ_YES : OQ_NO;
    return *answer == OQ_YES;
}

struct oq_place oq_find_product(onnxq_dequantization *undo, const struct oq_place *place,
                                int32_t *cast_type)
{
    struct oq_place none = {0};
    *cast_type = 0;
    if (oq_node_is(place->node, "", "Mul"))
        return place->node->n_output == 1 && !ends_in_casts(undo, place) ? *place : none;
    struct oq_place mul = oq_producer_of(place->graph, oq_node_input(place->node, 0), "Mul");
    int64_t to = oq_node_int(place->node, "to", 0);
    if (mul.node == NULL || mul.graph != place->graph || mul.node->n_output != 1 ||
        !is_float_type(to) || to == OQ_TYPE(FLOAT) || !ends_in_casts(undo, &mul))
        return none;
    *cast_type = (int32_t)to;
    return mul;
}

/* --- the constant --- */

void oq_want_name(const struct oq_match *match)
{
    struct oq_weight *weight = match->weights[0];
    if (weight->wanted == NULL && weight->graph == match->place.graph)
        weight->wanted = match->place.node->output[0];
}

bool oq_emit_constant(onnxq_dequantization *undo, struct oq_edit *edit,
                      const struct oq_match *match)
{
    const char *name = match->weights[0]->name;
    return strcmp(name, match->place.node->output[0]) == 0 ||
           oq_undo_alias(undo, edit, match, name);
}

/* One constant, or Mul(scale, factor). */
static const char *find_scale(onnxq_dequantization *undo, const struct oq_scaled *scaled,
                              struct oq_weight *weight, const struct oq_constant_value *integers,
                              int32_t *data_type)
{
    const struct oq_spread broadcast = {OQ_SPREAD_BROADCAST, 0, 1};
    const struct oq_place product = oq_producer_of(scaled->graph, scaled->scale, "Mul");
    const char *scale = product.node == NULL ? scaled->scale : oq_node_input(product.node, 0);
    const struct oq_graph *graph = product.node == NULL ? scaled->graph : product.graph;
    const char *reason = oq_undo_scale(undo, graph, weight, integers, scale, broadcast, data_type);
    if (reason != NULL || product.node == NULL)
        return reason;
    return oq_undo_factor(undo, graph, weight, integers, oq_node_input(product.node, 1),
                          *data_type);
}

static const char *find_weight(onnxq_dequantization *undo, const struct oq_scaled *scaled,
                               struct oq_weight **weight, struct oq_constant_value *integers)
{
    const struct oq_spread broadcast = {OQ_SPREAD_BROADCAST, 0, 1};
    struct oq_constant_value zero_point;
    int32_t data_type;
    const char *reason = oq_undo_weight(undo, scaled->graph, scaled->integers, weight, integers);
    if (reason == NULL && integers->transposed)
        reason = "behind a Transpose";
    if (reason == NULL)
        reason = find_scale(undo, scaled, *weight, integers, &data_type);
    if (reason == NULL && data_type != scaled->data_type)
        reason = "its scale is of another type than the product";
    if (reason != NULL || scaled->zero_point[0] == '\0')
        return reason;
    /* Floats, as they are subtracted from floats. */
    if (!oq_undo_constant(undo, scaled->graph, scaled->zero_point, &zero_point) ||
        zero_point.data_type != data_type)
        return "its zero point is not of the type of the scale";
    return oq_undo_zero_point(undo, scaled->graph, *weight, integers, scaled->zero_point,
                              broadcast);
}

/* Integers that someone counts with, such as positions, are wider. */
static bool is_weight(onnxq_dequantization *undo, const struct oq_scaled *scaled)
{
    struct oq_constant_value integers;
    struct oq_integer_type type;
    return oq_undo_constant(undo, scaled->graph, scaled->integers, &integers) &&
           integers.tensor->dtype != NULL && oq_tensor_integer_type(integers.tensor, &type) &&
           type.nbits <= 16;
}

static enum oq_outcome match(onnxq_dequantization *undo, struct oq_match *match)
{
    struct oq_scaled scaled;
    struct oq_constant_value integers;
    struct oq_weight *weight;
    int32_t cast_type;
    struct oq_place mul = oq_find_product(undo, &match->place, &cast_type);
    if (mul.node == NULL)
        return OQ_NO_MATCH;
    size_t sides = 2; /* to be looked at, the second first */
    while (!oq_find_scaled(&mul, sides - 1, &scaled) || !is_weight(undo, &scaled))
        if (undo->failed || --sides == 0)
            return OQ_NO_MATCH;
    const struct oq_value *output = oq_graph_find(match->place.graph, match->place.node->output[0]);
    if (output == NULL || output->is_graph_output)
        return oq_leave(undo, match, "the graph returns it");
    const char *reason = find_weight(undo, &scaled, &weight, &integers);
    if (reason == NULL)
        reason = oq_undo_add_weight(undo, match, weight, integers.dims, integers.n_dims,
                                    cast_type != 0 ? cast_type : scaled.data_type);
    if (reason != NULL)
        return oq_leave(undo, match, reason);
    oq_want_name(match);
    return OQ_MATCH;
}

const struct oq_form oq_form_folded = {OQ_FOLDED, OQ_ONNX_Mul, match, oq_emit_constant};
const struct oq_form oq_form_cast_folded = {OQ_FOLDED, OQ_ONNX_Cast, match, oq_emit_constant};
