/* Follows an input or one of its axes forward, with a worklist. */
#include "inputs/trace.h"

#include "inputs/trace_visit.h"

/*
 * Uses that are looked at in one model. Real inputs have a few hundred before
 * every path has come to an operator that computes; what looks at a constant
 * behind operators counts for more, as it takes more.
 */
#define MAX_STEPS ((size_t)1 << 20)

void oq_trace_init(struct oq_trace *trace, const onnxq_model *model, struct oq_arena *arena)
{
    *trace = (struct oq_trace){.model = model, .arena = arena, .steps = MAX_STEPS};
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
