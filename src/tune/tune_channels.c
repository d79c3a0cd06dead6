/*
 * How large the channels of activations are, as the float model has them over inputs, and what
 * follows: which ones are so large that they are better off in float, and by what the others are
 * divided. What is measured of errors is measured with other inputs wherever there are enough:
 * factors that fit a few inputs only are found out so.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "calibrate/calibrate.h"
#include "tune/tuning.h"

/*
 * Only the largest quarter of channels is made smaller. To divide by the size of a small one would
 * make room for nothing but what it has not shown yet: minilm, 24 sentences, all products
 * smoothed with 4 columns: 3.4 % off there and 4.6 elsewhere, with this 3.4 and 3.8.
 */
#define UNUSUAL 4

/* A channel of next to nothing counts as this part of the largest. */
#define LEAST_PART 0x1p-10f

/*
 * What so few rows had says little of others: of one row, columns and divisors took 12 % away from
 * other rows where they took 1 % away from that one.
 */
#define LEAST_ROWS 32

/* Sets that errors are measured with hold back what channels are found by where there are so many.
 */
#define MANY_SETS ((size_t)4 * OQ_TUNING_ERROR_SETS)

/* Columns are few: at most one in so many channels. */
#define LEAST_CHANNELS 8

const struct oq_tune_form oq_tune_forms[OQ_N_FORMS] = {
    {"float", ONNXQ_FORM_FLOAT, 0, 0},           {"folded", ONNXQ_FORM_FOLDED, 0, 0},
    {"integers", ONNXQ_FORM_INTEGERS, 0, 0},     {"blocks-8", ONNXQ_FORM_BLOCKS_8, 0, 0},
    {"blocks-4", ONNXQ_FORM_BLOCKS_4, 0, 0},     {"smooth-0.7", ONNXQ_FORM_INTEGERS, 0.7f, 0},
    {"smooth-1", ONNXQ_FORM_INTEGERS, 1, 0},     {"smooth-0.85", ONNXQ_FORM_INTEGERS, 0.85f, 0},
    {"columns-4", ONNXQ_FORM_INTEGERS, 0.7f, 4}, {"columns-16", ONNXQ_FORM_INTEGERS, 0.7f, 16},
};

const int oq_tune_order[OQ_N_ORDERED_FORMS] = {
    ONNXQ_FORM_FOLDED,    ONNXQ_FORM_INTEGERS,  OQ_N_PLAIN_FORMS + 0,
    OQ_N_PLAIN_FORMS + 3, ONNXQ_FORM_BLOCKS_8,  OQ_N_PLAIN_FORMS + 4,
    OQ_N_PLAIN_FORMS + 2, OQ_N_PLAIN_FORMS + 1, ONNXQ_FORM_BLOCKS_4};

onnxq_choice oq_tune_choose(const char *node, const char *weight,
                            const struct oq_tune_activation *activation, int form)
{
    onnxq_choice choice = {.node = node, .weight = weight, .form = oq_tune_forms[form].form};
    if (activation != NULL && activation->divisors[form] != NULL) {
        choice.divisors = activation->divisors[form];
        choice.n_divisors = activation->n;
        choice.columns = activation->columns[form];
        choice.n_columns = choice.columns == NULL ? 0 : oq_tune_forms[form].n_columns;
    }
    return choice;
}

/* --- from sizes to columns and divisors ------------------------------------------------ */

struct channel {
    float size;
    uint32_t number;
};

static int compare_sizes(const void *a, const void *b)
{
    const struct channel *x = a, *y = b;
    if (x->size != y->size)
        return x->size < y->size ? 1 : -1;
    return x->number < y->number ? -1 : 1;
}

static int compare_numbers(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* So few digits that they take little room in a plan, and are read as they were written. */
static float round_divisor(float x)
{
    char text[32];
    snprintf(text, sizeof(text), "%.3g", (double)x);
    return strtof(text, NULL);
}

/* sorted: the largest first. */
static bool set_form(struct oq_tune_activation *activation, int number,
                     const struct channel *sorted, struct oq_arena *arena)
{
    const struct oq_tune_form *form = &oq_tune_forms[number];
    const size_t n = activation->n;
    if (n < LEAST_CHANNELS * (size_t)form->n_columns || !(sorted[form->n_columns].size > 0))
        return true;
    float *divisors = oq_arena_array(arena, n, sizeof(*divisors));
    uint32_t *columns = NULL;
    if (form->n_columns > 0)
        columns = oq_arena_array(arena, form->n_columns, sizeof(*columns));
    if (divisors == NULL || (form->n_columns > 0 && columns == NULL))
        return false;
    const float largest = sorted[form->n_columns].size;
    const float usual = fmaxf(sorted[n / UNUSUAL].size, largest * LEAST_PART);
    for (size_t i = 0; i < n; i++) {
        const float part = fminf(fmaxf(sorted[i].size, usual) / largest, 1);
        divisors[sorted[i].number] = round_divisor(powf(part, form->strength));
    }
    for (size_t i = 0; columns != NULL && i < form->n_columns; i++)
        columns[i] = sorted[i].number;
    if (columns != NULL)
        qsort(columns, form->n_columns, sizeof(*columns), compare_numbers);
    activation->divisors[number] = divisors;
    activation->columns[number] = columns;
    return true;
}

/* NULL: memory is out. */
static struct oq_tune_activation *make(const char *name, const struct oq_channel_stats *channels,
                                       struct oq_tuning *tuning)
{
    struct oq_arena *arena = &tuning->tune->arena;
    struct oq_tune_activation *activation = oq_arena_alloc(arena, sizeof(*activation));
    struct channel *sorted = oq_arena_array(&tuning->arena, channels->n, sizeof(*sorted));
    if (activation == NULL || sorted == NULL)
        return NULL;
    *activation =
        (struct oq_tune_activation){.name = oq_arena_strdup(arena, name), .n = channels->n};
    for (size_t i = 0; i < channels->n; i++)
        sorted[i] =
            (struct channel){fmaxf(fabsf(channels->min[i]), fabsf(channels->max[i])), (uint32_t)i};
    qsort(sorted, channels->n, sizeof(*sorted), compare_sizes);
    for (int form = OQ_N_PLAIN_FORMS; form < OQ_N_FORMS; form++)
        if (!set_form(activation, form, sorted, arena))
            return NULL;
    return activation->name == NULL ? NULL : activation;
}

/* --- activations of a model ------------------------------------------------------------- */

static bool go_on(void *data, uint64_t n_done, uint64_t n_steps)
{
    struct oq_tuning *tuning = data;
    oq_tuning_goes_on(tuning, "channels", n_done, n_steps);
    return !tuning->tune->is_stopped;
}

static bool is_product(const Oq__Pb__NodeProto *node)
{
    return oq_node_is(node, "", "MatMul") && node->n_input == 2;
}

static bool has_products(const Oq__Pb__GraphProto *graph)
{
    for (size_t i = 0; i < graph->n_node; i++)
        if (is_product(graph->node[i]))
            return true;
    return false;
}

static bool note_products(struct oq_tuning *tuning, const onnxq_ranges *ranges)
{
    const Oq__Pb__GraphProto *graph = tuning->options->model->proto->graph;
    struct oq_strmap by_name;
    oq_strmap_init(&by_name, &tuning->arena);
    for (size_t i = 0; i < graph->n_node; i++) {
        const Oq__Pb__NodeProto *node = graph->node[i];
        const struct oq_range_stats *stats =
            is_product(node) ? oq_ranges_find(ranges, node->input[0]) : NULL;
        if (stats == NULL || stats->channels.n == 0 || stats->channels.count < LEAST_ROWS)
            continue;
        void **made = oq_strmap_place(&by_name, node->input[0]);
        if (made != NULL && *made == NULL)
            *made = make(node->input[0], &stats->channels, tuning);
        void **place = made == NULL || *made == NULL
                           ? NULL
                           : oq_strmap_place(&tuning->activations, oq_node_label(node));
        if (place == NULL)
            return false;
        ((struct oq_tune_activation *)*made)->n_products++;
        *place = *made;
    }
    return true;
}

bool oq_tuning_find_channels(struct oq_tuning *tuning, onnxq_error *error)
{
    struct oq_input_sets sets = tuning->search; /* borrowed */
    struct oq_calibration seen = {0};
    oq_strmap_init(&tuning->activations, &tuning->arena);
    if (tuning->tune->ranges != NULL || !has_products(tuning->options->model->proto->graph))
        return true;
    if (sets.count >= MANY_SETS) {
        sets.list += OQ_TUNING_ERROR_SETS;
        sets.count -= OQ_TUNING_ERROR_SETS;
    }
    struct oq_session_options session = tuning->options->session;
    session.opt_level = OQ_OPT_BASIC; /* layouts for speed are undone for every value looked at */
    const struct oq_calibrate_options options = {.model = tuning->options->model,
                                                 .sets = &sets,
                                                 .engine = tuning->options->engine,
                                                 .session = session,
                                                 .progress = go_on,
                                                 .progress_data = tuning};
    if (!oq_calibrate(&seen, &options, error))
        return false;
    bool ok = note_products(tuning, seen.ranges) || oq_fail_memory(error);
    onnxq_ranges_close(seen.ranges);
    return ok;
}
