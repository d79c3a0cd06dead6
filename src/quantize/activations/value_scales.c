/* Scales and zero points of values, and what they ask of the scales of weights. */
#include "quantize/activations/activations.h"

#include <float.h>
#include <math.h>

#define STEPS 255

/* With rounding, the first and the last integer may lie a little beyond the range. */
static void set_scale(struct oq_carried *carried, float low, float high)
{
    float scale = (float)(((double)high - (double)low) / STEPS);
    carried->scale = fmaxf(scale, FLT_MIN);
    carried->zero_point = (int)fminf(fmaxf(rintf(-low / carried->scale), 0), STEPS);
}

/*
 * An engine leaves a clamp out where no integer is beyond its ends: the scale shrinks until that
 * holds in float32, as it is computed there.
 */
static void fit_clamp(struct oq_carried *carried, const struct oq_carrier *clamp)
{
    float low = fmaxf(carried->low, clamp->low), high = fminf(carried->high, clamp->high);
    if (!(high > low))
        low = 0, high = isfinite(clamp->high) ? clamp->high : carried->high;
    set_scale(carried, low, high);
    while ((float)(STEPS - carried->zero_point) * carried->scale > clamp->high ||
           (float)-carried->zero_point * carried->scale < clamp->low)
        carried->scale = nextafterf(carried->scale, 0);
}

float oq_hard_scale(const struct oq_carrier *carrier)
{
    float scale = 1 / carrier->factor / STEPS;
    while (scale * STEPS > 1 / carrier->factor) /* else the Clip stays; see fit_clamp() */
        scale = nextafterf(scale, 0);
    return scale;
}

static bool is_hard_sigmoid(const onnxq_plan *plan, const struct oq_value *value,
                            const struct oq_carrier *maker)
{
    return maker != NULL && maker->is_integer && maker->carry == OQ_CARRY_HARD &&
           oq_node_is(plan->model->proto->graph->node[value->index], "", "HardSigmoid");
}

static void scale_value(const onnxq_plan *plan, const struct oq_value *value,
                        const struct oq_carrier *maker)
{
    struct oq_carried *carried = oq_carried_of(plan, value);
    if (carried->scale != 0 || !carried->has_range || carried->like != NULL)
        return;
    if (is_hard_sigmoid(plan, value, maker)) {
        carried->scale = oq_hard_scale(maker) * maker->factor;
        carried->zero_point = 0;
        return;
    }
    if (maker != NULL && maker->carry == OQ_CARRY_SCALE && maker->is_integer) {
        const struct oq_carried *root = oq_carried_root(plan, maker->input);
        carried->scale = root->scale * maker->factor;
        carried->zero_point = root->zero_point;
        return;
    }
    if (maker != NULL && maker->carry == OQ_CARRY_CLAMP && maker->is_integer)
        fit_clamp(carried, maker);
    else
        set_scale(carried, carried->low, carried->high);
}

static const struct oq_carrier *maker_of(const onnxq_plan *plan, const struct oq_value *value)
{
    return value->origin == OQ_ORIGIN_NODE ? &plan->activations->carriers[value->index] : NULL;
}

/* A bias of int32 in steps of weight and activation: with a margin for the sum beside it. */
#define MAX_BIAS_STEPS 1e9f

static void make_room_for_bias(const onnxq_plan *plan, size_t index)
{
    const struct oq_carrier *product = &plan->activations->carriers[index];
    const struct oq_site *site = oq_product_site(plan, index);
    const float x_scale = oq_carried_root(plan, product->input)->scale;
    struct oq_ranges *ranges = site->quantized->ranges;
    for (size_t i = 0; i < product->n_channels; i++) {
        float *scale = &ranges->scale[ranges->n_scales == 1 ? 0 : i];
        *scale = fmaxf(*scale, fabsf(product->bias[i]) / MAX_BIAS_STEPS / x_scale);
    }
}

bool oq_activations_scale(onnxq_plan *plan, onnxq_error *error)
{
    const struct oq_activations *activations = plan->activations;
    for (size_t i = 0; activations != NULL && i < activations->n_nodes; i++) {
        const Oq__Pb__NodeProto *node = plan->model->proto->graph->node[i];
        const struct oq_carrier *carrier = &activations->carriers[i];
        if (!carrier->is_integer)
            continue;
        for (size_t k = 0; k < node->n_input; k++) {
            const struct oq_value *value = oq_main_value(plan, node->input[k]);
            if (value != NULL)
                scale_value(plan, value, maker_of(plan, value));
        }
        scale_value(plan, carrier->output, carrier);
    }
    if (activations != NULL && !plan->is_estimate && !oq_products_correct(plan, error))
        return false;
    for (size_t i = 0; activations != NULL && i < activations->n_nodes; i++)
        if (activations->carriers[i].is_integer &&
            activations->carriers[i].carry == OQ_CARRY_PRODUCT)
            make_room_for_bias(plan, i);
    return true;
}
