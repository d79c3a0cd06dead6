/*
 * ConvInteger of a dynamically quantized activation, which becomes Conv with a
 * float bias again. The bias is added behind the last Mul,
 *
 *     Add(product, Reshape(bias))
 *
 * or, as ONNX Runtime's quantize_dynamic did it up to 1.8, in front of the Cast:
 *
 *     Add(ConvInteger, Reshape(Cast(Floor(Div(bias, Mul(both scales))))))
 */
#include "dequantize/forms/forms_table.h"
#include "dequantize/forms/integer_product.h"
#include "wire/data_type.h"

#define INT32 OQ_TYPE(INT32)

/* The scale of W [O, I, kernel..]: [O, 1, ..] or [1, O, 1, ..], as it meets [batch, O, spatial..].
 */
static const char *find_scale(onnxq_dequantization *undo, const struct oq_product *product,
                              struct oq_weight *weight, const struct oq_constant_value *integers)
{
    struct oq_constant_value constant;
    int64_t dims[OQ_WEIGHT_MAX_RANK] = {0};
    if (!oq_undo_constant(undo, product->scale_graph, product->scale, &constant))
        return "its scale is no constant";
    size_t rank = integers->n_dims, n = constant.n_dims;
    bool fits =
        constant.tensor->proto->data_type == OQ_TYPE(FLOAT) && n <= rank && !constant.transposed;
    for (size_t i = 0; fits && i < n; i++)
        fits =
            constant.dims[i] == 1 || (rank - n + i == 1 && constant.dims[i] == integers->dims[0]);
    if (!fits)
        return "its scale is not one for each output channel";
    dims[0] = (int64_t)constant.tensor->nelem;
    for (size_t i = 1; i < rank; i++)
        dims[i] = 1;
    const char *reason = oq_shared_set(&weight->scale, constant.tensor);
    return reason != NULL ? reason : oq_shared_spread(&weight->scale, weight, dims, rank, 0, 1);
}

/* --- the bias --- */

/* A Reshape of a vector to [O, 1, ..] or [1, O, 1, ..], where that is O numbers long. */
static bool is_along_channels(onnxq_dequantization *undo, const struct oq_place *reshape,
                              const struct oq_constant_value *integers)
{
    struct oq_constant_value shape;
    int64_t dims[OQ_READ_MAX_INTEGERS];
    const size_t rank = integers->n_dims;
    if (!oq_undo_constant(undo, reshape->graph, oq_node_input(reshape->node, 1), &shape) ||
        shape.tensor->nelem + 1 < rank || shape.tensor->nelem > rank ||
        shape.data_type != OQ_TYPE(INT64))
        return false;
    if (!oq_tensor_read_int64s(shape.tensor, dims, undo->error)) {
        undo->failed = true;
        return false;
    }
    for (size_t n = (size_t)shape.tensor->nelem, i = 0; i < n; i++) {
        bool is_channel = rank - n + i == 1;
        if (dims[i] != (is_channel ? integers->dims[0] : 1) && !(is_channel && dims[i] == -1))
            return false;
    }
    return true;
}

/* A constant [O], as graph sees it too. */
static bool is_bias(onnxq_dequantization *undo, const struct oq_match *match,
                    const struct oq_graph *graph, const char *name,
                    const struct oq_constant_value *integers)
{
    struct oq_constant_value bias;
    return oq_undo_constant(undo, graph, name, &bias) && bias.n_dims == 1 &&
           bias.dims[0] == integers->dims[0] && bias.tensor->proto->data_type == OQ_TYPE(FLOAT) &&
           oq_is_same_value(match->place.graph, name, graph, name);
}

/* What is added to `product`, where it is a Reshape along the channels; else .node is NULL. */
static struct oq_place find_added(onnxq_dequantization *undo, const struct oq_place *add,
                                  const char *product, const struct oq_constant_value *integers)
{
    size_t side = strcmp(oq_node_input(add->node, 0), product) == 0 ? 1 : 0;
    struct oq_place reshape = oq_producer_of(add->graph, oq_node_input(add->node, side), "Reshape");
    if (reshape.node == NULL || strcmp(oq_node_input(add->node, 1 - side), product) != 0 ||
        !is_along_channels(undo, &reshape, integers))
        return (struct oq_place){0};
    return reshape;
}

/* The only user of the product may add the bias; that is replaced, too. */
static void take_float_bias(onnxq_dequantization *undo, struct oq_match *match,
                            const struct oq_constant_value *integers)
{
    const char *output = match->place.node->output[0];
    struct oq_place add = oq_only_user(match->place.graph, output);
    if (add.node == NULL || !oq_node_is(add.node, "", "Add") || add.node->n_output != 1)
        return;
    struct oq_place reshape = find_added(undo, &add, output, integers);
    if (reshape.node == NULL)
        return;
    const char *bias = oq_node_input(reshape.node, 0);
    if (is_bias(undo, match, reshape.graph, bias, integers)) {
        match->bias = bias;
        match->place = add;
    }
}

/* Mul of both scales of the product, in any order. */
static bool is_scale(const struct oq_place *mul, const struct oq_product *product)
{
    const char *a = oq_node_input(mul->node, 0), *b = oq_node_input(mul->node, 1);
    const char *x = product->activation_scale, *w = product->scale;
    const struct oq_graph *graph = product->scale_graph;
    return (oq_is_same_value(mul->graph, a, graph, x) &&
            oq_is_same_value(mul->graph, b, graph, w)) ||
           (oq_is_same_value(mul->graph, a, graph, w) && oq_is_same_value(mul->graph, b, graph, x));
}

/* NULL where it is another; a scale for each channel would not meet the bias along these. */
static const char *find_integer_bias(onnxq_dequantization *undo, const struct oq_match *match,
                                     const struct oq_product *product,
                                     const struct oq_constant_value *integers)
{
    const struct oq_place reshape =
        find_added(undo, &product->added, product->integers.node->output[0], integers);
    const struct oq_place cast = oq_producer_behind(&reshape, 0, "Cast");
    const struct oq_place floor = oq_producer_behind(&cast, 0, "Floor");
    const struct oq_place div = oq_producer_behind(&floor, 0, "Div");
    const struct oq_place mul = oq_producer_behind(&div, 1, "Mul");
    float scale;
    if (mul.node == NULL || oq_node_int(cast.node, "to", 0) != INT32 || !is_scale(&mul, product) ||
        !oq_undo_number(undo, product->scale_graph, product->scale, &scale, NULL))
        return NULL;
    const char *bias = oq_node_input(div.node, 0);
    return is_bias(undo, match, div.graph, bias, integers) ? bias : NULL;
}

/* --- Conv --- */

static const char *find_filter(onnxq_dequantization *undo, struct oq_match *match,
                               const struct oq_product *product, struct oq_constant_value *integers)
{
    const struct oq_spread axis = {OQ_SPREAD_AXIS, 0, 1};
    const struct oq_graph *graph = product->integers.graph;
    const Oq__Pb__NodeProto *node = product->integers.node;
    struct oq_weight *weight;
    const char *reason = oq_undo_weight(undo, graph, oq_node_input(node, 1), &weight, integers);
    if (reason == NULL && (integers->n_dims < 3 || integers->transposed))
        reason = "its weight has less than three dimensions";
    if (reason == NULL)
        reason = find_scale(undo, product, weight, integers);
    if (reason == NULL)
        reason = oq_undo_zero_point(undo, graph, weight, integers, oq_node_input(node, 3), axis);
    if (reason != NULL)
        return reason;
    return oq_undo_add_weight(undo, match, weight, integers->dims, integers->n_dims,
                              OQ_TYPE(FLOAT));
}

static enum oq_outcome match_conv(onnxq_dequantization *undo, struct oq_match *match)
{
    struct oq_product product;
    struct oq_constant_value integers;
    if (!oq_find_integer_product(undo, &match->place, "ConvInteger", &product) ||
        product.activation == NULL || product.turned.node != NULL)
        return OQ_NO_MATCH;
    match->subject = product.integers;
    match->activation = product.activation;
    const char *reason = find_filter(undo, match, &product, &integers);
    if (reason != NULL)
        return oq_leave(undo, match, reason);
    if (product.added.node == NULL) {
        take_float_bias(undo, match, &integers);
        return OQ_MATCH;
    }
    match->bias = find_integer_bias(undo, match, &product, &integers);
    return match->bias != NULL ? OQ_MATCH
                               : oq_leave(undo, match, "what is added to its integers is no bias");
}

static bool emit_conv(onnxq_dequantization *undo, struct oq_edit *edit,
                      const struct oq_match *match)
{
    const Oq__Pb__NodeProto *node = match->subject.node;
    const char *inputs[] = {match->activation, oq_undo_weight_name(edit, match, 0), match->bias,
                            NULL};
    const char *outputs[] = {match->place.node->output[0], NULL};
    Oq__Pb__NodeProto *conv = oq_edit_node(edit, "", "Conv", oq_node_label(node), inputs, outputs);
    (void)undo;
    oq_edit_copy_attributes(edit, conv, node, NULL);
    return !edit->failed;
}

const struct oq_form oq_form_conv_integer = {"ConvInteger", OQ_ONNX_Mul, match_conv, emit_conv};
