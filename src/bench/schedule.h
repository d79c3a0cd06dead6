/*
 * Who runs when. Models take turns; in every turn each has a burst of runs, in
 * an order that is drawn anew, so that none of them always follows the same one.
 */
#ifndef OQ_BENCH_SCHEDULE_H
#define OQ_BENCH_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OQ_BURST_MAX 512 /* runs of one burst */

/* Runs that one burst counts when a run takes that long. */
size_t oq_schedule_burst(double ms);

/* The order of n models in a turn: order[0 .. n) becomes a permutation of 0 .. n-1. */
void oq_schedule_order(uint64_t turn, size_t *order, size_t n);

/*
 * How often the models are loaded anew, each time for an equal part of the
 * turns: where a session's memory comes to lie has an influence of its own.
 * `ms` is what loading all of them took; `seconds` what measuring may take.
 */
size_t oq_schedule_sessions(double ms, double seconds);

/*
 * Turns for n models that are to have exactly `runs` counted runs each, in
 * bursts no larger than these and at least one run in each; a multiple of
 * `n_sets` where runs allow it.
 */
size_t oq_schedule_turns(uint64_t runs, const size_t *bursts, size_t n, size_t n_sets);

/* Number `part` of n_parts as equal parts of a whole as there are. */
size_t oq_schedule_share(uint64_t whole, size_t part, size_t n_parts);

#endif
