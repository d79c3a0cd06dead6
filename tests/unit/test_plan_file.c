/*
 * Files of plans: there and back, and whatever else a file of that name may hold. What is
 * refused is refused in one line, with the place.
 */
#include "ranges/plan_file.h"

#include <string.h>

#include "base/error.h"
#include "support/models.h"

static const char model_text[] =
    "in x float32[1,4]\ninit w float32[4,4]\nn: y = MatMul(x, w)\nz = Relu(y)\nout z float32\n";

static void close_ranges(void *ranges)
{
    onnxq_ranges_close(ranges);
}

static void fini(void *file)
{
    oq_plan_file_fini(file);
}

static onnxq_ranges *make_ranges(const onnxq_model *model)
{
    static const float x[] = {1, 1.0001f, 1, 1};
    const struct oq_shape_of_channels shape = {1, 2, 2, 1};
    onnxq_error error;
    oq_error_init(&error);
    onnxq_ranges *ranges = oq_ranges_create(model, &error);
    assert_non_null(ranges);
    test_defer(close_ranges, ranges);
    struct oq_range_stats *stats = oq_ranges_place(ranges, "y", &error);
    assert_non_null(stats);
    assert_true(oq_range_stats_fold(stats, x, &shape, &ranges->arena));
    return ranges;
}

static const char *write_plan(const onnxq_model *model, const onnxq_ranges *ranges,
                              const onnxq_choice *choices, size_t n, size_t *nbytes)
{
    FILE *stream = fopen(test_path("written.json"), "wb");
    assert_non_null(stream);
    assert_true(oq_plan_file_write(model, ranges, choices, n, stream));
    assert_int_equal(fclose(stream), 0);
    return (const char *)test_read_file(test_path("written.json"), nbytes);
}

static bool read_plan(const char *text, size_t nbytes, onnxq_plan_file *file, onnxq_error *error)
{
    test_write_file(test_path("plan.json"), text, nbytes);
    return oq_plan_file_read(file, test_path("plan.json"), error);
}

/* --- there and back --------------------------------------------------------------------- */

static const float divisors[] = {1, 0.0123f, 3.5e-38f, 7};
static const uint32_t columns[] = {0, 3, 4294967295u};

static const onnxq_choice choices[] = {
    {.node = "n",
     .weight = "w",
     .form = ONNXQ_FORM_INTEGERS,
     .divisors = divisors,
     .n_divisors = COUNT(divisors),
     .columns = columns,
     .n_columns = COUNT(columns)},
    {.node = "n", .weight = "w", .form = ONNXQ_FORM_FLOAT},
    {.node = "a \"node\"\n", .weight = "w", .form = ONNXQ_FORM_FOLDED},
    {.node = "n", .weight = "\xc3\xa4", .form = ONNXQ_FORM_INTEGERS},
    {.node = "", .weight = "", .form = ONNXQ_FORM_BLOCKS_8},
    {.node = "n", .weight = "w", .form = ONNXQ_FORM_BLOCKS_4},
};

static void check_there_and_back(const onnxq_model *model, const onnxq_ranges *ranges)
{
    onnxq_error error;
    size_t nbytes, nbytes_again;
    const char *text = write_plan(model, ranges, choices, COUNT(choices), &nbytes);
    onnxq_plan_file *file = test_alloc(sizeof(*file));
    bool ok = read_plan(text, nbytes, file, &error);
    test_defer(fini, file);
    if (!ok)
        fail_msg("%s", test_error_text(&error));
    assert_int_equal(file->n_choices, COUNT(choices));
    for (size_t i = 0; i < COUNT(choices); i++) {
        assert_string_equal(file->choices[i].node, choices[i].node);
        assert_string_equal(file->choices[i].weight, choices[i].weight);
        assert_int_equal(file->choices[i].form, choices[i].form);
        assert_int_equal(file->choices[i].n_divisors, choices[i].n_divisors);
        assert_int_equal(file->choices[i].n_columns, choices[i].n_columns);
    }
    assert_memory_equal(file->choices[0].divisors, divisors, sizeof(divisors));
    assert_memory_equal(file->choices[0].columns, columns, sizeof(columns));
    assert_int_equal(file->ranges != NULL, ranges != NULL);
    assert_true(oq_plan_file_check(file, model, &error));
    const char *again =
        write_plan(model, file->ranges, file->choices, file->n_choices, &nbytes_again);
    assert_int_equal(nbytes, nbytes_again);
    assert_memory_equal(text, again, nbytes);
}

static void test_there_and_back(void **state)
{
    (void)state;
    const onnxq_model *model = test_model(model_text);
    check_there_and_back(model, NULL);
    check_there_and_back(model, make_ranges(model));
}

static void test_other_model(void **state)
{
    (void)state;
    static const struct {
        const char *model, *expected;
    } others[] = {
        {"in x float32[1,4]\ny = MatMul(x, x)\nout y float32\n",
         "plan.json: it is of another model: 2 values, this one has 1"},
        {"in x float32[1,4]\ny = MatMul(x, x)\nz = Tanh(y)\nout z float32\n",
         "plan.json: it is of another model: 2 values, this one has 2 with other names or "
         "operators"},
    };
    onnxq_plan_file *file = test_alloc(sizeof(*file));
    onnxq_error error;
    size_t nbytes;
    const char *text = write_plan(test_model(model_text), NULL, choices, 1, &nbytes);
    assert_true(read_plan(text, nbytes, file, &error));
    test_defer(fini, file);
    for (size_t i = 0; i < COUNT(others); i++) {
        oq_error_init(&error);
        assert_false(oq_plan_file_check(file, test_model(others[i].model), &error));
        check_text(test_error_text(&error), others[i].expected);
        assert_int_equal(error.status, ONNXQ_ERROR_INPUT);
    }
}

/* --- what is no plan --------------------------------------------------------------------- */

/* One line that begins with the file, and where it is one of ours with the place in it. */
static void check_refusal(const onnxq_error *error)
{
    const char *text = test_error_text(error);
    assert_int_equal(error->status, ONNXQ_ERROR_INPUT);
    if (strncmp(text, "plan.json: ", 11) != 0 || strchr(text, '\n') != NULL)
        fail_msg("%s", text);
    if (strstr(text, "plan.json: line ") == NULL && strstr(text, ": not a plan: ") == NULL &&
        strstr(text, ": not a file of ranges: ") == NULL)
        fail_msg("no place: %s", text);
}

/* Cut short at every byte. */
static void test_cut(void **state)
{
    (void)state;
    const onnxq_model *model = test_model(model_text);
    onnxq_plan_file file;
    onnxq_error error;
    size_t nbytes;
    const char *text = write_plan(model, make_ranges(model), choices, COUNT(choices), &nbytes);
    while (text[nbytes - 1] != '}')
        nbytes--;
    for (size_t n = 0; n < nbytes; n++) {
        bool ok = read_plan(text, n, &file, &error);
        oq_plan_file_fini(&file);
        if (ok)
            fail_msg("accepted, cut at byte %zu", n);
        check_refusal(&error);
    }
}

/* Each byte another one: accepted or refused, never more. */
static void test_changed(void **state)
{
    (void)state;
    static const char others[] = {'\0', '"', '{', ']', '9', '-', 'e', '\n', '\xff'};
    const onnxq_model *model = test_model(model_text);
    onnxq_plan_file file;
    onnxq_error error;
    size_t nbytes, n_refused = 0;
    const char *text = write_plan(model, make_ranges(model), choices, COUNT(choices), &nbytes);
    char *changed = test_alloc(nbytes);
    memcpy(changed, text, nbytes);
    for (size_t at = 0; at < nbytes; at++) {
        changed[at] = others[at % COUNT(others)];
        if (!read_plan(changed, nbytes, &file, &error)) {
            check_refusal(&error);
            n_refused++;
        }
        oq_plan_file_fini(&file);
        changed[at] = text[at];
    }
    assert_in_range(n_refused, nbytes / 4, nbytes - 1);
}

#define MODEL          "\"model\": {\"digest\": \"0123456789abcdef\", \"node_outputs\": 2}"
#define PLAN(rest)     "{\"onnxq_plan\": 1, " MODEL ", " rest "}"
#define CHOICE(rest)   PLAN("\"weights\": [{" rest "}]")
#define CHANNELS(rest) CHOICE("\"node\": \"n\", \"weight\": \"w\", \"form\": \"integers\", " rest)
#define RANGES         "{\"onnxq_ranges\": 1, " MODEL ", \"runs\": 1, \"drawn_runs\": 0, \"values\": []}"
#define DEEP_8(text)   text text text text text text text text
#define DEEP_64(text)  DEEP_8(DEEP_8(text))

static const struct broken {
    const char *name, *text, *expected;
} broken[] = {
    {"good", CHOICE("\"node\": \"n\", \"weight\": \"w\", \"form\": \"float\""), NULL},
    {"columns", CHANNELS("\"columns\": [0, 7], \"divisors\": [1, 1e-3]"), NULL},
    {"columns in no order", CHANNELS("\"columns\": [7, 7]"), "in ascending order"},
    {"a column below 0", CHANNELS("\"columns\": [-1]"), "line 1, column "},
    {"a column beyond all", CHANNELS("\"columns\": [4294967296]"), "in ascending order"},
    {"a divisor of 0", CHANNELS("\"divisors\": [1, 0]"), "expected a positive number"},
    {"a divisor beyond all", CHANNELS("\"divisors\": [1e39]"), "a number that no float32 is"},
    {"a divisor as a text", CHANNELS("\"divisors\": [\"1\"]"), "line 1, column "},
    {"columns twice", CHANNELS("\"columns\": [], \"columns\": []"), "is given twice"},
    {"without weights", PLAN("\"weights\": []"), NULL},
    {"in another order", "{\"onnxq_plan\": 1, \"weights\": [], " MODEL "}", NULL},
    {"with ranges", PLAN("\"weights\": [], \"ranges\": " RANGES), NULL},
    {"members of a later version",
     CHOICE("\"form\": \"folded\", \"new\": {\"a\": [1, null]}, \"weight\": \"w\", \"node\": \"\""),
     NULL},
    {"empty", "", "not a plan: it does not begin with {\"onnxq_plan\": 1"},
    {"another kind", "{\"onnxq_ranges\": 1}",
     "not a plan: it does not begin with {\"onnxq_plan\": 1"},
    {"the mark second", "{" MODEL ", \"onnxq_plan\": 1}",
     "not a plan: it does not begin with {\"onnxq_plan\": 1"},
    {"a list", "[1]", "not a plan: it does not begin with {\"onnxq_plan\": 1"},
    {"another version", "{\"onnxq_plan\": 2}",
     "line 1, column 17: format version 2; this onnxq reads version 1"},
    {"a version beyond all", "{\"onnxq_plan\": 99999999999999999999}",
     "not a plan: it does not begin with {\"onnxq_plan\": 1"},
    {"no model", "{\"onnxq_plan\": 1, \"weights\": []}", "\"model\" is missing"},
    {"no weights", "{\"onnxq_plan\": 1, " MODEL "}", "\"weights\" is missing"},
    {"two models", PLAN(MODEL ", \"weights\": []"), "\"model\" is given twice"},
    {"weights twice", PLAN("\"weights\": [], \"weights\": []"), "\"weights\" is given twice"},
    {"ranges twice", PLAN("\"ranges\": " RANGES ", \"ranges\": " RANGES ", \"weights\": []"),
     "\"ranges\" is given twice"},
    {"a node twice", CHOICE("\"node\": \"n\", \"node\": \"m\""), "\"node\" is given twice"},
    {"no form", CHOICE("\"node\": \"n\", \"weight\": \"w\""), "\"form\" is missing"},
    {"no node", CHOICE("\"form\": \"float\", \"weight\": \"w\""), "\"node\" is missing"},
    {"an unknown form", CHOICE("\"form\": \"int4\""),
     "expected a form: float, folded, integers, blocks-8 or blocks-4"},
    {"a form as a number", CHOICE("\"form\": 1"), "line 1, column "},
    {"a node as a list", CHOICE("\"node\": []"), "line 1, column "},
    {"a choice as a text", PLAN("\"weights\": [\"w\"]"), "line 1, column "},
    {"weights as an object", PLAN("\"weights\": {}"), "line 1, column "},
    {"weights as null", PLAN("\"weights\": null"), "line 1, column "},
    {"a model as a number", "{\"onnxq_plan\": 1, \"model\": 3}",
     "line 1, column 28: expected an object"},
    {"a digest that is short", "{\"onnxq_plan\": 1, \"model\": {\"digest\": \"0123\"}}",
     "expected a digest of 16 hexadecimal digits"},
    {"a digest in capitals", "{\"onnxq_plan\": 1, \"model\": {\"digest\": \"0123456789ABCDEF\"}}",
     "expected a digest of 16 hexadecimal digits"},
    {"no digest", "{\"onnxq_plan\": 1, \"model\": {\"node_outputs\": 2}}", "\"digest\" is missing"},
    {"no number of values", "{\"onnxq_plan\": 1, \"model\": {\"digest\": \"0123456789abcdef\"}}",
     "\"node_outputs\" is missing"},
    {"values beyond all", "{\"onnxq_plan\": 1, \"model\": {\"node_outputs\": 9007199254740993}}",
     "a count above 2^53"},
    {"values below zero", "{\"onnxq_plan\": 1, \"model\": {\"node_outputs\": -1}}",
     "line 1, column "},
    {"a huge number that nobody asks for", PLAN("\"weights\": [], \"new\": 1e99999"),
     "1e99999 is too large"},
    {"ranges of another kind", PLAN("\"weights\": [], \"ranges\": {}"),
     "not a file of ranges: it does not begin with {\"onnxq_ranges\": 1"},
    {"ranges as null", PLAN("\"weights\": [], \"ranges\": null"), "not a file of ranges"},
    {"deep", PLAN("\"weights\": [], \"new\": " DEEP_64("[") DEEP_64("]")), "nested too deep"},
    {"deep at the start", DEEP_64("["), "not a plan"},
    {"more behind", PLAN("\"weights\": []") " {}", "line 1, column "},
};

static void test_broken(void **state)
{
    const struct broken *row = *state;
    onnxq_plan_file file;
    onnxq_error error;
    bool ok = read_plan(row->text, strlen(row->text), &file, &error);
    oq_plan_file_fini(&file);
    if (ok != (row->expected == NULL))
        fail_msg("%s", ok ? "accepted" : test_error_text(&error));
    if (ok)
        return;
    check_refusal(&error);
    if (strstr(test_error_text(&error), row->expected) == NULL)
        check_text(test_error_text(&error), row->expected);
}

static void test_no_file(void **state)
{
    (void)state;
    onnxq_plan_file file;
    onnxq_error error;
    assert_false(oq_plan_file_read(&file, test_path("nothing"), &error));
    oq_plan_file_fini(&file);
    check_text(test_error_text(&error), "nothing: cannot open: No such file or directory");
}

/* --- as an option ------------------------------------------------------------------------- */

static void free_options(void *options)
{
    onnxq_options_free(options);
}

static onnxq_options *options_of_plan(const onnxq_model *model, const onnxq_ranges *ranges)
{
    static const onnxq_choice choice[] = {{.node = "n", .weight = "w", .form = ONNXQ_FORM_FLOAT}};
    onnxq_options *options = onnxq_options_new();
    onnxq_error error;
    size_t nbytes;
    test_defer(free_options, options);
    write_plan(model, ranges, choice, 1, &nbytes);
    if (onnxq_options_set(options, "plan", test_path("written.json"), &error) != ONNXQ_OK)
        fail_msg("%s", test_error_text(&error));
    return options;
}

/* Choices and ranges of the file, and the method that goes with them; other methods are refused. */
static void test_resolved(void **state)
{
    (void)state;
    const onnxq_model *model = test_model(model_text);
    onnxq_options *options = options_of_plan(model, make_ranges(model));
    onnxq_options resolved = oq_plan_file_resolve(options);
    assert_int_equal(resolved.method, ONNXQ_METHOD_STATIC);
    assert_non_null(resolved.ranges);
    assert_int_equal(resolved.n_choices, 1);
    assert_int_equal(onnxq_options_check(options, NULL), ONNXQ_OK);
    options->method = ONNXQ_METHOD_WEIGHTS;
    assert_int_equal(onnxq_options_check(options, NULL), ONNXQ_ERROR_OPTION);
    options->method = ONNXQ_METHOD_DYNAMIC;
    options->choices = choices;
    options->n_choices = 1;
    assert_int_equal(onnxq_options_check(options, NULL), ONNXQ_ERROR_OPTION);
}

static void test_without_ranges(void **state)
{
    (void)state;
    onnxq_options *options = options_of_plan(test_model(model_text), NULL);
    assert_int_equal(oq_plan_file_resolve(options).method, ONNXQ_METHOD_DYNAMIC);
    options->method = ONNXQ_METHOD_STATIC; /* which takes ranges */
    assert_int_equal(onnxq_options_check(options, NULL), ONNXQ_ERROR_OPTION);
}

/* The plan follows the file; with another model there is none. */
static void test_planned(void **state)
{
    (void)state;
    const onnxq_model *model = test_model(model_text);
    onnxq_options *options = options_of_plan(model, NULL);
    onnxq_error error;
    options->min_elements = 1;
    onnxq_plan *plan = onnxq_plan_create(model, options, &error);
    assert_non_null(plan);
    assert_int_equal(onnxq_plan_get_summary(plan)->n_quantized, 0);
    onnxq_plan_destroy(plan);
    assert_null(onnxq_plan_create(test_model("in x float32[1,4]\ny = Tanh(x)\nout y float32\n"),
                                  options, &error));
    assert_int_equal(error.status, ONNXQ_ERROR_INPUT);
    check_text(test_error_text(&error),
               "written.json: it is of another model: 2 values, this one has 1");
}

int main(void)
{
    TEST(test_resolved);
    TEST(test_without_ranges);
    TEST(test_planned);
    TEST(test_there_and_back);
    TEST(test_other_model);
    TEST(test_cut);
    TEST(test_changed);
    TEST_ROWS(test_broken, broken);
    TEST(test_no_file);
    return suite_run();
}
