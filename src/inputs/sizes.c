/* Chooses sizes: what is given, what formulas say, what nodes ask for, what is usual. */
#include "inputs/usual_sizes.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "inputs/expression.h"

/* Of the text that names the sizes: a hint has room for it. */
#define MAX_CHOSEN 150

/* --- collecting ------------------------------------------------------------- */

static struct oq_symbol *add_symbol(struct oq_size_chooser *chooser, const char *name)
{
    struct oq_symbol *symbol = oq_arena_alloc(chooser->arena, sizeof(*symbol));
    if (symbol == NULL || !oq_arena_grow(chooser->arena, &chooser->list, chooser->count,
                                         &chooser->capacity, sizeof(struct oq_symbol *)))
        return NULL;
    *symbol = (struct oq_symbol){.name = name, .demand = OQ_DEMAND_INIT};
    chooser->list[chooser->count++] = symbol;
    return symbol;
}

/* The symbol of that name, made where it is new; without a name always a new one. */
static struct oq_symbol *find_symbol(struct oq_size_chooser *chooser, const char *name)
{
    if (name[0] == '\0')
        return add_symbol(chooser, name);
    void **place = oq_strmap_place(&chooser->by_name, name);
    if (place == NULL)
        return NULL;
    if (*place == NULL)
        *place = add_symbol(chooser, name);
    return *place;
}

static bool collect_input(struct oq_size_chooser *chooser, size_t index)
{
    const struct oq_parameter *input = &chooser->signature->inputs[index];
    struct oq_symbol **symbols =
        oq_arena_array(chooser->arena, input->n_dims + 1, sizeof(*symbols));
    if (symbols == NULL)
        return false;
    chooser->of_input[index] = symbols;
    for (size_t k = 0; k < input->n_dims; k++) {
        if (input->dims[k].size >= 0)
            continue;
        symbols[k] = find_symbol(chooser, input->dims[k].name);
        if (symbols[k] == NULL)
            return false;
        if (symbols[k]->input == NULL) {
            symbols[k]->input = input;
            symbols[k]->axis = k;
        }
    }
    return true;
}

static void note_length(struct oq_size_chooser *chooser, const struct oq_parameter *input)
{
    if (chooser->fixed_length < 0 && !oq_is_float_parameter(input) && input->n_dims == 2 &&
        input->dims[1].size > 1)
        chooser->fixed_length = input->dims[1].size;
}

/* Name of a formula: it becomes a symbol of its own. The value does not matter yet. */
static bool collect_name(void *context, const char *text, size_t length, int64_t *value)
{
    struct oq_size_chooser *chooser = context;
    char *name = oq_arena_printf(chooser->arena, "%.*s", (int)length, text);
    *value = 1 << 20;
    return length < 256 && name != NULL && find_symbol(chooser, name) != NULL;
}

static bool collect(struct oq_size_chooser *chooser)
{
    const struct oq_signature *signature = chooser->signature;
    for (size_t i = 0; i < signature->n_inputs; i++) {
        if (signature->inputs[i].has_default)
            continue;
        note_length(chooser, &signature->inputs[i]);
        if (!collect_input(chooser, i))
            return oq_arena_fail(chooser->arena, chooser->error);
    }
    size_t n_declared = chooser->count;
    for (size_t i = 0; i < n_declared; i++) {
        int64_t ignored;
        oq_expression_evaluate(chooser->list[i]->name, collect_name, chooser, &ignored);
    }
    return true;
}

/* --- settings --------------------------------------------------------------- */

/* "images:0": a dimension by its place. */
static bool find_place(const struct oq_size_chooser *chooser, const char *name, size_t *input,
                       size_t *axis)
{
    const char *colon = strrchr(name, ':');
    char *end;
    if (colon == NULL || colon[1] < '0' || colon[1] > '9')
        return false;
    errno = 0;
    unsigned long long number = strtoull(colon + 1, &end, 10);
    if (*end != '\0' || errno != 0)
        return false;
    *axis = (size_t)number;
    for (*input = 0; *input < chooser->signature->n_inputs; ++*input) {
        const struct oq_parameter *parameter = &chooser->signature->inputs[*input];
        if (!parameter->has_default && strlen(parameter->name) == (size_t)(colon - name) &&
            strncmp(parameter->name, name, (size_t)(colon - name)) == 0)
            return true;
    }
    return false;
}

static bool fail_unknown(const struct oq_size_chooser *chooser, const char *name)
{
    struct oq_nearest nearest = {.wanted = name};
    for (size_t i = 0; i < chooser->count; i++)
        oq_nearest_offer(&nearest, chooser->list[i]->name);
    oq_fail(chooser->error, ONNXQ_ERROR_OPTION, "no input has a dimension \"%s\" to be set", name);
    oq_nearest_hint(&nearest, chooser->error);
    if (chooser->error->hint[0] == '\0')
        oq_error_hint(chooser->error, "a dimension without a name is INPUT:AXIS, as in images:0=4");
    return false;
}

static bool apply_setting(struct oq_size_chooser *chooser, const struct oq_dim_setting *setting)
{
    struct oq_symbol *symbol = oq_strmap_find(&chooser->by_name, setting->name);
    size_t input, axis;
    if (symbol == NULL && find_place(chooser, setting->name, &input, &axis)) {
        const struct oq_parameter *parameter = &chooser->signature->inputs[input];
        if (axis >= parameter->n_dims)
            return oq_fail(chooser->error, ONNXQ_ERROR_OPTION,
                           "dimension \"%s\": input \"%s\" has %zu dimensions", setting->name,
                           parameter->name, parameter->n_dims);
        if (parameter->dims[axis].size >= 0)
            return oq_fail(chooser->error, ONNXQ_ERROR_OPTION,
                           "dimension \"%s\": it is %" PRId64 " in the model", setting->name,
                           parameter->dims[axis].size);
        symbol = chooser->of_input[input][axis];
    }
    if (symbol == NULL)
        return fail_unknown(chooser, setting->name);
    if (setting->size < 0)
        return oq_fail(chooser->error, ONNXQ_ERROR_OPTION,
                       "dimension \"%s\": %" PRId64 " is no size", setting->name, setting->size);
    symbol->is_set = true;
    symbol->size = setting->size;
    return true;
}

/* --- choosing --------------------------------------------------------------- */

static void choose_size(struct oq_size_chooser *chooser, struct oq_symbol *symbol)
{
    if (symbol->is_chosen || symbol->is_set)
        return;
    symbol->is_chosen = true;
    symbol->size = oq_usual_size(chooser, symbol, chooser->tried);
}

/* Of a dimension, or of a name that its formula has. */
static void note_others(struct oq_size_chooser *chooser, const struct oq_symbol *symbol)
{
    for (unsigned i = 0; i < OQ_DRAW_TRIES && !symbol->is_set; i++)
        chooser->has_others |= oq_usual_size(chooser, symbol, i) != symbol->size;
}

/* --- formulas --------------------------------------------------------------- */

static bool value_of_name(void *context, const char *text, size_t length, int64_t *value)
{
    struct oq_size_chooser *chooser = context;
    char name[256];
    if (length >= sizeof(name))
        return false;
    memcpy(name, text, length);
    name[length] = '\0';
    struct oq_symbol *symbol = oq_strmap_find(&chooser->by_name, name);
    if (symbol == NULL)
        return false;
    choose_size(chooser, symbol);
    note_others(chooser, symbol);
    *value = symbol->size;
    return true;
}

/* "total_sequence_length" is past and present together. */
static bool add_up(struct oq_size_chooser *chooser, int64_t *value)
{
    if (chooser->sequence == NULL)
        return false;
    *value = chooser->sequence->size;
    return chooser->past == NULL || !__builtin_add_overflow(*value, chooser->past->size, value);
}

static bool no_name(void *context, const char *text, size_t length, int64_t *value)
{
    (void)context, (void)text, (void)length;
    *value = 1 << 20;
    return true;
}

static bool is_formula(const char *name)
{
    int64_t ignored;
    return oq_expression_evaluate(name, no_name, NULL, &ignored);
}

static void compute_size(struct oq_size_chooser *chooser, struct oq_symbol *symbol)
{
    int64_t value;
    if (symbol->is_set)
        return;
    bool computed = is_formula(symbol->name)
                        ? oq_expression_evaluate(symbol->name, value_of_name, chooser, &value)
                        : oq_is_total(symbol->name) && add_up(chooser, &value);
    if (computed && value >= 0) {
        symbol->size = value;
        symbol->is_chosen = true;
        symbol->is_formula = true;
    }
}

static void choose_all(struct oq_size_chooser *chooser)
{
    for (size_t i = 0; i < chooser->count; i++) {
        struct oq_symbol *symbol = chooser->list[i];
        if (is_formula(symbol->name) || oq_is_total(symbol->name))
            continue;
        choose_size(chooser, symbol);
        if (symbol->input != NULL)
            note_others(chooser, symbol);
        if (chooser->past == NULL && oq_is_past(symbol->name))
            chooser->past = symbol;
        if (chooser->sequence == NULL && oq_is_sequence(symbol->name) && symbol->input != NULL &&
            !oq_is_float_parameter(symbol->input))
            chooser->sequence = symbol;
    }
    for (size_t i = 0; i < chooser->count; i++) {
        compute_size(chooser, chooser->list[i]);
        choose_size(chooser, chooser->list[i]);
    }
}

/* --- the whole -------------------------------------------------------------- */

static void trace_input(const struct oq_size_chooser *chooser, size_t index,
                        struct oq_trace *traces, size_t n_traces)
{
    const struct oq_parameter *input = &chooser->signature->inputs[index];
    for (size_t k = 0; k < input->n_dims; k++) {
        struct oq_symbol *symbol = chooser->of_input[index][k];
        for (size_t i = 0; i < n_traces && symbol != NULL && !symbol->is_set; i++)
            oq_trace_axis(&traces[i], input->name, k, input->n_dims, &symbol->demand);
    }
}

/* By its name, or as INPUT:AXIS where it has none. */
static const char *label_of(const struct oq_size_chooser *chooser, const struct oq_symbol *symbol)
{
    return symbol->name[0] != '\0'
               ? symbol->name
               : oq_arena_printf(chooser->arena, "%s:%zu", symbol->input->name, symbol->axis);
}

/* A shell takes the name as it is. */
static bool is_plain(const char *name)
{
    for (; *name != '\0'; name++) {
        if (!isalnum((unsigned char)*name) && strchr("_.:/+-", *name) == NULL)
            return false;
    }
    return true;
}

static const char *describe_size(const struct oq_size_chooser *chooser,
                                 const struct oq_symbol *symbol)
{
    const char *label = label_of(chooser, symbol);
    if (label == NULL)
        return NULL;
    return oq_arena_printf(chooser->arena,
                           is_plain(label) ? "--dim %s=%" PRId64 : "--dim '%s=%" PRId64 "'", label,
                           symbol->size);
}

/* What --dim would have to say for the same sizes. */
static const char *describe_sizes(const struct oq_size_chooser *chooser)
{
    const char *text = "";
    for (size_t i = 0; i < chooser->count && text != NULL; i++) {
        const struct oq_symbol *symbol = chooser->list[i];
        if (symbol->is_set || symbol->is_formula || symbol->input == NULL)
            continue;
        const char *size = describe_size(chooser, symbol);
        if (size == NULL)
            return NULL;
        bool fits = strlen(text) + strlen(size) < MAX_CHOSEN;
        text = oq_arena_printf(chooser->arena, "%s%s%s", text, text[0] != '\0' ? " " : "",
                               fits ? size : "...");
        if (!fits)
            break;
    }
    return text;
}

static bool publish_sizes(const struct oq_size_chooser *chooser, struct oq_sizes *sizes)
{
    for (size_t i = 0; i < chooser->count; i++) {
        const char *label = label_of(chooser, chooser->list[i]);
        void **place = label != NULL ? oq_strmap_place(&sizes->by_name, label) : NULL;
        if (place == NULL)
            return oq_arena_fail(chooser->arena, chooser->error);
        if (*place == NULL)
            *place = &chooser->list[i]->size;
    }
    return true;
}

static bool publish(const struct oq_size_chooser *chooser, struct oq_sizes *sizes)
{
    const struct oq_signature *signature = chooser->signature;
    sizes->has_others = chooser->has_others;
    sizes->chosen = describe_sizes(chooser);
    if (sizes->chosen == NULL)
        return oq_arena_fail(chooser->arena, chooser->error);
    if (!publish_sizes(chooser, sizes))
        return false;
    for (size_t i = 0; i < signature->n_inputs; i++) {
        const struct oq_parameter *input = &signature->inputs[i];
        if (input->has_default)
            continue;
        sizes->dims[i] = oq_arena_array(chooser->arena, input->n_dims + 1, sizeof(int64_t));
        if (sizes->dims[i] == NULL)
            return oq_arena_fail(chooser->arena, chooser->error);
        sizes->dims[i][0] = 1; /* of an input whose rank is not known, a vector of one */
        sizes->ranks[i] = input->has_rank ? input->n_dims : 1;
        for (size_t k = 0; k < input->n_dims; k++)
            sizes->dims[i][k] =
                input->dims[k].size >= 0 ? input->dims[k].size : chooser->of_input[i][k]->size;
    }
    return true;
}

bool oq_sizes_choose(struct oq_sizes *sizes, const struct oq_signature *signature,
                     const struct oq_draw_options *options, struct oq_trace *traces,
                     size_t n_traces, struct oq_arena *arena, onnxq_error *error)
{
    size_t n = signature->n_inputs;
    struct oq_size_chooser chooser = {.arena = arena,
                                      .error = error,
                                      .signature = signature,
                                      .fixed_length = -1,
                                      .tried = options->tried};
    *sizes = (struct oq_sizes){0};
    oq_strmap_init(&chooser.by_name, arena);
    oq_strmap_init(&sizes->by_name, arena);
    chooser.of_input = oq_arena_array(arena, n + 1, sizeof(*chooser.of_input));
    sizes->dims = oq_arena_array(arena, n + 1, sizeof(*sizes->dims));
    sizes->ranks = oq_arena_array(arena, n + 1, sizeof(*sizes->ranks));
    if (chooser.of_input == NULL || sizes->dims == NULL || sizes->ranks == NULL)
        return oq_arena_fail(arena, error);
    if (!collect(&chooser))
        return false;
    for (size_t i = 0; i < options->n_dims; i++) {
        if (!apply_setting(&chooser, &options->dims[i]))
            return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!signature->inputs[i].has_default)
            trace_input(&chooser, i, traces, n_traces);
    }
    choose_all(&chooser);
    return publish(&chooser, sizes);
}
