/*
 * Integers of 4 bits in blocks that are chosen with activations in mind: a product sums over the
 * inputs of a weight, so that what rounding one of its rows has changed can be taken back, in part,
 * by how the next ones are rounded. The ways are compared on activations that were held back, and
 * the one with the least error of the product is taken.
 *
 * Source: Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
 * Transformers", 2023 (arXiv:2210.17323), as rounding to the nearest plane: with the sums of
 * products of activations H = L' L, the error |L d|^2 of differences d is made small row by row.
 */
#ifndef OQ_QUANTIZE_NUMBERS_GPTQ_H
#define OQ_QUANTIZE_NUMBERS_GPTQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum oq_rounding_way {
    OQ_ROUND_NEAREST, /* the scale covers the block, each number is rounded by itself */
    OQ_ROUND_FITTED,  /* the same with the scale that suits weighted squares best */
    OQ_ROUND_GPTQ     /* rows take over what rounding has changed */
};

struct oq_rounding_problem {
    size_t n_inputs, n_outputs, block_size; /* block_size <= 256 */
    bool symmetric;
    const float *weight; /* [n_inputs, n_outputs], finite */
    /* Sums of products of activations, [n_inputs, n_inputs], of which the lower half is used. */
    const float *seen, *held;
};

/* w = (code - zero_point) * scale, blocks go along the inputs. */
struct oq_rounded_blocks {
    enum oq_rounding_way way;
    double left;         /* error on what was held back, as a part of that of OQ_ROUND_NEAREST */
    uint8_t *codes;      /* [n_inputs, n_outputs], 0 to 15 */
    float *scale;        /* [blocks, n_outputs] */
    uint8_t *zero_point; /* [blocks, n_outputs] */
};

static inline size_t oq_rounding_n_blocks(const struct oq_rounding_problem *problem)
{
    return (problem->n_inputs + problem->block_size - 1) / problem->block_size;
}

/* sums += x' x of rows [rows, n], at most so many; the lower half of [n, n]. */
#define OQ_PRODUCTS_AT_ONCE ((size_t)64)
void oq_add_products(float *sums, const float *x, size_t rows, size_t n);

/*
 * Makes H = L' L of the lower half of H [n, n], in place, where `damping` times the mean of its
 * diagonal is added to that. False where there is no such L.
 */
bool oq_factor_products(float *h, size_t n, float damping);

/* False when memory is out; release `rounded` in either case. */
bool oq_round_blocks(const struct oq_rounding_problem *problem, struct oq_rounded_blocks *rounded);
void oq_rounded_blocks_fini(struct oq_rounded_blocks *rounded);

#endif
