/*
 * From a histogram to the range that is quantized. Each method weighs what is
 * lost by clipping against what a narrower range gains in resolution; zeros
 * count for neither, as 0 is exact in every range.
 */
#include <math.h>

#include "ranges/calibrated.h"

struct range {
    double low, high; /* low <= 0 <= high */
};

static struct range whole_range(const struct oq_range_stats *stats)
{
    return (struct range){fmin((double)stats->min, 0), fmax((double)stats->max, 0)};
}

/* Bin i without the zeros, which all lie in the bin that begins at 0. */
static double bin_count(const struct oq_range_stats *stats, size_t i)
{
    const struct oq_histogram *h = &stats->histogram;
    uint64_t zeros = h->first + (int64_t)i == 0 ? stats->n_zeros : 0;
    return (double)(h->counts[i] - (zeros < h->counts[i] ? zeros : h->counts[i]));
}

/* --- percentile ------------------------------------------------------------------- */

/* The number below which `share` of all lie, as if those of a bin were spread evenly. */
static double quantile(const struct oq_range_stats *stats, double share)
{
    const struct oq_histogram *h = &stats->histogram;
    double wanted = share * (double)stats->count, below = 0;
    for (size_t i = 0; i < h->n_bins; i++) {
        double count = (double)h->counts[i];
        if (count > 0 && below + count >= wanted) {
            double low = fmax(oq_histogram_edge(h, i), (double)stats->min);
            double high = fmin(oq_histogram_edge(h, i + 1), (double)stats->max);
            return low + (high - low) * (wanted - below) / count;
        }
        below += count;
    }
    return (double)stats->max;
}

static struct range percentile_range(const struct oq_range_stats *stats, double percentile)
{
    double cut = (1 - percentile / 100) / 2; /* half on each side */
    return (struct range){quantile(stats, cut), quantile(stats, 1 - cut)};
}

/* --- least squared error ------------------------------------------------------------ */

/* Sums over the bins below each edge, in units of bins: counts, their places, squares of those. */
struct moments {
    const struct oq_histogram *histogram;
    double width;
    double count[OQ_HISTOGRAM_BINS + 1], first[OQ_HISTOGRAM_BINS + 1],
        second[OQ_HISTOGRAM_BINS + 1];
};

static void sum_moments(struct moments *sums, const struct oq_range_stats *stats)
{
    const struct oq_histogram *h = &stats->histogram;
    sums->histogram = h;
    sums->width = ldexp(1, h->exponent);
    sums->count[0] = sums->first[0] = sums->second[0] = 0;
    for (size_t i = 0; i < h->n_bins; i++) {
        double count = bin_count(stats, i), x = (double)(h->first + (int64_t)i) + 0.5;
        sums->count[i + 1] = sums->count[i] + count;
        sums->first[i + 1] = sums->first[i] + count * x;
        sums->second[i + 1] = sums->second[i] + count * x * x;
    }
}

/* The edge nearest to a place in bins. */
static size_t edge_at(const struct moments *sums, double place)
{
    double edge = floor(place - (double)sums->histogram->first + 0.5);
    size_t n = sums->histogram->n_bins;
    return edge <= 0 ? 0 : edge >= (double)n ? n : (size_t)edge;
}

/* Squared distances to `level` of all numbers in the bins from edge a to edge b. */
static double distance(const struct moments *sums, size_t a, size_t b, double level)
{
    double count = sums->count[b] - sums->count[a], first = sums->first[b] - sums->first[a];
    double second = sums->second[b] - sums->second[a];
    return fmax(second - 2 * level * first + level * level * count, 0);
}

/*
 * Squared error of integers 0 to `steps` over the range, in bins. Each level
 * takes the bins that are nearest; levels closer than bins are off by up to half
 * a step, evenly.
 */
static double squared_error(const struct moments *sums, struct range range, double steps)
{
    double scale = (range.high - range.low) / steps, zero_point = rint(-range.low / scale);
    double lowest = -zero_point * scale, highest = (steps - zero_point) * scale;
    size_t n = sums->histogram->n_bins;
    size_t from = edge_at(sums, lowest), to = edge_at(sums, highest);
    double error = distance(sums, 0, from, lowest) + distance(sums, to, n, highest);
    if (scale <= 1)
        return error + (sums->count[to] - sums->count[from]) * scale * scale / 12;
    for (double q = -zero_point; q <= steps - zero_point && from < to; q++) {
        size_t end = edge_at(sums, (q + 0.5) * scale);
        end = end > to ? to : end;
        error += distance(sums, from, end, q * scale);
        from = end;
    }
    return error + distance(sums, from, to, highest);
}

/* Ends are tried at so many places between 0 and the last number. */
#define PLACES 128

/* Makes the range the best of those whose ends that may move are k / PLACES of `whole`. */
static bool move_ends(const struct moments *sums, struct range whole, bool low_moves,
                      bool high_moves, double steps, struct range *range)
{
    struct range best = *range;
    double least = squared_error(sums, best, steps);
    for (int k = 1; k <= PLACES; k++) {
        struct range tried = *range;
        if (low_moves)
            tried.low = whole.low * k / PLACES;
        if (high_moves)
            tried.high = whole.high * k / PLACES;
        double error = squared_error(sums, tried, steps);
        if (error < least) {
            least = error;
            best = tried;
        }
    }
    bool moved = best.low != range->low || best.high != range->high;
    *range = best;
    return moved;
}

/* Ends that wait for one another settle within a few rounds. */
#define MAX_ROUNDS 4

static struct range mse_range(const struct oq_range_stats *stats, const struct oq_range_rule *rule)
{
    struct moments sums;
    sum_moments(&sums, stats);
    struct range whole = whole_range(stats);
    if (rule->symmetric)
        whole.high = fmax(-whole.low, whole.high);
    whole.low = rule->symmetric ? -whole.high : whole.low;
    whole = (struct range){whole.low / sums.width, whole.high / sums.width};
    struct range range = whole;
    double steps = (double)(1u << rule->bits) - (rule->symmetric ? 2 : 1);
    move_ends(&sums, whole, true, true, steps, &range);
    for (int round = 0; round < MAX_ROUNDS && !rule->symmetric && whole.low < 0 && whole.high > 0;
         round++) {
        bool moved = move_ends(&sums, whole, true, false, steps, &range);
        if (!move_ends(&sums, whole, false, true, steps, &range) && !moved)
            break;
    }
    return (struct range){range.low * sums.width, range.high * sums.width};
}

/* --- entropy ---------------------------------------------------------------------------- */

/*
 * As TensorRT does it (Migacz, "8-bit inference with TensorRT", 2017): of all
 * thresholds the one at which the distribution of the clipped numbers differs
 * least, by Kullback and Leibler, from the same in as many levels as there are
 * integers. Thresholds are bins away from 0.
 */
struct distribution {
    size_t n_bins;
    double counts[OQ_HISTOGRAM_BINS];
    double below[OQ_HISTOGRAM_BINS + 1];    /* counts before each bin */
    double self[OQ_HISTOGRAM_BINS + 1];     /* the same of count * log(count) */
    uint32_t filled[OQ_HISTOGRAM_BINS + 1]; /* the same of bins that are not empty */
};

static double times_log(double x)
{
    return x > 0 ? x * log(x) : 0;
}

static void make_distribution(struct distribution *d, const struct oq_range_stats *stats)
{
    d->n_bins = stats->histogram.n_bins;
    d->below[0] = d->self[0] = 0;
    d->filled[0] = 0;
    for (size_t i = 0; i < d->n_bins; i++) {
        d->counts[i] = bin_count(stats, i);
        d->below[i + 1] = d->below[i] + d->counts[i];
        d->self[i + 1] = d->self[i] + times_log(d->counts[i]);
        d->filled[i + 1] = d->filled[i] + (d->counts[i] > 0);
    }
}

/* What a level that nothing falls into is taken to hold, so that no logarithm is of 0. */
#define EPSILON 1e-4

/*
 * What levels make of bins [a, b): sum of p * log(q), p the counts with what is
 * clipped added to the bins at the ends, q the mean of the filled bins of a level.
 */
static double sum_levels(const struct distribution *d, size_t a, size_t b, double ends[2],
                         size_t levels)
{
    double sum = 0;
    for (size_t k = 0; k < levels; k++) {
        size_t from = a + (b - a) * k / levels, to = a + (b - a) * (k + 1) / levels;
        if (from == to)
            continue;
        double count = d->below[to] - d->below[from], p = count;
        uint32_t filled = d->filled[to] - d->filled[from];
        p += (from == a ? ends[0] : 0) + (to == b ? ends[1] : 0);
        if (p > 0)
            sum += p * log(filled > 0 ? count / filled : EPSILON);
    }
    return sum;
}

/* sum(p * log(p / q)) over normalized p and q, of two bins at least. */
static double divergence(const struct distribution *d, size_t a, size_t b, size_t levels)
{
    double ends[2] = {d->below[a], d->below[d->n_bins] - d->below[b]};
    double all = d->below[d->n_bins], within = d->below[b] - d->below[a];
    if (within <= 0)
        return INFINITY;
    double own = d->self[b] - d->self[a];
    own += times_log(d->counts[a] + ends[0]) - times_log(d->counts[a]);
    own += times_log(d->counts[b - 1] + ends[1]) - times_log(d->counts[b - 1]);
    double sum = (own - sum_levels(d, a, b, ends, levels)) / all;
    return sum - log(all) + log(within);
}

/* Bins [*a, *b) are those within t bins of 0. */
static void bins_within(const struct oq_histogram *h, int64_t t, size_t *a, size_t *b)
{
    int64_t low = -t - h->first, high = t - h->first, n = (int64_t)h->n_bins;
    *a = low <= 0 ? 0 : low >= n ? h->n_bins : (size_t)low;
    *b = high <= 0 ? 0 : high >= n ? h->n_bins : (size_t)high;
}

static struct range entropy_range(const struct oq_range_stats *stats, unsigned bits)
{
    const struct oq_histogram *h = &stats->histogram;
    struct distribution d;
    make_distribution(&d, stats);
    size_t levels = (size_t)1 << bits, a, b;
    int64_t last = h->first + (int64_t)h->n_bins;
    int64_t largest = last > -h->first ? last : -h->first, best = largest;
    double least = INFINITY;
    for (int64_t t = 1; t <= largest; t++) {
        bins_within(h, t, &a, &b);
        if (b <= a || b - a < levels)
            continue;
        double found = divergence(&d, a, b, levels);
        if (found < least) {
            least = found;
            best = t;
        }
    }
    double bound = ldexp((double)best, h->exponent);
    return (struct range){-bound, bound};
}

/* --- all of them ---------------------------------------------------------------------------- */

static struct range choose(const struct oq_range_stats *stats, const struct oq_range_rule *rule)
{
    switch (rule->method) {
    case ONNXQ_RANGE_ENTROPY:
        return entropy_range(stats, rule->bits);
    case ONNXQ_RANGE_PERCENTILE:
        return percentile_range(stats,
                                rule->percentile > 0 ? rule->percentile : OQ_DEFAULT_PERCENTILE);
    case ONNXQ_RANGE_MSE:
        return mse_range(stats, rule);
    case ONNXQ_RANGE_MINMAX:
        break;
    }
    return whole_range(stats);
}

bool oq_range_of(const struct oq_range_stats *stats, const struct oq_range_rule *rule, float *low,
                 float *high)
{
    *low = *high = 0;
    if (oq_range_is_missing(stats))
        return false;
    /* One number, or nothing but zeros, has nothing to clip. */
    bool is_simple = oq_range_is_constant(stats) || stats->n_zeros == stats->count;
    struct range all = whole_range(stats);
    struct range range = is_simple ? all : choose(stats, rule);
    range.low = fmin(fmax(range.low, all.low), 0);
    range.high = fmax(fmin(range.high, all.high), 0);
    if (rule->symmetric) {
        double bound = fmax(-range.low, range.high);
        range = (struct range){-bound, bound};
    }
    *low = (float)range.low + 0.0f;
    *high = (float)range.high;
    return true;
}

double oq_range_size(const struct oq_range_stats *stats, float low, float high)
{
    const struct oq_histogram *h = &stats->histogram;
    double squares = 0;
    for (size_t i = 0; i < h->n_bins; i++) {
        const double middle = (oq_histogram_edge(h, i) + oq_histogram_edge(h, i + 1)) / 2;
        const double x = fmin(fmax(middle, (double)low), (double)high);
        squares += (double)h->counts[i] * x * x;
    }
    return sqrt(squares / fmax((double)stats->count, 1));
}
