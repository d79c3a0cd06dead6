/* Files that are no models: what the user is told they are. */
#define _XOPEN_SOURCE 700
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/bytes.h"
#include "support/models.h"

#define HTML_HINT "the download probably needs a login or another address"

static const struct row {
    const char *name;
    struct bytes bytes;
    const char *expected, *hint;
} rows[] = {
    {"empty", BYTES(""), "is an empty file", ""},
    {"GGUF", BYTES("GGUF\x03\x00\x00\x00"), "is a GGUF model",
     "convert the original model to ONNX"},
    {"zip", BYTES("PK\x03\x04\x14\x00\x00\x00"), "is a zip archive",
     "unpack it; a PyTorch .pt file must be exported with torch.onnx.export"},
    {"gzip", BYTES("\x1f\x8b\x08\x00"), "is a gzip archive", "unpack it first"},
    {"zstd", BYTES("\x28\xb5\x2f\xfd\x04"), "is a zstd archive", "unpack it first"},
    {"HDF5", BYTES("\x89HDF\r\n\x1a\n"), "is an HDF5 file (Keras)", "convert it with tf2onnx"},
    {"TensorFlow Lite", BYTES("\x1c\x00\x00\x00TFL3\x00"), "is a TensorFlow Lite model",
     "convert it with tf2onnx"},
    {"ORT", BYTES("\x1c\x00\x00\x00ORTM\x00"), "is an ORT format model",
     "use the .onnx file that it was made from"},
    {"Git LFS", BYTES("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"),
     "is a Git LFS pointer, not the model itself", "fetch the file with: git lfs pull"},
    {"safetensors", BYTES("\x40\x00\x00\x00\x00\x00\x00\x00{\"__metadata__\":{}}"),
     "is a safetensors file", "export the model to ONNX first"},
    {"pickle", BYTES("\x80\x02}q\x00."), "is a Python pickle", "export the model to ONNX first"},
    {"program",
     BYTES("\x7f"
           "ELF\x02\x01\x01"),
     "is a program", ""},
    {"NumPy", BYTES("\x93NUMPY\x01\x00v\x00"), "is a NumPy array", ""},
    {"NumPy archive", BYTES("PK\x03\x04"), "is a zip archive",
     "unpack it; a PyTorch .pt file must be exported with torch.onnx.export"},
    {"HTML", BYTES("<!DOCTYPE html><html><body>Sign in</body></html>"), "is an HTML page",
     HTML_HINT},
    {"HTML behind blanks", BYTES("\n\n  <html lang=\"en\">"), "is an HTML page", HTML_HINT},
    {"HTML in lower case", BYTES("<!doctype html>"), "is an HTML page", HTML_HINT},
    {"text", BYTES("Hello.\nThis is no model.\n"), "is a text file", ""},
    {"text of other languages", BYTES("Gr\xc3\xbc\xc3\x9f Gott \xe2\x82\xac"), "is a text file",
     ""},
    {"JSON", BYTES("{\"a\": 1}"), "is a text file", ""},
};

static void test_kind(void **state)
{
    const struct row *row = *state;
    onnxq_error error;
    test_write_file(test_path("file"), row->bytes.data, row->bytes.nbytes);
    assert_null(onnxq_model_open(test_path("file"), &error));
    assert_int_equal(error.status, ONNXQ_ERROR_INPUT);
    check_text(test_error_text(&error),
               test_printf("file: %s, expected an ONNX model", row->expected));
    check_text(error.hint, row->hint);
}

/* A text that is longer than what is looked at, with a character across the edge. */
static void test_long_text(void **state)
{
    (void)state;
    for (size_t before = 505; before <= 515; before++) {
        char text[1000];
        memset(text, 'a', sizeof(text));
        memcpy(text + before, "\xe2\x82\xac", 3);
        test_write_file(test_path("file"), text, sizeof(text));
        check_text(test_open_error(test_path("file")),
                   "file: is a text file, expected an ONNX model");
    }
}

/* Something binary that we do not know: what is wrong with it as a model. */
static const struct other {
    const char *name;
    struct bytes bytes;
    const char *expected;
} others[] = {
    {"random bytes", BYTES("\xff\xfe\x00\x01\x02\x03"),
     "file: found wire type 7 as field 2031, expected a field of ModelProto (at byte 0)"},
    {"a PNG", BYTES("\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR"),
     "file: found field number 0, expected a field of ModelProto (at byte 10)"},
    {"zeros", BYTES("\x00\x00\x00\x00\x00\x00\x00\x00"),
     "file: found field number 0, expected a field of ModelProto (at byte 0)"},
    {"a model without a graph", BYTES("\x08\x08\x12\x01t"),
     "file: has no graph, expected an ONNX model"},
    {"a model that is cut", BYTES("\x08\x08\x3a\x40\x0a\x10"),
     "file: graph has 64 bytes, but 2 are left in the file (at byte 2)"},
};

static void test_other(void **state)
{
    const struct other *row = *state;
    test_write_file(test_path("file"), row->bytes.data, row->bytes.nbytes);
    check_text(test_open_error(test_path("file")), row->expected);
}

/* --- what is no file at all --- */

static void make_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_compare(strlen(path), <, sizeof(address.sun_path));
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_compare(fd, >=, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
}

static void test_no_file(void **state)
{
    (void)state;
    assert_int_equal(mkdir(test_path("folder"), 0777), 0);
    check_text(test_open_error(test_path("folder")), "folder: is a folder, expected a file");
    assert_int_equal(mkfifo(test_path("fifo"), 0666), 0);
    alarm(20); /* a FIFO that nobody writes to must not hang */
    check_text(test_open_error(test_path("fifo")), "fifo: is a FIFO, expected a file");
    alarm(0);
    check_text(test_open_error("/dev/null"), "/dev/null: is a device, expected a file");
    check_text(test_open_error(test_path("missing")),
               "missing: cannot open: No such file or directory");
    check_text(test_open_error(test_path("folder/x/y")),
               "folder/x/y: cannot open: No such file or directory");
    make_socket(test_path("socket"));
    check_text(test_open_error(test_path("socket")),
               "socket: cannot open: No such device or address");
    check_text(test_open_error(""), "cannot open: No such file or directory");
}

static void test_unreadable(void **state)
{
    (void)state;
    test_write_file(test_path("file"), "x", 1);
    assert_int_equal(chmod(test_path("file"), 0), 0);
    if (access(test_path("file"), R_OK) == 0)
        skip(); /* the superuser reads everything */
    check_text(test_open_error(test_path("file")), "file: cannot open: Permission denied");
}

int main(void)
{
    TEST_ROWS(test_kind, rows);
    TEST(test_long_text);
    TEST_ROWS(test_other, others);
    TEST(test_no_file);
    TEST(test_unreadable);
    return suite_run();
}
