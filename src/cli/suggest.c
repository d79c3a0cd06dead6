#include "suggest.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static char fold(char c)
{
    return c == '_' ? '-' : (char)tolower((unsigned char)c);
}

static unsigned smaller(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/*
 * Optimal string alignment: insertions, deletions, replacements and swaps of
 * neighbours cost one each. Both lengths are below CLI_SUGGEST_LENGTH.
 */
static unsigned edit_distance(const char *a, const char *b)
{
    unsigned rows[3][CLI_SUGGEST_LENGTH];
    unsigned n_a = (unsigned)strlen(a), n_b = (unsigned)strlen(b);
    for (unsigned k = 0; k <= n_b; k++)
        rows[0][k] = k;
    for (unsigned i = 1; i <= n_a; i++) {
        unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (unsigned k = 1; k <= n_b; k++) {
            unsigned replaced = above[k - 1] + (fold(a[i - 1]) != fold(b[k - 1]));
            row[k] = smaller(replaced, smaller(above[k], row[k - 1]) + 1);
            if (i > 1 && k > 1 && fold(a[i - 1]) == fold(b[k - 2]) &&
                fold(a[i - 2]) == fold(b[k - 1]))
                row[k] = smaller(row[k], above2[k - 2] + 1);
        }
    }
    return rows[n_a % 3][n_b];
}

static int is_beginning(const char *typed, const char *candidate)
{
    size_t i = 0;
    while (typed[i] != '\0' && fold(typed[i]) == fold(candidate[i]))
        i++;
    return i >= 2 && typed[i] == '\0';
}

void cli_suggest_start(cli_suggestion *suggestion, const char *typed)
{
    /* One typing error in three characters is the most that still looks like the word. */
    size_t length = strlen(typed);
    *suggestion = (cli_suggestion){.typed = typed, .distance = (unsigned)length / 3 + 2};
    if (length >= CLI_SUGGEST_LENGTH)
        suggestion->distance = 0;
}

void cli_suggest_offer(cli_suggestion *suggestion, const char *candidate)
{
    if (suggestion->distance == 0 || strlen(candidate) >= CLI_SUGGEST_LENGTH)
        return;
    unsigned distance = is_beginning(suggestion->typed, candidate)
                            ? 1
                            : edit_distance(suggestion->typed, candidate);
    if (distance < suggestion->distance) {
        suggestion->distance = distance;
        snprintf(suggestion->best, sizeof(suggestion->best), "%s", candidate);
    }
}
