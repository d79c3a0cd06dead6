/* Element types by name, for tests: independent of the table that is tested. */
#ifndef SUPPORT_TYPES_H
#define SUPPORT_TYPES_H

#include <stddef.h>
#include <stdint.h>

struct element_type {
    const char *name;
    int32_t data_type; /* TensorProto.DataType */
    size_t nbytes;  /* of an element in raw_data; 0: not a whole number of bytes, or no numbers */
    uint32_t field; /* of TensorProto, when it is not raw_data */
};

/* NULL: there is none. */
const struct element_type *element_type_by_name(const char *name);
const struct element_type *element_type_by_number(int32_t data_type);

/* The element as raw_data has it; returns its size. */
size_t element_encode(const struct element_type *type, double value, void *dst);

/* IEEE 754 binary16 and the upper half of binary32, to nearest, ties to even. */
uint16_t half_from_double(double value);
uint16_t bfloat16_from_double(double value);

#endif
