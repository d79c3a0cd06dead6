/* The floats of a weight, made when they are written. */
#include "base/checked.h"
#include "dequantize/weight.h"
#include "wire/data_type.h"

/* What the memory of a recipe behind OQ_READ_SCRATCH_NBYTES holds. */
#define TILE_NELEM ((size_t)128 << 10) /* floats */
#define READ_NELEM ((size_t)64 << 10)  /* integers that are read at once */
#define RUN_NELEM  ((size_t)4 << 10)   /* elements that are handled at once, and scales for them */
_Static_assert(RUN_NELEM >= OQ_WEIGHT_MAX_GROUPS, "all blocks of a row at once");
_Static_assert((TILE_NELEM + READ_NELEM + 8 * RUN_NELEM) * 4 <= OQ_READ_MAX_NELEM * sizeof(float),
               "fits the scratch");

/*
 * Scales and zero points are read ahead where little is asked for; the more so in a
 * transposed weight, where it is a few of each row.
 */
#define AHEAD_NELEM            256
#define AHEAD_NELEM_TRANSPOSED RUN_NELEM

/* Some of the numbers that integers share, as floats. */
struct window {
    const struct oq_shared *shared;
    uint64_t first;
    size_t n;
    float *x;
    float *spread; /* a number for each element of a run */
};

struct reader {
    const struct oq_weight *weight;
    void *scratch;
    float *x;        /* TILE_NELEM */
    int32_t *q;      /* READ_NELEM */
    int32_t *shared; /* RUN_NELEM */
    struct window scale, zero_point, factor;
    float *product; /* RUN_NELEM scales times factors */
    onnxq_error *error;
};

static void init_reader(struct reader *reader, const struct oq_weight *weight, void *scratch,
                        onnxq_error *error)
{
    float *x = oq_recipe_floats(scratch), *windows = x + TILE_NELEM + READ_NELEM;
    *reader = (struct reader){
        .weight = weight,
        .scratch = scratch,
        .x = x,
        .q = (int32_t *)(void *)(x + TILE_NELEM),
        .shared = (int32_t *)(void *)(windows + 4 * RUN_NELEM),
        .scale = {&weight->scale, 0, 0, windows, windows + RUN_NELEM},
        .zero_point = {&weight->zero_point, 0, 0, windows + 2 * RUN_NELEM, windows + 3 * RUN_NELEM},
        .factor = {&weight->factor, 0, 0, windows + 5 * RUN_NELEM, windows + 6 * RUN_NELEM},
        .product = windows + 7 * RUN_NELEM,
        .error = error};
}

/* --- scales and zero points --- */

static bool name_tensor(const struct oq_tensor *tensor, onnxq_error *error)
{
    oq_error_place(error, "initializer \"%s\"", tensor->name);
    return false;
}

bool oq_shared_read(const struct oq_shared *shared, uint64_t first, size_t count, float *dst,
                    int32_t *integers, void *scratch, onnxq_error *error)
{
    if (!shared->is_integer)
        return oq_tensor_read_floats(shared->tensor, first, count, dst, scratch, error) ||
               name_tensor(shared->tensor, error);
    if (!oq_tensor_read_integers(shared->tensor, shared->type, first, count, integers, scratch,
                                 error))
        return name_tensor(shared->tensor, error);
    for (size_t i = 0; i < count; i++)
        dst[i] = (float)integers[i];
    return true;
}

/* Numbers [first, first + n), n <= RUN_NELEM. */
static const float *look(struct reader *reader, struct window *window, uint64_t first, size_t n)
{
    const struct oq_shared *shared = window->shared;
    if (first < window->first || first + n > window->first + window->n) {
        size_t ahead = reader->weight->transposed ? AHEAD_NELEM_TRANSPOSED : AHEAD_NELEM;
        size_t more = n < ahead ? ahead : n;
        window->first = first;
        window->n = (size_t)oq_min_u64(more, shared->nelem - first);
        if (!oq_shared_read(shared, first, window->n, window->x, reader->shared, reader->scratch,
                            reader->error))
            return NULL;
    }
    return window->x + (first - window->first);
}

/* Number base + (k + i) / block for element i. */
static const float *spread_blocks(struct reader *reader, struct window *window, uint64_t base,
                                  uint64_t k, uint64_t block, size_t n)
{
    const uint64_t first = k / block, count = (k + n - 1) / block - first + 1;
    const float *x = look(reader, window, base + first, (size_t)count);
    if (x == NULL)
        return NULL;
    for (size_t i = 0, end; i < n; i = end, x++) {
        end = (size_t)oq_min_u64(n, i + (block - (k + i) % block));
        for (size_t j = i; j < end; j++)
            window->spread[j] = *x;
    }
    return window->spread;
}

/* Number base + groups[i] for element i. */
static const float *spread_groups(struct reader *reader, struct window *window, uint64_t base,
                                  const int32_t *groups, size_t n)
{
    const float *x = look(reader, window, base, (size_t)reader->weight->n_groups);
    for (size_t i = 0; x != NULL && i < n; i++)
        window->spread[i] = x[groups[i]];
    return x == NULL ? NULL : window->spread;
}

/*
 * The numbers of elements [k, k + n) along the last axis, n <= RUN_NELEM, where
 * the other axes lead to number `base` (blocks that know no axes: element):
 * one for all (*step 0), or one for each.
 */
static const float *look_along(struct reader *reader, struct window *window, uint64_t base,
                               uint64_t k, size_t n, size_t *step)
{
    const struct oq_shared *shared = window->shared;
    const struct oq_weight *weight = reader->weight;
    const size_t last = weight->n_axes - 1;
    *step = 0;
    if (shared->tensor == NULL)
        return &shared->value;
    if (shared->flat_block == 0 && shared->stride[last] == 0)
        return look(reader, window, base, 1);
    *step = 1;
    if (weight->groups != NULL)
        return spread_groups(reader, window, base, weight->groups + k, n);
    if (shared->flat_block != 0)
        return spread_blocks(reader, window, 0, base + k, shared->flat_block, n);
    if (shared->block[last] != 1)
        return spread_blocks(reader, window, base, k, shared->block[last], n);
    return look(reader, window, base + k, n);
}

/* --- elements in the order in which they are stored --- */

static uint64_t base_of(const struct oq_weight *weight, const struct oq_shared *shared,
                        uint64_t row)
{
    uint64_t base = 0;
    if (shared->flat_block != 0)
        return row * weight->sizes[weight->n_axes - 1];
    for (size_t i = weight->n_axes - 1; i-- > 0; row /= weight->sizes[i])
        base += row % weight->sizes[i] / shared->block[i] * shared->stride[i];
    return base;
}

/* The scales of elements [k, k + n) of a row, as look_along() has them. */
static const float *look_at_scales(struct reader *reader, uint64_t row, uint64_t k, size_t n,
                                   size_t *step)
{
    const struct oq_weight *weight = reader->weight;
    size_t factor_step;
    const float *scale =
        look_along(reader, &reader->scale, base_of(weight, &weight->scale, row), k, n, step);
    if (scale == NULL || weight->factor.tensor == NULL)
        return scale;
    const float *factor = look_along(reader, &reader->factor, base_of(weight, &weight->factor, row),
                                     k, n, &factor_step);
    if (factor == NULL)
        return NULL;
    for (size_t i = 0; i < n; i++)
        reader->product[i] = scale[i * *step] * factor[i * factor_step];
    *step = 1;
    return reader->product;
}

/* Elements [k, k + n) of a row, from their integers. */
static bool dequantize_row(struct reader *reader, uint64_t row, uint64_t k, size_t n,
                           const int32_t *q, float *dst)
{
    const struct oq_weight *weight = reader->weight;
    const uint64_t zero_point_base = base_of(weight, &weight->zero_point, row);
    for (size_t done = 0, part; done < n; done += part) {
        part = n - done < RUN_NELEM ? n - done : RUN_NELEM;
        size_t scale_step, zero_point_step;
        const float *scale = look_at_scales(reader, row, k + done, part, &scale_step);
        const float *zero_point = look_along(reader, &reader->zero_point, zero_point_base, k + done,
                                             part, &zero_point_step);
        if (scale == NULL || zero_point == NULL)
            return false;
        oq_dequantize_run(q + done, part, weight->table, zero_point, zero_point_step, scale,
                          scale_step, dst + done);
    }
    return true;
}

static bool read_integers(struct reader *reader, uint64_t first, size_t n)
{
    const struct oq_weight *weight = reader->weight;
    return oq_tensor_read_integers(weight->values, weight->type, first, n, reader->q,
                                   reader->scratch, reader->error) ||
           name_tensor(weight->values, reader->error);
}

/* Elements [first, first + n), counted without what lies between rows; n <= READ_NELEM. */
static bool dequantize(struct reader *reader, uint64_t first, size_t n, float *dst)
{
    const struct oq_weight *weight = reader->weight;
    const uint64_t size = weight->sizes[weight->n_axes - 1];
    const bool is_dense = weight->pitch == size;
    if (is_dense && !read_integers(reader, first, n))
        return false;
    for (size_t done = 0, part; done < n; done += part) {
        uint64_t row = (first + done) / size, k = (first + done) % size;
        part = (size_t)oq_min_u64(n - done, size - k);
        if (!is_dense && !read_integers(reader, row * weight->pitch + k, part))
            return false;
        if (!dequantize_row(reader, row, k, part, reader->q + (is_dense ? done : 0), dst + done))
            return false;
    }
    return true;
}

/* --- bytes --- */

static size_t width_of(const struct oq_weight *weight)
{
    return oq_dtype_find(weight->data_type)->nbits / 8;
}

/* The floats as data_type: themselves, or in the part of the scratch that reading has used. */
static const uint8_t *narrow(const struct reader *reader, size_t n)
{
    switch (reader->weight->data_type) {
    case OQ_TYPE(FLOAT16):
        oq_convert_to_half(reader->x, n, reader->scratch);
        return reader->scratch;
    case OQ_TYPE(BFLOAT16):
        oq_convert_to_bfloat16(reader->x, n, reader->scratch);
        return reader->scratch;
    case OQ_TYPE(DOUBLE):
        oq_convert_to_double(reader->x, n, reader->scratch);
        return reader->scratch;
    default:
        return (const uint8_t *)reader->x;
    }
}

/* A stretch of bytes of the result, which may start and end inside an element. */
struct stretch {
    uint64_t first, end;
    uint8_t *dst;
    size_t width;
};

/* Copies n elements that lie at element `at` of the result, as far as the stretch has them. */
static void put(const struct stretch *stretch, uint64_t at, size_t n, const uint8_t *src)
{
    const uint64_t begin = at * stretch->width, end = (at + n) * stretch->width;
    const uint64_t from = oq_max_u64(begin, stretch->first), to = oq_min_u64(end, stretch->end);
    if (from < to)
        memcpy(stretch->dst + (from - stretch->first), src + (from - begin), (size_t)(to - from));
}

static bool produce_in_order(struct reader *reader, const struct stretch *stretch)
{
    const uint64_t end = (stretch->end - 1) / stretch->width + 1;
    for (uint64_t at = stretch->first / stretch->width; at < end; at += READ_NELEM) {
        const size_t n = (size_t)oq_min_u64(READ_NELEM, end - at);
        if (!dequantize(reader, at, n, reader->x))
            return false;
        put(stretch, at, n, narrow(reader, n));
    }
    return true;
}

/*
 * A transposed weight is stored as [.., N, K] and comes out as [.., K, N]. A tile
 * has TILE_N rows and at most TILE_K elements of each.
 */
#define TILE_N ((uint64_t)64)
#define TILE_K (TILE_NELEM / 64)

struct float_tile {
    uint64_t matrix, n, k, ns, ks;
};

static void put_tile(const struct reader *reader, const struct stretch *stretch,
                     const struct float_tile *tile)
{
    const struct oq_weight *weight = reader->weight;
    const uint64_t n_all = weight->sizes[weight->n_axes - 2];
    const uint64_t k_all = weight->sizes[weight->n_axes - 1];
    const uint8_t *src = narrow(reader, (size_t)(tile->ns * tile->ks));
    const size_t width = stretch->width;
    for (uint64_t k = 0; k < tile->ks; k++) {
        uint8_t row[64 * 8];
        for (uint64_t n = 0; n < tile->ns; n++) {
            const uint8_t *element = src + (n * tile->ks + k) * width;
            if (width == 4)
                memcpy(row + n * 4, element, 4);
            else if (width == 2)
                memcpy(row + n * 2, element, 2);
            else
                memcpy(row + n * 8, element, 8);
        }
        put(stretch, (tile->matrix * k_all + tile->k + k) * n_all + tile->n, (size_t)tile->ns, row);
    }
}

static bool produce_tile(struct reader *reader, const struct stretch *stretch,
                         const struct float_tile *tile)
{
    const struct oq_weight *weight = reader->weight;
    const uint64_t n_all = weight->sizes[weight->n_axes - 2];
    const uint64_t k_all = weight->sizes[weight->n_axes - 1];
    for (uint64_t n = 0; n < tile->ns; n++) {
        uint64_t row = tile->matrix * n_all + tile->n + n;
        if (!dequantize(reader, row * k_all + tile->k, (size_t)tile->ks, reader->x + n * tile->ks))
            return false;
    }
    put_tile(reader, stretch, tile);
    return true;
}

/* The part of the result that lies in one matrix: elements [begin, end) of it. */
static bool produce_matrix(struct reader *reader, const struct stretch *stretch, uint64_t matrix,
                           uint64_t begin, uint64_t end)
{
    const uint64_t n_all = reader->weight->sizes[reader->weight->n_axes - 2];
    const uint64_t k_end = (end - 1) / n_all + 1;
    /* Inside one row, only the columns that are asked for. */
    const bool one_row = begin / n_all == k_end - 1;
    const uint64_t n_begin = one_row ? begin % n_all : 0;
    const uint64_t n_end = one_row ? (end - 1) % n_all + 1 : n_all;
    for (uint64_t k = begin / n_all; k < k_end; k += TILE_K) {
        for (uint64_t n = n_begin; n < n_end; n += TILE_N) {
            const struct float_tile tile = {matrix, n, k, oq_min_u64(TILE_N, n_end - n),
                                            oq_min_u64(TILE_K, k_end - k)};
            if (!produce_tile(reader, stretch, &tile))
                return false;
        }
    }
    return true;
}

static bool produce_transposed(struct reader *reader, const struct stretch *stretch)
{
    const struct oq_weight *weight = reader->weight;
    const uint64_t matrix = weight->sizes[weight->n_axes - 2] * weight->sizes[weight->n_axes - 1];
    const uint64_t end = (stretch->end - 1) / stretch->width + 1;
    for (uint64_t at = stretch->first / stretch->width, part; at < end; at += part) {
        part = oq_min_u64(end - at, matrix - at % matrix);
        if (!produce_matrix(reader, stretch, at / matrix, at % matrix, at % matrix + part))
            return false;
    }
    return true;
}

static bool produce(const void *source, uint64_t first, size_t count, uint8_t *dst, void *scratch,
                    onnxq_error *error)
{
    const struct oq_weight *weight = source;
    const struct stretch stretch = {first, first + count, dst, width_of(weight)};
    struct reader reader;
    if (count == 0)
        return true;
    init_reader(&reader, weight, scratch, error);
    return weight->transposed ? produce_transposed(&reader, &stretch)
                              : produce_in_order(&reader, &stretch);
}

struct oq_recipe oq_weight_recipe(const struct oq_weight *weight)
{
    return (struct oq_recipe){weight->nelem * width_of(weight), produce, weight};
}
