/* .npy files: types, orders, versions, and what is wrong with those that are not read. */
#include <string.h>

#include "support/archive.h"
#include "support/bytes.h"
#include "support/inputs.h"
#include "support/models.h"
#include "arrays/input_files.h"

static struct builder_bytes *make(unsigned version, const char *header, struct bytes elements)
{
    struct builder_bytes *bytes = test_alloc(sizeof(*bytes));
    bytes->builder = test_builder("");
    archive_put_npy(bytes, version, header, elements.data, elements.nbytes);
    return bytes;
}

static const char *read(unsigned version, const char *header, struct bytes elements)
{
    struct builder_bytes *bytes = make(version, header, elements);
    return test_inputs_of("x.npy", bytes->bytes, bytes->nbytes);
}

static const char *read_type(const char *descr, const char *shape, struct bytes elements)
{
    return read(1, archive_npy_header(test_builder(""), descr, shape), elements);
}

/* --- types ------------------------------------------------------------------ */

static const struct type_row {
    const char *descr, *shape;
    struct bytes elements;
    const char *expected;
} types[] = {
    {"|b1", "(2,)", BYTES("\0\1"), "bool [2]: 0 1"},
    {"|i1", "(2,)", BYTES("\x80\x7f"), "int8 [2]: -128 127"},
    {"<i2", "(2,)", BYTES("\x01\x80\2\0"), "int16 [2]: -32767 2"},
    {"<i4", "(1, 1)", BYTES("\xfe\xff\xff\xff"), "int32 [1,1]: -2"},
    {"<i8", "(1,)", BYTES("\x00\x00\x00\x00\x01\x00\x00\x00"), "int64 [1]: 4294967296"},
    {"|u1", "(2,)", BYTES("\x80\x7f"), "uint8 [2]: 128 127"},
    {"<u2", "(1,)", BYTES("\x01\x80"), "uint16 [1]: 32769"},
    {"<u4", "(1,)", BYTES("\xfe\xff\xff\xff"), "uint32 [1]: 4294967294"},
    {"<u8", "(1,)", BYTES("\x00\x00\x00\x00\x01\x00\x00\x00"), "uint64 [1]: 4294967296"},
    {"<f2", "(1,)", BYTES("\x00\x3e"), "float16 [1]: 1.5"},
    {"<f4", "(1,)", BYTES("\x00\x00\xc0\x3f"), "float32 [1]: 1.5"},
    {"<f8", "(1,)", BYTES("\x00\x00\x00\x00\x00\x00\xf8\x3f"), "float64 [1]: 1.5"},
    {"<c8", "(1,)", BYTES("\1\2\3\4\5\6\7\x08"), "complex64 [1]: 0102030405060708"},
    {"<c16", "(1,)", BYTES("\1\2\3\4\5\6\7\x08zzzzzzz\x09"),
     "complex128 [1]: 01020304050607087a7a7a7a7a7a7a09"},
    {">i2", "(2,)", BYTES("\x80\x01\0\2"), "int16 [2]: -32767 2"},
    {">f4", "(1,)", BYTES("\x3f\xc0\x00\x00"), "float32 [1]: 1.5"},
    {">f8", "(1,)", BYTES("\x3f\xf8\x00\x00\x00\x00\x00\x00"), "float64 [1]: 1.5"},
    {">c8", "(1,)", BYTES("\4\3\2\1\x08\7\6\5"), "complex64 [1]: 0102030405060708"},
    {">b1", "(1,)", BYTES("\1"), "bool [1]: 1"},
    {"f4", "(1,)", BYTES("\x00\x00\xc0\x3f"), "float32 [1]: 1.5"},
    {"=f4", "(1,)", BYTES("\x00\x00\xc0\x3f"), "float32 [1]: 1.5"},
    {"<f4", "()", BYTES("\x00\x00\xc0\x3f"), "float32 []: 1.5"},
    {"<f4", "(0, 7)", BYTES(""), "float32 [0,7]"},
    {"|S3", "(4,)", BYTES("abc\0\0\0a\0\0\xc3\xa4\0"),
     "string [4]: \"abc\" \"\" \"a\" \"\xc3\xa4\""},
    {"<U2", "(3,)", BYTES("a\0\0\0b\0\0\0\xe4\0\0\0\0\0\0\0\x22\x6f\0\0\x00\xf6\1\0"),
     "string [3]: \"ab\" \"\xc3\xa4\" \"\xe6\xbc\xa2\xf0\x9f\x98\x80\""},
    {">U1", "(2,)", BYTES("\0\0\0a\0\0\0\0"), "string [2]: \"a\" \"\""},
    {"<U0", "(0,)", BYTES(""), "string [0]"},
    {"<U3", "()", BYTES("a\0\0\0\0\0\0\0\0\0\0\0"), "string []: \"a\""},
};

static void test_type(void **state)
{
    const struct type_row *row = *state;
    check_text(read_type(row->descr, row->shape, row->elements),
               test_printf("x.npy{#0=%s}", row->expected));
}

/* --- headers ---------------------------------------------------------------- */

#define BYTES_6  BYTES("\1\2\3\4\5\6")
#define HEADER_6 "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }"

static const struct header_row {
    const char *name;
    unsigned version;
    const char *header;
    struct bytes elements;
    const char *expected;
} headers[] = {
    {"version 1", 1, HEADER_6, BYTES_6, "uint8 [2,3]: 1 2 3 4 5 6"},
    {"version 2", 2, HEADER_6, BYTES_6, "uint8 [2,3]: 1 2 3 4 5 6"},
    {"version 3", 3, HEADER_6, BYTES_6, "uint8 [2,3]: 1 2 3 4 5 6"},
    {"other quotes, no spaces", 1, "{\"shape\":(2,3),\"descr\":\"|u1\",\"fortran_order\":False}",
     BYTES_6, "uint8 [2,3]: 1 2 3 4 5 6"},
    {"spaces", 1, " { 'shape' : ( 2 , 3 , ) ,\t'descr' : '|u1' , 'fortran_order' : False , } ",
     BYTES_6, "uint8 [2,3]: 1 2 3 4 5 6"},
    {"Python 2", 1, "{'descr': '|u1', 'fortran_order': False, 'shape': (2L, 3L), }", BYTES_6,
     "uint8 [2,3]: 1 2 3 4 5 6"},
    {"Fortran", 1, "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }", BYTES_6,
     "uint8 [2,3]: 1 3 5 2 4 6"},
    {"Fortran, big-endian", 1, "{'descr': '>u2', 'fortran_order': True, 'shape': (3, 1, 1), }",
     BYTES_6, "uint16 [3,1,1]: 258 772 1286"},
    {"Fortran, strings", 1, "{'descr': '|S1', 'fortran_order': True, 'shape': (2, 3), }",
     BYTES("abcdef"), "string [2,3]: \"a\" \"c\" \"e\" \"b\" \"d\" \"f\""},
    {"Fortran, empty", 1, "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 0), }", BYTES(""),
     "uint8 [2,0]"},
    {"Fortran, scalar", 1, "{'descr': '|u1', 'fortran_order': True, 'shape': (), }", BYTES("\7"),
     "uint8 []: 7"},
};

static void test_header(void **state)
{
    const struct header_row *row = *state;
    check_text(read(row->version, row->header, row->elements),
               test_printf("x.npy{#0=%s}", row->expected));
}

/* A transposed array of more than one piece. */
static void test_large_transposed(void **state)
{
    (void)state;
    enum { ROWS = 300, COLUMNS = 301 };
    static uint32_t elements[ROWS * COLUMNS];
    for (uint32_t i = 0; i < ROWS * COLUMNS; i++)
        elements[i] = i;
    struct builder_bytes *bytes =
        make(1, "{'descr': '<u4', 'fortran_order': True, 'shape': (300, 301), }",
             (struct bytes){(const char *)elements, sizeof(elements)});
    struct oq_input_sets sets = {0};
    onnxq_error error = {0};
    test_write_file(test_path("x.npy"), bytes->bytes, bytes->nbytes);
    assert_true(oq_input_sets_read(&sets, test_path("x.npy"), &error));
    const uint32_t *got = sets.list[0].inputs.list[0].data;
    for (uint32_t row = 0; row < ROWS; row++)
        for (uint32_t column = 0; column < COLUMNS; column++)
            assert_int_equal(got[row * COLUMNS + column], column * ROWS + row);
    oq_input_sets_fini(&sets);
}

/* --- errors ----------------------------------------------------------------- */

#define OBJECT_HINT                                                                                \
    " (save it without objects: with rows of one length, and a dtype given to numpy.asarray())"
#define VOID_HINT                                                                                  \
    " (bfloat16 and other types that NumPy has no name for can be saved as a .pb: "                \
    "onnx.numpy_helper.from_array(x).SerializeToString())"
#define TYPES "expected numbers, booleans or strings"

static const struct header_row errors[] = {
    {"objects", 1, "{'descr': '|O', 'fortran_order': False, 'shape': (2,), }", BYTES_6,
     "holds Python objects, " TYPES OBJECT_HINT},
    {"bfloat16", 1, "{'descr': '<V2', 'fortran_order': False, 'shape': (3,), }", BYTES_6,
     "has elements of type '<V2', " TYPES VOID_HINT},
    {"times", 1, "{'descr': '<M8[ns]', 'fortran_order': False, 'shape': (3,), }", BYTES_6,
     "has elements of type '<M8[ns]', " TYPES},
    {"long double", 1, "{'descr': '<f16', 'fortran_order': False, 'shape': (3,), }", BYTES_6,
     "has elements of type '<f16', " TYPES},
    {"no type", 1, "{'descr': '', 'fortran_order': False, 'shape': (3,), }", BYTES_6,
     "has elements of type '', " TYPES},
    {"order only", 1, "{'descr': '<', 'fortran_order': False, 'shape': (3,), }", BYTES_6,
     "has elements of type '<', " TYPES},
    {"string of no length", 1, "{'descr': '<U', 'fortran_order': False, 'shape': (3,), }", BYTES_6,
     "has elements of type '<U', " TYPES},
    {"string of huge length", 1,
     "{'descr': '<U4294967296', 'fortran_order': False, 'shape': (3,), }", BYTES_6,
     "has elements of type '<U4294967296', " TYPES},
    {"strings of nothing", 1, "{'descr': '|S0', 'fortran_order': False, 'shape': (99999999999,), }",
     BYTES(""), "its strings have room for no character"},
    {"structured", 1, "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,), }", BYTES_6,
     "is a structured array, expected one of plain elements (save each of its fields as an array)"},
    {"subarrays", 1, "{'descr': ('<f4', (2,)), 'fortran_order': False, 'shape': (3,), }", BYTES_6,
     "is a structured array, expected one of plain elements (save each of its fields as an array)"},
    {"too few", 1, "{'descr': '|u1', 'fortran_order': False, 'shape': (7,), }", BYTES_6,
     "has 6 bytes of elements, its header needs 7"},
    {"too many", 1, "{'descr': '|u1', 'fortran_order': False, 'shape': (5,), }", BYTES_6,
     "has 6 bytes of elements, its header needs 5"},
    {"product over 64 bits", 1,
     "{'descr': '|u1', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", BYTES_6,
     "its dimensions are too large"},
    {"bytes over 64 bits", 1,
     "{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904,), }", BYTES_6,
     "its dimensions are too large"},
    {"dimension over 63 bits", 1,
     "{'descr': '|u1', 'fortran_order': False, 'shape': (9223372036854775808,), }", BYTES_6,
     "its header has \"8,), }\", expected a dimension"},
    {"negative", 1, "{'descr': '|u1', 'fortran_order': False, 'shape': (-1,), }", BYTES_6,
     "its header has \"-1,), }\", expected a dimension"},
    {"no tuple", 1, "{'descr': '|u1', 'fortran_order': False, 'shape': 6, }", BYTES_6,
     "its header has \"6, }\", expected a tuple"},
    {"open tuple", 1, "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3", BYTES_6,
     "its header ends, expected , or )"},
    {"numbers without comma", 1, "{'descr': '|u1', 'fortran_order': False, 'shape': (2 3), }",
     BYTES_6, "its header has \"3), }\", expected , or )"},
    {"65 dimensions", 1,
     "{'descr': '|u1', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"
     "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)}",
     BYTES("\1"), "has more than 64 dimensions"},
    {"no boolean", 1, "{'descr': '|u1', 'fortran_order': 0, 'shape': (6,), }", BYTES_6,
     "its header has \"0, 'shape': (6,), }\", expected True or False"},
    {"missing member", 1, "{'descr': '|u1', 'shape': (6,), }", BYTES_6,
     "its header lacks one of descr, fortran_order and shape"},
    {"member twice", 1, "{'shape': (6,), 'shape': (6,)}", BYTES_6,
     "its header has 'shape', expected descr, fortran_order and shape once each"},
    {"unknown member", 1, "{'order': 1}", BYTES_6,
     "its header has 'order', expected descr, fortran_order and shape once each"},
    {"open quote", 1, "{'descr", BYTES_6, "its header has \"descr\", expected an end quote"},
    {"no quote", 1, "{descr}", BYTES_6, "its header has \"descr}\", expected a text in quotes"},
    {"no colon", 1, "{'descr' '|u1'}", BYTES_6, "its header has \"'|u1'}\", expected a colon"},
    {"no comma", 1, "{'descr': '|u1' 'shape': (6,)}", BYTES_6,
     "its header has \"'shape': (6,)}\", expected , or }"},
    {"no dict", 1, "[]", BYTES_6, "its header has \"[]\", expected a dict"},
    {"two dicts", 1, HEADER_6 " {}", BYTES_6,
     "its header has \"{}\", expected nothing behind the dict"},
    {"version 0", 0, HEADER_6, BYTES_6, "is of .npy version 0, expected 1, 2 or 3"},
    {"version 4", 4, HEADER_6, BYTES_6, "is of .npy version 4, expected 1, 2 or 3"},
    {"no boolean in booleans", 1, "{'descr': '|b1', 'fortran_order': False, 'shape': (2, 3), }",
     BYTES("\0\1\0\1\2\0"), "boolean 4 is the byte 2, expected 0 or 1"},
    {"NUL in bytes", 1, "{'descr': '|S3', 'fortran_order': False, 'shape': (2,), }",
     BYTES("ab\0a\0b"), "a string has a NUL character in it"},
    {"surrogate", 1, "{'descr': '<U1', 'fortran_order': False, 'shape': (1,), }",
     BYTES("\x00\xd8\0\0"), "holds 0xd800, expected a Unicode character"},
    {"no character", 1, "{'descr': '<U1', 'fortran_order': False, 'shape': (1,), }",
     BYTES("\x00\x00\x11\0"), "holds 0x110000, expected a Unicode character"},
};

static void test_error(void **state)
{
    const struct header_row *row = *state;
    check_text(read(row->version, row->header, row->elements),
               test_printf("x.npy: %s", row->expected));
}

static void test_huge_header(void **state)
{
    (void)state;
    check_text(test_inputs_of("x.npy", "\x93NUMPY\2\0\xff\xff\xff\xff{}", 14),
               "x.npy: has a header of 4294967295 bytes, at most 10000 are possible");
}

/* Cut anywhere: an error; with more behind it: an error. */
static void test_truncations(void **state)
{
    (void)state;
    struct builder_bytes *bytes = make(1, HEADER_6, (struct bytes)BYTES_6);
    for (size_t n = 0; n < bytes->nbytes; n++)
        assert_compare(strncmp(test_inputs_of("x.npy", bytes->bytes, n), "x.npy: ", 7), ==, 0);
    builder_put(bytes, "", 1);
    check_text(test_inputs_of("x.npy", bytes->bytes, bytes->nbytes),
               "x.npy: has 7 bytes of elements, its header needs 6");
}

int main(void)
{
    TEST_ROWS(test_type, types);
    TEST_ROWS(test_header, headers);
    TEST(test_large_transposed);
    TEST_ROWS(test_error, errors);
    TEST(test_huge_header);
    TEST(test_truncations);
    return suite_run();
}
