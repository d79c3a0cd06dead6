/* Opens a model: scan, unpack, views of tensors, graph index. */
#include "model/model.h"

#include <stdlib.h>

#include "base/checked.h"
#include "model/constant_nodes.h"
#include "model/sniff.h"
#include "model/training.h"
#include "operators/operators.h"
#include "wire/data_type.h"

/* The place of a tensor in words: its own name, or the node and attribute that hold it. */
static void add_tensor_place(const struct oq_message_path *path, onnxq_error *error)
{
    const Oq__Pb__TensorProto *tensor = (const Oq__Pb__TensorProto *)path->message;
    const char *name = tensor->name == NULL ? "" : tensor->name;
    const struct oq_message_path *parent = path->parent;
    if (parent != NULL && parent->message->descriptor == &oq__pb__attribute_proto__descriptor) {
        const Oq__Pb__AttributeProto *attribute = (const Oq__Pb__AttributeProto *)parent->message;
        const struct oq_message_path *holder = parent->parent;
        const char *node =
            holder != NULL && holder->message->descriptor == &oq__pb__node_proto__descriptor
                ? oq_node_label((const Oq__Pb__NodeProto *)holder->message)
                : "";
        oq_error_place(error, "node \"%s\", attribute \"%s\"", node,
                       attribute->name == NULL ? "" : attribute->name);
    } else {
        oq_error_place(error, "initializer \"%s\"", name);
    }
}

static bool count_tensor(void *context, const struct oq_message_path *path, onnxq_error *error)
{
    (void)path;
    (void)error;
    ++*(size_t *)context;
    return true;
}

static bool add_tensor(void *context, const struct oq_message_path *path, onnxq_error *error)
{
    onnxq_model *model = context;
    const Oq__Pb__TensorProto *proto = (const Oq__Pb__TensorProto *)path->message;
    struct oq_external_range range;
    bool external = proto->has_data_location &&
                    proto->data_location == OQ__PB__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    struct oq_tensor *tensor = &model->tensors[model->n_tensors];
    if ((external && !oq_external_find(&model->external, proto, &range, error)) ||
        !oq_tensor_init(tensor, proto, &model->file, model->skeleton.fragments,
                        external ? &range : NULL, &model->arena, error)) {
        add_tensor_place(path, error);
        return false;
    }
    tensor->ordinal = model->n_tensors++;
    return true;
}

static int compare_protos(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)(*(const struct oq_tensor *const *)a)->proto;
    uintptr_t y = (uintptr_t)(*(const struct oq_tensor *const *)b)->proto;
    return (x > y) - (x < y);
}

static bool index_tensors(onnxq_model *model, onnxq_error *error)
{
    /* Visiting only reads here: the cast is for the visitors that change a copy. */
    ProtobufCMessage *root = (ProtobufCMessage *)(uintptr_t)&model->proto->base;
    const ProtobufCMessageDescriptor *type = &oq__pb__tensor_proto__descriptor;
    size_t n = 0;
    if (!oq_message_visit(root, type, count_tensor, &n, error))
        return false;
    model->tensors = oq_arena_array(&model->arena, n + 1, sizeof(*model->tensors));
    model->tensors_by_proto =
        oq_arena_array(&model->arena, n + 1, sizeof(*model->tensors_by_proto));
    if (model->tensors == NULL || model->tensors_by_proto == NULL)
        return oq_arena_fail(&model->arena, error);
    if (!oq_message_visit(root, type, add_tensor, model, error))
        return false;
    for (size_t i = 0; i < model->n_tensors; i++)
        model->tensors_by_proto[i] = &model->tensors[i];
    qsort(model->tensors_by_proto, model->n_tensors, sizeof(*model->tensors_by_proto),
          compare_protos);
    return true;
}

const struct oq_tensor *oq_model_tensor(const onnxq_model *model, const Oq__Pb__TensorProto *proto)
{
    const struct oq_tensor wanted = {.proto = proto};
    const struct oq_tensor *key = &wanted;
    const struct oq_tensor *const *found =
        bsearch(&key, model->tensors_by_proto, model->n_tensors, sizeof(key), compare_protos);
    return *found; /* every TensorProto of the model was visited */
}

int64_t oq_imported_version(Oq__Pb__OperatorSetIdProto *const *imports, size_t n,
                            const char *domain)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(oq_domain(imports[i]->domain), domain) == 0)
            return imports[i]->version;
    return 0;
}

int64_t oq_model_opset(const Oq__Pb__ModelProto *proto, const char *domain)
{
    return oq_imported_version(proto->opset_import, proto->n_opset_import, domain);
}

static const Oq__Pb__StringStringEntryProto *find_metadata(const onnxq_model *model,
                                                           const char *key)
{
    for (size_t i = 0; i < model->proto->n_metadata_props; i++) {
        const Oq__Pb__StringStringEntryProto *entry = model->proto->metadata_props[i];
        if (entry->key != NULL && strcmp(entry->key, key) == 0)
            return entry;
    }
    return NULL;
}

bool oq_model_is_ours(const onnxq_model *model)
{
    return find_metadata(model, "onnxq.version") != NULL;
}

const char *oq_model_settings(const onnxq_model *model)
{
    const Oq__Pb__StringStringEntryProto *entry = find_metadata(model, "onnxq.settings");
    return entry == NULL ? NULL : entry->value;
}

size_t oq_model_budget(const onnxq_model *model)
{
    size_t proportional;
    if (!oq_mul_size(model->skeleton.nbytes, 64, &proportional))
        return SIZE_MAX;
    return proportional > OQ_STRUCTURE_BUDGET ? proportional : OQ_STRUCTURE_BUDGET;
}

/* Derived models are few steps from the file. */
static Oq__Pb__ModelProto *copy_proto(const onnxq_model *model, struct oq_arena *arena,
                                      struct oq_notes *notes, onnxq_error *error)
{
    Oq__Pb__ModelProto *proto;
    bool ok;
    if (model->base != NULL) {
        proto = copy_proto(model->base, arena, notes, error);
        ok =
            proto != NULL && model->change(model->base, model->context, proto, arena, notes, error);
    } else {
        proto = (Oq__Pb__ModelProto *)oq_message_unpack(&oq__pb__model_proto__descriptor,
                                                        &model->skeleton, arena, error);
        ok = proto != NULL &&
             oq_constant_nodes_normalize(proto, oq_model_opset(proto, ""), arena, error);
    }
    return ok ? proto : NULL;
}

Oq__Pb__ModelProto *oq_model_copy_proto(const onnxq_model *model, struct oq_arena *arena,
                                        onnxq_error *error)
{
    return copy_proto(model, arena, NULL, error);
}

/* Something else than a model fails to parse in some odd place: say what it is instead. */
static void explain_failure(const onnxq_model *model, onnxq_error *error)
{
    const char *hint;
    const char *kind = oq_sniff(&model->file, &hint);
    if (error->status != ONNXQ_ERROR_INPUT || kind == NULL)
        return;
    oq_error_init(error);
    oq_fail(error, ONNXQ_ERROR_INPUT, "is %s, expected an ONNX model", kind);
    if (hint != NULL)
        oq_error_hint(error, "%s", hint);
}

static bool read_structure(onnxq_model *model, onnxq_error *error)
{
    if (!oq_scan(&model->file, &oq__pb__model_proto__descriptor, OQ_STRUCTURE_BUDGET,
                 &model->skeleton, error))
        return false;
    oq_arena_init(&model->arena, oq_model_budget(model));
    model->proto = oq_model_copy_proto(model, &model->arena, error);
    if (model->proto == NULL)
        return false;
    if (model->proto->graph == NULL)
        return oq_fail(error, ONNXQ_ERROR_INPUT, "has no graph, expected an ONNX model");
    model->opset = oq_model_opset(model->proto, "");
    return true;
}

static bool open_model(onnxq_model *model, const char *path, const char *name, onnxq_error *error)
{
    if (!oq_file_open(&model->file, path, error))
        return false;
    if (!read_structure(model, error)) {
        explain_failure(model, error);
        return false;
    }
    if (!oq_external_init(&model->external, name, &model->arena, error) ||
        !index_tensors(model, error) ||
        !oq_graphs_init(&model->graphs, model->proto->graph, &model->arena, error))
        return false;
    oq_training_note(model->proto, &model->graphs);
    return true;
}

static void fill_info(const onnxq_model *model, onnxq_model_info *info)
{
    const Oq__Pb__ModelProto *proto = model->proto;
    *info = (onnxq_model_info){
        .struct_size = sizeof(*info),
        .ir_version = proto->ir_version,
        .opset = model->opset,
        .producer_name = proto->producer_name == NULL ? "" : proto->producer_name,
        .producer_version = proto->producer_version == NULL ? "" : proto->producer_version,
        .file_nbytes = model->file.nbytes,
    };
    for (size_t i = 0; i < model->external.count; i++)
        info->external_nbytes += model->external.list[i]->nbytes;
    for (size_t i = 0; i < model->graphs.count; i++) {
        info->n_nodes += model->graphs.list[i]->proto->n_node;
        info->n_initializers += model->graphs.list[i]->proto->n_initializer;
    }
}

onnxq_model *oq_model_open_as(const char *path, const char *name, onnxq_error *error)
{
    oq_error_init(error);
    onnxq_model *model = calloc(1, sizeof(*model));
    if (model == NULL) {
        oq_fail_memory(error);
        return NULL;
    }
    if (open_model(model, path, name, error)) {
        fill_info(model, &model->info);
        return model;
    }
    oq_error_file(error, path);
    onnxq_model_close(model);
    return NULL;
}

/* --- derived models --- */

bool oq_note_origin(struct oq_notes *notes, struct oq_arena *arena,
                    const struct oq_node_origin *origin)
{
    if (notes == NULL)
        return true;
    if (!oq_arena_grow(arena, &notes->origins, notes->n_origins, &notes->origins_capacity,
                       sizeof(*notes->origins)))
        return false;
    notes->origins[notes->n_origins++] = *origin;
    return true;
}

bool oq_note_added(struct oq_notes *notes, struct oq_arena *arena,
                   const Oq__Pb__TensorProto *tensor)
{
    if (notes == NULL)
        return true;
    if (!oq_arena_grow(arena, &notes->added, notes->n_added, &notes->added_capacity,
                       sizeof(*notes->added)))
        return false;
    notes->added[notes->n_added++] = tensor;
    return true;
}

bool oq_note_made(struct oq_notes *notes, struct oq_arena *arena, const Oq__Pb__TensorProto *tensor,
                  const struct oq_made *made)
{
    if (notes == NULL)
        return true;
    if (!oq_arena_grow(arena, &notes->made, notes->n_made, &notes->made_capacity,
                       sizeof(*notes->made)))
        return false;
    notes->made[notes->n_made++] = (struct oq_made_tensor){tensor, made};
    return true;
}

static int compare_origins(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)((const struct oq_node_origin *)a)->node;
    uintptr_t y = (uintptr_t)((const struct oq_node_origin *)b)->node;
    return (x > y) - (x < y);
}

const struct oq_node_origin *oq_model_origin(const onnxq_model *model,
                                             const Oq__Pb__NodeProto *node)
{
    const struct oq_node_origin wanted = {.node = node};
    return model->notes.n_origins == 0
               ? NULL
               : bsearch(&wanted, model->notes.origins, model->notes.n_origins, sizeof(wanted),
                         compare_origins);
}

const onnxq_model *oq_model_of_file(const onnxq_model *model)
{
    while (model->base != NULL)
        model = model->base;
    return model;
}

static bool derive(onnxq_model *model, onnxq_error *error)
{
    oq_arena_init(&model->arena, oq_model_budget(model));
    model->proto = copy_proto(model, &model->arena, &model->notes, error);
    if (model->proto == NULL || !index_tensors(model, error) ||
        !oq_graphs_init(&model->graphs, model->proto->graph, &model->arena, error))
        return false;
    for (size_t i = 0; i < model->notes.n_added; i++)
        model->tensors[oq_model_tensor(model, model->notes.added[i])->ordinal].is_added = true;
    for (size_t i = 0; i < model->notes.n_made; i++)
        model->tensors[oq_model_tensor(model, model->notes.made[i].tensor)->ordinal].made =
            model->notes.made[i].made;
    if (model->notes.n_origins > 0)
        qsort(model->notes.origins, model->notes.n_origins, sizeof(*model->notes.origins),
              compare_origins);
    oq_training_note(model->proto, &model->graphs);
    return true;
}

onnxq_model *oq_model_derive(const onnxq_model *base, oq_model_change_fn change,
                             const void *context, onnxq_error *error)
{
    onnxq_model *model = calloc(1, sizeof(*model));
    if (model == NULL) {
        oq_fail_memory(error);
        return NULL;
    }
    model->base = base;
    model->change = change;
    model->context = context;
    model->file = base->file;
    model->skeleton = base->skeleton;
    model->external = base->external; /* every side file is open already */
    model->opset = base->opset;
    model->info = base->info;
    if (derive(model, error))
        return model;
    onnxq_model_close(model);
    return NULL;
}

onnxq_model *onnxq_model_open(const char *path, onnxq_error *error)
{
    onnxq_error ignored;
    return oq_model_open_as(path, path, error == NULL ? &ignored : error);
}

void onnxq_model_close(onnxq_model *model)
{
    if (model == NULL)
        return;
    if (model->base == NULL) {
        oq_external_fini(&model->external);
        oq_skeleton_fini(&model->skeleton);
        oq_file_close(&model->file);
    }
    oq_arena_fini(&model->arena);
    free(model);
}

const onnxq_model_info *onnxq_model_get_info(const onnxq_model *model)
{
    return &model->info;
}

static enum oq_role find_role(const struct oq_use *use)
{
    return use->node == OQ_NO_NODE
               ? OQ_UNKNOWN_ROLE
               : oq_operator_role(oq_operator_of(use->graph->proto->node[use->node]), use->input);
}

static bool is_helper(const struct oq_use *use)
{
    const enum oq_role role = find_role(use);
    return role == OQ_COORDINATE || role == OQ_SETTING || role == OQ_INDEX || role == OQ_UNSEEN;
}

/* int16 and less, as weights of a quantized model are. */
static bool is_narrow_integer(const struct oq_tensor *tensor)
{
    return !tensor->dtype->is_float && tensor->dtype->nbits > 0 && tensor->dtype->nbits <= 16 &&
           tensor->proto->data_type != OQ_TYPE(BOOL);
}

/*
 * Floats that someone computes with, or the integers that stand for them; a single number is
 * as often a factor that an optimizer added, but two may share a byte.
 */
static bool is_weight(const struct oq_value *value, const struct oq_tensor *tensor)
{
    if (tensor->dtype == NULL || tensor->nelem == 0 ||
        !(tensor->dtype->is_float || is_narrow_integer(tensor)))
        return false;
    const struct oq_use *use = value->uses;
    while (use != NULL && is_helper(use))
        use = use->next;
    return use != NULL && (tensor->nelem > 1 || find_role(use) == OQ_INTEGERS);
}

bool oq_model_lists_initializers(const onnxq_model *model)
{
    const struct oq_graph *graph = model->graphs.list[0];
    bool lists_all = true, lists_weights = false;
    for (size_t i = 0; model->proto->ir_version >= 4 && i < graph->proto->n_initializer; i++) {
        const Oq__Pb__TensorProto *proto = graph->proto->initializer[i];
        const struct oq_value *value = oq_graph_find(graph, proto->name);
        if (value == NULL)
            continue;
        bool listed = value->is_graph_input;
        bool weighs = is_weight(value, oq_model_tensor(model, proto));
        if (weighs && !listed)
            return false;
        lists_all &= listed;
        lists_weights |= weighs;
    }
    return lists_all || lists_weights;
}
