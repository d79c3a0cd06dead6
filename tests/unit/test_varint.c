/* Base-128 numbers. */
#include <string.h>

#include "support/bytes.h"
#include "support/suite.h"
#include "wire/varint.h"

static const struct row {
    const char *name;
    struct bytes bytes;
    size_t expected; /* bytes that were taken; 0: not a number */
    uint64_t value;
} rows[] = {
    {"zero", BYTES("\x00"), 1, 0},
    {"one", BYTES("\x01"), 1, 1},
    {"largest of one byte", BYTES("\x7f"), 1, 127},
    {"smallest of two bytes", BYTES("\x80\x01"), 2, 128},
    {"300", BYTES("\xac\x02"), 2, 300},
    {"followed by more", BYTES("\x05\xff\xff"), 1, 5},
    {"2^32", BYTES("\x80\x80\x80\x80\x10"), 5, (uint64_t)1 << 32},
    {"2^63", BYTES("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), 10, (uint64_t)1 << 63},
    {"largest", BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), 10, UINT64_MAX},
    {"padded zero", BYTES("\x80\x80\x00"), 3, 0},
    {"padded to ten bytes", BYTES("\x81\x80\x80\x80\x80\x80\x80\x80\x80\x00"), 10, 1},
    {"over 64 bits", BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), 0, 0},
    {"eleven bytes", BYTES("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"), 0, 0},
    {"nothing", BYTES(""), 0, 0},
    {"cut after one byte", BYTES("\x80"), 0, 0},
    {"cut after nine bytes", BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff"), 0, 0},
};

static void test_decode(void **state)
{
    const struct row *row = *state;
    uint64_t value = 0;
    /* An own copy of the exact size, so that a sanitizer sees a read past its end. */
    uint8_t *copy = test_alloc(row->bytes.nbytes);
    memcpy(copy, row->bytes.data, row->bytes.nbytes);
    assert_int_equal(oq_varint_decode(copy, row->bytes.nbytes, &value), row->expected);
    if (row->expected > 0)
        assert_int_equal(value, row->value);
}

/* Around every power of two: encoded and decoded again. */
static void test_round_trip(void **state)
{
    (void)state;
    for (unsigned shift = 0; shift < 64; shift++) {
        for (uint64_t delta = 0; delta < 3; delta++) {
            uint64_t value = ((uint64_t)1 << shift) + delta - 1, decoded = 0;
            uint8_t bytes[OQ_VARINT_MAX_NBYTES];
            size_t n = oq_varint_encode(value, bytes);
            assert_int_equal(oq_varint_decode(bytes, n, &decoded), n);
            assert_int_equal(decoded, value);
            assert_int_equal(oq_varint_decode(bytes, n - 1, &decoded), 0);
        }
    }
}

int main(void)
{
    TEST_ROWS(test_decode, rows);
    TEST(test_round_trip);
    return suite_run();
}
