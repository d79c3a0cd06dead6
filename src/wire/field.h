/* Access to the fields of a protobuf-c message by descriptor. */
#ifndef OQ_WIRE_FIELD_H
#define OQ_WIRE_FIELD_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that one element takes in the C struct. */
static inline size_t oq_field_size(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    default:
        return 4;
    }
}

/* How many elements are present: 0 or 1 for a field that is not repeated. */
static inline size_t oq_field_count(const ProtobufCMessage *message,
                                    const ProtobufCFieldDescriptor *field)
{
    const char *base = (const char *)message;
    const void *member = base + field->offset;
    const void *quantifier = base + field->quantifier_offset;
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return *(const size_t *)quantifier;
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        if (*(const uint32_t *)quantifier != field->id)
            return 0;
    } else if (field->type != PROTOBUF_C_TYPE_STRING && field->type != PROTOBUF_C_TYPE_MESSAGE) {
        return *(const protobuf_c_boolean *)quantifier ? 1 : 0;
    }
    if (field->type != PROTOBUF_C_TYPE_STRING && field->type != PROTOBUF_C_TYPE_MESSAGE)
        return 1;
    const void *pointer = *(void *const *)member;
    return pointer != NULL && pointer != field->default_value ? 1 : 0;
}

/* Address of element k < count. */
static inline const void *oq_field_element(const ProtobufCMessage *message,
                                           const ProtobufCFieldDescriptor *field, size_t k)
{
    const char *member = (const char *)message + field->offset;
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        member = *(const char *const *)(const void *)member;
    return member + k * oq_field_size(field);
}

static inline ProtobufCMessage *oq_field_message(const ProtobufCMessage *message,
                                                 const ProtobufCFieldDescriptor *field, size_t k)
{
    return *(ProtobufCMessage *const *)oq_field_element(message, field, k);
}

#endif
