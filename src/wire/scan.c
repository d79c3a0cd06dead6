/* Reads a file's fields once, checks them, and copies all but payloads. */
#include "wire/scan.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/checked.h"
#include "wire/varint.h"

/* Enough to see many small messages per read; between payloads most of it is skipped. */
#define WINDOW_NBYTES ((size_t)32 << 10)

/* A length that is patched in when its message ends: five bytes hold up to 2^35. */
#define LENGTH_NBYTES 5

struct frame {
    const ProtobufCMessageDescriptor *message;
    uint64_t start, end;
    uint64_t needed;  /* bits of the numbers of fields that it cannot be without, not yet seen */
    size_t length_at; /* where in the skeleton this message's length goes */
    size_t first_fragment; /* of a TensorProto */
    /* for the place in an error: */
    const ProtobufCFieldDescriptor *field;
    size_t index;
    const ProtobufCFieldDescriptor *child; /* the field pushed last, and how often in a row */
    size_t child_index;
};

struct scan {
    const struct oq_file *file;
    uint64_t position;
    uint8_t *window;
    uint64_t window_start;
    size_t window_nbytes;

    struct oq_skeleton *skeleton;
    size_t capacity, fragments_capacity, budget;

    struct frame frames[OQ_SCAN_MAX_DEPTH];
    size_t depth;
    size_t n_incomplete; /* messages that lack a field they must have */
    onnxq_error *error;
};

/* One field as it stands on the wire. */
struct entry {
    uint64_t start; /* of the tag */
    uint64_t value; /* of the value, behind the length where there is one */
    uint64_t nbytes;
    uint32_t number;
    unsigned wire_type;
    const ProtobufCFieldDescriptor *field; /* NULL: unknown */
};

/* graph.node[3].attribute[0], from the names and counts on the stack */
static void add_place(struct scan *scan)
{
    char place[sizeof(scan->error->place)];
    size_t used = 0;
    place[0] = '\0';
    for (size_t i = 1; i < scan->depth && used < sizeof(place) - 64; i++) {
        const struct frame *frame = &scan->frames[i];
        const char *dot = i > 1 ? "." : "";
        int n =
            frame->field->label == PROTOBUF_C_LABEL_REPEATED
                ? snprintf(place + used, sizeof(place) - used, "%s%.40s[%zu]", dot,
                           frame->field->name, frame->index)
                : snprintf(place + used, sizeof(place) - used, "%s%.40s", dot, frame->field->name);
        used += n > 0 ? (size_t)n : 0;
    }
    if (used > 0)
        oq_error_place(scan->error, "%s", place);
}

static bool fail_at(struct scan *scan, uint64_t offset)
{
    add_place(scan);
    oq_error_offset(scan->error, offset);
    return false;
}

#define FAIL_AT(scan, at, ...)                                                                     \
    (oq_fail((scan)->error, ONNXQ_ERROR_INPUT, __VA_ARGS__), fail_at((scan), (at)))

/* The bytes at the current position: at least min(wanted, rest of the file) of them. */
static const uint8_t *peek(struct scan *scan, size_t wanted, size_t *available)
{
    uint64_t skip = scan->position - scan->window_start;
    bool inside = scan->position >= scan->window_start && skip <= scan->window_nbytes;
    if (!inside || (scan->window_nbytes - skip < wanted &&
                    scan->window_start + scan->window_nbytes < scan->file->nbytes)) {
        size_t nbytes = (size_t)oq_min_u64(WINDOW_NBYTES, scan->file->nbytes - scan->position);
        if (!oq_file_read(scan->file, scan->position, scan->window, nbytes, scan->error))
            return NULL;
        scan->window_start = scan->position;
        scan->window_nbytes = nbytes;
        skip = 0;
    }
    *available = scan->window_nbytes - (size_t)skip;
    return scan->window + skip;
}

/* Room for nbytes more in the skeleton, or NULL. */
static uint8_t *extend(struct scan *scan, uint64_t nbytes)
{
    struct oq_skeleton *skeleton = scan->skeleton;
    size_t limit = scan->budget < INT_MAX ? scan->budget : INT_MAX;
    if (nbytes > limit - skeleton->nbytes) {
        oq_fail(scan->error, ONNXQ_ERROR_MEMORY,
                "the structure (all but the weights) is larger than the limit of %zu MB",
                limit >> 20);
        return NULL;
    }
    size_t needed = skeleton->nbytes + (size_t)nbytes;
    if (needed > scan->capacity) {
        size_t capacity = needed + needed / 2 + 4096;
        uint8_t *bytes = realloc(skeleton->bytes, capacity);
        if (bytes == NULL) {
            oq_fail_memory(scan->error);
            return NULL;
        }
        skeleton->bytes = bytes;
        scan->capacity = capacity;
    }
    uint8_t *piece = skeleton->bytes + skeleton->nbytes;
    skeleton->nbytes = needed;
    return piece;
}

static bool read_varint(struct scan *scan, uint64_t end, uint64_t *value)
{
    size_t available;
    const uint8_t *bytes = peek(scan, OQ_VARINT_MAX_NBYTES, &available);
    if (bytes == NULL)
        return false;
    size_t limit = (size_t)oq_min_u64(available, end - scan->position);
    size_t n = oq_varint_decode(bytes, limit, value);
    if (n == 0)
        return FAIL_AT(scan, scan->position, "found a number that does not end in its message");
    scan->position += n;
    return true;
}

static const char *wire_type_name(unsigned wire_type)
{
    static const char *const names[] = {"a number", "64 bits", "a length and bytes", "a group",
                                        "a group",  "32 bits", "wire type 6",        "wire type 7"};
    return names[wire_type & 7];
}

static unsigned wire_type_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return OQ_WIRE_32BIT;
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return OQ_WIRE_64BIT;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return OQ_WIRE_LENGTH;
    default:
        return OQ_WIRE_VARINT;
    }
}

static bool check_wire_type(struct scan *scan, const struct entry *entry)
{
    if (entry->field == NULL) {
        if (entry->wire_type == OQ_WIRE_VARINT || entry->wire_type == OQ_WIRE_64BIT ||
            entry->wire_type == OQ_WIRE_LENGTH || entry->wire_type == OQ_WIRE_32BIT)
            return true;
        return FAIL_AT(scan, entry->start, "found %s as field %u, expected a field of %s",
                       wire_type_name(entry->wire_type), entry->number,
                       scan->frames[scan->depth - 1].message->short_name);
    }
    unsigned expected = wire_type_of(entry->field->type);
    bool packed = entry->wire_type == OQ_WIRE_LENGTH && expected != OQ_WIRE_LENGTH &&
                  entry->field->label == PROTOBUF_C_LABEL_REPEATED;
    if (entry->wire_type == expected || packed)
        return true;
    return FAIL_AT(scan, entry->start, "field %s is %s, expected %s", entry->field->name,
                   wire_type_name(entry->wire_type), wire_type_name(expected));
}

/* Reads tag and length, and leaves the position at the value, whose size is known and inside. */
static bool read_entry(struct scan *scan, struct entry *entry)
{
    const struct frame *frame = &scan->frames[scan->depth - 1];
    uint64_t tag;
    entry->start = scan->position;
    if (!read_varint(scan, frame->end, &tag))
        return false;
    if (tag >> 3 == 0 || tag > UINT32_MAX)
        return FAIL_AT(scan, entry->start, "found field number %llu, expected a field of %s",
                       (unsigned long long)(tag >> 3), frame->message->short_name);
    entry->number = (uint32_t)(tag >> 3);
    entry->wire_type = (unsigned)(tag & 7);
    entry->field = protobuf_c_message_descriptor_get_field(frame->message, entry->number);
    if (!check_wire_type(scan, entry))
        return false;

    entry->nbytes = entry->wire_type == OQ_WIRE_64BIT ? 8 : 4;
    entry->value = scan->position;
    if (entry->wire_type == OQ_WIRE_VARINT) {
        uint64_t ignored;
        if (!read_varint(scan, frame->end, &ignored))
            return false;
        entry->nbytes = scan->position - entry->value;
        scan->position = entry->value;
    } else if (entry->wire_type == OQ_WIRE_LENGTH) {
        if (!read_varint(scan, frame->end, &entry->nbytes))
            return false;
        entry->value = scan->position;
    }
    if (entry->nbytes > frame->end - entry->value) {
        FAIL_AT(scan, entry->start, "%s has %llu bytes, but %llu are left in %s",
                entry->field == NULL ? "a field" : entry->field->name,
                (unsigned long long)entry->nbytes, (unsigned long long)(frame->end - entry->value),
                scan->depth == 1 ? "the file" : frame->message->short_name);
        if (scan->depth == 1)
            oq_error_hint(scan->error, "%s", OQ_CUT_OFF_HINT);
        return false;
    }
    return true;
}

static bool is_payload(const struct frame *frame, const struct entry *entry)
{
    if (frame->message != &oq__pb__tensor_proto__descriptor || entry->field == NULL)
        return false;
    switch (entry->number) {
    case 4:  /* float_data */
    case 5:  /* int32_data */
    case 7:  /* int64_data */
    case 9:  /* raw_data */
    case 10: /* double_data */
    case 11: /* uint64_data */
        return true;
    default:
        return false;
    }
}

static bool add_fragment(struct scan *scan, const struct oq_fragment *fragment)
{
    struct oq_skeleton *skeleton = scan->skeleton;
    if (skeleton->nfragments == scan->fragments_capacity) {
        size_t capacity = scan->fragments_capacity == 0 ? 256 : scan->fragments_capacity * 2;
        if (capacity > scan->budget / sizeof(*fragment) || capacity > UINT32_MAX)
            return oq_fail(scan->error, ONNXQ_ERROR_MEMORY, "too many pieces of weights");
        struct oq_fragment *grown =
            realloc(skeleton->fragments, capacity * sizeof(*skeleton->fragments));
        if (grown == NULL)
            return oq_fail_memory(scan->error);
        skeleton->fragments = grown;
        scan->fragments_capacity = capacity;
    }
    skeleton->fragments[skeleton->nfragments++] = *fragment;
    return true;
}

/* Elements of an unpacked field follow each other: one fragment for the whole run. */
static bool extend_run(struct scan *scan, const struct frame *frame,
                       const struct oq_fragment *fragment)
{
    struct oq_skeleton *skeleton = scan->skeleton;
    if (skeleton->nfragments == frame->first_fragment)
        return false;
    struct oq_fragment *last = &skeleton->fragments[skeleton->nfragments - 1];
    if (!last->tagged || last->field != fragment->field ||
        last->offset + last->nbytes != fragment->offset)
        return false;
    last->nbytes += fragment->nbytes;
    return true;
}

static bool lift_payload(struct scan *scan, const struct entry *entry)
{
    const struct frame *frame = &scan->frames[scan->depth - 1];
    struct oq_fragment fragment = {.offset = entry->value,
                                   .nbytes = entry->nbytes,
                                   .field = entry->number,
                                   .tagged = entry->wire_type != OQ_WIRE_LENGTH};
    if (fragment.tagged) {
        if (entry->value - entry->start != 1)
            return FAIL_AT(scan, entry->start, "field %s has a tag longer than needed",
                           entry->field->name);
        fragment.offset = entry->start;
        fragment.nbytes = entry->nbytes + 1;
    }
    scan->position = entry->value + entry->nbytes;
    if (fragment.tagged && extend_run(scan, frame, &fragment))
        return true;
    return add_fragment(scan, &fragment);
}

static bool append_payload(struct scan *scan, const struct frame *frame)
{
    size_t count = scan->skeleton->nfragments - frame->first_fragment;
    struct oq_payload payload = {OQ_PAYLOAD_FRAGMENTS, (uint32_t)frame->first_fragment,
                                 (uint32_t)count};
    if (frame->message != &oq__pb__tensor_proto__descriptor || count == 0)
        return true;
    uint8_t *bytes = extend(scan, 2 + sizeof(payload));
    if (bytes == NULL)
        return false;
    bytes[0] = 9 << 3 | OQ_WIRE_LENGTH; /* raw_data */
    bytes[1] = sizeof(payload);
    memcpy(bytes + 2, &payload, sizeof(payload));
    return true;
}

/* Packed elements that protobuf-c would refuse without a word. */
static bool check_packed(struct scan *scan, const struct entry *entry, const uint8_t *bytes)
{
    unsigned element = wire_type_of(entry->field->type);
    bool whole = element == OQ_WIRE_VARINT
                     ? entry->nbytes == 0 || bytes[entry->nbytes - 1] < 0x80
                     : entry->nbytes % (element == OQ_WIRE_64BIT ? 8 : 4) == 0;
    return whole || FAIL_AT(scan, entry->start, "%s ends inside a number", entry->field->name);
}

static bool append_varint(struct scan *scan, uint64_t value)
{
    uint8_t bytes[OQ_VARINT_MAX_NBYTES];
    size_t n = oq_varint_encode(value, bytes);
    uint8_t *dst = extend(scan, n);
    if (dst != NULL)
        memcpy(dst, bytes, n);
    return dst != NULL;
}

static bool append_tag(struct scan *scan, const struct entry *entry)
{
    return append_varint(scan, (uint64_t)entry->number << 3 | entry->wire_type);
}

static void patch_length(struct scan *scan, size_t length_at)
{
    uint8_t *bytes = scan->skeleton->bytes + length_at;
    uint64_t length = scan->skeleton->nbytes - length_at - LENGTH_NBYTES;
    for (int i = 0; i < LENGTH_NBYTES; i++, length >>= 7)
        bytes[i] = (uint8_t)((length & 0x7f) | (i < LENGTH_NBYTES - 1 ? 0x80 : 0));
}

static bool copy_value(struct scan *scan, const struct entry *entry, uint8_t *dst)
{
    size_t available;
    if (entry->nbytes > WINDOW_NBYTES)
        return oq_file_read(scan->file, entry->value, dst, (size_t)entry->nbytes, scan->error);
    const uint8_t *src = peek(scan, (size_t)entry->nbytes, &available);
    if (src != NULL)
        memcpy(dst, src, (size_t)entry->nbytes);
    return src != NULL;
}

/* A field that the skeleton takes over as it is. */
static bool copy_entry(struct scan *scan, const struct entry *entry)
{
    if (!append_tag(scan, entry) ||
        (entry->wire_type == OQ_WIRE_LENGTH && !append_varint(scan, entry->nbytes)))
        return false;
    uint8_t *bytes = extend(scan, entry->nbytes);
    if (bytes == NULL || !copy_value(scan, entry, bytes))
        return false;
    scan->position = entry->value + entry->nbytes;
    if (entry->wire_type != OQ_WIRE_LENGTH || entry->field == NULL ||
        entry->field->type == PROTOBUF_C_TYPE_BYTES)
        return true;
    if (entry->field->type != PROTOBUF_C_TYPE_STRING)
        return check_packed(scan, entry, bytes);
    if (memchr(bytes, '\0', (size_t)entry->nbytes) != NULL)
        return FAIL_AT(scan, entry->start, "%s holds a NUL byte, expected text",
                       entry->field->name);
    return true;
}

/*
 * What onnx.proto says must be present, and onnx.checker misses. A model with a few such
 * faults is read, so that it can be said what else is wrong with it; one with very many is
 * not, as a message of two bytes becomes a C struct of hundreds. (Only where the field is
 * repeated: others may come in pieces, which are merged.)
 */
#define MAX_INCOMPLETE 1000
#define FIELD(number)  ((uint64_t)1 << (number))

static const struct need {
    const ProtobufCMessageDescriptor *holder;
    uint32_t field;
    uint64_t needed;
} needs[] = {
    {&oq__pb__graph_proto__descriptor, 1, FIELD(4)},            /* node: op_type */
    {&oq__pb__graph_proto__descriptor, 5, FIELD(8) | FIELD(2)}, /* initializer: name, data_type */
    {&oq__pb__graph_proto__descriptor, 11, FIELD(1)},           /* input: name */
    {&oq__pb__graph_proto__descriptor, 12, FIELD(1)},           /* output: name */
    {&oq__pb__graph_proto__descriptor, 15, FIELD(1)},           /* sparse_initializer: values */
    {&oq__pb__node_proto__descriptor, 5, FIELD(1)},             /* attribute: name */
    {&oq__pb__attribute_proto__descriptor, 10, FIELD(2)},       /* tensors: data_type */
    {&oq__pb__attribute_proto__descriptor, 11, FIELD(2)},       /* graphs: name */
    {&oq__pb__attribute_proto__descriptor, 23, FIELD(1)},       /* sparse_tensors: values */
    {&oq__pb__model_proto__descriptor, 25, FIELD(1)},           /* functions: name */
    {&oq__pb__function_proto__descriptor, 7, FIELD(4)},         /* node: op_type */
    {&oq__pb__function_proto__descriptor, 11, FIELD(1)},        /* attribute_proto: name */
};

static uint64_t find_needed(const struct frame *holder, const struct entry *entry)
{
    for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
        if (needs[i].holder == holder->message && needs[i].field == entry->number)
            return needs[i].needed;
    return 0;
}

static bool check_needed(struct scan *scan, const struct frame *frame)
{
    uint32_t number = 1;
    if (frame->needed == 0 || ++scan->n_incomplete <= MAX_INCOMPLETE)
        return true;
    while ((frame->needed & FIELD(number)) == 0)
        number++;
    return FAIL_AT(scan, frame->start,
                   "has no %s, expected one; %d messages before it lack what they must have",
                   protobuf_c_message_descriptor_get_field(frame->message, number)->name,
                   MAX_INCOMPLETE);
}

static bool push(struct scan *scan, const struct entry *entry)
{
    struct frame *parent = &scan->frames[scan->depth - 1];
    if (scan->depth == OQ_SCAN_MAX_DEPTH)
        return FAIL_AT(scan, entry->start, "messages are nested deeper than %d", OQ_SCAN_MAX_DEPTH);
    struct frame frame = {.message = entry->field->descriptor,
                          .start = entry->start,
                          .end = entry->value + entry->nbytes,
                          .needed = find_needed(parent, entry),
                          .first_fragment = scan->skeleton->nfragments,
                          .field = entry->field};
    parent->child_index = parent->child == entry->field ? parent->child_index + 1 : 0;
    parent->child = entry->field;
    frame.index = parent->child_index;
    if (!append_tag(scan, entry))
        return false;
    frame.length_at = scan->skeleton->nbytes;
    if (extend(scan, LENGTH_NBYTES) == NULL)
        return false;
    scan->frames[scan->depth++] = frame;
    return true;
}

static bool pop(struct scan *scan)
{
    const struct frame *frame = &scan->frames[scan->depth - 1];
    if (!check_needed(scan, frame) || !append_payload(scan, frame))
        return false;
    if (scan->depth > 1)
        patch_length(scan, frame->length_at);
    scan->depth--;
    return true;
}

static bool step(struct scan *scan)
{
    struct frame *frame = &scan->frames[scan->depth - 1];
    struct entry entry;
    if (scan->position == frame->end)
        return pop(scan);
    if (!read_entry(scan, &entry))
        return false;
    if (entry.number < 64)
        frame->needed &= ~FIELD(entry.number);
    if (is_payload(frame, &entry))
        return lift_payload(scan, &entry);
    if (entry.field != NULL && entry.field->type == PROTOBUF_C_TYPE_MESSAGE)
        return push(scan, &entry);
    return copy_entry(scan, &entry);
}

bool oq_scan(const struct oq_file *file, const ProtobufCMessageDescriptor *root, size_t budget,
             struct oq_skeleton *skeleton, onnxq_error *error)
{
    *skeleton = (struct oq_skeleton){0};
    struct scan *scan = calloc(1, sizeof(*scan));
    uint8_t *window = malloc(WINDOW_NBYTES);
    bool ok = scan != NULL && window != NULL;
    if (ok) {
        scan->file = file;
        scan->window = window;
        scan->skeleton = skeleton;
        scan->budget = budget;
        scan->error = error;
        scan->frames[0] = (struct frame){.message = root, .end = file->nbytes};
        scan->depth = 1;
        while (ok && scan->depth > 0)
            ok = step(scan);
        oq_error_file(error, file->path);
    } else {
        oq_fail_memory(error);
    }
    free(window);
    free(scan);
    return ok;
}

void oq_skeleton_fini(struct oq_skeleton *skeleton)
{
    free(skeleton->bytes);
    free(skeleton->fragments);
    *skeleton = (struct oq_skeleton){0};
}
