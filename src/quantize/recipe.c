/*
 * Recipes give any stretch of their result on demand, so that the writer can
 * cut the output into equal pieces wherever they fall.
 */
#include "base/checked.h"
#include "quantize/plan.h"

static float *floats_of(void *scratch)
{
    return (float *)(void *)((char *)scratch + OQ_READ_SCRATCH_NBYTES);
}

static bool read_floats(const struct oq_quantized *quantized, uint64_t first, size_t count,
                        float *dst, void *scratch, onnxq_error *error)
{
    const struct oq_tensor *tensor = quantized->ranges->tensor;
    if (oq_tensor_read_floats(tensor, first, count, dst, scratch, error))
        return true;
    oq_error_place(error, "initializer \"%s\"", tensor->name);
    return false;
}

static void quantize_run(const struct oq_kernels *kernels, const struct oq_quantized *quantized,
                         const struct oq_run *run, const float *x, uint8_t *dst)
{
    const float *scale = quantized->ranges->scale + run->scale;
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
    float *x = floats_of(scratch);
    while (count > 0) {
        size_t part = count < OQ_READ_MAX_NELEM ? count : OQ_READ_MAX_NELEM;
        if (!read_floats(quantized, first, part, x, scratch, error))
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

/*
 * A transposed weight is [N, K] in the model and [K, N] in the result. A tile
 * of TILE_N channels and at most TILE_K elements of each fits the scratch.
 */
#define TILE_N ((uint64_t)64)
#define TILE_K (OQ_READ_MAX_NELEM / 64)

struct tile {
    uint64_t n, k;   /* first channel, first element of each */
    uint64_t ns, ks; /* how many */
};

/* Reads whole channels in one go, else a piece of each. */
static bool read_tile(const struct oq_quantized *quantized, const struct tile *tile, uint64_t k_all,
                      float *x, void *scratch, onnxq_error *error)
{
    if (tile->ks == k_all)
        return read_floats(quantized, tile->n * k_all, (size_t)(tile->ns * k_all), x, scratch,
                           error);
    for (uint64_t i = 0; i < tile->ns; i++)
        if (!read_floats(quantized, (tile->n + i) * k_all + tile->k, (size_t)tile->ks,
                         x + i * tile->ks, scratch, error))
            return false;
    return true;
}

/* Row k of the tile, but only what lies in the result's stretch [first, first + count). */
static void scatter_row(const uint8_t *q, const struct tile *tile, uint64_t row, uint64_t n_all,
                        uint64_t first, size_t count, uint8_t *dst)
{
    uint64_t at = (tile->k + row) * n_all + tile->n;
    uint64_t begin = at < first ? oq_min_u64(first - at, tile->ns) : 0;
    uint64_t end = first + count <= at ? 0 : oq_min_u64(first + count - at, tile->ns);
    for (uint64_t i = begin; i < end; i++)
        dst[at + i - first] = q[i * tile->ks + row];
}

static bool quantize_tile(const struct oq_quantized *quantized, const struct tile *tile,
                          uint64_t first, size_t count, uint8_t *dst, void *scratch,
                          onnxq_error *error)
{
    const struct oq_kernels *kernels = oq_kernels_best();
    const struct oq_layout *layout = &quantized->ranges->layout;
    uint64_t n_all = (uint64_t)quantized->ranges->tensor->dims[0];
    uint64_t k_all = (uint64_t)quantized->ranges->tensor->dims[1];
    float *x = floats_of(scratch);
    uint8_t *q = scratch; /* free once the floats are read */
    if (!read_tile(quantized, tile, k_all, x, scratch, error))
        return false;
    for (uint64_t i = 0; i < tile->ns; i++) {
        struct oq_run run =
            oq_layout_run(layout, (tile->n + i) * k_all + tile->k, (size_t)tile->ks);
        run.count = (size_t)tile->ks;
        run.one_scale = true;
        quantize_run(kernels, quantized, &run, x + i * tile->ks, q + i * tile->ks);
    }
    for (uint64_t row = 0; row < tile->ks; row++)
        scatter_row(q, tile, row, n_all, first, count, dst);
    return true;
}

static bool quantize_transposed(const struct oq_quantized *quantized, uint64_t first, size_t count,
                                uint8_t *dst, void *scratch, onnxq_error *error)
{
    uint64_t n_all = (uint64_t)quantized->ranges->tensor->dims[0];
    uint64_t k_end = (first + count - 1) / n_all + 1;
    for (uint64_t k = first / n_all; k < k_end; k += TILE_K) {
        for (uint64_t n = 0; n < n_all; n += TILE_N) {
            struct tile tile = {n, k, oq_min_u64(TILE_N, n_all - n), oq_min_u64(TILE_K, k_end - k)};
            if (!quantize_tile(quantized, &tile, first, count, dst, scratch, error))
                return false;
        }
    }
    return true;
}

bool oq_recipe_produce(const struct oq_recipe *recipe, uint64_t first, size_t count, uint8_t *dst,
                       void *scratch, onnxq_error *error)
{
    switch (recipe->kind) {
    case OQ_RECIPE_QUANTIZE:
        return recipe->quantized->transposed
                   ? quantize_transposed(recipe->quantized, first, count, dst, scratch, error)
                   : quantize_in_order(recipe->quantized, first, count, dst, scratch, error);
    case OQ_RECIPE_BYTES:
        memcpy(dst, (const char *)recipe->bytes + first, count);
        return true;
    case OQ_RECIPE_COPY:
        return oq_tensor_read_bytes(recipe->tensor, first, count, dst, error);
    }
    return oq_fail(error, ONNXQ_ERROR_INTERNAL, "recipe of kind %d", (int)recipe->kind);
}
