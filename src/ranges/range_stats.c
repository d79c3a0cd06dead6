/* Folding tensors into statistics, and statistics into one another. */
#include "ranges/range_stats.h"

#include <math.h>
#include <string.h>

#include "kernels/kernels.h"

/* --- one value ------------------------------------------------------------------- */

/* The mean of two parts; both counts may not be 0. */
static double mean_of(double a, uint64_t count_a, double b, uint64_t count_b)
{
    return a + (b - a) * ((double)count_b / ((double)count_a + (double)count_b));
}

/* Sums in several parts, which add up faster and more exactly than one. */
#define PARTS 8

static double sum_run(const float *x, size_t n)
{
    double parts[PARTS] = {0}, sum = 0;
    size_t i = 0;
    for (; i + PARTS <= n; i += PARTS)
        for (size_t k = 0; k < PARTS; k++)
            parts[k] += (double)x[i + k];
    for (; i < n; i++)
        sum += (double)x[i];
    for (size_t k = 0; k < PARTS; k++)
        sum += parts[k];
    return sum;
}

static uint64_t count_zeros(const float *x, size_t n)
{
    uint64_t zeros = 0;
    for (size_t i = 0; i < n; i++)
        zeros += x[i] == 0;
    return zeros;
}

static void widen(struct oq_range_stats *stats, float min, float max)
{
    bool is_first = stats->count == 0;
    /* 0 is added to make 0 of -0, so that results do not depend on which came first. */
    stats->min = (is_first || min < stats->min ? min : stats->min) + 0.0f;
    stats->max = (is_first || max > stats->max ? max : stats->max) + 0.0f;
}

/* Finite numbers whose range and sum are known. */
static bool fold_finite(struct oq_range_stats *stats, const float *x, size_t n, float min,
                        float max, double sum, struct oq_arena *arena)
{
    widen(stats, min, max);
    if (!oq_histogram_cover(&stats->histogram, stats->min, stats->max, arena))
        return false;
    oq_histogram_add(&stats->histogram, x, n);
    stats->mean = mean_of(stats->mean, stats->count, sum / (double)n, n);
    stats->n_zeros += count_zeros(x, n);
    stats->count += n;
    return true;
}

/* Numbers of which some are not finite: those that are, a piece at a time. */
static bool fold_mixed(struct oq_range_stats *stats, const float *x, size_t n,
                       struct oq_arena *arena)
{
    float finite[1024];
    for (size_t i = 0; i < n;) {
        size_t found = 0;
        float min = INFINITY, max = -INFINITY;
        for (; i < n && found < sizeof(finite) / sizeof(finite[0]); i++) {
            stats->n_nan += isnan(x[i]) != 0;
            stats->n_infinite += isinf(x[i]) != 0;
            if (!isfinite(x[i]))
                continue;
            finite[found++] = x[i];
            min = fminf(min, x[i]);
            max = fmaxf(max, x[i]);
        }
        if (found > 0 &&
            !fold_finite(stats, finite, found, min, max, sum_run(finite, found), arena))
            return false;
    }
    return true;
}

/* --- channels ---------------------------------------------------------------------- */

/* Room for the channels of a first tensor; false where the arena is used up. */
static bool make_channels(struct oq_channel_stats *channels, size_t n, int axis,
                          struct oq_arena *arena)
{
    *channels = (struct oq_channel_stats){.axis = axis,
                                          .n = n,
                                          .min = oq_arena_array(arena, n, sizeof(float)),
                                          .max = oq_arena_array(arena, n, sizeof(float)),
                                          .mean = oq_arena_array(arena, n, sizeof(double))};
    return channels->min != NULL && channels->max != NULL && channels->mean != NULL;
}

/* What one tensor holds, channel by channel; the memory is the caller's. */
struct tensor_channels {
    int32_t *lo, *hi; /* keys */
    double *sums;
};

static void measure_columns(const float *x, const struct oq_shape_of_channels *shape,
                            const struct tensor_channels *found)
{
    size_t n = (size_t)shape->channels, rows = (size_t)shape->outer;
    oq_kernels_best()->range_columns(x, rows, n, n, found->lo, found->hi);
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < n; c++)
            found->sums[c] += (double)x[r * n + c];
}

static void measure_channels(const float *x, const struct oq_shape_of_channels *shape,
                             const struct tensor_channels *found)
{
    const struct oq_kernels *kernels = oq_kernels_best();
    size_t n = (size_t)shape->channels, inner = (size_t)shape->inner;
    for (size_t c = 0; c < n; c++) {
        found->lo[c] = OQ_KEY_NONE_LO;
        found->hi[c] = OQ_KEY_NONE_HI;
        found->sums[c] = 0;
    }
    if (inner == 1) {
        measure_columns(x, shape, found);
        return;
    }
    for (size_t o = 0; o < (size_t)shape->outer; o++) {
        for (size_t c = 0; c < n; c++, x += inner) {
            kernels->range_run(x, inner, &found->lo[c], &found->hi[c]);
            found->sums[c] += sum_run(x, inner);
        }
    }
}

static void add_channels(struct oq_channel_stats *channels, const struct tensor_channels *found,
                         uint64_t count)
{
    for (size_t c = 0; c < channels->n; c++) {
        float min = oq_key_to_float(found->lo[c]) + 0.0f,
              max = oq_key_to_float(found->hi[c]) + 0.0f;
        bool is_first = channels->count == 0;
        channels->min[c] = is_first || min < channels->min[c] ? min : channels->min[c];
        channels->max[c] = is_first || max > channels->max[c] ? max : channels->max[c];
        channels->mean[c] =
            mean_of(channels->mean[c], channels->count, found->sums[c] / (double)count, count);
    }
    channels->count += count;
}

/* --- a tensor ------------------------------------------------------------------------ */

/* The range of all channels, and whether there are but finite numbers in it. */
static bool join_channels(const struct tensor_channels *found, size_t n, float *min, float *max,
                          double *sum)
{
    int32_t lo = OQ_KEY_NONE_LO, hi = OQ_KEY_NONE_HI;
    *sum = 0;
    for (size_t c = 0; c < n; c++) {
        lo = found->lo[c] < lo ? found->lo[c] : lo;
        hi = found->hi[c] > hi ? found->hi[c] : hi;
        *sum += found->sums[c];
    }
    *min = oq_key_to_float(lo);
    *max = oq_key_to_float(hi);
    return isfinite(*min) && isfinite(*max);
}

/* Folds numbers in that are measured, and drops channels that do not go on as they began. */
static bool fold_measured(struct oq_range_stats *stats, const float *x,
                          const struct oq_shape_of_channels *shape,
                          const struct tensor_channels *found, struct oq_arena *arena)
{
    struct oq_channel_stats *channels = &stats->channels;
    size_t n = (size_t)(shape->outer * shape->channels * shape->inner);
    float min, max;
    double sum;
    bool is_finite = join_channels(found, (size_t)shape->channels, &min, &max, &sum);
    bool is_first = stats->n_tensors == 0;
    bool has_channels = shape->axis >= 0 && shape->channels <= OQ_MAX_CHANNELS && is_finite;
    if (is_first && has_channels &&
        !make_channels(channels, (size_t)shape->channels, shape->axis, arena))
        return false;
    if (has_channels && channels->n == shape->channels && channels->axis == shape->axis)
        add_channels(channels, found, shape->outer * shape->inner);
    else
        channels->n = 0;
    stats->n_tensors++;
    return is_finite ? fold_finite(stats, x, n, min, max, sum, arena)
                     : fold_mixed(stats, x, n, arena);
}

bool oq_range_stats_fold(struct oq_range_stats *stats, const float *x,
                         const struct oq_shape_of_channels *shape, struct oq_arena *arena)
{
    struct oq_shape_of_channels seen = *shape;
    if (seen.outer == 0 || seen.channels == 0 || seen.inner == 0)
        return true;
    if (seen.channels > OQ_MAX_CHANNELS) /* nobody asks for so many: all are one */
        seen = (struct oq_shape_of_channels){1, 1, seen.outer * seen.channels * seen.inner, -1};
    struct oq_arena scratch;
    oq_arena_init(&scratch, SIZE_MAX);
    struct tensor_channels found = {
        .lo = oq_arena_array(&scratch, (size_t)seen.channels, sizeof(int32_t)),
        .hi = oq_arena_array(&scratch, (size_t)seen.channels, sizeof(int32_t)),
        .sums = oq_arena_array(&scratch, (size_t)seen.channels, sizeof(double))};
    bool ok = found.lo != NULL && found.hi != NULL && found.sums != NULL;
    if (ok) {
        measure_channels(x, &seen, &found);
        ok = fold_measured(stats, x, &seen, &found, arena);
    }
    oq_arena_fini(&scratch);
    return ok;
}

/* --- two runs -------------------------------------------------------------------------- */

static void merge_channels(struct oq_channel_stats *a, const struct oq_channel_stats *b)
{
    for (size_t c = 0; c < a->n; c++) {
        a->min[c] = b->min[c] < a->min[c] ? b->min[c] : a->min[c];
        a->max[c] = b->max[c] > a->max[c] ? b->max[c] : a->max[c];
        a->mean[c] = mean_of(a->mean[c], a->count, b->mean[c], b->count);
    }
    a->count += b->count;
}

/* Channels of a value that was not seen before. */
static bool copy_channels(struct oq_channel_stats *a, const struct oq_channel_stats *b,
                          struct oq_arena *arena)
{
    if (b->n == 0)
        return true;
    if (!make_channels(a, b->n, b->axis, arena))
        return false;
    memcpy(a->min, b->min, b->n * sizeof(*a->min));
    memcpy(a->max, b->max, b->n * sizeof(*a->max));
    memcpy(a->mean, b->mean, b->n * sizeof(*a->mean));
    a->count = b->count;
    return true;
}

bool oq_range_stats_merge(struct oq_range_stats *stats, const struct oq_range_stats *other,
                          struct oq_arena *arena)
{
    struct oq_channel_stats *channels = &stats->channels;
    if (other->n_tensors == 0)
        return true;
    if (stats->n_tensors == 0 && !copy_channels(channels, &other->channels, arena))
        return false;
    if (stats->n_tensors > 0) {
        if (channels->n == other->channels.n && channels->axis == other->channels.axis)
            merge_channels(channels, &other->channels);
        else
            channels->n = 0;
    }
    stats->n_tensors += other->n_tensors;
    stats->n_nan += other->n_nan;
    stats->n_infinite += other->n_infinite;
    if (other->count == 0)
        return true;
    widen(stats, other->min, other->max);
    if (!oq_histogram_cover(&stats->histogram, stats->min, stats->max, arena))
        return false;
    oq_histogram_merge(&stats->histogram, &other->histogram);
    stats->mean = mean_of(stats->mean, stats->count, other->mean, other->count);
    stats->n_zeros += other->n_zeros;
    stats->count += other->count;
    return true;
}
