/* What a process takes of the memory, as Linux counts it. */
#ifndef OQ_BENCH_MEMORY_H
#define OQ_BENCH_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

/* Resident bytes. */
struct oq_memory {
    uint64_t peak;      /* the most there ever were (VmHWM) */
    uint64_t anonymous; /* now: of the process alone */
    uint64_t file;      /* now: pages of mapped files, which the system can take back */
};

/* Reads the text of /proc/self/status; false where one of the three is not there. */
bool oq_memory_parse(const char *status, struct oq_memory *memory);

/* Of this process; all zero where the system does not tell. */
void oq_memory_read(struct oq_memory *memory);

#endif
