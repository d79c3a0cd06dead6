/* The values that a batch of runs needs, and its sites that can be measured. */
#include "layers/batch.h"

#include <string.h>

bool oq_batch_fail(const struct oq_batch *batch, onnxq_error *error)
{
    return oq_arena_fail(&batch->arena, error);
}

bool oq_batch_advance(const struct oq_batch *batch, size_t steps, onnxq_error *error)
{
    struct oq_layers_group *group = batch->group;
    group->n_done += steps;
    return oq_run_progress(group->setup, "layers", group->n_done, group->n_steps, error);
}

struct oq_array *oq_batch_reference(const struct oq_batch *batch, size_t run, const char *name)
{
    const struct oq_batch_value *value = oq_strmap_find(&batch->values_by_name, name);
    return &batch->references[run * batch->n_values + value->number];
}

struct oq_session *oq_batch_open(const struct oq_batch *batch, const onnxq_model *model,
                                 const char *const *names, size_t n, onnxq_error *error)
{
    struct oq_probe probe;
    bool ok = oq_probe_init(&probe, model, error);
    for (size_t i = 0; ok && i < n; i++)
        ok = oq_probe_add_output(&probe, names[i], error);
    struct oq_session *session = ok ? oq_probe_open(&probe, batch->group->setup->engine,
                                                    &batch->group->setup->session, error)
                                    : NULL;
    oq_probe_fini(&probe);
    return session;
}

uint64_t oq_batch_fini_arrays(struct oq_array *arrays, size_t count)
{
    uint64_t nbytes = 0;
    for (size_t i = 0; arrays != NULL && i < count; i++) {
        nbytes += arrays[i].nbytes;
        oq_array_fini(&arrays[i]);
    }
    return nbytes;
}

/* --- values of the batch --- */

static bool is_input(const onnxq_model *model, const char *name)
{
    const struct oq_value *value = oq_graph_find(model->graphs.list[0], name);
    return value != NULL && value->origin == OQ_ORIGIN_INPUT;
}

static bool add_values(struct oq_batch *batch, const struct oq_name_list *names, onnxq_error *error)
{
    for (size_t i = 0; i < names->count; i++) {
        void **place = oq_strmap_place(&batch->values_by_name, names->list[i]);
        struct oq_batch_value *value =
            place == NULL || *place != NULL ? NULL : oq_arena_alloc(&batch->arena, sizeof(*value));
        if (place != NULL && *place != NULL)
            continue;
        if (value == NULL || !oq_arena_grow(&batch->arena, &batch->values, batch->n_values,
                                            &batch->values_capacity, sizeof(*batch->values)))
            return oq_batch_fail(batch, error);
        *value =
            (struct oq_batch_value){.name = names->list[i],
                                    .number = batch->n_values,
                                    .is_input = is_input(batch->group->reference, names->list[i])};
        *place = value;
        batch->values[batch->n_values++] = value;
    }
    return true;
}

bool oq_batch_init(struct oq_batch *batch, onnxq_error *error)
{
    struct oq_layers_group *group = batch->group;
    oq_arena_init(&batch->arena, OQ_STRUCTURE_BUDGET);
    oq_strmap_init(&batch->values_by_name, &batch->arena);
    for (size_t i = 0; i < group->n_layers; i++)
        if (!add_values(batch, &group->layers[i].site->values, error) ||
            !add_values(batch, &group->layers[i].site->inputs, error))
            return false;
    batch->references = oq_arena_array(&batch->arena, batch->count * batch->n_values + 1,
                                       sizeof(*batch->references));
    batch->sites = oq_arena_array(&batch->arena, group->n_layers + 1, sizeof(*batch->sites));
    return (batch->references != NULL && batch->sites != NULL) || oq_batch_fail(batch, error);
}

/* --- sites of the batch --- */

static const char *find_lack(const struct oq_batch *batch, const struct oq_layer_site *site)
{
    const struct oq_name_list *lists[] = {&site->values, &site->inputs};
    for (size_t l = 0; l < 2; l++) {
        for (size_t i = 0; i < lists[l]->count; i++) {
            const struct oq_batch_value *value =
                oq_strmap_find(&batch->values_by_name, lists[l]->list[i]);
            if (value->lacking != NULL)
                return value->lacking;
        }
    }
    return site->unobservable;
}

bool oq_batch_choose(struct oq_batch *batch, onnxq_error *error)
{
    struct oq_layers_group *group = batch->group;
    for (size_t i = 0; i < group->n_layers; i++) {
        struct oq_layer *layer = &group->layers[i];
        if (layer->unmeasured == NULL)
            layer->unmeasured = find_lack(batch, layer->site);
        if (layer->unmeasured != NULL)
            continue;
        batch->sites[batch->n_sites++] =
            (struct oq_batch_site){layer->site, layer, &group->sums[i], batch->n_made};
        batch->n_made += layer->site->values.count;
    }
    batch->deltas =
        oq_arena_array(&batch->arena, batch->count * batch->n_made + 1, sizeof(*batch->deltas));
    return batch->deltas != NULL || oq_batch_fail(batch, error);
}

/* --- comparing --- */

static bool have_same_shape(const struct oq_array *a, const struct oq_array *b)
{
    return a->n_dims == b->n_dims &&
           (a->n_dims == 0 || memcmp(a->dims, b->dims, a->n_dims * sizeof(*a->dims)) == 0) &&
           oq_value_class(a) == oq_value_class(b);
}

bool oq_batch_is_float(const struct oq_array *array)
{
    return oq_value_class(array) == OQ_CLASS_FLOAT;
}

bool oq_batch_compare(const struct oq_array *reference, const struct oq_array *result,
                      const struct oq_array *mask, struct oq_difference *sum)
{
    struct oq_difference difference;
    uint64_t worst;
    if (!have_same_shape(reference, result))
        return false;
    oq_compare(reference, result, oq_mask_fits(mask, result->dims, result->n_dims) ? mask : NULL,
               &difference, &worst);
    oq_difference_add(sum, &difference);
    return true;
}
