/*
 * What the library must compute, in the plainest way: element by element, by
 * multi-index, with the C library's rounding. Not a line of it is shared with
 * the code that is tested.
 */
#ifndef SUPPORT_REFERENCE_H
#define SUPPORT_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Number of the scale of element `index`: one for each index along `axis`, and
 * for each index of the first `batch_axes` axes; axis -1: number 0.
 */
uint64_t reference_scale_of(const int64_t *dims, size_t n_dims, int axis, size_t batch_axes,
                            uint64_t index);

/* clamp(rint(x / scale) + zero_point, qmin, qmax); x is finite. */
int reference_quantize(float x, float scale, int zero_point, int qmin, int qmax);

/*
 * The integers of a row of kernels, x in steps: rounded to the nearest, then those moved to the
 * next one that are nearest to it, the first of several, until the sum of each kernel (of more
 * than one element), then that of the row, is off by half a step at most.
 */
void reference_keep_sums(const float *x, size_t n_kernels, size_t kernel, bool keeps_kernels,
                         bool keeps_row, int *q);

/* largest |x| / steps, or 1 where that is no normal number */
float reference_symmetric_scale(const float *x, size_t n, float steps);

/* Bit pattern of binary16, as a double. */
double reference_half(uint16_t bits);

#endif
