/* Lines that fit a terminal: broken between columns or words, never inside one. */
#ifndef CLI_FIT_H
#define CLI_FIT_H

#include <stddef.h>
#include <stdio.h>

/*
 * Writes a line (without its line break) in as many as it takes. Two or more
 * spaces end a column. Prose that passes the edge goes on below its own column,
 * other columns in a line of their own; a word that is longer stays whole, and
 * so does a line that begins with "onnxq ": it is there to be pasted.
 */
void cli_fit_line(const char *line, size_t length, size_t width, FILE *stream);

#endif
