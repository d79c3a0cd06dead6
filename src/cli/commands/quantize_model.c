/* What `onnxq quantize` makes of one model, and says about it. */
#include <inttypes.h>
#include <string.h>

#include "base/flags.h"
#include "base/option_values.h"
#include "base/error.h"
#include "calibrate/calibrate.h"
#include "calibrate/round_sites.h"
#include "cli/terminal/interrupt.h"
#include "cli/terminal/messages.h"
#include "cli/terminal/progress.h"
#include "cli/commands/quantize_command.h"

static const char *name_integers(const onnxq_options *options)
{
    static const char *const types[] = {OQ_WEIGHT_TYPE_VALUES(OQ_VALUE_NAME)};
    if (options->weights_from != NULL)
        switch (onnxq_checkpoint_get_info(options->weights_from)->bits) {
        case 2:
            return "int2";
        case 4:
            return "int4";
        default:
            return "int8";
        }
    if (options->bits == ONNXQ_BITS_8)
        return types[options->weight_type];
    return options->bits == ONNXQ_BITS_NF4 ? "nf4" : "int4";
}

static const char *type_suffix(const void *data)
{
    const cli_quantize_settings *settings = data;
    return name_integers(&settings->options);
}

/* What runs inputs is watched as what reads weights is. */
static bool goes_on(void *data, uint64_t n_done, uint64_t n_steps)
{
    cli_progress_count(data, "inputs", n_done, n_steps);
    return cli_interrupt_signal() == 0;
}

/* What `onnxq calibrate` would write into a file. */
static onnxq_ranges *measure_ranges(const cli_quantize_settings *settings, const onnxq_model *model,
                                    const onnxq_output_options *output, onnxq_error *error)
{
    struct oq_calibration result = {0};
    struct oq_calibrate_options options = {.model = model,
                                           .feed = settings->feed,
                                           .engine = oq_engine_open(settings->run.ort_lib, error),
                                           .progress = goes_on,
                                           .progress_data = output->progress_data};
    if (options.engine == NULL)
        return NULL;
    cli_run_fill_session(&settings->common, &settings->run, &options.session);
    bool ok = oq_calibrate(&result, &options, error);
    oq_engine_close(options.engine);
    if (ok && result.is_stopped) {
        oq_fail(error, ONNXQ_ERROR_CANCELLED, "cancelled");
        onnxq_ranges_close(result.ranges);
        return NULL;
    }
    return ok ? result.ranges : NULL;
}

static void warn_of_few(const cli_common *common, const struct oq_rounding_seen *seen)
{
    if (common->quiet > 0 || seen->n_weights == 0 ||
        seen->fewest_rows >= OQ_ROUND_FEW * seen->n_inputs)
        return;
    cli_error(common,
              "warning: inputs give %" PRIu64 " rows for a weight of %" PRIu64
              " inputs; more of them round better",
              seen->fewest_rows, seen->n_inputs);
    cli_hint(common, "some thousands of tokens, or %d rows for each input of a weight",
             OQ_ROUND_FEW);
}

/* Weights of 4 bits that are rounded as suits the inputs. */
static onnxq_plan *round_weights(const cli_quantize_settings *settings, const onnxq_model *model,
                                 const onnxq_options *options, onnxq_error *error)
{
    struct oq_rounding_seen seen;
    struct oq_round_options round = {.model = model,
                                     .quantize = options,
                                     .feed = settings->feed,
                                     .engine = oq_engine_open(settings->run.ort_lib, error),
                                     .progress = goes_on,
                                     .progress_data = options->output.progress_data};
    if (round.engine == NULL)
        return NULL;
    cli_run_fill_session(&settings->common, &settings->run, &round.session);
    onnxq_plan *plan = oq_round_with_inputs(&round, &seen, error);
    oq_engine_close(round.engine);
    if (plan != NULL)
        warn_of_few(&settings->common, &seen);
    return plan;
}

/* With 8 bits: engines in browsers have no kernels for int8 of these. */
static bool needs_unsigned(const onnxq_model *model)
{
    static const char *const operators[] = {"Conv", "GroupQueryAttention", "MultiHeadAttention"};
    onnxq_inspection *inspection = onnxq_inspection_create(model, NULL);
    bool needs = false;
    for (size_t i = 0; inspection != NULL && i < inspection->n_operators && !needs; i++)
        for (size_t k = 0; k < sizeof(operators) / sizeof(operators[0]); k++)
            needs |= strcmp(inspection->operators[i].op_type, operators[k]) == 0;
    onnxq_inspection_destroy(inspection);
    return needs;
}

static onnxq_options options_for(const cli_quantize_settings *settings, const onnxq_model *model)
{
    onnxq_options options = settings->options;
    if (settings->chooses_type && needs_unsigned(model))
        options.weight_type = ONNXQ_WEIGHT_UINT8;
    return options;
}

/* float16 weights, which a Cast behind each gives back: the way back to float has them already. */
static cli_work create_half(const cli_quantize_settings *settings, const onnxq_model *model,
                            const onnxq_output_options *output, onnxq_error *error)
{
    onnxq_dequantize_options options;
    onnxq_dequantize_options_init(&options);
    options.float_type = ONNXQ_FLOAT16;
    options.narrow_floats = true;
    options.freeze_inputs = settings->options.freeze_inputs;
    options.output = *output;
    return (cli_work){.dequantization = onnxq_dequantization_create(model, &options, error)};
}

/* Inputs are run. */
static bool takes_long(const void *data)
{
    const cli_quantize_settings *settings = data;
    return settings->run.inputs.count > 0;
}

static cli_work create(const void *data, const onnxq_model *model,
                       const onnxq_output_options *output, onnxq_error *error)
{
    const cli_quantize_settings *settings = data;
    onnxq_options options = options_for(settings, model);
    if (settings->is_half)
        return create_half(settings, model, output, error);
    options.output = *output;
    onnxq_ranges *ranges = NULL;
    if (takes_long(settings) && options.method == ONNXQ_METHOD_BLOCKS &&
        options.bits == ONNXQ_BITS_4)
        return (cli_work){.plan = round_weights(settings, model, &options, error)};
    if (takes_long(settings) && (ranges = measure_ranges(settings, model, output, error)) == NULL)
        return (cli_work){0};
    if (ranges != NULL)
        options.ranges = ranges;
    const cli_work work = {.plan = onnxq_plan_create(model, &options, error)};
    onnxq_ranges_close(ranges);
    return work;
}

/* "int4 weights of a checkpoint (awq), the rest as it was" */
static void print_imported(const onnxq_options *options, FILE *stream)
{
    fprintf(stream, "%s weights of a checkpoint (%s), all else as it was", name_integers(options),
            onnxq_checkpoint_get_info(options->weights_from)->format);
}

void cli_print_quantize_settings(const onnxq_options *options, FILE *stream)
{
    static const char *const methods[] = {"dynamic activations", "folded when loaded",
                                          "DequantizeLinear", "operators of com.microsoft",
                                          "activations of known ranges"};
    static const char *const ranges[] = {"", " of 7 bits", " safe in pairs"};
    if (options->weights_from != NULL)
        print_imported(options, stream);
    else
        fprintf(stream, "%s weights%s, per %s%s, %s", name_integers(options),
                ranges[options->reduce_range],
                options->method == ONNXQ_METHOD_BLOCKS || options->block_size != 0 ? "block"
                : options->per_channel                                             ? "channel"
                                                                                   : "tensor",
                oq_is_symmetric(options, options->bits == ONNXQ_BITS_4) ? "" : ", asymmetric",
                methods[options->method]);
    if (options->activation_bits != 8)
        fprintf(stream, " in %u bits", options->activation_bits);
    if (options->qdq_standard)
        fputs(", standard operators only", stream);
    if (options->target_ort != NULL)
        fprintf(stream, ", for ONNX Runtime %s", options->target_ort);
}

static void print(const void *data, const onnxq_model *model, const cli_work *work, int level,
                  FILE *stream)
{
    const cli_quantize_settings *settings = data;
    if (level >= 0 && work->dequantization != NULL)
        onnxq_report_dequantization_table(work->dequantization, stream);
    if (level < 0 || work->plan == NULL || onnxq_plan_count(work->plan) == 0)
        return;
    const onnxq_options options = options_for(settings, model);
    fputs("  ", stream);
    cli_print_quantize_settings(&options, stream);
    fputs("  ", stream);
    cli_print_origin(stream, model);
    if (level > 0)
        onnxq_report_weights(work->plan, stream);
    onnxq_report_table(work->plan, stream);
}

/* Some weight stays only because a caller may override it. */
static bool waits_for_freeze(const onnxq_plan *plan)
{
    for (size_t i = 0; i < onnxq_plan_count(plan); i++) {
        const onnxq_weight *weight = onnxq_plan_get(plan, i);
        for (size_t k = 0; k < weight->n_uses; k++)
            if (strstr(weight->uses[k].reason, "options.freeze_inputs") != NULL)
                return true;
    }
    return false;
}

/* Why the largest weight stays: the reason that matters. "" where there is none. */
static const char *main_reason(const onnxq_plan *plan)
{
    const onnxq_weight *largest = NULL;
    for (size_t i = 0; i < onnxq_plan_count(plan); i++) {
        const onnxq_weight *weight = onnxq_plan_get(plan, i);
        bool has_reason = weight->n_uses > 0 && weight->uses[0].reason[0] != '\0';
        if (has_reason && (largest == NULL || weight->nbytes > largest->nbytes))
            largest = weight;
    }
    return largest != NULL ? largest->uses[0].reason : "";
}

static void explain_kept(const onnxq_plan *plan, char *text, size_t capacity)
{
    size_t n = onnxq_plan_get_summary(plan)->n_weights;
    const char *reason = main_reason(plan);
    if (waits_for_freeze(plan))
        snprintf(text, capacity,
                 "nothing to quantize (constants: %zu, all kept; --freeze-inputs takes those that "
                 "callers may override)",
                 n);
    else
        snprintf(text, capacity, "nothing to quantize (constants: %zu, all kept%s%s)", n,
                 reason[0] == '\0' ? ""
                 : n == 1          ? ": "
                                   : "; the largest: ",
                 oq_flags_text(reason).text);
}

void cli_explain_noop(const onnxq_plan *plan, char *text, size_t capacity)
{
    const onnxq_summary *summary = onnxq_plan_get_summary(plan);
    if (summary->n_weights == 0)
        snprintf(text, capacity, "nothing to quantize: it has no constants");
    else if (summary->n_quantized_before > 0)
        snprintf(text, capacity, "nothing left to quantize: %zu %s quantized already",
                 summary->n_quantized_before,
                 summary->n_quantized_before == 1 ? "weight is" : "weights are");
    else
        explain_kept(plan, text, capacity);
}

static void explain_nothing(const cli_work *work, char *text, size_t capacity)
{
    cli_explain_noop(work->plan, text, capacity);
}

const cli_maker cli_quantize_maker = {.verb = "quantize",
                                      .suffix = type_suffix,
                                      .create = create,
                                      .takes_long = takes_long,
                                      .print = print,
                                      .explain_nothing = explain_nothing};
