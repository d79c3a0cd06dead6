/* Random inputs that a model can take. */
#define _POSIX_C_SOURCE 200809L
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "inputs/random.h"
#include "inputs/signature.h"
#include "inputs/usual_sizes.h"
#include "wire/data_type.h"

/* Of one set of inputs; what is larger was not meant. */
#define MAX_NBYTES ((uint64_t)2 << 30)

/* What an input's elements are drawn from. */
struct draw_distribution {
    enum {
        NORMAL,
        POSITIVE,
        UNIFORM,
        INTEGERS,
        SHAPE,
        AXES
    } form;              /* SHAPE: -1, 1, 1; AXES: 0, 1, 2 */
    double lo, hi;       /* UNIFORM */
    int64_t first, last; /* INTEGERS, of any type */
};

struct drawer {
    const struct oq_signature *signature;
    const struct oq_draw_options *options;
    struct oq_trace *traces; /* of each model */
    size_t n_models;
    struct oq_sizes sizes;
    struct oq_strmap ranges; /* name of an input -> struct oq_range_setting */
    uint64_t number;         /* of the set */
    double nbytes;           /* of its inputs so far */
    struct oq_arena *arena;
    onnxq_error *error;
};

/* --- settings --------------------------------------------------------------- */

static bool is_drawn(const struct drawer *drawer, const char *name)
{
    for (size_t i = 0; i < drawer->signature->n_inputs; i++) {
        const struct oq_parameter *input = &drawer->signature->inputs[i];
        if (!input->has_default && strcmp(input->name, name) == 0)
            return true;
    }
    return false;
}

static bool fail_unknown(const struct drawer *drawer, const char *name)
{
    oq_fail(drawer->error, ONNXQ_ERROR_OPTION, "a range for \"%s\", which is no input to be drawn",
            name);
    return oq_signature_hint_input(drawer->signature, name, drawer->error);
}

static bool read_ranges(struct drawer *drawer)
{
    for (size_t i = 0; i < drawer->options->n_ranges; i++) {
        const struct oq_range_setting *range = &drawer->options->ranges[i];
        if (!is_drawn(drawer, range->name))
            return fail_unknown(drawer, range->name);
        void **place = oq_strmap_place(&drawer->ranges, range->name);
        if (place == NULL)
            return oq_arena_fail(drawer->arena, drawer->error);
        *place = (void *)(uintptr_t)range;
    }
    return true;
}

/* --- what to draw from ------------------------------------------------------ */

enum number_kind { FLOATS, INTS, BOOLS, BITS, NO_NUMBERS };

/* `lo` and `hi`: all that an integer of the type can be. */
static enum number_kind kind_of(int32_t data_type, int64_t *lo, int64_t *hi)
{
    static const struct {
        int32_t data_type;
        enum number_kind kind;
        int64_t lo, hi;
    } types[] = {
        {OQ_TYPE(FLOAT), FLOATS, INT64_MIN, INT64_MAX},
        {OQ_TYPE(FLOAT16), FLOATS, -65504, 65504},
        {OQ_TYPE(BFLOAT16), FLOATS, INT64_MIN, INT64_MAX},
        {OQ_TYPE(DOUBLE), FLOATS, INT64_MIN, INT64_MAX},
        {OQ_TYPE(BOOL), BOOLS, 0, 1},
        {OQ_TYPE(INT8), INTS, INT8_MIN, INT8_MAX},
        {OQ_TYPE(INT16), INTS, INT16_MIN, INT16_MAX},
        {OQ_TYPE(INT32), INTS, INT32_MIN, INT32_MAX},
        {OQ_TYPE(INT64), INTS, INT64_MIN, INT64_MAX},
        {OQ_TYPE(UINT8), INTS, 0, UINT8_MAX},
        {OQ_TYPE(UINT16), INTS, 0, UINT16_MAX},
        {OQ_TYPE(UINT32), INTS, 0, UINT32_MAX},
        {OQ_TYPE(UINT64), INTS, 0, INT64_MAX},
        {OQ_TYPE(INT4), BITS, 0, 0},
        {OQ_TYPE(UINT4), BITS, 0, 0},
        {OQ_TYPE(INT2), BITS, 0, 0},
        {OQ_TYPE(UINT2), BITS, 0, 0},
    };
    *lo = *hi = 0;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (types[i].data_type == data_type) {
            *lo = types[i].lo;
            *hi = types[i].hi;
            return types[i].kind;
        }
    }
    return NO_NUMBERS;
}

/* What is finite, also as the difference of two. */
static double largest_float(int32_t data_type)
{
    switch (data_type) {
    case OQ_TYPE(FLOAT16):
        return 65504;
    case OQ_TYPE(BFLOAT16):
        return 0x1.fep127;
    case OQ_TYPE(FLOAT):
        return FLT_MAX;
    default:
        return DBL_MAX / 2;
    }
}

static struct draw_distribution between(int64_t first, int64_t last)
{
    return (struct draw_distribution){.form = INTEGERS, .first = first, .last = last};
}

static int64_t clamp(int64_t value, int64_t lo, int64_t hi)
{
    return value < lo ? lo : value > hi ? hi : value;
}

static int64_t to_integer(double value)
{
    return value >= 0x1p63 ? INT64_MAX : value <= -0x1p63 ? INT64_MIN : (int64_t)value;
}

static bool is_mask_name(const char *name)
{
    static const char *const words[] = {"mask", NULL}, *const masked[] = {"masked", NULL};
    return oq_name_has(name, words) && !oq_name_has(name, masked);
}

/* What an input of lengths speaks of: the first open axis that lies along; 0: there is none. */
static int64_t length_beside(const struct drawer *drawer)
{
    for (size_t i = 0; i < drawer->signature->n_inputs; i++) {
        const struct oq_parameter *input = &drawer->signature->inputs[i];
        for (size_t axis = 1; axis < input->n_dims && !input->has_default; axis++) {
            if (input->dims[axis].size < 0)
                return drawer->sizes.dims[i][axis];
        }
    }
    return 0;
}

/* Values of inputs that many models have and whose graphs do not tell. */
static bool known_by_name(const struct drawer *drawer, size_t index, struct draw_distribution *from)
{
    static const char *const position[] = {"position", NULL};
    static const char *const rate[] = {"sample_rate", "sampling_rate", NULL};
    static const char *const length[] = {"length", "lens", "_len", NULL};
    static const char *const bound[] = {"max", "min", "past", "total", NULL};
    const struct oq_parameter *input = &drawer->signature->inputs[index];
    size_t rank = drawer->sizes.ranks[index];
    if (strcmp(input->name, "sr") == 0 || oq_name_has(input->name, rate)) {
        *from = between(16000, 16000);
        return true;
    }
    if (rank <= 1 && oq_name_has(input->name, length) && !oq_name_has(input->name, bound)) {
        const int64_t beside = length_beside(drawer);
        if (beside > 0) {
            *from = between(beside, beside);
            return true;
        }
    }
    if (rank == 0 || !oq_name_has(input->name, position))
        return false;
    int64_t size = drawer->sizes.dims[index][rank - 1];
    *from = between(0, size > 0 ? size - 1 : 0);
    return true;
}

static struct draw_distribution integers_by_default(const struct drawer *drawer, size_t index,
                                                    const struct oq_demand *demand, int64_t lo,
                                                    int64_t hi)
{
    const struct oq_parameter *input = &drawer->signature->inputs[index];
    struct draw_distribution from;
    if (demand->is_divisor)
        return between(1, 16); /* engines do not check what they divide by */
    if (demand->has_constant &&
        oq_nelem(drawer->sizes.dims[index], 0, drawer->sizes.ranks[index]) == 1)
        return between(demand->constant, demand->constant);
    if (known_by_name(drawer, index, &from))
        return from;
    if (input->data_type == OQ_TYPE(INT8) || input->data_type == OQ_TYPE(UINT8) ||
        input->data_type == OQ_TYPE(INT16) || input->data_type == OQ_TYPE(UINT16))
        return between(lo, hi); /* pictures and sound as they come */
    return between(demand->is_mask && input->data_type != OQ_TYPE(BOOL) ? 1 : 0, 1);
}

static struct draw_distribution distribution_of(const struct drawer *drawer, size_t index,
                                                const struct oq_demand *demand)
{
    const struct oq_parameter *input = &drawer->signature->inputs[index];
    const struct oq_range_setting *range = oq_strmap_find(&drawer->ranges, input->name);
    int64_t lo, hi;
    bool is_float = kind_of(input->data_type, &lo, &hi) == FLOATS;
    if (range != NULL && is_float) {
        double largest = largest_float(input->data_type);
        return (struct draw_distribution){.form = UNIFORM,
                                          .lo = fmax(-largest, fmin(range->lo, largest)),
                                          .hi = fmax(-largest, fmin(range->hi, largest))};
    }
    if (range != NULL) {
        int64_t first = clamp(to_integer(ceil(range->lo)), lo, hi);
        return between(first, clamp(to_integer(floor(range->hi)), first, hi));
    }
    if (demand->is_shape || demand->is_axes)
        return (struct draw_distribution){.form = demand->is_shape ? SHAPE : AXES};
    bool is_bounded = demand->is_bounded && demand->hi >= 0;
    int64_t first = is_bounded ? clamp(demand->lo, 0, demand->hi) : 0;
    if (is_mask_name(input->name)) {
        int64_t one = is_bounded ? clamp(1, first, demand->hi) : 1;
        return between(one, one);
    }
    if (is_bounded)
        return between(clamp(first, lo, hi), clamp(demand->hi, lo, hi));
    if (is_float)
        return (struct draw_distribution){.form = demand->is_positive ? POSITIVE : NORMAL};
    return integers_by_default(drawer, index, demand, lo, hi);
}

/* --- drawing ---------------------------------------------------------------- */

static double next_value(struct oq_random *random, const struct draw_distribution *from,
                         uint64_t index)
{
    switch (from->form) {
    case NORMAL:
        return oq_random_normal(random);
    case POSITIVE:
        return oq_random_positive(random);
    case UNIFORM:
        return oq_random_uniform(random, from->lo, from->hi);
    case SHAPE:
        return index == 0 ? -1 : 1;
    case AXES:
        return (double)index;
    default:
        return (double)oq_random_integer(random, from->first, from->last);
    }
}

static void fill_numbers(struct oq_array *array, struct oq_random *random,
                         const struct draw_distribution *from)
{
    for (uint64_t i = 0; i < array->nelem; i++)
        oq_array_put_double(array, i, next_value(random, from, i));
}

/* Narrow integers: every pattern of bits is one. The last byte holds what is left. */
static void fill_bits(struct oq_array *array, struct oq_random *random)
{
    uint8_t *bytes = array->data;
    unsigned nbits = oq_dtype_find(array->data_type)->nbits;
    for (uint64_t i = 0; i < array->nbytes; i++)
        bytes[i] = (uint8_t)oq_random_next(random);
    unsigned used = (unsigned)(array->nelem * nbits % 8);
    if (used > 0)
        bytes[array->nbytes - 1] &= (uint8_t)((1U << used) - 1);
}

static bool draw_strings(const struct drawer *drawer, size_t index, struct oq_random *random,
                         struct oq_array *array)
{
    static const char *const words[] = {"a", "b", "c", "no", "yes", "low", "high", "red"};
    const int64_t *dims = drawer->sizes.dims[index];
    size_t rank = drawer->sizes.ranks[index], nelem = (size_t)oq_nelem(dims, 0, rank);
    const char **strings = oq_arena_array(drawer->arena, nelem + 1, sizeof(*strings));
    if (strings == NULL)
        return oq_arena_fail(drawer->arena, drawer->error);
    for (size_t i = 0; i < nelem; i++)
        strings[i] = words[oq_random_next(random) % (sizeof(words) / sizeof(words[0]))];
    return oq_array_init_strings(array, drawer->signature->inputs[index].name, strings, dims, rank,
                                 drawer->error);
}

static bool draw_numbers(const struct drawer *drawer, size_t index, struct oq_random *random,
                         struct oq_array *array)
{
    const struct oq_parameter *input = &drawer->signature->inputs[index];
    struct oq_demand demand = OQ_DEMAND_INIT;
    int64_t lo, hi;
    if (!oq_array_init(array, input->name, input->data_type, drawer->sizes.dims[index],
                       drawer->sizes.ranks[index], drawer->error))
        return false;
    if (kind_of(input->data_type, &lo, &hi) == BITS) {
        fill_bits(array, random);
        return true;
    }
    for (size_t i = 0; i < drawer->n_models; i++)
        oq_trace_values(&drawer->traces[i], input->name, &demand);
    struct draw_distribution from = distribution_of(drawer, index, &demand);
    fill_numbers(array, random, &from);
    return true;
}

static bool fail_type(const struct drawer *drawer, const struct oq_parameter *input)
{
    char text[128];
    oq_parameter_describe(input, text, sizeof(text));
    oq_fail(drawer->error, ONNXQ_ERROR_INPUT, "it is %s: there are no random values of that type",
            text);
    oq_error_hint(drawer->error, "give values with --inputs");
    return false;
}

/* Size as it would be, also where it overflows. */
static bool check_size(struct drawer *drawer, size_t index)
{
    const struct oq_parameter *input = &drawer->signature->inputs[index];
    const struct oq_dtype *dtype = oq_dtype_find(input->data_type);
    uint64_t max_nbytes = drawer->options->max_nbytes;
    bool is_open = !input->has_rank;
    char text[128];
    double nbytes = dtype->nbits > 0 ? dtype->nbits / 8.0 : (double)sizeof(char *);
    for (size_t k = 0; k < drawer->sizes.ranks[index]; k++)
        nbytes *= (double)drawer->sizes.dims[index][k];
    for (size_t k = 0; k < input->n_dims; k++)
        is_open |= input->dims[k].size < 0;
    double limit = (double)(max_nbytes > 0 ? max_nbytes : MAX_NBYTES), others = drawer->nbytes;
    drawer->nbytes += nbytes;
    if (drawer->nbytes <= limit)
        return true;
    oq_parameter_describe(input, text, sizeof(text));
    oq_fail(drawer->error, ONNXQ_ERROR_INPUT, "%s would take %.3g GB%s, at most %.3g are drawn",
            text, drawer->nbytes / (1 << 30), others > 0 ? " with the inputs before it" : "",
            limit / (1 << 30));
    if (is_open)
        oq_error_hint(drawer->error, "--dim NAME=N sets the size of a dimension");
    return false;
}

static bool check_input(struct drawer *drawer, size_t index)
{
    const struct oq_parameter *input = &drawer->signature->inputs[index];
    int64_t lo, hi;
    if (input->data_type != OQ_TYPE(STRING) && kind_of(input->data_type, &lo, &hi) == NO_NUMBERS)
        return fail_type(drawer, input);
    return check_size(drawer, index);
}

static bool draw_input(struct drawer *drawer, size_t index, struct oq_arrays *arrays)
{
    const struct oq_parameter *input = &drawer->signature->inputs[index];
    struct oq_random random;
    struct oq_array *array = oq_arrays_add(arrays, drawer->error);
    if (array == NULL)
        return false;
    oq_random_init(&random, drawer->options->seed, drawer->number, input->name);
    return input->data_type == OQ_TYPE(STRING) ? draw_strings(drawer, index, &random, array)
                                               : draw_numbers(drawer, index, &random, array);
}

static bool note_sizes(const struct drawer *drawer, struct oq_input_sets *sets)
{
    free(sets->sizes);
    sets->sizes = NULL;
    sets->has_others = drawer->sizes.has_others;
    if (drawer->sizes.chosen[0] == '\0')
        return true;
    sets->sizes = strdup(drawer->sizes.chosen);
    return sets->sizes != NULL || oq_fail_memory(drawer->error);
}

static bool fail_input(const struct drawer *drawer, size_t index)
{
    oq_error_place(drawer->error, "input \"%s\"", drawer->signature->inputs[index].name);
    return false;
}

/* All inputs are looked at before the first is drawn: gigabytes are not made for nothing. */
static bool draw_set(struct drawer *drawer, struct oq_input_sets *sets)
{
    const struct oq_signature *signature = drawer->signature;
    char label[48];
    snprintf(label, sizeof(label), "random inputs %" PRIu64, drawer->number);
    struct oq_input_set *set = oq_input_sets_add(sets, label, drawer->error);
    if (set == NULL)
        return false;
    for (size_t i = 0; i < signature->n_inputs; i++)
        if (!signature->inputs[i].has_default && !check_input(drawer, i))
            return fail_input(drawer, i);
    for (size_t i = 0; i < signature->n_inputs; i++)
        if (!signature->inputs[i].has_default && !draw_input(drawer, i, &set->inputs))
            return fail_input(drawer, i);
    return true;
}

static bool prepare(struct drawer *drawer, const onnxq_model *const *models)
{
    oq_strmap_init(&drawer->ranges, drawer->arena);
    drawer->traces = oq_arena_array(drawer->arena, drawer->n_models + 1, sizeof(*drawer->traces));
    if (drawer->traces == NULL)
        return oq_arena_fail(drawer->arena, drawer->error);
    for (size_t i = 0; i < drawer->n_models; i++)
        oq_trace_init(&drawer->traces[i], models[i], drawer->arena);
    if (!read_ranges(drawer) ||
        !oq_sizes_choose(&drawer->sizes, drawer->signature, drawer->options, drawer->traces,
                         drawer->n_models, drawer->arena, drawer->error))
        return false;
    for (size_t i = 0; i < drawer->n_models; i++)
        drawer->traces[i].sizes = &drawer->sizes.by_name;
    return true;
}

bool oq_draw_inputs(const onnxq_model *const *models, size_t n_models,
                    const struct oq_signature *signature, const struct oq_draw_options *options,
                    struct oq_input_sets *sets, onnxq_error *error)
{
    struct oq_arena arena;
    oq_arena_init(&arena, OQ_STRUCTURE_BUDGET);
    struct drawer drawer = {.signature = signature,
                            .options = options,
                            .n_models = n_models,
                            .number = (sets->visit != NULL ? sets->visit->n_sets : sets->count) + 1,
                            .arena = &arena,
                            .error = error};
    bool drawn = prepare(&drawer, models) && note_sizes(&drawer, sets) && draw_set(&drawer, sets);
    oq_arena_fini(&arena);
    return drawn;
}
