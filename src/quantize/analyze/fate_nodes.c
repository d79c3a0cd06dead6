/*
 * What nodes make of what is said of their outputs: what each input is to a node, and which marks
 * of an output are marks of an input.
 */
#include <math.h>

#include "quantize/analyze/fate_marks.h"

/* --- what inputs are --- */

const struct oq_operator *oq_fate_operator(const struct oq_fates *fates,
                                           const Oq__Pb__NodeProto *node)
{
    enum oq_operator_id id = oq_operator_id_of(node);
    return &oq_operators[fates->is_local[id] ? OQ_UNKNOWN_OPERATOR : id];
}

static bool casts_to_float(const Oq__Pb__NodeProto *node)
{
    const struct oq_dtype *dtype = oq_dtype_find((int32_t)oq_node_int(node, "to", 0));
    return dtype != NULL && dtype->is_float;
}

/* The higher the power, the steeper it is; more than cubes no model was seen to need. */
#define MAX_POWER 3

static bool read_scalar(const struct oq_tensor *tensor, float *value)
{
    struct oq_arena arena;
    onnxq_error ignored;
    oq_arena_init(&arena, SIZE_MAX);
    void *scratch = oq_arena_alloc(&arena, OQ_READ_SCRATCH_NBYTES);
    bool ok = scratch != NULL && oq_tensor_read_floats(tensor, 0, 1, value, scratch, &ignored);
    oq_arena_fini(&arena);
    return ok;
}

/* Of a Pow: one number that is known; false: others, or another one in each run. */
static bool read_exponent(const struct oq_fates *fates, const struct oq_graph *graph,
                          const char *name, float *exponent)
{
    const struct oq_constant *constant = oq_plan_constant(fates->plan, graph, name);
    const struct oq_tensor *tensor = constant == NULL ? NULL : constant->tensor;
    int64_t integer = 0;
    onnxq_error ignored;
    if (tensor == NULL || tensor->nelem != 1 || tensor->dtype == NULL ||
        oq_plan_is_overridable(fates->plan, constant))
        return false;
    if (tensor->dtype->is_float)
        return read_scalar(tensor, exponent);
    if (!oq_tensor_is_integer(tensor) || !oq_tensor_read_int64s(tensor, &integer, &ignored))
        return false;
    *exponent = (float)integer;
    return true;
}

/* The base, by a constant exponent: of 1, 2 or 3, rounding is no worse than that many times as
 * much.
 */
static enum oq_role role_of_power(const struct oq_fates *fates, const struct oq_graph *graph,
                                  const char *name)
{
    float exponent;
    if (!read_exponent(fates, graph, name, &exponent))
        return OQ_UNBOUNDED;
    if (exponent < 0)
        return OQ_DIVISOR;
    return exponent == 1 || exponent == 2 || exponent == MAX_POWER ? OQ_ELEMENT : OQ_UNBOUNDED;
}

bool oq_fate_is_root(const struct oq_fates *fates, const struct oq_graph *graph,
                     const Oq__Pb__NodeProto *node)
{
    float exponent;
    if (oq_node_is(node, "", "Sqrt"))
        return true;
    return oq_node_is(node, "", "Pow") &&
           (!read_exponent(fates, graph, oq_node_input(node, 1), &exponent) ||
            exponent != floorf(exponent));
}

/* Steep at the end of what it takes, behind which it gives NaN. */
bool oq_fate_ends_steeply(const Oq__Pb__NodeProto *node)
{
    return OQ_NODE_IS(node, "Log", "Acos", "Asin", "Acosh", "Atanh");
}

/* True where it is a constant of more than one number. */
static bool has_many(const struct oq_fates *fates, const struct oq_graph *graph, const char *name)
{
    const struct oq_constant *constant = oq_plan_constant(fates->plan, graph, name);
    return constant != NULL && constant->source.dtype != NULL && constant->source.nelem > 1;
}

/* Of two constants that are nearly equal, rounding leaves nothing of the difference. */
static bool is_of_constants(const struct oq_fates *fates, const struct oq_graph *graph,
                            const Oq__Pb__NodeProto *node)
{
    return has_many(fates, graph, oq_node_input(node, 0)) &&
           has_many(fates, graph, oq_node_input(node, 1));
}

/* The node that makes a value of the same graph, or NULL. */
static const Oq__Pb__NodeProto *find_maker(const struct oq_graph *graph, const char *name)
{
    const struct oq_value *value = oq_graph_find(graph, name);
    return value != NULL && value->graph == graph ? oq_value_node(value) : NULL;
}

/* A Pow to that power. */
static bool is_power(const struct oq_fates *fates, const struct oq_graph *graph,
                     const Oq__Pb__NodeProto *node, float wanted)
{
    float exponent;
    return oq_node_is(node, "", "Pow") &&
           read_exponent(fates, graph, oq_node_input(node, 1), &exponent) && exponent == wanted;
}

/* Not of wider types, which hold numbers that are zero in float32. */
static const struct oq_tensor *float_tensor(const struct oq_fates *fates,
                                            const struct oq_graph *graph, const char *name)
{
    const struct oq_constant *constant = oq_plan_constant(fates->plan, graph, name);
    const struct oq_tensor *tensor = constant == NULL ? NULL : constant->tensor;
    bool fits = tensor != NULL && tensor->dtype != NULL && tensor->dtype->is_float &&
                tensor->dtype->nbits <= 32 && tensor->n_dims <= OQ_MAX_RANK;
    return fits ? tensor : NULL;
}

/* What sums up squares below a root; *of: what is squared. NULL: nothing does. */
static const Oq__Pb__NodeProto *find_sum_of_squares(const struct oq_fates *fates,
                                                    const struct oq_graph *graph,
                                                    const Oq__Pb__NodeProto *root, const char **of)
{
    const bool is_root = oq_node_is(root, "", "Sqrt") || is_power(fates, graph, root, 0.5F);
    const Oq__Pb__NodeProto *sum = is_root ? find_maker(graph, oq_node_input(root, 0)) : NULL;
    if (sum == NULL || !OQ_NODE_IS(sum, "ReduceSum", "ReduceSumSquare"))
        return NULL;
    *of = oq_node_input(sum, 0);
    if (oq_node_is(sum, "", "ReduceSumSquare"))
        return sum;
    const Oq__Pb__NodeProto *square = find_maker(graph, *of);
    if (square == NULL || !oq_node_is_square(square) ||
        (oq_node_is(square, "", "Pow") && !is_power(fates, graph, square, 2)))
        return NULL;
    *of = oq_node_input(square, 0);
    return sum;
}

/*
 * The tensor whose norms the node gives, also by the root of a sum of squares, and where
 * magnitudes are taken first; NULL: it gives none. *sum: the node that sums up.
 */
static const struct oq_tensor *find_normed(const struct oq_fates *fates,
                                           const struct oq_graph *graph,
                                           const Oq__Pb__NodeProto *node,
                                           const Oq__Pb__NodeProto **sum, const char **name)
{
    const bool is_norm = oq_operator_role(oq_fate_operator(fates, node), 0) == OQ_NORM;
    *name = oq_node_input(node, 0);
    *sum = is_norm ? node : find_sum_of_squares(fates, graph, node, name);
    const Oq__Pb__NodeProto *magnitude = *sum == NULL ? NULL : find_maker(graph, *name);
    if (magnitude != NULL && oq_node_is(magnitude, "", "Abs"))
        *name = oq_node_input(magnitude, 0);
    return *sum == NULL ? NULL : float_tensor(fates, graph, *name);
}

enum oq_role oq_fate_role(const struct oq_fates *fates, const struct oq_graph *graph, size_t node,
                          size_t input)
{
    const Oq__Pb__NodeProto *proto = graph->proto->node[node];
    const struct oq_operator *op = oq_fate_operator(fates, proto);
    const Oq__Pb__NodeProto *sum;
    const char *normed;
    if (input == 0 && OQ_NODE_IS(proto, "Sqrt", "Pow") &&
        find_normed(fates, graph, proto, &sum, &normed) != NULL)
        return OQ_NORM;
    if (oq_operator_id(op) == OQ_ONNX_Cast && input == 0)
        return casts_to_float(proto) ? OQ_PASSED : OQ_EXACT;
    if (oq_operator_id(op) == OQ_ONNX_Pow && input == 0)
        return role_of_power(fates, graph, oq_node_input(proto, 1));
    if (oq_operator_id(op) == OQ_ONNX_Sub && is_of_constants(fates, graph, proto))
        return OQ_UNBOUNDED;
    return oq_operator_role(op, input);
}

/* --- norms --- */

/* Axes of the tensor whose norms a node gives that it does not sum up over; false: unknown. */
static bool find_axes_apart(const struct oq_fates *fates, const struct oq_graph *graph, size_t node,
                            uint32_t *apart)
{
    const Oq__Pb__NodeProto *sum;
    const char *name;
    const struct oq_tensor *tensor =
        find_normed(fates, graph, graph->proto->node[node], &sum, &name);
    int64_t axes[OQ_READ_MAX_INTEGERS];
    size_t n;
    *apart = 0;
    if (tensor == NULL || !oq_plan_read_axes(fates->plan, graph, sum, axes, &n))
        return false;
    int64_t rank = (int64_t)tensor->n_dims;
    for (int64_t i = 0; i < rank && n > 0; i++)
        if (tensor->dims[i] > 1)
            *apart |= (uint32_t)1 << i;
    for (size_t i = 0; i < n; i++) {
        int64_t axis = axes[i] < 0 ? axes[i] + rank : axes[i];
        if (axis < 0 || axis >= rank)
            return false;
        *apart &= ~((uint32_t)1 << axis);
    }
    return n > 0 || oq_node_int(sum, "noop_with_empty_axes", 0) == 0;
}

void oq_fate_note_norm(struct oq_fates *fates, const struct oq_graph *graph, size_t node,
                       const Oq__Pb__NodeProto *divides)
{
    const Oq__Pb__NodeProto *sum;
    const char *name;
    uint32_t apart;
    if (find_normed(fates, graph, graph->proto->node[node], &sum, &name) == NULL ||
        !find_axes_apart(fates, graph, node, &apart))
        return;
    struct oq_fate *fate = oq_fate_of(fates, graph, name);
    if (fate == NULL)
        return;
    fate->norm = divides;
    fate->apart |= apart;
}

/* --- what is handed on --- */

static bool is_product(const Oq__Pb__NodeProto *node)
{
    return OQ_NODE_IS(node, "Mul", "Div");
}

bool oq_node_is_square(const Oq__Pb__NodeProto *node)
{
    return oq_node_is(node, "", "Pow") ||
           (oq_node_is(node, "", "Mul") &&
            strcmp(oq_node_input(node, 0), oq_node_input(node, 1)) == 0);
}

/* Also where other factors are activations: those scale what is off along with what is right. */
static bool passes_products(enum oq_fate_mark mark)
{
    return mark == OQ_MARK_ZEROED || mark == OQ_MARK_DIVIDES || mark == OQ_MARK_CUT ||
           mark == OQ_MARK_ANGLE || mark == OQ_MARK_ROOTED || mark == OQ_MARK_SMALL;
}

/* Of a weight that is multiplied and summed up with activations, or added to them. */
static enum oq_fate_mark of_weight(enum oq_fate_mark mark)
{
    if (mark == OQ_MARK_CUT || mark == OQ_MARK_CENTERED || mark == OQ_MARK_SMALL)
        return mark;
    return mark == OQ_MARK_ANGLE ? OQ_MARK_FINE : 0;
}

static bool is_sum(const Oq__Pb__NodeProto *node)
{
    return OQ_NODE_IS(node, "Add", "Sub", "Sum");
}

/* Operators between a power and what sums it up. */
#define MAX_HANDED_ON 8

/* Of activations: a power, as of a spectrum, or the sum of two, and the root of that. */
static bool makes_power(const struct oq_graph *graph, const Oq__Pb__NodeProto *node)
{
    for (unsigned i = 0; i < MAX_HANDED_ON && node != NULL; i++) {
        if (oq_operator_role(oq_operator_of(node), 0) != OQ_PASSED && !oq_node_is(node, "", "Sqrt"))
            break;
        node = oq_value_node(oq_graph_find(graph, oq_node_input(node, 0)));
    }
    if (node == NULL || !oq_node_is(node, "", "Add"))
        return node != NULL &&
               (oq_node_is_square(node) || OQ_NODE_IS(node, "ReduceL2", "ReduceSumSquare"));
    for (size_t i = 0; i < 2; i++) {
        const Oq__Pb__NodeProto *term = oq_value_node(oq_graph_find(graph, oq_node_input(node, i)));
        if (term == NULL || !oq_node_is_square(term))
            return false;
    }
    return true;
}

/* The size of a complex number, as in a spectrum. */
bool oq_fate_is_magnitude(const struct oq_graph *graph, const Oq__Pb__NodeProto *node)
{
    if (!oq_node_is(node, "", "Sqrt"))
        return false;
    const Oq__Pb__NodeProto *sum = oq_value_node(oq_graph_find(graph, oq_node_input(node, 0)));
    return sum != NULL && oq_node_is(sum, "", "Add") && makes_power(graph, sum);
}

/* What leaves a small result small, or makes one: others are smooth, as Sigmoid is. */
static bool keeps_small(const struct oq_graph *graph, const Oq__Pb__NodeProto *node,
                        uint32_t n_variable)
{
    if (is_product(node) || oq_node_is_square(node) || OQ_NODE_IS(node, "Abs", "Neg", "Relu"))
        return true;
    return is_sum(node) && (n_variable <= 1 || makes_power(graph, node));
}

/* In a sum, something else than zero becomes zero. */
static enum oq_fate_mark behind_sum(enum oq_fate_mark mark)
{
    return mark == OQ_MARK_DIVIDES ? OQ_MARK_ZEROED : mark;
}

enum oq_fate_mark oq_fate_handed_on(const struct oq_fates *fates, const struct oq_graph *graph,
                                    size_t node, size_t input, enum oq_fate_mark mark)
{
    const char *name = graph->proto->node[node]->input[input];
    const struct oq_fate *fate = oq_fate_of(fates, graph, name);
    uint32_t n_variable = oq_fate_facts(fates, graph, node)->n_variable, ignored;
    bool is_constant = fate != NULL && fate->is_constant;
    switch (oq_fate_role(fates, graph, node, input)) {
    case OQ_PASSED:
    case OQ_CHOSEN:
        return mark == OQ_MARK_MET || mark == OQ_MARK_TERM ? 0 : mark;
    case OQ_ELEMENT: /* the others are constant */
        if (mark == OQ_MARK_SCORED)
            return is_sum(graph->proto->node[node]) || n_variable == !is_constant ? mark : 0;
        if (mark == OQ_MARK_SMALL && n_variable > 0)
            return keeps_small(graph, graph->proto->node[node], n_variable) ? mark : 0;
        if (mark == OQ_MARK_ROOTED && oq_node_is_square(graph->proto->node[node]))
            return 0; /* the root of a square is as wrong as what is squared */
        if (passes_products(mark) && is_product(graph->proto->node[node]))
            return mark;
        if (mark == OQ_MARK_CENTERED)
            return is_sum(graph->proto->node[node]) || n_variable == !is_constant ? mark : 0;
        if (is_constant && n_variable > 0) /* x - c > 0 compares x with c */
            return mark == OQ_MARK_HARMED && is_sum(graph->proto->node[node]) ? mark
                                                                              : of_weight(mark);
        return n_variable == !is_constant ? behind_sum(mark) : 0;
    case OQ_NORM: /* of a tensor: its scales decide */
        if (mark == OQ_MARK_DIVIDES && find_axes_apart(fates, graph, node, &ignored))
            return 0;
        return is_constant || mark == OQ_MARK_SMALL ? mark : 0;
    case OQ_WEIGHT:
    case OQ_BOUNDED: /* end the way of activations */
        if (n_variable == 0)
            return behind_sum(mark);
        if (mark == OQ_MARK_SMALL && n_variable == 1 && !is_constant) /* a filterbank */
            return makes_power(graph, oq_value_node(oq_graph_find(graph, name))) ? mark : 0;
        return is_constant ? of_weight(mark) : 0;
    case OQ_DIVISOR:
    case OQ_UNBOUNDED: /* of activations: steep, and cut behind that; a root of what is small */
        if (mark == OQ_MARK_CUT ||
            (mark == OQ_MARK_SMALL && oq_fate_is_root(fates, graph, graph->proto->node[node])))
            return is_constant ? 0 : mark;
        return 0;
    default:
        return 0;
    }
}
