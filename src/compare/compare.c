/* Distances of floats in double precision, equality of all others, where they are worst. */
#include "compare/compare.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "wire/data_type.h"

#define BLOCK 512 /* elements that are read at a time */

enum oq_value_class oq_value_class(const struct oq_array *array)
{
    const struct oq_dtype *dtype = oq_dtype_find(array->data_type);
    if (!oq_array_is_numeric(array) || array->data_type == OQ_TYPE(BOOL))
        return OQ_CLASS_OTHER;
    return dtype->is_float ? OQ_CLASS_FLOAT : OQ_CLASS_INTEGER;
}

/* The comparison under way. */
struct comparison {
    const struct oq_array *reference, *candidate, *mask;
    uint64_t n_inside; /* elements to one of the mask */
    struct oq_difference *difference;
    uint64_t worst;
    double worst_distance;
    /* the row under way */
    uint64_t row_length, column; /* length 0: there are no rows */
    double largest[2];
    uint64_t place[2];
};

static void note_distance(struct comparison *comparison, uint64_t element, double distance)
{
    if (distance > comparison->worst_distance) {
        comparison->worst_distance = distance;
        comparison->worst = element;
    }
}

/* --- numbers ----------------------------------------------------------------- */

/* 64-bit integers are not exact as double. */
static bool are_equal(const struct comparison *comparison, uint64_t element, double a, double b)
{
    const struct oq_array *reference = comparison->reference, *candidate = comparison->candidate;
    int32_t type = reference->data_type;
    if (type == candidate->data_type && (type == OQ_TYPE(INT64) || type == OQ_TYPE(UINT64)))
        return ((const uint64_t *)reference->data)[element] ==
               ((const uint64_t *)candidate->data)[element];
    return a == b || (isnan(a) && isnan(b));
}

static void add_finite(struct oq_difference *difference, double a, double b)
{
    difference->reference_squares += a * a;
    difference->candidate_squares += b * b;
    difference->difference_squares += (a - b) * (a - b);
    difference->products += a * b;
}

static void add_unequal(struct comparison *comparison, uint64_t element, double a, double b)
{
    struct oq_difference *difference = comparison->difference;
    bool one_sided = !isfinite(a) || !isfinite(b);
    double distance = one_sided ? (double)INFINITY : fabs(a - b);
    double relative = one_sided ? (double)INFINITY : a != 0 ? distance / fabs(a) : 0;
    difference->n_one_sided += one_sided;
    difference->sum_abs += distance;
    difference->max_abs = fmax(difference->max_abs, distance);
    difference->max_relative = fmax(difference->max_relative, relative);
    note_distance(comparison, element, distance);
}

static void add_pair(struct comparison *comparison, uint64_t element, double a, double b)
{
    struct oq_difference *difference = comparison->difference;
    bool equal = are_equal(comparison, element, a, b), finite = isfinite(a) && isfinite(b);
    difference->n_equal += equal;
    difference->n_not_finite += equal && !finite;
    if (!equal)
        add_unequal(comparison, element, a, b);
    if (finite)
        add_finite(difference, a, b);
}

/* As numpy has it: the first of equally large ones, and NaN is larger than any number. */
static bool is_larger(double value, double than)
{
    return value > than || (isnan(value) && !isnan(than));
}

static void add_to_row(struct comparison *comparison, double a, double b)
{
    const double pair[] = {a, b};
    for (size_t side = 0; side < 2; side++) {
        if (comparison->column == 0 || is_larger(pair[side], comparison->largest[side])) {
            comparison->largest[side] = pair[side];
            comparison->place[side] = comparison->column;
        }
    }
    if (++comparison->column < comparison->row_length)
        return;
    comparison->column = 0;
    comparison->difference->n_rows++;
    comparison->difference->n_rows_agreeing += comparison->place[0] == comparison->place[1];
}

static bool is_left_out(const struct comparison *comparison, uint64_t element)
{
    double value = 1;
    if (comparison->mask != NULL)
        oq_array_read_doubles(comparison->mask, element / comparison->n_inside, 1, &value);
    return value == 0;
}

static void compare_pair(struct comparison *comparison, uint64_t element, double a, double b)
{
    if (is_left_out(comparison, element))
        return;
    comparison->difference->nelem++;
    add_pair(comparison, element, a, b);
    if (comparison->row_length > 0)
        add_to_row(comparison, a, b);
}

static void compare_numbers(struct comparison *comparison)
{
    double a[BLOCK], b[BLOCK];
    uint64_t nelem = comparison->reference->nelem;
    for (uint64_t first = 0; first < nelem; first += BLOCK) {
        size_t count = (size_t)oq_min_u64(nelem - first, BLOCK);
        oq_array_read_doubles(comparison->reference, first, count, a);
        oq_array_read_doubles(comparison->candidate, first, count, b);
        for (size_t i = 0; i < count; i++)
            compare_pair(comparison, first + i, a[i], b[i]);
    }
}

/* A row of one element says nothing: its place is always the same. Nor does a part of a row. */
static uint64_t find_row_length(const struct oq_array *array, const struct oq_array *mask)
{
    if (oq_value_class(array) != OQ_CLASS_FLOAT || array->n_dims == 0 ||
        (mask != NULL && mask->n_dims == array->n_dims))
        return 0;
    int64_t length = array->dims[array->n_dims - 1];
    return length > 1 ? (uint64_t)length : 0;
}

/* --- what has no arithmetic --------------------------------------------------- */

static bool is_same_element(const struct comparison *comparison, uint64_t element)
{
    const struct oq_array *reference = comparison->reference, *candidate = comparison->candidate;
    if (reference->data_type == OQ_TYPE(STRING))
        return strcmp(((char *const *)reference->data)[element],
                      ((char *const *)candidate->data)[element]) == 0;
    /* Smaller elements than a byte are told apart by the byte that they share. */
    unsigned nbits = oq_dtype_find(reference->data_type)->nbits;
    uint64_t first = element * nbits / 8, nbytes = oq_max_u64(nbits / 8, 1);
    return memcmp((const char *)reference->data + first, (const char *)candidate->data + first,
                  (size_t)nbytes) == 0;
}

static void compare_others(struct comparison *comparison)
{
    for (uint64_t i = 0; i < comparison->reference->nelem; i++) {
        if (is_left_out(comparison, i))
            continue;
        comparison->difference->nelem++;
        if (is_same_element(comparison, i))
            comparison->difference->n_equal++;
        else
            note_distance(comparison, i, 0);
    }
}

/* --- the whole ---------------------------------------------------------------- */

bool oq_mask_fits(const struct oq_array *mask, const int64_t *dims, size_t n_dims)
{
    return mask != NULL && oq_array_is_numeric(mask) && mask->n_dims > 0 &&
           mask->n_dims <= n_dims && memcmp(mask->dims, dims, mask->n_dims * sizeof(*dims)) == 0;
}

bool oq_shows_padding(const struct oq_array *input)
{
    enum { TYPE_INT32 = 6, TYPE_INT64 = 7, TYPE_BOOL = 9 };
    const unsigned char *bytes = input->data;
    bool is_known = input->data_type == TYPE_INT32 || input->data_type == TYPE_INT64 ||
                    input->data_type == TYPE_BOOL;
    if (!is_known || input->nelem == 0 || strstr(input->name, "mask") == NULL)
        return false;
    size_t n = (size_t)(input->nbytes / input->nelem);
    uint64_t n_ones = 0, n_others = 0;
    for (uint64_t i = 0; i < input->nbytes; i++) {
        n_ones += i % n == 0 && bytes[i] == 1;
        n_others += bytes[i] != 0 && (i % n != 0 || bytes[i] != 1);
    }
    return n_others == 0 && n_ones > 0 && n_ones < input->nelem;
}

void oq_compare(const struct oq_array *reference, const struct oq_array *candidate,
                const struct oq_array *mask, struct oq_difference *difference, uint64_t *worst)
{
    bool has_mask = mask != NULL && mask->nelem > 0;
    struct comparison comparison = {.reference = reference,
                                    .candidate = candidate,
                                    .mask = has_mask ? mask : NULL,
                                    .n_inside = has_mask ? candidate->nelem / mask->nelem : 1,
                                    .difference = difference,
                                    .worst = OQ_NO_ELEMENT,
                                    .worst_distance = -1,
                                    .row_length = find_row_length(candidate, mask)};
    *difference = (struct oq_difference){0};
    if (oq_value_class(reference) == OQ_CLASS_OTHER)
        compare_others(&comparison);
    else
        compare_numbers(&comparison);
    *worst = comparison.worst;
}

void oq_difference_add(struct oq_difference *total, const struct oq_difference *other)
{
    total->nelem += other->nelem;
    total->n_equal += other->n_equal;
    total->n_not_finite += other->n_not_finite;
    total->n_one_sided += other->n_one_sided;
    total->n_rows += other->n_rows;
    total->n_rows_agreeing += other->n_rows_agreeing;
    total->max_abs = fmax(total->max_abs, other->max_abs);
    total->max_relative = fmax(total->max_relative, other->max_relative);
    total->sum_abs += other->sum_abs;
    total->reference_squares += other->reference_squares;
    total->candidate_squares += other->candidate_squares;
    total->difference_squares += other->difference_squares;
    total->products += other->products;
}
