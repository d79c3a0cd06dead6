/*
 * The cheapest way to put nodes on two sides, where each has a preference and arcs cost what
 * they cost when they lead from the first side to the second: a minimum cut.
 */
#ifndef OQ_BASE_MIN_CUT_H
#define OQ_BASE_MIN_CUT_H

#include "base/arena.h"

struct oq_cut_arc;

struct oq_min_cut {
    size_t n_nodes, n_arcs, max_arcs;
    int64_t *gain; /* [nodes] what the first side is worth, and is not used up */
    size_t *first; /* [nodes] of the arcs that begin there, plus 1; 0: none */
    struct oq_cut_arc *arcs;
    size_t *queue, *from, *visited; /* [nodes] of a search */
    bool *is_first;                 /* [nodes] the result */
};

/* More than all else together: what must not be. */
#define OQ_CUT_NEVER (INT64_C(1) << 60)

/* No node has a preference yet; max_arcs: how many arcs will be added. False: the arena is used up.
 */
bool oq_min_cut_init(struct oq_min_cut *cut, size_t n_nodes, size_t max_arcs,
                     struct oq_arena *arena);

/* The first side is worth so much more to the node; below 0, the second. */
void oq_min_cut_prefer(struct oq_min_cut *cut, size_t node, int64_t gain);

void oq_min_cut_add(struct oq_min_cut *cut, size_t from, size_t to, int64_t cost);

/* Sets is_first. False where that takes too long. */
bool oq_min_cut_solve(struct oq_min_cut *cut);

#endif
