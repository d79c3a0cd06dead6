/* TensorProto files, read through the same views as the tensors of models. */
#include "arrays/tensor_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "model/tensor.h"
#include "wire/message.h"

/* All of a TensorProto but its numbers; strings count. */
#define STRUCTURE_BUDGET ((size_t)1 << 30)

static bool check_kind(const Oq__Pb__TensorProto *proto, onnxq_error *error)
{
    if (proto->segment != NULL) {
        oq_fail(error, ONNXQ_ERROR_INPUT, "is no whole tensor");
        oq_error_hint(error, "it may be a sequence or an optional; only tensors can be read");
        return false;
    }
    if (proto->data_location == OQ__PB__TENSOR_PROTO__DATA_LOCATION__EXTERNAL) {
        oq_fail(error, ONNXQ_ERROR_INPUT, "has its data in another file, expected it inside");
        oq_error_hint(error, "save it with onnx.numpy_helper.from_array(x).SerializeToString()");
        return false;
    }
    return oq_dtype_find(proto->data_type) != NULL ||
           oq_fail(error, ONNXQ_ERROR_INPUT,
                   "has elements of type %" PRId32 ", which is no type of ONNX", proto->data_type);
}

static bool read_strings(struct oq_array *array, const struct oq_tensor *tensor,
                         struct oq_arena *arena, onnxq_error *error)
{
    size_t count = (size_t)tensor->nelem;
    const char **strings = oq_arena_array(arena, count, sizeof(*strings));
    if (strings == NULL)
        return oq_arena_fail(arena, error);
    for (size_t i = 0; i < count; i++) {
        const ProtobufCBinaryData *data = &tensor->proto->string_data[i];
        if (data->len > 0 && memchr(data->data, '\0', data->len) != NULL)
            return oq_fail(error, ONNXQ_ERROR_INPUT, "string %zu has a NUL character in it", i);
        char *text = oq_arena_alloc(arena, data->len + 1);
        if (text == NULL)
            return oq_arena_fail(arena, error);
        if (data->len > 0)
            memcpy(text, data->data, data->len);
        strings[i] = text;
    }
    return oq_array_init_strings(array, tensor->name, strings, tensor->dims, tensor->n_dims, error);
}

static bool read_numbers(struct oq_array *array, const struct oq_tensor *tensor, onnxq_error *error)
{
    void *scratch = malloc(OQ_READ_SCRATCH_NBYTES);
    bool ok = scratch != NULL || oq_fail_memory(error);
    ok = ok && oq_array_init(array, tensor->name, tensor->proto->data_type, tensor->dims,
                             tensor->n_dims, error);
    ok = ok && oq_tensor_read_all(tensor, array->data, scratch, error);
    free(scratch);
    return ok;
}

static bool read_tensor(struct oq_array *array, const struct oq_file *file,
                        const struct oq_skeleton *skeleton, struct oq_arena *arena,
                        onnxq_error *error)
{
    struct oq_tensor tensor;
    const Oq__Pb__TensorProto *proto = (const Oq__Pb__TensorProto *)oq_message_unpack(
        &oq__pb__tensor_proto__descriptor, skeleton, arena, error);
    if (proto == NULL || !check_kind(proto, error) ||
        !oq_tensor_init(&tensor, proto, file, skeleton->fragments, NULL, arena, error))
        return false;
    return tensor.dtype->nbits == 0 ? read_strings(array, &tensor, arena, error)
                                    : read_numbers(array, &tensor, error);
}

bool oq_tensor_file_read(struct oq_array *array, const struct oq_file *file, onnxq_error *error)
{
    struct oq_skeleton skeleton;
    struct oq_arena arena;
    oq_arena_init(&arena, STRUCTURE_BUDGET);
    bool ok = oq_scan(file, &oq__pb__tensor_proto__descriptor, STRUCTURE_BUDGET, &skeleton, error);
    ok = ok && read_tensor(array, file, &skeleton, &arena, error);
    oq_skeleton_fini(&skeleton);
    oq_arena_fini(&arena);
    return ok;
}
