/* The files of --json=FILE and --plot: they appear under their names only when they are complete.
 */
#ifndef CLI_REPORT_FILE_H
#define CLI_REPORT_FILE_H

#include <stdbool.h>
#include <stdio.h>

#include "base/output.h"
#include "cli/parse/option.h"

typedef struct cli_report_file {
    FILE *stream; /* to write to; standard output for "-"; NULL where it is not open */
    struct oq_output output;
    const char *path; /* as it was given */
} cli_report_file;

/* The exit code of what could not be written, before the work is done. */
int cli_output_try(const cli_common *common, const char *path);

/* Both return the exit code, and say what went wrong. */
int cli_report_file_open(cli_report_file *file, const cli_common *common, const char *path);
int cli_report_file_publish(cli_report_file *file, const cli_common *common); /* closes it, too */

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
