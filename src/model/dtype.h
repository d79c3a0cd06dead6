/* The element types of TensorProto and how each is stored. */
#ifndef OQ_MODEL_DTYPE_H
#define OQ_MODEL_DTYPE_H

#include <stdbool.h>
#include <stdint.h>

struct oq_dtype {
    const char *name;
    unsigned nbits;     /* of an element; 0 for strings */
    uint32_t field;     /* TensorProto field that holds it when raw_data does not */
    unsigned per_entry; /* elements in one entry of that field; 0: two entries an element */
    bool is_float;      /* float16, bfloat16, float32, float64: what can be quantized */
    bool is_integer, is_signed;
};

/* Fields of TensorProto. */
enum {
    OQ_FLOAT_DATA = 4,
    OQ_INT32_DATA = 5,
    OQ_STRING_DATA = 6,
    OQ_INT64_DATA = 7,
    OQ_RAW_DATA = 9,
    OQ_DOUBLE_DATA = 10,
    OQ_UINT64_DATA = 11
};

/* The type with number data_type (TensorProto.DataType), or NULL where we do not know it. */
const struct oq_dtype *oq_dtype_find(int32_t data_type);

/* Bytes that nelem elements take in raw_data; false on overflow. */
bool oq_dtype_nbytes(const struct oq_dtype *dtype, uint64_t nelem, uint64_t *nbytes);

#endif
