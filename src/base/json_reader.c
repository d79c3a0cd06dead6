/* Reading JSON (RFC 8259) from memory, value by value, without a tree and without recursion. */
#define _POSIX_C_SOURCE 200809L
#include "base/json_reader.h"

#include <errno.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

/* Longest text of a number: more digits than any that a double needs. */
#define MAX_NUMBER 64

/* What is less is a float32 once it is rounded: the shortest decimals of FLT_MAX are above it. */
#define FLOAT_END 0x1.ffffffp127

void oq_json_reader_init(struct oq_json_reader *reader, const char *text, size_t nbytes,
                         struct oq_arena *arena, onnxq_error *error)
{
    *reader =
        (struct oq_json_reader){.text = text, .nbytes = nbytes, .arena = arena, .error = error};
}

static void name_place(struct oq_json_reader *reader)
{
    size_t line = 1, start = 0;
    for (size_t i = 0; i < reader->at; i++) {
        if (reader->text[i] == '\n') {
            line++;
            start = i + 1;
        }
    }
    oq_error_place(reader->error, "line %zu, column %zu", line, reader->at - start + 1);
}

bool oq_json_refuse(struct oq_json_reader *reader, const char *format, ...)
{
    char message[sizeof(reader->error->message)];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    if (!reader->failed) {
        oq_fail(reader->error, ONNXQ_ERROR_INPUT, "%s", message);
        name_place(reader);
    }
    reader->failed = true;
    return false;
}

/* The next character that is no white space; NUL at the end. */
static char peek(struct oq_json_reader *reader)
{
    while (reader->at < reader->nbytes && strchr(" \t\r\n", reader->text[reader->at]) != NULL &&
           reader->text[reader->at] != '\0')
        reader->at++;
    return reader->at < reader->nbytes ? reader->text[reader->at] : '\0';
}

char oq_json_peek(struct oq_json_reader *reader)
{
    return reader->failed ? '\0' : peek(reader);
}

static bool expected(struct oq_json_reader *reader, const char *what)
{
    if (reader->at >= reader->nbytes)
        return oq_json_refuse(reader, "the file ends, expected %s", what);
    return oq_json_refuse(reader, "expected %s", what);
}

static bool enter(struct oq_json_reader *reader, char bracket, const char *what)
{
    if (reader->failed || peek(reader) != bracket)
        return expected(reader, what);
    if (reader->depth + 1 >= OQ_JSON_READER_MAX_DEPTH)
        return oq_json_refuse(reader, "nested too deep");
    reader->at++;
    reader->depth++;
    reader->has_items &= ~(UINT64_C(1) << reader->depth);
    return true;
}

bool oq_json_enter_object(struct oq_json_reader *reader)
{
    return enter(reader, '{', "an object");
}

bool oq_json_enter_array(struct oq_json_reader *reader)
{
    return enter(reader, '[', "an array");
}

/* False behind the last member or item of the container that `bracket` closes, or on failure. */
static bool next(struct oq_json_reader *reader, char bracket)
{
    if (reader->failed)
        return false;
    char found = peek(reader);
    uint64_t level = UINT64_C(1) << reader->depth;
    if (found == bracket) {
        reader->at++;
        reader->depth--;
        return false;
    }
    if ((reader->has_items & level) != 0) {
        if (found != ',')
            return expected(reader, bracket == ']' ? "\",\" or \"]\"" : "\",\" or \"}\"");
        reader->at++;
    }
    reader->has_items |= level;
    return true;
}

bool oq_json_next_item(struct oq_json_reader *reader)
{
    return next(reader, ']');
}

bool oq_json_read_items(struct oq_json_reader *reader, bool (*read)(struct oq_json_reader *))
{
    if (!oq_json_enter_array(reader))
        return false;
    while (oq_json_next_item(reader))
        if (!read(reader))
            return false;
    return !reader->failed;
}

bool oq_json_next_member(struct oq_json_reader *reader, const char **key)
{
    if (!next(reader, '}') || !oq_json_read_string(reader, key))
        return false;
    if (peek(reader) != ':')
        return expected(reader, "\":\"");
    reader->at++;
    return true;
}

/* --- strings ------------------------------------------------------------------ */

static bool read_hex(struct oq_json_reader *reader, uint32_t *value)
{
    *value = 0;
    for (int i = 0; i < 4; i++) {
        char c = reader->at < reader->nbytes ? reader->text[reader->at] : '\0';
        const char *digits = "0123456789abcdefABCDEF";
        const char *digit = c != '\0' ? strchr(digits, c) : NULL;
        if (digit == NULL)
            return expected(reader, "four hexadecimal digits");
        ptrdiff_t number = digit - digits;
        *value = *value << 4 | (uint32_t)(number < 16 ? number : number - 6);
        reader->at++;
    }
    return true;
}

static size_t encode_utf8(uint32_t code_point, char *dst)
{
    if (code_point < 0x80) {
        dst[0] = (char)code_point;
        return 1;
    }
    size_t n = code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
    static const uint32_t marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n - 1; i > 0; i--, code_point >>= 6)
        dst[i] = (char)(0x80 | (code_point & 0x3f));
    dst[0] = (char)(marks[n] | code_point);
    return n;
}

/* The four digits of \u, and those of the second half of a pair. */
static bool read_unicode(struct oq_json_reader *reader, char *dst, size_t *n)
{
    uint32_t value, low;
    if (!read_hex(reader, &value))
        return false;
    if (value >= 0xd800 && value < 0xdc00) {
        if (strncmp(reader->text + reader->at, "\\u", 2) != 0)
            return expected(reader, "the second half of a pair");
        reader->at += 2;
        if (!read_hex(reader, &low))
            return false;
        if (low < 0xdc00 || low >= 0xe000)
            return oq_json_refuse(reader, "half of a pair of code points");
        value = 0x10000 + ((value - 0xd800) << 10) + (low - 0xdc00);
    } else if (value == 0 || (value >= 0xdc00 && value < 0xe000)) {
        return oq_json_refuse(reader, "a character that no text has");
    }
    *n = encode_utf8(value, dst);
    return true;
}

/* What follows a backslash. */
static bool read_escape(struct oq_json_reader *reader, char *dst, size_t *n)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    char letter = reader->at < reader->nbytes ? reader->text[reader->at] : '\0';
    const char *known = letter != '\0' ? strchr(letters, letter) : NULL;
    if (known == NULL && letter != 'u')
        return expected(reader, "an escape");
    reader->at++;
    if (letter == 'u')
        return read_unicode(reader, dst, n);
    *dst = meanings[known - letters];
    *n = 1;
    return true;
}

static bool read_character(struct oq_json_reader *reader, char *dst, size_t *n)
{
    const char *src = reader->text + reader->at;
    uint32_t code_point;
    if (reader->at >= reader->nbytes)
        return expected(reader, "the end of a string");
    if (*src == '\\') {
        reader->at++;
        return read_escape(reader, dst, n);
    }
    *n = oq_utf8_decode(src, reader->nbytes - reader->at, &code_point);
    if (*n == 0 || code_point < 0x20)
        return oq_json_refuse(reader, "a string is no UTF-8, or has a control character");
    memcpy(dst, src, *n);
    reader->at += *n;
    return true;
}

/* Bytes up to the quote that ends the string: no less than its text takes. */
static size_t string_bound(const struct oq_json_reader *reader)
{
    size_t i = reader->at;
    while (i < reader->nbytes && reader->text[i] != '"')
        i += reader->text[i] == '\\' ? 2 : 1;
    return i - reader->at;
}

bool oq_json_read_string(struct oq_json_reader *reader, const char **value)
{
    if (reader->failed || peek(reader) != '"')
        return expected(reader, "a string");
    reader->at++;
    char *text = oq_arena_alloc(reader->arena, string_bound(reader) + 1);
    if (text == NULL) {
        reader->failed = true;
        return oq_fail_memory(reader->error);
    }
    size_t length = 0, n = 0;
    while (reader->at < reader->nbytes && reader->text[reader->at] != '"') {
        if (!read_character(reader, text + length, &n))
            return false;
        length += n;
    }
    if (reader->at >= reader->nbytes)
        return expected(reader, "the end of a string");
    reader->at++;
    *value = text;
    return true;
}

/* --- numbers ------------------------------------------------------------------ */

static size_t count_digits(const char *text)
{
    return strspn(text, "0123456789");
}

/* The length of the number that text begins with, 0 where there is none. */
static size_t number_length(const char *text, bool *is_integer)
{
    size_t at = text[0] == '-', digits = count_digits(text + at);
    *is_integer = true;
    if (digits == 0 || (digits > 1 && text[at] == '0'))
        return 0;
    at += digits;
    if (text[at] == '.') {
        digits = count_digits(text + at + 1);
        if (digits == 0)
            return 0;
        at += 1 + digits;
        *is_integer = false;
    }
    if (text[at] == 'e' || text[at] == 'E') {
        size_t sign = text[at + 1] == '-' || text[at + 1] == '+';
        digits = count_digits(text + at + 1 + sign);
        if (digits == 0)
            return 0;
        at += 1 + sign + digits;
        *is_integer = false;
    }
    return at;
}

static bool read_digits(struct oq_json_reader *reader, bool is_signed, const char *what,
                        char digits[MAX_NUMBER])
{
    bool is_integer;
    char found = reader->failed ? '\0' : peek(reader);
    size_t length = found != '\0' ? number_length(reader->text + reader->at, &is_integer) : 0;
    if (length == 0 || length >= MAX_NUMBER || !is_integer || (found == '-' && !is_signed))
        return expected(reader, what);
    memcpy(digits, reader->text + reader->at, length);
    digits[length] = '\0';
    reader->at += length;
    return true;
}

bool oq_json_read_uint(struct oq_json_reader *reader, uint64_t *value)
{
    char digits[MAX_NUMBER];
    if (!read_digits(reader, false, "a whole number of 0 or more", digits))
        return false;
    errno = 0;
    *value = strtoull(digits, NULL, 10);
    return errno == 0 || oq_json_refuse(reader, "%s is too large", digits);
}

bool oq_json_read_int(struct oq_json_reader *reader, int64_t *value)
{
    char digits[MAX_NUMBER];
    if (!read_digits(reader, true, "a whole number", digits))
        return false;
    errno = 0;
    *value = strtoll(digits, NULL, 10);
    return errno == 0 || oq_json_refuse(reader, "%s is too large", digits);
}

/* strtod() takes the point that the locale has. */
static double to_double(const char *text, size_t length)
{
    char local[MAX_NUMBER + 16];
    const char *separator = localeconv()->decimal_point;
    const char *point = memchr(text, '.', length);
    if (point != NULL && strlen(separator) <= 16)
        snprintf(local, sizeof(local), "%.*s%s%.*s", (int)(point - text), text, separator,
                 (int)(text + length - point - 1), point + 1);
    else
        snprintf(local, sizeof(local), "%.*s", (int)length, text);
    return strtod(local, NULL);
}

bool oq_json_read_number(struct oq_json_reader *reader, double *value)
{
    bool is_integer;
    char found = reader->failed ? '\0' : peek(reader);
    const char *text = reader->text + reader->at;
    size_t length = found != '\0' ? number_length(text, &is_integer) : 0;
    if (length == 0 || length >= MAX_NUMBER)
        return expected(reader, "a number");
    *value = to_double(text, length);
    if (!isfinite(*value))
        return oq_json_refuse(reader, "%.*s is too large", (int)length, text);
    reader->at += length;
    return true;
}

bool oq_json_read_float(struct oq_json_reader *reader, float *value)
{
    double number = 0;
    if (!oq_json_read_number(reader, &number))
        return false;
    if (fabs(number) >= FLOAT_END)
        return oq_json_refuse(reader, "a number that no float32 is");
    *value = (float)fmin(fmax(number, -(double)FLT_MAX), (double)FLT_MAX);
    return true;
}

/* --- what is passed over --------------------------------------------------------- */

static bool skip_word(struct oq_json_reader *reader)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t length = strlen(words[i]);
        if (strncmp(reader->text + reader->at, words[i], length) == 0) {
            reader->at += length;
            return true;
        }
    }
    return expected(reader, "a value");
}

/* A value that holds no others. */
static bool skip_leaf(struct oq_json_reader *reader, char found)
{
    const char *text;
    double number;
    if (found == '"')
        return oq_json_read_string(reader, &text);
    if (found == '-' || (found >= '0' && found <= '9'))
        return oq_json_read_number(reader, &number);
    return skip_word(reader);
}

bool oq_json_skip_value(struct oq_json_reader *reader)
{
    uint64_t is_array = 0; /* bit d: the container at depth d is one */
    unsigned outside = reader->depth;
    const char *key;
    do {
        char found = peek(reader);
        if (found == '{' || found == '[') {
            if (!enter(reader, found, "a value"))
                return false;
            uint64_t level = UINT64_C(1) << reader->depth;
            is_array = found == '[' ? is_array | level : is_array & ~level;
        } else if (reader->failed || !skip_leaf(reader, found)) {
            return false;
        }
        while (reader->depth > outside && !reader->failed) {
            bool in_array = (is_array >> reader->depth & 1) != 0;
            if (in_array ? oq_json_next_item(reader) : oq_json_next_member(reader, &key))
                break;
        }
    } while (reader->depth > outside && !reader->failed);
    return !reader->failed;
}

bool oq_json_reader_finish(struct oq_json_reader *reader)
{
    if (!reader->failed && peek(reader) != '\0')
        return oq_json_refuse(reader, "something follows the end");
    if (!reader->failed && reader->at < reader->nbytes)
        return oq_json_refuse(reader, "a NUL follows the end");
    return !reader->failed;
}
