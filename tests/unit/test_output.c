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
static bool run_on_terms(struct oq_output *output, const char *path, const char *text,
                         enum step last, bool keep_existing, struct oq_output_terms terms,
                         onnxq_error *error)
{
    size_t n = strlen(text);
    terms.nbytes = n;
    oq_error_init(error);
    return oq_output_open(output, path, &terms, error) &&
           (last < WRITE || (oq_output_write(output, text, n / 2, error) &&
                             oq_output_write(output, text + n / 2, n - n / 2, error))) &&
           (last < FINISH || oq_output_finish(output, true, error)) &&
           (last < PUBLISH || oq_output_publish(output, keep_existing, true, error));
}

static bool run(struct oq_output *output, const char *path, const char *text, enum step last,
                bool keep_existing, onnxq_error *error)
{
    const struct oq_output_terms terms = {.most_rights = OQ_ANY_RIGHTS};
    return run_on_terms(output, path, text, last, keep_existing, terms, error);
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
    assert_compare(reader, >=, 0);
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

/* --- rights --- */

static const struct rights_row {
    const char *name;
    mode_t mask, most;
    mode_t old; /* of the file that is replaced; 0: there is none */
    mode_t expected;
} rights[] = {
    {"of a new file: the mask decides", 027, 0777, 0, 0640},
    {"of a new file, with an open mask", 0, 0777, 0, 0666},
    {"of a new file, out of a private one", 022, 0600, 0, 0600},
    {"of a new file, out of one that may only be read", 022, 0444, 0, 0644},
    {"of a new file, with an open mask, out of one that others read", 0, 0644, 0, 0644},
    {"of a new file, out of a program", 0, 0755, 0, 0644},
    {"of what is replaced", 022, 0777, 0600, 0600},
    {"of what is replaced, whatever the mask", 077, 0777, 0664, 0664},
    {"of what is replaced, out of a private one", 022, 0600, 0664, 0600},
    {"of what is replaced, which may only be read", 022, 0777, 0440, 0440},
};

/* As it is while it is written, too. */
static void test_rights(void **state)
{
    const struct rights_row *row = *state;
    onnxq_error error;
    struct oq_output output;
    struct stat written, status;
    if (row->old != 0) {
        test_write_file(test_path("file"), "old", 3);
        assert_int_equal(chmod(test_path("file"), row->old), 0);
    }
    const struct oq_output_terms terms = {.most_rights = row->most};
    mode_t before = umask(row->mask);
    bool ok = run_on_terms(&output, test_path("file"), "text", WRITE, false, terms, &error);
    umask(before);
    assert_true(ok);
    assert_int_equal(fstat(output.fd, &written), 0);
    assert_true(oq_output_finish(&output, false, &error));
    assert_true(oq_output_publish(&output, false, false, &error));
    oq_output_close(&output);
    assert_int_equal(stat(test_path("file"), &status), 0);
    assert_int_equal(status.st_mode & 0777, row->expected);
    assert_int_equal(written.st_mode & 0777, row->expected);
}

/* Who may not choose what happens: only root can play him. */
#define SOMEBODY 65534

static void need_root(void)
{
    if (geteuid() != 0)
        skip();
}

/* His file does not say who may read ours. */
static void test_rights_of_somebody(void **state)
{
    (void)state;
    onnxq_error error;
    struct oq_output output;
    struct stat status;
    need_root();
    test_write_file(test_path("file"), "old", 3);
    assert_int_equal(chmod(test_path("file"), 0666), 0);
    assert_int_equal(chown(test_path("file"), SOMEBODY, SOMEBODY), 0);
    mode_t before = umask(077);
    bool ok = run(&output, test_path("file"), "text", PUBLISH, false, &error);
    umask(before);
    oq_output_close(&output);
    assert_true(ok);
    assert_int_equal(stat(test_path("file"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(status.st_uid, 0);
}

/* --- what may lie in the way --- */

static void test_links(void **state)
{
    (void)state;
    onnxq_error error;
    struct oq_output output;
    assert_int_equal(mkdir(test_path("folder"), 0777), 0);
    assert_int_equal(symlink("folder/second", test_path("first")), 0);
    assert_int_equal(symlink(test_path("third"), test_path("folder/second")), 0);
    assert_true(run(&output, test_path("first"), "text", PUBLISH, false, &error));
    oq_output_close(&output);
    check_text(test_files(), "first folder third");
    check_text(contents("third"), "text");
    assert_int_equal(symlink("loop", test_path("loop")), 0);
    check_text(fail_to_write(test_path("loop")),
               "loop: cannot write: Too many levels of symbolic links");
}

#define FOREIGN_LINK "is a link that somebody else may have put there"

static void test_link_of_somebody(void **state)
{
    (void)state;
    need_root();
    test_write_file(test_path("target"), "before", 6);
    assert_int_equal(symlink("target", test_path("second")), 0);
    assert_int_equal(symlink("second", test_path("first")), 0);
    assert_int_equal(lchown(test_path("second"), SOMEBODY, SOMEBODY), 0);
    check_text(fail_to_write(test_path("second")), "second: cannot write: " FOREIGN_LINK);
    check_text(fail_to_write(test_path("first")), "second: cannot write: " FOREIGN_LINK);
    check_text(contents("target"), "before");
    check_text(test_files(), "first second target");
}

/* A link of ours may be moved or linked to by anybody there; in a folder of ours, not. */
static void test_link_in_open_folder(void **state)
{
    (void)state;
    onnxq_error error;
    struct oq_output output;
    assert_int_equal(mkdir(test_path("folder"), 0777), 0);
    assert_int_equal(chmod(test_path("folder"), 01777), 0);
    assert_int_equal(symlink("target", test_path("folder/link")), 0);
    assert_true(run(&output, test_path("folder/link"), "text", PUBLISH, false, &error));
    oq_output_close(&output);
    check_text(contents("folder/target"), "text");
    need_root();
    assert_int_equal(chown(test_path("folder"), SOMEBODY, SOMEBODY), 0);
    check_text(fail_to_write(test_path("folder/link")), "folder/link: cannot write: " FOREIGN_LINK);
}

static void test_fifo_of_somebody(void **state)
{
    (void)state;
    need_root();
    assert_int_equal(mkfifo(test_path("fifo"), 0666), 0);
    assert_int_equal(chown(test_path("fifo"), SOMEBODY, SOMEBODY), 0);
    check_text(fail_to_write(test_path("fifo")),
               "fifo: cannot write: is no file, and somebody else's");
}

static bool put_nothing(const char *path)
{
    return access(path, F_OK) != 0;
}

static bool put_file(const char *path)
{
    test_write_file(path, "old", 3);
    return true;
}

static bool put_link(const char *path)
{
    return symlink("other", path) == 0;
}

static bool put_dangling(const char *path)
{
    return symlink("nowhere", path) == 0;
}

static bool put_fifo(const char *path)
{
    return mkfifo(path, 0666) == 0;
}

static bool put_folder(const char *path)
{
    return mkdir(path, 0777) == 0;
}

/* A file whose name nobody gave: never through a link, whosever it is, and into no FIFO. */
static const struct unnamed_row {
    const char *name;
    bool (*put)(const char *path);
    const char *expected; /* NULL: it is replaced */
} unnamed[] = {
    {"nothing", put_nothing, NULL},
    {"a file", put_file, NULL},
    {"a link to a file", put_link, "is a link"},
    {"a link to nothing", put_dangling, "is a link"},
    {"a FIFO", put_fifo, "is a FIFO"},
    {"a folder", put_folder, "is a folder"},
};

static void test_unnamed(void **state)
{
    const struct unnamed_row *row = *state;
    onnxq_error error;
    struct oq_output output;
    const struct oq_output_terms terms = {.most_rights = OQ_ANY_RIGHTS, .nobody_named_it = true};
    test_write_file(test_path("other"), "before", 6);
    assert_true(row->put(test_path("side")));
    bool ok = run_on_terms(&output, test_path("side"), "text", FINISH, false, terms, &error) &&
              oq_output_place(&output, false, &error);
    if (ok)
        oq_output_commit(&output, false);
    oq_output_close(&output);
    assert_int_equal(ok, row->expected == NULL);
    if (!ok)
        check_text(
            test_error_text(&error),
            test_printf("side: cannot write: %s, expected a file or nothing", row->expected));
    else
        check_text(contents("side"), "text");
    check_text(contents("other"), "before");
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
    assert_compare(access("/dev/null", W_OK), ==, 0); /* it is still there */
}

static void test_fifo(void **state)
{
    (void)state;
    onnxq_error error;
    struct oq_output output;
    char text[5] = "";
    assert_int_equal(mkfifo(test_path("fifo"), 0666), 0);
    int reader = open(test_path("fifo"), O_RDONLY | O_NONBLOCK);
    assert_compare(reader, >=, 0);
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
    TEST_ROWS(test_rights, rights);
    TEST(test_rights_of_somebody);
    TEST(test_links);
    TEST(test_link_of_somebody);
    TEST(test_link_in_open_folder);
    TEST(test_fifo_of_somebody);
    TEST_ROWS(test_unnamed, unnamed);
    TEST(test_link);
    TEST(test_refused);
    TEST(test_device);
    TEST(test_fifo);
    TEST(test_long_name);
    TEST(test_leftovers);
    TEST(test_limit);
    return suite_run();
}
