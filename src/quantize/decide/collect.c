/* What constants a model has, and who uses them. */
#include <stdlib.h>

#include "base/checked.h"
#include "model/cycles.h"
#include "quantize/analyze/state.h"
#include "quantize/plan/plan.h"
#include "quantize/rules/rules.h"
#include "quantize/decide/steps.h"

/* A constant that no rule will see gets one site, for the report. */
static bool add_only_site(onnxq_plan *plan, struct oq_constant *constant, const char *op_type,
                          const Oq__Pb__NodeProto *node, const char *reason, onnxq_error *error)
{
    constant->sites = oq_arena_array(&plan->arena, 1, sizeof(*constant->sites));
    if (constant->sites == NULL)
        return oq_arena_fail(&plan->arena, error);
    constant->n_sites = 1;
    constant->sites[0] = (struct oq_site){.constant = constant,
                                          .node = node,
                                          .op_type = op_type,
                                          .domain = node == NULL ? "" : oq_domain(node->domain),
                                          .form = ""};
    oq_site_keep(&constant->sites[0], reason);
    return true;
}

static bool is_input_of_rule(const struct oq_rule *rule, size_t input)
{
    return rule != NULL && rule->is_weight(input);
}

/* An operator that stands for another is called as that one. */
static void name_site(const onnxq_plan *plan, struct oq_site *site)
{
    const struct oq_node_origin *origin = oq_model_origin(plan->model, site->node);
    const bool stands_for = origin != NULL && !origin->is_inside;
    const char *op_type = stands_for ? origin->op_type : site->node->op_type;
    site->op_type = op_type == NULL ? "" : op_type;
    site->domain = stands_for ? origin->domain : oq_domain(site->node->domain);
    site->origin = origin;
}

static struct oq_site make_site(const onnxq_plan *plan, const struct oq_constant *constant,
                                const struct oq_use *use)
{
    struct oq_site site = {.constant = constant,
                           .graph = use->graph,
                           .node_index = use->node,
                           .input = use->input,
                           .op_type = "graph output",
                           .domain = "",
                           .form = "",
                           .reason = ""};
    if (use->node == OQ_NO_NODE)
        return site;
    site.node = use->graph->proto->node[use->node];
    name_site(plan, &site);
    const struct oq_rule *rule = oq_rule_find(oq_operator_of(site.node));
    site.rule = is_input_of_rule(rule, use->input) ? rule : NULL;
    return site;
}

static bool add_value(onnxq_plan *plan, const struct oq_graph *graph, const char *name,
                      onnxq_error *error)
{
    const struct oq_value *value = oq_graph_find(graph, name);
    struct oq_constant *constant = oq_plan_constant(plan, graph, name);
    if (value == NULL || constant == NULL || constant->value != NULL)
        return true;
    constant->name = name;
    constant->value = value;
    constant->graph = graph;
    if (value->n_uses == 0)
        return add_only_site(plan, constant, "unused", NULL, "nothing uses it", error);
    constant->sites = oq_arena_array(&plan->arena, value->n_uses, sizeof(*constant->sites));
    if (constant->sites == NULL)
        return oq_arena_fail(&plan->arena, error);
    for (const struct oq_use *use = value->uses; use != NULL; use = use->next)
        constant->sites[constant->n_sites++] = make_site(plan, constant, use);
    return true;
}

/* Tensors in attributes that are no value by themselves, such as that of ConstantOfShape. */
static bool add_attributes(onnxq_plan *plan, const Oq__Pb__NodeProto *node, onnxq_error *error)
{
    for (size_t i = 0; i < node->n_attribute; i++) {
        const Oq__Pb__AttributeProto *attribute = node->attribute[i];
        size_t n = attribute->n_tensors + (attribute->t != NULL);
        for (size_t k = 0; k < n; k++) {
            const Oq__Pb__TensorProto *proto =
                k < attribute->n_tensors ? attribute->tensors[k] : attribute->t;
            struct oq_constant *constant =
                &plan->constants[oq_model_tensor(plan->model, proto)->ordinal];
            if (constant->n_sites == 0 &&
                !add_only_site(plan, constant, node->op_type == NULL ? "" : node->op_type, node,
                               "in an attribute", error))
                return false;
        }
    }
    return true;
}

static bool collect_graph(onnxq_plan *plan, const struct oq_graph *graph, onnxq_error *error)
{
    const Oq__Pb__GraphProto *proto = graph->proto;
    for (size_t i = 0; i < proto->n_initializer; i++)
        if (!add_value(plan, graph, proto->initializer[i]->name, error))
            return false;
    for (size_t i = 0; i < proto->n_node; i++) {
        const Oq__Pb__NodeProto *node = proto->node[i];
        if (oq_node_is(node, "", "Constant") && node->n_output > 0 &&
            !add_value(plan, graph, node->output[0], error))
            return false;
        if (!add_attributes(plan, node, error))
            return false;
    }
    return true;
}

/* --- derived constants --- */

/* A use of a value that a chain of operators makes, by an operator that can take it as integers. */
static bool is_candidate(const struct oq_use *use)
{
    if (use->node == OQ_NO_NODE)
        return false;
    const Oq__Pb__NodeProto *node = use->graph->proto->node[use->node];
    const struct oq_rule *rule = oq_rule_find(oq_operator_of(node));
    return is_input_of_rule(rule, use->input) && rule->emit != NULL;
}

static size_t count_candidates(const struct oq_value *value)
{
    size_t n = 0;
    for (const struct oq_use *use = value->uses; use != NULL; use = use->next)
        n += is_candidate(use);
    return n;
}

/* The tensor that a derived constant starts with; NULL where it has no elements. */
static struct oq_constant *base_of(const onnxq_plan *plan, const struct oq_source *source)
{
    return source->n_spans == 0 ? NULL : &plan->constants[source->spans[0].tensor->ordinal];
}

/* The graph of the tensors: whoever sees them sees what replaces them. */
static const struct oq_graph *home_of(const onnxq_plan *plan, const struct oq_value *value,
                                      const struct oq_source *source)
{
    const struct oq_constant *base = base_of(plan, source);
    for (size_t i = 0; i < source->n_spans; i++)
        if (plan->constants[source->spans[i].tensor->ordinal].graph != base->graph)
            return value->graph;
    return base == NULL ? value->graph : base->graph;
}

static bool add_derived(onnxq_plan *plan, const struct oq_value *value,
                        const struct oq_source *source, size_t n_sites, onnxq_error *error)
{
    struct oq_constant *constant = &plan->constants[plan->n_constants];
    struct oq_constant *base = base_of(plan, source);
    *constant = (struct oq_constant){.source = *source,
                                     .name = value->name,
                                     .value = value,
                                     .graph = home_of(plan, value, source)};
    if (base != NULL) {
        constant->next_derived = base->derived;
        base->derived = constant;
    }
    constant->sites = oq_arena_array(&plan->arena, n_sites, sizeof(*constant->sites));
    if (constant->sites == NULL)
        return oq_arena_fail(&plan->arena, error);
    for (const struct oq_use *use = value->uses; use != NULL; use = use->next)
        if (is_candidate(use))
            constant->sites[constant->n_sites++] = make_site(plan, constant, use);
    plan->derived[value->ordinal] = constant;
    plan->n_constants++;
    return true;
}

static bool derive(onnxq_plan *plan, const struct oq_graph *graph, const char *name,
                   onnxq_error *error)
{
    const struct oq_value *value = oq_graph_find(graph, name);
    size_t n_sites = value == NULL ? 0 : count_candidates(value);
    struct oq_source source;
    bool found;
    if (n_sites == 0)
        return true;
    if (!oq_source_find(&source, plan->model, graph, value->name, plan->freeze_inputs,
                        &plan->sources, &found, error))
        return false;
    return !found || add_derived(plan, value, &source, n_sites, error);
}

static bool derive_outputs(onnxq_plan *plan, const struct oq_graph *graph,
                           const Oq__Pb__NodeProto *node, onnxq_error *error)
{
    for (size_t i = 0; oq_source_may_make(node) && i < node->n_output; i++)
        if (!derive(plan, graph, node->output[i], error))
            return false;
    return true;
}

static size_t count_chain_values(const onnxq_model *model)
{
    size_t n = 0;
    for (size_t g = 0; g < model->graphs.count; g++)
        for (size_t i = 0; i < model->graphs.list[g]->proto->n_node; i++) {
            const Oq__Pb__NodeProto *node = model->graphs.list[g]->proto->node[i];
            n += oq_source_may_make(node) ? node->n_output : 0;
        }
    return n;
}

static bool derive_all(onnxq_plan *plan, onnxq_error *error)
{
    const struct oq_graphs *graphs = &plan->model->graphs;
    for (size_t g = 0; g < graphs->count; g++)
        for (size_t i = 0; i < graphs->list[g]->proto->n_node; i++)
            if (!derive_outputs(plan, graphs->list[g], graphs->list[g]->proto->node[i], error))
                return false;
    return true;
}

static bool collect_tensors(onnxq_plan *plan, onnxq_error *error)
{
    const onnxq_model *model = plan->model;
    for (size_t i = 0; i < model->n_tensors; i++) {
        struct oq_constant *constant = &plan->constants[i];
        constant->tensor = &model->tensors[i];
        constant->name = model->tensors[i].name;
        if (!oq_source_from_tensor(&constant->source, constant->tensor, &plan->arena))
            return oq_arena_fail(&plan->arena, error);
    }
    plan->n_constants = model->n_tensors;
    for (size_t g = 0; g < model->graphs.count; g++)
        if (!collect_graph(plan, model->graphs.list[g], error))
            return false;
    for (size_t i = 0; i < model->n_tensors; i++)
        if (plan->constants[i].n_sites == 0 &&
            !add_only_site(plan, &plan->constants[i], "", NULL,
                           "in a local function, a sparse tensor or training information", error))
            return false;
    return true;
}

/* --- twins --- */

static int compare_factors(const struct oq_source *a, const struct oq_source *b)
{
    int order = oq_compare_u64(a->n_factors, b->n_factors);
    if (order == 0)
        order = oq_compare_u64(a->factor_nelem, b->factor_nelem);
    return order != 0 || a->n_factors == 0
               ? order
               : memcmp(a->factors, b->factors, (size_t)a->n_factors * sizeof(*a->factors));
}

/* Some order in which equal ones lie together. */
static int compare_sources(const struct oq_source *a, const struct oq_source *b)
{
    int order = oq_compare_u64(a->n_spans, b->n_spans);
    if (order == 0)
        order = oq_compare_u64(a->n_dims, b->n_dims);
    if (order == 0)
        order = oq_compare_u64((uint64_t)a->data_type, (uint64_t)b->data_type);
    if (order == 0)
        order = a->transposed - b->transposed;
    if (order == 0 && a->n_dims > 0)
        order = memcmp(a->dims, b->dims, a->n_dims * sizeof(*a->dims));
    if (order == 0 && a->spans != b->spans)
        order = memcmp(a->spans, b->spans, a->n_spans * sizeof(*a->spans));
    return order != 0 ? order : compare_factors(a, b);
}

/* Of equal ones the first in the file comes first. */
static int compare_derived(const void *left, const void *right)
{
    const struct oq_constant *a = *(struct oq_constant *const *)left;
    const struct oq_constant *b = *(struct oq_constant *const *)right;
    int order = compare_sources(&a->source, &b->source);
    return order != 0 ? order : (a > b) - (a < b);
}

/* Branches of an If often make the same weight from the same tensors: the first stands for all. */
static bool find_twins(onnxq_plan *plan, onnxq_error *error)
{
    struct oq_constant *derived = plan->constants + plan->model->n_tensors;
    size_t n = plan->n_constants - plan->model->n_tensors;
    struct oq_constant **list = oq_arena_array(&plan->arena, n + 1, sizeof(*list));
    if (list == NULL)
        return oq_arena_fail(&plan->arena, error);
    for (size_t i = 0; i < n; i++)
        list[i] = &derived[i];
    qsort(list, n, sizeof(*list), compare_derived);
    for (size_t i = 1, first = 0; i < n; i++) {
        if (compare_sources(&list[first]->source, &list[i]->source) != 0)
            first = i;
        else if (list[i]->source.n_spans > 0)
            list[i]->twin = list[first];
    }
    return true;
}

/* --- sites by their place --- */

static bool allocate_nodes(onnxq_plan *plan, const struct oq_graph *graph)
{
    const Oq__Pb__GraphProto *proto = graph->proto;
    struct oq_node_sites *nodes = oq_arena_array(&plan->arena, proto->n_node + 1, sizeof(*nodes));
    size_t n_inputs = 0;
    for (size_t i = 0; i < proto->n_node; i++)
        n_inputs += proto->node[i]->n_input;
    struct oq_site **sites = oq_arena_array(&plan->arena, n_inputs + 1, sizeof(*sites));
    if (nodes == NULL || sites == NULL)
        return false;
    for (size_t i = 0; i < proto->n_node; sites += proto->node[i++]->n_input)
        nodes[i].of_input = sites;
    plan->nodes[graph->ordinal] = nodes;
    return true;
}

static bool index_sites(onnxq_plan *plan, onnxq_error *error)
{
    const struct oq_graphs *graphs = &plan->model->graphs;
    plan->nodes = oq_arena_array(&plan->arena, graphs->count, sizeof(*plan->nodes));
    for (size_t g = 0; g < graphs->count; g++)
        if (plan->nodes == NULL || !allocate_nodes(plan, graphs->list[g]))
            return oq_arena_fail(&plan->arena, error);
    for (size_t i = 0; i < plan->n_constants; i++)
        for (size_t k = 0; k < plan->constants[i].n_sites; k++) {
            struct oq_site *site = &plan->constants[i].sites[k];
            if (site->graph != NULL && site->node != NULL)
                plan->nodes[site->graph->ordinal][site->node_index].of_input[site->input] = site;
        }
    return true;
}

/* --- recurrences --- */

static bool is_recurrent(const Oq__Pb__NodeProto *node)
{
    return oq_operator_has(oq_operator_of(node), OQ_RECURRENT);
}

/* Bodies of Loop and Scan, also of what is in them; a parent comes before its children. */
static void find_repeated(const onnxq_model *model, bool *is_repeated)
{
    for (size_t g = 0; g < model->graphs.count; g++) {
        const struct oq_graph *graph = model->graphs.list[g], *parent = graph->parent;
        is_repeated[graph->ordinal] =
            parent != NULL &&
            (is_repeated[parent->ordinal] || is_recurrent(parent->proto->node[graph->node]));
    }
}

static bool is_used_again(const struct oq_constant *constant, const bool *is_repeated)
{
    for (size_t i = 0; i < constant->n_sites; i++) {
        const struct oq_site *site = &constant->sites[i];
        if ((site->graph != NULL && is_repeated[site->graph->ordinal]) ||
            (site->node != NULL && is_recurrent(site->node)))
            return true;
    }
    return false;
}

/*
 * LSTM, GRU and RNN in themselves, Loop and Scan in what they repeat; and all of a model that hands
 * its state back, which is off by all that went into it.
 */
static bool find_recurrent(onnxq_plan *plan, onnxq_error *error)
{
    const bool all = oq_hands_back_state(plan->model);
    bool *is_repeated = oq_arena_array(&plan->arena, plan->model->graphs.count, sizeof(bool));
    if (is_repeated == NULL)
        return oq_arena_fail(&plan->arena, error);
    find_repeated(plan->model, is_repeated);
    for (size_t i = 0; i < plan->n_constants; i++) {
        struct oq_constant *constant = &plan->constants[i];
        constant->is_recurrent |= all || is_used_again(constant, is_repeated);
        if (constant->twin != NULL)
            constant->twin->is_recurrent |= constant->is_recurrent;
    }
    return true;
}

static bool index_functions(onnxq_plan *plan)
{
    const Oq__Pb__ModelProto *model = plan->model->proto;
    oq_strmap_init(&plan->functions, &plan->arena);
    for (size_t i = 0; i < model->n_functions; i++) {
        Oq__Pb__FunctionProto *function = model->functions[i];
        const char *key = oq_function_key(&plan->arena, function->domain, function->name, NULL);
        void **place = key == NULL ? NULL : oq_strmap_place(&plan->functions, key);
        if (place == NULL)
            return false;
        *place = function;
    }
    return true;
}

static bool allocate_products(onnxq_plan *plan)
{
    const struct oq_graphs *graphs = &plan->model->graphs;
    plan->products = oq_arena_array(&plan->arena, graphs->count, sizeof(*plan->products));
    for (size_t g = 0; plan->products != NULL && g < graphs->count; g++) {
        size_t n = graphs->list[g]->proto->n_node;
        plan->products[g] = oq_arena_array(&plan->arena, n + 1, sizeof(**plan->products));
        if (plan->products[g] == NULL)
            return false;
    }
    return plan->products != NULL;
}

bool oq_plan_collect(onnxq_plan *plan, onnxq_error *error)
{
    const onnxq_model *model = plan->model;
    plan->derived =
        oq_arena_array(&plan->arena, plan->model->graphs.n_values + 1, sizeof(*plan->derived));
    if (plan->derived == NULL)
        return oq_arena_fail(&plan->arena, error);
    plan->freeze_inputs = plan->expand_options.freeze_inputs;
    /* One place for each tensor, and for each value that may be a derived constant. */
    plan->constants = oq_arena_array(&plan->arena, model->n_tensors + count_chain_values(model) + 1,
                                     sizeof(*plan->constants));
    if (plan->constants == NULL || !allocate_products(plan) || !index_functions(plan))
        return oq_arena_fail(&plan->arena, error);
    return collect_tensors(plan, error) && derive_all(plan, error) && find_twins(plan, error) &&
           index_sites(plan, error) && find_recurrent(plan, error);
}
