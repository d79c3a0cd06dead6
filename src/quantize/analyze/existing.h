/*
 * What an earlier quantization has left in a model: integers that stand for
 * weights, their scales and zero points. They stay as they are.
 */
#ifndef OQ_QUANTIZE_ANALYZE_EXISTING_H
#define OQ_QUANTIZE_ANALYZE_EXISTING_H

#include "quantize/plan/plan.h"

/* The site's constant is integers of a weight: why it is kept, else NULL. */
const char *oq_existing_weight(const struct oq_site *site);

/* The site's constant is a scale or a zero point, or rows that are multiplied beside integers: why
 * it is kept, else NULL. */
const char *oq_existing_scale(const onnxq_plan *plan, const struct oq_site *site);

#endif
