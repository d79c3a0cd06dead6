/* Small constants, read as a whole. */
#include "quantize/activations/activations.h"
#include "wire/data_type.h"

const struct oq_constant *oq_find_small_constant(const onnxq_plan *plan, const char *name)
{
    const struct oq_constant *constant = oq_plan_constant(plan, plan->model->graphs.list[0], name);
    bool fits = constant != NULL && !constant->is_ambiguous &&
                !oq_plan_is_overridable(plan, constant) &&
                constant->source.data_type == OQ_TYPE(FLOAT) && constant->source.nelem > 0 &&
                constant->source.nelem <= OQ_SMALL_CONSTANT_NELEM;
    return fits ? constant : NULL;
}

bool oq_small_constant(onnxq_plan *plan, const char *name, const float **values,
                       const struct oq_source **source, onnxq_error *error)
{
    const struct oq_constant *constant = oq_find_small_constant(plan, name);
    *values = NULL;
    *source = NULL;
    if (constant == NULL)
        return true;
    size_t n = (size_t)constant->source.nelem;
    float *floats = oq_arena_array(&plan->arena, n, sizeof(*floats));
    struct oq_arena scratch;
    oq_arena_init(&scratch, SIZE_MAX);
    void *room = oq_arena_alloc(&scratch, OQ_READ_SCRATCH_NBYTES);
    bool ok =
        floats != NULL ? room != NULL || oq_fail_memory(error) : oq_arena_fail(&plan->arena, error);
    ok = ok && oq_source_read_floats(&constant->source, 0, n, floats, room, error);
    oq_arena_fini(&scratch);
    *values = ok ? floats : NULL;
    *source = &constant->source;
    return ok;
}
