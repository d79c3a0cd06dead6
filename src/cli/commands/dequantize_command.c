/* `onnxq dequantize`: options, and what is said of what came back. */
#define _POSIX_C_SOURCE 200809L
#include <onnxq/onnxq.h>

#include "base/option_values.h"
#include "cli/command.h"
#include "cli/files/job.h"

typedef struct dequantize_settings {
    cli_common common; /* these two first */
    cli_files files;
    onnxq_dequantize_options options;
} dequantize_settings;

/* The parser writes enums as int. */
_Static_assert(sizeof(onnxq_float_type) == sizeof(int), "enum as wide as int");

static const cli_choice float_types[] = {OQ_FLOAT_TYPE_VALUES(CLI_CHOICE_OF){0}};

CLI_IS_JOB(dequantize_settings);

#define OPTION(kind, letter, name, member, ...)                                                    \
    CLI_OPTION(kind, letter, name, offsetof(dequantize_settings, member), __VA_ARGS__)

static const cli_option dequantize_options[] = {
    {.kind = CLI_HEADING, .help = "Weights"},
    OPTION(CHOICE, 0, "float-type", options.float_type, .choices = float_types,
           .help = "type in which weights are stored"),
    OPTION(FLAG, 0, "freeze-inputs", options.freeze_inputs,
           .help = "also take weights that are graph inputs with a default"),
    OPTION(FLAG, 0, "narrow-floats", options.narrow_floats,
           .help = "with float16: also weights that are float32 already"),
    {.kind = CLI_HEADING, .help = "Activations"},
    OPTION(FLAG, 0, "keep-ranges", options.keep_ranges,
           .help = "keep cutting values off as QuantizeLinear did, by Clip"),
    {0}};

/* --- one model ------------------------------------------------------------- */

static const char *type_suffix(const void *data)
{
    const dequantize_settings *settings = data;
    static const char *const names[] = {OQ_FLOAT_TYPE_VALUES(OQ_VALUE_NAME)};
    return names[settings->options.float_type];
}

/* What a quantized model may be called. */
static const char *const quantized_suffixes[] = {"int8", "uint8", "int4",      "uint4", "int2",
                                                 "nf4",  "quant", "quantized", NULL};

static cli_work create(const void *data, const onnxq_model *model,
                       const onnxq_output_options *output, onnxq_error *error)
{
    const dequantize_settings *settings = data;
    onnxq_dequantize_options options = settings->options;
    options.output = *output;
    return (cli_work){.dequantization = onnxq_dequantization_create(model, &options, error)};
}

static void print(const void *data, const onnxq_model *model, const cli_work *work, int level,
                  FILE *stream)
{
    const dequantize_settings *settings = data;
    if (level < 0 || onnxq_dequantization_count(work->dequantization) == 0)
        return;
    fprintf(stream, "  %s weights  ", type_suffix(settings));
    cli_print_origin(stream, model);
    if (level > 0)
        onnxq_report_dequantization_nodes(work->dequantization, stream);
    onnxq_report_dequantization_table(work->dequantization, stream);
}

static void explain_nothing(const cli_work *work, char *text, size_t capacity)
{
    size_t n = onnxq_dequantization_count(work->dequantization);
    if (n == 0)
        snprintf(text, capacity, "nothing to dequantize: it is not quantized");
    else
        snprintf(text, capacity, "nothing to dequantize (quantized nodes: %zu, all kept)", n);
}

static const cli_maker maker = {.verb = "dequantize",
                                .suffix = type_suffix,
                                .replaced_suffixes = quantized_suffixes,
                                .create = create,
                                .print = print,
                                .explain_nothing = explain_nothing};

/* --- the command ----------------------------------------------------------- */

static int run_dequantize(void *data, int n_operands, char **operands)
{
    const dequantize_settings *settings = data;
    cli_job job = {.maker = &maker,
                   .settings = settings,
                   .common = &settings->common,
                   .files = &settings->files};
    return cli_job_run(&job, n_operands, operands);
}

static void set_defaults(void *data)
{
    dequantize_settings *settings = data;
    onnxq_dequantize_options_init(&settings->options);
    cli_job_defaults(&settings->files);
}

const cli_command cli_dequantize = {
    .name = "dequantize",
    .summary = "Makes a quantized model a float one again.",
    .usage = "dequantize [OPTION]... MODEL [OUT]\ndequantize [OPTION]... -d DIR MODEL...\n"
             "dequantize [OPTION]... DIR OUT_DIR",
    .notes =
        "Without OUT the output is MODEL ending in .float32.onnx (or .float16.onnx) instead of\n"
        ".int8.onnx or the like, and one that exists is kept. An OUT that you name is replaced,\n"
        "unless it is a float model of others; in a folder the output gets its usual name. '-' is\n"
        "standard input or output. float16 weights of a float32 model have a Cast behind them.\n"
        "What stays quantized is listed with the reason. Exit codes are those of quantize; 5 if\n"
        "there is nothing to dequantize.",
    .options = {{cli_job_options, dequantize_options, cli_common_options}},
    .operands = CLI_FILE_OPERANDS,
    .settings_nbytes = sizeof(dequantize_settings),
    .defaults = set_defaults,
    .run = run_dequantize};
