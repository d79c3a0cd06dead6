/* Weights in blocks: integers, scales and zero points, in any stretch, against a plain reference.
 */
#include "quantize/plan/plan.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "support/adjust.h"
#include "support/models.h"
#include "support/recipes.h"
#include "support/reference.h"

static const struct row {
    const char *name, *text;
    adjust_fn adjust;
} rows[] = {
    {"8 bits", "init w float32[256,264]; y = MatMul(x, w)", adjust_blocks},
    {"8 bits, rows of a part of a block", "init w float32[300,257]; y = MatMul(x, w)",
     adjust_blocks},
    {"8 bits in blocks of 16", "init w float32[530,131]; y = MatMul(x, w)", adjust_blocks_of_16},
    {"8 bits, asymmetric", "init w float32[300,257]; y = MatMul(x, w)", adjust_blocks_asymmetric},
    {"8 bits, less than a block", "init w float32[100,800]; y = MatMul(x, w)",
     adjust_blocks_force_integer},
    {"8 bits, turned", "init w float32[257,300]; y = Gemm(x, w) transB=1", adjust_blocks},
    {"8 bits, turned, asymmetric", "init w float32[257,300]; y = Gemm(x, w) transB=1",
     adjust_blocks_asymmetric},
    {"4 bits", "init w float32[256,264]; y = MatMul(x, w)", adjust_blocks_4},
    {"4 bits, an odd number of blocks", "init w float32[270,257]; y = MatMul(x, w)",
     adjust_blocks_4},
    {"4 bits, asymmetric", "init w float32[270,257]; y = MatMul(x, w)", adjust_blocks_4_asymmetric},
    {"4 bits, asymmetric, even", "init w float32[256,257]; y = MatMul(x, w)",
     adjust_blocks_4_asymmetric},
    {"4 bits in blocks of 16", "init w float32[257,300]; y = Gemm(x, w) transB=1",
     adjust_blocks_4_of_16},
    {"4 bits in blocks of 256", "init w float32[700,131]; y = MatMul(x, w)",
     adjust_blocks_4_of_256},
    {"4 bits, turned, asymmetric", "init w float32[257,270]; y = Gemm(x, w) transB=1",
     adjust_blocks_4_asymmetric},
    {"more than one read", "init w float32[1200,300]; y = MatMul(x, w)", adjust_blocks_4},
    {"few long columns", "init w float32[13200,5]; y = MatMul(x, w)", adjust_blocks_4_asymmetric},
    {"a long column", "init w float32[270001,1]; y = MatMul(x, w)", adjust_blocks_4},
    {"many short columns", "init w float32[130,3000]; y = MatMul(x, w)", adjust_blocks},
    {"long rows", "init w float32[2,270001]; y = Gemm(x, w) transB=1", adjust_blocks_4_asymmetric},
    {"float16", "init w float16[300,257]; y = MatMul(x, w)", adjust_blocks_4},
    {"packed float16", "init w float16[300,257] packed; y = MatMul(x, w)", adjust_blocks},
    {"float64 in pieces", "init w float64[300,257] pieces; y = MatMul(x, w)",
     adjust_blocks_4_asymmetric},
    {"external", "init w float32[300,257] external; y = MatMul(x, w)", adjust_blocks_4},
    {"behind a Transpose", "init w float32[257,300]; t = Transpose(w); y = MatMul(x, t)",
     adjust_blocks_4},
    {"of two tensors",
     "init a float32[300,129]; init b float32[300,129]; t = Concat(a, b) axis=0; y = MatMul(x, t)",
     adjust_blocks_4},
    {"zeros", "init w float32[256,257] = 0; y = MatMul(x, w)", adjust_blocks_4},
    {"zeros, asymmetric", "init w float32[256,257] = 0; y = MatMul(x, w)",
     adjust_blocks_4_asymmetric},
    {"blocks of zeros", "init w float32[256,257] = 0 @300=1e-5 @40000=-2e-5; y = MatMul(x, w)",
     adjust_blocks_4},
    {"blocks of zeros, asymmetric",
     "init w float32[256,257] = 0 @300=1e-5 @40000=-2e-5; y = MatMul(x, w)",
     adjust_blocks_4_asymmetric},
    {"blocks of zeros, rows",
     "init w float32[257,256] = 0 @300=1e-5 @40000=-2e-5; y = Gemm(x, w) transB=1",
     adjust_blocks_4},
    {"one sign", "init w float32[256,257] = 1 2 3 4 5; y = MatMul(x, w)",
     adjust_blocks_4_asymmetric},
    {"one sign, symmetric", "init w float32[256,257] = -1 -2 -3 -4 -5; y = MatMul(x, w)",
     adjust_blocks_4},
    {"halfway", "init w float32[256,257] = -8 0.5 1.5 2.5 -0.5 7.5 6.5; y = MatMul(x, w)",
     adjust_blocks_4},

    {"table of 8 bits", "init w float32[9001,130]; y = Gather(w, i)", adjust_blocks},
    {"table of 4 bits", "init w float32[9001,130]; y = Gather(w, i)", adjust_blocks_4_asymmetric},
    {"table of three dimensions", "init w float32[901,3,402]; y = Gather(w, i)", adjust_blocks_4},

    {"NF4", "init w float32[256,264]; y = MatMul(x, w)", adjust_nf4},
    {"NF4, blocks across columns", "init w float32[301,259]; y = MatMul(x, w)", adjust_nf4_of_64},
    {"NF4, more than one tile", "init w float32[601,259]; y = MatMul(x, w)", adjust_nf4},
    {"NF4, turned", "init w float32[259,301]; y = Gemm(x, w) transB=1", adjust_nf4_of_64},
    {"NF4, zeros", "init w float32[256,256] = 0; y = MatMul(x, w)", adjust_nf4},

    {"DequantizeLinear", "init w float32[256,264]; y = MatMul(x, w)", adjust_qdq_of_32},
    {"DequantizeLinear, a part of a block", "init w float32[300,257]; y = MatMul(x, w)",
     adjust_qdq_of_32},
    {"DequantizeLinear, uint8", "init w float32[300,257]; y = MatMul(x, w)",
     adjust_qdq_of_32_uint8},
    {"DequantizeLinear, asymmetric", "init w float32[300,257]; y = MatMul(x, w)",
     adjust_qdq_of_32_asymmetric},
    {"DequantizeLinear of 4 bits", "init w float32[300,257]; y = MatMul(x, w)", adjust_qdq_4_of_32},
    {"DequantizeLinear of 4 bits, asymmetric", "init w float32[301,257]; y = MatMul(x, w)",
     adjust_qdq_4_of_32_asymmetric},
    {"DequantizeLinear along rows", "init w float32[257,301]; y = Gemm(x, w) transB=1",
     adjust_qdq_4_of_32_asymmetric},
    {"DequantizeLinear of wide rows", "init w float32[70,3001]; y = MatMul(x, w)",
     adjust_qdq_4_of_32_asymmetric},
    {"DequantizeLinear of batches", "init w float32[3,70,131]; y = MatMul(x, w)",
     adjust_qdq_4_of_32_asymmetric},
    {"DequantizeLinear of a convolution", "init w float32[7,70,3,3]; y = Conv(x, w)",
     adjust_qdq_4_of_32},
};

/* --- the reference --- */

struct reference {
    const struct oq_blocks *blocks;
    const float *w;
    uint64_t n_lines, length; /* of the blocks */
    uint64_t n_blocks;
    float filler; /* the scale of blocks that have none */
};

/* Element `k` of line `line`, as the weight has it. */
static float element(const struct reference *reference, uint64_t line, uint64_t k)
{
    const struct oq_source *source = reference->blocks->source;
    size_t axis = (size_t)reference->blocks->choice.axis;
    uint64_t inner = 1, length = (uint64_t)source->dims[axis];
    for (size_t i = axis + 1; i < source->n_dims; i++)
        inner *= (uint64_t)source->dims[i];
    if (reference->blocks->choice.form == OQ_BLOCKS_FLAT) {
        line = k / length;
        k %= length;
    }
    return reference->w[(line / inner * length + k) * inner + line % inner];
}

static float usable(const struct reference *reference, float scale)
{
    return fabsf(scale) < FLT_MIN ? reference->filler : scale;
}

struct numbers {
    float scale;
    int zero_point, qmin, qmax;
};

static struct numbers find_numbers(const struct reference *reference, uint64_t line, uint64_t block)
{
    const struct oq_block_choice *choice = &reference->blocks->choice;
    bool original = choice->form == OQ_BLOCKS_ORIGINAL;
    float lo = INFINITY, hi = -INFINITY;
    for (uint64_t i = 0; i < choice->size; i++) {
        uint64_t k = block * choice->size + i;
        if (k >= reference->length)
            break;
        lo = fminf(lo, element(reference, line, k));
        hi = fmaxf(hi, element(reference, line, k));
    }
    if (choice->bits == ONNXQ_BITS_NF4)
        return (struct numbers){usable(reference, fmaxf(-lo, hi)), 0, 0, 15};
    int levels = choice->bits == ONNXQ_BITS_8 ? 256 : 16;
    struct numbers numbers = {0, choice->is_unsigned ? levels / 2 : 0, -levels / 2, levels / 2 - 1};
    if (!choice->symmetric) {
        double range = fmax(hi, 0) - fmin(lo, 0);
        numbers.scale = usable(reference, (float)(range / (levels - 1)));
    } else if (levels == 256) {
        numbers.scale = usable(reference, fmaxf(-lo, hi) / 127);
        numbers.qmin = -127;
    } else if (original) {
        numbers.scale = usable(reference, fmaxf(-lo / 8, hi / 7));
    } else {
        numbers.scale = usable(reference, (-lo >= hi ? lo : hi) / -8);
    }
    if (choice->is_unsigned) {
        numbers.qmin += levels / 2;
        numbers.qmax += levels / 2;
    }
    if (!choice->symmetric) {
        float zero = rintf((float)numbers.qmin - fminf(lo, 0) / numbers.scale);
        numbers.zero_point = (int)fminf(fmaxf(zero, (float)numbers.qmin), (float)numbers.qmax);
    }
    return numbers;
}

static struct reference make_reference(const struct oq_blocks *blocks)
{
    const struct oq_source *source = blocks->source;
    uint64_t length = (uint64_t)source->dims[blocks->choice.axis];
    if (blocks->choice.form == OQ_BLOCKS_FLAT)
        length = source->nelem;
    uint64_t size = blocks->choice.size;
    struct reference reference = {blocks, test_read_floats(source),   source->nelem / length,
                                  length, (length + size - 1) / size, 0};
    float finest = INFINITY;
    for (uint64_t i = 0; i < reference.n_lines * reference.n_blocks; i++) {
        float scale =
            find_numbers(&reference, i / reference.n_blocks, i % reference.n_blocks).scale;
        finest = scale != 0 ? fminf(finest, fabsf(scale)) : finest;
    }
    reference.filler = isfinite(finest) ? finest : FLT_EPSILON;
    return reference;
}

/* The values of NF4 as MatMulBnb4 has them; the nearest one, the lower of two. */
static int nearest_nf4(float x)
{
    static const float values[] = {-1.0f,
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
    int nearest = 0;
    for (int i = 1; i < 16; i++)
        if (fabs((double)x - (double)values[i]) < fabs((double)x - (double)values[nearest]))
            nearest = i;
    return nearest;
}

/* Number of a line's unit in the output, where a line takes `per_line` of them. */
static uint64_t place(const struct reference *reference, uint64_t line, uint64_t i,
                      uint64_t per_line)
{
    const struct oq_source *source = reference->blocks->source;
    uint64_t inner = 1;
    if (reference->blocks->choice.form != OQ_BLOCKS_ORIGINAL)
        return line * per_line + i;
    for (size_t k = (size_t)reference->blocks->choice.axis + 1; k < source->n_dims; k++)
        inner *= (uint64_t)source->dims[k];
    return (line / inner * per_line + i) * inner + line % inner;
}

static const uint8_t *pack(const struct reference *reference, const uint8_t *codes, uint64_t n,
                           uint64_t *nbytes)
{
    onnxq_bits bits = reference->blocks->choice.bits;
    *nbytes = n;
    if (bits == ONNXQ_BITS_8)
        return codes;
    *nbytes = (n + 1) / 2;
    uint8_t *packed = test_alloc((size_t)*nbytes);
    for (uint64_t i = 0; i < n; i++) {
        bool high = (i % 2 != 0) != (bits == ONNXQ_BITS_NF4);
        packed[i / 2] = (uint8_t)(packed[i / 2] | (codes[i] & 15) << (high ? 4 : 0));
    }
    return packed;
}

static void check_integers(const struct reference *reference)
{
    const struct oq_block_choice *choice = &reference->blocks->choice;
    const struct oq_recipe recipe = oq_blocks_integers(reference->blocks);
    uint64_t per_line =
        choice->form == OQ_BLOCKS_PADDED ? reference->n_blocks * choice->size : reference->length;
    uint64_t n = reference->n_lines * per_line, nbytes;
    uint8_t *codes = test_alloc((size_t)n);
    for (uint64_t line = 0; line < reference->n_lines; line++) {
        struct numbers numbers = {0};
        for (uint64_t k = 0; k < per_line; k++) {
            if (k % choice->size == 0)
                numbers = find_numbers(reference, line, k / choice->size);
            float x = k < reference->length ? element(reference, line, k) : 0;
            int code = choice->bits == ONNXQ_BITS_NF4
                           ? nearest_nf4(x / numbers.scale)
                           : reference_quantize(x, numbers.scale, numbers.zero_point, numbers.qmin,
                                                numbers.qmax);
            codes[place(reference, line, k, per_line)] = (uint8_t)code;
        }
    }
    const uint8_t *expected = pack(reference, codes, n, &nbytes);
    assert_int_equal(recipe.nbytes, nbytes);
    check_recipe(&recipe, expected);
}

static void check_scales(const struct reference *reference, float factor)
{
    struct oq_block_scales *scales = test_alloc(sizeof(*scales));
    *scales = (struct oq_block_scales){reference->blocks, factor};
    const struct oq_recipe recipe = oq_blocks_scales(scales);
    uint64_t n = reference->n_lines * reference->n_blocks;
    float *expected = test_alloc((size_t)n * sizeof(*expected));
    for (uint64_t line = 0; line < reference->n_lines; line++)
        for (uint64_t b = 0; b < reference->n_blocks; b++)
            expected[place(reference, line, b, reference->n_blocks)] =
                find_numbers(reference, line, b).scale * factor;
    assert_int_equal(recipe.nbytes, n * sizeof(float));
    check_recipe(&recipe, (const uint8_t *)expected);
}

static void check_zero_points(const struct reference *reference)
{
    const struct oq_block_choice *choice = &reference->blocks->choice;
    const struct oq_recipe recipe = oq_blocks_zero_points(reference->blocks);
    uint64_t per_line = reference->n_blocks, nbytes;
    if (choice->form != OQ_BLOCKS_ORIGINAL && choice->bits != ONNXQ_BITS_8)
        per_line += per_line % 2;
    uint64_t n = reference->n_lines * per_line;
    uint8_t *codes = test_alloc((size_t)n);
    for (uint64_t line = 0; line < reference->n_lines; line++)
        for (uint64_t b = 0; b < reference->n_blocks; b++)
            codes[place(reference, line, b, per_line)] =
                (uint8_t)find_numbers(reference, line, b).zero_point;
    const uint8_t *expected = pack(reference, codes, n, &nbytes);
    assert_int_equal(recipe.nbytes, nbytes);
    check_recipe(&recipe, expected);
}

static void test_row(void **state)
{
    const struct row *row = *state;
    onnxq_options options = test_options();
    row->adjust(&options);
    const onnxq_plan *plan = test_plan(
        test_model(test_printf("opset 21; in x float32; in i int64; %s", row->text)), &options);
    size_t n_found = 0;
    for (size_t i = 0; i < plan->n_constants; i++) {
        const struct oq_quantized *quantized = plan->constants[i].quantized;
        for (; quantized != NULL; quantized = quantized->next) {
            if (quantized->blocks == NULL)
                continue;
            const struct reference reference = make_reference(quantized->blocks);
            check_integers(&reference);
            check_scales(&reference, 1);
            check_scales(&reference, -0.75f);
            if (quantized->blocks->has_zero_points)
                check_zero_points(&reference);
            n_found++;
        }
    }
    assert_int_equal(n_found, 1);
}

int main(void)
{
    TEST_ROWS(test_row, rows);
    return suite_run();
}
