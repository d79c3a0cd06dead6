/*
 * make_model KIND OUT.onnx
 * make_model --list
 *
 * Writes a small model that tests, benchmarks and demonstrations work on, so
 * that none has to be kept in the repository. The same bytes on every machine:
 * weights come from a fixed random sequence.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "support/text.h"

struct kind {
    const char *name;
    const char *text; /* in the language of text.h */
};

/* Names that try to reach the terminal: a colour, a line break, a bell, bytes that are no UTF-8. */
#define HOSTILE "\033[31mred\nline\a\xff\xc0\x80\\"

static const struct kind kinds[] = {
    {"demo", /* a network with two heads: a perceptron and a convolution */
     "ir 8; opset 17\n"
     "in x float32[N,256]; in image float32[N,32,16,16]\n"
     "init fc1.weight float32[256,512]; init fc1.bias float32[512]\n"
     "init fc2.weight float32[256,512]; init fc2.bias float32[256]\n"
     "init conv.weight float32[64,32,3,3]; init conv.bias float32[64]\n"
     "fc1: h0 = MatMul(x, fc1.weight)\n"
     "fc1_bias: h1 = Add(h0, fc1.bias)\n"
     "relu: h2 = Relu(h1)\n"
     "fc2: y = Gemm(h2, fc2.weight, fc2.bias) transB=1\n"
     "conv: features = Conv(image, conv.weight, conv.bias) pads=[1,1,1,1]\n"
     "out y float32[N,256]; out features float32[N,64,16,16]\n"},
    {"nothing", /* no weights */
     "ir 8; opset 17\n"
     "in x float32[N,64]\n"
     "relu: y = Relu(x)\n"
     "out y float32[N,64]\n"},
    {"matmul", "ir 8; opset 17\n"
               "in x float32[N,256]\n"
               "init w float32[256,256]\n"
               "matmul: y = MatMul(x, w)\n"
               "out y float32[N,256]\n"},
    {"gemm", "ir 8; opset 17\n"
             "in x float32[256,N]\n"
             "init w float32[256,256]; init b float32[256]\n"
             "gemm: y = Gemm(x, w, b) transA=1 transB=1 alpha=0.5 beta=2.0\n"
             "out y float32[N,256]\n"},
    {"conv", "ir 8; opset 17\n"
             "in x float32[N,16,12,12]\n"
             "init w float32[32,16,3,3]; init b float32[32]\n"
             "conv: y = Conv(x, w, b) pads=[1,1,1,1] strides=[2,2]\n"
             "out y float32[N,32,6,6]\n"},
    {"external", /* with a side file OUT.onnx.data */
     "ir 8; opset 17\n"
     "in x float32[N,256]\n"
     "init w float32[256,256] external; init v float32[256,256] external\n"
     "first: h = MatMul(x, w)\n"
     "second: y = MatMul(h, v)\n"
     "out y float32[N,256]\n"},
    {"nan", /* one weight that cannot be quantized, and one that can */
     "ir 8; opset 17\n"
     "in x float32[N,64]\n"
     "init bad float32[64,64] @1000=nan; init good float32[64,64]\n"
     "first: y = MatMul(x, bad)\n"
     "second: z = MatMul(x, good)\n"
     "out y float32[N,64]; out z float32[N,64]\n"},
    {"hostile-name", "ir 8; opset 17\n"
                     "in x float32[N,64]\n"
                     "init \"weight " HOSTILE "\" float32[64,64]\n"
                     "\"node " HOSTILE "\": y = MatMul(x, \"weight " HOSTILE "\")\n"
                     "out y float32[N,64]\n"},
    {"invalid", /* one problem of each kind: version, types, lengths, domains, names */
     "ir 8; opset 10; in x float32[N,4]\n"
     "init w int8[4,6]; init v uint8[4]\n"
     "q, s, z = DynamicQuantizeLinear(x)\n"
     "p = MatMulInteger(q, w, z, v)\n"
     "y = custom::Add(p, \"value " HOSTILE "\")\n"
     "out nowhere float32[N,6]\n"},
    {"scopes", /* bodies that use a weight of the graph around them, and one of their own */
     "ir 8; opset 17\n"
     "in x float32[N,256]; in c bool[]\n"
     "init w float32[256,256]\n"
     "if: y = If(c) then_branch={\n"
     "    then_matmul: t = MatMul(x, w)\n"
     "    out t float32[N,256]\n"
     "} else_branch={\n"
     "    init own float32[256,256]\n"
     "    else_matmul: e0 = MatMul(x, own)\n"
     "    else_outer: e1 = MatMul(x, w)\n"
     "    else_add: e = Add(e0, e1)\n"
     "    out e float32[N,256]\n"
     "}\n"
     "out y float32[N,256]\n"},
    {"static", /* quantized with scales from calibration: half of it can be undone */
     "ir 8; opset 17\n"
     "in x float32[N,3,8,8]\n"
     "init s float32[] = 0.05; init z uint8[] = 0; init c uint8[] = 128\n"
     "init w int8[8,3,3,3] = 1 2 -3; init ws float32[8] = 0.1; init v int8[8,8,1,1] = 5 -6\n"
     "input_q: xq = QuantizeLinear(x, s, c)\n"
     "input_dq: xd = DequantizeLinear(xq, s, c)\n"
     "weight_dq: wd = DequantizeLinear(w, ws) axis=0\n"
     "conv: y = Conv(xd, wd)\n"
     "output_q: yq = QuantizeLinear(y, s, z)\n"
     "output_dq: yd = DequantizeLinear(yq, s, z)\n"
     "relu: r = Relu(yd)\n"
     "next_q: rq = QuantizeLinear(r, s, z)\n"
     "qconv: t = QLinearConv(rq, s, z, v, s, , s, z)\n"
     "last: u = DequantizeLinear(t, s, z)\n"
     "out u float32[N,8,6,6]\n"},
    {"few-bits", /* 4 bits a weight */
     "ir 8; opset 17; opset com.microsoft 1\n"
     "in x float32[N,64]\n"
     "init q uint8[32,2,16] = 1 2 3 77; init s float32[64] = 0.5 0.25\n"
     "init f uint8[1024] = 200 9 17; init m float32[32] = 1 2\n"
     "nbits: h = com.microsoft::MatMulNBits(x, q, s) K=64 N=32 bits=4 block_size=32\n"
     "bnb4: y = com.microsoft::MatMulBnb4(h, f, m) K=32 N=64 block_size=64 quant_type=1\n"
     "three: z = com.microsoft::MatMulNBits(x, q, s) K=64 N=32 bits=3 block_size=32\n"
     "out y float32[N,64]; out z float32[N,32]\n"},
    {"float16", "ir 8; opset 17\n"
                "in x float16[N,256]\n"
                "init w float16[256,256]; init v float16[256,256] packed\n"
                "first: h = MatMul(x, w)\n"
                "second: y = MatMul(h, v)\n"
                "out y float16[N,256]\n"},
};

#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static int list_kinds(void)
{
    for (size_t i = 0; i < N_KINDS; i++)
        puts(kinds[i].name);
    return 0;
}

static int make(const struct kind *kind, const char *path)
{
    struct builder builder;
    text_parse(&builder, kind->text);
    bool ok = builder_write(&builder, path);
    if (!ok)
        fprintf(stderr, "make_model: %s: %s\n", path, strerror(errno));
    builder_fini(&builder);
    return ok ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        return list_kinds();
    for (size_t i = 0; argc == 3 && i < N_KINDS; i++)
        if (strcmp(kinds[i].name, argv[1]) == 0)
            return make(&kinds[i], argv[2]);
    fputs("usage: make_model KIND OUT.onnx\n       make_model --list\n", stderr);
    return 2;
}
