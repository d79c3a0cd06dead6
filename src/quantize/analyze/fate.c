/*
 * From the uses of values back to what they were made of. A mark says that a
 * value is used in a way that matters, directly or behind operators that hand
 * its elements on; a constant expression hands on whatever goes into it.
 */
#include "quantize/analyze/fate.h"

#include <math.h>
#include <stdlib.h>

#include "base/checked.h"

enum mark {
    HARMED = 1,          /* rounding is not harmless */
    ELEMENTWISE = 2,     /* its elements meet others one by one */
    ZEROED = 4 | HARMED, /* a zero gives infinity, also where other factors are activations */
    DIVIDES = 8,         /* the same, but harmless where rounding makes no zero of what was none */
    CUT = 16 | HARMED,   /* what is off by anything may be another integer, also behind a product */
    ANGLE = 32 | HARMED, /* or a coordinate: off by the same, a small one is as wrong as a large; */
    FINE = 64,           /* and the weight of the product that makes it wants 16 bits */
    MET = 128,           /* a constant whose elements meet those of activations one by one */
    CENTERED = 256,      /* a constant: what all of it has in common is taken off behind it */
    ROOTED = 512,        /* a root is taken of it: steep at zero, and below it is NaN */
    SMALL = 1024, /* a divisor, or a logarithm is taken of it, also as a power: of a weight, */
                  /* what its products are; it wants 16 bits */
    SCORED = 2048 /* Softmax takes it, or what asks for the largest, as a term of a sum */
};

struct oq_fate {
    const Oq__Pb__NodeProto *node; /* of HARMED and DIVIDES: where, */
    enum oq_role role;             /* and as what */
    uint16_t marks;                /* of enum mark */
    bool is_constant;
    const Oq__Pb__NodeProto *root; /* of ROOTED: where */
    const Oq__Pb__NodeProto
        *norm;       /* of a tensor: whose norms divide; the node that does, or NULL */
    uint32_t apart;  /* axes, bit by bit, that such norms do not sum up over */
    uint32_t output; /* of a node with bodies: its number */
};

struct node_facts {
    const struct oq_fate *harm; /* of an output, where it is HARMED or DIVIDES */
    uint32_t n_variable;        /* inputs that are not constant */
    uint16_t marks;             /* of all outputs; nodes with bodies have none */
};

struct oq_fates {
    const onnxq_plan *plan;
    struct oq_fate *of;             /* [values], by ordinal */
    struct node_facts *nodes;       /* of all graphs, one after another */
    size_t *first_node;             /* [graphs] */
    const struct oq_graph **bodies; /* [graphs] by node, that with most outputs first */
    bool is_local[OQ_N_OPERATORS];  /* the model has a function of that name */
};

/* --- nodes --- */

static const struct oq_operator *operator_of(const struct oq_fates *fates,
                                             const Oq__Pb__NodeProto *node)
{
    enum oq_operator_id id = oq_operator_id_of(node);
    return &oq_operators[fates->is_local[id] ? OQ_UNKNOWN_OPERATOR : id];
}

static struct node_facts *facts_of(const struct oq_fates *fates, const struct oq_graph *graph,
                                   size_t node)
{
    return &fates->nodes[fates->first_node[graph->ordinal] + node];
}

static struct oq_fate *fate_of(const struct oq_fates *fates, const struct oq_graph *graph,
                               const char *name)
{
    const struct oq_value *value = oq_graph_find(graph, name);
    return value == NULL ? NULL : &fates->of[value->ordinal];
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

/* Also a power that may be no integer. */
static bool is_root(const struct oq_fates *fates, const struct oq_graph *graph,
                    const Oq__Pb__NodeProto *node)
{
    float exponent;
    if (oq_node_is(node, "", "Sqrt"))
        return true;
    return oq_node_is(node, "", "Pow") &&
           (!read_exponent(fates, graph, oq_node_input(node, 1), &exponent) ||
            exponent != floorf(exponent));
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

/* What an input is to this node, which may depend on its attributes and other inputs. */
static enum oq_role role_of(const struct oq_fates *fates, const struct oq_graph *graph, size_t node,
                            size_t input)
{
    const Oq__Pb__NodeProto *proto = graph->proto->node[node];
    const struct oq_operator *op = operator_of(fates, proto);
    if (oq_operator_id(op) == OQ_ONNX_Cast && input == 0)
        return casts_to_float(proto) ? OQ_PASSED : OQ_EXACT;
    if (oq_operator_id(op) == OQ_ONNX_Pow && input == 0)
        return role_of_power(fates, graph, oq_node_input(proto, 1));
    if (oq_operator_id(op) == OQ_ONNX_Sub && is_of_constants(fates, graph, proto))
        return OQ_UNBOUNDED;
    return oq_operator_role(op, input);
}

/* --- norms --- */

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

/* The axes that a reduction names, as attribute or, from opset 13 or 18 on, input; false: unknown.
 */
static bool read_axes(const struct oq_fates *fates, const struct oq_graph *graph,
                      const Oq__Pb__NodeProto *node, int64_t axes[OQ_READ_MAX_INTEGERS], size_t *n)
{
    const Oq__Pb__AttributeProto *attribute = oq_node_attribute(node, "axes");
    const char *name = oq_node_input(node, 1);
    const struct oq_constant *constant = oq_plan_constant(fates->plan, graph, name);
    onnxq_error ignored;
    *n = 0;
    if (constant != NULL && constant->tensor != NULL) {
        *n = (size_t)constant->tensor->nelem;
        return constant->tensor->nelem <= OQ_READ_MAX_INTEGERS &&
               oq_tensor_is_integer(constant->tensor) &&
               oq_tensor_read_int64s(constant->tensor, axes, &ignored);
    }
    if (attribute != NULL && attribute->n_ints <= OQ_READ_MAX_INTEGERS) {
        *n = attribute->n_ints;
        for (size_t i = 0; i < *n; i++)
            axes[i] = attribute->ints[i];
    }
    return name[0] == '\0' && (attribute == NULL || *n > 0);
}

/* Axes of the tensor whose norms a node gives that it does not sum up over; false: unknown. */
static bool find_axes_apart(const struct oq_fates *fates, const struct oq_graph *graph, size_t node,
                            uint32_t *apart)
{
    const Oq__Pb__NodeProto *proto = graph->proto->node[node];
    const struct oq_tensor *tensor = float_tensor(fates, graph, oq_node_input(proto, 0));
    int64_t axes[OQ_READ_MAX_INTEGERS];
    size_t n;
    *apart = 0;
    if (tensor == NULL || !read_axes(fates, graph, proto, axes, &n))
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
    return n > 0 || oq_node_int(proto, "noop_with_empty_axes", 0) == 0;
}

static void note_norm(struct oq_fates *fates, const struct oq_graph *graph, size_t node,
                      const Oq__Pb__NodeProto *divides)
{
    struct oq_fate *fate = fate_of(fates, graph, oq_node_input(graph->proto->node[node], 0));
    uint32_t apart;
    if (fate == NULL || !find_axes_apart(fates, graph, node, &apart))
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
static bool passes_products(enum mark mark)
{
    return mark == ZEROED || mark == DIVIDES || mark == CUT || mark == ANGLE || mark == ROOTED ||
           mark == SMALL;
}

/* Of a weight that is multiplied and summed up with activations, or added to them. */
static enum mark of_weight(enum mark mark)
{
    if (mark == CUT || mark == CENTERED || mark == SMALL)
        return mark;
    return mark == ANGLE ? FINE : 0;
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

/* What leaves a small result small, or makes one: others are smooth, as Sigmoid is. */
static bool keeps_small(const struct oq_graph *graph, const Oq__Pb__NodeProto *node,
                        uint32_t n_variable)
{
    if (is_product(node) || oq_node_is_square(node) || OQ_NODE_IS(node, "Abs", "Neg", "Relu"))
        return true;
    return is_sum(node) && (n_variable <= 1 || makes_power(graph, node));
}

/* In a sum, something else than zero becomes zero. */
static enum mark behind_sum(enum mark mark)
{
    return mark == DIVIDES ? ZEROED : mark;
}

/* What a mark of the output of a node without bodies is for an input; 0: nothing. */
static enum mark handed_on(const struct oq_fates *fates, const struct oq_graph *graph, size_t node,
                           size_t input, enum mark mark)
{
    const char *name = graph->proto->node[node]->input[input];
    const struct oq_fate *fate = fate_of(fates, graph, name);
    uint32_t n_variable = facts_of(fates, graph, node)->n_variable, ignored;
    bool is_constant = fate != NULL && fate->is_constant;
    switch (role_of(fates, graph, node, input)) {
    case OQ_PASSED:
    case OQ_CHOSEN:
        return mark == MET ? 0 : mark;
    case OQ_ELEMENT: /* the others are constant */
        if (mark == SCORED)
            return is_sum(graph->proto->node[node]) || n_variable == !is_constant ? mark : 0;
        if (mark == SMALL && n_variable > 0)
            return keeps_small(graph, graph->proto->node[node], n_variable) ? mark : 0;
        if (mark == ROOTED && oq_node_is_square(graph->proto->node[node]))
            return 0; /* the root of a square is as wrong as what is squared */
        if (passes_products(mark) && is_product(graph->proto->node[node]))
            return mark;
        if (mark == CENTERED)
            return is_sum(graph->proto->node[node]) || n_variable == !is_constant ? mark : 0;
        if (is_constant && n_variable > 0) /* x - c > 0 compares x with c */
            return mark == HARMED && is_sum(graph->proto->node[node]) ? mark : of_weight(mark);
        return n_variable == !is_constant ? behind_sum(mark) : 0;
    case OQ_NORM: /* of a tensor: its scales decide */
        if (mark == DIVIDES && find_axes_apart(fates, graph, node, &ignored))
            return 0;
        return is_constant || mark == SMALL ? mark : 0;
    case OQ_WEIGHT:
    case OQ_BOUNDED: /* end the way of activations */
        if (n_variable == 0)
            return behind_sum(mark);
        if (mark == SMALL && n_variable == 1 && !is_constant) /* a filterbank */
            return makes_power(graph, oq_value_node(oq_graph_find(graph, name))) ? mark : 0;
        return is_constant ? of_weight(mark) : 0;
    case OQ_DIVISOR:
    case OQ_UNBOUNDED: /* of activations: steep, and cut behind that; a root of what is small */
        if (mark == CUT || (mark == SMALL && is_root(fates, graph, graph->proto->node[node])))
            return is_constant ? 0 : mark;
        return 0;
    default:
        return 0;
    }
}

/* --- bodies --- */

static bool has_bodies(const Oq__Pb__NodeProto *node)
{
    return oq_operator_has(oq_operator_of(node), OQ_HAS_BODIES);
}

static int compare_owners(const struct oq_graph *body, const struct oq_graph *graph, size_t node)
{
    if (body->parent == NULL) /* the main graph comes first, and is no body */
        return -1;
    int order = oq_compare_u64(body->parent->ordinal, graph->ordinal);
    return order != 0 ? order : oq_compare_u64(body->node, node);
}

static int compare_bodies(const void *left, const void *right)
{
    const struct oq_graph *a = *(const struct oq_graph *const *)left;
    const struct oq_graph *b = *(const struct oq_graph *const *)right;
    int order = b->parent == NULL ? a->parent != NULL : compare_owners(a, b->parent, b->node);
    if (order == 0)
        order = oq_compare_u64(b->proto->n_output, a->proto->n_output);
    return order != 0 ? order : oq_compare_u64(a->ordinal, b->ordinal);
}

/* Of one node, those without an output of that number come last: nobody looks at them. */
static void sort_bodies(struct oq_fates *fates)
{
    const struct oq_graphs *graphs = &fates->plan->model->graphs;
    for (size_t g = 0; g < graphs->count; g++)
        fates->bodies[g] = graphs->list[g];
    qsort(fates->bodies, graphs->count, sizeof(*fates->bodies), compare_bodies);
}

/* Number of the first body of that node. */
static size_t find_body(const struct oq_fates *fates, const struct oq_graph *graph, size_t node)
{
    size_t low = 1, high = fates->plan->model->graphs.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_owners(fates->bodies[middle], graph, node) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Body number `number` where it is one of that node with that output, else NULL. */
static const struct oq_graph *body_of(const struct oq_fates *fates, size_t number,
                                      const struct oq_graph *graph, size_t node, size_t output)
{
    if (number >= fates->plan->model->graphs.count)
        return NULL;
    const struct oq_graph *body = fates->bodies[number];
    bool fits = compare_owners(body, graph, node) == 0 && output < body->proto->n_output;
    return fits ? body : NULL;
}

/* A Scan before opset 9 has an input more than its body, the lengths of sequences. */
static size_t count_own_inputs(const Oq__Pb__NodeProto *node, const struct oq_graph *body)
{
    size_t n = node->n_input, n_body = body->proto->n_input;
    return oq_node_is(node, "", "Scan") && n > n_body ? n - n_body : 0;
}

/* Number of the body's output that comes back as that input of it, or SIZE_MAX. */
static size_t carried_output(const Oq__Pb__NodeProto *node, const struct oq_graph *body,
                             size_t input)
{
    int64_t n_scanned = oq_node_int(node, "num_scan_inputs", 0);
    if (oq_node_is(node, "", "Loop"))
        return input >= 1 ? input - 1 : SIZE_MAX;
    bool is_state = oq_node_is(node, "", "Scan") && n_scanned >= 0 &&
                    input + (size_t)n_scanned < body->proto->n_input;
    return is_state ? input : SIZE_MAX;
}

/* --- constants --- */

struct queue {
    struct oq_arena *arena;
    struct step {
        const struct oq_value *value;
        enum mark mark;
    } * steps;
    size_t count, capacity;
};

static void push(struct queue *queue, const struct oq_value *value, enum mark mark)
{
    if (oq_arena_grow(queue->arena, &queue->steps, queue->count, &queue->capacity,
                      sizeof(*queue->steps)))
        queue->steps[queue->count++] = (struct step){value, mark};
}

static void push_constant(struct oq_fates *fates, struct queue *queue, const struct oq_graph *graph,
                          const char *name)
{
    const struct oq_value *value = oq_graph_find(graph, name);
    if (value == NULL || value->graph != graph || fates->of[value->ordinal].is_constant)
        return;
    fates->of[value->ordinal].is_constant = true;
    push(queue, value, 0);
}

static void push_outputs(struct oq_fates *fates, struct queue *queue, const struct oq_graph *graph,
                         const Oq__Pb__NodeProto *node)
{
    for (size_t i = 0; i < node->n_output; i++)
        push_constant(fates, queue, graph, node->output[i]);
}

/* Of nodes with bodies, where it cannot be seen from the value. */
static void number_outputs(struct oq_fates *fates, const struct oq_graph *graph, size_t node)
{
    const Oq__Pb__NodeProto *proto = graph->proto->node[node];
    for (size_t i = 0; has_bodies(proto) && i < proto->n_output; i++) {
        struct oq_fate *fate = fate_of(fates, graph, proto->output[i]);
        if (fate != NULL)
            fate->output = (uint32_t)i;
    }
}

static void begin_constants(struct oq_fates *fates, struct queue *queue,
                            const struct oq_graph *graph)
{
    for (size_t i = 0; i < graph->proto->n_initializer; i++)
        push_constant(fates, queue, graph, graph->proto->initializer[i]->name);
    for (size_t i = 0; i < graph->proto->n_node; i++) {
        const Oq__Pb__NodeProto *node = graph->proto->node[i];
        for (size_t k = 0; k < node->n_input; k++)
            facts_of(fates, graph, i)->n_variable += node->input[k][0] != '\0';
        if (oq_node_is(node, "", "Constant"))
            push_outputs(fates, queue, graph, node);
        number_outputs(fates, graph, i);
    }
}

/* What is computed of constants alone is constant. */
static void spread_constants(struct oq_fates *fates, struct queue *queue)
{
    for (size_t i = 0; i < queue->count; i++)
        for (const struct oq_use *use = queue->steps[i].value->uses; use != NULL; use = use->next) {
            if (use->node == OQ_NO_NODE)
                continue;
            const Oq__Pb__NodeProto *node = use->graph->proto->node[use->node];
            if (--facts_of(fates, use->graph, use->node)->n_variable == 0 && !has_bodies(node))
                push_outputs(fates, queue, use->graph, node);
        }
    queue->count = 0;
}

/* --- marks --- */

static bool is_harmed(unsigned marks)
{
    return (marks & (HARMED | DIVIDES)) != 0;
}

static void mark(struct oq_fates *fates, struct queue *queue, const struct oq_graph *graph,
                 const char *name, enum mark mark, const struct oq_fate *cause)
{
    const struct oq_value *value = oq_graph_find(graph, name);
    if (value == NULL || (fates->of[value->ordinal].marks & mark) == mark)
        return;
    struct oq_fate *fate = &fates->of[value->ordinal];
    if (!is_harmed(fate->marks) && is_harmed(mark)) {
        fate->node = cause->node;
        fate->role = cause->role;
    }
    if (mark == ROOTED)
        fate->root = cause->root;
    fate->marks |= (uint16_t)mark;
    push(queue, value, mark);
}

static enum mark mark_of(enum oq_role role)
{
    if (role == OQ_DIVISOR)
        return DIVIDES;
    if (role == OQ_UNBOUNDED)
        return ZEROED;
    if (role == OQ_ANGLE || role == OQ_COORDINATE)
        return ANGLE;
    if (role == OQ_EXACT || role == OQ_BITS)
        return CUT;
    if (oq_role_refuses(role) != NULL)
        return HARMED;
    return role == OQ_ELEMENT || role == OQ_CHOSEN ? ELEMENTWISE : 0;
}

/* Marks what the node uses in that way. */
static void mark_uses(struct oq_fates *fates, struct queue *queue, const struct oq_graph *graph,
                      size_t node, enum mark wanted)
{
    const Oq__Pb__NodeProto *proto = graph->proto->node[node];
    for (size_t i = 0; i < proto->n_input; i++) {
        struct oq_fate cause = {.node = proto, .role = role_of(fates, graph, node, i)};
        if (mark_of(cause.role) == wanted)
            mark(fates, queue, graph, proto->input[i], wanted, &cause);
    }
}

static void mark_roots(struct oq_fates *fates, struct queue *queue, const struct oq_graph *graph,
                       size_t node)
{
    const Oq__Pb__NodeProto *proto = graph->proto->node[node];
    struct oq_fate cause = {.root = proto};
    if (proto->n_input > 0 && is_root(fates, graph, proto))
        mark(fates, queue, graph, proto->input[0], ROOTED, &cause);
}

/* Steep at the end of what it takes, behind which it gives NaN. */
static bool ends_steeply(const Oq__Pb__NodeProto *node)
{
    return OQ_NODE_IS(node, "Log", "Acos", "Asin", "Acosh", "Atanh");
}

static void mark_small(struct oq_fates *fates, struct queue *queue, const struct oq_graph *graph,
                       size_t node)
{
    const Oq__Pb__NodeProto *proto = graph->proto->node[node];
    for (size_t i = 0; i < proto->n_input; i++)
        if (ends_steeply(proto) || role_of(fates, graph, node, i) == OQ_DIVISOR)
            mark(fates, queue, graph, proto->input[i], SMALL, NULL);
}

/* The body of a Loop or a Scan, whose results come back a turn later. */
static bool is_repeated(const struct oq_graph *graph)
{
    if (graph->parent == NULL)
        return false;
    const Oq__Pb__NodeProto *node = graph->parent->proto->node[graph->node];
    return OQ_NODE_IS(node, "Loop", "Scan");
}

/* What goes into a body as an input of it, a step at a time; NULL: no such. */
static const struct oq_value *find_outside(const struct oq_value *value)
{
    if (value->origin != OQ_ORIGIN_INPUT || !is_repeated(value->graph))
        return NULL;
    const struct oq_graph *parent = value->graph->parent;
    const Oq__Pb__NodeProto *node = parent->proto->node[value->graph->node];
    return oq_graph_find(parent,
                         oq_node_input(node, value->index + count_own_inputs(node, value->graph)));
}

/*
 * The constant whose elements the value holds, as they are: a table of distances that is cut to
 * the length of a sentence, as a shape says that is known late. Not what is looked up by index, as
 * embeddings are, but where that is a factor in a body, as of a state that decays. NULL: none.
 */
static const struct oq_value *find_held(const struct oq_fates *fates, const struct oq_value *value,
                                        bool is_factor)
{
    for (unsigned step = 0; step < MAX_HANDED_ON && value != NULL; step++) {
        if (fates->of[value->ordinal].is_constant)
            return value;
        if (find_outside(value) != NULL) {
            value = find_outside(value);
            continue;
        }
        const Oq__Pb__NodeProto *node = oq_value_node(value);
        if (node == NULL || node->n_input == 0 ||
            role_of(fates, value->graph, value->index, 0) != OQ_PASSED)
            return NULL;
        for (size_t i = 1; i < node->n_input; i++) {
            enum oq_role role = role_of(fates, value->graph, value->index, i);
            if (role != OQ_SETTING && role != OQ_AXES && !(is_factor && role == OQ_INDEX))
                return NULL;
        }
        value = oq_graph_find(value->graph, node->input[0]);
    }
    return NULL;
}

/* Marks the constants that it combines with activations; what they were made of has the same. */
static void mark_met(struct oq_fates *fates, struct queue *queue, const struct oq_graph *graph,
                     size_t node)
{
    const Oq__Pb__NodeProto *proto = graph->proto->node[node];
    bool combines = proto->n_input > 1 && facts_of(fates, graph, node)->n_variable > 0;
    bool is_factor = is_product(proto) && is_repeated(graph);
    for (size_t i = 0; combines && i < proto->n_input; i++) {
        enum oq_role role = role_of(fates, graph, node, i);
        if (role != OQ_ELEMENT && role != OQ_CHOSEN)
            continue;
        const struct oq_value *held =
            find_held(fates, oq_graph_find(graph, proto->input[i]), is_factor);
        if (held != NULL)
            mark(fates, queue, held->graph, held->name, MET, NULL);
    }
}

/* Fused: what is added to scores is an input of its own. */
static bool is_attention(const Oq__Pb__NodeProto *node)
{
    return node->op_type != NULL && strstr(node->op_type, "Attention") != NULL;
}

/* The largest of them decide. */
static bool takes_scores(const Oq__Pb__NodeProto *node)
{
    return OQ_NODE_IS(node, "Softmax", "LogSoftmax", "ReduceLogSumExp", "Hardmax", "ArgMax",
                      "TopK");
}

static void mark_scores(struct oq_fates *fates, struct queue *queue, const struct oq_graph *graph,
                        size_t node)
{
    const Oq__Pb__NodeProto *proto = graph->proto->node[node];
    if (takes_scores(proto))
        mark(fates, queue, graph, oq_node_input(proto, 0), SCORED, NULL);
    for (size_t i = 0; is_attention(proto) && i < proto->n_input; i++)
        if (role_of(fates, graph, node, i) == OQ_ELEMENT)
            mark(fates, queue, graph, proto->input[i], SCORED, NULL);
}

/* x - ReduceMean(x) */
static bool takes_mean_off(const struct oq_graph *graph, const Oq__Pb__NodeProto *node)
{
    const Oq__Pb__NodeProto *mean = oq_value_node(oq_graph_find(graph, oq_node_input(node, 1)));
    return oq_node_is(node, "", "Sub") && mean != NULL && oq_node_is(mean, "", "ReduceMean") &&
           strcmp(oq_node_input(mean, 0), oq_node_input(node, 0)) == 0;
}

/* From a constant: its mean, or what it is around, may be just that. */
static bool subtracts_constants(const struct oq_fates *fates, const struct oq_graph *graph,
                                size_t node)
{
    const Oq__Pb__NodeProto *proto = graph->proto->node[node];
    return oq_node_is(proto, "", "Sub") && facts_of(fates, graph, node)->n_variable == 0;
}

static void mark_centered(struct oq_fates *fates, struct queue *queue, const struct oq_graph *graph,
                          size_t node)
{
    const Oq__Pb__NodeProto *proto = graph->proto->node[node];
    bool all = oq_operator_has(operator_of(fates, proto), OQ_CENTERS) ||
               subtracts_constants(fates, graph, node);
    size_t n = all ? proto->n_input : takes_mean_off(graph, proto) ? 1 : 0;
    for (size_t i = 0; i < n; i++)
        mark(fates, queue, graph, proto->input[i], CENTERED, NULL);
}

static void mark_body_output(struct oq_fates *fates, struct queue *queue,
                             const struct oq_graph *body, size_t output, const struct step *step)
{
    if (output < body->proto->n_output)
        mark(fates, queue, body, body->proto->output[output]->name, step->mark,
             &fates->of[step->value->ordinal]);
}

/* Back into the bodies of the node that makes a value. */
static void enter_bodies(struct oq_fates *fates, struct queue *queue, const struct step *step)
{
    const struct oq_graph *graph = step->value->graph, *body;
    const Oq__Pb__NodeProto *node = graph->proto->node[step->value->index];
    const struct oq_fate *fate = &fates->of[step->value->ordinal];
    bool is_loop = oq_node_is(node, "", "Loop");
    size_t number = find_body(fates, graph, step->value->index);
    size_t output = fate->output + (is_loop ? 1u : 0u);
    for (; (body = body_of(fates, number, graph, step->value->index, output)) != NULL; number++)
        mark_body_output(fates, queue, body, output, step);
    if (is_loop && fate->output + 2u < node->n_input) /* which may run no times */
        mark(fates, queue, graph, node->input[fate->output + 2u], step->mark, fate);
}

/* From the input of a body to the node's own, and to what it was a turn before. */
static void leave_body(struct oq_fates *fates, struct queue *queue, const struct step *step)
{
    const struct oq_graph *body = step->value->graph;
    const Oq__Pb__NodeProto *node = body->parent->proto->node[body->node];
    size_t input = step->value->index, own = input + count_own_inputs(node, body);
    if (own < node->n_input)
        mark(fates, queue, body->parent, node->input[own], step->mark,
             &fates->of[step->value->ordinal]);
    mark_body_output(fates, queue, body, carried_output(node, body, input), step);
}

static void trace_back(struct oq_fates *fates, struct queue *queue, const struct step *step)
{
    const struct oq_graph *graph = step->value->graph;
    size_t index = step->value->index;
    const Oq__Pb__NodeProto *node = graph->proto->node[index];
    struct node_facts *facts = facts_of(fates, graph, index);
    const struct oq_fate *fate = &fates->of[step->value->ordinal];
    if ((facts->marks & step->mark) == step->mark)
        return;
    if (!is_harmed(facts->marks) && is_harmed(step->mark))
        facts->harm = fate;
    facts->marks |= (uint16_t)step->mark;
    if (step->mark == DIVIDES && node->n_input > 0 && role_of(fates, graph, index, 0) == OQ_NORM)
        note_norm(fates, graph, index, fate->node);
    for (size_t i = 0; i < node->n_input; i++) {
        enum mark handed = handed_on(fates, graph, index, i, step->mark);
        if (handed != 0)
            mark(fates, queue, graph, node->input[i], handed, fate);
    }
}

static void spread_marks(struct oq_fates *fates, struct queue *queue, enum mark wanted)
{
    const struct oq_graphs *graphs = &fates->plan->model->graphs;
    queue->count = 0;
    for (size_t g = 0; g < graphs->count; g++)
        for (size_t i = 0; i < graphs->list[g]->proto->n_node; i++)
            if (wanted == MET)
                mark_met(fates, queue, graphs->list[g], i);
            else if (wanted == CENTERED)
                mark_centered(fates, queue, graphs->list[g], i);
            else if (wanted == ROOTED)
                mark_roots(fates, queue, graphs->list[g], i);
            else if (wanted == SCORED)
                mark_scores(fates, queue, graphs->list[g], i);
            else if (wanted == SMALL)
                mark_small(fates, queue, graphs->list[g], i);
            else
                mark_uses(fates, queue, graphs->list[g], i, wanted);
    for (size_t i = 0; i < queue->count; i++) {
        struct step step = queue->steps[i]; /* the queue moves when it grows */
        const struct oq_value *value = step.value;
        bool is_made = value->origin == OQ_ORIGIN_NODE;
        if (is_made && has_bodies(value->graph->proto->node[value->index]))
            enter_bodies(fates, queue, &step);
        else if (is_made)
            trace_back(fates, queue, &step);
        else if (value->origin == OQ_ORIGIN_INPUT && value->graph->parent != NULL)
            leave_body(fates, queue, &step);
    }
}

/* --- all of a model --- */

static bool allocate(struct oq_fates *fates, struct oq_arena *arena)
{
    const struct oq_graphs *graphs = &fates->plan->model->graphs;
    size_t n_nodes = 0;
    fates->first_node = oq_arena_array(arena, graphs->count, sizeof(*fates->first_node));
    for (size_t g = 0; fates->first_node != NULL && g < graphs->count; g++) {
        fates->first_node[g] = n_nodes;
        n_nodes += graphs->list[g]->proto->n_node;
    }
    fates->nodes = oq_arena_array(arena, n_nodes + 1, sizeof(*fates->nodes));
    fates->of = oq_arena_array(arena, graphs->n_values + 1, sizeof(*fates->of));
    fates->bodies = oq_arena_array(arena, graphs->count, sizeof(*fates->bodies));
    return fates->first_node != NULL && fates->nodes != NULL && fates->of != NULL &&
           fates->bodies != NULL;
}

bool oq_fates_find(onnxq_plan *plan, onnxq_error *error)
{
    const struct oq_graphs *graphs = &plan->model->graphs;
    struct oq_fates *fates = oq_arena_alloc(&plan->arena, sizeof(*fates));
    struct oq_arena scratch;
    struct queue queue = {.arena = &scratch};
    if (fates == NULL)
        return oq_arena_fail(&plan->arena, error);
    fates->plan = plan;
    if (!allocate(fates, &plan->arena))
        return oq_arena_fail(&plan->arena, error);
    plan->fates = fates;
    sort_bodies(fates);
    oq_operators_note_functions(plan->model->proto, fates->is_local);
    oq_arena_init(&scratch, plan->arena.budget);
    for (size_t g = 0; g < graphs->count; g++)
        begin_constants(fates, &queue, graphs->list[g]);
    spread_constants(fates, &queue);
    /* The first harm is the one that is told: of a product, that which says most of it. */
    spread_marks(fates, &queue, ANGLE);
    spread_marks(fates, &queue, CUT);
    spread_marks(fates, &queue, ZEROED);
    spread_marks(fates, &queue, DIVIDES);
    spread_marks(fates, &queue, HARMED);
    spread_marks(fates, &queue, ELEMENTWISE);
    spread_marks(fates, &queue, MET);
    spread_marks(fates, &queue, CENTERED);
    spread_marks(fates, &queue, ROOTED);
    spread_marks(fates, &queue, SMALL);
    spread_marks(fates, &queue, SCORED);
    bool ok = !scratch.failed || oq_arena_fail(&scratch, error);
    oq_arena_fini(&scratch);
    return ok;
}

/* --- what is asked --- */

/* The harm to what the site's node makes of the constant; NULL: none. Bodies tell the worst. */
static const struct oq_fate *find_harm(const struct oq_fates *fates, const struct oq_site *site)
{
    const struct oq_fate *fate = &fates->of[site->constant->value->ordinal];
    if (has_bodies(site->node))
        return fate->node != NULL ? fate : NULL;
    const struct node_facts *facts = facts_of(fates, site->graph, site->node_index);
    static const enum mark harms[] = {ANGLE, CUT, ZEROED, DIVIDES, HARMED};
    for (size_t i = 0; i < sizeof(harms) / sizeof(harms[0]); i++)
        if ((facts->marks & harms[i]) == harms[i] &&
            is_harmed(handed_on(fates, site->graph, site->node_index, site->input, harms[i])))
            return facts->harm;
    return NULL;
}

static const char *describe_harm(onnxq_plan *plan, enum oq_role role, const Oq__Pb__NodeProto *node)
{
    return oq_arena_printf(&plan->arena, "%s, in %s", oq_role_refuses(role),
                           node->op_type == NULL ? "" : node->op_type);
}

const char *oq_fate_refuses(onnxq_plan *plan, const struct oq_site *site)
{
    const char *words =
        oq_role_refuses(role_of(plan->fates, site->graph, site->node_index, site->input));
    const struct oq_fate *harm = words == NULL ? find_harm(plan->fates, site) : NULL;
    return harm == NULL ? words : describe_harm(plan, harm->role, harm->node);
}

/* Something divides by a value that a product makes, or takes the logarithm of it or the like. */
static bool is_divisor(const struct oq_fate *fate)
{
    return (fate->marks & ((ZEROED & ~HARMED) | DIVIDES)) != 0 &&
           (fate->role == OQ_DIVISOR || ends_steeply(fate->node));
}

const char *oq_fate_refuses_integers(onnxq_plan *plan, const struct oq_site *site)
{
    for (size_t i = 0; i < site->node->n_output; i++) {
        const struct oq_fate *fate = fate_of(plan->fates, site->graph, site->node->output[i]);
        bool is_angle = fate != NULL && (fate->marks & ANGLE) == ANGLE;
        if (fate == NULL || (!is_angle && !is_divisor(fate) && fate->root == NULL))
            continue;
        const Oq__Pb__NodeProto *node = is_angle || is_divisor(fate) ? fate->node : fate->root;
        return oq_arena_printf(&plan->arena, "%s, in %s \"%s\"",
                               !is_angle                     ? "small results matter"
                               : fate->role == OQ_COORDINATE ? "its results are coordinates"
                                                             : "its result is an angle",
                               node->op_type, oq_node_label(node));
    }
    return NULL;
}

static const struct oq_fate *fate_of_constant(const onnxq_plan *plan,
                                              const struct oq_constant *constant)
{
    return constant->value == NULL ? NULL : &plan->fates->of[constant->value->ordinal];
}

int oq_fate_channel_axis(const onnxq_plan *plan, const struct oq_constant *constant)
{
    const struct oq_fate *fate = fate_of_constant(plan, constant);
    bool is_one = fate != NULL && fate->apart != 0 && (fate->apart & (fate->apart - 1)) == 0;
    int axis = 0;
    if (!is_one)
        return -1;
    while ((fate->apart >> axis & 1) == 0)
        axis++;
    return axis;
}

/* Each of what a norm sums up has a scale of its own, so that its largest number is no zero. */
static bool keeps_norms(const struct oq_fate *fate, const struct oq_ranges *ranges)
{
    uint32_t scaled = ((uint32_t)1 << ranges->batch_axes) - 1;
    if (ranges->axis >= 0)
        scaled |= (uint32_t)1 << ranges->axis;
    return ranges->blocks == NULL && (fate->apart & ~scaled) == 0;
}

const char *oq_fate_refuses_scales(onnxq_plan *plan, const struct oq_constant *constant,
                                   const struct oq_ranges *ranges)
{
    const struct oq_fate *fate = fate_of_constant(plan, constant);
    if (fate == NULL || fate->norm == NULL || keeps_norms(fate, ranges))
        return NULL;
    const char *words = describe_harm(plan, OQ_DIVISOR, fate->norm);
    return words == NULL ? "" : words;
}

static bool has_mark(const onnxq_plan *plan, const struct oq_constant *constant, enum mark mark)
{
    const struct oq_fate *fate = fate_of_constant(plan, constant);
    return fate != NULL && (fate->marks & mark) != 0;
}

bool oq_fate_is_fine(const onnxq_plan *plan, const struct oq_constant *constant)
{
    return has_mark(plan, constant, FINE);
}

bool oq_fate_is_small(const onnxq_plan *plan, const struct oq_constant *constant)
{
    return has_mark(plan, constant, SMALL);
}

bool oq_fate_is_centered(const onnxq_plan *plan, const struct oq_constant *constant)
{
    return has_mark(plan, constant, CENTERED);
}

bool oq_fate_is_scored(const onnxq_plan *plan, const struct oq_constant *constant)
{
    return has_mark(plan, constant, SCORED);
}

bool oq_fate_is_element(const onnxq_plan *plan, const struct oq_constant *constant)
{
    return has_mark(plan, constant, MET);
}

bool oq_fate_is_constant(const onnxq_plan *plan, const struct oq_value *value)
{
    return plan->fates->of[value->ordinal].is_constant;
}

bool oq_fate_has_norms(const onnxq_plan *plan, const struct oq_constant *constant)
{
    const struct oq_fate *fate = fate_of_constant(plan, constant);
    return fate != NULL && fate->norm != NULL;
}

bool oq_fate_is_elementwise(const onnxq_plan *plan, const struct oq_site *site)
{
    enum oq_role role = role_of(plan->fates, site->graph, site->node_index, site->input);
    bool is_handed_on =
        has_bodies(site->node) ||
        handed_on(plan->fates, site->graph, site->node_index, site->input, ELEMENTWISE) != 0;
    unsigned marks = has_bodies(site->node)
                         ? plan->fates->of[site->constant->value->ordinal].marks
                         : facts_of(plan->fates, site->graph, site->node_index)->marks;
    return role == OQ_ELEMENT || role == OQ_CHOSEN || (is_handed_on && (marks & ELEMENTWISE) != 0);
}
