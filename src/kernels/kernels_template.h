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

/* The bits of 2^-10; in these units a step of the exponent is 1 << 23. */
#define ORDINARY_MIN_BITS  ((127u - 10) << 23)
#define ORDINARY_SPAN_BITS ((uint32_t)OQ_ORDINARY_OCTAVES << 23)

OQ_TARGET static inline void NAME(add_level)(uint32_t bits, int32_t *count, int32_t *octaves)
{
    uint32_t above = (bits & INT32_MAX) - ORDINARY_MIN_BITS; /* smaller ones wrap around */
    int32_t mask = above < ORDINARY_SPAN_BITS ? -1 : 0;
    *count -= mask;
    *octaves += (int32_t)(above >> 23) & mask;
}

/* `width` is a constant where this is inlined. */
OQ_TARGET static inline void NAME(level_by)(const float *x, size_t n, size_t width, int32_t *count,
                                            int32_t *octaves)
{
    int32_t counts[BLOCK] = {0}, sums[BLOCK] = {0};
    uint32_t bits[BLOCK];
    size_t i = 0;
    for (; i + width <= n; i += width) {
        memcpy(bits, x + i, width * sizeof(bits[0]));
        for (size_t k = 0; k < width; k++)
            NAME(add_level)(bits[k], &counts[k], &sums[k]);
    }
    memcpy(bits, x + i, (n - i) * sizeof(bits[0]));
    for (size_t k = 0; i < n; i++, k++)
        NAME(add_level)(bits[k], &counts[k], &sums[k]);
    for (size_t k = 0; k < width; k++) {
        *count += counts[k];
        *octaves += sums[k];
    }
}

OQ_TARGET static void NAME(level_run)(const float *x, size_t n, int32_t *counts, int32_t *octaves)
{
    if (n < 4 * BLOCK)
        NAME(level_by)(x, n, SHORT, counts, octaves);
    else
        NAME(level_by)(x, n, BLOCK, counts, octaves);
}

OQ_TARGET static void NAME(level_columns)(const float *x, size_t rows, size_t columns,
                                          size_t stride, int32_t *counts, int32_t *octaves)
{
    size_t c = 0;
    for (; c + BLOCK <= columns; c += BLOCK) {
        int32_t some_counts[BLOCK], sums[BLOCK];
        uint32_t bits[BLOCK];
        memcpy(some_counts, counts + c, sizeof(some_counts));
        memcpy(sums, octaves + c, sizeof(sums));
        for (size_t r = 0; r < rows; r++) {
            memcpy(bits, x + r * stride + c, sizeof(bits));
            for (size_t k = 0; k < BLOCK; k++)
                NAME(add_level)(bits[k], &some_counts[k], &sums[k]);
        }
        memcpy(counts + c, some_counts, sizeof(some_counts));
        memcpy(octaves + c, sums, sizeof(sums));
    }
    for (size_t r = 0; r < rows; r++) {
        for (size_t k = c; k < columns; k++) {
            uint32_t bits;
            memcpy(&bits, &x[r * stride + k], sizeof(bits));
            NAME(add_level)(bits, &counts[k], &octaves[k]);
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

/* `width` is a constant where this is inlined. */
OQ_TARGET static inline void NAME(add_some)(float *restrict y, size_t width,
                                            const float *restrict x, size_t rows, size_t stride,
                                            const float *factors)
{
    float sums[BLOCK];
    for (size_t k = 0; k < width; k++)
        sums[k] = y[k];
    for (size_t r = 0; r < rows; r++)
        for (size_t k = 0; k < width; k++)
            sums[k] += factors[r] * x[r * stride + k];
    for (size_t k = 0; k < width; k++)
        y[k] = sums[k];
}

OQ_TARGET static void NAME(add_rows)(float *restrict y, size_t n, const float *restrict x,
                                     size_t rows, size_t stride, const float *factors)
{
    size_t i = 0;
    for (; i + BLOCK <= n; i += BLOCK)
        NAME(add_some)(y + i, BLOCK, x + i, rows, stride, factors);
    for (; i + SHORT <= n; i += SHORT)
        NAME(add_some)(y + i, SHORT, x + i, rows, stride, factors);
    if (i < n)
        NAME(add_some)(y + i, n - i, x + i, rows, stride, factors);
}

OQ_TARGET static void NAME(round_run)(float *restrict x, size_t n, float most, int8_t *restrict out)
{
    for (size_t i = 0; i < n; i++) {
        float value = x[i] < -most ? -most : x[i];
        value = value > most ? most : value;
        float rounded = value + MAGIC;
        rounded -= MAGIC;
        out[i] = (int8_t)(int32_t)rounded;
        x[i] = value - rounded;
    }
}

#define OQ_STRING2(text) #text
#define OQ_STRING(text)  OQ_STRING2(text)

static const struct oq_kernels NAME(kernels) = {
    .name = OQ_STRING(OQ_SUFFIX),
    .range_run = NAME(range_run),
    .range_columns = NAME(range_columns),
    .level_run = NAME(level_run),
    .level_columns = NAME(level_columns),
    .join = NAME(join),
    .join_neighbours = NAME(join_neighbours),
    .quantize_run = NAME(quantize_run),
    .quantize_channels = NAME(quantize_channels),
    .add_rows = NAME(add_rows),
    .round_run = NAME(round_run),
};

#undef OQ_STRING
#undef OQ_STRING2
#undef MAGIC
#undef BLOCK
#undef ORDINARY_MIN_BITS
#undef ORDINARY_SPAN_BITS
#undef SHORT
#undef NAME
#undef OQ_PASTE
#undef OQ_PASTE2
#undef OQ_TARGET
#undef OQ_SUFFIX
