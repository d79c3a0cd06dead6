/*
 * Everything that can fail, fails once: the first allocation, the second, ...,
 * the first write, and so on, each in a run of its own, until a run gets by
 * without. The linker puts the functions below in the place of those that the
 * library calls (--wrap), so that all of it happens in one process and a
 * sanitizer sees what is not released.
 *
 * After each run: success with the same bytes as ever, or an error that says
 * what failed; the output as it was before or as it should be; no other file,
 * no descriptor left.
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/archive.h"
#include "support/inputs.h"
#include "support/models.h"

/* --- faults ------------------------------------------------------------------ */

enum call {
    ALLOCATION,
    ARENA, /* the library's own allocator: what asks it for memory asks malloc() rarely */
    OPEN,
    READ,
    WRITE,
    CLOSE,
    STAT,
    RESERVE,
    SYNC,
    RENAME,
    EXCHANGE,
    UNLINK,
    LINK,
    REALPATH,
    THREAD,
    FOLDER,
    N_CALLS
};

enum how {
    ONCE,   /* one call fails */
    ALWAYS, /* every second call: is interrupted, or does half of it */
};

static struct {
    atomic_bool armed;
    enum call call;
    enum how how;
    int code;          /* errno */
    const char *label; /* of the run at hand */
    atomic_long left;
    atomic_bool happened;
} fault;

__attribute__((noinline)) static bool happens(enum call call)
{
    if (!atomic_load(&fault.armed) || call != fault.call)
        return false;
    long left = atomic_fetch_sub(&fault.left, 1);
    bool now = fault.how == ONCE ? left == 1 : left % 2 == 0;
    if (now) {
        atomic_store(&fault.happened, true);
        errno = fault.code;
    }
    return now;
}

/* What each wrapper looks like: fail, or call the real one. */
#define WRAP(call, type, failure, name, parameters, arguments)                                     \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        return happens(call) ? (failure) : __real_##name arguments;                                \
    }

WRAP(ALLOCATION, void *, NULL, malloc, (size_t n), (n))
WRAP(ALLOCATION, void *, NULL, calloc, (size_t n, size_t m), (n, m))
WRAP(ALLOCATION, void *, NULL, realloc, (void *p, size_t n), (p, n))
WRAP(ALLOCATION, char *, NULL, strdup, (const char *s), (s))
WRAP(ALLOCATION, char *, NULL, strndup, (const char *s, size_t n), (s, n))
WRAP(ARENA, void *, (arena->failed = true, NULL), oq_arena_alloc,
     (struct oq_arena * arena, size_t n), (arena, n))
WRAP(ARENA, void *, (arena->failed = true, NULL), oq_arena_array,
     (struct oq_arena * arena, size_t n, size_t size), (arena, n, size))
WRAP(ARENA, char *, (arena->failed = true, NULL), oq_arena_strdup,
     (struct oq_arena * arena, const char *s), (arena, s))
WRAP(ARENA, bool, false, oq_arena_grow,
     (struct oq_arena * arena, void *items, size_t n, size_t *capacity, size_t size),
     (arena, items, n, capacity, size))
WRAP(CLOSE, int, (__real_close(fd), -1), close, (int fd), (fd))
WRAP(STAT, int, -1, stat64, (const char *path, struct stat *s), (path, s))
WRAP(STAT, int, -1, lstat64, (const char *path, struct stat *s), (path, s))
WRAP(STAT, int, -1, fstat64, (int fd, struct stat *s), (fd, s))
WRAP(RESERVE, int, -1, fallocate64, (int fd, int mode, off_t at, off_t n), (fd, mode, at, n))
WRAP(SYNC, int, -1, fsync, (int fd), (fd))
WRAP(SYNC, int, -1, sync_file_range, (int fd, off_t at, off_t n, unsigned how), (fd, at, n, how))
WRAP(RENAME, int, -1, rename, (const char *from, const char *to), (from, to))
WRAP(EXCHANGE, int, -1, renameat2, (int a, const char *from, int b, const char *to, unsigned flags),
     (a, from, b, to, flags))
WRAP(UNLINK, int, -1, unlink, (const char *path), (path))
WRAP(LINK, int, -1, link, (const char *from, const char *to), (from, to))
WRAP(REALPATH, char *, NULL, realpath, (const char *path, char *to), (path, to))
WRAP(THREAD, int, EAGAIN, pthread_create,
     (pthread_t * id, const pthread_attr_t *how, void *(*run)(void *), void *argument),
     (id, how, run, argument))
WRAP(FOLDER, DIR *, NULL, opendir, (const char *path), (path))
WRAP(FOLDER, struct dirent *, NULL, readdir64, (DIR * folder), (folder))

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return happens(OPEN) ? -1 : __real_open64(path, flags, mode);
}

ssize_t __real_pread64(int fd, void *dst, size_t n, off_t at);
ssize_t __wrap_pread64(int fd, void *dst, size_t n, off_t at);
ssize_t __wrap_pread64(int fd, void *dst, size_t n, off_t at)
{
    if (happens(READ)) {
        if (fault.code != 0)
            return -1;
        n = (n + 1) / 2;
    }
    return __real_pread64(fd, dst, n, at);
}

ssize_t __real_write(int fd, const void *src, size_t n);
ssize_t __wrap_write(int fd, const void *src, size_t n);
ssize_t __wrap_write(int fd, const void *src, size_t n)
{
    if (happens(WRITE)) {
        if (fault.code != 0)
            return -1;
        n = (n + 1) / 2;
    }
    return __real_write(fd, src, n);
}

/* --- what is done --------------------------------------------------------------- */

static const char *const model_text =
    "ir 8; opset 17; meta key value\n"
    "in x float32[N,64]; in s float32[5,2,32]; in i int64[N]; in image float32[1,8,6,6]\n"
    "init w float32[64,64]; init b float32[64]; init v float32[64,64] packed\n"
    "init table float32[300,32]; init k float32[16,8,3,3]; init p float32[16,8,1,1]\n"
    "init lw float32[1,128,32]; init lr float32[1,128,32]\n"
    "first: h = MatMul(x, w)\n"
    "add: a = Add(h, b)\n"
    "second: y = Gemm(a, v, b) transB=1\n"
    "rows: g = Gather(table, i)\n"
    "conv: f = Conv(image, k)\n"
    "point: o = Conv(image, p)\n"
    "left: t = MatMul(w, y)\n"
    "lstm: l = LSTM(s, lw, lr) hidden_size=32\n"
    "out y float32[N,64]; out g float32[N,32]; out f float32[1,16,4,4]; out l float32\n"
    "out o float32[1,16,6,6]; out t float32[64,64]\n";

static const struct scenario {
    const char *name;
    unsigned threads;
    bool external, back;
    onnxq_method method;
    onnxq_reduce_range reduce_range;
    onnxq_conv conv;
    bool asymmetric;
} scenarios[] = {{"one thread", .threads = 1},
                 {"three threads", .threads = 3},
                 {"with a side file", .threads = 1, .external = true},
                 {"in pairs", .threads = 1, .reduce_range = ONNXQ_REDUCE_PAIRS},
                 {"with zero points", .threads = 1, .asymmetric = true, .conv = ONNXQ_CONV_INTEGER},
                 {"convolutions as products", .threads = 1, .conv = ONNXQ_CONV_MATMUL},
                 {"as DequantizeLinear", .threads = 1, .method = ONNXQ_METHOD_QDQ},
                 {"in blocks", .threads = 1, .method = ONNXQ_METHOD_BLOCKS},
                 {"back to float", .threads = 1, .back = true}};

static const char *input, *output;

static onnxq_status act(const struct scenario *scenario, onnxq_error *error)
{
    onnxq_external_data external = scenario->external ? ONNXQ_EXTERNAL_ALWAYS : ONNXQ_EXTERNAL_AUTO;
    if (scenario->back) {
        onnxq_dequantize_options options;
        onnxq_dequantize_options_init(&options);
        options.output.threads = scenario->threads;
        options.output.external_data = external;
        return onnxq_dequantize_file(input, output, &options, error);
    }
    static const onnxq_selector selectors[] = {{true, ONNXQ_REGEX, "^sec.nd$"}};
    onnxq_options options;
    onnxq_options_init(&options);
    options.min_elements = 1;
    options.force_integer = scenario->method == ONNXQ_METHOD_DYNAMIC;
    options.output.threads = scenario->threads;
    options.output.external_data = external;
    options.method = scenario->method;
    options.conv = scenario->conv;
    options.reduce_range = scenario->reduce_range;
    options.symmetric = !scenario->asymmetric;
    options.selectors = selectors;
    options.n_selectors = COUNT(selectors);
    return onnxq_quantize_file(input, output, &options, error);
}

/* --- what has to hold ------------------------------------------------------------ */

struct files {
    uint8_t *model, *data;
    size_t model_nbytes, data_nbytes;
};

static struct files read_files(bool external)
{
    struct files files = {0};
    files.model = test_read_file(output, &files.model_nbytes);
    if (external)
        files.data = test_read_file(test_printf("%s.data", output), &files.data_nbytes);
    return files;
}

static bool are_equal(const struct files *a, const struct files *b)
{
    return a->model_nbytes == b->model_nbytes && a->data_nbytes == b->data_nbytes &&
           memcmp(a->model, b->model, a->model_nbytes) == 0 &&
           (a->data_nbytes == 0 || memcmp(a->data, b->data, a->data_nbytes) == 0);
}

static size_t count_descriptors(void)
{
    size_t n = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while (readdir(folder) != NULL)
        n++;
    closedir(folder);
    return n;
}

static void check_words(const onnxq_error *error, onnxq_status status)
{
    assert_int_equal(error->status, status);
    assert_true(status == ONNXQ_ERROR_INPUT || status == ONNXQ_ERROR_OUTPUT ||
                status == ONNXQ_ERROR_MEMORY);
    assert_compare(error->message[0], !=, '\0');
    assert_null(strstr(error->message, "Success"));
}

static void check_run(const struct scenario *scenario, const struct files *expected, bool had_old)
{
    onnxq_error error = {0};
    size_t n_before = count_descriptors();
    atomic_store(&fault.happened, false);
    atomic_store(&fault.armed, true);
    onnxq_status status = act(scenario, &error);
    atomic_store(&fault.armed, false);
    const char *leak = count_descriptors() != n_before ? ": a descriptor is left" : "";
    check_text(test_printf("%s%s", fault.label, leak), fault.label);
    if (status != ONNXQ_OK)
        check_words(&error, status);
    bool exists = had_old || status == ONNXQ_OK;
    const char *names = !exists              ? "in.onnx"
                        : scenario->external ? "in.onnx out.onnx out.onnx.data"
                                             : "in.onnx out.onnx";
    if (fault.call != UNLINK) /* what cannot be removed stays */
        check_text(test_printf("%s: %s", fault.label, test_files()),
                   test_printf("%s: %s", fault.label, names));
    if (!exists)
        return;
    static const uint8_t old[] = "old";
    const struct files before = {(uint8_t *)(uintptr_t)old, (uint8_t *)(uintptr_t)old, 3,
                                 scenario->external ? 3 : 0};
    struct files found = read_files(scenario->external);
    if (!are_equal(&found, status == ONNXQ_OK ? expected : &before))
        fail_msg("%s: status %d, and other bytes", fault.label, (int)status);
}

/* Nothing but the input, and the output of an earlier run. */
static void set_up_output(const struct scenario *scenario, bool had_old)
{
    DIR *folder = opendir(test_path(""));
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        if (strstr(entry->d_name, "out.onnx") != NULL)
            unlink(test_path(entry->d_name));
    closedir(folder);
    if (had_old)
        test_write_file(output, "old", 3);
    if (had_old && scenario->external)
        test_write_file(test_printf("%s.data", output), "old", 3);
}

static const struct fault_row {
    const char *name;
    enum call call;
    int code;
    enum how how;
} rows[] = {
    {"no memory", ALLOCATION, ENOMEM, ONCE},
    {"no memory in the arena", ARENA, ENOMEM, ONCE},
    {"open: too many files", OPEN, EMFILE, ONCE},
    {"open: no rights", OPEN, EACCES, ONCE},
    {"read: broken disk", READ, EIO, ONCE},
    {"read: interrupted", READ, EINTR, ALWAYS},
    {"read: in pieces", READ, 0, ALWAYS},
    {"write: full disk", WRITE, ENOSPC, ONCE},
    {"write: broken disk", WRITE, EIO, ONCE},
    {"write: interrupted", WRITE, EINTR, ALWAYS},
    {"write: in pieces", WRITE, 0, ALWAYS},
    {"close: quota", CLOSE, EDQUOT, ONCE},
    {"stat: broken disk", STAT, EIO, ONCE},
    {"reserve: full disk", RESERVE, ENOSPC, ONCE},
    {"reserve: not there", RESERVE, EOPNOTSUPP, ALWAYS},
    {"sync: broken disk", SYNC, EIO, ONCE},
    {"sync: not there", SYNC, EINVAL, ALWAYS},
    {"rename: no rights", RENAME, EACCES, ONCE},
    {"exchange: not there", EXCHANGE, EINVAL, ONCE},
    {"exchange: no rights", EXCHANGE, EACCES, ONCE},
    {"unlink: no rights", UNLINK, EACCES, ONCE},
    {"real path: no rights", REALPATH, EACCES, ONCE},
    {"no thread", THREAD, EAGAIN, ONCE},
};

static size_t n_faults;

static void run_row(const struct fault_row *row, const struct scenario *scenario,
                    const struct files *expected, bool had_old)
{
    for (long n = 1;; n++) {
        set_up_output(scenario, had_old);
        fault.call = row->call;
        fault.how = row->how;
        fault.code = row->code;
        atomic_store(&fault.left, row->how == ONCE ? n : 1000000);
        fault.label = test_printf("%s, number %ld", row->name, n);
        check_run(scenario, expected, had_old);
        n_faults += atomic_load(&fault.happened);
        if (row->how == ALWAYS || !atomic_load(&fault.happened))
            break;
    }
}

static void make_input(const struct scenario *scenario)
{
    input = test_path("in.onnx");
    output = test_path("out.onnx");
    onnxq_model *model = test_model(model_text);
    if (scenario->back) {
        onnxq_options options = test_options();
        options.force_integer = true;
        test_write_as(test_plan(model, &options), "in.onnx");
    } else {
        rename(test_path("model.onnx"), input);
    }
    unlink(test_path("model.onnx"));
}

static void test_faults(void **state)
{
    const struct scenario *scenario = *state;
    onnxq_error error = {0};
    make_input(scenario);
    assert_int_equal(act(scenario, &error), ONNXQ_OK);
    struct files expected = read_files(scenario->external);
    n_faults = 0;
    for (size_t i = 0; i < COUNT(rows); i++) {
        run_row(&rows[i], scenario, &expected, false);
        run_row(&rows[i], scenario, &expected, true);
    }
    print_message("           %zu faults\n", n_faults);
    assert_compare(n_faults, >, 100);
}

/* --- without an output ------------------------------------------------------------ */

static onnxq_status inspect(FILE *sink, onnxq_error *error)
{
    onnxq_options options = test_options();
    onnxq_model *model = onnxq_model_open(input, error);
    onnxq_inspection *inspection = model == NULL ? NULL : onnxq_inspection_create(model, error);
    onnxq_plan *plan = inspection == NULL ? NULL : onnxq_plan_estimate(model, &options, error);
    if (plan != NULL) {
        onnxq_report_inspection(inspection, plan, NULL, NULL, sink);
        onnxq_report_inspection_json(inspection, plan, NULL, NULL, input, sink);
    }
    onnxq_plan_destroy(plan);
    onnxq_inspection_destroy(inspection);
    onnxq_model_close(model);
    return plan == NULL ? error->status : ONNXQ_OK;
}

static const struct fault_row inspect_rows[] = {
    {"no memory", ALLOCATION, ENOMEM, ONCE}, {"no memory in the arena", ARENA, ENOMEM, ONCE},
    {"open: no rights", OPEN, EACCES, ONCE}, {"read: broken disk", READ, EIO, ONCE},
    {"stat: broken disk", STAT, EIO, ONCE},
};

static void test_inspect_faults(void **state)
{
    const struct fault_row *row = *state;
    static const struct scenario none = {"none", .threads = 1};
    size_t n = 0;
    make_input(&none);
    FILE *sink = fopen("/dev/null", "w");
    assert_non_null(sink);
    do {
        onnxq_error error = {0};
        size_t n_before = count_descriptors();
        fault.call = row->call;
        fault.how = ONCE;
        fault.code = row->code;
        atomic_store(&fault.left, (long)++n);
        atomic_store(&fault.happened, false);
        atomic_store(&fault.armed, true);
        onnxq_status status = inspect(sink, &error);
        atomic_store(&fault.armed, false);
        assert_int_equal(count_descriptors(), n_before);
        if (status != ONNXQ_OK)
            check_words(&error, status);
    } while (atomic_load(&fault.happened));
    fclose(sink);
    assert_compare(n, >, 1);
    check_text(test_files(), "in.onnx");
}

/* --- files of inputs -------------------------------------------------------------- */

static void release_sets(void *sets)
{
    oq_input_sets_fini(sets);
}

/* Everything that the files hold, in one text; NULL after an error. */
static const char *read_inputs(onnxq_error *error)
{
    struct oq_input_sets *sets = test_alloc(sizeof(*sets));
    test_defer(release_sets, sets);
    const char *folder = test_path("inputs"), *archive = test_path("a.npz");
    atomic_store(&fault.armed, true);
    bool ok = oq_input_sets_read(sets, folder, error) && oq_input_sets_read(sets, archive, error);
    atomic_store(&fault.armed, false);
    return ok ? test_inputs_text(sets) : NULL;
}

static void make_inputs(void)
{
    struct builder_bytes numbers = {.builder = test_builder("")}, texts = numbers, tensor = numbers;
    struct archive archive = {.bytes = numbers};
    archive_put_npy(&numbers, 1, "{'descr': '>i2', 'fortran_order': True, 'shape': (2, 2), }",
                    "abcdefgh", 8);
    archive_put_npy(&texts, 2, "{'descr': '|S2', 'fortran_order': True, 'shape': (2, 2), }",
                    "abcdefgh", 8);
    archive_add(&archive, "arr_0.npy", ARCHIVE_DEFLATED, numbers.bytes, numbers.nbytes);
    archive_add(&archive, "y.npy", ARCHIVE_STORED | ARCHIVE_ZIP64, texts.bytes, texts.nbytes);
    archive_end(&archive, true, "");
    builder_put(&tensor, "\x08\3\x10\7\x3a\1\1\x38\2\x3a\1\3", 12); /* int64s in pieces */
    mkdir(test_path("inputs"), 0777);
    mkdir(test_path("inputs/test_data_set_0"), 0777);
    test_write_file(test_path("a.npz"), archive.bytes.bytes, archive.bytes.nbytes);
    test_write_file(test_path("inputs/test_data_set_0/x.npy"), numbers.bytes, numbers.nbytes);
    test_write_file(test_path("inputs/test_data_set_0/y.npy"), texts.bytes, texts.nbytes);
    test_write_file(test_path("inputs/test_data_set_0/input_2.pb"), tensor.bytes, tensor.nbytes);
    test_write_file(test_path("inputs/test_data_set_0/output_0.pb"), "\x08\1\x10\x08\x32\2ab", 8);
}

static const struct fault_row input_rows[] = {
    {"no memory", ALLOCATION, ENOMEM, ONCE},    {"no memory in the arena", ARENA, ENOMEM, ONCE},
    {"open: no rights", OPEN, EACCES, ONCE},    {"read: broken disk", READ, EIO, ONCE},
    {"read: interrupted", READ, EINTR, ALWAYS}, {"read: in pieces", READ, 0, ALWAYS},
    {"stat: broken disk", STAT, EIO, ONCE},     {"folder: broken disk", FOLDER, EIO, ONCE},
};

static void test_input_faults(void **state)
{
    const struct fault_row *row = *state;
    onnxq_error error = {0};
    make_inputs();
    fault.call = N_CALLS; /* none */
    const char *expected = read_inputs(&error);
    assert_non_null(expected);
    fault.call = row->call;
    fault.how = row->how;
    fault.code = row->code;
    for (long n = 1;; n++) {
        size_t n_before = count_descriptors();
        oq_error_init(&error);
        atomic_store(&fault.happened, false);
        atomic_store(&fault.left, row->how == ONCE ? n : 1000000);
        const char *text = read_inputs(&error);
        assert_int_equal(count_descriptors(), n_before);
        bool happened = atomic_load(&fault.happened);
        assert_true(n > 1 || happened);
        if (text == NULL)
            check_words(&error, error.status);
        assert_int_equal(text == NULL, happened && row->how == ONCE);
        if (text != NULL)
            check_text(text, expected);
        if (!happened || row->how == ALWAYS)
            break;
    }
}

int main(void)
{
    TEST_ROWS(test_faults, scenarios);
    TEST_ROWS(test_inspect_faults, inspect_rows);
    TEST_ROWS(test_input_faults, input_rows);
    return suite_run();
}
