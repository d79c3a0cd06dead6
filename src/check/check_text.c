/* The report of a check for people. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "check/check.h"
#include "report/report_text.h"

#define STACKED_WIDTH 2 /* of the column of names where there is no room for one */
#define NUMBER_WIDTH  10

bool oq_check_has_numbers(const struct oq_check_output *output, enum oq_measure measure)
{
    return output->problem == NULL &&
           oq_measure_judges(measure, output->value_class, &output->total);
}

bool oq_check_has_column(const struct oq_check *check, enum oq_measure measure)
{
    bool found = false;
    for (size_t i = 0; i < check->n_outputs; i++)
        found = found || oq_check_has_numbers(&check->outputs[i], measure);
    return found;
}

/* What the numbers leave of a line; without limit: 0. */
static size_t room_for_names(const struct oq_check *check, size_t columns)
{
    size_t used = 2;
    for (size_t m = 0; m < OQ_N_MEASURES; m++)
        used += oq_check_has_column(check, (enum oq_measure)m) ? 2 + NUMBER_WIDTH : 0;
    return oq_report_columns_left(columns > 0 ? columns : OQ_REPORT_NO_LIMIT, used);
}

/* Where a longer name stands in a line of its own, with the numbers below. */
static size_t name_width(const struct oq_check *check, int level, size_t columns_of_line)
{
    size_t width = strlen("output"), room = room_for_names(check, columns_of_line);
    for (size_t i = 0; i < check->n_outputs; i++) {
        size_t columns = oq_report_width(check->outputs[i].name);
        width = columns > width ? columns : width;
    }
    for (size_t i = 0; i < check->n_runs && level > 0; i++) {
        size_t columns = oq_report_width(check->labels[i]) + 2;
        width = columns > width ? columns : width;
    }
    return width <= room ? width : STACKED_WIDTH;
}

/* A name in its column, or with a line of its own where that is too narrow. */
static void print_name(FILE *stream, const char *name, size_t width)
{
    oq_report_cell(stream, name, width, OQ_REPORT_LONGEST);
    if (oq_report_width(name) > width)
        fprintf(stream, "\n  %*s", (int)width, "");
}

static void print_number(FILE *stream, double value)
{
    if (isnan(value))
        fprintf(stream, "  %*s", NUMBER_WIDTH, "-");
    else
        fprintf(stream, "  %*.4g", NUMBER_WIDTH, value);
}

static void print_titles(const struct oq_check *check, size_t width, FILE *stream)
{
    fputs("  ", stream);
    if (width > STACKED_WIDTH)
        oq_report_cell(stream, "output", width, width);
    else
        fprintf(stream, "%*s", (int)width, "");
    for (size_t m = 0; m < OQ_N_MEASURES; m++) {
        if (oq_check_has_column(check, (enum oq_measure)m))
            fprintf(stream, "  %*s", NUMBER_WIDTH, oq_measures[m].title);
    }
    putc('\n', stream);
}

static void print_measures(const struct oq_check *check, const struct oq_check_output *output,
                           const struct oq_difference *difference, FILE *stream)
{
    for (size_t m = 0; m < OQ_N_MEASURES; m++) {
        enum oq_measure measure = (enum oq_measure)m;
        if (!oq_check_has_column(check, measure))
            continue;
        bool judges = oq_measure_judges(measure, output->value_class, difference);
        print_number(stream, judges ? oq_measure_get(measure, difference) : (double)NAN);
    }
    putc('\n', stream);
}

/* "[0,12,383]" */
static void print_place(const struct oq_check_run *run, FILE *stream)
{
    putc('[', stream);
    for (size_t axis = 0; axis < run->candidate.n_dims; axis++)
        fprintf(stream, "%s%" PRIu64, axis > 0 ? "," : "", oq_check_coordinate(run, axis));
    putc(']', stream);
}

static void print_text(FILE *stream, const char *text)
{
    oq_report_cell(stream, text, 0, OQ_REPORT_LONGEST);
}

static void print_worst(const struct oq_check *check, const struct oq_check_output *output,
                        FILE *stream)
{
    const struct oq_check_run *run = &output->runs[output->worst_run];
    if (run->worst == OQ_NO_ELEMENT)
        return;
    fputs("    worst at ", stream);
    print_place(run, stream);
    fputs(": ", stream);
    print_text(stream, run->texts[1]);
    fputs(", expected ", stream);
    print_text(stream, run->texts[0]);
    if (check->n_runs > 1) {
        fputs("  (", stream);
        print_text(stream, check->labels[output->worst_run]);
        putc(')', stream);
    }
    putc('\n', stream);
}

static void print_runs(const struct oq_check *check, const struct oq_check_output *output,
                       size_t width, FILE *stream)
{
    for (size_t i = 0; i < check->n_runs; i++) {
        fputs("    ", stream);
        print_name(stream, check->labels[i], width - 2);
        if (output->runs[i].problem != NULL)
            fprintf(stream, "  %s\n", output->runs[i].problem);
        else
            print_measures(check, output, &output->runs[i].difference, stream);
    }
}

/* In place of numbers: those of the rest would look like those of the whole. */
static void print_problem(const struct oq_check *check, const struct oq_check_output *output,
                          FILE *stream)
{
    fprintf(stream, "  %s", output->problem);
    if (output->n_problems > 0 && check->n_runs > 1)
        fprintf(stream, " (%zu of %zu runs)", output->n_problems, check->n_runs);
    putc('\n', stream);
}

static void print_output(const struct oq_check *check, const struct oq_check_output *output,
                         size_t width, int level, FILE *stream)
{
    fputs("  ", stream);
    print_name(stream, output->name, width);
    if (output->problem != NULL)
        print_problem(check, output, stream);
    else
        print_measures(check, output, &output->total, stream);
    if (level > 0 && check->n_runs > 1)
        print_runs(check, output, width, stream);
    print_worst(check, output, stream);
    if (output->total.n_not_finite > 0)
        fprintf(stream, "    NaN or infinite in both: %" PRIu64 " of %" PRIu64 " values\n",
                output->total.n_not_finite, output->total.nelem);
    if (check->mask != NULL && !output->is_masked)
        fputs("    all of it: the mask has other axes\n", stream);
    if (output->is_reshaped)
        fputs("    stored in another shape: axes of length 1 were ignored\n", stream);
}

static void print_padding(const struct oq_check *check, FILE *stream)
{
    if (check->padding == NULL)
        return;
    fputs("  ", stream);
    print_text(stream, check->padding);
    fputs(" has zeros: with --mask ", stream);
    print_text(stream, check->padding);
    fputs(" what they cover is left out\n", stream);
}

static void print_extra_outputs(const struct oq_check *check, FILE *stream)
{
    if (check->n_extra_outputs == 0)
        return;
    fputs("  not compared: ", stream);
    for (size_t i = 0; i < check->n_extra_outputs; i++) {
        fputs(i > 0 ? ", " : "", stream);
        print_text(stream, check->extra_outputs[i]);
    }
    putc('\n', stream);
}

/* Where quantizing has left older engines behind. */
static void print_needs(const struct oq_check *check, FILE *stream)
{
    const struct oq_engine_needs *needs = &check->candidate_needs;
    const int least = oq_needs_least(needs);
    if (least <= oq_needs_least(&check->reference_needs))
        return;
    fputs("  ", stream);
    print_text(stream, check->candidate);
    fprintf(stream, " needs ONNX Runtime %s or later", oq_engine_text(least).text);
    for (size_t i = 0; i < needs->count && needs->list[i].minor == least; i++)
        fprintf(stream, "%s%s", i == 0 ? ": " : ", ", needs->list[i].what);
    putc('\n', stream);
}

static void print_inputs(const struct oq_check *check, FILE *stream)
{
    fputs("  ", stream);
    if (check->inputs_are_random)
        fprintf(stream, "%zu random input%s, seed %" PRIu64 ": real ones (--inputs) tell more",
                check->n_runs, check->n_runs == 1 ? "" : "s", check->seed);
    else if (check->n_runs == 1)
        print_text(stream, check->labels[0]);
    else
        fprintf(stream, "%zu inputs", check->n_runs);
    if (check->mask != NULL) {
        fputs(", where ", stream);
        print_text(stream, check->mask);
        fputs(" is not 0", stream);
    }
    fprintf(stream, "  (ONNX Runtime %s)\n", check->engine_version);
}

static void print_shapes(const struct oq_check *check, FILE *stream)
{
    fputs("  inputs: ", stream);
    for (size_t i = 0; i < check->n_inputs; i++) {
        const struct oq_check_shape *shape = &check->inputs[i].shape;
        fputs(i > 0 ? ", " : "", stream);
        print_text(stream, check->inputs[i].name);
        fprintf(stream, " %s [", shape->type);
        for (size_t k = 0; k < shape->n_dims; k++)
            fprintf(stream, "%s%" PRId64, k > 0 ? "," : "", shape->dims[k]);
        putc(']', stream);
    }
    putc('\n', stream);
}

/* What the model did not say has to be seen. */
static void print_sizes(const struct oq_check *check, FILE *stream)
{
    if (check->inputs_are_random && check->n_inputs > 0)
        print_shapes(check, stream);
    if (check->n_tries > 1) {
        fputs("  the usual sizes do not run, these do: ", stream);
        print_text(stream, check->sizes);
        putc('\n', stream);
    }
}

/* --- the verdict ------------------------------------------------------------------ */

static void print_limit(const struct oq_check *check, enum oq_measure measure, FILE *stream)
{
    bool is_default = (check->default_tolerances >> measure & 1) != 0;
    fprintf(stream, "at %s %.4g", oq_measures[measure].is_minimum ? "least" : "most",
            check->tolerances[measure]);
    if (is_default && measure == OQ_MEASURE_RELATIVE)
        fprintf(stream, ", the default for %s", check->default_relative.basis);
    else if (is_default)
        fputs(" by default", stream);
}

static void print_run(const struct oq_check *check, const struct oq_check_failure *failure,
                      const char *words, FILE *stream)
{
    if (check->n_runs < 2)
        return;
    fprintf(stream, " (%s", words);
    print_text(stream, check->labels[failure->run]);
    putc(')', stream);
}

static void print_failure(const struct oq_check *check, const struct oq_check_failure *failure,
                          FILE *stream)
{
    const struct oq_check_run *run = &failure->output->runs[failure->run];
    uint64_t n = failure->output->total.n_one_sided;
    fputs("Failed: ", stream);
    print_text(stream, failure->output->name);
    switch (failure->cause) {
    case OQ_CAUSE_PROBLEM:
        fprintf(stream, ": %s", run->problem);
        print_run(check, failure, "", stream);
        break;
    case OQ_CAUSE_NOTHING:
        fprintf(stream, ": %s", failure->output->problem);
        break;
    case OQ_CAUSE_ONE_SIDED:
        fprintf(stream, " has %" PRIu64 " NaN or infinite value%s on one side only, such as ", n,
                n == 1 ? "" : "s");
        print_place(run, stream);
        fprintf(stream, ": %s, expected %s", run->texts[1], run->texts[0]);
        print_run(check, failure, "", stream);
        break;
    case OQ_CAUSE_MEASURE:
        fprintf(stream, ": %s %.4g, ", oq_measures[failure->measure].words, failure->found);
        print_limit(check, failure->measure, stream);
        print_run(check, failure, "worst: ", stream);
        break;
    }
    putc('\n', stream);
}

/* The value of the output that is worst. */
static bool find_worst(const struct oq_check *check, enum oq_measure measure, double *value)
{
    bool found = false;
    for (size_t i = 0; i < check->n_outputs; i++) {
        const struct oq_check_output *output = &check->outputs[i];
        if (!oq_check_has_numbers(output, measure))
            continue;
        double other = oq_measure_get(measure, &output->total);
        if (!found || oq_measure_is_worse(measure, other, *value))
            *value = other;
        found = true;
    }
    return found;
}

/* Where nobody set a tolerance, nobody has approved: the default tells what is broken from what
 * works. */
static bool has_own_tolerance(const struct oq_check *check)
{
    bool found = false;
    for (size_t m = 0; m < OQ_N_MEASURES; m++)
        found =
            found || (!isnan(check->tolerances[m]) && (check->default_tolerances >> m & 1) == 0);
    return found;
}

static void print_passed(const struct oq_check *check, FILE *stream)
{
    bool is_judged = has_own_tolerance(check);
    const char *before = is_judged ? "Passed: " : "Works: ";
    for (size_t m = 0; m < OQ_N_MEASURES; m++) {
        double value = 0;
        if (isnan(check->tolerances[m]) || !find_worst(check, (enum oq_measure)m, &value))
            continue;
        fprintf(stream, "%s%s %.4g, ", before, oq_measures[m].words, value);
        print_limit(check, (enum oq_measure)m, stream);
        before = "; ";
    }
    fputs(is_judged ? "" : " (no tolerance was set)", stream);
    putc('\n', stream);
}

void oq_check_print_setup(const struct oq_check *check, FILE *stream)
{
    print_inputs(check, stream);
    print_sizes(check, stream);
}

void oq_check_print_notes(const struct oq_check *check, FILE *stream)
{
    print_padding(check, stream);
    print_extra_outputs(check, stream);
    print_needs(check, stream);
}

void oq_check_print_text(const struct oq_check *check, int level, size_t columns, FILE *stream)
{
    if (level >= 0) {
        size_t width = name_width(check, level, columns);
        oq_check_print_setup(check, stream);
        print_titles(check, width, stream);
        for (size_t i = 0; i < check->n_outputs; i++)
            print_output(check, &check->outputs[i], width, level, stream);
        oq_check_print_notes(check, stream);
        if (check->layers != NULL)
            oq_layers_print_text(check->layers, check->reference, check->candidate, level, stream);
    }
    for (size_t i = 0; i < check->n_failures; i++)
        print_failure(check, &check->failures[i], stream);
    if (check->passed)
        print_passed(check, stream);
}
