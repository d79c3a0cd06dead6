/* float16, bfloat16 and float64 to float32 and back, to the nearest, even on ties. */
#include <float.h>

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

/* What is no 0 stays none, so that ranges tell a weight of tiny numbers from one of zeros. */
void oq_convert_from_double(const double *src, size_t n, float *dst)
{
    for (size_t i = 0; i < n; i++) {
        float x = (float)src[i], least = src[i] < 0 ? -FLT_TRUE_MIN : FLT_TRUE_MIN;
        dst[i] = x == 0 && src[i] != 0 ? least : x;
    }
}

/*
 * IEEE 754 binary16: the exponent is moved and half of what is cut off added,
 * one less where that would not make the last bit even. Denormals are rounded
 * by an addition whose sum has their last bit as its own.
 */
static uint16_t half_from_float(float x)
{
    const uint32_t sum_exponent = (127u - 15 + 23 - 10 + 1) << 23;
    uint32_t bits, magnitude;
    memcpy(&bits, &x, sizeof(bits));
    const uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    magnitude = bits & INT32_MAX;
    if (magnitude > 255u << 23)
        return sign | 0x7e00;
    if (magnitude >= (127u + 16) << 23)
        return sign | 0x7c00;
    if (magnitude < (127u - 14) << 23) {
        float value, addend;
        memcpy(&value, &magnitude, sizeof(value));
        memcpy(&addend, &sum_exponent, sizeof(addend));
        value += addend;
        memcpy(&magnitude, &value, sizeof(magnitude));
        return (uint16_t)(sign | (magnitude - sum_exponent));
    }
    magnitude += 0xfff + (magnitude >> 13 & 1) - ((127u - 15) << 23);
    return (uint16_t)(sign | magnitude >> 13);
}

void oq_convert_to_half(const float *src, size_t n, uint16_t *dst)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = half_from_float(src[i]);
}

void oq_convert_to_bfloat16(const float *src, size_t n, uint16_t *dst)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &src[i], sizeof(bits));
        bool is_nan = (bits & INT32_MAX) > 255u << 23;
        dst[i] = (uint16_t)((is_nan ? bits | 1u << 22 : bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
}

void oq_convert_to_double(const float *src, size_t n, double *dst)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = src[i];
}

/* Fewer than 8 bits: element k of a byte has its bits at k * nbits, or counted from the top. */
static void unpack(const uint8_t *src, struct oq_integer_type type, size_t first, size_t n,
                   int32_t *dst)
{
    const unsigned per_byte = 8 / type.nbits, mask = (1u << type.nbits) - 1;
    const int32_t sign = type.is_signed ? 1 << (type.nbits - 1) : 0;
    for (size_t i = 0; i < n; i++) {
        unsigned k = (unsigned)((first + i) % per_byte);
        k = type.high_first ? per_byte - 1 - k : k;
        int32_t q = (int32_t)((unsigned)src[(first + i) / per_byte] >> (k * type.nbits) & mask);
        dst[i] = (q ^ sign) - sign;
    }
}

#define WIDEN(type)                                                                                \
    for (size_t i = 0; i < n; i++) {                                                               \
        type q;                                                                                    \
        memcpy(&q, src + i * sizeof(q), sizeof(q));                                                \
        dst[i] = q;                                                                                \
    }

void oq_convert_from_integers(const uint8_t *src, struct oq_integer_type type, unsigned skip,
                              size_t n, int32_t *dst)
{
    if (type.nbits < 8) {
        unpack(src, type, skip, n, dst);
        return;
    }
    src += (size_t)skip * type.nbits / 8;
    if (type.nbits == 8 && type.is_signed)
        WIDEN(int8_t)
    else if (type.nbits == 8)
        WIDEN(uint8_t)
    else if (type.nbits == 16 && type.is_signed)
        WIDEN(int16_t)
    else if (type.nbits == 16)
        WIDEN(uint16_t)
    else
        WIDEN(int32_t)
}

void oq_dequantize_run(const int32_t *q, size_t n, const float *table, const float *zero_point,
                       size_t zero_point_step, const float *scale, size_t scale_step, float *x)
{
    for (size_t i = 0; i < n; i++)
        x[i] = table != NULL ? table[q[i]] : (float)q[i];
    if (zero_point_step != 0)
        for (size_t i = 0; i < n; i++)
            x[i] -= zero_point[i];
    else if (*zero_point != 0)
        for (size_t i = 0; i < n; i++)
            x[i] -= *zero_point;
    if (scale_step != 0)
        for (size_t i = 0; i < n; i++)
            x[i] *= scale[i];
    else
        for (size_t i = 0; i < n; i++)
            x[i] *= *scale;
}
