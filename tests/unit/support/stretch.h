/* Recipes: any stretch of a result has to be what the whole result has there. */
#ifndef SUPPORT_STRETCH_H
#define SUPPORT_STRETCH_H

#include "edit/draft.h"

/* Fails the test that runs where the recipe gives anything else than these bytes. */
void check_recipe(const struct oq_recipe *recipe, const uint8_t *expected);

#endif
