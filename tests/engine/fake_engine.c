/*
 * A library that says it is ONNX Runtime, for tests of what is not or not quite.
 * tests/CMakeLists.txt builds it with several definitions:
 *
 *   FAKE_VERSION     what it says its version is ("": NULL)
 *   FAKE_SYMBOL      the function that it has, instead of OrtGetApiBase
 *   FAKE_NO_BASE     OrtGetApiBase gives NULL
 *   FAKE_NO_API      GetApi gives NULL
 *   FAKE_ENV_FAILS   CreateEnv fails
 *   FAKE_CPU_ONLY    with one provider instead of many
 *
 * It cannot run anything: opening a session fails with a message that has all
 * that was asked for.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/ort_abi.h"

#ifndef FAKE_VERSION
#define FAKE_VERSION "1.20.3"
#endif

#ifndef FAKE_SYMBOL
#define FAKE_SYMBOL OrtGetApiBase
#endif

#define EXPORT __attribute__((visibility("default")))

struct ort_status {
    unsigned code;
    char text[500];
};

static char asked[480]; /* for, since the options were created */

static struct ort_status *fail(unsigned code, const char *text)
{
    struct ort_status *status = calloc(1, sizeof(*status));
    if (status == NULL)
        abort();
    status->code = code;
    snprintf(status->text, sizeof(status->text), "%s", text);
    return status;
}

static struct ort_status *ask(const char *key, const char *value)
{
    size_t used = strlen(asked);
    snprintf(asked + used, sizeof(asked) - used, "%s%s %s", used > 0 ? ", " : "", key, value);
    return NULL;
}

static struct ort_status *ask_number(const char *key, int value)
{
    char text[16];
    snprintf(text, sizeof(text), "%d", value);
    return ask(key, text);
}

/* --- status, environment --------------------------------------------------------- */

static unsigned get_error_code(const struct ort_status *status)
{
    return status->code;
}

static const char *get_error_message(const struct ort_status *status)
{
    return status->text;
}

static void release_status(struct ort_status *status)
{
    free(status);
}

static struct ort_status *create_env(unsigned log_level, const char *log_id, struct ort_env **env)
{
    if (log_level != OQ_ORT_LOG_FATAL || strcmp(log_id, "onnxq") != 0)
        return fail(1, "other arguments were expected");
#ifdef FAKE_ENV_FAILS
    (void)env;
    return fail(6, "no threads\nare left");
#else
    *env = (struct ort_env *)asked;
    return NULL;
#endif
}

static struct ort_status *disable_telemetry(const struct ort_env *env)
{
    return (const char *)env == asked ? NULL : fail(1, "another environment was expected");
}

static void release_env(struct ort_env *env)
{
    (void)env;
}

static struct ort_status *get_providers(char ***names, int *n_names)
{
    static const char *const list[] = {"TensorrtExecutionProvider",
                                       "CUDAExecutionProvider",
                                       "ROCMExecutionProvider",
                                       "XnnpackExecutionProvider",
                                       "OpenVINOExecutionProvider",
                                       "CPUExecutionProvider",
                                       "SomethingElse"};
#ifdef FAKE_CPU_ONLY
    *names = (char **)(uintptr_t)(list + 5);
    *n_names = 1;
#else
    *names = (char **)(uintptr_t)list;
    *n_names = (int)(sizeof(list) / sizeof(list[0]));
#endif
    return NULL;
}

static struct ort_status *release_providers(char **names, int n_names)
{
    return names != NULL && n_names > 0 ? NULL : fail(1, "the list was expected");
}

/* --- options -------------------------------------------------------------------- */

static struct ort_status *create_options(struct ort_session_options **options)
{
    asked[0] = '\0';
    *options = (struct ort_session_options *)asked;
    return NULL;
}

static void release_options(struct ort_session_options *options)
{
    (void)options;
}

#define OPTION(function, key)                                                                      \
    static struct ort_status *function(struct ort_session_options *options, int value)             \
    {                                                                                              \
        (void)options;                                                                             \
        return ask_number(key, value);                                                             \
    }

OPTION(set_intra, "intra")
OPTION(set_inter, "inter")

static struct ort_status *set_level(struct ort_session_options *options, unsigned level)
{
    (void)options;
    return ask_number("level", (int)level);
}

static struct ort_status *set_mode(struct ort_session_options *options, unsigned mode)
{
    (void)options;
    return ask_number("mode", (int)mode);
}

static struct ort_status *add_entry(struct ort_session_options *options, const char *key,
                                    const char *value)
{
    (void)options;
    return ask(key, value);
}

static struct ort_status *enable_profiling(struct ort_session_options *options, const char *prefix)
{
    (void)options;
    return ask("profile", prefix);
}

/* --- providers ------------------------------------------------------------------ */

static struct ort_status *append(struct ort_session_options *options, const char *name,
                                 const char *const *keys, const char *const *values, size_t n_keys)
{
    (void)options, (void)keys, (void)values, (void)n_keys;
    return strcmp(name, "OpenVINO") == 0 ? fail(OQ_ORT_EP_FAIL, "no such device")
                                         : ask("general", name);
}

#define PROVIDER(name)                                                                             \
    static struct ort_status *create_##name(struct ort_##name##_options **options)                 \
    {                                                                                              \
        *options = (struct ort_##name##_options *)asked;                                           \
        return NULL;                                                                               \
    }                                                                                              \
    static struct ort_status *append_##name(struct ort_session_options *options,                   \
                                            const struct ort_##name##_options *provider)           \
    {                                                                                              \
        (void)options;                                                                             \
        return (const char *)provider == asked ? ask("own", #name) : fail(1, "other options");     \
    }                                                                                              \
    static void release_##name(struct ort_##name##_options *options)                               \
    {                                                                                              \
        (void)options;                                                                             \
        ask("released", #name);                                                                    \
    }

PROVIDER(cuda)
PROVIDER(tensorrt)
PROVIDER(rocm)

/* --- sessions -------------------------------------------------------------------- */

static struct ort_status *create_session(const struct ort_env *env, const char *path,
                                         const struct ort_session_options *options,
                                         struct ort_session **session)
{
    (void)env, (void)options, (void)session;
    ask("path", path);
    return fail(1, asked);
}

static struct ort_status *create_from_array(const struct ort_env *env, const void *bytes,
                                            size_t nbytes,
                                            const struct ort_session_options *options,
                                            struct ort_session **session)
{
    (void)env, (void)bytes, (void)options, (void)session;
    ask_number("bytes", (int)nbytes);
    return fail(1, asked);
}

static const struct ort_api api = {
    .GetErrorCode = get_error_code,
    .GetErrorMessage = get_error_message,
    .ReleaseStatus = release_status,
    .CreateEnv = create_env,
    .DisableTelemetryEvents = disable_telemetry,
    .ReleaseEnv = release_env,
    .GetAvailableProviders = get_providers,
    .ReleaseAvailableProviders = release_providers,
    .CreateSessionOptions = create_options,
    .ReleaseSessionOptions = release_options,
    .SetIntraOpNumThreads = set_intra,
    .SetInterOpNumThreads = set_inter,
    .SetSessionGraphOptimizationLevel = set_level,
    .SetSessionExecutionMode = set_mode,
    .AddSessionConfigEntry = add_entry,
    .EnableProfiling = enable_profiling,
    .SessionOptionsAppendExecutionProvider = append,
    .CreateCUDAProviderOptions = create_cuda,
    .SessionOptionsAppendExecutionProvider_CUDA_V2 = append_cuda,
    .ReleaseCUDAProviderOptions = release_cuda,
    .CreateTensorRTProviderOptions = create_tensorrt,
    .SessionOptionsAppendExecutionProvider_TensorRT_V2 = append_tensorrt,
    .ReleaseTensorRTProviderOptions = release_tensorrt,
    .CreateROCMProviderOptions = create_rocm,
    .SessionOptionsAppendExecutionProvider_ROCM = append_rocm,
    .ReleaseROCMProviderOptions = release_rocm,
    .CreateSession = create_session,
    .CreateSessionFromArray = create_from_array,
};

static const struct ort_api *get_api(uint32_t version)
{
#ifdef FAKE_NO_API
    return version == 0 ? &api : NULL;
#else
    return version == OQ_ORT_API_VERSION ? &api : NULL;
#endif
}

static const char *get_version(void)
{
    return FAKE_VERSION[0] != '\0' ? FAKE_VERSION : NULL;
}

EXPORT const struct ort_api_base *FAKE_SYMBOL(void);

EXPORT const struct ort_api_base *FAKE_SYMBOL(void)
{
    static const struct ort_api_base base = {get_api, get_version};
#ifdef FAKE_NO_BASE
    return base.GetApi == NULL ? &base : NULL;
#else
    return &base;
#endif
}
