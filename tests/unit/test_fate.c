/* What may be rounded: operators, chains of them, bodies that use a constant; and what comes back.
 */
#include <stdio.h>
#include <string.h>

#include "operators/operators.h"
#include "quantize/analyze/state.h"
#include "quantize/rules/rules.h"
#include "support/models.h"

#define HEAD  "opset 20; in x float32[N,64]; in i int64[N]; in c bool\n"
#define TABLE "init w float32[64,64]\n"
#define PAIRS "init w float32[512,2]\n" /* short rows: coordinates, or the like of them */

static const char harmless[] = "";
static const char divisor[] = "a divisor", in_div[] = "a divisor, in Div";
static const char unbounded[] = "rounding has no bounded effect";
static const char compared[] = "compared, or cut to integers", short_rows[] =
                                                                   "rows too short for scales of "
                                                                   "their own";
static const char unknown[] = "goes to what is not known here";

/* The reason why the first use of w keeps it; "" where it is quantized. */
static const struct row {
    const char *name, *text, *expected;
} rows[] = {
    /* --- directly --- */
    {"a product", TABLE "y = MatMul(x, w)", harmless},
    {"a position table", TABLE "y = Add(x, w)", harmless},
    {"a mask", TABLE "y = Where(c, x, w)", harmless},
    {"a numerator", TABLE "y = Div(w, x)", harmless},
    {"a divisor", TABLE "y = Div(x, w)", divisor},
    {"a reciprocal", TABLE "r = Reciprocal(w); y = Add(x, r)", divisor},
    {"a modulus", TABLE "y = Mod(x, w) fmod=1", divisor},
    {"a logarithm", TABLE "l = Log(w); y = Add(x, l)", unbounded},
    {"a root", TABLE "l = Sqrt(w); y = Add(x, l)", unbounded},
    {"an exponential", TABLE "l = Exp(w); y = Add(x, l)", unbounded},
    {"an exponent", TABLE "y = Pow(x, w)", unbounded},
    {"a square", TABLE "init p float32[] = 2; l = Pow(w, p); y = Add(x, l)", harmless},
    {"an integer square", TABLE "init p int64[] = 2; l = Pow(w, p); y = Add(x, l)", harmless},
    {"a power", TABLE "init p float32[] = 8; l = Pow(w, p); y = Add(x, l)", unbounded},
    {"a root as power", TABLE "init p float32[] = 0.5; l = Pow(w, p); y = Add(x, l)", unbounded},
    {"a negative power", TABLE "init p int64[] = -1; l = Pow(w, p); y = Add(x, l)", divisor},
    {"an angle", TABLE "l = Sin(w); y = MatMul(x, l)", "an angle"},
    {"an angle that is multiplied", TABLE "t = Mul(w, x); y = Cos(t)", "an angle, in Cos"},
    {"a power that is computed", TABLE "l = Pow(w, x); y = MatMul(x, l)", unbounded},
    {"integers", TABLE "l = Cast(w) to=7; y = GatherND(x, l)", compared},
    {"booleans", TABLE "l = Cast(w) to=9; y = Where(l, x, x)", compared},
    {"another float", TABLE "l = Cast(w) to=10; y = MatMul(x, l)", harmless},
    {"a threshold", TABLE "y = Greater(x, w)", compared},
    {"a floor", TABLE "y = Floor(w)", compared},
    {"a rank", TABLE "init k int64[1] = 1; v, y = TopK(w, k)", compared},
    {"a maximum's place", TABLE "y = ArgMax(w)", compared},
    {"what is zero", TABLE "y = NonZero(w)", compared},
    {"bits", TABLE "y = BitCast(w) to=6", "its bits are used"},
    {"a grid", "in z float32[1,1,8,8]; init w float32[1,32,32,2]; y = GridSample(z, w)",
     "coordinates"},
    {"boxes", "init w float32[1,512,4]; y = NonMaxSuppression(w, x)", "coordinates"},
    {"indices", TABLE "init d int64[] = 4; y = OneHot(w, d, x)", "indices"},
    {"what only gives its shape", TABLE "s = Shape(w); y = Expand(x, s)", harmless},
    {"the difference of two constants", TABLE "init v float32[64,64]; d = Sub(w, v); y = Add(x, d)",
     unbounded},
    {"a weight less its mean", TABLE "m = ReduceMean(w) axes=[1]; d = Sub(w, m); y = Add(x, d)",
     harmless},
    {"a weight less a number", TABLE "init v float32[]; d = Sub(w, v); y = MatMul(x, d)", harmless},
    {"an operator of later times", TABLE "y = NotYetInvented(x, w)", "no rule for NotYetInvented"},
    {"an operator of com.microsoft of later times", TABLE "y = com.microsoft::NotYetInvented(x, w)",
     "no rule for com.microsoft.NotYetInvented"},
    {"an input that the operator does not have", TABLE "y = Relu(x, w)", unknown},

    /* --- behind operators that hand elements on --- */
    {"a divisor behind Identity", TABLE "t = Identity(w); y = Div(x, t)", "a divisor, in Div"},
    {"a divisor behind Transpose", TABLE "t = Transpose(w); y = Div(x, t)", "a divisor, in Div"},
    {"a divisor behind Gather", TABLE "t = Gather(w, i); y = Div(x, t)", "a divisor, in Div"},
    {"a divisor behind Concat", TABLE "t = Concat(x, w) axis=0; y = Div(x, t)",
     "a divisor, in Div"},
    {"a divisor behind Split",
     "init w float32[64,128]; a, b = Split(w) axis=1 num_outputs=2; p = MatMul(x, a)\n"
     "y = Div(p, b)",
     "a divisor, in Div"},
    {"a divisor behind Pad", TABLE "init p int64[4] = 0; t = Pad(w, p); y = Div(x, t)",
     "a divisor, in Div"},
    {"a divisor behind the value of a Pad",
     "init w float32[]; init p int64[4] = 1; t = Pad(x, p, w); y = Div(x, t)", "a divisor, in Div"},
    {"a divisor behind Where", TABLE "t = Where(c, x, w); y = Div(x, t)", "a divisor, in Div"},
    {"a divisor behind a cast", TABLE "t = Cast(w) to=1; y = Div(x, t)", "a divisor, in Div"},
    {"a divisor behind four",
     TABLE "init s int64[2] = 64 64\n"
           "a = Transpose(w); b = Reshape(a, s); d = Neg(b); t = Expand(d, s); y = Div(x, t)",
     "a divisor, in Div"},
    {"only one of two uses", TABLE "t = Transpose(w); y = MatMul(x, t); z = Log(t)",
     "rounding has no bounded effect, in Log"},
    {"an unknown operator at the end", TABLE "t = Transpose(w); y = custom::Op(x, t)",
     "goes to what is not known here, in Op"},
    {"a quantized operator at the end",
     TABLE "in q uint8[N,64]; t = Identity(w); y = DequantizeLinear(q, t)",
     "belongs to a quantized operator, in DequantizeLinear"},
    {"a product at the end", TABLE "t = Transpose(w); y = MatMul(x, t)", harmless},
    {"a product, and what is done with it", TABLE "t = MatMul(x, w); y = ArgMax(t)", harmless},
    {"a shape of a chain", TABLE "t = Transpose(w); s = Shape(t); y = Expand(x, s)", harmless},

    /* --- behind arithmetic --- */
    {"a divisor behind a factor", TABLE "init f float32[] = 2; t = Mul(w, f); y = Div(x, t)",
     "a divisor, in Div"},
    {"a divisor behind a sum",
     TABLE "init e float32[64,64]; f = Transpose(e); t = Add(f, w); y = Div(x, t)",
     "a divisor, in Div"},
    {"a divisor behind a function", TABLE "t = Tanh(w); y = Div(x, t)", "a divisor, in Div"},
    {"a divisor behind a product with what is computed", TABLE "t = Mul(x, w); y = Div(x, t)",
     "a divisor, in Div"},
    {"a logarithm of a quotient", TABLE "t = Div(w, x); u = Transpose(t); y = Log(u)",
     "rounding has no bounded effect, in Log"},
    {"a divisor rather than a comparison", TABLE "t = Mul(x, w); y = ArgMax(t); z = Div(x, t)",
     "a divisor, in Div"},
    {"what is cut rather than a divisor", TABLE "t = Mul(x, w); y = Floor(t); z = Div(x, t)",
     "compared, or cut to integers, in Floor"},
    {"a factor of what is cut", TABLE "t = Mul(x, w); y = Floor(t)",
     "compared, or cut to integers, in Floor"},
    {"a factor of what is ranked", TABLE "t = Mul(x, w); y = ArgMax(t)", harmless},
    {"a product that is averaged", TABLE "t = Mul(x, w); u = ReduceMean(t); y = Div(x, u)",
     harmless},
    {"added to what is computed", TABLE "t = Add(x, w); y = Div(x, t)", harmless},
    {"a constant product", TABLE "init v float32[64,64]; t = MatMul(v, w); y = Log(t)",
     "rounding has no bounded effect, in Log"},
    {"a constant sum", TABLE "t = ReduceSum(w); y = Log(t)",
     "rounding has no bounded effect, in Log"},
    {"scaled rows of a table",
     TABLE "init f float32[] = 2; g = Gather(w, i); t = Mul(g, f); y = Cast(t) to=7",
     "compared, or cut to integers, in Cast"},

    /* --- products that are cut to integers --- */
    {"a product that is cast", TABLE "t = MatMul(x, w); y = Cast(t) to=7",
     "compared, or cut to integers, in Cast"},
    {"a product that is asked whether it is not 0", TABLE "t = MatMul(x, w); y = Cast(t) to=9",
     "compared, or cut to integers, in Cast"},
    {"a product that is cast to another float", TABLE "t = MatMul(x, w); y = Cast(t) to=10",
     harmless},
    {"a product of which the remainder is taken",
     TABLE "init m float32[] = 3; t = MatMul(x, w); y = Mod(t, m) fmod=1",
     "compared, or cut to integers, in Mod"},
    {"a table that is looked up by a product",
     TABLE "t = MatMul(x, x); k = Cast(t) to=7; y = Gather(w, k)", harmless},
    {"a weight in front of Equal, behind a bias and a factor",
     TABLE "init v float32[64]; t = MatMul(x, w); a = Add(t, v); f = Sigmoid(x); b = Mul(a, f)\n"
           "r = Reshape(b, i); y = Equal(r, i)",
     "compared, or cut to integers, in Equal"},
    {"a weight behind Transpose whose product is rounded",
     TABLE "v = Transpose(w); t = MatMul(x, v); y = Round(t)",
     "compared, or cut to integers, in Round"},
    {"durations", "init w float32[64,64,1]; t = Conv(x, w); e = Exp(t); m = Mul(e, x); y = Ceil(m)",
     "compared, or cut to integers, in Ceil"},
    {"states of a recurrent operator that are cut",
     "init w float32[1,64,64]; t, h = LSTM(x, w, w) hidden_size=16; y = Floor(h)",
     "compared, or cut to integers, in Floor"},
    {"what is added to what is cut", TABLE "t = MatMul(x, w); a = Add(t, x); y = Floor(a)",
     harmless},
    {"a product in front of the one that is cut",
     TABLE "init v float32[64,64]; t = MatMul(x, w); u = MatMul(t, v); y = Floor(u)", harmless},
    {"a product that is normalized, then cut",
     TABLE "t = MatMul(x, w); u = Softmax(t); y = Round(u)", harmless},
    {"scores above a threshold", TABLE "t = MatMul(x, w); y = Greater(t, x)", harmless},
    {"the best of scores", TABLE "t = MatMul(x, w); b = ArgMax(t); y = Cast(b) to=6", harmless},
    {"ranks", TABLE "init k int64[1] = 1; t = MatMul(x, w); v, b = TopK(t, k); y = Equal(b, i)",
     harmless},
    {"places of maxima",
     "in z float32[1,64,8,8]; init w float32[64,64,1,1]; t = Conv(z, w)\n"
     "p, k = MaxPool(t) kernel_shape=[2,2]; y = MaxUnpool(p, k) kernel_shape=[2,2]",
     harmless},

    /* --- what models have, and what must stay quantized --- */
    {"an embedding and a decomposed LayerNormalization",
     TABLE "init p float32[64,64]; init two float32[] = 2; init e float32[] = 1e-5\n"
           "g = Gather(w, i); s = Add(g, p); m = ReduceMean(s); d = Sub(s, m)\n"
           "q = Pow(d, two); v = ReduceMean(q); k = Add(v, e); r = Sqrt(k); y = Div(d, r)",
     harmless},
    {"an embedding and a decomposed RMSNormalization",
     TABLE "init two float32[] = 2; init e float32[] = 1e-5\n"
           "g = Gather(w, i); f = Cast(g) to=1; q = Pow(f, two); v = ReduceMean(q)\n"
           "k = Add(v, e); r = Sqrt(k); y = Div(f, r)",
     harmless},
    {"a scaled embedding",
     TABLE "init f float32[] = 8; g = Gather(w, i); s = Mul(g, f); y = LayerNormalization(s, f)",
     harmless},
    {"a relative-position bias",
     "init w float32[64,16]; g = Gather(w, i); t = Transpose(g) perm=[1,0]\n"
     "init a int64[1] = 0; u = Unsqueeze(t, a); s = Add(x, u); y = Softmax(s)",
     harmless},
    {"a position table behind a Slice",
     TABLE "init z int64[1] = 0; init n int64[1] = 8; p = Slice(w, z, n); s = Add(x, p)\n"
           "y = LayerNormalization(s, z)",
     harmless},
    {"a tied table", TABLE "g = Gather(w, i); t = Transpose(w); y = MatMul(g, t); z = ArgMax(y)",
     harmless},
    {"a Gemm's addend", "init v float32[64,64]; " TABLE "y = Gemm(x, v, w)", harmless},

    /* --- coordinates in short rows --- */
    {"pairs that are added", PAIRS "y = Add(x, w)", short_rows},
    {"pairs that are multiplied", /* few outputs have 16 bits */
     "init w float32[512,8]\ny = Einsum(x, w) equation=\"ij,jk->ik\"", harmless},
    {"pairs behind Slice",
     PAIRS "init z int64[1] = 0; init n int64[1] = 8; p = Slice(w, z, n); y = Add(x, p)",
     short_rows},
    {"pairs behind Concat", PAIRS "p = Concat(w, w) axis=0; y = Mul(x, p)", short_rows},
    {"pairs behind Concat and Transpose",
     PAIRS "p = Concat(w, w) axis=0; t = Transpose(p); y = Sub(x, t)", short_rows},
    {"pairs behind Slice that are multiplied",
     PAIRS "init z int64[1] = 0; init n int64[1] = 8; p = Slice(w, z, n)\n"
           "y = Einsum(x, p) equation=\"ij,jk->ik\"",
     harmless},

    /* --- norms --- */
    {"a norm of rows", TABLE "n = ReduceL2(w) axes=[1]; y = Div(w, n)", harmless},
    {"a norm of columns", TABLE "n = ReduceL1(w) axes=[-2]; y = Div(w, n)", harmless},
    {"a norm of the shortest columns with scales of their own",
     "init w float32[16,64]\nn = ReduceL1(w) axes=[0]; y = Div(w, n)", harmless},
    {"a norm of columns that are shorter",
     "init w float32[15,70]\nn = ReduceL1(w) axes=[0]; y = Div(w, n)", in_div},
    {"a norm of all", TABLE "n = ReduceSumSquare(w); y = Div(w, n)", harmless},
    {"a norm of short rows", "init w float32[64,8,4]\nn = ReduceL2(w) axes=[1,2]; y = Div(w, n)",
     harmless},
    {"a norm of magnitudes", TABLE "a = Abs(w); n = ReduceL2(a) axes=[1]; y = Div(w, n)", harmless},
    {"a root of a sum of squares",
     TABLE "q = Mul(w, w); s = ReduceSum(q) axes=[1]; n = Sqrt(s); y = Div(w, n)", harmless},
    {"a root of ReduceSumSquare",
     TABLE "s = ReduceSumSquare(w) axes=[1]; n = Sqrt(s); y = Div(w, n)", harmless},
    {"a root of a sum of squares of magnitudes, by powers",
     TABLE "init two float32 = 2; init half float32 = 0.5; a = Abs(w); q = Pow(a, two); "
           "s = ReduceSum(q) axes=[1]; n = Pow(s, half); y = Div(w, n)",
     harmless},
    {"a root of a sum of squares of pairs",
     PAIRS "q = Mul(w, w); s = ReduceSum(q) axes=[1]; n = Sqrt(s); y = Div(w, n)", short_rows},
    {"a root of a sum", TABLE "s = ReduceSum(w) axes=[1]; n = Sqrt(s); y = Div(x, n)",
     "rounding has no bounded effect, in Sqrt"},
    {"a root of a sum of products",
     TABLE "t = Neg(w); q = Mul(w, t); s = ReduceSum(q) axes=[1]; n = Sqrt(s); y = Div(x, n)",
     "rounding has no bounded effect, in Sqrt"},
    {"a third root of a sum of squares",
     TABLE "init h float32 = 0.3; q = Mul(w, w); s = ReduceSum(q) axes=[1]; n = Pow(s, h); "
           "y = Div(w, n)",
     "rounding has no bounded effect, in Pow"},
    {"a norm of pairs", PAIRS "n = ReduceL2(w) axes=[1]; y = Div(w, n)",
     "Div \"y\" takes it as it is"},
    {"norms of rows and of columns",
     TABLE "n = ReduceL2(w) axes=[1]; m = ReduceL2(w) axes=[0]; y = Div(w, m); z = Div(w, n)",
     in_div},
    {"a norm of one element",
     TABLE "init a int64[0]; n = ReduceL2(w, a) noop_with_empty_axes=1; y = Div(x, n)", in_div},
    {"a norm that is multiplied and expanded before",
     TABLE "init g float32[64,1]; init s int64[2] = 64 64; n = ReduceL2(w) axes=[1]; "
           "m = Mul(n, g); e = Expand(m, s); y = Div(w, e)",
     harmless},
    {"a norm less something",
     TABLE "init g float32[64,1]; n = ReduceL2(w) axes=[1]; m = Sub(n, g); y = Div(w, m)", in_div},
    {"sums of norms", TABLE "n = ReduceL2(w) axes=[1]; m = ReduceSum(n); y = Div(w, m)", in_div},
    {"a root of a norm", TABLE "n = ReduceL2(w) axes=[1]; m = Sqrt(n); y = Div(w, m)",
     "rounding has no bounded effect, in Sqrt"},
    {"a norm that is compared, too",
     TABLE "n = ReduceL2(w) axes=[1]; m = Greater(n, x); y = Div(w, n)", in_div},
    {"a norm of what is transposed",
     TABLE "t = Transpose(w); n = ReduceL2(t) axes=[1]; y = Div(t, n)", in_div},
    {"a norm of doubles", "init w float64[64,64]\nn = ReduceL2(w) axes=[1]; y = Div(w, n)", in_div},
    {"a norm along axes that are computed", TABLE "a = Shape(x); n = ReduceL2(w, a); y = Div(w, n)",
     in_div},
    {"a norm of activations", TABLE "d = Concat(x, w) axis=0; n = ReduceL2(d); y = Div(x, n)",
     harmless},

    /* --- bodies --- */
    {"captured by a body",
     TABLE "t = Identity(w); y = If(c) then_branch={ a = Div(x, t); out a float32 } "
           "else_branch={ b = Identity(x); out b float32 }",
     "a divisor, in Div"},
    {"returned by a body",
     TABLE "t = If(c) then_branch={ a = Identity(w); out a float32 } "
           "else_branch={ b = Identity(x); out b float32 }; y = Div(x, t)",
     "a divisor, in Div"},
    {"returned by a body to a product",
     TABLE "t = If(c) then_branch={ a = Identity(w); out a float32 } "
           "else_branch={ b = Identity(x); out b float32 }; y = MatMul(x, t)",
     harmless},
    {"the state of a Loop",
     TABLE "y = Loop(i, c, w) body={ in n int64; in k bool; in s float32; q = Identity(k); "
           "r = Div(x, s); out q bool; out r float32 }",
     "a divisor, in Div"},
    {"the state of a Loop a turn later",
     TABLE "y, z = Loop(i, c, x, w) body={ in n int64; in k bool; in s float32; in t float32; "
           "q = Identity(k); u = Div(x, s); v = Identity(t); r = Identity(t); "
           "out q bool; out r float32; out v float32 }",
     "a divisor, in Div"},
    {"the state of a Loop that may not run",
     TABLE "t = Loop(i, c, w) body={ in n int64; in k bool; in s float32; q = Identity(k); "
           "r = MatMul(x, s); out q bool; out r float32 }; y = Div(x, t)",
     "a divisor, in Div"},
    {"the state of a Loop that is multiplied",
     TABLE "y = Loop(i, c, w) body={ in n int64; in k bool; in s float32; q = Identity(k); "
           "r = MatMul(x, s); out q bool; out r float32 }",
     harmless},
    {"what a Scan scans",
     TABLE "y = Scan(w) num_scan_inputs=1 body={ in s float32; r = Log(s); out r float32 }",
     "rounding has no bounded effect, in Log"},
    {"what a Scan of opset 8 scans",
     TABLE "y = Scan(, w) num_scan_inputs=1 body={ in s float32; r = Log(s); out r float32 }",
     "rounding has no bounded effect, in Log"},
    {"the state of a Scan a turn later",
     TABLE
     "y, z = Scan(w, x, x) num_scan_inputs=1 body={ in a float32; in b float32; in s float32; "
     "d = Identity(a); e = Identity(a); f = Log(b); g = Add(f, s); out d float32; "
     "out e float32; out g float32 }",
     "rounding has no bounded effect, in Log"},
    {"pairs that a body adds",
     PAIRS "t = Identity(w); y = If(c) then_branch={ a = Add(x, t); out a float32 }", short_rows},
};

static const char *first_reason(const onnxq_plan *plan)
{
    for (size_t i = 0; i < onnxq_plan_count(plan); i++) {
        const onnxq_weight *weight = onnxq_plan_get(plan, i);
        if (strcmp(weight->name, "w") == 0)
            return weight->uses[0].action == ONNXQ_KEEP ? weight->uses[0].reason : "";
    }
    fail_msg("there is no w");
    return NULL;
}

static void test_reason(void **state)
{
    const struct row *row = *state;
    onnxq_options options = test_options();
    options.method = ONNXQ_METHOD_WEIGHTS;
    const onnxq_model *model = test_model(test_printf(HEAD "%s", row->text));
    check_text(first_reason(test_plan(model, &options)), row->expected);
    check_text(first_reason(test_estimate(model, &options)), row->expected);
}

/* A function of the model may have the name of an operator, and does something else. */
static void test_local_function(void **state)
{
    (void)state;
    struct builder *builder = test_builder(HEAD TABLE "t = Identity(w); y = MatMul(x, t)");
    Oq__Pb__FunctionProto *function = builder_alloc(builder, 1, sizeof(*function));
    oq__pb__function_proto__init(function);
    function->name = builder_text(builder, "MatMul");
    function->domain = builder_text(builder, "");
    builder_append(builder, &builder->model->functions, &builder->model->n_functions, function);
    onnxq_options options = test_options();
    check_text(first_reason(test_plan(test_open(builder), &options)),
               "goes to what is not known here, in MatMul");
}

/* Each value is used twice by the next, which makes 2^2000 ways; a second one is asked about. */
static void test_many_ways(void **state)
{
    (void)state;
    char *text = test_alloc(200000), *end = text;
    end += sprintf(end, HEAD TABLE "t0 = Identity(w)\n");
    for (int i = 0; i < 2000; i++)
        end += sprintf(end, "t%d = Add(t%d, t%d)\n", i + 1, i, i);
    sprintf(end, "y = Log(t2000)");
    onnxq_options options = test_options();
    check_text(first_reason(test_plan(test_model(text), &options)),
               "rounding has no bounded effect, in Log");
}

/* --- every row of the catalogue --- */

/* A model whose only node has w as that input, and x as those before it. */
static const char *use_as_input(const struct oq_operator *op, size_t input)
{
    const char *names = "";
    for (size_t i = 0; i < input; i++)
        names = test_printf("%sx, ", names);
    return test_printf("opset 28; opset com.microsoft 1; opset ai.onnx.ml 5; in x float32\n" TABLE
                       "y = %s%s%s(%sw)",
                       op->domain, op->domain[0] != '\0' ? "::" : "", op->name, names);
}

static void check_input(const struct oq_operator *op, size_t input)
{
    enum oq_role role = oq_operator_role(op, input);
    const char *expected =
        oq_operator_has(op, OQ_QUANTIZED) ? oq_role_refuses(OQ_SCALE) : oq_role_refuses(role);
    onnxq_options options = test_options();
    const char *reason = first_reason(test_plan(test_model(use_as_input(op, input)), &options));
    const struct oq_rule *rule = oq_rule_find(op);
    bool is_free = strcmp(op->domain, "ai.onnx.ml") == 0 || /* no rule for any of them */
                   (rule != NULL && rule->op != OQ_UNKNOWN_OPERATOR) ||
                   op == &oq_operators[OQ_ONNX_Cast]; /* its rule or attribute decides */
    if (!is_free && strcmp(reason, expected == NULL ? "" : expected) != 0)
        fail_msg("input %zu of %s is kept: \"%s\", expected \"%s\"", input, op->name, reason,
                 expected == NULL ? "" : expected);
}

/* What a letter says is what is decided, and no scale of what is quantized already is rounded. */
static void test_catalogue(void **state)
{
    (void)state;
    for (size_t i = 1; i < OQ_N_OPERATORS; i++)
        for (size_t k = 0; k < strlen(oq_operators[i].inputs); k++)
            check_input(&oq_operators[i], k);
}

/* --- states --- */

static const struct carried_row {
    const char *name, *text;
    bool carries;
} carried_rows[] = {
    {"as LSTMs have it", "in h float32[1,B,8]; out hn float32[1,B,8]", true},
    {"in capitals", "in state float32[2,?,8]; out stateN float32[?,?,?]", true},
    {"words for the sides", "in conv_cache_in float16[2,8]; out new_conv_cache float16[2,8]", true},
    {"numbers", "in input_states_1 float32[2,8]; out output_states_1 float32[2,8]", true},
    {"letters for the sides", "in r1i float32[1,?,?,?]; out r1o float32[1,?,?,?]", true},
    {"the first of them", "in h0 float32[1,8]; out h_n float32[1,8]", true},
    {"the second of two", "in a float32[8]; in c0 float32[1,8]; out b float32; out cn float32[1,8]",
     true},
    {"another type", "in h float32[1,8]; out hn float16[1,8]", false},
    {"integers", "in h int64[1,8]; out hn int64[1,8]", false},
    {"another size", "in h float32[1,8]; out hn float32[1,9]", false},
    {"another rank", "in h float32[1,8]; out hn float32[8]", false},
    {"no shape", "in h float32; out hn float32", false},
    {"another name", "in h float32[1,8]; out k float32[1,8]", false},
    {"nothing but sides", "in input float32[1,8]; out output float32[1,8]", false},
    {"what grows", "in past_key float32[1,past]; out past_key_out float32[1,total]", false},
};

static void test_carried(void **state)
{
    const struct carried_row *row = *state;
    const onnxq_model *model = test_model(test_printf("in x int8; out y int8; %s", row->text));
    assert_int_equal(oq_hands_back_state(model), row->carries);
}

/* A picture of a picture is no state. */
static void test_carried_alone(void **state)
{
    (void)state;
    assert_false(
        oq_hands_back_state(test_model("in image_in float32[8]; out image_out float32[8]")));
}

int main(void)
{
    TEST_ROWS(test_reason, rows);
    TEST(test_local_function);
    TEST(test_many_ways);
    TEST(test_catalogue);
    TEST_ROWS(test_carried, carried_rows);
    TEST(test_carried_alone);
    return suite_run();
}
