/* What an input is to operators that use its values, also behind others that hand them on. */
#include "inputs/trace_visit.h"

#include <math.h>

#include "model/type_text.h"

/* What is written behind a prompt: a sentence. Where its length is not known, it is no longer. */
#define NEW_TOKENS  16
#define LONG_PROMPT 128

/* --- operators that give a meaning to an input ------------------------------ */

/* The values are indices into an axis of that size. */
static void restrict_index(const struct oq_visit *visit, int64_t size)
{
    if (size > 0)
        oq_visit_restrict_values(visit, size - 1);
    else if (!visit->trace->is_axis) /* whatever the size will be, there is a first one */
        oq_visit_restrict_values(visit, 0);
}

static void index_any(const struct oq_visit *visit, size_t table)
{
    struct oq_shape shape;
    int64_t smallest = -1;
    if (!oq_visit_shape(visit, table, &shape))
        shape.rank = 0;
    for (int i = 0; i < shape.rank; i++) {
        if (i == 0 || shape.dims[i] < smallest)
            smallest = shape.dims[i];
    }
    restrict_index(visit, smallest);
}

/* Speech goes where text goes, as floats. */
static bool is_of_floats(const struct oq_value *value)
{
    const Oq__Pb__TensorShapeProto *shape;
    int32_t data_type;
    const struct oq_dtype *dtype =
        oq_type_tensor(value->type, &data_type, &shape) ? oq_dtype_find(data_type) : NULL;
    return dtype != NULL && dtype->is_float;
}

static void apply_range(const struct oq_visit *visit, const struct oq_range *range)
{
    int64_t axis = range->attribute != NULL
                       ? oq_node_int(visit->node, range->attribute, range->axis)
                       : range->axis;
    int64_t size;
    switch (range->kind) {
    case OQ_RANGE_INDEX:
        restrict_index(visit, oq_visit_size(visit, range->table, axis));
        break;
    case OQ_RANGE_INDEX_ANY:
        index_any(visit, range->table);
        break;
    case OQ_RANGE_CLASS:
        restrict_index(visit, oq_visit_integer(visit, range->table, &size) ? size : 4);
        break;
    case OQ_RANGE_LENGTH:
    case OQ_RANGE_LENGTHS:
        size = oq_visit_size(visit, range->table, axis);
        oq_trace_restrict(visit->trace, 1, size > 1 ? size : 1);
        break;
    case OQ_RANGE_TOKEN:
        size = oq_visit_vocabulary(visit);
        if (size > 0 && !is_of_floats(visit->state->value))
            oq_visit_restrict_values(visit, size - 1);
        break;
    case OQ_RANGE_LONGER:
        size = oq_visit_size(visit, range->table, axis);
        size = size >= 0 && size < INT32_MAX ? size : LONG_PROMPT;
        oq_trace_restrict(visit->trace, size + NEW_TOKENS, size + NEW_TOKENS);
        break;
    case OQ_RANGE_BETWEEN:
        oq_trace_restrict(visit->trace, range->low, range->high);
        break;
    }
}

/* A power of whole numbers takes any base; what is unknown is taken for a fraction. */
static bool is_whole_power(const struct oq_visit *visit)
{
    double exponent;
    return visit->id == OQ_ONNX_Pow && oq_visit_number(visit, 1, &exponent) && exponent > 0 &&
           exponent == floor(exponent);
}

static bool wants_positive(const struct oq_visit *visit, enum oq_role role)
{
    if (role == OQ_DIVISOR)
        return true;
    return visit->input == 0 && oq_operator_has(&oq_operators[visit->id], OQ_POSITIVE) &&
           !is_whole_power(visit);
}

/* What the input is to its operator. */
static void apply_role(const struct oq_visit *visit, enum oq_role role)
{
    struct oq_demand *demand = visit->trace->demand;
    bool is_input = visit->state->value->origin == OQ_ORIGIN_INPUT;
    demand->is_mask |= role == OQ_MASK;
    demand->is_divisor |= role == OQ_DIVISOR;
    demand->is_positive |= !visit->state->is_computed && wants_positive(visit, role);
    demand->is_shape |= is_input && visit->input == 1 && visit->id == OQ_ONNX_Reshape;
    if (role == OQ_AXES) {
        demand->is_axes |= is_input;
        oq_trace_restrict(visit->trace, 0, 0);
    }
}

/* --- operators that hand the values on --------------------------------------- */

static void note_constant(const struct oq_visit *visit)
{
    struct oq_demand *demand = visit->trace->demand;
    int64_t value;
    if (demand->has_constant || visit->id != OQ_ONNX_Equal ||
        !oq_visit_integer(visit, 1 - visit->input, &value) || visit->state->scale != 1 ||
        __builtin_sub_overflow(value, visit->state->offset, &value))
        return;
    demand->has_constant = true;
    demand->constant = value;
}

/* Times a positive number, or that added, what is positive is, and covers as many decades. */
static bool stays_positive(const struct oq_visit *visit)
{
    double number;
    return (visit->id == OQ_ONNX_Add || visit->id == OQ_ONNX_Mul) &&
           oq_visit_number(visit, 1 - visit->input, &number) && number > 0;
}

/* Add, Sub, Mul, Div of something: what a constant does to the values is followed. */
static void compute(const struct oq_visit *visit)
{
    struct oq_trace_state state = *visit->state;
    int64_t value = 0;
    bool is_add = visit->id == OQ_ONNX_Add, is_mul = visit->id == OQ_ONNX_Mul;
    bool is_sub = visit->id == OQ_ONNX_Sub;
    if (visit->input > 1)
        return;
    bool known = oq_visit_integer(visit, 1 - visit->input, &value);
    visit->trace->demand->is_mask |= !known && (is_mul || is_sub);
    if (!is_add && !is_mul && visit->input == 1)
        return;
    bool fits = true;
    if (known && is_add)
        fits = !__builtin_add_overflow(state.offset, value, &state.offset);
    else if (known && is_sub)
        fits = !__builtin_sub_overflow(state.offset, value, &state.offset);
    else if (known && is_mul)
        fits = value > 0 && !__builtin_mul_overflow(state.scale, value, &state.scale) &&
               !__builtin_mul_overflow(state.offset, value, &state.offset);
    state.is_computed |= !stays_positive(visit);
    if (fits)
        oq_visit_push(visit, state);
}

/* Input number k of the node is input number k of a body. */
static void enter_body(const struct oq_visit *visit, const char *name)
{
    const struct oq_graph *body = oq_visit_body(visit, name);
    if (body != NULL && visit->input < body->proto->n_input)
        oq_trace_push(visit->trace, body, body->proto->input[visit->input]->name, *visit->state);
}

static bool casts_to_float(const struct oq_visit *visit)
{
    const struct oq_dtype *dtype = oq_dtype_find((int32_t)oq_node_int(visit->node, "to", 0));
    return visit->id == OQ_ONNX_Cast && dtype != NULL && dtype->is_float;
}

static void move(const struct oq_visit *visit)
{
    visit->trace->demand->is_mask |= casts_to_float(visit);
    oq_visit_push(visit, *visit->state);
}

/* The last element of 0, 1, ... is one less than where it ends. */
static void enumerate(const struct oq_visit *visit)
{
    struct oq_trace_state state = *visit->state;
    if (!__builtin_sub_overflow(state.offset, (int64_t)1, &state.offset))
        oq_visit_push(visit, state);
}

/* A size at which a constant is cut: it has to be that long. */
static void cut(const struct oq_visit *visit)
{
    int64_t axis = 0;
    if (oq_node_input(visit->node, 3)[0] != '\0' && !oq_visit_integer(visit, 3, &axis))
        return;
    int64_t size = oq_visit_size(visit, 0, axis);
    if (size > 0)
        oq_visit_restrict_values(visit, size);
}

static void split(const struct oq_visit *visit)
{
    oq_trace_charge(visit->trace, visit->node->n_output);
    for (size_t i = 0; i < visit->node->n_output; i++)
        oq_trace_push(visit->trace, visit->graph, visit->node->output[i], *visit->state);
}

/* Some or all of its elements, wherever they go, or whole numbers that stay what they are. */
static bool is_moved(const struct oq_visit *visit, enum oq_role role)
{
    return role == OQ_PASSED || role == OQ_CHOSEN ||
           (visit->input == 0 && oq_operator_has(&oq_operators[visit->id], OQ_KEEPS_WHOLE));
}

static void follow_values(const struct oq_visit *visit, enum oq_role role)
{
    switch (visit->id) {
    case OQ_ONNX_Add:
    case OQ_ONNX_Div:
    case OQ_ONNX_Mul:
    case OQ_ONNX_Sub:
        compute(visit);
        break;
    case OQ_ONNX_Loop:
    case OQ_ONNX_Scan:
        enter_body(visit, "body");
        break;
    case OQ_MS_BeamSearch:
    case OQ_MS_GreedySearch:
    case OQ_MS_Sampling:
        if (visit->input == 0)
            enter_body(visit, oq_node_attribute(visit->node, "encoder") ? "encoder" : "decoder");
        break;
    case OQ_ONNX_Range:
        if (visit->input == 1)
            enumerate(visit);
        break;
    case OQ_ONNX_Split:
        if (visit->input == 0)
            split(visit);
        break;
    default:
        if (is_moved(visit, role))
            move(visit);
    }
}

void oq_visit_values(const struct oq_visit *visit)
{
    const struct oq_range *range = oq_operator_range(visit->id, visit->input);
    enum oq_role role = oq_operator_role(&oq_operators[visit->id], visit->input);
    struct oq_demand *demand = visit->trace->demand;
    bool is_axis = visit->trace->is_axis;
    demand->is_time |= is_axis && visit->id == OQ_ONNX_Loop && visit->input == 0;
    if (is_axis && visit->input == 2 && visit->id == OQ_ONNX_Slice)
        cut(visit);
    else if (range != NULL && (!is_axis || range->kind == OQ_RANGE_INDEX))
        apply_range(visit, range);
    if (!is_axis)
        apply_role(visit, role);
    if (oq_operator_has(&oq_operators[visit->id], OQ_COMPARES)) {
        demand->is_mask = true;
        note_constant(visit);
    }
    demand->is_mask |= visit->input == 0 && visit->id == OQ_ONNX_Where;
    follow_values(visit, role);
}
