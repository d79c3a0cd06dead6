/* What the validator says of models that are right, and of those that are not. */
#include "validate/validate.h"

#include <string.h>

#include "quantize/plan/plan.h"
#include "support/models.h"
#include "wire/data_type.h"

static void destroy_validation(void *thing)
{
    onnxq_validation_destroy(thing);
}

static const onnxq_validation *validate(const onnxq_model *model)
{
    onnxq_error error;
    onnxq_validation *validation = onnxq_validation_create(model, &error);
    if (validation == NULL)
        fail_msg("%s", test_error_text(&error));
    test_defer(destroy_validation, validation);
    return validation;
}

/* "graph: node: value: message", what is empty left out, a line each. */
static const char *describe(const onnxq_validation *validation)
{
    const char *text = "";
    for (size_t i = 0; i < validation->n_problems; i++) {
        const onnxq_problem *p = &validation->problems[i];
        const char *graph = strcmp(p->graph, "main") == 0 ? "" : p->graph;
        text = test_printf("%s%s%s%s%s%s%s%s%s", text, i > 0 ? "\n" : "", graph,
                           graph[0] != '\0' ? ": " : "", p->node, p->node[0] != '\0' ? ": " : "",
                           p->value, p->value[0] != '\0' ? ": " : "", p->message);
    }
    return text;
}

static void check_problems(const onnxq_model *model, const char *expected)
{
    onnxq_error error;
    check_text(describe(validate(model)), expected);
    oq_error_init(&error);
    assert_int_equal(oq_validate(model, &error), expected[0] == '\0');
    assert_int_equal(error.status, expected[0] == '\0' ? ONNXQ_OK : ONNXQ_ERROR_INPUT);
}

/* --- values --- */

/* All of them behind "ir 8; opset 17; in x float32[N,4]". */
struct row {
    const char *name, *text, *expected;
};

static void test_row(void **state)
{
    const struct row *row = *state;
    check_problems(test_model(test_printf("ir 8; opset 17; in x float32[N,4]; %s", row->text)),
                   row->expected);
}

#define BODIES                                                                                     \
    "in c bool; y = If(c) then_branch={ t = Relu(x); out t float32 } else_branch={ t = "           \
    "Relu(x); out t float32 }; "

#define ELSE "else_branch={ init e float32[2]; out e float32 }"

static const struct row values[] = {
    {"an empty graph", "", ""},
    {"a chain", "y = Relu(x); z = Relu(y); out z float32", ""},
    {"inputs left out", "init s float32[2]; y = Resize(x, , s); out y float32", ""},
    {"nothing makes it", "y = Add(x, q); out y float32", "y: q: is used, but nothing makes it"},
    {"made later", "y = Add(x, q); q = Relu(x); out y float32", "y: q: is used before it is made"},
    {"made by itself", "y = Add(x, y); out y float32", "y: y: is used before it is made"},
    {"no such output", "y = Relu(x); out z float32",
     "z: is an output, but the graph does not make it"},
    {"an input as output", "out x float32", ""},
    {"a default value", "in w float32[2]; init w float32[2]; out w float32[2]", ""},
    {"a default value of another type", "in w float16[2]; init w float32[2]",
     "w: the initializer is float32, but declared as float16"},
    {"bodies", BODIES "out y float32", ""},
    {"a body sees what is made before",
     "in c bool; q = Relu(x); y = If(c) then_branch={ t = Relu(q); out t float32 } " ELSE
     "; out y float32",
     ""},
    {"a body sees nothing that is made later",
     "in c bool; y = If(c) then_branch={ t = Relu(q); out t float32 } " ELSE
     "; q = Relu(x); out y float32",
     "then_branch: t: q: is used before it is made"},
    {"a body in a body sees nothing that is made later",
     "in c bool; y = If(c) then_branch={ a = If(c) then_branch={ t = Relu(q); out t float32 } " ELSE
     "; out a float32 } " ELSE "; q = Relu(x); out y float32",
     "then_branch: t: q: is used before it is made"},
    {"nobody sees into a body", BODIES "z = Relu(t); out z float32",
     "z: t: is used, but nothing makes it"},
    {"a body hides what was made before",
     "in c bool; t = Relu(x); y = If(c) then_branch={ t = Relu(x); out t float32 } " ELSE
     "; out y float32",
     "then_branch: t: t: is made a second time: graph \"main\" has it already"},
    {"a body takes a name that comes later", BODIES "t = Relu(x); out y float32", ""},
    {"an initializer of a body may hide",
     "in c bool; y = If(c) then_branch={ init x float32[2]; t = Relu(x); out t float32 } " ELSE
     "; out y float32",
     ""},
    {"a body returns what is around it",
     "in c bool; y = If(c) then_branch={ out x float32 } " ELSE "; out y float32",
     "then_branch: x: is an output, but the graph does not make it"},
    {"a body is missing", "in c bool; y = If(c) " ELSE "; out y float32",
     "y: attribute \"then_branch\" is missing"},
    {"outputs of bodies", "in c bool; y = If(c) then_branch={ t = Relu(x) } " ELSE,
     "y: its then_branch has 0 outputs, expected 1"},
    {"branches of two types",
     "in c bool; y = If(c) then_branch={ t = Abs(x); out t float32 } else_branch={ t = Cast(x) "
     "to=7; out t int64 }",
     "y: y: is float32 from branch \"then_branch\", expected int64 as declared, or from the other"},
    {"branches of another type than is declared", BODIES "out y float16",
     "y: y: is float32 from branch \"else_branch\", expected float16 as declared, or from the "
     "other"},
    {"a condition of floats",
     "in c float32; y = If(c) then_branch={ t = Relu(x); out t float32 } " ELSE,
     "y: c: is float32, expected bool"},
    {"a Loop",
     "init n int64[]; init c bool[]; y = Loop(n, c, x) body={ in i int64; in d bool; in v float32; "
     "w = Relu(v); e = Identity(d); out e bool; out w float32 }",
     ""},
    {"a Loop with fewer values",
     "init n int64[]; init c bool[]; y = Loop(n, c, x) body={ in i int64; in d bool; "
     "e = Identity(d); out e bool }",
     "y: its body has 2 inputs, expected 3\ny: its body has 1 outputs, expected 2"},
    {"a Scan over nothing",
     "y = Scan(x) body={ in v float32; w = Relu(v); out w float32 } num_scan_inputs=2",
     "y: num_scan_inputs is 2, expected 1 to 1"},
    {"an operator that is none", "y = Unheard(x)",
     "y: ai.onnx has no such operator up to opset 28"},
    {"too many inputs", "y = Exp(x, x)", "y: has 2 inputs, expected at most 1"},
    {"an attribute that is none", "y = Relu(x) unheard=1",
     "y: no operator of ai.onnx has attribute \"unheard\""},
    {"an attribute of another type", "y = Gather(x, x) axis=[1,2]",
     "y: attribute \"axis\" is of type ints, expected int\n"
     "y: x: is float32, which the operator does not take as input 1"},
    {"an input of another shape", "in w float32[3]; init w float32[2]",
     "w: the initializer is declared with another shape"},
    {"no domain", "y = custom::Thing(x); out y float32",
     "y: its domain \"custom\" is not imported"},
    {"an unknown operator", "opset custom 3; y = custom::Thing(x); out y float32", ""},
    {"imported twice, alike", "opset custom 3; opset custom 3; y = custom::Thing(x)", ""},
    {"imported twice", "opset custom 3; opset custom 4; y = custom::Thing(x)",
     "domain \"custom\" is imported in versions 3 and 4, expected one"},
    {"imported without a version", "opset custom 0",
     "domain \"custom\" is imported in version 0, expected 1 or more"},
};

/* --- operators --- */

#define MS "opset com.microsoft 1; "
#define Q  "q, s, z = DynamicQuantizeLinear(x); "

static const struct row operators[] = {
    /* types */
    {"integers", Q "init w int8[4,6]; p = MatMulInteger(q, w, z); y = Cast(p) to=1; out y float32",
     ""},
    {"a stale declaration", "info y float16; y = Relu(x); z = Cast(y) to=10; out z float16",
     "y: y: is float32, but declared as float16"},
    {"a stale declaration of an output", Q "out q int8", "q: q: is uint8, but declared as int8"},
    {"floats are no integers", "init w int8[4,6]; p = MatMulInteger(x, w)",
     "p: x: is float32, which the operator does not take as input 0"},
    {"zero point of another type",
     Q "init w int8[4,6]; init v uint8[6]; p = MatMulInteger(q, w, z, v)",
     "p: v: is uint8, expected int8 as \"w\" is"},
    {"float16 into DynamicQuantizeLinear", "a = Cast(x) to=10; q, s, z = DynamicQuantizeLinear(a)",
     "q: a: is float16, which the operator does not take as input 0"},
    {"two types", "init w float16[4,6]; y = MatMul(x, w)",
     "y: w: is float16, expected float32 as \"x\" is"},
    {"types that bodies see",
     "in c bool; a = Cast(x) to=10; y = If(c) then_branch={ t = Add(a, x); out t float16 } " ELSE,
     "then_branch: t: x: is float32, expected float16 as \"a\" is"
     "\ny: y: is float16 from branch \"then_branch\", expected float32 as declared, or from the "
     "other"},
    {"a Constant", "w = Constant() value=float16[4,6]; y = MatMul(x, w)",
     "y: w: is float16, expected float32 as \"x\" is"},
    {"variadic", "a = Cast(x) to=10; y = Concat(x, x, x, x, a) axis=0",
     "y: a: is float16, expected float32 as \"x\" is"},
    {"what is not known is not judged",
     "opset custom 1; a = custom::Thing(x); y = MatMulInteger(a, a); z = Mul(a, x)", ""},
    /* arity and attributes */
    {"an input too few", "y = MatMul(x)", "y: has 1 inputs, expected 2 to 2"},
    {"an input too few of what is not known", "y = Pad(x)", "y: has 1 inputs, expected at least 2"},
    {"a needed input of what is not known left out", "y = Pow(, x)",
     "y: input 0 is left out, but needed"},
    {"a shape that is left out", "y = Reshape(x)", "y: has 1 inputs, expected 2 to 2"},
    {"nothing to add up", "y = Sum()", "y: has 0 inputs, expected at least 1"},
    {"axes in order", "y = Transpose(x) perm=[1,0]", ""},
    {"an axis twice", "y = Transpose(x) perm=[1,1]", "y: perm has axis 1, expected each of 2 once"},
    {"an axis that is none", "y = Transpose(x) perm=[-1,0]",
     "y: perm has axis -1, expected each of 2 once"},
    {"axes of a tensor of another rank",
     "init w float32[2,3,4]; y = Transpose(x) perm=[0]; z = Transpose(w) perm=[1,0]",
     "y: perm has 1 axes, its input 2\nz: perm has 2 axes, its input 3"},
    {"a rank that may be stale", "info t float32[2,3,4]; t = Abs(x); y = Transpose(t) perm=[1,0]",
     ""},
    {"an input too many", "y = MatMul(x, x, x)", "y: has 3 inputs, expected 2 to 2"},
    {"an output too few", "q, s = DynamicQuantizeLinear(x)", "q: has 2 outputs, expected 3 to 3"},
    {"a needed input left out", "init w int8[4,6]; y = MatMulInteger(, w)",
     "y: input 0 is left out, but needed"},
    {"no attribute", "y = Cast(x)", "y: attribute \"to\" is missing"},
    {"an attribute of another type", "y = Cast(x) to=1.5", "y: attribute \"to\" is no integer"},
    /* channels */
    {"zero points for channels",
     Q "init w int8[4,6]; init v int8[6]; p = MatMulInteger(q, w, z, v)", ""},
    {"zero points of another length",
     Q "init w int8[4,6]; init v int8[4]; p = MatMulInteger(q, w, z, v)",
     "p: v: has shape [4], expected one number or 6, one for each channel"},
    {"zero points of ConvInteger",
     "in i uint8; init w int8[3,4,1,1]; init v int8[4]; p = ConvInteger(i, w, , v)",
     "p: v: has shape [4], expected one number or 3, one for each channel"},
    {"DynamicQuantizeMatMul",
     MS "init w int8[4,6]; init s float32[6]; init v int8[1]; y = "
        "com.microsoft::DynamicQuantizeMatMul(x, w, s, v)",
     ""},
    {"DynamicQuantizeMatMul with other scales",
     MS "init w int8[4,6]; init s float32[5]; y = com.microsoft::DynamicQuantizeMatMul(x, w, s)",
     "y: s: has shape [5], expected one number or 6, one for each channel"},
    {"MatMulIntegerToFloat",
     MS Q "init w int8[4,6]; init v float32[2]; y = com.microsoft::MatMulIntegerToFloat(q, w, s, "
          "v, z)",
     "y: v: has shape [2], expected one number or 6, one for each channel"},
    {"QAttention",
     MS Q "init w int8[4,12]; init b float32[12]; init v float32[12]; y = "
          "com.microsoft::QAttention(q, w, b, s, v, , z) num_heads=2",
     ""},
    {"QAttention with another bias, and no heads",
     MS Q "init w int8[4,12]; init b float32[6]; init v float32[12]; y = "
          "com.microsoft::QAttention(q, w, b, s, v, , z)",
     "y: attribute \"num_heads\" is missing\n"
     "y: b: has shape [6], expected one number or 12, one for each channel"},
    /* LSTM */
    {"DynamicQuantizeLSTM",
     MS "init w int8[1,4,8]; init r int8[1,2,8]; init s float32[1,8]; init v int8[1,8]; a, b, c = "
        "com.microsoft::DynamicQuantizeLSTM(x, w, r, , , , , , s, v, s, v) hidden_size=2",
     ""},
    {"DynamicQuantizeLSTM with other scales",
     MS "init w int8[1,4,8]; init r int8[1,2,8]; init s float32[1,4]; init v int8[1,8]; a, b, c = "
        "com.microsoft::DynamicQuantizeLSTM(x, w, r, , , , , , s, v, , v) hidden_size=2",
     "a: input 10 is left out, but needed\n"
     "a: v: has shape [1,8], expected [1,4] as \"s\" has\n"
     "a: s: has shape [1,4], which does not fit weights [1,4,8]"},
    {"DynamicQuantizeLSTM with a matrix",
     MS "init w int8[4,8]; init r int8[1,2,8]; init s float32[1,8]; init v int8[1,8]; a, b, c = "
        "com.microsoft::DynamicQuantizeLSTM(x, w, r, , , , , , s, v, s, v) hidden_size=2",
     "a: w: has shape [4,8], expected 3 dimensions"},
    /* DequantizeLinear */
    {"one scale", "init w int8[4,6]; init s float32[]; y = DequantizeLinear(w, s)", ""},
    {"scales along an axis",
     "init w int8[4,6]; init s float32[4]; init v int8[4]; y = DequantizeLinear(w, s, v) axis=0",
     ""},
    {"scales along the last axis",
     "init w int8[4,6]; init s float32[6]; y = DequantizeLinear(w, s) axis=-1", ""},
    {"scales along another axis", "init w int8[4,6]; init s float32[4]; y = DequantizeLinear(w, s)",
     "y: s: has shape [4], which does not fit [4,6] with axis 1 and block_size 0"},
    {"no such axis", "init w int8[4,6]; init s float32[4]; y = DequantizeLinear(w, s) axis=2",
     "y: s: has shape [4], which does not fit [4,6] with axis 2 and block_size 0"},
    {"zero points of another length",
     "init w int8[4,6]; init s float32[6]; init v int8[4]; y = DequantizeLinear(w, s, v)",
     "y: v: has shape [4], expected [6] as \"s\" has"},
    {"zero points of another type",
     "init w int8[4,6]; init s float32[6]; init v uint8[6]; y = DequantizeLinear(w, s, v)",
     "y: v: is uint8, expected int8 as \"w\" is"},
    {"16 bits before opset 21", "init w int16[4,6]; init s float32[]; y = DequantizeLinear(w, s)",
     "y: w: is int16, which needs opset 21, not 17"},
    {"16 bits of com.microsoft",
     MS "init w int16[4,6]; init s float32[]; y = com.microsoft::DequantizeLinear(w, s)", ""},
    {"blocks before opset 21",
     "init w int8[4,6]; init s float32[4,3]; y = DequantizeLinear(w, s) block_size=2",
     "y: attribute \"block_size\" needs opset 21, not 17"},
    /* what takes one type */
    {"a weight of another type behind a sum",
     "init w float16[4,6]; s = Sum(x, x); y = Einsum(s, w) equation=\"ij,jk->ik\"",
     "y: w: is float16, expected float32 as \"s\" is"},
    {"one of two to choose from", "init c bool[4]; init w float64[4]; y = Where(c, x, w)",
     "y: w: is float64, expected float32 as \"x\" is"},
    {"weights of a GRU", "init w float16[1,6,4]; init r float32[1,6,2]; y = GRU(x, w, r)",
     "y: w: is float16, expected float32 as \"x\" is"},
    {"one number for the only block",
     MS "init w int8[16]; init s float32[1]; y = com.microsoft::DequantizeLinear(w, s) axis=0 "
        "block_size=16",
     "y: s: is one number, which engines take for the scale of a tensor without blocks; block_size "
     "is 16"},
    {"one number for the only block, in two dimensions",
     MS "init w int8[1,16]; init s float32[1,1]; y = com.microsoft::DequantizeLinear(w, s) "
        "block_size=16",
     ""},
    {"uint8 is what QuantizeLinear makes", "init s float32[]; y = QuantizeLinear(x, s); out y int8",
     "y: y: is uint8, but declared as int8"},
    {"or what its zero point is",
     "init s float32[]; init v int8[]; y = QuantizeLinear(x, s, v); out y int8", ""},
    /* MatMulNBits */
    {"MatMulNBits",
     MS "init b uint8[6,3,8]; init s float32[18]; init v uint8[12]; y = "
        "com.microsoft::MatMulNBits(x, b, s, v) K=40 N=6 block_size=16 bits=4",
     ""},
    {"MatMulNBits with float zero points",
     MS "init b uint8[6,3,8]; init s float32[18]; init v float32[18]; y = "
        "com.microsoft::MatMulNBits(x, b, s, v) K=40 N=6 block_size=16",
     ""},
    {"MatMulNBits with fewer weights",
     MS "init b uint8[6,2,8]; init s float32[18]; y = com.microsoft::MatMulNBits(x, b, s) K=40 N=6 "
        "block_size=16",
     "y: b: has shape [6,2,8], expected 144 elements: N times the bytes of its blocks"},
    {"MatMulNBits with fewer scales",
     MS "init b uint8[6,3,8]; init s float32[12]; y = com.microsoft::MatMulNBits(x, b, s) K=40 N=6 "
        "block_size=16",
     "y: s: has shape [12], expected 18 elements: one for each block"},
    {"MatMulNBits with fewer zero points",
     MS "init b uint8[6,3,8]; init s float32[18]; init v uint8[9]; y = "
        "com.microsoft::MatMulNBits(x, b, s, v) K=40 N=6 block_size=16",
     "y: v: has shape [9], expected 12 elements: one for each block, those of a row in whole "
     "bytes"},
    {"MatMulNBits of nonsense",
     MS "init b uint8[6,3,8]; init s float32[18]; y = com.microsoft::MatMulNBits(x, b, s) K=-1 N=6 "
        "block_size=24",
     "y: K -1, N 6 and block_size 24 make no sense: expected positive numbers, and a power of two "
     "from 16 on"},
    {"MatMulNBits of one bit",
     MS "init b uint8[6,3,8]; init s float32[18]; y = com.microsoft::MatMulNBits(x, b, s) K=40 N=6 "
        "block_size=16 bits=1",
     "y: bits is 1, expected 2 to 8"},
    {"MatMulNBits with nothing",
     MS "init b uint8[6,3,8]; init s float32[18]; y = com.microsoft::MatMulNBits(x, b, s)",
     "y: attribute \"K\" is missing\ny: attribute \"N\" is missing\n"
     "y: attribute \"block_size\" is missing"},
    {"MatMulBnb4",
     MS "init b uint8[60]; init s float32[8]; y = com.microsoft::MatMulBnb4(x, b, s) K=20 N=6 "
        "block_size=16 quant_type=1",
     ""},
    {"MatMulBnb4 of another size",
     MS "init b uint8[59]; init s float32[7]; y = com.microsoft::MatMulBnb4(x, b, s) K=20 N=6 "
        "block_size=16 quant_type=2",
     "y: quant_type is 2, expected 0 or 1\ny: b: has shape [59], expected 60 elements: two in a "
     "byte\ny: s: has shape [7], expected 8 elements: one for each block"},
    /* GatherBlockQuantized */
    {"GatherBlockQuantized of 4 bits",
     MS "in i int64; init b uint8[9,16]; init s float32[9,2]; init v uint8[9,1]; y = "
        "com.microsoft::GatherBlockQuantized(b, i, s, v) block_size=16",
     ""},
    {"GatherBlockQuantized of 8 bits",
     MS "in i int64; init b uint8[9,32]; init s float32[9,2]; init v uint8[9,2]; y = "
        "com.microsoft::GatherBlockQuantized(b, i, s, v) block_size=16 bits=8",
     ""},
    {"GatherBlockQuantized with other scales",
     MS "in i int64; init b uint8[9,16]; init s float32[9,1]; y = "
        "com.microsoft::GatherBlockQuantized(b, i, s) block_size=16",
     "y: s: has shape [9,1], which does not fit [9,16] in blocks of 16"},
    {"GatherBlockQuantized with other zero points",
     MS "in i int64; init b uint8[9,16]; init s float32[9,2]; init v uint8[9,2]; y = "
        "com.microsoft::GatherBlockQuantized(b, i, s, v) block_size=16",
     "y: v: has shape [9,2], expected 9 elements: one for each block, those of a row in whole "
     "bytes"},
    {"GatherBlockQuantized of nonsense",
     MS "in i int64; init b uint8[9,16]; init s float32[9,2]; y = "
        "com.microsoft::GatherBlockQuantized(b, i, s) block_size=0",
     "y: block_size 0 and bits 4 make no sense: expected a power of two from 16 on, and 2, 4 or "
     "8"},
};

/* --- versions --- */

static const struct row versions[] = {
    {"DynamicQuantizeLinear", "ir 8; opset 10; in x float32; q, s, z = DynamicQuantizeLinear(x)",
     "q: the operator needs opset 11, not 10"},
    {"a shape that is an attribute", "ir 8; opset 4; in x float32; y = Reshape(x)", ""},
    {"axes that are an attribute", "ir 8; opset 12; in x float32; y = Unsqueeze(x)", ""},
    {"axes that are an input", "ir 8; opset 13; in x float32; y = Unsqueeze(x)",
     "y: has 1 inputs, expected 2 to 2"},
    {"MatMulInteger", "ir 8; opset 9; in a int8; y = MatMulInteger(a, a)",
     "y: the operator needs opset 10, not 9"},
    {"an operator without slots", "ir 8; opset 19; in x float32; y = Gelu(x)",
     "y: the operator needs opset 20, not 19"},
    {"an operator of com.microsoft without slots",
     "ir 8; opset 17; in x float32; opset com.microsoft 1; y = com.microsoft::Gelu(x)", ""},
    {"axis",
     "ir 8; opset 12; init w int8[4,6]; init s float32[4]; y = DequantizeLinear(w, s) axis=0",
     "y: attribute \"axis\" needs opset 13, not 12"},
    {"4 bits", "ir 10; opset 20; init w int4[4,6]; init s float32[]; y = DequantizeLinear(w, s)",
     "y: w: is int4, which needs opset 21, not 20"},
    {"4 bits in opset 21",
     "ir 10; opset 21; init w int4[4,6]; init s float32[]; y = DequantizeLinear(w, s)", ""},
    {"blocks of 4 bits",
     "ir 10; opset 21; init w int4[6,4]; init s float32[3,4]; y = DequantizeLinear(w, s) axis=0 "
     "block_size=2",
     ""},
    {"blocks that do not fit",
     "ir 10; opset 21; init w int4[6,4]; init s float32[2,4]; y = DequantizeLinear(w, s) axis=0 "
     "block_size=2",
     "y: s: has shape [2,4], which does not fit [6,4] with axis 0 and block_size 2"},
    {"4 bits in IR 9", "ir 9; opset 21; init w uint4[4,6]", "w: uint4 needs IR version 10, not 9"},
    {"IR 3", "ir 3; opset 8; in w float32[2]; init w float32[2]; init v float32[2]",
     "v: the initializer is no graph input: that needs IR version 4, not 3"},
    {"IR 2 has no operator sets", "ir 2; in x float32; y = Relu(x)", ""},
    {"IR 3 has", "ir 3; in x float32; y = Relu(x)", "y: its domain \"ai.onnx\" is not imported"},
    {"Cast to a text, long ago", "ir 3; opset 5; in x float32; y = Cast(x) to=\"FLOAT\"", ""},
};

static void test_version(void **state)
{
    const struct row *row = *state;
    check_problems(test_model(row->text), row->expected);
}

/* --- what text cannot say --- */

static void lose_ir_version(struct builder *builder)
{
    builder->model->has_ir_version = false;
}

static void lose_input_name(struct builder *builder)
{
    builder->graph->input[0]->name = NULL;
}

static void lose_input_type(struct builder *builder)
{
    builder->graph->input[0]->type = NULL;
}

static void lose_output_name(struct builder *builder)
{
    builder->graph->output[0]->name = builder_text(builder, "");
}

static void lose_initializer_name(struct builder *builder)
{
    builder->graph->initializer[0]->name = NULL;
}

static void lose_operator(struct builder *builder)
{
    builder->graph->node[0]->op_type = NULL;
}

static void empty_node(struct builder *builder)
{
    builder->graph->node[1]->n_input = builder->graph->node[1]->n_output = 0;
}

static void same_names(struct builder *builder)
{
    for (size_t i = 0; i < builder->graph->n_node; i++)
        builder->graph->node[i]->name = builder_text(builder, "n");
}

static void lose_initializer_type(struct builder *builder)
{
    builder->graph->initializer[0]->data_type = 99;
    builder->graph->input[0]->type->tensor_type->elem_type = 0;
}

static Oq__Pb__AttributeProto *add_attribute(struct builder *builder)
{
    return builder_attribute(builder, builder->graph->node[0], "axis",
                             OQ__PB__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
}

static void same_attributes(struct builder *builder)
{
    add_attribute(builder);
    add_attribute(builder);
}

static void attribute_without_type(struct builder *builder)
{
    add_attribute(builder)->has_type = false;
}

static void attribute_without_name(struct builder *builder)
{
    add_attribute(builder)->name = NULL;
}

/* A function custom::F of these names and the nodes of the graph, which keeps none. */
static void make_function(struct builder *builder, char *input, char *output)
{
    Oq__Pb__FunctionProto *function = builder_alloc(builder, 1, sizeof(*function));
    oq__pb__function_proto__init(function);
    function->domain = builder_text(builder, "custom");
    function->name = builder_text(builder, "F");
    builder_append(builder, &function->input, &function->n_input, input);
    builder_append(builder, &function->output, &function->n_output, output);
    function->node = builder->graph->node;
    function->n_node = builder->graph->n_node;
    function->opset_import = builder->model->opset_import;
    function->n_opset_import = builder->model->n_opset_import;
    builder->graph->n_node = builder->graph->n_output = 0;
    builder_append(builder, &builder->model->functions, &builder->model->n_functions, function);
}

static void right_function(struct builder *builder)
{
    make_function(builder, builder_text(builder, "x"), builder_text(builder, "z"));
}

static void call_function(struct builder *builder, const char *const *inputs)
{
    const char *const outputs[] = {"f", NULL};
    right_function(builder);
    builder->graph->node = NULL; /* the function has them */
    builder_opset(builder, "custom", 1);
    builder_node(builder, builder->graph, "F", "F", inputs, outputs)->domain =
        builder_text(builder, "custom");
}

static void call_with_more(struct builder *builder)
{
    call_function(builder, (const char *const[]){"x", "w", NULL});
}

static void call_with_nothing(struct builder *builder)
{
    call_function(builder, (const char *const[]){NULL});
}

static void two_functions(struct builder *builder)
{
    right_function(builder);
    builder_append(builder, &builder->model->functions, &builder->model->n_functions,
                   builder->model->functions[0]);
}

static void wrong_function(struct builder *builder)
{
    make_function(builder, builder_text(builder, "a"), builder_text(builder, "b"));
}

static void function_with_imports_of_its_own(struct builder *builder)
{
    right_function(builder);
    builder->model->functions[0]->n_opset_import = 0;
}

static void function_that_makes_its_input(struct builder *builder)
{
    make_function(builder, builder_text(builder, "y"), builder_text(builder, "z"));
}

static const struct change {
    const char *name;
    void (*apply)(struct builder *builder);
    const char *expected;
} changes[] = {
    {"no IR version", lose_ir_version, "the model has no IR version"},
    {"no name of an input", lose_input_name,
     "an input has no name\ny: x: is used, but nothing makes it"},
    {"no type of an input", lose_input_type, "x: the input has no type"},
    {"no name of an output", lose_output_name, "an output has no name"},
    {"no name of an initializer", lose_initializer_name, "an initializer has no name"},
    {"no operator", lose_operator, "y: the node names no operator"},
    {"an empty node", empty_node,
     "the node has neither inputs nor outputs\nhas 0 inputs, expected 1 to 1\n"
     "has 0 outputs, expected 1 to 1\nz: is an output, but the graph does not make it"},
    {"nodes of one name", same_names, "n: another node of the graph has its name"},
    {"types that are none", lose_initializer_type,
     "x: is declared with elements of type 0, which is none\n"
     "w: the initializer has elements of type 99, which is none"},
    {"attributes of one name", same_attributes, "y: attribute \"axis\" is there a second time"},
    {"an attribute without type", attribute_without_type, "y: attribute \"axis\" has no type"},
    {"an attribute without name", attribute_without_name, "y: an attribute has no name"},
    {"a function", right_function, ""},
    {"a function that is called with more", call_with_more,
     "F: has 2 inputs and 1 outputs, but the function 1 and 1"},
    {"a function that is called with less", call_with_nothing,
     "F: input 0 is left out, but the function needs it"},
    {"two functions of one name", two_functions, "function \"F\" is there a second time"},
    {"a function of other names", wrong_function,
     "F: y: x: is used, but nothing makes it\nF: b: is an output, but the graph does not make it"},
    {"a function that imports nothing", function_with_imports_of_its_own,
     "F: y: its domain \"ai.onnx\" is not imported\nF: z: its domain \"ai.onnx\" is not imported"},
    {"a function that makes its input", function_that_makes_its_input,
     "function \"F\": value \"y\" is defined twice, expected once"},
};

static void test_change(void **state)
{
    const struct change *row = *state;
    struct builder *builder = test_builder("opset 17; in x float32; init w float32[2]; y = "
                                           "Relu(x); z = Relu(y); out z float32");
    row->apply(builder);
    check_problems(test_open(builder), row->expected);
}

/* --- side files --- */

static void test_shared_bytes(void **state)
{
    (void)state;
    static const char text[] = "ir 8; opset 17; %sinit a float32[16] external; init b float32[16] "
                               "external; init c float32[16] external";
    for (int ours = 0; ours < 2; ours++) {
        struct builder *builder =
            test_builder(test_printf(text, ours ? "meta onnxq.version 1; " : ""));
        Oq__Pb__TensorProto *b = builder->graph->initializer[1];
        for (size_t i = 0; i < b->n_external_data; i++)
            if (strcmp(b->external_data[i]->key, "offset") == 0)
                b->external_data[i]->value = builder_text(builder, "60");
        check_problems(test_open(builder),
                       ours ? "b: shares bytes of the side file with \"a\"" : "");
    }
}

/* ONNX Runtime refuses keys that it does not know. */
static void test_keys(void **state)
{
    static const char *const keys[][3] = {
        {"checksum", "0", ""},
        {"prepacked_0", "k|0;16", ""},
        {"basepath", ".", "a: external data has key \"basepath\", which is none"},
        {"checksum", "", "a: external data has \"checksum\" without a value"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        struct builder *builder =
            test_builder("ir 8; opset 17; init a float32[16] external; init b float32[16]");
        builder_external(builder, builder->graph->initializer[0], keys[i][0], keys[i][1]);
        check_problems(test_open(builder), keys[i][2]);
    }
}

/* --- sparse initializers --- */

/* Three values of a tensor of 4 rows and 6 columns, at indices of that type and shape. */
static const struct sparse {
    int32_t data_type;
    int64_t dims[2];
    size_t n_dims;
    double indices[6];
    const char *expected;
} sparse_rows[] = {
    {OQ_TYPE(INT64), {3}, 1, {23, 0, 0}, ""},
    {OQ_TYPE(INT16), {3, 2}, 2, {3, 5, 0, 1, 2, 0}, ""},
    {OQ_TYPE(INT64), {3}, 1, {1, 2, 24}, "s: has index 24, expected 0 to below 24"},
    {OQ_TYPE(INT8), {3}, 1, {1, -2, 3}, "s: has index -2, expected 0 to below 24"},
    {OQ_TYPE(INT32), {3, 2}, 2, {3, 5, 0, 6, 2, 0}, "s: has index 6, expected 0 to below 6"},
    {OQ_TYPE(INT64), {2}, 1, {1, 2}, "s: has indices of another shape than [3] or [3,2]"},
    {OQ_TYPE(INT64), {3, 1}, 2, {1, 2, 3}, "s: has indices of another shape than [3] or [3,2]"},
    {OQ_TYPE(UINT8), {3}, 1, {1, 2, 3}, "s: has indices of uint8, expected signed integers"},
};

static void test_sparse(void **state)
{
    static const int64_t n = 3;
    static const double three[] = {1, 2, 3};
    (void)state;
    for (size_t i = 0; i < sizeof(sparse_rows) / sizeof(sparse_rows[0]); i++) {
        const struct sparse *row = &sparse_rows[i];
        const size_t n_indices = (size_t)(row->dims[0] * (row->n_dims == 2 ? row->dims[1] : 1));
        struct builder *builder = test_builder("ir 8; opset 17; in x float32[6,4]; "
                                               "y = MatMul(x, s)");
        Oq__Pb__SparseTensorProto *sparse = builder_alloc(builder, 1, sizeof(*sparse));
        oq__pb__sparse_tensor_proto__init(sparse);
        sparse->dims = builder_alloc(builder, sparse->n_dims = 2, sizeof(int64_t));
        sparse->dims[0] = 4;
        sparse->dims[1] = 6;
        sparse->values = builder_tensor(builder, "s", OQ_TYPE(FLOAT), &n, 1);
        builder_store(builder, sparse->values, BUILDER_RAW, three, 3);
        sparse->indices = builder_tensor(builder, "", row->data_type, row->dims, row->n_dims);
        builder_store(builder, sparse->indices, BUILDER_RAW, row->indices, n_indices);
        builder_append(builder, &builder->graph->sparse_initializer,
                       &builder->graph->n_sparse_initializer, sparse);
        check_problems(test_open(builder), row->expected);
    }
}

/* --- what is written --- */

/* A mistake of ours, as it were; only builds that look for bugs see it. */
static void test_written(void **state)
{
    (void)state;
    static char nowhere[] = "nowhere";
    const onnxq_status expected = oq_draft_checks_output ? ONNXQ_ERROR_INTERNAL : ONNXQ_OK;
    for (int external = 0; external < 2; external++) {
        onnxq_error error;
        onnxq_options options = test_options();
        options.output.external_data = external ? ONNXQ_EXTERNAL_ALWAYS : ONNXQ_EXTERNAL_NEVER;
        onnxq_plan *plan = (onnxq_plan *)(uintptr_t)test_plan(
            test_model("opset 17; in x float32[N,64]; init w float32[64,128]; y = MatMul(x, w); "
                       "out y float32[N,128]"),
            &options);
        oq_draft_fini(&plan->draft); /* so that it is laid out again */
        plan->draft.proto->graph->node[0]->input[0] = nowhere;
        assert_int_equal(onnxq_plan_write(plan, test_path("out.onnx"), &error), expected);
        if (expected != ONNXQ_OK) {
            assert_non_null(strstr(error.message, "\"nowhere\": is used, but nothing makes it"));
            check_text(test_files(), "model.onnx");
        }
    }
}

/* What was wrong before is not our mistake. */
static void test_written_as_it_was(void **state)
{
    (void)state;
    const onnxq_options options = test_options();
    const onnxq_model *model = test_model("opset 17; in x float32[N,64]; init w float32[64,128]; "
                                          "y = MatMul(x, w); z = Relu(q); out y float32[N,128]");
    const char *path = test_write(test_plan(model, &options));
    check_problems(test_open_path(path), "z: q: is used, but nothing makes it");
}

/* Operators of ai.onnx come in where there were none. */
static void test_first_import(void **state)
{
    (void)state;
    onnxq_error error;
    onnxq_dequantize_options options;
    onnxq_dequantize_options_init(&options);
    check_problems(
        test_model("ir 10; opset com.microsoft 1; in x float32[N,32]; init b uint8[6,2,8]; "
                   "init s float32[12]; out y float32\n"
                   "y = com.microsoft::MatMulNBits(x, b, s) K=32 N=6 block_size=16"),
        "");
    const char *path = test_path("out.onnx");
    onnxq_dequantize_file(test_path("model.onnx"), path, &options, &error);
    check_text(test_error_text(&error), "");
    check_problems(test_open_path(path), "");
}

/* --- limits --- */

static void test_many_problems(void **state)
{
    (void)state;
    struct builder *builder = test_builder("ir 8; opset 17; in x float32");
    const char *const inputs[] = {"q", NULL};
    for (int i = 0; i < ONNXQ_MAX_PROBLEMS + 50; i++) {
        const char *const outputs[] = {test_printf("y%d", i), NULL};
        builder_node(builder, builder->graph, "Relu", NULL, inputs, outputs);
    }
    const onnxq_validation *validation = validate(test_open(builder));
    assert_int_equal(validation->n_problems, ONNXQ_MAX_PROBLEMS);
    assert_int_equal(validation->n_found, ONNXQ_MAX_PROBLEMS + 50);
    assert_string_equal(validation->problems[0].node, "y0");
    assert_string_equal(validation->problems[0].op_type, "Relu");
    assert_string_equal(validation->problems[ONNXQ_MAX_PROBLEMS - 1].node, "y99");
}

/* A warning, and no reason to refuse the model. */
static void test_newer_versions(void **state)
{
    static const struct {
        const char *versions, *said;
    } cases[] = {
        {"ir 14; opset 28; opset com.microsoft 1; opset ai.onnx.ml 5; opset own 99; ", "valid\n"},
        {"ir 15; opset 17; ", "valid, with 1 warning\n  warning: IR version 15 is newer than any "
                              "that onnxq knows (14)\n"},
        {"ir 8; opset 99; opset com.microsoft 2; ",
         "valid, with 2 warnings\n"
         "  warning: opset 99 of ai.onnx is newer than any that onnxq knows (28)\n"
         "  warning: opset 2 of com.microsoft is newer than any that onnxq knows (1)\n"},
        {"ir 8; opset 17; opset ai.onnx.ml 6; y = own::Op(x); ",
         "not valid: 1 problem\n"
         "  graph \"main\", Op \"y\": its domain \"own\" is not imported\n"
         "  warning: opset 6 of ai.onnx.ml is newer than any that onnxq knows (5)\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char said[1024];
        FILE *stream = tmpfile();
        assert_non_null(stream);
        onnxq_report_validation(
            validate(test_model(test_printf("%sin x float32[N,4]", cases[i].versions))), stream);
        rewind(stream);
        said[fread(said, 1, sizeof(said) - 1, stream)] = '\0';
        fclose(stream);
        check_text(said, cases[i].said);
    }
}

/* A node without attributes; the lists are borrowed. */
static Oq__Pb__NodeProto *make_node(char *op_type, char **inputs, size_t n_inputs, char **outputs,
                                    size_t n_outputs)
{
    Oq__Pb__NodeProto *node = test_alloc(sizeof(*node));
    oq__pb__node_proto__init(node);
    node->op_type = op_type;
    node->input = inputs;
    node->n_input = n_inputs;
    node->output = outputs;
    node->n_output = n_outputs;
    return node;
}

/* Linear: anything else would take minutes. */
static void test_many_nodes(void **state)
{
    (void)state;
    enum { N = 200000 };
    static char relu[] = "Relu", split[] = "Split", concat[] = "Concat";
    struct builder *builder = test_builder("ir 8; opset 17; in y0 float32");
    char **names = builder_alloc(builder, 2 * N + 2, sizeof(*names)); /* y0 .. yN, s0 .. sN */
    for (int i = 0; i <= 2 * N + 1; i++) {
        names[i] = builder_alloc(builder, 12, 1);
        snprintf(names[i], 12, "%c%d", i <= N ? 'y' : 's', i % (N + 1));
    }
    Oq__Pb__NodeProto **nodes = test_alloc((N + 2) * sizeof(*nodes));
    for (int i = 0; i < N; i++)
        nodes[i] = make_node(relu, &names[i], 1, &names[i + 1], 1);
    /* One node with as many outputs, and one that takes them all. */
    nodes[N] = make_node(split, &names[N], 1, &names[N + 1], N);
    nodes[N + 1] = make_node(concat, &names[N + 1], N, &names[2 * N + 1], 1);
    builder_attribute(builder, nodes[N + 1], "axis", OQ__PB__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT)
        ->has_i = true;
    builder->graph->node = nodes;
    builder->graph->n_node = N + 2;
    assert_int_equal(validate(test_open(builder))->n_found, 0);
}

int main(void)
{
    TEST_ROWS(test_row, values);
    TEST_ROWS(test_row, operators);
    TEST_ROWS(test_version, versions);
    TEST_ROWS(test_change, changes);
    TEST(test_shared_bytes);
    TEST(test_keys);
    TEST(test_sparse);
    TEST(test_written);
    TEST(test_written_as_it_was);
    TEST(test_first_import);
    TEST(test_many_problems);
    TEST(test_many_nodes);
    TEST(test_newer_versions);
    return suite_run();
}
