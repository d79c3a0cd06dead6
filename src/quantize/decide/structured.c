/*
 * Matrices that nobody trained: operators of linear algebra, told from their numbers. What they
 * are there for is what is left where large terms take each other away, and that is nothing but
 * what rounding has done to the terms:
 *
 * - sums of each output are zero: differences, graph Laplacians, centering. What all inputs have
 *   in common is to vanish; or they are all the same: it is to pass as it is;
 * - nothing is negative, and rows or columns sum up to one: interpolation, smoothing, transitions;
 * - one number of each output hides the others: steps of time (I + dt A), transitions that mostly
 *   stay, filters that are one less something. What they do is in the others;
 * - symmetric, of both signs: inverse covariances, whitening, stiffness;
 * - orthogonal outputs of unlike size: whitening by principal components, whose small ones are
 *   made as large as the others.
 *
 * No trained weight is any of that by chance. Nor has one as few inputs as points, colours and
 * poses have numbers, or it is small; and few outputs cost as little in 16 bits.
 */
#include <float.h>
#include <math.h>

#include "base/checked.h"
#include "quantize/decide/steps.h"
#include "quantize/decide/view.h"

/* Larger ones are read where a first look, or their place, gives reason to. */
#define MAX_READ_NELEM   ((uint64_t)1 << 16)
#define MAX_LOOKED_NELEM ((uint64_t)2 << 20)

/* Rows of a first look. */
#define FIRST_ROWS ((uint64_t)4)

/* Of fewer inputs or outputs, anything may be by chance. */
#define MIN_SIDE ((uint64_t)5)
#define MIN_SUMS ((uint64_t)5)

/*
 * A sum is zero below this part of what it is by chance, the sum of all sizes by the root of their
 * number; and three out of four are: not where the graph has an end.
 */
#define LEAST_SUM 0.01

/* Beside the largest number, or the product of two norms. */
#define LEAST_ASYMMETRY 1e-5f
#define LEAST_COSINE    1e-3

/* Beside one. */
#define LEAST_EXCESS 1e-3

/*
 * Steps of 8 bits that what is beside the largest number typically has: of trained weights, above
 * 23 in half of their outputs (docs/decisions.md). And such that 16 bits are coarse as well.
 */
#define LEAST_STEPS_BESIDE 6.0
#define LEAST_FOR_16_BITS  0.25
#define MIN_BESIDE         8 /* numbers: of fewer one may be as large by chance */
#define FIRST_OUTPUTS      ((uint64_t)16)

/* Homogeneous coordinates have as many numbers; and of as few outputs, up to 16 KB more. */
#define MAX_FEW       ((uint64_t)4)
#define MAX_FEW_NELEM ((uint64_t)1 << 14)

/* Smaller ones are rounded for who asks for it. */
#define MIN_FEW_NELEM ((uint64_t)1 << 10)

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
    bool is_table;  /* matrices that are looked up */
};

static bool find_matrices(const struct oq_site *site, struct matrices *matrices)
{
    const struct oq_source *source = &site->constant->source;
    struct oq_sides sides;
    const bool is_conv = oq_node_is(site->node, "", "Conv") && site->input == 1;
    if (source->n_dims < 2 || source->nelem == 0)
        return false;
    if (is_conv) { /* all that an output takes is summed up */
        *matrices = (struct matrices){1, (uint64_t)source->dims[0], 0, true, true, false, false};
        matrices->columns = source->nelem / matrices->rows;
        return source->n_dims > 2 && matrices->columns > 1;
    }
    const bool is_product = oq_sides_find(site, &sides) && sides.is_matrix;
    matrices->is_either = !is_product && oq_node_is(site->node, "", "Einsum");
    matrices->is_table = oq_node_is(site->node, "", "Gather") && source->n_dims > 2;
    if ((!is_product && !matrices->is_either && !matrices->is_table) || site->input > 1)
        return false;
    matrices->rows = (uint64_t)source->dims[source->n_dims - 2];
    matrices->columns = (uint64_t)source->dims[source->n_dims - 1];
    matrices->n = source->nelem / (matrices->rows * matrices->columns);
    matrices->sums_rows = (is_product ? sides.is_turned : site->input == 0) != source->transposed;
    return true;
}

/* Joined ones are stored one by one, and a second run sees no more than those that were kept. */
static bool is_of_one_tensor(const struct oq_source *source)
{
    for (size_t i = 1; i < source->n_spans; i++)
        if (source->spans[i].tensor != source->spans[0].tensor)
            return false;
    return true;
}

/* Points on the one side of a product, or a weight that is next to nothing. */
static const char *judge_sizes(const struct matrices *matrices, const struct oq_source *source,
                               bool *is_float)
{
    const uint64_t n_inputs = matrices->sums_rows ? matrices->columns : matrices->rows;
    const uint64_t n_outputs = matrices->sums_rows ? matrices->rows : matrices->columns;
    *is_float = n_inputs > 1 && n_inputs <= MAX_FEW;
    const uint64_t nelem = matrices->n * n_inputs * n_outputs;
    if (matrices->is_kernel || matrices->is_either || matrices->is_table || nelem < MIN_FEW_NELEM)
        return NULL;
    if (*is_float)
        return "of so few inputs as points have numbers: one scale for all would lose some";
    return n_outputs <= MAX_FEW && nelem <= MAX_FEW_NELEM && is_of_one_tensor(source)
               ? "of so few outputs that finer steps cost nothing"
               : NULL;
}

/* Large enough to be none by chance, and no larger than what is read. */
static bool can_tell(const struct oq_site *site, const struct matrices *matrices)
{
    return site->constant->source.nelem <= MAX_LOOKED_NELEM &&
           (matrices->is_kernel || (matrices->rows >= MIN_SIDE && matrices->columns >= MIN_SIDE));
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

/* Of all matrices. */
static uint64_t count_outputs(const struct matrices *matrices)
{
    return matrices->n * (matrices->sums_rows ? matrices->rows : matrices->columns);
}

static struct output output_of(const struct matrices *matrices, const float *x, uint64_t i)
{
    if (matrices->sums_rows)
        return (struct output){x + i * matrices->columns, matrices->columns, 1};
    x += i / matrices->columns * matrices->rows * matrices->columns;
    return (struct output){x + i % matrices->columns, matrices->rows, matrices->columns};
}

/* Of an output, and of its numbers by chance. */
struct sum {
    double sum, chance, chance_beside; /* the largest, which may be the same in all outputs */
    bool is_of_unlike;
};

/* Zeros are none, and one number has nothing to take it away; as large as another, or zero. */
static void count_sum(const struct output *output, struct sum *before, uint64_t *all,
                      uint64_t *equal)
{
    double sizes = 0, least = INFINITY, most = 0;
    struct sum own = {0};
    uint64_t n = 0;
    for (uint64_t i = 0; i < output->n; i++) {
        double x = (double)output->x[i * output->stride], size = fabs(x);
        own.sum += x;
        sizes += size;
        n += x != 0;
        least = x != 0 ? fmin(least, size) : least;
        most = fmax(most, size);
    }
    own.chance = LEAST_SUM * sizes / sqrt((double)n);
    own.chance_beside = LEAST_SUM * (sizes - most) / sqrt((double)n);
    own.is_of_unlike = most > 2 * least; /* others are an offset, which is as large anywhere */
    *all += n > 0;
    *equal += n > 1 && (fabs(own.sum) <= own.chance ||
                        (own.is_of_unlike && fabs(own.sum - before->sum) <= own.chance_beside));
    *before = own;
}

/* To zero, or one as the next. Of most weights the first outputs tell that they do not. */
static bool has_equal_sums(const struct matrices *matrices, const float *x)
{
    uint64_t all = 0, equal = 0;
    struct sum before = {.sum = NAN};
    for (uint64_t i = 0; i < count_outputs(matrices); i++) {
        const struct output output = output_of(matrices, x, i);
        count_sum(&output, &before, &all, &equal);
        if (all == FIRST_OUTPUTS && 2 * equal < FIRST_OUTPUTS)
            return false;
    }
    return all >= MIN_SUMS && 4 * equal >= 3 * all;
}

/* Typical of what an output has beside its largest number, by their part of the sum. */
static double count_steps_beside(const struct output *output)
{
    double largest = 0, sum = 0, squares = 0;
    for (uint64_t i = 0; i < output->n; i++) {
        double size = fabs((double)output->x[i * output->stride]), other = fmin(size, largest);
        largest = fmax(size, largest);
        sum += other;
        squares += other * other;
    }
    if (output->n < MIN_BESIDE || !(sum > largest * (double)FLT_EPSILON))
        return INFINITY;
    return squares / sum / largest * INT8_MAX;
}

/* In half of the outputs; *is_float: 16 bits would not do. */
static bool is_hidden(const struct matrices *matrices, const float *x, bool *is_float)
{
    uint64_t all = 0, hidden = 0, beyond = 0;
    for (uint64_t i = 0; i < count_outputs(matrices); i++) {
        const struct output output = output_of(matrices, x, i);
        const double steps = count_steps_beside(&output);
        all += isfinite(steps) ? 1 : 0;
        hidden += steps < LEAST_STEPS_BESIDE;
        beyond += steps < LEAST_FOR_16_BITS;
        if (all == FIRST_OUTPUTS && 4 * hidden < FIRST_OUTPUTS)
            return false;
    }
    *is_float = 4 * beyond > all;
    return all > 0 && 2 * hidden >= all;
}

static bool is_negative_in(const float *x, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (!(x[i] >= 0))
            return true;
    return false;
}

static void count_ones(const struct matrices *matrices, const float *x, uint64_t *all,
                       uint64_t *ones)
{
    for (uint64_t i = 0; i < count_outputs(matrices); i++) {
        const struct output output = output_of(matrices, x, i);
        double sum = 0;
        uint64_t n = 0;
        for (uint64_t j = 0; j < output.n; j++) {
            sum += (double)output.x[j * output.stride];
            n += output.x[j * output.stride] != 0;
        }
        *all += n > 1; /* one is as it is */
        *ones += n > 1 && fabs(sum - 1) <= LEAST_EXCESS;
    }
}

/* Rows or columns do: what goes in is mixed, or what comes out. */
static bool sums_to_one(const struct matrices *matrices, const float *x)
{
    struct matrices others = *matrices;
    if (is_negative_in(x, matrices->n * matrices->rows * matrices->columns))
        return false;
    for (unsigned i = 0; i < (matrices->is_kernel ? 1 : 2); i++) {
        uint64_t all = 0, ones = 0;
        count_ones(&others, x, &all, &ones);
        if (all >= MIN_SUMS && 4 * ones >= 3 * all)
            return true;
        others.sums_rows = !others.sums_rows;
    }
    return false;
}

/*
 * Half of the first rows are zeros, nothing is negative, one number of a row hides the others, or
 * they mirror the first columns.
 */
static bool looks_structured(const struct matrices *matrices, const float *x, uint64_t n_rows)
{
    uint64_t n = n_rows * matrices->columns, zeros = 0, hidden = 0;
    for (uint64_t i = 0; i < n; i++)
        zeros += x[i] == 0;
    for (uint64_t i = 0; i < n_rows; i++) {
        const struct output row = {x + i * matrices->columns, matrices->columns, 1};
        hidden += count_steps_beside(&row) < LEAST_STEPS_BESIDE;
    }
    if (!is_negative_in(x, n) || 2 * hidden >= n_rows)
        return true;
    return !matrices->is_kernel &&
           (2 * zeros >= n || (matrices->rows == matrices->columns &&
                               is_symmetric_to(x, matrices->columns, n_rows, find_largest(x, n))));
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

/* All of it, where that is little or there is reason to; else NULL. */
static float *read_matrices(const struct oq_site *site, const struct matrices *matrices,
                            bool is_first, struct oq_arena *arena, void *scratch)
{
    const struct oq_source *source = &site->constant->source;
    const uint64_t n_rows = oq_min_u64(matrices->rows, FIRST_ROWS);
    const uint64_t n_first = n_rows * matrices->columns;
    onnxq_error ignored; /* who measures all of it says so */
    float *x;
    if (source->nelem > MAX_READ_NELEM && (matrices->is_kernel || !is_first) &&
        ((x = oq_arena_array(arena, (size_t)n_first, sizeof(*x))) == NULL ||
         !oq_source_read_many(source, 0, n_first, x, scratch, &ignored) ||
         !looks_structured(matrices, x, n_rows)))
        return NULL;
    x = oq_arena_array(arena, (size_t)source->nelem, sizeof(*x));
    return x != NULL && oq_source_read_many(source, 0, source->nelem, x, scratch, &ignored) ? x
                                                                                            : NULL;
}

/* *is_float: 16 bits are not enough. */
static const char *judge_numbers(const struct matrices *matrices, const float *x, bool *is_float)
{
    struct matrices others = *matrices;
    const bool hides = is_hidden(matrices, x, is_float);
    others.sums_rows = !matrices->sums_rows;
    *is_float &= hides;
    if (sums_to_one(matrices, x))
        return "nothing is negative, and it sums up to one";
    if (matrices->is_table)
        return NULL;
    if (has_equal_sums(matrices, x) || (matrices->is_either && has_equal_sums(&others, x)))
        return "its sums are zero, or the same: large terms take each other away";
    if (is_symmetric(matrices, x))
        return "symmetric, of both signs: large terms take each other away";
    if (is_whitening(matrices, x))
        return "its outputs are orthogonal, of unlike size";
    return hides ? "one number of each output hides the others" : NULL;
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

static void look(onnxq_plan *plan, struct oq_site *site, const struct matrices *matrices)
{
    struct oq_arena arena;
    struct oq_read_room *room = oq_plan_read_room(plan);
    if (room == NULL)
        return;
    oq_arena_init(&arena, SIZE_MAX);
    const float *x =
        read_matrices(site, matrices, oq_site_is_fed(plan, site), &arena, room->scratch);
    plan->arena.failed |= arena.failed;
    if (x != NULL)
        site->structure = judge_numbers(matrices, x, &site->is_beyond_16_bits);
    oq_arena_fini(&arena);
}

/* Sites of one weight are alike, or by turns: the left and the right of products with itself. */
#define MOST_LOOKED_BACK 4

const char *oq_plan_find_structure(onnxq_plan *plan, struct oq_site *site, size_t n_before)
{
    struct matrices matrices = {0};
    if (!find_matrices(site, &matrices))
        return NULL;
    for (size_t i = 1; i <= n_before && i <= MOST_LOOKED_BACK; i++) {
        const struct oq_site *before = site - i;
        if (!is_alike(plan, &matrices, site, before))
            continue;
        site->structure = before->structure;
        site->is_beyond_16_bits = before->is_beyond_16_bits;
        return site->structure[0] == '\0' ? NULL : site->structure;
    }
    site->structure = judge_sizes(&matrices, &site->constant->source, &site->is_beyond_16_bits);
    if (site->structure == NULL && can_tell(site, &matrices))
        look(plan, site, &matrices);
    if (site->structure != NULL)
        return site->structure;
    site->structure = "";
    site->is_beyond_16_bits = false;
    return NULL;
}
