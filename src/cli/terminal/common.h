/* What the settings of every command begin with: how much is said, and where. */
#ifndef CLI_COMMON_H
#define CLI_COMMON_H

#include <stdbool.h>
#include <stdint.h>

typedef enum cli_when { CLI_AUTO = 0, CLI_ALWAYS, CLI_NEVER } cli_when;

typedef struct cli_common {
    bool help;
    int quiet, verbose; /* how often they were given */
    cli_when color, progress;
    const char *json;            /* NULL: none, "-": standard output */
    const char *html, *markdown; /* the same, of commands with cli_page_options */
    uint64_t threads;            /* 0: one per processor */
} cli_common;

#endif
