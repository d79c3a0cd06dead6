/*
 * What a product takes: inputs of the model, as callers give them, where nothing but operators
 * that hand features on one by one stands between. Those that are missing may be filled in,
 * masked or cut to a range, each may be scaled or shifted, and several may stand beside each
 * other, rows of a table among them: all that leaves features of unlike size what they are.
 */
#include "operators/operators.h"
#include "quantize/analyze/fate.h"
#include "quantize/decide/steps.h"

/* Each is looked at once; what has more than a few inputs and nodes is no such thing. */
#define MAX_VALUES 32

struct fed_walk {
    const struct oq_value *values[MAX_VALUES];
    size_t n;
    bool meets_input;
};

static bool visit(struct fed_walk *walk, const struct oq_value *value)
{
    for (size_t i = 0; i < walk->n; i++)
        if (walk->values[i] == value)
            return true;
    if (value == NULL || walk->n == MAX_VALUES)
        return false;
    walk->values[walk->n++] = value;
    return true;
}

static bool visit_inputs(struct fed_walk *walk, const struct oq_value *value, size_t first,
                         size_t last)
{
    const Oq__Pb__NodeProto *node = oq_value_node(value);
    for (size_t i = first; i <= last; i++)
        if (!visit(walk, oq_graph_find(value->graph, oq_node_input(node, i))))
            return false;
    return node->n_input > first;
}

/* True or false, which is no feature: it says which of them count. */
static bool is_mask(enum oq_operator_id id)
{
    switch (id) {
    case OQ_ONNX_And:
    case OQ_ONNX_Equal:
    case OQ_ONNX_Greater:
    case OQ_ONNX_GreaterOrEqual:
    case OQ_ONNX_IsInf:
    case OQ_ONNX_IsNaN:
    case OQ_ONNX_Less:
    case OQ_ONNX_LessOrEqual:
    case OQ_ONNX_Not:
    case OQ_ONNX_Or:
    case OQ_ONNX_Xor:
        return true;
    default:
        return false;
    }
}

/* What the node that makes a value hands on; false: the value is something else than that. */
static bool step_back(struct fed_walk *walk, const struct oq_value *value)
{
    const Oq__Pb__NodeProto *node = oq_value_node(value);
    const struct oq_operator *op = oq_operator_of(node);
    const enum oq_operator_id id = oq_operator_id(op);
    switch (id) {
    case OQ_ONNX_Concat:
        return visit_inputs(walk, value, 0, node->n_input - 1);
    case OQ_ONNX_Where:
        return visit_inputs(walk, value, 1, 2);
    case OQ_ONNX_Add:
    case OQ_ONNX_Div:
    case OQ_ONNX_Max:
    case OQ_ONNX_Min:
    case OQ_ONNX_Mul:
    case OQ_ONNX_Sub:
        return visit_inputs(walk, value, 0, 1);
    case OQ_ONNX_Abs:
    case OQ_ONNX_Clip:
    case OQ_ONNX_Neg:
        return visit_inputs(walk, value, 0, 0);
    default:
        if (is_mask(id))
            return true;
        return (oq_operator_role(op, 0) == OQ_PASSED || oq_node_is(node, "ai.onnx.ml", "Imputer") ||
                oq_node_is(node, "ai.onnx.ml", "Scaler")) &&
               visit_inputs(walk, value, 0, 0);
    }
}

static bool look_at(const onnxq_plan *plan, struct fed_walk *walk, const struct oq_value *value)
{
    if (oq_fate_is_constant(plan, value))
        return true;
    if (value->origin == OQ_ORIGIN_NODE)
        return step_back(walk, value);
    walk->meets_input |= value->origin == OQ_ORIGIN_INPUT;
    return value->origin == OQ_ORIGIN_INPUT && value->graph->parent == NULL;
}

bool oq_site_is_fed(const onnxq_plan *plan, const struct oq_site *site)
{
    struct fed_walk walk = {.n = 0};
    const char *activation = oq_node_input(site->node, site->input == 0 ? 1 : 0);
    if (!visit(&walk, oq_graph_find(site->graph, activation)))
        return false;
    for (size_t i = 0; i < walk.n; i++)
        if (!look_at(plan, &walk, walk.values[i]))
            return false;
    return walk.meets_input;
}
