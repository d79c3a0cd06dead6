/* Inputs and outputs by name. */
#ifndef OQ_CHECK_NAMES_H
#define OQ_CHECK_NAMES_H

#include "values/signature.h"

struct oq_parameter *oq_names_find(struct oq_parameter *parameters, size_t count,
                                   const char *name); /* or NULL */

/* Adds the nearest name as a hint. Returns false. */
bool oq_names_hint(const struct oq_parameter *parameters, size_t count, const char *name,
                   onnxq_error *error);

#endif
