/*
 * The file of ranges, read. Nothing in it is believed: a file that is accepted
 * is one that the writer could have written, but for members that later
 * versions may add, which are passed over.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/json_file.h"
#include "ranges/calibrated.h"

static const struct oq_json_format format = {OQ_RANGES_MARK, OQ_RANGES_VERSION, "a file of ranges",
                                             "onnxq calibrate makes one"};

static onnxq_ranges *ranges_of(const struct oq_json_reader *json)
{
    return json->data;
}

/* --- members ------------------------------------------------------------------------ */

#define READ_MEMBERS(json, members, seen)                                                          \
    oq_json_read_members(json, members, sizeof(members) / sizeof((members)[0]), seen)

static bool read_name(struct oq_json_reader *json, void *into)
{
    const char **name = into;
    if (!oq_json_read_string(json, name))
        return false;
    if (**name == '\0')
        return oq_json_refuse(json, "a value without a name");
    return oq_ranges_find(ranges_of(json), *name) == NULL ||
           oq_json_refuse(json, "two values of one name");
}

static bool read_float(struct oq_json_reader *json, void *into)
{
    return oq_json_read_float(json, into);
}

static bool read_mean(struct oq_json_reader *json, void *into)
{
    double *mean = into;
    if (!oq_json_read_number(json, mean))
        return false;
    return fabs(*mean) <= (double)FLT_MAX ||
           oq_json_refuse(json, "a number that no mean of float32 is");
}

/* --- lists of numbers ------------------------------------------------------------------ */

/* An array that grows in the arena of the ranges. */
struct list {
    void *items;
    size_t n, capacity, item_nbytes, max;
    bool (*read)(struct oq_json_reader *json, void *into);
};

static bool read_list(struct oq_json_reader *json, void *into)
{
    struct list *list = into;
    struct oq_arena *arena = &ranges_of(json)->arena;
    if (!oq_json_enter_array(json))
        return false;
    while (oq_json_next_item(json)) {
        if (list->n >= list->max)
            return oq_json_refuse(json, "more than %zu numbers", list->max);
        if (!oq_arena_grow(arena, &list->items, list->n, &list->capacity, list->item_nbytes))
            return oq_fail_memory(json->error);
        if (!list->read(json, (char *)list->items + list->n * list->item_nbytes))
            return false;
        list->n++;
    }
    return !json->failed;
}

/* --- a value ------------------------------------------------------------------------------ */

struct read_histogram {
    int64_t exponent, first;
    struct list counts;
};

static bool read_histogram(struct oq_json_reader *json, void *into)
{
    struct read_histogram *histogram = into;
    uint64_t seen;
    histogram->counts = (struct list){
        .item_nbytes = sizeof(uint64_t), .max = OQ_HISTOGRAM_BINS, .read = oq_json_take_count};
    const struct oq_json_member members[] = {
        {"exponent", oq_json_take_int, &histogram->exponent, false},
        {"first", oq_json_take_int, &histogram->first, false},
        {"counts", read_list, &histogram->counts, false},
    };
    return READ_MEMBERS(json, members, &seen);
}

struct read_channels {
    int64_t axis;
    uint64_t count;
    struct list min, max, mean;
};

static bool read_channels(struct oq_json_reader *json, void *into)
{
    struct read_channels *channels = into;
    uint64_t seen;
    struct list floats = {.item_nbytes = sizeof(float), .max = OQ_MAX_CHANNELS, .read = read_float};
    struct list means = {.item_nbytes = sizeof(double), .max = OQ_MAX_CHANNELS, .read = read_mean};
    channels->min = channels->max = floats;
    channels->mean = means;
    const struct oq_json_member members[] = {
        {"axis", oq_json_take_int, &channels->axis, false},
        {"count", oq_json_take_count, &channels->count, false},
        {"min", read_list, &channels->min, false},
        {"max", read_list, &channels->max, false},
        {"mean", read_list, &channels->mean, false},
    };
    return READ_MEMBERS(json, members, &seen);
}

/* The grid is that of the range, and the counts are those of all numbers. */
static bool take_histogram(struct oq_json_reader *json, const struct read_histogram *from,
                           struct oq_range_stats *stats)
{
    struct oq_grid grid = oq_grid_make(stats->min, stats->max);
    uint64_t *counts = from->counts.items, sum = 0;
    if (from->exponent != grid.exponent || from->first != grid.first ||
        from->counts.n != grid.n_bins)
        return oq_json_refuse(json,
                              "the histogram is not that of min and max: expected exponent %d, "
                              "first %lld, %zu counts",
                              grid.exponent, (long long)grid.first, grid.n_bins);
    for (size_t i = 0; i < grid.n_bins && sum <= stats->count; i++)
        sum += counts[i];
    if (sum != stats->count)
        return oq_json_refuse(json, "the histogram does not add up to \"count\"");
    stats->histogram = (struct oq_histogram){.exponent = grid.exponent,
                                             .first = grid.first,
                                             .n_bins = grid.n_bins,
                                             .counts = counts,
                                             .capacity = from->counts.n};
    return true;
}

static bool take_channels(struct oq_json_reader *json, const struct read_channels *from,
                          struct oq_range_stats *stats)
{
    const float *min = from->min.items, *max = from->max.items;
    size_t n = from->min.n;
    if (n == 0 || from->max.n != n || from->mean.n != n || from->count == 0)
        return oq_json_refuse(json, "lists of channels that are empty or of unlike lengths");
    if (from->axis < 0 || from->axis > INT32_MAX)
        return oq_json_refuse(json, "an axis that no tensor has");
    for (size_t c = 0; c < n; c++)
        if (min[c] > max[c] || min[c] < stats->min || max[c] > stats->max)
            return oq_json_refuse(json, "the range of channel %zu is not within min and max", c);
    stats->channels = (struct oq_channel_stats){.axis = (int)from->axis,
                                                .n = n,
                                                .count = from->count,
                                                .min = from->min.items,
                                                .max = from->max.items,
                                                .mean = from->mean.items};
    return true;
}

enum { NAME, TENSORS, COUNT, ZEROS, NANS, INFINITE, MIN, MAX, MEAN, HISTOGRAM, CHANNELS };

/* Members that are there say no more and no less than "count" allows. */
static bool check_value(struct oq_json_reader *json, const struct oq_range_stats *stats,
                        uint64_t seen)
{
    for (int i = MIN; i <= HISTOGRAM; i++)
        if (oq_json_has(seen, i) != (stats->count > 0))
            return oq_json_refuse(json,
                                  "\"min\", \"max\", \"mean\" and \"histogram\" belong to a count "
                                  "above 0, all of them");
    if (oq_json_has(seen, CHANNELS) && stats->count == 0)
        return oq_json_refuse(json, "channels of nothing");
    if (stats->count > 0 && stats->n_tensors == 0)
        return oq_json_refuse(json, "numbers of no tensor");
    if (stats->min > stats->max)
        return oq_json_refuse(json, "\"min\" is above \"max\"");
    return stats->n_zeros <= stats->count || oq_json_refuse(json, "\"zeros\" is above \"count\"");
}

static bool read_value(struct oq_json_reader *json)
{
    struct oq_range_stats stats = {.name = NULL};
    struct read_histogram histogram = {.exponent = 0};
    struct read_channels channels = {.axis = 0};
    uint64_t seen;
    const struct oq_json_member members[] = {
        [NAME] = {"name", read_name, &stats.name, false},
        [TENSORS] = {"tensors", oq_json_take_count, &stats.n_tensors, false},
        [COUNT] = {"count", oq_json_take_count, &stats.count, false},
        [ZEROS] = {"zeros", oq_json_take_count, &stats.n_zeros, false},
        [NANS] = {"nan", oq_json_take_count, &stats.n_nan, false},
        [INFINITE] = {"infinite", oq_json_take_count, &stats.n_infinite, false},
        [MIN] = {"min", read_float, &stats.min, true},
        [MAX] = {"max", read_float, &stats.max, true},
        [MEAN] = {"mean", read_mean, &stats.mean, true},
        [HISTOGRAM] = {"histogram", read_histogram, &histogram, true},
        [CHANNELS] = {"channels", read_channels, &channels, true},
    };
    if (!READ_MEMBERS(json, members, &seen) || !check_value(json, &stats, seen) ||
        (oq_json_has(seen, HISTOGRAM) && !take_histogram(json, &histogram, &stats)) ||
        (oq_json_has(seen, CHANNELS) && !take_channels(json, &channels, &stats)))
        return false;
    struct oq_range_stats *place = oq_ranges_place(ranges_of(json), stats.name, json->error);
    if (place == NULL)
        return false;
    stats.name = place->name;
    *place = stats;
    return true;
}

/* --- the file --------------------------------------------------------------------------------- */

static bool read_values(struct oq_json_reader *json, void *into)
{
    (void)into;
    return oq_json_read_items(json, read_value);
}

onnxq_ranges *oq_ranges_read(struct oq_json_reader *json, const char *path, onnxq_error *error)
{
    onnxq_ranges *ranges = oq_ranges_create_empty(path, error);
    if (ranges == NULL)
        return NULL;
    void *outer = json->data;
    const struct oq_json_member members[] = {
        {"model", oq_structure_digest_read, &ranges->model, false},
        {"runs", oq_json_take_count, &ranges->n_runs, false},
        {"drawn_runs", oq_json_take_count, &ranges->n_drawn_runs, false},
        {"values", read_values, NULL, false},
    };
    json->data = ranges;
    bool ok = oq_json_read_marked(json, &format, members, sizeof(members) / sizeof(members[0]));
    json->data = outer;
    if (ok)
        return ranges;
    onnxq_ranges_close(ranges);
    return NULL;
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
    char *text = oq_json_read_file(path, format.what, &nbytes, error);
    oq_arena_init(&strings, OQ_JSON_FILE_MAX_NBYTES);
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
