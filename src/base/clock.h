/* Time that only goes forward. Its users define _POSIX_C_SOURCE. */
#ifndef OQ_BASE_CLOCK_H
#define OQ_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t oq_now_ns(void)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline double oq_now_seconds(void)
{
    return (double)oq_now_ns() * 1e-9;
}

#endif
