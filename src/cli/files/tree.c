/* What is in a folder, without recursion: a folder waits in a list until it is read. */
#define _POSIX_C_SOURCE 200809L
#include "cli/files/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "cli/files/file_paths.h"
#include "cli/parse/file_kind.h"
#include "cli/terminal/interrupt.h"
#include "cli/terminal/messages.h"

/* Room for one more: lists grow by doubling. */
static void *grow(void *list, size_t count, size_t size)
{
    bool is_full = count == 0 || (count & (count - 1)) == 0; /* a power of two */
    if (!is_full)
        return list;
    return count > SIZE_MAX / 2 / size ? NULL : realloc(list, (count == 0 ? 1 : count * 2) * size);
}

/* --- reading --------------------------------------------------------------- */

struct walk {
    cli_tree *tree;
    const cli_common *common;
    const char *folder, *skipped;
    cli_list waiting; /* folders */
    int status;
};

/* Takes the path. */
static bool add_file(cli_tree *tree, char *path, size_t n_folder)
{
    cli_tree_file *files = grow(tree->files, tree->n_files, sizeof(*files));
    if (files == NULL)
        return false;
    tree->files = files;
    const char *relative = path + n_folder;
    while (*relative == '/')
        relative++;
    files[tree->n_files++] = (cli_tree_file){
        path, relative, cli_has_ending(path, ".onnx") ? CLI_TREE_MODEL : CLI_TREE_OTHER};
    return true;
}

/* What is neither a folder nor a file is a file here, so that opening it says what it is. */
static bool add_entry(struct walk *walk, const char *folder, const char *name)
{
    struct oq_file_status status, target;
    char *path = oq_path_join(folder, name);
    if (path == NULL)
        return false;
    bool is_known = oq_os_link_status(path, &status);
    bool is_link = is_known && status.type == OQ_FILE_LINK;
    bool leads_to_folder = is_link && oq_os_status(path, &target) && target.type == OQ_FILE_FOLDER;
    bool is_folder = is_known && status.type == OQ_FILE_FOLDER, ok = true;
    if (!is_folder && !leads_to_folder) {
        if (add_file(walk->tree, path, strlen(walk->folder)))
            return true;
        ok = false;
    } else if (leads_to_folder) {
        cli_error(walk->common, "%s: is a link to a folder, which is not followed", path);
    } else if (name[0] != '.' &&
               (walk->skipped == NULL || !cli_is_same_file(path, walk->skipped))) {
        ok = cli_list_add(&walk->waiting, path, strlen(path));
    }
    free(path);
    return ok;
}

static bool read_folder(struct walk *walk, const char *path)
{
    struct oq_os_folder *folder = oq_os_open_folder(path);
    const char *name = NULL;
    bool ok = true;
    while (folder != NULL && ok && (name = oq_os_next_entry(folder)) != NULL)
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
            ok = add_entry(walk, path, name);
    if (ok && (folder == NULL || errno != 0)) {
        cli_error(walk->common, "%s: cannot read the folder: %s", path, strerror(errno));
        walk->status = CLI_EXIT_INPUT;
    }
    if (folder != NULL)
        oq_os_close_folder(folder);
    return ok;
}

static int compare_files(const void *left, const void *right)
{
    const cli_tree_file *a = left, *b = right;
    return strcmp(a->relative, b->relative);
}

int cli_tree_read(cli_tree *tree, const cli_common *common, const char *folder, const char *skipped)
{
    struct walk walk = {.tree = tree, .common = common, .folder = folder, .skipped = skipped};
    bool ok = cli_list_add(&walk.waiting, folder, strlen(folder));
    while (ok && walk.waiting.count > 0 && cli_interrupt_signal() == 0) {
        char *next = walk.waiting.items[--walk.waiting.count];
        ok = read_folder(&walk, next);
        free(next);
    }
    cli_list_free(&walk.waiting);
    if (!ok)
        return cli_memory_error(common);
    if (tree->n_files > 0)
        qsort(tree->files, tree->n_files, sizeof(*tree->files), compare_files);
    return walk.status;
}

void cli_tree_free(cli_tree *tree)
{
    for (size_t i = 0; i < tree->n_files; i++)
        free(tree->files[i].path);
    free(tree->files);
    free(tree->side_files);
    *tree = (cli_tree){0};
}

bool cli_tree_note_side_file(cli_tree *tree, const struct oq_file_status *status, bool is_needed)
{
    cli_tree_side_file *list = grow(tree->side_files, tree->n_side_files, sizeof(*list));
    if (list == NULL)
        return false;
    tree->side_files = list;
    list[tree->n_side_files++] = (cli_tree_side_file){*status, is_needed};
    return true;
}
