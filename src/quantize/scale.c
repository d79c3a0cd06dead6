/*
 * From ranges to scales and zero points, as ONNX QuantizeLinear (version 10)
 * uses them: w = (q - zero_point) * scale.
 */
#include "quantize/scale.h"

#include "quantize/plan.h"

/* Steps between the smallest and the largest integer; 7 bits keep u8 x s8 pairs within 16. */
struct steps {
    float below, above; /* symmetric, from zero to the end: 127, or 64; 8 and 7 of 4 bits */
    float full;         /* 255, or 127; 15 of 4 bits */
};

static struct steps get_steps(const struct oq_ranges *ranges)
{
    if (ranges->is_4_bits)
        return (struct steps){8, 7, 15};
    return ranges->reduce == ONNXQ_REDUCE_BITS ? (struct steps){64, 64, 127}
                                               : (struct steps){127, 127, 255};
}

/* --- scales that there can be --- */

float oq_largest_of_type(int32_t data_type)
{
    switch (data_type) {
    case OQ__PB__TENSOR_PROTO__DATA_TYPE__FLOAT16:
        return 65504.0f;
    case OQ__PB__TENSOR_PROTO__DATA_TYPE__BFLOAT16:
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

/* --- of ranges --- */

/* The scale at which no two neighbours of one sign exceed OQ_PAIR_SUM, after rounding either. */
static float pair_scale(const struct oq_ranges *ranges, uint64_t i)
{
    /* Two quotients that are a little too large could both round up; this is more than that. */
    const float margin = 1 + 8 * FLT_EPSILON;
    float lo = oq_key_to_float(ranges->pair_lo[i]), hi = oq_key_to_float(ranges->pair_hi[i]);
    return fmaxf(-lo, hi) / (OQ_PAIR_SUM / 2) * margin;
}

static float symmetric_scale(const struct oq_ranges *ranges, uint64_t i)
{
    float lo = oq_key_to_float(ranges->lo[i]), hi = oq_key_to_float(ranges->hi[i]);
    struct steps steps = get_steps(ranges);
    float scale = fmaxf(-lo / steps.below, hi / steps.above);
    if (ranges->reduce == ONNXQ_REDUCE_PAIRS)
        scale = fmaxf(scale, pair_scale(ranges, i));
    return oq_finite_scale(scale, fmaxf(steps.below, steps.above),
                           oq_largest_of_type(ranges->source->data_type));
}

static float asymmetric_scale(const struct oq_ranges *ranges, uint64_t i)
{
    return oq_asymmetric_scale((double)oq_key_to_float(ranges->lo[i]),
                               (double)oq_key_to_float(ranges->hi[i]), get_steps(ranges).full,
                               oq_largest_of_type(ranges->source->data_type));
}

static void set_bounds(struct oq_quantized *quantized)
{
    struct steps steps = get_steps(quantized->ranges);
    float middle = quantized->is_unsigned ? 128 : 0;
    if (quantized->ranges->symmetric) {
        quantized->qmin = middle - steps.below;
        quantized->qmax = middle + steps.above;
    } else {
        quantized->qmin = quantized->is_unsigned ? 0 : -(steps.full + 1) / 2;
        quantized->qmax = quantized->qmin + steps.full;
    }
}

static float find_zero_point(const struct oq_quantized *quantized, float lo, float scale)
{
    if (quantized->ranges->symmetric)
        return quantized->is_unsigned ? 128 : 0;
    float zero_point = rintf(quantized->qmin - fminf(lo, 0) / scale);
    return fminf(fmaxf(zero_point, quantized->qmin), quantized->qmax);
}

static void set_scales(struct oq_ranges *ranges)
{
    ranges->has_unscaled = false;
    for (uint64_t i = 0; i < ranges->n_scales; i++) {
        ranges->scale[i] =
            ranges->symmetric ? symmetric_scale(ranges, i) : asymmetric_scale(ranges, i);
        ranges->has_unscaled |= oq_is_unscaled(ranges->scale[i], oq_key_to_float(ranges->lo[i]),
                                               oq_key_to_float(ranges->hi[i]));
    }
    oq_fill_scales(ranges->scale, ranges->n_scales);
}

void oq_plan_scale(onnxq_plan *plan)
{
    for (size_t i = 0; i < plan->n_constants; i++) {
        struct oq_constant *constant = &plan->constants[i];
        for (struct oq_ranges *r = constant->ranges; r != NULL; r = r->next) {
            set_scales(r);
            if (r->blocks != NULL)
                r->blocks->filler = isfinite(r->found.finest) ? r->found.finest : OQ_SCALE_OF_ZEROS;
        }
        for (struct oq_quantized *q = constant->quantized; q != NULL; q = q->next) {
            q->scale = q->ranges->scale;
            set_bounds(q);
            for (uint64_t k = 0; k < q->ranges->n_scales; k++)
                q->zero_point[k] =
                    find_zero_point(q, oq_key_to_float(q->ranges->lo[k]), q->ranges->scale[k]);
        }
    }
}
