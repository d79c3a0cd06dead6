/*
 * Any bytes as a model file: open, plan, report and write, and the way back,
 * through the public header alone. What must hold for all of them is what
 * fuzz_quantize() and fuzz_dequantize() check.
 */
#include "fuzz/support.h"

static struct fuzz_twins twins;
static char *input;

static void quantize(const onnxq_model *model, onnxq_options *options)
{
    onnxq_summary summary;
    fuzz_quantize(&twins, model, options, &summary);
    fuzz_twins_empty(&twins);
}

static void dequantize(const onnxq_model *model, onnxq_dequantize_options *options)
{
    onnxq_dequantize_summary summary;
    fuzz_dequantize(&twins, model, options, &summary);
    fuzz_twins_empty(&twins);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    if (!input) {
        input = fuzz_path("in.onnx");
        fuzz_twins_init(&twins, "open");
    }
    onnxq_model *model = fuzz_open(input, data, nbytes);
    if (!model)
        return 0;
    const onnxq_model_info *info = onnxq_model_get_info(model);
    CHECK(info->producer_name && info->producer_version);
    CHECK(info->file_nbytes == nbytes);

    /* Corners of the option space that share few lines. */
    onnxq_options options;
    onnxq_options_init(&options);
    options.output.sync = false;
    options.min_elements = 1;
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
    options.output.external_data = ONNXQ_EXTERNAL_ALWAYS;
    options.output.allow_noop = true;
    quantize(model, &options);

    onnxq_dequantize_options back;
    onnxq_dequantize_options_init(&back);
    back.output.sync = false;
    dequantize(model, &back);
    back.float_type = ONNXQ_FLOAT16;
    back.output.external_data = ONNXQ_EXTERNAL_ALWAYS;
    back.freeze_inputs = true;
    dequantize(model, &back);

    onnxq_model_close(model);
    return 0;
}
