/*
 * Somebody changes a folder in the very moment between a check and what was
 * checked for: the linker puts an open() in the library's place that does so.
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/models.h"

/* Called before a file with this name is opened, once. */
static const char *awaited;
static void (*meanwhile)(void);

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    size_t n = strlen(path), n_awaited = awaited != NULL ? strlen(awaited) : 0;
    if (awaited != NULL && n >= n_awaited && strcmp(path + n - n_awaited, awaited) == 0) {
        awaited = NULL;
        meanwhile();
    }
    return __real_open64(path, flags, mode);
}

/* home/model.onnx with its weight in home/inside/w.data, and a secret outside of home. */
static void make_folders(void)
{
    static const char zeros[4096] = "not for everyone";
    struct builder *builder = test_builder("ir 8; opset 17; in x float32[N,16]\n"
                                           "y = MatMul(x, w); out y float32[N,16]\n");
    Oq__Pb__TensorProto *w = builder_tensor(builder, "w", 1, (const int64_t[]){16, 16}, 2);
    builder_external(builder, w, "location", "inside/w.data");
    builder_initializer(builder, builder->graph, w);
    mkdir(test_path("home"), 0777);
    mkdir(test_path("home/inside"), 0777);
    mkdir(test_path("outside"), 0777);
    test_write_file(test_path("outside/w.data"), zeros, sizeof(zeros));
    test_write_file(test_path("home/inside/w.data"), zeros, sizeof(zeros));
    assert_true(builder_write(builder, test_path("home/model.onnx")));
}

static void put_link_to_outside(void)
{
    assert_int_equal(rename(test_path("home/inside"), test_path("home/away")), 0);
    assert_int_equal(symlink("../outside", test_path("home/inside")), 0);
}

static void test_folder_becomes_link(void **state)
{
    (void)state;
    make_folders();
    test_open_path(test_path("home/model.onnx"));
    awaited = "inside/w.data";
    meanwhile = put_link_to_outside;
    check_text(test_open_error(test_path("home/model.onnx")),
               "home/model.onnx: initializer \"w\": side file \"inside/w.data\" links to a place "
               "outside the model's folder");
}

int main(void)
{
    TEST(test_folder_becomes_link);
    return suite_run();
}
