/* A search from options to result: every step in order. */
#include "tune/tune.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "bench/work_folder.h"
#include "tune/tuning.h"

static bool do_work(struct oq_tuning *tuning, onnxq_error *error)
{
    return oq_tuning_make_inputs(tuning, error) && oq_tuning_find_ranges(tuning, error) &&
           oq_tuning_find_channels(tuning, error) && oq_tuning_find_sites(tuning, error) &&
           oq_tuning_resume(tuning, error) && oq_tuning_begin_search(tuning, error) &&
           oq_tuning_measure_errors(tuning, error) && oq_tuning_measure_times(tuning, error) &&
           oq_tuning_search(tuning, error);
}

static void fini_outputs(struct oq_arrays *outputs, size_t n)
{
    for (size_t i = 0; outputs != NULL && i < n; i++)
        oq_arrays_fini(&outputs[i]);
    free(outputs);
}

bool oq_tune_run(struct oq_tune *tune, const struct oq_tune_options *options, onnxq_error *error)
{
    struct oq_tuning tuning = {.tune = tune, .options = options, .began = oq_now_seconds()};
    oq_arena_init(&tune->arena, OQ_STRUCTURE_BUDGET);
    oq_arena_init(&tuning.arena, OQ_STRUCTURE_BUDGET);
    tune->float_ms = (double)NAN;
    tune->float_nbytes = options->model->info.file_nbytes + options->model->info.external_nbytes;
    tuning.folder = oq_folder_make(options->folder, error);
    bool ok = tuning.folder != NULL && do_work(&tuning, error);
    tune->seconds = oq_now_seconds() - tuning.began;
    tune->n_resumed = tuning.cache.n_found;
    tune->foreign = tuning.cache.foreign;
    oq_folder_remove(tuning.folder);
    fini_outputs(tuning.search_outputs, tuning.search.count);
    fini_outputs(tuning.unseen_outputs, tuning.unseen.count);
    oq_input_sets_fini(&tuning.all);
    oq_input_sets_fini(&tuning.search);
    oq_input_sets_fini(&tuning.unseen);
    oq_arena_fini(&tuning.arena);
    if (!ok)
        oq_error_file(error, options->model->file.path);
    return ok;
}

void oq_tune_fini(struct oq_tune *tune)
{
    onnxq_ranges_close(tune->ranges);
    oq_arena_fini(&tune->arena);
}
