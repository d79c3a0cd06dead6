/* A growing list of strings. */
#define _POSIX_C_SOURCE 200809L
#include "cli/parse/name_list.h"

#include <stdlib.h>
#include <string.h>

bool cli_list_add(cli_list *list, const char *text, size_t length)
{
    char **items = realloc(list->items, (list->count + 1) * sizeof(*items));
    if (items == NULL)
        return false;
    list->items = items;
    items[list->count] = strndup(text, length);
    if (items[list->count] == NULL)
        return false;
    list->count++;
    return true;
}

void cli_list_free(cli_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (cli_list){0};
}
