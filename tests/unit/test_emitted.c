/* Numbers, names and header of the model that comes out. */
#include "quantize/plan/plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/adjust.h"
#include "support/models.h"
#include "support/reference.h"
#include "support/sound.h"

struct result {
    struct builder *builder; /* the model that went in */
    const char *path;
    Oq__Pb__ModelProto *model; /* the one that came out */
};

static struct result quantize(struct builder *builder, adjust_fn adjust)
{
    onnxq_options options = test_options();
    if (adjust != NULL)
        adjust(&options);
    const char *path = test_write(test_plan(test_open(builder), &options));
    return (struct result){builder, path, test_read_model(path)};
}

static struct result quantize_text(const char *text, adjust_fn adjust)
{
    return quantize(test_builder(text), adjust);
}

static const void *elements(const struct result *result, const char *name, size_t nbytes)
{
    size_t found;
    const void *bytes =
        test_elements(result->path, test_tensor(result->model->graph, name), &found);
    assert_int_equal(found, nbytes);
    return bytes;
}

/* Elements of a float32 initializer of the model that went in, which has it in raw_data. */
static const float *input_floats(const struct result *result, const char *name)
{
    const Oq__Pb__TensorProto *tensor = test_tensor(result->builder->graph, name);
    assert_int_equal(tensor->data_type, 1);
    return (const float *)(const void *)tensor->raw_data.data;
}

/* --- integers and scales, against the reference --- */

static const struct weight_row {
    const char *name, *text;
    adjust_fn adjust;
    int axis;
    size_t batch_axes;
    bool transposed;
    float factor; /* of the scales that are written */
    size_t n_scales;
} weights[] = {
    {"MatMul", "init w float32[128,512]; y = MatMul(x, w)", NULL, 1, 0, false, 1, 512},
    {"MatMul, per tensor", "init w float32[128,512]; y = MatMul(x, w)", adjust_per_tensor, -1, 0,
     false, 1, 1},
    {"batches", "init w float32[2,128,512]; y = MatMul(x, w)", NULL, 2, 1, false, 1, 1024},
    {"Gemm with alpha", "init w float32[128,512]; y = Gemm(x, w) alpha=-0.75", NULL, 1, 0, false,
     -0.75f, 512},
    {"Gemm with alpha 0", "init w float32[128,512]; y = Gemm(x, w) alpha=0.0", NULL, 1, 0, false, 0,
     512},
    {"Gemm transB", "init w float32[512,128]; y = Gemm(x, w) transB=1", NULL, 0, 0, true, 1, 512},
    {"Gemm transB, as wide as is turned in the file",
     "init w float32[16384,65]; y = Gemm(x, w) transB=1", adjust_force_integer, 0, 0, true, 1,
     16384},
    {"Gemm transB, as deep as is turned in the file",
     "init w float32[16385,64]; y = Gemm(x, w) transB=1", adjust_force_integer, 0, 0, true, 1,
     16385},
    {"Gemm transB, turned by a node", "init w float32[16385,65]; y = Gemm(x, w) transB=1",
     adjust_force_integer, 0, 0, false, 1, 16385},
    {"behind a Transpose", "init w float32[512,128]; t = Transpose(w); y = MatMul(x, t)", NULL, 0,
     0, true, 1, 512},
    {"MatMul on the left", "in z float32[128,4]; init w float32[1024,128]; y = MatMul(w, z)", NULL,
     0, 0, true, 1, 1024},
    {"batches on the left", "in z float32[4,128,8]; init w float32[4,64,128]; y = MatMul(w, z)",
     NULL, 1, 1, false, 1, 256},
    {"MatMul on the left, per tensor",
     "in z float32[128,4]; init w float32[1024,128]; y = MatMul(w, z)", adjust_per_tensor, -1, 0,
     true, 1, 1},
    {"MatMul on the left behind a Transpose",
     "in z float32[128,4]; init w float32[128,1024]; t = Transpose(w); y = MatMul(t, z)", NULL, 1,
     0, false, 1, 1024},
    {"Gemm on the left with alpha", "init w float32[1024,128]; y = Gemm(w, x) alpha=-0.75", NULL, 0,
     0, true, -0.75f, 1024},
    {"Gemm on the left, transA", "init w float32[128,1024]; y = Gemm(w, x) transA=1", NULL, 1, 0,
     false, 1, 1024},
    {"Attention", "init w float32[128,768]; y = com.microsoft::Attention(x, w)", NULL, 1, 0, false,
     1, 768},
    {"Attention, per tensor", "init w float32[128,768]; y = com.microsoft::Attention(x, w)",
     adjust_per_tensor, -1, 0, false, 1, 768},
    {"Conv", "init w float32[8,4,3,3]; y = Conv(x, w)", NULL, 0, 0, false, 1, 8},
    {"Conv as integers, per tensor", "init w float32[8,4,3,3]; y = Conv(x, w)",
     adjust_conv_integer_per_tensor, -1, 0, false, 1, 8},
    {"ConvTranspose", "init w float32[8,4,3,3]; y = ConvTranspose(x, w)", NULL, 1, 0, false, 1, 4},
    {"ConvTranspose with groups", "init w float32[8,4,3,3]; y = ConvTranspose(x, w) group=2", NULL,
     1, 1, false, 1, 32},
    {"Gather", "init w float32[16384,64]; y = Gather(w, i)", NULL, 0, 0, false, 1, 16384},
    {"Gather of columns", "init w float32[64,16384]; y = Gather(w, i) axis=-1", NULL, 1, 0, false,
     1, 16384},
    {"LSTM",
     "init w float32[2,512,64]; init r float32[2,512,128]; y = LSTM(x, w, r) hidden_size=128", NULL,
     1, 1, true, 1, 1024},
    {"any operator", "init w float32[4,8,32]; y = Add(x, w)", adjust_fold_8_bits, 1, 1, false, 1,
     32},
};

static float *find_scales(const Oq__Pb__TensorProto *w, const float *x,
                          const struct weight_row *row, uint64_t nelem)
{
    float *largest = test_alloc(nelem * sizeof(*largest));
    for (uint64_t i = 0; i < nelem; i++) {
        uint64_t k = reference_scale_of(w->dims, w->n_dims, row->axis, row->batch_axes, i);
        largest[k] = fmaxf(largest[k], fabsf(x[i]));
    }
    for (uint64_t k = 0; k < nelem; k++)
        largest[k] = reference_symmetric_scale(&largest[k], 1, 127);
    return largest;
}

/* Where element i of the weight is in the tensor of integers. */
static uint64_t place_of(const Oq__Pb__TensorProto *w, bool transposed, uint64_t i)
{
    if (!transposed)
        return i;
    uint64_t n = (uint64_t)w->dims[w->n_dims - 2], k = (uint64_t)w->dims[w->n_dims - 1];
    uint64_t inside = i % (n * k);
    return i - inside + inside % k * n + inside / k;
}

static void test_weight(void **state)
{
    const struct weight_row *row = *state;
    struct result result = quantize_text(
        test_printf("opset 17; in x float32; in i int64; %s; out y float32", row->text),
        row->adjust);
    const Oq__Pb__TensorProto *w = test_tensor(result.builder->graph, "w");
    const float *x = input_floats(&result, "w");
    uint64_t nelem = w->raw_data.len / sizeof(*x);
    const float *scales = find_scales(w, x, row, nelem);

    const float *written = elements(&result, "w_scale", row->n_scales * sizeof(*written));
    for (size_t k = 0; k < row->n_scales; k++)
        assert_compare(written[k], ==, scales[row->axis < 0 ? 0 : k] * row->factor);

    bool is_unsigned = test_tensor(result.model->graph, "w_quantized")->data_type == 2;
    const uint8_t *q = elements(&result, "w_quantized", nelem);
    bool keeps_sums = row->adjust == NULL && strstr(row->text, "Conv") != NULL;
    for (uint64_t i = 0; i < nelem; i++) {
        uint64_t k = reference_scale_of(w->dims, w->n_dims, row->axis, row->batch_axes, i);
        int expected = reference_quantize(x[i], scales[k], 0, -127, 127) + (is_unsigned ? 128 : 0);
        int found = q[place_of(w, row->transposed, i)];
        int off = is_unsigned ? found - expected : (int8_t)found - expected;
        assert_true(abs(off) <= (keeps_sums ? 1 : 0)); /* see test_refine.c */
    }
    check_sound(result.model);
}

/* A kernel of one point is a matrix, whatever dimensions of 1 it has behind it. */
static void test_pointwise(void **state)
{
    (void)state;
    struct result flat = quantize_text(
        "opset 17; in z float32[128,4]; init w float32[64,128]; y = MatMul(w, z); out y float32",
        adjust_force_integer);
    struct result conv = quantize_text(
        "opset 17; in x float32; init w float32[64,128,1,1]; y = Conv(x, w); out y float32",
        adjust_conv_matmul);
    assert_memory_equal(elements(&conv, "w_quantized", 8192), elements(&flat, "w_quantized", 8192),
                        8192);
    assert_memory_equal(elements(&conv, "w_scale", 256), elements(&flat, "w_scale", 256), 256);
    check_sound(conv.model);
}

/* --- biases of Gemm --- */

static const struct bias_row {
    const char *name, *text;
    float beta;
    size_t stride; /* 0: one number for all columns */
} biases[] = {
    {"beta", "init b float32[512]; y = Gemm(x, w, b) beta=0.25", 0.25f, 1},
    {"negative beta", "init b float32[1,512]; y = Gemm(x, w, b) beta=-3.0", -3, 1},
    {"one row", "init b float32[1,512]; y = Gemm(x, w, b)", 1, 1},
    {"a scalar", "init b float32[]; y = Gemm(x, w, b) beta=0.5", 0.5f, 0},
    {"one element", "init b float32[1]; y = Gemm(x, w, b)", 1, 0},
    {"one element of two dimensions", "init b float32[1,1]; y = Gemm(x, w, b)", 1, 0},
    {"in a Constant", "init v float32[1]; b = Identity(v); y = Gemm(x, w, b)", 1, SIZE_MAX},
};

static void test_bias(void **state)
{
    const struct bias_row *row = *state;
    struct result result = quantize_text(
        test_printf("opset 17; in x float32; init w float32[128,512]; %s; out y float32",
                    row->text),
        NULL);
    check_sound(result.model);
    if (row->stride == SIZE_MAX)
        return; /* any form will do, as long as it is sound */
    const float *b = input_floats(&result, "b");
    const float *written = elements(&result, "b_f32", 512 * sizeof(*written));
    for (size_t i = 0; i < 512; i++)
        assert_compare(written[i], ==, b[i * row->stride] * row->beta);
}

/* More than one call reads. */
static void test_long_bias(void **state)
{
    (void)state;
    const size_t n = OQ_READ_MAX_NELEM + 10;
    struct result result =
        quantize_text(test_printf("opset 17; in x float32; init w float32[8,%zu]; init b "
                                  "float32[%zu]; y = Gemm(x, w, b) beta=0.25; out y float32",
                                  n, n),
                      adjust_force_integer);
    const float *b = input_floats(&result, "b");
    const float *written = elements(&result, "b_f32", n * sizeof(*written));
    for (size_t i = 0; i < n; i++)
        assert_compare(written[i], ==, b[i] * 0.25f);
}

/* A bias that is no row: the graph multiplies it. */
static void test_beta(void **state)
{
    (void)state;
    struct result result =
        quantize_text("opset 17; in x float32; in c float32; init w float32[128,512]\n"
                      "y = Gemm(x, w, c) beta=0.625; out y float32",
                      NULL);
    assert_compare(*(const float *)elements(&result, "beta_f32", sizeof(float)), ==, 0.625f);
}

static void test_zero_points(void **state)
{
    (void)state;
    struct result result =
        quantize_text("opset 17; in x float32; init w float32[128,512]; y = MatMul(x, w); out y "
                      "float32",
                      adjust_asymmetric);
    const float *w = input_floats(&result, "w");
    const float *scale = elements(&result, "w_scale", 512 * sizeof(*scale));
    const int8_t *zero_point = elements(&result, "w_zero_point", 512);
    const int8_t *q = elements(&result, "w_quantized", (size_t)128 * 512);
    for (size_t n = 0; n < 512; n++) {
        float lo = 0, hi = 0;
        for (size_t k = 0; k < 128; k++) {
            lo = fminf(lo, w[k * 512 + n]);
            hi = fmaxf(hi, w[k * 512 + n]);
        }
        assert_compare(scale[n], ==, (float)(((double)hi - (double)lo) / 255));
        assert_compare(zero_point[n], ==, (int)rintf(-128 - lo / scale[n]));
        for (size_t k = 0; k < 128; k++)
            assert_int_equal(q[k * 512 + n], reference_quantize(w[k * 512 + n], scale[n],
                                                                zero_point[n], -128, 127));
    }
}

static void test_conv_integer(void **state)
{
    (void)state;
    struct result result =
        quantize_text("opset 17; in x float32; init w float32[8,4,3,3]; init b float32[8]\n"
                      "y = Conv(x, w, b); out y float32",
                      adjust_conv_integer);
    const int64_t *shape = elements(&result, "bias_shape", 3 * sizeof(*shape));
    assert_true(shape[0] == 8 && shape[1] == 1 && shape[2] == 1);
    assert_int_equal(*(const uint8_t *)elements(&result, "w_zero_point", 1), 128);
    assert_memory_equal(elements(&result, "b", 32), input_floats(&result, "b"), 32);
}

/* --- names of nodes --- */

static const struct names_row {
    const char *name, *text, *expected;
} names[] = {
    {"of the node",
     "opset 17; in x float32; init w float32[128,512]; fc1: y = MatMul(x, w); out y float32",
     "x_DynamicQuantizeLinear fc1_MatMulInteger fc1_Cast fc1_Mul fc1_Mul_1"},
    {"of its output",
     "opset 17; in x float32; init w float32[128,512]; y = MatMul(x, w); out y float32",
     "x_DynamicQuantizeLinear y_MatMulInteger y_Cast y_Mul y_Mul_1"},
    {"that are taken",
     "opset 17; in x float32; init w float32[128,512]; y_Cast: z = Relu(x); y = MatMul(x, w)\n"
     "y_Mul: a = Relu(y); out a float32; out z float32",
     "y_Cast x_DynamicQuantizeLinear y_MatMulInteger y_Cast_1 y_Mul_1 y_Mul_2 y_Mul"},
    {"of two nodes that are called the same",
     "opset 17; in x float32; init w float32[128,512]; init v float32[128,512]\n"
     "n: y = MatMul(x, w); n: z = MatMul(x, v); out y float32; out z float32",
     "x_DynamicQuantizeLinear n_MatMulInteger n_Cast n_Mul n_Mul_1 n_MatMulInteger_1 n_Cast_1 "
     "n_Mul_2 n_Mul_3"},
    {"of a folded weight",
     "opset 17; in x float32; init w float32[8,4,3]; n: y = Conv(x, w); out y float32",
     "w_Cast w_Mul n"},
};

static void test_names(void **state)
{
    const struct names_row *row = *state;
    struct result result = quantize_text(row->text, NULL);
    const char *text = "";
    for (size_t i = 0; i < result.model->graph->n_node; i++)
        text = test_printf("%s%s%s", text, i > 0 ? " " : "", result.model->graph->node[i]->name);
    check_text(text, row->expected);
}

/* --- around the graph --- */

static const struct header_row {
    const char *name, *text;
    adjust_fn adjust;
    const char *expected;
} headers[] = {
    {"ai.onnx alone", "opset 17; in x float32; init w float32[128,512]; y = MatMul(x, w)", NULL,
     "ir 8; opset 17"},
    {"contrib operator", "opset 9; in x float32; init w float32[128,512]; y = MatMul(x, w)", NULL,
     "ir 8; opset 9; com.microsoft 1"},
    {"imported already",
     "opset 9; opset com.microsoft 1; in x float32; init w float32[128,512]; y = MatMul(x, w)",
     NULL, "ir 8; opset 9; com.microsoft 1"},
    {"folded with opset 9", "opset 9; in x float32; init w float32[8,4,3]; y = Conv(x, w)", NULL,
     "ir 8; opset 9"},
    {"old IR version", "ir 3; opset 9; in x float32; init w float32[8,4,3]; y = Conv(x, w)", NULL,
     "ir 4; opset 9"},
    {"new IR version", "ir 13; opset 26; in x float32; init w float32[8,4,3]; y = Conv(x, w)", NULL,
     "ir 13; opset 26"},
    {"other domains",
     "opset ai.onnx.ml 3; opset 17; in x float32; init w float32[8,4,3]; y = Conv(x, w)", NULL,
     "ir 8; ai.onnx.ml 3; opset 17"},
};

static void test_header(void **state)
{
    const struct header_row *row = *state;
    const Oq__Pb__ModelProto *model = quantize_text(row->text, row->adjust).model;
    const char *text = test_printf("ir %lld", (long long)model->ir_version);
    for (size_t i = 0; i < model->n_opset_import; i++) {
        const char *domain = model->opset_import[i]->domain;
        bool is_onnx = domain == NULL || domain[0] == '\0';
        text = test_printf("%s; %s %lld", text, is_onnx ? "opset" : domain,
                           (long long)model->opset_import[i]->version);
    }
    check_text(text, row->expected);
}

static const char *describe_metadata(const Oq__Pb__ModelProto *model)
{
    const char *text = "";
    for (size_t i = 0; i < model->n_metadata_props; i++)
        text = test_printf("%s%s: %s\n", text, model->metadata_props[i]->key,
                           model->metadata_props[i]->value);
    return text;
}

#define SETTINGS                                                                                   \
    "per_channel=1 symmetric=1 reduce_range=none conv=fold fold_bits=0 force_integer=0 "           \
    "min_elements=1 bits=8 block_size=0\n"

static void test_metadata(void **state)
{
    (void)state;
    struct result first =
        quantize_text("opset 17; meta author somebody; in x float32; init w float32[128,512]\n"
                      "init v float32[8,4,3]; y = MatMul(x, w); z = Conv(x, v)",
                      NULL);
    check_text(describe_metadata(first.model),
               "author: somebody\nonnxq.version: " ONNXQ_VERSION_STRING
               "\nonnxq.settings: method=dynamic weight_type=int8 " SETTINGS);

    /* Of an output that is quantized once more, the last settings count. */
    struct result again =
        quantize_text("opset 17; meta onnxq.version 0.0.1; meta onnxq.settings none; in x float32\n"
                      "init w float32[128,512]; y = MatMul(x, w)",
                      adjust_uint8);
    check_text(describe_metadata(again.model),
               "onnxq.version: " ONNXQ_VERSION_STRING
               "\nonnxq.settings: method=dynamic weight_type=uint8 " SETTINGS);
}

/* Everything that has nothing to do with weights goes through, fields of the future included. */
static void test_survivors(void **state)
{
    (void)state;
    static const uint8_t unknown[] = {0xfa, 0x07, 0x03, 'n', 'e', 'w'};
    struct builder *builder = test_builder(
        "opset 17; in x float32[N,128]; in unused float32; init w float32[128,512]\n"
        "init big int64[2000]; init small float32[3] unpacked = 1 2 3; init s int64[2] packed = 1 "
        "2\n"
        "h = Relu(x); y = MatMul(h, w); z = custom::Op(big, small, s); out y float32; out z int64");
    builder->model->doc_string = builder_text(builder, "about the model");
    builder->model->producer_name = builder_text(builder, "producer");
    builder->graph->doc_string = builder_text(builder, "about the graph");
    builder->graph->node[0]->doc_string = builder_text(builder, "about a node");
    ProtobufCMessage *messages[] = {&builder->model->base, &builder->graph->base,
                                    &builder->graph->node[0]->base,
                                    &builder->graph->initializer[2]->base};
    for (size_t i = 0; i < COUNT(messages); i++)
        builder_wire(builder, messages[i], unknown, sizeof(unknown));

    struct result result = quantize(builder, NULL);
    const Oq__Pb__GraphProto *graph = result.model->graph;
    assert_string_equal(result.model->doc_string, "about the model");
    assert_string_equal(result.model->producer_name, "producer");
    assert_string_equal(graph->doc_string, "about the graph");
    assert_string_equal(graph->name, "main");
    assert_string_equal(test_node(graph, "h")->doc_string, "about a node");
    assert_int_equal(result.model->base.n_unknown_fields, 1);
    assert_int_equal(graph->base.n_unknown_fields, 1);
    assert_int_equal(test_node(graph, "h")->base.n_unknown_fields, 1);
    assert_int_equal(test_tensor(graph, "small")->base.n_unknown_fields, 1);
    assert_int_equal(test_tensor(graph, "small")->n_float_data, 3);
    assert_int_equal(test_tensor(graph, "s")->int64_data[1], 2);
    assert_int_equal(graph->n_input, 2);
    const Oq__Pb__TensorProto *big = test_tensor(builder->graph, "big");
    assert_memory_equal(elements(&result, "big", big->raw_data.len), big->raw_data.data,
                        big->raw_data.len);
}

/* --- names that mean different things in different graphs --- */

static const struct shadow_row {
    const char *name, *text;
} shadows[] = {
    {"folded inside and outside",
     "init w float32[8,4,3]; y = Conv(x, w); z = If(c) then_branch={ init w float32[8,4,3]\n"
     "t = Conv(x, w); out t float32 } else_branch={ e = Conv(x, w); out e float32 }"},
    {"folded outside",
     "init w float32[8,4,3]; y = Conv(x, w); z = If(c) then_branch={ init w float32[2]\n"
     "t = Relu(w); out t float32 } else_branch={ e = Relu(x); out e float32 }"},
    {"folded inside",
     "init w float32[2]; y = Relu(w); z = If(c) then_branch={ init w float32[8,4,3]\n"
     "t = Conv(x, w); out t float32 } else_branch={ e = Relu(x); out e float32 }"},
    {"folded in both branches",
     "y = Relu(x); z = If(c) then_branch={ init w float32[8,4,3]; t = Conv(x, w); out t float32\n"
     "} else_branch={ init w float32[8,4,3]; e = Conv(x, w); out e float32 }"},
    {"integers inside and outside",
     "init w float32[128,512]; y = MatMul(x, w); z = If(c) then_branch={\n"
     "init w float32[128,512]; t = MatMul(x, w); out t float32\n"
     "} else_branch={ e = MatMul(x, w); out e float32 }"},
};

static void test_shadows(void **state)
{
    const struct shadow_row *row = *state;
    check_sound(
        quantize_text(test_printf("opset 17; in x float32; in c bool; init u float32[128,512]\n"
                                  "q = MatMul(x, u); %s; out q float32; out y float32\n"
                                  "out z float32",
                                  row->text),
                      NULL)
            .model);
}

/* --- models that no exporter writes --- */

static const struct hostile_row {
    const char *name, *text;
    adjust_fn adjust;
} hostile[] = {
    {"no outputs", " = MatMul(x, w)", NULL},
    {"no outputs, Gemm", " = Gemm(x, w)", NULL},
    {"no outputs, ConvTranspose", "init v float32[8,4,3]; = ConvTranspose(x, v)", NULL},
    {"no outputs, Gather", "init v float32[16384,64]; = Gather(v, x)", NULL},
    {"no outputs, Gather, with DequantizeLinear", "init v float32[16384,64]; = Gather(v, x)",
     adjust_qdq},
    {"no outputs, LSTM",
     "init v float32[1,512,64]; init r float32[1,512,128]; = LSTM(x, v, r) hidden_size=128", NULL},
    {"an LSTM whose weights do not fit",
     "init v float32[1,512,64]; init r float32[1,5120,128]; y = LSTM(x, v, r) hidden_size=128",
     NULL},
    {"an LSTM whose weights do not fit the other way",
     "init v float32[1,5120,64]; init r float32[1,512,128]; y = LSTM(x, v, r) hidden_size=128",
     NULL},
    {"an LSTM with other directions",
     "init v float32[2,512,64]; init r float32[1,512,128]; y = LSTM(x, v, r) hidden_size=128",
     NULL},
    {"no outputs, Attention", " = com.microsoft::Attention(x, w)", NULL},
    {"no outputs on the left", "init v float32[1024,128]; in z float32[128,4]; = MatMul(v, z)",
     NULL},
    {"one input on the left", "init v float32[1024,128]; y = MatMul(v); z = Gemm(v)", NULL},
    {"no input on the left", "init v float32[1024,128]; y = MatMul(v, ); out y float32[1,1]", NULL},
    {"on the left of itself", "init v float32[1024,128]; y = MatMul(v, y); out y float32[N,4]",
     NULL},
    {"a Gemm on the left of many", "init v float32[1024,128]; y = Gemm(v, x, v) transA=1 alpha=1",
     NULL},
    {"Attention with three outputs",
     "init v float32[128,768]; y, , z = com.microsoft::Attention(x, v)", NULL},
    {"Attention with its own weight as everything",
     "init v float32[128,768]; y = com.microsoft::Attention(v, v, v, v, v)", NULL},
    {"Attention with nothing but its weight", "y = com.microsoft::Attention(, w)", NULL},
    {"Attention with too many inputs", "y = com.microsoft::Attention(x, w, , , , , , x)", NULL},
    {"Attention with its weight elsewhere", "y = com.microsoft::Attention(x, , w)", NULL},
    {"an output without a name", "\"\" = MatMul(x, w)", NULL},
    {"too many outputs", "y, z = MatMul(x, w)", NULL},
    {"one input", "y = MatMul(w)", NULL},
    {"too many inputs", "y = MatMul(x, w, w)", NULL},
    {"an activation without a name", "y = MatMul(, w)", NULL},
    {"an activation that nobody makes", "y = MatMul(nowhere, w)", NULL},
    {"its own output as activation", "y = MatMul(y, w)", NULL},
    {"attributes of other types", "y = Gemm(x, w) alpha=1 beta=2 transA=0.5 transB=\"yes\"", NULL},
    {"a bias of another type", "init b int64[512]; y = Gemm(x, w, b)", NULL},
    {"a bias of another size", "init b float32[7]; y = Gemm(x, w, b) beta=0.5", NULL},
    {"a bias of no elements", "init b float32[0]; y = Gemm(x, w, b) beta=0.5", NULL},
    {"the weight as its own bias", "y = Gemm(x, w, w)", NULL},
    {"an output that is an output twice", "y = MatMul(x, w); out y float32; out y float32", NULL},
    {"no outputs as MatMul", "init v float32[64,128,1]; = Conv(x, v)", adjust_conv_matmul},
    {"Conv of nothing as MatMul", "init v float32[64,128,1]; y = Conv(, v)", adjust_conv_matmul},
    {"attributes of other types as MatMul",
     "init v float32[64,128,1]; y = Conv(x, v, b, b) strides=2 pads=\"yes\" group=1.5 "
     "kernel_shape=1",
     adjust_conv_matmul},
    {"a convolution with itself as MatMul", "init v float32[64,128,1]; y = Conv(v, v, v)",
     adjust_conv_matmul},
};

/* No crash, and whatever comes out can be read again. */
static void test_hostile(void **state)
{
    const struct hostile_row *row = *state;
    onnxq_error error;
    onnxq_options options = test_options();
    if (row->adjust != NULL)
        row->adjust(&options);
    const onnxq_model *model =
        test_model(test_printf("opset 17; in x float32; init w float32[128,512]; %s", row->text));
    onnxq_plan *plan = onnxq_plan_create(model, &options, &error);
    if (plan == NULL) {
        assert_int_equal(error.status, ONNXQ_ERROR_INPUT);
        return;
    }
    onnxq_status status = onnxq_plan_write(plan, test_path("out.onnx"), &error);
    onnxq_plan_destroy(plan);
    if (status == ONNXQ_OK)
        test_open_path(test_path("out.onnx"));
    else
        assert_int_equal(status, ONNXQ_NOTHING_TO_DO);
}

int main(void)
{
    TEST_ROWS(test_weight, weights);
    TEST(test_pointwise);
    TEST_ROWS(test_bias, biases);
    TEST(test_long_bias);
    TEST(test_beta);
    TEST(test_zero_points);
    TEST(test_conv_integer);
    TEST_ROWS(test_names, names);
    TEST_ROWS(test_header, headers);
    TEST(test_metadata);
    TEST(test_survivors);
    TEST_ROWS(test_shadows, shadows);
    TEST_ROWS(test_hostile, hostile);
    return suite_run();
}
