/* `did you mean ...`: the nearest of the names that would have been right. */
#ifndef CLI_SUGGEST_H
#define CLI_SUGGEST_H

#include <stddef.h>

#define CLI_SUGGEST_LENGTH 64

typedef struct cli_suggestion {
    const char *typed;
    unsigned distance;
    char best[CLI_SUGGEST_LENGTH]; /* "" where nothing offered is near enough */
} cli_suggestion;

void cli_suggest_start(cli_suggestion *suggestion, const char *typed);

/* The first of equally near candidates wins. `-` and `_`, and upper and lower case, are equal. */
void cli_suggest_offer(cli_suggestion *suggestion, const char *candidate);

#endif
