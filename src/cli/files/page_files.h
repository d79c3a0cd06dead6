/* The files of --html and --markdown: what a command tells, as pages. */
#ifndef CLI_PAGE_FILES_H
#define CLI_PAGE_FILES_H

#include "cli/files/report_file.h"
#include "page/page.h"

typedef struct cli_pages {
    cli_report_file files[2]; /* by enum oq_page_format */
    struct oq_page pages[2];
} cli_pages;

/* Writes a section of a page, or all of it. */
typedef void (*cli_page_fn)(const void *report, struct oq_page *page);

/* Whether a report goes to standard output: then no text does. */
bool cli_reports_take_stdout(const cli_common *common);

/* Both return the exit code, after a message. */
int cli_pages_open(cli_pages *pages, const cli_common *common);
int cli_pages_finish(cli_pages *pages, const cli_common *common, int status);

/* Appends to every page that is wanted. */
void cli_pages_write(cli_pages *pages, const char *title, cli_page_fn write, const void *report);

/* Removes what was not published; safe where nothing is open. */
void cli_pages_close(cli_pages *pages);

#endif
