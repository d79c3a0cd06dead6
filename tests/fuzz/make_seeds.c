/*
 * Fills a folder with models, and files of inputs, to start fuzzing from: make_seeds FOLDER
 *
 * They are tiny, because a mutation of a weight teaches nothing: together they
 * have every kind of field, storage and operator that onnxq looks at.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz/support.h"
#include "support/archive.h"
#include "support/text.h"

static const struct seed {
    const char *name, *text;
} seeds[] = {
    {"matmul", "ir 8; opset 17; in x float32[N,4]; init w float32[4,4]\n"
               "mm: y = MatMul(x, w); out y float32[N,4]\n"},
    {"matmul-stacked", "ir 8; opset 17; in x float32[2,N,4]; init w float32[2,4,3]\n"
                       "y = MatMul(x, w); out y float32[2,N,3]\n"},
    {"matmul-shared",
     "ir 10; opset 21; in x float32[N,4]; init w float32[4,4]\n"
     "a = MatMul(x, w); b = MatMul(x, w); c = Relu(w)\n"
     "out a float32[N,4]; out b float32[N,4]; out c float32[4,4]; out w float32[4,4]\n"},
    {"microsoft", "ir 4; opset 9; in x float32[N,4]; init w float32[4,4]\n"
                  "y = MatMul(x, w); out y float32[N,4]\n"},
    {"ir3", "ir 3; opset 8; in x float32[N,4]; in w float32[4,4]; init w float32[4,4]\n"
            "y = MatMul(x, w); out y float32[N,4]\n"},
    {"gemm", "ir 8; opset 13; in x float32[4,N]; init w float32[3,4]; init b float32[1,3]\n"
             "y = Gemm(x, w, b) transA=1 transB=1 alpha=0.5 beta=2.0; out y float32[N,3]\n"},
    {"gemm-no-bias", "ir 8; opset 13; in x float32[N,4]; init w float32[4,3]\n"
                     "y = Gemm(x, w); out y float32[N,3]\n"},
    {"conv", "ir 8; opset 17; in x float32[1,4,5,5]; init w float32[4,2,3,3]; init b float32[4]\n"
             "y = Conv(x, w, b) group=2 pads=[1,1,1,1] strides=[2,2]; out y float32\n"},
    {"conv-1d", "ir 8; opset 11; in x float32[1,2,N]; init w float32[3,2,3]\n"
                "y = Conv(x, w) auto_pad=\"SAME_UPPER\"; out y float32\n"},
    {"conv-transpose", "ir 8; opset 11; in x float32[1,2,4,4]; init w float32[2,3,2,2]\n"
                       "y = ConvTranspose(x, w); out y float32\n"},
    {"conv-pointwise", "ir 8; opset 17; in x float16[1,4,5,5]; init w float16[8,4,1,1]\n"
                       "init b float16[8]; y = Conv(x, w, b) kernel_shape=[1,1] pads=[0,0,0,0]\n"
                       "out y float16\n"},
    {"left", "ir 8; opset 17; in x float32[2,8,N]; in z float32[N,8]; init w float32[8,8]\n"
             "init c float32[8,1]; a = MatMul(w, x); b = Gemm(w, z, c) transA=1 transB=1 beta=0.5\n"
             "out a float32[2,8,N]; out b float32[8,N]\n"},
    {"attention", "ir 8; opset 17; opset com.microsoft 1; in x float32[1,N,8]; in m int32[1,N]\n"
                  "init w float32[8,24]; y, p = com.microsoft::Attention(x, w, , m) num_heads=2\n"
                  "out y float32; out p float32\n"},
    {"gather", "ir 8; opset 13; in i int64[N]; init table float32[8,4]\n"
               "y = Gather(table, i) axis=0; out y float32[N,4]\n"},
    {"lstm", "ir 8; opset 14; in x float32[N,1,3]; init w float32[1,8,3]; init r float32[1,8,2]\n"
             "init b float32[1,16]; y, h, c = LSTM(x, w, r, b) hidden_size=2\n"
             "out y float32; out h float32; out c float32\n"},
    {"constant", "ir 8; opset 17; in x float32[N,4]; w = Constant() value=float32[4,4]\n"
                 "y = MatMul(x, w); out y float32[N,4]\n"},
    {"chain", "ir 8; opset 17; in x float32[N,4]; init w float32[3,4]; init s int64[2] = 4 3\n"
              "a = Transpose(w) perm=[1,0]; b = Identity(a); c = Reshape(b, s)\n"
              "y = MatMul(x, c); out y float32[N,3]\n"},
    {"storage",
     "ir 8; opset 17; in x float32[N,4]\n"
     "init u float32[4,4] packed; init v float32[4,4] unpacked; init w float32[4,4] pieces\n"
     "a = MatMul(x, u); b = MatMul(a, v); y = MatMul(b, w); out y float32[N,4]\n"},
    {"types", "ir 10; opset 21; in x float16[N,4]; in z float64[N,4]\n"
              "init u float16[4,4]; init v float16[4,4] packed; init w float64[4,4]\n"
              "a = MatMul(x, u); b = MatMul(a, v); c = MatMul(z, w)\n"
              "out b float16[N,4]; out c float64[N,4]\n"},
    {"nan", "ir 8; opset 17; in x float32[N,4]; init w float32[4,4] @5=nan; init v float32[4,4]\n"
            "y = MatMul(x, w); z = MatMul(x, v); out y float32; out z float32\n"},
    {"if", "ir 8; opset 17; in x float32[N,4]; in c bool[]; init w float32[4,4]\n"
           "y = If(c) then_branch={ t = MatMul(x, w); out t float32[N,4] } "
           "else_branch={ init own float32[4,4]; e = MatMul(x, own); out e float32[N,4] }\n"
           "out y float32[N,4]; info h float32[N,4]; meta key value\n"},
    {"custom-domain", "ir 8; opset 17; opset custom 1; in x float32[N,4]; init w float32[4,4]\n"
                      "y = custom::MatMul(x, w); z = MatMul(y, w); out z float32[N,4]\n"},
    {"back-nbits",
     "ir 8; opset 17; opset com.microsoft 1; in x float32[N,20]; init q uint8[3,2,8]\n"
     "init s float32[6]; init z uint8[3]; init g int32[20] = 0 1; init b float32[3]\n"
     "a = com.microsoft::MatMulNBits(x, q, s, z, g, b) K=20 N=3 bits=4 block_size=16\n"
     "c = com.microsoft::MatMulNBits(x, q, s, s) K=20 N=3 bits=4 block_size=16\n"
     "init t float32[3]; d = com.microsoft::MatMulBnb4(x, q, t) K=24 N=4 block_size=32 "
     "quant_type=1\n"
     "out a float32; out c float32; out d float32\n"},
    {"back-linear",
     "ir 10; opset 21; in x float32[4,4]; init q int8[4,4]; init s float32[4]; init z int8[4]\n"
     "init t float32[2,4]; init u float32[]; init b int32[4] packed\n"
     "v = DequantizeLinear(q, s, z) axis=1; w = DequantizeLinear(q, t) axis=0 block_size=2\n"
     "c = DequantizeLinear(b, u); d = Add(x, v); e = Add(d, w); f = Add(e, c)\n"
     "p = QuantizeLinear(f, u); y = DequantizeLinear(p, u); k = Neg(y); out k float32\n"},
    {"back-dynamic",
     "ir 8; opset 17; opset com.microsoft 1; in x float32[N,4]; in i int64[N]\n"
     "init q int8[4,4]; init s float32[4]; init r float32[4,1]; init z uint8[]\n"
     "xq, xs, xz = DynamicQuantizeLinear(x); m = MatMulInteger(xq, q, xz); c = Cast(m) to=1\n"
     "t = Mul(xs, s); y = Mul(c, t); g = Gather(q, i); h = Gather(r, i); j = Cast(g) to=1\n"
     "k = Mul(j, h); f = Cast(q) to=1; w = Mul(f, s); l = MatMul(k, w)\n"
     "a = com.microsoft::MatMulIntegerToFloat(xq, q, xs, s, xz); b = "
     "com.microsoft::DynamicQuantizeMatMul(x, q, s)\n"
     "out y float32; out l float32; out a float32; out b float32\n"},
    {"back-conv",
     "ir 8; opset 17; in x float32[1,2,5,5]; init q uint8[3,2,3,3]; init s float32[3,1,1]\n"
     "init z uint8[]; init b float32[3]; init h int64[3] = 3 1 1; xq, xs, xz = "
     "DynamicQuantizeLinear(x)\n"
     "m = ConvInteger(xq, q, xz, z); c = Cast(m) to=1; t = Mul(xs, s); u = Mul(c, t)\n"
     "r = Reshape(b, h); y = Add(u, r); out y float32\n"},
    {"back-others",
     "ir 8; opset 17; opset com.microsoft 1; in x float32[N,1,3]; in i int64[N]\n"
     "init w int8[1,3,8]; init r int8[1,2,8]; init s float32[1,8]; init z int8[1,8]\n"
     "y = com.microsoft::DynamicQuantizeLSTM(x, w, r, , , , , , s, z, s, z) hidden_size=2\n"
     "init t uint8[4,16]; init u float32[4,2]; init v uint8[4,1]\n"
     "g = com.microsoft::GatherBlockQuantized(t, i, u, v) block_size=16 quantize_axis=1 bits=4\n"
     "out y float32; out g float32\n"},
};

/* What tests/fuzz/support.h calls FUZZ_OPTIONS, as fuzz_quantize.c reads it. */
static const uint8_t options[][16] = {
    {0, 0, 0, 0, 0, 0, 0, 0, 0, 0x04},           /* dynamic, integers by force */
    {0, 0, 0, 1, 1, 1, 0, 1, 0, 0x07, 2, 3, 1},  /* uint8, reduced, ConvInteger, side file */
    {0, 0, 0, 0, 2, 3, 2, 0, 0, 0x0c, 1, 1, 16}, /* pairs, MatMul for Conv, 16 bits folded */
    {1, 0, 0, 0, 0, 0, 1, 2, 0, 0x20, 3, 2, 2},  /* weights */
    {2, 0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0, 4, 17}, /* QDQ, not symmetric */
    {2, 1, 1, 0, 0, 0, 0, 1, 0, 0x00, 2, 2, 3},  /* QDQ, 4 bits in blocks of 16 */
    {3, 0, 1, 0, 0, 0, 0, 0, 0, 0x04, 1, 5},     /* blocks, 8 bits */
    {3, 1, 2, 0, 0, 0, 0, 1, 0, 0x05, 0, 0, 1},  /* blocks, 4 bits, not symmetric */
    {3, 2, 1, 0, 0, 0, 0, 0, 0, 0x04, 3, 1, 16}, /* NF4 */
};

/* FUZZ_TEXT, as fuzz_selectors.c reads it. */
static const char *const selectors[] = {
    "+*w\n-=y", "-/^[a-c]$\n+*?", "+:MatMul\n-*mm", "+=x\n-=x", "-*[!a-w]\n-:Gather\n+/b|y",
};

static void put(FILE *file, unsigned number, const void *bytes, size_t nbytes)
{
    const unsigned tag = number << 3 | 2; /* of 14 bits */
    fprintf(file, "%c%c%c", (int)((tag & 0x7f) | 0x80), (int)(tag >> 7), (int)nbytes);
    fwrite(bytes, 1, nbytes, file);
}

/* A model alone, with the next set of options and selectors. */
static bool write_seed(const struct seed *seed, size_t number, const char *folder, bool has_options)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s%s.onnx", folder, seed->name, has_options ? "-options" : "");
    struct builder builder;
    text_parse(&builder, seed->text);
    bool ok = builder_write(&builder, path);
    FILE *file = ok && has_options ? fopen(path, "ab") : NULL;
    if (file) {
        const char *lines = selectors[number % (sizeof selectors / sizeof selectors[0])];
        put(file, FUZZ_TEXT, lines, strlen(lines));
        put(file, FUZZ_OPTIONS, options[number % (sizeof options / sizeof options[0])], 16);
        ok = fclose(file) == 0;
    } else {
        ok = ok && !has_options;
    }
    if (!ok)
        fprintf(stderr, "make_seeds: %s: %s\n", path, strerror(errno));
    builder_fini(&builder);
    return ok;
}

/* A model and, inside of it, another one of the same graph. */
static bool write_pair(const char *folder, const char *name, const char *first, const char *second)
{
    char path[4096];
    uint8_t bytes[4096];
    struct builder builder;
    snprintf(path, sizeof path, "%s/%s.onnx", folder, name);
    text_parse(&builder, second);
    size_t nbytes = oq__pb__model_proto__get_packed_size(builder.model);
    bool ok = nbytes <= sizeof bytes;
    if (ok)
        oq__pb__model_proto__pack(builder.model, bytes);
    builder_fini(&builder);
    text_parse(&builder, first);
    ok = ok && builder_write(&builder, path);
    builder_fini(&builder);
    FILE *file = ok ? fopen(path, "ab") : NULL;
    if (file) {
        const unsigned tag = FUZZ_MODEL << 3 | 2;
        fprintf(file, "%c%c%c%c", (int)((tag & 0x7f) | 0x80), (int)(tag >> 7),
                (int)((nbytes & 0x7f) | 0x80), (int)(nbytes >> 7));
        fwrite(bytes, 1, nbytes, file);
        ok = fclose(file) == 0;
    }
    if (!ok || !file)
        fprintf(stderr, "make_seeds: %s: %s\n", path, strerror(errno));
    return ok && file;
}

static bool write_pairs(const char *folder)
{
    static const char head[] = "ir 8; opset 17; opset com.microsoft 1; in x float32[N,4]\n";
    static const char *const pairs[][3] = {
        {"pair-dynamic", "init w float32[4,2]; mm: h = MatMul(x, w); y = Relu(h); out y float32",
         "init wq int8[4,2]; init ws float32[2]; xq, xs, xz = DynamicQuantizeLinear(x)\n"
         "hi = MatMulInteger(xq, wq, xz); hc = Cast(hi) to=1; hs = Mul(xs, ws)\n"
         "h = Mul(hc, hs); y = Relu(h); out y float32"},
        {"pair-folded",
         "init w float32[4,2]; in c bool[]; h = MatMul(x, w)\n"
         "y = If(c) then_branch={ t = Relu(h); out t float32 } else_branch={ e = MatMul(x, w); "
         "out e float32 }; out y float32",
         "init wq int8[4,2]; init ws float32; in c bool[]; w = DequantizeLinear(wq, ws)\n"
         "h = MatMul(x, w); y = If(c) then_branch={ t = Relu(h); out t float32 } "
         "else_branch={ e = MatMul(x, w); out e float32 }; out y float32"},
    };
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof pairs / sizeof pairs[0]; i++) {
        char first[1024], second[1024];
        snprintf(first, sizeof first, "%s%s", head, pairs[i][1]);
        snprintf(second, sizeof second, "%s%s", head, pairs[i][2]);
        ok = write_pair(folder, pairs[i][0], first, second);
    }
    return ok;
}

/* --- side files, profiles, plans and ranges ------------------------------------ */

/* Of fuzz_external.c, fuzz_measured.c, fuzz_picture.c, fuzz_plan.c, fuzz_profile.c and
 * fuzz_ranges.c. */
static const char *const texts[][2] = {
    {"external-ranges", "location\tw.bin\toffset\t16\tlength\t32\tdims\t32\n"
                        "location\tsub/v.bin\tdims\t300\nlocation\tempty\tdims\t0\n"
                        "location\thole\toffset\t1073741820\tdims\t4\n"
                        "location\tw.bin\toffset\t18446744073709551615\tdims\t2"},
    {"external-links", "location\tlink\tdims\t8\nlocation\tsub/back\tdims\t8\n"
                       "location\tout\tdims\t1\nlocation\tup/outside/secret\n"
                       "location\toutside/secret\nlocation\tloop\nlocation\tdangling"},
    {"external-kinds", "location\tfifo\nlocation\tzero\nlocation\tsub\nlocation\tself\n"
                       "location\tthrough/../w.bin\nlocation\t../outside/secret\n"
                       "location\t/dev/null\nlocation\t\nlocation\tmodel.onnx\tdims\t64"},
    {"profile",
     "[\n"
     "{\"cat\" : \"Session\",\"dur\" :9,\"ts\" :0,\"ph\" : \"X\",\"name\" :\"model_run\",\"args\" "
     ": {}},\n"
     "{\"cat\" : \"Session\",\"dur\" :90,\"ts\" :10,\"name\" :\"model_run\",\"args\" : {}},\n"
     "{\"cat\" : \"Node\",\"dur\" :20,\"ts\" :11,\"name\" :\"a_kernel_time\",\"args\" : "
     "{\"op_name\" : "
     "\"If\"}},\n"
     "{\"cat\" : \"Node\",\"dur\" :5.5,\"ts\" :12,\"name\" :\"b_kernel_time\",\"args\" : "
     "{\"op_name\" : \"Add\"}}\n]\n"},
    {"plan",
     "{\"onnxq_plan\": 1,\n\"model\": {\"digest\": \"0123456789abcdef\", \"node_outputs\": 2},\n"
     "\"weights\": [{\"node\": \"n\", \"weight\": \"w\", \"form\": \"integers\", "
     "\"divisors\": [1, 0.5], \"columns\": [0, 7]},\n"
     "{\"node\": \"m\", \"weight\": \"v\", \"form\": \"blocks-4\"}],\n"
     "\"ranges\": {\"onnxq_ranges\": 1, \"model\": {\"digest\": \"0123456789abcdef\", "
     "\"node_outputs\": 2}, \"runs\": 1, \"drawn_runs\": 0, \"values\": []}}\n"},
    {"measured",
     "{\"onnxq_measured\": 1,\n\"model\": {\"digest\": \"0000000000000001\", "
     "\"node_outputs\": 2},\n\"onnxq\": \"1\", \"engine\": \"2\", \"machine\": \"3\", "
     "\"inputs\": \"0000000000000000\",\n\"measured\": [{\"what\": \"error\", \"of\": \"n\", "
     "\"form\": \"folded\", \"value\": 1e-5}]}\n"},
    {"picture", "P6 # 2 pixels\n2 1 255\nabcdef"},
    {"ranges",
     "{\"onnxq_ranges\": 1,\n\"model\": {\"digest\": \"0123456789abcdef\", \"node_outputs\": 2},\n"
     "\"runs\": 2, \"drawn_runs\": 0,\n\"values\": [\n"
     "{\"name\": \"x\", \"tensors\": 0, \"count\": 0, \"zeros\": 0, \"nan\": 2, \"infinite\": 0},\n"
     "{\"name\": \"z\", \"tensors\": 1, \"count\": 4, \"zeros\": 4, \"nan\": 0, \"infinite\": 0, "
     "\"min\": 0, \"max\": 0, \"mean\": 0, "
     "\"histogram\": {\"exponent\": -149, \"first\": 0, \"counts\": [4]}},\n"
     "{\"name\": \"y\", \"tensors\": 1, \"count\": 4, \"zeros\": 0, \"nan\": 0, \"infinite\": 0, "
     "\"min\": 1, \"max\": 1.0001, \"mean\": 1.00002,\n"
     "\"histogram\": {\"exponent\": -15, \"first\": 32768, \"counts\": [2, 1, 0, 1]},\n"
     "\"channels\": {\"axis\": 1, \"count\": 2, \"min\": [1, 1e0], \"max\": [1, 1.0001], "
     "\"mean\": [1, 1.00004]}}]}\n"},
};

/* Of fuzz_checkpoint.c: the header of a module of GPTQ, and one of AWQ; data are letters. */
static const char *const headers[][2] = {
    {"checkpoint-gptq",
     "{\"__metadata__\":{\"format\":\"pt\"},"
     "\"a.m.qweight\":{\"dtype\":\"I32\",\"shape\":[4,8],\"data_offsets\":[0,128]},"
     "\"a.m.qzeros\":{\"dtype\":\"I32\",\"shape\":[2,1],\"data_offsets\":[128,136]},"
     "\"a.m.scales\":{\"dtype\":\"F16\",\"shape\":[2,8],\"data_offsets\":[136,168]},"
     "\"a.m.g_idx\":{\"dtype\":\"I32\",\"shape\":[32],\"data_offsets\":[168,296]}}"},
    {"checkpoint-awq",
     "{\"a.m.qweight\":{\"dtype\":\"I32\",\"shape\":[32,1],\"data_offsets\":[0,128]},"
     "\"a.m.qzeros\":{\"dtype\":\"I32\",\"shape\":[1,1],\"data_offsets\":[128,132]},"
     "\"a.m.scales\":{\"dtype\":\"BF16\",\"shape\":[1,8],\"data_offsets\":[132,148]}}"},
};

#define DATA_NBYTES 296

static bool write_headers(const char *folder)
{
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof headers / sizeof headers[0]; i++) {
        char path[4096];
        const size_t n = strlen(headers[i][1]);
        snprintf(path, sizeof path, "%s/%s", folder, headers[i][0]);
        FILE *file = fopen(path, "wb");
        ok = file != NULL;
        for (size_t k = 0; ok && k < 8; k++)
            ok = fputc((int)(n >> (8 * k) & 255), file) != EOF;
        ok = ok && fputs(headers[i][1], file) >= 0;
        for (size_t k = 0; ok && k < DATA_NBYTES; k++)
            ok = fputc(k < 168 ? 'w' : k % 4 == 0 ? (int)(k / 4 % 2) : 0, file) != EOF;
        if (file && fclose(file) != 0)
            ok = false;
        if (!ok)
            fprintf(stderr, "make_seeds: %s: %s\n", path, strerror(errno));
    }
    return ok;
}

static bool write_texts(const char *folder)
{
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof texts / sizeof texts[0]; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, texts[i][0]);
        FILE *file = fopen(path, "wb");
        ok = file && fputs(texts[i][1], file) >= 0;
        if (file && fclose(file) != 0)
            ok = false;
        if (!ok)
            fprintf(stderr, "make_seeds: %s: %s\n", path, strerror(errno));
    }
    return ok;
}

/* --- inputs ----------------------------------------------------------------- */

static const struct array_seed {
    const char *name, *descr, *shape;
    const char *elements;
    size_t nbytes;
} array_seeds[] = {
    {"numbers", "<f4", "(2, 1)", "abcdefgh", 8},
    {"swapped", ">i2", "(3,)", "abcdef", 6},
    {"booleans", "|b1", "()", "\1", 1},
    {"bytes", "|S3", "(2,)", "abc\0\0", 6},
    {"text", "<U2", "(2,)", "a\0\0\0\0\0\0\0\xe4\0\0\0b\0\0", 16},
};

static bool write_bytes(const char *folder, const char *name, const char *ending,
                        const struct builder_bytes *bytes)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.%s", folder, name, ending);
    FILE *file = fopen(path, "wb");
    bool ok = file && fwrite(bytes->bytes, 1, bytes->nbytes, file) == bytes->nbytes;
    if (file && fclose(file) != 0)
        ok = false;
    if (!ok)
        fprintf(stderr, "make_seeds: %s: %s\n", path, strerror(errno));
    return ok;
}

/* Each array in a file of its own, and all of them in an archive of each form. */
static bool write_arrays(const char *folder)
{
    struct builder builder;
    builder_init(&builder);
    struct archive stored = {.bytes = {.builder = &builder}}, deflated = stored;
    bool ok = true;
    for (size_t i = 0; i < sizeof array_seeds / sizeof array_seeds[0]; i++) {
        const struct array_seed *seed = &array_seeds[i];
        struct builder_bytes bytes = {.builder = &builder};
        char name[32];
        archive_put_npy(&bytes, 1 + (unsigned)i % 3,
                        archive_npy_header(&builder, seed->descr, seed->shape), seed->elements,
                        seed->nbytes);
        ok = ok && write_bytes(folder, seed->name, "npy", &bytes);
        snprintf(name, sizeof name, "%s.npy", seed->name);
        archive_add(&stored, name, ARCHIVE_STORED, bytes.bytes, bytes.nbytes);
        archive_add(&deflated, name, ARCHIVE_DEFLATED | ARCHIVE_ZIP64, bytes.bytes, bytes.nbytes);
    }
    archive_end(&stored, false, "");
    archive_end(&deflated, true, "comment");
    ok = ok && write_bytes(folder, "stored", "npz", &stored.bytes) &&
         write_bytes(folder, "deflated", "npz", &deflated.bytes);
    builder_fini(&builder);
    return ok;
}

/* Of TensorProto's fields: dims 1, data_type 2, float_data 4, int32_data 5, string_data 6, ... */
static const struct tensor_seed {
    const char *name, *bytes;
    size_t nbytes;
} tensor_seeds[] = {
#define TENSOR(name, bytes)                                                                        \
    {                                                                                              \
        name, bytes, sizeof(bytes) - 1                                                             \
    }
    TENSOR("tensor-raw", "\x08\2\x10\1\x42\1x\x4a\x08zzzzzzzz"),
    TENSOR("tensor-typed", "\x08\2\x10\7\x3a\3\xff\1\2"),
    TENSOR("tensor-pieces", "\x08\3\x10\x0a\x2a\1\7\x28\7\x2a\1\7"),
    TENSOR("tensor-floats", "\x08\2\x10\1\x22\4zzzz\x25zzzz"),
    TENSOR("tensor-narrow", "\x08\3\x10\x16\x2a\2\x2f\1"),
    TENSOR("tensor-strings", "\x08\2\x10\x08\x32\2ab\x32\0"),
    TENSOR("tensor-sequence", "\x10\1\x1a\7\x08\1\x10\2\x4a\1\7"),
};

static bool write_tensors(const char *folder)
{
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof tensor_seeds / sizeof tensor_seeds[0]; i++) {
        const struct tensor_seed *seed = &tensor_seeds[i];
        const struct builder_bytes bytes = {.bytes = (uint8_t *)(uintptr_t)seed->bytes,
                                            .nbytes = seed->nbytes};
        ok = write_bytes(folder, seed->name, "pb", &bytes);
    }
    return ok;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: make_seeds FOLDER\n", stderr);
        return 2;
    }
    mkdir(argv[1], 0777); /* where that fails, the first seed says so */
    for (size_t i = 0; i < sizeof seeds / sizeof seeds[0]; i++)
        if (!write_seed(&seeds[i], i, argv[1], false) || !write_seed(&seeds[i], i, argv[1], true))
            return 1;
    return write_pairs(argv[1]) && write_texts(argv[1]) && write_headers(argv[1]) &&
                   write_arrays(argv[1]) && write_tensors(argv[1])
               ? 0
               : 1;
}
