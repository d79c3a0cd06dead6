/* Percentiles, medians, the spread of a ratio, and whether it says anything. */
#include "bench/stats.h"

#include <math.h>
#include <stdlib.h>

#include "base/checked.h"

bool oq_series_add(struct oq_series *series, double value, onnxq_error *error)
{
    if (series->count == series->capacity) {
        size_t capacity = series->capacity > 0 ? 2 * series->capacity : 64, nbytes;
        double *values = NULL;
        if (oq_mul_size(capacity, sizeof(*values), &nbytes))
            values = realloc(series->values, nbytes);
        if (values == NULL)
            return oq_fail_memory(error);
        series->values = values;
        series->capacity = capacity;
    }
    series->values[series->count++] = value;
    return true;
}

void oq_series_fini(struct oq_series *series)
{
    free(series->values);
    *series = (struct oq_series){0};
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void oq_sort(double *values, size_t n)
{
    if (n > 0)
        qsort(values, n, sizeof(*values), compare_doubles);
}

double oq_quantile(const double *sorted, size_t n, double part)
{
    double place = part * (double)(n - 1);
    size_t below = (size_t)place;
    if (below + 1 >= n)
        return sorted[n - 1];
    return sorted[below] + (place - (double)below) * (sorted[below + 1] - sorted[below]);
}

double oq_median(double *values, size_t n)
{
    oq_sort(values, n);
    return oq_quantile(values, n, 0.5);
}

struct oq_summary oq_summarize(double *values, size_t n)
{
    double sum = 0;
    oq_sort(values, n);
    for (size_t i = 0; i < n; i++)
        sum += values[i];
    return (struct oq_summary){.min = values[0],
                               .p50 = oq_quantile(values, n, 0.5),
                               .p95 = oq_quantile(values, n, 0.95),
                               .max = values[n - 1],
                               .mean = sum / (double)n};
}

bool oq_speedup(const double *first, const double *other, size_t n,
                struct oq_speedup_spread *spread, onnxq_error *error)
{
    double *ratios = calloc(n, sizeof(*ratios));
    if (ratios == NULL)
        return oq_fail_memory(error);
    for (size_t i = 0; i < n; i++)
        ratios[i] = first[i] / other[i];
    oq_sort(ratios, n);
    *spread = (struct oq_speedup_spread){.median = oq_quantile(ratios, n, 0.5),
                                         .low = oq_quantile(ratios, n, 0.25),
                                         .high = oq_quantile(ratios, n, 0.75)};
    free(ratios);
    return true;
}

/* Equal files came out up to 1 % apart, with a spread that left 1 out; nobody misses so little. */
#define LEAST_EFFECT 0.03

/* As it is shown: with two digits behind the point. */
static double shown(double ratio)
{
    return round(100 * ratio) / 100;
}

enum oq_verdict oq_judge(const struct oq_speedup_spread *spread)
{
    if (shown(spread->low) > 1 && shown(spread->median) >= 1 + LEAST_EFFECT)
        return OQ_FASTER;
    if (shown(1 / spread->high) > 1 && shown(1 / spread->median) >= 1 + LEAST_EFFECT)
        return OQ_SLOWER;
    return OQ_SAME_SPEED;
}
