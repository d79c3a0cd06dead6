#include "support/reference.h"

#include <float.h>
#include <math.h>

uint64_t reference_scale_of(const int64_t *dims, size_t n_dims, int axis, size_t batch_axes,
                            uint64_t index)
{
    uint64_t along[8], scale = 0;
    if (axis < 0)
        return 0;
    for (size_t i = n_dims; i-- > 0;) {
        along[i] = index % (uint64_t)dims[i];
        index /= (uint64_t)dims[i];
    }
    for (size_t i = 0; i < batch_axes; i++)
        scale = scale * (uint64_t)dims[i] + along[i];
    return scale * (uint64_t)dims[axis] + along[axis];
}

int reference_quantize(float x, float scale, int zero_point, int qmin, int qmax)
{
    /* The quotient is rounded to float first, as in ONNX; it may pass the range of int. */
    double q = rint((double)(float)(x / scale)) + zero_point;
    return (int)fmin(fmax(q, qmin), qmax);
}

/* What is left of the sum of elements [from, to). */
static double left_of(const float *x, const int *q, size_t from, size_t to)
{
    double left = 0;
    for (size_t i = from; i < to; i++)
        left += fmin(fmax((double)x[i], -127), 127) - q[i];
    return left;
}

/* The first of those of which most is left, in that direction. */
static size_t most_left(const float *x, const int *q, size_t from, size_t to, int by)
{
    size_t best = from;
    for (size_t i = from; i < to; i++)
        if (by * left_of(x, q, i, i + 1) > by * left_of(x, q, best, best + 1))
            best = i;
    return best;
}

void reference_keep_sums(const float *x, size_t n_kernels, size_t kernel, bool keeps_kernels,
                         bool keeps_row, int *q)
{
    const size_t n = n_kernels * kernel;
    for (size_t i = 0; i < n; i++)
        q[i] = (int)rint(fmin(fmax((double)x[i], -127), 127));
    for (size_t from = 0; keeps_kernels && kernel > 1 && from < n; from += kernel) {
        int by = left_of(x, q, from, from + kernel) > 0 ? 1 : -1;
        while (fabs(left_of(x, q, from, from + kernel)) > 0.5)
            q[most_left(x, q, from, from + kernel, by)] += by;
    }
    int by = left_of(x, q, 0, n) > 0 ? 1 : -1;
    while (keeps_row && n_kernels > 1 && fabs(left_of(x, q, 0, n)) > 0.5) {
        size_t best = 0; /* the kernel */
        for (size_t i = 1; i < n_kernels; i++)
            if ((float)(by * left_of(x, q, i * kernel, (i + 1) * kernel)) >
                (float)(by * left_of(x, q, best * kernel, (best + 1) * kernel)))
                best = i;
        q[most_left(x, q, best * kernel, (best + 1) * kernel, by)] += by;
    }
}

float reference_symmetric_scale(const float *x, size_t n, float steps)
{
    float largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = fmaxf(largest, fabsf(x[i]));
    float scale = largest / steps;
    return scale < FLT_MIN ? FLT_EPSILON : scale;
}

double reference_half(uint16_t bits)
{
    double sign = bits >> 15 ? -1 : 1;
    int exponent = bits >> 10 & 31, mantissa = bits & 1023;
    if (exponent == 31)
        return mantissa != 0 ? NAN : sign * INFINITY;
    if (exponent == 0)
        return sign * ldexp(mantissa, -24);
    return sign * ldexp(1024 + mantissa, exponent - 25);
}
