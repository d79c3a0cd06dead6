#include "support/builder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/types.h"

#define ARENA_BUDGET   ((size_t)1 << 30)
#define SIDE_ALIGNMENT 64

enum { WIRE_VARINT = 0, WIRE_64BIT = 1, WIRE_LENGTH = 2, WIRE_32BIT = 5 };

void *builder_alloc(struct builder *builder, size_t count, size_t size)
{
    void *memory = oq_arena_array(&builder->arena, count + 1, size);
    if (memory == NULL)
        abort();
    return memory;
}

char *builder_text(struct builder *builder, const char *text)
{
    return strcpy(builder_alloc(builder, strlen(text), 1), text);
}

void builder_append(struct builder *builder, void *list, size_t *count, void *item)
{
    void **old, **longer = builder_alloc(builder, *count + 1, sizeof(*longer));
    memcpy(&old, list, sizeof(old)); /* list is the address of a typed pointer */
    if (*count > 0)
        memcpy(longer, old, *count * sizeof(*longer));
    longer[(*count)++] = item;
    memcpy(list, &longer, sizeof(longer));
}

void builder_init(struct builder *builder)
{
    *builder = (struct builder){.seed = 1};
    oq_arena_init(&builder->arena, ARENA_BUDGET);
    builder->model = builder_alloc(builder, 1, sizeof(*builder->model));
    oq__pb__model_proto__init(builder->model);
    builder->model->has_ir_version = true;
    builder->model->ir_version = 8;
    builder->graph = builder_alloc(builder, 1, sizeof(*builder->graph));
    oq__pb__graph_proto__init(builder->graph);
    builder->graph->name = builder_text(builder, "main");
    builder->model->graph = builder->graph;
}

void builder_fini(struct builder *builder)
{
    oq_arena_fini(&builder->arena);
}

void builder_opset(struct builder *builder, const char *domain, int64_t version)
{
    Oq__Pb__ModelProto *model = builder->model;
    Oq__Pb__OperatorSetIdProto *import = builder_alloc(builder, 1, sizeof(*import));
    oq__pb__operator_set_id_proto__init(import);
    import->domain = builder_text(builder, domain);
    import->has_version = true;
    import->version = version;
    builder_append(builder, &model->opset_import, &model->n_opset_import, import);
}

static Oq__Pb__StringStringEntryProto *make_entry(struct builder *builder, const char *key,
                                                  const char *value)
{
    Oq__Pb__StringStringEntryProto *entry = builder_alloc(builder, 1, sizeof(*entry));
    oq__pb__string_string_entry_proto__init(entry);
    entry->key = builder_text(builder, key);
    entry->value = builder_text(builder, value);
    return entry;
}

void builder_metadata(struct builder *builder, const char *key, const char *value)
{
    Oq__Pb__ModelProto *model = builder->model;
    builder_append(builder, &model->metadata_props, &model->n_metadata_props,
                   make_entry(builder, key, value));
}

static Oq__Pb__TensorShapeProto *make_shape(struct builder *builder, const int64_t *dims,
                                            size_t n_dims)
{
    Oq__Pb__TensorShapeProto *shape = builder_alloc(builder, 1, sizeof(*shape));
    oq__pb__tensor_shape_proto__init(shape);
    for (size_t i = 0; i < n_dims; i++) {
        Oq__Pb__TensorShapeProto__Dimension *dim = builder_alloc(builder, 1, sizeof(*dim));
        oq__pb__tensor_shape_proto__dimension__init(dim);
        if (dims[i] < 0) {
            dim->value_case = OQ__PB__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
            dim->dim_param = builder_text(builder, "N");
        } else {
            dim->value_case = OQ__PB__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
            dim->dim_value = dims[i];
        }
        builder_append(builder, &shape->dim, &shape->n_dim, dim);
    }
    return shape;
}

Oq__Pb__ValueInfoProto *builder_value(struct builder *builder, const char *name, int32_t data_type,
                                      const int64_t *dims, size_t n_dims)
{
    Oq__Pb__ValueInfoProto *value = builder_alloc(builder, 1, sizeof(*value));
    Oq__Pb__TypeProto *type = builder_alloc(builder, 1, sizeof(*type));
    Oq__Pb__TypeProto__Tensor *tensor = builder_alloc(builder, 1, sizeof(*tensor));
    oq__pb__value_info_proto__init(value);
    oq__pb__type_proto__init(type);
    oq__pb__type_proto__tensor__init(tensor);
    value->name = builder_text(builder, name);
    value->type = type;
    type->value_case = OQ__PB__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = tensor;
    tensor->has_elem_type = true;
    tensor->elem_type = data_type;
    if (n_dims != SIZE_MAX)
        tensor->shape = make_shape(builder, dims, n_dims);
    return value;
}

static void copy_names(struct builder *builder, const char *const *names, char ***list,
                       size_t *count)
{
    for (; *names != NULL; names++)
        builder_append(builder, list, count, builder_text(builder, *names));
}

Oq__Pb__NodeProto *builder_node(struct builder *builder, Oq__Pb__GraphProto *graph,
                                const char *op_type, const char *name, const char *const *inputs,
                                const char *const *outputs)
{
    Oq__Pb__NodeProto *node = builder_alloc(builder, 1, sizeof(*node));
    oq__pb__node_proto__init(node);
    node->op_type = builder_text(builder, op_type);
    node->name = name == NULL ? NULL : builder_text(builder, name);
    copy_names(builder, inputs, &node->input, &node->n_input);
    copy_names(builder, outputs, &node->output, &node->n_output);
    builder_append(builder, &graph->node, &graph->n_node, node);
    return node;
}

Oq__Pb__AttributeProto *builder_attribute(struct builder *builder, Oq__Pb__NodeProto *node,
                                          const char *name,
                                          Oq__Pb__AttributeProto__AttributeType type)
{
    Oq__Pb__AttributeProto *attribute = builder_alloc(builder, 1, sizeof(*attribute));
    oq__pb__attribute_proto__init(attribute);
    attribute->name = builder_text(builder, name);
    attribute->has_type = true;
    attribute->type = type;
    builder_append(builder, &node->attribute, &node->n_attribute, attribute);
    return attribute;
}

/* --- tensors --- */

Oq__Pb__TensorProto *builder_tensor(struct builder *builder, const char *name, int32_t data_type,
                                    const int64_t *dims, size_t n_dims)
{
    Oq__Pb__TensorProto *tensor = builder_alloc(builder, 1, sizeof(*tensor));
    oq__pb__tensor_proto__init(tensor);
    tensor->name = name == NULL ? NULL : builder_text(builder, name);
    tensor->has_data_type = true;
    tensor->data_type = data_type;
    tensor->dims = builder_alloc(builder, n_dims, sizeof(*tensor->dims));
    tensor->n_dims = n_dims;
    if (n_dims > 0)
        memcpy(tensor->dims, dims, n_dims * sizeof(*dims));
    return tensor;
}

void builder_initializer(struct builder *builder, Oq__Pb__GraphProto *graph,
                         Oq__Pb__TensorProto *tensor)
{
    builder_append(builder, &graph->initializer, &graph->n_initializer, tensor);
}

void builder_raw(struct builder *builder, Oq__Pb__TensorProto *tensor, const void *bytes,
                 size_t nbytes)
{
    tensor->has_raw_data = true;
    tensor->raw_data.len = nbytes;
    tensor->raw_data.data = builder_alloc(builder, nbytes, 1);
    if (nbytes > 0)
        memcpy(tensor->raw_data.data, bytes, nbytes);
}

void builder_external(struct builder *builder, Oq__Pb__TensorProto *tensor, const char *key,
                      const char *value)
{
    Oq__Pb__StringStringEntryProto *entry = make_entry(builder, key, value);
    tensor->has_data_location = true;
    tensor->data_location = OQ__PB__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    builder_append(builder, &tensor->external_data, &tensor->n_external_data, entry);
}

/* Appends to the side file, which gets its name when the model is written. */
static void store_external(struct builder *builder, Oq__Pb__TensorProto *tensor,
                           const uint8_t *bytes, size_t nbytes)
{
    char number[24];
    size_t offset = (builder->side_nbytes + SIDE_ALIGNMENT - 1) / SIDE_ALIGNMENT * SIDE_ALIGNMENT;
    uint8_t *side = builder_alloc(builder, offset + nbytes, 1);
    if (builder->side_nbytes > 0)
        memcpy(side, builder->side, builder->side_nbytes);
    memcpy(side + offset, bytes, nbytes);
    builder->side = side;
    builder->side_nbytes = offset + nbytes;

    builder_external(builder, tensor, "location", "");
    builder_append(builder, &builder->locations, &builder->n_locations, tensor->external_data[0]);
    snprintf(number, sizeof(number), "%zu", offset);
    builder_external(builder, tensor, "offset", number);
    snprintf(number, sizeof(number), "%zu", nbytes);
    builder_external(builder, tensor, "length", number);
}

double builder_random(struct builder *builder)
{
    /* Numerical Recipes' linear congruential generator; the high bits are the good ones. */
    builder->seed = builder->seed * 1664525u + 1013904223u;
    return (double)(builder->seed >> 8) / (double)(1u << 23) - 1;
}

/* --- typed fields --- */

/* What the field of the type holds for one element of raw_data, without tag. */
static void put_element(struct builder_bytes *bytes, const struct element_type *type,
                        const uint8_t *raw)
{
    static const uint32_t fixed = 1u << 4 | 1u << 10; /* float_data, double_data */
    uint64_t value = 0;
    if (fixed >> type->field & 1) {
        builder_put(bytes, raw, type->nbytes);
        return;
    }
    memcpy(&value, raw, type->nbytes);
    /* Signed types of less than 64 bits are sign-extended to 64. */
    bool is_signed = type->data_type == 3 || type->data_type == 5 || type->data_type == 6;
    if (is_signed && value >> (type->nbytes * 8 - 1) != 0)
        value |= UINT64_MAX << (type->nbytes * 8 - 1);
    builder_put_varint(bytes, value);
}

static unsigned wire_type_of(const struct element_type *type)
{
    return type->field == 4 ? WIRE_32BIT : type->field == 10 ? WIRE_64BIT : WIRE_VARINT;
}

static void put_packed(struct builder_bytes *bytes, const struct element_type *type,
                       const uint8_t *raw, size_t nelem)
{
    struct builder_bytes packed = {.builder = bytes->builder};
    for (size_t i = 0; i < nelem; i++)
        put_element(&packed, type, raw + i * type->nbytes);
    builder_put_tag(bytes, type->field, WIRE_LENGTH);
    builder_put_varint(bytes, packed.nbytes);
    builder_put(bytes, packed.bytes, packed.nbytes);
}

static void put_unpacked(struct builder_bytes *bytes, const struct element_type *type,
                         const uint8_t *raw, size_t nelem)
{
    for (size_t i = 0; i < nelem; i++) {
        builder_put_tag(bytes, type->field, wire_type_of(type));
        put_element(bytes, type, raw + i * type->nbytes);
    }
}

static void put_pieces(struct builder_bytes *bytes, const struct element_type *type,
                       const uint8_t *raw, size_t nelem)
{
    size_t third = nelem / 3;
    put_packed(bytes, type, raw, third);
    put_unpacked(bytes, type, raw + third * type->nbytes, third);
    put_packed(bytes, type, raw + 2 * third * type->nbytes, nelem - 2 * third);
}

/* Two elements in a byte, the first in the low half. */
static void store_halves(struct builder *builder, Oq__Pb__TensorProto *tensor, const double *values,
                         size_t nelem)
{
    uint8_t *raw = builder_alloc(builder, nelem / 2 + 1, 1);
    for (size_t i = 0; i < nelem; i++)
        raw[i / 2] |= (uint8_t)(((int)values[i] & 15) << (i % 2 * 4));
    builder_raw(builder, tensor, raw, (nelem + 1) / 2);
}

void builder_store(struct builder *builder, Oq__Pb__TensorProto *tensor,
                   enum builder_storage storage, const double *values, size_t nelem)
{
    const struct element_type *type = element_type_by_number(tensor->data_type);
    const bool is_half_byte = tensor->data_type == 21 || tensor->data_type == 22;
    if (is_half_byte && storage == BUILDER_RAW) {
        store_halves(builder, tensor, values, nelem);
        return;
    }
    if (type == NULL || type->nbytes == 0)
        abort();
    uint8_t *raw = builder_alloc(builder, nelem + 1, type->nbytes);
    struct builder_bytes bytes = {.builder = builder};
    for (size_t i = 0; i < nelem; i++)
        element_encode(type, values[i], raw + i * type->nbytes);
    switch (storage) {
    case BUILDER_RAW:
        builder_raw(builder, tensor, raw, nelem * type->nbytes);
        return;
    case BUILDER_EXTERNAL:
        store_external(builder, tensor, raw, nelem * type->nbytes);
        return;
    case BUILDER_PACKED:
        put_packed(&bytes, type, raw, nelem);
        break;
    case BUILDER_UNPACKED:
        put_unpacked(&bytes, type, raw, nelem);
        break;
    case BUILDER_PIECES:
        put_pieces(&bytes, type, raw, nelem);
        break;
    }
    builder_wire(builder, &tensor->base, bytes.bytes, bytes.nbytes);
}

/* --- bytes --- */

void builder_put(struct builder_bytes *bytes, const void *src, size_t nbytes)
{
    if (nbytes > bytes->capacity - bytes->nbytes) {
        bytes->capacity = (bytes->nbytes + nbytes) * 2 + 64;
        uint8_t *larger = builder_alloc(bytes->builder, bytes->capacity, 1);
        if (bytes->nbytes > 0)
            memcpy(larger, bytes->bytes, bytes->nbytes);
        bytes->bytes = larger;
    }
    if (nbytes > 0)
        memcpy(bytes->bytes + bytes->nbytes, src, nbytes);
    bytes->nbytes += nbytes;
}

void builder_put_varint(struct builder_bytes *bytes, uint64_t value)
{
    uint8_t byte;
    for (; value >= 0x80; value >>= 7) {
        byte = (uint8_t)(value | 0x80);
        builder_put(bytes, &byte, 1);
    }
    byte = (uint8_t)value;
    builder_put(bytes, &byte, 1);
}

void builder_put_tag(struct builder_bytes *bytes, uint32_t field, unsigned wire_type)
{
    builder_put_varint(bytes, (uint64_t)field << 3 | wire_type);
}

/* protobuf-c writes an unknown field's tag, then its data as it is: whatever follows the tag. */
void builder_wire(struct builder *builder, ProtobufCMessage *message, const void *bytes,
                  size_t nbytes)
{
    const uint8_t *src = bytes;
    uint64_t tag = 0;
    size_t n = 0;
    if (nbytes == 0)
        return;
    do {
        tag |= (uint64_t)(src[n] & 0x7f) << (7 * n);
    } while (src[n++] >= 0x80 && n < nbytes);

    size_t count = message->n_unknown_fields;
    ProtobufCMessageUnknownField *fields = builder_alloc(builder, count + 1, sizeof(*fields));
    if (count > 0)
        memcpy(fields, message->unknown_fields, count * sizeof(*fields));
    fields[count].tag = (uint32_t)(tag >> 3);
    fields[count].wire_type = (ProtobufCWireType)(tag & 7);
    fields[count].len = nbytes - n;
    fields[count].data = builder_alloc(builder, nbytes - n, 1);
    memcpy(fields[count].data, src + n, nbytes - n);
    message->unknown_fields = fields;
    message->n_unknown_fields = (unsigned)count + 1;
}

/* --- files --- */

static bool write_file(const char *path, const void *bytes, size_t nbytes)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL)
        return false;
    bool ok = fwrite(bytes, 1, nbytes, file) == nbytes;
    return fclose(file) == 0 && ok;
}

bool builder_write(struct builder *builder, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash == NULL ? path : slash + 1;
    char *location = builder_alloc(builder, strlen(base) + sizeof(".data"), 1);
    char *side_path = builder_alloc(builder, strlen(path) + sizeof(".data"), 1);
    sprintf(location, "%s.data", base);
    sprintf(side_path, "%s.data", path);
    for (size_t i = 0; i < builder->n_locations; i++)
        builder->locations[i]->value = location;

    size_t nbytes = protobuf_c_message_get_packed_size(&builder->model->base);
    uint8_t *bytes = builder_alloc(builder, nbytes, 1);
    protobuf_c_message_pack(&builder->model->base, bytes);
    return write_file(path, bytes, nbytes) &&
           (builder->n_locations == 0 ||
            write_file(side_path, builder->side, builder->side_nbytes));
}
