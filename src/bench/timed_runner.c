/* Loads a model in the worker, runs it and takes the times. */
#define _POSIX_C_SOURCE 200809L
#include "bench/timed_runner.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

/* --- loading ------------------------------------------------------------------ */

static bool open_engine(struct oq_timed_runner *runner, onnxq_error *error)
{
    oq_memory_read(&runner->memory_before);
    runner->engine = oq_engine_open(runner->ort_lib, error);
    return runner->engine != NULL;
}

static bool set_inputs(struct oq_timed_runner *runner, size_t set, onnxq_error *error)
{
    const struct oq_arrays *inputs = &runner->sets->list[set].inputs;
    return oq_session_set_inputs(runner->session, inputs->list, inputs->count, error);
}

/* Opens a session in the place of the one that is open. */
static bool open_session(struct oq_timed_runner *runner, const struct oq_session_options *options,
                         uint64_t *load_ns, onnxq_error *error)
{
    oq_session_close(runner->session);
    uint64_t began = oq_now_ns();
    runner->session = oq_session_open(runner->engine, runner->path, options, error);
    *load_ns = oq_now_ns() - began;
    return runner->session != NULL &&
           oq_session_set_outputs(runner->session, runner->outputs, runner->n_outputs, error);
}

static bool load(struct oq_timed_runner *runner, struct oq_worker_reply *reply, onnxq_error *error)
{
    if (runner->engine == NULL && !open_engine(runner, error))
        return false;
    snprintf(reply->engine_version, sizeof(reply->engine_version), "%s",
             oq_engine_version(runner->engine));
    snprintf(reply->engine_path, sizeof(reply->engine_path), "%s", oq_engine_path(runner->engine));
    return open_session(runner, &runner->options, &reply->load_ns, error);
}

/* --- running ------------------------------------------------------------------ */

static bool run(struct oq_timed_runner *runner, size_t set, size_t n, uint64_t *times_ns,
                onnxq_error *error)
{
    if (!set_inputs(runner, set, error) || !oq_session_run(runner->session, error)) {
        oq_error_place(error, "%s", runner->sets->list[set].label);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        uint64_t began = oq_now_ns();
        if (!oq_session_run(runner->session, error))
            return false;
        times_ns[i] = oq_now_ns() - began;
    }
    return true;
}

static bool tell_memory(const struct oq_timed_runner *runner, struct oq_worker_reply *reply)
{
    oq_memory_read(&reply->memory);
    reply->memory_before = runner->memory_before;
    return true;
}

static bool profile(struct oq_timed_runner *runner, const struct oq_worker_request *request,
                    struct oq_worker_reply *reply, onnxq_error *error)
{
    char prefix[OQ_WORKER_PATH_CAPACITY + sizeof("/profile")];
    struct oq_session_options options = runner->options;
    snprintf(prefix, sizeof(prefix), "%s/profile", request->folder);
    options.profile_prefix = prefix;
    if (!open_session(runner, &options, &reply->load_ns, error))
        return false;
    /* One run that counts behind each that warms up, as oq_profile_read() has it. */
    for (size_t i = 0; i < request->n; i++) {
        uint64_t unused;
        if (!run(runner, i % runner->sets->count, 1, &unused, error))
            return false;
    }
    char *path = oq_session_end_profile(runner->session, error);
    if (path == NULL)
        return false;
    snprintf(reply->profile, sizeof(reply->profile), "%s", path);
    free(path);
    return true;
}

bool oq_timed_runner_serve(void *data, const struct oq_worker_request *request,
                           struct oq_worker_reply *reply, onnxq_error *error)
{
    struct oq_timed_runner *runner = data;
    switch (request->task) {
    case OQ_WORKER_LOAD:
        return load(runner, reply, error);
    case OQ_WORKER_RUN:
        return run(runner, request->set, request->n, reply->times_ns, error);
    case OQ_WORKER_MEMORY:
        return tell_memory(runner, reply);
    case OQ_WORKER_PROFILE:
        return profile(runner, request, reply, error);
    }
    return oq_fail(error, ONNXQ_ERROR_INTERNAL, "a task that is not known");
}
