/* Bytes in a table of cases. A literal may hold NULs. */
#ifndef SUPPORT_BYTES_H
#define SUPPORT_BYTES_H

#include <stddef.h>

struct bytes {
    const char *data;
    size_t nbytes;
};

#define BYTES(literal)                                                                             \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

#endif
