/* Opening, checking and reading of input files, by position. */
#define _POSIX_C_SOURCE   200809L
#define _FILE_OFFSET_BITS 64
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"

const char *oq_file_kind(mode_t mode)
{
    if (S_ISLNK(mode))
        return "a link";
    if (S_ISDIR(mode))
        return "a folder";
    if (S_ISFIFO(mode))
        return "a FIFO";
    if (S_ISSOCK(mode))
        return "a socket";
    return "a device";
}

/* O_NONBLOCK: opening a FIFO that nobody writes to must not hang. */
static int open_for_reading(const char *path)
{
    int fd;
    do {
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

bool oq_file_open(struct oq_file *file, const char *path, onnxq_error *error)
{
    struct stat status;
    *file = (struct oq_file){.fd = open_for_reading(path)};
    if (file->fd < 0)
        return oq_fail_errno(error, ONNXQ_ERROR_INPUT, errno, "cannot open");
    file->path = strdup(path);
    if (file->path == NULL) {
        oq_fail_memory(error);
    } else if (fstat(file->fd, &status) != 0) {
        oq_fail_errno(error, ONNXQ_ERROR_INPUT, errno, "cannot read");
    } else if (!S_ISREG(status.st_mode)) {
        oq_fail(error, ONNXQ_ERROR_INPUT, "is %s, expected a file", oq_file_kind(status.st_mode));
    } else {
        file->nbytes = (uint64_t)status.st_size;
        file->device = status.st_dev;
        file->inode = status.st_ino;
        file->rights = status.st_nlink > 0 ? status.st_mode & 0777 : 0777;
        return true;
    }
    oq_file_close(file);
    return false;
}

void oq_file_release_descriptor(struct oq_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

void oq_file_close(struct oq_file *file)
{
    oq_file_release_descriptor(file);
    free(file->path);
    file->path = NULL;
}

static bool read_all(int fd, uint64_t offset, char *dst, size_t nbytes, onnxq_error *error)
{
    while (nbytes > 0) {
        ssize_t n = pread(fd, dst, nbytes, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return oq_fail_errno(error, ONNXQ_ERROR_INPUT, errno, "cannot read");
        if (n == 0)
            return oq_fail(error, ONNXQ_ERROR_INPUT, "ends early: it changed while it was read");
        dst += n;
        offset += (uint64_t)n;
        nbytes -= (size_t)n;
    }
    return true;
}

/* A file that is opened again may be another one by now. */
static int open_again(const struct oq_file *file, onnxq_error *error)
{
    struct stat status;
    int fd = open_for_reading(file->path);
    if (fd < 0) {
        oq_fail_errno(error, ONNXQ_ERROR_INPUT, errno, "cannot open");
        return -1;
    }
    if (fstat(fd, &status) == 0 && status.st_dev == file->device && status.st_ino == file->inode)
        return fd;
    oq_fail(error, ONNXQ_ERROR_INPUT, "is another file now: it was replaced while it was read");
    close(fd);
    return -1;
}

bool oq_file_read(const struct oq_file *file, uint64_t offset, void *dst, size_t nbytes,
                  onnxq_error *error)
{
    int fd = file->fd >= 0 ? file->fd : open_again(file, error);
    bool ok = fd >= 0 && read_all(fd, offset, dst, nbytes, error);
    if (!ok)
        oq_error_file(error, file->path);
    if (fd >= 0 && fd != file->fd)
        close(fd);
    return ok;
}

bool oq_file_compare(const struct oq_file *a, uint64_t at_a, const struct oq_file *b, uint64_t at_b,
                     uint64_t nbytes, bool *same, onnxq_error *error)
{
    uint8_t left[16384], right[sizeof(left)];
    for (uint64_t done = 0; done < nbytes && *same; done += sizeof(left)) {
        size_t n = (size_t)oq_min_u64(nbytes - done, sizeof(left));
        if (!oq_file_read(a, at_a + done, left, n, error) ||
            !oq_file_read(b, at_b + done, right, n, error))
            return false;
        *same = memcmp(left, right, n) == 0;
    }
    return true;
}
