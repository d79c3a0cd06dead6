/* "did you mean ...": the nearest of the names that would have been right. */
#ifndef OQ_BASE_NEAREST_H
#define OQ_BASE_NEAREST_H

#include <stddef.h>

#include "base/error.h"

/* Begins as {.wanted = what was given}. Names are borrowed. */
struct oq_nearest {
    const char *wanted, *name; /* name is NULL before the first offer */
    size_t distance;
};

/* The first of equally near names stays. NULL and "" are no names. */
void oq_nearest_offer(struct oq_nearest *nearest, const char *name);

/* Adds the hint where the name is near enough to be what was meant. */
void oq_nearest_hint(const struct oq_nearest *nearest, onnxq_error *error);

#endif
