/*
 * Rounding that keeps sums. What a kernel adds to a result is its sum times the mean of what it
 * looks at, and then the rest: activations of neighbouring places are alike, and behind a Relu
 * none is negative. Rounding each element to the nearest integer leaves a sum that is off by
 * half a step times the root of their number; here those that lie nearest to the middle between
 * two integers go to the other one, until it is off by half a step at most.
 */
#ifndef OQ_QUANTIZE_NUMBERS_KEPT_SUMS_H
#define OQ_QUANTIZE_NUMBERS_KEPT_SUMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Integers go from -OQ_KEPT_SUMS_QMAX to it. */
#define OQ_KEPT_SUMS_QMAX 127

/* Kernels that are summed up to one result. */
struct oq_kernel_row {
    size_t n_kernels, kernel; /* elements of each */
    bool keeps_kernels;       /* the sum of each, */
    bool keeps_row;           /* and that over all kernels */
    float *x;                 /* [n_kernels * kernel] in steps; then what is left of each */
    float *rest;              /* [n_kernels] that is left of their sums */
    int8_t *q;                /* [n_kernels * kernel] the integers */
};

void oq_round_keeping_sums(struct oq_kernel_row *row);

#endif
