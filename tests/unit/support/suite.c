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

static int start_test(void **state)
{
    (void)state;
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
        const char *row_name = NULL;
        if (n_tests == MAX_TESTS)
            abort();
        if (row != NULL)
            memcpy(&row_name, row, sizeof(row_name));
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

void test_check_text(const char *actual, const char *expected, const char *file, int line)
{
    if (actual != NULL && strcmp(actual, expected) == 0)
        return;
    fprintf(stderr, "--- found\n%s\n--- expected\n%s\n---\n", actual == NULL ? "(NULL)" : actual,
            expected);
    _fail(file, line);
}
