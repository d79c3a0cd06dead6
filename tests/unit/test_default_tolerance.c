/* What is allowed of a candidate by default, by what it says of itself and by its operators. */
#include "check/default_tolerance.h"
#include "support/adjust.h"
#include "support/models.h"

#define IN   "opset 21; opset com.microsoft 1; in x float32[N,8]; in a uint8[N,8]\n"
#define OURS "method=dynamic weight_type=int8 per_channel=1 symmetric=1 bits=8 block_size=0"

static const struct row {
    const char *name, *text, *expected;
} rows[] = {
    {"floats", IN "init w float32[8,4]; y = MatMul(x, w)", "0.3 floats"},
    {"a vector of integers", IN "init w int8[4]; init s float32[]; y = DequantizeLinear(w, s)",
     "0.3 8 bits"},
    {"a scale for each channel",
     IN "init w int8[8,4]; init s float32[4]; y = DequantizeLinear(w, s) axis=1", "0.3 8 bits"},
    {"one scale", IN "init w int8[8,4]; init s float32[]; y = DequantizeLinear(w, s)",
     "0.5 one scale per weight"},
    {"4 bits", IN "init w int4[8,4]; init s float32[4]; y = DequantizeLinear(w, s) axis=1",
     "0.5 4 bits"},
    {"zero points of channels",
     IN "init w uint8[8,4]; init p uint8[]; init z uint8[4]; y = MatMulInteger(a, w, p, z)",
     "0.3 8 bits"},
    {"one zero point",
     IN "init w uint8[8,4]; init p uint8[4]; init z uint8[]; y = MatMulInteger(a, w, p, z)",
     "0.5 one scale per weight"},
    {"the weight's scale, not the activation's",
     IN "init w int8[8,4]; init p float32[]; init s float32[4]\n"
        "y = com.microsoft::MatMulIntegerToFloat(a, w, p, s)",
     "0.3 8 bits"},
    {"activations in fixed ranges", IN "init s float32[]; y = QuantizeLinear(x, s)",
     "0.5 activations in fixed ranges"},
    {"in a body",
     IN
     "in c bool; y = If(c) then_branch={ init s float32[]; t = QuantizeLinear(x, s); out t int8 } "
     "else_branch={ init s float32[]; e = QuantizeLinear(x, s); out e int8 }",
     "0.5 activations in fixed ranges"},
    {"narrow blocks",
     IN "init w uint8[4,1,16]; init s float32[4]\n"
        "y = com.microsoft::MatMulNBits(x, w, s) K=8 N=4 block_size=32",
     "0.5 4 bits"},
    {"wide blocks",
     IN "init w uint8[4,1,32]; init s float32[4]\n"
        "y = com.microsoft::MatMulNBits(x, w, s) K=8 N=4 block_size=32 bits=8",
     "0.3 8 bits"},
    {"one scale of ours, where all channels have it",
     "meta onnxq.settings \"" OURS "\"\n" IN
     "init w int8[8,4]; init s float32[]; y = DequantizeLinear(w, s)",
     "0.3 8 bits"},
    {"dequantized", "meta onnxq.settings \"dequantize float_type=float32\"\n" IN "y = Relu(x)",
     "0.5 what was quantized once"},
};

static const char *describe(const onnxq_model *model)
{
    struct oq_default_tolerance found = oq_default_tolerance_of(model);
    return test_printf("%g %s", found.relative, found.basis);
}

static void test_operators(void **state)
{
    const struct row *row = *state;
    check_text(describe(test_model(row->text)), row->expected);
}

static void adjust_tensor(onnxq_options *options)
{
    options->per_channel = false;
}

static void adjust_qdq_4_bits(onnxq_options *options)
{
    options->method = ONNXQ_METHOD_QDQ;
    options->bits = ONNXQ_BITS_4;
}

static const struct option_row {
    const char *name;
    adjust_fn adjust;
    const char *expected;
} option_rows[] = {
    {"defaults", NULL, "0.3 8 bits"},
    {"no scales of channels", adjust_tensor, "0.5 one scale per weight"},
    {"qdq in 4 bits", adjust_qdq_4_bits, "0.5 4 bits"},
};

/* The output of the writer itself. */
static void test_written(void **state)
{
    const struct option_row *row = *state;
    onnxq_options options = test_options();
    if (row->adjust != NULL)
        row->adjust(&options);
    const onnxq_model *model = test_model(
        "opset 21; in x float32[N,256]; init w float32[256,256]; y = MatMul(x, w); out y float32");
    check_text(describe(test_open_path(test_write(test_plan(model, &options)))), row->expected);
}

int main(void)
{
    TEST_ROWS(test_operators, rows);
    TEST_ROWS(test_written, option_rows);
    return suite_run();
}
