/* From the ranges of weights to their scales and zero points. */
#include <float.h>

#include "quantize/decide/steps.h"
#include "quantize/numbers/scale.h"

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
        quantized->qmin = middle - (quantized->ranges->has_steps ? 128 : steps.below);
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

/* Scales of integers that the model has made itself, in training with them: they stay. */
static bool take_steps(struct oq_ranges *ranges)
{
    const struct oq_source *source = ranges->source;
    const struct oq_made *made = source->n_spans == 1 ? source->spans->tensor->made : NULL;
    if (made == NULL || made->steps == NULL || !ranges->symmetric || ranges->is_4_bits ||
        ranges->blocks != NULL || ranges->reduce != ONNXQ_REDUCE_NONE || ranges->batch_axes > 0 ||
        source->nelem != source->spans->tensor->nelem || source->factors != NULL ||
        (made->n_steps > 1 && (ranges->axis != made->axis || ranges->n_scales != made->n_steps)))
        return false;
    for (uint64_t i = 0; i < made->n_steps; i++)
        if (!(made->steps[i] >= FLT_MIN && made->steps[i] <= FLT_MAX))
            return false;
    for (uint64_t i = 0; i < ranges->n_scales; i++)
        ranges->scale[i] = made->steps[made->n_steps == 1 ? 0 : i];
    return true;
}

static void set_scales(struct oq_ranges *ranges)
{
    ranges->has_unscaled = false;
    ranges->has_steps = take_steps(ranges);
    if (ranges->has_steps)
        return;
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
