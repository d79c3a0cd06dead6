/* Which weights of the same bytes are taken for one. */
#include <stdio.h>
#include <string.h>

#include "quantize/plan/plan.h"
#include "support/adjust.h"
#include "support/models.h"

/* Elements 0 to 15, 2040 to 2055 and 4080 to 4095 of [64,64] are samples, as float32. */
#define HEAD  "opset 17; in x float32[N,64]\n"
#define A     "init a float32[64,64] = 1 -2 3 4 -1; p = MatMul(x, a)\n"
#define B     "; q = MatMul(x, b)\n"
#define PAIR  HEAD A "init b float32[64,64] = 1 -2 3 4 -1"
#define WHERE "c = Cast(x) to=9; y = If(c) "
#define THEN  "then_branch={ init a float32[64,64] = 1 -2 3 4 -1; t = MatMul(x, a); out t float32 } "
#define ELSE  "else_branch={ init b float32[64,64] = 1 -2 3 4 -1; e = MatMul(x, b); out e float32 }"

/*
 * "b=a": a stands for b, too; with the graph that holds what is stored of it. Tensors of
 * nodes and their bodies come first in a file.
 */
static const struct row {
    const char *name, *text;
    adjust_fn adjust;
    const char *expected;
} rows[] = {
    {"the same", PAIR B, NULL, "b=a in main "},
    {"three", PAIR B "init d float32[64,64] = 1 -2 3 4 -1; r = MatMul(x, d)", NULL,
     "b=a in main d=a in main "},
    {"two and two",
     PAIR " @1=7" B "init d float32[64,64] = 1 -2 3 4 -1; r = MatMul(x, d); init e float32[64,64] "
          "= 1 -2 3 4 -1 @1=7\n"
          "s = MatMul(x, e)",
     NULL, "d=a in main e=b in main "},
    {"the first element is another", PAIR " @0=7" B, NULL, ""},
    {"one between samples is another", PAIR " @1000=7" B, NULL, ""},
    {"one in the middle is another", PAIR " @2050=7" B, NULL, ""},
    {"the last element is another", PAIR " @4095=7" B, NULL, ""},
    {"another shape", HEAD A "init b float32[32,128] = 1 -2 3 4 -1; q = Add(x, b)", NULL, ""},
    {"another type", HEAD A "init b float16[64,64] = 1 -2 3 4 -1; q = Op(b)", NULL, ""},
    {"as long as a sample",
     HEAD
     "init a float32[4,4] = 1 -2 3 4 -1; p = MatMul(x, a); init b float32[4,4] = 1 -2 3 4 -1" B,
     NULL, "b=a in main "},
    {"shorter than a sample",
     HEAD
     "init a float32[4,3] = 1 -2 3 4 -1; p = MatMul(x, a); init b float32[4,3] = 1 -2 3 4 -1" B,
     NULL, ""},
    {"one that somebody needs", PAIR B "r = Op(b)", NULL, ""},
    {"one that the graph returns", PAIR B "out b float32[64,64]", NULL, ""},
    {"one that nobody uses", PAIR, NULL, ""},
    {"one in a field of many pieces", HEAD A "init b float32[64,64] unpacked = 1 -2 3 4 -1" B, NULL,
     ""},
    {"a Constant node", HEAD A "b = Constant() value=float32[64,64] = 1 -2 3 4 -1" B, NULL,
     "a=b in main "},
    {"in two bodies", HEAD WHERE THEN ELSE, NULL, "b=a in main "},
    {"in two bodies, behind DequantizeLinear", HEAD WHERE THEN ELSE, adjust_qdq, ""},
    {"in one graph, behind DequantizeLinear", PAIR B, adjust_qdq, "b=a in main "},
    {"in a body and around it", HEAD A WHERE "then_branch={ t = Relu(x); out t float32 } " ELSE,
     NULL, "a=b in main "},
};

static const char *describe_equal(const onnxq_plan *plan)
{
    const char *text = "";
    for (size_t i = 0; i < plan->model->n_tensors; i++) {
        const struct oq_constant *constant = &plan->constants[i], *first = constant->equal;
        if (first != NULL)
            text = test_printf("%s%s=%s in %s ", text, constant->name, first->name,
                               first->graph->parent == NULL ? "main" : first->graph->name);
    }
    return text;
}

static onnxq_options all_weights(adjust_fn adjust)
{
    onnxq_options options = test_options();
    options.min_elements = 1;
    if (adjust != NULL)
        adjust(&options);
    return options;
}

static void test_equal(void **state)
{
    const struct row *row = *state;
    const onnxq_options options = all_weights(row->adjust);
    check_text(describe_equal(test_plan(test_model(row->text), &options)), row->expected);
}

/* Without a look at the weights none are known to be equal. */
static void test_estimated(void **state)
{
    (void)state;
    const onnxq_options options = all_weights(NULL);
    check_text(describe_equal(test_estimate(test_model(PAIR B), &options)), "");
}

/* Pairs that agree in their samples: so many kinds of them are told apart, and no more. */
static void test_many_kinds(void **state)
{
    (void)state;
    const char *text = HEAD;
    for (int copy = 0; copy < 2; copy++)
        for (int kind = 0; kind < 6; kind++)
            text = test_printf(
                "%sinit %c%d float32[64,64] = 1 -2 3 4 -1 @1000=%d; %c%d_y = MatMul(x, %c%d)\n",
                text, 'a' + copy, kind, kind, 'a' + copy, kind, 'a' + copy, kind);
    const onnxq_options options = all_weights(NULL);
    check_text(describe_equal(test_plan(test_model(text), &options)),
               "b0=a0 in main b1=a1 in main b2=a2 in main b3=a3 in main ");
}

/* What is stored for both is put down to the first, and is there once. */
static void test_stored_once(void **state)
{
    (void)state;
    const onnxq_options options = all_weights(NULL);
    const onnxq_plan *plan = test_plan(test_model(PAIR B), &options);
    assert_int_equal(onnxq_plan_get(plan, 0)->nbytes_after, 64 * 64 + 64 * 4);
    assert_int_equal(onnxq_plan_get(plan, 1)->nbytes_after, 0);
    size_t n_integers = 0;
    const Oq__Pb__GraphProto *graph = test_read_model(test_write(plan))->graph;
    for (size_t i = 0; i < graph->n_initializer; i++)
        n_integers += graph->initializer[i]->data_type == OQ__PB__TENSOR_PROTO__DATA_TYPE__INT8;
    assert_int_equal(n_integers, 1);
}

int main(void)
{
    TEST_ROWS(test_equal, rows);
    TEST(test_estimated);
    TEST(test_many_kinds);
    TEST(test_stored_once);
    return suite_run();
}
