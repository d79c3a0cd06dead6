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
#define check_text(actual, expected) test_check_text(actual, expected, __FILE__, __LINE__)
void test_check_text(const char *actual, const char *expected, const char *file, int line);

#endif
