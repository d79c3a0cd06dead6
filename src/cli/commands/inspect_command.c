/* `onnxq inspect`: options, and what is found out about a model. */
#define _POSIX_C_SOURCE 200809L

#include "cli/command.h"
#include "cli/terminal/interrupt.h"
#include "cli/files/job.h"
#include "cli/files/page_files.h"
#include "cli/terminal/messages.h"
#include "cli/terminal/terminal.h"
#include "cli/files/model_input.h"
#include "cli/files/run_files.h"
#include "cli/commands/quantize_command.h"
#include "base/os.h"
#include "page/plan_page.h"
#include "base/size.h"

/* What the command line said. */
struct inspect_settings {
    cli_quantize_settings quantize; /* first */
    bool validate;
};

#define OPTION(kind, letter, name, member, ...)                                                    \
    CLI_OPTION(kind, letter, name, offsetof(struct inspect_settings, member), __VA_ARGS__)

static const cli_option inspect_options[] = {
    {.kind = CLI_HEADING, .help = "Check"},
    OPTION(FLAG, 0, "validate", validate,
           .help = "look for errors in the model; exit 3 if there are any"),
    {.kind = CLI_END}};

/* The models of one run. */
struct inspect {
    const cli_quantize_settings *settings;
    bool validate;
    FILE *text; /* NULL: nobody reads it */
    cli_reports json;
    cli_pages pages;
};

/* What is known of one model. */
struct findings {
    const char *path;
    const cli_quantize_settings *settings;
    onnxq_model *model;
    onnxq_inspection *inspection;
    onnxq_plan *plan;
    onnxq_dequantization *dequantization; /* NULL where it cannot be told */
    onnxq_validation *validation;         /* NULL where nobody asked */
};

static bool find(struct findings *findings, const struct inspect *inspect, const char *path,
                 onnxq_error *error)
{
    const onnxq_options *options = &inspect->settings->options;
    onnxq_dequantize_options back;
    onnxq_dequantize_options_init(&back);
    back.freeze_inputs = options->freeze_inputs;
    findings->model = onnxq_model_open(path, error);
    if (findings->model != NULL)
        findings->inspection = onnxq_inspection_create(findings->model, error);
    if (findings->inspection != NULL)
        findings->plan = onnxq_plan_estimate(findings->model, options, error);
    if (findings->plan != NULL && inspect->validate)
        findings->validation = onnxq_validation_create(findings->model, error);
    if (findings->plan == NULL || (inspect->validate && findings->validation == NULL))
        return false;
    findings->dequantization = onnxq_dequantization_create(findings->model, &back, NULL);
    return true;
}

static void forget(struct findings *findings)
{
    onnxq_validation_destroy(findings->validation);
    onnxq_dequantization_destroy(findings->dequantization);
    onnxq_plan_destroy(findings->plan);
    onnxq_inspection_destroy(findings->inspection);
    onnxq_model_close(findings->model);
}

/* --- text ------------------------------------------------------------------ */

static const char *label(const char *path)
{
    return cli_is_standard_input(path) ? "standard input" : path;
}

static struct oq_size_text file_size(const struct findings *findings)
{
    const onnxq_model_info *info = findings->inspection->info;
    return oq_size_text(info->file_nbytes + info->external_nbytes);
}

static bool has_work(const struct findings *findings)
{
    const onnxq_summary *summary = onnxq_plan_get_summary(findings->plan);
    return summary->n_quantized + summary->n_round_trips_removed > 0;
}

/* "90.8 MB -> 23.3 MB (3.9x smaller)", or why not. */
static void print_outcome(const struct findings *findings, FILE *stream)
{
    if (has_work(findings)) {
        const onnxq_summary *summary = onnxq_plan_get_summary(findings->plan);
        cli_print_sizes(stream, summary->nbytes_before, summary->nbytes_after);
    } else {
        char reason[256];
        cli_explain_noop(findings->plan, reason, sizeof(reason));
        fputs(reason, stream);
    }
}

static void print_line(const char *path, const struct findings *findings, FILE *stream)
{
    cli_print_escaped(stream, label(path));
    if (!has_work(findings))
        fprintf(stream, "   %s", file_size(findings).text);
    fputs("   ", stream);
    print_outcome(findings, stream);
    putc('\n', stream);
}

/* Some weight would be folded, in a form that does not outlive that. */
static bool folds(const cli_quantize_settings *settings, const onnxq_plan *plan)
{
    for (size_t i = 0; i < onnxq_plan_count(plan); i++)
        if (onnxq_plan_get(plan, i)->action == ONNXQ_FOLD)
            return settings->options.method != ONNXQ_METHOD_QDQ;
    return false;
}

static void print_quantization(const cli_quantize_settings *settings,
                               const struct findings *findings, FILE *stream)
{
    const onnxq_summary *summary = onnxq_plan_get_summary(findings->plan);
    fputs("\nWhat 'onnxq quantize' would do: ", stream);
    cli_print_quantize_settings(&settings->options, stream);
    putc('\n', stream);
    if (summary->n_weights > 0)
        onnxq_report_table(findings->plan, stream);
    if (summary->n_undecided > 0)
        fprintf(stream,
                "  an estimate: values of a recurrent model decide if up to %zu weight%s 16 bits\n",
                summary->n_undecided, summary->n_undecided == 1 ? " takes" : "s take");
    if (folds(settings, findings->plan))
        fputs("  what is folded becomes float again in onnxsim, onnxslim and ORT format: quantize "
              "last, or with --method qdq\n",
              stream);
    fputs("  ", stream);
    print_outcome(findings, stream);
    putc('\n', stream);
}

static void print_sections(const struct inspect *inspect, const char *path,
                           const struct findings *findings)
{
    const cli_quantize_settings *settings = inspect->settings;
    const int verbose = settings->common.verbose;
    const onnxq_inspection_style style = {.detail = verbose > 1 ? 2 : (unsigned)verbose,
                                          .unicode = cli_use_unicode(stdout)};
    cli_print_escaped(inspect->text, label(path));
    fprintf(inspect->text, "   %s\n", file_size(findings).text);
    onnxq_report_inspection(findings->inspection, findings->plan, findings->dequantization, &style,
                            inspect->text);
    print_quantization(settings, findings, inspect->text);
    if (findings->validation != NULL)
        putc('\n', inspect->text);
}

static void print_text(const struct inspect *inspect, const char *path,
                       const struct findings *findings)
{
    int quiet = inspect->settings->common.quiet;
    if (inspect->text == NULL || quiet > 1)
        return;
    if (quiet == 1)
        print_line(path, findings, inspect->text);
    else
        print_sections(inspect, path, findings);
    if (findings->validation != NULL) {
        cli_print_escaped(inspect->text, label(path));
        fputs(": ", inspect->text);
        onnxq_report_validation(findings->validation, inspect->text);
    }
    cli_flush_text(); /* so that messages about the next model come after it */
}

/* --- the run --------------------------------------------------------------- */

static void print_json(struct inspect *inspect, const char *path, const struct findings *findings)
{
    FILE *stream = cli_reports_next(&inspect->json);
    if (stream != NULL)
        onnxq_report_inspection_json(findings->inspection, findings->plan, findings->dequantization,
                                     findings->validation, path, stream);
}

static void print_brief(const void *data, FILE *stream)
{
    const struct findings *findings = data;
    fputs("What 'onnxq quantize' would do: ", stream);
    cli_print_quantize_settings(&findings->settings->options, stream);
    fputs(": ", stream);
    print_outcome(findings, stream);
    if (findings->validation != NULL) {
        putc('\n', stream);
        onnxq_report_validation(findings->validation, stream);
    }
}

static void write_page(const void *data, struct oq_page *page)
{
    const struct findings *findings = data;
    oq_page_part(page, "%s", label(findings->path));
    oq_page_lines(page, print_brief, findings);
    oq_page_inspection(page, findings->inspection, findings->plan, findings->dequantization);
}

static int inspect_model(struct inspect *inspect, const char *path)
{
    const cli_common *common = &inspect->settings->common;
    onnxq_error error = {.offset = ONNXQ_NO_OFFSET};
    struct findings findings = {.path = path, .settings = inspect->settings};
    cli_input input;
    int status = cli_model_input_open(common, &input, path);
    if (status == CLI_EXIT_OK && !find(&findings, inspect, input.path, &error))
        status = cli_model_input_fail(common, &input, path, &error);
    if (status == CLI_EXIT_OK) {
        print_text(inspect, path, &findings);
        print_json(inspect, path, &findings);
        cli_pages_write(&inspect->pages, "onnxq inspect", write_page, &findings);
        if (findings.validation != NULL && findings.validation->n_found > 0)
            status = CLI_EXIT_INPUT;
    }
    forget(&findings);
    cli_model_input_close(&input);
    return status;
}

static int check_operands(const cli_quantize_settings *settings, int n_operands, char **operands)
{
    const cli_common *common = &settings->common;
    cli_run_files files = cli_run_files_begin(common);
    int n_standard = 0;
    if (n_operands == 0)
        return cli_usage(common, "see 'onnxq help inspect'", "no MODEL is given");
    for (int i = 0; i < n_operands; i++)
        n_standard += cli_is_standard_input(operands[i]);
    if (n_standard > 1)
        return cli_usage(common, NULL, "standard input can be read once");
    if (n_standard > 0 && oq_os_is_terminal(stdin))
        return cli_usage(common, NULL, "standard input is a terminal, expected a model");
    cli_run_reads_all(&files, operands, (size_t)n_operands);
    cli_run_reads(&files, settings->ranges_path);
    cli_run_reads(&files, settings->plan_path);
    cli_run_reads(&files, settings->weights_path);
    return files.status;
}

/* All models, past those that fail; the first failure is the exit code. */
static int inspect_models(struct inspect *inspect, int n_operands, char **operands)
{
    const cli_common *common = &inspect->settings->common;
    int status = CLI_EXIT_OK;
    for (int i = 0; i < n_operands; i++) {
        if (i > 0 && inspect->text != NULL && common->quiet == 0)
            putc('\n', inspect->text);
        int result = cli_interrupt_signal() != 0 ? 128 + cli_interrupt_signal()
                                                 : inspect_model(inspect, operands[i]);
        if (result > 128)
            return result;
        if (status == CLI_EXIT_OK)
            status = result;
    }
    status = cli_reports_finish(&inspect->json, common, status);
    return cli_pages_finish(&inspect->pages, common, status);
}

static int run_inspect(void *data, int n_operands, char **operands)
{
    const struct inspect_settings *own = data;
    cli_quantize_settings *settings = data;
    const cli_common *common = &settings->common;
    struct inspect inspect = {.settings = settings,
                              .validate = own->validate,
                              .json.is_array = n_operands > 1,
                              .text = cli_text()};
    onnxq_error error;
    int status = check_operands(settings, n_operands, operands);
    if (status != CLI_EXIT_OK)
        return status;
    if ((status = cli_quantize_fill_options(settings)) != CLI_EXIT_OK)
        return status;
    if (onnxq_options_check(&settings->options, &error) != ONNXQ_OK)
        return cli_library_error(common, &error);
    if (cli_reports_take_stdout(common))
        inspect.text = NULL;
    if (common->json != NULL)
        status = cli_report_file_open(&inspect.json.file, common, common->json);
    if (status == CLI_EXIT_OK)
        status = cli_pages_open(&inspect.pages, common);
    if (status == CLI_EXIT_OK)
        status = inspect_models(&inspect, n_operands, operands);
    cli_report_file_close(&inspect.json.file);
    cli_pages_close(&inspect.pages);
    return status;
}

const cli_command cli_inspect = {
    .name = "inspect",
    .summary = "Says what is in a model, what it weighs and what quantizing would save.",
    .usage = "inspect [OPTION]... MODEL...",
    .notes =
        "Weights are not read, so even the largest models take milliseconds. '-' is standard\n"
        "input. Most options are those of 'onnxq quantize', to see what it would do. -v and -vv\n"
        "show more tensors and whole texts, -q one line for each model.\n"
        "Exit codes: 0 done, 2 usage, 3 input not readable or no valid model (and with\n"
        "--validate, a problem in it), 4 report not writable, 70 a bug in onnxq,\n"
        "71 out of memory, 128+N signal N.",
    .options = {{cli_quantize_options, inspect_options, cli_page_options, cli_common_options}},
    .operands = CLI_FILE_OPERANDS,
    .settings_nbytes = sizeof(struct inspect_settings),
    .defaults = cli_quantize_defaults,
    .run = run_inspect,
    .release = cli_quantize_release};
