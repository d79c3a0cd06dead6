/* All models of a job: what goes where, what would collide, and the sum. */
#define _POSIX_C_SOURCE 200809L
#include "cli/files/job.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/option_values.h"
#include "base/os.h"
#include "base/path.h"
#include "cli/terminal/interrupt.h"
#include "cli/terminal/messages.h"
#include "cli/files/file_paths.h"
#include "cli/files/folders.h"
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
    OPTION(TEXT, 0, "suffix", suffix, .value = "TEXT",
           .help = "of the output's name, as in --suffix _quantized: MODEL_quantized.onnx"),
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
    if (files->suffix != NULL && (files->output != NULL || n_operands == 2) &&
        files->output_dir == NULL)
        return cli_usage(common, NULL, "--suffix and a name for the output contradict each other");
    if (files->suffix != NULL && strchr(files->suffix, '/') != NULL)
        return cli_usage(common, "-d DIR names a folder", "--suffix: '%s' is no part of a name",
                         files->suffix);
    if (files->output_dir != NULL)
        return CLI_EXIT_OK;
    if (n_operands > 2 || (n_operands == 2 && files->output != NULL))
        return cli_usage(common, "several models need a folder for their outputs: -d DIR",
                         files->output != NULL ? "-o and OUT contradict each other"
                                               : "more than MODEL and OUT");
    return CLI_EXIT_OK;
}

static char *derive_output(const cli_job *job, const char *input, const char *folder)
{
    char own[32];
    snprintf(own, sizeof(own), ".%s", job->maker->suffix(job->settings));
    return cli_derive_path(input, folder, job->maker->replaced_suffixes,
                           job->files->suffix != NULL ? job->files->suffix : own, "onnx");
}

static bool fill_item(const cli_job *job, cli_item *item, const char *input, const char *output)
{
    item->input = input;
    if (output == NULL && job->files->output_dir == NULL && job->files->suffix == NULL &&
        cli_is_standard_input(input))
        output = CLI_STANDARD_STREAM; /* a filter, as others are */
    item->derived = output == NULL;
    item->output =
        item->derived ? derive_output(job, input, job->files->output_dir) : strdup(output);
    return item->output != NULL;
}

/* The models of a folder keep their names: who loads the folder finds them where they were. */
static char *derive_in_tree(const cli_job *job, const cli_tree_file *file)
{
    const char *output_dir = job->files->output_dir;
    if (job->files->suffix == NULL)
        return cli_tree_join(output_dir, file->relative);
    char *folder = cli_folder_in(output_dir, file->relative, oq_folder_length(file->relative));
    char *output = folder == NULL ? NULL : derive_output(job, file->relative, folder);
    free(folder);
    return output;
}

/* What has the name of an output is one of an earlier run, and no model to begin with. */
static bool is_old_output(const cli_job *job, const char *path)
{
    const char *suffix = job->files->suffix, *base = oq_base_name(path);
    const size_t n = strlen(base) - strlen(".onnx"), n_suffix = suffix != NULL ? strlen(suffix) : 0;
    return n_suffix > 0 && n > n_suffix && strncmp(base + n - n_suffix, suffix, n_suffix) == 0;
}

static bool fill_from_tree(cli_job *job)
{
    cli_tree *tree = &job->tree;
    job->items = calloc(tree->n_files + 1, sizeof(*job->items));
    for (size_t i = 0; i < tree->n_files && job->items != NULL; i++) {
        cli_tree_file *file = &tree->files[i];
        bool is_old = file->kind == CLI_TREE_MODEL && is_old_output(job, file->relative);
        job->n_old += is_old;
        if (file->kind == CLI_TREE_OTHER || is_old)
            continue;
        cli_item *item = &job->items[job->n_items];
        *item = (cli_item){.input = file->path,
                           .output = derive_in_tree(job, file),
                           .derived = true,
                           .file = file};
        if (item->output == NULL)
            return false;
        job->n_items++;
    }
    return job->items != NULL;
}

static bool fill_items(cli_job *job, int n_operands, char **operands)
{
    const cli_files *files = job->files;
    const char *output = files->output;
    size_t n_items = (size_t)n_operands;
    if (job->folder != NULL)
        return fill_from_tree(job);
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

/* Two items that would end in one file: pair[0] NULL where there are none. */
static bool find_collision(const cli_job *job, const cli_item *pair[2])
{
    const cli_item **sorted = calloc(job->n_items + 1, sizeof(const cli_item *));
    pair[0] = pair[1] = NULL;
    if (sorted == NULL)
        return false;
    for (size_t i = 0; i < job->n_items; i++)
        sorted[i] = &job->items[i];
    qsort(sorted, job->n_items, sizeof(*sorted), compare_outputs);
    for (size_t i = 1; i < job->n_items && pair[0] == NULL; i++) {
        if (compare_outputs(&sorted[i - 1], &sorted[i]) == 0) {
            pair[0] = sorted[i - 1];
            pair[1] = sorted[i];
        }
    }
    free(sorted);
    return true;
}

/* The folder in DIR that mirrors the one an input is in, past what all inputs have in common. */
static char *mirror_folder(const cli_job *job, const char *input, size_t common)
{
    const char *relative = input + common;
    bool is_absolute = common == 0 && relative[0] == '/';
    return is_absolute
               ? NULL
               : cli_folder_in(job->files->output_dir, relative, oq_folder_length(relative));
}

/* Outputs keep the folders of their inputs. False where one would leave DIR. */
static bool mirror_folders(cli_job *job)
{
    const char *first = job->items[0].input;
    size_t common = oq_folder_length(first);
    for (size_t i = 1; i < job->n_items; i++)
        common = cli_common_folders(first, job->items[i].input, common);
    bool ok = true;
    for (size_t i = 0; i < 2 * job->n_items && ok; i++) { /* all can be, before one is */
        cli_item *item = &job->items[i % job->n_items];
        char *folder = mirror_folder(job, item->input, common);
        ok = folder != NULL;
        if (ok && i >= job->n_items) {
            free(item->output);
            item->output = derive_output(job, item->input, folder);
            ok = item->output != NULL;
        }
        free(folder);
    }
    return ok;
}

/* Models of one name from two folders would end in one file, but for folders in DIR. */
static int check_collisions(cli_job *job)
{
    const cli_item *pair[2];
    bool ok = find_collision(job, pair);
    if (ok && pair[0] != NULL && job->folder == NULL && mirror_folders(job))
        ok = find_collision(job, pair);
    if (!ok)
        return cli_memory_error(job->common);
    if (pair[0] == NULL)
        return CLI_EXIT_OK;
    return cli_usage(job->common, NULL, "%s and %s would both be written to %s", pair[0]->input,
                     pair[1]->input, pair[0]->output);
}

static int check_item(const cli_job *job, const cli_item *item)
{
    const cli_files *files = job->files;
    const cli_common *common = job->common;
    bool reads = cli_is_standard_input(item->input), writes = oq_is_standard_output(item->output);
    if (reads && files->output_dir != NULL)
        return cli_usage(common, NULL, "standard input has no name for a file in %s",
                         files->output_dir);
    if (reads && files->suffix != NULL)
        return cli_usage(common, NULL, "standard input has no name that --suffix could end");
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

static int check_items(cli_job *job)
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
    fprintf(job->text, "%s %zu of %zu %s to ", job->files->dry_run ? "Would write" : "Wrote",
            job->n_done, job->n_items, job->n_items == 1 ? "model" : "models");
    cli_print_escaped(job->text, job->files->output_dir);
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

cli_tree_copy cli_job_copy(cli_job *job)
{
    const cli_files *files = job->files;
    return (cli_tree_copy){.common = job->common,
                           .made = &job->made,
                           .output_dir = files->output_dir,
                           .dry_run = files->dry_run,
                           .force = files->force,
                           .sync = files->sync};
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
    if (job->folder != NULL && !job->in_place) {
        const cli_tree_copy copy = cli_job_copy(job);
        int result = cli_tree_copy_others(&job->tree, &copy);
        if (result > 128)
            return result;
        status = worse_of(status, result);
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

/* --- folders --------------------------------------------------------------- */

static bool is_folder(const char *path)
{
    struct oq_file_status status;
    return oq_os_status(path, &status) && status.type == OQ_FILE_FOLDER;
}

/* "dir/", or a folder that is there. */
static bool names_folder(const char *path)
{
    size_t n = strlen(path);
    return (n > 0 && path[n - 1] == '/') || is_folder(path);
}

static bool is_tree(const char *operand)
{
    return !cli_is_standard_input(operand) && is_folder(operand);
}

/* MODEL DIR/ as cp understands it; and what is made of a folder is one. */
static void find_output_folder(cli_files *files, int *n_operands, char **operands)
{
    bool is_free = files->output == NULL && files->output_dir == NULL && files->model == NULL;
    if (*n_operands == 2 && is_free && (names_folder(operands[1]) || is_tree(operands[0]))) {
        files->output_dir = operands[1];
        *n_operands = 1;
    }
    if (*n_operands == 1 && files->output_dir == NULL && is_tree(operands[0])) {
        files->output_dir = files->output;
        files->output = NULL;
    }
}

/* Whether a folder is another one, or in it. Neither needs to exist. */
static bool lies_in(const char *inner, const char *outer)
{
    char *a = oq_os_real_path(inner), *b = oq_os_real_path(outer);
    size_t n = b != NULL ? strlen(b) : 0;
    bool lies =
        a != NULL && b != NULL && strncmp(a, b, n) == 0 && (a[n] == '\0' || a[n] == '/' || n == 1);
    free(a);
    free(b);
    return lies;
}

static int check_folders(const cli_job *job, int n_operands, char **operands)
{
    const cli_common *common = job->common;
    const char *output_dir = job->files->output_dir;
    for (int i = 0; i < n_operands && n_operands > 1; i++)
        if (is_tree(operands[i]))
            return cli_usage(common, "a run for each folder", "%s: is a folder, which goes alone",
                             operands[i]);
    if (job->folder == NULL)
        return CLI_EXIT_OK;
    if (output_dir == NULL)
        return cli_usage(common, "name it behind, or --suffix for outputs beside their models",
                         "%s: is a folder, and there is none for its outputs", job->folder);
    if (oq_is_standard_output(output_dir) ||
        (cli_path_exists(output_dir) && !is_folder(output_dir)))
        return cli_usage(common, NULL, "%s: is no folder, as the output of one has to be",
                         output_dir);
    if (!job->in_place && lies_in(job->folder, output_dir))
        return cli_usage(common, "name another folder, or one inside it: that is left out",
                         "%s: has the input in it: outputs could replace inputs", output_dir);
    return CLI_EXIT_OK;
}

/* The models to work on. *status: what could not be read, while the rest can be worked on. */
static int find_items(cli_job *job, int n_operands, char **operands, int *status)
{
    const char *output_dir = job->files->output_dir;
    int code = check_folders(job, n_operands, operands);
    if (code != CLI_EXIT_OK)
        return code;
    job->tree.keeps_names = job->files->suffix == NULL;
    if (job->folder != NULL)
        *status =
            cli_tree_read(&job->tree, job->common, job->folder, job->in_place ? NULL : output_dir);
    if (cli_interrupt_signal() != 0)
        return 128 + cli_interrupt_signal();
    if (*status > CLI_EXIT_INPUT)
        return *status;
    if (!fill_items(job, n_operands, operands))
        return cli_memory_error(job->common);
    if (job->folder != NULL && job->n_items == 0 && *status == CLI_EXIT_OK) {
        cli_error(job->common, "%s: no file in it ends in .onnx", job->folder);
        return CLI_EXIT_INPUT;
    }
    return CLI_EXIT_OK;
}

static void release(cli_job *job)
{
    cli_report_file_close(&job->json.file);
    cli_folders_sweep(&job->made);
    for (size_t i = 0; i < job->n_items; i++)
        free(job->items[i].output);
    free(job->items);
    cli_tree_free(&job->tree);
}

int cli_job_run(cli_job *job, int n_operands, char **operands)
{
    cli_files files = *job->files;
    char *model = files.model;
    int unread = CLI_EXIT_OK;
    if (model != NULL && n_operands > 0)
        return cli_usage(job->common, NULL, "--model_input and MODEL contradict each other");
    if (model != NULL) {
        operands = &model;
        n_operands = 1;
    }
    find_output_folder(&files, &n_operands, operands);
    if (n_operands == 1 && is_tree(operands[0]))
        job->folder = operands[0];
    bool is_beside = job->folder != NULL && files.suffix != NULL && files.suffix[0] != '\0';
    if (is_beside && files.output_dir == NULL)
        files.output_dir = job->folder;
    job->in_place = is_beside && cli_is_same_file(files.output_dir, job->folder);
    job->files = &files;
    int status = check_operands(job, n_operands);
    if (status == CLI_EXIT_OK)
        status = find_items(job, n_operands, operands, &unread);
    if (status == CLI_EXIT_OK)
        status = check_items(job);
    if (status == CLI_EXIT_OK)
        status = open_results(job);
    if (status == CLI_EXIT_OK)
        status = run_items(job, unread);
    release(job);
    return status;
}
