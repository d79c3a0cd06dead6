/*
 * From a model file to its skeleton: the protobuf structure without the
 * weights, as a protobuf message that protobuf-c can unpack.
 *
 * The scan is what makes unpacking safe: protobuf-c recurses as deep as a
 * message says, refuses every length over INT_MAX, cuts strings at a NUL and
 * gives no reason when it fails. So all of this is checked here, with offsets,
 * and payloads of any size never reach it.
 */
#ifndef OQ_WIRE_SCAN_H
#define OQ_WIRE_SCAN_H

#include <protobuf-c/protobuf-c.h>

#include "base/file.h"
#include "wire/payload.h"

/* protobuf's own default limit for nested messages. */
#define OQ_SCAN_MAX_DEPTH 100

struct oq_skeleton {
    uint8_t *bytes;
    size_t nbytes;
    struct oq_fragment *fragments;
    size_t nfragments;
};

/*
 * Scans the whole file as one message of type `root`. Memory is bounded by
 * `budget` bytes. The caller releases the skeleton with oq_skeleton_fini(),
 * after a failure too.
 */
bool oq_scan(const struct oq_file *file, const ProtobufCMessageDescriptor *root, size_t budget,
             struct oq_skeleton *skeleton, onnxq_error *error);

void oq_skeleton_fini(struct oq_skeleton *skeleton);

#endif
