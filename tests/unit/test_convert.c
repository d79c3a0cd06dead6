/* Conversions to float32: every value there is, or every edge, bit by bit. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "kernels/kernels.h"
#include "support/reference.h"
#include "support/suite.h"

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
    /* A half of the last bit is rounded to even; what is too large becomes infinite. */
    static const double in[] = {0.0,          -0.0,        1.0,        0.1,       -0.1,
                                1e300,        -1e300,      1e-300,     FLT_MAX,   -FLT_MAX,
                                3.4028236e38, 1e-45,       INFINITY,   -INFINITY, 16777217.0,
                                16777219.0,   1 + 0x1p-24, 1 + 0x3p-24};
    static const float expected[] = {0.0f,        -0.0f,     1.0f,        0.1f,      -0.1f,
                                     INFINITY,    -INFINITY, 0.0f,        FLT_MAX,   -FLT_MAX,
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
        assert_true(out[n] == 12345);
    }
}

int main(void)
{
    TEST(test_half);
    TEST(test_bfloat16);
    TEST(test_double);
    TEST(test_lengths);
    return suite_run();
}
