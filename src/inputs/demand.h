/* What is asked of an input, and the state of the walk that finds it (trace.h). */
#ifndef OQ_INPUTS_DEMAND_H
#define OQ_INPUTS_DEMAND_H

#include "model/model.h"

struct oq_demand {
    bool is_bounded; /* something needs it to lie in [lo, hi] */
    int64_t lo, hi;
    int64_t step;      /* of an axis: it is cut in so many parts, best of equal size; 0: not cut */
    bool has_constant; /* it is compared with this */
    int64_t constant;
    bool is_mask;  /* it is compared, negated, or multiplied with what it masks */
    bool is_shape; /* a tensor is reshaped to it */
    bool is_axes;  /* a list of axes, none of them twice */
    bool is_divisor;
    bool is_positive;  /* as it comes, or scaled, it goes where numbers are positive: logarithms,
                          roots, divisors */
    bool is_convolved; /* of an axis: a Conv runs along it */
    bool is_time;      /* of an axis: what recurs goes along it, a step for each element */
};

/* Nothing asked yet. */
#define OQ_DEMAND_INIT                                                                             \
    {                                                                                              \
        .lo = INT64_MIN, .hi = INT64_MAX                                                           \
    }

struct oq_trace {
    const onnxq_model *model;
    const struct oq_strmap *sizes; /* of open dimensions, as struct oq_sizes has them; NULL: none
                                      known yet */
    struct oq_arena *arena;
    size_t steps;    /* that are left, for all that is traced in the model */
    uint32_t number; /* of what is traced now */
    bool is_axis;
    struct oq_demand *demand;
    struct oq_trace_state *queue;
    size_t count, capacity;
    struct oq_trace_seen *seen; /* open addressing */
    size_t n_seen, seen_capacity;
};

#endif
