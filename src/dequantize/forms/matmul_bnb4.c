/*
 * com.microsoft MatMulBnb4, the formats of bitsandbytes: 4 bits that stand for
 * one of 16 numbers, the first of two in the high half of a byte. The matrix is
 * [N, K], and its blocks go on from row to row; the largest absolute value of
 * each block is its scale.
 */
#include "dequantize/forms/forms_table.h"
#include "wire/data_type.h"

/* quant_type 0 and 1; the numbers are those of bitsandbytes. */
static const float fp4[16] = {
    0.0f,  5.208333333e-03f,  0.66666667f,  1.0f,  0.33333333f,  0.5f,  0.16666667f,  0.25f,
    -0.0f, -5.208333333e-03f, -0.66666667f, -1.0f, -0.33333333f, -0.5f, -0.16666667f, -0.25f};
static const float nf4[16] = {-1.0f,
                              -0.6961928009986877f,
                              -0.5250730514526367f,
                              -0.39491748809814453f,
                              -0.28444138169288635f,
                              -0.18477343022823334f,
                              -0.09105003625154495f,
                              0.0f,
                              0.07958029955625534f,
                              0.16093020141124725f,
                              0.24611230194568634f,
                              0.33791524171829224f,
                              0.44070982933044434f,
                              0.5626170039176941f,
                              0.7229568362236023f,
                              1.0f};

static const char *find_scale(onnxq_dequantization *undo, const struct oq_match *match,
                              struct oq_weight *weight, uint64_t block, int32_t *data_type)
{
    struct oq_constant_value constant;
    const char *reason = oq_undo_float_scale(undo, match, weight, &constant);
    if (reason != NULL)
        return reason;
    *data_type = constant.data_type;
    const uint64_t k = weight->sizes[1];
    /* Blocks as the rows are cut into, or as the whole is: the same where they end with a row. */
    if (k % block == 0) {
        const int64_t dims[] = {(int64_t)weight->sizes[0], (int64_t)(k / block)};
        return oq_shared_spread(&weight->scale, weight, dims, 2, 1, block);
    }
    const uint64_t n_blocks = (weight->sizes[0] * k + block - 1) / block;
    weight->scale.flat_block = block;
    return constant.tensor->nelem == n_blocks ? NULL : "its scales do not fit its weight";
}

static const char *find_weight(onnxq_dequantization *undo, struct oq_match *match)
{
    const Oq__Pb__NodeProto *node = match->place.node;
    const int64_t n = oq_node_int(node, "N", 0), k = oq_node_int(node, "K", 0);
    const int64_t block = oq_node_int(node, "block_size", 0);
    const int64_t quant_type = oq_node_int(node, "quant_type", -1);
    struct oq_constant_value integers;
    struct oq_weight *weight;
    int32_t data_type;
    if (n <= 0 || k <= 0 || n > INT32_MAX || k > INT32_MAX || block <= 0 || block > INT32_MAX)
        return "its K, N or block size is out of range";
    if (quant_type != 0 && quant_type != 1)
        return "its quant_type is neither 0 nor 1";
    if (oq_node_int(node, "transB", 1) != 1)
        return "it has transB 0";
    const char *reason =
        oq_undo_weight(undo, match->place.graph, oq_node_input(node, 1), &weight, &integers);
    if (reason != NULL)
        return reason;
    if (integers.tensor->proto->data_type != OQ_TYPE(UINT8) ||
        integers.tensor->nbytes != ((uint64_t)n * (uint64_t)k + 1) / 2)
        return "its weight is not as large as K and N say";
    weight->type = (struct oq_integer_type){4, false, true};
    weight->table = quant_type == 0 ? fp4 : nf4;
    weight->n_axes = 2;
    weight->sizes[0] = (uint64_t)n;
    weight->sizes[1] = (uint64_t)k;
    weight->transposed = true;
    reason = find_scale(undo, match, weight, (uint64_t)block, &data_type);
    const int64_t dims[] = {k, n};
    return reason != NULL ? reason : oq_undo_add_weight(undo, match, weight, dims, 2, data_type);
}

static enum oq_outcome match(onnxq_dequantization *undo, struct oq_match *match)
{
    const char *reason = find_weight(undo, match);
    if (reason != NULL)
        return oq_leave(undo, match, reason);
    match->activation = oq_node_input(match->place.node, 0);
    return OQ_MATCH;
}

const struct oq_form oq_form_matmul_bnb4 = {"MatMulBnb4", OQ_MS_MatMulBnb4, match,
                                            oq_undo_emit_product};
