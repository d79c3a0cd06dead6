/* The ways in which a weight in blocks can be rounded for its activations, and which is best. */
#include "quantize/numbers/gptq.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "quantize/numbers/scale.h"

#define MAX_CODE 15.0f
#define MIDDLE   8.0f /* the zero point of what has none */

/*
 * How much of the mean square of activations counts as seen of each input besides: the less there
 * was to see, the more of it keeps rounding from following chance.
 */
static const float dampings[] = {0.01f, 0.1f, 1.0f};

/*
 * Parts of the scale that covers a block which are tried: smaller steps, and what is large is cut
 * off. Normally distributed blocks of 32 to 256 gain nothing by more of them, nor by finer ones.
 */
static const float steps[] = {1.0f, 0.93f, 0.86f, 0.79f};

void oq_add_products(float *sums, const float *x, size_t rows, size_t n)
{
    float factors[OQ_PRODUCTS_AT_ONCE];
    for (size_t i = 0; i < n; i++) {
        for (size_t r = 0; r < rows; r++)
            factors[r] = x[r * n + i];
        oq_kernels_best()->add_rows(sums + i * n, i + 1, x, rows, n, factors);
    }
}

/* Row by row from the last one: L[i] = (H[i] - sum of L[m, i] * L[m] below) / L[i, i]. */
bool oq_factor_products(float *h, size_t n, float damping)
{
    const struct oq_kernels *kernels = oq_kernels_best();
    float *factors = calloc(n + 1, sizeof(*factors));
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)h[i * n + i];
    const float added = damping * (float)(sum / (double)n);
    bool ok = factors != NULL && isfinite(sum);
    for (size_t left = n; ok && left > 0; left--) {
        const size_t i = left - 1;
        float *row = h + i * n;
        for (size_t m = i + 1; m < n; m++)
            factors[m] = -h[m * n + i];
        row[i] += added;
        kernels->add_rows(row, i + 1, row + n, n - 1 - i, n, factors + i + 1);
        ok = row[i] > 0;
        const float root = sqrtf(ok ? row[i] : 1);
        for (size_t j = 0; j < i; j++)
            row[j] /= root;
        row[i] = root;
    }
    free(factors);
    return ok;
}

/* --- one way --- */

/* What all ways share; each has its own codes, scales and zero points. */
struct rounder {
    const struct oq_rounding_problem *problem;
    float *factor;  /* L, [n_inputs, n_inputs] */
    float *left;    /* weight less what integers make of it, [n_inputs, n_outputs] */
    float *targets; /* of a block, [block_size, n_outputs] */
    float *factors; /* [n_inputs] */
    float *sums;    /* [n_outputs] */
    float *products, *squares, *gains; /* [n_outputs] */
};

static float code_of(float x, float scale, float zero_point)
{
    return fminf(fmaxf(rintf(x / scale) + zero_point, 0), MAX_CODE);
}

/* The scale that covers a block's column, as blocks.c has it. */
static void cover(const struct rounder *rounder, size_t rows, size_t column, float *scale,
                  uint8_t *zero_point)
{
    const size_t n = rounder->problem->n_outputs;
    float lo = 0, hi = 0, zero = MIDDLE;
    for (size_t r = 0; r < rows; r++) {
        lo = fminf(lo, rounder->targets[r * n + column]);
        hi = fmaxf(hi, rounder->targets[r * n + column]);
    }
    if (rounder->problem->symmetric)
        *scale = oq_finite_scale((-lo >= hi ? lo : hi) / -MIDDLE, MIDDLE, FLT_MAX);
    else
        *scale = oq_asymmetric_scale((double)lo, (double)hi, MAX_CODE, FLT_MAX);
    if (!oq_is_usable_scale(*scale))
        *scale = OQ_SCALE_OF_ZEROS;
    if (!rounder->problem->symmetric)
        zero = fminf(fmaxf(rintf(-lo / *scale), 0), MAX_CODE);
    *zero_point = (uint8_t)zero;
}

/* Sums for integers that are found with one of the steps, a row at a time. */
static void add_step(const struct rounder *rounder, size_t first, size_t rows, float step,
                     const float *scale, const uint8_t *zero_point)
{
    const struct oq_rounding_problem *problem = rounder->problem;
    const size_t n = problem->n_outputs;
    memset(rounder->products, 0, n * sizeof(float));
    memset(rounder->squares, 0, n * sizeof(float));
    for (size_t r = 0; r < rows; r++) {
        const size_t input = first + r;
        const float *target = rounder->targets + r * n;
        const float weight = problem->seen[input * problem->n_inputs + input];
        for (size_t j = 0; j < n; j++) {
            const float zero = (float)zero_point[j];
            const float code = code_of(target[j], scale[j] * step, zero) - zero;
            rounder->products[j] += weight * code * (target[j] / scale[j]);
            rounder->squares[j] += weight * code * code;
        }
    }
}

/* For the integers of each step the scale that suits them best (least squares); never a larger one.
 */
static void fit(const struct rounder *rounder, size_t first, size_t rows, float *scale,
                const uint8_t *zero_point)
{
    const size_t n = rounder->problem->n_outputs;
    float *part = rounder->sums;
    for (size_t j = 0; j < n; j++) {
        rounder->gains[j] = 0;
        part[j] = 1;
    }
    for (size_t s = 0; s < sizeof(steps) / sizeof(steps[0]); s++) {
        add_step(rounder, first, rows, steps[s], scale, zero_point);
        for (size_t j = 0; j < n; j++) {
            const float products = rounder->products[j], squares = rounder->squares[j];
            if (!(products > 0 && squares > 0) ||
                !(products / squares * products > rounder->gains[j]))
                continue;
            rounder->gains[j] = products / squares * products;
            part[j] = fminf(products / squares, 1);
        }
    }
    for (size_t j = 0; j < n; j++)
        if (oq_is_usable_scale(scale[j] * part[j]))
            scale[j] *= part[j];
}

/* Row `input` and what of earlier rows [first, end) it is to make up for. */
static void take_over(const struct rounder *rounder, float *target, size_t input, size_t first,
                      size_t end)
{
    const size_t n = rounder->problem->n_outputs;
    const float *row = rounder->factor + input * rounder->problem->n_inputs;
    for (size_t k = first; k < end; k++)
        rounder->factors[k] = row[k] / row[input];
    oq_kernels_best()->add_rows(target, n, rounder->left + first * n, end - first, n,
                                rounder->factors + first);
}

static void round_row(const struct rounder *rounder, size_t input, const float *target,
                      const float *scale, const uint8_t *zero_point, uint8_t *codes)
{
    const size_t n = rounder->problem->n_outputs;
    const float *weight = rounder->problem->weight + input * n;
    float *left = rounder->left + input * n;
    for (size_t j = 0; j < n; j++) {
        const float zero = (float)zero_point[j];
        const float code = code_of(target[j], scale[j], zero);
        codes[j] = (uint8_t)code;
        left[j] = weight[j] - (code - zero) * scale[j];
    }
}

/* Scales are those of what the rows are to be once earlier blocks are made up for. */
static void round_block(const struct rounder *rounder, size_t block, bool is_fitted, bool follows,
                        struct oq_rounded_blocks *rounded)
{
    const struct oq_rounding_problem *problem = rounder->problem;
    const size_t n = problem->n_outputs, size = problem->block_size, first = block * size;
    const size_t rows = problem->n_inputs - first < size ? problem->n_inputs - first : size;
    float *scale = rounded->scale + block * n;
    uint8_t *zero_point = rounded->zero_point + block * n;
    memcpy(rounder->targets, problem->weight + first * n, rows * n * sizeof(float));
    for (size_t r = 0; follows && r < rows; r++)
        take_over(rounder, rounder->targets + r * n, first + r, 0, first);
    for (size_t j = 0; j < n; j++)
        cover(rounder, rows, j, &scale[j], &zero_point[j]);
    if (is_fitted)
        fit(rounder, first, rows, scale, zero_point);
    for (size_t r = 0; r < rows; r++) {
        if (follows)
            take_over(rounder, rounder->targets + r * n, first + r, first, first + r);
        round_row(rounder, first + r, rounder->targets + r * n, scale, zero_point,
                  rounded->codes + (first + r) * n);
    }
}

/* The squares that are left of products with what was held back: sum of d' H d over the outputs. */
static double measure(const struct rounder *rounder)
{
    const struct oq_rounding_problem *problem = rounder->problem;
    const size_t n = problem->n_outputs;
    double error = 0;
    for (size_t i = 0; i < problem->n_inputs; i++) {
        const float *h = problem->held + i * problem->n_inputs, *left = rounder->left + i * n;
        memset(rounder->sums, 0, n * sizeof(float));
        oq_kernels_best()->add_rows(rounder->sums, n, rounder->left, i, n, h);
        for (size_t j = 0; j < n; j++)
            error +=
                (double)left[j] * (2 * (double)rounder->sums[j] + (double)h[i] * (double)left[j]);
    }
    return error;
}

/* --- the best --- */

static bool allocate(const struct oq_rounding_problem *problem, struct oq_rounded_blocks *rounded)
{
    const size_t n_scales = oq_rounding_n_blocks(problem) * problem->n_outputs;
    *rounded =
        (struct oq_rounded_blocks){.left = 1,
                                   .codes = malloc(problem->n_inputs * problem->n_outputs + 1),
                                   .scale = malloc((n_scales + 1) * sizeof(float)),
                                   .zero_point = malloc(n_scales + 1)};
    return rounded->codes != NULL && rounded->scale != NULL && rounded->zero_point != NULL;
}

void oq_rounded_blocks_fini(struct oq_rounded_blocks *rounded)
{
    free(rounded->codes);
    free(rounded->scale);
    free(rounded->zero_point);
}

static bool init_rounder(struct rounder *rounder, const struct oq_rounding_problem *problem)
{
    const size_t k = problem->n_inputs, n = problem->n_outputs;
    *rounder = (struct rounder){.problem = problem,
                                .factor = malloc((k * k + 1) * sizeof(float)),
                                .left = malloc((k * n + 1) * sizeof(float)),
                                .targets = malloc((problem->block_size * n + 1) * sizeof(float)),
                                .factors = malloc((k + 1) * sizeof(float)),
                                .sums = malloc((4 * n + 1) * sizeof(float))};
    if (rounder->factor == NULL || rounder->left == NULL || rounder->targets == NULL ||
        rounder->factors == NULL || rounder->sums == NULL)
        return false;
    rounder->products = rounder->sums + n;
    rounder->squares = rounder->products + n;
    rounder->gains = rounder->squares + n;
    return true;
}

static void fini_rounder(const struct rounder *rounder)
{
    free(rounder->factor);
    free(rounder->left);
    free(rounder->targets);
    free(rounder->factors);
    free(rounder->sums);
}

/* Tries a way in `spare`, which becomes `best` where it is better, or the first; the least error.
 */
static double try_way(const struct rounder *rounder, enum oq_rounding_way way, bool is_fitted,
                      double least, struct oq_rounded_blocks *best, struct oq_rounded_blocks *spare)
{
    for (size_t b = 0; b < oq_rounding_n_blocks(rounder->problem); b++)
        round_block(rounder, b, is_fitted, way == OQ_ROUND_GPTQ, spare);
    const double error = measure(rounder);
    if (way != OQ_ROUND_NEAREST && !(error < least))
        return least;
    const struct oq_rounded_blocks before = *best;
    *best = *spare;
    *spare = before;
    best->way = way;
    return error;
}

static void try_all(const struct rounder *rounder, struct oq_rounded_blocks *best,
                    struct oq_rounded_blocks *spare)
{
    const struct oq_rounding_problem *problem = rounder->problem;
    const double nearest = try_way(rounder, OQ_ROUND_NEAREST, false, INFINITY, best, spare);
    double least = try_way(rounder, OQ_ROUND_FITTED, true, nearest, best, spare);
    const bool is_fitted = least < nearest;
    for (size_t i = 0; i < sizeof(dampings) / sizeof(dampings[0]); i++) {
        memcpy(rounder->factor, problem->seen,
               problem->n_inputs * problem->n_inputs * sizeof(float));
        if (oq_factor_products(rounder->factor, problem->n_inputs, dampings[i]))
            least = try_way(rounder, OQ_ROUND_GPTQ, is_fitted, least, best, spare);
    }
    best->left = nearest > 0 ? least / nearest : 1;
}

bool oq_round_blocks(const struct oq_rounding_problem *problem, struct oq_rounded_blocks *rounded)
{
    struct rounder rounder;
    struct oq_rounded_blocks spare;
    bool ok = init_rounder(&rounder, problem);
    ok = allocate(problem, rounded) && ok;
    ok = allocate(problem, &spare) && ok;
    if (ok)
        try_all(&rounder, rounded, &spare);
    oq_rounded_blocks_fini(&spare);
    fini_rounder(&rounder);
    return ok;
}
