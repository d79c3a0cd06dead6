/*
 * Sites measured in batches, so that memory stays bounded: the inner values of
 * some sites in some of the runs. Sessions are opened one after another.
 */
#ifndef OQ_LAYERS_LAYERS_RUN_H
#define OQ_LAYERS_LAYERS_RUN_H

#include "compare/compare.h"
#include "layers/layers.h"

/* Of all runs so far. */
struct oq_layer_sums {
    struct oq_difference added, accumulated;
    struct oq_difference *effects; /* [outputs of the reference] */
};

/* Some sites in all runs. */
struct oq_layers_group {
    const struct oq_layers_options *options;
    struct oq_arena *arena;     /* of reasons */
    struct oq_layer *layers;    /* [n_layers] */
    struct oq_layer_sums *sums; /* [n_layers] */
    size_t n_layers;
    const char *const *outputs; /* of the reference */
    size_t n_outputs;
    const char *no_effects;                        /* why there are none, or NULL */
    struct oq_arrays reference, candidate, deltas; /* what is carried from run to run, by session */
    uint64_t n_done, n_steps;                      /* for the progress */
};

/* Steps of one site in one run. */
#define OQ_LAYER_STEPS 4

/* Runs [first, first + count). *nbytes: what their values took. */
bool oq_layers_run_batch(struct oq_layers_group *group, size_t first, size_t count,
                         uint64_t *nbytes, onnxq_error *error);

#endif
