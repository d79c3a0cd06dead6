/* Input files: what is opened, what is refused, reading at any place. */
#define _XOPEN_SOURCE     700
#define _FILE_OFFSET_BITS 64
#include "base/file.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/suite.h"

static void close_file(void *thing)
{
    oq_file_close(thing);
}

static struct oq_file *open_file(const char *path)
{
    onnxq_error error;
    struct oq_file *file = test_alloc(sizeof(*file));
    oq_error_init(&error);
    if (!oq_file_open(file, path, &error))
        fail_msg("%s", test_error_text(&error));
    test_defer(close_file, file);
    return file;
}

static struct oq_file *make_file(size_t nbytes, uint8_t **bytes)
{
    *bytes = test_alloc(nbytes);
    for (size_t i = 0; i < nbytes; i++)
        (*bytes)[i] = (uint8_t)(i * 7 + i / 256);
    test_write_file(test_path("file"), *bytes, nbytes);
    return open_file(test_path("file"));
}

static void test_open(void **state)
{
    (void)state;
    uint8_t *bytes;
    struct stat status;
    const struct oq_file *file = make_file(1000, &bytes);
    assert_int_equal(stat(test_path("file"), &status), 0);
    assert_int_equal(file->nbytes, 1000);
    assert_true(file->status.inode == status.st_ino && file->status.device == status.st_dev);
    assert_string_equal(file->path, test_path("file"));
}

/* A link opens what it names. */
static void test_link(void **state)
{
    (void)state;
    uint8_t *bytes;
    const struct oq_file *file = make_file(10, &bytes);
    assert_int_equal(symlink("file", test_path("link")), 0);
    assert_compare(open_file(test_path("link"))->status.inode, ==, file->status.inode);
}

static const char *fail_to_open(const char *path)
{
    onnxq_error error;
    struct oq_file file;
    oq_error_init(&error);
    assert_false(oq_file_open(&file, path, &error));
    assert_int_equal(error.status, ONNXQ_ERROR_INPUT);
    oq_file_close(&file); /* does no harm */
    return test_error_text(&error);
}

static void test_refused(void **state)
{
    (void)state;
    assert_int_equal(mkdir(test_path("folder"), 0777), 0);
    assert_int_equal(mkfifo(test_path("fifo"), 0666), 0);
    check_text(fail_to_open(test_path("folder")), "is a folder, expected a file");
    alarm(20); /* opening a FIFO that nobody writes to must not hang */
    check_text(fail_to_open(test_path("fifo")), "is a FIFO, expected a file");
    alarm(0);
    check_text(fail_to_open("/dev/zero"), "is a device, expected a file");
    check_text(fail_to_open(test_path("missing")), "cannot open: No such file or directory");
    assert_int_equal(symlink("missing", test_path("dangling")), 0);
    check_text(fail_to_open(test_path("dangling")), "cannot open: No such file or directory");
    assert_int_equal(symlink("loop", test_path("loop")), 0);
    check_text(fail_to_open(test_path("loop")), "cannot open: Too many levels of symbolic links");
}

static size_t count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    size_t n = 0;
    while (folder != NULL && readdir(folder) != NULL)
        n++;
    if (folder != NULL)
        closedir(folder);
    return n;
}

static void test_no_leak(void **state)
{
    (void)state;
    uint8_t *bytes;
    size_t before = count_descriptors();
    assert_int_equal(mkdir(test_path("folder"), 0777), 0);
    fail_to_open(test_path("folder"));
    fail_to_open(test_path("missing"));
    struct oq_file *file = make_file(10, &bytes);
    oq_file_close(file);
    oq_file_close(file);
    assert_int_equal(count_descriptors(), before);
}

static void check_reads(const struct oq_file *file, const uint8_t *bytes)
{
    onnxq_error error;
    uint8_t *dst = test_alloc((size_t)file->nbytes);
    oq_error_init(&error);
    for (uint64_t offset = 0; offset <= file->nbytes; offset += 61) {
        size_t left = (size_t)(file->nbytes - offset);
        size_t nbytes = offset % 2 == 0 ? left : left / 3;
        assert_true(oq_file_read(file, offset, dst, nbytes, &error));
        assert_memory_equal(dst, bytes + offset, nbytes);
    }
    assert_int_equal(error.status, ONNXQ_OK);
}

static void test_read(void **state)
{
    (void)state;
    uint8_t *bytes;
    const struct oq_file *file = make_file(10000, &bytes);
    check_reads(file, bytes);
}

/* Without a descriptor the file is opened for each read. */
static void test_released(void **state)
{
    (void)state;
    uint8_t *bytes;
    struct oq_file *file = make_file(1000, &bytes);
    size_t before = count_descriptors();
    oq_file_release_descriptor(file);
    oq_file_release_descriptor(file);
    assert_int_equal(count_descriptors(), before - 1);
    check_reads(file, bytes);
    assert_int_equal(count_descriptors(), before - 1);
}

static const char *fail_to_read(const struct oq_file *file, uint64_t offset, size_t nbytes)
{
    onnxq_error error;
    oq_error_init(&error);
    assert_false(oq_file_read(file, offset, test_alloc(nbytes), nbytes, &error));
    assert_int_equal(error.status, ONNXQ_ERROR_INPUT);
    return test_error_text(&error);
}

static void test_short(void **state)
{
    (void)state;
    static const char early[] = "file: ends early: it changed while it was read";
    uint8_t *bytes;
    struct oq_file *file = make_file(1000, &bytes);
    check_text(fail_to_read(file, 0, 1001), early);
    check_text(fail_to_read(file, 999, 2), early);
    check_text(fail_to_read(file, 1000, 1), early);
    check_text(fail_to_read(file, (uint64_t)1 << 40, 1), early);
    assert_int_equal(truncate(test_path("file"), 10), 0);
    check_text(fail_to_read(file, 5, 10), early);
    oq_file_release_descriptor(file);
    assert_int_equal(rename(test_path("file"), test_path("old")), 0);
    test_write_file(test_path("file"), bytes, 1000);
    check_text(fail_to_read(file, 0, 1),
               "file: is another file now: it was replaced while it was read");
    assert_int_equal(unlink(test_path("file")), 0);
    check_text(fail_to_read(file, 0, 1), "file: cannot open: No such file or directory");
}

/* Behind 4 GB, where 32 bits do not reach. The file has no blocks. */
static void test_large(void **state)
{
    (void)state;
    onnxq_error error;
    uint8_t bytes[4] = {1, 1, 1, 1};
    const uint64_t nbytes = ((uint64_t)5 << 30) + 3;
    test_write_file(test_path("file"), "", 0);
    if (truncate(test_path("file"), (off_t)nbytes) != 0)
        skip(); /* no sparse files here */
    struct oq_file *file = open_file(test_path("file"));
    oq_error_init(&error);
    assert_compare(file->nbytes, ==, nbytes);
    assert_true(oq_file_read(file, nbytes - 4, bytes, 4, &error));
    assert_memory_equal(bytes, "\0\0\0\0", 4);
    check_text(fail_to_read(file, nbytes - 3, 4), "file: ends early: it changed while it was read");
}

int main(void)
{
    TEST(test_open);
    TEST(test_link);
    TEST(test_refused);
    TEST(test_no_leak);
    TEST(test_read);
    TEST(test_released);
    TEST(test_short);
    TEST(test_large);
    return suite_run();
}
