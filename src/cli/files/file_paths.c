/* Names of outputs, and sameness of files. */
#define _POSIX_C_SOURCE 200809L
#include "cli/files/file_paths.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/os.h"
#include "base/path.h"

bool cli_is_standard_input(const char *path)
{
    return strcmp(path, CLI_STANDARD_STREAM) == 0;
}

bool cli_path_exists(const char *path)
{
    struct oq_file_status status;
    return oq_os_link_status(path, &status);
}

bool cli_is_folder(const char *path)
{
    struct oq_file_status status;
    return oq_os_status(path, &status) && status.type == OQ_FILE_FOLDER;
}

bool cli_names_folder(const char *path)
{
    size_t n = strlen(path);
    return (n > 0 && path[n - 1] == '/') || cli_is_folder(path);
}

static bool stat_folder(const char *path, struct oq_file_status *status)
{
    char *folder = strndup(path, (size_t)(oq_base_name(path) - path));
    bool ok = folder != NULL && oq_os_status(folder[0] == '\0' ? "." : folder, status);
    free(folder);
    return ok;
}

bool cli_is_same_file(const char *a, const char *b)
{
    struct oq_file_status status_a, status_b;
    bool a_exists = oq_os_status(a, &status_a), b_exists = oq_os_status(b, &status_b);
    if (a_exists && b_exists)
        return oq_is_same_file(&status_a, &status_b);
    if (a_exists || b_exists || strcmp(oq_base_name(a), oq_base_name(b)) != 0)
        return false;
    return stat_folder(a, &status_a) && stat_folder(b, &status_b) &&
           oq_is_same_file(&status_a, &status_b);
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
                      const char *suffix, const char *ending)
{
    const char *base = oq_base_name(model), *dot = strrchr(base, '.');
    int n_stem = (int)(dot != NULL && dot != base ? (size_t)(dot - base) : strlen(base));
    int n_folder = (int)(base - model);
    n_stem = cut_suffix(base, n_stem, replaced);
    size_t capacity = strlen(model) + (folder != NULL ? strlen(folder) : 0) + strlen(suffix) +
                      strlen(ending) + 16;
    char *path = malloc(capacity);
    if (path != NULL && folder != NULL)
        snprintf(path, capacity, "%s%s%.*s%s.%s", folder, oq_base_name(folder)[0] ? "/" : "",
                 n_stem, base, suffix, ending);
    else if (path != NULL)
        snprintf(path, capacity, "%.*s%.*s%s.%s", n_folder, model, n_stem, base, suffix, ending);
    return path;
}

bool cli_has_same_bytes(const char *a, const char *b)
{
    struct oq_file file_a, file_b = {.fd = -1};
    onnxq_error ignored;
    bool same = true;
    oq_error_init(&ignored);
    bool ok = oq_file_open(&file_a, a, &ignored);
    if (!ok)
        return false;
    ok = oq_file_open(&file_b, b, &ignored) && file_a.nbytes == file_b.nbytes &&
         oq_file_compare(&file_a, 0, &file_b, 0, file_a.nbytes, &same, &ignored);
    oq_file_close(&file_a);
    oq_file_close(&file_b);
    return ok && same;
}

bool cli_lies_in(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    bool is_root = n == 1;
    return strncmp(path, folder, n) == 0 && (is_root || path[n] == '\0' || path[n] == '/');
}

size_t cli_common_folders(const char *a, const char *b, size_t n)
{
    size_t common = 0;
    for (size_t i = 0; i < n && a[i] == b[i] && a[i] != '\0'; i++)
        if (a[i] == '/')
            common = i + 1;
    return common;
}

char *cli_folder_in(const char *folder, const char *text, size_t n)
{
    size_t n_path = strlen(folder);
    char *path = malloc(n_path + n + 2);
    if (path == NULL)
        return NULL;
    memcpy(path, folder, n_path);
    for (size_t at = 0, end; at < n; at = end + 1) {
        for (end = at; end < n && text[end] != '/';)
            end++;
        size_t n_name = end - at;
        if (n_name == 2 && strncmp(text + at, "..", 2) == 0) {
            free(path);
            return NULL;
        }
        if (n_name == 0 || (n_name == 1 && text[at] == '.'))
            continue;
        if (n_path > 0 && path[n_path - 1] != '/')
            path[n_path++] = '/';
        memcpy(path + n_path, text + at, n_name);
        n_path += n_name;
    }
    path[n_path] = '\0';
    return path;
}
