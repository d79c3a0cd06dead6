/* The output of a command that takes one model: the name that was given, or one made of the
 * model's. */
#ifndef CLI_NAMED_OUTPUT_H
#define CLI_NAMED_OUTPUT_H

#include "cli/parse/option.h"

typedef struct cli_named_output {
    char *path;      /* on the heap */
    bool is_derived; /* its name is made of the model's: nobody asked for what it may replace */
} cli_named_output;

/*
 * What is named, or "modelSUFFIX.ENDING" beside the model or in a folder that is named. The exit
 * code, after a message: it is not the model itself. Standard output is fine.
 */
int cli_output_choose(const cli_common *common, const char *model, const char *named,
                      const char *suffix, const char *ending, cli_named_output *output);

/* The exit code where a file of that name is there, and stays; `hint` says how it would not. */
int cli_output_check_free(const cli_common *common, const char *output, const char *hint);

/*
 * The same where a float model is there that somebody may mean to quantize: of two models that
 * a pattern of the shell gives, the second is no name for an output.
 */
int cli_output_check_original(const cli_common *common, const char *output);

#endif
