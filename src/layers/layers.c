/* Goes from the sites of two models to the errors of each, and sorts them. */
#include "layers/layers.h"

#include <math.h>
#include <stdlib.h>

#include "compare/measures.h"
#include "layers/batch.h"

/* What inner values of one batch may take, and how many sites the first one has. */
#define BATCH_NBYTES  ((uint64_t)1 << 30)
#define FIRST_N_SITES 16

/* --- sums ----------------------------------------------------------------------- */

static bool init_sums(struct oq_layers_group *group, onnxq_error *error)
{
    group->sums = oq_arena_array(group->arena, group->n_layers + 1, sizeof(*group->sums));
    for (size_t i = 0; group->sums != NULL && i < group->n_layers; i++) {
        group->sums[i].effects =
            oq_arena_array(group->arena, group->n_outputs + 1, sizeof(*group->sums[i].effects));
        if (group->sums[i].effects == NULL)
            return oq_arena_fail(group->arena, error);
    }
    return group->sums != NULL || oq_arena_fail(group->arena, error);
}

/* Of the output that is hit the most; NAN where no output has floats. */
static double worst_effect(const struct oq_layers_group *group, const struct oq_layer_sums *sums)
{
    double worst = NAN;
    for (size_t i = 0; i < group->n_outputs; i++) {
        const struct oq_difference *difference = &sums->effects[i];
        if (difference->nelem == 0 && difference->n_one_sided == 0)
            continue;
        double effect = oq_measure_get(OQ_MEASURE_RELATIVE, difference);
        if (isnan(worst) || effect > worst)
            worst = effect;
    }
    return worst;
}

static void conclude(const struct oq_layers_group *group)
{
    for (size_t i = 0; i < group->n_layers; i++) {
        struct oq_layer *layer = &group->layers[i];
        const struct oq_layer_sums *sums = &group->sums[i];
        layer->added = layer->sqnr = layer->accumulated = layer->effect = NAN;
        if (layer->unmeasured == NULL && sums->added.nelem == sums->added.n_not_finite)
            layer->unmeasured = "its values are empty, or NaN or infinite in both";
        if (layer->unmeasured != NULL)
            continue;
        layer->added = oq_measure_get(OQ_MEASURE_RELATIVE, &sums->added);
        layer->sqnr = oq_measure_get(OQ_MEASURE_SQNR, &sums->added);
        layer->accumulated = oq_measure_get(OQ_MEASURE_RELATIVE, &sums->accumulated);
        if (group->no_effects == NULL)
            layer->effect = worst_effect(group, sums);
    }
}

/* --- batches -------------------------------------------------------------------- */

struct pace {
    uint64_t site_nbytes; /* of one site in one run, as far as is known; 0: not known */
    uint64_t n_done;      /* steps */
};

static size_t at_least_one(uint64_t n, size_t limit)
{
    return n < 1 ? 1 : n > limit ? limit : (size_t)n;
}

/* Runs [first, first + count). *nbytes: what their values took. */
static bool run_batch(struct oq_layers_group *group, size_t first, size_t count, uint64_t *nbytes,
                      onnxq_error *error)
{
    struct oq_batch batch = {.group = group, .first = first, .count = count};
    bool ok = oq_batch_init(&batch, error) && oq_pass_reference(&batch, error) &&
              oq_batch_choose(&batch, error) && oq_pass_apart(&batch, error) &&
              (group->is_added_only ||
               (oq_pass_candidate(&batch, error) && oq_pass_effects(&batch, error)));
    *nbytes = oq_batch_fini_arrays(batch.references, count * batch.n_values) +
              oq_batch_fini_arrays(batch.deltas, count * batch.n_made);
    oq_arena_fini(&batch.arena);
    return ok;
}

static bool run_group(struct oq_layers_group *group, struct pace *pace, onnxq_error *error)
{
    const size_t n_runs = group->setup->inputs.sets->count;
    bool ok = init_sums(group, error);
    group->n_done = pace->n_done;
    for (size_t first = 0, count; ok && first < n_runs; first += count) {
        uint64_t nbytes, batch_nbytes = pace->site_nbytes * group->n_layers;
        count = batch_nbytes == 0 ? 1 : at_least_one(BATCH_NBYTES / batch_nbytes, n_runs - first);
        ok = run_batch(group, first, count, &nbytes, error);
        pace->site_nbytes = nbytes / count / group->n_layers + 1;
    }
    pace->n_done += group->n_layers * n_runs * OQ_LAYER_STEPS;
    if (ok)
        conclude(group);
    oq_arrays_fini(&group->reference_state);
    oq_arrays_fini(&group->candidate_state);
    oq_arrays_fini(&group->deltas);
    return ok;
}

static const char **list_outputs(const onnxq_model *model, struct oq_arena *arena, size_t *n,
                                 onnxq_error *error)
{
    const Oq__Pb__GraphProto *graph = model->graphs.list[0]->proto;
    const char **outputs = oq_arena_array(arena, graph->n_output + 1, sizeof(*outputs));
    if (outputs == NULL)
        oq_arena_fail(arena, error);
    *n = graph->n_output;
    for (size_t i = 0; outputs != NULL && i < *n; i++)
        outputs[i] = graph->output[i]->name;
    return outputs;
}

static bool run_all(struct oq_layers *layers, const onnxq_model *reference,
                    const onnxq_model *candidate, const struct oq_run_setup *setup, bool added_only,
                    onnxq_error *error)
{
    struct pace pace = {0};
    struct oq_layers_group group = {.reference = reference,
                                    .candidate = candidate,
                                    .setup = setup,
                                    .arena = &layers->arena,
                                    .is_added_only = added_only};
    group.n_steps = layers->count * setup->inputs.sets->count * OQ_LAYER_STEPS;
    group.outputs = list_outputs(reference, &layers->arena, &group.n_outputs, error);
    bool ok = group.outputs != NULL;
    for (size_t first = 0; ok && first < layers->count; first += group.n_layers) {
        group.layers = layers->list + first;
        group.n_layers =
            at_least_one(pace.site_nbytes == 0 ? FIRST_N_SITES : BATCH_NBYTES / pace.site_nbytes,
                         layers->count - first);
        ok = run_group(&group, &pace, error);
    }
    layers->no_effects = group.no_effects;
    return ok;
}

/* --- ranking -------------------------------------------------------------------- */

/* What cannot be told is worse than any number, what was not measured comes last. */
static int compare_errors(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(b) - isnan(a);
    return (a < b) - (a > b);
}

static int compare_layers(const void *a, const void *b)
{
    const struct oq_layer *x = a, *y = b;
    if ((x->unmeasured != NULL) != (y->unmeasured != NULL))
        return x->unmeasured != NULL ? 1 : -1;
    int order = compare_errors(x->effect, y->effect);
    order = order != 0 ? order : compare_errors(x->added, y->added);
    /* In the order of the model. */
    return order != 0 ? order : (x->site > y->site) - (x->site < y->site);
}

static bool list_layers(struct oq_layers *layers, onnxq_error *error)
{
    layers->list = oq_arena_array(&layers->arena, layers->sites.count + 1, sizeof(*layers->list));
    if (layers->list == NULL)
        return oq_arena_fail(&layers->arena, error);
    layers->count = layers->sites.count;
    for (size_t i = 0; i < layers->count; i++) {
        layers->list[i].site = &layers->sites.list[i];
        layers->n_inside += layers->sites.list[i].n_inside;
    }
    return true;
}

struct oq_layers *oq_layers_create(const onnxq_model *reference, const onnxq_model *candidate,
                                   const struct oq_run_setup *setup, bool added_only,
                                   onnxq_error *error)
{
    struct oq_layers *layers = calloc(1, sizeof(*layers));
    if (layers == NULL) {
        oq_fail_memory(error);
        return NULL;
    }
    oq_arena_init(&layers->arena, OQ_STRUCTURE_BUDGET);
    if (oq_layer_sites_find(&layers->sites, reference, candidate, &layers->arena, error) &&
        list_layers(layers, error) &&
        run_all(layers, reference, candidate, setup, added_only, error)) {
        qsort(layers->list, layers->count, sizeof(*layers->list), compare_layers);
        return layers;
    }
    oq_layers_destroy(layers);
    return NULL;
}

void oq_layers_destroy(struct oq_layers *layers)
{
    if (layers != NULL)
        oq_arena_fini(&layers->arena);
    free(layers);
}
