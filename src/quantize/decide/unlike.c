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

#define MAX_OUTPUTS ((uint64_t)64)

/* Of fewer, the norms of an input are small by chance. */
#define MIN_OUTPUTS ((uint64_t)32)

/* 4 MB: inputs by outputs. */
#define MAX_ELEMENTS ((uint64_t)1 << 20)

/* Nodes that hand inputs of the model on. */
#define MAX_STEPS 8

/*
 * The root mean square of the norms against the smallest that is not zero: features that are the
 * inverse of the norms are off by 0.9 % times that. See docs/decisions.md.
 */
#define MOST_UNLIKE 16.0

/* The same of 16 bits, with no scales of inputs. */
#define MOST_UNLIKE_IN_16_BITS 512.0

/* Of a weight: as [inputs, outputs], or [outputs, inputs]. */
struct view {
    const struct oq_source *source;
    uint64_t n_inputs, n_outputs; /* of the latter, those that are looked at */
    bool is_turned;
};

/* Rearranged, or with an offset or a factor of its own for each feature: input number *input. */
static bool hands_on(const onnxq_plan *plan, const struct oq_value *value, size_t *input)
{
    const Oq__Pb__NodeProto *node = oq_value_node(value);
    static const char *const scaling[] = {"Sub", "Div", "Add", "Mul"};
    *input = 0;
    if (node == NULL || oq_operator_role(oq_operator_of(node), 0) == OQ_PASSED)
        return node != NULL;
    for (size_t i = 0; i < sizeof(scaling) / sizeof(scaling[0]); i++) {
        if (!oq_node_is(node, "", scaling[i]))
            continue;
        *input = oq_plan_constant(plan, value->graph, oq_node_input(node, 0)) != NULL;
        return oq_plan_constant(plan, value->graph, oq_node_input(node, 1 - *input)) != NULL;
    }
    return false;
}

bool oq_site_is_fed(const onnxq_plan *plan, const struct oq_site *site)
{
    const struct oq_value *value =
        oq_graph_find(site->graph, oq_node_input(site->node, site->input == 0 ? 1 : 0));
    size_t input;
    for (unsigned i = 0; i < MAX_STEPS && value != NULL && value->origin == OQ_ORIGIN_NODE; i++)
        value = hands_on(plan, value, &input)
                    ? oq_graph_find(value->graph, oq_node_input(oq_value_node(value), input))
                    : NULL;
    return value != NULL && value->origin == OQ_ORIGIN_INPUT && value->graph->parent == NULL;
}

static bool find_view(const struct oq_site *site, struct view *view)
{
    const struct oq_source *source = &site->constant->source;
    bool is_gemm = oq_node_is(site->node, "", "Gemm");
    if ((!is_gemm && !oq_node_is(site->node, "", "MatMul")) || site->input != 1 ||
        source->n_dims != 2 || source->transposed || source->nelem == 0)
        return false;
    view->source = source;
    view->is_turned = is_gemm && oq_node_int(site->node, "transB", 0) != 0;
    view->n_inputs = (uint64_t)source->dims[view->is_turned ? 1 : 0];
    view->n_outputs = oq_min_u64((uint64_t)source->dims[view->is_turned ? 0 : 1], MAX_OUTPUTS);
    view->n_outputs = oq_min_u64(view->n_outputs, MAX_ELEMENTS / view->n_inputs);
    return view->n_inputs > 1 && view->n_outputs >= MIN_OUTPUTS;
}

/* Of most weights the beginning tells that they are no selection: two inputs of an output are. */
static bool may_select(const struct view *view, float *x, void *scratch)
{
    const uint64_t width = (uint64_t)view->source->dims[1];
    const uint64_t n = oq_min_u64(width, MAX_OUTPUTS);
    onnxq_error ignored;
    uint64_t n_first = 0, n_both = 0;
    if (!oq_source_read_floats(view->source, 0, (size_t)n, x, scratch, &ignored) ||
        !oq_source_read_floats(view->source, width, (size_t)n, x + n, scratch, &ignored))
        return false;
    for (uint64_t i = 0; i < n; i++) {
        n_first += x[i] != 0;
        n_both += x[i] != 0 && x[n + i] != 0;
    }
    return view->is_turned ? n_first <= 1 : n_both == 0;
}

/* x: [inputs, outputs] of what is looked at, or turned. */
static bool read_view(const struct view *view, float *x, void *scratch)
{
    uint64_t width = (uint64_t)view->source->dims[1];
    uint64_t n_rows = view->is_turned ? view->n_outputs : view->n_inputs;
    uint64_t n = view->is_turned ? view->n_inputs : view->n_outputs;
    onnxq_error ignored; /* who measures all of it says so */
    for (uint64_t i = 0; i < n_rows; i++)
        if (!oq_source_read_floats(view->source, i * width, (size_t)n, x + i * n, scratch,
                                   &ignored))
            return false;
    return true;
}

static float element(const struct view *view, const float *x, uint64_t input, uint64_t output)
{
    return x[view->is_turned ? output * view->n_inputs + input : input * view->n_outputs + output];
}

/* Each output is one input, or none, as few are. */
static bool is_selection(const struct view *view, const float *x)
{
    uint64_t all = 0;
    for (uint64_t o = 0; o < view->n_outputs; o++) {
        uint64_t n = 0;
        for (uint64_t i = 0; i < view->n_inputs; i++)
            n += element(view, x, i, o) != 0;
        if (n > 1)
            return false;
        all += n;
    }
    return 2 * all >= view->n_outputs;
}

/* Each output counts the same, whatever its size. */
static void divide_by_size(const struct view *view, float *x)
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
static double measure_unlikeness(const struct view *view, const float *x)
{
    double sum = 0, smallest = INFINITY;
    uint64_t n = 0;
    for (uint64_t i = 0; i < view->n_inputs; i++) {
        double squares = 0;
        for (uint64_t o = 0; o < view->n_outputs; o++) {
            double w = (double)element(view, x, i, o);
            squares += w * w;
        }
        sum += squares;
        n += squares > 0;
        smallest = squares > 0 ? fmin(smallest, squares) : smallest;
    }
    return n > 1 && isfinite(sum) ? sqrt(sum / (double)n / smallest) : 1;
}

static const char *judge(const struct view *view, float *x, bool is_fed, enum oq_unlike *wants)
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
    struct view view;
    struct oq_arena arena;
    const char *reason = NULL;
    const bool is_fed = oq_site_is_fed(plan, site);
    *wants = OQ_UNLIKE_ANY_BITS;
    if (!find_view(site, &view))
        return NULL;
    oq_arena_init(&arena, SIZE_MAX);
    float *x = oq_arena_array(&arena, (size_t)(view.n_inputs * view.n_outputs), sizeof(*x));
    void *scratch = oq_arena_alloc(&arena, OQ_READ_SCRATCH_NBYTES);
    plan->arena.failed |= arena.failed;
    if (!arena.failed && (is_fed || may_select(&view, x, scratch)) && read_view(&view, x, scratch))
        reason = judge(&view, x, is_fed, wants);
    oq_arena_fini(&arena);
    return reason;
}
