/*
 * com.microsoft GatherBlockQuantized: a table with a scale for each block along
 * quantize_axis. Bytes may hold several integers each, along the last axis;
 * then the zero point is in the middle where none is given.
 */
#include "base/checked.h"
#include "dequantize/forms/forms_table.h"

struct blocks {
    int64_t dims[OQ_WEIGHT_MAX_RANK]; /* of the table */
    size_t n_dims;
    size_t axis;
    uint64_t block;
    struct oq_integer_type type;
    bool is_packed; /* in bytes */
};

static bool find_axis(const Oq__Pb__NodeProto *node, const char *name, int64_t otherwise,
                      size_t n_dims, int64_t *axis)
{
    *axis = oq_node_int(node, name, otherwise);
    *axis += *axis < 0 ? (int64_t)n_dims : 0;
    return *axis >= 0 && *axis < (int64_t)n_dims;
}

static const char *find_blocks(struct oq_match *match, const struct oq_constant_value *integers,
                               struct blocks *blocks)
{
    const Oq__Pb__NodeProto *node = match->place.node;
    int64_t axis, bits = oq_node_int(node, "bits", 4);
    int64_t block = oq_node_int(node, "block_size", 128);
    if (integers->n_dims < 1 || integers->n_dims > OQ_WEIGHT_MAX_RANK || integers->transposed ||
        integers->tensor->dtype == NULL ||
        !oq_tensor_integer_type(integers->tensor, &blocks->type) || blocks->type.nbits > 8)
        return "its weight is not of integers of 2 to 8 bits";
    if (!find_axis(node, "gather_axis", 0, integers->n_dims, &match->axis) ||
        !find_axis(node, "quantize_axis", 1, integers->n_dims, &axis) || block <= 0)
        return "its axes or its block size are out of range";
    blocks->n_dims = integers->n_dims;
    memcpy(blocks->dims, integers->dims, integers->n_dims * sizeof(*blocks->dims));
    blocks->axis = (size_t)axis;
    blocks->block = (uint64_t)block;
    blocks->is_packed = blocks->type.nbits == 8 && !blocks->type.is_signed;
    if (!blocks->is_packed)
        return NULL;
    if (bits != 2 && bits != 4 && bits != 8)
        return "its integers have not 2, 4 or 8 bits";
    int64_t *last = &blocks->dims[blocks->n_dims - 1];
    blocks->type.nbits = (unsigned)bits;
    return __builtin_mul_overflow(*last, 8 / bits, last) ? "its weight is too large" : NULL;
}

static const char *find_zero_point(onnxq_dequantization *undo, const struct oq_match *match,
                                   struct oq_weight *weight, const struct blocks *blocks)
{
    struct oq_constant_value constant;
    int64_t dims[OQ_WEIGHT_MAX_RANK];
    const char *name = oq_node_input(match->place.node, 3);
    if (name[0] == '\0') {
        weight->zero_point.value = blocks->is_packed ? (float)(1u << (blocks->type.nbits - 1)) : 0;
        return NULL;
    }
    if (!oq_undo_constant(undo, match->place.graph, name, &constant))
        return "its zero point is no constant";
    const char *reason = oq_shared_set(&weight->zero_point, constant.tensor);
    struct oq_shared *shared = &weight->zero_point;
    if (reason != NULL || !shared->is_integer || constant.transposed ||
        constant.n_dims != blocks->n_dims || shared->type.is_signed != blocks->type.is_signed ||
        constant.tensor->proto->data_type != weight->values->proto->data_type)
        return "its zero points do not fit its weight";
    memcpy(dims, constant.dims, constant.n_dims * sizeof(*dims));
    if (!blocks->is_packed || blocks->type.nbits == 8)
        return oq_shared_spread(shared, weight, dims, blocks->n_dims, blocks->axis, blocks->block);
    /* Packed along the last axis, each row filled up to whole bytes. */
    const size_t last = blocks->n_dims - 1;
    const int64_t per_byte = 8 / blocks->type.nbits;
    const uint64_t step = blocks->axis == last ? blocks->block : 1;
    const int64_t size = (int64_t)oq_divide_up_u64(weight->sizes[last], step);
    if (dims[last] != (size + per_byte - 1) / per_byte)
        return "its zero points do not fit its weight";
    const uint64_t pitch = (uint64_t)(dims[last] * per_byte);
    shared->type = blocks->type;
    shared->nelem = constant.tensor->nelem / (uint64_t)dims[last] * (uint64_t)size;
    dims[last] = size;
    reason = oq_shared_spread(shared, weight, dims, blocks->n_dims, blocks->axis, blocks->block);
    for (size_t i = 0; i < last; i++)
        shared->stride[i] = shared->stride[i] / (uint64_t)size * pitch;
    shared->nelem = constant.tensor->nelem * (uint64_t)per_byte;
    return reason;
}

static enum oq_outcome match(onnxq_dequantization *undo, struct oq_match *match)
{
    const Oq__Pb__NodeProto *node = match->place.node;
    struct oq_constant_value integers;
    struct blocks blocks;
    struct oq_weight *weight;
    int32_t data_type;
    match->activation = oq_node_input(node, 1);
    const char *reason =
        oq_undo_weight(undo, match->place.graph, oq_node_input(node, 0), &weight, &integers);
    if (reason == NULL)
        reason = find_blocks(match, &integers, &blocks);
    if (reason != NULL)
        return oq_leave(undo, match, reason);
    for (size_t i = 0; i < blocks.n_dims; i++)
        weight->sizes[i] = (uint64_t)blocks.dims[i];
    weight->type = blocks.type;
    const struct oq_spread spread = {OQ_SPREAD_BLOCKS, blocks.axis, blocks.block};
    reason = oq_undo_scale(undo, match->place.graph, weight, &integers, oq_node_input(node, 2),
                           spread, &data_type);
    if (reason == NULL)
        reason = find_zero_point(undo, match, weight, &blocks);
    if (reason == NULL)
        reason = oq_undo_add_weight(undo, match, weight, blocks.dims, blocks.n_dims, data_type);
    return reason != NULL ? oq_leave(undo, match, reason) : OQ_MATCH;
}

const struct oq_form oq_form_gather_block_quantized = {
    "GatherBlockQuantized", OQ_MS_GatherBlockQuantized, match, oq_emit_rows};
