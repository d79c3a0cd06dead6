/* A model, run with one set of inputs after the other. */
#ifndef OQ_RUN_RUNS_H
#define OQ_RUN_RUNS_H

#include "run/runner.h"

struct oq_runs {
    struct oq_engine *engine;
    const struct oq_session_options *session;
    const struct oq_run_inputs *inputs; /* what is fed back need not be among the outputs */
    const char *const *outputs;         /* that are wanted */
    size_t n_outputs;
    void (*progress)(void *data, const char *model, uint64_t n_done, uint64_t n_runs); /* or NULL */
    void *progress_data;
    bool *engine_failed; /* set where a run fails in the engine */
};

/* Takes what a run gave; it may keep the arrays by clearing the list. */
typedef bool (*oq_runs_take)(void *data, size_t run, struct oq_arrays *outputs, onnxq_error *error);

/* Loads the model, runs it with every set, and lets go of it. */
bool oq_runs_do(const struct oq_runs *runs, const char *path, oq_runs_take take, void *data,
                onnxq_error *error);

#endif
