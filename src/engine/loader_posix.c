/* Shared libraries by dlopen(). */
#define _GNU_SOURCE /* dladdr() */
#include "engine/loader.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

void *oq_loader_open(const char *file, const char **reason)
{
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (library != NULL)
        return library;
    const char *message = dlerror();
    size_t n = strlen(file);
    /* Often it begins with the name. */
    if (message != NULL && strncmp(message, file, n) == 0 && message[n] == ':')
        message += n + 2;
    *reason = message != NULL ? message : "unknown reason";
    return NULL;
}

void oq_loader_close(void *library)
{
    dlclose(library);
}

void *oq_loader_find(void *library, const char *name)
{
    return dlsym(library, name);
}

const char *oq_loader_path(void *address)
{
    Dl_info info;
    return dladdr(address, &info) != 0 ? info.dli_fname : "";
}
