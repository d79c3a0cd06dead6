/* Tensors in memory: sizes, elements as numbers, strings. */
#include <math.h>
#include <string.h>

#include "onnx.pb-c.h"
#include "support/suite.h"
#include "arrays/array.h"

#define TYPE(number) OQ__PB__TENSOR_PROTO__DATA_TYPE__##number

static void release(void *array)
{
    oq_array_fini(array);
}

static struct oq_array *make(int32_t data_type, int64_t nelem)
{
    struct oq_array *array = test_alloc(sizeof(*array));
    onnxq_error error = {0};
    test_defer(release, array);
    assert_true(oq_array_init(array, "x", data_type, &nelem, 1, &error));
    return array;
}

static const struct number_row {
    const char *name;
    int32_t data_type;
    double values[6], expected[6];
} number_rows[] = {
    {"float32", TYPE(FLOAT), {0.1, -2, 0, 1e30, 5, 6}, {0.1f, -2, 0, 1e30f, 5, 6}},
    {"float64", TYPE(DOUBLE), {0.1, -2, 0, 1e300, 5, 6}, {0.1, -2, 0, 1e300, 5, 6}},
    {"float16", TYPE(FLOAT16), {0.5, -2, 1e9, 1, 2, 3}, {0.5, -2, INFINITY, 1, 2, 3}},
    {"bfloat16", TYPE(BFLOAT16), {0.5, -2, 1, 2, 3, 4}, {0.5, -2, 1, 2, 3, 4}},
    {"int8", TYPE(INT8), {1.5, 2.5, -3.5, 200, -200, NAN}, {2, 2, -4, 127, -128, 0}},
    {"uint8", TYPE(UINT8), {1, 300, -1, 2, 3, 4}, {1, 255, 0, 2, 3, 4}},
    {"int16", TYPE(INT16), {1, 4e4, -4e4, 2, 3, 4}, {1, 32767, -32768, 2, 3, 4}},
    {"uint16", TYPE(UINT16), {1, 7e4, -1, 2, 3, 4}, {1, 65535, 0, 2, 3, 4}},
    {"int32", TYPE(INT32), {1, 3e9, -3e9, 2, 3, 4}, {1, 2147483647, -2147483648.0, 2, 3, 4}},
    {"uint32", TYPE(UINT32), {1, 5e9, -1, 2, 3, 4}, {1, 4294967295.0, 0, 2, 3, 4}},
    {"int64", TYPE(INT64), {1, 1e19, -1e19, 2, NAN, 4}, {1, 0x1p63, -0x1p63, 2, 0, 4}},
    {"uint64", TYPE(UINT64), {1, 1e20, -1, 2, NAN, 4}, {1, 0x1p64, 0, 2, 0, 4}},
    {"bool", TYPE(BOOL), {0, 1, 7, 0, 1, -1}, {0, 1, 1, 0, 1, 0}},
};

static void test_numbers(void **state)
{
    const struct number_row *row = *state;
    struct oq_array *array = make(row->data_type, 6);
    double values[6];
    for (size_t i = 0; i < 6; i++)
        oq_array_put_double(array, i, row->values[i]);
    assert_true(oq_array_is_numeric(array));
    oq_array_read_doubles(array, 0, 6, values);
    assert_memory_equal(values, row->expected, sizeof(values));
    oq_array_read_doubles(array, 4, 2, values);
    assert_memory_equal(values, row->expected + 4, 2 * sizeof(*values));
}

static void test_narrow_numbers(void **state)
{
    (void)state;
    const double int4[] = {-1, 1, 7, -8}, uint2[] = {3, 0, 1, 2};
    double values[4];
    struct oq_array *array = make(TYPE(INT4), 4);
    memcpy(array->data, "\x1f\x87", 2);
    oq_array_read_doubles(array, 0, 4, values);
    assert_memory_equal(values, int4, sizeof(values));
    array = make(TYPE(UINT2), 4);
    assert_int_equal(array->nbytes, 1);
    memcpy(array->data, "\x93", 1);
    oq_array_read_doubles(array, 0, 4, values);
    assert_memory_equal(values, uint2, sizeof(values));
}

static void test_strings(void **state)
{
    (void)state;
    const char *const strings[] = {"cat", "", "a longer one"};
    const int64_t dims[] = {3, 1};
    struct oq_array *array = test_alloc(sizeof(*array)), *copy = test_alloc(sizeof(*copy));
    onnxq_error error = {0};
    test_defer(release, array);
    test_defer(release, copy);
    assert_true(oq_array_init_strings(array, "label", strings, dims, 2, &error));
    assert_true(oq_array_copy(copy, array, &error));
    assert_false(oq_array_is_numeric(copy));
    for (size_t i = 0; i < 3; i++)
        check_text(((char **)copy->data)[i], strings[i]);
    char text[64];
    oq_array_describe(copy, text, sizeof(text));
    check_text(text, "string [3,1]");
}

static void test_shapes(void **state)
{
    (void)state;
    const int64_t huge[] = {INT64_MAX, INT64_MAX}, negative[] = {2, -1}, large[] = {1, INT64_MAX};
    const struct {
        const int64_t *dims;
        const char *message;
    } rows[] = {{huge, "its dimensions are too large"},
                {negative, "dimension 1 is negative"},
                {large, "its dimensions are too large"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct oq_array array;
        onnxq_error error = {0};
        assert_false(oq_array_init(&array, "x", TYPE(INT64), rows[i].dims, 2, &error));
        check_text(error.message, rows[i].message);
        oq_array_fini(&array);
    }
    struct oq_array *scalar = test_alloc(sizeof(*scalar));
    onnxq_error error = {0};
    test_defer(release, scalar);
    assert_true(oq_array_init(scalar, NULL, TYPE(FLOAT), NULL, 0, &error));
    assert_int_equal(scalar->nelem, 1);
    char text[8];
    oq_array_describe(scalar, text, sizeof(text));
    check_text(text, "float32");
}

static void test_list(void **state)
{
    (void)state;
    struct oq_arrays arrays = {0};
    onnxq_error error = {0};
    const char *const names[] = {"a", "b", "c", "d", "e", "f"};
    for (size_t i = 0; i < COUNT(names); i++)
        assert_true(
            oq_array_init(oq_arrays_add(&arrays, &error), names[i], TYPE(FLOAT), NULL, 0, &error));
    check_text(oq_arrays_find(&arrays, "e")->name, "e");
    assert_null(oq_arrays_find(&arrays, "g"));
    oq_arrays_fini(&arrays);
}

int main(void)
{
    TEST_ROWS(test_numbers, number_rows);
    TEST(test_narrow_numbers);
    TEST(test_strings);
    TEST(test_shapes);
    TEST(test_list);
    return suite_run();
}
