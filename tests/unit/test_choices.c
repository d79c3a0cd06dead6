/* The forms that callers choose for single weights, options.choices: each on each kind of site. */
#include <string.h>

#include "base/error.h"
#include "support/models.h"

#define OPSET_21 "opset 21; in x float32[N,256]\n"
#define MATMUL   OPSET_21 "init w float32[256,256]; n: y = MatMul(x, w)\n"
#define GEMM     OPSET_21 "init w float32[256,256]; n: y = Gemm(x, w)\n"
#define GATHER   "opset 21; in i int64[N]; init w float32[512,256]; n: y = Gather(w, i)\n"
#define CONV     "opset 21; in x float32[1,64,8,8]; init w float32[64,64,3,3]; n: y = Conv(x, w)\n"
#define LSTM                                                                                       \
    "opset 21; in x float32[2,N,256]; init w float32[1,512,256]; init r float32[1,512,128]\n"      \
    "n: y = LSTM(x, w, r) hidden_size=128\n"

#define N_CHOICES 2

/* Of 256 channels. */
#define HALF_4  0.5f, 0.5f, 0.5f, 0.5f
#define HALF_16 HALF_4, HALF_4, HALF_4, HALF_4
#define HALF_64 HALF_16, HALF_16, HALF_16, HALF_16
static const float divisors[] = {HALF_64, HALF_64, HALF_64, HALF_64};
static const float no_divisors[] = {1, 0};
static const uint32_t columns[] = {3, 77};
static const uint32_t one_column[] = {255};
static const uint32_t no_columns[] = {3, 256};
static const uint32_t unsorted[] = {5, 5};

#define INTEGERS .node = "n", .weight = "w", .form = ONNXQ_FORM_INTEGERS

static const struct row {
    const char *name, *text;
    onnxq_choice choices[N_CHOICES]; /* those with a node */
    const char *expected;
} rows[] = {
    {"MatMul, float",
     MATMUL,
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_FLOAT}},
     "w: MatMul.1 keep (chosen to stay float)"},
    {"MatMul, folded",
     MATMUL,
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_FOLDED}},
     "w: MatMul.1 fold int8 folded at load"},
    {"MatMul, integers",
     MATMUL,
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_INTEGERS}},
     "w: MatMul.1 dynamic MatMulInteger"},
    {"MatMul, blocks of 8",
     MATMUL,
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_BLOCKS_8}},
     "w: MatMul.1 dynamic MatMulNBits, 8 bits in blocks of 128"},
    {"MatMul, blocks of 4",
     MATMUL,
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_BLOCKS_4}},
     "w: MatMul.1 dynamic MatMulNBits, 4 bits in blocks of 32"},
    {"Gemm, float",
     GEMM,
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_FLOAT}},
     "w: Gemm.1 keep (chosen to stay float)"},
    {"Gemm, folded",
     GEMM,
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_FOLDED}},
     "w: Gemm.1 fold int8 folded at load"},
    {"Gemm, integers",
     GEMM,
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_INTEGERS}},
     "w: Gemm.1 dynamic MatMulInteger"},
    {"Gemm, blocks of 8",
     GEMM,
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_BLOCKS_8}},
     "w: Gemm.1 dynamic MatMulNBits, 8 bits in blocks of 128"},
    {"Gemm, blocks of 4",
     GEMM,
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_BLOCKS_4}},
     "w: Gemm.1 dynamic MatMulNBits, 4 bits in blocks of 32"},
    {"Gather, float",
     GATHER,
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_FLOAT}},
     "w: Gather.0 keep (chosen to stay float)"},
    {"Gather, folded",
     GATHER,
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_FOLDED}},
     "w: Gather.0 fold int8 folded at load"},
    {"Gather, integers",
     GATHER,
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_INTEGERS}},
     "w: Gather.0 dynamic int8 rows"},
    {"Gather, blocks of 8",
     GATHER,
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_BLOCKS_8}},
     "w: Gather.0 dynamic GatherBlockQuantized, 8 bits in blocks of 128"},
    {"Gather, blocks of 4",
     GATHER,
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_BLOCKS_4}},
     "w: Gather.0 dynamic GatherBlockQuantized, 4 bits in blocks of 32"},
    {"Conv, float",
     CONV,
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_FLOAT}},
     "w: Conv.1 keep (chosen to stay float)"},
    {"Conv, folded",
     CONV,
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_FOLDED}},
     "w: Conv.1 fold int8 folded at load"},
    {"Conv, integers",
     CONV,
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_INTEGERS}},
     "w: Conv.1 fold int8 folded at load"},
    {"Conv, blocks of 8",
     CONV,
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_BLOCKS_8}},
     "w: Conv.1 fold int8 folded at load (no operator takes it in blocks)"},
    {"Conv, blocks of 4",
     CONV,
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_BLOCKS_4}},
     "w: Conv.1 fold int8 folded at load (no operator takes it in blocks)"},
    {"LSTM, float",
     LSTM,
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_FLOAT},
      {.node = "n", .weight = "r", .form = ONNXQ_FORM_FLOAT}},
     "w: LSTM.1 keep (chosen to stay float)\n"
     "r: LSTM.2 keep (chosen to stay float)"},
    {"LSTM, folded",
     LSTM,
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_FOLDED},
      {.node = "n", .weight = "r", .form = ONNXQ_FORM_FOLDED}},
     "w: LSTM.1 fold int8 folded at load\n"
     "r: LSTM.2 fold int8 folded at load"},
    {"LSTM, integers",
     LSTM,
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_INTEGERS},
      {.node = "n", .weight = "r", .form = ONNXQ_FORM_INTEGERS}},
     "w: LSTM.1 dynamic DynamicQuantizeLSTM\n"
     "r: LSTM.2 dynamic DynamicQuantizeLSTM"},
    {"LSTM, one of two float",
     LSTM,
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_FLOAT}},
     "w: LSTM.1 keep (chosen to stay float)\n"
     "r: LSTM.2 fold int8 folded at load (the operator's other weight stays float)"},
    {"LSTM, one of two folded",
     LSTM,
     {{.node = "n", .weight = "r", .form = ONNXQ_FORM_FOLDED}},
     "w: LSTM.1 fold int8 folded at load (the operator's other weight stays float)\n"
     "r: LSTM.2 fold int8 folded at load"},
    {"LSTM, blocks of 8",
     LSTM,
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_BLOCKS_8},
      {.node = "n", .weight = "r", .form = ONNXQ_FORM_BLOCKS_8}},
     "w: LSTM.1 fold int8 folded at load (no operator takes it in blocks)\n"
     "r: LSTM.2 fold int8 folded at load (no operator takes it in blocks)"},
    {"LSTM, blocks of 4",
     LSTM,
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_BLOCKS_4},
      {.node = "n", .weight = "r", .form = ONNXQ_FORM_BLOCKS_4}},
     "w: LSTM.1 fold int8 folded at load (no operator takes it in blocks)\n"
     "r: LSTM.2 fold int8 folded at load (no operator takes it in blocks)"},
    {"the later one of two",
     MATMUL,
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_FOLDED},
      {.node = "n", .weight = "w", .form = ONNXQ_FORM_BLOCKS_4}},
     "w: MatMul.1 dynamic MatMulNBits, 4 bits in blocks of 32"},
    {"the later one of two, float",
     MATMUL,
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_INTEGERS},
      {.node = "n", .weight = "w", .form = ONNXQ_FORM_FLOAT}},
     "w: MatMul.1 keep (chosen to stay float)"},
    {"MatMul, its channels divided",
     MATMUL,
     {{INTEGERS, .divisors = divisors, .n_divisors = 256}},
     "w: MatMul.1 dynamic MatMulInteger, smoothed"},
    {"MatMul, two columns in float",
     MATMUL,
     {{INTEGERS, .columns = columns, .n_columns = 2}},
     "w: MatMul.1 dynamic MatMulInteger, 2 columns in float"},
    {"MatMul, divided and a column in float",
     MATMUL,
     {{INTEGERS, .divisors = divisors, .n_divisors = 256, .columns = one_column, .n_columns = 1}},
     "w: MatMul.1 dynamic MatMulInteger, 1 column in float"},
    {"one product of two divides",
     MATMUL "m: z = MatMul(y, w)",
     {{INTEGERS, .divisors = divisors, .n_divisors = 256},
      {.node = "m", .weight = "w", .form = ONNXQ_FORM_INTEGERS}},
     "w: MatMul.1 dynamic MatMulInteger\n"
     "w: MatMul.1 dynamic MatMulInteger"},
    {"Gemm has no columns",
     GEMM,
     {{INTEGERS, .columns = columns, .n_columns = 2}},
     "w: Gemm.1 dynamic MatMulInteger"},
    {"an angle has no columns",
     OPSET_21 "init w float32[256,256]; n: t = MatMul(x, w); y = Cos(t)",
     {{INTEGERS, .columns = columns, .n_columns = 2}},
     "w: MatMul.1 fold int16 folded at load (its product is an angle or a coordinate)"},
    {"one weight of two nodes",
     MATMUL "m: z = MatMul(y, w)",
     {{.node = "m", .weight = "w", .form = ONNXQ_FORM_FLOAT},
      {.node = "n", .weight = "w", .form = ONNXQ_FORM_INTEGERS}},
     "w: MatMul.1 keep (MatMul \"m\" takes it as it is)\n"
     "w: MatMul.1 keep (chosen to stay float)"},
    {"a node without a name, by its output",
     OPSET_21 "init w float32[256,256]; y = MatMul(x, w)",
     {{.node = "y", .weight = "w", .form = ONNXQ_FORM_FOLDED}},
     "w: MatMul.1 fold int8 folded at load"},
    {"names that are alike side by side",
     OPSET_21 "init c float32[256,256]; init bc float32[256,256]\n"
              "ab: y = MatMul(x, c); a: z = MatMul(y, bc)",
     {{.node = "ab", .weight = "c", .form = ONNXQ_FORM_FLOAT}},
     "c: MatMul.1 keep (chosen to stay float)\n"
     "bc: MatMul.1 dynamic MatMulInteger"},
    {"an angle is no integer",
     OPSET_21 "init w float32[256,256]; n: t = MatMul(x, w); y = Cos(t)",
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_INTEGERS}},
     "w: MatMul.1 fold int16 folded at load (its product is an angle or a coordinate)"},
    {"an angle is not in blocks of 4",
     OPSET_21 "init w float32[256,256]; n: t = MatMul(x, w); y = Cos(t)",
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_BLOCKS_4}},
     "w: MatMul.1 fold int16 folded at load (its product is an angle or a coordinate)"},
    {"a divisor is not rounded",
     "opset 21; in x float32[N,256]; in i int64[N]; init w float32[512,256]\n"
     "n: t = Gather(w, i); y = Div(x, t)",
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_INTEGERS}},
     "w: Gather.0 keep (a divisor, in Div)"},
    {"a divisor is not folded",
     "opset 21; in x float32[N,256]; init w float32[256]; n: y = Div(x, w)",
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_FOLDED}},
     "w: Div.1 keep (a divisor)"},
};

static onnxq_options options_of(const onnxq_choice *choices)
{
    onnxq_options options = test_options();
    options.choices = choices;
    while (options.n_choices < N_CHOICES && choices[options.n_choices].node != NULL)
        options.n_choices++;
    return options;
}

static void test_forms(void **state)
{
    const struct row *row = *state;
    const onnxq_options options = options_of(row->choices);
    const onnxq_plan *plan = test_plan(test_model(row->text), &options);
    check_text(test_plan_text(plan), row->expected);
}

/* --- choices that cannot be followed -------------------------------------------------------- */

static const struct refused {
    const char *name;
    onnxq_choice choices[N_CHOICES];
    onnxq_method method;
    const char *expected;
} refused[] = {
    {"no such node",
     {{.node = "m", .weight = "w", .form = ONNXQ_FORM_FLOAT}},
     ONNXQ_METHOD_DYNAMIC,
     "choice number 0: no node \"m\" takes a weight \"w\""},
    {"no such weight",
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_FLOAT},
      {.node = "n", .weight = "v", .form = ONNXQ_FORM_FLOAT}},
     ONNXQ_METHOD_DYNAMIC,
     "choice number 1: no node \"n\" takes a weight \"v\""},
    {"no such node, twice",
     {{.node = "m", .weight = "w", .form = ONNXQ_FORM_FLOAT},
      {.node = "m", .weight = "w", .form = ONNXQ_FORM_FOLDED}},
     ONNXQ_METHOD_DYNAMIC,
     "choice number 1: no node \"m\" takes a weight \"w\""},
    {"no such form",
     {{.node = "n", .weight = "w", .form = (onnxq_form)5}},
     ONNXQ_METHOD_DYNAMIC,
     "choice number 0: no form has number 5"},
    {"columns of what is folded",
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_FOLDED, .columns = columns, .n_columns = 2}},
     ONNXQ_METHOD_DYNAMIC,
     "choice number 0: divisors and columns go with integers"},
    {"a column that is not there",
     {{INTEGERS, .columns = no_columns, .n_columns = 2}},
     ONNXQ_METHOD_DYNAMIC,
     "choice number 0: column 256, the weight has 256 rows"},
    {"a column twice",
     {{INTEGERS, .columns = unsorted, .n_columns = 2}},
     ONNXQ_METHOD_DYNAMIC,
     "choice number 0: column 5 behind column 5, expected ascending ones"},
    {"too few divisors",
     {{INTEGERS, .divisors = divisors, .n_divisors = 255}},
     ONNXQ_METHOD_DYNAMIC,
     "choice number 0: 255 divisors, the weight has 256 rows"},
    {"a divisor of 0",
     {{INTEGERS, .divisors = no_divisors, .n_divisors = 2}},
     ONNXQ_METHOD_DYNAMIC,
     "choice number 0: divisor 1 is 0, expected a positive number"},
    {"another method",
     {{.node = "n", .weight = "w", .form = ONNXQ_FORM_FLOAT}},
     ONNXQ_METHOD_QDQ,
     "forms of single weights have no effect with this method"},
};

static void test_refused(void **state)
{
    const struct refused *row = *state;
    onnxq_options options = options_of(row->choices);
    options.method = row->method;
    onnxq_error error;
    oq_error_init(&error);
    assert_null(onnxq_plan_create(test_model(MATMUL), &options, &error));
    assert_int_equal(error.status, ONNXQ_ERROR_OPTION);
    check_text(error.message, row->expected);
}

/* Where that is allowed, what is not there is passed over and the rest holds. */
static void test_unmatched(void **state)
{
    (void)state;
    static const onnxq_choice choices[] = {{.node = "m", .weight = "w", .form = ONNXQ_FORM_FOLDED},
                                           {.node = "n", .weight = "w", .form = ONNXQ_FORM_FLOAT}};
    onnxq_options options = options_of(choices);
    options.allow_unmatched = true;
    check_text(test_plan_text(test_plan(test_model(MATMUL), &options)),
               "w: MatMul.1 keep (chosen to stay float)");
}

int main(void)
{
    TEST_ROWS(test_forms, rows);
    TEST_ROWS(test_refused, refused);
    TEST(test_unmatched);
    return suite_run();
}
