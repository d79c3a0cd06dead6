/* What has no order in which it could be computed is refused, whatever the order in the file. */
#include <string.h>

#include "model/cycles.h"
#include "support/models.h"

#define X     "opset 17; in x float32[N,64]; init w float32[64,64]; "
#define NEEDS "needs what is computed from its own output, expected a graph without cycles"

static const struct row {
    const char *name, *text, *place;
} rows[] = {
    {"nothing", "", ""},
    {"a chain", X "h = MatMul(x, w); y = Relu(h); out y float32", ""},
    {"in another order", X "y = Relu(h); h = MatMul(x, w); out y float32", ""},
    {"a diamond", X "y = Add(a, b); b = Abs(h); a = Relu(h); h = MatMul(x, w); out y float32", ""},
    {"two nodes", X "z = MatMul(y, w); y = MatMul(z, w); out y float32",
     "graph \"main\", node \"z\" (MatMul)"},
    {"itself", X "y = Add(x, y); out y float32", "graph \"main\", node \"y\" (Add)"},
    {"behind and before a cycle",
     X "h = Relu(x); p = Add(h, q); q = Abs(p); r = Abs(q); y = Relu(r); out y float32",
     "graph \"main\", node \"p\" (Add)"},
    {"that nobody needs", X "y = Relu(x); p = Add(x, q); q = Abs(p); out y float32",
     "graph \"main\", node \"p\" (Add)"},
    {"in a body",
     X "in c bool; y = If(c) then_branch={ s = Relu(t); t = Relu(s); out t float32 } "
       "else_branch={ init e float32[2]; out e float32 }; out y float32",
     "graph \"then_branch\", node \"s\" (Relu)"},
    {"through a body",
     X "in c bool; q = Abs(y); y = If(c) then_branch={ t = Relu(q); out t float32 } "
       "else_branch={ init e float32[2]; out e float32 }; out y float32",
     "graph \"main\", node \"q\" (Abs)"},
    {"a body that takes what comes later",
     X "in c bool; y = If(c) then_branch={ t = Relu(q); out t float32 } "
       "else_branch={ init e float32[2]; out e float32 }; q = Abs(x); out y float32",
     ""},
};

static void check(const onnxq_model *model, const char *place, const char *message)
{
    onnxq_error error;
    const bool is_sound = message[0] == '\0';
    oq_error_init(&error);
    assert_int_equal(oq_refuse_cycles(model, &error), is_sound);
    assert_int_equal(error.status, is_sound ? ONNXQ_OK : ONNXQ_ERROR_INPUT);
    check_text(error.place, place);
    check_text(error.message, message);
}

static void test_nodes(void **state)
{
    const struct row *row = *state;
    check(test_model(row->text), row->place, row->place[0] == '\0' ? "" : NEEDS);
}

/* A function custom::NAME that calls custom::CALLED. */
static void add_function(struct builder *builder, const char *name, const char *called)
{
    Oq__Pb__FunctionProto *function = builder_alloc(builder, 1, sizeof(*function));
    Oq__Pb__GraphProto body = OQ__PB__GRAPH_PROTO__INIT;
    oq__pb__function_proto__init(function);
    function->domain = builder_text(builder, "custom");
    function->name = builder_text(builder, name);
    builder_node(builder, &body, called, NULL, (const char *const[]){"a", NULL},
                 (const char *const[]){"c", NULL})
        ->domain = builder_text(builder, "custom");
    function->node = body.node;
    function->n_node = body.n_node;
    builder_append(builder, &builder->model->functions, &builder->model->n_functions, function);
}

static const struct calls {
    const char *name, *text;
} calls[] = {
    {"one that calls what is none", "F>G"}, {"one after another", "F>G G>H H>I"}, {"itself", "F>F"},
    {"through another", "F>G G>F"},         {"not the first", "E>F F>G G>H H>F"},
};

static void test_functions(void **state)
{
    const struct calls *row = *state;
    struct builder *builder = test_builder(X "y = MatMul(x, w); out y float32");
    for (const char *call = row->text; call != NULL; call = strchr(call, ' ')) {
        call += call[0] == ' ';
        const char caller[] = {call[0], '\0'}, called[] = {call[2], '\0'};
        add_function(builder, caller, called);
    }
    const bool is_sound = row < &calls[2];
    check(test_open(builder), "",
          is_sound ? "" : "function \"F\" calls itself, expected functions without recursion");
}

/* In the body of a function that nobody has to call. */
static void test_cycle_in_function(void **state)
{
    (void)state;
    struct builder *builder = test_builder(X "y = MatMul(x, w); out y float32");
    add_function(builder, "F", "G");
    Oq__Pb__FunctionProto *function = builder->model->functions[0];
    Oq__Pb__GraphProto body = OQ__PB__GRAPH_PROTO__INIT;
    builder_node(builder, &body, "Add", "p", (const char *const[]){"a", "r", NULL},
                 (const char *const[]){"q", NULL});
    builder_node(builder, &body, "Abs", "s", (const char *const[]){"q", NULL},
                 (const char *const[]){"r", NULL});
    function->node = body.node;
    function->n_node = body.n_node;
    check(test_open(builder), "graph \"F\", node \"p\" (Add)", NEEDS);
}

static void test_commands(void **state)
{
    (void)state;
    const onnxq_model *model = test_model(X "z = MatMul(y, w); y = MatMul(z, w); out y float32");
    onnxq_error error;
    assert_null(onnxq_plan_create(model, NULL, &error));
    check_text(error.message, NEEDS);
    assert_null(onnxq_dequantization_create(model, NULL, &error));
    check_text(error.message, NEEDS);
    struct builder *builder = test_builder(X "y = MatMul(x, w); out y float32");
    add_function(builder, "F", "F");
    onnxq_validation *validation = onnxq_validation_create(test_open(builder), &error);
    bool is_found = false;
    for (size_t i = 0; validation != NULL && i < validation->n_problems; i++)
        is_found |= strcmp(validation->problems[i].message, "function \"F\" calls itself") == 0;
    onnxq_validation_destroy(validation);
    assert_true(is_found);
}

int main(void)
{
    TEST_ROWS(test_nodes, rows);
    TEST_ROWS(test_functions, calls);
    TEST(test_cycle_in_function);
    TEST(test_commands);
    return suite_run();
}
