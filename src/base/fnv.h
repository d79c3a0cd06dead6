/* FNV-1a (Fowler, Noll and Vo) of 64 bits: against mistakes, not against malice. */
#ifndef OQ_BASE_FNV_H
#define OQ_BASE_FNV_H

#include <stddef.h>
#include <stdint.h>

/* Where a hash begins. */
#define OQ_FNV_BASIS UINT64_C(0xcbf29ce484222325)

/* The hash of what came before and these bytes. */
static inline uint64_t oq_fnv1a(uint64_t hash, const void *bytes, size_t nbytes)
{
    const unsigned char *x = bytes;
    for (size_t i = 0; i < nbytes; i++)
        hash = (hash ^ x[i]) * UINT64_C(0x100000001b3);
    return hash;
}

#endif
