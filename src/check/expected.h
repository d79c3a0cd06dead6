/* Outputs that were stored: by the framework that a model comes from, or as ONNX test data. */
#ifndef OQ_CHECK_EXPECTED_H
#define OQ_CHECK_EXPECTED_H

#include "inputs/signature.h"

/*
 * Fills stored[run] for each of the sets of inputs from what `path` holds, or
 * from the outputs of the sets where path is NULL. Arrays have the names of
 * outputs of the signature; those that have none ("#N", arr_N, output_N) get them by position.
 */
bool oq_expected_read(struct oq_arrays *stored, const char *path, struct oq_input_sets *sets,
                      const struct oq_signature *signature, onnxq_error *error);

#endif
