/* Builds models of parts of a model, and opens them in the engine. */
#include "layers/probe.h"

#include <stdlib.h>

#include "base/os.h"
#include "base/path.h"
#include "edit/draft.h"

/* Smaller payloads are copied into the model. */
#define MIN_REFERRED_NBYTES 1024

/* --- where the weights lie --- */

/* Cuts `folder` down to what `path` shares with it, up to and with a slash. */
static void share_folder(char *folder, const char *path)
{
    size_t shared = 0;
    for (size_t i = 0; folder[i] != '\0' && folder[i] == path[i]; i++)
        if (folder[i] == '/')
            shared = i + 1;
    folder[shared] = '\0';
}

static char *real_path(struct oq_probe *probe, const struct oq_file *file, onnxq_error *error)
{
    char *real = oq_os_real_path(file->path);
    char *path = real == NULL ? NULL : oq_arena_strdup(&probe->arena, real);
    if (real == NULL)
        oq_fail(error, ONNXQ_ERROR_INPUT, "is there no more");
    else if (path == NULL)
        oq_arena_fail(&probe->arena, error);
    if (path == NULL)
        oq_error_file(error, file->path);
    free(real);
    return path;
}

/* The engine takes side files from one folder and those below it, and follows no links. */
static bool find_folder(struct oq_probe *probe, onnxq_error *error)
{
    const struct oq_external *external = &probe->model->external;
    const char *model_path = real_path(probe, &probe->model->file, error);
    if (model_path == NULL)
        return false;
    probe->folder = oq_arena_strdup(&probe->arena, model_path);
    if (probe->folder == NULL)
        return oq_arena_fail(&probe->arena, error);
    probe->folder[oq_folder_length(probe->folder)] = '\0';
    for (size_t i = 0; i < external->count; i++) {
        const char *path = real_path(probe, external->list[i], error);
        if (path == NULL)
            return false;
        share_folder(probe->folder, path);
    }
    return true;
}

struct referrer {
    struct oq_probe *probe;
    size_t ordinal;
    const struct oq_file *file; /* of the tensor before */
    char *location;
};

static bool find_location(struct referrer *referrer, const struct oq_file *file, onnxq_error *error)
{
    if (file == referrer->file)
        return true;
    char *path = real_path(referrer->probe, file, error);
    if (path == NULL)
        return false;
    referrer->file = file;
    referrer->location = path + strlen(referrer->probe->folder);
    return true;
}

/* The engine reads the values of sparse tensors from the model only. */
static bool is_in_sparse_tensor(const struct oq_message_path *path)
{
    return path->parent != NULL &&
           path->parent->message->descriptor == &oq__pb__sparse_tensor_proto__descriptor;
}

static bool refer(void *context, const struct oq_message_path *path, onnxq_error *error)
{
    struct referrer *referrer = context;
    struct oq_probe *probe = referrer->probe;
    const struct oq_tensor *tensor = &probe->model->tensors[referrer->ordinal++];
    /* Numbers of attributes are in no file, and in the copied structure. */
    bool large = tensor->contiguous && tensor->file != NULL && tensor->file->memory == NULL &&
                 tensor->nbytes >= MIN_REFERRED_NBYTES && !is_in_sparse_tensor(path);
    if (!large && !tensor->external)
        return true;
    return find_location(referrer, tensor->file, error) &&
           (oq_draft_refer(&probe->arena, (Oq__Pb__TensorProto *)path->message, referrer->location,
                           tensor->offset, tensor->nbytes) ||
            oq_arena_fail(&probe->arena, error));
}

bool oq_probe_init(struct oq_probe *probe, const onnxq_model *model, onnxq_error *error)
{
    struct referrer referrer = {.probe = probe};
    *probe = (struct oq_probe){.model = model};
    oq_arena_init(&probe->arena, OQ_STRUCTURE_BUDGET);
    probe->proto = oq_model_copy_proto(model, &probe->arena, error);
    return probe->proto != NULL && find_folder(probe, error) &&
           oq_message_visit(&probe->proto->base, &oq__pb__tensor_proto__descriptor, refer,
                            &referrer, error);
}

void oq_probe_fini(struct oq_probe *probe)
{
    oq_arena_fini(&probe->arena);
    *probe = (struct oq_probe){0};
}

/* --- changes --- */

static bool is_taken(const onnxq_model *model, const char *name)
{
    for (size_t g = 0; g < model->graphs.count; g++)
        if (oq_strmap_find(&model->graphs.list[g]->values, name) != NULL)
            return true;
    return false;
}

const char *oq_probe_name(struct oq_probe *probe, const char *base, const char *suffix)
{
    const char *name = oq_arena_printf(&probe->arena, "%s%s", base, suffix);
    for (unsigned k = 2; name != NULL && is_taken(probe->model, name); k++)
        name = oq_arena_printf(&probe->arena, "%s%s%u", base, suffix, k);
    return name;
}

/* protobuf-c has no const strings; nothing writes through these. */
static char *text(const char *constant)
{
    return (char *)(uintptr_t)constant;
}

/* Room for n more in a list of messages that the copied proto has; the old one stays with the
 * arena.
 */
static bool reserve(struct oq_probe *probe, void *list, size_t count, size_t n)
{
    void ***items = list;
    void **grown = oq_arena_array(&probe->arena, count + n + 1, sizeof(*grown));
    if (grown == NULL)
        return false;
    if (count > 0)
        memcpy(grown, *items, count * sizeof(*grown));
    *items = grown;
    return true;
}

static bool append(struct oq_probe *probe, void *list, size_t *count, void *item)
{
    void ***items = list;
    if (!reserve(probe, list, *count, 1))
        return false;
    (*items)[(*count)++] = item;
    return true;
}

static Oq__Pb__ValueInfoProto *make_value(struct oq_probe *probe, const char *name)
{
    Oq__Pb__ValueInfoProto *value = oq_arena_alloc(&probe->arena, sizeof(*value));
    if (value != NULL) {
        oq__pb__value_info_proto__init(value);
        value->name = text(name);
    }
    return value;
}

bool oq_probe_add_output(struct oq_probe *probe, const char *name, onnxq_error *error)
{
    Oq__Pb__GraphProto *graph = probe->proto->graph;
    for (size_t i = 0; i < graph->n_output; i++)
        if (graph->output[i]->name != NULL && strcmp(graph->output[i]->name, name) == 0)
            return true;
    Oq__Pb__ValueInfoProto *value = make_value(probe, name);
    return (value != NULL && append(probe, &graph->output, &graph->n_output, value)) ||
           oq_arena_fail(&probe->arena, error);
}

static bool list_outputs(const Oq__Pb__GraphProto *graph, struct oq_strmap *outputs)
{
    for (size_t i = 0; i < graph->n_output; i++) {
        const char *name = graph->output[i]->name;
        void **place = oq_strmap_place(outputs, name != NULL ? name : "");
        if (place == NULL)
            return false;
        *place = graph->output[i];
    }
    return true;
}

bool oq_probe_add_outputs(struct oq_probe *probe, const char *const *names, size_t n,
                          onnxq_error *error)
{
    Oq__Pb__GraphProto *graph = probe->proto->graph;
    struct oq_strmap outputs;
    oq_strmap_init(&outputs, &probe->arena);
    bool ok = reserve(probe, &graph->output, graph->n_output, n) && list_outputs(graph, &outputs);
    for (size_t i = 0; ok && i < n; i++) {
        if (oq_strmap_find(&outputs, names[i]) != NULL)
            continue;
        Oq__Pb__ValueInfoProto *value = make_value(probe, names[i]);
        ok = value != NULL;
        if (ok)
            graph->output[graph->n_output++] = value;
    }
    return ok || oq_arena_fail(&probe->arena, error);
}

void oq_probe_keep_first(struct oq_probe *probe, size_t n)
{
    Oq__Pb__GraphProto *graph = probe->proto->graph;
    size_t kept = 0;
    graph->n_node = n < graph->n_node ? n : graph->n_node;
    for (size_t i = 0; i < graph->n_output; i++) {
        const char *name = graph->output[i]->name;
        const struct oq_value *value =
            oq_graph_find(probe->model->graphs.list[0], name != NULL ? name : "");
        if (value == NULL || value->origin != OQ_ORIGIN_NODE || value->index < graph->n_node)
            graph->output[kept++] = graph->output[i];
    }
    graph->n_output = kept;
}

static Oq__Pb__TensorShapeProto *make_shape(struct oq_probe *probe, size_t rank)
{
    Oq__Pb__TensorShapeProto *shape = oq_arena_alloc(&probe->arena, sizeof(*shape));
    Oq__Pb__TensorShapeProto__Dimension *dims =
        oq_arena_array(&probe->arena, rank + 1, sizeof(*dims));
    Oq__Pb__TensorShapeProto__Dimension **list =
        oq_arena_array(&probe->arena, rank + 1, sizeof(*list));
    if (shape == NULL || dims == NULL || list == NULL)
        return NULL;
    for (size_t i = 0; i < rank; i++) {
        oq__pb__tensor_shape_proto__dimension__init(&dims[i]);
        list[i] = &dims[i];
    }
    oq__pb__tensor_shape_proto__init(shape);
    shape->dim = list;
    shape->n_dim = rank;
    return shape;
}

static Oq__Pb__TypeProto *make_type(struct oq_probe *probe, const struct oq_array *like,
                                    bool has_rank)
{
    Oq__Pb__TypeProto *type = oq_arena_alloc(&probe->arena, sizeof(*type));
    Oq__Pb__TypeProto__Tensor *tensor = oq_arena_alloc(&probe->arena, sizeof(*tensor));
    Oq__Pb__TensorShapeProto *shape = has_rank ? make_shape(probe, like->n_dims) : NULL;
    if (type == NULL || tensor == NULL || (has_rank && shape == NULL))
        return NULL;
    oq__pb__type_proto__init(type);
    oq__pb__type_proto__tensor__init(tensor);
    type->value_case = OQ__PB__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = tensor;
    tensor->has_elem_type = true;
    tensor->elem_type = like->data_type;
    tensor->shape = shape;
    return type;
}

bool oq_probe_add_input(struct oq_probe *probe, const char *name, const struct oq_array *like,
                        bool has_rank, onnxq_error *error)
{
    Oq__Pb__GraphProto *graph = probe->proto->graph;
    Oq__Pb__ValueInfoProto *value = make_value(probe, name);
    if (value != NULL)
        value->type = make_type(probe, like, has_rank);
    return (value != NULL && value->type != NULL &&
            append(probe, &graph->input, &graph->n_input, value)) ||
           oq_arena_fail(&probe->arena, error);
}

/* --- sites alone --- */

static bool keep_nodes(struct oq_probe *probe, const struct oq_layer_site *const *sites,
                       size_t n_sites)
{
    Oq__Pb__GraphProto *graph = probe->proto->graph;
    bool *keep = oq_arena_array(&probe->arena, graph->n_node + 1, sizeof(*keep));
    size_t n = 0;
    if (keep == NULL)
        return false;
    for (size_t i = 0; i < n_sites; i++)
        for (size_t k = 0; k < sites[i]->nodes.count; k++)
            keep[sites[i]->nodes.list[k]] = true;
    for (size_t i = 0; i < graph->n_node; i++)
        if (keep[i])
            graph->node[n++] = graph->node[i];
    graph->n_node = n;
    return true;
}

/* In the nodes' outputs only: who reads the name reads the input of that name. */
static void rename_output(Oq__Pb__GraphProto *graph, const char *name, const char *made)
{
    for (size_t i = 0; i < graph->n_node; i++)
        for (size_t k = 0; k < graph->node[i]->n_output; k++)
            if (strcmp(graph->node[i]->output[k], name) == 0)
                graph->node[i]->output[k] = text(made);
}

/* What the nodes that are left do not read would only be loaded. */
static bool keep_initializers(struct oq_probe *probe)
{
    Oq__Pb__GraphProto *graph = probe->proto->graph;
    struct oq_graphs graphs;
    onnxq_error ignored;
    size_t n = 0;
    oq_error_init(&ignored);
    if (!oq_graphs_init(&graphs, graph, &probe->arena, &ignored))
        return false;
    for (size_t i = 0; i < graph->n_initializer; i++) {
        const struct oq_value *value = oq_graph_find(graphs.list[0], graph->initializer[i]->name);
        if (value != NULL && value->n_uses > 0)
            graph->initializer[n++] = graph->initializer[i];
    }
    graph->n_initializer = n;
    return true;
}

bool oq_probe_keep_sites(struct oq_probe *probe, const struct oq_layer_site *const *sites,
                         size_t n_sites, const char **made, onnxq_error *error)
{
    Oq__Pb__GraphProto *graph = probe->proto->graph;
    /* Before version 4 every initializer has to be an input. */
    if (probe->proto->ir_version < 4)
        probe->proto->ir_version = 4;
    probe->proto->has_ir_version = true;
    graph->n_input = graph->n_output = graph->n_value_info = graph->n_quantization_annotation = 0;
    if (!keep_nodes(probe, sites, n_sites) || !keep_initializers(probe))
        return oq_arena_fail(&probe->arena, error);
    for (size_t i = 0; i < n_sites; i++) {
        for (size_t k = 0; k < sites[i]->values.count; k++, made++) {
            const char *name = sites[i]->values.list[k];
            *made = oq_probe_name(probe, name, "_apart");
            if (*made == NULL)
                return oq_arena_fail(&probe->arena, error);
            rename_output(graph, name, *made);
            if (!oq_probe_add_output(probe, *made, error))
                return false;
        }
    }
    return true;
}

/* --- deltas --- */

/* Inputs a and, where it is not NULL, b; one output. */
static Oq__Pb__NodeProto *make_node(struct oq_probe *probe, const char *op_type, const char *a,
                                    const char *b, const char *made)
{
    Oq__Pb__NodeProto *node = oq_arena_alloc(&probe->arena, sizeof(*node));
    char **names = oq_arena_array(&probe->arena, 3, sizeof(*names));
    if (node == NULL || names == NULL)
        return NULL;
    oq__pb__node_proto__init(node);
    names[0] = text(a);
    names[1] = text(b);
    names[2] = text(made);
    node->op_type = text(op_type);
    node->input = names;
    node->n_input = b != NULL ? 2 : 1;
    node->output = names + 2;
    node->n_output = 1;
    return node;
}

/* Nodes stand behind those that they read: the sum goes right behind what makes the value. */
static bool insert_behind(struct oq_probe *probe, const char *output, Oq__Pb__NodeProto *node)
{
    Oq__Pb__GraphProto *graph = probe->proto->graph;
    size_t place = 0;
    for (size_t i = 0; i < graph->n_node; i++)
        for (size_t k = 0; k < graph->node[i]->n_output; k++)
            if (strcmp(graph->node[i]->output[k], output) == 0)
                place = i + 1;
    if (!append(probe, &graph->node, &graph->n_node, NULL))
        return false;
    memmove(graph->node + place + 1, graph->node + place,
            (graph->n_node - 1 - place) * sizeof(*graph->node));
    graph->node[place] = node;
    return true;
}

const char *oq_probe_add_delta(struct oq_probe *probe, const char *value,
                               const struct oq_array *like, onnxq_error *error)
{
    const char *before = oq_probe_name(probe, value, "_before");
    const char *delta = oq_probe_name(probe, value, "_delta");
    Oq__Pb__NodeProto *node =
        before == NULL || delta == NULL ? NULL : make_node(probe, "Add", before, delta, value);
    if (node == NULL) {
        oq_arena_fail(&probe->arena, error);
        return NULL;
    }
    rename_output(probe->proto->graph, value, before);
    if (!insert_behind(probe, before, node)) {
        oq_arena_fail(&probe->arena, error);
        return NULL;
    }
    return oq_probe_add_input(probe, delta, like, false, error) ? delta : NULL;
}

/* --- shapes --- */

/* Below this opset the shape that Reshape makes is an attribute. */
#define OPSET_RESHAPE 5

/* What stands between a value and the nodes that read it. */
struct measured {
    Oq__Pb__NodeProto *shape, *reshape;
};

static struct measured *measure(struct oq_probe *probe, const char *name, const char *shape)
{
    struct measured *measured = oq_arena_alloc(&probe->arena, sizeof(*measured));
    const char *same = oq_probe_name(probe, name, "_same");
    if (measured == NULL || shape == NULL || same == NULL)
        return NULL;
    measured->shape = make_node(probe, "Shape", name, NULL, shape);
    measured->reshape = make_node(probe, "Reshape", name, shape, same);
    return measured->shape == NULL || measured->reshape == NULL ? NULL : measured;
}

static void read_reshaped(Oq__Pb__NodeProto *node, const struct oq_strmap *values)
{
    for (size_t i = 0; i < node->n_input; i++) {
        const struct measured *measured = oq_strmap_find(values, node->input[i]);
        if (measured != NULL)
            node->input[i] = measured->reshape->output[0];
    }
}

/* Both nodes follow the one that makes the value, and what reads it reads the second one. */
static bool insert_measured(struct oq_probe *probe, const struct oq_strmap *values)
{
    Oq__Pb__GraphProto *graph = probe->proto->graph;
    size_t n = 0, capacity = graph->n_node + 2 * values->count + 1;
    Oq__Pb__NodeProto **nodes =
        oq_arena_array(&probe->arena, capacity, sizeof(Oq__Pb__NodeProto *));
    bool reshapes = oq_model_opset(probe->proto, "") >= OPSET_RESHAPE;
    if (nodes == NULL)
        return false;
    for (size_t i = 0; i < graph->n_node; i++) {
        if (reshapes)
            read_reshaped(graph->node[i], values);
        nodes[n++] = graph->node[i];
        for (size_t k = 0; k < graph->node[i]->n_output; k++) {
            struct measured *made = oq_strmap_find(values, graph->node[i]->output[k]);
            if (made == NULL)
                continue;
            nodes[n++] = made->shape;
            if (reshapes)
                nodes[n++] = made->reshape;
        }
    }
    graph->node = nodes;
    graph->n_node = n;
    return true;
}

/*
 * An engine leaves for the end what nothing waits for, and keeps all values until
 * then. So the value that nodes read is one that its own shape has gone into: a
 * Reshape to what it is, which copies nothing.
 */
bool oq_probe_add_shapes(struct oq_probe *probe, const char *const *names, size_t n,
                         const char **shapes, onnxq_error *error)
{
    struct oq_strmap values;
    bool ok = true;
    oq_strmap_init(&values, &probe->arena);
    for (size_t i = 0; ok && i < n; i++) {
        shapes[i] = oq_probe_name(probe, names[i], "_shape");
        struct measured *measured = measure(probe, names[i], shapes[i]);
        void **place = measured == NULL ? NULL : oq_strmap_place(&values, names[i]);
        ok = place != NULL;
        if (ok)
            *place = measured;
    }
    if (!ok || !insert_measured(probe, &values))
        return oq_arena_fail(&probe->arena, error);
    return oq_probe_add_outputs(probe, shapes, n, error);
}

/* --- into the engine --- */

/* Payloads that are left in the model are read from its file. */
static bool fill(const struct oq_probe *probe, const struct oq_written *written, uint8_t *bytes,
                 onnxq_error *error)
{
    for (size_t i = 0; i < written->nsegments; i++) {
        const struct oq_segment *segment = &written->segments[i];
        size_t nbytes = (size_t)segment->nbytes;
        if (segment->kind == OQ_SEGMENT_BYTES)
            memcpy(bytes, written->bytes + segment->offset, nbytes);
        else if (!oq_file_read(&probe->model->file, segment->offset, bytes, nbytes, error))
            return false;
        bytes += nbytes;
    }
    return true;
}

bool oq_probe_write(const struct oq_probe *probe, uint8_t **bytes, size_t *nbytes,
                    onnxq_error *error)
{
    const struct oq_write_context context = {.fragments = probe->model->skeleton.fragments};
    struct oq_written written = {0};
    *bytes = NULL;
    bool ok = oq_message_write(&probe->proto->base, &context, &written, error);
    if (ok) {
        *nbytes = (size_t)written.nbytes;
        *bytes = malloc(*nbytes + 1);
        ok = *bytes != NULL ? fill(probe, &written, *bytes, error) : oq_fail_memory(error);
    }
    oq_written_fini(&written);
    oq_error_file(error, probe->model->file.path);
    return ok;
}

struct oq_session *oq_probe_open(const struct oq_probe *probe, struct oq_engine *engine,
                                 const struct oq_session_options *options, onnxq_error *error)
{
    const char *path = probe->model->file.path;
    struct oq_session *session = NULL;
    uint8_t *bytes;
    size_t nbytes;
    if (oq_probe_write(probe, &bytes, &nbytes, error))
        session = oq_session_open_bytes(engine, bytes, nbytes, probe->folder, path, options, error);
    free(bytes);
    oq_error_file(error, path);
    return session;
}
