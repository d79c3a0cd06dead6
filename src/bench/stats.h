/* Figures of samples of times. Percentiles lie between two samples as numpy has it by default. */
#ifndef OQ_BENCH_STATS_H
#define OQ_BENCH_STATS_H

#include "base/error.h"

/* A growing list of numbers that it owns. Zero is an empty one. */
struct oq_series {
    double *values;
    size_t count, capacity;
};

bool oq_series_add(struct oq_series *series, double value, onnxq_error *error);
void oq_series_fini(struct oq_series *series);

void oq_sort(double *values, size_t n);

/* `part` of the sorted values, n of them, n > 0, are at or below what is returned; 0.5 is the
 * median. */
double oq_quantile(const double *sorted, size_t n, double part);

/* The median of values in any order, n > 0; sorts them. */
double oq_median(double *values, size_t n);

struct oq_summary {
    double min, p50, p95, max, mean;
};

/* Of n > 0 values in any order; sorts them. */
struct oq_summary oq_summarize(double *values, size_t n);

/* A median, and the range that the middle half of the values is in. */
struct oq_speedup_spread {
    double median, low, high;
};

/*
 * How many times faster `other` is than `first`: of each turn its own ratio, as
 * what slows the machine down for a while slows both. n > 0 turns; false without memory.
 */
bool oq_speedup(const double *first, const double *other, size_t n,
                struct oq_speedup_spread *spread, onnxq_error *error);

enum oq_verdict { OQ_SAME_SPEED, OQ_FASTER, OQ_SLOWER };

/* Clear only where all of the spread is on one side of 1, and the median by 3 % or more. */
enum oq_verdict oq_judge(const struct oq_speedup_spread *spread);

#endif
