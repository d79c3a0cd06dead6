/*
 * Products in integers on dynamically quantized activations, as onnxq, ONNX
 * Runtime's quantize_dynamic and others write them:
 *
 *     DynamicQuantizeLinear, MatMulInteger or ConvInteger, Cast, and both scales
 *     multiplied to it in any order
 *
 * The last Mul is what is replaced. Here is what both have in common, and
 * MatMulInteger: of an activation with a weight, with rows of a table, or with
 * another activation. Conv: integer_conv.c.
 */
#include "dequantize/forms/integer_product.h"

#include "dequantize/forms/forms_table.h"
#include "wire/data_type.h"

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

/* The product that `name` is, maybe behind an Add of something. */
static bool find_integers(const struct oq_graph *graph, const char *name, const char *op_type,
                          struct oq_product *product)
{
    product->added = oq_producer_of(graph, name, "Add");
    product->integers = oq_producer_of(graph, name, op_type);
    for (size_t k = 0; k < 2 && product->added.node != NULL && product->integers.node == NULL; k++)
        product->integers =
            oq_producer_of(product->added.graph, oq_node_input(product->added.node, k), op_type);
    return product->integers.node != NULL;
}

/* Takes the factor that is Cast(op(..)) out of the list. */
static bool take_integers(struct factor *factors, size_t *n, const char *op_type,
                          struct oq_product *product)
{
    for (size_t i = 0; i < *n; i++) {
        struct oq_place cast = oq_producer_of(factors[i].graph, factors[i].name, "Cast");
        if (cast.node == NULL || oq_node_int(cast.node, "to", 0) != OQ_TYPE(FLOAT) ||
            !find_integers(cast.graph, oq_node_input(cast.node, 0), op_type, product))
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
        !take_integers(factors, &n, op_type, product))
        return false;
    const Oq__Pb__NodeProto *node = product->integers.node;
    product->turned = oq_producer_of(product->integers.graph, oq_node_input(node, 0), "Transpose");
    const char *quantized =
        oq_node_input(product->turned.node == NULL ? node : product->turned.node, 0);
    for (size_t i = 0; i < 2; i++) {
        product->activation = oq_undo_activation(undo, product->integers.graph, quantized,
                                                 factors[i].name, oq_node_input(node, 2));
        product->activation_scale = factors[i].name;
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
    if (!oq_find_integer_product(undo, &match->place, "MatMulInteger", &product) ||
        product.added.node != NULL)
        return OQ_NO_MATCH;
    const Oq__Pb__NodeProto *node = product.integers.node;
    match->subject = product.integers;
    match->activation = product.activation;
    match->turned = product.turned.node;
    if (!oq_is_same_value(product.integers.graph, product.scale, product.scale_graph,
                          product.scale))
        return oq_leave(undo, match, "its scale is not in reach");
    match->factor = oq_undo_activation(undo, product.integers.graph, oq_node_input(node, 1),
                                       product.scale, oq_node_input(node, 3));
    if (match->factor != NULL && product.activation != NULL)
        return oq_is_same_value(match->place.graph, match->factor, product.integers.graph,
                                match->factor)
                   ? OQ_MATCH
                   : oq_leave(undo, match, "its factor is not in reach");
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
