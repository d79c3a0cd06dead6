/* What rules ask of the fate of a constant or a product, and in which words it is told. */
#include "quantize/analyze/fate_marks.h"

/* The harm to what the site's node makes of the constant; NULL: none. Bodies tell the worst. */
static const struct oq_fate *find_harm(const struct oq_fates *fates, const struct oq_site *site)
{
    const struct oq_fate *fate = &fates->of[site->constant->value->ordinal];
    if (oq_fate_has_bodies(site->node))
        return fate->node != NULL ? fate : NULL;
    const struct oq_node_facts *facts = oq_fate_facts(fates, site->graph, site->node_index);
    static const enum oq_fate_mark harms[] = {OQ_MARK_ANGLE, OQ_MARK_CUT, OQ_MARK_ZEROED,
                                              OQ_MARK_DIVIDES, OQ_MARK_HARMED};
    for (size_t i = 0; i < sizeof(harms) / sizeof(harms[0]); i++)
        if ((facts->marks & harms[i]) == harms[i] &&
            oq_mark_harms(
                oq_fate_handed_on(fates, site->graph, site->node_index, site->input, harms[i])))
            return facts->harm;
    return NULL;
}

static const char *describe_harm(onnxq_plan *plan, enum oq_role role, const Oq__Pb__NodeProto *node)
{
    return oq_arena_printf(&plan->arena, "%s, in %s", oq_role_refuses(role),
                           node->op_type == NULL ? "" : node->op_type);
}

const char *oq_fate_refuses(onnxq_plan *plan, const struct oq_site *site)
{
    const char *words =
        oq_role_refuses(oq_fate_role(plan->fates, site->graph, site->node_index, site->input));
    const struct oq_fate *harm = words == NULL ? find_harm(plan->fates, site) : NULL;
    return harm == NULL ? words : describe_harm(plan, harm->role, harm->node);
}

/* Something divides by a value that a product makes, or takes the logarithm of it or the like. */
static bool is_divisor(const struct oq_fate *fate)
{
    return (fate->marks & ((OQ_MARK_ZEROED & ~OQ_MARK_HARMED) | OQ_MARK_DIVIDES)) != 0 &&
           (fate->role == OQ_DIVISOR || oq_fate_ends_steeply(fate->node));
}

const char *oq_fate_refuses_integers(onnxq_plan *plan, const struct oq_site *site)
{
    for (size_t i = 0; i < site->node->n_output; i++) {
        const struct oq_fate *fate = oq_fate_of(plan->fates, site->graph, site->node->output[i]);
        bool is_angle = fate != NULL && (fate->marks & OQ_MARK_ANGLE) == OQ_MARK_ANGLE;
        if (fate == NULL || (!is_angle && !is_divisor(fate) && fate->root == NULL))
            continue;
        const Oq__Pb__NodeProto *node = is_angle || is_divisor(fate) ? fate->node : fate->root;
        return oq_arena_printf(&plan->arena, "%s, in %s \"%s\"",
                               !is_angle                     ? "small results matter"
                               : fate->role == OQ_COORDINATE ? "its results are coordinates"
                                                             : "its result is an angle",
                               node->op_type, oq_node_label(node));
    }
    return NULL;
}

static const struct oq_fate *fate_of_constant(const onnxq_plan *plan,
                                              const struct oq_constant *constant)
{
    return constant->value == NULL ? NULL : &plan->fates->of[constant->value->ordinal];
}

int oq_fate_channel_axis(const onnxq_plan *plan, const struct oq_constant *constant)
{
    const struct oq_fate *fate = fate_of_constant(plan, constant);
    bool is_one = fate != NULL && fate->apart != 0 && (fate->apart & (fate->apart - 1)) == 0;
    int axis = 0;
    if (!is_one)
        return -1;
    while ((fate->apart >> axis & 1) == 0)
        axis++;
    return axis;
}

/* Each of what a norm sums up has a scale of its own, so that its largest number is no zero. */
static bool keeps_norms(const struct oq_fate *fate, const struct oq_ranges *ranges)
{
    uint32_t scaled = ((uint32_t)1 << ranges->batch_axes) - 1;
    if (ranges->axis >= 0)
        scaled |= (uint32_t)1 << ranges->axis;
    return ranges->blocks == NULL && (fate->apart & ~scaled) == 0;
}

const char *oq_fate_refuses_scales(onnxq_plan *plan, const struct oq_constant *constant,
                                   const struct oq_ranges *ranges)
{
    const struct oq_fate *fate = fate_of_constant(plan, constant);
    if (fate == NULL || fate->norm == NULL || keeps_norms(fate, ranges))
        return NULL;
    const char *words = describe_harm(plan, OQ_DIVISOR, fate->norm);
    return words == NULL ? "" : words;
}

static bool has_mark(const onnxq_plan *plan, const struct oq_constant *constant,
                     enum oq_fate_mark mark)
{
    const struct oq_fate *fate = fate_of_constant(plan, constant);
    return fate != NULL && (fate->marks & mark) != 0;
}

bool oq_fate_is_fine(const onnxq_plan *plan, const struct oq_constant *constant)
{
    return has_mark(plan, constant, OQ_MARK_FINE);
}

bool oq_fate_is_small(const onnxq_plan *plan, const struct oq_constant *constant)
{
    return has_mark(plan, constant, OQ_MARK_SMALL);
}

bool oq_fate_is_centered(const onnxq_plan *plan, const struct oq_constant *constant)
{
    return has_mark(plan, constant, OQ_MARK_CENTERED);
}

bool oq_fate_is_scored(const onnxq_plan *plan, const struct oq_constant *constant)
{
    return has_mark(plan, constant, OQ_MARK_SCORED);
}

bool oq_fate_is_element(const onnxq_plan *plan, const struct oq_constant *constant)
{
    return has_mark(plan, constant, OQ_MARK_MET);
}

bool oq_fate_is_term(const onnxq_plan *plan, const struct oq_constant *constant)
{
    return has_mark(plan, constant, OQ_MARK_TERM);
}

bool oq_fate_is_constant(const onnxq_plan *plan, const struct oq_value *value)
{
    return plan->fates->of[value->ordinal].is_constant;
}

bool oq_fate_has_norms(const onnxq_plan *plan, const struct oq_constant *constant)
{
    const struct oq_fate *fate = fate_of_constant(plan, constant);
    return fate != NULL && fate->norm != NULL;
}

bool oq_fate_is_elementwise(const onnxq_plan *plan, const struct oq_site *site)
{
    enum oq_role role = oq_fate_role(plan->fates, site->graph, site->node_index, site->input);
    bool is_handed_on = oq_fate_has_bodies(site->node) ||
                        oq_fate_handed_on(plan->fates, site->graph, site->node_index, site->input,
                                          OQ_MARK_ELEMENTWISE) != 0;
    unsigned marks = oq_fate_has_bodies(site->node)
                         ? plan->fates->of[site->constant->value->ordinal].marks
                         : oq_fate_facts(plan->fates, site->graph, site->node_index)->marks;
    return role == OQ_ELEMENT || role == OQ_CHOSEN ||
           (is_handed_on && (marks & OQ_MARK_ELEMENTWISE) != 0);
}

/* Uses that are looked at for one constant; bounds the recursion. */
#define MAX_KERNEL_STEPS 64

/* Of products of two values only a constant is known to be the weight. */
static bool is_weight_of(const struct oq_fates *fates, const struct oq_use *use, bool is_constant)
{
    const Oq__Pb__NodeProto *node = use->graph->proto->node[use->node];
    const bool is_kernel = OQ_NODE_IS(node, "Conv", "ConvTranspose") && use->input == 1;
    return is_kernel ||
           (is_constant && oq_fate_role(fates, use->graph, use->node, use->input) == OQ_WEIGHT);
}

/* Products are linear in activations as well, and in integers of these as a second run has them. */
static bool ends_harmlessly(enum oq_role role)
{
    return role == OQ_BOUNDED || role == OQ_WEIGHT || role == OQ_INTEGERS;
}

/* A factor, what hands elements on or rounds them, or the square of which a norm is made. */
static bool leaves_kernel(const struct oq_fates *fates, const struct oq_use *use)
{
    const Oq__Pb__NodeProto *node = use->graph->proto->node[use->node];
    const enum oq_role role = oq_fate_role(fates, use->graph, use->node, use->input);
    return node->n_output == 1 && !oq_fate_has_bodies(node) &&
           (role == OQ_PASSED || oq_node_is_square(node) || oq_node_is_around_integers(node) ||
            (role == OQ_ELEMENT && OQ_NODE_IS(node, "Mul", "Div")));
}

static bool is_kernel(const struct oq_fates *fates, const struct oq_value *value, unsigned *steps,
                      bool *is_weight)
{
    if (value == NULL || value->is_graph_output)
        return false;
    for (const struct oq_use *use = value->uses; use != NULL; use = use->next) {
        if (use->node == OQ_NO_NODE || ++*steps > MAX_KERNEL_STEPS)
            return false;
        const Oq__Pb__NodeProto *node = use->graph->proto->node[use->node];
        if (is_weight_of(fates, use, fates->of[value->ordinal].is_constant))
            *is_weight = true;
        else if (leaves_kernel(fates, use)
                     ? !is_kernel(fates, oq_graph_find(use->graph, node->output[0]), steps,
                                  is_weight)
                     : !ends_harmlessly(oq_fate_role(fates, use->graph, use->node, use->input)))
            return false;
    }
    return true;
}

bool oq_fate_is_kernel(const onnxq_plan *plan, const struct oq_constant *constant)
{
    unsigned steps = 0;
    bool is_weight = false;
    return is_kernel(plan->fates, constant->value, &steps, &is_weight) && is_weight;
}
