/* What a worker does with the engine. */
#ifndef OQ_BENCH_TIMED_RUNNER_H
#define OQ_BENCH_TIMED_RUNNER_H

#include "bench/worker.h"
#include "engine/session.h"
#include "arrays/input_files.h"

/* One model and how it is run; all borrowed. */
struct oq_timed_runner {
    const char *path;
    const char *const *outputs;
    size_t n_outputs;
    const struct oq_input_sets *sets;
    const char *ort_lib; /* or NULL */
    struct oq_session_options options;
    /* from here on the worker's own */
    struct oq_engine *engine;
    struct oq_session *session;
    struct oq_memory memory_before;
};

/* An oq_worker_fn; data is a struct oq_timed_runner. */
bool oq_timed_runner_serve(void *data, const struct oq_worker_request *request,
                           struct oq_worker_reply *reply, onnxq_error *error);

#endif
