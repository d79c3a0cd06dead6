/* `onnxq check`: options, models, and what is done with the report. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check/check.h"
#include "cli/command.h"
#include "cli/terminal/interrupt.h"
#include "cli/terminal/messages.h"
#include "cli/files/file_paths.h"
#include "cli/terminal/progress.h"
#include "cli/terminal/terminal.h"
#include "cli/files/page_files.h"
#include "cli/files/run_files.h"
#include "cli/commands/run_options.h"
#include "base/os.h"
#include "base/path.h"

/* One flip in one of few random inputs is no verdict about labels. */
#define DEFAULT_RUNS 8

typedef struct check_settings {
    cli_common common; /* these two first */
    cli_run run;
    double tolerances[OQ_N_MEASURES];
    const char *expected, *report, *plot;
    const char *mask;
    bool layers;
    cli_list feedback;
} check_settings;

CLI_IS_RUN(check_settings);

#define OPTION(kind, letter, name, member, ...)                                                    \
    CLI_OPTION(kind, letter, name, offsetof(check_settings, member), __VA_ARGS__)
#define TOLERANCE(name, measure, text)                                                             \
    OPTION(REAL, 0, name, tolerances[measure], .value = "X", .help = text)

static const cli_option check_options[] = {
    {.kind = CLI_HEADING,
     .help = "Tolerances (if none is set: --rel-tol 0.3 or 0.5, --agreement 0.8)"},
    TOLERANCE("abs-tol", OQ_MEASURE_MAX_ABS, "largest absolute difference"),
    TOLERANCE("mean-tol", OQ_MEASURE_MEAN_ABS, "largest mean absolute difference"),
    TOLERANCE("rel-tol", OQ_MEASURE_RELATIVE,
              "largest norm of the difference, relative to the reference's"),
    TOLERANCE("cosine", OQ_MEASURE_COSINE, "least cosine between the two"),
    TOLERANCE("sqnr", OQ_MEASURE_SQNR, "least signal-to-error ratio, in dB"),
    TOLERANCE("argmax", OQ_MEASURE_ARGMAX, "least share of rows with the same largest element"),
    TOLERANCE("agreement", OQ_MEASURE_AGREEMENT,
              "least share of equal integers, booleans or strings"),
    {.kind = CLI_HEADING, .help = "What is compared"},
    OPTION(TEXT, 0, "expected", expected, .value = "PATH", .source = CLI_FILES,
           .help = "compare with stored outputs, not REFERENCE; files as for --inputs"),
    OPTION(APPEND, 0, "feedback", feedback, .value = "OUT=IN",
           .help = "feed output OUT to input IN of the next run; repeatable"),
    OPTION(TEXT, 0, "mask", mask, .value = "INPUT",
           .help = "ignore outputs where this input is 0, as for padding"),
    OPTION(FLAG, 0, "layers", layers,
           .help = "compare inner values, too: tells which site to leave float"),
    OPTION(NUMBER, 0, "runs", run.n_inputs, .value = "N", .maximum = 1000000,
           .help = "same as --random N"),
    OPTION(TEXT, 0, "report", report, .value = "FILE", .source = CLI_FILES,
           .help = "same as --json=FILE"),
    OPTION(TEXT, 0, "plot", plot, .value = "FILE", .source = CLI_FILES,
           .help = "with --layers: draw the error of each site (SVG)"),
    {0}};

/* --- what was asked for ------------------------------------------------------ */

static int check_files(const check_settings *settings, int n_operands, char **operands)
{
    cli_run_files files = cli_run_files_begin(&settings->common);
    if (settings->plot != NULL && !settings->layers)
        return cli_usage(&settings->common, "as in --layers --plot layers.svg",
                         "--plot draws what --layers finds");
    cli_run_writes(&files, CLI_JSON, "--report", settings->report);
    cli_run_writes(&files, CLI_PICTURE, "--plot", settings->plot);
    cli_run_reads(&files, settings->expected);
    cli_run_reads_all(&files, operands, (size_t)n_operands);
    cli_run_reads_all(&files, settings->run.inputs.items, settings->run.inputs.count);
    cli_run_files_try(&files);
    return files.status;
}

static int check_operands(const check_settings *settings, int n_operands, char **operands)
{
    const cli_common *common = &settings->common;
    for (size_t i = 0; i < OQ_N_MEASURES; i++)
        if (oq_measures[i].is_share && settings->tolerances[i] > 1)
            return cli_usage(common, NULL, "%s: %s is never more than 1", oq_measures[i].option,
                             oq_measures[i].words);
    if (n_operands == 0 || n_operands > 2)
        return cli_usage(common, "see 'onnxq help check'",
                         n_operands == 0 ? "no model is given"
                                         : "more files than REFERENCE and CANDIDATE");
    if (n_operands == 2 && settings->expected != NULL)
        return cli_usage(common, "with --expected there is one model",
                         "REFERENCE and --expected cannot be combined");
    if (settings->expected != NULL && settings->run.inputs.count == 0)
        return cli_usage(common, NULL, "--expected needs the --inputs that gave those outputs");
    if (n_operands == 1 && settings->layers)
        return cli_usage(common, "onnxq check --layers REFERENCE CANDIDATE",
                         "--layers compares two models");
    if (n_operands == 1 && settings->run.inputs.count == 0)
        return cli_usage(common, "onnxq check REFERENCE CANDIDATE",
                         "one model alone needs --inputs with stored outputs, or --expected");
    for (int i = 0; i < n_operands; i++) {
        if (cli_is_standard_input(operands[i]))
            return cli_usage(common, NULL,
                             "a model on standard input cannot be run, name its file");
    }
    return check_files(settings, n_operands, operands);
}

/* --- results -------------------------------------------------------------------- */

static void write_picture(const struct oq_check *check, FILE *stream)
{
    oq_layers_write_svg(check->layers, stream);
}

static void write_page(const void *check, struct oq_page *page)
{
    oq_check_write_page(check, page);
}

/* Until the last moment, Ctrl-C leaves nothing behind. */
static int write_pages(const cli_common *common, const struct oq_check *check, int status)
{
    cli_pages pages = {0};
    int result = cli_pages_open(&pages, common);
    if (result == CLI_EXIT_OK) {
        cli_pages_write(&pages, "onnxq check", write_page, check);
        result = cli_interrupt_signal() != 0 ? 128 + cli_interrupt_signal()
                                             : cli_pages_finish(&pages, common, status);
    }
    cli_pages_close(&pages);
    return result != CLI_EXIT_OK ? result : status;
}

static int write_report(const cli_common *common, const struct oq_check *check, const char *path,
                        void (*write)(const struct oq_check *check, FILE *stream), int status)
{
    cli_report_file file;
    if (path == NULL || status > CLI_EXIT_NO)
        return status;
    int result = cli_report_file_open(&file, common, path);
    if (result == CLI_EXIT_OK) {
        write(check, file.stream);
        result = cli_interrupt_signal() != 0 ? 128 + cli_interrupt_signal()
                                             : cli_report_file_publish(&file, common);
    }
    cli_report_file_close(&file);
    return result != CLI_EXIT_OK ? result : status;
}

static int report(const check_settings *settings, const struct oq_check *check)
{
    const cli_common *common = &settings->common;
    bool json_only = cli_reports_take_stdout(common) ||
                     (settings->report != NULL && oq_is_standard_output(settings->report));
    int status = check->passed ? CLI_EXIT_OK : CLI_EXIT_NO;
    if (!json_only && common->quiet < 2)
        oq_check_print_text(check, common->verbose - common->quiet, (size_t)cli_text_columns(),
                            cli_text());
    cli_interrupt_install(); /* from here on there may be a file to take away */
    status = write_report(common, check, common->json, oq_check_print_json, status);
    status = write_report(common, check, settings->report, oq_check_print_json, status);
    status = write_report(common, check, settings->plot, write_picture, status);
    return status <= CLI_EXIT_NO ? write_pages(common, check, status) : status;
}

/* --- the run --------------------------------------------------------------------- */

static bool show_progress(void *data, const char *model, uint64_t n_done, uint64_t n_runs)
{
    cli_progress_count(data, oq_base_name(model), n_done, n_runs);
    return true; /* signals end the process at once meanwhile */
}

static int run_check(const check_settings *settings, struct oq_check_options *options)
{
    onnxq_error error = {.offset = ONNXQ_NO_OFFSET};
    cli_progress progress;
    cli_interrupt_restore();
    if (cli_interrupt_signal() != 0)
        return 128 + cli_interrupt_signal();
    options->engine = oq_engine_open(settings->run.ort_lib, &error);
    if (options->engine == NULL)
        return cli_library_error(&settings->common, &error);
    cli_progress_init(&progress, &settings->common);
    cli_progress_start(&progress);
    options->progress = show_progress;
    options->progress_data = &progress;
    struct oq_check *check = oq_check_create(options, &error);
    cli_progress_erase(&progress);
    oq_engine_close(options->engine);
    int status =
        check != NULL ? report(settings, check) : cli_library_error(&settings->common, &error);
    oq_check_destroy(check);
    return status;
}

static int run_command(void *data, int n_operands, char **operands)
{
    check_settings *settings = data;
    struct oq_check_options options = {.expected = settings->expected,
                                       .feedback = (const char *const *)settings->feedback.items,
                                       .n_feedback = settings->feedback.count,
                                       .mask = settings->mask,
                                       .layers = settings->layers};
    int status = check_operands(settings, n_operands, operands);
    if (status == CLI_EXIT_OK)
        status = cli_run_fill(&settings->common, &settings->run, &options.feed);
    if (status != CLI_EXIT_OK)
        return status;
    cli_run_fill_session(&settings->common, &settings->run, &options.session);
    options.reference = n_operands == 2 ? operands[0] : NULL;
    options.candidate = operands[n_operands - 1];
    memcpy(options.tolerances, settings->tolerances, sizeof(options.tolerances));
    return run_check(settings, &options);
}

static void set_defaults(void *data)
{
    check_settings *settings = data;
    cli_run_defaults(&settings->run);
    cli_run_default_inputs(&settings->run, DEFAULT_RUNS);
    for (size_t i = 0; i < OQ_N_MEASURES; i++)
        settings->tolerances[i] = (double)NAN;
}

static void release(void *data)
{
    check_settings *settings = data;
    cli_run_release(&settings->run);
    cli_list_free(&settings->feedback);
}

const cli_command cli_check = {
    .name = "check",
    .summary = "Runs two models on the same inputs and compares what they give.",
    .usage = "check [OPTION]... REFERENCE CANDIDATE\n"
             "check [OPTION]... -i INPUTS [--expected OUTPUTS] CANDIDATE",
    .notes =
        "Every output of REFERENCE is compared with the one of that name in CANDIDATE. Without\n"
        "--inputs, inputs are random, drawn from what the models declare and do with them; open\n"
        "dimensions get usual sizes (--dim sets others). Real inputs tell more. A single model is\n"
        "compared with stored outputs: those of --expected, or those that lie beside the inputs\n"
        "(test_data_set_0).\n"
        "--layers lists the quantized sites, the one most worth to --exclude first: what each\n"
        "alone does to the outputs, what it adds to its own result, and how far off that result "
        "is\n"
        "in CANDIDATE. It runs REFERENCE once for each site.\n"
        "--rel-tol is 0.3 by default, or 0.5 if CANDIDATE has weights of 4 bits, one scale per\n"
        "weight, or activations in fixed ranges (--method static).\n"
        "NaN or infinity on one side only, another type or another shape always fails; so does a\n"
        "check with nothing to compare (outputs that are empty, or NaN in both).\n"
        "Exit codes: 0 passed, 1 failed, 2 usage, 3 a model or an input cannot be used,\n"
        "4 the report cannot be written, 6 ONNX Runtime was not found.",
    .options = {{check_options, cli_run_options, cli_page_options, cli_common_options}},
    .operands = CLI_FILE_OPERANDS,
    .settings_nbytes = sizeof(check_settings),
    .defaults = set_defaults,
    .run = run_command,
    .release = release};
