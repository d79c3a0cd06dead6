/* The terminal and the standard streams as the system has them: terminal_posix.c. */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdbool.h>
#include <stdio.h>

/*
 * A standard stream that the caller closed would give its number to the next
 * file that is opened, and messages would end up in that file. Opened the wrong
 * way round, it fails as a closed one would.
 */
void cli_open_standard_streams(void);

/* Of standard output: a reader that has seen enough, such as `head`. */
bool cli_has_reader_gone(void);

/* Of the terminal that a standard stream is; 0: it is none, or does not say. */
int cli_terminal_columns(FILE *stream);

/*
 * Standard output for people: where it is a terminal, what is longer than its
 * lines is broken at columns and words (fit.h). Else standard output itself.
 */
FILE *cli_text(void);
int cli_text_columns(void); /* 0: lines may have any length */
void cli_flush_text(void);

#endif
