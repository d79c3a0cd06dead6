/*
 * A model in the engine. One thread at a time for one session. An error of the
 * engine has its words, and the model as file; it is ONNXQ_ERROR_INPUT where
 * it refuses a model or fails to run it.
 */
#ifndef OQ_ENGINE_SESSION_H
#define OQ_ENGINE_SESSION_H

#include "engine/engine.h"
#include "arrays/array.h"

/* As in ONNX Runtime (GraphOptimizationLevel). */
enum oq_opt_level {
    OQ_OPT_DISABLE = 0,
    OQ_OPT_BASIC = 1,
    OQ_OPT_EXTENDED = 2,
    OQ_OPT_ALL = 99,
};

/* As base/option_values.h has those of the library. */
#define OQ_OPT_LEVEL_VALUES(X)                                                                     \
    X("disable", OQ_OPT_DISABLE)                                                                   \
    X("basic", OQ_OPT_BASIC)                                                                       \
    X("extended", OQ_OPT_EXTENDED)                                                                 \
    X("all", OQ_OPT_ALL)

struct oq_session_options {
    unsigned threads; /* within an operator; 0: one per core, as the engine has it */
    enum oq_opt_level opt_level;
    const char *const *providers; /* by preference, as users write them; the CPU comes last by
                                     itself */
    size_t n_providers;
    const char *profile_prefix; /* of the file that a profile goes to, or NULL */
};

struct oq_session;

/* NULL on failure. The engine has to stay open. */
struct oq_session *oq_session_open(struct oq_engine *engine, const char *path,
                                   const struct oq_session_options *options, onnxq_error *error);

/*
 * The same for a model in memory, which may go when this returns; external data
 * is looked for in `folder`. `path` is for messages. Needs ONNX Runtime 1.21.
 */
struct oq_session *oq_session_open_bytes(struct oq_engine *engine, const void *bytes, size_t nbytes,
                                         const char *folder, const char *path,
                                         const struct oq_session_options *options,
                                         onnxq_error *error);
void oq_session_close(struct oq_session *session); /* NULL is fine */

/* The inputs of the runs to come, which borrow the arrays and their names. */
bool oq_session_set_inputs(struct oq_session *session, const struct oq_array *inputs,
                           size_t n_inputs, onnxq_error *error);

/* The outputs that the runs to come compute; names are borrowed. */
bool oq_session_set_outputs(struct oq_session *session, const char *const *names, size_t n_names,
                            onnxq_error *error);

/* Runs once; nothing else happens in here, so that it can be timed. Replaces earlier outputs. */
bool oq_session_run(struct oq_session *session, onnxq_error *error);

/*
 * A copy of output number k of the last run. A sequence of maps from labels to
 * floats, which is how converters write the probabilities of classifiers,
 * becomes a matrix with a column for each label, in the order of labels; other values
 * that are no tensors are ONNXQ_ERROR_INPUT. An optional without value likewise.
 */
bool oq_session_get_output(const struct oq_session *session, size_t k, struct oq_array *array,
                           onnxq_error *error);

/* The same without a copy, for float32 tensors: oq_value_borrow(). Valid until the next run. */
struct oq_floats;
bool oq_session_borrow_output(const struct oq_session *session, size_t k, struct oq_floats *floats,
                              onnxq_error *error);

/* Ends the profile and gives the name of its file, to be freed; NULL on failure. */
char *oq_session_end_profile(struct oq_session *session, onnxq_error *error);

#endif
