/* SplitMix64, and floats made of its bits. */
#include "inputs/random.h"

#include <math.h>
#include <string.h>

#include "base/fnv.h"

#define GOLDEN 0x9e3779b97f4a7c15u /* 2^64 / golden ratio */

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

void oq_random_init(struct oq_random *random, uint64_t seed, uint64_t number, const char *name)
{
    random->state =
        mix(mix(mix(seed + GOLDEN) + number + GOLDEN) ^ oq_fnv1a(OQ_FNV_BASIS, name, strlen(name)));
}

uint64_t oq_random_next(struct oq_random *random)
{
    random->state += GOLDEN;
    return mix(random->state);
}

int64_t oq_random_integer(struct oq_random *random, int64_t lo, int64_t hi)
{
    uint64_t next = oq_random_next(random), span = (uint64_t)hi - (uint64_t)lo + 1;
    return (int64_t)((uint64_t)lo + (span == 0 ? next : next % span));
}

/* Statements of their own, so that no compiler fuses a product and a sum. */
double oq_random_uniform(struct oq_random *random, double lo, double hi)
{
    double unit = (double)(oq_random_next(random) >> 11) * 0x1p-53;
    double width = hi - lo;
    double above = unit * width;
    double value = lo + above;
    return value < hi ? value : hi;
}

double oq_random_normal(struct oq_random *random)
{
    uint64_t bits = oq_random_next(random);
    int64_t sum = 0;
    for (int i = 0; i < 4; i++)
        sum += (int64_t)(bits >> (16 * i) & 0xffff);
    /* Mean 4 * 65535 / 2, variance 4 * 2^32 / 12 (less a part in 2^32): sqrt(3) / 2^16. */
    return (double)(sum - 131070) * 0x1.bb67ae8584caap-16;
}

/* Statements of their own, as above; a power of two is exact. */
double oq_random_positive(struct oq_random *random)
{
    double exponent = oq_random_normal(random) * 4;
    double whole = floor(exponent);
    double part = exponent - whole;
    return ldexp(1 + part, (int)whole);
}
