/* The files of one run: what it writes takes the place of nothing that it reads or writes besides.
 */
#ifndef CLI_RUN_FILES_H
#define CLI_RUN_FILES_H

#include <stddef.h>

#include "cli/parse/name_list.h"
#include "cli/terminal/common.h"

/* What is written decides which names it may have, and whether standard output can take it. */
typedef enum cli_content {
    CLI_MODEL = 0,
    CLI_RANGES,
    CLI_JSON,
    CLI_HTML,
    CLI_MARKDOWN,
    CLI_PICTURE,
    CLI_PLAN,
    CLI_MEASUREMENTS
} cli_content;

#define CLI_OUT         "OUT" /* as the usage calls what has no option of its own */
#define CLI_MAX_WRITTEN 8

typedef struct cli_run_files {
    const cli_common *common;
    int status; /* exit code of the first thing that is wrong, which was said; then nothing more is
                 */
    size_t n_written;
    struct {
        const char *option, *path;
    } written[CLI_MAX_WRITTEN];
} cli_run_files;

/* With the reports that all commands have. */
cli_run_files cli_run_files_begin(const cli_common *common);

/* Paths may be NULL. What is read is held against what was said to be written before. */
void cli_run_writes(cli_run_files *files, cli_content content, const char *option,
                    const char *path);
void cli_run_reads(cli_run_files *files, const char *path);
void cli_run_reads_all(cli_run_files *files, char *const *paths, size_t n);

/* Finds what cannot be written before the work is done. */
void cli_run_files_try(cli_run_files *files);

#endif
