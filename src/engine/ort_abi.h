/*
 * The part of ONNX Runtime's binary interface that is used here: the functions
 * in the table of API version 16 by their place in it, and the numbers that
 * they take. The table only ever grows at its end, so that this one holds for
 * every library from 1.16 on. tests/abi compares it with a real header.
 *
 * Enumerations are passed as `unsigned` or `int`, which they are compatible with.
 */
#ifndef OQ_ENGINE_ORT_ABI_H
#define OQ_ENGINE_ORT_ABI_H

#include <stddef.h>
#include <stdint.h>

#define OQ_ORT_API_VERSION 16

struct ort_allocator;
struct ort_cuda_options;
struct ort_env;
struct ort_memory_info;
struct ort_rocm_options;
struct ort_run_options;
struct ort_session;
struct ort_session_options;
struct ort_status;
struct ort_tensor_info;
struct ort_tensorrt_options;
struct ort_value;

enum { OQ_ORT_LOG_FATAL = 4 };       /* OrtLoggingLevel */
enum { OQ_ORT_EP_FAIL = 11 };        /* OrtErrorCode */
enum { OQ_ORT_SEQUENTIAL = 0 };      /* ExecutionMode */
enum { OQ_ORT_ARENA_ALLOCATOR = 1 }; /* OrtAllocatorType */
enum { OQ_ORT_MEM_DEFAULT = 0 };     /* OrtMemType */

/* ONNXType */
enum {
    OQ_ORT_TENSOR = 1,
    OQ_ORT_SEQUENCE = 2,
    OQ_ORT_MAP = 3,
    OQ_ORT_OPAQUE = 4,
    OQ_ORT_SPARSE_TENSOR = 5,
    OQ_ORT_OPTIONAL = 6,
};

/* ONNXTensorElementDataType: as TensorProto.DataType up to here, not above. */
enum { OQ_ORT_FLOAT4E2M1 = 23, OQ_ORT_UINT2 = 24, OQ_ORT_INT2 = 25, OQ_ORT_FLOAT8E8M0 = 26 };

/* OrtApi. Functions that return a status return NULL where they succeed. */
struct ort_api {
    void *unused0[1];
    unsigned (*GetErrorCode)(const struct ort_status *status);
    const char *(*GetErrorMessage)(const struct ort_status *status);
    struct ort_status *(*CreateEnv)(unsigned log_level, const char *log_id, struct ort_env **env);
    void *unused4[2];
    struct ort_status *(*DisableTelemetryEvents)(const struct ort_env *env);
    struct ort_status *(*CreateSession)(const struct ort_env *env, const char *path,
                                        const struct ort_session_options *options,
                                        struct ort_session **session);
    struct ort_status *(*CreateSessionFromArray)(const struct ort_env *env, const void *bytes,
                                                 size_t nbytes,
                                                 const struct ort_session_options *options,
                                                 struct ort_session **session);
    struct ort_status *(*Run)(struct ort_session *session, const struct ort_run_options *options,
                              const char *const *input_names, const struct ort_value *const *inputs,
                              size_t n_inputs, const char *const *output_names, size_t n_outputs,
                              struct ort_value **outputs);
    struct ort_status *(*CreateSessionOptions)(struct ort_session_options **options);
    void *unused11[2];
    struct ort_status *(*SetSessionExecutionMode)(struct ort_session_options *options,
                                                  unsigned mode);
    struct ort_status *(*EnableProfiling)(struct ort_session_options *options, const char *prefix);
    void *unused15[8];
    struct ort_status *(*SetSessionGraphOptimizationLevel)(struct ort_session_options *options,
                                                           unsigned level);
    struct ort_status *(*SetIntraOpNumThreads)(struct ort_session_options *options, int n_threads);
    struct ort_status *(*SetInterOpNumThreads)(struct ort_session_options *options, int n_threads);
    void *unused26[22];
    struct ort_status *(*CreateTensorAsOrtValue)(struct ort_allocator *allocator,
                                                 const int64_t *dims, size_t n_dims, unsigned type,
                                                 struct ort_value **value);
    struct ort_status *(*CreateTensorWithDataAsOrtValue)(const struct ort_memory_info *info,
                                                         void *data, size_t nbytes,
                                                         const int64_t *dims, size_t n_dims,
                                                         unsigned type, struct ort_value **value);
    void *unused50[1];
    struct ort_status *(*GetTensorMutableData)(struct ort_value *value, void **data);
    struct ort_status *(*FillStringTensor)(struct ort_value *value, const char *const *strings,
                                           size_t n_strings);
    struct ort_status *(*GetStringTensorDataLength)(const struct ort_value *value, size_t *nbytes);
    struct ort_status *(*GetStringTensorContent)(const struct ort_value *value, void *dst,
                                                 size_t nbytes, size_t *offsets, size_t n_offsets);
    void *unused55[5];
    struct ort_status *(*GetTensorElementType)(const struct ort_tensor_info *info, unsigned *type);
    struct ort_status *(*GetDimensionsCount)(const struct ort_tensor_info *info, size_t *n_dims);
    struct ort_status *(*GetDimensions)(const struct ort_tensor_info *info, int64_t *dims,
                                        size_t n_dims);
    void *unused63[2];
    struct ort_status *(*GetTensorTypeAndShape)(const struct ort_value *value,
                                                struct ort_tensor_info **info);
    void *unused66[1];
    struct ort_status *(*GetValueType)(const struct ort_value *value, unsigned *type);
    void *unused68[1];
    struct ort_status *(*CreateCpuMemoryInfo)(int allocator_type, int mem_type,
                                              struct ort_memory_info **info);
    void *unused70[6];
    struct ort_status *(*AllocatorFree)(struct ort_allocator *allocator, void *block);
    void *unused77[1];
    struct ort_status *(*GetAllocatorWithDefaultOptions)(struct ort_allocator **allocator);
    void *unused79[1];
    struct ort_status *(*GetValue)(const struct ort_value *value, int index,
                                   struct ort_allocator *allocator, struct ort_value **element);
    struct ort_status *(*GetValueCount)(const struct ort_value *value, size_t *count);
    void *unused82[10];
    void (*ReleaseEnv)(struct ort_env *env);
    void (*ReleaseStatus)(struct ort_status *status);
    void (*ReleaseMemoryInfo)(struct ort_memory_info *info);
    void (*ReleaseSession)(struct ort_session *session);
    void (*ReleaseValue)(struct ort_value *value);
    void *unused97[2];
    void (*ReleaseTensorTypeAndShapeInfo)(struct ort_tensor_info *info);
    void (*ReleaseSessionOptions)(struct ort_session_options *options);
    void *unused101[9];
    struct ort_status *(*SessionEndProfiling)(struct ort_session *session,
                                              struct ort_allocator *allocator, char **path);
    void *unused111[14];
    struct ort_status *(*GetAvailableProviders)(char ***names, int *n_names);
    struct ort_status *(*ReleaseAvailableProviders)(char **names, int n_names);
    void *unused127[3];
    struct ort_status *(*AddSessionConfigEntry)(struct ort_session_options *options,
                                                const char *key, const char *value);
    void *unused131[22];
    struct ort_status *(*SessionOptionsAppendExecutionProvider_ROCM)(
        struct ort_session_options *options, const struct ort_rocm_options *rocm);
    void *unused154[16];
    struct ort_status *(*SessionOptionsAppendExecutionProvider_TensorRT_V2)(
        struct ort_session_options *options, const struct ort_tensorrt_options *tensorrt);
    struct ort_status *(*CreateTensorRTProviderOptions)(struct ort_tensorrt_options **tensorrt);
    void *unused172[2];
    void (*ReleaseTensorRTProviderOptions)(struct ort_tensorrt_options *tensorrt);
    void *unused175[17];
    struct ort_status *(*HasValue)(const struct ort_value *value, int *has_value);
    void *unused193[11];
    struct ort_status *(*SessionOptionsAppendExecutionProvider_CUDA_V2)(
        struct ort_session_options *options, const struct ort_cuda_options *cuda);
    struct ort_status *(*CreateCUDAProviderOptions)(struct ort_cuda_options **cuda);
    void *unused206[2];
    void (*ReleaseCUDAProviderOptions)(struct ort_cuda_options *cuda);
    void *unused209[7];
    struct ort_status *(*SessionOptionsAppendExecutionProvider)(struct ort_session_options *options,
                                                                const char *name,
                                                                const char *const *keys,
                                                                const char *const *values,
                                                                size_t n_keys);
    void *unused217[38];
    struct ort_status *(*CreateROCMProviderOptions)(struct ort_rocm_options **rocm);
    void *unused256[2];
    void (*ReleaseROCMProviderOptions)(struct ort_rocm_options *rocm);
};

/* OrtApiBase, which the exported OrtGetApiBase() returns. */
struct ort_api_base {
    const struct ort_api *(*GetApi)(uint32_t version);
    const char *(*GetVersionString)(void);
};

typedef const struct ort_api_base *ort_get_api_base(void);

#endif
