/* What the files of this folder know of an open engine. */
#ifndef OQ_ENGINE_RUNTIME_H
#define OQ_ENGINE_RUNTIME_H

#include "engine/engine.h"
#include "engine/library.h"

struct oq_engine {
    struct oq_library library;
    const struct ort_api *api; /* the library's */
    struct ort_env *env;
    char **providers; /* the engine's names */
    int n_providers;
};

/*
 * True for a status that is none. Else it becomes an error with the engine's
 * words and is released; `kind` is the error's status, but providers that
 * fail are ONNXQ_ERROR_ENGINE always.
 */
bool oq_engine_accept(const struct oq_engine *engine, struct ort_status *status, onnxq_status kind,
                      onnxq_error *error);

/* Copies an engine's message without line breaks, places in its source and the model's name. */
void oq_engine_clean_message(const char *message, char *text, size_t capacity);

#endif
