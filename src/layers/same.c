/* Compares nodes, attributes, tensors and whole cones. */
#include "layers/same.h"

#include <stdlib.h>

#include "base/checked.h"
#include "wire/field.h"
#include "wire/data_type.h"

/* What is read of each tensor at once. */
#define PIECE_NBYTES ((size_t)1 << 18)

bool oq_same_init(struct oq_same *same, const onnxq_model *a, const onnxq_model *b,
                  onnxq_error *error)
{
    *same = (struct oq_same){.a = a, .b = b, .buffers = malloc(2 * PIECE_NBYTES)};
    return same->buffers != NULL || oq_fail_memory(error);
}

void oq_same_fini(struct oq_same *same)
{
    free(same->buffers);
    *same = (struct oq_same){0};
}

/* --- tensors --- */

static bool have_same_shape(const struct oq_tensor *a, const struct oq_tensor *b)
{
    return a->proto->data_type == b->proto->data_type && a->n_dims == b->n_dims &&
           (a->n_dims == 0 || memcmp(a->dims, b->dims, a->n_dims * sizeof(*a->dims)) == 0);
}

static bool compare_bytes(struct oq_same *same, const struct oq_tensor *a,
                          const struct oq_tensor *b, bool *equal, onnxq_error *error)
{
    char *left = same->buffers, *right = left + PIECE_NBYTES;
    *equal = a->nbytes == b->nbytes;
    for (uint64_t first = 0; *equal && first < a->nbytes; first += PIECE_NBYTES) {
        size_t count = (size_t)oq_min_u64(PIECE_NBYTES, a->nbytes - first);
        if (!oq_tensor_read_bytes(a, first, count, left, error) ||
            !oq_tensor_read_bytes(b, first, count, right, error))
            return false;
        *equal = memcmp(left, right, count) == 0;
    }
    return true;
}

/* Integers that are few, however they are stored: shapes, axes. */
static bool compare_integers(const struct oq_tensor *a, const struct oq_tensor *b, bool *equal,
                             onnxq_error *error)
{
    int64_t left[OQ_READ_MAX_INTEGERS], right[OQ_READ_MAX_INTEGERS];
    if (!oq_tensor_read_int64s(a, left, error) || !oq_tensor_read_int64s(b, right, error))
        return false;
    *equal = memcmp(left, right, (size_t)a->nelem * sizeof(*left)) == 0;
    return true;
}

static bool compare_fragments(struct oq_same *same, const struct oq_tensor *a,
                              const struct oq_tensor *b, uint32_t k, bool *equal,
                              onnxq_error *error)
{
    const struct oq_fragment *left = &a->fragments[k], *right = &b->fragments[k];
    char *piece = same->buffers, *other = piece + PIECE_NBYTES;
    *equal = left->field == right->field && left->nbytes == right->nbytes;
    for (uint64_t first = 0; *equal && first < left->nbytes; first += PIECE_NBYTES) {
        size_t count = (size_t)oq_min_u64(PIECE_NBYTES, left->nbytes - first);
        if (!oq_file_read(a->file, left->offset + first, piece, count, error) ||
            !oq_file_read(b->file, right->offset + first, other, count, error))
            return false;
        *equal = memcmp(piece, other, count) == 0;
    }
    return true;
}

/* Elements of unknown types, or in pieces: the same where they are stored alike. */
static bool compare_pieces(struct oq_same *same, const struct oq_tensor *a,
                           const struct oq_tensor *b, bool *equal, onnxq_error *error)
{
    *equal = a->external == b->external && a->nfragments == b->nfragments;
    for (uint32_t k = 0; *equal && k < a->nfragments; k++)
        if (!compare_fragments(same, a, b, k, equal, error))
            return false;
    return true;
}

static bool is_string(const struct oq_tensor *tensor)
{
    return tensor->proto->data_type == OQ_TYPE(STRING);
}

static bool same_strings(const Oq__Pb__TensorProto *a, const Oq__Pb__TensorProto *b)
{
    bool same = a->n_string_data == b->n_string_data;
    for (size_t i = 0; same && i < a->n_string_data; i++) {
        const ProtobufCBinaryData *left = &a->string_data[i], *right = &b->string_data[i];
        same = left->len == right->len &&
               (left->len == 0 || memcmp(left->data, right->data, left->len) == 0);
    }
    return same;
}

bool oq_same_tensors(struct oq_same *same, const Oq__Pb__TensorProto *a,
                     const Oq__Pb__TensorProto *b, bool *equal, onnxq_error *error)
{
    const struct oq_tensor *left = oq_model_tensor(same->a, a),
                           *right = oq_model_tensor(same->b, b);
    *equal = have_same_shape(left, right);
    if (!*equal || left->nelem == 0)
        return true;
    if (is_string(left)) {
        *equal = same_strings(a, b);
        return true;
    }
    if (left->file != NULL && right->file != NULL && left->contiguous && right->contiguous)
        return compare_bytes(same, left, right, equal, error);
    if (oq_tensor_is_integer(left) && left->nelem <= OQ_READ_MAX_INTEGERS)
        return compare_integers(left, right, equal, error);
    return compare_pieces(same, left, right, equal, error);
}

/* --- messages --- */

static bool same_messages(struct oq_same *same, const ProtobufCMessage *a,
                          const ProtobufCMessage *b, bool *equal, onnxq_error *error);

static bool same_text(const char *a, const char *b)
{
    return strcmp(a == NULL ? "" : a, b == NULL ? "" : b) == 0;
}

static bool same_elements(struct oq_same *same, const ProtobufCFieldDescriptor *field,
                          const void *a, const void *b, bool *equal, onnxq_error *error)
{
    const ProtobufCBinaryData *left = a, *right = b;
    switch (field->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        return same_messages(same, *(const ProtobufCMessage *const *)a,
                             *(const ProtobufCMessage *const *)b, equal, error);
    case PROTOBUF_C_TYPE_STRING:
        *equal = same_text(*(const char *const *)a, *(const char *const *)b);
        return true;
    case PROTOBUF_C_TYPE_BYTES:
        *equal = left->len == right->len &&
                 (left->len == 0 || memcmp(left->data, right->data, left->len) == 0);
        return true;
    default:
        *equal = memcmp(a, b, oq_field_size(field)) == 0;
        return true;
    }
}

/* Comments, which say nothing about what is computed. */
static bool is_comment(const ProtobufCFieldDescriptor *field)
{
    return strcmp(field->name, "doc_string") == 0 || strcmp(field->name, "metadata_props") == 0;
}

/* A number of its own: one that is left out is 0, as writers of proto3 do it. */
static bool is_number(const ProtobufCFieldDescriptor *field)
{
    return field->label != PROTOBUF_C_LABEL_REPEATED &&
           (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0 &&
           field->type != PROTOBUF_C_TYPE_MESSAGE && field->type != PROTOBUF_C_TYPE_STRING &&
           field->type != PROTOBUF_C_TYPE_BYTES;
}

/* Recursion is bounded by OQ_SCAN_MAX_DEPTH: the scan has refused deeper messages. */
static bool same_messages(struct oq_same *same, const ProtobufCMessage *a,
                          const ProtobufCMessage *b, bool *equal, onnxq_error *error)
{
    const ProtobufCMessageDescriptor *type = a->descriptor;
    *equal = true;
    if (type == &oq__pb__tensor_proto__descriptor)
        return oq_same_tensors(same, (const Oq__Pb__TensorProto *)a, (const Oq__Pb__TensorProto *)b,
                               equal, error);
    for (unsigned i = 0; *equal && i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        size_t count = is_number(field) ? 1 : oq_field_count(a, field);
        if (is_comment(field))
            continue;
        *equal = is_number(field) || count == oq_field_count(b, field);
        for (size_t k = 0; *equal && k < count; k++)
            if (!same_elements(same, field, oq_field_element(a, field, k),
                               oq_field_element(b, field, k), equal, error))
                return false;
    }
    return true;
}

/* The attribute of that name; mostly it stands where the other node has it. */
static const Oq__Pb__AttributeProto *find_attribute(const Oq__Pb__NodeProto *node, const char *name,
                                                    size_t place)
{
    if (same_text(node->attribute[place]->name, name))
        return node->attribute[place];
    return oq_node_attribute(node, name == NULL ? "" : name);
}

/* Add is a Sum of two, as which quantize writes it in front of a normalization. */
static const char *operator_of(const Oq__Pb__NodeProto *node)
{
    bool is_add = oq_node_is(node, "", "Sum") && node->n_input == 2;
    return is_add ? "Add" : node->op_type;
}

bool oq_same_operators(struct oq_same *same, const Oq__Pb__NodeProto *a, const Oq__Pb__NodeProto *b,
                       bool *equal, onnxq_error *error)
{
    *equal = same_text(operator_of(a), operator_of(b)) &&
             strcmp(oq_domain(a->domain), oq_domain(b->domain)) == 0 &&
             a->n_attribute == b->n_attribute;
    for (size_t i = 0; *equal && i < a->n_attribute; i++) {
        const Oq__Pb__AttributeProto *left = a->attribute[i],
                                     *right = find_attribute(b, left->name, i);
        *equal = right != NULL;
        if (*equal && !same_messages(same, &left->base, &right->base, equal, error))
            return false;
    }
    return true;
}
