/* What is only folded: scales of inputs too, and sums that rounding keeps. */
#include <math.h>
#include <string.h>

#include "quantize/plan/plan.h"
#include "quantize/write/rewrite.h"
#include "support/adjust.h"
#include "support/models.h"
#include "support/recipes.h"
#include "support/reference.h"

/* Of every third input, weights are this much smaller. */
#define WEAK 0.0625f

#define RECURRENT "in h float32[1,8]; hn = Tanh(h); out y float32; out hn float32[1,8]; "

enum { NO_FACTOR = 1, NO_KERNELS = 2, NO_ROWS = 4, NOTHING = 8, GROUPED = 16, WIDE = 32 };

static const struct row {
    const char *name, *text;
    adjust_fn adjust;
    int input_axis, flags;
} rows[] = {
    {"Conv", "init w float32[32,16,3,3]; y = Conv(x, w)", NULL, 1, 0},
    {"Conv in 1-D", "init w float32[33,17,5]; y = Conv(x, w)", NULL, 1, 0},
    {"Conv of a point", "init w float32[70,33,1,1]; y = Conv(x, w)", NULL, 1, 0},
    {"Conv of uint8", "init w float32[32,16,3,3]; y = Conv(x, w)", adjust_uint8, 1, 0},
    {"Conv, float16", "init w float16[32,16,3,3]; y = Conv(x, w)", NULL, -1, NO_FACTOR},
    {"depthwise", "init w float32[128,1,3,3]; y = Conv(x, w) group=128", NULL, -1, NO_FACTOR},
    {"few outputs", "init w float32[3,512,3,1]; y = Conv(x, w)", NULL, 1, NO_FACTOR},
    {"inputs alike", "init w float32[32,16,3,3]; y = Conv(x, w)", NULL, -1, NO_FACTOR},
    {"a few rows at once", "init w float32[64,4000,4]; y = Conv(x, w)", NULL, 1, 0},
    {"long rows", "init w float32[16,17000,4]; y = Conv(x, w)", NULL, -1, NOTHING},
    {"ConvTranspose", "init w float32[16,32,3,3]; y = ConvTranspose(x, w)", NULL, 0, NO_ROWS},
    {"ConvTranspose with groups", "init w float32[32,4,3,3]; y = ConvTranspose(x, w) group=4", NULL,
     -1, NO_FACTOR | NO_ROWS | GROUPED},
    {"MatMul", "init w float32[100,200]; y = MatMul(x, w)", NULL, 0, NO_KERNELS | NO_ROWS},
    {"Gemm", "init w float32[100,200]; y = Gemm(x, w)", NULL, 0, NO_KERNELS | NO_ROWS},
    {"Gemm, turned", "init w float32[200,100]; y = Gemm(x, w) transB=1", NULL, 1, NO_KERNELS},
    {"MatMul, inputs alike", "init w float32[100,200]; y = MatMul(x, w)", NULL, -1, NOTHING},
    {"recurrent", "init w float32[32,16,3,3]; " RECURRENT "y = Conv(x, w)", adjust_fold_8_bits, 1,
     NO_KERNELS | NO_ROWS},
    {"recurrent, inputs alike", "init w float32[32,16,3,3]; " RECURRENT "y = Conv(x, w)",
     adjust_fold_8_bits, -1, NOTHING},
    {"beside an LSTM",
     "init w float32[32,16,3,3]; s = LSTM(x, r, r) hidden_size=8; init r float32[1,32,8]; "
     "y = Conv(x, w)",
     NULL, 1, 0},
    {"zero points", "init w float32[32,16,3,3]; y = Conv(x, w)", adjust_asymmetric, -1, NOTHING},
    {"16 bits", "init w float32[32,16,3,3]; y = Conv(x, w)", adjust_fold_16_bits, 1, WIDE},
    {"16 bits of a matrix", "init w float32[100,200]; y = MatMul(x, w)", adjust_fold_16_bits, 0,
     WIDE},
    {"16 bits, turned", "init w float32[32,16,3,3]; y = ConvTranspose(x, w)", adjust_fold_16_bits,
     0, WIDE},
    {"16 bits, inputs alike", "init w float32[32,16,3,3]; y = Conv(x, w)", adjust_fold_16_bits, -1,
     NOTHING},
    {"one scale", "init w float32[32,16,3,3]; y = Conv(x, w)", adjust_per_tensor, -1, NOTHING},
    {"DequantizeLinear", "init w float32[32,16,3,3]; y = Conv(x, w)", adjust_qdq, -1, NOTHING},
    {"another operator", "init w float32[32,100]; y = Einsum(x, w)", NULL, -1, NOTHING},
    {"two views", "init w float32[32,32,3,3]; y = Conv(x, w); z = ConvTranspose(x, w)", NULL, -1,
     NOTHING},
    {"a product as well", "init w float32[256,256]; y = MatMul(x, w); z = Mul(w, x)", NULL, -1,
     NOTHING},
};

static onnxq_plan *make_plan(const struct row *row)
{
    onnxq_options options = test_options();
    if (row->adjust != NULL)
        row->adjust(&options);
    struct builder *builder =
        test_builder(test_printf("opset 17; in x float32; %s; out y float32", row->text));
    Oq__Pb__TensorProto *proto = builder->graph->initializer[0];
    float *w = (float *)(void *)proto->raw_data.data;
    for (uint64_t i = 0; row->input_axis >= 0 && i < proto->raw_data.len / sizeof(*w); i++)
        if (reference_scale_of(proto->dims, proto->n_dims, row->input_axis, 0, i) % 3 == 0)
            w[i] *= WEAK;
    return test_plan(test_open(builder), &options);
}

static uint64_t channel_of(const struct oq_quantized *q, uint64_t i)
{
    const struct oq_source *source = q->ranges->source;
    return reference_scale_of(source->dims, source->n_dims, q->ranges->axis, q->ranges->batch_axes,
                              i);
}

static uint64_t input_of(const struct row *row, const struct oq_quantized *q, uint64_t i)
{
    const struct oq_source *source = q->ranges->source;
    return reference_scale_of(source->dims, source->n_dims, row->input_axis, 0, i);
}

/* No step is larger than with one factor, and no integer needs more than there are. */
static void check_factors(const struct row *row, const struct oq_quantized *q, const float *w)
{
    const float *factors = q->refinement->input_scale;
    const uint64_t n = oq_refinement_n_inputs(q->refinement);
    const float qmax = q->is_wide ? INT16_MAX : INT8_MAX;
    float *needed = test_alloc((size_t)n * sizeof(*needed));
    for (uint64_t i = 0; i < q->ranges->source->nelem; i++) {
        float *place = &needed[input_of(row, q, i)];
        *place = fmaxf(*place, fabsf(w[i]) / (qmax * q->scale[channel_of(q, i)]));
    }
    for (uint64_t k = 0; k < n; k++) {
        assert_true(factors[k] <= 1 && factors[k] >= needed[k] * (1 - 1e-6f));
        assert_true(factors[k] <= needed[k] * (1 + 1e-6f));
        assert_true(k % 3 != 0 || factors[k] <= 2 * WEAK);
    }
}

/* Each to the nearest. */
static uint8_t *expected_wide(const struct row *row, const struct oq_quantized *q, const float *w)
{
    const uint64_t nelem = q->ranges->source->nelem;
    int16_t *result = test_alloc((size_t)nelem * sizeof(*result));
    for (uint64_t i = 0; i < nelem; i++) {
        float scale = q->scale[channel_of(q, i)] * q->refinement->input_scale[input_of(row, q, i)];
        result[i] = (int16_t)fmaxf(fminf(rintf(w[i] / scale), INT16_MAX), -INT16_MAX);
    }
    return (uint8_t *)result;
}

static uint8_t *expected_integers(const struct row *row, const struct oq_quantized *q,
                                  const float *w)
{
    const struct oq_source *source = q->ranges->source;
    const struct oq_refinement *refinement = q->refinement;
    const size_t row_nelem = (size_t)(refinement->kernels * refinement->kernel);
    uint8_t *result = test_alloc((size_t)source->nelem);
    float *x = test_alloc(row_nelem * sizeof(*x));
    int *integers = test_alloc(row_nelem * sizeof(*integers));
    for (uint64_t first = 0; first < source->nelem; first += row_nelem) {
        for (size_t i = 0; i < row_nelem; i++) {
            float scale = q->scale[channel_of(q, first + i)];
            if (refinement->input_scale != NULL)
                scale *= refinement->input_scale[input_of(row, q, first + i)];
            x[i] = w[first + i] / scale;
        }
        reference_keep_sums(x, (size_t)refinement->kernels, (size_t)refinement->kernel,
                            (row->flags & NO_KERNELS) == 0, (row->flags & NO_ROWS) == 0, integers);
        for (size_t i = 0; i < row_nelem; i++)
            result[first + i] = (uint8_t)(integers[i] + (q->is_unsigned ? 128 : 0));
    }
    return result;
}

static void test_refinement(void **state)
{
    const struct row *row = *state;
    const onnxq_plan *plan = make_plan(row);
    const struct oq_quantized *q = plan->constants[0].quantized;
    if ((row->flags & NOTHING) != 0) {
        assert_null(q->refinement);
        return;
    }
    assert_non_null(q->refinement);
    const bool has_factor = (row->flags & NO_FACTOR) == 0;
    const float *w = test_read_floats(q->ranges->source);
    assert_int_equal(q->refinement->input_scale != NULL, has_factor);
    assert_int_equal(q->refinement->is_grouped, (row->flags & GROUPED) != 0);
    assert_int_equal(onnxq_plan_get(plan, 0)->n_input_scales,
                     has_factor ? oq_refinement_n_inputs(q->refinement) : 0);
    if (has_factor)
        check_factors(row, q, w);
    const struct oq_recipe recipe = oq_quantized_recipe(q);
    assert_int_equal(q->is_wide, (row->flags & WIDE) != 0);
    check_recipe(&recipe, q->is_wide ? expected_wide(row, q, w) : expected_integers(row, q, w));
}

/* The float that comes out is integer times the product of both scales. */
static void test_output(void **state)
{
    (void)state;
    const onnxq_plan *plan = make_plan(&rows[0]);
    const struct oq_quantized *q = plan->constants[0].quantized;
    const char *path = test_write(plan);
    const Oq__Pb__ModelProto *model = test_read_model(path);
    size_t nbytes;
    const float *factor = test_elements(path, test_tensor(model->graph, "w_input_scale"), &nbytes);
    assert_int_equal(nbytes, 16 * sizeof(*factor));
    assert_memory_equal(factor, q->refinement->input_scale, nbytes);
    const Oq__Pb__NodeProto *scale = test_node(model->graph, "w_full_scale");
    const Oq__Pb__NodeProto *weight = test_node(model->graph, "w");
    check_text(test_printf("%s(%s, %s)", scale->op_type, scale->input[0], scale->input[1]),
               "Mul(w_scale, w_input_scale)");
    check_text(test_printf("%s(%s, %s)", weight->op_type, weight->input[0], weight->input[1]),
               "Mul(w_quantized_cast, w_full_scale)");
}

int main(void)
{
    TEST_ROWS(test_refinement, rows);
    TEST(test_output);
    return suite_run();
}
