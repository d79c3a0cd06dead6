/* A model that is slower than another: which operators cost the time, and what helps. */
#ifndef OQ_BENCH_ADVICE_H
#define OQ_BENCH_ADVICE_H

#include "base/flags.h"
#include "bench/profile.h"

#define OQ_BLAMES_MAX 6

/* Operators that do the same work, such as Conv in the one model and ConvInteger in the other. */
struct oq_blame {
    const char *op_type;         /* the most expensive of them in the slower model */
    const char *first_op_type;   /* the same in the first model, or "" */
    size_t n_nodes;              /* in the slower model, of all of them */
    double ms, first_ms;         /* in one run, of all of them */
    const char *slowest;         /* node of op_type that takes longest */
    struct oq_flags_text advice; /* or "" */
};

/*
 * What takes longer in `slow` than in `first`, the largest difference first; no
 * more than OQ_BLAMES_MAX, and none that is below a twentieth of all of them.
 * Texts belong to the profiles or are constants. Returns how many there are.
 */
size_t oq_find_blames(const struct oq_profile *slow, const struct oq_profile *first,
                      struct oq_blame blames[OQ_BLAMES_MAX]);

#endif
