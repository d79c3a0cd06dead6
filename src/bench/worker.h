/*
 * A process of its own for each model: its memory is that of one model, and if
 * the engine crashes it takes nothing else along. It is forked before anything
 * is loaded, serves one request at a time and ends with its parent.
 */
#ifndef OQ_BENCH_WORKER_H
#define OQ_BENCH_WORKER_H

#include "base/error.h"
#include "bench/child.h"
#include "bench/memory.h"
#include "bench/schedule.h"

enum oq_worker_task {
    OQ_WORKER_LOAD, /* anew; what was loaded goes */
    OQ_WORKER_RUN,  /* `n` runs with inputs number `set`, each timed, after one that is not */
    OQ_WORKER_MEMORY,
    OQ_WORKER_PROFILE, /* load anew with a profile and run `n` times; what was loaded goes */
};

#define OQ_WORKER_PATH_CAPACITY 4096

struct oq_worker_request {
    enum oq_worker_task task;
    size_t n, set;
    char folder[OQ_WORKER_PATH_CAPACITY]; /* for the profile */
};

struct oq_worker_reply {
    onnxq_error error; /* status ONNXQ_OK: it worked */
    uint64_t load_ns;
    uint64_t times_ns[OQ_BURST_MAX];
    struct oq_memory memory, memory_before; /* before: of the process without the engine */
    char engine_version[64], engine_path[OQ_WORKER_PATH_CAPACITY];
    char profile[OQ_WORKER_PATH_CAPACITY];
};

/* Runs in the worker, with a reply that is all zero. A failure is one of the request only. */
typedef bool (*oq_worker_fn)(void *data, const struct oq_worker_request *request,
                             struct oq_worker_reply *reply, onnxq_error *error);

struct oq_worker {
    const char *name; /* of the model, for messages */
    struct oq_child child;
};

/* Asked some times a second while a worker works; false ends the wait. */
typedef bool (*oq_worker_wait_fn)(void *data);

/*
 * Forks a worker that calls serve(data, ...). The n_others workers that were
 * started before lose nothing by it. The process must have one thread only.
 */
bool oq_worker_start(struct oq_worker *worker, const char *name, oq_worker_fn serve, void *data,
                     const struct oq_worker *others, size_t n_others, onnxq_error *error);

/*
 * Sends a request and waits for the reply, whose error becomes that of the
 * call. A worker that ended is ONNXQ_ERROR_ENGINE; a wait that wait() ended
 * is ONNXQ_ERROR_CANCELLED. After both only oq_worker_stop() is left.
 */
bool oq_worker_ask(struct oq_worker *worker, const struct oq_worker_request *request,
                   struct oq_worker_reply *reply, oq_worker_wait_fn wait, void *wait_data,
                   onnxq_error *error);

/* Ends it, whatever it does, and waits until it is gone. Safe to call twice. */
void oq_worker_stop(struct oq_worker *worker);

#endif
