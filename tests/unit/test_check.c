/* Verdicts, and what the reports say of them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check/output_pairs.h"
#include "check/verdict.h"
#include "onnx.pb-c.h"
#include "support/suite.h"

#define TYPE(number) OQ__PB__TENSOR_PROTO__DATA_TYPE__##number
#define NONE         ((double)NAN)

static void release_check(void *check)
{
    oq_check_destroy(check);
}

static struct oq_check *make_check(size_t n_outputs, size_t n_runs)
{
    static const char *labels[] = {"first.npz", "second.npz"};
    struct oq_check *check = calloc(1, sizeof(*check));
    test_defer(release_check, check);
    oq_arena_init(&check->arena, 1 << 20);
    check->reference = "a.onnx";
    check->candidate = "b.onnx";
    check->engine_version = "1.2.3";
    check->labels = labels;
    check->n_runs = n_runs;
    check->default_relative = (struct oq_default_tolerance){0.3, "8 bits"};
    check->outputs = oq_arena_array(&check->arena, n_outputs, sizeof(*check->outputs));
    check->n_outputs = n_outputs;
    for (size_t i = 0; i < n_outputs; i++) {
        check->outputs[i].name = i == 0 ? "scores" : "label";
        check->outputs[i].runs =
            oq_arena_array(&check->arena, n_runs, sizeof(*check->outputs[i].runs));
    }
    return check;
}

static void fill(struct oq_array *array, int32_t data_type, int64_t count, const double *values)
{
    onnxq_error error = {0};
    const int64_t dims[] = {1, count};
    assert_true(oq_array_init(array, "x", data_type, dims, 2, &error));
    for (int64_t i = 0; i < count; i++)
        oq_array_put_double(array, (uint64_t)i, values[i]);
}

static void compare(struct oq_check *check, size_t output, size_t run, int32_t data_type,
                    const double *a, int64_t n_a, const double *b, int64_t n_b)
{
    struct oq_array arrays[2];
    onnxq_error error = {0};
    fill(&arrays[0], data_type, n_a, a);
    fill(&arrays[1], data_type, n_b, b);
    assert_true(
        oq_pair_compare(check, &check->outputs[output], run, &arrays[0], &arrays[1], NULL, &error));
    oq_array_fini(&arrays[0]);
    oq_array_fini(&arrays[1]);
}

static bool judge(struct oq_check *check, enum oq_measure measure, double tolerance,
                  onnxq_error *error)
{
    double tolerances[OQ_N_MEASURES];
    for (size_t m = 0; m < OQ_N_MEASURES; m++)
        tolerances[m] = NONE;
    if (measure < OQ_N_MEASURES)
        tolerances[measure] = tolerance;
    *error = (onnxq_error){0};
    return oq_verdict_make(check, tolerances, error);
}

/* scores: ||a|| = 5, ||d|| = 1.25; label: one of three differs. */
static struct oq_check *make_two_outputs(void)
{
    struct oq_check *check = make_check(2, 1);
    compare(check, 0, 0, TYPE(FLOAT), (const double[]){3, 4}, 2, (const double[]){3.75, 5}, 2);
    compare(check, 1, 0, TYPE(INT64), (const double[]){7, 8, 9}, 3, (const double[]){7, 8, 5}, 3);
    return check;
}

static const struct verdict_row {
    const char *name;
    enum oq_measure measure;
    double tolerance;
    const char *failures; /* output and what it failed */
} verdict_rows[] = {
    {"defaults", OQ_N_MEASURES, 0, "label agreement; "},
    {"strict", OQ_MEASURE_RELATIVE, 0.2, "scores rel_error; label agreement; "},
    {"loose", OQ_MEASURE_RELATIVE, 0.25, "label agreement; "},
    {"labels", OQ_MEASURE_AGREEMENT, 0.5, ""},
    {"largest", OQ_MEASURE_MAX_ABS, 0.999, "scores max_abs_diff; label agreement; "},
    {"largest that is allowed", OQ_MEASURE_MAX_ABS, 1, "label agreement; "},
    {"mean", OQ_MEASURE_MEAN_ABS, 0.8, "scores mean_abs_diff; label agreement; "},
    {"cosine", OQ_MEASURE_COSINE, 0.999999, "label agreement; "},
    {"sqnr", OQ_MEASURE_SQNR, 13, "scores sqnr_db; label agreement; "},
    {"argmax", OQ_MEASURE_ARGMAX, 1, "label agreement; "},
};

static void test_verdicts(void **state)
{
    const struct verdict_row *row = *state;
    struct oq_check *check = make_two_outputs();
    char text[256] = "";
    onnxq_error error;
    assert_true(judge(check, row->measure, row->tolerance, &error));
    for (size_t i = 0; i < check->n_failures; i++) {
        const struct oq_check_failure *failure = &check->failures[i];
        assert_int_equal(failure->cause, OQ_CAUSE_MEASURE);
        size_t used = strlen(text);
        snprintf(text + used, sizeof(text) - used, "%s %s; ", failure->output->name,
                 oq_measures[failure->measure].key);
    }
    check_text(text, row->failures);
    assert_int_equal(check->passed, row->failures[0] == '\0');
}

static void test_total_is_of_floats(void **state)
{
    (void)state;
    onnxq_error error;
    struct oq_check *check = make_two_outputs();
    assert_true(judge(check, OQ_N_MEASURES, 0, &error));
    assert_int_equal(check->total_class, OQ_CLASS_FLOAT);
    assert_true(check->total.max_abs == 1 && check->total.nelem == 2);
    check = make_check(1, 1);
    compare(check, 0, 0, TYPE(INT32), (const double[]){7, 8}, 2, (const double[]){7, 10}, 2);
    assert_true(judge(check, OQ_N_MEASURES, 0, &error));
    assert_int_equal(check->total_class, OQ_CLASS_INTEGER);
    assert_compare(check->total.max_abs, ==, 2);
}

/* The second run is off; over both ||d|| / ||a|| is 2 / sqrt(200). */
static void test_worst_run_is_named(void **state)
{
    (void)state;
    const double a[] = {6, 8}, b[] = {6, 10};
    onnxq_error error;
    struct oq_check *check = make_check(1, 2);
    compare(check, 0, 0, TYPE(FLOAT), a, 2, a, 2);
    compare(check, 0, 1, TYPE(FLOAT), a, 2, b, 2);
    assert_true(judge(check, OQ_MEASURE_RELATIVE, 0.1, &error));
    assert_int_equal(check->n_failures, 1);
    assert_int_equal(check->failures[0].run, 1);
    assert_compare(fabs(check->failures[0].found - 2 / sqrt(200)), <, 1e-15);
    assert_int_equal(check->outputs[0].worst_run, 1);
}

static void test_what_is_not_finite_always_fails(void **state)
{
    (void)state;
    onnxq_error error;
    struct oq_check *check = make_check(1, 2);
    const double a[] = {1, 2}, b[] = {1, NAN};
    compare(check, 0, 0, TYPE(FLOAT), a, 2, a, 2);
    compare(check, 0, 1, TYPE(FLOAT), a, 2, b, 2);
    assert_true(judge(check, OQ_MEASURE_ARGMAX, 0, &error));
    assert_int_equal(check->n_failures, 1);
    assert_int_equal(check->failures[0].cause, OQ_CAUSE_ONE_SIDED);
    assert_int_equal(check->failures[0].run, 1);
}

static void test_other_shape_always_fails(void **state)
{
    (void)state;
    onnxq_error error;
    struct oq_check *check = make_check(1, 1);
    const double a[] = {1, 2, 3};
    compare(check, 0, 0, TYPE(FLOAT), a, 3, a, 2);
    assert_true(judge(check, OQ_MEASURE_MAX_ABS, 1e9, &error));
    assert_int_equal(check->n_failures, 1);
    assert_int_equal(check->failures[0].cause, OQ_CAUSE_PROBLEM);
}

static const struct effect_row {
    const char *name;
    enum oq_measure measure;
    int32_t data_type;
    int64_t columns;
    const char *message; /* "": it has one */
} effect_rows[] = {
    {"rows", OQ_MEASURE_ARGMAX, TYPE(FLOAT), 2, ""},
    {"no rows", OQ_MEASURE_ARGMAX, TYPE(FLOAT), 1,
     "--argmax: there is no output of floats in rows"},
    {"no floats", OQ_MEASURE_COSINE, TYPE(INT32), 2, "--cosine: there is no output of floats"},
    {"no labels", OQ_MEASURE_AGREEMENT, TYPE(FLOAT), 2,
     "--agreement: there is no output of integers, booleans or strings"},
};

static void test_tolerance_without_effect(void **state)
{
    const struct effect_row *row = *state;
    const double a[] = {1, 2};
    onnxq_error error;
    struct oq_check *check = make_check(1, 1);
    compare(check, 0, 0, row->data_type, a, row->columns, a, row->columns);
    assert_int_equal(judge(check, row->measure, 0.5, &error), row->message[0] == '\0');
    check_text(error.message, row->message);
    assert_int_equal(error.status, row->message[0] == '\0' ? ONNXQ_OK : ONNXQ_ERROR_OPTION);
}

/* --- reports --------------------------------------------------------------------- */

static char *print(const struct oq_check *check, int level, bool json)
{
    size_t nbytes;
    const char *path = test_path("report");
    FILE *stream = fopen(path, "w");
    assert_non_null(stream);
    if (json)
        oq_check_print_json(check, stream);
    else
        oq_check_print_text(check, level, 0, stream);
    fclose(stream);
    return (char *)test_read_file(path, &nbytes);
}

static void test_text(void **state)
{
    (void)state;
    onnxq_error error;
    struct oq_check *check = make_two_outputs();
    assert_true(judge(check, OQ_MEASURE_RELATIVE, 0.3, &error));
    check_text(print(check, -1, false),
               "Failed: label: agreement 0.6667, at least 0.8 by default\n");
    check_text(
        print(check, 0, false),
        "  first.npz  (ONNX Runtime 1.2.3)\n"
        "  output    max diff   mean diff   rel error      cosine     SQNR dB      argmax   "
        "agreement\n"
        "  scores           1       0.875        0.25           1       12.04           1          "
        " "
        "-\n"
        "    worst at [0,1]: 5, expected 4\n"
        "  label            -           -           -           -           -           -      "
        "0.6667\n"
        "    worst at [0,2]: 5, expected 9\n"
        "Failed: label: agreement 0.6667, at least 0.8 by default\n");
}

static void test_text_of_what_passes(void **state)
{
    (void)state;
    onnxq_error error;
    struct oq_check *check = make_check(1, 2);
    const double a[] = {6, 8}, b[] = {6, 10};
    compare(check, 0, 0, TYPE(FLOAT), a, 2, a, 2);
    compare(check, 0, 1, TYPE(FLOAT), a, 2, b, 2);
    check->inputs_are_random = true;
    check->seed = 7;
    assert_true(judge(check, OQ_N_MEASURES, 0, &error));
    check_text(print(check, -1, false), "Works: relative error 0.1414, at most 0.3, the default "
                                        "for 8 bits (no tolerance was set)\n");
    check_text(
        print(check, 1, false),
        "  2 random inputs, seed 7: real ones (--inputs) tell more  (ONNX Runtime 1.2.3)\n"
        "  output          max diff   mean diff   rel error      cosine     SQNR dB      "
        "argmax\n"
        "  scores                 2         0.5      0.1414      0.9942       16.99           "
        "1\n"
        "    first.npz            0           0           0           1         inf           "
        "1\n"
        "    second.npz           2           1         0.2      0.9947       13.98           "
        "1\n"
        "    worst at [0,1]: 10, expected 8  (second.npz)\n"
        "Works: relative error 0.1414, at most 0.3, the default for 8 bits (no tolerance was "
        "set)\n");
}

/* A third off: too much for 8 bits, not for one scale per weight. */
static void test_defaults_of_candidates(void **state)
{
    (void)state;
    onnxq_error error;
    struct oq_check *check = make_check(1, 1);
    compare(check, 0, 0, TYPE(FLOAT), (const double[]){3, 4}, 2, (const double[]){4, 5.25}, 2);
    assert_true(judge(check, OQ_N_MEASURES, 0, &error));
    check_text(print(check, -1, false), "Failed: scores: relative error 0.3202, at most 0.3, the "
                                        "default for 8 bits\n");
    assert_non_null(strstr(print(check, 0, true), "\"default_for\": \"8 bits\""));
    check = make_check(1, 1);
    check->default_relative = (struct oq_default_tolerance){0.5, "one scale per weight"};
    compare(check, 0, 0, TYPE(FLOAT), (const double[]){3, 4}, 2, (const double[]){4, 5.25}, 2);
    assert_true(judge(check, OQ_N_MEASURES, 0, &error));
    check_text(print(check, -1, false),
               "Works: relative error 0.3202, at most 0.5, the default for "
               "one scale per weight (no tolerance was set)\n");
    check = make_check(1, 1);
    compare(check, 0, 0, TYPE(FLOAT), (const double[]){3, 4}, 2, (const double[]){3, 4}, 2);
    assert_true(judge(check, OQ_MEASURE_COSINE, 0.9, &error));
    assert_non_null(strstr(print(check, 0, true), "\"default_for\": null"));
}

static void test_text_of_problems(void **state)
{
    (void)state;
    onnxq_error error;
    struct oq_check *check = make_check(2, 2);
    const double a[] = {NAN, 2, 3}, b[] = {NAN, 2, INFINITY};
    static const char *extra[] = {"hidden\n"};
    compare(check, 0, 0, TYPE(FLOAT), a, 3, a, 3);
    compare(check, 0, 1, TYPE(FLOAT), a, 3, b, 3);
    compare(check, 1, 0, TYPE(INT64), a + 1, 1, a + 1, 2);
    compare(check, 1, 1, TYPE(INT64), a + 1, 2, a + 1, 2);
    check->outputs[0].is_reshaped = true;
    check->extra_outputs = extra;
    check->n_extra_outputs = 1;
    assert_true(judge(check, OQ_N_MEASURES, 0, &error));
    check_text(print(check, 0, false),
               "  2 inputs  (ONNX Runtime 1.2.3)\n"
               "  output    max diff   mean diff   rel error      cosine     SQNR dB      argmax\n"
               "  scores         inf         inf         inf           -        -inf           1\n"
               "    worst at [0,2]: inf, expected 3  (second.npz)\n"
               "    NaN or infinite in both: 2 of 6 values\n"
               "    stored in another shape: axes of length 1 were ignored\n"
               "  label   shapes differ: int64 [1,2], expected int64 [1,1] (1 of 2 runs)\n"
               "  not compared: hidden\\n\n"
               "Failed: scores has 1 NaN or infinite value on one side only, such as [0,2]: inf, "
               "expected 3 (second.npz)\n"
               "Failed: label: shapes differ: int64 [1,2], expected int64 [1,1] (first.npz)\n");
}

/* What was not compared has no numbers: zeros and ones would look like those of equal values. */
static void test_nothing_compared_has_no_numbers(void **state)
{
    (void)state;
    onnxq_error error;
    struct oq_check *check = make_check(1, 2);
    const double a[] = {1, 2, 3}, none[] = {NAN, INFINITY};
    compare(check, 0, 0, TYPE(FLOAT), a, 3, a, 2);
    compare(check, 0, 1, TYPE(FLOAT), a, 3, a, 3);
    assert_true(judge(check, OQ_N_MEASURES, 0, &error));
    check_text(
        print(check, 0, false),
        "  2 inputs  (ONNX Runtime 1.2.3)\n"
        "  output\n"
        "  scores  shapes differ: float32 [1,2], expected float32 [1,3] (1 of 2 runs)\n"
        "Failed: scores: shapes differ: float32 [1,2], expected float32 [1,3] (first.npz)\n");
    char *text = print(check, 0, true);
    assert_non_null(strstr(text, "  \"passed\": false,\n  \"max_abs_diff\": null,\n"));
    assert_non_null(strstr(text, "      \"problem\": \"shapes differ: float32 [1,2], expected "
                                 "float32 [1,3]\",\n      \"max_abs_diff\": null,\n"));
    assert_non_null(strstr(text, "          \"dims\": [1, 2],\n"
                                 "          \"reference_dtype\": \"float32\",\n"
                                 "          \"reference_dims\": [1, 3],\n"
                                 "          \"max_abs_diff\": null,\n"));
    assert_non_null(strstr(text, "\"cosine\": 1,\n")); /* of the run that was compared */

    check = make_check(2, 1);
    compare(check, 0, 0, TYPE(FLOAT), none, 2, none, 2);
    compare(check, 1, 0, TYPE(INT64), a, 0, a, 0);
    assert_true(judge(check, OQ_N_MEASURES, 0, &error));
    check_text(print(check, 0, false),
               "  first.npz  (ONNX Runtime 1.2.3)\n"
               "  output\n"
               "  scores  nothing to compare: all values are NaN or infinite in both\n"
               "    NaN or infinite in both: 2 of 2 values\n"
               "  label   nothing to compare: it is empty\n"
               "Failed: scores: nothing to compare: all values are NaN or infinite in both\n"
               "Failed: label: nothing to compare: it is empty\n");
    text = print(check, 0, true);
    assert_non_null(strstr(text, "  \"rel_error\": null,\n  \"cosine\": null,\n"));
    assert_non_null(strstr(text, "      \"cause\": \"nothing_to_compare\",\n"));
}

/* One output with values is enough. */
static void test_nothing_beside_something(void **state)
{
    (void)state;
    onnxq_error error;
    struct oq_check *check = make_check(2, 1);
    const double a[] = {6, 8}, b[] = {6, 9}, none[] = {NAN};
    compare(check, 0, 0, TYPE(FLOAT), a, 2, b, 2);
    compare(check, 1, 0, TYPE(FLOAT), none, 1, none, 1);
    assert_true(judge(check, OQ_N_MEASURES, 0, &error));
    check_text(
        print(check, -1, false),
        "Works: relative error 0.1, at most 0.3, the default for 8 bits (no tolerance was set)\n");
}

static void test_json(void **state)
{
    (void)state;
    onnxq_error error;
    struct oq_check *check = make_check(1, 2);
    const double a[] = {6, 8}, b[] = {6, 10};
    compare(check, 0, 0, TYPE(FLOAT), a, 2, a, 2);
    compare(check, 0, 1, TYPE(FLOAT), a, 2, b, 2);
    assert_true(judge(check, OQ_MEASURE_MAX_ABS, 1.5, &error));
    char *text = print(check, 0, true);
    assert_non_null(strstr(text, "  \"passed\": false,\n  \"max_abs_diff\": 2,\n"
                                 "  \"mean_abs_diff\": 0.5,\n"));
    assert_non_null(strstr(text, "        \"inputs\": \"second.npz\",\n"
                                 "        \"index\": [0, 1],\n"
                                 "        \"reference\": 8,\n"
                                 "        \"candidate\": 10\n"));
    assert_non_null(strstr(text, "          \"sqnr_db\": null,\n")); /* infinite */
    assert_non_null(strstr(text, "      \"cause\": \"max_abs_diff\",\n      \"found\": 2,\n"
                                 "      \"allowed\": 1.5,\n      \"inputs\": \"second.npz\"\n"));
}

int main(void)
{
    TEST_ROWS(test_verdicts, verdict_rows);
    TEST(test_total_is_of_floats);
    TEST(test_worst_run_is_named);
    TEST(test_what_is_not_finite_always_fails);
    TEST(test_other_shape_always_fails);
    TEST_ROWS(test_tolerance_without_effect, effect_rows);
    TEST(test_text);
    TEST(test_text_of_what_passes);
    TEST(test_defaults_of_candidates);
    TEST(test_text_of_problems);
    TEST(test_nothing_compared_has_no_numbers);
    TEST(test_nothing_beside_something);
    TEST(test_json);
    return suite_run();
}
