/* What dequantize makes of graphs, operator by operator, and what it leaves alone. */
#include <string.h>

#include <onnxq/onnxq.h>

#include "dequantize/undo.h"
#include "support/models.h"
#include "support/sound.h"

#define HEAD   "ir 10; opset 21; opset com.microsoft 1; in x float32\n"
#define LINEAR "xq, xs, xz = DynamicQuantizeLinear(x)\n"
#define Q      "init q int8[8,4]; init s float32[4]\n"
#define INTS   "m = MatMulInteger(xq, q, xz); c = Cast(m) to=1\n"

static const struct row {
    const char *name, *text, *graph;
    const char *kept; /* "operator: reason" of each node that stays, or NULL */
} rows[] = {
    /* --- DequantizeLinear --- */
    {"linear", Q "w = DequantizeLinear(q, s) axis=1; y = MatMul(x, w); out y float32",
     "in x float32\ninit w float32[8,4]\ny = MatMul(x, w)\nout y float32\n", NULL},
    {"linear, contrib",
     Q "w = com.microsoft::DequantizeLinear(q, s) axis=1; y = MatMul(x, w); out y float32",
     "in x float32\ninit w float32[8,4]\ny = MatMul(x, w)\nout y float32\n", NULL},
    {"float16 scale",
     "init q int8[8]; init s float16[]; w = DequantizeLinear(q, s); y = Add(x, w); out y float16",
     "in x float32\ninit w float16[8]\ny = Add(x, w)\nout y float16\n", NULL},
    {"Constant nodes",
     "q = Constant() value=int8[8]; s = Constant() value=float32[]\n"
     "w = DequantizeLinear(q, s); y = Add(x, w); out y float32",
     "in x float32\ninit w float32[8]\ny = Add(x, w)\nout y float32\n", NULL},
    {"alike",
     Q "v = DequantizeLinear(q, s) axis=1; w = DequantizeLinear(q, s) axis=-1\n"
       "a = MatMul(x, v); y = MatMul(a, w); out y float32",
     "in x float32\ninit v float32[8,4]\na = MatMul(x, v)\ny = MatMul(a, v)\nout y float32\n",
     NULL},
    {"integers that stay",
     Q "w = DequantizeLinear(q, s) axis=1; y = MatMul(x, w); out y float32; out q int8[8,4]",
     "in x float32\ninit q int8[8,4]\ninit w float32[8,4]\ny = MatMul(x, w)\nout y float32\nout q "
     "int8[8,4]\n",
     NULL},
    {"in bodies",
     Q
     "in b bool[]\n"
     "y = If(b) then_branch={ v = DequantizeLinear(q, s) axis=1; t = MatMul(x, v); out t float32 } "
     "else_branch={ w = DequantizeLinear(q, s) axis=1; e = MatMul(x, w); out e float32 }\n"
     "out y float32",
     "in x float32\nin b bool[]\ninit q_float float32[8,4]\n"
     "y = If(b) then_branch={ t = MatMul(x, q_float); out t float32; } "
     "else_branch={ e = MatMul(x, q_float); out e float32; }\nout y float32\n",
     NULL},
    {"returned", Q "w = DequantizeLinear(q, s) axis=1; out w float32", NULL,
     "DequantizeLinear: the graph returns it\n"},
    {"overridable",
     "in q int8[8]; init q int8[8]; init s float32[]; init v float32[8]\n"
     "w = DequantizeLinear(q, s); z = Add(x, w); y = Add(z, v); out y float32",
     NULL, "DequantizeLinear: its input is computed as integers\n"},
    {"no scale", "init q int8[8]; w = DequantizeLinear(q); y = Add(x, w); out y float32", NULL,
     "DequantizeLinear: its scale is no constant\n"},
    {"no inputs", "w = DequantizeLinear(); y = Add(x, w); out y float32", NULL,
     "DequantizeLinear: its input is computed as integers\n"},
    {"floats",
     "init q float32[8]; init s float32[]; w = DequantizeLinear(q, s)\n"
     "y = Add(x, w); out y float32",
     NULL, "DequantizeLinear: its weight is not of integers of 2 to 32 bits\n"},
    {"no elements",
     "init q int8[0]; init s float32[]; w = DequantizeLinear(q, s)\n"
     "y = Add(x, w); out y float32",
     NULL, "DequantizeLinear: its weight has no elements\n"},
    {"no scales",
     "init q int8[8]; init s float32[0]; w = DequantizeLinear(q, s)\n"
     "y = Add(x, w); out y float32",
     NULL, "DequantizeLinear: its axis or block size is out of range\n"},
    {"too many scales",
     "init q int8[1,8]; init s float32[1,1,1,8]; w = DequantizeLinear(q, s)\n"
     "y = Add(x, w); out y float32",
     NULL, "DequantizeLinear: its scales or zero points do not fit its weight\n"},
    {"negative block",
     Q "w = DequantizeLinear(q, s) axis=0 block_size=-2; y = Add(x, w)\n"
       "out y float32",
     NULL, "DequantizeLinear: its axis or block size is out of range\n"},

    /* --- pairs --- */
    {"pair",
     "init s float32[] = 0.37; init z int8[] = 3\n"
     "q = QuantizeLinear(x, s, z); a = DequantizeLinear(q, s, z); y = Neg(a); out y float32",
     "in x float32\ny = Neg(x)\nout y float32\n", NULL},
    {"pairs in a row",
     "init s float32[] = 0.37; init z int8[] = 3\n"
     "q = QuantizeLinear(x, s, z); a = DequantizeLinear(q, s, z)\n"
     "r = QuantizeLinear(a, s, z); b = DequantizeLinear(r, s, z); y = Neg(b); out y float32",
     "in x float32\ny = Neg(x)\nout y float32\n", NULL},
    {"returned pair",
     "init s float32[] = 0.37; init z int8[] = 3\n"
     "q = QuantizeLinear(x, s, z); y = DequantizeLinear(q, s, z); out y float32",
     "in x float32\ny = Identity(x)\nout y float32\n", NULL},
    {"Relu left to the integers",
     "init s float32[] = 0.37\n"
     "n = Neg(x); q = QuantizeLinear(n, s); a = DequantizeLinear(q, s); y = Neg(a); out y float32",
     "in x float32\ninit clip_min_f32 float32[]\ninit clip_max_f32 float32[]\n"
     "n = Neg(x)\na = Clip(n, clip_min_f32, clip_max_f32)\ny = Neg(a)\nout y float32\n",
     NULL},
    {"Relu before it",
     "init s float32[] = 0.37\n"
     "n = Relu(x); q = QuantizeLinear(n, s); a = DequantizeLinear(q, s); y = Neg(a); out y float32",
     "in x float32\nn = Relu(x)\ny = Neg(n)\nout y float32\n", NULL},
    {"bias added as integers",
     "init q uint8[4,3,3,3]; init s float32[] = 0.5; init b float32[4]; init h int64[4] = 1 -1 1 "
     "1\n" LINEAR
     "bs = Mul(xs, s); d = Div(b, bs); f = Floor(d); e = Cast(f) to=6; r = Reshape(e, h)\n"
     "m = ConvInteger(xq, q, xz); a = Add(m, r); c = Cast(a) to=1; t = Mul(xs, s); y = Mul(c, t)\n"
     "out y float32",
     "in x float32\ninit b float32[4]\ninit q_float float32[4,3,3,3]\ny = Conv(x, q_float, b)\n"
     "out y float32\n",
     NULL},
    {"two activations",
     LINEAR "m = MatMulInteger(xq, xq, xz, xz); c = Cast(m) to=1; t = Mul(xs, xs); y = Mul(c, t)\n"
            "out y float32",
     "in x float32\ny = MatMul(x, x)\nout y float32\n", NULL},
    {"Relu left to integers without the lowest",
     "init s float32[] = 0.37; init z int8[] = -127\n"
     "n = Neg(x); q = QuantizeLinear(n, s, z); a = DequantizeLinear(q, s, z); y = Neg(a)\n"
     "out y float32",
     "in x float32\ninit clip_min_f32 float32[]\ninit clip_max_f32 float32[]\n"
     "n = Neg(x)\na = Clip(n, clip_min_f32, clip_max_f32)\ny = Neg(a)\nout y float32\n",
     NULL},
    {"Clip left to the integers",
     "init s float32[] = 0.00784313725; init z uint8[] = 128\n"
     "n = Neg(x); q = QuantizeLinear(n, s, z); a = DequantizeLinear(q, s, z); y = Neg(a)\n"
     "out y float32",
     "in x float32\ninit clip_min_f32 float32[]\ninit clip_max_f32 float32[]\n"
     "n = Neg(x)\na = Clip(n, clip_min_f32, clip_max_f32)\ny = Neg(a)\nout y float32\n",
     NULL},
    {"signed without zero point",
     "init s float32[] = 0.37\n"
     "q = QuantizeLinear(x, s) output_dtype=3; a = DequantizeLinear(q, s); y = Neg(a); out y "
     "float32",
     "in x float32\ny = Neg(x)\nout y float32\n", NULL},
    {"unsigned by its type",
     "init s float32[] = 0.37\n"
     "q = QuantizeLinear(x, s) output_dtype=2; a = DequantizeLinear(q, s); y = Neg(a); out y "
     "float32",
     "in x float32\ninit clip_min_f32 float32[]\ninit clip_max_f32 float32[]\n"
     "a = Clip(x, clip_min_f32, clip_max_f32)\ny = Neg(a)\nout y float32\n",
     NULL},
    {"16 bits without zero point",
     "init s float32[] = 0.37\n"
     "q = QuantizeLinear(x, s) output_dtype=5; a = DequantizeLinear(q, s)\n"
     "r = QuantizeLinear(a, s) output_dtype=4; b = DequantizeLinear(r, s)\n"
     "y = Neg(b); out y float32",
     "in x float32\ninit clip_min_f32 float32[]\ninit clip_max_f32 float32[]\n"
     "b = Clip(x, clip_min_f32, clip_max_f32)\ny = Neg(b)\nout y float32\n",
     NULL},
    {"a type of other numbers",
     "init s float32[] = 0.37\n"
     "q = QuantizeLinear(x, s) output_dtype=17; a = DequantizeLinear(q, s); y = Neg(a); out y "
     "float32",
     NULL, "DequantizeLinear: its scale and zero point are not one constant number each\n"},
    {"a scale per channel",
     "init s float32[4]; init z int8[4]\n"
     "q = QuantizeLinear(x, s, z); a = DequantizeLinear(q, s, z); y = Neg(a); out y float32",
     NULL, "DequantizeLinear: its scale and zero point are not one constant number each\n"},
    {"also an output",
     "init s float32[] = 0.37; init z int8[] = 3; opset 21\n"
     "q = QuantizeLinear(x, s, z); a = DequantizeLinear(q, s, z); y = Neg(a)\n"
     "out y float32; out q int8",
     "in x float32\ninit s float32[]\ninit z int8[]\nq = QuantizeLinear(x, s, z)\ny = Neg(x)\n"
     "out y float32\nout q int8\n",
     NULL},

    /* --- products --- */
    {"product", Q LINEAR INTS "t = Mul(xs, s); y = Mul(c, t); out y float32",
     "in x float32\ninit q_float float32[8,4]\ny = MatMul(x, q_float)\nout y float32\n", NULL},
    {"names of onnxq",
     "init w_quantized int8[8,4]; init s float32[4]\n" LINEAR
     "m = MatMulInteger(xq, w_quantized, xz); c = Cast(m) to=1\n"
     "t = Mul(xs, s); y = Mul(c, t); out y float32",
     "in x float32\ninit w float32[8,4]\ny = MatMul(x, w)\nout y float32\n", NULL},
    {"name that is taken",
     "init w_quantized int8[8,4]; init s float32[4]; init w float32[4]\n" LINEAR
     "m = MatMulInteger(xq, w_quantized, xz); c = Cast(m) to=1\n"
     "t = Mul(xs, s); u = Mul(c, t); y = Add(u, w); out y float32",
     "in x float32\ninit w float32[4]\ninit w_1 float32[8,4]\n"
     "u = MatMul(x, w_1)\ny = Add(u, w)\nout y float32\n",
     NULL},
    {"two products of one activation",
     Q LINEAR INTS "t = Mul(xs, s); y = Mul(t, c); u = Mul(c, xs); z = Mul(s, u)\n"
                   "out y float32; out z float32",
     "in x float32\ninit q_float float32[8,4]\ny = MatMul(x, q_float)\nz = MatMul(x, q_float)\n"
     "out y float32\nout z float32\n",
     NULL},
    {"one of two",
     Q LINEAR
     "init d float32[3]\n" INTS
     "t = Mul(xs, s); y = Mul(c, t); u = Mul(xs, d); z = Mul(c, u); out y float32; out z float32",
     "in x float32\ninit q int8[8,4]\ninit d float32[3]\ninit q_float float32[8,4]\n"
     "xq, xs, xz = DynamicQuantizeLinear(x)\nm = MatMulInteger(xq, q, xz)\nc = Cast(m) to=1\n"
     "y = MatMul(x, q_float)\nu = Mul(xs, d)\nz = Mul(c, u)\nout y float32\nout z float32\n",
     "MatMulInteger: its scales or zero points do not fit its weight\n"},
    {"transposed",
     "init q int8[4,8]; init s float32[4]; p = Transpose(q) perm=[1,0]\n" LINEAR
     "m = MatMulInteger(xq, p, xz); c = Cast(m) to=1; t = Mul(xs, s); y = Mul(c, t); out y float32",
     "in x float32\ninit q_float float32[4,8]\nq_float_transposed = Transpose(q_float) perm=[1,0]\n"
     "y = MatMul(x, q_float_transposed)\nout y float32\n",
     NULL},
    {"zero point of the activation left out",
     Q LINEAR
     "m = MatMulInteger(xq, q); c = Cast(m) to=1; t = Mul(xs, s); y = Mul(c, t); out y float32",
     NULL, "MatMulInteger: it is not in a pattern that is known here\n"},
    {"weight on the left",
     Q LINEAR "m = MatMulInteger(q, xq, , xz); c = Cast(m) to=1; t = Mul(xs, s); y = Mul(c, t)\n"
              "out y float32",
     NULL, "MatMulInteger: it is not in a pattern that is known here\n"},
    {"scales for rows",
     "init q int8[8,4]; init s float32[4,1]\n" LINEAR INTS
     "t = Mul(xs, s); y = Mul(c, t); out y float32",
     NULL, "MatMulInteger: its scales or zero points do not fit its weight\n"},
    {"fused",
     Q "init b float32[4]\n"
       "y = com.microsoft::DynamicQuantizeMatMul(x, q, s, , b); out y float32",
     "in x float32\ninit b float32[4]\ninit q_float float32[8,4]\n"
     "y_product = MatMul(x, q_float)\ny = Add(y_product, b)\nout y float32\n",
     NULL},
    {"fused, shared activation",
     Q LINEAR "y = com.microsoft::MatMulIntegerToFloat(xq, q, xs, s, xz); out y float32",
     "in x float32\ninit q_float float32[8,4]\ny = MatMul(x, q_float)\nout y float32\n", NULL},
    {"fused, static activation",
     Q "in a uint8; init t float32[]\n"
       "y = com.microsoft::MatMulIntegerToFloat(a, q, t, s); out y float32",
     NULL, "MatMulIntegerToFloat: its activation is not from DynamicQuantizeLinear\n"},
    {"embedding and product",
     "init e uint8[9,8]; init es float32[]; init ez uint8[] = 7; in i int64\n" Q
     "g = Gather(e, i); m = MatMulInteger(g, q, ez); c = Cast(m) to=1\n"
     "t = Mul(es, s); y = Mul(c, t); out y float32",
     "in x float32\nin i int64\ninit e_float float32[9,8]\ninit q_float float32[8,4]\n"
     "e_float_rows = Gather(e_float, i) axis=0\ny = MatMul(e_float_rows, q_float)\n"
     "out y float32\n",
     NULL},

    /* --- convolutions --- */
    {"convolution",
     "init q uint8[4,2,3,3]; init s float32[4,1,1]; init z uint8[]; init b float32[4]\n"
     "init h int64[3] = 4 1 1\n" LINEAR "m = ConvInteger(xq, q, xz, z) pads=[1,1,1,1]\n"
     "c = Cast(m) to=1; t = Mul(xs, s); u = Mul(c, t); r = Reshape(b, h); y = Add(u, r)\n"
     "out y float32",
     "in x float32\ninit b float32[4]\ninit q_float float32[4,2,3,3]\n"
     "y = Conv(x, q_float, b) pads=[1,1,1,1]\nout y float32\n",
     NULL},
    {"convolution, other bias",
     "init q uint8[4,2,3]; init s float32[1,4,1]; init b float32[1,4,1]\n" LINEAR
     "m = ConvInteger(xq, q, xz); c = Cast(m) to=1; t = Mul(xs, s); u = Mul(c, t)\n"
     "y = Add(u, b); out y float32",
     "in x float32\ninit b float32[1,4,1]\ninit q_float float32[4,2,3]\n"
     "u = Conv(x, q_float)\ny = Add(u, b)\nout y float32\n",
     NULL},
    {"convolution, wrong scale",
     "init q uint8[4,2,3]; init s float32[4]\n" LINEAR
     "m = ConvInteger(xq, q, xz); c = Cast(m) to=1; t = Mul(xs, s); y = Mul(c, t); out y float32",
     NULL, "ConvInteger: its scale is not one for each output channel\n"},

    /* --- what the graph makes float --- */
    {"folded",
     "init w_quantized int8[8,4]; init s float32[1,4]\n"
     "c = Cast(w_quantized) to=1; w = Mul(c, s); y = MatMul(x, w); out y float32",
     "in x float32\ninit w float32[8,4]\ny = MatMul(x, w)\nout y float32\n", NULL},
    {"folded with zero point, scale first",
     "init q uint8[8,4]; init s float32[8,1]; init z float32[8,1]\n"
     "c = Cast(q) to=1; d = Sub(c, z); w = Mul(s, d); y = MatMul(x, w); out y float32",
     "in x float32\ninit w float32[8,4]\ny = MatMul(x, w)\nout y float32\n", NULL},
    {"folded float16",
     "init q int8[8,4]; init s float32[]\n"
     "c = Cast(q) to=1; d = Mul(c, s); w = Cast(d) to=10; y = MatMul(x, w); out y float16",
     "in x float32\ninit w float16[8,4]\ny = MatMul(x, w)\nout y float16\n", NULL},
    {"wide integers are no weight",
     "init q int32[8,4]; init s float32[]\n"
     "c = Cast(q) to=1; w = Mul(c, s); y = MatMul(x, w); out y float32",
     NULL, ""},
    {"rows",
     "init q int8[9,4]; init s float32[9,1]; in i int64\n"
     "g = Gather(q, i); h = Gather(s, i); c = Cast(g) to=1; y = Mul(c, h); out y float32",
     "in x float32\nin i int64\ninit q_float float32[9,4]\ny = Gather(q_float, i) axis=0\n"
     "out y float32\n",
     NULL},
    {"rows of float16",
     "init q int8[9,4]; init s float32[9,1]; in i int64\n"
     "g = Gather(q, i); h = Gather(s, i); c = Cast(g) to=1; m = Mul(c, h); y = Cast(m) to=10\n"
     "out y float16",
     "in x float32\nin i int64\ninit q_float float16[9,4]\ny = Gather(q_float, i) axis=0\n"
     "out y float16\n",
     NULL},
    {"rows by other indices",
     "init q int8[9,4]; init s float32[9,1]; in i int64; in j int64\n"
     "g = Gather(q, i); h = Gather(s, j); c = Cast(g) to=1; y = Mul(c, h); out y float32",
     NULL, "Gather: its scales are not gathered as its integers are\n"},
    {"rows by DequantizeLinear",
     "init q uint8[9,4]; init s float32[]; init z uint8[] = 9; in i int64\n"
     "g = Gather(q, i) axis=-1; y = DequantizeLinear(g, s, z); out y float32",
     "in x float32\nin i int64\ninit q_float float32[9,4]\ny = Gather(q_float, i) axis=1\n"
     "out y float32\n",
     NULL},
    {"table that is also multiplied",
     "init q int8[9,4]; init s float32[9,1]; init t float32[9]\n"
     "in i int64; g = Gather(q, i); h = Gather(s, i); c = Cast(g) to=1; a = Mul(c, h)\n"
     "p = Transpose(q) perm=[1,0]; aq, as, az = DynamicQuantizeLinear(a)\n"
     "m = MatMulInteger(aq, p, az); d = Cast(m) to=1; e = Mul(as, t); y = Mul(d, e)\n"
     "out y float32",
     NULL, NULL},

    /* --- others --- */
    {"bits",
     "init q uint8[4,1,8]; init s float32[4]; init b float32[4]\n"
     "y = com.microsoft::MatMulNBits(x, q, s, , , b) K=16 N=4 bits=4 block_size=16; out y float32",
     "in x float32\ninit b float32[4]\ninit q_float float32[16,4]\n"
     "y_product = MatMul(x, q_float)\ny = Add(y_product, b)\nout y float32\n",
     NULL},
    {"no attributes",
     "init q uint8[4,1,8]; init s float32[4]\n"
     "y = com.microsoft::MatMulNBits(x, q, s); out y float32",
     NULL, "MatMulNBits: its K or N is out of range\n"},
    {"no weight", "y = com.microsoft::MatMulNBits(x) K=16 N=4 block_size=16; out y float32", NULL,
     "MatMulNBits: its weight is no constant\n"},
    {"huge",
     "init q uint8[4,1,8]; init s float32[4]\n"
     "y = com.microsoft::MatMulNBits(x, q, s) K=2147483647 N=2147483647 block_size=16; out y "
     "float32",
     NULL, "MatMulNBits: its weight is not as large as K, N, bits and block_size say\n"},
    {"bnb4 the other way round",
     "init q uint8[8]; init s float32[1]\n"
     "y = com.microsoft::MatMulBnb4(x, q, s) K=4 N=4 block_size=16 quant_type=0 transB=0; out y "
     "float32",
     NULL, "MatMulBnb4: it has transB 0\n"},
    {"attention",
     "init q int8[8,24]; init s float32[24]; init b float32[24]\n" LINEAR
     "y = com.microsoft::QAttention(xq, q, b, xs, s, , xz) num_heads=2; out y float32",
     "in x float32\ninit b float32[24]\ninit q_float float32[8,24]\n"
     "y = com.microsoft::Attention(x, q_float, b) num_heads=2\nout y float32\n",
     NULL},
    {"QLinear",
     "in a uint8; init s float32[]; init z uint8[]; init q int8[8,4]\n"
     "y = QLinearMatMul(a, s, z, q, s, z, s, z); out y uint8",
     NULL, "QLinearMatMul: its activations are integers, with scales from calibration\n"},
    {"nothing", "y = Neg(x); out y float32", NULL, ""},
};

static void destroy(void *thing)
{
    onnxq_dequantization_destroy(thing);
}

static const onnxq_dequantization *undo(const char *text)
{
    onnxq_error error;
    onnxq_dequantize_options options;
    onnxq_dequantize_options_init(&options);
    onnxq_dequantization *made =
        onnxq_dequantization_create(test_model(test_printf("%s%s", HEAD, text)), &options, &error);
    if (made == NULL)
        fail_msg("%s", test_error_text(&error));
    test_defer(destroy, made);
    return made;
}

static const char *kept_text(const onnxq_dequantization *made)
{
    const char *text = "";
    for (size_t i = 0; i < onnxq_dequantization_count(made); i++) {
        const onnxq_dequantized *node = onnxq_dequantization_get(made, i);
        assert_compare((node->form[0] == '\0'), !=, (node->reason[0] == '\0'));
        if (node->form[0] == '\0')
            text = test_printf("%s%s: %s\n", text, node->op_type, node->reason);
    }
    return text;
}

static void test_graph(void **state)
{
    const struct row *row = *state;
    onnxq_error error;
    const onnxq_dequantization *made = undo(row->text);
    const char *path = test_path("out.onnx");
    onnxq_status status = onnxq_dequantization_write(made, path, &error);
    check_text(kept_text(made), row->kept == NULL ? "" : row->kept);
    if (row->graph == NULL && row->kept != NULL) {
        assert_int_equal(status, ONNXQ_NOTHING_TO_DO);
        assert_false(test_exists(path));
        return;
    }
    if (status != ONNXQ_OK)
        fail_msg("%s", test_error_text(&error));
    test_check_output(made->model, path);
    const Oq__Pb__ModelProto *model = test_read_model(path);
    if (row->graph != NULL)
        check_text(test_graph_text(model->graph), row->graph);
    if (strstr(row->name, "tail") == NULL)
        check_sound(model);
}

static void test_one_call(void **state)
{
    (void)state;
    onnxq_error error;
    onnxq_dequantize_options options;
    onnxq_dequantize_options_init(&options);
    const onnxq_model *model =
        test_model(HEAD Q LINEAR INTS "t = Mul(xs, s); y = Mul(c, t); out y float32");
    assert_int_equal(
        onnxq_dequantize_file(test_path("model.onnx"), test_path("out.onnx"), &options, &error),
        ONNXQ_OK);
    onnxq_dequantization *back = onnxq_dequantization_create(model, &options, &error);
    const onnxq_dequantize_summary *summary = onnxq_dequantization_get_summary(back);
    assert_int_equal(summary->n_dequantized, 1);
    assert_int_equal(summary->n_left, 0);
    size_t nbytes;
    test_read_file(test_path("out.onnx"), &nbytes);
    assert_int_equal(summary->nbytes_after, nbytes);
    onnxq_dequantization_destroy(back);
}

static void test_refused_options(void **state)
{
    (void)state;
    onnxq_error error;
    onnxq_dequantize_options options = {0};
    const onnxq_model *model = test_model(HEAD "y = Neg(x); out y float32");
    assert_null(onnxq_dequantization_create(model, &options, &error));
    assert_int_equal(error.status, ONNXQ_ERROR_OPTION);
    onnxq_dequantize_options_init(&options);
    options.float_type = (onnxq_float_type)7;
    assert_null(onnxq_dequantization_create(model, &options, NULL));
}

/* The shared forms: integers once, at their first use. */
static void test_bytes(void **state)
{
    (void)state;
    const onnxq_dequantization *made =
        undo(Q LINEAR INTS "t = Mul(xs, s); y = Mul(t, c); u = Mul(c, xs); z = Mul(s, u)\n"
                           "out y float32; out z float32");
    assert_int_equal(onnxq_dequantization_form_count(made), 1);
    const onnxq_dequantized_form *form = onnxq_dequantization_get_form(made, 0);
    check_text(form->form, "MatMulInteger");
    assert_int_equal(form->count, 2);
    assert_int_equal(form->nbytes, 8 * 4 + 4 * 4);
    assert_int_equal(form->nbytes_after, 8 * 4 * 4);
}

int main(void)
{
    TEST_ROWS(test_graph, rows);
    TEST(test_one_call);
    TEST(test_refused_options);
    TEST(test_bytes);
    return suite_run();
}
