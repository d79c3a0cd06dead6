/* A model that a command reads, by name or from standard input. */
#ifndef CLI_MODEL_INPUT_H
#define CLI_MODEL_INPUT_H

#include <onnxq/onnxq.h>

#include "cli/files/file_paths.h"
#include "cli/parse/option.h"

/*
 * `path` where it is opened by name. Standard input becomes a descriptor that
 * can be read anywhere: itself when it is a file, else an unlinked copy of it.
 */
typedef struct cli_input {
    const char *path; /* to open */
    int fd;           /* -1: none */
    char buffer[32];
} cli_input;

/* Returns the exit code, after a message where it is not 0. */
int cli_model_input_open(const cli_common *common, cli_input *input, const char *path);
void cli_model_input_close(cli_input *input);

/* Message and exit code for an error of the library about the model that is named `path`. */
int cli_model_input_fail(const cli_common *common, const cli_input *input, const char *path,
                         onnxq_error *error);

#endif
