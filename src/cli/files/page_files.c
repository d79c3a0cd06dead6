/* Pages appear under their names when they are complete, as all reports do. */
#include "cli/files/page_files.h"

#include "cli/terminal/messages.h"

#define N_FORMATS 2

static const char *path_of(const cli_common *common, int format)
{
    return format == OQ_PAGE_HTML ? common->html : common->markdown;
}

static bool is_stdout(const char *path)
{
    return path != NULL && oq_is_standard_output(path);
}

bool cli_reports_take_stdout(const cli_common *common)
{
    return is_stdout(common->json) || is_stdout(common->html) || is_stdout(common->markdown);
}

int cli_pages_open(cli_pages *pages, const cli_common *common)
{
    int status = CLI_EXIT_OK;
    for (int i = 0; i < N_FORMATS && status == CLI_EXIT_OK; i++)
        if (path_of(common, i) != NULL)
            status = cli_report_file_open(&pages->files[i], common, path_of(common, i));
    return status;
}

void cli_pages_write(cli_pages *pages, const char *title, cli_page_fn write, const void *report)
{
    for (int i = 0; i < N_FORMATS; i++) {
        struct oq_page *page = &pages->pages[i];
        if (pages->files[i].stream == NULL)
            continue;
        if (page->stream == NULL)
            oq_page_open(page, pages->files[i].stream, (enum oq_page_format)i, title);
        write(report, page);
    }
}

int cli_pages_finish(cli_pages *pages, const cli_common *common, int status)
{
    for (int i = 0; i < N_FORMATS; i++) {
        int result = CLI_EXIT_OK;
        if (pages->pages[i].stream == NULL)
            continue;
        if (!oq_page_close(&pages->pages[i]))
            result = cli_memory_error(common);
        else
            result = cli_report_file_publish(&pages->files[i], common);
        pages->pages[i].stream = NULL;
        status = result != CLI_EXIT_OK && status <= CLI_EXIT_NO ? result : status;
    }
    return status;
}

void cli_pages_close(cli_pages *pages)
{
    for (int i = 0; i < N_FORMATS; i++)
        cli_report_file_close(&pages->files[i]);
}
