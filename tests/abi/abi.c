/*
 * src/engine/ort_abi.h against a real header of ONNX Runtime: everything is
 * checked when this is compiled.
 */
#include <stdio.h>

#include <onnxruntime_c_api.h>

/* Our names become the real ones, so that the types of functions can be compared. */
#define ort_allocator        OrtAllocator
#define ort_cuda_options     OrtCUDAProviderOptionsV2
#define ort_env              OrtEnv
#define ort_memory_info      OrtMemoryInfo
#define ort_rocm_options     OrtROCMProviderOptions
#define ort_run_options      OrtRunOptions
#define ort_session          OrtSession
#define ort_session_options  OrtSessionOptions
#define ort_status           OrtStatus
#define ort_tensor_info      OrtTensorTypeAndShapeInfo
#define ort_tensorrt_options OrtTensorRTProviderOptionsV2
#define ort_value            OrtValue
#include "engine/ort_abi.h"

/* --- the table of functions ------------------------------------------------------ */

#define TYPE_IN(table, name) __typeof__(((table *)0)->name)
#define SLOT(name)                                                                                 \
    _Static_assert(offsetof(struct ort_api, name) == offsetof(OrtApi, name),                       \
                   #name " is elsewhere");                                                         \
    _Static_assert(                                                                                \
        __builtin_types_compatible_p(TYPE_IN(struct ort_api, name), TYPE_IN(OrtApi, name)),        \
        #name " has another type")

SLOT(GetErrorCode);
SLOT(GetErrorMessage);
SLOT(CreateEnv);
SLOT(DisableTelemetryEvents);
SLOT(CreateSession);
SLOT(CreateSessionFromArray);
SLOT(Run);
SLOT(CreateSessionOptions);
SLOT(SetSessionExecutionMode);
SLOT(EnableProfiling);
SLOT(SetSessionGraphOptimizationLevel);
SLOT(SetIntraOpNumThreads);
SLOT(SetInterOpNumThreads);
SLOT(CreateTensorAsOrtValue);
SLOT(CreateTensorWithDataAsOrtValue);
SLOT(GetTensorMutableData);
SLOT(FillStringTensor);
SLOT(GetStringTensorDataLength);
SLOT(GetStringTensorContent);
SLOT(GetTensorElementType);
SLOT(GetDimensionsCount);
SLOT(GetDimensions);
SLOT(GetTensorTypeAndShape);
SLOT(GetValueType);
SLOT(CreateCpuMemoryInfo);
SLOT(AllocatorFree);
SLOT(GetAllocatorWithDefaultOptions);
SLOT(GetValue);
SLOT(GetValueCount);
SLOT(ReleaseEnv);
SLOT(ReleaseStatus);
SLOT(ReleaseMemoryInfo);
SLOT(ReleaseSession);
SLOT(ReleaseValue);
SLOT(ReleaseTensorTypeAndShapeInfo);
SLOT(ReleaseSessionOptions);
SLOT(SessionEndProfiling);
SLOT(GetAvailableProviders);
SLOT(ReleaseAvailableProviders);
SLOT(AddSessionConfigEntry);
SLOT(SessionOptionsAppendExecutionProvider_ROCM);
SLOT(SessionOptionsAppendExecutionProvider_TensorRT_V2);
SLOT(CreateTensorRTProviderOptions);
SLOT(ReleaseTensorRTProviderOptions);
SLOT(HasValue);
SLOT(SessionOptionsAppendExecutionProvider_CUDA_V2);
SLOT(CreateCUDAProviderOptions);
SLOT(ReleaseCUDAProviderOptions);
SLOT(SessionOptionsAppendExecutionProvider);
SLOT(CreateROCMProviderOptions);
SLOT(ReleaseROCMProviderOptions);

#define BASE(name)                                                                                 \
    _Static_assert(offsetof(struct ort_api_base, name) == offsetof(OrtApiBase, name),              \
                   #name " is elsewhere")

BASE(GetApi);
BASE(GetVersionString);

/* --- numbers --------------------------------------------------------------------- */

#define SAME(ours, theirs)                                                                         \
    _Static_assert((int)(ours) == (int)(theirs), #theirs " is another number")

SAME(OQ_ORT_LOG_FATAL, ORT_LOGGING_LEVEL_FATAL);
SAME(OQ_ORT_EP_FAIL, ORT_EP_FAIL);
SAME(OQ_ORT_SEQUENTIAL, ORT_SEQUENTIAL);
SAME(OQ_ORT_ARENA_ALLOCATOR, OrtArenaAllocator);
SAME(OQ_ORT_MEM_DEFAULT, OrtMemTypeDefault);
SAME(OQ_ORT_TENSOR, ONNX_TYPE_TENSOR);
SAME(OQ_ORT_SEQUENCE, ONNX_TYPE_SEQUENCE);
SAME(OQ_ORT_MAP, ONNX_TYPE_MAP);
SAME(OQ_ORT_OPAQUE, ONNX_TYPE_OPAQUE);
SAME(OQ_ORT_SPARSE_TENSOR, ONNX_TYPE_SPARSETENSOR);
SAME(OQ_ORT_OPTIONAL, ONNX_TYPE_OPTIONAL);

/* The types of elements are numbered as in TensorProto.DataType. */
SAME(1, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT);
SAME(8, ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING);
SAME(16, ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16);
SAME(20, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E5M2FNUZ);

int main(void)
{
    printf("src/engine/ort_abi.h agrees with the header of API version %d\n", ORT_API_VERSION);
    return 0;
}
