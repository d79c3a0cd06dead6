/* Bytes of a stretch of a file, as they are or inflated by zlib. */
#include "arrays/stream.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/checked.h"

#define WINDOW_NBYTES ((size_t)64 << 10)

/* What one call of zlib takes: its counts have 32 bits. It also keeps the checksum in the cache. */
#define STEP_NBYTES ((size_t)256 << 10)

void oq_stream_open(struct oq_stream *stream, const struct oq_file *file, uint64_t offset,
                    uint64_t nbytes)
{
    *stream =
        (struct oq_stream){.file = file, .offset = offset, .end = offset + nbytes, .left = nbytes};
}

bool oq_stream_open_deflated(struct oq_stream *stream, const struct oq_file *file, uint64_t offset,
                             uint64_t nbytes, uint64_t inflated_nbytes, onnxq_error *error)
{
    oq_stream_open(stream, file, offset, nbytes);
    stream->left = inflated_nbytes;
    stream->window = malloc(WINDOW_NBYTES);
    /* Negative window bits: without the header and trailer of zlib's own format. */
    if (stream->window == NULL || inflateInit2(&stream->inflater, -MAX_WBITS) != Z_OK)
        return oq_fail_memory(error);
    stream->deflated = true;
    return true;
}

void oq_stream_close(struct oq_stream *stream)
{
    if (stream->deflated)
        inflateEnd(&stream->inflater);
    free(stream->window);
    *stream = (struct oq_stream){0};
}

static bool refill(struct oq_stream *stream, onnxq_error *error)
{
    size_t nbytes = (size_t)oq_min_u64(WINDOW_NBYTES, stream->end - stream->offset);
    if (!oq_file_read(stream->file, stream->offset, stream->window, nbytes, error))
        return false;
    stream->offset += nbytes;
    stream->inflater.next_in = stream->window;
    stream->inflater.avail_in = (uInt)nbytes;
    return true;
}

/* Inflates up to `capacity` bytes; 0 of them where the deflated data is over. */
static bool inflate_some(struct oq_stream *stream, void *dst, size_t capacity, size_t *nbytes,
                         onnxq_error *error)
{
    z_stream *inflater = &stream->inflater;
    inflater->next_out = dst;
    inflater->avail_out = (uInt)capacity;
    while (!stream->ended && inflater->avail_out == capacity) {
        if (inflater->avail_in == 0 && stream->offset < stream->end && !refill(stream, error))
            return false;
        int code = inflate(inflater, Z_NO_FLUSH);
        stream->ended = code == Z_STREAM_END;
        if (code == Z_MEM_ERROR)
            return oq_fail_memory(error);
        if (code == Z_BUF_ERROR)
            return oq_fail(error, ONNXQ_ERROR_INPUT, "its compressed data is cut short");
        if (code != Z_OK && code != Z_STREAM_END)
            return oq_fail(error, ONNXQ_ERROR_INPUT, "its compressed data is damaged: %s",
                           inflater->msg != NULL ? inflater->msg : "no valid deflate data");
    }
    *nbytes = capacity - inflater->avail_out;
    return true;
}

static bool read_some(struct oq_stream *stream, void *dst, size_t capacity, size_t *nbytes,
                      onnxq_error *error)
{
    if (stream->deflated)
        return inflate_some(stream, dst, capacity, nbytes, error);
    *nbytes = capacity;
    if (!oq_file_read(stream->file, stream->offset, dst, capacity, error))
        return false;
    stream->offset += capacity;
    return true;
}

bool oq_stream_read(struct oq_stream *stream, void *dst, uint64_t nbytes, onnxq_error *error)
{
    if (nbytes > stream->left)
        return oq_fail(error, ONNXQ_ERROR_INPUT,
                       "ends early: %" PRIu64 " bytes are left where %" PRIu64 " are expected",
                       stream->left, nbytes);
    for (uint8_t *next = dst; nbytes > 0;) {
        size_t got;
        if (!read_some(stream, next, (size_t)oq_min_u64(nbytes, STEP_NBYTES), &got, error))
            return false;
        if (got == 0)
            return oq_fail(error, ONNXQ_ERROR_INPUT,
                           "its compressed data ends %" PRIu64 " bytes early", stream->left);
        if (stream->counts_crc)
            stream->crc = (uint32_t)crc32_z(stream->crc, next, got);
        next += got;
        nbytes -= got;
        stream->left -= got;
    }
    return true;
}

bool oq_stream_finish(struct oq_stream *stream, onnxq_error *error)
{
    uint8_t extra;
    size_t nbytes = 0;
    if (stream->left > 0)
        return oq_fail(error, ONNXQ_ERROR_INPUT, "%" PRIu64 " bytes follow the array",
                       stream->left);
    if (stream->deflated && !inflate_some(stream, &extra, 1, &nbytes, error))
        return false;
    bool over =
        !stream->deflated || (stream->inflater.avail_in == 0 && stream->offset == stream->end);
    return (nbytes == 0 && over) ||
           oq_fail(error, ONNXQ_ERROR_INPUT, "compressed data follows its end");
}
