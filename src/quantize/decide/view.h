/* The weight of a product as a matrix of inputs and outputs, whatever the operator and its order.
 */
#ifndef OQ_QUANTIZE_DECIDE_VIEW_H
#define OQ_QUANTIZE_DECIDE_VIEW_H

#include "quantize/plan/plan.h"

#define OQ_VIEW_MAX_OUTPUTS 64

/* As [inputs, outputs], or [outputs, inputs, taps]: of a kernel, the norm of all taps counts. */
struct oq_view {
    const struct oq_source *source;
    uint64_t n_inputs, n_taps;
    uint64_t n_all_outputs, n_outputs; /* and those that are looked at, the first */
    bool is_turned;
};

/* False: no product, or one that is not looked into: groups, batches, an Einsum of more than that.
 */
bool oq_view_find(const struct oq_site *site, struct oq_view *view);

/*
 * x: inputs * taps * outputs floats, for oq_view_element(). `scratch`: OQ_READ_SCRATCH_NBYTES.
 * False: it could not be read, which who measures all of it says.
 */
bool oq_view_read(const struct oq_view *view, float *x, void *scratch);

static inline float *oq_view_element(const struct oq_view *view, float *x, uint64_t input,
                                     uint64_t output)
{
    return x +
           (view->is_turned ? output * view->n_inputs + input : input * view->n_outputs + output);
}

#endif
