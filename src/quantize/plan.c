#include "quantize/plan.h"

#include <stdlib.h>

#include "base/checked.h"
#include "quantize/rules.h"
#include "quantize/selector.h"

/* What plan and output need besides the weights; large models take a few MB. */
#define PLAN_BUDGET OQ_STRUCTURE_BUDGET

/* ORT folds constants up to 1 GiB of float (optimization.constant_folding_max_output_size). */
#define MAX_FOLDED_NELEM ((uint64_t)1 << 28)

void onnxq_options_init(onnxq_options *options)
{
    *options = (onnxq_options){.struct_size = sizeof(*options),
                               .per_channel = true,
                               .symmetric = true,
                               .min_elements = 1024,
                               .subgraphs = true,
                               .sync = true};
}

static bool check_options(const onnxq_options *options, onnxq_error *error)
{
    if (options->struct_size != sizeof(*options))
        return oq_fail(error, ONNXQ_ERROR_OPTION,
                       "options were not set up with onnxq_options_init()");
    if ((unsigned)options->weight_type > ONNXQ_WEIGHT_UINT8 ||
        (unsigned)options->reduce_range > ONNXQ_REDUCE_BITS ||
        (unsigned)options->conv > ONNXQ_CONV_SKIP ||
        (unsigned)options->external_data > ONNXQ_EXTERNAL_NEVER)
        return oq_fail(error, ONNXQ_ERROR_OPTION, "an option has a value out of range");
    return true;
}

/* --- constants and their uses --- */

struct oq_constant *oq_plan_constant(const onnxq_plan *plan, const struct oq_graph *graph,
                                     const char *name)
{
    const struct oq_value *value = oq_graph_find(graph, name);
    const Oq__Pb__TensorProto *proto = NULL;
    if (value == NULL)
        return NULL;
    if (value->origin == OQ_ORIGIN_INITIALIZER) {
        proto = value->graph->proto->initializer[value->index];
    } else if (value->origin == OQ_ORIGIN_NODE) {
        const Oq__Pb__NodeProto *node = value->graph->proto->node[value->index];
        const Oq__Pb__AttributeProto *attribute =
            oq_node_is(node, "", "Constant") ? oq_node_attribute(node, "value") : NULL;
        proto = attribute == NULL ? NULL : attribute->t;
    }
    return proto == NULL ? NULL : &plan->constants[oq_model_tensor(plan->model, proto)->ordinal];
}

/* A constant that no rule will see gets one site, for the report. */
static bool add_only_site(onnxq_plan *plan, struct oq_constant *constant, const char *op_type,
                          const Oq__Pb__NodeProto *node, const char *reason, onnxq_error *error)
{
    constant->sites = oq_arena_array(&plan->arena, 1, sizeof(*constant->sites));
    if (constant->sites == NULL)
        return oq_arena_fail(&plan->arena, error);
    constant->n_sites = 1;
    constant->sites[0] =
        (struct oq_site){.constant = constant, .node = node, .op_type = op_type, .form = ""};
    oq_site_keep(&constant->sites[0], reason);
    return true;
}

static bool is_input_of_rule(const struct oq_rule *rule, size_t input)
{
    return rule != NULL && rule->is_weight(input);
}

static struct oq_site make_site(const struct oq_constant *constant, const struct oq_use *use)
{
    struct oq_site site = {.constant = constant,
                           .graph = use->graph,
                           .node_index = use->node,
                           .input = use->input,
                           .op_type = "graph output",
                           .form = "",
                           .reason = ""};
    if (use->node == OQ_NO_NODE)
        return site;
    site.node = use->graph->proto->node[use->node];
    site.op_type = site.node->op_type == NULL ? "" : site.node->op_type;
    const struct oq_rule *rule = oq_rule_find(oq_domain(site.node->domain), site.op_type);
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
        return add_only_site(plan, constant, "", NULL, "not used", error);
    constant->sites = oq_arena_array(&plan->arena, value->n_uses, sizeof(*constant->sites));
    if (constant->sites == NULL)
        return oq_arena_fail(&plan->arena, error);
    for (const struct oq_use *use = value->uses; use != NULL; use = use->next)
        constant->sites[constant->n_sites++] = make_site(constant, use);
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

static bool collect(onnxq_plan *plan, onnxq_error *error)
{
    const onnxq_model *model = plan->model;
    plan->constants = oq_arena_array(&plan->arena, model->n_tensors + 1, sizeof(*plan->constants));
    if (plan->constants == NULL)
        return oq_arena_fail(&plan->arena, error);
    for (size_t i = 0; i < model->n_tensors; i++) {
        plan->constants[i].tensor = &model->tensors[i];
        plan->constants[i].name = model->tensors[i].name;
    }
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

/*
 * Before IR version 4 every initializer had to be an input as well. Later, an
 * initializer that is also an input is a default that callers may override -
 * but exporters that list all of them only kept the old habit.
 */
static bool inputs_are_defaults_by_habit(const onnxq_model *model)
{
    const struct oq_graph *graph = model->graphs.list[0];
    for (size_t i = 0; i < graph->proto->n_initializer; i++) {
        const struct oq_value *value = oq_graph_find(graph, graph->proto->initializer[i]->name);
        if (value != NULL && !value->is_graph_input)
            return false;
    }
    return true;
}

/* --- decisions --- */

static const char *refuse_site(onnxq_plan *plan, const struct oq_selection *selection,
                               const struct oq_site *site)
{
    const struct oq_constant *constant = site->constant;
    const struct oq_tensor *tensor = constant->tensor;
    if (tensor->dtype == NULL)
        return "a type that onnxq does not know";
    if (!tensor->dtype->is_float)
        return oq_arena_printf(&plan->arena, "%s, not a float type", tensor->dtype->name);
    if (site->node == NULL)
        return "returned by the graph";
    if (site->rule == NULL)
        return oq_arena_printf(&plan->arena, "no rule for input %zu of %s", site->input,
                               site->op_type);
    if (site->graph->parent != NULL && !plan->options.subgraphs)
        return "in a subgraph";
    if (constant->value->is_graph_input && !plan->freeze_inputs)
        return "a graph input that callers may override";
    const char *refusal =
        oq_selection_refuses(selection, site->op_type, oq_node_label(site->node), constant->name);
    if (refusal != NULL)
        return refusal;
    if (tensor->nelem == 0)
        return "no elements";
    if (tensor->nelem < plan->options.min_elements)
        return oq_arena_printf(&plan->arena, "under %llu elements",
                               (unsigned long long)plan->options.min_elements);
    if (plan->model->opset < OQ_OPSET_BROADCAST)
        return oq_arena_printf(&plan->arena, "opset %lld, needs %d or later",
                               (long long)plan->model->opset, OQ_OPSET_BROADCAST);
    return NULL;
}

/* Bytes of integers and scales against bytes of floats. */
static bool would_shrink(const struct oq_site *site, const onnxq_options *options)
{
    const struct oq_tensor *tensor = site->constant->tensor;
    struct oq_layout layout =
        oq_layout_make(tensor->dims, tensor->n_dims, options->per_channel ? site->axis : -1,
                       options->per_channel ? site->batch_axes : 0);
    uint64_t scale_nbytes = options->symmetric ? 4 : 5;
    return tensor->nelem + oq_layout_n_scales(&layout) * scale_nbytes < tensor->nbytes;
}

static void decide_site(onnxq_plan *plan, const struct oq_selection *selection,
                        struct oq_site *site)
{
    const char *refusal = refuse_site(plan, selection, site);
    if (refusal != NULL) {
        oq_site_keep(site, refusal);
        return;
    }
    site->is_unsigned = plan->options.weight_type == ONNXQ_WEIGHT_UINT8;
    site->rule->decide(plan, site);
    if (site->reason == NULL)
        site->reason = "";
    if (site->action == ONNXQ_KEEP)
        return;
    if (!would_shrink(site, &plan->options))
        oq_site_keep(site, "would not be smaller");
    else if (site->action == ONNXQ_FOLD && site->constant->tensor->nelem > MAX_FOLDED_NELEM)
        oq_site_keep(site, "over 1 GiB as float: engines do not fold it");
}

/* Folding pays only if the float weight leaves the file. */
static void settle_constant(struct oq_constant *constant)
{
    bool kept = false;
    for (size_t i = 0; i < constant->n_sites; i++)
        kept |= constant->sites[i].action == ONNXQ_KEEP;
    for (size_t i = 0; kept && i < constant->n_sites; i++)
        if (constant->sites[i].action == ONNXQ_FOLD)
            oq_site_keep(&constant->sites[i], "another node needs it in float");
}

static void decide_all(onnxq_plan *plan, const struct oq_selection *selection)
{
    for (size_t i = 0; i < plan->model->n_tensors; i++) {
        struct oq_constant *constant = &plan->constants[i];
        for (size_t k = 0; constant->value != NULL && k < constant->n_sites; k++)
            if (constant->sites[k].graph != NULL)
                decide_site(plan, selection, &constant->sites[k]);
        settle_constant(constant);
    }
}

/* --- how each weight will be stored --- */

static struct oq_ranges *find_ranges(onnxq_plan *plan, struct oq_constant *constant, int axis,
                                     size_t batch_axes)
{
    if (!plan->options.per_channel) {
        axis = -1;
        batch_axes = 0;
    }
    struct oq_ranges *ranges = constant->ranges;
    while (ranges != NULL && (ranges->axis != axis || ranges->batch_axes != batch_axes))
        ranges = ranges->next;
    if (ranges != NULL || (ranges = oq_arena_alloc(&plan->arena, sizeof(*ranges))) == NULL)
        return ranges;
    const struct oq_tensor *tensor = constant->tensor;
    *ranges =
        (struct oq_ranges){.tensor = tensor,
                           .axis = axis,
                           .batch_axes = batch_axes,
                           .layout = oq_layout_make(tensor->dims, tensor->n_dims, axis, batch_axes),
                           .next = constant->ranges};
    ranges->n_scales = oq_layout_n_scales(&ranges->layout);
    size_t n = (size_t)ranges->n_scales;
    ranges->lo = oq_arena_array(&plan->arena, n, sizeof(*ranges->lo));
    ranges->hi = oq_arena_array(&plan->arena, n, sizeof(*ranges->hi));
    ranges->scale = oq_arena_array(&plan->arena, n, sizeof(*ranges->scale));
    if (ranges->lo == NULL || ranges->hi == NULL || ranges->scale == NULL)
        return NULL;
    constant->ranges = ranges;
    return ranges;
}

static struct oq_quantized *find_quantized(onnxq_plan *plan, struct oq_constant *constant,
                                           const struct oq_site *site)
{
    struct oq_ranges *ranges = find_ranges(plan, constant, site->axis, site->batch_axes);
    if (ranges == NULL)
        return NULL;
    struct oq_quantized *quantized = constant->quantized;
    while (quantized != NULL &&
           (quantized->ranges != ranges || quantized->transposed != site->transposed ||
            quantized->is_unsigned != site->is_unsigned))
        quantized = quantized->next;
    if (quantized != NULL || (quantized = oq_arena_alloc(&plan->arena, sizeof(*quantized))) == NULL)
        return quantized;
    *quantized = (struct oq_quantized){.ranges = ranges,
                                       .transposed = site->transposed,
                                       .is_unsigned = site->is_unsigned,
                                       .next = constant->quantized};
    quantized->zero_point = oq_arena_array(&plan->arena, (size_t)ranges->n_scales, sizeof(float));
    constant->quantized = quantized;
    return quantized->zero_point == NULL ? NULL : quantized;
}

/* Folded uses share one copy, whatever axis each would like: it is float again in the end. */
static bool choose_storage(onnxq_plan *plan, struct oq_constant *constant, onnxq_error *error)
{
    for (size_t i = 0; i < constant->n_sites; i++) {
        struct oq_site *site = &constant->sites[i];
        if (site->action == ONNXQ_KEEP)
            continue;
        if (site->action == ONNXQ_FOLD && constant->fold != NULL) {
            site->quantized = constant->fold;
            continue;
        }
        site->quantized = find_quantized(plan, constant, site);
        if (site->quantized == NULL)
            return oq_arena_fail(&plan->arena, error);
        if (site->action == ONNXQ_FOLD)
            constant->fold = site->quantized;
    }
    return true;
}

static bool choose_all(onnxq_plan *plan, onnxq_error *error)
{
    for (size_t i = 0; i < plan->model->n_tensors; i++)
        if (!choose_storage(plan, &plan->constants[i], error))
            return false;
    return true;
}

static bool is_finite(const struct oq_constant *constant)
{
    for (const struct oq_ranges *ranges = constant->ranges; ranges != NULL; ranges = ranges->next)
        if (!oq_ranges_finite(ranges))
            return false;
    return true;
}

/* What has no scale stays as it is. */
static void drop_infinite(onnxq_plan *plan)
{
    for (size_t i = 0; i < plan->model->n_tensors; i++) {
        struct oq_constant *constant = &plan->constants[i];
        if (is_finite(constant))
            continue;
        for (size_t k = 0; k < constant->n_sites; k++)
            if (constant->sites[k].action != ONNXQ_KEEP)
                oq_site_keep(&constant->sites[k], "holds NaN or infinity");
        constant->ranges = NULL;
        constant->quantized = NULL;
        constant->fold = NULL;
    }
}

/* --- for the caller --- */

static bool describe_uses(onnxq_plan *plan, const struct oq_constant *constant,
                          onnxq_weight *weight, onnxq_error *error)
{
    onnxq_use *uses = oq_arena_array(&plan->arena, constant->n_sites, sizeof(*uses));
    if (uses == NULL)
        return oq_arena_fail(&plan->arena, error);
    for (size_t i = 0; i < constant->n_sites; i++) {
        const struct oq_site *site = &constant->sites[i];
        uses[i] = (onnxq_use){.graph = site->graph == NULL ? "" : site->graph->name,
                              .node = site->node == NULL ? "" : oq_node_label(site->node),
                              .op_type = site->op_type,
                              .domain = site->node == NULL ? "" : oq_domain(site->node->domain),
                              .input = site->input,
                              .action = site->action,
                              .form = site->form,
                              .reason = site->reason};
        if (weight->action == ONNXQ_KEEP || site->action == ONNXQ_DYNAMIC)
            weight->action = site->action;
    }
    weight->uses = uses;
    weight->n_uses = constant->n_sites;
    return true;
}

static bool describe(onnxq_plan *plan, onnxq_error *error)
{
    plan->weights =
        oq_arena_array(&plan->arena, plan->model->n_tensors + 1, sizeof(*plan->weights));
    if (plan->weights == NULL)
        return oq_arena_fail(&plan->arena, error);
    for (size_t i = 0; i < plan->model->n_tensors; i++) {
        const struct oq_constant *constant = &plan->constants[i];
        const struct oq_tensor *tensor = constant->tensor;
        onnxq_weight *weight = &plan->weights[i];
        const struct oq_ranges *ranges =
            constant->quantized == NULL ? NULL : constant->quantized->ranges;
        *weight = (onnxq_weight){.name = constant->name,
                                 .dtype = tensor->dtype == NULL ? "unknown" : tensor->dtype->name,
                                 .dims = tensor->dims,
                                 .n_dims = tensor->n_dims,
                                 .nelem = tensor->nelem,
                                 .nbytes = tensor->nbytes,
                                 .nbytes_after = constant->nbytes_after,
                                 .n_scales = ranges == NULL ? 0 : ranges->n_scales,
                                 .channel_axis = ranges == NULL ? -1 : ranges->axis};
        if (!describe_uses(plan, constant, weight, error))
            return false;
        plan->summary.n_weights++;
        plan->summary.n_quantized += weight->action != ONNXQ_KEEP;
        plan->summary.weight_nbytes_before += weight->nbytes;
        plan->summary.weight_nbytes_after += weight->nbytes_after;
    }
    return true;
}

static bool summarize(onnxq_plan *plan, onnxq_error *error)
{
    onnxq_model_info info;
    uint64_t model_nbytes;
    onnxq_model_get_info(plan->model, &info);
    plan->summary.nbytes_before = info.file_nbytes + info.external_nbytes;
    plan->summary.nbytes_after = plan->summary.nbytes_before;
    plan->summary.external_nbytes_after = info.external_nbytes;
    if (plan->output == NULL)
        return true;
    if (onnxq_plan_get_output_size(plan, "model.onnx", &model_nbytes,
                                   &plan->summary.external_nbytes_after, error) != ONNXQ_OK)
        return false;
    plan->summary.nbytes_after = model_nbytes + plan->summary.external_nbytes_after;
    return true;
}

static bool make_plan(onnxq_plan *plan, const struct oq_selection *selection, onnxq_error *error)
{
    if (!collect(plan, error))
        return false;
    plan->freeze_inputs =
        plan->model->proto->ir_version < 4 || inputs_are_defaults_by_habit(plan->model);
    decide_all(plan, selection);
    if (!choose_all(plan, error) || !oq_plan_measure(plan, error))
        return false;
    drop_infinite(plan);
    oq_plan_scale(plan);
    return oq_plan_rewrite(plan, error) && describe(plan, error) && summarize(plan, error);
}

onnxq_plan *onnxq_plan_create(const onnxq_model *model, const onnxq_options *options,
                              onnxq_error *error)
{
    onnxq_error ignored;
    error = error == NULL ? &ignored : error;
    oq_error_init(error);
    if (!check_options(options, error))
        return NULL;
    onnxq_plan *plan = calloc(1, sizeof(*plan));
    struct oq_selection *selection = oq_selection_create(options, model, error);
    bool ok = selection != NULL && (plan != NULL || oq_fail_memory(error));
    if (ok) {
        oq_arena_init(&plan->arena, PLAN_BUDGET);
        plan->model = model;
        plan->options = *options;
        ok = make_plan(plan, selection, error);
        plan->options.selectors = NULL;
        plan->options.op_types = plan->options.exclude_op_types = NULL;
    }
    oq_selection_destroy(selection);
    if (ok)
        return plan;
    oq_error_file(error, model->file.path);
    onnxq_plan_destroy(plan);
    return NULL;
}

void onnxq_plan_destroy(onnxq_plan *plan)
{
    if (plan == NULL)
        return;
    oq_arena_fini(&plan->arena);
    free(plan);
}

size_t onnxq_plan_count(const onnxq_plan *plan)
{
    return plan->model->n_tensors;
}

const onnxq_weight *onnxq_plan_get(const onnxq_plan *plan, size_t index)
{
    return &plan->weights[index];
}

void onnxq_plan_get_summary(const onnxq_plan *plan, onnxq_summary *summary)
{
    *summary = plan->summary;
}

onnxq_status onnxq_quantize_file(const char *input, const char *output,
                                 const onnxq_options *options, onnxq_error *error)
{
    onnxq_error ignored;
    error = error == NULL ? &ignored : error;
    onnxq_model *model = onnxq_model_open(input, error);
    onnxq_plan *plan = model == NULL ? NULL : onnxq_plan_create(model, options, error);
    onnxq_status status = plan == NULL ? error->status : onnxq_plan_write(plan, output, error);
    onnxq_plan_destroy(plan);
    onnxq_model_close(model);
    return status;
}
