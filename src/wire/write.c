/*
 * A message is written from its end to its start: when the writer comes to a
 * length prefix, the length is what it has just written. One pass, no table of
 * sizes, and payloads are only counted.
 */
#include <stdlib.h>

#include "base/checked.h"
#include "wire/field.h"
#include "wire/message.h"
#include "wire/varint.h"

struct writer {
    const struct oq_write_context *context;
    uint8_t *bytes; /* filled from the end: bytes[start, capacity) */
    size_t start, capacity;
    struct oq_segment *segments; /* last one first */
    size_t nsegments, segments_capacity;
    size_t flushed; /* bytes[flushed, capacity) belong to segments already */
    uint64_t nbytes;
    bool failed;
};

/* Room for nbytes in front of what is written; NULL once memory is out. */
static uint8_t *reserve(struct writer *writer, size_t nbytes)
{
    if (nbytes > writer->start) {
        size_t used = writer->capacity - writer->start;
        size_t capacity = (used + nbytes) * 2 + 4096;
        uint8_t *bytes = writer->failed ? NULL : malloc(capacity);
        if (bytes == NULL) {
            writer->failed = true;
            return NULL;
        }
        if (used > 0)
            memcpy(bytes + capacity - used, writer->bytes + writer->start, used);
        free(writer->bytes);
        writer->flushed += capacity - writer->capacity;
        writer->bytes = bytes;
        writer->start = capacity - used;
        writer->capacity = capacity;
    }
    writer->start -= nbytes;
    writer->nbytes += nbytes;
    return writer->bytes + writer->start;
}

static void put_bytes(struct writer *writer, const void *src, size_t nbytes)
{
    uint8_t *dst = nbytes == 0 ? NULL : reserve(writer, nbytes);
    if (dst != NULL)
        memcpy(dst, src, nbytes);
}

static void put_varint(struct writer *writer, uint64_t value)
{
    uint8_t bytes[OQ_VARINT_MAX_NBYTES];
    put_bytes(writer, bytes, oq_varint_encode(value, bytes));
}

static void put_tag(struct writer *writer, uint32_t number, unsigned wire_type)
{
    put_varint(writer, (uint64_t)number << 3 | wire_type);
}

static void add_segment(struct writer *writer, struct oq_segment segment)
{
    if (writer->nsegments == writer->segments_capacity) {
        size_t capacity = writer->segments_capacity == 0 ? 64 : writer->segments_capacity * 2;
        struct oq_segment *segments =
            writer->failed ? NULL : realloc(writer->segments, capacity * sizeof(*segments));
        if (segments == NULL) {
            writer->failed = true;
            return;
        }
        writer->segments = segments;
        writer->segments_capacity = capacity;
    }
    writer->segments[writer->nsegments++] = segment;
}

/* Bytes so far become a segment. Offsets count from the end until oq_message_write() turns them. */
static void flush_bytes(struct writer *writer)
{
    if (writer->start == writer->flushed)
        return;
    add_segment(writer, (struct oq_segment){OQ_SEGMENT_BYTES, writer->capacity - writer->start,
                                            writer->flushed - writer->start});
    writer->flushed = writer->start;
}

static void put_payload_piece(struct writer *writer, enum oq_segment_kind kind, uint64_t offset,
                              uint64_t nbytes)
{
    if (nbytes == 0)
        return;
    flush_bytes(writer);
    add_segment(writer, (struct oq_segment){kind, offset, nbytes});
    writer->nbytes += nbytes;
}

static void put_payload(struct writer *writer, const struct oq_payload *payload)
{
    if (payload->kind == OQ_PAYLOAD_RECIPE) {
        uint64_t nbytes = writer->context->recipe_nbytes[payload->first];
        put_payload_piece(writer, OQ_SEGMENT_RECIPE, payload->first, nbytes);
        put_varint(writer, nbytes);
        put_tag(writer, 9, OQ_WIRE_LENGTH); /* raw_data */
        return;
    }
    for (uint32_t i = payload->count; i-- > 0;) {
        const struct oq_fragment *fragment = &writer->context->fragments[payload->first + i];
        put_payload_piece(writer, OQ_SEGMENT_INPUT, fragment->offset, fragment->nbytes);
        if (fragment->tagged)
            continue;
        put_varint(writer, fragment->nbytes);
        put_tag(writer, fragment->field, OQ_WIRE_LENGTH);
    }
}

static void put_message(struct writer *writer, const ProtobufCMessage *message);

/* The value of one element, without tag; numbers as they stand in a packed field. */
static unsigned put_value(struct writer *writer, const ProtobufCFieldDescriptor *field,
                          const void *element)
{
    uint64_t before = writer->nbytes;
    switch (field->type) {
    case PROTOBUF_C_TYPE_FLOAT:
        put_bytes(writer, element, 4);
        return OQ_WIRE_32BIT;
    case PROTOBUF_C_TYPE_DOUBLE:
        put_bytes(writer, element, 8);
        return OQ_WIRE_64BIT;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
        put_varint(writer, *(const uint64_t *)element);
        return OQ_WIRE_VARINT;
    case PROTOBUF_C_TYPE_STRING: {
        const char *text = *(const char *const *)element;
        put_bytes(writer, text, strlen(text));
        break;
    }
    case PROTOBUF_C_TYPE_BYTES: {
        const ProtobufCBinaryData *data = element;
        put_bytes(writer, data->data, data->len);
        break;
    }
    case PROTOBUF_C_TYPE_MESSAGE:
        put_message(writer, *(const ProtobufCMessage *const *)element);
        break;
    default: /* int32 and enum, sign-extended: negative ones take ten bytes */
        put_varint(writer, (uint64_t)(int64_t) * (const int32_t *)element);
        return OQ_WIRE_VARINT;
    }
    put_varint(writer, writer->nbytes - before);
    return OQ_WIRE_LENGTH;
}

static void put_field(struct writer *writer, const ProtobufCMessage *message,
                      const ProtobufCFieldDescriptor *field)
{
    size_t count = oq_field_count(message, field);
    if (count == 0)
        return;
    if (field->flags & PROTOBUF_C_FIELD_FLAG_PACKED) {
        uint64_t before = writer->nbytes;
        for (size_t k = count; k-- > 0;)
            put_value(writer, field, oq_field_element(message, field, k));
        put_varint(writer, writer->nbytes - before);
        put_tag(writer, field->id, OQ_WIRE_LENGTH);
        return;
    }
    for (size_t k = count; k-- > 0;)
        put_tag(writer, field->id, put_value(writer, field, oq_field_element(message, field, k)));
}

static void put_unknown(struct writer *writer, const ProtobufCMessage *message)
{
    for (unsigned i = message->n_unknown_fields; i-- > 0;) {
        const ProtobufCMessageUnknownField *field = &message->unknown_fields[i];
        put_bytes(writer, field->data, field->len);
        put_tag(writer, field->tag, field->wire_type);
    }
}

/* Recursion is bounded by OQ_SCAN_MAX_DEPTH: the scan has refused deeper messages. */
static void put_message(struct writer *writer, const ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    struct oq_payload payload;
    bool has_payload = type == &oq__pb__tensor_proto__descriptor &&
                       oq_payload_get((const Oq__Pb__TensorProto *)message, &payload);
    put_unknown(writer, message);
    for (unsigned i = type->n_fields; i-- > 0;) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        if (has_payload && field->id == 9) /* raw_data */
            put_payload(writer, &payload);
        else
            put_field(writer, message, field);
    }
}

/* From last-first with offsets from the end to first-first with offsets from the start. */
static void turn_around(struct writer *writer)
{
    size_t used = writer->capacity - writer->start;
    for (size_t i = 0, j = writer->nsegments; i < j; i++) {
        struct oq_segment first = writer->segments[i];
        writer->segments[i] = writer->segments[--j];
        writer->segments[j] = first;
    }
    for (size_t i = 0; i < writer->nsegments; i++)
        if (writer->segments[i].kind == OQ_SEGMENT_BYTES)
            writer->segments[i].offset = used - writer->segments[i].offset;
    if (used > 0)
        memmove(writer->bytes, writer->bytes + writer->start, used);
}

bool oq_message_write(const ProtobufCMessage *message, const struct oq_write_context *context,
                      struct oq_written *written, onnxq_error *error)
{
    struct writer writer = {.context = context};
    put_message(&writer, message);
    flush_bytes(&writer);
    if (!writer.failed)
        turn_around(&writer);
    *written = (struct oq_written){.bytes = writer.bytes,
                                   .segments = writer.segments,
                                   .nsegments = writer.nsegments,
                                   .nbytes = writer.nbytes};
    return !writer.failed || oq_fail_memory(error);
}

void oq_written_fini(struct oq_written *written)
{
    free(written->bytes);
    free(written->segments);
    *written = (struct oq_written){0};
}
