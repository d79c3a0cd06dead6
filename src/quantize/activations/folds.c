/*
 * BatchNormalization, and what else multiplies a channel of a convolution by a
 * constant or adds one to it, is folded into weight and bias: between a product and
 * the scales of its result engines take nothing. What is folded is float arithmetic, exact
 * but for rounding.
 */
#include "base/checked.h"
#include "quantize/activations/activations.h"

#include <math.h>

/* What becomes of a channel: x * factor + offset. */
struct affine {
    double *factor, *offset; /* [n] */
    size_t n;
};

static bool is_folded_through(const struct oq_value *value)
{
    return value->n_uses == 1 && !value->is_graph_output && value->uses->node != OQ_NO_NODE &&
           value->uses->graph == value->graph;
}

/* [C], C elements along axis 1 from the front or -3, -2.. from the back, or one for all. */
static bool is_by_channel(const struct oq_source *source, size_t rank, size_t channels)
{
    size_t n_dims = source->n_dims;
    if (source->nelem == 1)
        return n_dims <= rank;
    if (n_dims > rank || n_dims + 1 < rank || source->nelem != channels)
        return false;
    return (size_t)source->dims[n_dims - (rank - 1)] == channels;
}

/* --- BatchNormalization --- */

/* Of version 9 on, or with the only attribute value that later ones have. */
static bool is_inference(const Oq__Pb__NodeProto *node)
{
    return node->n_input == 5 && oq_node_int(node, "spatial", 1) == 1 &&
           oq_node_int(node, "training_mode", 0) == 0 && oq_node_int(node, "is_test", 1) == 1;
}

static bool fold_normalization(onnxq_plan *plan, const Oq__Pb__NodeProto *node,
                               const struct affine *affine, bool *folded, onnxq_error *error)
{
    const float *p[4]; /* scale, bias, mean, variance */
    const struct oq_source *source;
    const float epsilon = oq_node_float(node, "epsilon", 1e-5f);
    *folded = false;
    if (!is_inference(node))
        return true;
    for (size_t i = 0; i < 4; i++) {
        if (!oq_small_constant(plan, node->input[i + 1], &p[i], &source, error))
            return false;
        if (p[i] == NULL || source->nelem != affine->n)
            return true;
    }
    for (size_t i = 0; i < affine->n; i++) {
        double factor = (double)p[0][i] / sqrt((double)p[3][i] + (double)epsilon);
        affine->factor[i] *= factor;
        affine->offset[i] = (affine->offset[i] - (double)p[2][i]) * factor + (double)p[1][i];
    }
    *folded = true;
    return true;
}

/* --- Mul, Add, Sub and Div by constants --- */

static void apply(const struct affine *affine, enum oq_operator_id op, const float *values,
                  size_t n)
{
    for (size_t i = 0; i < affine->n; i++) {
        double value = (double)values[n == 1 ? 0 : i];
        if (op == OQ_ONNX_Add || op == OQ_ONNX_Sub) {
            affine->offset[i] += op == OQ_ONNX_Add ? value : -value;
        } else {
            affine->factor[i] *= op == OQ_ONNX_Mul ? value : 1 / value;
            affine->offset[i] *= op == OQ_ONNX_Mul ? value : 1 / value;
        }
    }
}

static bool fold_constant(onnxq_plan *plan, const Oq__Pb__NodeProto *node, size_t rank,
                          const struct affine *affine, const char *x, bool *folded,
                          onnxq_error *error)
{
    enum oq_operator_id op = oq_operator_id_of(node);
    const float *values;
    const struct oq_source *source;
    *folded = false;
    if (node->n_input != 2 || plan->activations->opset < OQ_OPSET_BROADCAST)
        return true;
    bool is_first = strcmp(node->input[0], x) == 0;
    if (!is_first && (op == OQ_ONNX_Sub || op == OQ_ONNX_Div))
        return true;
    if (!oq_small_constant(plan, node->input[is_first ? 1 : 0], &values, &source, error))
        return false;
    if (values == NULL || !is_by_channel(source, rank, affine->n))
        return true;
    apply(affine, op, values, (size_t)source->nelem);
    *folded = true;
    return true;
}

static bool fold_node(onnxq_plan *plan, const Oq__Pb__NodeProto *node, size_t rank,
                      const struct affine *affine, const char *x, bool *folded, onnxq_error *error)
{
    *folded = false;
    if (node->n_output == 0 || node->output[0][0] == '\0')
        return true;
    switch (oq_operator_id_of(node)) {
    case OQ_ONNX_BatchNormalization:
        return strcmp(node->input[0], x) != 0 ||
               fold_normalization(plan, node, affine, folded, error);
    case OQ_ONNX_Add:
    case OQ_ONNX_Div:
    case OQ_ONNX_Mul:
    case OQ_ONNX_Sub:
        return fold_constant(plan, node, rank, affine, x, folded, error);
    default:
        return true;
    }
}

/* --- a product and all that follows --- */

static bool is_finite(const struct affine *affine)
{
    for (size_t i = 0; i < affine->n; i++)
        if (!isfinite((float)affine->factor[i]) || !isfinite((float)affine->offset[i]))
            return false;
    return true;
}

/* Goes on as long as the result has one user. Each node is folded whole or not at all. */
static bool fold_followers(onnxq_plan *plan, struct oq_carrier *product, size_t rank,
                           const struct affine *affine, float *factors, onnxq_error *error)
{
    const struct oq_value *value = product->output;
    bool folded = true;
    while (folded && is_folded_through(value)) {
        size_t user = value->uses->node;
        const Oq__Pb__NodeProto *node = plan->model->proto->graph->node[user];
        struct oq_carrier *carrier = &plan->activations->carriers[user];
        const struct oq_value *output =
            node->n_output > 0 ? oq_main_value(plan, node->output[0]) : NULL;
        if (output == NULL || carrier->carry == OQ_CARRY_FOLDED)
            return true;
        if (!fold_node(plan, node, rank, affine, value->name, &folded, error))
            return false;
        if (!folded || !is_finite(affine))
            return true;
        carrier->carry = OQ_CARRY_FOLDED;
        product->has_folded = true;
        product->output = value = output;
        product->has_bias = true;
        for (size_t i = 0; i < affine->n; i++) {
            factors[i] = (float)affine->factor[i];
            product->bias[i] = (float)affine->offset[i];
        }
    }
    return true;
}

static bool fold_into(onnxq_plan *plan, size_t index, onnxq_error *error)
{
    struct oq_carrier *product = &plan->activations->carriers[index];
    struct oq_constant *weight =
        (struct oq_constant *)(uintptr_t)oq_product_site(plan, index)->constant;
    const size_t n = product->n_channels;
    float *factors = oq_arena_array(&plan->arena, n, sizeof(*factors));
    struct affine affine = {.factor = oq_arena_array(&plan->arena, n, sizeof(double)),
                            .offset = oq_arena_array(&plan->arena, n, sizeof(double)),
                            .n = n};
    if (weight->source.factors != NULL)
        return true;
    if (factors == NULL || affine.factor == NULL || affine.offset == NULL)
        return oq_arena_fail(&plan->arena, error);
    for (size_t i = 0; i < n; i++) {
        affine.factor[i] = 1;
        affine.offset[i] = (double)product->bias[i];
    }
    product->factors = factors;
    if (!fold_followers(plan, product, weight->source.n_dims, &affine, factors, error))
        return false;
    if (product->has_folded) {
        weight->source.factors = product->factors;
        weight->source.factor_nelem = oq_nelem(weight->source.dims, 1, weight->source.n_dims);
        weight->source.n_factors = (uint64_t)weight->source.dims[0];
    }
    return true;
}

bool oq_products_fold(onnxq_plan *plan, onnxq_error *error)
{
    for (size_t i = 0; i < plan->activations->n_nodes; i++) {
        const struct oq_carrier *carrier = &plan->activations->carriers[i];
        if (carrier->carry == OQ_CARRY_PRODUCT && carrier->refusal == NULL &&
            oq_node_is(plan->model->proto->graph->node[i], "", "Conv") &&
            !fold_into(plan, i, error))
            return false;
    }
    return true;
}
