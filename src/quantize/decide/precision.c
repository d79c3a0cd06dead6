/*
 * What the measured numbers say about the way in which a weight is stored: as
 * the rules have it, in 16 bits, or not at all.
 *
 * Rounding is told from what it leaves of a typical number: the geometric mean
 * of the ordinary numbers of a channel, against a step of 8 bits for its
 * largest. A sum of squares would not tell: where one number is 1e10 and all
 * others are 1, the largest is all there is of it. And numbers near 0 do not
 * count, as trained weights have many that died out.
 *
 * Where the numbers object to what the rules chose, the rules are asked again
 * with that in mind: what follows from it, for the operator's other weight or
 * along a chain of operators, they know.
 */
#include <math.h>

#include "quantize/analyze/fate.h"
#include "quantize/rules/rules.h"
#include "quantize/numbers/scale.h"
#include "quantize/decide/steps.h"

/*
 * A weight is no good in 8 bits where any channel, or block, leaves a typical
 * number less than the first of these, or where more than the second, as a part
 * of all, are in channels that leave it less than OQ_LEAST_BITS. Of 44 published
 * models none has worse than -4.7, and 0.01 (docs/decisions.md).
 */
#define LEAST_OF_ANY (-6.0)
#define MOST_LOST    0.05

/* 16 bits are worth while where they make a typical number a step at least. */
#define LEAST_OF_16_BITS 0.0
#define MORE_OF_16_BITS  8.0 /* than of 8 */

/* And of what meets others one by one, 16 steps: beside a penalty of -10000 a score has 2. */
#define LEAST_OF_ELEMENTS 4.0

/*
 * A folded weight of a recurrent model gets 16 bits below this, on average: such
 * a model carries what rounding has changed on from step to step, and decides by it.
 */
#define LEAST_OF_RECURRENT 3.5

/* --- what is known of a weight --- */

static float largest_of_range(int32_t lo, int32_t hi)
{
    return fmaxf(-oq_key_to_float(lo), oq_key_to_float(hi));
}

static float largest_of_channel(const struct oq_ranges *ranges, uint64_t i)
{
    return largest_of_range(ranges->lo[i], ranges->hi[i]);
}

static float reach_of_channel(const struct oq_ranges *ranges, uint64_t i)
{
    return oq_reach(oq_key_to_float(ranges->lo[i]), oq_key_to_float(ranges->hi[i]),
                    ranges->symmetric);
}

/* Of the whole weight. */
struct summary {
    int32_t lo, hi;
    double worst_bits, mean_bits; /* of channels or blocks, and of all ordinary numbers */
    double lost;                  /* the part of those in channels of which most is lost */
    bool has_unscaled;            /* channels or blocks that are rounded to 0 */
    float finest, coarsest;       /* scales; 0 where none is a normal float */
};

static struct summary summarize_blocks(const struct oq_ranges *ranges)
{
    const struct oq_blocks_found *found = &ranges->found;
    return (struct summary){.lo = found->lo,
                            .hi = found->hi,
                            .worst_bits = found->worst_bits,
                            .mean_bits = found->n_ordinary > 0 ? found->sum_bits / found->n_ordinary
                                                               : INFINITY,
                            .lost = found->n_ordinary > 0 ? found->n_lost / found->n_ordinary : 0,
                            .has_unscaled = found->has_unscaled,
                            .finest = isfinite(found->finest) ? found->finest : 0,
                            .coarsest = oq_is_usable_scale(found->largest) ? found->largest : 0};
}

static struct summary summarize(const struct oq_ranges *ranges)
{
    struct summary all = {
        .lo = OQ_KEY_NONE_LO, .hi = OQ_KEY_NONE_HI, .worst_bits = INFINITY, .mean_bits = INFINITY};
    double sum = 0, n = 0, lost = 0;
    if (ranges->blocks != NULL)
        return summarize_blocks(ranges);
    all.has_unscaled = ranges->has_unscaled;
    all.finest = all.coarsest = ranges->scale[0];
    for (uint64_t i = 0; i < ranges->n_scales; i++) {
        const struct oq_level *level = &ranges->levels[i];
        all.lo = ranges->lo[i] < all.lo ? ranges->lo[i] : all.lo;
        all.hi = ranges->hi[i] > all.hi ? ranges->hi[i] : all.hi;
        all.finest = fminf(all.finest, ranges->scale[i]);
        all.coarsest = fmaxf(all.coarsest, ranges->scale[i]);
        if (level->count == 0)
            continue;
        float reach = ldexpf(reach_of_channel(ranges, i), ranges->lift);
        double bits = oq_bits_left(reach, level->count, level->octaves);
        all.worst_bits = fmin(all.worst_bits, bits);
        sum += bits * (double)level->count;
        n += (double)level->count;
        lost += bits < OQ_LEAST_BITS ? (double)level->count : 0;
    }
    if (n > 0) {
        all.mean_bits = sum / n;
        all.lost = lost / n;
    }
    return all;
}

static bool is_finite(const struct summary *summary)
{
    return summary->lo > oq_key_from_float(-INFINITY) && summary->hi < oq_key_from_float(INFINITY);
}

/* --- objections --- */

/* What is stricter than what was known of it. */
static bool object(struct oq_constant *constant, enum oq_need need, const char *reason)
{
    if (need <= constant->need)
        return false;
    constant->need = need;
    constant->need_reason = reason;
    return true;
}

/* Who asks for 8 bits gets no 16. */
void oq_plan_need_16_bits(const onnxq_plan *plan, struct oq_constant *constant, const char *reason)
{
    object(constant, oq_plan_can_have_16_bits(plan, constant) ? OQ_NEEDS_16_BITS : OQ_NEEDS_FLOAT,
           reason);
}

void oq_plan_need_float(struct oq_constant *constant, const char *reason)
{
    object(constant, OQ_NEEDS_FLOAT, reason);
}

/* DequantizeLinear takes 16 bits from opset 21 on; before, they are multiplied out. */
static bool is_dequantized(const onnxq_plan *plan)
{
    return plan->options.method == ONNXQ_METHOD_QDQ &&
           plan->model->opset >= OQ_OPSET_DEQUANTIZE_INT16;
}

static const char *describe_coarseness(onnxq_plan *plan, double bits)
{
    const char *reason = oq_arena_printf(
        &plan->arena, "a typical weight keeps %.1f of 8 bits, in a recurrence", fmax(bits, 0));
    return reason == NULL ? "" : reason;
}

static bool object_to_rounding(onnxq_plan *plan, struct oq_constant *constant,
                               const struct summary *summary, bool is_4_bits)
{
    const double least = constant->is_element ? LEAST_OF_ELEMENTS : LEAST_OF_16_BITS;
    const bool is_wide_enough = summary->worst_bits + MORE_OF_16_BITS >= least;
    if (summary->worst_bits >= LEAST_OF_ANY && summary->lost <= MOST_LOST &&
        (is_wide_enough || !constant->is_element))
        return false;
    bool is_wide = is_wide_enough && !is_4_bits && oq_plan_can_have_16_bits(plan, constant);
    enum oq_need need = is_wide ? OQ_NEEDS_16_BITS : OQ_NEEDS_FLOAT;
    if (need <= constant->need)
        return false;
    const char *reason = oq_arena_printf(
        &plan->arena, "most of it is lost in %s beside its largest number, %.2g",
        is_wide ? "8 bits" : "integers", (double)largest_of_range(summary->lo, summary->hi));
    return object(constant, need, reason == NULL ? "" : reason);
}

/* A channel that is not zero has no scale in 16 bits, either. Of blocks it is not known. */
static bool has_tiny_channel(const struct oq_ranges *ranges)
{
    for (uint64_t i = 0; ranges->blocks == NULL && i < ranges->n_scales; i++) {
        float largest = largest_of_channel(ranges, i);
        if (largest != 0 && !oq_is_usable_scale(largest / INT16_MAX))
            return true;
    }
    return ranges->blocks != NULL;
}

/* Nothing of it is rounded here. */
static bool is_imported(const struct oq_ranges *ranges)
{
    return ranges->blocks != NULL && ranges->blocks->choice.import != NULL;
}

static bool object_to_ranges(onnxq_plan *plan, struct oq_constant *constant,
                             const struct oq_ranges *ranges)
{
    if (is_imported(ranges))
        return false;
    const struct summary summary = summarize(ranges);
    if (!is_finite(&summary))
        return object(constant, OQ_NEEDS_FLOAT, "holds NaN or infinity");
    float largest = largest_of_range(summary.lo, summary.hi);
    /* Beside a number from which float32 would not tell them, such channels are as good as 0. */
    bool is_lost = summary.has_unscaled && largest * FLT_EPSILON < OQ_UNSCALED_MAX;
    if (is_lost || (largest != 0 && !oq_is_usable_scale(largest / 127)))
        return object(constant, OQ_NEEDS_FLOAT, "too small for a scale in float32");
    return object_to_rounding(plan, constant, &summary, ranges->is_4_bits);
}

static bool has_4_bits(const struct oq_constant *constant)
{
    for (const struct oq_ranges *r = constant->ranges; r != NULL; r = r->next)
        if (r->is_4_bits || (r->blocks != NULL && r->blocks->choice.bits != ONNXQ_BITS_8))
            return true;
    return false;
}

/* What is left of the spread is noise in more rows or columns than real models have. */
static bool object_to_spread(const onnxq_plan *plan, struct oq_constant *constant)
{
    const struct oq_hidden *spread = &constant->spread;
    static const char reason[] = "its numbers differ by less than what they have in common";
    double lost = has_4_bits(constant) ? spread->lost_in_4_bits : spread->lost_in_8_bits;
    if (!spread->is_measured || lost <= MOST_LOST || !oq_fate_is_centered(plan, constant))
        return false;
    enum oq_need before = constant->need;
    if (spread->lost_in_16_bits <= MOST_LOST)
        oq_plan_need_16_bits(plan, constant, reason);
    else
        object(constant, OQ_NEEDS_FLOAT, reason);
    return constant->need != before;
}

/*
 * What is near the numbers that it meets differs from them by less than it differs from itself:
 * places far from where they are counted from. In 16 bits a step is of what is common to all.
 */
static bool object_to_offset(const onnxq_plan *plan, struct oq_constant *constant)
{
    return constant->is_element && oq_fate_is_term(plan, constant) &&
           constant->spread.offset > MOST_LOST &&
           object(constant, OQ_NEEDS_FLOAT,
                  "meets other numbers one by one, and has more in common than it differs by");
}

/* What would have 16 bits in a recurrent model, and has none: float16 is no larger. */
static bool object_to_coarseness(onnxq_plan *plan, struct oq_constant *constant)
{
    const struct oq_quantized *fold = constant->fold;
    if (!constant->is_recurrent || fold == NULL || fold->blocks != NULL || fold->n_products > 0 ||
        plan->options.fold_bits == 8 || oq_plan_can_have_16_bits(plan, constant))
        return false;
    double bits = summarize(fold->ranges).mean_bits;
    return bits < LEAST_OF_RECURRENT &&
           object(constant, OQ_NEEDS_FLOAT, describe_coarseness(plan, bits));
}

/* Its numbers count by their own size, which a step of the largest one does not heed. */
static bool object_to_decades(const onnxq_plan *plan, struct oq_constant *constant)
{
    return constant->spread.lost_by_size > MOST_LOST && plan->options.fold_bits != 8 &&
           oq_fate_is_small(plan, constant) &&
           object(constant, OQ_NEEDS_FLOAT,
                  "small results of its product matter, and it spans too much for 16 bits");
}

/* A factor that an integer operator's scales take in has to leave them what they are. */
static bool object_to_factor(struct oq_constant *constant, const struct oq_site *site)
{
    if (site->action != ONNXQ_DYNAMIC || site->factor == 0 || site->factor == 1 ||
        site->through != NULL)
        return false;
    const struct summary summary = summarize(site->quantized->ranges);
    float finest = summary.finest * site->factor, coarsest = summary.coarsest * site->factor;
    /* Blocks of zeros have a scale for no more than float32 tells beside 1: engines sum it up. */
    if (summary.coarsest == 0)
        return fabsf(site->factor) > 1 &&
               object(constant, OQ_NEEDS_FOLDING, "zeros, and alpha makes noise of their scale");
    if (oq_is_usable_scale(finest) && isfinite(coarsest * 255))
        return false;
    return object(constant, OQ_NEEDS_FOLDING, "its scales times alpha are no normal numbers");
}

/*
 * MatMulNBits, which engines also make of DequantizeLinear and a product, adds up rows of weights
 * and activations before it subtracts what is too much: beside activations of ordinary size, that
 * must stay finite.
 */
static bool object_to_sums(const onnxq_plan *plan, struct oq_constant *constant,
                           const struct oq_site *site)
{
    bool multiplies = site->rule != NULL && site->quantized != NULL &&
                      (site->rule->op == OQ_ONNX_MatMul || site->rule->op == OQ_ONNX_Gemm);
    bool is_dequantized = plan->options.method == ONNXQ_METHOD_QDQ && !site->is_multiplied;
    if (!multiplies || (site->blocks.form == OQ_BLOCKS_NONE && !is_dequantized))
        return false;
    const struct summary summary = summarize(site->quantized->ranges);
    double sum = (double)largest_of_range(summary.lo, summary.hi) * (double)constant->source.nelem /
                 OQ_ORDINARY_MIN;
    return sum > (double)FLT_MAX &&
           object(constant, is_dequantized ? OQ_NEEDS_FLOAT : OQ_NEEDS_FOLDING,
                  "so large that its sums with activations could be infinite");
}

/* What norms divide, they must not become zero in. */
static bool object_to_norms(onnxq_plan *plan, struct oq_constant *constant)
{
    if (constant->fold == NULL || !oq_fate_has_norms(plan, constant))
        return false;
    const struct oq_ranges *ranges = constant->fold->ranges;
    const char *reason = oq_fate_refuses_scales(plan, constant, ranges);
    if (reason == NULL && has_tiny_channel(ranges))
        reason = "too small for a scale in float32";
    return reason != NULL && object(constant, OQ_NEEDS_FLOAT, reason);
}

/* What is stored for somebody else is known of both. */
static bool pass_on(struct oq_constant *constant, const struct oq_site *site)
{
    const struct oq_quantized *quantized = site->quantized;
    const struct oq_constant *owner = quantized == NULL ? NULL : quantized->ranges->constant;
    return owner != NULL && object(constant, owner->need, owner->need_reason);
}

static bool give_up(struct oq_constant *constant)
{
    return constant->quantized != NULL &&
           object(constant, OQ_NEEDS_FLOAT, "too many weights depend on each other");
}

bool oq_plan_object(onnxq_plan *plan, bool last)
{
    bool is_new = false;
    for (size_t i = 0; i < plan->n_constants; i++)
        for (struct oq_ranges *r = plan->constants[i].ranges; r != NULL; r = r->next)
            is_new |= object_to_ranges(plan, &plan->constants[i], r);
    for (size_t i = 0; i < plan->n_constants; i++) {
        struct oq_constant *constant = &plan->constants[i];
        is_new |= object_to_norms(plan, constant);
        is_new |= object_to_coarseness(plan, constant);
        is_new |= object_to_decades(plan, constant);
        is_new |= object_to_spread(plan, constant);
        is_new |= object_to_offset(plan, constant);
        for (size_t k = 0; k < constant->n_sites; k++) {
            if (constant->sites[k].import == NULL) {
                is_new |= object_to_factor(constant, &constant->sites[k]);
                is_new |= object_to_sums(plan, constant, &constant->sites[k]);
            }
            is_new |= pass_on(constant, &constant->sites[k]);
        }
    }
    for (size_t i = 0; is_new && last && i < plan->n_constants; i++)
        give_up(&plan->constants[i]);
    return is_new;
}

/* --- 16 bits --- */

/* No finer than a normal number: what has a scale in 8 bits has one in 16. */
static float wide_scale(float largest, float qmax, int32_t data_type)
{
    if (!oq_is_usable_scale(largest))
        return 0;
    return oq_finite_scale(fmaxf(largest / qmax, FLT_MIN), qmax, oq_largest_of_type(data_type));
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
    constant->is_multiplied |= !is_dequantized(plan);
    for (uint64_t i = 0; i < ranges->n_scales; i++) {
        scale[i] = wide_scale(largest_of_channel(ranges, i), q->qmax, constant->source.data_type);
        q->zero_point[i] = 0;
    }
    oq_fill_scales(scale, ranges->n_scales);
    for (size_t i = 0; i < constant->n_sites; i++) {
        if (constant->sites[i].action != ONNXQ_FOLD)
            continue;
        constant->sites[i].form =
            constant->is_multiplied ? "int16 folded at load" : "DequantizeLinear";
        constant->sites[i].reason = reason;
    }
    return true;
}

static bool is_smaller_in_16_bits(const onnxq_plan *plan, const struct oq_constant *constant)
{
    for (size_t i = 0; i < constant->n_sites; i++)
        if (constant->sites[i].action == ONNXQ_FOLD)
            return oq_site_shrinks(plan, &constant->sites[i], true);
    return false;
}

/* Why a weight gets 16 bits, or NULL where it does not. */
static const char *reason_to_widen(onnxq_plan *plan, const struct oq_constant *constant)
{
    const struct oq_quantized *fold = constant->fold;
    /* Integer operators take 8 bits: what they share with a fold stays. */
    if (fold == NULL || fold->blocks != NULL || fold->ranges->is_4_bits || fold->n_products > 0 ||
        !oq_plan_may_widen(plan, constant))
        return NULL;
    const struct summary summary = summarize(fold->ranges);
    if (largest_of_range(summary.lo, summary.hi) < FLT_MIN * INT16_MAX)
        return NULL; /* no scale would be a normal number, but for that of zeros */
    if (!is_smaller_in_16_bits(plan, constant))
        return NULL;
    if (constant->need == OQ_NEEDS_16_BITS)
        return constant->need_reason;
    if (plan->options.fold_bits == 16)
        return "options.fold_bits=16";
    plan->summary.n_undecided += plan->is_estimate && constant->is_recurrent;
    if (!constant->is_recurrent || summary.mean_bits >= LEAST_OF_RECURRENT)
        return NULL;
    return describe_coarseness(plan, summary.mean_bits);
}

/* A typical number keeps enough bits to be folded from these integers. */
static bool is_fine_enough(const struct oq_constant *constant, const struct oq_quantized *q)
{
    return !constant->is_recurrent || summarize(q->ranges).mean_bits >= LEAST_OF_RECURRENT;
}

bool oq_plan_widen(onnxq_plan *plan, onnxq_error *error)
{
    for (size_t i = 0; i < plan->n_constants; i++) {
        struct oq_constant *constant = &plan->constants[i];
        const char *reason = reason_to_widen(plan, constant);
        if (reason != NULL && !widen(plan, constant, reason, error))
            return false;
    }
    for (size_t i = 0; i < plan->n_constants; i++) {
        struct oq_constant *constant = &plan->constants[i];
        struct oq_quantized *shared = oq_plan_find_shared(constant);
        if (shared != NULL && is_fine_enough(constant, shared))
            oq_plan_share(constant, shared);
    }
    return true;
}
