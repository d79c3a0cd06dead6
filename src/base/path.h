/* The parts of a path: "models/" and "a.onnx" of "models/a.onnx"; and how a name ends. */
#ifndef OQ_BASE_PATH_H
#define OQ_BASE_PATH_H

#include <stdbool.h>
#include <string.h>

/* What is behind the last slash; "" for a path that ends in one. */
static inline const char *oq_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

/* Of the folder with its slash; 0 for a file in the current one. */
static inline size_t oq_folder_length(const char *path)
{
    return (size_t)(oq_base_name(path) - path);
}

/* FOLDER/NAME on the heap; NULL where memory ran out. */
char *oq_path_join(const char *folder, const char *name);

static inline bool oq_ends_with(const char *text, const char *ending)
{
    const size_t n = strlen(text), n_ending = strlen(ending);
    return n >= n_ending && strcmp(text + n - n_ending, ending) == 0;
}

#endif
