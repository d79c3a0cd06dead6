/* Models that are tried: planned, written, run, compared with the float one. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/work_folder.h"
#include "tune/tuning.h"

/* --- choices ------------------------------------------------------------------------ */

static onnxq_choice *make_choices(struct oq_tune *tune, struct oq_arena *arena, const int *forms,
                                  int all)
{
    onnxq_choice *choices = oq_arena_array(arena, tune->n_weights + 1, sizeof(*choices));
    for (size_t i = 0; choices != NULL && i < tune->n_weights; i++) {
        const struct oq_tune_weight *weight = &tune->weights[i];
        choices[i] = oq_tune_choose(weight->node, weight->weight, weight->activation,
                                    forms == NULL ? all : forms[weight->site]);
    }
    return choices;
}

onnxq_choice *oq_tune_choices(struct oq_tune *tune, const struct oq_tune_point *point, size_t *n)
{
    *n = point->forms == NULL ? 0 : tune->n_weights;
    return make_choices(tune, &tune->arena, point->forms, ONNXQ_FORM_FLOAT);
}

onnxq_choice *oq_trial_all(struct oq_tuning *tuning, int form)
{
    return make_choices(tuning->tune, &tuning->arena, NULL, form);
}

/* --- files -------------------------------------------------------------------------- */

onnxq_method oq_trial_method(const struct oq_tuning *tuning)
{
    return tuning->tune->ranges != NULL ? ONNXQ_METHOD_STATIC : ONNXQ_METHOD_DYNAMIC;
}

onnxq_plan *oq_trial_plan(const struct oq_tuning *tuning, onnxq_method method,
                          const onnxq_choice *choices, size_t n, onnxq_error *error)
{
    onnxq_options options;
    onnxq_options_init(&options);
    options.method = method;
    options.ranges = method == ONNXQ_METHOD_STATIC ? tuning->tune->ranges : NULL;
    options.choices = choices;
    options.n_choices = n;
    options.allow_unmatched = true;
    options.output.sync = false;
    options.output.allow_noop = true;
    return onnxq_plan_create(tuning->options->model, &options, error);
}

const char *oq_trial_write(struct oq_tuning *tuning, onnxq_method method,
                           const onnxq_choice *choices, size_t n, uint64_t *nbytes,
                           onnxq_error *error)
{
    uint64_t side_nbytes = 0;
    onnxq_plan *plan = oq_trial_plan(tuning, method, choices, n, error);
    char *path =
        oq_arena_printf(&tuning->arena, "%s/trial-%zu.onnx", tuning->folder, ++tuning->n_trials);
    bool ok = plan != NULL && (path != NULL || oq_arena_fail(&tuning->arena, error)) &&
              onnxq_plan_get_output_size(plan, path, nbytes, &side_nbytes, error) == ONNXQ_OK &&
              onnxq_plan_write(plan, path, error) == ONNXQ_OK;
    if (error->status == ONNXQ_ERROR_OUTPUT)
        oq_error_hint(error, OQ_TEMPORARY_HINT);
    onnxq_plan_destroy(plan);
    *nbytes += side_nbytes;
    return ok ? path : NULL;
}

void oq_trial_remove(const char *path)
{
    char side[4096];
    snprintf(side, sizeof(side), "%s.data", path);
    remove(path);
    remove(side);
}

/* --- what the outputs lose ------------------------------------------------------------ */

struct comparing {
    struct oq_tuning *tuning;
    const struct oq_input_sets *sets;
    const struct oq_arrays *expected; /* [sets->count] */
    struct oq_difference *totals;     /* [outputs] */
    enum oq_value_class *classes;     /* [outputs] */
    const char *unlike;               /* an output of another type or shape, or NULL */
};

static bool compare_output(const struct oq_array *a, const struct oq_array *b,
                           const struct oq_array *mask, struct oq_difference *total)
{
    struct oq_difference difference = {0};
    uint64_t worst;
    if (a->n_dims != b->n_dims || memcmp(a->dims, b->dims, a->n_dims * sizeof(*a->dims)) != 0 ||
        oq_value_class(a) != oq_value_class(b))
        return false;
    oq_compare(a, b, oq_mask_fits(mask, b->dims, b->n_dims) ? mask : NULL, &difference, &worst);
    oq_difference_add(total, &difference);
    return true;
}

static bool tell(void *data, const char *model, uint64_t n_done, uint64_t n_runs)
{
    (void)model, (void)n_done, (void)n_runs;
    return oq_tuning_tell_again(data);
}

static bool take_outputs(void *data, size_t run, struct oq_arrays *outputs, onnxq_error *error)
{
    struct comparing *comparing = data;
    const struct oq_run_inputs inputs = {.sets = comparing->sets,
                                         .mask = comparing->tuning->options->mask};
    (void)error;
    for (size_t i = 0; i < outputs->count; i++) {
        const struct oq_array *expected = &comparing->expected[run].list[i];
        comparing->classes[i] = oq_value_class(expected);
        if (!compare_output(expected, &outputs->list[i], oq_run_inputs_mask(&inputs, run),
                            &comparing->totals[i]))
            comparing->unlike = comparing->tuning->outputs[i];
    }
    return true;
}

/* The first thing that a result is over is the one that is told. */
static void exceed(struct oq_tune_error *result, const char *output, int measure)
{
    if (!result->is_within)
        return;
    result->is_within = false;
    result->exceeded = output;
    result->measure = measure;
}

static void judge_output(const struct comparing *comparing, size_t output,
                         struct oq_tune_error *result)
{
    const struct oq_difference *total = &comparing->totals[output];
    const double *budget = comparing->tuning->options->budget;
    const char *name = comparing->tuning->outputs[output];
    if (total->n_one_sided > 0)
        exceed(result, name, -1);
    for (int m = 0; m < OQ_N_MEASURES; m++) {
        const enum oq_measure measure = (enum oq_measure)m;
        if (!oq_measure_judges(measure, comparing->classes[output], total))
            continue;
        double found = oq_measure_get(measure, total), *worst = &result->values[m];
        if (isnan(*worst) || (!isnan(found) && oq_measure_is_worse(measure, found, *worst)))
            *worst = found;
        if (!isnan(budget[m]) && !oq_measure_allows(measure, budget[m], found))
            exceed(result, name, m);
    }
}

static void judge(const struct comparing *comparing, struct oq_tune_error *result)
{
    struct oq_difference floats = {0};
    const size_t n = comparing->tuning->signature.n_outputs;
    *result = (struct oq_tune_error){.is_within = true, .measure = -1};
    for (int m = 0; m < OQ_N_MEASURES; m++)
        result->values[m] = (double)NAN;
    for (size_t i = 0; i < n; i++) {
        if (comparing->classes[i] == OQ_CLASS_FLOAT)
            oq_difference_add(&floats, &comparing->totals[i]);
        judge_output(comparing, i, result);
    }
    result->relative = oq_measure_get(OQ_MEASURE_RELATIVE, &floats);
    if (comparing->unlike != NULL)
        exceed(result, comparing->unlike, -1);
}

bool oq_trial_compare(struct oq_tuning *tuning, const char *path, bool unseen,
                      struct oq_tune_error *result, onnxq_error *error)
{
    const size_t n = tuning->signature.n_outputs;
    struct comparing comparing = {
        .tuning = tuning,
        .sets = unseen ? &tuning->unseen : &tuning->search,
        .expected = unseen ? tuning->unseen_outputs : tuning->search_outputs,
        .totals = oq_arena_array(&tuning->arena, n + 1, sizeof(*comparing.totals)),
        .classes = oq_arena_array(&tuning->arena, n + 1, sizeof(*comparing.classes))};
    const struct oq_run_setup setup = {.engine = tuning->options->engine,
                                       .session = tuning->options->session,
                                       .inputs = {.sets = comparing.sets},
                                       .progress = tell,
                                       .progress_data = tuning};
    struct oq_runs runs = {.setup = &setup, .outputs = tuning->outputs, .n_outputs = n};
    if (comparing.totals == NULL || comparing.classes == NULL)
        return oq_arena_fail(&tuning->arena, error);
    if (!oq_runs_do(&runs, path, take_outputs, &comparing, error))
        return false;
    judge(&comparing, result);
    return true;
}

/* --- points --------------------------------------------------------------------------- */

int oq_trial_stored_form(const struct oq_tune_weight *weight, int form)
{
    while (!weight->exists[form])
        form = oq_form_below(form);
    return form;
}

static void count_forms(const struct oq_tune *tune, struct oq_tune_point *point)
{
    for (size_t i = 0; point->forms != NULL && i < tune->n_weights; i++) {
        const struct oq_tune_weight *weight = &tune->weights[i];
        point->n_of_form[oq_trial_stored_form(weight, point->forms[weight->site])]++;
    }
}

static double predict(const struct oq_tune *tune, const int *forms)
{
    double sum = 0;
    for (size_t i = 0; forms != NULL && i < tune->n_sites; i++)
        sum += tune->sites[i].costs[oq_tune_site_form(tune->sites[i].costs, forms[i])].error;
    return forms == NULL ? (double)NAN : sqrt(sum);
}

bool oq_trial_try(struct oq_tuning *tuning, const char *name, onnxq_method method, const int *forms,
                  struct oq_tune_point *point, onnxq_error *error)
{
    struct oq_tune *tune = tuning->tune;
    size_t n;
    *point = (struct oq_tune_point){.name = name,
                                    .method = method,
                                    .predicted = predict(tune, forms),
                                    .metric = (double)NAN,
                                    .speed = (double)NAN,
                                    .speed_low = (double)NAN,
                                    .speed_high = (double)NAN};
    if (forms != NULL) {
        point->forms = oq_arena_array(&tune->arena, tune->n_sites, sizeof(*forms));
        if (point->forms == NULL)
            return oq_arena_fail(&tune->arena, error);
        memcpy(point->forms, forms, tune->n_sites * sizeof(*forms));
    }
    count_forms(tune, point);
    const onnxq_choice *choices = oq_tune_choices(tune, point, &n);
    const char *path =
        choices == NULL ? NULL : oq_trial_write(tuning, method, choices, n, &point->nbytes, error);
    if (path == NULL)
        return choices != NULL || oq_arena_fail(&tune->arena, error);
    bool ok = oq_trial_compare(tuning, path, false, &point->search, error);
    point->has_unseen = tuning->unseen.count > 0;
    if (ok && point->has_unseen)
        ok = oq_trial_compare(tuning, path, true, &point->unseen, error);
    if (ok && tuning->options->metric_command != NULL)
        ok = oq_metric_run(tuning, path, &point->metric, error);
    oq_trial_remove(path);
    return ok;
}
