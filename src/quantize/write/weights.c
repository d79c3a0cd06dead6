/* What the weights of a plan become in the output: integers, scales, zero points. */
#include "quantize/write/rewrite.h"

#include <math.h>

#include "base/checked.h"
#include "quantize/numbers/blocks.h"
#include "wire/data_type.h"

/* An initializer whose bytes are in the arena; what it weighs is put down to `owner`. */
static const char *add_bytes(struct oq_rewrite *rewrite, struct oq_edit_graph *graph,
                             struct oq_constant *owner, const char *name, int32_t data_type,
                             size_t width, const int64_t *dims, size_t n_dims, const void *bytes)
{
    const struct oq_recipe recipe = oq_recipe_bytes(bytes, oq_nelem(dims, 0, n_dims) * width);
    owner->nbytes_after += recipe.nbytes;
    return oq_edit_tensor(rewrite->edit, graph, name, data_type, dims, n_dims, &recipe);
}

const char *oq_rewrite_bias(struct oq_rewrite *rewrite, struct oq_constant *constant,
                            const float *values, int64_t n)
{
    constant->nbytes_after += (uint64_t)n * sizeof(float);
    return oq_edit_floats(rewrite->edit, constant->name, &n, 1, values);
}

/* --- weights --- */

/* New tensors live where the weight was: bodies see them as they saw it. */
static struct oq_edit_graph *graph_of(const struct oq_rewrite *rewrite,
                                      const struct oq_quantized *q)
{
    return &rewrite->edit->states[q->ranges->constant->graph->ordinal];
}

static int32_t data_type_of(const struct oq_quantized *q)
{
    if (q->is_wide)
        return OQ_TYPE(INT16);
    if (q->ranges->is_4_bits)
        return q->is_unsigned ? OQ_TYPE(UINT4) : OQ_TYPE(INT4);
    return q->is_unsigned ? OQ_TYPE(UINT8) : OQ_TYPE(INT8);
}

static const char *add_weight(struct oq_rewrite *rewrite, struct oq_quantized *q)
{
    const struct oq_source *source = q->ranges->source;
    struct oq_constant *owner = q->ranges->constant;
    if (q->name != NULL)
        return q->name;
    int64_t *dims = oq_edit_allocate(rewrite->edit, q->n_dims + 1, sizeof(*dims));
    if (dims == NULL)
        return NULL;
    memcpy(dims, source->dims, q->n_dims * sizeof(*dims));
    if (q->transposed) { /* the last two: matrices, or batches of them */
        dims[q->n_dims - 2] = source->dims[q->n_dims - 1];
        dims[q->n_dims - 1] = source->dims[q->n_dims - 2];
    }
    const struct oq_recipe recipe = oq_quantized_recipe(q);
    owner->nbytes_after += recipe.nbytes;
    q->name = oq_edit_tensor(rewrite->edit, graph_of(rewrite, q),
                             oq_edit_name(rewrite->edit, owner->name, "_quantized"),
                             data_type_of(q), dims, q->n_dims, &recipe);
    return q->name;
}

const char *oq_rewrite_integers(struct oq_rewrite *rewrite, struct oq_quantized *quantized)
{
    return add_weight(rewrite, quantized);
}

const char *oq_rewrite_weight(struct oq_rewrite *rewrite, const struct oq_site *site)
{
    const char *name = add_weight(rewrite, site->quantized);
    bool turn = site->transposed && !site->quantized->transposed;
    return turn ? oq_edit_transpose(rewrite->edit, name) : name;
}

const char *oq_rewrite_zeros(struct oq_rewrite *rewrite, const struct oq_site *site,
                             const int64_t *dims, size_t n_dims)
{
    static const char suffix[] = "_zero_point";
    const struct oq_quantized *q = site->quantized;
    struct oq_constant *owner = q->ranges->constant;
    void **made = oq_rewrite_companion(rewrite, q, suffix, dims, n_dims, 0);
    if (made == NULL || *made != NULL)
        return made == NULL ? NULL : *made;
    const void *zeros = oq_edit_allocate(rewrite->edit, (size_t)oq_nelem(dims, 0, n_dims), 1);
    *made = oq_edit_text(add_bytes(rewrite, graph_of(rewrite, q), owner,
                                   oq_edit_name(rewrite->edit, owner->name, suffix), OQ_TYPE(INT8),
                                   1, dims, n_dims, zeros));
    return *made;
}

static bool has_zero_point(const struct oq_quantized *q)
{
    for (uint64_t i = 0; i < q->ranges->n_scales; i++)
        if (q->zero_point[i] != 0)
            return true;
    return false;
}

static bool is_uniform(const float *values, uint64_t n)
{
    for (uint64_t i = 1; i < n; i++)
        if (values[i] != values[0])
            return false;
    return true;
}

/* Of the weight's type and shape dims: [n_scales], or [] where all are the same. Wide ones are 0.
 */
static const char *add_zero_point(struct oq_rewrite *rewrite, const struct oq_quantized *q,
                                  const int64_t *dims, size_t n_dims)
{
    struct oq_constant *owner = q->ranges->constant;
    size_t n = (size_t)oq_nelem(dims, 0, n_dims), width = q->is_wide ? sizeof(int16_t) : 1;
    uint8_t *bytes = oq_edit_allocate(rewrite->edit, n, width);
    for (size_t i = 0; bytes != NULL && i < n; i++)
        bytes[i] = (uint8_t)(int)q->zero_point[i];
    if (bytes != NULL && q->ranges->is_4_bits)
        oq_pack_4_bits(bytes, n, bytes);
    const struct oq_recipe recipe =
        oq_recipe_bytes(bytes, q->ranges->is_4_bits ? oq_divide_up_u64(n, 2) : n * width);
    owner->nbytes_after += recipe.nbytes;
    return oq_edit_tensor(rewrite->edit, graph_of(rewrite, q),
                          oq_edit_name(rewrite->edit, owner->name, "_zero_point"), data_type_of(q),
                          dims, n_dims, &recipe);
}

const char *oq_rewrite_zero_point(struct oq_rewrite *rewrite, const struct oq_site *site)
{
    struct oq_quantized *q = site->quantized;
    const int64_t n = (int64_t)q->ranges->n_scales;
    if (!has_zero_point(q))
        return "";
    /* One number where it is enough: batches and ConvInteger take no more. */
    if (q->zero_point_name == NULL)
        q->zero_point_name =
            add_zero_point(rewrite, q, &n, is_uniform(q->zero_point, q->ranges->n_scales) ? 0 : 1);
    return q->zero_point_name;
}

static const char *add_scale(struct oq_rewrite *rewrite, const struct oq_quantized *q,
                             const int64_t *dims, size_t n_dims, float factor)
{
    struct oq_constant *owner = q->ranges->constant;
    const float *scale = q->scale;
    uint64_t n = oq_nelem(dims, 0, n_dims);
    void **made = oq_rewrite_companion(rewrite, q, "scale", dims, n_dims, factor);
    if (made == NULL || *made != NULL)
        return made == NULL ? NULL : *made;
    if (factor != 1 || n != q->ranges->n_scales) {
        float *values = oq_edit_allocate(rewrite->edit, (size_t)n, sizeof(*values));
        for (uint64_t i = 0; values != NULL && i < n; i++)
            values[i] = scale[q->ranges->n_scales == 1 ? 0 : i] * factor;
        scale = values;
    }
    *made = oq_edit_text(add_bytes(rewrite, graph_of(rewrite, q), owner,
                                   oq_edit_name(rewrite->edit, owner->name, "_scale"),
                                   OQ_TYPE(FLOAT), sizeof(float), dims, n_dims, scale));
    return *made;
}

const char *oq_rewrite_scale(struct oq_rewrite *rewrite, const struct oq_site *site,
                             const int64_t *dims, size_t n_dims, float factor)
{
    return add_scale(rewrite, site->quantized, dims, n_dims, factor);
}

/*
 * The number, or the next below it in size that no other product has: ONNX Runtime makes one
 * tensor of equal scalars, then one node of their products with one activation scale, and
 * fuses none of the products that share it. 0 stays 0.
 */
static float make_distinct(struct oq_rewrite *rewrite, float value)
{
    for (; value != 0; value = nextafterf(value, 0)) {
        char *key = oq_arena_printf(rewrite->edit->arena, "%a", (double)value);
        void **place = key == NULL ? NULL : oq_strmap_place(&rewrite->scalars, key);
        if (place == NULL)
            rewrite->edit->failed = true;
        if (place == NULL || *place == NULL) {
            if (place != NULL)
                *place = key;
            break;
        }
    }
    return value;
}

const char *oq_rewrite_product_scale(struct oq_rewrite *rewrite, const struct oq_site *site,
                                     const int64_t *dims, size_t n_dims, float factor)
{
    const struct oq_quantized *q = site->quantized;
    struct oq_constant *owner = q->ranges->constant;
    if (q->ranges->n_scales > 1)
        return add_scale(rewrite, q, dims, n_dims, factor);
    void **made = oq_rewrite_companion(rewrite, q, "product scale", NULL, 0, factor);
    if (made == NULL || *made != NULL)
        return made == NULL ? NULL : *made;
    float *value = oq_edit_allocate(rewrite->edit, 1, sizeof(*value));
    if (value == NULL)
        return NULL;
    *value = make_distinct(rewrite, q->scale[0] * factor);
    *made = oq_edit_text(add_bytes(rewrite, graph_of(rewrite, q), owner,
                                   oq_edit_name(rewrite->edit, owner->name, "_scale"),
                                   OQ_TYPE(FLOAT), sizeof(float), NULL, 0, value));
    return *made;
}

/* --- activations --- */

struct oq_activation oq_rewrite_activation(struct oq_rewrite *rewrite, const char *name,
                                           bool transposed, int32_t data_type)
{
    void **place;
    const char *x = oq_edit_float_input(rewrite->edit, name, transposed, data_type);
    struct oq_activation *made = oq_edit_made(rewrite->edit, "quantized", x, &place);
    if (made != NULL)
        return *made;
    if (place == NULL || (made = oq_edit_allocate(rewrite->edit, 1, sizeof(*made))) == NULL)
        return (struct oq_activation){0};
    *place = made;
    *made = (struct oq_activation){.quantized = oq_edit_name(rewrite->edit, x, "_quantized"),
                                   .scale = oq_edit_name(rewrite->edit, x, "_scale"),
                                   .zero_point = oq_edit_name(rewrite->edit, x, "_zero_point")};
    const char *inputs[] = {x, NULL};
    const char *outputs[] = {made->quantized, made->scale, made->zero_point, NULL};
    oq_edit_node(rewrite->edit, "", "DynamicQuantizeLinear", x, inputs, outputs);
    return *made;
}

bool oq_rewrite_dequantize(struct oq_rewrite *rewrite, const char *label, const char *int32_value,
                           const char *activation_scale, const char *weight_scale, const char *bias,
                           int32_t data_type, const char *output)
{
    const char *scale = oq_edit_name(rewrite->edit, int32_value, "_scale");
    const char *scale_inputs[] = {activation_scale, weight_scale, NULL};
    const char *scale_outputs[] = {scale, NULL};
    const char *inputs[] = {oq_rewrite_cast(rewrite, label, int32_value), scale, NULL};
    oq_edit_node(rewrite->edit, "", "Mul", label, scale_inputs, scale_outputs);
    if (bias == NULL)
        return oq_edit_float_output(rewrite->edit, "", "Mul", label, inputs, data_type, output);
    const char *product = oq_edit_name(rewrite->edit, int32_value, "_scaled");
    const char *outputs[] = {product, NULL};
    const char *add_inputs[] = {product, bias, NULL};
    oq_edit_node(rewrite->edit, "", "Mul", label, inputs, outputs);
    return oq_edit_float_output(rewrite->edit, "", "Add", label, add_inputs, data_type, output);
}

/* --- weights that become float again --- */

const char *oq_rewrite_qdq_domain(const onnxq_plan *plan)
{
    const int least =
        plan->options.activation_bits == 16 ? OQ_OPSET_DEQUANTIZE_INT16 : OQ_OPSET_DEQUANTIZE_AXIS;
    bool is_old = plan->options.method == ONNXQ_METHOD_STATIC && plan->model->opset < least;
    return is_old ? "com.microsoft" : "";
}

const char *oq_rewrite_cast(struct oq_rewrite *rewrite, const char *label, const char *value)
{
    const char *cast = oq_edit_name(rewrite->edit, value, "_cast");
    oq_edit_cast(rewrite->edit, label, value, OQ_TYPE(FLOAT), cast);
    return cast;
}

const char *oq_rewrite_subtract(struct oq_rewrite *rewrite, const char *label, const char *value,
                                const char *subtrahend)
{
    const char *difference = oq_edit_name(rewrite->edit, value, "_centered");
    const char *inputs[] = {value, subtrahend, NULL};
    const char *outputs[] = {difference, NULL};
    oq_edit_node(rewrite->edit, "", "Sub", label, inputs, outputs);
    return difference;
}

/* Dimensions with which scales broadcast over the integers: 1 but for channel and batch axes. */
static const int64_t *keep_dims(struct oq_rewrite *rewrite, const struct oq_quantized *q,
                                size_t *n_dims)
{
    const struct oq_ranges *ranges = q->ranges;
    const struct oq_source *source = ranges->source;
    int64_t *dims = oq_edit_allocate(rewrite->edit, source->n_dims + 1, sizeof(*dims));
    *n_dims = ranges->axis < 0 || dims == NULL ? 0 : source->n_dims;
    for (size_t i = 0; i < *n_dims; i++)
        dims[i] = i < ranges->batch_axes || i == (size_t)ranges->axis ? source->dims[i] : 1;
    if (q->transposed && *n_dims > 1) {
        int64_t last = dims[*n_dims - 1];
        dims[*n_dims - 1] = dims[*n_dims - 2];
        dims[*n_dims - 2] = last;
    }
    return dims;
}

struct oq_rewrite_values oq_rewrite_float_scale(struct oq_rewrite *rewrite,
                                                const struct oq_quantized *q)
{
    struct oq_rewrite_values values = {NULL, 0};
    const int64_t *dims = keep_dims(rewrite, q, &values.n_dims);
    values.name = add_scale(rewrite, q, dims, values.n_dims, 1);
    return values;
}

/* For each input channel: of the weight's rank, 1 but for that axis. */
static const char *add_input_scale(struct oq_rewrite *rewrite, const struct oq_quantized *q)
{
    const struct oq_source *source = q->ranges->source;
    const size_t axis = q->refinement->axis == 0 ? 1 : 0;
    int64_t *dims = oq_edit_allocate(rewrite->edit, source->n_dims, sizeof(*dims));
    if (dims == NULL)
        return NULL;
    for (size_t i = 0; i < source->n_dims; i++)
        dims[i] = i == axis ? source->dims[i] : 1;
    struct oq_constant *owner = q->ranges->constant;
    void **made = oq_rewrite_companion(rewrite, q, "input scale", dims, source->n_dims, 0);
    if (made != NULL && *made == NULL)
        *made = oq_edit_text(add_bytes(rewrite, graph_of(rewrite, q), owner,
                                       oq_edit_name(rewrite->edit, owner->name, "_input_scale"),
                                       OQ_TYPE(FLOAT), sizeof(float), dims, source->n_dims,
                                       q->refinement->input_scale));
    return made == NULL ? NULL : *made;
}

/* The scale that the integers are multiplied by: two factors are multiplied with each other first.
 */
static const char *full_scale(struct oq_rewrite *rewrite, const struct oq_quantized *q,
                              const char *label)
{
    const char *scale = oq_rewrite_float_scale(rewrite, q).name;
    if (q->refinement == NULL || q->refinement->input_scale == NULL)
        return scale;
    const char *product = oq_edit_name(rewrite->edit, label, "_full_scale");
    const char *inputs[] = {scale, add_input_scale(rewrite, q), NULL};
    const char *outputs[] = {product, NULL};
    oq_edit_node(rewrite->edit, "", "Mul", label, inputs, outputs);
    return product;
}

struct oq_rewrite_values oq_rewrite_float_zero_point(struct oq_rewrite *rewrite,
                                                     const struct oq_quantized *q)
{
    struct oq_rewrite_values values = {NULL, 0};
    struct oq_constant *owner = q->ranges->constant;
    if (!has_zero_point(q))
        return values;
    const int64_t *dims = keep_dims(rewrite, q, &values.n_dims);
    if (is_uniform(q->zero_point, q->ranges->n_scales))
        values.n_dims = 0;
    void **made = oq_rewrite_companion(rewrite, q, "zero point", dims, values.n_dims, 0);
    if (made != NULL && *made == NULL)
        *made = oq_edit_text(add_bytes(rewrite, graph_of(rewrite, q), owner,
                                       oq_edit_name(rewrite->edit, owner->name, "_zero_point"),
                                       OQ_TYPE(FLOAT), sizeof(float), dims, values.n_dims,
                                       q->zero_point));
    values.name = made == NULL ? NULL : *made;
    return values;
}

/* The same in blocks along one axis. */
static const char *dequantize_blocks(struct oq_rewrite *rewrite, const struct oq_constant *constant,
                                     const char *output)
{
    struct oq_quantized *q = constant->fold;
    struct oq_rewrite_blocks blocks = oq_rewrite_blocks(rewrite, q, q->blocks->choice.form, 1);
    const char *inputs[] = {blocks.integers, blocks.scales, blocks.zero_points, NULL};
    const char *outputs[] = {output, NULL};
    Oq__Pb__NodeProto *node =
        oq_edit_node(rewrite->edit, "", "DequantizeLinear", constant->name, inputs, outputs);
    oq_edit_add_int(rewrite->edit, node, "axis", q->blocks->choice.axis);
    oq_edit_add_int(rewrite->edit, node, "block_size", (int64_t)q->blocks->choice.size);
    return output;
}

/*
 * DequantizeLinear(q, scale, zero point): scalars, or vectors along one axis. The
 * zero point is written where it is 0 as well: ONNX Runtime up to 1.27 otherwise
 * takes it for one of uint8 where it adds nodes, whatever type the integers have.
 */
static const char *dequantize_linear(struct oq_rewrite *rewrite, struct oq_constant *constant,
                                     const char *output)
{
    const struct oq_quantized *q = constant->fold;
    const char *label = constant->name;
    const int64_t n = (int64_t)q->ranges->n_scales;
    size_t n_dims = q->ranges->axis < 0 ? 0 : 1;
    int32_t data_type = constant->source.data_type;
    const char *value =
        data_type == OQ_TYPE(FLOAT) ? output : oq_edit_name(rewrite->edit, label, "_f32");
    if (q->blocks != NULL)
        return dequantize_blocks(rewrite, constant, value);
    const char *inputs[] = {add_weight(rewrite, constant->fold),
                            add_scale(rewrite, q, &n, n_dims, 1),
                            add_zero_point(rewrite, q, &n, n_dims), NULL};
    const char *outputs[] = {value, NULL};
    Oq__Pb__NodeProto *node = oq_edit_node(rewrite->edit, oq_rewrite_qdq_domain(rewrite->plan),
                                           "DequantizeLinear", label, inputs, outputs);
    if (n_dims > 0)
        oq_edit_add_int(rewrite->edit, node, "axis", q->ranges->axis);
    return value;
}

/* Products may store a weight without some of its dimensions of 1. */
static const char *restore_dims(struct oq_rewrite *rewrite, const struct oq_constant *constant,
                                const char *integers)
{
    const struct oq_source *source = constant->fold->ranges->source;
    if (constant->fold->n_dims == source->n_dims)
        return integers;
    const char *restored = oq_edit_name(rewrite->edit, integers, "_reshaped");
    const char *inputs[] = {
        integers, oq_edit_int64s(rewrite->edit, "weight_shape", source->dims, source->n_dims),
        NULL};
    const char *outputs[] = {restored, NULL};
    oq_edit_node(rewrite->edit, "", "Reshape", constant->name, inputs, outputs);
    return restored;
}

/* With its last two axes swapped. */
static bool turn_back(struct oq_rewrite *rewrite, const char *label, const char *value,
                      size_t n_dims, const char *output)
{
    int64_t *perm = oq_edit_allocate(rewrite->edit, n_dims, sizeof(*perm));
    for (size_t i = 0; perm != NULL && i < n_dims; i++)
        perm[i] = (int64_t)(i + 2 < n_dims ? i : 2 * n_dims - 3 - i);
    return perm != NULL && oq_edit_permute(rewrite->edit, label, value, perm, n_dims, output);
}

/*
 * Cast(q) [- zero point] * scale: what engines fold, whatever way scales are shared. Integers
 * that a product has transposed are turned back at the end.
 */
static bool multiply_out(struct oq_rewrite *rewrite, struct oq_constant *constant,
                         const char *output)
{
    struct oq_quantized *q = constant->fold;
    const char *label = constant->name;
    const char *product =
        q->transposed ? oq_edit_name(rewrite->edit, output, "_transposed") : output;
    const char *value =
        oq_rewrite_cast(rewrite, label, restore_dims(rewrite, constant, add_weight(rewrite, q)));
    struct oq_rewrite_values zero_point = oq_rewrite_float_zero_point(rewrite, q);
    /* In float: ONNX Runtime folds no integer Sub of 8 bits. */
    if (zero_point.name != NULL)
        value = oq_rewrite_subtract(rewrite, label, value, zero_point.name);
    const char *inputs[] = {value, full_scale(rewrite, q, label), NULL};
    bool ok = oq_edit_float_output(rewrite->edit, "", "Mul", label, inputs,
                                   constant->source.data_type, product);
    return ok && (!q->transposed || turn_back(rewrite, label, product, q->n_dims, output));
}

bool oq_rewrite_fold(struct oq_rewrite *rewrite, struct oq_constant *constant)
{
    oq_edit_enter(rewrite->edit, constant->value->graph->ordinal);
    const char *output = constant->name; /* so that its users stay as they are */
    bool is_linear = constant->is_static || (rewrite->plan->options.method == ONNXQ_METHOD_QDQ &&
                                             !constant->is_multiplied);
    if (!is_linear)
        return multiply_out(rewrite, constant, output);
    const char *value = dequantize_linear(rewrite, constant, output);
    if (constant->source.data_type != OQ_TYPE(FLOAT))
        oq_edit_cast(rewrite->edit, constant->name, value, constant->source.data_type, output);
    return !rewrite->edit->failed;
}
