/* Which elements share which scale, run by run. */
#include "quantize/numbers/layout.h"

#include "base/checked.h"

struct oq_layout oq_layout_make(const int64_t *dims, size_t n_dims, int axis, size_t batch_axes)
{
    if (axis < 0)
        return (struct oq_layout){1, 1, 1, oq_nelem(dims, 0, n_dims)};
    size_t a = (size_t)axis;
    return (struct oq_layout){oq_nelem(dims, 0, batch_axes), oq_nelem(dims, batch_axes, a),
                              (uint64_t)dims[a], oq_nelem(dims, a + 1, n_dims)};
}

struct oq_run oq_layout_run(const struct oq_layout *layout, uint64_t first, size_t limit)
{
    struct oq_run run = {.first = first, .one_scale = layout->inner > 1 || layout->channels == 1};
    uint64_t inside_row = first % oq_layout_row(layout);
    uint64_t batch = first / oq_layout_row(layout) / layout->outer;
    uint64_t channel = inside_row / layout->inner;
    uint64_t left =
        run.one_scale ? layout->inner - inside_row % layout->inner : layout->channels - channel;
    run.scale = batch * layout->channels + channel;
    /* One channel in all: rows of one scale follow each other. */
    if (layout->channels == 1)
        left = layout->outer * layout->inner - first % (layout->outer * layout->inner);
    run.count = left < limit ? (size_t)left : limit;
    return run;
}

void oq_layout_scales(const struct oq_layout *layout, uint64_t first, uint64_t count,
                      uint64_t *begin, uint64_t *end)
{
    uint64_t row = oq_layout_row(layout), last = first + count - 1;
    uint64_t batch = first / row / layout->outer, last_batch = last / row / layout->outer;
    *begin = batch * layout->channels;
    *end = (last_batch + 1) * layout->channels;
    if (first / row == last / row) { /* within one row: only some channels */
        *end = *begin + last % row / layout->inner + 1;
        *begin += first % row / layout->inner;
    }
}
