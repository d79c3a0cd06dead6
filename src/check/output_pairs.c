/* Compares one output of one run, under a mask where there is one. */
#include "check/output_pairs.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "wire/data_type.h"

/* --- what can be compared ----------------------------------------------------- */

static size_t skip_ones(const struct oq_array *array, size_t *n_dims)
{
    size_t first = 0;
    *n_dims = array->n_dims;
    while (*n_dims > 0 && array->dims[*n_dims - 1] == 1)
        --*n_dims;
    while (first < *n_dims && array->dims[first] == 1)
        first++;
    *n_dims -= first;
    return first;
}

static bool have_same_dims(const struct oq_array *a, const struct oq_array *b)
{
    return a->n_dims == b->n_dims && memcmp(a->dims, b->dims, a->n_dims * sizeof(*a->dims)) == 0;
}

/*
 * Frameworks return a vector where the converted model has a column, or lack the
 * batch: axes of length 1 before and behind are nothing that values could differ by.
 */
static bool have_similar_dims(const struct oq_array *a, const struct oq_array *b)
{
    size_t n_a, n_b, first_a = skip_ones(a, &n_a), first_b = skip_ones(b, &n_b);
    return n_a == n_b && memcmp(a->dims + first_a, b->dims + first_b, n_a * sizeof(*a->dims)) == 0;
}

static bool have_comparable_types(const struct oq_array *a, const struct oq_array *b)
{
    enum oq_value_class value_class = oq_value_class(a);
    return value_class == oq_value_class(b) &&
           (value_class != OQ_CLASS_OTHER || a->data_type == b->data_type);
}

static bool describe_problem(struct oq_check *check, struct oq_check_run *run,
                             const struct oq_array *reference, const struct oq_array *candidate,
                             onnxq_error *error)
{
    char texts[2][160];
    oq_array_describe(reference, texts[0], sizeof(texts[0]));
    oq_array_describe(candidate, texts[1], sizeof(texts[1]));
    run->problem = oq_arena_printf(&check->arena, "%s differ: %s, expected %s",
                                   have_comparable_types(reference, candidate) ? "shapes"
                                   : have_same_dims(reference, candidate)      ? "types"
                                                                               : "types and shapes",
                                   texts[1], texts[0]);
    return run->problem != NULL || oq_arena_fail(&check->arena, error);
}

/* --- the worst element ----------------------------------------------------------- */

/* Element `index` for people; *number is NaN where it is none. */
static const char *read_element(struct oq_check *check, const struct oq_array *array,
                                uint64_t index, double *number)
{
    *number = (double)NAN;
    if (array->data_type == OQ_TYPE(STRING))
        return oq_arena_printf(&check->arena, "\"%.60s\"", ((char *const *)array->data)[index]);
    if (!oq_array_is_numeric(array))
        return oq_arena_strdup(&check->arena, "?");
    oq_array_read_doubles(array, index, 1, number);
    if (array->data_type == OQ_TYPE(INT64))
        return oq_arena_printf(&check->arena, "%" PRId64, ((const int64_t *)array->data)[index]);
    if (array->data_type == OQ_TYPE(UINT64))
        return oq_arena_printf(&check->arena, "%" PRIu64, ((const uint64_t *)array->data)[index]);
    return oq_arena_printf(&check->arena, "%.7g", *number);
}

static bool note_worst(struct oq_check *check, struct oq_check_run *run,
                       const struct oq_array *reference, const struct oq_array *candidate,
                       onnxq_error *error)
{
    if (run->worst == OQ_NO_ELEMENT)
        return true;
    run->texts[0] = read_element(check, reference, run->worst, &run->values[0]);
    run->texts[1] = read_element(check, candidate, run->worst, &run->values[1]);
    return (run->texts[0] != NULL && run->texts[1] != NULL) || oq_arena_fail(&check->arena, error);
}

/* --- both ------------------------------------------------------------------------ */

bool oq_check_note_shape(struct oq_check *check, struct oq_check_shape *shape,
                         const struct oq_array *array, onnxq_error *error)
{
    int64_t *dims = oq_arena_array(&check->arena, array->n_dims + 1, sizeof(*dims));
    if (dims == NULL)
        return oq_arena_fail(&check->arena, error);
    memcpy(dims, array->dims, array->n_dims * sizeof(*dims));
    *shape = (struct oq_check_shape){oq_dtype_find(array->data_type)->name, dims, array->n_dims};
    return true;
}

bool oq_pair_compare(struct oq_check *check, struct oq_check_output *output, size_t number,
                     const struct oq_array *reference, const struct oq_array *candidate,
                     const struct oq_array *mask, onnxq_error *error)
{
    struct oq_check_run *run = &output->runs[number];
    run->worst = OQ_NO_ELEMENT;
    if (number == 0)
        output->value_class = oq_value_class(reference);
    if (!oq_check_note_shape(check, &run->reference, reference, error) ||
        !oq_check_note_shape(check, &run->candidate, candidate, error))
        return false;
    bool is_same = have_same_dims(reference, candidate);
    bool is_similar =
        is_same || (check->reference == NULL && have_similar_dims(reference, candidate));
    if (!is_similar || !have_comparable_types(reference, candidate))
        return describe_problem(check, run, reference, candidate, error);
    output->is_reshaped = output->is_reshaped || !is_same;
    bool is_masked = oq_mask_fits(mask, candidate->dims, candidate->n_dims);
    output->is_masked = output->is_masked || is_masked;
    oq_compare(reference, candidate, is_masked ? mask : NULL, &run->difference, &run->worst);
    return note_worst(check, run, reference, candidate, error);
}

uint64_t oq_check_coordinate(const struct oq_check_run *run, size_t axis)
{
    const struct oq_check_shape *shape = &run->candidate;
    uint64_t below = oq_nelem(shape->dims, axis + 1, shape->n_dims);
    return run->worst / below % (uint64_t)shape->dims[axis];
}
