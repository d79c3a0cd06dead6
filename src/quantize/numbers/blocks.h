/*
 * Weights in blocks: each block of elements that lie one behind the other along
 * an axis has a scale of its own. There are as many scales as an eighth of the
 * weight, so they are never in memory: integers, scales and zero points are
 * three recipes, and each computes the scales it needs from the floats.
 *
 * A weight is seen as [outer, length, inner] with blocks along length; a line
 * is what lies along length. The last block of a line may be shorter.
 */
#ifndef OQ_QUANTIZE_NUMBERS_BLOCKS_H
#define OQ_QUANTIZE_NUMBERS_BLOCKS_H

#include "edit/draft.h"
#include "model/source.h"
#include "quantize/numbers/imported.h"

/* How the integers lie in the output. */
enum oq_block_form {
    OQ_BLOCKS_NONE,
    OQ_BLOCKS_PADDED,  /* [lines, blocks, block size], lines padded to whole blocks: MatMulNBits */
    OQ_BLOCKS_LINES,   /* [lines, length]: GatherBlockQuantized */
    OQ_BLOCKS_FLAT,    /* [lines * length]: MatMulBnb4 */
    OQ_BLOCKS_ORIGINAL /* as the weight lies: DequantizeLinear */
};

struct oq_block_choice {
    enum oq_block_form form;
    int axis; /* along which blocks go */
    onnxq_bits bits;
    uint64_t size; /* elements of a block */
    bool symmetric;
    bool is_unsigned; /* of OQ_BLOCKS_ORIGINAL; the operators of com.microsoft take no other */
    const struct oq_import *import; /* whose integers they are, in OQ_BLOCKS_PADDED; NULL: ours */
};

struct oq_blocks {
    const struct oq_source *source;
    struct oq_block_choice choice;
    uint64_t outer, length, inner;
    uint64_t flat_columns; /* OQ_BLOCKS_FLAT, one line: columns of the matrix that it goes down */
    uint64_t n_blocks;     /* of a line */
    uint64_t n_scales;     /* of all lines */
    uint64_t line_nelem;   /* integers that a line takes */
    uint64_t line_zero_nelem; /* zero points that a line takes */
    float qmin, qmax, middle;
    int lift;             /* numbers times 2^lift are ordinary, where some are; see plan.h */
    float filler;         /* the scale of blocks that have none of their own, once it is known */
    bool has_zero_points; /* the operator does not know them by itself */
};

/* Integers in a byte of the output. */
static inline unsigned oq_blocks_per_byte(const struct oq_blocks *blocks)
{
    if (blocks->choice.import != NULL)
        return 8 / blocks->choice.import->numbers.module->bits;
    return blocks->choice.bits == ONNXQ_BITS_8 ? 1 : 2;
}

void oq_blocks_init(struct oq_blocks *blocks, const struct oq_source *source,
                    const struct oq_block_choice *choice);

/* The size of all three recipes together. */
uint64_t oq_blocks_nbytes(const struct oq_blocks *blocks);

/* --- measuring: scales are not kept, but what has to be known of all of them is found once --- */

struct oq_blocks_found {
    int32_t lo, hi;              /* keys of all elements */
    float finest, largest;       /* scales: the smallest usable one, the largest one */
    double worst_bits;           /* oq_bits_left() of the worst block, */
    double sum_bits, n_ordinary; /* and of all ordinary elements together, */
    double n_lost;               /* some of them in blocks of which most is lost */
    bool has_unscaled;           /* blocks, not of zeros, that are too small for a scale */
};

struct oq_blocks_found oq_blocks_found_none(void);
void oq_blocks_found_add(struct oq_blocks_found *found, const struct oq_blocks_found *more);

/* A weight is measured in parts; so many from number `first` on make a piece of work. */
uint64_t oq_blocks_n_parts(const struct oq_blocks *blocks);
uint64_t oq_blocks_piece(const struct oq_blocks *blocks, uint64_t first);
uint64_t oq_blocks_part_nelem(const struct oq_blocks *blocks);

/* scratch of OQ_RECIPE_SCRATCH_NBYTES. */
bool oq_blocks_measure(const struct oq_blocks *blocks, uint64_t first, uint64_t n, void *scratch,
                       struct oq_blocks_found *found, onnxq_error *error);

/* Scales times a factor. */
struct oq_block_scales {
    const struct oq_blocks *blocks;
    float factor;
};

/* The sources have to outlive the recipes. */
struct oq_recipe oq_blocks_integers(const struct oq_blocks *blocks);
struct oq_recipe oq_blocks_scales(const struct oq_block_scales *scales); /* float32 */
struct oq_recipe oq_blocks_zero_points(const struct oq_blocks *blocks);

/* Integers of 4 bits, two in a byte, the first in the low half. dst may be codes. */
void oq_pack_4_bits(const uint8_t *codes, size_t n, uint8_t *dst);

#endif
