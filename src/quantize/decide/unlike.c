/*
 * First layers that lose their inputs in integers, told from their weight. All activations have
 * one scale there. Where a network was trained behind a scaler that was made part of its first
 * layer, rows of the weight are as unlike as the features were, the other way round: beside
 * seconds since 1970, a share between 0 and 1 is nothing. And where each output is one input, as
 * in trees that are written as products, no sum averages what rounding does to it.
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

/* Of a weight: as [inputs, outputs], or [outputs, inputs]. */
struct view {
    const struct oq_source *source;
    uint64_t n_inputs, n_outputs; /* of the latter, those that are looked at */
    bool is_turned;
};

static bool hands_on(const Oq__Pb__NodeProto *node)
{
    return oq_operator_role(oq_operator_of(node), 0) == OQ_PASSED;
}

static bool is_fed(const struct oq_site *site)
{
    const struct oq_value *value = oq_graph_find(site->graph, oq_node_input(site->node, 0));
    for (unsigned i = 0; i < MAX_STEPS && value != NULL && value->origin == OQ_ORIGIN_NODE; i++) {
        const Oq__Pb__NodeProto *node = oq_value_node(value);
        value = node != NULL && hands_on(node) ? oq_graph_find(value->graph, oq_node_input(node, 0))
                                               : NULL;
    }
    return value != NULL && value->origin == OQ_ORIGIN_INPUT && value->graph->parent == NULL;
}

static bool find_view(const struct oq_site *site, struct view *view)
{
    const struct oq_source *source = &site->constant->source;
    bool is_gemm = oq_node_is(site->node, "", "Gemm");
    if ((!is_gemm && !oq_node_is(site->node, "", "MatMul")) || site->input != 1 ||
        source->n_dims != 2 || source->transposed || source->nelem == 0 || !is_fed(site))
        return false;
    view->source = source;
    view->is_turned = is_gemm && oq_node_int(site->node, "transB", 0) != 0;
    view->n_inputs = (uint64_t)source->dims[view->is_turned ? 1 : 0];
    view->n_outputs = oq_min_u64((uint64_t)source->dims[view->is_turned ? 0 : 1], MAX_OUTPUTS);
    view->n_outputs = oq_min_u64(view->n_outputs, MAX_ELEMENTS / view->n_inputs);
    return view->n_inputs > 1 && view->n_outputs >= MIN_OUTPUTS;
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

static bool is_unlike(const struct view *view, const float *x)
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
    return n > 1 && isfinite(sum) && sqrt(sum / (double)n) > MOST_UNLIKE * sqrt(smallest);
}

const char *oq_plan_refuse_unlike(const struct oq_site *site, bool *selects)
{
    struct view view;
    struct oq_arena arena;
    const char *reason = NULL;
    if (!find_view(site, &view))
        return NULL;
    oq_arena_init(&arena, SIZE_MAX);
    float *x = oq_arena_array(&arena, (size_t)(view.n_inputs * view.n_outputs), sizeof(*x));
    void *scratch = oq_arena_alloc(&arena, OQ_READ_SCRATCH_NBYTES);
    if (x != NULL && scratch != NULL && read_view(&view, x, scratch)) {
        *selects = is_selection(&view, x);
        if (!*selects)
            divide_by_size(&view, x);
        if (*selects)
            reason = "each of its outputs is one input";
        else if (is_unlike(&view, x))
            reason = "its inputs are of unlike size";
    }
    oq_arena_fini(&arena);
    return reason;
}
