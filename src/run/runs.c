/* A model, run with one set of inputs after the other. */
#include "run/runs.h"

static bool get_outputs(const struct oq_runs *runs, const struct oq_session *session,
                        struct oq_arrays *outputs, onnxq_error *error)
{
    for (size_t i = 0; i < runs->n_outputs; i++) {
        struct oq_array *array = oq_arrays_add(outputs, error);
        if (array == NULL || !oq_session_get_output(session, i, array, error))
            return false;
    }
    return true;
}

static bool run_set(const struct oq_runs *runs, struct oq_runner *runner, size_t run,
                    oq_runs_take take, void *data, onnxq_error *error)
{
    struct oq_arrays outputs = {0};
    bool is_ready = oq_runner_put_set(runner, run, error);
    bool has_run = is_ready && oq_runner_run(runner, error);
    *runs->engine_failed = is_ready && !has_run;
    bool ok = has_run && get_outputs(runs, runner->session, &outputs, error) &&
              oq_runner_carry(runner, error) && take(data, run, &outputs, error);
    oq_arrays_fini(&outputs);
    return ok;
}

static void report(const struct oq_runs *runs, const char *path, size_t n_done)
{
    if (runs->progress != NULL)
        runs->progress(runs->progress_data, path, n_done, runs->inputs->sets->count);
}

static bool run_all(const struct oq_runs *runs, struct oq_runner *runner, const char *path,
                    oq_runs_take take, void *data, onnxq_error *error)
{
    const struct oq_input_sets *sets = runs->inputs->sets;
    for (size_t run = 0; run < sets->count; run++) {
        if (!run_set(runs, runner, run, take, data, error)) {
            oq_error_place(error, "%s", sets->list[run].label);
            return false;
        }
        report(runs, path, run + 1);
    }
    return true;
}

bool oq_runs_do(const struct oq_runs *runs, const char *path, oq_runs_take take, void *data,
                onnxq_error *error)
{
    struct oq_runner runner;
    struct oq_arrays carried = {0};
    report(runs, path, 0);
    struct oq_session *session = oq_session_open(runs->engine, path, runs->session, error);
    bool ok = oq_runner_init(&runner, runs->inputs, session, runs->outputs, runs->n_outputs,
                             &carried, error) &&
              run_all(runs, &runner, path, take, data, error);
    oq_runner_fini(&runner);
    oq_arrays_fini(&carried);
    if (!ok)
        oq_error_file(error, path);
    return ok;
}
