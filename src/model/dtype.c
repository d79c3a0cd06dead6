/* The table of element types. */
#include "model/dtype.h"

#include <stddef.h>

#include "base/checked.h"
#include "wire/data_type.h"

#define FLOATS   true, false, false
#define SIGNED   false, true, true
#define UNSIGNED false, true, false
#define OTHER    false, false, false

static const struct oq_dtype dtypes[] = {
    [OQ_TYPE(FLOAT)] = {"float32", 32, OQ_FLOAT_DATA, 1, FLOATS},
    [OQ_TYPE(UINT8)] = {"uint8", 8, OQ_INT32_DATA, 1, UNSIGNED},
    [OQ_TYPE(INT8)] = {"int8", 8, OQ_INT32_DATA, 1, SIGNED},
    [OQ_TYPE(UINT16)] = {"uint16", 16, OQ_INT32_DATA, 1, UNSIGNED},
    [OQ_TYPE(INT16)] = {"int16", 16, OQ_INT32_DATA, 1, SIGNED},
    [OQ_TYPE(INT32)] = {"int32", 32, OQ_INT32_DATA, 1, SIGNED},
    [OQ_TYPE(INT64)] = {"int64", 64, OQ_INT64_DATA, 1, SIGNED},
    [OQ_TYPE(STRING)] = {"string", 0, OQ_STRING_DATA, 1, OTHER},
    [OQ_TYPE(BOOL)] = {"bool", 8, OQ_INT32_DATA, 1, OTHER},
    [OQ_TYPE(FLOAT16)] = {"float16", 16, OQ_INT32_DATA, 1, FLOATS},
    [OQ_TYPE(DOUBLE)] = {"float64", 64, OQ_DOUBLE_DATA, 1, FLOATS},
    [OQ_TYPE(UINT32)] = {"uint32", 32, OQ_UINT64_DATA, 1, UNSIGNED},
    [OQ_TYPE(UINT64)] = {"uint64", 64, OQ_UINT64_DATA, 1, UNSIGNED},
    [OQ_TYPE(COMPLEX64)] = {"complex64", 64, OQ_FLOAT_DATA, 0, OTHER},
    [OQ_TYPE(COMPLEX128)] = {"complex128", 128, OQ_DOUBLE_DATA, 0, OTHER},
    [OQ_TYPE(BFLOAT16)] = {"bfloat16", 16, OQ_INT32_DATA, 1, FLOATS},
    [OQ_TYPE(FLOAT8E4M3FN)] = {"float8e4m3fn", 8, OQ_INT32_DATA, 1, OTHER},
    [OQ_TYPE(FLOAT8E4M3FNUZ)] = {"float8e4m3fnuz", 8, OQ_INT32_DATA, 1, OTHER},
    [OQ_TYPE(FLOAT8E5M2)] = {"float8e5m2", 8, OQ_INT32_DATA, 1, OTHER},
    [OQ_TYPE(FLOAT8E5M2FNUZ)] = {"float8e5m2fnuz", 8, OQ_INT32_DATA, 1, OTHER},
    [OQ_TYPE(UINT4)] = {"uint4", 4, OQ_INT32_DATA, 2, UNSIGNED},
    [OQ_TYPE(INT4)] = {"int4", 4, OQ_INT32_DATA, 2, SIGNED},
    [OQ_TYPE(FLOAT4E2M1)] = {"float4e2m1", 4, OQ_INT32_DATA, 2, OTHER},
    [OQ_TYPE(FLOAT8E8M0)] = {"float8e8m0", 8, OQ_INT32_DATA, 1, OTHER},
    [OQ_TYPE(UINT2)] = {"uint2", 2, OQ_INT32_DATA, 4, UNSIGNED},
    [OQ_TYPE(INT2)] = {"int2", 2, OQ_INT32_DATA, 4, SIGNED},
    [OQ_TYPE(FLOAT6E2M3)] = {"float6e2m3", 6, OQ_INT32_DATA, 1, OTHER},
    [OQ_TYPE(FLOAT6E3M2)] = {"float6e3m2", 6, OQ_INT32_DATA, 1, OTHER},
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
