/* Shared libraries as the system loads them: loader_posix.c. */
#ifndef OQ_ENGINE_LOADER_H
#define OQ_ENGINE_LOADER_H

/* NULL where it cannot be loaded; then *reason says why, until the next call. */
void *oq_loader_open(const char *file, const char **reason);
void oq_loader_close(void *library);

/* The address of a function, or NULL; and the path of the library that an address is in, or "". */
void *oq_loader_find(void *library, const char *name);
const char *oq_loader_path(void *address);

#endif
