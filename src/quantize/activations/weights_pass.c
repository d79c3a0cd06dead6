/* A look at all elements of a product's weight, piece by piece, as they are stored. */
#include "base/checked.h"
#include "quantize/activations/activations.h"

bool oq_product_visit(const struct oq_site *site, oq_weight_fn visit, void *context,
                      onnxq_error *error)
{
    const struct oq_source *source = &site->constant->source;
    struct oq_arena arena;
    oq_arena_init(&arena, SIZE_MAX);
    void *scratch = oq_arena_alloc(&arena, OQ_RECIPE_SCRATCH_NBYTES);
    bool ok = scratch != NULL || oq_fail_memory(error);
    for (uint64_t done = 0; ok && done < source->nelem; done += OQ_READ_MAX_NELEM) {
        const size_t n = (size_t)oq_min_u64(source->nelem - done, OQ_READ_MAX_NELEM);
        float *x = oq_recipe_floats(scratch);
        ok = oq_source_read_floats(source, done, n, x, scratch, error);
        if (ok)
            visit(context, done, n, x);
    }
    oq_arena_fini(&arena);
    return ok;
}
