/* Options and errors by name, for callers of other languages: they need to know no layout. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/nearest.h"
#include "base/option_values.h"

/* Options that own what they point to; the caller sees the first member. */
struct owned_options {
    onnxq_options options;
    char **op_types, **exclude_op_types;
    onnxq_selector *selectors;
    onnxq_ranges *ranges;
    onnxq_plan_file *plan;
    onnxq_checkpoint *weights_from;
    char *target_ort;
};

enum value_kind {
    CHOICE,
    FLAG,
    UNSIGNED,
    SIZE,
    REAL,
    OP_TYPES,
    EXCLUDE_OP_TYPES,
    SELECTOR,
    RANGES,
    PLAN,
    WEIGHTS_FROM,
    TARGET_ORT
};

struct named_value {
    const char *name;
    int value;
};

#define CHOICE_OF(name, value) {name, value},
static const struct named_value methods[] = {OQ_METHOD_VALUES(CHOICE_OF){0}};
static const struct named_value weight_types[] = {OQ_WEIGHT_TYPE_VALUES(CHOICE_OF)
                                                      OQ_WEIGHT_TYPE_ALIASES(CHOICE_OF){0}};
static const struct named_value symmetries[] = {{"auto", -1}, {"true", 1}, {"false", 0}, {0}};
static const struct named_value reduce_ranges[] = {
    OQ_REDUCE_RANGE_VALUES(CHOICE_OF){"true", ONNXQ_REDUCE_BITS},
    {"false", ONNXQ_REDUCE_NONE},
    {0}};
static const struct named_value convs[] = {OQ_CONV_VALUES(CHOICE_OF){0}};
static const struct named_value bits[] = {OQ_BITS_VALUES(CHOICE_OF) OQ_BITS_ALIASES(CHOICE_OF){0}};
static const struct named_value block_sizes[] = {{"auto", 0}, OQ_BLOCK_SIZE_VALUES(CHOICE_OF){0}};
static const struct named_value fold_bits[] = {{"auto", 0}, {"8", 8}, {"16", 16}, {0}};
static const struct named_value activation_bits[] = {{"8", 8}, {"16", 16}, {0}};
static const struct named_value accuracy_levels[] = {OQ_ACCURACY_LEVEL_VALUES(CHOICE_OF){0}};
static const struct named_value range_methods[] = {OQ_RANGE_METHOD_VALUES(CHOICE_OF){0}};
static const struct named_value external_data[] = {OQ_EXTERNAL_DATA_VALUES(CHOICE_OF){0}};

struct named_option {
    const char *name;
    enum value_kind kind;
    size_t offset;
    const struct named_value *choices;
    bool exclude; /* of a selector */
    onnxq_syntax syntax;
};

#define FIELD(kind, member)                                                                        \
    {                                                                                              \
#member, kind, offsetof(onnxq_options, member), NULL, false, 0                             \
    }
#define OUTPUT(kind, member)                                                                       \
    {                                                                                              \
#member, kind, offsetof(onnxq_options, output.member), NULL, false, 0                      \
    }
#define CHOOSE(member, list)                                                                       \
    {                                                                                              \
#member, CHOICE, offsetof(onnxq_options, member), list, false, 0                           \
    }

static const struct named_option known_options[] = {
    CHOOSE(method, methods),
    CHOOSE(weight_type, weight_types),
    FIELD(FLAG, per_channel),
    CHOOSE(symmetric, symmetries),
    CHOOSE(reduce_range, reduce_ranges),
    CHOOSE(conv, convs),
    CHOOSE(bits, bits),
    CHOOSE(block_size, block_sizes),
    CHOOSE(fold_bits, fold_bits),
    FIELD(SIZE, min_elements),
    FIELD(OP_TYPES, op_types),
    FIELD(EXCLUDE_OP_TYPES, exclude_op_types),
    {"include", SELECTOR, 0, NULL, false, ONNXQ_GLOB},
    {"exclude", SELECTOR, 0, NULL, true, ONNXQ_GLOB},
    {"include_regex", SELECTOR, 0, NULL, false, ONNXQ_REGEX},
    {"exclude_regex", SELECTOR, 0, NULL, true, ONNXQ_REGEX},
    {"include_name", SELECTOR, 0, NULL, false, ONNXQ_EXACT},
    {"exclude_name", SELECTOR, 0, NULL, true, ONNXQ_EXACT},
    FIELD(PLAN, plan),
    FIELD(FLAG, allow_unmatched),
    CHOOSE(accuracy_level, accuracy_levels),
    FIELD(FLAG, force_integer),
    FIELD(FLAG, freeze_inputs),
    FIELD(FLAG, subgraphs),
    FIELD(RANGES, ranges),
    CHOOSE(range_method, range_methods),
    FIELD(REAL, percentile),
    CHOOSE(activation_bits, activation_bits),
    FIELD(FLAG, qdq_standard),
    FIELD(FLAG, join_norms),
    FIELD(TARGET_ORT, target_ort),
    FIELD(FLAG, no_smooth),
    FIELD(WEIGHTS_FROM, weights_from),
    {"external_data", CHOICE, offsetof(onnxq_options, output.external_data), external_data, false,
     0},
    OUTPUT(FLAG, sync),
    OUTPUT(FLAG, keep_existing),
    OUTPUT(FLAG, force),
    OUTPUT(FLAG, allow_noop),
    OUTPUT(FLAG, hub_side_file),
    OUTPUT(UNSIGNED, threads),
};

#define N_OPTIONS (sizeof(known_options) / sizeof(known_options[0]))

/* --- values ------------------------------------------------------------------- */

static bool set_choice(const struct named_option *option, void *field, const char *value,
                       onnxq_error *error)
{
    struct oq_nearest nearest = {.wanted = value};
    for (const struct named_value *choice = option->choices; choice->name != NULL; choice++) {
        if (strcmp(choice->name, value) == 0) {
            memcpy(field, &choice->value, sizeof(choice->value));
            return true;
        }
        oq_nearest_offer(&nearest, choice->name);
    }
    oq_fail(error, ONNXQ_ERROR_OPTION, "options.%s has no value '%s'", option->name, value);
    oq_nearest_hint(&nearest, error);
    return false;
}

static bool set_flag(const struct named_option *option, bool *field, const char *value,
                     onnxq_error *error)
{
    bool is_true = strcmp(value, "true") == 0;
    if (!is_true && strcmp(value, "false") != 0)
        return oq_fail(error, ONNXQ_ERROR_OPTION, "options.%s is true or false, not '%s'",
                       option->name, value);
    *field = is_true;
    return true;
}

static bool set_number(const struct named_option *option, void *field, const char *value,
                       onnxq_error *error)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    bool ok = value[0] >= '0' && value[0] <= '9' && *end == '\0' && errno == 0;
    if (option->kind == UNSIGNED && number > 65535) /* threads */
        ok = false;
    if (!ok)
        return oq_fail(error, ONNXQ_ERROR_OPTION, "options.%s is a whole number, not '%s'",
                       option->name, value);
    if (option->kind == UNSIGNED)
        *(unsigned *)field = (unsigned)number;
    else
        *(uint64_t *)field = number;
    return true;
}

static bool set_real(const struct named_option *option, double *field, const char *value,
                     onnxq_error *error)
{
    char *end;
    double number = strtod(value, &end);
    if (end == value || *end != '\0')
        return oq_fail(error, ONNXQ_ERROR_OPTION, "options.%s is a number, not '%s'", option->name,
                       value);
    *field = number;
    return true;
}

/* --- what is owned -------------------------------------------------------------- */

/* Makes room for one more element and a copy of the text; NULL without memory. */
static char *append(void **array, size_t count, size_t element_nbytes, const char *text)
{
    void *grown = count < SIZE_MAX / element_nbytes - 1
                      ? realloc(*array, (count + 1) * element_nbytes)
                      : NULL;
    if (grown == NULL)
        return NULL;
    *array = grown;
    return strdup(text);
}

static bool add_op_type(char ***list, const char *const **seen, size_t *count, const char *value,
                        onnxq_error *error)
{
    void *array = *list;
    char *copy = append(&array, *count, sizeof(char *), value);
    *list = array;
    *seen = (const char *const *)*list;
    if (copy == NULL)
        return oq_fail_memory(error);
    (*list)[(*count)++] = copy;
    return true;
}

static bool add_selector(struct owned_options *owned, const struct named_option *option,
                         const char *value, onnxq_error *error)
{
    void *array = owned->selectors;
    char *copy = append(&array, owned->options.n_selectors, sizeof(onnxq_selector), value);
    owned->selectors = array;
    owned->options.selectors = owned->selectors;
    if (copy == NULL)
        return oq_fail_memory(error);
    owned->selectors[owned->options.n_selectors++] =
        (onnxq_selector){option->exclude, option->syntax, copy};
    return true;
}

static bool set_ranges(struct owned_options *owned, const char *path, onnxq_error *error)
{
    onnxq_ranges *ranges = onnxq_ranges_open(path, error);
    if (ranges == NULL)
        return false;
    onnxq_ranges_close(owned->ranges);
    owned->ranges = ranges;
    owned->options.ranges = ranges;
    return true;
}

static bool set_plan(struct owned_options *owned, const char *path, onnxq_error *error)
{
    onnxq_plan_file *plan = onnxq_plan_file_open(path, error);
    if (plan == NULL)
        return false;
    onnxq_plan_file_close(owned->plan);
    owned->plan = plan;
    owned->options.plan = plan;
    return true;
}

static bool set_weights_from(struct owned_options *owned, const char *path, onnxq_error *error)
{
    onnxq_checkpoint *checkpoint = onnxq_checkpoint_open(path, error);
    if (checkpoint == NULL)
        return false;
    onnxq_checkpoint_close(owned->weights_from);
    owned->weights_from = checkpoint;
    owned->options.weights_from = checkpoint;
    return true;
}

static bool set_target_ort(struct owned_options *owned, const char *value, onnxq_error *error)
{
    char *copy = strdup(value);
    if (copy == NULL)
        return oq_fail_memory(error);
    free(owned->target_ort);
    owned->target_ort = copy;
    owned->options.target_ort = copy;
    return true;
}

static bool set(struct owned_options *owned, const struct named_option *option, const char *value,
                onnxq_error *error)
{
    onnxq_options *options = &owned->options;
    void *field = (char *)options + option->offset;
    switch (option->kind) {
    case CHOICE:
        return set_choice(option, field, value, error);
    case FLAG:
        return set_flag(option, field, value, error);
    case UNSIGNED:
    case SIZE:
        return set_number(option, field, value, error);
    case REAL:
        return set_real(option, field, value, error);
    case OP_TYPES:
        return add_op_type(&owned->op_types, &options->op_types, &options->n_op_types, value,
                           error);
    case EXCLUDE_OP_TYPES:
        return add_op_type(&owned->exclude_op_types, &options->exclude_op_types,
                           &options->n_exclude_op_types, value, error);
    case SELECTOR:
        return add_selector(owned, option, value, error);
    case RANGES:
        return set_ranges(owned, value, error);
    case PLAN:
        return set_plan(owned, value, error);
    case WEIGHTS_FROM:
        return set_weights_from(owned, value, error);
    case TARGET_ORT:
        return set_target_ort(owned, value, error);
    }
    return false;
}

/* --- for the caller ------------------------------------------------------------- */

onnxq_options *onnxq_options_new(void)
{
    struct owned_options *owned = calloc(1, sizeof(*owned));
    if (owned == NULL)
        return NULL;
    onnxq_options_init(&owned->options);
    return &owned->options;
}

void onnxq_options_free(onnxq_options *options)
{
    struct owned_options *owned = (struct owned_options *)options;
    if (owned == NULL)
        return;
    for (size_t i = 0; i < options->n_op_types; i++)
        free(owned->op_types[i]);
    for (size_t i = 0; i < options->n_exclude_op_types; i++)
        free(owned->exclude_op_types[i]);
    for (size_t i = 0; i < options->n_selectors; i++)
        free((char *)(uintptr_t)owned->selectors[i].pattern);
    free(owned->op_types);
    free(owned->exclude_op_types);
    free(owned->selectors);
    onnxq_ranges_close(owned->ranges);
    onnxq_plan_file_close(owned->plan);
    onnxq_checkpoint_close(owned->weights_from);
    free(owned->target_ort);
    free(owned);
}

onnxq_status onnxq_options_set(onnxq_options *options, const char *name, const char *value,
                               onnxq_error *error)
{
    onnxq_error ignored;
    error = oq_error_start(error, &ignored);
    struct oq_nearest nearest = {.wanted = name};
    for (size_t i = 0; i < N_OPTIONS; i++) {
        if (strcmp(known_options[i].name, name) == 0) {
            set((struct owned_options *)options, &known_options[i], value, error);
            return error->status;
        }
        oq_nearest_offer(&nearest, known_options[i].name);
    }
    oq_fail(error, ONNXQ_ERROR_OPTION, "there is no option '%s'", name);
    oq_nearest_hint(&nearest, error);
    return error->status;
}

const char *onnxq_options_name(size_t index)
{
    return index < N_OPTIONS ? known_options[index].name : NULL;
}

void onnxq_options_set_progress(onnxq_options *options, onnxq_progress_fn progress, void *data)
{
    options->output.progress = progress;
    options->output.progress_data = data;
}

onnxq_error *onnxq_error_new(void)
{
    onnxq_error *error = calloc(1, sizeof(*error));
    if (error != NULL)
        oq_error_init(error);
    return error;
}

void onnxq_error_free(onnxq_error *error)
{
    free(error);
}

onnxq_status onnxq_error_get_status(const onnxq_error *error)
{
    return error->status;
}

uint64_t onnxq_error_get_offset(const onnxq_error *error)
{
    return error->offset;
}

const char *onnxq_error_get(const onnxq_error *error, const char *name)
{
    const struct {
        const char *name, *text;
    } texts[] = {{"file", error->file},
                 {"place", error->place},
                 {"message", error->message},
                 {"hint", error->hint}};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (strcmp(texts[i].name, name) == 0)
            return texts[i].text;
    return NULL;
}
