/*
 * What of a value its users look at. A hard swish is 0 for all that is below -3, a Clip the same
 * for all that is beyond its ends: integers for such numbers would make the steps of the others
 * coarser, and change nothing.
 */
#include "quantize/activations/activations.h"

#include <math.h>

struct span {
    float low, high;
};

static const struct span everything = {-INFINITY, INFINITY};

/* Beyond these ends a sigmoid is as near to 0 or 1 as makes a tenth of a step of 8 bits. */
#define SIGMOID_END 10

bool oq_find_sum(onnxq_plan *plan, const Oq__Pb__NodeProto *node, const struct oq_value **x,
                 float *number, onnxq_error *error)
{
    *x = NULL;
    if (node == NULL || !oq_node_is(node, "", "Add") || node->n_input != 2)
        return true;
    for (size_t i = 0; *x == NULL && i < 2; i++) {
        const float *values;
        const struct oq_source *source;
        if (!oq_small_constant(plan, node->input[i], &values, &source, error))
            return false;
        if (values == NULL || source->nelem != 1)
            continue;
        *number = values[0];
        *x = oq_main_value(plan, node->input[1 - i]);
    }
    return true;
}

static const struct oq_carrier *made_by(const onnxq_plan *plan, const struct oq_value *value)
{
    return value == NULL || value->origin != OQ_ORIGIN_NODE || value->graph->parent != NULL
               ? NULL
               : &plan->activations->carriers[value->index];
}

/* Where the factor is a sigmoid of x, hard or not: it is 0, or nearly, for all x below *end. */
static bool find_gate(onnxq_plan *plan, const struct oq_value *factor, const struct oq_value *x,
                      float *end, onnxq_error *error)
{
    const struct oq_carrier *maker = made_by(plan, factor);
    const struct oq_value *summand;
    float number;
    if (maker != NULL && maker->carry == OQ_CARRY_SCALE) /* one sixth */
        maker = made_by(plan, maker->input);
    if (maker == NULL || maker->input == NULL)
        return true;
    const Oq__Pb__NodeProto *node = oq_value_node(maker->output);
    if (maker->input == x && maker->carry == OQ_CARRY_HARD && oq_node_is(node, "", "HardSigmoid"))
        *end = -maker->shift;
    if (maker->input == x && maker->carry == OQ_CARRY_MAP && oq_node_is(node, "", "Sigmoid"))
        *end = -SIGMOID_END;
    if (maker->carry != OQ_CARRY_CLAMP || maker->low != 0)
        return true;
    if (!oq_find_sum(plan, oq_value_node(maker->input), &summand, &number, error))
        return false;
    if (summand == x)
        *end = -number;
    return true;
}

/* What a node that maps numbers one by one looks at. */
static bool look_at_map(onnxq_plan *plan, const struct span *spans, const struct oq_carrier *user,
                        const struct oq_use *use, const struct oq_value *value, struct span *span,
                        onnxq_error *error)
{
    const Oq__Pb__NodeProto *node = plan->model->proto->graph->node[use->node];
    const struct oq_value *x;
    float number = 0;
    if (oq_node_is(node, "", "Sigmoid"))
        *span = (struct span){-SIGMOID_END, SIGMOID_END};
    if (oq_node_is(node, "", "Mul") && node->n_input == 2)
        return find_gate(plan, oq_main_value(plan, node->input[1 - use->input]), value, &span->low,
                         error);
    if (!oq_find_sum(plan, node, &x, &number, error))
        return false;
    if (x == value) {
        span->low = spans[user->output->ordinal].low - number;
        span->high = spans[user->output->ordinal].high - number;
    }
    return true;
}

static bool look(onnxq_plan *plan, const struct span *spans, const struct oq_use *use,
                 const struct oq_value *value, struct span *span, onnxq_error *error)
{
    *span = everything;
    if (use->node == OQ_NO_NODE || use->graph->parent != NULL)
        return true;
    const struct oq_carrier *user = &plan->activations->carriers[use->node];
    const struct span *result = user->output == NULL ? NULL : &spans[user->output->ordinal];
    switch (user->carry) {
    case OQ_CARRY_CLAMP:
        *span = (struct span){user->low, user->high};
        return true;
    case OQ_CARRY_HARD:
        span->low = -user->shift;
        if (oq_node_is(plan->model->proto->graph->node[use->node], "", "HardSigmoid"))
            span->high = 1 / user->factor - user->shift;
        return true;
    case OQ_CARRY_SCALE:
        *span = (struct span){result->low / user->factor, result->high / user->factor};
        return true;
    case OQ_CARRY_JOIN:
    case OQ_CARRY_PASS:
        *span = *result;
        return true;
    case OQ_CARRY_MAP:
        return look_at_map(plan, spans, user, use, value, span, error);
    case OQ_CARRY_NONE:
    case OQ_CARRY_PRODUCT:
    case OQ_CARRY_FOLDED:
        break;
    }
    return true;
}

static bool find_span(onnxq_plan *plan, struct span *spans, const struct oq_value *value,
                      onnxq_error *error)
{
    struct span all = {INFINITY, -INFINITY};
    for (const struct oq_use *use = value->uses; use != NULL; use = use->next) {
        struct span span;
        if (!look(plan, spans, use, value, &span, error))
            return false;
        all.low = fminf(all.low, span.low);
        all.high = fmaxf(all.high, span.high);
    }
    if (value->n_uses > 0 && !value->is_graph_output && all.low < all.high)
        spans[value->ordinal] = all;
    return true;
}

/* With room for the rounding of the zero point; what is left holds 0. */
static void cut(struct oq_carried *carried, const struct span *span)
{
    const float low = fminf(fmaxf(carried->low, span->low), 0);
    const float high = fmaxf(fminf(carried->high, span->high), 0);
    const float room = (high - low) / 512;
    if (!carried->has_range || !(low < high))
        return;
    carried->low = fmaxf(carried->low, low - room);
    carried->high = fminf(carried->high, high + room);
}

/* From the last node to the first: a model whose nodes are in another order is cut less. */
bool oq_ranges_cut(onnxq_plan *plan, onnxq_error *error)
{
    const struct oq_activations *activations = plan->activations;
    const size_t n_values = plan->model->graphs.n_values;
    struct span *spans = oq_arena_array(&plan->arena, n_values + 1, sizeof(*spans));
    if (spans == NULL)
        return oq_arena_fail(&plan->arena, error);
    for (size_t i = 0; i < n_values; i++)
        spans[i] = everything;
    for (size_t i = activations->n_nodes; i > 0; i--) {
        const struct oq_carrier *carrier = &activations->carriers[i - 1];
        if (carrier->carry == OQ_CARRY_NONE || carrier->output == NULL)
            continue;
        if (!find_span(plan, spans, carrier->output, error))
            return false;
        cut(oq_carried_of(plan, carrier->output), &spans[carrier->output->ordinal]);
    }
    return true;
}
