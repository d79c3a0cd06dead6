/* Selectors and operator types: what they match, and what is said when they match nothing. */
#include "quantize/decide/selector.h"

#include <string.h>

#include "support/models.h"

#define MODEL                                                                                      \
    "opset 17; in x float32; init encoder.0.weight float32[64,64]; init decoder.weight "           \
    "float32[64,64]\n"                                                                             \
    "init \"special*[1]\" float32[64,64]; /enc/0: a = MatMul(x, encoder.0.weight)\n"               \
    "/dec: b = Gemm(a, decoder.weight); c = MatMul(b, \"special*[1]\")\n"                          \
    "d = If(c) then_branch={ init inner float32[64,64]; /body: t = MatMul(c, inner); out t "       \
    "float32 "                                                                                     \
    "}\n"

/* Of each weight: taken, or not. */
static const struct row {
    const char *name;
    onnxq_selector selectors[3];
    size_t n_selectors;
    const char *expected; /* a letter a weight: e d s i */
} rows[] = {
    {"none", {{0}}, 0, "edsi"},
    {"a weight", {{false, ONNXQ_GLOB, "decoder.weight"}}, 1, "d"},
    {"a node", {{false, ONNXQ_GLOB, "/dec"}}, 1, "d"},
    {"a node without a name, by its output", {{false, ONNXQ_GLOB, "c"}}, 1, "s"},
    {"in a body", {{false, ONNXQ_GLOB, "/body"}}, 1, "i"},
    {"a star", {{false, ONNXQ_GLOB, "*.weight"}}, 1, "ed"},
    {"a star across slashes", {{false, ONNXQ_GLOB, "*0"}}, 1, "e"},
    {"the whole name", {{false, ONNXQ_GLOB, "decoder*"}}, 1, "d"},
    {"a question mark", {{false, ONNXQ_GLOB, "encoder.?.weight"}}, 1, "e"},
    {"a class", {{false, ONNXQ_GLOB, "[de]*.weight"}}, 1, "ed"},
    {"a name with special characters is itself", {{false, ONNXQ_GLOB, "special*[1]"}}, 1, "s"},
    {"an exact name", {{false, ONNXQ_EXACT, "decoder.weight"}}, 1, "d"},
    {"an exact name with special characters", {{true, ONNXQ_EXACT, "special*[1]"}}, 1, "edi"},
    {"a regular expression", {{false, ONNXQ_REGEX, "coder"}}, 1, "ed"},
    {"a regular expression with anchors", {{false, ONNXQ_REGEX, "^/(dec|body)$"}}, 1, "di"},
    {"excluded", {{true, ONNXQ_GLOB, "*.weight"}}, 1, "si"},
    {"exclusion counts more",
     {{false, ONNXQ_GLOB, "*.weight"}, {true, ONNXQ_GLOB, "/enc*"}},
     2,
     "d"},
    {"in any order", {{true, ONNXQ_GLOB, "/enc*"}, {false, ONNXQ_GLOB, "*.weight"}}, 2, "d"},
    {"several", {{false, ONNXQ_GLOB, "inner"}, {false, ONNXQ_GLOB, "/dec"}}, 2, "di"},
};

static void test_selectors(void **state)
{
    const struct row *row = *state;
    onnxq_options options = test_options();
    options.selectors = row->selectors;
    options.n_selectors = row->n_selectors;
    const onnxq_plan *plan = test_plan(test_model(MODEL), &options);
    const char *text = "";
    for (const char *letter = "edsi"; *letter != '\0'; letter++)
        for (size_t i = 0; i < onnxq_plan_count(plan); i++)
            if (onnxq_plan_get(plan, i)->name[0] == *letter &&
                onnxq_plan_get(plan, i)->action != ONNXQ_KEEP)
                text = test_printf("%s%c", text, *letter);
    check_text(text, row->expected);
}

static const struct wrong_row {
    const char *name;
    onnxq_selector selector;
    const char *op_type, *exclude_op_type;
    const char *expected, *hint;
} wrong[] = {
    {"a weight that is not there",
     {false, ONNXQ_GLOB, "decoder.weigth"},
     NULL,
     NULL,
     "include \"decoder.weigth\" matches no node and no weight",
     "did you mean \"decoder.weight\"?"},
    {"nothing like it",
     {true, ONNXQ_GLOB, "xyz"},
     NULL,
     NULL,
     "exclude \"xyz\" matches no node and no weight",
     "options.allow_unmatched passes over what matches nothing"},
    {"part of a name",
     {false, ONNXQ_GLOB, "coder"},
     NULL,
     NULL,
     "include \"coder\" matches no node and no weight",
     "options.allow_unmatched passes over what matches nothing"},
    {"an exact name is no glob",
     {false, ONNXQ_EXACT, "*.weight"},
     NULL,
     NULL,
     "include \"*.weight\" matches no node and no weight",
     "options.allow_unmatched passes over what matches nothing"},
    {"an expression that matches nothing",
     {false, ONNXQ_REGEX, "^coder"},
     NULL,
     NULL,
     "include \"^coder\" matches no node and no weight",
     "options.allow_unmatched passes over what matches nothing"},
    {"no expression", {false, ONNXQ_REGEX, "a("}, NULL, NULL, NULL, ""},
    {"an operator that is not there",
     {0},
     "Conv",
     NULL,
     "the model has no operator of type \"Conv\"",
     "options.allow_unmatched passes over what matches nothing"},
    {"an operator in lower case",
     {0},
     "matmul",
     NULL,
     "the model has no operator of type \"matmul\"",
     "did you mean \"MatMul\"?"},
    {"an excluded operator that is not there",
     {0},
     NULL,
     "Conv",
     "the model has no operator of type \"Conv\"",
     "options.allow_unmatched passes over what matches nothing"},
};

static onnxq_options make_options(const struct wrong_row *row)
{
    onnxq_options options = test_options();
    options.selectors = &row->selector;
    options.n_selectors = row->selector.pattern != NULL;
    options.op_types = row->op_type == NULL ? NULL : &row->op_type;
    options.n_op_types = row->op_type != NULL;
    options.exclude_op_types = row->exclude_op_type == NULL ? NULL : &row->exclude_op_type;
    options.n_exclude_op_types = row->exclude_op_type != NULL;
    return options;
}

static void test_wrong(void **state)
{
    const struct wrong_row *row = *state;
    onnxq_error error;
    onnxq_options options = make_options(row);
    const onnxq_model *model = test_model(MODEL);
    assert_null(onnxq_plan_create(model, &options, &error));
    assert_int_equal(error.status, ONNXQ_ERROR_OPTION);
    if (row->expected == NULL) /* the system's words */
        assert_memory_equal(error.message, "regular expression \"a(\": ", 25);
    else
        check_text(error.message, row->expected);
    check_text(error.hint, row->hint);

    /* On request it is no error - unless it could not be understood. */
    options.allow_unmatched = true;
    if (row->expected != NULL)
        test_plan(model, &options);
    else
        assert_null(onnxq_plan_create(model, &options, &error));
}

/* Names of hundreds of characters, for which a suggestion is looked for. */
static void test_long_names(void **state)
{
    (void)state;
    onnxq_error error;
    char pattern[2000];
    memset(pattern, 'p', sizeof(pattern) - 1);
    pattern[sizeof(pattern) - 1] = '\0';
    const onnxq_selector selector = {false, ONNXQ_GLOB, pattern};
    onnxq_options options = test_options();
    options.selectors = &selector;
    options.n_selectors = 1;
    const onnxq_model *model = test_model(test_printf(
        "opset 17; in x float32; init %s0 float32[64,64]; y = MatMul(x, %s0)", pattern, pattern));
    assert_null(onnxq_plan_create(model, &options, &error));
    assert_int_equal(error.status, ONNXQ_ERROR_OPTION);
    assert_compare(strlen(error.message), <, sizeof(error.message));
    assert_compare(strlen(error.hint), <, sizeof(error.hint));
}

/* What is not selected by type is not, whatever the patterns say. */
static void test_op_types(void **state)
{
    (void)state;
    static const char *const types[] = {"Gemm"};
    static const onnxq_selector all = {false, ONNXQ_GLOB, "*"};
    onnxq_options options = test_options();
    options.op_types = types;
    options.n_op_types = 1;
    options.selectors = &all;
    options.n_selectors = 1;
    const onnxq_summary *summary = onnxq_plan_get_summary(test_plan(test_model(MODEL), &options));
    assert_int_equal(summary->n_quantized, 1);
}

int main(void)
{
    TEST_ROWS(test_selectors, rows);
    TEST_ROWS(test_wrong, wrong);
    TEST(test_long_names);
    TEST(test_op_types);
    return suite_run();
}
