/* The second pass: each site alone, fed with what the reference has there. */
#include "layers/batch.h"

#include <string.h>

static bool list_inputs(struct oq_batch *batch, const struct oq_batch_site *sites, size_t n,
                        struct oq_name_list *inputs, onnxq_error *error)
{
    struct oq_strmap seen;
    oq_strmap_init(&seen, &batch->arena);
    for (size_t s = 0; s < n; s++) {
        const struct oq_name_list *names = &sites[s].found->inputs;
        for (size_t i = 0; i < names->count; i++) {
            void **place = oq_strmap_place(&seen, names->list[i]);
            if (place == NULL ||
                (*place == NULL && !oq_arena_grow(&batch->arena, &inputs->list, inputs->count,
                                                  &inputs->capacity, sizeof(*inputs->list))))
                return oq_batch_fail(batch, error);
            if (*place == NULL)
                inputs->list[inputs->count++] = names->list[i];
            *place = inputs;
        }
    }
    return true;
}

/* A constant that is an input, too, which the caller may give another value. */
static bool is_default(const struct oq_probe *probe, const char *name)
{
    const struct oq_value *value = oq_graph_find(probe->model->graphs.list[0], name);
    const Oq__Pb__GraphProto *graph = probe->proto->graph;
    if (value == NULL || value->origin != OQ_ORIGIN_INITIALIZER || !value->is_graph_input)
        return false;
    for (size_t i = 0; i < graph->n_initializer; i++)
        if (strcmp(graph->initializer[i]->name, name) == 0)
            return true;
    return false;
}

/* What the runs of the batch give in place of constants that are left in the probe. */
static bool add_given(struct oq_batch *batch, struct oq_probe *probe, struct oq_name_list *given,
                      onnxq_error *error)
{
    struct oq_strmap seen;
    oq_strmap_init(&seen, &batch->arena);
    for (size_t run = 0; run < batch->count; run++) {
        const struct oq_arrays *arrays =
            &batch->group->setup->inputs.sets->list[batch->first + run].inputs;
        for (size_t i = 0; i < arrays->count; i++) {
            const struct oq_array *array = &arrays->list[i];
            void **place = oq_strmap_place(&seen, array->name);
            if (place == NULL)
                return oq_batch_fail(batch, error);
            if (*place != NULL || !is_default(probe, array->name))
                continue;
            *place = given;
            if (!oq_name_list_add(given, array->name, &batch->arena))
                return oq_batch_fail(batch, error);
            if (!oq_probe_add_input(probe, array->name, array, true, error))
                return false;
        }
    }
    return true;
}

static bool put_given(const struct oq_batch *batch, struct oq_runner *runner,
                      const struct oq_name_list *given, size_t run, onnxq_error *error)
{
    const struct oq_input_set *set = &batch->group->setup->inputs.sets->list[batch->first + run];
    for (size_t i = 0; i < given->count; i++) {
        const struct oq_array *array = oq_arrays_find(&set->inputs, given->list[i]);
        if (array != NULL && !oq_runner_put(runner, given->list[i], array, error))
            return false;
    }
    return true;
}

/* The candidate's part that computes the sites; made[k] is their value number k. */
static struct oq_session *open_apart(struct oq_batch *batch, const struct oq_batch_site *sites,
                                     size_t n, const struct oq_name_list *inputs,
                                     struct oq_name_list *given, const char **made,
                                     struct oq_probe *probe, onnxq_error *error)
{
    const struct oq_layer_site **found = oq_arena_array(&batch->arena, n + 1, sizeof(*found));
    if (found == NULL)
        oq_batch_fail(batch, error);
    for (size_t s = 0; found != NULL && s < n; s++)
        found[s] = sites[s].found;
    bool ok = found != NULL && oq_probe_init(probe, batch->group->candidate, error) &&
              oq_probe_keep_sites(probe, found, n, made, error) &&
              add_given(batch, probe, given, error);
    for (size_t i = 0; ok && i < inputs->count; i++)
        ok = oq_probe_add_input(probe, inputs->list[i],
                                oq_batch_reference(batch, 0, inputs->list[i]), true, error);
    return ok ? oq_probe_open(probe, batch->group->setup->engine, &batch->group->setup->session,
                              error)
              : NULL;
}

/* delta = b - a; elements that are the same NaN or infinity do not differ. */
static bool subtract(struct oq_array *delta, const struct oq_array *a, const struct oq_array *b,
                     onnxq_error *error)
{
    double left[1024], right[1024];
    if (!oq_array_init(delta, "", a->data_type, a->dims, a->n_dims, error))
        return false;
    for (uint64_t first = 0; first < a->nelem; first += 1024) {
        size_t count = a->nelem - first < 1024 ? (size_t)(a->nelem - first) : 1024;
        oq_array_read_doubles(a, first, count, left);
        oq_array_read_doubles(b, first, count, right);
        for (size_t i = 0; i < count; i++)
            if (memcmp(&left[i], &right[i], sizeof(left[i])) != 0)
                oq_array_put_double(delta, first + i, right[i] - left[i]);
    }
    return true;
}

static bool take_apart(struct oq_batch *batch, const struct oq_session *session, size_t number,
                       const struct oq_batch_site *site, size_t k, size_t run, onnxq_error *error)
{
    const struct oq_array *reference = oq_batch_reference(batch, run, site->found->values.list[k]);
    struct oq_array result = {0};
    bool ok = oq_session_get_output(session, number, &result, error);
    if (ok && !oq_batch_compare(reference, &result, NULL, &site->sums->added))
        site->layer->unmeasured = "the candidate gives it another shape or type";
    else if (ok && oq_batch_is_float(reference))
        ok = subtract(&batch->deltas[run * batch->n_made + site->first_made + k], reference,
                      &result, error);
    oq_array_fini(&result);
    return ok;
}

static bool run_apart(struct oq_batch *batch, struct oq_runner *runner,
                      const struct oq_batch_site *sites, size_t n,
                      const struct oq_name_list *inputs, const struct oq_name_list *given,
                      size_t run, onnxq_error *error)
{
    size_t number = 0;
    oq_runner_clear(runner);
    for (size_t i = 0; i < inputs->count; i++)
        if (!oq_runner_put(runner, inputs->list[i], oq_batch_reference(batch, run, inputs->list[i]),
                           error))
            return false;
    if (!put_given(batch, runner, given, run, error) || !oq_runner_run(runner, error))
        return false;
    for (size_t s = 0; s < n; s++)
        for (size_t k = 0; k < sites[s].found->values.count; k++, number++)
            if (!take_apart(batch, runner->session, number, &sites[s], k, run, error))
                return false;
    return oq_batch_advance(batch, n, error);
}

static bool measure_apart(struct oq_batch *batch, const struct oq_batch_site *sites, size_t n,
                          onnxq_error *error)
{
    struct oq_name_list inputs = {0}, given = {0};
    struct oq_runner runner = {0};
    struct oq_probe probe = {0};
    size_t n_made = 0;
    for (size_t s = 0; s < n; s++)
        n_made += sites[s].found->values.count;
    const char **made = oq_arena_array(&batch->arena, n_made + 1, sizeof(*made));
    if (made == NULL || !list_inputs(batch, sites, n, &inputs, error))
        return oq_batch_fail(batch, error);
    struct oq_session *session = open_apart(batch, sites, n, &inputs, &given, made, &probe, error);
    bool ok =
        oq_runner_init(&runner, &batch->group->setup->inputs, session, made, n_made, NULL, error);
    for (size_t run = 0; ok && run < batch->count; run++)
        ok = run_apart(batch, &runner, sites, n, &inputs, &given, run, error);
    oq_runner_fini(&runner);
    oq_probe_fini(&probe);
    return ok;
}

/* Forgets what a run that failed half way has given. */
static void undo_apart(struct oq_batch *batch, const struct oq_batch_site *sites, size_t n,
                       const struct oq_difference *before)
{
    for (size_t s = 0; s < n; s++) {
        sites[s].sums->added = before[s];
        for (size_t run = 0; run < batch->count; run++)
            oq_batch_fini_arrays(batch->deltas + run * batch->n_made + sites[s].first_made,
                                 sites[s].found->values.count);
    }
}

static bool fail_apart(struct oq_batch *batch, const struct oq_batch_site *site, onnxq_error *error)
{
    if (error->status != ONNXQ_ERROR_INPUT)
        return false;
    site->layer->unmeasured =
        oq_arena_printf(batch->group->arena, "it does not run apart: %s", error->message);
    oq_error_init(error);
    return site->layer->unmeasured != NULL || oq_arena_fail(batch->group->arena, error);
}

/* All at once; where the engine refuses that, one by one: only those that it refuses are lost. */
static bool run_sites(struct oq_batch *batch, const struct oq_batch_site *sites, size_t n,
                      onnxq_error *error)
{
    struct oq_difference *before = oq_arena_array(&batch->arena, n + 1, sizeof(*before));
    if (before == NULL)
        return oq_batch_fail(batch, error);
    for (size_t s = 0; s < n; s++)
        before[s] = sites[s].sums->added;
    if (n == 0 || measure_apart(batch, sites, n, error))
        return true;
    undo_apart(batch, sites, n, before);
    if (n == 1)
        return fail_apart(batch, sites, error);
    if (error->status != ONNXQ_ERROR_INPUT)
        return false;
    oq_error_init(error);
    for (size_t s = 0; s < n; s++)
        if (!run_sites(batch, &sites[s], 1, error))
            return false;
    return true;
}

bool oq_pass_apart(struct oq_batch *batch, onnxq_error *error)
{
    return run_sites(batch, batch->sites, batch->n_sites, error);
}
