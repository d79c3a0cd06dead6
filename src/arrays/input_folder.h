/* What is in a folder, in an order that people expect. */
#ifndef OQ_ARRAYS_INPUT_FOLDER_H
#define OQ_ARRAYS_INPUT_FOLDER_H

#include "base/error.h"

struct oq_folder_entry {
    char *name;
    bool is_folder;
};

struct oq_folder {
    struct oq_folder_entry *list;
    size_t count, capacity;
};

/*
 * Lists the folder, hidden entries (.name) left out, sorted by
 * oq_compare_names(). Release with oq_folder_fini(), after a failure too.
 */
bool oq_folder_read(struct oq_folder *folder, const char *path, onnxq_error *error);
void oq_folder_fini(struct oq_folder *folder);

/* As strcmp(), but numbers in the names count by their value: a2, a10, a10b. */
int oq_compare_names(const char *a, const char *b);

#endif
