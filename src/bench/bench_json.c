/* The report of a benchmark as JSON. */
#include "bench/report.h"

#include "base/json.h"
#include "base/option_values.h"
#include "bench/advice.h"

/* --- how it was measured -------------------------------------------------------- */

static void write_settings(struct oq_json *json, const struct oq_bench_report *report)
{
    static const char *const opt_levels[] = {OQ_OPT_LEVEL_VALUES(OQ_VALUE_NAME)};
    const struct oq_bench_options *options = report->options;
    oq_json_open_object(json, "settings");
    oq_json_uint(json, "threads", options->session.threads);
    oq_json_string(json, "opt_level", opt_levels[options->session.opt_level]);
    oq_json_strings(json, "ep", options->session.providers, options->session.n_providers);
    oq_json_uint(json, "warmup", options->warmup);
    oq_json_uint(json, "runs", options->runs);
    oq_json_number(json, "time", options->seconds);
    oq_json_uint(json, "seed", options->feed.draw.seed);
    oq_json_close(json);
}

static void write_array(struct oq_json *json, const struct oq_array *array)
{
    const struct oq_dtype *dtype = oq_dtype_find(array->data_type);
    oq_json_open_object(json, NULL);
    oq_json_string(json, "name", array->name);
    oq_json_string(json, "dtype", dtype != NULL ? dtype->name : NULL);
    oq_json_ints(json, "dims", array->dims, array->n_dims);
    oq_json_close(json);
}

static void write_inputs(struct oq_json *json, const struct oq_input_sets *sets)
{
    oq_json_open_array(json, "inputs");
    for (size_t i = 0; i < sets->count; i++) {
        oq_json_open_object(json, NULL);
        oq_json_string(json, "label", sets->list[i].label);
        oq_json_open_array(json, "arrays");
        for (size_t k = 0; k < sets->list[i].inputs.count; k++)
            write_array(json, &sets->list[i].inputs.list[k]);
        oq_json_close(json);
        oq_json_close(json);
    }
    oq_json_close(json);
}

/* --- models --------------------------------------------------------------------- */

static void write_latency(struct oq_json *json, const struct oq_bench_model *model)
{
    oq_json_open_object(json, "latency_ms");
    oq_json_number(json, "min", model->latency.min);
    oq_json_number(json, "p50", model->latency.p50);
    oq_json_number(json, "p95", model->latency.p95);
    oq_json_number(json, "max", model->latency.max);
    oq_json_number(json, "mean", model->latency.mean);
    oq_json_uint(json, "runs", model->times.count);
    oq_json_numbers(json, "turns", model->medians.values, model->medians.count);
    oq_json_close(json);
}

static void write_memory(struct oq_json *json, const struct oq_bench_model *model)
{
    if (model->memory.peak == 0) {
        oq_json_null(json, "memory");
        return;
    }
    oq_json_open_object(json, "memory");
    oq_json_uint(json, "peak_nbytes", model->memory.peak);
    oq_json_uint(json, "anonymous_nbytes", model->memory.anonymous);
    oq_json_uint(json, "file_nbytes", model->memory.file);
    oq_json_uint(json, "nbytes_before", model->memory_before.anonymous + model->memory_before.file);
    oq_json_close(json);
}

static void write_speedup(struct oq_json *json, const struct oq_bench_model *model)
{
    static const char *const verdicts[] = {
        [OQ_SAME_SPEED] = "same", [OQ_FASTER] = "faster", [OQ_SLOWER] = "slower"};
    oq_json_open_object(json, "speedup");
    oq_json_number(json, "median", model->speedup.median);
    oq_json_number(json, "low", model->speedup.low);
    oq_json_number(json, "high", model->speedup.high);
    oq_json_string(json, "verdict", verdicts[model->verdict]);
    oq_json_close(json);
}

static void write_operators(struct oq_json *json, const struct oq_profile *profile)
{
    oq_json_open_array(json, "operators");
    for (size_t i = 0; i < profile->n_ops; i++) {
        const struct oq_profile_op *op = &profile->ops[i];
        oq_json_open_object(json, NULL);
        oq_json_string(json, "op_type", op->op_type);
        oq_json_uint(json, "nodes", op->n_nodes);
        oq_json_number(json, "ms", op->ms);
        oq_json_string(json, "slowest", op->slowest);
        oq_json_number(json, "slowest_ms", op->slowest_ms);
        oq_json_close(json);
    }
    oq_json_close(json);
}

static void write_blames(struct oq_json *json, const struct oq_bench_model *model,
                         const struct oq_bench_model *first)
{
    struct oq_blame blames[OQ_BLAMES_MAX];
    size_t n = oq_find_blames(&model->profile, &first->profile, blames);
    oq_json_open_array(json, "slower_operators");
    for (size_t i = 0; i < n; i++) {
        oq_json_open_object(json, NULL);
        oq_json_string(json, "op_type", blames[i].op_type);
        oq_json_string(json, "first_op_type", blames[i].first_op_type);
        oq_json_uint(json, "nodes", blames[i].n_nodes);
        oq_json_number(json, "ms", blames[i].ms);
        oq_json_number(json, "first_ms", blames[i].first_ms);
        oq_json_string(json, "slowest", blames[i].slowest);
        oq_json_string(json, "advice", blames[i].advice.text);
        oq_json_close(json);
    }
    oq_json_close(json);
}

static void write_model(struct oq_json *json, const struct oq_bench *bench, size_t i)
{
    const struct oq_bench_model *first = &bench->models[0], *model = &bench->models[i];
    oq_json_open_object(json, NULL);
    oq_json_string(json, "model", model->name);
    oq_json_uint(json, "nbytes", model->contestant.file_nbytes);
    oq_json_uint(json, "external_nbytes", model->contestant.side_nbytes);
    oq_json_number(json, "load_ms", model->load_ms);
    write_memory(json, model);
    write_latency(json, model);
    oq_json_number(json, "runs_per_second", 1e3 / model->latency.p50);
    if (i > 0)
        write_speedup(json, model);
    else
        oq_json_null(json, "speedup");
    if (model->has_profile)
        write_operators(json, &model->profile);
    else
        oq_json_null(json, "operators");
    if (i > 0 && model->verdict == OQ_SLOWER && model->has_profile)
        write_blames(json, model, first);
    else
        oq_json_null(json, "slower_operators");
    oq_json_close(json);
}

void oq_bench_write_json(const struct oq_bench_report *report, FILE *stream)
{
    const struct oq_bench *bench = report->bench;
    struct oq_json json;
    oq_json_open_report(&json, stream);
    oq_json_open_object(&json, "engine");
    oq_json_string(&json, "version", bench->engine_version);
    oq_json_string(&json, "library", bench->engine_path);
    oq_json_close(&json);
    write_settings(&json, report);
    write_inputs(&json, &bench->sets);
    oq_json_uint(&json, "tries", bench->n_tries);
    oq_json_uint(&json, "turns", bench->n_turns);
    oq_json_uint(&json, "sessions", bench->n_sessions);
    oq_json_open_array(&json, "models");
    for (size_t i = 0; i < bench->n_models; i++)
        write_model(&json, bench, i);
    oq_json_close(&json);
    oq_json_number(&json, "min_speedup", report->min_speedup);
    oq_json_bool(&json, "passed", oq_bench_passes(report));
    oq_json_close(&json);
    oq_json_finish(&json);
}
