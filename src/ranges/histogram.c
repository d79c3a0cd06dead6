/* Histograms on grids of powers of two: growing, counting, merging. */
#include "ranges/histogram.h"

#include <float.h>
#include <math.h>
#include <string.h>

/*
 * A bin is no narrower than 2^-15 of the largest magnitude: a range that is
 * quantized includes 0, so that finer bins far from it say nothing, and numbers
 * of bins stay small.
 */
#define MAX_INDEX_BITS 15

/* The exponent of the smallest float. */
#define MIN_EXPONENT (FLT_MIN_EXP - FLT_MANT_DIG)

static int64_t index_of(float x, int exponent)
{
    return (int64_t)floor(ldexp((double)x, -exponent));
}

struct oq_grid oq_grid_make(float min, float max)
{
    float magnitude = fmaxf(fabsf(min), fabsf(max));
    struct oq_grid grid = {.exponent = MIN_EXPONENT};
    if (magnitude > 0 && ilogbf(magnitude) - MAX_INDEX_BITS > MIN_EXPONENT)
        grid.exponent = ilogbf(magnitude) - MAX_INDEX_BITS;
    for (;; grid.exponent++) {
        grid.first = index_of(min, grid.exponent);
        int64_t last = index_of(max, grid.exponent);
        grid.n_bins = (size_t)(last - grid.first) + 1;
        if (grid.n_bins <= OQ_HISTOGRAM_BINS)
            return grid;
    }
}

/* A number divided by 2^shift, rounded down. */
static int64_t coarser(int64_t index, int shift)
{
    int64_t divisor = INT64_C(1) << (shift < 62 ? shift : 62);
    return index >= 0 ? index / divisor : -((-index - 1) / divisor) - 1;
}

static void add_bins(struct oq_histogram *histogram, int exponent, int64_t first,
                     const uint64_t *counts, size_t n)
{
    int shift = histogram->exponent - exponent;
    for (size_t i = 0; i < n; i++)
        if (counts[i] != 0)
            histogram->counts[coarser(first + (int64_t)i, shift) - histogram->first] += counts[i];
}

bool oq_histogram_cover(struct oq_histogram *histogram, float min, float max,
                        struct oq_arena *arena)
{
    struct oq_grid grid = oq_grid_make(min, max);
    struct oq_histogram old = *histogram;
    uint64_t counted[OQ_HISTOGRAM_BINS];
    bool same = old.exponent == grid.exponent && old.first == grid.first;
    if (same && old.n_bins == grid.n_bins)
        return true;
    if (old.n_bins > 0)
        memcpy(counted, old.counts, old.n_bins * sizeof(*counted));
    if (histogram->capacity < OQ_HISTOGRAM_BINS) {
        uint64_t *counts = oq_arena_array(arena, OQ_HISTOGRAM_BINS, sizeof(*counts));
        if (counts == NULL)
            return false;
        histogram->counts = counts;
        histogram->capacity = OQ_HISTOGRAM_BINS;
    }
    memset(histogram->counts, 0, histogram->capacity * sizeof(*histogram->counts));
    histogram->exponent = grid.exponent;
    histogram->first = grid.first;
    histogram->n_bins = grid.n_bins;
    add_bins(histogram, old.exponent, old.first, counted, old.n_bins);
    return true;
}

/*
 * Neighbours are often equal (zeros behind a Relu): four tables let the
 * processor add to one while it still adds to another.
 */
#define TABLES 4

#define BLOCK 256

/* Bins of x[0..BLOCK); whole numbers below 2^17 fit an int32. */
static void find_bins(const float *x, double per_bin, int32_t first, int32_t *bins)
{
    for (size_t i = 0; i < BLOCK; i++) {
        double place = (double)x[i] * per_bin;
        int32_t whole = (int32_t)place; /* towards 0, and from there down */
        bins[i] = whole - ((double)whole > place) - first;
    }
}

static void count_bins(uint32_t tables[TABLES][OQ_HISTOGRAM_BINS], const float *x, size_t n,
                       double per_bin, int32_t first)
{
    float rest[BLOCK] = {0};
    int32_t bins[BLOCK];
    for (size_t i = 0; i < n; i += BLOCK) {
        size_t now = n - i < BLOCK ? n - i : BLOCK;
        if (now < BLOCK)
            memcpy(rest, x + i, now * sizeof(*rest));
        find_bins(now < BLOCK ? rest : x + i, per_bin, first, bins);
        for (size_t k = 0; k < now; k++)
            tables[k % TABLES][bins[k]]++;
    }
}

void oq_histogram_add(struct oq_histogram *histogram, const float *x, size_t n)
{
    static const size_t part = (size_t)1 << 30; /* counts of a part fit 32 bits */
    uint32_t tables[TABLES][OQ_HISTOGRAM_BINS];
    double per_bin = ldexp(1, -histogram->exponent);
    while (n > 0) {
        size_t now = n < part ? n : part;
        memset(tables, 0, sizeof(tables));
        count_bins(tables, x, now, per_bin, (int32_t)histogram->first);
        for (size_t t = 0; t < TABLES; t++)
            for (size_t i = 0; i < histogram->n_bins; i++)
                histogram->counts[i] += tables[t][i];
        x += now;
        n -= now;
    }
}

void oq_histogram_merge(struct oq_histogram *histogram, const struct oq_histogram *other)
{
    add_bins(histogram, other->exponent, other->first, other->counts, other->n_bins);
}

double oq_histogram_edge(const struct oq_histogram *histogram, size_t i)
{
    return ldexp((double)(histogram->first + (int64_t)i), histogram->exponent);
}
