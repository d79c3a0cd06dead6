/* What operators do with a value that is traced: look around, hand it on, ask something of it. */
#include "inputs/trace_visit.h"

struct oq_trace_seen {
    const struct oq_value *value;
    uint32_t number;
    enum oq_traced kind;
};

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

void oq_visit_push(const struct oq_visit *visit, struct oq_trace_state state)
{
    if (visit->node->n_output > 0)
        oq_trace_push(visit->trace, visit->graph, visit->node->output[0], state);
}

/* --- looking around --------------------------------------------------------- */

void oq_trace_charge(struct oq_trace *trace, size_t steps)
{
    trace->steps -= trace->steps < steps ? trace->steps : steps;
}

/* The name of an input that is asked about for so many steps; NULL: none, or no steps are left. */
static const char *ask(const struct oq_visit *visit, size_t input, uint64_t n_steps)
{
    const char *name = oq_node_input(visit->node, input);
    if (name[0] == '\0' || visit->trace->steps == 0)
        return NULL;
    oq_trace_charge(visit->trace, n_steps);
    return name;
}

bool oq_visit_shape(const struct oq_visit *visit, size_t input, struct oq_shape *shape)
{
    const char *name = ask(visit, input, OQ_STEPS_A_SHAPE);
    return name != NULL &&
           oq_known_shape(visit->trace->model, visit->trace->sizes, visit->graph, name, shape);
}

int64_t oq_visit_size(const struct oq_visit *visit, size_t input, int64_t axis)
{
    struct oq_shape shape;
    return oq_visit_shape(visit, input, &shape) ? oq_shape_size(&shape, axis) : -1;
}

bool oq_visit_integer(const struct oq_visit *visit, size_t input, int64_t *value)
{
    const char *name = ask(visit, input, OQ_STEPS_A_SHAPE / 4);
    return name != NULL && oq_known_integer(visit->trace->model, visit->graph, name, value);
}

bool oq_visit_number(const struct oq_visit *visit, size_t input, double *value)
{
    const char *name = ask(visit, input, OQ_STEPS_A_SHAPE / 4);
    return name != NULL && oq_known_number(visit->trace->model, visit->graph, name, value);
}

const struct oq_graph *oq_visit_body(const struct oq_visit *visit, const char *name)
{
    const Oq__Pb__AttributeProto *body = oq_node_attribute(visit->node, name);
    const struct oq_graphs *graphs = &visit->trace->model->graphs;
    oq_trace_charge(visit->trace, graphs->count + visit->node->n_attribute);
    for (size_t i = 0; body != NULL && i < graphs->count; i++) {
        if (graphs->list[i]->proto == body->g)
            return graphs->list[i];
    }
    return NULL;
}

int64_t oq_visit_vocabulary(const struct oq_visit *visit)
{
    int64_t size = oq_node_int(visit->node, "vocab_size", -1);
    const struct oq_graph *decoder = oq_visit_body(visit, "decoder");
    struct oq_shape logits;
    if (size > 0 || decoder == NULL || decoder->proto->n_output == 0)
        return size;
    oq_trace_charge(visit->trace, OQ_STEPS_A_SHAPE);
    return oq_known_shape(visit->trace->model, visit->trace->sizes, decoder,
                          decoder->proto->output[0]->name, &logits)
               ? oq_shape_size(&logits, -1)
               : -1;
}

/* --- asking ----------------------------------------------------------------- */

static int64_t divide_down(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

void oq_trace_restrict(struct oq_trace *trace, int64_t lo, int64_t hi)
{
    struct oq_demand *demand = trace->demand;
    demand->is_bounded = true;
    demand->lo = lo > demand->lo ? lo : demand->lo;
    demand->hi = hi < demand->hi ? hi : demand->hi;
}

void oq_visit_restrict_values(const struct oq_visit *visit, int64_t hi)
{
    const struct oq_trace_state *state = visit->state;
    int64_t above, below;
    if (__builtin_sub_overflow(hi, state->offset, &above) ||
        __builtin_sub_overflow((int64_t)0, state->offset, &below))
        return;
    int64_t lo = visit->trace->is_axis ? 0 : divide_down(below, state->scale);
    lo += !visit->trace->is_axis && below % state->scale != 0;
    oq_trace_restrict(visit->trace, lo > 0 ? lo : 0, divide_down(above, state->scale));
}

void oq_visit_restrict_size(const struct oq_visit *visit, int64_t lo, int64_t hi)
{
    const struct oq_trace_state *state = visit->state;
    struct oq_demand *demand = visit->trace->demand;
    if (state->scale == 0 || __builtin_mul_overflow(lo, state->scale, &lo) ||
        __builtin_mul_overflow(hi, state->scale, &hi) ||
        __builtin_add_overflow(hi, state->scale - 1, &hi) ||
        __builtin_sub_overflow(lo, state->offset, &lo) ||
        __builtin_sub_overflow(hi, state->offset, &hi))
        return;
    oq_trace_restrict(visit->trace, lo, hi);
    demand->step = state->scale > demand->step ? state->scale : demand->step;
}
