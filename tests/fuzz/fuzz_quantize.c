/*
 * A model, and options in its field FUZZ_OPTIONS: quantized, quantized a second
 * time, and turned back. What must hold:
 *
 *  - what onnxq_options_check() refuses is refused, and nothing else is;
 *  - the output is the same with any two numbers of threads, and opens;
 *  - it can be quantized again, by the same options and by the default ones;
 *  - the way back works, and leaves nothing quantized that it undoes itself.
 */
#include "fuzz/support.h"

static struct fuzz_twins first, second, third;
static char *input;

/* 0 is the default and 255 no valid value; between them all that there are. */
static int pick(uint8_t byte, int n)
{
    return byte == 255 ? 99 : byte % n;
}

static bool has(uint8_t byte, unsigned bit)
{
    return (byte >> bit & 1) != 0;
}

static void draw_options(struct fuzz_bytes field, onnxq_options *options)
{
    static const int block_sizes[] = {0, 16, 32, 64, 128, 256, 24, -1};
    static const unsigned fold_bits[] = {0, 8, 16, 4};
    static const uint64_t min_elements[] = {1, 0, 2, 9, 1024, UINT64_MAX};
    uint8_t flags = fuzz_byte(field, 9);
    onnxq_options_init(options);
    options->output.sync = false;
    options->method = (onnxq_method)pick(fuzz_byte(field, 0), 4);
    options->bits = (onnxq_bits)pick(fuzz_byte(field, 1), 3);
    options->block_size = block_sizes[fuzz_byte(field, 2) % 8];
    options->weight_type = (onnxq_weight_type)pick(fuzz_byte(field, 3), 2);
    options->reduce_range = (onnxq_reduce_range)pick(fuzz_byte(field, 4), 3);
    options->conv = (onnxq_conv)pick(fuzz_byte(field, 5), 4);
    options->fold_bits = fold_bits[fuzz_byte(field, 6) % 4];
    options->output.external_data = (onnxq_external_data)pick(fuzz_byte(field, 7), 3);
    options->min_elements = min_elements[fuzz_byte(field, 8) % 6];
    options->symmetric = !has(flags, 0);
    options->per_channel = !has(flags, 1);
    options->force_integer = has(flags, 2);
    options->freeze_inputs = has(flags, 3);
    options->subgraphs = !has(flags, 4);
    options->output.allow_noop = has(flags, 5);
}

/* Takes options back until the rest goes together: most sets do not, and would test no more. */
static void repair(const onnxq_model *model, onnxq_options *options)
{
    onnxq_options defaults;
    onnxq_options_init(&defaults);
    for (int step = 0; onnxq_options_check(options, NULL) != ONNXQ_OK; step++) {
        onnxq_error error = {0};
        CHECK(onnxq_plan_create(model, options, &error) == NULL);
        CHECK(error.status == ONNXQ_ERROR_OPTION);
        switch (step) {
        case 0:
            options->block_size = defaults.block_size;
            break;
        case 1:
            options->conv = defaults.conv;
            options->fold_bits = defaults.fold_bits;
            break;
        case 2:
            options->reduce_range = defaults.reduce_range;
            options->force_integer = defaults.force_integer;
            break;
        case 3:
            options->weight_type = defaults.weight_type;
            options->output.external_data = defaults.output.external_data;
            break;
        case 4:
            options->bits = defaults.bits;
            break;
        case 5:
            options->symmetric = defaults.symmetric;
            options->per_channel = defaults.per_channel;
            break;
        default:
            CHECK(step == 6);
            *options = defaults;
            options->output.sync = false;
        }
    }
}

static void quantize_again(const onnxq_model *model, onnxq_options *options)
{
    onnxq_summary summary;
    onnxq_status status = fuzz_quantize(&second, model, options, &summary);
    CHECK(status == ONNXQ_OK || status == ONNXQ_NOTHING_TO_DO);
    fuzz_twins_empty(&second);
}

/* What the way back has undone it does not find a second time. */
static void dequantize(const onnxq_model *model, onnxq_dequantize_options *back)
{
    onnxq_dequantize_summary summary, again;
    onnxq_status status = fuzz_dequantize(&second, model, back, &summary);
    CHECK(status == ONNXQ_OK || status == ONNXQ_NOTHING_TO_DO);
    if (status == ONNXQ_OK) {
        onnxq_model *undone = fuzz_reopen(second.outputs[0]);
        status = fuzz_dequantize(&third, undone, back, &again);
        CHECK(status == ONNXQ_OK || status == ONNXQ_NOTHING_TO_DO);
        CHECK(again.n_dequantized == 0);
        onnxq_model_close(undone);
        fuzz_twins_empty(&third);
    }
    fuzz_twins_empty(&second);
}

static void follow_up(struct fuzz_bytes field, onnxq_options *options)
{
    uint8_t flags = fuzz_byte(field, 12);
    onnxq_dequantize_options back;
    onnxq_model *model = fuzz_reopen(first.outputs[0]);
    quantize_again(model, options);
    onnxq_options_init(options);
    options->output.sync = false;
    options->min_elements = 1;
    quantize_again(model, options);
    onnxq_dequantize_options_init(&back);
    back.output.sync = false;
    back.float_type = has(flags, 0) ? ONNXQ_FLOAT16 : ONNXQ_FLOAT32;
    back.output.external_data = (onnxq_external_data)(flags / 2 % 3);
    back.freeze_inputs = has(flags, 4);
    back.output.allow_noop = has(flags, 5);
    dequantize(model, &back);
    onnxq_model_close(model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    onnxq_options options;
    onnxq_summary summary;
    struct fuzz_bytes field = fuzz_find_field(data, nbytes, FUZZ_OPTIONS);
    if (!input) {
        input = fuzz_path("in.onnx");
        fuzz_twins_init(&first, "first");
        fuzz_twins_init(&second, "second");
        fuzz_twins_init(&third, "third");
    }
    onnxq_model *model = fuzz_open(input, data, nbytes);
    if (!model)
        return 0;
    draw_options(field, &options);
    repair(model, &options);
    first.threads[0] = 1 + fuzz_byte(field, 10) % 4u;
    first.threads[1] = 1 + (first.threads[0] + fuzz_byte(field, 11)) % 7u;
    onnxq_status status = fuzz_quantize(&first, model, &options, &summary);
    CHECK(status != ONNXQ_ERROR_OPTION);
    if (status == ONNXQ_OK)
        follow_up(field, &options);
    fuzz_twins_empty(&first);
    onnxq_model_close(model);
    return 0;
}
