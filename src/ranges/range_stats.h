/*
 * What a value of a model held while the model ran: range, mean, histogram, and
 * the range and the mean of each channel. Tensors are folded in as they come.
 */
#ifndef OQ_RANGES_RANGE_STATS_H
#define OQ_RANGES_RANGE_STATS_H

#include "ranges/histogram.h"

/* A value with more channels has no statistics of them: no convolution has so many. */
#define OQ_MAX_CHANNELS 16384

/* Finite numbers only, each channel with as many as the others. */
struct oq_channel_stats {
    int axis;       /* of the tensor */
    size_t n;       /* 0: none. Sizes differed, too many, or a NaN or an infinity was among them */
    uint64_t count; /* of numbers in a channel */
    float *min, *max; /* [n] */
    double *mean;
};

struct oq_range_stats {
    const char *name;
    uint64_t n_tensors; /* 0: the value was never reached, or never had an element */
    uint64_t count;     /* of finite numbers; all that follows but channels is of these */
    uint64_t n_zeros;   /* of them exactly 0 */
    uint64_t n_nan, n_infinite;
    float min, max; /* 0 where count is 0 */
    double mean;
    struct oq_histogram histogram;
    struct oq_channel_stats channels;
};

/* Nothing finite was seen: there is no range. */
static inline bool oq_range_is_missing(const struct oq_range_stats *stats)
{
    return stats->count == 0;
}

static inline bool oq_range_is_constant(const struct oq_range_stats *stats)
{
    return stats->count > 0 && stats->min == stats->max;
}

struct oq_shape_of_channels {
    uint64_t outer, channels, inner; /* the tensor as [outer, channels, inner] */
    int axis;
};

/*
 * Folds a tensor of `outer * channels * inner` numbers in. False where the arena
 * is used up; the numbers may be half counted then.
 */
bool oq_range_stats_fold(struct oq_range_stats *stats, const float *x,
                         const struct oq_shape_of_channels *shape, struct oq_arena *arena);

/* Adds what another run saw of the same value; false where the arena is used up. */
bool oq_range_stats_merge(struct oq_range_stats *stats, const struct oq_range_stats *other,
                          struct oq_arena *arena);

#endif
