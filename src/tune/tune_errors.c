/* What each form of each site makes of the outputs: a model in one form, site by site. */
#include <math.h>

#include "layers/layers.h"
#include "tune/tuning.h"

/* Sets of inputs that sites are measured with: enough to tell sites apart. */
#define MAX_SETS 2

static struct oq_tune_site *find_site(struct oq_tune *tune, const char *node)
{
    for (size_t i = 0; i < tune->n_sites; i++)
        if (strcmp(tune->sites[i].node, node) == 0)
            return &tune->sites[i];
    return NULL;
}

static bool has_form(const struct oq_tune *tune, onnxq_form form)
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

static void note_layers(struct oq_tune *tune, const struct oq_layers *layers, onnxq_form form)
{
    for (size_t i = 0; i < layers->count; i++) {
        struct oq_tune_site *site = find_site(tune, layers->list[i].site->name);
        if (site != NULL)
            site->costs[form].error = square_of_error(&layers->list[i]);
    }
}

static void tell(void *data, const char *model, uint64_t n_done, uint64_t n_runs)
{
    (void)model;
    oq_tuning_goes_on(data, "errors", n_done, n_runs);
}

static bool measure_form(struct oq_tuning *tuning, onnxq_form form, onnxq_error *error)
{
    struct oq_input_sets sets = tuning->search; /* borrowed */
    uint64_t nbytes;
    sets.count = sets.count < MAX_SETS ? sets.count : MAX_SETS;
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

bool oq_tuning_measure_errors(struct oq_tuning *tuning, onnxq_error *error)
{
    for (int form = ONNXQ_FORM_FOLDED; form < OQ_N_FORMS; form++) {
        if (!oq_tuning_goes_on(tuning, "errors", 0, 1))
            return true;
        if (has_form(tuning->tune, (onnxq_form)form) &&
            !measure_form(tuning, (onnxq_form)form, error))
            return false;
    }
    return true;
}
