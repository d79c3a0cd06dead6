/*
 * Weights whose integers of 4 bits were chosen beforehand, as MatMulNBits takes them: what is
 * written for them instead of what blocks.h makes of the floats alone.
 */
#ifndef OQ_QUANTIZE_NUMBERS_ROUNDED_H
#define OQ_QUANTIZE_NUMBERS_ROUNDED_H

#include "base/strmap.h"
#include "quantize/numbers/blocks.h"
#include "quantize/numbers/gptq.h"

struct oq_rounded_weight {
    uint64_t n_inputs, n_outputs, block_size;
    bool symmetric;
    const char *how;      /* in words, for reports */
    uint8_t *integers;    /* [n_outputs, blocks, block_size / 2] */
    float *scales;        /* [n_outputs, blocks] */
    uint8_t *zero_points; /* [n_outputs, (blocks + 1) / 2]; NULL: symmetric */
};

/* By the names of weights. */
struct oq_rounding {
    struct oq_arena arena;
    struct oq_strmap by_name;
};

/* NULL when memory is out. */
struct oq_rounding *oq_rounding_create(onnxq_error *error);
void oq_rounding_destroy(struct oq_rounding *rounding); /* NULL is fine */

/* The arrays are turned and packed; the name is copied. False when memory is out. */
bool oq_rounding_add(struct oq_rounding *rounding, const char *name,
                     const struct oq_rounding_problem *problem,
                     const struct oq_rounded_blocks *rounded, onnxq_error *error);

/* What was chosen for that weight, where it is stored in such blocks; or NULL. */
const struct oq_rounded_weight *oq_rounding_find(const struct oq_rounding *rounding,
                                                 const char *name, const struct oq_blocks *blocks);

/* What there is to write, in place of the recipes of blocks.h. */
struct oq_rounded_scales {
    const struct oq_rounded_weight *weight;
    uint64_t count;
    float factor;
};
struct oq_recipe oq_rounded_scales_recipe(const struct oq_rounded_scales *scales);

#endif
