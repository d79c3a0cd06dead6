/*
 * A model, and selectors in the lines of its field FUZZ_TEXT:
 *
 *     +*PATTERN   include, a glob       -*PATTERN   exclude
 *     +/PATTERN   a regular expression  -/PATTERN
 *     +=PATTERN   an exact name         -=PATTERN
 *     +:TYPE      an operator type      -:TYPE
 *
 * What must hold for every node and weight of the model:
 *
 *  - what the whole refuses or takes is what its selectors say one by one;
 *  - an exclude of what is included leaves nothing, in either order;
 *  - an exact name selects what strcmp() says, and "*" everything.
 *
 * Patterns are those of the person who runs onnxq, names are not: the lines are
 * few and short, the time that a regular expression takes is its author's.
 */
#define _POSIX_C_SOURCE 200809L
#include "quantize/decide/selector.h"

#include <string.h>

#include "fuzz/support.h"

#define MAX_LINES 8
#define MAX_LINE  48

static char *input;

struct choice {
    char lines[MAX_LINES][MAX_LINE];
    onnxq_selector selectors[2 * MAX_LINES];
    size_t n_selectors;
    const char *op_types[MAX_LINES], *exclude_op_types[MAX_LINES];
    size_t n_op_types, n_exclude_op_types;
};

static void add_line(struct choice *choice, const char *line)
{
    const onnxq_selector selector = {.exclude = line[0] == '-',
                                     .syntax = line[1] == '/'   ? ONNXQ_REGEX
                                               : line[1] == '=' ? ONNXQ_EXACT
                                                                : ONNXQ_GLOB,
                                     .pattern = line + 2};
    if (line[1] != ':')
        choice->selectors[choice->n_selectors++] = selector;
    else if (selector.exclude)
        choice->exclude_op_types[choice->n_exclude_op_types++] = selector.pattern;
    else
        choice->op_types[choice->n_op_types++] = selector.pattern;
}

static void read_lines(struct choice *choice, struct fuzz_bytes text)
{
    memset(choice, 0, sizeof *choice);
    for (size_t i = 0; i < MAX_LINES && text.nbytes > 0; i++) {
        const uint8_t *end = memchr(text.bytes, '\n', text.nbytes);
        size_t n = end ? (size_t)(end - text.bytes) : text.nbytes;
        memcpy(choice->lines[i], text.bytes, n < MAX_LINE - 1 ? n : MAX_LINE - 1);
        if (strlen(choice->lines[i]) >= 2)
            add_line(choice, choice->lines[i]);
        n += end != NULL;
        text.bytes += n;
        text.nbytes -= n;
    }
}

static struct oq_selection *select_by(const onnxq_model *model, onnxq_options *options,
                                      const onnxq_selector *selectors, size_t n_selectors)
{
    onnxq_error error = {0};
    options->selectors = selectors;
    options->n_selectors = n_selectors;
    struct oq_selection *selection = oq_selection_create(options, model, &error);
    if (!selection) {
        fuzz_check_error(&error);
        CHECK(error.status == ONNXQ_ERROR_OPTION || error.status == ONNXQ_ERROR_MEMORY);
    }
    return selection;
}

typedef void (*site_fn)(void *context, const char *op_type, const char *node, const char *weight);

/* The sites of a model, as its rules would ask for them. */
static void for_each_site(const onnxq_model *model, site_fn fn, void *context)
{
    for (size_t g = 0; g < model->graphs.count; g++) {
        const Oq__Pb__GraphProto *graph = model->graphs.list[g]->proto;
        for (size_t i = 0; i < graph->n_node && i < 16; i++) {
            const Oq__Pb__NodeProto *node = graph->node[i];
            for (size_t k = 0; k < node->n_input && k < 4; k++)
                fn(context, node->op_type ? node->op_type : "", oq_node_label(node),
                   node->input[k]);
        }
    }
}

static const char *refuses(const struct oq_selection *selection, const char *op_type,
                           const char *node, const char *weight)
{
    const struct oq_selected site = {.op_type = op_type, .node = node, .weight = weight};
    return oq_selection_refuses(selection, &site);
}

/* --- one by one ------------------------------------------------------------------ */

struct parts {
    const struct choice *choice;
    const struct oq_selection *whole, *list[MAX_LINES];
};

static bool contains(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static void compare_site(void *context, const char *op_type, const char *node, const char *weight)
{
    const struct parts *parts = context;
    const struct choice *choice = parts->choice;
    bool included = true, excluded = false, has_include = false;
    for (size_t i = 0; i < choice->n_selectors; i++) {
        const onnxq_selector *selector = &choice->selectors[i];
        bool refused = refuses(parts->list[i], op_type, node, weight) != NULL;
        if (selector->syntax == ONNXQ_EXACT)
            CHECK((refused == selector->exclude) ==
                  (strcmp(selector->pattern, node) == 0 || strcmp(selector->pattern, weight) == 0));
        if (selector->syntax == ONNXQ_GLOB && strcmp(selector->pattern, "*") == 0)
            CHECK(refused == selector->exclude);
        if (selector->exclude) {
            excluded |= refused;
        } else {
            included = has_include ? included || !refused : !refused;
            has_include = true;
        }
    }
    if (choice->n_op_types > 0 && !contains(choice->op_types, choice->n_op_types, op_type))
        excluded = true;
    if (contains(choice->exclude_op_types, choice->n_exclude_op_types, op_type))
        excluded = true;
    const char *reason = refuses(parts->whole, op_type, node, weight);
    CHECK((reason != NULL) == (excluded || !included));
    CHECK(reason == NULL || reason[0] != '\0');
}

static void compare_parts(const onnxq_model *model, const struct choice *choice,
                          const struct oq_selection *whole)
{
    struct parts parts = {.choice = choice, .whole = whole};
    onnxq_options options[MAX_LINES];
    size_t n = 0;
    for (; n < choice->n_selectors; n++) {
        onnxq_options_init(&options[n]);
        options[n].allow_unmatched = true;
        parts.list[n] = select_by(model, &options[n], &choice->selectors[n], 1);
        if (!parts.list[n])
            break;
    }
    if (n == choice->n_selectors)
        for_each_site(model, compare_site, &parts);
    for (size_t i = 0; i < n; i++)
        oq_selection_destroy((struct oq_selection *)(uintptr_t)parts.list[i]);
}

/* --- include and exclude ----------------------------------------------------------- */

static void check_refused(void *context, const char *op_type, const char *node, const char *weight)
{
    CHECK(refuses(context, op_type, node, weight) != NULL);
}

/* Each selector twice, as include and as exclude. */
static void check_contradiction(const onnxq_model *model, struct choice *choice)
{
    onnxq_options options;
    size_t n = choice->n_selectors;
    for (size_t i = 0; i < n; i++) {
        choice->selectors[n + i] = choice->selectors[i];
        choice->selectors[n + i].exclude = !choice->selectors[i].exclude;
    }
    onnxq_options_init(&options);
    options.allow_unmatched = true;
    struct oq_selection *selection = select_by(model, &options, choice->selectors, 2 * n);
    if (selection && n > 0)
        for_each_site(model, check_refused, selection);
    oq_selection_destroy(selection);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    struct choice choice;
    onnxq_options options;
    if (!input)
        input = fuzz_path("in.onnx");
    onnxq_model *model = fuzz_open(input, data, nbytes);
    if (!model)
        return 0;
    read_lines(&choice, fuzz_find_field(data, nbytes, FUZZ_TEXT));
    onnxq_options_init(&options);
    oq_selection_destroy(select_by(model, &options, choice.selectors, choice.n_selectors));

    options.allow_unmatched = true;
    options.op_types = choice.n_op_types > 0 ? choice.op_types : NULL;
    options.n_op_types = choice.n_op_types;
    options.exclude_op_types = choice.exclude_op_types;
    options.n_exclude_op_types = choice.n_exclude_op_types;
    struct oq_selection *whole = select_by(model, &options, choice.selectors, choice.n_selectors);
    if (whole)
        compare_parts(model, &choice, whole);
    oq_selection_destroy(whole);
    check_contradiction(model, &choice);
    onnxq_model_close(model);
    return 0;
}
