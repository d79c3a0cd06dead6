/*
 * First layers that lose their features in integers, told from their weight and bias. All
 * activations have one scale there. Three ways lead to it:
 *
 * - Features of unlike size. Where a network was trained behind a scaler that was made part of its
 *   first layer, rows of the weight are as unlike as the features were, the other way round:
 *   beside seconds since 1970, a share between 0 and 1 is nothing.
 *   So they are where a network puts features beside what it has computed.
 * - Features that are a mean and little else: see offset.c.
 * - Each output is one input, as in trees that are written as products: no sum averages what
 *   rounding does to it. That is so of all layers.
 *
 * All inputs are looked at, with some of the outputs: norms need no more.
 */
#include <math.h>

#include "base/checked.h"
#include "operators/operators.h"
#include "quantize/decide/steps.h"
#include "quantize/decide/view.h"

/* --- each output is one input --- */

/* Of a first look. */
#define MAX_LOOKED 64

/* Of most weights the beginning tells that they are no selection: two inputs of an output are. */
static bool may_select(const struct oq_view *view, void *scratch)
{
    float x[2 * MAX_LOOKED];
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

/* --- features of unlike size --- */

/* Of fewer, the norms of an input are small by chance. */
#define MIN_NORM_OUTPUTS ((uint64_t)32)

/*
 * The root mean square of the norms against the smallest that is not zero: features that are the
 * inverse of the norms are off by 0.9 % times that. See docs/decisions.md.
 */
#define MOST_UNLIKE 16.0

/* The same of 16 bits, with no scales of inputs. */
#define MOST_UNLIKE_IN_16_BITS 512.0

/* Each output counts the same, whatever its size. */
static void divide_by_size(const struct oq_view *view, float *x)
{
    for (uint64_t o = 0; o < view->n_outputs; o++) {
        float largest = 0, *first = oq_view_element(view, x, 0, o);
        for (uint64_t i = 0; i < view->n_inputs; i++)
            largest = fmaxf(largest, fabsf(first[i * view->input_stride]));
        for (uint64_t i = 0; i < view->n_inputs && largest > 0; i++)
            first[i * view->input_stride] /= largest;
    }
}

static bool is_feature(const struct oq_fed *fed, uint64_t input)
{
    for (size_t i = 0; i < fed->n; i++)
        if (input >= fed->rows[i].first && input < fed->rows[i].end)
            return true;
    return false;
}

/*
 * The root mean square of the norms of inputs, against the smallest that is not zero. Those that
 * the network has computed count as one, as some of them died out.
 */
static double measure_unlikeness(const struct oq_view *view, float *x, const struct oq_fed *fed)
{
    double sum = 0, smallest = INFINITY, sum_of_others = 0;
    uint64_t n = 0, n_others = 0;
    for (uint64_t i = 0; i < view->n_inputs; i++) {
        const double squares =
            oq_sum_squares(oq_view_element(view, x, i, 0), view->n_outputs, view->output_stride);
        const bool is_other = squares > 0 && !is_feature(fed, i);
        sum += squares;
        sum_of_others += is_other ? squares : 0;
        n_others += is_other;
        n += squares > 0;
        smallest = squares > 0 && !is_other ? fmin(smallest, squares) : smallest;
    }
    if (n_others > 0)
        smallest = fmin(smallest, sum_of_others / (double)n_others);
    return n > 1 && isfinite(sum) ? sqrt(sum / (double)n / smallest) : 1;
}

static struct oq_objection judge_inputs(const struct oq_view *view, float *x,
                                        const struct oq_fed *fed)
{
    if (is_selection(view, x))
        return (struct oq_objection){"each of its outputs is one input", OQ_ANY_BITS};
    if (fed->n == 0)
        return (struct oq_objection){NULL, OQ_ANY_BITS};
    divide_by_size(view, x);
    const double unlikeness = measure_unlikeness(view, x, fed);
    if (unlikeness > MOST_UNLIKE_IN_16_BITS)
        return (struct oq_objection){"its inputs are of unlike size", OQ_FLOAT};
    if (unlikeness > MOST_UNLIKE)
        return (struct oq_objection){"its inputs are of unlike size", OQ_16_BITS};
    return (struct oq_objection){NULL, OQ_ANY_BITS};
}

/* --- all of it --- */

/* Of outputs, which offset.c asks for. */
static const double *measure_norms(const struct oq_view *view, float *x, struct oq_arena *arena)
{
    double *norms = oq_arena_array(arena, (size_t)view->n_outputs, sizeof(*norms));
    for (uint64_t o = 0; norms != NULL && o < view->n_outputs; o++)
        norms[o] = sqrt(
            oq_sum_squares(oq_view_element(view, x, 0, o), view->n_inputs, view->input_stride));
    return norms;
}

/* What is looked at of a site. */
struct look {
    struct oq_view view;
    struct oq_fed fed;
    struct oq_offset offset;
    bool asks_inputs, asks_offset;
};

static bool has_inputs(const struct oq_view *view)
{
    return view->n_inputs > 1 && view->n_outputs >= MIN_NORM_OUTPUTS;
}

static bool wants_look(const onnxq_plan *plan, const struct oq_site *site, struct look *look)
{
    const struct oq_view *view = &look->view;
    if (site->node->n_output == 0 || !oq_view_find(site, &look->view))
        return false;
    if (view->n_outputs >= OQ_MIN_BIASES)
        oq_site_find_fed(plan, site, view->n_inputs, &look->fed);
    look->asks_inputs = site->needs_floats == NULL && has_inputs(view);
    look->asks_offset =
        look->fed.n > 0 && oq_offset_find(plan, site, view->n_all_outputs, &look->offset);
    return look->asks_inputs || look->asks_offset;
}

/* Sites that see the same in the weight take features at the same places. */
static bool is_seen(const struct oq_seen_weight *seen, const struct oq_view *view)
{
    struct oq_view before;
    return seen->site != NULL && oq_view_find(seen->site, &before) &&
           before.n_inputs == view->n_inputs && before.n_taps == view->n_taps &&
           before.n_all_outputs == view->n_all_outputs;
}

static void look_at_weight(onnxq_plan *plan, const struct look *look, void *scratch,
                           struct oq_seen_weight *seen)
{
    const struct oq_view *view = &look->view;
    struct oq_arena arena;
    if (look->fed.n == 0 && !may_select(view, scratch))
        return;
    oq_arena_init(&arena, SIZE_MAX);
    float *x = oq_arena_array(&arena, (size_t)(view->n_inputs * view->n_taps * view->n_outputs),
                              sizeof(*x));
    plan->arena.failed |= arena.failed;
    if (x != NULL && oq_view_read(view, x, scratch)) {
        if (look->fed.n > 0)
            seen->norms = measure_norms(view, x, &plan->arena);
        if (has_inputs(view))
            seen->inputs = judge_inputs(view, x, &look->fed);
    }
    oq_arena_fini(&arena);
}

void oq_plan_look_at_features(onnxq_plan *plan, struct oq_constant *constant,
                              const struct oq_site *site, struct oq_objection *inputs,
                              struct oq_objection *offset)
{
    struct look look = {.asks_offset = false};
    *inputs = *offset = (struct oq_objection){NULL, OQ_ANY_BITS};
    struct oq_read_room *room = oq_plan_read_room(plan);
    if (room == NULL || !wants_look(plan, site, &look))
        return;
    const size_t kind = look.fed.is_all ? 2 : look.fed.n > 0;
    struct oq_seen_weight *seen = &constant->seen[2 * kind + look.view.is_turned];
    if (!is_seen(seen, &look.view)) {
        *seen = (struct oq_seen_weight){.site = site};
        look_at_weight(plan, &look, room->scratch, seen);
    }
    if (look.asks_offset && seen->norms != NULL)
        *offset = oq_offset_judge(&look.offset, seen->norms, look.view.n_outputs, room->scratch);
    if (look.asks_inputs)
        *inputs = seen->inputs;
}
