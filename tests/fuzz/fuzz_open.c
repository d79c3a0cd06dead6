/*
 * Any bytes as a model file: open, inspect, plan, report and write, through the public
 * header alone. What must hold for all of them:
 *
 *  - a failure has a status and a message, is never "a bug in onnxq", and
 *    leaves no file behind;
 *  - a success writes the sizes that the plan announced, the same bytes with
 *    one thread and with three, and a model that opens again; a valid one where
 *    the input was.
 */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <onnxq/onnxq.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes);

/* Not assert(): it has to hold in every build. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: CHECK(%s)\n", __FILE__, __LINE__, #condition);                 \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* Two output folders, because the name of a side file is part of the model. */
static char *root, *input, *folder[2], *output[2];
static FILE *sink;
static bool input_is_valid;

static char *join(const char *parent, const char *name)
{
    char *path = malloc(strlen(parent) + strlen(name) + 2);
    CHECK(path);
    return strcat(strcat(strcpy(path, parent), "/"), name);
}

static void tear_down(void)
{
    unlink(input);
    rmdir(folder[0]);
    rmdir(folder[1]);
    rmdir(root);
}

static void set_up(void)
{
    const char *temporary = getenv("TMPDIR");
    root = join(temporary && *temporary ? temporary : "/tmp", "onnxq-fuzz-XXXXXX");
    CHECK(mkdtemp(root));
    input = join(root, "in.onnx");
    for (int i = 0; i < 2; i++) {
        folder[i] = join(root, i == 0 ? "a" : "b");
        output[i] = join(folder[i], "out.onnx");
        CHECK(mkdir(folder[i], 0700) == 0);
    }
    sink = fopen("/dev/null", "w");
    CHECK(sink);
    atexit(tear_down);
}

/* A new file each time: some file systems wait for the disk when an old one was truncated. */
static void write_file(const char *path, const uint8_t *data, size_t nbytes)
{
    unlink(path);
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(data, 1, nbytes, file) == nbytes && fclose(file) == 0);
}

static char *read_file(const char *path, size_t *nbytes)
{
    FILE *file = fopen(path, "rb");
    struct stat status;
    CHECK(file && fstat(fileno(file), &status) == 0);
    *nbytes = (size_t)status.st_size;
    char *data = malloc(*nbytes + 1);
    CHECK(data && fread(data, 1, *nbytes, file) == *nbytes);
    fclose(file);
    return data;
}

static bool is_name(const char *name)
{
    return strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static size_t count_files(const char *path)
{
    size_t n = 0;
    DIR *dir = opendir(path);
    CHECK(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        n += is_name(entry->d_name);
    closedir(dir);
    return n;
}

/* Removes the file `name` from both folders, where it must be the same. Returns its size. */
static size_t compare_and_remove(const char *name)
{
    char *bytes[2];
    size_t nbytes[2];
    for (int i = 0; i < 2; i++) {
        char *path = join(folder[i], name);
        bytes[i] = read_file(path, &nbytes[i]);
        unlink(path);
        free(path);
    }
    CHECK(nbytes[0] == nbytes[1] && memcmp(bytes[0], bytes[1], nbytes[0]) == 0);
    free(bytes[0]);
    free(bytes[1]);
    return nbytes[0];
}

/* Empties both output folders and returns the number of bytes that each of them held. */
static uint64_t compare_outputs(void)
{
    uint64_t nbytes = 0;
    CHECK(count_files(folder[0]) == count_files(folder[1]));
    DIR *dir = opendir(folder[0]);
    CHECK(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        if (is_name(entry->d_name))
            nbytes += compare_and_remove(entry->d_name);
    closedir(dir);
    return nbytes;
}

static void check_error(const onnxq_error *error)
{
    char text[2048];
    CHECK(error->status != ONNXQ_OK && error->status != ONNXQ_ERROR_INTERNAL);
    CHECK(error->message[0] != '\0');
    CHECK(onnxq_error_format(error, text, sizeof text) > 0);
    for (const char *c = text; *c; c++)
        CHECK((unsigned char)*c >= 0x20 && *c != 0x7f);
}

/*
 * Plans, reports and writes into folder i. Returns how it ended; *announced is
 * the size that the plan promised.
 */
static onnxq_status run(const onnxq_model *model, const onnxq_options *options, int i,
                        uint64_t *announced)
{
    onnxq_error error = {0};
    onnxq_plan *plan = onnxq_plan_create(model, options, &error);
    if (!plan) {
        check_error(&error);
        return error.status;
    }
    onnxq_summary summary;
    onnxq_plan_get_summary(plan, &summary);
    CHECK(summary.n_quantized <= summary.n_weights);
    CHECK(summary.n_weights <= onnxq_plan_count(plan));
    onnxq_report_table(plan, sink);
    onnxq_report_weights(plan, sink);
    onnxq_report_json(plan, input, output[i], sink);

    uint64_t model_nbytes, external_nbytes;
    onnxq_status status =
        onnxq_plan_get_output_size(plan, output[i], &model_nbytes, &external_nbytes, &error);
    if (status == ONNXQ_OK) {
        *announced = model_nbytes + external_nbytes;
        status = onnxq_plan_write(plan, output[i], &error);
    }
    if (status == ONNXQ_NOTHING_TO_DO)
        CHECK(summary.n_quantized == 0);
    else if (status != ONNXQ_OK)
        check_error(&error);
    onnxq_plan_destroy(plan);
    return status;
}

/* The same for the way back. */
static onnxq_status run_back(const onnxq_model *model, const onnxq_dequantize_options *options,
                             int i, uint64_t *announced)
{
    onnxq_error error = {0};
    onnxq_dequantization *undo = onnxq_dequantization_create(model, options, &error);
    if (!undo) {
        check_error(&error);
        return error.status;
    }
    onnxq_dequantize_summary summary;
    onnxq_dequantization_get_summary(undo, &summary);
    CHECK(summary.n_dequantized + summary.n_left == onnxq_dequantization_count(undo));
    onnxq_report_dequantization_table(undo, sink);
    onnxq_report_dequantization_nodes(undo, sink);
    onnxq_report_dequantization_json(undo, input, output[i], sink);

    uint64_t model_nbytes, external_nbytes;
    onnxq_status status = onnxq_dequantization_get_output_size(undo, output[i], &model_nbytes,
                                                               &external_nbytes, &error);
    if (status == ONNXQ_OK) {
        *announced = model_nbytes + external_nbytes;
        status = onnxq_dequantization_write(undo, output[i], &error);
    }
    if (status == ONNXQ_NOTHING_TO_DO)
        CHECK(summary.n_dequantized == 0);
    else if (status != ONNXQ_OK)
        check_error(&error);
    onnxq_dequantization_destroy(undo);
    return status;
}

/* True where nothing is wrong with the model; says what is. */
static bool is_valid(const onnxq_model *model, FILE *stream)
{
    onnxq_error error = {0};
    onnxq_validation *validation = onnxq_validation_create(model, &error);
    if (!validation) {
        check_error(&error);
        return false;
    }
    bool valid = validation->n_found == 0;
    CHECK(validation->n_problems <= ONNXQ_MAX_PROBLEMS);
    CHECK(validation->n_problems <= validation->n_found);
    onnxq_report_validation(validation, stream);
    onnxq_validation_destroy(validation);
    return valid;
}

static void inspect(const onnxq_model *model, const onnxq_options *options)
{
    onnxq_error error = {0};
    onnxq_dequantize_options back;
    onnxq_dequantize_options_init(&back);
    onnxq_inspection *inspection = onnxq_inspection_create(model, &error);
    if (!inspection) {
        check_error(&error);
        return;
    }
    onnxq_plan *estimate = onnxq_plan_estimate(model, options, &error);
    if (!estimate)
        check_error(&error);
    onnxq_dequantization *undo = onnxq_dequantization_create(model, &back, NULL);
    onnxq_validation *validation = onnxq_validation_create(model, NULL);
    for (unsigned detail = 0; detail <= 2; detail++) {
        const onnxq_inspection_style style = {.detail = detail, .unicode = detail == 1};
        onnxq_report_inspection(inspection, estimate, undo, &style, sink);
    }
    onnxq_report_inspection_json(inspection, estimate, undo, validation, input, sink);
    onnxq_validation_destroy(validation);
    if (estimate)
        CHECK(onnxq_plan_write(estimate, output[0], &error) == ONNXQ_ERROR_OPTION);
    CHECK(count_files(folder[0]) == 0);
    onnxq_dequantization_destroy(undo);
    onnxq_plan_destroy(estimate);
    onnxq_inspection_destroy(inspection);
}

/* Both folders hold what was promised, and it can be read; or nothing. */
static void check_outputs(onnxq_status status, const uint64_t announced[2])
{
    if (status == ONNXQ_OK) {
        onnxq_error error = {0};
        onnxq_model *again = onnxq_model_open(output[0], &error);
        if (!again)
            fprintf(stderr, "the output is refused: %s: %s\n", error.place, error.message);
        CHECK(again);
        CHECK(!input_is_valid || is_valid(again, stderr));
        onnxq_model_close(again);
        CHECK(announced[0] == announced[1] && compare_outputs() == announced[0]);
    } else {
        CHECK(count_files(folder[0]) == 0 && count_files(folder[1]) == 0);
    }
}

static void quantize(const onnxq_model *model, onnxq_options *options)
{
    uint64_t announced[2] = {0, 0};
    options->threads = 1;
    onnxq_status status = run(model, options, 0, &announced[0]);
    options->threads = 3;
    CHECK(run(model, options, 1, &announced[1]) == status);
    check_outputs(status, announced);
}

static void dequantize(const onnxq_model *model, onnxq_dequantize_options *options)
{
    uint64_t announced[2] = {0, 0};
    options->threads = 1;
    onnxq_status status = run_back(model, options, 0, &announced[0]);
    options->threads = 3;
    CHECK(run_back(model, options, 1, &announced[1]) == status);
    check_outputs(status, announced);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    if (!root)
        set_up();
    write_file(input, data, nbytes);

    onnxq_error error = {0};
    onnxq_model *model = onnxq_model_open(input, &error);
    if (!model) {
        check_error(&error);
        return 0;
    }
    onnxq_model_info info;
    onnxq_model_get_info(model, &info);
    CHECK(info.producer_name && info.producer_version);
    CHECK(info.file_nbytes == nbytes);
    input_is_valid = is_valid(model, sink);

    /* Corners of the option space that share few lines. */
    onnxq_options options;
    onnxq_options_init(&options);
    options.sync = false;
    options.min_elements = 1;
    inspect(model, &options);
    quantize(model, &options);

    /* Seeds are tiny: without it no product would be done in integers. */
    options.force_integer = true;
    options.conv = ONNXQ_CONV_MATMUL;
    quantize(model, &options);

    options.weight_type = ONNXQ_WEIGHT_UINT8;
    options.per_channel = false;
    options.symmetric = false;
    options.reduce_range = ONNXQ_REDUCE_BITS;
    options.conv = ONNXQ_CONV_INTEGER;
    options.external_data = ONNXQ_EXTERNAL_ALWAYS;
    options.allow_noop = true;
    quantize(model, &options);

    onnxq_dequantize_options back;
    onnxq_dequantize_options_init(&back);
    back.sync = false;
    dequantize(model, &back);
    back.float_type = ONNXQ_FLOAT16;
    back.external_data = ONNXQ_EXTERNAL_ALWAYS;
    back.freeze_inputs = true;
    dequantize(model, &back);

    onnxq_model_close(model);
    return 0;
}
