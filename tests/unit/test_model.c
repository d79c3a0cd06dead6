/* Whole models: opened, or refused with a place, however they are damaged. */
#include "model/model.h"

#include <string.h>

#include "support/models.h"
#include "wire/message.h"

/* Something of everything that is read. */
#define EVERYTHING                                                                                 \
    "ir 8; opset 17; opset com.microsoft 1; meta key value; in x float32[N,4]; in c bool[]\n"      \
    "init raw float32[4,3]; init packed float32[5] packed; init loose float16[9] unpacked\n"       \
    "init pieces float32[9] pieces; init int int64[2] packed = 1 300; init side float32[4] "       \
    "external\n"                                                                                   \
    "h = MatMul(x, raw); k = Constant() value=float32[2,2]; info h float32[N,3]\n"                 \
    "y = If(c) then_branch={ init w float32[3,3]; t = MatMul(h, w); out t float32[N,3]\n"          \
    "} else_branch={ out h float32[N,3] }; out y float32[N,3]\n"

/* Opens, plans and sizes what can be opened. Whatever fails says why. */
static bool use(const char *path)
{
    onnxq_error error;
    uint64_t nbytes, side_nbytes;
    onnxq_options options = test_options();
    onnxq_model *model = onnxq_model_open(path, &error);
    onnxq_plan *plan = model == NULL ? NULL : onnxq_plan_create(model, &options, &error);
    if (plan != NULL)
        onnxq_plan_get_output_size(plan, path, &nbytes, &side_nbytes, &error);
    bool ok = error.status == ONNXQ_OK;
    if (!ok &&
        (error.status != ONNXQ_ERROR_INPUT || error.message[0] == '\0' || error.file[0] == '\0'))
        fail_msg("status %d: %s", (int)error.status, test_error_text(&error));
    onnxq_plan_destroy(plan);
    onnxq_model_close(model);
    return ok;
}

static void test_truncated(void **state)
{
    (void)state;
    size_t nbytes, n_usable = 0;
    const char *path = test_path("model.onnx");
    assert_true(builder_write(test_builder(EVERYTHING), path));
    assert_true(use(path));
    const uint8_t *bytes = test_read_file(path, &nbytes);
    for (size_t n = 0; n < nbytes; n++) {
        test_write_file(path, bytes, n);
        n_usable += use(path);
    }
    assert_in_range(n_usable, 0, 3); /* only what stands behind the graph may be missing */
}

/* Every byte, changed in a few ways: no crash, and a reason where it is refused. */
static void test_damaged(void **state)
{
    (void)state;
    static const uint8_t changes[] = {0x01, 0x80, 0xff};
    size_t nbytes, n_refused = 0;
    const char *path = test_path("model.onnx");
    assert_true(builder_write(test_builder(EVERYTHING), path));
    uint8_t *bytes = test_read_file(path, &nbytes);
    for (size_t i = 0; i < nbytes; i++) {
        for (size_t k = 0; k < COUNT(changes); k++) {
            bytes[i] ^= changes[k];
            test_write_file(path, bytes, nbytes);
            n_refused += !use(path);
            bytes[i] ^= changes[k];
        }
    }
    assert_compare(n_refused, >, nbytes / 2);
}

/* All tensors, in the order in which the structure is visited, and each found by its message. */
static bool check_tensor(void *context, const struct oq_message_path *path, onnxq_error *error)
{
    const onnxq_model *model = ((void **)context)[0];
    size_t *ordinal = ((void **)context)[1];
    const struct oq_tensor *tensor =
        oq_model_tensor(model, (const Oq__Pb__TensorProto *)path->message);
    (void)error;
    assert_int_equal(tensor->ordinal, (*ordinal)++);
    assert_ptr_equal(tensor->proto, path->message);
    return true;
}

static void test_tensors(void **state)
{
    (void)state;
    onnxq_error error;
    size_t ordinal = 0;
    onnxq_model *model = test_model(EVERYTHING);
    oq_error_init(&error);
    assert_int_equal(model->n_tensors, 8);
    assert_true(oq_message_visit((ProtobufCMessage *)(uintptr_t)&model->proto->base,
                                 &oq__pb__tensor_proto__descriptor, check_tensor,
                                 (void *[]){model, &ordinal}, &error));
    assert_int_equal(ordinal, 8);
}

static const struct opset_row {
    const char *name, *text, *domain;
    int64_t expected;
} opsets[] = {
    {"ai.onnx", "opset 17", "", 17},
    {"ai.onnx by its long name", "opset ai.onnx 13", "", 13},
    {"another domain", "opset 17; opset com.microsoft 1", "com.microsoft", 1},
    {"not imported", "opset 17", "com.microsoft", 0},
    {"none", "", "", 0},
    {"another domain alone", "opset ai.onnx.ml 3", "", 0},
};

static void test_opset(void **state)
{
    const struct opset_row *row = *state;
    assert_int_equal(oq_model_opset(test_model(row->text)->proto, row->domain), row->expected);
}

int main(void)
{
    TEST(test_truncated);
    TEST(test_damaged);
    TEST(test_tensors);
    TEST_ROWS(test_opset, opsets);
    return suite_run();
}
