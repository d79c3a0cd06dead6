/*
 * What callers have chosen for the channels of a product's activation: divisors, which make them
 * more alike, and columns, the few that are so much larger than all others that these would be
 * rounded coarsely beside them. They are multiplied as floats, and 0 among the integers.
 */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "quantize/decide/steps.h"

/* --- what a choice says --- */

static bool check(const onnxq_choice *choice, size_t number, onnxq_error *error)
{
    if (choice->form != ONNXQ_FORM_INTEGERS)
        return oq_fail(error, ONNXQ_ERROR_OPTION,
                       "choice number %zu: divisors and columns go with integers", number);
    for (size_t i = 0; i < choice->n_divisors; i++)
        if (!(isnormal(choice->divisors[i]) && choice->divisors[i] > 0))
            return oq_fail(error, ONNXQ_ERROR_OPTION,
                           "choice number %zu: divisor %zu is %g, expected a positive number",
                           number, i, (double)choice->divisors[i]);
    for (size_t i = 1; i < choice->n_columns; i++)
        if (choice->columns[i] <= choice->columns[i - 1])
            return oq_fail(error, ONNXQ_ERROR_OPTION,
                           "choice number %zu: column %u behind column %u, expected ascending ones",
                           number, (unsigned)choice->columns[i], (unsigned)choice->columns[i - 1]);
    return true;
}

static bool is_same(const void *a, const void *b, size_t n, size_t n_others, size_t size)
{
    return n == n_others && (n == 0 || memcmp(a, b, n * size) == 0);
}

static const struct oq_channel_choice *find(const onnxq_plan *plan, const onnxq_choice *choice)
{
    const struct oq_channel_choice *channels = plan->channels;
    while (channels != NULL && !(is_same(channels->divisors, choice->divisors, channels->n,
                                         choice->n_divisors, sizeof(float)) &&
                                 is_same(channels->columns, choice->columns, channels->n_columns,
                                         choice->n_columns, sizeof(uint32_t))))
        channels = channels->next;
    return channels;
}

static void *copy(struct oq_arena *arena, const void *list, size_t n, size_t size)
{
    void *copied = oq_arena_array(arena, n + 1, size);
    if (copied != NULL && n > 0)
        memcpy(copied, list, n * size);
    return copied;
}

bool oq_plan_add_channels(onnxq_plan *plan, const onnxq_choice *choice, size_t number,
                          const struct oq_channel_choice **channels, onnxq_error *error)
{
    *channels = NULL;
    if (choice->n_divisors == 0 && choice->n_columns == 0)
        return true;
    if (!check(choice, number, error))
        return false;
    if ((*channels = find(plan, choice)) != NULL)
        return true;
    struct oq_arena *arena = &plan->arena;
    struct oq_channel_choice *made = oq_arena_alloc(arena, sizeof(*made));
    if (made == NULL)
        return oq_arena_fail(arena, error);
    *made = (struct oq_channel_choice){
        .divisors = copy(arena, choice->divisors, choice->n_divisors, sizeof(float)),
        .n = choice->n_divisors,
        .columns = copy(arena, choice->columns, choice->n_columns, sizeof(uint32_t)),
        .n_columns = choice->n_columns,
        .next = plan->channels};
    if (made->divisors == NULL || made->columns == NULL)
        return oq_arena_fail(arena, error);
    *channels = plan->channels = made;
    return true;
}

bool oq_channels_fit(const struct oq_site *site, size_t number, onnxq_error *error)
{
    const struct oq_channel_choice *channels = site->channels;
    const struct oq_source *w = &site->constant->source;
    if (channels == NULL || w->n_dims != 2) /* which takes none */
        return true;
    const uint64_t n = (uint64_t)w->dims[0];
    if (channels->n != 0 && channels->n != n)
        return oq_fail(error, ONNXQ_ERROR_OPTION,
                       "choice number %zu: %zu divisors, the weight has %llu rows", number,
                       channels->n, (unsigned long long)n);
    const uint32_t last = channels->n_columns == 0 ? 0 : channels->columns[channels->n_columns - 1];
    if (channels->n_columns > 0 && last >= n)
        return oq_fail(error, ONNXQ_ERROR_OPTION,
                       "choice number %zu: column %u, the weight has %llu rows", number,
                       (unsigned)last, (unsigned long long)n);
    return true;
}

/* --- what follows for a product --- */

struct oq_source oq_bare_source(const struct oq_constant *constant)
{
    struct oq_source source = constant->source;
    if (constant->is_smoothed)
        source.factors = NULL;
    return source;
}

static void set_factors(struct oq_smoothing *smoothing, const struct oq_channel_choice *channels)
{
    for (size_t i = 0; i < smoothing->n; i++)
        smoothing->factor[i] = channels->n == 0 ? 1 : channels->divisors[i];
    for (size_t i = 0; i < channels->n_columns; i++)
        smoothing->factor[channels->columns[i]] = 0;
}

static bool read_rows(const onnxq_plan *plan, const struct oq_constant *weight,
                      const struct oq_channel_choice *channels, float *rows, onnxq_error *error)
{
    const struct oq_source source = oq_bare_source(weight);
    const uint64_t width = (uint64_t)source.dims[1];
    struct oq_arena arena;
    oq_arena_init(&arena, SIZE_MAX);
    void *scratch = oq_arena_alloc(&arena, OQ_READ_SCRATCH_NBYTES);
    bool ok = scratch != NULL || oq_fail_memory(error);
    for (size_t i = 0; ok && !plan->is_estimate && i < channels->n_columns; i++)
        for (uint64_t k = 0; ok && k < width; k += OQ_READ_MAX_NELEM) {
            const size_t n = (size_t)oq_min_u64(OQ_READ_MAX_NELEM, width - k);
            ok = oq_source_read_floats(&source, channels->columns[i] * width + k, n,
                                       rows + i * width + k, scratch, error);
        }
    oq_arena_fini(&arena);
    return ok;
}

const struct oq_smoothing *oq_plan_smooth_channels(onnxq_plan *plan, const struct oq_site *site,
                                                   onnxq_error *error)
{
    const struct oq_constant *weight = site->quantized->ranges->constant;
    const struct oq_channel_choice *channels = site->channels;
    struct oq_smoothing *smoothing = plan->smoothings;
    while (smoothing != NULL && (smoothing->weight != weight || smoothing->channels != channels))
        smoothing = smoothing->next;
    if (smoothing != NULL)
        return smoothing;
    const size_t n = (size_t)weight->source.dims[0], width = (size_t)weight->source.dims[1];
    float *rows = NULL;
    smoothing = oq_arena_alloc(&plan->arena, sizeof(*smoothing));
    float *factor = oq_arena_array(&plan->arena, n + 1, sizeof(*factor));
    if (channels->n_columns > 0)
        rows = oq_arena_array(&plan->arena, width, channels->n_columns * sizeof(*rows));
    if (smoothing == NULL || factor == NULL || (channels->n_columns > 0 && rows == NULL)) {
        oq_arena_fail(&plan->arena, error);
        return NULL;
    }
    *smoothing = (struct oq_smoothing){.weight = weight,
                                       .channels = channels,
                                       .rows = rows,
                                       .factor = factor,
                                       .n = n,
                                       .next = plan->smoothings};
    plan->smoothings = smoothing;
    set_factors(smoothing, channels);
    return read_rows(plan, weight, channels, rows, error) ? smoothing : NULL;
}
