/*
 * First layers that lose their features in integers, told from their weight and bias. All
 * activations have one scale there. Three ways lead to it:
 *
 * - Features of unlike size. Where a network was trained behind a scaler that was made part of its
 *   first layer, rows of the weight are as unlike as the features were, the other way round:
 *   beside seconds since 1970, a share between 0 and 1 is nothing.
 * - Features that are a mean and little else: years, pressures, degrees Kelvin. The bias takes off
 *   again what the weight makes of the means, and rounding the weight is off by a part of that,
 *   not of what is left. What is left is not known; sums of standardized features have the size of
 *   the weight's norm, and those of a network that learns are about 1. The larger one counts.
 * - Each output is one input, as in trees that are written as products: no sum averages what
 *   rounding does to it. That is so of all layers.
 *
 * All inputs are looked at, with some of the outputs: norms need no more.
 */
#include <math.h>

#include "base/checked.h"
#include "operators/operators.h"
#include "quantize/analyze/fate.h"
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

static struct oq_objection judge_inputs(const struct oq_view *view, float *x, bool is_fed)
{
    if (is_selection(view, x))
        return (struct oq_objection){"each of its outputs is one input", OQ_ANY_BITS};
    if (!is_fed)
        return (struct oq_objection){NULL, OQ_ANY_BITS};
    divide_by_size(view, x);
    const double unlikeness = measure_unlikeness(view, x);
    if (unlikeness > MOST_UNLIKE_IN_16_BITS)
        return (struct oq_objection){"its inputs are of unlike size", OQ_FLOAT};
    if (unlikeness > MOST_UNLIKE)
        return (struct oq_objection){"its inputs are of unlike size", OQ_16_BITS};
    return (struct oq_objection){NULL, OQ_ANY_BITS};
}

/* --- features that are a mean and little else --- */

/* Nodes between a product and the sum with its bias. */
#define MAX_STEPS 4

/* Of fewer, the middle one is any. */
#define MIN_BIASES ((uint64_t)8)

/* Half of the outputs have a bias of so many times what is left: see docs/decisions.md. */
#define MOST_OFFSET            3.0
#define MOST_OFFSET_IN_16_BITS 256.0

struct added_bias {
    const struct oq_constant *constant;
    float factor;        /* of the bias, */
    float weight_factor; /* and of the weight */
    float *x;            /* [outputs] */
};

/* The one node that takes a value, and the number of its input that the value is, or NULL. */
static const Oq__Pb__NodeProto *find_user(const struct oq_value *value, size_t *input)
{
    const struct oq_use *use = value->uses;
    if (use == NULL || use->next != NULL || use->node == OQ_NO_NODE)
        return NULL;
    *input = use->input;
    return use->graph->proto->node[use->node];
}

/* What is added to the product, in a node of its own; rearranging goes before. */
static const struct oq_constant *find_added(const onnxq_plan *plan, const struct oq_value *value)
{
    for (unsigned i = 0; i < MAX_STEPS && value != NULL; i++) {
        size_t input;
        const Oq__Pb__NodeProto *node = find_user(value, &input);
        if (node == NULL || node->n_output == 0)
            return NULL;
        if (OQ_NODE_IS(node, "Add", "Sub") && input < 2)
            return oq_plan_constant(plan, value->graph, oq_node_input(node, 1 - input));
        const struct oq_operator *op = oq_operator_of(node);
        if (input != 0 || oq_operator_id(op) == OQ_ONNX_Concat ||
            oq_operator_role(op, 0) != OQ_PASSED)
            return NULL;
        value = oq_graph_find(value->graph, node->output[0]);
    }
    return NULL;
}

static bool find_bias(const onnxq_plan *plan, const struct oq_site *site, struct added_bias *bias)
{
    const Oq__Pb__NodeProto *node = site->node;
    const enum oq_operator_id id = oq_operator_id_of(node);
    const bool is_gemm = id == OQ_ONNX_Gemm || id == OQ_MS_FusedGemm;
    *bias = (struct added_bias){.factor = is_gemm ? oq_node_float(node, "beta", 1) : 1,
                                .weight_factor = oq_node_float(node, "alpha", 1)};
    if (is_gemm || id == OQ_ONNX_Conv)
        bias->constant = oq_plan_constant(plan, site->graph, oq_node_input(node, 2));
    else if (oq_operator_has(oq_operator_of(node), OQ_RECURRENT) || id == OQ_MS_Attention)
        return false; /* several, with other things in between */
    if (bias->constant == NULL) {
        bias->factor = 1;
        bias->constant = find_added(plan, oq_graph_find(site->graph, node->output[0]));
    }
    return bias->constant != NULL && bias->constant->source.dtype != NULL &&
           bias->constant->source.dtype->is_float && bias->weight_factor != 0;
}

/* Outputs with a bias of so many times what is left of the sum. */
static uint64_t count_above(const double *norms, uint64_t n_outputs, const struct added_bias *bias,
                            double limit)
{
    uint64_t n = 0;
    for (uint64_t o = 0; o < n_outputs; o++)
        n += fabs((double)(bias->x[o] * bias->factor)) >
             limit * fmax(fabs((double)bias->weight_factor) * norms[o], 1);
    return n;
}

static struct oq_objection judge_bias(const double *norms, uint64_t n_outputs,
                                      const struct added_bias *bias)
{
    static const char reason[] = "its bias takes off what its inputs have in common";
    if (2 * count_above(norms, n_outputs, bias, MOST_OFFSET_IN_16_BITS) > n_outputs)
        return (struct oq_objection){reason, OQ_FLOAT};
    if (2 * count_above(norms, n_outputs, bias, MOST_OFFSET) > n_outputs)
        return (struct oq_objection){reason, OQ_16_BITS};
    return (struct oq_objection){NULL, OQ_ANY_BITS};
}

static const double *measure_norms(const struct oq_view *view, float *x, struct oq_arena *arena)
{
    double *norms = oq_arena_array(arena, (size_t)view->n_outputs, sizeof(*norms));
    for (uint64_t o = 0; norms != NULL && o < view->n_outputs; o++) {
        double squares = 0;
        for (uint64_t i = 0; i < view->n_inputs; i++) {
            double w = (double)*oq_view_element(view, x, i, o);
            squares += w * w;
        }
        norms[o] = sqrt(squares);
    }
    return norms;
}

/* --- all of it --- */

/* What is looked at of a site. */
struct look {
    struct oq_view view;
    struct added_bias bias; /* constant: NULL where it is not asked for */
    bool is_fed, asks_inputs;
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
    look->is_fed = view->n_outputs >= MIN_BIASES && oq_site_is_fed(plan, site);
    look->asks_inputs = site->needs_floats == NULL && has_inputs(view);
    if (look->is_fed && (!find_bias(plan, site, &look->bias) ||
                         look->bias.constant->source.nelem != view->n_all_outputs))
        look->bias.constant = NULL;
    return look->asks_inputs || look->bias.constant != NULL;
}

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
    if (!look->is_fed && !may_select(view, scratch))
        return;
    oq_arena_init(&arena, SIZE_MAX);
    float *x = oq_arena_array(&arena, (size_t)(view->n_inputs * view->n_taps * view->n_outputs),
                              sizeof(*x));
    plan->arena.failed |= arena.failed;
    if (x != NULL && oq_view_read(view, x, scratch)) {
        if (look->is_fed)
            seen->norms = measure_norms(view, x, &plan->arena);
        if (has_inputs(view))
            seen->inputs = judge_inputs(view, x, look->is_fed);
    }
    oq_arena_fini(&arena);
}

static void look_at_bias(struct look *look, const double *norms, void *scratch,
                         struct oq_objection *offset)
{
    float x[OQ_VIEW_MAX_OUTPUTS];
    onnxq_error ignored; /* who measures all of it says so */
    const uint64_t n = look->view.n_outputs;
    look->bias.x = x;
    if (oq_source_read_floats(&look->bias.constant->source, 0, (size_t)n, x, scratch, &ignored))
        *offset = judge_bias(norms, n, &look->bias);
}

void oq_plan_look_at_features(onnxq_plan *plan, struct oq_constant *constant,
                              const struct oq_site *site, struct oq_objection *inputs,
                              struct oq_objection *offset)
{
    struct look look = {.bias = {.constant = NULL}};
    *inputs = *offset = (struct oq_objection){NULL, OQ_ANY_BITS};
    struct oq_read_room *room = oq_plan_read_room(plan);
    if (room == NULL || !wants_look(plan, site, &look))
        return;
    struct oq_seen_weight *seen = &constant->seen[2 * look.is_fed + look.view.is_turned];
    if (!is_seen(seen, &look.view)) {
        *seen = (struct oq_seen_weight){.site = site};
        look_at_weight(plan, &look, room->scratch, seen);
    }
    if (look.bias.constant != NULL && seen->norms != NULL)
        look_at_bias(&look, seen->norms, room->scratch, offset);
    if (look.asks_inputs)
        *inputs = seen->inputs;
}
