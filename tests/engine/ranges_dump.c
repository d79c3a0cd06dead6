/*
 * The ranges that follow from a file of ranges, as JSON: ranges_dump FILE
 *
 * For each value that has one and each method [low, high] of 8 bits, asymmetric.
 */
#include <onnxq/onnxq.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "ranges/calibrated.h"

static const struct method {
    const char *name;
    struct oq_range_rule rule;
} methods[] = {
    {"minmax", {.method = ONNXQ_RANGE_MINMAX, .bits = 8}},
    {"entropy", {.method = ONNXQ_RANGE_ENTROPY, .bits = 8}},
    {"percentile 99.99", {.method = ONNXQ_RANGE_PERCENTILE, .percentile = 99.99, .bits = 8}},
    {"percentile 99.999", {.method = ONNXQ_RANGE_PERCENTILE, .percentile = 99.999, .bits = 8}},
    {"mse", {.method = ONNXQ_RANGE_MSE, .bits = 8}},
};

static void put_value(struct oq_json *json, const struct oq_range_stats *stats)
{
    oq_json_open_object(json, stats->name);
    for (size_t k = 0; k < sizeof(methods) / sizeof(methods[0]); k++) {
        float low, high;
        if (!oq_range_of(stats, &methods[k].rule, &low, &high))
            continue;
        oq_json_open_row(json, methods[k].name);
        oq_json_float(json, NULL, low);
        oq_json_float(json, NULL, high);
        oq_json_close(json);
    }
    oq_json_close(json);
}

int main(int argc, char **argv)
{
    onnxq_error error;
    struct oq_json json;
    onnxq_ranges *ranges = argc == 2 ? onnxq_ranges_open(argv[1], &error) : NULL;
    if (ranges == NULL) {
        fprintf(stderr, "ranges_dump: %s\n", argc == 2 ? error.message : "FILE");
        return 2;
    }
    oq_json_init(&json, stdout);
    oq_json_open_object(&json, NULL);
    for (size_t i = 0; i < ranges->n_values; i++)
        put_value(&json, ranges->values[i]);
    oq_json_close(&json);
    onnxq_ranges_close(ranges);
    return oq_json_finish(&json) ? 0 : 1;
}
