/* Draws the order of each turn and decides when there are enough. */
#include "bench/schedule.h"

#include <math.h>

/*
 * Long enough that what the models before left in the caches is a small part of
 * it, short enough that the machine is the same for all models of a turn.
 */
#define BURST_MS 30.0

#define SESSIONS 3

size_t oq_schedule_burst(double ms)
{
    double n = ms > 0 ? ceil(BURST_MS / ms) : OQ_BURST_MAX;
    return n < 1 ? 1 : n > OQ_BURST_MAX ? OQ_BURST_MAX : (size_t)n;
}

/* splitmix64: a good mixture of any number. */
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

void oq_schedule_order(uint64_t turn, size_t *order, size_t n)
{
    uint64_t random = mix(turn);
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    for (size_t left = n; left > 1; left--) {
        size_t drawn = (size_t)(random % left), last = order[left - 1];
        order[left - 1] = order[drawn];
        order[drawn] = last;
        random = mix(random);
    }
}

size_t oq_schedule_sessions(double ms, double seconds)
{
    /* Loading again may take a quarter of the time that measuring takes. */
    return (SESSIONS - 1) * ms <= 250 * seconds ? SESSIONS : 1;
}

size_t oq_schedule_turns(uint64_t runs, const size_t *bursts, size_t n, size_t n_sets)
{
    uint64_t turns = 1;
    for (size_t i = 0; i < n; i++) {
        uint64_t needed = runs / bursts[i] + (runs % bursts[i] != 0);
        turns = needed > turns ? needed : turns;
    }
    uint64_t rest = n_sets > 0 ? turns % n_sets : 0;
    if (rest > 0)
        turns += n_sets - rest;
    return (size_t)(turns < runs ? turns : runs);
}

size_t oq_schedule_share(uint64_t whole, size_t part, size_t n_parts)
{
    uint64_t each = whole / n_parts, more = whole % n_parts;
    return (size_t)(each + (part < more));
}
