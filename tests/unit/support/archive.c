#include "support/archive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static void put_number(struct builder_bytes *bytes, size_t nbytes, uint64_t value)
{
    for (size_t i = 0; i < nbytes; i++) {
        uint8_t byte = (uint8_t)(value >> (8 * i));
        builder_put(bytes, &byte, 1);
    }
}

/* --- .npy ------------------------------------------------------------------- */

const char *archive_npy_header(struct builder *builder, const char *descr, const char *shape)
{
    char text[256];
    snprintf(text, sizeof(text), "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr,
             shape);
    return builder_text(builder, text);
}

void archive_put_npy(struct builder_bytes *bytes, unsigned version, const char *header,
                     const void *elements, size_t nbytes)
{
    size_t width = version == 1 ? 2 : 4, length = strlen(header);
    size_t total = (8 + width + length + 1 + 63) / 64 * 64;
    builder_put(bytes, "\x93NUMPY", 6);
    put_number(bytes, 1, version);
    put_number(bytes, 1, 0);
    put_number(bytes, width, total - 8 - width);
    builder_put(bytes, header, length);
    for (size_t i = 8 + width + length + 1; i < total; i++)
        builder_put(bytes, " ", 1);
    builder_put(bytes, "\n", 1);
    builder_put(bytes, elements, nbytes);
}

/* --- zip -------------------------------------------------------------------- */

/* As raw deflate; the caller frees it. */
static uint8_t *deflate_all(const void *data, size_t nbytes, size_t *packed)
{
    z_stream stream = {0};
    size_t capacity = nbytes + nbytes / 100 + 64;
    uint8_t *bytes = malloc(capacity);
    if (bytes == NULL || deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, 0) != Z_OK)
        abort();
    stream.next_in = (Bytef *)(uintptr_t)data;
    stream.avail_in = (uInt)nbytes;
    stream.next_out = bytes;
    stream.avail_out = (uInt)capacity;
    if (deflate(&stream, Z_FINISH) != Z_STREAM_END)
        abort();
    *packed = stream.total_out;
    deflateEnd(&stream);
    return bytes;
}

struct entry {
    const char *name;
    unsigned form;
    uint32_t crc;
    size_t nbytes, packed, offset;
};

/* What local header and directory have in common, from "version needed" to the name's length. */
static void put_common(struct builder_bytes *bytes, const struct entry *entry, bool has_sizes)
{
    bool in_extra = has_sizes && (entry->form & ARCHIVE_ZIP64) != 0;
    put_number(bytes, 2, 45);
    put_number(bytes, 2, (entry->form & ARCHIVE_STREAM) != 0 ? 8 : 0);
    put_number(bytes, 2, (entry->form & ARCHIVE_DEFLATED) != 0 ? 8 : 0);
    put_number(bytes, 4, 0x5a210000); /* a time and a day */
    put_number(bytes, 4, has_sizes ? entry->crc : 0);
    put_number(bytes, 4, in_extra ? UINT32_MAX : has_sizes ? entry->packed : 0);
    put_number(bytes, 4, in_extra ? UINT32_MAX : has_sizes ? entry->nbytes : 0);
    put_number(bytes, 2, strlen(entry->name));
}

static void put_extra(struct builder_bytes *bytes, const struct entry *entry, bool with_offset)
{
    put_number(bytes, 2, 1);
    put_number(bytes, 2, with_offset ? 24 : 16);
    put_number(bytes, 8, entry->nbytes);
    put_number(bytes, 8, entry->packed);
    if (with_offset)
        put_number(bytes, 8, entry->offset);
}

static void put_local(struct builder_bytes *bytes, const struct entry *entry)
{
    bool has_sizes = (entry->form & ARCHIVE_STREAM) == 0;
    bool zip64 = has_sizes && (entry->form & ARCHIVE_ZIP64) != 0;
    put_number(bytes, 4, 0x04034b50);
    put_common(bytes, entry, has_sizes);
    put_number(bytes, 2, zip64 ? 20 : 0);
    builder_put(bytes, entry->name, strlen(entry->name));
    if (zip64)
        put_extra(bytes, entry, false);
}

static void put_descriptor(struct builder_bytes *bytes, const struct entry *entry)
{
    put_number(bytes, 4, 0x08074b50);
    put_number(bytes, 4, entry->crc);
    put_number(bytes, 4, entry->packed);
    put_number(bytes, 4, entry->nbytes);
}

static void put_directory(struct builder_bytes *bytes, const struct entry *entry)
{
    bool zip64 = (entry->form & ARCHIVE_ZIP64) != 0;
    put_number(bytes, 4, 0x02014b50);
    put_number(bytes, 2, 45); /* version made by */
    put_common(bytes, entry, true);
    put_number(bytes, 2, zip64 ? 5 + 28 : 5);
    put_number(bytes, 2, 0); /* comment */
    put_number(bytes, 2, 0); /* disk */
    put_number(bytes, 2, 0); /* attributes */
    put_number(bytes, 4, 0);
    put_number(bytes, 4, zip64 ? UINT32_MAX : entry->offset);
    builder_put(bytes, entry->name, strlen(entry->name));
    builder_put(bytes, "UT\x01\x00\x00", 5); /* a field that says nothing here */
    if (zip64)
        put_extra(bytes, entry, true);
}

void archive_add(struct archive *archive, const char *name, unsigned form, const void *data,
                 size_t nbytes)
{
    struct entry entry = {.name = name,
                          .form = form,
                          .crc = (uint32_t)crc32_z(0, data, nbytes),
                          .nbytes = nbytes,
                          .packed = nbytes,
                          .offset = archive->bytes.nbytes};
    uint8_t *packed = NULL;
    if ((form & ARCHIVE_DEFLATED) != 0)
        packed = deflate_all(data, nbytes, &entry.packed);
    put_local(&archive->bytes, &entry);
    builder_put(&archive->bytes, packed != NULL ? packed : data, entry.packed);
    if ((form & ARCHIVE_STREAM) != 0)
        put_descriptor(&archive->bytes, &entry);
    archive->directory.builder = archive->bytes.builder;
    put_directory(&archive->directory, &entry);
    archive->n_entries++;
    free(packed);
}

static void put_end64(struct archive *archive)
{
    struct builder_bytes *bytes = &archive->bytes;
    size_t at = bytes->nbytes;
    put_number(bytes, 4, 0x06064b50);
    put_number(bytes, 8, 44);
    put_number(bytes, 2, 45); /* version made by and needed */
    put_number(bytes, 2, 45);
    put_number(bytes, 8, 0); /* disks */
    put_number(bytes, 8, archive->n_entries);
    put_number(bytes, 8, archive->n_entries);
    put_number(bytes, 8, archive->directory.nbytes);
    put_number(bytes, 8, archive->directory_at);
    put_number(bytes, 4, 0x07064b50);
    put_number(bytes, 4, 0);
    put_number(bytes, 8, at);
    put_number(bytes, 4, 1);
}

void archive_end(struct archive *archive, bool zip64, const char *comment)
{
    struct builder_bytes *bytes = &archive->bytes;
    archive->directory_at = bytes->nbytes;
    builder_put(bytes, archive->directory.bytes, archive->directory.nbytes);
    if (zip64)
        put_end64(archive);
    archive->end_at = bytes->nbytes;
    put_number(bytes, 4, 0x06054b50);
    put_number(bytes, 4, 0); /* disks */
    put_number(bytes, 2, zip64 ? UINT16_MAX : archive->n_entries);
    put_number(bytes, 2, zip64 ? UINT16_MAX : archive->n_entries);
    put_number(bytes, 4, zip64 ? UINT32_MAX : archive->directory.nbytes);
    put_number(bytes, 4, zip64 ? UINT32_MAX : archive->directory_at);
    put_number(bytes, 2, strlen(comment));
    builder_put(bytes, comment, strlen(comment));
}
