/*
 * Changes a model at one place of its structure and keeps the rest valid: a
 * field goes, comes twice, changes places with another or gets another value,
 * and all lengths around it are made right. What libFuzzer changes by itself
 * mostly breaks a length, and then no more than the scan is tested.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/support.h"
#include "onnx.pb-c.h"
#include "wire/varint.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t nbytes, size_t capacity);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t nbytes, size_t capacity, unsigned seed);

#define MAX_FIELDS 512

/* A field of a message: its tag from `start`, its value from `value` to `end`. */
struct field {
    const uint8_t *start, *value, *end;
    uint32_t number;
    enum oq_wire_type type;
};

struct message {
    struct field fields[MAX_FIELDS];
    size_t n_fields;
};

struct text {
    uint8_t *bytes;
    size_t nbytes, capacity;
};

static uint64_t draw(uint64_t *state, uint64_t below)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u; /* Knuth, MMIX */
    return (*state >> 33) % below;
}

static void put(struct text *text, const void *bytes, size_t nbytes)
{
    if (nbytes > text->capacity - text->nbytes)
        nbytes = text->capacity - text->nbytes;
    memcpy(text->bytes + text->nbytes, bytes, nbytes);
    text->nbytes += nbytes;
}

static void put_varint(struct text *text, uint64_t value)
{
    uint8_t bytes[OQ_VARINT_MAX_NBYTES];
    put(text, bytes, oq_varint_encode(value, bytes));
}

static bool read_field(const uint8_t *at, const uint8_t *end, struct field *field)
{
    uint64_t tag = 0, length = 0;
    size_t n = oq_varint_decode(at, (size_t)(end - at), &tag);
    *field = (struct field){at, at + n, end, (uint32_t)(tag >> 3), (enum oq_wire_type)(tag & 7)};
    if (n == 0)
        return false;
    size_t left = (size_t)(end - field->value);
    switch (field->type) {
    case OQ_WIRE_VARINT:
        length = oq_varint_decode(field->value, left, &tag);
        break;
    case OQ_WIRE_64BIT:
        length = 8;
        break;
    case OQ_WIRE_32BIT:
        length = 4;
        break;
    case OQ_WIRE_LENGTH:
        n = oq_varint_decode(field->value, left, &length);
        field->value += n;
        left -= n;
        if (n == 0)
            return false;
        break;
    default:
        return false;
    }
    field->end = field->value + (length <= left ? length : 0);
    return length <= left && field->end > field->start;
}

static bool read_message(const uint8_t *bytes, size_t nbytes, struct message *message)
{
    const uint8_t *end = bytes + nbytes;
    for (message->n_fields = 0; bytes < end; message->n_fields++) {
        if (message->n_fields == MAX_FIELDS ||
            !read_field(bytes, end, &message->fields[message->n_fields]))
            return false;
        bytes = message->fields[message->n_fields].end;
    }
    return message->n_fields > 0;
}

static void put_field(struct text *text, const struct field *field)
{
    put(text, field->start, (size_t)(field->end - field->start));
}

static void put_length_field(struct text *text, uint32_t number, const uint8_t *bytes,
                             size_t nbytes)
{
    put_varint(text, (uint64_t)number << 3 | OQ_WIRE_LENGTH);
    put_varint(text, nbytes);
    put(text, bytes, nbytes);
}

static void put_other_number(struct text *text, const struct field *field, uint64_t *state)
{
    static const uint64_t numbers[] = {
        0, 1, 2, 3, 7, 16, 127, UINT64_MAX, INT64_MAX, UINT32_MAX, INT32_MAX, (uint64_t)INT64_MIN};
    uint64_t value = 0;
    oq_varint_decode(field->value, (size_t)(field->end - field->value), &value);
    uint64_t kind = draw(state, 20);
    value = kind < 12 ? numbers[kind] : kind < 16 ? value + 1 : value - 1;
    put_varint(text, (uint64_t)field->number << 3 | OQ_WIRE_VARINT);
    put_varint(text, value);
}

static void put_other_bytes(struct text *text, const struct field *field)
{
    size_t nbytes = (size_t)(field->end - field->value), capacity = nbytes + 8;
    uint8_t *bytes = malloc(capacity);
    if (bytes == NULL)
        return;
    memcpy(bytes, field->value, nbytes);
    put_length_field(text, field->number, bytes, LLVMFuzzerMutate(bytes, nbytes, capacity));
    free(bytes);
}

/* The text of another field of the same message: names that meet. */
static void put_neighbours_bytes(struct text *text, const struct message *message,
                                 const struct field *field, uint64_t *state)
{
    const struct field *other = &message->fields[draw(state, message->n_fields)];
    if (other->type != OQ_WIRE_LENGTH)
        other = field;
    put_length_field(text, field->number, other->value, (size_t)(other->end - other->value));
}

static void put_changed(struct text *text, const struct message *message, const struct field *field,
                        uint64_t *state)
{
    if (field->type == OQ_WIRE_VARINT)
        put_other_number(text, field, state);
    else if (field->type == OQ_WIRE_LENGTH && draw(state, 2) == 0)
        put_other_bytes(text, field);
    else if (field->type == OQ_WIRE_LENGTH)
        put_neighbours_bytes(text, message, field, state);
}

static const ProtobufCMessageDescriptor *type_of(const ProtobufCMessageDescriptor *type,
                                                 const struct field *field)
{
    if (type == &oq__pb__model_proto__descriptor && field->number == FUZZ_MODEL &&
        field->type == OQ_WIRE_LENGTH)
        return type;
    const ProtobufCFieldDescriptor *known =
        protobuf_c_message_descriptor_get_field(type, field->number);
    bool is_message = known != NULL && known->type == PROTOBUF_C_TYPE_MESSAGE;
    return is_message && field->type == OQ_WIRE_LENGTH ? known->descriptor : NULL;
}

static bool mutate(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t nbytes,
                   struct text *text, uint64_t *state);

/* The field with a change somewhere inside; false where it is not well-formed. */
static bool put_inside(struct text *text, const ProtobufCMessageDescriptor *type,
                       const struct field *field, uint64_t *state)
{
    size_t nbytes = (size_t)(field->end - field->value);
    struct text inside = {malloc(2 * nbytes + 64), 0, 2 * nbytes + 64};
    bool ok = inside.bytes != NULL && mutate(type, field->value, nbytes, &inside, state);
    if (ok)
        put_length_field(text, field->number, inside.bytes, inside.nbytes);
    free(inside.bytes);
    return ok;
}

static void put_one(struct text *text, const ProtobufCMessageDescriptor *type,
                    const struct message *message, size_t k, uint64_t *state)
{
    const struct field *field = &message->fields[k];
    const ProtobufCMessageDescriptor *inner = type_of(type, field);
    /* Mostly go on: what is interesting lies deep. */
    if (inner != NULL && draw(state, 8) != 0 && put_inside(text, inner, field, state))
        return;
    switch (draw(state, 5)) {
    case 0: /* it goes */
        break;
    case 1:
        put_field(text, field);
        put_field(text, field);
        break;
    case 2: /* another one comes again */
        put_field(text, field);
        put_field(text, &message->fields[draw(state, message->n_fields)]);
        break;
    default:
        put_changed(text, message, field, state);
    }
}

/* Writes the message with one change. Recursion ends with the bytes. */
static bool mutate(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t nbytes,
                   struct text *text, uint64_t *state)
{
    struct message *message = malloc(sizeof(*message));
    bool ok = message != NULL && read_message(bytes, nbytes, message);
    size_t chosen = ok ? (size_t)draw(state, message->n_fields) : 0;
    for (size_t k = 0; ok && k < message->n_fields; k++) {
        if (k == chosen)
            put_one(text, type, message, k, state);
        else
            put_field(text, &message->fields[k]);
    }
    free(message);
    return ok;
}

/* The options of the target: one of them changes, where there are none they come. */
static bool mutate_options(const uint8_t *data, size_t nbytes, struct text *text, uint64_t *state)
{
    uint8_t options[FUZZ_OPTIONS_NBYTES] = {0};
    const struct fuzz_bytes field = fuzz_find_field(data, nbytes, FUZZ_OPTIONS);
    bool is_last = field.nbytes == sizeof(options) && field.bytes + field.nbytes == data + nbytes;
    size_t n_before = nbytes;
    if (field.nbytes > 0)
        memcpy(options, field.bytes,
               field.nbytes < sizeof(options) ? field.nbytes : sizeof(options));
    if (is_last)
        n_before -= sizeof(options) + 3; /* two bytes of tag, one of length */
    if (n_before + sizeof(options) + 3 > text->capacity)
        return false;
    options[draw(state, sizeof(options))] = (uint8_t)draw(state, draw(state, 4) == 0 ? 256 : 8);
    put(text, data, n_before);
    put_length_field(text, FUZZ_OPTIONS, options, sizeof(options));
    return true;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t nbytes, size_t capacity, unsigned seed)
{
    uint64_t state = seed;
    struct text text = {malloc(capacity), 0, capacity};
    bool ok = text.bytes != NULL && draw(&state, 4) != 0 &&
              (draw(&state, 8) == 0
                   ? mutate_options(data, nbytes, &text, &state)
                   : mutate(&oq__pb__model_proto__descriptor, data, nbytes, &text, &state));
    if (ok) {
        memcpy(data, text.bytes, text.nbytes);
        nbytes = text.nbytes;
    }
    free(text.bytes);
    return ok ? nbytes : LLVMFuzzerMutate(data, nbytes, capacity);
}
