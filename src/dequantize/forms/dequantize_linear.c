/*
 * DequantizeLinear (10, 13, 19, 21, 23, 25, and that of com.microsoft) of
 * constants: with one scale, one for each index of an axis, or one for each
 * block along it. The result is an initializer with the name of its output.
 */
#include "dequantize/forms/forms_table.h"
#include "wire/data_type.h"

#define DOUBLE OQ_TYPE(DOUBLE)

/* How its scales belong to the integers; false where the axis is none of theirs. */
static bool find_spread(const Oq__Pb__NodeProto *node, const struct oq_constant_value *integers,
                        struct oq_spread *spread)
{
    int64_t axis = oq_node_int(node, "axis", 1), block = oq_node_int(node, "block_size", 0);
    axis += axis < 0 ? (int64_t)integers->n_dims : 0;
    *spread = (struct oq_spread){OQ_SPREAD_AXIS, 0, 1};
    if (axis < 0 || axis >= (int64_t)integers->n_dims)
        return block == 0; /* with one scale the axis says nothing, and may be anything */
    spread->axis = (size_t)axis;
    if (block <= 0)
        return block == 0;
    spread->kind = OQ_SPREAD_BLOCKS;
    spread->block = (uint64_t)block;
    return true;
}

/* A vector needs an axis that is one. */
static bool has_axis(onnxq_dequantization *undo, const struct oq_match *match,
                     const struct oq_constant_value *integers)
{
    struct oq_constant_value scale;
    int64_t axis = oq_node_int(match->place.node, "axis", 1), rank = (int64_t)integers->n_dims;
    return (axis >= -rank && axis < rank) ||
           !oq_undo_constant(undo, match->place.graph, oq_node_input(match->place.node, 1),
                             &scale) ||
           scale.tensor->nelem == 1;
}

/* Behind a Transpose the axis counts in the result, whose last two are those of the integers
 * turned. */
static struct oq_constant_value as_stored(struct oq_constant_value *integers,
                                          struct oq_weight *weight, struct oq_spread *spread)
{
    struct oq_constant_value stored = *integers;
    const size_t rank = integers->n_dims;
    if (!integers->transposed || rank < 2)
        return stored;
    weight->transposed = true;
    stored.transposed = false;
    if (spread->axis + 2 >= rank)
        spread->axis = 2 * rank - 3 - spread->axis;
    return stored;
}

static const char *find_weight(onnxq_dequantization *undo, struct oq_match *match,
                               struct oq_weight **weight, struct oq_constant_value *integers,
                               int32_t *data_type)
{
    const Oq__Pb__NodeProto *node = match->place.node;
    const struct oq_graph *graph = match->place.graph;
    struct oq_spread spread;
    const char *reason = oq_undo_weight(undo, graph, oq_node_input(node, 0), weight, integers);
    if (reason != NULL)
        return reason;
    if (!find_spread(node, integers, &spread) || !has_axis(undo, match, integers))
        return "its axis or block size is out of range";
    if (integers->transposed && spread.kind == OQ_SPREAD_BLOCKS)
        return "blocks behind a Transpose";
    const struct oq_constant_value stored = as_stored(integers, *weight, &spread);
    reason =
        oq_undo_scale(undo, graph, *weight, &stored, oq_node_input(node, 1), spread, data_type);
    if (reason != NULL)
        return reason;
    return oq_undo_zero_point(undo, graph, *weight, &stored, oq_node_input(node, 2), spread);
}

/* Its shape is that of the result. */
static const char *add_weight(onnxq_dequantization *undo, struct oq_match *match,
                              struct oq_weight *weight, const struct oq_constant_value *integers,
                              int32_t data_type)
{
    int64_t dims[OQ_WEIGHT_MAX_RANK];
    const size_t n = integers->n_dims;
    for (size_t i = 0; i < n; i++)
        dims[i] = integers->dims[weight->transposed && i + 2 >= n ? 2 * n - 3 - i : i];
    return oq_undo_add_weight(undo, match, weight, dims, n, data_type);
}

/* From opset 23 on the output may be of another float type than the scale. */
static const char *find_output_type(const Oq__Pb__NodeProto *node, int32_t *data_type)
{
    int64_t wanted = oq_node_int(node, "output_dtype", 0);
    const struct oq_dtype *dtype =
        wanted <= 0 || wanted > INT32_MAX ? NULL : oq_dtype_find((int32_t)wanted);
    if (wanted == 0)
        return NULL;
    if (dtype == NULL || !dtype->is_float || wanted == DOUBLE)
        return "its output is not float32, float16 or bfloat16";
    *data_type = (int32_t)wanted;
    return NULL;
}

static enum oq_outcome match(onnxq_dequantization *undo, struct oq_match *match)
{
    const Oq__Pb__NodeProto *node = match->place.node;
    struct oq_constant_value integers;
    struct oq_weight *weight;
    int32_t data_type;
    const struct oq_value *output = oq_graph_find(match->place.graph, node->output[0]);
    if (!oq_undo_constant(undo, match->place.graph, oq_node_input(node, 0), &integers))
        return oq_leave(undo, match, "its input is computed as integers");
    if (output == NULL || output->is_graph_output)
        return oq_leave(undo, match, "the graph returns it");
    const char *reason = find_weight(undo, match, &weight, &integers, &data_type);
    if (reason == NULL)
        reason = find_output_type(node, &data_type);
    if (reason == NULL)
        reason = add_weight(undo, match, weight, &integers, data_type);
    if (reason != NULL)
        return oq_leave(undo, match, reason);
    oq_want_name(match);
    return OQ_MATCH;
}

const struct oq_form oq_form_dequantize_linear = {"DequantizeLinear", OQ_ONNX_DequantizeLinear,
                                                  match, oq_emit_constant};
const struct oq_form oq_form_dequantize_linear_contrib = {
    "DequantizeLinear", OQ_MS_DequantizeLinear, match, oq_emit_constant};
