#define _XOPEN_SOURCE 700
#include "support/suite.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_TESTS    4096
#define MAX_DEFERRED 262144

static struct CMUnitTest tests[MAX_TESTS];
static size_t n_tests;

static struct {
    void (*undo)(void *);
    void *thing;
} deferred[MAX_DEFERRED];
static size_t n_deferred;

static char folder[4096];
static const char *current_row; /* name, or NULL */

/* Asking for more memory than there is must give NULL, as without a sanitizer. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* --- the folder --- */

static int remove_entry(const char *path, const struct stat *status, int flag, struct FTW *where)
{
    (void)status, (void)flag;
    if (where->level > 0 && remove(path) != 0)
        die(path);
    return 0;
}

static int empty_folder(void)
{
    return nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void make_folder(void)
{
    const char *parent = getenv("TMPDIR");
    snprintf(folder, sizeof(folder), "%s/onnxq-unit-XXXXXX", parent == NULL ? "/tmp" : parent);
    if (mkdtemp(folder) == NULL)
        die(folder);
}

static void remove_folder(void)
{
    if (empty_folder() != 0 || rmdir(folder) != 0)
        die(folder);
}

/* --- running --- */

/* The first member of a row is its name. */
static const char *name_of(const void *row)
{
    const char *name = NULL;
    if (row != NULL)
        memcpy(&name, row, sizeof(name));
    return name;
}

static int start_test(void **state)
{
    current_row = name_of(*state);
    return empty_folder();
}

static int end_test(void **state)
{
    (void)state;
    while (n_deferred > 0) {
        n_deferred--;
        deferred[n_deferred].undo(deferred[n_deferred].thing);
    }
    return 0;
}

static char *make_name(const char *function, const char *row)
{
    size_t capacity = strlen(function) + strlen(row) + 3;
    char *name = malloc(capacity);
    if (name == NULL)
        die("malloc");
    snprintf(name, capacity, "%s: %s", function, row);
    return name;
}

void suite_add(const char *name, CMUnitTestFunction function, const void *rows, size_t row_nbytes,
               size_t n_rows)
{
    for (size_t i = 0; i < n_rows; i++) {
        const char *row = rows == NULL ? NULL : (const char *)rows + i * row_nbytes;
        const char *row_name = name_of(row);
        if (n_tests == MAX_TESTS)
            abort();
        tests[n_tests++] =
            (struct CMUnitTest){.name = make_name(name, row_name == NULL ? "all" : row_name),
                                .test_func = function,
                                .setup_func = start_test,
                                .teardown_func = end_test,
                                .initial_state = (void *)(uintptr_t)row};
    }
}

/* Whatever was inherited, from nohup or a shell's `&`: tests and what they start have the defaults.
 */
static void reset_signals(void)
{
    static const int numbers[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGPIPE, SIGALRM,
                                  SIGTERM, SIGCHLD, SIGXFSZ, SIGUSR1, SIGUSR2};
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < COUNT(numbers); i++)
        sigaction(numbers[i], &action, NULL);
    sigprocmask(SIG_SETMASK, &action.sa_mask, NULL);
}

int suite_run(void)
{
    reset_signals();
    make_folder();
    int result = _cmocka_run_group_tests("tests", tests, n_tests, NULL, NULL);
    remove_folder();
    for (size_t i = 0; i < n_tests; i++)
        free((void *)(uintptr_t)tests[i].name);
    return result;
}

void test_defer(void (*undo)(void *), void *thing)
{
    if (n_deferred == MAX_DEFERRED)
        abort();
    deferred[n_deferred].undo = undo;
    deferred[n_deferred].thing = thing;
    n_deferred++;
}

static void release_arena(void *arena)
{
    oq_arena_fini(arena);
}

struct oq_arena *test_arena(size_t budget)
{
    struct oq_arena *arena = test_alloc(sizeof(*arena));
    oq_arena_init(arena, budget);
    test_defer(release_arena, arena);
    return arena;
}

void *test_alloc(size_t nbytes)
{
    void *memory = calloc(1, nbytes + 1);
    if (memory == NULL)
        die("calloc");
    test_defer(free, memory);
    return memory;
}

char *test_printf(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = test_alloc((size_t)length + 1);
    va_start(args, format);
    vsnprintf(text, (size_t)length + 1, format, args);
    va_end(args);
    return text;
}

/* --- files --- */

const char *test_path(const char *name)
{
    return test_printf("%s/%s", folder, name);
}

static int is_listed(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

const char *test_files(void)
{
    struct dirent **entries;
    const char *list = "";
    int n = scandir(folder, &entries, is_listed, alphasort);
    if (n < 0)
        die(folder);
    for (int i = 0; i < n; i++) {
        list = test_printf("%s%s%s", list, i > 0 ? " " : "", entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return list;
}

void test_write_file(const char *path, const void *bytes, size_t nbytes)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL || (nbytes > 0 && fwrite(bytes, 1, nbytes, file) != nbytes) ||
        fclose(file) != 0)
        die(path);
}

uint8_t *test_read_file(const char *path, size_t *nbytes)
{
    struct stat status;
    FILE *file = fopen(path, "rb");
    if (file == NULL || fstat(fileno(file), &status) != 0)
        die(path);
    *nbytes = (size_t)status.st_size;
    uint8_t *bytes = test_alloc(*nbytes + 1);
    if (fread(bytes, 1, *nbytes, file) != *nbytes || fclose(file) != 0)
        die(path);
    return bytes;
}

bool test_exists(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

/* --- texts --- */

const char *test_error_text(const onnxq_error *error)
{
    size_t n = onnxq_error_format(error, NULL, 0);
    char *text = test_alloc(n + 1);
    onnxq_error_format(error, text, n + 1);
    size_t length = strlen(folder);
    return strncmp(text, folder, length) == 0 && text[length] == '/' ? text + length + 1 : text;
}

/* --- assertions --- */

/* "row "NAME": ", or nothing for a test that has no rows. */
static const char *row_text(void)
{
    return current_row == NULL ? "" : test_printf("row \"%s\": ", current_row);
}

static void fail_at(struct test_place place, const char *what)
{
    print_error("%s%s %s\n", row_text(), place.actual, what);
    _fail(place.file, place.line);
}

/* The value, and the name that the test has for it. */
static const char *name_value(const char *name, const char *value)
{
    bool is_value =
        strcmp(name, value) == 0 || name[0] == '"' || (name[0] >= '0' && name[0] <= '9');
    return is_value ? value : test_printf("%s, which is %s", value, name);
}

static const char *integer_text(bool is_bool, intmax_t value)
{
    if (is_bool && (value == 0 || value == 1))
        return value == 0 ? "false" : "true";
    return test_printf("%jd", value);
}

void test_check_integer(struct test_place place, bool is_bool, intmax_t actual, intmax_t expected)
{
    if (actual != expected)
        fail_at(place, test_printf("is %s, expected %s", integer_text(is_bool, actual),
                                   name_value(place.expected, integer_text(is_bool, expected))));
}

void test_check_other(struct test_place place, intmax_t actual, intmax_t other)
{
    if (actual == other)
        fail_at(place, test_printf("is %s, expected anything else",
                                   name_value(place.expected, integer_text(false, other))));
}

void test_check_range(struct test_place place, intmax_t actual, intmax_t least, intmax_t most)
{
    if (actual < least || actual > most)
        fail_at(place, test_printf("is %jd, expected %jd to %jd", actual, least, most));
}

void test_check_compare(struct test_place place, bool right, long double actual, const char *how,
                        long double expected)
{
    if (!right)
        fail_at(place, test_printf("is %.17Lg, expected %s %s", actual, how,
                                   name_value(place.expected, test_printf("%.17Lg", expected))));
}

void test_check_text(struct test_place place, const char *actual, const char *expected)
{
    if (actual != NULL && expected != NULL && strcmp(actual, expected) == 0)
        return;
    fail_at(place, test_printf("is\n%s\n--- expected\n%s\n---", actual == NULL ? "NULL" : actual,
                               expected == NULL ? "NULL" : expected));
}

void test_check_memory(struct test_place place, const void *actual, const void *expected,
                       size_t nbytes)
{
    const uint8_t *a = actual, *b = expected;
    size_t first = 0, n_different = 0;
    if (nbytes == 0 || memcmp(a, b, nbytes) == 0)
        return;
    while (a[first] == b[first])
        first++;
    for (size_t i = first; i < nbytes; i++)
        n_different += a[i] != b[i];
    fail_at(place, test_printf("differs in %zu of %zu bytes: byte %zu is %u, expected %u of %s",
                               n_different, nbytes, first, a[first], b[first], place.expected));
}

void test_check_bool(struct test_place place, bool right, const char *what, const char *more)
{
    if (!right)
        fail_at(place,
                test_printf("%s%s%s", what, more == NULL ? "" : " ", more == NULL ? "" : more));
}
