#include "kernels/kernels.h"

/*
 * IEEE 754 binary16. Moving the bits into place and multiplying by 2^112
 * corrects the exponent and makes denormals come out right; what was infinite
 * or NaN (at least 2^16 afterwards) gets the exponent of all ones back.
 */
static float half_to_float(uint16_t half)
{
    const uint32_t two_to_112 = (127u + 112u) << 23, infinite = 255u << 23;
    uint32_t bits = (uint32_t)(half & 0x7fff) << 13;
    float value, factor;
    memcpy(&value, &bits, sizeof(value));
    memcpy(&factor, &two_to_112, sizeof(factor));
    value *= factor;
    memcpy(&bits, &value, sizeof(bits));
    if (value >= 65536.0f)
        bits |= infinite;
    bits |= (uint32_t)(half & 0x8000) << 16;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

void oq_convert_from_half(const uint16_t *src, size_t n, float *dst)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = half_to_float(src[i]);
}

void oq_convert_from_bfloat16(const uint16_t *src, size_t n, float *dst)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = (uint32_t)src[i] << 16;
        memcpy(&dst[i], &bits, sizeof(bits));
    }
}

void oq_convert_from_double(const double *src, size_t n, float *dst)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = (float)src[i];
}
