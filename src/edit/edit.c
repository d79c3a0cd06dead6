/* The lists of a changed graph, and how they are put in place at the end. */
#include "edit/edit.h"

void *oq_edit_allocate(struct oq_edit *edit, size_t count, size_t size)
{
    void *memory = oq_arena_array(edit->arena, count, size);
    if (memory == NULL)
        edit->failed = true;
    return memory;
}

void *oq_edit_appended(struct oq_edit *edit, void *list, size_t n, void *item)
{
    void **longer = oq_edit_allocate(edit, n + 1, sizeof(*longer));
    if (longer == NULL)
        return NULL;
    if (n > 0)
        memcpy(longer, list, n * sizeof(*longer));
    longer[n] = item;
    return longer;
}

/* --- setting up --- */

static bool take_name(struct oq_edit *edit, struct oq_strmap *names, const char *name)
{
    if (name == NULL || name[0] == '\0')
        return true;
    void **place = oq_strmap_place(names, name);
    if (place == NULL)
        return oq_arena_fail(edit->arena, edit->error);
    *place = &edit->untried;
    return true;
}

static bool take_names(struct oq_edit *edit, struct oq_strmap *names, char **list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!take_name(edit, names, list[i]))
            return false;
    return true;
}

/* Over all graphs: a name in a body must not be that of a value around it, nor the reverse. */
static bool take_graph_names(struct oq_edit *edit, const Oq__Pb__GraphProto *graph)
{
    struct oq_strmap *names = &edit->value_names;
    bool ok = true;
    for (size_t i = 0; ok && i < graph->n_input; i++)
        ok = take_name(edit, names, graph->input[i]->name);
    for (size_t i = 0; ok && i < graph->n_output; i++)
        ok = take_name(edit, names, graph->output[i]->name);
    for (size_t i = 0; ok && i < graph->n_initializer; i++)
        ok = take_name(edit, names, graph->initializer[i]->name);
    for (size_t i = 0; ok && i < graph->n_sparse_initializer; i++)
        if (graph->sparse_initializer[i]->values != NULL)
            ok = take_name(edit, names, graph->sparse_initializer[i]->values->name);
    for (size_t i = 0; ok && i < graph->n_node; i++) {
        const Oq__Pb__NodeProto *node = graph->node[i];
        ok = take_names(edit, names, node->input, node->n_input) &&
             take_names(edit, names, node->output, node->n_output) &&
             take_name(edit, &edit->node_names, node->name);
    }
    return ok;
}

static bool init_graph(struct oq_edit *edit, size_t ordinal)
{
    struct oq_edit_graph *state = &edit->states[ordinal];
    state->ordinal = ordinal;
    oq_strmap_init(&state->made, edit->arena);
    oq_strmap_init(&state->dropped, edit->arena);
    oq_strmap_init(&state->typed, edit->arena);
    for (size_t i = 0; i < state->proto->n_value_info; i++)
        if (!take_name(edit, &state->typed, state->proto->value_info[i]->name))
            return false;
    for (size_t i = 0; i < state->proto->n_output; i++)
        if (!take_name(edit, &state->typed, state->proto->output[i]->name))
            return false;
    return take_graph_names(edit, state->proto);
}

static void set_bodies(struct oq_edit *edit, const Oq__Pb__GraphProto *graph, size_t *next)
{
    for (size_t i = 0; i < graph->n_node; i++)
        for (size_t k = 0; k < graph->node[i]->n_attribute; k++) {
            const Oq__Pb__AttributeProto *attribute = graph->node[i]->attribute[k];
            if (attribute->g != NULL)
                edit->states[(*next)++].proto = attribute->g;
            for (size_t j = 0; j < attribute->n_graphs; j++)
                edit->states[(*next)++].proto = attribute->graphs[j];
        }
}

/* The draft's graphs, in the order in which the model's were numbered. */
static void set_graphs(struct oq_edit *edit)
{
    size_t next = 0;
    edit->states[next++].proto = edit->draft->proto->graph;
    for (size_t g = 0; g < edit->graphs->count; g++)
        set_bodies(edit, edit->states[g].proto, &next);
}

bool oq_edit_init(struct oq_edit *edit, struct oq_draft *draft, bool freeze_inputs,
                  onnxq_error *error)
{
    *edit = (struct oq_edit){.draft = draft,
                             .arena = draft->arena,
                             .error = error,
                             .freeze_inputs = freeze_inputs,
                             .graphs = &draft->model->graphs};
    oq_strmap_init(&edit->value_names, edit->arena);
    oq_strmap_init(&edit->node_names, edit->arena);
    if (!oq_strmap_reserve(&edit->value_names, edit->graphs->n_values))
        return oq_arena_fail(edit->arena, error);
    edit->n_left = oq_arena_array(edit->arena, edit->graphs->n_values, sizeof(*edit->n_left));
    edit->states = oq_arena_array(edit->arena, edit->graphs->count, sizeof(*edit->states));
    if (edit->n_left == NULL || edit->states == NULL)
        return oq_arena_fail(edit->arena, error);
    set_graphs(edit);
    for (size_t g = 0; g < edit->graphs->count; g++)
        if (!init_graph(edit, g))
            return false;
    return true;
}

void oq_edit_enter(struct oq_edit *edit, size_t ordinal)
{
    edit->current = &edit->states[ordinal];
}

/* --- what leaves --- */

/* What a dropped name maps to. */
static char gone[] = "gone", remade_by_node[] = "remade";

bool oq_edit_drop(struct oq_edit *edit, size_t ordinal, const char *name, bool remade)
{
    void **place = oq_strmap_place(&edit->states[ordinal].dropped, name);
    if (place == NULL)
        return oq_arena_fail(edit->arena, edit->error);
    *place = remade ? remade_by_node : gone;
    return true;
}

static bool is_dropped(const struct oq_edit_graph *state, const char *name)
{
    return name != NULL && oq_strmap_find(&state->dropped, name) != NULL;
}

bool oq_edit_is_dropped(const struct oq_edit *edit, size_t ordinal, const char *name)
{
    return is_dropped(&edit->states[ordinal], name);
}

static bool is_gone(const struct oq_edit_graph *state, const char *name)
{
    return name != NULL && oq_strmap_find(&state->dropped, name) == gone;
}

/* --- finishing --- */

static bool is_dropped_constant(const struct oq_edit_graph *state, const Oq__Pb__NodeProto *node)
{
    return oq_node_is(node, "", "Constant") && node->n_output > 0 &&
           is_dropped(state, node->output[0]);
}

static void filter_nodes(struct oq_edit_graph *state)
{
    size_t n = 0;
    for (size_t i = 0; i < state->n_nodes; i++)
        if (!is_dropped_constant(state, state->nodes[i]))
            state->nodes[n++] = state->nodes[i];
    state->proto->node = state->nodes;
    state->proto->n_node = n;
}

static void filter_annotations(struct oq_edit *edit, const struct oq_edit_graph *state)
{
    Oq__Pb__GraphProto *proto = state->proto;
    size_t n = 0;
    for (size_t i = 0; i < proto->n_value_info; i++)
        if (!is_gone(state, proto->value_info[i]->name))
            proto->value_info[n++] = proto->value_info[i];
    proto->n_value_info = n;
    n = 0;
    for (size_t i = 0; i < proto->n_quantization_annotation; i++)
        if (!is_gone(state, proto->quantization_annotation[i]->tensor_name))
            proto->quantization_annotation[n++] = proto->quantization_annotation[i];
    edit->n_annotations += proto->n_quantization_annotation - n;
    proto->n_quantization_annotation = n;
}

static bool drop_dim_name(void *unused, const struct oq_message_path *path, onnxq_error *error)
{
    Oq__Pb__TensorShapeProto__Dimension *dim = (Oq__Pb__TensorShapeProto__Dimension *)path->message;
    (void)unused;
    (void)error;
    if (dim->value_case == OQ__PB__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM)
        dim->value_case = OQ__PB__TENSOR_SHAPE_PROTO__DIMENSION__VALUE__NOT_SET;
    return true;
}

/* Types, ranks and fixed dimensions stay. */
static bool drop_dim_names(const struct oq_edit *edit, const Oq__Pb__GraphProto *graph)
{
    bool ok = true;
    for (size_t i = 0; ok && i < graph->n_value_info; i++)
        ok = oq_message_visit(&graph->value_info[i]->base,
                              &oq__pb__tensor_shape_proto__dimension__descriptor, drop_dim_name,
                              NULL, edit->error);
    return ok;
}

/* Callers may know it by name: it will be said that it left. */
static bool note_input(struct oq_edit *edit, size_t ordinal, const char *name)
{
    if (ordinal != 0)
        return true;
    if (!oq_arena_grow(edit->arena, &edit->inputs, edit->n_inputs, &edit->inputs_capacity,
                       sizeof(*edit->inputs)))
        return oq_arena_fail(edit->arena, edit->error);
    edit->inputs[edit->n_inputs++] = name;
    return true;
}

static bool filter_inputs(struct oq_edit *edit, size_t ordinal)
{
    const struct oq_edit_graph *state = &edit->states[ordinal];
    Oq__Pb__GraphProto *proto = state->proto;
    size_t n = 0;
    for (size_t i = 0; i < proto->n_input; i++) {
        const char *name = proto->input[i]->name;
        const struct oq_value *value =
            name == NULL ? NULL : oq_strmap_find(&edit->graphs->list[ordinal]->values, name);
        bool is_default = value != NULL && value->origin != OQ_ORIGIN_INPUT;
        bool leaves = is_default && (edit->freeze_inputs || is_dropped(state, name));
        if (!leaves)
            proto->input[n++] = proto->input[i];
        else if (!note_input(edit, ordinal, name))
            return false;
    }
    proto->n_input = n;
    return true;
}

static bool replace_initializers(struct oq_edit *edit, const struct oq_edit_graph *state)
{
    Oq__Pb__GraphProto *proto = state->proto;
    Oq__Pb__TensorProto **list =
        oq_arena_array(edit->arena, proto->n_initializer + state->n_tensors + 1, sizeof(*list));
    size_t n = 0;
    if (list == NULL)
        return oq_arena_fail(edit->arena, edit->error);
    for (size_t i = 0; i < proto->n_initializer; i++)
        if (!is_dropped(state, proto->initializer[i]->name))
            list[n++] = proto->initializer[i];
    for (size_t i = 0; i < state->n_tensors; i++)
        list[n++] = state->tensors[i];
    proto->initializer = list;
    proto->n_initializer = n;
    return true;
}

static bool add_value_infos(struct oq_edit *edit, const struct oq_edit_graph *state)
{
    Oq__Pb__GraphProto *proto = state->proto;
    size_t n = proto->n_value_info;
    Oq__Pb__ValueInfoProto **list =
        oq_arena_array(edit->arena, n + state->n_value_infos + 1, sizeof(*list));
    if (list == NULL)
        return oq_arena_fail(edit->arena, edit->error);
    if (n > 0)
        memcpy(list, proto->value_info, n * sizeof(*list));
    if (state->n_value_infos > 0)
        memcpy(list + n, state->value_infos, state->n_value_infos * sizeof(*list));
    proto->value_info = list;
    proto->n_value_info = n + state->n_value_infos;
    return true;
}

static bool finish_graph(struct oq_edit *edit, size_t ordinal)
{
    struct oq_edit_graph *state = &edit->states[ordinal];
    filter_annotations(edit, state);
    filter_nodes(state);
    if (state->drop_dim_names && !drop_dim_names(edit, state->proto))
        return false;
    return filter_inputs(edit, ordinal) && add_value_infos(edit, state) &&
           replace_initializers(edit, state);
}

/* A version that has all that is written into models without any operator of ai.onnx. */
#define OPSET_WHERE_NONE_WAS 13

static bool is_imported(const Oq__Pb__ModelProto *model, const char *domain)
{
    for (size_t i = 0; i < model->n_opset_import; i++)
        if (strcmp(oq_domain(model->opset_import[i]->domain), domain) == 0)
            return true;
    return false;
}

static bool add_import(struct oq_edit *edit, char *domain, int64_t version)
{
    Oq__Pb__ModelProto *model = edit->draft->proto;
    if (is_imported(model, domain))
        return true;
    Oq__Pb__OperatorSetIdProto *entry = oq_arena_alloc(edit->arena, sizeof(*entry));
    void *list = oq_edit_appended(edit, model->opset_import, model->n_opset_import, entry);
    if (entry == NULL || list == NULL)
        return oq_arena_fail(edit->arena, edit->error);
    oq__pb__operator_set_id_proto__init(entry);
    entry->domain = domain;
    entry->has_version = true;
    entry->version = version;
    model->opset_import = list;
    model->n_opset_import++;
    return true;
}

/* Models from before there were operator sets mean version 1. */
static bool import_domains(struct oq_edit *edit)
{
    static char contrib[] = "com.microsoft", standard[] = "";
    int64_t version = edit->draft->proto->n_opset_import == 0 ? 1 : OPSET_WHERE_NONE_WAS;
    return (!edit->uses_standard || add_import(edit, standard, version)) &&
           (!edit->uses_contrib || add_import(edit, contrib, 1));
}

bool oq_edit_set_metadata(struct oq_edit *edit, char *key, char *value)
{
    Oq__Pb__ModelProto *model = edit->draft->proto;
    for (size_t i = 0; i < model->n_metadata_props; i++) {
        Oq__Pb__StringStringEntryProto *entry = model->metadata_props[i];
        if (entry->key != NULL && strcmp(entry->key, key) == 0) {
            entry->value = value;
            return true;
        }
    }
    Oq__Pb__StringStringEntryProto *entry = oq_arena_alloc(edit->arena, sizeof(*entry));
    void *list = oq_edit_appended(edit, model->metadata_props, model->n_metadata_props, entry);
    if (entry == NULL || list == NULL)
        return oq_arena_fail(edit->arena, edit->error);
    oq__pb__string_string_entry_proto__init(entry);
    entry->key = key;
    entry->value = value;
    model->metadata_props = list;
    model->n_metadata_props++;
    return true;
}

bool oq_edit_finish(struct oq_edit *edit)
{
    Oq__Pb__ModelProto *model = edit->draft->proto;
    for (size_t g = 0; g < edit->graphs->count; g++)
        if (!finish_graph(edit, g))
            return false;
    if (model->ir_version < 4) { /* before, every initializer had to be an input */
        model->has_ir_version = true;
        model->ir_version = 4;
    }
    return import_domains(edit) && oq_draft_finish(edit->draft, edit->error);
}
