/*
 * One body, compiled once for every instruction set. Set before including:
 *   OQ_SUFFIX  name of the variant, as in range_run_SUFFIX
 *   OQ_TARGET  attribute that selects the instruction set, or nothing
 * Loops have fixed-size inner blocks so that compilers turn them into vectors;
 * no step depends on the size of a vector, which is why all variants agree.
 */

#define OQ_PASTE2(a, b) a##_##b
#define OQ_PASTE(a, b)  OQ_PASTE2(a, b)
#define NAME(function)  OQ_PASTE(function, OQ_SUFFIX)

/* 64 accumulators: what fits into 4 + 4 of AVX-512's registers. */
#define BLOCK 64

/* `width` is a constant where this is inlined. */
OQ_TARGET static inline void NAME(range_by)(const float *x, size_t n, size_t width, int32_t *lo,
                                            int32_t *hi)
{
    int32_t lows[BLOCK], highs[BLOCK], bits[BLOCK];
    size_t i = 0;
    for (size_t k = 0; k < width; k++) {
        lows[k] = *lo;
        highs[k] = *hi;
    }
    for (; i + width <= n; i += width) {
        memcpy(bits, x + i, width * sizeof(bits[0]));
        for (size_t k = 0; k < width; k++) {
            int32_t key = oq_key_flip(bits[k]);
            lows[k] = key < lows[k] ? key : lows[k];
            highs[k] = key > highs[k] ? key : highs[k];
        }
    }
    for (size_t k = 0; i < n; i++, k++) {
        int32_t key = oq_key_from_float(x[i]);
        lows[k] = key < lows[k] ? key : lows[k];
        highs[k] = key > highs[k] ? key : highs[k];
    }
    for (size_t k = 0; k < width; k++) {
        *lo = lows[k] < *lo ? lows[k] : *lo;
        *hi = highs[k] > *hi ? highs[k] : *hi;
    }
}

/* In short runs, such as blocks of 32, joining that many accumulators is most of the work. */
#define SHORT 16

OQ_TARGET static void NAME(range_run)(const float *x, size_t n, int32_t *lo, int32_t *hi)
{
    if (n < 4 * BLOCK)
        NAME(range_by)(x, n, SHORT, lo, hi);
    else
        NAME(range_by)(x, n, BLOCK, lo, hi);
}

OQ_TARGET static void NAME(range_columns)(const float *x, size_t rows, size_t columns,
                                          size_t stride, int32_t *lo, int32_t *hi)
{
    size_t c = 0;
    for (; c + BLOCK <= columns; c += BLOCK) {
        int32_t lows[BLOCK], highs[BLOCK], bits[BLOCK];
        memcpy(lows, lo + c, sizeof(lows));
        memcpy(highs, hi + c, sizeof(highs));
        for (size_t r = 0; r < rows; r++) {
            memcpy(bits, x + r * stride + c, sizeof(bits));
            for (size_t k = 0; k < BLOCK; k++) {
                int32_t key = oq_key_flip(bits[k]);
                lows[k] = key < lows[k] ? key : lows[k];
                highs[k] = key > highs[k] ? key : highs[k];
            }
        }
        memcpy(lo + c, lows, sizeof(lows));
        memcpy(hi + c, highs, sizeof(highs));
    }
    for (size_t r = 0; r < rows; r++) {
        for (size_t k = c; k < columns; k++) {
            int32_t key = oq_key_from_float(x[r * stride + k]);
            lo[k] = key < lo[k] ? key : lo[k];
            hi[k] = key > hi[k] ? key : hi[k];
        }
    }
}

/* Half of each, so that the sum of the largest floats is one. */
OQ_TARGET static inline float NAME(join_two)(float a, float b)
{
    float sum = 0.5f * a + 0.5f * b;
    return (a < 0) == (b < 0) ? sum : 0;
}

OQ_TARGET static void NAME(join)(float *restrict a, const float *restrict b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        a[i] = NAME(join_two)(a[i], b[i]);
}

OQ_TARGET static void NAME(join_neighbours)(float *x, size_t n)
{
    for (size_t i = 0; i < n; i += 2) {
        x[i] = NAME(join_two)(x[i], x[i + 1]);
        x[i + 1] = 0;
    }
}

/*
 * Clamping first keeps the sum within the 23 bits where adding and taking away
 * 1.5 * 2^23 rounds to the nearest whole number, ties to even; as the bounds
 * are whole numbers, clamping and rounding may change places.
 */
#define MAGIC 12582912.0f

OQ_TARGET static inline uint8_t NAME(quantize)(float x, float scale, float zero_point, float qmin,
                                               float qmax)
{
    float quotient = x / scale;
    float low = qmin - zero_point, high = qmax - zero_point;
    quotient = quotient < low ? low : quotient;
    quotient = quotient > high ? high : quotient;
    float rounded = quotient + MAGIC;
    rounded -= MAGIC;
    return (uint8_t)(int32_t)(rounded + zero_point);
}

OQ_TARGET static void NAME(quantize_run)(const float *restrict x, size_t n,
                                         const struct oq_quantizer *restrict quantizer,
                                         uint8_t *restrict out)
{
    const struct oq_quantizer q = *quantizer;
    for (size_t i = 0; i < n; i++)
        out[i] = NAME(quantize)(x[i], q.scale, q.zero_point, q.qmin, q.qmax);
}

OQ_TARGET static void NAME(quantize_channels)(const float *restrict x, size_t n,
                                              const float *restrict scale,
                                              const float *restrict zero_point, float qmin,
                                              float qmax, uint8_t *restrict out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = NAME(quantize)(x[i], scale[i], zero_point[i], qmin, qmax);
}

#define OQ_STRING2(text) #text
#define OQ_STRING(text)  OQ_STRING2(text)

static const struct oq_kernels NAME(kernels) = {
    .name = OQ_STRING(OQ_SUFFIX),
    .range_run = NAME(range_run),
    .range_columns = NAME(range_columns),
    .join = NAME(join),
    .join_neighbours = NAME(join_neighbours),
    .quantize_run = NAME(quantize_run),
    .quantize_channels = NAME(quantize_channels),
};

#undef OQ_STRING
#undef OQ_STRING2
#undef MAGIC
#undef BLOCK
#undef SHORT
#undef NAME
#undef OQ_PASTE
#undef OQ_PASTE2
#undef OQ_TARGET
#undef OQ_SUFFIX
