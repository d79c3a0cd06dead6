/*
 * A model on its way to a file: its structure in memory, with a recipe for
 * every payload that is not.
 */
#ifndef OQ_EDIT_DRAFT_H
#define OQ_EDIT_DRAFT_H

#include "model/model.h"

/*
 * A payload that is made when it is written, in any stretch that the writer
 * asks for: bytes [first, first + count) of nbytes. Threads run the same
 * recipe at once. scratch has OQ_RECIPE_SCRATCH_NBYTES.
 */
typedef bool (*oq_produce_fn)(const void *source, uint64_t first, size_t count, uint8_t *dst,
                              void *scratch, onnxq_error *error);
struct oq_recipe {
    uint64_t nbytes;
    oq_produce_fn produce;
    const void *source; /* lives as long as the draft */
};

/* Room to read OQ_READ_MAX_NELEM elements, and for them as float32. */
#define OQ_RECIPE_SCRATCH_NBYTES (OQ_READ_SCRATCH_NBYTES + OQ_READ_MAX_NELEM * sizeof(float))

static inline float *oq_recipe_floats(void *scratch)
{
    return (float *)(void *)((char *)scratch + OQ_READ_SCRATCH_NBYTES);
}

/* Bytes in memory. */
struct oq_recipe oq_recipe_bytes(const void *bytes, uint64_t nbytes);

/* A tensor of the model as it is. */
struct oq_recipe oq_recipe_copy(const struct oq_tensor *tensor);

/* A tensor of the output that may lie in a side file. */
struct oq_large_tensor {
    Oq__Pb__TensorProto *proto;
    uint32_t recipe;
};

struct oq_draft {
    const onnxq_model *model; /* what it is made of */
    struct oq_arena *arena;
    Oq__Pb__ModelProto *proto; /* NULL: nothing changes */
    struct oq_recipe *recipes;
    uint64_t *recipe_nbytes; /* [n_recipes] */
    size_t n_recipes, recipes_capacity;
    struct oq_large_tensor *large; /* [n_large] */
    size_t n_large, large_capacity;
    size_t job_nbytes;         /* that are produced at once; 0: what is written fastest */
    struct oq_written written; /* the output where it is one file; of 0 bytes: not known */
};

/* A copy of the model's structure. Both have to outlive the draft. */
bool oq_draft_init(struct oq_draft *draft, const onnxq_model *model, struct oq_arena *arena,
                   onnxq_error *error);
void oq_draft_fini(struct oq_draft *draft);

/* A number for a new recipe; false when memory is out. */
bool oq_draft_add_recipe(struct oq_draft *draft, const struct oq_recipe *recipe, uint32_t *number,
                         onnxq_error *error);

/* The payload of a tensor of the draft, of the size that it has already, becomes that. */
bool oq_draft_set_recipe(struct oq_draft *draft, Oq__Pb__TensorProto *proto,
                         const struct oq_recipe *recipe, onnxq_error *error);

/* After the last change: finds the tensors that may go to a side file. */
bool oq_draft_finish(struct oq_draft *draft, onnxq_error *error);

/* --- emit.c --- */

/* Bytes of model and side files; of the side file alone, 0: none. */
struct oq_draft_sizes {
    uint64_t before, after, external_after;
};

/* What oq_draft_write() would write under the name model.onnx; changes come before. */
bool oq_draft_measure(struct oq_draft *draft, const onnxq_output_options *options,
                      struct oq_draft_sizes *sizes, onnxq_error *error);

/* What oq_draft_write() would write under that name: with a side file it depends on that. As
 * there, what the caller does not want may be NULL. */
onnxq_status oq_draft_get_size(const struct oq_draft *draft, const onnxq_output_options *options,
                               const char *path, uint64_t *model_nbytes, uint64_t *external_nbytes,
                               onnxq_error *error);

/*
 * The tensor names its place in a side file instead of holding its payload; what it
 * needs for that lives in the arena. False when memory is out.
 */
bool oq_draft_refer(struct oq_arena *arena, Oq__Pb__TensorProto *proto, char *location,
                    uint64_t offset, uint64_t nbytes);

/* In builds with assertions: the output of a valid model is validated before it has its name. */
extern const bool oq_draft_checks_output;

/*
 * Writes model and side file, which appear under their names when they are complete. Where
 * nothing changes the file is copied, or the error is that it has `nothing`.
 */
onnxq_status oq_draft_write(const struct oq_draft *draft, const onnxq_output_options *options,
                            const char *nothing, const char *path, onnxq_error *error);

#endif
