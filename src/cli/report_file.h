/* The files of --json=FILE and --plot: they appear under their names only when they are complete.
 */
#ifndef CLI_REPORT_FILE_H
#define CLI_REPORT_FILE_H

#include <stdbool.h>
#include <stdio.h>

#include "option.h"

typedef struct cli_report_file {
    FILE *stream;    /* to write to; standard output for "-" */
    char *path;      /* NULL where the stream has no name to get */
    char *temporary; /* likewise */
} cli_report_file;

/* Both return false with errno set. */
bool cli_report_file_open(cli_report_file *file, const char *path);
bool cli_report_file_publish(cli_report_file *file); /* closes it, too */

/* Removes what was not published; safe after a failed open and after publish. */
void cli_report_file_close(cli_report_file *file);

/* What --json says of models: one report, or an array of them. */
typedef struct cli_reports {
    cli_report_file file; /* stream NULL: nobody asked */
    bool is_array;
    size_t count;
} cli_reports;

/* Where the next report goes; NULL: nowhere. */
FILE *cli_reports_next(cli_reports *reports);

/* Publishes them, if there are any. Returns the exit code: `status` where that is a failure. */
int cli_reports_finish(cli_reports *reports, const cli_common *common, int status);

#endif
