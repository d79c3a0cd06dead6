/* Names of files that contradict each other, or what is in them, before anything is opened. */
#include "cli/files/run_files.h"

#include "base/os.h"
#include "cli/files/file_paths.h"
#include "cli/files/report_file.h"
#include "cli/parse/file_kind.h"
#include "cli/terminal/messages.h"

/* A name with the ending of another format would not be opened by what opens files by their names.
 */
static const struct {
    const char *what, *is, *hint;
    const char *endings[5];
    bool needs_file;
} contents[] = {
    [CLI_RANGES] = {"ranges", "ranges are JSON", "as in model.ranges.json", {".json"}, false},
    [CLI_JSON] = {"a report",
                  "the report is JSON",
                  "as in --json=report.json",
                  {".json", ".jsonl", ".txt", ".log"},
                  false},
    [CLI_HTML] =
        {"a page", "the page is HTML", "as in --html report.html", {".html", ".htm"}, false},
    [CLI_MARKDOWN] =
        {"a page", "the page is Markdown", "as in --markdown=report.md", {".md", ".txt"}, false},
    [CLI_PICTURE] =
        {"a picture", "the picture is an SVG", "as in --plot model.svg", {".svg"}, true},
    [CLI_PLAN] = {"a plan", "the plan is JSON", "as in --save-plan plan.json", {".json"}, true},
    [CLI_MEASUREMENTS] =
        {"measurements", "measurements are JSON", "as in --resume measured.json", {".json"}, true},
};

static bool has_ending(cli_content content, const char *path)
{
    for (size_t i = 0; contents[content].endings[i] != NULL; i++)
        if (cli_has_ending(path, contents[content].endings[i]))
            return true;
    return false;
}

static int check_name(const cli_common *common, cli_content content, const char *option,
                      const char *path)
{
    const cli_file_kind kind = cli_kind_of_name(path);
    if (content == CLI_MODEL)
        return kind != CLI_OTHER_FILE
                   ? CLI_EXIT_OK
                   : cli_usage(common, "a model's name ends in .onnx; --json=FILE writes a report",
                               "%s: not the name of a model", path);
    if (oq_is_standard_output(path))
        return !contents[content].needs_file
                   ? CLI_EXIT_OK
                   : cli_usage(common, contents[content].hint, "%s: standard output cannot take %s",
                               option, contents[content].what);
    if (kind == CLI_MODEL_FILE)
        return cli_usage(common, contents[content].hint,
                         "%s: %s is the name of a model, for a file that is none", option, path);
    return kind == CLI_ANY_FILE || has_ending(content, path)
               ? CLI_EXIT_OK
               : cli_usage(common, contents[content].hint, "%s: %s: %s", option, path,
                           contents[content].is);
}

static int check_distinct(const cli_run_files *files, const char *option, const char *path)
{
    const bool is_stdout = oq_is_standard_output(path);
    for (size_t i = 0; i < files->n_written; i++) {
        const char *other = files->written[i].path;
        if (is_stdout != oq_is_standard_output(other) ||
            (!is_stdout && !cli_is_same_file(path, other)))
            continue;
        return is_stdout ? cli_usage(files->common, "as in --json=FILE, --markdown=FILE",
                                     "%s and %s cannot both go to standard output",
                                     files->written[i].option, option)
                         : cli_usage(files->common, NULL, "%s and %s name the same file",
                                     files->written[i].option, option);
    }
    return CLI_EXIT_OK;
}

void cli_run_writes(cli_run_files *files, cli_content content, const char *option, const char *path)
{
    if (path == NULL || files->status != CLI_EXIT_OK)
        return;
    files->status = check_name(files->common, content, option, path);
    if (files->status == CLI_EXIT_OK)
        files->status = check_distinct(files, option, path);
    if (files->n_written < CLI_MAX_WRITTEN) {
        files->written[files->n_written].option = option;
        files->written[files->n_written++].path = path;
    }
}

cli_run_files cli_run_files_begin(const cli_common *common)
{
    cli_run_files files = {.common = common};
    cli_run_writes(&files, CLI_JSON, "--json", common->json);
    cli_run_writes(&files, CLI_HTML, "--html", common->html);
    cli_run_writes(&files, CLI_MARKDOWN, "--markdown", common->markdown);
    return files;
}

void cli_run_reads(cli_run_files *files, const char *path)
{
    for (size_t i = 0; path != NULL && i < files->n_written && files->status == CLI_EXIT_OK; i++)
        if (!oq_is_standard_output(files->written[i].path) &&
            cli_is_same_file(files->written[i].path, path))
            files->status = cli_usage(files->common, NULL, "%s: %s is a file that this run reads",
                                      files->written[i].option, files->written[i].path);
}

void cli_run_reads_all(cli_run_files *files, char *const *paths, size_t n)
{
    for (size_t i = 0; i < n; i++)
        cli_run_reads(files, paths[i]);
}

void cli_run_files_try(cli_run_files *files)
{
    for (size_t i = 0; i < files->n_written && files->status == CLI_EXIT_OK; i++)
        files->status = cli_output_try(files->common, files->written[i].path);
}
