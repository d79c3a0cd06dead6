/*
 * A use of a value that is traced: what operators do with it - ask something of
 * it, hand it on - and what they may look at for that. trace.c goes from use to
 * use; trace_roles.c knows what becomes of values, trace_axes.c of axes.
 */
#ifndef OQ_INPUTS_TRACE_VISIT_H
#define OQ_INPUTS_TRACE_VISIT_H

#include "inputs/demand.h"
#include "inputs/known.h"

enum oq_traced {
    OQ_TRACED_VALUES, /* elements are scale * x + offset, or some of them are */
    OQ_TRACED_AXIS,   /* the size of axis `place` of `rank` is the one that is traced */
    OQ_TRACED_ELEMENT /* element `place` of a vector is that size */
};

struct oq_trace_state {
    const struct oq_value *value;
    enum oq_traced kind;
    int place, rank;
    /* Scale is 1 or more; of an axis: it has (size + offset) / scale elements, rounded down, or 0:
       nobody knows; of an element it is 1. */
    int64_t scale, offset;
    bool is_computed; /* of values: of them and others, or with another sign */
};

struct oq_visit {
    struct oq_trace *trace;
    const struct oq_trace_state *state; /* what is known of the value */
    const struct oq_graph *graph;
    const Oq__Pb__NodeProto *node;
    enum oq_operator_id id;
    size_t input;
};

/* What becomes of the three kinds of states; trace.c calls the one that fits. */
void oq_visit_values(const struct oq_visit *visit);
void oq_visit_axis(const struct oq_visit *visit);
void oq_visit_element(const struct oq_visit *visit);

/* --- handing on --- */

struct oq_trace_state oq_trace_values_state(int64_t scale, int64_t offset);

/* The value of that name has the state; nothing where there is none or it has been there. */
void oq_trace_push(struct oq_trace *trace, const struct oq_graph *graph, const char *name,
                   struct oq_trace_state state);

/* The first output of the node has it. */
void oq_visit_push(const struct oq_visit *visit, struct oq_trace_state state);

/* --- looking around: takes of the steps that the trace has left --- */

/* What looks at a shape behind operators takes more than what looks at a node. */
#define OQ_STEPS_A_SHAPE 256

void oq_trace_charge(struct oq_trace *trace, size_t steps);
bool oq_visit_shape(const struct oq_visit *visit, size_t input, struct oq_shape *shape);

/* Size of an axis of another input, -1: not known. */
int64_t oq_visit_size(const struct oq_visit *visit, size_t input, int64_t axis);
bool oq_visit_integer(const struct oq_visit *visit, size_t input, int64_t *value);

/* The same of any number. */
bool oq_visit_number(const struct oq_visit *visit, size_t input, double *value);
const struct oq_graph *oq_visit_body(const struct oq_visit *visit, const char *name);

/* Words that a search for a text chooses from: told, or the logits of its decoder; -1: unknown. */
int64_t oq_visit_vocabulary(const struct oq_visit *visit);

/* --- asking --- */

/* What is traced has to lie in [lo, hi] as it is. */
void oq_trace_restrict(struct oq_trace *trace, int64_t lo, int64_t hi);

/* The values of the state have to lie in [0, hi]. */
void oq_visit_restrict_values(const struct oq_visit *visit, int64_t hi);

/* The axis of the state has a size in [lo, hi], which small windows leave some freedom. */
void oq_visit_restrict_size(const struct oq_visit *visit, int64_t lo, int64_t hi);

#endif
