/* Matrices of linear algebra, told from their numbers. */
#include <math.h>
#include <string.h>

#include "quantize/decide/steps.h"
#include "support/models.h"

/* What an element is made of: the row and the column that it has where the matrix is not turned. */
typedef double (*element_fn)(uint64_t row, uint64_t column, uint64_t n);

static double any(uint64_t row, uint64_t column, uint64_t n)
{
    return sin((double)(row * n + column) * 12.9898) + 0.1;
}

/* Rows sum up to zero. */
static double differences(uint64_t row, uint64_t column, uint64_t n)
{
    return column == row ? 1 : column == (row + 1) % n ? -1 : 0;
}

static double differences_of_some(uint64_t row, uint64_t column, uint64_t n)
{
    return row % 4 == 3 ? any(row, column, n) : differences(row, column, n);
}

static double differences_of_fewer(uint64_t row, uint64_t column, uint64_t n)
{
    return row % 4 == 3 || row + 3 > n ? any(row, column, n) : differences(row, column, n);
}

/* One in sixteen sums is not zero, and these come first. */
static double differences_behind(uint64_t row, uint64_t column, uint64_t n)
{
    return row < 9 ? any(row, column, n) : differences(row, column, n);
}

static double differences_from_eighth(uint64_t row, uint64_t column, uint64_t n)
{
    return row < 8 ? any(row, column, n) : differences(row, column, n);
}

static double nearly_zero(uint64_t row, uint64_t column, uint64_t n)
{
    return differences(row, column, n) * (column == row ? 1.013 : 1);
}

static double not_zero(uint64_t row, uint64_t column, uint64_t n)
{
    return differences(row, column, n) * (column != row ? 1 : row % 2 == 0 ? 1.015 : 0.985);
}

/* Four rows are something. */
static double few_sums(uint64_t row, uint64_t column, uint64_t n)
{
    return row < 4 ? differences(row, column, n) : 0;
}

static double five_sums(uint64_t row, uint64_t column, uint64_t n)
{
    return row < 5 ? differences(row, column, n) : 0;
}

/* Between 0 and 1, at random enough. */
static double part(uint64_t row, uint64_t column, uint64_t n)
{
    return fabs(any(row, column, n)) / 1.2 + 0.01;
}

/* Two places, as far as the row is from the one to the other. */
static double between(uint64_t row, uint64_t column, uint64_t n)
{
    const double far = part(row, 0, n);
    return column == row ? far : column == (row + 1) % n ? 1 - far : 0;
}

static double beyond_one(uint64_t row, uint64_t column, uint64_t n)
{
    return between(row, column, n) * (row % 2 == 0 ? 1.002 : 0.997);
}

/* As large as the next, of both signs. */
static double equal_sums(uint64_t row, uint64_t column, uint64_t n)
{
    double sum = 0;
    for (uint64_t i = 1; i < n; i++)
        sum += any(row, i, n);
    return column == 0 ? 2 - sum : any(row, column, n);
}

/* Beside one on the diagonal, sizes as given, in steps of 8 bits. */
static double beside(uint64_t row, uint64_t column, uint64_t n, double steps)
{
    const double size = steps / INT8_MAX * (1 + 0.01 * any(row, column, n));
    return column == row ? 1 : (row + column * column) % 3 == 0 ? -size : size;
}

static double hidden(uint64_t row, uint64_t column, uint64_t n)
{
    return beside(row, column, n, 5.7);
}

static double seen(uint64_t row, uint64_t column, uint64_t n)
{
    return beside(row, column, n, 6.3);
}

static double hidden_in_some(uint64_t row, uint64_t column, uint64_t n)
{
    return beside(row, column, n, row % 2 == 0 || row == 1 ? 1 : 20);
}

static double hidden_in_fewer(uint64_t row, uint64_t column, uint64_t n)
{
    return beside(row, column, n, row % 4 != 0 ? 20 : 1);
}

static double one_number(uint64_t row, uint64_t column, uint64_t n)
{
    (void)n;
    return row == column ? 1 : 0;
}

static double symmetric(uint64_t row, uint64_t column, uint64_t n)
{
    return any(row < column ? row : column, row < column ? column : row, n);
}

static double symmetric_of_one_sign(uint64_t row, uint64_t column, uint64_t n)
{
    return fabs(symmetric(row, column, n));
}

static double symmetric_below_zero(uint64_t row, uint64_t column, uint64_t n)
{
    return -fabs(symmetric(row, column, n));
}

static double nearly_symmetric(uint64_t row, uint64_t column, uint64_t n)
{
    return symmetric(row, column, n) + (row == n - 1 && column == 0 ? 0.9e-5 : 0);
}

static double hardly_symmetric(uint64_t row, uint64_t column, uint64_t n)
{
    return symmetric(row, column, n) + (row == n - 1 && column == 0 ? 1.2e-5 : 0);
}

/* Rows of the cosine transform are orthogonal; backwards, they are not symmetric. */
static double rotation(uint64_t row, uint64_t column, uint64_t n)
{
    return cos(acos(-1) * ((double)column + 0.5) * ((double)(n - row) - 0.5) / (double)n);
}

static double whitening(uint64_t row, uint64_t column, uint64_t n)
{
    return rotation(row, column, n) * (row == 1 ? 8.1 : 1);
}

static double mild_whitening(uint64_t row, uint64_t column, uint64_t n)
{
    return rotation(row, column, n) * (row == 1 ? 7.9 : 1);
}

static double whitening_but_for_one(uint64_t row, uint64_t column, uint64_t n)
{
    return row == 2 ? rotation(2, column, n) + 1.5e-3 * rotation(3, column, n)
                    : whitening(row, column, n);
}

static double nearly_whitening(uint64_t row, uint64_t column, uint64_t n)
{
    return row == 2 ? rotation(2, column, n) + 0.5e-3 * rotation(3, column, n)
                    : whitening(row, column, n);
}

static double whitening_of_nothing(uint64_t row, uint64_t column, uint64_t n)
{
    return row == 2 ? 0 : whitening(row, column, n);
}

#define RIGHT(dims)  "init w float32" dims "; h = Relu(x); y = MatMul(h, w)"
#define LEFT(dims)   "init w float32" dims "; h = Relu(x); y = MatMul(w, h)"
#define TURNED(dims) "init w float32" dims "; h = Relu(x); y = Gemm(h, w) transB=1"
#define CONV(dims)   "init w float32" dims "; h = Relu(x); y = Conv(h, w)"
#define SUMS         "zero"
#define MIRROR       "symmetric"
#define WHITENING    "orthogonal"
#define ONE          "sums up to one"
#define HIDDEN       "hides"
#define FEW_INPUTS   "so few inputs"
#define FEW_OUTPUTS  "so few outputs"

/* `is_turned`: rows of element() are columns of the tensor. */
static const struct row {
    const char *name, *text;
    uint64_t columns; /* of the tensor */
    bool is_turned;
    element_fn element;
    const char *expected;
} rows[] = {
    {"any", RIGHT("[16,16]"), 16, true, any, NULL},
    {"sums on the right", RIGHT("[16,16]"), 16, true, differences, SUMS},
    {"sums of inputs' rows", RIGHT("[16,16]"), 16, false, differences_of_some, NULL},
    {"sums on the left", LEFT("[16,16]"), 16, false, differences, SUMS},
    {"sums, turned", TURNED("[16,16]"), 16, false, differences, SUMS},
    {"sums behind Transpose",
     "init w float32[16,16]; t = Transpose(w); h = Relu(x); "
     "y = MatMul(h, t)",
     16, false, differences_of_some, SUMS},
    {"sums of Gemm on the left", "init w float32[16,16]; h = Relu(x); y = Gemm(w, h) transA=1", 16,
     true, differences_of_some, SUMS},
    {"sums of Gemm on the left, as they are",
     "init w float32[16,16]; h = Relu(x); y = Gemm(w, h) transB=1", 16, false, differences_of_some,
     SUMS},
    {"bias", "init w float32[16,16]; h = Relu(x); y = Gemm(h, h, w)", 16, true, differences, NULL},
    {"another operator", "init w float32[16,16]; y = Add(x, w)", 16, true, differences, NULL},
    {"sums of Einsum",
     "init w float32[16,16]; h = Relu(x); y = Einsum(h, w) equation=\"bi,io->bo\"", 16, true,
     differences_of_some, SUMS},
    {"sums of Einsum, the other way",
     "init w float32[16,16]; h = Relu(x); y = Einsum(h, w) equation=\"bi,oi->bo\"", 16, false,
     differences_of_some, SUMS},
    {"sums of a kernel", CONV("[9,1,16]"), 16, false, differences, SUMS},
    {"a kernel of one number", CONV("[9,1,1]"), 1, false, any, NULL},
    {"an image", "init w float32[9,1,16]; h = Relu(x); y = Conv(w, h)", 16, false, differences,
     NULL},
    {"a symmetric kernel", CONV("[16,4,4]"), 16, false, symmetric, NULL},
    {"a whitening kernel", CONV("[16,4,4]"), 16, false, whitening, NULL},
    {"matrices", RIGHT("[2,16,16]"), 16, true, differences, SUMS},
    {"three of four sums", RIGHT("[16,16]"), 16, true, differences_of_some, SUMS},
    {"not so many", RIGHT("[16,16]"), 16, true, differences_of_fewer, NULL},
    {"seven at first", RIGHT("[64,64]"), 64, true, differences_behind, NULL},
    {"eight at first", RIGHT("[64,64]"), 64, true, differences_from_eighth, SUMS},
    {"nearly zero", RIGHT("[16,16]"), 16, true, nearly_zero, SUMS},
    {"not quite", RIGHT("[16,16]"), 16, true, not_zero, NULL},
    {"four sums", RIGHT("[16,16]"), 16, true, few_sums, NULL},
    {"five sums", RIGHT("[16,16]"), 16, true, five_sums, SUMS},
    {"equal sums", RIGHT("[16,16]"), 16, true, equal_sums, SUMS},
    {"equal sums of rows", RIGHT("[16,16]"), 16, false, equal_sums, NULL},
    {"one number each", RIGHT("[16,16]"), 16, true, one_number, NULL},
    {"few inputs", RIGHT("[4,16]"), 16, true, differences, NULL},
    {"few outputs", LEFT("[4,16]"), 16, false, differences, NULL},
    {"a few", LEFT("[5,16]"), 16, false, differences, SUMS},
    {"a few inputs", RIGHT("[16,5]"), 5, true, differences, SUMS},
    {"points", RIGHT("[4,256]"), 256, false, any, FEW_INPUTS},
    {"points on the left", LEFT("[1,256,4]"), 4, false, any, FEW_INPUTS},
    {"five inputs", RIGHT("[5,256]"), 256, false, any, NULL},
    {"one input", RIGHT("[1,2048]"), 2048, false, any, NULL},
    {"fewer points", RIGHT("[3,256]"), 256, false, any, NULL},
    {"a readout", RIGHT("[4096,4]"), 4, false, any, FEW_OUTPUTS},
    {"a large one", RIGHT("[4097,4]"), 4, false, any, NULL},
    {"five outputs", RIGHT("[1000,5]"), 5, false, one_number, NULL},
    {"interpolation", RIGHT("[16,16]"), 16, true, between, ONE},
    {"spread by rows", RIGHT("[16,16]"), 16, false, between, ONE},
    {"not quite one", RIGHT("[16,16]"), 16, true, beyond_one, NULL},
    {"a kernel that interpolates", CONV("[9,1,16]"), 16, false, between, ONE},
    {"large interpolation", RIGHT("[300,300]"), 300, true, between, ONE},
    {"steps of time", RIGHT("[16,16]"), 16, true, hidden, HIDDEN},
    {"steps of time on the left", LEFT("[16,16]"), 16, false, hidden, HIDDEN},
    {"larger steps", RIGHT("[16,16]"), 16, true, seen, NULL},
    {"half of them", RIGHT("[16,16]"), 16, true, hidden_in_some, HIDDEN},
    {"a quarter", RIGHT("[64,64]"), 64, true, hidden_in_fewer, NULL},
    {"many steps of time", RIGHT("[300,300]"), 300, true, hidden, HIDDEN},
    {"kernels that hide", CONV("[16,4,4]"), 16, false, hidden, HIDDEN},
    {"large kernels that hide", CONV("[70,10,10,10]"), 1000, false, hidden, HIDDEN},
    {"matrices that are looked up", "init w float32[3,16,16]; in i int64; y = Gather(w, i)", 16,
     false, between, ONE},
    {"others that are", "init w float32[3,16,16]; in i int64; y = Gather(w, i)", 16, false, hidden,
     NULL},
    {"symmetric", RIGHT("[16,16]"), 16, true, symmetric, MIRROR},
    {"symmetric matrices", RIGHT("[2,16,16]"), 16, false, symmetric, NULL},
    {"symmetric of one sign", RIGHT("[16,16]"), 16, true, symmetric_of_one_sign, NULL},
    {"symmetric below zero", RIGHT("[16,16]"), 16, true, symmetric_below_zero, NULL},
    {"nearly symmetric", RIGHT("[16,16]"), 16, true, nearly_symmetric, MIRROR},
    {"hardly symmetric", RIGHT("[16,16]"), 16, true, hardly_symmetric, NULL},
    {"rotation", RIGHT("[16,16]"), 16, true, rotation, NULL},
    {"whitening", RIGHT("[16,16]"), 16, true, whitening, WHITENING},
    {"some components", LEFT("[9,16]"), 16, false, whitening, WHITENING},
    {"mild whitening", RIGHT("[16,16]"), 16, true, mild_whitening, NULL},
    {"whitening but for one", RIGHT("[16,16]"), 16, true, whitening_but_for_one, NULL},
    {"nearly whitening", RIGHT("[16,16]"), 16, true, nearly_whitening, WHITENING},
    {"whitening of nothing", RIGHT("[16,16]"), 16, true, whitening_of_nothing, NULL},
    {"whitening of many", RIGHT("[80,80]"), 80, true, whitening, WHITENING},
    {"large", RIGHT("[300,300]"), 300, true, differences, SUMS},
    {"large and dense", RIGHT("[300,300]"), 300, true, rotation, NULL},
    {"large and symmetric", RIGHT("[300,300]"), 300, true, symmetric, MIRROR},
    {"large whitening", LEFT("[300,300]"), 300, false, whitening, NULL},
    {"a large first whitening", "init w float32[40,2000]; y = MatMul(w, x)", 2000, false, whitening,
     WHITENING},
    {"a large kernel", CONV("[70,10,10,10]"), 1000, false, differences, NULL},
    {"no larger", RIGHT("[2048,1025]"), 1025, false, differences, NULL},
};

static const struct oq_constant *find_constant(const onnxq_plan *plan)
{
    for (size_t i = 0; i < plan->n_constants; i++)
        for (size_t k = 0; k < plan->constants[i].n_sites; k++)
            if (strcmp(plan->constants[i].sites[k].node->output[0], "y") == 0)
                return &plan->constants[i];
    return NULL;
}

static onnxq_plan *make_plan(const struct row *row)
{
    onnxq_options options = test_options();
    struct builder *builder =
        test_builder(test_printf("opset 17; in x float32; %s; out y float32", row->text));
    const Oq__Pb__TensorProto *proto = builder->graph->initializer[0];
    float *w = (float *)(void *)proto->raw_data.data;
    const uint64_t nelem = proto->raw_data.len / sizeof(*w);
    const uint64_t n_rows = (uint64_t)proto->dims[proto->n_dims == 3 && row->is_turned ? 1 : 0];
    const uint64_t n = row->is_turned ? n_rows : row->columns;
    for (uint64_t i = 0; i < nelem; i++) {
        const uint64_t r = i / row->columns, c = i % row->columns;
        w[i] = (float)(row->is_turned ? row->element(c, r % n_rows, n) : row->element(r, c, n));
    }
    return (onnxq_plan *)(uintptr_t)test_plan(test_open(builder), &options);
}

static void test_structure(void **state)
{
    const struct row *row = *state;
    onnxq_plan *plan = make_plan(row);
    struct oq_site site = find_constant(plan)->sites[0];
    site.structure = NULL;
    const char *reason = oq_plan_find_structure(plan, &site, 0);
    const char *const known[] = {SUMS, MIRROR, WHITENING, ONE, HIDDEN, FEW_INPUTS, FEW_OUTPUTS};
    const char *found = reason;
    for (size_t i = 0; reason != NULL && i < COUNT(known); i++)
        if (strstr(reason, known[i]) != NULL)
            found = known[i];
    check_text(found == NULL ? "-" : found, row->expected == NULL ? "-" : row->expected);
}

/* Another site of the weight has looked already; of another operator, that says nothing. */
static void test_looked_before(void **state)
{
    static const struct row both = {
        .text = RIGHT("[16,16]") "; z = Gemm(h, w); out z float32",
        .columns = 16,
        .is_turned = true,
        .element = differences,
    };
    onnxq_plan *plan = make_plan(&both);
    const struct oq_constant *constant = find_constant(plan);
    (void)state;
    assert_int_equal(constant->n_sites, 2);
    /* The left and the right of something, twice. */
    struct oq_site sites[4];
    for (size_t i = 0; i < COUNT(sites); i++) {
        sites[i] = constant->sites[i % 2];
        sites[i].structure = NULL;
    }
    sites[0].structure = "said before";
    check_text(oq_plan_find_structure(plan, &sites[2], 2), "said before");
    check_text(sites[2].structure, "said before");
    sites[0].structure = sites[2].structure = "";
    assert_null(oq_plan_find_structure(plan, &sites[2], 2));
    check_text(oq_plan_find_structure(plan, &sites[1], 1),
               "its sums are zero, or the same: large terms take each other away");
    sites[1].structure = "said of the other";
    check_text(oq_plan_find_structure(plan, &sites[3], 3), "said of the other");
}

int main(void)
{
    TEST_ROWS(test_structure, rows);
    TEST(test_looked_before);
    return suite_run();
}
