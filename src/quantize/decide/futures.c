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

const struct oq_site *oq_future_of(const struct oq_futures *futures, const struct oq_site *site)
{
    return futures->of_nodes[site->graph->ordinal][site->node_index].end;
}

/* Where a use leads that is known to lead to integers. */
static const struct oq_site *end_of(const struct future_finder *finder, const struct oq_use *use)
{
    const struct oq_site *end = finder->futures->of_nodes[use->graph->ordinal][use->node].end;
    return end != NULL ? end
                       : taker_of(finder->plan,
                                  oq_plan_site(finder->plan, use->graph, use->node, use->input));
}

/* One more output of a node leads to integers; a node of which all do leaves, and with it its uses.
 */
static void close_output(struct future_finder *finder, const struct oq_value *value,
                         const struct oq_site *end)
{
    struct oq_node_future *node = &finder->futures->of_nodes[value->graph->ordinal][value->index];
    if (end == NULL || --node->n_open > 0)
        return;
    node->end = end;
    trace_back(finder, value->graph, oq_value_node(value), close_use);
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
        if (value->origin == OQ_ORIGIN_NODE)
            close_output(finder, value, end_of(finder, value->last_use));
    }
}

/* Counts the outputs of each node that are used. */
static bool open_nodes(struct future_finder *finder, const struct oq_graph *graph,
                       struct oq_arena *arena)
{
    struct oq_node_future *nodes = oq_arena_array(arena, graph->proto->n_node + 1, sizeof(*nodes));
    finder->futures->of_nodes[graph->ordinal] = nodes;
    for (size_t i = 0; nodes != NULL && i < graph->proto->n_node; i++)
        for (size_t k = 0; k < graph->proto->node[i]->n_output; k++) {
            const struct oq_value *output = oq_graph_find(graph, graph->proto->node[i]->output[k]);
            nodes[i].n_open += output != NULL && output->n_uses > 0;
        }
    return nodes != NULL;
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
    const struct oq_graphs *graphs = &plan->model->graphs;
    const size_t n = graphs->n_values + 1;
    struct future_finder finder = {.plan = plan, .futures = futures};
    futures->of_nodes = oq_arena_array(arena, graphs->count, sizeof(*futures->of_nodes));
    futures->returned = oq_arena_array(arena, n, sizeof(*futures->returned));
    finder.n_closed = oq_arena_array(arena, n, sizeof(*finder.n_closed));
    finder.queue = oq_arena_array(arena, n, sizeof(*finder.queue));
    if (futures->of_nodes == NULL || futures->returned == NULL || finder.n_closed == NULL ||
        finder.queue == NULL)
        return false;
    for (size_t g = 0; g < graphs->count; g++)
        if (!open_nodes(&finder, graphs->list[g], arena))
            return false;
    find_ends(&finder);
    find_returned(&finder);
    return true;
}
