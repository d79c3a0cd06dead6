/* What is wrong with the differences that were found. */
#ifndef OQ_CHECK_VERDICT_H
#define OQ_CHECK_VERDICT_H

#include "check/check.h"

/* Sums up the runs of every output, and lists the failures. */
bool oq_verdict_make(struct oq_check *check, const double given[OQ_N_MEASURES], onnxq_error *error);

#endif
