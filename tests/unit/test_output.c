/* Output files: whole or not at all. */
#define _XOPEN_SOURCE     700
#define _FILE_OFFSET_BITS 64
#include "base/output.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/suite.h"

enum step { OPEN, WRITE, FINISH, PUBLISH };

/* Does all steps up to `last`; false at the first that fails. The output stays open. */
static bool run(struct oq_output *output, const char *path, const char *text, enum step last,
                bool keep_existing, onnxq_error *error)
{
    size_t n = strlen(text);
    oq_error_init(error);
    return oq_output_open(output, path, n, error) &&
           (last < WRITE || (oq_output_write(output, text, n / 2, error) &&
                             oq_output_write(output, text + n / 2, n - n / 2, error))) &&
           (last < FINISH || oq_output_finish(output, true, error)) &&
           (last < PUBLISH || oq_output_publish(output, keep_existing, true, error));
}

static const char *contents(const char *name)
{
    size_t nbytes;
    return (const char *)test_read_file(test_path(name), &nbytes);
}

static const char *fail_to_write(const char *path)
{
    onnxq_error error;
    struct oq_output output;
    assert_false(run(&output, path, "text", PUBLISH, false, &error));
    oq_output_close(&output);
    assert_int_equal(error.status, ONNXQ_ERROR_OUTPUT);
    return test_error_text(&error);
}

/* --- where it may be stopped --- */

static const struct step_row {
    const char *name;
    enum step last;
} steps[] = {
    {"when it is open", OPEN}, {"when it is written", WRITE}, {"when it is finished", FINISH}};

static void test_discard(void **state)
{
    const struct step_row *row = *state;
    onnxq_error error;
    struct oq_output output;
    test_write_file(test_path("old"), "before", 6);
    static const char *const names[] = {"old", "new"};
    for (size_t i = 0; i < COUNT(names); i++) {
        assert_true(run(&output, test_path(names[i]), "text", row->last, false, &error));
        assert_false(test_exists(test_path("new"))); /* not under its own name yet */
        check_text(contents("old"), "before");
        oq_output_close(&output);
        oq_output_close(&output);
        check_text(test_files(), "old");
        check_text(contents("old"), "before");
    }
}

static void test_publish(void **state)
{
    (void)state;
    onnxq_error error;
    struct oq_output output;
    assert_true(run(&output, test_path("new"), "text", PUBLISH, false, &error));
    check_text(test_files(), "new"); /* before it is closed, even */
    oq_output_close(&output);
    check_text(test_files(), "new");
    check_text(contents("new"), "text");
    assert_true(run(&output, test_path("new"), "another text", PUBLISH, false, &error));
    oq_output_close(&output);
    check_text(contents("new"), "another text");
    check_text(test_files(), "new");
}

/* Who reads the old file goes on reading it. */
static void test_atomic(void **state)
{
    (void)state;
    onnxq_error error;
    struct oq_output output;
    char text[7] = "";
    test_write_file(test_path("file"), "before", 6);
    int reader = open(test_path("file"), O_RDONLY);
    assert_true(reader >= 0);
    assert_true(run(&output, test_path("file"), "afterwards", PUBLISH, false, &error));
    oq_output_close(&output);
    assert_int_equal(read(reader, text, 6), 6);
    close(reader);
    check_text(text, "before");
    check_text(contents("file"), "afterwards");
}

static void test_keep_existing(void **state)
{
    (void)state;
    onnxq_error error;
    struct oq_output output;
    assert_true(run(&output, test_path("file"), "first", PUBLISH, true, &error));
    oq_output_close(&output);
    assert_false(run(&output, test_path("file"), "second", PUBLISH, true, &error));
    oq_output_close(&output);
    assert_int_equal(error.status, ONNXQ_ERROR_OUTPUT);
    check_text(test_error_text(&error), "file: cannot write: File exists");
    check_text(contents("file"), "first");
    check_text(test_files(), "file");
}

/* --- files that belong to another one --- */

/* Places `name`, whose contents are then `placed`, and commits it or not. */
static void place(const char *name, bool keep_existing, bool commit)
{
    onnxq_error error;
    struct oq_output output;
    assert_true(run(&output, test_path(name), "text", FINISH, false, &error));
    assert_true(oq_output_place(&output, keep_existing, &error));
    check_text(contents(name), "text");
    if (commit)
        oq_output_commit(&output, true);
    oq_output_close(&output);
}

static void test_place(void **state)
{
    (void)state;
    place("new", false, false);
    check_text(test_files(), "");
    place("new", true, false);
    check_text(test_files(), "");
    place("new", true, true);
    check_text(test_files(), "new");
    test_write_file(test_path("new"), "before", 6);
    place("new", false, false);
    check_text(test_files(), "new");
    check_text(contents("new"), "before");
    place("new", false, true);
    check_text(test_files(), "new");
    check_text(contents("new"), "text");
}

static void test_place_keeps_existing(void **state)
{
    (void)state;
    onnxq_error error;
    struct oq_output output;
    test_write_file(test_path("file"), "before", 6);
    assert_true(run(&output, test_path("file"), "text", FINISH, false, &error));
    assert_false(oq_output_place(&output, true, &error));
    check_text(test_error_text(&error), "file: cannot write: File exists");
    oq_output_close(&output);
    check_text(test_files(), "file");
    check_text(contents("file"), "before");
}

/* Rights are those of any new file: the user's mask decides. */
static void test_mode(void **state)
{
    (void)state;
    onnxq_error error;
    struct oq_output output;
    struct stat status;
    mode_t before = umask(027);
    bool ok = run(&output, test_path("file"), "text", PUBLISH, false, &error);
    umask(before);
    oq_output_close(&output);
    assert_true(ok);
    assert_int_equal(stat(test_path("file"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
}

/* --- places --- */

static void test_link(void **state)
{
    (void)state;
    onnxq_error error;
    struct oq_output output;
    struct stat status;
    assert_int_equal(mkdir(test_path("folder"), 0777), 0);
    test_write_file(test_path("folder/target"), "before", 6);
    assert_int_equal(symlink("folder/target", test_path("link")), 0);
    assert_true(run(&output, test_path("link"), "text", PUBLISH, false, &error));
    oq_output_close(&output);
    assert_int_equal(lstat(test_path("link"), &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    check_text(contents("folder/target"), "text");
    check_text(test_files(), "folder link");
}

static void test_refused(void **state)
{
    (void)state;
    assert_int_equal(mkdir(test_path("folder"), 0777), 0);
    test_write_file(test_path("file"), "", 0);
    check_text(fail_to_write(test_path("folder")), "folder: cannot write: Is a directory");
    check_text(fail_to_write(test_path("nowhere/out")),
               "nowhere/out: cannot create: No such file or directory");
    check_text(fail_to_write(test_path("file/out")), "file/out: cannot create: Not a directory");
    check_text(test_files(), "file folder");
}

static void test_device(void **state)
{
    (void)state;
    onnxq_error error;
    struct oq_output output;
    if (access("/dev/full", W_OK) != 0)
        skip();
    check_text(fail_to_write("/dev/full"), "/dev/full: cannot write: No space left on device");
    assert_true(run(&output, "/dev/null", "text", PUBLISH, true, &error));
    oq_output_close(&output);
    assert_true(access("/dev/null", W_OK) == 0); /* it is still there */
}

static void test_fifo(void **state)
{
    (void)state;
    onnxq_error error;
    struct oq_output output;
    char text[5] = "";
    assert_int_equal(mkfifo(test_path("fifo"), 0666), 0);
    int reader = open(test_path("fifo"), O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    assert_true(run(&output, test_path("fifo"), "text", PUBLISH, false, &error));
    oq_output_close(&output);
    assert_int_equal(read(reader, text, 4), 4);
    close(reader);
    check_text(text, "text");
    check_text(test_files(), "fifo");
}

/* As long as a file system takes it: the temporary name must not be longer. */
static void test_long_name(void **state)
{
    (void)state;
    onnxq_error error;
    struct oq_output output;
    char name[256];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_true(run(&output, test_path(name), "text", PUBLISH, false, &error));
    oq_output_close(&output);
    check_text(test_files(), name);
    check_text(fail_to_write(test_path(test_printf("%sn", name))),
               test_printf("%sn: cannot write: File name too long", name));
    check_text(test_files(), name);
}

/* Leftovers of a process that was killed are no obstacle, and are not touched. */
static void test_leftovers(void **state)
{
    (void)state;
    onnxq_error error;
    struct oq_output output;
    assert_true(run(&output, test_path("file"), "text", WRITE, false, &error));
    const char *leftover = strrchr(output.temporary, '/') + 1;
    leftover = test_printf("%s", leftover);
    oq_output_close(&output);
    test_write_file(test_path(leftover), "someone else's", 14);
    assert_true(run(&output, test_path("file"), "text", PUBLISH, false, &error));
    oq_output_close(&output);
    check_text(contents("file"), "text");
    check_text(contents(leftover), "someone else's");
}

/* No more space, as far as a limit can stand for it. */
static void restore_limit(void *thing)
{
    setrlimit(RLIMIT_FSIZE, thing);
}

static void test_limit(void **state)
{
    (void)state;
    onnxq_error error;
    struct oq_output output;
    struct rlimit *before = test_alloc(sizeof(*before));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, before), 0);
    test_defer(restore_limit, before);
    struct rlimit limit = {.rlim_cur = 1 << 20, .rlim_max = before->rlim_max};
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    char *text = test_alloc((size_t)3 << 20);
    memset(text, 'z', ((size_t)3 << 20) - 1);
    assert_false(run(&output, test_path("file"), text, PUBLISH, false, &error));
    oq_output_close(&output);
    assert_int_equal(error.status, ONNXQ_ERROR_OUTPUT);
    check_text(test_error_text(&error), "file: cannot write: File too large");
    check_text(test_files(), "");
}

int main(void)
{
    TEST_ROWS(test_discard, steps);
    TEST(test_publish);
    TEST(test_atomic);
    TEST(test_keep_existing);
    TEST(test_place);
    TEST(test_place_keeps_existing);
    TEST(test_mode);
    TEST(test_link);
    TEST(test_refused);
    TEST(test_device);
    TEST(test_fifo);
    TEST(test_long_name);
    TEST(test_leftovers);
    TEST(test_limit);
    return suite_run();
}
