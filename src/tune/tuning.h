/* What the steps of a search share. */
#ifndef OQ_TUNE_TUNING_H
#define OQ_TUNE_TUNING_H

#include "base/strmap.h"
#include "run/runner.h"
#include "tune/tune.h"
#include "tune/tune_cache.h"

/* Sets of inputs that errors of sites are measured with, the first ones: enough to tell sites
 * apart.
 */
#define OQ_TUNING_ERROR_SETS 2

/* Of the time that is allowed: that of clocks. */
#define OQ_TUNING_SHARE_OF_TIMES 0.3

struct oq_tuning {
    struct oq_tune *tune;
    const struct oq_tune_options *options;
    struct oq_arena arena; /* of what nobody needs when the search is over */
    struct oq_signature signature;
    const char **outputs;     /* [signature.n_outputs] */
    struct oq_input_sets all; /* as they were given */
    struct oq_input_sets search, unseen;
    struct oq_arrays *search_outputs; /* [search.count] of the float model, */
    struct oq_arrays *unseen_outputs; /* [unseen.count] */
    struct oq_strmap activations;     /* label of a node -> struct oq_tune_activation */
    size_t n_trials;
    char *folder;     /* of files that are tried */
    const char *step; /* that was told of last, and how much of it is done */
    uint64_t step_done, step_total;
    struct oq_tune_cache cache;
    double began;
    double choice_seconds; /* that the choice at the end takes, */
    double reserve;        /* and all that is still to be done once measurements end */
};

/* False where the search is to end: it was stopped, which is no failure, or is out of time. */
bool oq_tuning_goes_on(struct oq_tuning *tuning, const char *what, uint64_t done, uint64_t total);

/* The same whatever the time: false where it was stopped. */
bool oq_tuning_tell(struct oq_tuning *tuning, const char *what, uint64_t done, uint64_t total);
bool oq_tuning_tell_again(struct oq_tuning *tuning); /* of the step at hand, as it was told */

/* Asked in the midst of a step, which then fails with ONNXQ_ERROR_CANCELLED. */
bool oq_tuning_is_stopped(struct oq_tuning *tuning, onnxq_error *error);

/* Whether a step failed as the search was stopped: what was found until then is the result. */
bool oq_tuning_forgives(struct oq_tuning *tuning, onnxq_error *error);

/* Until the next step has to begin; below 0 it is late. */
double oq_tuning_seconds_left(const struct oq_tuning *tuning);

/* --- in their order --- */

/* tune_inputs.c: inputs in two parts, one of which takes no part in the search. */
bool oq_tuning_make_inputs(struct oq_tuning *tuning, onnxq_error *error);

/* tune_ranges.c: where there are convolutions, the ranges of activations. */
bool oq_tuning_find_ranges(struct oq_tuning *tuning, onnxq_error *error);

/* tune_channels.c: where there are products, the channels of their activations. */
bool oq_tuning_find_channels(struct oq_tuning *tuning, onnxq_error *error);

/* tune_sites.c: which weights there are, in which forms. */
bool oq_tuning_find_sites(struct oq_tuning *tuning, onnxq_error *error);

/* tune_resume.c: measurements of an earlier search. */
bool oq_tuning_resume(struct oq_tuning *tuning, onnxq_error *error);

/* tune_search.c: the float model, and what is known without a measurement. */
bool oq_tuning_begin_search(struct oq_tuning *tuning, onnxq_error *error);

/* tune_errors.c: what each form of each site makes of the outputs. */
bool oq_tuning_measure_errors(struct oq_tuning *tuning, onnxq_error *error);
struct oq_tune_site *oq_tuning_find_site(struct oq_tune *tune, const char *node); /* or NULL */

/* tune_times.c: what each form of each group takes, and the speed of a point. */
bool oq_tuning_measure_times(struct oq_tuning *tuning, onnxq_error *error);
double oq_tuning_speed_seconds(const struct oq_tuning *tuning); /* of one such measurement */
bool oq_tuning_measure_speed(struct oq_tuning *tuning, struct oq_tune_point *point,
                             onnxq_error *error);

/* tune_search.c: the points. */
bool oq_tuning_search(struct oq_tuning *tuning, onnxq_error *error);

/* --- tune_trial.c --- */

/* A plan with these choices, which are as oq_tune_choices() gives them. NULL on failure. */
onnxq_plan *oq_trial_plan(const struct oq_tuning *tuning, onnxq_method method,
                          const onnxq_choice *choices, size_t n, onnxq_error *error);

/* That of models with choices: static where there are ranges. */
onnxq_method oq_trial_method(const struct oq_tuning *tuning);

/*
 * Writes such a plan to a file of the folder; NULL on failure. The path is the arena's. *nbytes: of
 * the model and its side file.
 */
const char *oq_trial_write(struct oq_tuning *tuning, onnxq_method method,
                           const onnxq_choice *choices, size_t n, uint64_t *nbytes,
                           onnxq_error *error);
void oq_trial_remove(const char *path);

/* What a weight is where its site has the form, and it has none such. */
int oq_trial_stored_form(const struct oq_tune_weight *weight, int form);

/* All weights in one form, as far as they can. */
onnxq_choice *oq_trial_all(struct oq_tuning *tuning, int form);

/* Runs a model with inputs whose outputs of the float model are known. */
bool oq_trial_compare(struct oq_tuning *tuning, const char *path, bool unseen,
                      struct oq_tune_error *result, onnxq_error *error);

/* metric_posix.c: what the user's command says of a model; ONNXQ_ERROR_OPTION where it fails. */
bool oq_metric_run(const struct oq_tuning *tuning, const char *path, double *value,
                   onnxq_error *error);

/* A point of these forms (NULL: no choices), with errors and size. */
bool oq_trial_try(struct oq_tuning *tuning, const char *name, onnxq_method method, const int *forms,
                  struct oq_tune_point *point, onnxq_error *error);

#endif
