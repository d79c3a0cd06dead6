/* Applies a plan to a copy of the model's structure. */
#include "quantize/rewrite.h"

#include "quantize/rewrite_state.h"
#include "quantize/rules.h"

/* A tensor from this size on may lie in a side file: a page, which can be mapped. */
#define MIN_EXTERNAL_NBYTES 4096

bool oq_plan_add_recipe(onnxq_plan *plan, const struct oq_recipe *recipe, uint32_t *number,
                        onnxq_error *error)
{
    size_t capacity = plan->recipes_capacity;
    if (!oq_arena_grow(&plan->arena, &plan->recipes, plan->n_recipes, &capacity,
                       sizeof(*plan->recipes)) ||
        !oq_arena_grow(&plan->arena, &plan->recipe_nbytes, plan->n_recipes, &plan->recipes_capacity,
                       sizeof(*plan->recipe_nbytes)))
        return oq_arena_fail(&plan->arena, error);
    *number = (uint32_t)plan->n_recipes;
    plan->recipes[plan->n_recipes] = *recipe;
    plan->recipe_nbytes[plan->n_recipes++] = recipe->nbytes;
    return true;
}

/* --- the copy --- */

struct copied {
    struct oq_rewrite *rewrite;
    size_t ordinal;
};

/* Payloads that are copied whole, or whose side file stays behind, become recipes. */
static bool copy_payload(void *context, const struct oq_message_path *path, onnxq_error *error)
{
    struct copied *copied = context;
    struct oq_rewrite *rewrite = copied->rewrite;
    Oq__Pb__TensorProto *proto = (Oq__Pb__TensorProto *)path->message;
    const struct oq_tensor *tensor = &rewrite->plan->model->tensors[copied->ordinal++];
    const struct oq_recipe recipe = {
        .kind = OQ_RECIPE_COPY, .nbytes = tensor->nbytes, .tensor = tensor};
    uint32_t number;
    bool large = tensor->contiguous && tensor->nbytes >= MIN_EXTERNAL_NBYTES;
    if (!large && !tensor->external)
        return true;
    struct oq_payload *payload = oq_arena_alloc(rewrite->arena, sizeof(*payload));
    if (payload == NULL || !oq_plan_add_recipe(rewrite->plan, &recipe, &number, error))
        return oq_arena_fail(rewrite->arena, error);
    *payload = (struct oq_payload){.kind = OQ_PAYLOAD_RECIPE, .first = number};
    proto->has_raw_data = true;
    proto->raw_data = (ProtobufCBinaryData){sizeof(*payload), (uint8_t *)payload};
    proto->has_data_location = false;
    proto->n_external_data = 0;
    return true;
}

static bool take_name(struct oq_rewrite *rewrite, struct oq_strmap *names, char *name)
{
    if (name == NULL || name[0] == '\0')
        return true;
    void **place = oq_strmap_place(names, name);
    if (place == NULL)
        return oq_arena_fail(rewrite->arena, rewrite->error);
    *place = name;
    return true;
}

static bool take_names(struct oq_rewrite *rewrite, struct oq_strmap *names, char **list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!take_name(rewrite, names, list[i]))
            return false;
    return true;
}

/* Over all graphs: a name in a body must not be that of a value around it, nor the reverse. */
static bool take_graph_names(struct oq_rewrite *rewrite, const Oq__Pb__GraphProto *graph)
{
    struct oq_strmap *names = &rewrite->value_names;
    bool ok = true;
    for (size_t i = 0; ok && i < graph->n_input; i++)
        ok = take_name(rewrite, names, graph->input[i]->name);
    for (size_t i = 0; ok && i < graph->n_output; i++)
        ok = take_name(rewrite, names, graph->output[i]->name);
    for (size_t i = 0; ok && i < graph->n_initializer; i++)
        ok = take_name(rewrite, names, graph->initializer[i]->name);
    for (size_t i = 0; ok && i < graph->n_sparse_initializer; i++)
        if (graph->sparse_initializer[i]->values != NULL)
            ok = take_name(rewrite, names, graph->sparse_initializer[i]->values->name);
    for (size_t i = 0; ok && i < graph->n_node; i++) {
        const Oq__Pb__NodeProto *node = graph->node[i];
        ok = take_names(rewrite, names, node->input, node->n_input) &&
             take_names(rewrite, names, node->output, node->n_output) &&
             take_name(rewrite, &rewrite->node_names, node->name);
    }
    return ok;
}

static bool init_graph(struct oq_rewrite *rewrite, size_t ordinal)
{
    struct oq_rewrite_graph *state = &rewrite->states[ordinal];
    /* The index only reads what it indexes; this copy is ours to change. */
    state->proto = (Oq__Pb__GraphProto *)(uintptr_t)rewrite->graphs.list[ordinal]->proto;
    state->sites = oq_arena_array(rewrite->arena, state->proto->n_node + 1, sizeof(*state->sites));
    oq_strmap_init(&state->activations, rewrite->arena);
    oq_strmap_init(&state->float_inputs, rewrite->arena);
    oq_strmap_init(&state->transposed, rewrite->arena);
    oq_strmap_init(&state->dropped, rewrite->arena);
    oq_strmap_init(&state->typed, rewrite->arena);
    if (state->sites == NULL)
        return oq_arena_fail(rewrite->arena, rewrite->error);
    for (size_t i = 0; i < state->proto->n_value_info; i++)
        if (!take_name(rewrite, &state->typed, state->proto->value_info[i]->name))
            return false;
    for (size_t i = 0; i < state->proto->n_output; i++)
        if (!take_name(rewrite, &state->typed, state->proto->output[i]->name))
            return false;
    return take_graph_names(rewrite, state->proto);
}

static bool init(struct oq_rewrite *rewrite)
{
    onnxq_plan *plan = rewrite->plan;
    struct copied copied = {rewrite, 0};
    plan->output = oq_model_copy_proto(plan->model, rewrite->arena, rewrite->error);
    if (plan->output == NULL ||
        !oq_message_visit(&plan->output->base, &oq__pb__tensor_proto__descriptor, copy_payload,
                          &copied, rewrite->error) ||
        !oq_graphs_init(&rewrite->graphs, plan->output->graph, rewrite->arena, rewrite->error))
        return false;
    oq_strmap_init(&rewrite->value_names, rewrite->arena);
    oq_strmap_init(&rewrite->node_names, rewrite->arena);
    rewrite->states =
        oq_arena_array(rewrite->arena, rewrite->graphs.count, sizeof(*rewrite->states));
    if (rewrite->states == NULL)
        return oq_arena_fail(rewrite->arena, rewrite->error);
    for (size_t g = 0; g < rewrite->graphs.count; g++)
        if (!init_graph(rewrite, g))
            return false;
    return true;
}

/* --- nodes --- */

/* Folded weights come first in their graph; nodes with an integer form are looked up later. */
static bool start_constant(struct oq_rewrite *rewrite, struct oq_constant *constant)
{
    for (size_t i = 0; i < constant->n_sites; i++) {
        const struct oq_site *site = &constant->sites[i];
        if (site->action == ONNXQ_DYNAMIC && site->through == NULL)
            rewrite->states[site->graph->ordinal].sites[site->node_index] = site;
    }
    return constant->fold == NULL || oq_rewrite_fold(rewrite, constant);
}

static bool rewrite_nodes(struct oq_rewrite *rewrite, struct oq_rewrite_graph *state)
{
    rewrite->current = state;
    for (size_t i = 0; i < state->proto->n_node; i++) {
        const struct oq_site *site = state->sites[i];
        bool ok = site == NULL ? oq_rewrite_push_node(rewrite, state->proto->node[i])
                               : site->rule->emit(rewrite, site);
        if (!ok)
            return false;
    }
    return true;
}

/* --- what has become useless --- */

/* Uses that are left of a value of the model; new names have none and are not asked about. */
static size_t *uses_left(const struct oq_graph *graph, const char *name)
{
    struct oq_value *value = oq_graph_find(graph, name);
    return value == NULL ? NULL : &value->n_left;
}

static void count_use(const struct oq_graph *graph, const char *name)
{
    size_t *left = uses_left(graph, name);
    if (left != NULL)
        ++*left;
}

static void count_uses(const struct oq_rewrite *rewrite)
{
    for (size_t g = 0; g < rewrite->graphs.count; g++) {
        const struct oq_rewrite_graph *state = &rewrite->states[g];
        const struct oq_graph *graph = rewrite->graphs.list[g];
        for (size_t i = 0; i < state->n_nodes; i++)
            for (size_t k = 0; k < state->nodes[i]->n_input; k++)
                count_use(graph, state->nodes[i]->input[k]);
        for (size_t i = 0; i < state->proto->n_output; i++)
            count_use(graph, state->proto->output[i]->name);
    }
}

/* A node of a constant chain that had users, and lost them to an integer operator. */
static bool is_dead(const struct oq_graph *graph, const Oq__Pb__NodeProto *node)
{
    if (!oq_source_sees_through(node))
        return false;
    const struct oq_value *value = oq_strmap_find(&graph->values, node->output[0]);
    return value != NULL && value->n_uses > 0 && value->n_left == 0;
}

/* Last node first, so that the nodes before it in a chain follow; false: nothing was removed. */
static bool remove_dead_nodes(struct oq_rewrite *rewrite, size_t ordinal)
{
    struct oq_rewrite_graph *state = &rewrite->states[ordinal];
    const struct oq_graph *graph = rewrite->graphs.list[ordinal];
    size_t first = state->n_nodes; /* of those that stay, moved to the end */
    for (size_t i = state->n_nodes; i-- > 0;) {
        Oq__Pb__NodeProto *node = state->nodes[i];
        if (!is_dead(graph, node)) {
            state->nodes[--first] = node;
            continue;
        }
        for (size_t k = 0; k < node->n_input; k++) {
            size_t *left = uses_left(graph, node->input[k]);
            if (left != NULL)
                --*left;
        }
    }
    state->nodes += first;
    state->n_nodes -= first;
    return first > 0;
}

/* Chains may run through several graphs: until nothing changes. */
static void remove_dead_chains(struct oq_rewrite *rewrite)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t g = rewrite->graphs.count; g-- > 0;)
            changed |= remove_dead_nodes(rewrite, g);
    }
}

/* A constant that had users and has none any more, or that a folded one replaces, leaves. */
static bool leaves(const struct oq_rewrite *rewrite, const struct oq_constant *constant)
{
    if (constant->value == NULL || constant->value->n_uses == 0)
        return false;
    const struct oq_value *value =
        oq_strmap_find(&rewrite->graphs.list[constant->graph->ordinal]->values, constant->name);
    return constant->fold != NULL || value == NULL || value->n_left == 0;
}

static bool drop_constants(struct oq_rewrite *rewrite)
{
    count_uses(rewrite);
    remove_dead_chains(rewrite);
    for (size_t i = 0; i < rewrite->plan->model->n_tensors; i++) {
        struct oq_constant *constant = &rewrite->plan->constants[i];
        constant->kept = !leaves(rewrite, constant);
        if (constant->kept) {
            constant->nbytes_after += constant->tensor->nbytes;
            continue;
        }
        void **place =
            oq_strmap_place(&rewrite->states[constant->graph->ordinal].dropped, constant->name);
        if (place == NULL)
            return oq_arena_fail(rewrite->arena, rewrite->error);
        *place = constant;
    }
    return true;
}

static const struct oq_constant *find_dropped(const struct oq_rewrite_graph *state,
                                              const char *name)
{
    return name == NULL ? NULL : oq_strmap_find(&state->dropped, name);
}

static bool is_dropped_node(const struct oq_rewrite_graph *state, const Oq__Pb__NodeProto *node)
{
    return oq_node_is(node, "", "Constant") && node->n_output > 0 &&
           find_dropped(state, node->output[0]) != NULL;
}

/* Nothing makes the name any more; that of a folded weight is made by a node. */
static bool is_gone(const struct oq_rewrite_graph *state, const char *name)
{
    const struct oq_constant *dropped = find_dropped(state, name);
    return dropped != NULL && dropped->fold == NULL;
}

static void filter_annotations(const struct oq_rewrite_graph *state)
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
    proto->n_quantization_annotation = n;
}

static void filter_inputs(const struct oq_rewrite *rewrite, size_t ordinal)
{
    const struct oq_rewrite_graph *state = &rewrite->states[ordinal];
    Oq__Pb__GraphProto *proto = state->proto;
    size_t n = 0;
    for (size_t i = 0; i < proto->n_input; i++) {
        const char *name = proto->input[i]->name;
        const struct oq_value *value =
            name == NULL ? NULL : oq_strmap_find(&rewrite->graphs.list[ordinal]->values, name);
        bool is_default = value != NULL && value->origin != OQ_ORIGIN_INPUT;
        bool leaves = is_default && (rewrite->plan->freeze_inputs || find_dropped(state, name));
        if (!leaves)
            proto->input[n++] = proto->input[i];
    }
    proto->n_input = n;
}

static bool replace_initializers(struct oq_rewrite *rewrite, const struct oq_rewrite_graph *state)
{
    Oq__Pb__GraphProto *proto = state->proto;
    Oq__Pb__TensorProto **list =
        oq_arena_array(rewrite->arena, proto->n_initializer + state->n_tensors + 1, sizeof(*list));
    size_t n = 0;
    if (list == NULL)
        return oq_arena_fail(rewrite->arena, rewrite->error);
    for (size_t i = 0; i < proto->n_initializer; i++)
        if (find_dropped(state, proto->initializer[i]->name) == NULL)
            list[n++] = proto->initializer[i];
    for (size_t i = 0; i < state->n_tensors; i++)
        list[n++] = state->tensors[i];
    proto->initializer = list;
    proto->n_initializer = n;
    return true;
}

static bool add_value_infos(struct oq_rewrite *rewrite, const struct oq_rewrite_graph *state)
{
    Oq__Pb__GraphProto *proto = state->proto;
    size_t n = proto->n_value_info;
    Oq__Pb__ValueInfoProto **list =
        oq_arena_array(rewrite->arena, n + state->n_value_infos + 1, sizeof(*list));
    if (list == NULL)
        return oq_arena_fail(rewrite->arena, rewrite->error);
    if (n > 0)
        memcpy(list, proto->value_info, n * sizeof(*list));
    if (state->n_value_infos > 0)
        memcpy(list + n, state->value_infos, state->n_value_infos * sizeof(*list));
    proto->value_info = list;
    proto->n_value_info = n + state->n_value_infos;
    return true;
}

static bool finish_graph(struct oq_rewrite *rewrite, size_t ordinal)
{
    struct oq_rewrite_graph *state = &rewrite->states[ordinal];
    size_t n = 0;
    for (size_t i = 0; i < state->n_nodes; i++)
        if (!is_dropped_node(state, state->nodes[i]))
            state->nodes[n++] = state->nodes[i];
    filter_inputs(rewrite, ordinal);
    filter_annotations(state);
    state->proto->node = state->nodes;
    state->proto->n_node = n;
    return add_value_infos(rewrite, state) && replace_initializers(rewrite, state);
}

/* --- the model around the graph --- */

static bool import_contrib(struct oq_rewrite *rewrite)
{
    Oq__Pb__ModelProto *model = rewrite->plan->output;
    static char domain[] = "com.microsoft";
    if (!rewrite->uses_contrib || oq_model_opset(model, domain) != 0)
        return true;
    Oq__Pb__OperatorSetIdProto *import = oq_arena_alloc(rewrite->arena, sizeof(*import));
    Oq__Pb__OperatorSetIdProto **list =
        oq_arena_array(rewrite->arena, model->n_opset_import + 1, sizeof(*list));
    if (import == NULL || list == NULL)
        return oq_arena_fail(rewrite->arena, rewrite->error);
    oq__pb__operator_set_id_proto__init(import);
    import->domain = domain;
    import->has_version = true;
    import->version = 1;
    memcpy(list, model->opset_import, model->n_opset_import * sizeof(*list));
    list[model->n_opset_import++] = import;
    model->opset_import = list;
    return true;
}

/* Sets an entry of metadata_props, replacing one that an earlier run has left. */
static bool set_metadata(struct oq_rewrite *rewrite, char *key, char *value)
{
    Oq__Pb__ModelProto *model = rewrite->plan->output;
    for (size_t i = 0; i < model->n_metadata_props; i++) {
        Oq__Pb__StringStringEntryProto *entry = model->metadata_props[i];
        if (entry->key != NULL && strcmp(entry->key, key) == 0) {
            entry->value = value;
            return true;
        }
    }
    Oq__Pb__StringStringEntryProto *entry = oq_arena_alloc(rewrite->arena, sizeof(*entry));
    Oq__Pb__StringStringEntryProto **list =
        oq_arena_array(rewrite->arena, model->n_metadata_props + 1, sizeof(*list));
    if (entry == NULL || list == NULL)
        return oq_arena_fail(rewrite->arena, rewrite->error);
    oq__pb__string_string_entry_proto__init(entry);
    entry->key = key;
    entry->value = value;
    if (model->n_metadata_props > 0)
        memcpy(list, model->metadata_props, model->n_metadata_props * sizeof(*list));
    list[model->n_metadata_props++] = entry;
    model->metadata_props = list;
    return true;
}

/* What it takes to make the same file again; nothing that differs from run to run. */
static bool add_provenance(struct oq_rewrite *rewrite)
{
    static char version_key[] = "onnxq.version", settings_key[] = "onnxq.settings";
    static char version[] = ONNXQ_VERSION_STRING;
    static const char *const conv_names[] = {"fold", "integer", "skip"};
    static const char *const method_names[] = {"dynamic", "weights", "qdq"};
    const onnxq_options *options = &rewrite->plan->options;
    char *settings = oq_arena_printf(
        rewrite->arena,
        "method=%s weight_type=%s per_channel=%d symmetric=%d reduce_range=%s conv=%s "
        "force_integer=%d min_elements=%llu",
        method_names[options->method],
        options->weight_type == ONNXQ_WEIGHT_UINT8 ? "uint8" : "int8", options->per_channel,
        options->symmetric, options->reduce_range == ONNXQ_REDUCE_BITS ? "bits" : "none",
        conv_names[options->conv], options->force_integer,
        (unsigned long long)options->min_elements);
    if (settings == NULL)
        return oq_arena_fail(rewrite->arena, rewrite->error);
    return set_metadata(rewrite, version_key, version) &&
           set_metadata(rewrite, settings_key, settings);
}

/* Initializers that a recipe makes. */
static bool collect_large(void *context, const struct oq_message_path *path, onnxq_error *error)
{
    onnxq_plan *plan = context;
    Oq__Pb__TensorProto *proto = (Oq__Pb__TensorProto *)path->message;
    struct oq_payload payload;
    bool initializer = path->parent != NULL &&
                       path->parent->message->descriptor == &oq__pb__graph_proto__descriptor;
    if (!initializer || !oq_payload_get(proto, &payload) || payload.kind != OQ_PAYLOAD_RECIPE ||
        plan->recipe_nbytes[payload.first] < MIN_EXTERNAL_NBYTES)
        return true;
    if (!oq_arena_grow(&plan->arena, &plan->large, plan->n_large, &plan->large_capacity,
                       sizeof(*plan->large)))
        return oq_arena_fail(&plan->arena, error);
    plan->large[plan->n_large++] = (struct oq_large_tensor){proto, payload.first};
    return true;
}

static bool finish_model(struct oq_rewrite *rewrite)
{
    Oq__Pb__ModelProto *model = rewrite->plan->output;
    if (model->ir_version < 4) { /* before, every initializer had to be an input */
        model->has_ir_version = true;
        model->ir_version = 4;
    }
    return import_contrib(rewrite) && add_provenance(rewrite) &&
           oq_message_visit(&model->base, &oq__pb__tensor_proto__descriptor, collect_large,
                            rewrite->plan, rewrite->error);
}

static bool has_work(const onnxq_plan *plan)
{
    for (size_t i = 0; i < plan->n_constants; i++)
        if (plan->constants[i].quantized != NULL)
            return true;
    return false;
}

static bool rewrite_all(struct oq_rewrite *rewrite)
{
    for (size_t i = 0; i < rewrite->plan->n_constants; i++)
        if (!start_constant(rewrite, &rewrite->plan->constants[i]))
            return false;
    for (size_t g = 0; g < rewrite->graphs.count; g++)
        if (!rewrite_nodes(rewrite, &rewrite->states[g]))
            return false;
    if (!drop_constants(rewrite))
        return false;
    for (size_t g = 0; g < rewrite->graphs.count; g++)
        if (!finish_graph(rewrite, g))
            return false;
    return finish_model(rewrite);
}

bool oq_plan_rewrite(onnxq_plan *plan, onnxq_error *error)
{
    struct oq_rewrite rewrite = {.plan = plan, .arena = &plan->arena, .error = error};
    if (!has_work(plan)) {
        for (size_t i = 0; i < plan->model->n_tensors; i++)
            plan->constants[i].nbytes_after = plan->constants[i].tensor->nbytes;
        return true;
    }
    bool ok = init(&rewrite) && rewrite_all(&rewrite);
    return (ok && !rewrite.failed) || oq_arena_fail(&plan->arena, error);
}
