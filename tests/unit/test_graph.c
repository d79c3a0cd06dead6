/* Who makes and who uses each value, scope by scope; and what a node says about itself. */
#include <string.h>

#include "support/models.h"

static bool index_graphs(const char *text, struct oq_graphs *graphs, onnxq_error *error)
{
    oq_error_init(error);
    return oq_graphs_init(graphs, test_builder(text)->graph, test_arena((size_t)16 << 20), error);
}

/* Uses of a value: graph:node.input, or graph:out.number. */
static const char *describe_uses(const struct oq_value *value)
{
    const char *text = "";
    size_t n = 0;
    for (const struct oq_use *use = value->uses; use != NULL; use = use->next, n++) {
        const char *node =
            use->node == OQ_NO_NODE ? "out" : use->graph->proto->node[use->node]->op_type;
        text = test_printf("%s %zu:%s.%zu", text, use->graph->ordinal, node, use->input);
    }
    assert_int_equal(value->n_uses, n);
    return text;
}

static const char *describe_value(const struct oq_graph *graph, const char *name)
{
    static const char *const origins[] = {"input", "initializer", "sparse", "node"};
    const struct oq_value *value = oq_strmap_find(&graph->values, name);
    assert_non_null(value);
    assert_ptr_equal(value->graph, graph);
    assert_string_equal(value->name, name);
    return test_printf("%zu %s: %s %zu%s%s%s\n", graph->ordinal, name, origins[value->origin],
                       value->index, value->is_graph_input ? " in" : "",
                       value->is_graph_output ? " out" : "", describe_uses(value));
}

/* Every value that is defined in a graph, in the order of the file. */
static const char *describe_graph(const struct oq_graph *graph)
{
    const Oq__Pb__GraphProto *proto = graph->proto;
    const char *text = "";
    for (size_t i = 0; i < proto->n_input; i++)
        text = test_printf("%s%s", text, describe_value(graph, proto->input[i]->name));
    for (size_t i = 0; i < proto->n_initializer; i++)
        text = test_printf("%s%s", text, describe_value(graph, proto->initializer[i]->name));
    for (size_t i = 0; i < proto->n_node; i++)
        for (size_t k = 0; k < proto->node[i]->n_output; k++)
            if (proto->node[i]->output[k][0] != '\0')
                text = test_printf("%s%s", text, describe_value(graph, proto->node[i]->output[k]));
    return text;
}

static const struct row {
    const char *name, *text, *expected;
} rows[] = {
    {"nothing", "", ""},
    {"a node", "in x float32; init w float32[2]; y = MatMul(x, w); out y float32",
     "0 x: input 0 in 0:MatMul.0\n"
     "0 w: initializer 0 0:MatMul.1\n"
     "0 y: node 0 out 0:out.0\n"},
    {"used twice by one node", "in x float32; y = Add(x, x)",
     "0 x: input 0 in 0:Add.0 0:Add.1\n"
     "0 y: node 0\n"},
    {"inputs and outputs that are left out", "in x float32; a, , b = Op(, x, )",
     "0 x: input 0 in 0:Op.1\n"
     "0 a: node 0\n"
     "0 b: node 0\n"},
    {"used before it is made", "z = Relu(y); y = Abs(z)",
     "0 z: node 0 0:Abs.0\n"
     "0 y: node 1 0:Relu.0\n"},
    {"names that nobody makes", "y = Op(nowhere); out nothing float32", "0 y: node 0\n"},
    {"returned input and weight", "in x float32; init w float32[1]; out x float32; out w float32",
     "0 x: input 0 in out 0:out.0\n"
     "0 w: initializer 0 out 0:out.1\n"},
    {"an initializer that is an input", "in w float32[1]; init w float32[1]; y = Relu(w)",
     "0 w: initializer 0 in 0:Relu.0\n" /* once as an input of the graph, once as an initializer */
     "0 w: initializer 0 in 0:Relu.0\n"
     "0 y: node 0\n"},
    {"a body sees around itself",
     "init w float32[1]; y = If(c) then_branch={ t = Relu(w); out t float32 } "
     "else_branch={ out w float32 }",
     "0 w: initializer 0 out 1:Relu.0 2:out.0\n"
     "0 y: node 0\n"
     "1 t: node 0 out 1:out.0\n"},
    {"a body hides a name",
     "init w float32[1]; a = Abs(w); y = If(c) then_branch={ init w float32[2]; t = Relu(w) }",
     "0 w: initializer 0 0:Abs.0\n"
     "0 a: node 0\n"
     "0 y: node 1\n"
     "1 w: initializer 0 1:Relu.0\n"
     "1 t: node 0\n"},
    {"bodies do not see each other",
     "y = If(c) then_branch={ init w float32[1] } else_branch={ t = Relu(w) }",
     "0 y: node 0\n"
     "1 w: initializer 0\n"
     "2 t: node 0\n"},
    {"the graph around does not see a body",
     "y = If(c) then_branch={ init w float32[1] }; z = Abs(w)",
     "0 y: node 0\n"
     "0 z: node 1\n"
     "1 w: initializer 0\n"},
    {"a body in a body",
     "init w float32[1]; y = If(c) then_branch={ t = If(d) then_branch={ u = Relu(w) } }",
     "0 w: initializer 0 2:Relu.0\n"
     "0 y: node 0\n"
     "1 t: node 0\n"
     "2 u: node 0\n"},
};

static void test_index(void **state)
{
    const struct row *row = *state;
    struct oq_graphs graphs;
    onnxq_error error;
    const char *text = "";
    assert_true(index_graphs(row->text, &graphs, &error));
    for (size_t i = 0; i < graphs.count; i++) {
        assert_int_equal(graphs.list[i]->ordinal, i);
        assert_true(i == 0 ? graphs.list[i]->parent == NULL : graphs.list[i]->parent->ordinal < i);
        text = test_printf("%s%s", text, describe_graph(graphs.list[i]));
    }
    check_text(text, row->expected);
}

static const struct duplicate {
    const char *name, *text, *value, *graph;
} duplicates[] = {
    {"initializers", "init w float32[1]; init w float32[2]", "w", "main"},
    {"inputs", "in x float32; in x float32", "x", "main"},
    {"outputs of two nodes", "y = Abs(x); y = Relu(x)", "y", "main"},
    {"outputs of one node", "y, y = Split(x)", "y", "main"},
    {"an input and a node", "in y float32; y = Relu(x)", "y", "main"},
    {"an initializer and a node", "init y float32[1]; y = Relu(x)", "y", "main"},
    {"an input and two initializers", "in w float32; init w float32[1]; init w float32[1]", "w",
     "main"},
    {"in a body", "y = If(c) then_branch={ t = Abs(x); t = Relu(x) }", "t", "then_branch"},
};

static void test_duplicates(void **state)
{
    const struct duplicate *row = *state;
    struct oq_graphs graphs;
    onnxq_error error;
    assert_false(index_graphs(row->text, &graphs, &error));
    assert_int_equal(error.status, ONNXQ_ERROR_INPUT);
    check_text(test_error_text(&error),
               test_printf("graph \"%s\": value \"%s\" is defined twice, expected once", row->graph,
                           row->value));
    /* The same through the front door, where the file is named too. */
    assert_true(builder_write(test_builder(row->text), test_path("model.onnx")));
    check_text(test_open_error(test_path("model.onnx")),
               test_printf("model.onnx: %s", test_error_text(&error)));
}

static void test_sparse(void **state)
{
    (void)state;
    struct builder *builder = test_builder("in w float32[9]; y = Relu(w)");
    Oq__Pb__SparseTensorProto *sparse = builder_alloc(builder, 1, sizeof(*sparse));
    struct oq_graphs graphs;
    onnxq_error error;
    oq__pb__sparse_tensor_proto__init(sparse);
    sparse->values = builder_tensor(builder, "w", 1, NULL, 0);
    builder_append(builder, &builder->graph->sparse_initializer,
                   &builder->graph->n_sparse_initializer, sparse);
    oq_error_init(&error);
    assert_true(oq_graphs_init(&graphs, builder->graph, test_arena((size_t)16 << 20), &error));
    check_text(describe_value(graphs.list[0], "w"), "0 w: sparse 0 in 0:Relu.0\n");
}

static void test_find(void **state)
{
    (void)state;
    struct oq_graphs graphs;
    onnxq_error error;
    assert_true(index_graphs("init w float32[1]; y = If(c) then_branch={ init v float32[1] }",
                             &graphs, &error));
    assert_non_null(oq_graph_find(graphs.list[0], "w"));
    assert_null(oq_graph_find(graphs.list[0], "v"));
    assert_ptr_equal(oq_graph_find(graphs.list[1], "w"), oq_graph_find(graphs.list[0], "w"));
    assert_null(oq_graph_find(graphs.list[1], ""));
    assert_null(oq_graph_find(graphs.list[1], NULL));
}

static void test_memory(void **state)
{
    (void)state;
    struct oq_arena arena;
    struct oq_graphs graphs;
    onnxq_error error;
    oq_error_init(&error);
    oq_arena_init(&arena, 100);
    assert_false(oq_graphs_init(&graphs, test_builder("y = Relu(x)")->graph, &arena, &error));
    assert_int_equal(error.status, ONNXQ_ERROR_MEMORY);
    oq_arena_fini(&arena);
}

/* --- nodes --- */

static void test_attributes(void **state)
{
    (void)state;
    const Oq__Pb__NodeProto *node =
        test_builder("y = Op(x) axis=-1 alpha=0.5 axis=7")->graph->node[0];
    assert_int_equal(oq_node_int(node, "axis", 3), -1); /* the first one */
    assert_int_equal(oq_node_int(node, "group", 3), 3);
    assert_int_equal(oq_node_int(node, "alpha", 3), 3); /* a float is no int */
    assert_compare(oq_node_float(node, "alpha", 1), ==, 0.5f);
    assert_compare(oq_node_float(node, "beta", 1), ==, 1);
    assert_null(oq_node_attribute(node, "alph"));
    assert_non_null(oq_node_attribute(node, "alpha"));
}

/* Writers of proto3 leave a value of 0 out; files older than IR version 2 leave the type out. */
static void test_attributes_of_zero(void **state)
{
    (void)state;
    Oq__Pb__NodeProto *node =
        test_builder("y = Op(x) axis=-1 alpha=0.5 beta=0.5 K=7 to=8")->graph->node[0];
    for (size_t i = 0; i < 2; i++) {
        node->attribute[i]->has_i = node->attribute[i]->has_f = false;
        node->attribute[i]->i = 0;
        node->attribute[i]->f = 0;
    }
    node->attribute[2]->has_type = false;
    node->attribute[3]->type = OQ__PB__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__UNDEFINED;
    static char name[] = "of_the_function";
    node->attribute[4]->ref_attr_name = name;
    int64_t value;
    assert_int_equal(oq_node_int(node, "axis", 1), 0);
    assert_compare(oq_node_float(node, "alpha", 1), ==, 0);
    assert_compare(oq_node_float(node, "beta", 1), ==, 0.5f);
    assert_int_equal(oq_node_int(node, "K", 1), 7);
    assert_int_equal(oq_node_int(node, "to", 1), 1);
    assert_false(oq_attribute_int(oq_node_attribute(node, "alpha"), &value));
    assert_false(oq_attribute_int(NULL, &value));
}

static const struct is_row {
    const char *name, *node, *domain, *op_type;
    bool expected;
} is_rows[] = {
    {"same", "y = MatMul(x)", "", "MatMul", true},
    {"alias", "y = ai.onnx::MatMul(x)", "", "MatMul", true},
    {"other operator", "y = MatMulInteger(x)", "", "MatMul", false},
    {"other domain", "y = custom::MatMul(x)", "", "MatMul", false},
    {"contrib", "y = com.microsoft::MatMul(x)", "com.microsoft", "MatMul", true},
    {"similar domain", "y = ai.onnx.ml::MatMul(x)", "", "MatMul", false},
};

static void test_is(void **state)
{
    const struct is_row *row = *state;
    const Oq__Pb__NodeProto *node = test_builder(row->node)->graph->node[0];
    assert_int_equal(oq_node_is(node, row->domain, row->op_type), row->expected);
}

static const struct label_row {
    const char *name, *node, *expected;
} labels[] = {
    {"name", "n: y = Op(x)", "n"},
    {"no name", "y, z = Op(x)", "y"},
    {"empty name", "\"\": y = Op(x)", "y"},
    {"neither", " = Op(x)", ""},
};

static void test_label(void **state)
{
    const struct label_row *row = *state;
    assert_string_equal(oq_node_label(test_builder(row->node)->graph->node[0]), row->expected);
}

static const struct rank_row {
    const char *name, *text;
    int rank;
} ranks[] = {
    {"an input", "in x float32[N,2,3]", 3},
    {"a scalar", "in x float32[]", 0},
    {"an input of any shape", "in x float32", -1},
    {"a value", "in a float32; x = Relu(a); info x float32[N,2]", 2},
    {"an output", "in a float32; x = Relu(a); out x float32[N,2]", 2},
    {"a value that is not declared", "in a float32; x = Relu(a); out a float32[N,2]", -1},
    {"a value that does not exist", "info x float32[N,2]; out x float32[N,2]", -1},
};

static void test_rank(void **state)
{
    const struct rank_row *row = *state;
    struct oq_graphs graphs;
    onnxq_error error;
    assert_true(index_graphs(row->text, &graphs, &error));
    assert_int_equal(oq_graph_rank(graphs.list[0], "x"), row->rank);
}

/* Names and types that are not there, and more dimensions than any tensor has. */
static void test_odd_declarations(void **state)
{
    (void)state;
    struct oq_graphs graphs;
    onnxq_error error;
    int64_t dims[OQ_MAX_RANK + 1] = {0};
    struct builder *builder = test_builder("in a float32[2]; in b float32[2]; in c float32[2]");
    Oq__Pb__ValueInfoProto **inputs = builder->graph->input;
    inputs[0]->name = NULL;
    inputs[1]->type = NULL;
    inputs[2] = builder_value(builder, "c", 1, dims, COUNT(dims));
    oq_error_init(&error);
    assert_true(oq_graphs_init(&graphs, builder->graph, test_arena((size_t)16 << 20), &error));
    assert_int_equal(oq_graph_rank(graphs.list[0], "b"), -1);
    assert_int_equal(oq_graph_rank(graphs.list[0], "c"), -1);
}

int main(void)
{
    TEST_ROWS(test_index, rows);
    TEST_ROWS(test_duplicates, duplicates);
    TEST(test_sparse);
    TEST(test_find);
    TEST(test_memory);
    TEST(test_attributes);
    TEST(test_attributes_of_zero);
    TEST_ROWS(test_is, is_rows);
    TEST_ROWS(test_label, labels);
    TEST_ROWS(test_rank, ranks);
    TEST(test_odd_declarations);
    return suite_run();
}
