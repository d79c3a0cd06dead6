/* Views of tensors in every storage, and their elements as floats. */
#include "model/tensor.h"

#include "base/checked.h"
#include "wire/varint.h"
#include "wire/data_type.h"

const char *oq_tensor_dims(const struct oq_tensor *tensor, char *dst, size_t capacity)
{
    size_t used = (size_t)snprintf(dst, capacity, "[");
    for (size_t i = 0; i < tensor->n_dims && used < capacity - 24; i++)
        used += (size_t)snprintf(dst + used, capacity - used, "%s%lld", i > 0 ? "," : "",
                                 (long long)tensor->dims[i]);
    snprintf(dst + used, capacity - used, "]");
    return dst;
}

static const char *field_name(uint32_t field)
{
    const ProtobufCFieldDescriptor *descriptor =
        protobuf_c_message_descriptor_get_field(&oq__pb__tensor_proto__descriptor, field);
    return descriptor == NULL ? "data" : descriptor->name;
}

static bool fail_size(const struct oq_tensor *tensor, const char *where, uint64_t found,
                      uint64_t expected, const char *unit, onnxq_error *error)
{
    char dims[160];
    oq_fail(error, ONNXQ_ERROR_INPUT, "%s has %llu %s, %s %s needs %llu", where,
            (unsigned long long)found, unit, tensor->dtype->name,
            oq_tensor_dims(tensor, dims, sizeof(dims)), (unsigned long long)expected);
    if (tensor->nfragments > 0)
        oq_error_offset(error, tensor->fragments[0].offset);
    return false;
}

static bool init_size(struct oq_tensor *tensor, onnxq_error *error)
{
    tensor->nelem = 1;
    for (size_t i = 0; i < tensor->n_dims; i++) {
        if (tensor->dims[i] < 0)
            return oq_fail(error, ONNXQ_ERROR_INPUT, "dimension %zu is %lld, expected 0 or more", i,
                           (long long)tensor->dims[i]);
        /* Elements are counted by int64 in ONNX (Size), and by JSON parsers. */
        if (!oq_mul_u64(tensor->nelem, (uint64_t)tensor->dims[i], &tensor->nelem) ||
            tensor->nelem > INT64_MAX)
            return oq_fail(error, ONNXQ_ERROR_INPUT, "the product of the dimensions overflows");
    }
    if (tensor->dtype != NULL && (!oq_dtype_nbytes(tensor->dtype, tensor->nelem, &tensor->nbytes) ||
                                  tensor->nbytes > INT64_MAX))
        return oq_fail(error, ONNXQ_ERROR_INPUT, "the size in bytes overflows");
    return true;
}

/* --- integers of variable length --- */

/* Reads a fragment in windows and counts its numbers, with a mark at every OQ_MARK_NELEM. */
struct counter {
    uint64_t count;
    struct oq_mark *marks;
    uint64_t nmarks; /* room */
};

static bool add_mark(struct counter *counter, uint32_t fragment, uint64_t offset)
{
    uint64_t k = counter->count / OQ_MARK_NELEM;
    if (counter->count % OQ_MARK_NELEM == 0 && k < counter->nmarks)
        counter->marks[k] = (struct oq_mark){fragment, offset};
    return true;
}

static bool count_fragment(const struct oq_tensor *tensor, uint32_t index, struct counter *counter,
                           onnxq_error *error)
{
    const struct oq_fragment *fragment = &tensor->fragments[index];
    uint8_t window[4096];
    bool inside_number = false;
    bool tag_next = fragment->tagged;
    for (uint64_t done = 0; done < fragment->nbytes;) {
        size_t n = (size_t)oq_min_u64(sizeof(window), fragment->nbytes - done);
        if (!oq_file_read(tensor->file, fragment->offset + done, window, n, error))
            return false;
        for (size_t i = 0; i < n; i++) {
            if (!inside_number && (!fragment->tagged || tag_next))
                add_mark(counter, index, fragment->offset + done + i);
            if (tag_next) {
                tag_next = false;
                inside_number = true;
                continue;
            }
            inside_number = window[i] >= 0x80;
            if (!inside_number) {
                counter->count++;
                tag_next = fragment->tagged;
            }
        }
        done += n;
    }
    return !inside_number || oq_fail(error, ONNXQ_ERROR_INPUT, "%s ends inside a number",
                                     field_name(fragment->field));
}

static bool count_numbers(struct oq_tensor *tensor, uint64_t expected, struct oq_arena *arena,
                          uint64_t *count, onnxq_error *error)
{
    struct counter counter = {.nmarks = expected / OQ_MARK_NELEM + 1};
    uint64_t nbytes = 0;
    for (uint32_t i = 0; i < tensor->nfragments; i++)
        nbytes += tensor->fragments[i].nbytes;
    /* More numbers than bytes cannot be: do not let dims alone decide how much is allocated. */
    counter.nmarks = oq_min_u64(counter.nmarks, nbytes / OQ_MARK_NELEM + 1);
    counter.marks = oq_arena_array(arena, (size_t)counter.nmarks, sizeof(*counter.marks));
    if (counter.marks == NULL)
        return oq_arena_fail(arena, error);
    for (uint32_t i = 0; i < tensor->nfragments; i++)
        if (!count_fragment(tensor, i, &counter, error))
            return false;
    tensor->marks = counter.marks;
    *count = counter.count;
    return true;
}

/* A position in the fragments of a tensor, with a window on the bytes there. */
struct cursor {
    const struct oq_tensor *tensor;
    uint32_t fragment;
    uint64_t offset;
    uint8_t *window;
    size_t used, filled;
};

#define CURSOR_WINDOW_NBYTES ((size_t)16 << 10)

static bool refill(struct cursor *cursor, onnxq_error *error)
{
    const struct oq_fragment *fragment = &cursor->tensor->fragments[cursor->fragment];
    cursor->offset += cursor->used;
    if (cursor->offset == fragment->offset + fragment->nbytes) {
        fragment = &cursor->tensor->fragments[++cursor->fragment];
        cursor->offset = fragment->offset;
    }
    cursor->used = 0;
    cursor->filled = (size_t)oq_min_u64(CURSOR_WINDOW_NBYTES,
                                        fragment->offset + fragment->nbytes - cursor->offset);
    return oq_file_read(cursor->tensor->file, cursor->offset, cursor->window, cursor->filled,
                        error);
}

/* The caller asks for no more numbers than count_numbers() has found. */
static bool next_number(struct cursor *cursor, uint64_t *value, onnxq_error *error)
{
    size_t longest = OQ_VARINT_MAX_NBYTES + 1;
    const struct oq_fragment *fragment = &cursor->tensor->fragments[cursor->fragment];
    uint64_t window_end = cursor->offset + cursor->filled;
    bool more = window_end < fragment->offset + fragment->nbytes;
    if (cursor->filled - cursor->used < (more ? longest : 1)) {
        if (!refill(cursor, error))
            return false;
        fragment = &cursor->tensor->fragments[cursor->fragment];
    }
    cursor->used += fragment->tagged ? 1 : 0;
    size_t n =
        oq_varint_decode(cursor->window + cursor->used, cursor->filled - cursor->used, value);
    if (n == 0)
        return oq_fail(error, ONNXQ_ERROR_INPUT, "%s holds a number over 64 bits",
                       field_name(fragment->field));
    cursor->used += n;
    return true;
}

static bool read_halves(const struct oq_tensor *tensor, uint64_t first, size_t count, uint16_t *dst,
                        void *scratch, onnxq_error *error)
{
    const struct oq_mark *mark = &tensor->marks[first / OQ_MARK_NELEM];
    struct cursor cursor = {tensor, mark->fragment, mark->offset, scratch, 0, 0};
    uint64_t value;
    for (uint64_t skip = first % OQ_MARK_NELEM; skip > 0; skip--)
        if (!next_number(&cursor, &value, error))
            return false;
    for (size_t i = 0; i < count; i++) {
        if (!next_number(&cursor, &value, error))
            return false;
        dst[i] = (uint16_t)value;
    }
    return true;
}

/* --- the view --- */

/* The first fragment of another field than the first one's, or NULL. */
static const struct oq_fragment *find_other_field(const struct oq_tensor *tensor)
{
    for (uint32_t i = 1; i < tensor->nfragments; i++)
        if (tensor->fragments[i].field != tensor->fragments[0].field)
            return &tensor->fragments[i];
    return NULL;
}

static bool init_typed(struct oq_tensor *tensor, struct oq_arena *arena, onnxq_error *error)
{
    const struct oq_dtype *dtype = tensor->dtype;
    uint32_t field = tensor->fragments[0].field;
    if (field != dtype->field)
        return oq_fail(error, ONNXQ_ERROR_INPUT, "has %s, but its type %s is stored in %s",
                       field_name(field), dtype->name, field_name(dtype->field));
    const struct oq_fragment *other = find_other_field(tensor);
    if (other != NULL)
        return oq_fail(error, ONNXQ_ERROR_INPUT, "has %s and %s, expected one of them",
                       field_name(field), field_name(other->field));
    uint64_t expected = dtype->per_entry == 0 ? tensor->nelem * 2
                                              : tensor->nelem / dtype->per_entry +
                                                    (tensor->nelem % dtype->per_entry != 0);
    uint64_t count = 0, width = field == OQ_FLOAT_DATA ? 4 : 8;
    if (field == OQ_FLOAT_DATA || field == OQ_DOUBLE_DATA) {
        for (uint32_t i = 0; i < tensor->nfragments; i++) {
            const struct oq_fragment *fragment = &tensor->fragments[i];
            uint64_t step = width + (fragment->tagged ? 1 : 0);
            if (fragment->nbytes % step != 0)
                return oq_fail(error, ONNXQ_ERROR_INPUT, "%s ends inside a number",
                               field_name(field));
            count += fragment->nbytes / step;
        }
        tensor->contiguous = tensor->nfragments == 1 && !tensor->fragments[0].tagged;
        tensor->offset = tensor->fragments[0].offset;
    } else if (!count_numbers(tensor, expected, arena, &count, error)) {
        return false;
    }
    return count == expected ||
           fail_size(tensor, field_name(field), count, expected, "numbers", error);
}

static bool init_raw(struct oq_tensor *tensor, onnxq_error *error)
{
    if (tensor->nfragments > 1)
        return oq_fail(
            error, ONNXQ_ERROR_INPUT, "has raw_data and %s, expected one of them",
            field_name(tensor->fragments[tensor->fragments[0].field == OQ_RAW_DATA].field));
    tensor->contiguous = true;
    tensor->offset = tensor->fragments[0].offset;
    return tensor->fragments[0].nbytes == tensor->nbytes ||
           fail_size(tensor, "raw_data", tensor->fragments[0].nbytes, tensor->nbytes, "bytes",
                     error);
}

static bool init_external(struct oq_tensor *tensor, const struct oq_external_range *range,
                          onnxq_error *error)
{
    tensor->external = true;
    tensor->contiguous = true;
    tensor->file = range->file;
    tensor->offset = range->offset;
    if (tensor->dtype == NULL || tensor->dtype->nbits == 0)
        return oq_fail(error, ONNXQ_ERROR_INPUT,
                       "is of type %d, which cannot lie in a side file here",
                       tensor->proto->data_type);
    if (range->has_nbytes && range->nbytes != tensor->nbytes)
        return fail_size(tensor, "external data", range->nbytes, tensor->nbytes, "bytes", error);
    uint64_t end;
    if (!oq_add_u64(range->offset, tensor->nbytes, &end) || end > range->file->nbytes) {
        oq_fail(error, ONNXQ_ERROR_INPUT,
                "needs %llu bytes at byte %llu of the side file, which has %llu bytes",
                (unsigned long long)tensor->nbytes, (unsigned long long)range->offset,
                (unsigned long long)range->file->nbytes);
        oq_error_file(error, range->file->path);
        oq_error_hint(error, "%s", OQ_CUT_OFF_HINT);
        return false;
    }
    return true;
}

/* Numbers of a Constant node's attribute, see constant_nodes.c. */
static bool init_memory(struct oq_tensor *tensor, const void *numbers, struct oq_arena *arena,
                        onnxq_error *error)
{
    struct oq_file *file = oq_arena_alloc(arena, sizeof(*file));
    if (file == NULL)
        return oq_arena_fail(arena, error);
    *file = (struct oq_file){.fd = -1, .nbytes = tensor->nbytes, .memory = numbers};
    tensor->file = file;
    tensor->contiguous = true;
    return true;
}

/* Empty pieces, which some writers leave in a field that they do not use, say nothing. */
static void skip_empty_fragments(struct oq_tensor *tensor)
{
    while (tensor->nfragments > 0 && tensor->fragments[0].nbytes == 0) {
        tensor->fragments++;
        tensor->nfragments--;
    }
    while (tensor->nfragments > 0 && tensor->fragments[tensor->nfragments - 1].nbytes == 0)
        tensor->nfragments--;
}

static bool has_raw(const struct oq_tensor *tensor)
{
    for (uint32_t i = 0; i < tensor->nfragments; i++)
        if (tensor->fragments[i].field == OQ_RAW_DATA)
            return true;
    return false;
}

static bool init_missing(const struct oq_tensor *tensor, onnxq_error *error)
{
    if (tensor->nelem == 0)
        return true;
    if (tensor->dtype->nbits != 0)
        return fail_size(tensor, "payload", 0, tensor->nbytes, "bytes", error);
    return tensor->proto->n_string_data == tensor->nelem ||
           fail_size(tensor, "string_data", tensor->proto->n_string_data, tensor->nelem, "strings",
                     error);
}

static bool init_fragments(struct oq_tensor *tensor, const struct oq_file *file,
                           struct oq_arena *arena, onnxq_error *error)
{
    skip_empty_fragments(tensor);
    if (tensor->nfragments > 0)
        tensor->file = file;
    if (tensor->dtype == NULL) {
        for (uint32_t i = 0; i < tensor->nfragments; i++)
            tensor->nbytes += tensor->fragments[i].nbytes;
        return true;
    }
    if (tensor->nfragments == 0)
        return init_missing(tensor, error);
    return has_raw(tensor) ? init_raw(tensor, error) : init_typed(tensor, arena, error);
}

bool oq_tensor_init(struct oq_tensor *tensor, const Oq__Pb__TensorProto *proto,
                    const struct oq_file *file, const struct oq_fragment *fragments,
                    const struct oq_external_range *external, struct oq_arena *arena,
                    onnxq_error *error)
{
    struct oq_payload payload;
    *tensor = (struct oq_tensor){.proto = proto,
                                 .dtype = oq_dtype_find(proto->data_type),
                                 .name = proto->name == NULL ? "" : proto->name,
                                 .dims = proto->dims,
                                 .n_dims = proto->n_dims};
    if (!init_size(tensor, error))
        return false;
    if (external != NULL)
        return init_external(tensor, external, error);
    if (proto->n_float_data > 0 || proto->n_int64_data > 0)
        return init_memory(tensor,
                           proto->n_float_data > 0 ? (const void *)proto->float_data
                                                   : (const void *)proto->int64_data,
                           arena, error);
    if (oq_payload_get(proto, &payload)) {
        tensor->fragments = fragments + payload.first;
        tensor->nfragments = payload.count;
    }
    return init_fragments(tensor, file, arena, error);
}

/* --- reading --- */

/* Unpacked or scattered float_data and double_data: element by element past tags and gaps. */
static bool read_pieces(const struct oq_tensor *tensor, uint64_t first, size_t count, size_t width,
                        char *dst, char *scratch, onnxq_error *error)
{
    for (uint32_t i = 0; i < tensor->nfragments && count > 0; i++) {
        const struct oq_fragment *fragment = &tensor->fragments[i];
        size_t tag = fragment->tagged ? 1 : 0, step = width + tag;
        uint64_t n = fragment->nbytes / step;
        if (first >= n) {
            first -= n;
            continue;
        }
        /* Tags make an element longer than the scratch has room for: half at a time. */
        while (first < n && count > 0) {
            size_t part = (size_t)oq_min_u64(oq_min_u64(count, n - first), OQ_READ_MAX_NELEM / 2);
            if (!oq_file_read(tensor->file, fragment->offset + first * step, scratch, part * step,
                              error))
                return false;
            for (size_t k = 0; k < part; k++)
                memcpy(dst + k * width, scratch + k * step + tag, width);
            dst += part * width;
            first += part;
            count -= part;
        }
        first = 0;
    }
    return true;
}

static bool read_native(const struct oq_tensor *tensor, uint64_t first, size_t count, void *dst,
                        void *scratch, onnxq_error *error)
{
    size_t width = tensor->dtype->nbits / 8;
    if (tensor->contiguous)
        return oq_file_read(tensor->file, tensor->offset + first * width, dst, count * width,
                            error);
    if (tensor->marks != NULL)
        return read_halves(tensor, first, count, dst, scratch, error);
    return read_pieces(tensor, first, count, width, dst, scratch, error);
}

bool oq_tensor_read_floats(const struct oq_tensor *tensor, uint64_t first, size_t count, float *dst,
                           void *scratch, onnxq_error *error)
{
    char *half = (char *)scratch + OQ_READ_SCRATCH_NBYTES / 2;
    switch (tensor->proto->data_type) {
    case OQ_TYPE(FLOAT):
        return read_native(tensor, first, count, dst, scratch, error);
    case OQ_TYPE(FLOAT16):
    case OQ_TYPE(BFLOAT16):
        if (!read_native(tensor, first, count, half, scratch, error))
            return false;
        if (tensor->proto->data_type == OQ_TYPE(FLOAT16))
            oq_convert_from_half((const uint16_t *)(const void *)half, count, dst);
        else
            oq_convert_from_bfloat16((const uint16_t *)(const void *)half, count, dst);
        return true;
    case OQ_TYPE(DOUBLE):
        /* A quarter at a time: the other half of the scratch is for tags. */
        for (size_t done = 0; done < count;) {
            size_t part = count - done;
            if (part > OQ_READ_MAX_NELEM / 4)
                part = OQ_READ_MAX_NELEM / 4;
            if (!read_native(tensor, first + done, part, half, scratch, error))
                return false;
            oq_convert_from_double((const double *)(const void *)half, part, dst + done);
            done += part;
        }
        return true;
    default:
        return oq_fail(error, ONNXQ_ERROR_INTERNAL, "type %d read as float",
                       tensor->proto->data_type);
    }
}

bool oq_tensor_integer_type(const struct oq_tensor *tensor, struct oq_integer_type *type)
{
    const struct oq_dtype *dtype = tensor->dtype;
    if (dtype == NULL || !dtype->is_integer || dtype->nbits > (dtype->is_signed ? 32 : 16))
        return false;
    *type = (struct oq_integer_type){dtype->nbits, dtype->is_signed, false};
    return true;
}

/* Bytes of int32_data as raw_data would have them: a number holds an element, or a byte of them. */
static bool read_number_bytes(const struct oq_tensor *tensor, uint64_t first, size_t count,
                              uint8_t *dst, void *scratch, onnxq_error *error)
{
    const size_t width = tensor->dtype->nbits < 8 ? 1 : tensor->dtype->nbits / 8;
    const struct oq_mark *mark = &tensor->marks[first / width / OQ_MARK_NELEM];
    struct cursor cursor = {tensor, mark->fragment, mark->offset, scratch, 0, 0};
    uint64_t value;
    for (uint64_t skip = first / width % OQ_MARK_NELEM; skip > 0; skip--)
        if (!next_number(&cursor, &value, error))
            return false;
    for (size_t inside = (size_t)(first % width); count > 0; inside = 0) {
        if (!next_number(&cursor, &value, error))
            return false;
        for (; inside < width && count > 0; inside++, count--)
            *dst++ = (uint8_t)(value >> (8 * inside));
    }
    return true;
}

bool oq_tensor_read_integers(const struct oq_tensor *tensor, struct oq_integer_type type,
                             uint64_t first, size_t count, int32_t *dst, void *scratch,
                             onnxq_error *error)
{
    uint8_t *bytes = (uint8_t *)scratch + OQ_READ_SCRATCH_NBYTES / 2;
    const unsigned per_byte = type.nbits < 8 ? 8 / type.nbits : 1;
    const size_t width = type.nbits < 8 ? 1 : type.nbits / 8;
    const unsigned skip = (unsigned)(first % per_byte);
    const uint64_t start = first / per_byte * width;
    const size_t nbytes = (skip + count + per_byte - 1) / per_byte * width;
    bool ok = tensor->marks != NULL
                  ? read_number_bytes(tensor, start, nbytes, bytes, scratch, error)
                  : oq_tensor_read_bytes(tensor, start, nbytes, bytes, error);
    if (ok)
        oq_convert_from_integers(bytes, type, skip, count, dst);
    return ok;
}

bool oq_tensor_is_integer(const struct oq_tensor *tensor)
{
    return tensor->proto->data_type == OQ_TYPE(INT32) || tensor->proto->data_type == OQ_TYPE(INT64);
}

bool oq_tensor_read_int64s(const struct oq_tensor *tensor, int64_t *dst, onnxq_error *error)
{
    size_t n = (size_t)tensor->nelem, width = tensor->dtype->nbits / 8;
    if (n == 0)
        return true;
    if (tensor->marks != NULL) {
        uint8_t window[CURSOR_WINDOW_NBYTES];
        struct cursor cursor = {tensor, 0, tensor->fragments[0].offset, window, 0, 0};
        uint64_t value;
        for (size_t i = 0; i < n; i++) {
            if (!next_number(&cursor, &value, error))
                return false;
            dst[i] = width == 4 ? (int32_t)value : (int64_t)value;
        }
        return true;
    }
    int32_t narrow[OQ_READ_MAX_INTEGERS];
    if (!oq_tensor_read_bytes(tensor, 0, n * width, width == 4 ? (void *)narrow : (void *)dst,
                              error))
        return false;
    for (size_t i = 0; width == 4 && i < n; i++)
        dst[i] = narrow[i];
    return true;
}

bool oq_tensor_read_all(const struct oq_tensor *tensor, void *dst, void *scratch,
                        onnxq_error *error)
{
    if (tensor->nelem == 0)
        return true;
    if (tensor->contiguous)
        return oq_tensor_read_bytes(tensor, 0, (size_t)tensor->nbytes, dst, error);
    uint32_t field = tensor->fragments[0].field;
    if (tensor->marks == NULL) { /* complex numbers are pairs of floats there */
        size_t width = field == OQ_FLOAT_DATA ? 4 : 8;
        return read_pieces(tensor, 0, (size_t)tensor->nbytes / width, width, dst, scratch, error);
    }
    if (tensor->dtype->nbits == 6) /* an entry is an element; in raw_data they are packed */
        return oq_fail(error, ONNXQ_ERROR_INPUT, "has %s of type %s, expected raw_data",
                       field_name(field), tensor->dtype->name);
    return read_number_bytes(tensor, 0, (size_t)tensor->nbytes, dst, scratch, error);
}

bool oq_tensor_read_bytes(const struct oq_tensor *tensor, uint64_t first, size_t count, void *dst,
                          onnxq_error *error)
{
    return oq_file_read(tensor->file, tensor->offset + first, dst, count, error);
}
