/* `onnxq calibrate`: options, files of ranges, and what is said of what was seen. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/path.h"
#include "calibrate/calibrate.h"
#include "cli/command.h"
#include "cli/commands/run_options.h"
#include "cli/files/named_output.h"
#include "cli/files/file_paths.h"
#include "cli/files/report_file.h"
#include "cli/files/run_files.h"
#include "cli/terminal/interrupt.h"
#include "cli/terminal/messages.h"
#include "cli/terminal/progress.h"
#include "cli/terminal/terminal.h"

/* Random inputs show that a model runs, whatever their number. */
#define DEFAULT_RUNS 8

/* Names that are listed in one line. */
#define MAX_LISTED 5

typedef struct calibrate_settings {
    cli_common common; /* these two first */
    cli_run run;
    const char *output;
    bool force, no_clobber, append;
    cli_list merge;
} calibrate_settings;

CLI_IS_RUN(calibrate_settings);

#define OPTION(kind, letter, name, member, ...)                                                    \
    CLI_OPTION(kind, letter, name, offsetof(calibrate_settings, member), __VA_ARGS__)

static const cli_option calibrate_options[] = {
    {.kind = CLI_HEADING, .help = "Files"},
    OPTION(TEXT, 'o', "output", output, .value = "FILE", .source = CLI_FILES,
           .help = "same as OUT"),
    OPTION(FLAG, 'f', "force", force, .help = "replace an existing output that you did not name"),
    OPTION(FLAG, 'n', "no-clobber", no_clobber, .help = "never replace a file"),
    OPTION(FLAG, 'a', "append", append, .help = "add to the ranges that the output already holds"),
    OPTION(APPEND, 0, "merge", merge, .value = "FILE", .source = CLI_FILES,
           .help = "add the ranges in FILE; without --inputs nothing is run; repeatable"),
    {0}};

/* One run of the command. */
struct calibrating {
    const calibrate_settings *settings;
    const char *model_path;
    cli_named_output output; /* its path to be freed */
    onnxq_model *model;
    struct oq_calibration result;
    cli_progress progress;
    double began;
};

/* --- what was asked for --------------------------------------------------------------- */

static bool runs_model(const calibrate_settings *settings)
{
    return settings->run.inputs.count > 0 || settings->merge.count == 0;
}

static int check_settings(const calibrate_settings *settings, int n_operands, char **operands)
{
    const cli_common *common = &settings->common;
    int status = cli_run_check_operands(common, "see 'onnxq help calibrate'", settings->output,
                                        n_operands, operands);
    if (status != CLI_EXIT_OK)
        return status;
    if (settings->force && settings->no_clobber)
        return cli_usage(common, NULL, "-f and -n cannot be combined");
    if (settings->append && settings->no_clobber)
        return cli_usage(common, NULL, "--append and -n cannot be combined");
    return runs_model(settings)
               ? CLI_EXIT_OK
               : cli_run_check_unused(common, &settings->run,
                                      "with --merge and no --inputs nothing is run");
}

static int choose_output(struct calibrating *run, const char *named)
{
    const calibrate_settings *settings = run->settings;
    const cli_common *common = &settings->common;
    int status = cli_output_choose(common, run->model_path, named, ".ranges", "json", &run->output);
    if (status != CLI_EXIT_OK)
        return status;
    if (settings->append && oq_is_standard_output(run->output.path))
        return cli_usage(common, NULL, "--append: standard output holds nothing");
    cli_run_files files = cli_run_files_begin(common);
    cli_run_reads(&files, run->model_path);
    cli_run_reads_all(&files, settings->merge.items, settings->merge.count); /* which OUT may be */
    cli_run_writes(&files, CLI_RANGES, CLI_OUT, run->output.path);
    cli_run_reads_all(&files, settings->run.inputs.items, settings->run.inputs.count);
    cli_run_files_try(&files);
    return files.status;
}

/* The exit code where a file of that name is there and stays. */
static int check_kept(const struct calibrating *run)
{
    const calibrate_settings *settings = run->settings;
    bool keeps =
        settings->no_clobber || (run->output.is_derived && !settings->force && !settings->append);
    if (!keeps)
        return CLI_EXIT_OK;
    return cli_output_check_free(
        &settings->common, run->output.path,
        settings->no_clobber ? "without -n it is replaced"
                             : "-f replaces it, --append adds to it, -o FILE names another");
}

/* --- ranges ------------------------------------------------------------------------------ */

static bool show_progress(void *data, uint64_t n_done, uint64_t n_steps)
{
    struct calibrating *run = data;
    cli_progress_count(&run->progress, oq_base_name(run->model_path), n_done, n_steps);
    return cli_interrupt_signal() == 0;
}

static bool run_model(struct calibrating *run, const struct oq_calibrate_options *options,
                      onnxq_error *error)
{
    struct oq_calibrate_options calibrate = *options;
    calibrate.model = run->model;
    calibrate.engine = oq_engine_open(run->settings->run.ort_lib, error);
    if (calibrate.engine == NULL)
        return false;
    calibrate.progress = show_progress;
    calibrate.progress_data = run;
    cli_progress_init(&run->progress, &run->settings->common);
    cli_progress_start(&run->progress);
    bool ok = oq_calibrate(&run->result, &calibrate, error);
    cli_progress_erase(&run->progress);
    oq_engine_close(calibrate.engine);
    return ok;
}

static bool merge_file(struct calibrating *run, const char *path, onnxq_error *error)
{
    onnxq_ranges *other = onnxq_ranges_open(path, error);
    bool ok = other != NULL && onnxq_ranges_merge(run->result.ranges, other, error) == ONNXQ_OK;
    onnxq_ranges_close(other);
    return ok;
}

/* The ranges of all: those of the run first, whose values are in the order of the model. */
static bool collect(struct calibrating *run, const struct oq_calibrate_options *options,
                    onnxq_error *error)
{
    const calibrate_settings *settings = run->settings;
    bool ok;
    if (runs_model(settings)) {
        ok = run_model(run, options, error);
    } else {
        run->result.ranges = oq_ranges_create(run->model, error);
        ok = run->result.ranges != NULL;
    }
    if (ok && settings->append && cli_path_exists(run->output.path))
        ok = merge_file(run, run->output.path, error);
    for (size_t i = 0; ok && i < settings->merge.count; i++)
        ok = merge_file(run, settings->merge.items[i], error);
    return ok;
}

/* --- results ------------------------------------------------------------------------------ */

typedef bool (*is_of_kind)(const struct oq_range_stats *stats);

static bool has_no_range(const struct oq_range_stats *stats)
{
    return oq_range_is_missing(stats);
}

static bool is_not_finite(const struct oq_range_stats *stats)
{
    return stats->n_nan > 0 || stats->n_infinite > 0;
}

static const struct kind {
    const char *key, *text;
    is_of_kind is;
} kinds[] = {
    {"without_range", "without a range", has_no_range},
    {"not_finite", "with NaN or infinities, which do not count", is_not_finite},
    {"constant", "always the same", oq_range_is_constant},
};

static void print_kind(FILE *stream, const onnxq_ranges *ranges, const struct kind *kind)
{
    size_t n = 0;
    for (size_t i = 0; i < ranges->n_values; i++)
        n += kind->is(ranges->values[i]);
    if (n == 0)
        return;
    fprintf(stream, "  %zu %s:", n, kind->text);
    for (size_t i = 0, listed = 0; i < ranges->n_values && listed < MAX_LISTED; i++) {
        if (!kind->is(ranges->values[i]))
            continue;
        fputs(listed++ > 0 ? ", " : " ", stream);
        cli_print_escaped(stream, ranges->values[i]->name);
    }
    fputs(n > MAX_LISTED ? ", ...\n" : "\n", stream);
}

static void print_value(FILE *stream, const struct oq_range_stats *stats)
{
    fputs("  ", stream);
    cli_print_escaped(stream, stats->name);
    if (oq_range_is_missing(stats))
        fputs("  no range\n", stream);
    else
        fprintf(stream, "  %.6g to %.6g, mean %.4g, %.1f %% zeros\n", (double)stats->min,
                (double)stats->max, stats->mean,
                100 * (double)stats->n_zeros / (double)stats->count);
}

static void print_text(const struct calibrating *run, FILE *stream)
{
    const cli_common *common = &run->settings->common;
    const struct oq_calibration *result = &run->result;
    const onnxq_ranges *ranges = result->ranges;
    if (common->quiet > 0)
        return;
    if (result->is_stopped)
        fprintf(stream, "  stopped: what was seen until then\n");
    fprintf(stream, "  %zu value%s over %" PRIu64 " set%s of inputs", ranges->n_values,
            ranges->n_values == 1 ? "" : "s", ranges->n_runs, ranges->n_runs == 1 ? "" : "s");
    if (ranges->n_drawn_runs > 0)
        fprintf(stream, ", %" PRIu64 " of them random", ranges->n_drawn_runs);
    if (result->sizes != NULL) {
        fputs(", sizes ", stream);
        cli_print_escaped(stream, result->sizes);
    }
    fputs("\n", stream);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        print_kind(stream, ranges, &kinds[i]);
    for (size_t i = 0; i < ranges->n_values && common->verbose > 0; i++)
        print_value(stream, ranges->values[i]);
}

static void print_json(const struct calibrating *run, FILE *stream)
{
    const onnxq_ranges *ranges = run->result.ranges;
    struct oq_json json;
    oq_json_open_report(&json, stream);
    oq_json_string(&json, "model", run->model_path);
    oq_json_string(&json, "output", run->output.path);
    oq_json_bool(&json, "stopped", run->result.is_stopped);
    oq_json_uint(&json, "runs", ranges->n_runs);
    oq_json_uint(&json, "drawn_runs", ranges->n_drawn_runs);
    oq_json_uint(&json, "groups", run->result.n_groups);
    oq_json_uint(&json, "values", ranges->n_values);
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        oq_json_open_array(&json, kinds[k].key);
        for (size_t i = 0; i < ranges->n_values; i++)
            if (kinds[k].is(ranges->values[i]))
                oq_json_string(&json, NULL, ranges->values[i]->name);
        oq_json_close(&json);
    }
    oq_json_close(&json);
    oq_json_finish(&json);
}

/* --- files -------------------------------------------------------------------------------- */

static int write_ranges(const struct calibrating *run)
{
    const cli_common *common = &run->settings->common;
    cli_report_file file;
    int status = check_kept(run);
    if (status != CLI_EXIT_OK)
        return status;
    status = cli_report_file_open(&file, common, run->output.path);
    if (status == CLI_EXIT_OK) {
        oq_ranges_write(run->result.ranges, file.stream); /* which knows of a failure */
        status = cli_report_file_publish(&file, common);
    }
    cli_report_file_close(&file);
    return status;
}

static void tell(const struct calibrating *run)
{
    const cli_common *common = &run->settings->common;
    bool is_stream = oq_is_standard_output(run->output.path);
    FILE *text = is_stream ? stderr : cli_text();
    if (common->json != NULL && oq_is_standard_output(common->json))
        return;
    print_text(run, text);
    if (common->quiet > 1)
        return;
    fputs("Wrote ", text);
    cli_print_escaped(text, is_stream ? "standard output" : run->output.path);
    fprintf(text, " in %.2f s\n", oq_now_seconds() - run->began);
}

/* The report is opened first: where that fails there are no ranges without one. */
static int write_results(const struct calibrating *run)
{
    const cli_common *common = &run->settings->common;
    cli_report_file report = {.output = OQ_OUTPUT_CLOSED};
    int status = CLI_EXIT_OK;
    if (common->json != NULL)
        status = cli_report_file_open(&report, common, common->json);
    if (status == CLI_EXIT_OK)
        status = write_ranges(run);
    if (status == CLI_EXIT_OK)
        tell(run);
    if (status == CLI_EXIT_OK && common->json != NULL) {
        print_json(run, report.stream);
        status = cli_report_file_publish(&report, common);
    }
    cli_report_file_close(&report);
    return status;
}

/* --- the command --------------------------------------------------------------------------- */

static int calibrate(struct calibrating *run, const struct oq_calibrate_options *options)
{
    const cli_common *common = &run->settings->common;
    onnxq_error error = {.offset = ONNXQ_NO_OFFSET};
    int status = check_kept(run);
    if (status != CLI_EXIT_OK)
        return status;
    run->model = onnxq_model_open(run->model_path, &error);
    bool ok = run->model != NULL && collect(run, options, &error);
    if (!ok && cli_interrupt_signal() != 0)
        return 128 + cli_interrupt_signal();
    if (!ok)
        return cli_library_error(common, &error);
    if (run->result.ranges->n_drawn_runs > 0)
        cli_run_warn_of_drawn(common, &run->settings->run,
                              "what real ones give may lie far from these ranges");
    status = write_results(run);
    return status == CLI_EXIT_OK && run->result.is_stopped ? 128 + cli_interrupt_signal() : status;
}

static int run_command(void *data, int n_operands, char **operands)
{
    calibrate_settings *settings = data;
    struct oq_calibrate_options options = {0};
    struct calibrating run = {.settings = settings, .began = oq_now_seconds()};
    int status = check_settings(settings, n_operands, operands);
    if (status != CLI_EXIT_OK)
        return status;
    run.model_path = operands[0];
    status = choose_output(&run, n_operands == 2 ? operands[1] : settings->output);
    if (status == CLI_EXIT_OK)
        status = cli_run_fill(&settings->common, &settings->run, &options.feed);
    if (status == CLI_EXIT_OK) {
        cli_run_fill_session(&settings->common, &settings->run, &options.session);
        status = calibrate(&run, &options);
    }
    onnxq_ranges_close(run.result.ranges);
    onnxq_model_close(run.model);
    free(run.output.path);
    return status;
}

static void set_defaults(void *data)
{
    calibrate_settings *settings = data;
    cli_run_defaults(&settings->run);
    cli_run_default_inputs(&settings->run, DEFAULT_RUNS);
    /* Layouts for speed are undone for every value that is looked at. */
    settings->run.opt_level = OQ_OPT_BASIC;
}

static void release(void *data)
{
    calibrate_settings *settings = data;
    cli_run_release(&settings->run);
    cli_list_free(&settings->merge);
}

const cli_command cli_calibrate = {
    .name = "calibrate",
    .summary = "Runs a float model over inputs and writes the ranges of its inner values.",
    .usage = "calibrate [OPTION]... -i INPUTS MODEL [OUT]\n"
             "calibrate [OPTION]... --merge FILE... MODEL [OUT]",
    .notes =
        "Without OUT the output is MODEL ending in .ranges.json, and one that exists is kept. An\n"
        "OUT that you name is replaced; a folder takes the file in. '-' is standard output. "
        "Ranges\n"
        "add up: with --merge, or --append for OUT itself, they are as if one run had seen all\n"
        "inputs.\n"
        "Use inputs like those that the model will see; without --inputs they are random, which\n"
        "shows that everything works and little else. Ctrl-C writes what was seen so far.\n"
        "docs/ranges.md describes the file.\n"
        "Exit codes: 0 written, 2 usage, 3 the model, an input or a file of ranges cannot be\n"
        "used, 4 the output cannot be written, 5 the model computes no float32 values, 6 ONNX\n"
        "Runtime was not found, 130 Ctrl-C.",
    .options = {{calibrate_options, cli_run_options, cli_common_options}},
    .operands = CLI_FILE_OPERANDS,
    .settings_nbytes = sizeof(calibrate_settings),
    .defaults = set_defaults,
    .run = run_command,
    .release = release};
