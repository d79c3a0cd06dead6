/* The operating system by its POSIX calls, and those of Linux where they do more. */
#define _GNU_SOURCE       /* renameat2, fallocate, sync_file_range, sched_getaffinity */
#define _FILE_OFFSET_BITS 64
#include "base/os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/path.h"

/* --- what is there ----------------------------------------------------------- */

static enum oq_file_type type_of(mode_t mode)
{
    return S_ISREG(mode)    ? OQ_FILE_REGULAR
           : S_ISDIR(mode)  ? OQ_FILE_FOLDER
           : S_ISLNK(mode)  ? OQ_FILE_LINK
           : S_ISFIFO(mode) ? OQ_FILE_FIFO
           : S_ISSOCK(mode) ? OQ_FILE_SOCKET
                            : OQ_FILE_DEVICE;
}

static bool take_status(int result, const struct stat *found, struct oq_file_status *status)
{
    if (result == 0)
        *status = (struct oq_file_status){.type = type_of(found->st_mode),
                                          .nbytes = (uint64_t)found->st_size,
                                          .device = (uint64_t)found->st_dev,
                                          .inode = (uint64_t)found->st_ino,
                                          .rights = (unsigned)found->st_mode & OQ_ANY_RIGHTS,
                                          .has_name = found->st_nlink > 0,
                                          .is_mine = found->st_uid == geteuid(),
                                          .is_roots = found->st_uid == 0};
    return result == 0;
}

bool oq_os_status(const char *path, struct oq_file_status *status)
{
    struct stat found;
    return take_status(stat(path, &found), &found, status);
}

bool oq_os_link_status(const char *path, struct oq_file_status *status)
{
    struct stat found;
    return take_status(lstat(path, &found), &found, status);
}

bool oq_os_open_status(int fd, struct oq_file_status *status)
{
    struct stat found;
    return take_status(fstat(fd, &found), &found, status);
}

char *oq_os_real_path(const char *path)
{
    return realpath(path, NULL);
}

char *oq_os_real_path_of(int fd)
{
    char path[32];
    struct stat found;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (lstat(path, &found) == 0)
        return realpath(path, NULL);
    errno = ENOSYS;
    return NULL;
}

char *oq_os_read_link(const char *path)
{
    char target[PATH_MAX];
    ssize_t n = readlink(path, target, sizeof(target));
    if (n > 0 && n < (ssize_t)sizeof(target))
        return strndup(target, (size_t)n);
    errno = n < 0 ? errno : ENAMETOOLONG;
    return NULL;
}

void oq_os_descriptor_path(int fd, char *path, size_t capacity)
{
    snprintf(path, capacity, "/dev/fd/%d", fd);
}

bool oq_is_standard_output(const char *path)
{
    static const char *const names[] = {"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(path, names[i]) == 0)
            return true;
    return false;
}

bool oq_os_is_terminal(FILE *stream)
{
    int fd = fileno(stream);
    return fd >= 0 && isatty(fd);
}

/* --- open files -------------------------------------------------------------- */

int oq_os_open(const char *path)
{
    int fd;
    do {
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

int oq_os_create(const char *path, unsigned rights, bool are_exact)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, (mode_t)rights);
    /* Where this fails, fewer may read it than should. */
    if (fd >= 0 && are_exact && fchmod(fd, (mode_t)rights) != 0)
        errno = 0;
    return fd;
}

int oq_os_create_unnamed(const char *folder)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof(path), "%s/onnxq-XXXXXX", folder) >= (int)sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int fd = mkstemp(path);
    if (fd >= 0)
        unlink(path);
    return fd;
}

int oq_os_open_stream(const char *path)
{
    return open(path, O_WRONLY | O_CLOEXEC);
}

FILE *oq_os_stream(int fd)
{
    int copy = dup(fd);
    FILE *stream = copy < 0 ? NULL : fdopen(copy, "w");
    if (stream == NULL && copy >= 0)
        close(copy);
    return stream;
}

bool oq_os_is_at_beginning(int fd)
{
    return lseek(fd, 0, SEEK_CUR) == 0;
}

int64_t oq_os_read(int fd, void *dst, size_t nbytes)
{
    return read(fd, dst, nbytes);
}

int64_t oq_os_read_at(int fd, void *dst, size_t nbytes, uint64_t offset)
{
    ssize_t n;
    do {
        n = pread(fd, dst, nbytes, (off_t)offset);
    } while (n < 0 && errno == EINTR);
    return n;
}

bool oq_os_write(int fd, const void *src, size_t nbytes)
{
    for (const char *bytes = src; nbytes > 0;) {
        ssize_t n = write(fd, bytes, nbytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        bytes += n;
        nbytes -= (size_t)n;
    }
    return true;
}

bool oq_os_reserve(int fd, uint64_t nbytes)
{
#if defined(__linux__)
    return nbytes == 0 || fallocate(fd, 0, 0, (off_t)nbytes) == 0 || errno != ENOSPC;
#else
    return (void)fd, (void)nbytes, true;
#endif
}

/* Only a hint: what goes wrong here, fsync() reports. */
void oq_os_start_sync(int fd)
{
#if defined(__linux__)
    sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
#else
    (void)fd;
#endif
}

bool oq_os_sync(int fd)
{
    return fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP;
}

bool oq_os_close(int fd)
{
    return close(fd) == 0 || errno == EINTR;
}

/* --- names ------------------------------------------------------------------- */

bool oq_os_rename_to_new(const char *from, const char *to)
{
#if defined(__linux__) && defined(RENAME_NOREPLACE)
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return true;
    if (errno != EINVAL && errno != ENOSYS)
        return false;
#endif
    /* link() too fails where the name is taken. */
    return link(from, to) == 0 && unlink(from) == 0;
}

bool oq_os_exchange(const char *a, const char *b)
{
#if defined(__linux__) && defined(RENAME_EXCHANGE)
    return renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) == 0;
#else
    (void)a, (void)b;
    errno = ENOSYS;
    return false;
#endif
}

static int open_folder_of(const char *path)
{
    size_t length = oq_folder_length(path);
    char *folder = length == 0 ? strdup(".") : strndup(path, length);
    int fd = folder == NULL ? -1 : open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    return fd;
}

void oq_os_sync_folder_of(const char *path)
{
    int fd = open_folder_of(path);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

/*
 * What is done under the lock, two renames, takes far less than a second. Whoever holds it for
 * longer is not one of us, and anybody who may read a folder can lock it: hence no waiting for
 * ever, and a folder that cannot be locked is no failure.
 */
int oq_os_lock_folder_of(const char *path)
{
    const struct timespec pause = {.tv_nsec = 10000000};
    int fd = open_folder_of(path);
    for (int i = 0; i < 100 && fd >= 0; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0 || (errno != EWOULDBLOCK && errno != EINTR))
            break;
        nanosleep(&pause, NULL);
    }
    return fd;
}

bool oq_os_link(const char *file, const char *name)
{
    return link(file, name) == 0;
}

const char *oq_os_temporary_folder(void)
{
    const char *folder = getenv("TMPDIR");
    return folder != NULL && folder[0] != '\0' ? folder : "/tmp";
}

bool oq_os_make_folder(const char *path)
{
    return mkdir(path, 0777) == 0;
}

bool oq_os_make_new_folder(char *path)
{
    return mkdtemp(path) != NULL;
}

void oq_os_remove_folder(const char *path)
{
    rmdir(path);
}

struct oq_os_folder *oq_os_open_folder(const char *path)
{
    return (struct oq_os_folder *)opendir(path);
}

const char *oq_os_next_entry(struct oq_os_folder *folder)
{
    errno = 0;
    const struct dirent *entry = readdir((DIR *)folder);
    return entry == NULL ? NULL : entry->d_name;
}

void oq_os_remove_entry(struct oq_os_folder *folder, const char *name)
{
    unlinkat(dirfd((DIR *)folder), name, 0);
}

void oq_os_close_folder(struct oq_os_folder *folder)
{
    closedir((DIR *)folder);
}

/* --- the machine ------------------------------------------------------------- */

uint64_t oq_now_ns(void)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

unsigned oq_os_count_processors(void)
{
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        return (unsigned)CPU_COUNT(&set);
#endif
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (unsigned)n : 1;
}

/* As Linux lists processors: the first one's "model name	: ...". */
static bool read_model_name(char *text, size_t capacity)
{
    static const char key[] = "model name";
    char line[256];
    bool found = false;
    FILE *stream = fopen("/proc/cpuinfo", "r");
    while (stream != NULL && !found && fgets(line, sizeof(line), stream) != NULL) {
        const char *value = strchr(line, ':');
        found = value != NULL && strncmp(line, key, strlen(key)) == 0;
        if (found)
            snprintf(text, capacity, "%.*s", (int)strcspn(value + 1, "\n"), value + 1);
    }
    if (stream != NULL)
        fclose(stream);
    return found;
}

void oq_os_name_machine(char *text, size_t capacity)
{
    struct utsname name;
    char model[256];
    const char *machine = uname(&name) >= 0 ? name.machine : "";
    bool has_model = read_model_name(model, sizeof(model));
    snprintf(text, capacity, "%s%s, %u processors", machine, has_model ? model : "",
             oq_os_count_processors());
}

size_t oq_os_max_descriptors(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < SIZE_MAX
               ? (size_t)limit.rlim_cur
               : SIZE_MAX;
}

bool oq_os_random(void *dst, size_t nbytes)
{
    return getentropy(dst, nbytes) == 0;
}

void oq_os_give_back_memory(void)
{
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
}
