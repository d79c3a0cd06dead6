/* One form for all Constant nodes that hold numbers. */
#ifndef OQ_MODEL_CONSTANT_NODES_H
#define OQ_MODEL_CONSTANT_NODES_H

#include "base/arena.h"
#include "onnx.pb-c.h"

/* Numbers in attributes of the graph's Constant nodes become tensors that hold them. */
bool oq_constant_nodes_normalize(Oq__Pb__ModelProto *model, int64_t opset, struct oq_arena *arena,
                                 onnxq_error *error);

#endif
