/* File names as the command line gives them. */
#ifndef CLI_FILE_PATHS_H
#define CLI_FILE_PATHS_H

#include <stdbool.h>

#define CLI_STANDARD_STREAM "-"

bool cli_is_standard_input(const char *path);

/* Whether something has the name, be it only a dangling link. */
bool cli_path_exists(const char *path);

/* Whether both lead to one file; neither needs to exist. */
bool cli_is_same_file(const char *a, const char *b);

/*
 * "FOLDER/model.SUFFIX.ENDING" for "some/model.onnx"; folder NULL is the one that
 * the model is in. Where the name has one of the suffixes `replaced` already (a
 * list ended by NULL; NULL: none), that goes. On the heap; NULL where memory ran out.
 */
char *cli_derive_path(const char *model, const char *folder, const char *const *replaced,
                      const char *suffix, const char *ending);

#endif
