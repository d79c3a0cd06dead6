/* Keeps integers that were chosen beforehand, and hands them out as they are written. */
#include "quantize/numbers/rounded.h"

#include <stdlib.h>
#include <string.h>

#include "quantize/numbers/block_walk.h"

/* A weight of 4 bits is an eighth of its floats, and no file has more than that. */
#define BUDGET (SIZE_MAX / 2)

struct oq_rounding *oq_rounding_create(onnxq_error *error)
{
    struct oq_rounding *rounding = calloc(1, sizeof(*rounding));
    if (rounding == NULL) {
        oq_fail_memory(error);
        return NULL;
    }
    oq_arena_init(&rounding->arena, BUDGET);
    oq_strmap_init(&rounding->by_name, &rounding->arena);
    return rounding;
}

void oq_rounding_destroy(struct oq_rounding *rounding)
{
    if (rounding == NULL)
        return;
    oq_arena_fini(&rounding->arena);
    free(rounding);
}

static void pack(const struct oq_rounding_problem *problem, const struct oq_rounded_blocks *rounded,
                 struct oq_rounded_weight *weight)
{
    const size_t n = problem->n_outputs, size = problem->block_size;
    const size_t n_blocks = oq_rounding_n_blocks(problem), zeros = (n_blocks + 1) / 2;
    uint8_t codes[OQ_BLOCK_MAX_NELEM];
    for (size_t line = 0; line < n; line++) {
        for (size_t b = 0; b < n_blocks; b++) {
            const uint8_t zero_point = rounded->zero_point[b * n + line];
            for (size_t k = 0; k < size; k++) {
                const size_t input = b * size + k;
                codes[k] = input < problem->n_inputs ? rounded->codes[input * n + line]
                                                     : zero_point; /* fills the block up */
            }
            oq_pack_4_bits(codes, size, weight->integers + (line * n_blocks + b) * (size / 2));
            weight->scales[line * n_blocks + b] = rounded->scale[b * n + line];
            if (weight->zero_points != NULL)
                weight->zero_points[line * zeros + b / 2] |=
                    (uint8_t)(zero_point << (b % 2 == 0 ? 0 : 4));
        }
    }
}

/* "GPTQ on inputs, 31.4 % of the error" */
static const char *describe(struct oq_arena *arena, const struct oq_rounded_blocks *rounded)
{
    static const char *const ways[] = {"nearest", "fitted scales", "GPTQ"};
    if (rounded->way == OQ_ROUND_NEAREST)
        return "rounded to nearest: nothing was better on inputs held back";
    return oq_arena_printf(arena, "%s: %.1f %% of the error on inputs held back",
                           ways[rounded->way], 100 * rounded->left);
}

bool oq_rounding_add(struct oq_rounding *rounding, const char *name,
                     const struct oq_rounding_problem *problem,
                     const struct oq_rounded_blocks *rounded, onnxq_error *error)
{
    struct oq_arena *arena = &rounding->arena;
    const size_t n_blocks = oq_rounding_n_blocks(problem), n = problem->n_outputs;
    struct oq_rounded_weight *weight = oq_arena_alloc(arena, sizeof(*weight));
    const char *key = oq_arena_strdup(arena, name);
    void **place = key == NULL ? NULL : oq_strmap_place(&rounding->by_name, key);
    if (weight == NULL || place == NULL)
        return oq_arena_fail(arena, error);
    *weight = (struct oq_rounded_weight){
        .n_inputs = problem->n_inputs,
        .n_outputs = n,
        .block_size = problem->block_size,
        .symmetric = problem->symmetric,
        .how = describe(arena, rounded),
        .integers = oq_arena_array(arena, n * n_blocks, problem->block_size / 2),
        .scales = oq_arena_array(arena, n * n_blocks, sizeof(float)),
        .zero_points = problem->symmetric ? NULL : oq_arena_array(arena, n, (n_blocks + 1) / 2)};
    if (weight->how == NULL || weight->integers == NULL || weight->scales == NULL ||
        (weight->zero_points == NULL && !problem->symmetric))
        return oq_arena_fail(arena, error);
    pack(problem, rounded, weight);
    *place = weight;
    return true;
}

const struct oq_rounded_weight *oq_rounding_find(const struct oq_rounding *rounding,
                                                 const char *name, const struct oq_blocks *blocks)
{
    const struct oq_rounded_weight *weight = oq_strmap_find(&rounding->by_name, name);
    const struct oq_block_choice *choice = &blocks->choice;
    bool fits = weight != NULL && choice->form == OQ_BLOCKS_PADDED &&
                choice->bits == ONNXQ_BITS_4 && choice->size == weight->block_size &&
                choice->symmetric == weight->symmetric && blocks->length == weight->n_inputs &&
                blocks->outer * blocks->inner == weight->n_outputs;
    return fits ? weight : NULL;
}

static bool produce_scales(const void *source, uint64_t first, size_t count, uint8_t *dst,
                           void *scratch, onnxq_error *error)
{
    const struct oq_rounded_scales *scales = source;
    (void)scratch, (void)error;
    for (size_t i = 0; i < count;) {
        const uint64_t at = first + i;
        const float scale = scales->weight->scales[at / sizeof(scale)] * scales->factor;
        const size_t skip = (size_t)(at % sizeof(scale));
        const size_t n = sizeof(scale) - skip < count - i ? sizeof(scale) - skip : count - i;
        memcpy(dst + i, (const char *)&scale + skip, n);
        i += n;
    }
    return true;
}

struct oq_recipe oq_rounded_scales_recipe(const struct oq_rounded_scales *scales)
{
    return (struct oq_recipe){scales->count * sizeof(float), produce_scales, scales};
}
