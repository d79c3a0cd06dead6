/* The header of a file of safetensors, and numbers of its tensors. */
#include "checkpoint/safetensors.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/json_reader.h"
#include "kernels/kernels.h"

#define LENGTH_NBYTES 8

/* More than any framework has. */
#define MAX_DIMS 64

static const struct {
    const char *name;
    enum oq_stored_type type;
    unsigned nbytes;
} dtypes[] = {{"F32", OQ_STORED_F32, 4},   {"F16", OQ_STORED_F16, 2},   {"BF16", OQ_STORED_BF16, 2},
              {"I32", OQ_STORED_I32, 4},   {"I64", OQ_STORED_OTHER, 8}, {"F64", OQ_STORED_OTHER, 8},
              {"U64", OQ_STORED_OTHER, 8}, {"U32", OQ_STORED_OTHER, 4}, {"I16", OQ_STORED_OTHER, 2},
              {"U16", OQ_STORED_OTHER, 2}, {"I8", OQ_STORED_OTHER, 1},  {"U8", OQ_STORED_OTHER, 1},
              {"BOOL", OQ_STORED_OTHER, 1}};

/* --- the header --- */

struct header {
    const struct oq_file *file;
    const char *tensor; /* that is being read */
    uint64_t data_at, data_nbytes;
    struct oq_json_reader json;
    struct oq_stored_list *list;
    struct oq_arena *arena;
};

static bool out_of_room(struct header *header)
{
    header->json.failed = true;
    return oq_arena_fail(header->arena, header->json.error);
}

static bool refuse(struct header *header, const char *format, ...) OQ_PRINTF(2, 3);

/* All of a header is in one line: the tensor says better where. */
static bool refuse(struct header *header, const char *format, ...)
{
    onnxq_error *error = header->json.error;
    char message[sizeof(error->message)];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    header->json.failed = true;
    oq_fail(error, ONNXQ_ERROR_INPUT, "%s", message);
    oq_error_place(error, "tensor \"%s\"", header->tensor);
    return false;
}

static bool read_shape(struct header *header, struct oq_stored *stored)
{
    uint64_t dims[MAX_DIMS];
    if (!oq_json_enter_array(&header->json))
        return false;
    for (stored->n_dims = 0; oq_json_next_item(&header->json); stored->n_dims++) {
        if (stored->n_dims == MAX_DIMS)
            return refuse(header, "more than %d dimensions", MAX_DIMS);
        if (!oq_json_read_uint(&header->json, &dims[stored->n_dims]))
            return false;
    }
    uint64_t *copy = oq_arena_array(header->arena, stored->n_dims + 1, sizeof(*copy));
    if (copy == NULL)
        return out_of_room(header);
    memcpy(copy, dims, stored->n_dims * sizeof(*copy));
    stored->dims = copy;
    stored->nelem = 1;
    for (size_t i = 0; i < stored->n_dims; i++)
        if (!oq_mul_u64(stored->nelem, dims[i], &stored->nelem))
            return refuse(header, "its shape has more elements than 64 bits count");
    return !header->json.failed;
}

/* Bytes [begin, end) behind the header. */
static bool read_place(struct header *header, struct oq_stored *stored)
{
    uint64_t range[2] = {0, 0};
    size_t n = 0;
    if (!oq_json_enter_array(&header->json))
        return false;
    for (; oq_json_next_item(&header->json); n++)
        if (n == 2 || !oq_json_read_uint(&header->json, &range[n]))
            return refuse(header, "data_offsets are not two numbers");
    if (header->json.failed)
        return false;
    if (n != 2 || range[0] > range[1])
        return refuse(header, "data_offsets are not a begin and an end behind it");
    if (range[1] > header->data_nbytes) {
        refuse(header, "ends at byte %" PRIu64 " of the data, which has %" PRIu64, range[1],
               header->data_nbytes);
        oq_error_hint(header->json.error, "%s", OQ_CUT_OFF_HINT);
        return false;
    }
    stored->offset = header->data_at + range[0];
    stored->nbytes = range[1] - range[0];
    return true;
}

/* Types that are not known are passed over: what is asked for has one that is. */
static bool check_size(struct header *header, struct oq_stored *stored)
{
    uint64_t nbytes;
    for (size_t i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++) {
        if (strcmp(dtypes[i].name, stored->dtype) != 0)
            continue;
        stored->type = dtypes[i].type;
        if (!oq_mul_u64(stored->nelem, dtypes[i].nbytes, &nbytes) || nbytes != stored->nbytes)
            return refuse(header,
                          "%" PRIu64 " elements of %s are not the %" PRIu64
                          " bytes that data_offsets say",
                          stored->nelem, stored->dtype, stored->nbytes);
    }
    return true;
}

enum member { DTYPE = 1, SHAPE = 2, PLACE = 4, ALL = 7 };

static bool read_member(struct header *header, const char *key, struct oq_stored *stored,
                        unsigned *seen)
{
    const unsigned member = strcmp(key, "dtype") == 0          ? DTYPE
                            : strcmp(key, "shape") == 0        ? SHAPE
                            : strcmp(key, "data_offsets") == 0 ? PLACE
                                                               : 0;
    if ((*seen & member) != 0)
        return refuse(header, "\"%s\" is given twice", key);
    *seen |= member;
    switch (member) {
    case DTYPE:
        return oq_json_read_string(&header->json, &stored->dtype);
    case SHAPE:
        return read_shape(header, stored);
    case PLACE:
        return read_place(header, stored);
    default:
        return oq_json_skip_value(&header->json);
    }
}

static bool read_tensor(struct header *header, const char *name)
{
    struct oq_stored stored = {.name = name, .file = header->file};
    struct oq_stored_list *list = header->list;
    unsigned seen = 0;
    const char *key;
    if (!oq_json_enter_object(&header->json))
        return false;
    while (oq_json_next_member(&header->json, &key))
        if (!read_member(header, key, &stored, &seen))
            return false;
    if (header->json.failed)
        return false;
    if (seen != ALL)
        return refuse(header, "lacks dtype, shape or data_offsets");
    if (!check_size(header, &stored))
        return false;
    if (!oq_arena_grow(header->arena, &list->items, list->count, &list->capacity,
                       sizeof(*list->items)))
        return out_of_room(header);
    list->items[list->count++] = stored;
    return true;
}

static bool read_entries(struct header *header)
{
    const char *name;
    if (!oq_json_enter_object(&header->json))
        return false;
    while (oq_json_next_member(&header->json, &name)) {
        header->tensor = name;
        if (strcmp(name, "__metadata__") == 0 ? !oq_json_skip_value(&header->json)
                                              : !read_tensor(header, name))
            return false;
    }
    return oq_json_reader_finish(&header->json);
}

/* --- no two tensors share a byte, or a name --- */

static int compare_places(const void *left, const void *right)
{
    const struct oq_stored *a = *(const struct oq_stored *const *)left;
    const struct oq_stored *b = *(const struct oq_stored *const *)right;
    int order = oq_compare_u64(a->offset, b->offset);
    return order != 0 ? order : oq_compare_u64(a->nbytes, b->nbytes);
}

static int compare_names(const void *left, const void *right)
{
    const struct oq_stored *a = *(const struct oq_stored *const *)left;
    const struct oq_stored *b = *(const struct oq_stored *const *)right;
    return strcmp(a->name, b->name);
}

static bool check_neighbours(const struct oq_stored *const *sorted, size_t n, onnxq_error *error)
{
    const struct oq_stored *before = NULL;
    for (size_t i = 0; i < n; i++) {
        if (sorted[i]->nbytes == 0)
            continue;
        if (before != NULL && before->offset + before->nbytes > sorted[i]->offset) {
            oq_fail(error, ONNXQ_ERROR_INPUT, "shares bytes with \"%s\"", before->name);
            oq_error_place(error, "tensor \"%s\"", sorted[i]->name);
            return false;
        }
        before = sorted[i];
    }
    return true;
}

static bool check_names(const struct oq_stored *const *sorted, size_t n, onnxq_error *error)
{
    for (size_t i = 1; i < n; i++)
        if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0) {
            oq_fail(error, ONNXQ_ERROR_INPUT, "is there twice");
            oq_error_place(error, "tensor \"%s\"", sorted[i]->name);
            return false;
        }
    return true;
}

static bool check_apart(const struct oq_stored *items, size_t n, onnxq_error *error)
{
    const struct oq_stored **sorted = calloc(n + 1, sizeof(*sorted));
    if (sorted == NULL)
        return oq_fail_memory(error);
    for (size_t i = 0; i < n; i++)
        sorted[i] = &items[i];
    qsort(sorted, n, sizeof(const struct oq_stored *), compare_names);
    bool ok = check_names(sorted, n, error);
    qsort(sorted, n, sizeof(const struct oq_stored *), compare_places);
    ok = ok && check_neighbours(sorted, n, error);
    free(sorted);
    return ok;
}

/* --- the file --- */

static bool refuse_file(const struct oq_file *file, const uint8_t *start, size_t n,
                        onnxq_error *error)
{
    oq_fail(error, ONNXQ_ERROR_INPUT, "is no file of safetensors");
    oq_error_file(error, file->path);
    const bool is_zip = n >= 4 && memcmp(start, "PK\3\4", 4) == 0;
    oq_error_hint(error, "%s",
                  is_zip ? "a zip file, as PyTorch saves: save it as safetensors"
                         : "it begins with the length of a header of JSON, and that header");
    return false;
}

/* The header and a NUL; NULL on failure. */
static char *read_header(const struct oq_file *file, uint64_t *nbytes, onnxq_error *error)
{
    uint8_t start[LENGTH_NBYTES + 1] = {0};
    const size_t n = (size_t)oq_min_u64(file->nbytes, sizeof(start));
    if (!oq_file_read(file, 0, start, n, error))
        return NULL;
    *nbytes = 0;
    for (size_t i = 0; i < LENGTH_NBYTES; i++)
        *nbytes |= (uint64_t)start[i] << (8 * i);
    if (n < sizeof(start) || *nbytes > OQ_SAFETENSORS_MAX_HEADER || start[LENGTH_NBYTES] != '{' ||
        *nbytes > file->nbytes - LENGTH_NBYTES) {
        refuse_file(file, start, n, error);
        return NULL;
    }
    char *text = malloc((size_t)*nbytes + 1);
    if (text == NULL) {
        oq_fail_memory(error);
        return NULL;
    }
    text[*nbytes] = '\0';
    if (oq_file_read(file, LENGTH_NBYTES, text, (size_t)*nbytes, error))
        return text;
    free(text);
    return NULL;
}

bool oq_safetensors_read(const struct oq_file *file, struct oq_stored_list *list,
                         struct oq_arena *arena, onnxq_error *error)
{
    uint64_t nbytes;
    const size_t before = list->count;
    char *text = read_header(file, &nbytes, error);
    if (text == NULL)
        return false;
    struct header header = {.file = file,
                            .data_at = LENGTH_NBYTES + nbytes,
                            .data_nbytes = file->nbytes - LENGTH_NBYTES - nbytes,
                            .list = list,
                            .arena = arena};
    oq_json_reader_init(&header.json, text, (size_t)nbytes, arena, error);
    bool ok =
        read_entries(&header) && check_apart(list->items + before, list->count - before, error);
    free(text);
    oq_error_file(error, file->path);
    return ok;
}

/* --- numbers --- */

#define PIECE_NELEM ((size_t)4 << 10)

static bool fail_at(const struct oq_stored *stored, onnxq_error *error)
{
    oq_error_place(error, "tensor \"%s\"", stored->name);
    return false;
}

static bool read_halves(const struct oq_stored *stored, uint64_t first, size_t count, float *dst,
                        onnxq_error *error)
{
    uint16_t piece[PIECE_NELEM];
    for (size_t done = 0, n; done < count; done += n) {
        n = count - done < PIECE_NELEM ? count - done : PIECE_NELEM;
        if (!oq_file_read(stored->file, stored->offset + (first + done) * sizeof(*piece), piece,
                          n * sizeof(*piece), error))
            return fail_at(stored, error);
        if (stored->type == OQ_STORED_F16)
            oq_convert_from_half(piece, n, dst + done);
        else
            oq_convert_from_bfloat16(piece, n, dst + done);
    }
    return true;
}

bool oq_stored_read_floats(const struct oq_stored *stored, uint64_t first, size_t count, float *dst,
                           onnxq_error *error)
{
    if (stored->type != OQ_STORED_F32)
        return read_halves(stored, first, count, dst, error);
    return oq_file_read(stored->file, stored->offset + first * sizeof(*dst), dst,
                        count * sizeof(*dst), error) ||
           fail_at(stored, error);
}

bool oq_stored_read_ints(const struct oq_stored *stored, uint64_t first, size_t count,
                         uint32_t *dst, onnxq_error *error)
{
    return oq_file_read(stored->file, stored->offset + first * sizeof(*dst), dst,
                        count * sizeof(*dst), error) ||
           fail_at(stored, error);
}
