/* A session, or a model as a whole, that is run with one set of inputs after the other. */
#ifndef OQ_RUN_RUNNER_H
#define OQ_RUN_RUNNER_H

#include "run/feedback.h"
#include "engine/session.h"

/* What goes into a model, run after run. */
struct oq_run_inputs {
    const struct oq_input_sets *sets; /* bound to the model's signature */
    const struct oq_feedback *feedback;
    size_t n_feedback;
    const char *mask; /* an input: where it is 0, outputs do not count; NULL: everything counts */
};

/* What models are run with; all borrowed. */
struct oq_run_setup {
    struct oq_engine *engine;
    struct oq_session_options session;
    struct oq_run_inputs inputs;
    /* NULL: nobody watches. False ends it: ONNXQ_ERROR_CANCELLED. */
    bool (*progress)(void *data, const char *model, uint64_t n_done, uint64_t n_runs);
    void *progress_data;
};

bool oq_run_progress(const struct oq_run_setup *setup, const char *model, uint64_t n_done,
                     uint64_t n_runs, onnxq_error *error);

/* The mask of a run, or NULL. */
const struct oq_array *oq_run_inputs_mask(const struct oq_run_inputs *inputs, size_t run);

struct oq_runner {
    const struct oq_run_inputs *given;
    struct oq_session *session;
    struct oq_array *inputs; /* of the run at hand; arrays and names are borrowed */
    size_t n_inputs, inputs_capacity;
    const char **outputs; /* those that were asked for, then others that are carried */
    size_t n_outputs;
    struct oq_arrays *carried; /* outputs that are inputs of the next run, named so; or NULL */
};

/*
 * Takes the session, also on failure; NULL where opening it has failed. What is carried goes on
 * from `carried`, where that is not NULL.
 */
bool oq_runner_init(struct oq_runner *runner, const struct oq_run_inputs *given,
                    struct oq_session *session, const char *const *outputs, size_t n_outputs,
                    struct oq_arrays *carried, onnxq_error *error);
void oq_runner_fini(struct oq_runner *runner);

/* Inputs for the next run: none, those of a set with what is carried, or one more of that name. */
void oq_runner_clear(struct oq_runner *runner);
bool oq_runner_put_set(struct oq_runner *runner, size_t set, onnxq_error *error);
bool oq_runner_put(struct oq_runner *runner, const char *name, const struct oq_array *array,
                   onnxq_error *error);
const struct oq_array *oq_runner_find_input(const struct oq_runner *runner, const char *name);

bool oq_runner_run(const struct oq_runner *runner, onnxq_error *error);

/* What the next set goes on with, out of the last run; and to go on with it. */
bool oq_runner_get_carried(struct oq_runner *runner, struct oq_arrays *next, onnxq_error *error);
void oq_runner_go_on(struct oq_runner *runner, struct oq_arrays *next);

/* Both at once. */
bool oq_runner_carry(struct oq_runner *runner, onnxq_error *error);

/* --- a model with every set ------------------------------------------------------ */

struct oq_runs {
    const struct oq_run_setup *setup; /* what is fed back need not be among the outputs */
    const char *const *outputs;       /* that are wanted */
    size_t n_outputs;
    bool engine_failed; /* in the last run */
};

/* Takes what a run gave; it may keep the arrays by clearing the list. */
typedef bool (*oq_runs_take)(void *data, size_t run, struct oq_arrays *outputs, onnxq_error *error);

/* Keeps all that a run gives: data[run], a struct oq_arrays. */
bool oq_runs_keep(void *data, size_t run, struct oq_arrays *outputs, onnxq_error *error);

/* Loads the model, runs it with every set, and lets go of it. */
bool oq_runs_do(struct oq_runs *runs, const char *path, oq_runs_take take, void *data,
                onnxq_error *error);

#endif
