/*
 * Runs a model over inputs and folds what its inner values hold into ranges.
 *
 * Values become outputs of a copy of the model, as many at a time as memory
 * allows: a group. Inputs come in batches, the first a single set and each four
 * times as large as the one before; every group sees a batch before the next
 * one begins, so that a run that is stopped knows all values, and sessions are
 * opened a few times only.
 */
#ifndef OQ_CALIBRATE_CALIBRATE_H
#define OQ_CALIBRATE_CALIBRATE_H

#include "engine/session.h"
#include "inputs/feed.h"
#include "ranges/calibrated.h"

/*
 * What the values of a group may take together. Beside it there are histograms,
 * 16 KB a value, and what the engine cannot reuse; all of it is to stay within
 * 64 MB above the float model's own.
 */
#define OQ_CALIBRATE_NBYTES ((uint64_t)40 << 20)

struct oq_calibrate_options {
    const onnxq_model *model;
    struct oq_feed_options feed;
    const struct oq_input_sets *sets; /* these, bound already, in place of the feed; or NULL */
    struct oq_engine *engine;
    struct oq_session_options session;
    uint64_t nbytes; /* 0: OQ_CALIBRATE_NBYTES */
    /* False stops the runs, and what was seen until then is the result. NULL: no one watches. */
    bool (*progress)(void *data, uint64_t n_done, uint64_t n_steps);
    void *progress_data;
};

struct oq_calibration {
    onnxq_ranges *ranges;
    size_t n_groups;
    uint64_t n_sets; /* of inputs */
    bool is_stopped;
    const char *sizes; /* drawn for open dimensions: "--dim x:2=224"; NULL: none. The ranges' own */
};

/*
 * False on failure, and then there are no ranges. Ranges of a run that was
 * stopped before the first batch ended are such a failure: ONNXQ_ERROR_CANCELLED.
 */
bool oq_calibrate(struct oq_calibration *calibration, const struct oq_calibrate_options *options,
                  onnxq_error *error);

#endif
