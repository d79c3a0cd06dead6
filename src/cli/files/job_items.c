/* What goes where: the models of a job, the names of their outputs, and what would collide. */
#define _POSIX_C_SOURCE 200809L
#include "cli/files/job.h"

#include <stdlib.h>
#include <string.h>

#include "base/os.h"
#include "base/path.h"
#include "cli/files/file_paths.h"
#include "cli/files/named_output.h"
#include "cli/files/run_files.h"
#include "cli/terminal/interrupt.h"
#include "cli/terminal/messages.h"

/* --- names ----------------------------------------------------------------- */

/* Whether outputs are told from their models by an ending of their names that was asked for. */
static bool has_suffix(const cli_job *job)
{
    return job->files->suffix != NULL || job->variants.count > 0;
}

static int check_operands(const cli_job *job, int n_operands)
{
    const cli_common *common = job->common;
    const cli_files *files = job->files;
    char see[64];
    snprintf(see, sizeof(see), "see 'onnxq help %s'", job->maker->verb);
    if (files->force && files->no_clobber)
        return cli_usage(common, NULL, "-f and -n cannot be combined");
    if (files->output != NULL && files->output_dir != NULL)
        return cli_usage(common, NULL, "-o and -d cannot be combined");
    if (n_operands == 0)
        return cli_usage(common, see, "no MODEL is given");
    if (has_suffix(job) && (files->output != NULL || n_operands == 2) && files->output_dir == NULL)
        return cli_usage(common, "-d DIR names a folder",
                         "%s and a name for the output cannot be combined",
                         files->suffix != NULL ? "--suffix" : "--variants or --target");
    if (files->suffix != NULL && strchr(files->suffix, '/') != NULL)
        return cli_usage(common, "-d DIR names a folder", "--suffix: '%s' cannot be part of a name",
                         files->suffix);
    if (files->output_dir != NULL)
        return CLI_EXIT_OK;
    if (n_operands > 2 || (n_operands == 2 && files->output != NULL))
        return cli_usage(common, "several models need a folder for their outputs: -d DIR",
                         files->output != NULL ? "-o and OUT cannot be combined"
                                               : "more files than MODEL and OUT");
    return CLI_EXIT_OK;
}

static char *derive_output(const cli_job *job, const cli_item *item, const char *folder)
{
    char own[32];
    const char *suffix = item->variant != NULL ? item->variant->suffix : job->files->suffix;
    snprintf(own, sizeof(own), ".%s", job->maker->suffix(job->settings));
    return cli_derive_path(item->input, folder, job->maker->replaced_suffixes,
                           suffix != NULL ? suffix : own, "onnx");
}

static bool fill_item(const cli_job *job, cli_item *item, const char *output)
{
    if (output == NULL && job->files->output_dir == NULL && !has_suffix(job) &&
        cli_is_standard_input(item->input))
        output = CLI_STANDARD_STREAM; /* a filter, as others are */
    item->derived = output == NULL;
    item->output =
        item->derived ? derive_output(job, item, job->files->output_dir) : strdup(output);
    return item->output != NULL;
}

/* The models of a folder keep their names: who loads the folder finds them where they were. */
static bool fill_in_tree(const cli_job *job, cli_item *item)
{
    const char *output_dir = job->files->output_dir, *relative = item->file->relative;
    item->derived = true;
    if (!has_suffix(job)) {
        item->output = oq_path_join(output_dir, relative);
        return item->output != NULL;
    }
    char *folder = cli_folder_in(output_dir, relative, oq_folder_length(relative));
    item->output = folder == NULL ? NULL : derive_output(job, item, folder);
    free(folder);
    return item->output != NULL;
}

/* What is made of one model; items that are not begun are zero. */
static bool add_input(cli_job *job, const char *input, cli_tree_file *file, const char *output)
{
    size_t n = job->variants.count > 0 ? job->variants.count : 1;
    for (size_t i = 0; i < n; i++) {
        cli_item *item = &job->items[job->n_items];
        item->input = input;
        item->file = file;
        item->variant = job->variants.count > 0 ? &job->variants.list[i] : NULL;
        if (!(file != NULL ? fill_in_tree(job, item) : fill_item(job, item, output)))
            return false;
        job->n_items++;
    }
    return true;
}

static bool make_room(cli_job *job, size_t n_inputs)
{
    size_t n = job->variants.count > 0 ? job->variants.count : 1;
    bool fits = n_inputs <= SIZE_MAX / sizeof(*job->items) / n - 1;
    job->items = fits ? calloc(n_inputs * n + 1, sizeof(*job->items)) : NULL;
    return job->items != NULL;
}

static bool ends_with(const char *path, const char *suffix)
{
    const char *base = oq_base_name(path);
    const size_t n = strlen(base) - strlen(".onnx"), n_suffix = strlen(suffix);
    return n > n_suffix && strncmp(base + n - n_suffix, suffix, n_suffix) == 0;
}

/* What has the name of an output is one of an earlier run, and no model to begin with. */
static bool is_old_output(const cli_job *job, const char *path)
{
    const char *const *old = job->variants.count > 0 ? job->variants.old_suffixes : NULL;
    while (old != NULL && *old != NULL && !ends_with(path, *old))
        old++;
    return (old != NULL && *old != NULL) ||
           (job->files->suffix != NULL && ends_with(path, job->files->suffix));
}

static bool fill_from_tree(cli_job *job)
{
    cli_tree *tree = &job->tree;
    if (!make_room(job, tree->n_files))
        return false;
    for (size_t i = 0; i < tree->n_files; i++) {
        cli_tree_file *file = &tree->files[i];
        bool is_old = file->kind == CLI_TREE_MODEL && is_old_output(job, file->relative);
        job->n_old += is_old;
        if (file->kind == CLI_TREE_MODEL && !is_old && !add_input(job, file->path, file, NULL))
            return false;
    }
    return true;
}

static bool fill_items(cli_job *job, int n_operands, char **operands)
{
    const cli_files *files = job->files;
    const char *output = files->output;
    int n_inputs = n_operands;
    if (job->folder != NULL)
        return fill_from_tree(job);
    if (files->output_dir == NULL && n_operands == 2) {
        output = operands[1];
        n_inputs = 1;
    }
    bool ok = make_room(job, (size_t)n_inputs);
    for (int i = 0; i < n_inputs && ok; i++)
        ok = add_input(job, operands[i], NULL, output);
    return ok;
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
            item->output = derive_output(job, item, folder);
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

/*
 * OUT, which could be a model that was to be read; not where it is the one that is, and not where
 * an earlier run may have copied one there.
 */
static bool may_be_original(const cli_job *job, const cli_item *item)
{
    const cli_files *files = job->files;
    return !item->derived && files->output == NULL && !files->force && !files->no_clobber &&
           !files->allow_noop && !cli_is_same_file(item->input, item->output);
}

/* That the model and its side files are not the output is found when these are known. */
static int check_names(const cli_job *job, const cli_item *item)
{
    cli_run_files files = cli_run_files_begin(job->common);
    cli_run_reads(&files, item->input);
    if (!job->files->dry_run || !oq_is_standard_output(item->output))
        cli_run_writes(&files, CLI_MODEL, CLI_OUT, item->output);
    cli_run_reads_all(&files, job->reads.items, job->reads.count);
    return files.status;
}

static int check_item(const cli_job *job, const cli_item *item)
{
    const cli_files *files = job->files;
    const cli_common *common = job->common;
    bool reads = cli_is_standard_input(item->input);
    bool writes = !files->dry_run && oq_is_standard_output(item->output);
    if (reads && files->output_dir != NULL)
        return cli_usage(common, NULL, "standard input has no name for a file in %s",
                         files->output_dir);
    if (reads && has_suffix(job))
        return cli_usage(common, NULL,
                         "standard input has no name that an ending could be added to");
    if (reads && oq_os_is_terminal(stdin))
        return cli_usage(common, NULL, "standard input is a terminal, expected a model");
    if (writes && oq_os_is_terminal(stdout))
        return cli_usage(common, "name a file, or redirect it",
                         "standard output is a terminal and no place for a model");
    int status = check_names(job, item);
    return status == CLI_EXIT_OK && may_be_original(job, item)
               ? cli_output_check_original(common, item->output)
               : status;
}

static int check_items(cli_job *job)
{
    int status = check_collisions(job);
    for (size_t i = 0; i < job->n_items && status == CLI_EXIT_OK; i++)
        status = check_item(job, &job->items[i]);
    return status;
}

/* --- folders --------------------------------------------------------------- */

static bool is_tree(const char *operand)
{
    return !cli_is_standard_input(operand) && cli_is_folder(operand);
}

/* MODEL DIR/ as cp understands it; and what is made of a folder is one. */
static void find_output_folder(cli_files *files, int *n_operands, char **operands)
{
    bool is_free = files->output == NULL && files->output_dir == NULL && files->model == NULL;
    if (*n_operands == 2 && is_free && (cli_names_folder(operands[1]) || is_tree(operands[0]))) {
        files->output_dir = operands[1];
        *n_operands = 1;
    }
    bool is_named = files->output != NULL && cli_names_folder(files->output);
    if (*n_operands == 1 && files->output_dir == NULL && (is_named || is_tree(operands[0]))) {
        files->output_dir = files->output;
        files->output = NULL;
    }
}

/* Whether a folder is another one, or in it. Neither needs to exist. */
static bool lies_in(const char *inner, const char *outer)
{
    char *a = oq_os_real_path(inner), *b = oq_os_real_path(outer);
    bool lies = a != NULL && b != NULL && cli_lies_in(a, b);
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
        (cli_path_exists(output_dir) && !cli_is_folder(output_dir)))
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
    job->tree.keeps_names = !has_suffix(job);
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
        cli_error(job->common, "%s: no file in it ends in .onnx%s", job->folder,
                  job->n_old > 0 ? " and is not named as an output" : "");
        return CLI_EXIT_INPUT;
    }
    return check_items(job);
}

int cli_job_find_items(cli_job *job, cli_files *files, int n_operands, char **operands, int *unread)
{
    char *model = files->model;
    job->files = files;
    if (model != NULL && n_operands > 0)
        return cli_usage(job->common, NULL, "--model_input and MODEL cannot be combined");
    if (model != NULL) {
        operands = &model; /* which items borrow from, not from this list */
        n_operands = 1;
    }
    find_output_folder(files, &n_operands, operands);
    if (n_operands == 1 && is_tree(operands[0]))
        job->folder = operands[0];
    bool is_beside = job->folder != NULL && has_suffix(job);
    if (is_beside && files->output_dir == NULL)
        files->output_dir = job->folder;
    job->in_place = is_beside && cli_is_same_file(files->output_dir, job->folder);
    int status = check_operands(job, n_operands);
    return status == CLI_EXIT_OK ? find_items(job, n_operands, operands, unread) : status;
}
