/* Differences of arrays, and the measures of them; expected numbers are worked out by hand. */
#include <math.h>
#include <string.h>

#include "compare/measures.h"
#include "check/output_pairs.h"
#include "onnx.pb-c.h"
#include "support/suite.h"

#define TYPE(number) OQ__PB__TENSOR_PROTO__DATA_TYPE__##number
#define NONE         ((double)NAN)
#define INF          ((double)INFINITY)

static void release(void *array)
{
    oq_array_fini(array);
}

static struct oq_array *make_dims(int32_t data_type, const double *values, const int64_t *dims,
                                  size_t n_dims)
{
    struct oq_array *array = test_alloc(sizeof(*array));
    onnxq_error error = {0};
    test_defer(release, array);
    assert_true(oq_array_init(array, "x", data_type, dims, n_dims, &error));
    for (uint64_t i = 0; i < array->nelem; i++)
        oq_array_put_double(array, i, values[i]);
    return array;
}

static struct oq_array *make(int32_t data_type, const double *values, int64_t rows, int64_t columns)
{
    const int64_t dims[] = {rows, columns};
    return make_dims(data_type, values, dims, 2);
}

static struct oq_array *make_strings(const char *const *strings, int64_t count)
{
    struct oq_array *array = test_alloc(sizeof(*array));
    onnxq_error error = {0};
    test_defer(release, array);
    assert_true(oq_array_init_strings(array, "x", strings, &count, 1, &error));
    return array;
}

static void check_number(const char *what, double found, double expected)
{
    bool same = isnan(expected)   ? isnan(found)
                : isinf(expected) ? found == expected
                                  : fabs(found - expected) <= 1e-12 * fmax(1, fabs(expected));
    if (!same)
        fail_msg("%s is %.17g, expected %.17g", what, found, expected);
}

/* --- floats ---------------------------------------------------------------------- */

static const struct float_row {
    const char *name;
    double reference[6], candidate[6]; /* [2,3] */
    double measures[OQ_N_MEASURES - 1];
    uint64_t worst, n_one_sided;
} float_rows[] = {
    /* ||a||^2 = 4 + 4 + 1 + 16 = 25, differences 0.5, 0.5, 1, 1: ||d||^2 = 2.5,
       a.b = 2*2.5 + 2*1.5 + 1*0 + 4*5 = 28, ||b||^2 = 6.25 + 2.25 + 0 + 25 = 33.5 */
    {"known",
     {2, 2, 0, 1, 4, 0},
     {2.5, 1.5, 0, 0, 5, 0},
     {1, 0.5, 0.31622776601683794, 0.9675326366511234, 10, 1},
     3,
     0},
    {"same", {1, -2, 3, 0, 5, -6}, {1, -2, 3, 0, 5, -6}, {0, 0, 0, 1, INF, 1}, OQ_NO_ELEMENT, 0},
    {"zeros", {0}, {0}, {0, 0, 0, 1, INF, 1}, OQ_NO_ELEMENT, 0},
    {"negative zero", {0}, {-0.0, 0, 0, -0.0, 0, 0}, {0, 0, 0, 1, INF, 1}, OQ_NO_ELEMENT, 0},
    {"from zeros", {0}, {0, 0, 3, 0, 0, 0}, {3, 0.5, INF, 0, -INF, 0.5}, 2, 0},
    {"to zeros", {0, 3, 0, 0, 0, 0}, {0}, {3, 0.5, 1, 0, 0, 0.5}, 1, 0},
    {"opposite", {1, 2, 3, 4, 5, 6}, {-1, -2, -3, -4, -5, -6}, {12, 7, 2, -1, NONE, 0}, 5, 0},
    {"twice as much", {1, 2, 3, 4, 5, 6}, {2, 4, 6, 8, 10, 12}, {6, 3.5, 1, 1, 0, 1}, 5, 0},
    {"NaN in both",
     {NAN, 1, 2, 3, 4, 5},
     {NAN, 1, 2, 3, 4, 5},
     {0, 0, 0, 1, INF, 1},
     OQ_NO_ELEMENT,
     0},
    {"infinite in both",
     {INFINITY, -INFINITY, 2, 3, 4, 5},
     {INFINITY, -INFINITY, 2, 3, 4, 5},
     {0, 0, 0, 1, INF, 1},
     OQ_NO_ELEMENT,
     0},
    {"NaN beside a difference",
     {NAN, 0, 0, 3, 4, 0},
     {NAN, 0, 0, 3, 4, 1},
     {1, 1.0 / 5, 0.2, 0.9805806756909202, 13.979400086720377, 1},
     5,
     0},
    {"NaN of the candidate",
     {1, 1, 1, 1, 1, 1},
     {1, 2, 1, 1, NAN, 1},
     {INF, INF, INF, NONE, -INF, 0},
     4,
     1},
    {"NaN of the reference",
     {1, NAN, 1, 1, 1, 1},
     {1, 1, 1, 1, 1, 1},
     {INF, INF, INF, NONE, -INF, 0.5},
     1,
     1},
    {"infinite in one",
     {1, 1, 1, INFINITY, 1, 1},
     {INFINITY, 1, 1, 3e38, 1, 1},
     {INF, INF, INF, NONE, -INF, 1},
     0,
     2},
    {"infinite in two ways",
     {INFINITY, 1, 1, 1, 1, 1},
     {-INFINITY, 1, 1, 1, 1, 1},
     {INF, INF, INF, NONE, -INF, 0.5},
     0,
     1},
};

static void test_floats(void **state)
{
    const struct float_row *row = *state;
    struct oq_difference difference;
    uint64_t worst;
    oq_compare(make(TYPE(FLOAT), row->reference, 2, 3), make(TYPE(FLOAT), row->candidate, 2, 3),
               NULL, &difference, &worst);
    for (size_t m = 0; m < OQ_MEASURE_AGREEMENT; m++) {
        double expected = row->measures[m];
        if (m == OQ_MEASURE_SQNR && isnan(expected))
            expected = -20 * log10(row->measures[OQ_MEASURE_RELATIVE]);
        check_number(oq_measures[m].key, oq_measure_get((enum oq_measure)m, &difference), expected);
    }
    assert_int_equal(worst, row->worst);
    assert_int_equal(difference.n_one_sided, row->n_one_sided);
    assert_int_equal(difference.nelem, 6);
}

static void test_relative_of_elements(void **state)
{
    (void)state;
    const double a[] = {0, -2, 4, 8}, b[] = {1, -3, 5, 8};
    struct oq_difference difference;
    uint64_t worst;
    oq_compare(make(TYPE(DOUBLE), a, 1, 4), make(TYPE(DOUBLE), b, 1, 4), NULL, &difference, &worst);
    check_number("max_relative", difference.max_relative, 0.5);
    assert_int_equal(worst, 0); /* the first of equally far ones */
}

/* Types that hold 0.5, 1.5 and 2 exactly; each against float32. */
static const struct type_row {
    const char *name;
    int32_t data_type;
} type_rows[] = {{"float32", TYPE(FLOAT)},
                 {"float64", TYPE(DOUBLE)},
                 {"float16", TYPE(FLOAT16)},
                 {"bfloat16", TYPE(BFLOAT16)}};

static void test_types(void **state)
{
    const struct type_row *row = *state;
    const double a[] = {0.5, 1.5, -2}, b[] = {0.5, 2, -2};
    struct oq_difference difference;
    uint64_t worst;
    oq_compare(make(TYPE(FLOAT), a, 1, 3), make(row->data_type, b, 1, 3), NULL, &difference,
               &worst);
    assert_int_equal(difference.n_equal, 2);
    assert_int_equal(worst, 1);
    check_number("max_abs", difference.max_abs, 0.5);
    check_number("relative", oq_measure_get(OQ_MEASURE_RELATIVE, &difference), 0.5 / sqrt(6.5));
    assert_int_equal(oq_value_class(make(row->data_type, b, 1, 3)), OQ_CLASS_FLOAT);
}

/* Rows that are longer than what is read at a time. */
static void test_long_rows(void **state)
{
    (void)state;
    const int64_t rows = 3, columns = 1111;
    double *a = test_alloc((size_t)(rows * columns) * sizeof(*a));
    double *b = test_alloc((size_t)(rows * columns) * sizeof(*b));
    struct oq_difference difference;
    uint64_t worst;
    a[1000] = b[1000] = 5;                                      /* the same place */
    a[columns + 1] = b[columns + 1110] = 5;                     /* another one */
    a[2 * columns] = b[2 * columns] = b[2 * columns + 600] = 5; /* the first of two */
    oq_compare(make(TYPE(FLOAT), a, rows, columns), make(TYPE(FLOAT), b, rows, columns), NULL,
               &difference, &worst);
    assert_int_equal(difference.n_rows, 3);
    assert_int_equal(difference.n_rows_agreeing, 2);
    assert_int_equal(worst, columns + 1);
}

static const struct rows_row {
    const char *name;
    int64_t dims[3];
    size_t n_dims;
    uint64_t n_rows;
} rows_rows[] = {{"scalar", {0}, 0, 0},        {"vector", {6}, 1, 1},     {"column", {6, 1}, 2, 0},
                 {"batch", {2, 3, 1}, 3, 0},   {"cube", {1, 3, 2}, 3, 3}, {"no rows", {0, 3}, 2, 0},
                 {"no columns", {3, 0}, 2, 0}, {"one", {1}, 1, 0}};

static void test_rows(void **state)
{
    const struct rows_row *row = *state;
    const double values[6] = {1, 2, 3, 4, 5, 6};
    struct oq_difference difference;
    uint64_t worst;
    const struct oq_array *array = make_dims(TYPE(FLOAT), values, row->dims, row->n_dims);
    oq_compare(array, array, NULL, &difference, &worst);
    assert_int_equal(difference.n_rows, row->n_rows);
    assert_int_equal(difference.n_rows_agreeing, row->n_rows);
    assert_int_equal(oq_measure_judges(OQ_MEASURE_ARGMAX, OQ_CLASS_FLOAT, &difference),
                     row->n_rows > 0);
    /* A measure of nothing is none. */
    double zero = difference.nelem > 0 ? 0 : (double)NAN;
    check_number("mean", oq_measure_get(OQ_MEASURE_MEAN_ABS, &difference), zero);
    check_number("agreement", oq_measure_get(OQ_MEASURE_AGREEMENT, &difference), zero + 1);
    check_number("relative", oq_measure_get(OQ_MEASURE_RELATIVE, &difference), zero);
}

/* --- all others -------------------------------------------------------------------- */

static const struct integer_row {
    const char *name;
    int32_t data_type, other_type;
    enum oq_value_class value_class;
} integer_rows[] = {
    {"int8", TYPE(INT8), TYPE(INT8), OQ_CLASS_INTEGER},
    {"uint8", TYPE(UINT8), TYPE(UINT8), OQ_CLASS_INTEGER},
    {"int32 and int64", TYPE(INT32), TYPE(INT64), OQ_CLASS_INTEGER},
    {"int64", TYPE(INT64), TYPE(INT64), OQ_CLASS_INTEGER},
    {"uint64", TYPE(UINT64), TYPE(UINT64), OQ_CLASS_INTEGER},
};

static void test_integers(void **state)
{
    const struct integer_row *row = *state;
    const double a[] = {1, 2, 3, 4}, b[] = {1, 5, 3, 2};
    struct oq_difference difference;
    uint64_t worst;
    oq_compare(make(row->data_type, a, 2, 2), make(row->other_type, b, 2, 2), NULL, &difference,
               &worst);
    assert_int_equal(oq_value_class(make(row->data_type, a, 2, 2)), row->value_class);
    check_number("agreement", oq_measure_get(OQ_MEASURE_AGREEMENT, &difference), 0.5);
    check_number("max_abs", difference.max_abs, 3);
    assert_int_equal(worst, 1);
    assert_int_equal(difference.n_rows, 0);
}

/* The second of three rows is padding. */
static void test_mask(void **state)
{
    (void)state;
    const double a[] = {1, 2, 3, 4, 5, 6}, b[] = {1, 3, 30, 40, 5, 5}, ones[] = {1, 0, 7};
    const double elements[] = {1, 0, 0, 0, 0, 1};
    struct oq_array *left = make(TYPE(FLOAT), a, 3, 2), *right = make(TYPE(FLOAT), b, 3, 2);
    struct oq_array *mask = make(TYPE(INT64), ones, 3, 1);
    struct oq_difference difference;
    uint64_t worst;
    assert_false(
        oq_mask_fits(mask, right->dims, right->n_dims)); /* [3,1] is no beginning of [3,2] */
    mask->n_dims = 1;
    assert_true(oq_mask_fits(mask, right->dims, right->n_dims));
    oq_compare(left, right, mask, &difference, &worst);
    assert_int_equal(difference.nelem, 4);
    assert_int_equal(difference.n_equal, 2);
    assert_int_equal(difference.n_rows, 2);
    assert_int_equal(difference.n_rows_agreeing, 1);
    check_number("max_abs", difference.max_abs, 1);
    check_number("squares", difference.reference_squares, 1 + 4 + 25 + 36);
    assert_int_equal(worst, 1);
    oq_compare(left, right, make(TYPE(BOOL), elements, 3, 2), &difference, &worst);
    assert_int_equal(difference.nelem, 2);
    assert_int_equal(difference.n_rows, 0);
    assert_int_equal(worst, 5);
}

/* As double both are 2^53. */
static void test_large_integers(void **state)
{
    (void)state;
    const double zeros[2] = {0};
    struct oq_array *a = make(TYPE(INT64), zeros, 1, 2), *b = make(TYPE(INT64), zeros, 1, 2);
    struct oq_difference difference;
    uint64_t worst;
    ((int64_t *)a->data)[1] = (INT64_C(1) << 53) + 1;
    ((int64_t *)b->data)[1] = INT64_C(1) << 53;
    oq_compare(a, b, NULL, &difference, &worst);
    assert_int_equal(difference.n_equal, 1);
    assert_int_equal(worst, 1);
}

static void test_booleans(void **state)
{
    (void)state;
    const double a[] = {1, 0, 1, 1}, b[] = {1, 1, 1, 1};
    struct oq_difference difference;
    uint64_t worst;
    oq_compare(make(TYPE(BOOL), a, 4, 1), make(TYPE(BOOL), b, 4, 1), NULL, &difference, &worst);
    assert_int_equal(oq_value_class(make(TYPE(BOOL), a, 4, 1)), OQ_CLASS_OTHER);
    check_number("agreement", oq_measure_get(OQ_MEASURE_AGREEMENT, &difference), 0.75);
    assert_int_equal(worst, 1);
}

static void test_strings(void **state)
{
    (void)state;
    const char *const a[] = {"cat", "dog", "", "bird"}, *const b[] = {"cat", "dig", "", "birds"};
    struct oq_difference difference;
    uint64_t worst;
    oq_compare(make_strings(a, 4), make_strings(b, 4), NULL, &difference, &worst);
    check_number("agreement", oq_measure_get(OQ_MEASURE_AGREEMENT, &difference), 0.5);
    assert_int_equal(worst, 1);
}

static void test_formats_without_arithmetic(void **state)
{
    (void)state;
    const int64_t count = 3;
    struct oq_array *pair[2];
    struct oq_difference difference;
    onnxq_error error = {0};
    uint64_t worst;
    for (size_t i = 0; i < 2; i++) {
        pair[i] = test_alloc(sizeof(*pair[i]));
        test_defer(release, pair[i]);
        assert_true(oq_array_init(pair[i], "x", TYPE(FLOAT8E4M3FN), &count, 1, &error));
    }
    ((uint8_t *)pair[0]->data)[2] = 7;
    oq_compare(pair[0], pair[1], NULL, &difference, &worst);
    assert_int_equal(difference.n_equal, 2);
    assert_int_equal(worst, 2);
}

/* --- sums and tolerances ------------------------------------------------------------- */

static void test_two_runs_are_as_one(void **state)
{
    (void)state;
    const double a[] = {1, 2, 3, 4, 5, 6, 7, -8}, b[] = {1.5, 2, 3, 4.25, 5, -6, 7, -8};
    struct oq_difference whole, parts = {0}, part;
    uint64_t worst;
    oq_compare(make(TYPE(DOUBLE), a, 4, 2), make(TYPE(DOUBLE), b, 4, 2), NULL, &whole, &worst);
    for (size_t i = 0; i < 2; i++) {
        oq_compare(make(TYPE(DOUBLE), a + 4 * i, 2, 2), make(TYPE(DOUBLE), b + 4 * i, 2, 2), NULL,
                   &part, &worst);
        oq_difference_add(&parts, &part);
    }
    assert_memory_equal(&parts, &whole, sizeof(whole));
}

static void test_tolerances(void **state)
{
    (void)state;
    assert_true(oq_measure_allows(OQ_MEASURE_RELATIVE, 0.2, 0.2));
    assert_false(oq_measure_allows(OQ_MEASURE_RELATIVE, 0.2, 0.20001));
    assert_false(oq_measure_allows(OQ_MEASURE_RELATIVE, 0.2, NONE));
    assert_false(oq_measure_allows(OQ_MEASURE_COSINE, 0.9, NONE));
    assert_true(oq_measure_allows(OQ_MEASURE_COSINE, 0.9, 0.9));
    assert_false(oq_measure_allows(OQ_MEASURE_COSINE, 0.9, 0.89));
    assert_true(oq_measure_allows(OQ_MEASURE_SQNR, 20, INF));
    assert_true(oq_measure_is_worse(OQ_MEASURE_COSINE, 0.8, 0.9));
    assert_true(oq_measure_is_worse(OQ_MEASURE_MAX_ABS, 0.9, 0.8));
    assert_true(oq_measure_is_worse(OQ_MEASURE_COSINE, NONE, 0));
    assert_false(oq_measure_is_worse(OQ_MEASURE_COSINE, 0, NONE));
}

static void check_completed(enum oq_measure set, unsigned expected)
{
    double tolerances[OQ_N_MEASURES];
    for (size_t i = 0; i < OQ_N_MEASURES; i++)
        tolerances[i] = NONE;
    if (set < OQ_N_MEASURES)
        tolerances[set] = 0.5;
    assert_int_equal(oq_tolerances_complete(tolerances, 0.25), expected);
    if ((expected >> OQ_MEASURE_RELATIVE & 1) != 0)
        assert_true(tolerances[OQ_MEASURE_RELATIVE] == 0.25);
}

static void test_default_tolerances(void **state)
{
    (void)state;
    const unsigned of_floats = 1U << OQ_MEASURE_RELATIVE, of_others = 1U << OQ_MEASURE_AGREEMENT;
    check_completed(OQ_N_MEASURES, of_floats | of_others);
    check_completed(OQ_MEASURE_COSINE, of_others);
    check_completed(OQ_MEASURE_RELATIVE, of_others);
    check_completed(OQ_MEASURE_AGREEMENT, of_floats);
}

/* --- one output of one run -------------------------------------------------------------- */

static struct oq_check *make_check(bool has_model)
{
    struct oq_check *check = test_alloc(sizeof(*check));
    oq_arena_init(&check->arena, 1 << 20);
    check->reference = has_model ? "reference.onnx" : NULL;
    return check;
}

static void release_arena(void *check)
{
    oq_arena_fini(&((struct oq_check *)check)->arena);
}

static struct oq_check_run *compare_pair(bool has_model, const struct oq_array *a,
                                         const struct oq_array *b)
{
    struct oq_check *check = make_check(has_model);
    struct oq_check_run *run = test_alloc(sizeof(*run));
    struct oq_check_output output = {.name = "y", .runs = run};
    onnxq_error error = {0};
    test_defer(release_arena, check);
    assert_true(oq_pair_compare(check, &output, 0, a, b, NULL, &error));
    return run;
}

static void test_place_of_the_worst(void **state)
{
    (void)state;
    const int64_t dims[] = {2, 3, 4};
    double a[24] = {0}, b[24] = {0};
    b[1 * 12 + 2 * 4 + 3] = -0.125;
    const struct oq_check_run *run =
        compare_pair(true, make_dims(TYPE(FLOAT), a, dims, 3), make_dims(TYPE(FLOAT), b, dims, 3));
    assert_int_equal(oq_check_coordinate(run, 0), 1);
    assert_int_equal(oq_check_coordinate(run, 1), 2);
    assert_int_equal(oq_check_coordinate(run, 2), 3);
    check_text(run->texts[0], "0");
    check_text(run->texts[1], "-0.125");
    check_number("value", run->values[1], -0.125);
}

static const struct shape_row {
    const char *name;
    int64_t reference[4], candidate[4];
    size_t n_reference, n_candidate;
    bool with_model, with_stored;
} shape_rows[] = {
    {"equal", {2, 3}, {2, 3}, 2, 2, true, true},
    {"a column for a vector", {6}, {6, 1}, 1, 2, false, true},
    {"a batch of one", {6}, {1, 6}, 1, 2, false, true},
    {"more in the store", {1, 1, 2, 3}, {2, 3}, 4, 2, false, true},
    {"one inside", {2, 1, 3}, {2, 3}, 3, 2, false, false},
    {"turned", {3, 2}, {2, 3}, 2, 2, false, false},
    {"other sizes", {2, 3}, {2, 2}, 2, 2, false, false},
    {"scalar", {0}, {1, 1}, 0, 2, false, true},
    {"empty", {0, 3}, {0, 3}, 2, 2, true, true},
    {"empty in another way", {0, 3}, {3, 0}, 2, 2, false, false},
};

static void test_shapes(void **state)
{
    const struct shape_row *row = *state;
    const double values[6] = {1, 2, 3, 4, 5, 6};
    for (int with_model = 0; with_model < 2; with_model++) {
        const struct oq_check_run *run = compare_pair(
            with_model != 0, make_dims(TYPE(FLOAT), values, row->reference, row->n_reference),
            make_dims(TYPE(FLOAT), values, row->candidate, row->n_candidate));
        assert_int_equal(run->problem == NULL, with_model ? row->with_model : row->with_stored);
        assert_int_equal(run->difference.n_equal, run->difference.nelem);
    }
}

static void test_other_types_are_a_problem(void **state)
{
    (void)state;
    const double values[] = {1, 2};
    const char *const strings[] = {"a", "b"};
    const int64_t two = 2;
    const struct oq_array *floats = make_dims(TYPE(FLOAT), values, &two, 1);
    check_text(compare_pair(true, floats, make_dims(TYPE(INT64), values, &two, 1))->problem,
               "types differ: int64 [2], expected float32 [2]");
    check_text(compare_pair(false, make_strings(strings, 2), floats)->problem,
               "types differ: float32 [2], expected string [2]");
    assert_non_null(
        compare_pair(true, make_dims(TYPE(BOOL), values, &two, 1), make_strings(strings, 2))
            ->problem);
}

int main(void)
{
    TEST_ROWS(test_floats, float_rows);
    TEST(test_relative_of_elements);
    TEST_ROWS(test_types, type_rows);
    TEST(test_long_rows);
    TEST_ROWS(test_rows, rows_rows);
    TEST_ROWS(test_integers, integer_rows);
    TEST(test_mask);
    TEST(test_large_integers);
    TEST(test_booleans);
    TEST(test_strings);
    TEST(test_formats_without_arithmetic);
    TEST(test_two_runs_are_as_one);
    TEST(test_tolerances);
    TEST(test_default_tolerances);
    TEST(test_place_of_the_worst);
    TEST_ROWS(test_shapes, shape_rows);
    TEST(test_other_types_are_a_problem);
    return suite_run();
}
