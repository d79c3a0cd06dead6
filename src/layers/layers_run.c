/* The passes over batches of sites: reference, candidate, each site alone, its effect. */
#include "layers/layers_run.h"

#include <stdlib.h>
#include <string.h>

#include "layers/probe.h"
#include "run/runner.h"

/* Below this opset Add does not broadcast. */
#define OPSET_BROADCAST 7

/* A value that sites of the batch make or read. */
struct slot {
    const char *name;
    size_t number;
    bool is_input;       /* of the model */
    const char *lacking; /* why there is no array of it, or NULL */
};

/* A site that is measured. */
struct member {
    const struct oq_layer_site *site;
    struct oq_layer *layer;
    struct oq_layer_sums *sums;
    size_t first_value; /* of its values among those of all members */
};

struct batch {
    struct oq_layers_group *group;
    const struct oq_layers_options *options;
    size_t first, count; /* runs */
    struct oq_arena arena;
    struct oq_strmap slots_by_name;
    struct slot **slots;
    size_t n_slots, slots_capacity;
    struct oq_array *references; /* [count][n_slots] */
    struct member *members;
    size_t n_members, n_values;
    struct oq_array *deltas; /* [count][n_values]: what the results are off; not made where they
                                are no floats */
};

static bool out_of_memory(const struct batch *batch, onnxq_error *error)
{
    return oq_arena_fail(&batch->arena, error);
}

static void advance(const struct batch *batch, size_t steps)
{
    const struct oq_layers_options *options = batch->options;
    struct oq_layers_group *group = batch->group;
    group->n_done += steps;
    if (options->progress != NULL)
        options->progress(options->progress_data, group->n_done, group->n_steps);
}

static struct oq_array *reference_of(const struct batch *batch, size_t run, const char *name)
{
    const struct slot *slot = oq_strmap_find(&batch->slots_by_name, name);
    return &batch->references[run * batch->n_slots + slot->number];
}

/* --- which values --------------------------------------------------------------- */

static bool is_input(const onnxq_model *model, const char *name)
{
    const struct oq_value *value = oq_graph_find(model->graphs.list[0], name);
    return value != NULL && value->origin == OQ_ORIGIN_INPUT;
}

static bool add_slots(struct batch *batch, const struct oq_name_list *names, onnxq_error *error)
{
    for (size_t i = 0; i < names->count; i++) {
        void **place = oq_strmap_place(&batch->slots_by_name, names->list[i]);
        struct slot *slot =
            place == NULL || *place != NULL ? NULL : oq_arena_alloc(&batch->arena, sizeof(*slot));
        if (place != NULL && *place != NULL)
            continue;
        if (slot == NULL || !oq_arena_grow(&batch->arena, &batch->slots, batch->n_slots,
                                           &batch->slots_capacity, sizeof(*batch->slots)))
            return out_of_memory(batch, error);
        *slot = (struct slot){.name = names->list[i],
                              .number = batch->n_slots,
                              .is_input = is_input(batch->options->reference, names->list[i])};
        *place = slot;
        batch->slots[batch->n_slots++] = slot;
    }
    return true;
}

static bool init_batch(struct batch *batch, onnxq_error *error)
{
    struct oq_layers_group *group = batch->group;
    oq_arena_init(&batch->arena, OQ_STRUCTURE_BUDGET);
    oq_strmap_init(&batch->slots_by_name, &batch->arena);
    for (size_t i = 0; i < group->n_layers; i++)
        if (!add_slots(batch, &group->layers[i].site->values, error) ||
            !add_slots(batch, &group->layers[i].site->inputs, error))
            return false;
    batch->references = oq_arena_array(&batch->arena, batch->count * batch->n_slots + 1,
                                       sizeof(*batch->references));
    batch->members = oq_arena_array(&batch->arena, group->n_layers + 1, sizeof(*batch->members));
    return (batch->references != NULL && batch->members != NULL) || out_of_memory(batch, error);
}

static uint64_t fini_arrays(struct oq_array *arrays, size_t count)
{
    uint64_t nbytes = 0;
    for (size_t i = 0; arrays != NULL && i < count; i++) {
        nbytes += arrays[i].nbytes;
        oq_array_fini(&arrays[i]);
    }
    return nbytes;
}

/* --- the reference -------------------------------------------------------------- */

/* Names of slots that the model computes. */
static const char **computed_names(struct batch *batch, size_t *n, onnxq_error *error)
{
    const char **names = oq_arena_array(&batch->arena, batch->n_slots + 1, sizeof(*names));
    *n = 0;
    for (size_t i = 0; names != NULL && i < batch->n_slots; i++)
        if (!batch->slots[i]->is_input)
            names[(*n)++] = batch->slots[i]->name;
    if (names == NULL)
        out_of_memory(batch, error);
    return names;
}

static struct oq_session *open_with_outputs(const struct batch *batch, const onnxq_model *model,
                                            const char *const *names, size_t n, onnxq_error *error)
{
    struct oq_probe probe;
    bool ok = oq_probe_init(&probe, model, error);
    for (size_t i = 0; ok && i < n; i++)
        ok = oq_probe_add_output(&probe, names[i], error);
    struct oq_session *session =
        ok ? oq_probe_open(&probe, batch->options->engine, batch->options->session, error) : NULL;
    oq_probe_fini(&probe);
    return session;
}

/* A value that is no tensor is no failure: the sites that need it are not measured. */
static bool keep_output(const struct oq_session *session, size_t number, struct slot *slot,
                        struct oq_array *array, onnxq_error *error)
{
    if (oq_session_get_output(session, number, array, error))
        return true;
    oq_array_fini(array);
    if (error->status != ONNXQ_ERROR_INPUT)
        return false;
    oq_error_init(error);
    slot->lacking = "it has values that are no tensors";
    return true;
}

static bool keep_input(const struct oq_runner *runner, struct slot *slot, struct oq_array *array,
                       onnxq_error *error)
{
    const struct oq_array *input = oq_runner_find_input(runner, slot->name);
    if (input != NULL)
        return oq_array_copy(array, input, error);
    slot->lacking = "it reads an input that is not given";
    return true;
}

static bool keep_references(struct batch *batch, const struct oq_runner *runner, size_t run,
                            onnxq_error *error)
{
    struct oq_array *arrays = batch->references + run * batch->n_slots;
    size_t number = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < batch->n_slots; i++) {
        struct slot *slot = batch->slots[i];
        ok = slot->is_input ? keep_input(runner, slot, &arrays[i], error)
                            : keep_output(runner->session, number++, slot, &arrays[i], error);
    }
    return ok;
}

static bool run_reference(struct batch *batch, onnxq_error *error)
{
    struct oq_runner runner = {0};
    size_t n;
    const char **names = computed_names(batch, &n, error);
    if (names == NULL)
        return false;
    struct oq_session *session =
        open_with_outputs(batch, batch->options->reference, names, n, error);
    bool ok = oq_runner_init(&runner, batch->options->inputs, session, names, n,
                             &batch->group->reference, error);
    for (size_t s = 0; ok && s < batch->count; s++) {
        ok = oq_runner_put_set(&runner, batch->first + s, error) && oq_runner_run(&runner, error) &&
             keep_references(batch, &runner, s, error) && oq_runner_carry(&runner, error);
        advance(batch, batch->group->n_layers);
    }
    oq_runner_fini(&runner);
    return ok;
}

/* --- sites apart ---------------------------------------------------------------- */

static const char *find_lack(const struct batch *batch, const struct oq_layer_site *site)
{
    const struct oq_name_list *lists[] = {&site->values, &site->inputs};
    for (size_t l = 0; l < 2; l++) {
        for (size_t i = 0; i < lists[l]->count; i++) {
            const struct slot *slot = oq_strmap_find(&batch->slots_by_name, lists[l]->list[i]);
            if (slot->lacking != NULL)
                return slot->lacking;
        }
    }
    return site->unobservable;
}

/* All sites but those that cannot be measured, now or in an earlier batch. */
static bool choose_members(struct batch *batch, onnxq_error *error)
{
    struct oq_layers_group *group = batch->group;
    for (size_t i = 0; i < group->n_layers; i++) {
        struct oq_layer *layer = &group->layers[i];
        if (layer->unmeasured == NULL)
            layer->unmeasured = find_lack(batch, layer->site);
        if (layer->unmeasured != NULL)
            continue;
        batch->members[batch->n_members++] =
            (struct member){layer->site, layer, &group->sums[i], batch->n_values};
        batch->n_values += layer->site->values.count;
    }
    batch->deltas =
        oq_arena_array(&batch->arena, batch->count * batch->n_values + 1, sizeof(*batch->deltas));
    return batch->deltas != NULL || out_of_memory(batch, error);
}

static bool list_inputs(struct batch *batch, const struct member *members, size_t n,
                        struct oq_name_list *inputs, onnxq_error *error)
{
    struct oq_strmap seen;
    oq_strmap_init(&seen, &batch->arena);
    for (size_t m = 0; m < n; m++) {
        const struct oq_name_list *names = &members[m].site->inputs;
        for (size_t i = 0; i < names->count; i++) {
            void **place = oq_strmap_place(&seen, names->list[i]);
            if (place == NULL ||
                (*place == NULL && !oq_arena_grow(&batch->arena, &inputs->list, inputs->count,
                                                  &inputs->capacity, sizeof(*inputs->list))))
                return out_of_memory(batch, error);
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
static bool add_given(struct batch *batch, struct oq_probe *probe, struct oq_name_list *given,
                      onnxq_error *error)
{
    struct oq_strmap seen;
    oq_strmap_init(&seen, &batch->arena);
    for (size_t s = 0; s < batch->count; s++) {
        const struct oq_arrays *arrays =
            &batch->options->inputs->sets->list[batch->first + s].inputs;
        for (size_t i = 0; i < arrays->count; i++) {
            const struct oq_array *array = &arrays->list[i];
            void **place = oq_strmap_place(&seen, array->name);
            if (place == NULL)
                return out_of_memory(batch, error);
            if (*place != NULL || !is_default(probe, array->name))
                continue;
            *place = given;
            if (!oq_name_list_add(given, array->name, &batch->arena))
                return out_of_memory(batch, error);
            if (!oq_probe_add_input(probe, array->name, array, true, error))
                return false;
        }
    }
    return true;
}

static bool put_given(const struct batch *batch, struct oq_runner *runner,
                      const struct oq_name_list *given, size_t run, onnxq_error *error)
{
    const struct oq_input_set *set = &batch->options->inputs->sets->list[batch->first + run];
    for (size_t i = 0; i < given->count; i++) {
        const struct oq_array *array = oq_arrays_find(&set->inputs, given->list[i]);
        if (array != NULL && !oq_runner_put(runner, given->list[i], array, error))
            return false;
    }
    return true;
}

/* The candidate's part that computes the members; made[k] is their value number k. */
static struct oq_session *open_apart(struct batch *batch, const struct member *members, size_t n,
                                     const struct oq_name_list *inputs, struct oq_name_list *given,
                                     const char **made, struct oq_probe *probe, onnxq_error *error)
{
    const struct oq_layer_site **sites = oq_arena_array(&batch->arena, n + 1, sizeof(*sites));
    if (sites == NULL)
        out_of_memory(batch, error);
    for (size_t m = 0; sites != NULL && m < n; m++)
        sites[m] = members[m].site;
    bool ok = sites != NULL && oq_probe_init(probe, batch->options->candidate, error) &&
              oq_probe_keep_sites(probe, sites, n, made, error) &&
              add_given(batch, probe, given, error);
    for (size_t i = 0; ok && i < inputs->count; i++)
        ok = oq_probe_add_input(probe, inputs->list[i], reference_of(batch, 0, inputs->list[i]),
                                true, error);
    return ok ? oq_probe_open(probe, batch->options->engine, batch->options->session, error) : NULL;
}

static bool have_same_shape(const struct oq_array *a, const struct oq_array *b)
{
    return a->n_dims == b->n_dims &&
           (a->n_dims == 0 || memcmp(a->dims, b->dims, a->n_dims * sizeof(*a->dims)) == 0) &&
           oq_value_class(a) == oq_value_class(b);
}

static bool is_float(const struct oq_array *array)
{
    return oq_value_class(array) == OQ_CLASS_FLOAT;
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

/* Adds what `result` is off to the sum. */
static bool compare(const struct oq_array *reference, const struct oq_array *result,
                    const struct oq_array *mask, struct oq_difference *sum)
{
    struct oq_difference difference;
    uint64_t worst;
    if (!have_same_shape(reference, result))
        return false;
    oq_compare(reference, result, oq_mask_fits(mask, result) ? mask : NULL, &difference, &worst);
    oq_difference_add(sum, &difference);
    return true;
}

static bool take_apart(struct batch *batch, const struct oq_session *session, size_t number,
                       const struct member *member, size_t k, size_t run, onnxq_error *error)
{
    const struct oq_array *reference = reference_of(batch, run, member->site->values.list[k]);
    struct oq_array result = {0};
    bool ok = oq_session_get_output(session, number, &result, error);
    if (ok && !compare(reference, &result, NULL, &member->sums->added))
        member->layer->unmeasured = "the candidate gives it another shape or type";
    else if (ok && is_float(reference))
        ok = subtract(&batch->deltas[run * batch->n_values + member->first_value + k], reference,
                      &result, error);
    oq_array_fini(&result);
    return ok;
}

static bool run_apart(struct batch *batch, struct oq_runner *runner, const struct member *members,
                      size_t n, const struct oq_name_list *inputs, const struct oq_name_list *given,
                      size_t run, onnxq_error *error)
{
    size_t number = 0;
    oq_runner_clear(runner);
    for (size_t i = 0; i < inputs->count; i++)
        if (!oq_runner_put(runner, inputs->list[i], reference_of(batch, run, inputs->list[i]),
                           error))
            return false;
    if (!put_given(batch, runner, given, run, error) || !oq_runner_run(runner, error))
        return false;
    for (size_t m = 0; m < n; m++)
        for (size_t k = 0; k < members[m].site->values.count; k++, number++)
            if (!take_apart(batch, runner->session, number, &members[m], k, run, error))
                return false;
    advance(batch, n);
    return true;
}

static bool measure_apart(struct batch *batch, const struct member *members, size_t n,
                          onnxq_error *error)
{
    struct oq_name_list inputs = {0}, given = {0};
    struct oq_runner runner = {0};
    struct oq_probe probe = {0};
    size_t n_values = 0;
    for (size_t m = 0; m < n; m++)
        n_values += members[m].site->values.count;
    const char **made = oq_arena_array(&batch->arena, n_values + 1, sizeof(*made));
    if (made == NULL || !list_inputs(batch, members, n, &inputs, error))
        return out_of_memory(batch, error);
    struct oq_session *session =
        open_apart(batch, members, n, &inputs, &given, made, &probe, error);
    bool ok = oq_runner_init(&runner, batch->options->inputs, session, made, n_values, NULL, error);
    for (size_t s = 0; ok && s < batch->count; s++)
        ok = run_apart(batch, &runner, members, n, &inputs, &given, s, error);
    oq_runner_fini(&runner);
    oq_probe_fini(&probe);
    return ok;
}

/* Forgets what a run that failed half way has given. */
static void undo_apart(struct batch *batch, const struct member *members, size_t n,
                       const struct oq_difference *before)
{
    for (size_t m = 0; m < n; m++) {
        members[m].sums->added = before[m];
        for (size_t s = 0; s < batch->count; s++)
            fini_arrays(batch->deltas + s * batch->n_values + members[m].first_value,
                        members[m].site->values.count);
    }
}

static bool fail_apart(struct batch *batch, const struct member *member, onnxq_error *error)
{
    if (error->status != ONNXQ_ERROR_INPUT)
        return false;
    member->layer->unmeasured =
        oq_arena_printf(batch->group->arena, "it does not run apart: %s", error->message);
    oq_error_init(error);
    return member->layer->unmeasured != NULL || oq_arena_fail(batch->group->arena, error);
}

/* All at once; where the engine refuses that, one by one: only those that it refuses are lost. */
static bool run_members(struct batch *batch, const struct member *members, size_t n,
                        onnxq_error *error)
{
    struct oq_difference *before = oq_arena_array(&batch->arena, n + 1, sizeof(*before));
    if (before == NULL)
        return out_of_memory(batch, error);
    for (size_t m = 0; m < n; m++)
        before[m] = members[m].sums->added;
    if (n == 0 || measure_apart(batch, members, n, error))
        return true;
    undo_apart(batch, members, n, before);
    if (n == 1)
        return fail_apart(batch, members, error);
    if (error->status != ONNXQ_ERROR_INPUT)
        return false;
    oq_error_init(error);
    for (size_t m = 0; m < n; m++)
        if (!run_members(batch, &members[m], 1, error))
            return false;
    return true;
}

/* --- the candidate -------------------------------------------------------------- */

static bool take_accumulated(struct batch *batch, const struct oq_session *session, size_t number,
                             const struct member *member, size_t k, size_t run, onnxq_error *error)
{
    struct oq_array result = {0};
    bool ok = oq_session_get_output(session, number, &result, error);
    if (ok && !compare(reference_of(batch, run, member->site->values.list[k]), &result, NULL,
                       &member->sums->accumulated))
        member->layer->unmeasured = "the candidate gives it another shape or type";
    oq_array_fini(&result);
    return ok;
}

static bool take_all_accumulated(struct batch *batch, const struct oq_session *session, size_t run,
                                 onnxq_error *error)
{
    size_t number = 0;
    for (size_t m = 0; m < batch->n_members; m++)
        for (size_t k = 0; k < batch->members[m].site->values.count; k++, number++)
            if (!take_accumulated(batch, session, number, &batch->members[m], k, run, error))
                return false;
    advance(batch, batch->n_members);
    return true;
}

static bool run_candidate(struct batch *batch, onnxq_error *error)
{
    struct oq_runner runner = {0};
    const char **names = oq_arena_array(&batch->arena, batch->n_values + 1, sizeof(*names));
    size_t n = 0;
    if (names == NULL)
        return out_of_memory(batch, error);
    for (size_t m = 0; m < batch->n_members; m++)
        for (size_t k = 0; k < batch->members[m].site->values.count; k++)
            names[n++] = batch->members[m].site->values.list[k];
    struct oq_session *session =
        open_with_outputs(batch, batch->options->candidate, names, n, error);
    bool ok = oq_runner_init(&runner, batch->options->inputs, session, names, n,
                             &batch->group->candidate, error);
    for (size_t s = 0; ok && s < batch->count; s++)
        ok = oq_runner_put_set(&runner, batch->first + s, error) && oq_runner_run(&runner, error) &&
             take_all_accumulated(batch, runner.session, s, error) &&
             oq_runner_carry(&runner, error);
    oq_runner_fini(&runner);
    return ok;
}

/* --- effects on the outputs ----------------------------------------------------- */

/* The reference, with an input for each value that is added to it. */
struct changed {
    struct batch *batch;
    struct oq_probe probe;
    struct oq_runner runner;
    const char **inputs;     /* [values of the batch]: NULL where it has none */
    struct oq_array *zeros;  /* [values]: scalars of their types */
    struct oq_array *before; /* [outputs]: without any change */
};

static bool has_deltas(const struct batch *batch, const struct member *member)
{
    for (size_t k = 0; k < member->site->values.count; k++)
        if (batch->deltas[member->first_value + k].data == NULL)
            return false;
    return member->layer->unmeasured == NULL;
}

static bool add_inputs(struct changed *changed, const struct member *member, onnxq_error *error)
{
    const struct batch *batch = changed->batch;
    for (size_t k = 0; k < member->site->values.count; k++) {
        size_t v = member->first_value + k;
        const struct oq_array *like = &batch->deltas[v];
        if (!oq_array_init(&changed->zeros[v], "", like->data_type, NULL, 0, error))
            return false;
        changed->inputs[v] =
            oq_probe_add_delta(&changed->probe, member->site->values.list[k], like, error);
        if (changed->inputs[v] == NULL)
            return false;
    }
    return true;
}

static bool open_changed(struct changed *changed, onnxq_error *error)
{
    struct batch *batch = changed->batch;
    const struct oq_layers_group *group = batch->group;
    changed->inputs = oq_arena_array(&batch->arena, batch->n_values + 1, sizeof(*changed->inputs));
    changed->zeros = oq_arena_array(&batch->arena, batch->n_values + 1, sizeof(*changed->zeros));
    changed->before = oq_arena_array(&batch->arena, group->n_outputs + 1, sizeof(*changed->before));
    if (changed->inputs == NULL || changed->zeros == NULL || changed->before == NULL)
        return out_of_memory(batch, error);
    bool ok = oq_probe_init(&changed->probe, batch->options->reference, error);
    for (size_t m = 0; ok && m < batch->n_members; m++)
        ok = !has_deltas(batch, &batch->members[m]) ||
             add_inputs(changed, &batch->members[m], error);
    struct oq_session *session =
        ok ? oq_probe_open(&changed->probe, batch->options->engine, batch->options->session, error)
           : NULL;
    return oq_runner_init(&changed->runner, batch->options->inputs, session, group->outputs,
                          group->n_outputs, &batch->group->deltas, error);
}

static void close_changed(struct changed *changed)
{
    oq_runner_fini(&changed->runner);
    fini_arrays(changed->before, changed->batch->group->n_outputs);
    fini_arrays(changed->zeros, changed->batch->n_values);
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
    const struct batch *batch = changed->batch;
    if (!oq_runner_put_set(&changed->runner, batch->first + run, error))
        return false;
    for (size_t v = 0; v < batch->n_values; v++)
        if (changed->inputs[v] != NULL &&
            !oq_runner_put(&changed->runner, changed->inputs[v], &changed->zeros[v], error))
            return false;
    return oq_runner_run(&changed->runner, error) && take_before(changed, error);
}

static bool put_member(struct changed *changed, const struct member *member,
                       const struct oq_array *arrays, onnxq_error *error)
{
    for (size_t k = 0; k < member->site->values.count; k++) {
        size_t v = member->first_value + k;
        if (!oq_runner_put(&changed->runner, changed->inputs[v], &arrays[v], error))
            return false;
    }
    return true;
}

static bool take_effects(struct changed *changed, const struct member *member, size_t run,
                         onnxq_error *error)
{
    const struct batch *batch = changed->batch;
    const struct oq_array *mask = oq_run_inputs_mask(batch->options->inputs, batch->first + run);
    for (size_t i = 0; i < changed->batch->group->n_outputs; i++) {
        struct oq_array after = {0};
        if (changed->before[i].data == NULL || !is_float(&changed->before[i]))
            continue;
        bool ok = oq_session_get_output(changed->runner.session, i, &after, error);
        /* Of another shape: how many are found, say, hangs on the values. */
        if (ok && !compare(&changed->before[i], &after, mask, &member->sums->effects[i]))
            member->sums->effects[i].n_one_sided++;
        oq_array_fini(&after);
        if (!ok)
            return false;
    }
    return true;
}

static bool run_member(struct changed *changed, const struct member *member, size_t run,
                       onnxq_error *error)
{
    const struct batch *batch = changed->batch;
    return !has_deltas(batch, member) ||
           (put_member(changed, member, batch->deltas + run * batch->n_values, error) &&
            oq_runner_run(&changed->runner, error) && take_effects(changed, member, run, error) &&
            put_member(changed, member, changed->zeros, error));
}

static bool run_changed(struct changed *changed, size_t run, onnxq_error *error)
{
    const struct batch *batch = changed->batch;
    struct oq_arrays next = {0};
    bool ok =
        run_unchanged(changed, run, error) && oq_runner_get_carried(&changed->runner, &next, error);
    for (size_t m = 0; ok && m < batch->n_members; m++) {
        ok = run_member(changed, &batch->members[m], run, error);
        advance(batch, 1);
    }
    if (ok)
        oq_runner_go_on(&changed->runner, &next);
    oq_arrays_fini(&next);
    return ok;
}

/* An engine that refuses the changed model is no failure: what is known without it stays. */
static bool give_up_effects(struct batch *batch, onnxq_error *error)
{
    struct oq_layers_group *group = batch->group;
    if (error->status != ONNXQ_ERROR_INPUT)
        return false;
    group->no_effects = oq_arena_strdup(group->arena, error->message);
    oq_error_init(error);
    return group->no_effects != NULL || oq_arena_fail(group->arena, error);
}

static bool measure_effects(struct batch *batch, onnxq_error *error)
{
    struct changed changed = {.batch = batch};
    struct oq_layers_group *group = batch->group;
    if (batch->options->reference->opset < OPSET_BROADCAST)
        group->no_effects = "the reference's opset is below 7";
    if (group->no_effects != NULL || batch->n_members == 0)
        return true;
    bool ok = open_changed(&changed, error);
    for (size_t s = 0; ok && s < batch->count; s++)
        ok = run_changed(&changed, s, error);
    close_changed(&changed);
    return ok || give_up_effects(batch, error);
}

/* --- all of it ------------------------------------------------------------------ */

bool oq_layers_run_batch(struct oq_layers_group *group, size_t first, size_t count,
                         uint64_t *nbytes, onnxq_error *error)
{
    struct batch batch = {
        .group = group, .options = group->options, .first = first, .count = count};
    bool ok = init_batch(&batch, error) && run_reference(&batch, error) &&
              choose_members(&batch, error) &&
              run_members(&batch, batch.members, batch.n_members, error) &&
              run_candidate(&batch, error) && measure_effects(&batch, error);
    *nbytes = fini_arrays(batch.references, count * batch.n_slots) +
              fini_arrays(batch.deltas, count * batch.n_values);
    oq_arena_fini(&batch.arena);
    return ok;
}
