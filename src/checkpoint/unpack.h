/* The numbers of a module, a rectangle at a time, whatever its packing. */
#ifndef OQ_CHECKPOINT_UNPACK_H
#define OQ_CHECKPOINT_UNPACK_H

#include "checkpoint/checkpoint.h"

/* Most columns of a rectangle. */
#define OQ_UNPACK_MAX_COLUMNS ((size_t)1024)

struct oq_unpack {
    const struct oq_module *module;
    const int32_t *order; /* [rows]: row number i is order[i]; NULL: i */
    uint32_t zero_offset; /* what is added to a zero point as it is stored */
};

/* Integers of rows [row, row + n_rows) and columns [column, column + n): codes [n_rows, n]. */
bool oq_unpack_codes(const struct oq_unpack *unpack, uint64_t row, size_t n_rows, uint64_t column,
                     size_t n, uint8_t *codes, onnxq_error *error);

/* Zero points and scales of one group. */
bool oq_unpack_zeros(const struct oq_unpack *unpack, uint64_t group, uint64_t column, size_t n,
                     uint8_t *zeros, onnxq_error *error);
bool oq_unpack_scales(const struct oq_unpack *unpack, uint64_t group, uint64_t column, size_t n,
                      float *scales, onnxq_error *error);

/*
 * Reads all zero points: what to add to them, as the format has it, and as they themselves say
 * where all are the middle or all one less, which is what symmetric quantization leaves; and
 * whether they are all in the middle. *fits: none is beyond the largest integer.
 */
bool oq_unpack_find_zeros(struct oq_unpack *unpack, bool *all_in_the_middle, bool *fits,
                          onnxq_error *error);

/* g_idx as it is, [rows]. */
bool oq_unpack_read_groups(const struct oq_module *module, int32_t *groups, onnxq_error *error);

#endif
