/* One file that should be ONNX Runtime, and the search for it. */
#ifndef OQ_ENGINE_LIBRARY_H
#define OQ_ENGINE_LIBRARY_H

#include "base/error.h"
#include "engine/ort_abi.h"

struct oq_library {
    const struct ort_api *api;
    const char *version; /* "1.31.1", the library's own */
    unsigned minor;      /* 31 */
    char *path;          /* as the loader found it */
};

/* Loads a file, or a name that the loader looks for. It stays loaded unless this fails. */
bool oq_library_load(struct oq_library *library, const char *file, onnxq_error *error);
void oq_library_fini(struct oq_library *library);

/* The newest libonnxruntime.so* of a folder. */
bool oq_library_load_newest(struct oq_library *library, const char *folder, onnxq_error *error);

/* Finds and loads it as oq_engine_open() says. */
bool oq_library_find(struct oq_library *library, const char *path, onnxq_error *error);

/* Where the search asks; python_posix.c. */
enum oq_python_answer { OQ_PYTHON_MISSING, OQ_PYTHON_NO_PACKAGE, OQ_PYTHON_FOUND };

/* Asks a Python on PATH for the folder of libraries in its package onnxruntime. */
enum oq_python_answer oq_python_ask(const char *program, char *folder, size_t capacity);

#endif
