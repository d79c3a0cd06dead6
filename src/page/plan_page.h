/* Sections of pages on what is in a model, and on what quantizing makes of it. */
#ifndef OQ_PAGE_PLAN_PAGE_H
#define OQ_PAGE_PLAN_PAGE_H

#include <onnxq/onnxq.h>

#include "page/page.h"

/* The weights by operator: size before and after, forms, and why some are kept. */
void oq_page_plan(struct oq_page *page, const onnxq_plan *plan);

/* Format, inputs, outputs, operators, the largest weights, what is quantized already; what is NULL
 * is left out. */
void oq_page_inspection(struct oq_page *page, const onnxq_inspection *inspection,
                        const onnxq_plan *plan, const onnxq_dequantization *dequantization);

#endif
