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
