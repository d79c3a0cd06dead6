/* The entries of a folder; numbers in names count as numbers. */
#define _POSIX_C_SOURCE 200809L
#include "arrays/input_folder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/os.h"
#include "base/path.h"

/* --- names ------------------------------------------------------------------ */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Numbers of any length: the one with more digits is larger, zeros in front aside. */
static int compare_numbers(const char **a, const char **b)
{
    size_t m = 0, n = 0;
    *a += strspn(*a, "0");
    *b += strspn(*b, "0");
    while (is_digit((*a)[m]))
        m++;
    while (is_digit((*b)[n]))
        n++;
    int order = m != n ? (m > n) - (m < n) : memcmp(*a, *b, m);
    *a += m;
    *b += n;
    return order;
}

int oq_compare_names(const char *a, const char *b)
{
    const char *x = a, *y = b;
    while (*x != '\0' && *y != '\0') {
        int order = 0;
        if (is_digit(*x) && is_digit(*y))
            order = compare_numbers(&x, &y);
        else
            order = (unsigned char)*x++ - (unsigned char)*y++;
        if (order != 0)
            return order;
    }
    if (*x != *y)
        return *x == '\0' ? -1 : 1;
    return strcmp(a, b); /* a1 and a01 */
}

static int compare_entries(const void *a, const void *b)
{
    return oq_compare_names(((const struct oq_folder_entry *)a)->name,
                            ((const struct oq_folder_entry *)b)->name);
}

/* --- folders ---------------------------------------------------------------- */

static bool is_folder(const char *folder, const char *name, bool *result, onnxq_error *error)
{
    struct oq_file_status status;
    char *path = oq_path_join(folder, name);
    if (path == NULL)
        return oq_fail_memory(error);
    bool ok = oq_os_status(path, &status) ||
              oq_fail_errno(error, ONNXQ_ERROR_INPUT, errno, "cannot open");
    oq_error_file(error, path);
    *result = ok && status.type == OQ_FILE_FOLDER;
    free(path);
    return ok;
}

static bool add(struct oq_folder *folder, const char *path, const char *name, onnxq_error *error)
{
    if (folder->count == folder->capacity) {
        size_t capacity = folder->capacity == 0 ? 16 : 2 * folder->capacity;
        struct oq_folder_entry *list = realloc(folder->list, capacity * sizeof(*list));
        if (list == NULL)
            return oq_fail_memory(error);
        folder->list = list;
        folder->capacity = capacity;
    }
    struct oq_folder_entry *entry = &folder->list[folder->count];
    *entry = (struct oq_folder_entry){.name = strdup(name)};
    if (entry->name == NULL)
        return oq_fail_memory(error);
    folder->count++;
    return is_folder(path, name, &entry->is_folder, error);
}

bool oq_folder_read(struct oq_folder *folder, const char *path, onnxq_error *error)
{
    *folder = (struct oq_folder){0};
    struct oq_os_folder *directory = oq_os_open_folder(path);
    if (directory == NULL)
        return oq_fail_errno(error, ONNXQ_ERROR_INPUT, errno, "cannot open");
    bool ok = true;
    for (const char *name; ok && (name = oq_os_next_entry(directory)) != NULL;)
        ok = name[0] == '.' || add(folder, path, name, error);
    if (ok && errno != 0)
        ok = oq_fail_errno(error, ONNXQ_ERROR_INPUT, errno, "cannot read");
    oq_os_close_folder(directory);
    if (folder->count > 0)
        qsort(folder->list, folder->count, sizeof(*folder->list), compare_entries);
    return ok;
}

void oq_folder_fini(struct oq_folder *folder)
{
    for (size_t i = 0; i < folder->count; i++)
        free(folder->list[i].name);
    free(folder->list);
    *folder = (struct oq_folder){0};
}
