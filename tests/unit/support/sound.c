#include "support/sound.h"

#include <string.h>

#include "support/suite.h"

/* Names that a graph has made so far, and the graph around it. */
struct scope {
    const struct scope *around;
    const char *names[512];
    size_t n_names;
};

static bool knows(const struct scope *scope, const char *name)
{
    for (; scope != NULL; scope = scope->around)
        for (size_t i = 0; i < scope->n_names; i++)
            if (strcmp(scope->names[i], name) == 0)
                return true;
    return false;
}

static void make(struct scope *scope, const char *name)
{
    if (name[0] == '\0')
        return;
    if (knows(scope, name))
        fail_msg("\"%s\" is made twice", name);
    assert_compare(scope->n_names, <, COUNT(scope->names));
    scope->names[scope->n_names++] = name;
}

static void need(const struct scope *scope, const char *name)
{
    if (name[0] != '\0' && !knows(scope, name))
        fail_msg("\"%s\" is used before it is made", name);
}

static void check_graph(const Oq__Pb__ModelProto *model, const Oq__Pb__GraphProto *graph,
                        const struct scope *around);

static void check_domain(const Oq__Pb__ModelProto *model, const Oq__Pb__NodeProto *node)
{
    const char *domain = node->domain == NULL ? "" : node->domain;
    for (size_t i = 0; i < model->n_opset_import; i++) {
        const char *imported = model->opset_import[i]->domain;
        if (strcmp(imported == NULL ? "" : imported, domain) == 0)
            return;
    }
    fail_msg("domain \"%s\" of %s is not imported", domain, node->op_type);
}

static void check_node(const Oq__Pb__ModelProto *model, const Oq__Pb__NodeProto *node,
                       struct scope *scope)
{
    check_domain(model, node);
    for (size_t i = 0; i < node->n_input; i++)
        need(scope, node->input[i]);
    for (size_t i = 0; i < node->n_attribute; i++)
        if (node->attribute[i]->g != NULL)
            check_graph(model, node->attribute[i]->g, scope);
    for (size_t i = 0; i < node->n_output; i++)
        make(scope, node->output[i]);
}

/* Nodes that had no name may keep none. */
static void check_node_names(const Oq__Pb__GraphProto *graph)
{
    for (size_t i = 0; i < graph->n_node; i++)
        for (size_t k = 0; k < i; k++)
            if (graph->node[i]->name != NULL && graph->node[k]->name != NULL &&
                strcmp(graph->node[i]->name, graph->node[k]->name) == 0)
                fail_msg("two nodes are called \"%s\"", graph->node[i]->name);
}

static void check_graph(const Oq__Pb__ModelProto *model, const Oq__Pb__GraphProto *graph,
                        const struct scope *around)
{
    struct scope *scope = test_alloc(sizeof(*scope));
    scope->around = around;
    for (size_t i = 0; i < graph->n_input; i++)
        make(scope, graph->input[i]->name);
    for (size_t i = 0; i < graph->n_initializer; i++)
        if (!knows(scope, graph->initializer[i]->name))
            make(scope, graph->initializer[i]->name);
    for (size_t i = 0; i < graph->n_node; i++)
        check_node(model, graph->node[i], scope);
    for (size_t i = 0; i < graph->n_output; i++)
        need(scope, graph->output[i]->name);
    check_node_names(graph);
}

void check_sound(const Oq__Pb__ModelProto *model)
{
    assert_compare(model->ir_version, >=, 4);
    check_graph(model, model->graph, NULL);
}
