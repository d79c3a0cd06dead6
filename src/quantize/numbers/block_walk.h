/*
 * Reads a weight's blocks: those of a stretch of lines, or of columns where
 * lines lie side by side, are handed on as patches of floats. The measuring
 * (block_measure.c) and the recipes (block_recipes.c) look at each patch.
 */
#ifndef OQ_QUANTIZE_NUMBERS_BLOCK_WALK_H
#define OQ_QUANTIZE_NUMBERS_BLOCK_WALK_H

#include "quantize/numbers/blocks.h"

/* Largest block, and how many that lie side by side are done at once. */
#define OQ_BLOCK_MAX_NELEM   256
#define OQ_BLOCK_MAX_COLUMNS 2048

/* `columns` blocks of `rows` elements side by side; a single one lies in one piece. */
struct oq_block_patch {
    float *x; /* [rows, columns], of the scratch: it may be changed */
    size_t rows, columns;
    uint64_t element;               /* number of its first integer in the output */
    uint64_t row_step, column_step; /* from there to the next ones; one of them is 1 */
    uint64_t scale, scale_step;     /* number of its first scale, and to that of the next column */
    uint64_t zero_point, zero_point_step;
};

struct oq_block_walk {
    const struct oq_blocks *blocks;
    void *
        scratch; /* of OQ_RECIPE_SCRATCH_NBYTES; what reading needs of it is free again in handle */
    onnxq_error *error;
    void (*handle)(void *context, const struct oq_block_patch *patch);
    void *context;
};

/* Blocks [begin, end) of lines [line, line_end): all of them where there is more than one line. */
bool oq_block_walk_lines(const struct oq_block_walk *walk, uint64_t line, uint64_t line_end,
                         uint64_t begin, uint64_t end);

/* Columns [begin, end) of block number `block` of outer index `outer`. */
bool oq_block_walk_band(const struct oq_block_walk *walk, uint64_t outer, uint64_t block,
                        uint64_t begin, uint64_t end);

/* Keys of the range of each of the patch's blocks. */
void oq_block_ranges(const struct oq_block_patch *patch, int32_t *lo, int32_t *hi);

/* The scale that numbers from lo to hi ask for, usable or not. */
float oq_block_own_scale(const struct oq_blocks *blocks, float lo, float hi);

/* Sizes of two of the recipes. */
uint64_t oq_blocks_integers_nbytes(const struct oq_blocks *blocks);
uint64_t oq_blocks_zero_points_nbytes(const struct oq_blocks *blocks);

#endif
