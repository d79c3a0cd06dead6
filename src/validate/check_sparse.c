/* Sparse initializers: values in a list, and where in the tensor each of them is. */
#include "base/checked.h"
#include "validate/checker.h"
#include "wire/data_type.h"

/* Numbers one after another, of as many bytes each. */
static int64_t get_index(const void *indices, size_t nbytes, uint64_t i)
{
    switch (nbytes) {
    case 1:
        return ((const int8_t *)indices)[i];
    case 2:
        return ((const int16_t *)indices)[i];
    case 4:
        return ((const int32_t *)indices)[i];
    default:
        return ((const int64_t *)indices)[i];
    }
}

/* Inside the tensor: along each axis where there is an index for each, else as one number. */
static void check_ranges(struct oq_checker *checker, const struct oq_problem_place *place,
                         const char *name, const Oq__Pb__SparseTensorProto *sparse,
                         const struct oq_tensor *indices)
{
    struct oq_arena arena;
    oq_arena_init(&arena, oq_model_budget(checker->model));
    void *scratch = oq_arena_alloc(&arena, OQ_READ_SCRATCH_NBYTES);
    void *read = oq_arena_alloc(&arena, (size_t)indices->nbytes);
    uint64_t nelem = 1, limit;
    for (size_t i = 0; i < sparse->n_dims; i++)
        if (!oq_mul_u64(nelem, (uint64_t)sparse->dims[i], &nelem))
            nelem = INT64_MAX;
    if (scratch == NULL || read == NULL)
        oq_arena_fail(&arena, checker->error);
    else if (oq_tensor_read_all(indices, read, scratch, checker->error))
        for (uint64_t i = 0; i < indices->nelem; i++) {
            const int64_t index = get_index(read, (size_t)(indices->nbytes / indices->nelem), i);
            limit = indices->n_dims == 1 || sparse->n_dims == 0
                        ? nelem
                        : (uint64_t)sparse->dims[i % sparse->n_dims];
            if (index < 0 || (uint64_t)index >= limit) {
                oq_problem(checker, place, name, "has index %lld, expected 0 to below %llu",
                           (long long)index, (unsigned long long)limit);
                break;
            }
        }
    oq_arena_fini(&arena);
}

static bool has_negative(const Oq__Pb__SparseTensorProto *sparse)
{
    for (size_t i = 0; i < sparse->n_dims; i++)
        if (sparse->dims[i] < 0)
            return true;
    return false;
}

static void check_indices(struct oq_checker *checker, const struct oq_problem_place *place,
                          const char *name, const Oq__Pb__SparseTensorProto *sparse)
{
    const Oq__Pb__TensorProto *proto = sparse->indices;
    const int64_t n = sparse->values->dims[0];
    if (proto->data_type != OQ_TYPE(INT8) && proto->data_type != OQ_TYPE(INT16) &&
        proto->data_type != OQ_TYPE(INT32) && proto->data_type != OQ_TYPE(INT64))
        oq_problem(checker, place, name, "has indices of %s, expected signed integers",
                   oq_type_name(proto->data_type));
    else if (proto->n_dims < 1 || proto->n_dims > 2 || proto->dims[0] != n ||
             (proto->n_dims == 2 && (uint64_t)proto->dims[1] != sparse->n_dims))
        oq_problem(checker, place, name, "has indices of another shape than [%lld] or [%lld,%zu]",
                   (long long)n, (long long)n, sparse->n_dims);
    else
        check_ranges(checker, place, name, sparse, oq_model_tensor(checker->model, proto));
}

void oq_check_sparse(struct oq_checker *checker, const struct oq_graph *graph)
{
    const struct oq_problem_place place = {graph, NULL};
    for (size_t i = 0; i < graph->proto->n_sparse_initializer; i++) {
        const Oq__Pb__SparseTensorProto *sparse = graph->proto->sparse_initializer[i];
        const char *name = sparse->values == NULL ? "" : oq_text_or_empty(sparse->values->name);
        if (name[0] == '\0')
            oq_problem(checker, &place, "", "a sparse initializer has no name");
        else if (has_negative(sparse))
            oq_problem(checker, &place, name, "has a negative size");
        else if (sparse->values->n_dims != 1)
            oq_problem(checker, &place, name, "has values of %zu dimensions, expected one",
                       sparse->values->n_dims);
        else if (sparse->values->dims[0] > 0 && sparse->indices == NULL)
            oq_problem(checker, &place, name, "has values, but no indices");
        else if (sparse->values->dims[0] > 0)
            check_indices(checker, &place, name, sparse);
    }
}
