/* The other files of a folder, copied: hard links would tie the copies to the originals. */
#define _POSIX_C_SOURCE 200809L
#include "cli/files/tree.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/output.h"
#include "base/path.h"
#include "cli/files/file_paths.h"
#include "cli/files/folders.h"
#include "cli/terminal/interrupt.h"
#include "cli/terminal/messages.h"

/* --- one file -------------------------------------------------------------- */

static bool copy_bytes(const struct oq_file *file, struct oq_output *output, onnxq_error *error)
{
    enum { CHUNK_NBYTES = 1 << 16 };
    char chunk[CHUNK_NBYTES];
    for (uint64_t at = 0; at < file->nbytes; at += CHUNK_NBYTES) {
        uint64_t left = file->nbytes - at;
        size_t n = left < CHUNK_NBYTES ? (size_t)left : CHUNK_NBYTES;
        if (cli_interrupt_signal() != 0)
            return oq_fail(error, ONNXQ_ERROR_CANCELLED, "cancelled");
        if (!oq_file_read(file, at, chunk, n, error) || !oq_output_write(output, chunk, n, error))
            return false;
    }
    return true;
}

static bool write_copy(const cli_tree_copy *copy, const struct oq_file *file, const char *to,
                       onnxq_error *error)
{
    struct oq_output output = OQ_OUTPUT_CLOSED;
    const struct oq_output_terms terms = {
        .nbytes = file->nbytes, .most_rights = oq_file_rights(file), .nobody_named_it = true};
    bool ok = oq_output_open(&output, to, &terms, error) && copy_bytes(file, &output, error) &&
              oq_output_finish(&output, copy->sync, error) &&
              oq_output_publish(&output, !copy->force, copy->sync, error);
    oq_output_close(&output);
    return ok;
}

static int fail(const cli_common *common, const char *path, onnxq_error *error)
{
    if (error->status == ONNXQ_ERROR_CANCELLED)
        return 128 + cli_interrupt_signal();
    oq_error_file(error, path);
    return cli_library_error(common, error);
}

/*
 * Where other files may lie: in the tree's folder, and in those that links of its models lead to,
 * which is how caches of the Hub store both. A folder from elsewhere shall not have private files
 * copied into what may be passed on.
 */
static int find_homes(const cli_tree *tree, const cli_tree_copy *copy, cli_list *homes)
{
    bool ok = true;
    char *real = oq_os_real_path(copy->folder);
    ok = real != NULL && cli_list_add(homes, real, strlen(real));
    for (size_t i = 0; i < tree->n_files && ok; i++) {
        cli_tree_kind kind = tree->files[i].kind;
        struct oq_file_status status;
        if ((kind != CLI_TREE_MODEL_MADE && kind != CLI_TREE_MODEL_COPIED) ||
            !oq_os_link_status(tree->files[i].path, &status) || status.type != OQ_FILE_LINK)
            continue;
        char *model = oq_os_real_path(tree->files[i].path);
        size_t n = model == NULL ? 0 : oq_folder_length(model);
        const char *last = homes->items[homes->count - 1];
        bool is_new = model != NULL && (strlen(last) != n - 1 || strncmp(last, model, n - 1) != 0);
        if (is_new)
            ok = cli_list_add(homes, model, n - 1);
        free(model);
    }
    free(real);
    return ok ? CLI_EXIT_OK : cli_memory_error(copy->common);
}

/* What was opened is asked where it lies, so that a link that changes gains nothing. */
static bool is_at_home(const struct oq_file *file, const cli_list *homes)
{
    char *real = oq_os_real_path_of(file->fd);
    if (real == NULL)
        real = oq_os_real_path(file->path);
    bool is_home = real != NULL && cli_lies_in(real, homes->items[0]);
    for (size_t i = 1; i < homes->count && real != NULL && !is_home; i++)
        is_home = oq_folder_length(real) == strlen(homes->items[i]) + 1 &&
                  cli_lies_in(real, homes->items[i]);
    free(real);
    return is_home;
}

/* homes NULL: it may lie anywhere. *is_there: nothing had to be written. */
static int copy_file(const cli_tree_copy *copy, const cli_list *homes, const char *from,
                     const char *to, bool *is_there)
{
    struct oq_file file;
    onnxq_error error;
    oq_error_init(&error);
    if (!oq_file_open(&file, from, &error))
        return fail(copy->common, from, &error);
    if (homes != NULL && !is_at_home(&file, homes)) {
        oq_file_close(&file);
        cli_error(copy->common, "%s: is a link out of the folder, which is not copied", from);
        return CLI_EXIT_INPUT;
    }
    *is_there = cli_path_exists(to) && cli_has_same_bytes(from, to);
    int status = CLI_EXIT_OK;
    if (!*is_there && !copy->force && cli_path_exists(to)) {
        cli_error(copy->common, "%s: it exists and is kept", to);
        cli_hint(copy->common, "-f replaces it");
        status = CLI_EXIT_OUTPUT;
    } else if (!*is_there && !copy->dry_run) {
        status = cli_folders_make(copy->made, copy->common, to);
        if (status == CLI_EXIT_OK && !write_copy(copy, &file, to, &error))
            status = fail(copy->common, from, &error);
    }
    oq_file_close(&file);
    return status;
}

int cli_tree_copy_file(const cli_tree_copy *copy, const char *from, const char *to)
{
    bool is_there;
    return copy_file(copy, NULL, from, to, &is_there);
}

/* --- which of them --------------------------------------------------------- */

/* MODEL.onnx.data, MODEL.onnx_data and MODEL.onnx_data_1 are named as side files of MODEL.onnx. */
static bool has_side_name(const char *name, const char *model)
{
    size_t n = strlen(model);
    return strncmp(name, model, n) == 0 && (name[n] == '.' || name[n] == '_') &&
           strncmp(name + n + 1, "data", 4) == 0;
}

enum side { SIDE_NONE, SIDE_LEFT, SIDE_NEEDED, SIDE_BOTH };

/* Whose side file a file is: of models that are new, of those that were copied. */
static enum side find_side(const cli_tree *tree, const cli_tree_file *file)
{
    struct oq_file_status status;
    bool is_left = false, is_needed = false;
    bool is_known = oq_os_status(file->path, &status);
    for (size_t i = 0; i < tree->n_side_files && is_known; i++) {
        if (oq_is_same_file(&status, &tree->side_files[i].status)) {
            is_needed |= tree->side_files[i].is_needed;
            is_left |= !tree->side_files[i].is_needed;
        }
    }
    for (size_t i = 0; i < tree->n_files && !is_left; i++) {
        const cli_tree_file *model = &tree->files[i];
        is_left = (model->kind == CLI_TREE_MODEL || model->kind == CLI_TREE_MODEL_MADE) &&
                  has_side_name(file->relative, model->relative);
    }
    return is_left && is_needed ? SIDE_BOTH
           : is_needed          ? SIDE_NEEDED
           : is_left            ? SIDE_LEFT
                                : SIDE_NONE;
}

static int copy_other(cli_tree *tree, const cli_tree_copy *copy, const cli_list *homes,
                      const cli_tree_file *file)
{
    bool is_there = false;
    enum side side = find_side(tree, file);
    if (side == SIDE_LEFT ||
        (copy->left_out != NULL && strcmp(file->relative, copy->left_out) == 0))
        return CLI_EXIT_OK;
    if (side == SIDE_BOTH &&
        tree->keeps_names) { /* it could take the place of the new model's own */
        cli_error(copy->common,
                  "%s: side file of a model that is new and of one that is copied: it stays out",
                  file->path);
        return CLI_EXIT_OUTPUT;
    }
    char *to = oq_path_join(copy->output_dir, file->relative);
    if (to == NULL)
        return cli_memory_error(copy->common);
    int status = copy_file(copy, homes, file->path, to, &is_there);
    tree->n_copied += status == CLI_EXIT_OK && !is_there;
    tree->n_there += status == CLI_EXIT_OK && is_there;
    free(to);
    return status;
}

int cli_tree_copy_others(cli_tree *tree, const cli_tree_copy *copy)
{
    cli_list homes = {0};
    int worst = find_homes(tree, copy, &homes);
    for (size_t i = 0; i < tree->n_files && homes.count > 0 && worst < 128; i++) {
        if (tree->files[i].kind != CLI_TREE_OTHER)
            continue;
        int status = cli_interrupt_signal() != 0 ? 128 + cli_interrupt_signal()
                                                 : copy_other(tree, copy, &homes, &tree->files[i]);
        tree->n_failed += status != CLI_EXIT_OK;
        if (status > worst)
            worst = status;
    }
    cli_list_free(&homes);
    return worst;
}
