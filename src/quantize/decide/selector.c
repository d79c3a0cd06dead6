/* Compiles globs and regular expressions, and notes which of them matched. */
#include "quantize/decide/selector.h"

#include <stdlib.h>

#include "base/nearest.h"
#include "quantize/decide/pattern.h"

struct pattern {
    const onnxq_selector *selector;
    struct oq_regex *regex; /* NULL for other syntaxes */
    bool matched;           /* something in the model */
};

struct oq_selection {
    const onnxq_options *options;
    struct pattern *patterns;
    size_t n_patterns;
    bool has_include;
};

static bool match(const struct pattern *pattern, const char *name)
{
    if (pattern->selector->syntax == ONNXQ_REGEX)
        return oq_regex_matches(pattern->regex, name);
    /* A name as it is always matches itself, whatever special characters it has. */
    if (strcmp(pattern->selector->pattern, name) == 0)
        return true;
    return pattern->selector->syntax == ONNXQ_GLOB &&
           oq_glob_matches(pattern->selector->pattern, name);
}

static bool compile(struct pattern *pattern, const onnxq_selector *selector, onnxq_error *error)
{
    pattern->selector = selector;
    return selector->syntax != ONNXQ_REGEX ||
           (pattern->regex = oq_regex_create(selector->pattern, error)) != NULL;
}

/* --- against the model --- */

typedef void (*name_fn)(void *context, const char *name);

/* Calls fn with the name of every node and of every constant. */
static void for_each_name_of(const onnxq_model *model, name_fn fn, void *context)
{
    for (size_t g = 0; g < model->graphs.count; g++) {
        const Oq__Pb__GraphProto *graph = model->graphs.list[g]->proto;
        for (size_t i = 0; i < graph->n_node; i++) {
            const Oq__Pb__NodeProto *node = graph->node[i];
            fn(context, oq_node_label(node));
            if (oq_node_is(node, "", "Constant") && node->n_output > 0)
                fn(context, node->output[0]);
        }
        for (size_t i = 0; i < graph->n_initializer; i++)
            fn(context, graph->initializer[i]->name);
    }
}

static void for_each_name(const onnxq_model *model, name_fn fn, void *context)
{
    for (; model != NULL; model = model->base)
        for_each_name_of(model, fn, context);
}

static void mark_matches(void *context, const char *name)
{
    struct oq_selection *selection = context;
    for (size_t i = 0; i < selection->n_patterns && name != NULL; i++)
        if (!selection->patterns[i].matched)
            selection->patterns[i].matched = match(&selection->patterns[i], name);
}

static void consider_name(void *context, const char *name)
{
    oq_nearest_offer(context, name);
}

/* A name that is nearly right, or the way on without one. */
static void hint_at(const struct oq_nearest *nearest, onnxq_error *error)
{
    oq_nearest_hint(nearest, error);
    if (error->hint[0] == '\0')
        oq_error_hint(error, "options.allow_unmatched passes over what matches nothing");
}

static bool check_patterns(struct oq_selection *selection, const onnxq_model *model,
                           onnxq_error *error)
{
    for_each_name(model, mark_matches, selection);
    for (size_t i = 0; i < selection->n_patterns; i++) {
        const onnxq_selector *selector = selection->patterns[i].selector;
        if (selection->patterns[i].matched)
            continue;
        struct oq_nearest nearest = {.wanted = selector->pattern};
        for_each_name(model, consider_name, &nearest);
        oq_fail(error, ONNXQ_ERROR_OPTION, "%s \"%s\" matches no node and no weight",
                selector->exclude ? "exclude" : "include", selector->pattern);
        hint_at(&nearest, error);
        return false;
    }
    return true;
}

static void for_each_op_type(const onnxq_model *model, name_fn fn, void *context)
{
    for (; model != NULL; model = model->base)
        for (size_t g = 0; g < model->graphs.count; g++)
            for (size_t i = 0; i < model->graphs.list[g]->proto->n_node; i++)
                fn(context, model->graphs.list[g]->proto->node[i]->op_type);
}

static bool check_op_types(const char *const *op_types, size_t n, const onnxq_model *model,
                           onnxq_error *error)
{
    for (size_t i = 0; i < n; i++) {
        struct oq_nearest nearest = {.wanted = op_types[i]};
        for_each_op_type(model, consider_name, &nearest);
        if (nearest.name != NULL && nearest.distance == 0)
            continue;
        oq_fail(error, ONNXQ_ERROR_OPTION, "the model has no operator of type \"%s\"", op_types[i]);
        hint_at(&nearest, error);
        return false;
    }
    return true;
}

struct oq_selection *oq_selection_create(const onnxq_options *options, const onnxq_model *model,
                                         onnxq_error *error)
{
    struct oq_selection *selection = calloc(1, sizeof(*selection));
    struct pattern *patterns = calloc(options->n_selectors + 1, sizeof(*patterns));
    if (selection == NULL || patterns == NULL) {
        free(selection);
        free(patterns);
        oq_fail_memory(error);
        return NULL;
    }
    selection->options = options;
    selection->patterns = patterns;
    selection->n_patterns = options->n_selectors;
    bool ok = true;
    for (size_t i = 0; ok && i < options->n_selectors; i++) {
        selection->has_include |= !options->selectors[i].exclude;
        ok = compile(&patterns[i], &options->selectors[i], error);
    }
    if (!options->allow_unmatched)
        ok = ok && check_op_types(options->op_types, options->n_op_types, model, error) &&
             check_op_types(options->exclude_op_types, options->n_exclude_op_types, model, error) &&
             check_patterns(selection, model, error);
    if (ok)
        return selection;
    oq_selection_destroy(selection);
    return NULL;
}

void oq_selection_destroy(struct oq_selection *selection)
{
    if (selection == NULL)
        return;
    for (size_t i = 0; i < selection->n_patterns; i++)
        oq_regex_destroy(selection->patterns[i].regex);
    free(selection->patterns);
    free(selection);
}

static bool contains(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* An operator type, or that of the function which the node is in. */
static bool contains_type(const char *const *names, size_t n, const struct oq_selected *site)
{
    return contains(names, n, site->op_type) ||
           (site->function != NULL && contains(names, n, site->function));
}

static bool matches(const struct pattern *pattern, const struct oq_selected *site)
{
    return match(pattern, site->node) || match(pattern, site->weight) ||
           (site->call != NULL && match(pattern, site->call));
}

const char *oq_selection_refuses(const struct oq_selection *selection,
                                 const struct oq_selected *site)
{
    const onnxq_options *options = selection->options;
    bool included = !selection->has_include;
    if (options->op_types != NULL && !contains_type(options->op_types, options->n_op_types, site))
        return "operator type not selected";
    if (contains_type(options->exclude_op_types, options->n_exclude_op_types, site))
        return "operator type excluded";
    for (size_t i = 0; i < selection->n_patterns; i++) {
        const struct pattern *pattern = &selection->patterns[i];
        if (!matches(pattern, site))
            continue;
        if (pattern->selector->exclude)
            return "excluded";
        included = true;
    }
    return included ? NULL : "not included";
}
