/* The JSON writer: the text, byte for byte, whatever the strings and the locale are. */
#include "base/json.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <string.h>

#include "support/suite.h"

typedef void (*write_fn)(struct oq_json *json);

static const char *write_text(write_fn write, bool *ok)
{
    struct oq_json json;
    size_t nbytes;
    FILE *stream = fopen(test_path("json"), "wb");
    assert_non_null(stream);
    oq_json_init(&json, stream);
    write(&json);
    *ok = oq_json_finish(&json);
    assert_int_equal(fclose(stream), 0);
    return (const char *)test_read_file(test_path("json"), &nbytes);
}

static void write_object(struct oq_json *json)
{
    oq_json_open_object(json, NULL);
    oq_json_string(json, "name", "value");
    oq_json_int(json, "int", -5);
    oq_json_uint(json, "uint", UINT64_MAX);
    oq_json_bool(json, "yes", true);
    oq_json_bool(json, "no", false);
    oq_json_null(json, "null");
    oq_json_string(json, "none", NULL);
    oq_json_close(json);
}

static void write_empty(struct oq_json *json)
{
    oq_json_open_object(json, NULL);
    oq_json_open_object(json, "object");
    oq_json_close(json);
    oq_json_open_array(json, "array");
    oq_json_close(json);
    oq_json_open_row(json, "row");
    oq_json_close(json);
    oq_json_close(json);
}

static void write_nested(struct oq_json *json)
{
    oq_json_open_array(json, NULL);
    oq_json_open_object(json, NULL);
    oq_json_open_array(json, "a");
    oq_json_int(json, NULL, 1);
    oq_json_int(json, NULL, 2);
    oq_json_close(json);
    oq_json_close(json);
    oq_json_string(json, NULL, "end");
    oq_json_close(json);
}

static void write_row(struct oq_json *json)
{
    oq_json_open_object(json, NULL);
    oq_json_open_row(json, "dims");
    oq_json_int(json, NULL, 3);
    oq_json_open_array(json, NULL);
    oq_json_int(json, NULL, INT64_MIN);
    oq_json_int(json, NULL, INT64_MAX);
    oq_json_close(json);
    oq_json_close(json);
    oq_json_int(json, "next", 1);
    oq_json_close(json);
}

static void write_value(struct oq_json *json)
{
    oq_json_string(json, NULL, "alone");
}

static void write_strings(struct oq_json *json)
{
    oq_json_open_array(json, NULL);
    oq_json_string(json, NULL, "");
    oq_json_string(json, NULL, "\"quotes\" and \\");
    oq_json_string(json, NULL, "a\nb\tc\x01\x7f/");
    oq_json_string(json, NULL, "\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80");
    oq_json_string(json, NULL, "\xff\xc0\x80z\xe2\x82");
    oq_json_string(json, NULL, "\xed\xa0\x80");
    oq_json_string(json, NULL, "\xc2\x9b\xe2\x80\xae\xd8\x9c\xef\xbb\xbf"); /* terminals obey */
    oq_json_close(json);
}

static void write_keys(struct oq_json *json)
{
    oq_json_open_object(json, NULL);
    oq_json_int(json, "a \"b\"\n", 1);
    oq_json_close(json);
}

static void write_numbers(struct oq_json *json)
{
    static const double numbers[] = {0,     -0.0,     1,        0.5,       0.1,     -1.5,
                                     1e21,  1e-7,     1.0 / 3,  DBL_MAX,   DBL_MIN, 5e-324,
                                     1e100, 123456.0, INFINITY, -INFINITY, NAN};
    oq_json_open_row(json, NULL);
    for (size_t i = 0; i < COUNT(numbers); i++)
        oq_json_number(json, NULL, numbers[i]);
    oq_json_close(json);
}

static const struct row {
    const char *name;
    write_fn write;
    const char *expected;
} rows[] = {
    {"object", write_object,
     "{\n"
     "  \"name\": \"value\",\n"
     "  \"int\": -5,\n"
     "  \"uint\": 18446744073709551615,\n"
     "  \"yes\": true,\n"
     "  \"no\": false,\n"
     "  \"null\": null,\n"
     "  \"none\": null\n"
     "}\n"},
    {"empty", write_empty, "{\n  \"object\": {},\n  \"array\": [],\n  \"row\": []\n}\n"},
    {"nested", write_nested,
     "[\n"
     "  {\n"
     "    \"a\": [\n"
     "      1,\n"
     "      2\n"
     "    ]\n"
     "  },\n"
     "  \"end\"\n"
     "]\n"},
    {"row", write_row,
     "{\n  \"dims\": [3, [-9223372036854775808, 9223372036854775807]],\n  \"next\": 1\n}\n"},
    {"one value", write_value, "\"alone\"\n"},
    {"strings", write_strings,
     "[\n"
     "  \"\",\n"
     "  \"\\\"quotes\\\" and \\\\\",\n"
     "  \"a\\u000ab\\u0009c\\u0001\\u007f/\",\n"
     "  \"\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80\",\n"
     "  \"\\ufffd\\ufffd\\ufffdz\\ufffd\\ufffd\",\n"
     "  \"\\ufffd\\ufffd\\ufffd\",\n"
     "  \"\\u009b\\u202e\\u061c\\ufeff\"\n"
     "]\n"},
    {"keys", write_keys, "{\n  \"a \\\"b\\\"\\u000a\": 1\n}\n"},
    {"numbers", write_numbers,
     "[0, -0, 1, 0.5, 0.1, -1.5, 1e+21, 1e-07, 0.3333333333333333, 1.7976931348623157e+308, "
     "2.2250738585072014e-308, 5e-324, 1e+100, 123456, null, null, null]\n"},
};

static void test_text(void **state)
{
    const struct row *row = *state;
    bool ok;
    check_text(write_text(row->write, &ok), row->expected);
    assert_true(ok);
}

/* Where the decimal point is a comma, JSON's is not. */
static void restore_locale(void *thing)
{
    (void)thing;
    setlocale(LC_ALL, "C");
}

static void test_locale(void **state)
{
    (void)state;
    static const char *const locales[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "ps_AF.UTF-8",
                                          "pt_BR.UTF-8"};
    const char *expected = NULL;
    bool ok, tried = false;
    for (size_t i = 0; i < COUNT(rows); i++)
        if (rows[i].write == write_numbers)
            expected = rows[i].expected;
    test_defer(restore_locale, NULL);
    for (size_t i = 0; i < COUNT(locales); i++) {
        if (setlocale(LC_ALL, locales[i]) == NULL)
            continue;
        check_text(write_text(write_numbers, &ok), expected);
        tried = true;
    }
    if (!tried)
        skip(); /* no such locale here */
}

/* --- misuse --- */

static void write_unclosed(struct oq_json *json)
{
    oq_json_open_object(json, NULL);
}

static void write_closed_twice(struct oq_json *json)
{
    oq_json_open_object(json, NULL);
    oq_json_close(json);
    oq_json_close(json);
}

static void write_deep(struct oq_json *json)
{
    for (unsigned i = 0; i < OQ_JSON_MAX_DEPTH; i++)
        oq_json_open_array(json, NULL);
    for (unsigned i = 0; i < OQ_JSON_MAX_DEPTH; i++)
        oq_json_close(json);
}

static void write_as_deep_as_allowed(struct oq_json *json)
{
    for (unsigned i = 0; i < OQ_JSON_MAX_DEPTH - 1; i++)
        oq_json_open_array(json, NULL);
    for (unsigned i = 0; i < OQ_JSON_MAX_DEPTH - 1; i++)
        oq_json_close(json);
}

static const struct misuse_row {
    const char *name;
    write_fn write;
    bool expected;
} misuses[] = {
    {"not closed", write_unclosed, false},
    {"closed twice", write_closed_twice, false},
    {"too deep", write_deep, false},
    {"as deep as allowed", write_as_deep_as_allowed, true},
};

static void test_misuse(void **state)
{
    const struct misuse_row *row = *state;
    bool ok;
    write_text(row->write, &ok);
    assert_int_equal(ok, row->expected);
}

static void close_stream(void *thing)
{
    fclose(thing);
}

static void test_full_device(void **state)
{
    (void)state;
    struct oq_json json;
    FILE *stream = fopen("/dev/full", "wb");
    if (stream == NULL)
        skip();
    test_defer(close_stream, stream);
    setvbuf(stream, NULL, _IONBF, 0);
    oq_json_init(&json, stream);
    write_object(&json);
    assert_false(oq_json_finish(&json));
}

int main(void)
{
    TEST_ROWS(test_text, rows);
    TEST(test_locale);
    TEST_ROWS(test_misuse, misuses);
    TEST(test_full_device);
    return suite_run();
}
