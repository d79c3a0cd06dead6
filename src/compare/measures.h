/* What is said about a difference, and what of it is allowed. */
#ifndef OQ_COMPARE_MEASURES_H
#define OQ_COMPARE_MEASURES_H

#include "compare/compare.h"

enum oq_measure {
    OQ_MEASURE_MAX_ABS,
    OQ_MEASURE_MEAN_ABS,
    OQ_MEASURE_RELATIVE, /* ||a - b|| / ||a|| */
    OQ_MEASURE_COSINE,
    OQ_MEASURE_SQNR,      /* in dB */
    OQ_MEASURE_ARGMAX,    /* share of rows whose largest element is at the same place */
    OQ_MEASURE_AGREEMENT, /* share of elements that are equal */
    OQ_N_MEASURES
};

struct oq_measure_info {
    const char *key;    /* in the JSON report */
    const char *words;  /* in messages */
    const char *title;  /* of a column */
    const char *option; /* that sets the tolerance */
    bool is_minimum;    /* the tolerance is the least that is allowed; else the most */
    bool is_of_floats;  /* it judges float outputs; else all others */
    bool is_share;      /* it is never more than 1 */
};

extern const struct oq_measure_info oq_measures[OQ_N_MEASURES];

/*
 * The measure's value. NAN: it has none, as of rows where there are no rows.
 * Where something is one-sided it is as bad as it can be.
 */
double oq_measure_get(enum oq_measure measure, const struct oq_difference *difference);

/* Whether it says something about values of the class; `difference` is of such. */
bool oq_measure_judges(enum oq_measure measure, enum oq_value_class value_class,
                       const struct oq_difference *difference);

/* A value that is no number is over any tolerance. */
bool oq_measure_allows(enum oq_measure measure, double tolerance, double found);

/* Whether `value` is worse than `than`. */
bool oq_measure_is_worse(enum oq_measure measure, double value, double than);

/* Without any tolerance, a fifth of the labels may change (docs/decisions.md). */
#define OQ_DEFAULT_AGREEMENT 0.8

/*
 * Gives the defaults to tolerances that are NAN: a relative error of that size where none about
 * floats is set, that of labels where it is not set. Says which were, by bit.
 */
unsigned oq_tolerances_complete(double tolerances[OQ_N_MEASURES], double relative);

#endif
