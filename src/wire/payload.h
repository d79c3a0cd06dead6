/*
 * Where the bytes of a tensor lie. In a skeleton - a model without its weights
 * - the field raw_data of every TensorProto that has a payload holds one
 * oq_payload instead; tensors without payload have no raw_data.
 */
#ifndef OQ_WIRE_PAYLOAD_H
#define OQ_WIRE_PAYLOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "onnx.pb-c.h"

/* A stretch of a model file that belongs to one payload field of a TensorProto. */
struct oq_fragment {
    uint64_t offset;
    uint64_t nbytes;
    uint32_t field; /* field number in TensorProto: raw_data, float_data, ... */
    bool tagged;    /* unpacked repeated field: every element is preceded by its one-byte tag */
};

enum oq_payload_kind {
    OQ_PAYLOAD_FRAGMENTS = 1, /* fragments [first, first + count) of the model file */
    OQ_PAYLOAD_RECIPE = 2,    /* number `first` in a table that the writer of the model has */
};

struct oq_payload {
    uint32_t kind;
    uint32_t first;
    uint32_t count;
};

/* False where the tensor has none. */
static inline bool oq_payload_get(const Oq__Pb__TensorProto *tensor, struct oq_payload *payload)
{
    if (!tensor->has_raw_data || tensor->raw_data.len != sizeof(*payload))
        return false;
    memcpy(payload, tensor->raw_data.data, sizeof(*payload));
    return true;
}

#endif
