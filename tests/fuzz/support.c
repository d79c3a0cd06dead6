#define _POSIX_C_SOURCE 200809L
#include "fuzz/support.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wire/varint.h"

/* --- fields ------------------------------------------------------------------- */

/* Length of the field at data[0..nbytes), and its text where it has one; 0: none is there. */
static size_t read_field(const uint8_t *data, size_t nbytes, uint64_t *tag, struct fuzz_bytes *text)
{
    uint64_t value = 0;
    size_t n = oq_varint_decode(data, nbytes, tag), n_value;
    *text = (struct fuzz_bytes){0};
    if (n == 0)
        return 0;
    switch (*tag & 7) {
    case OQ_WIRE_64BIT:
        return nbytes - n >= 8 ? n + 8 : 0;
    case OQ_WIRE_32BIT:
        return nbytes - n >= 4 ? n + 4 : 0;
    case OQ_WIRE_VARINT:
        n_value = oq_varint_decode(data + n, nbytes - n, &value);
        return n_value > 0 ? n + n_value : 0;
    case OQ_WIRE_LENGTH:
        n_value = oq_varint_decode(data + n, nbytes - n, &value);
        n += n_value;
        if (n_value == 0 || value > nbytes - n)
            return 0;
        *text = (struct fuzz_bytes){data + n, (size_t)value};
        return n + (size_t)value;
    default:
        return 0;
    }
}

struct fuzz_bytes fuzz_find_field(const uint8_t *data, size_t nbytes, uint32_t number)
{
    struct fuzz_bytes found = {0}, text;
    uint64_t tag;
    for (size_t n; nbytes > 0; data += n, nbytes -= n) {
        n = read_field(data, nbytes, &tag, &text);
        if (n == 0)
            break;
        if (tag == ((uint64_t)number << 3 | OQ_WIRE_LENGTH))
            found = text;
    }
    return found;
}

uint8_t fuzz_byte(struct fuzz_bytes field, size_t k)
{
    return k < field.nbytes ? field.bytes[k] : 0;
}

/* --- files --------------------------------------------------------------------- */

static char *root;
static FILE *sink;

static void remove_tree(const char *path)
{
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        char *child = fuzz_join(path, entry->d_name);
        struct stat status;
        if (lstat(child, &status) == 0 && S_ISDIR(status.st_mode))
            remove_tree(child);
        else
            unlink(child);
        free(child);
    }
    if (dir)
        closedir(dir);
    rmdir(path);
}

static void tear_down(void)
{
    remove_tree(root);
    free(root);
}

char *fuzz_join(const char *parent, const char *name)
{
    char *path = malloc(strlen(parent) + strlen(name) + 2);
    CHECK(path);
    return strcat(strcat(strcpy(path, parent), "/"), name);
}

char *fuzz_path(const char *name)
{
    if (!root) {
        const char *temporary = getenv("TMPDIR");
        root = fuzz_join(temporary && *temporary ? temporary : "/tmp", "onnxq-fuzz-XXXXXX");
        CHECK(mkdtemp(root));
        atexit(tear_down);
    }
    return fuzz_join(root, name);
}

/* A new file each time: some file systems wait for the disk when an old one was truncated. */
void fuzz_write(const char *path, const uint8_t *data, size_t nbytes)
{
    unlink(path);
    FILE *file = fopen(path, "wb");
    CHECK(file && (nbytes == 0 || fwrite(data, 1, nbytes, file) == nbytes));
    CHECK(fclose(file) == 0);
}

uint8_t *fuzz_read(const char *path, size_t *nbytes)
{
    FILE *file = fopen(path, "rb");
    struct stat status;
    CHECK(file && fstat(fileno(file), &status) == 0);
    *nbytes = (size_t)status.st_size;
    uint8_t *data = malloc(*nbytes + 1);
    CHECK(data && fread(data, 1, *nbytes, file) == *nbytes);
    fclose(file);
    return data;
}

/* --- models -------------------------------------------------------------------- */

void fuzz_check_error(const onnxq_error *error)
{
    char text[2048];
    CHECK(error->status != ONNXQ_OK && error->status != ONNXQ_ERROR_INTERNAL);
    CHECK(error->message[0] != '\0');
    CHECK(onnxq_error_format(error, text, sizeof text) > 0);
    for (const char *c = text; *c; c++)
        CHECK((unsigned char)*c >= 0x20 && *c != 0x7f);
}

onnxq_model *fuzz_open(const char *path, const uint8_t *data, size_t nbytes)
{
    onnxq_error error = {0};
    fuzz_write(path, data, nbytes);
    onnxq_model *model = onnxq_model_open(path, &error);
    if (!model)
        fuzz_check_error(&error);
    return model;
}

onnxq_model *fuzz_reopen(const char *path)
{
    onnxq_error error = {0};
    onnxq_model *model = onnxq_model_open(path, &error);
    if (!model)
        fprintf(stderr, "the output is refused: %s: %s\n", error.place, error.message);
    CHECK(model);
    return model;
}

/* --- twins --------------------------------------------------------------------- */

void fuzz_twins_init(struct fuzz_twins *twins, const char *name)
{
    for (int i = 0; i < 2; i++) {
        char *path = fuzz_path(name), digit[] = {'-', (char)('0' + i), '\0'};
        twins->folders[i] = malloc(strlen(path) + sizeof digit);
        CHECK(twins->folders[i]);
        strcat(strcpy(twins->folders[i], path), digit);
        free(path);
        CHECK(mkdir(twins->folders[i], 0700) == 0);
        twins->outputs[i] = fuzz_join(twins->folders[i], "out.onnx");
        twins->threads[i] = i == 0 ? 1 : 3;
    }
    if (!sink)
        sink = fopen("/dev/null", "w");
    CHECK(sink);
}

/* Calls fn with each file of the first folder and its twin; returns how many there are. */
static size_t for_each_file(const struct fuzz_twins *twins, int i,
                            void (*fn)(const char *path, const char *twin, uint64_t *sum),
                            uint64_t *sum)
{
    size_t n = 0;
    DIR *dir = opendir(twins->folders[i]);
    CHECK(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        char *path = fuzz_join(twins->folders[i], entry->d_name);
        char *twin = fuzz_join(twins->folders[!i], entry->d_name);
        if (fn)
            fn(path, twin, sum);
        free(path);
        free(twin);
        n++;
    }
    closedir(dir);
    return n;
}

static void compare(const char *path, const char *twin, uint64_t *sum)
{
    size_t nbytes, nbytes_twin;
    uint8_t *a = fuzz_read(path, &nbytes), *b = fuzz_read(twin, &nbytes_twin);
    CHECK(nbytes == nbytes_twin && memcmp(a, b, nbytes) == 0);
    *sum += nbytes;
    free(a);
    free(b);
}

static void discard(const char *path, const char *twin, uint64_t *sum)
{
    (void)twin;
    (void)sum;
    CHECK(unlink(path) == 0);
}

void fuzz_twins_empty(const struct fuzz_twins *twins)
{
    for (int i = 0; i < 2; i++)
        for_each_file(twins, i, discard, NULL);
}

/* True where nothing is wrong with the model; the stream gets what is. */
static bool is_valid(const onnxq_model *model, FILE *stream)
{
    onnxq_error error = {0};
    onnxq_validation *validation = onnxq_validation_create(model, &error);
    if (!validation) {
        fuzz_check_error(&error);
        return false;
    }
    bool valid = validation->n_found == 0;
    CHECK(validation->n_problems <= ONNXQ_MAX_PROBLEMS);
    CHECK(validation->n_problems <= validation->n_found);
    onnxq_report_validation(validation, stream);
    onnxq_validation_destroy(validation);
    return valid;
}

/*
 * Both hold the same: what was promised, and it can be read and is valid where
 * the model was; or after a failure nothing.
 */
static void check_outputs(const struct fuzz_twins *twins, const onnxq_model *model,
                          onnxq_status status, const uint64_t announced[2])
{
    uint64_t nbytes = 0;
    size_t n_files = for_each_file(twins, 0, compare, &nbytes);
    CHECK(for_each_file(twins, 1, NULL, NULL) == n_files);
    if (status == ONNXQ_OK) {
        CHECK(announced[0] == announced[1] && announced[0] == nbytes);
        onnxq_model *again = fuzz_reopen(twins->outputs[0]);
        CHECK(!is_valid(model, sink) || is_valid(again, sink) || is_valid(again, stderr));
        onnxq_model_close(again);
    } else {
        CHECK(n_files == 0);
    }
}

static onnxq_status quantize(const struct fuzz_twins *twins, int i, const onnxq_model *model,
                             onnxq_options *options, onnxq_summary *summary, uint64_t *announced)
{
    onnxq_error error = {0};
    uint64_t model_nbytes, external_nbytes;
    const char *output = twins->outputs[i];
    options->output.threads = twins->threads[i];
    onnxq_plan *plan = onnxq_plan_create(model, options, &error);
    if (!plan) {
        fuzz_check_error(&error);
        return error.status;
    }
    *summary = *onnxq_plan_get_summary(plan);
    CHECK(summary->n_quantized <= summary->n_weights);
    CHECK(summary->n_weights <= onnxq_plan_count(plan));
    onnxq_report_table(plan, sink);
    onnxq_report_weights(plan, sink);
    onnxq_report_json(plan, "in.onnx", output, sink);

    onnxq_status status =
        onnxq_plan_get_output_size(plan, output, &model_nbytes, &external_nbytes, &error);
    if (status == ONNXQ_OK) {
        *announced = model_nbytes + external_nbytes;
        status = onnxq_plan_write(plan, output, &error);
    }
    if (status == ONNXQ_NOTHING_TO_DO)
        CHECK(summary->n_quantized == 0);
    else if (status != ONNXQ_OK)
        fuzz_check_error(&error);
    onnxq_plan_destroy(plan);
    return status;
}

onnxq_status fuzz_quantize(const struct fuzz_twins *twins, const onnxq_model *model,
                           onnxq_options *options, onnxq_summary *summary)
{
    uint64_t announced[2] = {0, 0};
    onnxq_status status = quantize(twins, 0, model, options, summary, &announced[0]);
    CHECK(quantize(twins, 1, model, options, summary, &announced[1]) == status);
    check_outputs(twins, model, status, announced);
    return status;
}

static onnxq_status dequantize(const struct fuzz_twins *twins, int i, const onnxq_model *model,
                               onnxq_dequantize_options *options, onnxq_dequantize_summary *summary,
                               uint64_t *announced)
{
    onnxq_error error = {0};
    uint64_t model_nbytes, external_nbytes;
    const char *output = twins->outputs[i];
    options->output.threads = twins->threads[i];
    onnxq_dequantization *undo = onnxq_dequantization_create(model, options, &error);
    if (!undo) {
        fuzz_check_error(&error);
        return error.status;
    }
    *summary = *onnxq_dequantization_get_summary(undo);
    CHECK(summary->n_dequantized + summary->n_left == onnxq_dequantization_count(undo));
    onnxq_report_dequantization_table(undo, sink);
    onnxq_report_dequantization_nodes(undo, sink);
    onnxq_report_dequantization_json(undo, "in.onnx", output, sink);

    onnxq_status status =
        onnxq_dequantization_get_output_size(undo, output, &model_nbytes, &external_nbytes, &error);
    if (status == ONNXQ_OK) {
        *announced = model_nbytes + external_nbytes;
        status = onnxq_dequantization_write(undo, output, &error);
    }
    if (status == ONNXQ_NOTHING_TO_DO)
        CHECK(summary->n_dequantized == 0);
    else if (status != ONNXQ_OK)
        fuzz_check_error(&error);
    onnxq_dequantization_destroy(undo);
    return status;
}

onnxq_status fuzz_dequantize(const struct fuzz_twins *twins, const onnxq_model *model,
                             onnxq_dequantize_options *options, onnxq_dequantize_summary *summary)
{
    uint64_t announced[2] = {0, 0};
    onnxq_status status = dequantize(twins, 0, model, options, summary, &announced[0]);
    CHECK(dequantize(twins, 1, model, options, summary, &announced[1]) == status);
    check_outputs(twins, model, status, announced);
    return status;
}
