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
    if (options->progress != NULL && !options->progress(options->progress_data, what, done, total))
        tuning->tune->is_stopped = true;
    return !tuning->tune->is_stopped && oq_tuning_seconds_left(tuning) > 0;
}
