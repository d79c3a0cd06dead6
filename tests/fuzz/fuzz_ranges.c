/*
 * Any bytes as a file of ranges. One that is accepted is written and read as
 * the same bytes, merges with itself, and gives ranges that lie within what was
 * seen and hold 0.
 */
#include <math.h>
#include <string.h>

#include "fuzz/support.h"
#include "ranges/calibrated.h"

static char *path, *twin;

static void check_range(const struct oq_range_stats *stats, const struct oq_range_rule *rule)
{
    float low, high;
    if (!oq_range_of(stats, rule, &low, &high)) {
        CHECK(oq_range_is_missing(stats));
        return;
    }
    CHECK(isfinite(low) && isfinite(high) && low <= 0 && high >= 0);
    if (rule->symmetric)
        CHECK(low == -high && high <= fmaxf(fabsf(stats->min), fabsf(stats->max)));
    else
        CHECK(low >= fminf(stats->min, 0) && high <= fmaxf(stats->max, 0));
}

static void check_ranges(const onnxq_ranges *ranges)
{
    for (size_t i = 0; i < ranges->n_values; i++) {
        CHECK(oq_ranges_find(ranges, ranges->values[i]->name) == ranges->values[i]);
        for (int k = 0; k < 16; k++) {
            const struct oq_range_rule rule = {.method = (onnxq_range_method)(k % 4),
                                               .bits = k < 8 ? 8 : 4,
                                               .symmetric = k % 8 >= 4};
            check_range(ranges->values[i], &rule);
        }
    }
}

static uint8_t *write_twin(const onnxq_ranges *ranges, size_t *nbytes)
{
    FILE *file = fopen(twin, "wb");
    CHECK(file != NULL && oq_ranges_write(ranges, file) && fclose(file) == 0);
    return fuzz_read(twin, nbytes);
}

static void check_file(const onnxq_ranges *ranges)
{
    size_t nbytes, nbytes_again;
    uint8_t *bytes = write_twin(ranges, &nbytes);
    onnxq_ranges *again = onnxq_ranges_open(twin, NULL);
    CHECK(again != NULL);
    uint8_t *bytes_again = write_twin(again, &nbytes_again);
    CHECK(nbytes == nbytes_again && memcmp(bytes, bytes_again, nbytes) == 0);
    CHECK(onnxq_ranges_merge(again, ranges, NULL) == ONNXQ_OK);
    CHECK(again->n_values == ranges->n_values);
    for (size_t i = 0; i < ranges->n_values; i++)
        CHECK(again->values[i]->count == 2 * ranges->values[i]->count);
    check_ranges(again);
    onnxq_ranges_close(again);
    free(bytes_again);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    onnxq_error error = {0};
    if (!path) {
        path = fuzz_path("ranges.json");
        twin = fuzz_path("twin.json");
    }
    fuzz_write(path, data, nbytes);
    onnxq_ranges *ranges = onnxq_ranges_open(path, &error);
    if (ranges != NULL) {
        check_ranges(ranges);
        check_file(ranges);
    } else {
        fuzz_check_error(&error);
        CHECK(error.status == ONNXQ_ERROR_INPUT || error.status == ONNXQ_ERROR_MEMORY);
    }
    onnxq_ranges_close(ranges);
    return 0;
}
