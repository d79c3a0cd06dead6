/*
 * Hard sigmoids that a model writes in parts: x plus 3, cut off at 0 and 6, divided by 6; in a hard
 * swish times x before that. Where they become integers the parts are what engines compute. Where
 * they stay float, as behind a first layer, each is a pass over memory: HardSigmoid is one for
 * three of them.
 */
#include "quantize/activations/activations.h"

#include <math.h>

#include "ranges/calibrated.h"

static struct oq_carrier *carrier_of(const onnxq_plan *plan, size_t index)
{
    return &plan->activations->carriers[index];
}

/* The node that alone takes a value, or OQ_NO_NODE. */
static size_t find_only_user(const struct oq_value *value)
{
    const struct oq_use *use = value == NULL ? NULL : value->uses;
    return use == NULL || value->n_uses != 1 || value->is_graph_output || use->graph->parent != NULL
               ? OQ_NO_NODE
               : use->node;
}

static bool is_product_with(const onnxq_plan *plan, size_t index, const struct oq_value *x)
{
    const Oq__Pb__NodeProto *node = plan->model->proto->graph->node[index];
    return oq_node_is(node, "", "Mul") && node->n_input == 2 &&
           (oq_main_value(plan, node->input[0]) == x || oq_main_value(plan, node->input[1]) == x);
}

/* Numbers of more axes than one may add some to what they are added to. */
static bool adds_no_axis(const onnxq_plan *plan, const Oq__Pb__NodeProto *node)
{
    for (size_t i = 0; i < node->n_input; i++) {
        const struct oq_constant *number = oq_find_small_constant(plan, node->input[i]);
        if (number != NULL && number->source.n_dims > 1)
            return false;
    }
    return true;
}

/* How much one divided by the other may be off 1: what float32 makes of a sixth. */
#define CLOSE 1e-6

/* What stands behind the Clip: a product, if there is one, and what divides it by its upper end. */
static bool find_rest(const onnxq_plan *plan, struct oq_gate *gate)
{
    const struct oq_carrier *clip = carrier_of(plan, gate->clip);
    gate->product = OQ_NO_NODE;
    gate->last = find_only_user(clip->output);
    if (gate->last != OQ_NO_NODE && is_product_with(plan, gate->last, gate->x)) {
        gate->product = gate->last;
        gate->last = find_only_user(carrier_of(plan, gate->product)->output);
    }
    if (gate->last == OQ_NO_NODE)
        return false;
    const struct oq_carrier *last = carrier_of(plan, gate->last);
    return last->carry == OQ_CARRY_SCALE &&
           fabs((double)last->factor * (double)clip->high - 1) < CLOSE;
}

static bool find_gate(onnxq_plan *plan, size_t index, struct oq_gate *gate, bool *found,
                      onnxq_error *error)
{
    const struct oq_carrier *clip = carrier_of(plan, index);
    float number;
    *found = false;
    if (clip->carry != OQ_CARRY_CLAMP || clip->low != 0 || !isfinite(clip->high) ||
        clip->input->origin != OQ_ORIGIN_NODE || find_only_user(clip->input) != index)
        return true;
    *gate = (struct oq_gate){.sum = clip->input->index, .clip = index};
    if (!oq_find_sum(plan, oq_value_node(clip->input), &gate->x, &number, error))
        return false;
    if (gate->x == NULL || !adds_no_axis(plan, oq_value_node(clip->input)) ||
        carrier_of(plan, gate->sum)->carry == OQ_CARRY_FOLDED ||
        oq_ranges_find(plan->options.ranges, gate->x->name) == NULL) /* it may be no float32 */
        return true;
    gate->alpha = 1 / clip->high;
    gate->beta = number / clip->high;
    *found = isnormal(gate->alpha) && isfinite(gate->beta) && find_rest(plan, gate);
    return true;
}

bool oq_gates_find(onnxq_plan *plan, onnxq_error *error)
{
    if (plan->options.qdq_standard) /* its engines join parts themselves */
        return true;
    for (size_t i = 0; i < plan->activations->n_nodes; i++) {
        struct oq_gate gate;
        bool found;
        if (!find_gate(plan, i, &gate, &found, error))
            return false;
        if (!found)
            continue;
        struct oq_gate *kept = oq_arena_alloc(&plan->arena, sizeof(*kept));
        if (kept == NULL)
            return oq_arena_fail(&plan->arena, error);
        *kept = gate;
        const size_t parts[] = {gate.sum, gate.clip, gate.product, gate.last};
        for (size_t k = 0; k < sizeof(parts) / sizeof(parts[0]); k++)
            if (parts[k] != OQ_NO_NODE)
                carrier_of(plan, parts[k])->gate = kept;
    }
    return true;
}

const struct oq_gate *oq_float_gate_of(const onnxq_plan *plan, size_t index)
{
    const struct oq_gate *gate = carrier_of(plan, index)->gate;
    if (gate == NULL || carrier_of(plan, gate->sum)->is_integer ||
        carrier_of(plan, gate->clip)->is_integer || carrier_of(plan, gate->last)->is_integer ||
        (gate->product != OQ_NO_NODE && carrier_of(plan, gate->product)->is_integer))
        return NULL;
    return gate;
}

/* In the place of the last part; the others leave. */
bool oq_gate_write(struct oq_rewrite *rewrite, size_t index)
{
    struct oq_edit *edit = rewrite->edit;
    const struct oq_gate *gate = oq_float_gate_of(rewrite->plan, index);
    if (gate == NULL || index != gate->last)
        return true;
    const char *name = carrier_of(rewrite->plan, index)->output->name;
    const bool is_swish = gate->product != OQ_NO_NODE;
    const char *sigmoid = is_swish ? oq_edit_name(edit, name, "_hard_sigmoid") : name;
    const char *inputs[] = {gate->x->name, NULL}, *outputs[] = {sigmoid, NULL};
    Oq__Pb__NodeProto *node = oq_edit_node(edit, "", "HardSigmoid", name, inputs, outputs);
    oq_edit_add_float(edit, node, "alpha", gate->alpha);
    oq_edit_add_float(edit, node, "beta", gate->beta);
    if (is_swish) {
        const char *factors[] = {gate->x->name, sigmoid, NULL}, *products[] = {name, NULL};
        oq_edit_node(edit, "", "Mul", name, factors, products);
    }
    return !edit->failed;
}
