/* The passes: shapes first, then groups of values over batches of inputs. */
#include "calibrate/calibrate.h"

#include <stdlib.h>

#include "base/checked.h"
#include "calibrate/wanted.h"
#include "engine/value.h"
#include "layers/probe.h"
#include "run/runner.h"
#include "wire/data_type.h"

/* A batch is so many times as large as the one before. */
#define BATCH_GROWTH 4

struct value_group {
    size_t first, end; /* of the wanted values that are computed */
};

struct calibration {
    const struct oq_calibrate_options *options;
    struct oq_calibration *calibration;
    struct oq_arena arena;
    struct oq_signature signature;
    struct oq_feed_options feed;
    struct oq_session_options session;
    struct oq_input_sets sets; /* empty; what is said of drawn sizes */
    struct oq_wanted_list wanted;
    struct value_group *groups;
    size_t n_groups, groups_capacity;
    uint64_t n_sets, n_done, n_steps;
    bool engine_failed; /* in the last run */
};

static bool out_of_memory(struct calibration *work, onnxq_error *error)
{
    return oq_arena_fail(&work->arena, error);
}

/* Stops with an error that never leaves here, where the caller has seen enough. */
static bool advance(struct calibration *work, onnxq_error *error)
{
    const struct oq_calibrate_options *options = work->options;
    work->n_done++;
    if (options->progress == NULL ||
        options->progress(options->progress_data, work->n_done, work->n_steps))
        return true;
    work->calibration->is_stopped = true;
    return oq_fail(error, ONNXQ_ERROR_CANCELLED, "stopped");
}

/* --- sets of inputs ------------------------------------------------------------------ */

static bool visit_given(const struct oq_input_sets *sets, struct oq_set_visit *visit,
                        onnxq_error *error)
{
    for (; visit->n_sets < sets->count; visit->n_sets++) {
        uint64_t number = visit->n_sets;
        if (number >= visit->first && number - visit->first < visit->count &&
            !visit->take(visit->data, number, &sets->list[number], error))
            return false;
    }
    return true;
}

static bool visit(struct calibration *work, struct oq_set_visit *visit, onnxq_error *error)
{
    if (work->options->sets != NULL)
        return visit_given(work->options->sets, visit, error);
    work->sets.visit = visit;
    bool ok =
        oq_feed_visit(&work->sets, work->options->model, &work->signature, &work->feed, error);
    work->sets.visit = NULL;
    return ok;
}

static bool count_sets(struct calibration *work, onnxq_error *error)
{
    struct oq_set_visit none = {.count = 0};
    if (!visit(work, &none, error))
        return false;
    work->n_sets = none.n_sets;
    return work->n_sets > 0 ||
           oq_fail(error, ONNXQ_ERROR_OPTION, "there are no inputs to run the model with");
}

/* Runs the session with the set; an error is the engine's, or tells what does not fit. */
static bool run_set(struct calibration *work, struct oq_session *session,
                    const struct oq_input_set *set, onnxq_error *error)
{
    work->engine_failed = false;
    if (!oq_session_set_inputs(session, set->inputs.list, set->inputs.count, error))
        return false;
    work->engine_failed = !oq_session_run(session, error);
    if (work->engine_failed)
        oq_error_place(error, "%s", set->label);
    return !work->engine_failed;
}

/* --- sessions -------------------------------------------------------------------------- */

/* Names of the values in [first, end) that are computed. */
static const char **names_of(struct calibration *work, size_t first, size_t end, size_t *n)
{
    const char **names = oq_arena_array(&work->arena, end - first + 1, sizeof(*names));
    *n = 0;
    for (size_t i = first; names != NULL && i < end; i++)
        if (!work->wanted.list[i].is_input && !work->wanted.list[i].is_unfit)
            names[(*n)++] = work->wanted.list[i].name;
    return names;
}

/*
 * The model up to the node `end` with these values, or their shapes, as outputs;
 * what it is run for is those.
 */
static struct oq_session *open_session(struct calibration *work, const char *const *names, size_t n,
                                       size_t end, bool shapes, onnxq_error *error)
{
    const struct oq_calibrate_options *options = work->options;
    struct oq_probe probe;
    const char **asked = oq_arena_array(&work->arena, n + 1, sizeof(*asked));
    if (asked == NULL) {
        out_of_memory(work, error);
        return NULL;
    }
    bool ok = oq_probe_init(&probe, options->model, error);
    if (ok && n > 0 && work->wanted.is_sorted)
        oq_probe_keep_first(&probe, end);
    if (ok)
        ok = shapes ? oq_probe_add_shapes(&probe, names, n, asked, error)
                    : oq_probe_add_outputs(&probe, names, n, error);
    for (size_t i = 0; ok && i < n; i++) {
        asked[i] = oq_arena_strdup(&work->arena, shapes ? asked[i] : names[i]);
        ok = asked[i] != NULL || out_of_memory(work, error);
    }
    struct oq_session *session =
        ok ? oq_probe_open(&probe, options->engine, &work->session, error) : NULL;
    oq_probe_fini(&probe);
    if (n == 0 && work->signature.n_outputs > 0) /* an engine does not run for nothing */
        asked[n++] = work->signature.outputs[0].name;
    if (session != NULL && !oq_session_set_outputs(session, asked, n, error)) {
        oq_session_close(session);
        session = NULL;
    }
    return session;
}

/* --- shapes --------------------------------------------------------------------------------- */

struct shapes_pass {
    struct calibration *work;
    struct oq_session *session;
};

static uint64_t nbytes_of(const struct oq_array *shape)
{
    uint64_t nbytes = sizeof(float);
    for (uint64_t i = 0; i < shape->nelem; i++) {
        double size;
        oq_array_read_doubles(shape, i, 1, &size);
        if (!oq_mul_u64(nbytes, (uint64_t)size, &nbytes))
            return UINT64_MAX;
    }
    return nbytes;
}

static bool take_shapes(void *data, uint64_t number, struct oq_input_set *set, onnxq_error *error)
{
    const struct shapes_pass *pass = data;
    struct calibration *work = pass->work;
    (void)number;
    if (!run_set(work, pass->session, set, error))
        return false;
    for (size_t i = 0, k = 0; i < work->wanted.count; i++) {
        struct oq_array shape = {0};
        if (work->wanted.list[i].is_input)
            continue;
        if (!oq_session_get_output(pass->session, k++, &shape, error))
            return false;
        work->wanted.list[i].nbytes = nbytes_of(&shape);
        oq_array_fini(&shape);
    }
    return advance(work, error);
}

/*
 * How large values are in a run: that takes no more memory than any other run,
 * and random inputs of sizes that do not run are found out as well.
 */
static bool measure_shapes(struct calibration *work, onnxq_error *error)
{
    onnxq_error first;
    size_t n;
    const char **names = names_of(work, 0, work->wanted.count, &n);
    if (names == NULL)
        return out_of_memory(work, error);
    struct shapes_pass pass = {.work = work,
                               .session = open_session(work, names, n, SIZE_MAX, true, error)};
    bool ok = pass.session != NULL;
    while (ok) {
        struct oq_set_visit one = {.count = 1, .take = take_shapes, .data = &pass};
        ok = visit(work, &one, error);
        if (ok || !work->engine_failed ||
            !oq_feed_try_others(&work->feed, &work->sets, &first, error))
            break;
        ok = true;
    }
    oq_session_close(pass.session);
    return ok;
}

/* --- groups --------------------------------------------------------------------------------- */

static bool add_group(struct calibration *work, size_t first, size_t end, onnxq_error *error)
{
    if (!oq_arena_grow(&work->arena, &work->groups, work->n_groups, &work->groups_capacity,
                       sizeof(*work->groups)))
        return out_of_memory(work, error);
    work->groups[work->n_groups++] = (struct value_group){first, end};
    return true;
}

/* Values in the order of the model, as many as fit; inputs, which come first, take nothing. */
static bool make_groups(struct calibration *work, onnxq_error *error)
{
    const struct oq_calibrate_options *options = work->options;
    uint64_t limit = options->nbytes != 0 ? options->nbytes : OQ_CALIBRATE_NBYTES, sum = 0;
    size_t first = 0;
    for (size_t i = 0; i < work->wanted.count; i++) {
        uint64_t nbytes = work->wanted.list[i].nbytes;
        if (sum > 0 && (nbytes > limit || sum > limit - nbytes)) {
            if (!add_group(work, first, i, error))
                return false;
            first = i;
            sum = 0;
        }
        sum = nbytes > UINT64_MAX - sum ? UINT64_MAX : sum + nbytes;
    }
    return add_group(work, first, work->wanted.count, error);
}

/* --- ranges --------------------------------------------------------------------------------- */

static struct oq_shape_of_channels shape_of(const int64_t *dims, size_t n_dims, int axis)
{
    size_t at = axis >= 0 ? (size_t)axis : n_dims - 1;
    if (n_dims < 2 || at >= n_dims)
        return (struct oq_shape_of_channels){1, 1, oq_nelem(dims, 0, n_dims), -1};
    return (struct oq_shape_of_channels){oq_nelem(dims, 0, at), (uint64_t)dims[at],
                                         oq_nelem(dims, at + 1, n_dims), (int)at};
}

static bool fold(struct calibration *work, const struct oq_wanted *wanted, const float *data,
                 const int64_t *dims, size_t n_dims, onnxq_error *error)
{
    onnxq_ranges *ranges = work->calibration->ranges;
    struct oq_range_stats *stats = oq_ranges_place(ranges, wanted->name, error);
    const struct oq_shape_of_channels shape = shape_of(dims, n_dims, wanted->axis);
    return stats != NULL && (oq_range_stats_fold(stats, data, &shape, &ranges->arena) ||
                             oq_arena_fail(&ranges->arena, error));
}

static bool fold_input(struct calibration *work, struct oq_wanted *wanted,
                       const struct oq_input_set *set, onnxq_error *error)
{
    const struct oq_array *array = oq_arrays_find(&set->inputs, wanted->name);
    if (array == NULL)
        return true;
    wanted->is_unfit = array->data_type != OQ_TYPE(FLOAT);
    return wanted->is_unfit || fold(work, wanted, array->data, array->dims, array->n_dims, error);
}

struct group_pass {
    struct calibration *work;
    const struct value_group *group;
    struct oq_session *session; /* its outputs are the group's values that are computed and fit */
};

static bool take_values(void *data, uint64_t number, struct oq_input_set *set, onnxq_error *error)
{
    const struct group_pass *pass = data;
    struct calibration *work = pass->work;
    bool ok = run_set(work, pass->session, set, error);
    (void)number;
    for (size_t i = pass->group->first, k = 0; ok && i < pass->group->end; i++) {
        struct oq_wanted *wanted = &work->wanted.list[i];
        struct oq_floats floats;
        if (wanted->is_input) {
            ok = fold_input(work, wanted, set, error);
            continue;
        }
        if (wanted->is_unfit)
            continue;
        ok = oq_session_borrow_output(pass->session, k++, &floats, error);
        if (ok && floats.data != NULL)
            ok = fold(work, wanted, floats.data, floats.dims, floats.n_dims, error);
        free(floats.dims);
    }
    return ok && advance(work, error);
}

/* What has no statistics after the first set is no float32 tensor: nobody asks for it again. */
static void mark_unfit(struct calibration *work, const struct value_group *group)
{
    for (size_t i = group->first; i < group->end; i++)
        if (oq_ranges_find(work->calibration->ranges, work->wanted.list[i].name) == NULL)
            work->wanted.list[i].is_unfit = true;
}

static bool run_group(struct calibration *work, const struct value_group *group, uint64_t first,
                      uint64_t count, onnxq_error *error)
{
    size_t n;
    const char **names = names_of(work, group->first, group->end, &n);
    if (names == NULL)
        return out_of_memory(work, error);
    size_t end = 0;
    for (size_t i = group->first; i < group->end; i++)
        end = work->wanted.list[i].node + 1;
    struct group_pass pass = {
        .work = work, .group = group, .session = open_session(work, names, n, end, false, error)};
    struct oq_set_visit batch = {
        .first = first, .count = count, .take = take_values, .data = &pass};
    bool ok = pass.session != NULL && visit(work, &batch, error);
    oq_session_close(pass.session);
    if (first == 0 && ok)
        mark_unfit(work, group);
    return ok;
}

/* --- batches -------------------------------------------------------------------------------- */

static bool run_batches(struct calibration *work, onnxq_error *error)
{
    onnxq_ranges *ranges = work->calibration->ranges;
    uint64_t size = 1;
    for (uint64_t first = 0; first < work->n_sets; first += size, size *= BATCH_GROWTH) {
        uint64_t count = oq_min_u64(size, work->n_sets - first);
        if (work->n_groups == 1) /* there is nothing to take turns with */
            count = work->n_sets - first;
        for (size_t g = 0; g < work->n_groups; g++)
            if (!run_group(work, &work->groups[g], first, count, error))
                return false;
        ranges->n_runs += count;
        if (count == work->n_sets - first)
            break;
    }
    return true;
}

/* --- the whole ------------------------------------------------------------------------------ */

static bool prepare(struct calibration *work, onnxq_error *error)
{
    const onnxq_model *model = work->options->model;
    work->feed = work->options->feed;
    work->session = work->options->session;
    work->calibration->ranges = oq_ranges_create(model, error);
    return work->calibration->ranges != NULL &&
           oq_signature_init(&work->signature, model, &work->arena, error) &&
           oq_wanted_find(&work->wanted, model, &work->arena, error) && count_sets(work, error);
}

static bool do_work(struct calibration *work, onnxq_error *error)
{
    if (!prepare(work, error))
        return false;
    work->n_steps = 1 + work->n_sets; /* until groups are known */
    if (!measure_shapes(work, error) || !make_groups(work, error))
        return false;
    work->n_steps = 1 + work->n_sets * work->n_groups;
    return run_batches(work, error) &&
           (work->calibration->ranges->n_values > 0 ||
            oq_fail(error, ONNXQ_NOTHING_TO_DO, "no float32 value in it depends on inputs"));
}

/* What was seen before the stop is a result, if all values were. */
static bool accept_stop(const struct calibration *work, onnxq_error *error)
{
    onnxq_ranges *ranges = work->calibration->ranges;
    if (!work->calibration->is_stopped || work->n_groups == 0 || work->n_done <= work->n_groups)
        return false;
    uint64_t seen = (work->n_done - 1) / work->n_groups;
    ranges->n_runs = oq_max_u64(ranges->n_runs, work->n_groups == 1 ? seen : 0);
    if (ranges->n_runs == 0)
        return false;
    oq_error_init(error);
    return true;
}

bool oq_calibrate(struct oq_calibration *calibration, const struct oq_calibrate_options *options,
                  onnxq_error *error)
{
    struct calibration work = {.options = options, .calibration = calibration};
    *calibration = (struct oq_calibration){0};
    oq_arena_init(&work.arena, OQ_STRUCTURE_BUDGET);
    bool ok = do_work(&work, error) || accept_stop(&work, error);
    calibration->n_groups = work.n_groups;
    calibration->n_sets = work.n_sets;
    if (ok && options->sets == NULL && options->feed.n_paths == 0)
        calibration->ranges->n_drawn_runs = calibration->ranges->n_runs;
    if (ok && work.sets.sizes != NULL) /* without memory nothing is said of them */
        calibration->sizes = oq_arena_strdup(&calibration->ranges->arena, work.sets.sizes);
    if (!ok) {
        onnxq_ranges_close(calibration->ranges);
        calibration->ranges = NULL;
        oq_error_file(error, options->model->file.path);
    }
    oq_input_sets_fini(&work.sets);
    oq_arena_fini(&work.arena);
    return ok;
}
