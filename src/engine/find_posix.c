/* Where ONNX Runtime may be: named, beside the command, of the loader, of Python. */
#define _POSIX_C_SOURCE 200809L
#include "engine/library.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PACKAGE "/lib/python3*/*-packages/onnxruntime/capi"

/* Debian's library has the minor version in its name, and no other without the -dev package. */
#define NEWEST_SONAME 60

/* What was tried, and why it was not it: as much as an error message holds. */
struct search {
    struct oq_library *library;
    char tried[400];
    size_t used;
};

static void note(struct search *search, const char *what, const char *path, const char *reason)
{
    static const size_t longest = 60; /* of a path; its end says more than its beginning */
    size_t left = sizeof(search->tried) - search->used, length = strlen(path);
    const char *end = length > longest ? path + length - longest : path;
    int n = snprintf(search->tried + search->used, left, "%s%s%s%s%s: %s",
                     search->used > 0 ? "; " : "", what, *path != '\0' && *what != '\0' ? " " : "",
                     end != path ? "..." : "", end, reason);
    search->used += n < 0 ? 0 : (size_t)n < left ? (size_t)n : left - 1;
}

/* --- folders ---------------------------------------------------------------- */

static bool try_folder(struct search *search, const char *folder)
{
    onnxq_error error;
    oq_error_init(&error);
    if (oq_library_load_newest(search->library, folder, &error))
        return true;
    note(search, "", folder, error.message);
    return false;
}

/* The package below a prefix, as a pattern of glob(), which takes the prefix as it is. */
static bool make_pattern(char *pattern, size_t capacity, const char *prefix)
{
    size_t used = 0;
    for (; *prefix != '\0' && used + 2 < capacity; prefix++) {
        if (strchr("*?[]\\", *prefix) != NULL)
            pattern[used++] = '\\';
        pattern[used++] = *prefix;
    }
    if (*prefix != '\0' || used + sizeof(PACKAGE) > capacity)
        return false;
    memcpy(pattern + used, PACKAGE, sizeof(PACKAGE));
    return true;
}

/* The package onnxruntime below a prefix, as pip installs it. */
static bool try_prefix(struct search *search, const char *what, const char *prefix)
{
    char pattern[PATH_MAX];
    glob_t found = {0};
    bool ok = false;
    if (make_pattern(pattern, sizeof(pattern), prefix) && glob(pattern, 0, NULL, &found) == 0) {
        for (size_t i = found.gl_pathc; i > 0 && !ok; i--)
            ok = try_folder(search, found.gl_pathv[i - 1]);
    } else {
        note(search, what, prefix, "no onnxruntime package in it");
    }
    globfree(&found);
    return ok;
}

/* A relative one would be of whatever folder is the current one. */
static bool try_variable(struct search *search, const char *name)
{
    const char *prefix = getenv(name);
    if (prefix == NULL || prefix[0] == '\0')
        return false;
    if (prefix[0] == '/')
        return try_prefix(search, name, prefix);
    note(search, name, prefix, "is not an absolute path");
    return false;
}

/* PREFIX of PREFIX/bin/onnxq: a Python environment, where pip installed this command, too. */
static bool try_beside_command(struct search *search)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
    if (n <= 0)
        return false;
    path[n] = '\0';
    *strrchr(path, '/') = '\0'; /* the path is absolute */
    char *folder = strrchr(path, '/');
    if (folder == NULL || strcmp(folder, "/bin") != 0)
        return false;
    *folder = '\0';
    return try_prefix(search, "", path[0] != '\0' ? path : "/");
}

/* --- the system, Python ----------------------------------------------------- */

/* Where LD_LIBRARY_PATH has an empty or relative folder, the loader looks into the current one. */
static bool loader_looks_here(void)
{
    const char *list = getenv("LD_LIBRARY_PATH");
    if (list == NULL || list[0] == '\0')
        return false;
    for (;; list += 1) {
        if (list[0] != '/')
            return true;
        list += strcspn(list, ":;");
        if (*list == '\0')
            return false;
    }
}

/* A name that the loader looks for; one that is nowhere is not worth a word. */
static bool try_name(struct search *search, const char *name)
{
    static const char missing[] = "cannot be loaded: cannot open shared object file: No such file";
    onnxq_error error;
    oq_error_init(&error);
    if (oq_library_load(search->library, name, &error))
        return true;
    if (strncmp(error.message, missing, strlen(missing)) != 0)
        note(search, name, "", error.message);
    return false;
}

static bool try_system(struct search *search)
{
    size_t used = search->used;
    if (loader_looks_here()) {
        note(search, "LD_LIBRARY_PATH", "", "not searched, one of its folders is not absolute");
        return false;
    }
    if (try_name(search, "libonnxruntime.so.1") || try_name(search, "libonnxruntime.so"))
        return true;
    for (int minor = NEWEST_SONAME; minor >= OQ_ORT_API_VERSION; minor--) {
        char name[40];
        snprintf(name, sizeof(name), "libonnxruntime.so.1.%d", minor);
        if (try_name(search, name))
            return true;
    }
    if (search->used == used)
        note(search, "libonnxruntime.so.1", "", "not in the system");
    return false;
}

static bool try_python(struct search *search)
{
    static const char *const programs[] = {"python3", "python"};
    char folder[PATH_MAX];
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        switch (oq_python_ask(programs[i], folder, sizeof(folder))) {
        case OQ_PYTHON_FOUND:
            return try_folder(search, folder);
        case OQ_PYTHON_NO_PACKAGE:
            note(search, programs[i], "", "has no onnxruntime package");
            return false;
        case OQ_PYTHON_MISSING:
            break;
        }
    }
    note(search, programs[0], "", "not there to be asked");
    return false;
}

/* --- the whole --------------------------------------------------------------- */

static bool search_everywhere(struct oq_library *library, onnxq_error *error)
{
    struct search search = {.library = library};
    if (try_beside_command(&search) || try_variable(&search, "VIRTUAL_ENV") ||
        try_variable(&search, "CONDA_PREFIX") || try_system(&search) || try_python(&search))
        return true;
    oq_fail(error, ONNXQ_ERROR_ENGINE,
            "ONNX Runtime was not found, which models are run in. Tried %s", search.tried);
    oq_error_hint(error, "pip install onnxruntime, or name its library: --ort-lib PATH, or "
                         "ONNXQ_ORT_LIB=PATH in the environment");
    return false;
}

/* A path that was given is final: nothing else is tried. */
static bool load_given(struct oq_library *library, const char *path, onnxq_error *error)
{
    struct stat status;
    char file[PATH_MAX];
    *library = (struct oq_library){0};
    if (stat(path, &status) != 0)
        return oq_fail_errno(error, ONNXQ_ERROR_ENGINE, errno, "cannot open");
    if (S_ISDIR(status.st_mode))
        return oq_library_load_newest(library, path, error);
    /* Without a slash the loader would look for it elsewhere. */
    bool is_name = strchr(path, '/') == NULL;
    if (snprintf(file, sizeof(file), "%s%s", is_name ? "./" : "", path) >= (int)sizeof(file))
        return oq_fail(error, ONNXQ_ERROR_ENGINE, "its path is too long");
    return oq_library_load(library, file, error);
}

bool oq_library_find(struct oq_library *library, const char *path, onnxq_error *error)
{
    const char *variable = "ONNXQ_ORT_LIB", *value = getenv(variable);
    bool is_variable = path == NULL && value != NULL && value[0] != '\0';
    if (path == NULL && !is_variable)
        return search_everywhere(library, error);
    if (load_given(library, is_variable ? value : path, error))
        return true;
    oq_error_file(error, is_variable ? value : path);
    oq_error_place(error, "%s", is_variable ? variable : "--ort-lib");
    return false;
}
