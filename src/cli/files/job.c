/* All models of a job: what goes where, what would collide, and the sum. */
#define _POSIX_C_SOURCE 200809L
#include "cli/files/job.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/option_values.h"
#include "base/os.h"
#include "cli/terminal/interrupt.h"
#include "cli/terminal/messages.h"
#include "cli/files/file_paths.h"
#include "cli/terminal/progress.h"
#include "cli/terminal/terminal.h"

/* --- options --------------------------------------------------------------- */

/* The parser writes enums as int. */
_Static_assert(sizeof(onnxq_external_data) == sizeof(int), "enum as wide as int");

static const cli_choice external_data[] = {OQ_EXTERNAL_DATA_VALUES(CLI_CHOICE_OF){0}};

#define OPTION(kind, letter, name, member, ...)                                                    \
    CLI_OPTION(kind, letter, name, offsetof(cli_job_settings, files.member), __VA_ARGS__)

const cli_option cli_job_options[] = {
    {.kind = CLI_HEADING, .help = "Files"},
    OPTION(TEXT, 'o', "output", output, .value = "FILE", .source = CLI_FILES,
           .help = "same as OUT"),
    OPTION(TEXT, 'd', "output-dir", output_dir, .value = "DIR", .source = CLI_FOLDERS,
           .help = "one or more models, written into DIR"),
    OPTION(FLAG, 'f', "force", force,
           .help = "replace an output that was not named, and any side file"),
    OPTION(FLAG, 'n', "no-clobber", no_clobber, .help = "never replace a file"),
    OPTION(FLAG, 0, "dry-run", dry_run, .help = "show what would be done, write nothing"),
    OPTION(CHOICE, 0, "external-data", external_data, .choices = external_data,
           .help = "side file, of weights of 4 KB or more; auto: over 2 GB, or MODEL has one"),
    OPTION(FLAG, 0, "sync", sync, .negated = "false",
           .help = "wait until the output is on the disk"),
    OPTION(FLAG, 0, "allow-noop", allow_noop,
           .help = "copy a model that has nothing to do, and exit 0"),
    {0}};

#undef OPTION

void cli_job_defaults(cli_files *files)
{
    files->sync = true;
}

/* --- what goes where ------------------------------------------------------- */

static int check_operands(const cli_job *job, int n_operands)
{
    const cli_common *common = job->common;
    const cli_files *files = job->files;
    char see[64];
    snprintf(see, sizeof(see), "see 'onnxq help %s'", job->maker->verb);
    if (files->force && files->no_clobber)
        return cli_usage(common, NULL, "-f and -n contradict each other");
    if (files->output != NULL && files->output_dir != NULL)
        return cli_usage(common, NULL, "-o and -d contradict each other");
    if (n_operands == 0)
        return cli_usage(common, see, "there is no MODEL");
    if (files->output_dir != NULL)
        return CLI_EXIT_OK;
    if (n_operands > 2 || (n_operands == 2 && files->output != NULL))
        return cli_usage(common, "several models need a folder for their outputs: -d DIR",
                         files->output != NULL ? "-o and OUT contradict each other"
                                               : "more than MODEL and OUT");
    return CLI_EXIT_OK;
}

static bool fill_item(const cli_job *job, cli_item *item, const char *input, const char *output)
{
    item->input = input;
    if (output == NULL && job->files->output_dir == NULL && cli_is_standard_input(input))
        output = CLI_STANDARD_STREAM; /* a filter, as others are */
    item->derived = output == NULL;
    item->output = item->derived ? cli_derive_path(input, job->files->output_dir,
                                                   job->maker->replaced_suffixes,
                                                   job->maker->suffix(job->settings), "onnx")
                                 : strdup(output);
    return item->output != NULL;
}

static bool fill_items(cli_job *job, int n_operands, char **operands)
{
    const cli_files *files = job->files;
    const char *output = files->output;
    size_t n_items = (size_t)n_operands;
    if (files->output_dir == NULL && n_operands == 2) {
        output = operands[1];
        n_items = 1;
    }
    job->items = calloc(n_items, sizeof(*job->items));
    if (job->items == NULL)
        return false;
    for (; job->n_items < n_items; job->n_items++) {
        if (!fill_item(job, &job->items[job->n_items], operands[job->n_items], output))
            return false;
    }
    return true;
}

static int compare_outputs(const void *left, const void *right)
{
    const cli_item *const *a = left, *const *b = right;
    return strcmp((*a)->output, (*b)->output);
}

/* Two models of one name from two folders would end in one file. */
static int check_collisions(const cli_job *job)
{
    const cli_item **sorted = calloc(job->n_items, sizeof(const cli_item *));
    if (sorted == NULL)
        return cli_memory_error(job->common);
    for (size_t i = 0; i < job->n_items; i++)
        sorted[i] = &job->items[i];
    qsort(sorted, job->n_items, sizeof(*sorted), compare_outputs);
    int status = CLI_EXIT_OK;
    for (size_t i = 1; i < job->n_items && status == CLI_EXIT_OK; i++) {
        if (compare_outputs(&sorted[i - 1], &sorted[i]) == 0)
            status = cli_usage(job->common, NULL, "%s and %s would both be written to %s",
                               sorted[i - 1]->input, sorted[i]->input, sorted[i]->output);
    }
    free(sorted);
    return status;
}

static int check_item(const cli_job *job, const cli_item *item)
{
    const cli_files *files = job->files;
    const cli_common *common = job->common;
    bool reads = cli_is_standard_input(item->input), writes = oq_is_standard_output(item->output);
    if (reads && files->output_dir != NULL)
        return cli_usage(common, NULL, "standard input has no name for a file in %s",
                         files->output_dir);
    if (reads && oq_os_is_terminal(stdin))
        return cli_usage(common, NULL, "standard input is a terminal, expected a model");
    int status = cli_model_name_check(common, item->output);
    if (status != CLI_EXIT_OK)
        return status;
    if (files->dry_run)
        writes = false;
    if (writes && oq_os_is_terminal(stdout))
        return cli_usage(common, "name a file, or redirect it",
                         "standard output is a terminal and no place for a model");
    if (common->json == NULL)
        return CLI_EXIT_OK;
    if (writes && oq_is_standard_output(common->json))
        return cli_usage(common, "--json=FILE writes the report to a file",
                         "model and report cannot both go to standard output");
    if (oq_is_standard_output(common->json))
        return CLI_EXIT_OK;
    if (cli_is_same_file(common->json, item->input) || cli_is_same_file(common->json, item->output))
        return cli_usage(common, NULL, "--json: %s is a model of this run", common->json);
    return CLI_EXIT_OK;
}

static int check_items(const cli_job *job)
{
    int status = check_collisions(job);
    for (size_t i = 0; i < job->n_items && status == CLI_EXIT_OK; i++)
        status = check_item(job, &job->items[i]);
    return status;
}

static void choose_text_stream(cli_job *job)
{
    const cli_files *files = job->files;
    const char *json = job->common->json;
    job->text = cli_text();
    if (json != NULL && oq_is_standard_output(json))
        job->text = NULL;
    else if (!files->dry_run && oq_is_standard_output(job->items[0].output))
        job->text = stderr;
}

/* --- the run --------------------------------------------------------------- */

static void print_total(const cli_job *job, double seconds)
{
    if (job->n_items < 2 || job->text == NULL || job->common->quiet > 1)
        return;
    fprintf(job->text, "%s %zu of %zu models to ", job->files->dry_run ? "Would write" : "Wrote",
            job->n_done, job->n_items);
    cli_print_escaped(job->text, job->files->output_dir);
    if (job->n_done > 0) {
        fputs("   ", job->text);
        cli_print_sizes(job->text, job->nbytes_before, job->nbytes_after);
        fprintf(job->text, " in %.2f s", seconds);
    }
    putc('\n', job->text);
}

/* All models, past those that fail; the first failure is the exit code. */
static int run_items(cli_job *job)
{
    double began = oq_now_seconds();
    int status = CLI_EXIT_OK;
    for (size_t i = 0; i < job->n_items; i++) {
        int result = cli_interrupt_signal() != 0 ? 128 + cli_interrupt_signal()
                                                 : cli_item_run(job, &job->items[i]);
        if (result > 128)
            return result;
        if (status == CLI_EXIT_OK)
            status = result;
    }
    print_total(job, oq_now_seconds() - began);
    return cli_reports_finish(&job->json, job->common, status);
}

/* Where results go: decided, and opened, before there are any. */
static int open_results(cli_job *job)
{
    choose_text_stream(job);
    job->json.is_array = job->files->output_dir != NULL;
    if (job->common->json == NULL)
        return CLI_EXIT_OK;
    return cli_report_file_open(&job->json.file, job->common, job->common->json);
}

/* "dir/", or a folder that is there. */
static bool names_folder(const char *path)
{
    struct oq_file_status status;
    size_t n = strlen(path);
    return (n > 0 && path[n - 1] == '/') ||
           (oq_os_status(path, &status) && status.type == OQ_FILE_FOLDER);
}

int cli_job_run(cli_job *job, int n_operands, char **operands)
{
    char *model = job->files->model;
    cli_files files = *job->files;
    bool is_free = files.output == NULL && files.output_dir == NULL && model == NULL;
    if (n_operands == 2 && is_free && names_folder(operands[1])) { /* as cp understands it */
        files.output_dir = operands[1];
        job->files = &files;
        n_operands = 1;
    }
    if (model != NULL && n_operands > 0)
        return cli_usage(job->common, NULL, "--model_input and MODEL contradict each other");
    if (model != NULL) {
        operands = &model;
        n_operands = 1;
    }
    int status = check_operands(job, n_operands);
    if (status == CLI_EXIT_OK && !fill_items(job, n_operands, operands))
        status = cli_memory_error(job->common);
    if (status == CLI_EXIT_OK)
        status = check_items(job);
    if (status == CLI_EXIT_OK)
        status = open_results(job);
    if (status == CLI_EXIT_OK)
        status = run_items(job);
    if (job->folder_created && job->n_done == 0)
        oq_os_remove_folder(job->files->output_dir);
    cli_report_file_close(&job->json.file);
    for (size_t i = 0; i < job->n_items; i++)
        free(job->items[i].output);
    free(job->items);
    return status;
}
