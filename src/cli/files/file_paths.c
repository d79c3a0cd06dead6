/* Names of outputs, sameness of files, and standard input as a file. */
#define _POSIX_C_SOURCE 200809L
#include "cli/files/file_paths.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/output.h"
#include "base/path.h"
#include "cli/terminal/interrupt.h"

bool cli_is_standard_input(const char *path)
{
    return strcmp(path, CLI_STANDARD_STREAM) == 0;
}

bool cli_is_standard_output(const char *path)
{
    return oq_is_standard_output(path);
}

bool cli_path_exists(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

static bool stat_folder(const char *path, struct stat *status)
{
    char *folder = strndup(path, (size_t)(oq_base_name(path) - path));
    bool ok = folder != NULL && stat(folder[0] == '\0' ? "." : folder, status) == 0;
    free(folder);
    return ok;
}

static bool is_same_inode(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

bool cli_is_same_file(const char *a, const char *b)
{
    struct stat status_a, status_b;
    bool a_exists = stat(a, &status_a) == 0, b_exists = stat(b, &status_b) == 0;
    if (a_exists && b_exists)
        return is_same_inode(&status_a, &status_b);
    if (a_exists || b_exists || strcmp(oq_base_name(a), oq_base_name(b)) != 0)
        return false;
    return stat_folder(a, &status_a) && stat_folder(b, &status_b) &&
           is_same_inode(&status_a, &status_b);
}

/* The length of a stem without one of the suffixes, as "model" of "model.int8". */
static int cut_suffix(const char *stem, int n_stem, const char *const *suffixes)
{
    for (; suffixes != NULL && *suffixes != NULL; suffixes++) {
        int n = (int)strlen(*suffixes), n_left = n_stem - n - 1;
        if (n_left > 0 && stem[n_left] == '.' &&
            strncmp(stem + n_left + 1, *suffixes, (size_t)n) == 0)
            return n_left;
    }
    return n_stem;
}

char *cli_derive_path(const char *model, const char *folder, const char *const *replaced,
                      const char *suffix)
{
    const char *base = oq_base_name(model), *dot = strrchr(base, '.');
    int n_stem = (int)(dot != NULL && dot != base ? (size_t)(dot - base) : strlen(base));
    int n_folder = (int)(base - model);
    n_stem = cut_suffix(base, n_stem, replaced);
    size_t capacity = strlen(model) + (folder != NULL ? strlen(folder) : 0) + strlen(suffix) + 16;
    char *path = malloc(capacity);
    if (path != NULL && folder != NULL)
        snprintf(path, capacity, "%s%s%.*s.%s.onnx", folder, oq_base_name(folder)[0] ? "/" : "",
                 n_stem, base, suffix);
    else if (path != NULL)
        snprintf(path, capacity, "%.*s%.*s.%s.onnx", n_folder, model, n_stem, base, suffix);
    return path;
}

/* --- standard input -------------------------------------------------------- */

/* A file that is redirected from its beginning can be opened once more as it is. */
static bool is_whole_file(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && lseek(fd, 0, SEEK_CUR) == 0;
}

static int open_unlinked(void)
{
    char path[PATH_MAX];
    const char *folder = getenv("TMPDIR");
    if (folder == NULL || folder[0] == '\0')
        folder = "/tmp";
    if (snprintf(path, sizeof(path), "%s/onnxq-XXXXXX", folder) >= (int)sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int fd = mkstemp(path);
    if (fd >= 0)
        unlink(path);
    return fd;
}

static bool write_all(int fd, const char *src, size_t nbytes)
{
    while (nbytes > 0) {
        ssize_t n = write(fd, src, nbytes);
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0) {
            src += n;
            nbytes -= (size_t)n;
        }
    }
    return true;
}

static cli_input_result copy_all(int from, int to)
{
    enum { CHUNK_NBYTES = 1 << 15 };
    char chunk[CHUNK_NBYTES];
    for (;;) {
        ssize_t n = read(from, chunk, sizeof(chunk));
        if (cli_interrupt_signal() != 0)
            return CLI_INPUT_INTERRUPTED;
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0 ? CLI_INPUT_OK : CLI_INPUT_NOT_READ;
        if (!write_all(to, chunk, (size_t)n))
            return CLI_INPUT_NOT_SPOOLED;
    }
}

cli_input_result cli_input_open(cli_input *input, const char *path)
{
    *input = (cli_input){.path = path, .fd = -1};
    if (!cli_is_standard_input(path))
        return CLI_INPUT_OK;
    int fd = STDIN_FILENO;
    cli_input_result result = CLI_INPUT_OK;
    if (!is_whole_file(fd)) {
        input->fd = fd = open_unlinked();
        result = fd < 0 ? CLI_INPUT_NOT_SPOOLED : copy_all(STDIN_FILENO, fd);
    }
    snprintf(input->buffer, sizeof(input->buffer), "/dev/fd/%d", fd);
    input->path = input->buffer;
    return result;
}

void cli_input_close(cli_input *input)
{
    if (input->fd >= 0)
        close(input->fd);
    input->fd = -1;
}
