/*
 * What lies downstream of the values that chains of operators make of weights: where they
 * are taken as integers, and whether the model returns them.
 */
#ifndef OQ_QUANTIZE_DECIDE_FUTURES_H
#define OQ_QUANTIZE_DECIDE_FUTURES_H

#include "quantize/plan/plan.h"

/* Of all that a node makes: some site that takes it as integers, perhaps rearranged, provided that
 * all uses of it do, or leave with their node; else NULL. */
struct oq_node_future {
    const struct oq_site *end;
    size_t n_open; /* outputs that are used, and not all of them so */
};

struct oq_futures {
    struct oq_node_future **of_nodes; /* [graphs][nodes] */
    /* [values]: the model returns it, perhaps rearranged: callers want it as it is */
    bool *returned;
};

/*
 * Of all values at once, each use of them looked at once, as the sites are decided now.
 * The lists live in the arena; false when memory is out.
 */
bool oq_futures_find(struct oq_futures *futures, const onnxq_plan *plan, struct oq_arena *arena);

/* Where all leads that the site's node makes; NULL: something of it is used otherwise. */
const struct oq_site *oq_future_of(const struct oq_futures *futures, const struct oq_site *site);

#endif
