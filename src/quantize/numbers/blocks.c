/* Measures blocks, and gives their integers, scales and zero points in any stretch. */
#include "quantize/numbers/blocks.h"

#include <math.h>

#include "base/checked.h"
#include "kernels/kernels.h"
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

static uint64_t integers_nbytes(const struct oq_blocks *blocks)
{
    return oq_divide_up_u64(blocks->outer * blocks->inner * blocks->line_nelem,
                            oq_blocks_per_byte(blocks));
}

static uint64_t zero_points_nbytes(const struct oq_blocks *blocks)
{
    return oq_divide_up_u64(blocks->outer * blocks->inner * blocks->line_zero_nelem,
                            oq_blocks_per_byte(blocks));
}

uint64_t oq_blocks_nbytes(const struct oq_blocks *blocks)
{
    return integers_nbytes(blocks) + blocks->n_scales * sizeof(float) +
           (blocks->has_zero_points ? zero_points_nbytes(blocks) : 0);
}

/* --- the numbers of a block --- */

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

static float find_own_scale(const struct oq_blocks *blocks, float lo, float hi)
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

static float find_scale(const struct oq_blocks *blocks, float lo, float hi)
{
    float scale = find_own_scale(blocks, lo, hi);
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

/* --- walking over the blocks of a stretch of the output --- */

/* Largest block, and how many that lie side by side are done at once. */
#define MAX_BLOCK   256
#define MAX_COLUMNS 2048

/* `columns` blocks of `rows` elements side by side; a single one lies in one piece. */
struct patch {
    const float *x; /* [rows, columns] */
    size_t rows, columns;
    uint64_t element;               /* number of its first integer in the output */
    uint64_t row_step, column_step; /* from there to the next ones; one of them is 1 */
    uint64_t scale, scale_step;     /* number of its first scale, and to that of the next column */
    uint64_t zero_point, zero_point_step;
};

struct numbers {
    float scale[MAX_COLUMNS], zero_point[MAX_COLUMNS];
};

struct walk {
    const struct oq_blocks *blocks;
    uint64_t first; /* byte of the output */
    size_t count;
    uint8_t *dst;
    float factor;
    void *scratch;
    onnxq_error *error;
    void (*handle)(struct walk *walk, const struct patch *patch);
    /* for measure_patch(): what it finds, whose turn it is to be looked into, */
    struct oq_blocks_found *found;
    uint64_t turn;
    uint64_t n_ordinary, octaves; /* the ordinary numbers of what was, */
    int32_t limit;                /* and the key of the largest number that is usual beside them */
    /* what put_patch() does with a patch's numbers */
    void (*put)(struct walk *walk, const struct patch *patch, const struct numbers *numbers);
};

static void find_ranges(const struct patch *patch, int32_t *lo, int32_t *hi)
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

static void find_numbers(const struct oq_blocks *blocks, const struct patch *patch,
                         struct numbers *numbers)
{
    int32_t lo[MAX_COLUMNS], hi[MAX_COLUMNS];
    find_ranges(patch, lo, hi);
    for (size_t i = 0; i < patch->columns; i++) {
        float low = oq_key_to_float(lo[i]);
        numbers->scale[i] = find_scale(blocks, low, oq_key_to_float(hi[i]));
        numbers->zero_point[i] = find_zero_point(blocks, low, numbers->scale[i]);
    }
}

static void put_patch(struct walk *walk, const struct patch *patch)
{
    struct numbers numbers;
    find_numbers(walk->blocks, patch, &numbers);
    walk->put(walk, patch, &numbers);
}

/* Bytes [at, at + n) of the output, as far as they were asked for. */
static void put_bytes(struct walk *walk, uint64_t at, const void *bytes, size_t n)
{
    uint64_t begin = oq_max_u64(at, walk->first);
    uint64_t end = oq_min_u64(at + n, walk->first + walk->count);
    if (begin < end)
        memcpy(walk->dst + (begin - walk->first), (const char *)bytes + (begin - at),
               (size_t)(end - begin));
}

/* Two in a byte, the first in the low half but for NF4; the bytes were zeroed. */
static void put_halves(struct walk *walk, uint64_t at, const uint8_t *codes, size_t n)
{
    bool is_nf4 = walk->blocks->choice.bits == ONNXQ_BITS_NF4;
    uint64_t base = walk->first * 2, limit = base + (uint64_t)walk->count * 2;
    size_t i = at < base ? (size_t)oq_min_u64(n, base - at) : 0;
    size_t end = at >= limit ? 0 : (size_t)oq_min_u64(n, limit - at);
    for (; i < end && (at + i) % 2 != 0; i++)
        walk->dst[(at + i - base) / 2] |= (uint8_t)((codes[i] & 15) << (is_nf4 ? 0 : 4));
    uint8_t *dst = walk->dst + (i < end ? (at + i - base) / 2 : 0);
    unsigned even = is_nf4 ? 4 : 0, odd = 4 - even;
    for (; i + 2 <= end; i += 2)
        *dst++ = (uint8_t)((codes[i] & 15) << even | (codes[i + 1] & 15) << odd);
    if (i < end)
        *dst |= (uint8_t)((codes[i] & 15) << even);
}

static void put_codes(struct walk *walk, uint64_t at, const uint8_t *codes, size_t n)
{
    if (walk->blocks->choice.bits == ONNXQ_BITS_8)
        put_bytes(walk, at, codes, n);
    else
        put_halves(walk, at, codes, n);
}

/* The integers of a single block. */
static void quantize_run(const struct oq_blocks *blocks, const struct patch *patch,
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
static void quantize_row(const struct oq_blocks *blocks, const struct patch *patch, size_t row,
                         const struct numbers *numbers, uint8_t *codes)
{
    const float *x = patch->x + row * patch->columns;
    if (blocks->choice.bits == ONNXQ_BITS_NF4)
        choose_nf4(x, patch->columns, numbers->scale, 1, codes);
    else
        oq_kernels_best()->quantize_channels(x, patch->columns, numbers->scale, numbers->zero_point,
                                             blocks->qmin, blocks->qmax, codes);
}

/* The integers of column `column`, and what fills up its block. */
static void put_column(struct walk *walk, const struct patch *patch, size_t column,
                       const struct numbers *numbers, uint8_t *codes)
{
    const struct oq_block_choice *choice = &walk->blocks->choice;
    size_t n = patch->rows;
    for (; choice->form == OQ_BLOCKS_PADDED && n < choice->size; n++)
        codes[n] = (uint8_t)(int)numbers->zero_point[column];
    put_codes(walk, patch->element + column * patch->column_step, codes, n);
}

/* Rows are quantized, columns lie in one piece in the output. */
static void put_turned(struct walk *walk, const struct patch *patch, const struct numbers *numbers)
{
    uint8_t *all = walk->scratch,
            codes[MAX_BLOCK]; /* what reading needed the scratch for is over */
    for (size_t r = 0; r < patch->rows; r++)
        quantize_row(walk->blocks, patch, r, numbers, all + r * patch->columns);
    for (size_t c = 0; c < patch->columns; c++) {
        for (size_t r = 0; r < patch->rows; r++)
            codes[r] = all[r * patch->columns + c];
        put_column(walk, patch, c, numbers, codes);
    }
}

static void put_integers(struct walk *walk, const struct patch *patch,
                         const struct numbers *numbers)
{
    uint8_t codes[MAX_COLUMNS];
    if (patch->columns == 1 && patch->row_step == 1) {
        quantize_run(walk->blocks, patch, numbers, codes);
        put_column(walk, patch, 0, numbers, codes);
    } else if (patch->row_step == 1) {
        put_turned(walk, patch, numbers);
    } else {
        for (size_t r = 0; r < patch->rows; r++) {
            quantize_row(walk->blocks, patch, r, numbers, codes);
            put_codes(walk, patch->element + r * patch->row_step, codes, patch->columns);
        }
    }
}

static void put_scales(struct walk *walk, const struct patch *patch, const struct numbers *numbers)
{
    for (size_t i = 0; i < patch->columns; i++) {
        float scale = numbers->scale[i] * walk->factor;
        put_bytes(walk, (patch->scale + i * patch->scale_step) * sizeof(scale), &scale,
                  sizeof(scale));
    }
}

static void put_zero_points(struct walk *walk, const struct patch *patch,
                            const struct numbers *numbers)
{
    for (size_t i = 0; i < patch->columns; i++) {
        uint8_t code = (uint8_t)(int)numbers->zero_point[i];
        put_codes(walk, patch->zero_point + i * patch->zero_point_step, &code, 1);
    }
}

/* --- lines that lie in one piece --- */

/* Tiles are shorter where a line goes down columns: there is room for a row's piece. */
#define TILE_OF_COLUMNS (OQ_READ_MAX_NELEM / 2)

struct tile {
    uint64_t line, n_lines; /* one, or lines as a whole */
    uint64_t k, ks;         /* first element of each line, and how many */
};

/* A tile that goes down column after column, which has a piece in every row. */
static const float *read_columns(const struct walk *walk, const struct tile *tile)
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
static const float *read_tile(const struct walk *walk, const struct tile *tile)
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

static bool walk_tile(struct walk *walk, const struct tile *tile)
{
    const struct oq_blocks *blocks = walk->blocks;
    uint64_t size = blocks->choice.size;
    const float *x = read_tile(walk, tile);
    for (uint64_t i = 0; x != NULL && i < tile->n_lines; i++) {
        for (uint64_t k = 0; k < tile->ks; k += size) {
            uint64_t line = tile->line + i, block = (tile->k + k) / size;
            const struct patch patch = {
                .x = x + i * tile->ks + k,
                .rows = (size_t)oq_min_u64(size, tile->ks - k),
                .columns = 1,
                .row_step = 1,
                .element = line * blocks->line_nelem + block * size,
                .scale = line * blocks->n_blocks + block,
                .zero_point = line * blocks->line_zero_nelem + block,
            };
            walk->handle(walk, &patch);
        }
    }
    return x != NULL;
}

/* Blocks [begin, end) of lines [line, line_end): all of them where there is more than one line. */
static bool walk_lines(struct walk *walk, uint64_t line, uint64_t line_end, uint64_t begin,
                       uint64_t end)
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
static struct patch make_patch(const struct oq_blocks *blocks, uint64_t outer, uint64_t block,
                               uint64_t column)
{
    uint64_t line = outer * blocks->inner + column;
    if (blocks->choice.form == OQ_BLOCKS_ORIGINAL) {
        uint64_t row = outer * blocks->length + block * blocks->choice.size;
        uint64_t scale = (outer * blocks->n_blocks + block) * blocks->inner + column;
        return (struct patch){.element = row * blocks->inner + column,
                              .row_step = blocks->inner,
                              .column_step = 1,
                              .scale = scale,
                              .scale_step = 1,
                              .zero_point = scale,
                              .zero_point_step = 1};
    }
    return (struct patch){.element = line * blocks->line_nelem + block * blocks->choice.size,
                          .row_step = 1,
                          .column_step = blocks->line_nelem,
                          .scale = line * blocks->n_blocks + block,
                          .scale_step = blocks->n_blocks,
                          .zero_point = line * blocks->line_zero_nelem + block,
                          .zero_point_step = blocks->line_zero_nelem};
}

/* Columns [begin, end) of block number `block` of outer index `outer`. */
static bool walk_band(struct walk *walk, uint64_t outer, uint64_t block, uint64_t begin,
                      uint64_t end)
{
    const struct oq_blocks *blocks = walk->blocks;
    uint64_t size = blocks->choice.size, rows = oq_min_u64(size, blocks->length - block * size);
    uint64_t first = (outer * blocks->length + block * size) * blocks->inner;
    uint64_t widest = oq_min_u64(OQ_READ_MAX_NELEM / rows, MAX_COLUMNS);
    float *x = oq_recipe_floats(walk->scratch);
    for (uint64_t i = begin, n; i < end; i += n) {
        n = oq_min_u64(end - i, widest);
        bool whole = n == blocks->inner;
        for (uint64_t r = 0; r < (whole ? 1 : rows); r++)
            if (!oq_source_read_floats(blocks->source, first + r * blocks->inner + i,
                                       (size_t)(whole ? n * rows : n), x + r * n, walk->scratch,
                                       walk->error))
                return false;
        struct patch patch = make_patch(blocks, outer, block, i);
        patch.x = x;
        patch.rows = (size_t)rows;
        patch.columns = (size_t)n;
        walk->handle(walk, &patch);
    }
    return true;
}

/* --- measuring --- */

struct oq_blocks_found oq_blocks_found_none(void)
{
    return (struct oq_blocks_found){
        .lo = OQ_KEY_NONE_LO, .hi = OQ_KEY_NONE_HI, .finest = INFINITY, .worst_bits = INFINITY};
}

void oq_blocks_found_add(struct oq_blocks_found *found, const struct oq_blocks_found *more)
{
    found->lo = more->lo < found->lo ? more->lo : found->lo;
    found->hi = more->hi > found->hi ? more->hi : found->hi;
    found->finest = fminf(found->finest, more->finest);
    found->largest = fmaxf(found->largest, more->largest);
    found->worst_bits = fmin(found->worst_bits, more->worst_bits);
    found->sum_bits += more->sum_bits;
    found->n_ordinary += more->n_ordinary;
    found->n_lost += more->n_lost;
    found->has_unscaled |= more->has_unscaled;
}

/* The key of the largest number of a block, of either sign; 0 where there is none. */
static int32_t size_of(int32_t lo, int32_t hi)
{
    int32_t below = lo < 0 ? ~lo : 0, above = hi > 0 ? hi : 0;
    return below > above ? below : above;
}

/* False where the scale is not usable. */
static bool note_scale(const struct walk *walk, float low, float high)
{
    struct oq_blocks_found *found = walk->found;
    float scale = fabsf(find_own_scale(walk->blocks, low, high));
    bool is_usable = oq_is_usable_scale(scale);
    found->finest = is_usable ? fminf(found->finest, scale) : found->finest;
    found->largest = fmaxf(found->largest, scale);
    found->has_unscaled |= oq_is_unscaled(scale, low, high);
    return is_usable;
}

/* Scales that grow with the largest number, of whatever sign: the least and the most tell. */
static bool goes_by_size(const struct oq_blocks *blocks)
{
    const struct oq_block_choice *choice = &blocks->choice;
    return choice->symmetric &&
           (choice->form != OQ_BLOCKS_ORIGINAL || choice->bits == ONNXQ_BITS_8);
}

static void note_ranges(const struct walk *walk, size_t n, const int32_t *lo, const int32_t *hi)
{
    struct oq_blocks_found *found = walk->found;
    int32_t least = INT32_MAX, most = 0, lowest = found->lo, highest = found->hi;
    for (size_t i = 0; i < n; i++) {
        int32_t size = size_of(lo[i], hi[i]);
        least = size < least ? size : least;
        most = size > most ? size : most;
        lowest = lo[i] < lowest ? lo[i] : lowest;
        highest = hi[i] > highest ? hi[i] : highest;
    }
    found->lo = lowest;
    found->hi = highest;
    float finest = oq_key_to_float(least), coarsest = oq_key_to_float(most);
    if (n > 1 && goes_by_size(walk->blocks) && note_scale(walk, -finest, finest)) {
        note_scale(walk, -coarsest, coarsest);
        return;
    }
    for (size_t i = 0; i < n; i++)
        note_scale(walk, oq_key_to_float(lo[i]), oq_key_to_float(hi[i]));
}

/* Below, all blocks of a weight are looked into. */
#define MANY_BLOCKS 512

struct levels {
    int32_t counts[MAX_COLUMNS], octaves[MAX_COLUMNS];
};

static void take_levels(const struct patch *patch, size_t first, size_t n, struct levels *levels)
{
    const struct oq_kernels *kernels = oq_kernels_best();
    memset(levels->counts, 0, n * sizeof(levels->counts[0]));
    memset(levels->octaves, 0, n * sizeof(levels->octaves[0]));
    if (patch->columns == 1)
        kernels->level_run(patch->x, patch->rows, levels->counts, levels->octaves);
    else
        kernels->level_columns(patch->x + first, patch->rows, n, patch->columns, levels->counts,
                               levels->octaves);
}

/* A block that stands for so many. */
static void add_block(const struct walk *walk, int32_t lo, int32_t hi, int32_t count,
                      int32_t octaves, size_t weight)
{
    struct oq_blocks_found *found = walk->found;
    float low = oq_key_to_float(lo), high = oq_key_to_float(hi);
    double n = (double)count * (double)weight;
    if (count == 0)
        return;
    double bits = oq_bits_left(oq_reach(low, high, walk->blocks->choice.symmetric), (uint64_t)count,
                               (uint64_t)octaves);
    found->worst_bits = fmin(found->worst_bits, bits);
    found->n_ordinary += n;
    found->sum_bits += bits * n;
    found->n_lost += bits < OQ_LEAST_BITS ? n : 0;
}

/* Looks into blocks that stand for all; such as are out of the way stand for themselves. */
static void look_into_some(struct walk *walk, const struct patch *patch, size_t first, size_t n,
                           const int32_t *lo, const int32_t *hi, size_t weight)
{
    struct levels levels;
    take_levels(patch, first, n, &levels);
    for (size_t i = 0; i < n; i++) {
        walk->n_ordinary += (uint64_t)levels.counts[i];
        walk->octaves += (uint64_t)levels.octaves[i];
    }
    if (walk->n_ordinary > 0)
        walk->limit = oq_largest_with_bits(walk->n_ordinary, walk->octaves);
    for (size_t i = 0; i < n; i++) {
        bool is_usual = size_of(lo[first + i], hi[first + i]) <= walk->limit;
        add_block(walk, lo[first + i], hi[first + i], levels.counts[i], levels.octaves[i],
                  is_usual ? weight : 1);
    }
}

static void look_into_unusual(const struct walk *walk, const struct patch *patch, size_t first,
                              size_t end, const int32_t *lo, const int32_t *hi)
{
    struct levels levels;
    for (size_t i = first; i < end; i++) {
        if (size_of(lo[i], hi[i]) <= walk->limit)
            continue;
        take_levels(patch, i, 1, &levels);
        add_block(walk, lo[i], hi[i], levels.counts[0], levels.octaves[0], 1);
    }
}

/*
 * The range of every block is taken. What is typical, some tell as well as all: of many, one
 * out of OQ_SAMPLE_STEP is looked into - and each that has a number so large that a typical one
 * of those would be rounded away beside it.
 */
static void measure_patch(struct walk *walk, const struct patch *patch)
{
    int32_t lo[MAX_COLUMNS], hi[MAX_COLUMNS];
    const size_t step = walk->blocks->n_scales < MANY_BLOCKS ? 1 : OQ_SAMPLE_STEP;
    const size_t turn = walk->turn++ % step;
    size_t n = patch->columns / step, first = turn * n;
    if (patch->columns < step)
        n = turn == 0 ? patch->columns : 0;
    find_ranges(patch, lo, hi);
    note_ranges(walk, patch->columns, lo, hi);
    if (n > 0)
        look_into_some(walk, patch, first, n, lo, hi, step);
    look_into_unusual(walk, patch, 0, first, lo, hi);
    look_into_unusual(walk, patch, first + n, patch->columns, lo, hi);
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

bool oq_blocks_measure(const struct oq_blocks *blocks, uint64_t first, uint64_t n, void *scratch,
                       struct oq_blocks_found *found, onnxq_error *error)
{
    struct walk walk = {.blocks = blocks,
                        .scratch = scratch,
                        .error = error,
                        .handle = measure_patch,
                        .found = found,
                        .turn = first};
    const uint64_t n_blocks = blocks->n_blocks, line = first / n_blocks, at = first % n_blocks;
    if (blocks->inner == 1)
        return n < n_blocks ? walk_lines(&walk, line, line + 1, at, at + n)
                            : walk_lines(&walk, line, line + n / n_blocks, 0, n_blocks);
    for (uint64_t i = first; i < first + n; i++)
        if (!walk_band(&walk, i / n_blocks, i % n_blocks, 0, blocks->inner))
            return false;
    return true;
}

/* --- recipes --- */

/* A line of the output holds so many units of what a recipe makes, a whole block so many of them.
 */
struct units {
    uint64_t first, last; /* that the stretch touches */
    uint64_t line, block;
};

static bool walk_units_in_lines(struct walk *walk, const struct units *units)
{
    uint64_t n_blocks = walk->blocks->n_blocks;
    uint64_t line = units->first / units->line, last_line = units->last / units->line;
    uint64_t begin = 0, end = n_blocks;
    if (line == last_line) {
        begin = units->first % units->line / units->block;
        end = oq_min_u64(units->last % units->line / units->block + 1, n_blocks);
    }
    if (begin >= end) /* what fills up the last byte of a line belongs to no block */
        return true;
    if (walk->blocks->inner == 1)
        return walk_lines(walk, line, last_line + 1, begin, end);
    /* There is one outer index: these operators take matrices. */
    for (uint64_t block = begin; block < end; block++)
        if (!walk_band(walk, 0, block, line, last_line + 1))
            return false;
    return true;
}

static bool walk_units_in_bands(struct walk *walk, const struct units *units)
{
    uint64_t inner = walk->blocks->inner, plane = units->line * inner;
    for (uint64_t at = units->first, next; at <= units->last; at = next) {
        uint64_t outer = at / plane, block = at % plane / (units->block * inner);
        uint64_t last = units->last, begin = 0, end = inner;
        next = outer * plane + oq_min_u64((block + 1) * units->block * inner, plane);
        last = oq_min_u64(last, next - 1);
        if (at / inner == last / inner) { /* within one row */
            begin = at % inner;
            end = last % inner + 1;
        }
        if (!walk_band(walk, outer, block, begin, end))
            return false;
    }
    return true;
}

static bool walk_units(struct walk *walk, const struct units *units)
{
    memset(walk->dst, 0, walk->count);
    if (walk->blocks->choice.form == OQ_BLOCKS_ORIGINAL && walk->blocks->inner > 1)
        return walk_units_in_bands(walk, units);
    return walk_units_in_lines(walk, units);
}

/* The units in a stretch of bytes; the last byte may have room for one more than there are. */
static void set_range(struct units *units, const struct walk *walk, unsigned per_byte)
{
    const struct oq_blocks *blocks = walk->blocks;
    uint64_t n = blocks->outer * blocks->inner * units->line;
    units->first = walk->first * per_byte;
    units->last = oq_min_u64((walk->first + walk->count) * per_byte, n) - 1;
}

static struct walk make_walk(const struct oq_blocks *blocks, uint64_t first, size_t count,
                             uint8_t *dst, void *scratch, onnxq_error *error)
{
    return (struct walk){.blocks = blocks,
                         .first = first,
                         .count = count,
                         .dst = dst,
                         .scratch = scratch,
                         .error = error,
                         .handle = put_patch};
}

static bool produce_integers(const void *source, uint64_t first, size_t count, uint8_t *dst,
                             void *scratch, onnxq_error *error)
{
    const struct oq_blocks *blocks = source;
    struct walk walk = make_walk(blocks, first, count, dst, scratch, error);
    walk.put = put_integers;
    struct units units = {.line = blocks->line_nelem, .block = blocks->choice.size};
    set_range(&units, &walk, oq_blocks_per_byte(blocks));
    return walk_units(&walk, &units);
}

static bool produce_scales(const void *source, uint64_t first, size_t count, uint8_t *dst,
                           void *scratch, onnxq_error *error)
{
    const struct oq_block_scales *scales = source;
    struct walk walk = make_walk(scales->blocks, first, count, dst, scratch, error);
    walk.put = put_scales;
    walk.factor = scales->factor;
    const struct units units = {.first = first / sizeof(float),
                                .last = (first + count - 1) / sizeof(float),
                                .line = scales->blocks->n_blocks,
                                .block = 1};
    return walk_units(&walk, &units);
}

static bool produce_zero_points(const void *source, uint64_t first, size_t count, uint8_t *dst,
                                void *scratch, onnxq_error *error)
{
    const struct oq_blocks *blocks = source;
    struct walk walk = make_walk(blocks, first, count, dst, scratch, error);
    walk.put = put_zero_points;
    struct units units = {.line = blocks->line_zero_nelem, .block = 1};
    set_range(&units, &walk, oq_blocks_per_byte(blocks));
    return walk_units(&walk, &units);
}

struct oq_recipe oq_blocks_integers(const struct oq_blocks *blocks)
{
    return (struct oq_recipe){integers_nbytes(blocks), produce_integers, blocks};
}

struct oq_recipe oq_blocks_scales(const struct oq_block_scales *scales)
{
    return (struct oq_recipe){scales->blocks->n_scales * sizeof(float), produce_scales, scales};
}

struct oq_recipe oq_blocks_zero_points(const struct oq_blocks *blocks)
{
    return (struct oq_recipe){zero_points_nbytes(blocks), produce_zero_points, blocks};
}

void oq_pack_4_bits(const uint8_t *codes, size_t n, uint8_t *dst)
{
    for (size_t i = 0; i + 1 < n; i += 2)
        dst[i / 2] = (uint8_t)((codes[i] & 15) | codes[i + 1] << 4);
    if (n % 2 != 0)
        dst[n / 2] = codes[n - 1] & 15;
}

/* Bytes [first, first + count) of integers that lie two in a byte. */
