/* Chooses sizes: what is given, what formulas say, what nodes ask for, what is usual. */
#include "inputs/sizes.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "inputs/expression.h"

/* Usual sizes. A picture is that of ImageNet's models, sound a frame of 32 ms. */
#define BATCH    1
#define SEQUENCE 16
#define PICTURE  224
#define LATENTS  64
#define CHANNELS 3
#define SAMPLES  512
#define FRAMES   128
#define FEATURES 8

/*
 * Where a model does not run with the usual sizes, each of these has its turn: lines of text (32,
 * 48) and crops, and what detectors and larger classifiers take; half of a latent and its double;
 * a second, parts and multiples of it at 8, 16 and 48 kHz; a second and half a minute of frames;
 * one token, what CLIP and BERT take; few classes, and powers of two.
 */
static const struct others {
    int64_t usual, others[OQ_DRAW_TRIES - 1];
} all_others[] = {
    {PICTURE, {32, 48, 64, 128, 256, 320, 384, 512, 640}},
    {LATENTS, {32, 128, 16, 8, 48, 96, 24, 80, 256}},
    {SAMPLES, {16000, 1536, 4096, 8000, 320, 480, 48000, 1024, 160000}},
    {FRAMES, {100, 96, 64, 98, 200, 256, 512, 1000, 3000}},
    {SEQUENCE, {1, 2, 8, 32, 64, 77, 128, 256, 512}},
    {FEATURES, {1, 2, 3, 4, 10, 16, 32, 64, 128}},
};

/* Of the text that names the sizes: a hint has room for it. */
#define MAX_CHOSEN 150

/* A dimension without a size. */
struct symbol {
    const char *name;                 /* "": it has none, and stands for itself */
    const struct oq_parameter *input; /* where it was seen first; NULL: in a formula only */
    size_t axis;
    struct oq_demand demand;
    bool is_set, is_chosen;
    bool is_formula; /* its size follows from those of others */
    int64_t size;
};

struct chooser {
    struct oq_arena *arena;
    onnxq_error *error;
    const struct oq_signature *signature;
    struct symbol **list;
    size_t count, capacity;
    struct oq_strmap by_name;  /* name -> struct symbol */
    struct symbol ***of_input; /* symbol of each dimension, NULL: it has a size */
    int64_t fixed_length;      /* axis 1 of an input of integers that has one, -1: none */
    const struct symbol *past, *sequence; /* the first of these */
    unsigned tried;                       /* as in the options */
    bool has_others;
};

/* --- words in names --------------------------------------------------------- */

static void lower(const char *name, char *text, size_t capacity)
{
    size_t n = 0;
    for (; name[n] != '\0' && n + 1 < capacity; n++)
        text[n] = (char)tolower((unsigned char)name[n]);
    text[n] = '\0';
}

bool oq_name_has(const char *name, const char *const *words)
{
    char text[256];
    lower(name, text, sizeof(text));
    for (; *words != NULL; words++) {
        if (strstr(text, *words) != NULL)
            return true;
    }
    return false;
}

static bool name_is(const char *name, const char *const *words)
{
    char text[256];
    lower(name, text, sizeof(text));
    for (; *words != NULL; words++) {
        if (strcmp(text, *words) == 0)
            return true;
    }
    return false;
}

static const char *const past_words[] = {"past", "cache", NULL};
static const char *const total_words[] = {"total", NULL};
static const char *const batch_words[] = {"batch", "bsz", NULL};
static const char *const batch_names[] = {"n", "b", "bs", NULL};
static const char *const sequence_words[] = {"seq",  "len",  "time", "token", "frame",
                                             "word", "char", "text", NULL};
static const char *const sound_words[] = {"sample", "audio", "wav", "signal", "speech", NULL};
static const char *const picture_words[] = {"height", "width", NULL};
static const char *const picture_names[] = {"h", "w", NULL};
static const char *const channel_words[] = {"channel", NULL};

static bool is_past(const char *name)
{
    return oq_name_has(name, past_words) && !oq_name_has(name, total_words);
}

static bool is_total(const char *name)
{
    return oq_name_has(name, total_words);
}

static bool is_sequence(const char *name)
{
    return oq_name_has(name, sequence_words) && !is_past(name) && !is_total(name);
}

/* --- collecting ------------------------------------------------------------- */

static struct symbol *add_symbol(struct chooser *chooser, const char *name)
{
    struct symbol *symbol = oq_arena_alloc(chooser->arena, sizeof(*symbol));
    if (symbol == NULL || !oq_arena_grow(chooser->arena, &chooser->list, chooser->count,
                                         &chooser->capacity, sizeof(struct symbol *)))
        return NULL;
    *symbol = (struct symbol){.name = name, .demand = OQ_DEMAND_INIT};
    chooser->list[chooser->count++] = symbol;
    return symbol;
}

/* The symbol of that name, made where it is new; without a name always a new one. */
static struct symbol *find_symbol(struct chooser *chooser, const char *name)
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

static bool collect_input(struct chooser *chooser, size_t index)
{
    const struct oq_parameter *input = &chooser->signature->inputs[index];
    struct symbol **symbols = oq_arena_array(chooser->arena, input->n_dims + 1, sizeof(*symbols));
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

static bool is_float(const struct oq_parameter *input)
{
    const struct oq_dtype *dtype = oq_dtype_find(input->data_type);
    return dtype != NULL && dtype->is_float;
}

static void note_length(struct chooser *chooser, const struct oq_parameter *input)
{
    if (chooser->fixed_length < 0 && !is_float(input) && input->n_dims == 2 &&
        input->dims[1].size > 1)
        chooser->fixed_length = input->dims[1].size;
}

/* Name of a formula: it becomes a symbol of its own. The value does not matter yet. */
static bool collect_name(void *context, const char *text, size_t length, int64_t *value)
{
    struct chooser *chooser = context;
    char *name = oq_arena_printf(chooser->arena, "%.*s", (int)length, text);
    *value = 1 << 20;
    return length < 256 && name != NULL && find_symbol(chooser, name) != NULL;
}

static bool collect(struct chooser *chooser)
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
static bool find_place(const struct chooser *chooser, const char *name, size_t *input, size_t *axis)
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

static bool fail_unknown(const struct chooser *chooser, const char *name)
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

static bool apply_setting(struct chooser *chooser, const struct oq_dim_setting *setting)
{
    struct symbol *symbol = oq_strmap_find(&chooser->by_name, setting->name);
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

/* --- what is usual ---------------------------------------------------------- */

/* The axes of a picture that lie side by side: [N,C,H,W], or [N,H,W,C] where C looks like it. */
static bool is_picture_axis(const struct oq_parameter *input, size_t axis)
{
    if (input->n_dims != 4)
        return false;
    int64_t last = input->dims[3].size;
    bool channels_last = input->dims[1].size < 0 && (last == 1 || last == 3 || last == 4);
    return channels_last ? axis == 1 || axis == 2 : axis == 2 || axis == 3;
}

/* Size of a dimension as the model has it, or as a node asks for it; -1: open. */
static int64_t known_size(const struct chooser *chooser, const struct oq_parameter *input,
                          size_t axis)
{
    const struct symbol *symbol = chooser->of_input[input - chooser->signature->inputs][axis];
    if (symbol == NULL)
        return input->dims[axis].size;
    if (symbol->is_set)
        return symbol->size;
    const struct oq_demand *demand = &symbol->demand;
    return demand->is_bounded && demand->lo == demand->hi ? demand->hi : -1;
}

/* As wide as it is high, where that is tried first. */
static int64_t picture_size(const struct chooser *chooser, const struct oq_parameter *input,
                            size_t axis, unsigned tried)
{
    size_t other = axis == 1 ? 2 : axis == 3 ? 2 : axis + 1;
    if (input->n_dims != 4)
        return LATENTS;
    if (tried == 0 && is_picture_axis(input, other) && known_size(chooser, input, other) > 0)
        return known_size(chooser, input, other);
    bool channels_last = axis == 1 || is_picture_axis(input, 1);
    int64_t channels = known_size(chooser, input, channels_last ? 3 : 1);
    return channels < 0 || channels == 1 || channels == CHANNELS ? PICTURE : LATENTS;
}

static bool is_sound(const struct symbol *symbol)
{
    const struct oq_parameter *input = symbol->input;
    if (!is_float(input) || symbol->axis + 1 != input->n_dims)
        return false;
    bool one_channel = input->n_dims == 2 || (input->n_dims == 3 && input->dims[1].size == 1);
    return one_channel && (symbol->demand.is_convolved || oq_name_has(symbol->name, sound_words) ||
                           oq_name_has(input->name, sound_words));
}

static int64_t sequence_size(const struct chooser *chooser, const struct symbol *symbol)
{
    if (is_sound(symbol))
        return SAMPLES;
    if (symbol->demand.is_convolved)
        return FRAMES;
    bool of_tokens = !is_float(symbol->input) && symbol->input->n_dims == 2;
    return of_tokens && chooser->fixed_length > 0 ? chooser->fixed_length : SEQUENCE;
}

static int64_t usual_size(const struct chooser *chooser, const struct symbol *symbol,
                          unsigned tried)
{
    const char *name = symbol->name;
    const struct oq_parameter *input = symbol->input;
    if (is_past(name))
        return 0;
    if (oq_name_has(name, batch_words) || name_is(name, batch_names))
        return BATCH;
    if (input == NULL)
        return is_sequence(name) ? SEQUENCE : FEATURES;
    if (oq_name_has(name, picture_words) || name_is(name, picture_names))
        return picture_size(chooser, input, symbol->axis, tried);
    if (is_sequence(name) || is_sound(symbol))
        return sequence_size(chooser, symbol);
    if (symbol->axis == 0)
        return BATCH;
    if (is_picture_axis(input, symbol->axis))
        return picture_size(chooser, input, symbol->axis, tried);
    if (oq_name_has(name, channel_words) || (input->n_dims == 4 && symbol->axis == 1))
        return CHANNELS;
    bool lies_along =
        !is_float(input) || symbol->demand.is_convolved || (input->n_dims > 2 && symbol->axis == 1);
    return lies_along ? sequence_size(chooser, symbol) : FEATURES;
}

/* Of all that the demand leaves; where strides leave several, the one that they divide. */
static int64_t nearest_size(const struct oq_demand *demand, int64_t size)
{
    int64_t step = demand->step > 1 ? demand->step : 1;
    if (size < demand->lo) {
        int64_t more = (step - demand->lo % step) % step;
        return more <= demand->hi - demand->lo ? demand->lo + more : demand->lo;
    }
    if (size <= demand->hi)
        return size;
    int64_t whole = demand->hi - demand->hi % step;
    return whole >= demand->lo ? whole : demand->hi;
}

/* What has its turn when so many sizes were tried. */
static int64_t size_to_try(const struct chooser *chooser, const struct symbol *symbol,
                           unsigned tried)
{
    const struct oq_demand *demand = &symbol->demand;
    int64_t size = usual_size(chooser, symbol, tried);
    for (size_t i = 0; tried > 0 && i < sizeof(all_others) / sizeof(all_others[0]); i++) {
        if (all_others[i].usual == size) {
            size = all_others[i].others[tried - 1];
            break;
        }
    }
    bool is_bounded = demand->is_bounded && demand->lo <= demand->hi && demand->hi > 0;
    return is_bounded ? nearest_size(demand, size) : size;
}

static void choose_size(struct chooser *chooser, struct symbol *symbol)
{
    if (symbol->is_chosen || symbol->is_set)
        return;
    symbol->is_chosen = true;
    symbol->size = size_to_try(chooser, symbol, chooser->tried);
}

/* Of a dimension, or of a name that its formula has. */
static void note_others(struct chooser *chooser, const struct symbol *symbol)
{
    for (unsigned i = 0; i < OQ_DRAW_TRIES && !symbol->is_set; i++)
        chooser->has_others |= size_to_try(chooser, symbol, i) != symbol->size;
}

/* --- formulas --------------------------------------------------------------- */

static bool value_of_name(void *context, const char *text, size_t length, int64_t *value)
{
    struct chooser *chooser = context;
    char name[256];
    if (length >= sizeof(name))
        return false;
    memcpy(name, text, length);
    name[length] = '\0';
    struct symbol *symbol = oq_strmap_find(&chooser->by_name, name);
    if (symbol == NULL)
        return false;
    choose_size(chooser, symbol);
    note_others(chooser, symbol);
    *value = symbol->size;
    return true;
}

/* "total_sequence_length" is past and present together. */
static bool add_up(struct chooser *chooser, int64_t *value)
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

static void compute_size(struct chooser *chooser, struct symbol *symbol)
{
    int64_t value;
    if (symbol->is_set)
        return;
    bool computed = is_formula(symbol->name)
                        ? oq_expression_evaluate(symbol->name, value_of_name, chooser, &value)
                        : is_total(symbol->name) && add_up(chooser, &value);
    if (computed && value >= 0) {
        symbol->size = value;
        symbol->is_chosen = true;
        symbol->is_formula = true;
    }
}

static void choose_all(struct chooser *chooser)
{
    for (size_t i = 0; i < chooser->count; i++) {
        struct symbol *symbol = chooser->list[i];
        if (is_formula(symbol->name) || is_total(symbol->name))
            continue;
        choose_size(chooser, symbol);
        if (symbol->input != NULL)
            note_others(chooser, symbol);
        if (chooser->past == NULL && is_past(symbol->name))
            chooser->past = symbol;
        if (chooser->sequence == NULL && is_sequence(symbol->name) && symbol->input != NULL &&
            !is_float(symbol->input))
            chooser->sequence = symbol;
    }
    for (size_t i = 0; i < chooser->count; i++) {
        compute_size(chooser, chooser->list[i]);
        choose_size(chooser, chooser->list[i]);
    }
}

/* --- the whole -------------------------------------------------------------- */

static void trace_input(const struct chooser *chooser, size_t index, struct oq_trace *traces,
                        size_t n_traces)
{
    const struct oq_parameter *input = &chooser->signature->inputs[index];
    for (size_t k = 0; k < input->n_dims; k++) {
        struct symbol *symbol = chooser->of_input[index][k];
        for (size_t i = 0; i < n_traces && symbol != NULL && !symbol->is_set; i++)
            oq_trace_axis(&traces[i], input->name, k, input->n_dims, &symbol->demand);
    }
}

/* By its name, or as INPUT:AXIS where it has none. */
static const char *label_of(const struct chooser *chooser, const struct symbol *symbol)
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

static const char *describe_size(const struct chooser *chooser, const struct symbol *symbol)
{
    const char *label = label_of(chooser, symbol);
    if (label == NULL)
        return NULL;
    return oq_arena_printf(chooser->arena,
                           is_plain(label) ? "--dim %s=%" PRId64 : "--dim '%s=%" PRId64 "'", label,
                           symbol->size);
}

/* What --dim would have to say for the same sizes. */
static const char *describe_sizes(const struct chooser *chooser)
{
    const char *text = "";
    for (size_t i = 0; i < chooser->count && text != NULL; i++) {
        const struct symbol *symbol = chooser->list[i];
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

static bool publish_sizes(const struct chooser *chooser, struct oq_sizes *sizes)
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

static bool publish(const struct chooser *chooser, struct oq_sizes *sizes)
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
    struct chooser chooser = {.arena = arena,
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
