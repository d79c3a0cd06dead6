/* The table of element types. */
#include "model/dtype.h"

#include <stddef.h>

#include "base/checked.h"
#include "wire/data_type.h"

enum {
    FLOAT_DATA = 4,
    INT32_DATA = 5,
    STRING_DATA = 6,
    INT64_DATA = 7,
    DOUBLE_DATA = 10,
    UINT64_DATA = 11
};

static const struct oq_dtype dtypes[] = {
    [OQ_TYPE(FLOAT)] = {"float32", 32, FLOAT_DATA, 1, true},
    [OQ_TYPE(UINT8)] = {"uint8", 8, INT32_DATA, 1, false},
    [OQ_TYPE(INT8)] = {"int8", 8, INT32_DATA, 1, false},
    [OQ_TYPE(UINT16)] = {"uint16", 16, INT32_DATA, 1, false},
    [OQ_TYPE(INT16)] = {"int16", 16, INT32_DATA, 1, false},
    [OQ_TYPE(INT32)] = {"int32", 32, INT32_DATA, 1, false},
    [OQ_TYPE(INT64)] = {"int64", 64, INT64_DATA, 1, false},
    [OQ_TYPE(STRING)] = {"string", 0, STRING_DATA, 1, false},
    [OQ_TYPE(BOOL)] = {"bool", 8, INT32_DATA, 1, false},
    [OQ_TYPE(FLOAT16)] = {"float16", 16, INT32_DATA, 1, true},
    [OQ_TYPE(DOUBLE)] = {"float64", 64, DOUBLE_DATA, 1, true},
    [OQ_TYPE(UINT32)] = {"uint32", 32, UINT64_DATA, 1, false},
    [OQ_TYPE(UINT64)] = {"uint64", 64, UINT64_DATA, 1, false},
    [OQ_TYPE(COMPLEX64)] = {"complex64", 64, FLOAT_DATA, 0, false},
    [OQ_TYPE(COMPLEX128)] = {"complex128", 128, DOUBLE_DATA, 0, false},
    [OQ_TYPE(BFLOAT16)] = {"bfloat16", 16, INT32_DATA, 1, true},
    [OQ_TYPE(FLOAT8E4M3FN)] = {"float8e4m3fn", 8, INT32_DATA, 1, false},
    [OQ_TYPE(FLOAT8E4M3FNUZ)] = {"float8e4m3fnuz", 8, INT32_DATA, 1, false},
    [OQ_TYPE(FLOAT8E5M2)] = {"float8e5m2", 8, INT32_DATA, 1, false},
    [OQ_TYPE(FLOAT8E5M2FNUZ)] = {"float8e5m2fnuz", 8, INT32_DATA, 1, false},
    [OQ_TYPE(UINT4)] = {"uint4", 4, INT32_DATA, 2, false},
    [OQ_TYPE(INT4)] = {"int4", 4, INT32_DATA, 2, false},
    [OQ_TYPE(FLOAT4E2M1)] = {"float4e2m1", 4, INT32_DATA, 2, false},
    [OQ_TYPE(FLOAT8E8M0)] = {"float8e8m0", 8, INT32_DATA, 1, false},
    [OQ_TYPE(UINT2)] = {"uint2", 2, INT32_DATA, 4, false},
    [OQ_TYPE(INT2)] = {"int2", 2, INT32_DATA, 4, false},
    [OQ_TYPE(FLOAT6E2M3)] = {"float6e2m3", 6, INT32_DATA, 1, false},
    [OQ_TYPE(FLOAT6E3M2)] = {"float6e3m2", 6, INT32_DATA, 1, false},
};

const struct oq_dtype *oq_dtype_find(int32_t data_type)
{
    size_t count = sizeof(dtypes) / sizeof(dtypes[0]);
    if (data_type < 0 || (size_t)data_type >= count || dtypes[data_type].name == NULL)
        return NULL;
    return &dtypes[data_type];
}

bool oq_dtype_nbytes(const struct oq_dtype *dtype, uint64_t nelem, uint64_t *nbytes)
{
    uint64_t nbits;
    if (dtype->nbits >= 8)
        return oq_mul_u64(nelem, dtype->nbits / 8, nbytes);
    if (!oq_mul_u64(nelem, dtype->nbits, &nbits))
        return false;
    *nbytes = nbits / 8 + (nbits % 8 != 0);
    return true;
}
