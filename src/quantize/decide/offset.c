/*
 * First layers on features that are a mean and little else: years, pressures, degrees Kelvin. Where
 * what standardizes them was made part of the layer, its bias takes off again what the weight
 * makes of the means, and rounding the weight is off by a part of that, not of what is left.
 *
 * What is left is not known; sums of standardized features have the size of the weight's norm, and
 * those of a network that learns are about 1. The larger one counts.
 */
#include <math.h>

#include "base/checked.h"
#include "operators/operators.h"
#include "quantize/analyze/fate.h"
#include "quantize/decide/steps.h"
#include "quantize/decide/view.h"

/* Nodes between a product and the sum with its bias. */
#define MAX_STEPS 4

/* Of fewer, the middle one is any. */
#define MIN_OUTPUTS ((uint64_t)8)

/* Half of the outputs have a bias of so many times what is left: see docs/decisions.md. */
#define MOST_OFFSET            3.0
#define MOST_OFFSET_IN_16_BITS 256.0

struct added_bias {
    const struct oq_constant *constant;
    float factor;        /* of the bias, */
    float weight_factor; /* and of the weight */
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
        if ((oq_node_is(node, "", "Add") || oq_node_is(node, "", "Sub")) && input < 2)
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
static uint64_t count_above(const struct oq_view *view, float *x, const float *bias, double limit)
{
    uint64_t n = 0;
    for (uint64_t o = 0; o < view->n_outputs; o++) {
        double squares = 0;
        for (uint64_t i = 0; i < view->n_inputs; i++) {
            double w = (double)*oq_view_element(view, x, i, o);
            squares += w * w;
        }
        n += fabs((double)bias[o]) > limit * fmax(sqrt(squares), 1);
    }
    return n;
}

static const char *judge(const struct oq_view *view, float *x, const float *bias,
                         enum oq_unlike *wants)
{
    if (2 * count_above(view, x, bias, MOST_OFFSET) <= view->n_outputs)
        return NULL;
    *wants = 2 * count_above(view, x, bias, MOST_OFFSET_IN_16_BITS) > view->n_outputs
                 ? OQ_UNLIKE_FLOAT
                 : OQ_UNLIKE_16_BITS;
    return "its bias takes off what its inputs have in common";
}

const char *oq_plan_refuse_offset(onnxq_plan *plan, const struct oq_site *site,
                                  enum oq_unlike *wants)
{
    struct oq_view view;
    struct added_bias bias;
    struct oq_arena arena;
    onnxq_error ignored; /* who measures all of it says so */
    const char *reason = NULL;
    *wants = OQ_UNLIKE_ANY_BITS;
    if (site->node->n_output == 0 || !oq_view_find(site, &view) || view.n_outputs < MIN_OUTPUTS ||
        !find_bias(plan, site, &bias) || bias.constant->source.nelem != view.n_all_outputs ||
        !oq_site_is_fed(plan, site))
        return NULL;
    oq_arena_init(&arena, SIZE_MAX);
    float *x = oq_arena_array(
        &arena, (size_t)(view.n_inputs * view.n_taps * view.n_outputs + view.n_outputs),
        sizeof(*x));
    void *scratch = oq_arena_alloc(&arena, OQ_READ_SCRATCH_NBYTES);
    plan->arena.failed |= arena.failed;
    float *b = arena.failed ? NULL : x + view.n_inputs * view.n_taps * view.n_outputs;
    if (b != NULL && oq_view_read(&view, x, scratch) &&
        oq_source_read_floats(&bias.constant->source, 0, (size_t)view.n_outputs, b, scratch,
                              &ignored)) {
        for (uint64_t o = 0; o < view.n_outputs; o++)
            b[o] *= bias.factor;
        for (uint64_t i = 0; i < view.n_inputs * view.n_outputs; i++)
            x[i] *= bias.weight_factor;
        reason = judge(&view, x, b, wants);
    }
    oq_arena_fini(&arena);
    return reason;
}
