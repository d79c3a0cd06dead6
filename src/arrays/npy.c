/* The elements of .npy files, whatever their order and width, into arrays. */
#include "arrays/npy.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "wire/data_type.h"
#include "arrays/npy_header.h"

static const char magic[] = "\x93NUMPY";

/* NumPy itself reads no longer header of a file that it does not trust. */
#define HEADER_MAX_NBYTES 10000

/* Elements in Fortran order come by in pieces of this size. */
#define PIECE_NBYTES ((size_t)64 << 10)

/* --- header ----------------------------------------------------------------- */

/* The length has two bytes in version 1, four in 2 and 3; little-endian. */
static bool read_header_nbytes(struct oq_stream *stream, size_t *nbytes, onnxq_error *error)
{
    uint8_t start[sizeof(magic) - 1] = {0}, version[2], length[4] = {0};
    if (!oq_stream_read(stream, start, oq_min_u64(sizeof(start), stream->left), error))
        return false;
    if (memcmp(start, magic, sizeof(start)) != 0)
        return oq_fail(error, ONNXQ_ERROR_INPUT, "is no .npy file: it does not begin as one");
    if (!oq_stream_read(stream, version, sizeof(version), error))
        return false;
    if (version[0] < 1 || version[0] > 3)
        return oq_fail(error, ONNXQ_ERROR_INPUT, "is of .npy version %u, expected 1, 2 or 3",
                       version[0]);
    if (!oq_stream_read(stream, length, version[0] == 1 ? 2 : 4, error))
        return false;
    *nbytes = (size_t)length[0] | (size_t)length[1] << 8 | (size_t)length[2] << 16 |
              (size_t)length[3] << 24;
    return *nbytes <= HEADER_MAX_NBYTES ||
           oq_fail(error, ONNXQ_ERROR_INPUT, "has a header of %zu bytes, at most %d are possible",
                   *nbytes, HEADER_MAX_NBYTES);
}

static bool read_header(struct oq_npy_header *header, struct oq_stream *stream, onnxq_error *error)
{
    char text[HEADER_MAX_NBYTES];
    size_t nbytes = 0;
    return read_header_nbytes(stream, &nbytes, error) &&
           oq_stream_read(stream, text, nbytes, error) &&
           oq_npy_header_parse(header, text, nbytes, error);
}

/* So that nothing is allocated for elements that are not there. */
static bool check_size(const struct oq_npy_header *header, const struct oq_stream *stream,
                       uint64_t *nelem, onnxq_error *error)
{
    uint64_t nbytes;
    bool fits = true;
    *nelem = 1;
    for (size_t i = 0; i < header->n_dims; i++)
        fits = fits && oq_mul_u64(*nelem, (uint64_t)header->dims[i], nelem);
    if (!fits || !oq_mul_u64(*nelem, header->width, &nbytes))
        return oq_fail(error, ONNXQ_ERROR_INPUT, "its dimensions are too large");
    if (nbytes != stream->left)
        return oq_fail(error, ONNXQ_ERROR_INPUT,
                       "has %" PRIu64 " bytes of elements, its header needs %" PRIu64, stream->left,
                       nbytes);
    return header->width > 0 || *nelem == 0 ||
           oq_fail(error, ONNXQ_ERROR_INPUT, "its strings have room for no character");
}

/* --- order ------------------------------------------------------------------ */

static void swap_bytes(uint8_t *bytes, size_t nbytes, size_t width)
{
    for (uint8_t *unit = bytes; width > 1 && unit < bytes + nbytes; unit += width) {
        for (size_t i = 0; i < width / 2; i++) {
            uint8_t byte = unit[i];
            unit[i] = unit[width - 1 - i];
            unit[width - 1 - i] = byte;
        }
    }
}

/* Where in C order the elements stand that come by in Fortran order. */
struct fortran_walk {
    const struct oq_npy_header *header;
    uint64_t position;
    int64_t index[OQ_NPY_MAX_DIMS];
    uint64_t stride[OQ_NPY_MAX_DIMS];
};

static void walk_init(struct fortran_walk *walk, const struct oq_npy_header *header)
{
    *walk = (struct fortran_walk){.header = header};
    uint64_t stride = 1;
    for (size_t i = header->n_dims; i-- > 0;) {
        walk->stride[i] = stride;
        stride *= (uint64_t)header->dims[i];
    }
}

static uint64_t walk_next(struct fortran_walk *walk)
{
    uint64_t position = walk->position;
    for (size_t i = 0; i < walk->header->n_dims; i++) {
        walk->position += walk->stride[i];
        if (++walk->index[i] < walk->header->dims[i])
            break;
        walk->position -= walk->stride[i] * (uint64_t)walk->header->dims[i];
        walk->index[i] = 0;
    }
    return position;
}

/* --- numbers ---------------------------------------------------------------- */

static bool read_in_order(struct oq_array *array, const struct oq_npy_header *header,
                          struct oq_stream *stream, onnxq_error *error)
{
    if (!oq_stream_read(stream, array->data, array->nbytes, error))
        return false;
    swap_bytes(array->data, (size_t)array->nbytes, header->swap);
    return true;
}

static bool read_transposed(struct oq_array *array, const struct oq_npy_header *header,
                            struct oq_stream *stream, onnxq_error *error)
{
    const size_t width = header->width;
    struct fortran_walk walk;
    walk_init(&walk, header);
    uint8_t *piece = malloc(PIECE_NBYTES);
    bool ok = piece != NULL || oq_fail_memory(error);
    for (uint64_t left = array->nelem; ok && left > 0;) {
        size_t count = (size_t)oq_min_u64(left, PIECE_NBYTES / width);
        ok = oq_stream_read(stream, piece, count * width, error);
        swap_bytes(piece, ok ? count * width : 0, header->swap);
        for (size_t i = 0; ok && i < count; i++)
            memcpy((uint8_t *)array->data + walk_next(&walk) * width, piece + i * width, width);
        left -= count;
    }
    free(piece);
    return ok;
}

static bool read_numbers(struct oq_array *array, const char *name,
                         const struct oq_npy_header *header, struct oq_stream *stream,
                         onnxq_error *error)
{
    return oq_array_init(array, name, header->data_type, header->dims, header->n_dims, error) &&
           (header->fortran_order ? read_transposed(array, header, stream, error)
                                  : read_in_order(array, header, stream, error));
}

/* --- strings ---------------------------------------------------------------- */

static char *put_utf8(char *dst, uint32_t code_point)
{
    if (code_point < 0x80) {
        *dst++ = (char)code_point;
        return dst;
    }
    unsigned rest = code_point < 0x800 ? 1 : code_point < 0x10000 ? 2 : 3; /* bytes that follow */
    static const uint32_t marks[] = {0, 0xc0, 0xe0, 0xf0};
    *dst++ = (char)(marks[rest] | code_point >> (6 * rest));
    while (rest-- > 0)
        *dst++ = (char)(0x80 | (code_point >> (6 * rest) & 0x3f));
    return dst;
}

/*
 * Moves one string to dst, as UTF-8 with a NUL at its end, and returns what is
 * behind that; NULL after an error. dst may overlap src, where it does not lie
 * behind it: what is written is never longer than what was read, but for the NUL.
 */
static char *move_string(char *dst, const uint8_t *src, const struct oq_npy_header *header,
                         onnxq_error *error)
{
    const size_t step = header->is_unicode ? 4 : 1;
    bool padding = false;
    for (const uint8_t *end = src + header->width; src < end; src += step) {
        uint32_t code_point = *src;
        if (header->is_unicode)
            memcpy(&code_point, src, sizeof(code_point));
        if (code_point > 0x10ffff || (code_point >= 0xd800 && code_point < 0xe000)) {
            oq_fail(error, ONNXQ_ERROR_INPUT, "holds 0x%" PRIx32 ", expected a Unicode character",
                    code_point);
            return NULL;
        }
        if (padding && code_point != 0) {
            oq_fail(error, ONNXQ_ERROR_INPUT, "a string has a NUL character in it");
            return NULL;
        }
        padding = code_point == 0;
        if (header->is_unicode && !padding)
            dst = put_utf8(dst, code_point);
        else if (!padding)
            *dst++ = (char)code_point;
    }
    *dst++ = '\0';
    return dst;
}

/*
 * `block` has room for all elements and a byte more for each; they are read to
 * its end and become strings from its beginning on, which never gets ahead.
 */
static bool read_block(char *block, char **strings, uint64_t nelem,
                       const struct oq_npy_header *header, struct oq_stream *stream,
                       onnxq_error *error)
{
    uint8_t *elements = (uint8_t *)block + nelem;
    if (!oq_stream_read(stream, elements, nelem * header->width, error))
        return false;
    swap_bytes(elements, (size_t)(nelem * header->width), header->swap);
    struct fortran_walk walk;
    walk_init(&walk, header);
    char *next = block;
    for (uint64_t i = 0; i < nelem && next != NULL; i++) {
        strings[header->fortran_order ? walk_next(&walk) : i] = next;
        next = move_string(next, elements + i * header->width, header, error);
    }
    return next != NULL;
}

static bool read_strings(struct oq_array *array, const char *name,
                         const struct oq_npy_header *header, uint64_t nelem,
                         struct oq_stream *stream, onnxq_error *error)
{
    if (nelem > OQ_ARRAY_MAX_NBYTES / ((uint64_t)header->width + 1 + sizeof(char *)))
        return oq_fail(error, ONNXQ_ERROR_INPUT, "has too many strings");
    char *block = malloc((size_t)(nelem * ((uint64_t)header->width + 1)) + 1);
    char **strings = malloc((size_t)(nelem * sizeof(*strings)) + 1);
    bool ok = (block != NULL && strings != NULL) || oq_fail_memory(error);
    ok = ok && read_block(block, strings, nelem, header, stream, error) &&
         oq_array_init_strings(array, name, (const char *const *)strings, header->dims,
                               header->n_dims, error);
    free(strings);
    free(block);
    return ok;
}

/* --- both ------------------------------------------------------------------- */

bool oq_npy_read(struct oq_array *array, const char *name, struct oq_stream *stream,
                 onnxq_error *error)
{
    struct oq_npy_header header;
    uint64_t nelem;
    if (!read_header(&header, stream, error) || !check_size(&header, stream, &nelem, error))
        return false;
    bool ok = header.data_type == OQ_TYPE(STRING)
                  ? read_strings(array, name, &header, nelem, stream, error)
                  : read_numbers(array, name, &header, stream, error);
    return ok && oq_stream_finish(stream, error);
}
