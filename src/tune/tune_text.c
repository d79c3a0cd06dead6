/* The report of a search for people: a line for each model that was run, most accurate first. */
#include <math.h>

#include "base/size.h"
#include "report/report_text.h"
#include "tune/tune_report.h"

static void print_budget(const struct oq_tune_options *options, FILE *stream)
{
    const char *between = "";
    for (int m = 0; m < OQ_N_MEASURES; m++) {
        if (isnan(options->budget[m]))
            continue;
        fprintf(stream, "%s%s %s %g", between, oq_measures[m].words,
                oq_measures[m].is_minimum ? "at least" : "at most", options->budget[m]);
        between = ", ";
    }
    if (options->metric_command != NULL)
        fprintf(stream, "%smetric at %s %g", between, options->metric_is_minimum ? "least" : "most",
                options->metric_limit);
}

static void print_head(const struct oq_tune_report *report, FILE *stream)
{
    const struct oq_tune *tune = report->tune;
    fputs("  ", stream);
    print_budget(report->options, stream);
    fprintf(
        stream, "  (ONNX Runtime %s)\n  %zu set%s of %sinputs to search with, %zu that judge%s\n",
        report->engine_version, tune->n_search, tune->n_search == 1 ? "" : "s",
        tune->inputs_are_random ? "random " : "", tune->n_unseen, tune->n_unseen == 1 ? "s" : "");
}

/* What an earlier search has left, and when this one had something to show. */
static void print_course(const struct oq_tune_report *report, FILE *stream)
{
    const struct oq_tune *tune = report->tune;
    if (tune->foreign != NULL)
        fprintf(stream, "  the file of --resume was measured %s: all is measured anew\n",
                tune->foreign);
    else if (tune->n_resumed > 0)
        fprintf(stream, "  %zu measurement%s of an earlier search\n", tune->n_resumed,
                tune->n_resumed == 1 ? "" : "s");
    if (!isnan(tune->first_met_seconds))
        fprintf(stream, "  the first model within the budget after %.1f s%s%s\n",
                tune->first_met_seconds, tune->first_met[0] == '\0' ? "" : ": ", tune->first_met);
}

static void print_part(FILE *stream, bool is_known, double part)
{
    if (is_known && !isnan(part))
        fprintf(stream, "  %9.4g", 100 * part);
    else
        fprintf(stream, "  %9s", "-");
}

static void print_metric(FILE *stream, double metric)
{
    if (!isnan(metric))
        fprintf(stream, "  %9.4g", metric);
}

static const char *name_of(const struct oq_tune_point *point)
{
    return point->is_best ? "chosen" : point->name;
}

static void print_forms(const struct oq_tune_point *point, FILE *stream)
{
    const char *between = "  ";
    if (point->forms == NULL)
        fputs(point->method == ONNXQ_METHOD_STATIC ? "  what quantize --method static writes"
                                                   : "  what quantize writes",
              stream);
    for (int form = 0; form < OQ_N_FORMS; form++)
        if (point->n_of_form[form] > 0) {
            fprintf(stream, "%s%zu %s", between, point->n_of_form[form], oq_tune_forms[form].name);
            between = ", ";
        }
}

static void print_point(const struct oq_tune_point *point, size_t number, FILE *stream)
{
    char speed[48] = "-";
    if (!isnan(point->speed) && point->speed_low < point->speed_high)
        snprintf(speed, sizeof(speed), "%.2f (%.2f-%.2f)", point->speed, point->speed_low,
                 point->speed_high);
    else if (!isnan(point->speed))
        snprintf(speed, sizeof(speed), "%.2f", point->speed);
    fprintf(stream, "  %2zu  %-7s  %9s", number, name_of(point), oq_size_text(point->nbytes).text);
    print_part(stream, true, point->search.relative);
    print_part(stream, point->has_unseen, point->unseen.relative);
    print_metric(stream, point->metric);
    fprintf(stream, "  %-16s", speed);
    print_forms(point, stream);
    putc('\n', stream);
}

static void print_points(const struct oq_tune *tune, FILE *stream)
{
    fprintf(stream,
            "   N  model         size    error %%   unseen %%%s  speed             weights\n",
            isnan(tune->points[0].metric) ? "" : "     metric");
    for (size_t i = 0; i < tune->n_points; i++)
        print_point(&tune->points[i], i, stream);
}

static void print_sites(const struct oq_tune *tune, FILE *stream)
{
    const struct oq_tune_point *best = &tune->points[tune->best];
    fputs("  site                                      form       outputs %        ms\n", stream);
    for (size_t i = 0; best->forms != NULL && i < tune->n_sites; i++) {
        const struct oq_tune_site *site = &tune->sites[i];
        const struct oq_tune_cost *cost = &site->costs[best->forms[i]];
        fputs("  ", stream);
        oq_report_cell(stream, site->node, 40, 40);
        fprintf(stream, "  %-9s  %9.4g  %8.4f\n", oq_tune_forms[best->forms[i]].name,
                100 * sqrt(cost->error), cost->ms);
    }
}

/* What the fastest model that was tried is over, which is what stands in the way. */
static void print_obstacle(const struct oq_tune *tune, FILE *stream)
{
    const struct oq_tune_point *last = &tune->points[tune->n_points - 1];
    const struct oq_tune_error *error = last->search.is_within ? &last->unseen : &last->search;
    if (error->exceeded == NULL)
        return;
    fputs("  beyond it: output ", stream);
    oq_report_cell(stream, error->exceeded, 0, OQ_REPORT_NO_LIMIT);
    if (error->measure >= 0)
        fprintf(stream, " with %s %.4g\n", oq_measures[error->measure].words,
                error->values[error->measure]);
    else
        fputs(" with NaN or another shape\n", stream);
}

static void print_padding(const struct oq_tune *tune, FILE *stream)
{
    if (tune->padding == NULL)
        return;
    fputs("  ", stream);
    oq_report_cell(stream, tune->padding, 0, OQ_REPORT_NO_LIMIT);
    fputs(" has zeros: with --mask ", stream);
    oq_report_cell(stream, tune->padding, 0, OQ_REPORT_NO_LIMIT);
    fputs(" what they cover is left out\n", stream);
}

static void print_verdict(const struct oq_tune_report *report, FILE *stream)
{
    const struct oq_tune *tune = report->tune;
    const struct oq_tune_point *best = &tune->points[tune->best];
    if (tune->best == 0) {
        bool is_out_of_time = !tune->is_stopped && tune->seconds >= report->options->seconds;
        fprintf(stream, "Nothing found%s within ",
                tune->is_stopped || is_out_of_time
                    ? " in time: of the models that were tried none is"
                    : ": no form of any weight stays");
        print_budget(report->options, stream);
        fputs(is_out_of_time ? "\n  --time searches longer\n" : "\n", stream);
        return;
    }
    if (report->output != NULL) {
        fputs("Wrote ", stream);
        oq_report_cell(stream, report->output, 0, OQ_REPORT_NO_LIMIT);
        fputs("  ", stream);
    }
    fprintf(stream, "%s -> %s", oq_size_text(tune->float_nbytes).text,
            oq_size_text(best->nbytes).text);
    if (!isnan(best->speed))
        fprintf(stream, ", %.2fx as fast", best->speed);
    fprintf(stream, ", %.4g %% error%s in %.1f s\n", 100 * oq_tune_judged(best)->relative,
            best->has_unseen ? " on unseen inputs" : "", tune->seconds);
}

void oq_tune_print(const struct oq_tune_report *report, int level, FILE *stream)
{
    const struct oq_tune *tune = report->tune;
    if (level >= 0) {
        print_head(report, stream);
        print_course(report, stream);
        print_points(tune, stream);
        print_obstacle(tune, stream);
        print_padding(tune, stream);
    }
    if (level > 0)
        print_sites(tune, stream);
    if (level >= 0 && tune->is_stopped && tune->best != 0)
        fputs("  stopped: the best that was found until then\n", stream);
    print_verdict(report, stream);
}
