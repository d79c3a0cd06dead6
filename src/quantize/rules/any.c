/*
 * Every operator without a rule of its own: large constant inputs are stored as
 * int8 and folded back to float when the model is loaded, so that nothing but
 * the file changes. Each row along the last axis has a scale of its own, or each
 * channel that is divided by its norm.
 */
#include "quantize/analyze/fate.h"
#include "quantize/rules/rules.h"

/* Shorter rows spend more on scales than their own scale is worth. */
#define MIN_ROW 16

static bool is_weight(size_t input)
{
    (void)input;
    return true;
}

static size_t count_long_axes(const struct oq_source *tensor)
{
    size_t n = 0;
    for (size_t i = 0; i < tensor->n_dims; i++)
        n += tensor->dims[i] > 1;
    return n;
}

/* Channels that are divided by their norms, each with a scale; -1: none, or too many scales. */
static int find_channel_axis(const onnxq_plan *plan, const struct oq_constant *constant)
{
    const struct oq_source *tensor = &constant->source;
    int axis = oq_fate_channel_axis(plan, constant);
    bool pays = axis >= 0 && tensor->nelem / (uint64_t)tensor->dims[axis] >= MIN_ROW;
    return pays ? axis : -1;
}

static int find_long_axis(const struct oq_source *tensor)
{
    int axis = 0;
    while (tensor->dims[axis] <= 1)
        axis++;
    return axis;
}

/* Coordinates and masks as often as weights. */
static bool is_elementwise(const onnxq_plan *plan, const struct oq_site *site)
{
    return (oq_fate_is_elementwise(plan, site) || oq_fate_is_element(plan, site->constant)) &&
           !oq_fate_is_kernel(plan, site->constant);
}

static void decide(const onnxq_plan *plan, struct oq_site *site)
{
    const struct oq_source *tensor = &site->constant->source;
    int rank = (int)tensor->n_dims, channel_axis = find_channel_axis(plan, site->constant);
    /* Biases, and the scales of normalizations: little to gain, much to lose. */
    if (count_long_axes(tensor) < 2)
        oq_site_keep(site, "a vector");
    else if (channel_axis >= 0)
        oq_site_fold(site, channel_axis, 0, NULL);
    else if (tensor->dims[rank - 1] >= MIN_ROW)
        oq_site_fold(site, rank - 2, (size_t)rank - 2, NULL);
    else if (is_elementwise(plan, site))
        oq_site_keep(site, "rows too short for scales of their own");
    else
        oq_site_fold(site, find_long_axis(tensor), 0, NULL);
}

const struct oq_rule oq_rule_any = {.is_weight = is_weight, .decide = decide};
