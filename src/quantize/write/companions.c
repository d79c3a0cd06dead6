/* What belongs to a weight and is made once for all that want it: scales, zero points. */
#include "quantize/write/rewrite.h"

void **oq_rewrite_companion(struct oq_rewrite *rewrite, const void *owner, const char *kind,
                            const int64_t *dims, size_t n_dims, float factor)
{
    struct oq_arena *arena = rewrite->edit->arena;
    char *key = oq_arena_printf(arena, "%p %s %a", owner, kind, (double)factor);
    for (size_t i = 0; key != NULL && i < n_dims; i++)
        key = oq_arena_printf(arena, "%s %lld", key, (long long)dims[i]);
    void **place = key == NULL ? NULL : oq_strmap_place(&rewrite->companions, key);
    if (place == NULL)
        rewrite->edit->failed = true;
    return place;
}
