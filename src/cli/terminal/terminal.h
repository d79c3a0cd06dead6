/* The terminal and the standard streams as the system has them: terminal_posix.c. */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdbool.h>

/*
 * A standard stream that the caller closed would give its number to the next
 * file that is opened, and messages would end up in that file. Opened the wrong
 * way round, it fails as a closed one would.
 */
void cli_open_standard_streams(void);

/* Of standard output: a reader that has seen enough, such as `head`. */
bool cli_has_reader_gone(void);

/* Of the terminal that standard error is; 0: not known. */
int cli_terminal_columns(void);

#endif
