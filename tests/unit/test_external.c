/* Side files: which places are accepted, and which bytes are taken. */
#define _XOPEN_SOURCE 700
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/models.h"

#define SIDE_NFLOATS 16

static void make_folder(const char *name)
{
    assert_int_equal(mkdir(test_path(name), 0777), 0);
}

static void make_link(const char *target, const char *name)
{
    assert_int_equal(symlink(target, test_path(name)), 0);
}

/* 64 bytes: the floats first, first + 1, ... */
static void make_side_file(const char *name, float first)
{
    float values[SIDE_NFLOATS];
    for (size_t i = 0; i < SIDE_NFLOATS; i++)
        values[i] = first + (float)i;
    test_write_file(test_path(name), values, sizeof(values));
}

/* Places around a model in the folder m. */
static void make_places(void)
{
    make_folder("m");
    make_folder("m/sub");
    make_folder("m2"); /* its name starts like that of the model's folder */
    make_side_file("secret", 900);
    make_side_file("m2/secret", 900);
    make_side_file("m/data.bin", 0);
    make_side_file("m/..odd..name", 100);
    make_side_file("m/sub/data.bin", 200);
    make_link("data.bin", "m/inside");
    make_link("sub", "m/subfolder");
    make_link("../secret", "m/outside");
    make_link("../m2/secret", "m/neighbour");
    make_link("..", "m/up");
    make_link("nowhere", "m/dangling");
    assert_int_equal(mkfifo(test_path("m/fifo"), 0666), 0);
}

/* A float32 [4] that lies in a side file. NULL: without that entry. */
static void add_external(struct builder *builder, const char *name, const char *location,
                         const char *offset, const char *length)
{
    const char *const entries[][2] = {
        {"location", location}, {"offset", offset}, {"length", length}, {"checksum", "ignored"}};
    Oq__Pb__TensorProto *tensor = builder_tensor(builder, name, 1, (const int64_t[]){4}, 1);
    for (size_t i = 0; i < COUNT(entries); i++)
        if (entries[i][1] != NULL)
            builder_external(builder, tensor, entries[i][0], entries[i][1]);
    builder_initializer(builder, builder->graph, tensor);
}

static void check_elements(const struct oq_tensor *tensor, float first)
{
    float values[4];
    onnxq_error error;
    oq_error_init(&error);
    assert_true(tensor->external);
    assert_true(
        oq_tensor_read_floats(tensor, 0, 4, values, test_alloc(OQ_READ_SCRATCH_NBYTES), &error));
    for (size_t i = 0; i < 4; i++)
        assert_compare(values[i], ==, first + (float)i);
}

static const struct row {
    const char *name;
    const char *location, *offset, *length;
    float first;       /* of the elements */
    const char *error; /* NULL: it is accepted */
} rows[] = {
    {"plain", "data.bin", "0", "16", 0, NULL},
    {"an offset", "data.bin", "8", "16", 2, NULL},
    {"the last bytes", "data.bin", "48", "16", 12, NULL},
    {"no length", "data.bin", "16", NULL, 4, NULL},
    {"no offset", "data.bin", NULL, "16", 0, NULL},
    {"the location alone", "data.bin", NULL, NULL, 0, NULL},
    {"a subfolder", "sub/data.bin", "0", "16", 200, NULL},
    {"a dot", "./data.bin", "0", "16", 0, NULL},
    {"dots in a name", "..odd..name", "0", "16", 100, NULL},
    {"a link inside", "inside", "4", "16", 1, NULL},
    {"a link to a subfolder", "subfolder/data.bin", "0", "16", 200, NULL},

    {"no location", NULL, "0", "16", 0,
     "m/model.onnx: initializer \"w\": is stored in a side file but names no location"},
    {"an empty location", "", "0", "16", 0,
     "m/model.onnx: initializer \"w\": names an empty side file location"},
    {"missing", "nothing.bin", "0", "16", 0,
     "m/model.onnx: initializer \"w\": cannot open side file \"nothing.bin\": No such file or "
     "directory"},
    {"missing folder", "nowhere/data.bin", "0", "16", 0,
     "m/model.onnx: initializer \"w\": cannot open side file \"nowhere/data.bin\": No such file or "
     "directory"},
    {"absolute", "/etc/passwd", "0", "16", 0,
     "m/model.onnx: initializer \"w\": side file \"/etc/passwd\" is outside the model's folder, "
     "expected a path inside it"},
    {"the parent", "../secret", "0", "16", 0,
     "m/model.onnx: initializer \"w\": side file \"../secret\" is outside the model's folder, "
     "expected a path inside it"},
    {"the parent, in the middle", "sub/../../secret", "0", "16", 0,
     "m/model.onnx: initializer \"w\": side file \"sub/../../secret\" is outside the model's "
     "folder, expected a path inside it"},
    {"the parent, but inside", "sub/../data.bin", "0", "16", 0,
     "m/model.onnx: initializer \"w\": side file \"sub/../data.bin\" is outside the model's "
     "folder, expected a path inside it"},
    {"the parent at the end", "sub/..", "0", "16", 0,
     "m/model.onnx: initializer \"w\": side file \"sub/..\" is outside the model's folder, "
     "expected a path inside it"},
    {"a link outside", "outside", "0", "16", 0,
     "m/model.onnx: initializer \"w\": side file \"outside\" links to a place outside the model's "
     "folder"},
    {"a link to a folder of similar name", "neighbour", "0", "16", 0,
     "m/model.onnx: initializer \"w\": side file \"neighbour\" links to a place outside the "
     "model's folder"},
    {"a link to the parent", "up/secret", "0", "16", 0,
     "m/model.onnx: initializer \"w\": side file \"up/secret\" links to a place outside the "
     "model's folder"},
    {"a link to nothing", "dangling", "0", "16", 0,
     "m/model.onnx: initializer \"w\": cannot open side file \"dangling\": No such file or "
     "directory"},
    {"a folder", "sub", "0", "16", 0, "m/sub: initializer \"w\": is a folder, expected a file"},
    {"a FIFO", "fifo", "0", "16", 0, "m/fifo: initializer \"w\": is a FIFO, expected a file"},
    {"one byte too short", "data.bin", "49", "16", 0,
     "m/data.bin: initializer \"w\": needs 16 bytes at byte 49 of the side file, which has 64 "
     "bytes"},
    {"too short", "data.bin", "52", "16", 0,
     "m/data.bin: initializer \"w\": needs 16 bytes at byte 52 of the side file, which has 64 "
     "bytes"},
    {"behind the end", "data.bin", "1000", "16", 0,
     "m/data.bin: initializer \"w\": needs 16 bytes at byte 1000 of the side file, which has 64 "
     "bytes"},
    {"largest offset", "data.bin", "18446744073709551615", "16", 0,
     "m/data.bin: initializer \"w\": needs 16 bytes at byte 18446744073709551615 of the side file, "
     "which has 64 bytes"},
    {"offset over 64 bits", "data.bin", "18446744073709551616", "16", 0,
     "m/model.onnx: initializer \"w\": external data has offset \"18446744073709551616\", expected "
     "a number of bytes"},
    {"offset is no number", "data.bin", "x", "16", 0,
     "m/model.onnx: initializer \"w\": external data has offset \"x\", expected a number of bytes"},
    {"offset is negative", "data.bin", "-1", "16", 0,
     "m/model.onnx: initializer \"w\": external data has offset \"-1\", expected a number of "
     "bytes"},
    {"offset with a blank", "data.bin", " 5", "16", 0,
     "m/model.onnx: initializer \"w\": external data has offset \" 5\", expected a number of "
     "bytes"},
    {"offset is empty", "data.bin", "", "16", 0,
     "m/model.onnx: initializer \"w\": external data has offset \"\", expected a number of bytes"},
    {"length with a unit", "data.bin", "0", "16k", 0,
     "m/model.onnx: initializer \"w\": external data has length \"16k\", expected a number of "
     "bytes"},
    {"length too small", "data.bin", "0", "12", 0,
     "m/model.onnx: initializer \"w\": external data has 12 bytes, float32 [4] needs 16"},
    {"length too large", "data.bin", "0", "20", 0,
     "m/model.onnx: initializer \"w\": external data has 20 bytes, float32 [4] needs 16"},
};

static void test_location(void **state)
{
    const struct row *row = *state;
    struct builder *builder = test_builder("");
    make_places();
    add_external(builder, "w", row->location, row->offset, row->length);
    assert_true(builder_write(builder, test_path("m/model.onnx")));
    if (row->error == NULL)
        check_elements(&test_open_path(test_path("m/model.onnx"))->tensors[0], row->first);
    else
        check_text(test_open_error(test_path("m/model.onnx")), row->error);
}

/* Readers differ in which of them they take. */
static void test_entry_twice(void **state)
{
    (void)state;
    static const char *const entries[][2] = {
        {"location", "other.bin"}, {"offset", "0"}, {"length", "16"}};
    make_places();
    for (size_t i = 0; i < COUNT(entries); i++) {
        char expected[100];
        struct builder *builder = test_builder("");
        add_external(builder, "w", "data.bin", "0", "16");
        builder_external(builder, builder->graph->initializer[0], entries[i][0], entries[i][1]);
        assert_true(builder_write(builder, test_path("m/model.onnx")));
        snprintf(expected, sizeof(expected), "external data has \"%s\" twice, expected once",
                 entries[i][0]);
        assert_non_null(strstr(test_open_error(test_path("m/model.onnx")), expected));
    }
}

/* The model may be named without its folder, and from another one. */
static void leave_folder(void *thing)
{
    (void)thing;
    assert_int_equal(chdir("/"), 0);
}

static void test_relative_path(void **state)
{
    (void)state;
    static const char *const paths[][2] = {{"m", "model.onnx"},
                                           {"m", "./model.onnx"},
                                           {"m/sub", "../model.onnx"},
                                           {".", "m/model.onnx"}};
    struct builder *builder = test_builder("");
    make_places();
    add_external(builder, "w", "sub/data.bin", "0", "16");
    assert_true(builder_write(builder, test_path("m/model.onnx")));
    test_defer(leave_folder, NULL);
    for (size_t i = 0; i < COUNT(paths); i++) {
        assert_int_equal(chdir(test_path(paths[i][0])), 0);
        check_elements(&test_open_path(paths[i][1])->tensors[0], 200);
    }
}

/*
 * The Hugging Face cache: a snapshot folder of links into one folder of blobs,
 * which have no names, only hashes.
 */
static void test_cache_of_links(void **state)
{
    (void)state;
    struct builder *builder = test_builder("");
    make_folder("blobs");
    make_folder("snapshots");
    make_folder("snapshots/1234");
    make_side_file("secret", 900);
    make_side_file("blobs/bbbb", 300);
    make_link("../../blobs/aaaa", "snapshots/1234/model.onnx");
    make_link("../../blobs/bbbb", "snapshots/1234/model.onnx.data");
    make_link("../../secret", "snapshots/1234/secret");
    add_external(builder, "w", "model.onnx.data", "4", "16");
    assert_true(builder_write(builder, test_path("blobs/aaaa")));
    const onnxq_model *model = test_open_path(test_path("snapshots/1234/model.onnx"));
    check_elements(&model->tensors[0], 301);
    const onnxq_model_info *info = onnxq_model_get_info(model);
    assert_int_equal(info->external_nbytes, SIDE_NFLOATS * sizeof(float));

    builder->graph->initializer[0]->external_data[0]->value = builder_text(builder, "secret");
    assert_true(builder_write(builder, test_path("blobs/aaaa")));
    check_text(
        test_open_error(test_path("snapshots/1234/model.onnx")),
        "snapshots/1234/model.onnx: initializer \"w\": side file \"secret\" links to a place "
        "outside the model's folder");
}

static size_t count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    size_t n = 0;
    if (folder == NULL)
        return 0;
    while (readdir(folder) != NULL)
        n++;
    closedir(folder);
    return n;
}

/* A file for each tensor, more than the process may have open, of which some are left to it. */
static void check_many_files(size_t most)
{
    enum { MANY = 2000 };
    struct builder *builder = test_builder("");
    for (int i = 0; i < MANY; i++) {
        const char *name = test_printf("side-%04d", i);
        make_side_file(name, (float)i);
        add_external(builder, name, name, "8", "16");
    }
    size_t before = count_descriptors();
    const onnxq_model *model = test_open(builder);
    assert_compare(count_descriptors(), <=, before + most);
    assert_int_equal(model->external.count, MANY);
    for (size_t i = 0; i < MANY; i += 37)
        check_elements(&model->tensors[i], (float)i + 2);
    check_elements(&model->tensors[MANY - 1], MANY - 1 + 2);
}

static void test_many_files(void **state)
{
    (void)state;
    check_many_files(300);
}

static void test_few_descriptors(void **state)
{
    (void)state;
    struct rlimit usual, low;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
    low = usual;
    low.rlim_cur = 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    check_many_files(20);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);
}

/* Tensors that share a file: it is opened, and counted, once. */
static void test_shared_file(void **state)
{
    (void)state;
    struct builder *builder = test_builder("");
    make_side_file("side", 0);
    add_external(builder, "a", "side", "0", "16");
    add_external(builder, "b", "side", "16", "16");
    add_external(builder, "c", "side", "8", "16"); /* ranges may overlap */
    const onnxq_model *model = test_open(builder);
    assert_int_equal(model->external.count, 1);
    check_elements(&model->tensors[0], 0);
    check_elements(&model->tensors[1], 4);
    check_elements(&model->tensors[2], 2);
}

/* Types of which we do not know the size cannot be found in a side file. */
static void test_unknown_type(void **state)
{
    (void)state;
    struct builder *builder = test_builder("");
    make_side_file("side", 0);
    add_external(builder, "w", "side", "0", "16");
    builder->graph->initializer[0]->data_type = 99;
    assert_true(builder_write(builder, test_path("model.onnx")));
    check_text(
        test_open_error(test_path("model.onnx")),
        "model.onnx: initializer \"w\": is of type 99, which cannot lie in a side file here");
}

int main(void)
{
    TEST_ROWS(test_location, rows);
    TEST(test_entry_twice);
    TEST(test_relative_path);
    TEST(test_cache_of_links);
    TEST(test_many_files);
    TEST(test_few_descriptors);
    TEST(test_shared_file);
    TEST(test_unknown_type);
    return suite_run();
}
