/* Axes of values, through the nodes that keep, move, add or take them away. */
#include "quantize/analyze/axis.h"

#include "model/type_text.h"
#include "operators/operators.h"
#include "quantize/analyze/fate.h"

/* Nodes that are looked through for one answer, and inputs of one. */
#define MAX_STEPS  16
#define MAX_INPUTS 8

/* --- what is declared, or constant --- */

static const struct oq_constant *find_constant(const onnxq_plan *plan, const struct oq_value *value)
{
    return value == NULL ? NULL : oq_plan_constant(plan, value->graph, value->name);
}

static unsigned declared_rank(const onnxq_plan *plan, const struct oq_value *value)
{
    const struct oq_constant *constant = find_constant(plan, value);
    if (constant != NULL)
        return (unsigned)constant->source.n_dims;
    const int rank = value == NULL ? -1 : oq_graph_rank(value->graph, value->name);
    return rank < 0 ? 0 : (unsigned)rank;
}

static uint64_t declared_size(const onnxq_plan *plan, const struct oq_value *value, unsigned axis)
{
    const struct oq_constant *constant = find_constant(plan, value);
    const Oq__Pb__TensorShapeProto *shape;
    const char *symbol;
    int32_t type;
    if (constant != NULL) {
        const struct oq_source *source = &constant->source;
        if (axis > source->n_dims)
            return 0;
        return (uint64_t)source->dims[source->transposed ? axis - 1 : source->n_dims - axis];
    }
    if (value->type == NULL || !oq_type_tensor(value->type, &type, &shape) || shape == NULL ||
        axis > shape->n_dim)
        return 0;
    const int64_t size = oq_dim_size(shape->dim[shape->n_dim - axis], &symbol);
    return size < 0 ? 0 : (uint64_t)size;
}

/* --- what nodes do with axes --- */

/* As an axis from the end, of so many; those from the front need their number. */
static unsigned from_end(int64_t axis, unsigned rank)
{
    if (axis >= 0 && axis < rank)
        return rank - (unsigned)axis;
    return axis < 0 && axis >= -(int64_t)OQ_MAX_RANK ? (unsigned)-axis : 0;
}

unsigned oq_axis_of_attribute(const onnxq_plan *plan, const struct oq_value *value, int64_t axis)
{
    return from_end(axis, declared_rank(plan, value));
}

/* The axes that Unsqueeze adds, or that Squeeze and sums take away, as bits; 0: not known. */
static uint64_t changed_axes(const onnxq_plan *plan, const struct oq_value *value, bool adds)
{
    const struct oq_value *input =
        oq_graph_find(value->graph, oq_node_input(oq_value_node(value), 0));
    int64_t axes[OQ_READ_MAX_INTEGERS];
    uint64_t bits = 0;
    size_t n;
    if (!oq_plan_read_axes(plan, value->graph, oq_value_node(value), axes, &n))
        return 0;
    const unsigned rank = declared_rank(plan, input),
                   all = rank > 0 && adds ? rank + (unsigned)n : rank;
    for (size_t i = 0; i < n; i++) {
        const unsigned axis = from_end(axes[i], all);
        if (axis == 0 || axis > OQ_MAX_RANK)
            return 0;
        bits |= (uint64_t)1 << axis;
    }
    return bits;
}

static unsigned behind_added(uint64_t added, unsigned axis)
{
    unsigned n = 0;
    for (unsigned i = 1; i <= axis; i++)
        n += (added >> i & 1) != 0;
    return added == 0 || (added >> axis & 1) != 0 ? 0 : axis - n;
}

static unsigned before_removed(uint64_t removed, unsigned axis)
{
    unsigned all = 0;
    for (unsigned left = axis; removed != 0 && left > 0 && all <= OQ_MAX_RANK;)
        left -= (removed >> ++all & 1) == 0;
    return all <= OQ_MAX_RANK ? all : 0;
}

static unsigned before_transpose(const Oq__Pb__NodeProto *node, unsigned axis)
{
    const Oq__Pb__AttributeProto *perm = oq_node_attribute(node, "perm");
    if (perm == NULL || axis > perm->n_ints)
        return 0;
    return from_end(perm->ints[perm->n_ints - axis], (unsigned)perm->n_ints);
}

/* What is behind the gathered axis stays. */
static unsigned before_gather(const onnxq_plan *plan, const struct oq_value *value, unsigned axis)
{
    const Oq__Pb__NodeProto *node = oq_value_node(value);
    const struct oq_value *table = oq_graph_find(value->graph, oq_node_input(node, 0));
    const unsigned gathered = from_end(oq_node_int(node, "axis", 0), declared_rank(plan, table));
    return axis < gathered ? axis : 0;
}

static bool is_reduction(const Oq__Pb__NodeProto *node)
{
    return oq_operator_has(oq_operator_of(node), OQ_BY_CHANNEL) &&
           strncmp(node->op_type, "Reduce", 6) == 0;
}

static bool keeps_sizes(const struct oq_operator *op)
{
    return oq_operator_has(op, OQ_SAME_SHAPE) || oq_operator_has(op, OQ_BROADCASTS);
}

/* The axes are what they were, but longer or shorter. */
static bool changes_sizes(const Oq__Pb__NodeProto *node)
{
    const struct oq_operator *op = oq_operator_of(node);
    switch (oq_operator_id(op)) {
    case OQ_ONNX_Concat:
    case OQ_ONNX_Expand:
    case OQ_ONNX_GlobalMaxPool:
    case OQ_ONNX_MaxPool:
    case OQ_ONNX_Pad:
    case OQ_ONNX_Resize:
    case OQ_ONNX_Slice:
    case OQ_ONNX_Split:
    case OQ_ONNX_Tile:
        return true;
    default:
        return oq_operator_has(op, OQ_BY_CHANNEL) && !keeps_sizes(op) && !is_reduction(node);
    }
}

unsigned oq_axis_before(const onnxq_plan *plan, const struct oq_value *value, unsigned axis,
                        size_t input)
{
    const Oq__Pb__NodeProto *node = oq_value_node(value);
    const struct oq_operator *op = oq_operator_of(node);
    if (axis == 0 || axis > OQ_MAX_RANK)
        return 0;
    switch (oq_operator_id(op)) {
    case OQ_ONNX_Unsqueeze:
        return behind_added(changed_axes(plan, value, true), axis);
    case OQ_ONNX_Squeeze:
        return before_removed(changed_axes(plan, value, false), axis);
    case OQ_ONNX_Transpose:
        return before_transpose(node, axis);
    case OQ_ONNX_Gather:
        return input == 0 ? before_gather(plan, value, axis) : 0;
    default:
        if (is_reduction(node) && oq_node_int(node, "keepdims", 1) == 0)
            return before_removed(changed_axes(plan, value, false), axis);
        return keeps_sizes(op) || changes_sizes(node) || is_reduction(node) ? axis : 0;
    }
}

/* --- looking for what is known --- */

/* The input that is no constant, or the first one: it has the shape of what comes out. */
static size_t leading_input(const onnxq_plan *plan, const struct oq_value *value)
{
    const Oq__Pb__NodeProto *node = oq_value_node(value);
    const bool broadcasts = oq_operator_has(oq_operator_of(node), OQ_BROADCASTS);
    for (size_t i = 0; broadcasts && i < node->n_input && i < MAX_INPUTS; i++) {
        const struct oq_value *input = oq_graph_find(value->graph, node->input[i]);
        if (input != NULL && !oq_fate_is_constant(plan, input))
            return i;
    }
    return 0;
}

/* Of a product with a matrix: its columns. */
static uint64_t product_size(const onnxq_plan *plan, const struct oq_value *value, unsigned axis)
{
    const Oq__Pb__NodeProto *node = oq_value_node(value);
    const enum oq_operator_id id = oq_operator_id_of(node);
    if (axis != 1 || (id != OQ_ONNX_MatMul && id != OQ_ONNX_Gemm))
        return 0;
    const struct oq_value *weight = oq_graph_find(value->graph, oq_node_input(node, 1));
    return find_constant(plan, weight) == NULL
               ? 0
               : declared_size(plan, weight, oq_node_int(node, "transB", 0) != 0 ? 2 : 1);
}

/* Of one that the node makes itself, or 0. */
static uint64_t made_size(const onnxq_plan *plan, const struct oq_value *value, unsigned axis)
{
    const Oq__Pb__NodeProto *node = oq_value_node(value);
    const bool adds = oq_node_is(node, "", "Unsqueeze");
    const bool sums = is_reduction(node) && oq_node_int(node, "keepdims", 1) != 0;
    if ((adds || sums) && (changed_axes(plan, value, adds) >> axis & 1) != 0)
        return 1;
    return product_size(plan, value, axis);
}

uint64_t oq_axis_size(const onnxq_plan *plan, const struct oq_value *value, unsigned axis)
{
    for (unsigned i = 0; i < MAX_STEPS && value != NULL && axis > 0 && axis <= OQ_MAX_RANK; i++) {
        const Oq__Pb__NodeProto *node = oq_value_node(value);
        uint64_t size = declared_size(plan, value, axis);
        if (size == 0 && node != NULL)
            size = made_size(plan, value, axis);
        if (size > 0 || node == NULL || changes_sizes(node))
            return size;
        const size_t input = leading_input(plan, value);
        axis = oq_axis_before(plan, value, axis, input);
        value = oq_graph_find(value->graph, oq_node_input(node, input));
    }
    return 0;
}

/* By how much a node changes the number of axes; false: not known, or there is no such thing. */
static bool changes_rank(const onnxq_plan *plan, const struct oq_value *value, int *change)
{
    const Oq__Pb__NodeProto *node = oq_value_node(value);
    const bool adds = oq_node_is(node, "", "Unsqueeze");
    const bool removes = oq_node_is(node, "", "Squeeze") ||
                         (is_reduction(node) && oq_node_int(node, "keepdims", 1) == 0);
    int64_t axes[OQ_READ_MAX_INTEGERS];
    size_t n = 0;
    if ((adds || removes) && (!oq_plan_read_axes(plan, value->graph, node, axes, &n) || n == 0))
        return false;
    *change += adds ? (int)n : -(int)n;
    return adds || removes || is_reduction(node) || keeps_sizes(oq_operator_of(node)) ||
           changes_sizes(node);
}

/* Its own, or that of an input that is what it is made of. */
static unsigned find_rank(const onnxq_plan *plan, const struct oq_value *value)
{
    int change = 0;
    for (unsigned i = 0; i < MAX_STEPS && value != NULL; i++) {
        const Oq__Pb__NodeProto *node = oq_value_node(value);
        const bool is_gemm = node != NULL && oq_operator_id_of(node) == OQ_ONNX_Gemm;
        const unsigned rank = is_gemm ? 2 : declared_rank(plan, value);
        if (rank > 0)
            return (unsigned)((int)rank + change > 0 ? (int)rank + change : 0);
        if (node == NULL || !changes_rank(plan, value, &change))
            return 0;
        value = oq_graph_find(value->graph, oq_node_input(node, leading_input(plan, value)));
    }
    return 0;
}

unsigned oq_axis_of_concat(const onnxq_plan *plan, const struct oq_value *value)
{
    const Oq__Pb__NodeProto *node = oq_value_node(value);
    const int64_t axis = oq_node_int(node, "axis", 1);
    unsigned rank = axis < 0 ? 0 : find_rank(plan, value);
    for (size_t i = 0; axis >= 0 && rank == 0 && i < node->n_input && i < MAX_INPUTS; i++)
        rank = find_rank(plan, oq_graph_find(value->graph, node->input[i]));
    return from_end(axis, rank);
}
