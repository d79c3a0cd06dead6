/* Tells by the operators that use them what integers and scales are of an earlier run. */
#include "quantize/analyze/existing.h"
#include "wire/data_type.h"

static bool is_quantized(const Oq__Pb__NodeProto *node)
{
    return oq_operator_has(oq_operator_of(node), OQ_QUANTIZED);
}

/* --- where integers go --- */

/* Steps from stored integers to the operator that takes them, and back from a scale. */
#define MAX_STEPS 16

/* Cast -> [Sub ->] Mul. */
static bool is_scaled(const struct oq_graph *graph, const Oq__Pb__NodeProto *cast)
{
    const struct oq_value *value =
        cast->n_output > 0 ? oq_graph_find(graph, cast->output[0]) : NULL;
    for (const struct oq_use *use = value == NULL ? NULL : value->uses; use != NULL;
         use = use->next) {
        const Oq__Pb__NodeProto *user =
            use->node == OQ_NO_NODE ? NULL : use->graph->proto->node[use->node];
        if (user != NULL && OQ_NODE_IS(user, "Mul", "Sub"))
            return true;
    }
    return false;
}

static bool only_rearranges(const Oq__Pb__NodeProto *node)
{
    return node->n_output > 0 && (oq_source_sees_through(node) || oq_node_is(node, "", "Gather"));
}

static bool is_taken(const struct oq_graph *graph, const Oq__Pb__NodeProto *node, size_t input,
                     unsigned *steps);

static bool is_used_so(const struct oq_graph *graph, const char *name, unsigned *steps)
{
    const struct oq_value *value = oq_graph_find(graph, name);
    for (const struct oq_use *use = value == NULL ? NULL : value->uses; use != NULL;
         use = use->next)
        if (use->node != OQ_NO_NODE &&
            is_taken(use->graph, use->graph->proto->node[use->node], use->input, steps))
            return true;
    return false;
}

/* The depth of the recursion is limited by *steps, whatever the model says. */
static bool is_taken(const struct oq_graph *graph, const Oq__Pb__NodeProto *node, size_t input,
                     unsigned *steps)
{
    if (is_quantized(node))
        return oq_operator_role(oq_operator_of(node), input) == OQ_INTEGERS;
    if (oq_node_is(node, "", "Cast"))
        return is_scaled(graph, node);
    return only_rearranges(node) && input == 0 && ++*steps <= MAX_STEPS &&
           is_used_so(graph, node->output[0], steps);
}

/* int16 is what onnxq folds in recurrent models. */
static bool is_narrow_integer(const struct oq_source *source)
{
    return source->dtype != NULL && !source->dtype->is_float && source->dtype->nbits > 0 &&
           source->dtype->nbits <= 16 && source->data_type != OQ_TYPE(BOOL);
}

const char *oq_existing_weight(const struct oq_site *site)
{
    const struct oq_source *source = &site->constant->source;
    unsigned steps = 0;
    if (site->node == NULL)
        return NULL;
    /* A bias that is added to a sum of products is int32; elsewhere int32 is no weight. */
    bool is_integer = is_narrow_integer(source) ||
                      (source->data_type == OQ_TYPE(INT32) && is_quantized(site->node));
    return is_integer && is_taken(site->graph, site->node, site->input, &steps)
               ? "quantized already"
               : NULL;
}

/* --- where scales come in --- */

static const Oq__Pb__NodeProto *producer(const struct oq_graph **graph, const char *name)
{
    const struct oq_value *value = oq_graph_find(*graph, name);
    const Oq__Pb__NodeProto *node = oq_value_node(value);
    if (node != NULL)
        *graph = value->graph;
    return node;
}

static bool is_integer_value(const onnxq_plan *plan, const struct oq_graph *graph, const char *name)
{
    const struct oq_constant *constant = oq_plan_constant(plan, graph, name);
    const Oq__Pb__NodeProto *node = producer(&graph, name);
    if (constant != NULL)
        return is_narrow_integer(&constant->source);
    if (node == NULL)
        return false;
    return OQ_NODE_IS(node, "MatMulInteger", "ConvInteger") ||
           (only_rearranges(node) && node->n_input > 0 &&
            (constant = oq_plan_constant(plan, graph, node->input[0])) != NULL &&
            is_narrow_integer(&constant->source));
}

/* Integers that became float, perhaps less a zero point or scaled once; or the scale of an
 * activation. */
static bool comes_from_integers(const onnxq_plan *plan, const struct oq_graph *graph,
                                const char *name)
{
    for (unsigned steps = 0; steps < MAX_STEPS; steps++) {
        const Oq__Pb__NodeProto *node = producer(&graph, name);
        if (node == NULL || node->n_input == 0)
            return false;
        if (oq_node_is(node, "", "DynamicQuantizeLinear"))
            return true;
        if (oq_node_is(node, "", "Cast"))
            return is_integer_value(plan, graph, node->input[0]);
        if (!oq_node_is(node, "", "Sub") && !oq_node_is(node, "", "Mul"))
            return false;
        name = node->input[0];
    }
    return false;
}

/* --- columns in float beside them --- */

/* With a bias, perhaps. */
static bool is_integer_product(const onnxq_plan *plan, const struct oq_graph *graph,
                               const char *name)
{
    const Oq__Pb__NodeProto *node = producer(&graph, name);
    if (node != NULL && oq_node_is(node, "", "Add") && node->n_input == 2 &&
        oq_plan_constant(plan, graph, node->input[1]) != NULL)
        node = producer(&graph, node->input[0]);
    return node != NULL && (is_quantized(node) || (oq_node_is(node, "", "Mul") &&
                                                   comes_from_integers(plan, graph, name)));
}

/* Gather(x, columns) . weight + what integers make of the other columns. */
static bool is_beside_integers(const onnxq_plan *plan, const struct oq_site *site)
{
    const struct oq_graph *graph = site->graph;
    const Oq__Pb__NodeProto *node = site->node;
    if (!oq_node_is(node, "", "MatMul") || site->input != 1 || node->n_output != 1)
        return false;
    const struct oq_value *product = oq_graph_find(graph, node->output[0]);
    const struct oq_use *use = product == NULL ? NULL : product->uses;
    const Oq__Pb__NodeProto *gather = producer(&graph, node->input[0]);
    if (gather == NULL || !oq_node_is(gather, "", "Gather") || gather->n_input != 2 ||
        oq_node_int(gather, "axis", 0) != -1 ||
        oq_plan_constant(plan, graph, gather->input[1]) == NULL || use == NULL ||
        product->n_uses != 1 || use->node == OQ_NO_NODE)
        return false;
    const Oq__Pb__NodeProto *add = use->graph->proto->node[use->node];
    return oq_node_is(add, "", "Add") && add->n_input == 2 &&
           is_integer_product(plan, use->graph, add->input[1 - use->input]);
}

/* Input number `input` of a Mul or Sub whose other operand was an integer. */
static bool scales(const onnxq_plan *plan, const struct oq_graph *graph,
                   const Oq__Pb__NodeProto *node, size_t input)
{
    bool combines = OQ_NODE_IS(node, "Mul", "Sub");
    return combines && node->n_input == 2 &&
           comes_from_integers(plan, graph, node->input[1 - input]);
}

static bool is_scale(const onnxq_plan *plan, const struct oq_value *value)
{
    for (const struct oq_use *use = value->uses; use != NULL; use = use->next)
        if (use->node != OQ_NO_NODE &&
            scales(plan, use->graph, use->graph->proto->node[use->node], use->input))
            return true;
    return false;
}

/* Scales of channels times scales of inputs. */
static bool multiplies_constants(const onnxq_plan *plan, const struct oq_site *site)
{
    const Oq__Pb__NodeProto *node = site->node;
    return oq_node_is(node, "", "Mul") && node->n_input == 2 && node->n_output > 0 &&
           oq_plan_constant(plan, site->graph, node->input[0]) != NULL &&
           oq_plan_constant(plan, site->graph, node->input[1]) != NULL;
}

/* Scales of rows are gathered as the rows are. All inputs of a node ask: it is found once. */
static bool scales_after(const onnxq_plan *plan, const struct oq_site *site)
{
    enum oq_answer *answer = &plan->nodes[site->graph->ordinal][site->node_index].makes_scale;
    if (*answer == OQ_NOT_ASKED) {
        const struct oq_value *value =
            only_rearranges(site->node) || multiplies_constants(plan, site)
                ? oq_graph_find(site->graph, site->node->output[0])
                : NULL;
        *answer = value != NULL && is_scale(plan, value) ? OQ_YES : OQ_NO;
    }
    return *answer == OQ_YES;
}

const char *oq_existing_scale(const onnxq_plan *plan, const struct oq_site *site)
{
    const Oq__Pb__NodeProto *node = site->node;
    if (node == NULL)
        return NULL;
    enum oq_role role = oq_operator_role(oq_operator_of(node), site->input);
    if (is_quantized(node) || role == OQ_SCALE || role == OQ_ZERO_POINT)
        return oq_role_refuses(OQ_SCALE);
    if (is_beside_integers(plan, site))
        return "columns in float beside integers";
    return scales(plan, site->graph, node, site->input) || scales_after(plan, site)
               ? "scale or zero point of what is quantized already"
               : NULL;
}
