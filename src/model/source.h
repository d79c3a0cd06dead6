/*
 * The elements of a constant value, wherever they come from: a tensor, or what
 * Identity, Slice, Split, Concat, Squeeze, Unsqueeze, Flatten, Reshape, Transpose,
 * Cast, Gather by one index, and Mul or Div by constants make of tensors. Nothing is copied: a
 * source is a list of stretches of tensors, read when its elements are asked for.
 */
#ifndef OQ_MODEL_SOURCE_H
#define OQ_MODEL_SOURCE_H

#include "model/graph.h"
#include "model/tensor.h"

struct oq_span {
    const struct oq_tensor *tensor;
    uint64_t first, nelem; /* elements of the tensor, in order */
};

struct oq_source {
    const struct oq_span *spans;
    size_t n_spans;
    int32_t data_type; /* TensorProto.DataType of the value */
    const struct oq_dtype *dtype;
    const int64_t *dims; /* as stored in the spans: not the value's where it is transposed */
    size_t n_dims;
    uint64_t nelem;
    uint64_t nbytes;
    /* The value is the transpose of what is stored: its dims are dims[1], dims[0]. */
    bool transposed;
    /* Element i, as it is read, is multiplied by factors[i / factor_nelem % n_factors]; NULL: 1. */
    const float *factors;
    uint64_t factor_nelem, n_factors;
};

/* All of one tensor. The span lives in the arena; false when memory is out. */
bool oq_source_from_tensor(struct oq_source *source, const struct oq_tensor *tensor,
                           struct oq_arena *arena);

/*
 * As oq_tensor_read_floats(), for elements [first, first + count) in the order
 * in which they are stored. An error names the tensor that could not be read.
 */
bool oq_source_read_floats(const struct oq_source *source, uint64_t first, size_t count, float *dst,
                           void *scratch, onnxq_error *error);

/* The same of any number of elements, piece by piece. */
bool oq_source_read_many(const struct oq_source *source, uint64_t first, uint64_t count, float *dst,
                         void *scratch, onnxq_error *error);

/* What is read of a source at once, for those that look at all of it. */
struct oq_piece {
    const struct oq_source *source;
    float *x; /* its elements; room for OQ_READ_MAX_NELEM */
    void *scratch;
    uint64_t unit;  /* pieces end where a multiple of it does, such as rows */
    uint64_t first; /* where it begins; both are 0 in front of the first piece */
    size_t n;
    bool failed;
};

/* The next piece; false behind the last one, and on failure. */
bool oq_source_next(struct oq_piece *piece, onnxq_error *error);

struct onnxq_model;

/*
 * The source behind `name` in graph where only the operators above lie between
 * it and tensors, and no caller can override them. *found is false where it is
 * not of that kind; the return value is false only on failure.
 */
bool oq_source_find(struct oq_source *source, const struct onnxq_model *model,
                    const struct oq_graph *graph, const char *name, bool inputs_are_frozen,
                    struct oq_arena *arena, bool *found, onnxq_error *error);

/* True for nodes that oq_source_find() sees through and that only rearrange elements. */
bool oq_source_sees_through(const Oq__Pb__NodeProto *node);

/* True for nodes that may make a source of constants: those, and Split, Gather, Mul, Div. */
bool oq_source_may_make(const Oq__Pb__NodeProto *node);

#endif
