/*
 * Input files, read by position. Reading instead of mapping: measured equally
 * fast with a buffer that stays in the cache, and a file that shrinks while it
 * is read gives an error instead of a signal.
 * A file is immutable once open; threads may read it at the same time.
 */
#ifndef OQ_BASE_FILE_H
#define OQ_BASE_FILE_H

#include "base/error.h"
#include "base/os.h"

struct oq_file {
    char *path;
    int fd; /* -1: opened anew for each read, where a model has very many side files */
    uint64_t nbytes;
    struct oq_file_status status; /* when it was opened */
    const void *memory;           /* not NULL: it holds the bytes, and there is no file */
};

/* "a FIFO", for what is no regular file. */
const char *oq_file_kind(enum oq_file_type type);

/* That others may have to what is made of it: all, where it has no name, as it was made for us. */
unsigned oq_file_rights(const struct oq_file *file);

/*
 * Opens a regular file; folders, FIFOs, sockets and devices are refused with
 * their kind. The file keeps its own copy of path.
 */
bool oq_file_open(struct oq_file *file, const char *path, onnxq_error *error);
void oq_file_close(struct oq_file *file);

/* Gives the descriptor back; reads open the file again. */
void oq_file_release_descriptor(struct oq_file *file);

/* *same, where it is true: whether nbytes of one file at at_a are those of another at at_b. */
bool oq_file_compare(const struct oq_file *a, uint64_t at_a, const struct oq_file *b, uint64_t at_b,
                     uint64_t nbytes, bool *same, onnxq_error *error);

/* Reads exactly nbytes at offset; a file that ends before is an error. */
bool oq_file_read(const struct oq_file *file, uint64_t offset, void *dst, size_t nbytes,
                  onnxq_error *error);

#endif
