/* The manual page, made from the tables of options. */
#ifndef CLI_MAN_H
#define CLI_MAN_H

#include <stdio.h>

#include "cli/command.h"

/* In roff, with all commands. Returns the exit code. */
int cli_print_man(FILE *stream);

#endif
