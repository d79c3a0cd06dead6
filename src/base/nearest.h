/* "did you mean ...": the nearest of the names that would have been right. */
#ifndef OQ_BASE_NEAREST_H
#define OQ_BASE_NEAREST_H

#include <stddef.h>

#include "base/error.h"

/* Begins as {.wanted = what was given}. Names are borrowed. */
struct oq_nearest {
    const char *wanted, *name; /* name is NULL while nothing offered was near enough */
    size_t distance;           /* 0: it is the same */
    char offered[160];         /* all names, as far as there is room */
    size_t n_offered, n_listed;
};

/*
 * The first of equally near names stays; NULL and "" are no names. `-` and `_`, and upper and
 * lower case, are equal; what was given may be the beginning of what was meant.
 */
void oq_nearest_offer(struct oq_nearest *nearest, const char *name);

/* Adds the hint, where there is a name. */
void oq_nearest_hint(const struct oq_nearest *nearest, onnxq_error *error);

/* The same, and which names there are; `there_is` as in "it takes". */
void oq_nearest_hint_all(const struct oq_nearest *nearest, const char *there_is,
                         onnxq_error *error);

/* Whether word[0..length) is the other one, upper and lower case being the same. */
bool oq_is_same_word(const char *word, size_t length, const char *other);

#endif
