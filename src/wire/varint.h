/* Base-128 numbers and wire types of the protobuf encoding. */
#ifndef OQ_WIRE_VARINT_H
#define OQ_WIRE_VARINT_H

#include <stddef.h>
#include <stdint.h>

enum oq_wire_type { OQ_WIRE_VARINT = 0, OQ_WIRE_64BIT = 1, OQ_WIRE_LENGTH = 2, OQ_WIRE_32BIT = 5 };

#define OQ_VARINT_MAX_NBYTES 10

/* Length of the number at bytes[0..limit), or 0 where it does not end there or passes 64 bits. */
static inline size_t oq_varint_decode(const uint8_t *bytes, size_t limit, uint64_t *value)
{
    uint64_t result = 0;
    if (limit > OQ_VARINT_MAX_NBYTES)
        limit = OQ_VARINT_MAX_NBYTES;
    for (size_t i = 0; i < limit; i++) {
        result |= (uint64_t)(bytes[i] & 0x7f) << (7 * i);
        if (bytes[i] < 0x80) {
            *value = result;
            return i == 9 && bytes[i] > 1 ? 0 : i + 1;
        }
    }
    return 0;
}

static inline size_t oq_varint_encode(uint64_t value, uint8_t *dst)
{
    size_t n = 0;
    for (; value >= 0x80; value >>= 7)
        dst[n++] = (uint8_t)(value | 0x80);
    dst[n++] = (uint8_t)value;
    return n;
}

#endif
