/* Weights of a plan in blocks, as initializers of the output. */
#include "quantize/rewrite.h"

/* The shape of a tensor with one number for each block, or each line's bytes, along the axis. */
struct shape {
    int64_t *dims;
    size_t n_dims;
};

/* MatMulNBits and MatMulBnb4 of any version take vectors; the others the weight's shape. */
static struct shape make_shape(struct oq_rewrite *rewrite, const struct oq_blocks *blocks,
                               uint64_t along_axis)
{
    const struct oq_source *source = blocks->source;
    bool is_vector =
        blocks->choice.form == OQ_BLOCKS_PADDED || blocks->choice.form == OQ_BLOCKS_FLAT;
    struct shape shape = {.n_dims = is_vector ? 1 : source->n_dims};
    shape.dims = oq_edit_allocate(rewrite->edit, shape.n_dims, sizeof(*shape.dims));
    if (shape.dims == NULL)
        return shape;
    if (is_vector) {
        shape.dims[0] = (int64_t)(blocks->outer * blocks->inner * along_axis);
        return shape;
    }
    memcpy(shape.dims, source->dims, source->n_dims * sizeof(*shape.dims));
    shape.dims[blocks->choice.axis] = (int64_t)along_axis;
    return shape;
}

static struct shape integers_shape(struct oq_rewrite *rewrite, const struct oq_blocks *blocks)
{
    uint64_t per_byte = blocks->choice.form == OQ_BLOCKS_ORIGINAL ? 1 : oq_blocks_per_byte(blocks);
    struct shape shape = {.n_dims = 3};
    if (blocks->choice.form == OQ_BLOCKS_FLAT) /* an odd element has a byte as well */
        per_byte = 1;
    if (blocks->choice.form != OQ_BLOCKS_PADDED) {
        shape = make_shape(rewrite, blocks, blocks->line_nelem / per_byte);
        if (blocks->choice.form == OQ_BLOCKS_FLAT && shape.dims != NULL)
            shape.dims[0] = shape.dims[0] / 2 + shape.dims[0] % 2;
        return shape;
    }
    shape.dims = oq_edit_allocate(rewrite->edit, 3, sizeof(*shape.dims));
    if (shape.dims == NULL)
        return shape;
    shape.dims[0] = (int64_t)(blocks->outer * blocks->inner);
    shape.dims[1] = (int64_t)blocks->n_blocks;
    shape.dims[2] = (int64_t)(blocks->choice.size / per_byte);
    return shape;
}

/* The operators of com.microsoft take bytes, whatever is in them. */
static int32_t data_type_of(const struct oq_blocks *blocks)
{
    bool bytes = blocks->choice.form != OQ_BLOCKS_ORIGINAL || blocks->choice.bits == ONNXQ_BITS_8;
    if (bytes)
        return blocks->choice.is_unsigned ? OQ__PB__TENSOR_PROTO__DATA_TYPE__UINT8
                                          : OQ__PB__TENSOR_PROTO__DATA_TYPE__INT8;
    return blocks->choice.is_unsigned ? OQ__PB__TENSOR_PROTO__DATA_TYPE__UINT4
                                      : OQ__PB__TENSOR_PROTO__DATA_TYPE__INT4;
}

static const char *add_tensor(struct oq_rewrite *rewrite, const struct oq_quantized *q,
                              const char *suffix, int32_t data_type, struct shape shape,
                              const struct oq_recipe *recipe)
{
    struct oq_constant *owner = q->ranges->constant;
    if (shape.dims == NULL)
        return NULL;
    owner->nbytes_after += recipe->nbytes;
    return oq_edit_tensor(rewrite->edit, &rewrite->edit->states[owner->graph->ordinal],
                          oq_edit_name(rewrite->edit, owner->name, suffix), data_type, shape.dims,
                          shape.n_dims, recipe);
}

static const char *add_scales(struct oq_rewrite *rewrite, const struct oq_quantized *q,
                              float factor)
{
    struct oq_block_scales *scales = oq_edit_allocate(rewrite->edit, 1, sizeof(*scales));
    if (scales == NULL)
        return NULL;
    *scales = (struct oq_block_scales){q->blocks, factor};
    const struct oq_recipe recipe = oq_blocks_scales(scales);
    return add_tensor(rewrite, q, "_scale", OQ__PB__TENSOR_PROTO__DATA_TYPE__FLOAT,
                      make_shape(rewrite, q->blocks, q->blocks->n_blocks), &recipe);
}

static const char *add_zero_points(struct oq_rewrite *rewrite, const struct oq_quantized *q)
{
    const struct oq_blocks *blocks = q->blocks;
    const struct oq_recipe recipe = oq_blocks_zero_points(blocks);
    unsigned per_byte = blocks->choice.form == OQ_BLOCKS_ORIGINAL ? 1 : oq_blocks_per_byte(blocks);
    return add_tensor(rewrite, q, "_zero_point", data_type_of(blocks),
                      make_shape(rewrite, blocks, blocks->line_zero_nelem / per_byte), &recipe);
}

/* Once for all uses, but for scales that a factor makes one use's own. */
struct oq_rewrite_blocks oq_rewrite_blocks(struct oq_rewrite *rewrite, struct oq_quantized *q,
                                           float factor)
{
    if (q->name == NULL) {
        const struct oq_recipe recipe = oq_blocks_integers(q->blocks);
        q->name = add_tensor(rewrite, q, "_quantized", data_type_of(q->blocks),
                             integers_shape(rewrite, q->blocks), &recipe);
        q->zero_point_name = q->blocks->has_zero_points ? add_zero_points(rewrite, q) : "";
    }
    if (factor != 1)
        return (struct oq_rewrite_blocks){q->name, add_scales(rewrite, q, factor),
                                          q->zero_point_name};
    if (q->scale_name == NULL)
        q->scale_name = add_scales(rewrite, q, 1);
    return (struct oq_rewrite_blocks){q->name, q->scale_name, q->zero_point_name};
}
