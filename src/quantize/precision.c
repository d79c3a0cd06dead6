/*
 * What the measured numbers say about the way in which a weight is stored: as
 * the rules have it, in 16 bits, or not at all.
 *
 * Folded weights of recurrent models that 8 bits round too coarsely get 16.
 *
 * A recurrent model carries what rounding has changed on from step to step, and
 * decides by it. Where a channel's largest weight is many times its others, a
 * scale for the largest leaves few steps to them.
 */
#include <math.h>

#include "quantize/rules.h"

/* --- what holds NaN or infinity --- */

static bool is_finite(const struct oq_constant *constant)
{
    for (const struct oq_ranges *ranges = constant->ranges; ranges != NULL; ranges = ranges->next)
        if (!oq_ranges_finite(ranges))
            return false;
    return true;
}

static void keep_all(struct oq_constant *constant, const char *reason)
{
    for (size_t k = 0; k < constant->n_sites; k++)
        if (constant->sites[k].action != ONNXQ_KEEP)
            oq_site_keep(&constant->sites[k], reason);
}

static bool refers_to_infinite(const onnxq_plan *plan, const struct oq_constant *constant)
{
    for (size_t k = 0; k < constant->n_sites; k++) {
        const struct oq_site *site = &constant->sites[k];
        const struct oq_site *partner =
            site->action == ONNXQ_DYNAMIC && site->through == NULL && site->rule->partner != NULL
                ? oq_plan_sibling(plan, site, site->rule->partner(site->input))
                : NULL;
        if ((site->through != NULL && site->through->action == ONNXQ_KEEP) ||
            (partner != NULL && partner->action == ONNXQ_KEEP) ||
            (site->quantized != NULL && site->quantized->ranges->constant->has_infinity))
            return true;
    }
    return false;
}

/* What one constant drags along may drag others: until nothing changes. */
static void spread(onnxq_plan *plan, const char *reason)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < plan->n_constants; i++) {
            struct oq_constant *constant = &plan->constants[i];
            if (constant->has_infinity || !refers_to_infinite(plan, constant))
                continue;
            keep_all(constant, reason);
            constant->has_infinity = true;
            changed = true;
        }
    }
}

/* Floats that stay after all may have been what other integers were to make room for. */
static bool drop_unworthy(onnxq_plan *plan, onnxq_error *error)
{
    for (bool any = true; any;) {
        if (!oq_plan_balance(plan, false, &any, error))
            return false;
        for (size_t i = 0; any && i < plan->n_constants; i++) {
            struct oq_constant *constant = &plan->constants[i];
            for (struct oq_quantized *q = constant->quantized; q != NULL; q = q->next) {
                if (q->refusal == NULL || constant->has_infinity)
                    continue;
                keep_all(constant, q->refusal);
                constant->has_infinity = true;
            }
        }
        spread(plan, "depends on a weight that stays as it is");
    }
    return true;
}

bool oq_plan_drop_infinite(onnxq_plan *plan, onnxq_error *error)
{
    for (size_t i = 0; i < plan->n_constants; i++) {
        struct oq_constant *constant = &plan->constants[i];
        constant->has_infinity = !is_finite(constant);
        if (constant->has_infinity)
            keep_all(constant, "holds NaN or infinity");
    }
    spread(plan, "depends on a weight that holds NaN or infinity");
    if (!drop_unworthy(plan, error))
        return false;
    for (size_t i = 0; i < plan->n_constants; i++) {
        if (!plan->constants[i].has_infinity)
            continue;
        plan->constants[i].ranges = NULL;
        plan->constants[i].quantized = NULL;
        plan->constants[i].fold = NULL;
    }
    return true;
}

/* --- what 8 bits round too coarsely --- */

/*
 * Rounding error of a weight, relative to its norm, from which on 8 bits are not
 * enough: 5.5 standard deviations between a channel's largest weight and 0. Normal
 * values have 3 to 4. With it silero_vad decides on speech as its float model does
 * (docs/decisions.md).
 */
#define MAX_ROUNDING 0.0125

static float largest(const struct oq_ranges *ranges, uint64_t i)
{
    return fmaxf(-oq_key_to_float(ranges->lo[i]), oq_key_to_float(ranges->hi[i]));
}

/* Rounding is uniform over a step: its variance is scale^2 / 12. A channel of zeros has no error.
 */
static double rounding(const struct oq_ranges *ranges)
{
    double sum = 0;
    uint64_t count = ranges->source->nelem / ranges->n_scales;
    for (uint64_t i = 0; i < ranges->n_scales; i++)
        sum += largest(ranges, i) == 0
                   ? 0
                   : (double)ranges->scale[i] * (double)ranges->scale[i] / 12 * (double)count;
    return ranges->sum_squares > 0 ? sqrt(sum / ranges->sum_squares) : 0;
}

static bool widen(onnxq_plan *plan, struct oq_constant *constant, const char *reason,
                  onnxq_error *error)
{
    struct oq_quantized *q = constant->fold;
    const struct oq_ranges *ranges = q->ranges;
    float *scale = oq_arena_array(&plan->arena, (size_t)ranges->n_scales, sizeof(*scale));
    if (scale == NULL || reason == NULL)
        return oq_arena_fail(&plan->arena, error);
    q->is_wide = true;
    q->is_unsigned = false;
    q->qmax = INT16_MAX;
    q->qmin = -q->qmax;
    q->scale = scale;
    for (uint64_t i = 0; i < ranges->n_scales; i++) {
        scale[i] = oq_usable_scale(largest(ranges, i) / q->qmax);
        q->zero_point[i] = 0;
    }
    for (size_t i = 0; i < constant->n_sites; i++) {
        if (constant->sites[i].action != ONNXQ_FOLD)
            continue;
        constant->sites[i].form =
            plan->options.method == ONNXQ_METHOD_QDQ ? "DequantizeLinear" : "int16 folded at load";
        constant->sites[i].reason = reason;
    }
    return true;
}

bool oq_plan_may_widen(const onnxq_plan *plan, const struct oq_constant *constant)
{
    const onnxq_options *options = &plan->options;
    if (constant->source.dtype->nbits <= 16 ||
        (options->method == ONNXQ_METHOD_QDQ && plan->model->opset < OQ_OPSET_DEQUANTIZE_INT16))
        return false;
    return options->fold_bits == 16 || (options->fold_bits == 0 && plan->is_recurrent);
}

/* Why a weight gets 16 bits, or NULL where it does not. */
static const char *reason_to_widen(onnxq_plan *plan, const struct oq_constant *constant)
{
    const onnxq_options *options = &plan->options;
    /*
     * Who asks for 4 bits or for blocks gets them. Integer operators take 8 bits: what
     * they share with a fold stays.
     */
    if (constant->fold == NULL || constant->fold->blocks != NULL ||
        constant->fold->ranges->is_4_bits || constant->fold->n_products > 0 ||
        !oq_plan_may_widen(plan, constant))
        return NULL;
    if (options->fold_bits == 16)
        return "--fold-bits 16";
    plan->summary.n_undecided += plan->is_estimate && plan->is_recurrent;
    double error = plan->is_recurrent ? rounding(constant->fold->ranges) : 0;
    return error > MAX_ROUNDING ? oq_arena_printf(&plan->arena,
                                                  "8 bits would round by %.1f %%, in a model that "
                                                  "is recurrent",
                                                  100 * error)
                                : NULL;
}

bool oq_plan_widen(onnxq_plan *plan, onnxq_error *error)
{
    for (size_t i = 0; i < plan->n_constants; i++) {
        struct oq_constant *constant = &plan->constants[i];
        const char *reason = reason_to_widen(plan, constant);
        if (reason != NULL && !widen(plan, constant, reason, error))
            return false;
    }
    return true;
}
