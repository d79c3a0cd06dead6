/* Temporary files, their names and rights, and the rename that makes them outputs. */
#define _POSIX_C_SOURCE 200809L
#include "base/output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
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
    if (!oq_os_random(&number, sizeof(number)))
        number = oq_now_ns(); /* good enough for the name to be free */
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
        output->fd = oq_os_create(output->temporary, destination->rights, destination->is_exact);
        if (output->fd >= 0)
            return true;
        free(output->temporary);
        output->temporary = NULL;
        if (errno != EEXIST && errno != EINTR)
            break;
    }
    return fail_output(output, error, "cannot create");
}

/* What was no file a moment ago is none now: a file would be written in its place. */
static bool open_stream(struct oq_output *output, onnxq_error *error)
{
    struct oq_file_status status;
    output->fd = oq_os_open_stream(output->path);
    if (output->fd < 0)
        return fail_output(output, error, "cannot open");
    if (oq_os_open_status(output->fd, &status) && status.type != OQ_FILE_REGULAR)
        return true;
    errno = EEXIST;
    return fail_output(output, error, "cannot write");
}

static bool open_standard(struct oq_output *output, onnxq_error *error)
{
    output->path = strdup("standard output");
    output->fd = OQ_STANDARD_OUTPUT;
    return output->path != NULL || oq_fail_memory(error);
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
    return open_temporary(output, &destination, error) &&
           (oq_os_reserve(output->fd, terms->nbytes) || fail_output(output, error, "cannot write"));
}

bool oq_output_write(struct oq_output *output, const void *src, size_t nbytes, onnxq_error *error)
{
    return oq_os_write(output->fd, src, nbytes) || fail_output(output, error, "cannot write");
}

void oq_output_flush(struct oq_output *output)
{
    if (output->temporary != NULL)
        oq_os_start_sync(output->fd);
}

bool oq_output_finish(struct oq_output *output, bool sync, onnxq_error *error)
{
    if (output->temporary == NULL)
        return true;
    if (sync && !oq_os_sync(output->fd))
        return fail_output(output, error, "cannot write to disk");
    int fd = output->fd;
    output->fd = -1;
    if (!oq_os_close(fd))
        return fail_output(output, error, "cannot write");
    return true;
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
    bool ok = keep_existing ? oq_os_rename_to_new(output->temporary, output->path)
                            : rename(output->temporary, output->path) == 0;
    if (!ok)
        return fail_output(output, error, "cannot write");
    forget_temporary(output);
    if (sync)
        oq_os_sync_folder_of(output->path);
    return true;
}

static void unlock_folder(struct oq_output *output)
{
    if (output->lock >= 0)
        oq_os_close(output->lock);
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
    output->lock = oq_os_lock_folder_of(output->path);
    if (keep_existing)
        return place_anew(output, error);
    if (oq_os_exchange(output->temporary, output->path)) {
        output->state = OQ_OUTPUT_EXCHANGED;
        return true;
    }
    return errno == ENOENT ? place_anew(output, error)
                           : oq_output_publish(output, false, false, error);
}

void oq_output_commit(struct oq_output *output, bool sync)
{
    if (output->state == OQ_OUTPUT_EXCHANGED) {
        remove(output->temporary);
        forget_temporary(output);
    }
    output->state = OQ_OUTPUT_HIDDEN;
    if (sync)
        oq_os_sync_folder_of(output->path);
    unlock_folder(output);
}

static void take_back(struct oq_output *output)
{
    if (output->state == OQ_OUTPUT_EXCHANGED)
        oq_os_exchange(output->temporary, output->path);
    else if (output->state == OQ_OUTPUT_PLACED)
        remove(output->path);
    output->state = OQ_OUTPUT_HIDDEN;
}

void oq_output_close(struct oq_output *output)
{
    if (output->path == NULL)
        return;
    if (output->fd >= 0 && output->fd != OQ_STANDARD_OUTPUT)
        oq_os_close(output->fd);
    take_back(output);
    if (output->temporary != NULL)
        remove(output->temporary);
    unlock_folder(output);
    free(output->temporary);
    free(output->path);
    *output = OQ_OUTPUT_CLOSED;
}
