/*
 * Whether parts of two models say the same, weights included: how inner values
 * that quantization did not touch are told from those that it did.
 */
#ifndef OQ_LAYERS_SAME_H
#define OQ_LAYERS_SAME_H

#include "model/model.h"

/* Two models, and memory to read the weights of both. */
struct oq_same {
    const onnxq_model *a, *b;
    void *buffers;
};

bool oq_same_init(struct oq_same *same, const onnxq_model *a, const onnxq_model *b,
                  onnxq_error *error);
void oq_same_fini(struct oq_same *same);

/*
 * *equal: same type, dims and elements, wherever each of the two is stored.
 * Elements that lie in pieces count as unlike where the pieces are, but for short lists of
 * integers.
 */
bool oq_same_tensors(struct oq_same *same, const Oq__Pb__TensorProto *a,
                     const Oq__Pb__TensorProto *b, bool *equal, onnxq_error *error);

/* *equal: same operator with the same attributes, bodies included; inputs and names aside. */
bool oq_same_operators(struct oq_same *same, const Oq__Pb__NodeProto *a, const Oq__Pb__NodeProto *b,
                       bool *equal, onnxq_error *error);

#endif
