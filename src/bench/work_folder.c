/* A folder that is removed with what is in it. */
#include "bench/work_folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/os.h"

char *oq_folder_make(const char *parent, onnxq_error *error)
{
    static const char name[] = "/.onnxq-bench-XXXXXX";
    const size_t nbytes = strlen(parent) + sizeof(name);
    char *path = malloc(nbytes);
    if (path == NULL) {
        oq_fail_memory(error);
        return NULL;
    }
    snprintf(path, nbytes, "%s%s", parent, name);
    if (oq_os_make_new_folder(path))
        return path;
    oq_fail_errno(error, ONNXQ_ERROR_OUTPUT, errno, "cannot make a folder in it");
    oq_error_file(error, parent);
    if (strcmp(parent, oq_os_temporary_folder()) == 0)
        oq_error_hint(error, OQ_TEMPORARY_HINT);
    free(path);
    return NULL;
}

void oq_folder_remove(char *path)
{
    struct oq_os_folder *folder = path != NULL ? oq_os_open_folder(path) : NULL;
    for (const char *name; folder != NULL && (name = oq_os_next_entry(folder)) != NULL;)
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
            oq_os_remove_entry(folder, name);
    if (folder != NULL)
        oq_os_close_folder(folder);
    if (path != NULL)
        oq_os_remove_folder(path);
    free(path);
}
