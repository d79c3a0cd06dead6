/*
 * A histogram of floats whose grid follows from the smallest and the largest of
 * them alone: bins are a power of two wide and start at multiples of their
 * width. A wider grid is made of whole bins of a finer one, so that histograms
 * merge exactly, and the same numbers give the same histogram in whatever order
 * and parts they come.
 */
#ifndef OQ_RANGES_HISTOGRAM_H
#define OQ_RANGES_HISTOGRAM_H

#include "base/arena.h"

/* 1024 to 2048 bins over most ranges: 4 and more for each step of 8 bits. */
#define OQ_HISTOGRAM_BINS 2048

struct oq_histogram {
    int exponent;     /* a bin is 2^exponent wide */
    int64_t first;    /* bin i holds x with (first + i) * width <= x < (first + i + 1) * width */
    size_t n_bins;    /* 0: nothing was counted */
    uint64_t *counts; /* room for OQ_HISTOGRAM_BINS, or n_bins where it was read from a file */
    size_t capacity;
};

/* The grid for numbers from min to max, both finite, min <= max. */
struct oq_grid {
    int exponent;
    int64_t first;
    size_t n_bins;
};
struct oq_grid oq_grid_make(float min, float max);

/*
 * Gives the histogram the grid of [min, max], which holds all that was counted;
 * false where the arena is used up.
 */
bool oq_histogram_cover(struct oq_histogram *histogram, float min, float max,
                        struct oq_arena *arena);

/* Counts x[0..n), finite and within the range that is covered. */
void oq_histogram_add(struct oq_histogram *histogram, const float *x, size_t n);

/* Adds the counts of another one; the range of both is covered. */
void oq_histogram_merge(struct oq_histogram *histogram, const struct oq_histogram *other);

/* The lower edge of bin i; that of bin n_bins is the upper edge of the last. */
double oq_histogram_edge(const struct oq_histogram *histogram, size_t i);

#endif
