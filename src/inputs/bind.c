/* Arrays of a set and the inputs that they are for. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "inputs/signature.h"
#include "wire/data_type.h"

#define DESCRIPTION 160 /* longest "float32 [batch,3,224,224]" of a message */

/* The size that a symbolic dimension has in this set, and the input that says so. */
struct symbol {
    int64_t size;
    const char *input;
};

/* --- names ------------------------------------------------------------------ */

/* Inputs or outputs in the order in which positions count them, and by name. */
struct names {
    const struct oq_parameter **list;
    size_t count;
    struct oq_strmap map; /* name -> struct oq_parameter */
    const char *what;
};

static bool add_name(struct names *names, const struct oq_parameter *parameter,
                     struct oq_arena *arena, onnxq_error *error)
{
    void **place = oq_strmap_place(&names->map, parameter->name);
    if (place == NULL)
        return oq_arena_fail(arena, error);
    *place = (void *)(uintptr_t)parameter;
    names->list[names->count++] = parameter;
    return true;
}

/*
 * Those without a default first: so is test data numbered for models that list
 * their initializers among the inputs.
 */
static bool init_names(struct names *names, const struct oq_parameter *parameters, size_t n,
                       const char *what, struct oq_arena *arena, onnxq_error *error)
{
    *names = (struct names){.what = what};
    names->list = oq_arena_array(arena, n + 1, sizeof(struct oq_parameter *));
    oq_strmap_init(&names->map, arena);
    if (names->list == NULL)
        return oq_arena_fail(arena, error);
    for (int has_default = 0; has_default < 2; has_default++) {
        for (size_t i = 0; i < n; i++) {
            if (parameters[i].has_default == has_default &&
                !add_name(names, &parameters[i], arena, error))
                return false;
        }
    }
    return true;
}

static bool name_arrays(const struct names *names, struct oq_arrays *arrays, onnxq_error *error)
{
    for (size_t i = 0; i < arrays->count; i++) {
        struct oq_array *array = &arrays->list[i];
        size_t position;
        if (!oq_position_read(array->name, &position) ||
            oq_strmap_find(&names->map, array->name) != NULL)
            continue;
        if (position >= names->count)
            return oq_fail(error, ONNXQ_ERROR_INPUT,
                           "there is an array for %s %s, but the model has %zu, counted from #0",
                           names->what, array->name, names->count);
        if (!oq_array_rename(array, names->list[position]->name, error))
            return false;
    }
    return true;
}

/* --- conversion ------------------------------------------------------------- */

static bool is_float(int32_t data_type)
{
    const struct oq_dtype *dtype = oq_dtype_find(data_type);
    return dtype != NULL && dtype->is_float;
}

static bool is_integer(int32_t data_type)
{
    const struct oq_dtype *dtype = oq_dtype_find(data_type);
    return data_type == OQ_TYPE(BOOL) || (dtype != NULL && dtype->is_integer && dtype->nbits >= 8);
}

/* Between int64 and uint64: what both hold has the same bits. */
static bool copy_64_bits(const struct oq_array *src, struct oq_array *dst, uint64_t *bad)
{
    const uint64_t *values = src->data;
    for (*bad = 0; *bad < src->nelem; ++*bad) {
        if (values[*bad] > INT64_MAX)
            return false;
    }
    memcpy(dst->data, src->data, (size_t)src->nbytes);
    return true;
}

/*
 * NaN stays NaN. float64 is what Python makes of every number that has no type,
 * so it is rounded to the type that was meant.
 */
static bool is_same(double before, double after, bool rounds)
{
    if (isnan(before) || isnan(after))
        return isnan(before) && isnan(after);
    return before == after || (rounds && isfinite(after));
}

static bool copy_values(const struct oq_array *src, struct oq_array *dst, uint64_t *bad)
{
    bool rounds = src->data_type == OQ_TYPE(DOUBLE);
    if (src->nbytes == dst->nbytes && dst->nbytes == 8 * dst->nelem && !rounds)
        return copy_64_bits(src, dst, bad);
    for (*bad = 0; *bad < src->nelem; ++*bad) {
        double before, after;
        oq_array_read_doubles(src, *bad, 1, &before);
        oq_array_put_double(dst, *bad, before);
        oq_array_read_doubles(dst, *bad, 1, &after);
        if (!is_same(before, after, rounds))
            return false;
    }
    return true;
}

static bool can_convert(int32_t from, int32_t to)
{
    return (is_float(from) && is_float(to)) || (is_integer(from) && is_integer(to));
}

/* Gives the array the type of the input; its kind of number is the same. */
static bool convert(struct oq_array *array, int32_t data_type, onnxq_error *error)
{
    struct oq_array converted;
    uint64_t bad;
    if (!oq_array_init(&converted, array->name, data_type, array->dims, array->n_dims, error)) {
        oq_array_fini(&converted);
        return false;
    }
    bool fits = copy_values(array, &converted, &bad);
    if (!fits) {
        double value;
        oq_array_read_doubles(array, bad, 1, &value);
        oq_fail(error, ONNXQ_ERROR_INPUT, "element %" PRIu64 " is %.17g, which %s cannot hold", bad,
                value, oq_dtype_find(data_type)->name);
        oq_array_fini(&converted);
        return false;
    }
    oq_array_fini(array);
    *array = converted;
    return true;
}

/* --- checks ----------------------------------------------------------------- */

struct binder {
    const struct oq_signature *signature;
    const struct names *names;
    struct oq_arena *arena;
    struct oq_strmap arrays;  /* name -> struct oq_array of the set */
    struct oq_strmap symbols; /* name -> struct symbol */
    onnxq_error *error;
};

static bool fail_unknown(const struct binder *binder, const char *name)
{
    oq_fail(binder->error, ONNXQ_ERROR_INPUT, "the model has no input \"%s\"", name);
    return oq_signature_hint_input(binder->signature, name, binder->error);
}

static bool index_arrays(struct binder *binder, struct oq_arrays *arrays)
{
    for (size_t i = 0; i < arrays->count; i++) {
        struct oq_array *array = &arrays->list[i];
        if (oq_strmap_find(&binder->names->map, array->name) == NULL)
            return fail_unknown(binder, array->name);
        void **place = oq_strmap_place(&binder->arrays, array->name);
        if (place == NULL)
            return oq_arena_fail(binder->arena, binder->error);
        if (*place != NULL)
            return oq_fail(binder->error, ONNXQ_ERROR_INPUT,
                           "there are two arrays for input \"%s\"", array->name);
        *place = array;
    }
    return true;
}

/* Names all that are missing, as far as the message has room. */
static bool check_complete(const struct binder *binder)
{
    char list[sizeof(binder->error->message) - 64], type[DESCRIPTION];
    size_t used = 0, n_missing = 0;
    for (size_t i = 0; i < binder->names->count; i++) {
        const struct oq_parameter *parameter = binder->names->list[i];
        if (parameter->has_default || oq_strmap_find(&binder->arrays, parameter->name) != NULL)
            continue;
        oq_parameter_describe(parameter, type, sizeof(type));
        if (used < sizeof(list))
            used += (size_t)snprintf(list + used, sizeof(list) - used, "%s\"%s\" (%s)",
                                     n_missing > 0 ? ", " : "", parameter->name, type);
        n_missing++;
    }
    return n_missing == 0 || oq_fail(binder->error, ONNXQ_ERROR_INPUT, "%s missing: %s",
                                     n_missing > 1 ? "inputs are" : "an input is", list);
}

static bool fail_type(const struct oq_parameter *parameter, const struct oq_array *array,
                      onnxq_error *error)
{
    char found[DESCRIPTION], expected[DESCRIPTION];
    oq_array_describe(array, found, sizeof(found));
    oq_parameter_describe(parameter, expected, sizeof(expected));
    return oq_fail(error, ONNXQ_ERROR_INPUT, "found %s, expected %s", found, expected);
}

static bool check_symbol(struct binder *binder, const struct oq_parameter *parameter,
                         const struct oq_array *array, size_t axis)
{
    const char *name = parameter->dims[axis].name;
    if (parameter->dims[axis].size >= 0 || name[0] == '\0')
        return true;
    void **place = oq_strmap_place(&binder->symbols, name);
    if (place == NULL)
        return oq_arena_fail(binder->arena, binder->error);
    struct symbol *symbol = *place;
    if (symbol == NULL) {
        symbol = *place = oq_arena_alloc(binder->arena, sizeof(*symbol));
        if (symbol == NULL)
            return oq_arena_fail(binder->arena, binder->error);
        *symbol = (struct symbol){array->dims[axis], parameter->name};
    }
    if (symbol->size == array->dims[axis])
        return true;
    char found[DESCRIPTION];
    oq_array_describe(array, found, sizeof(found));
    return oq_fail(binder->error, ONNXQ_ERROR_INPUT,
                   "found %s, but \"%s\" is %" PRId64 " in input \"%s\"", found, name, symbol->size,
                   symbol->input);
}

static bool check_dims(struct binder *binder, const struct oq_parameter *parameter,
                       const struct oq_array *array)
{
    if (!parameter->has_rank)
        return true;
    if (array->n_dims != parameter->n_dims)
        return fail_type(parameter, array, binder->error);
    for (size_t i = 0; i < array->n_dims; i++) {
        if (parameter->dims[i].size >= 0 && parameter->dims[i].size != array->dims[i])
            return fail_type(parameter, array, binder->error);
    }
    for (size_t i = 0; i < array->n_dims; i++) {
        if (!check_symbol(binder, parameter, array, i))
            return false;
    }
    return true;
}

static bool check_array(struct binder *binder, const struct oq_parameter *parameter,
                        struct oq_array *array)
{
    bool same = array->data_type == parameter->data_type;
    if (!same && !can_convert(array->data_type, parameter->data_type))
        return fail_type(parameter, array, binder->error);
    return check_dims(binder, parameter, array) &&
           (same || convert(array, parameter->data_type, binder->error));
}

static bool check_arrays(struct binder *binder)
{
    for (size_t i = 0; i < binder->names->count; i++) {
        const struct oq_parameter *parameter = binder->names->list[i];
        struct oq_array *array = oq_strmap_find(&binder->arrays, parameter->name);
        if (array != NULL && !check_array(binder, parameter, array)) {
            oq_error_place(binder->error, "input \"%s\"", parameter->name);
            return false;
        }
    }
    return true;
}

static bool bind(const struct oq_signature *signature, struct oq_input_set *set,
                 struct oq_arena *arena, onnxq_error *error)
{
    struct names inputs, outputs;
    struct binder binder = {
        .signature = signature, .names = &inputs, .arena = arena, .error = error};
    oq_strmap_init(&binder.arrays, arena);
    oq_strmap_init(&binder.symbols, arena);
    return init_names(&inputs, signature->inputs, signature->n_inputs, "input", arena, error) &&
           init_names(&outputs, signature->outputs, signature->n_outputs, "output", arena, error) &&
           name_arrays(&inputs, &set->inputs, error) &&
           name_arrays(&outputs, &set->outputs, error) && index_arrays(&binder, &set->inputs) &&
           check_complete(&binder) && check_arrays(&binder);
}

bool oq_signature_bind(const struct oq_signature *signature, struct oq_input_set *set,
                       onnxq_error *error)
{
    struct oq_arena arena;
    oq_arena_init(&arena, OQ_STRUCTURE_BUDGET);
    bool bound = bind(signature, set, &arena, error);
    oq_arena_fini(&arena);
    return bound;
}
