/* The file of ranges, written: docs/ranges.md. The same ranges give the same bytes. */
#include "base/json.h"
#include "ranges/calibrated.h"

static void write_floats(struct oq_json *json, const char *key, const float *values, size_t n)
{
    oq_json_open_row(json, key);
    for (size_t i = 0; i < n; i++)
        oq_json_float(json, NULL, values[i]);
    oq_json_close(json);
}

static void write_histogram(struct oq_json *json, const struct oq_histogram *histogram)
{
    oq_json_open_object(json, "histogram");
    oq_json_int(json, "exponent", histogram->exponent);
    oq_json_int(json, "first", histogram->first);
    oq_json_open_row(json, "counts");
    for (size_t i = 0; i < histogram->n_bins; i++)
        oq_json_uint(json, NULL, histogram->counts[i]);
    oq_json_close(json);
    oq_json_close(json);
}

static void write_channels(struct oq_json *json, const struct oq_channel_stats *channels)
{
    oq_json_open_object(json, "channels");
    oq_json_int(json, "axis", channels->axis);
    oq_json_uint(json, "count", channels->count);
    write_floats(json, "min", channels->min, channels->n);
    write_floats(json, "max", channels->max, channels->n);
    oq_json_numbers(json, "mean", channels->mean, channels->n);
    oq_json_close(json);
}

static void write_value(struct oq_json *json, const struct oq_range_stats *stats)
{
    oq_json_open_object(json, NULL);
    oq_json_string(json, "name", stats->name);
    oq_json_uint(json, "tensors", stats->n_tensors);
    oq_json_uint(json, "count", stats->count);
    oq_json_uint(json, "zeros", stats->n_zeros);
    oq_json_uint(json, "nan", stats->n_nan);
    oq_json_uint(json, "infinite", stats->n_infinite);
    if (stats->count > 0) {
        oq_json_float(json, "min", stats->min);
        oq_json_float(json, "max", stats->max);
        oq_json_number(json, "mean", stats->mean);
        write_histogram(json, &stats->histogram);
        if (stats->channels.n > 0)
            write_channels(json, &stats->channels);
    }
    oq_json_close(json);
}

void oq_ranges_write_json(const onnxq_ranges *ranges, struct oq_json *json, const char *key)
{
    oq_json_open_object(json, key);
    oq_json_uint(json, OQ_RANGES_MARK, OQ_RANGES_VERSION);
    oq_structure_digest_write(&ranges->model, json);
    oq_json_uint(json, "runs", ranges->n_runs);
    oq_json_uint(json, "drawn_runs", ranges->n_drawn_runs);
    oq_json_open_array(json, "values");
    for (size_t i = 0; i < ranges->n_values; i++)
        write_value(json, ranges->values[i]);
    oq_json_close(json);
    oq_json_close(json);
}

bool oq_ranges_write(const onnxq_ranges *ranges, FILE *stream)
{
    struct oq_json json;
    oq_json_init(&json, stream);
    oq_ranges_write_json(ranges, &json, NULL);
    return oq_json_finish(&json);
}
