/* What a model says of itself. */
#include <onnxq/onnxq.h>

#include <string.h>

#include "model/type_text.h"
#include "support/models.h"

static void destroy_inspection(void *thing)
{
    onnxq_inspection_destroy(thing);
}

static const onnxq_inspection *inspect(const onnxq_model *model)
{
    onnxq_error error;
    onnxq_inspection *inspection = onnxq_inspection_create(model, &error);
    if (inspection == NULL)
        fail_msg("%s", test_error_text(&error));
    test_defer(destroy_inspection, inspection);
    return inspection;
}

/* --- inputs and outputs --- */

/* name: kind dtype rank type, a line each. */
static const char *describe_parameters(const onnxq_parameter *parameters, size_t n)
{
    const char *text = "";
    for (size_t i = 0; i < n; i++) {
        const onnxq_parameter *p = &parameters[i];
        text = test_printf("%s%s%s: %s, %s, %s%zu, %s%s", text, i > 0 ? "\n" : "", p->name, p->kind,
                           p->dtype, p->has_rank ? "" : "no rank, ", p->n_dims, p->type,
                           p->has_default ? ", default" : "");
    }
    return text;
}

static const struct signature {
    const char *name, *text, *inputs, *outputs;
} signatures[] = {
    {"nothing", "", "", ""},
    {"tensors", "in x float32[N,3,224]; in c bool[]; out y int64[0]",
     "x: tensor, float32, 3, float32 [N,3,224]\nc: tensor, bool, 0, bool []",
     "y: tensor, int64, 1, int64 [0]"},
    {"no shape", "in x float16; y = Relu(x); out y float16",
     "x: tensor, float16, no rank, 0, float16 [...]",
     "y: tensor, float16, no rank, 0, float16 [...]"},
    {"a default value", "in x float32[N]; in w float32[2]; init w float32[2]; out w float32[2]",
     "x: tensor, float32, 1, float32 [N]\nw: tensor, float32, 1, float32 [2], default",
     "w: tensor, float32, 1, float32 [2]"},
    {"an initializer is no input", "in x float32[N]; init w float32[2]",
     "x: tensor, float32, 1, float32 [N]", ""},
};

static void test_signature(void **state)
{
    const struct signature *row = *state;
    const onnxq_inspection *inspection = inspect(test_model(row->text));
    check_text(describe_parameters(inspection->inputs, inspection->n_inputs), row->inputs);
    check_text(describe_parameters(inspection->outputs, inspection->n_outputs), row->outputs);
}

static void test_dims(void **state)
{
    (void)state;
    struct builder *builder = test_builder("in x float32[N,3,7]");
    Oq__Pb__TensorShapeProto *shape = builder->graph->input[0]->type->tensor_type->shape;
    shape->dim[2]->dim_value = -5; /* no length: nobody knows it */
    const onnxq_inspection *inspection = inspect(test_open(builder));
    const onnxq_dim *dims = inspection->inputs[0].dims;
    assert_int_equal(dims[0].size, -1);
    assert_string_equal(dims[0].name, "N");
    assert_int_equal(dims[1].size, 3);
    assert_string_equal(dims[1].name, "");
    assert_int_equal(dims[2].size, -1);
    assert_string_equal(dims[2].name, "");
    check_text(inspection->inputs[0].type, "float32 [N,3,?]");
}

/* --- types --- */

static const char *type_text(const Oq__Pb__TypeProto *type)
{
    size_t length = oq_type_text(type, NULL, 0);
    char *text = test_alloc(length + 1), cut[5];
    assert_int_equal(oq_type_text(type, text, length + 1), length);
    assert_int_equal(strlen(text), length);
    assert_int_equal(oq_type_text(type, cut, sizeof(cut)), length);
    assert_int_equal(strncmp(cut, text, 4), 0);
    return text;
}

static void test_types(void **state)
{
    (void)state;
    Oq__Pb__TypeProto__Tensor tensor = OQ__PB__TYPE_PROTO__TENSOR__INIT;
    Oq__Pb__TypeProto__SparseTensor sparse = OQ__PB__TYPE_PROTO__SPARSE_TENSOR__INIT;
    Oq__Pb__TypeProto__Map map = OQ__PB__TYPE_PROTO__MAP__INIT;
    Oq__Pb__TypeProto__Sequence sequence = OQ__PB__TYPE_PROTO__SEQUENCE__INIT;
    Oq__Pb__TypeProto__Optional optional = OQ__PB__TYPE_PROTO__OPTIONAL__INIT;
    Oq__Pb__TypeProto__Opaque opaque = OQ__PB__TYPE_PROTO__OPAQUE__INIT;
    Oq__Pb__TypeProto a = OQ__PB__TYPE_PROTO__INIT, b = a, c = a, d = a;

    check_text(type_text(NULL), "no type");
    check_text(type_text(&a), "no type");
    assert_string_equal(oq_type_kind(NULL), "");
    assert_string_equal(oq_type_kind(&a), "");

    a.value_case = OQ__PB__TYPE_PROTO__VALUE_TENSOR_TYPE;
    a.tensor_type = &tensor;
    tensor.elem_type = 1;
    check_text(type_text(&a), "float32 [...]");
    tensor.elem_type = 99;
    check_text(type_text(&a), "type 99 [...]");
    tensor.elem_type = 1;

    b.value_case = OQ__PB__TYPE_PROTO__VALUE_MAP_TYPE;
    b.map_type = &map;
    map.key_type = 7;
    check_text(type_text(&b), "map int64 -> no type");
    map.value_type = &a;
    c.value_case = OQ__PB__TYPE_PROTO__VALUE_SEQUENCE_TYPE;
    c.sequence_type = &sequence;
    check_text(type_text(&c), "sequence of no type");
    sequence.elem_type = &b;
    check_text(type_text(&c), "sequence of map int64 -> float32 [...]");
    assert_string_equal(oq_type_kind(&c), "sequence");

    d.value_case = OQ__PB__TYPE_PROTO__VALUE_OPTIONAL_TYPE;
    d.optional_type = &optional;
    optional.elem_type = &a;
    check_text(type_text(&d), "optional float32 [...]");

    d.value_case = OQ__PB__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE;
    d.sparse_tensor_type = &sparse;
    sparse.elem_type = 11;
    check_text(type_text(&d), "sparse float64 [...]");
    assert_string_equal(oq_type_kind(&d), "sparse tensor");

    d.value_case = OQ__PB__TYPE_PROTO__VALUE_OPAQUE_TYPE;
    d.opaque_type = &opaque;
    check_text(type_text(&d), "opaque ");
    opaque.domain = (char[]){"custom"};
    opaque.name = (char[]){"Tokens"};
    check_text(type_text(&d), "opaque custom.Tokens");
}

/* A type that a message can announce and leave out. */
static void test_types_without_content(void **state)
{
    (void)state;
    const Oq__Pb__TypeProto__ValueCase cases[] = {
        OQ__PB__TYPE_PROTO__VALUE_TENSOR_TYPE,   OQ__PB__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE,
        OQ__PB__TYPE_PROTO__VALUE_SEQUENCE_TYPE, OQ__PB__TYPE_PROTO__VALUE_MAP_TYPE,
        OQ__PB__TYPE_PROTO__VALUE_OPTIONAL_TYPE, OQ__PB__TYPE_PROTO__VALUE_OPAQUE_TYPE};
    for (size_t i = 0; i < COUNT(cases); i++) {
        Oq__Pb__TypeProto type = OQ__PB__TYPE_PROTO__INIT;
        type.value_case = cases[i];
        assert_compare(strlen(type_text(&type)), >, 0);
        assert_compare(strlen(oq_type_kind(&type)), >, 0);
    }
}

/* --- operators --- */

/* 2 MatMul, 1 custom.Op (+3 in functions) */
static const char *describe_operators(const onnxq_inspection *inspection)
{
    const char *text = "";
    for (size_t i = 0; i < inspection->n_operators; i++) {
        const onnxq_operator_count *count = &inspection->operators[i];
        text = test_printf("%s%s%zu+%zu %s%s%s", text, i > 0 ? ", " : "", count->n_nodes,
                           count->n_in_functions, count->domain,
                           count->domain[0] != '\0' ? "." : "", count->op_type);
    }
    return text;
}

static const struct operators {
    const char *name, *text, *expected;
    size_t n_subgraphs;
} operators[] = {
    {"none", "", "", 0},
    {"by number, then by name", "a = Sub(x); b = Relu(a); c = Add(b); d = Relu(c)",
     "2+0 Relu, 1+0 Add, 1+0 Sub", 0},
    {"domains differ", "a = Op(x); b = custom::Op(a); c = ai.onnx::Op(b); d = other::Op(c)",
     "2+0 Op, 1+0 custom.Op, 1+0 other.Op", 0},
    {"bodies count",
     "y = If(c) then_branch={ t = If(d) then_branch={ u = Relu(x) } } else_branch={ e = Relu(x) }",
     "2+0 If, 2+0 Relu", 3},
};

static void test_operators(void **state)
{
    const struct operators *row = *state;
    const onnxq_inspection *inspection = inspect(test_model(row->text));
    check_text(describe_operators(inspection), row->expected);
    assert_int_equal(inspection->n_subgraphs, row->n_subgraphs);
    assert_int_equal(inspection->n_functions, 0);
}

/* A function whose body holds a node that holds a body. */
static Oq__Pb__FunctionProto *make_function(struct builder *builder, const char *name)
{
    Oq__Pb__FunctionProto *function = builder_alloc(builder, 1, sizeof(*function));
    Oq__Pb__GraphProto *body = builder_alloc(builder, 1, sizeof(*body)), outer;
    oq__pb__function_proto__init(function);
    oq__pb__graph_proto__init(body);
    oq__pb__graph_proto__init(&outer);
    const char *const inputs[] = {"a", NULL}, *const outputs[] = {"b", NULL};
    builder_node(builder, body, "Relu", NULL, inputs, outputs);
    Oq__Pb__NodeProto *node = builder_node(builder, &outer, "If", NULL, inputs, outputs);
    builder_attribute(builder, node, "then_branch", OQ__PB__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH)
        ->g = body;
    function->node = outer.node;
    function->n_node = outer.n_node;
    function->name = name == NULL ? NULL : builder_text(builder, name);
    function->domain = builder_text(builder, "local");
    builder_append(builder, &builder->model->functions, &builder->model->n_functions, function);
    return function;
}

static void test_functions(void **state)
{
    (void)state;
    struct builder *builder = test_builder("opset 17; in x float32; y = local::Act(x)");
    make_function(builder, "Act");
    make_function(builder, NULL);
    const onnxq_inspection *inspection = inspect(test_open(builder));
    check_text(describe_operators(inspection), "0+2 If, 0+2 Relu, 1+0 local.Act");
    assert_int_equal(inspection->info->n_nodes, 1);
    assert_int_equal(inspection->n_nodes_in_functions, 4);
    assert_int_equal(inspection->n_functions, 2);
    assert_string_equal(inspection->functions[0].name, "Act");
    assert_string_equal(inspection->functions[0].domain, "local");
    assert_int_equal(inspection->functions[0].n_nodes, 2);
    assert_string_equal(inspection->functions[1].name, "");
}

/* --- the rest --- */

static void test_origin(void **state)
{
    (void)state;
    struct builder *builder = test_builder("ir 9; opset 17; opset com.microsoft 1\n"
                                           "meta author nobody; meta k \"v w\"; y = Relu(x)");
    Oq__Pb__ModelProto *proto = builder->model;
    proto->domain = builder_text(builder, "org.example");
    proto->doc_string = builder_text(builder, "two\nlines");
    proto->has_model_version = true;
    proto->model_version = -3;
    const onnxq_inspection *inspection = inspect(test_open(builder));
    assert_int_equal(inspection->info->ir_version, 9);
    assert_int_equal(inspection->info->opset, 17);
    assert_int_equal(inspection->model_version, -3);
    assert_string_equal(inspection->domain, "org.example");
    assert_string_equal(inspection->doc, "two\nlines");
    assert_int_equal(inspection->n_opsets, 2);
    assert_string_equal(inspection->opsets[1].domain, "com.microsoft");
    assert_int_equal(inspection->opsets[1].version, 1);
    assert_int_equal(inspection->n_metadata, 2);
    assert_string_equal(inspection->metadata[1].key, "k");
    assert_string_equal(inspection->metadata[1].value, "v w");
    assert_int_equal(inspection->n_external_files, 0);
}

/* Texts that the file leaves out, and a sparse initializer. */
static void test_left_out(void **state)
{
    (void)state;
    struct builder *builder = test_builder("in x float32[2]; y = Relu(x); out y float32");
    Oq__Pb__StringStringEntryProto *entry = builder_alloc(builder, 1, sizeof(*entry));
    Oq__Pb__OperatorSetIdProto *opset = builder_alloc(builder, 1, sizeof(*opset));
    Oq__Pb__SparseTensorProto *sparse = builder_alloc(builder, 1, sizeof(*sparse));
    oq__pb__string_string_entry_proto__init(entry);
    oq__pb__operator_set_id_proto__init(opset);
    oq__pb__sparse_tensor_proto__init(sparse);
    builder_append(builder, &builder->model->metadata_props, &builder->model->n_metadata_props,
                   entry);
    builder_append(builder, &builder->model->opset_import, &builder->model->n_opset_import, opset);
    builder_append(builder, &builder->graph->sparse_initializer,
                   &builder->graph->n_sparse_initializer, sparse);
    builder->graph->name = NULL;
    builder->graph->input[0]->name = NULL;
    builder->graph->output[0]->type = NULL;
    builder->graph->node[0]->op_type = NULL;
    const onnxq_inspection *inspection = inspect(test_open(builder));
    assert_string_equal(inspection->graph, "");
    assert_string_equal(inspection->doc, "");
    assert_string_equal(inspection->metadata[0].key, "");
    assert_string_equal(inspection->metadata[0].value, "");
    assert_string_equal(inspection->opsets[0].domain, "");
    check_text(describe_parameters(inspection->inputs, inspection->n_inputs),
               ": tensor, float32, 1, float32 [2]");
    check_text(describe_parameters(inspection->outputs, inspection->n_outputs),
               "y: , , no rank, 0, no type");
    check_text(describe_operators(inspection), "1+0 ");
}

/* All of it in words, with whatever is known: none of it may be missed. */
static void test_report_of_what_there_is(void **state)
{
    (void)state;
    const onnxq_model *model = test_model("in x float32[N,64]; init w float32[64,64]\n"
                                          "y = MatMul(x, w); out y float32[N,64]");
    const onnxq_inspection *inspection = inspect(model);
    onnxq_options options = test_options();
    const onnxq_plan *plan = test_estimate(model, &options);
    for (unsigned detail = 0; detail <= 3; detail++) {
        const onnxq_inspection_style style = {.detail = detail, .unicode = detail % 2 == 1};
        FILE *stream = tmpfile();
        assert_non_null(stream);
        onnxq_report_inspection(inspection, detail == 2 ? NULL : plan, NULL, &style, stream);
        onnxq_report_inspection(inspection, NULL, NULL, NULL, stream);
        onnxq_report_inspection_json(inspection, detail == 2 ? NULL : plan, NULL, NULL, NULL,
                                     stream);
        assert_false(ferror(stream));
        assert_compare(ftell(stream), >, 100);
        fclose(stream);
    }
}

static const char *print(const onnxq_model *model, unsigned detail)
{
    size_t nbytes;
    const char *path = test_path("report");
    const onnxq_inspection_style style = {.detail = detail};
    FILE *stream = fopen(path, "w");
    assert_non_null(stream);
    onnxq_report_inspection(inspect(model), NULL, NULL, &style, stream);
    fclose(stream);
    return (const char *)test_read_file(path, &nbytes);
}

static size_t longest_line(const char *text)
{
    size_t longest = 0;
    for (; *text != '\0'; text += text[strcspn(text, "\n")] == '\0' ? 0 : 1) {
        size_t length = strcspn(text, "\n");
        longest = length > longest ? length : longest;
        text += length;
    }
    return longest;
}

/* A file may say as much as it likes; a line of it says how much that is, and no controls. */
static void test_long_texts_are_cut(void **state)
{
    (void)state;
    char name[20001];
    memset(name, 'n', 20000);
    name[20000] = '\0';
    struct builder *builder =
        test_builder(test_printf("ir 9; opset 17; opset %s 1; meta labels %s\n"
                                 "in %s float32[%s]; y = Relu(%s); z = %s::Act%s(y); out z float32",
                                 name, name, name, name, name, name, name));
    Oq__Pb__ModelProto *proto = builder->model;
    proto->producer_name = proto->producer_version = proto->domain = builder_text(builder, name);
    proto->graph->name = builder_text(builder, name);
    proto->doc_string = builder_text(builder, test_printf("\033[31m\xe2\x82\xac%s", name));
    const onnxq_model *model = test_open(builder);
    const char *text = print(model, 0);
    assert_in_range(longest_line(text), 1, 500);
    assert_null(strchr(text, '\033'));
    /* 200 columns: 27 of the count, 8 of the escape sequence, 1 of the euro sign, 164 of n. */
    const char *about = strstr(text, "  about     \\x1b[31m\xe2\x82\xacnnn");
    assert_non_null(about);
    assert_memory_equal(strchr(about, '\n') - 30, "nnn... (19836 more characters)", 30);
    text = print(model, 1);
    assert_non_null(strstr(text, test_printf("  labels  %s\n", name)));
    assert_non_null(strstr(text, test_printf("\\x1b[31m\xe2\x82\xac%s\n", name)));
}

int main(void)
{
    TEST_ROWS(test_signature, signatures);
    TEST(test_dims);
    TEST(test_types);
    TEST(test_types_without_content);
    TEST_ROWS(test_operators, operators);
    TEST(test_functions);
    TEST(test_origin);
    TEST(test_left_out);
    TEST(test_report_of_what_there_is);
    TEST(test_long_texts_are_cut);
    return suite_run();
}
