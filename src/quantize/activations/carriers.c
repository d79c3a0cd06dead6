/*
 * The operators that ONNX Runtime computes with integers where QuantizeLinear
 * and DequantizeLinear are around them: tests/ort/test_static.py has each of them run.
 */
#include "quantize/activations/activations.h"

#include <math.h>

struct carry_row {
    enum oq_operator_id op;
    enum oq_carry carry;
    int since; /* opset from which on an engine has it for integers */
};

static const struct carry_row rows[] = {
    {OQ_ONNX_Add, OQ_CARRY_MAP, 7},          {OQ_ONNX_AveragePool, OQ_CARRY_MAP, 7},
    {OQ_ONNX_Clip, OQ_CARRY_CLAMP, 6},       {OQ_ONNX_Concat, OQ_CARRY_JOIN, 4},
    {OQ_ONNX_Conv, OQ_CARRY_PRODUCT, 1},     {OQ_ONNX_DepthToSpace, OQ_CARRY_PASS, 11},
    {OQ_ONNX_Div, OQ_CARRY_SCALE, 7},        {OQ_ONNX_Flatten, OQ_CARRY_PASS, 9},
    {OQ_ONNX_Gemm, OQ_CARRY_PRODUCT, 7},     {OQ_ONNX_GlobalAveragePool, OQ_CARRY_MAP, 1},
    {OQ_ONNX_HardSigmoid, OQ_CARRY_HARD, 7}, {OQ_ONNX_HardSwish, OQ_CARRY_HARD, 14},
    {OQ_ONNX_LeakyRelu, OQ_CARRY_MAP, 6},    {OQ_ONNX_MatMul, OQ_CARRY_PRODUCT, 1},
    {OQ_ONNX_MaxPool, OQ_CARRY_PASS, 12},    {OQ_ONNX_Mul, OQ_CARRY_MAP, 7},
    {OQ_ONNX_Relu, OQ_CARRY_CLAMP, 6},       {OQ_ONNX_Reshape, OQ_CARRY_PASS, 5},
    {OQ_ONNX_Resize, OQ_CARRY_PASS, 10},     {OQ_ONNX_Sigmoid, OQ_CARRY_MAP, 6},
    {OQ_ONNX_Slice, OQ_CARRY_PASS, 10},      {OQ_ONNX_Softmax, OQ_CARRY_MAP, 1},
    {OQ_ONNX_Squeeze, OQ_CARRY_PASS, 1},     {OQ_ONNX_Transpose, OQ_CARRY_PASS, 1},
    {OQ_ONNX_Unsqueeze, OQ_CARRY_PASS, 1},
};

const struct oq_value *oq_main_value(const onnxq_plan *plan, const char *name)
{
    return oq_graph_find(plan->model->graphs.list[0], name);
}

struct oq_carried *oq_carried_of(const onnxq_plan *plan, const struct oq_value *value)
{
    return value == NULL ? NULL : &plan->activations->values[value->ordinal];
}

struct oq_carried *oq_carried_root(const onnxq_plan *plan, const struct oq_value *value)
{
    struct oq_carried *carried = &plan->activations->values[value->ordinal];
    for (size_t steps = 0; carried->like != NULL && steps < plan->activations->n_nodes; steps++)
        carried = oq_carried_of(plan, carried->like);
    return carried;
}

size_t oq_count_operands(const Oq__Pb__NodeProto *node)
{
    switch (oq_operator_id_of(node)) {
    case OQ_ONNX_Add:
    case OQ_ONNX_Mul:
    case OQ_ONNX_Div:
    case OQ_ONNX_Concat:
        return node->n_input;
    default:
        return 1;
    }
}

static enum oq_carry find_carry(const onnxq_plan *plan, const Oq__Pb__NodeProto *node)
{
    enum oq_operator_id op = oq_operator_id_of(node);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].op == op && plan->activations->opset >= rows[i].since)
            return rows[i].carry;
    return OQ_CARRY_NONE;
}

static bool has_one_output(const Oq__Pb__NodeProto *node)
{
    for (size_t i = 1; i < node->n_output; i++)
        if (node->output[i][0] != '\0')
            return false;
    return node->n_output > 0 && node->output[0][0] != '\0';
}

static bool is_nearest(const Oq__Pb__NodeProto *node)
{
    const Oq__Pb__AttributeProto *mode = oq_node_attribute(node, "mode");
    static const char nearest[] = "nearest";
    return mode == NULL || (mode->has_s && mode->s.len == sizeof(nearest) - 1 &&
                            memcmp(mode->s.data, nearest, mode->s.len) == 0);
}

/* --- Clip --- */

/* An end that is left out, or a constant. *known: it is one of these. */
static bool find_end(onnxq_plan *plan, const Oq__Pb__NodeProto *node, const char *attribute,
                     size_t input, float *end, bool *known, onnxq_error *error)
{
    const float *values = NULL;
    const struct oq_source *source = NULL;
    const char *name = oq_node_input(node, input);
    *known = true;
    if (oq_node_attribute(node, attribute) != NULL)
        *end = oq_node_float(node, attribute, *end);
    if (name[0] == '\0')
        return true;
    if (!oq_small_constant(plan, name, &values, &source, error))
        return false;
    *known = values != NULL && source->nelem == 1;
    if (*known)
        *end = values[0];
    return true;
}

/* What lies around zero is cut off by integers as well; ends elsewhere are not. */
static bool init_clamp(onnxq_plan *plan, const Oq__Pb__NodeProto *node, struct oq_carrier *carrier,
                       onnxq_error *error)
{
    bool knows_low = true, knows_high = true;
    carrier->low = oq_node_is(node, "", "Relu") ? 0 : -INFINITY;
    carrier->high = INFINITY;
    if (oq_node_is(node, "", "Clip") &&
        (!find_end(plan, node, "min", 1, &carrier->low, &knows_low, error) ||
         !find_end(plan, node, "max", 2, &carrier->high, &knows_high, error)))
        return false;
    if (!knows_low || !knows_high || !(carrier->low <= 0 && carrier->high > 0))
        carrier->carry = OQ_CARRY_NONE;
    return true;
}

/* --- HardSigmoid and HardSwish --- */

static void init_hard(const Oq__Pb__NodeProto *node, struct oq_carrier *carrier)
{
    const bool is_swish = oq_node_is(node, "", "HardSwish");
    const float slope = is_swish ? 1.0f / 6 : oq_node_float(node, "alpha", 0.2f);
    const float offset = is_swish ? 0.5f : oq_node_float(node, "beta", 0.5f);
    carrier->factor = slope;
    carrier->shift = offset / slope;
    if (!(slope > 0) || !isnormal(carrier->shift) || !(carrier->shift > 0) || !isnormal(1 / slope))
        carrier->carry = OQ_CARRY_NONE;
}

/* --- Mul and Div by a number --- */

/*
 * Integers stand for other numbers then, and nothing is computed. What makes them comes before,
 * so that their scale is known.
 */
static bool init_scale(onnxq_plan *plan, size_t index, struct oq_carrier *carrier,
                       onnxq_error *error)
{
    const Oq__Pb__NodeProto *node = plan->model->proto->graph->node[index];
    const bool divides = oq_node_is(node, "", "Div");
    const float *values = NULL;
    const struct oq_source *source = NULL;
    size_t constant = 1;
    if (node->n_input == 2 && !divides && oq_find_small_constant(plan, node->input[1]) == NULL)
        constant = 0;
    if (node->n_input == 2 &&
        !oq_small_constant(plan, node->input[constant], &values, &source, error))
        return false;
    const struct oq_value *x =
        node->n_input == 2 ? oq_main_value(plan, node->input[1 - constant]) : NULL;
    bool fits = values != NULL && source->nelem == 1 && source->n_dims <= 1 && values[0] > 0 &&
                x != NULL && x->origin == OQ_ORIGIN_NODE && x->index < index;
    carrier->factor = !fits ? 0 : divides ? 1 / values[0] : values[0];
    if (fits && isnormal(carrier->factor)) {
        carrier->carry = OQ_CARRY_SCALE;
        carrier->input = x;
    } else if (divides) {
        carrier->carry = OQ_CARRY_NONE;
    }
    return true;
}

bool oq_carrier_init(onnxq_plan *plan, size_t index, struct oq_carrier *carrier, onnxq_error *error)
{
    const Oq__Pb__NodeProto *node = plan->model->proto->graph->node[index];
    *carrier = (struct oq_carrier){.reason = ""};
    if (node->n_input == 0 || !has_one_output(node))
        return true;
    carrier->carry = find_carry(plan, node);
    if (oq_node_is(node, "", "Resize") && !is_nearest(node))
        carrier->carry = OQ_CARRY_NONE;
    carrier->input = oq_main_value(plan, node->input[0]);
    carrier->output = oq_main_value(plan, node->output[0]);
    if (carrier->input == NULL || carrier->output == NULL)
        carrier->carry = OQ_CARRY_NONE;
    if (plan->options.qdq_standard &&
        (carrier->carry == OQ_CARRY_HARD || carrier->carry == OQ_CARRY_SCALE))
        carrier->carry = OQ_CARRY_MAP;
    bool may_scale = !plan->options.qdq_standard && OQ_NODE_IS(node, "Mul", "Div");
    if (carrier->carry != OQ_CARRY_NONE && may_scale)
        return init_scale(plan, index, carrier, error);
    if (carrier->carry == OQ_CARRY_HARD)
        init_hard(node, carrier);
    return carrier->carry != OQ_CARRY_CLAMP || init_clamp(plan, node, carrier, error);
}
