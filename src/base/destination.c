/* Looks at what is there under the name of an output, and refuses what somebody else planted. */
#define _XOPEN_SOURCE 700 /* readlink */
#include "base/destination.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"

#define MAX_LINKS 40 /* as many as Linux follows */

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
static bool is_ours(const struct stat *status)
{
    return status->st_uid == geteuid() || status->st_uid == 0;
}

/* Where everybody puts links, as in /tmp, nobody's is followed: a link of ours may be moved there.
 */
static bool is_in_anybodys_folder(const char *path)
{
    struct stat status;
    char *folder = strndup(path, oq_folder_length(path));
    bool known = folder != NULL && stat(folder[0] == '\0' ? "." : folder, &status) == 0;
    free(folder);
    return !known || ((status.st_mode & S_IWOTH) != 0 && status.st_uid != geteuid());
}

/* Where the link leads; NULL with errno set. */
static char *read_link(const char *path)
{
    char target[PATH_MAX];
    ssize_t n = readlink(path, target, sizeof(target));
    if (n <= 0 || n == sizeof(target)) {
        errno = n < 0 ? errno : ENAMETOOLONG;
        return NULL;
    }
    size_t n_folder = target[0] == '/' ? 0 : oq_folder_length(path);
    char *next = malloc(n_folder + (size_t)n + 1);
    if (next == NULL)
        return NULL;
    memcpy(next, path, n_folder);
    memcpy(next + n_folder, target, (size_t)n);
    next[n_folder + (size_t)n] = '\0';
    return next;
}

/* What a link of /proc/self/fd says is no path where the open file has none: it leads there itself.
 */
static bool leads_by_itself(const char *link, const char *target)
{
    struct stat status;
    return lstat(target, &status) != 0 && stat(link, &status) == 0;
}

static bool follow_links(char **path, onnxq_error *error)
{
    struct stat status;
    for (int i = 0; i < MAX_LINKS; i++) {
        if (lstat(*path, &status) != 0 || !S_ISLNK(status.st_mode))
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

static bool check_stream(const char *path, const struct stat *status, onnxq_error *error)
{
    if (S_ISDIR(status->st_mode)) {
        errno = EISDIR;
        return fail_system(path, error, "cannot write");
    }
    return is_ours(status) ||
           refuse(path, error, "is no file, and somebody else's", "choose another name");
}

static bool check_unnamed(const char *path, const struct stat *status, onnxq_error *error)
{
    char why[80];
    if (S_ISREG(status->st_mode))
        return true;
    snprintf(why, sizeof(why), "is %s, expected a file or nothing", oq_file_kind(status->st_mode));
    return refuse(path, error, why, "remove it, or choose another name for the output");
}

static void set_rights(struct oq_destination *destination, const struct stat *old, mode_t most)
{
    destination->is_exact = old != NULL && old->st_uid == geteuid();
    destination->rights =
        (destination->is_exact ? old->st_mode & OQ_ANY_RIGHTS : 0666) & (S_IRWXU | most);
}

static bool look_at_named(struct oq_destination *destination, mode_t most, onnxq_error *error)
{
    struct stat status;
    bool exists = stat(destination->path, &status) == 0;
    set_rights(destination, exists ? &status : NULL, most);
    destination->is_stream = exists && !S_ISREG(status.st_mode);
    return !destination->is_stream || check_stream(destination->path, &status, error);
}

static bool look_at_unnamed(struct oq_destination *destination, mode_t most, onnxq_error *error)
{
    struct stat status;
    bool exists = lstat(destination->path, &status) == 0;
    set_rights(destination, exists ? &status : NULL, most);
    return !exists || check_unnamed(destination->path, &status, error);
}

bool oq_destination_find(struct oq_destination *destination, const char *path, bool nobody_named_it,
                         mode_t most, onnxq_error *error)
{
    *destination = (struct oq_destination){.path = strdup(path)};
    if (destination->path == NULL)
        return oq_fail_memory(error);
    if (nobody_named_it)
        return look_at_unnamed(destination, most, error);
    return follow_links(&destination->path, error) && look_at_named(destination, most, error);
}
