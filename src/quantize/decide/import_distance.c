/*
 * How far what a checkpoint has is from the floats that it replaces: nobody else would notice that
 * it is of another model. Both are read once, in bands of columns.
 */
#include <math.h>

#include "base/checked.h"
#include "base/pipeline.h"
#include "quantize/decide/steps.h"
#include "quantize/rules/rules.h"

/*
 * The part of a weight, by size, whose signs differ. Measured (docs/importing.md): rounding and
 * scaling leave less, weights that have nothing to do with each other differ in half.
 */
#define MOST_TURNED 0.4

/* A band of columns of one weight, and how much of it is read at once. */
struct band {
    const struct oq_site *site;
    size_t number; /* of its module */
    uint64_t column;
    size_t n, n_rows;
    bool is_by_columns; /* the weight is stored [columns, rows] */
};

/* Squares of the difference, and of the weight; sizes of what has another sign, and of all. */
struct band_sums {
    double difference, weight;
    double turned, size;
};

struct distances {
    onnxq_plan *plan;
    struct band *bands;
    size_t n_bands, capacity;
    struct band_sums *sums; /* [n_imports] */
    uint64_t done, total;   /* bytes */
};

/* --- one band --- */

/* A tile of the weight: [rows, columns], or turned. */
static bool read_floats(const struct band *band, uint64_t row, size_t n_rows, void *scratch,
                        onnxq_error *error)
{
    const struct oq_source *source = &band->site->constant->source;
    const struct oq_module *module = band->site->import->numbers.module;
    float *x = oq_recipe_floats(scratch);
    const size_t n_lines = band->is_by_columns ? band->n : n_rows;
    const size_t length = band->is_by_columns ? n_rows : band->n;
    for (size_t i = 0; i < n_lines; i++) {
        const uint64_t at = band->is_by_columns ? (band->column + i) * module->rows + row
                                                : (row + i) * module->columns + band->column;
        if (!oq_source_read_floats(source, at, length, x + i * length, scratch, error))
            return false;
    }
    return true;
}

/* What the rows of one group share. */
struct shared_numbers {
    uint64_t group; /* UINT64_MAX: none yet */
    uint8_t zeros[OQ_UNPACK_MAX_COLUMNS];
    float scales[OQ_UNPACK_MAX_COLUMNS];
};

static bool read_shared(const struct band *band, const struct oq_unpack *numbers, uint64_t row,
                        struct shared_numbers *shared, onnxq_error *error)
{
    const int32_t *groups = band->site->import->groups;
    const uint64_t group =
        groups != NULL ? (uint64_t)groups[row] : row / numbers->module->group_size;
    if (group == shared->group)
        return true;
    shared->group = group;
    return oq_unpack_zeros(numbers, group, band->column, band->n, shared->zeros, error) &&
           oq_unpack_scales(numbers, group, band->column, band->n, shared->scales, error);
}

static void add_row(const struct band *band, const float *x, size_t step, const uint8_t *codes,
                    const struct shared_numbers *shared, struct band_sums *sum)
{
    for (size_t i = 0; i < band->n; i++) {
        const double weight = (double)x[i * step];
        const double stands_for =
            (double)shared->scales[i] * ((double)codes[i] - (double)shared->zeros[i]);
        sum->difference += (weight - stands_for) * (weight - stands_for);
        sum->weight += weight * weight;
        sum->size += fabs(weight);
        if (weight * stands_for <= 0) /* 0 has either sign */
            sum->turned += stands_for == 0 ? fabs(weight) / 2 : fabs(weight);
    }
}

static bool add_tile(const struct band *band, uint64_t row, size_t n_rows, void *scratch,
                     struct shared_numbers *shared, struct band_sums *sum, onnxq_error *error)
{
    struct oq_unpack numbers = band->site->import->numbers;
    const float *x = oq_recipe_floats(scratch);
    uint8_t *codes = scratch; /* what reading needed of it is free again */
    numbers.order = NULL;
    if (!read_floats(band, row, n_rows, scratch, error) ||
        !oq_unpack_codes(&numbers, row, n_rows, band->column, band->n, codes, error))
        return false;
    for (size_t k = 0; k < n_rows; k++) {
        if (!read_shared(band, &numbers, row + k, shared, error))
            return false;
        add_row(band, band->is_by_columns ? x + k : x + k * band->n,
                band->is_by_columns ? n_rows : 1, codes + k * band->n, shared, sum);
    }
    return true;
}

static bool produce(void *context, size_t job, void *buffer, void *scratch, onnxq_error *error)
{
    const struct distances *distances = context;
    const struct band *band = &distances->bands[job];
    const uint64_t rows = band->site->import->numbers.module->rows;
    struct shared_numbers shared = {.group = UINT64_MAX};
    struct band_sums sum = {0, 0, 0, 0};
    for (uint64_t row = 0, n; row < rows; row += n) {
        n = oq_min_u64(rows - row, band->n_rows);
        if (!add_tile(band, row, (size_t)n, scratch, &shared, &sum, error))
            return false;
    }
    memcpy(buffer, &sum, sizeof(sum));
    return true;
}

static bool consume(void *context, size_t job, const void *buffer, onnxq_error *error)
{
    struct distances *distances = context;
    const struct band *band = &distances->bands[job];
    const onnxq_output_options *options = &distances->plan->options.output;
    struct band_sums sum, *all = &distances->sums[band->number];
    memcpy(&sum, buffer, sizeof(sum));
    all->difference += sum.difference;
    all->weight += sum.weight;
    all->turned += sum.turned;
    all->size += sum.size;
    distances->done += band->n * band->site->import->numbers.module->rows *
                       band->site->constant->source.dtype->nbits / 8;
    return options->progress == NULL ||
           options->progress(options->progress_data, ONNXQ_PHASE_MEASURE, distances->done,
                             distances->total) ||
           oq_fail(error, ONNXQ_ERROR_CANCELLED, "cancelled");
}

/* --- all of them --- */

/* Long lines are read as such, whichever way the weight is stored. */
#define LONG_SIDE  OQ_UNPACK_MAX_COLUMNS
#define SHORT_SIDE (OQ_READ_MAX_NELEM / LONG_SIDE)

static bool add_bands(struct distances *distances, const struct oq_site *site, size_t number,
                      struct oq_arena *arena)
{
    const struct oq_module *module = site->import->numbers.module;
    const bool is_by_columns = site->axis == 0;
    const size_t widest = is_by_columns ? SHORT_SIDE : LONG_SIDE;
    for (uint64_t column = 0, n; column < module->columns; column += n) {
        if (!oq_arena_grow(arena, &distances->bands, distances->n_bands, &distances->capacity,
                           sizeof(*distances->bands)))
            return false;
        n = oq_min_u64(module->columns - column, widest);
        distances->bands[distances->n_bands++] =
            (struct band){.site = site,
                          .number = number,
                          .column = column,
                          .n = (size_t)n,
                          .n_rows = is_by_columns ? LONG_SIDE : SHORT_SIDE,
                          .is_by_columns = is_by_columns};
    }
    distances->total += site->constant->source.nbytes;
    return true;
}

/* A module's reason says nothing any more: what was decided of its weight does. */
static bool note_site(struct distances *distances, const struct oq_site *site, bool *is_seen,
                      struct oq_arena *arena)
{
    onnxq_plan *plan = distances->plan;
    const size_t number = (size_t)(site->import->numbers.module - plan->checkpoint->modules);
    const bool is_taken = site->action == ONNXQ_DYNAMIC;
    if (is_seen[number])
        return true;
    plan->imports[number].reason = is_taken ? "" : site->reason;
    is_seen[number] = is_taken;
    return !is_taken || plan->is_estimate || add_bands(distances, site, number, arena);
}

static void set_distances(const struct distances *distances)
{
    for (size_t i = 0; i < distances->plan->n_imports; i++) {
        const struct band_sums *sum = &distances->sums[i];
        const double distance = sqrt(sum->difference / sum->weight);
        if (!isfinite(distance)) /* also of a weight of zeros, which nothing is near to */
            continue;
        distances->plan->imports[i].distance = distance;
        distances->plan->imports[i].is_suspect = sum->turned >= MOST_TURNED * sum->size;
    }
}

static bool measure(struct distances *distances, struct oq_arena *arena, onnxq_error *error)
{
    onnxq_plan *plan = distances->plan;
    bool *is_seen = oq_arena_array(arena, plan->n_imports, sizeof(*is_seen));
    distances->sums = oq_arena_array(arena, plan->n_imports, sizeof(*distances->sums));
    if (is_seen == NULL || distances->sums == NULL)
        return oq_arena_fail(arena, error);
    for (size_t i = 0; i < plan->n_constants; i++)
        for (size_t k = 0; k < plan->constants[i].n_sites; k++)
            if (plan->constants[i].sites[k].import != NULL &&
                !note_site(distances, &plan->constants[i].sites[k], is_seen, arena))
                return oq_arena_fail(arena, error);
    const struct oq_pipeline pipeline = {.threads = plan->options.output.threads,
                                         .njobs = distances->n_bands,
                                         .buffer_nbytes = sizeof(struct band_sums),
                                         .scratch_nbytes = OQ_RECIPE_SCRATCH_NBYTES,
                                         .context = distances,
                                         .produce = produce,
                                         .consume = consume};
    if (distances->n_bands > 0 && !oq_pipeline_run(&pipeline, error))
        return false;
    set_distances(distances);
    return true;
}

bool oq_plan_measure_imports(onnxq_plan *plan, onnxq_error *error)
{
    struct distances distances = {.plan = plan};
    struct oq_arena arena;
    if (plan->checkpoint == NULL)
        return true;
    oq_arena_init(&arena, SIZE_MAX);
    bool ok = measure(&distances, &arena, error);
    oq_arena_fini(&arena);
    return ok;
}
