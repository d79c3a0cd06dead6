/* Workers that take numbered jobs, and a ring of buffers that keeps them in order. */
#include "base/pipeline.h"

#include <stdlib.h>

#include "base/os.h"
#include "base/threads.h"

/*
 * Quantizing runs at the speed of memory: more threads than this add buffers,
 * not speed. All buffers together stay far below the promised 64 MB.
 */
#define MAX_THREADS           8
#define BUFFERS_BUDGET_NBYTES ((size_t)24 << 20)

enum slot_state { SLOT_FREE, SLOT_READY, SLOT_FAILED };

struct slot {
    enum slot_state state;
    void *buffer;
    onnxq_error error;
};

struct run {
    const struct oq_pipeline *pipeline;
    struct slot *slots; /* job j uses slot j % nslots */
    size_t nslots;
    struct oq_monitor *monitor;
    size_t next;     /* the next job that a worker takes */
    size_t consumed; /* jobs before this one are done */
    bool stop;
};

static unsigned choose_threads(const struct oq_pipeline *pipeline)
{
    unsigned threads = pipeline->threads > 0 ? pipeline->threads : oq_os_count_processors();
    if (threads > MAX_THREADS)
        threads = MAX_THREADS;
    return pipeline->njobs < threads ? (unsigned)pipeline->njobs : threads;
}

static bool run_inline(const struct oq_pipeline *pipeline, onnxq_error *error)
{
    bool ok = true;
    void *buffer = malloc(pipeline->buffer_nbytes + 1);
    void *scratch = malloc(pipeline->scratch_nbytes + 1);
    if (buffer == NULL || scratch == NULL)
        ok = oq_fail_memory(error);
    for (size_t job = 0; ok && job < pipeline->njobs; job++)
        ok = pipeline->produce(pipeline->context, job, buffer, scratch, error) &&
             pipeline->consume(pipeline->context, job, buffer, error);
    free(scratch);
    free(buffer);
    return ok;
}

/* Waits for a job that has a free slot; false when there is nothing more to do. */
static bool take_job(struct run *run, size_t *job)
{
    bool taken = false;
    oq_monitor_enter(run->monitor);
    while (!run->stop && run->next < run->pipeline->njobs &&
           run->next - run->consumed >= run->nslots)
        oq_monitor_wait(run->monitor);
    if (!run->stop && run->next < run->pipeline->njobs) {
        *job = run->next++;
        taken = true;
    }
    oq_monitor_leave(run->monitor);
    return taken;
}

static void *work(void *argument)
{
    struct run *run = argument;
    const struct oq_pipeline *pipeline = run->pipeline;
    void *scratch = malloc(pipeline->scratch_nbytes + 1);
    size_t job;
    while (take_job(run, &job)) {
        struct slot *slot = &run->slots[job % run->nslots];
        oq_error_init(&slot->error);
        bool ok = scratch == NULL ? oq_fail_memory(&slot->error)
                                  : pipeline->produce(pipeline->context, job, slot->buffer, scratch,
                                                      &slot->error);
        oq_monitor_enter(run->monitor);
        slot->state = ok ? SLOT_READY : SLOT_FAILED;
        oq_monitor_change(run->monitor);
        oq_monitor_leave(run->monitor);
    }
    free(scratch);
    return NULL;
}

static bool consume_job(struct run *run, size_t job, onnxq_error *error)
{
    struct slot *slot = &run->slots[job % run->nslots];
    oq_monitor_enter(run->monitor);
    while (slot->state == SLOT_FREE)
        oq_monitor_wait(run->monitor);
    oq_monitor_leave(run->monitor);

    if (slot->state == SLOT_FAILED) {
        *error = slot->error;
        return false;
    }
    bool ok = run->pipeline->consume(run->pipeline->context, job, slot->buffer, error);

    oq_monitor_enter(run->monitor);
    slot->state = SLOT_FREE;
    run->consumed = job + 1;
    oq_monitor_change(run->monitor);
    oq_monitor_leave(run->monitor);
    return ok;
}

static void stop_workers(struct run *run, struct oq_thread **workers, unsigned started)
{
    oq_monitor_enter(run->monitor);
    run->stop = true;
    oq_monitor_change(run->monitor);
    oq_monitor_leave(run->monitor);
    for (unsigned i = 0; i < started; i++)
        oq_thread_join(workers[i]);
}

/* As many buffers as keep everybody busy, but no more memory than the budget. */
static bool allocate_slots(struct run *run, unsigned threads)
{
    size_t nbytes = run->pipeline->buffer_nbytes + 1;
    run->nslots = (size_t)threads * 2;
    if (run->nslots > BUFFERS_BUDGET_NBYTES / nbytes)
        run->nslots = BUFFERS_BUDGET_NBYTES / nbytes;
    if (run->nslots < 2)
        run->nslots = 2;
    run->slots = calloc(run->nslots, sizeof(*run->slots));
    for (size_t i = 0; run->slots != NULL && i < run->nslots; i++)
        if ((run->slots[i].buffer = malloc(nbytes)) == NULL)
            return false;
    return run->slots != NULL;
}

static void free_slots(struct run *run)
{
    for (size_t i = 0; run->slots != NULL && i < run->nslots; i++)
        free(run->slots[i].buffer);
    free(run->slots);
}

static bool run_threads(const struct oq_pipeline *pipeline, unsigned threads, onnxq_error *error)
{
    struct run run = {.pipeline = pipeline, .monitor = oq_monitor_create()};
    struct oq_thread *workers[MAX_THREADS];
    unsigned started = 0;
    bool ok = (run.monitor != NULL && allocate_slots(&run, threads)) || oq_fail_memory(error);
    while (ok && started < threads && (workers[started] = oq_thread_start(work, &run)) != NULL)
        started++;
    if (ok && started == 0)
        ok = oq_fail(error, ONNXQ_ERROR_MEMORY, "out of memory for a thread");
    for (size_t job = 0; ok && job < pipeline->njobs; job++)
        ok = consume_job(&run, job, error);
    if (started > 0)
        stop_workers(&run, workers, started);
    free_slots(&run);
    oq_monitor_destroy(run.monitor);
    return ok;
}

bool oq_pipeline_run(const struct oq_pipeline *pipeline, onnxq_error *error)
{
    unsigned threads = choose_threads(pipeline);
    return threads <= 1 ? run_inline(pipeline, error) : run_threads(pipeline, threads, error);
}
