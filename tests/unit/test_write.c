/* The output as files: bytes, side files, what is refused, what is left behind. */
#define _XOPEN_SOURCE     700
#define _FILE_OFFSET_BITS 64
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/adjust.h"
#include "support/models.h"
#include "support/sound.h"

/* Several MB, and so several pieces of work: dynamic, turned, folded and kept weights. */
#define LARGE                                                                                      \
    "opset 17; opset custom 1; in x float32\n"                                                     \
    "init a float32[1024,1500]; init b float32[1500,1024]\n"                                       \
    "init c float32[64,64,9,9]; init d int64[200000]; init e float32[3]; init f float32[1100]\n"   \
    "p = MatMul(x, a); q = Gemm(x, b) transB=1; r = Conv(x, c); s = custom::Op(d, e, f)\n"

#define SMALL "opset 17; in x float32; init w float32[256,256]; y = MatMul(x, w)\n"

static const struct mode_row {
    const char *name;
    onnxq_external_data mode;
    bool side_in, side_out;
} modes[] = {
    {"never", ONNXQ_EXTERNAL_NEVER, false, false},
    {"never, with a side file", ONNXQ_EXTERNAL_NEVER, true, false},
    {"always", ONNXQ_EXTERNAL_ALWAYS, false, true},
    {"always, with a side file", ONNXQ_EXTERNAL_ALWAYS, true, true},
    {"auto", ONNXQ_EXTERNAL_AUTO, false, false},
    {"auto, with a side file", ONNXQ_EXTERNAL_AUTO, true, true},
};

static struct builder *make_large(bool side)
{
    return test_builder(
        side
            ? "opset 17; opset custom 1; in x float32; init a float32[1024,1500] external\n"
              "init b float32[1500,1024] external; init c float32[64,64,9,9]\n"
              "init d int64[200000] external; init e float32[3] external; init f float32[1100]\n"
              "p = MatMul(x, a); q = Gemm(x, b) transB=1; r = Conv(x, c); s = custom::Op(d, e, f)\n"
            : LARGE);
}

/* --- the same bytes, whatever does the work --- */

static void test_same_bytes(void **state)
{
    const struct mode_row *row = *state;
    const onnxq_model *model = test_open(make_large(row->side_in));
    const uint8_t *first = NULL, *first_side = NULL;
    size_t first_nbytes = 0, first_side_nbytes = 0;
    static const unsigned threads[] = {1, 2, 3, 8, 0, 1};
    for (size_t i = 0; i < COUNT(threads); i++) {
        size_t nbytes, side_nbytes = 0;
        onnxq_options options = test_options();
        options.output.external_data = row->mode;
        options.output.threads = threads[i];
        options.output.sync = i == 0;
        const char *path = test_write(test_plan(model, &options));
        const uint8_t *bytes = test_read_file(path, &nbytes), *side = NULL;
        assert_int_equal(test_exists(test_path("out.onnx.data")), row->side_out);
        if (row->side_out)
            side = test_read_file(test_path("out.onnx.data"), &side_nbytes);
        if (i > 0) {
            assert_int_equal(nbytes, first_nbytes);
            assert_memory_equal(bytes, first, nbytes);
            assert_int_equal(side_nbytes, first_side_nbytes);
            if (side != NULL)
                assert_memory_equal(side, first_side, side_nbytes);
        }
        first = bytes;
        first_side = side;
        first_nbytes = nbytes;
        first_side_nbytes = side_nbytes;
    }
}

/* --- what is where --- */

static const char *entry(const Oq__Pb__TensorProto *tensor, const char *key)
{
    for (size_t i = 0; i < tensor->n_external_data; i++)
        if (strcmp(tensor->external_data[i]->key, key) == 0)
            return tensor->external_data[i]->value;
    return "";
}

/* Large tensors are in the side file, each on a page of its own; small ones are in the model. */
static void check_places(const Oq__Pb__GraphProto *graph, const char *location, size_t side_nbytes)
{
    size_t end = 0;
    for (size_t i = 0; i < graph->n_initializer; i++) {
        const Oq__Pb__TensorProto *tensor = graph->initializer[i];
        if (tensor->n_external_data == 0) {
            assert_compare(tensor->raw_data.len, <, 4096);
            assert_false(tensor->has_data_location);
            continue;
        }
        size_t offset = strtoul(entry(tensor, "offset"), NULL, 10);
        size_t length = strtoul(entry(tensor, "length"), NULL, 10);
        assert_false(tensor->has_raw_data);
        assert_int_equal(tensor->data_location, OQ__PB__TENSOR_PROTO__DATA_LOCATION__EXTERNAL);
        assert_string_equal(entry(tensor, "location"), location);
        assert_int_equal(offset % 4096, 0);
        assert_true(length >= 4096 && offset >= end && offset - end < 4096);
        end = offset + length;
    }
    assert_int_equal(end, side_nbytes);
}

static size_t file_nbytes(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? (size_t)status.st_size : 0;
}

/* The sizes were known before; the numbers are those of the same weights in one file. */
static void test_places(void **state)
{
    const struct mode_row *row = *state;
    onnxq_error error;
    uint64_t model_nbytes, side_nbytes;
    onnxq_options options = test_options();
    struct builder *builder = make_large(row->side_in);
    const onnxq_model *model = test_open(builder);
    options.output.external_data = row->mode;
    const onnxq_plan *plan = test_plan(model, &options);
    assert_int_equal(onnxq_plan_get_output_size(plan, test_path("out.onnx"), &model_nbytes,
                                                &side_nbytes, &error),
                     ONNXQ_OK);
    const char *path = test_write(plan);
    assert_int_equal(file_nbytes(path), model_nbytes);
    assert_int_equal(file_nbytes(test_path("out.onnx.data")), side_nbytes);
    const onnxq_summary *summary = onnxq_plan_get_summary(plan);
    assert_int_equal(summary->external_nbytes_after, side_nbytes);
    /* Its name is not known yet: "model.onnx.data" is two letters longer, for each tensor. */
    uint64_t slack = row->side_out ? 2 * 16 * 2 : 0;
    assert_in_range(summary->nbytes_after, model_nbytes + side_nbytes,
                    model_nbytes + side_nbytes + slack);

    Oq__Pb__ModelProto *written = test_read_model(path);
    check_sound(written);
    if (row->side_out)
        check_places(written->graph, "out.onnx.data", (size_t)side_nbytes);
    options.output.external_data = ONNXQ_EXTERNAL_NEVER;
    const char *whole_path = test_write_as(test_plan(model, &options), "whole.onnx");
    const Oq__Pb__GraphProto *whole = test_read_model(whole_path)->graph;
    assert_int_equal(written->graph->n_initializer, whole->n_initializer);
    for (size_t i = 0; i < whole->n_initializer; i++) {
        size_t nbytes, expected_nbytes;
        const void *bytes = test_elements(path, written->graph->initializer[i], &nbytes);
        const void *expected = test_elements(whole_path, whole->initializer[i], &expected_nbytes);
        assert_string_equal(written->graph->initializer[i]->name, whole->initializer[i]->name);
        assert_int_equal(nbytes, expected_nbytes);
        assert_memory_equal(bytes, expected, nbytes);
    }
}

/* What was kept of the side file is copied: the output stands alone. There is nothing left to do.
 */
static void test_stands_alone(void **state)
{
    const struct mode_row *row = *state;
    onnxq_options options = test_options();
    options.output.external_data = row->mode;
    test_write(test_plan(test_open(make_large(row->side_in)), &options));
    unlink(test_path("model.onnx"));
    unlink(test_path("model.onnx.data"));
    check_text(test_files(), row->side_out ? "out.onnx out.onnx.data" : "out.onnx");
    assert_int_equal(
        onnxq_quantize_file(test_path("out.onnx"), test_path("again.onnx"), &options, NULL),
        ONNXQ_NOTHING_TO_DO);
}

/* One plan, several outputs: each names its own side file, and is right. */
static void test_twice(void **state)
{
    const struct mode_row *row = *state;
    static const char *const names[] = {"first.onnx", "a-longer-name.onnx", "first.onnx"};
    onnxq_options options = test_options();
    options.output.external_data = row->mode;
    const onnxq_plan *plan = test_plan(test_open(make_large(row->side_in)), &options);
    for (size_t i = 0; i < COUNT(names); i++) {
        const char *path = test_write_as(plan, names[i]);
        test_open_path(path);
        const Oq__Pb__TensorProto *a = test_tensor(test_read_model(path)->graph, "a_quantized");
        if (row->side_out)
            assert_string_equal(entry(a, "location"), test_printf("%s.data", names[i]));
        else
            assert_int_equal(a->raw_data.len, 1024 * 1500);
    }
}

/* --- input and output --- */

static const struct refused_row {
    const char *name;
    const char *output;
    onnxq_external_data mode;
    const char *expected;
} refused[] = {
    {"the model", "model.onnx", ONNXQ_EXTERNAL_NEVER, "model.onnx"},
    {"the model by another way", "./sub/../model.onnx", ONNXQ_EXTERNAL_NEVER,
     "./sub/../model.onnx"},
    {"a link to the model", "link", ONNXQ_EXTERNAL_NEVER, "link"},
    {"another name of the model", "hard", ONNXQ_EXTERNAL_NEVER, "hard"},
    {"the side file", "model.onnx.data", ONNXQ_EXTERNAL_NEVER, "model.onnx.data"},
    {"a link to the side file", "side-link", ONNXQ_EXTERNAL_NEVER, "side-link"},
    {"a side file that is the side file", "m", ONNXQ_EXTERNAL_ALWAYS, "m.data"},
};

static void test_is_input(void **state)
{
    const struct refused_row *row = *state;
    onnxq_error error;
    onnxq_options options = test_options();
    struct builder *builder =
        test_builder("opset 17; in x float32; init w float32[256,256] external; y = MatMul(x, w)");
    assert_int_equal(mkdir(test_path("sub"), 0777), 0);
    const onnxq_model *model = test_open(builder);
    assert_int_equal(symlink("model.onnx", test_path("link")), 0);
    assert_int_equal(symlink("model.onnx.data", test_path("side-link")), 0);
    assert_int_equal(link(test_path("model.onnx"), test_path("hard")), 0);
    assert_int_equal(link(test_path("model.onnx.data"), test_path("m.data")), 0);
    const char *before = test_files();
    options.output.external_data = row->mode;
    const onnxq_plan *plan = test_plan(model, &options);
    assert_int_equal(onnxq_plan_write(plan, test_path(row->output), &error), ONNXQ_ERROR_OPTION);
    check_text(
        test_error_text(&error),
        test_printf("%s: is an input file, expected another name for the output", row->expected));
    check_text(test_files(), before);
    test_open_path(test_path("model.onnx"));
}

/* --- what cannot be written --- */

static onnxq_status write_small(const char *path, void (*adjust)(onnxq_options *options),
                                onnxq_error *error)
{
    onnxq_options options = test_options();
    if (adjust != NULL)
        adjust(&options);
    return onnxq_plan_write(test_plan(test_model(SMALL), &options), path, error);
}

static const struct failing_row {
    const char *name, *output, *expected;
    adjust_fn adjust;
} failing[] = {
    {"a folder", "folder", "folder: cannot write: Is a directory", NULL},
    {"a missing folder", "nowhere/out.onnx",
     "nowhere/out.onnx: cannot create: No such file or directory", NULL},
    {"a folder that is a file", "model.onnx/out.onnx",
     "model.onnx/out.onnx: cannot create: Not a directory", NULL},
    {"a side file that is a folder", "taken",
     "taken.data: cannot write: is a folder, expected a file or nothing", adjust_external_always},
};

static void test_failing(void **state)
{
    const struct failing_row *row = *state;
    onnxq_error error;
    assert_int_equal(mkdir(test_path("folder"), 0777), 0);
    assert_int_equal(mkdir(test_path("taken.data"), 0777), 0);
    assert_int_equal(write_small(test_path(row->output), row->adjust, &error), ONNXQ_ERROR_OUTPUT);
    check_text(test_error_text(&error), row->expected);
    check_text(test_files(), "folder model.onnx taken.data");
}

static void test_full_device(void **state)
{
    (void)state;
    onnxq_error error;
    if (access("/dev/full", W_OK) != 0)
        skip();
    assert_int_equal(write_small("/dev/full", NULL, &error), ONNXQ_ERROR_OUTPUT);
    check_text(test_error_text(&error), "/dev/full: cannot write: No space left on device");
}

/* Over 2 GB in one file: refused before anything is written. The weight has no blocks. */
static void test_over_2_gb(void **state)
{
    (void)state;
    onnxq_error error;
    uint64_t model_nbytes, side_nbytes;
    struct builder *builder = test_builder(SMALL "z = custom::Op(big)");
    Oq__Pb__TensorProto *big =
        builder_tensor(builder, "big", 2, (const int64_t[]){(int64_t)1 << 31}, 1);
    builder_external(builder, big, "location", "side");
    builder_initializer(builder, builder->graph, big);
    test_write_file(test_path("side"), "", 0);
    if (truncate(test_path("side"), (off_t)1 << 31) != 0)
        skip(); /* no sparse files here */
    const onnxq_model *model = test_open(builder);
    onnxq_options options = test_options();
    const onnxq_plan *plan = test_plan(model, &options);
    assert_int_equal(
        onnxq_plan_get_output_size(plan, "out.onnx", &model_nbytes, &side_nbytes, &error),
        ONNXQ_OK);
    assert_true(side_nbytes > (uint64_t)1 << 31 && model_nbytes < 8192);

    options.output.external_data = ONNXQ_EXTERNAL_NEVER;
    assert_null(onnxq_plan_create(model, &options, &error));
    assert_int_equal(error.status, ONNXQ_ERROR_OPTION);
    assert_string_equal(error.hint,
                        "let the weights go to a side file: options.output.external_data=auto");
}

/* --- existing files --- */

static void keep_existing(onnxq_options *options)
{
    options->output.keep_existing = true;
}

static void keep_existing_external(onnxq_options *options)
{
    options->output.keep_existing = true;
    options->output.external_data = ONNXQ_EXTERNAL_ALWAYS;
}

static void test_replace(void **state)
{
    (void)state;
    onnxq_error error;
    size_t nbytes;
    test_write_file(test_path("out.onnx"), "before", 6);
    assert_int_equal(write_small(test_path("out.onnx"), keep_existing, &error), ONNXQ_ERROR_OUTPUT);
    check_text(test_error_text(&error), "out.onnx: exists already");
    assert_memory_equal(test_read_file(test_path("out.onnx"), &nbytes), "before", 7);

    assert_int_equal(write_small(test_path("out.onnx"), NULL, &error), ONNXQ_OK);
    test_open_path(test_path("out.onnx"));
    check_text(test_files(), "model.onnx out.onnx");
    assert_int_equal(write_small(test_path("new.onnx"), keep_existing, &error), ONNXQ_OK);

    test_write_file(test_path("side.onnx.data"), "before", 6);
    assert_int_equal(write_small(test_path("side.onnx"), keep_existing_external, &error),
                     ONNXQ_ERROR_OUTPUT);
    check_text(test_error_text(&error), "side.onnx.data: exists already");
    assert_false(test_exists(test_path("side.onnx")));
}

/* --- nothing to do --- */

static void allow_noop(onnxq_options *options)
{
    options->output.allow_noop = true;
}

static onnxq_status write_nothing(const char *text, const char *output, adjust_fn adjust,
                                  onnxq_error *error)
{
    onnxq_options options = test_options();
    if (adjust != NULL)
        adjust(&options);
    return onnxq_plan_write(test_plan(test_model(text), &options), test_path(output), error);
}

static void test_nothing(void **state)
{
    (void)state;
    onnxq_error error;
    size_t nbytes, copy_nbytes;
    const char *text = "opset 17; in x float32; init w int64[9000]; y = Add(x, w)";
    assert_int_equal(write_nothing(text, "out.onnx", NULL, &error), ONNXQ_NOTHING_TO_DO);
    check_text(test_error_text(&error), "model.onnx: has no weight to quantize; nothing written");
    check_text(test_files(), "model.onnx");

    assert_int_equal(write_nothing(text, "out.onnx", allow_noop, &error), ONNXQ_OK);
    const uint8_t *bytes = test_read_file(test_path("model.onnx"), &nbytes);
    assert_memory_equal(test_read_file(test_path("out.onnx"), &copy_nbytes), bytes, nbytes);
    assert_int_equal(copy_nbytes, nbytes);
    assert_int_equal(write_nothing(text, "model.onnx", allow_noop, &error), ONNXQ_ERROR_OPTION);
}

/* A copy still names the side file of the original: it has to stay beside it. */
static void test_nothing_external(void **state)
{
    (void)state;
    onnxq_error error;
    const char *text = "opset 17; in x float32; init w int64[9000] external; y = Add(x, w)";
    assert_int_equal(mkdir(test_path("other"), 0777), 0);
    assert_int_equal(write_nothing(text, "out.onnx", allow_noop, &error), ONNXQ_OK);
    test_open_path(test_path("out.onnx"));
    assert_int_equal(write_nothing(text, "other/out.onnx", allow_noop, &error), ONNXQ_ERROR_OUTPUT);
    assert_string_equal(error.message, "a copy in another folder would not find its side files");
    assert_false(test_exists(test_path("other/out.onnx")));
}

/* --- progress and cancelling --- */

struct progress {
    onnxq_phase phase;
    uint64_t done, total;
    size_t n_calls, stop_at;
};

static bool advance(void *data, onnxq_phase phase, uint64_t done, uint64_t total)
{
    struct progress *progress = data;
    if (progress->n_calls > 0 && phase == progress->phase) {
        assert_compare(done, >, progress->done);
        assert_int_equal(total, progress->total);
    } else if (progress->n_calls > 0) {
        assert_int_equal(progress->done, progress->total); /* a phase ends with all of it */
        assert_compare(phase, >, progress->phase);
    }
    assert_compare(done, <=, total);
    progress->phase = phase;
    progress->done = done;
    progress->total = total;
    return ++progress->n_calls != progress->stop_at;
}

static onnxq_options make_options(struct progress *progress, onnxq_external_data mode)
{
    onnxq_options options = test_options();
    options.output.progress = advance;
    options.output.progress_data = progress;
    options.output.external_data = mode;
    options.output.threads = 3;
    return options;
}

/* Without being stopped: how often the callback was called. */
static size_t count_calls(onnxq_external_data mode)
{
    onnxq_error error;
    struct progress progress = {.stop_at = 0};
    onnxq_options options = make_options(&progress, mode);
    assert_int_equal(
        onnxq_quantize_file(test_path("model.onnx"), test_path("whole.onnx"), &options, &error),
        ONNXQ_OK);
    assert_int_equal(progress.phase, ONNXQ_PHASE_WRITE);
    assert_int_equal(progress.done, progress.total);
    assert_int_equal(progress.total, file_nbytes(test_path("whole.onnx")) +
                                         file_nbytes(test_path("whole.onnx.data")));
    return progress.n_calls;
}

/* Cancelled at every possible moment: nothing is left, and what was there is as it was. */
static void test_cancel(void **state)
{
    const struct mode_row *row = *state;
    onnxq_error error;
    size_t nbytes;
    assert_true(builder_write(make_large(row->side_in), test_path("model.onnx")));
    size_t n_calls = count_calls(row->mode);
    test_write_file(test_path("out.onnx"), "before", 6);
    const char *before = test_files();
    assert_compare(n_calls, >, 8);
    for (size_t stop_at = 1; stop_at <= n_calls; stop_at++) {
        struct progress progress = {.stop_at = stop_at};
        onnxq_options options = make_options(&progress, row->mode);
        assert_int_equal(
            onnxq_quantize_file(test_path("model.onnx"), test_path("out.onnx"), &options, &error),
            ONNXQ_ERROR_CANCELLED);
        assert_int_equal(progress.n_calls, stop_at);
        check_text(test_files(), before);
    }
    assert_memory_equal(test_read_file(test_path("out.onnx"), &nbytes), "before", 7);
}

/* --- standard output --- */

struct redirection {
    int saved, file;
};

static void undo_redirection(void *thing)
{
    struct redirection *redirection = thing;
    dup2(redirection->saved, STDOUT_FILENO);
    close(redirection->saved);
    close(redirection->file);
}

static void redirect_stdout(const char *path)
{
    struct redirection *redirection = test_alloc(sizeof(*redirection));
    fflush(stdout);
    redirection->saved = dup(STDOUT_FILENO);
    redirection->file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    assert_true(redirection->saved >= 0 && redirection->file >= 0);
    dup2(redirection->file, STDOUT_FILENO);
    test_defer(undo_redirection, redirection);
}

static void test_stdout(void **state)
{
    (void)state;
    onnxq_error error, external_error;
    size_t nbytes, expected_nbytes;
    assert_int_equal(write_small(test_path("out.onnx"), NULL, &error), ONNXQ_OK);
    redirect_stdout(test_path("stdout"));
    onnxq_status status = write_small("-", NULL, &error);
    onnxq_status external_status = write_small("-", adjust_external_always, &external_error);
    assert_int_equal(status, ONNXQ_OK);
    assert_int_equal(external_status, ONNXQ_ERROR_OPTION);
    assert_string_equal(external_error.message, "standard output takes no side file");
    const uint8_t *expected = test_read_file(test_path("out.onnx"), &expected_nbytes);
    assert_memory_equal(test_read_file(test_path("stdout"), &nbytes), expected, expected_nbytes);
    assert_int_equal(nbytes, expected_nbytes);
}

/* A weight changes between planning and writing: an error with its name, and no output. */
static void test_input_shrinks(void **state)
{
    (void)state;
    onnxq_error error;
    onnxq_options options = test_options();
    const onnxq_plan *plan = test_plan(test_model(SMALL), &options);
    assert_int_equal(truncate(test_path("model.onnx"), 1000), 0);
    assert_int_equal(onnxq_plan_write(plan, test_path("out.onnx"), &error), ONNXQ_ERROR_INPUT);
    check_text(test_error_text(&error),
               "model.onnx: initializer \"w\": ends early: it changed while it was read");
    check_text(test_files(), "model.onnx");
}

int main(void)
{
    TEST_ROWS(test_same_bytes, modes);
    TEST_ROWS(test_places, modes);
    TEST_ROWS(test_stands_alone, modes);
    TEST_ROWS(test_twice, modes);
    TEST_ROWS(test_is_input, refused);
    TEST_ROWS(test_failing, failing);
    TEST(test_full_device);
    TEST(test_over_2_gb);
    TEST(test_replace);
    TEST(test_nothing);
    TEST(test_nothing_external);
    TEST_ROWS(test_cancel, modes);
    TEST(test_stdout);
    TEST(test_input_shrinks);
    return suite_run();
}
