/*
 * Scales that hold: normal float32 numbers, with which no integer comes back as
 * anything infinite.
 */
#ifndef OQ_QUANTIZE_NUMBERS_SCALE_H
#define OQ_QUANTIZE_NUMBERS_SCALE_H

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of a weight of nothing but zeros: as little as float32 tells beside 1. */
#define OQ_SCALE_OF_ZEROS FLT_EPSILON

/* A channel of zeros, or of denormals only, has none of its own. */
static inline bool oq_is_usable_scale(float scale)
{
    return fabsf(scale) >= FLT_MIN;
}

/* Numbers other than 0 of which nothing is left: the scale of their own is none. */
static inline bool oq_is_unscaled(float scale, float low, float high)
{
    return !oq_is_usable_scale(scale) && (low != 0 || high != 0);
}

/* They are below this, whatever the number of steps. */
#define OQ_UNSCALED_MAX (255 * FLT_MIN)

/*
 * The channels that have none get the finest scale of the others: engines round
 * what they add up, and a large scale of zeros would drown the rest in that.
 */
void oq_fill_scales(float *scale, uint64_t n);

/* The largest number of a TensorProto.DataType, as far as weights are read: to float32. */
float oq_largest_of_type(int32_t data_type);

/* What 127 steps have to reach: the largest number, or half of what lies between both ends. */
static inline float oq_reach(float low, float high, bool symmetric)
{
    return symmetric ? fmaxf(-low, high) : fmaxf(high, 0) / 2 - fminf(low, 0) / 2;
}

/*
 * How many bits of a step of 1/127 of `largest` a typical number has that is one of `count`
 * ordinary ones with so many octaves above OQ_ORDINARY_MIN together: 0 where it is about a step,
 * less where it is rounded away. INFINITY where there is nothing to lose.
 */
double oq_bits_left(float largest, uint64_t count, uint64_t octaves);

/* The key of the largest number beside which a typical one keeps 0 bits. */
int32_t oq_largest_with_bits(uint64_t count, uint64_t octaves);

/*
 * Where there are many channels' rows, or blocks, such a part of them tells what is typical. (A
 * prime number, as structure in weights rarely has.)
 */
#define OQ_SAMPLE_STEP ((size_t)7)

/* Of a channel or block of which less is left, most is lost. */
#define OQ_LEAST_BITS (-2.0)

/* The scale, or the next smaller one with which `reach` steps are at most `largest`. */
float oq_finite_scale(float scale, float reach, float largest);

/* `full` steps from low to high, 0 included and exact, no integer beyond `largest`. */
float oq_asymmetric_scale(double low, double high, float full, float largest);

/* x times 2^lift, in place. */
void oq_lift(float *x, size_t n, int lift);

#endif
