/* The measures: name, whether more is better, value, bound. */
#include "compare/measures.h"

#include <math.h>

const struct oq_measure_info oq_measures[OQ_N_MEASURES] = {
    [OQ_MEASURE_MAX_ABS] = {"max_abs_diff", "largest difference", "max diff", "--abs-tol", false,
                            true, false},
    [OQ_MEASURE_MEAN_ABS] = {"mean_abs_diff", "mean difference", "mean diff", "--mean-tol", false,
                             true, false},
    [OQ_MEASURE_RELATIVE] = {"rel_error", "relative error", "rel error", "--rel-tol", false, true,
                             false},
    [OQ_MEASURE_COSINE] = {"cosine", "cosine", "cosine", "--cosine", true, true, true},
    [OQ_MEASURE_SQNR] = {"sqnr_db", "SQNR in dB", "SQNR dB", "--sqnr", true, true, false},
    [OQ_MEASURE_ARGMAX] = {"argmax_agreement", "argmax agreement", "argmax", "--argmax", true, true,
                           true},
    [OQ_MEASURE_AGREEMENT] = {"agreement", "agreement", "agreement", "--agreement", true, false,
                              true},
};

static double share(uint64_t part, uint64_t whole)
{
    return (double)part / (double)whole;
}

/* Pairs that differ by a number, be it infinite. */
static uint64_t count_distances(const struct oq_difference *difference)
{
    return difference->nelem - difference->n_not_finite;
}

static double get_mean(const struct oq_difference *difference)
{
    return difference->sum_abs / (double)count_distances(difference);
}

static double get_relative(const struct oq_difference *difference)
{
    if (difference->n_one_sided > 0)
        return (double)INFINITY;
    if (difference->difference_squares == 0)
        return 0;
    return sqrt(difference->difference_squares / difference->reference_squares);
}

static double get_cosine(const struct oq_difference *difference)
{
    double a = difference->reference_squares, b = difference->candidate_squares;
    if (difference->n_one_sided > 0)
        return (double)NAN;
    if (difference->difference_squares == 0)
        return 1;
    if (a == 0 || b == 0)
        return 0;
    return fmax(-1, fmin(1, difference->products / (sqrt(a) * sqrt(b))));
}

static double get_sqnr(const struct oq_difference *difference)
{
    double relative = get_relative(difference);
    return relative == 0 ? (double)INFINITY : -20 * log10(relative);
}

double oq_measure_get(enum oq_measure measure, const struct oq_difference *difference)
{
    bool has_values =
        measure == OQ_MEASURE_AGREEMENT ? difference->nelem > 0 : count_distances(difference) > 0;
    if (!has_values)
        return (double)NAN;
    switch (measure) {
    case OQ_MEASURE_MAX_ABS:
        return difference->max_abs;
    case OQ_MEASURE_MEAN_ABS:
        return get_mean(difference);
    case OQ_MEASURE_RELATIVE:
        return get_relative(difference);
    case OQ_MEASURE_COSINE:
        return get_cosine(difference);
    case OQ_MEASURE_SQNR:
        return get_sqnr(difference);
    case OQ_MEASURE_ARGMAX:
        return difference->n_rows == 0 ? (double)NAN
                                       : share(difference->n_rows_agreeing, difference->n_rows);
    default:
        return share(difference->n_equal, difference->nelem);
    }
}

bool oq_measure_judges(enum oq_measure measure, enum oq_value_class value_class,
                       const struct oq_difference *difference)
{
    if (oq_measures[measure].is_of_floats != (value_class == OQ_CLASS_FLOAT))
        return false;
    return measure != OQ_MEASURE_ARGMAX || difference->n_rows > 0;
}

bool oq_measure_allows(enum oq_measure measure, double tolerance, double found)
{
    return oq_measures[measure].is_minimum ? found >= tolerance : found <= tolerance;
}

bool oq_measure_is_worse(enum oq_measure measure, double value, double than)
{
    if (isnan(value) || isnan(than))
        return isnan(value) && !isnan(than);
    return oq_measures[measure].is_minimum ? value < than : value > than;
}

static bool is_set(const double *tolerances, bool of_floats)
{
    for (size_t i = 0; i < OQ_N_MEASURES; i++) {
        if (oq_measures[i].is_of_floats == of_floats && !isnan(tolerances[i]))
            return true;
    }
    return false;
}

unsigned oq_tolerances_complete(double tolerances[OQ_N_MEASURES], double relative)
{
    unsigned completed = 0;
    if (!is_set(tolerances, true)) {
        tolerances[OQ_MEASURE_RELATIVE] = relative;
        completed |= 1U << OQ_MEASURE_RELATIVE;
    }
    if (!is_set(tolerances, false)) {
        tolerances[OQ_MEASURE_AGREEMENT] = OQ_DEFAULT_AGREEMENT;
        completed |= 1U << OQ_MEASURE_AGREEMENT;
    }
    return completed;
}
