/* Unpacks, visits and packs messages by their descriptors. */
#include "wire/message.h"

#include "wire/field.h"

static void *allocate(void *arena, size_t nbytes)
{
    return oq_arena_alloc(arena, nbytes);
}

/* The arena keeps everything until it is released as a whole. */
static void release(void *arena, void *memory)
{
    (void)arena, (void)memory;
}

ProtobufCMessage *oq_message_unpack(const ProtobufCMessageDescriptor *type,
                                    const struct oq_skeleton *skeleton, struct oq_arena *arena,
                                    onnxq_error *error)
{
    /* protobuf-c does not take NULL, which an empty file gives. */
    static const uint8_t nothing[1];
    ProtobufCAllocator allocator = {allocate, release, arena};
    ProtobufCMessage *message = protobuf_c_message_unpack(
        type, &allocator, skeleton->nbytes, skeleton->bytes == NULL ? nothing : skeleton->bytes);
    if (message == NULL && arena->failed)
        oq_arena_fail(arena, error);
    else if (message == NULL)
        oq_fail(error, ONNXQ_ERROR_INPUT, "is not a valid protobuf message");
    return message;
}

struct visit {
    const ProtobufCMessageDescriptor *type;
    oq_message_visit_fn visit;
    void *context;
    onnxq_error *error;
};

/* Recursion is bounded by OQ_SCAN_MAX_DEPTH: the scan has refused deeper messages. */
static bool visit_message(const struct visit *visit, const struct oq_message_path *parent,
                          ProtobufCMessage *message)
{
    const struct oq_message_path path = {parent, message};
    const ProtobufCMessageDescriptor *type = message->descriptor;
    if (type == visit->type && !visit->visit(visit->context, &path, visit->error))
        return false;
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        size_t count = oq_field_count(message, field);
        if (field->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        for (size_t k = 0; k < count; k++)
            if (!visit_message(visit, &path, oq_field_message(message, field, k)))
                return false;
    }
    return true;
}

bool oq_message_visit(ProtobufCMessage *root, const ProtobufCMessageDescriptor *type,
                      oq_message_visit_fn visit, void *context, onnxq_error *error)
{
    const struct visit all = {type, visit, context, error};
    return visit_message(&all, NULL, root);
}
