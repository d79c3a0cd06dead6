/* The file of --json=FILE: it appears under its name only when it is complete. */
#ifndef CLI_REPORT_FILE_H
#define CLI_REPORT_FILE_H

#include <stdbool.h>
#include <stdio.h>

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

#endif
