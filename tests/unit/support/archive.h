/* .npy and .npz files as bytes, right or, where a test says so, wrong. */
#ifndef SUPPORT_ARCHIVE_H
#define SUPPORT_ARCHIVE_H

#include <stdbool.h>

#include "support/builder.h"

/* A .npy file: `header` is the dict, which gets spaces behind it as NumPy adds them. */
void archive_put_npy(struct builder_bytes *bytes, unsigned version, const char *header,
                     const void *elements, size_t nbytes);

/* The header of elements of a type in C order: "<f4", "(2, 3)". */
const char *archive_npy_header(struct builder *builder, const char *descr, const char *shape);

/* A zip file in the making; all zero but for the builder. */
struct archive {
    struct builder_bytes bytes; /* the file, once archive_end() was called */
    struct builder_bytes directory;
    size_t n_entries;
    size_t directory_at, end_at; /* offsets in the file; end64 stands before the end */
};

enum archive_form {
    ARCHIVE_STORED = 0,
    ARCHIVE_DEFLATED = 1,
    ARCHIVE_ZIP64 = 2,  /* sizes and offset in the extra field, as writers of streams do */
    ARCHIVE_STREAM = 4, /* sizes behind the data, none in the local header */
};

/* `form` is made of the bits above. */
void archive_add(struct archive *archive, const char *name, unsigned form, const void *data,
                 size_t nbytes);
void archive_end(struct archive *archive, bool zip64, const char *comment);

#endif
