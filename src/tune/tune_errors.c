/* What each form of each site makes of the outputs: a model in one form, site by site. */
#include <math.h>

#include "base/clock.h"
#include "layers/layers.h"
#include "tune/tuning.h"

struct oq_tune_site *oq_tuning_find_site(struct oq_tune *tune, const char *node)
{
    for (size_t i = 0; i < tune->n_sites; i++)
        if (strcmp(tune->sites[i].node, node) == 0)
            return &tune->sites[i];
    return NULL;
}

static bool has_form(const struct oq_tune *tune, int form)
{
    for (size_t i = 0; i < tune->n_groups; i++)
        if (tune->groups[i].exists[form])
            return true;
    return false;
}

/* Columns are added behind the bias of a product, so that it is measured there. */
static int place_of(int form)
{
    return oq_tune_forms[form].n_columns > 0;
}

/*
 * How much of a loss at a site reaches the outputs hangs on the site, hardly on what is lost there:
 * minilm, effect over loss of a divided activation against those of plain integers .83 to 1.28 in
 * four sites out of five. So it is measured once. What is not known is as bad as losing everything,
 * so that nobody chooses it unseen.
 */
static double square_of_error(struct oq_tune_site *site, const struct oq_layer *layer, int form)
{
    double *sensitivity = &site->sensitivity[place_of(form)];
    double error = layer->effect;
    if (!isnan(error) && layer->added > 0)
        *sensitivity = error / layer->added;
    if (isnan(error))
        error = layer->added * (*sensitivity > 0 ? *sensitivity : 1);
    return isnan(error) ? 1 : error * error;
}

static bool is_sensitivity_known(const struct oq_tune *tune, int form)
{
    for (size_t i = 0; i < tune->n_sites; i++)
        if (tune->sites[i].costs[form].exists && tune->sites[i].sensitivity[place_of(form)] > 0)
            return true;
    return false;
}

/* Where the values differ is behind the weight, if only by its bias. */
static void note_layers(struct oq_tune *tune, const struct oq_layers *layers, int form)
{
    for (size_t i = 0; i < layers->count; i++) {
        const struct oq_layer_site *layer = layers->list[i].site;
        struct oq_tune_site *site = oq_tuning_find_site(tune, layer->name);
        if (site == NULL && layer->weights.count == 1)
            site = oq_tuning_find_site(tune, layer->weights.list[0]);
        if (site != NULL)
            site->costs[form].error = square_of_error(site, &layers->list[i], form);
    }
}

static bool tell(void *data, const char *model, uint64_t n_done, uint64_t n_runs)
{
    (void)model;
    return oq_tuning_tell(data, "errors", n_done, n_runs);
}

static bool measure_form(struct oq_tuning *tuning, int form, onnxq_error *error)
{
    struct oq_input_sets sets = tuning->search; /* borrowed */
    uint64_t nbytes;
    sets.count = sets.count < OQ_TUNING_ERROR_SETS ? sets.count : OQ_TUNING_ERROR_SETS;
    const struct oq_run_setup setup = {.engine = tuning->options->engine,
                                       .session = tuning->options->session,
                                       .inputs = {.sets = &sets, .mask = tuning->options->mask},
                                       .progress = tell,
                                       .progress_data = tuning};
    const bool added_only = form > ONNXQ_FORM_INTEGERS && is_sensitivity_known(tuning->tune, form);
    const onnxq_choice *choices = oq_trial_all(tuning, form);
    if (choices == NULL)
        return oq_arena_fail(&tuning->arena, error);
    const char *path = oq_trial_write(tuning, oq_trial_method(tuning), choices,
                                      tuning->tune->n_weights, &nbytes, error);
    onnxq_model *candidate = path == NULL ? NULL : onnxq_model_open(path, error);
    struct oq_layers *layers =
        candidate == NULL
            ? NULL
            : oq_layers_create(tuning->options->model, candidate, &setup, added_only, error);
    if (layers != NULL)
        note_layers(tuning->tune, layers, form);
    oq_layers_destroy(layers);
    onnxq_model_close(candidate);
    if (path != NULL)
        oq_trial_remove(path);
    return layers != NULL;
}

/* --- what is known already --- */

static bool keep(struct oq_tuning *tuning, int form, onnxq_error *error)
{
    const struct oq_tune *tune = tuning->tune;
    for (size_t i = 0; i < tune->n_sites; i++)
        if (tune->sites[i].costs[form].exists &&
            !oq_tune_cache_put(&tuning->cache, OQ_MEASURED_ERROR, tune->sites[i].node,
                               oq_tune_forms[form].name, tune->sites[i].costs[form].error, error))
            return false;
    return oq_tune_cache_save(&tuning->cache, error);
}

/* All sites of a form, or none. */
static bool recall(struct oq_tuning *tuning, int form)
{
    struct oq_tune *tune = tuning->tune;
    size_t n = 0;
    for (size_t i = 0; i < tune->n_sites; i++) {
        struct oq_tune_cost *cost = &tune->sites[i].costs[form];
        if (!cost->exists)
            continue;
        if (!oq_tune_cache_get(&tuning->cache, OQ_MEASURED_ERROR, tune->sites[i].node,
                               oq_tune_forms[form].name, &cost->error))
            return false;
        n++;
    }
    tuning->cache.n_found += n;
    return true;
}

/* Nobody knows what it does to the outputs. */
static void give_up(struct oq_tune *tune, int form)
{
    for (size_t i = 0; i < tune->n_sites; i++)
        tune->sites[i].costs[form].exists = false;
    for (size_t i = 0; i < tune->n_groups; i++)
        tune->groups[i].exists[form] = false; /* and nobody need know how long it takes */
}

/* --- one strength for all that read the same --- */

static void sum_group(const struct oq_tune *tune, const struct oq_tune_activation *activation,
                      double *sums)
{
    for (int form = 0; form < OQ_N_FORMS; form++)
        sums[form] = 0;
    for (size_t i = 0; i < tune->n_weights; i++)
        for (int form = 0; form < OQ_N_FORMS && tune->weights[i].activation == activation; form++) {
            const struct oq_tune_cost *cost = &tune->sites[tune->weights[i].site].costs[form];
            sums[form] += cost->exists ? cost->error : (double)INFINITY;
        }
}

/*
 * Products of one activation share its division and its integers, where they want the same: of all
 * strengths the one stays that is the best for all of them together.
 */
static void agree_on_strengths(struct oq_tune *tune)
{
    for (size_t i = 0; i < tune->n_weights; i++) {
        double sums[OQ_N_FORMS];
        int best = 0;
        if (tune->weights[i].activation == NULL)
            continue;
        sum_group(tune, tune->weights[i].activation, sums);
        for (int form = 0; form < OQ_N_FORMS; form++)
            if (oq_form_is_smooth(form) && (best == 0 || sums[form] < sums[best]))
                best = form;
        for (int form = 0; form < OQ_N_FORMS; form++)
            if (oq_form_is_smooth(form) && form != best)
                tune->sites[tune->weights[i].site].costs[form].is_outdone = true;
    }
}

/* Without the first ones times are of no use; the others do not take the time of clocks. */
#define N_FIRST_FORMS 4

bool oq_tuning_measure_errors(struct oq_tuning *tuning, onnxq_error *error)
{
    const double of_times =
        tuning->options->is_timed ? tuning->options->seconds * OQ_TUNING_SHARE_OF_TIMES : 0;
    double took = 0; /* the form before */
    for (size_t i = 0; i < OQ_N_ORDERED_FORMS; i++) {
        const int form = oq_tune_order[i];
        const double began = oq_now_seconds();
        if (!has_form(tuning->tune, form) || recall(tuning, form))
            continue;
        if (!oq_tuning_goes_on(tuning, "errors", i, OQ_N_ORDERED_FORMS) ||
            oq_tuning_seconds_left(tuning) < took + (i < N_FIRST_FORMS ? 0 : of_times)) {
            give_up(tuning->tune, form);
            continue;
        }
        if (!measure_form(tuning, form, error) || !keep(tuning, form, error)) {
            if (!oq_tuning_forgives(tuning, error))
                return false;
            give_up(tuning->tune, form);
        }
        took = oq_now_seconds() - began;
    }
    agree_on_strengths(tuning->tune);
    return true;
}
