#define _POSIX_C_SOURCE 200809L
#include "base/nearest.h"

#include <string.h>

#define LONGEST_COMPARED 128

/* Levenshtein distance of the first LONGEST_COMPARED characters. */
static size_t distance(const char *a, const char *b)
{
    size_t row[LONGEST_COMPARED + 1];
    size_t n = strnlen(b, LONGEST_COMPARED);
    for (size_t k = 0; k <= n; k++)
        row[k] = k;
    for (size_t i = 0; i < LONGEST_COMPARED && a[i] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t k = 0; k < n; k++) {
            size_t replaced = diagonal + (a[i] != b[k]);
            diagonal = row[k + 1];
            size_t shorter = (row[k] < diagonal ? row[k] : diagonal) + 1;
            row[k + 1] = replaced < shorter ? replaced : shorter;
        }
    }
    return row[n];
}

void oq_nearest_offer(struct oq_nearest *nearest, const char *name)
{
    if (name == NULL || name[0] == '\0')
        return;
    size_t d = distance(nearest->wanted, name);
    if (nearest->name == NULL || d < nearest->distance) {
        nearest->name = name;
        nearest->distance = d;
    }
}

void oq_nearest_hint(const struct oq_nearest *nearest, onnxq_error *error)
{
    if (nearest->name != NULL && nearest->distance <= strlen(nearest->wanted) / 2)
        oq_error_hint(error, "did you mean \"%s\"?", nearest->name);
}
