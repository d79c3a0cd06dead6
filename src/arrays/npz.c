/* The zip format: PKWARE's APPNOTE.TXT, 4.3 and 4.5.3. All numbers are little-endian. */
#include "arrays/npz.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arrays/npy.h"
#include "base/checked.h"
#include "base/path.h"

enum { STORED = 0, DEFLATED = 8 };

/* Bits of the flags: of the entry, and of the directory that names it. */
#define ENCRYPTED (1U << 0 | 1U << 6 | 1U << 13)

/* Deflate turns no more than 258 bytes into 2 bits. */
#define DEFLATE_MAX_RATIO 1032

/* Signature and size of each record, without what has a variable length. */
#define LOCAL_SIGNATURE   0x04034b50U
#define LOCAL_NBYTES      30
#define ENTRY_SIGNATURE   0x02014b50U
#define ENTRY_NBYTES      46
#define END_SIGNATURE     0x06054b50U
#define END_NBYTES        22
#define END64_SIGNATURE   0x06064b50U
#define END64_NBYTES      56
#define LOCATOR_SIGNATURE 0x07064b50U
#define LOCATOR_NBYTES    20

/* Values that stand for "see the zip64 record". */
#define IN_ZIP64_16 0xffffU
#define IN_ZIP64_32 0xffffffffU
#define ZIP64_EXTRA 1

struct directory {
    uint64_t offset, nbytes;
    uint64_t n_entries;
};

struct zip_entry {
    unsigned flags, method;
    uint32_t crc;
    uint64_t compressed_nbytes, nbytes;
    uint64_t offset; /* of its local header */
};

struct archive {
    const struct oq_file *file;
    struct directory directory;
    uint64_t position;         /* in the directory */
    uint64_t compressed_total; /* of the entries so far */
    char *text;                /* room for the name and the extra fields of an entry, and a NUL */
};

#define TEXT_NBYTES ((size_t)2 * UINT16_MAX + 1)

/* --- numbers ---------------------------------------------------------------- */

static uint64_t get(const uint8_t *bytes, size_t nbytes)
{
    uint64_t value = 0;
    for (size_t i = nbytes; i > 0; i--)
        value = value << 8 | bytes[i - 1];
    return value;
}

static unsigned get16(const uint8_t *bytes)
{
    return (unsigned)get(bytes, 2);
}

static uint32_t get32(const uint8_t *bytes)
{
    return (uint32_t)get(bytes, 4);
}

/* Reads a record that lies in [offset, limit) and has the signature. */
static bool read_record(const struct oq_file *file, uint64_t offset, uint64_t limit,
                        uint32_t signature, void *record, size_t nbytes, const char *name,
                        onnxq_error *error)
{
    if (offset > limit || limit - offset < nbytes)
        return oq_fail(error, ONNXQ_ERROR_INPUT, "is a damaged archive: no room for its %s", name);
    if (!oq_file_read(file, offset, record, nbytes, error))
        return false;
    if (get32(record) == signature)
        return true;
    oq_fail(error, ONNXQ_ERROR_INPUT, "is a damaged archive: its %s is not where it should be",
            name);
    oq_error_offset(error, offset);
    return false;
}

/* --- the end of the archive -------------------------------------------------- */

/* The last record whose comment ends where the file does. */
static bool find_end(const struct oq_file *file, uint8_t *end, uint64_t *offset, onnxq_error *error)
{
    size_t nbytes = (size_t)oq_min_u64(file->nbytes, END_NBYTES + UINT16_MAX);
    uint64_t start = file->nbytes - nbytes;
    uint8_t *tail = malloc(nbytes + 1);
    if (tail == NULL)
        return oq_fail_memory(error);
    bool read = oq_file_read(file, start, tail, nbytes, error);
    bool found = false;
    for (size_t n = END_NBYTES; read && !found && n <= nbytes; n++) {
        const uint8_t *candidate = tail + nbytes - n;
        found = get32(candidate) == END_SIGNATURE && get16(candidate + 20) == n - END_NBYTES;
        if (found) {
            memcpy(end, candidate, END_NBYTES);
            *offset = file->nbytes - n;
        }
    }
    free(tail);
    if (read && !found)
        oq_fail(error, ONNXQ_ERROR_INPUT, "is no whole archive: its end record is missing");
    return found;
}

/* What the zip64 record has; it stands before its locator, which stands before the end record. */
static bool read_end64(const struct oq_file *file, uint64_t end, struct directory *directory,
                       uint64_t *limit, onnxq_error *error)
{
    uint8_t locator[LOCATOR_NBYTES], record[END64_NBYTES];
    uint64_t locator_at = end < LOCATOR_NBYTES ? end : end - LOCATOR_NBYTES;
    if (!read_record(file, locator_at, end, LOCATOR_SIGNATURE, locator, sizeof(locator),
                     "zip64 locator", error))
        return false;
    *limit = get(locator + 8, 8);
    if (!read_record(file, *limit, locator_at, END64_SIGNATURE, record, sizeof(record),
                     "zip64 end record", error))
        return false;
    directory->n_entries = get(record + 32, 8);
    directory->nbytes = get(record + 40, 8);
    directory->offset = get(record + 48, 8);
    return get32(record + 16) == get32(record + 20) ||
           oq_fail(error, ONNXQ_ERROR_INPUT, "is one part of an archive in several files");
}

static bool find_directory(const struct oq_file *file, struct directory *directory,
                           onnxq_error *error)
{
    uint8_t end[END_NBYTES];
    uint64_t limit = 0;
    if (!find_end(file, end, &limit, error))
        return false;
    *directory = (struct directory){
        .n_entries = get16(end + 10), .nbytes = get32(end + 12), .offset = get32(end + 16)};
    bool is_zip64 = directory->n_entries == IN_ZIP64_16 || directory->nbytes == IN_ZIP64_32 ||
                    directory->offset == IN_ZIP64_32;
    if (is_zip64 && !read_end64(file, limit, directory, &limit, error))
        return false;
    if (!is_zip64 && get16(end + 4) != get16(end + 6))
        return oq_fail(error, ONNXQ_ERROR_INPUT, "is one part of an archive in several files");
    if (directory->offset > limit || directory->nbytes > limit - directory->offset ||
        directory->n_entries > directory->nbytes / ENTRY_NBYTES)
        return oq_fail(error, ONNXQ_ERROR_INPUT,
                       "is a damaged archive: its directory does not fit into it");
    return directory->n_entries <= OQ_NPZ_MAX_ENTRIES ||
           oq_fail(error, ONNXQ_ERROR_INPUT, "has %" PRIu64 " entries, at most %d are possible",
                   directory->n_entries, OQ_NPZ_MAX_ENTRIES);
}

/* --- an entry of the directory ----------------------------------------------- */

/* Takes 8 bytes of the zip64 field for a value that did not fit into 32 bits. */
static bool widen(uint64_t *value, const uint8_t **field, size_t *nbytes)
{
    if (*value != IN_ZIP64_32)
        return true;
    if (*nbytes < 8)
        return false;
    *value = get(*field, 8);
    *field += 8;
    *nbytes -= 8;
    return true;
}

/* The extra fields: number, length, bytes. Only the one of zip64 says something here. */
static bool read_extra(struct zip_entry *entry, const uint8_t *extra, size_t nbytes)
{
    while (nbytes >= 4) {
        unsigned number = get16(extra);
        size_t length = get16(extra + 2);
        if (length > nbytes - 4)
            break;
        const uint8_t *field = extra + 4;
        if (number == ZIP64_EXTRA)
            return widen(&entry->nbytes, &field, &length) &&
                   widen(&entry->compressed_nbytes, &field, &length) &&
                   widen(&entry->offset, &field, &length);
        extra += 4 + length;
        nbytes -= 4 + length;
    }
    return entry->nbytes != IN_ZIP64_32 && entry->compressed_nbytes != IN_ZIP64_32 &&
           entry->offset != IN_ZIP64_32;
}

/* Reads the next one; its name stays in archive->text. */
static bool next_entry(struct archive *archive, struct zip_entry *entry, onnxq_error *error)
{
    uint8_t record[ENTRY_NBYTES];
    uint64_t limit = archive->directory.offset + archive->directory.nbytes;
    if (!read_record(archive->file, archive->position, limit, ENTRY_SIGNATURE, record,
                     sizeof(record), "directory", error))
        return false;
    *entry = (struct zip_entry){.flags = get16(record + 8),
                                .method = get16(record + 10),
                                .crc = get32(record + 16),
                                .compressed_nbytes = get32(record + 20),
                                .nbytes = get32(record + 24),
                                .offset = get32(record + 42)};
    size_t name = get16(record + 28), extra = get16(record + 30), comment = get16(record + 32);
    uint64_t rest = limit - archive->position - sizeof(record);
    if (name + extra + comment > rest)
        return oq_fail(error, ONNXQ_ERROR_INPUT,
                       "is a damaged archive: its directory is cut short");
    if (!oq_file_read(archive->file, archive->position + sizeof(record), archive->text,
                      name + extra, error))
        return false;
    archive->position += sizeof(record) + name + extra + comment;
    bool whole = read_extra(entry, (const uint8_t *)archive->text + name, extra);
    bool has_nul = memchr(archive->text, '\0', name) != NULL;
    archive->text[name] = '\0';
    if (has_nul)
        return oq_fail(error, ONNXQ_ERROR_INPUT, "its name has a NUL character in it");
    return whole || oq_fail(error, ONNXQ_ERROR_INPUT, "its zip64 sizes are missing");
}

static bool check_method(const struct zip_entry *entry, onnxq_error *error)
{
    if ((entry->flags & ENCRYPTED) != 0)
        return oq_fail(error, ONNXQ_ERROR_INPUT, "is encrypted, expected a plain archive");
    return entry->method == STORED || entry->method == DEFLATED ||
           oq_fail(error, ONNXQ_ERROR_INPUT,
                   "is compressed by method %u, expected 0 (stored) or 8 (deflate)", entry->method);
}

/* Sizes against each other and the file, before any of them is believed. */
static bool check_sizes(struct archive *archive, const struct zip_entry *entry, onnxq_error *error)
{
    uint64_t packed = entry->compressed_nbytes;
    if (packed > archive->directory.offset - archive->compressed_total)
        return oq_fail(error, ONNXQ_ERROR_INPUT, "is a damaged archive: its entries overlap");
    archive->compressed_total += packed;
    bool possible = entry->method == STORED ? entry->nbytes == packed
                                            : entry->nbytes / DEFLATE_MAX_RATIO <= packed;
    return possible || oq_fail(error, ONNXQ_ERROR_INPUT,
                               "has %" PRIu64 " bytes, which cannot be made of %" PRIu64,
                               entry->nbytes, packed);
}

/* Behind the local header, whose name and extra fields may be others than the directory's. */
static bool find_data(const struct archive *archive, const struct zip_entry *entry,
                      uint64_t *offset, onnxq_error *error)
{
    uint8_t record[LOCAL_NBYTES];
    uint64_t limit = archive->directory.offset;
    if (!read_record(archive->file, entry->offset, limit, LOCAL_SIGNATURE, record, sizeof(record),
                     "local header", error))
        return false;
    uint64_t header = (uint64_t)LOCAL_NBYTES + get16(record + 26) + get16(record + 28);
    *offset = entry->offset + header;
    return (header <= limit - entry->offset &&
            entry->compressed_nbytes <= limit - entry->offset - header) ||
           oq_fail(error, ONNXQ_ERROR_INPUT,
                   "is a damaged archive: it has no room for %" PRIu64 " bytes here",
                   entry->compressed_nbytes);
}

/* --- arrays ----------------------------------------------------------------- */

static bool read_stream(struct oq_array *array, const char *name, struct oq_stream *stream,
                        uint32_t crc, onnxq_error *error)
{
    stream->counts_crc = true;
    if (!oq_npy_read(array, name, stream, error))
        return false;
    return stream->crc == crc ||
           oq_fail(error, ONNXQ_ERROR_INPUT,
                   "is damaged: its checksum is %08" PRIx32 ", expected %08" PRIx32, stream->crc,
                   crc);
}

static bool read_array(struct archive *archive, const struct zip_entry *entry, const char *name,
                       struct oq_arrays *arrays, onnxq_error *error)
{
    uint64_t offset, packed = entry->compressed_nbytes;
    if (*name == '\0')
        return oq_fail(error, ONNXQ_ERROR_INPUT, "has no name");
    if (oq_arrays_find(arrays, name) != NULL)
        return oq_fail(error, ONNXQ_ERROR_INPUT, "is there twice");
    if (!check_method(entry, error) || !check_sizes(archive, entry, error) ||
        !find_data(archive, entry, &offset, error))
        return false;
    /* Into one of its own first: a name that is there belongs to an array that is complete. */
    struct oq_array array = {0};
    struct oq_stream stream = {0};
    bool ok = true;
    if (entry->method == STORED)
        oq_stream_open(&stream, archive->file, offset, packed);
    else
        ok = oq_stream_open_deflated(&stream, archive->file, offset, packed, entry->nbytes, error);
    ok = ok && read_stream(&array, name, &stream, entry->crc, error);
    oq_stream_close(&stream);
    struct oq_array *added = ok ? oq_arrays_add(arrays, error) : NULL;
    if (added != NULL)
        *added = array;
    else
        oq_array_fini(&array);
    return added != NULL;
}

static bool read_entry(struct archive *archive, struct oq_arrays *arrays,
                       bool (*ignores)(const char *name), onnxq_error *error)
{
    struct zip_entry entry;
    archive->text[0] = '\0';
    if (!next_entry(archive, &entry, error))
        return false;
    size_t length = strlen(archive->text);
    if (length >= 4 && strcmp(archive->text + length - 4, ".npy") == 0) {
        archive->text[length - 4] = '\0';
        bool ok = read_array(archive, &entry, archive->text, arrays, error);
        archive->text[length - 4] = '.';
        return ok;
    }
    const char *base = oq_base_name(archive->text);
    bool is_folder = length > 0 && *base == '\0';
    return is_folder || (length > 0 && ignores(base)) ||
           oq_fail(error, ONNXQ_ERROR_INPUT, "is no .npy file");
}

bool oq_npz_read(struct oq_arrays *arrays, const struct oq_file *file,
                 bool (*ignores)(const char *name), onnxq_error *error)
{
    struct archive archive = {.file = file};
    if (!find_directory(file, &archive.directory, error))
        return false;
    archive.position = archive.directory.offset;
    archive.text = calloc(TEXT_NBYTES, 1); /* the last byte stays a NUL */
    bool ok = archive.text != NULL || oq_fail_memory(error);
    for (uint64_t i = 0; ok && i < archive.directory.n_entries; i++) {
        ok = read_entry(&archive, arrays, ignores, error);
        if (archive.text[0] != '\0')
            oq_error_place(error, "entry \"%.200s\"", archive.text);
    }
    free(archive.text);
    if (ok && archive.position != archive.directory.offset + archive.directory.nbytes)
        return oq_fail(error, ONNXQ_ERROR_INPUT,
                       "is a damaged archive: its directory has more than %" PRIu64 " entries",
                       archive.directory.n_entries);
    return ok;
}
