/* Integers of kernels whose sums are those of the floats, one step after another. */
#include "quantize/numbers/kept_sums.h"

#include <math.h>

#include "kernels/kernels.h"

/*
 * More steps than these are not made up for in one sum, which bounds the time that a file can ask
 * for: by chance that many are missing of 4,000 elements one time in 2,000.
 */
#define MOST_STEPS 64

/* The first of the elements of which most is left in the direction of sign. */
static size_t find_most(const float *x, size_t n, float sign)
{
    float most = sign * x[0];
    size_t best = 0;
    for (size_t i = 1; i < n; i++) {
        float left = sign * x[i];
        best = left > most ? i : best; /* no branch: there is nothing to predict */
        most = left > most ? left : most;
    }
    return best;
}

/* The same among those that are not at the end; n: none. */
static size_t find_movable(const float *x, const int8_t *q, size_t n, int by)
{
    const float sign = (float)by;
    size_t best = n;
    for (size_t i = 0; i < n; i++)
        if (q[i] * by < OQ_KEPT_SUMS_QMAX && (best == n || sign * x[i] > sign * x[best]))
            best = i;
    return best;
}

/*
 * Moves the element to which a step by `by` (1 or -1) does least. False: all are at the end, or
 * none lies on that side of its integer: what is 0 stays 0, and no element is off by a whole step.
 */
static bool move_one(float *x, int8_t *q, size_t n, int by)
{
    size_t best = find_most(x, n, (float)by);
    if (q[best] * by >= OQ_KEPT_SUMS_QMAX)
        best = find_movable(x, q, n, by);
    if (best == n || (float)by * x[best] <= 0)
        return false;
    q[best] = (int8_t)(q[best] + by);
    x[best] -= (float)by;
    return true;
}

/* Four sums, as one would wait for itself. */
static float sum_up(const float *x, size_t n)
{
    float sums[4] = {0};
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (size_t k = 0; k < 4; k++)
            sums[k] += x[i + k];
    for (; i < n; i++)
        sums[0] += x[i];
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

/* What is left of the sum of a kernel of which `left` was. */
static float keep_kernel(float *x, int8_t *q, size_t n, float left)
{
    const int by = left > 0 ? 1 : -1;
    for (unsigned i = 0; i < MOST_STEPS && fabsf(left) > 0.5f && move_one(x, q, n, by); i++)
        left -= (float)by;
    return left;
}

static void keep_row(struct oq_kernel_row *row)
{
    float left = sum_up(row->rest, row->n_kernels);
    const int by = left > 0 ? 1 : -1;
    for (unsigned i = 0; i < MOST_STEPS && fabsf(left) > 0.5f; i++) {
        const size_t best = find_most(row->rest, row->n_kernels, (float)by);
        const size_t at = best * row->kernel;
        if (!move_one(row->x + at, row->q + at, row->kernel, by))
            return;
        row->rest[best] -= (float)by;
        left -= (float)by;
    }
}

void oq_round_keeping_sums(struct oq_kernel_row *row)
{
    const size_t kernel = row->kernel;
    oq_kernels_best()->round_run(row->x, row->n_kernels * kernel, OQ_KEPT_SUMS_QMAX, row->q);
    for (size_t i = 0; i < row->n_kernels; i++) {
        float *x = row->x + i * kernel, left = sum_up(x, kernel);
        bool keeps = row->keeps_kernels && kernel > 1;
        row->rest[i] = keeps ? keep_kernel(x, row->q + i * kernel, kernel, left) : left;
    }
    if (row->keeps_row && row->n_kernels > 1)
        keep_row(row);
}
