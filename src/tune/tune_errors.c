/* What each form of each site makes of the outputs: a model in one form, site by site. */
#include <math.h>

#include "base/clock.h"
#include "layers/layers.h"
#include "tune/tuning.h"

static struct oq_tune_site *find_site(struct oq_tune *tune, const char *node)
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

/* What is not known is as bad as losing everything, so that nobody chooses it unseen. */
static double square_of_error(const struct oq_layer *layer)
{
    double error = !isnan(layer->effect) ? layer->effect : layer->added;
    return isnan(error) ? 1 : error * error;
}

/* Where the values differ is behind the weight, if only by its bias. */
static void note_layers(struct oq_tune *tune, const struct oq_layers *layers, int form)
{
    for (size_t i = 0; i < layers->count; i++) {
        const struct oq_layer_site *layer = layers->list[i].site;
        struct oq_tune_site *site = find_site(tune, layer->name);
        if (site == NULL && layer->weights.count == 1)
            site = find_site(tune, layer->weights.list[0]);
        if (site != NULL)
            site->costs[form].error = square_of_error(&layers->list[i]);
    }
}

static bool tell(void *data, const char *model, uint64_t n_done, uint64_t n_runs)
{
    (void)model;
    struct oq_tuning *tuning = data;
    oq_tuning_goes_on(tuning, "errors", n_done, n_runs);
    return !tuning->tune->is_stopped;
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
    const onnxq_choice *choices = oq_trial_all(tuning, form);
    if (choices == NULL)
        return oq_arena_fail(&tuning->arena, error);
    const char *path = oq_trial_write(tuning, oq_trial_method(tuning), choices,
                                      tuning->tune->n_weights, &nbytes, error);
    onnxq_model *candidate = path == NULL ? NULL : onnxq_model_open(path, error);
    struct oq_layers *layers =
        candidate == NULL ? NULL
                          : oq_layers_create(tuning->options->model, candidate, &setup, error);
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

/*
 * Forms in the order in which they are worth the time that is left: the most accurate one, the
 * fastest one, and what lies between.
 */
static const int in_order[] = {ONNXQ_FORM_FOLDED,    ONNXQ_FORM_INTEGERS,  OQ_N_PLAIN_FORMS + 3,
                               ONNXQ_FORM_BLOCKS_8,  OQ_N_PLAIN_FORMS + 0, OQ_N_PLAIN_FORMS + 4,
                               OQ_N_PLAIN_FORMS + 1, OQ_N_PLAIN_FORMS + 2, ONNXQ_FORM_BLOCKS_4};

bool oq_tuning_measure_errors(struct oq_tuning *tuning, onnxq_error *error)
{
    double longest = 0; /* so long as a form before, a form may take */
    for (size_t i = 0; i < sizeof(in_order) / sizeof(in_order[0]); i++) {
        const int form = in_order[i];
        const double began = oq_now_seconds();
        if (!has_form(tuning->tune, form) || recall(tuning, form))
            continue;
        if (!oq_tuning_goes_on(tuning, "errors", i, sizeof(in_order) / sizeof(in_order[0])) ||
            (oq_tuning_seconds_left(tuning) < longest)) {
            give_up(tuning->tune, form);
            continue;
        }
        if (!measure_form(tuning, form, error) || !keep(tuning, form, error)) {
            if (!oq_tuning_forgives(tuning, error))
                return false;
            give_up(tuning->tune, form);
        }
        longest = fmax(longest, oq_now_seconds() - began);
    }
    agree_on_strengths(tuning->tune);
    return true;
}
