/*
 * Models made in memory, for tests. Thin helpers around the generated protobuf
 * code: everything can be changed through the structs before it is written,
 * and builder_wire() adds what protobuf-c would never write by itself.
 *
 * Memory is the builder's until builder_fini(). Running out of it aborts.
 */
#ifndef SUPPORT_BUILDER_H
#define SUPPORT_BUILDER_H

#include "base/arena.h"
#include "onnx.pb-c.h"

struct builder {
    struct oq_arena arena;
    Oq__Pb__ModelProto *model;
    Oq__Pb__GraphProto *graph; /* the main graph */
    uint32_t seed;             /* of builder_random() */
    uint8_t *side;             /* what goes to the side file */
    size_t side_nbytes;
    Oq__Pb__StringStringEntryProto **locations; /* entries that name the side file */
    size_t n_locations;
};

/* A model of IR version 8 with an empty graph and no opset_import. */
void builder_init(struct builder *builder);
void builder_fini(struct builder *builder);

/* Zeroed memory; a copy of a text. */
void *builder_alloc(struct builder *builder, size_t count, size_t size);
char *builder_text(struct builder *builder, const char *text);

/* Appends to a repeated field of messages or strings: list is the address of the pointer. */
void builder_append(struct builder *builder, void *list, size_t *count, void *item);

void builder_opset(struct builder *builder, const char *domain, int64_t version);
void builder_metadata(struct builder *builder, const char *key, const char *value);

/* A dimension of -1 becomes a symbol; n_dims SIZE_MAX: no shape at all. */
Oq__Pb__ValueInfoProto *builder_value(struct builder *builder, const char *name, int32_t data_type,
                                      const int64_t *dims, size_t n_dims);

/* inputs and outputs end with NULL. name may be NULL. */
Oq__Pb__NodeProto *builder_node(struct builder *builder, Oq__Pb__GraphProto *graph,
                                const char *op_type, const char *name, const char *const *inputs,
                                const char *const *outputs);
Oq__Pb__AttributeProto *builder_attribute(struct builder *builder, Oq__Pb__NodeProto *node,
                                          const char *name,
                                          Oq__Pb__AttributeProto__AttributeType type);

/* --- tensors --- */

/* Without elements; not yet part of anything. */
Oq__Pb__TensorProto *builder_tensor(struct builder *builder, const char *name, int32_t data_type,
                                    const int64_t *dims, size_t n_dims);
void builder_initializer(struct builder *builder, Oq__Pb__GraphProto *graph,
                         Oq__Pb__TensorProto *tensor);

enum builder_storage {
    BUILDER_RAW,      /* raw_data */
    BUILDER_PACKED,   /* the field of the type */
    BUILDER_UNPACKED, /* a tag before each element, as writers without [packed] have it */
    BUILDER_PIECES,   /* packed, then unpacked, then packed, all in one tensor */
    BUILDER_EXTERNAL  /* the side file, which is called FILE.data */
};

/* Converts values to the tensor's type and stores them; those of 4 bits in raw_data only. */
void builder_store(struct builder *builder, Oq__Pb__TensorProto *tensor,
                   enum builder_storage storage, const double *values, size_t nelem);

/* raw_data as it is. */
void builder_raw(struct builder *builder, Oq__Pb__TensorProto *tensor, const void *bytes,
                 size_t nbytes);

/* An entry of external_data; makes the tensor external. */
void builder_external(struct builder *builder, Oq__Pb__TensorProto *tensor, const char *key,
                      const char *value);

/* The next number of a fixed sequence, uniform in [-1, 1): the same on every machine. */
double builder_random(struct builder *builder);

/* --- bytes --- */

/* Bytes that grow. `builder` owns them. */
struct builder_bytes {
    struct builder *builder;
    uint8_t *bytes;
    size_t nbytes, capacity;
};
void builder_put(struct builder_bytes *bytes, const void *src, size_t nbytes);
void builder_put_varint(struct builder_bytes *bytes, uint64_t value);
void builder_put_tag(struct builder_bytes *bytes, uint32_t field, unsigned wire_type);

/* Appends wire bytes, tag first, to what protobuf-c writes for the message, valid or not. */
void builder_wire(struct builder *builder, ProtobufCMessage *message, const void *bytes,
                  size_t nbytes);

/* Writes the model, and path.data where a tensor is external. False: errno says why. */
bool builder_write(struct builder *builder, const char *path);

#endif
