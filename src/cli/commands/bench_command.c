/* `onnxq bench`: options, models, and what is done with the report. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/os.h"
#include "base/path.h"
#include "bench/report.h"
#include "cli/command.h"
#include "cli/terminal/interrupt.h"
#include "cli/terminal/messages.h"
#include "cli/files/file_paths.h"
#include "cli/terminal/progress.h"
#include "cli/terminal/terminal.h"
#include "cli/files/page_files.h"
#include "cli/files/run_files.h"
#include "cli/commands/run_options.h"

#define DEFAULT_WARMUP  3
#define DEFAULT_SECONDS 3
#define MAX_SECONDS     86400

typedef struct bench_settings {
    cli_common common; /* these two first */
    cli_run run;
    uint64_t warmup, n_runs;
    double seconds, min_speedup;
    const char *plot, *profile;
} bench_settings;

CLI_IS_RUN(bench_settings);

#define OPTION(kind, letter, name, member, ...)                                                    \
    CLI_OPTION(kind, letter, name, offsetof(bench_settings, member), __VA_ARGS__)

static const cli_option bench_options[] = {
    {.kind = CLI_HEADING, .help = "Measuring"},
    OPTION(REAL, 0, "time", seconds, .value = "SECONDS", .help = "how long to measure each model"),
    OPTION(NUMBER, 0, "runs", n_runs, .value = "N", .maximum = 10000000,
           .help = "number of runs of each model, instead of --time"),
    OPTION(NUMBER, 0, "warmup", warmup, .value = "N", .maximum = 500,
           .help = "runs after loading that are not counted, at least 2"),
    {.kind = CLI_HEADING, .help = "Results"},
    OPTION(REAL, 0, "min-speedup", min_speedup, .value = "X",
           .help = "exit 1 unless every model is X times as fast as the first"),
    OPTION(TEXT, 0, "plot", plot, .value = "FILE", .source = CLI_FILES,
           .help = "draw latency, size and memory (SVG)"),
    OPTION(TEXT, 0, "profile", profile, .value = "DIR", .source = CLI_FOLDERS,
           .help = "keep the engine's profile of each model in DIR"),
    {0}};

/* One run of the command. */
typedef struct bench_job {
    const bench_settings *settings;
    const cli_common *common;
    struct oq_bench bench;
    struct oq_bench_options options;
    cli_report_file json, plot;
    cli_pages pages;
    cli_progress progress;
    bool folder_created; /* settings->profile */
} bench_job;

/* --- what was asked for --------------------------------------------------------- */

static int check_files(const bench_settings *settings, int n_operands, char **operands)
{
    cli_run_files files = cli_run_files_begin(&settings->common);
    cli_run_writes(&files, CLI_PICTURE, "--plot", settings->plot);
    cli_run_reads_all(&files, operands, (size_t)n_operands);
    cli_run_reads_all(&files, settings->run.inputs.items, settings->run.inputs.count);
    return files.status;
}

static int check_settings(const bench_settings *settings, int n_operands, char **operands)
{
    const cli_common *common = &settings->common;
    if (n_operands == 0)
        return cli_usage(common, "see 'onnxq help bench'", "no model is given");
    for (int i = 0; i < n_operands; i++) {
        if (cli_is_standard_input(operands[i]))
            return cli_usage(common, NULL,
                             "a model on standard input cannot be run, name its file");
    }
    if (!isnan(settings->min_speedup) && n_operands < 2)
        return cli_usage(common, "as in 'onnxq bench --min-speedup 1.5 model.onnx model.int8.onnx'",
                         "--min-speedup compares with the first model, and there is one only");
    if (!(settings->seconds <= MAX_SECONDS))
        return cli_usage(common, NULL, "--time: more than a day");
    return check_files(settings, n_operands, operands);
}

/* --- the models ----------------------------------------------------------------- */

static bool are_distinct(int n_operands, char **operands)
{
    for (int i = 0; i < n_operands; i++) {
        for (int k = 0; k < i; k++) {
            if (strcmp(oq_base_name(operands[i]), oq_base_name(operands[k])) == 0)
                return false;
        }
    }
    return true;
}

/* They are called by their names without folders where that tells them apart. */
static int fill_models(bench_job *job, int n_operands, char **operands)
{
    bool distinct = are_distinct(n_operands, operands);
    job->bench.models = calloc((size_t)n_operands, sizeof(*job->bench.models));
    if (job->bench.models == NULL)
        return cli_memory_error(job->common);
    job->bench.n_models = (size_t)n_operands;
    for (int i = 0; i < n_operands; i++) {
        job->bench.models[i].contestant.path = operands[i];
        job->bench.models[i].name = distinct ? oq_base_name(operands[i]) : operands[i];
    }
    return CLI_EXIT_OK;
}

/* --- files ---------------------------------------------------------------------- */

/* Opened before anything is measured, so that what cannot be written fails early. */
static int open_files(bench_job *job)
{
    const bench_settings *settings = job->settings;
    int status = CLI_EXIT_OK;
    if (job->common->json != NULL)
        status = cli_report_file_open(&job->json, job->common, job->common->json);
    if (status == CLI_EXIT_OK && settings->plot != NULL)
        status = cli_report_file_open(&job->plot, job->common, settings->plot);
    if (status == CLI_EXIT_OK)
        status = cli_pages_open(&job->pages, job->common);
    if (status != CLI_EXIT_OK || settings->profile == NULL)
        return status;
    job->folder_created = oq_os_make_folder(settings->profile);
    return job->folder_created || errno == EEXIST ? CLI_EXIT_OK
                                                  : cli_write_error(job->common, settings->profile);
}

static void write_page(const void *report, struct oq_page *page)
{
    oq_bench_write_page(report, page);
}

static int publish_files(bench_job *job, const struct oq_bench_report *report)
{
    int status = CLI_EXIT_OK;
    if (job->json.stream != NULL) {
        oq_bench_write_json(report, job->json.stream);
        status = cli_report_file_publish(&job->json, job->common);
    }
    if (status == CLI_EXIT_OK && job->plot.stream != NULL) {
        oq_bench_write_svg(report, job->plot.stream);
        status = cli_report_file_publish(&job->plot, job->common);
    }
    cli_pages_write(&job->pages, "onnxq bench", write_page, report);
    return cli_pages_finish(&job->pages, job->common, status);
}

/* --- results -------------------------------------------------------------------- */

static int judge(const bench_job *job, const struct oq_bench_report *report)
{
    const struct oq_bench_model *models = job->bench.models;
    if (oq_bench_passes(report))
        return CLI_EXIT_OK;
    for (size_t i = 1; i < job->bench.n_models; i++) {
        if (!(models[i].speedup.median >= report->min_speedup))
            cli_error(job->common, "%s: %.2fx as fast as %s, --min-speedup asks for %gx",
                      models[i].name, models[i].speedup.median, models[0].name,
                      report->min_speedup);
    }
    return CLI_EXIT_NO;
}

static int report(bench_job *job)
{
    const cli_common *common = job->common;
    struct oq_bench_report report = {.bench = &job->bench,
                                     .options = &job->options,
                                     .level = common->verbose - common->quiet,
                                     .columns = (size_t)cli_text_columns(),
                                     .min_speedup = job->settings->min_speedup};
    if (!cli_reports_take_stdout(common) && common->quiet < 2)
        oq_bench_print(&report, cli_text());
    int status = publish_files(job, &report);
    return status == CLI_EXIT_OK ? judge(job, &report) : status;
}

/* --- the run -------------------------------------------------------------------- */

static bool show_progress(void *data, const char *what, uint64_t done, uint64_t total)
{
    cli_progress_count(data, what, done, total);
    return cli_interrupt_signal() == 0;
}

static int measure(bench_job *job)
{
    onnxq_error error = {.offset = ONNXQ_NO_OFFSET};
    cli_progress_init(&job->progress, job->common);
    cli_progress_start(&job->progress);
    bool done = oq_bench_run(&job->bench, &job->options, &error);
    cli_progress_erase(&job->progress);
    if (cli_interrupt_signal() != 0)
        return 128 + cli_interrupt_signal();
    return done ? report(job) : cli_library_error(job->common, &error);
}

static void fill_options(bench_job *job)
{
    const bench_settings *settings = job->settings;
    cli_run_fill_session(job->common, &settings->run, &job->options.session);
    job->options.ort_lib = settings->run.ort_lib;
    job->options.warmup = settings->warmup;
    job->options.runs = settings->n_runs;
    job->options.seconds = settings->seconds;
    job->options.profile_all = settings->profile != NULL || job->common->verbose > 0;
    job->options.keep_profiles = settings->profile != NULL;
    job->options.profile_folder =
        settings->profile != NULL ? settings->profile : oq_os_temporary_folder();
    job->options.progress = show_progress;
    job->options.progress_data = &job->progress;
}

static void release_job(bench_job *job, int status)
{
    cli_report_file_close(&job->json);
    cli_report_file_close(&job->plot);
    cli_pages_close(&job->pages);
    if (job->folder_created && status > CLI_EXIT_NO)
        oq_os_remove_folder(job->settings->profile); /* it stays where there is something in it */
    oq_bench_fini(&job->bench);
    free(job->bench.models);
}

static int run_bench(void *data, int n_operands, char **operands)
{
    bench_settings *settings = data;
    bench_job job = {.settings = settings, .common = &settings->common};
    int status = check_settings(settings, n_operands, operands);
    if (status == CLI_EXIT_OK)
        status = cli_run_fill(&settings->common, &settings->run, &job.options.feed);
    if (status == CLI_EXIT_OK)
        status = fill_models(&job, n_operands, operands);
    if (status == CLI_EXIT_OK)
        status = open_files(&job);
    if (status == CLI_EXIT_OK) {
        fill_options(&job);
        status = measure(&job);
    }
    release_job(&job, status);
    return status;
}

static void set_defaults(void *data)
{
    bench_settings *settings = data;
    cli_run_defaults(&settings->run);
    settings->warmup = DEFAULT_WARMUP;
    settings->seconds = DEFAULT_SECONDS;
    settings->min_speedup = (double)NAN;
}

static void release(void *data)
{
    bench_settings *settings = data;
    cli_run_release(&settings->run);
}

const cli_command cli_bench = {
    .name = "bench",
    .summary = "Measures latency, memory, load time and size of models side by side.",
    .usage = "bench [OPTION]... MODEL...",
    .notes =
        "All models get the inputs of the first: --inputs, or random ones drawn from what it\n"
        "declares and does with them; open dimensions get usual sizes (--dim sets others). The\n"
        "models take turns in short bursts, each in its own process. speed is how many times as\n"
        "fast as the first model one is: the median over the turns, and the range of their middle\n"
        "half; a range with 1 in it is no clear difference. memory is the peak of the process\n"
        "(load and runs, engine included).\n"
        "If a model is slower, its operators are compared with those of the first; -v lists the\n"
        "operators of all.\n"
        "Exit codes: 0 done, 1 --min-speedup was missed, 2 usage, 3 a model or an input cannot\n"
        "be used, 4 a file cannot be written, 6 ONNX Runtime was not found, or crashed.",
    .options = {{bench_options, cli_run_options, cli_page_options, cli_common_options}},
    .operands = CLI_FILE_OPERANDS,
    .settings_nbytes = sizeof(bench_settings),
    .defaults = set_defaults,
    .run = run_bench,
    .release = release};
