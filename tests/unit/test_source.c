/* Constants behind chains of operators: which elements of which tensors they are. */
#include "model/source.h"

#include <math.h>
#include <string.h>

#include "support/models.h"

/*
 * w counts 0, 1, 2 ... so that an element is its own number. `v` is looked for;
 * spans are written as tensor:first+count, "~" is a transpose.
 */
static const struct row {
    const char *name, *text, *expected;
} rows[] = {
    {"an initializer", "init v float32[4,6]", "float32[4,6] v:0+24"},
    {"a Constant", "v = Constant() value=float32[4,6]", "float32[4,6] :0+24"},
    {"Identity", "init w float32[4,6]; v = Identity(w)", "float32[4,6] w:0+24"},
    {"unknown", "init w float32[4,6]", "none"},
    {"a graph input", "in v float32[4,6]", "none"},
    {"some other operator", "init w float32[4,6]; v = Relu(w)", "none"},
    {"the operator of another domain", "init w float32[4,6]; v = custom::Identity(w)", "none"},

    {"Cast to float32", "init w float16[4,6]; v = Cast(w) to=1", "float32[4,6] w:0+24"},
    {"Cast to float16", "init w float32[4,6]; v = Cast(w) to=10", "none"},
    {"Cast of integers", "init w int64[4,6]; v = Cast(w) to=1", "none"},

    {"Unsqueeze by attribute", "init w float32[4,6]; v = Unsqueeze(w) axes=[0,3]",
     "float32[1,4,6,1] w:0+24"},
    {"Unsqueeze by input", "init w float32[4,6]; init a int64[2] = -1 0; v = Unsqueeze(w, a)",
     "float32[1,4,6,1] w:0+24"},
    {"Unsqueeze twice the same", "init w float32[4,6]; v = Unsqueeze(w) axes=[0,0]", "none"},
    {"Unsqueeze out of range", "init w float32[4,6]; v = Unsqueeze(w) axes=[5]", "none"},
    {"Unsqueeze by a variable", "in a int64[1]; init w float32[4,6]; v = Unsqueeze(w, a)", "none"},

    {"Squeeze of all", "init w float32[1,4,1,6]; v = Squeeze(w)", "float32[4,6] w:0+24"},
    {"Squeeze of all by an empty attribute", "init w float32[1,4,1,6]; v = Squeeze(w) axes=[]",
     "none"},
    {"Squeeze of all by an empty input",
     "init w float32[1,4,1,6]; init a int64[0]; v = Squeeze(w, a)", "none"},
    {"Unsqueeze by an empty input", "init w float32[4,6]; init a int64[0]; v = Unsqueeze(w, a)",
     "float32[4,6] w:0+24"},
    {"Reshape by what is transposed",
     "init w float32[4,6]; init s int64[2,2] = 1 2 3 4; t = Transpose(s); v = Reshape(w, t)",
     "none"},
    {"Squeeze of one", "init w float32[1,4,1,6]; v = Squeeze(w) axes=[2]", "float32[1,4,6] w:0+24"},
    {"Squeeze by input", "init w float32[1,4,1,6]; init a int64[1] = -2; v = Squeeze(w, a)",
     "float32[1,4,6] w:0+24"},
    {"Squeeze of what is not 1", "init w float32[1,4,1,6]; v = Squeeze(w) axes=[1]", "none"},

    {"Reshape", "init w float32[4,6]; init s int64[3] = 2 2 6; v = Reshape(w, s)",
     "float32[2,2,6] w:0+24"},
    {"Reshape with the rest", "init w float32[4,6]; init s int64[2] = -1 3; v = Reshape(w, s)",
     "float32[8,3] w:0+24"},
    {"Reshape that keeps one", "init w float32[4,6]; init s int64[3] = 0 2 -1; v = Reshape(w, s)",
     "float32[4,2,3] w:0+24"},
    {"Reshape with packed numbers",
     "init w float32[4,6]; init s int64[2] packed = 3 -1; v = Reshape(w, s)",
     "float32[3,8] w:0+24"},
    {"Reshape with unpacked numbers",
     "init w float32[4,6]; init s int64[2] unpacked = -1 3; v = Reshape(w, s)",
     "float32[8,3] w:0+24"},
    {"Reshape by a Constant",
     "init w float32[4,6]; s = Constant() value=int64[1] = 24; v = Reshape(w, s)",
     "float32[24] w:0+24"},
    {"Reshape with two unknowns", "init w float32[4,6]; init s int64[2] = -1 -1; v = Reshape(w, s)",
     "none"},
    {"Reshape to another size", "init w float32[4,6]; init s int64[2] = 5 5; v = Reshape(w, s)",
     "none"},
    {"Reshape that does not divide",
     "init w float32[4,6]; init s int64[2] = -1 5; v = Reshape(w, s)", "none"},
    {"Reshape to a negative", "init w float32[4,6]; init s int64[2] = -2 12; v = Reshape(w, s)",
     "none"},
    {"Reshape to a huge one",
     "init w float32[4,6]; init s int64[3] = 4611686018427387904 4 6; v = Reshape(w, s)", "none"},
    {"Reshape by floats", "init w float32[4,6]; init s float32[2] = 4 6; v = Reshape(w, s)",
     "none"},
    {"Reshape that is long",
     "init w float32[4,6]; init s int64[40] = 24 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 "
     "1 1 1 1 1 1 1 1 1 1 1 1 1 1; v = Reshape(w, s)",
     "none"},
    {"Reshape of nothing with a zero",
     "init w float32[0,6]; init s int64[2] = 6 0; v = Reshape(w, s) allowzero=1",
     "float32[6,0] w:0+0"},

    {"Flatten", "init w float32[2,3,4]; v = Flatten(w)", "float32[2,12] w:0+24"},
    {"Flatten from the end", "init w float32[2,3,4]; v = Flatten(w) axis=-1",
     "float32[6,4] w:0+24"},
    {"Flatten before all", "init w float32[2,3,4]; v = Flatten(w) axis=0", "float32[1,24] w:0+24"},
    {"Flatten behind all", "init w float32[2,3,4]; v = Flatten(w) axis=3", "float32[24,1] w:0+24"},
    {"Flatten out of range", "init w float32[2,3,4]; v = Flatten(w) axis=4", "none"},
    {"Flatten of huge dimensions of nothing",
     "init w float32[0]; init s int64[3] = 0 4611686018427387904 4611686018427387904\n"
     "r = Reshape(w, s) allowzero=1; v = Flatten(r) axis=1",
     "none"},

    {"Transpose", "init w float32[4,6]; v = Transpose(w)", "float32[4,6]~ w:0+24"},
    {"Transpose by perm", "init w float32[4,6]; v = Transpose(w) perm=[1,0]",
     "float32[4,6]~ w:0+24"},
    {"Transpose that does nothing", "init w float32[4,6]; v = Transpose(w) perm=[0,1]",
     "float32[4,6] w:0+24"},
    {"Transpose there and back", "init w float32[4,6]; t = Transpose(w); v = Transpose(t)",
     "float32[4,6] w:0+24"},
    {"Transpose of ones", "init w float32[1,4,1,6]; v = Transpose(w) perm=[1,2,0,3]",
     "float32[4,1,1,6] w:0+24"},
    {"Transpose of a row", "init w float32[1,6]; v = Transpose(w)", "float32[6,1] w:0+6"},
    {"Transpose of three", "init w float32[2,3,4]; v = Transpose(w) perm=[0,2,1]", "none"},
    {"Transpose with a short perm", "init w float32[4,6]; v = Transpose(w) perm=[0]", "none"},
    {"Transpose with a wrong perm", "init w float32[4,6]; v = Transpose(w) perm=[0,0]", "none"},
    {"Transpose out of range", "init w float32[4,6]; v = Transpose(w) perm=[0,2]", "none"},
    {"Reshape of a transpose",
     "init w float32[4,6]; t = Transpose(w); init s int64[1] = 24; v = Reshape(t, s)", "none"},

    {"Slice of rows",
     "init w float32[4,6]; init b int64[1] = 1; init e int64[1] = 3; v = Slice(w, b, e)",
     "float32[2,6] w:6+12"},
    {"Slice by attributes", "init w float32[4,6]; v = Slice(w) starts=[1] ends=[3] axes=[0]",
     "float32[2,6] w:6+12"},
    {"Slice to the end", "init w float32[4,6]; v = Slice(w) starts=[2] ends=[9223372036854775807]",
     "float32[2,6] w:12+12"},
    {"Slice from behind", "init w float32[4,6]; v = Slice(w) starts=[-3] ends=[-1]",
     "float32[2,6] w:6+12"},
    {"Slice from before the start", "init w float32[4,6]; v = Slice(w) starts=[-9] ends=[1]",
     "float32[1,6] w:0+6"},
    {"Slice of nothing", "init w float32[4,6]; v = Slice(w) starts=[3] ends=[1]", "float32[0,6]"},
    {"Slice behind ones", "init w float32[1,4,6]; v = Slice(w) starts=[1] ends=[3] axes=[-2]",
     "float32[1,2,6] w:6+12"},
    {"Slice of columns", "init w float32[4,6]; v = Slice(w) starts=[1] ends=[3] axes=[1]",
     "float32[4,2] w:1+2 w:7+2 w:13+2 w:19+2"},
    {"Slice of all columns", "init w float32[4,6]; v = Slice(w) starts=[0] ends=[6] axes=[1]",
     "float32[4,6] w:0+24"},
    {"Slice of rows of a transpose",
     "init w float32[4,6]; t = Transpose(w); s = Slice(t) starts=[1] ends=[3] axes=[0]\n"
     "v = Transpose(s)",
     "float32[4,2] w:1+2 w:7+2 w:13+2 w:19+2"},
    {"Slice of columns of what is put together",
     "init w float32[2,3]; init u float32[1,3]; c = Concat(w, u) axis=0\n"
     "v = Slice(c) starts=[1] ends=[3] axes=[1]",
     "float32[3,2] w:1+2 w:4+2 u:1+2"},
    {"Split of columns", "init w float32[2,6]; u, v = Split(w) axis=1", "float32[2,3] w:3+3 w:9+3"},
    {"Split by sizes", "init w float32[5,2]; init s int64[2] = 3 2; u, v = Split(w, s)",
     "float32[2,2] w:6+4"},
    {"Split by an attribute", "init w float32[5,2]; v, u = Split(w) split=[3,2]",
     "float32[3,2] w:0+6"},
    {"Split into unequal parts", "init w float32[5,2]; u, v = Split(w) num_outputs=2",
     "float32[2,2] w:6+4"},
    {"Split by sizes that do not fit", "init w float32[5,2]; v, u = Split(w) split=[3,3]", "none"},
    {"Split along no axis", "init w float32[5,2]; v, u = Split(w) axis=2", "none"},
    {"Mul by an activation", "in x float32[6]; init w float32[4,6]; v = Mul(w, x)", "none"},
    {"Mul by one for each element", "init w float32[4,6]; init f float32[4,6]; v = Mul(w, f)",
     "none"},
    {"Mul that makes it larger", "init w float32[4,1]; init f float32[1,6]; v = Mul(w, f)", "none"},
    {"Mul of another type", "init w float16[4,6]; init f float16; v = Mul(w, f)", "none"},
    {"Slice of a product",
     "init w float32[4,6]; init f float32; m = Mul(w, f)\n"
     "v = Slice(m) starts=[0] ends=[2]",
     "none"},
    {"Div of numbers by a weight", "init w float32[4,6]; init f float32; v = Div(f, w)", "none"},
    {"Slice in steps of one",
     "init w float32[4,6]; init b int64[1] = 1; init e int64[1] = 3; init a int64[1] = 0\n"
     "init o int64[1] = 1; v = Slice(w, b, e, a, o)",
     "float32[2,6] w:6+12"},
    {"Slice in steps of two",
     "init w float32[4,6]; init b int64[1] = 0; init e int64[1] = 4; init a int64[1] = 0\n"
     "init o int64[1] = 2; v = Slice(w, b, e, a, o)",
     "none"},
    {"Slice by int32",
     "init w float32[4,6]; init b int32[1] = -2; init e int32[1] packed = -1; v = Slice(w, b, e)",
     "float32[1,6] w:12+6"},
    {"Slice along two axes", "init w float32[4,6]; v = Slice(w) starts=[0,0] ends=[2,2] axes=[0,1]",
     "none"},
    {"Slice out of range", "init w float32[4,6]; v = Slice(w) starts=[0] ends=[2] axes=[2]",
     "none"},
    {"Slice without an end", "init w float32[4,6]; v = Slice(w) starts=[0]", "none"},

    {"Concat of rows", "init a float32[2,6]; init b float32[3,6]; v = Concat(a, b) axis=0",
     "float32[5,6] a:0+12 b:0+18"},
    {"Concat of itself", "init w float32[2,6]; v = Concat(w, w, w) axis=0",
     "float32[6,6] w:0+12 w:0+12 w:0+12"},
    {"Concat of one", "init w float32[2,6]; v = Concat(w) axis=1", "none"},
    {"Concat behind ones", "init a float32[1,2,3]; init b float32[1,4,3]; v = Concat(a, b) axis=-2",
     "float32[1,6,3] a:0+6 b:0+12"},
    {"Concat of columns", "init a float32[2,3]; init b float32[2,3]; v = Concat(a, b) axis=1",
     "none"},
    {"Concat of huge dimensions of nothing",
     "init a float32[9223372036854775807,0]; v = Concat(a, a) axis=0", "none"},
    {"Concat of other types", "init a float32[2,3]; init b float16[2,3]; v = Concat(a, b) axis=0",
     "none"},
    {"Concat of other ranks", "init a float32[2,3]; init b float32[3]; v = Concat(a, b) axis=0",
     "none"},
    {"Concat with a variable", "in x float32[2,6]; init w float32[2,6]; v = Concat(w, x) axis=0",
     "none"},
    {"Concat with a transpose", "init a float32[3,3]; t = Transpose(a); v = Concat(a, t) axis=0",
     "none"},

    {"the weights of an exported LSTM",
     "init w float32[12,2]; a = Slice(w) starts=[0] ends=[3]; b = Slice(w) starts=[6] ends=[9]\n"
     "c = Slice(w) starts=[3] ends=[6]; d = Concat(a, b, c) axis=0; v = Unsqueeze(d) axes=[0]",
     "float32[1,9,2] w:0+6 w:12+6 w:6+6"},
    {"a slice of a concatenation",
     "init a float32[2,3]; init b float32[4,3]; c = Concat(a, b) axis=0\n"
     "v = Slice(c) starts=[1] ends=[4]",
     "float32[3,3] a:3+3 b:0+6"},
    {"itself", "v = Identity(v)", "none"},
    {"in circles", "a = Identity(v); v = Identity(a)", "none"},
};

static const char *describe(const struct oq_source *source)
{
    const char *text = test_printf("%s[", source->dtype->name);
    uint64_t nelem = 0;
    for (size_t i = 0; i < source->n_dims; i++)
        text = test_printf("%s%s%lld", text, i > 0 ? "," : "", (long long)source->dims[i]);
    text = test_printf("%s]%s", text, source->transposed ? "~" : "");
    for (size_t i = 0; i < source->n_spans; i++) {
        const struct oq_span *span = &source->spans[i];
        nelem += span->nelem;
        assert_compare(span->first + span->nelem, <=, span->tensor->nelem);
        text = test_printf("%s %s:%llu+%llu", text, span->tensor->name,
                           (unsigned long long)span->first, (unsigned long long)span->nelem);
    }
    assert_int_equal(source->nelem, nelem);
    return text;
}

static const char *find(const onnxq_model *model, const char *name, bool frozen)
{
    struct oq_source source;
    onnxq_error error;
    bool found;
    oq_error_init(&error);
    if (!oq_source_find(&source, model, model->graphs.list[0], name, frozen,
                        test_arena((size_t)16 << 20), &found, &error))
        fail_msg("%s", test_error_text(&error));
    return found ? describe(&source) : "none";
}

static void test_find(void **state)
{
    const struct row *row = *state;
    check_text(find(test_model(row->text), "v", true), row->expected);
}

/* A default value of a graph input is constant only where nobody may override it. */
static void test_inputs(void **state)
{
    (void)state;
    const onnxq_model *model =
        test_model("in w float32[4,6]; init w float32[4,6]; v = Identity(w)");
    check_text(find(model, "v", true), "float32[4,6] w:0+24");
    check_text(find(model, "v", false), "none");
}

/* From a body, a chain may start in a graph around it. */
static void test_scopes(void **state)
{
    (void)state;
    struct oq_source source;
    onnxq_error error;
    bool found;
    const onnxq_model *model = test_model("init w float32[4,6]; i = Identity(w); y = If(c) "
                                          "then_branch={ v = Unsqueeze(i) axes=[0] }");
    oq_error_init(&error);
    assert_true(oq_source_find(&source, model, model->graphs.list[1], "v", true,
                               test_arena((size_t)16 << 20), &found, &error));
    assert_true(found);
    check_text(describe(&source), "float32[1,4,6] w:0+24");
    check_text(find(model, "v", true), "none");
}

/* Chains as long as nobody writes them, and concatenations that double 60 times, end soon. */
static void test_hostile(void **state)
{
    (void)state;
    const char *text = "init w float32[1]; v0 = Identity(w)";
    for (int i = 1; i < 200; i++)
        text = test_printf("%s; v%d = Identity(v%d)", text, i, i - 1);
    check_text(find(test_model(text), "v199", true), "none");
    text = "init w float32[1]; v0 = Identity(w)";
    for (int i = 1; i < 30; i++)
        text = test_printf("%s; v%d = Concat(v%d, v%d) axis=0", text, i, i - 1, i - 1);
    check_text(find(test_model(text), "v29", true), "none");
}

static void test_read(void **state)
{
    (void)state;
    float values[16];
    onnxq_error error;
    struct oq_source source;
    bool found;
    const onnxq_model *model = test_model(
        "init a float32[6] unpacked = 0 1 2 3 4 5; init b float16[4] = 10 11 12 13\n"
        "c = Cast(b) to=1; d = Concat(a, c, a) axis=0; v = Slice(d) starts=[2] ends=[13]");
    static const float expected[] = {2, 3, 4, 5, 10, 11, 12, 13, 0, 1, 2};
    void *scratch = test_alloc(OQ_READ_SCRATCH_NBYTES);
    oq_error_init(&error);
    assert_true(oq_source_find(&source, model, model->graphs.list[0], "v", true,
                               test_arena((size_t)16 << 20), &found, &error));
    assert_true(found);
    assert_int_equal(source.nelem, COUNT(expected));
    for (size_t first = 0; first < COUNT(expected); first++) {
        for (size_t count = 0; first + count <= COUNT(expected); count++) {
            assert_true(oq_source_read_floats(&source, first, count, values, scratch, &error));
            assert_memory_equal(values, expected + first, count * sizeof(*values));
        }
    }
}

/* What the floats of v are, with 1 to 6 in w of [2,3], or as the text says. */
static const struct {
    const char *name, *text;
    float expected[6];
} scaled[] = {
    {"Mul by one number", "init f float32 = 2; v = Mul(f, w)", {2, 4, 6, 8, 10, 12}},
    {"Mul by columns", "init f float32[3] = 1 2 3; v = Mul(w, f)", {1, 4, 9, 4, 10, 18}},
    {"Div by rows", "init f float32[2,1] = 1 2; v = Div(w, f)", {1, 2, 3, 2, 2.5F, 3}},
    {"Mul of a transpose, as it is stored",
     "init f float32[1,2] = 1 2; t = Transpose(w); v = Mul(t, f)",
     {1, 2, 3, 8, 10, 12}},
    {"Mul twice", "init f float32[3] = 1 2 3; m = Mul(w, f); v = Mul(m, f)", {1, 8, 27, 4, 20, 54}},
    {"Mul by a number, then by columns",
     "init f float32[3] = 1 2 3; init g float32 = 2; m = Mul(w, f); v = Mul(m, g)",
     {2, 8, 18, 8, 20, 36}},
};

static void test_scaled(void **state)
{
    (void)state;
    void *scratch = test_alloc(OQ_READ_SCRATCH_NBYTES);
    for (size_t i = 0; i < COUNT(scaled); i++) {
        struct oq_source source;
        onnxq_error error;
        float values[6];
        bool found;
        const onnxq_model *model =
            test_model(test_printf("init w float32[2,3] = 1 2 3 4 5 6\n%s", scaled[i].text));
        oq_error_init(&error);
        assert_true(oq_source_find(&source, model, model->graphs.list[0], "v", true,
                                   test_arena((size_t)16 << 20), &found, &error));
        if (!found)
            fail_msg("%s: not found", scaled[i].name);
        assert_int_equal(source.nelem, 6);
        assert_true(oq_source_read_floats(&source, 0, 6, values, scratch, &error));
        for (size_t k = 0; k < 6; k++)
            if (fabsf(values[k] - scaled[i].expected[k]) > 1e-6F)
                fail_msg("%s: element %zu is %g", scaled[i].name, k, (double)values[k]);
    }
}

int main(void)
{
    TEST_ROWS(test_find, rows);
    TEST(test_inputs);
    TEST(test_scopes);
    TEST(test_hostile);
    TEST(test_read);
    TEST(test_scaled);
    return suite_run();
}
