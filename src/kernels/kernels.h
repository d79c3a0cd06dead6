/*
 * The inner loops over weights. The generic form is the definition; every
 * other variant gives the same bits. All functions are pure, take any
 * alignment and any length, and may run on many threads at once.
 *
 * Ranges are kept as ordered keys: the bits of a float, mapped to int32 so
 * that integer order is float order with NaN at both ends. Minimum and maximum
 * of keys are exact and independent of order, and a NaN or an infinity
 * anywhere shows in the result.
 */
#ifndef OQ_KERNELS_KERNELS_H
#define OQ_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* How one weight becomes eight bits: q = clamp(rint(w / scale) + zero_point, qmin, qmax). */
struct oq_quantizer {
    float scale;
    float zero_point; /* a whole number */
    float qmin, qmax; /* whole numbers within -128..255 */
};

struct oq_kernels {
    const char *name;

    /* lo and hi become the smallest and largest key of themselves and x[0..n). */
    void (*range_run)(const float *x, size_t n, int32_t *lo, int32_t *hi);

    /*
     * The same for every column: x is [rows, columns], row r starting at
     * x + r * stride; lo and hi are [columns].
     */
    void (*range_columns)(const float *x, size_t rows, size_t columns, size_t stride, int32_t *lo,
                          int32_t *hi);

    /*
     * To counts[0] and octaves[0] the ordinary numbers of x[0..n) are added: how many there are,
     * and of how many whole octaves above OQ_ORDINARY_MIN together. n <= 10^8, so that int32 holds
     * it.
     */
    void (*level_run)(const float *x, size_t n, int32_t *counts, int32_t *octaves);

    /* The same for every column, as range_columns() has them; rows <= 10^8. */
    void (*level_columns)(const float *x, size_t rows, size_t columns, size_t stride,
                          int32_t *counts, int32_t *octaves);

    /* a[i] becomes half of a[i] + b[i] where both have one sign, else 0. */
    void (*join)(float *restrict a, const float *restrict b, size_t n);

    /* The same for x[2i] and x[2i + 1], which becomes 0; n is even. */
    void (*join_neighbours)(float *x, size_t n);

    /*
     * out[i] is the low byte of x[i] quantized, ties to even, as ONNX
     * QuantizeLinear (version 10) has it. x is finite.
     */
    void (*quantize_run)(const float *x, size_t n, const struct oq_quantizer *quantizer,
                         uint8_t *out);

    /* The same with a scale and a zero point for each i. */
    void (*quantize_channels)(const float *x, size_t n, const float *scale, const float *zero_point,
                              float qmin, float qmax, uint8_t *out);

    /* y[i] += factors[0] * x[i], then factors[1] * x[stride + i], .. of all rows, in that order. */
    void (*add_rows)(float *restrict y, size_t n, const float *restrict x, size_t rows,
                     size_t stride, const float *factors);

    /*
     * out[i] = clamp(round(x[i]), -most, most), ties to even; x[i], clamped as well, becomes what
     * is left of it. most is a whole number <= 127, and no x is NaN.
     */
    void (*round_run)(float *x, size_t n, float most, int8_t *out);
};

/* Variants that this processor runs, best first; the last one is generic. Ends with NULL. */
const struct oq_kernels *const *oq_kernels_available(void);

static inline const struct oq_kernels *oq_kernels_best(void)
{
    return oq_kernels_available()[0];
}

/* --- keys --- */

#define OQ_KEY_NONE_LO INT32_MAX /* of an empty range */
#define OQ_KEY_NONE_HI INT32_MIN

/* A key is its own inverse mapping: flip the lower bits of negative numbers. */
static inline int32_t oq_key_flip(int32_t bits)
{
    return bits ^ ((bits >> 31) & INT32_MAX);
}

static inline int32_t oq_key_from_float(float x)
{
    int32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    return oq_key_flip(bits);
}

static inline float oq_key_to_float(int32_t key)
{
    int32_t bits = oq_key_flip(key);
    float x;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

/* --- levels --- */

/*
 * Ordinary numbers are those of 2^-10 to 2^10: weights that matter beside
 * activations of about 1, and that are nothing out of the way.
 */
#define OQ_ORDINARY_MIN     (1.0f / 1024)
#define OQ_ORDINARY_OCTAVES 20

/* --- conversions to float: exact but for float64, which rounds to nearest, though not to 0 --- */

void oq_convert_from_half(const uint16_t *src, size_t n, float *dst);
void oq_convert_from_bfloat16(const uint16_t *src, size_t n, float *dst);
void oq_convert_from_double(const double *src, size_t n, float *dst);

/* The way back: to nearest, ties to even; what is too large becomes infinite. */
void oq_convert_to_half(const float *src, size_t n, uint16_t *dst);
void oq_convert_to_bfloat16(const float *src, size_t n, uint16_t *dst);
void oq_convert_to_double(const float *src, size_t n, double *dst);

/* --- integers of 2, 4, 8, 16 or 32 bits --- */

struct oq_integer_type {
    unsigned nbits;
    bool is_signed;
    bool high_first; /* of several in a byte, the first one has the high bits */
};

/* Integers [skip, skip + n) of those that the bytes hold. */
void oq_convert_from_integers(const uint8_t *src, struct oq_integer_type type, unsigned skip,
                              size_t n, int32_t *dst);

/* x[i] = q[i] (or table[q[i]]) less zero_point, times scale; a step of 0: one for all, else of 1.
 */
void oq_dequantize_run(const int32_t *q, size_t n, const float *table, const float *zero_point,
                       size_t zero_point_step, const float *scale, size_t scale_step, float *x);

#endif
