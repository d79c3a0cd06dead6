/* Conversions to float32 and back: every value there is, or every edge, bit by bit. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "kernels/kernels.h"
#include "support/reference.h"
#include "support/suite.h"
#include "support/types.h"

#define ALL 65536

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static uint16_t *all_patterns(void)
{
    uint16_t *patterns = test_alloc(ALL * sizeof(*patterns));
    for (size_t i = 0; i < ALL; i++)
        patterns[i] = (uint16_t)i;
    return patterns;
}

static void test_half(void **state)
{
    (void)state;
    float *out = test_alloc(ALL * sizeof(*out));
    oq_convert_from_half(all_patterns(), ALL, out);
    for (size_t i = 0; i < ALL; i++) {
        double expected = reference_half((uint16_t)i);
        if (isnan(expected)) {
            assert_true(isnan(out[i]));
            assert_int_equal(bits_of(out[i]) >> 31, i >> 15);
        } else {
            assert_int_equal(bits_of(out[i]), bits_of((float)expected));
        }
    }
}

static void test_bfloat16(void **state)
{
    (void)state;
    float *out = test_alloc(ALL * sizeof(*out));
    oq_convert_from_bfloat16(all_patterns(), ALL, out);
    for (size_t i = 0; i < ALL; i++)
        assert_int_equal(bits_of(out[i]), i << 16);
}

static void test_double(void **state)
{
    (void)state;
    /* A half of the last bit is rounded to even; what is too large becomes infinite,
     * what is too small does not become 0. */
    static const double in[] = {0.0,          -0.0,        1.0,        0.1,       -0.1,
                                1e300,        -1e300,      1e-300,     FLT_MAX,   -FLT_MAX,
                                3.4028236e38, 1e-45,       INFINITY,   -INFINITY, 16777217.0,
                                16777219.0,   1 + 0x1p-24, 1 + 0x3p-24};
    static const float expected[] = {0.0f,        -0.0f,     1.0f,        0.1f,      -0.1f,
                                     INFINITY,    -INFINITY, 0x1p-149f,   FLT_MAX,   -FLT_MAX,
                                     INFINITY,    0x1p-149f, INFINITY,    -INFINITY, 16777216.0f,
                                     16777220.0f, 1.0f,      1 + 0x1p-22f};
    float out[COUNT(in)];
    assert_int_equal(COUNT(in), COUNT(expected));
    oq_convert_from_double(in, COUNT(in), out);
    for (size_t i = 0; i < COUNT(in); i++)
        assert_int_equal(bits_of(out[i]), bits_of(expected[i]));
    double nan = NAN;
    oq_convert_from_double(&nan, 1, out);
    assert_true(isnan(out[0]));
}

/* Short runs: what is behind the end stays as it is. */
static void test_lengths(void **state)
{
    (void)state;
    const uint16_t *patterns = all_patterns();
    double doubles[40];
    float out[41];
    for (size_t i = 0; i < COUNT(doubles); i++)
        doubles[i] = (double)i;
    for (size_t n = 0; n <= 40; n++) {
        out[n] = 12345;
        oq_convert_from_half(patterns, n, out);
        oq_convert_from_bfloat16(patterns, n, out);
        oq_convert_from_double(doubles, n, out);
        assert_compare(out[n], ==, 12345);
    }
}

/* --- the way back --- */

/* Every half, every number between two of them, and what lies beyond. */
static void test_to_half(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 0x7c00; i++) {
        const double low = reference_half((uint16_t)i);
        const double high = i == 0x7bff ? 65536 : reference_half((uint16_t)(i + 1));
        const double middle = (low + high) / 2;
        const float values[] = {(float)low,
                                (float)middle,
                                nextafterf((float)middle, 0),
                                nextafterf((float)middle, INFINITY),
                                -(float)middle,
                                (float)-low};
        uint16_t out[COUNT(values)];
        oq_convert_to_half(values, COUNT(values), out);
        for (size_t k = 0; k < COUNT(values); k++)
            if (out[k] != half_from_double(values[k]))
                fail_msg("%a became %#x, not %#x", (double)values[k], out[k],
                         half_from_double(values[k]));
    }
    const float beyond[] = {65536, -1e30f, INFINITY, -INFINITY, 1e-30f, -1e-30f};
    const uint16_t expected[] = {0x7c00, 0xfc00, 0x7c00, 0xfc00, 0, 0x8000};
    uint16_t out[COUNT(beyond)], nan_out;
    oq_convert_to_half(beyond, COUNT(beyond), out);
    assert_memory_equal(out, expected, sizeof(expected));
    oq_convert_to_half(&(float){NAN}, 1, &nan_out);
    assert_true(isnan(reference_half(nan_out)));
}

static void test_to_bfloat16(void **state)
{
    (void)state;
    static const uint32_t bits[] = {0,          0x80000000, 0x3f800000, 0x3f808000,
                                    0x3f818000, 0x3f808001, 0x3f807fff, 0x7f800000,
                                    0xff800000, 0x7f7fffff, 0x00000001, 0x00008001};
    static const uint16_t expected[] = {0,      0x8000, 0x3f80, 0x3f80, 0x3f82, 0x3f81,
                                        0x3f80, 0x7f80, 0xff80, 0x7f80, 0,      1};
    float values[COUNT(bits)];
    uint16_t out[COUNT(bits)], nan_out;
    memcpy(values, bits, sizeof(bits));
    oq_convert_to_bfloat16(values, COUNT(bits), out);
    assert_memory_equal(out, expected, sizeof(expected));
    memcpy(values, &(uint32_t){0x7f800001}, sizeof(float)); /* its payload would be cut off */
    oq_convert_to_bfloat16(values, 1, &nan_out);
    assert_int_equal(nan_out & 0x7fff, 0x7fc0);
}

/* --- integers --- */

static const struct integers_row {
    const char *name;
    struct oq_integer_type type;
    unsigned skip;
    size_t n;
    int32_t expected[8];
} integers_rows[] = {
    {"int8", {8, true, false}, 0, 4, {0x1b, -28, 127, -128}},
    {"uint8", {8, false, false}, 1, 3, {0xe4, 127, 128}},
    {"int16", {16, true, false}, 0, 2, {-7141, -32641}},
    {"uint16", {16, false, false}, 1, 1, {0x807f}},
    {"int32", {32, true, false}, 0, 1, {-2139102181}},
    {"int4", {4, true, false}, 0, 8, {-5, 1, 4, -2, -1, 7, 0, -8}},
    {"uint4", {4, false, false}, 1, 3, {1, 4, 14}},
    {"uint4, high half first", {4, false, true}, 0, 4, {1, 11, 14, 4}},
    {"uint4, high half first, from the middle", {4, false, true}, 1, 2, {11, 14}},
    {"int2", {2, true, false}, 0, 8, {-1, -2, 1, 0, 0, 1, -2, -1}},
    {"uint2", {2, false, false}, 3, 4, {0, 0, 1, 2}},
};

static void test_integers(void **state)
{
    static const uint8_t bytes[] = {0x1b, 0xe4, 0x7f, 0x80};
    const struct integers_row *row = *state;
    int32_t out[9] = {0};
    out[row->n] = 12345;
    oq_convert_from_integers(bytes, row->type, row->skip, row->n, out);
    assert_memory_equal(out, row->expected, row->n * sizeof(*out));
    assert_int_equal(out[row->n], 12345);
}

int main(void)
{
    TEST(test_to_half);
    TEST(test_to_bfloat16);
    TEST_ROWS(test_integers, integers_rows);
    TEST(test_half);
    TEST(test_bfloat16);
    TEST(test_double);
    TEST(test_lengths);
    return suite_run();
}
