/*
 * An Add of activations that nothing but a normalization reads is kept away from it: ONNX Runtime
 * joins the two in one operator, SkipLayerNormalization, which since version 1.30 takes longer
 * than both (docs/decisions.md). It joins no Sum, which gives the same numbers in the same time.
 * It finds out that both terms are of one shape by the names of their open dimensions, and uses
 * these for other things that cost time as well: inner values of such a graph lose them.
 */
#include "quantize/write/rewrite.h"

#include "wire/data_type.h"

#define OPSET_SUM_BROADCASTS 8

/* Joined, the two are faster before this version, 1.N (docs/decisions.md). */
#define FIRST_SLOW_ENGINE 30

static const struct oq_value *made_here(const struct oq_graph *graph, const char *name)
{
    const struct oq_value *value = oq_graph_find(graph, name);
    return value != NULL && value->graph == graph && value->origin == OQ_ORIGIN_NODE ? value : NULL;
}

/* A float32 result of an operator that takes integers. */
static bool is_product(const onnxq_plan *plan, const struct oq_value *value)
{
    const struct oq_site *site = plan->products[value->graph->ordinal][value->index];
    return site != NULL && site->constant->source.data_type == OQ_TYPE(FLOAT);
}

/* The same, or that with a bias. */
static bool is_biased_product(const onnxq_plan *plan, const struct oq_graph *graph,
                              const char *name)
{
    const struct oq_value *value = made_here(graph, name);
    if (value == NULL || is_product(plan, value))
        return value != NULL;
    const Oq__Pb__NodeProto *node = oq_value_node(value);
    if (!oq_node_is(node, "", "Add") || node->n_input != 2)
        return false;
    for (size_t k = 0; k < 2; k++) {
        const struct oq_value *term = made_here(graph, node->input[k]);
        if (term != NULL && is_product(plan, term) &&
            oq_plan_constant(plan, graph, node->input[1 - k]) != NULL)
            return true;
    }
    return false;
}

/* LayerNormalization, or the mean and the difference with which one in parts begins. */
static bool is_normalized(const struct oq_value *value)
{
    static const char *const readers[] = {"LayerNormalization", "ReduceMean", "Sub"};
    bool read_by[3] = {false};
    for (const struct oq_use *use = value->uses; use != NULL; use = use->next) {
        size_t k = 0;
        if (use->graph != value->graph || use->node == OQ_NO_NODE || use->input != 0)
            return false;
        const Oq__Pb__NodeProto *node = use->graph->proto->node[use->node];
        while (k < 3 && !oq_node_is(node, "", readers[k]))
            k++;
        if (k == 3)
            return false;
        read_by[k] = true;
    }
    return read_by[0] != (read_by[1] && read_by[2]);
}

static bool is_joined(const onnxq_plan *plan, const struct oq_graph *graph,
                      const Oq__Pb__NodeProto *node)
{
    if (!oq_node_is(node, "", "Add") || node->n_input != 2 || node->n_output != 1 ||
        node->n_attribute > 0 || oq_plan_constant(plan, graph, node->input[0]) != NULL ||
        oq_plan_constant(plan, graph, node->input[1]) != NULL)
        return false;
    const struct oq_value *sum = made_here(graph, node->output[0]);
    return sum != NULL && !sum->is_graph_output && is_normalized(sum) &&
           (is_biased_product(plan, graph, node->input[0]) ||
            is_biased_product(plan, graph, node->input[1]));
}

static bool joins_fast(const onnxq_plan *plan)
{
    return plan->target != 0 && plan->target < FIRST_SLOW_ENGINE;
}

void oq_rewrite_norms(struct oq_rewrite *rewrite)
{
    static char sum[] = "Sum";
    const onnxq_plan *plan = rewrite->plan;
    const onnxq_method method = plan->options.method;
    bool has_products = method == ONNXQ_METHOD_DYNAMIC || method == ONNXQ_METHOD_STATIC ||
                        method == ONNXQ_METHOD_BLOCKS;
    if (!has_products || plan->options.join_norms || plan->options.qdq_standard ||
        joins_fast(plan) || plan->model->opset < OPSET_SUM_BROADCASTS)
        return;
    for (size_t g = 0; g < rewrite->edit->graphs->count; g++) {
        const struct oq_graph *graph = rewrite->edit->graphs->list[g];
        struct oq_edit_graph *state = &rewrite->edit->states[g];
        for (size_t i = 0; i < graph->proto->n_node; i++)
            if (is_joined(plan, graph, graph->proto->node[i])) {
                state->proto->node[i]->op_type = sum;
                state->drop_dim_names = true;
            }
    }
}
