/* What happens to every weight. */
#include "quantize/plan/plan.h"

#include "base/checked.h"
#include "base/option_values.h"
#include "model/cycles.h"
#include "quantize/analyze/existing.h"
#include "quantize/analyze/fate.h"
#include "quantize/decide/futures.h"
#include "quantize/activations/activations.h"
#include "quantize/rules/rules.h"
#include "quantize/decide/selector.h"
#include "quantize/decide/steps.h"

/* ONNX Runtime folds up to 1 GiB: optimization.constant_folding_max_output_size_in_bytes. */
#define MAX_FOLDED_NELEM ((uint64_t)1 << 28)

/* More than numpy has (64); sites look at all dimensions of their weight. */
#define MAX_WEIGHT_RANK 64

static bool is_call(onnxq_plan *plan, const Oq__Pb__NodeProto *node)
{
    const char *key = oq_function_key(&plan->round, node->domain, node->op_type, NULL);
    return key != NULL && oq_strmap_find(&plan->functions, key) != NULL;
}

static const char *refuse_call(onnxq_plan *plan, const struct oq_site *site)
{
    if (site->constant->source.nelem < plan->options.min_elements)
        return oq_arena_printf(&plan->arena, "under %llu elements",
                               (unsigned long long)plan->options.min_elements);
    return oq_arena_printf(&plan->arena,
                           "local function %s is not written out: it has operators of other "
                           "versions, sparse tensors, bodies as attributes or the name of a known "
                           "operator, is in too many others, or comes to too many nodes",
                           site->op_type);
}

static const char *refuse_input(onnxq_plan *plan, const struct oq_site *site)
{
    bool has_rule = oq_rule_find(oq_operator_of(site->node)) != NULL;
    const char *domain = site->domain;
    if (is_call(plan, site->node))
        return refuse_call(plan, site);
    return has_rule ? oq_arena_printf(&plan->arena, "input %zu of %s is no weight", site->input,
                                      site->op_type)
                    : oq_arena_printf(&plan->arena, "no rule for %s%s%s", domain,
                                      domain[0] == '\0' ? "" : ".", site->op_type);
}

static const char *refuse_site(onnxq_plan *plan, const struct oq_selection *selection,
                               const struct oq_site *site)
{
    const struct oq_constant *constant = site->constant;
    const struct oq_source *source = &constant->source;
    if (source->dtype == NULL)
        return "a type that onnxq does not know";
    if (constant->is_ambiguous)
        return "its name is another value in a body, or around one";
    if (constant->is_named)
        return "training information or an annotation names it";
    if (source->n_dims > MAX_WEIGHT_RANK)
        return "more than 64 dimensions";
    const char *existing = oq_existing_weight(site);
    if (existing != NULL || (existing = oq_existing_scale(plan, site)) != NULL)
        return existing;
    if (!source->dtype->is_float)
        return oq_arena_printf(&plan->arena, "%s, not a float type", source->dtype->name);
    if (site->node == NULL)
        return "returned by the graph";
    if (site->node->n_output == 0)
        return "the node has no output";
    if (site->rule == NULL)
        return refuse_input(plan, site);
    if (site->graph->parent != NULL && !plan->options.subgraphs)
        return "in a subgraph";
    if (oq_plan_is_overridable(plan, constant))
        return "a graph input that callers may override: options.freeze_inputs=true takes it";
    const struct oq_selected selected = {.op_type = site->op_type,
                                         .node = oq_node_label(site->node),
                                         .weight = oq_constant_label(plan, constant),
                                         .function =
                                             site->origin == NULL ? NULL : site->origin->op_type,
                                         .call = site->origin == NULL ? NULL : site->origin->label};
    const char *refusal = oq_selection_refuses(selection, &selected);
    if (refusal != NULL)
        return refusal;
    if (site->is_chosen_float)
        return "chosen to stay float";
    if (plan->checkpoint != NULL && site->import == NULL)
        return site->import_refusal;
    if (source->transposed && (site->rule->takes_transposed >> site->input & 1) == 0)
        return "behind a Transpose";
    if (source->nelem == 0)
        return "no elements";
    /* The weights of integers from one operator to the next count for speed, not for size. */
    if (source->nelem < plan->options.min_elements && plan->options.method != ONNXQ_METHOD_STATIC)
        return oq_arena_printf(&plan->arena, "under %llu elements",
                               (unsigned long long)plan->options.min_elements);
    if (plan->model->opset < OQ_OPSET_BROADCAST)
        return oq_arena_printf(&plan->arena, "opset %lld, needs %d or later",
                               (long long)plan->model->opset, OQ_OPSET_BROADCAST);
    return site->import != NULL ? NULL : oq_fate_refuses(plan, site); /* it was rounded already */
}

static bool would_shrink(const onnxq_plan *plan, const struct oq_site *site)
{
    return site->import != NULL ||
           oq_site_shrinks(plan, site, site->constant->need == OQ_NEEDS_16_BITS);
}

/* What measuring has found out about the weight goes before the rule's choice. */
static void heed(struct oq_site *site)
{
    const struct oq_constant *constant = site->constant;
    if (constant->need == OQ_NEEDS_FLOAT)
        oq_site_keep(site, constant->need_reason);
    else if (constant->need != OQ_NEEDS_NOTHING && site->action == ONNXQ_DYNAMIC)
        oq_site_fold(site, site->axis, site->batch_axes, constant->need_reason);
    if (constant->need == OQ_NEEDS_16_BITS)
        site->blocks.form = OQ_BLOCKS_NONE;
}

/* What names a derived constant needs the chain that makes it. */
static void mark_bases(const onnxq_plan *plan)
{
    for (size_t i = plan->model->n_tensors; i < plan->n_constants; i++) {
        const struct oq_source *source = &plan->constants[i].source;
        for (size_t k = 0; plan->constants[i].value->is_named && k < source->n_spans; k++)
            plan->constants[source->spans[k].tensor->ordinal].is_named = true;
    }
}

/*
 * What names a constant from outside the graph means its floats, and it stays. So does what has
 * two meanings: ONNX forbids to hide a name in a body. ONNX Runtime loads it and takes the
 * initializer outside, whatever the body has: both stay.
 */
static void mark_names(const onnxq_plan *plan)
{
    for (size_t i = 0; i < plan->model->n_tensors; i++) {
        struct oq_constant *constant = &plan->constants[i], *outer;
        constant->is_named = constant->value != NULL && constant->value->is_named;
        if (constant->value == NULL || !oq_value_is_hiding(constant->value))
            continue;
        constant->is_ambiguous = true;
        outer = oq_plan_constant(plan, constant->value->graph->parent, constant->name);
        if (outer != NULL)
            outer->is_ambiguous = true;
    }
    mark_bases(plan);
    for (size_t i = plan->model->n_tensors; i < plan->n_constants; i++) {
        const struct oq_source *source = &plan->constants[i].source;
        for (size_t k = 0; k < source->n_spans; k++) {
            const struct oq_constant *base = &plan->constants[source->spans[k].tensor->ordinal];
            plan->constants[i].is_ambiguous |= base->is_ambiguous;
            plan->constants[i].is_named |= base->is_named;
        }
    }
}

static bool is_multiplied_as_matrix(const struct oq_constant *constant)
{
    for (size_t i = 0; i < constant->n_sites; i++)
        if (constant->sites[i].rule != NULL && constant->sites[i].rule->is_product)
            return true;
    return false;
}

/*
 * Who asks for 16 bits has them of all that could be folded, rows of tables too; what that makes
 * no smaller stays. Integer operators and blocks have 8 bits or fewer, and other options.
 */
static bool is_asked_for_16_bits(const onnxq_plan *plan, const struct oq_constant *constant)
{
    const onnxq_options *options = &plan->options;
    const bool has_blocks = options->method == ONNXQ_METHOD_BLOCKS || options->block_size != 0 ||
                            options->bits != ONNXQ_BITS_8;
    return options->fold_bits == 16 && !options->force_integer && !has_blocks &&
           options->method != ONNXQ_METHOD_STATIC && !is_multiplied_as_matrix(constant) &&
           constant->source.dtype != NULL && constant->source.dtype->nbits > 16;
}

/* A weight of products whose small results matter; others, or no product, are no weights. */
static bool makes_small(const onnxq_plan *plan, const struct oq_constant *constant)
{
    for (size_t i = 0; i < constant->n_sites; i++)
        if (constant->sites[i].rule != NULL && constant->sites[i].rule->is_product)
            return oq_fate_is_small(plan, constant);
    return false;
}

/*
 * What its uses ask for. Who asks for 8 bits has them. What meets elements is added to activations,
 * or multiplied: anchors, grids, biases of attention, decays of a state. What is multiplied as a
 * matrix as well is a weight, and its integers are shared.
 */
static void note_need(const onnxq_plan *plan, struct oq_constant *constant)
{
    if (plan->options.fold_bits == 8)
        return;
    const bool is_weight = is_multiplied_as_matrix(constant) || oq_fate_is_kernel(plan, constant);
    const bool meets_elements = !is_weight && oq_fate_is_element(plan, constant);
    const bool is_scored = !is_weight && oq_fate_is_scored(plan, constant);
    constant->is_element = meets_elements || is_scored;
    if (oq_fate_is_fine(plan, constant))
        oq_plan_need_16_bits(plan, constant, "its product is an angle or a coordinate");
    else if (makes_small(plan, constant))
        oq_plan_need_16_bits(plan, constant, "small results of its product matter");
    else if (meets_elements)
        oq_plan_need_16_bits(plan, constant, "meets other numbers one by one");
    else if (is_scored)
        oq_plan_need_16_bits(plan, constant, "is added to what Softmax or ArgMax takes");
    else if (is_asked_for_16_bits(plan, constant))
        oq_plan_need_16_bits(plan, constant, "options.fold_bits=16");
}

/*
 * With qdq: engines make MatMulNBits of DequantizeLinear and a product, which rounds activations
 * to 8 bits; of 16 bits they do not, and those are multiplied out before opset 21.
 */
static bool is_multiplied(onnxq_plan *plan, const struct oq_site *site)
{
    if (oq_site_is_multiplied(plan, site))
        return true;
    return site->constant->need == OQ_NEEDS_16_BITS ? plan->model->opset < OQ_OPSET_DEQUANTIZE_INT16
                                                    : site->needs_floats != NULL;
}

static void need(onnxq_plan *plan, struct oq_constant *constant, bool is_float, const char *reason)
{
    if (is_float)
        oq_plan_need_float(constant, reason);
    else
        oq_plan_need_16_bits(plan, constant, reason);
}

/* What is made of other weights is folded where those are. Who asks for 8 bits has them. */
static void need_of_all(onnxq_plan *plan, struct oq_constant *constant, bool is_float,
                        const char *reason)
{
    const struct oq_source *source = &constant->source;
    if (plan->options.fold_bits == 8)
        return;
    need(plan, constant, is_float, reason);
    for (size_t i = 0; constant->tensor == NULL && i < source->n_spans; i++)
        need(plan, &plan->constants[source->spans[i].tensor->ordinal], is_float, reason);
}

/* Inputs of unlike size, or with an offset. Scales of inputs keep rows of unlike size. */
static void heed_inputs(onnxq_plan *plan, struct oq_site *site, struct oq_constant *constant)
{
    struct oq_objection inputs, offset;
    oq_plan_look_at_features(plan, constant, site, &inputs, &offset);
    if (inputs.enough != OQ_ANY_BITS && !oq_site_has_input_scales(plan, site))
        need_of_all(plan, constant, inputs.enough == OQ_FLOAT, inputs.reason);
    if (offset.enough != OQ_ANY_BITS)
        need_of_all(plan, constant, offset.enough == OQ_FLOAT, offset.reason);
    if (site->needs_floats == NULL)
        site->needs_floats = inputs.reason != NULL ? inputs.reason : offset.reason;
}

/* Where large terms of its sums take each other away, as the graph or the weight has it. */
static void heed_cancelling(onnxq_plan *plan, struct oq_site *site, struct oq_constant *constant)
{
    bool is_unlike;
    const char *reason = oq_fate_cancels(plan, site, &is_unlike);
    const bool is_of_graph = reason != NULL;
    if (reason == NULL && !plan->is_estimate)
        reason = oq_plan_find_structure(plan, site, (size_t)(site - constant->sites));
    if (reason == NULL)
        return;
    if (site->needs_floats == NULL)
        site->needs_floats = reason;
    if (is_unlike)
        oq_plan_need_float(constant, reason);
    else
        need_of_all(plan, constant, !is_of_graph && site->is_beyond_16_bits, reason);
}

static void screen(onnxq_plan *plan, const struct oq_selection *selection,
                   struct oq_constant *constant)
{
    for (size_t i = 0; i < constant->n_sites; i++) {
        struct oq_site *site = &constant->sites[i];
        if (site->graph == NULL)
            continue;
        site->screened = refuse_site(plan, selection, site);
        if (site->import != NULL)
            continue;
        if (site->screened == NULL && site->rule->is_product)
            site->needs_floats = oq_fate_refuses_integers(plan, site);
        if (site->screened != NULL)
            continue;
        const struct oq_operator *op = oq_operator_of(site->node);
        const bool is_product = site->rule->is_product || oq_expand_takes(op, site->input);
        if ((is_product || oq_operator_has(op, OQ_RECURRENT)) && !plan->is_estimate)
            heed_inputs(plan, site, constant);
        if (is_product || (oq_node_is(site->node, "", "Gather") && site->input == 0))
            heed_cancelling(plan, site, constant);
    }
    note_need(plan, constant);
    for (size_t i = 0; plan->options.method == ONNXQ_METHOD_QDQ && i < constant->n_sites; i++) {
        const struct oq_site *site = &constant->sites[i];
        constant->is_multiplied |=
            site->graph != NULL && site->screened == NULL && is_multiplied(plan, site);
    }
}

bool oq_plan_screen(onnxq_plan *plan, const struct oq_selection *selection, onnxq_error *error)
{
    plan->fed_before = oq_arena_alloc(&plan->arena, sizeof(*plan->fed_before));
    if (plan->fed_before == NULL)
        return oq_arena_fail(&plan->arena, error);
    mark_names(plan);
    for (size_t i = 0; i < plan->n_constants; i++)
        if (plan->constants[i].value != NULL)
            screen(plan, selection, &plan->constants[i]);
    return !plan->arena.failed || oq_arena_fail(&plan->arena, error);
}

static void decide_site(onnxq_plan *plan, struct oq_site *site)
{
    if (oq_activations_decide_site(plan, site))
        return;
    if (site->screened != NULL) {
        oq_site_keep(site, site->screened);
        return;
    }
    if (plan->options.qdq_standard) {
        oq_site_keep(site, oq_activations_refusal(plan, site));
        return;
    }
    if (site->constant->source.nelem < plan->options.min_elements) {
        oq_site_keep(site, oq_arena_printf(&plan->round, "under %llu elements",
                                           (unsigned long long)plan->options.min_elements));
        return;
    }
    site->form = site->reason = NULL;
    site->is_unsigned = plan->options.weight_type == ONNXQ_WEIGHT_UINT8;
    site->symmetric = oq_is_symmetric(&plan->options, false);
    site->n_dims = site->constant->source.n_dims;
    site->rule->decide(plan, site);
    oq_plan_apply_method(plan, site);
    if (site->import != NULL && site->action == ONNXQ_FOLD) /* to integers that are others */
        oq_site_keep(site, site->reason);
    if (site->action != ONNXQ_KEEP)
        heed(site);
    if (site->reason == NULL)
        site->reason = "";
    if (site->form == NULL)
        site->form = "";
    oq_activations_explain(plan, site);
    const char *refusal = site->refusal != NULL ? site->refusal : site->needs_floats;
    if (site->action == ONNXQ_DYNAMIC && refusal != NULL)
        oq_site_fold(site, site->axis, site->batch_axes, refusal);
    if (site->action == ONNXQ_KEEP)
        return;
    if (site->is_beside_optional && !would_shrink(plan, site))
        site->beside_nbytes = 0;
    if (site->action == ONNXQ_DYNAMIC && !would_shrink(plan, site))
        oq_site_fold(site, site->axis, site->batch_axes, "would not be smaller otherwise");
    if (!would_shrink(plan, site))
        oq_site_keep(site, "would not be smaller");
    else if (site->action == ONNXQ_FOLD && site->constant->source.nelem > MAX_FOLDED_NELEM)
        oq_site_keep(site, "over 1 GiB as float: engines do not fold it");
}

/* An operator that takes two weights takes both as integers, or none. */
static bool has_partner(const onnxq_plan *plan, const struct oq_site *site)
{
    if (site->rule->partner == NULL)
        return true;
    const struct oq_site *partner = oq_plan_sibling(plan, site, site->rule->partner(site->input));
    return partner != NULL && partner->action == ONNXQ_DYNAMIC;
}

static void settle_partners(onnxq_plan *plan)
{
    for (size_t i = 0; i < plan->n_constants; i++) {
        for (size_t k = 0; k < plan->constants[i].n_sites; k++) {
            struct oq_site *site = &plan->constants[i].sites[k];
            if (site->action == ONNXQ_DYNAMIC && site->through == NULL && !has_partner(plan, site))
                oq_site_fold(site, site->axis, site->batch_axes,
                             "the operator's other weight stays float");
        }
    }
}

/* Nodes with an integer form, by their place. */
static void index_products(onnxq_plan *plan)
{
    const struct oq_graphs *graphs = &plan->model->graphs;
    for (size_t g = 0; g < graphs->count; g++)
        memset(plan->products[g], 0, graphs->list[g]->proto->n_node * sizeof(*plan->products[g]));
    for (size_t i = 0; i < plan->n_constants; i++)
        for (size_t k = 0; k < plan->constants[i].n_sites; k++) {
            const struct oq_site *site = &plan->constants[i].sites[k];
            if (site->action == ONNXQ_DYNAMIC)
                plan->products[site->graph->ordinal][site->node_index] = site;
        }
}

/* What an engine would lose keeps its user. Makers come before users, so that once is enough. */
static void settle_risks(const onnxq_plan *plan)
{
    const struct oq_graphs *graphs = &plan->model->graphs;
    for (size_t g = 0; g < graphs->count; g++)
        for (size_t i = 0; i < graphs->list[g]->proto->n_node; i++) {
            const struct oq_site *site = plan->products[g][i];
            const struct oq_value *risk =
                site == NULL || site->rule->find_risk == NULL ? NULL : site->rule->find_risk(site);
            if (risk == NULL || plan->products[risk->graph->ordinal][risk->index] != NULL)
                continue;
            oq_site_fold(oq_plan_site(plan, site->graph, i, site->input), site->axis,
                         site->batch_axes, "a Gemm makes its other input, which the graph returns");
            plan->products[g][i] = NULL;
        }
}

/* --- chains of operators --- */

/* A weight whose chain ends in integer operators need not be float at the chain's start. */
static void settle_chain(const struct oq_futures *futures, struct oq_site *site)
{
    if (site->node == NULL || site->graph == NULL || !site->constant->source.dtype->is_float ||
        site->node->n_output == 0)
        return;
    site->through = oq_future_of(futures, site);
    if (site->through != NULL) {
        site->action = ONNXQ_DYNAMIC;
        site->form = site->through->form;
        site->reason = "";
        return;
    }
    const struct oq_value *output = oq_graph_find(site->graph, site->node->output[0]);
    if (output != NULL && oq_source_sees_through(site->node) && site->action == ONNXQ_FOLD &&
        futures->returned[output->ordinal])
        oq_site_keep(site, "returned by the graph");
}

static bool settle_chains(onnxq_plan *plan, onnxq_error *error)
{
    struct oq_arena arena;
    struct oq_futures futures;
    oq_arena_init(&arena, plan->arena.budget);
    bool ok = oq_futures_find(&futures, plan, &arena) || oq_arena_fail(&arena, error);
    for (size_t i = 0; ok && i < plan->model->n_tensors; i++) {
        struct oq_constant *constant = &plan->constants[i];
        for (size_t k = 0; constant->source.dtype != NULL && k < constant->n_sites; k++)
            settle_chain(&futures, &constant->sites[k]);
    }
    oq_arena_fini(&arena);
    return ok;
}

/* Folding pays only if the float weight leaves the file. */
static bool settle_folds(onnxq_plan *plan, struct oq_constant *constant)
{
    bool folds = false, kept = oq_plan_find_keeper(plan, constant) != NULL;
    for (size_t i = 0; i < constant->n_sites; i++)
        folds |= constant->sites[i].action == ONNXQ_FOLD;
    const char *reason = NULL;
    if (folds && kept)
        reason = oq_plan_describe_keeper(plan, &plan->round, constant);
    else if (constant->tensor == NULL) /* a derived one is never in the file */
        reason = "made of other weights";
    for (size_t i = 0; reason != NULL && i < constant->n_sites; i++)
        if (constant->sites[i].action == ONNXQ_FOLD)
            oq_site_keep(&constant->sites[i], reason);
    return !(folds && kept) || reason != NULL;
}

/* What was measured is known, whatever is decided; the rest waits until it is wanted again. */
static void put_ranges_aside(struct oq_constant *constant)
{
    struct oq_ranges **at = &constant->ranges;
    while (*at != NULL) {
        struct oq_ranges *ranges = *at;
        ranges->reduce = ONNXQ_REDUCE_NONE;
        if (ranges->is_measured) {
            at = &ranges->next;
            continue;
        }
        *at = ranges->next;
        ranges->pairs = (struct oq_pairs){0};
        ranges->next = constant->idle_ranges;
        constant->idle_ranges = ranges;
    }
}

/* Forgets what an earlier round has decided, but for what it has refused. */
static void reset(struct oq_constant *constant)
{
    put_ranges_aside(constant);
    constant->quantized = constant->fold = NULL;
    constant->is_folded = constant->is_static = false;
    for (size_t i = 0; i < constant->n_sites; i++) {
        struct oq_site *site = &constant->sites[i];
        site->through = NULL;
        site->quantized = NULL;
        site->blocks = (struct oq_block_choice){0};
        site->transposed = false;
        site->factor = 0;
        site->beside_nbytes = 0;
        site->is_beside_optional = false;
    }
}

static bool decide_all(onnxq_plan *plan, onnxq_error *error)
{
    for (size_t i = 0; i < plan->n_constants; i++)
        reset(&plan->constants[i]);
    oq_arena_clear(&plan->round);
    oq_activations_decide(plan);
    for (size_t i = 0; i < plan->n_constants; i++) {
        struct oq_constant *constant = &plan->constants[i];
        for (size_t k = 0; constant->value != NULL && k < constant->n_sites; k++)
            if (constant->sites[k].graph != NULL)
                decide_site(plan, &constant->sites[k]);
    }
    if (plan->round.failed)
        return oq_arena_fail(&plan->round, error);
    settle_partners(plan);
    index_products(plan);
    settle_risks(plan);
    if (!settle_chains(plan, error))
        return false;
    for (size_t i = 0; i < plan->n_constants; i++)
        if (!settle_folds(plan, &plan->constants[i]))
            return oq_arena_fail(&plan->round, error);
    return true;
}

/*
 * What is refused may leave others without reason to be: in rounds, each of which refuses
 * something. Chains of that are not in real models; after so many rounds all are refused
 * that depend on what is, so that a model of n weights takes no n rounds.
 */
#define MAX_ROUNDS 4

bool oq_plan_decide(onnxq_plan *plan, onnxq_error *error)
{
    bool refused = true;
    for (unsigned round = 0; refused; round++)
        if (!decide_all(plan, error) ||
            (round == 0 && !plan->is_estimate && !oq_plan_find_equal(plan, error)) ||
            !oq_plan_choose_storage(plan, error) ||
            !oq_plan_balance(plan, round >= MAX_ROUNDS, &refused, error))
            return false;
    return true;
}
