/* Integers, scales and zero points of a checkpoint in the layout of MatMulNBits, in any stretch. */
#include "quantize/numbers/imported.h"

#include <string.h>

#include "base/checked.h"
#include "quantize/numbers/block_walk.h"

/* A rectangle that is turned at once: columns of the checkpoint are lines of the output. */
#define TILE_COLUMNS ((size_t)512)
#define TILE_ROWS    ((size_t)512)
_Static_assert(TILE_COLUMNS <= OQ_UNPACK_MAX_COLUMNS, "a tile is read row by row");
_Static_assert(TILE_COLUMNS *TILE_ROWS * sizeof(float) <= OQ_RECIPE_SCRATCH_NBYTES,
               "a tile of numbers fits the scratch");

/* As large as groups allow; where there is one group, as usual. */
#define BLOCK_OF_ONE_GROUP 128
#define LEAST_BLOCK        16

uint64_t oq_import_block_size(const struct oq_module *module)
{
    uint64_t size = OQ_BLOCK_MAX_NELEM;
    if (module->n_groups == 1)
        return BLOCK_OF_ONE_GROUP;
    while (size > 1 && module->group_size % size != 0)
        size /= 2;
    return size < LEAST_BLOCK ? 0 : size;
}

/* The stretch that is asked for, of lines of so many units: integers, zero points or scales. */
struct import_writing {
    const struct oq_import *import;
    uint64_t n_units, line_nbytes;
    unsigned unit_nbits;
    float factor;
    uint64_t first; /* byte of the output */
    size_t count;
    uint8_t *dst;
    void *scratch;
    onnxq_error *error;
};

/* Columns [column, column + n), and of each of them units [unit, unit + n_units). */
struct import_tile {
    uint64_t column, unit;
    size_t n, n_units;
};

typedef bool (*put_tile)(const struct import_writing *writing, const struct import_tile *tile);

/* Units of a tile's column number `i`, as far as they were asked for. */
static void put_bytes(const struct import_writing *writing, const struct import_tile *tile,
                      size_t i, const void *bytes, size_t n)
{
    const uint64_t at =
        (tile->column + i) * writing->line_nbytes + tile->unit * writing->unit_nbits / 8;
    const uint64_t begin = oq_max_u64(at, writing->first);
    const uint64_t end = oq_min_u64(at + n, writing->first + writing->count);
    if (begin < end)
        memcpy(writing->dst + (begin - writing->first), (const char *)bytes + (begin - at),
               (size_t)(end - begin));
}

/* Integers of 2, 4 or 8 bits, at most TILE_ROWS; the first of a byte has its lowest ones. */
static void put_codes(const struct import_writing *writing, const struct import_tile *tile,
                      size_t i, const uint8_t *codes)
{
    uint8_t bytes[TILE_ROWS] = {0};
    const unsigned bits = writing->unit_nbits;
    const size_t per_byte = 8 / bits;
    for (size_t k = 0; k < tile->n_units; k++)
        bytes[k / per_byte] |= (uint8_t)(codes[k] << (bits * (k % per_byte)));
    put_bytes(writing, tile, i, bytes, (tile->n_units + per_byte - 1) / per_byte);
}

/* All tiles that the stretch touches; tiles begin where bytes do. */
static bool walk_tiles(const struct import_writing *writing, put_tile put)
{
    const uint64_t line = writing->first / writing->line_nbytes;
    const uint64_t end = (writing->first + writing->count - 1) / writing->line_nbytes + 1;
    uint64_t first = 0, last = writing->n_units;
    if (end - line == 1) {
        const uint64_t at = writing->first % writing->line_nbytes;
        first = at * 8 / writing->unit_nbits;
        last = oq_min_u64(last, oq_divide_up_u64((at + writing->count) * 8, writing->unit_nbits));
    }
    for (uint64_t column = line; column < end; column += TILE_COLUMNS)
        for (uint64_t unit = first; unit < last; unit += TILE_ROWS) {
            const struct import_tile tile = {.column = column,
                                             .unit = unit,
                                             .n = (size_t)oq_min_u64(end - column, TILE_COLUMNS),
                                             .n_units = (size_t)oq_min_u64(last - unit, TILE_ROWS)};
            if (!put(writing, &tile))
                return false;
        }
    return true;
}

/* --- integers --- */

/* What fills up the last block of a line stands for 0. */
static bool put_integers(const struct import_writing *writing, const struct import_tile *tile)
{
    const struct oq_unpack *numbers = &writing->import->numbers;
    const struct oq_module *module = numbers->module;
    const size_t n_rows = tile->unit >= module->rows
                              ? 0
                              : (size_t)oq_min_u64(tile->n_units, module->rows - tile->unit);
    uint8_t *codes = writing->scratch, zeros[TILE_COLUMNS] = {0}, column[TILE_ROWS];
    if (!oq_unpack_codes(numbers, tile->unit, n_rows, tile->column, tile->n, codes,
                         writing->error) ||
        (n_rows < tile->n_units && !oq_unpack_zeros(numbers, module->n_groups - 1, tile->column,
                                                    tile->n, zeros, writing->error)))
        return false;
    for (size_t i = 0; i < tile->n; i++) {
        for (size_t k = 0; k < tile->n_units; k++)
            column[k] = k < n_rows ? codes[k * tile->n + i] : zeros[i];
        put_codes(writing, tile, i, column);
    }
    return true;
}

/* --- what blocks share --- */

/* The groups of the tile's blocks: at most as many. */
struct group_range {
    uint64_t first;
    size_t n;
};

static struct group_range groups_of(const struct import_writing *writing,
                                    const struct import_tile *tile)
{
    const uint64_t first = oq_import_group(writing->import, tile->unit);
    const uint64_t last = oq_import_group(writing->import, tile->unit + tile->n_units - 1);
    return (struct group_range){first, (size_t)(last - first + 1)};
}

static bool put_zero_points(const struct import_writing *writing, const struct import_tile *tile)
{
    const struct group_range groups = groups_of(writing, tile);
    uint8_t *zeros = writing->scratch, column[TILE_ROWS];
    for (size_t g = 0; g < groups.n; g++)
        if (!oq_unpack_zeros(&writing->import->numbers, groups.first + g, tile->column, tile->n,
                             zeros + g * tile->n, writing->error))
            return false;
    for (size_t i = 0; i < tile->n; i++) {
        for (size_t k = 0; k < tile->n_units; k++) {
            const uint64_t group = oq_import_group(writing->import, tile->unit + k);
            column[k] = zeros[(group - groups.first) * tile->n + i];
        }
        put_codes(writing, tile, i, column);
    }
    return true;
}

static bool put_scales(const struct import_writing *writing, const struct import_tile *tile)
{
    const struct group_range groups = groups_of(writing, tile);
    float *scales = writing->scratch, column[TILE_ROWS];
    for (size_t g = 0; g < groups.n; g++)
        if (!oq_unpack_scales(&writing->import->numbers, groups.first + g, tile->column, tile->n,
                              scales + g * tile->n, writing->error))
            return false;
    for (size_t i = 0; i < tile->n; i++) {
        for (size_t k = 0; k < tile->n_units; k++) {
            const uint64_t group = oq_import_group(writing->import, tile->unit + k);
            column[k] = scales[(group - groups.first) * tile->n + i] * writing->factor;
        }
        put_bytes(writing, tile, i, column, tile->n_units * sizeof(*column));
    }
    return true;
}

/* --- recipes --- */

/* The units of a line, of unit_nbits each. */
static struct import_writing writing_of(const struct oq_blocks *blocks, uint64_t n_units,
                                        uint64_t line_nelem, unsigned unit_nbits)
{
    return (struct import_writing){.import = blocks->choice.import,
                                   .n_units = n_units,
                                   .line_nbytes = line_nelem * unit_nbits / 8,
                                   .unit_nbits = unit_nbits};
}

/* From `first` on, `count` bytes. */
static bool write_some(struct import_writing *writing, put_tile put, uint64_t first, size_t count,
                       uint8_t *dst, void *scratch, onnxq_error *error)
{
    writing->first = first;
    writing->count = count;
    writing->dst = dst;
    writing->scratch = scratch;
    writing->error = error;
    return count == 0 || walk_tiles(writing, put);
}

static bool produce_integers(const void *source, uint64_t first, size_t count, uint8_t *dst,
                             void *scratch, onnxq_error *error)
{
    const struct oq_blocks *blocks = source;
    struct import_writing writing = writing_of(blocks, blocks->line_nelem, blocks->line_nelem,
                                               blocks->choice.import->numbers.module->bits);
    return write_some(&writing, put_integers, first, count, dst, scratch, error);
}

static bool produce_zero_points(const void *source, uint64_t first, size_t count, uint8_t *dst,
                                void *scratch, onnxq_error *error)
{
    const struct oq_blocks *blocks = source;
    struct import_writing writing = writing_of(blocks, blocks->n_blocks, blocks->line_zero_nelem,
                                               blocks->choice.import->numbers.module->bits);
    return write_some(&writing, put_zero_points, first, count, dst, scratch, error);
}

static bool produce_scales(const void *source, uint64_t first, size_t count, uint8_t *dst,
                           void *scratch, onnxq_error *error)
{
    const struct oq_block_scales *scales = source;
    const struct oq_blocks *blocks = scales->blocks;
    struct import_writing writing =
        writing_of(blocks, blocks->n_blocks, blocks->n_blocks, 8 * sizeof(float));
    writing.factor = scales->factor;
    return write_some(&writing, put_scales, first, count, dst, scratch, error);
}

struct oq_recipe oq_import_integers(const struct oq_blocks *blocks)
{
    return (struct oq_recipe){oq_blocks_integers_nbytes(blocks), produce_integers, blocks};
}

struct oq_recipe oq_import_zero_points(const struct oq_blocks *blocks)
{
    return (struct oq_recipe){oq_blocks_zero_points_nbytes(blocks), produce_zero_points, blocks};
}

struct oq_recipe oq_import_scales(const struct oq_block_scales *scales)
{
    return (struct oq_recipe){scales->blocks->n_scales * sizeof(float), produce_scales, scales};
}
