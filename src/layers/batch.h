/*
 * A batch: some sites of two models in some of the runs, as the passes measure
 * them, so that memory stays bounded. Three things are counted: runs of the
 * models, sites, and values. Values are numbered twice, as the reference has
 * them (with those that sites only read) and as the sites make them, one site
 * after another.
 */
#ifndef OQ_LAYERS_BATCH_H
#define OQ_LAYERS_BATCH_H

#include "compare/compare.h"
#include "layers/layers.h"
#include "layers/probe.h"
#include "run/runner.h"

/* Of all runs so far. */
struct oq_layer_sums {
    struct oq_difference added, accumulated;
    struct oq_difference *effects; /* [outputs of the reference] */
};

/* Some sites in all runs. */
struct oq_layers_group {
    const onnxq_model *reference, *candidate;
    const struct oq_run_setup *setup;
    struct oq_arena *arena;     /* of reasons */
    struct oq_layer *layers;    /* [n_layers] */
    struct oq_layer_sums *sums; /* [n_layers] */
    size_t n_layers;
    const char *const *outputs; /* of the reference */
    size_t n_outputs;
    bool is_added_only;     /* of the errors nothing else is asked for */
    const char *no_effects; /* why there are none, or NULL */
    struct oq_arrays reference_state, candidate_state,
        deltas;               /* what is carried from run to run, by session */
    uint64_t n_done, n_steps; /* for the progress */
};

/* Steps of one site in one run. */
#define OQ_LAYER_STEPS 4

/* A value of the reference that sites of the batch make or read. */
struct oq_batch_value {
    const char *name;
    size_t number;
    bool is_input;       /* of the model */
    const char *lacking; /* why there is no array of it, or NULL */
};

/* A site that is measured. */
struct oq_batch_site {
    const struct oq_layer_site *found;
    struct oq_layer *layer;
    struct oq_layer_sums *sums;
    size_t first_made; /* of its values among those of all sites */
};

struct oq_batch {
    struct oq_layers_group *group;
    size_t first, count; /* runs */
    struct oq_arena arena;
    struct oq_strmap values_by_name;
    struct oq_batch_value **values;
    size_t n_values, values_capacity;
    struct oq_array *references; /* [count][n_values] */
    struct oq_batch_site *sites;
    size_t n_sites, n_made;
    struct oq_array *deltas; /* [count][n_made]: what the results are off; not made where they
                                are no floats */
};

/* --- the passes, in their order; each opens a session of its own --- */

/* Fills in the references. */
bool oq_pass_reference(struct oq_batch *batch, onnxq_error *error);

/* Adds what each site adds to the sums, and fills in the deltas. */
bool oq_pass_apart(struct oq_batch *batch, onnxq_error *error);

/* Adds what has accumulated. */
bool oq_pass_candidate(struct oq_batch *batch, onnxq_error *error);

/* Adds what the deltas make of the outputs. */
bool oq_pass_effects(struct oq_batch *batch, onnxq_error *error);

/* --- what they share --- */

/* The values that the sites of the group need; the rest is zero but for group and runs. */
bool oq_batch_init(struct oq_batch *batch, onnxq_error *error);

/* The sites, all but those that cannot be measured, now or in an earlier batch. */
bool oq_batch_choose(struct oq_batch *batch, onnxq_error *error);

struct oq_array *oq_batch_reference(const struct oq_batch *batch, size_t run, const char *name);

/* A model with these values as outputs. */
struct oq_session *oq_batch_open(const struct oq_batch *batch, const onnxq_model *model,
                                 const char *const *names, size_t n, onnxq_error *error);

/* Adds what `result` is off to the sum; false where it has another shape or class. */
bool oq_batch_compare(const struct oq_array *reference, const struct oq_array *result,
                      const struct oq_array *mask, struct oq_difference *sum);
bool oq_batch_is_float(const struct oq_array *array);

/* The bytes that they had. */
uint64_t oq_batch_fini_arrays(struct oq_array *arrays, size_t count);

/* Tells of steps that are done; false: that was all. */
bool oq_batch_advance(const struct oq_batch *batch, size_t steps, onnxq_error *error);

/* Memory is out: false. */
bool oq_batch_fail(const struct oq_batch *batch, onnxq_error *error);

#endif
