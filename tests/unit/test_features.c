/* First layers: where inputs are in a weight, whether features feed it, and what it is like. */
#include <math.h>
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
    {"a Relu", W "h = Relu(x)" PRODUCT, false},
    {"a Relu beside an input", W "r = Relu(x); h = Concat(x, r) axis=0" PRODUCT, false},
    {"inputs beside each other", W "in u float32; h = Concat(x, u) axis=0" PRODUCT, true},
    {"first of two", W "r = Relu(x); h = Concat(r, x) axis=0" PRODUCT, false},
    {"Where", W "in c bool; h = Where(c, x, z); init z float32[]" PRODUCT, true},
    {"Where chooses by anything", W "r = Relu(x); c = Cast(r) to=9; h = Where(c, x, x)" PRODUCT,
     true},
    {"Where takes a Relu", W "in c bool; r = Relu(x); h = Where(c, r, x)" PRODUCT, false},
    {"or the other way", W "in c bool; r = Relu(x); h = Where(c, x, r)" PRODUCT, false},
    {"Add", W "init b float32[8]; h = Add(x, b)" PRODUCT, true},
    {"Add of a Relu", W "r = Relu(x); h = Add(x, r)" PRODUCT, false},
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
    } lengths[] = {{30, true}, {31, false}, {40, false}};
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
    {"an inner layer", "init w float32[4,32]; h = Relu(x); y = MatMul(h, w)", 4, 32, false, 0.01f,
     DENSE, "- -"},
    {"selects", "init w float32[4,32]; y = MatMul(x, w)", 4, 32, false, 1, SELECTS, "selects -"},
    {"selects inside", "init w float32[4,32]; h = Relu(x); y = MatMul(h, w)", 4, 32, false, 1,
     SELECTS, "selects -"},
    {"selects inside, turned", "init w float32[32,4]; h = Relu(x); y = Gemm(h, w) transB=1", 4, 32,
     true, 1, SELECTS, "selects -"},
    {"half of the outputs", "init w float32[4,32]; h = Relu(x); y = MatMul(h, w)", 4, 32, false, 1,
     SELECTS_HALF, "selects -"},
    {"less than half", "init w float32[4,32]; h = Relu(x); y = MatMul(h, w)", 4, 32, false, 1,
     SELECTS_FEW, "- -"},
    {"two of an output", "init w float32[4,32]; h = Relu(x); y = MatMul(h, w)", 4, 32, false, 1,
     SUMS_TWO, "- -"},
    {"two of an output, turned", "init w float32[32,4]; h = Relu(x); y = Gemm(h, w) transB=1", 4,
     32, true, 1, SUMS_TWO, "- -"},
    {"two of the last output", "init w float32[4,32]; h = Relu(x); y = MatMul(h, w)", 4, 32, false,
     1, SUMS_TWO_LATE, "- -"},
    {"a kernel selects nothing", "init w float32[32,4,2]; h = Relu(x); y = Conv(h, w)", 8, 32, true,
     1, SELECTS, "- -"},
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
    {"an inner layer", GEMM "= 7; h = Relu(x); y = Gemm(h, w, b)", "- -"},
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
          "s = Identity(t); z = Add(s, b)",
     "- -"},
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
    TEST_ROWS(test_loss, losses);
    TEST(test_known);
    TEST_ROWS(test_bias, biases);
    return suite_run();
}
