/*
 * ONNX Runtime, opened when it is needed: nothing links to it and no header of
 * it is used (engine/ort_abi.h). All failures to find or use the library as
 * such are ONNXQ_ERROR_ENGINE.
 */
#ifndef OQ_ENGINE_ENGINE_H
#define OQ_ENGINE_ENGINE_H

#include "base/error.h"

struct oq_engine;

/*
 * Finds and loads the library: `path` (a file or a folder) where it is not
 * NULL, else the usual places; the environment is looked at. The error lists what was tried and
 * how to get one. One engine per process; it stays loaded after close.
 */
struct oq_engine *oq_engine_open(const char *path, onnxq_error *error);
void oq_engine_close(struct oq_engine *engine); /* NULL is fine */

const char *oq_engine_version(const struct oq_engine *engine); /* "1.31.1" */
const char *oq_engine_path(const struct oq_engine *engine);    /* of the library */

/*
 * The engine's name ("CUDAExecutionProvider") for what users write ("cuda",
 * "CUDA", or the full name), or NULL with an error that lists those that the library has.
 */
const char *oq_engine_find_provider(const struct oq_engine *engine, const char *name,
                                    onnxq_error *error);

#endif
