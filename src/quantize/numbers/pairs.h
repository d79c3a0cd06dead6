/*
 * Neighbours along the axis over which an integer product sums.
 *
 * x86 processors without VNNI multiply u8 x s8 with VPMADDUBSW, which adds the
 * products of elements 2i and 2i+1 in 16 bits and saturates. 255 * 128 fits, so
 * that results are exact where no two neighbours of the same sign exceed 128 in
 * sum. (Shown with ONNX Runtime on an emulated Haswell, docs/decisions.md.)
 */
#ifndef OQ_QUANTIZE_NUMBERS_PAIRS_H
#define OQ_QUANTIZE_NUMBERS_PAIRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Largest sum of two neighbours of the same sign. */
#define OQ_PAIR_SUM 128

/* A weight as [.., k, stride] elements: the neighbours are at a distance of stride. */
struct oq_pairs {
    uint64_t k, stride;
};

/* `axis` is that of the channels: [.., k, n], or [.., n, k..] where all that follows is summed. */
struct oq_pairs oq_pairs_make(const int64_t *dims, size_t n_dims, int axis);

/*
 * Elements that must be read together, so that no pair is cut: a stretch that
 * starts at a multiple of it and ends at one, or with the weight.
 */
uint64_t oq_pairs_unit(const struct oq_pairs *pairs, uint64_t nelem);

/*
 * Replaces the elements [first, first + n) of a weight, which begin and end as
 * oq_pairs_unit() says: the first of two neighbours of one sign by half their
 * sum, all others by 0.
 */
void oq_pairs_join(const struct oq_pairs *pairs, uint64_t first, size_t n, float *x);

#endif
