/*
 * What is asked of the operating system: files, folders, time, chance. A port
 * replaces os_posix.c, and the other files *_posix.c that the layers above have
 * for what only they ask. What fails leaves its reason in errno.
 */
#ifndef OQ_BASE_OS_H
#define OQ_BASE_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define OQ_STANDARD_INPUT  0
#define OQ_STANDARD_OUTPUT 1

/* --- what is there ----------------------------------------------------------- */

enum oq_file_type {
    OQ_FILE_REGULAR,
    OQ_FILE_FOLDER,
    OQ_FILE_LINK,
    OQ_FILE_FIFO,
    OQ_FILE_SOCKET,
    OQ_FILE_DEVICE
};

#define OQ_ANY_RIGHTS 0777u

struct oq_file_status {
    enum oq_file_type type;
    uint64_t nbytes, device, inode; /* the last two are those of no other file */
    unsigned rights;                /* of user, group and others to read, write and execute */
    bool has_name, is_mine, is_roots;
};

/* Of the file that a path leads to, of the link itself where it is one, and of an open file. */
bool oq_os_status(const char *path, struct oq_file_status *status);
bool oq_os_link_status(const char *path, struct oq_file_status *status);
bool oq_os_open_status(int fd, struct oq_file_status *status);

static inline bool oq_is_same_file(const struct oq_file_status *a, const struct oq_file_status *b)
{
    return a->device == b->device && a->inode == b->inode;
}

/* Absolute and without links, of a path and of an open file; where a link leads. On the heap. */
char *oq_os_real_path(const char *path);
char *oq_os_real_path_of(int fd); /* ENOSYS where the system does not say */
char *oq_os_read_link(const char *path);

/* A path that opens again what is open. */
void oq_os_descriptor_path(int fd, char *path, size_t capacity);

/* "-", and the names by which the system has it: it is written on, not replaced. */
bool oq_is_standard_output(const char *path);

bool oq_os_is_terminal(FILE *stream);

/* --- open files: -1 is none -------------------------------------------------- */

/* To read; a FIFO that nobody writes to does not hang. */
int oq_os_open(const char *path);

/* A new file: EEXIST where there is anything. Exact rights are not those that the umask leaves. */
int oq_os_create(const char *path, unsigned rights, bool are_exact);
int oq_os_create_unnamed(const char *folder); /* to read and write */
int oq_os_open_stream(const char *path);

/* A stream on it with a descriptor of its own, so that closing it tells what went wrong. */
FILE *oq_os_stream(int fd);

bool oq_os_is_at_beginning(int fd);

/* As many bytes as there are at once, 0 at the end, -1 for a failure; read() may be interrupted. */
int64_t oq_os_read(int fd, void *dst, size_t nbytes);
int64_t oq_os_read_at(int fd, void *dst, size_t nbytes, uint64_t offset);
bool oq_os_write(int fd, const void *src, size_t nbytes); /* all of them */

/* False for a full disk only: not every file system can reserve. */
bool oq_os_reserve(int fd, uint64_t nbytes);
void oq_os_start_sync(int fd);
bool oq_os_sync(int fd);
bool oq_os_close(int fd);

/* --- names ------------------------------------------------------------------- */

bool oq_os_rename_to_new(const char *from, const char *to); /* EEXIST where the name is taken */
bool oq_os_exchange(const char *a, const char *b);          /* ENOSYS where that is not possible */

/* A rename is on the disk once its folder is; a folder that cannot be synced is no failure. */
void oq_os_sync_folder_of(const char *path);

/* Until it is closed others who lock the folder of path wait, but not for ever. */
int oq_os_lock_folder_of(const char *path);

bool oq_os_link(const char *file, const char *name); /* another name of it, which is free */

const char *oq_os_temporary_folder(void); /* that TMPDIR names, or the usual one */
bool oq_os_make_folder(const char *path);
bool oq_os_make_new_folder(char *path); /* its last six characters, XXXXXX, are replaced */
void oq_os_remove_folder(const char *path);

/* The entries of a folder, in no order, with "." and ".."; NULL at the end and on failure. */
struct oq_os_folder;
struct oq_os_folder *oq_os_open_folder(const char *path);
const char *oq_os_next_entry(struct oq_os_folder *folder);
void oq_os_remove_entry(struct oq_os_folder *folder, const char *name);
void oq_os_close_folder(struct oq_os_folder *folder);

/* --- the machine ------------------------------------------------------------- */

unsigned oq_os_count_processors(void);                /* that this process may use */
void oq_os_name_machine(char *text, size_t capacity); /* its processor, as the system calls it */
size_t oq_os_max_descriptors(void);                   /* that it may have open */
bool oq_os_random(void *dst, size_t nbytes);
void oq_os_give_back_memory(void); /* that was freed */

#endif
