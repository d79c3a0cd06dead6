/* Numbers of bytes as people read them. */
#ifndef OQ_BASE_SIZE_H
#define OQ_BASE_SIZE_H

#include <stdint.h>

/* 46.9 and "MB": the value is below 999.95, and in bytes only where those are under 1000. */
struct oq_size {
    double value;
    const char *unit;
};
struct oq_size oq_size(uint64_t nbytes);

/* "46.9 MB", "512 B" */
struct oq_size_text {
    char text[32];
};
struct oq_size_text oq_size_text(uint64_t nbytes);

#endif
