/* A plan of weights whose integers were chosen with inputs in view; see calibrate/round_sites.h. */
#ifndef OQ_QUANTIZE_ROUNDED_PLAN_H
#define OQ_QUANTIZE_ROUNDED_PLAN_H

#include "quantize/numbers/rounded.h"

/* As onnxq_plan_create(); the plan takes over `rounding`, after a failure too. */
onnxq_plan *oq_plan_create_rounded(const onnxq_model *model, const onnxq_options *options,
                                   struct oq_rounding *rounding, onnxq_error *error);

#endif
