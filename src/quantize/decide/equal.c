/*
 * Weights under different names that hold the same bytes: exporters write one for each
 * use. The first stands for all; the integers are stored once.
 *
 * Nothing is read of a weight of which no other has type and shape. Of the others a few
 * bytes are, and the whole only where these agree.
 */
#include <stdlib.h>

#include "base/checked.h"
#include "quantize/plan/plan.h"
#include "quantize/decide/steps.h"

/* Read at the start, in the middle and at the end of a weight. */
#define SAMPLE_NBYTES ((size_t)64)
#define N_SAMPLES     3

/* Weights that agree in their samples differ rarely: so often are those that do compared again. */
#define MAX_ROUNDS 4

struct candidate {
    struct oq_constant *constant;
    uint8_t samples[N_SAMPLES][SAMPLE_NBYTES];
};

/* What keeps its floats gains nothing. */
static bool is_candidate(const onnxq_plan *plan, const struct oq_constant *constant)
{
    const struct oq_tensor *tensor = constant->tensor;
    return constant->value != NULL && constant->source.factors == NULL && tensor->contiguous &&
           tensor->nbytes >= SAMPLE_NBYTES && oq_plan_find_keeper(plan, constant) == NULL;
}

/*
 * Measured: ONNX Runtime 1.31 does not load a DequantizeLinear in a body whose integers are
 * around it. With other methods the innermost graph that all see has them.
 */
static bool may_share(const onnxq_plan *plan, const struct oq_constant *a,
                      const struct oq_constant *b)
{
    bool stays_behind =
        plan->options.method == ONNXQ_METHOD_QDQ || plan->options.method == ONNXQ_METHOD_STATIC;
    return !stays_behind || a->graph == b->graph;
}

static int compare_kinds(const struct oq_source *a, const struct oq_source *b)
{
    int order = oq_compare_u64((uint64_t)a->data_type, (uint64_t)b->data_type);
    if (order == 0)
        order = oq_compare_u64(a->n_dims, b->n_dims);
    for (size_t i = 0; order == 0 && i < a->n_dims; i++)
        order = oq_compare_u64((uint64_t)a->dims[i], (uint64_t)b->dims[i]);
    return order;
}

/* By kind, then samples, then in the order of the file. */
static int compare(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    int order = compare_kinds(&a->constant->source, &b->constant->source);
    if (order == 0)
        order = memcmp(a->samples, b->samples, sizeof(a->samples));
    return order != 0 ? order
                      : oq_compare_u64(a->constant->tensor->ordinal, b->constant->tensor->ordinal);
}

static bool are_alike(const struct candidate *a, const struct candidate *b)
{
    return compare_kinds(&a->constant->source, &b->constant->source) == 0 &&
           memcmp(a->samples, b->samples, sizeof(a->samples)) == 0;
}

static bool read_samples(struct candidate *candidate, onnxq_error *error)
{
    const struct oq_tensor *tensor = candidate->constant->tensor;
    for (uint64_t i = 0; i < N_SAMPLES; i++)
        if (!oq_tensor_read_bytes(tensor, (tensor->nbytes - SAMPLE_NBYTES) / (N_SAMPLES - 1) * i,
                                  SAMPLE_NBYTES, candidate->samples[i], error))
            return false;
    return true;
}

/* Runs of the sorted list: [begin, result) are alike. */
static size_t find_end(const struct candidate *list, size_t n, size_t begin)
{
    size_t end = begin + 1;
    while (end < n && are_alike(&list[begin], &list[end]))
        end++;
    return end;
}

/* The innermost graph that both see. */
static const struct oq_graph *find_common(const struct oq_graph *a, const struct oq_graph *b)
{
    while (a != b) { /* a parent comes before its children */
        if (a->ordinal > b->ordinal)
            a = a->parent;
        else
            b = b->parent;
    }
    return a;
}

/* All that equal the first of `n` go by it; *left: those that do not, moved to the front. */
static bool join(const onnxq_plan *plan, struct candidate *list, size_t n, size_t *left,
                 onnxq_error *error)
{
    struct oq_constant *first = list[0].constant;
    const struct oq_tensor *a = first->tensor;
    *left = 0;
    for (size_t i = 1; i < n; i++) {
        struct oq_constant *other = list[i].constant;
        const struct oq_tensor *b = other->tensor;
        bool same = may_share(plan, first, other);
        if (!oq_file_compare(a->file, a->offset, b->file, b->offset, a->nbytes, &same, error))
            return false;
        if (!same) {
            list[(*left)++] = list[i];
            continue;
        }
        other->equal = first;
        first->graph = find_common(first->graph, other->graph);
    }
    return true;
}

static bool join_alike(const onnxq_plan *plan, struct candidate *list, size_t n, onnxq_error *error)
{
    for (unsigned round = 0; n > 1 && round < MAX_ROUNDS; round++) {
        size_t left;
        if (!join(plan, list, n, &left, error))
            return false;
        n = left;
    }
    return true;
}

static bool find_all(const onnxq_plan *plan, struct candidate *list, size_t n, onnxq_error *error)
{
    qsort(list, n, sizeof(*list), compare); /* samples are zeros: by kind */
    for (size_t begin = 0, end; begin < n; begin = end) {
        end = find_end(list, n, begin);
        for (size_t i = begin; end - begin > 1 && i < end; i++)
            if (!read_samples(&list[i], error))
                return false;
    }
    qsort(list, n, sizeof(*list), compare);
    for (size_t begin = 0, end; begin < n; begin = end) {
        end = find_end(list, n, begin);
        if (!join_alike(plan, list + begin, end - begin, error))
            return false;
    }
    return true;
}

bool oq_plan_find_equal(onnxq_plan *plan, onnxq_error *error)
{
    struct oq_arena arena;
    oq_arena_init(&arena, SIZE_MAX);
    size_t n = 0, capacity = 0;
    struct candidate *list = NULL;
    bool ok = true;
    for (size_t i = 0; ok && i < plan->model->n_tensors; i++) {
        plan->constants[i].equal = NULL;
        if (!is_candidate(plan, &plan->constants[i]))
            continue;
        ok = oq_arena_grow(&arena, &list, n, &capacity, sizeof(*list)) || oq_fail_memory(error);
        if (ok)
            list[n++] = (struct candidate){.constant = &plan->constants[i]};
    }
    ok = ok && (n == 0 || find_all(plan, list, n, error));
    oq_arena_fini(&arena);
    return ok;
}
