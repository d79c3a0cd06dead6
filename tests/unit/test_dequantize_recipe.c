/* The floats of dequantized weights, element by element as their formats define them. */
#include <string.h>

#include "dequantize/undo.h"
#include "support/models.h"
#include "support/reference.h"
#include "support/recipes.h"
#include "support/types.h"

/* What the weight of a row is, number by number: w [K, N] or as it is stored. */
struct weight {
    struct builder *builder;
    size_t rows, columns; /* of the result */
};

static const Oq__Pb__TensorProto *tensor(const struct weight *weight, const char *name)
{
    return test_tensor(weight->builder->graph, name);
}

static float number(const struct weight *weight, const char *name, size_t i)
{
    float x;
    memcpy(&x, tensor(weight, name)->raw_data.data + i * sizeof(x), sizeof(x));
    return x;
}

static int byte(const struct weight *weight, const char *name, size_t i)
{
    return tensor(weight, name)->raw_data.data[i];
}

static int signed_byte(const struct weight *weight, const char *name, size_t i)
{
    return (int8_t)byte(weight, name, i);
}

/* [K, N] in one piece, a scale for each column. */
static float columns(const struct weight *w, size_t k, size_t n)
{
    return (float)signed_byte(w, "q", k * w->columns + n) * number(w, "s", n);
}

static float columns_with_zero(const struct weight *w, size_t k, size_t n)
{
    int q = signed_byte(w, "q", k * w->columns + n) - signed_byte(w, "z", n);
    return (float)q * number(w, "s", n);
}

/* [3, 130, 70]: rows are those of all matrices. */
static float batches(const struct weight *w, size_t row, size_t n)
{
    return (float)signed_byte(w, "q", row * 70 + n) * number(w, "s", row / 130 * 70 + n);
}

/* Blocks of 32 along the rows. */
static float blocks_down(const struct weight *w, size_t k, size_t n)
{
    return (float)signed_byte(w, "q", k * w->columns + n) * number(w, "s", k / 32 * w->columns + n);
}

/* The same along a row. */
static float blocks_across(const struct weight *w, size_t k, size_t n)
{
    size_t n_blocks = (w->columns + 31) / 32;
    return (float)signed_byte(w, "q", k * w->columns + n) * number(w, "s", k * n_blocks + n / 32);
}

/* [directions, inputs, 4H] -> [directions, 4H, inputs]; 2 x 37 inputs, 256 gate rows. */
static float lstm(const struct weight *w, size_t row, size_t input)
{
    size_t direction = row / 256, gate = row % 256;
    return (float)signed_byte(w, "q", (direction * 37 + input) * 256 + gate) * number(w, "s", row);
}

static float nbits4(const struct weight *w, size_t k, size_t n, float zero_point, size_t block)
{
    size_t n_blocks = (w->rows + 31) / 32;
    int pair = byte(w, "q", (n * n_blocks * 32 + k) / 2);
    int q = k % 2 == 0 ? pair & 15 : pair >> 4;
    return ((float)q - zero_point) * number(w, "s", n * n_blocks + block);
}

static float nbits4_plain(const struct weight *w, size_t k, size_t n)
{
    return nbits4(w, k, n, 8, k / 32);
}

static float nbits4_zero(const struct weight *w, size_t k, size_t n)
{
    size_t n_blocks = (w->rows + 31) / 32, block = k / 32;
    int pair = byte(w, "z", n * ((n_blocks + 1) / 2) + block / 2);
    return nbits4(w, k, n, (float)(block % 2 == 0 ? pair & 15 : pair >> 4), block);
}

static float nbits4_groups(const struct weight *w, size_t k, size_t n)
{
    return nbits4(w, k, n, 8, (k * 7 + 1) % 3 % ((w->rows + 31) / 32));
}

static float nbits8_float_zero(const struct weight *w, size_t k, size_t n)
{
    size_t n_blocks = (w->rows + 15) / 16, block = n * n_blocks + k / 16;
    return ((float)byte(w, "q", n * n_blocks * 16 + k) - number(w, "z", block)) *
           number(w, "s", block);
}

static float nbits2(const struct weight *w, size_t k, size_t n)
{
    size_t at = n * ((w->rows + 31) / 32) * 32 + k;
    int q = byte(w, "q", at / 4) >> (at % 4 * 2) & 3;
    return (float)(q - 2) * number(w, "s", n * ((w->rows + 31) / 32) + k / 32);
}

/* Block after block from row to row of [N, K]; FP4. */
static float bnb4(const struct weight *w, size_t k, size_t n)
{
    static const float values[] = {0,    5.208333333e-03f, 0.66666667f, 1, 0.33333333f,
                                   0.5f, 0.16666667f,      0.25f};
    size_t at = n * w->rows + k;
    int q = at % 2 == 0 ? byte(w, "q", at / 2) >> 4 : byte(w, "q", at / 2) & 15;
    return (q < 8 ? values[q] : -values[q - 8]) * number(w, "s", at / 64);
}

#define PRODUCT "xq, xs, xz = DynamicQuantizeLinear(x); m = MatMulInteger(xq, q, xz"
#define SCALED  "); c = Cast(m) to=1; t = Mul(xs, s); y = Mul(c, t); out y float32"
#define NBITS   "y = com.microsoft::MatMulNBits(x, q, s"

static const struct row {
    const char *name, *text;
    size_t rows, columns;
    float (*element)(const struct weight *weight, size_t row, size_t column);
} rows[] = {
    {"columns", "init q int8[300,257]; init s float32[257]; " PRODUCT SCALED, 300, 257, columns},
    {"zero points",
     "init q int8[300,257]; init s float32[257]; init z int8[257]; " PRODUCT ", z" SCALED, 300, 257,
     columns_with_zero},
    {"more columns than scales are read",
     "init q int8[20,9001]; init s float32[9001]; " PRODUCT SCALED, 20, 9001, columns},
    {"batches", "init q int8[3,130,70]; init s float32[3,1,70]; " PRODUCT SCALED, 390, 70, batches},
    {"blocks down",
     "init q int8[100,300]; init s float32[4,300]\n"
     "w = DequantizeLinear(q, s) axis=0 block_size=32; y = MatMul(x, w); out y float32",
     100, 300, blocks_down},
    {"blocks across",
     "init q int8[100,300]; init s float32[100,10]\n"
     "w = DequantizeLinear(q, s) axis=1 block_size=32; y = MatMul(x, w); out y float32",
     100, 300, blocks_across},
    {"short blocks across",
     "init q int8[3,70001]; init s float32[3,2188]\n"
     "w = DequantizeLinear(q, s) axis=-1 block_size=32; y = MatMul(x, w); out y float32",
     3, 70001, blocks_across},
    {"lstm",
     "init q int8[2,37,256]; init s float32[2,256]; init r int8[2,64,256]\n"
     "init z int8[2,256] = 0\n"
     "y = com.microsoft::DynamicQuantizeLSTM(x, q, r, , , , , , s, z, s, z) hidden_size=64\n"
     "out y float32",
     512, 37, lstm},
    {"4 bits",
     "init q uint8[130,2,16]; init s float32[260]\n" NBITS
     ") K=64 N=130 bits=4 block_size=32; out y float32",
     64, 130, nbits4_plain},
    {"4 bits, K not a multiple of the block",
     "init q uint8[67,7,16]; init s float32[67,7]\n" NBITS
     ") K=201 N=67 bits=4 block_size=32; out y float32",
     201, 67, nbits4_plain},
    {"4 bits, long columns",
     "init q uint8[5,141,16]; init s float32[705]\n" NBITS
     ") K=4500 N=5 block_size=32; out y float32",
     4500, 5, nbits4_plain},
    {"4 bits, many columns",
     "init q uint8[5000,1,16]; init s float32[5000]\n" NBITS
     ") K=31 N=5000 bits=4 block_size=32; out y float32",
     31, 5000, nbits4_plain},
    {"4 bits, zero points",
     "init q uint8[67,7,16]; init s float32[469]; init z uint8[268]\n" NBITS
     ", z) K=201 N=67 bits=4 block_size=32; out y float32",
     201, 67, nbits4_zero},
    {"4 bits, g_idx",
     "init q uint8[67,3,16]; init s float32[201]\n"
     "init g int32[90] = 1 2 0\n" NBITS ", , g) K=90 N=67 bits=4 block_size=32; out y float32",
     90, 67, nbits4_groups},
    {"8 bits, float zero points",
     "init q uint8[67,7,16]; init s float32[469]; init z float32[469]\n" NBITS
     ", z) K=101 N=67 bits=8 block_size=16; out y float32",
     101, 67, nbits8_float_zero},
    {"2 bits",
     "init q uint8[67,4,8]; init s float32[268]\n" NBITS
     ") K=101 N=67 bits=2 block_size=32; out y float32",
     101, 67, nbits2},
    {"bnb4",
     "init q uint8[3333]; init s float32[105]\n"
     "y = com.microsoft::MatMulBnb4(x, q, s) K=101 N=66 block_size=64 quant_type=0; out y float32",
     101, 66, bnb4},
    {"bnb4, whole blocks",
     "init q uint8[4096]; init s float32[128]\n"
     "y = com.microsoft::MatMulBnb4(x, q, s) K=128 N=64 block_size=64 quant_type=0; out y float32",
     128, 64, bnb4},
};

static void destroy(void *thing)
{
    onnxq_dequantization_destroy(thing);
}

static onnxq_dequantization *undo(const onnxq_model *model, onnxq_float_type type)
{
    onnxq_error error;
    onnxq_dequantize_options options;
    onnxq_dequantize_options_init(&options);
    options.float_type = type;
    onnxq_dequantization *made = onnxq_dequantization_create(model, &options, &error);
    if (made == NULL)
        fail_msg("%s", test_error_text(&error));
    test_defer(destroy, made);
    if (made->n_matches == 0)
        fail_msg("kept: %s", onnxq_dequantization_get(made, 0)->reason);
    return made;
}

static const struct oq_weight *first_weight(const onnxq_dequantization *made)
{
    for (size_t i = 0; i < made->model->n_tensors; i++)
        if (made->tensors[i].weights != NULL)
            return made->tensors[i].weights;
    return NULL;
}

/* Numbers of all bit patterns, which the text cannot say. */
static void fill_bytes(struct builder *builder, const char *name)
{
    Oq__Pb__TensorProto *q = (Oq__Pb__TensorProto *)(uintptr_t)test_tensor(builder->graph, name);
    for (size_t i = 0; i < q->raw_data.len; i++)
        q->raw_data.data[i] = (uint8_t)(builder_random(builder) * 127.9 + 128);
}

static struct weight make(const struct row *row)
{
    struct builder *builder = test_builder(
        test_printf("ir 10; opset 21; opset com.microsoft 1; in x float32; %s", row->text));
    fill_bytes(builder, "q");
    if (strstr(row->text, "z int8[257]") != NULL || strstr(row->text, "z uint8") != NULL)
        fill_bytes(builder, "z");
    return (struct weight){builder, row->rows, row->columns};
}

static void test_float32(void **state)
{
    const struct row *row = *state;
    const struct weight weight = make(row);
    const onnxq_dequantization *made = undo(test_open(weight.builder), ONNXQ_FLOAT32);
    const struct oq_recipe recipe = oq_weight_recipe(first_weight(made));
    const size_t n = row->rows * row->columns;
    float *expected = test_alloc(n * sizeof(*expected));
    for (size_t i = 0; i < n; i++)
        expected[i] = row->element(&weight, i / row->columns, i % row->columns);
    assert_int_equal(recipe.nbytes, n * sizeof(*expected));
    check_recipe(&recipe, (const uint8_t *)expected);
}

static void test_float16(void **state)
{
    const struct row *row = *state;
    const struct weight weight = make(row);
    const onnxq_dequantization *made = undo(test_open(weight.builder), ONNXQ_FLOAT16);
    const struct oq_weight *first = first_weight(made);
    const struct oq_recipe recipe = oq_weight_recipe(first);
    const size_t n = row->rows * row->columns;
    if (first->data_type != OQ__PB__TENSOR_PROTO__DATA_TYPE__FLOAT16) {
        assert_non_null(strstr(row->name, "float zero points")); /* of any size */
        return;
    }
    uint16_t *expected = test_alloc(n * sizeof(*expected));
    for (size_t i = 0; i < n; i++)
        expected[i] = half_from_double(row->element(&weight, i / row->columns, i % row->columns));
    assert_int_equal(recipe.nbytes, n * sizeof(*expected));
    check_recipe(&recipe, (const uint8_t *)expected);
}

/* As wide as its users want it; 11/128 times a byte needs rounding in bfloat16. */
static void check_narrowed(const char *text, int32_t data_type, size_t width)
{
    const struct weight weight = make(&(struct row){"", text, 300, 257, NULL});
    const onnxq_dequantization *made = undo(test_open(weight.builder), ONNXQ_FLOAT32);
    const struct oq_weight *first = first_weight(made);
    const struct oq_recipe recipe = oq_weight_recipe(first);
    const size_t n = weight.rows * weight.columns;
    uint8_t *expected = test_alloc(n * width);
    assert_int_equal(first->data_type, data_type);
    for (size_t i = 0; i < n; i++) {
        double x = signed_byte(&weight, "q", i) * (11 / 128.0);
        uint16_t narrow = bfloat16_from_double(x);
        memcpy(expected + i * width, width == 2 ? (const void *)&narrow : (const void *)&x, width);
    }
    assert_int_equal(recipe.nbytes, n * width);
    check_recipe(&recipe, expected);
}

static void test_bfloat16(void **state)
{
    (void)state;
    check_narrowed("init q int8[300,257]; init s bfloat16[] = 0.0859375\n"
                   "w = DequantizeLinear(q, s); y = MatMul(x, w); out y bfloat16",
                   OQ__PB__TENSOR_PROTO__DATA_TYPE__BFLOAT16, 2);
}

static void test_double(void **state)
{
    (void)state;
    check_narrowed(
        "init q int8[300,257]; init s float32[] = 0.0859375\n"
        "c = Cast(q) to=1; d = Mul(c, s); w = Cast(d) to=11; y = MatMul(x, w); out y float64",
        OQ__PB__TENSOR_PROTO__DATA_TYPE__DOUBLE, 8);
}

/* The file changes under our feet: an error, and the tensor is named. */
static void test_shrinking_file(void **state)
{
    (void)state;
    onnxq_error error;
    const struct weight weight = make(&rows[8]);
    const onnxq_dequantization *made = undo(test_open(weight.builder), ONNXQ_FLOAT32);
    const struct oq_recipe recipe = oq_weight_recipe(first_weight(made));
    test_write_file(test_path("model.onnx"), "", 0);
    oq_error_init(&error);
    assert_false(recipe.produce(recipe.source, 0, 100, test_alloc(100),
                                test_alloc(OQ_RECIPE_SCRATCH_NBYTES), &error));
    check_text(test_error_text(&error),
               "model.onnx: initializer \"q\": ends early: it changed while it was read");
}

int main(void)
{
    TEST_ROWS(test_float32, rows);
    TEST_ROWS(test_float16, rows);
    TEST(test_bfloat16);
    TEST(test_double);
    TEST(test_shrinking_file);
    return suite_run();
}
