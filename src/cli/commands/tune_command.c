/* `onnxq tune`: options, the search, and what is written of its result. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/os.h"
#include "cli/command.h"
#include "cli/commands/run_options.h"
#include "cli/files/named_output.h"
#include "cli/files/page_files.h"
#include "cli/files/run_files.h"
#include "cli/terminal/interrupt.h"
#include "cli/terminal/messages.h"
#include "cli/terminal/terminal.h"
#include "cli/terminal/progress.h"
#include "tune/tune_report.h"

/* Random inputs serve to tell sites apart; a quarter of the sets judges. */
#define DEFAULT_RUNS      16
#define DEFAULT_HELD_BACK 0.25
#define DEFAULT_SECONDS   60
#define DEFAULT_COSINE    0.999
#define MAX_SECONDS       86400

typedef struct tune_settings {
    cli_common common; /* these two first */
    cli_run run;
    cli_list budget;
    double seconds, held_back, min_speedup;
    uint64_t max_size, choose;
    const char *metric_command, *mask, *output, *save_plan, *plot, *resume;
    int objective; /* of `objectives` */
    bool force, timing;
} tune_settings;

CLI_IS_RUN(tune_settings);

static const cli_choice objectives[] = {{"speed", 0, false}, {"size", 1, false}, {0}};

#define OPTION(kind, letter, name, member, ...)                                                    \
    CLI_OPTION(kind, letter, name, offsetof(tune_settings, member), __VA_ARGS__)

static const cli_option tune_options[] = {
    {.kind = CLI_HEADING, .help = "Goal"},
    OPTION(LIST, 0, "budget", budget, .value = "MEASURE>=X",
           .help =
               "cosine>= sqnr>= argmax>= agreement>= rel<= abs<= mean<= (default: cosine>=0.999)"),
    OPTION(TEXT, 0, "metric-command", metric_command, .value = "CMD",
           .help = "run with the path of each model: the last word that it prints is the "
                   "metric of --budget 'metric>=X'"),
    OPTION(CHOICE, 0, "objective", objective, .choices = objectives,
           .help = "find the fastest model, or the smallest file"),
    OPTION(REAL, 0, "min-speedup", min_speedup, .value = "X",
           .help = "exit 1 unless the result is X times as fast as MODEL"),
    OPTION(NUMBER, 0, "max-size", max_size, .value = "N", .maximum = UINT64_MAX,
           .help = "exit 1 unless the file has at most N bytes, as in 20M or 1Gi"),
    {.kind = CLI_HEADING, .help = "The search"},
    OPTION(REAL, 0, "time", seconds, .value = "SECONDS", .help = "about how long it may take"),
    OPTION(REAL, 0, "held-back", held_back, .value = "PART",
           .help = "part of the inputs kept out of the search, to judge its result"),
    OPTION(TEXT, 0, "mask", mask, .value = "INPUT",
           .help = "ignore outputs where this input is 0, as for padding"),
    OPTION(TEXT, 0, "resume", resume, .value = "FILE", .source = CLI_FILES,
           .help = "go on from what an earlier search measured, and add to it"),
    OPTION(FLAG, 0, "timing", timing, .negated = "false",
           .help = "measure times; off: count bytes instead, which gives the same plan "
                   "each time"),
    {.kind = CLI_HEADING, .help = "Results"},
    OPTION(TEXT, 'o', "output", output, .value = "FILE", .source = CLI_FILES,
           .help = "same as OUT"),
    OPTION(FLAG, 'f', "force", force,
           .help = "replace an existing output that you did not name, or a float model"),
    OPTION(NUMBER, 0, "choose", choose, .value = "N", .maximum = 1000,
           .help = "write model N of the table, whatever the budget says"),
    OPTION(TEXT, 0, "save-plan", save_plan, .value = "FILE", .source = CLI_FILES,
           .help = "save the choices, for quantize --plan"),
    OPTION(TEXT, 0, "plot", plot, .value = "FILE", .source = CLI_FILES,
           .help = "draw error and speed of all models (SVG)"),
    {0}};

/* One run of the command. */
struct tuning_run {
    const tune_settings *settings;
    const char *model_path;
    cli_named_output output; /* its path to be freed */
    onnxq_model *model;
    struct oq_tune tune;
    struct oq_tune_options options;
    char *engine_version; /* to be freed */
    cli_progress progress;
    cli_report_file json, plan, plot;
    cli_pages pages;
};

/* --- what was asked for --------------------------------------------------------------- */

static const struct {
    const char *name;
    enum oq_measure measure;
} measures[] = {
    {"cosine", OQ_MEASURE_COSINE},       {"sqnr", OQ_MEASURE_SQNR},   {"argmax", OQ_MEASURE_ARGMAX},
    {"rel", OQ_MEASURE_RELATIVE},        {"abs", OQ_MEASURE_MAX_ABS}, {"mean", OQ_MEASURE_MEAN_ABS},
    {"agreement", OQ_MEASURE_AGREEMENT},
};

/* The number behind ">=" or "<=". */
static bool read_value(const char *text, double *value)
{
    char *end;
    *value = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*value);
}

/* "cosine>=0.999" */
static bool read_limit(const char *text, struct oq_tune_options *options)
{
    static const char metric[] = "metric";
    if (strncmp(text, metric, strlen(metric)) == 0) {
        const char *sign = text + strlen(metric);
        options->metric_is_minimum = strncmp(sign, ">=", 2) == 0;
        return (options->metric_is_minimum || strncmp(sign, "<=", 2) == 0) &&
               read_value(sign + 2, &options->metric_limit);
    }
    for (size_t i = 0; i < sizeof(measures) / sizeof(measures[0]); i++) {
        size_t n = strlen(measures[i].name);
        const char *sign = oq_measures[measures[i].measure].is_minimum ? ">=" : "<=";
        if (strncmp(text, measures[i].name, n) != 0 || strncmp(text + n, sign, 2) != 0)
            continue;
        double *limit = &options->budget[measures[i].measure];
        return read_value(text + n + 2, limit) &&
               (!oq_measures[measures[i].measure].is_share || *limit <= 1);
    }
    return false;
}

static int read_budget(const tune_settings *settings, struct oq_tune_options *options)
{
    const cli_common *common = &settings->common;
    for (int m = 0; m < OQ_N_MEASURES; m++)
        options->budget[m] = (double)NAN;
    options->metric_limit = (double)NAN;
    if (settings->budget.count == 0)
        options->budget[OQ_MEASURE_COSINE] = DEFAULT_COSINE;
    for (size_t i = 0; i < settings->budget.count; i++)
        if (!read_limit(settings->budget.items[i], options))
            return cli_usage(
                common, "cosine, sqnr, argmax or agreement >=X, rel, abs or mean <=X, or metric",
                "--budget: '%s' is not a limit of a measure", settings->budget.items[i]);
    options->metric_command = settings->metric_command;
    if ((settings->metric_command != NULL) != !isnan(options->metric_limit))
        return cli_usage(common,
                         "as in --metric-command 'python evaluate.py' --budget 'metric>=0.9'",
                         "--metric-command and a budget of the metric go together");
    return CLI_EXIT_OK;
}

static int check_settings(const tune_settings *settings, int n_operands, char **operands)
{
    const cli_common *common = &settings->common;
    int status = cli_run_check_operands(common, "see 'onnxq help tune'", settings->output,
                                        n_operands, operands);
    if (status != CLI_EXIT_OK)
        return status;
    if (!(settings->seconds > 0 && settings->seconds <= MAX_SECONDS))
        return cli_usage(common, NULL, "--time: expected more than 0 seconds, and at most a day");
    if (!(settings->held_back >= 0 && settings->held_back < 1))
        return cli_usage(common, NULL, "--held-back: expected a part from 0 to below 1");
    if (!settings->timing && !isnan(settings->min_speedup))
        return cli_usage(common, NULL, "--min-speedup and --no-timing cannot be combined");
    return CLI_EXIT_OK;
}

static int check_files(const struct tuning_run *run)
{
    const tune_settings *settings = run->settings;
    cli_run_files files = cli_run_files_begin(&settings->common);
    cli_run_writes(&files, CLI_MODEL, CLI_OUT, run->output.path);
    cli_run_writes(&files, CLI_PLAN, "--save-plan", settings->save_plan);
    cli_run_writes(&files, CLI_PICTURE, "--plot", settings->plot);
    cli_run_writes(&files, CLI_MEASUREMENTS, "--resume", settings->resume);
    cli_run_reads(&files, run->model_path);
    cli_run_reads_all(&files, settings->run.inputs.items, settings->run.inputs.count);
    return files.status;
}

static int choose_output(struct tuning_run *run, const char *named)
{
    const tune_settings *settings = run->settings;
    const cli_common *common = &settings->common;
    int status = cli_output_choose(common, run->model_path, named, ".int8", "onnx", &run->output);
    if (status == CLI_EXIT_OK && oq_is_standard_output(run->output.path))
        return cli_usage(common, NULL, "standard output cannot take the model, name a file");
    if (status == CLI_EXIT_OK && run->output.is_derived && !settings->force)
        status = cli_output_check_free(common, run->output.path,
                                       "-f replaces it, -o FILE names another");
    if (status == CLI_EXIT_OK && settings->output == NULL && !settings->force)
        status = cli_output_check_original(common, run->output.path);
    return status == CLI_EXIT_OK ? check_files(run) : status;
}

/* Opened before the search, so that what cannot be written fails early. */
static int open_files(struct tuning_run *run)
{
    const tune_settings *settings = run->settings;
    const cli_common *common = &settings->common;
    int status = cli_output_try(common, run->output.path);
    if (status == CLI_EXIT_OK && common->json != NULL)
        status = cli_report_file_open(&run->json, common, common->json);
    if (status == CLI_EXIT_OK && settings->save_plan != NULL)
        status = cli_report_file_open(&run->plan, common, settings->save_plan);
    if (status == CLI_EXIT_OK && settings->plot != NULL)
        status = cli_report_file_open(&run->plot, common, settings->plot);
    return status == CLI_EXIT_OK ? cli_pages_open(&run->pages, common) : status;
}

/* --- the search ------------------------------------------------------------------------ */

static bool show_progress(void *data, const char *what, uint64_t done, uint64_t total)
{
    struct tuning_run *run = data;
    cli_progress_count(&run->progress, what, done, total);
    return cli_interrupt_signal() == 0;
}

static bool search(struct tuning_run *run, onnxq_error *error)
{
    const tune_settings *settings = run->settings;
    struct oq_tune_options *options = &run->options;
    options->model = run->model;
    options->engine = oq_engine_open(settings->run.ort_lib, error);
    if (options->engine == NULL)
        return false;
    cli_run_fill_session(&settings->common, &settings->run, &options->session);
    options->mask = settings->mask;
    options->resume = settings->resume;
    options->held_back = settings->held_back;
    options->seconds = settings->seconds;
    options->by_size = settings->objective == 1;
    options->is_timed = settings->timing;
    options->folder = oq_os_temporary_folder();
    options->progress = show_progress;
    options->progress_data = run;
    run->engine_version = strdup(oq_engine_version(options->engine));
    cli_progress_init(&run->progress, &settings->common);
    cli_progress_start(&run->progress);
    bool ok = run->engine_version != NULL ? oq_tune_run(&run->tune, options, error)
                                          : oq_fail_memory(error);
    cli_progress_erase(&run->progress);
    oq_engine_close(options->engine);
    options->engine = NULL;
    return ok;
}

/* --- results ----------------------------------------------------------------------------- */

/* NULL: the method of the best model needs none. */
static const onnxq_ranges *ranges_of(const struct tuning_run *run)
{
    const struct oq_tune *tune = &run->tune;
    return tune->points[tune->best].method == ONNXQ_METHOD_STATIC ? tune->ranges : NULL;
}

static bool write_model(struct tuning_run *run, const onnxq_choice *choices, size_t n,
                        onnxq_error *error)
{
    onnxq_options options;
    onnxq_options_init(&options);
    options.method = run->tune.points[run->tune.best].method;
    options.ranges = ranges_of(run);
    options.choices = choices;
    options.n_choices = n;
    options.output.threads = (unsigned)run->settings->common.threads;
    onnxq_plan *plan = onnxq_plan_create(run->model, &options, error);
    bool ok = plan != NULL && onnxq_plan_write(plan, run->output.path, error) == ONNXQ_OK;
    onnxq_plan_destroy(plan);
    return ok;
}

static void write_page(const void *report, struct oq_page *page)
{
    oq_tune_write_page(report, page);
}

static int publish(struct tuning_run *run, const struct oq_tune_report *report,
                   const onnxq_choice *choices, size_t n)
{
    const cli_common *common = &run->settings->common;
    int status = CLI_EXIT_OK;
    if (run->plan.stream != NULL && report->output != NULL) {
        oq_plan_file_write(run->model, ranges_of(run), choices, n, run->plan.stream);
        status = cli_report_file_publish(&run->plan, common);
    }
    if (status == CLI_EXIT_OK && run->json.stream != NULL) {
        oq_tune_write_json(report, run->json.stream);
        status = cli_report_file_publish(&run->json, common);
    }
    if (status == CLI_EXIT_OK && run->plot.stream != NULL) {
        oq_tune_write_svg(report, run->plot.stream);
        status = cli_report_file_publish(&run->plot, common);
    }
    cli_pages_write(&run->pages, "onnxq tune", write_page, report);
    return cli_pages_finish(&run->pages, common, status);
}

/* Whether the answer is no, and why. */
static int judge(const struct tuning_run *run)
{
    const tune_settings *settings = run->settings;
    const struct oq_tune_point *best = &run->tune.points[run->tune.best];
    if (run->tune.best == 0)
        return CLI_EXIT_NO;
    if (!isnan(settings->min_speedup) && !(best->speed >= settings->min_speedup)) {
        cli_error(&settings->common, "%.2fx as fast, --min-speedup asks for %gx", best->speed,
                  settings->min_speedup);
        return CLI_EXIT_NO;
    }
    if (settings->max_size != 0 && best->nbytes > settings->max_size) {
        cli_error(&settings->common, "%llu bytes, --max-size allows %llu",
                  (unsigned long long)best->nbytes, (unsigned long long)settings->max_size);
        return CLI_EXIT_NO;
    }
    return CLI_EXIT_OK;
}

/* Another model of the table, where that is asked for. */
static int choose(struct tuning_run *run)
{
    struct oq_tune *tune = &run->tune;
    uint64_t number = run->settings->choose;
    if (number == 0)
        return CLI_EXIT_OK;
    if (number >= tune->n_points)
        return cli_usage(&run->settings->common, NULL, "--choose %llu: there are models 1 to %zu",
                         (unsigned long long)number, tune->n_points - 1);
    tune->points[tune->best].is_best = false;
    tune->best = (size_t)number;
    tune->points[number].is_best = true;
    return CLI_EXIT_OK;
}

static int finish(struct tuning_run *run, onnxq_error *error)
{
    const cli_common *common = &run->settings->common;
    const struct oq_tune_point *best = &run->tune.points[run->tune.best];
    struct oq_tune_report report = {.tune = &run->tune,
                                    .options = &run->options,
                                    .model = run->model_path,
                                    .engine_version = run->engine_version};
    size_t n = 0;
    onnxq_choice *choices = oq_tune_choices(&run->tune, best, &n);
    if (choices == NULL)
        return cli_memory_error(common);
    if (run->tune.best != 0) {
        if (!write_model(run, choices, n, error))
            return cli_library_error(common, error);
        report.output = run->output.path;
    }
    if (!cli_reports_take_stdout(common) && common->quiet < 2)
        oq_tune_print(&report, common->verbose - common->quiet, cli_text());
    int status = publish(run, &report, choices, n);
    return status != CLI_EXIT_OK  ? status
           : run->tune.is_stopped ? 128 + cli_interrupt_signal()
                                  : judge(run);
}

static int tune(struct tuning_run *run)
{
    const cli_common *common = &run->settings->common;
    onnxq_error error = {.offset = ONNXQ_NO_OFFSET};
    int status = open_files(run);
    if (status != CLI_EXIT_OK)
        return status;
    run->model = onnxq_model_open(run->model_path, &error);
    if (run->model != NULL)
        cli_run_warn_of_drawn(common, &run->settings->run, "the error on real ones may differ");
    bool ok = run->model != NULL && search(run, &error);
    if (!ok && cli_interrupt_signal() != 0)
        return 128 + cli_interrupt_signal();
    if (!ok)
        return cli_library_error(common, &error);
    status = choose(run);
    return status == CLI_EXIT_OK ? finish(run, &error) : status;
}

static int run_command(void *data, int n_operands, char **operands)
{
    tune_settings *settings = data;
    struct tuning_run run = {.settings = settings};
    int status = check_settings(settings, n_operands, operands);
    if (status == CLI_EXIT_OK)
        status = read_budget(settings, &run.options);
    if (status != CLI_EXIT_OK)
        return status;
    run.model_path = operands[0];
    status = choose_output(&run, n_operands == 2 ? operands[1] : settings->output);
    if (status == CLI_EXIT_OK)
        status = cli_run_fill(&settings->common, &settings->run, &run.options.feed);
    if (status == CLI_EXIT_OK)
        status = tune(&run);
    cli_report_file_close(&run.json);
    cli_report_file_close(&run.plan);
    cli_report_file_close(&run.plot);
    cli_pages_close(&run.pages);
    oq_tune_fini(&run.tune);
    onnxq_model_close(run.model);
    free(run.engine_version);
    free(run.output.path);
    return status;
}

static void set_defaults(void *data)
{
    tune_settings *settings = data;
    cli_run_defaults(&settings->run);
    cli_run_default_inputs(&settings->run, DEFAULT_RUNS);
    settings->seconds = DEFAULT_SECONDS;
    settings->held_back = DEFAULT_HELD_BACK;
    settings->min_speedup = (double)NAN;
    settings->timing = true;
}

static void release(void *data)
{
    tune_settings *settings = data;
    cli_run_release(&settings->run);
    cli_list_free(&settings->budget);
}

const cli_command cli_tune = {
    .name = "tune",
    .summary = "Finds the fastest form of every weight within an error budget, by measuring.",
    .usage = "tune [OPTION]... MODEL [OUT]",
    .notes =
        "Every weight stays float, is folded, is computed in integers or is stored in blocks of 8\n"
        "or 4 bits. tune measures what each form costs in error and time, and finds the fastest\n"
        "model within the budget, also on inputs that the search has not seen. Without OUT the\n"
        "output is MODEL ending in .int8.onnx; a folder takes the file in. Without --inputs, "
        "inputs\n"
        "are random. Ctrl-C writes the best model found so far. docs/tuning.md tells more.\n"
        "Exit codes: 0 written, 1 nothing is within the budget, or the result misses "
        "--min-speedup\n"
        "or --max-size, 2 usage, 3 the model or an input cannot be used, 4 a file cannot be\n"
        "written, 5 there is no weight to choose a form for, 6 ONNX Runtime was not found, 130\n"
        "Ctrl-C.",
    .options = {{tune_options, cli_run_options, cli_page_options, cli_common_options}},
    .operands = CLI_FILE_OPERANDS,
    .settings_nbytes = sizeof(tune_settings),
    .defaults = set_defaults,
    .run = run_command,
    .release = release};
