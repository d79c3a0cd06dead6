#include "support/stretch.h"

#include <stdlib.h>
#include <string.h>

#include "support/suite.h"

static void check_stretch(const struct oq_recipe *recipe, const uint8_t *expected, uint64_t first,
                          size_t count)
{
    onnxq_error error;
    /* Exactly as large as promised, so that a sanitizer sees a step too far. */
    uint8_t *dst = malloc(count);
    void *scratch = malloc(OQ_RECIPE_SCRATCH_NBYTES);
    oq_error_init(&error);
    bool ok = recipe->produce(recipe->source, first, count, dst, scratch, &error);
    bool same = ok && memcmp(dst, expected + first, count) == 0;
    free(scratch);
    free(dst);
    if (!same)
        fail_msg("bytes %llu to %llu: %s", (unsigned long long)first,
                 (unsigned long long)(first + count), ok ? "differ" : error.message);
}

void check_recipe(const struct oq_recipe *recipe, const uint8_t *expected)
{
    uint32_t seed = 3;
    check_stretch(recipe, expected, 0, (size_t)recipe->nbytes);
    check_stretch(recipe, expected, 0, 1);
    check_stretch(recipe, expected, recipe->nbytes - 1, 1);
    for (size_t i = 0; i < 30; i++) {
        seed = seed * 1664525u + 1013904223u;
        uint64_t first = (uint64_t)(seed >> 8) % recipe->nbytes;
        seed = seed * 1664525u + 1013904223u;
        uint64_t most = i % 2 == 0 ? 1000 : recipe->nbytes, left = recipe->nbytes - first;
        check_stretch(recipe, expected, first,
                      1 + (size_t)((uint64_t)(seed >> 8) % (left < most ? left : most)));
    }
}
