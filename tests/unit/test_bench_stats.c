/* Figures of a benchmark: by hand, and the order of runs. */
#include "bench/memory.h"
#include "bench/schedule.h"
#include "bench/stats.h"

#include <math.h>
#include <string.h>

#include "support/suite.h"

static void check_near(double actual, double expected)
{
    if (!(fabs(actual - expected) <= 1e-12 * fabs(expected)))
        fail_msg("%.17g, expected %.17g", actual, expected);
}

/* --- figures -------------------------------------------------------------------- */

static void test_quantile(void **state)
{
    (void)state;
    const double one[] = {7}, four[] = {1, 2, 4, 8};
    check_near(oq_quantile(one, 1, 0), 7);
    check_near(oq_quantile(one, 1, 0.95), 7);
    check_near(oq_quantile(four, 4, 0), 1);
    check_near(oq_quantile(four, 4, 0.5), 3);
    check_near(oq_quantile(four, 4, 0.25), 1.75);
    check_near(oq_quantile(four, 4, 0.95), 7.4);
    check_near(oq_quantile(four, 4, 1), 8);
}

static void test_summary(void **state)
{
    (void)state;
    double values[] = {5, 1, 3, 2, 4};
    struct oq_summary summary = oq_summarize(values, 5);
    check_near(summary.min, 1);
    check_near(summary.p50, 3);
    check_near(summary.p95, 4.8);
    check_near(summary.max, 5);
    check_near(summary.mean, 3);
    check_near(values[0], 1); /* they are sorted now */
    check_near(values[4], 5);
}

static void test_compare(void **state)
{
    (void)state;
    /* Ratios 2, 2, 4, 1, 3: the machine was slow in the third turn, for both. */
    const double first[] = {10, 20, 400, 5, 9}, other[] = {5, 10, 100, 5, 3};
    struct oq_speedup_spread spread;
    onnxq_error error = {0};
    assert_true(oq_speedup(first, other, 5, &spread, &error));
    check_near(spread.median, 2);
    check_near(spread.low, 2);
    check_near(spread.high, 3);
}

static const struct judge_row {
    const char *name;
    struct oq_speedup_spread spread;
    enum oq_verdict expected;
} judgements[] = {
    {"faster", {2, 1.9, 2.1}, OQ_FASTER},
    {"slower", {0.5, 0.4, 0.6}, OQ_SLOWER},
    {"around 1", {1.1, 0.9, 1.2}, OQ_SAME_SPEED},
    {"up to 1", {0.9, 0.8, 1}, OQ_SAME_SPEED},
    {"from 1 on", {1.1, 1, 1.2}, OQ_SAME_SPEED},
    {"from 1.00 on", {1.1, 1.004, 1.2}, OQ_SAME_SPEED},
    {"too little", {1.02, 1.01, 1.03}, OQ_SAME_SPEED},
    {"enough", {1.03, 1.01, 1.04}, OQ_FASTER},
    {"too little less", {0.98, 0.97, 0.99}, OQ_SAME_SPEED},
    {"enough less", {0.96, 0.95, 0.97}, OQ_SLOWER},
};

static void test_judge(void **state)
{
    const struct judge_row *row = *state;
    assert_int_equal(oq_judge(&row->spread), row->expected);
}

static void test_series(void **state)
{
    (void)state;
    struct oq_series series = {0};
    onnxq_error error = {0};
    for (int i = 0; i < 1000; i++)
        assert_true(oq_series_add(&series, i, &error));
    assert_int_equal(series.count, 1000);
    check_near(series.values[999], 999);
    oq_series_fini(&series);
    assert_int_equal(series.count, 0);
}

/* --- the schedule --------------------------------------------------------------- */

static const struct burst_row {
    const char *name;
    double ms;
    size_t expected;
} bursts[] = {
    {"fast", 0.001, OQ_BURST_MAX},
    {"no time at all", 0, OQ_BURST_MAX},
    {"1 ms", 1, 30},
    {"7 ms", 7, 5},
    {"30 ms", 30, 1},
    {"a minute", 60000, 1},
};

static void test_burst(void **state)
{
    const struct burst_row *row = *state;
    assert_int_equal(oq_schedule_burst(row->ms), row->expected);
}

/* Every order is a permutation, and each model is the first one about as often as the others. */
static void test_order(void **state)
{
    (void)state;
    size_t order[3], again[3], n_first[3] = {0};
    for (uint64_t turn = 0; turn < 3000; turn++) {
        unsigned seen = 0;
        oq_schedule_order(turn, order, 3);
        oq_schedule_order(turn, again, 3);
        assert_memory_equal(order, again, sizeof(order));
        for (size_t i = 0; i < 3; i++)
            seen |= 1u << order[i];
        assert_int_equal(seen, 7);
        n_first[order[0]]++;
    }
    for (size_t i = 0; i < 3; i++)
        assert_in_range(n_first[i], 900, 1100);
}

static const struct turns_row {
    const char *name;
    uint64_t runs;
    size_t bursts[2], n_sets, expected;
} turns[] = {
    {"one burst", 30, {30, 30}, 1, 1},        {"the slower one decides", 30, {30, 5}, 1, 6},
    {"one run each", 7, {1, 512}, 1, 7},      {"a rest", 31, {30, 30}, 1, 2},
    {"as many as sets", 100, {50, 50}, 4, 4}, {"more sets than runs", 3, {50, 50}, 4, 3},
    {"a single run", 1, {512, 512}, 1, 1},
};

static void test_turns(void **state)
{
    const struct turns_row *row = *state;
    size_t n = oq_schedule_turns(row->runs, row->bursts, 2, row->n_sets);
    uint64_t sum = 0;
    assert_int_equal(n, row->expected);
    for (size_t i = 0; i < n; i++) {
        size_t share = oq_schedule_share(row->runs, i, n);
        assert_in_range(share, 1, OQ_BURST_MAX);
        sum += share;
    }
    assert_int_equal(sum, row->runs);
}

static void test_sessions(void **state)
{
    (void)state;
    assert_int_equal(oq_schedule_sessions(100, 6), 3);
    assert_int_equal(oq_schedule_sessions(5000, 6), 1);
    assert_int_equal(oq_schedule_sessions(0, 0), 3);
}

/* --- memory --------------------------------------------------------------------- */

static const struct memory_row {
    const char *name, *status;
    bool is_read;
} memories[] = {
    {"all", "Name:\tx\nVmHWM:\t   12 kB\nRssAnon:\t 3 kB\nRssFile:\t    4 kB\n", true},
    {"no peak", "Name:\tx\nRssAnon:\t 3 kB\nRssFile:\t    4 kB\n", false},
    {"a name that looks like it", "Name:\tVmHWM: 1 kB\nRssAnon: 3 kB\nRssFile: 4 kB\n", false},
    {"another unit", "Name:\tx\nVmHWM: 12 MB\nRssAnon: 3 kB\nRssFile: 4 kB\n", false},
    {"too much", "\nVmHWM: 18446744073709551615 kB\nRssAnon: 3 kB\nRssFile: 4 kB\n", false},
    {"nothing", "", false},
};

static void test_memory(void **state)
{
    const struct memory_row *row = *state;
    struct oq_memory memory;
    assert_int_equal(oq_memory_parse(row->status, &memory), row->is_read);
    if (!row->is_read)
        return;
    assert_int_equal(memory.peak, 12 * 1024);
    assert_int_equal(memory.anonymous, 3 * 1024);
    assert_int_equal(memory.file, 4 * 1024);
}

int main(void)
{
    TEST(test_quantile);
    TEST(test_summary);
    TEST(test_compare);
    TEST_ROWS(test_judge, judgements);
    TEST(test_series);
    TEST_ROWS(test_burst, bursts);
    TEST(test_order);
    TEST_ROWS(test_turns, turns);
    TEST(test_sessions);
    TEST_ROWS(test_memory, memories);
    return suite_run();
}
