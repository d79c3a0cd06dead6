/*
 * Convolutions are fast in integers only where the ranges of activations are known beforehand:
 * those that the inputs of the search have.
 */
#include "calibrate/calibrate.h"
#include "tune/tuning.h"

static bool has_convolutions(const onnxq_model *model)
{
    const Oq__Pb__GraphProto *graph = model->proto->graph;
    for (size_t i = 0; i < graph->n_node; i++)
        if (oq_node_is(graph->node[i], "", "Conv"))
            return true;
    return false;
}

static bool go_on(void *data, uint64_t n_done, uint64_t n_steps)
{
    struct oq_tuning *tuning = data;
    oq_tuning_goes_on(tuning, "ranges", n_done, n_steps);
    return !tuning->tune->is_stopped;
}

/* A model that the method does not take is searched without it. */
static bool check_method(struct oq_tuning *tuning, onnxq_error *error)
{
    onnxq_plan *plan = oq_trial_plan(tuning, ONNXQ_METHOD_STATIC, NULL, 0, error);
    if (plan == NULL && error->status != ONNXQ_ERROR_INPUT)
        return false;
    if (plan == NULL) {
        oq_error_init(error);
        onnxq_ranges_close(tuning->tune->ranges);
        tuning->tune->ranges = NULL;
    }
    onnxq_plan_destroy(plan);
    return true;
}

bool oq_tuning_find_ranges(struct oq_tuning *tuning, onnxq_error *error)
{
    struct oq_calibration result = {0};
    struct oq_session_options session = tuning->options->session;
    session.opt_level = OQ_OPT_BASIC; /* layouts for speed are undone for every value looked at */
    const struct oq_calibrate_options options = {.model = tuning->options->model,
                                                 .sets = &tuning->search,
                                                 .engine = tuning->options->engine,
                                                 .session = session,
                                                 .progress = go_on,
                                                 .progress_data = tuning};
    if (!has_convolutions(tuning->options->model))
        return true;
    if (!oq_calibrate(&result, &options, error))
        return false;
    tuning->tune->ranges = result.ranges;
    return check_method(tuning, error);
}
