/*
 * Working on messages through their descriptors: unpacking into an arena,
 * visiting every message of a tree, and writing a tree back.
 */
#ifndef OQ_WIRE_MESSAGE_H
#define OQ_WIRE_MESSAGE_H

#include "base/arena.h"
#include "wire/scan.h"

/* Unpacks a scanned skeleton; all memory is the arena's. NULL on failure. */
ProtobufCMessage *oq_message_unpack(const ProtobufCMessageDescriptor *type,
                                    const struct oq_skeleton *skeleton, struct oq_arena *arena,
                                    onnxq_error *error);

/* The message at hand and the ones that hold it, up to the root. */
struct oq_message_path {
    const struct oq_message_path *parent; /* NULL at the root */
    ProtobufCMessage *message;
};

/*
 * Calls visit for every message of the tree whose type is `type`, in the order
 * of field numbers. Stops and returns false when visit does.
 */
typedef bool (*oq_message_visit_fn)(void *context, const struct oq_message_path *path,
                                    onnxq_error *error);
bool oq_message_visit(ProtobufCMessage *root, const ProtobufCMessageDescriptor *type,
                      oq_message_visit_fn visit, void *context, onnxq_error *error);

/* A piece of an output file, in order. */
struct oq_segment {
    enum oq_segment_kind {
        OQ_SEGMENT_BYTES,  /* bytes[offset, offset + nbytes) of the writer */
        OQ_SEGMENT_INPUT,  /* [offset, offset + nbytes) of the model file that was read */
        OQ_SEGMENT_RECIPE, /* all nbytes of recipe number `offset` */
    } kind;
    uint64_t offset;
    uint64_t nbytes;
};

/* A message on its way to a file. The pieces add up to nbytes. */
struct oq_written {
    uint8_t *bytes;
    struct oq_segment *segments;
    size_t nsegments;
    uint64_t nbytes;
};

struct oq_write_context {
    const struct oq_fragment *fragments;
    const uint64_t *recipe_nbytes; /* size of every recipe's result */
};

/*
 * Writes a message whose tensors hold oq_payloads (payload.h) as a list of
 * segments; no payload is read. Release with oq_written_fini(), after a
 * failure too.
 */
bool oq_message_write(const ProtobufCMessage *message, const struct oq_write_context *context,
                      struct oq_written *written, onnxq_error *error);
void oq_written_fini(struct oq_written *written);

#endif
