/* Nodes and tensors of a draft. */
#include "edit/edit.h"

#include "base/checked.h"
#include "wire/data_type.h"

static bool fail(struct oq_edit *edit)
{
    edit->failed = true;
    return false;
}

/* How many numbers were tried behind a taken name: they are not tried again. */
static unsigned *tried_behind(struct oq_edit *edit, void **place)
{
    if (*place == &edit->untried)
        *place = oq_arena_alloc(edit->arena, sizeof(unsigned));
    return *place;
}

static const char *fresh_name(struct oq_edit *edit, struct oq_strmap *taken, const char *base,
                              const char *suffix)
{
    bool possible = base != NULL && suffix != NULL;
    char *plain = possible ? oq_arena_printf(edit->arena, "%s%s", base, suffix) : NULL;
    char *name = plain;
    unsigned *tried = NULL;
    while (name != NULL) {
        void **place = oq_strmap_place(taken, name);
        if (place == NULL)
            break;
        if (*place == NULL) {
            *place = &edit->untried;
            return name;
        }
        if (tried == NULL && (tried = tried_behind(edit, place)) == NULL)
            break;
        name = oq_arena_printf(edit->arena, "%s_%u", plain, ++*tried);
    }
    fail(edit);
    return NULL;
}

const char *oq_edit_name(struct oq_edit *edit, const char *base, const char *suffix)
{
    return fresh_name(edit, &edit->value_names, base, suffix);
}

/* --- nodes --- */

bool oq_edit_keep(struct oq_edit *edit, Oq__Pb__NodeProto *node)
{
    struct oq_edit_graph *graph = edit->current;
    if (!oq_arena_grow(edit->arena, &graph->nodes, graph->n_nodes, &graph->nodes_capacity,
                       sizeof(Oq__Pb__NodeProto *)))
        return fail(edit);
    graph->nodes[graph->n_nodes++] = node;
    return true;
}

static char **copy_names(struct oq_edit *edit, const char *const *names, size_t *count)
{
    for (*count = 0; names[*count] != NULL; (*count)++)
        ;
    char **copy = oq_edit_allocate(edit, *count + 1, sizeof(*copy));
    for (size_t i = 0; copy != NULL && i < *count; i++)
        copy[i] = oq_edit_text(names[i]);
    return copy;
}

/* Shape inference knows only operators of ONNX: it is told the type of what others give. */
static void declare(struct oq_edit *edit, char *name, int32_t data_type)
{
    struct oq_edit_graph *graph = edit->current;
    Oq__Pb__ValueInfoProto *info = oq_edit_allocate(edit, 1, sizeof(*info));
    Oq__Pb__TypeProto *type = oq_edit_allocate(edit, 1, sizeof(*type));
    Oq__Pb__TypeProto__Tensor *tensor = oq_edit_allocate(edit, 1, sizeof(*tensor));
    if (name[0] == '\0' || oq_strmap_find(&graph->typed, name) != NULL)
        return;
    if (info == NULL || type == NULL || tensor == NULL ||
        !oq_arena_grow(edit->arena, &graph->value_infos, graph->n_value_infos,
                       &graph->value_infos_capacity, sizeof(Oq__Pb__ValueInfoProto *))) {
        fail(edit);
        return;
    }
    oq__pb__value_info_proto__init(info);
    oq__pb__type_proto__init(type);
    oq__pb__type_proto__tensor__init(tensor);
    tensor->has_elem_type = true;
    tensor->elem_type = data_type;
    type->value_case = OQ__PB__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = tensor;
    info->name = name;
    info->type = type;
    graph->value_infos[graph->n_value_infos++] = info;
}

Oq__Pb__NodeProto *oq_edit_node(struct oq_edit *edit, const char *domain, const char *op_type,
                                const char *label, const char *const *inputs,
                                const char *const *outputs)
{
    Oq__Pb__NodeProto *node = oq_edit_allocate(edit, 1, sizeof(*node));
    /* A NULL among the names means that an earlier step has failed: the list would be cut. */
    if (node == NULL || edit->failed)
        return NULL;
    const char *suffix = oq_arena_printf(edit->arena, "_%s", op_type);
    oq__pb__node_proto__init(node);
    node->op_type = oq_edit_text(op_type);
    node->domain = domain[0] == '\0' ? NULL : oq_edit_text(domain);
    node->name = oq_edit_text(fresh_name(edit, &edit->node_names, label, suffix));
    node->input = copy_names(edit, inputs, &node->n_input);
    while (node->n_input > 0 && inputs[node->n_input - 1][0] == '\0')
        node->n_input--; /* left out at the end is not there */
    node->output = copy_names(edit, outputs, &node->n_output);
    if (edit->failed || !oq_edit_keep(edit, node))
        return NULL;
    edit->uses_standard |= domain[0] == '\0';
    if (domain[0] != '\0') {
        const int32_t integers = edit->integer_type != 0 ? edit->integer_type : OQ_TYPE(UINT8);
        edit->uses_contrib = true;
        for (size_t i = 0; i < node->n_output; i++)
            declare(edit, node->output[i],
                    strcmp(op_type, "QuantizeLinear") == 0 ? integers : OQ_TYPE(FLOAT));
    }
    return node;
}

static Oq__Pb__AttributeProto *add_attribute(struct oq_edit *edit, Oq__Pb__NodeProto *node,
                                             const char *name,
                                             Oq__Pb__AttributeProto__AttributeType type)
{
    Oq__Pb__AttributeProto *attribute = oq_edit_allocate(edit, 1, sizeof(*attribute));
    void *list =
        node == NULL ? NULL : oq_edit_appended(edit, node->attribute, node->n_attribute, attribute);
    if (attribute == NULL || list == NULL)
        return NULL;
    oq__pb__attribute_proto__init(attribute);
    attribute->name = oq_edit_text(name);
    attribute->has_type = true;
    attribute->type = type;
    node->attribute = list;
    node->n_attribute++;
    return attribute;
}

void oq_edit_add_int(struct oq_edit *edit, Oq__Pb__NodeProto *node, const char *name, int64_t value)
{
    Oq__Pb__AttributeProto *attribute =
        add_attribute(edit, node, name, OQ__PB__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    if (attribute != NULL) {
        attribute->has_i = true;
        attribute->i = value;
    }
}

void oq_edit_add_float(struct oq_edit *edit, Oq__Pb__NodeProto *node, const char *name, float value)
{
    Oq__Pb__AttributeProto *attribute =
        add_attribute(edit, node, name, OQ__PB__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    if (attribute != NULL) {
        attribute->has_f = true;
        attribute->f = value;
    }
}

static void add_ints(struct oq_edit *edit, Oq__Pb__NodeProto *node, const char *name,
                     const int64_t *values, size_t n)
{
    Oq__Pb__AttributeProto *attribute =
        add_attribute(edit, node, name, OQ__PB__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    int64_t *copy = attribute == NULL ? NULL : oq_edit_allocate(edit, n, sizeof(*copy));
    if (copy != NULL) {
        memcpy(copy, values, n * sizeof(*copy));
        attribute->ints = copy;
        attribute->n_ints = n;
    }
}

void oq_edit_copy_attributes(struct oq_edit *edit, Oq__Pb__NodeProto *node,
                             const Oq__Pb__NodeProto *from, const char *without)
{
    Oq__Pb__AttributeProto **list =
        node == NULL
            ? NULL
            : oq_edit_allocate(edit, from->n_attribute + 1, sizeof(Oq__Pb__AttributeProto *));
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

void *oq_edit_made(struct oq_edit *edit, const char *kind, const char *name, void ***place)
{
    char *key = name == NULL ? NULL : oq_arena_printf(edit->arena, "%s %s", kind, name);
    *place = key == NULL ? NULL : oq_strmap_place(&edit->current->made, key);
    if (*place == NULL)
        fail(edit);
    return *place == NULL ? NULL : **place;
}

bool oq_edit_permute(struct oq_edit *edit, const char *label, const char *value,
                     const int64_t *perm, size_t rank, const char *output)
{
    const char *inputs[] = {value, NULL};
    const char *outputs[] = {output, NULL};
    add_ints(edit, oq_edit_node(edit, "", "Transpose", label, inputs, outputs), "perm", perm, rank);
    return !edit->failed;
}

const char *oq_edit_permuted(struct oq_edit *edit, const char *name, const char *suffix,
                             const int64_t *perm, size_t rank)
{
    void **place;
    const char *made = oq_edit_made(edit, suffix, name, &place);
    if (made != NULL || place == NULL)
        return made;
    made = oq_edit_name(edit, name, suffix);
    *place = oq_edit_text(made);
    oq_edit_permute(edit, name, name, perm, rank, made);
    return made;
}

const char *oq_edit_transpose(struct oq_edit *edit, const char *name)
{
    static const int64_t perm[] = {1, 0};
    return oq_edit_permuted(edit, name, "_transposed", perm, 2);
}

const char *oq_edit_flattened(struct oq_edit *edit, const char *name)
{
    void **place;
    const char *made = oq_edit_made(edit, "_flattened", name, &place);
    if (made != NULL || place == NULL)
        return made;
    made = oq_edit_name(edit, name, "_flattened");
    *place = oq_edit_text(made);
    const char *inputs[] = {name, NULL}, *outputs[] = {made, NULL};
    oq_edit_node(edit, "", "Flatten", name, inputs, outputs);
    return made;
}

/* --- types --- */

void oq_edit_cast(struct oq_edit *edit, const char *label, const char *value, int32_t data_type,
                  const char *output)
{
    const char *inputs[] = {value, NULL};
    const char *outputs[] = {output, NULL};
    oq_edit_add_int(edit, oq_edit_node(edit, "", "Cast", label, inputs, outputs), "to", data_type);
}

const char *oq_edit_float_input(struct oq_edit *edit, const char *name, bool transposed,
                                int32_t data_type)
{
    void **place;
    if (transposed)
        name = oq_edit_transpose(edit, name);
    if (data_type == OQ_TYPE(FLOAT))
        return name;
    const char *made = oq_edit_made(edit, "float32", name, &place);
    if (made != NULL || place == NULL)
        return made;
    made = oq_edit_name(edit, name, "_f32");
    *place = oq_edit_text(made);
    oq_edit_cast(edit, name, name, OQ_TYPE(FLOAT), made);
    return made;
}

bool oq_edit_float_output(struct oq_edit *edit, const char *domain, const char *op_type,
                          const char *label, const char *const *inputs, int32_t data_type,
                          const char *output)
{
    const char *computed =
        data_type == OQ_TYPE(FLOAT) ? output : oq_edit_name(edit, output, "_f32");
    const char *outputs[] = {computed, NULL};
    oq_edit_node(edit, domain, op_type, label, inputs, outputs);
    if (data_type != OQ_TYPE(FLOAT))
        oq_edit_cast(edit, label, computed, data_type, output);
    return !edit->failed;
}

/* --- tensors --- */

/* Types of 4 bits are there from IR version 10 on. */
#define IR_VERSION_4_BITS 10

static void need_ir_version(struct oq_edit *edit, int32_t data_type)
{
    Oq__Pb__ModelProto *model = edit->draft->proto;
    bool is_4_bits = data_type == OQ_TYPE(INT4) || data_type == OQ_TYPE(UINT4);
    if (!is_4_bits || model->ir_version >= IR_VERSION_4_BITS)
        return;
    model->has_ir_version = true;
    model->ir_version = IR_VERSION_4_BITS;
}

const char *oq_edit_tensor(struct oq_edit *edit, struct oq_edit_graph *graph, const char *name,
                           int32_t data_type, const int64_t *dims, size_t n_dims,
                           const struct oq_recipe *recipe)
{
    uint32_t number;
    Oq__Pb__TensorProto *tensor = oq_edit_allocate(edit, 1, sizeof(*tensor));
    int64_t *own_dims = oq_edit_allocate(edit, n_dims + 1, sizeof(*own_dims));
    struct oq_payload *payload = oq_edit_allocate(edit, 1, sizeof(*payload));
    if (tensor == NULL || own_dims == NULL || payload == NULL || name == NULL ||
        !oq_draft_add_recipe(edit->draft, recipe, &number, edit->error) ||
        !oq_arena_grow(edit->arena, &graph->tensors, graph->n_tensors, &graph->tensors_capacity,
                       sizeof(Oq__Pb__TensorProto *))) {
        fail(edit);
        return NULL;
    }
    oq__pb__tensor_proto__init(tensor);
    if (n_dims > 0)
        memcpy(own_dims, dims, n_dims * sizeof(*dims));
    *payload = (struct oq_payload){.kind = OQ_PAYLOAD_RECIPE, .first = number};
    tensor->name = oq_edit_text(name);
    tensor->has_data_type = true;
    tensor->data_type = data_type;
    tensor->n_dims = n_dims;
    tensor->dims = own_dims;
    tensor->has_raw_data = true;
    tensor->raw_data = (ProtobufCBinaryData){sizeof(*payload), (uint8_t *)payload};
    need_ir_version(edit, data_type);
    graph->tensors[graph->n_tensors++] = tensor;
    return name;
}

/* An initializer of the current graph, of values that the caller may not keep. */
static const char *add_copy(struct oq_edit *edit, const char *name, int32_t data_type, size_t width,
                            const int64_t *dims, size_t n_dims, const void *values)
{
    size_t nbytes = (size_t)oq_nelem(dims, 0, n_dims) * width;
    void *copy = oq_edit_allocate(edit, nbytes, 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, values, nbytes);
    const struct oq_recipe recipe = oq_recipe_bytes(copy, nbytes);
    return oq_edit_tensor(edit, edit->current, name, data_type, dims, n_dims, &recipe);
}

const char *oq_edit_floats(struct oq_edit *edit, const char *base, const int64_t *dims,
                           size_t n_dims, const float *values)
{
    return add_copy(edit, oq_edit_name(edit, base, "_f32"), OQ_TYPE(FLOAT), sizeof(float), dims,
                    n_dims, values);
}

const char *oq_edit_int64s(struct oq_edit *edit, const char *base, const int64_t *values, size_t n)
{
    const int64_t dims[] = {(int64_t)n};
    return add_copy(edit, oq_edit_name(edit, base, ""), OQ_TYPE(INT64), sizeof(int64_t), dims, 1,
                    values);
}
