#define _XOPEN_SOURCE 700 /* realpath */
#include "report_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "message.h"
#include "path.h"

static bool open_temporary(cli_report_file *file, const char *path)
{
    /* A link stays a link: what it points to is replaced. */
    file->path = realpath(path, NULL);
    if (file->path == NULL)
        file->path = strdup(path);
    size_t capacity = strlen(path) + (file->path != NULL ? strlen(file->path) : 0) + 32;
    file->temporary = malloc(capacity);
    if (file->path == NULL || file->temporary == NULL) {
        free(file->temporary);
        file->temporary = NULL;
        errno = ENOMEM;
        return false;
    }
    snprintf(file->temporary, capacity, "%s.%ld.tmp", file->path, (long)getpid());
    int fd = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0) {
        free(file->temporary);
        file->temporary = NULL;
        return false;
    }
    file->stream = fdopen(fd, "w");
    if (file->stream == NULL)
        close(fd);
    return file->stream != NULL;
}

bool cli_report_file_open(cli_report_file *file, const char *path)
{
    struct stat status;
    *file = (cli_report_file){0};
    if (cli_is_standard_stream(path)) {
        file->stream = stdout;
        return true;
    }
    if (stat(path, &status) != 0 || S_ISREG(status.st_mode))
        return open_temporary(file, path);
    file->stream = fopen(path, "w"); /* a pipe or a device; for a folder this fails */
    return file->stream != NULL;
}

bool cli_report_file_publish(cli_report_file *file)
{
    if (file->stream == stdout) { /* checked when the program ends */
        file->stream = NULL;
        return true;
    }
    bool failed = ferror(file->stream) != 0;
    failed = fclose(file->stream) != 0 || failed;
    file->stream = NULL;
    if (!failed && file->temporary != NULL) {
        failed = rename(file->temporary, file->path) != 0;
        if (!failed) {
            free(file->temporary);
            file->temporary = NULL;
        }
    }
    return !failed;
}

void cli_report_file_close(cli_report_file *file)
{
    if (file->stream != NULL && file->stream != stdout)
        fclose(file->stream);
    if (file->temporary != NULL)
        unlink(file->temporary);
    free(file->temporary);
    free(file->path);
    *file = (cli_report_file){0};
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
    if (cli_report_file_publish(&reports->file))
        return status;
    int result = cli_write_error(common, common->json);
    return status == CLI_EXIT_OK ? result : status;
}
