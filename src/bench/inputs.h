/* What all models of a benchmark are given, and what they have to compute. */
#ifndef OQ_BENCH_INPUTS_H
#define OQ_BENCH_INPUTS_H

#include "inputs/feed.h"

/* Names that are owned. */
struct oq_names {
    char **list;
    size_t count;
};

void oq_names_fini(struct oq_names *names);

/* What has to be known of a model before it runs. */
struct oq_contestant {
    const char *path;                  /* given */
    uint64_t file_nbytes, side_nbytes; /* found, as the rest */
    struct oq_names outputs;
};

/*
 * Opens the models, makes the inputs of the first and checks that the others
 * take the same. Nothing of the models stays in memory. The caller releases
 * sets and outputs, after a failure too.
 */
bool oq_contestants_prepare(struct oq_contestant *const *contestants, size_t n,
                            const struct oq_feed_options *feed, struct oq_input_sets *sets,
                            onnxq_error *error);

#endif
