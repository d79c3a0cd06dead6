/*
 * What a search has measured, in a file (docs/tuning.md): another search of the same model goes on
 * from there. Everything that measurements depend on is written with them.
 */
#ifndef OQ_TUNE_TUNE_CACHE_H
#define OQ_TUNE_TUNE_CACHE_H

#include "base/strmap.h"
#include "ranges/calibrated.h"

/* What measurements belong to. */
struct oq_tune_origin {
    struct oq_structure_digest model;
    const char *onnxq, *engine, *machine; /* versions, and what it runs on */
    uint64_t inputs; /* of inputs, what the float model makes of them, and how it is run */
};

struct oq_tune_cache {
    const char *path; /* NULL: nothing is kept */
    struct oq_arena *arena;
    struct oq_tune_origin origin;
    struct oq_tune_measured *list;
    size_t count, capacity;
    struct oq_strmap by_key;
    size_t n_found;      /* measurements that were not taken again */
    const char *foreign; /* why those of the file were of no use, or NULL */
};

enum oq_tune_what { OQ_MEASURED_ERROR, OQ_MEASURED_TIME };

/*
 * Reads the file, where there is one. False where it is none of measurements, or of another model.
 * Path, texts of the origin and arena are borrowed.
 */
bool oq_tune_cache_open(struct oq_tune_cache *cache, const char *path, struct oq_arena *arena,
                        const struct oq_tune_origin *origin, onnxq_error *error);

/* False where it was not measured. */
bool oq_tune_cache_get(const struct oq_tune_cache *cache, enum oq_tune_what what, const char *of,
                       const char *form, double *value);

/* Kept from here on; NaN and infinities are not. */
bool oq_tune_cache_put(struct oq_tune_cache *cache, enum oq_tune_what what, const char *of,
                       const char *form, double value, onnxq_error *error);

/* Replaces the file. */
bool oq_tune_cache_save(const struct oq_tune_cache *cache, onnxq_error *error);

/* FNV-1a of bytes, on top of an earlier one; it begins with 0. */
uint64_t oq_tune_hash(uint64_t hash, const void *bytes, size_t nbytes);

#endif
