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

/* Where a node of a derived model comes from: what users know it as. */
struct oq_node_origin {
    const Oq__Pb__NodeProto *node;
    const char *label, *op_type, *domain; /* of the node of the file that it stands for, or is in */
    bool is_inside;                       /* a call of a local function, of which it is a part */
};

struct oq_made_tensor {
    const Oq__Pb__TensorProto *tensor;
    const struct oq_made *made;
};

/* What a change says of the copy that it has made. */
struct oq_notes {
    struct oq_node_origin *origins; /* in a derived model sorted by address of the node */
    size_t n_origins, origins_capacity;
    const Oq__Pb__TensorProto **added; /* tensors that are in no file */
    size_t n_added, added_capacity;
    struct oq_made_tensor *made; /* tensors that were computed */
    size_t n_made, made_capacity;
};

/*
 * Changes the structure of a copy of `base`, made of it anew; to the same each time, as later
 * copies are to have the tensors of the first. notes: NULL, or to be filled.
 */
typedef bool (*oq_model_change_fn)(const onnxq_model *base, const void *context,
                                   Oq__Pb__ModelProto *proto, struct oq_arena *arena,
                                   struct oq_notes *notes, onnxq_error *error);

struct onnxq_model {
    const onnxq_model *base; /* that it is derived from by `change`, or NULL */
    oq_model_change_fn change;
    const void *context;
    struct oq_notes notes;
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

/*
 * The same model in other words: its structure changed, its file and tensors shared. The base and
 * the context have to outlive it; released with onnxq_model_close().
 */
onnxq_model *oq_model_derive(const onnxq_model *base, oq_model_change_fn change,
                             const void *context, onnxq_error *error);

/* The model as its file has it. */
const onnxq_model *oq_model_of_file(const onnxq_model *model);

/* Where a node of the model comes from; NULL: it is in the file as it is. */
const struct oq_node_origin *oq_model_origin(const onnxq_model *model,
                                             const Oq__Pb__NodeProto *node);

/* For changes: notes where a node comes from, or that a tensor is new. notes may be NULL. */
bool oq_note_origin(struct oq_notes *notes, struct oq_arena *arena,
                    const struct oq_node_origin *origin);
bool oq_note_added(struct oq_notes *notes, struct oq_arena *arena,
                   const Oq__Pb__TensorProto *tensor);

/* Or what a tensor was computed of. */
bool oq_note_made(struct oq_notes *notes, struct oq_arena *arena, const Oq__Pb__TensorProto *tensor,
                  const struct oq_made *made);

/* In the settings of --method static: some of the ranges were there, and are another tool's. */
#define OQ_RANGES_OF_OTHERS " ranges_of_others=1"

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
int64_t oq_imported_version(Oq__Pb__OperatorSetIdProto *const *imports, size_t n,
                            const char *domain);
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
