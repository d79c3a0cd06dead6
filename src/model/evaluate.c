/* Computes constant expressions: operators as ONNX defines them, on numbers in float32. */
#include "model/evaluate.h"

#include <math.h>

#include "base/checked.h"
#include "model/source.h"
#include "wire/data_type.h"

/* Operators between a stored constant and the result; bounds the recursion. */
#define MAX_DEPTH 64

/* Elements of a value. */
#define MAX_NELEM ((uint64_t)1 << 26)

/* Integers up to this one are exact in float32. */
#define MAX_INTEGER 16777216.0F

#define MAX_RANK   OQ_EVALUATED_RANK
#define MAX_INPUTS 8

/* What operators do with one operand or two, */
enum how {
    ABS,
    ADD,
    CEIL,
    DIV,
    EXP,
    FLOOR,
    LOG,
    MAX,
    MIN,
    MUL,
    NEG,
    POW,
    RECIPROCAL,
    ROUND,
    SIGMOID,
    SIGN,
    SQRT,
    SUB,
    TANH,
    /* and over axes */
    L1,
    L2,
    LARGEST,
    LEAST,
    MEAN,
    PRODUCT,
    SQUARES,
    SUM
};

/* What becomes of numbers that were rounded, or that this operator rounds. */
enum rounds { SCALES, ROUNDS, STAYS };

struct evaluation_step;
struct operation {
    const char *op_type;
    bool (*make)(struct evaluation_step *step);
    enum how how;
    size_t min_inputs, max_inputs;
    enum rounds rounds;
    bool takes_integers;
};

struct calculation {
    struct oq_evaluator *evaluator;
    struct oq_evaluation *evaluation;
    unsigned depth;
    bool failed; /* with an error; else what is not found is merely unknown */
};

/* One node: its inputs are known, its output is made. */
struct evaluation_step {
    struct calculation *calculation;
    const Oq__Pb__NodeProto *node;
    const struct operation *operation;
    size_t n_inputs;
    const struct oq_numbers *in[MAX_INPUTS]; /* NULL: left out; the first never is */
    struct oq_numbers out;
};

/* --- room --- */

static bool spend(struct calculation *calculation, uint64_t work)
{
    uint64_t *left = &calculation->evaluator->work;
    if (work > *left)
        return false;
    *left -= work;
    return true;
}

static bool set_dims(struct oq_numbers *numbers, const int64_t *dims, size_t n_dims)
{
    numbers->nelem = 1;
    numbers->n_dims = n_dims;
    if (n_dims > MAX_RANK)
        return false;
    for (size_t i = 0; i < n_dims; i++) {
        numbers->dims[i] = dims[i];
        if (dims[i] < 0 || !oq_mul_u64(numbers->nelem, (uint64_t)dims[i], &numbers->nelem) ||
            numbers->nelem > MAX_NELEM)
            return false;
    }
    return numbers->nelem > 0;
}

static bool allocate(struct calculation *calculation, struct oq_numbers *numbers)
{
    if (!spend(calculation, numbers->nelem))
        return false;
    numbers->x =
        oq_arena_array(calculation->evaluator->arena, (size_t)numbers->nelem + 1, sizeof(float));
    return numbers->x != NULL;
}

static bool has_shape(const struct oq_numbers *numbers, const int64_t *dims, size_t n_dims)
{
    return numbers->n_dims == n_dims &&
           (n_dims == 0 || memcmp(numbers->dims, dims, n_dims * sizeof(*dims)) == 0);
}

/* The output, of the type of the first input; in the place of one that nobody else will read. */
static bool make_output(struct evaluation_step *step, const int64_t *dims, size_t n_dims,
                        bool may_replace)
{
    step->out.data_type = step->in[0]->data_type;
    if (!set_dims(&step->out, dims, n_dims))
        return false;
    for (size_t i = 0; may_replace && i < step->n_inputs; i++)
        if (step->in[i] != NULL && step->in[i]->value->n_uses == 1 &&
            has_shape(step->in[i], dims, n_dims)) {
            step->out.x = step->in[i]->x;
            return spend(step->calculation, step->out.nelem);
        }
    return allocate(step->calculation, &step->out);
}

/* --- parameters --- */

/* An attribute in older versions, an input in newer ones; *given: it is there. */
static bool get_integers(const struct evaluation_step *step, const char *attribute, int64_t *values,
                         size_t *n, bool *given)
{
    const Oq__Pb__AttributeProto *found = oq_node_attribute(step->node, attribute);
    const struct oq_numbers *numbers = step->n_inputs > 1 ? step->in[1] : NULL;
    *given = found != NULL || numbers != NULL;
    *n = found != NULL ? found->n_ints : numbers != NULL ? (size_t)numbers->nelem : 0;
    if (*n > MAX_RANK || (found == NULL && numbers != NULL && numbers->data_type != OQ_TYPE(INT64)))
        return false;
    for (size_t i = 0; i < *n; i++)
        values[i] = found != NULL ? found->ints[i] : (int64_t)numbers->x[i];
    return true;
}

/* Axes as a set of bits. */
static bool get_axes(const struct evaluation_step *step, size_t rank, unsigned *axes, size_t *n)
{
    int64_t list[MAX_RANK];
    bool given;
    *axes = 0;
    if (!get_integers(step, "axes", list, n, &given))
        return false;
    for (size_t i = 0; i < *n; i++) {
        const int64_t axis = list[i] < 0 ? list[i] + (int64_t)rank : list[i];
        if (axis < 0 || axis >= (int64_t)rank || rank > MAX_RANK || (*axes >> axis & 1) != 0)
            return false;
        *axes |= 1U << axis;
    }
    return true;
}

static bool is_float(const struct oq_numbers *numbers)
{
    return numbers->data_type == OQ_TYPE(FLOAT);
}

/* Others are known until a Cast. */
static bool is_known(const struct oq_numbers *numbers)
{
    return is_float(numbers) || numbers->data_type == OQ_TYPE(INT64) ||
           numbers->data_type == OQ_TYPE(BOOL);
}

/* --- element by element --- */

/* Of a function of one operand both are that. */
static float calculate(enum how how, float a, float b)
{
    switch (how) {
    case ABS:
        return fabsf(a);
    case ADD:
        return a + b;
    case CEIL:
        return ceilf(a);
    case DIV:
        return a / b;
    case EXP:
        return expf(a);
    case FLOOR:
        return floorf(a);
    case LOG:
        return logf(a);
    case MAX:
        return b > a ? b : a;
    case MIN:
        return b < a ? b : a;
    case MUL:
        return a * b;
    case NEG:
        return -a;
    case POW:
        return b == 2 ? a * a : powf(a, b);
    case RECIPROCAL:
        return 1 / a;
    case ROUND:
        return rintf(a);
    case SIGMOID:
        return 1 / (1 + expf(-a));
    case SIGN:
        return (float)((a > 0) - (a < 0));
    case SQRT:
        return sqrtf(a);
    case SUB:
        return a - b;
    case TANH:
        return tanhf(a);
    default:
        return NAN;
    }
}

/* The shape that both have when they are broadcast against each other. */
static bool broadcast(const struct oq_numbers *a, int64_t *dims, size_t *n_dims)
{
    const size_t rank = a->n_dims > *n_dims ? a->n_dims : *n_dims;
    for (size_t left = rank; left > 0; left--) {
        const size_t i = left - 1;
        const int64_t x = i + a->n_dims < rank ? 1 : a->dims[i + a->n_dims - rank];
        const int64_t y = i + *n_dims < rank ? 1 : dims[i + *n_dims - rank];
        if (x != y && x != 1 && y != 1)
            return false;
        dims[i] = x == 1 ? y : x;
    }
    *n_dims = rank;
    return true;
}

/* Goes through the elements of a shape in order, and with it through others, by their strides. */
struct stride_walk {
    const int64_t *dims;
    size_t rank;
    int64_t index[MAX_RANK];
    int64_t strides[2][MAX_RANK];
    int64_t at[2];
};

/* The k-th of the others is broadcast to the shape. */
static void set_strides(struct stride_walk *walk, size_t k, const struct oq_numbers *numbers)
{
    int64_t stride = 1;
    for (size_t left = walk->rank; left > 0; left--) {
        const size_t i = left - 1;
        const size_t missing = walk->rank - numbers->n_dims;
        const int64_t size = i < missing ? 1 : numbers->dims[i - missing];
        walk->strides[k][i] = size == 1 ? 0 : stride;
        stride *= size;
    }
}

static void advance(struct stride_walk *walk, size_t n)
{
    for (size_t left = walk->rank; left > 0; left--) {
        const size_t axis = left - 1;
        for (size_t k = 0; k < n; k++)
            walk->at[k] += walk->strides[k][axis];
        if (++walk->index[axis] < walk->dims[axis])
            return;
        walk->index[axis] = 0;
        for (size_t k = 0; k < n; k++)
            walk->at[k] -= walk->strides[k][axis] * walk->dims[axis];
    }
}

/* out = a how b, where out has the shape of both; it may lie where one of that shape does. */
static bool combine(struct evaluation_step *step, enum how how, const struct oq_numbers *a,
                    const struct oq_numbers *b)
{
    struct stride_walk walk = {.dims = step->out.dims, .rank = step->out.n_dims};
    float *x = step->out.x;
    set_strides(&walk, 0, a);
    set_strides(&walk, 1, b);
    if (a->nelem == step->out.nelem && b->nelem == step->out.nelem)
        for (uint64_t i = 0; i < step->out.nelem; i++)
            x[i] = calculate(how, a->x[i], b->x[i]);
    else
        for (uint64_t i = 0; i < step->out.nelem; i++, advance(&walk, 2))
            x[i] = calculate(how, a->x[walk.at[0]], b->x[walk.at[1]]);
    for (uint64_t i = 0; how == DIV && !is_float(a) && i < step->out.nelem; i++)
        x[i] = truncf(x[i]);
    return spend(step->calculation, step->out.nelem);
}

/* Of one operand, of two (7, 13, 14) or, in Max, Min and Sum, of more: one after the other. */
static bool map(struct evaluation_step *step)
{
    const struct oq_numbers *a = step->in[0];
    int64_t dims[MAX_RANK] = {0};
    size_t n_dims = 0;
    for (size_t i = 0; i < step->n_inputs; i++) {
        const struct oq_numbers *in = step->in[i];
        if (in == NULL || !broadcast(in, dims, &n_dims) ||
            (in->data_type != a->data_type && step->operation->how != POW))
            return false;
    }
    /* before, broadcasting went by attributes */
    if (oq_node_attribute(step->node, "broadcast") != NULL ||
        oq_node_attribute(step->node, "axis") != NULL ||
        !make_output(step, dims, n_dims, step->n_inputs <= 2) ||
        !combine(step, step->operation->how, a, step->n_inputs == 1 ? a : step->in[1]))
        return false;
    for (size_t i = 2; i < step->n_inputs; i++)
        if (!combine(step, step->operation->how, &step->out, step->in[i]))
            return false;
    return true;
}

/* Clip (1, 6: attributes; 11: inputs). */
static bool clip(struct evaluation_step *step)
{
    static const struct oq_value none;
    float bounds[2] = {oq_node_float(step->node, "min", -INFINITY),
                       oq_node_float(step->node, "max", INFINITY)};
    if (!is_float(step->in[0]) ||
        !make_output(step, step->in[0]->dims, step->in[0]->n_dims, step->n_inputs == 1))
        return false;
    const struct oq_numbers *a = step->in[0];
    for (size_t i = 0; i < 2; i++, a = &step->out) {
        const struct oq_numbers *given = i + 1 < step->n_inputs ? step->in[i + 1] : NULL;
        const struct oq_numbers bound = {.value = &none, .nelem = 1, .x = &bounds[i]};
        if ((given != NULL && given->nelem != 1) ||
            !combine(step, i == 0 ? MAX : MIN, a, given != NULL ? given : &bound))
            return false;
    }
    return true;
}

/* Cast (1 to 25): floats to float32, to integers without what follows the point, to truth. */
static bool cast(struct evaluation_step *step)
{
    const struct oq_numbers *in = step->in[0];
    const int64_t to = oq_node_int(step->node, "to", 0);
    const bool is_integer = to == OQ_TYPE(INT64) || to == OQ_TYPE(INT32);
    if ((!is_integer && to != OQ_TYPE(FLOAT) && to != OQ_TYPE(BOOL)) ||
        !make_output(step, in->dims, in->n_dims, true))
        return false;
    for (uint64_t i = 0; i < in->nelem; i++)
        step->out.x[i] = is_integer            ? truncf(in->x[i])
                         : to == OQ_TYPE(BOOL) ? (float)(in->x[i] != 0)
                                               : in->x[i];
    step->out.data_type = is_integer ? OQ_TYPE(INT64) : (int32_t)to;
    return true;
}

/* --- sums over axes --- */

static double accumulate(enum how how, double sum, double x)
{
    switch (how) {
    case L1:
        return sum + fabs(x);
    case L2:
    case SQUARES:
        return sum + x * x;
    case LARGEST:
        return x > sum ? x : sum;
    case LEAST:
        return x < sum ? x : sum;
    case PRODUCT:
        return sum * x;
    default:
        return sum + x;
    }
}

/* `in` over these axes, which have one element each in the result. */
static bool reduce_axes(struct evaluation_step *step, unsigned axes, enum how how,
                        struct oq_numbers *sums)
{
    const struct oq_numbers *in = step->in[0];
    int64_t dims[MAX_RANK] = {0};
    for (size_t i = 0; i < in->n_dims; i++)
        dims[i] = (axes >> i & 1) != 0 ? 1 : in->dims[i];
    if (!set_dims(sums, dims, in->n_dims) || !spend(step->calculation, in->nelem) ||
        !allocate(step->calculation, sums))
        return false;
    double *x =
        oq_arena_array(step->calculation->evaluator->arena, (size_t)sums->nelem, sizeof(*x));
    if (x == NULL)
        return false;
    for (uint64_t i = 0; i < sums->nelem; i++)
        x[i] = how == LARGEST   ? -(double)INFINITY
               : how == LEAST   ? (double)INFINITY
               : how == PRODUCT ? 1
                                : 0;
    struct stride_walk walk = {.dims = in->dims, .rank = in->n_dims};
    set_strides(&walk, 0, sums);
    for (uint64_t i = 0; i < in->nelem; i++, advance(&walk, 1))
        x[walk.at[0]] = accumulate(how, x[walk.at[0]], (double)in->x[i]);
    for (uint64_t i = 0; i < sums->nelem; i++)
        sums->x[i] = (float)((how == L2 ? sqrt(x[i]) : x[i]) /
                             (how == MEAN ? (double)in->nelem / (double)sums->nelem : 1));
    return true;
}

/* ReduceSum (1, 11, 13) and its kin (1, 11, 13, 18). */
static bool reduce(struct evaluation_step *step)
{
    const struct oq_numbers *in = step->in[0];
    struct oq_numbers sums = {.value = step->out.value, .data_type = in->data_type};
    int64_t dims[MAX_RANK];
    size_t n, n_dims = 0;
    unsigned axes;
    if (!get_axes(step, in->n_dims, &axes, &n) ||
        (n == 0 && oq_node_int(step->node, "noop_with_empty_axes", 0) != 0))
        return false;
    axes = n == 0 ? UINT32_MAX : axes;
    if (!reduce_axes(step, axes, step->operation->how, &sums))
        return false;
    for (size_t i = 0; i < in->n_dims; i++)
        if (oq_node_int(step->node, "keepdims", 1) != 0 || (axes >> i & 1) == 0)
            dims[n_dims++] = sums.dims[i];
    step->out = sums;
    return set_dims(&step->out, dims, n_dims);
}

/* LpNormalization (1, 22). */
static bool normalize(struct evaluation_step *step)
{
    const struct oq_numbers *in = step->in[0];
    const int64_t p = oq_node_int(step->node, "p", 2);
    int64_t axis = oq_node_int(step->node, "axis", -1);
    struct oq_numbers norms = {.data_type = OQ_TYPE(FLOAT)};
    axis += axis < 0 ? (int64_t)in->n_dims : 0;
    return is_float(in) && (p == 1 || p == 2) && axis >= 0 && axis < (int64_t)in->n_dims &&
           reduce_axes(step, 1U << axis, p == 1 ? L1 : L2, &norms) &&
           make_output(step, in->dims, in->n_dims, true) && combine(step, DIV, in, &norms);
}

/* --- products --- */

/* MatMul (1, 9, 13) of matrices and vectors. */
static bool matmul(struct evaluation_step *step)
{
    const struct oq_numbers *a = step->in[0], *b = step->n_inputs == 2 ? step->in[1] : a;
    if (!is_float(a) || !is_float(b) || a->n_dims < 1 || a->n_dims > 2 || b->n_dims < 1 ||
        b->n_dims > 2)
        return false;
    const uint64_t k = (uint64_t)b->dims[0], n = b->n_dims == 1 ? 1 : (uint64_t)b->dims[1];
    const uint64_t m = a->n_dims == 1 ? 1 : (uint64_t)a->dims[0];
    int64_t dims[2];
    size_t n_dims = 0;
    uint64_t work;
    if (a->n_dims == 2)
        dims[n_dims++] = a->dims[0];
    if (b->n_dims == 2)
        dims[n_dims++] = b->dims[1];
    double *sums =
        oq_arena_array(step->calculation->evaluator->arena, (size_t)n + 1, sizeof(*sums));
    if (sums == NULL || (uint64_t)a->dims[a->n_dims - 1] != k || !oq_mul_u64(m * k, n, &work) ||
        !spend(step->calculation, work) || !make_output(step, dims, n_dims, false))
        return false;
    for (uint64_t i = 0; i < m; i++) {
        memset(sums, 0, (size_t)n * sizeof(*sums));
        for (uint64_t j = 0; j < k; j++)
            for (uint64_t l = 0; l < n; l++)
                sums[l] += (double)a->x[i * k + j] * (double)b->x[j * n + l];
        for (uint64_t l = 0; l < n; l++)
            step->out.x[i * n + l] = (float)sums[l];
    }
    return true;
}

/* --- rearrangement --- */

/* The same elements in another shape. */
static bool reshape_to(struct evaluation_step *step, const int64_t *dims, size_t n_dims)
{
    const struct oq_numbers *in = step->in[0];
    if (!make_output(step, in->dims, in->n_dims, in->value->n_uses == 1))
        return false;
    if (step->out.x != in->x)
        memcpy(step->out.x, in->x, (size_t)in->nelem * sizeof(float));
    return set_dims(&step->out, dims, n_dims) && step->out.nelem == in->nelem;
}

static bool keep(struct evaluation_step *step)
{
    return reshape_to(step, step->in[0]->dims, step->in[0]->n_dims);
}

/* Reshape (1, 5, 13, 14): 0 keeps a dimension (unless allowzero), one -1 takes what is left. */
static bool reshape(struct evaluation_step *step)
{
    const struct oq_numbers *in = step->in[0];
    int64_t dims[MAX_RANK];
    size_t n, unknown = MAX_RANK;
    uint64_t known = 1;
    bool given;
    if (!get_integers(step, "shape", dims, &n, &given) || !given)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (dims[i] == 0 && oq_node_int(step->node, "allowzero", 0) == 0 && i < in->n_dims)
            dims[i] = in->dims[i];
        if (dims[i] == -1 && unknown == MAX_RANK)
            unknown = i;
        else if (dims[i] < 0 || !oq_mul_u64(known, (uint64_t)dims[i], &known))
            return false;
    }
    if (unknown < MAX_RANK)
        dims[unknown] = known == 0 ? 0 : (int64_t)(in->nelem / known);
    return reshape_to(step, dims, n);
}

/* Flatten (1, 9, 11, 13): a matrix, cut before `axis`. */
static bool flatten(struct evaluation_step *step)
{
    const struct oq_numbers *in = step->in[0];
    int64_t axis = oq_node_int(step->node, "axis", 1), dims[2] = {1, 1};
    axis += axis < 0 ? (int64_t)in->n_dims : 0;
    for (size_t i = 0; i < in->n_dims; i++)
        dims[(int64_t)i < axis ? 0 : 1] *= in->dims[i];
    return axis >= 0 && axis <= (int64_t)in->n_dims && reshape_to(step, dims, 2);
}

/* Squeeze, Unsqueeze (1, 11, 13). */
static bool squeeze(struct evaluation_step *step)
{
    const struct oq_numbers *in = step->in[0];
    int64_t dims[MAX_RANK];
    size_t n_axes, n = 0;
    unsigned axes;
    if (!get_axes(step, in->n_dims, &axes, &n_axes))
        return false;
    for (size_t i = 0; i < in->n_dims; i++)
        if (n_axes > 0 ? (axes >> i & 1) == 0 : in->dims[i] != 1)
            dims[n++] = in->dims[i];
    return reshape_to(step, dims, n);
}

static bool unsqueeze(struct evaluation_step *step)
{
    const struct oq_numbers *in = step->in[0];
    int64_t dims[MAX_RANK], axes_list[MAX_RANK];
    size_t n, taken = 0;
    unsigned axes;
    bool given;
    if (!get_integers(step, "axes", axes_list, &n, &given) ||
        !get_axes(step, in->n_dims + n, &axes, &n))
        return false;
    for (size_t i = 0; i < in->n_dims + n && i < MAX_RANK; i++)
        dims[i] = (axes >> i & 1) != 0 ? 1 : in->dims[taken++];
    return reshape_to(step, dims, in->n_dims + n);
}

/* Elements of the first input in an order that a walk has. */
static bool pick(struct evaluation_step *step, struct stride_walk *walk)
{
    if (!make_output(step, walk->dims, walk->rank, false))
        return false;
    for (uint64_t i = 0; i < step->out.nelem; i++, advance(walk, 1))
        step->out.x[i] = step->in[0]->x[walk->at[0]];
    return true;
}

/* Transpose (1, 13). */
static bool transpose(struct evaluation_step *step)
{
    const struct oq_numbers *in = step->in[0];
    const Oq__Pb__AttributeProto *perm = oq_node_attribute(step->node, "perm");
    struct stride_walk of_input = {.rank = in->n_dims};
    int64_t dims[MAX_RANK] = {0};
    struct stride_walk walk = {.dims = dims, .rank = in->n_dims};
    unsigned seen = 0;
    if (perm != NULL && perm->n_ints != in->n_dims)
        return false;
    set_strides(&of_input, 0, in);
    for (size_t i = 0; i < in->n_dims; i++) {
        const int64_t from = perm == NULL ? (int64_t)(in->n_dims - 1 - i) : perm->ints[i];
        if (from < 0 || from >= (int64_t)in->n_dims || (seen >> from & 1) != 0)
            return false;
        seen |= 1U << from;
        dims[i] = in->dims[from];
        walk.strides[0][i] = of_input.strides[0][from];
    }
    return pick(step, &walk);
}

/* Expand (8, 13). */
static bool expand(struct evaluation_step *step)
{
    int64_t dims[MAX_RANK];
    struct stride_walk walk = {.dims = dims};
    bool given;
    if (!get_integers(step, "shape", dims, &walk.rank, &given) || !given ||
        !broadcast(step->in[0], dims, &walk.rank))
        return false;
    set_strides(&walk, 0, step->in[0]);
    return pick(step, &walk);
}

/* --- operators --- */

static const struct operation operations[] = {
    {"Abs", map, ABS, 1, 1, STAYS, false},
    {"Add", map, ADD, 2, 2, STAYS, true},
    {"Cast", cast, 0, 1, 1, STAYS, true},
    {"Ceil", map, CEIL, 1, 1, ROUNDS, false},
    {"Clip", clip, 0, 1, 3, STAYS, false},
    {"Div", map, DIV, 2, 2, SCALES, true},
    {"Exp", map, EXP, 1, 1, SCALES, false},
    {"Expand", expand, 0, 2, 2, STAYS, true},
    {"Flatten", flatten, 0, 1, 1, STAYS, true},
    {"Floor", map, FLOOR, 1, 1, ROUNDS, false},
    {"Identity", keep, 0, 1, 1, STAYS, true},
    {"Log", map, LOG, 1, 1, SCALES, false},
    {"LpNormalization", normalize, 0, 1, 1, SCALES, false},
    {"MatMul", matmul, 0, 2, 2, SCALES, false},
    {"Max", map, MAX, 2, MAX_INPUTS, STAYS, false},
    {"Min", map, MIN, 2, MAX_INPUTS, STAYS, false},
    {"Mul", map, MUL, 2, 2, SCALES, true},
    {"Neg", map, NEG, 1, 1, STAYS, false},
    {"Pow", map, POW, 2, 2, SCALES, false},
    {"Reciprocal", map, RECIPROCAL, 1, 1, SCALES, false},
    {"ReduceL1", reduce, L1, 1, 2, SCALES, false},
    {"ReduceL2", reduce, L2, 1, 2, SCALES, false},
    {"ReduceMax", reduce, LARGEST, 1, 2, SCALES, false},
    {"ReduceMean", reduce, MEAN, 1, 2, SCALES, false},
    {"ReduceMin", reduce, LEAST, 1, 2, SCALES, false},
    {"ReduceProd", reduce, PRODUCT, 1, 2, SCALES, true},
    {"ReduceSum", reduce, SUM, 1, 2, SCALES, false},
    {"ReduceSumSquare", reduce, SQUARES, 1, 2, SCALES, false},
    {"Reshape", reshape, 0, 1, 2, STAYS, true},
    {"Round", map, ROUND, 1, 1, ROUNDS, false},
    {"Sigmoid", map, SIGMOID, 1, 1, SCALES, false},
    {"Sign", map, SIGN, 1, 1, ROUNDS, false},
    {"Sqrt", map, SQRT, 1, 1, SCALES, false},
    {"Squeeze", squeeze, 0, 1, 2, STAYS, true},
    {"Sub", map, SUB, 2, 2, STAYS, true},
    {"Sum", map, ADD, 2, MAX_INPUTS, STAYS, false},
    {"Tanh", map, TANH, 1, 1, SCALES, false},
    {"Transpose", transpose, 0, 1, 1, STAYS, true},
    {"Unsqueeze", unsqueeze, 0, 1, 2, STAYS, true},
};

static const struct operation *find_operation(const Oq__Pb__NodeProto *node)
{
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
        if (oq_node_is(node, "", operations[i].op_type))
            return node->n_input >= operations[i].min_inputs &&
                           node->n_input <= operations[i].max_inputs && node->n_output == 1
                       ? &operations[i]
                       : NULL;
    return NULL;
}

bool oq_evaluate_knows(const Oq__Pb__NodeProto *node)
{
    return find_operation(node) != NULL;
}

/* --- stored constants --- */

static bool read_truth(struct calculation *calculation, const struct oq_tensor *tensor, float *x)
{
    uint8_t *bytes = (uint8_t *)x + (size_t)tensor->nelem * 3; /* widened where they lie */
    if (!oq_tensor_read_all(tensor, bytes, calculation->evaluator->scratch,
                            calculation->evaluator->error))
        return false;
    for (uint64_t i = 0; i < tensor->nelem; i++)
        x[i] = (float)(bytes[i] != 0);
    return true;
}

/* A few of them: shapes, axes, exponents. */
static bool read_integers(struct calculation *calculation, const struct oq_tensor *tensor, float *x)
{
    int64_t values[OQ_READ_MAX_INTEGERS];
    if (!oq_tensor_read_int64s(tensor, values, calculation->evaluator->error))
        return false;
    for (uint64_t i = 0; i < tensor->nelem; i++)
        x[i] = (float)values[i];
    return true;
}

static bool read_floats(struct calculation *calculation, const struct oq_tensor *tensor, float *x)
{
    const struct oq_span span = {tensor, 0, tensor->nelem};
    const struct oq_source source = {.spans = &span, .n_spans = 1, .nelem = tensor->nelem};
    return oq_source_read_many(&source, 0, tensor->nelem, x, calculation->evaluator->scratch,
                               calculation->evaluator->error);
}

/* Narrow integers are weights that are quantized already: those stay. */
static bool load(struct calculation *calculation, const struct oq_tensor *tensor,
                 struct oq_numbers *numbers)
{
    const bool is_truth = tensor->proto->data_type == OQ_TYPE(BOOL);
    const bool is_integer = oq_tensor_is_integer(tensor);
    if (tensor->dtype == NULL || !(tensor->dtype->is_float || is_truth || is_integer) ||
        (is_integer && tensor->nelem > OQ_READ_MAX_INTEGERS) ||
        !set_dims(numbers, tensor->dims, tensor->n_dims) || !allocate(calculation, numbers))
        return false;
    numbers->data_type = is_integer ? OQ_TYPE(INT64) : tensor->proto->data_type;
    numbers->is_stored = true;
    calculation->failed = !(is_truth     ? read_truth(calculation, tensor, numbers->x)
                            : is_integer ? read_integers(calculation, tensor, numbers->x)
                                         : read_floats(calculation, tensor, numbers->x));
    return !calculation->failed;
}

/* --- expressions --- */

static bool is_exact(const struct oq_numbers *numbers)
{
    for (uint64_t i = 0; numbers->data_type == OQ_TYPE(INT64) && i < numbers->nelem; i++)
        if (!(fabsf(numbers->x[i]) <= MAX_INTEGER))
            return false;
    return true;
}

/* Before what follows scales it in the same place. */
static void note_rounded(struct oq_evaluation *evaluation, const struct oq_numbers *numbers)
{
    for (uint64_t i = 0; i < numbers->nelem; i++)
        if (numbers->x[i] != rintf(numbers->x[i]) ||
            !(numbers->x[i] >= INT8_MIN && numbers->x[i] <= INT8_MAX))
            return;
    evaluation->rounded = numbers->value;
}

static const struct oq_numbers *compute(struct calculation *calculation,
                                        const struct oq_value *value);

static bool compute_inputs(struct evaluation_step *step, const struct oq_graph *graph)
{
    step->n_inputs = step->node->n_input;
    for (size_t i = 0; i < step->n_inputs; i++) {
        const char *name = step->node->input[i];
        if (name[0] == '\0')
            continue;
        step->in[i] = compute(step->calculation, oq_graph_find(graph, name));
        if (step->in[i] == NULL)
            return false;
    }
    while (step->n_inputs > 0 && step->in[step->n_inputs - 1] == NULL)
        step->n_inputs--;
    return step->n_inputs >= step->operation->min_inputs && step->in[0] != NULL &&
           (is_float(step->in[0]) || step->operation->make == cast ||
            (is_known(step->in[0]) && step->operation->takes_integers));
}

static bool compute_node(struct calculation *calculation, const struct oq_value *value,
                         struct oq_numbers *numbers)
{
    struct evaluation_step step = {.calculation = calculation,
                                   .node = oq_value_node(value),
                                   .operation = find_operation(oq_value_node(value)),
                                   .out = {.value = value}};
    if (step.operation == NULL || calculation->depth == MAX_DEPTH ||
        !spend(calculation, OQ_EVALUATED_MAX_VALUES)) /* to look for its operands */
        return false;
    calculation->depth++;
    const bool ok = compute_inputs(&step, value->graph) && step.operation->make(&step);
    calculation->depth--;
    if (!ok)
        return false;
    *numbers = step.out;
    numbers->is_rounded = step.operation->rounds == ROUNDS;
    for (size_t i = 0; step.operation->rounds == STAYS && i < step.n_inputs; i++)
        numbers->is_rounded |= step.in[i] != NULL && step.in[i]->is_rounded;
    if (numbers->is_rounded && is_float(numbers) && numbers->nelem > 1) /* no scale */
        note_rounded(calculation->evaluation, numbers);
    return true;
}

/* Of what is known already, or anew. Recursion goes no deeper than MAX_DEPTH nodes. */
static const struct oq_numbers *compute(struct calculation *calculation,
                                        const struct oq_value *value)
{
    struct oq_evaluation *evaluation = calculation->evaluation;
    struct oq_numbers numbers = {.value = value};
    for (size_t i = 0; i < evaluation->count; i++)
        if (evaluation->list[i].value == value)
            return &evaluation->list[i];
    const Oq__Pb__TensorProto *proto = value == NULL ? NULL : oq_value_tensor(value);
    if (value == NULL || (value->is_graph_input && !calculation->evaluator->inputs_are_frozen) ||
        (proto == NULL && value->origin != OQ_ORIGIN_NODE) ||
        !(proto != NULL
              ? load(calculation, oq_model_tensor(calculation->evaluator->model, proto), &numbers)
              : compute_node(calculation, value, &numbers)) ||
        !is_exact(&numbers) || evaluation->count == OQ_EVALUATED_MAX_VALUES)
        return NULL;
    evaluation->list[evaluation->count] = numbers;
    return &evaluation->list[evaluation->count++];
}

bool oq_evaluate(struct oq_evaluator *evaluator, const struct oq_graph *graph, const char *name,
                 struct oq_evaluation *evaluation, bool *found)
{
    struct calculation calculation = {.evaluator = evaluator, .evaluation = evaluation};
    evaluation->count = 0;
    evaluation->rounded = NULL;
    const struct oq_numbers *result = compute(&calculation, oq_graph_find(graph, name));
    *found = result != NULL && is_float(result);
    return !calculation.failed;
}
