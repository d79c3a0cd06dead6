/* Arrays and lists of them: made, copied, named, found, freed. */
#define _POSIX_C_SOURCE 200809L
#include "arrays/array.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "kernels/kernels.h"
#include "wire/data_type.h"

/* --- making ----------------------------------------------------------------- */

static bool count_elements(struct oq_array *array, onnxq_error *error)
{
    array->nelem = 1;
    for (size_t i = 0; i < array->n_dims; i++) {
        if (array->dims[i] < 0)
            return oq_fail(error, ONNXQ_ERROR_INPUT, "dimension %zu is negative", i);
        if (!oq_mul_u64(array->nelem, (uint64_t)array->dims[i], &array->nelem))
            return oq_fail(error, ONNXQ_ERROR_INPUT, "its dimensions are too large");
    }
    return true;
}

static bool init_shape(struct oq_array *array, const char *name, int32_t data_type,
                       const int64_t *dims, size_t n_dims, onnxq_error *error)
{
    *array = (struct oq_array){.data_type = data_type, .n_dims = n_dims};
    array->name = strdup(name != NULL ? name : "");
    array->dims = calloc(n_dims + 1, sizeof(*dims));
    if (array->name == NULL || array->dims == NULL)
        return oq_fail_memory(error);
    if (n_dims > 0)
        memcpy(array->dims, dims, n_dims * sizeof(*dims));
    return count_elements(array, error);
}

static bool allocate(struct oq_array *array, onnxq_error *error)
{
    if (array->nbytes > OQ_ARRAY_MAX_NBYTES || array->nbytes >= SIZE_MAX)
        return oq_fail(error, ONNXQ_ERROR_INPUT,
                       "it would take %" PRIu64 " bytes, at most %" PRIu64 " are possible",
                       array->nbytes, OQ_ARRAY_MAX_NBYTES);
    array->data = calloc(1, (size_t)array->nbytes + 1);
    return array->data != NULL || oq_fail_memory(error);
}

bool oq_array_init(struct oq_array *array, const char *name, int32_t data_type, const int64_t *dims,
                   size_t n_dims, onnxq_error *error)
{
    const struct oq_dtype *dtype = oq_dtype_find(data_type);
    if (!init_shape(array, name, data_type, dims, n_dims, error))
        return false;
    if (dtype == NULL || dtype->nbits == 0)
        return oq_fail(error, ONNXQ_ERROR_INPUT, "elements of type %" PRId32 " have no size",
                       data_type);
    if (!oq_dtype_nbytes(dtype, array->nelem, &array->nbytes))
        return oq_fail(error, ONNXQ_ERROR_INPUT, "its dimensions are too large");
    return allocate(array, error);
}

bool oq_array_init_strings(struct oq_array *array, const char *name, const char *const *strings,
                           const int64_t *dims, size_t n_dims, onnxq_error *error)
{
    if (!init_shape(array, name, OQ_TYPE(STRING), dims, n_dims, error))
        return false;
    if (!oq_mul_u64(array->nelem, sizeof(char *), &array->nbytes))
        return oq_fail(error, ONNXQ_ERROR_INPUT, "its dimensions are too large");
    for (uint64_t i = 0; i < array->nelem; i++)
        array->nbytes += strlen(strings[i]) + 1;
    if (!allocate(array, error))
        return false;
    char **pointers = array->data;
    char *next = (char *)(pointers + array->nelem);
    for (uint64_t i = 0; i < array->nelem; i++) {
        size_t nbytes = strlen(strings[i]) + 1;
        pointers[i] = memcpy(next, strings[i], nbytes);
        next += nbytes;
    }
    return true;
}

bool oq_array_copy(struct oq_array *copy, const struct oq_array *array, onnxq_error *error)
{
    if (array->data_type == OQ_TYPE(STRING))
        return oq_array_init_strings(copy, array->name, array->data, array->dims, array->n_dims,
                                     error);
    if (!oq_array_init(copy, array->name, array->data_type, array->dims, array->n_dims, error))
        return false;
    memcpy(copy->data, array->data, (size_t)array->nbytes);
    return true;
}

bool oq_array_rename(struct oq_array *array, const char *name, onnxq_error *error)
{
    char *copy = strdup(name);
    if (copy == NULL)
        return oq_fail_memory(error);
    free(array->name);
    array->name = copy;
    return true;
}

void oq_array_fini(struct oq_array *array)
{
    free(array->name);
    free(array->dims);
    free(array->data);
    *array = (struct oq_array){0};
}

/* --- elements --------------------------------------------------------------- */

bool oq_array_is_numeric(const struct oq_array *array)
{
    const struct oq_dtype *dtype = oq_dtype_find(array->data_type);
    return array->data_type == OQ_TYPE(BOOL) ||
           (dtype != NULL && (dtype->is_float || dtype->is_integer));
}

static double get_narrow(const struct oq_array *array, uint64_t index)
{
    const uint8_t *bytes = array->data;
    const struct oq_dtype *dtype = oq_dtype_find(array->data_type);
    unsigned nbits = dtype->nbits, per_byte = 8 / nbits;
    unsigned value = (unsigned)bytes[index / per_byte] >> (index % per_byte * nbits);
    unsigned mask = (1U << nbits) - 1, sign = 1U << (nbits - 1);
    value &= mask;
    return dtype->is_signed && (value & sign) != 0 ? (double)value - (double)(mask + 1)
                                                   : (double)value;
}

#define CASE(number, type)                                                                         \
    case OQ_TYPE(number):                                                                          \
        return (double)((const type *)array->data)[index]

static double get(const struct oq_array *array, uint64_t index)
{
    float wide;
    switch (array->data_type) {
        CASE(BOOL, uint8_t);
        CASE(INT8, int8_t);
        CASE(INT16, int16_t);
        CASE(INT32, int32_t);
        CASE(INT64, int64_t);
        CASE(UINT8, uint8_t);
        CASE(UINT16, uint16_t);
        CASE(UINT32, uint32_t);
        CASE(UINT64, uint64_t);
        CASE(FLOAT, float);
        CASE(DOUBLE, double);
    case OQ_TYPE(FLOAT16):
        oq_convert_from_half((const uint16_t *)array->data + index, 1, &wide);
        return (double)wide;
    case OQ_TYPE(BFLOAT16):
        oq_convert_from_bfloat16((const uint16_t *)array->data + index, 1, &wide);
        return (double)wide;
    default:
        return get_narrow(array, index);
    }
}

#undef CASE

void oq_array_read_doubles(const struct oq_array *array, uint64_t first, size_t count, double *dst)
{
    for (size_t i = 0; i < count; i++)
        dst[i] = get(array, first + i);
}

static double clamp(double value, double lo, double hi)
{
    value = isnan(value) ? 0 : rint(value);
    return value < lo ? lo : value > hi ? hi : value;
}

/* 2^63 and 2^64 have no double below them that would do: the ends are written as integers. */
static int64_t to_int64(double value)
{
    if (isnan(value))
        return 0;
    return value >= 0x1p63 ? INT64_MAX : value < -0x1p63 ? INT64_MIN : (int64_t)rint(value);
}

static uint64_t to_uint64(double value)
{
    return value >= 0x1p64 ? UINT64_MAX : !(value >= 0) ? 0 : (uint64_t)rint(value);
}

#define CASE(number, type, lo, hi)                                                                 \
    case OQ_TYPE(number):                                                                          \
        ((type *)array->data)[index] = (type)clamp(value, lo, hi);                                 \
        break

void oq_array_put_double(struct oq_array *array, uint64_t index, double value)
{
    float narrow = (float)value;
    switch (array->data_type) {
        CASE(BOOL, uint8_t, 0, 1);
        CASE(INT8, int8_t, INT8_MIN, INT8_MAX);
        CASE(INT16, int16_t, INT16_MIN, INT16_MAX);
        CASE(INT32, int32_t, INT32_MIN, INT32_MAX);
        CASE(UINT8, uint8_t, 0, UINT8_MAX);
        CASE(UINT16, uint16_t, 0, UINT16_MAX);
        CASE(UINT32, uint32_t, 0, UINT32_MAX);
    case OQ_TYPE(INT64):
        ((int64_t *)array->data)[index] = to_int64(value);
        break;
    case OQ_TYPE(UINT64):
        ((uint64_t *)array->data)[index] = to_uint64(value);
        break;
    case OQ_TYPE(FLOAT):
        ((float *)array->data)[index] = narrow;
        break;
    case OQ_TYPE(DOUBLE):
        ((double *)array->data)[index] = value;
        break;
    case OQ_TYPE(FLOAT16):
        oq_convert_to_half(&narrow, 1, (uint16_t *)array->data + index);
        break;
    case OQ_TYPE(BFLOAT16):
        oq_convert_to_bfloat16(&narrow, 1, (uint16_t *)array->data + index);
        break;
    default:
        break;
    }
}

#undef CASE

/* --- lists ------------------------------------------------------------------ */

struct oq_array *oq_arrays_add(struct oq_arrays *arrays, onnxq_error *error)
{
    if (arrays->count == arrays->capacity) {
        size_t capacity = arrays->capacity == 0 ? 4 : 2 * arrays->capacity;
        struct oq_array *list = realloc(arrays->list, capacity * sizeof(*list));
        if (list == NULL) {
            oq_fail_memory(error);
            return NULL;
        }
        arrays->list = list;
        arrays->capacity = capacity;
    }
    struct oq_array *added = &arrays->list[arrays->count++];
    *added = (struct oq_array){0};
    return added;
}

struct oq_array *oq_arrays_find(const struct oq_arrays *arrays, const char *name)
{
    for (size_t i = 0; i < arrays->count; i++) {
        if (strcmp(arrays->list[i].name, name) == 0)
            return &arrays->list[i];
    }
    return NULL;
}

void oq_arrays_fini(struct oq_arrays *arrays)
{
    for (size_t i = 0; i < arrays->count; i++)
        oq_array_fini(&arrays->list[i]);
    free(arrays->list);
    *arrays = (struct oq_arrays){0};
}

/* --- words ------------------------------------------------------------------ */

void oq_array_describe(const struct oq_array *array, char *text, size_t capacity)
{
    const struct oq_dtype *dtype = oq_dtype_find(array->data_type);
    int used = snprintf(text, capacity, "%s [", dtype != NULL ? dtype->name : "unknown type");
    for (size_t i = 0; i < array->n_dims && (size_t)used < capacity; i++)
        used += snprintf(text + used, capacity - (size_t)used, "%s%" PRId64, i > 0 ? "," : "",
                         array->dims[i]);
    if ((size_t)used < capacity)
        snprintf(text + used, capacity - (size_t)used, "]");
}
