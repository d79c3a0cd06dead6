/* First layers: where inputs are in a weight, whether features feed it, and what it is like. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quantize/decide/steps.h"
#include "quantize/decide/view.h"
#include "support/models.h"

#define OPSET "opset 17; opset com.microsoft 1; opset ai.onnx.ml 3; in x float32; "

/* The model, whose first initializer is the weight w; element i of w is element(i). Its output is
 * y, or z where there is one. */
static const onnxq_plan *make_plan(const char *text, float (*element)(const void *, uint64_t),
                                   const void *data)
{
    onnxq_options options = test_options();
    struct builder *builder = test_builder(
        test_printf(OPSET "%s; out %s float32", text, strstr(text, "z = ") != NULL ? "z" : "y"));
    const Oq__Pb__TensorProto *proto = builder->graph->initializer[0];
    float *w = (float *)(void *)proto->raw_data.data;
    for (uint64_t i = 0; element != NULL && i < proto->raw_data.len / sizeof(*w); i++)
        w[i] = element(data, i);
    return test_plan(test_open(builder), &options);
}

static struct oq_site *first_use(const onnxq_plan *plan)
{
    for (size_t i = 0; i < plan->n_constants; i++)
        for (size_t k = 0; k < plan->constants[i].n_sites; k++)
            if (strcmp(plan->constants[i].sites[k].node->output[0], "y") == 0 &&
                plan->constants[i].tensor != NULL && plan->constants[i].tensor->ordinal == 0)
                return &plan->constants[i].sites[k];
    for (size_t i = 0; i < plan->n_constants; i++) /* what is made of it */
        for (size_t k = 0; k < plan->constants[i].n_sites; k++)
            if (strcmp(plan->constants[i].sites[k].node->output[0], "y") == 0)
                return &plan->constants[i].sites[k];
    return NULL;
}

/* --- inputs and outputs --- */

static const struct view_row {
    const char *name, *text, *expected; /* "inputs taps outputs/all outputs", and which way */
} views[] = {
    {"MatMul", "init w float32[4,5]; y = MatMul(x, w)", "4 1 5/5"},
    {"MatMul, many", "init w float32[4,65]; y = MatMul(x, w)", "4 1 64/65"},
    {"MatMul on the left", "init w float32[4,5]; y = MatMul(w, x)", "5 1 4/4 turned"},
    {"MatMul of one matrix", "init w float32[1,4,5]; y = MatMul(x, w)", "4 1 5/5"},
    {"MatMul of matrices", "init w float32[2,4,5]; y = MatMul(x, w)", "-"},
    {"MatMul of a vector", "init w float32[5]; y = MatMul(x, w)", "-"},
    {"MatMul of nothing", "init w float32[0,5]; y = MatMul(x, w)", "-"},
    {"MatMul behind Transpose", "init w float32[4,5]; t = Transpose(w); y = MatMul(x, t)",
     "5 1 4/4 turned"},
    {"Gemm", "init w float32[4,5]; y = Gemm(x, w)", "4 1 5/5"},
    {"Gemm, turned", "init w float32[4,5]; y = Gemm(x, w) transB=1", "5 1 4/4 turned"},
    {"Gemm on the left", "init w float32[4,5]; y = Gemm(w, x)", "5 1 4/4 turned"},
    {"Gemm on the left, turned", "init w float32[4,5]; y = Gemm(w, x) transA=1", "4 1 5/5"},
    {"bias of Gemm", "init w float32[4,5]; y = Gemm(x, x, w)", "-"},
    {"FusedMatMul", "init w float32[4,5]; y = com.microsoft::FusedMatMul(x, w) transB=1",
     "5 1 4/4 turned"},
    {"Attention",
     "init w float32[4,12]; y = com.microsoft::Attention(x, w, b) num_heads=2; "
     "init b float32[12]",
     "4 1 12/12"},
    {"bias of Attention", "init w float32[4,12]; y = com.microsoft::Attention(x, x, w) num_heads=2",
     "-"},
    {"LSTM", "init w float32[1,8,3]; init r float32[1,8,2]; y = LSTM(x, w, r) hidden_size=2",
     "3 1 8/8 turned"},
    {"RNN", "init w float32[1,8,3]; init r float32[1,8,8]; y = RNN(x, w, r) hidden_size=8",
     "3 1 8/8 turned"},
    {"Conv", "init w float32[6,4,3,2]; y = Conv(x, w)", "4 6 6/6 turned"},
    {"Conv of a point", "init w float32[6,4,1]; y = Conv(x, w)", "4 1 6/6 turned"},
    {"Conv in groups", "init w float32[6,2,3]; y = Conv(x, w) group=2", "-"},
    {"image of Conv", "init w float32[1,4,9]; y = Conv(w, x)", "-"},
    {"ConvTranspose", "init w float32[6,4,3,2]; y = ConvTranspose(x, w)", "-"},
    {"long inputs", "init w float32[32769,40]; y = MatMul(x, w)", "32769 1 31/40"},
    {"Einsum", "init w float32[4,5]; y = Einsum(x, w) equation=\"bi,io->bo\"", "4 1 5/5"},
    {"Einsum with spaces", "init w float32[4,5]; y = Einsum(x, w) equation=\" b i , i o -> b o\"",
     "4 1 5/5"},
    {"Einsum, turned", "init w float32[4,5]; y = Einsum(x, w) equation=\"bi,oi->bo\"",
     "5 1 4/4 turned"},
    {"Einsum on the left", "init w float32[4,5]; y = Einsum(w, x) equation=\"io,bi->bo\"",
     "4 1 5/5"},
    {"Einsum of both kept", "init w float32[4,5]; y = Einsum(x, w) equation=\"b,io->bio\"", "-"},
    {"Einsum of none kept", "init w float32[4,5]; y = Einsum(x, w) equation=\"b,io->b\"", "-"},
    {"Einsum of no result", "init w float32[4,5]; y = Einsum(x, w) equation=\"bi,io\"", "-"},
    {"Einsum of three", "init w float32[4,5]; y = Einsum(x, w, x) equation=\"bi,io,bi->bo\"", "-"},
    {"Einsum of matrices", "init w float32[2,4,5]; y = Einsum(x, w) equation=\"bi,kio->bo\"", "-"},
};

static const char *describe(bool found, const struct oq_view *view)
{
    if (!found)
        return "-";
    return test_printf("%llu %llu %llu/%llu%s", (unsigned long long)view->n_inputs,
                       (unsigned long long)view->n_taps, (unsigned long long)view->n_outputs,
                       (unsigned long long)view->n_all_outputs, view->is_turned ? " turned" : "");
}

static float its_number(const void *data, uint64_t i)
{
    (void)data;
    return (float)i + 1;
}

static void test_view(void **state)
{
    const struct view_row *row = *state;
    const struct oq_site *site = first_use(make_plan(row->text, its_number, NULL));
    struct oq_view view;
    assert_non_null(site);
    const bool found = oq_view_find(site, &view);
    check_text(describe(found, &view), row->expected);
    if (!found)
        return;
    const uint64_t n = view.n_inputs * view.n_taps * view.n_outputs;
    float *x = test_alloc((size_t)n * sizeof(*x));
    assert_true(oq_view_read(&view, x, test_alloc(OQ_READ_SCRATCH_NBYTES)));
    const uint64_t in = view.is_turned ? view.n_taps : view.n_all_outputs;
    const uint64_t out = view.is_turned ? view.n_inputs * view.n_taps : 1;
    for (uint64_t i = 0; i < view.n_inputs; i++)
        for (uint64_t o = 0; o < view.n_outputs; o++) {
            double squares = 0;
            for (uint64_t k = 0; k < view.n_taps; k++)
                squares += pow((double)(i * in + o * out + k + 1), 2);
            assert_compare(fabs((double)*oq_view_element(&view, x, i, o) - sqrt(squares)), <=,
                           1e-6 * sqrt(squares));
        }
}

/* --- features --- */

#define W       "init w float32[8,8]; "
#define PRODUCT "; y = MatMul(h, w)"

static const struct fed_row {
    const char *name, *text;
    bool expected;
} fed[] = {
    {"at once", W "h = Identity(x)" PRODUCT, true},
    {"on the left", W "y = MatMul(w, x)", true},
    {"a table alone", W "init t float32[4,8]; in i int64; h = Gather(t, i)" PRODUCT, false},
    {"constants alone", W "init t float32[8,8]; h = Abs(t)" PRODUCT, false},
    {"a product", W "init v float32[8,8]; h = MatMul(x, v)" PRODUCT, false},
    {"inputs beside each other", W "in u float32; h = Concat(x, u) axis=0" PRODUCT, true},
    {"a Softmax", W "h = Softmax(x)" PRODUCT, false},
    {"a Softmax beside an input", W "r = Softmax(x); h = Concat(x, r) axis=0" PRODUCT, false},
    {"first of two", W "r = Softmax(x); h = Concat(r, x) axis=0" PRODUCT, false},
    {"a Relu", W "h = Relu(x)" PRODUCT, true},
    {"a root", W "a = Abs(x); h = Sqrt(a)" PRODUCT, true},
    {"a power", W "init p float32[] = 2; h = Pow(x, p)" PRODUCT, true},
    {"Sum", W "h = Sum(x, x)" PRODUCT, true},
    {"a mean", W "h = ReduceMean(x) axes=[0]" PRODUCT, true},
    {"a product of features", W "h = ReduceProd(x) axes=[0]" PRODUCT, true},
    {"AveragePool", W "h = AveragePool(x) kernel_shape=[2]" PRODUCT, true},
    {"BatchNormalization",
     W "init s float32[8]; init v float32[8]; h = BatchNormalization(x, s, s, s, v)" PRODUCT, true},
    {"LayerNormalization", W "init s float32[8]; h = LayerNormalization(x, s)" PRODUCT, false},
    {"Einsum of one", W "h = Einsum(x) equation=\"bi->bi\"" PRODUCT, true},
    {"Einsum of two", W "h = Einsum(x, x) equation=\"bi,bi->bi\"" PRODUCT, false},
    {"a sine", W "h = Sin(x)" PRODUCT, false},
    {"a row of one",
     W "init d int64[]; init v float32[2]; in i int64; o = OneHot(i, d, v); "
       "h = Concat(x, o) axis=0" PRODUCT,
     true},
    {"an unknown operator", W "h = custom::Op(x)" PRODUCT, false},
    {"Where", W "in c bool; h = Where(c, x, z); init z float32[]" PRODUCT, true},
    {"Where chooses by anything", W "r = Relu(x); c = Cast(r) to=9; h = Where(c, x, x)" PRODUCT,
     true},
    {"Where takes a Softmax", W "in c bool; r = Softmax(x); h = Where(c, r, x)" PRODUCT, false},
    {"or the other way", W "in c bool; r = Softmax(x); h = Where(c, x, r)" PRODUCT, false},
    {"Add", W "init b float32[8]; h = Add(x, b)" PRODUCT, true},
    {"Add of a Softmax", W "r = Softmax(x); h = Add(x, r)" PRODUCT, false},
    {"Div", W "init b float32[8]; h = Div(x, b)" PRODUCT, true},
    {"Max", W "init b float32[8]; h = Max(x, b)" PRODUCT, true},
    {"Min", W "init b float32[8]; h = Min(x, b)" PRODUCT, true},
    {"Mul", W "init b float32[8]; h = Mul(b, x)" PRODUCT, true},
    {"Sub", W "init b float32[8]; h = Sub(x, b)" PRODUCT, true},
    {"Abs", W "h = Abs(x)" PRODUCT, true},
    {"Neg", W "h = Neg(x)" PRODUCT, true},
    {"Clip", W "r = Relu(x); h = Clip(x, r)" PRODUCT, true},
    {"a mask of anything",
     W "init b float32[]; r = Relu(x); g = Greater(r, b); c = Cast(g) to=1; h = Mul(x, c)" PRODUCT,
     true},
    {"a mask alone", W "init b float32[]; g = Less(x, b); h = Cast(g) to=1" PRODUCT, false},
    {"Imputer", W "h = ai.onnx.ml::Imputer(x)" PRODUCT, true},
    {"Scaler", W "h = ai.onnx.ml::Scaler(x)" PRODUCT, true},
    {"Normalizer", W "h = ai.onnx.ml::Normalizer(x)" PRODUCT, false},
    {"Scaler of another domain", W "h = custom::Scaler(x)" PRODUCT, false},
    {"rearranged", W "h = Transpose(x)" PRODUCT, true},
    {"a long way",
     W "a = Abs(x); b = Abs(a); c = Abs(b); d = Abs(c); e = Abs(d); f = Abs(e); h = Abs(f)" PRODUCT,
     true},
    {"input of a body",
     "init u float32[8,8]; z = Scan(x) body={ in a float32; init w float32[8,8]; "
     "y = MatMul(a, w); out y float32 }; y = Identity(z)",
     false},
};

static void test_fed(void **state)
{
    const struct fed_row *row = *state;
    const onnxq_plan *plan = make_plan(row->text, NULL, NULL);
    for (size_t i = 0; i < plan->n_constants; i++)
        if (strcmp(plan->constants[i].name, "w") == 0) {
            assert_int_equal(plan->constants[i].n_sites, 1);
            assert_int_equal(oq_site_is_fed(plan, &plan->constants[i].sites[0]), row->expected);
            return;
        }
    assert_true(false);
}

/* So many values are looked at: what is multiplied and the input among them. */
static void test_fed_by_many(void **state)
{
    static const struct {
        size_t n;
        bool expected;
    } lengths[] = {{94, true}, {95, false}, {99, false}};
    (void)state;
    for (size_t i = 0; i < COUNT(lengths); i++) {
        const char *text = W "a0 = Abs(x)";
        for (size_t k = 1; k < lengths[i].n; k++)
            text = test_printf("%s; a%zu = Abs(a%zu)", text, k, k - 1);
        text =
            test_printf("%s; h = Concat(x, a%zu) axis=0; y = MatMul(h, w)", text, lengths[i].n - 1);
        const onnxq_plan *plan = make_plan(text, NULL, NULL);
        assert_int_equal(oq_site_is_fed(plan, first_use(plan)), lengths[i].expected);
    }
}

/* --- beside what the network has computed: s are features, h is not --- */

#define HIDDEN "in s float32[N,3]; init v float32[4,5]; h = MatMul(x, v); "
#define WEIGHT "init w float32[8,8]; "
#define JOINED WEIGHT HIDDEN "c = Concat(h, s) axis=1; "
#define STATE  " body={ in a float32[N,5]; in b float32[N,3]; init w float32[8,8]; "
#define LEAVES "y = MatMul(c, w); o = Identity(y); out y float32; out o float32 }"

static const struct part_row {
    const char *name, *text, *expected;
} parts[] = {
    {"behind", JOINED "y = MatMul(c, w)", "5-8"},
    {"before", WEIGHT HIDDEN "c = Concat(s, h) axis=1; y = MatMul(c, w)", "0-3"},
    {"from the end", WEIGHT HIDDEN "c = Concat(h, s) axis=-1; y = MatMul(c, w)", "5-8"},
    {"between",
     WEIGHT HIDDEN "in r float32[N,1]; g = MatMul(x, v); l = Softmax(x); "
                   "c = Concat(l, r, h) axis=-1; y = MatMul(c, w)",
     "2-3"},
    {"between what is of no known size",
     WEIGHT HIDDEN "l = Softmax(x); c = Concat(l, s, l) axis=-1; y = MatMul(c, w)", ""},
    {"of no known size",
     WEIGHT HIDDEN "in u float32[N,M]; c = Concat(h, u) axis=1; "
                   "y = MatMul(c, w)",
     "5-8"},
    {"twice",
     WEIGHT HIDDEN "in r float32[N,1]; l = Softmax(x); "
                   "c = Concat(r, l, s) axis=1; y = MatMul(c, w)",
     "0-1 5-8"},
    {"along another axis",
     WEIGHT "in s float32[N,8]; l = Softmax(x); "
            "c = Concat(l, s) axis=0; y = MatMul(c, w)",
     "0-8"},
    {"handed on",
     WEIGHT HIDDEN "a = Cast(s) to=1; r = Relu(a); c = Concat(h, r) axis=1; "
                   "y = MatMul(c, w)",
     "5-8"},
    {"with a new axis",
     WEIGHT "in t float32[N]; init i int64[1] = 1; l = Softmax(x); "
            "u = Unsqueeze(t, i); c = Concat(l, u) axis=1; y = MatMul(c, w)",
     "7-8"},
    {"with a new axis, from the end",
     WEIGHT "in t float32[N]; init i int64[1] = -1; l = Softmax(x); u = Unsqueeze(t, i); "
            "c = Concat(l, u) axis=-1; y = MatMul(c, w)",
     "7-8"},
    {"without an axis",
     WEIGHT "in t float32[1,N,3]; init i int64[1] = 0; l = Softmax(x); "
            "u = Squeeze(t, i); c = Concat(l, u) axis=1; y = MatMul(c, w)",
     "5-8"},
    {"a mean",
     WEIGHT "in t float32[N,6,3]; l = Softmax(x); u = ReduceMean(t) axes=[1] keepdims=0; "
            "c = Concat(l, u) axis=1; y = MatMul(c, w)",
     "5-8"},
    {"a mean of features",
     WEIGHT "in t float32[N,3]; l = Softmax(x); u = ReduceMean(t) axes=[1]; "
            "c = Concat(l, u) axis=1; y = MatMul(c, w)",
     "7-8"},
    {"transposed",
     WEIGHT "in t float32[3,N]; l = Softmax(x); c = Concat(l, t) axis=0; "
            "u = Transpose(c) perm=[1,0]; y = MatMul(u, w)",
     "5-8"},
    {"on the left",
     WEIGHT "in t float32[3,N]; l = Softmax(x); c = Concat(l, t) axis=0; "
            "y = MatMul(w, c)",
     "5-8"},
    {"Gemm", JOINED "y = Gemm(c, w)", "5-8"},
    {"Gemm, turned",
     WEIGHT "in t float32[3,N]; l = Softmax(x); c = Concat(l, t) axis=0; "
            "y = Gemm(c, w) transA=1",
     "5-8"},
    {"Conv",
     "init w float32[8,8,1]; in t float32[N,3,M]; l = Softmax(x); "
     "c = Concat(l, t) axis=1; y = Conv(c, w)",
     "5-8"},
    {"LSTM",
     "init w float32[1,8,8]; init r float32[1,8,2]; in t float32[L,N,3]; l = Softmax(x); "
     "c = Concat(l, t) axis=2; y = LSTM(c, w, r) hidden_size=2",
     "5-8"},
    {"one in another",
     WEIGHT HIDDEN "in r float32[N,1]; l = Softmax(x); d = Concat(s, r) axis=1; "
                   "c = Concat(l, d) axis=1; y = MatMul(c, w)",
     "4-7 7-8"},
    {"added to it", WEIGHT "in s float32[N,8]; l = Softmax(x); a = Add(s, l); y = MatMul(a, w)",
     "0-8"},
    {"a mask of it", WEIGHT "in m float32[N,1]; l = Softmax(x); a = Mul(m, l); y = MatMul(a, w)",
     ""},
    {"a mask of rows", WEIGHT "in m float32[N,M]; l = Softmax(x); a = Mul(m, l); y = MatMul(a, w)",
     ""},
    {"scanned",
     "in s float32[L,N,3]; init z float32[2,5]; y, n = Scan(z, s) num_scan_inputs=1" STATE
     "c = Concat(a, b) axis=1; " LEAVES,
     "5-8"},
    {"a state",
     "in s float32[N,5]; in t float32[L,N,3]; init q float32[1]; y, n = Scan(s, t) "
     "num_scan_inputs=1" STATE "k = Softmax(b); c = Concat(a, k) axis=1; " LEAVES,
     ""},
    {"scanned along another axis",
     "in s float32[N,L,3]; init z float32[2,5]; y, n = Scan(z, s) num_scan_inputs=1 "
     "scan_input_axes=[1]" STATE "c = Concat(a, b) axis=1; " LEAVES,
     ""},
};

static void test_part(void **state)
{
    const struct part_row *row = *state;
    const onnxq_plan *plan = make_plan(row->text, NULL, NULL);
    struct oq_fed found = {.is_all = true};
    for (size_t i = 0; i < plan->n_constants; i++)
        if (strcmp(plan->constants[i].name, "w") == 0)
            oq_site_find_fed(plan, &plan->constants[i].sites[0], 8, &found);
    assert_false(found.is_all);
    const char *text = "";
    for (size_t i = 0; i < found.n; i++)
        text = test_printf("%s%s%d-%d", text, i > 0 ? " " : "", (int)found.rows[i].first,
                           (int)found.rows[i].end);
    check_text(text, row->expected);
}

/* --- what a weight is like --- */

/* Elements are 1 and -1 in turn, and of input 1 `small`; by number of input and output. */
static const struct loss_row {
    const char *name, *text;
    uint64_t inputs, outputs;
    bool turned;
    float small;
    enum { DENSE, LARGE, SELECTS, SELECTS_FEW, SELECTS_HALF, SUMS_TWO, SUMS_TWO_LATE } kind;
    const char *expected;
} losses[] = {
    {"alike", "init w float32[4,32]; y = MatMul(x, w)", 4, 32, false, 1, DENSE, "- -"},
    {"unlike", "init w float32[4,32]; y = MatMul(x, w)", 4, 32, false, 0.053f, DENSE,
     "unlike 16 -"},
    {"not enough", "init w float32[4,32]; y = MatMul(x, w)", 4, 32, false, 0.056f, DENSE, "- -"},
    {"too much", "init w float32[4,32]; y = MatMul(x, w)", 4, 32, false, 0.0016f, DENSE,
     "unlike float -"},
    {"nearly too much", "init w float32[4,32]; y = MatMul(x, w)", 4, 32, false, 0.0018f, DENSE,
     "unlike 16 -"},
    {"one is nothing", "init w float32[4,32]; y = MatMul(x, w)", 4, 32, false, 0, DENSE, "- -"},
    {"one of two", "init w float32[2,32]; y = MatMul(x, w)", 2, 32, false, 0.01f, DENSE,
     "unlike 16 -"},
    {"one large output", "init w float32[4,32]; y = MatMul(x, w)", 4, 32, false, 1, LARGE, "- -"},
    {"one large output, turned", "init w float32[32,4]; y = Gemm(x, w) transB=1", 4, 32, true, 1,
     LARGE, "- -"},
    {"turned", "init w float32[32,4]; y = Gemm(x, w) transB=1", 4, 32, true, 0.053f, DENSE,
     "unlike 16 -"},
    {"few outputs", "init w float32[4,31]; y = MatMul(x, w)", 4, 31, false, 0.01f, DENSE, "- -"},
    {"an inner layer", "init w float32[4,32]; h = Softmax(x); y = MatMul(h, w)", 4, 32, false,
     0.01f, DENSE, "- -"},
    {"selects", "init w float32[4,32]; y = MatMul(x, w)", 4, 32, false, 1, SELECTS, "selects -"},
    {"selects inside", "init w float32[4,32]; h = Softmax(x); y = MatMul(h, w)", 4, 32, false, 1,
     SELECTS, "selects -"},
    {"selects inside, turned", "init w float32[32,4]; h = Softmax(x); y = Gemm(h, w) transB=1", 4,
     32, true, 1, SELECTS, "selects -"},
    {"half of the outputs", "init w float32[4,32]; h = Softmax(x); y = MatMul(h, w)", 4, 32, false,
     1, SELECTS_HALF, "selects -"},
    {"less than half", "init w float32[4,32]; h = Softmax(x); y = MatMul(h, w)", 4, 32, false, 1,
     SELECTS_FEW, "- -"},
    {"two of an output", "init w float32[4,32]; h = Softmax(x); y = MatMul(h, w)", 4, 32, false, 1,
     SUMS_TWO, "- -"},
    {"two of an output, turned", "init w float32[32,4]; h = Softmax(x); y = Gemm(h, w) transB=1", 4,
     32, true, 1, SUMS_TWO, "- -"},
    {"two of the last output", "init w float32[4,32]; h = Softmax(x); y = MatMul(h, w)", 4, 32,
     false, 1, SUMS_TWO_LATE, "- -"},
    {"a kernel selects nothing", "init w float32[32,4,2]; h = Softmax(x); y = Conv(h, w)", 8, 32,
     true, 1, SELECTS, "- -"},
    {"one input", "init w float32[1,32]; y = MatMul(x, w)", 1, 32, false, 1, DENSE, "- -"},
};

static float loss_element(const void *data, uint64_t i)
{
    const struct loss_row *row = data;
    const uint64_t input = row->turned ? i % row->inputs : i / row->outputs;
    const uint64_t output = row->turned ? i / row->inputs : i % row->outputs;
    const float size = input == 1 ? row->small : 1;
    const bool is_its = input == output % row->inputs;
    switch (row->kind) {
    case LARGE: /* without input 1 */
        return output > 0 ? 1 : input == 1 ? 0 : 1000;
    case SELECTS:
        return is_its ? 1 : 0;
    case SELECTS_HALF:
        return is_its && output % 2 == 0 ? 1 : 0;
    case SELECTS_FEW:
        return is_its && output % 2 == 0 && output > 0 ? 1 : 0;
    case SUMS_TWO:
        return is_its || input == (output + 1) % row->inputs ? 1 : 0;
    case SUMS_TWO_LATE:
        return is_its || (output + 1 == row->outputs && input == 0) ? 1 : 0;
    default:
        return (input + output) % 2 == 0 ? size : -size;
    }
}

static const char *bits_of(const struct oq_objection *objection)
{
    return objection->enough == OQ_FLOAT ? " float" : objection->enough == OQ_16_BITS ? " 16" : "";
}

/* Of a weight that was not looked at yet. */
static void look(onnxq_plan *plan, const struct oq_site *site, struct oq_objection *inputs,
                 struct oq_objection *offset)
{
    struct oq_constant constant = *site->constant;
    memset(constant.seen, 0, sizeof(constant.seen));
    oq_plan_look_at_features(plan, &constant, site, inputs, offset);
}

static const char *objections(const onnxq_plan *made)
{
    onnxq_plan *plan = (onnxq_plan *)(uintptr_t)made;
    struct oq_objection inputs, offset;
    struct oq_site site = *first_use(plan);
    site.needs_floats = NULL;
    look(plan, &site, &inputs, &offset);
    const char *what = inputs.reason == NULL                     ? "-"
                       : strstr(inputs.reason, "unlike") != NULL ? "unlike"
                                                                 : "selects";
    return test_printf("%s%s %s%s", what, bits_of(&inputs), offset.reason == NULL ? "-" : "offset",
                       bits_of(&offset));
}

static void test_loss(void **state)
{
    const struct loss_row *row = *state;
    check_text(objections(make_plan(row->text, loss_element, row)), row->expected);
}

/* What is known to need floats is not asked again, but for its bias. */
static void test_known(void **state)
{
    const struct loss_row row = {.inputs = 4, .outputs = 32, .small = 0.01f};
    struct oq_objection inputs, offset;
    (void)state;
    const onnxq_plan *made = make_plan(
        "init w float32[4,32]; init b float32[32] = 100; y = Gemm(x, w, b)", loss_element, &row);
    onnxq_plan *plan = (onnxq_plan *)(uintptr_t)made;
    struct oq_site site = *first_use(plan);
    site.needs_floats = "";
    look(plan, &site, &inputs, &offset);
    assert_null(inputs.reason);
    assert_non_null(offset.reason);
    assert_int_equal(offset.enough, OQ_16_BITS);
}

/* --- what its bias is like: each output has a norm of 2 --- */

#define GEMM "init w float32[4,8]; init b float32[8] "

/* What is left has a deviation of 2. */
#define MEAN      "init w float32[4,8]; init v float32[8] = 4; init m float32[8] "
#define CONV_MEAN "init w float32[8,4,1]; init v float32[8] = 4; init m float32[8] "
#define NORMALIZE "; z = BatchNormalization(y, m, m, m, v)"

static const struct bias_row {
    const char *name, *text, *expected;
} biases[] = {
    {"none", "init w float32[4,8]; y = Gemm(x, w)", "- -"},
    {"large", GEMM "= 6.1; y = Gemm(x, w, b)", "- offset 16"},
    {"not enough", GEMM "= 5.9; y = Gemm(x, w, b)", "- -"},
    {"negative", GEMM "= -6.1; y = Gemm(x, w, b)", "- offset 16"},
    {"too large", GEMM "= 513; y = Gemm(x, w, b)", "- offset float"},
    {"nearly too large", GEMM "= 511; y = Gemm(x, w, b)", "- offset 16"},
    {"half of them", GEMM "= 0 7; y = Gemm(x, w, b)", "- -"},
    {"more than half", GEMM "= 7 7 7 7 7 0 0 0; y = Gemm(x, w, b)", "- offset 16"},
    {"half too large", GEMM "= 7 600; y = Gemm(x, w, b)", "- offset 16"},
    {"more than half too large", GEMM "= 600 600 600 600 600 0 0 0; y = Gemm(x, w, b)",
     "- offset float"},
    {"few outputs", "init w float32[4,7]; init b float32[7] = 7; y = Gemm(x, w, b)", "- -"},
    {"alpha", GEMM "= 6.1; y = Gemm(x, w, b) alpha=2.0", "- -"},
    {"small alpha", GEMM "= 2.9; y = Gemm(x, w, b) alpha=0.01", "- -"},
    {"what is left is about 1", GEMM "= 3.1; y = Gemm(x, w, b) alpha=0.01", "- offset 16"},
    {"no alpha", GEMM "= 600; y = Gemm(x, w, b) alpha=0.0", "- -"},
    {"beta", GEMM "= 6.1; y = Gemm(x, w, b) beta=0.5", "- -"},
    {"large beta", GEMM "= 3.1; y = Gemm(x, w, b) beta=2.0", "- offset 16"},
    {"of one number", "init w float32[4,8]; init b float32[1] = 7; y = Gemm(x, w, b)", "- -"},
    {"of integers", "init w float32[4,8]; init b int32[8] = 7; y = Gemm(x, w, b)", "- -"},
    {"an inner layer", GEMM "= 7; h = Softmax(x); y = Gemm(h, w, b)", "- -"},
    {"added", GEMM "= 7; y = MatMul(x, w); z = Add(y, b)", "- offset 16"},
    {"added to it", GEMM "= 7; y = MatMul(x, w); z = Add(b, y)", "- offset 16"},
    {"taken off", GEMM "= 7; y = MatMul(x, w); z = Sub(y, b)", "- offset 16"},
    {"multiplied", GEMM "= 7; y = MatMul(x, w); z = Mul(y, b)", "- -"},
    {"added to Gemm", GEMM "= 7; y = Gemm(x, w) beta=0.1; z = Add(y, b)", "- offset 16"},
    {"not enough for Gemm", GEMM "= 4; y = Gemm(x, w) beta=0.1; z = Add(y, b)", "- -"},
    {"FusedGemm", GEMM "= 3.1; y = com.microsoft::FusedGemm(x, w, b) beta=2.0 activation=\"Relu\"",
     "- offset 16"},
    {"RNN",
     "init w float32[1,8,4]; init r float32[1,8,8]; init b float32[8] = 99; "
     "y = RNN(x, w, r) hidden_size=8; z = Add(y, b)",
     "- -"},
    {"rearranged",
     GEMM "= 7; y = MatMul(x, w); u = Identity(y); v = Identity(u); t = Identity(v); "
          "z = Add(t, b)",
     "- offset 16"},
    {"rearranged for long",
     GEMM "= 7; y = MatMul(x, w); u = Identity(y); v = Identity(u); t = Identity(v); "
          "s = Identity(t); r = Identity(s); q = Identity(r); p = Identity(q); "
          "o = Identity(p); z = Add(o, b)",
     "- -"},
    {"in a row", GEMM "= 4; y = MatMul(x, w); a = Add(y, b); z = Add(a, b)", "- offset 16"},
    {"and off again", GEMM "= 7; y = MatMul(x, w); a = Add(y, b); z = Sub(a, b)", "- -"},
    {"off, the other way round",
     GEMM "= 4; y = MatMul(x, w); a = Add(y, b); c = Sub(b, a); d = Sub(c, b); z = Add(d, b)",
     "- -"},
    {"beside its own", GEMM "= 4; y = Gemm(x, w, b); z = Add(y, b)", "- offset 16"},
    {"behind factors",
     GEMM "= 7; init f float32[8] = 2; y = MatMul(x, w); a = Mul(y, f); "
          "z = Add(a, b)",
     "- -"},
    {"behind small ones",
     GEMM "= 7; init f float32[8] = 2; y = MatMul(x, w); a = Div(y, f); "
          "z = Add(a, b)",
     "- offset 16"},
    {"behind one factor",
     GEMM "= 7; init f float32[] = 0.5; y = MatMul(x, w); a = Mul(y, f); "
          "z = Add(a, b)",
     "- -"},
    {"factors behind it",
     GEMM "= 5; init f float32[8] = 2; y = MatMul(x, w); a = Add(y, b); "
          "z = Mul(a, f)",
     "- -"},
    {"a mean that is taken off", MEAN "= 6.1; y = MatMul(x, w)" NORMALIZE, "- offset 16"},
    {"a small one", MEAN "= 5.9; y = MatMul(x, w)" NORMALIZE, "- -"},
    {"behind Gemm", MEAN "= 4; y = Gemm(x, w, m)" NORMALIZE, "- -"},
    {"behind Conv", CONV_MEAN "= -6.1; y = Conv(x, w)" NORMALIZE, "- offset 16"},
    {"nothing known of it",
     MEAN "= 7; in n float32[8]; y = MatMul(x, w); z = BatchNormalization(y, m, m, n, v)", "- -"},
    {"used twice", GEMM "= 7; y = MatMul(x, w); z = Add(y, b); r = Relu(y); out r float32", "- -"},
    {"put together", GEMM "= 7; y = MatMul(x, w); c = Concat(y) axis=0; z = Add(c, b)", "- -"},
    {"the shape of something",
     GEMM "= 7; y = MatMul(x, w); init r float32[2]; c = Expand(r, y); z = Add(c, b)", "- -"},
    {"Conv", "init w float32[8,4,1]; init b float32[8] = 7; y = Conv(x, w, b)", "- offset 16"},
    {"a kernel", "init w float32[8,2,2]; init b float32[8] = 7; y = Conv(x, w, b)", "- offset 16"},
    {"a kernel, not enough", "init w float32[8,2,2]; init b float32[8] = 5.9; y = Conv(x, w, b)",
     "- -"},
};

static float sign_of(const void *data, uint64_t i)
{
    (void)data;
    return i % 2 == 0 ? 1 : -1;
}

static void test_bias(void **state)
{
    const struct bias_row *row = *state;
    check_text(objections(make_plan(row->text, sign_of, NULL)), row->expected);
}

int main(void)
{
    TEST_ROWS(test_view, views);
    TEST_ROWS(test_fed, fed);
    TEST(test_fed_by_many);
    TEST_ROWS(test_part, parts);
    TEST_ROWS(test_loss, losses);
    TEST(test_known);
    TEST_ROWS(test_bias, biases);
    return suite_run();
}
