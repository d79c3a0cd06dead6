/*
 * What training information names: training updates initializers of the main graph by name,
 * and its own graphs see values of that graph.
 */
#include "model/training.h"

/* Of the main graph. */
static void name_value(const struct oq_graph *graph, const char *name)
{
    struct oq_value *value = oq_graph_find(graph, name);
    if (value != NULL)
        value->is_named = true;
}

static bool name_inputs(void *context, const struct oq_message_path *path, onnxq_error *error)
{
    const Oq__Pb__NodeProto *node = (const Oq__Pb__NodeProto *)path->message;
    (void)error;
    for (size_t i = 0; i < node->n_input; i++)
        name_value(context, node->input[i]);
    return true;
}

static bool name_outputs(void *context, const struct oq_message_path *path, onnxq_error *error)
{
    const Oq__Pb__GraphProto *graph = (const Oq__Pb__GraphProto *)path->message;
    (void)error;
    for (size_t i = 0; i < graph->n_output; i++)
        name_value(context, graph->output[i]->name);
    return true;
}

static void name_bindings(const struct oq_graph *graph,
                          Oq__Pb__StringStringEntryProto *const *entries, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        name_value(graph, entries[i]->key);
        name_value(graph, entries[i]->value);
    }
}

void oq_training_note(const Oq__Pb__ModelProto *model, const struct oq_graphs *graphs)
{
    struct oq_graph *graph = graphs->list[0];
    onnxq_error ignored; /* the visitors have none */
    for (size_t i = 0; i < model->n_training_info; i++) {
        Oq__Pb__TrainingInfoProto *training = model->training_info[i];
        oq_message_visit(&training->base, &oq__pb__node_proto__descriptor, name_inputs, graph,
                         &ignored);
        oq_message_visit(&training->base, &oq__pb__graph_proto__descriptor, name_outputs, graph,
                         &ignored);
        name_bindings(graph, training->initialization_binding, training->n_initialization_binding);
        name_bindings(graph, training->update_binding, training->n_update_binding);
    }
}
