/*
 * What holds for every model that an engine can load, as far as a look at the
 * structure tells: see onnxq_validation_create().
 */
#ifndef OQ_VALIDATE_VALIDATE_H
#define OQ_VALIDATE_VALIDATE_H

#include "model/model.h"

/* False with the first problem as an error of the input, and on failure. */
bool oq_validate(const onnxq_model *model, onnxq_error *error);

#endif
