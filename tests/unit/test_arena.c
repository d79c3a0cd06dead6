/* Memory that is given out in pieces, maps from strings, arithmetic that cannot overflow. */
#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/strmap.h"
#include "support/suite.h"

#define MB ((size_t)1 << 20)

static void test_pieces(void **state)
{
    (void)state;
    struct oq_arena *arena = test_arena(64 * MB);
    unsigned char *pieces[300];
    for (size_t i = 0; i < COUNT(pieces); i++) {
        size_t nbytes = i * 37;
        pieces[i] = oq_arena_alloc(arena, nbytes);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
        for (size_t k = 0; k < nbytes; k++)
            assert_int_equal(pieces[i][k], 0);
        memset(pieces[i], (int)(i & 255), nbytes);
    }
    for (size_t i = 0; i < COUNT(pieces); i++) /* none lies over another */
        for (size_t k = 0; k < i * 37; k++)
            assert_int_equal(pieces[i][k], i & 255);
}

/* A large piece, small ones behind it, and larger than any block. */
static void test_large_pieces(void **state)
{
    (void)state;
    struct oq_arena *arena = test_arena(64 * MB);
    static const size_t sizes[] = {1, 5 * MB, 1, 3 * MB, 100, 20 * MB, 0, 7};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        unsigned char *piece = oq_arena_alloc(arena, sizes[i]);
        assert_non_null(piece);
        memset(piece, 0xff, sizes[i]);
    }
}

/* What an arena has given out before does not count. */
static void test_clear(void **state)
{
    (void)state;
    struct oq_arena *arena = test_arena(8 * MB);
    for (size_t i = 0; i < 10; i++) {
        unsigned char *piece = oq_arena_alloc(arena, 6 * MB);
        assert_non_null(piece);
        assert_int_equal(piece[6 * MB - 1], 0);
        memset(piece, 0xff, 6 * MB);
        assert_null(oq_arena_alloc(arena, 6 * MB));
        assert_true(arena->failed);
        oq_arena_clear(arena);
        assert_false(arena->failed);
    }
}

static const struct budget_row {
    const char *name;
    size_t budget, nbytes;
    bool fits;
} budgets[] = {
    {"far below", MB, 100, true},
    {"all", MB, MB, true},
    {"one over", MB, MB + 1, false},
    {"far over", MB, 5 * MB, false},
    {"nothing", 0, 1, false},
    {"half of memory", MB, SIZE_MAX / 2, false},
    {"all of memory", MB, SIZE_MAX, false},
    {"all but one", SIZE_MAX, SIZE_MAX - 1, false},
};

static void test_budget(void **state)
{
    const struct budget_row *row = *state;
    struct oq_arena *arena = test_arena(row->budget);
    assert_int_equal(oq_arena_alloc(arena, row->nbytes) != NULL, row->fits);
}

/* Many small pieces stop at the budget, not somewhere behind it. */
static void test_budget_of_many(void **state)
{
    (void)state;
    onnxq_error error;
    struct oq_arena *arena = test_arena(3 * MB);
    size_t n = 0;
    while (oq_arena_alloc(arena, 1000) != NULL)
        n++;
    assert_in_range(n, 1500, 3 * MB / 1000);
    assert_compare(arena->allocated, <=, 3 * MB);
    oq_error_init(&error);
    assert_false(oq_arena_fail(arena, &error));
    assert_int_equal(error.status, ONNXQ_ERROR_MEMORY);
    assert_string_equal(error.message,
                        "the structure (all but the weights) needs more than the limit of 3 MB");
}

static void test_array(void **state)
{
    (void)state;
    struct oq_arena *arena = test_arena(MB);
    assert_non_null(oq_arena_array(arena, 10, 8));
    assert_non_null(oq_arena_array(arena, 0, 8));
    assert_null(oq_arena_array(arena, SIZE_MAX / 8 + 1, 8));
    assert_null(oq_arena_array(arena, SIZE_MAX, SIZE_MAX));
    assert_null(oq_arena_array(arena, (size_t)1 << 32, (size_t)1 << 32)); /* wraps to 0 */
}

static void test_strings(void **state)
{
    (void)state;
    struct oq_arena *arena = test_arena(MB);
    char *copy = oq_arena_strdup(arena, "text");
    assert_string_equal(copy, "text");
    assert_string_equal(oq_arena_strdup(arena, ""), "");
    assert_string_equal(oq_arena_printf(arena, "%s_%d", copy, 5), "text_5");
    assert_int_equal(strlen(oq_arena_printf(arena, "%0900d", 1)), 900);
    assert_null(oq_arena_printf(test_arena(10), "%0900d", 1));
}

static void test_grow(void **state)
{
    (void)state;
    struct oq_arena *arena = test_arena(MB);
    int *items = NULL;
    size_t capacity = 0;
    for (int i = 0; i < 1000; i++) {
        assert_true(oq_arena_grow(arena, &items, (size_t)i, &capacity, sizeof(*items)));
        assert_compare(capacity, >, (size_t)i);
        items[i] = i;
    }
    for (int i = 0; i < 1000; i++)
        assert_int_equal(items[i], i);
    while (oq_arena_grow(arena, &items, capacity, &capacity, sizeof(*items)))
        ;
    assert_int_equal(items[999], 999); /* what is there stays when there is no more */
}

/* --- maps --- */

static const char *make_key(size_t i)
{
    return test_printf("%s%zu", i % 3 == 0 ? "encoder.layer." : "n", i);
}

static void test_map(void **state)
{
    (void)state;
    enum { MANY = 1200 };
    static int values[MANY];
    struct oq_strmap map;
    oq_strmap_init(&map, test_arena(8 * MB));
    assert_null(oq_strmap_find(&map, "nothing yet"));
    for (size_t i = 0; i < MANY; i++) {
        void **place = oq_strmap_place(&map, make_key(i));
        assert_non_null(place);
        assert_null(*place);
        *place = &values[i];
        assert_int_equal(map.count, i + 1);
    }
    for (size_t i = 0; i < MANY; i++) {
        assert_ptr_equal(oq_strmap_find(&map, make_key(i)), &values[i]);
        assert_ptr_equal(*oq_strmap_place(&map, make_key(i)), &values[i]);
    }
    assert_int_equal(map.count, MANY); /* finding makes nothing */
    assert_null(oq_strmap_find(&map, "n1200"));
    assert_null(oq_strmap_find(&map, ""));
    *oq_strmap_place(&map, "") = &values[0];
    assert_ptr_equal(oq_strmap_find(&map, ""), &values[0]);
}

/* Two strings whose hashes are the same, all 64 bits of them. */
static void test_map_collision(void **state)
{
    (void)state;
    static const char *const keys[] = {"8yn0iYCKYHlIj4-BwPqk", "GReLUrM4wMqfg9yzV3KQ"};
    int values[2];
    struct oq_strmap map;
    oq_strmap_init(&map, test_arena(MB));
    *oq_strmap_place(&map, keys[0]) = &values[0];
    assert_null(oq_strmap_find(&map, keys[1]));
    *oq_strmap_place(&map, keys[1]) = &values[1];
    assert_ptr_equal(oq_strmap_find(&map, keys[0]), &values[0]);
    assert_ptr_equal(oq_strmap_find(&map, keys[1]), &values[1]);
}

static void test_map_memory(void **state)
{
    (void)state;
    struct oq_strmap map;
    oq_strmap_init(&map, test_arena(20 << 10));
    size_t n = 0;
    void **place;
    while ((place = oq_strmap_place(&map, make_key(n))) != NULL) {
        *place = &map;
        n++;
    }
    assert_compare(n, >, 10);
    for (size_t i = 0; i < n; i++)
        assert_ptr_equal(oq_strmap_find(&map, make_key(i)), &map);
    assert_null(oq_strmap_find(&map, make_key(n)));
}

/* --- arithmetic --- */

static const struct sum_row {
    const char *name;
    uint64_t a, b;
    bool sum_fits, product_fits;
} sums[] = {
    {"zeros", 0, 0, true, true},
    {"small", 3, 5, true, true},
    {"largest and zero", UINT64_MAX, 0, true, true},
    {"largest and one", UINT64_MAX, 1, false, true},
    {"halves", UINT64_MAX / 2 + 1, 2, true, false},
    {"just fits", UINT64_MAX / 2, 2, true, true},
    {"roots", (uint64_t)1 << 32, (uint64_t)1 << 32, true, false},
    {"just below the roots", UINT32_MAX, UINT32_MAX, true, true},
    {"largest twice", UINT64_MAX, UINT64_MAX, false, false},
};

static void test_checked(void **state)
{
    const struct sum_row *row = *state;
    uint64_t result;
    size_t size;
    assert_int_equal(oq_add_u64(row->a, row->b, &result), row->sum_fits);
    if (row->sum_fits)
        assert_compare(result, ==, row->a + row->b);
    assert_int_equal(oq_mul_u64(row->a, row->b, &result), row->product_fits);
    if (row->product_fits)
        assert_compare(result, ==, row->a * row->b);
    if (sizeof(size) == sizeof(result))
        assert_int_equal(oq_mul_size((size_t)row->a, (size_t)row->b, &size), row->product_fits);
    assert_compare(oq_min_u64(row->a, row->b), ==, (row->a < row->b ? row->a : row->b));
    assert_compare(oq_max_u64(row->a, row->b), ==, (row->a < row->b ? row->b : row->a));
}

static void test_align(void **state)
{
    (void)state;
    assert_compare(oq_align_u64(0, 4096), ==, 0);
    assert_compare(oq_align_u64(1, 4096), ==, 4096);
    assert_compare(oq_align_u64(4096, 4096), ==, 4096);
    assert_compare(oq_align_u64(4097, 4096), ==, 8192);
    assert_compare(oq_align_u64(((uint64_t)5 << 32) + 1, 16), ==, ((uint64_t)5 << 32) + 16);
    assert_compare(oq_align_u64(7, 1), ==, 7);
}

int main(void)
{
    TEST(test_pieces);
    TEST(test_large_pieces);
    TEST(test_clear);
    TEST_ROWS(test_budget, budgets);
    TEST(test_budget_of_many);
    TEST(test_array);
    TEST(test_strings);
    TEST(test_grow);
    TEST(test_map);
    TEST(test_map_collision);
    TEST(test_map_memory);
    TEST_ROWS(test_checked, sums);
    TEST(test_align);
    return suite_run();
}
