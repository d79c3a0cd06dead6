/* Holds the differences against their bounds, and says which are beyond. */
#include "check/verdict.h"

#include <math.h>
#include <string.h>

/* --- sums ---------------------------------------------------------------------- */

/* How far off a run is at its worst; negative where all is equal. */
static double badness(const struct oq_check_run *run)
{
    return run->worst == OQ_NO_ELEMENT ? -1 : run->difference.max_abs;
}

/* Why the total holds nothing that could differ, or NULL. */
static const char *find_lack(const struct oq_check_output *output)
{
    const struct oq_difference *total = &output->total;
    bool is_float = output->value_class == OQ_CLASS_FLOAT;
    if (total->nelem > (is_float ? total->n_not_finite : 0))
        return NULL;
    return total->nelem > 0    ? "nothing to compare: all values are NaN or infinite in both"
           : output->is_masked ? "nothing to compare: all of it is masked"
                               : "nothing to compare: it is empty";
}

static void sum_up(struct oq_check_output *output, size_t n_runs)
{
    for (size_t i = 0; i < n_runs; i++) {
        const struct oq_check_run *run = &output->runs[i];
        oq_difference_add(&output->total, &run->difference);
        if (badness(run) > badness(&output->runs[output->worst_run]))
            output->worst_run = i;
        output->n_problems += run->problem != NULL;
        output->problem = output->problem == NULL ? run->problem : output->problem;
    }
    if (output->problem == NULL)
        output->problem = find_lack(output);
}

static bool has_class(const struct oq_check *check, enum oq_value_class value_class)
{
    for (size_t i = 0; i < check->n_outputs; i++) {
        if (check->outputs[i].value_class == value_class)
            return true;
    }
    return false;
}

/* Distances of labels would drown those of probabilities. */
static void sum_up_all(struct oq_check *check)
{
    check->total_class = has_class(check, OQ_CLASS_FLOAT)     ? OQ_CLASS_FLOAT
                         : has_class(check, OQ_CLASS_INTEGER) ? OQ_CLASS_INTEGER
                                                              : OQ_CLASS_OTHER;
    check->is_total_known = true;
    for (size_t i = 0; i < check->n_outputs; i++) {
        if (check->outputs[i].value_class != check->total_class)
            continue;
        oq_difference_add(&check->total, &check->outputs[i].total);
        check->is_total_known = check->is_total_known && check->outputs[i].n_problems == 0;
    }
}

/* --- failures ------------------------------------------------------------------ */

static bool add_failure(struct oq_check *check, struct oq_check_failure failure, onnxq_error *error)
{
    if (!oq_arena_grow(&check->arena, &check->failures, check->n_failures,
                       &check->failures_capacity, sizeof(failure)))
        return oq_arena_fail(&check->arena, error);
    check->failures[check->n_failures++] = failure;
    return true;
}

/* The first; there is one. */
static size_t find_problem(const struct oq_check_output *output)
{
    size_t run = 0;
    while (output->runs[run].problem == NULL)
        run++;
    return run;
}

static bool has_values(const struct oq_check *check)
{
    bool found = false;
    for (size_t i = 0; i < check->n_outputs; i++)
        found = found || check->outputs[i].problem == NULL;
    return found;
}

static size_t find_worst_run(const struct oq_check *check, const struct oq_check_output *output,
                             enum oq_measure measure)
{
    size_t worst = 0;
    double value = oq_measure_get(measure, &output->runs[0].difference);
    for (size_t i = 1; i < check->n_runs; i++) {
        double other = oq_measure_get(measure, &output->runs[i].difference);
        /* A run without rows has no argmax that could be bad. */
        if (isnan(value) || (!isnan(other) && oq_measure_is_worse(measure, other, value))) {
            value = other;
            worst = i;
        }
    }
    return worst;
}

static bool judge_measure(struct oq_check *check, const struct oq_check_output *output,
                          enum oq_measure measure, onnxq_error *error)
{
    double allowed = check->tolerances[measure];
    if (isnan(allowed) || !oq_measure_judges(measure, output->value_class, &output->total))
        return true;
    double found = oq_measure_get(measure, &output->total);
    if (oq_measure_allows(measure, allowed, found))
        return true;
    return add_failure(check,
                       (struct oq_check_failure){.output = output,
                                                 .cause = OQ_CAUSE_MEASURE,
                                                 .run = find_worst_run(check, output, measure),
                                                 .measure = measure,
                                                 .found = found,
                                                 .allowed = allowed},
                       error);
}

/* What makes the measures meaningless is all that is said. */
static bool judge(struct oq_check *check, const struct oq_check_output *output, onnxq_error *error)
{
    struct oq_check_failure failure = {.output = output};
    if (output->n_problems > 0) {
        failure.cause = OQ_CAUSE_PROBLEM;
        failure.run = find_problem(output);
        return add_failure(check, failure, error);
    }
    if (output->problem != NULL) {
        failure.cause = OQ_CAUSE_NOTHING;
        return has_values(check) || add_failure(check, failure, error);
    }
    if (output->total.n_one_sided > 0) {
        failure.cause = OQ_CAUSE_ONE_SIDED;
        failure.run = output->worst_run;
        return add_failure(check, failure, error);
    }
    for (size_t m = 0; m < OQ_N_MEASURES; m++) {
        if (!judge_measure(check, output, (enum oq_measure)m, error))
            return false;
    }
    return true;
}

/* A tolerance that nothing is held against would pass whatever comes. */
static bool check_effect(const struct oq_check *check, const double given[OQ_N_MEASURES],
                         onnxq_error *error)
{
    for (size_t m = 0; m < OQ_N_MEASURES; m++) {
        bool judges = isnan(given[m]);
        for (size_t i = 0; i < check->n_outputs && !judges; i++)
            judges = oq_measure_judges((enum oq_measure)m, check->outputs[i].value_class,
                                       &check->outputs[i].total);
        if (!judges)
            return oq_fail(error, ONNXQ_ERROR_OPTION, "%s: there is no output of %s",
                           oq_measures[m].option,
                           m == OQ_MEASURE_ARGMAX        ? "floats in rows"
                           : oq_measures[m].is_of_floats ? "floats"
                                                         : "integers, booleans or strings");
    }
    return true;
}

bool oq_verdict_make(struct oq_check *check, const double given[OQ_N_MEASURES], onnxq_error *error)
{
    memcpy(check->tolerances, given, sizeof(check->tolerances));
    check->default_tolerances =
        oq_tolerances_complete(check->tolerances, check->default_relative.relative);
    for (size_t i = 0; i < check->n_outputs; i++)
        sum_up(&check->outputs[i], check->n_runs);
    sum_up_all(check);
    for (size_t i = 0; i < check->n_outputs; i++) {
        if (!judge(check, &check->outputs[i], error))
            return false;
    }
    check->passed = check->n_failures == 0;
    return !check->passed || check_effect(check, given, error);
}
