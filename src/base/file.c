/* Opening, checking and reading of input files, by position. */
#define _POSIX_C_SOURCE 200809L
#include "base/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

const char *oq_file_kind(enum oq_file_type type)
{
    static const char *const names[] = {
        [OQ_FILE_REGULAR] = "a file", [OQ_FILE_FOLDER] = "a folder", [OQ_FILE_LINK] = "a link",
        [OQ_FILE_FIFO] = "a FIFO",    [OQ_FILE_SOCKET] = "a socket", [OQ_FILE_DEVICE] = "a device"};
    return names[type];
}

unsigned oq_file_rights(const struct oq_file *file)
{
    return file->status.has_name ? file->status.rights : OQ_ANY_RIGHTS;
}

bool oq_file_open(struct oq_file *file, const char *path, onnxq_error *error)
{
    *file = (struct oq_file){.fd = oq_os_open(path)};
    if (file->fd < 0)
        return oq_fail_errno(error, ONNXQ_ERROR_INPUT, errno, "cannot open");
    file->path = strdup(path);
    if (file->path == NULL) {
        oq_fail_memory(error);
    } else if (!oq_os_open_status(file->fd, &file->status)) {
        oq_fail_errno(error, ONNXQ_ERROR_INPUT, errno, "cannot read");
    } else if (file->status.type != OQ_FILE_REGULAR) {
        oq_fail(error, ONNXQ_ERROR_INPUT, "is %s, expected a file",
                oq_file_kind(file->status.type));
    } else {
        file->nbytes = file->status.nbytes;
        return true;
    }
    oq_file_close(file);
    return false;
}

void oq_file_release_descriptor(struct oq_file *file)
{
    if (file->fd >= 0)
        oq_os_close(file->fd);
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
        int64_t n = oq_os_read_at(fd, dst, nbytes, offset);
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
    struct oq_file_status status;
    int fd = oq_os_open(file->path);
    if (fd < 0) {
        oq_fail_errno(error, ONNXQ_ERROR_INPUT, errno, "cannot open");
        return -1;
    }
    if (oq_os_open_status(fd, &status) && oq_is_same_file(&status, &file->status))
        return fd;
    oq_fail(error, ONNXQ_ERROR_INPUT, "is another file now: it was replaced while it was read");
    oq_os_close(fd);
    return -1;
}

bool oq_file_read(const struct oq_file *file, uint64_t offset, void *dst, size_t nbytes,
                  onnxq_error *error)
{
    if (file->memory != NULL) {
        memcpy(dst, (const char *)file->memory + offset, nbytes);
        return true;
    }
    int fd = file->fd >= 0 ? file->fd : open_again(file, error);
    bool ok = fd >= 0 && read_all(fd, offset, dst, nbytes, error);
    if (!ok)
        oq_error_file(error, file->path);
    if (fd >= 0 && fd != file->fd)
        oq_os_close(fd);
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
