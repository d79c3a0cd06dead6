/* What stands before the elements of a .npy file: its text, parsed and checked. */
#ifndef OQ_ARRAYS_NPY_HEADER_H
#define OQ_ARRAYS_NPY_HEADER_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* NumPy has no more dimensions (since 2.0; 32 before). */
#define OQ_NPY_MAX_DIMS 64

struct oq_npy_header {
    int32_t data_type; /* TensorProto.DataType */
    uint32_t width;    /* bytes of an element; strings are padded with NULs to that */
    uint32_t swap;     /* bytes to be reversed together, or 1: nothing to do */
    bool is_unicode;   /* strings of UCS-4, else of bytes */
    bool fortran_order;
    int64_t dims[OQ_NPY_MAX_DIMS];
    size_t n_dims;
};

/* The text of the header, a Python dict such as
 * {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } and spaces. */
bool oq_npy_header_parse(struct oq_npy_header *header, const char *text, size_t nbytes,
                         onnxq_error *error);

#endif
