/* Tensors, sequences and maps of the engine, into arrays and back. */
#define _POSIX_C_SOURCE 200809L
#include "engine/value.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "wire/data_type.h"

static bool accept(const struct oq_engine *engine, struct ort_status *status, onnxq_error *error)
{
    return oq_engine_accept(engine, status, ONNXQ_ERROR_INPUT, error);
}

/* --- types -------------------------------------------------------------------- */

/* Numbers that differ between TensorProto.DataType and ONNXTensorElementDataType. */
static const struct {
    int32_t onnx;
    unsigned engine;
} renumbered[] = {
    {OQ_TYPE(UINT2), OQ_ORT_UINT2},
    {OQ_TYPE(INT2), OQ_ORT_INT2},
    {OQ_TYPE(FLOAT8E8M0), OQ_ORT_FLOAT8E8M0},
};

#define N_RENUMBERED (sizeof(renumbered) / sizeof(renumbered[0]))

/* False for a type that the engine has no number for. */
static bool to_engine_type(int32_t data_type, unsigned *type)
{
    *type = (unsigned)data_type;
    for (size_t i = 0; i < N_RENUMBERED; i++) {
        if (renumbered[i].onnx == data_type) {
            *type = renumbered[i].engine;
            return true;
        }
    }
    return data_type > 0 && data_type <= OQ_ORT_FLOAT4E2M1;
}

static int32_t from_engine_type(unsigned type)
{
    for (size_t i = 0; i < N_RENUMBERED; i++) {
        if (renumbered[i].engine == type)
            return renumbered[i].onnx;
    }
    return type <= OQ_ORT_FLOAT4E2M1 ? (int32_t)type : 0;
}

/* --- into the engine ---------------------------------------------------------- */

static bool make_strings(const struct oq_engine *engine, const struct oq_array *array,
                         struct ort_value **value, onnxq_error *error)
{
    const struct ort_api *api = engine->api;
    struct ort_allocator *allocator;
    return accept(engine, api->GetAllocatorWithDefaultOptions(&allocator), error) &&
           accept(engine,
                  api->CreateTensorAsOrtValue(allocator, array->dims, array->n_dims,
                                              OQ_TYPE(STRING), value),
                  error) &&
           accept(engine, api->FillStringTensor(*value, array->data, (size_t)array->nelem), error);
}

static bool make_tensor(const struct oq_engine *engine, const struct oq_array *array, unsigned type,
                        struct ort_value **value, onnxq_error *error)
{
    const struct ort_api *api = engine->api;
    struct ort_memory_info *info;
    if (!accept(engine, api->CreateCpuMemoryInfo(OQ_ORT_ARENA_ALLOCATOR, OQ_ORT_MEM_DEFAULT, &info),
                error))
        return false;
    struct ort_status *status = api->CreateTensorWithDataAsOrtValue(
        info, array->data, (size_t)array->nbytes, array->dims, array->n_dims, type, value);
    api->ReleaseMemoryInfo(info);
    return accept(engine, status, error);
}

bool oq_value_make(const struct oq_engine *engine, const struct oq_array *array,
                   struct ort_value **value, onnxq_error *error)
{
    unsigned type;
    if (array->data_type == OQ_TYPE(STRING))
        return make_strings(engine, array, value, error);
    if (!to_engine_type(array->data_type, &type)) {
        const struct oq_dtype *dtype = oq_dtype_find(array->data_type);
        return oq_fail(error, ONNXQ_ERROR_INPUT, "ONNX Runtime takes no input of type %s",
                       dtype != NULL ? dtype->name : "unknown");
    }
    return make_tensor(engine, array, type, value, error);
}

/* --- out of the engine: tensors ------------------------------------------------ */

struct value_shape {
    int32_t data_type;
    int64_t *dims; /* to be freed */
    size_t n_dims;
};

static bool read_info(const struct oq_engine *engine, const struct ort_tensor_info *info,
                      struct value_shape *shape, onnxq_error *error)
{
    const struct ort_api *api = engine->api;
    unsigned type;
    if (!accept(engine, api->GetTensorElementType(info, &type), error) ||
        !accept(engine, api->GetDimensionsCount(info, &shape->n_dims), error))
        return false;
    shape->data_type = from_engine_type(type);
    if (oq_dtype_find(shape->data_type) == NULL)
        return oq_fail(error, ONNXQ_ERROR_INPUT, "has elements of a type that is not known");
    shape->dims = calloc(shape->n_dims + 1, sizeof(*shape->dims));
    if (shape->dims == NULL)
        return oq_fail_memory(error);
    return accept(engine, api->GetDimensions(info, shape->dims, shape->n_dims), error);
}

static bool read_shape(const struct oq_engine *engine, const struct ort_value *value,
                       struct value_shape *shape, onnxq_error *error)
{
    struct ort_tensor_info *info;
    if (!accept(engine, engine->api->GetTensorTypeAndShape(value, &info), error))
        return false;
    bool ok = read_info(engine, info, shape, error);
    engine->api->ReleaseTensorTypeAndShapeInfo(info);
    return ok;
}

static uint64_t count_elements(const struct value_shape *shape)
{
    return oq_nelem(shape->dims, 0, shape->n_dims); /* the engine holds as many */
}

/* The engine gives strings end to end; each needs its NUL. */
static bool split_strings(char *text, size_t nbytes, const size_t *offsets, size_t count,
                          const char *name, const struct value_shape *shape, struct oq_array *array,
                          onnxq_error *error)
{
    char *copy = malloc(nbytes + count + 1), *next = copy;
    const char **strings = calloc(count + 1, sizeof(*strings));
    bool ok = copy != NULL && strings != NULL;
    for (size_t i = 0; ok && i < count; i++) {
        size_t end = i + 1 < count ? offsets[i + 1] : nbytes, n = end - offsets[i];
        strings[i] = memcpy(next, text + offsets[i], n);
        next[n] = '\0';
        next += n + 1;
    }
    ok = ok ? oq_array_init_strings(array, name, strings, shape->dims, shape->n_dims, error)
            : oq_fail_memory(error);
    free(strings);
    free(copy);
    return ok;
}

static bool read_strings(const struct oq_engine *engine, const struct ort_value *value,
                         const char *name, const struct value_shape *shape, struct oq_array *array,
                         onnxq_error *error)
{
    const struct ort_api *api = engine->api;
    size_t count = (size_t)count_elements(shape), nbytes;
    if (!accept(engine, api->GetStringTensorDataLength(value, &nbytes), error))
        return false;
    char *text = malloc(nbytes + 1);
    size_t *offsets = calloc(count + 1, sizeof(*offsets));
    bool ok = text != NULL && offsets != NULL
                  ? accept(engine, api->GetStringTensorContent(value, text, nbytes, offsets, count),
                           error) &&
                        split_strings(text, nbytes, offsets, count, name, shape, array, error)
                  : oq_fail_memory(error);
    free(offsets);
    free(text);
    return ok;
}

static bool read_numbers(const struct oq_engine *engine, const struct ort_value *value,
                         const char *name, const struct value_shape *shape, struct oq_array *array,
                         onnxq_error *error)
{
    void *data;
    if (!oq_array_init(array, name, shape->data_type, shape->dims, shape->n_dims, error) ||
        !accept(engine,
                engine->api->GetTensorMutableData((struct ort_value *)(uintptr_t)value, &data),
                error))
        return false;
    if (array->nbytes > 0)
        memcpy(array->data, data, (size_t)array->nbytes);
    return true;
}

static bool read_tensor(const struct oq_engine *engine, const struct ort_value *value,
                        const char *name, struct oq_array *array, onnxq_error *error)
{
    struct value_shape shape = {0};
    bool ok = read_shape(engine, value, &shape, error) &&
              (shape.data_type == OQ_TYPE(STRING)
                   ? read_strings(engine, value, name, &shape, array, error)
                   : read_numbers(engine, value, name, &shape, array, error));
    free(shape.dims);
    return ok;
}

/* --- out of the engine: maps from labels to numbers ----------------------------- */

static bool get_type(const struct oq_engine *engine, const struct ort_value *value, unsigned *type,
                     onnxq_error *error)
{
    return accept(engine, engine->api->GetValueType(value, type), error);
}

/* Element k of a sequence, or of a map: its keys (0) and its values (1). */
static bool get_element(const struct oq_engine *engine, const struct ort_value *value, size_t k,
                        struct ort_value **element, onnxq_error *error)
{
    struct ort_allocator *allocator;
    return accept(engine, engine->api->GetAllocatorWithDefaultOptions(&allocator), error) &&
           accept(engine, engine->api->GetValue(value, (int)k, allocator, element), error);
}

static bool read_part(const struct oq_engine *engine, const struct ort_value *map, size_t k,
                      struct oq_array *array, onnxq_error *error)
{
    struct ort_value *part;
    if (!get_element(engine, map, k, &part, error))
        return false;
    bool ok = read_tensor(engine, part, "", array, error);
    engine->api->ReleaseValue(part);
    return ok;
}

/* The engine keeps maps sorted by their keys, so that equal labels are equal arrays. */
static bool has_labels(const struct oq_array *labels, const struct oq_array *keys)
{
    if (labels->data_type != keys->data_type || labels->nelem != keys->nelem)
        return false;
    if (labels->data_type != OQ_TYPE(STRING))
        return memcmp(labels->data, keys->data, (size_t)labels->nbytes) == 0;
    const char *const *a = labels->data, *const *b = keys->data;
    for (uint64_t i = 0; i < labels->nelem; i++) {
        if (strcmp(a[i], b[i]) != 0)
            return false;
    }
    return true;
}

/* A matrix that is made at the first row, which says how wide it is. */
struct matrix {
    const char *name;
    size_t n_rows;
    struct oq_array labels;
    struct oq_array *array;
};

static bool start_matrix(struct matrix *matrix, struct oq_array *keys,
                         const struct oq_array *values, onnxq_error *error)
{
    int64_t dims[2] = {(int64_t)matrix->n_rows, (int64_t)values->nelem};
    matrix->labels = *keys;
    *keys = (struct oq_array){0};
    return oq_array_init(matrix->array, matrix->name, values->data_type, dims, 2, error);
}

static bool put_row(struct matrix *matrix, size_t row, struct oq_array *keys,
                    const struct oq_array *values, onnxq_error *error)
{
    if (keys->nelem != values->nelem || !oq_array_is_numeric(values))
        return oq_fail(error, ONNXQ_ERROR_INPUT, "is a sequence of maps to other than numbers");
    if (row == 0 && !start_matrix(matrix, keys, values, error))
        return false;
    if (row > 0 &&
        (!has_labels(&matrix->labels, keys) || values->data_type != matrix->array->data_type))
        return oq_fail(error, ONNXQ_ERROR_INPUT,
                       "is a sequence of maps, of which number %zu has other labels than the first",
                       row);
    memcpy((char *)matrix->array->data + row * values->nbytes, values->data,
           (size_t)values->nbytes);
    return true;
}

static bool read_map(const struct oq_engine *engine, const struct ort_value *map,
                     struct matrix *matrix, size_t row, onnxq_error *error)
{
    struct oq_array keys = {0}, values = {0};
    unsigned type;
    bool ok = get_type(engine, map, &type, error) &&
              (type == OQ_ORT_MAP ||
               oq_fail(error, ONNXQ_ERROR_INPUT, "is a sequence of other values than maps")) &&
              read_part(engine, map, 0, &keys, error) &&
              read_part(engine, map, 1, &values, error) &&
              put_row(matrix, row, &keys, &values, error);
    oq_array_fini(&keys);
    oq_array_fini(&values);
    return ok;
}

static bool read_row(const struct oq_engine *engine, const struct ort_value *sequence,
                     struct matrix *matrix, size_t row, onnxq_error *error)
{
    struct ort_value *map;
    if (!get_element(engine, sequence, row, &map, error))
        return false;
    bool ok = read_map(engine, map, matrix, row, error);
    engine->api->ReleaseValue(map);
    return ok;
}

static bool read_sequence(const struct oq_engine *engine, const struct ort_value *sequence,
                          const char *name, struct oq_array *array, onnxq_error *error)
{
    struct matrix matrix = {.name = name, .array = array};
    bool ok = accept(engine, engine->api->GetValueCount(sequence, &matrix.n_rows), error);
    if (ok && matrix.n_rows == 0)
        ok = oq_array_init(array, name, OQ_TYPE(FLOAT), (int64_t[]){0, 0}, 2, error);
    if (ok && matrix.n_rows > INT_MAX)
        ok = oq_fail(error, ONNXQ_ERROR_INPUT, "is a sequence of %zu values", matrix.n_rows);
    for (size_t i = 0; ok && i < matrix.n_rows; i++)
        ok = read_row(engine, sequence, &matrix, i, error);
    oq_array_fini(&matrix.labels);
    return ok;
}

/* --- out of the engine ---------------------------------------------------------- */

static bool refuse(unsigned type, onnxq_error *error)
{
    static const char *const names[] = {
        [OQ_ORT_MAP] = "map",
        [OQ_ORT_OPAQUE] = "value of an opaque type",
        [OQ_ORT_SPARSE_TENSOR] = "sparse tensor",
        [OQ_ORT_OPTIONAL] = "optional",
    };
    const char *name = type < sizeof(names) / sizeof(names[0]) ? names[type] : NULL;
    return oq_fail(error, ONNXQ_ERROR_INPUT, "is a %s, which onnxq does not compare",
                   name != NULL ? name : "value of an unknown type");
}

bool oq_value_read(const struct oq_engine *engine, const struct ort_value *value, const char *name,
                   struct oq_array *array, onnxq_error *error)
{
    int has_value = 0;
    unsigned type;
    if (value != NULL && !accept(engine, engine->api->HasValue(value, &has_value), error))
        return false;
    if (!has_value)
        return oq_fail(error, ONNXQ_ERROR_INPUT, "has no value");
    if (!get_type(engine, value, &type, error))
        return false;
    if (type == OQ_ORT_TENSOR)
        return read_tensor(engine, value, name, array, error);
    if (type == OQ_ORT_SEQUENCE)
        return read_sequence(engine, value, name, array, error);
    return refuse(type, error);
}

/* --- without a copy -------------------------------------------------------------- */

static bool is_tensor(const struct oq_engine *engine, const struct ort_value *value, bool *yes,
                      onnxq_error *error)
{
    int has_value = 0;
    unsigned type = OQ_ORT_SEQUENCE;
    bool ok = value == NULL || accept(engine, engine->api->HasValue(value, &has_value), error);
    if (ok && has_value)
        ok = get_type(engine, value, &type, error);
    *yes = type == OQ_ORT_TENSOR;
    return ok;
}

bool oq_value_borrow(const struct oq_engine *engine, const struct ort_value *value,
                     struct oq_floats *floats, onnxq_error *error)
{
    struct value_shape shape = {0};
    void *data;
    bool yes, ok = is_tensor(engine, value, &yes, error);
    *floats = (struct oq_floats){.data = NULL};
    if (!ok || !yes)
        return ok;
    ok = read_shape(engine, value, &shape, error);
    if (ok && shape.data_type == OQ_TYPE(FLOAT)) {
        ok = accept(engine,
                    engine->api->GetTensorMutableData((struct ort_value *)(uintptr_t)value, &data),
                    error);
        if (ok) {
            *floats = (struct oq_floats){data, shape.dims, shape.n_dims, count_elements(&shape)};
            return true;
        }
    }
    free(shape.dims);
    return ok;
}
