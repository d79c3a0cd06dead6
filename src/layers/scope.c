/* Indexes a main graph for the search of sites. */
#include "layers/scope.h"

bool oq_name_list_add(struct oq_name_list *names, const char *name, struct oq_arena *arena)
{
    if (!oq_arena_grow(arena, &names->list, names->count, &names->capacity, sizeof(*names->list)))
        return false;
    names->list[names->count++] = name;
    return true;
}

/* --- bodies --- */

/* A graph comes before its bodies. */
static void find_owners(struct oq_scope *scope)
{
    const struct oq_graphs *graphs = &scope->model->graphs;
    for (size_t g = 1; g < graphs->count; g++) {
        const struct oq_graph *body = graphs->list[g];
        size_t around = body->parent->ordinal;
        scope->owners[g] = around == 0 ? body->node : scope->owners[around];
    }
}

static bool add_outer(struct oq_scope *scope, const struct oq_graph *body, const char *name,
                      struct oq_arena *arena)
{
    const struct oq_value *value = oq_graph_find(body, name);
    return value == NULL || value->graph != scope->graph ||
           oq_name_list_add(&scope->outer[scope->owners[body->ordinal]], value->name, arena);
}

static bool find_outer(struct oq_scope *scope, const struct oq_graph *body, struct oq_arena *arena)
{
    const Oq__Pb__GraphProto *proto = body->proto;
    for (size_t i = 0; i < proto->n_node; i++)
        for (size_t k = 0; k < proto->node[i]->n_input; k++)
            if (!add_outer(scope, body, proto->node[i]->input[k], arena))
                return false;
    for (size_t i = 0; i < proto->n_output; i++)
        if (!add_outer(scope, body, proto->output[i]->name, arena))
            return false;
    return true;
}

/* --- constants --- */

/* Gives something else each time it runs. */
static bool is_random(const Oq__Pb__NodeProto *node)
{
    return OQ_NODE_IS(node, "RandomNormal", "RandomUniform", "RandomNormalLike",
                      "RandomUniformLike", "Bernoulli", "Multinomial");
}

/* Nodes stand behind those that they read; where a file breaks that, nothing is constant. */
static bool is_constant_node(const struct oq_scope *scope, size_t index)
{
    const Oq__Pb__NodeProto *node = scope->graph->proto->node[index];
    bool has_inputs = false;
    if (oq_node_is(node, "", "Constant"))
        return true;
    for (size_t k = 0; k < oq_scope_n_reads(scope, index); k++) {
        const struct oq_value *value = oq_scope_find(scope, oq_scope_read(scope, index, k));
        if (value != NULL && !oq_scope_is_constant(scope, value))
            return false;
        has_inputs |= value != NULL;
    }
    return has_inputs && !is_random(node);
}

bool oq_scope_is_constant(const struct oq_scope *scope, const struct oq_value *value)
{
    if (value->origin == OQ_ORIGIN_NODE)
        return scope->is_constant[value->index];
    return value->origin != OQ_ORIGIN_INPUT;
}

/* --- all of it --- */

bool oq_scope_init(struct oq_scope *scope, const onnxq_model *model, struct oq_arena *arena,
                   onnxq_error *error)
{
    const struct oq_graphs *graphs = &model->graphs;
    const size_t n_nodes = graphs->list[0]->proto->n_node;
    *scope = (struct oq_scope){.model = model, .graph = graphs->list[0]};
    scope->is_constant = oq_arena_array(arena, n_nodes + 1, sizeof(*scope->is_constant));
    scope->outer = oq_arena_array(arena, n_nodes + 1, sizeof(*scope->outer));
    scope->owners = oq_arena_array(arena, graphs->count, sizeof(*scope->owners));
    if (scope->is_constant == NULL || scope->outer == NULL || scope->owners == NULL)
        return oq_arena_fail(arena, error);
    find_owners(scope);
    for (size_t g = 1; g < graphs->count; g++)
        if (!find_outer(scope, graphs->list[g], arena))
            return oq_arena_fail(arena, error);
    for (size_t i = 0; i < n_nodes; i++)
        scope->is_constant[i] = is_constant_node(scope, i);
    return true;
}

const struct oq_value *oq_scope_find(const struct oq_scope *scope, const char *name)
{
    return oq_graph_find(scope->graph, name);
}

const Oq__Pb__TensorProto *oq_scope_tensor(const struct oq_scope *scope,
                                           const struct oq_value *value)
{
    const Oq__Pb__GraphProto *graph = scope->graph->proto;
    if (value->origin == OQ_ORIGIN_INITIALIZER)
        return graph->initializer[value->index];
    if (value->origin != OQ_ORIGIN_NODE || !oq_node_is(graph->node[value->index], "", "Constant"))
        return NULL;
    const Oq__Pb__AttributeProto *attribute = oq_node_attribute(graph->node[value->index], "value");
    return attribute == NULL ? NULL : attribute->t;
}

size_t oq_scope_n_reads(const struct oq_scope *scope, size_t node)
{
    return scope->graph->proto->node[node]->n_input + scope->outer[node].count;
}

const char *oq_scope_read(const struct oq_scope *scope, size_t node, size_t k)
{
    const Oq__Pb__NodeProto *proto = scope->graph->proto->node[node];
    return k < proto->n_input ? proto->input[k] : scope->outer[node].list[k - proto->n_input];
}
