/* Where the time goes: what ONNX Runtime's profile says of the operators. */
#ifndef OQ_BENCH_PROFILE_H
#define OQ_BENCH_PROFILE_H

#include "base/arena.h"

/* All nodes of a type, in one run. */
struct oq_profile_op {
    const char *op_type;
    size_t n_nodes;
    double ms;           /* in their kernels; what bodies of If, Loop and Scan take is theirs */
    const char *slowest; /* the node that takes longest */
    double slowest_ms;
};

struct oq_profile {
    struct oq_profile_op *ops; /* the most expensive first */
    size_t n_ops, n_runs;
    double ms; /* of all operators */
};

/*
 * Reads the profile of runs of which every second one counts, as the one before
 * it warms up. Lines that are no JSON (names are not escaped in there) are left
 * out; a file without times is ONNXQ_ERROR_ENGINE. What it holds lives in the arena.
 */
bool oq_profile_read(struct oq_profile *profile, const char *path, struct oq_arena *arena,
                     onnxq_error *error);

#endif
