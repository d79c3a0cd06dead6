/* How far the values of one array are from those of another. */
#ifndef OQ_COMPARE_COMPARE_H
#define OQ_COMPARE_COMPARE_H

#include "arrays/array.h"

/* What can be said about values: distances of floats, equality of all others. */
enum oq_value_class {
    OQ_CLASS_FLOAT,   /* of any width; also those of another width are comparable */
    OQ_CLASS_INTEGER, /* likewise */
    OQ_CLASS_OTHER    /* booleans, strings, formats without arithmetic */
};

enum oq_value_class oq_value_class(const struct oq_array *array);

/*
 * Sums over pairs of elements (a of the reference, b of the candidate). NaN is
 * equal to NaN and an infinity to itself; either against anything else is
 * infinitely far apart and counts as one-sided. Squares and products are of
 * the pairs in which both are finite.
 */
struct oq_difference {
    uint64_t nelem;
    uint64_t n_equal;
    uint64_t n_not_finite; /* of n_equal: NaN or infinite in both */
    uint64_t n_one_sided;
    uint64_t n_rows, n_rows_agreeing; /* along the last axis: rows of floats, those whose largest
                                         element is at the same place (the first, where equal) */
    double max_abs;                   /* of |a - b| */
    double max_relative;              /* of |a - b| / |a| where a is not 0 */
    double sum_abs;
    double reference_squares, candidate_squares, difference_squares, products;
};

#define OQ_NO_ELEMENT UINT64_MAX

/* Whether a mask (NULL: none) says something about an array: its axes are the first ones of it. */
bool oq_mask_fits(const struct oq_array *mask, const int64_t *dims, size_t n_dims);

/* Whether an input looks as if a mask: ones and zeros, of that name. */
bool oq_shows_padding(const struct oq_array *input);

/*
 * Compares arrays of equal class and number of elements, type by type where the
 * class is OQ_CLASS_OTHER; rows are those of the candidate. *worst is the
 * element that is farthest off, OQ_NO_ELEMENT where all are equal. Where the
 * mask (NULL: none; one that fits the candidate) is 0, elements are left out.
 */
void oq_compare(const struct oq_array *reference, const struct oq_array *candidate,
                const struct oq_array *mask, struct oq_difference *difference, uint64_t *worst);

/* Makes *total what it would be had both been compared as one. */
void oq_difference_add(struct oq_difference *total, const struct oq_difference *other);

#endif
