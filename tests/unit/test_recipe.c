/* Recipes: any stretch of a result is what the whole result has there. */
#include <stdlib.h>
#include <string.h>

#include "quantize/plan/plan.h"
#include "support/models.h"
#include "support/recipes.h"
#include "support/reference.h"
#include "quantize/write/rewrite.h"

enum choice {
    DEFAULTS = 0,
    PER_TENSOR = 1,
    ASYMMETRIC = 2,
    UNSIGNED = 4,
    POINTWISE = 8,
    WIDE = 16
};

static const struct row {
    const char *name, *text;
    int choices;
    bool transposed; /* the integers are stored the other way round */
} rows[] = {
    {"matrix", "init w float32[256,257]; y = MatMul(x, w)", DEFAULTS, false},
    {"per tensor", "init w float32[256,257]; y = MatMul(x, w)", PER_TENSOR, false},
    {"asymmetric", "init w float32[256,257]; y = MatMul(x, w)", ASYMMETRIC, false},
    {"asymmetric per tensor uint8", "init w float32[256,257]; y = MatMul(x, w)",
     ASYMMETRIC | PER_TENSOR | UNSIGNED, false},
    {"uint8", "init w float32[256,257]; y = MatMul(x, w)", UNSIGNED, false},
    {"more than one read", "init w float32[300,1000]; y = MatMul(x, w)", DEFAULTS, false},
    {"rows longer than a read", "init w float32[2,270000]; y = MatMul(x, w)", DEFAULTS, false},
    {"batches", "init w float32[3,130,600]; y = MatMul(x, w)", DEFAULTS, false},
    {"convolution", "init w float32[32,16,3,3]; y = Conv(x, w)", DEFAULTS, false},
    {"convolution in 1-D", "init w float32[33,17,5]; y = Conv(x, w)", ASYMMETRIC, false},
    {"one channel", "init w float32[1,70,5]; y = Conv(x, w)", DEFAULTS, false},
    {"unpacked", "init w float32[256,257] unpacked; y = MatMul(x, w)", DEFAULTS, false},
    {"in pieces", "init w float32[300,1000] pieces; y = MatMul(x, w)", DEFAULTS, false},
    {"external", "init w float32[256,257] external; y = MatMul(x, w)", DEFAULTS, false},
    {"float16", "init w float16[256,257]; y = MatMul(x, w)", DEFAULTS, false},
    {"packed float16", "init w float16[300,1000] packed; y = MatMul(x, w)", DEFAULTS, false},
    {"float64", "init w float64[300,1000]; y = MatMul(x, w)", DEFAULTS, false},

    {"int16", "init w float32[33,17,5]; y = Conv(x, w)", WIDE, false},
    {"int16, per tensor", "init w float32[33,17,5]; y = Conv(x, w)", WIDE | PER_TENSOR, false},
    {"int16, more than one read", "init w float32[700,401]; y = Einsum(x, w)", WIDE, false},
    {"int16, uint8 asked for", "init w float64[33,17,5]; y = Conv(x, w)",
     WIDE | UNSIGNED | ASYMMETRIC, false},

    {"turned", "init w float32[257,256]; y = Gemm(x, w) transB=1", DEFAULTS, true},
    {"turned, asymmetric", "init w float32[257,256]; y = Gemm(x, w) transB=1", ASYMMETRIC, true},
    {"turned, per tensor", "init w float32[257,256]; y = Gemm(x, w) transB=1", PER_TENSOR, true},
    {"turned, uint8", "init w float32[257,256]; y = Gemm(x, w) transB=1", UNSIGNED, true},
    {"turned, more than one read", "init w float32[1000,300]; y = Gemm(x, w) transB=1", DEFAULTS,
     true},
    {"turned, one tile and one", "init w float32[65,4097]; y = Gemm(x, w) transB=1", DEFAULTS,
     true},
    {"turned, long channels", "init w float32[70,9000]; y = Gemm(x, w) transB=1", DEFAULTS, true},
    {"turned, many short channels", "init w float32[3000,128]; y = Gemm(x, w) transB=1", DEFAULTS,
     true},
    {"turned float16", "init w float16[257,300] pieces; y = Gemm(x, w) transB=1", DEFAULTS, true},
    {"turned batches",
     "init w float32[2,512,70]; init r float32[2,512,128]; y = LSTM(x, w, r) hidden_size=128",
     DEFAULTS, true},
    {"left", "in z float32[5,300]; init w float32[513,300]; y = MatMul(w, z)", DEFAULTS, true},
    {"left, asymmetric", "in z float32[300,5]; init w float32[513,300]; y = MatMul(w, z)",
     ASYMMETRIC, true},
    {"left, turned", "init w float32[300,513]; y = Gemm(w, x) transA=1", DEFAULTS, false},
    {"attention", "init w float32[130,513]; y = com.microsoft::Attention(x, w)", DEFAULTS, false},
    {"attention, turned",
     "init w float32[513,130]; t = Transpose(w); y = com.microsoft::Attention(x, t)", DEFAULTS,
     true},
    {"pointwise", "init w float32[65,131,1,1]; y = Conv(x, w)", POINTWISE, true},
    {"pointwise, asymmetric uint8", "init w float32[65,131,1]; y = Conv(x, w)",
     POINTWISE | ASYMMETRIC | UNSIGNED, true},
    {"pointwise, per tensor", "init w float32[65,131,1,1,1]; y = Conv(x, w)",
     POINTWISE | PER_TENSOR, true},
    {"pointwise, more than one read", "init w float16[1000,300,1]; y = Conv(x, w)", POINTWISE,
     true},
};

static onnxq_options make_options(int choices)
{
    onnxq_options options = test_options();
    options.per_channel = (choices & PER_TENSOR) == 0;
    options.symmetric = (choices & ASYMMETRIC) == 0;
    options.weight_type = (choices & UNSIGNED) != 0 ? ONNXQ_WEIGHT_UINT8 : ONNXQ_WEIGHT_INT8;
    options.conv = (choices & POINTWISE) != 0 ? ONNXQ_CONV_MATMUL : ONNXQ_CONV_FOLD;
    options.fold_bits = (choices & WIDE) != 0 ? 16 : 8;
    return options;
}

/* Element number `at` of the result comes from this element of the weight. */
static uint64_t source_of(const struct oq_quantized *q, uint64_t at)
{
    if (!q->transposed)
        return at;
    uint64_t n = (uint64_t)q->ranges->source->dims[q->n_dims - 2];
    uint64_t k = (uint64_t)q->ranges->source->dims[q->n_dims - 1];
    uint64_t matrix = at / (n * k), inside = at % (n * k);
    return matrix * n * k + inside % n * k + inside / n;
}

static uint8_t *keep_sums(const struct oq_quantized *q, const float *w, uint8_t *result)
{
    const size_t kernels = (size_t)q->refinement->kernels, kernel = (size_t)q->refinement->kernel;
    float *x = test_alloc(kernels * kernel * sizeof(*x));
    int *integers = test_alloc(kernels * kernel * sizeof(*integers));
    assert_null(q->refinement->input_scale);
    for (uint64_t row = 0; row < q->refinement->rows; row++) {
        for (size_t i = 0; i < kernels * kernel; i++)
            x[i] = w[row * kernels * kernel + i] / q->scale[row];
        reference_keep_sums(x, kernels, kernel, true, true, integers);
        for (size_t i = 0; i < kernels * kernel; i++)
            result[row * kernels * kernel + i] = (uint8_t)integers[i];
    }
    return result;
}

static uint8_t *quantize_all(const struct oq_quantized *q)
{
    const struct oq_ranges *ranges = q->ranges;
    const struct oq_source *source = ranges->source;
    const float *w = test_read_floats(source);
    size_t width = q->is_wide ? 2 : 1;
    uint8_t *result = test_alloc((size_t)source->nelem * width);
    if (q->refinement != NULL) /* see test_refine.c */
        return keep_sums(q, w, result);
    for (uint64_t at = 0; at < source->nelem; at++) {
        uint64_t i = source_of(q, at);
        uint64_t k =
            reference_scale_of(source->dims, source->n_dims, ranges->axis, ranges->batch_axes, i);
        int integer = reference_quantize(w[i], q->scale[k], (int)q->zero_point[k], (int)q->qmin,
                                         (int)q->qmax);
        for (size_t b = 0; b < width; b++) /* the low byte first */
            result[at * width + b] = (uint8_t)((unsigned)integer >> 8 * b);
    }
    return result;
}

static void test_quantize(void **state)
{
    const struct row *row = *state;
    onnxq_options options = make_options(row->choices);
    const onnxq_plan *plan =
        test_plan(test_model(test_printf("opset 17; in x float32; %s", row->text)), &options);
    size_t n_found = 0;
    for (size_t i = 0; i < plan->n_constants; i++) {
        const struct oq_quantized *quantized = plan->constants[i].quantized;
        for (; quantized != NULL; quantized = quantized->next) {
            const struct oq_recipe recipe = oq_quantized_recipe(quantized);
            assert_int_equal(quantized->transposed, row->transposed);
            assert_int_equal(quantized->is_wide, (row->choices & WIDE) != 0);
            assert_int_equal(recipe.nbytes,
                             quantized->ranges->source->nelem * (quantized->is_wide ? 2 : 1));
            check_recipe(&recipe, quantize_all(quantized));
            n_found++;
        }
    }
    assert_compare(n_found, >, 0);
}

static void test_bytes(void **state)
{
    (void)state;
    static const uint8_t bytes[] = "what is in memory already";
    const struct oq_recipe recipe = oq_recipe_bytes(bytes, sizeof(bytes));
    check_recipe(&recipe, bytes);
}

static void test_copy(void **state)
{
    (void)state;
    struct builder *builder = test_builder("init a int64[1000]; init b float32[1000] external");
    const onnxq_model *model = test_open(builder);
    const struct oq_recipe raw = oq_recipe_copy(&model->tensors[0]);
    const struct oq_recipe external = oq_recipe_copy(&model->tensors[1]);
    check_recipe(&raw, builder->graph->initializer[0]->raw_data.data);
    check_recipe(&external, builder->side);
}

/* The file changes under our feet: an error, and the weight is named. */
static void test_shrinking_file(void **state)
{
    (void)state;
    onnxq_error error;
    onnxq_options options = test_options();
    const onnxq_plan *plan = test_plan(
        test_model("opset 17; in x float32; init w float32[256,256]; y = MatMul(x, w)"), &options);
    const struct oq_recipe recipe = oq_quantized_recipe(plan->constants[0].quantized);
    test_write_file(test_path("model.onnx"), "", 0);
    oq_error_init(&error);
    assert_false(recipe.produce(recipe.source, 0, 100, test_alloc(100),
                                test_alloc(OQ_RECIPE_SCRATCH_NBYTES), &error));
    check_text(test_error_text(&error),
               "model.onnx: initializer \"w\": ends early: it changed while it was read");
}

int main(void)
{
    TEST_ROWS(test_quantize, rows);
    TEST(test_bytes);
    TEST(test_copy);
    TEST(test_shrinking_file);
    return suite_run();
}
