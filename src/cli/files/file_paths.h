/* File names as the command line gives them. */
#ifndef CLI_FILE_PATHS_H
#define CLI_FILE_PATHS_H

#include <stdbool.h>
#include <stddef.h>

#define CLI_STANDARD_STREAM "-"

bool cli_is_standard_input(const char *path);

/* Whether something has the name, be it only a dangling link. */
bool cli_path_exists(const char *path);

bool cli_is_folder(const char *path);

/* "dir/", or a folder that is there: an output goes into it, as with cp. */
bool cli_names_folder(const char *path);

/* Whether both lead to one file; neither needs to exist. */
bool cli_is_same_file(const char *a, const char *b);

/*
 * "FOLDER/modelSUFFIX.ENDING" for "some/model.onnx"; folder NULL is the one that
 * the model is in. Where the name has one of the suffixes `replaced` already (a
 * list ended by NULL; NULL: none), that goes. On the heap; NULL where memory ran out.
 */
char *cli_derive_path(const char *model, const char *folder, const char *const *replaced,
                      const char *suffix, const char *ending);

/* Whether two files hold the same bytes; false where one cannot be read. */
bool cli_has_same_bytes(const char *a, const char *b);

/* Whether a path is the folder, or leads into it; both as oq_os_real_path() gives them. */
bool cli_lies_in(const char *path, const char *folder);

/* How much of the beginning of both paths, within n bytes, is the same folders, with the slash. */
size_t cli_common_folders(const char *a, const char *b, size_t n);

/*
 * FOLDER/a/b for the folders "a/./b/" that text[0..n) names. On the heap; NULL where memory ran
 * out, or where they lead out of FOLDER.
 */
char *cli_folder_in(const char *folder, const char *text, size_t n);

#endif
