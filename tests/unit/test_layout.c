/* Which scale belongs to which element: against counting through all indices. */
#include <string.h>

#include "quantize/numbers/layout.h"
#include "support/reference.h"
#include "support/suite.h"

static const struct row {
    const char *name;
    int64_t dims[4];
    size_t n_dims;
} shapes[] = {
    {"scalar", {0}, 0},
    {"one element", {1}, 1},
    {"vector", {7}, 1},
    {"matrix", {4, 5}, 2},
    {"row", {1, 9}, 2},
    {"column", {9, 1}, 2},
    {"three", {2, 3, 4}, 3},
    {"one channel in the middle", {3, 1, 4}, 3},
    {"ones around", {1, 6, 1}, 3},
    {"four", {3, 2, 2, 3}, 4},
    {"kernel", {4, 3, 1, 1}, 4},
    {"depthwise", {5, 1, 3, 3}, 4},
    {"batches", {2, 3, 4, 2}, 4},
};

/* What follows takes a layout and the number of the scale of every element. */
struct expectation {
    struct oq_layout layout;
    const uint64_t *scale_of;
    uint64_t nelem, n_scales;
};

static struct expectation make_expectation(const struct row *row, int axis, size_t batch_axes)
{
    struct expectation e = {.layout = oq_layout_make(row->dims, row->n_dims, axis, batch_axes),
                            .nelem = 1};
    for (size_t i = 0; i < row->n_dims; i++)
        e.nelem *= (uint64_t)row->dims[i];
    uint64_t *scale_of = test_alloc(e.nelem * sizeof(*scale_of));
    for (uint64_t i = 0; i < e.nelem; i++) {
        scale_of[i] = reference_scale_of(row->dims, row->n_dims, axis, batch_axes, i);
        e.n_scales = scale_of[i] + 1 > e.n_scales ? scale_of[i] + 1 : e.n_scales;
    }
    e.scale_of = scale_of;
    return e;
}

static void check_run(const struct expectation *e, uint64_t first, size_t limit)
{
    struct oq_run run = oq_layout_run(&e->layout, first, limit);
    assert_int_equal(run.first, first);
    assert_in_range(run.count, 1, limit);
    for (size_t k = 0; k < run.count; k++)
        assert_int_equal(e->scale_of[first + k], run.one_scale ? run.scale : run.scale + k);
    /* It stops for a reason: the limit, the end, another scale, or a new row of channels. */
    uint64_t next = first + run.count;
    if (run.count < limit && next < e->nelem && run.one_scale)
        assert_int_not_equal(e->scale_of[next], run.scale);
    else if (run.count < limit && next < e->nelem)
        assert_int_equal(e->scale_of[next] % e->layout.channels, 0);
}

static void check_scales(const struct expectation *e, uint64_t first, uint64_t count)
{
    uint64_t begin, end, lowest = UINT64_MAX, highest = 0;
    oq_layout_scales(&e->layout, first, count, &begin, &end);
    for (uint64_t i = first; i < first + count; i++) {
        lowest = e->scale_of[i] < lowest ? e->scale_of[i] : lowest;
        highest = e->scale_of[i] > highest ? e->scale_of[i] : highest;
    }
    uint64_t row = oq_layout_row(&e->layout);
    assert_true(begin <= lowest && highest < end && end <= e->n_scales);
    if (first / row == (first + count - 1) / row) {
        assert_int_equal(begin, lowest);
        assert_int_equal(end, highest + 1);
    }
}

static void check_layout(const struct row *row, int axis, size_t batch_axes)
{
    struct expectation e = make_expectation(row, axis, batch_axes);
    assert_int_equal(e.layout.batch * e.layout.outer * e.layout.channels * e.layout.inner, e.nelem);
    assert_int_equal(oq_layout_n_scales(&e.layout), e.n_scales);
    for (uint64_t first = 0; first < e.nelem; first++) {
        for (uint64_t count = 1; first + count <= e.nelem; count++) {
            check_run(&e, first, (size_t)count);
            check_scales(&e, first, count);
        }
    }
}

static void test_layout(void **state)
{
    const struct row *row = *state;
    check_layout(row, -1, 0);
    for (size_t axis = 0; axis < row->n_dims; axis++)
        for (size_t batch_axes = 0; batch_axes <= axis; batch_axes++)
            check_layout(row, (int)axis, batch_axes);
}

int main(void)
{
    TEST_ROWS(test_layout, shapes);
    return suite_run();
}
