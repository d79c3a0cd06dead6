/*
 * Files of measurements: there and back, of what else they may be, and whatever else a file of that
 * name may hold. What is refused is refused in one line, with the place.
 */
#include "tune/tune_cache.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "support/models.h"

static void fini(void *arena)
{
    oq_arena_fini(arena);
}

static struct oq_arena *make_arena(void)
{
    struct oq_arena *arena = test_alloc(sizeof(*arena));
    oq_arena_init(arena, (size_t)1 << 24);
    test_defer(fini, arena);
    return arena;
}

static struct oq_tune_origin make_origin(void)
{
    return (struct oq_tune_origin){.model = {.hash = 0x123456789abcdef0, .n_values = 7},
                                   .onnxq = "1.2.3",
                                   .engine = "1.31.1",
                                   .machine = "a \"machine\", 2 processors",
                                   .inputs = 0xfedcba9876543210};
}

static bool open_cache(struct oq_tune_cache *cache, const struct oq_tune_origin *origin,
                       onnxq_error *error)
{
    oq_error_init(error);
    return oq_tune_cache_open(cache, test_path("measured.json"), make_arena(), origin, error);
}

/* Three measurements in the file. */
static void write_cache(void)
{
    struct oq_tune_cache cache;
    onnxq_error error;
    const struct oq_tune_origin origin = make_origin();
    remove(test_path("measured.json"));
    assert_true(open_cache(&cache, &origin, &error));
    assert_int_equal(cache.count, 0);
    assert_true(oq_tune_cache_put(&cache, OQ_MEASURED_ERROR, "n", "folded", 0.1, &error));
    assert_true(oq_tune_cache_put(&cache, OQ_MEASURED_TIME, "n", "folded", -2e-300, &error));
    assert_true(oq_tune_cache_put(&cache, OQ_MEASURED_ERROR, "m\n", "integers", 0, &error));
    assert_true(
        oq_tune_cache_put(&cache, OQ_MEASURED_TIME, "m\n", "integers", (double)NAN, &error));
    assert_true(oq_tune_cache_save(&cache, &error));
}

static void test_there_and_back(void **state)
{
    (void)state;
    struct oq_tune_cache cache;
    onnxq_error error;
    double value = 5;
    const struct oq_tune_origin origin = make_origin();
    write_cache();
    assert_true(open_cache(&cache, &origin, &error));
    assert_null(cache.foreign);
    assert_true(oq_tune_cache_get(&cache, OQ_MEASURED_ERROR, "n", "folded", &value));
    assert_true(value == 0.1);
    assert_true(oq_tune_cache_get(&cache, OQ_MEASURED_TIME, "n", "folded", &value));
    assert_true(value == -2e-300);
    assert_true(oq_tune_cache_get(&cache, OQ_MEASURED_ERROR, "m\n", "integers", &value));
    assert_true(value == 0);
    assert_false(oq_tune_cache_get(&cache, OQ_MEASURED_TIME, "m\n", "integers", &value));
    assert_false(oq_tune_cache_get(&cache, OQ_MEASURED_ERROR, "n", "integers", &value));
}

/* Nothing is read or kept where no file is named. */
static void test_no_file(void **state)
{
    (void)state;
    struct oq_tune_cache cache;
    onnxq_error error;
    double value;
    const struct oq_tune_origin origin = make_origin();
    oq_error_init(&error);
    assert_true(oq_tune_cache_open(&cache, NULL, make_arena(), &origin, &error));
    assert_true(oq_tune_cache_put(&cache, OQ_MEASURED_ERROR, "n", "folded", 0.1, &error));
    assert_false(oq_tune_cache_get(&cache, OQ_MEASURED_ERROR, "n", "folded", &value));
    assert_true(oq_tune_cache_save(&cache, &error));
}

static void test_folder_that_is_not_there(void **state)
{
    (void)state;
    struct oq_tune_cache cache;
    onnxq_error error;
    const struct oq_tune_origin origin = make_origin();
    oq_error_init(&error);
    assert_true(
        oq_tune_cache_open(&cache, test_path("no/measured.json"), make_arena(), &origin, &error));
    assert_false(oq_tune_cache_save(&cache, &error));
    assert_int_equal(error.status, ONNXQ_ERROR_OUTPUT);
}

/* --- measured elsewhere --- */

static void check_foreign(const struct oq_tune_origin *origin, const char *expected)
{
    struct oq_tune_cache cache;
    onnxq_error error;
    double value;
    assert_true(open_cache(&cache, origin, &error));
    assert_string_equal(cache.foreign, expected);
    assert_int_equal(cache.count, 0);
    assert_false(oq_tune_cache_get(&cache, OQ_MEASURED_ERROR, "n", "folded", &value));
}

static void test_foreign(void **state)
{
    (void)state;
    struct oq_tune_origin origin = make_origin();
    write_cache();
    origin.inputs++;
    check_foreign(&origin, "with other inputs, weights or settings");
    origin = make_origin();
    origin.machine = "another";
    check_foreign(&origin, "on another machine");
    origin = make_origin();
    origin.engine = "1.31.2";
    check_foreign(&origin, "with another engine");
    origin = make_origin();
    origin.onnxq = "1.2.4";
    check_foreign(&origin, "by another onnxq");
}

static void test_another_model(void **state)
{
    (void)state;
    struct oq_tune_cache cache;
    onnxq_error error;
    struct oq_tune_origin origin = make_origin();
    write_cache();
    origin.model.n_values = 8;
    assert_false(open_cache(&cache, &origin, &error));
    assert_int_equal(error.status, ONNXQ_ERROR_INPUT);
    assert_non_null(strstr(test_error_text(&error), "measured.json: measurements of another model: "
                                                    "of 7 node outputs"));
}

/* --- what is no such file --- */

static void test_cut(void **state)
{
    (void)state;
    struct oq_tune_cache cache;
    onnxq_error error;
    size_t nbytes;
    const struct oq_tune_origin origin = make_origin();
    write_cache();
    const char *text = (const char *)test_read_file(test_path("measured.json"), &nbytes);
    while (text[nbytes - 1] != '}')
        nbytes--;
    for (size_t n = 0; n < nbytes; n++) {
        test_write_file(test_path("measured.json"), text, n);
        if (open_cache(&cache, &origin, &error))
            fail_msg("accepted, cut at byte %zu", n);
        assert_int_equal(error.status, ONNXQ_ERROR_INPUT);
        if (strncmp(test_error_text(&error), "measured.json: ", 15) != 0)
            fail_msg("%s", test_error_text(&error));
    }
}

static void test_changed(void **state)
{
    (void)state;
    static const char others[] = {'\0', '"', '{', ']', '9', '-', 'e', '\n', '\xff'};
    struct oq_tune_cache cache;
    onnxq_error error;
    size_t nbytes, n_refused = 0;
    const struct oq_tune_origin origin = make_origin();
    write_cache();
    const char *text = (const char *)test_read_file(test_path("measured.json"), &nbytes);
    char *changed = test_alloc(nbytes);
    memcpy(changed, text, nbytes);
    for (size_t at = 0; at < nbytes; at++) {
        changed[at] = others[at % COUNT(others)];
        test_write_file(test_path("measured.json"), changed, nbytes);
        n_refused += !open_cache(&cache, &origin, &error);
        changed[at] = text[at];
    }
    assert_in_range(n_refused, nbytes / 4, nbytes - 1);
}

int main(void)
{
    TEST(test_there_and_back);
    TEST(test_no_file);
    TEST(test_folder_that_is_not_there);
    TEST(test_foreign);
    TEST(test_another_model);
    TEST(test_cut);
    TEST(test_changed);
    return suite_run();
}
