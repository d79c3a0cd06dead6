/* All models of a job, one after the other, what goes along, and the sum. */
#define _POSIX_C_SOURCE 200809L
#include "cli/files/job.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/option_values.h"
#include "base/os.h"
#include "base/path.h"
#include "cli/terminal/interrupt.h"
#include "cli/terminal/messages.h"
#include "cli/files/file_paths.h"
#include "cli/files/folders.h"
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
           .help = "write one or more models into DIR"),
    OPTION(TEXT, 0, "suffix", suffix, .value = "TEXT",
           .help = "end the output's name in TEXT: _quantized gives MODEL_quantized.onnx"),
    OPTION(FLAG, 'f', "force", force,
           .help = "replace an output that you did not name, a float model, any side file"),
    OPTION(FLAG, 'n', "no-clobber", no_clobber, .help = "never replace a file"),
    OPTION(FLAG, 0, "dry-run", dry_run, .help = "show what would be done, write nothing"),
    OPTION(CHOICE, 0, "external-data", external_data, .choices = external_data,
           .help =
               "put weights of 4 KB or more in a side file; auto: over 2 GB, or if MODEL has one"),
    OPTION(FLAG, 0, "sync", sync, .negated = "false",
           .help = "wait until the output is on the disk"),
    OPTION(FLAG, 0, "allow-noop", allow_noop,
           .help = "with nothing to do, copy the model and exit 0"),
    {0}};

#undef OPTION

void cli_job_defaults(cli_files *files)
{
    files->sync = true;
}

static void choose_text_stream(cli_job *job)
{
    const cli_files *files = job->files;
    job->text = cli_text();
    if (cli_reports_take_stdout(job->common))
        job->text = NULL;
    else if (!files->dry_run && job->n_items > 0 && oq_is_standard_output(job->items[0].output))
        job->text = stderr;
}

/* --- the run --------------------------------------------------------------- */

static void print_rest(const cli_job *job)
{
    const cli_tree *tree = &job->tree;
    size_t n_models_failed = job->n_items - job->n_done;
    fprintf(job->text, "  %zu %sd, %zu with nothing to %s (copied), %zu failed",
            job->n_done - job->n_copies, job->maker->verb, job->n_copies, job->maker->verb,
            n_models_failed);
    if (job->n_old > 0)
        fprintf(job->text, ", %zu left out for their names", job->n_old);
    if (!job->in_place)
        fprintf(job->text, "; other files: %zu copied", tree->n_copied);
    if (tree->n_there > 0)
        fprintf(job->text, ", %zu there already", tree->n_there);
    if (tree->n_failed > 0)
        fprintf(job->text, ", %zu failed", tree->n_failed);
    putc('\n', job->text);
}

static void print_total(const cli_job *job, double seconds)
{
    bool is_one = job->n_items < 2 && job->folder == NULL;
    if (is_one || job->text == NULL || job->common->quiet > 1)
        return;
    fprintf(job->text, "%s %zu of %zu %s", job->files->dry_run ? "Would write" : "Wrote",
            job->n_done, job->n_items, job->n_items == 1 ? "model" : "models");
    if (job->files->output_dir != NULL) {
        fputs(" to ", job->text);
        cli_print_escaped(job->text, job->files->output_dir);
    }
    if (job->n_done > 0) {
        fputs("   ", job->text);
        cli_print_sizes(job->text, job->nbytes_before, job->nbytes_after);
        fprintf(job->text, " in %.2f s", seconds);
    }
    putc('\n', job->text);
    if (job->folder != NULL)
        print_rest(job);
}

/* Codes are the higher, the less was done, but for one: nothing to do is the least. */
static int worse_of(int a, int b)
{
    if (a == ONNXQ_NOTHING_TO_DO || b == ONNXQ_NOTHING_TO_DO) {
        int other = a == ONNXQ_NOTHING_TO_DO ? b : a;
        return other == CLI_EXIT_OK ? ONNXQ_NOTHING_TO_DO : other;
    }
    return a > b ? a : b;
}

/* Whether an earlier run has written it: its first member says so. */
static bool is_own_report(const char *path)
{
    static const char start[] = "{\n  \"onnxq\": \"";
    char found[sizeof(start) - 1];
    struct oq_file file;
    onnxq_error error;
    oq_error_init(&error);
    if (!oq_file_open(&file, path, &error))
        return false;
    bool is_own = file.nbytes >= sizeof(found) &&
                  oq_file_read(&file, 0, found, sizeof(found), &error) &&
                  memcmp(found, start, sizeof(found)) == 0;
    oq_file_close(&file);
    return is_own;
}

/* One that somebody else has written is kept, as a model of the name would be. */
static bool may_replace(const cli_files *files, const char *path)
{
    return files->force || !cli_path_exists(path) || (!files->no_clobber && is_own_report(path));
}

/* How variants were made: beside them, or in the folder that they are all in. */
static int report_variants(cli_job *job)
{
    const cli_variants *variants = &job->variants;
    const char *first = job->items[0].output;
    if (variants->report == NULL || job->n_done == 0 || job->files->dry_run)
        return CLI_EXIT_OK;
    char *beside = strndup(first, oq_folder_length(first));
    const char *folder = job->files->output_dir != NULL ? job->files->output_dir : beside;
    char *path = folder == NULL ? NULL : oq_path_join(folder, variants->report_name);
    cli_report_file file = {.output = OQ_OUTPUT_CLOSED};
    int status = CLI_EXIT_OK;
    if (path == NULL) {
        status = cli_memory_error(job->common);
    } else if (!may_replace(job->files, path)) {
        cli_error(job->common, "%s: it exists and is kept", path);
        cli_hint(job->common, "-f%s replaces it", job->files->no_clobber ? " without -n" : "");
        status = CLI_EXIT_OUTPUT;
    } else {
        status = cli_report_file_open(&file, job->common, path);
        if (status == CLI_EXIT_OK) {
            variants->report(job->settings, file.stream);
            status = cli_report_file_publish(&file, job->common);
        }
        cli_report_file_close(&file);
    }
    free(path);
    free(beside);
    return status;
}

/* All models, past those that fail, and what goes along; the worst is the exit code. */
static int run_items(cli_job *job, int status)
{
    double began = oq_now_seconds();
    for (size_t i = 0; i < job->n_items; i++) {
        int result = cli_interrupt_signal() != 0 ? 128 + cli_interrupt_signal()
                                                 : cli_item_run(job, &job->items[i]);
        if (result > 128)
            return result;
        status = worse_of(status, result);
    }
    status = worse_of(status, report_variants(job));
    if (job->folder != NULL && !job->in_place) {
        const cli_tree_copy copy = cli_job_copy(job);
        int result = cli_tree_copy_others(&job->tree, &copy);
        if (result > 128)
            return result;
        status = worse_of(status, result);
    }
    print_total(job, oq_now_seconds() - began);
    status = cli_reports_finish(&job->json, job->common, status);
    return cli_pages_finish(&job->pages, job->common, status);
}

/* Where results go: decided, and opened, before there are any. */
static int open_results(cli_job *job)
{
    choose_text_stream(job);
    job->json.is_array = job->files->output_dir != NULL || job->variants.count > 0;
    int status = CLI_EXIT_OK;
    if (job->common->json != NULL)
        status = cli_report_file_open(&job->json.file, job->common, job->common->json);
    return status == CLI_EXIT_OK ? cli_pages_open(&job->pages, job->common) : status;
}

static void release(cli_job *job)
{
    cli_report_file_close(&job->json.file);
    cli_pages_close(&job->pages);
    cli_folders_sweep(&job->made);
    cli_list_free(&job->reads);
    for (size_t i = 0; i < job->n_items; i++)
        free(job->items[i].output);
    free(job->items);
    cli_tree_free(&job->tree);
}

int cli_job_run(cli_job *job, int n_operands, char **operands)
{
    cli_files files = *job->files;
    int unread = CLI_EXIT_OK;
    int status = cli_job_find_items(job, &files, n_operands, operands, &unread);
    if (status == CLI_EXIT_OK)
        status = open_results(job);
    if (status == CLI_EXIT_OK)
        status = run_items(job, unread);
    release(job);
    return status;
}
