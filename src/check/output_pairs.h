/* One output of one run: what was expected beside what came. */
#ifndef OQ_CHECK_OUTPUT_PAIRS_H
#define OQ_CHECK_OUTPUT_PAIRS_H

#include "check/check.h"

/*
 * Fills output->runs[number]. Shapes have to be equal; with stored outputs
 * (check->reference is NULL) but for axes of length 1 at both ends. Values that cannot be compared
 * are a problem of the run and no error. The mask (NULL: none) counts where it fits.
 */
bool oq_pair_compare(struct oq_check *check, struct oq_check_output *output, size_t number,
                     const struct oq_array *reference, const struct oq_array *candidate,
                     const struct oq_array *mask, onnxq_error *error);

/* Type and shape of the array, kept with the check. */
bool oq_check_note_shape(struct oq_check *check, struct oq_check_shape *shape,
                         const struct oq_array *array, onnxq_error *error);

#endif
