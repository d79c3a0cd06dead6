/* From the range of a weight to its scale and zero point. */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "quantize/plan/plan.h"
#include "support/models.h"
#include "support/reference.h"

enum type { INT8, UINT8 };
enum form { SYMMETRIC, ASYMMETRIC };
enum range { FULL, REDUCED };

static const struct row {
    const char *name;
    const char *values; /* of a [4,4], again and again */
    enum type type;
    enum form form;
    enum range range;
    float scale;
    int zero_point, qmin, qmax;
} rows[] = {
    {"int8", "1 -2 0.5", INT8, SYMMETRIC, FULL, 2.0f / 127, 0, -127, 127},
    {"uint8", "1 -2 0.5", UINT8, SYMMETRIC, FULL, 2.0f / 127, 128, 1, 255},
    {"largest is positive", "3 -2", INT8, SYMMETRIC, FULL, 3.0f / 127, 0, -127, 127},
    {"reduced int8", "1 -2", INT8, SYMMETRIC, REDUCED, 2.0f / 64, 0, -64, 64},
    {"reduced uint8", "1 -2", UINT8, SYMMETRIC, REDUCED, 2.0f / 64, 128, 64, 192},
    {"zeros", "0", INT8, SYMMETRIC, FULL, FLT_EPSILON, 0, -127, 127},
    {"negative zeros", "-0.0", UINT8, SYMMETRIC, FULL, FLT_EPSILON, 128, 1, 255},
    {"one value", "5", INT8, SYMMETRIC, FULL, 5.0f / 127, 0, -127, 127},
    {"smallest scale", "1.5e-36", INT8, SYMMETRIC, FULL, 1.5e-36f / 127, 0, -127, 127},
    {"largest", "-3.4028234663852886e38 0", INT8, SYMMETRIC, FULL, 0x1.020406p+121f, 0, -127, 127},
    {"largest, reduced", "3.4028234663852886e38 0", INT8, SYMMETRIC, REDUCED, FLT_MAX / 64, 0, -64,
     64},

    {"asymmetric int8", "1 -2", INT8, ASYMMETRIC, FULL, 3.0f / 255, 42, -128, 127},
    {"asymmetric uint8", "1 -2", UINT8, ASYMMETRIC, FULL, 3.0f / 255, 170, 0, 255},
    {"reduced asymmetric int8", "1 -2", INT8, ASYMMETRIC, REDUCED, 3.0f / 127, 21, -64, 63},
    {"reduced asymmetric uint8", "1 -2", UINT8, ASYMMETRIC, REDUCED, 3.0f / 127, 85, 0, 127},
    {"all positive", "2 3", INT8, ASYMMETRIC, FULL, 3.0f / 255, -128, -128, 127},
    {"all negative", "-2 -3", INT8, ASYMMETRIC, FULL, 3.0f / 255, 127, -128, 127},
    {"asymmetric zeros", "0", INT8, ASYMMETRIC, FULL, FLT_EPSILON, -128, -128, 127},
    {"both ends of float32", "3.4028234663852886e38 -3.4028234663852886e38", INT8, ASYMMETRIC, FULL,
     FLT_MAX / 128, 0, -128, 127}, /* 255 steps of the whole would end beyond */
};

static onnxq_options make_options(enum type type, enum form form, enum range range)
{
    onnxq_options options = test_options();
    options.weight_type = type == UINT8 ? ONNXQ_WEIGHT_UINT8 : ONNXQ_WEIGHT_INT8;
    options.symmetric = form == SYMMETRIC;
    options.reduce_range = range == REDUCED ? ONNXQ_REDUCE_BITS : ONNXQ_REDUCE_NONE;
    options.force_integer = true; /* what is folded is not reduced */
    return options;
}

static void test_per_tensor(void **state)
{
    const struct row *row = *state;
    onnxq_options options = make_options(row->type, row->form, row->range);
    options.per_channel = false;
    const onnxq_model *model = test_model(test_printf(
        "opset 17; in x float32[N,4]; init w float32[4,4] = %s; y = MatMul(x, w)", row->values));
    const struct oq_quantized *q = test_plan(model, &options)->constants[0].quantized;
    assert_non_null(q);
    assert_null(q->next);
    assert_int_equal(q->ranges->n_scales, 1);
    if (q->ranges->scale[0] != row->scale)
        fail_msg("scale %a, expected %a", (double)q->ranges->scale[0], (double)row->scale);
    assert_int_equal((int)q->zero_point[0], row->zero_point);
    assert_int_equal((int)q->qmin, row->qmin);
    assert_int_equal((int)q->qmax, row->qmax);
}

/* --- for any weight --- */

static const struct form_row {
    const char *name;
    enum type type;
    enum form form;
    enum range range;
} forms[] = {
    {"int8", INT8, SYMMETRIC, FULL},
    {"uint8", UINT8, SYMMETRIC, FULL},
    {"reduced int8", INT8, SYMMETRIC, REDUCED},
    {"reduced uint8", UINT8, SYMMETRIC, REDUCED},
    {"asymmetric int8", INT8, ASYMMETRIC, FULL},
    {"asymmetric uint8", UINT8, ASYMMETRIC, FULL},
    {"reduced asymmetric int8", INT8, ASYMMETRIC, REDUCED},
    {"reduced asymmetric uint8", UINT8, ASYMMETRIC, REDUCED},
};

static float dequantize(const struct oq_quantized *q, size_t channel, float x)
{
    float scale = q->ranges->scale[channel];
    int integer =
        reference_quantize(x, scale, (int)q->zero_point[channel], (int)q->qmin, (int)q->qmax);
    assert_true(q->is_unsigned ? integer >= 0 && integer <= 255
                               : integer >= -128 && integer <= 127);
    return (float)(integer - (int)q->zero_point[channel]) * scale;
}

/* Zero stays exact, and nothing moves by more than half a step (the rounding of one included). */
static void test_error_bound(void **state)
{
    const struct form_row *row = *state;
    onnxq_options options = make_options(row->type, row->form, row->range);
    struct builder *builder =
        test_builder("opset 17; in x float32[N,40]; init w float32[40,30]; y = MatMul(x, w)");
    float *w = (float *)(void *)builder->graph->initializer[0]->raw_data.data;
    for (size_t i = 0; i < 40 * 30; i++) /* columns from tiny to large, some all of one sign */
        w[i] = (i % 3 == 0 ? fabsf(w[i]) : w[i]) * powf(10, (float)(i % 30) - 15);
    const struct oq_quantized *q = test_plan(test_open(builder), &options)->constants[0].quantized;
    assert_int_equal(q->ranges->n_scales, 30);
    for (size_t i = 0; i < 40 * 30; i++) {
        double moved = fabs((double)dequantize(q, i % 30, w[i]) - (double)w[i]);
        if (moved > 0.5001 * (double)q->ranges->scale[i % 30])
            fail_msg("column %zu: %g moved by %g, the step is %g", i % 30, (double)w[i], moved,
                     (double)q->ranges->scale[i % 30]);
        assert_compare(dequantize(q, i % 30, 0), ==, 0);
    }
}

/* Scales of each channel, of several layouts, against the largest value of that channel. */
static const struct channels_row {
    const char *name, *text;
    int axis;
    size_t batch_axes;
} channels[] = {
    {"MatMul", "init w float32[70,33]; y = MatMul(x, w)", 1, 0},
    {"MatMul on the left", "init w float32[70,33]; y = MatMul(w, x)", 0, 0},
    {"batches", "in z float32[M,N]; init w float32[5,20,33]; y = MatMul(z, w)", 2, 1},
    {"Gemm", "init w float32[70,33]; y = Gemm(x, w)", 1, 0},
    {"Gemm transB", "init w float32[70,33]; y = Gemm(x, w) transB=1", 0, 0},
    {"Gemm on the left", "init w float32[70,33]; y = Gemm(w, x)", 0, 0},
    {"Gemm on the left, transA", "init w float32[70,33]; y = Gemm(w, x) transA=1", 1, 0},
    {"Conv", "init w float32[20,7,3,3]; y = Conv(x, w)", 0, 0},
    {"depthwise Conv", "init w float32[200,1,5]; y = Conv(x, w)", 0, 0},
    {"more than one read", "init w float32[600,1000]; y = MatMul(x, w)", 1, 0},
    {"long channels", "init w float32[3,300000]; y = Gemm(x, w) transB=1", 0, 0},
    {"wide rows", "init w float32[5,300000]; y = Gemm(x, w)", 1, 0},
};

static void test_channels(void **state)
{
    const struct channels_row *row = *state;
    onnxq_options options = test_options();
    struct builder *builder = test_builder(test_printf("opset 17; in x float32; %s", row->text));
    const Oq__Pb__TensorProto *proto = builder->graph->initializer[0];
    const float *w = (const float *)(const void *)proto->raw_data.data;
    const struct oq_ranges *ranges =
        test_plan(test_open(builder), &options)->constants[0].quantized->ranges;
    float *largest = test_alloc(ranges->n_scales * sizeof(*largest));
    for (uint64_t i = 0; i < proto->raw_data.len / sizeof(*w); i++) {
        uint64_t k = reference_scale_of(proto->dims, proto->n_dims, row->axis, row->batch_axes, i);
        assert_compare(k, <, ranges->n_scales);
        largest[k] = fmaxf(largest[k], fabsf(w[i]));
    }
    for (uint64_t k = 0; k < ranges->n_scales; k++)
        assert_true(ranges->scale[k] == largest[k] / 127 || largest[k] == 0);
}

/* --- neighbours --- */

static const struct pairs_row {
    const char *name, *text;
    int axis; /* of the channels; the other one of the last two is summed over */
    size_t batch_axes;
    bool fits; /* else 7 bits */
} pairs_rows[] = {
    {"MatMul", "init w float32[70,33]; y = MatMul(x, w)", 1, 0, true},
    {"an odd number of rows", "init w float32[71,33]; y = MatMul(x, w)", 1, 0, true},
    {"one column", "init w float32[71,1]; y = MatMul(x, w)", 1, 0, true},
    {"batches", "in z float32[M,N]; init w float32[5,20,33]; y = MatMul(z, w)", 2, 1, true},
    {"odd batches", "in z float32[M,N]; init w float32[5,21,33]; y = MatMul(z, w)", 2, 1, true},
    {"Gemm transB", "init w float32[70,33]; y = Gemm(x, w) transB=1", 0, 0, true},
    {"more than one read", "init w float32[601,1000]; y = MatMul(x, w)", 1, 0, true},
    {"long channels", "init w float32[40,30001]; y = Gemm(x, w) transB=1", 0, 0, true},
    {"rows that just fit", "init w float32[5,131072]; y = Gemm(x, w)", 1, 0, true},
    {"rows that do not fit", "init w float32[5,131073]; y = Gemm(x, w)", 1, 0, false},
};

/* Half of the columns of one sign, where neighbours matter most. */
static struct builder *make_pairs_model(const struct pairs_row *row)
{
    struct builder *builder = test_builder(test_printf("opset 17; in x float32; %s", row->text));
    Oq__Pb__TensorProto *proto = builder->graph->initializer[0];
    float *w = (float *)(void *)proto->raw_data.data;
    for (uint64_t i = 0; i < proto->raw_data.len / sizeof(*w); i++) {
        uint64_t k = reference_scale_of(proto->dims, proto->n_dims, row->axis, row->batch_axes, i);
        w[i] = k % 2 == 0 ? fabsf(w[i]) : w[i];
    }
    return builder;
}

/* Element i of channel-major order: [.., channels, k] whatever the order in the tensor. */
static float element(const Oq__Pb__TensorProto *proto, const struct pairs_row *row,
                     uint64_t channel, uint64_t k)
{
    const float *w = (const float *)(const void *)proto->raw_data.data;
    uint64_t n_k = (uint64_t)proto->dims[proto->n_dims - 2];
    uint64_t columns = (uint64_t)proto->dims[proto->n_dims - 1];
    bool last = (size_t)row->axis == proto->n_dims - 1;
    if (!last)
        return w[channel * columns + k];
    return w[channel / columns * n_k * columns + k * columns + channel % columns];
}

/* No two neighbours exceed 128 in sum, and no scale is coarser than that takes. */
static void test_pairs(void **state)
{
    const struct pairs_row *row = *state;
    onnxq_options options = test_options();
    options.reduce_range = ONNXQ_REDUCE_PAIRS;
    options.force_integer = true;
    struct builder *builder = make_pairs_model(row);
    const Oq__Pb__TensorProto *proto = builder->graph->initializer[0];
    const struct oq_quantized *q = test_plan(test_open(builder), &options)->constants[0].quantized;
    uint64_t n_k = proto->raw_data.len / sizeof(float) / q->ranges->n_scales;
    for (uint64_t c = 0; c < q->ranges->n_scales; c++) {
        float scale = q->ranges->scale[c], needed = 0;
        for (uint64_t k = 0; k < n_k; k++) {
            float a = element(proto, row, c, k);
            float b = k % 2 == 0 && k + 1 < n_k ? element(proto, row, c, k + 1) : 0;
            int sum = reference_quantize(a, scale, 0, (int)q->qmin, (int)q->qmax) +
                      reference_quantize(b, scale, 0, (int)q->qmin, (int)q->qmax);
            if (a * b > 0 && abs(sum) > 128)
                fail_msg("channel %llu, rows from %llu: %d", (unsigned long long)c,
                         (unsigned long long)k, sum);
            needed = fmaxf(needed, fabsf(a) / (row->fits ? 127 : 64));
            if (row->fits && a * b > 0)
                needed = fmaxf(needed, fabsf(a + b) / 128);
        }
        assert_true(scale >= needed && (scale <= needed * (1 + 2e-6f) || needed == 0));
    }
}

int main(void)
{
    TEST_ROWS(test_pairs, pairs_rows);
    TEST_ROWS(test_per_tensor, rows);
    TEST_ROWS(test_error_bound, forms);
    TEST_ROWS(test_channels, channels);
    return suite_run();
}
