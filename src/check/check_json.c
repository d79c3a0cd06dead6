/* The report of a check as JSON. */
#include <math.h>

#include "base/json.h"
#include "check/check.h"

static void write_measures(struct oq_json *json, enum oq_value_class value_class,
                           const struct oq_difference *difference, bool is_known)
{
    for (size_t m = 0; m < OQ_N_MEASURES; m++) {
        enum oq_measure measure = (enum oq_measure)m;
        bool is_agreement = measure == OQ_MEASURE_AGREEMENT;
        bool has_value = is_known && (is_agreement ? value_class != OQ_CLASS_FLOAT
                                                   : value_class != OQ_CLASS_OTHER);
        oq_json_number(json, oq_measures[m].key,
                       has_value ? oq_measure_get(measure, difference) : (double)NAN);
    }
}

/* Whatever is more than the measures. */
static void write_counts(struct oq_json *json, const struct oq_check_output *output)
{
    const struct oq_difference *difference = &output->total;
    bool has_value = output->problem == NULL && output->value_class != OQ_CLASS_OTHER;
    oq_json_number(json, "max_rel_diff", has_value ? difference->max_relative : (double)NAN);
    oq_json_uint(json, "elements", difference->nelem);
    oq_json_uint(json, "equal", difference->n_equal);
    oq_json_uint(json, "not_finite", difference->n_not_finite);
    oq_json_uint(json, "one_sided", difference->n_one_sided);
    oq_json_uint(json, "rows", difference->n_rows);
}

static void write_place(struct oq_json *json, const struct oq_check_run *run)
{
    oq_json_open_row(json, "index");
    for (size_t axis = 0; axis < run->candidate.n_dims; axis++)
        oq_json_uint(json, NULL, oq_check_coordinate(run, axis));
    oq_json_close(json);
}

static void write_value(struct oq_json *json, const char *key, const struct oq_check_run *run,
                        size_t side)
{
    if (isfinite(run->values[side]))
        oq_json_number(json, key, run->values[side]);
    else
        oq_json_string(json, key, run->texts[side]);
}

static void write_worst(struct oq_json *json, const struct oq_check *check,
                        const struct oq_check_output *output)
{
    const struct oq_check_run *run = &output->runs[output->worst_run];
    if (run->worst == OQ_NO_ELEMENT) {
        oq_json_null(json, "worst");
        return;
    }
    oq_json_open_object(json, "worst");
    oq_json_string(json, "inputs", check->labels[output->worst_run]);
    write_place(json, run);
    write_value(json, "reference", run, 0);
    write_value(json, "candidate", run, 1);
    oq_json_close(json);
}

static void write_run(struct oq_json *json, const struct oq_check *check,
                      const struct oq_check_output *output, size_t i)
{
    const struct oq_check_run *run = &output->runs[i];
    oq_json_open_object(json, NULL);
    oq_json_string(json, "inputs", check->labels[i]);
    oq_json_string(json, "problem", run->problem);
    oq_json_string(json, "dtype", run->candidate.type);
    oq_json_ints(json, "dims", run->candidate.dims, run->candidate.n_dims);
    oq_json_string(json, "reference_dtype", run->reference.type);
    oq_json_ints(json, "reference_dims", run->reference.dims, run->reference.n_dims);
    write_measures(json, output->value_class, &run->difference, run->problem == NULL);
    oq_json_close(json);
}

static bool has_failed(const struct oq_check *check, const struct oq_check_output *output)
{
    for (size_t i = 0; i < check->n_failures; i++) {
        if (check->failures[i].output == output)
            return true;
    }
    return false;
}

static void write_output(struct oq_json *json, const struct oq_check *check,
                         const struct oq_check_output *output)
{
    oq_json_open_object(json, NULL);
    oq_json_string(json, "name", output->name);
    oq_json_string(json, "dtype", output->runs[0].reference.type);
    oq_json_bool(json, "passed", !has_failed(check, output));
    oq_json_string(json, "problem", output->problem);
    write_measures(json, output->value_class, &output->total, output->problem == NULL);
    write_counts(json, output);
    oq_json_bool(json, "masked", output->is_masked);
    oq_json_bool(json, "reshaped", output->is_reshaped);
    write_worst(json, check, output);
    oq_json_open_array(json, "runs");
    for (size_t i = 0; i < check->n_runs; i++)
        write_run(json, check, output, i);
    oq_json_close(json);
    oq_json_close(json);
}

static void write_failure(struct oq_json *json, const struct oq_check *check,
                          const struct oq_check_failure *failure)
{
    static const char *const causes[] = {[OQ_CAUSE_PROBLEM] = "type_or_shape",
                                         [OQ_CAUSE_NOTHING] = "nothing_to_compare",
                                         [OQ_CAUSE_ONE_SIDED] = "one_sided"};
    bool is_measure = failure->cause == OQ_CAUSE_MEASURE;
    oq_json_open_object(json, NULL);
    oq_json_string(json, "output", failure->output->name);
    oq_json_string(json, "cause",
                   is_measure ? oq_measures[failure->measure].key : causes[failure->cause]);
    oq_json_number(json, "found", is_measure ? failure->found : (double)NAN);
    oq_json_number(json, "allowed", is_measure ? failure->allowed : (double)NAN);
    oq_json_string(json, "inputs", check->labels[failure->run]);
    oq_json_close(json);
}

static void write_tolerances(struct oq_json *json, const struct oq_check *check)
{
    oq_json_open_object(json, "tolerances");
    for (size_t m = 0; m < OQ_N_MEASURES; m++)
        oq_json_number(json, oq_measures[m].key, check->tolerances[m]);
    oq_json_close(json);
    if ((check->default_tolerances >> OQ_MEASURE_RELATIVE & 1) != 0)
        oq_json_string(json, "default_for", check->default_relative.basis);
    else
        oq_json_null(json, "default_for");
}

static void write_shapes(struct oq_json *json, const struct oq_check *check)
{
    oq_json_open_array(json, "arrays");
    for (size_t i = 0; i < check->n_inputs; i++) {
        oq_json_open_object(json, NULL);
        oq_json_string(json, "name", check->inputs[i].name);
        oq_json_string(json, "dtype", check->inputs[i].shape.type);
        oq_json_ints(json, "dims", check->inputs[i].shape.dims, check->inputs[i].shape.n_dims);
        oq_json_close(json);
    }
    oq_json_close(json);
}

static void write_inputs(struct oq_json *json, const struct oq_check *check)
{
    oq_json_open_object(json, "inputs");
    oq_json_bool(json, "random", check->inputs_are_random);
    if (check->inputs_are_random)
        oq_json_uint(json, "seed", check->seed);
    else
        oq_json_null(json, "seed");
    oq_json_open_array(json, "runs");
    for (size_t i = 0; i < check->n_runs; i++)
        oq_json_string(json, NULL, check->labels[i]);
    oq_json_close(json);
    write_shapes(json, check);
    oq_json_uint(json, "tries", check->n_tries);
    oq_json_close(json);
}

static void write_lists(struct oq_json *json, const struct oq_check *check)
{
    oq_json_open_array(json, "failures");
    for (size_t i = 0; i < check->n_failures; i++)
        write_failure(json, check, &check->failures[i]);
    oq_json_close(json);
    oq_json_open_array(json, "outputs");
    for (size_t i = 0; i < check->n_outputs; i++)
        write_output(json, check, &check->outputs[i]);
    oq_json_close(json);
    oq_json_open_array(json, "extra_outputs");
    for (size_t i = 0; i < check->n_extra_outputs; i++)
        oq_json_string(json, NULL, check->extra_outputs[i]);
    oq_json_close(json);
}

static void write_needs(struct oq_json *json, const struct oq_engine_needs *needs)
{
    oq_json_open_array(json, "requirements");
    for (size_t i = 0; i < needs->count; i++) {
        oq_json_open_object(json, NULL);
        oq_json_string(json, "ort", oq_engine_text(needs->list[i].minor).text);
        oq_json_string(json, "what", needs->list[i].what);
        oq_json_close(json);
    }
    oq_json_close(json);
}

void oq_check_print_json(const struct oq_check *check, FILE *stream)
{
    struct oq_json json;
    oq_json_open_report(&json, stream);
    oq_json_string(&json, "engine", check->engine_version);
    oq_json_string(&json, "reference", check->reference);
    oq_json_string(&json, "candidate", check->candidate);
    write_needs(&json, &check->candidate_needs);
    oq_json_string(&json, "expected", check->expected);
    oq_json_string(&json, "mask", check->mask);
    oq_json_bool(&json, "passed", check->passed);
    write_measures(&json, check->total_class, &check->total, check->is_total_known);
    write_tolerances(&json, check);
    write_inputs(&json, check);
    write_lists(&json, check);
    if (check->layers != NULL)
        oq_layers_write_json(check->layers, &json);
    else
        oq_json_null(&json, "layers");
    oq_json_close(&json);
    oq_json_finish(&json);
}
