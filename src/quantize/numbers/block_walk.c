/* Goes over the blocks of a weight, piece by piece as they are read. */
#include "quantize/numbers/block_walk.h"

#include "base/checked.h"
#include "kernels/kernels.h"

void oq_block_ranges(const struct oq_block_patch *patch, int32_t *lo, int32_t *hi)
{
    const struct oq_kernels *kernels = oq_kernels_best();
    for (size_t i = 0; i < patch->columns; i++) {
        lo[i] = OQ_KEY_NONE_LO;
        hi[i] = OQ_KEY_NONE_HI;
    }
    if (patch->columns == 1)
        kernels->range_run(patch->x, patch->rows, lo, hi);
    else
        kernels->range_columns(patch->x, patch->rows, patch->columns, patch->columns, lo, hi);
}

/* --- lines that lie in one piece --- */

/* Tiles are shorter where a line goes down columns: there is room for a row's piece. */
#define TILE_OF_COLUMNS (OQ_READ_MAX_NELEM / 2)

struct tile {
    uint64_t line, n_lines; /* one, or lines as a whole */
    uint64_t k, ks;         /* first element of each line, and how many */
};

/* A tile that goes down column after column, which has a piece in every row. */
static float *read_columns(const struct oq_block_walk *walk, const struct tile *tile)
{
    const struct oq_source *source = walk->blocks->source;
    uint64_t columns = walk->blocks->flat_columns, rows = source->nelem / columns;
    uint64_t first = tile->k / rows, n = (tile->k + tile->ks - 1) / rows - first + 1;
    float *x = oq_recipe_floats(walk->scratch), *piece = x + TILE_OF_COLUMNS;
    for (uint64_t r = 0; r < rows; r++) {
        if (!oq_source_read_floats(source, r * columns + first, (size_t)n, piece, walk->scratch,
                                   walk->error))
            return NULL;
        for (uint64_t c = 0; c < n; c++) {
            uint64_t at = (first + c) * rows + r;
            if (at >= tile->k && at - tile->k < tile->ks)
                x[at - tile->k] = piece[c];
        }
    }
    return x;
}

/* The tile as [n_lines, ks], or NULL with an error. */
static float *read_tile(const struct oq_block_walk *walk, const struct tile *tile)
{
    const struct oq_blocks *blocks = walk->blocks;
    float *x = oq_recipe_floats(walk->scratch);
    if (blocks->flat_columns > 1)
        return read_columns(walk, tile);
    return oq_source_read_floats(blocks->source, tile->line * blocks->length + tile->k,
                                 (size_t)(tile->n_lines * tile->ks), x, walk->scratch, walk->error)
               ? x
               : NULL;
}

static bool walk_tile(const struct oq_block_walk *walk, const struct tile *tile)
{
    const struct oq_blocks *blocks = walk->blocks;
    uint64_t size = blocks->choice.size;
    float *x = read_tile(walk, tile);
    for (uint64_t i = 0; x != NULL && i < tile->n_lines; i++) {
        for (uint64_t k = 0; k < tile->ks; k += size) {
            uint64_t line = tile->line + i, block = (tile->k + k) / size;
            const struct oq_block_patch patch = {
                .x = x + i * tile->ks + k,
                .rows = (size_t)oq_min_u64(size, tile->ks - k),
                .columns = 1,
                .row_step = 1,
                .element = line * blocks->line_nelem + block * size,
                .scale = line * blocks->n_blocks + block,
                .zero_point = line * blocks->line_zero_nelem + block,
            };
            walk->handle(walk->context, &patch);
        }
    }
    return x != NULL;
}

bool oq_block_walk_lines(const struct oq_block_walk *walk, uint64_t line, uint64_t line_end,
                         uint64_t begin, uint64_t end)
{
    const struct oq_blocks *blocks = walk->blocks;
    uint64_t size = blocks->choice.size, stop = oq_min_u64(end * size, blocks->length);
    uint64_t longest = blocks->flat_columns > 1 ? TILE_OF_COLUMNS : OQ_READ_MAX_NELEM;
    for (struct tile tile = {.line = line}; tile.line < line_end; tile.line += tile.n_lines) {
        tile.ks = oq_min_u64(longest, stop - begin * size);
        tile.n_lines = oq_min_u64(longest / tile.ks, line_end - tile.line);
        for (tile.k = begin * size; tile.k < stop; tile.k += tile.ks) {
            tile.ks = oq_min_u64(tile.ks, stop - tile.k);
            if (!walk_tile(walk, &tile))
                return false;
        }
    }
    return true;
}

/* --- lines that lie side by side --- */

/* Where the numbers of a patch go that begins at column `column` of a block. */
static struct oq_block_patch make_patch(const struct oq_blocks *blocks, uint64_t outer,
                                        uint64_t block, uint64_t column)
{
    uint64_t line = outer * blocks->inner + column;
    if (blocks->choice.form == OQ_BLOCKS_ORIGINAL) {
        uint64_t row = outer * blocks->length + block * blocks->choice.size;
        uint64_t scale = (outer * blocks->n_blocks + block) * blocks->inner + column;
        return (struct oq_block_patch){.element = row * blocks->inner + column,
                                       .row_step = blocks->inner,
                                       .column_step = 1,
                                       .scale = scale,
                                       .scale_step = 1,
                                       .zero_point = scale,
                                       .zero_point_step = 1};
    }
    return (struct oq_block_patch){.element =
                                       line * blocks->line_nelem + block * blocks->choice.size,
                                   .row_step = 1,
                                   .column_step = blocks->line_nelem,
                                   .scale = line * blocks->n_blocks + block,
                                   .scale_step = blocks->n_blocks,
                                   .zero_point = line * blocks->line_zero_nelem + block,
                                   .zero_point_step = blocks->line_zero_nelem};
}

bool oq_block_walk_band(const struct oq_block_walk *walk, uint64_t outer, uint64_t block,
                        uint64_t begin, uint64_t end)
{
    const struct oq_blocks *blocks = walk->blocks;
    uint64_t size = blocks->choice.size, rows = oq_min_u64(size, blocks->length - block * size);
    uint64_t first = (outer * blocks->length + block * size) * blocks->inner;
    uint64_t widest = oq_min_u64(OQ_READ_MAX_NELEM / rows, OQ_BLOCK_MAX_COLUMNS);
    float *x = oq_recipe_floats(walk->scratch);
    for (uint64_t i = begin, n; i < end; i += n) {
        n = oq_min_u64(end - i, widest);
        bool whole = n == blocks->inner;
        for (uint64_t r = 0; r < (whole ? 1 : rows); r++)
            if (!oq_source_read_floats(blocks->source, first + r * blocks->inner + i,
                                       (size_t)(whole ? n * rows : n), x + r * n, walk->scratch,
                                       walk->error))
                return false;
        struct oq_block_patch patch = make_patch(blocks, outer, block, i);
        patch.x = x;
        patch.rows = (size_t)rows;
        patch.columns = (size_t)n;
        walk->handle(walk->context, &patch);
    }
    return true;
}
