/* A folder for files that are not to stay. */
#ifndef OQ_BENCH_WORK_FOLDER_H
#define OQ_BENCH_WORK_FOLDER_H

#include "base/error.h"

/* Where there is no room for what a run only needs itself. */
#define OQ_TEMPORARY_HINT "TMPDIR names another folder for what is not to stay"

/* Makes one inside `parent`; its path is on the heap. NULL on failure. */
char *oq_folder_make(const char *parent, onnxq_error *error);

/* Removes it with the files that are in it, and frees the path; NULL is fine. */
void oq_folder_remove(char *path);

#endif
