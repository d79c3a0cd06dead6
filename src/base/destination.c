/* Looks at what is there under the name of an output, and refuses what somebody else planted. */
#define _POSIX_C_SOURCE 200809L
#include "base/destination.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/path.h"

#define MAX_LINKS 40 /* as many as Linux follows */

#define OTHERS_WRITE   0002u
#define ALL_READ_WRITE 0666u
#define USER_ANYTHING  0700u

static bool fail_system(const char *path, onnxq_error *error, const char *what)
{
    oq_fail_errno(error, ONNXQ_ERROR_OUTPUT, errno, "%s", what);
    oq_error_file(error, path);
    return false;
}

static bool refuse(const char *path, onnxq_error *error, const char *why, const char *hint)
{
    oq_fail(error, ONNXQ_ERROR_OUTPUT, "cannot write: %s", why);
    oq_error_file(error, path);
    oq_error_hint(error, "%s", hint);
    return false;
}

/* --- links ------------------------------------------------------------------ */

/* Root may write everything anyway, and owns the links of /dev. */
static bool is_ours(const struct oq_file_status *status)
{
    return status->is_mine || status->is_roots;
}

/* Where everybody puts links, as in /tmp, nobody's is followed: a link of ours may be moved there.
 */
static bool is_in_anybodys_folder(const char *path)
{
    struct oq_file_status status;
    char *folder = strndup(path, oq_folder_length(path));
    bool known = folder != NULL && oq_os_status(folder[0] == '\0' ? "." : folder, &status);
    free(folder);
    return !known || ((status.rights & OTHERS_WRITE) != 0 && !status.is_mine);
}

/* Where the link leads; NULL with errno set. */
static char *read_link(const char *path)
{
    char *target = oq_os_read_link(path);
    if (target == NULL || target[0] == '/')
        return target;
    size_t n_folder = oq_folder_length(path), capacity = n_folder + strlen(target) + 1;
    char *next = malloc(capacity);
    if (next != NULL)
        snprintf(next, capacity, "%.*s%s", (int)n_folder, path, target);
    free(target);
    return next;
}

/* What a link of /proc/self/fd says is no path where the open file has none: it leads there itself.
 */
static bool leads_by_itself(const char *link, const char *target)
{
    struct oq_file_status status;
    return !oq_os_link_status(target, &status) && oq_os_status(link, &status);
}

static bool follow_links(char **path, onnxq_error *error)
{
    struct oq_file_status status;
    for (int i = 0; i < MAX_LINKS; i++) {
        if (!oq_os_link_status(*path, &status) || status.type != OQ_FILE_LINK)
            return true;
        if (!is_ours(&status) || is_in_anybodys_folder(*path))
            return refuse(*path, error, "is a link that somebody else may have put there",
                          "name the file that it leads to, or remove it");
        char *target = read_link(*path);
        if (target == NULL)
            return fail_system(*path, error, "cannot write");
        if (leads_by_itself(*path, target)) {
            free(target);
            return true;
        }
        free(*path);
        *path = target;
    }
    errno = ELOOP;
    return fail_system(*path, error, "cannot write");
}

/* --- what is there ---------------------------------------------------------- */

static bool check_stream(const char *path, const struct oq_file_status *status, onnxq_error *error)
{
    if (status->type == OQ_FILE_FOLDER) {
        errno = EISDIR;
        return fail_system(path, error, "cannot write");
    }
    return is_ours(status) ||
           refuse(path, error, "is no file, and somebody else's", "choose another name");
}

static bool check_unnamed(const char *path, const struct oq_file_status *status, onnxq_error *error)
{
    char why[80];
    if (status->type == OQ_FILE_REGULAR)
        return true;
    snprintf(why, sizeof(why), "is %s, expected a file or nothing", oq_file_kind(status->type));
    return refuse(path, error, why, "remove it, or choose another name for the output");
}

static void set_rights(struct oq_destination *destination, const struct oq_file_status *old,
                       unsigned most)
{
    destination->is_exact = old != NULL && old->is_mine;
    destination->rights =
        (destination->is_exact ? old->rights : ALL_READ_WRITE) & (USER_ANYTHING | most);
}

static bool look_at_named(struct oq_destination *destination, unsigned most, onnxq_error *error)
{
    struct oq_file_status status;
    bool exists = oq_os_status(destination->path, &status);
    set_rights(destination, exists ? &status : NULL, most);
    destination->is_stream = exists && status.type != OQ_FILE_REGULAR;
    return !destination->is_stream || check_stream(destination->path, &status, error);
}

static bool look_at_unnamed(struct oq_destination *destination, unsigned most, onnxq_error *error)
{
    struct oq_file_status status;
    bool exists = oq_os_link_status(destination->path, &status);
    set_rights(destination, exists ? &status : NULL, most);
    return !exists || check_unnamed(destination->path, &status, error);
}

bool oq_destination_find(struct oq_destination *destination, const char *path, bool nobody_named_it,
                         unsigned most, onnxq_error *error)
{
    *destination = (struct oq_destination){.path = strdup(path)};
    if (destination->path == NULL)
        return oq_fail_memory(error);
    if (nobody_named_it)
        return look_at_unnamed(destination, most, error);
    return follow_links(&destination->path, error) && look_at_named(destination, most, error);
}
