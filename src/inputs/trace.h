/*
 * What the nodes of a model ask of an input: found by following its values, or
 * the size of one of its axes, forward to the nodes that use them - tables that
 * they index, weights that they meet. What cannot be found out stays open.
 */
#ifndef OQ_INPUTS_TRACE_H
#define OQ_INPUTS_TRACE_H

#include "inputs/demand.h"

/* All memory is the arena's. */
void oq_trace_init(struct oq_trace *trace, const onnxq_model *model, struct oq_arena *arena);

/* Adds to *demand what is asked of the values of a main graph's input. */
void oq_trace_values(struct oq_trace *trace, const char *input, struct oq_demand *demand);

/* The same of the size of one of its `rank` axes. */
void oq_trace_axis(struct oq_trace *trace, const char *input, size_t axis, size_t rank,
                   struct oq_demand *demand);

#endif
