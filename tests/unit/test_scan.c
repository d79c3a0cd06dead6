/* From file to skeleton: what is refused and where, what is lifted out, what survives. */
#define _XOPEN_SOURCE     700
#define _FILE_OFFSET_BITS 64
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/bytes.h"
#include "support/models.h"
#include "wire/message.h"

#define BUDGET ((size_t)64 << 20)

static void close_file(void *thing)
{
    oq_file_close(thing);
}

static void free_skeleton(void *thing)
{
    oq_skeleton_fini(thing);
}

static struct oq_file *open_file(const char *path)
{
    onnxq_error error;
    struct oq_file *file = test_alloc(sizeof(*file));
    oq_error_init(&error);
    assert_true(oq_file_open(file, path, &error));
    test_defer(close_file, file);
    return file;
}

static struct oq_file *make_file(const void *bytes, size_t nbytes)
{
    const char *path = test_path("bytes");
    test_write_file(path, bytes, nbytes);
    return open_file(path);
}

/* NULL and an error, or the skeleton. */
static struct oq_skeleton *scan(const struct oq_file *file, size_t budget, onnxq_error *error)
{
    struct oq_skeleton *skeleton = test_alloc(sizeof(*skeleton));
    oq_error_init(error);
    bool ok = oq_scan(file, &oq__pb__model_proto__descriptor, budget, skeleton, error);
    test_defer(free_skeleton, skeleton);
    return ok ? skeleton : NULL;
}

static Oq__Pb__ModelProto *unpack(const struct oq_skeleton *skeleton)
{
    onnxq_error error;
    oq_error_init(&error);
    ProtobufCMessage *message =
        oq_message_unpack(&oq__pb__model_proto__descriptor, skeleton, test_arena(BUDGET), &error);
    if (message == NULL)
        fail_msg("%s", test_error_text(&error));
    return (Oq__Pb__ModelProto *)message;
}

/* --- what is refused --- */

/* graph { initializer { name: "w" ...: the next N bytes belong to the tensor */
#define TENSOR_OF(graph_nbytes, tensor_nbytes) "\x3a" graph_nbytes "\x2a" tensor_nbytes "\x42\x01w"

static const struct refused {
    const char *name;
    struct bytes bytes;
    const char *expected;
} refused[] = {
    {"a number without end", BYTES("\x08\xff"),
     "bytes: found a number that does not end in its message (at byte 1)"},
    {"a number of eleven bytes", BYTES("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"),
     "bytes: found a number that does not end in its message (at byte 1)"},
    {"a number over 64 bits", BYTES("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
     "bytes: found a number that does not end in its message (at byte 1)"},
    {"field number 0", BYTES("\x08\x01\x00\x01"),
     "bytes: found field number 0, expected a field of ModelProto (at byte 2)"},
    {"a tag over 32 bits", BYTES("\x88\x80\x80\x80\x80\x01\x00"),
     "bytes: found field number 4294967297, expected a field of ModelProto (at byte 0)"},
    {"a group that is unknown", BYTES("\x4b\x4c"),
     "bytes: found a group as field 9, expected a field of ModelProto (at byte 0)"},
    {"a group instead of text", BYTES("\x13\x14"),
     "bytes: field producer_name is a group, expected a length and bytes (at byte 0)"},
    {"end of a group", BYTES("\x4c"),
     "bytes: found a group as field 9, expected a field of ModelProto (at byte 0)"},
    {"wire type 6", BYTES("\x4e\x00"),
     "bytes: found wire type 6 as field 9, expected a field of ModelProto (at byte 0)"},
    {"wire type 7", BYTES("\x4f\x00"),
     "bytes: found wire type 7 as field 9, expected a field of ModelProto (at byte 0)"},
    {"32 bits instead of a number", BYTES("\x0d\x01\x00\x00\x00"),
     "bytes: field ir_version is 32 bits, expected a number (at byte 0)"},
    {"a number instead of a message", BYTES("\x38\x01"),
     "bytes: field graph is a number, expected a length and bytes (at byte 0)"},
    {"a number instead of text", BYTES("\x10\x01"),
     "bytes: field producer_name is a number, expected a length and bytes (at byte 0)"},
    {"text instead of a number", BYTES("\x0a\x01z"),
     "bytes: field ir_version is a length and bytes, expected a number (at byte 0)"},
    {"a length past the end", BYTES("\x3a\x05\x0a"),
     "bytes: graph has 5 bytes, but 1 are left in the file (at byte 0)"},
    {"a length of 2^63 + 5", BYTES("\x3a\x85\x80\x80\x80\x80\x80\x80\x80\x80\x01"),
     "bytes: graph has 9223372036854775813 bytes, but 0 are left in the file (at byte 0)"},
    {"the largest length", BYTES("\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
     "bytes: graph has 18446744073709551615 bytes, but 0 are left in the file (at byte 0)"},
    {"a length without end", BYTES("\x3a\x80"),
     "bytes: found a number that does not end in its message (at byte 1)"},
    {"a length past its message", BYTES("\x3a\x02\x0a\x05\x0a\x03zzz"),
     "bytes: graph: node has 5 bytes, but 0 are left in GraphProto (at byte 2)"},
    {"an unknown length past the end", BYTES("\x4a\x05zz"),
     "bytes: a field has 5 bytes, but 2 are left in the file (at byte 0)"},
    {"32 bits that are cut", BYTES("\x4d\x01\x02\x03"),
     "bytes: a field has 4 bytes, but 3 are left in the file (at byte 0)"},
    {"64 bits that are cut", BYTES("\x49\x01\x02\x03\x04\x05\x06\x07"),
     "bytes: a field has 8 bytes, but 7 are left in the file (at byte 0)"},
    {"a NUL in a name", BYTES("\x3a\x06\x0a\x04\x1a\x02z\x00"),
     "bytes: graph.node[0]: name holds a NUL byte, expected text (at byte 4)"},
    {"packed dims that are cut", BYTES(TENSOR_OF("\x08", "\x06") "\x0a\x01\x80"),
     "bytes: graph.initializer[0]: dims ends inside a number (at byte 7)"},
    {"packed floats that are cut", BYTES("\x3a\x09\x0a\x07\x2a\x05\x3a\x03\x00\x00\x80"),
     "bytes: graph.node[0].attribute[0]: floats ends inside a number (at byte 6)"},
    {"packed floats of 5 bytes", BYTES("\x3a\x0b\x0a\x09\x2a\x07\x3a\x05\x00\x00\x80\x3f\x00"),
     "bytes: graph.node[0].attribute[0]: floats ends inside a number (at byte 6)"},
    {"raw_data past the tensor", BYTES(TENSOR_OF("\x08", "\x06") "\x4a\x05z"),
     "bytes: graph.initializer[0]: raw_data has 5 bytes, but 1 are left in TensorProto (at byte "
     "7)"},
    {"raw_data as a number", BYTES(TENSOR_OF("\x07", "\x05") "\x48\x01"),
     "bytes: graph.initializer[0]: field raw_data is a number, expected a length and bytes (at "
     "byte 7)"},
    {"a payload with a long tag", BYTES(TENSOR_OF("\x0b", "\x09") "\xa5\x00\x00\x00\x80\x3f"),
     "bytes: graph.initializer[0]: field float_data has a tag longer than needed (at byte 7)"},
    {"an unpacked float that is cut", BYTES(TENSOR_OF("\x08", "\x06") "\x25\x00\x00"),
     "bytes: graph.initializer[0]: float_data has 4 bytes, but 2 are left in TensorProto (at byte "
     "7)"},
};

static void test_refused(void **state)
{
    const struct refused *row = *state;
    onnxq_error error;
    assert_null(scan(make_file(row->bytes.data, row->bytes.nbytes), BUDGET, &error));
    assert_int_equal(error.status, ONNXQ_ERROR_INPUT);
    check_text(test_error_text(&error), row->expected);
}

/* --- depth --- */

/* A message with one field that is `inner`. */
static struct builder_bytes wrap(struct builder *builder, uint32_t field,
                                 const struct builder_bytes *inner)
{
    struct builder_bytes outer = {.builder = builder};
    builder_put_tag(&outer, field, 2);
    builder_put_varint(&outer, inner->nbytes);
    builder_put(&outer, inner->bytes, inner->nbytes);
    return outer;
}

/* A file with `depth` messages in each other, itself included: types of sequences of sequences. */
static struct oq_file *make_nested(size_t depth)
{
    struct builder *builder = test_builder("");
    struct builder_bytes bytes = {.builder = builder};
    static const uint32_t fields[] = {7 /* graph */, 11 /* input */, 2 /* type */};
    for (size_t level = depth - 1; level > 3; level--)
        bytes = wrap(builder, level % 2 == 0 ? 4 /* sequence_type */ : 1 /* elem_type */, &bytes);
    for (size_t i = 3; i-- > 0;)
        bytes = wrap(builder, fields[i], &bytes);
    return make_file(bytes.bytes, bytes.nbytes);
}

static void test_depth(void **state)
{
    (void)state;
    onnxq_error error;
    struct oq_skeleton *skeleton = scan(make_nested(OQ_SCAN_MAX_DEPTH), BUDGET, &error);
    assert_non_null(skeleton);
    unpack(skeleton);
    static const size_t too_deep[] = {OQ_SCAN_MAX_DEPTH + 1, OQ_SCAN_MAX_DEPTH + 2, 3000};
    for (size_t i = 0; i < COUNT(too_deep); i++) {
        assert_null(scan(make_nested(too_deep[i]), BUDGET, &error));
        assert_int_equal(error.status, ONNXQ_ERROR_INPUT);
        assert_string_equal(error.message, "messages are nested deeper than 100");
        assert_memory_equal(error.place, "graph.input[0].type.sequence_type.elem_type", 43);
    }
}

/* --- what must be there --- */

#define FEW ((size_t)1000) /* messages without are read all the same */

static const struct incomplete_row {
    const char *name;
    const char *holder; /* around the messages: the graph in the model, or the model itself */
    const char *message;
    const char *place; /* of the first that is refused; NULL: any number of them is read */
    const char *field;
} incompletes[] = {
    {"nodes", "\x3a", "\x0a", "graph.node[1000]", "op_type"},
    {"initializers", "\x3a", "\x2a", "graph.initializer[1000]", "data_type"},
    {"inputs", "\x3a", "\x5a", "graph.input[1000]", "name"},
    {"outputs", "\x3a", "\x62", "graph.output[1000]", "name"},
    {"sparse initializers", "\x3a", "\x7a", "graph.sparse_initializer[1000]", "values"},
    {"functions", "", "\xca\x01", "functions[1000]", "name"},
    {"value infos", "\x3a", "\x6a", NULL, NULL},
    {"metadata", "", "\x72", NULL, NULL},
    {"pieces of a graph", "", "\x3a", NULL, NULL},
};

/* n empty messages. */
static const struct oq_file *make_incomplete(const struct incomplete_row *row, size_t n)
{
    struct builder_bytes bytes = {.builder = test_builder("")};
    size_t nbytes = strlen(row->message) + 1;
    if (row->holder[0] != '\0') {
        builder_put(&bytes, row->holder, 1);
        builder_put_varint(&bytes, n * nbytes);
    }
    for (size_t i = 0; i < n; i++)
        builder_put(&bytes, row->message, nbytes);
    return make_file(bytes.bytes, bytes.nbytes);
}

/* A few are read, and what is wrong with them said later; of very many nothing is made. */
static void test_incomplete(void **state)
{
    const struct incomplete_row *row = *state;
    onnxq_error error;
    struct oq_skeleton *skeleton = scan(make_incomplete(row, FEW), BUDGET, &error);
    assert_non_null(skeleton);
    unpack(skeleton);
    skeleton = scan(make_incomplete(row, FEW + 1), BUDGET, &error);
    if (row->place == NULL) {
        assert_non_null(skeleton);
        return;
    }
    assert_null(skeleton);
    assert_int_equal(error.status, ONNXQ_ERROR_INPUT);
    check_text(error.place, row->place);
    char expected[200];
    snprintf(expected, sizeof(expected),
             "has no %s, expected one; 1000 messages before it lack what they must have",
             row->field);
    check_text(error.message, expected);
}

/* --- memory --- */

static const struct budget_row {
    const char *name;
    size_t budget;
    bool fits;
} budgets[] = {{"enough", 1 << 20, true}, {"too little", 64 << 10, false}, {"none", 0, false}};

static void test_budget(void **state)
{
    const struct budget_row *row = *state;
    onnxq_error error;
    struct builder *builder = test_builder("in x float32[1]");
    builder->model->doc_string = builder_alloc(builder, 200 << 10, 1);
    memset(builder->model->doc_string, 'z', 200 << 10);
    assert_true(builder_write(builder, test_path("bytes")));
    bool fits = scan(open_file(test_path("bytes")), row->budget, &error) != NULL;
    assert_int_equal(fits, row->fits);
    assert_int_equal(error.status, fits ? ONNXQ_OK : ONNXQ_ERROR_MEMORY);
}

/* Weights take no memory, whatever they weigh; a million pieces of them do. */
static void test_budget_of_payloads(void **state)
{
    (void)state;
    onnxq_error error;
    struct builder *builder = test_builder("init w float32[1000,300]");
    struct builder_bytes pieces = {.builder = builder};
    assert_true(builder_write(builder, test_path("bytes")));
    assert_non_null(scan(open_file(test_path("bytes")), 8 << 10, &error));
    for (size_t i = 0; i < 10000; i++)
        builder_put(&pieces, "\x22\x04\x00\x00\x80\x3f", 6); /* float_data of one element */
    builder_wire(builder, &builder->graph->initializer[0]->base, pieces.bytes, pieces.nbytes);
    assert_true(builder_write(builder, test_path("bytes")));
    assert_non_null(scan(open_file(test_path("bytes")), BUDGET, &error));
    assert_null(scan(open_file(test_path("bytes")), 100 << 10, &error));
    assert_int_equal(error.status, ONNXQ_ERROR_MEMORY);
    assert_string_equal(error.message, "too many pieces of weights");
}

/* --- payloads --- */

static const struct payload_row {
    const char *name, *text;
    const char *expected; /* field:bytes, with "tagged" where each element has a tag */
} payloads[] = {
    {"raw", "init w float32[6]", "9:24"},
    {"packed floats", "init w float32[6] packed", "4:24"},
    {"unpacked floats", "init w float32[6] unpacked", "4:30 tagged"},
    {"pieces of floats", "init w float32[7] pieces", "4:8 4:10 tagged 4:12"},
    {"packed doubles", "init w float64[3] packed", "10:24"},
    {"unpacked doubles", "init w float64[3] unpacked", "10:27 tagged"},
    {"packed halves", "init w float16[3] packed = 1 1 1", "5:6"},
    {"unpacked halves", "init w float16[3] unpacked = 1 1 1", "5:9 tagged"},
    {"packed int64", "init w int64[3] packed = 1 2 300", "7:4"},
    {"unpacked int64", "init w int64[3] unpacked = 1 2 300", "7:7 tagged"},
    {"negative int32", "init w int32[1] packed = -1", "5:10"},
    {"unpacked uint64", "init w uint64[2] unpacked = 1 2", "11:4 tagged"},
    {"no elements", "init w float32[0]", "9:0"},
    {"in an attribute", "k = Constant() value=float32[4]", "9:16"},
    {"in a body", "y = If(c) then_branch={ init w float32[4] }", "9:16"},
    {"two tensors", "init a float32[2]; init b float32[3] unpacked", "9:8 4:15 tagged"},
};

static const char *describe_fragments(const struct oq_skeleton *skeleton)
{
    const char *text = "";
    for (size_t i = 0; i < skeleton->nfragments; i++)
        text = test_printf("%s%s%u:%llu%s", text, i > 0 ? " " : "", skeleton->fragments[i].field,
                           (unsigned long long)skeleton->fragments[i].nbytes,
                           skeleton->fragments[i].tagged ? " tagged" : "");
    return text;
}

static void test_payloads(void **state)
{
    const struct payload_row *row = *state;
    onnxq_error error;
    assert_true(builder_write(test_builder(row->text), test_path("bytes")));
    struct oq_skeleton *skeleton = scan(open_file(test_path("bytes")), BUDGET, &error);
    assert_non_null(skeleton);
    check_text(describe_fragments(skeleton), row->expected);
}

/* A tensor knows its own fragments; one without payload has none. */
static void test_fragments_belong(void **state)
{
    (void)state;
    onnxq_error error;
    struct oq_payload payload;
    struct builder *builder = test_builder("init a float32[6] pieces; init b float32[2]");
    builder_initializer(builder, builder->graph, builder_tensor(builder, "none", 1, NULL, 0));
    assert_true(builder_write(builder, test_path("bytes")));
    struct oq_skeleton *skeleton = scan(open_file(test_path("bytes")), BUDGET, &error);
    Oq__Pb__TensorProto **tensors = unpack(skeleton)->graph->initializer;
    assert_true(oq_payload_get(tensors[0], &payload));
    assert_int_equal(payload.first, 0);
    assert_int_equal(payload.count, 3);
    assert_true(oq_payload_get(tensors[1], &payload));
    assert_int_equal(payload.first, 3);
    assert_int_equal(payload.count, 1);
    assert_false(oq_payload_get(tensors[2], &payload));
}

/* --- there and back --- */

#define EVERYTHING                                                                                 \
    "opset 17; opset com.microsoft 1; meta key value\n"                                            \
    "in x float32[N,4]; in s int64[]; out y float32[N,4]; info h float32[N,4]\n"                   \
    "init raw float32[4,3]; init packed float32[5] packed; init loose float32[5] unpacked\n"       \
    "init pieces float32[9] pieces; init double float64[3] packed\n"                               \
    "init half float16[7] packed; init loose_half float16[7] unpacked\n"                           \
    "init int int64[4] packed = 1 -2 300000; init small int8[4] packed = -1 2\n"                   \
    "init unsigned uint64[2] unpacked = 1 128; init external float32[9] external\n"                \
    "init empty float32[0]; init scalar float32[]\n"                                               \
    "node: h = custom::Op(x, , raw) a=1 b=0.5 c=\"text\" d=[1,-2] t=float32[2,2]\n"                \
    "y = If(h) then_branch={ init w float32[3]; t = Relu(w); out t float32[3] }\n"

/* What no version of ONNX has: every wire type, at every level. */
static void add_unknown_fields(struct builder *builder)
{
    static const struct bytes fields[] = {
        BYTES("\xf8\x07\x96\x01"), BYTES("\xfd\x07\x01\x02\x03\x04"), BYTES("\xfa\x07\x03\x00zz"),
        BYTES("\xf9\x07\x01\x02\x03\x04\x05\x06\x07\x08")};
    ProtobufCMessage *messages[] = {&builder->model->base,
                                    &builder->graph->base,
                                    &builder->graph->initializer[0]->base,
                                    &builder->graph->initializer[2]->base,
                                    &builder->graph->node[0]->base,
                                    &builder->graph->node[0]->attribute[0]->base,
                                    &builder->graph->input[0]->type->base};
    for (size_t i = 0; i < COUNT(messages); i++)
        for (size_t k = 0; k < COUNT(fields); k++)
            builder_wire(builder, messages[i], fields[k].data, fields[k].nbytes);
}

/* The bytes that the segments stand for; recipes do not occur here. */
static uint8_t *resolve(const struct oq_written *written, const uint8_t *input)
{
    uint8_t *bytes = test_alloc((size_t)written->nbytes);
    size_t at = 0;
    for (size_t i = 0; i < written->nsegments; i++) {
        const struct oq_segment *segment = &written->segments[i];
        assert_int_not_equal(segment->kind, OQ_SEGMENT_RECIPE);
        const uint8_t *src = segment->kind == OQ_SEGMENT_BYTES ? written->bytes : input;
        memcpy(bytes + at, src + segment->offset, (size_t)segment->nbytes);
        at += (size_t)segment->nbytes;
    }
    assert_int_equal(at, written->nbytes);
    return bytes;
}

static void free_written(void *thing)
{
    oq_written_fini(thing);
}

/* Scans, unpacks and writes the file again. */
static uint8_t *rewrite(const char *path, size_t *nbytes)
{
    onnxq_error error;
    struct oq_written *written = test_alloc(sizeof(*written));
    struct oq_skeleton *skeleton = scan(open_file(path), BUDGET, &error);
    assert_non_null(skeleton);
    const struct oq_write_context context = {.fragments = skeleton->fragments};
    bool ok = oq_message_write(&unpack(skeleton)->base, &context, written, &error);
    test_defer(free_written, written);
    assert_true(ok);
    *nbytes = (size_t)written->nbytes;
    return resolve(written, test_read_file(path, &(size_t){0}));
}

/* Unpacked and packed again by protobuf-c alone: one form for all messages that mean the same. */
static uint8_t *normalize(const uint8_t *bytes, size_t *nbytes)
{
    test_write_file(test_path("normal"), bytes, *nbytes);
    Oq__Pb__ModelProto *model = test_read_model(test_path("normal"));
    *nbytes = oq__pb__model_proto__get_packed_size(model);
    uint8_t *normal = test_alloc(*nbytes);
    oq__pb__model_proto__pack(model, normal);
    return normal;
}

static void test_round_trip(void **state)
{
    (void)state;
    size_t before_nbytes, after_nbytes;
    struct builder *builder = test_builder(EVERYTHING);
    add_unknown_fields(builder);
    assert_true(builder_write(builder, test_path("bytes")));
    const uint8_t *before = test_read_file(test_path("bytes"), &before_nbytes);
    const uint8_t *after = rewrite(test_path("bytes"), &after_nbytes);
    assert_int_equal(after_nbytes, before_nbytes); /* nothing is added, nothing is lost */
    before = normalize(before, &before_nbytes);
    after = normalize(after, &after_nbytes);
    assert_int_equal(after_nbytes, before_nbytes);
    assert_memory_equal(after, before, before_nbytes);
}

/* In protobuf-c's own order, with raw_data only: not one byte changes. */
static void test_same_bytes(void **state)
{
    (void)state;
    size_t before_nbytes, after_nbytes;
    struct builder *builder = test_builder("opset 17; in x float32[N,4]; init raw float32[4,3]\n"
                                           "y = Gemm(x, raw) alpha=0.5; out y float32[N,3]");
    assert_true(builder_write(builder, test_path("bytes")));
    const uint8_t *before = test_read_file(test_path("bytes"), &before_nbytes);
    const uint8_t *after = rewrite(test_path("bytes"), &after_nbytes);
    assert_int_equal(after_nbytes, before_nbytes);
    assert_memory_equal(after, before, before_nbytes);
}

/* --- files that are cut --- */

/* Every prefix is refused inside the file, or is a message that can be unpacked. */
static void test_truncated(void **state)
{
    (void)state;
    size_t nbytes, n_valid = 0;
    struct builder *builder = test_builder(EVERYTHING);
    add_unknown_fields(builder);
    assert_true(builder_write(builder, test_path("bytes")));
    const uint8_t *bytes = test_read_file(test_path("bytes"), &nbytes);
    for (size_t n = 0; n < nbytes; n++) {
        onnxq_error error;
        struct oq_skeleton skeleton;
        struct oq_arena arena;
        struct oq_file file;
        oq_error_init(&error);
        oq_arena_init(&arena, BUDGET);
        test_write_file(test_path("prefix"), bytes, n);
        assert_true(oq_file_open(&file, test_path("prefix"), &error));
        bool ok = oq_scan(&file, &oq__pb__model_proto__descriptor, BUDGET, &skeleton, &error);
        if (ok)
            ok = oq_message_unpack(&oq__pb__model_proto__descriptor, &skeleton, &arena, &error) !=
                 NULL;
        n_valid += ok;
        if (!ok && (error.status != ONNXQ_ERROR_INPUT || error.offset > n))
            fail_msg("%zu bytes: status %d at byte %llu", n, (int)error.status,
                     (unsigned long long)error.offset);
        oq_skeleton_fini(&skeleton);
        oq_arena_fini(&arena);
        oq_file_close(&file);
    }
    assert_in_range(n_valid, 2, 40); /* cuts between two fields of the model itself */
}

/* --- large files --- */

#define HOLE ((uint64_t)5 << 30)

/* A model of a little over 5 GB: a float32 [5 * 2^28] in a hole, and a node behind it. */
static bool make_sparse(const char *path, uint64_t *payload_offset)
{
    struct builder *builder = test_builder("");
    struct builder_bytes tensor = {.builder = builder}, graph = {.builder = builder},
                         file = {.builder = builder};
    static const char tail[] = "\x42\x01w", node[] = "\x0a\x0b\x0a\x01w\x12\x01y\x22\x03"
                                                     "Abs";
    builder_put(&tensor, "\x08\x80\x80\x80\x80\x05\x10\x01\x4a", 9); /* dims, data_type, raw_data */
    builder_put_varint(&tensor, HOLE);
    builder_put_tag(&graph, 5, 2); /* initializer */
    builder_put_varint(&graph, tensor.nbytes + HOLE + sizeof(tail) - 1);
    builder_put(&graph, tensor.bytes, tensor.nbytes);
    builder_put_tag(&file, 7, 2); /* graph */
    builder_put_varint(&file, graph.nbytes + HOLE + sizeof(tail) - 1 + sizeof(node) - 1);
    builder_put(&file, graph.bytes, graph.nbytes);
    *payload_offset = file.nbytes;

    struct stat status;
    test_write_file(path, file.bytes, file.nbytes);
    int fd = open(path, O_WRONLY);
    bool ok =
        fd >= 0 && pwrite(fd, tail, sizeof(tail) - 1, (off_t)(file.nbytes + HOLE)) > 0 &&
        pwrite(fd, node, sizeof(node) - 1, (off_t)(file.nbytes + HOLE + sizeof(tail) - 1)) > 0 &&
        fstat(fd, &status) == 0 && status.st_blocks < 1 << 16;
    close(fd);
    return ok;
}

static void test_over_4_gb(void **state)
{
    (void)state;
    onnxq_error error;
    uint64_t payload_offset;
    if (!make_sparse(test_path("bytes"), &payload_offset))
        skip(); /* no sparse files here */
    struct oq_skeleton *skeleton = scan(open_file(test_path("bytes")), BUDGET, &error);
    if (skeleton == NULL)
        fail_msg("%s", test_error_text(&error));
    assert_int_equal(skeleton->nfragments, 1);
    assert_int_equal(skeleton->fragments[0].offset, payload_offset);
    assert_int_equal(skeleton->fragments[0].nbytes, HOLE);
    Oq__Pb__ModelProto *model = unpack(skeleton);
    assert_string_equal(model->graph->initializer[0]->name, "w");
    assert_string_equal(model->graph->node[0]->op_type, "Abs");

    onnxq_model *opened = test_open_path(test_path("bytes"));
    assert_int_equal(opened->tensors[0].nbytes, HOLE);
    assert_int_equal(opened->tensors[0].nelem, HOLE / 4);
}

int main(void)
{
    TEST_ROWS(test_refused, refused);
    TEST(test_depth);
    TEST_ROWS(test_incomplete, incompletes);
    TEST_ROWS(test_budget, budgets);
    TEST(test_budget_of_payloads);
    TEST_ROWS(test_payloads, payloads);
    TEST(test_fragments_belong);
    TEST(test_round_trip);
    TEST(test_same_bytes);
    TEST(test_truncated);
    TEST(test_over_4_gb);
    return suite_run();
}
