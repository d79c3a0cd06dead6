/*
 * What is known of a value before the model runs: sizes of its axes, and the
 * elements of short constants. Initializers count as constants though callers
 * may override them: the inputs made here leave them as they are.
 */
#ifndef OQ_INPUTS_KNOWN_H
#define OQ_INPUTS_KNOWN_H

#include "model/model.h"

struct oq_shape {
    int64_t dims[OQ_MAX_RANK]; /* -1: not known */
    int rank;
};

/*
 * False where not even the rank is known. `sizes` has those of open dimensions
 * (name, or "INPUT:AXIS" -> int64_t), or is NULL.
 */
bool oq_known_shape(const onnxq_model *model, const struct oq_strmap *sizes,
                    const struct oq_graph *graph, const char *name, struct oq_shape *shape);

/* Size of an axis, counted from the end where it is negative; -1: not known. */
int64_t oq_shape_size(const struct oq_shape *shape, int64_t axis);

/* The element of an integer constant that has one. */
bool oq_known_integer(const onnxq_model *model, const struct oq_graph *graph, const char *name,
                      int64_t *value);

/* The only element of a constant, an integer or a float. */
bool oq_known_number(const onnxq_model *model, const struct oq_graph *graph, const char *name,
                     double *value);

/* Of an attribute (older opsets) or of input number `input` (newer ones). */
bool oq_known_parameter(const onnxq_model *model, const struct oq_graph *graph,
                        const Oq__Pb__NodeProto *node, const char *attribute, size_t input,
                        int64_t *values, size_t *n);

#endif
