/*
 * Products in integers on dynamically quantized activations, as onnxq, ONNX
 * Runtime's quantize_dynamic and others write them:
 *
 *     DynamicQuantizeLinear, MatMulInteger or ConvInteger, Cast, and both scales
 *     multiplied to it in any order
 *
 * become MatMul and Conv. The last Mul is what is replaced; for Conv, an Add of a
 * constant bias behind it, too.
 */
#include "dequantize/forms/integer_product.h"

#include "dequantize/forms/forms_table.h"

#define FLOAT       OQ__PB__TENSOR_PROTO__DATA_TYPE__FLOAT
#define MAX_FACTORS 3

struct factor {
    const struct oq_graph *graph;
    const char *name;
};

/* The factors of nested Muls; false where there are more than three. */
static bool find_factors(const struct oq_place *mul, struct factor *factors, size_t *n, int depth)
{
    for (size_t k = 0; k < 2; k++) {
        const char *name = oq_node_input(mul->node, k);
        struct oq_place inner = oq_producer_of(mul->graph, name, "Mul");
        if (inner.node != NULL && depth > 0) {
            if (!find_factors(&inner, factors, n, depth - 1))
                return false;
            continue;
        }
        if (*n == MAX_FACTORS)
            return false;
        factors[(*n)++] = (struct factor){mul->graph, name};
    }
    return true;
}

/* Takes the factor that is Cast(op(..)) out of the list. */
static bool take_integers(struct factor *factors, size_t *n, const char *op_type,
                          struct oq_place *integers)
{
    for (size_t i = 0; i < *n; i++) {
        struct oq_place cast = oq_producer_of(factors[i].graph, factors[i].name, "Cast");
        if (cast.node == NULL || oq_node_int(cast.node, "to", 0) != FLOAT)
            continue;
        *integers = oq_producer_of(cast.graph, oq_node_input(cast.node, 0), op_type);
        if (integers->node == NULL)
            continue;
        --*n;
        memmove(&factors[i], &factors[i + 1], (*n - i) * sizeof(*factors));
        return true;
    }
    return false;
}

/*
 * An embedding that quantize_dynamic has left as integers: rows of a table, whose
 * scale is constant and one number. The other factor is the weight's; where both
 * could be either, the product is the same and the table's usually stands first.
 */
static bool find_rows(onnxq_dequantization *undo, const struct factor *factors,
                      struct oq_product *product)
{
    struct oq_constant_value scale;
    if (!oq_is_rows(undo, product->integers.graph, oq_node_input(product->integers.node, 0)))
        return false;
    for (size_t i = 0; i < 2; i++) {
        product->activation_scale = factors[i].name;
        product->scale = factors[1 - i].name;
        product->scale_graph = factors[1 - i].graph;
        if (oq_undo_constant(undo, factors[i].graph, factors[i].name, &scale) &&
            scale.tensor->nelem == 1)
            return true;
    }
    return false;
}

bool oq_find_integer_product(onnxq_dequantization *undo, const struct oq_place *mul,
                             const char *op_type, struct oq_product *product)
{
    struct factor factors[MAX_FACTORS];
    size_t n = 0;
    if (!find_factors(mul, factors, &n, 1) || n != MAX_FACTORS ||
        !take_integers(factors, &n, op_type, &product->integers))
        return false;
    const Oq__Pb__NodeProto *node = product->integers.node;
    product->turned = oq_producer_of(product->integers.graph, oq_node_input(node, 0), "Transpose");
    const char *quantized =
        oq_node_input(product->turned.node == NULL ? node : product->turned.node, 0);
    for (size_t i = 0; i < 2; i++) {
        product->activation = oq_undo_activation(product->integers.graph, quantized,
                                                 factors[i].name, oq_node_input(node, 2));
        product->scale = factors[1 - i].name;
        product->scale_graph = factors[1 - i].graph;
        if (product->activation != NULL)
            return oq_is_same_value(mul->graph, product->activation, product->integers.graph,
                                    product->activation);
    }
    return find_rows(undo, factors, product);
}

static enum oq_outcome match_matmul(onnxq_dequantization *undo, struct oq_match *match)
{
    struct oq_product product;
    if (!oq_find_integer_product(undo, &match->place, "MatMulInteger", &product))
        return OQ_NO_MATCH;
    const Oq__Pb__NodeProto *node = product.integers.node;
    match->subject = product.integers;
    match->activation = product.activation;
    match->turned = product.turned.node;
    if (!oq_is_same_value(product.integers.graph, product.scale, product.scale_graph,
                          product.scale))
        return oq_leave(undo, match, "its scale is not in reach");
    const char *reason = oq_undo_matrix(undo, match, product.integers.graph, oq_node_input(node, 1),
                                        product.scale, oq_node_input(node, 3));
    int32_t data_type;
    if (reason == NULL && product.activation == NULL)
        reason = oq_undo_rows(undo, match, product.integers.graph, oq_node_input(node, 0),
                              product.activation_scale, oq_node_input(node, 2), &data_type);
    return reason != NULL ? oq_leave(undo, match, reason) : OQ_MATCH;
}

const struct oq_form oq_form_matmul_integer = {"MatMulInteger", OQ_ONNX_Mul, match_matmul,
                                               oq_undo_emit_product};

/* --- Conv --- */

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
    bool fits = constant.tensor->proto->data_type == FLOAT && n <= rank && !constant.transposed;
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

/* A bias [O] behind a Reshape that makes it [O, 1, ..] or [1, O, 1, ..]. */
static const char *find_bias(onnxq_dequantization *undo, const struct oq_place *add,
                             const char *product, const struct oq_constant_value *integers)
{
    struct oq_constant_value bias, reshaped;
    size_t side = strcmp(oq_node_input(add->node, 0), product) == 0 ? 1 : 0;
    const char *name = oq_node_input(add->node, side);
    struct oq_place reshape = oq_producer_of(add->graph, name, "Reshape");
    if (reshape.node == NULL || strcmp(oq_node_input(add->node, 1 - side), product) != 0 ||
        !oq_undo_constant(undo, add->graph, name, &reshaped) ||
        !oq_undo_constant(undo, reshape.graph, oq_node_input(reshape.node, 0), &bias))
        return NULL;
    size_t rank = integers->n_dims, n = reshaped.n_dims;
    bool fits = bias.n_dims == 1 && bias.dims[0] == integers->dims[0] && n <= rank &&
                n + 1 >= rank && bias.tensor->proto->data_type == FLOAT;
    for (size_t i = 0; fits && i < n; i++)
        fits = reshaped.dims[i] == (rank - n + i == 1 ? integers->dims[0] : 1);
    const char *source = oq_node_input(reshape.node, 0);
    return fits && oq_is_same_value(add->graph, source, reshape.graph, source) ? source : NULL;
}

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
    return oq_undo_add_weight(undo, match, weight, integers->dims, integers->n_dims, FLOAT);
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
    const char *output = match->place.node->output[0];
    struct oq_place add = oq_only_user(match->place.graph, output);
    if (add.node == NULL || !oq_node_is(add.node, "", "Add") || add.node->n_output != 1)
        return OQ_MATCH;
    const char *bias = find_bias(undo, &add, output, &integers);
    if (bias != NULL) {
        match->bias = bias;
        match->place = add;
    }
    return OQ_MATCH;
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
