/* From the ends of chains back to their starts: a value's future is known before it is asked for.
 */
#include "quantize/decide/futures.h"
#include "quantize/decide/steps.h"

struct future_finder {
    const onnxq_plan *plan;
    struct oq_futures *futures;
    size_t *n_closed;              /* [values]: uses that are known to take integers */
    const struct oq_value **queue; /* [values]: those whose future is known */
    size_t count;
};

/* The inputs of a node, one call for each. */
static void trace_back(struct future_finder *finder, const struct oq_graph *graph,
                       const Oq__Pb__NodeProto *node,
                       void (*reach)(struct future_finder *finder, const struct oq_value *input))
{
    for (size_t i = 0; i < node->n_input; i++) {
        const struct oq_value *input = oq_graph_find(graph, node->input[i]);
        if (input != NULL)
            reach(finder, input);
    }
}

/* --- values that are taken as integers --- */

/* One more use of the value leads to integers. */
static void close_use(struct future_finder *finder, const struct oq_value *value)
{
    if (++finder->n_closed[value->ordinal] == value->n_uses)
        finder->queue[finder->count++] = value;
}

/* What takes the site's constant as integers, or does without it. */
static const struct oq_site *taker_of(const onnxq_plan *plan, const struct oq_site *site)
{
    return site->action == ONNXQ_DYNAMIC ? site : oq_plan_find_releaser(plan, site);
}

/* Where a node leads of which nothing is used but as integers; NULL: something is, or not yet. */
static const struct oq_site *end_of_node(const struct oq_futures *futures,
                                         const struct oq_graph *graph,
                                         const Oq__Pb__NodeProto *node)
{
    const struct oq_site *end = NULL;
    for (size_t i = 0; i < node->n_output; i++) {
        const struct oq_value *output = oq_graph_find(graph, node->output[i]);
        if (output == NULL || (output->n_uses == 0 && output->graph == graph))
            continue;
        end = futures->ends[output->ordinal];
        if (end == NULL)
            return NULL;
    }
    return end;
}

const struct oq_site *oq_future_of(const struct oq_futures *futures, const struct oq_site *site)
{
    return end_of_node(futures, site->graph, site->node);
}

/* Where a use leads that is known to lead to integers. */
static const struct oq_site *end_of(const struct future_finder *finder, const struct oq_use *use)
{
    const Oq__Pb__NodeProto *node = use->graph->proto->node[use->node];
    const struct oq_site *end = end_of_node(finder->futures, use->graph, node);
    return end != NULL ? end
                       : taker_of(finder->plan,
                                  oq_plan_site(finder->plan, use->graph, use->node, use->input));
}

static void find_ends(struct future_finder *finder)
{
    const onnxq_plan *plan = finder->plan;
    for (size_t i = plan->model->n_tensors; i < plan->n_constants; i++)
        for (size_t k = 0; k < plan->constants[i].n_sites; k++)
            if (taker_of(plan, &plan->constants[i].sites[k]) != NULL)
                close_use(finder, plan->constants[i].value);
    for (size_t i = 0; i < finder->count; i++) {
        const struct oq_value *value = finder->queue[i];
        const Oq__Pb__NodeProto *node = oq_value_node(value);
        finder->futures->ends[value->ordinal] = end_of(finder, value->last_use);
        /* A node of which nothing is used any more leaves, and with it its uses. */
        if (node != NULL && end_of_node(finder->futures, value->graph, node) != NULL)
            trace_back(finder, value->graph, node, close_use);
    }
}

/* --- values that are returned --- */

static void mark_returned(struct future_finder *finder, const struct oq_value *value)
{
    if (finder->futures->returned[value->ordinal])
        return;
    finder->futures->returned[value->ordinal] = true;
    finder->queue[finder->count++] = value;
}

static void find_returned(struct future_finder *finder)
{
    const struct oq_graph *graph = finder->plan->model->graphs.list[0];
    finder->count = 0;
    for (size_t i = 0; i < graph->proto->n_output; i++) {
        const struct oq_value *value = oq_graph_find(graph, graph->proto->output[i]->name);
        if (value != NULL)
            mark_returned(finder, value);
    }
    for (size_t i = 0; i < finder->count; i++) {
        const Oq__Pb__NodeProto *node = oq_value_node(finder->queue[i]);
        if (node != NULL && oq_source_sees_through(node))
            trace_back(finder, finder->queue[i]->graph, node, mark_returned);
    }
}

/* --- both --- */

bool oq_futures_find(struct oq_futures *futures, const onnxq_plan *plan, struct oq_arena *arena)
{
    const size_t n = plan->model->graphs.n_values + 1;
    struct future_finder finder = {.plan = plan, .futures = futures};
    futures->ends = oq_arena_array(arena, n, sizeof(*futures->ends));
    futures->returned = oq_arena_array(arena, n, sizeof(*futures->returned));
    finder.n_closed = oq_arena_array(arena, n, sizeof(*finder.n_closed));
    finder.queue = oq_arena_array(arena, n, sizeof(*finder.queue));
    if (futures->ends == NULL || futures->returned == NULL || finder.n_closed == NULL ||
        finder.queue == NULL)
        return false;
    find_ends(&finder);
    find_returned(&finder);
    return true;
}
