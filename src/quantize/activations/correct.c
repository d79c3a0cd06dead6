/*
 * Rounding a weight moves the mean of what the product gives, by the error of the weight times the
 * mean of the activation. The means of channels are known: the bias takes the shift back (Nagel et
 * al. 2019). What padding adds at the edges is not counted.
 */
#include <math.h>

#include "base/checked.h"
#include "quantize/activations/activations.h"
#include "ranges/calibrated.h"

struct mean_shift {
    const struct oq_source *source;
    const struct oq_quantized *quantized;
    const uint8_t *integers; /* of the piece */
    const double *means;     /* of the inputs, [channels] */
    size_t n_inputs;         /* of an output: axis 1 of the weight */
    size_t group_size;       /* outputs that see the same inputs */
    double *shifts;          /* of the outputs */
};

static void add_shifts(const struct mean_shift *shift, const struct oq_piece *piece)
{
    const struct oq_quantized *q = shift->quantized;
    const uint64_t inner = oq_nelem(shift->source->dims, 2, shift->source->n_dims);
    for (size_t i = 0; i < piece->n; i++) {
        const float x = piece->x[i];
        const size_t line = (size_t)((piece->first + i) / inner);
        const size_t output = line / shift->n_inputs;
        const size_t input = output / shift->group_size * shift->n_inputs + line % shift->n_inputs;
        const float scale = q->ranges->scale[q->ranges->n_scales == 1 ? 0 : output];
        const int integer = (int8_t)shift->integers[i];
        shift->shifts[output] +=
            ((double)integer * (double)scale - (double)x) * shift->means[input];
    }
}

/* The means of what a convolution takes. */
static bool find_means(const onnxq_plan *plan, const struct oq_carrier *product, size_t n,
                       double *means)
{
    const struct oq_range_stats *stats = oq_ranges_find(plan->options.ranges, product->input->name);
    if (stats == NULL || stats->channels.n != n || stats->channels.axis != 1)
        return false;
    for (size_t c = 0; c < n; c++)
        means[c] = stats->channels.mean[c];
    return true;
}

static bool correct(const onnxq_plan *plan, size_t index, struct oq_arena *arena,
                    onnxq_error *error)
{
    struct oq_carrier *product = &plan->activations->carriers[index];
    const struct oq_site *site = oq_product_site(plan, index);
    const struct oq_source *source = &site->constant->source;
    const int64_t group = oq_node_int(site->node, "group", 1);
    if (group < 1 || group > source->dims[0])
        return true;
    const size_t n = (size_t)(source->dims[1] * group), n_outputs = product->n_channels;
    double *means = oq_arena_array(arena, n, sizeof(*means));
    void *scratch = oq_arena_alloc(arena, OQ_RECIPE_SCRATCH_NBYTES);
    void *recipe_scratch = oq_arena_alloc(arena, OQ_RECIPE_SCRATCH_NBYTES);
    uint8_t *integers = oq_arena_alloc(arena, OQ_READ_MAX_NELEM);
    const struct oq_recipe recipe = oq_quantized_recipe(site->quantized);
    struct mean_shift shift = {.source = source,
                               .quantized = site->quantized,
                               .integers = integers,
                               .means = means,
                               .n_inputs = (size_t)source->dims[1],
                               .group_size = n_outputs / (size_t)group,
                               .shifts = oq_arena_array(arena, n_outputs, sizeof(double))};
    if (means == NULL || scratch == NULL || recipe_scratch == NULL || integers == NULL ||
        shift.shifts == NULL)
        return oq_fail_memory(error);
    if (!find_means(plan, product, n, means))
        return true;
    struct oq_piece piece = {
        .source = source, .x = oq_recipe_floats(scratch), .scratch = scratch, .unit = 1};
    while (oq_source_next(&piece, error)) {
        if (!recipe.produce(recipe.source, piece.first, piece.n, integers, recipe_scratch, error))
            return false;
        add_shifts(&shift, &piece);
    }
    if (piece.failed)
        return false;
    for (size_t o = 0; o < n_outputs; o++)
        product->bias[o] -= (float)shift.shifts[o];
    product->has_bias = true;
    return true;
}

bool oq_activations_correct(const onnxq_plan *plan, onnxq_error *error)
{
    const struct oq_activations *activations = plan->activations;
    bool ok = true;
    if (activations == NULL || plan->is_estimate)
        return true;
    for (size_t i = 0; ok && i < activations->n_nodes; i++) {
        const struct oq_carrier *carrier = &activations->carriers[i];
        if (!carrier->is_integer || carrier->carry != OQ_CARRY_PRODUCT ||
            !oq_node_is(plan->model->proto->graph->node[i], "", "Conv"))
            continue;
        struct oq_arena arena;
        oq_arena_init(&arena, SIZE_MAX);
        ok = correct(plan, i, &arena, error);
        oq_arena_fini(&arena);
    }
    return ok;
}
