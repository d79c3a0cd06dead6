/* Folders that a run makes for its outputs. */
#ifndef CLI_FOLDERS_H
#define CLI_FOLDERS_H

#include "cli/parse/name_list.h"
#include "cli/terminal/common.h"

/* The folder that a file is to be in, and those above it. An exit code, after a message. */
int cli_folders_make(cli_list *made, const cli_common *common, const char *file_path);

/* Removes those that nothing came into, and releases the list. */
void cli_folders_sweep(cli_list *made);

#endif
