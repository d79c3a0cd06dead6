/* The graph that comes out, operator by operator. */
#include "quantize/plan/plan.h"

#include <string.h>

#include "support/adjust.h"
#include "support/sound.h"
#include "support/models.h"

#define PAIR    "opset 21; in q int8; init s float32[] = 0.5; init z int8[] = 3; "
#define X_AND_W "opset 17; in x float32; init w float32[128,512]; "

/* What becomes of w float32[128,512] and of y = MatMul(x, w), in nearly every row below. */
#define INTEGERS                                                                                   \
    "init w_quantized int8[128,512]\n"                                                             \
    "init w_scale float32[512]\n"
#define PRODUCT                                                                                    \
    "x_quantized, x_scale, x_zero_point = DynamicQuantizeLinear(x)\n"                              \
    "y_int32 = MatMulInteger(x_quantized, w_quantized, x_zero_point)\n"                            \
    "y_int32_cast = Cast(y_int32) to=1\n"                                                          \
    "y_int32_scale = Mul(x_scale, w_scale)\n"
#define MATMUL PRODUCT "y = Mul(y_int32_cast, y_int32_scale)\n"

/* A product, a bias and another path, added. */
#define RESIDUAL                                                                                   \
    X_AND_W                                                                                        \
    "in r float32[N,512]; init b float32[512]; init g float32[512]; info s float32[N,512]\n"       \
    "y = MatMul(x, w); z = Add(y, b); s = Add(z, r)\n"
#define RESIDUAL_INTEGERS                                                                          \
    "in x float32\nin r float32[N,512]\ninit b float32[512]\ninit g float32[512]\n" INTEGERS
#define RESIDUAL_NODES MATMUL "z = Add(y, b)\n"

/* In the order in, init, info, nodes, out; see text.h. */
static const struct row {
    const char *name, *text;
    adjust_fn adjust;
    const char *expected;
} rows[] = {
    {"MatMul",
     "opset 17; in x float32[N,128]; init w float32[128,512]; y = MatMul(x, w)\n"
     "out y float32[N,512]",
     NULL, "in x float32[N,128]\n" INTEGERS MATMUL "out y float32[N,512]\n"},
    {"MatMul, asymmetric",
     "opset 17; in x float32[N,128]; init w float32[128,512]; y = MatMul(x, w); out y float32",
     adjust_asymmetric,
     "in x float32[N,128]\n" INTEGERS "init w_zero_point int8[512]\n"
     "x_quantized, x_scale, x_zero_point = DynamicQuantizeLinear(x)\n"
     "y_int32 = MatMulInteger(x_quantized, w_quantized, x_zero_point, w_zero_point)\n"
     "y_int32_cast = Cast(y_int32) to=1\n"
     "y_int32_scale = Mul(x_scale, w_scale)\n"
     "y = Mul(y_int32_cast, y_int32_scale)\n"
     "out y float32\n"},
    {"MatMul, per tensor",
     "opset 17; in x float32[N,128]; init w float32[128,512]; y = MatMul(x, w); out y float32",
     adjust_per_tensor,
     "in x float32[N,128]\n"
     "init w_quantized int8[128,512]\n"
     "init w_scale float32[]\n" MATMUL "out y float32\n"},
    {"MatMul, asymmetric per tensor",
     "opset 17; in x float32[N,128]; init w float32[128,512]; y = MatMul(x, w); out y float32",
     adjust_per_tensor_asymmetric,
     "in x float32[N,128]\n"
     "init w_quantized int8[128,512]\n"
     "init w_scale float32[]\n"
     "init w_zero_point int8[]\n"
     "x_quantized, x_scale, x_zero_point = DynamicQuantizeLinear(x)\n"
     "y_int32 = MatMulInteger(x_quantized, w_quantized, x_zero_point, w_zero_point)\n"
     "y_int32_cast = Cast(y_int32) to=1\n"
     "y_int32_scale = Mul(x_scale, w_scale)\n"
     "y = Mul(y_int32_cast, y_int32_scale)\n"
     "out y float32\n"},
    {"MatMul, uint8",
     "opset 17; in x float32[N,128]; init w float32[128,512]; y = MatMul(x, w); out y float32",
     adjust_uint8,
     "in x float32[N,128]\n"
     "init w_quantized uint8[128,512]\n"
     "init w_scale float32[512]\n"
     "init w_zero_point uint8[]\n"
     "x_quantized, x_scale, x_zero_point = DynamicQuantizeLinear(x)\n"
     "y_int32 = MatMulInteger(x_quantized, w_quantized, x_zero_point, w_zero_point)\n"
     "y_int32_cast = Cast(y_int32) to=1\n"
     "y_int32_scale = Mul(x_scale, w_scale)\n"
     "y = Mul(y_int32_cast, y_int32_scale)\n"
     "out y float32\n"},
    {"MatMul of float16",
     "opset 17; in x float16[N,128]; init w float16[128,512]; y = MatMul(x, w); out y float16",
     NULL,
     "in x float16[N,128]\n" INTEGERS "x_f32 = Cast(x) to=1\n"
     "x_f32_quantized, x_f32_scale, x_f32_zero_point = DynamicQuantizeLinear(x_f32)\n"
     "y_int32 = MatMulInteger(x_f32_quantized, w_quantized, x_f32_zero_point)\n"
     "y_int32_cast = Cast(y_int32) to=1\n"
     "y_int32_scale = Mul(x_f32_scale, w_scale)\n"
     "y_f32 = Mul(y_int32_cast, y_int32_scale)\n"
     "y = Cast(y_f32) to=10\n"
     "out y float16\n"},
    {"MatMul of batches",
     "opset 17; in x float32[5,128]; init w float32[2,3,128,512]; y = MatMul(x, w); out y float32",
     NULL,
     "in x float32[5,128]\n"
     "init w_quantized int8[2,3,128,512]\n"
     "init w_scale float32[2,3,1,512]\n" MATMUL "out y float32\n"},
    {"MatMul of a Constant",
     "opset 17; in x float32; w = Constant() value=float32[128,512]; y = MatMul(x, w); out y "
     "float32",
     NULL, "in x float32\n" INTEGERS MATMUL "out y float32\n"},
    {"activation shared by three",
     "opset 17; in x float32; init a float32[128,512]; init b float32[128,512]\n"
     "init c float32[512,128]; p = MatMul(x, a); q = MatMul(x, b); r = Gemm(x, c) transB=1\n"
     "out p float32; out q float32; out r float32",
     NULL,
     "in x float32\n"
     "init a_quantized int8[128,512]\n"
     "init a_scale float32[512]\n"
     "init b_quantized int8[128,512]\n"
     "init b_scale float32[512]\n"
     "init c_quantized int8[128,512]\n"
     "init c_scale float32[512]\n"
     "x_quantized, x_scale, x_zero_point = DynamicQuantizeLinear(x)\n"
     "p_int32 = MatMulInteger(x_quantized, a_quantized, x_zero_point)\n"
     "p_int32_cast = Cast(p_int32) to=1\n"
     "p_int32_scale = Mul(x_scale, a_scale)\n"
     "p = Mul(p_int32_cast, p_int32_scale)\n"
     "q_int32 = MatMulInteger(x_quantized, b_quantized, x_zero_point)\n"
     "q_int32_cast = Cast(q_int32) to=1\n"
     "q_int32_scale = Mul(x_scale, b_scale)\n"
     "q = Mul(q_int32_cast, q_int32_scale)\n"
     "r_int32 = MatMulInteger(x_quantized, c_quantized, x_zero_point)\n"
     "r_int32_cast = Cast(r_int32) to=1\n"
     "r_int32_scale = Mul(x_scale, c_scale)\n"
     "r = Mul(r_int32_cast, r_int32_scale)\n"
     "out p float32\n"
     "out q float32\n"
     "out r float32\n"},
    {"weight shared by two",
     "opset 17; in x float32; in z float32; init w float32[128,512]; p = MatMul(x, w)\n"
     "q = MatMul(z, w); out p float32; out q float32",
     NULL,
     "in x float32\n"
     "in z float32\n" INTEGERS "x_quantized, x_scale, x_zero_point = DynamicQuantizeLinear(x)\n"
     "p_int32 = MatMulInteger(x_quantized, w_quantized, x_zero_point)\n"
     "p_int32_cast = Cast(p_int32) to=1\n"
     "p_int32_scale = Mul(x_scale, w_scale)\n"
     "p = Mul(p_int32_cast, p_int32_scale)\n"
     "z_quantized, z_scale, z_zero_point = DynamicQuantizeLinear(z)\n"
     "q_int32 = MatMulInteger(z_quantized, w_quantized, z_zero_point)\n"
     "q_int32_cast = Cast(q_int32) to=1\n"
     "q_int32_scale = Mul(z_scale, w_scale)\n"
     "q = Mul(q_int32_cast, q_int32_scale)\n"
     "out p float32\n"
     "out q float32\n"},
    {"one after the other",
     "opset 17; in x float32; init a float32[256,256]; init b float32[256,256]\n"
     "p = MatMul(x, a); q = Relu(p); r = MatMul(q, b); out r float32",
     NULL,
     "in x float32\n"
     "init a_quantized int8[256,256]\n"
     "init a_scale float32[256]\n"
     "init b_quantized int8[256,256]\n"
     "init b_scale float32[256]\n"
     "x_quantized, x_scale, x_zero_point = DynamicQuantizeLinear(x)\n"
     "p_int32 = MatMulInteger(x_quantized, a_quantized, x_zero_point)\n"
     "p_int32_cast = Cast(p_int32) to=1\n"
     "p_int32_scale = Mul(x_scale, a_scale)\n"
     "p = Mul(p_int32_cast, p_int32_scale)\n"
     "q = Relu(p)\n"
     "q_quantized, q_scale, q_zero_point = DynamicQuantizeLinear(q)\n"
     "r_int32 = MatMulInteger(q_quantized, b_quantized, q_zero_point)\n"
     "r_int32_cast = Cast(r_int32) to=1\n"
     "r_int32_scale = Mul(q_scale, b_scale)\n"
     "r = Mul(r_int32_cast, r_int32_scale)\n"
     "out r float32\n"},

    {"MatMul of opset 9",
     "opset 9; in x float32; init w float32[128,512]; y = MatMul(x, w); out y float32", NULL,
     "in x float32\n" INTEGERS "y = com.microsoft::DynamicQuantizeMatMul(x, w_quantized, w_scale)\n"
     "out y float32\n"},
    {"MatMul of opset 9, asymmetric",
     "opset 9; in x float32; init w float32[128,512]; y = MatMul(x, w); out y float32",
     adjust_asymmetric,
     "in x float32\n" INTEGERS "init w_zero_point int8[512]\n"
     "y = com.microsoft::DynamicQuantizeMatMul(x, w_quantized, w_scale, w_zero_point)\n"
     "out y float32\n"},
    {"MatMul of opset 9 and float16",
     "opset 9; in x float16; init w float16[128,512]; y = MatMul(x, w); out y float16", NULL,
     "in x float16\n" INTEGERS "info y_f32 float32\n"
     "x_f32 = Cast(x) to=1\n"
     "y_f32 = com.microsoft::DynamicQuantizeMatMul(x_f32, w_quantized, w_scale)\n"
     "y = Cast(y_f32) to=10\n"
     "out y float16\n"},
    {"Gemm of opset 9",
     "opset 9; in x float32; init w float32[512,128]; init b float32[512]\n"
     "y = Gemm(x, w, b) transA=1 transB=1 alpha=2.0 beta=0.5; out y float32",
     NULL,
     "in x float32\n"
     "init b_f32 float32[512]\n" INTEGERS "x_transposed = Transpose(x) perm=[1,0]\n"
     "y = com.microsoft::DynamicQuantizeMatMul(x_transposed, w_quantized, w_scale, , b_f32)\n"
     "out y float32\n"},

    {"Gemm", X_AND_W "y = Gemm(x, w); out y float32", NULL,
     "in x float32\n" INTEGERS MATMUL "out y float32\n"},
    {"Gemm with a bias",
     X_AND_W "init b float32[512]; y = Gemm(x, w, b)\n"
             "out y float32",
     NULL,
     "in x float32\n"
     "init b float32[512]\n" INTEGERS PRODUCT "y_int32_scaled = Mul(y_int32_cast, y_int32_scale)\n"
     "y = Add(y_int32_scaled, b)\n"
     "out y float32\n"},
    {"Gemm with alpha",
     X_AND_W "init b float32[512]\n"
             "y = Gemm(x, w, b) alpha=-0.5; out y float32",
     NULL,
     "in x float32\n"
     "init b float32[512]\n" INTEGERS PRODUCT "y_int32_scaled = Mul(y_int32_cast, y_int32_scale)\n"
     "y = Add(y_int32_scaled, b)\n"
     "out y float32\n"},
    {"Gemm with beta",
     X_AND_W "init b float32[512]\n"
             "y = Gemm(x, w, b) beta=0.5; out y float32",
     NULL,
     "in x float32\n"
     "init b_f32 float32[512]\n" INTEGERS PRODUCT
     "y_int32_scaled = Mul(y_int32_cast, y_int32_scale)\n"
     "y = Add(y_int32_scaled, b_f32)\n"
     "out y float32\n"},
    {"Gemm with beta 0",
     X_AND_W "init b float32[512]\n"
             "y = Gemm(x, w, b) beta=0.0; out y float32",
     NULL, "in x float32\n" INTEGERS MATMUL "out y float32\n"},
    {"Gemm with a scalar bias",
     X_AND_W "init b float32[]; y = Gemm(x, w, b)\n"
             "out y float32",
     NULL,
     "in x float32\n"
     "init b_f32 float32[512]\n" INTEGERS PRODUCT
     "y_int32_scaled = Mul(y_int32_cast, y_int32_scale)\n"
     "y = Add(y_int32_scaled, b_f32)\n"
     "out y float32\n"},
    {"Gemm with a bias of one row",
     X_AND_W "init b float32[1,512]; y = Gemm(x, w, b)\n"
             "out y float32",
     NULL,
     "in x float32\n"
     "init b_f32 float32[512]\n" INTEGERS PRODUCT
     "y_int32_scaled = Mul(y_int32_cast, y_int32_scale)\n"
     "y = Add(y_int32_scaled, b_f32)\n"
     "out y float32\n"},
    {"Gemm with a bias of one column",
     X_AND_W "init b float32[4,1]; y = Gemm(x, w, b)\n"
             "out y float32",
     NULL,
     "in x float32\n"
     "init b float32[4,1]\n" INTEGERS
     "x_quantized, x_scale, x_zero_point = DynamicQuantizeLinear(x)\n"
     "y_product_int32 = MatMulInteger(x_quantized, w_quantized, x_zero_point)\n"
     "y_product_int32_cast = Cast(y_product_int32) to=1\n"
     "y_product_int32_scale = Mul(x_scale, w_scale)\n"
     "y_product = Mul(y_product_int32_cast, y_product_int32_scale)\n"
     "y = Add(y_product, b)\n"
     "out y float32\n"},
    {"Gemm with a whole bias and beta",
     X_AND_W "init b float32[4,512]\n"
             "y = Gemm(x, w, b) beta=0.5; out y float32",
     NULL,
     "in x float32\n"
     "init b_quantized int8[4,512]\n"
     "init b_scale float32[4,1]\n"
     "init beta_f32 float32[]\n" INTEGERS "b_quantized_cast = Cast(b_quantized) to=1\n"
     "b = Mul(b_quantized_cast, b_scale)\n"
     "b_scaled = Mul(b, beta_f32)\n"
     "x_quantized, x_scale, x_zero_point = DynamicQuantizeLinear(x)\n"
     "y_product_int32 = MatMulInteger(x_quantized, w_quantized, x_zero_point)\n"
     "y_product_int32_cast = Cast(y_product_int32) to=1\n"
     "y_product_int32_scale = Mul(x_scale, w_scale)\n"
     "y_product = Mul(y_product_int32_cast, y_product_int32_scale)\n"
     "y = Add(y_product, b_scaled)\n"
     "out y float32\n"},
    {"Gemm with a bias that varies",
     "opset 17; in x float32; in b float32; init w float32[128,512]; y = Gemm(x, w, b)\n"
     "out y float32",
     NULL,
     "in x float32\n"
     "in b float32\n" INTEGERS "x_quantized, x_scale, x_zero_point = DynamicQuantizeLinear(x)\n"
     "y_product_int32 = MatMulInteger(x_quantized, w_quantized, x_zero_point)\n"
     "y_product_int32_cast = Cast(y_product_int32) to=1\n"
     "y_product_int32_scale = Mul(x_scale, w_scale)\n"
     "y_product = Mul(y_product_int32_cast, y_product_int32_scale)\n"
     "y = Add(y_product, b)\n"
     "out y float32\n"},
    {"Gemm with a bias that is left out", X_AND_W "y = Gemm(x, w, ); out y float32", NULL,
     "in x float32\n" INTEGERS MATMUL "out y float32\n"},
    {"Gemm with a bias that others use",
     X_AND_W "init b float32[512]\n"
             "y = Gemm(x, w, b) beta=0.5; z = Relu(b); out y float32; out z float32",
     NULL,
     "in x float32\n"
     "init b float32[512]\n"
     "init b_f32 float32[512]\n" INTEGERS PRODUCT
     "y_int32_scaled = Mul(y_int32_cast, y_int32_scale)\n"
     "y = Add(y_int32_scaled, b_f32)\n"
     "z = Relu(b)\n"
     "out y float32\n"
     "out z float32\n"},
    {"Gemm transA", X_AND_W "y = Gemm(x, w) transA=1; out y float32", NULL,
     "in x float32\n" INTEGERS "x_transposed = Transpose(x) perm=[1,0]\n"
     "x_transposed_quantized, x_transposed_scale, x_transposed_zero_point = "
     "DynamicQuantizeLinear(x_transposed)\n"
     "y_int32 = MatMulInteger(x_transposed_quantized, w_quantized, x_transposed_zero_point)\n"
     "y_int32_cast = Cast(y_int32) to=1\n"
     "y_int32_scale = Mul(x_transposed_scale, w_scale)\n"
     "y = Mul(y_int32_cast, y_int32_scale)\n"
     "out y float32\n"},
    {"Gemm transB",
     "opset 17; in x float32; init w float32[512,128]; y = Gemm(x, w) transB=1; out y float32",
     NULL, "in x float32\n" INTEGERS MATMUL "out y float32\n"},
    {"Gemm of float16",
     "opset 17; in x float16; init w float16[128,512]; init b float16[512]; y = Gemm(x, w, b)\n"
     "out y float16",
     NULL,
     "in x float16\n"
     "init b_f32 float32[512]\n" INTEGERS "x_f32 = Cast(x) to=1\n"
     "x_f32_quantized, x_f32_scale, x_f32_zero_point = DynamicQuantizeLinear(x_f32)\n"
     "y_int32 = MatMulInteger(x_f32_quantized, w_quantized, x_f32_zero_point)\n"
     "y_int32_cast = Cast(y_int32) to=1\n"
     "y_int32_scale = Mul(x_f32_scale, w_scale)\n"
     "y_int32_scaled = Mul(y_int32_cast, y_int32_scale)\n"
     "y_f32 = Add(y_int32_scaled, b_f32)\n"
     "y = Cast(y_f32) to=10\n"
     "out y float16\n"},
    {"Gemm both ways on one weight",
     "opset 17; in x float32; init w float32[256,256]; p = Gemm(x, w); q = Gemm(x, w) transB=1\n"
     "out p float32; out q float32",
     NULL,
     "in x float32\n"
     "init w_quantized int8[256,256]\n"
     "init w_scale float32[256]\n"
     "init w_quantized_1 int8[256,256]\n"
     "init w_scale_1 float32[256]\n"
     "x_quantized, x_scale, x_zero_point = DynamicQuantizeLinear(x)\n"
     "p_int32 = MatMulInteger(x_quantized, w_quantized, x_zero_point)\n"
     "p_int32_cast = Cast(p_int32) to=1\n"
     "p_int32_scale = Mul(x_scale, w_scale)\n"
     "p = Mul(p_int32_cast, p_int32_scale)\n"
     "q_int32 = MatMulInteger(x_quantized, w_quantized_1, x_zero_point)\n"
     "q_int32_cast = Cast(q_int32) to=1\n"
     "q_int32_scale = Mul(x_scale, w_scale_1)\n"
     "q = Mul(q_int32_cast, q_int32_scale)\n"
     "out p float32\n"
     "out q float32\n"},

    {"Conv",
     "opset 17; in x float32; init w float32[8,4,3,3]; init b float32[8]\n"
     "y = Conv(x, w, b) pads=[1,1,1,1] group=2; out y float32",
     NULL,
     "in x float32\n"
     "init b float32[8]\n"
     "init w_quantized int8[8,4,3,3]\n"
     "init w_scale float32[8,1,1,1]\n"
     "w_quantized_cast = Cast(w_quantized) to=1\n"
     "w = Mul(w_quantized_cast, w_scale)\n"
     "y = Conv(x, w, b) pads=[1,1,1,1] group=2\n"
     "out y float32\n"},
    {"Conv, asymmetric",
     "opset 17; in x float32; init w float32[8,4,3,3]; y = Conv(x, w); out y float32",
     adjust_asymmetric,
     "in x float32\n"
     "init w_quantized int8[8,4,3,3]\n"
     "init w_zero_point float32[8,1,1,1]\n"
     "init w_scale float32[8,1,1,1]\n"
     "w_quantized_cast = Cast(w_quantized) to=1\n"
     "w_quantized_cast_centered = Sub(w_quantized_cast, w_zero_point)\n"
     "w = Mul(w_quantized_cast_centered, w_scale)\n"
     "y = Conv(x, w)\n"
     "out y float32\n"},
    {"Conv, per tensor",
     "opset 17; in x float32; init w float32[8,4,3,3]; y = Conv(x, w); out y float32",
     adjust_per_tensor,
     "in x float32\n"
     "init w_quantized int8[8,4,3,3]\n"
     "init w_scale float32[]\n"
     "w_quantized_cast = Cast(w_quantized) to=1\n"
     "w = Mul(w_quantized_cast, w_scale)\n"
     "y = Conv(x, w)\n"
     "out y float32\n"},
    {"Conv of float16",
     "opset 17; in x float16; init w float16[8,4,3]; y = Conv(x, w); out y float16", NULL,
     "in x float16\n"
     "init w_quantized int8[8,4,3]\n"
     "init w_scale float32[8,1,1]\n"
     "w_quantized_cast = Cast(w_quantized) to=1\n"
     "w_f32 = Mul(w_quantized_cast, w_scale)\n"
     "w = Cast(w_f32) to=10\n"
     "y = Conv(x, w)\n"
     "out y float16\n"},
    {"Conv as integers",
     "opset 17; in x float32; init w float32[8,4,3,3]; init b float32[8]\n"
     "y = Conv(x, w, b) pads=[1,1,1,1] group=2; out y float32",
     adjust_conv_integer,
     "in x float32\n"
     "init b float32[8]\n"
     "init bias_shape int64[3]\n"
     "init w_scale float32[8,1,1]\n"
     "init w_zero_point uint8[]\n"
     "init w_quantized uint8[8,4,3,3]\n"
     "b_reshaped = Reshape(b, bias_shape)\n"
     "x_quantized, x_scale, x_zero_point = DynamicQuantizeLinear(x)\n"
     "y_int32 = ConvInteger(x_quantized, w_quantized, x_zero_point, w_zero_point) pads=[1,1,1,1] "
     "group=2\n"
     "y_int32_cast = Cast(y_int32) to=1\n"
     "y_int32_scale = Mul(x_scale, w_scale)\n"
     "y_int32_scaled = Mul(y_int32_cast, y_int32_scale)\n"
     "y = Add(y_int32_scaled, b_reshaped)\n"
     "out y float32\n"},
    {"Conv as integers, without a bias, in 1-D",
     "opset 17; in x float32; init w float32[8,4,3]; y = Conv(x, w, ); out y float32",
     adjust_conv_integer,
     "in x float32\n"
     "init w_scale float32[8,1]\n"
     "init w_zero_point uint8[]\n"
     "init w_quantized uint8[8,4,3]\n"
     "x_quantized, x_scale, x_zero_point = DynamicQuantizeLinear(x)\n"
     "y_int32 = ConvInteger(x_quantized, w_quantized, x_zero_point, w_zero_point)\n"
     "y_int32_cast = Cast(y_int32) to=1\n"
     "y_int32_scale = Mul(x_scale, w_scale)\n"
     "y = Mul(y_int32_cast, y_int32_scale)\n"
     "out y float32\n"},
    {"Conv as integers, per tensor",
     "opset 17; in x float32; init w float32[8,4,3]; y = Conv(x, w); out y float32",
     adjust_conv_integer_per_tensor,
     "in x float32\n"
     "init w_scale float32[8,1]\n"
     "init w_zero_point uint8[]\n"
     "init w_quantized uint8[8,4,3]\n"
     "x_quantized, x_scale, x_zero_point = DynamicQuantizeLinear(x)\n"
     "y_int32 = ConvInteger(x_quantized, w_quantized, x_zero_point, w_zero_point)\n"
     "y_int32_cast = Cast(y_int32) to=1\n"
     "y_int32_scale = Mul(x_scale, w_scale)\n"
     "y = Mul(y_int32_cast, y_int32_scale)\n"
     "out y float32\n"},
    {"ConvTranspose with groups",
     "opset 17; in x float32; init w float32[8,4,3,3]; y = ConvTranspose(x, w) group=2\n"
     "out y float32",
     NULL,
     "in x float32\n"
     "init w_quantized int8[8,4,3,3]\n"
     "init w_scale float32[8,4,1,1]\n"
     "w_quantized_cast = Cast(w_quantized) to=1\n"
     "w = Mul(w_quantized_cast, w_scale)\n"
     "y = ConvTranspose(x, w) group=2\n"
     "out y float32\n"},
    {"Gather", "opset 17; in i int64; init w float32[16384,64]; y = Gather(w, i); out y float32",
     NULL,
     "in i int64\n"
     "init w_quantized int8[16384,64]\n"
     "init w_scale float32[16384,1]\n"
     "y_rows = Gather(w_quantized, i) axis=0\n"
     "y_rows_cast = Cast(y_rows) to=1\n"
     "y_scale = Gather(w_scale, i) axis=0\n"
     "y = Mul(y_rows_cast, y_scale)\n"
     "out y float32\n"},
    {"LSTM",
     "opset 17; in x float32; init w float32[1,512,64]; init r float32[1,512,128]\n"
     "init b float32[1,1024]; y, , c = LSTM(x, w, r, b) hidden_size=128 layout=0; out y float32",
     NULL,
     "in x float32\n"
     "init b float32[1,1024]\n"
     "init w_quantized int8[1,64,512]\n"
     "init r_quantized int8[1,128,512]\n"
     "init w_scale float32[1,512]\n"
     "init w_zero_point int8[1,512]\n"
     "init r_scale float32[1,512]\n"
     "init r_zero_point int8[1,512]\n"
     "info c float32\n"
     "y, , c = com.microsoft::DynamicQuantizeLSTM(x, w_quantized, r_quantized, b, , , , , w_scale, "
     "w_zero_point, r_scale, r_zero_point) hidden_size=128\n"
     "out y float32\n"},
    {"MatMul on the left",
     "opset 17; in x float32[N,256,M]; init w float32[512,256]; y = MatMul(w, x)\n"
     "out y float32[N,512,M]",
     NULL,
     "in x float32[N,256,N]\n"
     "init w_quantized int8[256,512]\n"
     "init w_scale float32[512]\n"
     "x_quantized, x_scale, x_zero_point = DynamicQuantizeLinear(x)\n"
     "x_quantized_transposed = Transpose(x_quantized) perm=[0,2,1]\n"
     "y_turned_int32 = MatMulInteger(x_quantized_transposed, w_quantized, x_zero_point)\n"
     "y_turned_int32_cast = Cast(y_turned_int32) to=1\n"
     "y_turned_int32_scale = Mul(x_scale, w_scale)\n"
     "y_turned = Mul(y_turned_int32_cast, y_turned_int32_scale)\n"
     "y = Transpose(y_turned) perm=[0,2,1]\n"
     "out y float32[N,512,N]\n"},
    {"MatMul on the left, asymmetric float16",
     "opset 17; in x float16[256,M]; init w float16[512,256]; y = MatMul(w, x)\n"
     "out y float16[512,M]",
     adjust_asymmetric,
     "in x float16[256,N]\n"
     "init w_quantized int8[256,512]\n"
     "init w_scale float32[512]\n"
     "init w_zero_point int8[512]\n"
     "x_f32 = Cast(x) to=1\n"
     "x_f32_quantized, x_f32_scale, x_f32_zero_point = DynamicQuantizeLinear(x_f32)\n"
     "x_f32_quantized_transposed = Transpose(x_f32_quantized) perm=[1,0]\n"
     "y_turned_int32 = MatMulInteger(x_f32_quantized_transposed, w_quantized, "
     "x_f32_zero_point, w_zero_point)\n"
     "y_turned_int32_cast = Cast(y_turned_int32) to=1\n"
     "y_turned_int32_scale = Mul(x_f32_scale, w_scale)\n"
     "y_turned_f32 = Mul(y_turned_int32_cast, y_turned_int32_scale)\n"
     "y_turned = Cast(y_turned_f32) to=10\n"
     "y = Transpose(y_turned) perm=[1,0]\n"
     "out y float16[512,N]\n"},
    {"MatMul on the left behind a Transpose",
     "opset 17; in x float32[256,M]; init w float32[256,512]; t = Transpose(w)\n"
     "y = MatMul(t, x); out y float32[512,M]",
     NULL,
     "in x float32[256,N]\n"
     "init w_quantized int8[256,512]\n"
     "init w_scale float32[512]\n"
     "x_quantized, x_scale, x_zero_point = DynamicQuantizeLinear(x)\n"
     "x_quantized_transposed = Transpose(x_quantized) perm=[1,0]\n"
     "y_turned_int32 = MatMulInteger(x_quantized_transposed, w_quantized, x_zero_point)\n"
     "y_turned_int32_cast = Cast(y_turned_int32) to=1\n"
     "y_turned_int32_scale = Mul(x_scale, w_scale)\n"
     "y_turned = Mul(y_turned_int32_cast, y_turned_int32_scale)\n"
     "y = Transpose(y_turned) perm=[1,0]\n"
     "out y float32[512,N]\n"},
    {"MatMul on the left of a vector",
     "opset 17; in x float32[256]; init w float32[512,256]; y = MatMul(w, x)\n"
     "out y float32[512]",
     NULL,
     "in x float32[256]\n"
     "init w_quantized int8[256,512]\n"
     "init w_scale float32[512]\n"
     "x_quantized, x_scale, x_zero_point = DynamicQuantizeLinear(x)\n"
     "y_int32 = MatMulInteger(x_quantized, w_quantized, x_zero_point)\n"
     "y_int32_cast = Cast(y_int32) to=1\n"
     "y_int32_scale = Mul(x_scale, w_scale)\n"
     "y = Mul(y_int32_cast, y_int32_scale)\n"
     "out y float32[512]\n"},
    {"MatMul on the left, two of one activation",
     "opset 17; in x float32[256,M]; init v float32[512,256]; init w float32[512,256]\n"
     "p = MatMul(v, x); q = MatMul(w, x); out p float32; out q float32",
     NULL,
     "in x float32[256,N]\n"
     "init v_quantized int8[256,512]\n"
     "init v_scale float32[512]\n"
     "init w_quantized int8[256,512]\n"
     "init w_scale float32[512]\n"
     "x_quantized, x_scale, x_zero_point = DynamicQuantizeLinear(x)\n"
     "x_quantized_transposed = Transpose(x_quantized) perm=[1,0]\n"
     "p_turned_int32 = MatMulInteger(x_quantized_transposed, v_quantized, x_zero_point)\n"
     "p_turned_int32_cast = Cast(p_turned_int32) to=1\n"
     "p_turned_int32_scale = Mul(x_scale, v_scale)\n"
     "p_turned = Mul(p_turned_int32_cast, p_turned_int32_scale)\n"
     "p = Transpose(p_turned) perm=[1,0]\n"
     "q_turned_int32 = MatMulInteger(x_quantized_transposed, w_quantized, x_zero_point)\n"
     "q_turned_int32_cast = Cast(q_turned_int32) to=1\n"
     "q_turned_int32_scale = Mul(x_scale, w_scale)\n"
     "q_turned = Mul(q_turned_int32_cast, q_turned_int32_scale)\n"
     "q = Transpose(q_turned) perm=[1,0]\n"
     "out p float32\n"
     "out q float32\n"},
    {"MatMul on either side",
     "opset 17; in x float32[N,512,512]; init w float32[512,512]; p = MatMul(w, x)\n"
     "q = MatMul(x, w); out p float32; out q float32",
     NULL,
     "in x float32[N,512,512]\n"
     "init w_quantized int8[512,512]\n"
     "init w_scale float32[512]\n"
     "init w_quantized_1 int8[512,512]\n"
     "init w_scale_1 float32[512]\n"
     "x_quantized, x_scale, x_zero_point = DynamicQuantizeLinear(x)\n"
     "x_quantized_transposed = Transpose(x_quantized) perm=[0,2,1]\n"
     "p_turned_int32 = MatMulInteger(x_quantized_transposed, w_quantized, x_zero_point)\n"
     "p_turned_int32_cast = Cast(p_turned_int32) to=1\n"
     "p_turned_int32_scale = Mul(x_scale, w_scale)\n"
     "p_turned = Mul(p_turned_int32_cast, p_turned_int32_scale)\n"
     "p = Transpose(p_turned) perm=[0,2,1]\n"
     "q_int32 = MatMulInteger(x_quantized, w_quantized_1, x_zero_point)\n"
     "q_int32_cast = Cast(q_int32) to=1\n"
     "q_int32_scale = Mul(x_scale, w_scale_1)\n"
     "q = Mul(q_int32_cast, q_int32_scale)\n"
     "out p float32\n"
     "out q float32\n"},
    {"MatMul on the left and turned on the right share one layout",
     "opset 17; in x float32[N,512,512]; init w float32[512,512]; t = Transpose(w)\n"
     "p = MatMul(w, x); q = MatMul(x, t); out p float32; out q float32",
     NULL,
     "in x float32[N,512,512]\n"
     "init w_quantized int8[512,512]\n"
     "init w_scale float32[512]\n"
     "x_quantized, x_scale, x_zero_point = DynamicQuantizeLinear(x)\n"
     "x_quantized_transposed = Transpose(x_quantized) perm=[0,2,1]\n"
     "p_turned_int32 = MatMulInteger(x_quantized_transposed, w_quantized, x_zero_point)\n"
     "p_turned_int32_cast = Cast(p_turned_int32) to=1\n"
     "p_turned_int32_scale = Mul(x_scale, w_scale)\n"
     "p_turned = Mul(p_turned_int32_cast, p_turned_int32_scale)\n"
     "p = Transpose(p_turned) perm=[0,2,1]\n"
     "q_int32 = MatMulInteger(x_quantized, w_quantized, x_zero_point)\n"
     "q_int32_cast = Cast(q_int32) to=1\n"
     "q_int32_scale = Mul(x_scale, w_scale)\n"
     "q = Mul(q_int32_cast, q_int32_scale)\n"
     "out p float32\n"
     "out q float32\n"},
    {"Gemm on the left",
     "opset 17; in x float32; init w float32[512,256]; y = Gemm(w, x) alpha=0.5\n"
     "out y float32",
     NULL,
     "in x float32\n"
     "init w_quantized int8[256,512]\n"
     "init w_scale float32[512]\n"
     "x_quantized, x_scale, x_zero_point = DynamicQuantizeLinear(x)\n"
     "x_quantized_transposed = Transpose(x_quantized) perm=[1,0]\n"
     "y_turned_int32 = MatMulInteger(x_quantized_transposed, w_quantized, x_zero_point)\n"
     "y_turned_int32_cast = Cast(y_turned_int32) to=1\n"
     "y_turned_int32_scale = Mul(x_scale, w_scale)\n"
     "y_turned = Mul(y_turned_int32_cast, y_turned_int32_scale)\n"
     "y = Transpose(y_turned) perm=[1,0]\n"
     "out y float32\n"},
    {"Gemm on the left, all turned",
     "opset 17; in x float32; init w float32[256,512]; init c float32[512,1]\n"
     "y = Gemm(w, x, c) transA=1 transB=1 beta=0.5; out y float32",
     NULL,
     "in x float32\n"
     "init c float32[512,1]\n"
     "init beta_f32 float32[]\n"
     "init w_quantized int8[256,512]\n"
     "init w_scale float32[512]\n"
     "c_scaled = Mul(c, beta_f32)\n"
     "x_quantized, x_scale, x_zero_point = DynamicQuantizeLinear(x)\n"
     "y_product_turned_int32 = MatMulInteger(x_quantized, w_quantized, x_zero_point)\n"
     "y_product_turned_int32_cast = Cast(y_product_turned_int32) to=1\n"
     "y_product_turned_int32_scale = Mul(x_scale, w_scale)\n"
     "y_product_turned = Mul(y_product_turned_int32_cast, y_product_turned_int32_scale)\n"
     "y_product = Transpose(y_product_turned) perm=[1,0]\n"
     "y = Add(y_product, c_scaled)\n"
     "out y float32\n"},
    {"Gemm on the left of float16",
     "opset 17; in x float16; in c float16; init w float16[512,256]; y = Gemm(w, x, c)\n"
     "out y float16",
     NULL,
     "in x float16\n"
     "in c float16\n"
     "init w_quantized int8[256,512]\n"
     "init w_scale float32[512]\n"
     "c_f32 = Cast(c) to=1\n"
     "x_f32 = Cast(x) to=1\n"
     "x_f32_quantized, x_f32_scale, x_f32_zero_point = DynamicQuantizeLinear(x_f32)\n"
     "x_f32_quantized_transposed = Transpose(x_f32_quantized) perm=[1,0]\n"
     "y_product_turned_int32 = MatMulInteger(x_f32_quantized_transposed, w_quantized, "
     "x_f32_zero_point)\n"
     "y_product_turned_int32_cast = Cast(y_product_turned_int32) to=1\n"
     "y_product_turned_int32_scale = Mul(x_f32_scale, w_scale)\n"
     "y_product_turned = Mul(y_product_turned_int32_cast, y_product_turned_int32_scale)\n"
     "y_product = Transpose(y_product_turned) perm=[1,0]\n"
     "y_f32 = Add(y_product, c_f32)\n"
     "y = Cast(y_f32) to=10\n"
     "out y float16\n"},
    {"Conv as MatMul",
     "opset 17; in x float32; init w float32[64,128,1,1]; init b float32[64]\n"
     "y = Conv(x, w, b); out y float32",
     adjust_conv_matmul,
     "in x float32\n"
     "init b float32[64]\n"
     "init w_quantized int8[128,64]\n"
     "init w_scale float32[64]\n"
     "x_quantized, x_scale, x_zero_point = DynamicQuantizeLinear(x)\n"
     "x_quantized_channels_last = Transpose(x_quantized) perm=[0,2,3,1]\n"
     "y_turned_int32 = MatMulInteger(x_quantized_channels_last, w_quantized, "
     "x_zero_point)\n"
     "y_turned_int32_cast = Cast(y_turned_int32) to=1\n"
     "y_turned_int32_scale = Mul(x_scale, w_scale)\n"
     "y_turned_int32_scaled = Mul(y_turned_int32_cast, y_turned_int32_scale)\n"
     "y_turned = Add(y_turned_int32_scaled, b)\n"
     "y = Transpose(y_turned) perm=[0,3,1,2]\n"
     "out y float32\n"},
    {"Conv as MatMul in 1-D without a bias",
     "opset 17; in x float32; init w float32[64,128,1]; y = Conv(x, w, ); out y float32",
     adjust_conv_matmul,
     "in x float32\n"
     "init w_quantized int8[128,64]\n"
     "init w_scale float32[64]\n"
     "x_quantized, x_scale, x_zero_point = DynamicQuantizeLinear(x)\n"
     "x_quantized_channels_last = Transpose(x_quantized) perm=[0,2,1]\n"
     "y_turned_int32 = MatMulInteger(x_quantized_channels_last, w_quantized, "
     "x_zero_point)\n"
     "y_turned_int32_cast = Cast(y_turned_int32) to=1\n"
     "y_turned_int32_scale = Mul(x_scale, w_scale)\n"
     "y_turned = Mul(y_turned_int32_cast, y_turned_int32_scale)\n"
     "y = Transpose(y_turned) perm=[0,2,1]\n"
     "out y float32\n"},
    {"Conv as MatMul in 3-D of float16",
     "opset 17; in x float16; init w float16[64,128,1,1,1]; init b float16[64]\n"
     "y = Conv(x, w, b); out y float16",
     adjust_conv_matmul,
     "in x float16\n"
     "init b float16[64]\n"
     "init w_quantized int8[128,64]\n"
     "init w_scale float32[64]\n"
     "b_f32 = Cast(b) to=1\n"
     "x_f32 = Cast(x) to=1\n"
     "x_f32_quantized, x_f32_scale, x_f32_zero_point = DynamicQuantizeLinear(x_f32)\n"
     "x_f32_quantized_channels_last = Transpose(x_f32_quantized) perm=[0,2,3,4,1]\n"
     "y_turned_int32 = MatMulInteger(x_f32_quantized_channels_last, w_quantized, "
     "x_f32_zero_point)\n"
     "y_turned_int32_cast = Cast(y_turned_int32) to=1\n"
     "y_turned_int32_scale = Mul(x_f32_scale, w_scale)\n"
     "y_turned_int32_scaled = Mul(y_turned_int32_cast, y_turned_int32_scale)\n"
     "y_turned_f32 = Add(y_turned_int32_scaled, b_f32)\n"
     "y_turned = Cast(y_turned_f32) to=10\n"
     "y = Transpose(y_turned) perm=[0,4,1,2,3]\n"
     "out y float16\n"},
    {"Conv as MatMul and folded",
     "opset 17; in x float32; init w float32[64,128,1]; p = Conv(x, w)\n"
     "q = Conv(x, w) strides=[2]; out p float32; out q float32",
     adjust_conv_matmul,
     "in x float32\n"
     "init w_quantized int8[64,128]\n"
     "init weight_shape int64[3]\n"
     "init w_scale float32[64,1,1]\n"
     "init w_scale_1 float32[64]\n"
     "w_quantized_reshaped = Reshape(w_quantized, weight_shape)\n"
     "w_quantized_reshaped_cast = Cast(w_quantized_reshaped) to=1\n"
     "w = Mul(w_quantized_reshaped_cast, w_scale)\n"
     "x_quantized, x_scale, x_zero_point = DynamicQuantizeLinear(x)\n"
     "x_quantized_channels_last = Transpose(x_quantized) perm=[0,2,1]\n"
     "w_quantized_transposed = Transpose(w_quantized) perm=[1,0]\n"
     "p_turned_int32 = MatMulInteger(x_quantized_channels_last, w_quantized_transposed, "
     "x_zero_point)\n"
     "p_turned_int32_cast = Cast(p_turned_int32) to=1\n"
     "p_turned_int32_scale = Mul(x_scale, w_scale_1)\n"
     "p_turned = Mul(p_turned_int32_cast, p_turned_int32_scale)\n"
     "p = Transpose(p_turned) perm=[0,2,1]\n"
     "q = Conv(x, w) strides=[2]\n"
     "out p float32\n"
     "out q float32\n"},
    {"Attention",
     "opset 17; in x float32; init w float32[256,768]; init b float32[768]\n"
     "y = com.microsoft::Attention(x, w, b) num_heads=4 rotary_embedding_dim=0\n"
     "out y float32",
     NULL,
     "in x float32\n"
     "init b float32[768]\n"
     "init w_quantized int8[256,768]\n"
     "init w_scale float32[768]\n"
     "x_quantized, x_scale, x_zero_point = DynamicQuantizeLinear(x)\n"
     "y = com.microsoft::QAttention(x_quantized, w_quantized, b, x_scale, w_scale, , "
     "x_zero_point) num_heads=4\n"
     "out y float32\n"},
    {"Attention with all inputs, asymmetric",
     "opset 17; in x float32; in m int32; in p float32; init w float32[256,768]\n"
     "y, z = com.microsoft::Attention(x, w, , m, p) num_heads=4 unidirectional=1 scale=0.5 "
     "mask_filter_value=-100.0\n"
     "out y float32; out z float32",
     adjust_asymmetric,
     "in x float32\n"
     "in m int32\n"
     "in p float32\n"
     "init w_quantized int8[256,768]\n"
     "init w_f32 float32[768]\n"
     "init w_scale float32[768]\n"
     "init w_zero_point int8[768]\n"
     "x_quantized, x_scale, x_zero_point = DynamicQuantizeLinear(x)\n"
     "y, z = com.microsoft::QAttention(x_quantized, w_quantized, w_f32, x_scale, "
     "w_scale, m, x_zero_point, w_zero_point, p) num_heads=4 unidirectional=1 scale=0.5 "
     "mask_filter_value=-100.0\n"
     "out y float32\n"
     "out z float32\n"},
    {"Attention of float16",
     "opset 17; in x float16; in m int32; in p float16; init w float16[256,768]\n"
     "init b float16[768]; y, z = com.microsoft::Attention(x, w, b, m, p) num_heads=4\n"
     "out y float16; out z float16",
     NULL,
     "in x float16\n"
     "in m int32\n"
     "in p float16\n"
     "init b float16[768]\n"
     "init w_quantized int8[256,768]\n"
     "init w_scale float32[768]\n"
     "info y_f32 float32\n"
     "info z_f32 float32\n"
     "p_f32 = Cast(p) to=1\n"
     "x_f32 = Cast(x) to=1\n"
     "x_f32_quantized, x_f32_scale, x_f32_zero_point = DynamicQuantizeLinear(x_f32)\n"
     "b_f32 = Cast(b) to=1\n"
     "y_f32, z_f32 = com.microsoft::QAttention(x_f32_quantized, w_quantized, b_f32, "
     "x_f32_scale, w_scale, m, x_f32_zero_point, , p_f32) num_heads=4\n"
     "y = Cast(y_f32) to=10\n"
     "z = Cast(z_f32) to=10\n"
     "out y float16\n"
     "out z float16\n"},
    {"Attention with a weight behind a Transpose",
     "opset 17; in x float32; init w float32[768,256]; init b float32[768]\n"
     "t = Transpose(w); y = com.microsoft::Attention(x, t, b) num_heads=4; out y float32",
     NULL,
     "in x float32\n"
     "init b float32[768]\n"
     "init w_quantized int8[256,768]\n"
     "init w_scale float32[768]\n"
     "x_quantized, x_scale, x_zero_point = DynamicQuantizeLinear(x)\n"
     "y = com.microsoft::QAttention(x_quantized, w_quantized, b, x_scale, w_scale, , "
     "x_zero_point) num_heads=4\n"
     "out y float32\n"},
    {"folded weight of two nodes",
     "opset 17; in x float32; init w float32[8,4,3,3]; p = Conv(x, w); q = Conv(p, w)\n"
     "out q float32",
     NULL,
     "in x float32\n"
     "init w_quantized int8[8,4,3,3]\n"
     "init w_scale float32[8,1,1,1]\n"
     "w_quantized_cast = Cast(w_quantized) to=1\n"
     "w = Mul(w_quantized_cast, w_scale)\n"
     "p = Conv(x, w)\n"
     "q = Conv(p, w)\n"
     "out q float32\n"},
    {"folded and dynamic",
     "opset 17; in x float32; init w float32[256,256]; p = MatMul(x, w); q = Add(x, w)\n"
     "out p float32; out q float32",
     NULL,
     "in x float32\n"
     "init w_quantized int8[256,256]\n"
     "init w_scale float32[1,256]\n"
     "init w_scale_1 float32[256]\n"
     "w_quantized_cast = Cast(w_quantized) to=1\n"
     "w = Mul(w_quantized_cast, w_scale)\n"
     "x_quantized, x_scale, x_zero_point = DynamicQuantizeLinear(x)\n"
     "p_int32 = MatMulInteger(x_quantized, w_quantized, x_zero_point)\n"
     "p_int32_cast = Cast(p_int32) to=1\n"
     "p_int32_scale = Mul(x_scale, w_scale_1)\n"
     "p = Mul(p_int32_cast, p_int32_scale)\n"
     "q = Add(x, w)\n"
     "out p float32\n"
     "out q float32\n"},

    {"weights alone",
     "opset 17; in x float32; init w float32[128,512]; y = MatMul(x, w); out y float32",
     adjust_weights,
     "in x float32\n"
     "init w_quantized int8[128,512]\n"
     "init w_scale float32[1,512]\n"
     "w_quantized_cast = Cast(w_quantized) to=1\n"
     "w = Mul(w_quantized_cast, w_scale)\n"
     "y = MatMul(x, w)\n"
     "out y float32\n"},
    {"DequantizeLinear",
     "opset 17; in x float32; init w float32[128,512]; y = MatMul(x, w); out y float32", adjust_qdq,
     "in x float32\n"
     "init w_quantized int8[128,512]\n"
     "init w_scale float32[512]\n"
     "init w_zero_point int8[512]\n"
     "w = DequantizeLinear(w_quantized, w_scale, w_zero_point) axis=1\n"
     "y = MatMul(x, w)\n"
     "out y float32\n"},
    {"DequantizeLinear, asymmetric",
     "opset 17; in x float32; init w float32[8,4,3]; y = Conv(x, w); out y float32",
     adjust_qdq_asymmetric,
     "in x float32\n"
     "init w_quantized int8[8,4,3]\n"
     "init w_scale float32[8]\n"
     "init w_zero_point int8[8]\n"
     "w = DequantizeLinear(w_quantized, w_scale, w_zero_point) axis=0\n"
     "y = Conv(x, w)\n"
     "out y float32\n"},
    {"DequantizeLinear, uint8",
     "opset 17; in x float32; init w float32[8,4,3]; y = Conv(x, w); out y float32",
     adjust_qdq_uint8,
     "in x float32\n"
     "init w_quantized uint8[8,4,3]\n"
     "init w_scale float32[8]\n"
     "init w_zero_point uint8[8]\n"
     "w = DequantizeLinear(w_quantized, w_scale, w_zero_point) axis=0\n"
     "y = Conv(x, w)\n"
     "out y float32\n"},
    {"DequantizeLinear, per tensor",
     "opset 17; in x float32; init w float32[8,4,3]; y = Conv(x, w); out y float32",
     adjust_qdq_per_tensor,
     "in x float32\n"
     "init w_quantized int8[8,4,3]\n"
     "init w_scale float32[]\n"
     "init w_zero_point int8[]\n"
     "w = DequantizeLinear(w_quantized, w_scale, w_zero_point)\n"
     "y = Conv(x, w)\n"
     "out y float32\n"},
    {"DequantizeLinear of opset 12",
     "opset 12; in x float32; init w float32[8,4,3]; y = Conv(x, w); out y float32", adjust_qdq,
     "in x float32\n"
     "init w_quantized int8[8,4,3]\n"
     "init w_scale float32[]\n"
     "init w_zero_point int8[]\n"
     "w = DequantizeLinear(w_quantized, w_scale, w_zero_point)\n"
     "y = Conv(x, w)\n"
     "out y float32\n"},
    {"DequantizeLinear of float16",
     "opset 17; in x float16; init w float16[8,4,3]; y = Conv(x, w); out y float16", adjust_qdq,
     "in x float16\n"
     "init w_quantized int8[8,4,3]\n"
     "init w_scale float32[8]\n"
     "init w_zero_point int8[8]\n"
     "w_f32 = DequantizeLinear(w_quantized, w_scale, w_zero_point) axis=0\n"
     "w = Cast(w_f32) to=10\n"
     "y = Conv(x, w)\n"
     "out y float16\n"},
    {"DequantizeLinear of a table of positions",
     "opset 17; in i int64; in x int64[1,4]; init p float32[128,32]; init t float32[128,32]\n"
     "j = Abs(i); a = Gather(t, x); b = Gather(p, j); y = Add(a, b); out y float32",
     adjust_qdq,
     "in i int64\nin x int64[1,4]\n"
     "init p_quantized int8[128,32]\n"
     "init p_scale float32[128,1]\n"
     "init t_quantized int8[128,32]\n"
     "init t_scale float32[128]\n"
     "init t_zero_point int8[128]\n"
     "p_quantized_cast = Cast(p_quantized) to=1\n"
     "p = Mul(p_quantized_cast, p_scale)\n"
     "t = DequantizeLinear(t_quantized, t_scale, t_zero_point) axis=0\n"
     "j = Abs(i)\n"
     "a = Gather(t, x)\n"
     "b = Gather(p, j)\n"
     "y = Add(a, b)\n"
     "out y float32\n"},
    {"DequantizeLinear between integers, asymmetric",
     "opset 17; in q uint8; init s float32[] = 0.5; init w float32[8,4,3]\n"
     "x = DequantizeLinear(q, s); y = Conv(x, w); out y float32",
     adjust_qdq_asymmetric,
     "in q uint8\n"
     "init s float32[]\n"
     "init w_quantized int8[8,4,3]\n"
     "init w_scale float32[8]\n"
     "init w_zero_point int8[8]\n"
     "w = DequantizeLinear(w_quantized, w_scale, w_zero_point) axis=0\n"
     "x = DequantizeLinear(q, s)\n"
     "y = Conv(x, w)\n"
     "out y float32\n"},
    {"DequantizeLinear between integers, one scale",
     "opset 17; in q uint8; init s float32[] = 0.5; init w float32[8,64]\n"
     "x = DequantizeLinear(q, s); r = Reshape(x, q); y = Add(r, w); out y float32",
     adjust_qdq_fold_8_bits,
     "in q uint8\n"
     "init s float32[]\n"
     "init w_quantized int8[8,64]\n"
     "init w_scale float32[]\n"
     "init w_zero_point int8[]\n"
     "w = DequantizeLinear(w_quantized, w_scale, w_zero_point)\n"
     "x = DequantizeLinear(q, s)\n"
     "r = Reshape(x, q)\n"
     "y = Add(r, w)\n"
     "out y float32\n"},
    {"16 bits, and DequantizeLinear takes none in that version",
     "opset 17; in x float32; init w float32[8,64]; y = Add(x, w); out y float32", adjust_qdq,
     "in x float32\n"
     "init w_quantized int16[8,64]\n"
     "init w_scale float32[8,1]\n"
     "w_quantized_cast = Cast(w_quantized) to=1\n"
     "w = Mul(w_quantized_cast, w_scale)\n"
     "y = Add(x, w)\n"
     "out y float32\n"},
    {"DequantizeLinear of batches",
     "opset 17; in x float32; init w float32[2,128,512]; y = MatMul(x, w); out y float32",
     adjust_qdq,
     "in x float32\n"
     "init w_quantized int8[2,128,512]\n"
     "init w_scale float32[512]\n"
     "init w_zero_point int8[512]\n"
     "w = DequantizeLinear(w_quantized, w_scale, w_zero_point) axis=2\n"
     "y = MatMul(x, w)\n"
     "out y float32\n"},

    {"MatMulNBits", X_AND_W "y = MatMul(x, w); out y float32", adjust_blocks,
     "in x float32\n"
     "init w_quantized uint8[512,1,128]\n"
     "init w_scale float32[512]\n"
     "y = com.microsoft::MatMulNBits(x, w_quantized, w_scale) K=128 N=512 block_size=128 bits=8 "
     "accuracy_level=4\n"
     "out y float32\n"},
    {"MatMulNBits of 4 bits, asymmetric",
     "opset 7; in x float32; init w float32[144,512]; y = MatMul(x, w); out y float32",
     adjust_blocks_4_asymmetric,
     "in x float32\n"
     "init w_quantized uint8[512,5,16]\n"
     "init w_zero_point uint8[1536]\n"
     "init w_scale float32[2560]\n"
     "y = com.microsoft::MatMulNBits(x, w_quantized, w_scale, w_zero_point) K=144 N=512 "
     "block_size=32 bits=4 accuracy_level=4\n"
     "out y float32\n"},
    {"MatMulNBits of 4 bits by default, and float activations",
     "opset 17; in x float32; init w float32[128,512]; y = MatMul(x, w); out y float32",
     adjust_blocks_4_of_level_1,
     "in x float32\n"
     "init w_quantized uint8[512,4,16]\n"
     "init w_zero_point uint8[1024]\n"
     "init w_scale float32[2048]\n"
     "y = com.microsoft::MatMulNBits(x, w_quantized, w_scale, w_zero_point) K=128 N=512 "
     "block_size=32 bits=4 accuracy_level=1\n"
     "out y float32\n"},
    {"MatMulNBits of float16",
     "opset 17; in x float16; init w float16[128,512]; y = MatMul(x, w); out y float16",
     adjust_blocks_4,
     "in x float16\n"
     "init w_quantized uint8[512,4,16]\n"
     "init w_scale float32[2048]\n"
     "info y_f32 float32\n"
     "x_f32 = Cast(x) to=1\n"
     "y_f32 = com.microsoft::MatMulNBits(x_f32, w_quantized, w_scale) K=128 N=512 block_size=32 "
     "bits=4 accuracy_level=4\n"
     "y = Cast(y_f32) to=10\n"
     "out y float16\n"},
    {"MatMulNBits of a Gemm with all there is",
     "opset 17; in x float32; init w float32[512,128]; init b float32[512]\n"
     "y = Gemm(x, w, b) transA=1 transB=1 alpha=-2.0; out y float32",
     adjust_blocks,
     "in x float32\n"
     "init b float32[512]\n"
     "init w_quantized uint8[512,1,128]\n"
     "init w_scale float32[512]\n"
     "x_transposed = Transpose(x) perm=[1,0]\n"
     "y = com.microsoft::MatMulNBits(x_transposed, w_quantized, w_scale, , , b) K=128 N=512 "
     "block_size=128 bits=8 accuracy_level=4\n"
     "out y float32\n"},
    {"MatMulNBits of a Gemm, for an engine without bias",
     "opset 17; in x float32; init w float32[512,128]; init b float32[512]\n"
     "y = Gemm(x, w, b) transB=1; out y float32",
     adjust_blocks_4_for_1_18,
     "in x float32\n"
     "init b float32[512]\n"
     "init w_quantized uint8[512,4,16]\n"
     "init w_zero_point uint8[1024]\n"
     "init w_scale float32[2048]\n"
     "info y_product float32\n"
     "y_product = com.microsoft::MatMulNBits(x, w_quantized, w_scale, w_zero_point) K=128 N=512 "
     "block_size=32 bits=4 accuracy_level=4\n"
     "y = Add(y_product, b)\n"
     "out y float32\n"},
    {"MatMulNBits of a Gemm with a matrix",
     X_AND_W "in c float32[2,512]; y = Gemm(x, w, c) beta=0.5; out y float32", adjust_blocks,
     "in x float32\n"
     "in c float32[2,512]\n"
     "init beta_f32 float32[]\n"
     "init w_quantized uint8[512,1,128]\n"
     "init w_scale float32[512]\n"
     "info y_product float32\n"
     "c_scaled = Mul(c, beta_f32)\n"
     "y_product = com.microsoft::MatMulNBits(x, w_quantized, w_scale) K=128 N=512 block_size=128 "
     "bits=8 accuracy_level=4\n"
     "y = Add(y_product, c_scaled)\n"
     "out y float32\n"},
    {"MatMulNBits, a weight used twice",
     X_AND_W "p = MatMul(x, w); q = Gemm(x, w); r = Gemm(x, w) alpha=0.5\n"
             "out p float32; out q float32; out r float32",
     adjust_blocks,
     "in x float32\n"
     "init w_quantized uint8[512,1,128]\n"
     "init w_scale float32[512]\n"
     "init w_scale_1 float32[512]\n"
     "p = com.microsoft::MatMulNBits(x, w_quantized, w_scale) K=128 N=512 block_size=128 bits=8 "
     "accuracy_level=4\n"
     "q = com.microsoft::MatMulNBits(x, w_quantized, w_scale) K=128 N=512 block_size=128 bits=8 "
     "accuracy_level=4\n"
     "r = com.microsoft::MatMulNBits(x, w_quantized, w_scale_1) K=128 N=512 block_size=128 bits=8 "
     "accuracy_level=4\n"
     "out p float32\n"
     "out q float32\n"
     "out r float32\n"},
    {"MatMulBnb4",
     "opset 17; in x float32; init w float32[129,513]; init b float32[513]; y = Gemm(x, w, b)\n"
     "out y float32",
     adjust_nf4,
     "in x float32\n"
     "init b float32[513]\n"
     "init w_quantized uint8[33089]\n"
     "init w_scale float32[2069]\n"
     "info y_product float32\n"
     "y_product = com.microsoft::MatMulBnb4(x, w_quantized, w_scale) K=129 N=513 block_size=32 "
     "quant_type=1\n"
     "y = Add(y_product, b)\n"
     "out y float32\n"},
    {"GatherBlockQuantized",
     "opset 17; in i int64; init w float32[16384,66]; y = Gather(w, i); out y float32",
     adjust_blocks_4_asymmetric,
     "in i int64\n"
     "init w_quantized uint8[16384,33]\n"
     "init w_zero_point uint8[16384,2]\n"
     "init w_scale float32[16384,3]\n"
     "y = com.microsoft::GatherBlockQuantized(w_quantized, i, w_scale, w_zero_point) gather_axis=0 "
     "quantize_axis=1 block_size=32 bits=4\n"
     "out y float32\n"},
    {"GatherBlockQuantized of float16 under NF4",
     "opset 17; in i int64; init w float16[16384,64]; y = Gather(w, i); out y float16", adjust_nf4,
     "in i int64\n"
     "init w_quantized uint8[16384,32]\n"
     "init w_scale float32[16384,2]\n"
     "info y_f32 float32\n"
     "y_f32 = com.microsoft::GatherBlockQuantized(w_quantized, i, w_scale) gather_axis=0 "
     "quantize_axis=1 block_size=32 bits=4\n"
     "y = Cast(y_f32) to=10\n"
     "out y float16\n"},
    {"folded beside blocks",
     "opset 17; in x float32; init w float32[8,4,3]; y = Conv(x, w)\n"
     "out y float32",
     adjust_blocks_4,
     "in x float32\n"
     "init w_quantized int8[8,4,3]\n"
     "init w_scale float32[8,1,1]\n"
     "w_quantized_cast = Cast(w_quantized) to=1\n"
     "w = Mul(w_quantized_cast, w_scale)\n"
     "y = Conv(x, w)\n"
     "out y float32\n"},
    {"DequantizeLinear in blocks",
     "opset 21; in x float32; init w float32[130,512]; y = MatMul(x, w); out y float32",
     adjust_qdq_of_32,
     "in x float32\n"
     "init w_quantized int8[130,512]\n"
     "init w_scale float32[5,512]\n"
     "w = DequantizeLinear(w_quantized, w_scale) axis=0 block_size=32\n"
     "y = MatMul(x, w)\n"
     "out y float32\n"},
    {"DequantizeLinear in blocks of 4 bits, asymmetric",
     "opset 21; in x float16; init w float16[8,70,3]; y = Conv(x, w); out y float16",
     adjust_qdq_4_of_32_asymmetric,
     "in x float16\n"
     "init w_quantized uint4[8,70,3]\n"
     "init w_zero_point uint4[8,3,3]\n"
     "init w_scale float32[8,3,3]\n"
     "w_f32 = DequantizeLinear(w_quantized, w_scale, w_zero_point) axis=1 block_size=32\n"
     "w = Cast(w_f32) to=10\n"
     "y = Conv(x, w)\n"
     "out y float16\n"},
    {"DequantizeLinear of 4 bits",
     "opset 21; in x float32; init w float32[7,5,3]; y = Conv(x, w); out y float32", adjust_qdq_4,
     "in x float32\n"
     "init w_quantized int4[7,5,3]\n"
     "init w_scale float32[7]\n"
     "init w_zero_point int4[7]\n"
     "w = DequantizeLinear(w_quantized, w_scale, w_zero_point) axis=0\n"
     "y = Conv(x, w)\n"
     "out y float32\n"},
    {"DequantizeLinear of 4 bits, asymmetric",
     "opset 21; in x float32; init w float32[7,5,3]; y = Conv(x, w); out y float32",
     adjust_qdq_4_asymmetric,
     "in x float32\n"
     "init w_quantized uint4[7,5,3]\n"
     "init w_scale float32[7]\n"
     "init w_zero_point uint4[7]\n"
     "w = DequantizeLinear(w_quantized, w_scale, w_zero_point) axis=0\n"
     "y = Conv(x, w)\n"
     "out y float32\n"},
    {"DequantizeLinear of 4 bits, shorter than a block",
     "opset 21; in x float32; init w float32[8,4,3]; y = Conv(x, w); out y float32",
     adjust_qdq_4_of_32,
     "in x float32\n"
     "init w_quantized int4[8,4,3]\n"
     "init w_scale float32[8]\n"
     "init w_zero_point int4[8]\n"
     "w = DequantizeLinear(w_quantized, w_scale, w_zero_point) axis=0\n"
     "y = Conv(x, w)\n"
     "out y float32\n"},

    {"a pair",
     PAIR "x = DequantizeLinear(q, s, z); r = QuantizeLinear(x, s, z); y = Op(r); out y int8",
     adjust_qdq, "in q int8\ny = Op(q)\nout y int8\n"},
    {"a pair of equal constants",
     PAIR "init t float32[] = 0.5; init u int8[] = 3; x = DequantizeLinear(q, s, z)\n"
          "r = QuantizeLinear(x, t, u); info r int8; y = Op(r); out y int8",
     adjust_qdq, "in q int8\ny = Op(q)\nout y int8\n"},
    {"a pair without zero points, of unknown type",
     "opset 21; in v float32; init s float32[] = 0.5; init w float32[8,4,3]; q = Other(v)\n"
     "x = DequantizeLinear(q, s); r = QuantizeLinear(x, s); y = Op(r); out y int8\n"
     "k = Conv(v, w); out k float32",
     adjust_qdq,
     "in v float32\ninit s float32[]\ninit w_quantized int8[8,4,3]\ninit w_scale float32[8]\n"
     "init w_zero_point int8[8]\n"
     "w = DequantizeLinear(w_quantized, w_scale, w_zero_point) axis=0\nq = Other(v)\n"
     "x = DequantizeLinear(q, s)\nr = QuantizeLinear(x, s)\ny = Op(r)\nk = Conv(v, w)\n"
     "out y int8\nout k float32\n"},
    {"a pair without zero points",
     "opset 21; in q uint8; init s float32[] = 0.5\n"
     "x = DequantizeLinear(q, s); r = QuantizeLinear(x, s); y = Op(r); out y uint8",
     adjust_qdq, "in q uint8\ny = Op(q)\nout y uint8\n"},
    {"a pair that the graph returns",
     PAIR "x = DequantizeLinear(q, s, z); r = QuantizeLinear(x, s, z); y = Op(r)\n"
          "out r int8; out y int8",
     adjust_qdq, "in q int8\nr = Identity(q)\ny = Op(q)\nout r int8\nout y int8\n"},
    {"a pair whose float has another user",
     PAIR "x = DequantizeLinear(q, s, z); r = QuantizeLinear(x, s, z); y = Op(r, x); out y int8",
     adjust_qdq,
     "in q int8\ninit s float32[]\ninit z int8[]\nx = DequantizeLinear(q, s, z)\n"
     "y = Op(q, x)\nout y int8\n"},
    {"pairs behind each other, and a body",
     PAIR "in c bool; a = DequantizeLinear(q, s, z); b = QuantizeLinear(a, s, z)\n"
          "d = DequantizeLinear(b, s, z); e = QuantizeLinear(d, s, z)\n"
          "y = If(c) then_branch={ t = Op(e); out t int8 }; out y int8",
     adjust_qdq,
     "in q int8\nin c bool\ny = If(c) then_branch={ t = Op(q); out t int8; }\nout y int8\n"},
    {"a pair by another method",
     PAIR "init w float32[8,4,3]; x = DequantizeLinear(q, s, z); r = QuantizeLinear(x, s, z)\n"
          "y = Op(r); k = Conv(q, w); out y int8; out k float32",
     adjust_weights,
     "in q int8\ninit s float32[]\ninit z int8[]\ninit w_quantized int8[8,4,3]\n"
     "init w_scale float32[8,1,1]\nw_quantized_cast = Cast(w_quantized) to=1\n"
     "w = Mul(w_quantized_cast, w_scale)\nx = DequantizeLinear(q, s, z)\n"
     "r = QuantizeLinear(x, s, z)\ny = Op(r)\nk = Conv(q, w)\nout y int8\nout k float32\n"},

    {"weights of a body",
     "opset 17; in x float32; in c bool; y = If(c) then_branch={\n"
     "init w float32[128,512]; t = MatMul(x, w); out t float32\n"
     "} else_branch={ init v float32[8,4,3]; e = Conv(x, v); out e float32 }; out y float32",
     NULL,
     "in x float32\n"
     "in c bool\n"
     "y = If(c) then_branch={ init w_quantized int8[128,512]; init w_scale float32[512]; "
     "x_quantized, x_scale, x_zero_point = DynamicQuantizeLinear(x); t_int32 = "
     "MatMulInteger(x_quantized, w_quantized, x_zero_point); t_int32_cast = Cast(t_int32) to=1; "
     "t_int32_scale = Mul(x_scale, w_scale); t = Mul(t_int32_cast, t_int32_scale); out t float32; "
     "} else_branch={ init v_quantized int8[8,4,3]; init v_scale float32[8,1,1]; v_quantized_cast "
     "= Cast(v_quantized) to=1; v = Mul(v_quantized_cast, v_scale); e = Conv(x, v); out e float32; "
     "}\n"
     "out y float32\n"},
    {"a weight that two bodies share",
     "opset 17; in x float32; in c bool; init w float32[128,512]; y = If(c) then_branch={\n"
     "t = MatMul(x, w); out t float32\n"
     "} else_branch={ e = MatMul(x, w); out e float32 }; out y float32",
     NULL,
     "in x float32\n"
     "in c bool\n"
     "init w_quantized int8[128,512]\n"
     "init w_scale float32[512]\n"
     "y = If(c) then_branch={ x_quantized, x_scale, x_zero_point = DynamicQuantizeLinear(x); "
     "t_int32 = MatMulInteger(x_quantized, w_quantized, x_zero_point); t_int32_cast = "
     "Cast(t_int32) to=1; t_int32_scale = Mul(x_scale, w_scale); t = Mul(t_int32_cast, "
     "t_int32_scale); out t float32; } else_branch={ x_quantized_1, x_scale_1, x_zero_point_1 = "
     "DynamicQuantizeLinear(x); e_int32 = MatMulInteger(x_quantized_1, w_quantized, "
     "x_zero_point_1); e_int32_cast = Cast(e_int32) to=1; e_int32_scale = Mul(x_scale_1, w_scale); "
     "e = Mul(e_int32_cast, e_int32_scale); out e float32; }\n"
     "out y float32\n"},

    {"behind a Transpose",
     "opset 17; in x float32; init w float32[512,128]; t = Transpose(w); y = MatMul(x, t)\n"
     "out y float32",
     NULL, "in x float32\n" INTEGERS MATMUL "out y float32\n"},
    {"behind a chain",
     "opset 17; in x float32; init w float32[1,512,128]; s = Squeeze(w); t = Transpose(s)\n"
     "y = MatMul(x, t); out y float32",
     NULL,
     "in x float32\n"
     "init t_quantized int8[128,512]\n"
     "init t_scale float32[512]\n"
     "x_quantized, x_scale, x_zero_point = DynamicQuantizeLinear(x)\n"
     "y_int32 = MatMulInteger(x_quantized, t_quantized, x_zero_point)\n"
     "y_int32_cast = Cast(y_int32) to=1\n"
     "y_int32_scale = Mul(x_scale, t_scale)\n"
     "y = Mul(y_int32_cast, y_int32_scale)\n"
     "out y float32\n"},

    {"names that are taken",
     "opset 17; in x float32; in x_quantized float32; in w_quantized float32; in y_int32 float32\n"
     "init w float32[128,512]; init w_scale float32[1]; w_quantized_1 = Relu(x_quantized)\n"
     "y = MatMul(x, w); z = Add(w_quantized, w_scale); out y float32; out z float32\n"
     "out w_quantized_1 float32; out y_int32 float32",
     NULL,
     "in x float32\n"
     "in x_quantized float32\n"
     "in w_quantized float32\n"
     "in y_int32 float32\n"
     "init w_scale float32[1]\n"
     "init w_quantized_2 int8[128,512]\n"
     "init w_scale_1 float32[512]\n"
     "w_quantized_1 = Relu(x_quantized)\n"
     "x_quantized_1, x_scale, x_zero_point = DynamicQuantizeLinear(x)\n"
     "y_int32_1 = MatMulInteger(x_quantized_1, w_quantized_2, x_zero_point)\n"
     "y_int32_1_cast = Cast(y_int32_1) to=1\n"
     "y_int32_1_scale = Mul(x_scale, w_scale_1)\n"
     "y = Mul(y_int32_1_cast, y_int32_1_scale)\n"
     "z = Add(w_quantized, w_scale)\n"
     "out y float32\n"
     "out z float32\n"
     "out w_quantized_1 float32\n"
     "out y_int32 float32\n"},
    {"names that a body has taken",
     "opset 17; in x float32; in c bool; init w float32[128,512]; y = MatMul(x, w)\n"
     "z = If(c) then_branch={ w_quantized = Relu(x); out w_quantized float32\n"
     "} else_branch={ x_scale = Relu(x); out x_scale float32 }; out y float32; out z float32",
     NULL,
     "in x float32\n"
     "in c bool\n"
     "init w_quantized_1 int8[128,512]\n"
     "init w_scale float32[512]\n"
     "x_quantized, x_scale_1, x_zero_point = DynamicQuantizeLinear(x)\n"
     "y_int32 = MatMulInteger(x_quantized, w_quantized_1, x_zero_point)\n"
     "y_int32_cast = Cast(y_int32) to=1\n"
     "y_int32_scale = Mul(x_scale_1, w_scale)\n"
     "y = Mul(y_int32_cast, y_int32_scale)\n"
     "z = If(c) then_branch={ w_quantized = Relu(x); out w_quantized float32; } else_branch={ "
     "x_scale = Relu(x); out x_scale float32; }\n"
     "out y float32\n"
     "out z float32\n"},
    {"value_info of what is gone",
     X_AND_W "init v float32[8,4,3]\n"
             "info w float32[128,512]; info h float32[N,512]; info v float32[8,4,3]\n"
             "h = MatMul(x, w); y = Relu(h); z = Conv(y, v); out z float32",
     NULL,
     "in x float32\n"
     "init v_quantized int8[8,4,3]\n"
     "init v_scale float32[8,1,1]\n" INTEGERS "info h float32[N,512]\n"
     "info v float32[8,4,3]\n"
     "v_quantized_cast = Cast(v_quantized) to=1\n"
     "v = Mul(v_quantized_cast, v_scale)\n"
     "x_quantized, x_scale, x_zero_point = DynamicQuantizeLinear(x)\n"
     "h_int32 = MatMulInteger(x_quantized, w_quantized, x_zero_point)\n"
     "h_int32_cast = Cast(h_int32) to=1\n"
     "h_int32_scale = Mul(x_scale, w_scale)\n"
     "h = Mul(h_int32_cast, h_int32_scale)\n"
     "y = Relu(h)\n"
     "z = Conv(y, v)\n"
     "out z float32\n"},
    {"weights that are inputs",
     "ir 3; opset 17; in x float32; in w float32[128,512]; in b float32[512]\n"
     "init w float32[128,512]; init b float32[512]; y = MatMul(x, w); z = Add(y, b)\n"
     "out z float32",
     NULL,
     "in x float32\n"
     "init b float32[512]\n" INTEGERS MATMUL "z = Add(y, b)\n"
     "out z float32\n"},
    {"weights that are inputs, some of them",
     "ir 8; opset 17; in x float32; in b float32[512]; init w float32[128,512]\n"
     "init b float32[512]; y = MatMul(x, w); z = Add(y, b); out z float32",
     NULL,
     "in x float32\n"
     "in b float32[512]\n"
     "init b float32[512]\n" INTEGERS MATMUL "z = Add(y, b)\n"
     "out z float32\n"},
    {"constants that nobody uses leave",
     X_AND_W "init unused float32[3]; info unused float32[3]; k = Constant() value=float32[3]\n"
             "y = MatMul(x, w)\n"
             "out y float32",
     NULL, "in x float32\n" INTEGERS MATMUL "out y float32\n"},
    {"a node that nobody uses stays, and its constants",
     X_AND_W "init v float32[3]; k = Relu(v); y = MatMul(x, w)\n"
             "out y float32",
     NULL, "in x float32\ninit v float32[3]\n" INTEGERS "k = Relu(v)\n" MATMUL "out y float32\n"},
    {"a default value that nobody uses belongs to callers",
     X_AND_W "in unused float32[3]; init unused float32[3]; y = MatMul(x, w)\n"
             "out y float32",
     NULL,
     "in x float32\nin unused float32[3]\ninit unused float32[3]\n" INTEGERS MATMUL
     "out y float32\n"},
    {"a sum that is normalized", RESIDUAL "n = LayerNormalization(s, g)\nout n float32", NULL,
     RESIDUAL_INTEGERS "info s float32[N,512]\n" RESIDUAL_NODES "s = Sum(z, r)\n"
                       "n = LayerNormalization(s, g)\nout n float32\n"},
    {"a sum that is normalized in parts",
     RESIDUAL "m = ReduceMean(s); d = Sub(s, m); k = Mul(d, g)\nout k float32", NULL,
     RESIDUAL_INTEGERS "info s float32[N,512]\n" RESIDUAL_NODES "s = Sum(z, r)\n"
                       "m = ReduceMean(s)\nd = Sub(s, m)\nk = Mul(d, g)\nout k float32\n"},
    {"a sum that is normalized, for the engine to join",
     RESIDUAL "n = LayerNormalization(s, g)\nout n float32", adjust_join_norms,
     RESIDUAL_INTEGERS "info s float32[N,512]\n" RESIDUAL_NODES "s = Add(z, r)\n"
                       "n = LayerNormalization(s, g)\nout n float32\n"},
    {"a sum that is normalized, for an engine that joins fast",
     RESIDUAL "n = LayerNormalization(s, g)\nout n float32", adjust_for_1_29,
     RESIDUAL_INTEGERS "info s float32[N,512]\n" RESIDUAL_NODES "s = Add(z, r)\n"
                       "n = LayerNormalization(s, g)\nout n float32\n"},
    {"a sum that is normalized, for an engine that joins slowly",
     RESIDUAL "n = LayerNormalization(s, g)\nout n float32", adjust_for_1_30,
     RESIDUAL_INTEGERS "info s float32[N,512]\n" RESIDUAL_NODES "s = Sum(z, r)\n"
                       "n = LayerNormalization(s, g)\nout n float32\n"},
    {"a sum that is normalized, and more is done with it",
     RESIDUAL "n = LayerNormalization(s, g); t = Relu(s)\nout n float32; out t float32", NULL,
     RESIDUAL_INTEGERS "info s float32[N,512]\n" RESIDUAL_NODES "s = Add(z, r)\n"
                       "n = LayerNormalization(s, g)\nt = Relu(s)\n"
                       "out n float32\nout t float32\n"},
    {"a sum that is normalized and returned",
     RESIDUAL "n = LayerNormalization(s, g)\nout n float32; out s float32", NULL,
     RESIDUAL_INTEGERS "info s float32[N,512]\n" RESIDUAL_NODES "s = Add(z, r)\n"
                       "n = LayerNormalization(s, g)\nout n float32\nout s float32\n"},
    {"a biased product that is normalized",
     X_AND_W "init b float32[512]; init g float32[512]; y = MatMul(x, w); z = Add(y, b)\n"
             "n = LayerNormalization(z, g); out n float32",
     NULL,
     "in x float32\ninit b float32[512]\ninit g float32[512]\n" INTEGERS MATMUL
     "z = Add(y, b)\nn = LayerNormalization(z, g)\nout n float32\n"},
    {"another domain",
     "opset 17; opset custom 1; in x float32; init w float32[128,512]; init v float32[128,512]\n"
     "y = MatMul(x, w); z = custom::MatMul(x, v); out y float32; out z float32",
     NULL,
     "in x float32\n"
     "init v float32[128,512]\n" INTEGERS MATMUL "z = custom::MatMul(x, v)\n"
     "out y float32\n"
     "out z float32\n"},
};

static const Oq__Pb__ModelProto *quantize(const char *text, adjust_fn adjust)
{
    onnxq_options options = test_options();
    if (adjust != NULL)
        adjust(&options);
    return test_read_model(test_write(test_plan(test_model(text), &options)));
}

static void test_graph(void **state)
{
    const struct row *row = *state;
    const Oq__Pb__ModelProto *model = quantize(row->text, row->adjust);
    check_text(test_graph_text(model->graph), row->expected);
    check_sound(model);
}

int main(void)
{
    TEST_ROWS(test_graph, rows);
    return suite_run();
}
