/* Sessions: options, names of inputs and outputs, runs, the profile. */
#define _POSIX_C_SOURCE 200809L
#include "engine/session.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/os.h"
#include "engine/runtime.h"
#include "engine/value.h"

/* CreateSessionFromArray() looks for external data where this says from API version 21 on. */
#define FOLDER_KEY   "session.model_external_initializers_file_folder_path"
#define FOLDER_MINOR 21

/* Values by name: what goes in, or what is asked for. */
struct bound {
    const char **names;
    struct ort_value **values;
    size_t n;
};

struct oq_session {
    struct oq_engine *engine;
    char *path;
    struct ort_session *session;
    struct bound inputs, outputs;
};

/* A failure of the engine with the model, or to take what the options ask for. */
static bool accept(const struct oq_session *session, struct ort_status *status, onnxq_error *error)
{
    return oq_engine_accept(session->engine, status, ONNXQ_ERROR_INPUT, error);
}

/* --- providers --------------------------------------------------------------- */

/* With options of their own, here the default ones. */
#define APPEND(name, call, append)                                                                 \
    static struct ort_status *append_##name(const struct ort_api *api,                             \
                                            struct ort_session_options *options)                   \
    {                                                                                              \
        struct ort_##name##_options *own;                                                          \
        struct ort_status *status = api->Create##call##ProviderOptions(&own);                      \
        if (status != NULL)                                                                        \
            return status;                                                                         \
        status = api->SessionOptionsAppendExecutionProvider_##append(options, own);                \
        api->Release##call##ProviderOptions(own);                                                  \
        return status;                                                                             \
    }
APPEND(cuda, CUDA, CUDA_V2)
APPEND(tensorrt, TensorRT, TensorRT_V2)
APPEND(rocm, ROCM, ROCM)

/*
 * Providers that the general call does not take, and those that it knows by
 * another name than the one without "ExecutionProvider".
 */
static const struct provider {
    const char *name;
    struct ort_status *(*append)(const struct ort_api *api, struct ort_session_options *options);
    const char *short_name;
} providers[] = {
    {"CUDAExecutionProvider", append_cuda, NULL},
    {"TensorrtExecutionProvider", append_tensorrt, NULL},
    {"ROCMExecutionProvider", append_rocm, NULL},
    {"AzureExecutionProvider", NULL, "AZURE"},
    {"DmlExecutionProvider", NULL, "DML"},
    {"JsExecutionProvider", NULL, "JS"},
    {"NvTensorRTRTXExecutionProvider", NULL, "NvTensorRtRtx"},
    {"WebGpuExecutionProvider", NULL, "WebGPU"},
    {"WebNNExecutionProvider", NULL, "WEBNN"},
    {"XnnpackExecutionProvider", NULL, "XNNPACK"},
};

static struct ort_status *append_provider(const struct ort_api *api,
                                          struct ort_session_options *options, const char *name)
{
    char short_name[64];
    const struct provider *known = NULL;
    for (size_t i = 0; i < sizeof(providers) / sizeof(providers[0]); i++) {
        if (strcmp(providers[i].name, name) == 0)
            known = &providers[i];
    }
    if (known != NULL && known->append != NULL)
        return known->append(api, options);
    snprintf(short_name, sizeof(short_name), "%s", known != NULL ? known->short_name : name);
    char *suffix = strstr(short_name, "ExecutionProvider");
    if (suffix != NULL)
        *suffix = '\0';
    return api->SessionOptionsAppendExecutionProvider(options, short_name, NULL, NULL, 0);
}

/* All are known; what comes behind the CPU would never be asked. */
static bool append_providers(struct oq_session *session, const struct oq_session_options *wanted,
                             struct ort_session_options *options, onnxq_error *error)
{
    bool is_behind_cpu = false;
    for (size_t i = 0; i < wanted->n_providers; i++) {
        const char *name = oq_engine_find_provider(session->engine, wanted->providers[i], error);
        if (name == NULL)
            return false;
        is_behind_cpu |= strcmp(name, "CPUExecutionProvider") == 0;
        if (is_behind_cpu)
            continue;
        if (!oq_engine_accept(session->engine, append_provider(session->engine->api, options, name),
                              ONNXQ_ERROR_ENGINE, error)) {
            oq_error_place(error, "%s", name);
            oq_error_file(error, session->engine->library.path);
            return false;
        }
    }
    return true;
}

/* --- opening ------------------------------------------------------------------ */

/* Spinning threads that outlive a run would slow down the other session of a comparison. */
static bool set_options(struct oq_session *session, const struct oq_session_options *wanted,
                        struct ort_session_options *options, onnxq_error *error)
{
    const struct ort_api *api = session->engine->api;
    int threads = wanted->threads <= INT_MAX ? (int)wanted->threads : INT_MAX;
    return accept(session,
                  api->SetSessionGraphOptimizationLevel(options, (unsigned)wanted->opt_level),
                  error) &&
           (threads == 0 || accept(session, api->SetIntraOpNumThreads(options, threads), error)) &&
           accept(session, api->SetInterOpNumThreads(options, 1), error) &&
           accept(session, api->SetSessionExecutionMode(options, OQ_ORT_SEQUENTIAL), error) &&
           accept(session, api->AddSessionConfigEntry(options, "session.force_spinning_stop", "1"),
                  error) &&
           (wanted->profile_prefix == NULL ||
            accept(session, api->EnableProfiling(options, wanted->profile_prefix), error)) &&
           append_providers(session, wanted, options, error);
}

static struct oq_session *make(struct oq_engine *engine, const char *path, onnxq_error *error)
{
    struct oq_session *session = calloc(1, sizeof(*session));
    if (session == NULL || (session->path = strdup(path)) == NULL) {
        free(session);
        oq_fail_memory(error);
        return NULL;
    }
    session->engine = engine;
    return session;
}

/* A model: in a file where bytes is NULL. */
struct source {
    const char *path;
    const void *bytes;
    size_t nbytes;
    const char *folder;
};

static bool create(struct oq_session *session, const struct source *source,
                   const struct ort_session_options *options, onnxq_error *error)
{
    const struct ort_api *api = session->engine->api;
    const struct ort_env *env = session->engine->env;
    return accept(session,
                  source->bytes == NULL
                      ? api->CreateSession(env, source->path, options, &session->session)
                      : api->CreateSessionFromArray(env, source->bytes, source->nbytes, options,
                                                    &session->session),
                  error);
}

static bool set_folder(struct oq_session *session, const char *folder,
                       struct ort_session_options *options, onnxq_error *error)
{
    const struct oq_library *library = &session->engine->library;
    if (folder == NULL)
        return true;
    if (library->minor < FOLDER_MINOR) {
        oq_fail(error, ONNXQ_ERROR_ENGINE, "too old for this: found %s, needs 1.%d or newer",
                library->version, FOLDER_MINOR);
        oq_error_file(error, library->path);
        return false;
    }
    return accept(session,
                  session->engine->api->AddSessionConfigEntry(options, FOLDER_KEY,
                                                              folder[0] != '\0' ? folder : "."),
                  error);
}

/* Where the engine is older than what the model needs, that is why. */
static void explain(const struct oq_session *session, const char *path, onnxq_error *error)
{
    const struct oq_library *library = &session->engine->library;
    onnxq_model *model = error->status == ONNXQ_ERROR_INPUT ? onnxq_model_open(path, NULL) : NULL;
    onnxq_inspection *inspection = model == NULL ? NULL : onnxq_inspection_create(model, NULL);
    if (inspection != NULL && inspection->n_requirements > 0) {
        const onnxq_requirement *first = inspection->requirements;
        if (strtoul(strchr(first->ort, '.') + 1, NULL, 10) > library->minor)
            oq_error_hint(error, "it needs ONNX Runtime %s or later (%.80s), this is %s (%.100s)",
                          first->ort, first->what, library->version, library->path);
    }
    onnxq_inspection_destroy(inspection);
    onnxq_model_close(model);
}

static struct oq_session *open_source(struct oq_engine *engine, const struct source *source,
                                      const struct oq_session_options *wanted, onnxq_error *error)
{
    struct ort_session_options *options = NULL;
    struct oq_session *session = make(engine, source->path, error);
    if (session == NULL)
        return NULL;
    bool ok = accept(session, engine->api->CreateSessionOptions(&options), error) &&
              set_options(session, wanted, options, error) &&
              set_folder(session, source->folder, options, error) &&
              create(session, source, options, error);
    if (options != NULL)
        engine->api->ReleaseSessionOptions(options);
    if (ok)
        return session;
    explain(session, source->path, error);
    oq_error_file(error, source->path);
    oq_session_close(session);
    return NULL;
}

struct oq_session *oq_session_open(struct oq_engine *engine, const char *path,
                                   const struct oq_session_options *options, onnxq_error *error)
{
    return open_source(engine, &(struct source){.path = path}, options, error);
}

struct oq_session *oq_session_open_bytes(struct oq_engine *engine, const void *bytes, size_t nbytes,
                                         const char *folder, const char *path,
                                         const struct oq_session_options *options,
                                         onnxq_error *error)
{
    return open_source(engine, &(struct source){path, bytes, nbytes, folder}, options, error);
}

/* --- inputs and outputs ------------------------------------------------------- */

static void release_values(const struct oq_session *session, const struct bound *bound)
{
    for (size_t i = 0; i < bound->n; i++) {
        if (bound->values[i] != NULL)
            session->engine->api->ReleaseValue(bound->values[i]);
        bound->values[i] = NULL;
    }
}

static void unbind(const struct oq_session *session, struct bound *bound)
{
    release_values(session, bound);
    free(bound->values);
    free(bound->names);
    *bound = (struct bound){0};
}

/* Room for n others, none of which is there yet. */
static bool rebind(const struct oq_session *session, struct bound *bound, size_t n,
                   onnxq_error *error)
{
    unbind(session, bound);
    bound->values = calloc(n + 1, sizeof(*bound->values));
    bound->names = calloc(n + 1, sizeof(*bound->names));
    return (bound->values != NULL && bound->names != NULL) || oq_fail_memory(error);
}

void oq_session_close(struct oq_session *session)
{
    if (session == NULL)
        return;
    unbind(session, &session->inputs);
    unbind(session, &session->outputs);
    if (session->session != NULL)
        session->engine->api->ReleaseSession(session->session);
    free(session->path);
    free(session);
}

bool oq_session_set_inputs(struct oq_session *session, const struct oq_array *inputs,
                           size_t n_inputs, onnxq_error *error)
{
    struct bound *bound = &session->inputs;
    if (!rebind(session, bound, n_inputs, error))
        return false;
    for (size_t i = 0; i < n_inputs; i++) {
        bound->names[i] = inputs[i].name;
        bound->n++;
        if (!oq_value_make(session->engine, &inputs[i], &bound->values[i], error)) {
            oq_error_place(error, "input '%s'", inputs[i].name);
            oq_error_file(error, session->path);
            return false;
        }
    }
    return true;
}

bool oq_session_set_outputs(struct oq_session *session, const char *const *names, size_t n_names,
                            onnxq_error *error)
{
    if (!rebind(session, &session->outputs, n_names, error))
        return false;
    if (n_names > 0)
        memcpy(session->outputs.names, names, n_names * sizeof(*names));
    session->outputs.n = n_names;
    return true;
}

/* --- running ------------------------------------------------------------------ */

bool oq_session_run(struct oq_session *session, onnxq_error *error)
{
    const struct bound *in = &session->inputs, *out = &session->outputs;
    release_values(session, out);
    if (accept(session,
               session->engine->api->Run(session->session, NULL, in->names,
                                         (const struct ort_value *const *)in->values, in->n,
                                         out->names, out->n, out->values),
               error))
        return true;
    oq_error_file(error, session->path);
    return false;
}

bool oq_session_get_output(const struct oq_session *session, size_t k, struct oq_array *array,
                           onnxq_error *error)
{
    *array = (struct oq_array){0};
    if (oq_value_read(session->engine, session->outputs.values[k], session->outputs.names[k], array,
                      error))
        return true;
    oq_array_fini(array);
    oq_error_place(error, "output '%s'", session->outputs.names[k]);
    oq_error_file(error, session->path);
    return false;
}

bool oq_session_borrow_output(const struct oq_session *session, size_t k, struct oq_floats *floats,
                              onnxq_error *error)
{
    if (oq_value_borrow(session->engine, session->outputs.values[k], floats, error))
        return true;
    oq_error_place(error, "output '%s'", session->outputs.names[k]);
    oq_error_file(error, session->path);
    return false;
}

/* The engine gives the name of the file also where it could not write it. */
static char *copy_profile_name(const char *name, onnxq_error *error)
{
    struct oq_file_status status;
    char *copy = strdup(name);
    if (copy == NULL) {
        oq_fail_memory(error);
    } else if (!oq_os_status(name, &status)) {
        oq_fail_errno(error, ONNXQ_ERROR_OUTPUT, errno, "the profile was not written");
        oq_error_file(error, name);
        free(copy);
        copy = NULL;
    }
    return copy;
}

char *oq_session_end_profile(struct oq_session *session, onnxq_error *error)
{
    const struct ort_api *api = session->engine->api;
    struct ort_allocator *allocator;
    char *name, *copy = NULL;
    if (accept(session, api->GetAllocatorWithDefaultOptions(&allocator), error) &&
        accept(session, api->SessionEndProfiling(session->session, allocator, &name), error)) {
        copy = copy_profile_name(name, error);
        api->ReleaseStatus(api->AllocatorFree(allocator, name));
    }
    oq_error_file(error, session->path);
    return copy;
}
