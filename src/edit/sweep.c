/*
 * What nobody needs leaves: nodes and constants that a rewrite has left without
 * users, and constants that had none in the first place. Nodes that never had a
 * user stay: they are the model's own, and may do more than give a value.
 */
#include "edit/edit.h"

/* --- uses --- */

/* Uses that are left of a value of the model; new names have none and are not asked about. */
static size_t *uses_left(const struct oq_edit *edit, const struct oq_graph *graph, const char *name)
{
    const struct oq_value *value = oq_graph_find(graph, name);
    return value == NULL ? NULL : &edit->n_left[value->ordinal];
}

static void count_use(const struct oq_edit *edit, const struct oq_graph *graph, const char *name)
{
    size_t *left = uses_left(edit, graph, name);
    if (left != NULL)
        ++*left;
}

static void count_uses(const struct oq_edit *edit)
{
    for (size_t g = 0; g < edit->graphs->count; g++) {
        const struct oq_edit_graph *state = &edit->states[g];
        const struct oq_graph *graph = edit->graphs->list[g];
        for (size_t i = 0; i < state->n_nodes; i++)
            for (size_t k = 0; k < state->nodes[i]->n_input; k++)
                count_use(edit, graph, state->nodes[i]->input[k]);
        for (size_t i = 0; i < state->proto->n_output; i++)
            count_use(edit, graph, state->proto->output[i]->name);
    }
}

/* A default value that callers may override goes with its input only: that belongs to them. */
static bool is_for_callers(const struct oq_edit *edit, const struct oq_value *value)
{
    return value->is_graph_input && !(edit->freeze_inputs && value->graph->parent == NULL);
}

/* By a node or an output that is left, or by name from outside the graph. */
static bool is_needed(const struct oq_edit *edit, const struct oq_value *value)
{
    return edit->n_left[value->ordinal] > 0 || value->is_named;
}

/* A constant without users in the model itself, or what has lost them all. */
static bool is_useless(const struct oq_edit *edit, const struct oq_value *value)
{
    if (value == NULL || is_needed(edit, value) || is_for_callers(edit, value))
        return false;
    return value->n_uses > 0 ||
           (oq_value_tensor(value) != NULL && !value->is_annotated && !edit->keeps_unused);
}

/* --- what leaves --- */

static bool leave(struct oq_edit *edit, const struct oq_value *value)
{
    if (value->n_uses == 0 && oq_value_tensor(value) != NULL) {
        edit->n_unused++;
        edit->nbytes_unused += oq_model_tensor(edit->draft->model, oq_value_tensor(value))->nbytes;
    }
    return oq_edit_drop(edit, value->graph->ordinal, value->name, false);
}

/* A node, or NULL once that has left; and how many of its outputs are known to be of no need. */
struct maker {
    Oq__Pb__NodeProto *node;
    size_t n_without_need;
    bool is_useless; /* one of them */
};

/* Nodes that leave are found from their users on: each is looked at when one of its users left. */
struct sweep {
    struct oq_edit *edit;
    struct maker **makers;         /* [values]: what makes it, or NULL */
    const struct oq_value **queue; /* [values]: without users now */
    size_t count;
};

/* What was just written stays. Needs only end: no output is looked at again that has none. */
static bool is_dead(const struct oq_edit *edit, const struct oq_graph *graph, struct maker *maker)
{
    const Oq__Pb__NodeProto *node = maker->node;
    for (; maker->n_without_need < node->n_output; maker->n_without_need++) {
        const char *name = node->output[maker->n_without_need];
        const struct oq_value *value = oq_strmap_find(&graph->values, name);
        if (name[0] != '\0' && (value == NULL || is_needed(edit, value)))
            return false;
        maker->is_useless |= is_useless(edit, value);
    }
    return maker->is_useless;
}

static bool find_makers(struct sweep *sweep, size_t ordinal)
{
    const struct oq_edit_graph *state = &sweep->edit->states[ordinal];
    const struct oq_graph *graph = sweep->edit->graphs->list[ordinal];
    struct maker *makers = oq_arena_array(sweep->edit->arena, state->n_nodes + 1, sizeof(*makers));
    for (size_t i = 0; makers != NULL && i < state->n_nodes; i++) {
        makers[i].node = state->nodes[i];
        for (size_t k = 0; k < state->nodes[i]->n_output; k++) {
            const struct oq_value *value =
                oq_strmap_find(&graph->values, state->nodes[i]->output[k]);
            if (value == NULL)
                continue;
            sweep->makers[value->ordinal] = &makers[i];
            if (sweep->edit->n_left[value->ordinal] == 0)
                sweep->queue[sweep->count++] = value;
        }
    }
    return makers != NULL;
}

static bool remove_node(struct sweep *sweep, const struct oq_graph *graph, struct maker *maker)
{
    const Oq__Pb__NodeProto *node = maker->node;
    maker->node = NULL;
    for (size_t i = 0; i < node->n_output; i++) {
        const struct oq_value *value = oq_strmap_find(&graph->values, node->output[i]);
        if (value != NULL && !leave(sweep->edit, value))
            return false;
    }
    for (size_t i = 0; i < node->n_input; i++) {
        const struct oq_value *value = oq_graph_find(graph, node->input[i]);
        if (value != NULL && --sweep->edit->n_left[value->ordinal] == 0)
            sweep->queue[sweep->count++] = value;
    }
    return true;
}

static bool remove_dead_nodes(struct sweep *sweep)
{
    for (size_t i = 0; i < sweep->count; i++) {
        const struct oq_value *value = sweep->queue[i];
        struct maker *maker = sweep->makers[value->ordinal];
        if (maker != NULL && maker->node != NULL && is_dead(sweep->edit, value->graph, maker) &&
            !remove_node(sweep, value->graph, maker))
            return false;
    }
    return true;
}

static bool has_left(const struct sweep *sweep, const struct oq_graph *graph,
                     const Oq__Pb__NodeProto *node)
{
    for (size_t i = 0; i < node->n_output; i++) {
        const struct oq_value *value = oq_strmap_find(&graph->values, node->output[i]);
        if (value != NULL)
            return sweep->makers[value->ordinal]->node == NULL;
    }
    return false;
}

static void keep_the_rest(struct sweep *sweep, size_t ordinal)
{
    struct oq_edit_graph *state = &sweep->edit->states[ordinal];
    size_t n = 0;
    for (size_t i = 0; i < state->n_nodes; i++)
        if (!has_left(sweep, sweep->edit->graphs->list[ordinal], state->nodes[i]))
            state->nodes[n++] = state->nodes[i];
    state->n_nodes = n;
}

static bool sweep_nodes(struct oq_edit *edit)
{
    struct sweep sweep = {.edit = edit};
    size_t n = edit->graphs->n_values + 1;
    sweep.makers = oq_arena_array(edit->arena, n, sizeof(*sweep.makers));
    sweep.queue = oq_arena_array(edit->arena, n, sizeof(*sweep.queue));
    if (sweep.makers == NULL || sweep.queue == NULL)
        return oq_arena_fail(edit->arena, edit->error);
    for (size_t g = 0; g < edit->graphs->count; g++)
        if (!find_makers(&sweep, g))
            return oq_arena_fail(edit->arena, edit->error);
    if (!remove_dead_nodes(&sweep))
        return false;
    for (size_t g = 0; g < edit->graphs->count; g++)
        keep_the_rest(&sweep, g);
    return true;
}

static bool drop_useless_initializers(struct oq_edit *edit, size_t ordinal)
{
    const struct oq_edit_graph *state = &edit->states[ordinal];
    for (size_t i = 0; i < state->proto->n_initializer; i++) {
        const char *name = state->proto->initializer[i]->name;
        const struct oq_value *value =
            name == NULL ? NULL : oq_strmap_find(&edit->graphs->list[ordinal]->values, name);
        if (is_useless(edit, value) && !oq_edit_is_dropped(edit, ordinal, name) &&
            !leave(edit, value))
            return false;
    }
    return true;
}

bool oq_edit_sweep(struct oq_edit *edit)
{
    count_uses(edit);
    if (!sweep_nodes(edit))
        return false;
    for (size_t g = 0; g < edit->graphs->count; g++)
        if (!drop_useless_initializers(edit, g))
            return false;
    return true;
}
