/*
 * Scales that there can be, as ONNX QuantizeLinear (version 10) uses them:
 * w = (q - zero_point) * scale.
 */
#include "quantize/numbers/scale.h"

#include "kernels/kernels.h"
#include "wire/data_type.h"

float oq_largest_of_type(int32_t data_type)
{
    switch (data_type) {
    case OQ_TYPE(FLOAT16):
        return 65504.0f;
    case OQ_TYPE(BFLOAT16):
        return 0x1.fep127f;
    default:
        return FLT_MAX;
    }
}

float oq_finite_scale(float scale, float reach, float largest)
{
    if (!(fabsf(scale) * reach > largest))
        return scale;
    float finite = largest / reach;
    while (finite * reach > largest)
        finite = nextafterf(finite, 0);
    return copysignf(finite, scale);
}

/* A smaller scale may move the zero point, and with it how far integers reach: until both fit. */
float oq_asymmetric_scale(double low, double high, float full, float largest)
{
    double from = fmin(low, 0), to = fmax(high, 0); /* 0 stays exact */
    float scale = (float)((to - from) / (double)full), before;
    do {
        float below = fminf(rintf((float)-from / scale), full);
        before = scale;
        scale = oq_finite_scale(scale, fmaxf(below, full - below), largest);
    } while (scale != before);
    return scale;
}

/* In place of none: as fine as the finest of its neighbours, so that it adds nothing to theirs. */
static float finest(const float *scale, uint64_t n)
{
    float least = INFINITY;
    for (uint64_t i = 0; i < n; i++)
        if (oq_is_usable_scale(scale[i]))
            least = fminf(least, scale[i]);
    return isfinite(least) ? least : OQ_SCALE_OF_ZEROS;
}

void oq_fill_scales(float *scale, uint64_t n)
{
    const float least = finest(scale, n);
    for (uint64_t i = 0; i < n; i++)
        if (!oq_is_usable_scale(scale[i]))
            scale[i] = least;
}

/* A logarithm to base 2, linear within an octave: no library rounds it in a way of its own. */
static double count_octaves(float x)
{
    int exponent;
    double part = frexp((double)x, &exponent); /* in 0.5 .. 1 */
    return exponent - 2 + 2 * part;
}

/* Whole octaves were counted: half of one is missing on average. */
static double typical_octaves(uint64_t count, uint64_t octaves)
{
    return count_octaves(OQ_ORDINARY_MIN) + (double)octaves / (double)count + 0.5;
}

int32_t oq_largest_with_bits(uint64_t count, uint64_t octaves)
{
    double largest = typical_octaves(count, octaves) + count_octaves(127);
    return (int32_t)((largest - count_octaves(FLT_MIN) + 1) *
                     (1 << 23)); /* exponent and fraction */
}

double oq_bits_left(float largest, uint64_t count, uint64_t octaves)
{
    if (count == 0)
        return INFINITY;
    return typical_octaves(count, octaves) - count_octaves(largest) + count_octaves(127);
}

void oq_lift(float *x, size_t n, int lift)
{
    for (size_t i = 0; lift != 0 && i < n; i++)
        x[i] = ldexpf(x[i], lift);
}
