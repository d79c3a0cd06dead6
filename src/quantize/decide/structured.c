/*
 * Matrices that nobody trained: operators of linear algebra, told from their numbers. What they
 * are there for is what is left where large terms take each other away, and that is nothing but
 * what rounding has done to the terms:
 *
 * - sums of each output are zero: differences, graph Laplacians, centering. What all inputs have
 *   in common is to vanish;
 * - symmetric, of both signs: inverse covariances, whitening, stiffness;
 * - orthogonal outputs of unlike size: whitening by principal components, whose small ones are
 *   made as large as the others.
 *
 * No trained weight is any of that by chance.
 */
#include <math.h>

#include "base/checked.h"
#include "quantize/decide/steps.h"

/* Larger ones are read where a first look, or their place, gives reason to. */
#define MAX_READ_NELEM   ((uint64_t)1 << 16)
#define MAX_LOOKED_NELEM ((uint64_t)2 << 20)

/* Rows of a first look. */
#define FIRST_ROWS ((uint64_t)4)

/* Of fewer inputs or outputs, anything may be by chance. */
#define MIN_SIDE ((uint64_t)8)
#define MIN_SUMS ((uint64_t)8)

/*
 * A sum is zero below this part of what it is by chance, the sum of all sizes by the root of their
 * number; and three out of four are: not where the graph has an end.
 */
#define LEAST_SUM 0.01

/* Beside the largest number, or the product of two norms. */
#define LEAST_ASYMMETRY 1e-5f
#define LEAST_COSINE    1e-3

/* So many outputs are compared with each other. */
#define MAX_COMPARED ((uint64_t)64)

/* Orthogonal outputs of like size are a rotation, which 8 bits are good enough for. */
#define LEAST_CONDITION 8.0

/* As stored: matrices one after another; each output is a row, or a column. */
struct matrices {
    uint64_t n, rows, columns;
    bool sums_rows; /* an output is the sum of a row with the inputs */
    bool is_kernel; /* of a convolution: one row for each output, of no two sides */
    bool is_either; /* what is summed up is not known: rows, or columns */
};

static bool find_matrices(const struct oq_site *site, struct matrices *matrices)
{
    const struct oq_source *source = &site->constant->source;
    const bool is_gemm = oq_node_is(site->node, "", "Gemm"), is_left = site->input == 0;
    const bool is_conv = oq_node_is(site->node, "", "Conv") && site->input == 1;
    if (source->n_dims < 2 || source->nelem == 0 || source->nelem > MAX_LOOKED_NELEM)
        return false;
    if (is_conv) { /* all that an output takes is summed up */
        *matrices = (struct matrices){1, (uint64_t)source->dims[0], 0, true, true, false};
        matrices->columns = source->nelem / matrices->rows;
        return source->n_dims > 2 && matrices->columns > 1;
    }
    matrices->is_either = oq_node_is(site->node, "", "Einsum");
    if ((!is_gemm && !oq_node_is(site->node, "", "MatMul") && !matrices->is_either) ||
        site->input > 1)
        return false;
    bool is_turned = is_gemm && oq_node_int(site->node, is_left ? "transA" : "transB", 0) != 0;
    matrices->rows = (uint64_t)source->dims[source->n_dims - 2];
    matrices->columns = (uint64_t)source->dims[source->n_dims - 1];
    matrices->n = source->nelem / (matrices->rows * matrices->columns);
    matrices->sums_rows = (is_left != is_turned) != source->transposed;
    return matrices->rows >= MIN_SIDE && matrices->columns >= MIN_SIDE;
}

static float find_largest(const float *x, uint64_t n)
{
    float largest = 0;
    for (uint64_t i = 0; i < n; i++)
        largest = fmaxf(largest, fabsf(x[i]));
    return largest;
}

static bool is_symmetric_to(const float *x, uint64_t width, uint64_t n, float largest)
{
    for (uint64_t i = 0; i < n; i++)
        for (uint64_t k = 0; k < i; k++)
            if (!(fabsf(x[i * width + k] - x[k * width + i]) <= LEAST_ASYMMETRY * largest))
                return false;
    return true;
}

/* Half of the first rows are zeros, or they mirror the first columns. */
static bool looks_structured(const struct matrices *matrices, const float *x)
{
    uint64_t n = FIRST_ROWS * matrices->columns, zeros = 0;
    for (uint64_t i = 0; i < n; i++)
        zeros += x[i] == 0;
    return 2 * zeros >= n ||
           (matrices->rows == matrices->columns &&
            is_symmetric_to(x, matrices->columns, FIRST_ROWS, find_largest(x, n)));
}

static bool has_both_signs(const float *x, uint64_t n)
{
    bool has_negative = false, has_positive = false;
    for (uint64_t i = 0; i < n; i++) {
        has_negative |= x[i] < 0;
        has_positive |= x[i] > 0;
    }
    return has_negative && has_positive;
}

static bool is_symmetric(const struct matrices *matrices, const float *x)
{
    const uint64_t size = matrices->rows * matrices->columns;
    if (matrices->is_kernel || matrices->rows != matrices->columns ||
        !has_both_signs(x, size * matrices->n))
        return false;
    for (uint64_t i = 0; i < matrices->n; i++, x += size)
        if (!is_symmetric_to(x, matrices->columns, matrices->rows, find_largest(x, size)))
            return false;
    return true;
}

/* The numbers of one output: n, stride apart. */
struct output {
    const float *x;
    uint64_t n, stride;
};

static struct output output_of(const struct matrices *matrices, const float *x, uint64_t i)
{
    if (matrices->sums_rows)
        return (struct output){x + i * matrices->columns, matrices->columns, 1};
    return (struct output){x + i, matrices->rows, matrices->columns};
}

static uint64_t count_outputs(const struct matrices *matrices)
{
    return matrices->sums_rows ? matrices->rows : matrices->columns;
}

/* Zeros are none, and one number has nothing to take it away. */
static void count_sum(const struct output *output, uint64_t *all, uint64_t *zero)
{
    double sum = 0, sizes = 0;
    uint64_t n = 0;
    for (uint64_t i = 0; i < output->n; i++) {
        double x = (double)output->x[i * output->stride];
        sum += x;
        sizes += fabs(x);
        n += x != 0;
    }
    *all += n > 0;
    *zero += n > 1 && fabs(sum) <= LEAST_SUM * sizes / sqrt((double)n);
}

/* Of most weights the first outputs tell that they do not. */
static bool sums_to_zero(const struct matrices *matrices, const float *x)
{
    uint64_t all = 0, zero = 0;
    for (uint64_t i = 0; i < matrices->n; i++, x += matrices->rows * matrices->columns)
        for (uint64_t k = 0; k < count_outputs(matrices); k++) {
            const struct output output = output_of(matrices, x, k);
            count_sum(&output, &all, &zero);
            if (all == 2 * MIN_SUMS && zero < MIN_SUMS)
                return false;
        }
    return all >= MIN_SUMS && 4 * zero >= 3 * all;
}

static double multiply(const struct output *a, const struct output *b)
{
    double sum = 0;
    for (uint64_t i = 0; i < a->n; i++)
        sum += (double)a->x[i * a->stride] * (double)b->x[i * b->stride];
    return sum;
}

/* Evenly spread; most weights have two that are not orthogonal at once. */
static bool is_whitening(const struct matrices *matrices, const float *x)
{
    const uint64_t all = count_outputs(matrices), n = oq_min_u64(all, MAX_COMPARED);
    double squares[MAX_COMPARED], least = INFINITY, most = 0;
    if (matrices->is_kernel || matrices->n > 1)
        return false;
    for (uint64_t i = 0; i < n; i++) {
        const struct output a = output_of(matrices, x, all * i / n);
        squares[i] = multiply(&a, &a);
        least = fmin(least, squares[i]);
        most = fmax(most, squares[i]);
        for (uint64_t k = 0; k < i; k++) {
            const struct output b = output_of(matrices, x, all * k / n);
            if (!(fabs(multiply(&a, &b)) <= LEAST_COSINE * sqrt(squares[i]) * sqrt(squares[k])))
                return false;
        }
    }
    return least > 0 && sqrt(most) > LEAST_CONDITION * sqrt(least);
}

static bool read_elements(const struct oq_source *source, uint64_t n, float *x, void *scratch)
{
    onnxq_error ignored; /* who measures all of it says so */
    for (uint64_t first = 0, some; first < n; first += some) {
        some = oq_min_u64(n - first, OQ_READ_MAX_NELEM);
        if (!oq_source_read_floats(source, first, (size_t)some, x + first, scratch, &ignored))
            return false;
    }
    return true;
}

/* All of it, where that is little or there is reason to; else NULL. */
static float *read_matrices(const struct oq_site *site, const struct matrices *matrices,
                            bool is_first, struct oq_arena *arena, void *scratch)
{
    const struct oq_source *source = &site->constant->source;
    const bool is_large = source->nelem > MAX_READ_NELEM;
    const uint64_t n_first = FIRST_ROWS * matrices->columns;
    float *x;
    if (is_large && matrices->is_kernel)
        return NULL;
    if (is_large && !is_first &&
        ((x = oq_arena_array(arena, (size_t)n_first, sizeof(*x))) == NULL ||
         !read_elements(source, n_first, x, scratch) || !looks_structured(matrices, x)))
        return NULL;
    x = oq_arena_array(arena, (size_t)source->nelem, sizeof(*x));
    return x != NULL && read_elements(source, source->nelem, x, scratch) ? x : NULL;
}

/* Whether both sites see the same matrices, of which the same is asked. */
static bool is_alike(const onnxq_plan *plan, const struct matrices *matrices,
                     const struct oq_site *site, const struct oq_site *before)
{
    struct matrices others = {0};
    return before->structure != NULL && before->rule == site->rule &&
           before->input == site->input && find_matrices(before, &others) &&
           others.n == matrices->n && others.rows == matrices->rows &&
           others.columns == matrices->columns && others.sums_rows == matrices->sums_rows &&
           others.is_kernel == matrices->is_kernel && others.is_either == matrices->is_either &&
           oq_site_is_fed(plan, site) == oq_site_is_fed(plan, before);
}

const char *oq_plan_find_structure(onnxq_plan *plan, struct oq_site *site,
                                   const struct oq_site *before)
{
    struct matrices matrices = {0};
    struct oq_arena arena;
    const char *reason = NULL;
    if (!find_matrices(site, &matrices))
        return NULL;
    if (before != NULL && is_alike(plan, &matrices, site, before)) {
        site->structure = before->structure;
        return site->structure[0] == '\0' ? NULL : site->structure;
    }
    struct oq_read_room *room = oq_plan_read_room(plan);
    if (room == NULL)
        return NULL;
    oq_arena_init(&arena, SIZE_MAX);
    float *x = read_matrices(site, &matrices, oq_site_is_fed(plan, site), &arena, room->scratch);
    plan->arena.failed |= arena.failed;
    if (x != NULL) {
        struct matrices others = matrices;
        others.sums_rows = !matrices.sums_rows;
        if (sums_to_zero(&matrices, x) || (matrices.is_either && sums_to_zero(&others, x)))
            reason = "its sums are zero: large terms take each other away";
        else if (is_symmetric(&matrices, x))
            reason = "symmetric, of both signs: large terms take each other away";
        else if (is_whitening(&matrices, x))
            reason = "its outputs are orthogonal, of unlike size";
    }
    oq_arena_fini(&arena);
    site->structure = reason == NULL ? "" : reason;
    return reason;
}
