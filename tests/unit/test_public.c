/* The contract of the public header, with nothing but the public header. */
#include <onnxq/onnxq.h>

#include <string.h>

#include "support/models.h"

#define TEXT "opset 17; in x float32; init w float32[256,256]; y = MatMul(x, w)"

static void test_version(void **state)
{
    (void)state;
    assert_string_equal(onnxq_version(), ONNXQ_VERSION_STRING);
    assert_string_equal(onnxq_version(), test_printf("%d.%d.%d", ONNXQ_VERSION_MAJOR,
                                                     ONNXQ_VERSION_MINOR, ONNXQ_VERSION_PATCH));
}

static void test_defaults(void **state)
{
    (void)state;
    onnxq_options options;
    memset(&options, 0xa5, sizeof(options));
    onnxq_options_init(&options);
    assert_int_equal(options.struct_size, sizeof(options));
    assert_int_equal(options.method, ONNXQ_METHOD_DYNAMIC);
    assert_int_equal(options.weight_type, ONNXQ_WEIGHT_INT8);
    assert_int_equal(options.reduce_range, ONNXQ_REDUCE_NONE);
    assert_int_equal(options.conv, ONNXQ_CONV_FOLD);
    assert_int_equal(options.output.external_data, ONNXQ_EXTERNAL_AUTO);
    assert_true(options.per_channel && options.symmetric && options.subgraphs &&
                options.output.sync);
    assert_false(options.allow_unmatched || options.freeze_inputs || options.force_integer ||
                 options.output.keep_existing || options.output.allow_noop);
    assert_int_equal(options.min_elements, 1024);
    assert_int_equal(options.output.threads, 0);
    assert_null(options.op_types);
    assert_null(options.selectors);
    assert_null(options.output.progress);
    assert_int_equal(options.n_op_types + options.n_exclude_op_types + options.n_selectors, 0);
}

/* --- options that are not right --- */

static void no_size(onnxq_options *options)
{
    options->struct_size = 0;
}

static void other_size(onnxq_options *options)
{
    options->struct_size--;
}

static void bad_method(onnxq_options *options)
{
    options->method = (onnxq_method)4;
}

static void bad_type(onnxq_options *options)
{
    options->weight_type = (onnxq_weight_type)2;
}

static void negative_type(onnxq_options *options)
{
    options->weight_type = (onnxq_weight_type)-1;
}

static void bad_range(onnxq_options *options)
{
    options->reduce_range = (onnxq_reduce_range)3;
}

static void useless_range(onnxq_options *options)
{
    options->reduce_range = ONNXQ_REDUCE_BITS;
    options->method = ONNXQ_METHOD_WEIGHTS;
}

static void asymmetric_pairs(onnxq_options *options)
{
    options->reduce_range = ONNXQ_REDUCE_PAIRS;
    options->symmetric = false;
}

static void bad_conv(onnxq_options *options)
{
    options->conv = (onnxq_conv)4;
}

static void bad_external(onnxq_options *options)
{
    options->output.external_data = (onnxq_external_data)3;
}

static void bad_bits(onnxq_options *options)
{
    options->method = ONNXQ_METHOD_BLOCKS;
    options->bits = (onnxq_bits)3;
}

static void bad_block_size(onnxq_options *options)
{
    options->method = ONNXQ_METHOD_BLOCKS;
    options->block_size = 8;
}

static const struct option_row {
    const char *name;
    void (*spoil)(onnxq_options *options);
} options_rows[] = {{"no size", no_size},
                    {"another size", other_size},
                    {"method", bad_method},
                    {"weight type", bad_type},
                    {"negative weight type", negative_type},
                    {"reduced range", bad_range},
                    {"reduced range without products", useless_range},
                    {"pairs with zero points", asymmetric_pairs},
                    {"convolution", bad_conv},
                    {"bits", bad_bits},
                    {"block size", bad_block_size},
                    {"external data", bad_external}};

static void test_wrong_options(void **state)
{
    const struct option_row *row = *state;
    onnxq_error error;
    onnxq_options options = test_options();
    row->spoil(&options);
    const onnxq_model *model = test_model(TEXT);
    assert_null(onnxq_plan_create(model, &options, &error));
    assert_int_equal(error.status, ONNXQ_ERROR_OPTION);
    assert_compare(error.message[0], !=, '\0');
    assert_null(onnxq_plan_create(model, &options, NULL));
    assert_int_equal(
        onnxq_quantize_file(test_path("model.onnx"), test_path("out.onnx"), &options, NULL),
        ONNXQ_ERROR_OPTION);
    assert_false(test_exists(test_path("out.onnx")));
}

/* --- nobody needs the details of an error, or an object --- */

static onnxq_options defaults(void)
{
    onnxq_options options;
    onnxq_options_init(&options);
    return options;
}

static void check_same_files(const char *a, const char *b)
{
    size_t n_a, n_b;
    const unsigned char *bytes_a = test_read_file(test_path(a), &n_a);
    const unsigned char *bytes_b = test_read_file(test_path(b), &n_b);
    assert_int_equal(n_a, n_b);
    assert_memory_equal(bytes_a, bytes_b, n_a);
}

static void test_null(void **state)
{
    (void)state;
    uint64_t model_nbytes, external_nbytes;
    onnxq_options options = test_options();
    onnxq_model_close(NULL);
    onnxq_plan_destroy(NULL);
    assert_null(onnxq_model_open(test_path("missing"), NULL));
    const onnxq_model *model = test_model(TEXT);
    onnxq_plan *plan = onnxq_plan_create(model, &options, NULL);
    assert_non_null(plan);
    assert_int_equal(
        onnxq_plan_get_output_size(plan, "out.onnx", &model_nbytes, &external_nbytes, NULL),
        ONNXQ_OK);
    assert_int_equal(onnxq_plan_write(plan, test_path("nowhere/out.onnx"), NULL),
                     ONNXQ_ERROR_OUTPUT);
    assert_int_equal(onnxq_plan_write(plan, test_path("out.onnx"), NULL), ONNXQ_OK);
    onnxq_plan_destroy(plan);
    assert_int_equal(onnxq_quantize_file(test_path("missing"), test_path("a.onnx"), &options, NULL),
                     ONNXQ_ERROR_INPUT);
    assert_int_equal(
        onnxq_quantize_file(test_path("model.onnx"), test_path("a.onnx"), &options, NULL),
        ONNXQ_OK);
}

/* NULL for options is what onnxq_options_init() gives. */
static void test_null_options(void **state)
{
    (void)state;
    const char *in = test_path("model.onnx"), *out = test_path("a.onnx");
    const onnxq_options options = defaults();
    const onnxq_model *model = test_model(TEXT);
    assert_int_equal(onnxq_options_check(NULL, NULL), ONNXQ_OK);
    assert_int_equal(onnxq_quantize_file(in, out, NULL, NULL), ONNXQ_OK);
    assert_int_equal(onnxq_quantize_file(in, test_path("b.onnx"), &options, NULL), ONNXQ_OK);
    check_same_files("a.onnx", "b.onnx");
    onnxq_plan *estimate = onnxq_plan_estimate(model, NULL, NULL);
    onnxq_plan *plan = onnxq_plan_create(model, NULL, NULL);
    assert_int_equal(onnxq_plan_write(plan, test_path("c.onnx"), NULL), ONNXQ_OK);
    check_same_files("a.onnx", "c.onnx");
    onnxq_plan_destroy(estimate);
    onnxq_plan_destroy(plan);
}

static void test_null_options_of_the_way_back(void **state)
{
    (void)state;
    const char *in = test_path("int8.onnx");
    onnxq_dequantize_options options;
    onnxq_dequantize_options_init(&options);
    test_model(TEXT);
    assert_int_equal(onnxq_quantize_file(test_path("model.onnx"), in, NULL, NULL), ONNXQ_OK);
    assert_int_equal(onnxq_dequantize_file(in, test_path("a.onnx"), NULL, NULL), ONNXQ_OK);
    assert_int_equal(onnxq_dequantize_file(in, test_path("b.onnx"), &options, NULL), ONNXQ_OK);
    check_same_files("a.onnx", "b.onnx");
    onnxq_model *model = onnxq_model_open(in, NULL);
    onnxq_dequantization *back = onnxq_dequantization_create(model, NULL, NULL);
    assert_int_equal(onnxq_dequantization_count(back), 1);
    onnxq_dequantization_destroy(back);
    onnxq_model_close(model);
}

/* What a function would fill in is not wanted. */
static void test_null_results(void **state)
{
    (void)state;
    const onnxq_model *model = test_model(TEXT);
    onnxq_plan *plan = onnxq_plan_create(model, NULL, NULL);
    onnxq_dequantization *back = onnxq_dequantization_create(model, NULL, NULL);
    onnxq_error error;
    assert_null(onnxq_model_open(test_path("missing"), &error));
    assert_int_equal(onnxq_plan_get_output_size(plan, "out.onnx", NULL, NULL, NULL), ONNXQ_OK);
    assert_int_equal(onnxq_dequantization_get_output_size(back, "out.onnx", NULL, NULL, NULL),
                     ONNXQ_OK);
    assert_int_equal(onnxq_escape("a\nb", NULL, 0), 4);
    assert_true(onnxq_error_format(&error, NULL, 0) > 0);
    onnxq_dequantization_destroy(back);
    onnxq_plan_destroy(plan);
}

/* An error that was filled in before does not stay. */
static void test_error_is_fresh(void **state)
{
    (void)state;
    onnxq_error error;
    onnxq_options options = test_options();
    assert_null(onnxq_model_open(test_path("missing"), &error));
    assert_int_equal(error.status, ONNXQ_ERROR_INPUT);
    assert_int_equal(error.sys_errno, 2 /* ENOENT */);
    test_model(TEXT);
    onnxq_model *model = onnxq_model_open(test_path("model.onnx"), &error);
    assert_int_equal(error.status, ONNXQ_OK);
    onnxq_plan *plan = onnxq_plan_create(model, &options, &error);
    assert_int_equal(error.status, ONNXQ_OK);
    assert_int_equal(onnxq_plan_write(plan, test_path("nowhere/x"), &error), ONNXQ_ERROR_OUTPUT);
    assert_int_equal(onnxq_plan_write(plan, test_path("out.onnx"), &error), ONNXQ_OK);
    assert_int_equal(error.status, ONNXQ_OK);
    assert_string_equal(error.message, "");
    onnxq_plan_destroy(plan);
    onnxq_model_close(model);
}

/* What is handed out says how much of it there is. */
static void test_struct_sizes(void **state)
{
    (void)state;
    const onnxq_model *model = test_model(TEXT);
    onnxq_plan *plan = onnxq_plan_create(model, NULL, NULL);
    onnxq_dequantization *back = onnxq_dequantization_create(model, NULL, NULL);
    onnxq_inspection *inspection = onnxq_inspection_create(model, NULL);
    onnxq_validation *validation = onnxq_validation_create(model, NULL);
    assert_int_equal(onnxq_model_get_info(model)->struct_size, sizeof(onnxq_model_info));
    assert_int_equal(onnxq_plan_get_summary(plan)->struct_size, sizeof(onnxq_summary));
    assert_int_equal(onnxq_plan_get(plan, 0)->struct_size, sizeof(onnxq_weight));
    assert_int_equal(onnxq_dequantization_get_summary(back)->struct_size,
                     sizeof(onnxq_dequantize_summary));
    assert_int_equal(inspection->struct_size, sizeof(*inspection));
    assert_int_equal(validation->struct_size, sizeof(*validation));
    onnxq_validation_destroy(validation);
    onnxq_inspection_destroy(inspection);
    onnxq_dequantization_destroy(back);
    onnxq_plan_destroy(plan);
}

/* --- what is said of a model --- */

static void test_info(void **state)
{
    (void)state;
    size_t nbytes;
    struct builder *builder = test_builder(
        "ir 7; opset ai.onnx.ml 2; opset 13; in x float32; init a float32[3] external\n"
        "init b float32[5] external; y = If(x) then_branch={ init c int64[1]; t = Abs(c); u = "
        "Relu(t) "
        "}; z = Relu(y)");
    builder->model->producer_name = builder_text(builder, "pytorch");
    builder->model->producer_version = builder_text(builder, "2.9");
    const onnxq_model *model = test_open(builder);
    const onnxq_model_info *info = onnxq_model_get_info(model);
    assert_int_equal(info->ir_version, 7);
    assert_int_equal(info->opset, 13);
    assert_string_equal(info->producer_name, "pytorch");
    assert_string_equal(info->producer_version, "2.9");
    assert_int_equal(info->n_nodes, 4);
    assert_int_equal(info->n_initializers, 3);
    test_read_file(test_path("model.onnx"), &nbytes);
    assert_int_equal(info->file_nbytes, nbytes);
    test_read_file(test_path("model.onnx.data"), &nbytes);
    assert_int_equal(info->external_nbytes, nbytes);
}

static void test_empty_info(void **state)
{
    (void)state;
    const onnxq_model_info *info = onnxq_model_get_info(test_model(""));
    assert_int_equal(info->opset, 0);
    assert_string_equal(info->producer_name, "");
    assert_string_equal(info->producer_version, "");
    assert_int_equal(info->n_nodes + info->n_initializers + info->external_nbytes, 0);
}

/* Nothing is quantized: a plan all the same, and it says so. */
static void test_nothing(void **state)
{
    (void)state;
    onnxq_options options = test_options();
    const onnxq_plan *plan = test_plan(test_model("opset 17; y = Relu(x)"), &options);
    assert_int_equal(onnxq_plan_count(plan), 0);
    const onnxq_summary *summary = onnxq_plan_get_summary(plan);
    assert_int_equal(summary->n_quantized, 0);
    assert_int_equal(summary->nbytes_after, summary->nbytes_before);
}

/* The plan copies what it needs: options and their arrays may go. */
static void test_options_are_borrowed(void **state)
{
    (void)state;
    char *pattern = test_printf("w");
    const char **types = test_alloc(sizeof(*types));
    onnxq_selector *selector = test_alloc(sizeof(*selector));
    onnxq_options *options = test_alloc(sizeof(*options));
    *options = test_options();
    *selector = (onnxq_selector){false, ONNXQ_GLOB, pattern};
    types[0] = test_printf("MatMul");
    options->selectors = selector;
    options->n_selectors = 1;
    options->op_types = types;
    options->n_op_types = 1;
    const onnxq_plan *plan = test_plan(test_model(TEXT), options);
    memset(pattern, 0xff, 1);
    memset(types, 0xff, sizeof(*types));
    memset(selector, 0xff, sizeof(*selector));
    memset(options, 0xff, sizeof(*options));
    test_write(plan);
    assert_int_equal(onnxq_plan_get(plan, 0)->action, ONNXQ_DYNAMIC);
}

/* Several plans of one model, at different times, do not disturb each other. */
static void test_plans_of_one_model(void **state)
{
    (void)state;
    onnxq_options signed_options = test_options(), unsigned_options = test_options();
    unsigned_options.weight_type = ONNXQ_WEIGHT_UINT8;
    const onnxq_model *model = test_model(TEXT);
    const onnxq_plan *first = test_plan(model, &signed_options);
    const onnxq_plan *second = test_plan(model, &unsigned_options);
    const char *second_path = test_write_as(second, "second.onnx");
    const char *first_path = test_write_as(first, "first.onnx");
    assert_int_equal(test_tensor(test_read_model(first_path)->graph, "w_quantized")->data_type, 3);
    assert_int_equal(test_tensor(test_read_model(second_path)->graph, "w_quantized")->data_type, 2);
}

/* --- reports --- */

static void close_stream(void *thing)
{
    fclose(thing);
}

static const char *report(void (*print)(const onnxq_plan *plan, FILE *stream),
                          const onnxq_plan *plan)
{
    size_t nbytes;
    FILE *stream = fopen(test_path("report"), "wb");
    assert_non_null(stream);
    print(plan, stream);
    assert_int_equal(fclose(stream), 0);
    return (const char *)test_read_file(test_path("report"), &nbytes);
}

static void print_json(const onnxq_plan *plan, FILE *stream)
{
    onnxq_report_json(plan, "in", NULL, stream);
}

/* Names reach a terminal escaped, and JSON stays JSON; the details are the command line's tests. */
static void test_reports(void **state)
{
    (void)state;
    onnxq_options options = test_options();
    const onnxq_plan *plan =
        test_plan(test_model("opset 17; in x float32; init \"w\033[31m\n\xff\" float32[64,64]\n"
                             "\"n\a\": y = MatMul(x, \"w\033[31m\n\xff\")"),
                  &options);
    const char *weights = report(onnxq_report_weights, plan);
    assert_non_null(strstr(weights, "w\\x1b[31m\\n\\xff"));
    assert_null(strchr(weights, '\033'));
    assert_non_null(strstr(report(onnxq_report_table, plan), "MatMul"));
    const char *json = report(print_json, plan);
    assert_non_null(strstr(json, "w\\u001b[31m\\u000a\\ufffd"));
    assert_non_null(strstr(json, "\"output\": null"));
    FILE *full = fopen("/dev/full", "wb");
    if (full == NULL)
        return;
    test_defer(close_stream, full);
    setvbuf(full, NULL, _IONBF, 0);
    onnxq_report_json(plan, NULL, NULL, full);
    assert_true(ferror(full));
}

/* --- by name, as other languages do --- */

static void free_options(void *options)
{
    onnxq_options_free(options);
}

static void test_set_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
    } given[] = {{"method", "blocks"},       {"bits", "4"},
                 {"block_size", "64"},       {"per_channel", "false"},
                 {"symmetric", "auto"},      {"min_elements", "77"},
                 {"percentile", "99.5"},     {"op_types", "MatMul"},
                 {"op_types", "Gemm"},       {"exclude", "a*"},
                 {"include_name", "b"},      {"threads", "3"},
                 {"external_data", "never"}, {"activation_bits", "16"},
                 {"qdq_standard", "true"}};
    onnxq_error error;
    onnxq_options *options = onnxq_options_new();
    test_defer(free_options, options);
    for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++)
        assert_int_equal(onnxq_options_set(options, given[i].name, given[i].value, &error),
                         ONNXQ_OK);
    assert_int_equal(options->method, ONNXQ_METHOD_BLOCKS);
    assert_int_equal(options->bits, ONNXQ_BITS_4);
    assert_int_equal(options->block_size, 64);
    assert_false(options->per_channel);
    assert_int_equal(options->symmetric, -1);
    assert_int_equal(options->min_elements, 77);
    assert_true(options->percentile > 99.4 && options->percentile < 99.6);
    assert_int_equal(options->activation_bits, 16);
    assert_true(options->qdq_standard);
    assert_int_equal(options->n_op_types, 2);
    assert_string_equal(options->op_types[1], "Gemm");
    assert_int_equal(options->n_selectors, 2);
    assert_true(options->selectors[0].exclude && options->selectors[0].syntax == ONNXQ_GLOB);
    assert_true(!options->selectors[1].exclude && options->selectors[1].syntax == ONNXQ_EXACT);
    assert_int_equal(options->output.threads, 3);
    assert_int_equal(options->output.external_data, ONNXQ_EXTERNAL_NEVER);
}

static void test_wrong_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value, *message;
    } given[] = {{"metod", "qdq", "there is no option 'metod'"},
                 {"method", "qdc", "options.method has no value 'qdc'"},
                 {"sync", "yes", "options.sync is true or false, not 'yes'"},
                 {"threads", "-1", "options.threads is a whole number, not '-1'"},
                 {"threads", "65536", "options.threads is a whole number, not '65536'"},
                 {"min_elements", "", "options.min_elements is a whole number, not ''"},
                 {"min_elements", "18446744073709551616",
                  "options.min_elements is a whole number, not '18446744073709551616'"},
                 {"percentile", "9x", "options.percentile is a number, not '9x'"}};
    onnxq_error *error = onnxq_error_new();
    onnxq_options *options = onnxq_options_new();
    test_defer(free_options, options);
    for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
        onnxq_options_set(options, given[i].name, given[i].value, error);
        assert_int_equal(onnxq_error_get_status(error), ONNXQ_ERROR_OPTION);
        assert_string_equal(onnxq_error_get(error, "message"), given[i].message);
    }
    assert_int_equal(onnxq_options_set(options, "ranges", "no/file", error), ONNXQ_ERROR_INPUT);
    assert_string_equal(onnxq_error_get(error, "file"), "no/file");
    assert_true(onnxq_error_get_offset(error) == ONNXQ_NO_OFFSET);
    assert_null(onnxq_error_get(error, "colour"));
    onnxq_error_free(error);
    onnxq_error_free(NULL);
    onnxq_options_free(NULL);
}

int main(void)
{
    TEST(test_set_by_name);
    TEST(test_wrong_by_name);
    TEST(test_version);
    TEST(test_defaults);
    TEST_ROWS(test_wrong_options, options_rows);
    TEST(test_null);
    TEST(test_null_options);
    TEST(test_null_options_of_the_way_back);
    TEST(test_null_results);
    TEST(test_struct_sizes);
    TEST(test_error_is_fresh);
    TEST(test_info);
    TEST(test_empty_info);
    TEST(test_nothing);
    TEST(test_options_are_borrowed);
    TEST(test_plans_of_one_model);
    TEST(test_reports);
    return suite_run();
}
