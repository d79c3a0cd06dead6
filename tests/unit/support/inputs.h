/* What is read from input files, as one line of text. */
#ifndef SUPPORT_INPUTS_H
#define SUPPORT_INPUTS_H

#include "support/suite.h"
#include "inputs/signature.h"

/*
 * The sets that `name` in the test's folder gives:
 *
 *     a.npz{x=float32 [2]: 1 2.5, s=string [1]: "text"}
 *     set_0{x=int8 []: 1}->{y=int8 []: 2} set_1{...}
 *
 * or the error, with the hint in parentheses. Numbers that are no reals are hex digits.
 */
const char *test_inputs(const char *name);

const char *test_inputs_text(const struct oq_input_sets *sets);

/* The same of a file that is written before. */
const char *test_inputs_of(const char *name, const void *bytes, size_t nbytes);

/* What an open model takes and returns, until the test ends. */
struct oq_signature test_signature(const onnxq_model *model);

#endif
