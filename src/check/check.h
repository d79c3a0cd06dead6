/*
 * Runs two models on the same inputs and compares what they give, output by
 * output; or one model, against outputs that were stored. Nothing is printed
 * but by the two functions at the end.
 */
#ifndef OQ_CHECK_CHECK_H
#define OQ_CHECK_CHECK_H

#include <stdio.h>

#include "check/default_tolerance.h"
#include "layers/layers.h"
#include "compare/measures.h"
#include "engine/session.h"
#include "inputs/feed.h"
#include "model/needs.h"

struct oq_check_options {
    const char *reference; /* a model; NULL: outputs that were stored */
    const char *candidate;
    const char *expected; /* where those are, as oq_input_sets_read() takes it; NULL: with the
                             inputs (ONNX test data) */
    struct oq_feed_options feed;
    const char *const *feedback; /* "output=input": becomes that input of the next run */
    size_t n_feedback;
    const char *mask; /* an input: what lies where it is 0 is not compared; NULL: none */
    double tolerances[OQ_N_MEASURES]; /* NAN: not set */
    bool layers;                      /* inner values are compared, too; needs a reference */
    struct oq_engine *engine;
    struct oq_session_options session;
    /* As that of oq_run_setup. */
    bool (*progress)(void *data, const char *model, uint64_t n_done, uint64_t n_runs);
    void *progress_data;
};

struct oq_check_shape {
    const char *type; /* of the elements */
    const int64_t *dims;
    size_t n_dims;
};

struct oq_check_input {
    const char *name;
    struct oq_check_shape shape;
};

/* One output in one run. */
struct oq_check_run {
    const char *problem; /* why the values cannot be compared, or NULL */
    struct oq_check_shape reference, candidate;
    struct oq_difference difference;
    uint64_t worst;       /* the element that is farthest off, or OQ_NO_ELEMENT */
    const char *texts[2]; /* its values, of reference and candidate */
    double values[2];     /* the same where they are numbers */
};

struct oq_check_output {
    const char *name;
    enum oq_value_class value_class; /* of the reference's elements */
    const char *problem;             /* why nothing is said of its values as a whole, or NULL */
    size_t n_problems;               /* runs that have one */
    bool is_reshaped; /* the stored one has axes of length 1 before or behind, or lacks them */
    bool is_masked;   /* parts were left out */
    struct oq_check_run *runs;
    struct oq_difference total;
    size_t worst_run;
};

enum oq_check_cause {
    OQ_CAUSE_PROBLEM,   /* run.problem */
    OQ_CAUSE_NOTHING,   /* no output has a value that is compared */
    OQ_CAUSE_ONE_SIDED, /* NaN or infinities of one model only: never allowed */
    OQ_CAUSE_MEASURE    /* a tolerance */
};

struct oq_check_failure {
    const struct oq_check_output *output;
    enum oq_check_cause cause;
    size_t run; /* where it is worst */
    /* of a measure: */
    enum oq_measure measure;
    double found, allowed;
};

struct oq_check {
    struct oq_arena arena; /* everything below lives in it */
    const char *reference, *candidate, *expected;
    const char *engine_version;
    const char *mask;    /* as in the options */
    const char *padding; /* an input that looks as if `mask` should name it, or NULL */
    struct oq_engine_needs reference_needs, candidate_needs;
    bool inputs_are_random;
    uint64_t seed;
    const char **labels; /* of the runs */
    size_t n_runs;
    struct oq_check_input *inputs; /* of the first run */
    size_t n_inputs;
    const char *sizes; /* chosen for open dimensions, as oq_input_sets has them; or "" */
    unsigned n_tries;  /* of such sizes, the last of which ran */
    struct oq_check_output *outputs;
    size_t n_outputs;
    const char **extra_outputs; /* that only the candidate has */
    size_t n_extra_outputs;
    double tolerances[OQ_N_MEASURES];
    unsigned default_tolerances;                  /* bit m: that of measure m is the default */
    struct oq_default_tolerance default_relative; /* of the relative error, for this candidate */
    struct oq_check_failure *failures;
    size_t n_failures, failures_capacity;
    /* over all float outputs; where there are none, all integers; else all others */
    struct oq_difference total;
    enum oq_value_class total_class;
    bool is_total_known; /* no output of that class has runs with a problem */
    bool passed;
    struct oq_layers *layers; /* NULL: not asked for */
};

/* Of the worst element along an axis. */
uint64_t oq_check_coordinate(const struct oq_check_run *run, size_t axis);

/* NULL on failure. Options are borrowed until this returns, but for the strings in them. */
struct oq_check *oq_check_create(const struct oq_check_options *options, onnxq_error *error);
void oq_check_destroy(struct oq_check *check); /* NULL is fine */

/* For people. level < 0: the verdict alone; > 0: a line for every run. */
/* `columns` of a line; 0: any number. */
void oq_check_print_text(const struct oq_check *check, int level, size_t columns, FILE *stream);
void oq_check_print_json(const struct oq_check *check, FILE *stream);
void oq_check_write_page(const struct oq_check *check, struct oq_page *page);

/* Whether a measure says something of an output; of any output, so that it has a column. */
bool oq_check_has_numbers(const struct oq_check_output *output, enum oq_measure measure);
bool oq_check_has_column(const struct oq_check *check, enum oq_measure measure);

/* Parts of the text: on what it ran, and what the table does not say. */
void oq_check_print_setup(const struct oq_check *check, FILE *stream);
void oq_check_print_notes(const struct oq_check *check, FILE *stream);

#endif
