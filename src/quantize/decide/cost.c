/*
 * What is written in place of a weight, in bytes: its integers, and beside them scales, zero
 * points and what else a rule makes. All of it counts where integers have to be worth their place.
 */
#include "quantize/rules/rules.h"

#include "base/checked.h"
#include "quantize/decide/steps.h"
#include "quantize/write/rewrite.h"

static bool is_product(const struct oq_site *site)
{
    return site->action == ONNXQ_DYNAMIC && site->rule->is_product;
}

/* Some products have a scale for each channel, be they different or not. */
static uint64_t count_scales(const onnxq_plan *plan, const struct oq_site *site)
{
    const struct oq_source *source = &site->constant->source;
    bool per_channel =
        oq_site_has_channels(plan, site) || (is_product(site) && !site->rule->takes_one_scale);
    if (site->quantized != NULL && !is_product(site))
        return site->quantized->ranges->n_scales;
    struct oq_layout layout =
        oq_layout_make(source->dims, source->n_dims, per_channel ? site->axis : -1,
                       per_channel ? site->batch_axes : 0);
    return oq_layout_n_scales(&layout);
}

/* One for all where they are all the same; DequantizeLinear has all of them in any case. */
static uint64_t zero_points_nbytes(const onnxq_plan *plan, const struct oq_site *site, uint64_t n,
                                   bool is_wide)
{
    bool is_unsigned = site->quantized != NULL ? site->quantized->is_unsigned : site->is_unsigned;
    size_t width = is_product(site) ? 1 : sizeof(float); /* Sub takes floats */
    if (plan->options.method == ONNXQ_METHOD_QDQ && !site->is_multiplied)
        return oq_site_stores_4_bits(site) ? oq_divide_up_u64(n, 2)
                                           : n * (is_wide ? sizeof(int16_t) : 1);
    if (is_wide)
        return 0;
    if (!site->symmetric)
        return n * width;
    return is_unsigned ? width : 0;
}

static uint64_t beside_nbytes(const onnxq_plan *plan, const struct oq_site *site, bool is_wide)
{
    uint64_t n = count_scales(plan, site);
    return n * sizeof(float) + zero_points_nbytes(plan, site, n, is_wide) + site->beside_nbytes;
}

uint64_t oq_site_beside_nbytes(const onnxq_plan *plan, const struct oq_site *site)
{
    const struct oq_quantized *q = site->quantized;
    if (q->blocks != NULL)
        return q->blocks->n_scales * sizeof(float) + site->beside_nbytes;
    return beside_nbytes(plan, site, q->is_wide);
}

uint64_t oq_quantized_nbytes(const struct oq_quantized *q)
{
    if (q->blocks != NULL) /* with zero points */
        return oq_blocks_nbytes(q->blocks) - q->blocks->n_scales * sizeof(float);
    return oq_quantized_recipe(q).nbytes;
}

bool oq_site_shrinks(const onnxq_plan *plan, const struct oq_site *site, bool is_wide)
{
    const struct oq_source *source = &site->constant->source;
    uint64_t integers = source->nelem;
    if (site->blocks.form != OQ_BLOCKS_NONE) {
        struct oq_blocks blocks;
        oq_blocks_init(&blocks, source, &site->blocks);
        return oq_blocks_nbytes(&blocks) + site->beside_nbytes < source->nbytes;
    }
    if (is_wide)
        integers = source->nelem * sizeof(int16_t);
    else if (oq_site_stores_4_bits(site))
        integers = oq_divide_up_u64(source->nelem, 2);
    return integers + beside_nbytes(plan, site, is_wide) < source->nbytes;
}
