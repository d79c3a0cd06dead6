/*
 * The file of ranges, read. Nothing in it is believed: a file that is accepted
 * is one that the writer could have written, but for members that later
 * versions may add, which are passed over.
 */
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json_reader.h"
#include "ranges/calibrated.h"

/* Far above what a model of ten thousand values needs. */
#define MAX_FILE_NBYTES ((uint64_t)256 << 20)

struct reading {
    struct oq_json_reader json;
    onnxq_ranges *ranges;
    onnxq_error *error;
};

/* --- members ------------------------------------------------------------------------ */

typedef bool (*read_fn)(struct reading *reading, void *into);

struct member {
    const char *key;
    read_fn read;
    void *into;
    bool optional;
};

static bool find_member(struct reading *reading, const struct member *members, size_t n,
                        const char *key, uint64_t *seen)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(members[i].key, key) != 0)
            continue;
        if ((*seen >> i & 1) != 0)
            return oq_json_refuse(&reading->json, "\"%s\" is given twice", key);
        *seen |= UINT64_C(1) << i;
        return members[i].read(reading, members[i].into);
    }
    return oq_json_skip_value(&reading->json);
}

/* An object with these members, in any order. *seen: bit i, members[i] is there. */
static bool read_members(struct reading *reading, const struct member *members, size_t n,
                         uint64_t *seen)
{
    const char *key;
    *seen = 0;
    if (!oq_json_enter_object(&reading->json))
        return false;
    while (oq_json_next_member(&reading->json, &key))
        if (!find_member(reading, members, n, key, seen))
            return false;
    for (size_t i = 0; i < n && !reading->json.failed; i++)
        if ((*seen >> i & 1) == 0 && !members[i].optional)
            return oq_json_refuse(&reading->json, "\"%s\" is missing", members[i].key);
    return !reading->json.failed;
}

#define READ_MEMBERS(reading, members, seen)                                                       \
    read_members(reading, members, sizeof(members) / sizeof((members)[0]), seen)

static bool read_count(struct reading *reading, void *into)
{
    uint64_t *count = into;
    if (!oq_json_read_uint(&reading->json, count))
        return false;
    return *count <= OQ_RANGES_MAX_COUNT || oq_json_refuse(&reading->json, "a count above 2^53");
}

static bool read_int(struct reading *reading, void *into)
{
    return oq_json_read_int(&reading->json, into);
}

static bool read_name(struct reading *reading, void *into)
{
    const char **name = into;
    if (!oq_json_read_string(&reading->json, name))
        return false;
    if (**name == '\0')
        return oq_json_refuse(&reading->json, "a value without a name");
    return oq_ranges_find(reading->ranges, *name) == NULL ||
           oq_json_refuse(&reading->json, "two values of one name");
}

static bool read_float(struct reading *reading, void *into)
{
    double value;
    if (!oq_json_read_number(&reading->json, &value))
        return false;
    if (fabs(value) > (double)FLT_MAX)
        return oq_json_refuse(&reading->json, "a number that no float32 is");
    *(float *)into = (float)value;
    return true;
}

static bool read_mean(struct reading *reading, void *into)
{
    double *mean = into;
    if (!oq_json_read_number(&reading->json, mean))
        return false;
    return fabs(*mean) <= (double)FLT_MAX ||
           oq_json_refuse(&reading->json, "a number that no mean of float32 is");
}

/* --- lists of numbers ------------------------------------------------------------------ */

/* An array that grows in the arena of the ranges. */
struct list {
    void *items;
    size_t n, capacity, item_nbytes, max;
    read_fn read;
};

static bool read_list(struct reading *reading, void *into)
{
    struct list *list = into;
    struct oq_arena *arena = &reading->ranges->arena;
    if (!oq_json_enter_array(&reading->json))
        return false;
    while (oq_json_next_item(&reading->json)) {
        if (list->n >= list->max)
            return oq_json_refuse(&reading->json, "more than %zu numbers", list->max);
        if (!oq_arena_grow(arena, &list->items, list->n, &list->capacity, list->item_nbytes))
            return oq_fail_memory(reading->error);
        if (!list->read(reading, (char *)list->items + list->n * list->item_nbytes))
            return false;
        list->n++;
    }
    return !reading->json.failed;
}

/* --- a value ------------------------------------------------------------------------------ */

struct read_histogram {
    int64_t exponent, first;
    struct list counts;
};

static bool read_histogram(struct reading *reading, void *into)
{
    struct read_histogram *histogram = into;
    uint64_t seen;
    histogram->counts = (struct list){
        .item_nbytes = sizeof(uint64_t), .max = OQ_HISTOGRAM_BINS, .read = read_count};
    const struct member members[] = {
        {"exponent", read_int, &histogram->exponent, false},
        {"first", read_int, &histogram->first, false},
        {"counts", read_list, &histogram->counts, false},
    };
    return READ_MEMBERS(reading, members, &seen);
}

struct read_channels {
    int64_t axis;
    uint64_t count;
    struct list min, max, mean;
};

static bool read_channels(struct reading *reading, void *into)
{
    struct read_channels *channels = into;
    uint64_t seen;
    struct list floats = {.item_nbytes = sizeof(float), .max = OQ_MAX_CHANNELS, .read = read_float};
    struct list means = {.item_nbytes = sizeof(double), .max = OQ_MAX_CHANNELS, .read = read_mean};
    channels->min = channels->max = floats;
    channels->mean = means;
    const struct member members[] = {
        {"axis", read_int, &channels->axis, false},  {"count", read_count, &channels->count, false},
        {"min", read_list, &channels->min, false},   {"max", read_list, &channels->max, false},
        {"mean", read_list, &channels->mean, false},
    };
    return READ_MEMBERS(reading, members, &seen);
}

/* The grid is that of the range, and the counts are those of all numbers. */
static bool take_histogram(struct reading *reading, const struct read_histogram *from,
                           struct oq_range_stats *stats)
{
    struct oq_grid grid = oq_grid_make(stats->min, stats->max);
    uint64_t *counts = from->counts.items, sum = 0;
    if (from->exponent != grid.exponent || from->first != grid.first ||
        from->counts.n != grid.n_bins)
        return oq_json_refuse(&reading->json,
                              "the histogram is not that of min and max: expected exponent %d, "
                              "first %lld, %zu counts",
                              grid.exponent, (long long)grid.first, grid.n_bins);
    for (size_t i = 0; i < grid.n_bins && sum <= stats->count; i++)
        sum += counts[i];
    if (sum != stats->count)
        return oq_json_refuse(&reading->json, "the histogram does not add up to \"count\"");
    stats->histogram = (struct oq_histogram){.exponent = grid.exponent,
                                             .first = grid.first,
                                             .n_bins = grid.n_bins,
                                             .counts = counts,
                                             .capacity = from->counts.n};
    return true;
}

static bool take_channels(struct reading *reading, const struct read_channels *from,
                          struct oq_range_stats *stats)
{
    const float *min = from->min.items, *max = from->max.items;
    size_t n = from->min.n;
    if (n == 0 || from->max.n != n || from->mean.n != n || from->count == 0)
        return oq_json_refuse(&reading->json,
                              "lists of channels that are empty or of unlike lengths");
    if (from->axis < 0 || from->axis > INT32_MAX)
        return oq_json_refuse(&reading->json, "an axis that no tensor has");
    for (size_t c = 0; c < n; c++)
        if (min[c] > max[c] || min[c] < stats->min || max[c] > stats->max)
            return oq_json_refuse(&reading->json,
                                  "the range of channel %zu is not within min and max", c);
    stats->channels = (struct oq_channel_stats){.axis = (int)from->axis,
                                                .n = n,
                                                .count = from->count,
                                                .min = from->min.items,
                                                .max = from->max.items,
                                                .mean = from->mean.items};
    return true;
}

enum { NAME, TENSORS, COUNT, ZEROS, NANS, INFINITE, MIN, MAX, MEAN, HISTOGRAM, CHANNELS };

static bool has(uint64_t seen, int member)
{
    return (seen >> member & 1) != 0;
}

/* Members that are there say no more and no less than "count" allows. */
static bool check_value(struct reading *reading, const struct oq_range_stats *stats, uint64_t seen)
{
    for (int i = MIN; i <= HISTOGRAM; i++)
        if (has(seen, i) != (stats->count > 0))
            return oq_json_refuse(&reading->json,
                                  "\"min\", \"max\", \"mean\" and \"histogram\" belong to a count "
                                  "above 0, all of them");
    if (has(seen, CHANNELS) && stats->count == 0)
        return oq_json_refuse(&reading->json, "channels of nothing");
    if (stats->count > 0 && stats->n_tensors == 0)
        return oq_json_refuse(&reading->json, "numbers of no tensor");
    if (stats->min > stats->max)
        return oq_json_refuse(&reading->json, "\"min\" is above \"max\"");
    return stats->n_zeros <= stats->count ||
           oq_json_refuse(&reading->json, "\"zeros\" is above \"count\"");
}

static bool read_value(struct reading *reading)
{
    struct oq_range_stats stats = {.name = NULL};
    struct read_histogram histogram = {.exponent = 0};
    struct read_channels channels = {.axis = 0};
    uint64_t seen;
    const struct member members[] = {
        [NAME] = {"name", read_name, &stats.name, false},
        [TENSORS] = {"tensors", read_count, &stats.n_tensors, false},
        [COUNT] = {"count", read_count, &stats.count, false},
        [ZEROS] = {"zeros", read_count, &stats.n_zeros, false},
        [NANS] = {"nan", read_count, &stats.n_nan, false},
        [INFINITE] = {"infinite", read_count, &stats.n_infinite, false},
        [MIN] = {"min", read_float, &stats.min, true},
        [MAX] = {"max", read_float, &stats.max, true},
        [MEAN] = {"mean", read_mean, &stats.mean, true},
        [HISTOGRAM] = {"histogram", read_histogram, &histogram, true},
        [CHANNELS] = {"channels", read_channels, &channels, true},
    };
    if (!READ_MEMBERS(reading, members, &seen) || !check_value(reading, &stats, seen) ||
        (has(seen, HISTOGRAM) && !take_histogram(reading, &histogram, &stats)) ||
        (has(seen, CHANNELS) && !take_channels(reading, &channels, &stats)))
        return false;
    struct oq_range_stats *place = oq_ranges_place(reading->ranges, stats.name, reading->error);
    if (place == NULL)
        return false;
    stats.name = place->name;
    *place = stats;
    return true;
}

/* --- the file --------------------------------------------------------------------------------- */

static bool read_values(struct reading *reading, void *into)
{
    (void)into;
    if (!oq_json_enter_array(&reading->json))
        return false;
    while (oq_json_next_item(&reading->json))
        if (!read_value(reading))
            return false;
    return !reading->json.failed;
}

static bool read_digest(struct reading *reading, void *into)
{
    const char *text;
    if (!oq_json_read_string(&reading->json, &text))
        return false;
    if (strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
        return oq_json_refuse(&reading->json, "expected a digest of 16 hexadecimal digits");
    *(uint64_t *)into = strtoull(text, NULL, 16);
    return true;
}

static bool read_model(struct reading *reading, void *into)
{
    struct oq_structure_digest *digest = into;
    uint64_t seen;
    const struct member members[] = {
        {"digest", read_digest, &digest->hash, false},
        {"node_outputs", read_count, &digest->n_values, false},
    };
    return READ_MEMBERS(reading, members, &seen);
}

/* The mark has to be first: of a file of another kind nothing else is said. */
static bool read_mark(struct reading *reading)
{
    struct oq_json_reader *json = &reading->json;
    const char *key = "";
    uint64_t version = 0;
    if (!oq_json_enter_object(json) || !oq_json_next_member(json, &key) ||
        strcmp(key, OQ_RANGES_MARK) != 0 || !oq_json_read_uint(json, &version)) {
        if (reading->error->status == ONNXQ_ERROR_MEMORY)
            return false;
        oq_error_init(reading->error);
        oq_fail(reading->error, ONNXQ_ERROR_INPUT,
                "not a file of ranges: it does not begin with {\"%s\": %d", OQ_RANGES_MARK,
                OQ_RANGES_VERSION);
        oq_error_hint(reading->error, "onnxq calibrate makes one");
        return false;
    }
    return version == OQ_RANGES_VERSION ||
           oq_json_refuse(json, "format version %llu; this onnxq reads version %d",
                          (unsigned long long)version, OQ_RANGES_VERSION);
}

/* An object that begins with the mark. */
static bool read_object(struct reading *reading)
{
    onnxq_ranges *ranges = reading->ranges;
    uint64_t seen = 0;
    const char *key;
    const struct member members[] = {
        {"model", read_model, &ranges->model, false},
        {"runs", read_count, &ranges->n_runs, false},
        {"drawn_runs", read_count, &ranges->n_drawn_runs, false},
        {"values", read_values, NULL, false},
    };
    size_t n = sizeof(members) / sizeof(members[0]);
    bool ok = read_mark(reading);
    while (ok && oq_json_next_member(&reading->json, &key))
        ok = find_member(reading, members, n, key, &seen);
    ok = ok && !reading->json.failed;
    for (size_t i = 0; i < n && ok; i++)
        if (!has(seen, (int)i))
            ok = oq_json_refuse(&reading->json, "\"%s\" is missing", members[i].key);
    return ok;
}

onnxq_ranges *oq_ranges_read(struct oq_json_reader *json, const char *path, onnxq_error *error)
{
    struct reading reading = {
        .json = *json, .ranges = oq_ranges_create_empty(path, error), .error = error};
    if (reading.ranges == NULL)
        return NULL;
    bool ok = read_object(&reading);
    *json = reading.json;
    if (ok)
        return reading.ranges;
    onnxq_ranges_close(reading.ranges);
    return NULL;
}

/* --- the file ----------------------------------------------------------------------- */

/* The whole file and a NUL; the caller frees it. */
static char *read_text(const char *path, size_t *nbytes, onnxq_error *error)
{
    struct oq_file file;
    char *text = NULL;
    if (!oq_file_open(&file, path, error))
        return NULL;
    if (file.nbytes > MAX_FILE_NBYTES) {
        oq_fail(error, ONNXQ_ERROR_INPUT, "%" PRIu64 " bytes, expected a file of ranges",
                file.nbytes);
    } else {
        *nbytes = (size_t)file.nbytes;
        text = calloc(*nbytes + 1, 1);
        if (text == NULL) {
            oq_fail_memory(error);
        } else if (!oq_file_read(&file, 0, text, *nbytes, error)) {
            free(text);
            text = NULL;
        }
    }
    oq_file_close(&file);
    return text;
}

onnxq_ranges *onnxq_ranges_open(const char *path, onnxq_error *error)
{
    struct oq_json_reader json;
    struct oq_arena strings;
    onnxq_error ignored;
    error = error != NULL ? error : &ignored;
    oq_error_init(error);
    size_t nbytes = 0;
    onnxq_ranges *ranges = NULL;
    char *text = read_text(path, &nbytes, error);
    oq_arena_init(&strings, (size_t)MAX_FILE_NBYTES);
    if (text != NULL) {
        oq_json_reader_init(&json, text, nbytes, &strings, error);
        ranges = oq_ranges_read(&json, path, error);
    }
    if (ranges != NULL && !oq_json_reader_finish(&json)) {
        onnxq_ranges_close(ranges);
        ranges = NULL;
    }
    if (ranges == NULL)
        oq_error_file(error, path);
    oq_arena_fini(&strings);
    free(text);
    return ranges;
}
