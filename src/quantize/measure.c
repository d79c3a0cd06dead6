#include "base/checked.h"
#include "base/pipeline.h"
#include "quantize/plan.h"

/* A stretch of elements of one weight. */
struct job {
    struct oq_ranges *ranges;
    uint64_t first;
    size_t count;
};

/*
 * Neighbours that a thread takes at once: a weight of a few elements costs less than handing it
 * over. Enough for some 10 microseconds, and for results that stay in a processor's cache.
 */
#define BATCH_NELEM          ((size_t)32 << 10)
#define BATCH_RESULTS_NBYTES ((size_t)64 << 10)

struct batch {
    size_t first, end; /* jobs */
    size_t nelem;
    size_t results_nbytes;
};

struct measure {
    onnxq_plan *plan;
    const struct oq_kernels *kernels;
    struct job *jobs;
    size_t njobs, jobs_capacity;
    struct batch *batches;
    size_t nbatches, batches_capacity;
    size_t results_nbytes; /* of a batch, at most */
    uint64_t done_nbytes, total_nbytes;
};

bool oq_ranges_finite(const struct oq_ranges *ranges)
{
    int32_t infinite = oq_key_from_float(__builtin_inff());
    int32_t minus_infinite = oq_key_from_float(-__builtin_inff());
    for (uint64_t i = 0; i < ranges->n_scales; i++)
        if (ranges->lo[i] <= minus_infinite || ranges->hi[i] >= infinite)
            return false;
    return true;
}

/* Whole rows where they fit, else a part of one row: few scales are touched either way. */
static size_t few_scales(const struct oq_ranges *ranges, uint64_t first)
{
    uint64_t row = oq_layout_row(&ranges->layout);
    uint64_t left = ranges->source->nelem - first;
    if (ranges->layout.channels == 1)
        return (size_t)oq_min_u64(left, OQ_READ_MAX_NELEM);
    if (row <= OQ_READ_MAX_NELEM)
        return (size_t)oq_min_u64(left, OQ_READ_MAX_NELEM / row * row);
    return (size_t)oq_min_u64(row - first % row, OQ_READ_MAX_NELEM);
}

static size_t job_count(const struct oq_ranges *ranges, uint64_t first)
{
    size_t count = few_scales(ranges, first);
    if (ranges->reduce != ONNXQ_REDUCE_PAIRS)
        return count;
    size_t unit = (size_t)oq_pairs_unit(&ranges->pairs, ranges->source->nelem);
    return count > unit ? count - count % unit : count;
}

static size_t job_scales(const struct job *job)
{
    uint64_t begin, end;
    oq_layout_scales(&job->ranges->layout, job->first, job->count, &begin, &end);
    return (size_t)(end - begin);
}

/* The sum of squares; then lowest keys, highest keys, then the same for pairs. */
static size_t result_nbytes(const struct job *job)
{
    return sizeof(double) + job_scales(job) * 4 * sizeof(int32_t);
}

static void clear(int32_t *lo, int32_t *hi, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        lo[i] = OQ_KEY_NONE_LO;
        hi[i] = OQ_KEY_NONE_HI;
    }
}

static bool has_room(const struct batch *batch, size_t nelem, size_t results_nbytes)
{
    return batch->nelem + nelem <= BATCH_NELEM &&
           batch->results_nbytes + results_nbytes <= BATCH_RESULTS_NBYTES;
}

/* To the last batch, or to a new one. */
static bool add_job(struct measure *measure, const struct job *job)
{
    struct oq_arena *arena = &measure->plan->arena;
    const size_t nbytes = result_nbytes(job);
    if (!oq_arena_grow(arena, &measure->jobs, measure->njobs, &measure->jobs_capacity,
                       sizeof(*measure->jobs)) ||
        !oq_arena_grow(arena, &measure->batches, measure->nbatches, &measure->batches_capacity,
                       sizeof(*measure->batches)))
        return false;
    if (measure->nbatches == 0 ||
        !has_room(&measure->batches[measure->nbatches - 1], job->count, nbytes))
        measure->batches[measure->nbatches++] = (struct batch){.first = measure->njobs};
    struct batch *batch = &measure->batches[measure->nbatches - 1];
    measure->jobs[measure->njobs++] = *job;
    batch->end = measure->njobs;
    batch->nelem += job->count;
    batch->results_nbytes += nbytes;
    if (batch->results_nbytes > measure->results_nbytes)
        measure->results_nbytes = batch->results_nbytes;
    return true;
}

static bool add_jobs(struct measure *measure, struct oq_ranges *ranges, onnxq_error *error)
{
    clear(ranges->lo, ranges->hi, ranges->n_scales);
    if (ranges->reduce == ONNXQ_REDUCE_PAIRS)
        clear(ranges->pair_lo, ranges->pair_hi, ranges->n_scales);
    for (uint64_t first = 0; first < ranges->source->nelem;) {
        struct job job = {ranges, first, job_count(ranges, first)};
        if (!add_job(measure, &job))
            return oq_arena_fail(&measure->plan->arena, error);
        first += job.count;
    }
    measure->total_nbytes += ranges->source->nbytes;
    return true;
}

/* Rows of channels that lie next to each other: one call for as many rows as there are. */
static size_t measure_rows(const struct oq_kernels *kernels, const struct oq_layout *layout,
                           uint64_t first, const float *x, size_t count, int32_t *lo, int32_t *hi)
{
    uint64_t row = first / layout->channels;
    size_t columns = (size_t)layout->channels;
    size_t rows = (size_t)oq_min_u64(count / columns, layout->outer - row % layout->outer);
    kernels->range_columns(x, rows, columns, columns, lo, hi);
    return rows * columns;
}

/* lo and hi stand for the scales from `begin` on. */
static void measure_elements(const struct oq_kernels *kernels, const struct oq_layout *layout,
                             uint64_t first, const float *x, size_t count, uint64_t begin,
                             int32_t *lo, int32_t *hi)
{
    for (size_t done = 0; done < count;) {
        struct oq_run run = oq_layout_run(layout, first + done, count - done);
        int32_t *run_lo = lo + (run.scale - begin), *run_hi = hi + (run.scale - begin);
        if (run.one_scale)
            kernels->range_run(x + done, run.count, run_lo, run_hi);
        else if (run.count == layout->channels)
            run.count =
                measure_rows(kernels, layout, run.first, x + done, count - done, run_lo, run_hi);
        else
            kernels->range_columns(x + done, 1, run.count, run.count, run_lo, run_hi);
        done += run.count;
    }
}

/* In a fixed order, so that the result does not depend on the processor. */
static double sum_squares(const float *x, size_t n)
{
    double sums[8] = {0}, sum = 0;
    for (size_t i = 0; i + 8 <= n; i += 8)
        for (size_t k = 0; k < 8; k++)
            sums[k] += (double)x[i + k] * (double)x[i + k];
    for (size_t i = n - n % 8; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    for (size_t k = 0; k < 8; k++)
        sum += sums[k];
    return sum;
}

static bool measure_job(const struct measure *measure, const struct job *job, void *result,
                        void *scratch, onnxq_error *error)
{
    const struct oq_ranges *ranges = job->ranges;
    const struct oq_layout *layout = &ranges->layout;
    float *x = oq_recipe_floats(scratch);
    size_t n = job_scales(job);
    double *sum = result;
    int32_t *keys = (int32_t *)(void *)(sum + 1);
    uint64_t begin, end;
    if (!oq_source_read_floats(ranges->source, job->first, job->count, x, scratch, error))
        return false;
    *sum = measure->plan->is_recurrent ? sum_squares(x, job->count) : 0;
    clear(keys, keys + n, n);
    oq_layout_scales(layout, job->first, job->count, &begin, &end);
    measure_elements(measure->kernels, layout, job->first, x, job->count, begin, keys, keys + n);
    if (ranges->reduce == ONNXQ_REDUCE_PAIRS) {
        keys += 2 * n;
        clear(keys, keys + n, n);
        oq_pairs_join(&ranges->pairs, job->first, job->count, x);
        measure_elements(measure->kernels, layout, job->first, x, job->count, begin, keys,
                         keys + n);
    }
    return true;
}

static bool produce(void *context, size_t index, void *buffer, void *scratch, onnxq_error *error)
{
    const struct measure *measure = context;
    const struct batch *batch = &measure->batches[index];
    char *result = buffer;
    for (size_t j = batch->first; j < batch->end; j++) {
        const struct job *job = &measure->jobs[j];
        if (!measure_job(measure, job, result, scratch, error))
            return false;
        result += result_nbytes(job);
    }
    return true;
}

static void widen(int32_t *lo, int32_t *hi, const int32_t *keys, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        lo[i] = keys[i] < lo[i] ? keys[i] : lo[i];
        hi[i] = keys[n + i] > hi[i] ? keys[n + i] : hi[i];
    }
}

static void take_result(const struct job *job, const void *result)
{
    struct oq_ranges *ranges = job->ranges;
    const double *sum = result;
    const int32_t *keys = (const int32_t *)(const void *)(sum + 1);
    uint64_t begin, end;
    oq_layout_scales(&ranges->layout, job->first, job->count, &begin, &end);
    ranges->sum_squares += *sum;
    widen(ranges->lo + begin, ranges->hi + begin, keys, end - begin);
    if (ranges->reduce == ONNXQ_REDUCE_PAIRS)
        widen(ranges->pair_lo + begin, ranges->pair_hi + begin, keys + 2 * (end - begin),
              end - begin);
}

static bool consume(void *context, size_t index, const void *buffer, onnxq_error *error)
{
    struct measure *measure = context;
    const struct batch *batch = &measure->batches[index];
    const onnxq_options *options = &measure->plan->options;
    const char *result = buffer;
    for (size_t j = batch->first; j < batch->end; j++) {
        const struct job *job = &measure->jobs[j];
        take_result(job, result);
        result += result_nbytes(job);
        measure->done_nbytes += job->count * job->ranges->source->dtype->nbits / 8;
    }
    if (options->progress == NULL || options->progress(options->progress_data, ONNXQ_PHASE_MEASURE,
                                                       measure->done_nbytes, measure->total_nbytes))
        return true;
    return oq_fail(error, ONNXQ_ERROR_CANCELLED, "cancelled");
}

/* Channels differ, and are not symmetric: zero points are stored as for most real weights. */
static void assume(int32_t *lo, int32_t *hi, uint64_t n)
{
    for (uint64_t i = 0; lo != NULL && i < n; i++) {
        lo[i] = oq_key_from_float(i % 2 == 0 ? -1.0f : -2.0f);
        hi[i] = oq_key_from_float(i % 2 == 0 ? 2.0f : 1.0f);
    }
}

void oq_plan_assume_ranges(onnxq_plan *plan)
{
    for (size_t i = 0; i < plan->n_constants; i++)
        for (struct oq_ranges *r = plan->constants[i].ranges; r != NULL; r = r->next) {
            assume(r->lo, r->hi, r->n_scales);
            assume(r->pair_lo, r->pair_hi, r->n_scales);
        }
}

bool oq_plan_measure(onnxq_plan *plan, onnxq_error *error)
{
    struct measure measure = {.plan = plan, .kernels = oq_kernels_best()};
    for (size_t i = 0; i < plan->n_constants; i++)
        for (struct oq_ranges *r = plan->constants[i].ranges; r != NULL; r = r->next)
            if (!add_jobs(&measure, r, error))
                return false;
    const struct oq_pipeline pipeline = {.threads = plan->options.threads,
                                         .njobs = measure.nbatches,
                                         .buffer_nbytes = measure.results_nbytes,
                                         .scratch_nbytes = OQ_RECIPE_SCRATCH_NBYTES,
                                         .context = &measure,
                                         .produce = produce,
                                         .consume = consume};
    return oq_pipeline_run(&pipeline, error);
}
