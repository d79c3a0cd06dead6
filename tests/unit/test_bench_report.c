/* What a benchmark says, with figures that are made up: text, JSON and picture. */
#define _POSIX_C_SOURCE 200809L
#include "bench/plot.h"
#include "page/svg.h"
#include "bench/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/suite.h"

/* --- parts of pictures ---------------------------------------------------------- */

static const struct step_row {
    const char *name;
    double range;
    unsigned most;
    double expected;
} steps[] = {
    {"7 of 7", 7, 7, 1},        {"8 of 7", 8, 7, 2},         {"30 of 7", 30, 7, 5},
    {"36 of 7", 36, 7, 10},     {"small", 0.0042, 7, 0.001}, {"large", 123456, 5, 50000},
    {"a power", 1000, 10, 100},
};

static void test_step(void **state)
{
    const struct step_row *row = *state;
    double step = oq_plot_step(row->range, row->most);
    if (!(fabs(step - row->expected) < 1e-9 * row->expected))
        fail_msg("%g, expected %g", step, row->expected);
}

static const char *read_stream(FILE *stream, const char *path)
{
    size_t nbytes;
    assert_int_equal(fclose(stream), 0);
    return (const char *)test_read_file(path, &nbytes);
}

static const struct text_row {
    const char *name, *text;
    size_t limit;
    const char *expected;
} texts[] = {
    {"plain", "model.onnx", 20, "model.onnx"},
    {"markup", "<a href=\"x\">&'", 40, "&lt;a href=&quot;x&quot;&gt;&amp;'"},
    {"control characters", "a\nb\x1b[31m\x7f", 40,
     "a\xef\xbf\xbd"
     "b\xef\xbf\xbd[31m\xef\xbf\xbd"},
    {"no UTF-8", "a\xff\xfe", 40, "a\xef\xbf\xbd\xef\xbf\xbd"},
    {"no character of XML", "\xef\xbf\xbf", 40, "\xef\xbf\xbd"},
    {"as long as it may be", "abcdefghij", 10, "abcdefghij"},
    {"cut", "abcdefghijk", 10, "abcd...ijk"},
    {"cut between characters", "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4", 6,
     "\xc3\xa4\xc3\xa4...\xc3\xa4"},
    {"empty", "", 10, ""},
};

static void test_text(void **state)
{
    const struct text_row *row = *state;
    FILE *stream = fopen(test_path("text"), "w");
    assert_non_null(stream);
    oq_plot_text(stream, row->text, row->limit);
    check_text(read_stream(stream, test_path("text")), row->expected);
}

static void test_density(void **state)
{
    (void)state;
    double density[10];
    const double sorted[] = {0.5, 2.5, 2.5, 2.6, 5.5, 99};
    oq_plot_density(sorted, 6, 10, density, 10);
    assert_compare(density[2], ==, 1);
    assert_true(density[0] > density[9] && density[5] > density[7]);
    assert_compare(density[9], <, 0.01); /* what is beyond the end is not there */
    oq_plot_density(&sorted[5], 1, 10, density, 10);
    for (size_t i = 0; i < 10; i++)
        assert_compare(density[i], ==, 0);
}

/* --- reports -------------------------------------------------------------------- */

static struct oq_profile_op float_ops[] = {{"FusedConv", 2, 1.5, "conv2", 1},
                                           {"Add", 1, 0.25, "add", 0.25}};
static struct oq_profile_op integer_ops[] = {{"ConvInteger", 2, 6.5, "conv2", 4},
                                             {"Mul", 4, 0.5, "scale\n1", 0.25},
                                             {"Add", 1, 0.25, "add", 0.25}};

static void release(void *data)
{
    struct oq_bench *bench = data;
    oq_bench_fini(bench);
}

static void fill(struct oq_bench_model *model, const char *name, double ms, double factor)
{
    onnxq_error error = {0};
    model->name = name;
    model->contestant.path = name;
    for (int i = 0; i < 40; i++)
        assert_true(oq_series_add(&model->times, ms * (1 + i * i * 1e-4), &error));
    for (int i = 0; i < 4; i++)
        assert_true(oq_series_add(&model->medians, ms * (1 + i * 0.01), &error));
    assert_true(oq_series_add(&model->loads, 12, &error));
    model->latency = oq_summarize(model->times.values, model->times.count);
    model->load_ms = 12;
    model->speedup = (struct oq_speedup_spread){factor, 0.96 * factor, 1.05 * factor};
    model->verdict = oq_judge(&model->speedup);
}

static struct oq_bench *make_bench(size_t n_models)
{
    static const char *const names[] = {"model.onnx", "<int8>\n.onnx", "slow.onnx"};
    static const double ms[] = {2, 1, 8}, factors[] = {1, 2, 0.25};
    static const uint64_t sizes[] = {4000000, 1010000, 1100000}, peaks[] = {50, 30, 51};
    struct oq_bench *bench = test_alloc(sizeof(*bench));
    struct oq_input_set *set;
    onnxq_error error = {0};
    int64_t dims[] = {1, 3, 8, 8};
    bench->models = test_alloc(n_models * sizeof(*bench->models));
    test_defer(release, bench);
    bench->n_models = n_models;
    bench->engine_version = strdup("1.31.1");
    bench->engine_path = strdup("/lib/libonnxruntime.so");
    bench->n_turns = 4;
    bench->n_sessions = 1;
    set = oq_input_sets_add(&bench->sets, "random inputs 1", &error);
    assert_true(set != NULL && oq_arrays_add(&set->inputs, &error) != NULL);
    assert_true(oq_array_init(&set->inputs.list[0], "image & \"mask\"", 1, dims, 4, &error));
    for (size_t i = 0; i < n_models; i++) {
        fill(&bench->models[i], names[i], ms[i], factors[i]);
        bench->models[i].contestant.file_nbytes = sizes[i];
        bench->models[i].memory = (struct oq_memory){peaks[i] << 20, 20 << 20, 10 << 20};
    }
    return bench;
}

static void add_profiles(struct oq_bench *bench)
{
    bench->models[0].has_profile = bench->models[2].has_profile = true;
    bench->models[0].profile = (struct oq_profile){float_ops, COUNT(float_ops), 4, 1.75};
    bench->models[2].profile = (struct oq_profile){integer_ops, COUNT(integer_ops), 4, 7.25};
}

typedef void (*write_fn)(const struct oq_bench_report *report, FILE *stream);

static const char *write_report(write_fn write, const struct oq_bench_report *report)
{
    FILE *stream = fopen(test_path("report"), "w");
    assert_non_null(stream);
    write(report, stream);
    return read_stream(stream, test_path("report"));
}

static const struct oq_bench_options options = {
    .session = {.threads = 2, .opt_level = OQ_OPT_ALL}, .warmup = 3, .seconds = 3};

static void test_print(void **state)
{
    (void)state;
    struct oq_bench *bench = make_bench(3);
    struct oq_bench_report report = {bench, &options, 0, (double)NAN, 0};
    add_profiles(bench);
    check_text(
        write_report(oq_bench_print, &report),
        "  ONNX Runtime 1.31.1, 2 threads, 4 turns\n"
        "  inputs: image & \"mask\" float32 [1,3,8,8]\n"
        "  model            size     load   memory      min      p50      p95  runs/s  speed\n"
        "  model.onnx     4.0 MB  12.0 ms  52.4 MB  2.00 ms  2.08 ms  2.27 ms     482  1\n"
        "  <int8>\\n.onnx  1.0 MB  12.0 ms  31.5 MB  1.00 ms  1.04 ms  1.14 ms     963  2.00 "
        "(1.92-2.10)\n"
        "  slow.onnx      1.1 MB  12.0 ms  53.5 MB  8.00 ms  8.30 ms  9.10 ms     120  0.25 "
        "(0.24-0.26)\n"
        "  where slow.onnx loses the time, per run:\n"
        "  operator                  nodes       takes  instead of                    slowest "
        "node\n"
        "  ConvInteger                   2    6.500 ms    1.500 ms  FusedConv         conv2\n"
        "  Mul                           4    0.500 ms                                scale\\n1\n"
        "  ConvInteger: slower on CPU than Conv, with the Cast, Mul and Add around it: onnxq "
        "quantize --conv fold\n"
        "<int8>\\n.onnx is 2.00x as fast as model.onnx (1.92 to 2.10), 4.0x smaller, 1.7x less "
        "memory\n"
        "slow.onnx is slower, it takes 4.00x as long as model.onnx (3.81 to 4.17), 3.6x smaller\n");
}

static void test_print_less(void **state)
{
    (void)state;
    struct oq_bench_report report = {make_bench(2), &options, -1, (double)NAN, 0};
    check_text(
        write_report(oq_bench_print, &report),
        "<int8>\\n.onnx is 2.00x as fast as model.onnx (1.92 to 2.10), 4.0x smaller, 1.7x less "
        "memory\n");
    report.bench = make_bench(1);
    check_text(write_report(oq_bench_print, &report),
               "model.onnx: 2.08 ms for one run (p50), 4.0 MB\n");
}

/* What has no room is left out, and the rest keeps its line. */
static void test_print_narrow(void **state)
{
    (void)state;
    struct oq_bench_report report = {make_bench(2), &options, 0, (double)NAN, 72};
    const char *text = write_report(oq_bench_print, &report);
    assert_non_null(
        strstr(text, "  model            size   memory      p50      p95  speed\n"
                     "  model.onnx     4.0 MB  52.4 MB  2.08 ms  2.27 ms  1\n"
                     "  <int8>\\n.onnx  1.0 MB  31.5 MB  1.04 ms  1.14 ms  2.00 (1.92-2.10)\n"));
}

static void test_gate(void **state)
{
    (void)state;
    struct oq_bench_report report = {make_bench(3), &options, 0, (double)NAN, 0};
    assert_true(oq_bench_passes(&report));
    report.min_speedup = 0.25;
    assert_true(oq_bench_passes(&report));
    report.min_speedup = 0.26;
    assert_false(oq_bench_passes(&report));
}

/* Every element that is opened is closed, in the right order; quotes come in pairs. */
static void check_well_formed(const char *svg)
{
    char open[16][16];
    size_t depth = 0;
    for (const char *tag = strchr(svg, '<'); tag != NULL; tag = strchr(tag + 1, '<')) {
        const char *end = strchr(tag, '>');
        char name[16] = "";
        assert_non_null(end);
        assert_null(memchr(tag + 1, '<', (size_t)(end - tag - 1)));
        assert_int_equal(sscanf(tag + 1, "%15[^ >]", name), 1);
        if (end[-1] == '/')
            continue;
        if (name[0] == '/') {
            assert_compare(depth, >, 0);
            check_text(name + 1, open[--depth]);
        } else {
            assert_compare(depth, <, COUNT(open));
            strcpy(open[depth++], name);
        }
    }
    assert_int_equal(depth, 0);
}

static void test_svg(void **state)
{
    (void)state;
    struct oq_bench_report report = {make_bench(3), &options, 0, (double)NAN, 0};
    const char *svg = write_report(oq_bench_write_svg, &report);
    check_well_formed(svg);
    assert_non_null(strstr(svg, ">&lt;int8&gt;\xef\xbf\xbd.onnx<"));
    assert_non_null(strstr(svg, "image &amp; &quot;mask&quot; float32 [1,3,8,8]"));
    assert_non_null(strstr(svg, "2.00x as fast"));
    assert_null(strstr(svg, "nan"));
    check_text(svg, write_report(oq_bench_write_svg, &report));
}

/* Names that differ in the middle only stay apart, and no figure stands in their line. */
static void test_svg_names(void **state)
{
    (void)state;
    static const char *const names[] = {
        "a-long-name-of-an-export-of-a-transformer.variant-1.quantized.with.blocks-of-128.onnx",
        "a-long-name-of-an-export-of-a-transformer.variant-2.quantized.with.blocks-of-128.onnx"};
    struct oq_bench *bench = make_bench(2);
    struct oq_bench_report report = {bench, &options, 0, (double)NAN, 0};
    char name[300], expected[400];
    memset(name, 'w', sizeof(name));
    memcpy(name + 200, ".onnx", sizeof(".onnx"));
    bench->models[0].name = names[0];
    bench->models[1].name = names[1];
    const char *svg = write_report(oq_bench_write_svg, &report);
    for (size_t i = 0; i < 2; i++) {
        snprintf(expected, sizeof(expected), "y=\"%zu\">%s</text>", 104 + i * 102 + 20, names[i]);
        assert_non_null(strstr(svg, expected));
    }
    assert_null(strstr(svg, "textLength"));
    bench->models[1].name = name;
    svg = write_report(oq_bench_write_svg, &report);
    check_well_formed(svg);
    assert_non_null(strstr(svg, "textLength=\"888\" lengthAdjust=\"spacingAndGlyphs\">wwww"));
}

int main(void)
{
    TEST_ROWS(test_step, steps);
    TEST_ROWS(test_text, texts);
    TEST(test_density);
    TEST(test_print);
    TEST(test_print_less);
    TEST(test_print_narrow);
    TEST(test_gate);
    TEST(test_svg);
    TEST(test_svg_names);
    return suite_run();
}
