/*
 * Times in the engine: a model in which a group has a form, against one in which all are integers,
 * in turns. What slows the machine down for a while slows both.
 */
#include <math.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "bench/stats.h"
#include "tune/tuning.h"

#define BURST_SECONDS    0.004 /* of runs of one model, before the other has its turn */
#define MIN_TURNS        5
#define MAX_TURNS        400
#define MIN_PAIR_SECONDS 0.1
#define MAX_PAIR_SECONDS 5.0
#define MOST_OF_THE_REST 0.6
#define LOW_END          0.1 /* of all times */
#define PART_OF_COLUMNS  0.25
#define SPEED_SECONDS    1.5
#define SHARE_OF_SPEED   0.04

/* --- two sessions -------------------------------------------------------------------- */

struct timing {
    struct oq_tuning *tuning;
    bool has_one_thread;
    struct oq_session *sessions[2];
    size_t n_runs[2];          /* of a burst */
    struct oq_series times[2]; /* milliseconds of a run, by turn */
};

static struct timing begin(struct oq_tuning *tuning)
{
    return (struct timing){.tuning = tuning,
                           .has_one_thread = tuning->options->session.threads == 1};
}

static struct oq_session *open_session(const struct oq_tuning *tuning, const char *path,
                                       onnxq_error *error)
{
    const struct oq_arrays *inputs = &tuning->search.list[0].inputs;
    struct oq_session *session =
        oq_session_open(tuning->options->engine, path, &tuning->options->session, error);
    if (session != NULL && oq_session_set_inputs(session, inputs->list, inputs->count, error) &&
        oq_session_set_outputs(session, tuning->outputs, tuning->signature.n_outputs, error))
        return session;
    oq_session_close(session);
    return NULL;
}

/*
 * One thread takes the processor's time that this process had, which is that of a clock but for
 * what others on the machine took; several are to be done early, whoever works.
 */
static double now_ms(const struct timing *timing)
{
    return timing->has_one_thread ? (double)clock() * 1e3 / CLOCKS_PER_SEC
                                  : (double)oq_now_ns() * 1e-6;
}

static bool run_burst(struct timing *timing, int which, size_t n, double *ms, onnxq_error *error)
{
    double began = now_ms(timing);
    for (size_t i = 0; i < n; i++)
        if (!oq_session_run(timing->sessions[which], error))
            return false;
    *ms = (now_ms(timing) - began) / (double)n;
    return true;
}

/* One run that warms up, one that says how long a burst is, and how long a run: *ms. */
static bool start(struct timing *timing, int which, double *ms, onnxq_error *error)
{
    if (!run_burst(timing, which, 1, ms, error) || !run_burst(timing, which, 1, ms, error))
        return false;
    double n = BURST_SECONDS * 1e3 / (*ms > 1e-3 ? *ms : 1e-3);
    timing->n_runs[which] = n < 1 ? 1 : (size_t)n;
    return true;
}

static bool take_turns(struct timing *timing, double seconds, onnxq_error *error)
{
    double until = oq_now_seconds() + seconds;
    for (size_t turn = 0; turn < MAX_TURNS; turn++) {
        if (turn >= MIN_TURNS && oq_now_seconds() > until)
            break;
        if (oq_tuning_is_stopped(timing->tuning, error))
            return false;
        for (int k = 0; k < 2; k++) {
            int which = (int)(turn % 2) ^ k;
            double ms;
            if (!run_burst(timing, which, timing->n_runs[which], &ms, error) ||
                !oq_series_add(&timing->times[which], ms, error))
                return false;
        }
    }
    return true;
}

static void fini_timing(struct timing *timing)
{
    for (int k = 0; k < 2; k++) {
        oq_series_fini(&timing->times[k]);
        timing->times[k] = (struct oq_series){0};
    }
}

/* --- groups ----------------------------------------------------------------------------- */

/*
 * What all other groups have meanwhile: nearly all have it in what is found. The shorter the run
 * beside which a difference is measured, the less of it is noise; and integers of known ranges pay
 * only where their neighbours are integers, too.
 */
#define BASE_FORM ONNXQ_FORM_INTEGERS

static onnxq_choice *choose_group(struct oq_tuning *tuning, size_t group, int form)
{
    const struct oq_tune *tune = tuning->tune;
    onnxq_choice *choices = oq_trial_all(tuning, BASE_FORM);
    for (size_t i = 0; choices != NULL && i < tune->n_weights; i++)
        if (tune->weights[i].group == group)
            choices[i] = oq_tune_choose(tune->weights[i].node, tune->weights[i].weight,
                                        tune->weights[i].activation, form);
    return choices;
}

/*
 * How much longer the second model takes, in milliseconds. What others do on the machine only ever
 * adds to a time, so that the lower ends of both say more than the middles of their differences.
 */
static double find_difference(struct timing *timing)
{
    double ends[2];
    for (int k = 0; k < 2; k++) {
        oq_sort(timing->times[k].values, timing->times[k].count);
        ends[k] = oq_quantile(timing->times[k].values, timing->times[k].count, LOW_END);
    }
    return ends[1] - ends[0];
}

static bool time_group(struct oq_tuning *tuning, struct timing *timing, size_t g, int form,
                       double seconds, onnxq_error *error)
{
    struct oq_tune_group *group = &tuning->tune->groups[g];
    uint64_t nbytes;
    const onnxq_choice *choices = choose_group(tuning, g, form);
    if (choices == NULL)
        return oq_arena_fail(&tuning->arena, error);
    const char *path = oq_trial_write(tuning, oq_trial_method(tuning), choices,
                                      tuning->tune->n_weights, &nbytes, error);
    timing->sessions[1] = path == NULL ? NULL : open_session(tuning, path, error);
    double ms;
    bool ok = timing->sessions[1] != NULL && start(timing, 1, &ms, error) &&
              take_turns(timing, seconds, error);
    if (ok)
        group->ms[form] = find_difference(timing) / (double)group->n_weights;
    oq_session_close(timing->sessions[1]);
    timing->sessions[1] = NULL;
    fini_timing(timing);
    if (path != NULL)
        oq_trial_remove(path);
    return ok;
}

/* The form that takes the same time, and is the first such. */
static int timed_as(int form)
{
    return oq_form_is_smooth(form) ? OQ_N_PLAIN_FORMS : form;
}

/* What has no integers is folded in the base. */
static int base_of(const struct oq_tune_group *group)
{
    return group->exists[BASE_FORM] ? BASE_FORM : ONNXQ_FORM_FOLDED;
}

/* What loses the same to the last bit is the same: rows that a Gather takes, whatever the form. */
static bool is_as_base(const struct oq_tune *tune, size_t g, int form)
{
    for (size_t i = 0; i < tune->n_weights; i++) {
        const struct oq_tune_cost *costs = tune->sites[tune->weights[i].site].costs;
        if (tune->weights[i].group == g && costs[form].error != costs[BASE_FORM].error)
            return false;
    }
    return true;
}

static bool is_timed(const struct oq_tune *tune, size_t g, int form)
{
    const struct oq_tune_group *group = &tune->groups[g];
    return form >= ONNXQ_FORM_FOLDED && form != base_of(group) && timed_as(form) == form &&
           group->exists[form] && !(form == ONNXQ_FORM_FOLDED && is_as_base(tune, g, form));
}

/* How many there are, none of which is known yet. */
static size_t begin_pairs(struct oq_tune *tune)
{
    size_t count = 0;
    for (size_t g = 0; g < tune->n_groups; g++)
        for (int form = 0; form < OQ_N_FORMS; form++)
            if (is_timed(tune, g, form)) {
                tune->groups[g].ms[form] = (double)NAN;
                count++;
            }
    return count;
}

/* From differences to the base to those to what is folded. */
static void refer_to_folded(struct oq_tune_group *group)
{
    const double folded = group->ms[ONNXQ_FORM_FOLDED];
    for (int form = ONNXQ_FORM_FOLDED; form < OQ_N_FORMS; form++)
        group->ms[form] -= folded;
}

/* Groups of many weights first, which count the most. NULL: memory is out. */
static size_t *sort_groups(struct oq_tuning *tuning)
{
    const struct oq_tune *tune = tuning->tune;
    size_t *order = oq_arena_array(&tuning->arena, tune->n_groups + 1, sizeof(*order));
    for (size_t g = 0; order != NULL && g < tune->n_groups; g++) {
        size_t place = g;
        for (; place > 0 && tune->groups[order[place - 1]].n_weights < tune->groups[g].n_weights;
             place--)
            order[place] = order[place - 1];
        order[place] = g;
    }
    return order;
}

/* What an earlier search has measured, or now. *goes_on: there was time for it. */
static bool find_time(struct oq_tuning *tuning, struct timing *timing, size_t g, int form,
                      double seconds, bool *goes_on, onnxq_error *error)
{
    struct oq_tune_group *group = &tuning->tune->groups[g];
    const char *name = oq_tune_forms[form].name;
    if (oq_tune_cache_get(&tuning->cache, OQ_MEASURED_TIME, group->name, name, &group->ms[form])) {
        tuning->cache.n_found++;
        return true;
    }
    *goes_on = *goes_on && oq_tuning_seconds_left(tuning) > seconds;
    return !*goes_on || (time_group(tuning, timing, g, form, seconds, error) &&
                         oq_tune_cache_put(&tuning->cache, OQ_MEASURED_TIME, group->name, name,
                                           group->ms[form], error) &&
                         oq_tune_cache_save(&tuning->cache, error));
}

/* Each does what the one before does, and more. */
static const int ever_slower[] = {ONNXQ_FORM_INTEGERS, OQ_N_PLAIN_FORMS, OQ_N_PLAIN_FORMS + 3,
                                  OQ_N_PLAIN_FORMS + 4};
#define N_EVER_SLOWER (sizeof(ever_slower) / sizeof(ever_slower[0]))

/*
 * Where a clock says that more takes less, it was off: neighbours that are the wrong way round get
 * their mean (isotonic regression).
 */
static void straighten(struct oq_tune_group *group)
{
    struct {
        double sum;
        unsigned n;
    } pools[N_EVER_SLOWER];
    int timed[N_EVER_SLOWER];
    size_t n_timed = 0, n_pools = 0, pool = 0;
    for (size_t i = 0; i < N_EVER_SLOWER; i++) {
        const double ms = group->ms[ever_slower[i]];
        if (!group->exists[ever_slower[i]] || isnan(ms))
            continue;
        timed[n_timed++] = ever_slower[i];
        pools[n_pools].sum = ms, pools[n_pools++].n = 1;
        while (n_pools > 1 && pools[n_pools - 2].sum * pools[n_pools - 1].n >
                                  pools[n_pools - 1].sum * pools[n_pools - 2].n) {
            n_pools--;
            pools[n_pools - 1].sum += pools[n_pools].sum;
            pools[n_pools - 1].n += pools[n_pools].n;
        }
    }
    for (size_t i = 0; i < n_timed; pool++)
        for (unsigned left = pools[pool].n; left > 0; left--)
            group->ms[timed[i++]] = pools[pool].sum / pools[pool].n;
}

static void finish_group(struct oq_tune_group *group)
{
    group->ms[base_of(group)] = 0;
    straighten(group);
    for (int form = 0; form < OQ_N_FORMS; form++)
        group->ms[form] = group->ms[timed_as(form)];
    refer_to_folded(group);
}

static bool time_groups(struct oq_tuning *tuning, struct timing *timing, onnxq_error *error)
{
    const struct oq_tune *tune = tuning->tune;
    size_t n_pairs = begin_pairs(tuning->tune), n_done = 0;
    double seconds = fmin(tuning->options->seconds * OQ_TUNING_SHARE_OF_TIMES,
                          oq_tuning_seconds_left(tuning) * MOST_OF_THE_REST) /
                     (double)(n_pairs + 1);
    seconds = fmin(fmax(seconds, MIN_PAIR_SECONDS), MAX_PAIR_SECONDS);
    const size_t *order = sort_groups(tuning);
    if (order == NULL)
        return oq_arena_fail(&tuning->arena, error);
    for (size_t i = 0; i < OQ_N_ORDERED_FORMS * tune->n_groups; i++) {
        const int form = oq_tune_order[i / tune->n_groups];
        const size_t g = order[i % tune->n_groups];
        if (!is_timed(tune, g, form))
            continue;
        bool goes_on = oq_tuning_goes_on(tuning, "times", n_done++, n_pairs);
        if (!find_time(tuning, timing, g, form, seconds, &goes_on, error) &&
            !oq_tuning_forgives(tuning, error))
            return false;
    }
    for (size_t g = 0; g < tune->n_groups; g++)
        finish_group(&tune->groups[g]);
    return true;
}

/* What weights of that operator take in a form for each byte of floats, as far as known; or NAN. */
static double rate_of(const struct oq_tune *tune, const char *op_type, int form)
{
    double ms = 0, nbytes = 0;
    for (size_t i = 0; i < tune->n_weights; i++) {
        const struct oq_tune_weight *weight = &tune->weights[i];
        const double one = tune->groups[weight->group].ms[form];
        if (!weight->exists[form] || isnan(one) ||
            strcmp(tune->sites[weight->site].op_type, op_type) != 0)
            continue;
        ms += one;
        nbytes += (double)weight->nbytes[ONNXQ_FORM_FLOAT];
    }
    return nbytes > 0 ? ms / nbytes : (double)NAN;
}

/*
 * Where there was no time for a clock: as others of that operator take. Without any, reading
 * weights is what takes the time of a run, floats for what is folded, and all else as it is stored;
 * columns take a part of what integers gain: .06 to .22 in minilm.
 */
static void assume_times(struct oq_tune *tune, bool is_timed)
{
    const double run_ms = isnan(tune->float_ms) ? 1 : tune->float_ms;
    for (size_t i = 0; i < tune->n_weights; i++) {
        const struct oq_tune_weight *weight = &tune->weights[i];
        const double float_nbytes = (double)weight->nbytes[ONNXQ_FORM_FLOAT];
        double *ms = tune->groups[weight->group].ms;
        for (int form = ONNXQ_FORM_INTEGERS; form < OQ_N_FORMS; form++) {
            if (!weight->exists[form] || !isnan(ms[form]))
                continue;
            const char *op_type = tune->sites[weight->site].op_type;
            const double rate = is_timed ? rate_of(tune, op_type, form) : (double)NAN;
            if (!isnan(rate))
                ms[form] = rate * float_nbytes;
            else if (oq_form_has_channels(form))
                ms[form] = ms[ONNXQ_FORM_INTEGERS] *
                           (oq_tune_forms[form].n_columns > 0 ? 1 - PART_OF_COLUMNS : 1);
            else
                ms[form] = ((double)weight->nbytes[form] - float_nbytes) * run_ms /
                           (double)(tune->float_nbytes + 1);
        }
    }
}

static void sum_up(struct oq_tune *tune)
{
    for (size_t i = 0; i < tune->n_weights; i++) {
        const struct oq_tune_weight *weight = &tune->weights[i];
        for (int form = ONNXQ_FORM_INTEGERS; form < OQ_N_FORMS; form++)
            if (weight->exists[form])
                tune->sites[weight->site].costs[form].ms += tune->groups[weight->group].ms[form];
    }
}

bool oq_tuning_measure_times(struct oq_tuning *tuning, onnxq_error *error)
{
    struct timing timing = begin(tuning);
    uint64_t nbytes;
    if (!tuning->options->is_timed || tuning->tune->is_stopped) {
        assume_times(tuning->tune, false);
        sum_up(tuning->tune);
        return true;
    }
    const onnxq_choice *choices = oq_trial_all(tuning, BASE_FORM);
    if (choices == NULL)
        return oq_arena_fail(&tuning->arena, error);
    const char *path = oq_trial_write(tuning, oq_trial_method(tuning), choices,
                                      tuning->tune->n_weights, &nbytes, error);
    timing.sessions[0] = path == NULL ? NULL : open_session(tuning, path, error);
    /* What is folded takes as long as floats do; the choice will know it better. */
    bool ok = timing.sessions[0] != NULL && start(&timing, 0, &tuning->tune->float_ms, error) &&
              time_groups(tuning, &timing, error);
    oq_session_close(timing.sessions[0]);
    fini_timing(&timing);
    if (path != NULL)
        oq_trial_remove(path);
    assume_times(tuning->tune, true);
    sum_up(tuning->tune);
    return ok;
}

/* --- whole models ------------------------------------------------------------------------- */

double oq_tuning_speed_seconds(const struct oq_tuning *tuning)
{
    return fmin(SPEED_SECONDS, SHARE_OF_SPEED * tuning->options->seconds);
}

static bool compare_speed(struct oq_tuning *tuning, struct timing *timing,
                          struct oq_tune_point *point, onnxq_error *error)
{
    struct oq_speedup_spread spread;
    double ms;
    if (!start(timing, 0, &ms, error) || !start(timing, 1, &ms, error) ||
        !take_turns(timing, oq_tuning_speed_seconds(tuning), error) ||
        !oq_speedup(timing->times[0].values, timing->times[1].values, timing->times[0].count,
                    &spread, error))
        return false;
    point->speed = spread.median;
    point->speed_low = spread.low;
    point->speed_high = spread.high;
    tuning->tune->float_ms = oq_median(timing->times[0].values, timing->times[0].count);
    return true;
}

bool oq_tuning_measure_speed(struct oq_tuning *tuning, struct oq_tune_point *point,
                             onnxq_error *error)
{
    struct timing timing = begin(tuning);
    uint64_t nbytes;
    size_t n;
    const onnxq_choice *choices = oq_tune_choices(tuning->tune, point, &n);
    if (choices == NULL)
        return oq_arena_fail(&tuning->tune->arena, error);
    const char *path = oq_trial_write(tuning, point->method, choices, n, &nbytes, error);
    timing.sessions[0] =
        path == NULL ? NULL : open_session(tuning, tuning->options->model->file.path, error);
    timing.sessions[1] = timing.sessions[0] == NULL ? NULL : open_session(tuning, path, error);
    bool ok = timing.sessions[1] != NULL && compare_speed(tuning, &timing, point, error);
    for (int k = 0; k < 2; k++)
        oq_session_close(timing.sessions[k]);
    fini_timing(&timing);
    if (path != NULL)
        oq_trial_remove(path);
    return ok;
}
