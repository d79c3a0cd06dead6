/*
 * A folder of models that is mirrored: its models become jobs, its other files are copied, and
 * the side files of models stay where they are, as the new models have their own.
 */
#ifndef CLI_TREE_H
#define CLI_TREE_H

#include "base/os.h"
#include "cli/parse/name_list.h"
#include "cli/terminal/common.h"

typedef enum cli_tree_kind {
    CLI_TREE_OTHER = 0,
    CLI_TREE_MODEL,       /* and nothing was made of it */
    CLI_TREE_MODEL_MADE,  /* another one was */
    CLI_TREE_MODEL_COPIED /* as it is: it needs its side files */
} cli_tree_kind;

typedef struct cli_tree_file {
    char *path;
    const char *relative; /* the end of path, from the tree's folder on */
    cli_tree_kind kind;
} cli_tree_file;

/* Side files of models, by what tells files apart whatever their names. */
typedef struct cli_tree_side_file {
    struct oq_file_status status;
    bool is_needed; /* by a model that was copied */
} cli_tree_side_file;

typedef struct cli_tree {
    cli_tree_file *files;
    size_t n_files;
    cli_tree_side_file *side_files;
    size_t n_side_files;
    bool keeps_names; /* of models, so that new side files take the names of old ones */
    size_t n_copied, n_there, n_failed; /* of the other files; there: the same already */
} cli_tree;

/* How other files are copied. */
typedef struct cli_tree_copy {
    const cli_common *common;
    cli_list *made;     /* folders */
    const char *folder; /* that the tree is of, and all other files have to lie in */
    const char *output_dir;
    const char *left_out; /* name of a file that the run writes itself, or NULL */
    bool dry_run, force, sync;
} cli_tree_copy;

/*
 * All files under a folder, sorted, without those in `skipped` (NULL: none) and in hidden folders;
 * links to files count, links to folders are not followed. An exit code, after messages: what can
 * be read is in the tree all the same.
 */
int cli_tree_read(cli_tree *tree, const cli_common *common, const char *folder,
                  const char *skipped);
void cli_tree_free(cli_tree *tree);

/* Notes a side file of a model; false where memory ran out. */
bool cli_tree_note_side_file(cli_tree *tree, const struct oq_file_status *status, bool is_needed);

/* A file to another place, as a whole or not at all. An exit code, after a message. */
int cli_tree_copy_file(const cli_tree_copy *copy, const char *from, const char *to);

/* All other files that go along, past those that fail. The worst exit code. */
int cli_tree_copy_others(cli_tree *tree, const cli_tree_copy *copy);

#endif
