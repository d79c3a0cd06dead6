/*
 * Bytes in order: a stretch of a file, as it is or inflated. Needs no more than
 * a window of memory, and says in advance how many bytes are left.
 */
#ifndef OQ_ARRAYS_STREAM_H
#define OQ_ARRAYS_STREAM_H

#include <zlib.h>

#include "base/file.h"

struct oq_stream {
    const struct oq_file *file;
    uint64_t offset, end; /* of the file: what is still to be read */
    uint64_t left;        /* bytes that the stream still gives */
    bool deflated;
    bool ended;      /* the deflated data said so itself */
    uint32_t crc;    /* CRC-32 of what a deflated or counted stream gave */
    bool counts_crc; /* set by the owner, before the first byte */
    z_stream inflater;
    uint8_t *window; /* of deflated bytes */
};

/* nbytes of the file from offset on; the caller knows that they are there. */
void oq_stream_open(struct oq_stream *stream, const struct oq_file *file, uint64_t offset,
                    uint64_t nbytes);

/* What the same stretch inflates to (raw deflate, RFC 1951), which has to be inflated_nbytes. */
bool oq_stream_open_deflated(struct oq_stream *stream, const struct oq_file *file, uint64_t offset,
                             uint64_t nbytes, uint64_t inflated_nbytes, onnxq_error *error);

/* After a failure, too. */
void oq_stream_close(struct oq_stream *stream);

/* The next nbytes; fewer are an error. */
bool oq_stream_read(struct oq_stream *stream, void *dst, uint64_t nbytes, onnxq_error *error);

/* Fails unless all was read and nothing follows. */
bool oq_stream_finish(struct oq_stream *stream, onnxq_error *error);

#endif
