/*
 * First layers that lose their inputs in integers, told from their weight. All activations have
 * one scale there. Where a network was trained behind a scaler that was made part of its first
 * layer, rows of the weight are as unlike as the features were, the other way round: beside
 * seconds since 1970, a share between 0 and 1 is nothing. And where each output is one input, as
 * in trees that are written as products, no sum averages what rounding does to it; that is so of
 * all layers.
 *
 * All inputs are looked at, with some of the outputs: norms need no more.
 */
#include <math.h>

#include "base/checked.h"
#include "operators/operators.h"
#include "quantize/decide/steps.h"
#include "quantize/decide/view.h"

/* Of a first look. */
#define MAX_LOOKED ((uint64_t)64)

/* Of fewer, the norms of an input are small by chance. */
#define MIN_OUTPUTS ((uint64_t)32)

/*
 * The root mean square of the norms against the smallest that is not zero: features that are the
 * inverse of the norms are off by 0.9 % times that. See docs/decisions.md.
 */
#define MOST_UNLIKE 16.0

/* The same of 16 bits, with no scales of inputs. */
#define MOST_UNLIKE_IN_16_BITS 512.0

/* Of most weights the beginning tells that they are no selection: two inputs of an output are. */
static bool may_select(const struct oq_view *view, float *x, void *scratch)
{
    const uint64_t width = view->is_turned ? view->n_inputs : view->n_all_outputs;
    const uint64_t n = oq_min_u64(width, MAX_LOOKED);
    onnxq_error ignored;
    uint64_t n_first = 0, n_both = 0;
    if (view->n_taps > 1 ||
        !oq_source_read_floats(view->source, 0, (size_t)n, x, scratch, &ignored) ||
        !oq_source_read_floats(view->source, width, (size_t)n, x + n, scratch, &ignored))
        return false;
    for (uint64_t i = 0; i < n; i++) {
        n_first += x[i] != 0;
        n_both += x[i] != 0 && x[n + i] != 0;
    }
    return view->is_turned ? n_first <= 1 : n_both == 0;
}

/* Each output is one input, or none, as few are. */
static bool is_selection(const struct oq_view *view, float *x)
{
    uint64_t all = 0;
    for (uint64_t o = 0; o < view->n_outputs; o++) {
        uint64_t n = 0;
        for (uint64_t i = 0; i < view->n_inputs; i++)
            n += *oq_view_element(view, x, i, o) != 0;
        if (n > 1)
            return false;
        all += n;
    }
    return 2 * all >= view->n_outputs;
}

/* Each output counts the same, whatever its size. */
static void divide_by_size(const struct oq_view *view, float *x)
{
    uint64_t input_stride = view->is_turned ? 1 : view->n_outputs;
    uint64_t output_stride = view->is_turned ? view->n_inputs : 1;
    for (uint64_t o = 0; o < view->n_outputs; o++) {
        float largest = 0, *first = x + o * output_stride;
        for (uint64_t i = 0; i < view->n_inputs; i++)
            largest = fmaxf(largest, fabsf(first[i * input_stride]));
        for (uint64_t i = 0; i < view->n_inputs && largest > 0; i++)
            first[i * input_stride] /= largest;
    }
}

/* The root mean square of the norms of inputs, against the smallest that is not zero. */
static double measure_unlikeness(const struct oq_view *view, float *x)
{
    double sum = 0, smallest = INFINITY;
    uint64_t n = 0;
    for (uint64_t i = 0; i < view->n_inputs; i++) {
        double squares = 0;
        for (uint64_t o = 0; o < view->n_outputs; o++) {
            double w = (double)*oq_view_element(view, x, i, o);
            squares += w * w;
        }
        sum += squares;
        n += squares > 0;
        smallest = squares > 0 ? fmin(smallest, squares) : smallest;
    }
    return n > 1 && isfinite(sum) ? sqrt(sum / (double)n / smallest) : 1;
}

static const char *judge(const struct oq_view *view, float *x, bool is_fed, enum oq_unlike *wants)
{
    if (is_selection(view, x))
        return "each of its outputs is one input";
    if (!is_fed)
        return NULL;
    divide_by_size(view, x);
    const double unlikeness = measure_unlikeness(view, x);
    *wants = unlikeness > MOST_UNLIKE_IN_16_BITS ? OQ_UNLIKE_FLOAT : OQ_UNLIKE_16_BITS;
    return unlikeness > MOST_UNLIKE ? "its inputs are of unlike size" : NULL;
}

const char *oq_plan_refuse_unlike(onnxq_plan *plan, const struct oq_site *site,
                                  enum oq_unlike *wants)
{
    struct oq_view view;
    struct oq_arena arena;
    const char *reason = NULL;
    *wants = OQ_UNLIKE_ANY_BITS;
    if (!oq_view_find(site, &view) || view.n_inputs == 1 || view.n_outputs < MIN_OUTPUTS)
        return NULL;
    const bool is_fed = oq_site_is_fed(plan, site);
    oq_arena_init(&arena, SIZE_MAX);
    float *x =
        oq_arena_array(&arena, (size_t)(view.n_inputs * view.n_taps * view.n_outputs), sizeof(*x));
    void *scratch = oq_arena_alloc(&arena, OQ_READ_SCRATCH_NBYTES);
    plan->arena.failed |= arena.failed;
    if (!arena.failed && (is_fed || may_select(&view, x, scratch)) &&
        oq_view_read(&view, x, scratch))
        reason = judge(&view, x, is_fed, wants);
    oq_arena_fini(&arena);
    return reason;
}
