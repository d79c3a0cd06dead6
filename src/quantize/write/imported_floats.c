/*
 * Initializers that a checkpoint has under their names: AWQ divides what stands in front of its
 * products - norms, biases - by what it multiplies their weights by, so one goes with the other.
 */
#include "base/checked.h"
#include "kernels/kernels.h"
#include "quantize/write/rewrite.h"
#include "wire/data_type.h"

#define CHUNK_NELEM ((size_t)4096)

struct imported_floats {
    const struct oq_stored *stored;
    int32_t data_type;
    unsigned nbytes; /* of an element */
};

static void convert(const struct imported_floats *floats, const float *x, size_t n, void *dst)
{
    if (floats->data_type == OQ_TYPE(FLOAT16))
        oq_convert_to_half(x, n, dst);
    else if (floats->data_type == OQ_TYPE(BFLOAT16))
        oq_convert_to_bfloat16(x, n, dst);
    else
        memcpy(dst, x, n * sizeof(*x));
}

/* A stretch may begin and end inside an element. */
static bool produce_floats(const void *source, uint64_t first, size_t count, uint8_t *dst,
                           void *scratch, onnxq_error *error)
{
    const struct imported_floats *floats = source;
    float *x = oq_recipe_floats(scratch);
    const uint64_t end = first + count, width = floats->nbytes;
    for (uint64_t at = first / width, n; at * width < end; at += n) {
        n = oq_min_u64(CHUNK_NELEM, oq_divide_up_u64(end, width) - at);
        if (!oq_stored_read_floats(floats->stored, at, (size_t)n, x, error))
            return false;
        convert(floats, x, (size_t)n, scratch);
        const uint64_t from = oq_max_u64(at * width, first), to = oq_min_u64((at + n) * width, end);
        memcpy(dst + (from - first), (const uint8_t *)scratch + (from - at * width),
               (size_t)(to - from));
    }
    return true;
}

static bool import_floats(struct oq_rewrite *rewrite, const struct oq_constant *constant)
{
    struct oq_edit *edit = rewrite->edit;
    const struct oq_value *value = constant->value;
    struct imported_floats *floats = oq_edit_allocate(edit, 1, sizeof(*floats));
    if (floats == NULL)
        return false;
    *floats = (struct imported_floats){constant->floats, constant->tensor->proto->data_type,
                                       constant->tensor->dtype->nbits / 8};
    const struct oq_recipe recipe = {constant->tensor->nbytes, produce_floats, floats};
    return oq_draft_set_recipe(edit->draft,
                               edit->states[value->graph->ordinal].proto->initializer[value->index],
                               &recipe, edit->error);
}

bool oq_rewrite_import_floats(struct oq_rewrite *rewrite)
{
    for (size_t i = 0; i < rewrite->plan->n_constants; i++)
        if (rewrite->plan->constants[i].floats != NULL &&
            !import_floats(rewrite, &rewrite->plan->constants[i]))
            return false;
    return true;
}
