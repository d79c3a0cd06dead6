#include "quantize/pairs.h"

#include <string.h>

#include "base/checked.h"

struct oq_pairs oq_pairs_make(const int64_t *dims, size_t n_dims, int axis)
{
    size_t last = n_dims - 1;
    struct oq_pairs pairs = {.k = 1, .stride = 1};
    if ((size_t)axis == last)
        return (struct oq_pairs){.k = (uint64_t)dims[last - 1], .stride = (uint64_t)dims[last]};
    for (size_t i = (size_t)axis + 1; i < n_dims; i++)
        pairs.k *= (uint64_t)dims[i];
    return pairs;
}

uint64_t oq_pairs_unit(const struct oq_pairs *pairs, uint64_t nelem)
{
    uint64_t matrix = pairs->k * pairs->stride;
    bool rows_pair_up = pairs->stride > 1 && (pairs->k % 2 == 0 || nelem == matrix);
    return rows_pair_up ? 2 * pairs->stride : matrix;
}

/* Half of each, so that the sum of the largest floats is one. Written so that compilers vectorize.
 */
static inline float join(float a, float b)
{
    float sum = 0.5f * a + 0.5f * b;
    return (a < 0) == (b < 0) ? sum : 0;
}

static void join_rows(float *x, size_t rows, size_t stride)
{
    for (size_t r = 0; r + 1 < rows; r += 2, x += 2 * stride) {
        float *restrict a = x, *restrict b = x + stride;
        for (size_t i = 0; i < stride; i++)
            a[i] = join(a[i], b[i]);
        memset(b, 0, stride * sizeof(*b));
    }
    if (rows % 2 != 0)
        for (size_t i = 0; i < stride; i++)
            x[i] = 0;
}

void oq_pairs_join(const struct oq_pairs *pairs, uint64_t first, size_t n, float *x)
{
    while (n > 0) {
        uint64_t left = (pairs->k - first / pairs->stride % pairs->k) * pairs->stride;
        size_t count = (size_t)oq_min_u64(n, left);
        join_rows(x, count / (size_t)pairs->stride, (size_t)pairs->stride);
        x += count;
        n -= count;
        first += count;
    }
}
