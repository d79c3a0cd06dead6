/* The integers, scales and zero points of blocks, in any stretch. */
#include "quantize/numbers/block_walk.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "kernels/kernels.h"
#include "quantize/numbers/scale.h"

struct numbers {
    float scale[OQ_BLOCK_MAX_COLUMNS], zero_point[OQ_BLOCK_MAX_COLUMNS];
};

/* A stretch of a recipe's result, and what put_patch() does with a patch's numbers. */
struct block_writing {
    const struct oq_blocks *blocks;
    uint64_t first; /* byte of the output */
    size_t count;
    uint8_t *dst;
    float factor;
    void *scratch;
    onnxq_error *error;
    void (*put)(struct block_writing *writing, const struct oq_block_patch *patch,
                const struct numbers *numbers);
};

/* --- the numbers of a block --- */

static float find_scale(const struct oq_blocks *blocks, float lo, float hi)
{
    float scale = oq_block_own_scale(blocks, lo, hi);
    return oq_is_usable_scale(scale) ? scale : blocks->filler;
}

static float find_zero_point(const struct oq_blocks *blocks, float lo, float scale)
{
    if (blocks->choice.symmetric)
        return blocks->middle;
    float zero_point = rintf(blocks->qmin - fminf(lo, 0) / scale);
    return fminf(fmaxf(zero_point, blocks->qmin), blocks->qmax);
}

/* Halfway between neighbours of the sixteen values of NF4 (bitsandbytes), which MatMulBnb4 has. */
static const float nf4_limits[] = {
    -0.8480964004993439f,  -0.6106329262256622f,  -0.4599952697753906f,   -0.33967943489551544f,
    -0.23460740596055984f, -0.13791173323988914f, -0.045525018125772476f, 0.03979014977812767f,
    0.1202552504837513f,   0.2035212516784668f,   0.2920137718319893f,    0.3893125355243683f,
    0.5016634166240692f,   0.6427869200706482f,   0.8614784181118011f};

/* Element i has scale[i * step]. */
static void choose_nf4(const float *x, size_t n, const float *scale, size_t step, uint8_t *codes)
{
    for (size_t i = 0; i < n; i++) {
        float part = x[i] / scale[i * step];
        unsigned code = 0;
        for (size_t k = 0; k < sizeof(nf4_limits) / sizeof(nf4_limits[0]); k++)
            code += part > nf4_limits[k];
        codes[i] = (uint8_t)code;
    }
}

static void find_numbers(const struct oq_blocks *blocks, const struct oq_block_patch *patch,
                         struct numbers *numbers)
{
    int32_t lo[OQ_BLOCK_MAX_COLUMNS], hi[OQ_BLOCK_MAX_COLUMNS];
    oq_block_ranges(patch, lo, hi);
    for (size_t i = 0; i < patch->columns; i++) {
        float low = oq_key_to_float(lo[i]);
        numbers->scale[i] = find_scale(blocks, low, oq_key_to_float(hi[i]));
        numbers->zero_point[i] = find_zero_point(blocks, low, numbers->scale[i]);
    }
}

static void put_patch(void *context, const struct oq_block_patch *patch)
{
    struct block_writing *writing = context;
    struct numbers numbers;
    find_numbers(writing->blocks, patch, &numbers);
    writing->put(writing, patch, &numbers);
}

/* --- what is written of a patch --- */

/* Bytes [at, at + n) of the output, as far as they were asked for. */
static void put_bytes(struct block_writing *writing, uint64_t at, const void *bytes, size_t n)
{
    uint64_t begin = oq_max_u64(at, writing->first);
    uint64_t end = oq_min_u64(at + n, writing->first + writing->count);
    if (begin < end)
        memcpy(writing->dst + (begin - writing->first), (const char *)bytes + (begin - at),
               (size_t)(end - begin));
}

/* Two in a byte, the first in the low half but for NF4; the bytes were zeroed. */
static void put_halves(struct block_writing *writing, uint64_t at, const uint8_t *codes, size_t n)
{
    bool is_nf4 = writing->blocks->choice.bits == ONNXQ_BITS_NF4;
    uint64_t base = writing->first * 2, limit = base + (uint64_t)writing->count * 2;
    size_t i = at < base ? (size_t)oq_min_u64(n, base - at) : 0;
    size_t end = at >= limit ? 0 : (size_t)oq_min_u64(n, limit - at);
    for (; i < end && (at + i) % 2 != 0; i++)
        writing->dst[(at + i - base) / 2] |= (uint8_t)((codes[i] & 15) << (is_nf4 ? 0 : 4));
    uint8_t *dst = writing->dst + (i < end ? (at + i - base) / 2 : 0);
    unsigned even = is_nf4 ? 4 : 0, odd = 4 - even;
    for (; i + 2 <= end; i += 2)
        *dst++ = (uint8_t)((codes[i] & 15) << even | (codes[i + 1] & 15) << odd);
    if (i < end)
        *dst |= (uint8_t)((codes[i] & 15) << even);
}

static void put_codes(struct block_writing *writing, uint64_t at, const uint8_t *codes, size_t n)
{
    if (writing->blocks->choice.bits == ONNXQ_BITS_8)
        put_bytes(writing, at, codes, n);
    else
        put_halves(writing, at, codes, n);
}

/* The integers of a single block. */
static void quantize_run(const struct oq_blocks *blocks, const struct oq_block_patch *patch,
                         const struct numbers *numbers, uint8_t *codes)
{
    const struct oq_quantizer quantizer = {numbers->scale[0], numbers->zero_point[0], blocks->qmin,
                                           blocks->qmax};
    if (blocks->choice.bits == ONNXQ_BITS_NF4)
        choose_nf4(patch->x, patch->rows, numbers->scale, 0, codes);
    else
        oq_kernels_best()->quantize_run(patch->x, patch->rows, &quantizer, codes);
}

/* Those of row `row`. */
static void quantize_row(const struct oq_blocks *blocks, const struct oq_block_patch *patch,
                         size_t row, const struct numbers *numbers, uint8_t *codes)
{
    const float *x = patch->x + row * patch->columns;
    if (blocks->choice.bits == ONNXQ_BITS_NF4)
        choose_nf4(x, patch->columns, numbers->scale, 1, codes);
    else
        oq_kernels_best()->quantize_channels(x, patch->columns, numbers->scale, numbers->zero_point,
                                             blocks->qmin, blocks->qmax, codes);
}

/* The integers of column `column`, and what fills up its block. */
static void put_column(struct block_writing *writing, const struct oq_block_patch *patch,
                       size_t column, const struct numbers *numbers, uint8_t *codes)
{
    const struct oq_block_choice *choice = &writing->blocks->choice;
    size_t n = patch->rows;
    for (; choice->form == OQ_BLOCKS_PADDED && n < choice->size; n++)
        codes[n] = (uint8_t)(int)numbers->zero_point[column];
    put_codes(writing, patch->element + column * patch->column_step, codes, n);
}

/* Rows are quantized, columns lie in one piece in the output. */
static void put_turned(struct block_writing *writing, const struct oq_block_patch *patch,
                       const struct numbers *numbers)
{
    uint8_t *all = writing->scratch; /* what reading needed it for is over */
    uint8_t codes[OQ_BLOCK_MAX_NELEM];
    for (size_t r = 0; r < patch->rows; r++)
        quantize_row(writing->blocks, patch, r, numbers, all + r * patch->columns);
    for (size_t c = 0; c < patch->columns; c++) {
        for (size_t r = 0; r < patch->rows; r++)
            codes[r] = all[r * patch->columns + c];
        put_column(writing, patch, c, numbers, codes);
    }
}

static void put_integers(struct block_writing *writing, const struct oq_block_patch *patch,
                         const struct numbers *numbers)
{
    uint8_t codes[OQ_BLOCK_MAX_COLUMNS];
    if (patch->columns == 1 && patch->row_step == 1) {
        quantize_run(writing->blocks, patch, numbers, codes);
        put_column(writing, patch, 0, numbers, codes);
    } else if (patch->row_step == 1) {
        put_turned(writing, patch, numbers);
    } else {
        for (size_t r = 0; r < patch->rows; r++) {
            quantize_row(writing->blocks, patch, r, numbers, codes);
            put_codes(writing, patch->element + r * patch->row_step, codes, patch->columns);
        }
    }
}

static void put_scales(struct block_writing *writing, const struct oq_block_patch *patch,
                       const struct numbers *numbers)
{
    for (size_t i = 0; i < patch->columns; i++) {
        float scale = numbers->scale[i] * writing->factor;
        put_bytes(writing, (patch->scale + i * patch->scale_step) * sizeof(scale), &scale,
                  sizeof(scale));
    }
}

static void put_zero_points(struct block_writing *writing, const struct oq_block_patch *patch,
                            const struct numbers *numbers)
{
    for (size_t i = 0; i < patch->columns; i++) {
        uint8_t code = (uint8_t)(int)numbers->zero_point[i];
        put_codes(writing, patch->zero_point + i * patch->zero_point_step, &code, 1);
    }
}

/* --- which blocks that is --- */

/* A line of the output holds so many units of what a recipe makes, a whole block so many of them.
 */
struct units {
    uint64_t first, last; /* that the stretch touches */
    uint64_t line, block;
};

static struct oq_block_walk walk_of(struct block_writing *writing)
{
    return (struct oq_block_walk){writing->blocks, writing->scratch, writing->error, put_patch,
                                  writing};
}

static bool walk_units_in_lines(struct block_writing *writing, const struct units *units)
{
    const struct oq_block_walk walk = walk_of(writing);
    uint64_t n_blocks = writing->blocks->n_blocks;
    uint64_t line = units->first / units->line, last_line = units->last / units->line;
    uint64_t begin = 0, end = n_blocks;
    if (line == last_line) {
        begin = units->first % units->line / units->block;
        end = oq_min_u64(units->last % units->line / units->block + 1, n_blocks);
    }
    if (begin >= end) /* what fills up the last byte of a line belongs to no block */
        return true;
    if (writing->blocks->inner == 1)
        return oq_block_walk_lines(&walk, line, last_line + 1, begin, end);
    /* There is one outer index: these operators take matrices. */
    for (uint64_t block = begin; block < end; block++)
        if (!oq_block_walk_band(&walk, 0, block, line, last_line + 1))
            return false;
    return true;
}

static bool walk_units_in_bands(struct block_writing *writing, const struct units *units)
{
    const struct oq_block_walk walk = walk_of(writing);
    uint64_t inner = writing->blocks->inner, plane = units->line * inner;
    for (uint64_t at = units->first, next; at <= units->last; at = next) {
        uint64_t outer = at / plane, block = at % plane / (units->block * inner);
        uint64_t last = units->last, begin = 0, end = inner;
        next = outer * plane + oq_min_u64((block + 1) * units->block * inner, plane);
        last = oq_min_u64(last, next - 1);
        if (at / inner == last / inner) { /* within one row */
            begin = at % inner;
            end = last % inner + 1;
        }
        if (!oq_block_walk_band(&walk, outer, block, begin, end))
            return false;
    }
    return true;
}

static bool walk_units(struct block_writing *writing, const struct units *units)
{
    memset(writing->dst, 0, writing->count);
    if (writing->blocks->choice.form == OQ_BLOCKS_ORIGINAL && writing->blocks->inner > 1)
        return walk_units_in_bands(writing, units);
    return walk_units_in_lines(writing, units);
}

/* The units in a stretch of bytes; the last byte may have room for one more than there are. */
static void set_range(struct units *units, const struct block_writing *writing, unsigned per_byte)
{
    const struct oq_blocks *blocks = writing->blocks;
    uint64_t n = blocks->outer * blocks->inner * units->line;
    units->first = writing->first * per_byte;
    units->last = oq_min_u64((writing->first + writing->count) * per_byte, n) - 1;
}

/* --- recipes --- */

static struct block_writing make_writing(const struct oq_blocks *blocks, uint64_t first,
                                         size_t count, uint8_t *dst, void *scratch,
                                         onnxq_error *error)
{
    return (struct block_writing){.blocks = blocks,
                                  .first = first,
                                  .count = count,
                                  .dst = dst,
                                  .scratch = scratch,
                                  .error = error};
}

static bool produce_integers(const void *source, uint64_t first, size_t count, uint8_t *dst,
                             void *scratch, onnxq_error *error)
{
    const struct oq_blocks *blocks = source;
    struct block_writing writing = make_writing(blocks, first, count, dst, scratch, error);
    writing.put = put_integers;
    struct units units = {.line = blocks->line_nelem, .block = blocks->choice.size};
    set_range(&units, &writing, oq_blocks_per_byte(blocks));
    return walk_units(&writing, &units);
}

static bool produce_scales(const void *source, uint64_t first, size_t count, uint8_t *dst,
                           void *scratch, onnxq_error *error)
{
    const struct oq_block_scales *scales = source;
    struct block_writing writing = make_writing(scales->blocks, first, count, dst, scratch, error);
    writing.put = put_scales;
    writing.factor = scales->factor;
    const struct units units = {.first = first / sizeof(float),
                                .last = (first + count - 1) / sizeof(float),
                                .line = scales->blocks->n_blocks,
                                .block = 1};
    return walk_units(&writing, &units);
}

static bool produce_zero_points(const void *source, uint64_t first, size_t count, uint8_t *dst,
                                void *scratch, onnxq_error *error)
{
    const struct oq_blocks *blocks = source;
    struct block_writing writing = make_writing(blocks, first, count, dst, scratch, error);
    writing.put = put_zero_points;
    struct units units = {.line = blocks->line_zero_nelem, .block = 1};
    set_range(&units, &writing, oq_blocks_per_byte(blocks));
    return walk_units(&writing, &units);
}

struct oq_recipe oq_blocks_integers(const struct oq_blocks *blocks)
{
    return (struct oq_recipe){oq_blocks_integers_nbytes(blocks), produce_integers, blocks};
}

struct oq_recipe oq_blocks_scales(const struct oq_block_scales *scales)
{
    return (struct oq_recipe){scales->blocks->n_scales * sizeof(float), produce_scales, scales};
}

struct oq_recipe oq_blocks_zero_points(const struct oq_blocks *blocks)
{
    return (struct oq_recipe){oq_blocks_zero_points_nbytes(blocks), produce_zero_points, blocks};
}
