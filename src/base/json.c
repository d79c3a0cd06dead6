/* Writing JSON: commas, nesting, escapes, numbers that read back as they were. */
#define _POSIX_C_SOURCE 200809L
#include "base/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <onnxq/onnxq.h>

#include "base/utf8.h"

static uint64_t level_bit(const struct oq_json *json)
{
    return UINT64_C(1) << json->depth;
}

static void break_line(struct oq_json *json)
{
    fprintf(json->stream, "\n%*s", (int)json->depth * 2, "");
}

static void write_string(FILE *stream, const char *value)
{
    size_t left = strlen(value);
    putc('"', stream);
    while (left > 0) {
        uint32_t code_point = 0;
        size_t n = oq_utf8_decode(value, left, &code_point);
        if (n == 0)
            fputs("\\ufffd", stream);
        else if (oq_is_unsafe_to_show(code_point))
            fprintf(stream, "\\u%04x", (unsigned)code_point);
        else if (*value == '"' || *value == '\\')
            fprintf(stream, "\\%c", *value);
        else
            fwrite(value, 1, n, stream);
        n = n > 0 ? n : 1;
        value += n;
        left -= n;
    }
    putc('"', stream);
}

/* Everything that stands between the value before and this one. */
static void lead_in(struct oq_json *json, const char *key)
{
    uint64_t level = level_bit(json);
    bool first = (json->has_items & level) == 0;
    json->has_items |= level;
    if (json->depth > 0 && !first)
        putc(',', json->stream);
    if ((json->is_row & level) == 0 && json->depth > 0)
        break_line(json);
    else if (!first)
        putc(' ', json->stream);
    if (key != NULL) {
        write_string(json->stream, key);
        fputs(": ", json->stream);
    }
}

static void open_level(struct oq_json *json, const char *key, bool is_array, bool is_row)
{
    if (json->depth + 1 >= OQ_JSON_MAX_DEPTH) {
        json->misused = true;
        return;
    }
    lead_in(json, key);
    putc(is_array ? '[' : '{', json->stream);
    bool inside_row = (json->is_row & level_bit(json)) != 0;
    json->depth++;
    uint64_t level = level_bit(json);
    json->has_items &= ~level;
    json->is_array = is_array ? json->is_array | level : json->is_array & ~level;
    json->is_row = is_row || inside_row ? json->is_row | level : json->is_row & ~level;
}

void oq_json_init(struct oq_json *json, FILE *stream)
{
    *json = (struct oq_json){.stream = stream};
}

void oq_json_open_object(struct oq_json *json, const char *key)
{
    open_level(json, key, false, false);
}

void oq_json_open_array(struct oq_json *json, const char *key)
{
    open_level(json, key, true, false);
}

void oq_json_open_row(struct oq_json *json, const char *key)
{
    open_level(json, key, true, true);
}

void oq_json_close(struct oq_json *json)
{
    if (json->depth == 0) {
        json->misused = true;
        return;
    }
    uint64_t level = level_bit(json);
    json->depth--;
    if ((json->has_items & level) != 0 && (json->is_row & level) == 0)
        break_line(json);
    putc((json->is_array & level) != 0 ? ']' : '}', json->stream);
}

void oq_json_string(struct oq_json *json, const char *key, const char *value)
{
    if (value == NULL) {
        oq_json_null(json, key);
        return;
    }
    lead_in(json, key);
    write_string(json->stream, value);
}

void oq_json_int(struct oq_json *json, const char *key, int64_t value)
{
    lead_in(json, key);
    fprintf(json->stream, "%" PRId64, value);
}

void oq_json_uint(struct oq_json *json, const char *key, uint64_t value)
{
    lead_in(json, key);
    fprintf(json->stream, "%" PRIu64, value);
}

/* The locale may put something else than a point between the digits, even several bytes. */
static void write_with_point(FILE *stream, const char *text)
{
    size_t digits = strspn(text, "-0123456789");
    fwrite(text, 1, digits, stream);
    size_t separator = strcspn(text + digits, "0123456789e");
    if (separator > 0)
        putc('.', stream);
    fputs(text + digits + separator, stream);
}

/* The shortest text that reads back as `value`, which is a float where `is_float` says so. */
static void write_number(struct oq_json *json, const char *key, double value, bool is_float)
{
    if (!isfinite(value)) {
        oq_json_null(json, key);
        return;
    }
    char text[48];
    /* Whole numbers are written out: %g makes 1e+01 of 10. */
    int shortest = value == rint(value) && fabs(value) < 1e15 ? 15 : 1;
    for (int precision = shortest; precision <= 17; precision++) {
        snprintf(text, sizeof(text), "%.*g", precision, value);
        double read = strtod(text, NULL);
        if (read == value || (is_float && (float)read == (float)value))
            break;
    }
    lead_in(json, key);
    write_with_point(json->stream, text);
}

void oq_json_number(struct oq_json *json, const char *key, double value)
{
    write_number(json, key, value, false);
}

void oq_json_float(struct oq_json *json, const char *key, float value)
{
    write_number(json, key, (double)value, true);
}

void oq_json_bool(struct oq_json *json, const char *key, bool value)
{
    lead_in(json, key);
    fputs(value ? "true" : "false", json->stream);
}

void oq_json_null(struct oq_json *json, const char *key)
{
    lead_in(json, key);
    fputs("null", json->stream);
}

void oq_json_ints(struct oq_json *json, const char *key, const int64_t *values, size_t n)
{
    oq_json_open_row(json, key);
    for (size_t i = 0; i < n; i++)
        oq_json_int(json, NULL, values[i]);
    oq_json_close(json);
}

void oq_json_numbers(struct oq_json *json, const char *key, const double *values, size_t n)
{
    oq_json_open_row(json, key);
    for (size_t i = 0; i < n; i++)
        oq_json_number(json, NULL, values[i]);
    oq_json_close(json);
}

void oq_json_strings(struct oq_json *json, const char *key, const char *const *values, size_t n)
{
    oq_json_open_row(json, key);
    for (size_t i = 0; i < n; i++)
        oq_json_string(json, NULL, values[i]);
    oq_json_close(json);
}

void oq_json_open_report(struct oq_json *json, FILE *stream)
{
    oq_json_init(json, stream);
    oq_json_open_object(json, NULL);
    oq_json_int(json, "report", 1);
    oq_json_string(json, "onnxq", onnxq_version());
}

bool oq_json_finish(struct oq_json *json)
{
    putc('\n', json->stream);
    return json->depth == 0 && !json->misused && !ferror(json->stream);
}
