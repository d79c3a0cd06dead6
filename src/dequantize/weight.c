/* The operands of a weight, checked against each other, and its floats. */
#include "dequantize/weight.h"

#include "base/checked.h"

/* Numbers that are compared at once. */
#define COMPARE_NELEM ((size_t)16 << 10)

const char *oq_weight_set_values(struct oq_weight *weight, const struct oq_tensor *tensor,
                                 const int64_t *dims, size_t n_dims)
{
    if (n_dims > OQ_WEIGHT_MAX_RANK)
        return "more than 8 dimensions";
    if (tensor->dtype == NULL || !oq_tensor_integer_type(tensor, &weight->type))
        return "its weight is not of integers of 2 to 32 bits";
    if (tensor->nelem == 0)
        return "its weight has no elements";
    weight->values = tensor;
    weight->n_axes = n_dims;
    for (size_t i = 0; i < n_dims; i++)
        weight->sizes[i] = (uint64_t)dims[i];
    return NULL;
}

const char *oq_shared_set(struct oq_shared *shared, const struct oq_tensor *tensor)
{
    struct oq_integer_type type;
    if (tensor->dtype == NULL)
        return "scale or zero point of an unknown type";
    if (oq_tensor_integer_type(tensor, &type)) {
        shared->is_integer = true;
        shared->type = type;
    } else if (!tensor->dtype->is_float) {
        return "scale or zero point of a type that is not supported";
    }
    shared->tensor = tensor;
    shared->nelem = tensor->nelem;
    return NULL;
}

const char *oq_shared_spread(struct oq_shared *shared, const struct oq_weight *weight,
                             const int64_t *dims, size_t n_dims, size_t axis, uint64_t block)
{
    static const char misfit[] = "its scales or zero points do not fit its weight";
    uint64_t stride = 1;
    size_t rank = weight->n_axes;
    while (n_dims > rank && dims[0] == 1) { /* more ones in front say nothing */
        dims++;
        n_dims--;
    }
    if (n_dims > rank)
        return misfit;
    for (size_t from_end = 1; from_end <= rank; from_end++) {
        size_t i = rank - from_end;
        uint64_t size = from_end <= n_dims ? (uint64_t)dims[n_dims - from_end] : 1;
        uint64_t step = i == axis ? block : 1;
        uint64_t expected = oq_divide_up_u64(weight->sizes[i], step);
        shared->block[i] = step;
        shared->stride[i] = size == 1 ? 0 : stride;
        if (size != 1 && size != expected)
            return misfit;
        if (size == 1 && expected != 1 && step != 1)
            return misfit;
        stride *= size;
    }
    return shared->tensor != NULL && stride == shared->nelem ? NULL : misfit;
}

/* --- axes --- */

static bool is_mergeable(const struct oq_weight *weight, const struct oq_shared *shared, size_t i)
{
    if (shared->stride[i] == 0 && shared->stride[i + 1] == 0)
        return true;
    return shared->block[i] == 1 && shared->block[i + 1] == 1 && shared->stride[i + 1] != 0 &&
           shared->stride[i] == shared->stride[i + 1] * weight->sizes[i + 1];
}

static void drop_axis(struct oq_weight *weight, size_t i)
{
    struct oq_shared *all[] = {&weight->scale, &weight->zero_point, &weight->factor};
    for (size_t k = i; k + 1 < weight->n_axes; k++) {
        weight->sizes[k] = weight->sizes[k + 1];
        for (size_t s = 0; s < 3; s++) {
            all[s]->stride[k] = all[s]->stride[k + 1];
            all[s]->block[k] = all[s]->block[k + 1];
        }
    }
    weight->n_axes--;
}

/* Long rows are read and multiplied faster than many short ones. */
static void merge_axes(struct oq_weight *weight)
{
    /* From the end: those that are transposed, or that lie apart, stay. */
    size_t kept = weight->transposed ? 2 : weight->pitch != weight->sizes[weight->n_axes - 1];
    for (size_t i = weight->n_axes; i-- > 0;)
        if (weight->sizes[i] == 1 && weight->n_axes > 1 && i + kept < weight->n_axes)
            drop_axis(weight, i);
    for (size_t i = weight->n_axes; i-- > 1;) {
        if (i + kept >= weight->n_axes || !is_mergeable(weight, &weight->scale, i - 1) ||
            !is_mergeable(weight, &weight->zero_point, i - 1) ||
            !is_mergeable(weight, &weight->factor, i - 1))
            continue;
        weight->sizes[i] *= weight->sizes[i - 1];
        drop_axis(weight, i - 1);
    }
    if (kept == 0)
        weight->pitch = weight->sizes[weight->n_axes - 1];
}

bool oq_weight_settle(struct oq_weight *weight)
{
    struct oq_shared *all[] = {&weight->scale, &weight->zero_point, &weight->factor};
    uint64_t nbytes;
    if (weight->n_axes == 0) {
        weight->sizes[0] = 1;
        weight->n_axes = 1;
    }
    for (size_t s = 0; s < 3; s++)
        for (size_t i = 0; i < weight->n_axes; i++)
            if (all[s]->tensor == NULL || all[s]->block[i] == 0)
                all[s]->block[i] = 1;
    weight->nelem = 1;
    for (size_t i = 0; i < weight->n_axes; i++)
        if (!oq_mul_u64(weight->nelem, weight->sizes[i], &weight->nelem))
            return false;
    if (weight->pitch == 0)
        weight->pitch = weight->sizes[weight->n_axes - 1];
    merge_axes(weight);
    return oq_mul_u64(weight->nelem, sizeof(double), &nbytes) && nbytes <= INT64_MAX;
}

/* --- comparing --- */

static bool is_same_type(const struct oq_integer_type *a, const struct oq_integer_type *b)
{
    return a->nbits == b->nbits && a->is_signed == b->is_signed && a->high_first == b->high_first;
}

/* One number for all elements. */
static bool is_single(const struct oq_weight *weight, const struct oq_shared *shared)
{
    for (size_t i = 0; shared->tensor != NULL && i < weight->n_axes; i++)
        if (shared->stride[i] != 0)
            return false;
    return shared->flat_block == 0;
}

static bool has_same_layout(const struct oq_weight *a, const struct oq_shared *s,
                            const struct oq_weight *b, const struct oq_shared *t)
{
    if (is_single(a, s) || is_single(b, t))
        return is_single(a, s) && is_single(b, t);
    if (s->nelem != t->nelem || s->flat_block != t->flat_block)
        return false;
    for (size_t i = 0; i < a->n_axes; i++)
        if (s->stride[i] != t->stride[i] || s->block[i] != t->block[i])
            return false;
    return true;
}

static bool read_numbers(const struct oq_shared *shared, uint64_t first, size_t n, float *x,
                         char *scratch, onnxq_error *error)
{
    int32_t *integers = (int32_t *)(void *)(oq_recipe_floats(scratch) + 2 * COMPARE_NELEM);
    for (size_t i = 0; shared->tensor == NULL && i < n; i++)
        x[i] = shared->value;
    return shared->tensor == NULL || oq_shared_read(shared, first, n, x, integers, scratch, error);
}

static bool is_same(const float *x, const float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!(x[i] == y[i]))
            return false;
    return true;
}

static bool compare_shared(const struct oq_weight *a, const struct oq_shared *s,
                           const struct oq_shared *t, char *scratch, bool *equal,
                           onnxq_error *error)
{
    float *x = oq_recipe_floats(scratch), *y = x + COMPARE_NELEM;
    const uint64_t nelem = is_single(a, s) ? 1 : s->nelem;
    if (s->tensor != NULL && s->tensor == t->tensor)
        return true;
    for (uint64_t done = 0; done < nelem && *equal; done += COMPARE_NELEM) {
        size_t n = (size_t)oq_min_u64(COMPARE_NELEM, nelem - done);
        if (!read_numbers(s, done, n, x, scratch, error) ||
            !read_numbers(t, done, n, y, scratch, error))
            return false;
        *equal = is_same(x, y, n);
    }
    return true;
}

bool oq_shared_is_uniform(const struct oq_shared *shared, char *scratch, bool *uniform,
                          onnxq_error *error)
{
    float *x = oq_recipe_floats(scratch), *y = x + COMPARE_NELEM;
    *uniform = true;
    for (uint64_t done = 0; *uniform && done < shared->nelem; done += COMPARE_NELEM) {
        size_t n = (size_t)oq_min_u64(COMPARE_NELEM, shared->nelem - done);
        if (!read_numbers(shared, done, n, x, scratch, error))
            return false;
        for (size_t i = 0; done == 0 && i < COMPARE_NELEM; i++)
            y[i] = x[0];
        *uniform = is_same(x, y, n);
    }
    return true;
}

void oq_shared_collapse(struct oq_shared *shared)
{
    memset(shared->stride, 0, sizeof(shared->stride));
    shared->flat_block = 0;
}

static bool has_same_axes(const struct oq_weight *a, const struct oq_weight *b)
{
    bool same = a->n_axes == b->n_axes && a->pitch == b->pitch && a->transposed == b->transposed &&
                a->n_dims == b->n_dims && (a->groups == NULL) == (b->groups == NULL);
    for (size_t i = 0; same && i < a->n_axes; i++)
        same = a->sizes[i] == b->sizes[i];
    for (size_t i = 0; same && i < a->n_dims; i++)
        same = a->dims[i] == b->dims[i];
    if (same && a->groups != NULL)
        same = memcmp(a->groups, b->groups, a->sizes[a->n_axes - 1] * sizeof(*a->groups)) == 0;
    return same;
}

bool oq_weight_equal(const struct oq_weight *a, const struct oq_weight *b, void *scratch,
                     bool *equal, onnxq_error *error)
{
    *equal = a->values == b->values && is_same_type(&a->type, &b->type) && a->table == b->table &&
             a->value_type == b->value_type && a->graph == b->graph && has_same_axes(a, b) &&
             has_same_layout(a, &a->scale, b, &b->scale) &&
             has_same_layout(a, &a->zero_point, b, &b->zero_point) &&
             (a->factor.tensor == NULL) == (b->factor.tensor == NULL) &&
             has_same_layout(a, &a->factor, b, &b->factor);
    return (!*equal || compare_shared(a, &a->scale, &b->scale, scratch, equal, error)) &&
           (!*equal || compare_shared(a, &a->zero_point, &b->zero_point, scratch, equal, error)) &&
           (!*equal || compare_shared(a, &a->factor, &b->factor, scratch, equal, error));
}
