/*
 * How the elements of a weight share scales. A weight is seen as
 * [batch, outer, channels, inner]; element (b, o, c, i) uses scale number
 * b * channels + c. One scale per tensor is [1, 1, 1, nelem].
 */
#ifndef OQ_QUANTIZE_NUMBERS_LAYOUT_H
#define OQ_QUANTIZE_NUMBERS_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct oq_layout {
    uint64_t batch, outer, channels, inner;
};

/* A run of elements that are handled by one kernel call. */
struct oq_run {
    uint64_t first; /* element number in the weight */
    size_t count;   /* elements */
    uint64_t scale; /* number of the first scale */
    bool one_scale; /* all elements use it; else element k uses scale + k */
};

/*
 * Scales along `axis` of dims, one set for each index of the first
 * `batch_axes` axes (batch_axes <= axis). axis -1: one scale.
 */
struct oq_layout oq_layout_make(const int64_t *dims, size_t n_dims, int axis, size_t batch_axes);

static inline uint64_t oq_layout_n_scales(const struct oq_layout *layout)
{
    return layout->batch * layout->channels;
}

/* Elements that follow each other with the same outer index: a whole set of channels. */
static inline uint64_t oq_layout_row(const struct oq_layout *layout)
{
    return layout->channels * layout->inner;
}

/* The longest run that starts at element `first` and has at most `limit` elements. */
struct oq_run oq_layout_run(const struct oq_layout *layout, uint64_t first, size_t limit);

/* The scales that elements [first, first + count) touch: [*begin, *end). */
void oq_layout_scales(const struct oq_layout *layout, uint64_t first, uint64_t count,
                      uint64_t *begin, uint64_t *end);

#endif
