/* Members that several JSON reports have; each is written into the object that is open. */
#ifndef OQ_REPORT_REPORT_JSON_H
#define OQ_REPORT_REPORT_JSON_H

#include "base/json.h"

#include <onnxq/onnxq.h>

/* "summary", "operators" and "weights" of a plan. */
void oq_report_json_plan(struct oq_json *json, const onnxq_plan *plan);

/* "summary", "forms" and "nodes". */
void oq_report_json_dequantization(struct oq_json *json,
                                   const onnxq_dequantization *dequantization);

#endif
