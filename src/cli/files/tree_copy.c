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

/* *is_there: nothing had to be written. */
static int copy_file(const cli_tree_copy *copy, const char *from, const char *to, bool *is_there)
{
    struct oq_file file;
    onnxq_error error;
    oq_error_init(&error);
    if (!oq_file_open(&file, from, &error))
        return fail(copy->common, from, &error);
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
    return copy_file(copy, from, to, &is_there);
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

static int copy_other(cli_tree *tree, const cli_tree_copy *copy, const cli_tree_file *file)
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
    char *to = cli_tree_join(copy->output_dir, file->relative);
    if (to == NULL)
        return cli_memory_error(copy->common);
    int status = copy_file(copy, file->path, to, &is_there);
    tree->n_copied += status == CLI_EXIT_OK && !is_there;
    tree->n_there += status == CLI_EXIT_OK && is_there;
    free(to);
    return status;
}

int cli_tree_copy_others(cli_tree *tree, const cli_tree_copy *copy)
{
    int worst = CLI_EXIT_OK;
    for (size_t i = 0; i < tree->n_files; i++) {
        if (tree->files[i].kind != CLI_TREE_OTHER)
            continue;
        int status = cli_interrupt_signal() != 0 ? 128 + cli_interrupt_signal()
                                                 : copy_other(tree, copy, &tree->files[i]);
        if (status > 128)
            return status;
        tree->n_failed += status != CLI_EXIT_OK;
        if (status > worst)
            worst = status;
    }
    return worst;
}
