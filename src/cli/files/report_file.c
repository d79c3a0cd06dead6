/* Reports are outputs like models: oq_output writes them, through a stream. */
#define _POSIX_C_SOURCE 200809L
#include "cli/files/report_file.h"

#include <errno.h>

#include "base/os.h"
#include "cli/terminal/messages.h"

/* A report tells names and sizes, and of no model alone: the umask decides who may read it. */
static bool open_file(cli_report_file *file, const char *path, onnxq_error *error)
{
    const struct oq_output_terms terms = {.most_rights = OQ_ANY_RIGHTS};
    if (!oq_output_open(&file->output, path, &terms, error))
        return false;
    file->stream = oq_os_stream(file->output.fd);
    if (file->stream != NULL)
        return true;
    oq_fail_errno(error, ONNXQ_ERROR_OUTPUT, errno, "cannot write");
    oq_error_file(error, path);
    return false;
}

/* A stream is not opened twice: whoever reads from it would take that for its end. */
static bool is_stream(const char *path)
{
    struct oq_file_status status;
    return oq_is_standard_output(path) ||
           (oq_os_status(path, &status) && status.type != OQ_FILE_REGULAR &&
            status.type != OQ_FILE_FOLDER);
}

int cli_output_try(const cli_common *common, const char *path)
{
    cli_report_file file = {.output = OQ_OUTPUT_CLOSED};
    onnxq_error error;
    oq_error_init(&error);
    if (is_stream(path))
        return CLI_EXIT_OK;
    bool ok = open_file(&file, path, &error);
    cli_report_file_close(&file);
    return ok ? CLI_EXIT_OK : cli_library_error(common, &error);
}

int cli_report_file_open(cli_report_file *file, const cli_common *common, const char *path)
{
    onnxq_error error;
    oq_error_init(&error);
    *file = (cli_report_file){.output = OQ_OUTPUT_CLOSED, .path = path};
    if (oq_is_standard_output(path)) {
        file->stream = stdout;
        return CLI_EXIT_OK;
    }
    return open_file(file, path, &error) ? CLI_EXIT_OK : cli_library_error(common, &error);
}

int cli_report_file_publish(cli_report_file *file, const cli_common *common)
{
    onnxq_error error;
    oq_error_init(&error);
    FILE *stream = file->stream;
    file->stream = NULL;
    if (stream == stdout) /* checked when the program ends */
        return CLI_EXIT_OK;
    bool failed = ferror(stream) != 0;
    if (fclose(stream) != 0 || failed)
        return cli_write_error(common, file->path);
    if (oq_output_finish(&file->output, false, &error) &&
        oq_output_publish(&file->output, false, false, &error))
        return CLI_EXIT_OK;
    return cli_library_error(common, &error);
}

void cli_report_file_close(cli_report_file *file)
{
    if (file->stream != NULL && file->stream != stdout)
        fclose(file->stream);
    file->stream = NULL;
    oq_output_close(&file->output);
}

FILE *cli_reports_next(cli_reports *reports)
{
    if (reports->file.stream != NULL && reports->is_array)
        fputs(reports->count == 0 ? "[\n" : ",\n", reports->file.stream);
    reports->count++;
    return reports->file.stream;
}

int cli_reports_finish(cli_reports *reports, const cli_common *common, int status)
{
    if (reports->file.stream == NULL || (reports->count == 0 && !reports->is_array))
        return status;
    if (reports->is_array)
        fputs(reports->count == 0 ? "[]\n" : "]\n", reports->file.stream);
    int result = cli_report_file_publish(&reports->file, common);
    return status == CLI_EXIT_OK ? result : status;
}
