/* .npz archives: how entries are stored, and damage anywhere in them. */
#define _POSIX_C_SOURCE 200809L
#include <string.h>
#include <unistd.h>

#include "support/archive.h"
#include "support/inputs.h"
#include "support/models.h"
#include "arrays/input_files.h"
#include "arrays/npz.h"

#define HEADER "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }"

static struct archive *make(void)
{
    struct archive *archive = test_alloc(sizeof(*archive));
    archive->bytes.builder = test_builder("");
    return archive;
}

static struct builder_bytes *npy(struct archive *archive)
{
    struct builder_bytes *bytes = test_alloc(sizeof(*bytes));
    bytes->builder = archive->bytes.builder;
    archive_put_npy(bytes, 1, HEADER, "\1\2\3\4\5\6", 6);
    return bytes;
}

static void add(struct archive *archive, const char *name, unsigned form)
{
    struct builder_bytes *bytes = npy(archive);
    archive_add(archive, name, form, bytes->bytes, bytes->nbytes);
}

static const char *read_archive(const struct archive *archive)
{
    return test_inputs_of("a.npz", archive->bytes.bytes, archive->bytes.nbytes);
}

/* --- forms ------------------------------------------------------------------ */

static const struct form_row {
    const char *name;
    unsigned form;
    bool zip64;
    const char *comment;
} forms[] = {
    {"stored", ARCHIVE_STORED, false, ""},
    {"deflated", ARCHIVE_DEFLATED, false, ""},
    {"stored, stream", ARCHIVE_STREAM, false, ""},
    {"deflated, stream", ARCHIVE_DEFLATED | ARCHIVE_STREAM, false, ""},
    {"stored, zip64 sizes", ARCHIVE_ZIP64, false, ""},
    {"deflated, zip64 sizes", ARCHIVE_DEFLATED | ARCHIVE_ZIP64, false, ""},
    {"deflated, zip64 sizes, stream", ARCHIVE_DEFLATED | ARCHIVE_ZIP64 | ARCHIVE_STREAM, false, ""},
    {"zip64 directory", ARCHIVE_STORED, true, ""},
    {"zip64 throughout", ARCHIVE_DEFLATED | ARCHIVE_ZIP64, true, ""},
    {"comment", ARCHIVE_STORED, false, "a comment"},
    {"comment with a signature in it", ARCHIVE_STORED, false, "PK\5\6 and so on, far enough"},
};

static void test_form(void **state)
{
    const struct form_row *row = *state;
    struct archive *archive = make();
    add(archive, "x.npy", row->form);
    add(archive, "y.npy", row->form);
    archive_end(archive, row->zip64, row->comment);
    check_text(read_archive(archive),
               "a.npz{x=uint8 [2,3]: 1 2 3 4 5 6, y=uint8 [2,3]: 1 2 3 4 5 6}");
}

static void test_empty(void **state)
{
    (void)state;
    struct archive *archive = make();
    archive_end(archive, false, "");
    check_text(read_archive(archive), "a.npz{}");
}

/* Much more than a window of compressed data. */
static void test_large(void **state)
{
    (void)state;
    enum { NELEM = 300000 };
    struct archive *archive = make();
    struct builder_bytes bytes = {.builder = archive->bytes.builder};
    uint8_t *elements = test_alloc(NELEM);
    for (size_t i = 0; i < NELEM; i++)
        elements[i] = (uint8_t)(64 * (1 + builder_random(bytes.builder)));
    archive_put_npy(&bytes, 1, "{'descr': '|u1', 'fortran_order': False, 'shape': (300000,), }",
                    elements, NELEM);
    archive_add(archive, "x.npy", ARCHIVE_DEFLATED, bytes.bytes, bytes.nbytes);
    archive_end(archive, false, "");
    test_write_file(test_path("a.npz"), archive->bytes.bytes, archive->bytes.nbytes);
    struct oq_input_sets sets = {0};
    onnxq_error error = {0};
    assert_true(oq_input_sets_read(&sets, test_path("a.npz"), &error));
    assert_memory_equal(sets.list[0].inputs.list[0].data, elements, NELEM);
    oq_input_sets_fini(&sets);
}

/* --- names ------------------------------------------------------------------ */

static const struct name_row {
    const char *names[3], *expected; /* the first one names the row */
} names[] = {
    {{"/a/b.npy"}, "/a/b=uint8 [2,3]: 1 2 3 4 5 6"},
    {{"x.npy.npy"}, "x.npy=uint8 [2,3]: 1 2 3 4 5 6"},
    {{"arr_1.npy", "arr_0.npy"}, "#1=uint8 [2,3]: 1 2 3 4 5 6, #0=uint8 [2,3]: 1 2 3 4 5 6"},
    {{"arr_.npy"}, "arr_=uint8 [2,3]: 1 2 3 4 5 6"},
    {{"folder/", "README.md", "x.npy"}, "x=uint8 [2,3]: 1 2 3 4 5 6"},
    {{"LICENSE"}, ""},
};

static void test_name(void **state)
{
    const struct name_row *row = *state;
    struct archive *archive = make();
    for (size_t i = 0; i < COUNT(row->names) && row->names[i] != NULL; i++)
        add(archive, row->names[i], ARCHIVE_STORED);
    archive_end(archive, false, "");
    check_text(read_archive(archive), test_printf("a.npz{%s}", row->expected));
}

static const struct name_row bad_names[] = {
    {{"x.npy", "y.npy", "x.npy"}, "entry \"x.npy\": is there twice"},
    {{"#0.npy", "arr_0.npy"}, "there is a second array \"#0\""},
    {{"archive/data.pkl"}, "entry \"archive/data.pkl\": is no .npy file"},
    {{".npy"}, "entry \".npy\": has no name"},
    {{""}, "is no .npy file"},
};

static void test_bad_name(void **state)
{
    const struct name_row *row = *state;
    struct archive *archive = make();
    for (size_t i = 0; i < COUNT(row->names) && row->names[i] != NULL; i++)
        add(archive, row->names[i], ARCHIVE_STORED);
    archive_end(archive, false, "");
    check_text(read_archive(archive), test_printf("a.npz: %s", row->expected));
}

/* --- damage ----------------------------------------------------------------- */

enum where { LOCAL, DATA, ENTRY, EXTRA, END64, LOCATOR, END };

#define DAMAGED "is a damaged archive: "
#define X       "entry \"x.npy\": "

static const struct damage_row {
    const char *name;
    unsigned form;
    bool zip64;
    enum where where;
    size_t offset, nbytes;
    uint64_t value;
    const char *expected;
} damages[] = {
    {"no local header", 0, false, LOCAL, 0, 1, 0,
     X DAMAGED "its local header is not where it should be (at byte 0)"},
    {"long local name", 0, false, LOCAL, 26, 2, 0xffff,
     X DAMAGED "it has no room for 134 bytes here"},
    {"long local extra", 0, false, LOCAL, 28, 2, 1, X DAMAGED "it has no room for 134 bytes here"},
    {"data", 0, false, DATA, 130, 1, 9,
     X "is damaged: its checksum is 1177c674, expected 7eca2610"},
    {"deflated data", 1, false, DATA, 0, 1, 7,
     X "its compressed data is damaged: invalid block type"},
    {"encrypted", 0, false, ENTRY, 8, 2, 1, X "is encrypted, expected a plain archive"},
    {"strongly encrypted", 0, false, ENTRY, 8, 2, 0x41, X "is encrypted, expected a plain archive"},
    {"masked directory", 0, false, ENTRY, 8, 2, 0x2000, X "is encrypted, expected a plain archive"},
    {"LZMA", 0, false, ENTRY, 10, 2, 14,
     X "is compressed by method 14, expected 0 (stored) or 8 (deflate)"},
    {"checksum", 0, false, ENTRY, 16, 4, 0x12345678,
     X "is damaged: its checksum is 7eca2610, expected 12345678"},
    {"deflated checksum", 1, false, ENTRY, 16, 4, 0x12345678,
     X "is damaged: its checksum is 7eca2610, expected 12345678"},
    {"stored size", 0, false, ENTRY, 20, 4, 133, X "has 134 bytes, which cannot be made of 133"},
    {"stored size over the file", 0, false, ENTRY, 20, 4, 1000, X DAMAGED "its entries overlap"},
    {"deflated size too small", 1, false, ENTRY, 20, 4, 20, X "its compressed data is cut short"},
    {"deflated size too large", 1, false, ENTRY, 20, 4, 85,
     X DAMAGED "it has no room for 85 bytes here"},
    {"inflated size too small", 1, false, ENTRY, 24, 4, 133,
     X "has 5 bytes of elements, its header needs 6"},
    {"inflated size too large", 1, false, ENTRY, 24, 4, 135,
     X "has 7 bytes of elements, its header needs 6"},
    {"offset behind the file", 0, false, ENTRY, 42, 4, 10000,
     X DAMAGED "no room for its local header"},
    {"offset elsewhere", 0, false, ENTRY, 42, 4, 1,
     X DAMAGED "its local header is not where it should be (at byte 1)"},
    {"no directory", 0, false, ENTRY, 0, 1, 0,
     DAMAGED "its directory is not where it should be (at byte 169)"},
    {"long name", 0, false, ENTRY, 28, 2, 100, DAMAGED "its directory is cut short"},
    {"NUL in the name", 0, false, ENTRY, 46, 1, 0, "its name has a NUL character in it"},
    {"sizes missing", 0, false, ENTRY, 20, 4, 0xffffffff, X "its zip64 sizes are missing"},
    {"sizes cut short", 2, false, EXTRA, 2, 2, 8, X "its zip64 sizes are missing"},
    {"extra longer than it is", 2, false, EXTRA, 2, 2, 25, X "its zip64 sizes are missing"},
    {"several files", 0, false, END, 4, 2, 1, "is one part of an archive in several files"},
    {"fewer entries", 0, false, END, 10, 2, 0, DAMAGED "its directory has more than 0 entries"},
    {"more entries", 0, false, END, 10, 2, 2, DAMAGED "its directory does not fit into it"},
    {"directory too long", 0, false, END, 12, 4, 57, DAMAGED "its directory does not fit into it"},
    {"directory too short", 0, false, END, 12, 4, 55, DAMAGED "its directory is cut short"},
    {"directory elsewhere", 0, false, END, 16, 4, 168,
     DAMAGED "its directory is not where it should be (at byte 168)"},
    {"end", 0, false, END, 0, 1, 0, "is no whole archive: its end record is missing"},
    {"locator", 0, true, LOCATOR, 0, 1, 0,
     DAMAGED "its zip64 locator is not where it should be (at byte 281)"},
    {"locator leads elsewhere", 0, true, LOCATOR, 8, 8, UINT64_MAX,
     DAMAGED "no room for its zip64 end record"},
    {"zip64 end", 0, true, END64, 0, 1, 0,
     DAMAGED "its zip64 end record is not where it should be (at byte 225)"},
    {"zip64 in several files", 0, true, END64, 16, 4, 1,
     "is one part of an archive in several files"},
    {"zip64 entries", 0, true, END64, 32, 8, UINT64_MAX,
     DAMAGED "its directory does not fit into it"},
    {"zip64 directory size", 0, true, END64, 40, 8, UINT64_MAX,
     DAMAGED "its directory does not fit into it"},
    {"zip64 directory offset", 0, true, END64, 48, 8, UINT64_MAX,
     DAMAGED "its directory does not fit into it"},
    {"no zip64 end", 0, false, END, 16, 4, UINT32_MAX,
     DAMAGED "its zip64 locator is not where it should be (at byte 205)"},
};

static size_t place_of(const struct archive *archive, const struct damage_row *row)
{
    size_t name = 5, entry = archive->directory_at;
    switch (row->where) {
    case LOCAL:
        return 0;
    case DATA:
        return 30 + name;
    case ENTRY:
        return entry;
    case EXTRA:
        return entry + 46 + name + 5;
    case END64:
        return archive->end_at - 76;
    case LOCATOR:
        return archive->end_at - 20;
    default:
        return archive->end_at;
    }
}

static void test_damage(void **state)
{
    const struct damage_row *row = *state;
    struct archive *archive = make();
    add(archive, "x.npy", row->form);
    archive_end(archive, row->zip64, "");
    memcpy(archive->bytes.bytes + place_of(archive, row) + row->offset, &row->value, row->nbytes);
    check_text(read_archive(archive), test_printf("a.npz: %s", row->expected));
}

/* Deflate makes at most 1032 bytes of one; what claims more is not inflated. */
static void test_bomb(void **state)
{
    (void)state;
    for (uint32_t more = 1031; more <= 1032; more++) {
        struct archive *archive = make();
        add(archive, "x.npy", ARCHIVE_DEFLATED);
        uint32_t packed;
        memcpy(&packed, archive->directory.bytes + 20, 4);
        uint32_t nbytes = packed * 1032 + more;
        memcpy(archive->directory.bytes + 24, &nbytes, 4);
        archive_end(archive, false, "");
        check_text(read_archive(archive),
                   more == 1031
                       ? test_printf("a.npz: entry \"x.npy\": has %u bytes of elements, its header "
                                     "needs 6",
                                     nbytes - 128)
                       : test_printf("a.npz: entry \"x.npy\": has %u bytes, which cannot be made "
                                     "of %u",
                                     nbytes, packed));
    }
}

/* What inflates to the right array, and then goes on or stops within the compressed bytes. */
static void test_ends_of_deflated_data(void **state)
{
    (void)state;
    struct archive *archive = make();
    struct builder_bytes *bytes = npy(archive);
    builder_put(bytes, "more", 4);
    archive_add(archive, "x.npy", ARCHIVE_DEFLATED, bytes->bytes, bytes->nbytes);
    uint32_t nbytes = (uint32_t)bytes->nbytes - 4;
    memcpy(archive->directory.bytes + 24, &nbytes, 4);
    archive_end(archive, false, "");
    check_text(read_archive(archive), "a.npz: entry \"x.npy\": compressed data follows its end");
}

static void test_overlapping_entries(void **state)
{
    (void)state;
    struct archive *archive = make();
    add(archive, "x.npy", ARCHIVE_STORED);
    add(archive, "y.npy", ARCHIVE_STORED);
    add(archive, "z.npy", ARCHIVE_STORED);
    /* All of them claim the first one's place, and one of them all bytes. */
    uint32_t first = 0, most = 3 * 134;
    for (size_t i = 1; i < 3; i++)
        memcpy(archive->directory.bytes + i * 56 + 42, &first, 4);
    memcpy(archive->directory.bytes + 2 * 56 + 20, &most, 4);
    archive_end(archive, false, "");
    check_text(read_archive(archive),
               "a.npz: entry \"z.npy\": is a damaged archive: its entries overlap");
}

static void test_too_many_entries(void **state)
{
    (void)state;
    struct archive *archive = make();
    for (size_t i = 0; i <= OQ_NPZ_MAX_ENTRIES; i++)
        archive_add(archive, "x", ARCHIVE_STORED, "", 0);
    archive_end(archive, false, "");
    check_text(read_archive(archive), "a.npz: has 16385 entries, at most 16384 are possible");
}

/* --- any damage -------------------------------------------------------------- */

/* Reads without keeping anything; false after an error, which has to say something. */
static bool reads(const void *bytes, size_t nbytes, const char *path)
{
    struct oq_input_sets sets = {0};
    onnxq_error error = {.offset = ONNXQ_NO_OFFSET};
    unlink(path); /* some file systems wait for the disk when a file is truncated */
    test_write_file(path, bytes, nbytes);
    bool ok = oq_input_sets_read(&sets, path, &error);
    assert_true(ok || (error.status == ONNXQ_ERROR_INPUT && error.message[0] != '\0'));
    if (ok && sets.list[0].inputs.count == 2)
        assert_memory_equal(sets.list[0].inputs.list[0].data, "\1\2\3\4\5\6", 6);
    oq_input_sets_fini(&sets);
    return ok;
}

static const struct {
    const char *name;
    unsigned form;
    bool zip64;
} small[] = {{"stored", ARCHIVE_STORED, false},
             {"deflated", ARCHIVE_DEFLATED, false},
             {"zip64", ARCHIVE_DEFLATED | ARCHIVE_ZIP64, true}};

static struct archive *make_small(const void *row)
{
    struct archive *archive = make();
    size_t i = (size_t)((const char *)row - (const char *)small) / sizeof(small[0]);
    add(archive, "x.npy", small[i].form);
    add(archive, "y.npy", small[i].form);
    archive_end(archive, small[i].zip64, "");
    return archive;
}

static void test_truncations(void **state)
{
    const struct archive *archive = make_small(*state);
    const char *path = test_path("a.npz");
    for (size_t n = 0; n < archive->bytes.nbytes; n++)
        assert_false(reads(archive->bytes.bytes, n, path));
    assert_true(reads(archive->bytes.bytes, archive->bytes.nbytes, path));
}

/* One bit changed: an error, or the same array (names, times and versions are not verified). */
static void test_flips(void **state)
{
    const struct archive *archive = make_small(*state);
    const char *path = test_path("a.npz");
    for (size_t i = 0; i < archive->bytes.nbytes; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            archive->bytes.bytes[i] ^= (uint8_t)(1U << bit);
            reads(archive->bytes.bytes, archive->bytes.nbytes, path);
            archive->bytes.bytes[i] ^= (uint8_t)(1U << bit);
        }
    }
}

int main(void)
{
    TEST_ROWS(test_form, forms);
    TEST(test_empty);
    TEST(test_large);
    TEST_ROWS(test_name, names);
    TEST_ROWS(test_bad_name, bad_names);
    TEST_ROWS(test_damage, damages);
    TEST(test_bomb);
    TEST(test_ends_of_deflated_data);
    TEST(test_overlapping_entries);
    TEST(test_too_many_entries);
    TEST_ROWS(test_truncations, small);
    TEST_ROWS(test_flips, small);
    return suite_run();
}
