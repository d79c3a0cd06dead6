/* What happens to every weight, and how those that are quantized are stored. */
#include "quantize/plan.h"
#include "quantize/existing.h"
#include "quantize/rules.h"
#include "quantize/selector.h"

/* ONNX Runtime folds up to 1 GiB: optimization.constant_folding_max_output_size_in_bytes. */
#define MAX_FOLDED_NELEM ((uint64_t)1 << 28)

/* A derived constant goes by the name of the tensor that it starts with: users know that one. */
static const char *weight_name(const onnxq_plan *plan, const struct oq_constant *constant)
{
    bool derived = constant->tensor == NULL && constant->source.n_spans > 0;
    return derived ? plan->constants[constant->source.spans[0].tensor->ordinal].name
                   : constant->name;
}

static const char *refuse_input(onnxq_plan *plan, const struct oq_site *site)
{
    bool has_rule = oq_rule_find(oq_domain(site->node->domain), site->op_type) != NULL;
    const char *domain = oq_domain(site->node->domain);
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
    const char *existing = oq_existing_weight(plan, site);
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
    if (constant->value->is_graph_input && !plan->freeze_inputs)
        return "a graph input that callers may override";
    const char *refusal = oq_selection_refuses(selection, site->op_type, oq_node_label(site->node),
                                               weight_name(plan, constant));
    if (refusal != NULL)
        return refusal;
    if (source->nelem == 0)
        return "no elements";
    if (source->nelem < plan->options.min_elements)
        return oq_arena_printf(&plan->arena, "under %llu elements",
                               (unsigned long long)plan->options.min_elements);
    if (plan->model->opset < OQ_OPSET_BROADCAST)
        return oq_arena_printf(&plan->arena, "opset %lld, needs %d or later",
                               (long long)plan->model->opset, OQ_OPSET_BROADCAST);
    return NULL;
}

/* Where there are no blocks. */
static bool stores_4_bits(const onnxq_options *options)
{
    return options->method == ONNXQ_METHOD_QDQ && options->bits != ONNXQ_BITS_8;
}

/* Bytes of integers and scales against bytes of floats. */
static bool would_shrink(const struct oq_site *site, const onnxq_options *options)
{
    const struct oq_source *source = &site->constant->source;
    if (site->blocks.form != OQ_BLOCKS_NONE) {
        struct oq_blocks blocks;
        oq_blocks_init(&blocks, source, &site->blocks);
        return oq_blocks_nbytes(&blocks) < source->nbytes;
    }
    struct oq_layout layout =
        oq_layout_make(source->dims, source->n_dims, options->per_channel ? site->axis : -1,
                       options->per_channel ? site->batch_axes : 0);
    uint64_t scale_nbytes = options->symmetric ? 4 : 5;
    uint64_t integers =
        stores_4_bits(options) ? source->nelem / 2 + source->nelem % 2 : source->nelem;
    return integers + oq_layout_n_scales(&layout) * scale_nbytes < source->nbytes;
}

/*
 * Blocks go along the axis over which products are summed: the first one that
 * is neither that of the channels nor one of batches, in all rules there are.
 */
static int find_block_axis(const struct oq_site *site)
{
    int rank = (int)site->constant->source.n_dims;
    for (int axis = (int)site->batch_axes; axis < rank; axis++)
        if (axis != site->axis)
            return axis;
    return -1;
}

/* An axis that is shorter than a block has a scale for each channel. */
static void choose_qdq_blocks(const onnxq_plan *plan, struct oq_site *site, int axis)
{
    const onnxq_options *options = &plan->options;
    if (options->block_size == 0 || axis < 0 ||
        site->constant->source.dims[axis] < options->block_size)
        return;
    oq_site_blocks(plan, site, OQ_BLOCKS_ORIGINAL, axis, NULL);
    site->blocks.is_unsigned = options->bits == ONNXQ_BITS_8
                                   ? options->weight_type == ONNXQ_WEIGHT_UINT8
                                   : !options->symmetric;
}

/*
 * Measured: ONNX Runtime 1.31 fuses DequantizeLinear of uint8 on both sides of a
 * MatMul into an operator that takes one scale for the left one and for batches
 * of matrices, and fails if there are more.
 */
static bool takes_one_scale(const struct oq_site *site)
{
    return site->is_unsigned && oq_node_is(site->node, "", "MatMul") &&
           (site->input == 0 || site->constant->source.n_dims > 2);
}

/* DequantizeLinear takes one axis, and none before version 13. */
static void decide_qdq(onnxq_plan *plan, struct oq_site *site)
{
    int64_t opset = plan->model->opset;
    bool wants_blocks = plan->options.block_size != 0 || plan->options.bits != ONNXQ_BITS_8;
    if (wants_blocks && opset < OQ_OPSET_DEQUANTIZE_BLOCKS) {
        oq_site_keep(site, oq_arena_printf(&plan->arena, "%s need opset %d, the model has %lld",
                                           plan->options.block_size != 0 ? "blocks" : "4 bits",
                                           OQ_OPSET_DEQUANTIZE_BLOCKS, (long long)opset));
        return;
    }
    if (opset < OQ_OPSET_DEQUANTIZE_LINEAR) {
        oq_site_keep(site, "DequantizeLinear needs opset 10");
        return;
    }
    bool one_scale = opset < OQ_OPSET_DEQUANTIZE_AXIS || takes_one_scale(site);
    int block_axis = find_block_axis(site);
    oq_site_fold(site, one_scale ? -1 : site->axis, 0, NULL);
    choose_qdq_blocks(plan, site, block_axis);
    site->form = "DequantizeLinear";
    if (stores_4_bits(&plan->options))
        site->is_unsigned = !plan->options.symmetric;
}

/* What takes a weight in blocks, with their size; what takes none has it folded. */
static void decide_blocks(struct oq_site *site)
{
    if (site->blocks.form == OQ_BLOCKS_NONE)
        oq_site_fold(site, site->axis, site->batch_axes,
                     site->reason != NULL && site->reason[0] != '\0'
                         ? site->reason
                         : "no operator takes it in blocks");
}

/* "MatMulNBits, 4 bits in blocks of 32" */
static const char *describe_form(onnxq_plan *plan, const struct oq_site *site)
{
    static const char *const bits[] = {"8 bits", "4 bits", "nf4"};
    if (site->blocks.form != OQ_BLOCKS_NONE)
        return oq_arena_printf(&plan->arena, "%s, %s in blocks of %llu", site->form,
                               bits[site->blocks.bits], (unsigned long long)site->blocks.size);
    if (stores_4_bits(&plan->options))
        return oq_arena_printf(&plan->arena, "%s, %s", site->form, bits[plan->options.bits]);
    return site->form;
}

/* The rule's choice, as far as the method allows it. */
static void apply_method(onnxq_plan *plan, struct oq_site *site)
{
    if (site->action == ONNXQ_KEEP)
        return;
    if (plan->options.method == ONNXQ_METHOD_QDQ)
        decide_qdq(plan, site);
    else if (plan->options.method == ONNXQ_METHOD_WEIGHTS)
        oq_site_fold(site, site->axis, site->batch_axes, NULL);
    else if (plan->options.method == ONNXQ_METHOD_BLOCKS)
        decide_blocks(site);
    if (site->action != ONNXQ_KEEP)
        site->form = describe_form(plan, site);
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
    site->n_dims = site->constant->source.n_dims;
    site->rule->decide(plan, site);
    apply_method(plan, site);
    if (site->reason == NULL)
        site->reason = "";
    if (site->form == NULL)
        site->form = "";
    if (site->action == ONNXQ_KEEP)
        return;
    if (!would_shrink(site, &plan->options))
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

/* --- chains of operators --- */

/* More steps than a chain in a real model has: a hostile one ends here. */
#define MAX_STEPS 4096

static const struct oq_site *find_end(const onnxq_plan *plan, const struct oq_graph *graph,
                                      const char *name, unsigned *steps);

/* Where one use of a chain's value leads, or NULL where it needs the value as it is. */
static const struct oq_site *follow(const onnxq_plan *plan, const struct oq_use *use,
                                    unsigned *steps)
{
    if (use->node == OQ_NO_NODE || (*steps)++ == MAX_STEPS)
        return NULL;
    const Oq__Pb__NodeProto *node = use->graph->proto->node[use->node];
    const struct oq_site here = {.graph = use->graph, .node = node};
    const struct oq_site *site = oq_plan_sibling(plan, &here, use->input);
    if (site != NULL && site->constant->tensor == NULL)
        return site->action == ONNXQ_DYNAMIC ? site : NULL;
    return oq_source_sees_through(node) ? find_end(plan, use->graph, node->output[0], steps) : NULL;
}

/*
 * Some site that takes `name` as integers, provided that all uses of it do.
 * Recursion follows the model's nodes, which oq_source_find() limits in depth;
 * MAX_STEPS limits it where that has not looked.
 */
static const struct oq_site *find_end(const onnxq_plan *plan, const struct oq_graph *graph,
                                      const char *name, unsigned *steps)
{
    const struct oq_value *value = oq_graph_find(graph, name);
    const struct oq_site *end = NULL;
    for (const struct oq_use *use = value == NULL ? NULL : value->uses; use != NULL;
         use = use->next)
        if ((end = follow(plan, use, steps)) == NULL)
            return NULL;
    return end;
}

/* True where the model returns the value, perhaps rearranged: callers want it as it is. */
static bool is_returned(const struct oq_graph *graph, const char *name, unsigned *steps)
{
    const struct oq_value *value = oq_graph_find(graph, name);
    if (value == NULL || (*steps)++ == MAX_STEPS)
        return false;
    for (const struct oq_use *use = value->uses; use != NULL; use = use->next) {
        if (use->node == OQ_NO_NODE) {
            if (use->graph->parent == NULL)
                return true;
            continue;
        }
        const Oq__Pb__NodeProto *node = use->graph->proto->node[use->node];
        if (oq_source_sees_through(node) && is_returned(use->graph, node->output[0], steps))
            return true;
    }
    return false;
}

/* A weight whose chain ends in integer operators need not be float at the chain's start. */
static void settle_chain(const onnxq_plan *plan, struct oq_site *site)
{
    unsigned steps = 0;
    if (site->node == NULL || site->graph == NULL || !site->constant->source.dtype->is_float ||
        !oq_source_sees_through(site->node))
        return;
    site->through = find_end(plan, site->graph, site->node->output[0], &steps);
    if (site->through != NULL) {
        site->action = ONNXQ_DYNAMIC;
        site->form = site->through->form;
        site->reason = "";
        return;
    }
    steps = 0;
    if (site->action == ONNXQ_FOLD && is_returned(site->graph, site->node->output[0], &steps))
        oq_site_keep(site, "returned by the graph");
}

static void settle_chains(onnxq_plan *plan)
{
    for (size_t i = 0; i < plan->model->n_tensors; i++) {
        struct oq_constant *constant = &plan->constants[i];
        for (size_t k = 0; constant->source.dtype != NULL && k < constant->n_sites; k++)
            settle_chain(plan, &constant->sites[k]);
    }
}

/*
 * An initializer may hide one of the same name in a graph around it, a node's
 * output may not: what is folded then needs another name, which its users have
 * to be told. Those that are rewritten themselves look for the old one.
 */
static bool cannot_be_renamed(const onnxq_plan *plan, const struct oq_constant *constant)
{
    if (constant->value == NULL || !oq_value_is_hiding(constant->value))
        return false;
    for (size_t i = 0; i < constant->n_sites; i++) {
        const struct oq_site *site = &constant->sites[i];
        for (size_t k = 0; site->node != NULL && k < site->node->n_input; k++) {
            const struct oq_site *sibling = oq_plan_sibling(plan, site, k);
            if (sibling != NULL && sibling->action == ONNXQ_DYNAMIC)
                return true;
        }
    }
    return false;
}

/* Folding pays only if the float weight leaves the file. */
static void settle_folds(const onnxq_plan *plan, struct oq_constant *constant)
{
    const char *reason = "another node needs it in float";
    bool kept = constant->tensor == NULL; /* a derived one is never in the file */
    for (size_t i = 0; i < constant->n_sites; i++)
        kept |= constant->sites[i].action == ONNXQ_KEEP;
    if (!kept && cannot_be_renamed(plan, constant)) {
        kept = true;
        reason = "its name means something else in a graph around it";
    }
    for (size_t i = 0; kept && i < constant->n_sites; i++)
        if (constant->sites[i].action == ONNXQ_FOLD)
            oq_site_keep(&constant->sites[i], reason);
}

/* --- how each weight will be stored --- */

static struct oq_ranges *find_ranges(onnxq_plan *plan, struct oq_constant *constant, int axis,
                                     size_t batch_axes)
{
    const struct oq_source *source = &constant->source;
    if (!plan->options.per_channel) {
        axis = -1;
        batch_axes = 0;
    }
    struct oq_ranges *ranges = constant->ranges;
    while (ranges != NULL && (ranges->axis != axis || ranges->batch_axes != batch_axes))
        ranges = ranges->next;
    if (ranges != NULL || (ranges = oq_arena_alloc(&plan->arena, sizeof(*ranges))) == NULL)
        return ranges;
    *ranges =
        (struct oq_ranges){.constant = constant,
                           .source = source,
                           .axis = axis,
                           .batch_axes = batch_axes,
                           .layout = oq_layout_make(source->dims, source->n_dims, axis, batch_axes),
                           .is_4_bits = stores_4_bits(&plan->options),
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

static struct oq_quantized *find_quantized(const struct oq_constant *constant,
                                           const struct oq_quantized *wanted)
{
    struct oq_quantized *quantized = constant->quantized;
    while (quantized != NULL &&
           (quantized->blocks != NULL || quantized->ranges != wanted->ranges ||
            quantized->n_dims != wanted->n_dims || quantized->transposed != wanted->transposed ||
            quantized->is_unsigned != wanted->is_unsigned))
        quantized = quantized->next;
    return quantized;
}

static struct oq_quantized *get_quantized(onnxq_plan *plan, struct oq_constant *constant,
                                          const struct oq_quantized *wanted)
{
    struct oq_quantized *quantized = find_quantized(constant, wanted);
    if (quantized != NULL || (quantized = oq_arena_alloc(&plan->arena, sizeof(*quantized))) == NULL)
        return quantized;
    *quantized = *wanted;
    quantized->next = constant->quantized;
    quantized->zero_point =
        oq_arena_array(&plan->arena, (size_t)wanted->ranges->n_scales, sizeof(float));
    constant->quantized = quantized;
    return quantized->zero_point == NULL ? NULL : quantized;
}

/* --- in blocks --- */

static bool is_same_choice(const struct oq_block_choice *a, const struct oq_block_choice *b)
{
    return a->form == b->form && a->axis == b->axis; /* the rest is the same for the whole plan */
}

static struct oq_quantized *get_blocks(onnxq_plan *plan, struct oq_constant *constant,
                                       struct oq_ranges *ranges,
                                       const struct oq_block_choice *choice)
{
    struct oq_quantized *quantized = constant->quantized;
    while (quantized != NULL &&
           (quantized->blocks == NULL || !is_same_choice(&quantized->blocks->choice, choice)))
        quantized = quantized->next;
    if (quantized != NULL || (quantized = oq_arena_alloc(&plan->arena, sizeof(*quantized))) == NULL)
        return quantized;
    *quantized = (struct oq_quantized){
        .ranges = ranges, .n_dims = constant->source.n_dims, .next = constant->quantized};
    quantized->blocks = oq_arena_alloc(&plan->arena, sizeof(*quantized->blocks));
    quantized->zero_point = oq_arena_array(&plan->arena, (size_t)ranges->n_scales, sizeof(float));
    if (quantized->blocks == NULL || quantized->zero_point == NULL)
        return NULL;
    oq_blocks_init(quantized->blocks, &constant->source, choice);
    constant->quantized = quantized;
    return quantized;
}

/*
 * Transposing reads a piece of every row for each MB of output. Where pieces
 * would be shorter than this many elements, a Transpose node does it, which
 * engines fold at load.
 */
#define MIN_PIECE_NELEM 64
#define OUTPUT_PIECE    ((uint64_t)1 << 20)

static bool is_wide(const struct oq_source *source, size_t n_dims)
{
    uint64_t n = (uint64_t)source->dims[n_dims - 2];
    uint64_t k = (uint64_t)source->dims[n_dims - 1];
    return k > MIN_PIECE_NELEM && n > OUTPUT_PIECE / MIN_PIECE_NELEM;
}

/* The tensor of which a derived constant is the whole, only turned; its twin; or itself. */
static struct oq_constant *stored_constant(onnxq_plan *plan, struct oq_constant *constant)
{
    if (constant->twin != NULL)
        constant = constant->twin;
    const struct oq_span *span = constant->source.spans;
    bool whole = constant->tensor == NULL && constant->source.n_spans == 1 &&
                 span->nelem == span->tensor->nelem &&
                 constant->source.data_type == span->tensor->proto->data_type &&
                 constant->source.n_dims == span->tensor->n_dims &&
                 memcmp(constant->source.dims, span->tensor->dims,
                        span->tensor->n_dims * sizeof(*span->tensor->dims)) == 0;
    return whole ? &plan->constants[span->tensor->ordinal] : constant;
}

/* Room for one unit of pairs in a job of measuring. */
static bool can_pair_up(const struct oq_ranges *ranges)
{
    return oq_pairs_unit(&ranges->pairs, ranges->source->nelem) <= OQ_READ_MAX_NELEM;
}

/*
 * The integers of this site are multiplied: they keep from saturation, and with
 * them those of all sites that share the scales. Where pairs cannot be had, bits.
 */
static bool reduce(onnxq_plan *plan, struct oq_ranges *ranges, const struct oq_site *site)
{
    const struct oq_source *source = ranges->source;
    struct oq_pairs pairs = oq_pairs_make(source->dims, source->n_dims, site->axis);
    bool known = ranges->pair_lo != NULL;
    if (plan->options.reduce_range != ONNXQ_REDUCE_PAIRS) {
        ranges->reduce = plan->options.reduce_range;
        return true;
    }
    if (site->is_unsigned) /* u8 x u8 does not saturate */
        return true;
    if (!known) {
        size_t n = (size_t)ranges->n_scales;
        ranges->pairs = pairs;
        ranges->pair_lo = oq_arena_array(&plan->arena, n, sizeof(*ranges->pair_lo));
        ranges->pair_hi = oq_arena_array(&plan->arena, n, sizeof(*ranges->pair_hi));
    }
    bool alike = ranges->pairs.k == pairs.k && ranges->pairs.stride == pairs.stride;
    bool was_bits = ranges->reduce == ONNXQ_REDUCE_BITS;
    ranges->reduce =
        alike && !was_bits && can_pair_up(ranges) ? ONNXQ_REDUCE_PAIRS : ONNXQ_REDUCE_BITS;
    return ranges->pair_lo != NULL && ranges->pair_hi != NULL;
}

/* One layout serves where it can: a site that wants the transpose may take it by a node. */
static bool choose_storage(onnxq_plan *plan, struct oq_site *site, onnxq_error *error)
{
    struct oq_constant *constant = stored_constant(plan, (struct oq_constant *)site->constant);
    bool in_blocks = site->blocks.form != OQ_BLOCKS_NONE; /* one range says if all is finite */
    struct oq_quantized wanted = {.ranges = find_ranges(plan, constant, in_blocks ? -1 : site->axis,
                                                        in_blocks ? 0 : site->batch_axes),
                                  .n_dims = constant->source.n_dims,
                                  .is_unsigned = site->is_unsigned};
    if (wanted.ranges == NULL || (site->action == ONNXQ_DYNAMIC && site->rule->is_product &&
                                  !reduce(plan, wanted.ranges, site)))
        return oq_arena_fail(&plan->arena, error);
    if (in_blocks) {
        site->quantized = get_blocks(plan, constant, wanted.ranges, &site->blocks);
        return site->quantized != NULL || oq_arena_fail(&plan->arena, error);
    }
    if (site->action == ONNXQ_DYNAMIC) {
        wanted.n_dims = site->n_dims;
        bool by_node = site->transposed && site->n_dims == 2 &&
                       (is_wide(&constant->source, 2) || find_quantized(constant, &wanted) != NULL);
        wanted.transposed = site->transposed && !by_node;
    }
    site->quantized = get_quantized(plan, constant, &wanted);
    return site->quantized != NULL || oq_arena_fail(&plan->arena, error);
}

/* Folded uses share one copy, whatever axis each would like: it is float again in the end. */
static bool choose_fold(onnxq_plan *plan, struct oq_constant *constant, struct oq_site *site,
                        onnxq_error *error)
{
    if (constant->fold == NULL) {
        if (!choose_storage(plan, site, error))
            return false;
        constant->fold = site->quantized;
    }
    site->quantized = constant->fold;
    return true;
}

/* Sites that want the weight as it lies come first: others may join them. */
static bool choose_all(onnxq_plan *plan, bool transposed, onnxq_error *error)
{
    for (size_t i = 0; i < plan->n_constants; i++) {
        struct oq_constant *constant = &plan->constants[i];
        for (size_t k = 0; k < constant->n_sites; k++) {
            struct oq_site *site = &constant->sites[k];
            bool ok = true;
            if (site->through != NULL || site->quantized != NULL)
                continue;
            if (site->action == ONNXQ_FOLD)
                ok = choose_fold(plan, constant, site, error);
            else if (site->action == ONNXQ_DYNAMIC && site->transposed == transposed)
                ok = choose_storage(plan, site, error);
            if (!ok)
                return false;
        }
    }
    return true;
}

bool oq_plan_decide(onnxq_plan *plan, const struct oq_selection *selection, onnxq_error *error)
{
    for (size_t i = 0; i < plan->n_constants; i++) {
        struct oq_constant *constant = &plan->constants[i];
        for (size_t k = 0; constant->value != NULL && k < constant->n_sites; k++)
            if (constant->sites[k].graph != NULL)
                decide_site(plan, selection, &constant->sites[k]);
    }
    settle_partners(plan);
    settle_chains(plan);
    for (size_t i = 0; i < plan->n_constants; i++)
        settle_folds(plan, &plan->constants[i]);
    return choose_all(plan, false, error) && choose_all(plan, true, error);
}

/* --- after measuring --- */

static bool is_finite(const struct oq_constant *constant)
{
    for (const struct oq_ranges *ranges = constant->ranges; ranges != NULL; ranges = ranges->next)
        if (!oq_ranges_finite(ranges))
            return false;
    return true;
}

static void keep_all(struct oq_constant *constant, const char *reason)
{
    for (size_t k = 0; k < constant->n_sites; k++)
        if (constant->sites[k].action != ONNXQ_KEEP)
            oq_site_keep(&constant->sites[k], reason);
}

static bool refers_to_infinite(const onnxq_plan *plan, const struct oq_constant *constant)
{
    for (size_t k = 0; k < constant->n_sites; k++) {
        const struct oq_site *site = &constant->sites[k];
        const struct oq_site *partner =
            site->action == ONNXQ_DYNAMIC && site->through == NULL && site->rule->partner != NULL
                ? oq_plan_sibling(plan, site, site->rule->partner(site->input))
                : NULL;
        if ((site->through != NULL && site->through->action == ONNXQ_KEEP) ||
            (partner != NULL && partner->action == ONNXQ_KEEP) ||
            (site->quantized != NULL && site->quantized->ranges->constant->has_infinity))
            return true;
    }
    return false;
}

/* What one constant drags along may drag others: until nothing changes. */
static void spread(onnxq_plan *plan)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < plan->n_constants; i++) {
            struct oq_constant *constant = &plan->constants[i];
            if (constant->has_infinity || !refers_to_infinite(plan, constant))
                continue;
            keep_all(constant, "depends on a weight that holds NaN or infinity");
            constant->has_infinity = true;
            changed = true;
        }
    }
}

void oq_plan_drop_infinite(onnxq_plan *plan)
{
    for (size_t i = 0; i < plan->n_constants; i++) {
        struct oq_constant *constant = &plan->constants[i];
        constant->has_infinity = !is_finite(constant);
        if (constant->has_infinity)
            keep_all(constant, "holds NaN or infinity");
    }
    spread(plan);
    for (size_t i = 0; i < plan->n_constants; i++) {
        if (!plan->constants[i].has_infinity)
            continue;
        plan->constants[i].ranges = NULL;
        plan->constants[i].quantized = NULL;
        plan->constants[i].fold = NULL;
    }
}
