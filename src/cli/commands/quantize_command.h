/* `onnxq quantize`: what the command line said. */
#ifndef CLI_QUANTIZE_COMMAND_H
#define CLI_QUANTIZE_COMMAND_H

#include <onnxq/onnxq.h>

#include "cli/commands/run_options.h"
#include "cli/files/job.h"
#include "cli/parse/name_list.h"
#include "cli/parse/option.h"

typedef struct cli_quantize_settings {
    cli_common common; /* these two first */
    cli_files files;
    onnxq_options options; /* lists are filled in from those below */
    cli_list op_types, exclude_op_types;
    cli_list include_globs, exclude_globs, include_regexes, exclude_regexes;
    cli_list include_names, exclude_names; /* as they are, nothing in them is a wildcard */
    cli_list extra_options;                /* KEY=VALUE, of ONNX Runtime's quantizer */
    onnxq_selector *selectors;
    const char *plan_path; /* NULL: none */
    onnxq_plan_file *plan;
    const char *ranges_path; /* NULL: none */
    onnxq_ranges *ranges;
    const char *weights_path; /* NULL: none */
    onnxq_checkpoint *weights_from;
    cli_list variant_names, targets;
    bool chooses_type; /* of integers: as the model's operators need it */
    bool is_half;      /* no integers at all: weights are stored as float16 */
    cli_run run;       /* inputs, where ranges are measured here */
    struct oq_feed_options feed;
} cli_quantize_settings;

extern const cli_option cli_quantize_options[]; /* how and which weights */
void cli_quantize_defaults(void *settings);
void cli_quantize_release(void *settings);

/* "int8 weights, per channel, dynamic activations" */
void cli_print_quantize_settings(const onnxq_options *options, FILE *stream);

/* Why the plan of a model has nothing to do. */
void cli_explain_noop(const onnxq_plan *plan, char *text, size_t capacity);

/* Completes settings->options from the lists and the file of ranges; an exit code. */
int cli_quantize_fill_options(cli_quantize_settings *settings);

#define CLI_MAX_VARIANTS 12

/* What --variants and --target ask for, in quantize_variants.c: in the order of the table, each
 * once. */
typedef struct cli_quantize_variants {
    cli_variant list[CLI_MAX_VARIANTS];
    cli_quantize_settings settings[CLI_MAX_VARIANTS]; /* copies, which own nothing */
    size_t count;
} cli_quantize_variants;

bool cli_quantize_has_variants(const cli_quantize_settings *settings);
int cli_quantize_fill_variants(const cli_quantize_settings *settings,
                               cli_quantize_variants *variants, cli_variants *job);

/* What is made of a model, in quantize_model.c. */
extern const cli_maker cli_quantize_maker;

#endif
