/*
 * Side files (external data). A location is a path relative to the model's
 * folder and must stay in it - or in the folder that the model's own link
 * leads to, which is how the Hugging Face cache stores a model and its side
 * file. Each file is opened once.
 */
#ifndef OQ_MODEL_EXTERNAL_H
#define OQ_MODEL_EXTERNAL_H

#include "base/strmap.h"
#include "model/tensor.h"

struct oq_external {
    struct oq_arena *arena;
    struct oq_strmap files; /* location -> struct oq_file */
    struct oq_file **list;
    size_t count, capacity;
    char *folder;      /* as the model's path has it, "" for the current one */
    char *real_folder; /* without links; NULL where it cannot be resolved, for the reason below */
    int folder_errno;
    char *link_folder;      /* folder of what the model's path links to; may be the same */
    size_t max_descriptors; /* that stay open */
};

bool oq_external_init(struct oq_external *external, const char *model_path, struct oq_arena *arena,
                      onnxq_error *error);
void oq_external_fini(struct oq_external *external);

/* Finds file and range from the entries location, offset and length of `proto`. */
bool oq_external_find(struct oq_external *external, const Oq__Pb__TensorProto *proto,
                      struct oq_external_range *range, onnxq_error *error);

#endif
