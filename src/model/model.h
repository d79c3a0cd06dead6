/* A model file, read: skeleton, views of all tensors, graph index. Immutable once open. */
#ifndef OQ_MODEL_MODEL_H
#define OQ_MODEL_MODEL_H

#include "model/external.h"
#include "model/graph.h"
#include "model/tensor.h"
#include "wire/message.h"

/*
 * What the structure of a model (all but the weights) and what is planned for it
 * may take in memory, each: 1 GB, or 64 bytes for each byte of it in the file.
 * Real models of some MB need about a tenth of that; the smallest nodes that a
 * file can hold, two bytes each, would need a hundred times their size.
 */
#define OQ_STRUCTURE_BUDGET ((size_t)1 << 30)
size_t oq_model_budget(const onnxq_model *model);

struct onnxq_model {
    struct oq_arena arena;
    struct oq_file file;
    struct oq_skeleton skeleton;
    struct oq_external external;
    const Oq__Pb__ModelProto *proto;
    struct oq_graphs graphs;
    struct oq_tensor *tensors; /* all of them, by ordinal */
    size_t n_tensors;
    const struct oq_tensor **tensors_by_proto; /* sorted by address of their proto */
    int64_t opset;                             /* of ai.onnx, 0: not imported */
    onnxq_model_info info;
};

/*
 * Opens the file at `path` as if it had the name `name` already: its side files
 * are those that a model of that name has.
 */
onnxq_model *oq_model_open_as(const char *path, const char *name, onnxq_error *error);

/* What onnxq has noted of how it made the model, or NULL. */
const char *oq_model_settings(const onnxq_model *model);

/* The view of a tensor of this model. */
const struct oq_tensor *oq_model_tensor(const onnxq_model *model, const Oq__Pb__TensorProto *proto);

/*
 * A second copy of the structure, for changing, in the caller's arena. Its
 * tensors, visited in order, are those of model->tensors.
 */
Oq__Pb__ModelProto *oq_model_copy_proto(const onnxq_model *model, struct oq_arena *arena,
                                        onnxq_error *error);

/* Version of an operator set that the model imports, 0: none. */
int64_t oq_model_opset(const Oq__Pb__ModelProto *proto, const char *domain);

/* True for what this program has written. */
bool oq_model_is_ours(const onnxq_model *model);

/*
 * Before IR version 4 every initializer had to be a graph input, and some exporters still
 * list all weights: that is habit, nobody means to override them. What optimizers add, such
 * as shapes and the factors of a Resize, is often not listed and says nothing about weights.
 */
bool oq_model_lists_initializers(const onnxq_model *model);

#endif
