/* Opens one candidate and checks that it is ONNX Runtime of a version that will do. */
#define _POSIX_C_SOURCE 200809L
#include "engine/library.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arrays/input_folder.h"
#include "base/os.h"
#include "engine/loader.h"

/* "1.N.x": the libraries of one major version have one table of functions. */
static bool read_version(const char *text, unsigned *minor)
{
    char *end;
    if (text == NULL || strncmp(text, "1.", 2) != 0 || text[2] < '0' || text[2] > '9')
        return false;
    unsigned long value = strtoul(text + 2, &end, 10);
    *minor = (unsigned)value;
    return *end == '.' && value <= UINT_MAX;
}

static bool read_base(struct oq_library *library, const struct ort_api_base *base,
                      onnxq_error *error)
{
    library->version = base->GetVersionString();
    if (!read_version(library->version, &library->minor))
        return oq_fail(error, ONNXQ_ERROR_ENGINE,
                       "version '%.40s' of ONNX Runtime is not known, expected 1.%d or newer",
                       library->version != NULL ? library->version : "", OQ_ORT_API_VERSION);
    if (library->minor < OQ_ORT_API_VERSION)
        return oq_fail(error, ONNXQ_ERROR_ENGINE, "too old: found %.40s, needs 1.%d or newer",
                       library->version, OQ_ORT_API_VERSION);
    library->api = base->GetApi(OQ_ORT_API_VERSION);
    return library->api != NULL ||
           oq_fail(error, ONNXQ_ERROR_ENGINE,
                   "ONNX Runtime %.40s does not give its functions (GetApi(%d) is NULL)",
                   library->version, OQ_ORT_API_VERSION);
}

static bool read_library(struct oq_library *library, void *handle, onnxq_error *error)
{
    ort_get_api_base *get_base;
    *(void **)&get_base = oq_loader_find(handle, "OrtGetApiBase");
    const struct ort_api_base *base = get_base != NULL ? get_base() : NULL;
    if (base == NULL)
        return oq_fail(error, ONNXQ_ERROR_ENGINE, "is not ONNX Runtime (%s)",
                       get_base == NULL ? "no OrtGetApiBase in it"
                                        : "its OrtGetApiBase gives nothing");
    if (!read_base(library, base, error))
        return false;
    library->path = strdup(oq_loader_path(*(void **)&get_base));
    return library->path != NULL || oq_fail_memory(error);
}

bool oq_library_load(struct oq_library *library, const char *file, onnxq_error *error)
{
    const char *reason;
    *library = (struct oq_library){0};
    void *handle = oq_loader_open(file, &reason);
    if (handle == NULL)
        return oq_fail(error, ONNXQ_ERROR_ENGINE, "cannot be loaded: %s", reason);
    if (read_library(library, handle, error))
        return true;
    oq_loader_close(handle);
    return false;
}

void oq_library_fini(struct oq_library *library)
{
    free(library->path);
    *library = (struct oq_library){0};
}

/* Its providers are libonnxruntime_providers_*.so, which this does not match. */
static bool find_newest(struct oq_os_folder *folder, char name[NAME_MAX + 1])
{
    static const char stem[] = "libonnxruntime.so";
    name[0] = '\0';
    for (const char *entry; (entry = oq_os_next_entry(folder)) != NULL;) {
        if (strncmp(entry, stem, strlen(stem)) == 0 && oq_compare_names(entry, name) > 0)
            snprintf(name, NAME_MAX + 1, "%s", entry);
    }
    return name[0] != '\0';
}

bool oq_library_load_newest(struct oq_library *library, const char *path, onnxq_error *error)
{
    char name[NAME_MAX + 1], file[PATH_MAX];
    *library = (struct oq_library){0};
    struct oq_os_folder *folder = oq_os_open_folder(path);
    if (folder == NULL)
        return oq_fail_errno(error, ONNXQ_ERROR_ENGINE, errno, "cannot open");
    bool found = find_newest(folder, name);
    oq_os_close_folder(folder);
    if (!found)
        return oq_fail(error, ONNXQ_ERROR_ENGINE,
                       "no libonnxruntime.so in it (the Python package has it from 1.19 on)");
    if (snprintf(file, sizeof(file), "%s/%s", path, name) >= (int)sizeof(file))
        return oq_fail(error, ONNXQ_ERROR_ENGINE, "its path is too long");
    return oq_library_load(library, file, error);
}
