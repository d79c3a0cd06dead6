/*
 * Features that are a mean and little else: years, pressures, degrees Kelvin. What is added to a
 * first layer takes off again what its weight makes of the means, and rounding the weight is off
 * by a part of that, not of what is left.
 *
 * A BatchNormalization behind the product says what is left: its deviation. Elsewhere that is not
 * known; sums of standardized features have the size of the weight's norm, and those of a network
 * that learns are about 1. The larger one counts.
 */
#include <math.h>

#include "operators/operators.h"
#include "quantize/decide/steps.h"
#include "quantize/decide/view.h"

/* Nodes behind a product that are looked at. */
#define MAX_STEPS 8

/* Half of the outputs have an offset of so many times what is left: see docs/decisions.md. */
#define MOST_OFFSET            3.0
#define MOST_OFFSET_IN_16_BITS 256.0

/* --- what is added --- */

static bool is_of_outputs(const struct oq_constant *constant, uint64_t n_outputs)
{
    return constant != NULL && constant->source.dtype != NULL && constant->source.dtype->is_float &&
           constant->source.nelem == n_outputs;
}

/* The one node that takes a value, and the number of its input that the value is, or NULL. */
static const Oq__Pb__NodeProto *find_user(const struct oq_value *value, size_t *input)
{
    const struct oq_use *use = value->uses;
    if (use == NULL || use->next != NULL || use->node == OQ_NO_NODE)
        return NULL;
    *input = use->input;
    return use->graph->proto->node[use->node];
}

static bool find_constants(const onnxq_plan *plan, const struct oq_value *value, uint64_t n_outputs,
                           struct oq_offset_term *term)
{
    const Oq__Pb__NodeProto *node = term->node;
    const bool is_normalized = oq_node_is(node, "", "BatchNormalization");
    const size_t n = is_normalized ? 4 : 1;
    for (size_t i = 0; i < n; i++) {
        const size_t input = is_normalized ? i + 1 : 1 - term->input;
        const struct oq_constant *constant =
            oq_plan_constant(plan, value->graph, oq_node_input(node, input));
        if (!is_of_outputs(constant, n_outputs))
            return false;
        term->constants[i] = constant;
    }
    return true;
}

static bool is_term(const struct oq_offset_term *term)
{
    switch (oq_operator_id_of(term->node)) {
    case OQ_ONNX_Add:
    case OQ_ONNX_Mul:
    case OQ_ONNX_Sub:
        return term->input < 2;
    case OQ_ONNX_BatchNormalization:
    case OQ_ONNX_Div:
        return term->input == 0;
    default:
        return false;
    }
}

static bool rearranges(const struct oq_offset_term *term)
{
    const struct oq_operator *op = oq_operator_of(term->node);
    return term->input == 0 && oq_operator_id(op) != OQ_ONNX_Concat &&
           oq_operator_role(op, 0) == OQ_PASSED;
}

/*
 * Up to the last that adds; nodes that rearrange may stand between. A factor for all outputs ends
 * it, as it is that of distances: 2 x c less the square of c, which is no mean.
 */
static void find_terms(const onnxq_plan *plan, const struct oq_value *value, uint64_t n_outputs,
                       struct oq_offset *offset)
{
    size_t n = 0;
    for (unsigned i = 0; i < MAX_STEPS && value != NULL && n < OQ_MAX_OFFSET_TERMS; i++) {
        struct oq_offset_term *term = &offset->terms[n];
        term->node = find_user(value, &term->input);
        if (term->node == NULL || term->node->n_output == 0)
            return;
        if (is_term(term)) {
            if (!find_constants(plan, value, n_outputs, term))
                return;
            n++;
            offset->n = OQ_NODE_IS(term->node, "Mul", "Div") ? offset->n : n;
            if (oq_node_is(term->node, "", "BatchNormalization"))
                return;
        } else if (!rearranges(term)) {
            return;
        }
        value = oq_graph_find(value->graph, term->node->output[0]);
    }
}

bool oq_offset_find(const onnxq_plan *plan, const struct oq_site *site, uint64_t n_outputs,
                    struct oq_offset *offset)
{
    const Oq__Pb__NodeProto *node = site->node;
    const enum oq_operator_id id = oq_operator_id_of(node);
    const bool is_gemm = id == OQ_ONNX_Gemm || id == OQ_MS_FusedGemm;
    *offset = (struct oq_offset){.bias_factor = is_gemm ? oq_node_float(node, "beta", 1) : 1,
                                 .weight_factor = oq_node_float(node, "alpha", 1)};
    if (oq_operator_has(oq_operator_of(node), OQ_RECURRENT) || id == OQ_MS_Attention ||
        offset->weight_factor == 0)
        return false; /* several, with other things in between */
    if (is_gemm || id == OQ_ONNX_Conv) {
        offset->bias = oq_plan_constant(plan, site->graph, oq_node_input(node, 2));
        if (offset->bias != NULL && !is_of_outputs(offset->bias, n_outputs))
            return false;
    }
    if (id != OQ_MS_FusedGemm) /* which has an activation in between */
        find_terms(plan, oq_graph_find(site->graph, node->output[0]), n_outputs, offset);
    return offset->bias != NULL || offset->n > 0;
}

/* --- what is left --- */

/* Of each output: what is added to it, by what its weight is multiplied, and what is left. */
struct sums {
    double added[OQ_VIEW_MAX_OUTPUTS], factor[OQ_VIEW_MAX_OUTPUTS], left[OQ_VIEW_MAX_OUTPUTS];
    bool is_left_known;
    uint64_t n;
    void *scratch;
};

static bool read_constant(const struct sums *sums, const struct oq_constant *constant, float *x)
{
    onnxq_error ignored; /* who measures all of it says so */
    return oq_source_read_floats(&constant->source, 0, (size_t)sums->n, x, sums->scratch, &ignored);
}

/* Its mean is taken off, its deviation is left. */
static bool normalize(struct sums *sums, const struct oq_offset_term *term)
{
    const double epsilon = (double)oq_node_float(term->node, "epsilon", 1e-5F);
    float mean[OQ_VIEW_MAX_OUTPUTS], variance[OQ_VIEW_MAX_OUTPUTS];
    if (!read_constant(sums, term->constants[2], mean) ||
        !read_constant(sums, term->constants[3], variance))
        return false;
    for (uint64_t o = 0; o < sums->n; o++) {
        sums->added[o] -= (double)mean[o];
        sums->left[o] = sqrt(fmax((double)variance[o], 0) + epsilon);
    }
    sums->is_left_known = true;
    return true;
}

static void apply_one(const struct oq_offset_term *term, double x, double *added, double *factor)
{
    switch (oq_operator_id_of(term->node)) {
    case OQ_ONNX_Add:
        *added += x;
        break;
    case OQ_ONNX_Sub:
        *added = term->input == 0 ? *added - x : x - *added;
        *factor = term->input == 0 ? *factor : -*factor;
        break;
    default:
        x = oq_node_is(term->node, "", "Div") ? 1 / x : x;
        *added *= x;
        *factor *= x;
    }
}

static bool apply(struct sums *sums, const struct oq_offset_term *term)
{
    float x[OQ_VIEW_MAX_OUTPUTS];
    if (oq_node_is(term->node, "", "BatchNormalization"))
        return normalize(sums, term);
    if (!read_constant(sums, term->constants[0], x))
        return false;
    for (uint64_t o = 0; o < sums->n; o++)
        apply_one(term, (double)x[o], &sums->added[o], &sums->factor[o]);
    return true;
}

static bool sum_up(struct sums *sums, const struct oq_offset *offset, const double *norms)
{
    float bias[OQ_VIEW_MAX_OUTPUTS] = {0};
    if (offset->bias != NULL && !read_constant(sums, offset->bias, bias))
        return false;
    for (uint64_t o = 0; o < sums->n; o++) {
        sums->added[o] = (double)(bias[o] * offset->bias_factor);
        sums->factor[o] = (double)offset->weight_factor;
    }
    for (size_t i = 0; i < offset->n; i++)
        if (!apply(sums, &offset->terms[i]))
            return false;
    for (uint64_t o = 0; o < sums->n && !sums->is_left_known; o++)
        sums->left[o] = fmax(fabs(sums->factor[o]) * norms[o], 1);
    return true;
}

static bool is_above(const struct sums *sums, double limit)
{
    uint64_t n = 0;
    for (uint64_t o = 0; o < sums->n; o++)
        n += fabs(sums->added[o]) > limit * sums->left[o];
    return 2 * n > sums->n;
}

struct oq_objection oq_offset_judge(const struct oq_offset *offset, const double *norms,
                                    uint64_t n_outputs, void *scratch)
{
    struct sums sums = {.n = n_outputs, .scratch = scratch};
    const bool is_known = sum_up(&sums, offset, norms);
    if (!is_known || !is_above(&sums, MOST_OFFSET))
        return (struct oq_objection){NULL, OQ_ANY_BITS};
    return (struct oq_objection){"its bias takes off what its inputs have in common",
                                 is_above(&sums, MOST_OFFSET_IN_16_BITS) ? OQ_FLOAT : OQ_16_BITS};
}
