/* The numbers of constant expressions, operator by operator; and expressions that nobody means. */
#include <math.h>
#include <string.h>

#include "model/evaluate.h"
#include "support/models.h"

static struct oq_evaluation evaluation;

static bool evaluate(const onnxq_model *model, bool frozen, uint64_t work)
{
    onnxq_error error;
    bool found;
    struct oq_evaluator evaluator = {.model = model,
                                     .inputs_are_frozen = frozen,
                                     .arena = test_arena((size_t)64 << 20),
                                     .scratch = test_alloc(OQ_READ_SCRATCH_NBYTES),
                                     .work = work,
                                     .error = &error};
    oq_error_init(&error);
    if (!oq_evaluate(&evaluator, model->graphs.list[0], "v", &evaluation, &found))
        fail_msg("%s", test_error_text(&error));
    return found;
}

#define WORK 1000000

/* What v is, with -3 4 0 1 0.5 -2 in w of [2,3] and 1 2 3 in r of [3]; "": it is not known. */
static const struct row {
    const char *name, *text, *dims;
    float expected[12];
} rows[] = {
    {"Abs", "v = Abs(w)", "2,3", {3, 4, 0, 1, 0.5F, 2}},
    {"Neg", "v = Neg(w)", "2,3", {3, -4, -0.0F, -1, -0.5F, 2}},
    {"Sign", "v = Sign(w)", "2,3", {-1, 1, 0, 1, 1, -1}},
    {"Round, halves to even", "v = Round(w)", "2,3", {-3, 4, 0, 1, 0, -2}},
    {"Floor", "v = Floor(w)", "2,3", {-3, 4, 0, 1, 0, -2}},
    {"Ceil", "v = Ceil(w)", "2,3", {-3, 4, 0, 1, 1, -2}},
    {"Exp", "v = Exp(r)", "3", {2.7182818F, 7.3890561F, 20.085537F}},
    {"Log", "v = Log(r)", "3", {0, 0.69314718F, 1.0986123F}},
    {"Sqrt", "v = Sqrt(r)", "3", {1, 1.4142136F, 1.7320508F}},
    {"Reciprocal", "v = Reciprocal(r)", "3", {1, 0.5F, 0.33333333F}},
    {"Sigmoid", "v = Sigmoid(r)", "3", {0.73105858F, 0.88079708F, 0.95257413F}},
    {"Tanh", "v = Tanh(r)", "3", {0.76159416F, 0.96402758F, 0.99505475F}},
    {"Add, a row to each", "v = Add(w, r)", "2,3", {-2, 6, 3, 2, 2.5F, 1}},
    {"Add, to more axes",
     "init a float32[2,1,1] = 1 2; v = Add(a, r)",
     "2,1,3",
     {2, 3, 4, 3, 4, 5}},
    {"Sub", "v = Sub(r, w)", "2,3", {4, -2, 3, 0, 1.5F, 5}},
    {"Mul of itself", "v = Mul(w, w)", "2,3", {9, 16, 0, 1, 0.25F, 4}},
    {"Div", "v = Div(w, r)", "2,3", {-3, 2, 0, 1, 0.25F, -0.66666667F}},
    {"Div of integers",
     "init a int64 = 7; init b int64 = 2; c = Div(a, b); v = Cast(c) to=1",
     "",
     {3}},
    {"Pow by integers", "init p int64 = 3; v = Pow(r, p)", "3", {1, 8, 27}},
    {"Pow to the root", "init p float32 = 0.5; v = Pow(r, p)", "3", {1, 1.4142136F, 1.7320508F}},
    {"Sum of three", "v = Sum(r, w, r)", "2,3", {-1, 8, 6, 3, 4.5F, 4}},
    {"Max of two", "v = Max(w, r)", "2,3", {1, 4, 3, 1, 2, 3}},
    {"Min of three", "init z float32 = 0; v = Min(w, r, z)", "2,3", {-3, 0, 0, 0, 0, -2}},
    {"Clip by attributes", "v = Clip(w) min=-1. max=2.", "2,3", {-1, 2, 0, 1, 0.5F, -1}},
    {"Clip from below", "init z float32 = 0; v = Clip(w, z)", "2,3", {0, 4, 0, 1, 0.5F, 0}},
    {"Clip from above", "init z float32 = 0; v = Clip(w, , z)", "2,3", {-3, 0, 0, 0, 0, -2}},
    {"Cast to integers and back",
     "i = Cast(w) to=7; v = Cast(i) to=1",
     "2,3",
     {-3, 4, 0, 1, 0, -2}},
    {"Cast to truth and back", "i = Cast(w) to=9; v = Cast(i) to=1", "2,3", {1, 1, 0, 1, 1, 1}},
    {"Cast of float16",
     "init h float16[2] = 1 0.5; c = Cast(h) to=1; v = Exp(c)",
     "2",
     {2.7182818F, 1.6487213F}},
    {"a mask of truth values",
     "init m bool[3] = 1 0 1; c = Cast(m) to=1; v = Mul(w, c)",
     "2,3",
     {-3, 0, 0, 1, 0, -2}},
    {"ReduceSum over all", "v = ReduceSum(w)", "1,1", {0.5F}},
    {"ReduceSum by an input, without axes",
     "init a int64[1] = -1; v = ReduceSum(w, a) keepdims=0",
     "2",
     {1, -0.5F}},
    {"ReduceMean", "v = ReduceMean(w) axes=[0]", "1,3", {-1, 2.25F, -1}},
    {"ReduceMax", "v = ReduceMax(w) axes=[1]", "2,1", {4, 1}},
    {"ReduceMin", "v = ReduceMin(w) axes=[1]", "2,1", {-3, -2}},
    {"ReduceProd of integers",
     "init n int64[2] = 3 5; p = ReduceProd(n) keepdims=0; v = Cast(p) to=1",
     "",
     {15}},
    {"ReduceL1", "v = ReduceL1(w) axes=[1]", "2,1", {7, 3.5F}},
    {"ReduceL2", "v = ReduceL2(w) axes=[1]", "2,1", {5, 2.2912878F}},
    {"ReduceSumSquare", "v = ReduceSumSquare(w) axes=[1]", "2,1", {25, 5.25F}},
    {"LpNormalization",
     "v = LpNormalization(w) axis=1",
     "2,3",
     {-0.6F, 0.8F, 0, 0.43643578F, 0.21821789F, -0.87287156F}},
    {"LpNormalization by magnitudes",
     "v = LpNormalization(w) axis=0 p=1",
     "2,3",
     {-0.75F, 0.88888889F, 0, 0.25F, 0.11111111F, -1}},
    {"MatMul", "t = Transpose(w); v = MatMul(w, t)", "2,2", {25, -1, -1, 5.25F}},
    {"MatMul by a vector", "v = MatMul(w, r)", "2", {5, -4}},
    {"MatMul of vectors", "v = MatMul(r, r)", "", {14}},
    {"Reshape",
     "init s int64[3] = 0 -1 1; a = Abs(w); v = Reshape(a, s)",
     "2,3,1",
     {3, 4, 0, 1, 0.5F, 2}},
    {"Flatten", "a = Abs(w); v = Flatten(a) axis=2", "6,1", {3, 4, 0, 1, 0.5F, 2}},
    {"Squeeze",
     "init a int64[1] = 0; n = ReduceL1(w) axes=[0]; v = Squeeze(n, a)",
     "3",
     {4, 4.5F, 2}},
    {"Unsqueeze", "v = Unsqueeze(r) axes=[0, -1]", "1,3,1", {1, 2, 3}},
    {"Transpose of three axes",
     "init a float32[2,1,2] = 1 2 3 4; v = Transpose(a) perm=[2,0,1]",
     "2,2,1",
     {1, 3, 2, 4}},
    {"Expand", "init s int64[2] = 2 1; v = Expand(r, s)", "2,3", {1, 2, 3, 1, 2, 3}},
    {"used by others, too", "a = Abs(w); b = Sqrt(a); c = Mul(b, b); v = Sub(c, a)", "2,3", {0}},
    /* --- what is not known --- */
    {"an activation", "v = Add(x, w)", NULL, {0}},
    {"another operator", "v = Einsum(w, w)", NULL, {0}},
    {"broadcasting by attributes", "v = Add(w, r) broadcast=1", NULL, {0}},
    {"shapes that do not fit", "init a float32[2]; v = Add(w, a)", NULL, {0}},
    {"products that do not fit", "v = MatMul(w, w)", NULL, {0}},
    {"an axis that there is not", "v = ReduceSum(w) axes=[2]", NULL, {0}},
    {"axes twice", "v = ReduceSum(w) axes=[1, -1]", NULL, {0}},
    {"stored integers", "init q int8[2]; c = Cast(q) to=1; v = Mul(c, c)", NULL, {0}},
    {"float16", "init h float16[2]; v = Add(h, h)", NULL, {0}},
    {"a division by zero, of integers",
     "init a int64 = 7; init b int64 = 0; c = Div(a, b); v = Cast(c) to=1",
     NULL,
     {0}},
    {"integers that float32 does not have",
     "init a int64 = 20000000; c = Add(a, a); v = Cast(c) to=1",
     NULL,
     {0}},
    {"more than memory has", "init s int64[3] = 16777216 16777216 3; v = Expand(r, s)", NULL, {0}},
    {"a negative size", "init s int64[2] = -2 3; v = Expand(r, s)", NULL, {0}},
    {"more axes than there are", "v = Unsqueeze(r) axes=[0,1,2,3,4,5,6,7]", NULL, {0}},
};

static void test_value(void **state)
{
    const struct row *row = *state;
    const onnxq_model *model = test_model(test_printf(
        "in x float32[3]; init w float32[2,3] = -3 4 0 1 0.5 -2; init r float32[3] = 1 2 3\n%s",
        row->text));
    const bool found = evaluate(model, false, WORK);
    const struct oq_numbers *v = found ? &evaluation.list[evaluation.count - 1] : NULL;
    const char *dims = "";
    assert_int_equal(found, row->dims != NULL);
    for (size_t i = 0; found && i < v->n_dims; i++)
        dims = test_printf("%s%s%lld", dims, i == 0 ? "" : ",", (long long)v->dims[i]);
    if (found)
        check_text(dims, row->dims);
    for (size_t i = 0; found && i < v->nelem; i++)
        if (fabsf(v->x[i] - row->expected[i]) > 1e-6F * fmaxf(1, fabsf(row->expected[i])))
            fail_msg("element %zu is %g", i, (double)v->x[i]);
}

/* Which value is the last of whole numbers that Round has made; "": none is. */
static const struct {
    const char *name, *text, *rounded;
} rounds[] = {
    {"scaled", "d = Div(w, r); a = Round(d); v = Mul(a, r)", "a"},
    {"cut off, with a zero point",
     "init z float32 = 2; d = Div(w, r); a = Round(d); b = Add(a, z); c = Clip(b) min=0. max=7.\n"
     "e = Sub(c, z); v = Mul(e, r)",
     "e"},
    {"of more than 8 bits", "init f float32 = 100; m = Mul(w, f); a = Round(m); v = Div(a, f)", ""},
    {"a scale", "init f float32 = 1.5; a = Ceil(f); v = Mul(w, a)", ""},
    {"nothing", "v = Mul(w, r)", ""},
};

static void test_rounded(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rounds) / sizeof(rounds[0]); i++) {
        const onnxq_model *model = test_model(
            test_printf("init w float32[2,3] = -3 4 0 1 0.5 -2; init r float32[3] = 1 2 3\n%s",
                        rounds[i].text));
        assert_true(evaluate(model, false, WORK));
        check_text(evaluation.rounded == NULL ? "" : evaluation.rounded->name, rounds[i].rounded);
    }
}

/* A default value of a graph input is constant only where nobody may override it. */
static void test_inputs(void **state)
{
    (void)state;
    const onnxq_model *model = test_model("in w float32[2]; init w float32[2] = 1 2; v = Exp(w)");
    assert_true(evaluate(model, true, WORK));
    assert_false(evaluate(model, false, WORK));
}

/* Chains as long as nobody writes them, sums that double each time, and work without end. */
static void test_hostile(void **state)
{
    (void)state;
    const char *text = "init w float32[1]; v0 = Exp(w)";
    for (int i = 1; i < 100; i++)
        text = test_printf("%s; v%d = Abs(v%d)", text, i, i - 1);
    assert_false(evaluate(test_model(test_printf("%s; v = Abs(v99)", text)), true, WORK));
    text = "init w float32[1] = 1; v0 = Abs(w)";
    for (int i = 1; i < 40; i++)
        text = test_printf("%s; v%d = Add(v%d, v%d)", text, i, i - 1, i - 1);
    const onnxq_model *model = test_model(test_printf("%s; v = Abs(v39)", text));
    assert_true(evaluate(model, true, WORK));
    assert_true(evaluation.list[evaluation.count - 1].x[0] == 0x1p39F);
    model = test_model("init a float32[64,64]; v = MatMul(a, a)");
    assert_true(evaluate(model, true, 300000));
    assert_false(evaluate(model, true, 200000));
}

int main(void)
{
    TEST_ROWS(test_value, rows);
    TEST(test_rounded);
    TEST(test_inputs);
    TEST(test_hostile);
    return suite_run();
}
