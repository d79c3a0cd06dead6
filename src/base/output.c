/* Temporary files, their names and rights, and the rename that makes them outputs. */
#define _GNU_SOURCE       /* renameat2 */
#define _FILE_OFFSET_BITS 64
#include "base/output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/path.h"

static bool fail_output(struct oq_output *output, onnxq_error *error, const char *what)
{
    oq_fail_errno(error, ONNXQ_ERROR_OUTPUT, errno, "%s", what);
    oq_error_file(error, output->path);
    return false;
}

/* Not to be guessed: others may be able to write to the folder. */
static char *temporary_name(const char *path)
{
    int folder_length = (int)oq_folder_length(path);
    const char *base = oq_base_name(path);
    size_t capacity = strlen(path) + 64;
    char *name = malloc(capacity);
    uint64_t number = 0;
    if (getentropy(&number, sizeof(number)) != 0)
        number = (uint64_t)getpid(); /* good enough for the name to be free */
    /* The base name is cut so that a name of the longest allowed length works too. */
    if (name != NULL)
        snprintf(name, capacity, "%.*s.%.180s.%016" PRIx64 ".tmp", folder_length, path, base,
                 number);
    return name;
}

static bool open_temporary(struct oq_output *output, const struct oq_destination *destination,
                           onnxq_error *error)
{
    for (int attempt = 0; attempt < 10; attempt++) {
        output->temporary = temporary_name(output->path);
        if (output->temporary == NULL)
            return oq_fail_memory(error);
        output->fd = open(output->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                          destination->rights);
        if (output->fd >= 0) {
            /* Where this fails, fewer may read it than before. */
            if (destination->is_exact && fchmod(output->fd, destination->rights) != 0)
                errno = 0;
            return true;
        }
        free(output->temporary);
        output->temporary = NULL;
        if (errno != EEXIST && errno != EINTR)
            break;
    }
    return fail_output(output, error, "cannot create");
}

/* Not every file system can reserve; only a full disk is a failure here. */
static bool reserve(struct oq_output *output, uint64_t nbytes, onnxq_error *error)
{
#if defined(__linux__)
    if (nbytes > 0 && fallocate(output->fd, 0, 0, (off_t)nbytes) != 0 && errno == ENOSPC)
        return fail_output(output, error, "cannot write");
#else
    (void)output, (void)nbytes, (void)error;
#endif
    return true;
}

/* What was no file a moment ago is none now: a file would be written in its place. */
static bool open_stream(struct oq_output *output, onnxq_error *error)
{
    struct stat status;
    output->fd = open(output->path, O_WRONLY | O_CLOEXEC);
    if (output->fd < 0)
        return fail_output(output, error, "cannot open");
    if (fstat(output->fd, &status) == 0 && !S_ISREG(status.st_mode))
        return true;
    errno = EEXIST;
    return fail_output(output, error, "cannot write");
}

static bool open_standard(struct oq_output *output, onnxq_error *error)
{
    output->path = strdup("standard output");
    output->fd = STDOUT_FILENO;
    return output->path != NULL || oq_fail_memory(error);
}

bool oq_is_standard_output(const char *path)
{
    static const char *const names[] = {"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(path, names[i]) == 0)
            return true;
    return false;
}

bool oq_output_open(struct oq_output *output, const char *path, const struct oq_output_terms *terms,
                    onnxq_error *error)
{
    struct oq_destination destination;
    *output = OQ_OUTPUT_CLOSED;
    if (oq_is_standard_output(path))
        return open_standard(output, error);
    bool found =
        oq_destination_find(&destination, path, terms->nobody_named_it, terms->most_rights, error);
    output->path = destination.path;
    if (!found)
        return false;
    if (destination.is_stream)
        return open_stream(output, error);
    return open_temporary(output, &destination, error) && reserve(output, terms->nbytes, error);
}

bool oq_output_write(struct oq_output *output, const void *src, size_t nbytes, onnxq_error *error)
{
    const char *bytes = src;
    while (nbytes > 0) {
        ssize_t n = write(output->fd, bytes, nbytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_output(output, error, "cannot write");
        bytes += n;
        nbytes -= (size_t)n;
    }
    return true;
}

void oq_output_flush(struct oq_output *output)
{
#if defined(__linux__)
    /* Only a hint: what goes wrong here, fsync() reports. */
    if (output->temporary != NULL)
        sync_file_range(output->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
#else
    (void)output;
#endif
}

bool oq_output_finish(struct oq_output *output, bool sync, onnxq_error *error)
{
    if (output->temporary == NULL)
        return true;
    if (sync && fsync(output->fd) != 0 && errno != EINVAL && errno != ENOTSUP)
        return fail_output(output, error, "cannot write to disk");
    int fd = output->fd;
    output->fd = -1;
    if (close(fd) != 0 && errno != EINTR)
        return fail_output(output, error, "cannot write");
    return true;
}

/* The folder that the file is in, or -1. */
static int open_folder(const char *path)
{
    size_t length = oq_folder_length(path);
    char *folder = length == 0 ? strdup(".") : strndup(path, length);
    int fd = folder == NULL ? -1 : open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    return fd;
}

/* A rename is on the disk once its folder is; a folder that cannot be synced is no failure. */
static void sync_folder(const char *path)
{
    int fd = open_folder(path);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

static int rename_onto_nothing(const char *from, const char *to)
{
#if defined(__linux__) && defined(RENAME_NOREPLACE)
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
#endif
    /* link() too fails where the name is taken. */
    return link(from, to) != 0 ? -1 : unlink(from);
}

static int exchange(const char *a, const char *b)
{
#if defined(__linux__) && defined(RENAME_EXCHANGE)
    return renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
#else
    (void)a, (void)b;
    errno = ENOSYS;
    return -1;
#endif
}

/* Nothing is behind the temporary name any more. */
static void forget_temporary(struct oq_output *output)
{
    free(output->temporary);
    output->temporary = NULL;
}

bool oq_output_publish(struct oq_output *output, bool keep_existing, bool sync, onnxq_error *error)
{
    if (output->temporary == NULL)
        return true;
    int failed = keep_existing ? rename_onto_nothing(output->temporary, output->path)
                               : rename(output->temporary, output->path);
    if (failed != 0)
        return fail_output(output, error, "cannot write");
    forget_temporary(output);
    if (sync)
        sync_folder(output->path);
    return true;
}

/*
 * Two renames take far less than a second. Whoever holds the lock for longer is
 * not one of us, and anybody who may read a folder can lock it: hence no
 * waiting for ever, and a folder that cannot be locked is no failure.
 */
static void lock_folder(struct oq_output *output)
{
    const struct timespec pause = {.tv_nsec = 10000000};
    output->lock = open_folder(output->path);
    for (int i = 0; i < 100 && output->lock >= 0; i++) {
        if (flock(output->lock, LOCK_EX | LOCK_NB) == 0 || (errno != EWOULDBLOCK && errno != EINTR))
            return;
        nanosleep(&pause, NULL);
    }
}

static void unlock_folder(struct oq_output *output)
{
    if (output->lock >= 0)
        close(output->lock);
    output->lock = -1;
}

static bool place_anew(struct oq_output *output, onnxq_error *error)
{
    if (!oq_output_publish(output, true, false, error))
        return false;
    output->state = OQ_OUTPUT_PLACED;
    return true;
}

bool oq_output_place(struct oq_output *output, bool keep_existing, onnxq_error *error)
{
    if (output->temporary == NULL)
        return true;
    lock_folder(output);
    if (keep_existing)
        return place_anew(output, error);
    if (exchange(output->temporary, output->path) == 0) {
        output->state = OQ_OUTPUT_EXCHANGED;
        return true;
    }
    return errno == ENOENT ? place_anew(output, error)
                           : oq_output_publish(output, false, false, error);
}

void oq_output_commit(struct oq_output *output, bool sync)
{
    if (output->state == OQ_OUTPUT_EXCHANGED) {
        unlink(output->temporary);
        forget_temporary(output);
    }
    output->state = OQ_OUTPUT_HIDDEN;
    if (sync)
        sync_folder(output->path);
    unlock_folder(output);
}

static void take_back(struct oq_output *output)
{
    if (output->state == OQ_OUTPUT_EXCHANGED)
        exchange(output->temporary, output->path);
    else if (output->state == OQ_OUTPUT_PLACED)
        unlink(output->path);
    output->state = OQ_OUTPUT_HIDDEN;
}

void oq_output_close(struct oq_output *output)
{
    if (output->path == NULL)
        return;
    if (output->fd >= 0 && output->fd != STDOUT_FILENO)
        close(output->fd);
    take_back(output);
    if (output->temporary != NULL)
        unlink(output->temporary);
    unlock_folder(output);
    free(output->temporary);
    free(output->path);
    *output = OQ_OUTPUT_CLOSED;
}
