/*
 * What ONNX Runtime's optimizer joins, apart again: com.microsoft.FusedMatMul (MatMul with factors
 * transposed and a number in front) and FusedGemm (Gemm and an activation).
 */
#include <math.h>

#include "quantize/expand/expander.h"
#include "wire/data_type.h"

/* Before, Gemm wants all of its three inputs. */
#define OPSET_GEMM_WITHOUT_BIAS 11

/* --- FusedMatMul --- */

/* The axes of a factor: the last two change places. */
static void swap_last(int64_t perm[OQ_MAX_RANK], size_t rank)
{
    for (size_t i = 0; i < rank; i++)
        perm[i] = (int64_t)i;
    perm[rank - 1] = (int64_t)rank - 2;
    perm[rank - 2] = (int64_t)rank - 1;
}

static const char *swap_factor(struct oq_expander *expander, const char *name, size_t rank)
{
    int64_t perm[OQ_MAX_RANK];
    swap_last(perm, rank);
    return oq_edit_permuted(&expander->edit, name, "_transposed", perm, rank);
}

/* Rank of a factor that is transposed, 0 where it is not; -1: not known, or no matrix. */
static int rank_to_turn(const struct oq_expander *expander, const char *name, bool is_turned,
                        const struct oq_source *weight)
{
    if (!is_turned)
        return 0;
    if (weight != NULL) /* the way in which batches are stored cannot be changed */
        return weight->n_dims == 2 ? 2 : -1;
    int rank = oq_graph_rank(expander->graph, name);
    return rank < 2 ? -1 : rank;
}

/* The number in front goes into the weight. */
static const char *scale_weight(struct oq_expander *expander, const Oq__Pb__NodeProto *node,
                                const char *weight, float alpha)
{
    const char *scaled = oq_edit_name(&expander->edit, weight, "_scaled");
    const char *inputs[] = {weight, oq_expand_constant(expander, "alpha", NULL, 0, &alpha), NULL};
    const char *outputs[] = {scaled, NULL};
    oq_edit_node(&expander->edit, "", "Mul", oq_node_label(node), inputs, outputs);
    return scaled;
}

bool oq_expand_fused_matmul(struct oq_expander *expander, const Oq__Pb__NodeProto *node)
{
    static const char *const attributes[] = {"transA", "transB"};
    struct oq_source weights[2];
    const float alpha = oq_node_float(node, "alpha", 1);
    const char *factors[] = {node->input[0], node->input[1], NULL};
    int ranks[2];
    bool is_weight[2];
    if ((!oq_node_is(node, "com.microsoft", "FusedMatMul") &&
         !oq_node_is(node, "com.microsoft", "TransposeMatMul")) ||
        oq_node_int(node, "transBatchA", 0) != 0 || oq_node_int(node, "transBatchB", 0) != 0)
        return false;
    for (size_t k = 0; k < 2; k++) {
        is_weight[k] = oq_expand_find_weight(expander, node, k, &weights[k]);
        ranks[k] = rank_to_turn(expander, node->input[k], oq_node_int(node, attributes[k], 0) != 0,
                                is_weight[k] ? &weights[k] : NULL);
    }
    const size_t weight = is_weight[1] ? 1 : 0;
    const bool scales = alpha != 1;
    if (is_weight[0] == is_weight[1] || ranks[0] < 0 || ranks[1] < 0 ||
        (scales && (!isfinite(alpha) || weights[weight].data_type != OQ_TYPE(FLOAT))))
        return false;
    for (size_t k = 0; k < 2; k++)
        if (ranks[k] > 0)
            factors[k] = swap_factor(expander, factors[k], (size_t)ranks[k]);
    if (scales)
        factors[weight] = scale_weight(expander, node, factors[weight], alpha);
    const char *outputs[] = {node->output[0], NULL};
    oq_expand_replace(
        node, oq_edit_node(&expander->edit, "", "MatMul", oq_node_label(node), factors, outputs));
    return true;
}

/* --- FusedGemm --- */

/* Attributes of the activation have its name in front. */
#define PREFIX "activation_"

static bool is_of_activation(const Oq__Pb__AttributeProto *attribute)
{
    return attribute->name != NULL && strncmp(attribute->name, "activation", 10) == 0;
}

static void keep_attributes(Oq__Pb__NodeProto *node)
{
    size_t n = 0;
    for (size_t i = 0; node != NULL && i < node->n_attribute; i++)
        if (!is_of_activation(node->attribute[i]))
            node->attribute[n++] = node->attribute[i];
    if (node != NULL)
        node->n_attribute = n;
}

static void add_activation(struct oq_expander *expander, const Oq__Pb__NodeProto *node,
                           const char *op_type, const char *input)
{
    const char *inputs[] = {input, NULL};
    const char *outputs[] = {node->output[0], NULL};
    Oq__Pb__NodeProto *activation =
        oq_edit_node(&expander->edit, "", op_type, oq_node_label(node), inputs, outputs);
    for (size_t i = 0; i < node->n_attribute; i++) {
        const Oq__Pb__AttributeProto *attribute = node->attribute[i];
        if (attribute->name != NULL && strncmp(attribute->name, PREFIX, strlen(PREFIX)) == 0)
            oq_edit_add_float(&expander->edit, activation, attribute->name + strlen(PREFIX),
                              oq_node_float(node, attribute->name, 0));
    }
}

/* The activation, one of those that ONNX Runtime joins with a Gemm; NULL: another, or none. */
static const char *find_activation(const Oq__Pb__NodeProto *node)
{
    static const char *const known[] = {"Elu",  "HardSigmoid",    "LeakyRelu", "Relu",
                                        "Selu", "Sigmoid",        "Softplus",  "Softsign",
                                        "Tanh", "ThresholdedRelu"};
    const Oq__Pb__AttributeProto *attribute = oq_node_attribute(node, "activation");
    for (size_t i = 0; attribute != NULL && i < sizeof(known) / sizeof(known[0]); i++)
        if (attribute->s.len == strlen(known[i]) &&
            memcmp(attribute->s.data, known[i], attribute->s.len) == 0)
            return known[i];
    return NULL;
}

bool oq_expand_fused_gemm(struct oq_expander *expander, const Oq__Pb__NodeProto *node)
{
    struct oq_edit *edit = &expander->edit;
    struct oq_source weights[2];
    if (!oq_node_is(node, "com.microsoft", "FusedGemm"))
        return false;
    const char *activation = find_activation(node), *bias = oq_node_input(node, 2);
    if (bias[0] == '\0' && expander->base->opset < OPSET_GEMM_WITHOUT_BIAS)
        return false;
    const bool is_left = oq_expand_find_weight(expander, node, 0, &weights[0]);
    const bool is_right = oq_expand_find_weight(expander, node, 1, &weights[1]);
    if (activation == NULL || is_left == is_right)
        return false;
    const char *product = oq_edit_name(edit, node->output[0], "_product");
    const char *inputs[] = {node->input[0], node->input[1], bias, NULL};
    const char *outputs[] = {product, NULL};
    Oq__Pb__NodeProto *gemm = oq_edit_node(edit, "", "Gemm", oq_node_label(node), inputs, outputs);
    oq_edit_copy_attributes(edit, gemm, node, NULL);
    keep_attributes(gemm);
    oq_expand_replace(node, gemm);
    add_activation(expander, node, activation, product);
    return true;
}
