/*
 * Axes of values, counted from the last one, which is 1: so they stay what they are where shapes
 * are stretched against one another. 0 is none that is known.
 */
#ifndef OQ_QUANTIZE_ANALYZE_AXIS_H
#define OQ_QUANTIZE_ANALYZE_AXIS_H

#include "quantize/plan/plan.h"

/* The axis of the value that a node's attribute means. */
unsigned oq_axis_of_attribute(const onnxq_plan *plan, const struct oq_value *value, int64_t axis);

/* Where that axis of the value is in input number `input` of the node that makes it. */
unsigned oq_axis_before(const onnxq_plan *plan, const struct oq_value *value, unsigned axis,
                        size_t input);

/* The one along which a Concat puts its inputs together. */
unsigned oq_axis_of_concat(const onnxq_plan *plan, const struct oq_value *value);

/* How long it is, as shapes of inputs, constants and weights tell; 0: not known. */
uint64_t oq_axis_size(const onnxq_plan *plan, const struct oq_value *value, unsigned axis);

#endif
