/* What people read on standard error. */
#ifndef CLI_MESSAGES_H
#define CLI_MESSAGES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <onnxq/onnxq.h>

#include "cli/terminal/common.h"

/* Exit codes that the library has no status for; NO is the answer of a command that was asked. */
enum {
    CLI_EXIT_OK = 0,
    CLI_EXIT_NO = 1,
    CLI_EXIT_USAGE = 2,
    CLI_EXIT_INPUT = 3,
    CLI_EXIT_OUTPUT = 4
};

#if defined(__GNUC__)
#define CLI_PRINTF(text, args) __attribute__((__format__(__printf__, text, args)))
#else
#define CLI_PRINTF(text, args)
#endif

/* `onnxq: ...` and `  hint: ...`; what they quote is escaped. */
void cli_error(const cli_common *common, const char *format, ...) CLI_PRINTF(2, 3);
void cli_hint(const cli_common *common, const char *format, ...) CLI_PRINTF(2, 3);

/* A usage error's two lines; the hint may be NULL. Returns CLI_EXIT_USAGE. */
int cli_usage(const cli_common *common, const char *hint, const char *format, ...) CLI_PRINTF(3, 4);

int cli_memory_error(const cli_common *common); /* returns its exit code */

/* A report or a picture cannot be written, for the reason in errno. Returns the exit code. */
int cli_write_error(const cli_common *common, const char *path);

/* The library's error with its hint. Returns its exit code. */
int cli_library_error(const cli_common *common, const onnxq_error *error);

/* Whether color may be used on the stream. */
bool cli_use_color(cli_when when, FILE *stream);

/* Whether the stream is a terminal that shows UTF-8. */
bool cli_use_unicode(FILE *stream);

/* True where the environment says that nobody watches: CI, NO_COLOR or a dumb terminal. */
bool cli_is_plain_environment(void);

/* Prints text escaped. */
void cli_print_escaped(FILE *stream, const char *text);

#endif
