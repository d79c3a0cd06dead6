/*
 * The subcommands. To add one: a file that defines a cli_command, and a line in
 * the table of main.c; parser, help text and completions follow from it.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stddef.h>
#include <stdio.h>

#include "cli/parse/option.h"

typedef enum cli_operands {
    CLI_FILE_OPERANDS = 0,
    CLI_COMMAND_OPERANDS,
    CLI_WORD_OPERANDS
} cli_operands;

typedef struct cli_command {
    const char *name;
    const char *summary; /* one line */
    const char *usage;   /* what follows "onnxq ", a line for each form */
    const char *notes;   /* paragraphs between usage and options, or NULL */
    cli_options options;
    cli_operands operands; /* what a shell completes operands with */
    const char *words;     /* CLI_WORD_OPERANDS: separated by spaces */
    /* Settings begin with a cli_common; they are zero before `defaults`, which may be NULL. */
    size_t settings_nbytes;
    void (*defaults)(void *settings);
    /* Returns the exit code. */
    int (*run)(void *settings, int n_operands, char **operands);
    void (*release)(void *settings); /* may be NULL */
} cli_command;

extern const cli_command cli_quantize, cli_inspect, cli_check, cli_bench, cli_dequantize,
    cli_calibrate, cli_tune, cli_help, cli_completion;

/* Those above, ended by NULL. */
extern const cli_command *const cli_commands[];

/* What stands before a command: `onnxq --version`. */
extern const cli_command cli_program;

const cli_command *cli_find_command(const char *name);

/* Message and exit code for a name that is no command. */
int cli_fail_command(const cli_common *common, const char *name);

/* Settings as they are before anything is parsed; NULL where memory ran out. */
void *cli_settings_new(const cli_command *command);
void cli_settings_free(const cli_command *command, void *settings);

/* Parses argv[0..argc) for the command and runs it. Returns the exit code. */
int cli_run_command(const cli_command *command, int argc, char **argv);

/* The help text of a command, or of the program as a whole. */
int cli_print_help(const cli_command *command, FILE *stream);

#endif
