/* A growing list of strings that it owns. */
#ifndef CLI_NAME_LIST_H
#define CLI_NAME_LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct cli_list {
    char **items;
    size_t count;
} cli_list;

/* Adds a copy of text[0..length); false where memory ran out. */
bool cli_list_add(cli_list *list, const char *text, size_t length);
void cli_list_free(cli_list *list);

#endif
