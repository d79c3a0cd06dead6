/* The tools that the other tests rely on. */
#define _XOPEN_SOURCE 700
#include <math.h>
#include <signal.h>
#include <string.h>

#include "support/models.h"
#include "support/reference.h"
#include "support/types.h"

/* What is read as text and printed again is the same. */
static const struct {
    const char *name, *text;
} texts[] = {
    {"nothing", ""},
    {"values", "in x float32[N,64]\nin s int64[]\nin t float16\nout y bool[2,3]\n"},
    {"initializers", "init a float32[4,2]\ninit b int8[]\ninit c float64[0]\n"},
    {"nodes", "y = Relu(x)\na, b = Split(x)\nz = Resize(x, , s)\nc = Constant()\n"},
    {"domain", "y = com.microsoft::FusedMatMul(x, w)\n"},
    {"attributes", "y = Op(x) i=3 j=-1 f=0.5 g=2.0 l=[1,-2,3] s=\"text\" t=float32[4,4]\n"},
    {"names", "\"a b\" = Op(\"c,d\", \"e{\")\n"},
    {"bodies", "y = If(c) then_branch={ t = Relu(x); out t float32[N]; } else_branch={ out x "
               "float32[N]; }\n"},
};

static void test_text(void **state)
{
    const char *text = ((const char *const *)*state)[1];
    struct builder *builder = test_builder(text);
    check_text(text_from_graph(builder, builder->graph), text);
}

static void test_header(void **state)
{
    (void)state;
    struct builder *builder = test_builder("ir 3; opset 9; opset com.microsoft 1; meta key value");
    assert_int_equal(builder->model->ir_version, 3);
    assert_int_equal(builder->model->n_opset_import, 2);
    assert_string_equal(builder->model->opset_import[1]->domain, "com.microsoft");
    assert_int_equal(builder->model->opset_import[0]->version, 9);
    assert_string_equal(builder->model->metadata_props[0]->value, "value");
}

/* The same elements, however they are stored. */
static void test_elements_read(void **state)
{
    (void)state;
    struct builder *builder = test_builder("init a float32[4] = 1 -0.5 @3=nan");
    const Oq__Pb__TensorProto *tensor = builder->graph->initializer[0];
    float values[4];
    assert_int_equal(tensor->raw_data.len, sizeof(values));
    memcpy(values, tensor->raw_data.data, sizeof(values));
    assert_true(values[0] == 1 && values[1] == -0.5f && values[2] == 1 && isnan(values[3]));
}

/* The encoder of halves, against the reference decoder: all values come back. */
static void test_halves(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 65536; bits++) {
        double value = reference_half((uint16_t)bits);
        if (!isnan(value))
            assert_int_equal(half_from_double(value), bits);
    }
    assert_int_equal(half_from_double(1 + ldexp(1, -11)), 0x3c00); /* a tie goes to even */
    assert_int_equal(half_from_double(1 + ldexp(3, -11)), 0x3c02);
    assert_int_equal(half_from_double(65519), 0x7bff);
    assert_int_equal(half_from_double(65520), 0x7c00);
    assert_int_equal(half_from_double(ldexp(1, -25)), 0);
    assert_int_equal(half_from_double(ldexp(3, -25)), 2);
}

static void test_folder(void **state)
{
    (void)state;
    size_t nbytes;
    check_text(test_files(), "");
    test_write_file(test_path("b"), "text", 4);
    test_write_file(test_path(".a"), "", 0);
    check_text(test_files(), ".a b");
    assert_memory_equal(test_read_file(test_path("b"), &nbytes), "text", 5);
    assert_int_equal(nbytes, 4);
}

/* tests/signals.sh runs this with other ones inherited. */
static void test_signals(void **state)
{
    (void)state;
    static const int numbers[] = {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGCHLD, SIGTERM, SIGUSR1};
    struct sigaction action;
    sigset_t blocked;
    assert_int_equal(sigprocmask(SIG_SETMASK, NULL, &blocked), 0);
    for (size_t i = 0; i < COUNT(numbers); i++) {
        assert_int_equal(sigaction(numbers[i], NULL, &action), 0);
        assert_true(action.sa_handler == SIG_DFL);
        assert_false(sigismember(&blocked, numbers[i]));
    }
}

int main(void)
{
    TEST_ROWS(test_text, texts);
    TEST(test_header);
    TEST(test_elements_read);
    TEST(test_halves);
    TEST(test_folder);
    TEST(test_signals);
    return suite_run();
}
