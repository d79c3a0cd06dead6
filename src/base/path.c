/* Two parts of a path, put together. */
#include "base/path.h"

#include <stdio.h>
#include <stdlib.h>

char *oq_path_join(const char *folder, const char *name)
{
    const size_t n = strlen(folder), capacity = n + strlen(name) + 2;
    const bool needs_slash = n > 0 && folder[n - 1] != '/';
    char *path = malloc(capacity);
    if (path != NULL)
        snprintf(path, capacity, "%s%s%s", folder, needs_slash ? "/" : "", name);
    return path;
}
