/* The report of a search for programs: docs/report.md. */
#include <math.h>

#include "tune/tune_report.h"

static void write_budget(struct oq_json *json, const double *budget)
{
    oq_json_open_object(json, "budget");
    for (int m = 0; m < OQ_N_MEASURES; m++)
        if (!isnan(budget[m]))
            oq_json_number(json, oq_measures[m].key, budget[m]);
}

static void write_error(struct oq_json *json, const char *key, const struct oq_tune_error *error)
{
    oq_json_open_object(json, key);
    oq_json_bool(json, "within_budget", error->is_within);
    oq_json_number(json, "rel_error_of_all", error->relative);
    for (int m = 0; m < OQ_N_MEASURES; m++)
        if (!isnan(error->values[m]))
            oq_json_number(json, oq_measures[m].key, error->values[m]);
    if (error->exceeded != NULL) {
        oq_json_string(json, "exceeded_by", error->exceeded);
        oq_json_string(json, "exceeded_measure",
                       error->measure >= 0 ? oq_measures[error->measure].key : NULL);
    }
    oq_json_close(json);
}

static void write_point(struct oq_json *json, const struct oq_tune_point *point)
{
    oq_json_open_object(json, NULL);
    oq_json_string(json, "name", point->name);
    oq_json_bool(json, "chosen", point->is_best);
    oq_json_uint(json, "bytes", point->nbytes);
    oq_json_number(json, "speed", point->speed);
    oq_json_number(json, "speed_low", point->speed_low);
    oq_json_number(json, "speed_high", point->speed_high);
    oq_json_number(json, "predicted_error", point->predicted);
    if (!isnan(point->metric))
        oq_json_number(json, "metric", point->metric);
    write_error(json, "search", &point->search);
    if (point->has_unseen)
        write_error(json, "unseen", &point->unseen);
    oq_json_open_object(json, "weights");
    for (int form = 0; form < OQ_N_FORMS; form++)
        if (point->n_of_form[form] > 0)
            oq_json_uint(json, oq_tune_forms[form].name, point->n_of_form[form]);
    oq_json_close(json);
    oq_json_close(json);
}

static void write_site(struct oq_json *json, const struct oq_tune_site *site)
{
    oq_json_open_object(json, NULL);
    oq_json_string(json, "node", site->node);
    oq_json_string(json, "operator", site->op_type);
    oq_json_open_object(json, "forms");
    for (int form = 0; form < OQ_N_FORMS; form++) {
        const struct oq_tune_cost *cost = &site->costs[form];
        if (!cost->exists)
            continue;
        oq_json_open_object(json, oq_tune_forms[form].name);
        oq_json_number(json, "error", sqrt(cost->error));
        oq_json_number(json, "ms", cost->ms);
        oq_json_uint(json, "bytes", cost->nbytes);
        oq_json_close(json);
    }
    oq_json_close(json);
    oq_json_close(json);
}

void oq_tune_write_json(const struct oq_tune_report *report, FILE *stream)
{
    const struct oq_tune *tune = report->tune;
    struct oq_json json;
    oq_json_open_report(&json, stream);
    oq_json_string(&json, "model", report->model);
    oq_json_string(&json, "output", report->output);
    oq_json_string(&json, "engine", report->engine_version);
    write_budget(&json, report->options->budget);
    if (report->options->metric_command != NULL)
        oq_json_number(&json, "metric", report->options->metric_limit);
    oq_json_close(&json);
    oq_json_bool(&json, "met", tune->is_met && tune->best != 0);
    oq_json_bool(&json, "stopped", tune->is_stopped);
    oq_json_bool(&json, "random_inputs", tune->inputs_are_random);
    oq_json_uint(&json, "search_sets", tune->n_search);
    oq_json_uint(&json, "unseen_sets", tune->n_unseen);
    oq_json_number(&json, "float_ms", tune->float_ms);
    oq_json_number(&json, "seconds", tune->seconds);
    oq_json_number(&json, "seconds_until_first_within", tune->first_met_seconds);
    if (report->options->resume != NULL) {
        oq_json_uint(&json, "resumed", tune->n_resumed);
        oq_json_string(&json, "not_resumed_as_measured", tune->foreign);
    }
    oq_json_open_array(&json, "points");
    for (size_t i = 0; i < tune->n_points; i++)
        write_point(&json, &tune->points[i]);
    oq_json_close(&json);
    oq_json_open_array(&json, "sites");
    for (size_t i = 0; i < tune->n_sites; i++)
        write_site(&json, &tune->sites[i]);
    oq_json_close(&json);
    oq_json_close(&json);
    oq_json_finish(&json);
}
