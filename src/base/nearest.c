/* How far two names are apart, in typing errors. */
#define _POSIX_C_SOURCE 200809L
#include "base/nearest.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define LONGEST_COMPARED 128

static char fold(char c)
{
    return c == '_' ? '-' : (char)tolower((unsigned char)c);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/*
 * Optimal string alignment of the first LONGEST_COMPARED characters: insertions, deletions,
 * replacements and swaps of neighbours cost one each.
 */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][LONGEST_COMPARED + 1];
    size_t n_a = strnlen(a, LONGEST_COMPARED), n_b = strnlen(b, LONGEST_COMPARED);
    for (size_t k = 0; k <= n_b; k++)
        rows[0][k] = k;
    for (size_t i = 1; i <= n_a; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t k = 1; k <= n_b; k++) {
            size_t replaced = above[k - 1] + (fold(a[i - 1]) != fold(b[k - 1]));
            row[k] = smaller(replaced, smaller(above[k], row[k - 1]) + 1);
            if (i > 1 && k > 1 && fold(a[i - 1]) == fold(b[k - 2]) &&
                fold(a[i - 2]) == fold(b[k - 1]))
                row[k] = smaller(row[k], above2[k - 2] + 1);
        }
    }
    return rows[n_a % 3][n_b];
}

static bool is_beginning(const char *wanted, const char *name)
{
    size_t i = 0;
    while (wanted[i] != '\0' && fold(wanted[i]) == fold(name[i]))
        i++;
    return i >= 2 && wanted[i] == '\0' && name[i] != '\0';
}

/* 0 for the same name only. */
static size_t errors_between(const char *wanted, const char *name)
{
    if (strcmp(wanted, name) == 0)
        return 0;
    size_t errors = is_beginning(wanted, name) ? 1 : distance(wanted, name);
    return errors > 0 ? errors : 1;
}

static void list(struct oq_nearest *nearest, const char *name)
{
    size_t used = strlen(nearest->offered), room = sizeof(nearest->offered) - used;
    bool is_complete = nearest->n_listed == nearest->n_offered++;
    int n = snprintf(nearest->offered + used, room, "%s\"%s\"", used > 0 ? ", " : "", name);
    if (is_complete && n >= 0 && (size_t)n < room)
        nearest->n_listed++;
    else
        nearest->offered[used] = '\0';
}

void oq_nearest_offer(struct oq_nearest *nearest, const char *name)
{
    if (name == NULL || name[0] == '\0')
        return;
    list(nearest, name);
    /* One typing error in three characters is the most that still looks like the word. */
    size_t limit = nearest->name != NULL ? nearest->distance : strlen(nearest->wanted) / 3 + 2;
    size_t errors = errors_between(nearest->wanted, name);
    bool is_shorter = nearest->name != NULL && errors == limit &&
                      is_beginning(nearest->wanted, name) && strlen(name) < strlen(nearest->name);
    bool says_nothing = errors >= strlen(nearest->wanted) && errors > 0; /* "5" is not like "8" */
    if (!says_nothing && (errors < limit || is_shorter)) {
        nearest->name = name;
        nearest->distance = errors;
    }
}

void oq_nearest_hint(const struct oq_nearest *nearest, onnxq_error *error)
{
    if (nearest->name != NULL)
        oq_error_hint(error, "did you mean \"%s\"?", nearest->name);
}

void oq_nearest_hint_all(const struct oq_nearest *nearest, const char *there_is, onnxq_error *error)
{
    const char *more = nearest->n_listed < nearest->n_offered ? ", ..." : "";
    if (nearest->n_offered <= 1 && nearest->name != NULL)
        oq_nearest_hint(nearest, error);
    else if (nearest->name != NULL)
        oq_error_hint(error, "did you mean \"%.60s\"? %s %s%s", nearest->name, there_is,
                      nearest->offered, more);
    else if (nearest->n_offered > 0)
        oq_error_hint(error, "%s %s%s", there_is, nearest->offered, more);
}

bool oq_is_same_word(const char *word, size_t length, const char *other)
{
    size_t i = 0;
    while (i < length && tolower((unsigned char)word[i]) == tolower((unsigned char)other[i]))
        i++;
    return i == length && other[i] == '\0';
}
