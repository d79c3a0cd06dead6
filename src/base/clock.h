/* Time that only goes forward. */
#ifndef OQ_BASE_CLOCK_H
#define OQ_BASE_CLOCK_H

#include <stdint.h>

uint64_t oq_now_ns(void); /* os_posix.c */

static inline double oq_now_seconds(void)
{
    return (double)oq_now_ns() * 1e-9;
}

#endif
