/*
 * QuantizeLinear followed by DequantizeLinear with the same scale and zero
 * point, as models with static quantization have them around every operator:
 * the value passes on.
 *
 * What such a pair cuts off may be meant: ONNX Runtime's quantizer drops a Relu
 * or Clip when the range of the integers does its work. So where that range
 * starts (or ends) at 0 or is as long as somebody would write it down, and the
 * values are not known to stay within, a Clip to the range takes the place of
 * the pair. All other ranges come from a calibration: what they cut off is an
 * error of the quantized model. They are counted, and clip where users ask for it.
 */
#include "base/checked.h"
#include "dequantize/forms/forms_table.h"
#include "wire/data_type.h"

#define CLIP_INPUTS     11 /* opset from which on the bounds of Clip are inputs */
#define MAX_LOOK_BEHIND 16

static bool is_of(const Oq__Pb__NodeProto *node, enum oq_operator_id onnx, enum oq_operator_id ms)
{
    const enum oq_operator_id id = oq_operator_id_of(node);
    return id == onnx || id == ms;
}

static bool is_quantize(const Oq__Pb__NodeProto *node)
{
    return is_of(node, OQ_ONNX_QuantizeLinear, OQ_MS_QuantizeLinear);
}

static bool is_dequantize(const Oq__Pb__NodeProto *node)
{
    return is_of(node, OQ_ONNX_DequantizeLinear, OQ_MS_DequantizeLinear);
}

struct grid {
    struct oq_integer_type type;
    float scale, zero_point;
};

/* The type of a QuantizeLinear without zero point. */
static bool find_type(const Oq__Pb__NodeProto *node, struct oq_integer_type *type)
{
    const int64_t given = oq_node_int(node, "output_dtype", OQ_TYPE(UNDEFINED));
    const int32_t data_type = given >= 0 && given <= INT32_MAX ? (int32_t)given : -1;
    const struct oq_dtype *dtype = oq_dtype_find(given == 0 ? OQ_TYPE(UINT8) : data_type);
    if (dtype == NULL || !dtype->is_integer || (dtype->nbits != 8 && dtype->nbits != 16))
        return false;
    *type = (struct oq_integer_type){dtype->nbits, dtype->is_signed, false};
    return true;
}

/*
 * Scale and zero point, each one number. Where a DequantizeLinear has no zero
 * point, only what comes before it tells its type: that is false here.
 */
static bool read_grid(onnxq_dequantization *undo, const struct oq_place *place, struct grid *grid)
{
    *grid = (struct grid){0};
    if (!oq_undo_number(undo, place->graph, oq_node_input(place->node, 1), &grid->scale, NULL) ||
        !(grid->scale > 0))
        return false;
    if (oq_node_input(place->node, 2)[0] == '\0')
        return is_quantize(place->node) && find_type(place->node, &grid->type);
    return oq_undo_number(undo, place->graph, oq_node_input(place->node, 2), &grid->zero_point,
                          &grid->type) &&
           grid->type.nbits < 32;
}

/* --- ranges --- */

static float lowest(const struct grid *grid)
{
    return grid->type.is_signed ? -(float)(1u << (grid->type.nbits - 1)) : 0;
}

static float highest(const struct grid *grid)
{
    return lowest(grid) + (float)((1u << grid->type.nbits) - 1);
}

static float low_end(const struct grid *grid)
{
    return (lowest(grid) - grid->zero_point) * grid->scale;
}

static float high_end(const struct grid *grid)
{
    return (highest(grid) - grid->zero_point) * grid->scale;
}

/* Some versions of ONNX Runtime's quantizer leave the lowest of signed integers out. */
static bool starts_at_0(const struct grid *grid)
{
    return grid->zero_point - lowest(grid) <= (grid->type.is_signed ? 1 : 0);
}

/*
 * So many steps are a multiple of 1/10, as a float can say it: hardly ever by
 * chance, where a calibration has found the range (decisions.md).
 */
#define MAX_ROUND 100.0
static bool is_round(const struct grid *grid, float steps)
{
    const double tenths = 10.0 * (double)grid->scale * (double)steps;
    const double off = tenths - (double)(int64_t)(tenths < 10 * MAX_ROUND ? tenths + 0.5 : 0);
    return tenths > 0.5 && (off < 0 ? -off : off) <= tenths * 0x1p-22;
}

static bool is_written_down(const struct grid *grid)
{
    const float steps = highest(grid) - lowest(grid);
    return is_round(grid, steps) || (grid->type.is_signed && is_round(grid, steps - 1));
}

/* --- what sees to it already --- */

static const char *const not_negative[] = {"Abs",     "Clip",    "Exp",  "HardSigmoid", "Relu",
                                           "Sigmoid", "Softmax", "Sqrt", "Softplus",    NULL};
static const char *const bounded[] = {"Clip", NULL}, *const nobody[] = {NULL};

/* What these give lies in the range of what they take. */
static const char *const keep_range[] = {
    "AveragePool", "DepthToSpace",  "Expand",  "Flatten",   "Gather",    "GlobalAveragePool",
    "Identity",    "GlobalMaxPool", "MaxPool", "Reshape",   "Slice",     "SpaceToDepth",
    "Squeeze",     "Split",         "Tile",    "Transpose", "Unsqueeze", NULL};

static bool is_one_of(const Oq__Pb__NodeProto *node, const char *const *op_types)
{
    for (; *op_types != NULL; op_types++)
        if (oq_node_is(node, "", *op_types))
            return true;
    return false;
}

static bool starts_as_well(const struct grid *earlier, const struct grid *grid)
{
    (void)grid;
    return starts_at_0(earlier);
}

static bool goes_no_further(const struct grid *earlier, const struct grid *grid)
{
    return low_end(earlier) >= low_end(grid) && high_end(earlier) <= high_end(grid);
}

/* Who keeps values in the range of a grid that they come to later. */
struct keepers {
    const char *const *op_types;
    bool (*does)(const struct grid *earlier, const struct grid *grid);
    bool inputs; /* nothing is dropped behind a graph input */
};
static const struct keepers of_sign = {not_negative, starts_as_well, false};
static const struct keepers of_bounds = {bounded, goes_no_further, true};
static const struct keepers of_range = {nobody, goes_no_further, false};

static bool is_kept(onnxq_dequantization *undo, const struct oq_graph *graph, const char *name,
                    const struct grid *grid, const struct keepers *by)
{
    struct grid earlier;
    for (int depth = 0; depth < MAX_LOOK_BEHIND; depth++) {
        struct oq_place place = oq_producer(graph, name);
        if (place.node == NULL)
            return by->inputs;
        if (is_one_of(place.node, by->op_types))
            return true;
        bool is_grid = is_dequantize(place.node);
        if (is_grid && read_grid(undo, &place, &earlier) && by->does(&earlier, grid))
            return true;
        if (!is_grid && !is_one_of(place.node, keep_range) && !is_quantize(place.node))
            return false;
        graph = place.graph;
        name = oq_node_input(place.node, 0);
    }
    return false;
}

static bool is_ours(const onnxq_dequantization *undo)
{
    const char *settings = oq_model_settings(undo->model);
    return settings != NULL && strncmp(settings, "method=static ", strlen("method=static ")) == 0;
}

/* onnxq leaves every Relu and Clip where it is. */
static bool is_all_ours(const onnxq_dequantization *undo)
{
    return is_ours(undo) && strstr(oq_model_settings(undo->model), OQ_RANGES_OF_OTHERS) == NULL;
}

/* Whether the pair cuts off what an operator that was dropped would have. */
static bool clips(onnxq_dequantization *undo, const struct oq_place *quantize,
                  const struct grid *grid)
{
    const char *x = oq_node_input(quantize->node, 0);
    const bool ends_at_0 = grid->zero_point == highest(grid);
    return (starts_at_0(grid) && !is_kept(undo, quantize->graph, x, grid, &of_sign)) ||
           ((ends_at_0 || is_written_down(grid)) &&
            !is_kept(undo, quantize->graph, x, grid, &of_bounds));
}

/* --- matching --- */

/* True where no body between gives the name of the value that passes on another meaning. */
static bool is_visible_to_users(const struct oq_match *match, const char *name)
{
    const struct oq_graph *graph = match->place.graph;
    const struct oq_value *output = oq_graph_find(graph, match->place.node->output[0]);
    for (const struct oq_use *use = output->uses; use != NULL; use = use->next)
        if (!oq_is_same_value(use->graph, name, graph, name))
            return false;
    return true;
}

static enum oq_outcome pass_on(onnxq_dequantization *undo, struct oq_match *match,
                               const struct oq_place *quantize)
{
    const char *x = oq_node_input(quantize->node, 0);
    const struct oq_value *output = oq_graph_find(match->place.graph, match->place.node->output[0]);
    if (output == NULL || !oq_is_same_value(match->place.graph, x, quantize->graph, x))
        return oq_leave(undo, match, "its value is not in reach");
    match->activation = x;
    match->passes = !match->clips && match->ratio == 0 && !output->is_graph_output &&
                    !output->is_named && is_visible_to_users(match, x);
    return OQ_MATCH;
}

/* Both are one constant, or constants of the same numbers. */
static bool is_same_constant(onnxq_dequantization *undo, const struct oq_place *a,
                             const struct oq_place *b, size_t input)
{
    enum { PART = 4096 };
    const char *names[] = {oq_node_input(a->node, input), oq_node_input(b->node, input)};
    const struct oq_graph *graphs[] = {a->graph, b->graph};
    float *x[] = {oq_recipe_floats(undo->scratch), oq_recipe_floats(undo->scratch) + PART};
    int32_t *integers = (int32_t *)(void *)(x[1] + PART);
    struct oq_constant_value constants[2];
    struct oq_shared numbers[2] = {{0}};
    if (names[0][0] == '\0' || names[1][0] == '\0')
        return names[0][0] == names[1][0];
    for (size_t i = 0; i < 2; i++)
        if (!oq_undo_constant(undo, graphs[i], names[i], &constants[i]) ||
            oq_shared_set(&numbers[i], constants[i].tensor) != NULL)
            return false;
    bool same =
        constants[0].data_type == constants[1].data_type && numbers[0].nelem == numbers[1].nelem;
    for (uint64_t done = 0; same && done < numbers[0].nelem; done += PART) {
        const size_t n = (size_t)oq_min_u64(PART, numbers[0].nelem - done);
        for (size_t i = 0; i < 2; i++)
            undo->failed |=
                !oq_shared_read(&numbers[i], done, n, x[i], integers, undo->scratch, undo->error);
        same = !undo->failed;
        for (size_t i = 0; same && i < n; i++)
            same = x[0][i] == x[1][i];
    }
    return same;
}

/*
 * A weight with a scale for each channel, as quantization-aware training leaves it: it is what
 * was trained, and nothing is meant to be cut off.
 */
static bool is_weight_pair(onnxq_dequantization *undo, const struct oq_place *quantize,
                           const struct oq_place *dequantize)
{
    struct oq_constant_value weight;
    return oq_undo_constant(undo, quantize->graph, oq_node_input(quantize->node, 0), &weight) &&
           weight.data_type == OQ_TYPE(FLOAT) &&
           oq_node_int(quantize->node, "axis", 1) == oq_node_int(dequantize->node, "axis", 1) &&
           oq_node_int(quantize->node, "block_size", 0) ==
               oq_node_int(dequantize->node, "block_size", 0) &&
           oq_node_int(dequantize->node, "output_dtype", OQ_TYPE(FLOAT)) == OQ_TYPE(FLOAT) &&
           is_same_constant(undo, quantize, dequantize, 1) &&
           is_same_constant(undo, quantize, dequantize, 2);
}

static enum oq_outcome match_static(onnxq_dequantization *undo, struct oq_match *match,
                                    const struct oq_place *quantize)
{
    struct grid grid, other;
    bool is_plain = read_grid(undo, quantize, &grid);
    if (is_plain && oq_node_input(match->place.node, 2)[0] == '\0') {
        other = (struct grid){.type = grid.type};
        is_plain = oq_undo_number(undo, match->place.graph, oq_node_input(match->place.node, 1),
                                  &other.scale, NULL);
    } else if (is_plain) {
        is_plain = read_grid(undo, &match->place, &other);
    }
    if (!is_plain && is_weight_pair(undo, quantize, &match->place))
        return pass_on(undo, match, quantize);
    if (!is_plain)
        return oq_leave(undo, match, "its scale and zero point are not one constant number each");
    if (grid.scale != other.scale && is_ours(undo))
        match->ratio = other.scale / grid.scale; /* a Mul by a number */
    else if (grid.scale != other.scale)
        return oq_leave(undo, match, "it does not undo the QuantizeLinear before it");
    if (grid.zero_point != other.zero_point || grid.type.nbits != other.type.nbits ||
        grid.type.is_signed != other.type.is_signed)
        return oq_leave(undo, match, "it does not undo the QuantizeLinear before it");
    match->clips = !is_all_ours(undo) && clips(undo, quantize, &grid);
    match->cuts = !match->clips && !is_kept(undo, quantize->graph, oq_node_input(quantize->node, 0),
                                            &grid, &of_range);
    if (match->cuts && undo->options.keep_ranges) {
        match->clips = true;
        match->cuts = false;
    }
    match->lo = low_end(&grid);
    match->hi = high_end(&grid);
    const int64_t output_type = oq_node_int(match->place.node, "output_dtype", 0);
    struct oq_constant_value scale;
    bool is_float32 =
        oq_undo_constant(undo, match->place.graph, oq_node_input(match->place.node, 1), &scale) &&
        scale.tensor->proto->data_type == OQ_TYPE(FLOAT);
    if (output_type != 0 && (!is_float32 || output_type != OQ_TYPE(FLOAT)))
        return oq_leave(undo, match, "its output may be of another type than its input");
    if (match->clips && !is_float32)
        return oq_leave(undo, match,
                        "it may cut values off as a Relu or Clip, which needs float32");
    return pass_on(undo, match, quantize);
}

static enum oq_outcome match(onnxq_dequantization *undo, struct oq_match *match)
{
    struct oq_place made = oq_producer(match->place.graph, oq_node_input(match->place.node, 0));
    if (made.node == NULL)
        return OQ_NO_MATCH;
    if (is_quantize(made.node))
        return match_static(undo, match, &made);
    if (!oq_node_is(made.node, "", "DynamicQuantizeLinear"))
        return OQ_NO_MATCH;
    const char *x = oq_undo_activation(
        undo, match->place.graph, oq_node_input(match->place.node, 0),
        oq_node_input(match->place.node, 1), oq_node_input(match->place.node, 2));
    if (x == NULL)
        return oq_leave(undo, match, "it does not undo the DynamicQuantizeLinear before it");
    return pass_on(undo, match, &made);
}

static bool emit(onnxq_dequantization *undo, struct oq_edit *edit, const struct oq_match *match)
{
    const char *label = oq_node_label(match->place.node);
    const char *outputs[] = {match->place.node->output[0], NULL};
    undo->summary.n_ranges_removed += match->cuts;
    if (match->passes)
        return oq_undo_alias(undo, edit, match, match->activation);
    if (match->ratio != 0) {
        const char *inputs[] = {match->activation,
                                oq_edit_floats(edit, "factor", NULL, 0, &match->ratio), NULL};
        oq_edit_node(edit, "", "Mul", label, inputs, outputs);
        return !edit->failed;
    }
    if (!match->clips) {
        const char *inputs[] = {match->activation, NULL};
        oq_edit_node(edit, "", "Identity", label, inputs, outputs);
        return !edit->failed;
    }
    if (undo->model->opset >= CLIP_INPUTS) {
        const char *inputs[] = {match->activation,
                                oq_edit_floats(edit, "clip_min", NULL, 0, &match->lo),
                                oq_edit_floats(edit, "clip_max", NULL, 0, &match->hi), NULL};
        oq_edit_node(edit, "", "Clip", label, inputs, outputs);
    } else {
        const char *inputs[] = {match->activation, NULL};
        Oq__Pb__NodeProto *clip = oq_edit_node(edit, "", "Clip", label, inputs, outputs);
        oq_edit_add_float(edit, clip, "min", match->lo);
        oq_edit_add_float(edit, clip, "max", match->hi);
    }
    return !edit->failed;
}

const struct oq_form oq_form_pair = {"QuantizeLinear and DequantizeLinear",
                                     OQ_ONNX_DequantizeLinear, match, emit};
const struct oq_form oq_form_pair_contrib = {"QuantizeLinear and DequantizeLinear",
                                             OQ_MS_DequantizeLinear, match, emit};
