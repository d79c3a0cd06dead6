/*
 * Kernels: the generic form against a plain reference, every other variant
 * against the generic form, bit by bit, at every length and alignment, on
 * memory that ends where the data ends.
 */
#define _DEFAULT_SOURCE
#include <float.h>
#include <limits.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernels/kernels.h"
#include "support/reference.h"
#include "support/suite.h"

#define LONGEST ((size_t)4099)

/* --- memory with unreadable pages around it --- */

struct guarded {
    char *map;
    size_t map_nbytes;
    char *first; /* right behind a guard page */
    char *end;   /* the next guard page starts here */
};

static void unmap(void *thing)
{
    struct guarded *guarded = thing;
    munmap(guarded->map, guarded->map_nbytes);
}

static struct guarded *make_guarded(size_t nbytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t inside = (nbytes + page - 1) / page * page;
    struct guarded *guarded = test_alloc(sizeof(*guarded));
    guarded->map_nbytes = inside + 2 * page;
    guarded->map =
        mmap(NULL, guarded->map_nbytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(guarded->map != MAP_FAILED);
    test_defer(unmap, guarded);
    guarded->first = guarded->map + page;
    guarded->end = guarded->first + inside;
    assert_int_equal(mprotect(guarded->map, page, PROT_NONE), 0);
    assert_int_equal(mprotect(guarded->end, page, PROT_NONE), 0);
    return guarded;
}

/* --- data --- */

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 1 ^ *seed << 16;
}

static float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* Values at which something changes; the first ones are finite. */
static const float edges[] = {0.0f,     -0.0f,     0.5f,       -0.5f,       1.5f,    -1.5f,
                              2.5f,     126.5f,    127.5f,     -127.5f,     -128.5f, 127.49999f,
                              255.5f,   254.5f,    FLT_MIN,    -FLT_MIN,    1e-45f,  -1e-45f,
                              1.0e-40f, FLT_MAX,   -FLT_MAX,   1e30f,       8388609, -8388609,
                              12582912, -12582912, 0.4999999f, 0.50000006f, 1.0f,    -1.0f,
                              INFINITY, -INFINITY, NAN,        -NAN};
#define N_FINITE 30

enum content { UNIFORM, TIES, ANY_BITS, EDGES, FINITE_EDGES };

static float make_value(enum content content, uint32_t *seed)
{
    uint32_t bits = next_random(seed);
    switch (content) {
    case UNIFORM:
        return (float)(bits >> 8) / 8388608.0f - 1;
    case TIES: /* multiples of a half */
        return ((float)(bits >> 8 & 1023) - 512) * 0.5f;
    case EDGES:
        return edges[bits % COUNT(edges)];
    case FINITE_EDGES:
        return edges[bits % N_FINITE];
    case ANY_BITS:
        break;
    }
    return float_of_bits(bits ^ next_random(seed) << 3);
}

static float *make_values(enum content content, size_t n)
{
    uint32_t seed = 7;
    float *x = test_alloc(n * sizeof(*x));
    for (size_t i = 0; i < n; i++)
        x[i] = make_value(content, &seed);
    return x;
}

static const struct content_row {
    const char *name;
    enum content content;
    bool finite;
} contents[] = {{"uniform", UNIFORM, true},
                {"ties", TIES, true},
                {"finite edges", FINITE_EDGES, true},
                {"edges", EDGES, false},
                {"any bits", ANY_BITS, false}};

static const struct quantizer_row {
    const char *name;
    struct oq_quantizer q;
} quantizers[] = {
    {"int8", {1.0f / 127, 0, -127, 127}},
    {"reduced int8", {1.0f / 64, 0, -64, 64}},
    {"uint8", {1.0f / 127, 128, 1, 255}},
    {"asymmetric int8", {0.00693f, -77, -128, 127}},
    {"asymmetric uint8", {0.00693f, 201, 0, 255}},
    {"reduced asymmetric", {0.013f, -11, -64, 63}},
    {"ties", {1, 0, -127, 127}},
    {"ties with an odd zero point", {1, 3, 0, 255}},
    {"tiny scale", {FLT_MIN, 0, -127, 127}},
    {"huge scale", {FLT_MAX / 127, 0, -127, 127}},
};

static bool wants_finite(enum content content)
{
    return content == EDGES || content == ANY_BITS;
}

static const struct oq_kernels *generic_kernels(void)
{
    const struct oq_kernels *const *list = oq_kernels_available();
    while (list[1] != NULL)
        list++;
    return *list;
}

/* --- the list --- */

static void test_list(void **state)
{
    (void)state;
    const struct oq_kernels *const *list = oq_kernels_available();
    assert_ptr_equal(list[0], oq_kernels_best());
    assert_string_equal(generic_kernels()->name, "generic");
    for (size_t i = 0; list[i] != NULL; i++) {
        print_message("           variant: %s\n", list[i]->name);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(list[i]->name, list[k]->name);
    }
}

/* --- keys --- */

static void test_key_order(void **state)
{
    (void)state;
    static const float ordered[] = {-INFINITY, -FLT_MAX, -1,      -FLT_MIN, -1e-45f, -0.0f,   0.0f,
                                    1e-45f,    FLT_MIN,  0.9999f, 1,        FLT_MAX, INFINITY};
    for (size_t i = 0; i < COUNT(ordered); i++) {
        int32_t key = oq_key_from_float(ordered[i]);
        float back = oq_key_to_float(key);
        assert_memory_equal(&back, &ordered[i], sizeof(back));
        if (i > 0)
            assert_compare(oq_key_from_float(ordered[i - 1]), <, key);
    }
    /* NaN of either sign is beyond infinity. */
    assert_compare(oq_key_from_float(float_of_bits(0x7fc00000)), >, oq_key_from_float(INFINITY));
    assert_compare(oq_key_from_float(float_of_bits(0x7f800001)), >, oq_key_from_float(INFINITY));
    assert_compare(oq_key_from_float(float_of_bits(0xffc00000)), <, oq_key_from_float(-INFINITY));
    assert_compare(OQ_KEY_NONE_LO, >=, oq_key_from_float(INFINITY));
    assert_compare(OQ_KEY_NONE_HI, <=, oq_key_from_float(-INFINITY));
}

/* --- the generic form against the reference --- */

static void test_generic_quantize(void **state)
{
    const struct quantizer_row *row = *state;
    const struct oq_quantizer *q = &row->q;
    uint8_t *out = test_alloc(LONGEST);
    for (size_t c = 0; c < COUNT(contents); c++) {
        if (!contents[c].finite)
            continue;
        float *x = make_values(contents[c].content, LONGEST);
        generic_kernels()->quantize_run(x, LONGEST, q, out);
        for (size_t i = 0; i < LONGEST; i++) {
            int expected =
                reference_quantize(x[i], q->scale, (int)q->zero_point, (int)q->qmin, (int)q->qmax);
            if (out[i] != (uint8_t)expected)
                fail_msg("%s: %a / %a: found %d, expected %d", contents[c].name, (double)x[i],
                         (double)q->scale, out[i], (uint8_t)expected);
        }
    }
}

static void check_range(const float *x, size_t n, int32_t lo, int32_t hi)
{
    int32_t expected_lo = OQ_KEY_NONE_LO, expected_hi = OQ_KEY_NONE_HI;
    for (size_t i = 0; i < n; i++) {
        int32_t key = oq_key_from_float(x[i]);
        expected_lo = key < expected_lo ? key : expected_lo;
        expected_hi = key > expected_hi ? key : expected_hi;
    }
    assert_int_equal(lo, expected_lo);
    assert_int_equal(hi, expected_hi);
}

static void test_generic_range(void **state)
{
    const struct content_row *row = *state;
    float *x = make_values(row->content, LONGEST);
    for (size_t n = 0; n <= LONGEST; n = n < 300 ? n + 1 : n * 2 - 1) {
        int32_t lo = OQ_KEY_NONE_LO, hi = OQ_KEY_NONE_HI;
        generic_kernels()->range_run(x, n, &lo, &hi);
        check_range(x, n, lo, hi);
        /* What was there before takes part. */
        lo = oq_key_from_float(-FLT_MAX);
        hi = oq_key_from_float(FLT_MAX);
        generic_kernels()->range_run(x, row->finite ? n : 0, &lo, &hi);
        assert_int_equal(lo, oq_key_from_float(-FLT_MAX));
        assert_int_equal(hi, oq_key_from_float(FLT_MAX));
    }
}

/* A single NaN or infinity shows, wherever it is. */
static void test_range_shows_nan(void **state)
{
    (void)state;
    static const float hidden[] = {NAN, -NAN, INFINITY, -INFINITY};
    const struct oq_kernels *const *list = oq_kernels_available();
    float *x = make_values(UNIFORM, 200);
    for (size_t i = 0; list[i] != NULL; i++) {
        for (size_t at = 0; at < 200; at++) {
            int32_t lo = OQ_KEY_NONE_LO, hi = OQ_KEY_NONE_HI;
            float before = x[at];
            x[at] = hidden[at % COUNT(hidden)];
            list[i]->range_run(x, 200, &lo, &hi);
            assert_true(lo <= oq_key_from_float(-INFINITY) || hi >= oq_key_from_float(INFINITY));
            x[at] = before;
        }
    }
}

/* --- every variant against the generic form --- */

/*
 * Lengths and misalignments: all short ones, then some longer ones, each once
 * with its end and once with its start at a guard page.
 */
typedef void (*span_fn)(const struct oq_kernels *kernels, enum content content, const float *values,
                        char *x, size_t n);

static void for_each_span(span_fn check, const struct content_row *row)
{
    static const size_t longer[] = {255, 256, 257, 511, 1000, 1023, 1025, 4096, LONGEST};
    const struct oq_kernels *const *list = oq_kernels_available();
    const float *values = make_values(row->content, LONGEST);
    struct guarded *guarded = make_guarded(LONGEST * sizeof(float));
    for (size_t i = 0; list[i] != NULL; i++) {
        for (size_t k = 0; k <= 200 + COUNT(longer); k++) {
            size_t n = k <= 200 ? k : longer[k - 201];
            check(list[i], row->content, values, guarded->end - n * sizeof(float), n);
            check(list[i], row->content, values, guarded->first, n);
        }
    }
}

static void check_quantize_run(const struct oq_kernels *kernels, enum content content,
                               const float *values, char *x, size_t n)
{
    static uint8_t expected[LONGEST], out[LONGEST + 1];
    const struct oq_quantizer *q = &quantizers[n % COUNT(quantizers)].q;
    if (wants_finite(content))
        return;
    memcpy(x, values, n * sizeof(float));
    memset(out, 0xa5, sizeof(out));
    generic_kernels()->quantize_run(values, n, q, expected);
    kernels->quantize_run((const float *)(const void *)x, n, q, out);
    assert_memory_equal(out, expected, n);
    assert_int_equal(out[n], 0xa5);
}

static void check_range_run(const struct oq_kernels *kernels, enum content content,
                            const float *values, char *x, size_t n)
{
    int32_t lo = OQ_KEY_NONE_LO, hi = OQ_KEY_NONE_HI;
    (void)content;
    memcpy(x, values, n * sizeof(float));
    kernels->range_run((const float *)(const void *)x, n, &lo, &hi);
    check_range(values, n, lo, hi);
}

static void check_quantize_channels(const struct oq_kernels *kernels, enum content content,
                                    const float *values, char *x, size_t n)
{
    static uint8_t expected[LONGEST], out[LONGEST + 1];
    static float scale[LONGEST], zero_point[LONGEST];
    if (wants_finite(content))
        return;
    for (size_t i = 0; i < n; i++) {
        scale[i] = quantizers[i % COUNT(quantizers)].q.scale;
        zero_point[i] = (float)(i % 250) - 120;
        expected[i] =
            (uint8_t)reference_quantize(values[i], scale[i], (int)zero_point[i], -128, 127);
    }
    memcpy(x, values, n * sizeof(float));
    memset(out, 0xa5, sizeof(out));
    kernels->quantize_channels((const float *)(const void *)x, n, scale, zero_point, -128, 127,
                               out);
    assert_memory_equal(out, expected, n);
    assert_int_equal(out[n], 0xa5);
}

static void test_quantize_run(void **state)
{
    for_each_span(check_quantize_run, *state);
}

static void test_range_run(void **state)
{
    for_each_span(check_range_run, *state);
}

static void test_quantize_channels(void **state)
{
    for_each_span(check_quantize_channels, *state);
}

/* Outputs and scales end at a guard page too. */
static void test_guarded_outputs(void **state)
{
    (void)state;
    const struct oq_kernels *const *list = oq_kernels_available();
    const float *x = make_values(UNIFORM, 700);
    struct guarded *out = make_guarded(700), *scales = make_guarded(700 * sizeof(float)),
                   *zeros = make_guarded(700 * sizeof(float));
    for (size_t i = 0; list[i] != NULL; i++) {
        for (size_t n = 0; n < 700; n += n < 140 ? 1 : 37) {
            float *scale = (float *)(void *)(scales->end - n * sizeof(float));
            float *zero_point = (float *)(void *)(zeros->end - n * sizeof(float));
            for (size_t k = 0; k < n; k++)
                scale[k] = 0.01f;
            list[i]->quantize_run(x, n, &quantizers[0].q, (uint8_t *)out->end - n);
            list[i]->quantize_run(x, n, &quantizers[0].q, (uint8_t *)out->first);
            list[i]->quantize_channels(x, n, scale, zero_point, -127, 127, (uint8_t *)out->end - n);
            /* lo and hi of as many columns */
            list[i]->range_columns(x, 1, n, n, (int32_t *)(void *)scale,
                                   (int32_t *)(void *)zero_point);
        }
    }
}

/* Any offset from the width of a vector. */
static void test_offsets(void **state)
{
    (void)state;
    const struct oq_kernels *const *list = oq_kernels_available();
    const float *values = make_values(UNIFORM, 300);
    char *memory = test_alloc(300 * sizeof(float) + 64);
    uint8_t expected[300], out[300];
    generic_kernels()->quantize_run(values, 300, &quantizers[0].q, expected);
    for (size_t i = 0; list[i] != NULL; i++) {
        for (size_t offset = 0; offset < 64; offset += sizeof(float)) {
            float *x = (float *)(void *)(memory + offset);
            memcpy(x, values, 300 * sizeof(float));
            list[i]->quantize_run(x, 300, &quantizers[0].q, out);
            assert_memory_equal(out, expected, sizeof(out));
            int32_t lo = OQ_KEY_NONE_LO, hi = OQ_KEY_NONE_HI;
            list[i]->range_run(x, 300, &lo, &hi);
            check_range(values, 300, lo, hi);
        }
    }
}

/* --- pairs --- */

static float reference_join(float a, float b)
{
    return (a < 0) == (b < 0) ? 0.5f * a + 0.5f * b : 0;
}

/* Of every length, up to a guard page. */
static void test_join(void **state)
{
    (void)state;
    const struct oq_kernels *const *list = oq_kernels_available();
    const float *x = make_values(UNIFORM, 300), *y = make_values(UNIFORM, 401) + 101;
    struct guarded *guarded = make_guarded(300 * sizeof(float));
    for (size_t i = 0; list[i] != NULL; i++) {
        for (size_t n = 0; n <= 300; n += n < 140 ? 1 : 20) {
            float *a = (float *)(void *)(guarded->end - n * sizeof(float));
            memcpy(a, x, n * sizeof(float));
            list[i]->join(a, y, n);
            for (size_t k = 0; k < n; k++)
                assert_compare(a[k], ==, reference_join(x[k], y[k]));
            memcpy(a, x, n * sizeof(float));
            list[i]->join_neighbours(a, n - n % 2);
            for (size_t k = 0; k + 1 < n; k += 2)
                assert_true(a[k] == reference_join(x[k], x[k + 1]) && a[k + 1] == 0);
        }
    }
}

/* --- sums of rows --- */

/* Of every length, up to a guard page; the order of additions is that of the rows. */
static void test_add_rows(void **state)
{
    enum { MOST = 200, ROWS = 7 };
    const struct oq_kernels *const *list = oq_kernels_available();
    const float *x = make_values(UNIFORM, ROWS * MOST), *y = make_values(UNIFORM, MOST);
    const float factors[ROWS] = {1, -0.3f, 1e-3f, 7, 0, -1e6f, 0.1f};
    struct guarded *guarded = make_guarded(MOST * sizeof(float));
    (void)state;
    for (size_t i = 0; list[i] != NULL; i++) {
        for (size_t n = 0; n <= MOST; n++) {
            const size_t rows = n % (ROWS + 1);
            float *sums = (float *)(void *)(guarded->end - n * sizeof(float));
            memcpy(sums, y, n * sizeof(float));
            list[i]->add_rows(sums, n, x, rows, MOST, factors);
            for (size_t k = 0; k < n; k++) {
                float sum = y[k];
                for (size_t r = 0; r < rows; r++) {
                    volatile float product = factors[r] * x[r * MOST + k]; /* rounded */
                    sum += product;
                }
                assert_true(sums[k] == sum);
            }
        }
    }
}

/* --- columns --- */

static const struct columns_row {
    const char *name;
    size_t rows, columns, stride;
} columns_cases[] = {
    {"no rows", 0, 100, 100},
    {"no columns", 10, 0, 3},
    {"one column", 33, 1, 1},
    {"one row", 1, 500, 500},
    {"a block", 7, 64, 64},
    {"a block and one", 7, 65, 65},
    {"two blocks less one", 5, 127, 127},
    {"wide stride", 9, 70, 101},
    {"many", 40, 200, 203},
};

static void check_columns(const struct oq_kernels *kernels, const struct columns_row *row,
                          const float *x)
{
    int32_t lo[512], hi[512], run_lo, run_hi;
    for (size_t c = 0; c < row->columns; c++) {
        lo[c] = OQ_KEY_NONE_LO;
        hi[c] = OQ_KEY_NONE_HI;
    }
    lo[row->columns] = hi[row->columns] = 12345;
    kernels->range_columns(x, row->rows, row->columns, row->stride, lo, hi);
    for (size_t c = 0; c < row->columns; c++) {
        run_lo = OQ_KEY_NONE_LO;
        run_hi = OQ_KEY_NONE_HI;
        for (size_t r = 0; r < row->rows; r++)
            generic_kernels()->range_run(&x[r * row->stride + c], 1, &run_lo, &run_hi);
        assert_int_equal(lo[c], run_lo);
        assert_int_equal(hi[c], run_hi);
    }
    assert_int_equal(lo[row->columns], 12345);
    assert_int_equal(hi[row->columns], 12345);
}

/* --- levels --- */

/* By the definition: ordinary is what lies in 2^-10 .. 2^10, and octaves are whole ones above. */
static void reference_level(float x, int32_t *count, int32_t *octaves)
{
    if (!(fabsf(x) >= 0x1p-10f && fabsf(x) < 0x1p10f))
        return;
    ++*count;
    *octaves += ilogbf(x) + 10;
}

static void check_level_run(const struct oq_kernels *kernels, enum content content,
                            const float *values, char *x, size_t n)
{
    int32_t count = 3, octaves = 4, expected_count = 3, expected_octaves = 4;
    (void)content;
    memcpy(x, values, n * sizeof(float));
    for (size_t i = 0; i < n; i++)
        reference_level(values[i], &expected_count, &expected_octaves);
    kernels->level_run((const float *)(const void *)x, n, &count, &octaves);
    assert_int_equal(count, expected_count);
    assert_int_equal(octaves, expected_octaves);
}

static void test_level_run(void **state)
{
    for_each_span(check_level_run, *state);
}

static void check_level_columns(const struct oq_kernels *kernels, const struct columns_row *row,
                                const float *x)
{
    int32_t counts[512] = {0}, octaves[512] = {0};
    kernels->level_columns(x, row->rows, row->columns, row->stride, counts, octaves);
    for (size_t c = 0; c < row->columns; c++) {
        int32_t count = 0, sum = 0;
        for (size_t r = 0; r < row->rows; r++)
            reference_level(x[r * row->stride + c], &count, &sum);
        assert_int_equal(counts[c], count);
        assert_int_equal(octaves[c], sum);
    }
    assert_int_equal(counts[row->columns], 0);
    assert_int_equal(octaves[row->columns], 0);
}

static void test_range_columns(void **state)
{
    const struct columns_row *row = *state;
    const struct oq_kernels *const *list = oq_kernels_available();
    size_t n = row->rows == 0 ? 0 : (row->rows - 1) * row->stride + row->columns;
    struct guarded *guarded = make_guarded(n * sizeof(float) + 1);
    for (size_t c = 0; c < COUNT(contents); c++) {
        /* The last row ends with its last column: there is nothing to read behind it. */
        float *x = (float *)(void *)(guarded->end - n * sizeof(float));
        memcpy(x, make_values(contents[c].content, n), n * sizeof(float));
        for (size_t i = 0; list[i] != NULL; i++)
            check_columns(list[i], row, x);
        for (size_t i = 0; list[i] != NULL; i++)
            check_level_columns(list[i], row, x);
    }
}

int main(void)
{
    TEST(test_list);
    TEST(test_key_order);
    TEST_ROWS(test_generic_quantize, quantizers);
    TEST_ROWS(test_generic_range, contents);
    TEST(test_range_shows_nan);
    TEST_ROWS(test_quantize_run, contents);
    TEST_ROWS(test_range_run, contents);
    TEST_ROWS(test_level_run, contents);
    TEST_ROWS(test_quantize_channels, contents);
    TEST(test_guarded_outputs);
    TEST(test_offsets);
    TEST(test_join);
    TEST(test_add_rows);
    TEST_ROWS(test_range_columns, columns_cases);
    return suite_run();
}
