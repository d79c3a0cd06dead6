/* State that recurrent models carry: an output that is an input of the next run. */
#ifndef OQ_RUN_FEEDBACK_H
#define OQ_RUN_FEEDBACK_H

#include "inputs/signature.h"

struct oq_feedback {
    const char *output, *input; /* the signature's */
};

/*
 * Reads specs, each "output=input", of a model with that signature: both have
 * to be there, and of one type and rank. The inputs become such as may be left out.
 */
bool oq_feedback_parse(struct oq_feedback *feedback, const char *const *specs, size_t n_specs,
                       const struct oq_signature *signature, onnxq_error *error);

/*
 * Zeros in the first set for inputs that it lacks. Symbolic dims are as other inputs of the set
 * have them, else as `dims` say, else 1.
 */
bool oq_feedback_start(const struct oq_feedback *feedback, size_t n_feedback,
                       const struct oq_signature *signature, const struct oq_draw_options *draw,
                       struct oq_input_set *set, onnxq_error *error);

#endif
