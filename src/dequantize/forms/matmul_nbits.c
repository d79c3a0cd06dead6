/*
 * com.microsoft MatMulNBits: A [.., K] . B, where B holds for each of N columns
 * the blocks of its K integers, each block in bytes of its own. The last block is
 * filled up. There is a scale for each block, and a zero point in as many bits
 * as the integers (each column filled up to whole bytes) or of the type of the
 * scales; else it is in the middle. With g_idx, each of the K has the block that
 * it says, as GPTQ leaves it when it orders by activations.
 */
#include "base/checked.h"
#include "dequantize/forms/forms_table.h"
#include "wire/data_type.h"

#define INT32 OQ_TYPE(INT32)

struct shape {
    uint64_t n, k, bits, block, n_blocks, pitch;
};

static const char *find_shape(const Oq__Pb__NodeProto *node, struct shape *shape)
{
    const int64_t n = oq_node_int(node, "N", 0), k = oq_node_int(node, "K", 0);
    const int64_t bits = oq_node_int(node, "bits", 4), block = oq_node_int(node, "block_size", 0);
    if (n <= 0 || k <= 0 || n > INT32_MAX || k > INT32_MAX)
        return "its K or N is out of range";
    if (bits != 2 && bits != 4 && bits != 8)
        return "its integers have not 2, 4 or 8 bits";
    if (block < 16 || block > 1 << 20 || (block & (block - 1)) != 0)
        return "its block size is no power of two from 16 on";
    *shape = (struct shape){
        .n = (uint64_t)n, .k = (uint64_t)k, .bits = (uint64_t)bits, .block = (uint64_t)block};
    shape->n_blocks = (shape->k + shape->block - 1) / shape->block;
    shape->pitch = shape->n_blocks * shape->block;
    return NULL;
}

/* Bytes, of which the integers are parts. */
static bool is_bytes(const struct oq_tensor *tensor, uint64_t nbytes)
{
    return tensor->proto->data_type == OQ_TYPE(UINT8) && tensor->nbytes == nbytes;
}

static const char *set_zero_point(onnxq_dequantization *undo, const struct oq_match *match,
                                  struct oq_weight *weight, const struct shape *shape,
                                  int32_t scale_type)
{
    const int64_t dims[] = {(int64_t)shape->n, (int64_t)shape->n_blocks};
    struct oq_shared *shared = &weight->zero_point;
    struct oq_constant_value constant;
    const char *name = oq_node_input(match->place.node, 3);
    shared->value = (float)(1u << (shape->bits - 1));
    if (name[0] == '\0')
        return NULL;
    if (!oq_undo_constant(undo, match->place.graph, name, &constant))
        return "its zero point is no constant";
    const char *reason = oq_shared_set(shared, constant.tensor);
    if (reason != NULL)
        return reason;
    if (constant.data_type == scale_type)
        return oq_shared_spread(shared, weight, dims, 2, 1, shape->block);
    const uint64_t row_nbytes = (shape->n_blocks * shape->bits + 7) / 8;
    if (!is_bytes(constant.tensor, shape->n * row_nbytes))
        return "its zero points do not fit its weight";
    shared->type = weight->type;
    shared->nelem = shape->n * shape->n_blocks;
    reason = oq_shared_spread(shared, weight, dims, 2, 1, shape->block);
    shared->nelem = constant.tensor->nbytes * 8 / shape->bits;
    shared->stride[0] = row_nbytes * 8 / shape->bits;
    return reason;
}

/* The block of each of the K, checked. */
static const char *set_groups(onnxq_dequantization *undo, const struct oq_match *match,
                              struct oq_weight *weight, const struct shape *shape)
{
    struct oq_constant_value constant;
    struct oq_integer_type type;
    const char *name = oq_node_input(match->place.node, 4);
    if (name[0] == '\0')
        return NULL;
    if (!oq_undo_constant(undo, match->place.graph, name, &constant) ||
        constant.tensor->proto->data_type != INT32 ||
        (constant.tensor->nelem != shape->k && constant.tensor->nelem != shape->pitch) ||
        !oq_tensor_integer_type(constant.tensor, &type))
        return "its g_idx is not one constant number for each of K";
    if (shape->n_blocks > OQ_WEIGHT_MAX_GROUPS)
        return "it has g_idx and more than 4096 blocks in a column";
    int32_t *groups = oq_arena_array(&undo->arena, (size_t)shape->k, sizeof(*groups));
    if (groups == NULL) {
        undo->failed = true;
        oq_arena_fail(&undo->arena, undo->error);
        return "out of memory";
    }
    for (uint64_t done = 0; done < shape->k; done += OQ_READ_MAX_NELEM) {
        size_t part = (size_t)oq_min_u64(OQ_READ_MAX_NELEM, shape->k - done);
        if (!oq_tensor_read_integers(constant.tensor, type, done, part, groups + done,
                                     undo->scratch, undo->error)) {
            undo->failed = true;
            return "not readable";
        }
    }
    for (uint64_t i = 0; i < shape->k; i++)
        if (groups[i] < 0 || (uint64_t)groups[i] >= shape->n_blocks)
            return "its g_idx names a block that is not there";
    weight->groups = groups;
    weight->n_groups = shape->n_blocks;
    return NULL;
}

static const char *set_scale(onnxq_dequantization *undo, const struct oq_match *match,
                             struct oq_weight *weight, const struct shape *shape,
                             int32_t *data_type)
{
    const int64_t dims[] = {(int64_t)shape->n, (int64_t)shape->n_blocks};
    struct oq_constant_value constant;
    const char *reason = oq_undo_float_scale(undo, match, weight, &constant);
    if (reason != NULL)
        return reason;
    *data_type = constant.data_type;
    return oq_shared_spread(&weight->scale, weight, dims, 2, 1, shape->block);
}

static const char *find_weight(onnxq_dequantization *undo, struct oq_match *match,
                               const struct shape *shape)
{
    struct oq_constant_value integers;
    struct oq_weight *weight;
    int32_t data_type;
    const char *reason = oq_undo_weight(undo, match->place.graph,
                                        oq_node_input(match->place.node, 1), &weight, &integers);
    if (reason != NULL)
        return reason;
    if (integers.transposed ||
        !is_bytes(integers.tensor, shape->n * (shape->pitch * shape->bits / 8)))
        return "its weight is not as large as K, N, bits and block_size say";
    weight->type = (struct oq_integer_type){(unsigned)shape->bits, false, false};
    weight->n_axes = 2;
    weight->sizes[0] = shape->n;
    weight->sizes[1] = shape->k;
    weight->pitch = shape->pitch;
    weight->transposed = true;
    reason = set_scale(undo, match, weight, shape, &data_type);
    if (reason == NULL)
        reason = set_zero_point(undo, match, weight, shape, data_type);
    if (reason == NULL)
        reason = set_groups(undo, match, weight, shape);
    if (reason != NULL)
        return reason;
    const int64_t dims[] = {(int64_t)shape->k, (int64_t)shape->n};
    return oq_undo_add_weight(undo, match, weight, dims, 2, data_type);
}

static enum oq_outcome match(onnxq_dequantization *undo, struct oq_match *match)
{
    struct shape shape;
    const char *reason = find_shape(match->place.node, &shape);
    if (reason == NULL)
        reason = find_weight(undo, match, &shape);
    if (reason != NULL)
        return oq_leave(undo, match, reason);
    match->activation = oq_node_input(match->place.node, 0);
    match->bias = oq_node_input(match->place.node, 5);
    return OQ_MATCH;
}

const struct oq_form oq_form_matmul_nbits = {"MatMulNBits", OQ_MS_MatMulNBits, match,
                                             oq_undo_emit_product};
