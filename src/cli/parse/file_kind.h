/* What the name of a file says of what is in it. */
#ifndef CLI_FILE_KIND_H
#define CLI_FILE_KIND_H

#include <stdbool.h>

/*
 * What the ending of a name says of a file. A name that belongs to a file of the
 * other kind is a slip that would cost somebody that file.
 */
typedef enum cli_file_kind {
    CLI_ANY_FILE = 0, /* it has none, or one that says nothing here */
    CLI_MODEL_FILE,   /* .onnx and its kin */
    CLI_OTHER_FILE    /* .json, .txt, .npz, ... */
} cli_file_kind;

cli_file_kind cli_kind_of_name(const char *path);

/* Whether the name ends so, whatever the case: ".svg". */
bool cli_has_ending(const char *path, const char *ending);

#endif
