/* Pages appear under their names when they are complete, as all reports do. */
#include "cli/files/page_files.h"

#include "cli/files/file_paths.h"
#include "cli/terminal/messages.h"

#define N_FORMATS 2

static const char *const option_names[N_FORMATS] = {"--html", "--markdown"};

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

int cli_pages_check(const cli_common *common, const char *path)
{
    for (int i = 0; i < N_FORMATS && path != NULL && !is_stdout(path); i++) {
        const char *page = path_of(common, i);
        if (page != NULL && !is_stdout(page) && cli_is_same_file(page, path))
            return cli_usage(common, NULL, "%s: %s is another file of this run", option_names[i],
                             page);
    }
    return CLI_EXIT_OK;
}

int cli_pages_check_reports(const cli_common *common)
{
    int n_stdout = is_stdout(common->json) + is_stdout(common->html) + is_stdout(common->markdown);
    if (n_stdout > 1)
        return cli_usage(common, "as in --json=FILE, --markdown=FILE",
                         "two reports cannot both go to standard output");
    if (common->html != NULL && common->markdown != NULL && n_stdout == 0 &&
        cli_is_same_file(common->html, common->markdown))
        return cli_usage(common, NULL, "--html and --markdown name the same file");
    int status = cli_report_name_check(common, CLI_REPORT_HTML, "--html", common->html);
    if (status == CLI_EXIT_OK)
        status = cli_report_name_check(common, CLI_REPORT_MARKDOWN, "--markdown", common->markdown);
    if (status == CLI_EXIT_OK)
        status = cli_report_name_check(common, CLI_REPORT_JSON, "--json", common->json);
    return status == CLI_EXIT_OK ? cli_pages_check(common, common->json) : status;
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
