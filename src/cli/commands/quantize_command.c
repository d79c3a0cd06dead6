/* `onnxq quantize`: options, their defaults, and what contradicts what. */
#define _POSIX_C_SOURCE 200809L
#include "cli/commands/quantize_command.h"

#include <stdlib.h>
#include <string.h>

#include "base/option_values.h"
#include "cli/command.h"
#include "cli/terminal/messages.h"

/* The parser writes enums as int. */
_Static_assert(sizeof(onnxq_weight_type) == sizeof(int), "enum as wide as int");
_Static_assert(sizeof(onnxq_reduce_range) == sizeof(int), "enum as wide as int");
_Static_assert(sizeof(onnxq_method) == sizeof(int), "enum as wide as int");
_Static_assert(sizeof(onnxq_conv) == sizeof(int), "enum as wide as int");
_Static_assert(sizeof(onnxq_range_method) == sizeof(int), "enum as wide as int");
_Static_assert(sizeof(onnxq_bits) == sizeof(int), "enum as wide as int");

static const cli_choice methods[] = {OQ_METHOD_VALUES(CLI_CHOICE_OF){0}};

static const cli_choice weight_types[] = {OQ_WEIGHT_TYPE_VALUES(CLI_CHOICE_OF)
                                              OQ_WEIGHT_TYPE_ALIASES(CLI_ALIAS_OF){0}};

static const cli_choice reduce_ranges[] = {
    OQ_REDUCE_RANGE_VALUES(CLI_CHOICE_OF){"true", ONNXQ_REDUCE_BITS, true},
    {"false", ONNXQ_REDUCE_NONE, true},
    {0}};

static const cli_choice fold_bits[] = {{"auto", 0, false}, {"8", 8, false}, {"16", 16, false}, {0}};

static const cli_choice bits[] = {OQ_BITS_VALUES(CLI_CHOICE_OF) OQ_BITS_ALIASES(CLI_ALIAS_OF){0}};

static const cli_choice block_sizes[] = {OQ_BLOCK_SIZE_VALUES(CLI_CHOICE_OF){0}};

static const cli_choice symmetries[] = {
    {"auto", -1, true}, {"true", 1, true}, {"false", 0, true}, {0}};

static const cli_choice accuracy_levels[] = {OQ_ACCURACY_LEVEL_VALUES(CLI_CHOICE_OF){0}};

static const cli_choice convs[] = {OQ_CONV_VALUES(CLI_CHOICE_OF){0}};

static const cli_choice external_data_format[] = {
    {"true", ONNXQ_EXTERNAL_ALWAYS, true}, {"false", ONNXQ_EXTERNAL_NEVER, true}, {0}};

CLI_IS_JOB(cli_quantize_settings);

static const cli_choice activation_bits[] = {{"8", 8, false}, {"16", 16, false}, {0}};
static const cli_choice range_methods[] = {OQ_RANGE_METHOD_VALUES(CLI_CHOICE_OF){0}};

#define OPTION(kind, letter, name, member, ...)                                                    \
    CLI_OPTION(kind, letter, name, offsetof(cli_quantize_settings, member), __VA_ARGS__)
#define RUN_OPTION(kind, letter, name, member, ...)                                                \
    CLI_OPTION(kind, letter, name, offsetof(cli_quantize_settings, run.member), __VA_ARGS__)

const cli_option cli_quantize_options[] = {
    {.kind = CLI_HEADING, .help = "How weights are stored"},
    OPTION(CHOICE, 0, "method", options.method, .choices = methods,
           .help = "integer operators; small in the file, float when run; DequantizeLinear; "
                   "blocks; integers throughout, from known ranges"),
    OPTION(TEXT, 0, "plan", plan_path, .value = "FILE", .source = CLI_FILES,
           .help = "make the choices that `onnxq tune --save-plan` wrote"),
    OPTION(
        TEXT, 0, "weights-from", weights_path, .value = "FILE", .source = CLI_FILES,
        .help =
            "take the integers of a GPTQ or AWQ checkpoint (.safetensors); the rest stays float"),
    OPTION(CHOICE, 0, "bits", options.bits, .choices = bits,
           .help = "bits of a weight, with --method blocks or qdq"),
    OPTION(CHOICE, 0, "block-size", options.block_size, .choices = block_sizes,
           .help = "elements that share a scale; blocks: 128, with 4 bits 32"),
    OPTION(CHOICE, 't', "weight-type", options.weight_type, .choices = weight_types,
           .help = "integer type of weights"),
    OPTION(FLAG, 0, "per-channel", options.per_channel, .negated = "false",
           .help = "a scale per output channel; off: one per weight"),
    OPTION(CHOICE, 0, "symmetric", options.symmetric, .choices = symmetries, .implied = "true",
           .negated = "false",
           .help =
               "zero point in the middle (default: except with 4 bits); off: fitted to the range"),
    OPTION(CHOICE, 0, "accuracy-level", options.accuracy_level, .choices = accuracy_levels,
           .help = "MatMulNBits computes in float32 (1), 16 bits (2, 3) or int8 (4)"),
    OPTION(CHOICE, 0, "reduce-range", options.reduce_range, .choices = reduce_ranges,
           .implied = "bits", .negated = "none",
           .help = "exact sums on x86 without VNNI: by 7 bits, or by scales that suit each pair"),
    OPTION(CHOICE, 0, "conv", options.conv, .choices = convs,
           .help = "kernels: folded; ConvInteger; MatMulInteger if 1x1; float"),
    OPTION(CHOICE, 0, "fold-bits", options.fold_bits, .choices = fold_bits,
           .help = "bits of folded weights; auto: 16 where a recurrence needs them"),
    OPTION(FLAG, 0, "force-integer", options.force_integer,
           .help = "use integer operators even where float is faster"),
    OPTION(FLAG, 0, "join-norms", options.join_norms,
           .help = "let the engine join Add and LayerNormalization"),
    OPTION(TEXT, 0, "target-ort", options.target_ort, .value = "1.N",
           .help = "oldest ONNX Runtime that must run the output, 1.16 or later"),
    OPTION(FLAG, 0, "no-smooth", options.no_smooth,
           .help = "do not even out channels that a normalization makes large"),

    {.kind = CLI_HEADING, .help = "Inputs, for --method static or --method blocks --bits 4"},
    OPTION(TEXT, 0, "ranges", ranges_path, .source = CLI_FILES, .value = "FILE",
           .help = "ranges of activations, as 'onnxq calibrate' writes them"),
    CLI_INPUT_ROWS(RUN_OPTION),
    CLI_DIM_ROW(RUN_OPTION),
    CLI_ENGINE_ROW(RUN_OPTION),
    OPTION(CHOICE, 0, "range-method", options.range_method, .choices = range_methods,
           .help = "how much of what was seen a range covers; minmax: all"),
    OPTION(REAL, 0, "percentile", options.percentile, .value = "P",
           .help = "for --range-method percentile; 0 means 99.99"),
    OPTION(CHOICE, 0, "activation-bits", options.activation_bits, .choices = activation_bits,
           .help = "bits of activations; 16 is for engines that multiply uint16"),
    OPTION(FLAG, 0, "qdq-standard", options.qdq_standard,
           .help = "for TensorRT, OpenVINO and NPUs: symmetric, nothing of com.microsoft"),

    {.kind = CLI_HEADING, .help = "Which weights (lists and patterns may be repeated)"},
    OPTION(LIST, 0, "op-types", op_types, .value = "A,B",
           .help = "only weights of these operators, such as MatMul"),
    OPTION(LIST, 0, "exclude-op-types", exclude_op_types, .value = "A,B",
           .help = "no weights of these operators"),
    OPTION(APPEND, 0, "include", include_globs, .value = "GLOB",
           .help = "only nodes or weights whose whole name matches"),
    OPTION(APPEND, 0, "exclude", exclude_globs, .value = "GLOB",
           .help = "no nodes or weights whose whole name matches"),
    OPTION(APPEND, 0, "include-regex", include_regexes, .value = "RE",
           .help = "only nodes or weights with a match in their name"),
    OPTION(APPEND, 0, "exclude-regex", exclude_regexes, .value = "RE",
           .help = "no nodes or weights with a match in their name"),
    OPTION(FLAG, 0, "allow-unmatched", options.allow_unmatched,
           .help = "do not fail if one of the above matches nothing"),
    OPTION(NUMBER, 0, "min-elements", options.min_elements, .value = "N", .maximum = UINT64_MAX,
           .help = "keep smaller weights as they are"),
    OPTION(FLAG, 0, "freeze-inputs", options.freeze_inputs,
           .help = "also take weights that are graph inputs with a default"),
    OPTION(FLAG, 0, "subgraphs", options.subgraphs, .negated = "false",
           .help = "look into the bodies of If, Loop and Scan"),

    {.kind = CLI_HEADING, .help = "As in onnxruntime.quantization.quantize_dynamic"},
    OPTION(TEXT, 0, "model_input", files.model, .value = "FILE", .source = CLI_FILES,
           .help = "MODEL"),
    OPTION(TEXT, 0, "model_output", files.output, .value = "FILE", .source = CLI_FILES,
           .help = "OUT"),
    OPTION(LIST, 0, "nodes_to_exclude", exclude_names, .value = "A,B", .takes_more = true,
           .help = "--exclude with exact names"),
    OPTION(LIST, 0, "nodes_to_quantize", include_names, .value = "A,B", .takes_more = true,
           .help = "--include with exact names"),
    OPTION(LIST, 0, "op_types_to_quantize", op_types, .value = "A,B", .takes_more = true,
           .help = "--op-types"),
    OPTION(LIST, 0, "extra_options", extra_options, .value = "KEY=VALUE", .takes_more = true,
           .help = "WeightSymmetric, EnableSubgraph, and what onnxq does anyway"),
    OPTION(CHOICE, 0, "use_external_data_format", files.external_data,
           .choices = external_data_format, .implied = "true", .help = "--external-data always"),
    {0}};

/* Of this command alone: `inspect` has the others, too. */
static const cli_option variant_options[] = {
    {.kind = CLI_HEADING,
     .help = "Several outputs of each model, under the names that others look for"},
    OPTION(LIST, 0, "variants", variant_names, .value = "A,B",
           .help = "named as on the Hub: quantized (or q8), int8, uint8, q4, bnb4, fp16"),
    OPTION(LIST, 0, "target", targets, .value = "A,B",
           .help = "named as by sentence-transformers: arm64, avx2, avx512, avx512_vnni"),
    {0}};

static bool note_reads(const cli_quantize_settings *settings, cli_list *reads)
{
    const char *const others[] = {settings->ranges_path, settings->plan_path,
                                  settings->weights_path};
    const cli_list *inputs = &settings->run.inputs;
    bool ok = true;
    for (size_t i = 0; ok && i < inputs->count; i++)
        ok = cli_list_add(reads, inputs->items[i], strlen(inputs->items[i]));
    for (size_t i = 0; ok && i < sizeof(others) / sizeof(others[0]); i++)
        ok = others[i] == NULL || cli_list_add(reads, others[i], strlen(others[i]));
    return ok;
}

static int run_quantize(void *data, int n_operands, char **operands)
{
    cli_quantize_settings *settings = data;
    onnxq_error error;
    int code = cli_quantize_fill_options(settings);
    if (code != 0)
        return code;
    bool has_inputs = settings->run.inputs.count > 0; /* then ranges are made for each model */
    bool has_variants = cli_quantize_has_variants(settings); /* checked one by one */
    if (!has_inputs && !has_variants && onnxq_options_check(&settings->options, &error) != ONNXQ_OK)
        return cli_library_error(&settings->common, &error);
    cli_job job = {.maker = &cli_quantize_maker,
                   .settings = settings,
                   .common = &settings->common,
                   .files = &settings->files};
    cli_quantize_variants variants = {0};
    code = cli_quantize_fill_variants(settings, &variants, &job.variants);
    if (code != 0)
        return code;
    if (!note_reads(settings, &job.reads)) {
        cli_list_free(&job.reads);
        return cli_memory_error(&settings->common);
    }
    return cli_job_run(&job, n_operands, operands);
}

void cli_quantize_defaults(void *data)
{
    cli_quantize_settings *settings = data;
    onnxq_options_init(&settings->options);
    cli_job_defaults(&settings->files);
    cli_run_defaults(&settings->run);
    settings->run.opt_level = OQ_OPT_BASIC; /* as calibrate */
}

void cli_quantize_release(void *data)
{
    cli_quantize_settings *settings = data;
    cli_list *lists[] = {
        &settings->op_types,      &settings->exclude_op_types, &settings->include_globs,
        &settings->exclude_globs, &settings->include_regexes,  &settings->exclude_regexes,
        &settings->include_names, &settings->exclude_names,    &settings->extra_options,
        &settings->variant_names, &settings->targets};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        cli_list_free(lists[i]);
    free(settings->selectors);
    onnxq_ranges_close(settings->ranges);
    onnxq_plan_file_close(settings->plan);
    onnxq_checkpoint_close(settings->weights_from);
    cli_run_release(&settings->run);
}

const cli_command cli_quantize = {
    .name = "quantize",
    .summary = "Stores and computes the weights of a model as int8; no data needed.",
    .usage = "quantize [OPTION]... MODEL [OUT]\nquantize [OPTION]... -d DIR MODEL...\n"
             "quantize [OPTION]... DIR OUT_DIR",
    .notes =
        "Without OUT the output is MODEL ending in .int8.onnx (.uint8, .int4, .nf4), and one that\n"
        "exists is kept. An OUT that you name is replaced, unless it is a float model; in a "
        "folder\n"
        "the output gets its usual name. '-' is standard input or output.\n"
        "Of a folder every model is quantized into its place in OUT_DIR; other files are copied.\n"
        "Exit codes: 0 done, 2 usage, 3 input not readable or no valid model, 4 output not\n"
        "writable, 5 nothing to quantize, 70 a bug in onnxq, 71 out of memory, 128+N signal N.",
    .options = {{cli_job_options, cli_quantize_options, variant_options, cli_page_options,
                 cli_common_options}},
    .operands = CLI_FILE_OPERANDS,
    .settings_nbytes = sizeof(cli_quantize_settings),
    .defaults = cli_quantize_defaults,
    .run = run_quantize,
    .release = cli_quantize_release};
