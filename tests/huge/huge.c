/*
 * A model that no 32-bit size can hold: huge FOLDER
 *
 * Two weights of 2.5 GB each in one file of 5 GB, which is nearly all holes and
 * takes no room on the disk; the output takes 1.3 GB for as long as this runs.
 * Checked are the integers that come out and the memory that it takes.
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <fcntl.h>
#include <onnxq/onnxq.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Not more rows: their sum would not fit into the int32 of MatMulInteger. */
enum { ROWS = 16 * 1024, COLUMNS = 40 * 1024, MAX_RSS_MB = 64 };
static const uint64_t weight_nbytes = (uint64_t)ROWS * COLUMNS * sizeof(float);

static void fail(const char *what)
{
    fprintf(stderr, "huge: %s\n", what);
    exit(1);
}

/* --- wire format, as much as is needed --- */

struct bytes {
    uint8_t data[512];
    size_t nbytes;
};

static void put_varint(struct bytes *bytes, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        bytes->data[bytes->nbytes++] = (uint8_t)(value | 0x80);
    bytes->data[bytes->nbytes++] = (uint8_t)value;
}

static void put_number(struct bytes *bytes, unsigned field, uint64_t value)
{
    put_varint(bytes, field << 3);
    put_varint(bytes, value);
}

/* The tag and the length; the caller goes on with that many bytes. */
static void put_length(struct bytes *bytes, unsigned field, uint64_t nbytes)
{
    put_varint(bytes, field << 3 | 2);
    put_varint(bytes, nbytes);
}

static void put(struct bytes *bytes, unsigned field, const void *data, size_t nbytes)
{
    put_length(bytes, field, nbytes);
    memcpy(bytes->data + bytes->nbytes, data, nbytes);
    bytes->nbytes += nbytes;
}

static void put_text(struct bytes *bytes, unsigned field, const char *text)
{
    put(bytes, field, text, strlen(text));
}

/* --- the model --- */

/* y = MatMul(x, w) */
static void put_node(struct bytes *graph, const char *x, const char *w, const char *y)
{
    struct bytes node = {.nbytes = 0};
    put_text(&node, 1, x);
    put_text(&node, 1, w);
    put_text(&node, 2, y);
    put_text(&node, 4, "MatMul");
    put(graph, 1, node.data, node.nbytes);
}

/* A ValueInfoProto of a float matrix, as input (11) or output (12) of the graph. */
static void put_value(struct bytes *graph, unsigned field, const char *name, uint64_t columns)
{
    struct bytes rows = {.nbytes = 0}, dim = rows, shape = rows, tensor = rows, type = rows,
                 value = rows;
    put_text(&rows, 2, "N");
    put_number(&dim, 1, columns);
    put(&shape, 1, rows.data, rows.nbytes);
    put(&shape, 1, dim.data, dim.nbytes);
    put_number(&tensor, 1, 1);
    put(&tensor, 2, shape.data, shape.nbytes);
    put(&type, 1, tensor.data, tensor.nbytes);
    put_text(&value, 1, name);
    put(&value, 2, type.data, type.nbytes);
    put(graph, field, value.data, value.nbytes);
}

/* All of an initializer but the elements, which are its last weight_nbytes. */
static struct bytes make_initializer(const char *name)
{
    struct bytes tensor = {.nbytes = 0}, field = tensor;
    put_number(&tensor, 1, ROWS);
    put_number(&tensor, 1, COLUMNS);
    put_number(&tensor, 2, 1);
    put_text(&tensor, 8, name);
    put_length(&tensor, 9, weight_nbytes);
    put_length(&field, 5, tensor.nbytes + weight_nbytes);
    memcpy(field.data + field.nbytes, tensor.data, tensor.nbytes);
    field.nbytes += tensor.nbytes;
    return field;
}

static void write_at(int fd, const void *data, size_t nbytes, uint64_t offset)
{
    if (pwrite(fd, data, nbytes, (off_t)offset) != (ssize_t)nbytes)
        fail("cannot write the model");
}

/* The first row is 1, the last one -1, all between 0. Returns the end of the elements. */
static uint64_t write_elements(int fd, uint64_t offset)
{
    static float row[COLUMNS];
    for (int i = 0; i < COLUMNS; i++)
        row[i] = 1;
    write_at(fd, row, sizeof row, offset);
    for (int i = 0; i < COLUMNS; i++)
        row[i] = -1;
    write_at(fd, row, sizeof row, offset + weight_nbytes - sizeof row);
    return offset + weight_nbytes;
}

static void write_model(const char *path)
{
    struct bytes head = {.nbytes = 0}, opset = head, graph = head;
    struct bytes initializers[2] = {make_initializer("w1"), make_initializer("w2")};
    put_node(&graph, "x1", "w1", "y1");
    put_node(&graph, "x2", "w2", "y2");
    put_text(&graph, 2, "huge");
    put_value(&graph, 11, "x1", ROWS);
    put_value(&graph, 11, "x2", ROWS);
    put_value(&graph, 12, "y1", COLUMNS);
    put_value(&graph, 12, "y2", COLUMNS);

    put_number(&opset, 2, 17);
    put_number(&head, 1, 8);
    put(&head, 8, opset.data, opset.nbytes);
    put_length(&head, 7,
               graph.nbytes + initializers[0].nbytes + initializers[1].nbytes + 2 * weight_nbytes);

    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0666);
    if (fd < 0)
        fail("cannot create the model");
    write_at(fd, head.data, head.nbytes, 0);
    write_at(fd, graph.data, graph.nbytes, head.nbytes);
    uint64_t offset = head.nbytes + graph.nbytes;
    for (int i = 0; i < 2; i++) {
        write_at(fd, initializers[i].data, initializers[i].nbytes, offset);
        offset = write_elements(fd, offset + initializers[i].nbytes);
    }
    close(fd);
}

/* --- the result --- */

/* 1 has become 127 and -1 -127, once per column and weight; a few more are in the structure. */
static void check_integers(const char *path)
{
    enum { CHUNK = 1 << 20 };
    static uint8_t chunk[CHUNK];
    uint64_t nbytes = 0, counts[256] = {0};
    FILE *file = fopen(path, "rb");
    if (!file)
        fail("no output");
    for (size_t n; (n = fread(chunk, 1, CHUNK, file)) > 0; nbytes += n)
        for (size_t i = 0; i < n; i++)
            counts[chunk[i]]++;
    fclose(file);

    uint64_t expected = 2 * COLUMNS, scales = 4 * expected, others = 0;
    for (int i = 1; i < 256; i++)
        others += i == 127 || i == 256 - 127 ? 0 : counts[i];
    if (nbytes < weight_nbytes / 2 || nbytes > weight_nbytes / 2 + (1 << 20))
        fail("the output has a wrong size");
    if (counts[127] < expected || counts[127] > expected + 100 || counts[256 - 127] < expected ||
        counts[256 - 127] > expected + 100)
        fail("the integers are not 127 and -127");
    if (others > scales + (1 << 16))
        fail("there are integers where there should be zeros");
}

static void remove_files(void)
{
    unlink("huge.onnx");
    unlink("huge.int8.onnx");
}

/* The size that the output will have, and how long it takes to tell, the model opened for it. */
static uint64_t estimate(const onnxq_options *options)
{
    struct timespec began, ended;
    onnxq_error error;
    clock_gettime(CLOCK_MONOTONIC, &began);
    onnxq_model *model = onnxq_model_open("huge.onnx", &error);
    onnxq_plan *plan = model == NULL ? NULL : onnxq_plan_estimate(model, options, &error);
    if (plan == NULL)
        fail(error.message);
    const onnxq_summary *summary = onnxq_plan_get_summary(plan);
    onnxq_plan_destroy(plan);
    onnxq_model_close(model);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    printf("estimated in %.1f ms\n", (double)(ended.tv_sec - began.tv_sec) * 1e3 +
                                         (double)(ended.tv_nsec - began.tv_nsec) / 1e6);
    return summary->nbytes_after;
}

int main(int argc, char **argv)
{
    if (argc != 2 || chdir(argv[1]) != 0) {
        fputs("usage: huge FOLDER\n", stderr);
        return 2;
    }
    atexit(remove_files);
    write_model("huge.onnx");
    onnxq_error error;
    onnxq_options options;
    onnxq_options_init(&options);
    options.output.sync = false;
    uint64_t estimated = estimate(&options);
    onnxq_status status = onnxq_quantize_file("huge.onnx", "huge.int8.onnx", &options, &error);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    if (status != ONNXQ_OK)
        fail(error.message);
    check_integers("huge.int8.onnx");
    struct stat output;
    if (stat("huge.int8.onnx", &output) != 0 || (uint64_t)output.st_size != estimated)
        fail("the estimate is wrong");
    printf("5 GB in %ld.%02ld s of processor time and %ld MB of memory\n",
           (long)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec),
           (long)((usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 10000 % 100),
           usage.ru_maxrss / 1024);
    if (usage.ru_maxrss > MAX_RSS_MB * 1024L)
        fail("more than 64 MB of memory");
    return 0;
}
