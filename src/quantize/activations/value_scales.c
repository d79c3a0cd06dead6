/* Scales and zero points of values, and what they ask of the scales of weights. */
#include "quantize/activations/activations.h"

#include <float.h>
#include <math.h>

static int count_steps(const struct oq_integer_form *form)
{
    return form->high - form->low;
}

/* With rounding, the first and the last integer may lie a little beyond the range. */
static void set_scale(const struct oq_integer_form *form, struct oq_carried *carried, float low,
                      float high)
{
    const float steps = (float)count_steps(form);
    double scale = form->is_symmetric ? (double)fmaxf(-low, high) / form->high
                                      : ((double)high - (double)low) / (double)steps;
    carried->scale = fmaxf((float)scale, FLT_MIN);
    carried->zero_point =
        form->is_symmetric ? 0 : (int)fminf(fmaxf(rintf(-low / carried->scale), 0), steps);
}

void oq_store_integer(const struct oq_integer_form *form, int value, void *integers, size_t index)
{
    if (form->width == sizeof(uint8_t))
        ((uint8_t *)integers)[index] = (uint8_t)value;
    else
        ((uint16_t *)integers)[index] = (uint16_t)value;
}

float oq_quantize_operand(const struct oq_integer_form *form, const float *values, size_t n,
                          int *zero_point, void *integers)
{
    struct oq_carried operand = {.scale = 1};
    float low = 0, high = 0;
    for (size_t i = 0; i < n; i++) {
        low = fminf(low, values[i]);
        high = fmaxf(high, values[i]);
    }
    if (low != high)
        set_scale(form, &operand, low, high);
    for (size_t i = 0; i < n; i++) {
        const float integer = rintf(values[i] / operand.scale) + (float)operand.zero_point;
        oq_store_integer(form, (int)fminf(fmaxf(integer, (float)form->low), (float)form->high),
                         integers, i);
    }
    *zero_point = operand.zero_point;
    return operand.scale;
}

/*
 * An engine leaves a clamp out where no integer is beyond its ends: the scale shrinks until that
 * holds in float32, as it is computed there.
 */
static void fit_clamp(const struct oq_integer_form *form, struct oq_carried *carried,
                      const struct oq_carrier *clamp)
{
    const int steps = count_steps(form);
    float low = fmaxf(carried->low, clamp->low), high = fminf(carried->high, clamp->high);
    if (!(high > low))
        low = 0, high = isfinite(clamp->high) ? clamp->high : carried->high;
    set_scale(form, carried, low, high);
    if (form->is_symmetric)
        return; /* and the clamp stays */
    while ((float)(steps - carried->zero_point) * carried->scale > clamp->high ||
           (float)-carried->zero_point * carried->scale < clamp->low)
        carried->scale = nextafterf(carried->scale, 0);
}

float oq_hard_scale(const onnxq_plan *plan, const struct oq_carrier *carrier)
{
    const float steps = (float)count_steps(&plan->activations->form);
    float scale = 1 / carrier->factor / steps;
    while (scale * steps > 1 / carrier->factor) /* else the Clip stays; see fit_clamp() */
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
    const struct oq_integer_form *form = &plan->activations->form;
    struct oq_carried *carried = oq_carried_of(plan, value);
    if (carried->scale != 0 || !carried->has_range || carried->like != NULL)
        return;
    if (is_hard_sigmoid(plan, value, maker)) {
        carried->scale = oq_hard_scale(plan, maker) * maker->factor;
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
        fit_clamp(form, carried, maker);
    else
        set_scale(form, carried, carried->low, carried->high);
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

void oq_activations_scale(onnxq_plan *plan)
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
    for (size_t i = 0; activations != NULL && i < activations->n_nodes; i++)
        if (activations->carriers[i].is_integer &&
            activations->carriers[i].carry == OQ_CARRY_PRODUCT)
            make_room_for_bias(plan, i);
}
