/* Escapes, cuts, pads. */
#define _POSIX_C_SOURCE 200809L
#include "report/report_text.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <onnxq/onnxq.h>

#include "base/utf8.h"

struct oq_report_unit oq_report_unit(uint64_t largest_nbytes)
{
    if (largest_nbytes < 1000000)
        return (struct oq_report_unit){"KB", 1e3};
    return largest_nbytes < UINT64_C(10000000000) ? (struct oq_report_unit){"MB", 1e6}
                                                  : (struct oq_report_unit){"GB", 1e9};
}

void oq_report_unused(FILE *stream, size_t count, uint64_t nbytes, struct oq_report_unit unit)
{
    if (count > 0)
        fprintf(stream, "  constants that nothing uses, left out: %zu, %.1f %s\n", count,
                (double)nbytes / unit.nbytes, unit.name);
}

void oq_report_annotations(FILE *stream, size_t count)
{
    if (count > 0)
        fprintf(stream, "  quantization annotations of tensors that left, left out: %zu\n", count);
}

void oq_report_inputs(FILE *stream, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fputs("  no graph input any more, a constant: ", stream);
        oq_report_cell(stream, names[i], 0, OQ_REPORT_NO_LIMIT);
        putc('\n', stream);
    }
}

void oq_report_operator(const char *domain, const char *op_type,
                        char name[OQ_REPORT_OPERATOR_NBYTES])
{
    snprintf(name, OQ_REPORT_OPERATOR_NBYTES, "%s%s%s", domain, domain[0] != '\0' ? "." : "",
             op_type);
}

size_t oq_report_columns_left(size_t limit, size_t used)
{
    if (limit == OQ_REPORT_NO_LIMIT)
        return OQ_REPORT_NO_LIMIT;
    return limit > used ? limit - used : 0;
}

/* The escaped text in `buffer`, or on the heap where that is too small, or cut where it must be. */
struct escaped {
    char buffer[512];
    char *heap;
    const char *text;
};

static void escape(struct escaped *escaped, const char *text)
{
    escaped->heap = NULL;
    escaped->text = escaped->buffer;
    size_t length = onnxq_escape(text, escaped->buffer, sizeof(escaped->buffer));
    if (length < sizeof(escaped->buffer))
        return;
    escaped->heap = malloc(length + 1);
    if (escaped->heap != NULL) {
        onnxq_escape(text, escaped->heap, length + 1);
        escaped->text = escaped->heap;
    }
}

static bool starts_code_point(char byte)
{
    return ((unsigned char)byte & 0xc0) != 0x80;
}

static size_t count_columns(const char *text)
{
    size_t columns = 0;
    for (; *text != '\0'; text++)
        columns += starts_code_point(*text);
    return columns;
}

/* Bytes of the first `columns` code points. */
static size_t prefix_length(const char *text, size_t columns)
{
    size_t i = 0;
    for (; text[i] != '\0'; i++) {
        if (!starts_code_point(text[i]))
            continue;
        if (columns == 0)
            break;
        columns--;
    }
    return i;
}

size_t oq_report_width(const char *text)
{
    struct escaped escaped;
    escape(&escaped, text);
    size_t columns = count_columns(escaped.text);
    free(escaped.heap);
    return columns;
}

static void write_without_middle(FILE *stream, const char *text, size_t columns, size_t limit)
{
    size_t kept = limit > 3 ? limit - 3 : 0;
    size_t head = (kept + 1) / 2, tail = kept / 2;
    fwrite(text, 1, prefix_length(text, head), stream);
    fputs("...", stream);
    fputs(text + prefix_length(text, columns - tail), stream);
}

void oq_report_widen(size_t *width, const char *text, size_t most)
{
    const size_t columns = oq_report_width(text);
    if (columns > *width)
        *width = columns < most ? columns : most;
}

/* Most that are shown. */
#define MAX_DIMS ((size_t)8)

const char *oq_report_dims(const int64_t *dims, size_t n, char text[OQ_REPORT_DIMS_NBYTES])
{
    size_t used = 0;
    text[used++] = '[';
    for (size_t i = 0; i < n && i < MAX_DIMS; i++)
        used += (size_t)snprintf(text + used, OQ_REPORT_DIMS_NBYTES - used, "%s%" PRId64,
                                 i > 0 ? "," : "", dims[i]);
    snprintf(text + used, OQ_REPORT_DIMS_NBYTES - used, "%s]", n > MAX_DIMS ? ",..." : "");
    return text;
}

size_t oq_report_cell(FILE *stream, const char *text, size_t width, size_t limit)
{
    struct escaped escaped;
    escape(&escaped, text);
    size_t columns = count_columns(escaped.text);
    if (columns > limit) {
        write_without_middle(stream, escaped.text, columns, limit);
        columns = limit > 3 ? limit : 3;
    } else {
        fputs(escaped.text, stream);
    }
    free(escaped.heap);
    for (; columns < width; columns++)
        putc(' ', stream);
    return columns;
}

/* Bytes of the character that text begins with; what is no UTF-8 counts byte by byte. */
static size_t character_length(const char *text)
{
    uint32_t code_point;
    size_t n = oq_utf8_decode(text, strnlen(text, 4), &code_point);
    return n > 0 ? n : 1;
}

/* Writes what `columns` hold of whole characters, and gives the rest. */
static const char *write_beginning(FILE *stream, const char *text, size_t columns)
{
    while (*text != '\0') {
        char character[5] = "", escaped[24];
        size_t length = character_length(text);
        memcpy(character, text, length);
        onnxq_escape(character, escaped, sizeof(escaped));
        size_t needed = count_columns(escaped);
        if (needed > columns)
            break;
        fputs(escaped, stream);
        columns -= needed;
        text += length;
    }
    return text;
}

void oq_report_value(FILE *stream, const char *text, size_t limit)
{
    char more[64];
    size_t columns = oq_report_width(text), n_left = 0;
    if (columns <= limit) {
        oq_report_cell(stream, text, 0, OQ_REPORT_NO_LIMIT);
        return;
    }
    size_t needed = (size_t)snprintf(more, sizeof(more), "... (%zu more characters)", columns);
    text = write_beginning(stream, text, limit > needed ? limit - needed : 0);
    for (; *text != '\0'; text += character_length(text))
        n_left++;
    fprintf(stream, "... (%zu more characters)", n_left);
}
