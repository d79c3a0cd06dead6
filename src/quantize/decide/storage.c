/* How the weights that are quantized are stored: which scales, which layout, shared by whom. */
#include "quantize/rules/rules.h"
#include "quantize/decide/steps.h"

/* --- 16 bits --- */

bool oq_plan_can_have_16_bits(const onnxq_plan *plan, const struct oq_constant *constant)
{
    return constant->source.dtype != NULL && constant->source.dtype->nbits > 16 &&
           plan->options.fold_bits != 8;
}

bool oq_plan_may_widen(const onnxq_plan *plan, const struct oq_constant *constant)
{
    const unsigned fold_bits = plan->options.fold_bits;
    return !constant->is_static && oq_plan_can_have_16_bits(plan, constant) &&
           (constant->need == OQ_NEEDS_16_BITS || fold_bits == 16 || constant->is_recurrent);
}

/* --- scales --- */

/* What has to have 16 bits is small beside something: one scale would be that of the largest. */
bool oq_site_has_channels(const onnxq_plan *plan, const struct oq_site *site)
{
    return plan->options.per_channel || site->constant->need == OQ_NEEDS_16_BITS;
}

/* How the sites of a constant share scales; blocks have their own. */
static int axis_of(const onnxq_plan *plan, const struct oq_site *site)
{
    bool has_channels = oq_site_has_channels(plan, site) && site->blocks.form == OQ_BLOCKS_NONE;
    return has_channels ? site->axis : -1;
}

static size_t batch_axes_of(const onnxq_plan *plan, const struct oq_site *site)
{
    return axis_of(plan, site) >= 0 ? site->batch_axes : 0;
}

static bool suits(const onnxq_plan *plan, const struct oq_ranges *ranges,
                  const struct oq_site *site)
{
    const struct oq_block_choice *choice = &site->blocks;
    const struct oq_blocks *blocks = ranges->blocks;
    if (blocks != NULL) /* the rest is the same for the whole plan */
        return blocks->choice.form == choice->form && blocks->choice.axis == choice->axis &&
               blocks->choice.bits == choice->bits && blocks->choice.import == choice->import;
    return choice->form == OQ_BLOCKS_NONE && ranges->axis == axis_of(plan, site) &&
           ranges->batch_axes == batch_axes_of(plan, site) &&
           ranges->symmetric == site->symmetric && ranges->is_4_bits == oq_site_stores_4_bits(site);
}

static bool allocate(struct oq_arena *arena, struct oq_ranges *ranges,
                     const struct oq_block_choice *choice)
{
    size_t n = (size_t)ranges->n_scales;
    bool in_blocks = choice->form != OQ_BLOCKS_NONE;
    ranges->lo = oq_arena_array(arena, n, sizeof(*ranges->lo));
    ranges->hi = oq_arena_array(arena, n, sizeof(*ranges->hi));
    ranges->levels = oq_arena_array(arena, n, sizeof(*ranges->levels));
    ranges->scale = oq_arena_array(arena, n, sizeof(*ranges->scale));
    if (in_blocks && (ranges->blocks = oq_arena_alloc(arena, sizeof(*ranges->blocks))) != NULL)
        oq_blocks_init(ranges->blocks, ranges->source, choice);
    return ranges->lo != NULL && ranges->hi != NULL && ranges->levels != NULL &&
           ranges->scale != NULL && (!in_blocks || ranges->blocks != NULL);
}

static struct oq_ranges *make_ranges(onnxq_plan *plan, struct oq_constant *constant,
                                     const struct oq_site *site)
{
    const struct oq_source *source = &constant->source;
    int axis = axis_of(plan, site);
    size_t batch_axes = batch_axes_of(plan, site);
    struct oq_ranges *ranges = oq_arena_alloc(&plan->arena, sizeof(*ranges));
    if (ranges == NULL)
        return NULL;
    *ranges =
        (struct oq_ranges){.constant = constant,
                           .source = source,
                           .axis = axis,
                           .batch_axes = batch_axes,
                           .layout = oq_layout_make(source->dims, source->n_dims, axis, batch_axes),
                           .is_4_bits = oq_site_stores_4_bits(site),
                           .symmetric = site->symmetric};
    ranges->n_scales = oq_layout_n_scales(&ranges->layout);
    return allocate(&plan->arena, ranges, &site->blocks) ? ranges : NULL;
}

/* What an earlier round has made and nothing has wanted since. */
static struct oq_ranges *take_idle(const onnxq_plan *plan, struct oq_constant *constant,
                                   const struct oq_site *site)
{
    struct oq_ranges **at = &constant->idle_ranges;
    while (*at != NULL && !suits(plan, *at, site))
        at = &(*at)->next;
    struct oq_ranges *ranges = *at;
    if (ranges != NULL)
        *at = ranges->next;
    return ranges;
}

static struct oq_ranges *add_ranges(onnxq_plan *plan, struct oq_constant *constant,
                                    const struct oq_site *site)
{
    struct oq_ranges *ranges = take_idle(plan, constant, site);
    if (ranges == NULL && (ranges = make_ranges(plan, constant, site)) == NULL)
        return NULL;
    ranges->next = constant->ranges;
    constant->ranges = ranges;
    return ranges;
}

static struct oq_ranges *find_ranges(onnxq_plan *plan, struct oq_constant *constant,
                                     const struct oq_site *site)
{
    struct oq_ranges *ranges = constant->ranges;
    while (ranges != NULL && !suits(plan, ranges, site))
        ranges = ranges->next;
    return ranges != NULL ? ranges : add_ranges(plan, constant, site);
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
    if (quantized != NULL || (quantized = oq_arena_alloc(&plan->round, sizeof(*quantized))) == NULL)
        return quantized;
    *quantized = *wanted;
    quantized->next = constant->quantized;
    quantized->zero_point =
        oq_arena_array(&plan->round, (size_t)wanted->ranges->n_scales, sizeof(float));
    constant->quantized = quantized;
    return quantized->zero_point == NULL ? NULL : quantized;
}

/* --- in blocks --- */

static bool is_by_lines(const struct oq_block_choice *choice)
{
    return choice->form == OQ_BLOCKS_PADDED || choice->form == OQ_BLOCKS_LINES;
}

/* Lines of whole blocks are the same bytes, with padding or without, and differ in shape. */
static bool has_same_bytes(const struct oq_blocks *blocks, const struct oq_block_choice *choice)
{
    if (blocks == NULL || blocks->choice.axis != choice->axis ||
        blocks->choice.bits != choice->bits ||
        blocks->choice.import != choice->import) /* the rest is the same for the whole plan */
        return false;
    return blocks->choice.form == choice->form ||
           (is_by_lines(&blocks->choice) && is_by_lines(choice) && blocks->source->n_dims == 2 &&
            blocks->length % choice->size == 0);
}

static struct oq_ranges *find_block_ranges(onnxq_plan *plan, struct oq_constant *constant,
                                           const struct oq_site *site)
{
    const struct oq_block_choice *choice = &site->blocks;
    struct oq_ranges *ranges = constant->ranges;
    while (ranges != NULL && !has_same_bytes(ranges->blocks, choice))
        ranges = ranges->next;
    return ranges != NULL ? ranges : add_ranges(plan, constant, site);
}

static struct oq_quantized *get_blocks(onnxq_plan *plan, struct oq_constant *constant,
                                       const struct oq_site *site)
{
    struct oq_ranges *ranges = find_block_ranges(plan, constant, site);
    struct oq_quantized *quantized = constant->quantized;
    while (quantized != NULL && quantized->ranges != ranges)
        quantized = quantized->next;
    if (ranges == NULL || quantized != NULL ||
        (quantized = oq_arena_alloc(&plan->round, sizeof(*quantized))) == NULL)
        return quantized;
    *quantized = (struct oq_quantized){.ranges = ranges,
                                       .blocks = ranges->blocks,
                                       .n_dims = constant->source.n_dims,
                                       .next = constant->quantized};
    quantized->zero_point = oq_arena_array(&plan->round, (size_t)ranges->n_scales, sizeof(float));
    if (quantized->zero_point == NULL)
        return NULL;
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

static bool is_too_wide(const struct oq_source *source, size_t n_dims)
{
    uint64_t n = (uint64_t)source->dims[n_dims - 2];
    uint64_t k = (uint64_t)source->dims[n_dims - 1];
    return k > MIN_PIECE_NELEM && n > OUTPUT_PIECE / MIN_PIECE_NELEM;
}

/* The tensor of which a derived constant is the whole, only turned; what stands for it; or itself.
 */
static struct oq_constant *stored_constant(onnxq_plan *plan, struct oq_constant *constant)
{
    if (constant->twin != NULL)
        constant = constant->twin;
    const struct oq_span *span = constant->source.spans;
    if (constant->equal != NULL)
        return constant->equal;
    bool whole = constant->tensor == NULL && constant->source.n_spans == 1 &&
                 span->nelem == span->tensor->nelem && constant->source.factors == NULL &&
                 constant->source.data_type == span->tensor->proto->data_type &&
                 constant->source.n_dims == span->tensor->n_dims &&
                 memcmp(constant->source.dims, span->tensor->dims,
                        span->tensor->n_dims * sizeof(*span->tensor->dims)) == 0;
    struct oq_constant *tensor = &plan->constants[span->tensor->ordinal];
    return !whole ? constant : tensor->equal != NULL ? tensor->equal : tensor;
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
    if (plan->options.reduce_range != ONNXQ_REDUCE_PAIRS) {
        ranges->reduce = plan->options.reduce_range;
        return true;
    }
    if (site->is_unsigned) /* u8 x u8 does not saturate */
        return true;
    if (ranges->pairs.k == 0) /* the first that asks */
        ranges->pairs = pairs;
    if (ranges->pair_lo == NULL) {
        size_t n = (size_t)ranges->n_scales;
        ranges->pair_lo = oq_arena_array(&plan->arena, n, sizeof(*ranges->pair_lo));
        ranges->pair_hi = oq_arena_array(&plan->arena, n, sizeof(*ranges->pair_hi));
    }
    bool alike = ranges->pairs.k == pairs.k && ranges->pairs.stride == pairs.stride;
    bool was_bits = ranges->reduce == ONNXQ_REDUCE_BITS;
    ranges->reduce =
        alike && !was_bits && can_pair_up(ranges) ? ONNXQ_REDUCE_PAIRS : ONNXQ_REDUCE_BITS;
    return ranges->pair_lo != NULL && ranges->pair_hi != NULL;
}

static bool fail_storage(const onnxq_plan *plan, onnxq_error *error)
{
    return oq_arena_fail(plan->round.failed ? &plan->round : &plan->arena, error);
}

/* As integers, with those of an activation. */
static bool is_multiplied(const struct oq_site *site)
{
    return site->constant->is_static || (site->action == ONNXQ_DYNAMIC && site->rule->is_product);
}

/*
 * One layout serves where it can: a site that wants the transpose takes it by a node where
 * the weight is stored as it lies anyway, for another product or for what is folded.
 */
static bool choose_storage(onnxq_plan *plan, struct oq_site *site, onnxq_error *error)
{
    struct oq_constant *constant =
        stored_constant(plan, (struct oq_constant *)(uintptr_t)site->constant);
    if (site->blocks.form != OQ_BLOCKS_NONE) {
        site->quantized = get_blocks(plan, constant, site);
        return site->quantized != NULL || fail_storage(plan, error);
    }
    struct oq_quantized wanted = {.ranges = find_ranges(plan, constant, site),
                                  .n_dims = constant->source.n_dims,
                                  .is_unsigned = site->is_unsigned};
    if (wanted.ranges == NULL || (is_multiplied(site) && !reduce(plan, wanted.ranges, site)))
        return fail_storage(plan, error);
    if (site->action == ONNXQ_DYNAMIC) {
        wanted.n_dims = site->n_dims;
        bool by_node = site->transposed && site->n_dims == 2 &&
                       (is_too_wide(&constant->source, 2) ||
                        (constant->is_folded && !oq_plan_may_widen(plan, constant)) ||
                        find_quantized(constant, &wanted) != NULL);
        wanted.transposed = site->transposed && !by_node;
    }
    site->quantized = get_quantized(plan, constant, &wanted);
    return site->quantized != NULL || fail_storage(plan, error);
}

/* Turned back when they are float; where dimensions are left out, that is not worth its nodes. */
static bool can_fold(const struct oq_quantized *quantized, bool transposed)
{
    return quantized->blocks == NULL && quantized->transposed == transposed &&
           (!transposed || quantized->n_dims == quantized->ranges->source->n_dims);
}

/* Whatever product integers are for, they can be folded: rather those that lie as the weight does.
 */
static struct oq_quantized *find_foldable(const struct oq_constant *constant, bool of_product)
{
    for (int transposed = 0; transposed < 2; transposed++)
        for (struct oq_quantized *q = constant->quantized; q != NULL; q = q->next)
            if (can_fold(q, transposed != 0) && (!of_product || q->n_products > 0))
                return q;
    return NULL;
}

struct oq_quantized *oq_plan_find_shared(const struct oq_constant *constant)
{
    const struct oq_quantized *fold = constant->fold;
    if (fold == NULL || fold->is_wide || fold->n_products > 0)
        return NULL;
    struct oq_quantized *shared = find_foldable(fold->ranges->constant, true);
    return shared != NULL && !shared->ranges->is_4_bits ? shared : NULL;
}

static void unlink_quantized(struct oq_constant *constant, const struct oq_quantized *quantized)
{
    struct oq_quantized **place = &constant->quantized;
    while (*place != NULL && *place != quantized)
        place = &(*place)->next;
    if (*place != NULL)
        *place = quantized->next;
}

void oq_plan_share(struct oq_constant *constant, struct oq_quantized *shared)
{
    unlink_quantized(shared->ranges->constant, constant->fold);
    constant->fold = shared;
    for (size_t i = 0; i < constant->n_sites; i++)
        if (constant->sites[i].action == ONNXQ_FOLD)
            constant->sites[i].quantized = shared;
}

/* Folded uses share one copy, whatever axis each would like: it is float again in the end. */
static bool choose_fold(onnxq_plan *plan, struct oq_constant *constant, struct oq_site *site,
                        onnxq_error *error)
{
    if (constant->fold == NULL && !oq_plan_may_widen(plan, constant))
        constant->fold = find_foldable(stored_constant(plan, constant), false);
    if (constant->fold == NULL) {
        if (!choose_storage(plan, site, error))
            return false;
        constant->fold = site->quantized;
    }
    site->quantized = constant->fold;
    return true;
}

static bool choose_site(onnxq_plan *plan, struct oq_constant *constant, struct oq_site *site,
                        onnxq_error *error)
{
    return site->action == ONNXQ_FOLD ? choose_fold(plan, constant, site, error)
                                      : choose_storage(plan, site, error);
}

/* The sites of one kind: `transposed` counts for those that are dynamic. */
static bool choose_all(onnxq_plan *plan, onnxq_action action, bool transposed, onnxq_error *error)
{
    for (size_t i = 0; i < plan->n_constants; i++) {
        struct oq_constant *constant = &plan->constants[i];
        for (size_t k = 0; k < constant->n_sites; k++) {
            struct oq_site *site = &constant->sites[k];
            bool chosen = site->action == action && site->through == NULL &&
                          (action == ONNXQ_FOLD || site->transposed == transposed);
            if (chosen && !choose_site(plan, constant, site, error))
                return false;
        }
    }
    return true;
}

static void mark_folded(onnxq_plan *plan)
{
    for (size_t i = 0; i < plan->model->n_tensors; i++) {
        const struct oq_constant *constant = &plan->constants[i];
        for (size_t k = 0; k < constant->n_sites; k++)
            if (constant->sites[k].action == ONNXQ_FOLD)
                stored_constant(plan, &plan->constants[i])->is_folded = true;
    }
}

/* Products come first: what is folded takes their integers. Of them, those in the weight's order.
 */
bool oq_plan_choose_storage(onnxq_plan *plan, onnxq_error *error)
{
    mark_folded(plan);
    return choose_all(plan, ONNXQ_DYNAMIC, false, error) &&
           choose_all(plan, ONNXQ_DYNAMIC, true, error) &&
           choose_all(plan, ONNXQ_FOLD, false, error);
}
