/* Opens the library, asks for its functions, and turns its failures into errors. */
#define _POSIX_C_SOURCE 200809L
#include "engine/runtime.h"

#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
static const char suffix[] = "ExecutionProvider";

static bool start(struct oq_engine *engine, onnxq_error *error)
{
    const struct ort_api *api = engine->api = engine->library.api;
    return oq_engine_accept(engine, api->CreateEnv(OQ_ORT_LOG_FATAL, "onnxq", &engine->env),
                            ONNXQ_ERROR_ENGINE, error) &&
           oq_engine_accept(engine, api->DisableTelemetryEvents(engine->env), ONNXQ_ERROR_ENGINE,
                            error) &&
           oq_engine_accept(engine,
                            api->GetAvailableProviders(&engine->providers, &engine->n_providers),
                            ONNXQ_ERROR_ENGINE, error);
}

struct oq_engine *oq_engine_open(const char *path, onnxq_error *error)
{
    struct oq_engine *engine = calloc(1, sizeof(*engine));
    if (engine == NULL) {
        oq_fail_memory(error);
        return NULL;
    }
    /* Before it starts: DisableTelemetryEvents() comes too late for its file in TMPDIR. */
    setenv("ORT_DISABLE_TELEMETRY", "1", 1);
    if (oq_library_find(&engine->library, path, error)) {
        if (start(engine, error))
            return engine;
        oq_error_file(error, engine->library.path);
        oq_error_place(error, "ONNX Runtime %s", engine->library.version);
    }
    oq_engine_close(engine);
    return NULL;
}

/* The library itself stays: it has threads and destructors that do not expect to be unloaded. */
void oq_engine_close(struct oq_engine *engine)
{
    if (engine == NULL)
        return;
    if (engine->providers != NULL)
        engine->api->ReleaseStatus(
            engine->api->ReleaseAvailableProviders(engine->providers, engine->n_providers));
    if (engine->env != NULL)
        engine->api->ReleaseEnv(engine->env);
    oq_library_fini(&engine->library);
    free(engine);
}

const char *oq_engine_version(const struct oq_engine *engine)
{
    return engine->library.version;
}

const char *oq_engine_path(const struct oq_engine *engine)
{
    return engine->library.path;
}

/* --- providers --------------------------------------------------------------- */

/* Length of "CUDA" in "CUDAExecutionProvider". */
static size_t short_length(const char *provider)
{
    size_t length = strlen(provider), n = strlen(suffix);
    return length > n && strcmp(provider + length - n, suffix) == 0 ? length - n : length;
}

static bool is_called(const char *provider, const char *name)
{
    return oq_is_same_word(provider, strlen(provider), name) ||
           oq_is_same_word(provider, short_length(provider), name);
}

/* "cuda, cpu" */
static void list_providers(const struct oq_engine *engine, char *text, size_t capacity)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < engine->n_providers; i++) {
        const char *name = engine->providers[i];
        size_t n = short_length(name);
        if (used + n + 3 > capacity)
            return;
        used += (size_t)snprintf(text + used, capacity - used, "%s", used > 0 ? ", " : "");
        for (size_t k = 0; k < n; k++)
            text[used++] = (char)(name[k] >= 'A' && name[k] <= 'Z' ? name[k] - 'A' + 'a' : name[k]);
        text[used] = '\0';
    }
}

const char *oq_engine_find_provider(const struct oq_engine *engine, const char *name,
                                    onnxq_error *error)
{
    char list[256];
    for (int i = 0; i < engine->n_providers; i++) {
        if (is_called(engine->providers[i], name))
            return engine->providers[i];
    }
    list_providers(engine, list, sizeof(list));
    oq_fail(error, ONNXQ_ERROR_ENGINE,
            "this ONNX Runtime %s has no execution provider '%.60s'; it has %s",
            engine->library.version, name, list);
    oq_error_file(error, engine->library.path);
    if (oq_is_same_word("cuda", 4, name) || oq_is_same_word("tensorrt", 8, name))
        oq_error_hint(error, "pip install onnxruntime-gpu");
    return NULL;
}

/* --- errors ------------------------------------------------------------------ */

bool oq_engine_accept(const struct oq_engine *engine, struct ort_status *status, onnxq_status kind,
                      onnxq_error *error)
{
    char text[sizeof(error->message)];
    if (status == NULL)
        return true;
    bool is_provider = engine->api->GetErrorCode(status) == OQ_ORT_EP_FAIL;
    oq_engine_clean_message(engine->api->GetErrorMessage(status), text, sizeof(text));
    engine->api->ReleaseStatus(status);
    return oq_fail(error, is_provider ? ONNXQ_ERROR_ENGINE : kind, "%s",
                   text[0] != '\0' ? text : "ONNX Runtime failed and does not say why");
}
