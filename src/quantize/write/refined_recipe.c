/*
 * The integers of a weight that is only folded: a scale for each kernel, and sums that rounding
 * keeps. It is made row by row, as what is kept is the sum of a row; a stretch that begins or
 * ends within one has that row made once more.
 */
#include "base/checked.h"
#include "quantize/numbers/kept_sums.h"
#include "quantize/write/rewrite.h"

/* Rows that are read at once; beside them, what is left of sums, and integers. */
#define READ_NELEM OQ_REFINED_ROW_MAX
_Static_assert(READ_NELEM *(2 * sizeof(float) + 1) <= OQ_READ_MAX_NELEM * sizeof(float),
               "fits the scratch");

struct refining {
    const struct oq_quantized *quantized;
    uint64_t row_nelem;
    float *x, *rest;
    int8_t *q;
    uint64_t first, end; /* elements that are asked for */
    uint8_t *dst;
};

/* In steps of the scale of each kernel. */
static void divide_row(const struct refining *refining, uint64_t row, float *x)
{
    const struct oq_refinement *refinement = refining->quantized->refinement;
    const size_t kernel = (size_t)refinement->kernel;
    for (uint64_t i = 0; i < refinement->kernels; i++, x += kernel) {
        const float scale = oq_refined_scale(refining->quantized, row, i);
        for (size_t k = 0; k < kernel; k++)
            x[k] /= scale;
    }
}

/* Those of a row that lie in the stretch, moved to their zero point. */
static void put_row(const struct refining *refining, uint64_t row)
{
    const int zero_point = refining->quantized->is_unsigned ? 128 : 0;
    const uint64_t base = row * refining->row_nelem;
    const uint64_t from = oq_max_u64(base, refining->first);
    const uint64_t to = oq_min_u64(base + refining->row_nelem, refining->end);
    for (uint64_t i = from; i < to; i++)
        refining->dst[i - refining->first] = (uint8_t)(refining->q[i - base] + zero_point);
}

static void make_row(const struct refining *refining, uint64_t row, float *x)
{
    const struct oq_refinement *refinement = refining->quantized->refinement;
    struct oq_kernel_row kernels = {.n_kernels = (size_t)refinement->kernels,
                                    .kernel = (size_t)refinement->kernel,
                                    .keeps_kernels = refinement->keeps_sums,
                                    .keeps_row = refinement->keeps_row,
                                    .x = x,
                                    .rest = refining->rest,
                                    .q = refining->q};
    divide_row(refining, row, x);
    oq_round_keeping_sums(&kernels);
    put_row(refining, row);
}

bool oq_produce_refined(const struct oq_quantized *quantized, uint64_t first, size_t count,
                        uint8_t *dst, void *scratch, onnxq_error *error)
{
    const struct oq_refinement *refinement = quantized->refinement;
    struct refining refining = {.quantized = quantized,
                                .row_nelem = refinement->kernels * refinement->kernel,
                                .x = oq_recipe_floats(scratch),
                                .first = first,
                                .end = first + count,
                                .dst = dst};
    refining.rest = refining.x + READ_NELEM;
    refining.q = (int8_t *)(refining.rest + READ_NELEM);
    const uint64_t at_once = READ_NELEM / refining.row_nelem;
    const uint64_t end = oq_divide_up_u64(refining.end, refining.row_nelem);
    for (uint64_t row = first / refining.row_nelem, n; row < end; row += n) {
        n = oq_min_u64(at_once, end - row);
        if (!oq_source_read_floats(quantized->ranges->source, row * refining.row_nelem,
                                   (size_t)(n * refining.row_nelem), refining.x, scratch, error))
            return false;
        for (uint64_t i = 0; i < n; i++)
            make_row(&refining, row + i, refining.x + i * refining.row_nelem);
    }
    return true;
}
