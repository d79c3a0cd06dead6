/*
 * One view on a tensor, however it is stored: raw_data, a typed field (packed,
 * unpacked, in several pieces), a side file, or a Constant node's attribute in memory. A view is
 * immutable and reads its elements from the file when asked; threads may read the same view.
 */
#ifndef OQ_MODEL_TENSOR_H
#define OQ_MODEL_TENSOR_H

#include "base/arena.h"
#include "base/file.h"
#include "kernels/kernels.h"
#include "model/dtype.h"
#include "wire/payload.h"

/* Most elements that one call reads, and the working memory that it needs. */
#define OQ_READ_MAX_NELEM      ((size_t)256 << 10)
#define OQ_READ_SCRATCH_NBYTES (OQ_READ_MAX_NELEM * 8)

/*
 * Where element k * OQ_MARK_NELEM of a variable-length encoding starts. A read decodes half as many
 * numbers for nothing on average, which is what reading a weight row by row costs; a mark of 16
 * bytes for 4096 numbers is nothing beside them.
 */
#define OQ_MARK_NELEM ((uint64_t)4 << 10)
struct oq_mark {
    uint32_t fragment;
    uint64_t offset;
};

/*
 * Of a tensor in no file: what its numbers were computed of. Where steps are known, they are
 * integers of 8 bits times one of these, or one for each index of an axis.
 */
struct oq_value;
struct oq_made {
    const struct oq_tensor *base; /* the largest of them, as users know it: */
    const char *name;             /* by this name */
    struct oq_made_of {
        const struct oq_value *value;
        const struct oq_tensor *tensor;
    } * others;
    size_t n_others; /* stored constants that left together with that */
    int axis;        /* of the steps; -1: one for all */
    uint64_t n_steps;
    const float *steps; /* NULL: not known */
};

struct oq_tensor {
    const Oq__Pb__TensorProto *proto;
    const struct oq_dtype *dtype; /* NULL: a type we do not know; only its bytes can be kept */
    const char *name;             /* never NULL */
    const int64_t *dims;
    size_t n_dims;
    uint64_t nelem;
    uint64_t nbytes; /* of the elements as raw_data has them; of all fragments when dtype is NULL */
    size_t ordinal;  /* its number in the order in which oq_message_visit() comes by */

    const struct oq_file *file; /* NULL where there is no payload: no elements, or strings */
    bool contiguous;            /* the elements lie at [offset, offset + nbytes) as in raw_data */
    bool external;
    bool is_added;              /* it is not in the file; see struct oq_notes */
    const struct oq_made *made; /* or NULL */
    uint64_t offset;
    const struct oq_fragment *fragments;
    uint32_t nfragments;
    const struct oq_mark *marks; /* of int32_data, int64_data, uint64_data */
};

/* The side file that holds a tensor's data; false with an error where there is none. */
struct oq_external_range {
    const struct oq_file *file;
    uint64_t offset;
    uint64_t nbytes;
    bool has_nbytes;
};

/*
 * Makes the view of `proto`: dims and type are checked against the payload,
 * which lies in `external` where that is not NULL, else in fragments of
 * `file`. Integers of variable length are read once to be counted.
 */
bool oq_tensor_init(struct oq_tensor *tensor, const Oq__Pb__TensorProto *proto,
                    const struct oq_file *file, const struct oq_fragment *fragments,
                    const struct oq_external_range *external, struct oq_arena *arena,
                    onnxq_error *error);

/*
 * Elements [first, first + count) as float32; count <= OQ_READ_MAX_NELEM,
 * dtype->is_float, scratch of OQ_READ_SCRATCH_NBYTES.
 */
bool oq_tensor_read_floats(const struct oq_tensor *tensor, uint64_t first, size_t count, float *dst,
                           void *scratch, onnxq_error *error);

/*
 * Integers [first, first + count) of those that the tensor's bytes hold, which
 * may be narrower than its elements: 4-bit numbers in a tensor of bytes.
 * count <= OQ_READ_MAX_NELEM, oq_tensor_integer_type() of the tensor is true,
 * scratch of OQ_READ_SCRATCH_NBYTES.
 */
bool oq_tensor_read_integers(const struct oq_tensor *tensor, struct oq_integer_type type,
                             uint64_t first, size_t count, int32_t *dst, void *scratch,
                             onnxq_error *error);

/* The integers that are its elements; false for floats, and for integers of 64 bits. */
bool oq_tensor_integer_type(const struct oq_tensor *tensor, struct oq_integer_type *type);

/* Text such as [3,4], for messages; the buffer. */
const char *oq_tensor_dims(const struct oq_tensor *tensor, char *dst, size_t capacity);

/* True for int32 and int64: shapes, axes, indices. */
bool oq_tensor_is_integer(const struct oq_tensor *tensor);

/* All elements of an integer tensor of at most OQ_READ_MAX_INTEGERS elements. */
#define OQ_READ_MAX_INTEGERS 64
bool oq_tensor_read_int64s(const struct oq_tensor *tensor, int64_t *dst, onnxq_error *error);

/*
 * All elements, as raw_data has them: nbytes of them, however they are stored.
 * dtype is one of numbers, scratch of OQ_READ_SCRATCH_NBYTES.
 */
bool oq_tensor_read_all(const struct oq_tensor *tensor, void *dst, void *scratch,
                        onnxq_error *error);

/* Bytes [first, first + count) of a contiguous tensor. */
bool oq_tensor_read_bytes(const struct oq_tensor *tensor, uint64_t first, size_t count, void *dst,
                          onnxq_error *error);

#endif
