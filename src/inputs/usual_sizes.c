/* Sizes by the names and places of dimensions: pictures, sound, text, batches. */
#include "inputs/usual_sizes.h"

#include <ctype.h>
#include <string.h>

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

/* --- words in names --------------------------------------------------------- */

static void lower(const char *name, char *text, size_t capacity)
{
    size_t n = 0;
    for (; name[n] != '\0' && n + 1 < capacity; n++)
        text[n] = (char)tolower((unsigned char)name[n]);
    text[n] = '\0';
}

/* One of the words is in the name, or is all of it. */
static bool has_word(const char *name, const char *const *words, bool is_all)
{
    char text[256];
    lower(name, text, sizeof(text));
    while (*words != NULL && (is_all ? strcmp(text, *words) != 0 : strstr(text, *words) == NULL))
        words++;
    return *words != NULL;
}

bool oq_name_has(const char *name, const char *const *words)
{
    return has_word(name, words, false);
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
static const char *const state_words[] = {"state", "hidden", NULL};
static const char *const state_names[] = {"h", "c", "h0", "c0", NULL};

bool oq_is_past(const char *name)
{
    return oq_name_has(name, past_words) && !oq_name_has(name, total_words);
}

bool oq_is_total(const char *name)
{
    return oq_name_has(name, total_words);
}

bool oq_is_sequence(const char *name)
{
    return oq_name_has(name, sequence_words) && !oq_is_past(name) && !oq_is_total(name);
}

bool oq_is_float_parameter(const struct oq_parameter *input)
{
    const struct oq_dtype *dtype = oq_dtype_find(input->data_type);
    return dtype != NULL && dtype->is_float;
}

/* --- places and sizes ---------------------------------------------------------- */

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
static int64_t known_size(const struct oq_size_chooser *chooser, const struct oq_parameter *input,
                          size_t axis)
{
    const struct oq_symbol *symbol = chooser->of_input[input - chooser->signature->inputs][axis];
    if (symbol == NULL)
        return input->dims[axis].size;
    if (symbol->is_set)
        return symbol->size;
    const struct oq_demand *demand = &symbol->demand;
    return demand->is_bounded && demand->lo == demand->hi ? demand->hi : -1;
}

/* As wide as it is high, where that is tried first. */
static int64_t picture_size(const struct oq_size_chooser *chooser, const struct oq_parameter *input,
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

static bool is_sound(const struct oq_symbol *symbol)
{
    const struct oq_parameter *input = symbol->input;
    if (!oq_is_float_parameter(input) || symbol->axis + 1 != input->n_dims)
        return false;
    bool one_channel = input->n_dims == 2 || (input->n_dims == 3 && input->dims[1].size == 1);
    return one_channel && (symbol->demand.is_convolved || oq_name_has(symbol->name, sound_words) ||
                           oq_name_has(input->name, sound_words));
}

static int64_t sequence_size(const struct oq_size_chooser *chooser, const struct oq_symbol *symbol)
{
    if (is_sound(symbol))
        return SAMPLES;
    if (symbol->demand.is_convolved)
        return FRAMES;
    bool of_tokens = !oq_is_float_parameter(symbol->input) && symbol->input->n_dims == 2;
    return of_tokens && chooser->fixed_length > 0 ? chooser->fixed_length : SEQUENCE;
}

/* "N" of [N,T] or [T,N,F]; that of [B,N] lies along. */
static bool is_batch(const struct oq_symbol *symbol)
{
    const struct oq_parameter *input = symbol->input;
    bool lies_along = input != NULL && symbol->axis > 0 && symbol->axis + 1 == input->n_dims;
    return oq_name_has(symbol->name, batch_words) ||
           (!lies_along && has_word(symbol->name, batch_names, true));
}

/* Of a recurrence, as ONNX has it: [layers,batch,hidden]. */
static bool is_batch_of_state(const struct oq_symbol *symbol)
{
    const struct oq_parameter *input = symbol->input;
    return oq_is_float_parameter(input) && input->n_dims == 3 && symbol->axis == 1 &&
           input->dims[0].size > 0 && input->dims[2].size > 0 &&
           (oq_name_has(input->name, state_words) || has_word(input->name, state_names, true));
}

static int64_t usual_size(const struct oq_size_chooser *chooser, const struct oq_symbol *symbol,
                          unsigned tried)
{
    const char *name = symbol->name;
    const struct oq_parameter *input = symbol->input;
    if (oq_is_past(name))
        return 0;
    if (input != NULL && symbol->demand.is_time)
        return sequence_size(chooser, symbol);
    if (is_batch(symbol))
        return BATCH;
    if (input == NULL)
        return oq_is_sequence(name) ? SEQUENCE : FEATURES;
    if (is_batch_of_state(symbol))
        return BATCH;
    if (oq_name_has(name, picture_words) || has_word(name, picture_names, true))
        return picture_size(chooser, input, symbol->axis, tried);
    if (oq_is_sequence(name) || is_sound(symbol))
        return sequence_size(chooser, symbol);
    if (symbol->axis == 0)
        return BATCH;
    if (is_picture_axis(input, symbol->axis))
        return picture_size(chooser, input, symbol->axis, tried);
    if (oq_name_has(name, channel_words) || (input->n_dims == 4 && symbol->axis == 1))
        return CHANNELS;
    bool lies_along = !oq_is_float_parameter(input) || symbol->demand.is_convolved ||
                      (input->n_dims > 2 && symbol->axis == 1);
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

int64_t oq_usual_size(const struct oq_size_chooser *chooser, const struct oq_symbol *symbol,
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
