/* Size arithmetic that reports overflow instead of wrapping. */
#ifndef OQ_BASE_CHECKED_H
#define OQ_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "ONNX payloads are little-endian and are read as they are: a big-endian host needs swaps"
#endif

/* For qsort(): less than 0, 0 or more. */
static inline int oq_compare_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static inline bool oq_add_u64(uint64_t a, uint64_t b, uint64_t *sum)
{
    return !__builtin_add_overflow(a, b, sum);
}

static inline bool oq_mul_u64(uint64_t a, uint64_t b, uint64_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}

static inline bool oq_mul_size(size_t a, size_t b, size_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}

static inline uint64_t oq_min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t oq_max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static inline uint64_t oq_divide_up_u64(uint64_t a, uint64_t b)
{
    return a / b + (a % b != 0);
}

/* Elements of the axes [from, to) of dims whose product is known to fit. */
static inline uint64_t oq_nelem(const int64_t *dims, size_t from, size_t to)
{
    uint64_t nelem = 1;
    for (size_t i = from; i < to; i++)
        nelem *= (uint64_t)dims[i];
    return nelem;
}

/* Rounds up to a multiple of alignment, a power of two. The caller knows that it fits. */
static inline uint64_t oq_align_u64(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

#endif
