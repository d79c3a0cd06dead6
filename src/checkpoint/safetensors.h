/*
 * Files of safetensors: 8 bytes with the length of a header, little-endian; the header, one JSON
 * object that gives each tensor's type, shape and place; then the tensors. Every number is checked
 * before it is used. Only the header is ever in memory, and of it what is below.
 *
 * Source: https://github.com/huggingface/safetensors, "Format".
 */
#ifndef OQ_CHECKPOINT_SAFETENSORS_H
#define OQ_CHECKPOINT_SAFETENSORS_H

#include "base/arena.h"
#include "base/file.h"

/* What the format itself allows. */
#define OQ_SAFETENSORS_MAX_HEADER ((uint64_t)100000000)

enum oq_stored_type {
    OQ_STORED_OTHER, /* no number of it is asked for */
    OQ_STORED_F16,
    OQ_STORED_BF16,
    OQ_STORED_F32,
    OQ_STORED_I32
};

/* A tensor that lies in a file, row by row. */
struct oq_stored {
    const char *name;
    const struct oq_file *file;
    uint64_t offset, nbytes; /* in the file */
    uint64_t nelem;
    const uint64_t *dims;
    size_t n_dims;
    enum oq_stored_type type;
    const char *dtype; /* as the file calls it */
};

struct oq_stored_list {
    struct oq_stored *items;
    size_t count, capacity;
};

/*
 * Adds the tensors of an open file, in the order of the header, to the list; all that is found
 * lives in the arena. The file has to outlive them.
 */
bool oq_safetensors_read(const struct oq_file *file, struct oq_stored_list *list,
                         struct oq_arena *arena, onnxq_error *error);

/* Elements [first, first + count), which are there, of F16, BF16 or F32. */
bool oq_stored_read_floats(const struct oq_stored *stored, uint64_t first, size_t count, float *dst,
                           onnxq_error *error);

/* The same of I32. */
bool oq_stored_read_ints(const struct oq_stored *stored, uint64_t first, size_t count,
                         uint32_t *dst, onnxq_error *error);

#endif
