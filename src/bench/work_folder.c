/* A folder that is removed with what is in it. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "bench/work_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
    if (mkdtemp(path) != NULL)
        return path;
    oq_fail_errno(error, ONNXQ_ERROR_OUTPUT, errno, "cannot make a folder in it");
    oq_error_file(error, parent);
    free(path);
    return NULL;
}

void oq_folder_remove(char *path)
{
    DIR *folder = path != NULL ? opendir(path) : NULL;
    struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(folder), entry->d_name, 0);
    }
    if (folder != NULL)
        closedir(folder);
    if (path != NULL)
        rmdir(path);
    free(path);
}
