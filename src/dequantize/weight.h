/*
 * A weight that becomes float again: integers, and the scales and zero points
 * that belong to them, all read from the model's own tensors when they are
 * asked for.
 */
#ifndef OQ_DEQUANTIZE_WEIGHT_H
#define OQ_DEQUANTIZE_WEIGHT_H

#include "edit/draft.h"
#include "kernels/kernels.h"
#include "model/model.h"

#define OQ_WEIGHT_MAX_RANK   8
#define OQ_WEIGHT_MAX_GROUPS 4096 /* blocks of a row that `groups` may refer to */

/* Numbers that integers share: number sum(index[i] / block[i] * stride[i]) belongs to an element.
 */
struct oq_shared {
    const struct oq_tensor *tensor; /* NULL: all are `value` */
    float value;
    bool is_integer;
    struct oq_integer_type type;
    uint64_t nelem;
    uint64_t stride[OQ_WEIGHT_MAX_RANK], block[OQ_WEIGHT_MAX_RANK];
    uint64_t flat_block; /* not 0: one number for so many elements, whatever the axes */
};

struct oq_weight {
    const struct oq_tensor *values;
    struct oq_integer_type type;
    const float *table; /* what the integers stand for; NULL: themselves */
    struct oq_shared scale, zero_point;
    struct oq_shared factor; /* that scales are multiplied by first; tensor NULL: nothing */

    /* The axes in the order in which the integers are stored. */
    size_t n_axes;
    uint64_t sizes[OQ_WEIGHT_MAX_RANK];
    uint64_t pitch;  /* integers from one row to the next: the size of the last axis, or more */
    bool transposed; /* the result has the last two axes the other way round */

    /* The block along the last axis for each index of it, where blocks are no stretches. */
    const int32_t *groups;
    uint64_t n_groups;

    uint64_t nelem;
    int64_t dims[OQ_WEIGHT_MAX_RANK]; /* of the result */
    size_t n_dims;
    int32_t value_type; /* TensorProto.DataType that the model computes with */
    int32_t data_type;  /* and that is stored */

    /* for whoever writes it */
    const struct oq_graph *graph;    /* where it goes: that of the integers */
    const struct oq_value *integers; /* by this name */
    const char *wanted;              /* a name that nodes know it by already, or NULL */
    const char *name;                /* that it has got */
    bool used;                       /* by a node that becomes float */
    bool counted;                    /* in a report */
    struct oq_weight *next;          /* another one of the same integers */
};

/* --- making one; reasons why it cannot be are texts, NULL: it can --- */

/* The integers, of shape dims, as they are stored. */
const char *oq_weight_set_values(struct oq_weight *weight, const struct oq_tensor *tensor,
                                 const int64_t *dims, size_t n_dims);

/* The tensor as floats or integers; NULL is not allowed. */
const char *oq_shared_set(struct oq_shared *shared, const struct oq_tensor *tensor);

/*
 * Spreads the numbers over the weight: of shape dims, which broadcasts to that
 * of the weight where `block` is 1, else has one for each `block` along `axis`.
 */
const char *oq_shared_spread(struct oq_shared *shared, const struct oq_weight *weight,
                             const int64_t *dims, size_t n_dims, size_t axis, uint64_t block);

/* *uniform: its numbers are all the same. They become one for all elements, before settling. */
bool oq_shared_is_uniform(const struct oq_shared *shared, char *scratch, bool *uniform,
                          onnxq_error *error);
void oq_shared_collapse(struct oq_shared *shared);

/* Completes a weight whose fields are set. False: too large. */
bool oq_weight_settle(struct oq_weight *weight);

/*
 * Whether both stand for the same numbers that the model computes with in the same type; reads
 * what has to be compared.
 */
bool oq_weight_equal(const struct oq_weight *a, const struct oq_weight *b, void *scratch,
                     bool *equal, onnxq_error *error);

/* --- reading --- */

/* Numbers [first, first + count) as floats; scratch has OQ_READ_SCRATCH_NBYTES. */
bool oq_shared_read(const struct oq_shared *shared, uint64_t first, size_t count, float *dst,
                    int32_t *integers, void *scratch, onnxq_error *error);

/* Its elements in data_type. */
struct oq_recipe oq_weight_recipe(const struct oq_weight *weight);

#endif
