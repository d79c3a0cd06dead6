/* Texts that users see: escapes, UTF-8, errors. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/flags.h"
#include "base/utf8.h"
#include "support/bytes.h"
#include "support/suite.h"

/* --- escapes --- */

static const struct escape_row {
    const char *name, *text, *expected;
} escapes[] = {
    {"nothing", "", ""},
    {"plain", "encoder.layer/0:weight", "encoder.layer/0:weight"},
    {"blanks and quotes", "a \"b\" 'c'", "a \"b\" 'c'"},
    {"line breaks", "a\nb\rc\td", "a\\nb\\rc\\td"},
    {"backslash", "a\\n", "a\\\\n"},
    {"escape sequence", "\033[31mred\033[0m", "\\x1b[31mred\\x1b[0m"},
    {"bell, backspace, delete", "\a\b\x7f", "\\x07\\x08\\x7f"},
    {"other languages", "Gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
     "Gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80"},
    {"controls of 8 bits", "\xc2\x85\xc2\x9b", "\\xc2\\x85\\xc2\\x9b"},
    {"no-break space", "\xc2\xa0", "\xc2\xa0"},
    {"line separators", "\xe2\x80\xa8\xe2\x80\xa9", "\\xe2\\x80\\xa8\\xe2\\x80\\xa9"},
    {"right to left", "\xe2\x80\xae\xe2\x81\xa6\xe2\x80\x8f",
     "\\xe2\\x80\\xae\\xe2\\x81\\xa6\\xe2\\x80\\x8f"},
    {"byte order mark", "\xef\xbb\xbf", "\\xef\\xbb\\xbf"},
    {"no UTF-8", "a\xff\xc0\x80\xe2\x82", "a\\xff\\xc0\\x80\\xe2\\x82"},
    {"surrogates", "\xed\xa0\x80", "\\xed\\xa0\\x80"},
    {"cut character and a plain one", "\xe2\x82z", "\\xe2\\x82z"},
};

static void test_escape(void **state)
{
    const struct escape_row *row = *state;
    char text[200];
    size_t n = onnxq_escape(row->text, text, sizeof(text));
    check_text(text, row->expected);
    assert_int_equal(n, strlen(row->expected));
    assert_int_equal(onnxq_escape(row->text, NULL, 0), n);
}

/*
 * With every capacity: a beginning of the whole text, ended by NUL, with no
 * half of an escape or of a character, and nothing behind it touched.
 */
static void test_escape_capacity(void **state)
{
    (void)state;
    static const char source[] = "a\n\xe2\x82\xac\033z\xff\\";
    static const char expected[] = "a\\n\xe2\x82\xac\\x1bz\\xff\\\\";
    static const size_t cuts[] = {0, 1, 3, 6, 10, 11, 15, 17}; /* between two pieces */
    for (size_t capacity = 1; capacity <= sizeof(expected) + 2; capacity++) {
        char text[sizeof(expected) + 3];
        size_t cut = 0;
        memset(text, 'X', sizeof(text));
        assert_int_equal(onnxq_escape(source, text, capacity), sizeof(expected) - 1);
        for (size_t i = 0; i < COUNT(cuts) && cuts[i] < capacity; i++)
            cut = cuts[i];
        assert_int_equal(strlen(text), cut);
        assert_memory_equal(text, expected, cut);
        assert_int_equal(text[capacity], 'X');
    }
}

/* --- UTF-8 --- */

static const struct utf8_row {
    const char *name;
    struct bytes bytes;
    size_t expected;
    uint32_t code_point;
} utf8[] = {
    {"ASCII", BYTES("z"), 1, 'z'},
    {"NUL", BYTES("\0"), 1, 0},
    {"smallest of two", BYTES("\xc2\x80"), 2, 0x80},
    {"largest of two", BYTES("\xdf\xbf"), 2, 0x7ff},
    {"smallest of three", BYTES("\xe0\xa0\x80"), 3, 0x800},
    {"before the surrogates", BYTES("\xed\x9f\xbf"), 3, 0xd7ff},
    {"behind the surrogates", BYTES("\xee\x80\x80"), 3, 0xe000},
    {"largest of three", BYTES("\xef\xbf\xbf"), 3, 0xffff},
    {"smallest of four", BYTES("\xf0\x90\x80\x80"), 4, 0x10000},
    {"largest", BYTES("\xf4\x8f\xbf\xbf"), 4, 0x10ffff},
    {"followed by more", BYTES("\xc3\xbc\xff"), 2, 0xfc},
    {"nothing", BYTES(""), 0, 0},
    {"continuation", BYTES("\x80"), 0, 0},
    {"overlong two", BYTES("\xc1\xbf"), 0, 0},
    {"overlong three", BYTES("\xe0\x9f\xbf"), 0, 0},
    {"overlong four", BYTES("\xf0\x8f\xbf\xbf"), 0, 0},
    {"first surrogate", BYTES("\xed\xa0\x80"), 0, 0},
    {"last surrogate", BYTES("\xed\xbf\xbf"), 0, 0},
    {"over the largest", BYTES("\xf4\x90\x80\x80"), 0, 0},
    {"five bytes", BYTES("\xf8\x88\x80\x80\x80"), 0, 0},
    {"cut two", BYTES("\xc3"), 0, 0},
    {"cut four", BYTES("\xf0\x90\x80"), 0, 0},
    {"no continuation", BYTES("\xe2\x28\xa1"), 0, 0},
};

static void test_utf8(void **state)
{
    const struct utf8_row *row = *state;
    uint32_t code_point = 0;
    char *copy = test_alloc(row->bytes.nbytes);
    memcpy(copy, row->bytes.data, row->bytes.nbytes);
    assert_int_equal(oq_utf8_decode(copy, row->bytes.nbytes, &code_point), row->expected);
    if (row->expected > 0)
        assert_int_equal(code_point, row->code_point);
}

/* --- errors --- */

static void test_first_cause_wins(void **state)
{
    (void)state;
    onnxq_error error;
    oq_error_init(&error);
    /* Details without a failure say nothing. */
    oq_error_file(&error, "file");
    oq_error_place(&error, "place");
    oq_error_offset(&error, 5);
    oq_error_hint(&error, "hint");
    check_text(test_error_text(&error), "");
    assert_false(oq_fail(&error, ONNXQ_ERROR_INPUT, "first %d", 1));
    assert_false(oq_fail(&error, ONNXQ_ERROR_OUTPUT, "second"));
    assert_false(oq_fail_errno(&error, ONNXQ_ERROR_OUTPUT, 2, "third"));
    assert_false(oq_fail_memory(&error));
    oq_error_place(&error, "node %s", "n");
    oq_error_place(&error, "graph");
    oq_error_offset(&error, 7);
    oq_error_offset(&error, 8);
    oq_error_file(&error, "model.onnx");
    oq_error_file(&error, "other.onnx");
    oq_error_hint(&error, "do this");
    oq_error_hint(&error, "do that");
    assert_int_equal(error.status, ONNXQ_ERROR_INPUT);
    assert_int_equal(error.sys_errno, 0);
    assert_string_equal(error.hint, "do this");
    check_text(test_error_text(&error), "model.onnx: node n: first 1 (at byte 7)");
}

static const struct format_row {
    const char *name, *file, *place, *message;
    uint64_t offset;
    const char *expected;
} formats[] = {
    {"message alone", "", "", "is wrong", ONNXQ_NO_OFFSET, "is wrong"},
    {"file", "a.onnx", "", "is wrong", ONNXQ_NO_OFFSET, "a.onnx: is wrong"},
    {"place", "", "node \"n\"", "is wrong", ONNXQ_NO_OFFSET, "node \"n\": is wrong"},
    {"offset 0", "", "", "is wrong", 0, "is wrong (at byte 0)"},
    {"all", "a.onnx", "node \"n\"", "is wrong", 1048,
     "a.onnx: node \"n\": is wrong (at byte 1048)"},
    {"hostile", "a\n.onnx", "node \"\033[2J\"", "has \xff", UINT64_MAX - 1,
     "a\\n.onnx: node \"\\x1b[2J\": has \\xff (at byte 18446744073709551614)"},
};

static void test_format(void **state)
{
    const struct format_row *row = *state;
    onnxq_error error;
    char text[200];
    oq_error_init(&error);
    oq_fail(&error, ONNXQ_ERROR_INPUT, "%s", row->message);
    strcpy(error.file, row->file);
    strcpy(error.place, row->place);
    error.offset = row->offset;
    assert_int_equal(onnxq_error_format(&error, text, sizeof(text)), strlen(row->expected));
    check_text(text, row->expected);
}

/* Everything as long as it may be, of bytes that take four characters each. */
static void test_longest(void **state)
{
    (void)state;
    onnxq_error error;
    char long_text[3000], small[10];
    memset(long_text, '\001', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    oq_error_init(&error);
    oq_fail_errno(&error, ONNXQ_ERROR_INPUT, 2, "%s", long_text);
    oq_error_file(&error, long_text);
    oq_error_place(&error, "%s", long_text);
    oq_error_hint(&error, "%s", long_text);
    oq_error_offset(&error, UINT64_MAX - 1);
    assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
    assert_int_equal(strlen(error.file), sizeof(error.file) - 1);
    assert_int_equal(strlen(error.place), sizeof(error.place) - 1);
    assert_int_equal(strlen(error.hint), sizeof(error.hint) - 1);
    size_t n = onnxq_error_format(&error, small, sizeof(small));
    assert_int_equal(strlen(small), 8);
    char *text = test_alloc(n + 1);
    assert_int_equal(onnxq_error_format(&error, text, n + 1), n);
    assert_int_equal(strlen(text), n);
    assert_string_equal(text + n - strlen(" (at byte 18446744073709551614)"),
                        " (at byte 18446744073709551614)");
}

static void test_errno(void **state)
{
    (void)state;
    onnxq_error error;
    oq_error_init(&error);
    oq_fail_errno(&error, ONNXQ_ERROR_OUTPUT, 28 /* ENOSPC */, "cannot write");
    assert_int_equal(error.sys_errno, 28);
    assert_string_equal(error.message, "cannot write: No space left on device");
}

/* --- options as flags --- */

static const struct flags_row {
    const char *label, *text, *expected;
} flags[] = {
    {"none", "not a float type", "not a float type"},
    {"value", "options.conv=skip", "--conv skip"},
    {"two words", "options.fold_bits=16, or 8", "--fold-bits 16, or 8"},
    {"true", "override: options.freeze_inputs=true takes it", "override: --freeze-inputs takes it"},
    {"false", "options.per_channel=false has none", "--no-per-channel has none"},
    {"field", "options.bits goes with options.method=qdq", "--bits goes with --method qdq"},
    {"of the output", "use options.output.external_data=never.", "use --external-data never."},
    {"list", "options.exclude_op_types=LSTM", "--exclude-op-types LSTM"},
    {"quoted", "\"options.x=1\" is options.x=1", "\"options.x=1\" is --x 1"},
    {"no field", "its options.", "its options."},
};

static void test_flags(void **state)
{
    const struct flags_row *row = *state;
    check_text(oq_flags_text(row->text).text, row->expected);
}

static void test_longest_flags(void **state)
{
    (void)state;
    char text[1024];
    for (size_t n = 480; n < 520; n++) {
        snprintf(text, sizeof(text), "%*s", (int)n, "options.freeze_inputs=false");
        assert_in_range(strlen(oq_flags_text(text).text), 0, 511);
    }
}

int main(void)
{
    TEST_ROWS(test_escape, escapes);
    TEST(test_escape_capacity);
    TEST_ROWS(test_utf8, utf8);
    TEST_ROWS(test_flags, flags);
    TEST(test_longest_flags);
    TEST(test_first_cause_wins);
    TEST_ROWS(test_format, formats);
    TEST(test_longest);
    TEST(test_errno);
    return suite_run();
}
