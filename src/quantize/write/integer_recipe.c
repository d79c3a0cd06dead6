/*
 * The integers of a weight, made when they are written: any stretch on demand,
 * so that the writer can cut the output into equal pieces wherever they fall.
 */
#include <math.h>

#include "base/checked.h"
#include "quantize/plan/plan.h"
#include "quantize/write/rewrite.h"
#include "quantize/numbers/blocks.h"

static void quantize_run(const struct oq_kernels *kernels, const struct oq_quantized *quantized,
                         const struct oq_run *run, const float *x, uint8_t *dst)
{
    const float *scale = quantized->scale + run->scale;
    const float *zero_point = quantized->zero_point + run->scale;
    if (run->one_scale) {
        struct oq_quantizer q = {*scale, *zero_point, quantized->qmin, quantized->qmax};
        kernels->quantize_run(x, run->count, &q, dst);
    } else {
        kernels->quantize_channels(x, run->count, scale, zero_point, quantized->qmin,
                                   quantized->qmax, dst);
    }
}

static bool quantize_in_order(const struct oq_quantized *quantized, uint64_t first, size_t count,
                              uint8_t *dst, void *scratch, onnxq_error *error)
{
    const struct oq_kernels *kernels = oq_kernels_best();
    float *x = oq_recipe_floats(scratch);
    while (count > 0) {
        size_t part = count < OQ_READ_MAX_NELEM ? count : OQ_READ_MAX_NELEM;
        if (!oq_source_read_floats(quantized->ranges->source, first, part, x, scratch, error))
            return false;
        for (size_t done = 0; done < part;) {
            struct oq_run run =
                oq_layout_run(&quantized->ranges->layout, first + done, part - done);
            quantize_run(kernels, quantized, &run, x + done, dst + done);
            done += run.count;
        }
        first += part;
        dst += part;
        count -= part;
    }
    return true;
}

/* --- int16 --- */

static void quantize_wide_run(const struct oq_quantized *quantized, const struct oq_run *run,
                              const float *x, int16_t *dst)
{
    const float *scale = quantized->scale + run->scale;
    for (size_t i = 0; i < run->count; i++) {
        float quotient = x[i] / scale[run->one_scale ? 0 : i];
        dst[i] = (int16_t)fminf(fmaxf(rintf(quotient), quantized->qmin), quantized->qmax);
    }
}

/* With a factor for each input; no sums are kept. */
static void quantize_wide_kernels(const struct oq_quantized *quantized, uint64_t first,
                                  size_t count, const float *x, int16_t *dst)
{
    const struct oq_refinement *refinement = quantized->refinement;
    for (size_t i = 0; i < count; i++) {
        const uint64_t kernel = (first + i) / refinement->kernel;
        const float scale =
            oq_refined_scale(quantized, kernel / refinement->kernels, kernel % refinement->kernels);
        dst[i] = (int16_t)fminf(fmaxf(rintf(x[i] / scale), quantized->qmin), quantized->qmax);
    }
}

static bool quantize_wide(const struct oq_quantized *quantized, uint64_t first, size_t count,
                          int16_t *dst, void *scratch, onnxq_error *error)
{
    float *x = oq_recipe_floats(scratch);
    if (!oq_source_read_floats(quantized->ranges->source, first, count, x, scratch, error))
        return false;
    if (quantized->refinement != NULL) {
        quantize_wide_kernels(quantized, first, count, x, dst);
        return true;
    }
    for (size_t done = 0; done < count;) {
        struct oq_run run = oq_layout_run(&quantized->ranges->layout, first + done, count - done);
        quantize_wide_run(quantized, &run, x + done, dst + done);
        done += run.count;
    }
    return true;
}

/* A stretch may begin and end in the middle of an integer. */
static bool produce_wide(const struct oq_quantized *quantized, uint64_t first, size_t count,
                         uint8_t *dst, void *scratch, onnxq_error *error)
{
    int16_t *q = scratch; /* free once the floats are read */
    while (count > 0) {
        size_t skip = (size_t)(first % 2);
        size_t part = (size_t)oq_min_u64(count, (OQ_READ_MAX_NELEM - 1) * 2);
        if (!quantize_wide(quantized, first / 2, (skip + part + 1) / 2, q, scratch, error))
            return false;
        memcpy(dst, (const uint8_t *)q + skip, part);
        first += part;
        dst += part;
        count -= part;
    }
    return true;
}

/* --- transposed --- */

/*
 * A transposed weight is [.., N, K] in the model and [.., K, N] in the result. A
 * tile of TILE_N channels and at most TILE_K elements of each fits the scratch.
 */
#define TILE_N ((uint64_t)64)
#define TILE_K (OQ_READ_MAX_NELEM / 64)

/* One matrix of the weight, and the stretch of its transpose that is asked for. */
struct turn {
    const struct oq_quantized *quantized;
    uint64_t base; /* its first element in the weight */
    uint64_t n_all, k_all;
    uint64_t first, count;
    uint8_t *dst;
    void *scratch;
};

struct integer_tile {
    uint64_t n, k;   /* first channel, first element of each */
    uint64_t ns, ks; /* how many */
};

/* Reads whole channels in one go, else a piece of each. */
static bool read_tile(const struct turn *turn, const struct integer_tile *tile, float *x,
                      onnxq_error *error)
{
    const struct oq_source *source = turn->quantized->ranges->source;
    uint64_t at = turn->base + tile->n * turn->k_all + tile->k;
    if (tile->ks == turn->k_all)
        return oq_source_read_floats(source, at, (size_t)(tile->ns * tile->ks), x, turn->scratch,
                                     error);
    for (uint64_t i = 0; i < tile->ns; i++)
        if (!oq_source_read_floats(source, at + i * turn->k_all, (size_t)tile->ks, x + i * tile->ks,
                                   turn->scratch, error))
            return false;
    return true;
}

/* Row `row` of the tile's transpose, but only what lies in the stretch. */
static void scatter_row(const struct turn *turn, const struct integer_tile *tile, uint64_t row,
                        const uint8_t *q)
{
    uint64_t at = (tile->k + row) * turn->n_all + tile->n, stop = turn->first + turn->count;
    uint64_t begin = at < turn->first ? oq_min_u64(turn->first - at, tile->ns) : 0;
    uint64_t end = stop <= at ? 0 : oq_min_u64(stop - at, tile->ns);
    for (uint64_t i = begin; i < end; i++)
        turn->dst[at + i - turn->first] = q[i * tile->ks + row];
}

static bool quantize_tile(const struct turn *turn, const struct integer_tile *tile,
                          onnxq_error *error)
{
    const struct oq_kernels *kernels = oq_kernels_best();
    float *x = oq_recipe_floats(turn->scratch);
    uint8_t *q = turn->scratch; /* free once the floats are read */
    if (!read_tile(turn, tile, x, error))
        return false;
    for (uint64_t i = 0; i < tile->ns; i++) {
        uint64_t at = turn->base + (tile->n + i) * turn->k_all + tile->k;
        struct oq_run run = oq_layout_run(&turn->quantized->ranges->layout, at, (size_t)tile->ks);
        run.count = (size_t)tile->ks; /* one channel, and so one scale */
        run.one_scale = true;
        quantize_run(kernels, turn->quantized, &run, x + i * tile->ks, q + i * tile->ks);
    }
    for (uint64_t row = 0; row < tile->ks; row++)
        scatter_row(turn, tile, row, q);
    return true;
}

static bool quantize_turned(const struct turn *turn, onnxq_error *error)
{
    uint64_t k_end = (turn->first + turn->count - 1) / turn->n_all + 1;
    for (uint64_t k = turn->first / turn->n_all; k < k_end; k += TILE_K) {
        for (uint64_t n = 0; n < turn->n_all; n += TILE_N) {
            struct integer_tile tile = {n, k, oq_min_u64(TILE_N, turn->n_all - n),
                                        oq_min_u64(TILE_K, k_end - k)};
            if (!quantize_tile(turn, &tile, error))
                return false;
        }
    }
    return true;
}

static bool quantize_transposed(const struct oq_quantized *quantized, uint64_t first, size_t count,
                                uint8_t *dst, void *scratch, onnxq_error *error)
{
    const struct oq_source *source = quantized->ranges->source;
    struct turn turn = {.quantized = quantized,
                        .n_all = (uint64_t)source->dims[quantized->n_dims - 2],
                        .k_all = (uint64_t)source->dims[quantized->n_dims - 1],
                        .dst = dst,
                        .scratch = scratch};
    uint64_t matrix = turn.n_all * turn.k_all;
    for (uint64_t left = count; left > 0; left -= turn.count) {
        turn.first = first % matrix;
        turn.base = first - turn.first;
        turn.count = oq_min_u64(left, matrix - turn.first);
        if (!quantize_turned(&turn, error))
            return false;
        first += turn.count;
        turn.dst += turn.count;
    }
    return true;
}

static bool quantize_4_bits(const struct oq_quantized *quantized, uint64_t first, size_t count,
                            uint8_t *dst, void *scratch, onnxq_error *error)
{
    const size_t most = OQ_READ_MAX_NELEM / 2; /* floats; behind them is room for the codes */
    uint8_t *codes = (uint8_t *)(oq_recipe_floats(scratch) + most);
    uint64_t end = oq_min_u64((first + count) * 2, quantized->ranges->source->nelem);
    for (uint64_t at = first * 2, n; at < end; at += n) {
        n = oq_min_u64(end - at, most);
        if (!quantize_in_order(quantized, at, (size_t)n, codes, scratch, error))
            return false;
        oq_pack_4_bits(codes, (size_t)n, dst);
        dst += n / 2;
    }
    return true;
}

static bool produce_quantized(const void *source, uint64_t first, size_t count, uint8_t *dst,
                              void *scratch, onnxq_error *error)
{
    const struct oq_quantized *quantized = source;
    if (quantized->is_wide)
        return produce_wide(quantized, first, count, dst, scratch, error);
    if (quantized->refinement != NULL)
        return oq_produce_refined(quantized, first, count, dst, scratch, error);
    if (quantized->ranges->is_4_bits)
        return quantize_4_bits(quantized, first, count, dst, scratch, error);
    return quantized->transposed ? quantize_transposed(quantized, first, count, dst, scratch, error)
                                 : quantize_in_order(quantized, first, count, dst, scratch, error);
}

struct oq_recipe oq_quantized_recipe(const struct oq_quantized *quantized)
{
    uint64_t nelem = quantized->ranges->source->nelem;
    uint64_t nbytes = nelem;
    if (quantized->is_wide)
        nbytes = nelem * sizeof(int16_t);
    else if (quantized->ranges->is_4_bits)
        nbytes = oq_divide_up_u64(nelem, 2);
    return (struct oq_recipe){nbytes, produce_quantized, quantized};
}
