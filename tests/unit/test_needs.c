/* Which ONNX Runtime a model needs, and what is written for one that has to run it. */
#include "model/needs.h"

#include <string.h>

#include "support/models.h"

static void destroy_inspection(void *thing)
{
    onnxq_inspection_destroy(thing);
}

static const char *describe_needs(const onnxq_model *model)
{
    onnxq_error error;
    const char *text = "";
    onnxq_inspection *inspection = onnxq_inspection_create(model, &error);
    if (inspection == NULL)
        fail_msg("%s", test_error_text(&error));
    test_defer(destroy_inspection, inspection);
    for (size_t i = 0; i < inspection->n_requirements; i++)
        text = test_printf("%s%s%s: %s", text, i > 0 ? "\n" : "", inspection->requirements[i].ort,
                           inspection->requirements[i].what);
    return text;
}

#define NBITS "com.microsoft::MatMulNBits(x, q, s"

static const struct row {
    const char *name, *text, *expected;
} rows[] = {
    {"nothing", "opset 19; ir 9; in x float32; y = Relu(x)", ""},
    {"an opset", "opset 21; in x float32; y = Relu(x)", "1.18: opset 21"},
    {"the format", "opset 17; ir 10; in x float32; y = Relu(x)", "1.18: IR version 10"},
    {"an operator set of another domain", "opset 17; opset ai.onnx.ml 5; in x float32; y = Relu(x)",
     "1.18: opset 5 of ai.onnx.ml"},
    {"one that nobody knows", "opset 17; opset custom 99; in x float32; y = custom::Act(x)", ""},
    {"newer than all that are known", "opset 99; ir 99; in x float32; y = Relu(x)",
     "1.33: opset 99\n1.33: IR version 99"},
    {"blocks of 4 bits, of others", "opset 17; in x float32; y = " NBITS ") bits=4", ""},
    {"an attribute", "opset 17; in x float32; y = " NBITS ") bits=4 accuracy_level=4",
     "1.17: MatMulNBits with accuracy_level"},
    {"an input", "opset 17; in x float32; in b float32; y = " NBITS ", , , b) bits=4",
     "1.19: MatMulNBits with a bias"},
    {"an input that is left out", "opset 17; in x float32; y = " NBITS ", , , ) bits=4", ""},
    {"the value of an attribute, and what asks for less",
     "opset 20; in x float32; y = " NBITS ") bits=8",
     "1.22: MatMulNBits with 8 bits\n1.17: opset 20"},
    {"an operator", "opset 17; in x float32; y = com.microsoft::MoE(x)", "1.17: MoE"},
    {"the opset of an operator", "opset 23; in x float32; y = QuantizeLinear(x, s)",
     "1.24: QuantizeLinear in opset 23\n1.23: opset 23"},
    {"the type of a tensor", "opset 17; in x float32; init w int4[4,2]; y = Relu(x)",
     "1.19: tensors of int4"},
};

static void test_needs(void **state)
{
    const struct row *row = *state;
    check_text(describe_needs(test_model(row->text)), row->expected);
}

/* --- versions as users write them --- */

static const struct version {
    const char *text;
    int minor;
} versions[] = {{"1.17", 17},  {"1.17.3", 17}, {"1.32.0", 32},  {"1.0", 0},    {"1", -1},
                {"1.", -1},    {"1.x", -1},    {"2.0", -1},     {"1.17.", -1}, {"1.17.x", -1},
                {"1.17 ", -1}, {"", -1},       {"1.99999", -1}, {"v1.17", -1}};

static void test_versions(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
        if (oq_engine_minor(versions[i].text) != versions[i].minor)
            fail_msg("'%s' is %d", versions[i].text, oq_engine_minor(versions[i].text));
}

/* --- what cannot be written for that engine --- */

#define MATMUL "in x float32; init w float32[128,512]; y = MatMul(x, w); out y float32"

static const struct refusal {
    const char *name, *text, *target;
    onnxq_method method;
    onnxq_bits bits;
    int block_size;
    const char *message; /* "": it can */
} refusals[] = {
    {"no version", "opset 17; " MATMUL, "new", ONNXQ_METHOD_DYNAMIC, ONNXQ_BITS_8, 0,
     "options.target_ort is 'new', expected a version such as 1.17"},
    {"too old", "opset 17; " MATMUL, "1.15", ONNXQ_METHOD_DYNAMIC, ONNXQ_BITS_8, 0,
     "options.target_ort is 1.15, the oldest that onnxq knows is 1.16"},
    {"the oldest", "opset 17; " MATMUL, "1.16", ONNXQ_METHOD_DYNAMIC, ONNXQ_BITS_8, 0, ""},
    {"one that is not known yet", "opset 17; " MATMUL, "1.40", ONNXQ_METHOD_BLOCKS, ONNXQ_BITS_8, 0,
     ""},
    {"a method", "opset 17; " MATMUL, "1.21.1", ONNXQ_METHOD_BLOCKS, ONNXQ_BITS_8, 0,
     "method blocks with 8 bits needs ONNX Runtime 1.22 or later, options.target_ort is 1.21"},
    {"the same in a later one", "opset 17; " MATMUL, "1.22", ONNXQ_METHOD_BLOCKS, ONNXQ_BITS_8, 0,
     ""},
    {"bits", "opset 21; " MATMUL, "1.18", ONNXQ_METHOD_QDQ, ONNXQ_BITS_4, 0,
     "method qdq with 4 bits needs ONNX Runtime 1.19 or later, options.target_ort is 1.18"},
    {"of two reasons the greater", "opset 21; " MATMUL, "1.18", ONNXQ_METHOD_QDQ, ONNXQ_BITS_4, 32,
     "method qdq in blocks needs ONNX Runtime 1.20 or later, options.target_ort is 1.18"},
    {"another form of the method", "opset 17; " MATMUL, "1.16", ONNXQ_METHOD_BLOCKS, ONNXQ_BITS_NF4,
     0, ""},
    {"the model", "opset 21; " MATMUL, "1.17", ONNXQ_METHOD_DYNAMIC, ONNXQ_BITS_8, 0,
     "the model needs ONNX Runtime 1.18 or later (opset 21), options.target_ort is 1.17"},
    {"what would be written", "opset 28; ir 9; " MATMUL, "1.32", ONNXQ_METHOD_QDQ, ONNXQ_BITS_8, 0,
     "the output needs ONNX Runtime 1.33 or later (DequantizeLinear in opset 28), "
     "options.target_ort is 1.32"},
};

static void test_refusals(void **state)
{
    const struct refusal *row = *state;
    onnxq_error error;
    onnxq_options options = test_options();
    options.target_ort = row->target;
    options.method = row->method;
    options.bits = row->bits;
    options.block_size = row->block_size;
    onnxq_plan *plan = onnxq_plan_create(test_model(row->text), &options, &error);
    assert_int_equal(error.status, row->message[0] == '\0' ? ONNXQ_OK : ONNXQ_ERROR_OPTION);
    check_text(error.message, row->message);
    onnxq_plan_destroy(plan);
}

/* --- the format --- */

static int64_t written_ir_version(const char *text, const char *target)
{
    onnxq_options options = test_options();
    options.target_ort = target;
    return test_read_model(test_write(test_plan(test_model(text), &options)))->ir_version;
}

static void test_format(void **state)
{
    (void)state;
    assert_int_equal(written_ir_version("opset 17; ir 10; " MATMUL, NULL), 10);
    assert_int_equal(written_ir_version("opset 17; ir 13; " MATMUL, "1.16"), 9);
    assert_int_equal(written_ir_version("opset 17; ir 13; " MATMUL, "1.18"), 10);
    assert_int_equal(written_ir_version("opset 17; ir 8; " MATMUL, "1.18"), 8);
}

int main(void)
{
    TEST_ROWS(test_needs, rows);
    TEST(test_versions);
    TEST_ROWS(test_refusals, refusals);
    TEST(test_format);
    return suite_run();
}
