#include "check/runs.h"

#include <stdlib.h>
#include <string.h>

struct state {
    const struct oq_runs *runs;
    struct oq_session *session;
    struct oq_array *inputs; /* of one run; borrowed from the set and from `carried` */
    size_t n_inputs;
    const char **names; /* of the outputs: those that are wanted, then others that are fed back */
    size_t n_names;
    size_t *sources;          /* feedback f is output number sources[f] */
    struct oq_array *carried; /* what feedback f has in the next run */
};

/* The number of an output, which is added where it is new. */
static size_t add_name(struct state *state, const char *name)
{
    size_t i = 0;
    while (i < state->n_names && strcmp(state->names[i], name) != 0)
        i++;
    if (i == state->n_names)
        state->names[state->n_names++] = name;
    return i;
}

static bool init_state(struct state *state, const struct oq_runs *runs, onnxq_error *error)
{
    size_t n_names = runs->n_outputs + runs->n_feedback, n_inputs = 0;
    for (size_t i = 0; i < runs->sets->count; i++) {
        size_t count = runs->sets->list[i].inputs.count;
        n_inputs = count > n_inputs ? count : n_inputs;
    }
    *state = (struct state){.runs = runs};
    state->inputs = calloc(n_inputs + runs->n_feedback + 1, sizeof(*state->inputs));
    state->names = calloc(n_names + 1, sizeof(*state->names));
    state->sources = calloc(runs->n_feedback + 1, sizeof(*state->sources));
    state->carried = calloc(runs->n_feedback + 1, sizeof(*state->carried));
    if (state->inputs == NULL || state->names == NULL || state->sources == NULL ||
        state->carried == NULL)
        return oq_fail_memory(error);
    for (size_t i = 0; i < runs->n_outputs; i++)
        add_name(state, runs->outputs[i]);
    for (size_t f = 0; f < runs->n_feedback; f++)
        state->sources[f] = add_name(state, runs->feedback[f].output);
    return true;
}

static void fini_state(struct state *state)
{
    oq_session_close(state->session);
    for (size_t f = 0; f < state->runs->n_feedback && state->carried != NULL; f++)
        oq_array_fini(&state->carried[f]);
    free(state->inputs);
    free(state->names);
    free(state->sources);
    free(state->carried);
}

static void put_input(struct state *state, const struct oq_array *array)
{
    size_t i = 0;
    while (i < state->n_inputs && strcmp(state->inputs[i].name, array->name) != 0)
        i++;
    state->inputs[i] = *array;
    state->n_inputs += i == state->n_inputs;
}

static bool set_inputs(struct state *state, size_t run, onnxq_error *error)
{
    const struct oq_arrays *set = &state->runs->sets->list[run].inputs;
    state->n_inputs = 0;
    for (size_t i = 0; i < set->count; i++)
        put_input(state, &set->list[i]);
    for (size_t f = 0; f < state->runs->n_feedback && run > 0; f++)
        put_input(state, &state->carried[f]);
    return oq_session_set_inputs(state->session, state->inputs, state->n_inputs, error);
}

/* What the last run gave is kept for the next one, under the name of the input. */
static bool carry(struct state *state, onnxq_error *error)
{
    for (size_t f = 0; f < state->runs->n_feedback; f++) {
        struct oq_array *carried = &state->carried[f];
        oq_array_fini(carried);
        if (!oq_session_get_output(state->session, state->sources[f], carried, error) ||
            !oq_array_rename(carried, state->runs->feedback[f].input, error))
            return false;
    }
    return true;
}

static bool get_outputs(const struct state *state, struct oq_arrays *outputs, onnxq_error *error)
{
    for (size_t i = 0; i < state->runs->n_outputs; i++) {
        struct oq_array *array = oq_arrays_add(outputs, error);
        if (array == NULL || !oq_session_get_output(state->session, i, array, error))
            return false;
    }
    return true;
}

static bool run_set(struct state *state, size_t run, oq_runs_take take, void *data,
                    onnxq_error *error)
{
    struct oq_arrays outputs = {0};
    bool ok = set_inputs(state, run, error) && oq_session_run(state->session, error) &&
              get_outputs(state, &outputs, error) && carry(state, error) &&
              take(data, run, &outputs, error);
    oq_arrays_fini(&outputs);
    return ok;
}

static void report(const struct oq_runs *runs, const char *path, size_t n_done)
{
    if (runs->progress != NULL)
        runs->progress(runs->progress_data, path, n_done, runs->sets->count);
}

static bool run_all(struct state *state, const char *path, oq_runs_take take, void *data,
                    onnxq_error *error)
{
    const struct oq_runs *runs = state->runs;
    report(runs, path, 0);
    state->session = oq_session_open(runs->engine, path, runs->session, error);
    if (state->session == NULL ||
        !oq_session_set_outputs(state->session, state->names, state->n_names, error))
        return false;
    for (size_t run = 0; run < runs->sets->count; run++) {
        if (!run_set(state, run, take, data, error)) {
            oq_error_place(error, "%s", runs->sets->list[run].label);
            return false;
        }
        report(runs, path, run + 1);
    }
    return true;
}

bool oq_runs_do(const struct oq_runs *runs, const char *path, oq_runs_take take, void *data,
                onnxq_error *error)
{
    struct state state;
    bool ok = init_state(&state, runs, error) && run_all(&state, path, take, data, error);
    fini_state(&state);
    if (!ok)
        oq_error_file(error, path);
    return ok;
}
