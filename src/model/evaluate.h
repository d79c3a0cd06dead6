/*
 * The numbers of a constant expression: what a model computes of stored constants alone, as an
 * engine computes it in float32. Not for what is merely a stored tensor, however rearranged: that
 * is a source, and is read when it is needed.
 */
#ifndef OQ_MODEL_EVALUATE_H
#define OQ_MODEL_EVALUATE_H

#include "model/model.h"

/* More axes than weights have, also while they are computed. */
#define OQ_EVALUATED_RANK 8

/* Values that may be computed for one expression, the stored ones included. */
#define OQ_EVALUATED_MAX_VALUES 256

/* A value; also of integers and truth values, which are all numbers that float32 holds. */
struct oq_numbers {
    const struct oq_value *value;
    int32_t data_type; /* FLOAT, INT64 (also of int32), BOOL; float16 and others until a Cast */
    size_t n_dims;
    int64_t dims[OQ_EVALUATED_RANK];
    uint64_t nelem;
    float *x;
    bool is_rounded; /* some of it went through Round, Floor or Ceil, and is not scaled again */
    bool is_stored;  /* a tensor */
};

struct oq_evaluation {
    struct oq_numbers list[OQ_EVALUATED_MAX_VALUES]; /* all values that were computed, the last */
    size_t count;                                    /* one is the result */
    const struct oq_value *rounded; /* the last one of integers of 8 bits, by Round; or NULL */
};

struct oq_evaluator {
    const onnxq_model *model;
    bool inputs_are_frozen;
    struct oq_arena *arena; /* of all that is computed */
    void *scratch;          /* OQ_READ_SCRATCH_NBYTES */
    uint64_t work;          /* operations that are left for this model */
    onnxq_error *error;
};

/* True for nodes whose operator is known; types and attributes may still be such that are not. */
bool oq_evaluate_knows(const Oq__Pb__NodeProto *node);

/*
 * Computes the value `name` of graph. *found: it is float32, of stored constants that no caller
 * overrides, and all operators are known. The return value is false only on failure.
 */
bool oq_evaluate(struct oq_evaluator *evaluator, const struct oq_graph *graph, const char *name,
                 struct oq_evaluation *evaluation, bool *found);

#endif
