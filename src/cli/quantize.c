#define _POSIX_C_SOURCE 200809L
#include "quantize.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "interrupt.h"
#include "message.h"
#include "path.h"
#include "progress.h"

/* The parser writes enums as int. */
_Static_assert(sizeof(onnxq_weight_type) == sizeof(int), "enum as wide as int");
_Static_assert(sizeof(onnxq_reduce_range) == sizeof(int), "enum as wide as int");
_Static_assert(sizeof(onnxq_conv) == sizeof(int), "enum as wide as int");
_Static_assert(sizeof(onnxq_external_data) == sizeof(int), "enum as wide as int");

static const cli_choice weight_types[] = {{"int8", ONNXQ_WEIGHT_INT8, false},
                                          {"uint8", ONNXQ_WEIGHT_UINT8, false},
                                          {"QInt8", ONNXQ_WEIGHT_INT8, true},
                                          {"QUInt8", ONNXQ_WEIGHT_UINT8, true},
                                          {"QuantType.QInt8", ONNXQ_WEIGHT_INT8, true},
                                          {"QuantType.QUInt8", ONNXQ_WEIGHT_UINT8, true},
                                          {0}};

static const cli_choice reduce_ranges[] = {{"bits", ONNXQ_REDUCE_BITS, false},
                                           {"none", ONNXQ_REDUCE_NONE, false},
                                           {"true", ONNXQ_REDUCE_BITS, true},
                                           {"false", ONNXQ_REDUCE_NONE, true},
                                           {0}};

static const cli_choice convs[] = {{"fold", ONNXQ_CONV_FOLD, false},
                                   {"integer", ONNXQ_CONV_INTEGER, false},
                                   {"skip", ONNXQ_CONV_SKIP, false},
                                   {0}};

static const cli_choice external_data[] = {{"auto", ONNXQ_EXTERNAL_AUTO, false},
                                           {"always", ONNXQ_EXTERNAL_ALWAYS, false},
                                           {"never", ONNXQ_EXTERNAL_NEVER, false},
                                           {0}};

static const cli_choice external_data_format[] = {
    {"true", ONNXQ_EXTERNAL_ALWAYS, true}, {"false", ONNXQ_EXTERNAL_NEVER, true}, {0}};

#define FIELD(member) .offset = offsetof(cli_quantize_settings, member)

static const cli_option quantize_options[] = {
    {.kind = CLI_HEADING, .help = "Files"},
    {.kind = CLI_TEXT,
     .letter = 'o',
     .name = "output",
     .value = "FILE",
     .source = CLI_FILES,
     FIELD(output),
     .help = "same as OUT"},
    {.kind = CLI_TEXT,
     .letter = 'd',
     .name = "output-dir",
     .value = "DIR",
     .source = CLI_FOLDERS,
     FIELD(output_dir),
     .help = "one or more models, written into DIR"},
    {.kind = CLI_FLAG,
     .letter = 'f',
     .name = "force",
     FIELD(force),
     .help = "replace an output that was not named and exists"},
    {.kind = CLI_FLAG,
     .letter = 'n',
     .name = "no-clobber",
     FIELD(no_clobber),
     .help = "never replace a file"},
    {.kind = CLI_FLAG,
     .name = "dry-run",
     FIELD(dry_run),
     .help = "show what would be done to every weight, write nothing"},
    {.kind = CLI_CHOICE,
     .name = "external-data",
     .choices = external_data,
     FIELD(options.external_data),
     .help = "weights in a side file; auto: over 2 GB, or where MODEL has one"},
    {.kind = CLI_FLAG,
     .name = "sync",
     .negated = "false",
     FIELD(options.sync),
     .help = "wait until the output is on the disk"},
    {.kind = CLI_FLAG,
     .name = "allow-noop",
     FIELD(options.allow_noop),
     .help = "copy a model that has nothing to quantize, and exit 0"},

    {.kind = CLI_HEADING, .help = "How weights are stored"},
    {.kind = CLI_CHOICE,
     .letter = 't',
     .name = "weight-type",
     .choices = weight_types,
     FIELD(options.weight_type),
     .help = "integers of a weight"},
    {.kind = CLI_FLAG,
     .name = "per-channel",
     .negated = "false",
     FIELD(options.per_channel),
     .help = "a scale for each output channel; off: one for each weight"},
    {.kind = CLI_FLAG,
     .name = "symmetric",
     .negated = "false",
     FIELD(options.symmetric),
     .help = "zero point in the middle; off: range fitted to the weight"},
    {.kind = CLI_CHOICE,
     .name = "reduce-range",
     .choices = reduce_ranges,
     .implied = "bits",
     .negated = "none",
     FIELD(options.reduce_range),
     .help = "7-bit weights, exact on x86 processors without VNNI"},
    {.kind = CLI_CHOICE,
     .name = "conv",
     .choices = convs,
     FIELD(options.conv),
     .help = "fold: int8 in the file, float when loaded; integer: ConvInteger"},

    {.kind = CLI_HEADING, .help = "Which weights (all these may be repeated)"},
    {.kind = CLI_LIST,
     .name = "op-types",
     .value = "A,B",
     FIELD(op_types),
     .help = "only weights of these operators, such as MatMul"},
    {.kind = CLI_LIST,
     .name = "exclude-op-types",
     .value = "A,B",
     FIELD(exclude_op_types),
     .help = "no weights of these operators"},
    {.kind = CLI_APPEND,
     .name = "include",
     .value = "GLOB",
     FIELD(include_globs),
     .help = "only nodes or weights whose whole name matches"},
    {.kind = CLI_APPEND,
     .name = "exclude",
     .value = "GLOB",
     FIELD(exclude_globs),
     .help = "none whose whole name matches"},
    {.kind = CLI_APPEND,
     .name = "include-regex",
     .value = "RE",
     FIELD(include_regexes),
     .help = "only nodes or weights with a match in the name"},
    {.kind = CLI_APPEND,
     .name = "exclude-regex",
     .value = "RE",
     FIELD(exclude_regexes),
     .help = "none with a match in the name"},
    {.kind = CLI_FLAG,
     .name = "allow-unmatched",
     FIELD(options.allow_unmatched),
     .help = "one of the above that matches nothing is no error"},
    {.kind = CLI_NUMBER,
     .name = "min-elements",
     .value = "N",
     .maximum = UINT64_MAX,
     FIELD(options.min_elements),
     .help = "smaller weights stay as they are"},
    {.kind = CLI_FLAG,
     .name = "subgraphs",
     .negated = "false",
     FIELD(options.subgraphs),
     .help = "look into the bodies of If, Loop and Scan"},

    {.kind = CLI_HEADING, .help = "As in onnxruntime.quantization.quantize_dynamic"},
    {.kind = CLI_LIST,
     .name = "nodes_to_exclude",
     .value = "A,B",
     FIELD(exclude_names),
     .help = "--exclude with exact names"},
    {.kind = CLI_LIST,
     .name = "nodes_to_quantize",
     .value = "A,B",
     FIELD(include_names),
     .help = "--include with exact names"},
    {.kind = CLI_LIST,
     .name = "op_types_to_quantize",
     .value = "A,B",
     FIELD(op_types),
     .help = "--op-types"},
    {.kind = CLI_CHOICE,
     .name = "use_external_data_format",
     .choices = external_data_format,
     .implied = "true",
     FIELD(options.external_data),
     .help = "--external-data always"},
    {0}};

/* --- selectors ------------------------------------------------------------- */

/* The glob that matches just this name. A class protects a backslash under either reading of it. */
static bool add_quoted(cli_list *globs, const char *name)
{
    char *glob = malloc(4 * strlen(name) + 1), *end = glob;
    if (glob == NULL)
        return false;
    for (; *name != '\0'; name++) {
        bool is_special = strchr("*?[\\", *name) != NULL;
        if (is_special)
            *end++ = '[';
        *end++ = *name;
        if (*name == '\\')
            *end++ = '\\';
        if (is_special)
            *end++ = ']';
    }
    bool ok = cli_list_add(globs, glob, (size_t)(end - glob));
    free(glob);
    return ok;
}

static bool quote_names(cli_quantize_settings *settings)
{
    const cli_list *lists[] = {&settings->include_names, &settings->exclude_names};
    for (size_t i = 0; i < 2; i++) {
        for (size_t k = 0; k < lists[i]->count; k++) {
            if (!add_quoted(&settings->quoted_names, lists[i]->items[k]))
                return false;
        }
    }
    return true;
}

static void add_selectors(cli_quantize_settings *settings, char **patterns, size_t n_patterns,
                          bool exclude, onnxq_syntax syntax)
{
    for (size_t i = 0; i < n_patterns; i++)
        settings->selectors[settings->options.n_selectors++] =
            (onnxq_selector){exclude, syntax, patterns[i]};
}

static bool make_selectors(cli_quantize_settings *settings)
{
    const struct {
        const cli_list *list;
        bool exclude;
        onnxq_syntax syntax;
    } sources[] = {{&settings->include_globs, false, ONNXQ_GLOB},
                   {&settings->exclude_globs, true, ONNXQ_GLOB},
                   {&settings->include_regexes, false, ONNXQ_REGEX},
                   {&settings->exclude_regexes, true, ONNXQ_REGEX}};
    if (!quote_names(settings))
        return false;
    const cli_list *quoted = &settings->quoted_names;
    size_t count = quoted->count, n_included = settings->include_names.count;
    for (size_t i = 0; i < 4; i++)
        count += sources[i].list->count;
    settings->selectors = calloc(count + 1, sizeof(*settings->selectors));
    if (settings->selectors == NULL)
        return false;
    for (size_t i = 0; i < 4; i++)
        add_selectors(settings, sources[i].list->items, sources[i].list->count,
                      sources[i].exclude, sources[i].syntax);
    add_selectors(settings, quoted->items, n_included, false, ONNXQ_GLOB);
    add_selectors(settings, quoted->items + n_included, quoted->count - n_included, true,
                  ONNXQ_GLOB);
    settings->options.selectors = settings->selectors;
    return true;
}

static bool complete_options(cli_quantize_settings *settings)
{
    onnxq_options *options = &settings->options;
    options->threads = (unsigned)settings->common.threads;
    options->op_types = (const char *const *)settings->op_types.items;
    options->n_op_types = settings->op_types.count;
    options->exclude_op_types = (const char *const *)settings->exclude_op_types.items;
    options->n_exclude_op_types = settings->exclude_op_types.count;
    return make_selectors(settings);
}

/* --- what goes where ------------------------------------------------------- */

static int check_operands(const cli_quantize_settings *settings, int n_operands)
{
    const cli_common *common = &settings->common;
    const char *see = "see 'onnxq help quantize'";
    if (settings->force && settings->no_clobber)
        return cli_usage(common, NULL, "-f and -n contradict each other");
    if (settings->output != NULL && settings->output_dir != NULL)
        return cli_usage(common, NULL, "-o and -d contradict each other");
    if (n_operands == 0)
        return cli_usage(common, see, "there is no MODEL");
    if (settings->output_dir != NULL)
        return CLI_EXIT_OK;
    if (n_operands > 2 || (n_operands == 2 && settings->output != NULL))
        return cli_usage(common, "several models need a folder for their outputs: -d DIR",
                         settings->output != NULL ? "-o and OUT contradict each other"
                                                  : "more than MODEL and OUT");
    return CLI_EXIT_OK;
}

static const char *type_suffix(const cli_quantize_settings *settings)
{
    return settings->options.weight_type == ONNXQ_WEIGHT_INT8 ? "int8" : "uint8";
}

static bool fill_item(const cli_quantize_settings *settings, cli_quantize_item *item,
                      const char *input, const char *output)
{
    item->input = input;
    if (output == NULL && settings->output_dir == NULL && cli_is_standard_stream(input))
        output = CLI_STANDARD_STREAM; /* a filter, as others are */
    item->derived = output == NULL;
    item->output = item->derived
                       ? cli_derive_path(input, settings->output_dir, type_suffix(settings))
                       : strdup(output);
    return item->output != NULL;
}

static bool fill_items(cli_quantize_job *job, int n_operands, char **operands)
{
    const cli_quantize_settings *settings = job->settings;
    const char *output = settings->output;
    size_t n_items = (size_t)n_operands;
    if (settings->output_dir == NULL && n_operands == 2) {
        output = operands[1];
        n_items = 1;
    }
    job->items = calloc(n_items, sizeof(*job->items));
    if (job->items == NULL)
        return false;
    for (; job->n_items < n_items; job->n_items++) {
        if (!fill_item(settings, &job->items[job->n_items], operands[job->n_items], output))
            return false;
    }
    return true;
}

static int compare_outputs(const void *left, const void *right)
{
    const cli_quantize_item *const *a = left, *const *b = right;
    return strcmp((*a)->output, (*b)->output);
}

/* Two models of one name from two folders would end in one file. */
static int check_collisions(const cli_quantize_job *job)
{
    const cli_quantize_item **sorted = calloc(job->n_items, sizeof(const cli_quantize_item *));
    if (sorted == NULL)
        return cli_memory_error(&job->settings->common);
    for (size_t i = 0; i < job->n_items; i++)
        sorted[i] = &job->items[i];
    qsort(sorted, job->n_items, sizeof(*sorted), compare_outputs);
    int status = CLI_EXIT_OK;
    for (size_t i = 1; i < job->n_items && status == CLI_EXIT_OK; i++) {
        if (compare_outputs(&sorted[i - 1], &sorted[i]) == 0)
            status = cli_usage(&job->settings->common, NULL, "%s and %s would both be written to %s",
                               sorted[i - 1]->input, sorted[i]->input, sorted[i]->output);
    }
    free(sorted);
    return status;
}

static int check_item(const cli_quantize_job *job, const cli_quantize_item *item)
{
    const cli_quantize_settings *settings = job->settings;
    const cli_common *common = &settings->common;
    bool reads = cli_is_standard_stream(item->input), writes = cli_is_standard_stream(item->output);
    if (reads && settings->output_dir != NULL)
        return cli_usage(common, NULL, "standard input has no name for a file in %s",
                         settings->output_dir);
    if (reads && isatty(STDIN_FILENO))
        return cli_usage(common, NULL, "standard input is a terminal, expected a model");
    if (settings->dry_run)
        writes = false;
    if (writes && isatty(STDOUT_FILENO))
        return cli_usage(common, "name a file, or redirect it",
                         "standard output is a terminal and no place for a model");
    if (common->json == NULL)
        return CLI_EXIT_OK;
    if (writes && cli_is_standard_stream(common->json))
        return cli_usage(common, "--json=FILE writes the report to a file",
                         "model and report cannot both go to standard output");
    if (cli_is_same_file(common->json, item->input) || cli_is_same_file(common->json, item->output))
        return cli_usage(common, NULL, "--json: %s is a model of this run", common->json);
    return CLI_EXIT_OK;
}

static int check_items(const cli_quantize_job *job)
{
    int status = check_collisions(job);
    for (size_t i = 0; i < job->n_items && status == CLI_EXIT_OK; i++)
        status = check_item(job, &job->items[i]);
    return status;
}

static void choose_text_stream(cli_quantize_job *job)
{
    const cli_quantize_settings *settings = job->settings;
    const char *json = settings->common.json;
    job->text = stdout;
    if (json != NULL && cli_is_standard_stream(json))
        job->text = NULL;
    else if (!settings->dry_run && cli_is_standard_stream(job->items[0].output))
        job->text = stderr;
}

/* --- the run --------------------------------------------------------------- */

static int fail_report(const cli_quantize_job *job, int status)
{
    int reason = errno;
    cli_error(&job->settings->common, "%s: cannot write the report: %s",
              job->settings->common.json, strerror(reason));
    return status == CLI_EXIT_OK ? CLI_EXIT_OUTPUT : status;
}

static int finish_report(cli_quantize_job *job, int status)
{
    if (job->n_reports == 0)
        return status;
    if (job->json_is_array)
        fputs("]\n", job->json.stream);
    return cli_report_file_publish(&job->json) ? status : fail_report(job, status);
}

static void print_total(const cli_quantize_job *job, double seconds)
{
    if (job->n_items < 2 || job->text == NULL || job->settings->common.quiet > 1)
        return;
    fprintf(job->text, "%s %zu of %zu models to ", job->settings->dry_run ? "Would write" : "Wrote",
            job->n_done, job->n_items);
    cli_print_escaped(job->text, job->settings->output_dir);
    if (job->n_done > 0) {
        fputs("   ", job->text);
        cli_print_sizes(job->text, job->nbytes_before, job->nbytes_after);
        fprintf(job->text, " in %.2f s", seconds);
    }
    putc('\n', job->text);
}

/* All models, past those that fail; the first failure is the exit code. */
static int run_items(cli_quantize_job *job)
{
    double began = cli_seconds();
    int status = CLI_EXIT_OK;
    for (size_t i = 0; i < job->n_items; i++) {
        int result = cli_interrupt_signal() != 0 ? 128 + cli_interrupt_signal()
                                                 : cli_quantize_item_run(job, &job->items[i]);
        if (result > 128)
            return result;
        if (status == CLI_EXIT_OK)
            status = result;
    }
    print_total(job, cli_seconds() - began);
    return finish_report(job, status);
}

static int run_job(cli_quantize_job *job, int n_operands, char **operands)
{
    cli_quantize_settings *settings = job->settings;
    if (!complete_options(settings) || !fill_items(job, n_operands, operands))
        return cli_memory_error(&settings->common);
    int status = check_items(job);
    if (status != CLI_EXIT_OK)
        return status;
    choose_text_stream(job);
    job->json_is_array = settings->output_dir != NULL;
    if (settings->common.json != NULL && !cli_report_file_open(&job->json, settings->common.json))
        return fail_report(job, CLI_EXIT_OK);
    status = run_items(job);
    if (job->folder_created && job->n_done == 0)
        rmdir(settings->output_dir);
    return status;
}

static int run_quantize(void *data, int n_operands, char **operands)
{
    cli_quantize_settings *settings = data;
    cli_quantize_job job = {.settings = settings};
    int status = check_operands(settings, n_operands);
    if (status == CLI_EXIT_OK)
        status = run_job(&job, n_operands, operands);
    cli_report_file_close(&job.json);
    for (size_t i = 0; i < job.n_items; i++)
        free(job.items[i].output);
    free(job.items);
    return status;
}

static void set_defaults(void *data)
{
    cli_quantize_settings *settings = data;
    onnxq_options_init(&settings->options);
}

static void release(void *data)
{
    cli_quantize_settings *settings = data;
    cli_list *lists[] = {
        &settings->op_types,        &settings->exclude_op_types, &settings->include_globs,
        &settings->exclude_globs,   &settings->include_regexes,  &settings->exclude_regexes,
        &settings->include_names,   &settings->exclude_names,    &settings->quoted_names};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        cli_list_free(lists[i]);
    free(settings->selectors);
}

const cli_command cli_quantize = {
    .name = "quantize",
    .summary = "Stores and computes the weights of a model as int8; no data needed.",
    .usage = "quantize [OPTION]... MODEL [OUT]\nquantize [OPTION]... -d DIR MODEL...",
    .notes = "OUT left out is MODEL with .int8.onnx (or .uint8.onnx) for its ending; one that\n"
             "exists is kept. A named OUT is replaced. '-' is standard input or output.\n"
             "Exit codes: 0 done, 2 usage, 3 input not readable or no valid model, 4 output not\n"
             "writable, 5 nothing to quantize, 70 a bug in onnxq, 71 out of memory, 128+N signal N.",
    .options = {{quantize_options, cli_common_options}},
    .operands = CLI_FILE_OPERANDS,
    .settings_nbytes = sizeof(cli_quantize_settings),
    .defaults = set_defaults,
    .run = run_quantize,
    .release = release};
