/* A reader of the little of Python that the header of a .npy file is. */
#include "arrays/npy_header.h"

#include <string.h>

#include "wire/data_type.h"

/* A position in the text; nothing behind `end` is looked at. */
struct header_cursor {
    const char *next, *end;
};

/* A stretch of the text, for what stands between quotes. */
struct slice {
    const char *text;
    size_t length;
};

static bool equals(struct slice slice, const char *text)
{
    return slice.length == strlen(text) && memcmp(slice.text, text, slice.length) == 0;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_spaces(struct header_cursor *cursor)
{
    while (cursor->next < cursor->end && is_space(*cursor->next))
        cursor->next++;
}

/* Takes the character where it is the next one. */
static bool take(struct header_cursor *cursor, char wanted)
{
    skip_spaces(cursor);
    if (cursor->next == cursor->end || *cursor->next != wanted)
        return false;
    cursor->next++;
    return true;
}

static bool take_word(struct header_cursor *cursor, const char *word)
{
    size_t length = strlen(word);
    skip_spaces(cursor);
    if ((size_t)(cursor->end - cursor->next) < length || memcmp(cursor->next, word, length) != 0)
        return false;
    cursor->next += length;
    return true;
}

static bool fail_syntax(const struct header_cursor *cursor, const char *expected,
                        onnxq_error *error)
{
    size_t left = (size_t)(cursor->end - cursor->next);
    if (left == 0)
        return oq_fail(error, ONNXQ_ERROR_INPUT, "its header ends, expected %s", expected);
    return oq_fail(error, ONNXQ_ERROR_INPUT, "its header has \"%.*s\", expected %s",
                   (int)(left < 24 ? left : 24), cursor->next, expected);
}

/* Text in quotes. None that means something here has an escape in it. */
static bool parse_quoted(struct header_cursor *cursor, struct slice *slice, onnxq_error *error)
{
    char quote = take(cursor, '\'') ? '\'' : take(cursor, '"') ? '"' : '\0';
    if (quote == '\0')
        return fail_syntax(cursor, "a text in quotes", error);
    const char *end = memchr(cursor->next, quote, (size_t)(cursor->end - cursor->next));
    if (end == NULL)
        return fail_syntax(cursor, "an end quote", error);
    *slice = (struct slice){cursor->next, (size_t)(end - cursor->next)};
    cursor->next = end + 1;
    return true;
}

/* Decimal digits; false where there are none, or too many for `most`. */
static bool parse_digits(struct header_cursor *cursor, uint64_t most, uint64_t *value)
{
    const char *first = cursor->next;
    for (*value = 0; cursor->next < cursor->end; cursor->next++) {
        char c = *cursor->next;
        if (c < '0' || c > '9')
            break;
        unsigned digit = (unsigned)(c - '0');
        if (*value > (most - digit) / 10)
            return false;
        *value = *value * 10 + digit;
    }
    return cursor->next > first;
}

/* --- descr ------------------------------------------------------------------ */

static const struct number_type {
    const char *code; /* kind and bytes */
    int32_t data_type;
    uint32_t width, swap;
} number_types[] = {
    {"b1", OQ_TYPE(BOOL), 1, 1},      {"i1", OQ_TYPE(INT8), 1, 1},
    {"i2", OQ_TYPE(INT16), 2, 2},     {"i4", OQ_TYPE(INT32), 4, 4},
    {"i8", OQ_TYPE(INT64), 8, 8},     {"u1", OQ_TYPE(UINT8), 1, 1},
    {"u2", OQ_TYPE(UINT16), 2, 2},    {"u4", OQ_TYPE(UINT32), 4, 4},
    {"u8", OQ_TYPE(UINT64), 8, 8},    {"f2", OQ_TYPE(FLOAT16), 2, 2},
    {"f4", OQ_TYPE(FLOAT), 4, 4},     {"f8", OQ_TYPE(DOUBLE), 8, 8},
    {"c8", OQ_TYPE(COMPLEX64), 8, 4}, {"c16", OQ_TYPE(COMPLEX128), 16, 8},
};

static bool find_number_type(struct slice code, struct oq_npy_header *header)
{
    for (size_t i = 0; i < sizeof(number_types) / sizeof(number_types[0]); i++) {
        const struct number_type *type = &number_types[i];
        if (!equals(code, type->code))
            continue;
        header->data_type = type->data_type;
        header->width = type->width;
        header->swap = type->swap;
        return true;
    }
    return false;
}

/* S12: 12 bytes; U12: 12 code points of 4 bytes. */
static bool find_string_type(struct slice code, struct oq_npy_header *header)
{
    uint64_t length;
    struct header_cursor cursor = {code.text + 1, code.text + code.length};
    if (code.length < 2 || (*code.text != 'S' && *code.text != 'U') ||
        !parse_digits(&cursor, UINT32_MAX / 4, &length) || cursor.next != cursor.end)
        return false;
    header->is_unicode = *code.text == 'U';
    header->data_type = OQ_TYPE(STRING);
    header->width = (uint32_t)length * (header->is_unicode ? 4 : 1);
    header->swap = header->is_unicode ? 4 : 1;
    return true;
}

static bool fail_type(struct slice descr, char kind, onnxq_error *error)
{
    if (kind == 'O') {
        oq_fail(error, ONNXQ_ERROR_INPUT,
                "holds Python objects, expected numbers, booleans or strings");
        oq_error_hint(error, "save it without objects: with rows of one length, and a dtype given "
                             "to numpy.asarray()");
        return false;
    }
    oq_fail(error, ONNXQ_ERROR_INPUT,
            "has elements of type '%.*s', expected numbers, booleans or strings",
            (int)(descr.length < 40 ? descr.length : 40), descr.text);
    if (kind == 'V')
        oq_error_hint(error, "bfloat16 and other types that NumPy has no name for can be saved as "
                             "a .pb: onnx.numpy_helper.from_array(x).SerializeToString()");
    return false;
}

/* The order of bytes, which '|' and '=' leave to the machine, then kind and size. */
static bool parse_descr(struct header_cursor *cursor, struct oq_npy_header *header,
                        onnxq_error *error)
{
    struct slice descr;
    skip_spaces(cursor);
    if (cursor->next < cursor->end && (*cursor->next == '[' || *cursor->next == '(')) {
        oq_fail(error, ONNXQ_ERROR_INPUT, "is a structured array, expected one of plain elements");
        oq_error_hint(error, "save each of its fields as an array");
        return false;
    }
    if (!parse_quoted(cursor, &descr, error))
        return false;
    struct slice code = descr;
    char order = '=';
    if (code.length > 0 && memchr("<>|=", *code.text, 4) != NULL) {
        order = *code.text++;
        code.length--;
    }
    if (!find_number_type(code, header) && !find_string_type(code, header))
        return fail_type(descr, code.length > 0 ? *code.text : '\0', error);
    if (order != '>')
        header->swap = 1;
    return true;
}

/* --- the other members ------------------------------------------------------- */

static bool parse_fortran_order(struct header_cursor *cursor, struct oq_npy_header *header,
                                onnxq_error *error)
{
    header->fortran_order = take_word(cursor, "True");
    return header->fortran_order || take_word(cursor, "False") ||
           fail_syntax(cursor, "True or False", error);
}

/* A dimension, with the L that Python 2 put behind large ones. */
static bool parse_dim(struct header_cursor *cursor, struct oq_npy_header *header,
                      onnxq_error *error)
{
    uint64_t dim;
    skip_spaces(cursor);
    if (!parse_digits(cursor, INT64_MAX, &dim))
        return fail_syntax(cursor, "a dimension", error);
    if (header->n_dims == OQ_NPY_MAX_DIMS)
        return oq_fail(error, ONNXQ_ERROR_INPUT, "has more than %d dimensions", OQ_NPY_MAX_DIMS);
    header->dims[header->n_dims++] = (int64_t)dim;
    take(cursor, 'L');
    return true;
}

/* (), (3,), (3, 4) */
static bool parse_shape(struct header_cursor *cursor, struct oq_npy_header *header,
                        onnxq_error *error)
{
    if (!take(cursor, '('))
        return fail_syntax(cursor, "a tuple", error);
    header->n_dims = 0;
    while (!take(cursor, ')')) {
        if (!parse_dim(cursor, header, error))
            return false;
        if (!take(cursor, ',') && (cursor->next == cursor->end || *cursor->next != ')'))
            return fail_syntax(cursor, ", or )", error);
    }
    return true;
}

static const struct header_member {
    const char *key;
    bool (*parse)(struct header_cursor *, struct oq_npy_header *, onnxq_error *);
} members[] = {
    {"descr", parse_descr}, {"fortran_order", parse_fortran_order}, {"shape", parse_shape}};

#define N_MEMBERS (sizeof(members) / sizeof(members[0]))

/* Each member is there once. */
static bool parse_member(struct header_cursor *cursor, struct oq_npy_header *header, unsigned *seen,
                         onnxq_error *error)
{
    struct slice key;
    size_t i = 0;
    if (!parse_quoted(cursor, &key, error))
        return false;
    while (i < N_MEMBERS && !equals(key, members[i].key))
        i++;
    if (i == N_MEMBERS || (*seen & 1U << i) != 0)
        return oq_fail(error, ONNXQ_ERROR_INPUT,
                       "its header has '%.*s', expected descr, fortran_order and shape once each",
                       (int)(key.length < 40 ? key.length : 40), key.text);
    *seen |= 1U << i;
    if (!take(cursor, ':'))
        return fail_syntax(cursor, "a colon", error);
    return members[i].parse(cursor, header, error);
}

bool oq_npy_header_parse(struct oq_npy_header *header, const char *text, size_t nbytes,
                         onnxq_error *error)
{
    struct header_cursor cursor = {text, text + nbytes};
    unsigned seen = 0;
    *header = (struct oq_npy_header){0};
    while (cursor.end > cursor.next && is_space(cursor.end[-1])) /* NumPy fills it up */
        cursor.end--;
    if (!take(&cursor, '{'))
        return fail_syntax(&cursor, "a dict", error);
    while (!take(&cursor, '}')) {
        if (!parse_member(&cursor, header, &seen, error))
            return false;
        if (!take(&cursor, ',') && (cursor.next == cursor.end || *cursor.next != '}'))
            return fail_syntax(&cursor, ", or }", error);
    }
    if (seen != (1U << N_MEMBERS) - 1)
        return oq_fail(error, ONNXQ_ERROR_INPUT,
                       "its header lacks one of descr, fortran_order and shape");
    skip_spaces(&cursor);
    return cursor.next == cursor.end || fail_syntax(&cursor, "nothing behind the dict", error);
}
