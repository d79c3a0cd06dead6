/* Finds cycles by sorting: what is left, when all that waits for nothing is taken away, waits for
 * itself. */
#include "model/cycles.h"

#define NO_VERTEX SIZE_MAX

struct edge {
    size_t from, to;
};

struct digraph {
    struct oq_arena *arena;
    size_t n_vertices;
    struct edge *edges;
    size_t n_edges, capacity;
};

static bool add_edge(struct digraph *digraph, size_t from, size_t to)
{
    if (!oq_arena_grow(digraph->arena, &digraph->edges, digraph->n_edges, &digraph->capacity,
                       sizeof(*digraph->edges)))
        return false;
    digraph->edges[digraph->n_edges++] = (struct edge){from, to};
    return true;
}

/* The edges of vertex v become targets[first[v], first[v + 1]). */
static void group_edges(const struct digraph *digraph, size_t *first, size_t *targets)
{
    for (size_t i = 0; i < digraph->n_edges; i++)
        first[digraph->edges[i].from]++;
    for (size_t v = 0, end = 0; v <= digraph->n_vertices; v++)
        first[v] = end += first[v];
    for (size_t i = digraph->n_edges; i > 0; i--)
        targets[--first[digraph->edges[i - 1].from]] = digraph->edges[i - 1].to;
}

/*
 * Against the edges from a vertex that waits, as often as there are vertices: what is there lies on
 * a cycle, whose first vertex is the answer.
 */
static size_t walk_back(const struct digraph *digraph, const size_t *waits, size_t *before)
{
    size_t vertex = NO_VERTEX;
    for (size_t i = 0; i < digraph->n_edges; i++) {
        const struct edge *edge = &digraph->edges[i];
        if (waits[edge->from] == 0 || waits[edge->to] == 0)
            continue;
        before[edge->to] = edge->from;
        vertex = edge->to;
    }
    for (size_t i = 0; i < digraph->n_vertices; i++)
        vertex = before[vertex];
    size_t lowest = vertex;
    for (size_t v = before[vertex]; v != vertex; v = before[v])
        lowest = v < lowest ? v : lowest;
    return lowest;
}

/* In *found a vertex on a cycle, or NO_VERTEX; false: memory is out. */
static bool find_cycle(const struct digraph *digraph, size_t *found)
{
    const size_t n = digraph->n_vertices;
    size_t *first = oq_arena_array(digraph->arena, n + 1, sizeof(*first));
    size_t *targets = oq_arena_array(digraph->arena, digraph->n_edges + 1, sizeof(*targets));
    size_t *waits = oq_arena_array(digraph->arena, n + 1, sizeof(*waits)); /* for how many edges */
    size_t *ready = oq_arena_array(digraph->arena, n + 1, sizeof(*ready));
    size_t n_ready = 0;
    if (first == NULL || targets == NULL || waits == NULL || ready == NULL)
        return false;
    group_edges(digraph, first, targets);
    for (size_t i = 0; i < digraph->n_edges; i++)
        waits[digraph->edges[i].to]++;
    for (size_t v = 0; v < n; v++)
        if (waits[v] == 0)
            ready[n_ready++] = v;
    for (size_t i = 0; i < n_ready; i++)
        for (size_t k = first[ready[i]]; k < first[ready[i] + 1]; k++)
            if (--waits[targets[k]] == 0)
                ready[n_ready++] = targets[k];
    *found = n_ready == n ? NO_VERTEX : walk_back(digraph, waits, ready);
    return true;
}

/* --- nodes --- */

/* The vertices of a graph's nodes start at bases[its ordinal]. */
static size_t *number_nodes(const struct oq_graphs *graphs, struct digraph *digraph)
{
    size_t *bases = oq_arena_array(digraph->arena, graphs->count + 1, sizeof(*bases));
    for (size_t i = 0; bases != NULL && i < graphs->count; i++) {
        bases[i] = digraph->n_vertices;
        digraph->n_vertices += graphs->list[i]->proto->n_node;
    }
    return bases;
}

/* Whoever uses a value in a body is, for the graph that has the value, the node with that body. */
static bool add_uses_of(struct digraph *digraph, const struct oq_value *value, size_t base)
{
    for (const struct oq_use *use = value->uses; use != NULL; use = use->next) {
        const struct oq_graph *graph = use->graph;
        size_t node = use->node;
        for (; graph != value->graph; graph = graph->parent)
            node = graph->node;
        if (node != OQ_NO_NODE && !add_edge(digraph, base + value->index, base + node))
            return false;
    }
    return true;
}

static bool add_nodes_of(struct digraph *digraph, const struct oq_graph *graph, size_t base)
{
    for (size_t i = 0; i < graph->proto->n_node; i++) {
        const Oq__Pb__NodeProto *node = graph->proto->node[i];
        for (size_t k = 0; k < node->n_output; k++) {
            const struct oq_value *value = oq_strmap_find(&graph->values, node->output[k]);
            if (value != NULL && !add_uses_of(digraph, value, base))
                return false;
        }
    }
    return true;
}

static bool refuse_node(const struct oq_graphs *graphs, const size_t *bases, size_t vertex,
                        onnxq_error *error)
{
    size_t i = graphs->count - 1;
    while (bases[i] > vertex || vertex - bases[i] >= graphs->list[i]->proto->n_node)
        i--;
    const struct oq_graph *graph = graphs->list[i];
    const Oq__Pb__NodeProto *node = graph->proto->node[vertex - bases[i]];
    oq_fail(error, ONNXQ_ERROR_INPUT,
            "needs what is computed from its own output, expected a graph without cycles");
    oq_error_place(error, "graph \"%.80s\", node \"%.80s\" (%.40s)", graph->name,
                   oq_node_label(node), node->op_type == NULL ? "" : node->op_type);
    return false;
}

static bool refuse_nodes(const struct oq_graphs *graphs, struct oq_arena *arena, onnxq_error *error)
{
    struct digraph digraph = {.arena = arena};
    size_t found;
    size_t *bases = number_nodes(graphs, &digraph);
    if (bases == NULL)
        return oq_arena_fail(arena, error);
    for (size_t i = 0; i < graphs->count; i++)
        if (!add_nodes_of(&digraph, graphs->list[i], bases[i]))
            return oq_arena_fail(arena, error);
    if (!find_cycle(&digraph, &found))
        return oq_arena_fail(arena, error);
    return found == NO_VERTEX || refuse_node(graphs, bases, found, error);
}

/* --- local functions --- */

const char *oq_function_key(struct oq_arena *arena, const char *domain, const char *name,
                            const char *overload)
{
    return oq_arena_printf(arena, "%s:%s:%s", oq_domain(domain), name == NULL ? "" : name,
                           overload == NULL ? "" : overload);
}

/* The calls of the function at hand. */
struct calls {
    struct digraph digraph;
    struct oq_strmap vertices; /* key -> the function's place in `list` */
    Oq__Pb__FunctionProto **list;
    size_t caller;
};

static bool add_call(void *context, const struct oq_message_path *path, onnxq_error *error)
{
    struct calls *calls = context;
    struct oq_arena *arena = calls->digraph.arena;
    const Oq__Pb__NodeProto *node = (const Oq__Pb__NodeProto *)path->message;
    const char *key = oq_function_key(arena, node->domain, node->op_type, node->overload);
    if (key == NULL)
        return oq_arena_fail(arena, error);
    Oq__Pb__FunctionProto **called = oq_strmap_find(&calls->vertices, key);
    return called == NULL ||
           add_edge(&calls->digraph, calls->caller, (size_t)(called - calls->list)) ||
           oq_arena_fail(arena, error);
}

static bool add_functions(struct calls *calls, onnxq_error *error)
{
    struct oq_arena *arena = calls->digraph.arena;
    for (size_t i = 0; i < calls->digraph.n_vertices; i++) {
        const Oq__Pb__FunctionProto *function = calls->list[i];
        const char *key =
            oq_function_key(arena, function->domain, function->name, function->overload);
        void **place = key == NULL ? NULL : oq_strmap_place(&calls->vertices, key);
        if (place == NULL)
            return oq_arena_fail(arena, error);
        *place = &calls->list[i];
    }
    for (calls->caller = 0; calls->caller < calls->digraph.n_vertices; calls->caller++)
        if (!oq_message_visit(&calls->list[calls->caller]->base, &oq__pb__node_proto__descriptor,
                              add_call, calls, error))
            return false;
    return true;
}

bool oq_find_recursion(const onnxq_model *model, struct oq_arena *arena,
                       const Oq__Pb__FunctionProto **function, onnxq_error *error)
{
    struct calls calls = {.digraph = {.arena = arena, .n_vertices = model->proto->n_functions},
                          .list = model->proto->functions};
    size_t found;
    *function = NULL;
    oq_strmap_init(&calls.vertices, arena);
    if (!add_functions(&calls, error))
        return false;
    if (!find_cycle(&calls.digraph, &found))
        return oq_arena_fail(arena, error);
    if (found != NO_VERTEX)
        *function = calls.list[found];
    return true;
}

/* Names that make no graph of it are for who checks models. */
static bool refuse_in_function(const Oq__Pb__FunctionProto *function, struct oq_arena *arena,
                               onnxq_error *error)
{
    struct oq_graphs graphs;
    const Oq__Pb__GraphProto *graph = oq_graph_of_function(function, arena);
    onnxq_error other;
    if (graph == NULL)
        return oq_arena_fail(arena, error);
    oq_error_init(&other);
    if (!oq_graphs_init(&graphs, graph, arena, &other))
        return other.status == ONNXQ_ERROR_INPUT || oq_arena_fail(arena, error);
    return refuse_nodes(&graphs, arena, error);
}

static bool refuse_in_functions(const onnxq_model *model, struct oq_arena *arena,
                                onnxq_error *error)
{
    for (size_t i = 0; i < model->proto->n_functions; i++)
        if (!refuse_in_function(model->proto->functions[i], arena, error))
            return false;
    return true;
}

bool oq_refuse_cycles(const onnxq_model *model, onnxq_error *error)
{
    struct oq_arena arena;
    const Oq__Pb__FunctionProto *function = NULL;
    oq_arena_init(&arena, oq_model_budget(model));
    bool ok = refuse_nodes(&model->graphs, &arena, error) &&
              refuse_in_functions(model, &arena, error) &&
              oq_find_recursion(model, &arena, &function, error);
    if (function != NULL)
        ok = oq_fail(error, ONNXQ_ERROR_INPUT,
                     "function \"%.80s\" calls itself, expected functions without recursion",
                     function->name == NULL ? "" : function->name);
    oq_arena_fini(&arena);
    return ok;
}
