/* Integers that are chosen for activations, against the recursion as its authors wrote it down. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "quantize/numbers/gptq.h"
#include "quantize/numbers/rounded.h"
#include "support/suite.h"

/* Numbers in -1..1 that are the same everywhere. */
static float draw(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / (float)(1 << 23) - 1;
}

/* Rows of activations of which `n` follow from `rank` causes, and a little chance. */
static float *draw_rows(size_t rows, size_t n, size_t rank, float noise, uint32_t seed)
{
    uint32_t state = seed, mixing = 5;
    float *x = test_alloc(rows * n * sizeof(*x)), *mix = test_alloc(rank * n * sizeof(*mix));
    for (size_t i = 0; i < rank * n; i++)
        mix[i] = draw(&mixing);
    for (size_t r = 0; r < rows; r++) {
        for (size_t k = 0; k < rank; k++) {
            const float cause = draw(&state);
            for (size_t i = 0; i < n; i++)
                x[r * n + i] += cause * mix[k * n + i];
        }
        for (size_t i = 0; i < n; i++)
            x[r * n + i] += noise * draw(&state);
    }
    return x;
}

static float *make_sums(const float *x, size_t rows, size_t n)
{
    float *sums = test_alloc(n * n * sizeof(*sums));
    for (size_t first = 0; first < rows; first += OQ_PRODUCTS_AT_ONCE) {
        const size_t left = rows - first;
        oq_add_products(sums, x + first * n,
                        left < OQ_PRODUCTS_AT_ONCE ? left : OQ_PRODUCTS_AT_ONCE, n);
    }
    return sums;
}

static double lower(const float *sums, size_t n, size_t i, size_t k)
{
    return (double)(i >= k ? sums[i * n + k] : sums[k * n + i]);
}

/* --- sums and factors --- */

static void test_products(void **state)
{
    enum { ROWS = 150, N = 37 };
    const float *x = draw_rows(ROWS, N, 3, 0.1f, 1), *sums = make_sums(x, ROWS, N);
    (void)state;
    for (size_t i = 0; i < N; i++) {
        for (size_t k = 0; k < N; k++) {
            double sum = 0;
            for (size_t r = 0; r < ROWS; r++)
                sum += (double)x[r * N + i] * (double)x[r * N + k];
            assert_true(k > i ? sums[i * N + k] == 0
                              : fabs((double)sums[i * N + k] - sum) < 1e-4 * ROWS);
        }
    }
}

static void test_factor(void **state)
{
    enum { ROWS = 150, N = 37 };
    const float *sums = make_sums(draw_rows(ROWS, N, 3, 0.1f, 1), ROWS, N);
    float *factor = test_alloc(N * N * sizeof(*factor));
    double mean = 0;
    (void)state;
    for (size_t i = 0; i < N; i++)
        mean += lower(sums, N, i, i) / N;
    memcpy(factor, sums, N * N * sizeof(*factor));
    assert_true(oq_factor_products(factor, N, 0.01f));
    for (size_t i = 0; i < N; i++) {
        for (size_t k = 0; k <= i; k++) {
            double sum = 0, want = lower(sums, N, i, k) + (i == k ? 0.01 * mean : 0);
            for (size_t m = i; m < N; m++) /* (L' L)[i, k] */
                sum += (double)factor[m * N + i] * (double)factor[m * N + k];
            assert_true(fabs(sum - want) < 1e-4 * mean);
        }
    }
}

static void test_no_factor(void **state)
{
    float zeros[16] = {0}, indefinite[] = {1, 0, 3, 1}, infinite[] = {INFINITY, 0, 0, 1};
    (void)state;
    assert_false(oq_factor_products(zeros, 4, 0.01f));
    assert_false(oq_factor_products(indefinite, 2, 0.01f));
    assert_false(oq_factor_products(infinite, 2, 0.01f));
}

/* --- rounding --- */

static const struct row {
    const char *name;
    size_t inputs, outputs, block_size, rank;
    float noise;
    bool symmetric;
} rows[] = {
    {"whole blocks", 64, 5, 16, 6, 0.2f, false},
    {"a part of a block", 70, 5, 16, 6, 0.2f, false},
    {"an odd number of blocks", 80, 3, 16, 6, 0.2f, false},
    {"less than a block", 20, 7, 32, 4, 0.2f, false},
    {"one output", 64, 1, 32, 6, 0.2f, false},
    {"symmetric", 70, 5, 16, 6, 0.2f, true},
    {"nothing to make up for", 64, 5, 16, 0, 1, false},
};

static double squares(const struct oq_rounding_problem *problem, const double *left)
{
    const size_t k = problem->n_inputs, n = problem->n_outputs;
    double sum = 0;
    for (size_t i = 0; i < k; i++)
        for (size_t m = 0; m < k; m++)
            for (size_t j = 0; j < n; j++)
                sum += left[i * n + j] * lower(problem->held, k, i, m) * left[m * n + j];
    return sum;
}

/* What the integers leave of the weight. */
static double *leave(const struct oq_rounding_problem *problem,
                     const struct oq_rounded_blocks *rounded)
{
    const size_t n = problem->n_outputs, nelem = problem->n_inputs * n;
    double *left = test_alloc(nelem * sizeof(*left));
    for (size_t i = 0; i < nelem; i++) {
        const size_t at = i / n / problem->block_size * n + i % n;
        left[i] = (double)problem->weight[i] -
                  ((double)rounded->codes[i] - (double)rounded->zero_point[at]) *
                      (double)rounded->scale[at];
    }
    return left;
}

static double *leave_nearest(const struct oq_rounding_problem *problem)
{
    const size_t n = problem->n_outputs, size = problem->block_size;
    double *left = test_alloc(problem->n_inputs * n * sizeof(*left));
    for (size_t first = 0; first < problem->n_inputs; first += size) {
        const size_t end = first + size < problem->n_inputs ? first + size : problem->n_inputs;
        for (size_t j = 0; j < n; j++) {
            float lo = 0, hi = 0;
            for (size_t i = first; i < end; i++) {
                lo = fminf(lo, problem->weight[i * n + j]);
                hi = fmaxf(hi, problem->weight[i * n + j]);
            }
            const float scale = problem->symmetric ? (-lo >= hi ? lo : hi) / -8 : (hi - lo) / 15;
            const float zero = problem->symmetric ? 8 : rintf(-lo / scale);
            for (size_t i = first; i < end; i++) {
                const float w = problem->weight[i * n + j];
                const float code = fminf(fmaxf(rintf(w / scale) + zero, 0), 15);
                left[i * n + j] = (double)w - (double)((code - zero) * scale);
            }
        }
    }
    return left;
}

/* a = inverse of H with damping, by Gauss and Jordan. */
static void invert(const float *sums, size_t n, double damping, double *a)
{
    double *m = test_alloc(n * 2 * n * sizeof(*m)), mean = 0;
    for (size_t i = 0; i < n; i++)
        mean += lower(sums, n, i, i) / (double)n;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < n; k++)
            m[i * 2 * n + k] = lower(sums, n, i, k) + (i == k ? damping * mean : 0);
        m[i * 2 * n + n + i] = 1;
    }
    for (size_t i = 0; i < n; i++) {
        const double pivot = m[i * 2 * n + i];
        for (size_t k = 0; k < 2 * n; k++)
            m[i * 2 * n + k] /= pivot;
        for (size_t r = 0; r < n; r++) {
            const double factor = r == i ? 0 : m[r * 2 * n + i];
            for (size_t k = 0; k < 2 * n; k++)
                m[r * 2 * n + k] -= factor * m[i * 2 * n + k];
        }
    }
    for (size_t i = 0; i < n; i++)
        memcpy(a + i * n, m + i * 2 * n + n, n * sizeof(*a));
}

/*
 * Frantar et al., with the scales that were chosen: a row is rounded, and what that has changed is
 * taken out of the rows to come by the inverse of H, from which the row then leaves. Counts the
 * integers that differ.
 */
static size_t count_unlike(const struct oq_rounding_problem *problem,
                           const struct oq_rounded_blocks *rounded, double damping)
{
    const size_t k = problem->n_inputs, n = problem->n_outputs;
    double *inverse = test_alloc(k * k * sizeof(*inverse));
    double *w = test_alloc(k * n * sizeof(*w));
    size_t count = 0;
    invert(problem->seen, k, damping, inverse);
    for (size_t i = 0; i < k * n; i++)
        w[i] = (double)problem->weight[i];
    for (size_t i = 0; i < k; i++) {
        const double pivot = inverse[i * k + i];
        for (size_t j = 0; j < n; j++) {
            const size_t at = i / problem->block_size * n + j;
            const double scale = (double)rounded->scale[at];
            const double zero = (double)rounded->zero_point[at];
            const double code = fmin(fmax(rint(w[i * n + j] / scale) + zero, 0), 15);
            count += code != (double)rounded->codes[i * n + j];
            const double error = (w[i * n + j] - (code - zero) * scale) / pivot;
            for (size_t m = i + 1; m < k; m++)
                w[m * n + j] -= error * inverse[m * k + i];
        }
        for (size_t a = i + 1; a < k; a++)
            for (size_t b = i + 1; b < k; b++)
                inverse[a * k + b] -= inverse[a * k + i] * inverse[i * k + b] / pivot;
    }
    return count;
}

static struct oq_rounding_problem make_problem(const struct row *row)
{
    enum { ROWS = 400 };
    const size_t k = row->inputs;
    uint32_t state = 9;
    float *weight = test_alloc(k * row->outputs * sizeof(*weight));
    for (size_t i = 0; i < k * row->outputs; i++)
        weight[i] = draw(&state) + draw(&state);
    const float *seen = draw_rows(ROWS, k, row->rank, row->noise, 1);
    const float *held = draw_rows(ROWS, k, row->rank, row->noise, 2);
    return (struct oq_rounding_problem){.n_inputs = k,
                                        .n_outputs = row->outputs,
                                        .block_size = row->block_size,
                                        .symmetric = row->symmetric,
                                        .weight = weight,
                                        .seen = make_sums(seen, ROWS, k),
                                        .held = make_sums(held, ROWS, k)};
}

static void test_rounding(void **state)
{
    static const double dampings[] = {0.01, 0.1, 1};
    const struct row *row = *state;
    const struct oq_rounding_problem problem = make_problem(row);
    struct oq_rounded_blocks rounded;
    size_t least = SIZE_MAX;
    assert_true(oq_round_blocks(&problem, &rounded));
    const double left = squares(&problem, leave(&problem, &rounded));
    const double nearest = squares(&problem, leave_nearest(&problem));
    assert_true(fabs(left / nearest - rounded.left) < 1e-3);
    assert_true(rounded.left <= 1);
    for (size_t i = 0; i < COUNT(dampings) && rounded.way == OQ_ROUND_GPTQ; i++) {
        const size_t count = count_unlike(&problem, &rounded, dampings[i]);
        least = count < least ? count : least;
    }
    if (row->rank > 0) {
        assert_int_equal(rounded.way, OQ_ROUND_GPTQ);
        assert_true(rounded.left < 0.6);
        assert_int_equal(least, 0);
    }
    oq_rounded_blocks_fini(&rounded);
}

/* Integers that hold the weight exactly stay, and blocks of zeros are no trouble. */
static void test_exact(void **state)
{
    struct oq_rounding_problem problem = make_problem(&rows[0]);
    float *weight = test_alloc(problem.n_inputs * problem.n_outputs * sizeof(*weight));
    struct oq_rounded_blocks rounded;
    (void)state;
    for (size_t i = 0; i < problem.n_inputs * problem.n_outputs; i++)
        weight[i] = i / problem.n_outputs < 16 ? 0 : 0.25f * (float)((i * 7 + i / 5) % 16) - 1;
    for (size_t i = 16; i < problem.n_inputs; i += 16) /* both ends in each block */
        for (size_t j = 0; j < problem.n_outputs; j++) {
            weight[i * problem.n_outputs + j] = -1;
            weight[(i + 1) * problem.n_outputs + j] = 2.75f;
        }
    problem.weight = weight;
    assert_true(oq_round_blocks(&problem, &rounded));
    const double *left = leave(&problem, &rounded);
    for (size_t i = 0; i < problem.n_inputs * problem.n_outputs; i++)
        assert_true(left[i] == 0);
    assert_int_equal(rounded.way, OQ_ROUND_NEAREST);
    oq_rounded_blocks_fini(&rounded);
}

/* The part of the nearest rounding's scale that suits one column of a block best, by least squares.
 */
static double best_part(const struct oq_rounding_problem *problem, size_t first, size_t j,
                        double scale, double zero)
{
    static const double steps[] = {1, 0.93, 0.86, 0.79};
    const size_t k = problem->n_inputs, n = problem->n_outputs;
    double best = 1, gain = 0;
    for (size_t s = 0; s < COUNT(steps); s++) {
        double products = 0, squares_of_codes = 0;
        for (size_t i = first; i < k && i < first + problem->block_size; i++) {
            const double w = (double)problem->weight[i * n + j],
                         seen = lower(problem->seen, k, i, i);
            const double code = fmin(fmax(rint(w / scale / steps[s]) + zero, 0), 15) - zero;
            products += seen * code * w / scale;
            squares_of_codes += seen * code * code;
        }
        if (products > 0 && products * products / squares_of_codes > gain) {
            gain = products * products / squares_of_codes;
            best = fmin(products / squares_of_codes, 1);
        }
    }
    return best;
}

/* Where inputs have nothing to do with each other, what is left to choose is the scale. */
static void test_fitted(void **state)
{
    const struct row *row = *state;
    struct oq_rounding_problem problem = make_problem(row);
    struct oq_rounded_blocks rounded;
    const size_t k = problem.n_inputs, n = problem.n_outputs, size = problem.block_size;
    float *sums = test_alloc(k * k * sizeof(*sums));
    for (size_t i = 0; i < k; i++)
        sums[i * k + i] = problem.seen[i * k + i] * (i % 3 == 0 ? 20 : 1);
    problem.seen = problem.held = sums;
    assert_true(oq_round_blocks(&problem, &rounded));
    assert_int_equal(rounded.way, OQ_ROUND_FITTED);
    for (size_t b = 0; b < oq_rounding_n_blocks(&problem); b++)
        for (size_t j = 0; j < n; j++) {
            float lo = 0, hi = 0;
            for (size_t i = b * size; i < k && i < (b + 1) * size; i++) {
                lo = fminf(lo, problem.weight[i * n + j]);
                hi = fmaxf(hi, problem.weight[i * n + j]);
            }
            const double covers =
                (double)(problem.symmetric ? (-lo >= hi ? lo : hi) / -8 : (hi - lo) / 15);
            const double want = covers * best_part(&problem, b * size, j, covers,
                                                   (double)rounded.zero_point[b * n + j]);
            assert_compare(fabs((double)rounded.scale[b * n + j] - want), <=, 1e-5 * fabs(want));
        }
    const double *left = leave(&problem, &rounded);
    assert_compare(
        fabs(squares(&problem, left) / squares(&problem, leave_nearest(&problem)) - rounded.left),
        <=, 1e-3);
    oq_rounded_blocks_fini(&rounded);
}

static void test_not_finite(void **state)
{
    struct oq_rounding_problem problem = make_problem(&rows[0]);
    float *held = test_alloc(problem.n_inputs * problem.n_inputs * sizeof(*held));
    struct oq_rounded_blocks rounded;
    (void)state;
    memcpy(held, problem.held, problem.n_inputs * problem.n_inputs * sizeof(*held));
    held[3 * problem.n_inputs + 2] = NAN;
    problem.held = held;
    assert_true(oq_round_blocks(&problem, &rounded));
    assert_int_equal(rounded.way, OQ_ROUND_NEAREST);
    const double *left = leave(&problem, &rounded), *want = leave_nearest(&problem);
    for (size_t i = 0; i < problem.n_inputs * problem.n_outputs; i++)
        assert_true(fabs(left[i] - want[i]) < 1e-6);
    oq_rounded_blocks_fini(&rounded);
}

/* --- as it is stored --- */

static void test_stored(void **state)
{
    const struct row *row = *state;
    const struct oq_rounding_problem problem = make_problem(row);
    const size_t n_blocks = oq_rounding_n_blocks(&problem), n = problem.n_outputs;
    struct oq_rounded_blocks rounded;
    onnxq_error error;
    struct oq_rounding *rounding = oq_rounding_create(&error);
    struct oq_blocks blocks = {.choice = {.form = OQ_BLOCKS_PADDED,
                                          .bits = ONNXQ_BITS_4,
                                          .size = problem.block_size,
                                          .symmetric = problem.symmetric},
                               .outer = 1,
                               .length = problem.n_inputs,
                               .inner = n};
    assert_true(oq_round_blocks(&problem, &rounded));
    assert_true(oq_rounding_add(rounding, "w", &problem, &rounded, &error));
    assert_null(oq_rounding_find(rounding, "v", &blocks));
    const struct oq_rounded_weight *weight = oq_rounding_find(rounding, "w", &blocks);
    assert_non_null(weight);
    const struct oq_rounded_scales scales = {weight, n_blocks * n, -0.5f};
    const struct oq_recipe recipe = oq_rounded_scales_recipe(&scales);
    assert_int_equal(recipe.nbytes, n_blocks * n * sizeof(float));
    for (size_t line = 0; line < n; line++) {
        for (size_t i = 0; i < n_blocks * problem.block_size; i++) {
            const size_t at = i / problem.block_size * n + line;
            const size_t half = line * n_blocks * problem.block_size + i;
            const uint8_t want =
                i < problem.n_inputs ? rounded.codes[i * n + line] : rounded.zero_point[at];
            assert_int_equal(weight->integers[half / 2] >> (half % 2 * 4) & 15, want);
        }
        for (size_t b = 0; b < n_blocks; b++) {
            float scale; /* in a stretch that begins within a number */
            uint8_t bytes[sizeof(scale) + 1];
            const uint64_t first = (line * n_blocks + b) * sizeof(scale);
            assert_true(recipe.produce(recipe.source, first + 1, 3, bytes + 1, NULL, &error));
            assert_true(recipe.produce(recipe.source, first, 1, bytes, NULL, &error));
            memcpy(&scale, bytes, sizeof(scale));
            assert_true(scale == -0.5f * rounded.scale[b * n + line]);
            if (problem.symmetric)
                continue;
            const uint8_t pair = weight->zero_points[line * ((n_blocks + 1) / 2) + b / 2];
            assert_int_equal(pair >> (b % 2 * 4) & 15, rounded.zero_point[b * n + line]);
        }
    }
    assert_int_equal(weight->zero_points == NULL, problem.symmetric);
    blocks.choice.size *= 2;
    assert_null(oq_rounding_find(rounding, "w", &blocks));
    oq_rounded_blocks_fini(&rounded);
    oq_rounding_destroy(rounding);
}

int main(void)
{
    TEST(test_products);
    TEST(test_factor);
    TEST(test_no_factor);
    TEST_ROWS(test_rounding, rows);
    TEST_ROWS(test_fitted, rows);
    TEST(test_exact);
    TEST(test_not_finite);
    TEST_ROWS(test_stored, rows);
    return suite_run();
}
