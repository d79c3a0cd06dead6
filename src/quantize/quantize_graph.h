/* Applies a plan: the draft of the output. */
#ifndef OQ_QUANTIZE_QUANTIZE_GRAPH_H
#define OQ_QUANTIZE_QUANTIZE_GRAPH_H

#include "quantize/plan/plan.h"

bool oq_plan_rewrite(onnxq_plan *plan, onnxq_error *error);

#endif
