/* Libraries that are not quite ONNX Runtime, what a session asks for, and the engine's words. */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <string.h>

#include "engine/runtime.h"
#include "engine/session.h"
#include "support/suite.h"

/* FAKE_ENGINES is the folder of the libraries that are built of engine/fake_engine.c. */
static const char *fake(const char *name)
{
    return test_printf("%s/libfake_%s.so", FAKE_ENGINES, name);
}

static void close_engine(void *engine)
{
    oq_engine_close(engine);
}

static struct oq_engine *open_fake(const char *name)
{
    onnxq_error error;
    oq_error_init(&error);
    struct oq_engine *engine = oq_engine_open(fake(name), &error);
    if (engine == NULL)
        fail_msg("%s", test_error_text(&error));
    test_defer(close_engine, engine);
    return engine;
}

/* As test_error_text(), but for the folder of the libraries. */
static const char *engine_error(const onnxq_error *error)
{
    const char *text = test_error_text(error);
    size_t n = strlen(FAKE_ENGINES);
    return strncmp(text, FAKE_ENGINES "/", n + 1) == 0 ? text + n + 1 : text;
}

/* --- libraries -------------------------------------------------------------------- */

static const struct broken_row {
    const char *name, *expected;
} broken_rows[] = {
    {"no_symbol", "libfake_no_symbol.so: --ort-lib: is not ONNX Runtime (no OrtGetApiBase in it)"},
    {"no_base",
     "libfake_no_base.so: --ort-lib: is not ONNX Runtime (its OrtGetApiBase gives nothing)"},
    {"old", "libfake_old.so: --ort-lib: too old: found 1.15.1, needs 1.16 or newer"},
    {"garbage", "libfake_garbage.so: --ort-lib: version 'one' of ONNX Runtime is not known, "
                "expected 1.16 or newer"},
    {"no_minor", "libfake_no_minor.so: --ort-lib: version '1.x.1' of ONNX Runtime is not known, "
                 "expected 1.16 or newer"},
    {"major", "libfake_major.so: --ort-lib: version '2.0.0' of ONNX Runtime is not known, "
              "expected 1.16 or newer"},
    {"no_version", "libfake_no_version.so: --ort-lib: version '' of ONNX Runtime is not known, "
                   "expected 1.16 or newer"},
    {"no_api", "libfake_no_api.so: --ort-lib: ONNX Runtime 1.20.3 does not give its functions "
               "(GetApi(16) is NULL)"},
    {"env_fails", "libfake_env_fails.so: ONNX Runtime 1.20.3: no threads are left"},
};

static void test_broken(void **state)
{
    const struct broken_row *row = *state;
    onnxq_error error;
    oq_error_init(&error);
    assert_null(oq_engine_open(fake(row->name), &error));
    assert_int_equal(error.status, ONNXQ_ERROR_ENGINE);
    check_text(engine_error(&error), row->expected);
}

static void test_no_library(void **state)
{
    (void)state;
    onnxq_error error;
    oq_error_init(&error);
    test_write_file(test_path("text.so"), "hello", 5);
    assert_null(oq_engine_open(test_path("text.so"), &error));
    assert_int_equal(error.status, ONNXQ_ERROR_ENGINE);
    assert_non_null(strstr(test_error_text(&error), "text.so: --ort-lib: cannot be loaded: "));
}

static void test_missing(void **state)
{
    (void)state;
    onnxq_error error;
    oq_error_init(&error);
    assert_null(oq_engine_open(test_path("none.so"), &error));
    assert_int_equal(error.status, ONNXQ_ERROR_ENGINE);
    check_text(test_error_text(&error),
               "none.so: --ort-lib: cannot open: No such file or directory");
}

static void test_empty_folder(void **state)
{
    (void)state;
    onnxq_error error;
    oq_error_init(&error);
    test_write_file(test_path("libonnxruntime_providers_shared.so"), "", 0);
    const char *folder = test_path(".");
    assert_null(oq_engine_open(folder, &error));
    assert_int_equal(error.status, ONNXQ_ERROR_ENGINE);
    check_text(test_error_text(&error), ".: --ort-lib: no libonnxruntime.so in it (the Python "
                                        "package has it from 1.19 on)");
}

static void test_variable_is_final(void **state)
{
    (void)state;
    onnxq_error error;
    oq_error_init(&error);
    assert_int_equal(setenv("ONNXQ_ORT_LIB", test_path("none"), 1), 0);
    struct oq_engine *engine = oq_engine_open(NULL, &error);
    unsetenv("ONNXQ_ORT_LIB");
    assert_null(engine);
    check_text(test_error_text(&error),
               "none: ONNXQ_ORT_LIB: cannot open: No such file or directory");
}

/* A path in the arguments comes before the one in the environment. */
static void test_good(void **state)
{
    (void)state;
    assert_int_equal(setenv("ONNXQ_ORT_LIB", test_path("none"), 1), 0);
    const struct oq_engine *engine = open_fake("good");
    unsetenv("ONNXQ_ORT_LIB");
    check_text(oq_engine_version(engine), "1.20.3");
    check_text(oq_engine_path(engine), fake("good"));
}

/* --- providers -------------------------------------------------------------------- */

static const struct provider_row {
    const char *name, *expected;
} provider_rows[] = {
    {"cuda", "CUDAExecutionProvider"},
    {"CUDA", "CUDAExecutionProvider"},
    {"CUDAExecutionProvider", "CUDAExecutionProvider"},
    {"cudaexecutionprovider", "CUDAExecutionProvider"},
    {"TensorRT", "TensorrtExecutionProvider"},
    {"cpu", "CPUExecutionProvider"},
    {"somethingelse", "SomethingElse"},
    {"cud", NULL},
    {"cudaa", NULL},
    {"", NULL},
    {"ExecutionProvider", NULL},
};

static void test_find_provider(void **state)
{
    const struct provider_row *row = *state;
    onnxq_error error;
    oq_error_init(&error);
    const char *found = oq_engine_find_provider(open_fake("good"), row->name, &error);
    if (row->expected != NULL) {
        check_text(found, row->expected);
        return;
    }
    assert_null(found);
    assert_int_equal(error.status, ONNXQ_ERROR_ENGINE);
    check_text(engine_error(&error),
               test_printf("libfake_good.so: this ONNX Runtime 1.20.3 has no execution provider "
                           "'%s'; it has tensorrt, cuda, rocm, xnnpack, openvino, cpu, "
                           "somethingelse",
                           row->name));
}

static void test_gpu_hint(void **state)
{
    (void)state;
    onnxq_error error;
    oq_error_init(&error);
    assert_null(oq_engine_find_provider(open_fake("cpu_only"), "TensorRT", &error));
    check_text(error.hint, "pip install onnxruntime-gpu");
}

/* --- what a session asks for -------------------------------------------------------- */

static const struct session_row {
    const char *name;
    struct oq_session_options options;
    const char *providers[4];
    const char *expected;
} session_rows[] = {
    {"defaults",
     {.opt_level = OQ_OPT_ALL},
     {NULL},
     "m.onnx: level 99, inter 1, mode 0, session.force_spinning_stop 1, path m.onnx"},
    {"all",
     {.opt_level = OQ_OPT_EXTENDED, .threads = 3, .profile_prefix = "p"},
     {NULL},
     "m.onnx: level 2, intra 3, inter 1, mode 0, session.force_spinning_stop 1, profile p, "
     "path m.onnx"},
    {"providers with functions of their own",
     {.opt_level = OQ_OPT_DISABLE},
     {"tensorrt", "CUDA", "ROCMExecutionProvider"},
     "m.onnx: level 0, inter 1, mode 0, session.force_spinning_stop 1, own tensorrt, released "
     "tensorrt, own cuda, released cuda, own rocm, released rocm, path m.onnx"},
    {"nothing behind the CPU",
     {.opt_level = OQ_OPT_BASIC},
     {"xnnpack", "SomethingElse", "cpu", "cuda"},
     "m.onnx: level 1, inter 1, mode 0, session.force_spinning_stop 1, general XNNPACK, general "
     "SomethingElse, path m.onnx"},
};

static struct oq_session_options with_providers(struct oq_session_options options,
                                                const char *const providers[4])
{
    options.providers = providers;
    while (options.n_providers < 4 && providers[options.n_providers] != NULL)
        options.n_providers++;
    return options;
}

static void test_session(void **state)
{
    const struct session_row *row = *state;
    struct oq_session_options options = with_providers(row->options, row->providers);
    onnxq_error error;
    oq_error_init(&error);
    assert_null(oq_session_open(open_fake("good"), "m.onnx", &options, &error));
    assert_int_equal(error.status, ONNXQ_ERROR_INPUT);
    check_text(test_error_text(&error), row->expected);
}

static void test_provider_that_fails(void **state)
{
    (void)state;
    const char *const providers[4] = {"OpenVINOExecutionProvider"};
    struct oq_session_options options = with_providers((struct oq_session_options){0}, providers);
    onnxq_error error;
    oq_error_init(&error);
    assert_null(oq_session_open(open_fake("good"), "m.onnx", &options, &error));
    assert_int_equal(error.status, ONNXQ_ERROR_ENGINE);
    check_text(engine_error(&error), "libfake_good.so: OpenVINOExecutionProvider: no such device");
}

static void test_unknown_provider_behind_the_cpu(void **state)
{
    (void)state;
    const char *const providers[4] = {"cpu", "nonsense"};
    struct oq_session_options options = with_providers((struct oq_session_options){0}, providers);
    onnxq_error error;
    oq_error_init(&error);
    assert_null(oq_session_open(open_fake("cpu_only"), "m.onnx", &options, &error));
    assert_int_equal(error.status, ONNXQ_ERROR_ENGINE);
    check_text(engine_error(&error), "libfake_cpu_only.so: this ONNX Runtime 1.20.3 has no "
                                     "execution provider 'nonsense'; it has cpu");
}

static void test_bytes(void **state)
{
    (void)state;
    struct oq_session_options options = {.opt_level = OQ_OPT_ALL};
    onnxq_error error;
    oq_error_init(&error);
    assert_null(oq_session_open_bytes(open_fake("newer"), "model", 5, "folder", "m.onnx", &options,
                                      &error));
    assert_int_equal(error.status, ONNXQ_ERROR_INPUT);
    check_text(test_error_text(&error),
               "m.onnx: level 99, inter 1, mode 0, session.force_spinning_stop 1, "
               "session.model_external_initializers_file_folder_path folder, bytes 5");
}

static void test_bytes_in_old_engine(void **state)
{
    (void)state;
    struct oq_session_options options = {.opt_level = OQ_OPT_ALL};
    onnxq_error error;
    oq_error_init(&error);
    assert_null(
        oq_session_open_bytes(open_fake("good"), "model", 5, "folder", "m.onnx", &options, &error));
    assert_int_equal(error.status, ONNXQ_ERROR_ENGINE);
    check_text(engine_error(&error),
               "libfake_good.so: too old for this: found 1.20.3, needs 1.21 or newer");
}

/* --- words ------------------------------------------------------------------------ */

static const struct words_row {
    const char *name, *message, *expected;
} words_rows[] = {
    {"plain", "Invalid input name: z", "Invalid input name: z"},
    {"empty", "", ""},
    {"line breaks",
     "Got invalid dimensions for input: x for the following indices\n index: 1 Got: 2 Expected: "
     "3\n Please fix it.\n",
     "Got invalid dimensions for input: x for the following indices index: 1 Got: 2 Expected: 3 "
     "Please fix it."},
    {"the model", "Load model from /a b/m.onnx failed:Protobuf parsing failed.",
     "Protobuf parsing failed."},
    {"the model twice",
     "Load model from m.onnx failed:Load model m.onnx failed. File doesn't exist",
     "File doesn't exist"},
    {"nothing but the model", "Load model from m.onnx failed:", "Load model from m.onnx failed:"},
    {"a function", "running MatMul node. Status Message: matmul_helper.h:59 Compute MatMul differs",
     "running MatMul node. Status Message: MatMul differs"},
    {"a signature",
     "Status Message: /onnxruntime_src/core/op.h:45 const T* ns::Ctx::Input(int) const [with T = "
     "ns::Tensor] Missing Input: x",
     "Status Message: Missing Input: x"},
    {"a constructor",
     "/src/a.cc:91 ns::A::A(const ns::Shape&, bool) a == b was false. It cannot be",
     "a == b was false. It cannot be"},
    {"a lambda", "/src/a.cc:9 ns::f(int)::<lambda(long int)> Not so", "Not so"},
    {"a source file and nothing else", "/src/a.cc:9 ", ""},
    {"a name with a colon", "node.h:a is no place, nor a.hh:12 , nor b.onnx:5 x",
     "node.h:a is no place, nor a.hh:12 , nor b.onnx:5 x"},
    {"brackets that stay open", "/src/a.cc:9 f(int", ""},
};

static void test_words(void **state)
{
    const struct words_row *row = *state;
    char text[512];
    oq_engine_clean_message(row->message, text, sizeof(text));
    check_text(text, row->expected);
}

static void test_long_words(void **state)
{
    (void)state;
    char text[8];
    oq_engine_clean_message("a message that is too long", text, sizeof(text));
    check_text(text, "a messa");
}

int main(void)
{
    TEST_ROWS(test_broken, broken_rows);
    TEST(test_no_library);
    TEST(test_missing);
    TEST(test_empty_folder);
    TEST(test_variable_is_final);
    TEST(test_good);
    TEST_ROWS(test_find_provider, provider_rows);
    TEST(test_gpu_hint);
    TEST_ROWS(test_session, session_rows);
    TEST(test_provider_that_fails);
    TEST(test_unknown_provider_behind_the_cpu);
    TEST(test_bytes);
    TEST(test_bytes_in_old_engine);
    TEST_ROWS(test_words, words_rows);
    TEST(test_long_words);
    return suite_run();
}
