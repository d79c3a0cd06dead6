/* Recipes: any stretch of a result is what the whole result has there. */
#ifndef SUPPORT_RECIPES_H
#define SUPPORT_RECIPES_H

#include "edit/draft.h"
#include "model/source.h"

/* Fails the test unless the recipe gives `expected`, as a whole and in stretches of many sizes. */
void check_recipe(const struct oq_recipe *recipe, const uint8_t *expected);

/* All elements, in the order in which they are stored. */
float *test_read_floats(const struct oq_source *source);

#endif
