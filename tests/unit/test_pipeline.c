/* The ordered pipeline: what is consumed does not depend on who produces it. */
#define _POSIX_C_SOURCE 200809L
#include "base/pipeline.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "support/suite.h"

#define BUFFER_NBYTES 64

struct work {
    size_t njobs;
    size_t fail_from; /* jobs from this one on cannot be produced */
    size_t stop_at;   /* this one cannot be consumed */
    bool slow;        /* some jobs take longer than those behind them */
    size_t consumed;  /* so far, in order */
    atomic_size_t busy, most_busy;
    atomic_size_t produced;
};

static void dawdle(size_t job)
{
    struct timespec time = {.tv_nsec = (long)(job * 7919 % 5) * 300000};
    nanosleep(&time, NULL);
}

static bool produce(void *context, size_t job, void *buffer, void *scratch, onnxq_error *error)
{
    struct work *work = context;
    size_t busy = ++work->busy;
    if (busy > work->most_busy)
        work->most_busy = busy;
    memset(scratch, (int)(job & 255), BUFFER_NBYTES); /* everybody has his own */
    if (work->slow)
        dawdle(job);
    memcpy(buffer, scratch, BUFFER_NBYTES);
    work->busy--;
    work->produced++;
    return job < work->fail_from || oq_fail(error, ONNXQ_ERROR_INPUT, "job %zu", job);
}

static bool consume(void *context, size_t job, const void *buffer, onnxq_error *error)
{
    struct work *work = context;
    const unsigned char *bytes = buffer;
    assert_int_equal(job, work->consumed);
    for (size_t i = 0; i < BUFFER_NBYTES; i++)
        assert_int_equal(bytes[i], job & 255);
    if (job == work->stop_at)
        return oq_fail(error, ONNXQ_ERROR_CANCELLED, "stopped at %zu", job);
    work->consumed++;
    return true;
}

static bool run(struct work *work, unsigned threads, onnxq_error *error)
{
    const struct oq_pipeline pipeline = {.threads = threads,
                                         .njobs = work->njobs,
                                         .buffer_nbytes = BUFFER_NBYTES,
                                         .scratch_nbytes = BUFFER_NBYTES,
                                         .context = work,
                                         .produce = produce,
                                         .consume = consume};
    oq_error_init(error);
    return oq_pipeline_run(&pipeline, error);
}

#define NEVER SIZE_MAX

static const struct row {
    const char *name;
    size_t njobs, fail_from, stop_at;
    bool slow;
    size_t consumed;
    const char *error; /* "": none */
} rows[] = {
    {"nothing to do", 0, NEVER, NEVER, false, 0, ""},
    {"one job", 1, NEVER, NEVER, false, 1, ""},
    {"fewer jobs than threads", 3, NEVER, NEVER, false, 3, ""},
    {"many jobs", 2000, NEVER, NEVER, false, 2000, ""},
    {"slow jobs", 100, NEVER, NEVER, true, 100, ""},
    {"the first fails", 50, 0, NEVER, false, 0, "job 0"},
    {"all from one on fail", 300, 37, NEVER, true, 37, "job 37"},
    {"the last fails", 50, 49, NEVER, false, 49, "job 49"},
    {"the consumer stops at once", 50, NEVER, 0, false, 0, "stopped at 0"},
    {"the consumer stops", 300, NEVER, 41, true, 41, "stopped at 41"},
    {"the consumer stops before a failure", 300, 60, 41, true, 41, "stopped at 41"},
    {"a failure before the consumer stops", 300, 20, 41, true, 20, "job 20"},
};

static void test_run(void **state)
{
    const struct row *row = *state;
    onnxq_error error;
    for (unsigned threads = 0; threads <= 9; threads++) {
        struct work work = {.njobs = row->njobs,
                            .fail_from = row->fail_from,
                            .stop_at = row->stop_at,
                            .slow = row->slow};
        bool ok = run(&work, threads, &error);
        assert_int_equal(ok, row->error[0] == '\0');
        assert_int_equal(work.consumed, row->consumed);
        assert_string_equal(error.message, row->error);
        assert_int_equal(work.busy, 0); /* nobody works any more */
    }
}

/* One thread means one thread, and many never more than were asked for. */
static void test_threads(void **state)
{
    (void)state;
    onnxq_error error;
    for (unsigned threads = 1; threads <= 8; threads++) {
        struct work work = {.njobs = 60, .fail_from = NEVER, .stop_at = NEVER, .slow = true};
        assert_true(run(&work, threads, &error));
        assert_in_range(work.most_busy, 1, threads);
        assert_int_equal(work.produced, 60);
    }
    struct work work = {.njobs = 60, .fail_from = NEVER, .stop_at = NEVER, .slow = true};
    assert_true(run(&work, 100000, &error));
    assert_in_range(work.most_busy, 2, 64);
}

/* After a stop, workers do not run through all that was left. */
static void test_stops_soon(void **state)
{
    (void)state;
    onnxq_error error;
    struct work work = {.njobs = 100000, .fail_from = NEVER, .stop_at = 5};
    assert_false(run(&work, 4, &error));
    assert_in_range(work.produced, 6, 100);
}

/* Buffers that would be larger than memory: an error, no crash. */
static void test_memory(void **state)
{
    (void)state;
    onnxq_error error;
    struct work work = {.njobs = 5};
    for (unsigned threads = 1; threads <= 3; threads += 2) {
        const struct oq_pipeline pipeline = {.threads = threads,
                                             .njobs = 5,
                                             .buffer_nbytes = SIZE_MAX / 4,
                                             .scratch_nbytes = BUFFER_NBYTES,
                                             .context = &work,
                                             .produce = produce,
                                             .consume = consume};
        oq_error_init(&error);
        assert_false(oq_pipeline_run(&pipeline, &error));
        assert_int_equal(error.status, ONNXQ_ERROR_MEMORY);
        assert_int_equal(work.produced, 0);
    }
}

int main(void)
{
    TEST_ROWS(test_run, rows);
    TEST(test_threads);
    TEST(test_stops_soon);
    TEST(test_memory);
    return suite_run();
}
