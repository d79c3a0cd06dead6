/*
 * Random numbers that are the same on every machine: integers, and of floats
 * nothing but what IEEE 754 defines to the last bit.
 */
#ifndef OQ_INPUTS_RANDOM_H
#define OQ_INPUTS_RANDOM_H

#include <stdint.h>

/* SplitMix64 (Steele, Lea, Flood 2014). */
struct oq_random {
    uint64_t state;
};

/* One stream for each seed, number and name. */
void oq_random_init(struct oq_random *random, uint64_t seed, uint64_t number, const char *name);

uint64_t oq_random_next(struct oq_random *random);

/* From lo to hi, both included. */
int64_t oq_random_integer(struct oq_random *random, int64_t lo, int64_t hi);

/* From lo to hi. */
double oq_random_uniform(struct oq_random *random, double lo, double hi);

/*
 * Mean 0, variance 1, nearly normal: the sum of four uniform numbers, from
 * -2 sqrt(3) to 2 sqrt(3). The real normal distribution takes a logarithm,
 * which each C library rounds in its own way.
 */
double oq_random_normal(struct oq_random *random);

/*
 * Positive and heavy-tailed, nearly log-normal: from 2^-13.9 to 2^13.9, which float16 holds, two
 * in three within 16 times more or less than 1. Between powers of two 2^x is taken for a line.
 */
double oq_random_positive(struct oq_random *random);

#endif
