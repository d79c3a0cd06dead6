/* Finding one's way in a plan. */
#include "quantize/plan/plan.h"

#include <stdlib.h>

struct oq_read_room *oq_plan_read_room(onnxq_plan *plan)
{
    if (plan->room == NULL)
        plan->room = malloc(sizeof(*plan->room));
    plan->arena.failed |= plan->room == NULL;
    return plan->room;
}

struct oq_constant *oq_plan_constant(const onnxq_plan *plan, const struct oq_graph *graph,
                                     const char *name)
{
    const struct oq_value *value = oq_graph_find(graph, name);
    if (value == NULL)
        return NULL;
    const Oq__Pb__TensorProto *proto = oq_value_tensor(value);
    if (proto != NULL)
        return &plan->constants[oq_model_tensor(plan->model, proto)->ordinal];
    return plan->derived[value->ordinal];
}

bool oq_plan_read_axes(const onnxq_plan *plan, const struct oq_graph *graph,
                       const Oq__Pb__NodeProto *node, int64_t axes[OQ_READ_MAX_INTEGERS], size_t *n)
{
    const Oq__Pb__AttributeProto *attribute = oq_node_attribute(node, "axes");
    const char *name = oq_node_input(node, 1);
    const struct oq_constant *constant = oq_plan_constant(plan, graph, name);
    onnxq_error ignored;
    *n = 0;
    if (constant != NULL && constant->tensor != NULL) {
        *n = (size_t)constant->tensor->nelem;
        return constant->tensor->nelem <= OQ_READ_MAX_INTEGERS &&
               oq_tensor_is_integer(constant->tensor) &&
               oq_tensor_read_int64s(constant->tensor, axes, &ignored);
    }
    if (attribute != NULL && attribute->n_ints <= OQ_READ_MAX_INTEGERS) {
        *n = attribute->n_ints;
        for (size_t i = 0; i < *n; i++)
            axes[i] = attribute->ints[i];
    }
    return name[0] == '\0' && (attribute == NULL || *n > 0);
}

bool oq_plan_is_overridable(const onnxq_plan *plan, const struct oq_constant *constant)
{
    return constant->is_ambiguous || constant->is_named ||
           (constant->value != NULL && constant->value->is_graph_input && !plan->freeze_inputs);
}

struct oq_site *oq_plan_site(const onnxq_plan *plan, const struct oq_graph *graph, size_t node,
                             size_t input)
{
    bool exists = input < graph->proto->node[node]->n_input;
    return exists ? plan->nodes[graph->ordinal][node].of_input[input] : NULL;
}

struct oq_site *oq_plan_sibling(const onnxq_plan *plan, const struct oq_site *site, size_t input)
{
    return oq_plan_site(plan, site->graph, site->node_index, input);
}

const char *oq_constant_label(const onnxq_plan *plan, const struct oq_constant *constant)
{
    bool is_derived = constant->tensor == NULL && constant->source.n_spans > 0;
    if (is_derived)
        constant = &plan->constants[constant->source.spans[0].tensor->ordinal];
    const struct oq_made *made = constant->tensor == NULL ? NULL : constant->tensor->made;
    return made == NULL ? constant->name : made->name;
}
