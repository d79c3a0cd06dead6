/*
 * MatMulInteger on a transposed activation, with a Transpose back behind it, as
 * onnxq writes what is no product with a constant on the right:
 *
 *     a Conv whose kernel is a single point: [batch, C, spatial..] goes through as
 *     [batch, spatial.., C]; becomes Conv again, with its bias. With activations in known
 *     ranges it is MatMulIntegerToFloat behind QuantizeLinear
 *
 *     MatMul with the constant on the left: becomes that again
 */
#include "dequantize/forms/forms_table.h"
#include "dequantize/forms/integer_product.h"
#include "wire/data_type.h"

/* True where `perm` of a Transpose is that of a list of `rank` axes. */
static bool has_order(const Oq__Pb__NodeProto *transpose, const int64_t *order, size_t rank)
{
    const Oq__Pb__AttributeProto *perm = oq_node_attribute(transpose, "perm");
    return perm != NULL && perm->n_ints == rank &&
           memcmp(perm->ints, order, rank * sizeof(*order)) == 0;
}

/* The last two axes change places, there and back. */
static bool is_swap(const Oq__Pb__NodeProto *there, const Oq__Pb__NodeProto *back, size_t rank)
{
    int64_t order[OQ_MAX_RANK];
    for (size_t i = 0; i < rank; i++)
        order[i] = (int64_t)(i + 2 < rank ? i : 2 * rank - 3 - i);
    return rank >= 2 && has_order(there, order, rank) && has_order(back, order, rank);
}

/* Axis 1 becomes the last one, and back. */
static bool is_channels_last(const Oq__Pb__NodeProto *there, const Oq__Pb__NodeProto *back,
                             size_t rank)
{
    int64_t order_there[OQ_MAX_RANK] = {0}, order_back[OQ_MAX_RANK] = {0};
    for (size_t i = 1; i < rank; i++) {
        order_there[i] = (int64_t)(i + 1 < rank ? i + 1 : 1);
        order_back[i] = (int64_t)(i > 1 ? i - 1 : rank - 1);
    }
    return rank >= 3 && has_order(there, order_there, rank) && has_order(back, order_back, rank);
}

/* The Mul that is turned back, maybe through the Add of a bias; nobody else uses it. */
static struct oq_place find_mul(const struct oq_place *transpose, const char **bias)
{
    const struct oq_graph *graph = transpose->graph;
    struct oq_place none = {0}, last = oq_producer(graph, oq_node_input(transpose->node, 0));
    *bias = "";
    if (last.node == NULL || last.graph != graph || last.node->n_output != 1 ||
        oq_only_user(graph, last.node->output[0]).node != transpose->node)
        return none;
    if (oq_node_is(last.node, "", "Mul"))
        return last;
    struct oq_place mul = oq_producer_of(graph, oq_node_input(last.node, 0), "Mul");
    if (!oq_node_is(last.node, "", "Add") || mul.node == NULL || mul.graph != graph ||
        mul.node->n_output != 1 || oq_only_user(graph, mul.node->output[0]).node != last.node)
        return none;
    *bias = oq_node_input(last.node, 1);
    return mul;
}

/* A bias of Conv: a constant vector with one number for each of its n channels. */
static bool is_bias(onnxq_dequantization *undo, const struct oq_graph *graph, const char *name,
                    int64_t n)
{
    struct oq_constant_value bias;
    return oq_undo_constant(undo, graph, name, &bias) && bias.n_dims == 1 && bias.dims[0] == n &&
           bias.tensor->proto->data_type == OQ_TYPE(FLOAT);
}

/* The weight, stored as [K, N], with its dimensions the other way round; of rank 2 or more. */
static const char *find_weight(onnxq_dequantization *undo, struct oq_match *match,
                               const struct oq_product *product, const char *zero_point,
                               size_t rank)
{
    const struct oq_graph *graph = product->integers.graph;
    const Oq__Pb__NodeProto *node = product->integers.node;
    int64_t dims[OQ_WEIGHT_MAX_RANK] = {1, 1, 1, 1, 1, 1, 1, 1};
    struct oq_constant_value integers;
    struct oq_weight *weight;
    const char *reason = oq_undo_weight(undo, graph, oq_node_input(node, 1), &weight, &integers);
    if (reason == NULL && (integers.n_dims != 2 || rank > OQ_WEIGHT_MAX_RANK))
        reason = "its weight is no matrix";
    if (reason == NULL)
        reason = oq_undo_columns(undo, graph, weight, &integers, product->scale, zero_point);
    if (reason != NULL)
        return reason;
    /* Behind a Transpose it is stored as the result wants it. */
    weight->transposed = !integers.transposed;
    dims[0] = integers.dims[weight->transposed ? 1 : 0];
    dims[1] = integers.dims[weight->transposed ? 0 : 1];
    return oq_undo_add_weight(undo, match, weight, dims, rank, OQ_TYPE(FLOAT));
}

/* The one that is turned back, of an activation whose integers are turned; nobody else uses it. */
static bool find_to_float(const struct oq_place *back, struct oq_product *product)
{
    const struct oq_graph *graph = back->graph;
    *product = (struct oq_product){.integers = oq_producer(graph, oq_node_input(back->node, 0))};
    const Oq__Pb__NodeProto *node = product->integers.node;
    if (node == NULL || oq_operator_id_of(node) != OQ_MS_MatMulIntegerToFloat ||
        product->integers.graph != graph || oq_only_user(graph, node->output[0]).node != back->node)
        return false;
    product->turned = oq_producer_of(graph, oq_node_input(node, 0), "Transpose");
    if (product->turned.node == NULL)
        return false;
    const struct oq_place made =
        oq_producer(product->turned.graph, oq_node_input(product->turned.node, 0));
    const enum oq_operator_id id = made.node == NULL ? 0 : oq_operator_id_of(made.node);
    if ((id != OQ_ONNX_QuantizeLinear && id != OQ_MS_QuantizeLinear) || made.graph != graph ||
        strcmp(oq_node_input(made.node, 1), oq_node_input(node, 2)) != 0 ||
        strcmp(oq_node_input(made.node, 2), oq_node_input(node, 4)) != 0)
        return false;
    product->activation = oq_node_input(made.node, 0);
    product->scale = oq_node_input(node, 3);
    return true;
}

static enum oq_outcome match_to_float(onnxq_dequantization *undo, struct oq_match *match,
                                      const struct oq_product *product)
{
    const struct oq_place *back = &match->place;
    const Oq__Pb__NodeProto *node = product->integers.node;
    const Oq__Pb__AttributeProto *perm = oq_node_attribute(back->node, "perm");
    const size_t rank = perm == NULL || perm->n_ints > OQ_MAX_RANK ? 0 : perm->n_ints;
    match->bias = oq_node_input(node, 6);
    if (!is_channels_last(product->turned.node, back->node, rank) ||
        find_weight(undo, match, product, oq_node_input(node, 5), rank) != NULL ||
        (match->bias[0] != '\0' &&
         !is_bias(undo, back->graph, match->bias, match->weights[0]->dims[0])))
        return OQ_NO_MATCH;
    match->subject = product->integers;
    match->activation = product->activation;
    oq_undo_claim(undo, &product->integers);
    return OQ_MATCH;
}

static enum oq_outcome match(onnxq_dequantization *undo, struct oq_match *match)
{
    const struct oq_place *back = &match->place;
    struct oq_product product;
    const char *bias;
    if (back->node->n_output == 1 && find_to_float(back, &product))
        return match_to_float(undo, match, &product);
    struct oq_place mul = find_mul(back, &bias);
    if (mul.node == NULL || back->node->n_output != 1 ||
        !oq_find_integer_product(undo, &mul, "MatMulInteger", &product) ||
        product.added.node != NULL || product.activation == NULL || product.turned.node == NULL ||
        !oq_is_same_value(product.integers.graph, product.scale, product.scale_graph,
                          product.scale))
        return OQ_NO_MATCH;
    const Oq__Pb__AttributeProto *perm = oq_node_attribute(back->node, "perm");
    const size_t rank = perm == NULL || perm->n_ints > OQ_MAX_RANK ? 0 : perm->n_ints;
    const bool is_left = bias[0] == '\0' && is_swap(product.turned.node, back->node, rank);
    if (!is_left && !is_channels_last(product.turned.node, back->node, rank))
        return OQ_NO_MATCH;
    match->subject = product.integers;
    match->activation = product.activation;
    match->is_left = is_left;
    if (find_weight(undo, match, &product, oq_node_input(product.integers.node, 3),
                    is_left ? 2 : rank) != NULL)
        return OQ_NO_MATCH;
    if (bias[0] != '\0' && !is_bias(undo, back->graph, bias, match->weights[0]->dims[0]))
        return OQ_NO_MATCH;
    match->bias = bias;
    oq_undo_claim(undo, &mul);
    return OQ_MATCH;
}

static bool emit(onnxq_dequantization *undo, struct oq_edit *edit, const struct oq_match *match)
{
    const char *weight = oq_undo_weight_name(edit, match, 0);
    const char *left[] = {weight, match->activation, NULL};
    const char *conv[] = {match->activation, weight, match->bias, NULL};
    const char *outputs[] = {match->place.node->output[0], NULL};
    (void)undo;
    oq_edit_node(edit, "", match->is_left ? "MatMul" : "Conv", oq_node_label(match->subject.node),
                 match->is_left ? left : conv, outputs);
    return !edit->failed;
}

const struct oq_form oq_form_turned_product = {"MatMulInteger", OQ_ONNX_Transpose, match, emit};
