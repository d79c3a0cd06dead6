/*
 * Tensors in memory: what goes into a model and what comes out of it. Weights
 * are never one; they stay in their file (model/tensor.h).
 */
#ifndef OQ_ARRAYS_ARRAY_H
#define OQ_ARRAYS_ARRAY_H

#include "base/error.h"
#include "model/dtype.h"

/* What one array may take; more than any input or output of a real model. */
#define OQ_ARRAY_MAX_NBYTES ((uint64_t)16 << 30)

/*
 * Elements in C order, little-endian, 4-bit and 2-bit ones packed as in
 * raw_data. Of strings, `data` holds nelem pointers to strings that end with a
 * NUL and lie behind them in the same block.
 */
struct oq_array {
    char *name;        /* "" where it has none; never NULL once made */
    int32_t data_type; /* TensorProto.DataType, one that oq_dtype_find() knows */
    int64_t *dims;     /* each 0 or more */
    size_t n_dims;
    uint64_t nelem;
    uint64_t nbytes; /* of data; for strings of all of the block */
    void *data;      /* never NULL once made */
};

/*
 * Makes an array of zeros of any type but strings; name and dims are copied.
 * Release with oq_array_fini(), which is fine after a failure, too.
 */
bool oq_array_init(struct oq_array *array, const char *name, int32_t data_type, const int64_t *dims,
                   size_t n_dims, onnxq_error *error);

/* The same of strings[0 .. nelem), which are copied. */
bool oq_array_init_strings(struct oq_array *array, const char *name, const char *const *strings,
                           const int64_t *dims, size_t n_dims, onnxq_error *error);
bool oq_array_copy(struct oq_array *copy, const struct oq_array *array, onnxq_error *error);
bool oq_array_rename(struct oq_array *array, const char *name, onnxq_error *error);
void oq_array_fini(struct oq_array *array);

/* True for booleans, integers and floats, which oq_array_read_doubles() takes. */
bool oq_array_is_numeric(const struct oq_array *array);

/* Elements [first, first + count) as double; 64-bit integers are rounded. */
void oq_array_read_doubles(const struct oq_array *array, uint64_t first, size_t count, double *dst);

/*
 * Writes value as element `index` of a numeric array: rounded to nearest, and
 * to the ends of the type's range where it lies outside; NaN is 0 as an integer. Not for types
 * of less than 8 bits.
 */
void oq_array_put_double(struct oq_array *array, uint64_t index, double value);

/* A growing list that owns its arrays. Zero is an empty one. */
struct oq_arrays {
    struct oq_array *list;
    size_t count, capacity;
};

/* Room for one more, all zero, or NULL after an error. Moves those that are there. */
struct oq_array *oq_arrays_add(struct oq_arrays *arrays, onnxq_error *error);
struct oq_array *oq_arrays_find(const struct oq_arrays *arrays, const char *name); /* or NULL */
void oq_arrays_fini(struct oq_arrays *arrays);

/* "float32 [1,3,224,224]" into text, for messages; always ends with a NUL. */
void oq_array_describe(const struct oq_array *array, char *text, size_t capacity);

#endif
