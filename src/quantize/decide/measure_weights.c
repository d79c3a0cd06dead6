/* Reads every weight that is to be quantized once, and takes its ranges. */
#include <math.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/pipeline.h"
#include "quantize/plan/plan.h"
#include "quantize/numbers/scale.h"
#include "quantize/decide/steps.h"

/* A stretch of elements of one weight, or of parts in blocks. */
struct job {
    struct oq_ranges *ranges;
    uint64_t first;
    size_t count;
};

static uint64_t job_nelem(const struct job *job)
{
    const struct oq_blocks *blocks = job->ranges->blocks;
    return blocks == NULL ? job->count : job->count * oq_blocks_part_nelem(blocks);
}

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
    if (ranges->blocks != NULL)
        return (size_t)oq_blocks_piece(ranges->blocks, first);
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

/* What is found out about each scale of a job, [n] each. */
struct found {
    int32_t *lo, *hi, *counts, *octaves;
    int32_t *pair_lo, *pair_hi; /* only where pairs are wanted */
};

#define FOUND_NBYTES (6 * sizeof(int32_t))

static struct found find_room(void *result, size_t n)
{
    int32_t *numbers = result;
    return (struct found){numbers,         numbers + n,     numbers + 2 * n,
                          numbers + 3 * n, numbers + 4 * n, numbers + 5 * n};
}

static size_t result_nbytes(const struct job *job)
{
    if (job->ranges->blocks != NULL)
        return sizeof(struct oq_blocks_found);
    return job_scales(job) * FOUND_NBYTES;
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
        !has_room(&measure->batches[measure->nbatches - 1], (size_t)job_nelem(job), nbytes))
        measure->batches[measure->nbatches++] = (struct batch){.first = measure->njobs};
    struct batch *batch = &measure->batches[measure->nbatches - 1];
    measure->jobs[measure->njobs++] = *job;
    batch->end = measure->njobs;
    batch->nelem += (size_t)job_nelem(job);
    batch->results_nbytes += nbytes;
    if (batch->results_nbytes > measure->results_nbytes)
        measure->results_nbytes = batch->results_nbytes;
    return true;
}

static bool add_jobs(struct measure *measure, struct oq_ranges *ranges, onnxq_error *error)
{
    const bool wants_pairs = ranges->reduce == ONNXQ_REDUCE_PAIRS;
    if (ranges->is_measured && (ranges->are_pairs_measured || !wants_pairs))
        return true;
    clear(ranges->lo, ranges->hi, ranges->n_scales);
    memset(ranges->levels, 0, (size_t)ranges->n_scales * sizeof(*ranges->levels));
    if (wants_pairs)
        clear(ranges->pair_lo, ranges->pair_hi, ranges->n_scales);
    ranges->is_measured = true;
    ranges->are_pairs_measured = wants_pairs;
    ranges->found = oq_blocks_found_none();
    if (ranges->blocks != NULL && ranges->blocks->choice.import != NULL)
        return true; /* nothing is rounded */
    const uint64_t end =
        ranges->blocks == NULL ? ranges->source->nelem : oq_blocks_n_parts(ranges->blocks);
    for (uint64_t first = 0; first < end;) {
        struct job job = {ranges, first, job_count(ranges, first)};
        if (!add_job(measure, &job))
            return oq_arena_fail(&measure->plan->arena, error);
        first += job.count;
    }
    measure->total_nbytes += ranges->source->nbytes;
    return true;
}

/*
 * What most weights are like, some tell as well as all: of many rows every
 * seventh is looked at, of a long run a piece out of every seven.
 */
#define MANY_ROWS   ((uint64_t)512)
#define PIECE_NELEM ((size_t)256)
#define LONG_NELEM  (64 * PIECE_NELEM)

static void sample_run(const struct oq_kernels *kernels, const float *x, size_t n, int32_t *count,
                       int32_t *octaves)
{
    if (n < LONG_NELEM) {
        kernels->level_run(x, n, count, octaves);
        return;
    }
    for (size_t i = 0; i + PIECE_NELEM <= n; i += PIECE_NELEM * OQ_SAMPLE_STEP)
        kernels->level_run(x + i, PIECE_NELEM, count, octaves);
}

static void sample_columns(const struct oq_kernels *kernels, const struct oq_layout *layout,
                           const struct oq_run *run, const float *x, size_t rows, int32_t *counts,
                           int32_t *octaves)
{
    size_t step = layout->outer < MANY_ROWS ? 1 : OQ_SAMPLE_STEP;
    size_t skip = (step - (size_t)(run->first / layout->channels % step)) % step;
    if (skip < rows)
        kernels->level_columns(x + skip * run->count, (rows - skip - 1) / step + 1, run->count,
                               run->count * step, counts, octaves);
}

/* A run of elements that are alike in how they share scales. */
static void measure_run(const struct oq_kernels *kernels, const struct oq_layout *layout,
                        const struct oq_run *run, const float *x, size_t rows, size_t at,
                        const struct found *found)
{
    int32_t *lo = found->lo + at, *hi = found->hi + at;
    if (run->one_scale)
        kernels->range_run(x, run->count, lo, hi);
    else
        kernels->range_columns(x, rows, run->count, run->count, lo, hi);
    if (found->counts == NULL)
        return;
    if (run->one_scale)
        sample_run(kernels, x, run->count, found->counts + at, found->octaves + at);
    else
        sample_columns(kernels, layout, run, x, rows, found->counts + at, found->octaves + at);
}

/* Rows of channels that lie next to each other: one call for as many rows as there are. */
static size_t count_rows(const struct oq_layout *layout, const struct oq_run *run, size_t count)
{
    uint64_t row = run->first / layout->channels;
    if (run->one_scale || run->count != layout->channels)
        return 1;
    return (size_t)oq_min_u64(count / run->count, layout->outer - row % layout->outer);
}

/* `found` stands for the scales from `begin` on. */
static void measure_elements(const struct oq_kernels *kernels, const struct oq_layout *layout,
                             uint64_t first, const float *x, size_t count, uint64_t begin,
                             const struct found *found)
{
    for (size_t done = 0; done < count;) {
        struct oq_run run = oq_layout_run(layout, first + done, count - done);
        size_t rows = count_rows(layout, &run, count - done);
        measure_run(kernels, layout, &run, x + done, rows, (size_t)(run.scale - begin), found);
        done += run.count * rows;
    }
}

static bool measure_blocks(const struct job *job, void *result, void *scratch, onnxq_error *error)
{
    struct oq_blocks_found found = oq_blocks_found_none();
    bool ok =
        oq_blocks_measure(job->ranges->blocks, job->first, job->count, scratch, &found, error);
    memcpy(result, &found, sizeof(found));
    return ok;
}

static bool measure_job(const struct measure *measure, const struct job *job, void *result,
                        void *scratch, onnxq_error *error)
{
    const struct oq_ranges *ranges = job->ranges;
    if (ranges->blocks != NULL)
        return measure_blocks(job, result, scratch, error);
    const struct oq_layout *layout = &ranges->layout;
    float *x = oq_recipe_floats(scratch);
    size_t n = job_scales(job);
    struct found found = find_room(result, n);
    uint64_t begin, end;
    if (!oq_source_read_floats(ranges->source, job->first, job->count, x, scratch, error))
        return false;
    memset(result, 0, result_nbytes(job));
    clear(found.lo, found.hi, n);
    oq_layout_scales(layout, job->first, job->count, &begin, &end);
    const struct found pairs = {.lo = found.pair_lo, .hi = found.pair_hi};
    if (ranges->lift != 0) { /* the levels of other numbers, whose ranges nobody asks for */
        struct found lifted = pairs;
        lifted.counts = found.counts;
        lifted.octaves = found.octaves;
        oq_lift(x, job->count, ranges->lift);
        measure_elements(measure->kernels, layout, job->first, x, job->count, begin, &lifted);
        oq_lift(x, job->count, -ranges->lift);
        found.counts = NULL;
    }
    measure_elements(measure->kernels, layout, job->first, x, job->count, begin, &found);
    if (ranges->reduce == ONNXQ_REDUCE_PAIRS) {
        clear(pairs.lo, pairs.hi, n);
        oq_pairs_join(&ranges->pairs, job->first, job->count, x);
        measure_elements(measure->kernels, layout, job->first, x, job->count, begin, &pairs);
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

static void widen(int32_t *lo, int32_t *hi, const int32_t *other_lo, const int32_t *other_hi,
                  uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        lo[i] = other_lo[i] < lo[i] ? other_lo[i] : lo[i];
        hi[i] = other_hi[i] > hi[i] ? other_hi[i] : hi[i];
    }
}

static void take_result(const struct job *job, const void *result)
{
    struct oq_ranges *ranges = job->ranges;
    uint64_t begin, end;
    if (ranges->blocks != NULL) {
        struct oq_blocks_found some;
        memcpy(&some, result, sizeof(some));
        oq_blocks_found_add(&ranges->found, &some);
        return;
    }
    oq_layout_scales(&ranges->layout, job->first, job->count, &begin, &end);
    const struct found found = find_room((void *)(uintptr_t)result, (size_t)(end - begin));
    widen(ranges->lo + begin, ranges->hi + begin, found.lo, found.hi, end - begin);
    for (uint64_t i = begin; i < end; i++) {
        ranges->levels[i].count += (uint64_t)found.counts[i - begin];
        ranges->levels[i].octaves += (uint64_t)found.octaves[i - begin];
    }
    if (ranges->reduce == ONNXQ_REDUCE_PAIRS)
        widen(ranges->pair_lo + begin, ranges->pair_hi + begin, found.pair_lo, found.pair_hi,
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
        measure->done_nbytes += job_nelem(job) * job->ranges->source->dtype->nbits / 8;
    }
    if (options->output.progress == NULL ||
        options->output.progress(options->output.progress_data, ONNXQ_PHASE_MEASURE,
                                 oq_min_u64(measure->done_nbytes, measure->total_nbytes),
                                 measure->total_nbytes))
        return true;
    return oq_fail(error, ONNXQ_ERROR_CANCELLED, "cancelled");
}

/*
 * Numbers that are far from ordinary ones count as such by their typical size: a matrix times
 * 1e-30 with the inverse behind it is the same matrix. Some pieces tell whether they are. Where a
 * few are ordinary, the others died out.
 */
#define PIECES         16
#define PIECES_NELEM   (PIECES * PIECE_NELEM)
#define LEAST_ORDINARY 64 /* one out of so many */
#define LARGEST_LIFT   126

static int compare_floats(const void *left, const void *right)
{
    const float a = *(const float *)left, b = *(const float *)right;
    return (a > b) - (a < b);
}

static bool read_pieces(const struct oq_source *source, float *x, size_t *n, void *scratch,
                        onnxq_error *error)
{
    *n = (size_t)oq_min_u64(source->nelem, PIECES_NELEM);
    if (source->nelem <= PIECES_NELEM)
        return oq_source_read_floats(source, 0, *n, x, scratch, error);
    for (uint64_t i = 0; i < PIECES; i++)
        if (!oq_source_read_floats(source, source->nelem / PIECES * i, PIECE_NELEM,
                                   x + i * PIECE_NELEM, scratch, error))
            return false;
    return true;
}

/* Sizes that are not zero, in place. */
static size_t keep_sizes(float *x, size_t n, size_t *n_ordinary)
{
    size_t n_sizes = 0;
    *n_ordinary = 0;
    for (size_t i = 0; i < n; i++) {
        const float size = fabsf(x[i]);
        *n_ordinary += size >= OQ_ORDINARY_MIN && size < 1 / OQ_ORDINARY_MIN;
        if (size > 0 && isfinite(size))
            x[n_sizes++] = size;
    }
    return n_sizes;
}

static int find_lift(float *x, size_t n)
{
    size_t n_ordinary, n_sizes = keep_sizes(x, n, &n_ordinary);
    int octave;
    if (n_ordinary * LEAST_ORDINARY >= n_sizes)
        return 0;
    qsort(x, n_sizes, sizeof(*x), compare_floats);
    frexpf(x[n_sizes / 2], &octave);
    return octave > LARGEST_LIFT ? -LARGEST_LIFT : octave < -LARGEST_LIFT ? LARGEST_LIFT : -octave;
}

static bool find_lifts(onnxq_plan *plan, onnxq_error *error)
{
    struct oq_arena arena;
    oq_arena_init(&arena, SIZE_MAX);
    float *x = oq_arena_array(&arena, PIECES_NELEM, sizeof(*x));
    void *scratch = oq_arena_alloc(&arena, OQ_READ_SCRATCH_NBYTES);
    bool ok = !arena.failed || oq_arena_fail(&arena, error);
    for (size_t i = 0; ok && i < plan->n_constants; i++)
        for (struct oq_ranges *r = plan->constants[i].ranges; ok && r != NULL; r = r->next) {
            size_t n;
            if (r->is_measured)
                continue;
            ok = read_pieces(r->source, x, &n, scratch, error);
            r->lift = ok ? find_lift(x, n) : 0;
            if (r->blocks != NULL)
                r->blocks->lift = r->lift;
        }
    oq_arena_fini(&arena);
    return ok;
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
    if (!find_lifts(plan, error))
        return false;
    for (size_t i = 0; i < plan->n_constants; i++)
        for (struct oq_ranges *r = plan->constants[i].ranges; r != NULL; r = r->next)
            if (!add_jobs(&measure, r, error))
                return false;
    const struct oq_pipeline pipeline = {.threads = plan->options.output.threads,
                                         .njobs = measure.nbatches,
                                         .buffer_nbytes = measure.results_nbytes,
                                         .scratch_nbytes = OQ_RECIPE_SCRATCH_NBYTES,
                                         .context = &measure,
                                         .produce = produce,
                                         .consume = consume};
    return oq_pipeline_run(&pipeline, error);
}
