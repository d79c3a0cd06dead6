/* Shapes of weights, scales and zero points. What is not constant has no known shape here. */
#include <inttypes.h>

#include "base/checked.h"
#include "validate/checker.h"
#include "wire/data_type.h"

static const struct oq_tensor *constant(const struct oq_checker *checker,
                                        const struct oq_problem_place *place, size_t input)
{
    return oq_fact_of(checker, place->graph, oq_node_input(place->node, input)).tensor;
}

static int32_t type_of(const struct oq_checker *checker, const struct oq_problem_place *place,
                       size_t input)
{
    return oq_fact_of(checker, place->graph, oq_node_input(place->node, input)).data_type;
}

#define SHAPE_NBYTES 120

/* What is constant and has another number of elements. */
static void expect_nelem(struct oq_checker *checker, const struct oq_problem_place *place,
                         size_t input, uint64_t nelem, const char *why)
{
    char shape[SHAPE_NBYTES];
    const struct oq_tensor *tensor = constant(checker, place, input);
    if (tensor != NULL && tensor->nelem != nelem)
        oq_problem(checker, place, oq_node_input(place->node, input),
                   "has shape %s, expected %" PRIu64 " elements: %s",
                   oq_tensor_dims(tensor, shape, SHAPE_NBYTES), nelem, why);
}

static void expect_rank(struct oq_checker *checker, const struct oq_problem_place *place,
                        size_t input, size_t rank)
{
    char shape[SHAPE_NBYTES];
    const struct oq_tensor *tensor = constant(checker, place, input);
    if (tensor != NULL && tensor->n_dims != rank)
        oq_problem(checker, place, oq_node_input(place->node, input),
                   "has shape %s, expected %zu dimensions",
                   oq_tensor_dims(tensor, shape, SHAPE_NBYTES), rank);
}

static bool same_dims(const struct oq_tensor *a, const struct oq_tensor *b)
{
    bool same = a->n_dims == b->n_dims;
    for (size_t i = 0; same && i < a->n_dims; i++)
        same = a->dims[i] == b->dims[i];
    return same;
}

/* A zero point for each scale. One number may be a scalar or a vector of one. */
static void expect_same_shape(struct oq_checker *checker, const struct oq_problem_place *place,
                              size_t input, size_t as)
{
    char shape[SHAPE_NBYTES], other_shape[SHAPE_NBYTES];
    const struct oq_tensor *tensor = constant(checker, place, input);
    const struct oq_tensor *other = constant(checker, place, as);
    if (tensor == NULL || other == NULL || same_dims(tensor, other) ||
        (tensor->nelem == 1 && other->nelem == 1))
        return;
    oq_problem(checker, place, oq_node_input(place->node, input),
               "has shape %s, expected %s as \"%.60s\" has",
               oq_tensor_dims(tensor, shape, SHAPE_NBYTES),
               oq_tensor_dims(other, other_shape, SHAPE_NBYTES), oq_node_input(place->node, as));
}

/* --- a number for each channel --- */

void oq_check_channels(struct oq_checker *checker, const struct oq_problem_place *place,
                       const struct oq_channels *channels)
{
    const struct oq_tensor *weight = constant(checker, place, channels->weight);
    char shape[SHAPE_NBYTES];
    if (weight == NULL)
        return;
    /* A vector has a single column. */
    int64_t n = weight->n_dims < 2        ? 1
                : channels->axis_is_first ? weight->dims[0]
                                          : weight->dims[weight->n_dims - 1];
    for (size_t i = 0; i < 4 && channels->operands[i] != 0; i++) {
        const struct oq_tensor *operand = constant(checker, place, channels->operands[i]);
        if (operand != NULL && operand->nelem != 1 &&
            (operand->n_dims == 0 || operand->dims[operand->n_dims - 1] != n))
            oq_problem(checker, place, oq_node_input(place->node, channels->operands[i]),
                       "has shape %s, expected one number or %" PRId64 ", one for each channel",
                       oq_tensor_dims(operand, shape, SHAPE_NBYTES), n);
    }
}

/* --- QuantizeLinear, DequantizeLinear --- */

/* Versions of ai.onnx that brought types and attributes. */
/* Scales are float32 before the types of 8 bits came. */
enum { VERSION_AXIS = 13, VERSION_FLOAT8 = 19, VERSION_BLOCKS = 21, VERSION_2_BITS = 25 };

static int64_t version_of_type(int32_t data_type)
{
    switch (data_type) {
    case OQ_TYPE(FLOAT8E4M3FN):
    case OQ_TYPE(FLOAT8E4M3FNUZ):
    case OQ_TYPE(FLOAT8E5M2):
    case OQ_TYPE(FLOAT8E5M2FNUZ):
        return VERSION_FLOAT8;
    case OQ_TYPE(INT4):
    case OQ_TYPE(UINT4):
    case OQ_TYPE(INT16):
    case OQ_TYPE(UINT16):
        return VERSION_BLOCKS;
    case OQ_TYPE(INT2):
    case OQ_TYPE(UINT2):
        return VERSION_2_BITS;
    default:
        return 0;
    }
}

/* com.microsoft has one version, which takes everything. */
static void check_linear_version(struct oq_checker *checker, const struct oq_problem_place *place,
                                 size_t integers, int64_t version)
{
    const Oq__Pb__NodeProto *node = place->node;
    int32_t data_type = type_of(checker, place, integers);
    if (oq_domain(node->domain)[0] != '\0')
        return;
    if (version < version_of_type(data_type))
        oq_problem(checker, place, oq_node_input(node, integers),
                   "is %s, which needs opset %" PRId64 ", not %" PRId64, oq_type_name(data_type),
                   version_of_type(data_type), version);
    int32_t scale_type = type_of(checker, place, 1);
    if (scale_type != 0 && scale_type != OQ_TYPE(FLOAT) && version < VERSION_FLOAT8)
        oq_problem(checker, place, oq_node_input(node, 1),
                   "is %s, which needs opset %d, not %" PRId64, oq_type_name(scale_type),
                   VERSION_FLOAT8, version);
    if (oq_node_attribute(node, "axis") != NULL && version < VERSION_AXIS)
        oq_problem(checker, place, "", "attribute \"axis\" needs opset 13, not %" PRId64, version);
    if (oq_node_attribute(node, "block_size") != NULL && version < VERSION_BLOCKS)
        oq_problem(checker, place, "", "attribute \"block_size\" needs opset 21, not %" PRId64,
                   version);
}

/* Axis number of an attribute for a tensor, -1 where it has no such axis. */
static int find_axis(const struct oq_problem_place *place, const char *attribute, int64_t otherwise,
                     const struct oq_tensor *tensor)
{
    int64_t axis = oq_node_int(place->node, attribute, otherwise);
    int64_t rank = (int64_t)tensor->n_dims;
    if (axis < -rank || axis >= rank)
        return -1;
    return (int)(axis < 0 ? axis + rank : axis);
}

/* Scales like the tensor, but for one axis, where each stands for `block` elements. */
static bool fits_blocks(const struct oq_tensor *x, const struct oq_tensor *scale, size_t axis,
                        uint64_t block, uint64_t last_factor)
{
    bool fits = x->n_dims == scale->n_dims;
    for (size_t i = 0; fits && i < x->n_dims; i++) {
        uint64_t n = (uint64_t)x->dims[i];
        if (i + 1 == x->n_dims && !oq_mul_u64(n, last_factor, &n))
            return false;
        fits = (uint64_t)scale->dims[i] == (i == axis ? oq_divide_up_u64(n, block) : n);
    }
    return fits;
}

static void check_linear_scale(struct oq_checker *checker, const struct oq_problem_place *place,
                               const struct oq_tensor *x, const struct oq_tensor *scale)
{
    char shape[SHAPE_NBYTES], scale_shape[SHAPE_NBYTES];
    const char *name = oq_node_input(place->node, 1);
    int64_t block = oq_node_int(place->node, "block_size", 0);
    bool is_blocked = block != 0;
    if (scale->nelem == 1 && scale->n_dims < 2) {
        if (is_blocked)
            oq_problem(checker, place, name,
                       "is one number, which engines take for the scale of a tensor without "
                       "blocks; block_size is %" PRId64,
                       block);
        return;
    }
    int axis = find_axis(place, "axis", 1, x);
    bool fits = axis >= 0 && block >= 0 &&
                (is_blocked ? fits_blocks(x, scale, (size_t)axis, (uint64_t)block, 1)
                            : scale->n_dims == 1 && scale->dims[0] == x->dims[axis]);
    if (!fits)
        oq_problem(
            checker, place, name,
            "has shape %s, which does not fit %s with axis %" PRId64 " and block_size %" PRId64,
            oq_tensor_dims(scale, scale_shape, SHAPE_NBYTES),
            oq_tensor_dims(x, shape, SHAPE_NBYTES), oq_node_int(place->node, "axis", 1), block);
}

void oq_check_linear(struct oq_checker *checker, const struct oq_problem_place *place,
                     int64_t version)
{
    const struct oq_tensor *x = constant(checker, place, 0);
    const struct oq_tensor *scale = constant(checker, place, 1);
    bool quantizes = strcmp(place->node->op_type, "QuantizeLinear") == 0;
    check_linear_version(checker, place, quantizes ? 2 : 0, version);
    expect_same_shape(checker, place, 2, 1);
    if (x != NULL && scale != NULL)
        check_linear_scale(checker, place, x, scale);
}

/* --- LSTM --- */

/* W [directions, inputs, 4H], R [directions, H, 4H]; scales [directions] or [directions, 4H]. */
static void check_lstm_weight(struct oq_checker *checker, const struct oq_problem_place *place,
                              size_t input, size_t scale_input)
{
    const struct oq_tensor *weight = constant(checker, place, input);
    const struct oq_tensor *scale = constant(checker, place, scale_input);
    char shape[SHAPE_NBYTES], scale_shape[SHAPE_NBYTES];
    expect_rank(checker, place, input, 3);
    expect_same_shape(checker, place, scale_input + 1, scale_input);
    if (weight == NULL || weight->n_dims != 3 || scale == NULL)
        return;
    bool fits = scale->n_dims >= 1 && scale->n_dims <= 2 && scale->dims[0] == weight->dims[0] &&
                (scale->n_dims == 1 || scale->dims[1] == weight->dims[2]);
    if (!fits)
        oq_problem(checker, place, oq_node_input(place->node, scale_input),
                   "has shape %s, which does not fit weights %s",
                   oq_tensor_dims(scale, scale_shape, SHAPE_NBYTES),
                   oq_tensor_dims(weight, shape, SHAPE_NBYTES));
}

void oq_check_lstm(struct oq_checker *checker, const struct oq_problem_place *place,
                   int64_t version)
{
    (void)version;
    check_lstm_weight(checker, place, 1, 8);
    check_lstm_weight(checker, place, 2, 10);
}

/* --- blocks --- */

/* K and N of a product, and the length of a block. */
struct product {
    uint64_t k, n, block;
};

/* False with a problem where they make no sense; absent ones were reported already. */
static bool find_product(struct oq_checker *checker, const struct oq_problem_place *place,
                         struct product *product)
{
    int64_t k, n = oq_node_int(place->node, "N", 0);
    int64_t block = oq_node_int(place->node, "block_size", 0);
    uint64_t elements;
    bool is_power = block >= 16 && (block & (block - 1)) == 0;
    if (!oq_attribute_int(oq_node_attribute(place->node, "K"), &k))
        return false;
    *product = (struct product){(uint64_t)k, (uint64_t)n, (uint64_t)block};
    if (k > 0 && n > 0 && is_power && oq_mul_u64(product->k, product->n, &elements) &&
        elements <= INT64_MAX / 16)
        return true;
    oq_problem(checker, place, "",
               "K %" PRId64 ", N %" PRId64 " and block_size %" PRId64
               " make no sense: expected positive numbers, and a power of two from 16 on",
               k, n, block);
    return false;
}

void oq_check_nbits(struct oq_checker *checker, const struct oq_problem_place *place,
                    int64_t version)
{
    struct product p;
    int64_t bits = oq_node_int(place->node, "bits", 4);
    (void)version;
    if (!find_product(checker, place, &p))
        return;
    if (bits < 2 || bits > 8)
        oq_problem(checker, place, "", "bits is %" PRId64 ", expected 2 to 8", bits);
    if (bits != 2 && bits != 4 && bits != 8)
        return; /* how others lie in bytes is an engine's own business */
    uint64_t blocks = oq_divide_up_u64(p.k, p.block);
    bool is_packed = type_of(checker, place, 3) == OQ_TYPE(UINT8);
    if (type_of(checker, place, 1) == OQ_TYPE(UINT8))
        expect_nelem(checker, place, 1, p.n * blocks * (p.block * (uint64_t)bits / 8),
                     "N times the bytes of its blocks");
    expect_nelem(checker, place, 2, p.n * blocks, "one for each block");
    expect_nelem(checker, place, 3,
                 p.n * (is_packed ? oq_divide_up_u64(blocks * (uint64_t)bits, 8) : blocks),
                 "one for each block, those of a row in whole bytes");
    expect_nelem(checker, place, 5, p.n, "N");
}

void oq_check_bnb4(struct oq_checker *checker, const struct oq_problem_place *place,
                   int64_t version)
{
    struct product p;
    int64_t type = oq_node_int(place->node, "quant_type", 0);
    (void)version;
    if (type != 0 && type != 1)
        oq_problem(checker, place, "", "quant_type is %" PRId64 ", expected 0 or 1", type);
    if (!find_product(checker, place, &p))
        return;
    expect_nelem(checker, place, 1, oq_divide_up_u64(p.k * p.n, 2), "two in a byte");
    expect_nelem(checker, place, 2, oq_divide_up_u64(p.k * p.n, p.block), "one for each block");
}

/* Bytes hold elements of `bits` bits, packed along the last axis. */
void oq_check_gather_blocks(struct oq_checker *checker, const struct oq_problem_place *place,
                            int64_t version)
{
    const struct oq_tensor *data = constant(checker, place, 0);
    const struct oq_tensor *scale = constant(checker, place, 2);
    const struct oq_tensor *zero_point = constant(checker, place, 3);
    char shape[SHAPE_NBYTES], scale_shape[SHAPE_NBYTES];
    int64_t bits = oq_node_int(place->node, "bits", 4);
    int64_t block = oq_node_int(place->node, "block_size", 128);
    (void)version;
    if (data == NULL || scale == NULL)
        return;
    if (block < 16 || (block & (block - 1)) != 0 || (bits != 2 && bits != 4 && bits != 8)) {
        oq_problem(checker, place, "",
                   "block_size %" PRId64 " and bits %" PRId64
                   " make no sense: expected a power of two from 16 on, and 2, 4 or 8",
                   block, bits);
        return;
    }
    uint64_t per_byte =
        data->proto->data_type == OQ_TYPE(UINT8) ? (uint64_t)(8 / bits) : 1; /* else one each */
    int axis = find_axis(place, "quantize_axis", 1, data);
    if (axis < 0 || !fits_blocks(data, scale, (size_t)axis, (uint64_t)block, per_byte))
        oq_problem(checker, place, oq_node_input(place->node, 2),
                   "has shape %s, which does not fit %s in blocks of %" PRId64,
                   oq_tensor_dims(scale, scale_shape, SHAPE_NBYTES),
                   oq_tensor_dims(data, shape, SHAPE_NBYTES), block);
    else if (zero_point != NULL && scale->n_dims > 0 && scale->dims[scale->n_dims - 1] > 0) {
        uint64_t last = (uint64_t)scale->dims[scale->n_dims - 1];
        expect_nelem(checker, place, 3, scale->nelem / last * oq_divide_up_u64(last, per_byte),
                     "one for each block, those of a row in whole bytes");
    }
}
