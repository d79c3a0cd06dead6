#include "support/types.h"

#include <math.h>
#include <string.h>

enum {
    FLOAT_DATA = 4,
    INT32_DATA = 5,
    STRING_DATA = 6,
    INT64_DATA = 7,
    DOUBLE_DATA = 10,
    UINT64_DATA = 11
};

/* Numbers of TensorProto.DataType. */
static const struct element_type types[] = {
    {"float32", 1, 4, FLOAT_DATA},       {"uint8", 2, 1, INT32_DATA},
    {"int8", 3, 1, INT32_DATA},          {"uint16", 4, 2, INT32_DATA},
    {"int16", 5, 2, INT32_DATA},         {"int32", 6, 4, INT32_DATA},
    {"int64", 7, 8, INT64_DATA},         {"string", 8, 0, STRING_DATA},
    {"bool", 9, 1, INT32_DATA},          {"float16", 10, 2, INT32_DATA},
    {"float64", 11, 8, DOUBLE_DATA},     {"uint32", 12, 4, UINT64_DATA},
    {"uint64", 13, 8, UINT64_DATA},      {"complex64", 14, 8, FLOAT_DATA},
    {"complex128", 15, 16, DOUBLE_DATA}, {"bfloat16", 16, 2, INT32_DATA},
    {"uint4", 21, 0, INT32_DATA},        {"int4", 22, 0, INT32_DATA},
};

#define N_TYPES (sizeof(types) / sizeof(types[0]))

const struct element_type *element_type_by_name(const char *name)
{
    for (size_t i = 0; i < N_TYPES; i++)
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}

const struct element_type *element_type_by_number(int32_t data_type)
{
    for (size_t i = 0; i < N_TYPES; i++)
        if (types[i].data_type == data_type)
            return &types[i];
    return NULL;
}

uint16_t half_from_double(double value)
{
    uint16_t sign = signbit(value) ? 0x8000 : 0;
    double magnitude = fabs(value);
    if (isnan(value))
        return sign | 0x7e00;
    if (magnitude >= 65520) /* halfway between the largest number and the next one */
        return sign | 0x7c00;
    int exponent;
    frexp(magnitude, &exponent);
    if (exponent < -13) /* a denormal: its last bit is worth 2^-24 */
        exponent = -13;
    double bits = rint(ldexp(magnitude, 11 - exponent)); /* 11 bits of mantissa, or fewer */
    if (bits < 1024)
        return (uint16_t)(sign | (uint16_t)bits);
    /* A carry out of the mantissa makes the exponent one larger, as it should. */
    return (uint16_t)(sign | (uint16_t)((exponent + 14 - 1) * 1024 + (int)bits));
}

uint16_t bfloat16_from_double(double value)
{
    float single = (float)value;
    uint32_t bits;
    memcpy(&bits, &single, sizeof(bits));
    if (isnan(value))
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static size_t store(void *dst, const void *src, size_t nbytes)
{
    memcpy(dst, src, nbytes);
    return nbytes;
}

size_t element_encode(const struct element_type *type, double value, void *dst)
{
    switch (type->data_type) {
    case 1:
        return store(dst, &(float){(float)value}, 4);
    case 10:
        return store(dst, &(uint16_t){half_from_double(value)}, 2);
    case 11:
        return store(dst, &value, 8);
    case 16:
        return store(dst, &(uint16_t){bfloat16_from_double(value)}, 2);
    case 14:
        return store(dst, (float[]){(float)value, 0}, 8);
    case 15:
        return store(dst, (double[]){value, 0}, 16);
    default: /* an integer; its low bytes come first */
        return store(dst, &(int64_t){(int64_t)value}, type->nbytes);
    }
}
