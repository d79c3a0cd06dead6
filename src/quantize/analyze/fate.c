/*
 * From the uses of values back to what they were made of. A mark says that a
 * value is used in a way that matters, directly or behind operators that hand
 * its elements on; a constant expression hands on whatever goes into it.
 */
#include <stdlib.h>

#include "base/checked.h"
#include "quantize/analyze/fate_marks.h"

/* --- bodies --- */

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
        enum oq_fate_mark mark;
    } * steps;
    size_t count, capacity;
};

static void push(struct queue *queue, const struct oq_value *value, enum oq_fate_mark mark)
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
    for (size_t i = 0; oq_fate_has_bodies(proto) && i < proto->n_output; i++) {
        struct oq_fate *fate = oq_fate_of(fates, graph, proto->output[i]);
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
            oq_fate_facts(fates, graph, i)->n_variable += node->input[k][0] != '\0';
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
            if (--oq_fate_facts(fates, use->graph, use->node)->n_variable == 0 &&
                !oq_fate_has_bodies(node))
                push_outputs(fates, queue, use->graph, node);
        }
    queue->count = 0;
}

/* --- marks --- */

static void mark(struct oq_fates *fates, struct queue *queue, const struct oq_graph *graph,
                 const char *name, enum oq_fate_mark mark, const struct oq_fate *cause)
{
    const struct oq_value *value = oq_graph_find(graph, name);
    if (value == NULL || (fates->of[value->ordinal].marks & mark) == mark)
        return;
    struct oq_fate *fate = &fates->of[value->ordinal];
    if (!oq_mark_harms(fate->marks) && oq_mark_harms(mark)) {
        fate->node = cause->node;
        fate->role = cause->role;
    }
    if (mark == OQ_MARK_ROOTED)
        fate->root = cause->root;
    fate->marks |= (uint16_t)mark;
    push(queue, value, mark);
}

static enum oq_fate_mark mark_of(enum oq_role role)
{
    if (role == OQ_DIVISOR)
        return OQ_MARK_DIVIDES;
    if (role == OQ_UNBOUNDED)
        return OQ_MARK_ZEROED;
    if (role == OQ_ANGLE || role == OQ_COORDINATE)
        return OQ_MARK_ANGLE;
    if (role == OQ_EXACT || role == OQ_BITS)
        return OQ_MARK_CUT;
    if (oq_role_refuses(role) != NULL)
        return OQ_MARK_HARMED;
    return role == OQ_ELEMENT || role == OQ_CHOSEN ? OQ_MARK_ELEMENTWISE : 0;
}

/* Marks what the node uses in that way. */
static void mark_uses(struct oq_fates *fates, struct queue *queue, const struct oq_graph *graph,
                      size_t node, enum oq_fate_mark wanted)
{
    const Oq__Pb__NodeProto *proto = graph->proto->node[node];
    for (size_t i = 0; i < proto->n_input; i++) {
        struct oq_fate cause = {.node = proto, .role = oq_fate_role(fates, graph, node, i)};
        if (mark_of(cause.role) == wanted)
            mark(fates, queue, graph, proto->input[i], wanted, &cause);
    }
}

static void mark_roots(struct oq_fates *fates, struct queue *queue, const struct oq_graph *graph,
                       size_t node)
{
    const Oq__Pb__NodeProto *proto = graph->proto->node[node];
    struct oq_fate cause = {.root = proto};
    if (proto->n_input > 0 && oq_fate_is_root(fates, graph, proto))
        mark(fates, queue, graph, proto->input[0], OQ_MARK_ROOTED, &cause);
}

static void mark_small(struct oq_fates *fates, struct queue *queue, const struct oq_graph *graph,
                       size_t node)
{
    const Oq__Pb__NodeProto *proto = graph->proto->node[node];
    bool is_steep = oq_fate_ends_steeply(proto) || oq_fate_is_magnitude(graph, proto);
    for (size_t i = 0; i < proto->n_input; i++)
        if (is_steep || oq_fate_role(fates, graph, node, i) == OQ_DIVISOR)
            mark(fates, queue, graph, proto->input[i], OQ_MARK_SMALL, NULL);
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

/* Operators that a constant is handed on by. */
#define MAX_HANDED_ON 8

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
            oq_fate_role(fates, value->graph, value->index, 0) != OQ_PASSED)
            return NULL;
        for (size_t i = 1; i < node->n_input; i++) {
            enum oq_role role = oq_fate_role(fates, value->graph, value->index, i);
            if (role != OQ_SETTING && role != OQ_AXES && !(is_factor && role == OQ_INDEX))
                return NULL;
        }
        value = oq_graph_find(value->graph, node->input[0]);
    }
    return NULL;
}

/* Values that are looked at to see what another one is made of. */
#define MAX_LOOKS 32

/* Made of rows of tables and other constants alone, as far as is looked; what it is by is no part.
 */
static bool comes_from_tables(const struct oq_fates *fates, const struct oq_value *value)
{
    const struct oq_value *waiting[MAX_LOOKS] = {value};
    size_t n = 1;
    for (size_t i = 0; i < n; i++) {
        value = waiting[i];
        if (value != NULL && fates->of[value->ordinal].is_constant)
            continue;
        const Oq__Pb__NodeProto *node = value == NULL ? NULL : oq_value_node(value);
        if (node == NULL)
            return false;
        for (size_t k = 0; k < node->n_input; k++) {
            enum oq_role role = oq_fate_role(fates, value->graph, value->index, k);
            if (node->input[k][0] == '\0' || role == OQ_INDEX || role == OQ_SETTING ||
                role == OQ_AXES)
                continue;
            if (n == MAX_LOOKS)
                return false;
            waiting[n++] = oq_graph_find(value->graph, node->input[k]);
        }
    }
    return true;
}

/* What hands its elements on, one after another, up to where they are looked up. */
static const struct oq_value *find_rows(const struct oq_fates *fates, const struct oq_value *value)
{
    for (unsigned step = 0; step < MAX_HANDED_ON && value != NULL; step++) {
        const Oq__Pb__NodeProto *node = oq_value_node(value);
        if (node == NULL || node->n_input == 0 ||
            oq_fate_role(fates, value->graph, value->index, 0) != OQ_PASSED ||
            OQ_NODE_IS(node, "Gather", "GatherND", "GatherElements"))
            return value;
        value = oq_graph_find(value->graph, node->input[0]);
    }
    return NULL;
}

/*
 * Rows of a table that are taken off activations are what those are around, and no embedding: what
 * is left is as fine as they are. So is what rows are off from themselves.
 */
static bool takes_rows_off(const struct oq_fates *fates, const struct oq_graph *graph,
                           const Oq__Pb__NodeProto *node, size_t input)
{
    if (!OQ_NODE_IS(node, "Sub", "Div") || node->n_input != 2)
        return false;
    const struct oq_value *own = oq_graph_find(graph, node->input[input]);
    const struct oq_value *other = oq_graph_find(graph, node->input[1 - input]);
    if (own == NULL || other == NULL || find_held(fates, own, true) == NULL)
        return false;
    return !comes_from_tables(fates, other) || find_rows(fates, own) == find_rows(fates, other);
}

/* Single numbers of it are looked up. */
static bool picks_numbers(const Oq__Pb__NodeProto *node, size_t input)
{
    return input == 0 && OQ_NODE_IS(node, "GatherElements", "GatherND");
}

/* Marks the constants that it combines with activations; what they were made of has the same. */
static void mark_met(struct oq_fates *fates, struct queue *queue, const struct oq_graph *graph,
                     size_t node)
{
    const Oq__Pb__NodeProto *proto = graph->proto->node[node];
    bool combines = proto->n_input > 1 && oq_fate_facts(fates, graph, node)->n_variable > 0;
    bool is_factor = OQ_NODE_IS(proto, "Mul", "Div") && is_repeated(graph);
    bool is_distance = oq_node_is(proto, "com.microsoft", "CDist");
    for (size_t i = 0; combines && i < proto->n_input; i++) {
        enum oq_role role = oq_fate_role(fates, graph, node, i);
        if (role != OQ_ELEMENT && role != OQ_CHOSEN && !is_distance && !picks_numbers(proto, i))
            continue;
        const struct oq_value *held =
            find_held(fates, oq_graph_find(graph, proto->input[i]),
                      is_factor || takes_rows_off(fates, graph, proto, i));
        if (held == NULL)
            continue;
        mark(fates, queue, held->graph, held->name, OQ_MARK_MET, NULL);
        if (is_distance || OQ_NODE_IS(proto, "Add", "Sub", "Sum"))
            mark(fates, queue, held->graph, held->name, OQ_MARK_TERM, NULL);
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
        mark(fates, queue, graph, oq_node_input(proto, 0), OQ_MARK_SCORED, NULL);
    for (size_t i = 0; is_attention(proto) && i < proto->n_input; i++)
        if (oq_fate_role(fates, graph, node, i) == OQ_ELEMENT)
            mark(fates, queue, graph, proto->input[i], OQ_MARK_SCORED, NULL);
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
    return oq_node_is(proto, "", "Sub") && oq_fate_facts(fates, graph, node)->n_variable == 0;
}

static void mark_centered(struct oq_fates *fates, struct queue *queue, const struct oq_graph *graph,
                          size_t node)
{
    const Oq__Pb__NodeProto *proto = graph->proto->node[node];
    bool all = oq_operator_has(oq_fate_operator(fates, proto), OQ_CENTERS) ||
               subtracts_constants(fates, graph, node);
    size_t n = all ? proto->n_input : takes_mean_off(graph, proto) ? 1 : 0;
    for (size_t i = 0; i < n; i++)
        mark(fates, queue, graph, proto->input[i], OQ_MARK_CENTERED, NULL);
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
    struct oq_node_facts *facts = oq_fate_facts(fates, graph, index);
    const struct oq_fate *fate = &fates->of[step->value->ordinal];
    if ((facts->marks & step->mark) == step->mark)
        return;
    if (!oq_mark_harms(facts->marks) && oq_mark_harms(step->mark))
        facts->harm = fate;
    facts->marks |= (uint16_t)step->mark;
    if (step->mark == OQ_MARK_DIVIDES && node->n_input > 0 &&
        oq_fate_role(fates, graph, index, 0) == OQ_NORM)
        oq_fate_note_norm(fates, graph, index, fate->node);
    for (size_t i = 0; i < node->n_input; i++) {
        enum oq_fate_mark handed = oq_fate_handed_on(fates, graph, index, i, step->mark);
        if (handed != 0)
            mark(fates, queue, graph, node->input[i], handed, fate);
    }
}

static void spread_marks(struct oq_fates *fates, struct queue *queue, enum oq_fate_mark wanted)
{
    const struct oq_graphs *graphs = &fates->plan->model->graphs;
    queue->count = 0;
    for (size_t g = 0; g < graphs->count; g++)
        for (size_t i = 0; i < graphs->list[g]->proto->n_node; i++)
            if (wanted == OQ_MARK_MET)
                mark_met(fates, queue, graphs->list[g], i);
            else if (wanted == OQ_MARK_CENTERED)
                mark_centered(fates, queue, graphs->list[g], i);
            else if (wanted == OQ_MARK_ROOTED)
                mark_roots(fates, queue, graphs->list[g], i);
            else if (wanted == OQ_MARK_SCORED)
                mark_scores(fates, queue, graphs->list[g], i);
            else if (wanted == OQ_MARK_SMALL)
                mark_small(fates, queue, graphs->list[g], i);
            else
                mark_uses(fates, queue, graphs->list[g], i, wanted);
    for (size_t i = 0; i < queue->count; i++) {
        struct step step = queue->steps[i]; /* the queue moves when it grows */
        const struct oq_value *value = step.value;
        bool is_made = value->origin == OQ_ORIGIN_NODE;
        if (is_made && oq_fate_has_bodies(value->graph->proto->node[value->index]))
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
    spread_marks(fates, &queue, OQ_MARK_ANGLE);
    spread_marks(fates, &queue, OQ_MARK_CUT);
    spread_marks(fates, &queue, OQ_MARK_ZEROED);
    spread_marks(fates, &queue, OQ_MARK_DIVIDES);
    spread_marks(fates, &queue, OQ_MARK_HARMED);
    spread_marks(fates, &queue, OQ_MARK_ELEMENTWISE);
    spread_marks(fates, &queue, OQ_MARK_MET);
    spread_marks(fates, &queue, OQ_MARK_CENTERED);
    spread_marks(fates, &queue, OQ_MARK_ROOTED);
    spread_marks(fates, &queue, OQ_MARK_SMALL);
    spread_marks(fates, &queue, OQ_MARK_SCORED);
    bool ok = !scratch.failed || oq_arena_fail(&scratch, error);
    oq_arena_fini(&scratch);
    return ok;
}
