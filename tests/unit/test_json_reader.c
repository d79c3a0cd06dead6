/* The JSON reader: what it takes, the place of what it does not, whatever the locale is. */
#include "base/json_reader.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "support/suite.h"

static struct oq_json_reader reader_of(const char *text, onnxq_error *error)
{
    struct oq_json_reader reader;
    oq_error_init(error);
    oq_json_reader_init(&reader, text, strlen(text), test_arena((size_t)1 << 20), error);
    return reader;
}

/* {"t": text, "u": uint, "i": int, "n": [numbers]}, any other member passed over. */
static const char *read_all(struct oq_json_reader *reader)
{
    char out[512] = "";
    size_t used = 0;
    const char *key, *text;
    uint64_t u;
    int64_t i;
    double n;
    if (!oq_json_enter_object(reader))
        return NULL;
    while (oq_json_next_member(reader, &key)) {
        if (strcmp(key, "t") == 0 && oq_json_read_string(reader, &text)) {
            used += (size_t)snprintf(out + used, sizeof(out) - used, "<%s>", text);
        } else if (strcmp(key, "u") == 0 && oq_json_read_uint(reader, &u)) {
            used +=
                (size_t)snprintf(out + used, sizeof(out) - used, "u%llu", (unsigned long long)u);
        } else if (strcmp(key, "i") == 0 && oq_json_read_int(reader, &i)) {
            used += (size_t)snprintf(out + used, sizeof(out) - used, "i%lld", (long long)i);
        } else if (strcmp(key, "n") == 0 && oq_json_enter_array(reader)) {
            while (oq_json_next_item(reader) && oq_json_read_number(reader, &n))
                used += (size_t)snprintf(out + used, sizeof(out) - used, "[%a]", n);
        } else if (!reader->failed && !oq_json_skip_value(reader)) {
            return NULL;
        }
    }
    return oq_json_reader_finish(reader) ? test_printf("%s", out) : NULL;
}

static const struct row {
    const char *name, *text, *expected;
} rows[] = {
    {"empty", "{}", ""},
    {"spaces", " {\n\t\"u\" : 1\r\n} \n", "u1"},
    {"numbers", "{\"n\": [0, -0.5, 1e2, 2.5E-1, 3e+0, []]}", NULL},
    {"all kinds", "{\"t\": \"a\", \"u\": 18446744073709551615, \"i\": -9223372036854775808}",
     "<a>u18446744073709551615i-9223372036854775808"},
    {"numbers alone", "{\"n\": [0, -0.5, 1e2, 2.5E-1, 3e+0]}",
     "[0x0p+0][-0x1p-1][0x1.9p+6][0x1p-2][0x1.8p+1]"},
    {"escapes", "{\"t\": \"\\\"\\\\\\/\\n\\u0041\\u00e4\\u20ac\\ud83d\\ude00\"}",
     "<\"\\/\nA\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80>"},
    {"passed over",
     "{\"x\": {\"a\": [1, {\"b\": [[], {}, null, true, false, \"]\"]}], \"c\": {}}, \"u\": 7}",
     "u7"},
    {"passed over: a trailing comma", "{\"x\": [1, ]}", "line 1, column 11: expected a value"},
    {"passed over: no value", "{\"x\": nul}", "line 1, column 7: expected a value"},
    {"no object", "[]", "line 1, column 1: expected an object"},
    {"nothing", "", "line 1, column 1: the file ends, expected an object"},
    {"ends", "{\n \"u\": 1", "line 2, column 8: the file ends, expected \",\" or \"}\""},
    {"no comma", "{\"u\": 1 \"i\": 2}", "line 1, column 9: expected \",\" or \"}\""},
    {"trailing comma", "{\"u\": 1,}", "line 1, column 9: expected a string"},
    {"no colon", "{\"u\" 1}", "line 1, column 6: expected \":\""},
    {"leading zero", "{\"u\": 01}", "line 1, column 7: expected a whole number of 0 or more"},
    {"negative", "{\"u\": -1}", "line 1, column 7: expected a whole number of 0 or more"},
    {"a fraction", "{\"i\": 1.5}", "line 1, column 7: expected a whole number"},
    {"too large", "{\"u\": 18446744073709551616}",
     "line 1, column 27: 18446744073709551616 is too large"},
    {"no number", "{\"n\": [.5]}", "line 1, column 8: expected a number"},
    {"half a number", "{\"n\": [1.]}", "line 1, column 8: expected a number"},
    {"no exponent", "{\"n\": [1e]}", "line 1, column 8: expected a number"},
    {"NaN", "{\"n\": [NaN]}", "line 1, column 8: expected a number"},
    {"infinite", "{\"n\": [1e999]}", "line 1, column 8: 1e999 is too large"},
    {"open string", "{\"t\": \"a", "line 1, column 9: the file ends, expected the end of a string"},
    {"control character", "{\"t\": \"\x01\"}",
     "line 1, column 8: a string is no UTF-8, or has a control character"},
    {"invalid UTF-8", "{\"t\": \"\xff\"}",
     "line 1, column 8: a string is no UTF-8, or has a control character"},
    {"NUL in a string", "{\"t\": \"\\u0000\"}", "line 1, column 14: a character that no text has"},
    {"half a pair", "{\"t\": \"\\ud800x\"}",
     "line 1, column 14: expected the second half of a pair"},
    {"no escape", "{\"t\": \"\\x\"}", "line 1, column 9: expected an escape"},
    {"something behind", "{} {}", "line 1, column 4: something follows the end"},
};

static void test_rows(void **state)
{
    const struct row *row = *state;
    onnxq_error error;
    struct oq_json_reader reader = reader_of(row->text, &error);
    const char *found = read_all(&reader);
    if (row->expected == NULL)
        assert_null(found);
    else
        check_text(found != NULL ? found : test_error_text(&error), row->expected);
}

static void test_deep(void **state)
{
    (void)state;
    char text[200] = "{\"x\":";
    memset(text + strlen(text), '[', 100);
    onnxq_error error;
    struct oq_json_reader reader = reader_of(text, &error);
    assert_null(read_all(&reader));
    check_text(test_error_text(&error), "line 1, column 68: nested too deep");
}

static void test_locale(void **state)
{
    (void)state;
    onnxq_error error;
    if (setlocale(LC_NUMERIC, "de_DE.UTF-8") == NULL)
        skip();
    struct oq_json_reader reader = reader_of("{\"n\": [2.5, 1.25e1, 7]}", &error);
    const char *found = read_all(&reader);
    setlocale(LC_NUMERIC, "C");
    check_text(found, "[0x1.4p+1][0x1.9p+3][0x1.cp+2]");
}

int main(void)
{
    TEST_ROWS(test_rows, rows);
    TEST(test_deep);
    TEST(test_locale);
    return suite_run();
}
