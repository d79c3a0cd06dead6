/* The weight of a product as a matrix of inputs and outputs, whatever the operator and its order.
 */
#ifndef OQ_QUANTIZE_DECIDE_VIEW_H
#define OQ_QUANTIZE_DECIDE_VIEW_H

#include "quantize/plan/plan.h"

#define OQ_VIEW_MAX_OUTPUTS 64

/* How a product takes the weight of a site, and what it is multiplied by. */
struct oq_sides {
    bool
        is_matrix; /* of no more than inputs and outputs, which may be turned by a Transpose, too */
    bool is_turned; /* outputs come first */
    unsigned axis;  /* of the other factor, from its end: what is summed up; 0: not known */
};

/* The products that are known; false where it is none. */
bool oq_sides_find(const struct oq_site *site, struct oq_sides *sides);

/* As [inputs, outputs], or [outputs, inputs, taps]: of a kernel, the norm of all taps counts. */
struct oq_view {
    const struct oq_source *source;
    uint64_t n_inputs, n_taps;
    uint64_t n_all_outputs, n_outputs; /* and those that are looked at, the first */
    bool is_turned;
    uint64_t input_stride, output_stride; /* in what is read */
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
    return x + input * view->input_stride + output * view->output_stride;
}

/* Of n numbers, `stride` apart. */
double oq_sum_squares(const float *x, uint64_t n, uint64_t stride);

#endif
