/*
 * The fastest form of every weight within a budget of error, found by measuring.
 *
 * A site is a node of the main graph with the weights that it, or its bodies,
 * take; each site has a form. The error that each form makes of the outputs is
 * measured site by site (layers/), its time in the engine group by group, as
 * weights of one shape at one operator take the same time. Squares of errors
 * add up, and so do times: from both follows a line of models from the most
 * accurate one to the fastest one, the frontier. On that line the last model
 * within the budget is looked for, with runs of whole models; inputs that took
 * no part in the search have the last word.
 */
#ifndef OQ_TUNE_TUNE_H
#define OQ_TUNE_TUNE_H

#include "compare/measures.h"
#include "inputs/feed.h"
#include "engine/session.h"
#include "ranges/plan_file.h"
#include "tune/tune_forms.h"

struct oq_tune_options {
    const onnxq_model *model;
    struct oq_feed_options feed;
    struct oq_engine *engine;
    struct oq_session_options session;
    double budget[OQ_N_MEASURES]; /* NAN: no limit */
    const char *metric_command;   /* for the shell; the path of a model follows it; or NULL */
    double metric_limit;          /* of what it prints: at least that, or at most */
    bool metric_is_minimum;
    const char *mask;   /* an input: what lies where it is 0 does not count; or NULL */
    double held_back;   /* part of the inputs that takes no part in the search */
    double seconds;     /* for all of it, about */
    bool by_size;       /* the smallest file, not the fastest model */
    bool is_timed;      /* false: the time of a form is that of reading its bytes */
    const char *resume; /* a file of measurements, read and written; or NULL */
    const char *folder; /* where models that are tried go */
    /* Asked between runs; false ends the search, and the best model so far is the result. */
    bool (*progress)(void *data, const char *what, uint64_t done, uint64_t total);
    void *progress_data;
};

/* What a form of a site costs. */
struct oq_tune_cost {
    bool exists;     /* else what would be written is another form, or float */
    bool is_outdone; /* by a form of which it is a variety */
    double error;    /* square of the part of the outputs that it takes away */
    double ms;       /* of a run, more than folded */
    uint64_t nbytes; /* in the file */
};

/* A use of a weight. */
struct oq_tune_weight {
    const char *node, *weight;
    size_t site, group;
    const struct oq_tune_activation
        *activation; /* that it is multiplied with, where that is known, or NULL */
    bool exists[OQ_N_FORMS];
    uint64_t nbytes[OQ_N_FORMS];
};

struct oq_tune_site {
    const char *node, *op_type; /* of the main graph */
    struct oq_tune_cost costs[OQ_N_FORMS];
    double sensitivity[2]; /* what outputs lose of a loss there, without and with columns; or 0 */
};

/* The form that it has where it is to have `form`, which may not be there. */
static inline int oq_tune_site_form(const struct oq_tune_cost *costs, int form)
{
    while (!costs[form].exists && form != ONNXQ_FORM_FLOAT)
        form = oq_form_below(form);
    return form;
}

/* Weights of one shape at one operator. */
struct oq_tune_group {
    const char *name; /* operator, input, type and sizes */
    size_t n_weights;
    bool exists[OQ_N_FORMS];
    double ms[OQ_N_FORMS]; /* of one weight, more than folded; NAN: not measured */
};

/* What the outputs of a model lose. */
struct oq_tune_error {
    double values[OQ_N_MEASURES]; /* of the output that is hit the most; NAN: it has none */
    double relative;              /* of all float outputs together */
    bool is_within;               /* the budget */
    const char *exceeded;         /* else the output, */
    int measure;                  /* and what it is over, or -1: NaN, or another shape */
};

/* A model that was run. */
struct oq_tune_point {
    const char *name; /* "float", "default" or "tuned"; "" */
    onnxq_method method;
    int *forms;       /* [n_sites], numbers of oq_tune_forms; NULL: no choices were made */
    double predicted; /* relative error */
    uint64_t nbytes;  /* of the file */
    struct oq_tune_error search, unseen;
    bool has_unseen, is_best;
    double metric;                       /* what the command says; NAN: there is none */
    double speed, speed_low, speed_high; /* of the float model's; NAN: not measured */
    size_t n_of_form[OQ_N_FORMS];        /* weights */
};

/* By the inputs that judge: those that took no part in the search, where there are any. */
static inline const struct oq_tune_error *oq_tune_judged(const struct oq_tune_point *point)
{
    return point->has_unseen ? &point->unseen : &point->search;
}

struct oq_tune {
    struct oq_arena arena;
    struct oq_tune_weight *weights;
    size_t n_weights;
    struct oq_tune_site *sites;
    size_t n_sites;
    struct oq_tune_group *groups;
    size_t n_groups;
    onnxq_ranges
        *ranges; /* of activations over the inputs of the search; NULL: nobody needs them */
    struct oq_tune_point *points; /* from the most accurate to the fastest, float first */
    size_t n_points, points_capacity;
    size_t best; /* among the points */
    bool is_met; /* it is within the budget */
    bool is_stopped;
    bool inputs_are_random;
    const char *padding;               /* an input that a mask should name, or NULL */
    const char *sizes;                 /* drawn for open dimensions, or NULL */
    size_t n_search, n_unseen;         /* sets of inputs, or rows of one */
    double float_ms;                   /* of a run of the float model; NAN */
    double seconds, first_met_seconds; /* NAN: never */
    const char *first_met;             /* the name of the point, "" or NULL */
    size_t n_resumed;                  /* measurements of options.resume, */
    const char *foreign;               /* or why they were of no use; or NULL */
    uint64_t float_nbytes;
};

/* Fills `tune`, which is all zero. Release with oq_tune_fini(), after a failure too. */
bool oq_tune_run(struct oq_tune *tune, const struct oq_tune_options *options, onnxq_error *error);
void oq_tune_fini(struct oq_tune *tune);

/*
 * The choices of a point, in the arena: *n of them; NULL when memory is out. Those of the point
 * without forms are none.
 */
onnxq_choice *oq_tune_choices(struct oq_tune *tune, const struct oq_tune_point *point, size_t *n);

#endif
