/*
 * The frontier, and the point on it: each site goes from its most accurate form to faster ones,
 * those first that gain the most for the error that they add. Products of one activation share its
 * division and its integers, so they go together. All that lies before a place on
 * this line is a model; the errors of models grow along it, so that the last one within the
 * budget is found by halving.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tune/tuning.h"

#define SAME_SPEED 0.03 /* as a part */
#define N_TRIALS   8    /* that halving takes, about */

/* So many more are tried where there is time. */
#define MOST_STEPS_FURTHER 8

/* Convolutions that are float in front of all others. */
#define MOST_FLOAT_HEADS 3

/* A site changes its form, and all that go with it. */
struct frontier_step {
    size_t site;
    int form;
    double gain, error; /* less cost, more square of error */
};

/* What the forms of sites that go together cost. */
struct frontier_costs {
    struct oq_tune_cost of[OQ_N_FORMS];
};

struct frontier {
    size_t *first;                /* [n_sites]: the first of those that go with it */
    struct frontier_costs *costs; /* [n_sites], of the first ones */
    int *start;                   /* [n_sites], likewise */
    struct frontier_step *steps;
    size_t n_steps, capacity;
    double byte_ms; /* what a byte of the file counts for */
};

/* --- the line --------------------------------------------------------------------------- */

/*
 * Of forms that take the same time the smaller one is better: a file that shrinks to nothing is
 * worth 5 % of a run. The other way round where size is what is wanted.
 */
static double cost_of(const struct oq_tuning *tuning, const struct frontier *line,
                      const struct oq_tune_cost *cost)
{
    double nbytes = (double)cost->nbytes;
    return tuning->options->by_size ? nbytes + 1e-3 * cost->ms : cost->ms + nbytes * line->byte_ms;
}

/* Forms that cost less than all that are as accurate; with the time known. */
static bool is_candidate(const struct oq_tune_cost *cost)
{
    return cost->exists && !cost->is_outdone && !isnan(cost->ms);
}

/* The most accurate form, of these the cheapest. */
static int find_start(const struct oq_tuning *tuning, const struct frontier *line, size_t site)
{
    const struct oq_tune_cost *costs = line->costs[site].of;
    int best = ONNXQ_FORM_FLOAT;
    for (int form = 1; form < OQ_N_FORMS; form++) {
        const struct oq_tune_cost *cost = &costs[form], *than = &costs[best];
        if (is_candidate(cost) && (cost->error < than->error ||
                                   (cost->error <= than->error &&
                                    cost_of(tuning, line, cost) < cost_of(tuning, line, than))))
            best = form;
    }
    return best;
}

/* The form that gains the most for its error; false: none is cheaper. */
static bool find_step(const struct oq_tuning *tuning, const struct frontier *line, size_t site,
                      int from, struct frontier_step *best)
{
    const struct oq_tune_cost *base = &line->costs[site].of[from];
    double best_slope = 0;
    for (int form = 0; form < OQ_N_FORMS; form++) {
        const struct oq_tune_cost *cost = &line->costs[site].of[form];
        double gain = cost_of(tuning, line, base) - cost_of(tuning, line, cost);
        double error = cost->error - base->error;
        if (!is_candidate(cost) || !(gain > 0))
            continue;
        double slope = error > 0 ? gain / error : (double)INFINITY;
        if (slope > best_slope) {
            best_slope = slope;
            *best = (struct frontier_step){site, form, gain, error};
        }
    }
    return best_slope > 0;
}

/* By slope, the steepest first; those of one site come in this order by themselves. */
static int compare_steps(const void *a, const void *b)
{
    const struct frontier_step *x = a, *y = b;
    double left = x->gain * y->error, right = y->gain * x->error;
    if (left > right)
        return -1;
    if (left < right)
        return 1;
    return x->site < y->site ? -1 : x->site > y->site ? 1 : x->form - y->form;
}

/* Which sites go together; what is shared takes no room in a file. */
static void join_sites(const struct oq_tuning *tuning, struct frontier *line)
{
    const struct oq_tune *tune = tuning->tune;
    for (size_t i = 0; i < tune->n_sites; i++)
        line->first[i] = i;
    for (size_t i = 0; i < tune->n_weights && !tuning->options->by_size; i++) {
        const struct oq_tune_weight *weight = &tune->weights[i];
        size_t k = weight->activation == NULL ? i : 0;
        while (tune->weights[k].activation != weight->activation)
            k++;
        line->first[weight->site] = line->first[tune->weights[k].site];
    }
}

/* Where one of them lacks a form, it has the one below. */
static void add_costs(struct oq_tune_cost *sums, const struct oq_tune_cost *costs)
{
    for (int form = 0; form < OQ_N_FORMS; form++) {
        const int stored = oq_tune_site_form(costs, form);
        sums[form].exists |= costs[form].exists;
        sums[form].is_outdone |= costs[form].is_outdone;
        sums[form].error += costs[stored].error;
        sums[form].ms += costs[stored].ms;
        sums[form].nbytes += costs[form].nbytes;
    }
}

static bool init_line(struct oq_tuning *tuning, struct frontier *line, onnxq_error *error)
{
    const struct oq_tune *tune = tuning->tune;
    struct oq_arena *arena = &tuning->arena;
    line->start = oq_arena_array(arena, tune->n_sites, sizeof(*line->start));
    line->first = oq_arena_array(arena, tune->n_sites, sizeof(*line->first));
    line->costs = oq_arena_array(arena, tune->n_sites, sizeof(*line->costs));
    if (line->start == NULL || line->first == NULL || line->costs == NULL)
        return oq_arena_fail(arena, error);
    join_sites(tuning, line);
    for (size_t i = 0; i < tune->n_sites; i++)
        add_costs(line->costs[line->first[i]].of, tune->sites[i].costs);
    return true;
}

static bool make_line(struct oq_tuning *tuning, struct frontier *line, onnxq_error *error)
{
    if (!init_line(tuning, line, error))
        return false;
    for (size_t i = 0; i < tuning->tune->n_sites; i++) {
        struct frontier_step step;
        if (line->first[i] != i)
            continue;
        int form = line->start[i] = find_start(tuning, line, i);
        while (find_step(tuning, line, i, form, &step)) {
            if (!oq_arena_grow(&tuning->arena, &line->steps, line->n_steps, &line->capacity,
                               sizeof(step)))
                return oq_arena_fail(&tuning->arena, error);
            line->steps[line->n_steps++] = step;
            form = step.form;
        }
    }
    if (line->n_steps > 0)
        qsort(line->steps, line->n_steps, sizeof(*line->steps), compare_steps);
    return true;
}

/* --- points on it ------------------------------------------------------------------------- */

static bool keeps_metric(const struct oq_tune_options *options, double metric)
{
    return options->metric_command == NULL ||
           (options->metric_is_minimum ? metric >= options->metric_limit
                                       : metric <= options->metric_limit);
}

static bool is_within(const struct oq_tuning *tuning, const struct oq_tune_point *point)
{
    return keeps_metric(tuning->options, point->metric) && point->search.is_within &&
           (!point->has_unseen || point->unseen.is_within);
}

static bool add_point(struct oq_tuning *tuning, const char *name, onnxq_method method,
                      const int *forms, struct oq_tune_point **point, onnxq_error *error)
{
    struct oq_tune *tune = tuning->tune;
    if (!oq_arena_grow(&tune->arena, &tune->points, tune->n_points, &tune->points_capacity,
                       sizeof(*tune->points)))
        return oq_arena_fail(&tune->arena, error);
    *point = &tune->points[tune->n_points];
    if (!oq_trial_try(tuning, name, method, forms, *point, error))
        return false;
    if (tune->n_points++ > 0 && isnan(tune->first_met_seconds) && is_within(tuning, *point)) {
        tune->first_met_seconds = oq_now_seconds() - tuning->began;
        tune->first_met = name;
    }
    return true;
}

static bool try_forms(struct oq_tuning *tuning, const struct frontier *line, int *forms,
                      bool *within, size_t *number, onnxq_error *error)
{
    struct oq_tune *tune = tuning->tune;
    struct oq_tune_point *point = NULL;
    for (size_t i = 0; i < tune->n_sites; i++)
        forms[i] = forms[line->first[i]];
    if (!add_point(tuning, "", oq_trial_method(tuning), forms, &point, error))
        return false;
    *within = is_within(tuning, point);
    *number = tune->n_points - 1;
    return true;
}

/* What sites have there; NULL: memory is out. */
static int *forms_at(struct oq_tuning *tuning, const struct frontier *line, size_t place,
                     onnxq_error *error)
{
    const size_t n_sites = tuning->tune->n_sites;
    int *forms = oq_arena_array(&tuning->arena, n_sites, sizeof(*forms));
    if (forms == NULL) {
        oq_arena_fail(&tuning->arena, error);
        return NULL;
    }
    memcpy(forms, line->start, n_sites * sizeof(*forms));
    for (size_t i = 0; i < place; i++)
        forms[line->steps[i].site] = line->steps[i].form;
    return forms;
}

static bool try_place(struct oq_tuning *tuning, const struct frontier *line, size_t place,
                      bool *within, size_t *number, onnxq_error *error)
{
    int *forms = forms_at(tuning, line, place, error);
    return forms != NULL && try_forms(tuning, line, forms, within, number, error);
}

/*
 * Behind the last place that is within, steps that add less than the next one may still fit: they
 * are tried in their order, and what is over the budget is passed over with all that follows it at
 * its site.
 */
static bool go_further(struct oq_tuning *tuning, const struct frontier *line, size_t place,
                       size_t *best, onnxq_error *error)
{
    int *forms = forms_at(tuning, line, place, error);
    bool *passed = oq_arena_array(&tuning->arena, tuning->tune->n_sites, sizeof(*passed));
    size_t n_tried = 0;
    if (passed == NULL)
        return oq_arena_fail(&tuning->arena, error);
    if (forms == NULL)
        return false;
    passed[line->steps[place].site] = true; /* that one was tried */
    for (size_t i = place + 1; i < line->n_steps && n_tried < MOST_STEPS_FURTHER; i++) {
        const struct frontier_step *step = &line->steps[i];
        const int before = forms[step->site];
        bool within;
        size_t number;
        if (passed[step->site])
            continue;
        if (!oq_tuning_goes_on(tuning, "models", tuning->tune->n_points, 0))
            return true;
        forms[step->site] = step->form;
        n_tried++;
        if (!try_forms(tuning, line, forms, &within, &number, error))
            return false;
        if (within) {
            *best = number;
        } else {
            forms[step->site] = before;
            passed[step->site] = true;
        }
    }
    return true;
}

/* The last place that is within, from a start that need not be; SIZE_MAX: none is. */
static bool find_last(struct oq_tuning *tuning, const struct frontier *line, size_t *best,
                      onnxq_error *error)
{
    bool within;
    size_t number;
    *best = SIZE_MAX;
    if (!oq_tuning_goes_on(tuning, "models", tuning->tune->n_points, 0) &&
        (tuning->tune->is_stopped ||
         !isnan(tuning->tune->first_met_seconds))) /* there is a result without it */
        return true;
    if (!try_place(tuning, line, line->n_steps, &within, &number, error))
        return false;
    if (within) {
        *best = number;
        return true;
    }
    size_t low = 0, high = line->n_steps; /* high is not within */
    while (high > low && oq_tuning_goes_on(tuning, "models", tuning->tune->n_points, 0)) {
        size_t middle = low + (high - low) / 2;
        if (!try_place(tuning, line, middle, &within, &number, error))
            return false;
        if (within) {
            *best = number;
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return *best == SIZE_MAX || high > low || go_further(tuning, line, low - 1, best, error);
}

/* --- heads -------------------------------------------------------------------------------- */

/* The number of the site of a convolution, or SIZE_MAX. */
static size_t find_convolution(struct oq_tune *tune, const Oq__Pb__NodeProto *node)
{
    const struct oq_tune_site *site =
        oq_node_is(node, "", "Conv") ? oq_tuning_find_site(tune, oq_node_label(node)) : NULL;
    return site == NULL ? SIZE_MAX : (size_t)(site - tune->sites);
}

/*
 * The first convolutions have the most values and the fewest channels, so that integers gain the
 * least there, and one step to integers is taken wherever they begin: two floats in a row may be
 * faster where one is not. What each takes by itself does not tell, so whole models are timed.
 */
static bool try_heads(struct oq_tuning *tuning, size_t *best, onnxq_error *error)
{
    struct oq_tune *tune = tuning->tune;
    const Oq__Pb__GraphProto *graph = tuning->options->model->proto->graph;
    if (*best == SIZE_MAX || tune->ranges == NULL || !tuning->options->is_timed)
        return true;
    int *forms = oq_arena_array(&tuning->arena, tune->n_sites, sizeof(*forms));
    if (forms == NULL)
        return oq_arena_fail(&tuning->arena, error);
    memcpy(forms, tune->points[*best].forms, tune->n_sites * sizeof(*forms));
    for (size_t i = 0, n = 0; i < graph->n_node && n < MOST_FLOAT_HEADS; i++) {
        const size_t site = find_convolution(tune, graph->node[i]);
        struct oq_tune_point *point = NULL;
        if (site == SIZE_MAX)
            continue;
        n++;
        if (forms[site] < ONNXQ_FORM_INTEGERS)
            continue;
        if (!oq_tuning_goes_on(tuning, "models", tune->n_points, 0))
            return true;
        forms[site] = ONNXQ_FORM_FOLDED;
        if (isnan(tune->points[*best].speed) &&
            !oq_tuning_measure_speed(tuning, &tune->points[*best], error))
            return false;
        if (!add_point(tuning, "", oq_trial_method(tuning), forms, &point, error) ||
            !oq_tuning_measure_speed(tuning, point, error))
            return false;
        if (is_within(tuning, point) && point->speed > tune->points[*best].speed)
            *best = tune->n_points - 1;
    }
    return true;
}

/* --- the choice ----------------------------------------------------------------------------- */

static int compare_points(const void *a, const void *b)
{
    const struct oq_tune_point *x = a, *y = b;
    double left = x->search.relative, right = y->search.relative;
    return left < right ? -1 : left > right ? 1 : 0;
}

/* Nobody waits for a clock once the search was stopped. */
static bool is_timed(const struct oq_tuning *tuning)
{
    return tuning->options->is_timed && !tuning->tune->is_stopped;
}

/*
 * Whether a model within the budget is a better result than another one: faster by more than
 * clocks are off, else smaller.
 */
static bool is_better(const struct oq_tuning *tuning, const struct oq_tune_point *point,
                      const struct oq_tune_point *than)
{
    const struct oq_tune_options *options = tuning->options;
    double ratio = options->by_size || !is_timed(tuning) ? 1 : point->speed / than->speed;
    if (than == tuning->tune->points && point->speed_low <= 1 && point->speed_high >= 1)
        ratio = 1; /* no clock tells it from the float model */
    return ratio > 1 + SAME_SPEED || (ratio > 1 - SAME_SPEED && point->nbytes < than->nbytes);
}

/* Whether it is a result where nothing better was found. */
static bool is_eligible(const struct oq_tuning *tuning, size_t number, size_t found)
{
    const struct oq_tune_point *points = tuning->tune->points;
    /* Without a clock nothing speaks for others than the one that was found, but far less bytes. */
    return number == found ||
           (points[number].name[0] != '\0' && (is_timed(tuning) || found == SIZE_MAX ||
                                               points[number].nbytes < points[found].nbytes / 2));
}

static bool measure_speeds(struct oq_tuning *tuning, size_t found, onnxq_error *error)
{
    struct oq_tune_point *points = tuning->tune->points;
    points[0].speed = points[0].speed_low = points[0].speed_high = 1;
    for (size_t i = 1; i < tuning->tune->n_points && is_timed(tuning); i++)
        if (is_eligible(tuning, i, found) && !oq_tuning_measure_speed(tuning, &points[i], error) &&
            !oq_tuning_forgives(tuning, error))
            return false;
    return true;
}

/* What all was for: the model that was found, against the float one and those that have a name. */
static bool choose(struct oq_tuning *tuning, size_t found, onnxq_error *error)
{
    struct oq_tune *tune = tuning->tune;
    if (!measure_speeds(tuning, found, error))
        return false;
    tune->best = 0;
    for (size_t i = 0; i < tune->n_points; i++) {
        const struct oq_tune_point *point = &tune->points[i];
        if (is_eligible(tuning, i, found) && is_within(tuning, point) &&
            is_better(tuning, point, &tune->points[tune->best]))
            tune->best = i;
    }
    tune->is_met = is_within(tuning, &tune->points[tune->best]);
    if (tune->best != 0)
        tune->points[tune->best].is_best = true;
    return true;
}

/* Float comes first, by definition without error. */
static bool add_float(struct oq_tuning *tuning, onnxq_error *error)
{
    struct oq_tune *tune = tuning->tune;
    struct oq_tune_point *point;
    int *forms = oq_arena_array(&tuning->arena, tune->n_sites + 1, sizeof(*forms));
    return (forms != NULL || oq_arena_fail(&tuning->arena, error)) &&
           add_point(tuning, "float", ONNXQ_METHOD_DYNAMIC, forms, &point, error);
}

/* Hardly any budget does without it: a result early on. */
static bool add_folded(struct oq_tuning *tuning, onnxq_error *error)
{
    struct oq_tune *tune = tuning->tune;
    struct oq_tune_point *point;
    int *forms = oq_arena_array(&tuning->arena, tune->n_sites + 1, sizeof(*forms));
    for (size_t i = 0; forms != NULL && i < tune->n_sites; i++)
        forms[i] = ONNXQ_FORM_FOLDED;
    return (forms != NULL || oq_arena_fail(&tuning->arena, error)) &&
           add_point(tuning, "folded", oq_trial_method(tuning), forms, &point, error);
}

static bool add_default(struct oq_tuning *tuning, const char *name, onnxq_method method,
                        onnxq_error *error)
{
    struct oq_tune_point *point;
    return add_point(tuning, name, method, NULL, &point, error);
}

static void sort_points(struct oq_tune *tune)
{
    qsort(tune->points + 1, tune->n_points - 1, sizeof(*tune->points), compare_points);
    for (size_t i = 0; i < tune->n_points; i++)
        if (tune->points[i].is_best)
            tune->best = i;
}

/* The choice opens two sessions for each model with a name, and for the one that is found. */
static void reserve_time(struct oq_tuning *tuning, double trial_seconds)
{
    const size_t n_models = tuning->tune->n_points; /* one of them is float, one not found yet */
    tuning->choice_seconds = trial_seconds;
    if (tuning->options->is_timed)
        tuning->choice_seconds =
            (double)n_models * (oq_tuning_speed_seconds(tuning) + trial_seconds);
    tuning->reserve = tuning->choice_seconds + N_TRIALS * trial_seconds;
}

bool oq_tuning_begin_search(struct oq_tuning *tuning, onnxq_error *error)
{
    struct oq_tune *tune = tuning->tune;
    tune->first_met_seconds = (double)NAN;
    const double began = oq_now_seconds();
    if (!add_float(tuning, error) || !add_default(tuning, "default", ONNXQ_METHOD_DYNAMIC, error) ||
        (tune->ranges != NULL && !add_default(tuning, "static", ONNXQ_METHOD_STATIC, error)) ||
        (isnan(tune->first_met_seconds) && !add_folded(tuning, error)))
        return !isnan(tune->first_met_seconds) && oq_tuning_forgives(tuning, error);
    reserve_time(tuning, (oq_now_seconds() - began) / (double)tune->n_points);
    return true;
}

bool oq_tuning_search(struct oq_tuning *tuning, onnxq_error *error)
{
    struct oq_tune *tune = tuning->tune;
    struct frontier line = {.byte_ms = 0.05 * (isnan(tune->float_ms) ? 1 : tune->float_ms) /
                                       (double)(tune->float_nbytes + 1)};
    size_t found;
    tuning->reserve = tuning->choice_seconds;
    if (!make_line(tuning, &line, error) ||
        (!(find_last(tuning, &line, &found, error) && try_heads(tuning, &found, error)) &&
         !oq_tuning_forgives(tuning, error)) ||
        !choose(tuning, found, error))
        return false;
    sort_points(tune);
    return true;
}
