/*
 * What rounding leaves of numbers whose mean is taken off behind them: by
 * normalizations, Softmax, or a Sub. Values of 1000 that differ by 0.01 keep
 * all of their size in 8 bits, and nothing of what they are there for.
 *
 * Which axis the mean is taken along depends on all that stands between: rows
 * and columns are both looked at. Some rows tell what is typical.
 *
 * And what 16 bits leave of numbers that count by their own size, in front of a
 * logarithm: beside the largest of those that share a scale.
 */
#include <float.h>
#include <math.h>

#include "base/checked.h"
#include "quantize/analyze/fate.h"
#include "quantize/decide/steps.h"

/* So many rows, evenly spread; of longer ones the beginning. */
#define MAX_ROWS    ((uint64_t)32)
#define MAX_COLUMNS ((uint64_t)4096)

/* Fewer numbers agree by chance: kernels of convolutions do. */
#define MIN_COUNT 16

/* An offset is a mean of so many deviations: less is an outlier's, which hides nothing. */
#define LEAST_OFFSET 4.0

/* Steps that a deviation is lost below. Real models have none (docs/decisions.md). */
#define LEAST_STEPS 2.0

/*
 * Steps of 16 bits that a number in front of a logarithm is lost below: it is off by an eighth
 * then. What float32 does not tell from zero beside the largest is noise, as of sines of pi.
 */
#define LEAST_STEPS_OF_SMALL 4.0f

/* Of a row or a column: sums of what is beyond its first number. */
struct line {
    double first, sum, squares, largest;
    uint64_t count;
};

/* Of all of them. */
struct lost_lines {
    uint64_t all, offset, lost_in_4_bits, lost_in_8_bits, lost_in_16_bits;
};

static void add_number(struct line *line, float x)
{
    if (line->count++ == 0)
        line->first = (double)x;
    double beyond = (double)x - line->first;
    line->sum += beyond;
    line->squares += beyond * beyond;
    line->largest = fmax(line->largest, fabs((double)x));
}

/* Where all numbers are the same there is nothing to lose. */
static void count_line(struct lost_lines *lost, const struct line *line)
{
    double n = (double)line->count, mean = line->sum / n;
    double deviation = sqrt(fmax(line->squares / n - mean * mean, 0));
    if (line->count < MIN_COUNT || !(deviation > 0) || !isfinite(deviation))
        return;
    bool is_hidden = fabs(line->first + mean) > LEAST_OFFSET * deviation;
    double least = LEAST_STEPS * line->largest;
    lost->all++;
    lost->offset += is_hidden;
    lost->lost_in_4_bits += is_hidden && deviation < least / 7;
    lost->lost_in_8_bits += is_hidden && deviation < least / INT8_MAX;
    lost->lost_in_16_bits += is_hidden && deviation < least / INT16_MAX;
}

/* The larger part, of rows or of columns. */
static void take_part(double *part, uint64_t n, uint64_t all)
{
    if (all > 0)
        *part = fmax(*part, (double)n / (double)all);
}

static void take_parts(struct oq_hidden *hidden, const struct lost_lines *lost)
{
    take_part(&hidden->offset, lost->offset, lost->all);
    take_part(&hidden->lost_in_4_bits, lost->lost_in_4_bits, lost->all);
    take_part(&hidden->lost_in_8_bits, lost->lost_in_8_bits, lost->all);
    take_part(&hidden->lost_in_16_bits, lost->lost_in_16_bits, lost->all);
}

/* The part of the numbers of a line, `stride` apart, of which most is lost beside the largest. */
static void add_small(const float *x, uint64_t n, uint64_t stride, uint64_t *all, uint64_t *lost)
{
    float largest = 0;
    for (uint64_t i = 0; i < n; i++)
        largest = fmaxf(largest, fabsf(x[i * stride]));
    for (uint64_t i = 0; i < n; i++) {
        float size = fabsf(x[i * stride]);
        *all += size > largest * FLT_EPSILON;
        *lost += size > largest * FLT_EPSILON && size < largest / INT16_MAX * LEAST_STEPS_OF_SMALL;
    }
}

/* Of n rows: along those or along columns, as scales have it. */
static void measure_small(struct oq_constant *constant, const float *x, uint64_t n, uint64_t width)
{
    uint64_t all = 0, lost = 0;
    bool is_by_row = false;
    for (size_t i = 0; i < constant->n_sites; i++)
        is_by_row |= constant->sites[i].action != ONNXQ_KEEP && constant->sites[i].axis >= 0 &&
                     (size_t)constant->sites[i].axis + 1 < constant->source.n_dims;
    for (uint64_t i = 0; i < (is_by_row ? n : width); i++)
        add_small(is_by_row ? x + i * width : x + i, is_by_row ? width : n, is_by_row ? 1 : width,
                  &all, &lost);
    take_part(&constant->spread.lost_by_size, lost, all);
}

/* Room for the rows, and what reading one takes. */
struct buffers {
    float *rows;
    struct line *columns;
    void *scratch;
};

static bool measure(struct oq_constant *constant, const struct buffers *buffers, onnxq_error *error)
{
    const struct oq_source *source = &constant->source;
    uint64_t length = (uint64_t)source->dims[source->n_dims - 1], n_rows = source->nelem / length;
    uint64_t n = oq_min_u64(n_rows, MAX_ROWS), width = oq_min_u64(length, MAX_COLUMNS);
    struct lost_lines rows = {0}, columns = {0};
    memset(buffers->columns, 0, (size_t)width * sizeof(*buffers->columns));
    for (uint64_t i = 0; i < n; i++) {
        struct line row = {0};
        float *x = buffers->rows + i * width;
        if (!oq_source_read_floats(source, n_rows / n * i * length, (size_t)width, x,
                                   buffers->scratch, error))
            return false;
        for (uint64_t k = 0; k < width; k++) {
            add_number(&row, x[k]);
            add_number(&buffers->columns[k], x[k]);
        }
        count_line(&rows, &row);
    }
    for (uint64_t k = 0; k < width; k++)
        count_line(&columns, &buffers->columns[k]);
    take_parts(&constant->spread, &rows);
    take_parts(&constant->spread, &columns);
    measure_small(constant, buffers->rows, n, width);
    constant->spread.is_measured = true;
    return true;
}

/* Those that are to be quantized, once. */
static bool is_wanted(const onnxq_plan *plan, const struct oq_constant *constant)
{
    bool is_new = !constant->spread.is_measured && constant->need < OQ_NEEDS_FLOAT;
    bool is_matrix = constant->source.dtype != NULL && constant->source.dtype->is_float &&
                     constant->source.n_dims >= 2 && constant->source.nelem > 0;
    for (size_t i = 0; is_new && is_matrix && i < constant->n_sites; i++)
        if (constant->sites[i].action != ONNXQ_KEEP)
            return oq_fate_is_centered(plan, constant) || oq_fate_is_small(plan, constant) ||
                   constant->is_element;
    return false;
}

bool oq_plan_measure_spread(onnxq_plan *plan, onnxq_error *error)
{
    struct oq_arena arena;
    oq_arena_init(&arena, SIZE_MAX);
    struct buffers buffers = {
        .rows = oq_arena_array(&arena, (size_t)(MAX_ROWS * MAX_COLUMNS), sizeof(*buffers.rows)),
        .columns = oq_arena_array(&arena, (size_t)MAX_COLUMNS, sizeof(*buffers.columns)),
        .scratch = oq_arena_alloc(&arena, OQ_READ_SCRATCH_NBYTES)};
    bool ok = !arena.failed || oq_arena_fail(&arena, error);
    for (size_t i = 0; ok && i < plan->n_constants; i++)
        if (is_wanted(plan, &plan->constants[i]))
            ok = measure(&plan->constants[i], &buffers, error);
    oq_arena_fini(&arena);
    return ok;
}
