#define _POSIX_C_SOURCE 200809L
#include "quantize.h"

#include <stdlib.h>
#include <string.h>

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
        add_selectors(settings, sources[i].list->items, sources[i].list->count, sources[i].exclude,
                      sources[i].syntax);
    add_selectors(settings, quoted->items, n_included, false, ONNXQ_GLOB);
    add_selectors(settings, quoted->items + n_included, quoted->count - n_included, true,
                  ONNXQ_GLOB);
    settings->options.selectors = settings->selectors;
    return true;
}

bool cli_quantize_fill_options(cli_quantize_settings *settings)
{
    onnxq_options *options = &settings->options;
    options->threads = (unsigned)settings->common.threads;
    options->op_types = (const char *const *)settings->op_types.items;
    options->n_op_types = settings->op_types.count;
    options->exclude_op_types = (const char *const *)settings->exclude_op_types.items;
    options->n_exclude_op_types = settings->exclude_op_types.count;
    return make_selectors(settings);
}
