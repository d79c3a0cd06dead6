/*
 * What an earlier quantization has left in a model: integers that stand for
 * weights, their scales and zero points. They stay as they are.
 */
#ifndef OQ_QUANTIZE_EXISTING_H
#define OQ_QUANTIZE_EXISTING_H

#include "quantize/plan.h"

/* True for operators that take integers with scales, in ai.onnx and com.microsoft. */
bool oq_existing_is_operator(const char *op_type);

/* The site's constant is integers of a weight: why it is kept, else NULL. */
const char *oq_existing_weight(const struct oq_site *site);

/* The site's constant is a scale or a zero point: why it is kept, else NULL. */
const char *oq_existing_scale(const onnxq_plan *plan, const struct oq_site *site);

#endif
