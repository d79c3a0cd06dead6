/* What a model takes and returns, and arrays that fit it or do not. */
#include <math.h>
#include <string.h>

#include "support/inputs.h"
#include "support/models.h"
#include "inputs/signature.h"

#define TYPE(number) OQ__PB__TENSOR_PROTO__DATA_TYPE__##number

static void free_sets(void *thing)
{
    oq_input_sets_fini(thing);
}

static const char *describe_all(const struct oq_parameter *parameters, size_t n)
{
    const char *text = "";
    for (size_t i = 0; i < n; i++) {
        char type[128];
        oq_parameter_describe(&parameters[i], type, sizeof(type));
        text = test_printf("%s%s%s: %s%s", text, i > 0 ? "; " : "", parameters[i].name, type,
                           parameters[i].has_default ? " (default)" : "");
    }
    return text;
}

static const char *describe_model(const onnxq_model *model)
{
    struct oq_signature signature = test_signature(model);
    return test_printf("%s -> %s", describe_all(signature.inputs, signature.n_inputs),
                       describe_all(signature.outputs, signature.n_outputs));
}

static void test_types(void **state)
{
    (void)state;
    check_text(
        describe_model(test_model(
            "ir 8; opset 17; in a float32[batch,3,?]; in w int8[2]; in s string; in e float16[]; "
            "init w int8[2]; out y bool[N]; out z int64")),
        "a: float32 [batch,3,?]; w: int8 [2] (default); s: string [...]; e: float16 [] -> "
        "y: bool [N]; z: int64 [...]");
}

static void test_no_name(void **state)
{
    (void)state;
    struct builder *builder = test_builder("ir 8; opset 17; in a float32; in b float32");
    struct oq_signature signature;
    struct oq_arena arena;
    onnxq_error error;
    builder->graph->input[1]->name = NULL;
    assert_true(builder_write(builder, test_path("model.onnx")));
    oq_error_init(&error);
    oq_arena_init(&arena, (size_t)1 << 20);
    assert_false(
        oq_signature_init(&signature, test_open_path(test_path("model.onnx")), &arena, &error));
    check_text(test_error_text(&error), "input number 1 has no name");
    oq_arena_fini(&arena);
}

/* An input of the kind, whose message is left empty where it may be. */
static Oq__Pb__ValueInfoProto *add_input(struct builder *builder, const char *name,
                                         Oq__Pb__TypeProto__ValueCase kind)
{
    static Oq__Pb__TypeProto__Sequence sequence = OQ__PB__TYPE_PROTO__SEQUENCE__INIT;
    static Oq__Pb__TypeProto__Map map = OQ__PB__TYPE_PROTO__MAP__INIT;
    static Oq__Pb__TypeProto__Optional optional = OQ__PB__TYPE_PROTO__OPTIONAL__INIT;
    static Oq__Pb__TypeProto__SparseTensor sparse = OQ__PB__TYPE_PROTO__SPARSE_TENSOR__INIT;
    static Oq__Pb__TypeProto__Tensor tensor = OQ__PB__TYPE_PROTO__TENSOR__INIT;
    Oq__Pb__ValueInfoProto *info = builder_value(builder, name, 1, NULL, SIZE_MAX);
    info->type->value_case = kind;
    switch (kind) {
    case OQ__PB__TYPE_PROTO__VALUE_SEQUENCE_TYPE:
        info->type->sequence_type = &sequence;
        break;
    case OQ__PB__TYPE_PROTO__VALUE_MAP_TYPE:
        info->type->map_type = &map;
        break;
    case OQ__PB__TYPE_PROTO__VALUE_OPTIONAL_TYPE:
        info->type->optional_type = &optional;
        break;
    case OQ__PB__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE:
        info->type->sparse_tensor_type = &sparse;
        break;
    default:
        info->type->tensor_type = &tensor;
    }
    builder_append(builder, &builder->graph->input, &builder->graph->n_input, info);
    return info;
}

static void test_kinds(void **state)
{
    (void)state;
    struct builder *builder = test_builder("ir 8; opset 17; in x float32[N,2,3]");
    add_input(builder, "a", OQ__PB__TYPE_PROTO__VALUE_SEQUENCE_TYPE);
    add_input(builder, "b", OQ__PB__TYPE_PROTO__VALUE_MAP_TYPE);
    add_input(builder, "c", OQ__PB__TYPE_PROTO__VALUE_OPTIONAL_TYPE);
    add_input(builder, "d", OQ__PB__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE);
    add_input(builder, "e", OQ__PB__TYPE_PROTO__VALUE_TENSOR_TYPE);
    add_input(builder, "f", OQ__PB__TYPE_PROTO__VALUE_TENSOR_TYPE)->type = NULL;
    Oq__Pb__ValueInfoProto *odd = builder_value(builder, "g", 99, (int64_t[]){-1, 2}, 2);
    odd->type->tensor_type->shape->dim[0]->dim_param = NULL;
    odd->type->tensor_type->shape->dim[0]->value_case =
        OQ__PB__TENSOR_SHAPE_PROTO__DIMENSION__VALUE__NOT_SET;
    builder_append(builder, &builder->graph->input, &builder->graph->n_input, odd);
    Oq__Pb__TensorShapeProto *shape = builder->graph->input[0]->type->tensor_type->shape;
    shape->dim[1]->dim_value = -1;
    shape->dim[2]->dim_value = INT64_MIN;
    check_text(describe_model(test_open(builder)),
               "x: float32 [N,?,?]; a: sequence of no type; b: map type 0 -> no type; "
               "c: optional no type; d: sparse type 0 [...]; e: type 0 [...]; f: no type; "
               "g: type 99 [?,2] -> ");
}

static void test_short_description(void **state)
{
    (void)state;
    struct oq_signature signature =
        test_signature(test_model("ir 8; opset 17; in x float32[a_long_name,b]"));
    char text[16], none[1] = "x";
    oq_parameter_describe(&signature.inputs[0], text, sizeof(text));
    check_text(text, "float32 [a_long");
    oq_parameter_describe(&signature.inputs[0], text, 0);
    oq_parameter_describe(&signature.inputs[0], none, 1);
    check_text(none, "");
}

/* --- binding ---------------------------------------------------------------- */

struct given {
    const char *name;
    int32_t data_type;
    int64_t dims[3];
    size_t n_dims;
    double value; /* of all elements */
};

static void add_array(struct oq_arrays *arrays, const struct given *given)
{
    onnxq_error error;
    oq_error_init(&error);
    struct oq_array *array = oq_arrays_add(arrays, &error);
    assert_non_null(array);
    assert_true(
        oq_array_init(array, given->name, given->data_type, given->dims, given->n_dims, &error));
    for (uint64_t i = 0; i < array->nelem; i++)
        oq_array_put_double(array, i, given->value);
}

static const char *describe_arrays(const struct oq_arrays *arrays)
{
    const char *text = "";
    for (size_t i = 0; i < arrays->count; i++) {
        const struct oq_array *array = &arrays->list[i];
        char type[64];
        double value = 0;
        oq_array_describe(array, type, sizeof(type));
        if (array->nelem > 0)
            oq_array_read_doubles(array, 0, 1, &value);
        text = test_printf("%s%s%s %s %.9g", text, i > 0 ? "; " : "", array->name, type, value);
    }
    return text;
}

#define IDS "in ids int64[batch,seq]; "
#define X   "in x float32[batch,4]; "

static const struct bind_row {
    const char *name, *model;
    struct given given[3];
    const char *expected;
} bind_rows[] = {
    {"as it is", X, {{"x", TYPE(FLOAT), {2, 4}, 2, 0.5}}, "x float32 [2,4] 0.5"},
    {"by position",
     X IDS,
     {{"#1", TYPE(INT64), {2, 3}, 2, 7}, {"#0", TYPE(FLOAT), {2, 4}, 2, 1}},
     "ids int64 [2,3] 7; x float32 [2,4] 1"},
    {"positions count what has no default first",
     "in w float32[4]; " X "in v float32[4]; init w float32[4]; ",
     {{"#0", TYPE(FLOAT), {2, 4}, 2, 1},
      {"#1", TYPE(FLOAT), {4}, 1, 2},
      {"#2", TYPE(FLOAT), {4}, 1, 3}},
     "x float32 [2,4] 1; v float32 [4] 2; w float32 [4] 3"},
    {"a name that looks like a position",
     "in \"#1\" float32[1]; ",
     {{"#1", TYPE(FLOAT), {1}, 1, 2}},
     "#1 float32 [1] 2"},
    {"a default may be left out",
     X "in w float32[4]; init w float32[4]; ",
     {{"x", TYPE(FLOAT), {2, 4}, 2, 1}},
     "x float32 [2,4] 1"},
    {"no rank", "in x float32; ", {{"x", TYPE(FLOAT), {2, 4, 1}, 3, 1}}, "x float32 [2,4,1] 1"},
    {"all open", "in x float32[?,?]; ", {{"x", TYPE(FLOAT), {2, 4}, 2, 1}}, "x float32 [2,4] 1"},
    {"empty", X, {{"x", TYPE(FLOAT), {0, 4}, 2, 1}}, "x float32 [0,4] 0"},

    {"int32 to int64", IDS, {{"ids", TYPE(INT32), {1, 2}, 2, -5}}, "ids int64 [1,2] -5"},
    {"bool to int64", IDS, {{"ids", TYPE(BOOL), {1, 2}, 2, 1}}, "ids int64 [1,2] 1"},
    {"uint64 to int64",
     IDS,
     {{"ids", TYPE(UINT64), {1, 2}, 2, 0x1p62}},
     "ids int64 [1,2] 4.61168602e+18"},
    {"int64 to int32",
     "in i int32[N]; ",
     {{"i", TYPE(INT64), {2}, 1, -2147483648.0}},
     "i int32 [2] -2.14748365e+09"},
    {"uint8 to bool", "in m bool[N]; ", {{"m", TYPE(UINT8), {2}, 1, 1}}, "m bool [2] 1"},
    {"float64 to float32", X, {{"x", TYPE(DOUBLE), {1, 4}, 2, 0.1}}, "x float32 [1,4] 0.100000001"},
    {"float64 to float16",
     "in h float16[N]; ",
     {{"h", TYPE(DOUBLE), {2}, 1, 0.1}},
     "h float16 [2] 0.0999755859"},
    {"NaN", X, {{"x", TYPE(DOUBLE), {1, 4}, 2, NAN}}, "x float32 [1,4] nan"},
    {"infinity", X, {{"x", TYPE(DOUBLE), {1, 4}, 2, INFINITY}}, "x float32 [1,4] inf"},
    {"float16 to float32", X, {{"x", TYPE(FLOAT16), {1, 4}, 2, 0.5}}, "x float32 [1,4] 0.5"},
    {"float32 to float64",
     "in d float64[N]; ",
     {{"d", TYPE(FLOAT), {2}, 1, 0.5}},
     "d float64 [2] 0.5"},
    {"float32 to float16",
     "in h float16[N]; ",
     {{"h", TYPE(FLOAT), {2}, 1, 0.5}},
     "h float16 [2] 0.5"},

    {"float32 that float16 rounds",
     "in h float16[N]; ",
     {{"h", TYPE(FLOAT), {2}, 1, 0.1}},
     "input \"h\": element 0 is 0.10000000149011612, which float16 cannot hold"},
    {"float64 out of range",
     X,
     {{"x", TYPE(DOUBLE), {1, 4}, 2, 1e39}},
     "input \"x\": element 0 is 9.9999999999999994e+38, which float32 cannot hold"},
    {"int64 out of range",
     "in i int32[N]; ",
     {{"i", TYPE(INT64), {2}, 1, 2147483648.0}},
     "input \"i\": element 0 is 2147483648, which int32 cannot hold"},
    {"negative to unsigned",
     "in i uint64[N]; ",
     {{"i", TYPE(INT64), {2}, 1, -1}},
     "input \"i\": element 0 is -1, which uint64 cannot hold"},
    {"no bool",
     "in m bool[N]; ",
     {{"m", TYPE(UINT8), {2}, 1, 2}},
     "input \"m\": element 0 is 2, which bool cannot hold"},
    {"another kind of number",
     "in ids int64[batch,sequence]; ",
     {{"ids", TYPE(FLOAT), {1, 128}, 2, 1}},
     "input \"ids\": found float32 [1,128], expected int64 [batch,sequence]"},
    {"another rank",
     X,
     {{"x", TYPE(FLOAT), {4}, 1, 1}},
     "input \"x\": found float32 [4], expected float32 [batch,4]"},
    {"another size",
     X,
     {{"x", TYPE(DOUBLE), {2, 5}, 2, 1}},
     "input \"x\": found float64 [2,5], expected float32 [batch,4]"},
    {"two sizes of one dimension",
     X IDS,
     {{"x", TYPE(FLOAT), {2, 4}, 2, 1}, {"ids", TYPE(INT64), {3, 5}, 2, 1}},
     "input \"ids\": found int64 [3,5], but \"batch\" is 2 in input \"x\""},
    {"two sizes in one input",
     "in x float32[N,N]; ",
     {{"x", TYPE(FLOAT), {2, 4}, 2, 1}},
     "input \"x\": found float32 [2,4], but \"N\" is 2 in input \"x\""},
    {"one is missing",
     X IDS,
     {{"x", TYPE(FLOAT), {2, 4}, 2, 1}},
     "an input is missing: \"ids\" (int64 [batch,seq])"},
    {"all are missing",
     X IDS,
     {{NULL, 0, {0}, 0, 0}},
     "inputs are missing: \"x\" (float32 [batch,4]), \"ids\" (int64 [batch,seq])"},
    {"a name that is not there",
     IDS,
     {{"id", TYPE(INT64), {1, 2}, 2, 1}},
     "the model has no input \"id\"\nhint: did you mean \"ids\"?"},
    {"a name like none",
     IDS,
     {{"pixel_values", TYPE(INT64), {1, 2}, 2, 1}},
     "the model has no input \"pixel_values\"\nhint: it takes \"ids\""},
    {"a weight that is listed as an input is none to be offered",
     "in w float32[4]; " X "init w float32[4]; ",
     {{"pixel_values", TYPE(INT64), {1, 2}, 2, 1}},
     "the model has no input \"pixel_values\"\nhint: it takes \"x\""},
    {"no inputs at all", "", {{"x", TYPE(INT64), {1, 2}, 2, 1}}, "the model has no input \"x\""},
    {"a position too far",
     IDS,
     {{"#1", TYPE(INT64), {1, 2}, 2, 1}},
     "there is an array for input #1, but the model has 1, counted from #0"},
    {"a position far too far",
     IDS,
     {{"#99999999999999999999", TYPE(INT64), {1, 2}, 2, 1}},
     "there is an array for input #99999999999999999999, but the model has 1, counted from #0"},
    {"twice",
     IDS,
     {{"ids", TYPE(INT64), {1, 2}, 2, 1}, {"#0", TYPE(INT64), {1, 2}, 2, 1}},
     "there are two arrays for input \"ids\""},
};

static const char *error_and_hint(const onnxq_error *error)
{
    const char *text = test_error_text(error);
    return error->hint[0] != '\0' ? test_printf("%s\nhint: %s", text, error->hint) : text;
}

static void test_bind(void **state)
{
    const struct bind_row *row = *state;
    struct oq_signature signature =
        test_signature(test_model(test_printf("ir 8; opset 17; %sout y float32", row->model)));
    struct oq_input_sets *sets = test_alloc(sizeof(*sets));
    onnxq_error error;
    oq_error_init(&error);
    test_defer(free_sets, sets);
    struct oq_input_set *set = oq_input_sets_add(sets, "set", &error);
    assert_non_null(set);
    for (size_t i = 0; i < COUNT(row->given) && row->given[i].name != NULL; i++)
        add_array(&set->inputs, &row->given[i]);
    bool bound = oq_signature_bind(&signature, set, &error);
    check_text(bound ? describe_arrays(&set->inputs) : error_and_hint(&error), row->expected);
}

/* They get names, and keep their types and shapes: what is expected may be of any type. */
static void test_outputs(void **state)
{
    (void)state;
    struct oq_signature signature =
        test_signature(test_model("ir 8; opset 17; out y float32[2]; out z int64[2]"));
    struct oq_input_sets *sets = test_alloc(sizeof(*sets));
    onnxq_error error;
    oq_error_init(&error);
    test_defer(free_sets, sets);
    struct oq_input_set *set = oq_input_sets_add(sets, "set", &error);
    add_array(&set->outputs, &(struct given){"#1", TYPE(INT32), {3}, 1, 4});
    add_array(&set->outputs, &(struct given){"#0", TYPE(DOUBLE), {2}, 1, 5});
    add_array(&set->outputs, &(struct given){"other", TYPE(DOUBLE), {2}, 1, 6});
    assert_true(oq_signature_bind(&signature, set, &error));
    check_text(describe_arrays(&set->outputs),
               "z int32 [3] 4; y float64 [2] 5; other float64 [2] 6");
    add_array(&set->outputs, &(struct given){"#2", TYPE(DOUBLE), {2}, 1, 7});
    assert_false(oq_signature_bind(&signature, set, &error));
    check_text(test_error_text(&error),
               "there is an array for output #2, but the model has 2, counted from #0");
}

static void test_kinds_that_are_no_tensors(void **state)
{
    (void)state;
    struct builder *builder = test_builder("ir 8; opset 17");
    add_input(builder, "a", OQ__PB__TYPE_PROTO__VALUE_SEQUENCE_TYPE);
    struct oq_signature signature = test_signature(test_open(builder));
    struct oq_input_sets *sets = test_alloc(sizeof(*sets));
    onnxq_error error;
    oq_error_init(&error);
    test_defer(free_sets, sets);
    struct oq_input_set *set = oq_input_sets_add(sets, "set", &error);
    add_array(&set->inputs, &(struct given){"a", TYPE(FLOAT), {2}, 1, 5});
    assert_false(oq_signature_bind(&signature, set, &error));
    check_text(test_error_text(&error),
               "input \"a\": found float32 [2], expected sequence of no type");
}

int main(void)
{
    TEST(test_types);
    TEST(test_no_name);
    TEST(test_kinds);
    TEST(test_short_description);
    TEST_ROWS(test_bind, bind_rows);
    TEST(test_outputs);
    TEST(test_kinds_that_are_no_tensors);
    return suite_run();
}
