/* A session with its inputs bound, state carried over, outputs taken. */
#include "run/runner.h"

#include <stdlib.h>
#include <string.h>

#include "base/os.h"

bool oq_run_progress(const struct oq_run_setup *setup, const char *model, uint64_t n_done,
                     uint64_t n_runs, onnxq_error *error)
{
    return setup->progress == NULL ||
           setup->progress(setup->progress_data, model, n_done, n_runs) ||
           oq_fail(error, ONNXQ_ERROR_CANCELLED, "cancelled");
}

const struct oq_array *oq_run_inputs_mask(const struct oq_run_inputs *inputs, size_t run)
{
    return inputs->mask == NULL ? NULL
                                : oq_arrays_find(&inputs->sets->list[run].inputs, inputs->mask);
}

/* --- outputs -------------------------------------------------------------------- */

/* The number of an output, which is added where it is new. */
static size_t ask_for(struct oq_runner *runner, const char *name)
{
    size_t i = 0;
    while (i < runner->n_outputs && strcmp(runner->outputs[i], name) != 0)
        i++;
    if (i == runner->n_outputs)
        runner->outputs[runner->n_outputs++] = name;
    return i;
}

static bool init_outputs(struct oq_runner *runner, const char *const *outputs, size_t n_outputs,
                         onnxq_error *error)
{
    const size_t n_carried = runner->carried != NULL ? runner->given->n_feedback : 0;
    runner->outputs = calloc(n_outputs + n_carried + 1, sizeof(*runner->outputs));
    if (runner->outputs == NULL)
        return oq_fail_memory(error);
    if (n_outputs > 0)
        memcpy(runner->outputs, outputs, n_outputs * sizeof(*outputs));
    runner->n_outputs = n_outputs;
    for (size_t f = 0; f < n_carried; f++)
        ask_for(runner, runner->given->feedback[f].output);
    return oq_session_set_outputs(runner->session, runner->outputs, runner->n_outputs, error);
}

bool oq_runner_init(struct oq_runner *runner, const struct oq_run_inputs *given,
                    struct oq_session *session, const char *const *outputs, size_t n_outputs,
                    struct oq_arrays *carried, onnxq_error *error)
{
    *runner = (struct oq_runner){.given = given, .session = session, .carried = carried};
    return session != NULL && init_outputs(runner, outputs, n_outputs, error);
}

void oq_runner_fini(struct oq_runner *runner)
{
    oq_session_close(runner->session);
    oq_os_give_back_memory(); /* the next session's would come on top of it */
    free(runner->inputs);
    free(runner->outputs);
    *runner = (struct oq_runner){0};
}

/* --- inputs --------------------------------------------------------------------- */

void oq_runner_clear(struct oq_runner *runner)
{
    runner->n_inputs = 0;
}

static size_t find_input(const struct oq_runner *runner, const char *name)
{
    size_t i = 0;
    while (i < runner->n_inputs && strcmp(runner->inputs[i].name, name) != 0)
        i++;
    return i;
}

const struct oq_array *oq_runner_find_input(const struct oq_runner *runner, const char *name)
{
    size_t i = find_input(runner, name);
    return i < runner->n_inputs ? &runner->inputs[i] : NULL;
}

bool oq_runner_put(struct oq_runner *runner, const char *name, const struct oq_array *array,
                   onnxq_error *error)
{
    size_t i = find_input(runner, name);
    if (i == runner->inputs_capacity) {
        size_t capacity = 2 * runner->inputs_capacity + 8;
        struct oq_array *inputs = realloc(runner->inputs, capacity * sizeof(*inputs));
        if (inputs == NULL)
            return oq_fail_memory(error);
        runner->inputs = inputs;
        runner->inputs_capacity = capacity;
    }
    runner->n_inputs += i == runner->n_inputs;
    runner->inputs[i] = *array;
    runner->inputs[i].name = (char *)(uintptr_t)name; /* nobody writes through it */
    return true;
}

static bool put_all(struct oq_runner *runner, const struct oq_arrays *arrays, onnxq_error *error)
{
    for (size_t i = 0; i < arrays->count; i++)
        if (!oq_runner_put(runner, arrays->list[i].name, &arrays->list[i], error))
            return false;
    return true;
}

bool oq_runner_put_set(struct oq_runner *runner, size_t set, onnxq_error *error)
{
    oq_runner_clear(runner);
    return put_all(runner, &runner->given->sets->list[set].inputs, error) &&
           (runner->carried == NULL || put_all(runner, runner->carried, error));
}

/* --- runs ----------------------------------------------------------------------- */

bool oq_runner_run(const struct oq_runner *runner, onnxq_error *error)
{
    return oq_session_set_inputs(runner->session, runner->inputs, runner->n_inputs, error) &&
           oq_session_run(runner->session, error);
}

static bool carry(struct oq_runner *runner, const struct oq_feedback *feedback,
                  struct oq_arrays *next, onnxq_error *error)
{
    struct oq_array *array = oq_arrays_add(next, error);
    return array != NULL &&
           oq_session_get_output(runner->session, ask_for(runner, feedback->output), array,
                                 error) &&
           oq_array_rename(array, feedback->input, error);
}

bool oq_runner_get_carried(struct oq_runner *runner, struct oq_arrays *next, onnxq_error *error)
{
    bool ok = true;
    for (size_t f = 0; ok && runner->carried != NULL && f < runner->given->n_feedback; f++)
        ok = carry(runner, &runner->given->feedback[f], next, error);
    return ok;
}

void oq_runner_go_on(struct oq_runner *runner, struct oq_arrays *next)
{
    if (runner->carried == NULL)
        return;
    oq_runner_clear(runner); /* its inputs are those that go now */
    oq_arrays_fini(runner->carried);
    *runner->carried = *next;
    *next = (struct oq_arrays){0};
}

bool oq_runner_carry(struct oq_runner *runner, onnxq_error *error)
{
    struct oq_arrays next = {0};
    bool ok = oq_runner_get_carried(runner, &next, error);
    if (ok)
        oq_runner_go_on(runner, &next);
    oq_arrays_fini(&next);
    return ok;
}

/* --- a model with every set ----------------------------------------------------- */

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

static bool run_set(struct oq_runs *runs, struct oq_runner *runner, size_t run, oq_runs_take take,
                    void *data, onnxq_error *error)
{
    struct oq_arrays outputs = {0};
    bool is_ready = oq_runner_put_set(runner, run, error);
    bool has_run = is_ready && oq_runner_run(runner, error);
    runs->engine_failed = is_ready && !has_run;
    bool ok = has_run && get_outputs(runs, runner->session, &outputs, error) &&
              oq_runner_carry(runner, error) && take(data, run, &outputs, error);
    oq_arrays_fini(&outputs);
    return ok;
}

static bool run_all(struct oq_runs *runs, struct oq_runner *runner, const char *path,
                    oq_runs_take take, void *data, onnxq_error *error)
{
    const struct oq_input_sets *sets = runs->setup->inputs.sets;
    for (size_t run = 0; run < sets->count; run++) {
        if (!run_set(runs, runner, run, take, data, error)) {
            oq_error_place(error, "%s", sets->list[run].label);
            return false;
        }
        if (!oq_run_progress(runs->setup, path, run + 1, sets->count, error))
            return false;
    }
    return true;
}

bool oq_runs_keep(void *data, size_t run, struct oq_arrays *outputs, onnxq_error *error)
{
    struct oq_arrays *kept = data;
    (void)error;
    kept[run] = *outputs;
    *outputs = (struct oq_arrays){0};
    return true;
}

bool oq_runs_do(struct oq_runs *runs, const char *path, oq_runs_take take, void *data,
                onnxq_error *error)
{
    const struct oq_run_setup *setup = runs->setup;
    struct oq_runner runner;
    struct oq_arrays carried = {0};
    runs->engine_failed = false;
    if (!oq_run_progress(setup, path, 0, setup->inputs.sets->count, error))
        return false;
    struct oq_session *session = oq_session_open(setup->engine, path, &setup->session, error);
    bool ok = oq_runner_init(&runner, &setup->inputs, session, runs->outputs, runs->n_outputs,
                             &carried, error) &&
              run_all(runs, &runner, path, take, data, error);
    oq_runner_fini(&runner);
    oq_arrays_fini(&carried);
    if (!ok)
        oq_error_file(error, path);
    return ok;
}
