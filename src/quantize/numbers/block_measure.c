/* What is found out about blocks: ranges of all of them, and what rounding leaves of some. */
#include "quantize/numbers/block_walk.h"

#include <math.h>
#include <string.h>

#include "kernels/kernels.h"
#include "quantize/numbers/scale.h"

struct block_measuring {
    const struct oq_blocks *blocks;
    struct oq_blocks_found *found;
    uint64_t turn;                /* whose it is to be looked into; */
    uint64_t n_ordinary, octaves; /* the ordinary numbers of what was, */
    int32_t limit;                /* and the key of the largest number that is usual beside them */
};

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
static bool note_scale(const struct block_measuring *measuring, float low, float high)
{
    struct oq_blocks_found *found = measuring->found;
    float scale = fabsf(oq_block_own_scale(measuring->blocks, low, high));
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

static void note_ranges(const struct block_measuring *measuring, size_t n, const int32_t *lo,
                        const int32_t *hi)
{
    struct oq_blocks_found *found = measuring->found;
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
    if (n > 1 && goes_by_size(measuring->blocks) && note_scale(measuring, -finest, finest)) {
        note_scale(measuring, -coarsest, coarsest);
        return;
    }
    for (size_t i = 0; i < n; i++)
        note_scale(measuring, oq_key_to_float(lo[i]), oq_key_to_float(hi[i]));
}

/* Below, all blocks of a weight are looked into. */
#define MANY_BLOCKS 512

struct levels {
    int32_t counts[OQ_BLOCK_MAX_COLUMNS], octaves[OQ_BLOCK_MAX_COLUMNS];
};

static void take_levels(const struct oq_block_patch *patch, size_t first, size_t n,
                        struct levels *levels)
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
static void add_block(const struct block_measuring *measuring, int32_t lo, int32_t hi,
                      int32_t count, int32_t octaves, size_t weight)
{
    struct oq_blocks_found *found = measuring->found;
    float low = oq_key_to_float(lo), high = oq_key_to_float(hi);
    double n = (double)count * (double)weight;
    if (count == 0)
        return;
    float reach = oq_reach(low, high, measuring->blocks->choice.symmetric);
    double bits =
        oq_bits_left(ldexpf(reach, measuring->blocks->lift), (uint64_t)count, (uint64_t)octaves);
    found->worst_bits = fmin(found->worst_bits, bits);
    found->n_ordinary += n;
    found->sum_bits += bits * n;
    found->n_lost += bits < OQ_LEAST_BITS ? n : 0;
}

/* The key of a number times 2^-lift; 0 where that is none. */
static int32_t lower(int32_t key, int lift)
{
    const float x = ldexpf(oq_key_to_float(key), -lift);
    return isfinite(x) ? oq_key_from_float(x) : INT32_MAX;
}

/* Looks into blocks that stand for all; such as are out of the way stand for themselves. */
static void look_into_some(struct block_measuring *measuring, const struct oq_block_patch *patch,
                           size_t first, size_t n, const int32_t *lo, const int32_t *hi,
                           size_t weight)
{
    struct levels levels;
    take_levels(patch, first, n, &levels);
    for (size_t i = 0; i < n; i++) {
        measuring->n_ordinary += (uint64_t)levels.counts[i];
        measuring->octaves += (uint64_t)levels.octaves[i];
    }
    if (measuring->n_ordinary > 0)
        measuring->limit = lower(oq_largest_with_bits(measuring->n_ordinary, measuring->octaves),
                                 measuring->blocks->lift);
    for (size_t i = 0; i < n; i++) {
        bool is_usual = size_of(lo[first + i], hi[first + i]) <= measuring->limit;
        add_block(measuring, lo[first + i], hi[first + i], levels.counts[i], levels.octaves[i],
                  is_usual ? weight : 1);
    }
}

static void look_into_unusual(const struct block_measuring *measuring,
                              const struct oq_block_patch *patch, size_t first, size_t end,
                              const int32_t *lo, const int32_t *hi)
{
    struct levels levels;
    for (size_t i = first; i < end; i++) {
        if (size_of(lo[i], hi[i]) <= measuring->limit)
            continue;
        take_levels(patch, i, 1, &levels);
        add_block(measuring, lo[i], hi[i], levels.counts[0], levels.octaves[0], 1);
    }
}

/*
 * The range of every block is taken. What is typical, some tell as well as all: of many, one
 * out of OQ_SAMPLE_STEP is looked into - and each that has a number so large that a typical one
 * of those would be rounded away beside it.
 */
static void measure_patch(void *context, const struct oq_block_patch *patch)
{
    struct block_measuring *measuring = context;
    int32_t lo[OQ_BLOCK_MAX_COLUMNS], hi[OQ_BLOCK_MAX_COLUMNS];
    const size_t step = measuring->blocks->n_scales < MANY_BLOCKS ? 1 : OQ_SAMPLE_STEP;
    const size_t turn = measuring->turn++ % step;
    size_t n = patch->columns / step, first = turn * n;
    if (patch->columns < step)
        n = turn == 0 ? patch->columns : 0;
    oq_block_ranges(patch, lo, hi);
    note_ranges(measuring, patch->columns, lo, hi);
    oq_lift(patch->x, patch->rows * patch->columns, measuring->blocks->lift);
    if (n > 0)
        look_into_some(measuring, patch, first, n, lo, hi, step);
    look_into_unusual(measuring, patch, 0, first, lo, hi);
    look_into_unusual(measuring, patch, first + n, patch->columns, lo, hi);
}

bool oq_blocks_measure(const struct oq_blocks *blocks, uint64_t first, uint64_t n, void *scratch,
                       struct oq_blocks_found *found, onnxq_error *error)
{
    struct block_measuring measuring = {.blocks = blocks, .found = found, .turn = first};
    const struct oq_block_walk walk = {blocks, scratch, error, measure_patch, &measuring};
    const uint64_t n_blocks = blocks->n_blocks, line = first / n_blocks, at = first % n_blocks;
    if (blocks->inner == 1)
        return n < n_blocks ? oq_block_walk_lines(&walk, line, line + 1, at, at + n)
                            : oq_block_walk_lines(&walk, line, line + n / n_blocks, 0, n_blocks);
    for (uint64_t i = first; i < first + n; i++)
        if (!oq_block_walk_band(&walk, i / n_blocks, i % n_blocks, 0, blocks->inner))
            return false;
    return true;
}
