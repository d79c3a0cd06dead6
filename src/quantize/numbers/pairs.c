/* Sums of neighbours. */
#include "quantize/numbers/pairs.h"

#include <string.h>

#include "base/checked.h"
#include "kernels/kernels.h"

struct oq_pairs oq_pairs_make(const int64_t *dims, size_t n_dims, int axis)
{
    size_t last = n_dims - 1;
    if ((size_t)axis == last)
        return (struct oq_pairs){.k = (uint64_t)dims[last - 1], .stride = (uint64_t)dims[last]};
    return (struct oq_pairs){.k = oq_nelem(dims, (size_t)axis + 1, n_dims), .stride = 1};
}

uint64_t oq_pairs_unit(const struct oq_pairs *pairs, uint64_t nelem)
{
    uint64_t matrix = pairs->k * pairs->stride;
    bool rows_pair_up = pairs->stride > 1 && (pairs->k % 2 == 0 || nelem == matrix);
    return rows_pair_up ? 2 * pairs->stride : matrix;
}

static void join_rows(float *x, size_t rows, size_t stride)
{
    const struct oq_kernels *kernels = oq_kernels_best();
    size_t paired = rows - rows % 2;
    if (stride == 1)
        kernels->join_neighbours(x, paired);
    for (size_t r = 0; stride > 1 && r < paired; r += 2) {
        kernels->join(x + r * stride, x + (r + 1) * stride, stride);
        memset(x + (r + 1) * stride, 0, stride * sizeof(*x));
    }
    memset(x + paired * stride, 0, (rows - paired) * stride * sizeof(*x));
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
