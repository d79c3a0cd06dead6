/* Where two models compute the same value in unlike ways, and the models made to measure it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "layers/layers.h"
#include "layers/probe.h"
#include "support/models.h"

static onnxq_model *open_as(const char *text, const char *name)
{
    const char *path = test_path(name);
    assert_true(builder_write(test_builder(text), path));
    return test_open_path(path);
}

static struct oq_layer_sites find_sites(const onnxq_model *reference, const onnxq_model *candidate)
{
    struct oq_layer_sites sites;
    onnxq_error error;
    oq_error_init(&error);
    if (!oq_layer_sites_find(&sites, reference, candidate, test_arena((size_t)16 << 20), &error))
        fail_msg("%s", test_error_text(&error));
    return sites;
}

static const char *join(const struct oq_name_list *names)
{
    const char *text = "";
    for (size_t i = 0; i < names->count; i++)
        text = test_printf("%s %s", text, names->list[i]);
    return text;
}

/* NAME Operator -> form = values <- inputs [nodes] exclude: names */
static const char *describe(const struct oq_layer_sites *sites)
{
    const char *text = "";
    for (size_t i = 0; i < sites->count; i++) {
        const struct oq_layer_site *site = &sites->list[i];
        const char *nodes = "";
        for (size_t k = 0; k < site->nodes.count; k++)
            nodes = test_printf("%s%s%zu", nodes, k > 0 ? "," : "", site->nodes.list[k]);
        text = test_printf("%s%s %s -> %s =%s <-%s [%s] exclude:%s", text, site->name,
                           site->op_type, site->form, join(&site->values), join(&site->inputs),
                           nodes, join(&site->weights));
        if (site->n_inside > 0)
            text = test_printf("%s inside: %zu", text, site->n_inside);
        if (site->unobservable != NULL)
            text = test_printf("%s (%s)", text, site->unobservable);
        text = test_printf("%s\n", text);
    }
    return text;
}

#define HEAD   "opset 17; opset com.microsoft 1; in x float32[N,4]\n"
#define WEIGHT "init w float32[4,2] = 1 2 3 4 5 6 7 8\n"
#define FLOAT  HEAD WEIGHT "mm: h = MatMul(x, w); y = Relu(h); out y float32"
#define DYNAMIC                                                                                    \
    "init wq int8[4,2]; init ws float32[2]; xq, xs, xz = DynamicQuantizeLinear(x)\n"               \
    "hi = MatMulInteger(xq, wq, xz); hc = Cast(hi) to=1; hs = Mul(xs, ws)\n"

static const struct row {
    const char *name, *reference, *candidate, *expected;
} rows[] = {
    {"the same", FLOAT, FLOAT, ""},
    {"the same weight, stored in another field", FLOAT,
     HEAD "init w float32[4,2] packed = 1 2 3 4 5 6 7 8; mm: h = MatMul(x, w); y = Relu(h)\n"
          "out y float32",
     ""},
    {"the same weight, in a side file", FLOAT,
     HEAD "init w float32[4,2] external = 1 2 3 4 5 6 7 8; mm: h = MatMul(x, w); y = Relu(h)\n"
          "out y float32",
     ""},
    {"the same weight, in pieces",
     HEAD "init w float32[4,2] pieces; h = MatMul(x, w); y = Relu(h); out y float32",
     HEAD "init w float32[4,2] pieces; h = MatMul(x, w); y = Relu(h); out y float32", ""},
    {"an element of one in pieces",
     HEAD "init w float32[4,2] pieces = 1; mm: h = MatMul(x, w); y = Relu(h); out y float32",
     HEAD "init w float32[4,2] pieces = 2; mm: h = MatMul(x, w); y = Relu(h); out y float32",
     "mm MatMul -> other weights or operators = h <- x [0] exclude: mm\n"},
    {"the same long list of integers",
     "opset 17; in x float32[99]; init i int64[99] packed; y = Gather(x, i); out y float32",
     "opset 17; in x float32[99]; init i int64[99] packed; y = Gather(x, i); out y float32", ""},
    {"another element", FLOAT,
     HEAD "init w float32[4,2] = 1 2 3 4 5 6 7 9; mm: h = MatMul(x, w); y = Relu(h)\n"
          "out y float32",
     "mm MatMul -> other weights or operators = h <- x [0] exclude: mm\n"},
    {"MatMulInteger", FLOAT, HEAD DYNAMIC "h = Mul(hc, hs); y = Relu(h); out y float32",
     "mm MatMul -> MatMulInteger = h <- x [0,1,2,3,4] exclude: mm\n"},
    {"a weight that is folded keeps its name", FLOAT,
     HEAD "init wq int8[4,2]; init ws float32[2]; wc = Cast(wq) to=1; w = Mul(wc, ws)\n"
          "h = MatMul(x, w); y = Relu(h); out y float32",
     "mm MatMul -> int8 folded = h <- x [0,1,2] exclude: mm\n"},
    {"DequantizeLinear", FLOAT,
     HEAD "init wq int8[4,2]; init ws float32; w = DequantizeLinear(wq, ws); h = MatMul(x, w)\n"
          "y = Relu(h); out y float32",
     "mm MatMul -> DequantizeLinear = h <- x [0,1] exclude: mm\n"},
    {"MatMulNBits", FLOAT,
     HEAD "init wq uint8[2,1,8]; init ws float32[2]\n"
          "h = com.microsoft::MatMulNBits(x, wq, ws) K=4 N=2 bits=4 block_size=16\n"
          "y = Relu(h); out y float32",
     "mm MatMul -> MatMulNBits = h <- x [0] exclude: mm\n"},
    {"inner values that are gone make one site of several",
     HEAD WEIGHT "a: h = MatMul(x, w); b: i = Relu(h); c: y = Tanh(i); out y float32",
     HEAD DYNAMIC "g = Mul(hc, hs); i2 = Relu(g); y = Tanh(i2); out y float32",
     "c Tanh -> MatMulInteger = y <- x [0,1,2,3,4,5,6] exclude: a\n"},
    {"names that moved to other places", FLOAT,
     HEAD WEIGHT "h2 = MatMul(x, w); y = Relu(h2); out y float32", ""},
    {"two sites that share what quantizes their input",
     HEAD WEIGHT "a: h = MatMul(x, w); b: i = MatMul(x, w); y = Add(h, i); out y float32",
     HEAD DYNAMIC "h = Mul(hc, hs); ii = MatMulInteger(xq, wq, xz); ic = Cast(ii) to=1\n"
                  "i = Mul(ic, hs); y = Add(h, i); out y float32",
     "a MatMul -> MatMulInteger = h <- x [0,1,2,3,4] exclude: a\n"
     "b MatMul -> MatMulInteger = i <- x [0,3,5,6,7] exclude: b\n"},
    {"outputs of one node are one site",
     HEAD "init w float32[1,8,4]; init r float32[1,8,2]\n"
          "rnn: s, last = LSTM(x, w, r) hidden_size=2; out s float32; out last float32",
     HEAD "init w int8[1,4,8]; init r int8[1,2,8]; init ws float32; init wz int8\n"
          "s, last = com.microsoft::DynamicQuantizeLSTM(x, w, r, , , , , , ws, wz, ws, wz) "
          "hidden_size=2; out s float32; out last float32",
     "rnn LSTM -> DynamicQuantizeLSTM = s last <- x [0] exclude: rnn\n"},
    {"rows of a table",
     "opset 17; in i int64[N]; init w float32[4,2]; g: y = Gather(w, i); out y float32",
     "opset 17; in i int64[N]; init wq int8[4,2]; init ws float32[4,1]; q = Gather(wq, i)\n"
     "c = Cast(q) to=1; s = Gather(ws, i); y = Mul(c, s); out y float32",
     "g Gather -> int8 rows = y <- i [0,1,2,3] exclude: g\n"},
    {"a weight behind other constants is selected by its own name",
     HEAD WEIGHT "init p int64[2] = 4 2; v = Reshape(w, p); mm: y = MatMul(x, v); out y float32",
     HEAD "init w float32[4,2] = 1; init p int64[2] = 4 2; v = Reshape(w, p)\n"
          "mm: y = MatMul(x, v); out y float32",
     "mm MatMul -> other weights or operators = y <- x [0,1] exclude: w\n"},
    {"another attribute", HEAD "s: y = Softmax(x) axis=0; out y float32",
     HEAD "s: y = Softmax(x) axis=1; out y float32",
     "s Softmax -> other weights or operators = y <- x [0] exclude:\n"},
    {"attributes in another order", HEAD WEIGHT "y = Gemm(x, w) alpha=0.5 beta=0.5; out y float32",
     HEAD WEIGHT "y = Gemm(x, w) beta=0.5 alpha=0.5; out y float32", ""},
    {"a body",
     HEAD WEIGHT "in c bool; if: y = If(c) then_branch={ mm: t = MatMul(x, w); out t float32 } "
                 "else_branch={ e = Relu(x); out e float32 }; out y float32",
     HEAD "in c bool; init wq int8[4,2]; init ws float32[2]\n"
          "y = If(c) then_branch={ xq, xs, xz = DynamicQuantizeLinear(x); "
          "i = MatMulInteger(xq, wq, xz); f = Cast(i) to=1; s = Mul(xs, ws); t = Mul(f, s); "
          "out t float32 } else_branch={ e = Relu(x); out e float32 }; out y float32",
     "if If -> in its bodies = y <- c x [0] exclude: mm inside: 1\n"},
    {"an input that the reference lacks", FLOAT,
     HEAD "in z float32[4,2]; h = MatMul(x, z); y = Relu(h); out y float32",
     "mm MatMul -> other weights or operators = h <- x z [0] exclude: mm "
     "(it reads an input that the reference lacks)\n"},
};

static void test_sites(void **state)
{
    const struct row *row = *state;
    const onnxq_model *reference = open_as(row->reference, "reference.onnx");
    const onnxq_model *candidate = open_as(row->candidate, "candidate.onnx");
    struct oq_layer_sites sites = find_sites(reference, candidate);
    check_text(describe(&sites), row->expected);
}

/* What onnxq itself writes. */
static void test_own_output(void **state)
{
    (void)state;
    onnxq_options options = test_options();
    options.force_integer = true;
    const onnxq_model *reference = test_model(
        HEAD "init w float32[4,2]; init v float32[2,3]; init b float32[3]\n"
             "first: h = MatMul(x, w); r = Relu(h); second: y = Gemm(r, v, b); out y float32");
    const onnxq_model *candidate = test_open_path(test_write(test_plan(reference, &options)));
    struct oq_layer_sites sites = find_sites(reference, candidate);
    assert_int_equal(sites.n_common, 3);
    assert_int_equal(sites.count, 2);
    assert_string_equal(sites.list[0].name, "first");
    assert_string_equal(sites.list[0].form, "MatMulInteger");
    check_text(join(&sites.list[1].inputs), " r");
    check_text(join(&sites.list[1].weights), " second");
}

static void test_no_common_values(void **state)
{
    (void)state;
    struct oq_layer_sites sites = find_sites(open_as(HEAD "y = Relu(x); out y float32", "a.onnx"),
                                             open_as(HEAD "z = Relu(x); out z float32", "b.onnx"));
    assert_int_equal(sites.n_common, 0);
    assert_int_equal(sites.count, 0);
}

/* What a body reads several times is one input of the site. */
static void test_outer_values(void **state)
{
    (void)state;
    const char *inputs = "", *reads = "";
    for (int k = 0; k < 10; k++) {
        inputs = test_printf("%s; in v%d float32", inputs, k);
        reads = test_printf("%s, v%d, v%d", reads, k, k);
    }
    const char *models[2], *const ops[] = {"Relu", "Tanh"};
    for (int i = 0; i < 2; i++)
        models[i] = test_printf(
            "opset 17; in c bool%s; y = If(c) then_branch={ t = Sum(v0%s); out t float32 } "
            "else_branch={ e = %s(v1); out e float32 }; out y float32",
            inputs, reads, ops[i]);
    struct oq_layer_sites sites =
        find_sites(open_as(models[0], "a.onnx"), open_as(models[1], "b.onnx"));
    assert_int_equal(sites.count, 1);
    assert_int_equal(sites.list[0].inputs.count, 11);
}

/* A graph whose nodes read each other: found by walking, which has to end. */
static void test_cycle(void **state)
{
    (void)state;
    struct oq_layer_sites sites = find_sites(
        open_as(HEAD "a = Add(b, x); b = Add(a, x); y = Relu(b); out y float32", "a.onnx"),
        open_as(HEAD "c = Add(d, x); d = Add(c, x); y = Relu(d); out y float32", "b.onnx"));
    assert_compare(sites.count, <=, 1);
}

/* --- models made in memory --- */

static void fini_probe(void *thing)
{
    oq_probe_fini(thing);
}

static struct oq_probe *make_probe(const onnxq_model *model)
{
    struct oq_probe *probe = test_alloc(sizeof(*probe));
    onnxq_error error;
    oq_error_init(&error);
    test_defer(fini_probe, probe);
    if (!oq_probe_init(probe, model, &error))
        fail_msg("%s", test_error_text(&error));
    return probe;
}

static struct oq_array like(int32_t data_type, size_t n_dims)
{
    static int64_t dims[8];
    return (struct oq_array){.data_type = data_type, .dims = dims, .n_dims = n_dims};
}

static void test_more_outputs(void **state)
{
    (void)state;
    onnxq_error error;
    oq_error_init(&error);
    struct oq_probe *probe = make_probe(test_model(FLOAT));
    assert_true(oq_probe_add_output(probe, "h", &error));
    assert_true(oq_probe_add_output(probe, "y", &error)); /* is one already */
    assert_int_equal(probe->proto->graph->n_output, 2);
    assert_string_equal(probe->proto->graph->output[1]->name, "h");
}

static void test_delta(void **state)
{
    (void)state;
    onnxq_error error;
    oq_error_init(&error);
    struct oq_probe *probe = make_probe(test_model(HEAD "h = Tanh(x); y = Relu(h); out y float32"));
    struct oq_array array = like(1, 2);
    assert_string_equal(oq_probe_add_delta(probe, "h", &array, &error), "h_delta");
    check_text(test_graph_text(probe->proto->graph), "in x float32[N,4]\n"
                                                     "in h_delta float32\n"
                                                     "h_before = Tanh(x)\n"
                                                     "h = Add(h_before, h_delta)\n"
                                                     "y = Relu(h)\n"
                                                     "out y float32\n");
}

/* Each site reads the reference's values, also of a value that another site makes. */
static void test_sites_alone(void **state)
{
    (void)state;
    onnxq_error error;
    oq_error_init(&error);
    const onnxq_model *reference = open_as(
        HEAD "init v float32[4,4] = 1; init unused float32[4]\n"
             "h = MatMul(x, v); t = Tanh(h); y = MatMul(h, v); out y float32; out t float32",
        "reference.onnx");
    const onnxq_model *candidate =
        open_as("ir 3; " HEAD "init v float32[4,4] = 2; init unused float32[4]\n"
                "h = MatMul(x, v); t = Tanh(h); y = MatMul(h, v); out y float32; out t float32",
                "candidate.onnx");
    struct oq_layer_sites sites = find_sites(reference, candidate);
    assert_int_equal(sites.count, 2);
    struct oq_probe *probe = make_probe(candidate);
    const struct oq_layer_site *both[] = {&sites.list[0], &sites.list[1]};
    const char *made[2];
    struct oq_array array = like(1, 2);
    assert_true(oq_probe_keep_sites(probe, both, 2, made, &error));
    assert_true(oq_probe_add_input(probe, "x", &array, true, &error));
    assert_true(oq_probe_add_input(probe, "h", &array, true, &error));
    assert_string_equal(made[1], "y_apart");
    assert_int_equal(probe->proto->ir_version, 4);
    check_text(test_graph_text(probe->proto->graph), "in x float32[N,N]\n"
                                                     "in h float32[N,N]\n"
                                                     "init v float32[4,4]\n"
                                                     "h_apart = MatMul(x, v)\n"
                                                     "y_apart = MatMul(h, v)\n"
                                                     "out h_apart\n"
                                                     "out y_apart\n");
}

/* Entry of a tensor's external_data. */
static const char *entry(const Oq__Pb__TensorProto *tensor, const char *key)
{
    for (size_t i = 0; i < tensor->n_external_data; i++)
        if (strcmp(tensor->external_data[i]->key, key) == 0)
            return tensor->external_data[i]->value;
    return "";
}

/* Weights stay in their files: the model's own, and one in a folder below. */
static void test_weights_stay(void **state)
{
    (void)state;
    const char *path = test_path("m.onnx");
    struct builder *builder = test_builder(
        HEAD "init w float32[32,32]; init e float32[32,32] external; init s float32[2]\n"
             "y = Relu(x); out y float32");
    assert_true(builder_write(builder, path));
    const struct oq_probe *probe = make_probe(test_open_path(path));
    const Oq__Pb__TensorProto *w = test_tensor(probe->proto->graph, "w");
    const Oq__Pb__TensorProto *e = test_tensor(probe->proto->graph, "e");
    size_t nbytes;
    test_read_file(path, &nbytes);
    assert_string_equal(entry(w, "location"), "m.onnx");
    assert_string_equal(entry(w, "length"), "4096");
    assert_true(strtoull(entry(w, "offset"), NULL, 10) + 4096 <= nbytes);
    assert_string_equal(entry(e, "location"), "m.onnx.data");
    assert_int_equal(test_tensor(probe->proto->graph, "s")->n_external_data, 0);
    assert_int_equal(probe->folder[strlen(probe->folder) - 1], '/');
}

static void test_names_are_new(void **state)
{
    (void)state;
    struct oq_probe *probe =
        make_probe(test_model(HEAD "h = Tanh(x); h_delta = Relu(h); out h_delta float32"));
    assert_string_equal(oq_probe_name(probe, "h", "_delta"), "h_delta2");
    assert_string_equal(oq_probe_name(probe, "h", "_before"), "h_before");
}

/* --- the report --- */

static struct oq_layer_site named_site(const char *name, const char *weight)
{
    struct oq_layer_site site = {.name = name, .op_type = "MatMul", .form = "MatMulInteger"};
    if (weight != NULL)
        assert_true(oq_name_list_add(&site.weights, weight, test_arena((size_t)16 << 20)));
    return site;
}

static const char *print(const struct oq_layers *layers, const char *reference, int level)
{
    size_t nbytes;
    const char *path = test_path("report");
    FILE *stream = fopen(path, "w");
    assert_non_null(stream);
    oq_layers_print_text(layers, reference, "model.int8.onnx", level, stream);
    fclose(stream);
    return (const char *)test_read_file(path, &nbytes);
}

static void test_report(void **state)
{
    (void)state;
    struct oq_layer_site sites[] = {named_site("a\nb", "it's"), named_site("c", NULL),
                                    named_site("d", NULL)};
    sites[2].n_inside = 3;
    struct oq_layer list[] = {{&sites[0], 0.01, 40, 0.25, 0.5, NULL},
                              {&sites[1], 0, INFINITY, 0, (double)NAN, NULL},
                              {&sites[2], (double)NAN, 0, 0, 0, "it is no tensor"}};
    struct oq_layers layers = {.sites = {.n_common = 9}, .list = list, .count = 3, .n_inside = 3};
    check_text(print(&layers, "my model.onnx", 0),
               "  site  operator                  outputs %     added %    added dB    so far %\n"
               "  a\\nb  MatMul -> MatMulInteger      50.000       1.000        40.0      25.000\n"
               "  c     MatMul -> MatMulInteger           -       0.000         inf       0.000\n"
               "  not measured: d: it is no tensor\n"
               "  3 quantized operators in bodies of If, Loop or Scan are not told apart\n"
               "  the most is gained by:\n"
               "    onnxq quantize --exclude='it'\\''s' 'my model.onnx' model.int8.mixed.onnx\n");
}

static void test_report_without_effects(void **state)
{
    (void)state;
    struct oq_layer_site site = named_site("a", "a\033[2J");
    struct oq_layer list[] = {{&site, 0.01, 40, 0.25, (double)NAN, NULL}};
    struct oq_layers layers = {
        .sites = {.n_common = 9}, .list = list, .count = 1, .no_effects = "opset 6"};
    check_text(print(&layers, "m.onnx", 0),
               "  site  operator                    added %    added dB    so far %\n"
               "  a     MatMul -> MatMulInteger       1.000        40.0      25.000\n"
               "  effects on the outputs are not known: opset 6\n");
}

static void test_report_of_nothing(void **state)
{
    (void)state;
    struct oq_layers layers = {0};
    check_text(
        print(&layers, "m.onnx", 0),
        "  no inner value has the same name in both models: there are no layers to compare\n");
    layers.sites.n_common = 4;
    check_text(print(&layers, "m.onnx", 0),
               "  both models compute all their 4 common values alike\n");
}

int main(void)
{
    TEST_ROWS(test_sites, rows);
    TEST(test_own_output);
    TEST(test_no_common_values);
    TEST(test_outer_values);
    TEST(test_cycle);
    TEST(test_more_outputs);
    TEST(test_delta);
    TEST(test_sites_alone);
    TEST(test_weights_stay);
    TEST(test_names_are_new);
    TEST(test_report);
    TEST(test_report_without_effects);
    TEST(test_report_of_nothing);
    return suite_run();
}
