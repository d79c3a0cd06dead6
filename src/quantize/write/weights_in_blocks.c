/* Weights of a plan in blocks, as initializers of the output. */
#include "quantize/write/rewrite.h"
#include "wire/data_type.h"

/* The shape of a tensor with one number for each block, or each line's bytes, along the axis. */
struct block_shape {
    int64_t *dims;
    size_t n_dims;
};

/* MatMulNBits and MatMulBnb4 of any version take vectors; the others the weight's shape. */
static struct block_shape make_shape(struct oq_rewrite *rewrite, const struct oq_blocks *blocks,
                                     uint64_t along_axis)
{
    const struct oq_source *source = blocks->source;
    bool is_vector =
        blocks->choice.form == OQ_BLOCKS_PADDED || blocks->choice.form == OQ_BLOCKS_FLAT;
    struct block_shape shape = {.n_dims = is_vector ? 1 : source->n_dims};
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

static struct block_shape integers_shape(struct oq_rewrite *rewrite, const struct oq_blocks *blocks)
{
    uint64_t per_byte = blocks->choice.form == OQ_BLOCKS_ORIGINAL ? 1 : oq_blocks_per_byte(blocks);
    struct block_shape shape = {.n_dims = 3};
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
        return blocks->choice.is_unsigned ? OQ_TYPE(UINT8) : OQ_TYPE(INT8);
    return blocks->choice.is_unsigned ? OQ_TYPE(UINT4) : OQ_TYPE(INT4);
}

static const char *add_tensor(struct oq_rewrite *rewrite, const struct oq_quantized *q,
                              const char *suffix, int32_t data_type, struct block_shape shape,
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

static struct block_shape scales_shape(struct oq_rewrite *rewrite, const struct oq_blocks *blocks)
{
    return make_shape(rewrite, blocks, blocks->n_blocks);
}

static struct block_shape zero_points_shape(struct oq_rewrite *rewrite,
                                            const struct oq_blocks *blocks)
{
    unsigned per_byte = blocks->choice.form == OQ_BLOCKS_ORIGINAL ? 1 : oq_blocks_per_byte(blocks);
    return make_shape(rewrite, blocks, blocks->line_zero_nelem / per_byte);
}

static const char *make_scales(struct oq_rewrite *rewrite, const struct oq_quantized *q,
                               float factor)
{
    struct oq_block_scales *scales = oq_edit_allocate(rewrite->edit, 1, sizeof(*scales));
    struct oq_rounded_scales *given = oq_edit_allocate(rewrite->edit, 1, sizeof(*given));
    if (scales == NULL || given == NULL)
        return NULL;
    *scales = (struct oq_block_scales){q->blocks, factor};
    *given = (struct oq_rounded_scales){q->rounded, q->blocks->n_scales, factor};
    const struct oq_recipe recipe = q->rounded != NULL ? oq_rounded_scales_recipe(given)
                                    : q->blocks->choice.import != NULL ? oq_import_scales(scales)
                                                                       : oq_blocks_scales(scales);
    return add_tensor(rewrite, q, "_scale", OQ_TYPE(FLOAT), scales_shape(rewrite, q->blocks),
                      &recipe);
}

/* Once for all uses that have the factor. */
static const char *add_scales(struct oq_rewrite *rewrite, const struct oq_quantized *q,
                              float factor)
{
    void **made = oq_rewrite_companion(rewrite, q, "scale", NULL, 0, factor);
    if (made != NULL && *made == NULL)
        *made = oq_edit_text(make_scales(rewrite, q, factor));
    return made == NULL ? NULL : *made;
}

static const char *add_zero_points(struct oq_rewrite *rewrite, const struct oq_quantized *q)
{
    struct oq_recipe recipe = oq_blocks_zero_points(q->blocks);
    if (q->rounded != NULL)
        recipe = oq_recipe_bytes(q->rounded->zero_points, recipe.nbytes);
    if (q->blocks->choice.import != NULL)
        recipe = oq_import_zero_points(q->blocks);
    return add_tensor(rewrite, q, "_zero_point", data_type_of(q->blocks),
                      zero_points_shape(rewrite, q->blocks), &recipe);
}

static void add_integers(struct oq_rewrite *rewrite, struct oq_quantized *q)
{
    if (q->name != NULL)
        return;
    struct oq_recipe recipe = oq_blocks_integers(q->blocks);
    if (q->rounded != NULL)
        recipe = oq_recipe_bytes(q->rounded->integers, recipe.nbytes);
    if (q->blocks->choice.import != NULL)
        recipe = oq_import_integers(q->blocks);
    q->name = add_tensor(rewrite, q, "_quantized", data_type_of(q->blocks),
                         integers_shape(rewrite, q->blocks), &recipe);
    q->zero_point_name = q->blocks->has_zero_points ? add_zero_points(rewrite, q) : "";
}

/* The same bytes in the shape of another form, by a node that engines fold at load. */
static const char *reshape(struct oq_rewrite *rewrite, const char *name, struct block_shape shape)
{
    void **place;
    const char *made = oq_edit_made(rewrite->edit, "reshaped", name, &place);
    if (made != NULL || place == NULL || shape.dims == NULL)
        return made;
    made = oq_edit_name(rewrite->edit, name, "_reshaped");
    *place = oq_edit_text(made);
    const char *inputs[] = {
        name, oq_edit_int64s(rewrite->edit, "weight_shape", shape.dims, shape.n_dims), NULL};
    const char *outputs[] = {made, NULL};
    oq_edit_node(rewrite->edit, "", "Reshape", name, inputs, outputs);
    return made;
}

struct oq_rewrite_blocks oq_rewrite_blocks(struct oq_rewrite *rewrite, struct oq_quantized *q,
                                           enum oq_block_form form, float factor)
{
    struct oq_blocks other = *q->blocks;
    add_integers(rewrite, q);
    struct oq_rewrite_blocks names = {q->name, add_scales(rewrite, q, factor), q->zero_point_name};
    other.choice.form = form;
    if (form == q->blocks->choice.form || rewrite->edit->failed)
        return names;
    names.integers = reshape(rewrite, names.integers, integers_shape(rewrite, &other));
    names.scales = reshape(rewrite, names.scales, scales_shape(rewrite, &other));
    if (other.has_zero_points)
        names.zero_points = reshape(rewrite, names.zero_points, zero_points_shape(rewrite, &other));
    return names;
}
