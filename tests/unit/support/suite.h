/*
 * Test programs. A test, and every row of a table of cases, is a cmocka test of
 * its own: rows fail one by one, by name. Each starts with an empty folder, and
 * what it defers is undone at its end, also when it fails.
 */
#ifndef SUPPORT_SUITE_H
#define SUPPORT_SUITE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <onnxq/onnxq.h>

#include "base/arena.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

void suite_add(const char *name, CMUnitTestFunction function, const void *rows, size_t row_nbytes,
               size_t n_rows);

#define TEST(function) suite_add(#function, function, NULL, 0, 1)

/* The first member of a row is its name; the function finds its row in *state. */
#define TEST_ROWS(function, rows)                                                                  \
    suite_add(#function, function, rows, sizeof((rows)[0]), COUNT(rows))

/* Runs what was added; the result is that of main(). */
int suite_run(void);

/* --- for the test that runs --- */

/* Calls undo(thing) when the test ends; the last one first. */
void test_defer(void (*undo)(void *), void *thing);

/* Released when the test ends. */
struct oq_arena *test_arena(size_t budget);

/* Zeroed memory until the test ends. */
void *test_alloc(size_t nbytes);
char *test_printf(const char *format, ...) __attribute__((__format__(__printf__, 1, 2)));

/* A path in the folder of the test; the name may be that of a subfolder's file. */
const char *test_path(const char *name);

/* Names of what is in the folder, hidden files too, sorted, with a space between them. */
const char *test_files(void);

void test_write_file(const char *path, const void *bytes, size_t nbytes);
/* All bytes of a file, and a NUL behind them. */
uint8_t *test_read_file(const char *path, size_t *nbytes);
bool test_exists(const char *path);

/* As onnxq_error_format() has it, but for the test's folder in the file's path. */
const char *test_error_text(const onnxq_error *error);

/* Fails, with both texts in full, where they differ. */
#define check_text(actual, expected) test_check_text(TEST_PLACE(actual, expected), actual, expected)

/* --- assertions --- */

/*
 * In place of cmocka's, which show numbers as hexadecimal and no names. These say which row
 * failed, what was looked at, what it is and what it should be:
 *
 *     row "NF4, turned": n_found is 0, expected 1
 */
struct test_place {
    const char *actual, *expected; /* as they are written */
    const char *file;
    int line;
};

#define TEST_PLACE(actual, expected) ((struct test_place){#actual, #expected, __FILE__, __LINE__})
#define TEST_IS_BOOL(value)          _Generic((value), bool : true, default : false)

#undef assert_int_equal
#define assert_int_equal(actual, expected)                                                         \
    test_check_integer(TEST_PLACE(actual, expected), TEST_IS_BOOL(actual), (intmax_t)(actual),     \
                       (intmax_t)(expected))
#undef assert_int_not_equal
#define assert_int_not_equal(actual, other)                                                        \
    test_check_other(TEST_PLACE(actual, other), (intmax_t)(actual), (intmax_t)(other))
#undef assert_in_range
#define assert_in_range(actual, least, most)                                                       \
    test_check_range(TEST_PLACE(actual, least), (intmax_t)(actual), (intmax_t)(least),             \
                     (intmax_t)(most))
#undef assert_string_equal
#define assert_string_equal(actual, expected)                                                      \
    test_check_text(TEST_PLACE(actual, expected), actual, expected)
#undef assert_memory_equal
#define assert_memory_equal(actual, expected, nbytes)                                              \
    test_check_memory(TEST_PLACE(actual, expected), actual, expected, nbytes)
/* assert_compare(value, <=, limit): numbers of any type, each evaluated once. */
#define assert_compare(actual, operator, expected)                                                 \
    do {                                                                                           \
        const long double a_ = (long double)(actual), e_ = (long double)(expected);                \
        test_check_compare(TEST_PLACE(actual, expected), a_ operator e_, a_, #operator, e_);       \
    } while (0)
#undef assert_ptr_equal
#define assert_ptr_equal(actual, expected)                                                         \
    test_check_bool(TEST_PLACE(actual, expected),                                                  \
                    (const void *)(actual) == (const void *)(expected), "is not", #expected)
#undef assert_true
#define assert_true(actual) test_check_bool(TEST_PLACE(actual, true), actual, "is false", NULL)
#undef assert_false
#define assert_false(actual) test_check_bool(TEST_PLACE(actual, false), !(actual), "is true", NULL)
#undef assert_null
#define assert_null(actual)                                                                        \
    test_check_bool(TEST_PLACE(actual, NULL), (actual) == NULL, "is not NULL", NULL)
#undef assert_non_null
#define assert_non_null(actual)                                                                    \
    test_check_bool(TEST_PLACE(actual, NULL), (actual) != NULL, "is NULL", NULL)

void test_check_integer(struct test_place place, bool is_bool, intmax_t actual, intmax_t expected);
void test_check_other(struct test_place place, intmax_t actual, intmax_t other);
void test_check_range(struct test_place place, intmax_t actual, intmax_t least, intmax_t most);
void test_check_compare(struct test_place place, bool right, long double actual, const char *how,
                        long double expected);
void test_check_text(struct test_place place, const char *actual, const char *expected);
void test_check_memory(struct test_place place, const void *actual, const void *expected,
                       size_t nbytes);
/* `what` and `more` (or NULL) say what is wrong with it where it is not right. */
void test_check_bool(struct test_place place, bool right, const char *what, const char *more);

#endif
