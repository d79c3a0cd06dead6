/* Weights in blocks: how many there are and where they lie, and the scale of one. */
#include "quantize/numbers/block_walk.h"

#include <math.h>

#include "base/checked.h"
#include "quantize/numbers/scale.h"

/* --- layout --- */

static void set_limits(struct oq_blocks *blocks)
{
    const struct oq_block_choice *choice = &blocks->choice;
    float half = choice->bits == ONNXQ_BITS_8 ? 128 : 8;
    blocks->middle = choice->is_unsigned ? half : 0;
    blocks->qmin = blocks->middle - half;
    blocks->qmax = blocks->middle + half - 1;
    /* 8 bits: -128 would be worth less than 1 % of the error, and nobody else stores it. */
    if (choice->symmetric && choice->bits == ONNXQ_BITS_8)
        blocks->qmin++;
}

void oq_blocks_init(struct oq_blocks *blocks, const struct oq_source *source,
                    const struct oq_block_choice *choice)
{
    size_t axis = (size_t)choice->axis;
    bool original = choice->form == OQ_BLOCKS_ORIGINAL;
    *blocks = (struct oq_blocks){.source = source,
                                 .choice = *choice,
                                 .outer = oq_nelem(source->dims, 0, axis),
                                 .length = (uint64_t)source->dims[axis],
                                 .inner = oq_nelem(source->dims, axis + 1, source->n_dims)};
    bool whole = blocks->length % choice->size == 0;
    if (choice->form == OQ_BLOCKS_FLAT && !whole) { /* blocks go on in the next line */
        blocks->flat_columns = blocks->inner;
        blocks->length = source->nelem;
        blocks->outer = blocks->inner = 1;
    }
    blocks->n_blocks = oq_divide_up_u64(blocks->length, choice->size);
    blocks->n_scales = blocks->outer * blocks->inner * blocks->n_blocks;
    blocks->line_nelem =
        choice->form == OQ_BLOCKS_PADDED ? blocks->n_blocks * choice->size : blocks->length;
    blocks->line_zero_nelem =
        original ? blocks->n_blocks : oq_align_u64(blocks->n_blocks, oq_blocks_per_byte(blocks));
    blocks->choice.is_unsigned = !original || choice->is_unsigned;
    blocks->has_zero_points =
        !choice->symmetric || (original && choice->is_unsigned); /* others know the middle */
    set_limits(blocks);
}

uint64_t oq_blocks_integers_nbytes(const struct oq_blocks *blocks)
{
    return oq_divide_up_u64(blocks->outer * blocks->inner * blocks->line_nelem,
                            oq_blocks_per_byte(blocks));
}

uint64_t oq_blocks_zero_points_nbytes(const struct oq_blocks *blocks)
{
    return oq_divide_up_u64(blocks->outer * blocks->inner * blocks->line_zero_nelem,
                            oq_blocks_per_byte(blocks));
}

uint64_t oq_blocks_nbytes(const struct oq_blocks *blocks)
{
    return oq_blocks_integers_nbytes(blocks) + blocks->n_scales * sizeof(float) +
           (blocks->has_zero_points ? oq_blocks_zero_points_nbytes(blocks) : 0);
}

/* A part is a block; where lines lie side by side, one of each line. */
uint64_t oq_blocks_n_parts(const struct oq_blocks *blocks)
{
    return blocks->outer * blocks->n_blocks;
}

uint64_t oq_blocks_part_nelem(const struct oq_blocks *blocks)
{
    return oq_min_u64(blocks->choice.size, blocks->length) * blocks->inner;
}

/* Whole lines, or the rest of one. */
uint64_t oq_blocks_piece(const struct oq_blocks *blocks, uint64_t first)
{
    const uint64_t most = oq_max_u64(OQ_READ_MAX_NELEM / 2 / oq_blocks_part_nelem(blocks), 1);
    const uint64_t n = blocks->n_blocks;
    if (most >= n && first % n == 0)
        return oq_min_u64(most / n * n, oq_blocks_n_parts(blocks) - first);
    return oq_min_u64(most, n - first % n);
}

/* --- the scale of a block --- */

/*
 * Four symmetric bits reach from -8 to 7. The operators of com.microsoft get a
 * scale of either sign, with which the largest element becomes -8: the step is
 * the smallest that there is. DequantizeLinear gets a positive one, as not
 * every engine takes others.
 */
static float symmetric_scale_of_4_bits(const struct oq_blocks *blocks, float lo, float hi)
{
    if (blocks->choice.form == OQ_BLOCKS_ORIGINAL)
        return fmaxf(lo / -8, hi / 7);
    return (-lo >= hi ? lo : hi) / -8;
}

float oq_block_own_scale(const struct oq_blocks *blocks, float lo, float hi)
{
    const float most = oq_largest_of_type(blocks->source->data_type);
    if (blocks->choice.bits == ONNXQ_BITS_NF4)
        return fmaxf(-lo, hi);
    if (!blocks->choice.symmetric)
        return oq_asymmetric_scale((double)lo, (double)hi, blocks->qmax - blocks->qmin, most);
    if (blocks->choice.bits == ONNXQ_BITS_8)
        return oq_finite_scale(fmaxf(-lo, hi) / 127, 127, most);
    return oq_finite_scale(symmetric_scale_of_4_bits(blocks, lo, hi), 8, most);
}

/* --- two in a byte --- */

void oq_pack_4_bits(const uint8_t *codes, size_t n, uint8_t *dst)
{
    for (size_t i = 0; i + 1 < n; i += 2)
        dst[i / 2] = (uint8_t)((codes[i] & 15) | codes[i + 1] << 4);
    if (n % 2 != 0)
        dst[n / 2] = codes[n - 1] & 15;
}
