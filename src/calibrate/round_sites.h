/*
 * Weights of 4 bits in blocks, rounded with inputs in view: the float model runs over them, the
 * products of activations are summed up for each MatMul and Gemm that becomes MatMulNBits, and the
 * way of rounding is taken that has the least error on inputs held back (quantize/numbers/gptq.h).
 *
 * A quarter is held back: of the first axis of an activation of three axes or more, where that is
 * long enough, else of the sets of inputs, else of the rows. Activations are those of the float
 * model. In memory there are the sums of some activations at once, OQ_ROUND_NBYTES or those of one,
 * one weight as floats, and all that is written of 4 bits.
 */
#ifndef OQ_CALIBRATE_ROUND_SITES_H
#define OQ_CALIBRATE_ROUND_SITES_H

#include "engine/session.h"
#include "inputs/feed.h"

#define OQ_ROUND_NBYTES ((uint64_t)64 << 20)

/* Fewer rows than this many times the inputs of a weight tell little of how these go together. */
#define OQ_ROUND_FEW 4

struct oq_round_options {
    const onnxq_model *model;
    const onnxq_options *quantize; /* blocks of 4 bits */
    struct oq_feed_options feed;   /* of files */
    struct oq_engine *engine;
    struct oq_session_options session;
    uint64_t nbytes; /* of sums at once; 0: OQ_ROUND_NBYTES */
    /* False ends it: ONNXQ_ERROR_CANCELLED. NULL: no one watches. */
    bool (*progress)(void *data, uint64_t n_done, uint64_t n_steps);
    void *progress_data;
};

/* What there was to see: weights that were rounded so, and the fewest rows for one's inputs. */
struct oq_rounding_seen {
    size_t n_weights;
    uint64_t fewest_rows, n_inputs; /* of the weight for which there were the fewest */
};

/* The plan of the model, or NULL on failure. */
onnxq_plan *oq_round_with_inputs(const struct oq_round_options *options,
                                 struct oq_rounding_seen *seen, onnxq_error *error);

#endif
