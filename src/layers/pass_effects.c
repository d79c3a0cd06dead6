/* The fourth pass: the reference with the error of one site at a time, and what becomes of outputs.
 */
#include "layers/batch.h"

/* Below this opset Add does not broadcast. */
#define OPSET_BROADCAST 7

/* The reference, with an input for each value that is added to it. */
struct changed {
    struct oq_batch *batch;
    struct oq_probe probe;
    struct oq_runner runner;
    const char **inputs;     /* [values of the batch]: NULL where it has none */
    struct oq_array *zeros;  /* [values]: scalars of their types */
    struct oq_array *before; /* [outputs]: without any change */
};

static bool has_deltas(const struct oq_batch *batch, const struct oq_batch_site *site)
{
    for (size_t k = 0; k < site->found->values.count; k++)
        if (batch->deltas[site->first_made + k].data == NULL)
            return false;
    return site->layer->unmeasured == NULL;
}

static bool add_inputs(struct changed *changed, const struct oq_batch_site *site,
                       onnxq_error *error)
{
    const struct oq_batch *batch = changed->batch;
    for (size_t k = 0; k < site->found->values.count; k++) {
        size_t v = site->first_made + k;
        const struct oq_array *like = &batch->deltas[v];
        if (!oq_array_init(&changed->zeros[v], "", like->data_type, NULL, 0, error))
            return false;
        changed->inputs[v] =
            oq_probe_add_delta(&changed->probe, site->found->values.list[k], like, error);
        if (changed->inputs[v] == NULL)
            return false;
    }
    return true;
}

static bool open_changed(struct changed *changed, onnxq_error *error)
{
    struct oq_batch *batch = changed->batch;
    const struct oq_layers_group *group = batch->group;
    changed->inputs = oq_arena_array(&batch->arena, batch->n_made + 1, sizeof(*changed->inputs));
    changed->zeros = oq_arena_array(&batch->arena, batch->n_made + 1, sizeof(*changed->zeros));
    changed->before = oq_arena_array(&batch->arena, group->n_outputs + 1, sizeof(*changed->before));
    if (changed->inputs == NULL || changed->zeros == NULL || changed->before == NULL)
        return oq_batch_fail(batch, error);
    bool ok = oq_probe_init(&changed->probe, batch->group->reference, error);
    for (size_t s = 0; ok && s < batch->n_sites; s++)
        ok = !has_deltas(batch, &batch->sites[s]) || add_inputs(changed, &batch->sites[s], error);
    struct oq_session *session = ok ? oq_probe_open(&changed->probe, batch->group->setup->engine,
                                                    &batch->group->setup->session, error)
                                    : NULL;
    return oq_runner_init(&changed->runner, &batch->group->setup->inputs, session, group->outputs,
                          group->n_outputs, &batch->group->deltas, error);
}

static void close_changed(struct changed *changed)
{
    oq_runner_fini(&changed->runner);
    oq_batch_fini_arrays(changed->before, changed->batch->group->n_outputs);
    oq_batch_fini_arrays(changed->zeros, changed->batch->n_made);
    oq_probe_fini(&changed->probe);
}

/* Outputs that are no tensors are left out. */
static bool take_before(struct changed *changed, onnxq_error *error)
{
    for (size_t i = 0; i < changed->batch->group->n_outputs; i++) {
        oq_array_fini(&changed->before[i]);
        if (!oq_session_get_output(changed->runner.session, i, &changed->before[i], error)) {
            oq_array_fini(&changed->before[i]);
            if (error->status != ONNXQ_ERROR_INPUT)
                return false;
            oq_error_init(error);
        }
    }
    return true;
}

static bool run_unchanged(struct changed *changed, size_t run, onnxq_error *error)
{
    const struct oq_batch *batch = changed->batch;
    if (!oq_runner_put_set(&changed->runner, batch->first + run, error))
        return false;
    for (size_t v = 0; v < batch->n_made; v++)
        if (changed->inputs[v] != NULL &&
            !oq_runner_put(&changed->runner, changed->inputs[v], &changed->zeros[v], error))
            return false;
    return oq_runner_run(&changed->runner, error) && take_before(changed, error);
}

static bool put_site(struct changed *changed, const struct oq_batch_site *site,
                     const struct oq_array *arrays, onnxq_error *error)
{
    for (size_t k = 0; k < site->found->values.count; k++) {
        size_t v = site->first_made + k;
        if (!oq_runner_put(&changed->runner, changed->inputs[v], &arrays[v], error))
            return false;
    }
    return true;
}

static bool take_effects(struct changed *changed, const struct oq_batch_site *site, size_t run,
                         onnxq_error *error)
{
    const struct oq_batch *batch = changed->batch;
    const struct oq_array *mask =
        oq_run_inputs_mask(&batch->group->setup->inputs, batch->first + run);
    for (size_t i = 0; i < changed->batch->group->n_outputs; i++) {
        struct oq_array after = {0};
        if (changed->before[i].data == NULL || !oq_batch_is_float(&changed->before[i]))
            continue;
        bool ok = oq_session_get_output(changed->runner.session, i, &after, error);
        /* Of another shape: how many are found, say, hangs on the values. */
        if (ok && !oq_batch_compare(&changed->before[i], &after, mask, &site->sums->effects[i]))
            site->sums->effects[i].n_one_sided++;
        oq_array_fini(&after);
        if (!ok)
            return false;
    }
    return true;
}

static bool run_site(struct changed *changed, const struct oq_batch_site *site, size_t run,
                     onnxq_error *error)
{
    const struct oq_batch *batch = changed->batch;
    return !has_deltas(batch, site) ||
           (put_site(changed, site, batch->deltas + run * batch->n_made, error) &&
            oq_runner_run(&changed->runner, error) && take_effects(changed, site, run, error) &&
            put_site(changed, site, changed->zeros, error));
}

static bool run_changed(struct changed *changed, size_t run, onnxq_error *error)
{
    const struct oq_batch *batch = changed->batch;
    struct oq_arrays next = {0};
    bool ok =
        run_unchanged(changed, run, error) && oq_runner_get_carried(&changed->runner, &next, error);
    for (size_t s = 0; ok && s < batch->n_sites; s++)
        ok = run_site(changed, &batch->sites[s], run, error) && oq_batch_advance(batch, 1, error);
    if (ok)
        oq_runner_go_on(&changed->runner, &next);
    oq_arrays_fini(&next);
    return ok;
}

/* An engine that refuses the changed model is no failure: what is known without it stays. */
static bool give_up_effects(struct oq_batch *batch, onnxq_error *error)
{
    struct oq_layers_group *group = batch->group;
    if (error->status != ONNXQ_ERROR_INPUT)
        return false;
    group->no_effects = oq_arena_strdup(group->arena, error->message);
    oq_error_init(error);
    return group->no_effects != NULL || oq_arena_fail(group->arena, error);
}

bool oq_pass_effects(struct oq_batch *batch, onnxq_error *error)
{
    struct changed changed = {.batch = batch};
    struct oq_layers_group *group = batch->group;
    if (batch->group->reference->opset < OPSET_BROADCAST)
        group->no_effects = "the reference's opset is below 7";
    if (group->no_effects != NULL || batch->n_sites == 0)
        return true;
    bool ok = open_changed(&changed, error);
    for (size_t run = 0; ok && run < batch->count; run++)
        ok = run_changed(&changed, run, error);
    close_changed(&changed);
    return ok || give_up_effects(batch, error);
}
