/*
 * The ranges of a model's values as calibration has found them, and their file
 * (docs/ranges.md). What is here holds the data and answers questions; the
 * runs that it comes from are calibrate/'s.
 */
#ifndef OQ_RANGES_CALIBRATED_H
#define OQ_RANGES_CALIBRATED_H

#include <stdio.h>

#include "base/strmap.h"
#include "ranges/range_stats.h"

/* What a model is recognized by: names and types, not weights. */
struct oq_structure_digest {
    uint64_t hash;
    uint64_t n_values; /* outputs of nodes */
};

struct oq_structure_digest oq_structure_digest(const onnxq_model *model);
bool oq_structure_digest_is(const struct oq_structure_digest *a,
                            const struct oq_structure_digest *b);

/* False, with an error, where `what` ("ranges") is of another model than expected. */
bool oq_structure_digest_check(const struct oq_structure_digest *found,
                               const struct oq_structure_digest *expected, const char *what,
                               onnxq_error *error);

/* The member "model" of files that are of one model; `into` is the digest. */
struct oq_json;
struct oq_json_reader;
void oq_structure_digest_write(const struct oq_structure_digest *digest, struct oq_json *json);
bool oq_structure_digest_read(struct oq_json_reader *json, void *into);

struct onnxq_ranges {
    struct oq_arena arena;
    char *path; /* "" where they are of no file */
    struct oq_structure_digest model;
    uint64_t n_runs;       /* sets of inputs that the model was run with */
    uint64_t n_drawn_runs; /* of them with inputs drawn at random, which no real range follows */
    struct oq_range_stats **values; /* in the order in which the model makes them */
    size_t n_values, capacity;
    struct oq_strmap by_name;
};

/* Empty ranges, for a model or of a file; onnxq_ranges_close() releases them. NULL: memory is out.
 */
onnxq_ranges *oq_ranges_create(const onnxq_model *model, onnxq_error *error);
onnxq_ranges *oq_ranges_create_empty(const char *path, onnxq_error *error);

/* The statistics of a value, added where there are none; NULL: memory is out. */
struct oq_range_stats *oq_ranges_place(onnxq_ranges *ranges, const char *name, onnxq_error *error);

/* The statistics of the value `name` of the main graph; NULL: it was not asked for. */
const struct oq_range_stats *oq_ranges_find(const onnxq_ranges *ranges, const char *name);

/* False, with what was found and expected, where the ranges are of another model. */
bool oq_ranges_check(const onnxq_ranges *ranges, const onnxq_model *model, onnxq_error *error);

/* --- the file; docs/ranges.md ------------------------------------------------------- */

/* The first member of the file, and its value: the version of the format. */
#define OQ_RANGES_MARK    "onnxq_ranges"
#define OQ_RANGES_VERSION 1

/* Writes the file; false where the stream did not take all of it. */
bool oq_ranges_write(const onnxq_ranges *ranges, FILE *stream);

/* The same object within another file, and read from there: the value that comes next. */
void oq_ranges_write_json(const onnxq_ranges *ranges, struct oq_json *json, const char *key);
onnxq_ranges *oq_ranges_read(struct oq_json_reader *json, const char *path, onnxq_error *error);

/* --- from numbers seen to a range that is quantized --------------------------------- */

struct oq_range_rule {
    onnxq_range_method method;
    double percentile; /* of ONNXQ_RANGE_PERCENTILE: in percent; 0 is the default */
    unsigned bits;     /* of the integers, 2 to 16 */
    bool symmetric; /* -high to high, 2^bits - 1 of the integers used; else all from low to high */
};

#define OQ_DEFAULT_PERCENTILE 99.99

/*
 * The range [*low, *high] that is quantized, 0 within. Both are 0 where all
 * numbers are. False where there is no range: oq_range_is_missing().
 */
bool oq_range_of(const struct oq_range_stats *stats, const struct oq_range_rule *rule, float *low,
                 float *high);

/* The root mean square of the numbers, those beyond an end taken as the end. */
double oq_range_size(const struct oq_range_stats *stats, float low, float high);

#endif
