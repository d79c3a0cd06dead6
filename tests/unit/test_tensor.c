/* Views of tensors: sizes against payloads, and reading, however they are stored. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/bytes.h"
#include "support/models.h"
#include "support/reference.h"
#include "support/types.h"

/* --- types --- */

static const struct dtype_row {
    const char *name;
    int32_t data_type;
    unsigned nbits;
    bool is_float;
    uint64_t nbytes_of_5; /* elements in raw_data */
} dtypes[] = {
    {"float32", 1, 32, true, 20},
    {"uint8", 2, 8, false, 5},
    {"int8", 3, 8, false, 5},
    {"uint16", 4, 16, false, 10},
    {"int16", 5, 16, false, 10},
    {"int32", 6, 32, false, 20},
    {"int64", 7, 64, false, 40},
    {"bool", 9, 8, false, 5},
    {"float16", 10, 16, true, 10},
    {"float64", 11, 64, true, 40},
    {"uint32", 12, 32, false, 20},
    {"uint64", 13, 64, false, 40},
    {"complex64", 14, 64, false, 40},
    {"complex128", 15, 128, false, 80},
    {"bfloat16", 16, 16, true, 10},
    {"float8e4m3fn", 17, 8, false, 5},
    {"float8e4m3fnuz", 18, 8, false, 5},
    {"float8e5m2", 19, 8, false, 5},
    {"float8e5m2fnuz", 20, 8, false, 5},
    {"uint4", 21, 4, false, 3},
    {"int4", 22, 4, false, 3},
    {"float4e2m1", 23, 4, false, 3},
    {"float8e8m0", 24, 8, false, 5},
    {"uint2", 25, 2, false, 2},
    {"int2", 26, 2, false, 2},
    {"float6e2m3", 27, 6, false, 4},
    {"float6e3m2", 28, 6, false, 4},
};

static void test_dtype(void **state)
{
    const struct dtype_row *row = *state;
    const struct oq_dtype *dtype = oq_dtype_find(row->data_type);
    uint64_t nbytes;
    assert_non_null(dtype);
    assert_string_equal(dtype->name, row->name);
    assert_int_equal(dtype->nbits, row->nbits);
    assert_int_equal(dtype->is_float, row->is_float);
    assert_true(oq_dtype_nbytes(dtype, 5, &nbytes));
    assert_int_equal(nbytes, row->nbytes_of_5);
    assert_true(oq_dtype_nbytes(dtype, 0, &nbytes));
    assert_int_equal(nbytes, 0);
    if (row->nbits > 8)
        assert_false(oq_dtype_nbytes(dtype, UINT64_MAX / 2 + 1, &nbytes));
    if (row->nbits != 8 && row->nbits > 1)
        assert_false(oq_dtype_nbytes(dtype, UINT64_MAX, &nbytes));
}

static void test_unknown_dtypes(void **state)
{
    (void)state;
    static const int32_t unknown[] = {INT32_MIN, -1, 0, 29, 1000, INT32_MAX};
    for (size_t i = 0; i < COUNT(unknown); i++)
        assert_null(oq_dtype_find(unknown[i]));
}

/* --- payload against dimensions --- */

#define MAX_DIMS  4
#define DIMS(...) {__VA_ARGS__}, sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)
#define SCALAR    {0}, 0

enum { FLOAT = 1, INT64 = 7, STRING = 8, FLOAT16 = 10, DOUBLE = 11, COMPLEX64 = 14, UINT4 = 21 };
enum { INT2 = 26, FLOAT6 = 27, UNKNOWN = 99 };

/* Fields of TensorProto as they stand on the wire: tag, length, bytes. */
#define RAW(length, bytes)    BYTES("\x4a" length bytes)
#define FLOATS(length, bytes) BYTES("\x22" length bytes)
#define INTS(length, bytes)   BYTES("\x2a" length bytes)
#define ZEROS_4               "\0\0\0\0"
#define ZEROS_12              ZEROS_4 ZEROS_4 ZEROS_4
#define NONE                  BYTES("")

static const struct size_row {
    const char *name;
    int32_t data_type;
    int64_t dims[MAX_DIMS];
    size_t n_dims;
    struct bytes payload;
    const char *error; /* NULL: it is right and has as many bytes as follow */
    uint64_t nbytes;
} sizes[] = {
    {"raw", FLOAT, DIMS(3, 1), RAW("\x0c", ZEROS_12), NULL, 12},
    {"raw scalar", FLOAT, SCALAR, RAW("\x04", ZEROS_4), NULL, 4},
    {"raw without elements", FLOAT, DIMS(3, 0), RAW("\x00", ""), NULL, 0},
    {"no payload, no elements", FLOAT, DIMS(0), NONE, NULL, 0},
    {"no elements among huge dims", FLOAT, DIMS(0, INT64_MAX, INT64_MAX), NONE, NULL, 0},
    {"floats", FLOAT, DIMS(3), FLOATS("\x0c", ZEROS_12), NULL, 12},
    {"floats with an empty piece", FLOAT, DIMS(3), FLOATS("\x0c", ZEROS_12 "\x22\x00"), NULL, 12},
    {"raw with empty floats", FLOAT, DIMS(3), RAW("\x0c", ZEROS_12 "\x22\x00"), NULL, 12},
    {"halves", FLOAT16, DIMS(3), INTS("\x03", "\1\2\3"), NULL, 6},
    {"complex floats", COMPLEX64, DIMS(1), FLOATS("\x08", ZEROS_4 ZEROS_4), NULL, 8},
    {"five 4-bit numbers", UINT4, DIMS(5), RAW("\x03", "zzz"), NULL, 3},
    {"five 4-bit numbers in entries", UINT4, DIMS(5), INTS("\x03", "zzz"), NULL, 3},
    {"five 2-bit numbers", INT2, DIMS(5), RAW("\x02", "zz"), NULL, 2},
    {"five 2-bit numbers in entries", INT2, DIMS(5), INTS("\x02", "zz"), NULL, 2},
    {"five 6-bit numbers", FLOAT6, DIMS(5), RAW("\x04", "zzzz"), NULL, 4},
    {"five 6-bit numbers in entries", FLOAT6, DIMS(5), INTS("\x05", "zzzzz"), NULL, 4},
    {"unknown type", UNKNOWN, DIMS(5), RAW("\x03", "zzz"), NULL, 3},
    {"unknown type without payload", UNKNOWN, DIMS(5), NONE, NULL, 0},
    {"strings", STRING, DIMS(2), BYTES("\x32\x01z\x32\x00"), NULL, 0},

    {"raw too short", FLOAT, DIMS(4, 4), RAW("\x0c", ZEROS_12),
     "model.onnx: initializer \"w\": raw_data has 12 bytes, float32 [4,4] needs 64 (at byte 23)",
     0},
    {"raw too long", FLOAT, DIMS(2), RAW("\x0c", ZEROS_12),
     "model.onnx: initializer \"w\": raw_data has 12 bytes, float32 [2] needs 8 (at byte 21)", 0},
    {"raw with elements, without bytes", FLOAT, DIMS(2), RAW("\x00", ""),
     "model.onnx: initializer \"w\": payload has 0 bytes, float32 [2] needs 8", 0},
    {"no payload", FLOAT, DIMS(2, 3), NONE,
     "model.onnx: initializer \"w\": payload has 0 bytes, float32 [2,3] needs 24", 0},
    {"bytes without elements", FLOAT, DIMS(0), RAW("\x04", ZEROS_4),
     "model.onnx: initializer \"w\": raw_data has 4 bytes, float32 [0] needs 0 (at byte 21)", 0},
    {"raw with an unfinished byte", UINT4, DIMS(5), RAW("\x02", "zz"),
     "model.onnx: initializer \"w\": raw_data has 2 bytes, uint4 [5] needs 3 (at byte 21)", 0},
    {"negative", FLOAT, DIMS(3, -1), RAW("\x0c", ZEROS_12),
     "model.onnx: initializer \"w\": dimension 1 is -1, expected 0 or more", 0},
    {"most negative", FLOAT, DIMS(INT64_MIN), RAW("\x0c", ZEROS_12),
     "model.onnx: initializer \"w\": dimension 0 is -9223372036854775808, expected 0 or more", 0},
    {"product over 64 bits", FLOAT, DIMS(INT64_C(1) << 32, INT64_C(1) << 32), NONE,
     "model.onnx: initializer \"w\": the product of the dimensions overflows", 0},
    {"product over 63 bits of an unknown type", 99, DIMS(INT64_C(1) << 32, INT64_C(1) << 31), NONE,
     "model.onnx: initializer \"w\": the product of the dimensions overflows", 0},
    {"product that wraps to a small one", FLOAT, DIMS(INT64_C(1) << 33, INT64_C(1) << 31, 3),
     RAW("\x0c", ZEROS_12),
     "model.onnx: initializer \"w\": the product of the dimensions overflows", 0},
    {"bytes over 64 bits", FLOAT, DIMS(INT64_C(1) << 62), NONE,
     "model.onnx: initializer \"w\": the size in bytes overflows", 0},
    {"bytes over 63 bits", FLOAT, DIMS(INT64_C(1) << 61), NONE,
     "model.onnx: initializer \"w\": the size in bytes overflows", 0},
    {"too few floats", FLOAT, DIMS(4), FLOATS("\x0c", ZEROS_12),
     "model.onnx: initializer \"w\": float_data has 3 numbers, float32 [4] needs 4 (at byte 21)",
     0},
    {"too many floats", FLOAT, DIMS(2), FLOATS("\x0c", ZEROS_12),
     "model.onnx: initializer \"w\": float_data has 3 numbers, float32 [2] needs 2 (at byte 21)",
     0},
    {"floats that are cut", FLOAT, DIMS(3), FLOATS("\x0b", ZEROS_4 ZEROS_4 "\0\0\0"),
     "model.onnx: initializer \"w\": float_data ends inside a number", 0},
    {"too few floats in two pieces", FLOAT, DIMS(3), FLOATS("\x04", ZEROS_4 "\x22\x04" ZEROS_4),
     "model.onnx: initializer \"w\": float_data has 2 numbers, float32 [3] needs 3 (at byte 21)",
     0},
    {"too few complex floats", COMPLEX64, DIMS(2), FLOATS("\x0c", ZEROS_12),
     "model.onnx: initializer \"w\": float_data has 3 numbers, complex64 [2] needs 4 (at byte 21)",
     0},
    {"too few halves", FLOAT16, DIMS(3), INTS("\x02", "\1\2"),
     "model.onnx: initializer \"w\": int32_data has 2 numbers, float16 [3] needs 3 (at byte 21)",
     0},
    {"too few halves, as numbers are long", FLOAT16, DIMS(3), INTS("\x03", "\x81\x01\2"),
     "model.onnx: initializer \"w\": int32_data has 2 numbers, float16 [3] needs 3 (at byte 21)",
     0},
    {"halves that are cut", FLOAT16, DIMS(2), INTS("\x02", "\1\x82"),
     "model.onnx: initializer \"w\": int32_data ends inside a number", 0},
    {"entries of a 4-bit type", UINT4, DIMS(5), INTS("\x05", "zzzzz"),
     "model.onnx: initializer \"w\": int32_data has 5 numbers, uint4 [5] needs 3 (at byte 21)", 0},
    {"huge dims and few numbers", FLOAT16, DIMS(INT64_C(1) << 40), INTS("\x02", "\1\2"),
     "model.onnx: initializer \"w\": int32_data has 2 numbers, float16 [1099511627776] needs "
     "1099511627776 (at byte 26)",
     0},
    {"floats as integers", FLOAT, DIMS(3), INTS("\x03", "\1\2\3"),
     "model.onnx: initializer \"w\": has int32_data, but its type float32 is stored in float_data",
     0},
    {"integers as floats", INT64, DIMS(3), FLOATS("\x0c", ZEROS_12),
     "model.onnx: initializer \"w\": has float_data, but its type int64 is stored in int64_data",
     0},
    {"doubles as floats", DOUBLE, DIMS(3), FLOATS("\x0c", ZEROS_12),
     "model.onnx: initializer \"w\": has float_data, but its type float64 is stored in double_data",
     0},
    {"both raw and floats", FLOAT, DIMS(1), RAW("\x04", ZEROS_4 "\x22\x04" ZEROS_4),
     "model.onnx: initializer \"w\": has raw_data and float_data, expected one of them", 0},
    {"raw twice", FLOAT, DIMS(1), RAW("\x04", ZEROS_4 "\x4a\x04" ZEROS_4),
     "model.onnx: initializer \"w\": has raw_data and raw_data, expected one of them", 0},
    {"floats, then integers that look like a float", FLOAT, DIMS(2),
     FLOATS("\x04", ZEROS_4 "\x2a\x04\1\1\1\1"),
     "model.onnx: initializer \"w\": has float_data and int32_data, expected one of them", 0},
    {"integers, then floats", FLOAT16, DIMS(5), INTS("\x01", "\1\x22\x04" ZEROS_4),
     "model.onnx: initializer \"w\": has int32_data and float_data, expected one of them", 0},
    {"too few strings", STRING, DIMS(2), BYTES("\x32\x01z"),
     "model.onnx: initializer \"w\": string_data has 1 strings, string [2] needs 2", 0},
    {"strings as raw", STRING, DIMS(2), RAW("\x02", "zz"),
     "model.onnx: initializer \"w\": raw_data has 2 bytes, string [2] needs 0 (at byte 21)", 0},
    {"unknown type with negative dims", UNKNOWN, DIMS(-5), NONE,
     "model.onnx: initializer \"w\": dimension 0 is -5, expected 0 or more", 0},
};

static Oq__Pb__TensorProto *make_tensor(struct builder *builder, const struct size_row *row)
{
    Oq__Pb__TensorProto *tensor =
        builder_tensor(builder, "w", row->data_type, row->dims, row->n_dims);
    builder_wire(builder, &tensor->base, row->payload.data, row->payload.nbytes);
    return tensor;
}

static void test_size(void **state)
{
    const struct size_row *row = *state;
    struct builder *builder = test_builder("");
    builder_initializer(builder, builder->graph, make_tensor(builder, row));
    assert_true(builder_write(builder, test_path("model.onnx")));
    if (row->error != NULL) {
        check_text(test_open_error(test_path("model.onnx")), row->error);
        return;
    }
    const onnxq_model *model = test_open_path(test_path("model.onnx"));
    assert_int_equal(model->n_tensors, 1);
    assert_int_equal(model->tensors[0].nbytes, row->nbytes);
    assert_string_equal(model->tensors[0].name, "w");
    assert_int_equal(model->tensors[0].dtype == NULL, row->data_type == UNKNOWN);
}

/* Where the tensor is said to be when it is not an initializer. */
static void test_place(void **state)
{
    (void)state;
    struct builder *builder = test_builder("k = Constant()\nlabel: l = Constant()");
    Oq__Pb__AttributeProto *attribute = builder_attribute(
        builder, builder->graph->node[1], "value", OQ__PB__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR);
    attribute->t = builder_tensor(builder, NULL, FLOAT, (const int64_t[]){2}, 1);
    assert_true(builder_write(builder, test_path("model.onnx")));
    check_text(test_open_error(test_path("model.onnx")),
               "model.onnx: node \"label\", attribute \"value\": payload has 0 bytes, float32 [2] "
               "needs 8");
}

/* --- reading --- */

#define LONGEST 300000 /* more than one call reads, and several marks */

static const struct read_row {
    const char *name;
    int32_t data_type;
    enum builder_storage storage;
    size_t nelem;
} reads[] = {
    {"raw float32", FLOAT, BUILDER_RAW, LONGEST},
    {"packed float32", FLOAT, BUILDER_PACKED, LONGEST},
    {"unpacked float32", FLOAT, BUILDER_UNPACKED, LONGEST},
    {"float32 in pieces", FLOAT, BUILDER_PIECES, LONGEST},
    {"external float32", FLOAT, BUILDER_EXTERNAL, LONGEST},
    {"one float32", FLOAT, BUILDER_UNPACKED, 1},
    {"raw float16", FLOAT16, BUILDER_RAW, LONGEST},
    {"packed float16", FLOAT16, BUILDER_PACKED, LONGEST},
    {"unpacked float16", FLOAT16, BUILDER_UNPACKED, LONGEST},
    {"float16 in pieces", FLOAT16, BUILDER_PIECES, LONGEST},
    {"external float16", FLOAT16, BUILDER_EXTERNAL, LONGEST},
    {"float16 up to a mark", FLOAT16, BUILDER_PACKED, OQ_MARK_NELEM},
    {"one float16 behind a mark", FLOAT16, BUILDER_PACKED, OQ_MARK_NELEM + 1},
    {"unpacked float16 up to a mark", FLOAT16, BUILDER_UNPACKED, 2 * OQ_MARK_NELEM},
    {"one float16", FLOAT16, BUILDER_PACKED, 1},
    {"raw bfloat16", 16, BUILDER_RAW, LONGEST},
    {"packed bfloat16", 16, BUILDER_PACKED, LONGEST},
    {"unpacked bfloat16", 16, BUILDER_UNPACKED, LONGEST},
    {"bfloat16 in pieces", 16, BUILDER_PIECES, LONGEST},
    {"raw float64", DOUBLE, BUILDER_RAW, LONGEST},
    {"packed float64", DOUBLE, BUILDER_PACKED, LONGEST},
    {"unpacked float64", DOUBLE, BUILDER_UNPACKED, LONGEST},
    {"float64 in pieces", DOUBLE, BUILDER_PIECES, LONGEST},
};

/* The value as float32 after it was stored in the type. */
static float stored(int32_t data_type, double value)
{
    uint32_t bits = (uint32_t)bfloat16_from_double(value) << 16;
    float result = (float)value;
    if (data_type == FLOAT16)
        return (float)reference_half(half_from_double(value));
    if (data_type == 16)
        memcpy(&result, &bits, sizeof(result));
    return result;
}

struct stretch {
    uint64_t first;
    size_t count;
};

/* All of it, the ends, what one call can read at most, then anything. */
static struct stretch choose_stretch(struct builder *builder, size_t k, size_t nelem)
{
    size_t most = nelem < OQ_READ_MAX_NELEM ? nelem : OQ_READ_MAX_NELEM;
    switch (k) {
    case 0:
        return (struct stretch){0, most};
    case 1:
        return (struct stretch){nelem - most, most};
    case 2:
        return (struct stretch){nelem - 1, 1};
    case 3:
        return (struct stretch){nelem / 2, 0};
    default:
        break;
    }
    uint64_t first = (uint64_t)((builder_random(builder) + 1) / 2 * (double)nelem);
    size_t left = nelem - (size_t)first;
    size_t count =
        (size_t)((builder_random(builder) + 1) / 2 * (double)(left < most ? left : most));
    return (struct stretch){first, k % 2 == 0 ? count : count % 100};
}

static void check_stretch(const struct oq_tensor *tensor, const float *expected,
                          struct stretch stretch)
{
    onnxq_error error;
    /* Exactly as large as promised, so that a sanitizer sees a step too far. */
    float *dst = malloc(stretch.count * sizeof(*dst) + 1);
    void *scratch = malloc(OQ_READ_SCRATCH_NBYTES);
    test_defer(free, dst);
    test_defer(free, scratch);
    oq_error_init(&error);
    assert_true(oq_tensor_read_floats(tensor, stretch.first, stretch.count, dst, scratch, &error));
    assert_memory_equal(dst, expected + stretch.first, stretch.count * sizeof(*dst));
}

static void test_read(void **state)
{
    const struct read_row *row = *state;
    struct builder *builder = test_builder("");
    Oq__Pb__TensorProto *proto =
        builder_tensor(builder, "w", row->data_type, (const int64_t[]){(int64_t)row->nelem}, 1);
    double *values = test_alloc(row->nelem * sizeof(*values));
    float *expected = test_alloc(row->nelem * sizeof(*expected));
    for (size_t i = 0; i < row->nelem; i++) {
        values[i] = builder_random(builder) * (i % 3 == 0 ? 1e-6 : 100);
        expected[i] = stored(row->data_type, values[i]);
    }
    builder_store(builder, proto, row->storage, values, row->nelem);
    builder_initializer(builder, builder->graph, proto);
    const struct oq_tensor *tensor = &test_open(builder)->tensors[0];
    assert_int_equal(tensor->external, row->storage == BUILDER_EXTERNAL);
    for (size_t k = 0; k < 60; k++)
        check_stretch(tensor, expected, choose_stretch(builder, k, row->nelem));
}

/* Writers that sign-extend 16 bits, and numbers that are longer than they need to be. */
static const struct number_row {
    const char *name;
    struct bytes payload;
    float expected[2];
    const char *error;
} numbers[] = {
    {"as usual", INTS("\x05", "\x80\x7f\x80\xff\x02"), {1, -1}, NULL},
    {"negative", INTS("\x0c", "\x80\x7f\x80\xff\xfe\xff\xff\xff\xff\xff\xff\x01"), {1, -1}, NULL},
    {"longer than needed", INTS("\x08", "\x80\xff\x80\x00\x80\xff\x82\x00"), {1, -1}, NULL},
    {"over 64 bits",
     INTS("\x0d", "\x80\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
     {1, 1},
     "int32_data holds a number over 64 bits"},
};

static void test_numbers(void **state)
{
    const struct number_row *row = *state;
    onnxq_error error;
    struct builder *builder = test_builder("");
    Oq__Pb__TensorProto *proto = builder_tensor(builder, "w", 16, (const int64_t[]){2}, 1);
    builder_wire(builder, &proto->base, row->payload.data, row->payload.nbytes);
    builder_initializer(builder, builder->graph, proto);
    const struct oq_tensor *tensor = &test_open(builder)->tensors[0];
    float values[2];
    oq_error_init(&error);
    bool ok =
        oq_tensor_read_floats(tensor, 0, 2, values, test_alloc(OQ_READ_SCRATCH_NBYTES), &error);
    assert_int_equal(ok, row->error == NULL);
    if (ok)
        assert_memory_equal(values, row->expected, sizeof(values));
    else
        assert_string_equal(error.message, row->error);
}

/* Integers, in any encoding, from any place. */
static const struct integer_row {
    const char *name, *text;
    unsigned nbits; /* to read them as; 0: as the type says */
} integer_rows[] = {
    {"int8", "init w int8[300] = 1 -2 127 -128", 0},
    {"uint8 packed", "init w uint8[300] packed = 1 255 7", 0},
    {"int16 unpacked", "init w int16[300] unpacked = 1 -30000 7", 0},
    {"uint16 pieces", "init w uint16[300] pieces = 1 60000 7", 0},
    {"int32 external", "init w int32[300] external = 1 -2000000000 7", 0},
    {"int32 packed", "init w int32[70000] packed = 1 -2000000000 7", 0},
    {"nibbles of bytes", "init w uint8[300] = 18 240 7", 4},
    {"nibbles of packed bytes", "init w uint8[300] packed = 18 240 7", 4},
    {"pairs of bits", "init w uint8[300] packed = 18 240 7", 2},
};

static int32_t element(const struct oq_tensor *tensor, const uint8_t *raw, unsigned nbits, size_t i)
{
    struct oq_integer_type type;
    assert_true(oq_tensor_integer_type(tensor, &type));
    uint32_t value = 0;
    if (nbits < 8)
        return raw[i * nbits / 8] >> (i * nbits % 8) & ((1 << nbits) - 1);
    memcpy(&value, raw + i * nbits / 8, nbits / 8);
    if (type.is_signed && nbits < 32 && value >> (nbits - 1) != 0)
        value |= UINT32_MAX << nbits;
    return (int32_t)value;
}

static void test_integers(void **state)
{
    const struct integer_row *row = *state;
    onnxq_error error;
    const struct oq_tensor *tensor = &test_open(test_builder(row->text))->tensors[0];
    struct oq_integer_type type;
    assert_true(oq_tensor_integer_type(tensor, &type));
    if (row->nbits != 0)
        type = (struct oq_integer_type){row->nbits, false, false};
    /* The same elements in raw_data, made by the test. */
    const size_t nelem = (size_t)tensor->nelem, width = tensor->dtype->nbits / 8;
    uint8_t *raw = test_alloc(nelem * width);
    const char *text = strchr(row->text, '=') + 1;
    double cycle[4];
    size_t n = 0;
    for (char *end; n < COUNT(cycle); n++, text = end) {
        cycle[n] = strtod(text, &end);
        if (end == text)
            break;
    }
    for (size_t i = 0; i < nelem; i++)
        element_encode(element_type_by_number(tensor->proto->data_type), cycle[i % n],
                       raw + i * width);
    const size_t count = nelem * width * 8 / type.nbits;
    oq_error_init(&error);
    for (size_t first = 0; first < count; first += count / 7 + 1) {
        size_t part = count - first < 100 ? count - first : 100;
        int32_t *q = test_alloc(part * sizeof(*q));
        assert_true(oq_tensor_read_integers(tensor, type, first, part, q,
                                            test_alloc(OQ_READ_SCRATCH_NBYTES), &error));
        for (size_t i = 0; i < part; i++)
            assert_int_equal(q[i], element(tensor, raw, type.nbits, first + i));
    }
}

/* Elements with something else between them, as the encoding allows. */
static void test_scattered(void **state)
{
    (void)state;
    static const uint8_t scattered[] = {0x25, 0, 0, 0x80, 0x3f, 0x25, 0, 0, 0, 0x40, /* 1, 2 */
                                        0xf8, 7, 5,                                  /* unknown */
                                        0x25, 0, 0, 0x40, 0x40,                      /* 3 */
                                        0x22, 0,                                     /* none */
                                        0x22, 4, 0, 0,    0x80, 0x40};               /* 4 */
    static const float expected[] = {1, 2, 3, 4};
    struct builder *builder = test_builder("init a float32[2] unpacked");
    Oq__Pb__TensorProto *proto = builder_tensor(builder, "w", FLOAT, (const int64_t[]){4}, 1);
    builder_wire(builder, &proto->base, scattered, sizeof(scattered));
    builder_initializer(builder, builder->graph, proto);
    const struct oq_tensor *tensor = &test_open(builder)->tensors[1];
    for (uint64_t first = 0; first < 4; first++)
        check_stretch(tensor, expected, (struct stretch){first, (size_t)(4 - first)});
}

static void test_read_bytes(void **state)
{
    (void)state;
    onnxq_error error;
    const onnxq_model *model =
        test_model("init a int64[3] = 1 2 3; init b int64[2] external = 4 5");
    int64_t values[2];
    oq_error_init(&error);
    assert_true(model->tensors[0].contiguous && model->tensors[1].contiguous);
    assert_true(oq_tensor_read_bytes(&model->tensors[0], 8, 16, values, &error));
    assert_int_equal(values[0], 2);
    assert_int_equal(values[1], 3);
    assert_true(oq_tensor_read_bytes(&model->tensors[1], 0, 16, values, &error));
    assert_int_equal(values[1], 5);
}

/* The file shrinks after it was opened: an error with the file's name, no signal. */
static void test_shrinking_file(void **state)
{
    (void)state;
    onnxq_error error;
    const onnxq_model *model = test_model("init w float32[5000]");
    float *values = test_alloc(5000 * sizeof(*values));
    test_write_file(test_path("model.onnx"), "", 0);
    oq_error_init(&error);
    assert_false(oq_tensor_read_floats(&model->tensors[0], 0, 5000, values,
                                       test_alloc(OQ_READ_SCRATCH_NBYTES), &error));
    assert_int_equal(error.status, ONNXQ_ERROR_INPUT);
    check_text(test_error_text(&error), "model.onnx: ends early: it changed while it was read");
}

int main(void)
{
    TEST_ROWS(test_dtype, dtypes);
    TEST(test_unknown_dtypes);
    TEST_ROWS(test_size, sizes);
    TEST(test_place);
    TEST_ROWS(test_read, reads);
    TEST_ROWS(test_numbers, numbers);
    TEST_ROWS(test_integers, integer_rows);
    TEST(test_scattered);
    TEST(test_read_bytes);
    TEST(test_shrinking_file);
    return suite_run();
}
