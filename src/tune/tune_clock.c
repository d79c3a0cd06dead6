/* How long a search has, and whether it goes on. */
#include "base/clock.h"
#include "tune/tuning.h"

double oq_tuning_seconds_left(const struct oq_tuning *tuning)
{
    return tuning->began + tuning->options->seconds - tuning->reserve - oq_now_seconds();
}

bool oq_tuning_goes_on(struct oq_tuning *tuning, const char *what, uint64_t done, uint64_t total)
{
    const struct oq_tune_options *options = tuning->options;
    tuning->step = what;
    tuning->step_done = done;
    tuning->step_total = total;
    if (options->progress != NULL && !options->progress(options->progress_data, what, done, total))
        tuning->tune->is_stopped = true;
    return !tuning->tune->is_stopped && oq_tuning_seconds_left(tuning) > 0;
}

bool oq_tuning_tell(struct oq_tuning *tuning, const char *what, uint64_t done, uint64_t total)
{
    oq_tuning_goes_on(tuning, what, done, total);
    return !tuning->tune->is_stopped;
}

bool oq_tuning_tell_again(struct oq_tuning *tuning)
{
    return tuning->step == NULL
               ? !tuning->tune->is_stopped
               : oq_tuning_tell(tuning, tuning->step, tuning->step_done, tuning->step_total);
}

bool oq_tuning_is_stopped(struct oq_tuning *tuning, onnxq_error *error)
{
    return !oq_tuning_tell_again(tuning) && !oq_fail(error, ONNXQ_ERROR_CANCELLED, "cancelled");
}

/* Whatever it says: the user's own command got the signal, too. */
bool oq_tuning_forgives(struct oq_tuning *tuning, onnxq_error *error)
{
    if (error->status == ONNXQ_ERROR_MEMORY || oq_tuning_tell_again(tuning))
        return false;
    oq_error_init(error);
    return true;
}
