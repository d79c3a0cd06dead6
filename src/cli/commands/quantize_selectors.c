/* The options that select weights, in the order in which they were given; and ranges. */
#include "cli/commands/quantize_command.h"

#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "cli/terminal/messages.h"
#include "ranges/plan_file.h"

static bool make_selectors(cli_quantize_settings *settings)
{
    const struct {
        const cli_list *list;
        bool exclude;
        onnxq_syntax syntax;
    } sources[] = {{&settings->include_globs, false, ONNXQ_GLOB},
                   {&settings->exclude_globs, true, ONNXQ_GLOB},
                   {&settings->include_regexes, false, ONNXQ_REGEX},
                   {&settings->exclude_regexes, true, ONNXQ_REGEX},
                   {&settings->include_names, false, ONNXQ_EXACT},
                   {&settings->exclude_names, true, ONNXQ_EXACT}};
    const size_t n_sources = sizeof(sources) / sizeof(sources[0]);
    size_t count = 0;
    for (size_t i = 0; i < n_sources; i++)
        count += sources[i].list->count;
    settings->selectors = calloc(count + 1, sizeof(*settings->selectors));
    if (settings->selectors == NULL)
        return false;
    for (size_t i = 0; i < n_sources; i++)
        for (size_t k = 0; k < sources[i].list->count; k++)
            settings->selectors[settings->options.n_selectors++] =
                (onnxq_selector){sources[i].exclude, sources[i].syntax, sources[i].list->items[k]};
    settings->options.selectors = settings->selectors;
    return true;
}

static bool is_key(const char *text, size_t n_key, const char *key)
{
    return strlen(key) == n_key && strncmp(text, key, n_key) == 0;
}

/*
 * What ONNX Runtime's quantize_dynamic takes as extra_options: two are options here, the others
 * must ask for what is done anyway.
 */
static int apply_extra(cli_quantize_settings *settings, const char *text)
{
    static const struct {
        const char *key;
        bool is_done; /* the value that is fulfilled, whatever the model */
    } fixed[] = {{"MatMulConstBOnly", true},
                 {"ActivationSymmetric", false},
                 {"ForceQuantizeNoInputCheck", false}};
    const cli_common *common = &settings->common;
    size_t n_key = strcspn(text, "=:");
    const char *value = text[n_key] != '\0' ? text + n_key + 1 : "";
    bool is_true = oq_is_same_word("true", 4, value) || strcmp(value, "1") == 0;
    if (!is_true && !oq_is_same_word("false", 5, value) && strcmp(value, "0") != 0)
        return cli_usage(common, "as in --extra_options WeightSymmetric=False",
                         "--extra_options: '%s' is not KEY=True or KEY=False", text);
    if (is_key(text, n_key, "WeightSymmetric"))
        settings->options.symmetric = is_true;
    else if (is_key(text, n_key, "EnableSubgraph"))
        settings->options.subgraphs = is_true;
    else {
        size_t i = 0, n = sizeof(fixed) / sizeof(fixed[0]);
        while (i < n && !is_key(text, n_key, fixed[i].key))
            i++;
        if (i == n || fixed[i].is_done != is_true)
            return cli_usage(common, "'onnxq help quantize' lists the options that there are",
                             "--extra_options: '%s' has no counterpart here", text);
    }
    return 0;
}

int cli_quantize_fill_options(cli_quantize_settings *settings)
{
    onnxq_options *options = &settings->options;
    onnxq_error error;
    for (size_t i = 0; i < settings->extra_options.count; i++) {
        int status = apply_extra(settings, settings->extra_options.items[i]);
        if (status != 0)
            return status;
    }
    if (settings->ranges_path != NULL &&
        (settings->ranges = onnxq_ranges_open(settings->ranges_path, &error)) == NULL)
        return cli_library_error(&settings->common, &error);
    options->ranges = settings->ranges;
    if (settings->weights_path != NULL &&
        (settings->weights_from = onnxq_checkpoint_open(settings->weights_path, &error)) == NULL)
        return cli_library_error(&settings->common, &error);
    options->weights_from = settings->weights_from;
    if (settings->plan_path != NULL) {
        if ((settings->plan = onnxq_plan_file_open(settings->plan_path, &error)) == NULL)
            return cli_library_error(&settings->common, &error);
        options->plan = settings->plan;
        options->method = oq_plan_file_resolve(options).method;
    }
    if (settings->run.inputs.count > 0 && options->method != ONNXQ_METHOD_STATIC &&
        !(options->method == ONNXQ_METHOD_BLOCKS && options->bits == ONNXQ_BITS_4))
        return cli_usage(&settings->common,
                         "it goes with --method static, or --method blocks --bits 4",
                         "--inputs has no effect with this method");
    if (settings->run.inputs.count > 0 && settings->ranges != NULL)
        return cli_usage(&settings->common, "onnxq calibrate --append adds inputs to a file",
                         "--inputs and --ranges cannot be combined");
    int code = cli_run_fill(&settings->common, &settings->run, &settings->feed);
    if (code != 0)
        return code;
    options->op_types = (const char *const *)settings->op_types.items;
    options->n_op_types = settings->op_types.count;
    options->exclude_op_types = (const char *const *)settings->exclude_op_types.items;
    options->n_exclude_op_types = settings->exclude_op_types.count;
    return make_selectors(settings) ? 0 : cli_memory_error(&settings->common);
}
