/*
 * Models side by side: each in a process of its own, taking turns on the same
 * inputs, until there are enough times of each to tell them apart.
 */
#ifndef OQ_BENCH_BENCH_H
#define OQ_BENCH_BENCH_H

#include "bench/inputs.h"
#include "bench/memory.h"
#include "bench/profile.h"
#include "bench/stats.h"
#include "engine/session.h"

/* Asked some times a second, with how much of `what` is done; false ends it all with an error. */
typedef bool (*oq_bench_progress_fn)(void *data, const char *what, uint64_t done, uint64_t total);

struct oq_bench_options {
    const char *ort_lib; /* or NULL */
    struct oq_feed_options feed;
    struct oq_session_options session;
    uint64_t warmup;               /* runs after each load that do not count, at least one */
    uint64_t runs;                 /* of each model that count; 0: as long as `seconds` say */
    double seconds;                /* for each model, about */
    bool profile_all;              /* else only a model that is slower, and the first */
    const char *profile_folder;    /* where temporary files go */
    bool keep_profiles;            /* there, as MODEL.profile.json */
    oq_bench_progress_fn progress; /* or NULL */
    void *progress_data;
};

/* Times are in milliseconds. */
struct oq_bench_model {
    struct oq_contestant contestant; /* its path is given */
    const char *name;                /* given: what people call it */
    struct oq_series times;          /* of all runs that count, sorted */
    struct oq_series medians;        /* one for each turn */
    struct oq_series loads;          /* one for each session */
    struct oq_summary latency;
    double load_ms; /* median */
    struct oq_memory memory, memory_before;
    struct oq_speedup_spread speedup; /* against the first */
    enum oq_verdict verdict;
    bool has_profile;
    struct oq_profile profile;
};

struct oq_bench {
    struct oq_bench_model *models; /* given, all zero but what is given */
    size_t n_models;
    char *engine_version, *engine_path;
    struct oq_input_sets sets;
    unsigned n_tries; /* of sizes for open dimensions, the last of which ran */
    size_t n_turns, n_sessions;
    struct oq_arena arena; /* of the profiles */
};

/* Release with oq_bench_fini(), after a failure too; the models' memory is the caller's. */
bool oq_bench_run(struct oq_bench *bench, const struct oq_bench_options *options,
                  onnxq_error *error);
void oq_bench_fini(struct oq_bench *bench);

/* Model and side files. */
uint64_t oq_bench_nbytes(const struct oq_bench_model *model);

#endif
