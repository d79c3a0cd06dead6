/*
 * Ranges that calibration has found: folding against plain loops, merging
 * against folding at once, the file there and back and broken, methods against
 * references that know the numbers themselves.
 */
#include "ranges/calibrated.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "support/models.h"

static const char model_text[] = "in x float32[1,4]\ny = Relu(x)\nz, = Split(y)\nout z float32\n";

static void close_ranges(void *ranges)
{
    onnxq_ranges_close(ranges);
}

static onnxq_ranges *make_ranges(const char *text)
{
    onnxq_error error;
    oq_error_init(&error);
    onnxq_ranges *ranges = oq_ranges_create(test_model(text), &error);
    assert_non_null(ranges);
    test_defer(close_ranges, ranges);
    return ranges;
}

static void fold(onnxq_ranges *ranges, const char *name, const float *x, size_t outer,
                 size_t channels, size_t inner)
{
    onnxq_error error;
    oq_error_init(&error);
    struct oq_range_stats *stats = oq_ranges_place(ranges, name, &error);
    const struct oq_shape_of_channels shape = {outer, channels, inner, 1};
    assert_non_null(stats);
    assert_true(oq_range_stats_fold(stats, x, &shape, &ranges->arena));
}

/* --- numbers ------------------------------------------------------------------------- */

static uint64_t state_of_chance = 1;

static double uniform(void)
{
    state_of_chance = state_of_chance * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (double)(state_of_chance >> 11) / 9007199254740992.0;
}

/* About normal: a sum of 12. */
static double bell(void)
{
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += uniform();
    return sum;
}

enum kind { BELL, RELU, TAILS, SHIFTED, TINY, HUGE_NUMBERS, WHOLE, ONE, ZEROS };

static float draw(enum kind kind)
{
    double x = bell();
    switch (kind) {
    case BELL:
        return (float)x;
    case RELU:
        return (float)fmax(x, 0);
    case TAILS:
        return (float)(x * x * x);
    case SHIFTED:
        return (float)(100 + x / 100);
    case TINY:
        return (float)(x * 1e-42);
    case HUGE_NUMBERS:
        return (float)(x * 1e37);
    case WHOLE:
        return (float)floor(uniform() * 256);
    case ONE:
        return -3.5f;
    case ZEROS:
        break;
    }
    return 0;
}

static const struct kind_row {
    const char *name;
    enum kind kind;
} kinds[] = {{"bell", BELL},       {"relu", RELU},     {"tails", TAILS},
             {"shifted", SHIFTED}, {"denormal", TINY}, {"huge", HUGE_NUMBERS},
             {"whole", WHOLE},     {"one", ONE},       {"zeros", ZEROS}};

#define N 6000 /* 5 x 12 x 100 */

static float *draw_all(enum kind kind)
{
    float *x = test_alloc(N * sizeof(*x));
    state_of_chance = 1 + (uint64_t)kind;
    for (size_t i = 0; i < N; i++)
        x[i] = draw(kind);
    return x;
}

/* --- folding --------------------------------------------------------------------------- */

static void check_channels(const struct oq_range_stats *stats, const float *x)
{
    assert_int_equal(stats->channels.n, 12);
    assert_int_equal(stats->channels.count, 500);
    for (size_t c = 0; c < 12; c++) {
        float min = INFINITY, max = -INFINITY;
        double sum = 0;
        for (size_t i = 0; i < N; i++) {
            if (i / 100 % 12 != c)
                continue;
            min = fminf(min, x[i]);
            max = fmaxf(max, x[i]);
            sum += (double)x[i];
        }
        assert_true(stats->channels.min[c] == min && stats->channels.max[c] == max);
        assert_true(fabs(stats->channels.mean[c] - sum / 500) <= 1e-12 * fabs(sum));
    }
}

static void test_fold(void **state)
{
    const struct kind_row *row = *state;
    const float *x = draw_all(row->kind);
    onnxq_ranges *ranges = make_ranges(model_text);
    fold(ranges, "y", x, 5, 12, 100);
    const struct oq_range_stats *stats = oq_ranges_find(ranges, "y");
    const struct oq_histogram *h = &stats->histogram;
    float min = INFINITY, max = -INFINITY;
    uint64_t *counts = test_alloc(OQ_HISTOGRAM_BINS * sizeof(*counts));
    for (size_t i = 0; i < N; i++) {
        min = fminf(min, x[i]);
        max = fmaxf(max, x[i]);
        size_t bin = 0; /* by the edges, not by a formula */
        while ((double)x[i] >= oq_histogram_edge(h, bin + 1))
            bin++;
        assert_true((double)x[i] >= oq_histogram_edge(h, bin));
        counts[bin]++;
    }
    assert_true(stats->min == min && stats->max == max);
    assert_int_equal(stats->count, N);
    assert_in_range(h->n_bins, 1, OQ_HISTOGRAM_BINS);
    assert_memory_equal(h->counts, counts, h->n_bins * sizeof(*counts));
    check_channels(stats, x);
    assert_int_equal(oq_range_is_constant(stats), row->kind == ONE || row->kind == ZEROS);
}

/* The last axis as channels: other loops, the same numbers. */
static void test_columns(void **state)
{
    (void)state;
    const float *x = draw_all(TAILS);
    float *turned = test_alloc(N * sizeof(*turned));
    for (size_t i = 0; i < N; i++) /* [5,12,100] to [5,100,12] */
        turned[i / 1200 * 1200 + i % 100 * 12 + i / 100 % 12] = x[i];
    onnxq_ranges *ranges = make_ranges(model_text);
    fold(ranges, "y", turned, 500, 12, 1);
    check_channels(oq_ranges_find(ranges, "y"), x);
}

static void test_not_finite(void **state)
{
    (void)state;
    const float x[] = {1, NAN, -2, INFINITY, 0, -INFINITY, NAN, 5};
    const float none[] = {NAN, INFINITY};
    onnxq_ranges *ranges = make_ranges(model_text);
    fold(ranges, "y", x, 1, 4, 2);
    fold(ranges, "z", none, 1, 2, 1);
    const struct oq_range_stats *y = oq_ranges_find(ranges, "y"), *z = oq_ranges_find(ranges, "z");
    assert_true(y->min == -2 && y->max == 5 && y->mean == 1);
    assert_int_equal(y->count, 4);
    assert_int_equal(y->n_zeros, 1);
    assert_int_equal(y->n_nan, 2);
    assert_int_equal(y->n_infinite, 2);
    assert_int_equal(y->channels.n, 0);
    float low, high;
    const struct oq_range_rule rule = {.method = ONNXQ_RANGE_MSE, .bits = 8};
    assert_true(oq_range_is_missing(z) && !oq_range_of(z, &rule, &low, &high));
    assert_null(oq_ranges_find(ranges, "x"));
}

/* Tensors of unlike numbers of channels: the value goes on without them. */
static void test_channels_that_change(void **state)
{
    (void)state;
    const float x[] = {1, 2, 3, 4, 5, 6};
    onnxq_ranges *ranges = make_ranges(model_text);
    fold(ranges, "y", x, 1, 2, 3);
    fold(ranges, "y", x, 1, 3, 2);
    fold(ranges, "y", x, 1, 2, 3);
    assert_int_equal(oq_ranges_find(ranges, "y")->channels.n, 0);
    assert_int_equal(oq_ranges_find(ranges, "y")->count, 18);
    fold(ranges, "z", x, 1, 0, 6); /* no numbers at all */
    assert_int_equal(oq_ranges_find(ranges, "z")->n_tensors, 0);
}

/* --- the file ----------------------------------------------------------------------------- */

static const char *text_of(const onnxq_ranges *ranges, const char *name)
{
    FILE *file = fopen(test_path(name), "wb");
    assert_non_null(file);
    assert_true(oq_ranges_write(ranges, file));
    assert_int_equal(fclose(file), 0);
    size_t nbytes;
    return (const char *)test_read_file(test_path(name), &nbytes);
}

static onnxq_ranges *reopen(const char *name)
{
    onnxq_error error;
    onnxq_ranges *ranges = onnxq_ranges_open(test_path(name), &error);
    if (ranges == NULL)
        fail_msg("%s", test_error_text(&error));
    test_defer(close_ranges, ranges);
    return ranges;
}

static void test_there_and_back(void **state)
{
    const struct kind_row *row = *state;
    onnxq_ranges *ranges = make_ranges(model_text);
    const float bad[] = {NAN, 1}, mask[] = {-FLT_MAX, FLT_MAX};
    ranges->n_runs = 3;
    ranges->n_drawn_runs = 1;
    fold(ranges, "y", draw_all(row->kind), 5, 12, 100);
    fold(ranges, "a \"name\"\n", bad, 1, 1, 2);
    fold(ranges, "never", bad, 0, 1, 2);
    fold(ranges, "mask", mask, 1, 1, 2);
    const char *text = text_of(ranges, "a.json");
    onnxq_ranges *again = reopen("a.json");
    check_text(text_of(again, "b.json"), text);
    assert_int_equal(again->n_runs, 3);
    assert_int_equal(again->n_drawn_runs, 1);
    assert_true(oq_range_is_missing(oq_ranges_find(again, "never")));
    assert_int_equal(oq_ranges_find(again, "a \"name\"\n")->n_nan, 1);
}

/* Numbers in parts, by files, in another order: the histogram is that of all at once. */
static void test_merge(void **state)
{
    const struct kind_row *row = *state;
    float *x = draw_all(row->kind);
    for (size_t i = 4 * 1200; i < N; i++)
        x[i] *= 3; /* a part whose range is wider */
    onnxq_ranges *all = make_ranges(model_text), *parts[5];
    fold(all, "y", x, 5, 12, 100);
    for (size_t i = 0; i < 5; i++) {
        parts[i] = make_ranges(model_text);
        fold(parts[i], "y", x + i * 1200, 1, 12, 100);
        text_of(parts[i], "part.json");
        parts[i] = reopen("part.json");
    }
    static const size_t orders[][5] = {{0, 1, 2, 3, 4}, {4, 2, 0, 1, 3}, {3, 4, 1, 0, 2}};
    const struct oq_range_stats *expected = oq_ranges_find(all, "y");
    for (size_t k = 0; k < COUNT(orders); k++) {
        onnxq_ranges *merged = make_ranges(model_text);
        for (size_t i = 0; i < 5; i++)
            assert_int_equal(onnxq_ranges_merge(merged, parts[orders[k][i]], NULL), ONNXQ_OK);
        const struct oq_range_stats *found = oq_ranges_find(merged, "y");
        assert_true(found->min == expected->min && found->max == expected->max);
        assert_int_equal(found->n_zeros, expected->n_zeros);
        assert_int_equal(found->n_tensors, 5);
        assert_int_equal(found->histogram.exponent, expected->histogram.exponent);
        assert_int_equal(found->histogram.n_bins, expected->histogram.n_bins);
        assert_memory_equal(found->histogram.counts, expected->histogram.counts,
                            expected->histogram.n_bins * sizeof(uint64_t));
        double scale = fmax(fabs((double)expected->min), fabs((double)expected->max));
        assert_true(fabs(found->mean - expected->mean) <= 1e-12 * scale);
        for (size_t c = 0; c < 12; c++) {
            assert_true(found->channels.min[c] == expected->channels.min[c]);
            assert_true(found->channels.max[c] == expected->channels.max[c]);
            assert_true(fabs(found->channels.mean[c] - expected->channels.mean[c]) <=
                        1e-12 * scale);
        }
    }
}

static void test_other_model(void **state)
{
    (void)state;
    const char *others[] = {
        "in x float32[1,4]\ny = Relu(x)\nz = Split(y)\nq = Relu(z)\nout z float32\n",
        "in x float16[1,4]\ny = Relu(x)\nz = Split(y)\nout z float32\n",
        "in x float32[1,4]\ny = Tanh(x)\nz = Split(y)\nout z float32\n",
        "in x float32[1,4]\ny = Relu(x)\nw = Split(y)\nout w float32\n",
    };
    const char *same = "in x float32[N,4]\ninit w float32[3]\nl: y = Relu(x)\nz = Split(y)\n"
                       "out z float32[1]\n";
    onnxq_error error;
    onnxq_ranges *ranges =
        make_ranges("in x float32[1,4]\ny = Relu(x)\nz = Split(y)\nout z float32\n");
    text_of(ranges, "r.json");
    ranges = reopen("r.json");
    oq_error_init(&error);
    assert_true(oq_ranges_check(ranges, test_model(same), &error));
    for (size_t i = 0; i < COUNT(others); i++) {
        oq_error_init(&error);
        assert_false(oq_ranges_check(ranges, test_model(others[i]), &error));
        assert_non_null(strstr(test_error_text(&error),
                               "r.json: ranges of another model: of 2 node outputs, digest "));
        assert_int_equal(onnxq_ranges_merge(make_ranges(others[i]), ranges, &error),
                         ONNXQ_ERROR_INPUT);
    }
}

/* --- broken files ---------------------------------------------------------------------------- */

#define HEAD                                                                                       \
    "{\"onnxq_ranges\": 1, \"model\": {\"digest\": \"0123456789abcdef\", \"node_outputs\": 2}, "   \
    "\"runs\": 1, \"drawn_runs\": 0, \"values\": ["
#define TAIL "]}"
#define VALUE(rest)                                                                                \
    HEAD "{\"name\": \"y\", \"tensors\": 1, \"nan\": 0, \"infinite\": 0, " rest "}" TAIL
/* Two numbers, 1 and 2: bins of 2^-10. */
#define RANGE(count, more)                                                                         \
    "\"count\": " count ", \"zeros\": 0, \"min\": 1, \"max\": 1.001, \"mean\": 1, "                \
    "\"histogram\": {\"exponent\": -15, \"first\": 32768, \"counts\": [" ONES "]}" more
#define OF_GRID(exponent, first, counts)                                                           \
    "\"count\": 1, \"zeros\": 0, \"min\": 1, \"max\": 1, \"mean\": 1, \"histogram\": {"            \
    "\"exponent\": " exponent ", \"first\": " first ", \"counts\": [" counts "]}"
#define EIGHT "0, 0, 0, 0, 0, 0, 0, 0, "
#define ONES  "1, " EIGHT EIGHT EIGHT "0, 0, 0, 0, 0, 0, 0, 1"

static const struct broken {
    const char *name, *text, *expected;
} broken[] = {
    {"good", VALUE(RANGE("2", "")), NULL},
    {"a member of a later version", VALUE(RANGE("2", ", \"new\": {\"a\": [1]}")), NULL},
    {"empty", "", "not a file of ranges: it does not begin with {\"onnxq_ranges\": 1"},
    {"another kind", "{\"a\": 1}",
     "not a file of ranges: it does not begin with {\"onnxq_ranges\": 1"},
    {"another version", "{\"onnxq_ranges\": 2}",
     "line 1, column 19: format version 2; this onnxq reads version 1"},
    {"half", "{\"onnxq_ranges\": 1, \"runs\": 1", "the file ends, expected \",\" or \"}\""},
    {"no values", "{\"onnxq_ranges\": 1, \"runs\": 1, \"drawn_runs\": 0}", "\"model\" is missing"},
    {"digest", "{\"onnxq_ranges\": 1, \"model\": {\"digest\": \"xyz\"}}",
     "expected a digest of 16 hexadecimal digits"},
    {"twice", VALUE("\"count\": 0, \"count\": 0"), "\"count\" is given twice"},
    {"missing", VALUE("\"count\": 0"), "\"zeros\" is missing"},
    {"no name", HEAD "{\"name\": \"\"}" TAIL, "a value without a name"},
    {"a range of nothing", VALUE("\"count\": 0, \"zeros\": 0, \"min\": 1"),
     "belong to a count above 0"},
    {"no range", VALUE("\"count\": 2, \"zeros\": 0"), "belong to a count above 0"},
    {"a sum", VALUE(RANGE("3", "")), "the histogram does not add up to \"count\""},
    {"zeros", VALUE("\"count\": 0, \"zeros\": 1"), "\"zeros\" is above \"count\""},
    {"a count", VALUE("\"count\": 9007199254740993"), "a count above 2^53"},
    {"no float", VALUE("\"min\": 1e39"), "a number that no float32 is"},
    {"the least that rounds to none", VALUE("\"min\": 3.4028235677973366e38"),
     "a number that no float32 is"},
    {"grid",
     VALUE("\"count\": 1, \"zeros\": 0, \"min\": 1, \"max\": 1, \"mean\": 1, "
           "\"histogram\": {\"exponent\": 0, \"first\": 1, \"counts\": [1]}"),
     "the histogram is not that of min and max: expected exponent -15, first 32768, 1 counts"},
    {"another exponent", VALUE(OF_GRID("-14", "32768", "1")), "the histogram is not that of"},
    {"another first bin", VALUE(OF_GRID("-15", "32769", "1")), "the histogram is not that of"},
    {"another number of bins", VALUE(OF_GRID("-15", "32768", "1, 0")),
     "the histogram is not that of"},
    {"its own grid", VALUE(OF_GRID("-15", "32768", "1")), NULL},
    {"min above max",
     VALUE("\"count\": 1, \"zeros\": 0, \"min\": 2, \"max\": 1, \"mean\": 1, "
           "\"histogram\": {\"exponent\": 0, \"first\": 1, \"counts\": [1]}"),
     "\"min\" is above \"max\""},
    {"channels",
     VALUE(RANGE("2", ", \"channels\": {\"axis\": 1, \"count\": 1, \"min\": [1], \"max\": [1, 1], "
                      "\"mean\": [1]}")),
     "lists of channels that are empty or of unlike lengths"},
    {"a channel outside",
     VALUE(RANGE("2", ", \"channels\": {\"axis\": 1, \"count\": 1, \"min\": [1], \"max\": [3], "
                      "\"mean\": [1]}")),
     "the range of channel 0 is not within min and max"},
    {"an axis",
     VALUE(RANGE("2", ", \"channels\": {\"axis\": -1, \"count\": 1, \"min\": [1], \"max\": [1], "
                      "\"mean\": [1]}")),
     "an axis that no tensor has"},
};

static void test_broken(void **state)
{
    const struct broken *row = *state;
    onnxq_error error;
    test_write_file(test_path("r.json"), row->text, strlen(row->text));
    onnxq_ranges *ranges = onnxq_ranges_open(test_path("r.json"), &error);
    if (ranges != NULL)
        test_defer(close_ranges, ranges);
    if (row->expected == NULL) {
        if (ranges == NULL)
            fail_msg("%s", test_error_text(&error));
        return;
    }
    assert_null(ranges);
    assert_int_equal(error.status, ONNXQ_ERROR_INPUT);
    if (strstr(test_error_text(&error), row->expected) == NULL)
        check_text(test_error_text(&error), row->expected);
}

static void test_no_file(void **state)
{
    (void)state;
    onnxq_error error;
    assert_null(onnxq_ranges_open(test_path("nothing"), &error));
    check_text(test_error_text(&error), "nothing: cannot open: No such file or directory");
    assert_null(onnxq_ranges_open(test_path("nothing"), NULL));
    onnxq_ranges_close(NULL);
}

/* --- methods -----------------------------------------------------------------------------------
 */

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Squared error of quantizing the numbers themselves. */
static double true_error(const float *x, float low, float high, unsigned bits)
{
    double steps = (double)((1u << bits) - 1), scale = ((double)high - (double)low) / steps;
    double sum = 0;
    for (size_t i = 0; i < N; i++) {
        double clipped = fmin(fmax((double)x[i], (double)low), (double)high);
        double rounded = scale > 0 ? rint(clipped / scale) * scale : 0;
        sum += ((double)x[i] - rounded) * ((double)x[i] - rounded);
    }
    return sum;
}

static const struct oq_range_stats *stats_of(const float *x)
{
    onnxq_ranges *ranges = make_ranges(model_text);
    fold(ranges, "y", x, 5, 12, 100);
    return oq_ranges_find(ranges, "y");
}

static void test_minmax_and_percentile(void **state)
{
    const struct kind_row *row = *state;
    float *x = draw_all(row->kind), low, high;
    const struct oq_range_stats *stats = stats_of(x);
    struct oq_range_rule rule = {.method = ONNXQ_RANGE_MINMAX, .bits = 8};
    assert_true(oq_range_of(stats, &rule, &low, &high));
    assert_true(low == fminf(stats->min, 0) && high == fmaxf(stats->max, 0));
    rule.symmetric = true;
    assert_true(oq_range_of(stats, &rule, &low, &high));
    assert_true(high == fmaxf(-fminf(stats->min, 0), fmaxf(stats->max, 0)) && low == -high);

    rule = (struct oq_range_rule){.method = ONNXQ_RANGE_PERCENTILE, .percentile = 99, .bits = 8};
    assert_true(oq_range_of(stats, &rule, &low, &high));
    qsort(x, N, sizeof(*x), by_value);
    double bin = ldexp(1, stats->histogram.exponent);
    double lower = fmin((double)x[N / 200], 0), upper = fmax((double)x[N - N / 200], 0);
    assert_true(fabs((double)low - lower) <= bin + fabs((double)(x[N / 200 - 1] - x[N / 200])));
    assert_true(fabs((double)high - upper) <=
                bin + fabs((double)(x[N - N / 200] - x[N - N / 200 - 1])));
}

/* To half a bin; what is beyond an end counts as the end. */
static void test_size(void **state)
{
    const struct kind_row *row = *state;
    float *x = draw_all(row->kind);
    const struct oq_range_stats *stats = stats_of(x);
    const double bin = ldexp(1, stats->histogram.exponent);
    for (int k = 1; k <= 2; k++) {
        const float low = stats->min / (float)k, high = stats->max / (float)k;
        double squares = 0;
        for (size_t i = 0; i < N; i++) {
            const double cut = fmin(fmax((double)x[i], (double)low), (double)high);
            squares += cut * cut;
        }
        assert_true(fabs(oq_range_size(stats, low, high) - sqrt(squares / N)) <= bin / 2);
    }
}

/* No other range on a fine grid is better by much for the numbers themselves. */
static void test_mse(void **state)
{
    const struct kind_row *row = *state;
    const float *x = draw_all(row->kind);
    const struct oq_range_stats *stats = stats_of(x);
    if (row->kind == TINY) /* whose steps are not those of floats */
        return;
    for (unsigned bits = 4; bits <= 8; bits += 4) {
        struct oq_range_rule rule = {.method = ONNXQ_RANGE_MSE, .bits = bits};
        float low, high;
        double least = INFINITY;
        assert_true(oq_range_of(stats, &rule, &low, &high));
        for (int i = 1; i <= 40; i++)
            for (int k = 1; k <= 40; k++) {
                double error = true_error(x, fminf(stats->min, 0) * (float)i / 40,
                                          fmaxf(stats->max, 0) * (float)k / 40, bits);
                least = fmin(least, error);
            }
        assert_true(true_error(x, low, high, bits) <= least * 1.1 + 1e-3);
        rule.symmetric = true;
        assert_true(oq_range_of(stats, &rule, &low, &high));
        assert_true(low == -high);
    }
}

/* The algorithm as it is written down: one distribution, one candidate after another. */
static double reference_divergence(const struct oq_range_stats *stats, int64_t t, size_t levels)
{
    const struct oq_histogram *h = &stats->histogram;
    double p[OQ_HISTOGRAM_BINS], counts[OQ_HISTOGRAM_BINS], q[OQ_HISTOGRAM_BINS];
    double before = 0, behind = 0, sum_p = 0, sum_q = 0, found = 0;
    size_t n = 0;
    for (size_t i = 0; i < h->n_bins; i++) {
        int64_t place = h->first + (int64_t)i;
        double count = (double)(h->counts[i] - (place == 0 ? stats->n_zeros : 0));
        if (place < -t)
            before += count;
        else if (place >= t)
            behind += count;
        else
            counts[n++] = count;
    }
    if (n < levels)
        return INFINITY;
    memcpy(p, counts, n * sizeof(*p));
    p[0] += before;
    p[n - 1] += behind;
    for (size_t k = 0; k < levels; k++) {
        size_t from = n * k / levels, to = n * (k + 1) / levels, filled = 0;
        double sum = 0;
        for (size_t i = from; i < to; i++) {
            sum += counts[i];
            filled += counts[i] > 0;
        }
        for (size_t i = from; i < to; i++)
            q[i] = filled > 0 ? sum / (double)filled : 1e-4;
    }
    for (size_t i = 0; i < n; i++) {
        sum_p += p[i];
        sum_q += counts[i];
    }
    for (size_t i = 0; i < n; i++)
        found += p[i] > 0 ? p[i] / sum_p * log(p[i] / sum_p / (q[i] / sum_q)) : 0;
    return sum_q > 0 ? found : INFINITY;
}

static void test_entropy(void **state)
{
    const struct kind_row *row = *state;
    const struct oq_range_stats *stats = stats_of(draw_all(row->kind));
    const struct oq_range_rule rule = {.method = ONNXQ_RANGE_ENTROPY, .bits = 6};
    const struct oq_histogram *h = &stats->histogram;
    float low, high;
    double least = INFINITY, width = ldexp(1, h->exponent);
    assert_true(oq_range_of(stats, &rule, &low, &high));
    if (row->kind == ONE || row->kind == ZEROS || h->n_bins < 64) {
        assert_true(low == fminf(stats->min, 0) && high == fmaxf(stats->max, 0));
        return;
    }
    int64_t first = h->first < 0 ? -h->first : 0, last = h->first + (int64_t)h->n_bins;
    int64_t largest = first > last ? first : last;
    for (int64_t t = 1; t <= largest; t++)
        least = fmin(least, reference_divergence(stats, t, 64));
    int64_t chosen = (int64_t)ceil(fmax(-(double)low, (double)high) / width);
    double found = reference_divergence(stats, chosen, 64);
    assert_true(found <= least * (1 + 1e-9) + 1e-12);
}

int main(void)
{
    TEST_ROWS(test_fold, kinds);
    TEST(test_columns);
    TEST(test_not_finite);
    TEST(test_channels_that_change);
    TEST_ROWS(test_there_and_back, kinds);
    TEST_ROWS(test_merge, kinds);
    TEST(test_other_model);
    TEST_ROWS(test_broken, broken);
    TEST(test_no_file);
    TEST_ROWS(test_minmax_and_percentile, kinds);
    TEST_ROWS(test_size, kinds);
    TEST_ROWS(test_mse, kinds);
    TEST_ROWS(test_entropy, kinds);
    return suite_run();
}
