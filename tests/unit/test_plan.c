/* What is decided for every use of every constant, and why. */
#define _XOPEN_SOURCE     700
#define _FILE_OFFSET_BITS 64
#include "quantize/plan/plan.h"

#include <string.h>
#include <unistd.h>

#include "support/adjust.h"
#include "support/models.h"

/* --- options --- */

static void defaults(onnxq_options *options)
{
    onnxq_options_init(options);
}

static void only_gemm(onnxq_options *options)
{
    static const char *const names[] = {"Gemm"};
    options->op_types = names;
    options->n_op_types = 1;
}

static void no_matmul(onnxq_options *options)
{
    static const char *const names[] = {"MatMul"};
    options->exclude_op_types = names;
    options->n_exclude_op_types = 1;
}

static void exclude_w(onnxq_options *options)
{
    static const onnxq_selector selector = {true, ONNXQ_GLOB, "w"};
    options->selectors = &selector;
    options->n_selectors = 1;
}

static void include_node_n(onnxq_options *options)
{
    static const onnxq_selector selector = {false, ONNXQ_GLOB, "n"};
    options->selectors = &selector;
    options->n_selectors = 1;
}

/* --- decisions --- */

#define OPSET_17  "opset 17; in x float32[N,256]\n"
#define RECURRENT "in h float32[1,8]; hn = Tanh(h); out y float32; out hn float32[1,8]"
/* Over and over: one of 48 is large. */
#define ONES     " 1 1 1 1 1 1 1 1 -1 1 1 1"
#define OUTLIERS "100 1 1 1 1 1 1 1 1 1 1 1" ONES ONES ONES
#define MATMUL   "init w float32[256,256]; y = MatMul(x, w)\n"

#define ONE_BY_ONE "meets other numbers one by one"
#define AMBIGUOUS  "its name is another value in a body, or around one"

#define ATTENTION   "init w float32[256,768]; init b float32[768]; y = com.microsoft::Attention"
#define NOT_A_POINT "(not a product of matrices: its kernel is not a single point at every place)"

static const struct row {
    const char *name, *text;
    adjust_fn adjust;
    const char *expected;
} rows[] = {
    {"MatMul", OPSET_17 MATMUL, NULL, "w: MatMul.1 dynamic MatMulInteger"},
    {"MatMul by the long name of the domain",
     OPSET_17 "init w float32[256,256]; y = ai.onnx::MatMul(x, w)", NULL,
     "w: MatMul.1 dynamic MatMulInteger"},
    {"MatMul of another domain", OPSET_17 "init w float32[256,256]; y = custom::MatMul(x, w)", NULL,
     "w: custom::MatMul.1 keep (no rule for custom.MatMul)"},
    {"MatMul with a Constant", OPSET_17 "w = Constant() value=float32[256,256]; y = MatMul(x, w)",
     NULL, "w: MatMul.1 dynamic MatMulInteger"},
    {"MatMul of float16", "opset 17; in x float16; init w float16[256,256]; y = MatMul(x, w)", NULL,
     "w: MatMul.1 dynamic MatMulInteger"},
    {"MatMul of bfloat16", "opset 17; in x bfloat16; init w bfloat16[256,256]; y = MatMul(x, w)",
     NULL, "w: MatMul.1 dynamic MatMulInteger"},
    {"MatMul of float64", "opset 17; in x float64; init w float64[256,256]; y = MatMul(x, w)", NULL,
     "w: MatMul.1 dynamic MatMulInteger"},
    {"MatMul of opset 10", "opset 10; in x float32; " MATMUL, NULL,
     "w: MatMul.1 dynamic DynamicQuantizeMatMul"},
    {"MatMul of opset 7", "opset 7; in x float32; " MATMUL, NULL,
     "w: MatMul.1 dynamic DynamicQuantizeMatMul"},
    {"MatMul of opset 6", "opset 6; in x float32; " MATMUL, NULL,
     "w: MatMul.1 keep (opset 6, needs 7 or later)"},
    {"MatMul of no opset", "in x float32; " MATMUL, NULL,
     "w: MatMul.1 keep (opset 0, needs 7 or later)"},
    {"MatMul on the left", OPSET_17 "init w float32[512,256]; y = MatMul(w, x)", NULL,
     "w: MatMul.0 dynamic MatMulInteger"},
    {"MatMul on the left behind a Transpose",
     OPSET_17 "init w float32[256,512]; t = Transpose(w); y = MatMul(t, x)", NULL,
     "w: MatMul.0 dynamic MatMulInteger"},
    {"MatMul on the left of a vector",
     "opset 17; in x float32[256]; init w float32[512,256]; y = MatMul(w, x)", NULL,
     "w: MatMul.0 dynamic MatMulInteger"},
    {"MatMul on the left of a value that is declared",
     OPSET_17 "init w float32[512,256]; h = Relu(x); y = MatMul(w, h); info h float32[N,256,8]",
     NULL, "w: MatMul.0 dynamic MatMulInteger"},
    {"MatMul on the left of a value that is not, with a result that is",
     OPSET_17 "init w float32[512,256]; h = Relu(x); y = MatMul(w, h); out y float32[N,512,8]",
     NULL, "w: MatMul.0 dynamic MatMulInteger"},
    {"MatMul on the left of any rank",
     OPSET_17 "init w float32[512,256]; h = Relu(x); y = MatMul(w, h); out y float32", NULL,
     "w: MatMul.0 fold int8 folded at load (the rank of the other factor is not known)"},
    {"MatMul on the left of a scalar",
     "opset 17; in x float32[]; init w float32[512,256]; y = MatMul(w, x)", NULL,
     "w: MatMul.0 fold int8 folded at load (the rank of the other factor is not known)"},
    {"MatMul on the left in opset 10",
     "opset 10; in x float32[256,4]; init w float32[512,256]; y = MatMul(w, x)", NULL,
     "w: MatMul.0 fold int8 folded at load (a constant on the left needs opset 11)"},
    {"MatMul on the left that is small", OPSET_17 "init w float32[511,256]; y = MatMul(w, x)", NULL,
     "w: MatMul.0 fold int8 folded at load (not faster in integers under 131072 elements on the "
     "left)"},
    {"MatMul on the left that is flat", OPSET_17 "init w float32[2048,127]; y = MatMul(w, x)", NULL,
     "w: MatMul.0 fold int8 folded at load (not faster in integers under 128 rows)"},
    {"MatMul on the left that is small, all the same",
     OPSET_17 "init w float32[32,32]; y = MatMul(w, x)", adjust_force_integer,
     "w: MatMul.0 dynamic MatMulInteger"},
    {"MatMul of batches on the left", OPSET_17 "init w float32[2,512,256]; y = MatMul(w, x)", NULL,
     "w: MatMul.0 fold int8 folded at load (batches of matrices on the left)"},
    {"MatMul of constants",
     OPSET_17 "init v float32[512,256]; init w float32[256,256]\n"
              "y = MatMul(v, w)",
     NULL,
     "v: MatMul.0 fold int8 folded at load (both inputs are constant)\n"
     "w: MatMul.1 fold int8 folded at load (both inputs are constant)"},
    {"MatMul with itself", OPSET_17 "init w float32[512,512]; y = MatMul(w, w)", NULL,
     "w: MatMul.0 fold int8 folded at load (both inputs are constant)\n"
     "w: MatMul.1 fold int8 folded at load (both inputs are constant)"},
    {"MatMul with a vector", OPSET_17 "init w float32[2048]; y = MatMul(x, w)", NULL,
     "w: MatMul.1 fold int8 folded at load (a vector)"},
    {"MatMul that is small", OPSET_17 "init w float32[256,255]; y = MatMul(x, w)", NULL,
     "w: MatMul.1 fold int8 folded at load (not faster in integers under 65536 elements)"},
    {"MatMul that is small, all the same", OPSET_17 "init w float32[32,32]; y = MatMul(x, w)",
     adjust_force_integer, "w: MatMul.1 dynamic MatMulInteger"},
    {"Gather of a small table, all the same", OPSET_17 "init w float32[32,32]; y = Gather(w, i)",
     adjust_force_integer, "w: Gather.0 dynamic int8 rows"},
    {"Gather of a table of uint8", OPSET_17 "init w float32[32,32]; y = Gather(w, i)",
     adjust_uint8_forced, "w: Gather.0 dynamic uint8 rows"},
    {"MatMul that is flat, of uint8", OPSET_17 "init w float32[127,600]; y = MatMul(x, w)",
     adjust_uint8, "w: MatMul.1 fold uint8 folded at load (not faster in integers under 128 rows)"},
    {"MatMul that is flat", OPSET_17 "init w float32[127,600]; y = MatMul(x, w)", NULL,
     "w: MatMul.1 fold int8 folded at load (not faster in integers under 128 rows)"},
    {"MatMul of the most rows", OPSET_17 "init w float32[33025,2]; y = MatMul(x, w)", NULL,
     "w: MatMul.1 dynamic MatMulInteger"},
    {"MatMul of too many rows", OPSET_17 "init w float32[33026,2]; y = MatMul(x, w)", NULL,
     "w: MatMul.1 fold int8 folded at load (sums over more than 33025 rows can overflow int32)"},
    {"batches", OPSET_17 "init w float32[2,256,256]; y = MatMul(x, w)", NULL,
     "w: MatMul.1 dynamic MatMulInteger"},
    {"batches and what may be a vector",
     "opset 17; in x float32; init w float32[2,256,256]; y = MatMul(x, w)", NULL,
     "w: MatMul.1 fold int8 folded at load (batches of matrices, and the other factor is not "
     "known to be a matrix)"},
    {"batches and a vector",
     "opset 17; in x float32[256]; init w float32[2,256,256]; y = MatMul(x, w)", NULL,
     "w: MatMul.1 fold int8 folded at load (batches of matrices, and the other factor is not "
     "known to be a matrix)"},
    {"batches of opset 9", "opset 9; in x float32; init w float32[2,256,256]; y = MatMul(x, w)",
     NULL, "w: MatMul.1 fold int8 folded at load (batches of matrices need opset 11)"},
    {"asymmetric batches", OPSET_17 "init w float32[2,256,256]; y = MatMul(x, w)",
     adjust_asymmetric,
     "w: MatMul.1 fold int8 folded at load (batches of matrices with zero points per channel do "
     "not run)"},
    {"asymmetric batches per tensor", OPSET_17 "init w float32[2,256,256]; y = MatMul(x, w)",
     adjust_per_tensor_asymmetric, "w: MatMul.1 dynamic MatMulInteger"},

    {"Gemm", OPSET_17 "init w float32[256,256]; init b float32[256]; y = Gemm(x, w, b)", NULL,
     "w: Gemm.1 dynamic MatMulInteger\n"
     "b: Gemm.2 keep (a vector)"},
    {"Gemm on the left", OPSET_17 "init w float32[512,256]; y = Gemm(w, x)", NULL,
     "w: Gemm.0 dynamic MatMulInteger"},
    {"Gemm on the left that is flat when turned",
     OPSET_17 "init w float32[127,2048]; y = Gemm(w, x) transA=1", NULL,
     "w: Gemm.0 fold int8 folded at load (not faster in integers under 128 rows)"},
    {"Gemm on the left with infinite alpha",
     OPSET_17 "init w float32[512,256]; y = Gemm(w, x) alpha=inf", NULL,
     "w: Gemm.0 fold int8 folded at load (alpha is not finite)"},
    {"Gemm of three dimensions", OPSET_17 "init w float32[1,256,256]; y = Gemm(x, w)", NULL,
     "w: Gemm.1 keep (Gemm takes two matrices)"},
    {"Gemm with infinite alpha", OPSET_17 "init w float32[256,256]; y = Gemm(x, w) alpha=inf", NULL,
     "w: Gemm.1 fold int8 folded at load (alpha is not finite)"},
    {"Gemm that is small when turned", OPSET_17 "init w float32[600,127]; y = Gemm(x, w) transB=1",
     NULL, "w: Gemm.1 fold int8 folded at load (not faster in integers under 128 rows)"},

    {"Conv", OPSET_17 "init w float32[8,8,3,3]; init b float32[8]; y = Conv(x, w, b)", NULL,
     "w: Conv.1 fold int8 folded at load\n"
     "b: Conv.2 keep (a vector)"},
    {"Conv of 16 bits", OPSET_17 "init w float32[8,8,3,3]; y = Conv(x, w)", adjust_fold_16_bits,
     "w: Conv.1 fold int16 folded at load (options.fold_bits=16)"},
    {"Conv of 16 bits that is float16", OPSET_17 "init w float16[8,8,3,3]; y = Conv(x, w)",
     adjust_fold_16_bits, "w: Conv.1 fold int8 folded at load"},
    {"16 bits beside a product", OPSET_17 MATMUL "z = Add(x, w)", adjust_fold_16_bits,
     "w: MatMul.1 dynamic MatMulInteger\n"
     "w: Add.1 fold int16 folded at load (options.fold_bits=16)"},
    {"rows of 16 bits", OPSET_17 "init w float32[4096,512]; y = Gather(w, x)", adjust_fold_16_bits,
     "w: Gather.0 fold int16 folded at load (options.fold_bits=16)"},
    {"rows of float16, of which 16 bits are no smaller",
     OPSET_17 "init w float16[4096,512]; y = Gather(w, x)", adjust_fold_16_bits,
     "w: Gather.0 dynamic int8 rows"},
    {"rows of coordinates", OPSET_17 "init w float32[2000,4]; y = Gather(w, x)", NULL,
     "w: Gather.0 keep (rows too short for scales of their own)"},
    {"rows of coordinates, and 8 bits are asked for",
     OPSET_17 "init w float32[2000,4]; y = Gather(w, x)", adjust_fold_8_bits,
     "w: Gather.0 fold int8 folded at load (a table under 1048576 elements)"},
    {"rows of more than coordinates", OPSET_17 "init w float32[2000,5]; y = Gather(w, x)", NULL,
     "w: Gather.0 fold int8 folded at load (a table under 1048576 elements)"},
    {"rows of a weight that has products",
     OPSET_17 "init w float32[4096,512]; y = Gather(w, x); z = MatMul(x, w)", adjust_fold_16_bits,
     "w: Gather.0 dynamic int8 rows\n"
     "w: MatMul.1 dynamic MatMulInteger"},
    {"Conv in a recurrent model", OPSET_17 "init w float32[8,8,3,3]; y = Conv(x, w); " RECURRENT,
     NULL, "w: Conv.1 fold int8 folded at load"},
    {"Conv with outliers in a recurrent model",
     OPSET_17 "init w float32[2,480,1] = " OUTLIERS "; y = Conv(x, w); " RECURRENT, NULL,
     "w: Conv.1 fold int16 folded at load (a typical weight keeps 1.0 of 8 bits, in a recurrence)"},
    {"Conv of which enough is left in a recurrent model",
     OPSET_17 "init w float32[2,480,1] = 1 @0=15.5 @480=15.5; y = Conv(x, w); " RECURRENT, NULL,
     "w: Conv.1 fold int8 folded at load"},
    {"Conv of which not enough is left in a recurrent model",
     OPSET_17 "init w float32[2,480,1] = 1 @0=17 @1=17 @480=17 @481=17; y = Conv(x, w); " RECURRENT,
     NULL,
     "w: Conv.1 fold int16 folded at load (a typical weight keeps 3.4 of 8 bits, in a recurrence)"},
    {"Conv with outliers in a recurrent model, of 8 bits",
     OPSET_17 "init w float32[2,480,1] = " OUTLIERS "; y = Conv(x, w); " RECURRENT,
     adjust_fold_8_bits, "w: Conv.1 fold int8 folded at load"},
    {"Conv with outliers beside what is repeated",
     OPSET_17 "init w float32[2,480,1] = " OUTLIERS "; y = Conv(x, w); "
              "z = Scan(x) body={ in a float32; out a float32 }",
     NULL, "w: Conv.1 fold int8 folded at load"},
    {"Conv with outliers in what is repeated",
     OPSET_17 "init w float32[2,480,1] = " OUTLIERS "; z = Scan(x) body={ in a float32; "
              "b = If(c) then_branch={ t = Conv(a, w); out t float32 }; out b float32 }",
     NULL,
     "w: Conv.1 fold int16 folded at load (a typical weight keeps 1.0 of 8 bits, in a recurrence)"},
    {"Conv of real and imaginary parts, of which a spectrum is made",
     OPSET_17 "init w float32[8,8,3]; init v float32[8,8,3]; a = Conv(x, w); b = Conv(x, v); "
              "c = Mul(a, a); d = Mul(b, b); e = Add(c, d); y = Sqrt(e)",
     NULL,
     "w: Conv.1 fold int16 folded at load (small results of its product matter)\n"
     "v: Conv.1 fold int16 folded at load (small results of its product matter)"},
    {"Conv of which a deviation is made",
     OPSET_17 "init w float32[8,8,3]; a = Conv(x, w); b = Mul(a, a); c = ReduceMean(b); "
              "y = Sqrt(c)",
     NULL, "w: Conv.1 fold int8 folded at load"},
    {"Conv with outliers", OPSET_17 "init w float32[2,480,1] = " OUTLIERS "; y = Conv(x, w)", NULL,
     "w: Conv.1 fold int8 folded at load"},
    {"Conv as integers", OPSET_17 "init w float32[8,8,3,3]; y = Conv(x, w)", adjust_conv_integer,
     "w: Conv.1 dynamic ConvInteger"},
    {"Conv as integers in opset 10",
     "opset 10; in x float32; init w float32[8,8,3]; y = Conv(x, w)", adjust_conv_integer,
     "w: Conv.1 fold int8 folded at load (ConvInteger on dynamic activations needs opset 11)"},
    {"Conv as asymmetric integers", OPSET_17 "init w float32[8,8,3,3]; y = Conv(x, w)",
     adjust_conv_integer_asymmetric,
     "w: Conv.1 fold int8 folded at load (ConvInteger takes one zero point)"},
    {"Conv as MatMul", OPSET_17 "init w float32[64,128,1,1]; y = Conv(x, w)", adjust_conv_matmul,
     "w: Conv.1 dynamic MatMulInteger"},
    {"Conv as MatMul with all attributes",
     OPSET_17 "init w float32[64,128,1,1]; y = Conv(x, w) kernel_shape=[1,1] strides=[1,1] group=1 "
              "dilations=[3,2] pads=[0,0,0,0] auto_pad=\"NOTSET\"",
     adjust_conv_matmul, "w: Conv.1 dynamic MatMulInteger"},
    {"Conv as MatMul with auto_pad",
     OPSET_17 "init w float32[64,128,1]; y = Conv(x, w) auto_pad=\"SAME_UPPER\"",
     adjust_conv_matmul, "w: Conv.1 dynamic MatMulInteger"},
    {"Conv as MatMul of few channels",
     OPSET_17 "init w float32[64,127,1,1]; y = Conv(x, w); init v float32[63,128,1,1]\n"
              "z = Conv(x, v)",
     adjust_conv_matmul,
     "w: Conv.1 fold int8 folded at load (under 128 input or 64 output channels)\n"
     "v: Conv.1 fold int8 folded at load (under 128 input or 64 output channels)"},
    {"Conv as MatMul of few channels, all the same",
     OPSET_17 "init w float32[32,32,1]; y = Conv(x, w)", adjust_conv_matmul_forced,
     "w: Conv.1 dynamic MatMulInteger"},
    {"Conv as MatMul of too many channels", OPSET_17 "init w float32[64,33026,1]; y = Conv(x, w)",
     adjust_conv_matmul_forced,
     "w: Conv.1 fold int8 folded at load (sums over more than 33025 rows can overflow int32)"},
    {"Conv as MatMul in opset 10",
     "opset 10; in x float32; init w float32[64,128,1]; y = Conv(x, w)", adjust_conv_matmul,
     "w: Conv.1 fold int8 folded at load (MatMulInteger on dynamic activations needs opset 11)"},
    {"Conv as MatMul in opset 11",
     "opset 11; in x float32; init w float32[64,128,1]; y = Conv(x, w)", adjust_conv_matmul,
     "w: Conv.1 dynamic MatMulInteger"},
    {"Conv as MatMul of constants",
     OPSET_17 "init v float32[1,128,9]; init w float32[64,128,1]; y = Conv(v, w)",
     adjust_conv_matmul,
     "v: Conv.0 keep (input 0 of Conv is no weight)\n"
     "w: Conv.1 fold int8 folded at load (both inputs are constant)"},
    {"a kernel of 3 as MatMul", OPSET_17 "init w float32[64,128,1,3]; y = Conv(x, w)",
     adjust_conv_matmul, "w: Conv.1 fold int8 folded at load " NOT_A_POINT},
    {"strides as MatMul", OPSET_17 "init w float32[64,128,1]; y = Conv(x, w) strides=[2]",
     adjust_conv_matmul, "w: Conv.1 fold int8 folded at load " NOT_A_POINT},
    {"pads as MatMul", OPSET_17 "init w float32[64,128,1]; y = Conv(x, w) pads=[0,1]",
     adjust_conv_matmul, "w: Conv.1 fold int8 folded at load " NOT_A_POINT},
    {"groups as MatMul", OPSET_17 "init w float32[64,128,1]; y = Conv(x, w) group=2",
     adjust_conv_matmul, "w: Conv.1 fold int8 folded at load " NOT_A_POINT},
    {"Conv as float", OPSET_17 "init w float32[8,8,3,3]; y = Conv(x, w)", adjust_conv_skip,
     "w: Conv.1 keep (options.conv=skip)"},
    {"Conv of two dimensions", OPSET_17 "init w float32[8,8]; y = Conv(x, w)", NULL,
     "w: Conv.1 keep (Conv takes weights of three dimensions or more)"},
    {"ConvTranspose as MatMul", OPSET_17 "init w float32[64,128,1]; y = ConvTranspose(x, w)",
     adjust_conv_matmul, "w: ConvTranspose.1 fold int8 folded at load"},
    {"ConvTranspose", OPSET_17 "init w float32[8,8,3,3]; y = ConvTranspose(x, w)",
     adjust_conv_integer, "w: ConvTranspose.1 fold int8 folded at load"},

    {"Gather of a small table", OPSET_17 "init w float32[1000,64]; y = Gather(w, i)", NULL,
     "w: Gather.0 fold int8 folded at load (a table under 1048576 elements)"},
    {"Gather of a large table", OPSET_17 "init w float32[16384,64]; y = Gather(w, i)", NULL,
     "w: Gather.0 dynamic int8 rows"},
    {"Gather of a vector", OPSET_17 "init w float32[2000]; y = Gather(w, i)", NULL,
     "w: Gather.0 keep (a vector)"},
    {"Gather out of range", OPSET_17 "init w float32[100,64]; y = Gather(w, i) axis=2", NULL,
     "w: Gather.0 keep (axis out of range)"},

    {"LSTM",
     OPSET_17 "init w float32[1,512,64]; init r float32[1,512,128]\n"
              "y = LSTM(x, w, r) hidden_size=128",
     NULL,
     "w: LSTM.1 dynamic DynamicQuantizeLSTM\n"
     "r: LSTM.2 dynamic DynamicQuantizeLSTM"},
    {"LSTM whose gates have no fourth of the rows each",
     OPSET_17 "init w float32[1,513,64]; init r float32[1,513,128]; "
              "y = LSTM(x, w, r) hidden_size=128",
     NULL,
     "w: LSTM.1 fold int8 folded at load (its two weights do not fit together)\n"
     "r: LSTM.2 fold int8 folded at load (its two weights do not fit together)"},
    {"LSTM with one weight that varies",
     OPSET_17 "in r float32; init w float32[1,512,64]; y = LSTM(x, w, r) hidden_size=128", NULL,
     "w: LSTM.1 fold int8 folded at load (the operator's other weight stays float)"},

    {"Attention", OPSET_17 ATTENTION "(x, w, b) num_heads=4", NULL,
     "w: com.microsoft::Attention.1 dynamic QAttention\n"
     "b: com.microsoft::Attention.2 keep (input 2 of Attention is no weight)"},
    {"Attention with all that is taken",
     OPSET_17 ATTENTION "(x, w, b, m, p, , ) num_heads=4 unidirectional=1 do_rotary=0", NULL,
     "w: com.microsoft::Attention.1 dynamic QAttention\n"
     "b: com.microsoft::Attention.2 keep (input 2 of Attention is no weight)"},
    {"Attention of ONNX", OPSET_17 "init w float32[256,768]; y = Attention(x, w)", NULL,
     "w: Attention.1 fold int8 folded at load"},
    {"a table that is cut to a length",
     OPSET_17 "in n int64[1]; init w float32[8,64,64]; init s int64[1] = 0; init a int64[1] = 2; "
              "c = Slice(w, s, n, a); e = Unsqueeze(c, s); y = Add(x, e)",
     NULL,
     "w: Slice.0 fold int16 folded at load (" ONE_BY_ONE ")\n"
     "s: Slice.1 keep (int64, not a float type)\n"
     "s: Unsqueeze.1 keep (int64, not a float type)\n"
     "a: Slice.3 keep (int64, not a float type)"},
    {"a table that is looked up, as embeddings are",
     OPSET_17 "in n int64[1]; init w float32[64,64]; e = Gather(w, n); y = Add(x, e)", NULL,
     "w: Gather.0 fold int8 folded at load (a table under 1048576 elements)"},
    {"what a mask replaces", OPSET_17 "in c bool[1]; init w float32[64,64]; y = Where(c, w, x)",
     NULL, "w: Where.1 fold int16 folded at load (" ONE_BY_ONE ")"},
    {"a bias of Attention of ONNX",
     "opset 23; init w float32[1,4,64,64]; y = Attention(x, x, x, w)", NULL,
     "w: Attention.3 fold int16 folded at load (meets other numbers one by one)"},
    {"a bias of MultiHeadAttention",
     OPSET_17 "init w float32[1,4,64,64]; y = com.microsoft::MultiHeadAttention(x, x, x, , , w)",
     NULL,
     "w: com.microsoft::MultiHeadAttention.5 fold int16 folded at load (meets other numbers one by "
     "one)"},
    {"Attention that is small",
     OPSET_17 "init w float32[64,192]; y = com.microsoft::Attention(x, w)", NULL,
     "w: com.microsoft::Attention.1 fold int8 folded at load (not faster in integers under 65536 "
     "elements)"},
    {"Attention, and a sum with activations",
     "opset 17; in x float32; in h float32[256,768]; init w float32[256,768]\n"
     "y = com.microsoft::Attention(x, w); z = Add(h, w)",
     NULL,
     "w: com.microsoft::Attention.1 dynamic QAttention\n"
     "w: Add.1 fold int8 folded at load"},
    {"Attention in opset 10",
     "opset 10; in x float32; init w float32[256,768]; y = com.microsoft::Attention(x, w)", NULL,
     "w: com.microsoft::Attention.1 fold int8 folded at load (QAttention on dynamic activations "
     "needs opset 11)"},
    {"Attention with heads of different sizes",
     OPSET_17 "init w float32[256,768]; "
              "y = com.microsoft::Attention(x, w) qkv_hidden_sizes=[256,256,256]",
     NULL,
     "w: com.microsoft::Attention.1 fold int8 folded at load (QAttention has no qkv_hidden_sizes)"},
    {"Attention that rotates",
     OPSET_17 "init w float32[256,768]; y = com.microsoft::Attention(x, w) do_rotary=1", NULL,
     "w: com.microsoft::Attention.1 fold int8 folded at load (QAttention has no rotary embedding)"},
    {"Attention with a bias of its own",
     OPSET_17 "init w float32[256,768]; y = com.microsoft::Attention(x, w, , , , x)", NULL,
     "w: com.microsoft::Attention.1 fold int8 folded at load (QAttention has no attention_bias)"},
    {"Attention with a length of the past",
     OPSET_17 "init w float32[256,768]; y = com.microsoft::Attention(x, w, , , p, , n)", NULL,
     "w: com.microsoft::Attention.1 fold int8 folded at load (QAttention has no "
     "past_sequence_length)"},
    {"Attention of three dimensions",
     OPSET_17 "init w float32[1,256,768]; y = com.microsoft::Attention(x, w)", NULL,
     "w: com.microsoft::Attention.1 keep (Attention takes a matrix)"},

    {"any other operator", OPSET_17 "init w float32[256,256]; y = Einsum(x, w)", NULL,
     "w: Einsum.1 fold int8 folded at load"},
    {"what is added", OPSET_17 "init w float32[256,256]; y = Add(x, w)", NULL,
     "w: Add.1 fold int16 folded at load (" ONE_BY_ONE ")"},
    {"what is added, in 8 bits", OPSET_17 "init w float32[256,256]; y = Add(x, w)",
     adjust_fold_8_bits, "w: Add.1 fold int8 folded at load"},
    {"what is added, and a product",
     OPSET_17 "init w float32[256,256]; y = Add(x, w); z = Einsum(x, w)", NULL,
     "w: Add.1 fold int16 folded at load (" ONE_BY_ONE ")\n"
     "w: Einsum.1 fold int16 folded at load (" ONE_BY_ONE ")"},
    {"short rows that are added", OPSET_17 "init w float32[256,15]; y = Add(x, w)", NULL,
     "w: Add.1 keep (rows too short for scales of their own)"},
    {"short rows of another operator", OPSET_17 "init w float32[256,15]; y = Einsum(x, w)", NULL,
     "w: Einsum.1 fold int8 folded at load"},
    {"a vector", OPSET_17 "init w float32[1,1,2048]; y = Add(x, w)", NULL,
     "w: Add.1 keep (a vector)"},
    {"quantized already", OPSET_17 "init w float32[256,256]; y = QuantizeLinear(w, s)", NULL,
     "w: QuantizeLinear.0 keep (belongs to a quantized operator)"},
    {"int64", OPSET_17 "init w int64[256,256]; y = MatMul(x, w)", NULL,
     "w: MatMul.1 keep (int64, not a float type)"},
    {"int8", OPSET_17 "init w int8[256,256]; y = MatMulInteger(x, w)", NULL,
     "w: MatMulInteger.1 keep (quantized already)"},
    {"int8 of a custom operator", OPSET_17 "init w int8[256,256]; y = custom::MatMulInteger(x, w)",
     NULL, "w: custom::MatMulInteger.1 keep (int8, not a float type)"},
    {"DequantizeLinear of weight and bias",
     OPSET_17 "init q int8[64,64]; init s float32[64]; init b int32[64]; "
              "w = DequantizeLinear(q, s) axis=1; c = DequantizeLinear(b, s); y = Gemm(x, w, c)",
     NULL,
     "q: DequantizeLinear.0 keep (quantized already)\n"
     "s: DequantizeLinear.1 keep (belongs to a quantized operator)\n"
     "s: DequantizeLinear.1 keep (belongs to a quantized operator)\n"
     "b: DequantizeLinear.0 keep (quantized already)"},
    {"what is folded",
     OPSET_17 "init q uint8[64,64]; init s float32[64,64]; init z float32[64,64]; "
              "a = Cast(q) to=1; b = Sub(a, z); w = Mul(b, s); y = Gemm(x, w)",
     NULL,
     "q: Cast.0 keep (quantized already)\n"
     "s: Mul.1 keep (scale or zero point of what is quantized already)\n"
     "z: Sub.1 keep (scale or zero point of what is quantized already)"},
    {"what is folded of 16 bits",
     OPSET_17 "init q int16[64,64]; init s float32[64,64]; "
              "a = Cast(q) to=1; w = Mul(a, s); y = Gemm(x, w)",
     NULL,
     "q: Cast.0 keep (quantized already)\n"
     "s: Mul.1 keep (scale or zero point of what is quantized already)"},
    {"rows of a table",
     OPSET_17 "init q int8[64,64]; init s float32[64,64]; g = Gather(q, i); "
              "a = Cast(g) to=1; h = Gather(s, i); w = Mul(a, h)",
     NULL,
     "q: Gather.0 keep (quantized already)\n"
     "s: Gather.0 keep (scale or zero point of what is quantized already)"},
    {"scales of a product of integers",
     OPSET_17
     "init q int8[4,64,64]; init s float32[4,1,64]; xq, xs, xz = DynamicQuantizeLinear(x); "
     "p = MatMulInteger(xq, q, xz); f = Cast(p) to=1; k = Mul(xs, s); y = Mul(f, k)",
     NULL,
     "q: MatMulInteger.1 keep (quantized already)\n"
     "s: Mul.1 keep (scale or zero point of what is quantized already)"},
    {"bytes that are data", OPSET_17 "init t uint8[64,64]; f = Cast(t) to=1; y = MatMul(f, x)",
     NULL, "t: Cast.0 keep (uint8, not a float type)"},
    {"no elements", OPSET_17 "init w float32[256,0]; y = MatMul(x, w)", NULL,
     "w: MatMul.1 keep (no elements)"},
    {"few elements", OPSET_17 "init w float32[31,33]; y = MatMul(x, w)", defaults,
     "w: MatMul.1 keep (under 1024 elements)"},
    {"just enough elements", OPSET_17 "init w float32[32,32]; y = MatMul(x, w)", defaults,
     "w: MatMul.1 fold int8 folded at load (not faster in integers under 65536 elements)"},
    {"scales as large as the weight", OPSET_17 "init w float32[2000,1,1]; y = Conv(x, w)", NULL,
     "w: Conv.1 keep (would not be smaller)"},
    {"scales nearly as large as a float16", OPSET_17 "init w float16[2000,2,2]; y = Conv(x, w)",
     NULL, "w: Conv.1 keep (would not be smaller)"},
    {"NaN", OPSET_17 "init w float32[256,256] @9=nan; y = MatMul(x, w)", NULL,
     "w: MatMul.1 keep (holds NaN or infinity)"},
    {"infinity in a fold", OPSET_17 "init w float32[8,8,3,3] @575=-inf; y = Conv(x, w)", NULL,
     "w: Conv.1 keep (holds NaN or infinity)"},
    {"NaN of float16", OPSET_17 "init w float16[256,256] packed @9=nan; y = MatMul(x, w)", NULL,
     "w: MatMul.1 keep (holds NaN or infinity)"},
    {"NaN in one weight of an LSTM",
     OPSET_17 "init w float32[1,512,64]; init r float32[1,512,128] @9=nan\n"
              "y = LSTM(x, w, r) hidden_size=128",
     NULL,
     "w: LSTM.1 fold int8 folded at load (the operator's other weight stays float)\n"
     "r: LSTM.2 keep (holds NaN or infinity)"},
    {"NaN with another weight",
     OPSET_17 "init v float32[256,256] @0=inf; " MATMUL "z = MatMul(x, v)", NULL,
     "v: MatMul.1 keep (holds NaN or infinity)\n"
     "w: MatMul.1 dynamic MatMulInteger"},

    {"nothing but denormals", OPSET_17 "init w float32[256,256] = 1.4e-36 -1e-40; y = MatMul(x, w)",
     NULL, "w: MatMul.1 keep (too small for a scale in float32)"},
    {"too small for float32",
     "opset 17; in x float64; init w float64[256,256] = 1e-50 -1e-60; y = MatMul(x, w)", NULL,
     "w: MatMul.1 keep (too small for a scale in float32)"},
    {"too small for float32 in blocks",
     OPSET_17 "init w float32[256,256] = 1e-37; y = MatMul(x, w)", adjust_blocks,
     "w: MatMul.1 keep (too small for a scale in float32)"},
    {"a column of denormals", OPSET_17 "init w float32[256,256] @7=1e-40; y = MatMul(x, w)", NULL,
     "w: MatMul.1 dynamic MatMulInteger"},
    {"a row of denormals that is divided by its norm",
     OPSET_17 "init w float32[64,32] "
              "@64=1e-40 @65=1e-40 @66=1e-40 @67=1e-40 @68=1e-40 @69=1e-40 @70=1e-40 @71=1e-40 "
              "@72=1e-40 @73=1e-40 @74=1e-40 @75=1e-40 @76=1e-40 @77=1e-40 @78=1e-40 @79=1e-40 "
              "@80=1e-40 @81=1e-40 @82=1e-40 @83=1e-40 @84=1e-40 @85=1e-40 @86=1e-40 @87=1e-40 "
              "@88=1e-40 @89=1e-40 @90=1e-40 @91=1e-40 @92=1e-40 @93=1e-40 @94=1e-40 @95=1e-40; "
              "n = ReduceL2(w) axes=[1]; y = Div(w, n)",
     NULL,
     "w: ReduceL2.0 keep (too small for a scale in float32)\n"
     "w: Div.0 keep (too small for a scale in float32)"},
    {"an outlier", OPSET_17 "init w float32[256,256] @9=1e10; y = MatMul(x, w)", NULL,
     "w: MatMul.1 keep (most of it is lost in integers beside its largest number, 1e+10)"},
    {"an offset that is taken off behind a product and a sum",
     OPSET_17 "init w float32[256,256] = 1000.01 999.99 1000; init g float32[256]\n"
              "t = MatMul(x, w); a = Add(t, x); y = LayerNormalization(a, g)",
     NULL,
     "w: MatMul.1 keep (its numbers differ by less than what they have in common)\n"
     "g: LayerNormalization.1 keep (a vector)"},
    {"an offset that 16 bits are fine enough for",
     OPSET_17 "init w float32[256,256] = 1001 999 1000; t = MatMul(x, w); y = Softmax(t)", NULL,
     "w: MatMul.1 fold int16 folded at load (its numbers differ by less than what they have in "
     "common)"},
    {"an offset that stays",
     OPSET_17 "init w float32[256,256] = 1000.01 999.99 1000; t = MatMul(x, w); y = Relu(t)", NULL,
     "w: MatMul.1 dynamic MatMulInteger"},
    {"an outlier is no offset",
     OPSET_17 "init w float32[256,256] = 100 1 -1 1 -1 1 -1; t = MatMul(x, w); y = Softmax(t)",
     NULL, "w: MatMul.1 dynamic MatMulInteger"},
    {"the same number everywhere",
     OPSET_17 "init w float32[256,256] = 1000; t = MatMul(x, w); y = Softmax(t)", NULL,
     "w: MatMul.1 dynamic MatMulInteger"},
    {"sums that could be infinite, as integers",
     OPSET_17 "init w float32[256,256] = 1e32 -1e32; y = MatMul(x, w)", NULL,
     "w: MatMul.1 dynamic MatMulInteger"},
    {"sums that could be infinite, in blocks",
     OPSET_17 "init w float32[256,256] = 1e32 -1e32; y = MatMul(x, w)", adjust_blocks,
     "w: MatMul.1 fold int8 folded at load (so large that its sums with activations could be "
     "infinite)"},
    {"sums that could be infinite, behind DequantizeLinear",
     OPSET_17 "init w float32[256,256] = 1e32 -1e32; y = MatMul(x, w)", adjust_qdq,
     "w: MatMul.1 keep (so large that its sums with activations could be infinite)"},
    {"large numbers that nothing sums up",
     OPSET_17 "init w float32[256,256] = 1e32 -1e32; y = Add(x, w)", adjust_qdq,
     "w: Add.1 fold int16 folded at load (meets other numbers one by one)"},
    {"an outlier in a block", OPSET_17 "init w float32[256,256] @9=1e10; y = MatMul(x, w)",
     adjust_blocks,
     "w: MatMul.1 keep (most of it is lost in integers beside its largest number, 1e+10)"},
    {"outliers for 16 bits",
     OPSET_17 "init w float32[256,256] = 1 -1 1 -1 1 -1 1 -1 1 2000 -1 1 -1; y = MatMul(x, w)",
     NULL,
     "w: MatMul.1 fold int16 folded at load (most of it is lost in 8 bits beside its largest "
     "number, 2e+03)"},
    {"outliers for 16 bits, which DequantizeLinear does not take in that version",
     OPSET_17 "init w float32[256,256] = 1 -1 1 -1 1 -1 1 -1 1 2000 -1 1 -1; y = MatMul(x, w)",
     adjust_qdq,
     "w: MatMul.1 fold int16 folded at load (most of it is lost in 8 bits beside its largest "
     "number, 2e+03)"},
    {"outliers for 16 bits, which are no smaller",
     OPSET_17 "init w float16[256,256] = 1 -1 1 -1 1 -1 1 -1 1 2000 -1 1 -1; y = MatMul(x, w)",
     adjust_qdq,
     "w: MatMul.1 keep (most of it is lost in integers beside its largest number, 2e+03)"},
    {"16 bits of a factor, which are no smaller", OPSET_17 "init w float16[64,64]; y = Mul(x, w)",
     NULL, "w: Mul.1 keep (meets other numbers one by one)"},
    {"16 bits of a factor, behind arithmetic of constants",
     OPSET_17 "init w float32[64,64]; init v float32[]; a = Add(w, v); b = Tanh(a); y = Mul(x, b)",
     NULL,
     "w: Add.0 fold int16 folded at load (meets other numbers one by one)\n"
     "v: Add.1 keep (a vector)"},
    {"8 bits of a weight, behind arithmetic of constants",
     OPSET_17 "init w float32[64,64]; init v float32[]; a = Mul(w, v); y = MatMul(x, a)", NULL,
     "w: Mul.0 fold int8 folded at load\n"
     "v: Mul.1 keep (a vector)"},
    {"16 bits of a factor in blocks",
     "opset 21; in x float32; init w float32[64,64]; y = Mul(x, w)", adjust_qdq_of_32,
     "w: Mul.1 fold DequantizeLinear (meets other numbers one by one)"},
    {"16 bits of a factor in 4 bits",
     "opset 21; in x float32; init w float32[64,64]; y = Mul(x, w)", adjust_qdq_4,
     "w: Mul.1 fold DequantizeLinear (meets other numbers one by one)"},
    {"a product that is an angle",
     OPSET_17 "init w float32[256,256]; t = MatMul(x, w); f = Mul(t, x); y = Cos(f)", NULL,
     "w: MatMul.1 fold int16 folded at load (its product is an angle or a coordinate)"},
    {"a product that makes coordinates",
     OPSET_17 "in z float32[1,1,8,8]; init w float32[256,256]; "
              "init s int64[4] = 1 64 128 2; t = MatMul(x, w); g = Reshape(t, s); "
              "y = GridSample(z, g)",
     NULL,
     "w: MatMul.1 fold int16 folded at load (its product is an angle or a coordinate)\n"
     "s: Reshape.1 keep (int64, not a float type)"},
    {"a product that is an angle, in blocks",
     OPSET_17 "init w float32[256,256]; t = MatMul(x, w); y = Sin(t)", adjust_blocks,
     "w: MatMul.1 fold int16 folded at load (its product is an angle or a coordinate)"},
    {"a product that is an angle, and 8 bits are asked for",
     OPSET_17 "init w float32[256,256]; t = MatMul(x, w); y = Sin(t)", adjust_fold_8_bits,
     "w: MatMul.1 fold int8 folded at load (its result is an angle, in Sin \"y\")"},
    {"a product whose small results matter, and DequantizeLinear would be one that rounds",
     OPSET_17 "init w float32[256,256]; t = MatMul(x, w); y = Reciprocal(t)", adjust_qdq,
     "w: MatMul.1 fold int16 folded at load (small results of its product matter)"},
    {"an outlier in one weight of an LSTM",
     OPSET_17 "init w float32[1,512,64]; init r float32[1,512,128] @9=1e10\n"
              "y = LSTM(x, w, r) hidden_size=128",
     NULL,
     "w: LSTM.1 fold int8 folded at load (the operator's other weight stays float)\n"
     "r: LSTM.2 keep (most of it is lost in integers beside its largest number, 1e+10)"},
    {"a mask", OPSET_17 "init w float32[256,256] = 0 0 -3.4028234e38; y = Add(x, w)", NULL,
     "w: Add.1 fold int16 folded at load (" ONE_BY_ONE ")"},
    {"an alpha that scales do not take in",
     OPSET_17 "init w float32[256,256]; y = Gemm(x, w) alpha=-3e38", NULL,
     "w: Gemm.1 fold int8 folded at load (its scales times alpha are no normal numbers)"},
    {"zeros and a large alpha, in blocks",
     OPSET_17 "init w float32[256,256] = 0; y = Gemm(x, w) alpha=3e38", adjust_blocks,
     "w: Gemm.1 fold int8 folded at load (zeros, and alpha makes noise of their scale)"},
    {"a tiny alpha, in blocks", OPSET_17 "init w float32[256,256]; y = Gemm(x, w) alpha=1e-38",
     adjust_blocks,
     "w: Gemm.1 fold int8 folded at load (its scales times alpha are no normal numbers)"},

    {"returned by the graph", OPSET_17 MATMUL "out w float32", NULL,
     "w: MatMul.1 keep (the graph returns it)\n"
     "w: graph output.0 keep (returned by the graph)"},
    {"folded, but needed in float",
     OPSET_17 "init w float32[8,8,3,3]; y = Conv(x, w); out w float32", NULL,
     "w: Conv.1 keep (the graph returns it)\n"
     "w: graph output.0 keep (returned by the graph)"},
    {"folded, but needed by another domain",
     OPSET_17 "init w float32[8,8,3,3]; y = Conv(x, w); z = custom::Op(w)", NULL,
     "w: Conv.1 keep (Op \"z\" takes it as it is)\n"
     "w: custom::Op.0 keep (no rule for custom.Op)"},
    {"dynamic and folded", OPSET_17 MATMUL "z = Add(x, w)", NULL,
     "w: MatMul.1 dynamic MatMulInteger\n"
     "w: Add.1 fold int8 folded at load"},
    {"not used", OPSET_17 "init w float32[256,256]; y = Relu(x)", NULL,
     "w: unused.0 keep (nothing uses it)"},
    {"not used beside one that is", OPSET_17 MATMUL "init v float32[256,256]", NULL,
     "w: MatMul.1 dynamic MatMulInteger\n"
     "v: unused.0 drop left out (nothing uses it)"},
    {"in an attribute", OPSET_17 "y = ConstantOfShape(x) value=float32[1]", NULL,
     ": ConstantOfShape.0 keep (in an attribute)"},

    {"an input that may be overridden",
     "ir 8; opset 17; in x float32; in w float32[256,256]; init v float32[2]\n" MATMUL
     "z = Add(x, v)",
     NULL,
     "v: Add.1 keep (a vector)\n"
     "w: MatMul.1 keep (a graph input that callers may override: options.freeze_inputs=true "
     "takes it)"},
    {"an input that may not be overridden",
     "ir 8; opset 17; in x float32; in w float32[256,256]; init v float32[2]\n" MATMUL
     "z = Add(x, v)",
     adjust_freeze_inputs,
     "v: Add.1 keep (a vector)\n"
     "w: MatMul.1 dynamic MatMulInteger"},
    {"inputs before IR version 4",
     "ir 3; opset 17; in x float32; in w float32[256,256]; init v float32[2]\n" MATMUL
     "z = Add(x, v)",
     NULL,
     "v: Add.1 keep (a vector)\n"
     "w: MatMul.1 dynamic MatMulInteger"},
    {"inputs by habit", "ir 8; opset 17; in x float32; in w float32[256,256]; " MATMUL, NULL,
     "w: MatMul.1 dynamic MatMulInteger"},

    {"an input beside what is quantized already",
     "ir 8; opset 21; in x float32; in w float32[256,256]; init q int8[256,256]\n"
     "init s float32[] = 0.5; v = DequantizeLinear(q, s); z = MatMul(x, v); " MATMUL,
     NULL,
     "q: DequantizeLinear.0 keep (quantized already)\n"
     "s: DequantizeLinear.1 keep (belongs to a quantized operator)\n"
     "w: MatMul.1 keep (a graph input that callers may override: options.freeze_inputs=true takes "
     "it)"},
    {"one row and one scale",
     "opset 17; in x float32[N,1]; init w float32[1,2048]; y = MatMul(x, w)",
     adjust_per_tensor_forced, "w: MatMul.1 dynamic MatMulInteger"},
    {"inputs by habit, but for helpers",
     "ir 8; opset 17; in x float32; in w float32[256,256]; init s float32[4]; init n int64[2000]\n"
     "z = Resize(x, x, s); r = Reshape(x, n); " MATMUL,
     NULL,
     "s: Resize.2 keep (coordinates)\n"
     "n: Reshape.1 keep (int64, not a float type)\n"
     "w: MatMul.1 dynamic MatMulInteger"},
    {"one input by intention",
     "ir 8; opset 17; in x float32; in s float32; init s float32; init n int64[2000]\n"
     "w = Constant() value=float32[256,256]; z = Mul(x, s); r = Reshape(z, n)\n"
     "y = MatMul(r, w); z2 = Identity(s); out z2 float32",
     NULL,
     "w: MatMul.1 dynamic MatMulInteger\n"
     "s: Mul.1 keep (a graph input that callers may override: options.freeze_inputs=true takes "
     "it)\n"
     "s: Identity.0 keep (a graph input that callers may override: options.freeze_inputs=true "
     "takes it)\n"
     "n: Reshape.1 keep (int64, not a float type)"},
    {"inputs by intention",
     "ir 8; opset 17; in x float32; in w float32[256,256]; init v float32[256]\n"
     "z = Add(x, v); " MATMUL,
     NULL,
     "v: Add.1 keep (a vector)\n"
     "w: MatMul.1 keep (a graph input that callers may override: options.freeze_inputs=true takes "
     "it)"},

    {"in a body",
     OPSET_17 "init w float32[256,256]; y = If(c) then_branch={ t = MatMul(x, w); out t float32 }",
     NULL, "w: MatMul.1 dynamic MatMulInteger"},
    {"in a body that is not looked into",
     OPSET_17 "init w float32[256,256]; y = If(c) then_branch={ t = MatMul(x, w); out t float32 }",
     adjust_no_subgraphs, "w: MatMul.1 keep (in a subgraph)"},
    {"a weight of a body",
     OPSET_17 "y = If(c) then_branch={ init w float32[256,256]; t = MatMul(x, w); out t float32 }",
     NULL, "w: MatMul.1 dynamic MatMulInteger"},
    {"a weight that a body hides",
     OPSET_17 MATMUL "z = If(c) then_branch={ init w int64[2]; t = Add(x, w); out t float32 }",
     NULL,
     "w: Add.1 keep (" AMBIGUOUS ")\n"
     "w: MatMul.1 keep (" AMBIGUOUS ")"},
    {"a chain of a weight that a body hides",
     OPSET_17 "init w float32[256,256]; t = Transpose(w); y = MatMul(x, t); "
              "z = If(c) then_branch={ init w int64[2]; t = Add(x, w); out t float32 }",
     NULL,
     "w: Add.1 keep (" AMBIGUOUS ")\n"
     "w: Transpose.0 keep (" AMBIGUOUS ")"},

    {"another operator type wanted", OPSET_17 MATMUL "init v float32[256,256]; z = Gemm(x, v)",
     only_gemm,
     "w: MatMul.1 keep (operator type not selected)\n"
     "v: Gemm.1 dynamic MatMulInteger"},
    {"operator type excluded", OPSET_17 MATMUL "init v float32[256,256]; z = Gemm(x, v)", no_matmul,
     "w: MatMul.1 keep (operator type excluded)\n"
     "v: Gemm.1 dynamic MatMulInteger"},
    {"weight excluded", OPSET_17 MATMUL "init v float32[256,256]; z = Gemm(x, v)", exclude_w,
     "w: MatMul.1 keep (excluded)\n"
     "v: Gemm.1 dynamic MatMulInteger"},
    {"node included", OPSET_17 MATMUL "init v float32[256,256]; n: z = Gemm(x, v)", include_node_n,
     "w: MatMul.1 keep (not included)\n"
     "v: Gemm.1 dynamic MatMulInteger"},

    {"behind a Transpose", OPSET_17 "init w float32[256,256]; t = Transpose(w); y = MatMul(x, t)",
     NULL, "w: MatMul.1 dynamic MatMulInteger"},
    {"a table behind a Transpose",
     OPSET_17 "init w float32[1024,1024]; t = Transpose(w); y = Gather(t, i)", NULL,
     "w: Transpose.0 fold int8 folded at load"},
    {"behind a Transpose that others use",
     OPSET_17 "init w float32[256,256]; t = Transpose(w); y = MatMul(x, t); z = Add(x, t)", NULL,
     "w: MatMul.1 dynamic MatMulInteger\n"
     "w: Transpose.0 fold int8 folded at load"},
    {"returned behind a chain",
     OPSET_17 "init w float32[64,64]; t = Unsqueeze(w) axes=[0]; out t float32", NULL,
     "w: Unsqueeze.0 keep (returned by the graph)"},

    {"weights alone", OPSET_17 MATMUL "init v float32[8,8,3,3]; z = Conv(x, v)", adjust_weights,
     "w: MatMul.1 fold int8 folded at load\n"
     "v: Conv.1 fold int8 folded at load"},
    {"weights alone, of an LSTM",
     OPSET_17 "init w float32[1,512,64]; init r float32[1,512,128]\n"
              "y = LSTM(x, w, r) hidden_size=128",
     adjust_weights,
     "w: LSTM.1 fold int8 folded at load\n"
     "r: LSTM.2 fold int8 folded at load"},
    {"weights alone, needed in float", OPSET_17 MATMUL "out w float32", adjust_weights,
     "w: MatMul.1 keep (the graph returns it)\n"
     "w: graph output.0 keep (returned by the graph)"},
    {"DequantizeLinear", OPSET_17 MATMUL, adjust_qdq, "w: MatMul.1 fold DequantizeLinear"},
    {"DequantizeLinear of opset 10", "opset 10; in x float32; " MATMUL, adjust_qdq,
     "w: MatMul.1 fold DequantizeLinear, one scale"},
    {"DequantizeLinear of opset 9", "opset 9; in x float32; " MATMUL, adjust_qdq,
     "w: MatMul.1 keep (DequantizeLinear needs opset 10)"},
    {"blocks", OPSET_17 MATMUL "init v float32[8,8,3,3]; z = Conv(x, v)", adjust_blocks,
     "w: MatMul.1 dynamic MatMulNBits, 8 bits in blocks of 128\n"
     "v: Conv.1 fold int8 folded at load (no operator takes it in blocks)"},
    {"blocks of a small weight", OPSET_17 "init w float32[256,255]; y = MatMul(x, w)",
     adjust_blocks_4,
     "w: MatMul.1 fold int8 folded at load (not faster in integers under 65536 elements)"},
    {"blocks of many rows", OPSET_17 "init w float32[40000,2]; y = MatMul(x, w)", adjust_blocks_4,
     "w: MatMul.1 dynamic MatMulNBits, 4 bits in blocks of 32"},
    {"blocks of a batch", OPSET_17 "init w float32[2,256,256]; y = MatMul(x, w)", adjust_blocks,
     "w: MatMul.1 fold int8 folded at load (no operator takes batches of matrices in blocks)"},
    {"blocks of the left factor", OPSET_17 "init w float32[512,256]; y = MatMul(w, x)",
     adjust_blocks, "w: MatMul.0 fold int8 folded at load (no operator takes it in blocks)"},
    {"blocks of few rows", OPSET_17 "init w float32[8,9000]; y = MatMul(x, w)",
     adjust_blocks_force_integer, "w: MatMul.1 dynamic MatMulNBits, 8 bits in blocks of 16"},
    {"blocks of which half would be padding", OPSET_17 "init w float32[130,512]; y = MatMul(x, w)",
     adjust_blocks, "w: MatMul.1 dynamic MatMulNBits, 8 bits in blocks of 32"},
    {"blocks of which little is padding", OPSET_17 "init w float32[230,512]; y = MatMul(x, w)",
     adjust_blocks, "w: MatMul.1 dynamic MatMulNBits, 8 bits in blocks of 128"},
    {"blocks of float16 in few columns", OPSET_17 "init w float16[8,9000]; y = MatMul(x, w)",
     adjust_blocks_force_integer,
     "w: MatMul.1 fold int8 folded at load (would not be smaller otherwise)"},
    {"blocks of what would shrink in no way", OPSET_17 "init w float16[1,9000]; y = MatMul(x, w)",
     adjust_blocks_force_integer, "w: MatMul.1 keep (would not be smaller)"},
    {"blocks of an LSTM",
     OPSET_17 "init w float32[1,512,64]; init r float32[1,512,128]\n"
              "y = LSTM(x, w, r) hidden_size=128",
     adjust_blocks,
     "w: LSTM.1 fold int8 folded at load (no operator takes it in blocks)\n"
     "r: LSTM.2 fold int8 folded at load (no operator takes it in blocks)"},
    {"blocks of a table", OPSET_17 "init w float32[16384,65]; y = Gather(w, i)", adjust_blocks,
     "w: Gather.0 dynamic GatherBlockQuantized, 8 bits in blocks of 128"},
    {"blocks of 4 bits of odd rows", OPSET_17 "init w float32[16384,65]; y = Gather(w, i)",
     adjust_blocks_4,
     "w: Gather.0 fold int8 folded at load (GatherBlockQuantized takes 4 bits in rows of even "
     "length)"},
    {"blocks of a table, for an engine that has none",
     OPSET_17 "init w float32[16384,64]; y = Gather(w, i)", adjust_blocks_4_for_1_18,
     "w: Gather.0 fold int8 folded at load (GatherBlockQuantized with bits needs ONNX Runtime "
     "1.23)"},
    {"DequantizeLinear between integers, for an engine without that product",
     "opset 21; in q uint8; init s float32[] = 1; x = DequantizeLinear(q, s); " MATMUL,
     adjust_qdq_for_1_19,
     "s: DequantizeLinear.1 keep (belongs to a quantized operator)\n"
     "w: MatMul.1 fold int8 folded at load"},
    {"DequantizeLinear between integers, for an engine with it",
     "opset 21; in q uint8; init s float32[] = 1; x = DequantizeLinear(q, s); " MATMUL,
     adjust_qdq_for_1_20,
     "s: DequantizeLinear.1 keep (belongs to a quantized operator)\n"
     "w: MatMul.1 fold DequantizeLinear"},
    {"blocks of gathered columns", OPSET_17 "init w float32[64,16384]; y = Gather(w, i) axis=1",
     adjust_blocks,
     "w: Gather.0 fold int8 folded at load (GatherBlockQuantized gathers along axis 0)"},
    {"NF4", OPSET_17 MATMUL "init t float32[16384,64]; z = Gather(t, i)", adjust_nf4_of_64,
     "w: MatMul.1 dynamic MatMulBnb4, nf4 in blocks of 64\n"
     "t: Gather.0 dynamic GatherBlockQuantized, 4 bits in blocks of 64"},
    {"blocks with NaN", OPSET_17 "init w float32[256,256] @9=nan; y = MatMul(x, w)", adjust_blocks,
     "w: MatMul.1 keep (holds NaN or infinity)"},
    {"blocks of what is returned", OPSET_17 MATMUL "out w float32", adjust_blocks,
     "w: MatMul.1 keep (the graph returns it)\n"
     "w: graph output.0 keep (returned by the graph)"},
    {"tied embedding in blocks",
     OPSET_17 "init w float32[16384,64]; e = Gather(w, i); t = Transpose(w); y = MatMul(e, t)",
     adjust_blocks_force_integer,
     "w: MatMul.1 dynamic MatMulNBits, 8 bits in blocks of 64\n"
     "w: Gather.0 dynamic GatherBlockQuantized, 8 bits in blocks of 64"},
    {"DequantizeLinear in blocks", "opset 21; in x float32; " MATMUL, adjust_qdq_of_32,
     "w: MatMul.1 fold DequantizeLinear, 8 bits in blocks of 32"},
    {"DequantizeLinear in blocks of opset 20", "opset 20; in x float32; " MATMUL, adjust_qdq_of_32,
     "w: MatMul.1 keep (blocks need opset 21, the model has 20)"},
    {"DequantizeLinear of 4 bits", "opset 21; in x float32; " MATMUL, adjust_qdq_4,
     "w: MatMul.1 fold DequantizeLinear, 4 bits"},
    {"DequantizeLinear of 4 bits and opset 20", "opset 20; in x float32; " MATMUL, adjust_qdq_4,
     "w: MatMul.1 keep (4 bits need opset 21, the model has 20)"},
    {"DequantizeLinear in blocks of a short axis",
     "opset 21; in x float32; init w float32[8,8,3,3]; y = Conv(x, w)", adjust_qdq_of_32,
     "w: Conv.1 fold DequantizeLinear"},
    {"DequantizeLinear of a vector that is one block",
     "opset 21; in x float32; init w float32[32]; y = MatMul(x, w)", adjust_qdq_of_32,
     "w: MatMul.1 fold DequantizeLinear"},
    {"DequantizeLinear in blocks between integers",
     "opset 21; in q uint8; init s float32[] = 1; x = DequantizeLinear(q, s); " MATMUL,
     adjust_qdq_of_32,
     "s: DequantizeLinear.1 keep (belongs to a quantized operator)\n"
     "w: MatMul.1 fold DequantizeLinear"},
};

/* Values have kept something as it is, or given it 16 bits. */
static bool did_values_decide(const char *plan)
{
    return strstr(plan, "NaN or infinity") != NULL ||
           strstr(plan, "a typical weight keeps") != NULL ||
           strstr(plan, "beside its largest") != NULL ||
           strstr(plan, "too small for a scale") != NULL || strstr(plan, "times alpha") != NULL ||
           strstr(plan, "could be infinite") != NULL || strstr(plan, "have in common") != NULL;
}

/* What a look at the weights cannot change is known without one. */
static void check_estimate(const onnxq_model *model, const onnxq_options *options,
                           const onnxq_plan *plan)
{
    const onnxq_plan *estimate = test_estimate(model, options);
    onnxq_error error;
    const onnxq_summary *expected = onnxq_plan_get_summary(plan);
    const onnxq_summary *actual = onnxq_plan_get_summary(estimate);
    assert_int_equal(expected->n_undecided, 0);
    assert_int_equal(onnxq_plan_write(estimate, test_path("estimate.onnx"), &error),
                     ONNXQ_ERROR_OPTION);
    check_text(error.message, "the plan is an estimate, expected one of onnxq_plan_create()");
    assert_false(test_exists(test_path("estimate.onnx")));
    if (did_values_decide(test_plan_text(plan)))
        return;
    check_text(test_plan_text(estimate), test_plan_text(plan));
    assert_int_equal(actual->n_quantized, expected->n_quantized);
    assert_int_equal(actual->nbytes_after, expected->nbytes_after);
    assert_int_equal(actual->weight_nbytes_after, expected->weight_nbytes_after);
    assert_int_equal(actual->external_nbytes_after, expected->external_nbytes_after);
}

static void test_decision(void **state)
{
    const struct row *row = *state;
    onnxq_options options = test_options();
    options.min_elements = 1;
    if (row->adjust != NULL)
        row->adjust(&options);
    const onnxq_model *model = test_model(row->text);
    const onnxq_plan *plan = test_plan(model, &options);
    check_text(test_plan_text(plan), row->expected);
    check_estimate(model, &options, plan);
}

/* --- without a look at the weights --- */

static void test_undecided(void **state)
{
    (void)state;
    const onnxq_model *model =
        test_model(OPSET_17 "init w float32[2,480,1] = " OUTLIERS "; y = Conv(x, w)\n"
                            "init v float32[256,256]; u = MatMul(x, v); " RECURRENT);
    onnxq_options options = test_options();
    const onnxq_summary *summary = onnxq_plan_get_summary(test_estimate(model, &options));
    assert_int_equal(summary->n_undecided, 1);
    options.fold_bits = 8;
    summary = onnxq_plan_get_summary(test_estimate(model, &options));
    assert_int_equal(summary->n_undecided, 0);
}

/* Weights that are not there in full are not missed. */
static void test_estimate_reads_nothing(void **state)
{
    (void)state;
    const onnxq_model *model = test_model(OPSET_17 "init w float32[256,256] external\n"
                                                   "y = MatMul(x, w)");
    onnxq_options options = test_options();
    onnxq_error error;
    assert_int_equal(truncate(test_path("model.onnx.data"), 0), 0);
    assert_null(onnxq_plan_create(model, &options, &error));
    assert_int_equal(error.status, ONNXQ_ERROR_INPUT);
    check_text(test_plan_text(test_estimate(model, &options)), "w: MatMul.1 dynamic MatMulInteger");
}

/* --- tensors that are in no graph --- */

/* It imports no operator set: what its operators do is not known. */
static void test_local_function(void **state)
{
    (void)state;
    struct builder *builder =
        test_builder(OPSET_17 "init w float32[256,256]; y = local::Linear(x, w)");
    Oq__Pb__FunctionProto *function = builder_alloc(builder, 1, sizeof(*function));
    Oq__Pb__GraphProto body = OQ__PB__GRAPH_PROTO__INIT;
    oq__pb__function_proto__init(function);
    function->name = builder_text(builder, "Linear");
    function->domain = builder_text(builder, "local");
    Oq__Pb__NodeProto *constant =
        builder_node(builder, &body, "Constant", NULL, (const char *const[]){NULL},
                     (const char *const[]){"v", NULL});
    Oq__Pb__AttributeProto *attribute = builder_attribute(
        builder, constant, "value", OQ__PB__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR);
    attribute->t = builder_tensor(builder, "v", 1, (const int64_t[]){256, 256}, 2);
    double *zeros = test_alloc(65536 * sizeof(*zeros));
    builder_store(builder, attribute->t, BUILDER_RAW, zeros, 65536);
    function->node = body.node;
    function->n_node = body.n_node;
    builder_append(builder, &builder->model->functions, &builder->model->n_functions, function);
    onnxq_options options = test_options();
    check_text(
        test_plan_text(test_plan(test_open(builder), &options)),
        "w: local::Linear.1 keep (local function Linear is not written out: it has operators of "
        "other versions, sparse tensors, bodies as attributes or the name of a known operator, is "
        "in "
        "too many others, or comes to too many nodes)\n"
        "v: .0 keep (in a local function, a sparse tensor or training information)");
}

static void test_unknown_type(void **state)
{
    (void)state;
    struct builder *builder = test_builder(OPSET_17 MATMUL);
    onnxq_options options = test_options();
    builder->graph->initializer[0]->data_type = 99;
    check_text(test_plan_text(test_plan(test_open(builder), &options)),
               "w: MatMul.1 keep (a type that onnxq does not know)");
}

/* Of 2^28 elements and more: too large to be folded. The file has no blocks. */
static void test_huge_fold(void **state)
{
    (void)state;
    struct builder *builder = test_builder(OPSET_17 "y = Add(x, w)");
    onnxq_options options = test_options();
    static const int64_t dims[] = {16385, 16384};
    Oq__Pb__TensorProto *tensor = builder_tensor(builder, "w", 1, dims, 2);
    builder_external(builder, tensor, "location", "side");
    builder_initializer(builder, builder->graph, tensor);
    test_write_file(test_path("side"), "", 0);
    if (truncate(test_path("side"), (off_t)(dims[0] * dims[1] * 4)) != 0)
        skip(); /* no sparse files here */
    check_text(test_plan_text(test_plan(test_open(builder), &options)),
               "w: Add.1 keep (over 1 GiB as float: engines do not fold it)");
}

/* --- what a plan says of a weight --- */

static const struct weight_row {
    const char *name, *text;
    adjust_fn adjust;
    onnxq_action action;
    uint64_t nelem, nbytes, nbytes_after, n_scales;
    int channel_axis;
    unsigned bits;
    uint64_t block_size;
} weights[] = {
    {"dynamic", OPSET_17 MATMUL, NULL, ONNXQ_DYNAMIC, 65536, 262144, 65536 + 256 * 4, 256, 1, 8, 0},
    {"turned", OPSET_17 "init w float32[512,128]; y = Gemm(x, w) transB=1", NULL, ONNXQ_DYNAMIC,
     65536, 262144, 65536 + 512 * 4, 512, 0, 8, 0},
    {"folded", OPSET_17 "init w float32[8,8,3,3]; y = Conv(x, w)", NULL, ONNXQ_FOLD, 576, 2304,
     576 + 8 * 4, 8, 0, 8, 0},
    {"folded float16", OPSET_17 "init w float16[8,8,3,3]; y = Conv(x, w)", NULL, ONNXQ_FOLD, 576,
     1152, 576 + 8 * 4, 8, 0, 8, 0},
    {"kept", OPSET_17 "init w int64[9]; y = Add(x, w)", NULL, ONNXQ_KEEP, 9, 72, 72, 0, -1, 0, 0},
    {"kept beside", OPSET_17 MATMUL "out w float32", NULL, ONNXQ_KEEP, 65536, 262144, 262144, 0, -1,
     0, 0},
    {"dynamic and folded", OPSET_17 MATMUL "z = Add(x, w)", NULL, ONNXQ_DYNAMIC, 65536, 262144,
     65536 + 2 * 256 * 4, 256, 1, 8, 0},
    {"used twice", OPSET_17 MATMUL "z = MatMul(x, w)", NULL, ONNXQ_DYNAMIC, 65536, 262144,
     65536 + 256 * 4, 256, 1, 8, 0},
    /* The scale is written once for every column: engines fuse no other form. */
    {"per tensor", OPSET_17 MATMUL, adjust_per_tensor_asymmetric, ONNXQ_DYNAMIC, 65536, 262144,
     65536 + 4 + 1, 1, -1, 8, 0},
    {"asymmetric", OPSET_17 MATMUL, adjust_asymmetric, ONNXQ_DYNAMIC, 65536, 262144,
     65536 + 256 * 4 + 256, 256, 1, 8, 0},
    {"blocks", OPSET_17 MATMUL, adjust_blocks, ONNXQ_DYNAMIC, 65536, 262144, 65536 + 512 * 4, 512,
     0, 8, 128},
    {"blocks of 4 bits", OPSET_17 MATMUL, adjust_blocks_4_asymmetric, ONNXQ_DYNAMIC, 65536, 262144,
     32768 + 2048 * 4 + 1024, 2048, 0, 4, 32},
    {"DequantizeLinear of 4 bits", "opset 21; in x float32; " MATMUL, adjust_qdq_4, ONNXQ_FOLD,
     65536, 262144, 32768 + 256 * 4 + 128, 256, 1, 4, 0},
};

static void test_weight(void **state)
{
    const struct weight_row *row = *state;
    onnxq_options options = test_options();
    if (row->adjust != NULL)
        row->adjust(&options);
    const onnxq_plan *plan = test_plan(test_model(row->text), &options);
    const onnxq_weight *weight = onnxq_plan_get(plan, 0);
    assert_string_equal(weight->name, "w");
    assert_int_equal(weight->action, row->action);
    assert_int_equal(weight->nelem, row->nelem);
    assert_int_equal(weight->nbytes, row->nbytes);
    assert_int_equal(weight->nbytes_after, row->nbytes_after);
    assert_int_equal(weight->n_scales, row->n_scales);
    assert_int_equal(weight->channel_axis, row->channel_axis);
    assert_int_equal(weight->bits, row->bits);
    assert_int_equal(weight->block_size, row->block_size);

    const onnxq_summary *summary = onnxq_plan_get_summary(plan);
    assert_int_equal(summary->n_weights, 1);
    assert_int_equal(summary->n_quantized, row->action != ONNXQ_KEEP);
    assert_int_equal(summary->weight_nbytes_before, row->nbytes);
    assert_int_equal(summary->weight_nbytes_after, row->nbytes_after);
}

/* Wherever it is: not all blocks are looked into. */
static const struct outlier_row {
    const char *name, *product;
    void (*adjust)(onnxq_options *options);
} outliers[] = {
    {"blocks that lie side by side", "MatMul(x, w)", adjust_blocks},
    {"4 bits that lie side by side", "MatMul(x, w)", adjust_blocks_4},
    {"blocks that lie in one piece", "Gemm(x, w) transB=1", adjust_blocks},
    {"4 bits that lie in one piece", "Gemm(x, w) transB=1", adjust_blocks_4},
    {"zero points", "MatMul(x, w)", adjust_blocks_4_asymmetric},
    {"channels", "MatMul(x, w)", NULL},
};

static void test_outlier(void **state)
{
    const struct outlier_row *row = *state;
    onnxq_options options = test_options();
    if (row->adjust != NULL)
        row->adjust(&options);
    for (size_t at = 0; at < 65536; at += 1009) {
        const char *text =
            test_printf(OPSET_17 "init w float32[256,256] @%zu=1e10; y = %s", at, row->product);
        const onnxq_weight *weight = onnxq_plan_get(test_plan(test_model(text), &options), 0);
        assert_string_equal(weight->uses[0].reason,
                            "most of it is lost in integers beside its largest number, 1e+10");
    }
}

/* Names are those of the file, and graph and node are named too. */
static void test_use(void **state)
{
    (void)state;
    onnxq_options options = test_options();
    const onnxq_plan *plan = test_plan(
        test_model(OPSET_17 "init w float32[256,256]; a: p = MatMul(x, w); q = MatMul(x, w)\n"
                            "y = If(c) then_branch={ t = MatMul(x, w); out t float32 }"),
        &options);
    const onnxq_weight *weight = onnxq_plan_get(plan, 0);
    assert_int_equal(weight->n_uses, 3);
    assert_string_equal(weight->uses[0].graph, "main");
    assert_string_equal(weight->uses[0].node, "a");
    assert_string_equal(weight->uses[1].node, "q");
    assert_string_equal(weight->uses[2].graph, "then_branch");
    assert_string_equal(weight->uses[2].node, "t");
    assert_string_equal(weight->dtype, "float32");
    assert_int_equal(weight->n_dims, 2);
    assert_int_equal(weight->dims[1], 256);
}

/* Threads change nothing about what is measured. */
static void test_threads(void **state)
{
    (void)state;
    const onnxq_model *model = test_model(
        OPSET_17 "init a float32[700,900]; init b float32[900,700]; init c float32[5,200000]\n"
                 "p = MatMul(x, a); q = Gemm(x, b) transB=1; r = Gemm(x, c)");
    const float *first[3] = {NULL};
    for (unsigned threads = 1; threads <= 8; threads++) {
        onnxq_options options = test_options();
        options.output.threads = threads;
        const onnxq_plan *plan = test_plan(model, &options);
        for (size_t i = 0; i < 3; i++) {
            const struct oq_ranges *ranges = plan->constants[i].quantized->ranges;
            if (threads == 1)
                first[i] = ranges->scale;
            else
                assert_memory_equal(ranges->scale, first[i], ranges->n_scales * sizeof(float));
        }
    }
}

/* --- DequantizeLinear -> QuantizeLinear --- */

#define PAIR                                                                                       \
    "opset 21; in q int8; init s float32[] = 0.5; init z int8[] = 3\n"                             \
    "x = DequantizeLinear(q, s, z); "

static const struct pair_row {
    const char *name, *text;
    adjust_fn adjust;
    size_t n_removed;
} pairs[] = {
    {"the same", PAIR "r = QuantizeLinear(x, s, z); y = Op(r)", adjust_qdq, 1},
    {"another method", PAIR "r = QuantizeLinear(x, s, z); y = Op(r)", NULL, 0},
    {"not used", PAIR "r = QuantizeLinear(x, s, z)", adjust_qdq, 0},
    {"equal constants",
     PAIR "init t float32[] = 0.5; init u int8[] = 3; r = QuantizeLinear(x, t, u); y = Op(r)",
     adjust_qdq, 1},
    {"equal constants in fields",
     "opset 21; in q int8; init s float32[] packed = 0.5; init z int8[] packed = 3\n"
     "init t float32[] packed = 0.5; init u int8[] packed = 3\n"
     "x = DequantizeLinear(q, s, z); r = QuantizeLinear(x, t, u); y = Op(r)",
     adjust_qdq, 1},
    {"equal constants of one element",
     PAIR "init t float32[1] = 0.5; r = QuantizeLinear(x, t, z); y = Op(r)", adjust_qdq, 1},
    {"unlike scales", PAIR "init t float32[] = 0.25; r = QuantizeLinear(x, t, z); y = Op(r)",
     adjust_qdq, 0},
    {"unlike zero points", PAIR "init u int8[] = 4; r = QuantizeLinear(x, s, u); y = Op(r)",
     adjust_qdq, 0},
    {"unlike zero points in fields",
     "opset 21; in q int8; init s float32[] = 0.5; init z int8[] packed = 3; init u int8[] packed "
     "= 4\n"
     "x = DequantizeLinear(q, s, z); r = QuantizeLinear(x, s, u); y = Op(r)",
     adjust_qdq, 0},
    {"unlike types", PAIR "init u uint8[] = 3; r = QuantizeLinear(x, s, u); y = Op(r)", adjust_qdq,
     0},
    {"one zero point missing", PAIR "r = QuantizeLinear(x, s); y = Op(r)", adjust_qdq, 0},
    {"a zero point that is no constant", PAIR "in u int8; r = QuantizeLinear(x, s, u); y = Op(r)",
     adjust_qdq, 0},
    {"a scale that is no constant",
     "opset 21; in q int8; in s float32[]; init z int8[] = 3\n"
     "x = DequantizeLinear(q, s, z); r = QuantizeLinear(x, s, z); y = Op(r)",
     adjust_qdq, 0},
    {"a scale that callers may override",
     "ir 8; opset 21; in q int8; in s float32[]; init s float32[] = 0.5; init z int8[] = 3\n"
     "x = DequantizeLinear(q, s, z); r = QuantizeLinear(x, s, z); y = Op(r)",
     adjust_qdq, 0},
    {"a scale that is no normal number",
     "opset 21; in q int8; init s float32[] = 1e-40; init z int8[] = 3\n"
     "x = DequantizeLinear(q, s, z); r = QuantizeLinear(x, s, z); y = Op(r)",
     adjust_qdq, 0},
    {"one scale that is NaN",
     "opset 21; in q int8; init s float32[300] @299=nan; init z int8[300] = 3\n"
     "x = DequantizeLinear(q, s, z); r = QuantizeLinear(x, s, z); y = Op(r)",
     adjust_qdq, 0},
    {"a scale of float16",
     "opset 21; in q int8; init s float16[] = 0.5; init z int8[] = 3\n"
     "x = DequantizeLinear(q, s, z); r = QuantizeLinear(x, s, z); y = Op(r)",
     adjust_qdq, 0},
    {"integers of 32 bits",
     "opset 21; in q int32; init s float32[] = 0.5; init z int32[] = 3\n"
     "x = DequantizeLinear(q, s, z); r = QuantizeLinear(x, s, z); y = Op(r)",
     adjust_qdq, 0},
    {"integers of 16 bits",
     "opset 21; in q int16; init s float32[] = 0.5; init z int16[] = 3\n"
     "x = DequantizeLinear(q, s, z); r = QuantizeLinear(x, s, z); y = Op(r)",
     adjust_qdq, 1},
    {"along an axis",
     "opset 21; in q int8; init s float32[4] = 0.5 0.25; init z int8[4] = 3\n"
     "x = DequantizeLinear(q, s, z) axis=0; r = QuantizeLinear(x, s, z) axis=0; y = Op(r)",
     adjust_qdq, 1},
    {"unlike axes",
     "opset 21; in q int8; init s float32[4] = 0.5 0.25; init z int8[4] = 3\n"
     "x = DequantizeLinear(q, s, z); r = QuantizeLinear(x, s, z) axis=0; y = Op(r)",
     adjust_qdq, 0},
    {"unlike blocks",
     "opset 21; in q int8; init s float32[4,4] = 0.5 0.25; init z int8[4,4] = 3\n"
     "x = DequantizeLinear(q, s, z) block_size=2; r = QuantizeLinear(x, s, z) block_size=4\n"
     "y = Op(r)",
     adjust_qdq, 0},
    {"a product of float16", PAIR "r = QuantizeLinear(x, s, z) precision=10; y = Op(r)", adjust_qdq,
     0},
    {"inputs missing",
     "opset 21; in q int8; x = DequantizeLinear(q); r = QuantizeLinear(x)\n"
     "y = Op(r)",
     adjust_qdq, 0},
    {"of another domain", PAIR "r = com.microsoft::QuantizeLinear(x, s, z); y = Op(r)", adjust_qdq,
     0},
};

static void test_pairs(void **state)
{
    const struct pair_row *row = *state;
    onnxq_options options = test_options();
    if (row->adjust != NULL)
        row->adjust(&options);
    const onnxq_summary *summary =
        onnxq_plan_get_summary(test_plan(test_model(row->text), &options));
    assert_int_equal(summary->n_round_trips_removed, row->n_removed);
}

int main(void)
{
    TEST_ROWS(test_pairs, pairs);
    TEST_ROWS(test_decision, rows);
    TEST(test_undecided);
    TEST(test_estimate_reads_nothing);
    TEST(test_local_function);
    TEST(test_unknown_type);
    TEST(test_huge_fold);
    TEST_ROWS(test_weight, weights);
    TEST_ROWS(test_outlier, outliers);
    TEST(test_use);
    TEST(test_threads);
    return suite_run();
}
