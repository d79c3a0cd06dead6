/* Nodes and tensors of the output. */
#include "quantize/rewrite_state.h"

#define FLOAT OQ__PB__TENSOR_PROTO__DATA_TYPE__FLOAT

static bool fail(struct oq_rewrite *rewrite)
{
    rewrite->failed = true;
    return false;
}

/* Memory of the rewrite; NULL marks it as failed. */
static void *allocate(struct oq_rewrite *rewrite, size_t count, size_t size)
{
    void *memory = oq_arena_array(rewrite->arena, count, size);
    if (memory == NULL)
        fail(rewrite);
    return memory;
}

static const char *fresh_name(struct oq_rewrite *rewrite, struct oq_strmap *taken, const char *base,
                              const char *suffix)
{
    for (unsigned attempt = 0; base != NULL && suffix != NULL; attempt++) {
        char *name = attempt == 0
                         ? oq_arena_printf(rewrite->arena, "%s%s", base, suffix)
                         : oq_arena_printf(rewrite->arena, "%s%s_%u", base, suffix, attempt);
        void **place = name == NULL ? NULL : oq_strmap_place(taken, name);
        if (place == NULL)
            break;
        if (*place == NULL) {
            *place = name;
            return name;
        }
    }
    fail(rewrite);
    return NULL;
}

const char *oq_rewrite_name(struct oq_rewrite *rewrite, const char *base, const char *suffix)
{
    return fresh_name(rewrite, &rewrite->value_names, base, suffix);
}

/* --- nodes --- */

bool oq_rewrite_push_node(struct oq_rewrite *rewrite, Oq__Pb__NodeProto *node)
{
    struct oq_rewrite_graph *graph = rewrite->current;
    if (!oq_arena_grow(rewrite->arena, &graph->nodes, graph->n_nodes, &graph->nodes_capacity,
                       sizeof(Oq__Pb__NodeProto *)))
        return fail(rewrite);
    graph->nodes[graph->n_nodes++] = node;
    return true;
}

/* protobuf-c has no const strings; nothing writes through these. */
static char *text(const char *constant)
{
    return (char *)(uintptr_t)constant;
}

static char **copy_names(struct oq_rewrite *rewrite, const char *const *names, size_t *count)
{
    for (*count = 0; names[*count] != NULL; (*count)++)
        ;
    char **copy = allocate(rewrite, *count + 1, sizeof(*copy));
    for (size_t i = 0; copy != NULL && i < *count; i++)
        copy[i] = text(names[i]);
    return copy;
}

/* Shape inference knows only operators of ONNX: it is told the type of what others give. */
static void declare_float(struct oq_rewrite *rewrite, char *name)
{
    struct oq_rewrite_graph *graph = rewrite->current;
    Oq__Pb__ValueInfoProto *info = allocate(rewrite, 1, sizeof(*info));
    Oq__Pb__TypeProto *type = allocate(rewrite, 1, sizeof(*type));
    Oq__Pb__TypeProto__Tensor *tensor = allocate(rewrite, 1, sizeof(*tensor));
    if (name[0] == '\0' || oq_strmap_find(&graph->typed, name) != NULL)
        return;
    if (info == NULL || type == NULL || tensor == NULL ||
        !oq_arena_grow(rewrite->arena, &graph->value_infos, graph->n_value_infos,
                       &graph->value_infos_capacity, sizeof(Oq__Pb__ValueInfoProto *))) {
        fail(rewrite);
        return;
    }
    oq__pb__value_info_proto__init(info);
    oq__pb__type_proto__init(type);
    oq__pb__type_proto__tensor__init(tensor);
    tensor->has_elem_type = true;
    tensor->elem_type = FLOAT;
    type->value_case = OQ__PB__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = tensor;
    info->name = name;
    info->type = type;
    graph->value_infos[graph->n_value_infos++] = info;
}

Oq__Pb__NodeProto *oq_rewrite_node(struct oq_rewrite *rewrite, const char *domain,
                                   const char *op_type, const char *label,
                                   const char *const *inputs, const char *const *outputs)
{
    Oq__Pb__NodeProto *node = allocate(rewrite, 1, sizeof(*node));
    /* A NULL among the names means that an earlier step has failed: the list would be cut. */
    if (node == NULL || rewrite->failed)
        return NULL;
    const char *suffix = oq_arena_printf(rewrite->arena, "_%s", op_type);
    oq__pb__node_proto__init(node);
    node->op_type = text(op_type);
    node->domain = domain[0] == '\0' ? NULL : text(domain);
    node->name = text(fresh_name(rewrite, &rewrite->node_names, label, suffix));
    node->input = copy_names(rewrite, inputs, &node->n_input);
    while (node->n_input > 0 && inputs[node->n_input - 1][0] == '\0')
        node->n_input--; /* left out at the end is not there */
    node->output = copy_names(rewrite, outputs, &node->n_output);
    if (rewrite->failed || !oq_rewrite_push_node(rewrite, node))
        return NULL;
    if (domain[0] != '\0') {
        rewrite->uses_contrib = true;
        for (size_t i = 0; i < node->n_output; i++)
            declare_float(rewrite, node->output[i]);
    }
    return node;
}

static Oq__Pb__AttributeProto *add_attribute(struct oq_rewrite *rewrite, Oq__Pb__NodeProto *node,
                                             const char *name,
                                             Oq__Pb__AttributeProto__AttributeType type)
{
    Oq__Pb__AttributeProto *attribute = allocate(rewrite, 1, sizeof(*attribute));
    Oq__Pb__AttributeProto **list =
        node == NULL ? NULL
                     : allocate(rewrite, node->n_attribute + 1, sizeof(Oq__Pb__AttributeProto *));
    if (attribute == NULL || list == NULL)
        return NULL;
    oq__pb__attribute_proto__init(attribute);
    attribute->name = text(name);
    attribute->has_type = true;
    attribute->type = type;
    if (node->n_attribute > 0)
        memcpy(list, node->attribute, node->n_attribute * sizeof(Oq__Pb__AttributeProto *));
    list[node->n_attribute++] = attribute;
    node->attribute = list;
    return attribute;
}

void oq_rewrite_add_int(struct oq_rewrite *rewrite, Oq__Pb__NodeProto *node, const char *name,
                        int64_t value)
{
    Oq__Pb__AttributeProto *attribute =
        add_attribute(rewrite, node, name, OQ__PB__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    if (attribute != NULL) {
        attribute->has_i = true;
        attribute->i = value;
    }
}

void oq_rewrite_add_ints(struct oq_rewrite *rewrite, Oq__Pb__NodeProto *node, const char *name,
                         const int64_t *values, size_t n)
{
    Oq__Pb__AttributeProto *attribute =
        add_attribute(rewrite, node, name, OQ__PB__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    int64_t *copy = attribute == NULL ? NULL : allocate(rewrite, n, sizeof(*copy));
    if (copy != NULL) {
        memcpy(copy, values, n * sizeof(*copy));
        attribute->ints = copy;
        attribute->n_ints = n;
    }
}

void oq_rewrite_copy_attributes(struct oq_rewrite *rewrite, Oq__Pb__NodeProto *node,
                                const Oq__Pb__NodeProto *from, const char *without)
{
    Oq__Pb__AttributeProto **list =
        node == NULL ? NULL
                     : allocate(rewrite, from->n_attribute + 1, sizeof(Oq__Pb__AttributeProto *));
    if (list == NULL)
        return;
    node->n_attribute = 0;
    for (size_t i = 0; i < from->n_attribute; i++) {
        const char *name = from->attribute[i]->name;
        if (without == NULL || name == NULL || strcmp(name, without) != 0)
            list[node->n_attribute++] = from->attribute[i];
    }
    node->attribute = list;
}

/* What an earlier node has made of `key` in this graph, or NULL and the place to remember it. */
static void *find_made(struct oq_rewrite *rewrite, struct oq_strmap *map, const char *key,
                       void ***place)
{
    *place = key == NULL ? NULL : oq_strmap_place(map, key);
    if (*place == NULL)
        fail(rewrite);
    return *place == NULL ? NULL : **place;
}

static const char *transpose(struct oq_rewrite *rewrite, const char *name)
{
    static const int64_t perm[] = {1, 0};
    void **place;
    const char *made = find_made(rewrite, &rewrite->current->transposed, name, &place);
    if (made != NULL || place == NULL)
        return made;
    made = oq_rewrite_name(rewrite, name, "_transposed");
    *place = text(made);
    const char *inputs[] = {name, NULL};
    const char *outputs[] = {made, NULL};
    oq_rewrite_add_ints(rewrite, oq_rewrite_node(rewrite, "", "Transpose", name, inputs, outputs),
                        "perm", perm, 2);
    return made;
}

/* --- tensors --- */

const char *oq_rewrite_tensor(struct oq_rewrite *rewrite, struct oq_rewrite_graph *graph,
                              const char *name, int32_t data_type, const int64_t *dims,
                              size_t n_dims, const struct oq_recipe *recipe)
{
    uint32_t number;
    Oq__Pb__TensorProto *tensor = allocate(rewrite, 1, sizeof(*tensor));
    int64_t *own_dims = allocate(rewrite, n_dims + 1, sizeof(*own_dims));
    struct oq_payload *payload = allocate(rewrite, 1, sizeof(*payload));
    if (tensor == NULL || own_dims == NULL || payload == NULL || name == NULL ||
        !oq_plan_add_recipe(rewrite->plan, recipe, &number, rewrite->error) ||
        !oq_arena_grow(rewrite->arena, &graph->tensors, graph->n_tensors, &graph->tensors_capacity,
                       sizeof(Oq__Pb__TensorProto *))) {
        fail(rewrite);
        return NULL;
    }
    oq__pb__tensor_proto__init(tensor);
    if (n_dims > 0)
        memcpy(own_dims, dims, n_dims * sizeof(*dims));
    *payload = (struct oq_payload){.kind = OQ_PAYLOAD_RECIPE, .first = number};
    tensor->name = text(name);
    tensor->has_data_type = true;
    tensor->data_type = data_type;
    tensor->n_dims = n_dims;
    tensor->dims = own_dims;
    tensor->has_raw_data = true;
    tensor->raw_data = (ProtobufCBinaryData){sizeof(*payload), (uint8_t *)payload};
    graph->tensors[graph->n_tensors++] = tensor;
    return name;
}

static uint64_t product(const int64_t *dims, size_t n)
{
    uint64_t nelem = 1;
    for (size_t i = 0; i < n; i++)
        nelem *= (uint64_t)dims[i];
    return nelem;
}

/* An initializer whose bytes are in the arena; what it weighs is put down to `owner`. */
static const char *add_bytes(struct oq_rewrite *rewrite, struct oq_rewrite_graph *graph,
                             struct oq_constant *owner, const char *name, int32_t data_type,
                             size_t width, const int64_t *dims, size_t n_dims, const void *bytes)
{
    const struct oq_recipe recipe = {
        .kind = OQ_RECIPE_BYTES, .nbytes = product(dims, n_dims) * width, .bytes = bytes};
    if (owner != NULL)
        owner->nbytes_after += recipe.nbytes;
    return oq_rewrite_tensor(rewrite, graph, name, data_type, dims, n_dims, &recipe);
}

/* Values that the caller may not keep. */
static const void *copy_values(struct oq_rewrite *rewrite, const void *values, size_t nbytes)
{
    void *copy = allocate(rewrite, nbytes, 1);
    return copy == NULL ? NULL : memcpy(copy, values, nbytes);
}

const char *oq_rewrite_floats(struct oq_rewrite *rewrite, struct oq_constant *owner,
                              const char *base, const int64_t *dims, size_t n_dims,
                              const float *values)
{
    return add_bytes(rewrite, rewrite->current, owner, oq_rewrite_name(rewrite, base, "_f32"),
                     FLOAT, sizeof(float), dims, n_dims,
                     copy_values(rewrite, values, product(dims, n_dims) * sizeof(float)));
}

const char *oq_rewrite_int64s(struct oq_rewrite *rewrite, const char *base, const int64_t *values,
                              size_t n)
{
    const int64_t dims[] = {(int64_t)n};
    return add_bytes(rewrite, rewrite->current, NULL, oq_rewrite_name(rewrite, base, ""),
                     OQ__PB__TENSOR_PROTO__DATA_TYPE__INT64, sizeof(int64_t), dims, 1,
                     copy_values(rewrite, values, n * sizeof(int64_t)));
}

/* --- weights --- */

/* New tensors live where the weight was: bodies see them as they saw it. */
static struct oq_rewrite_graph *graph_of(const struct oq_rewrite *rewrite,
                                         const struct oq_quantized *q)
{
    return &rewrite->states[q->ranges->constant->graph->ordinal];
}

static int32_t data_type_of(const struct oq_quantized *q)
{
    return q->is_unsigned ? OQ__PB__TENSOR_PROTO__DATA_TYPE__UINT8
                          : OQ__PB__TENSOR_PROTO__DATA_TYPE__INT8;
}

static const char *add_weight(struct oq_rewrite *rewrite, struct oq_quantized *q)
{
    const struct oq_source *source = q->ranges->source;
    struct oq_constant *owner = q->ranges->constant;
    if (q->name != NULL)
        return q->name;
    int64_t *dims = allocate(rewrite, source->n_dims + 1, sizeof(*dims));
    if (dims == NULL)
        return NULL;
    memcpy(dims, source->dims, source->n_dims * sizeof(*dims));
    if (q->transposed) { /* the last two: matrices, or batches of them */
        dims[source->n_dims - 2] = source->dims[source->n_dims - 1];
        dims[source->n_dims - 1] = source->dims[source->n_dims - 2];
    }
    const struct oq_recipe recipe = {
        .kind = OQ_RECIPE_QUANTIZE, .nbytes = source->nelem, .quantized = q};
    owner->nbytes_after += recipe.nbytes;
    q->name = oq_rewrite_tensor(rewrite, graph_of(rewrite, q),
                                oq_rewrite_name(rewrite, owner->name, "_quantized"),
                                data_type_of(q), dims, source->n_dims, &recipe);
    return q->name;
}

const char *oq_rewrite_weight(struct oq_rewrite *rewrite, const struct oq_site *site)
{
    const char *name = add_weight(rewrite, site->quantized);
    bool turn = site->transposed && !site->quantized->transposed;
    return turn ? transpose(rewrite, name) : name;
}

const char *oq_rewrite_int8s(struct oq_rewrite *rewrite, const struct oq_site *site,
                             const char *suffix, const int64_t *dims, size_t n_dims,
                             const int8_t *values)
{
    const struct oq_quantized *q = site->quantized;
    return add_bytes(rewrite, graph_of(rewrite, q), q->ranges->constant,
                     oq_rewrite_name(rewrite, q->ranges->constant->name, suffix),
                     OQ__PB__TENSOR_PROTO__DATA_TYPE__INT8, 1, dims, n_dims, values);
}

static bool has_zero_point(const struct oq_quantized *q)
{
    for (uint64_t i = 0; i < q->ranges->n_scales; i++)
        if (q->zero_point[i] != 0)
            return true;
    return false;
}

static bool is_uniform(const float *values, uint64_t n)
{
    for (uint64_t i = 1; i < n; i++)
        if (values[i] != values[0])
            return false;
    return true;
}

/* As 8-bit integers, of shape dims: [n_scales], or [] where all are the same. */
static const char *add_zero_point(struct oq_rewrite *rewrite, const struct oq_quantized *q,
                                  const int64_t *dims, size_t n_dims)
{
    struct oq_constant *owner = q->ranges->constant;
    size_t n = (size_t)product(dims, n_dims);
    uint8_t *bytes = allocate(rewrite, n, 1);
    for (size_t i = 0; bytes != NULL && i < n; i++)
        bytes[i] = (uint8_t)(int)q->zero_point[i];
    return add_bytes(rewrite, graph_of(rewrite, q), owner,
                     oq_rewrite_name(rewrite, owner->name, "_zero_point"), data_type_of(q), 1, dims,
                     n_dims, bytes);
}

const char *oq_rewrite_zero_point(struct oq_rewrite *rewrite, const struct oq_site *site)
{
    struct oq_quantized *q = site->quantized;
    const int64_t n = (int64_t)q->ranges->n_scales;
    if (!has_zero_point(q))
        return "";
    /* One number where it is enough: batches and ConvInteger take no more. */
    if (q->zero_point_name == NULL)
        q->zero_point_name =
            add_zero_point(rewrite, q, &n, is_uniform(q->zero_point, q->ranges->n_scales) ? 0 : 1);
    return q->zero_point_name;
}

static const char *add_scale(struct oq_rewrite *rewrite, const struct oq_quantized *q,
                             const int64_t *dims, size_t n_dims, float factor)
{
    struct oq_constant *owner = q->ranges->constant;
    const float *scale = q->ranges->scale;
    uint64_t n = product(dims, n_dims);
    if (factor != 1 || n != q->ranges->n_scales) {
        float *values = allocate(rewrite, (size_t)n, sizeof(*values));
        for (uint64_t i = 0; values != NULL && i < n; i++)
            values[i] = scale[q->ranges->n_scales == 1 ? 0 : i] * factor;
        scale = values;
    }
    return add_bytes(rewrite, graph_of(rewrite, q), owner,
                     oq_rewrite_name(rewrite, owner->name, "_scale"), FLOAT, sizeof(float), dims,
                     n_dims, scale);
}

const char *oq_rewrite_scale(struct oq_rewrite *rewrite, const struct oq_site *site,
                             const int64_t *dims, size_t n_dims, float factor)
{
    return add_scale(rewrite, site->quantized, dims, n_dims, factor);
}

/* --- activations --- */

static void add_cast(struct oq_rewrite *rewrite, const char *label, const char *input,
                     int32_t data_type, const char *output)
{
    const char *inputs[] = {input, NULL};
    const char *outputs[] = {output, NULL};
    oq_rewrite_add_int(rewrite, oq_rewrite_node(rewrite, "", "Cast", label, inputs, outputs), "to",
                       data_type);
}

const char *oq_rewrite_float_input(struct oq_rewrite *rewrite, const char *name, bool transposed,
                                   int32_t data_type)
{
    void **place;
    if (transposed)
        name = transpose(rewrite, name);
    if (data_type == FLOAT)
        return name;
    const char *made = find_made(rewrite, &rewrite->current->float_inputs, name, &place);
    if (made != NULL || place == NULL)
        return made;
    made = oq_rewrite_name(rewrite, name, "_f32");
    *place = text(made);
    add_cast(rewrite, name, name, FLOAT, made);
    return made;
}

struct oq_activation oq_rewrite_activation(struct oq_rewrite *rewrite, const char *name,
                                           bool transposed, int32_t data_type)
{
    void **place;
    const char *x = oq_rewrite_float_input(rewrite, name, transposed, data_type);
    struct oq_activation *made = find_made(rewrite, &rewrite->current->activations, x, &place);
    if (made != NULL)
        return *made;
    if (place == NULL || (made = allocate(rewrite, 1, sizeof(*made))) == NULL)
        return (struct oq_activation){0};
    *place = made;
    *made = (struct oq_activation){.quantized = oq_rewrite_name(rewrite, x, "_quantized"),
                                   .scale = oq_rewrite_name(rewrite, x, "_scale"),
                                   .zero_point = oq_rewrite_name(rewrite, x, "_zero_point")};
    const char *inputs[] = {x, NULL};
    const char *outputs[] = {made->quantized, made->scale, made->zero_point, NULL};
    oq_rewrite_node(rewrite, "", "DynamicQuantizeLinear", x, inputs, outputs);
    return *made;
}

bool oq_rewrite_float_output(struct oq_rewrite *rewrite, const char *domain, const char *op_type,
                             const char *label, const char *const *inputs, int32_t data_type,
                             const char *output)
{
    const char *computed = data_type == FLOAT ? output : oq_rewrite_name(rewrite, output, "_f32");
    const char *outputs[] = {computed, NULL};
    oq_rewrite_node(rewrite, domain, op_type, label, inputs, outputs);
    if (data_type != FLOAT)
        add_cast(rewrite, label, computed, data_type, output);
    return !rewrite->failed;
}

bool oq_rewrite_dequantize(struct oq_rewrite *rewrite, const char *label, const char *int32_value,
                           const char *activation_scale, const char *weight_scale, const char *bias,
                           int32_t data_type, const char *output)
{
    const char *scale = oq_rewrite_name(rewrite, int32_value, "_scale");
    const char *scale_inputs[] = {activation_scale, weight_scale, NULL};
    const char *scale_outputs[] = {scale, NULL};
    const char *inputs[] = {oq_rewrite_cast(rewrite, label, int32_value), scale, NULL};
    oq_rewrite_node(rewrite, "", "Mul", label, scale_inputs, scale_outputs);
    if (bias == NULL)
        return oq_rewrite_float_output(rewrite, "", "Mul", label, inputs, data_type, output);
    const char *product = oq_rewrite_name(rewrite, int32_value, "_scaled");
    const char *outputs[] = {product, NULL};
    const char *add_inputs[] = {product, bias, NULL};
    oq_rewrite_node(rewrite, "", "Mul", label, inputs, outputs);
    return oq_rewrite_float_output(rewrite, "", "Add", label, add_inputs, data_type, output);
}

/* --- weights that become float again --- */

const char *oq_rewrite_cast(struct oq_rewrite *rewrite, const char *label, const char *value)
{
    const char *cast = oq_rewrite_name(rewrite, value, "_cast");
    add_cast(rewrite, label, value, FLOAT, cast);
    return cast;
}

const char *oq_rewrite_subtract(struct oq_rewrite *rewrite, const char *label, const char *value,
                                const char *subtrahend)
{
    const char *difference = oq_rewrite_name(rewrite, value, "_centered");
    const char *inputs[] = {value, subtrahend, NULL};
    const char *outputs[] = {difference, NULL};
    oq_rewrite_node(rewrite, "", "Sub", label, inputs, outputs);
    return difference;
}

/* Dimensions with which scales broadcast over the weight: 1 but for channel and batch axes. */
static const int64_t *keep_dims(struct oq_rewrite *rewrite, const struct oq_ranges *ranges,
                                size_t *n_dims)
{
    const struct oq_source *source = ranges->source;
    int64_t *dims = allocate(rewrite, source->n_dims + 1, sizeof(*dims));
    *n_dims = ranges->axis < 0 ? 0 : source->n_dims;
    for (size_t i = 0; dims != NULL && i < *n_dims; i++)
        dims[i] = i < ranges->batch_axes || i == (size_t)ranges->axis ? source->dims[i] : 1;
    return dims;
}

struct oq_rewrite_values oq_rewrite_float_scale(struct oq_rewrite *rewrite,
                                                const struct oq_quantized *q)
{
    struct oq_rewrite_values values = {NULL, 0};
    const int64_t *dims = keep_dims(rewrite, q->ranges, &values.n_dims);
    values.name = add_scale(rewrite, q, dims, values.n_dims, 1);
    return values;
}

struct oq_rewrite_values oq_rewrite_float_zero_point(struct oq_rewrite *rewrite,
                                                     const struct oq_quantized *q)
{
    struct oq_rewrite_values values = {NULL, 0};
    struct oq_constant *owner = q->ranges->constant;
    if (!has_zero_point(q))
        return values;
    const int64_t *dims = keep_dims(rewrite, q->ranges, &values.n_dims);
    if (is_uniform(q->zero_point, q->ranges->n_scales))
        values.n_dims = 0;
    values.name = add_bytes(rewrite, graph_of(rewrite, q), owner,
                            oq_rewrite_name(rewrite, owner->name, "_zero_point"), FLOAT,
                            sizeof(float), dims, values.n_dims, q->zero_point);
    return values;
}

/* DequantizeLinear(q, scale, zero point): scalars, or vectors along one axis. */
static const char *dequantize_linear(struct oq_rewrite *rewrite, struct oq_constant *constant,
                                     const char *output)
{
    const struct oq_quantized *q = constant->fold;
    const char *label = constant->name;
    const int64_t n = (int64_t)q->ranges->n_scales;
    size_t n_dims = q->ranges->axis < 0 ? 0 : 1;
    int32_t data_type = constant->source.data_type;
    const char *inputs[] = {
        add_weight(rewrite, constant->fold), add_scale(rewrite, q, &n, n_dims, 1),
        has_zero_point(q) ? add_zero_point(rewrite, q, &n, n_dims) : NULL, NULL};
    const char *value = data_type == FLOAT ? output : oq_rewrite_name(rewrite, label, "_f32");
    const char *outputs[] = {value, NULL};
    Oq__Pb__NodeProto *node =
        oq_rewrite_node(rewrite, "", "DequantizeLinear", label, inputs, outputs);
    if (n_dims > 0)
        oq_rewrite_add_int(rewrite, node, "axis", q->ranges->axis);
    return value;
}

/* Cast(q) [- zero point] * scale: what engines fold, whatever way scales are shared. */
static bool multiply_out(struct oq_rewrite *rewrite, struct oq_constant *constant,
                         const char *output)
{
    struct oq_quantized *q = constant->fold;
    const char *label = constant->name;
    const char *value = oq_rewrite_cast(rewrite, label, add_weight(rewrite, q));
    struct oq_rewrite_values zero_point = oq_rewrite_float_zero_point(rewrite, q);
    /* In float: ONNX Runtime folds no integer Sub of 8 bits. */
    if (zero_point.name != NULL)
        value = oq_rewrite_subtract(rewrite, label, value, zero_point.name);
    const char *inputs[] = {value, oq_rewrite_float_scale(rewrite, q).name, NULL};
    return oq_rewrite_float_output(rewrite, "", "Mul", label, inputs, constant->source.data_type,
                                   output);
}

/*
 * The name of the folded value: the weight's own, so that its users stay as they
 * are; or a new one, where a node's output must not have that name.
 */
static const char *name_folded(struct oq_rewrite *rewrite, const struct oq_constant *constant)
{
    if (!oq_value_is_hiding(constant->value))
        return constant->name;
    const char *name = oq_rewrite_name(rewrite, constant->name, "_folded");
    for (const struct oq_use *use = constant->value->uses; use != NULL; use = use->next)
        rewrite->states[use->graph->ordinal].proto->node[use->node]->input[use->input] = text(name);
    return name;
}

bool oq_rewrite_fold(struct oq_rewrite *rewrite, struct oq_constant *constant)
{
    rewrite->current = graph_of(rewrite, constant->fold);
    const char *output = name_folded(rewrite, constant);
    if (output == NULL)
        return false;
    if (rewrite->plan->options.method != ONNXQ_METHOD_QDQ)
        return multiply_out(rewrite, constant, output);
    const char *value = dequantize_linear(rewrite, constant, output);
    if (constant->source.data_type != FLOAT)
        add_cast(rewrite, constant->name, value, constant->source.data_type, output);
    return !rewrite->failed;
}
