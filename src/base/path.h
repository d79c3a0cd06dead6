/* The parts of a path: "models/" and "a.onnx" of "models/a.onnx". */
#ifndef OQ_BASE_PATH_H
#define OQ_BASE_PATH_H

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

#endif
