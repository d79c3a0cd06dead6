/* The turns of a benchmark: workers are started, served in turn, stopped, summed up. */
#define _POSIX_C_SOURCE 200809L
#include "bench/bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/clock.h"
#include "base/path.h"
#include "bench/work_folder.h"
#include "bench/timed_runner.h"
#include "bench/schedule.h"

#define PROFILE_BUDGET ((size_t)256 << 20)
#define MIN_TURNS      5
#define PROFILE_MS     250.0 /* runs of that long go into a profile */
#define PROFILE_MAX    32    /* runs at most, and at least 2 */

/* The measuring as it goes on. */
struct measuring {
    struct oq_bench *bench;
    const struct oq_bench_options *options;
    struct oq_feed_options feed;
    struct oq_timed_runner *runners;
    struct oq_worker *workers;
    size_t *bursts;                /* runs of a burst, by model */
    size_t *order;                 /* of a turn */
    struct oq_worker_reply *reply; /* the last one */
    double seconds;                /* that turns took so far */
    size_t n_turns;                /* 0: as many as time allows */
    char *folder;                  /* for profiles, or NULL */
    const char *what;              /* for the progress */
    uint64_t done, total;
};

static void note_progress(struct measuring *measuring, const char *what, uint64_t done,
                          uint64_t total)
{
    measuring->what = what;
    measuring->done = done < total ? done : total;
    measuring->total = total;
}

/* --- the inputs ------------------------------------------------------------------ */

static bool prepare(struct oq_bench *bench, const struct oq_feed_options *feed, onnxq_error *error)
{
    struct oq_contestant **contestants = calloc(bench->n_models, sizeof(*contestants));
    if (contestants == NULL)
        return oq_fail_memory(error);
    for (size_t i = 0; i < bench->n_models; i++)
        contestants[i] = &bench->models[i].contestant;
    bool prepared = oq_contestants_prepare(contestants, bench->n_models, feed, &bench->sets, error);
    free(contestants);
    if (prepared && bench->sets.count == 0)
        return oq_fail(error, ONNXQ_ERROR_OPTION, "there are no inputs to run the models with");
    return prepared;
}

/* --- asking workers ------------------------------------------------------------- */

/* An oq_worker_wait_fn. */
static bool go_on(void *data)
{
    const struct measuring *measuring = data;
    const struct oq_bench_options *options = measuring->options;
    return options->progress == NULL || options->progress(options->progress_data, measuring->what,
                                                          measuring->done, measuring->total);
}

static bool ask(struct measuring *measuring, size_t model, struct oq_worker_request request,
                onnxq_error *error)
{
    return oq_worker_ask(&measuring->workers[model], &request, measuring->reply, go_on, measuring,
                         error);
}

static bool start_workers(struct measuring *measuring, onnxq_error *error)
{
    struct oq_bench *bench = measuring->bench;
    for (size_t i = 0; i < bench->n_models; i++) {
        const struct oq_contestant *contestant = &bench->models[i].contestant;
        measuring->runners[i] = (struct oq_timed_runner){
            .path = contestant->path,
            .outputs = (const char *const *)contestant->outputs.list,
            .n_outputs = contestant->outputs.count,
            .sets = &bench->sets,
            .ort_lib = measuring->options->ort_lib,
            .options = measuring->options->session,
        };
        if (!oq_worker_start(&measuring->workers[i], contestant->path, oq_timed_runner_serve,
                             &measuring->runners[i], measuring->workers, i, error))
            return false;
    }
    return true;
}

/* --- sessions ------------------------------------------------------------------- */

static bool keep_engine(struct oq_bench *bench, const struct oq_worker_reply *reply,
                        onnxq_error *error)
{
    if (bench->engine_version != NULL)
        return true;
    bench->engine_version = strdup(reply->engine_version);
    bench->engine_path = strdup(reply->engine_path);
    return (bench->engine_version != NULL && bench->engine_path != NULL) || oq_fail_memory(error);
}

static bool load(struct measuring *measuring, size_t model, onnxq_error *error)
{
    struct oq_bench *bench = measuring->bench;
    return ask(measuring, model, (struct oq_worker_request){.task = OQ_WORKER_LOAD}, error) &&
           keep_engine(bench, measuring->reply, error) &&
           oq_series_add(&bench->models[model].loads, (double)measuring->reply->load_ns * 1e-6,
                         error);
}

static bool warm_up(struct measuring *measuring, size_t model, onnxq_error *error)
{
    /* One run goes ahead of those that are timed. */
    size_t warmup = (size_t)oq_min_u64(measuring->options->warmup, OQ_BURST_MAX);
    struct oq_worker_request request = {.task = OQ_WORKER_RUN, .n = warmup > 1 ? warmup - 1 : 1};
    if (!ask(measuring, model, request, error))
        return false;
    uint64_t best = measuring->reply->times_ns[0];
    for (size_t i = 1; i < request.n; i++)
        best = oq_min_u64(best, measuring->reply->times_ns[i]);
    if (measuring->bursts[model] == 0)
        measuring->bursts[model] = oq_schedule_burst((double)best * 1e-6);
    return true;
}

static bool load_all(struct measuring *measuring, size_t session, onnxq_error *error)
{
    size_t n_models = measuring->bench->n_models;
    oq_schedule_order(~(uint64_t)session, measuring->order, n_models);
    for (size_t i = 0; i < n_models; i++) {
        note_progress(measuring, "load", i, n_models);
        if (!load(measuring, measuring->order[i], error))
            return false;
    }
    return true;
}

static bool warm_up_all(struct measuring *measuring, onnxq_error *error)
{
    for (size_t i = 0; i < measuring->bench->n_models; i++) {
        if (!warm_up(measuring, measuring->order[i], error))
            return false;
    }
    return true;
}

static bool start_session(struct measuring *measuring, size_t session, onnxq_error *error)
{
    return load_all(measuring, session, error) && warm_up_all(measuring, error);
}

/* As if nothing had been run, with other inputs, which workers have from their beginning. */
static bool start_again(struct measuring *measuring, onnxq_error *error)
{
    struct oq_bench *bench = measuring->bench;
    for (size_t i = 0; i < bench->n_models; i++) {
        oq_worker_stop(&measuring->workers[i]);
        measuring->bursts[i] = 0;
        bench->models[i].loads.count = 0;
        oq_names_fini(&bench->models[i].contestant.outputs);
    }
    oq_input_sets_fini(&bench->sets);
    return prepare(bench, &measuring->feed, error) && start_workers(measuring, error);
}

/* Where the model does not run with sizes that were drawn, others have their turn. */
static bool start_first_session(struct measuring *measuring, onnxq_error *error)
{
    onnxq_error first;
    while (load_all(measuring, 0, error) && !warm_up_all(measuring, error)) {
        if (!oq_feed_try_others(&measuring->feed, &measuring->bench->sets, &first, error))
            return false;
        if (!start_again(measuring, error)) {
            *error = first;
            return false;
        }
    }
    measuring->bench->n_tries = measuring->feed.draw.tried + 1;
    return error->status == ONNXQ_OK;
}

/* How much there is to do, once all models were loaded for the first time. */
static void plan(struct measuring *measuring)
{
    const struct oq_bench_options *options = measuring->options;
    struct oq_bench *bench = measuring->bench;
    double load_ms = 0, seconds = options->seconds * (double)bench->n_models;
    for (size_t i = 0; i < bench->n_models; i++)
        load_ms += bench->models[i].loads.values[0];
    bench->n_sessions = oq_schedule_sessions(load_ms, seconds);
    if (options->runs == 0)
        return;
    measuring->n_turns =
        oq_schedule_turns(options->runs, measuring->bursts, bench->n_models, bench->sets.count);
    bench->n_sessions = (size_t)oq_min_u64(bench->n_sessions, measuring->n_turns);
}

/* --- turns ---------------------------------------------------------------------- */

static bool keep_times(struct oq_bench_model *model, struct oq_worker_reply *reply, size_t n,
                       onnxq_error *error)
{
    double ms[OQ_BURST_MAX];
    for (size_t i = 0; i < n; i++) {
        ms[i] = (double)reply->times_ns[i] * 1e-6;
        if (!oq_series_add(&model->times, ms[i], error))
            return false;
    }
    return oq_series_add(&model->medians, oq_median(ms, n), error);
}

/* Runs that a model has in the next turn. */
static size_t count_runs(const struct measuring *measuring, size_t model)
{
    if (measuring->n_turns == 0)
        return measuring->bursts[model];
    return oq_schedule_share(measuring->options->runs, measuring->bench->n_turns,
                             measuring->n_turns);
}

static bool take_turn(struct measuring *measuring, onnxq_error *error)
{
    struct oq_bench *bench = measuring->bench;
    double began = oq_now_seconds();
    oq_schedule_order(bench->n_turns, measuring->order, bench->n_models);
    for (size_t i = 0; i < bench->n_models; i++) {
        size_t model = measuring->order[i], n = count_runs(measuring, model);
        struct oq_worker_request request = {
            .task = OQ_WORKER_RUN, .n = n, .set = bench->n_turns % bench->sets.count};
        if (!ask(measuring, model, request, error) ||
            !keep_times(&bench->models[model], measuring->reply, n, error))
            return false;
    }
    bench->n_turns++;
    measuring->seconds += oq_now_seconds() - began;
    return true;
}

/* Whether session number `session` has had what it is to have. */
static bool is_done(const struct measuring *measuring, size_t session)
{
    const struct oq_bench *bench = measuring->bench;
    size_t turns = bench->n_turns, n_sets = bench->sets.count;
    double part = (double)(session + 1) / (double)bench->n_sessions;
    if (measuring->n_turns > 0)
        return (double)turns >= part * (double)measuring->n_turns;
    double seconds = measuring->options->seconds * (double)bench->n_models;
    if (measuring->seconds < part * seconds || (double)turns < part * MIN_TURNS)
        return false;
    /* Each set has as many turns as the others. */
    return session + 1 < bench->n_sessions || turns % n_sets == 0;
}

static void note_turns(struct measuring *measuring)
{
    const struct oq_bench *bench = measuring->bench;
    if (measuring->n_turns > 0)
        note_progress(measuring, "turns", bench->n_turns, measuring->n_turns);
    else
        note_progress(measuring, "seconds", (uint64_t)measuring->seconds,
                      (uint64_t)(measuring->options->seconds * (double)bench->n_models));
}

/* --- what is known in the end --------------------------------------------------- */

static bool read_memory(struct measuring *measuring, onnxq_error *error)
{
    for (size_t i = 0; i < measuring->bench->n_models; i++) {
        struct oq_bench_model *model = &measuring->bench->models[i];
        if (!ask(measuring, i, (struct oq_worker_request){.task = OQ_WORKER_MEMORY}, error))
            return false;
        model->memory = measuring->reply->memory;
        model->memory_before = measuring->reply->memory_before;
    }
    return true;
}

static bool measure(struct measuring *measuring, onnxq_error *error)
{
    struct oq_bench *bench = measuring->bench;
    bench->n_sessions = 1;
    for (size_t session = 0; session < bench->n_sessions; session++) {
        if (session > 0 ? !start_session(measuring, session, error)
                        : !start_first_session(measuring, error))
            return false;
        if (session == 0)
            plan(measuring);
        do {
            note_turns(measuring);
            if (!take_turn(measuring, error))
                return false;
        } while (!is_done(measuring, session));
        /* Before anything is loaded a second time. */
        if (session == 0 && !read_memory(measuring, error))
            return false;
    }
    return true;
}

static bool summarize(struct oq_bench *bench, onnxq_error *error)
{
    for (size_t i = 0; i < bench->n_models; i++) {
        struct oq_bench_model *model = &bench->models[i];
        model->latency = oq_summarize(model->times.values, model->times.count);
        model->load_ms = oq_median(model->loads.values, model->loads.count);
        if (!oq_speedup(bench->models[0].medians.values, model->medians.values, bench->n_turns,
                        &model->speedup, error))
            return false;
        model->verdict = oq_judge(&model->speedup);
    }
    return true;
}

/* --- profiles ------------------------------------------------------------------- */

/* The first is what slower ones are compared with. */
static bool needs_profile(const struct measuring *measuring, size_t model)
{
    const struct oq_bench *bench = measuring->bench;
    bool needed = measuring->options->profile_all || bench->models[model].verdict == OQ_SLOWER;
    for (size_t i = 0; model == 0 && !needed && i < bench->n_models; i++)
        needed = bench->models[i].verdict == OQ_SLOWER;
    return needed;
}

static bool needs_profiles(const struct measuring *measuring)
{
    bool needed = false;
    for (size_t i = 0; i < measuring->bench->n_models; i++)
        needed = needed || needs_profile(measuring, i);
    return needed;
}

/* The name without its folder and its ending ".onnx". */
static int find_stem(const char *path, const char **stem)
{
    *stem = oq_base_name(path);
    size_t length = strlen(*stem);
    if (length > 5 && strcmp(*stem + length - 5, ".onnx") == 0)
        length -= 5;
    return (int)length;
}

static bool has_same_stem(const char *path, const char *other)
{
    const char *stem, *other_stem;
    int length = find_stem(path, &stem);
    return find_stem(other, &other_stem) == length &&
           strncmp(stem, other_stem, (size_t)length) == 0;
}

/* Models of one name have their number behind it. */
static bool keep_profile(const struct measuring *measuring, size_t model, const char *path,
                         onnxq_error *error)
{
    const struct oq_bench *bench = measuring->bench;
    char kept[OQ_WORKER_PATH_CAPACITY], number[32] = "";
    const char *stem;
    for (size_t i = 0; i < model; i++) {
        if (has_same_stem(bench->models[i].name, bench->models[model].name))
            snprintf(number, sizeof(number), ".%zu", model + 1);
    }
    int length = find_stem(bench->models[model].name, &stem);
    snprintf(kept, sizeof(kept), "%s/%.*s%s.profile.json", measuring->options->profile_folder,
             length, stem, number);
    if (rename(path, kept) == 0)
        return true;
    oq_fail_errno(error, ONNXQ_ERROR_OUTPUT, errno, "cannot be written");
    oq_error_file(error, kept);
    return false;
}

static size_t count_profiled_runs(double ms)
{
    double n = PROFILE_MS / ms;
    return n < 2 ? 2 : n > PROFILE_MAX ? PROFILE_MAX : (size_t)n;
}

static bool take_profile(struct measuring *measuring, size_t i, onnxq_error *error)
{
    struct oq_bench_model *model = &measuring->bench->models[i];
    struct oq_worker_request request = {.task = OQ_WORKER_PROFILE,
                                        .n = count_profiled_runs(model->latency.p50)};
    snprintf(request.folder, sizeof(request.folder), "%s", measuring->folder);
    if (!ask(measuring, i, request, error) ||
        !oq_profile_read(&model->profile, measuring->reply->profile, &measuring->bench->arena,
                         error))
        return false;
    model->has_profile = true;
    return !measuring->options->keep_profiles ||
           keep_profile(measuring, i, measuring->reply->profile, error);
}

static bool take_profiles(struct measuring *measuring, onnxq_error *error)
{
    if (!needs_profiles(measuring))
        return true;
    measuring->folder = oq_folder_make(measuring->options->profile_folder, error);
    bool taken = measuring->folder != NULL;
    for (size_t i = 0; taken && i < measuring->bench->n_models; i++) {
        note_progress(measuring, "profile", i, measuring->bench->n_models);
        taken = !needs_profile(measuring, i) || take_profile(measuring, i, error);
    }
    return taken;
}

/* --- all of it ------------------------------------------------------------------ */

static bool begin(struct measuring *measuring, onnxq_error *error)
{
    size_t n = measuring->bench->n_models;
    measuring->runners = calloc(n, sizeof(*measuring->runners));
    measuring->workers = calloc(n, sizeof(*measuring->workers));
    measuring->bursts = calloc(n, sizeof(*measuring->bursts));
    measuring->order = calloc(n, sizeof(*measuring->order));
    measuring->reply = malloc(sizeof(*measuring->reply));
    for (size_t i = 0; measuring->workers != NULL && i < n; i++)
        measuring->workers[i].child = OQ_CHILD_NONE;
    return (measuring->runners != NULL && measuring->workers != NULL && measuring->bursts != NULL &&
            measuring->order != NULL && measuring->reply != NULL) ||
           oq_fail_memory(error);
}

static void end(struct measuring *measuring)
{
    for (size_t i = 0; measuring->workers != NULL && i < measuring->bench->n_models; i++)
        oq_worker_stop(&measuring->workers[i]);
    oq_folder_remove(measuring->folder); /* after those who write into it */
    free(measuring->runners);
    free(measuring->workers);
    free(measuring->bursts);
    free(measuring->order);
    free(measuring->reply);
}

bool oq_bench_run(struct oq_bench *bench, const struct oq_bench_options *options,
                  onnxq_error *error)
{
    struct measuring measuring = {.bench = bench, .options = options, .feed = options->feed};
    oq_arena_init(&bench->arena, PROFILE_BUDGET);
    bool done = prepare(bench, &measuring.feed, error) && begin(&measuring, error) &&
                start_workers(&measuring, error) && measure(&measuring, error) &&
                summarize(bench, error) && take_profiles(&measuring, error);
    end(&measuring);
    return done;
}

void oq_bench_fini(struct oq_bench *bench)
{
    for (size_t i = 0; i < bench->n_models; i++) {
        struct oq_bench_model *model = &bench->models[i];
        oq_names_fini(&model->contestant.outputs);
        oq_series_fini(&model->times);
        oq_series_fini(&model->medians);
        oq_series_fini(&model->loads);
    }
    free(bench->engine_version);
    free(bench->engine_path);
    oq_input_sets_fini(&bench->sets);
    oq_arena_fini(&bench->arena);
}

uint64_t oq_bench_nbytes(const struct oq_bench_model *model)
{
    return model->contestant.file_nbytes + model->contestant.side_nbytes;
}
