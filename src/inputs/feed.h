/* The inputs of all runs of a command: those of files, or random ones. */
#ifndef OQ_INPUTS_FEED_H
#define OQ_INPUTS_FEED_H

#include "inputs/pictures.h"

struct oq_feed_options {
    const char *const *paths; /* as oq_input_sets_read() takes them */
    size_t n_paths;           /* 0: random inputs */
    uint64_t n_random;        /* how many sets of them */
    struct oq_draw_options draw;
    struct oq_picture_settings pictures;
};

/*
 * Fills `sets`, which are empty, for models that take the same inputs; the
 * signature is that of the first. All sets are bound (oq_signature_bind()); an
 * error names the set. The caller releases the sets, after a failure too.
 */
bool oq_feed_make(struct oq_input_sets *sets, const onnxq_model *const *models, size_t n_models,
                  const struct oq_signature *signature, const struct oq_feed_options *options,
                  onnxq_error *error);

/*
 * The same, one set after the other: sets->visit says which, and each is bound
 * before it is taken. `sets` stay empty but for what is said of drawn sizes.
 */
bool oq_feed_visit(struct oq_input_sets *sets, const onnxq_model *model,
                   const struct oq_signature *signature, const struct oq_feed_options *options,
                   onnxq_error *error);

/*
 * After a run has failed: true where the sets' sizes were drawn and others may do, which *options
 * then asks for, and *error is as if nothing had been. Otherwise *error is that of the first try,
 * with a hint that has its sizes; *first keeps it in between.
 */
bool oq_feed_try_others(struct oq_feed_options *options, const struct oq_input_sets *sets,
                        onnxq_error *first, onnxq_error *error);

#endif
