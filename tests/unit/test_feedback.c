/* Outputs that are inputs of the next run: what is asked for, and the state before the first run.
 */
#include <string.h>

#include "run/feedback.h"
#include "onnx.pb-c.h"
#include "support/inputs.h"
#include "support/models.h"

/* x [batch,80] and three states; names hold what separates them. */
static struct oq_signature make_signature(void)
{
    return test_signature(test_model("ir 8; opset 17\n"
                                     "in x float32[batch,80]; in h float32[2,batch,width,?]\n"
                                     "in \"a=b\" float32; in count int64[]\n"
                                     "h_out = Relu(h); \"a=b=c\" = Relu(h)\n"
                                     "out h_out float32[2,batch,width,?]; out \"a=b\" float32\n"
                                     "out \"a=b=c\" float32\n"));
}

static const struct parse_row {
    const char *name;
    const char *specs[2];
    const char *expected; /* "output>input" of each, or the message */
} parse_rows[] = {
    {"one", {"h_out=h"}, "h_out>h "},
    {"names with equals", {"a=b=a=b"}, "a=b>a=b "},
    {"two", {"h_out=h", "a=b=a=b"}, "h_out>h a=b>a=b "},
    {"no equals", {"h_out"}, "--feedback: 'h_out' is no OUTPUT=INPUT"},
    {"no output", {"h_uot=h"}, "--feedback: there is no output 'h_uot'"},
    {"no input", {"h_out=hh"}, "--feedback: there is no input 'hh'"},
    {"nothing before", {"=h"}, "--feedback: there is no output ''"},
    {"nothing behind", {"h_out="}, "--feedback: there is no input ''"},
    {"types", {"a=b=count"}, "--feedback: a=b is float32 [...], but count is int64 []"},
    {"ranks",
     {"h_out=x"},
     "--feedback: h_out is float32 [2,batch,width,?], but x is float32 [batch,80]"},
    {"two outputs for one", {"h_out=h", "h_out=h"}, "--feedback: input 'h' has two outputs"},
};

static void test_parse(void **state)
{
    const struct parse_row *row = *state;
    struct oq_signature signature = make_signature();
    struct oq_feedback feedback[2];
    size_t n_specs = row->specs[1] != NULL ? 2 : 1;
    onnxq_error error = {0};
    char text[128] = "";
    if (!oq_feedback_parse(feedback, row->specs, n_specs, &signature, &error)) {
        assert_int_equal(error.status, ONNXQ_ERROR_OPTION);
        check_text(error.message, row->expected);
        return;
    }
    for (size_t f = 0; f < n_specs; f++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof(text) - used, "%s>%s ", feedback[f].output, feedback[f].input);
    }
    check_text(text, row->expected);
    assert_true(signature.inputs[1].has_default || signature.inputs[2].has_default);
    assert_false(signature.inputs[0].has_default);
}

static void release(void *sets)
{
    oq_input_sets_fini(sets);
}

static struct oq_input_set *make_set(void)
{
    const int64_t dims[] = {5, 80};
    struct oq_input_sets *sets = test_alloc(sizeof(*sets));
    onnxq_error error = {0};
    test_defer(release, sets);
    struct oq_input_set *set = oq_input_sets_add(sets, "set", &error);
    struct oq_array *array = oq_arrays_add(&set->inputs, &error);
    assert_true(oq_array_init(array, "x", OQ__PB__TENSOR_PROTO__DATA_TYPE__FLOAT, dims, 2, &error));
    return set;
}

/* Known dims as they are, `batch` as x has it, `width` as it was set, others 1. */
static void test_zeros(void **state)
{
    (void)state;
    const struct oq_dim_setting settings[] = {{"batch", 9}, {"width", 3}};
    const struct oq_draw_options draw = {.dims = settings, .n_dims = 2};
    const struct oq_feedback feedback = {"h_out", "h"};
    struct oq_signature signature = make_signature();
    struct oq_input_set *set = make_set();
    onnxq_error error = {0};
    char text[64];
    assert_true(oq_feedback_start(&feedback, 1, &signature, &draw, set, &error));
    assert_int_equal(set->inputs.count, 2);
    oq_array_describe(&set->inputs.list[1], text, sizeof(text));
    check_text(text, "float32 [2,5,3,1]");
    for (size_t i = 0; i < set->inputs.list[1].nbytes; i++)
        assert_int_equal(((const char *)set->inputs.list[1].data)[i], 0);
    assert_true(oq_feedback_start(&feedback, 1, &signature, &draw, set, &error)); /* it is there */
    assert_int_equal(set->inputs.count, 2);
}

static void test_state_of_unknown_rank(void **state)
{
    (void)state;
    const struct oq_feedback feedback = {"a=b", "a=b"};
    struct oq_signature signature = make_signature();
    onnxq_error error = {0};
    assert_false(oq_feedback_start(&feedback, 1, &signature, &(struct oq_draw_options){0},
                                   make_set(), &error));
    check_text(error.message,
               "--feedback: the shape of input 'a=b' is not known, so the inputs have "
               "to hold its first value");
}

int main(void)
{
    TEST_ROWS(test_parse, parse_rows);
    TEST(test_zeros);
    TEST(test_state_of_unknown_rank);
    return suite_run();
}
