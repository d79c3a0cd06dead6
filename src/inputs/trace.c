/* Follows an input or one of its axes forward, with a worklist. */
#include "inputs/trace_visit.h"

/*
 * Uses that are looked at in one model. Real inputs have a few hundred before
 * every path has come to an operator that computes; what looks at a constant
 * behind operators counts for more, as it takes more.
 */
#define MAX_STEPS ((size_t)1 << 20)

struct oq_trace_seen {
    const struct oq_value *value;
    uint32_t number;
    enum oq_traced kind;
};

void oq_trace_init(struct oq_trace *trace, const onnxq_model *model, struct oq_arena *arena)
{
    *trace = (struct oq_trace){.model = model, .arena = arena, .steps = MAX_STEPS};
}

/* --- what was there already ------------------------------------------------- */

static size_t slot_of(const struct oq_trace_seen *seen, size_t capacity,
                      const struct oq_value *value, enum oq_traced kind)
{
    size_t i = ((uintptr_t)value / sizeof(void *) * 0x9e3779b1u + kind) & (capacity - 1);
    while (seen[i].value != NULL && (seen[i].value != value || seen[i].kind != kind))
        i = (i + 1) & (capacity - 1);
    return i;
}

static bool grow_seen(struct oq_trace *trace)
{
    size_t capacity = trace->seen_capacity == 0 ? 64 : 2 * trace->seen_capacity;
    struct oq_trace_seen *seen = oq_arena_array(trace->arena, capacity, sizeof(*seen));
    if (seen == NULL)
        return false;
    for (size_t i = 0; i < trace->seen_capacity; i++) {
        const struct oq_trace_seen *old = &trace->seen[i];
        if (old->value != NULL)
            seen[slot_of(seen, capacity, old->value, old->kind)] = *old;
    }
    trace->seen = seen;
    trace->seen_capacity = capacity;
    return true;
}

/* True the first time in what is traced now; false, too, when memory is used up. */
static bool is_new(struct oq_trace *trace, const struct oq_value *value, enum oq_traced kind)
{
    if (2 * trace->n_seen >= trace->seen_capacity && !grow_seen(trace))
        return false;
    struct oq_trace_seen *seen =
        &trace->seen[slot_of(trace->seen, trace->seen_capacity, value, kind)];
    if (seen->value != NULL && seen->number == trace->number)
        return false;
    trace->n_seen += seen->value == NULL;
    *seen = (struct oq_trace_seen){value, trace->number, kind};
    return true;
}

void oq_trace_push(struct oq_trace *trace, const struct oq_graph *graph, const char *name,
                   struct oq_trace_state state)
{
    state.value = oq_graph_find(graph, name);
    if (state.value == NULL || !is_new(trace, state.value, state.kind) ||
        !oq_arena_grow(trace->arena, &trace->queue, trace->count, &trace->capacity,
                       sizeof(*trace->queue)))
        return;
    trace->queue[trace->count++] = state;
}

struct oq_trace_state oq_trace_values_state(int64_t scale, int64_t offset)
{
    return (struct oq_trace_state){.kind = OQ_TRACED_VALUES, .scale = scale, .offset = offset};
}

/* --- the walk --------------------------------------------------------------- */

static void visit_use(struct oq_trace *trace, const struct oq_trace_state *state,
                      const struct oq_use *use)
{
    if (use->node == OQ_NO_NODE)
        return;
    const Oq__Pb__NodeProto *node = use->graph->proto->node[use->node];
    struct oq_visit visit = {trace, state, use->graph, node, oq_operator_id_of(node), use->input};
    oq_trace_charge(trace, node->n_attribute); /* which are searched by name */
    if (state->kind == OQ_TRACED_VALUES)
        oq_visit_values(&visit);
    else if (state->kind == OQ_TRACED_AXIS)
        oq_visit_axis(&visit);
    else
        oq_visit_element(&visit);
}

static void walk(struct oq_trace *trace)
{
    for (size_t i = 0; i < trace->count; i++) {
        struct oq_trace_state state = trace->queue[i]; /* the queue moves when it grows */
        for (const struct oq_use *use = state.value->uses; use != NULL; use = use->next) {
            if (trace->steps == 0)
                return;
            trace->steps--;
            visit_use(trace, &state, use);
        }
    }
}

static void begin(struct oq_trace *trace, const char *input, struct oq_trace_state state,
                  struct oq_demand *demand)
{
    trace->number++;
    trace->count = 0;
    trace->demand = demand;
    oq_trace_push(trace, trace->model->graphs.list[0], input, state);
    walk(trace);
}

void oq_trace_values(struct oq_trace *trace, const char *input, struct oq_demand *demand)
{
    trace->is_axis = false;
    begin(trace, input, oq_trace_values_state(1, 0), demand);
}

void oq_trace_axis(struct oq_trace *trace, const char *input, size_t axis, size_t rank,
                   struct oq_demand *demand)
{
    if (rank > OQ_MAX_RANK)
        return;
    const struct oq_trace_state state = {
        .kind = OQ_TRACED_AXIS, .place = (int)axis, .rank = (int)rank, .scale = 1};
    trace->is_axis = true;
    begin(trace, input, state, demand);
}
