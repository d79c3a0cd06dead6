/* Which files make which sets, and tensors in .pb files. */
#define _POSIX_C_SOURCE 200809L
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/archive.h"
#include "support/bytes.h"
#include "support/inputs.h"
#include "support/models.h"
#include "support/types.h"
#include "arrays/input_folder.h"
#include "arrays/input_files.h"

/* --- files of one number ------------------------------------------------------ */

static void write_npy(const char *name, uint8_t value)
{
    struct builder_bytes bytes = {.builder = test_builder("")};
    archive_put_npy(&bytes, 1, archive_npy_header(bytes.builder, "|u1", "()"), &value, 1);
    test_write_file(test_path(name), bytes.bytes, bytes.nbytes);
}

static void write_npz(const char *name, uint8_t value)
{
    struct builder_bytes bytes = {.builder = test_builder("")};
    struct archive archive = {.bytes = {.builder = bytes.builder}};
    archive_put_npy(&bytes, 1, archive_npy_header(bytes.builder, "|u1", "()"), &value, 1);
    archive_add(&archive, "x.npy", ARCHIVE_STORED, bytes.bytes, bytes.nbytes);
    archive_end(&archive, false, "");
    test_write_file(test_path(name), archive.bytes.bytes, archive.bytes.nbytes);
}

static void write_tensor(const char *name, const Oq__Pb__TensorProto *tensor)
{
    uint8_t *bytes = test_alloc(protobuf_c_message_get_packed_size(&tensor->base));
    size_t nbytes = protobuf_c_message_pack(&tensor->base, bytes);
    test_write_file(test_path(name), bytes, nbytes);
}

/* The tensor's name is what follows the '=' in `name`, if anything does. */
static void write_pb(const char *name, uint8_t value)
{
    struct builder *builder = test_builder("");
    char *path = builder_text(builder, name), *inner = strchr(path, '=');
    if (inner != NULL)
        *inner++ = '\0';
    Oq__Pb__TensorProto *tensor = builder_tensor(builder, inner, 2, NULL, 0);
    builder_raw(builder, tensor, &value, 1);
    write_tensor(path, tensor);
}

/* Each gets a number of its own, from 1 on. Folders end with a slash. */
static void write_files(const char *const *names)
{
    for (uint8_t i = 1; *names != NULL; names++, i++) {
        const char *name = *names;
        if (name[strlen(name) - 1] == '/')
            assert_int_equal(mkdir(test_path(name), 0777), 0);
        else if (strstr(name, ".npy") != NULL)
            write_npy(name, i);
        else if (strstr(name, ".npz") != NULL)
            write_npz(name, i);
        else if (strstr(name, ".pb") != NULL)
            write_pb(name, i);
        else
            test_write_file(test_path(name), "text", 4);
    }
}

/* --- folders ------------------------------------------------------------------ */

#define U8(value) "uint8 []: " #value
#define NO_INPUTS                                                                                  \
    " (inputs are .npz files, pictures, .npy and .pb files, or folders test_data_set_N)"
#define ONE_KIND ", expected one kind of inputs and nothing else"

static const struct folder_row {
    const char *name;
    const char *files[8];
    const char *path, *expected;
} folders[] = {
    {"one .npz", {"a.npz"}, "a.npz", "a.npz{x=" U8(1) "}"},
    {"one .NPZ", {"a.npz.NPZ"}, "a.npz.NPZ", "a.npz.NPZ{x=" U8(1) "}"},
    {"one .npy", {"a.npy"}, "a.npy", "a.npy{#0=" U8(1) "}"},
    {"one .npy of a set", {"input_3.npy"}, "input_3.npy", "input_3.npy{#3=" U8(1) "}"},
    {"one output of a set", {"output_1.npy"}, "output_1.npy", "output_1.npy{#1=" U8(1) "}"},
    {"one .pb", {"a.pb"}, "a.pb", "a.pb{#0=" U8(1) "}"},
    {"one .pb with a name", {"a.pb=x"}, "a.pb", "a.pb{x=" U8(1) "}"},

    {"archives",
     {"a10.npz", "a2.npz", "README", "a.md", ".hidden.bin"},
     "",
     "a2.npz{x=" U8(2) "} a10.npz{x=" U8(1) "}"},
    {"arrays",
     {"y.npy", "x.npy", "input_1.npy", "output_0.npy", "z.pb", "v.pb=w"},
     "",
     "{#1=" U8(3) ", w=" U8(6) ", x=" U8(2) ", y=" U8(1) ", z=" U8(5) "}->{#0=" U8(4) "}"},
    {"positions",
     {"input_0.pb", "input_10.pb", "input_2.pb=x", "output_0.pb", "output_1.pb=y"},
     "",
     "{#0=" U8(1) ", x=" U8(3) ", #10=" U8(2) "}->{#0=" U8(4) ", y=" U8(5) "}"},
    {"not quite positions",
     {"input_.npy", "input_1a.npy", "input_1234567890.npy", "Input_1.npy"},
     "",
     "{Input_1=" U8(4) ", input_=" U8(1) ", input_1a=" U8(2) ", input_1234567890=" U8(3) "}"},
    {"ONNX test data",
     {"model.onnx", "model.onnx.data", "test_data_set_10/", "test_data_set_10/input_0.pb",
      "test_data_set_2/", "test_data_set_2/output_0.pb", "test_data_set_2x/"},
     "",
     "test_data_set_2{}->{#0=" U8(6) "} test_data_set_10{#0=" U8(4) "}"},
    {"one set of test data",
     {"test_data_set_0/", "test_data_set_0/input_0.pb"},
     "test_data_set_0",
     "test_data_set_0{#0=" U8(2) "}"},
    {"a slash behind it",
     {"test_data_set_0/", "test_data_set_0/input_0.pb"},
     "test_data_set_0/",
     "test_data_set_0/{#0=" U8(2) "}"},

    {"no such path", {NULL}, "x.npz", "x.npz: cannot open: No such file or directory"},
    {"another file",
     {"x.bin"},
     "x.bin",
     "x.bin: is no .npz, .npy or .pb file, picture or folder of them"},
    {"text", {"x.md"}, "x.md", "x.md: is no .npz, .npy or .pb file, picture or folder of them"},
    {"empty folder", {"f/"}, "f", "f: holds no inputs" NO_INPUTS},
    {"folder of texts", {"f/", "f/README"}, "f", "f: holds no inputs" NO_INPUTS},
    {"folder of folders", {"f/", "f/g/"}, "f", "f: holds no inputs" NO_INPUTS},
    {"empty set",
     {"f/", "f/test_data_set_0/"},
     "f",
     "f/test_data_set_0: holds no .npy or .pb files" NO_INPUTS},
    {"set of archives",
     {"f/", "f/test_data_set_0/", "f/test_data_set_0/a.npz"},
     "f",
     "f/test_data_set_0: holds no .npy or .pb files" NO_INPUTS},
    {"sets in a set",
     {"f/", "f/test_data_set_0/", "f/test_data_set_0/test_data_set_1/", "f/test_data_set_0/x.pb"},
     "f",
     "f/test_data_set_0: holds \"x.pb\" and \"test_data_set_1\"" ONE_KIND},
    {"archives and arrays",
     {"f/", "f/a.npz", "f/a.npy"},
     "f",
     "f: holds \"a.npz\" and \"a.npy\"" ONE_KIND},
    {"sets and arrays",
     {"f/", "f/test_data_set_0/", "f/a.npy"},
     "f",
     "f: holds \"test_data_set_0\" and \"a.npy\"" ONE_KIND},
    {"sets and archives",
     {"f/", "f/test_data_set_0/", "f/a.npz"},
     "f",
     "f: holds \"test_data_set_0\" and \"a.npz\"" ONE_KIND},
    {"arrays and images",
     {"f/", "f/a.npy", "f/a.png"},
     "f",
     "f: holds \"a.png\" and \"a.npy\"" ONE_KIND},
    {"arrays and a folder",
     {"f/", "f/a.npy", "f/b/"},
     "f",
     "f: holds \"a.npy\" and \"b\"" ONE_KIND},
    {"archives and tables",
     {"f/", "f/a.npz", "f/a.csv"},
     "f",
     "f: holds \"a.npz\" and \"a.csv\"" ONE_KIND},
    {"the same position",
     {"f/", "f/input_0.npy", "f/input_0.pb"},
     "f",
     "f/input_0.pb: there is a second array \"#0\""},
    {"the same name", {"f/", "f/a.npy", "f/b.pb=a"}, "f", "f/b.pb: there is a second array \"a\""},
};

static void test_folder(void **state)
{
    const struct folder_row *row = *state;
    write_files(row->files);
    check_text(test_inputs(row->path), row->expected);
}

/* Sets are added to those that are there; a failure leaves what can be released. */
static void test_several_paths(void **state)
{
    (void)state;
    struct oq_input_sets sets = {0};
    onnxq_error error = {0};
    write_files((const char *const[]){"a.npz", "b.npy", NULL});
    for (size_t i = 0; i < 5; i++) {
        assert_true(oq_input_sets_read(&sets, test_path("a.npz"), &error));
        assert_true(oq_input_sets_read(&sets, test_path("b.npy"), &error));
    }
    assert_int_equal(sets.count, 10);
    assert_false(oq_input_sets_read(&sets, test_path("c.npy"), &error));
    assert_non_null(oq_arrays_find(&sets.list[8].inputs, "x"));
    assert_non_null(oq_arrays_find(&sets.list[9].inputs, "#0"));
    oq_input_sets_fini(&sets);
    oq_input_sets_fini(&sets);
}

/* --- not what the name says ---------------------------------------------------- */

static const struct disguise_row {
    const char *name;
    struct bytes bytes;
    const char *expected;
} disguises[] = {
    {"a.npz", BYTES(""), "is an empty file, expected an .npz archive of NumPy arrays"},
    {"b.npz", BYTES("\x93NUMPY\1\0v\0"),
     "is a NumPy array, expected an .npz archive of NumPy arrays"},
    {"c.npz", BYTES("PK\3\4\0\0\0\0"), "is no whole archive: its end record is missing"},
    {"a.npy", BYTES(""), "is an empty file, expected a .npy file of NumPy"},
    {"b.npy", BYTES("PK\3\4\0\0\0\0"), "is a zip archive, expected a .npy file of NumPy"},
    {"c.npy", BYTES("\x80\4\x95\0\0"), "is no .npy file: it does not begin as one"},
    {"d.npy", BYTES("\x80\2}q\0."), "is a Python pickle, expected a .npy file of NumPy"},
    {"a.pb", BYTES(""), "is an empty file, expected a tensor (a TensorProto of ONNX)"},
    {"b.pb", BYTES("version https://git-lfs.github.com/spec/v1\n"),
     "is a Git LFS pointer, not the model itself, expected a tensor (a TensorProto of ONNX)"},
    {"c.pb", BYTES("\x93NUMPY\1\0v\0"),
     "is a NumPy array, expected a tensor (a TensorProto of ONNX)"},
    {"d.pb", BYTES("\xff\xff\xff"), "found a number that does not end in its message (at byte 0)"},
};

static void test_disguise(void **state)
{
    const struct disguise_row *row = *state;
    check_text(test_inputs_of(row->name, row->bytes.data, row->bytes.nbytes),
               test_printf("%s: %s", row->name, row->expected));
}

static void test_no_file(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(test_path("a.npy"), 0777), 0);
    check_text(test_inputs("a.npy"), "a.npy: is a FIFO, expected a file");
    assert_int_equal(symlink("nowhere", test_path("b.npy")), 0);
    check_text(test_inputs("b.npy"), "b.npy: cannot open: No such file or directory");
    unlink(test_path("a.npy"));
    check_text(test_inputs(""), "b.npy: cannot open: No such file or directory");
}

/* --- tensors ------------------------------------------------------------------- */

static const struct storage_row {
    const char *name;
    const char *type;
    enum builder_storage storage;
} storages[] = {
    {"float32 raw", "float32", BUILDER_RAW},
    {"float32 packed", "float32", BUILDER_PACKED},
    {"float32 unpacked", "float32", BUILDER_UNPACKED},
    {"float32 pieces", "float32", BUILDER_PIECES},
    {"float64 packed", "float64", BUILDER_PACKED},
    {"float64 unpacked", "float64", BUILDER_UNPACKED},
    {"float64 pieces", "float64", BUILDER_PIECES},
    {"float16 packed", "float16", BUILDER_PACKED},
    {"bfloat16 pieces", "bfloat16", BUILDER_PIECES},
    {"int8 packed", "int8", BUILDER_PACKED},
    {"uint8 unpacked", "uint8", BUILDER_UNPACKED},
    {"int16 pieces", "int16", BUILDER_PIECES},
    {"uint16 packed", "uint16", BUILDER_PACKED},
    {"int32 packed", "int32", BUILDER_PACKED},
    {"int32 raw", "int32", BUILDER_RAW},
    {"int64 packed", "int64", BUILDER_PACKED},
    {"int64 pieces", "int64", BUILDER_PIECES},
    {"uint32 packed", "uint32", BUILDER_PACKED},
    {"uint64 unpacked", "uint64", BUILDER_UNPACKED},
};

static void test_storage(void **state)
{
    const struct storage_row *row = *state;
    const struct element_type *type = element_type_by_name(row->type);
    struct builder *builder = test_builder("");
    static const int64_t dims[] = {3, 2};
    static const double values[] = {0, 1, 2, 3, 100, 127};
    Oq__Pb__TensorProto *tensor = builder_tensor(builder, "x", type->data_type, dims, 2);
    builder_store(builder, tensor, row->storage, values, 6);
    write_tensor("a.pb", tensor);
    check_text(test_inputs("a.pb"), test_printf("a.pb{x=%s [3,2]: 0 1 2 3 100 127}", row->type));
}

/* As on the wire: dims 8, data_type 0x10, segment 0x1a, floats 0x22, int32s 0x2a, strings 0x32,
 * name 0x42, raw_data 0x4a, external_data 0x6a, data_location 0x70. */
static const struct wire_row {
    const char *name;
    struct bytes bytes;
    const char *expected;
} wires[] = {
    {"4 bits", BYTES("\x08\3\x10\x16\x4a\2\x2f\x01"), "{#0=int4 [3]: -1 2 1}"},
    {"4 bits in numbers", BYTES("\x08\3\x10\x16\x2a\2\x2f\x01"), "{#0=int4 [3]: -1 2 1}"},
    {"2 bits in numbers", BYTES("\x08\5\x10\x19\x2a\3\xe4\x01\x01"), "{#0=uint2 [5]: 0 1 2 3 1}"},
    {"negative numbers", BYTES("\x08\1\x10\3\x2a\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\1"),
     "{#0=int8 [1]: -1}"},
    {"boolean in a number", BYTES("\x08\2\x10\x09\x2a\2\0\1"), "{#0=bool [2]: 0 1}"},
    {"complex",
     BYTES("\x08\1\x10\x0e\x22\x08"
           "abcdefgh"),
     "{#0=complex64 [1]: 6162636465666768}"},
    {"complex, one by one",
     BYTES("\x08\1\x10\x0e\x25"
           "abcd\x25"
           "efgh"),
     "{#0=complex64 [1]: 6162636465666768}"},
    {"6 bits", BYTES("\x08\4\x10\x1b\x4a\3zzz"), "{#0=float6e2m3 [4]:    }"},
    {"strings", BYTES("\x08\3\x10\x08\x32\2ab\x32\0\x32\2\xc3\xa4"),
     "{#0=string [3]: \"ab\" \"\" \"\xc3\xa4\"}"},
    {"no elements", BYTES("\x08\0\x10\1"), "{#0=float32 [0]}"},
    {"no strings", BYTES("\x08\0\x10\x08"), "{#0=string [0]}"},
    {"scalar", BYTES("\x10\2\x4a\1\7"), "{#0=uint8 []: 7}"},

    {"too few bytes", BYTES("\x08\2\x10\1\x4a\4\0\0\0\0"),
     ": raw_data has 4 bytes, float32 [2] needs 8 (at byte 6)"},
    {"too few strings", BYTES("\x08\3\x10\x08\x32\2ab"),
     ": string_data has 1 strings, string [3] needs 3"},
    {"NUL in a string", BYTES("\x08\1\x10\x08\x32\2a\0"), ": string 0 has a NUL character in it"},
    {"no type", BYTES("\x08\1\x4a\1\7"), ": has elements of type 0, which is no type of ONNX"},
    {"unknown type", BYTES("\x08\1\x10\x63\x4a\1\7"),
     ": has elements of type 99, which is no type of ONNX"},
    {"6 bits in numbers", BYTES("\x08\4\x10\x1b\x2a\4\1\1\1\1"),
     ": has int32_data of type float6e2m3, expected raw_data"},
    {"no boolean", BYTES("\x08\1\x10\x09\x4a\1\2"), ": boolean 0 is the byte 2, expected 0 or 1"},
    {"negative dimension", BYTES("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\x10\2"),
     ": dimension 0 is -1, expected 0 or more"},
    {"huge", BYTES("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x40\x10\2\x4a\1\7"),
     ": raw_data has 1 bytes, uint8 [4611686018427387904] needs 4611686018427387904 (at byte 14)"},
    {"external data", BYTES("\x08\1\x10\2\x6a\x0d\x0a\x08location\x12\1x\x70\1"),
     ": has its data in another file, expected it inside (save it with "
     "onnx.numpy_helper.from_array(x).SerializeToString())"},
    {"sequence", BYTES("\x10\1\x1a\x07\x08\1\x10\2\x4a\1\7"),
     ": is no whole tensor (it may be a sequence or an optional; only tensors can be read)"},
    {"empty sequence with a name", BYTES("\x0a\1s\x10\1"),
     ": payload has 0 bytes, float32 [115] needs 460"},
    {"behind the end", BYTES("\x10\2\x4a\2\7"),
     ": raw_data has 2 bytes, but 1 are left in the "
     "file (at byte 2) (a download that was cut off? compare its size with where it is from)"},
    {"wrong wire type", BYTES("\x12\2"),
     ": field data_type is a length and bytes, expected a "
     "number (at byte 0)"},
};

static void test_wire(void **state)
{
    const struct wire_row *row = *state;
    check_text(test_inputs_of("a.pb", row->bytes.data, row->bytes.nbytes),
               test_printf("a.pb%s", row->expected));
}

/* Of a tensor that uses most fields; each cut and each flipped bit. */
static void test_damaged_tensor(void **state)
{
    (void)state;
    static const struct bytes all = BYTES("\x08\2\x08\2\x10\x07\x42\4name\x3a\4\1\2\3\4\x70\0\x62\3"
                                          "doc");
    const char *path = test_path("a.pb");
    for (size_t n = 0; n <= all.nbytes * 8; n++) {
        struct oq_input_sets sets = {0};
        onnxq_error error = {.offset = ONNXQ_NO_OFFSET};
        uint8_t bytes[64];
        memcpy(bytes, all.data, all.nbytes);
        if (n < all.nbytes * 8)
            bytes[n / 8] ^= (uint8_t)(1U << n % 8);
        unlink(path);
        test_write_file(path, bytes, all.nbytes);
        bool ok = oq_input_sets_read(&sets, path, &error);
        assert_true(ok || (error.status == ONNXQ_ERROR_INPUT && error.message[0] != '\0'));
        assert_true(ok || n < all.nbytes * 8);
        oq_input_sets_fini(&sets);
    }
    for (size_t n = 0; n < 18; n++) /* up to the last element */
        assert_null(strchr(test_inputs_of("a.pb", all.data, n), '{'));
}

/* --- order --------------------------------------------------------------------- */

static const struct order_row {
    const char *less, *more;
} orders[] = {
    {"a", "b"},        {"a2", "a10"}, {"a2b", "a10a"},
    {"a", "a1"},       {"a01", "a1"}, {"a01", "a2"},
    {"", "a"},         {"1", "a"},    {"a99999999999999999999", "a100000000000000000000"},
    {"x1y2", "x1y10"}, {"x0", "x00"}, {"a", "\xc3\xa4"},
    {"a1.npz", "a1b"},
};

static void test_order(void **state)
{
    const struct order_row *row = *state;
    assert_compare(oq_compare_names(row->less, row->more), <, 0);
    assert_compare(oq_compare_names(row->more, row->less), >, 0);
    assert_int_equal(oq_compare_names(row->less, row->less), 0);
}

/* --- one after the other ---------------------------------------------------- */

struct visited {
    const struct oq_input_sets *sets;
    char text[256];
};

static bool note_set(void *data, uint64_t number, struct oq_input_set *set, onnxq_error *error)
{
    struct visited *visited = data;
    size_t used = strlen(visited->text);
    (void)error;
    assert_int_equal(visited->sets->count, 1); /* no other one is in memory */
    snprintf(visited->text + used, sizeof(visited->text) - used, " %u:%s:%u", (unsigned)number,
             strrchr(set->label, '/') + 1, *(uint8_t *)set->inputs.list[0].data);
    return true;
}

static const struct visit_row {
    const char *name;
    uint64_t first, count;
    const char *expected;
} visits[] = {
    {"none", 0, 0, ""},
    {"the first", 0, 1, " 0:a.npz:2"},
    {"some", 1, 2, " 1:b.npz:3 2:c.npy:4"},
    {"from one on", 3, UINT64_MAX, " 3:test_data_set_0:7 4:test_data_set_1:9"},
};

/* Only those that are asked for are read: another one may be no file of inputs at all. */
static void test_visit(void **state)
{
    const struct visit_row *row = *state;
    struct visited visited = {0};
    struct oq_set_visit visit = {
        .first = row->first, .count = row->count, .take = note_set, .data = &visited};
    struct oq_input_sets sets = {.visit = &visit};
    onnxq_error error = {0};
    visited.sets = &sets;
    write_files((const char *const[]){"f/", "f/a.npz", "f/b.npz", "c.npy", "t/",
                                      "t/test_data_set_0/", "t/test_data_set_0/input_0.npy",
                                      "t/test_data_set_1/", "t/test_data_set_1/input_0.npy", NULL});
    if (row->first > 0)
        test_write_file(test_path("f/a.npz"), "broken", 6);
    assert_true(oq_input_sets_read(&sets, test_path("f"), &error));
    assert_true(oq_input_sets_read(&sets, test_path("c.npy"), &error));
    assert_true(oq_input_sets_read(&sets, test_path("t"), &error));
    assert_int_equal(visit.n_sets, 5);
    assert_int_equal(sets.count, 0);
    check_text(visited.text, row->expected);
    oq_input_sets_fini(&sets);
}

int main(void)
{
    TEST_ROWS(test_folder, folders);
    TEST(test_several_paths);
    TEST_ROWS(test_disguise, disguises);
    TEST(test_no_file);
    TEST_ROWS(test_storage, storages);
    TEST_ROWS(test_wire, wires);
    TEST(test_damaged_tensor);
    TEST_ROWS(test_order, orders);
    TEST_ROWS(test_visit, visits);
    return suite_run();
}
