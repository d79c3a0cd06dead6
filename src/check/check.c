/* Both models run on each set of inputs; differences are found and dropped at once. */
#include "check/check.h"

#include <stdlib.h>
#include <string.h>

#include "check/expected.h"
#include "check/output_pairs.h"
#include "run/runner.h"
#include "check/verdict.h"

/* What is needed while models run. */
struct work {
    const struct oq_check_options *options;
    struct oq_check *check;
    struct oq_arena arena;
    onnxq_model *candidate, *reference; /* reference NULL: stored outputs */
    struct oq_signature candidate_signature, reference_signature;
    struct oq_feed_options feed;
    struct oq_input_sets sets;
    struct oq_feedback *feedback;
    struct oq_run_setup setup; /* sets, feedback and mask, too */
    const char **outputs;      /* names of what is compared */
    struct oq_arrays *stored;  /* of each run, what the candidate has to give */
};

/* --- the models ------------------------------------------------------------------ */

static bool open_model(onnxq_model **model, struct oq_signature *signature, const char *path,
                       struct oq_arena *arena, onnxq_error *error)
{
    *model = onnxq_model_open(path, error);
    if (*model == NULL)
        return false;
    bool ok = oq_signature_init(signature, *model, arena, error);
    if (!ok)
        oq_error_file(error, path);
    return ok;
}

static bool open_models(struct work *work, onnxq_error *error)
{
    const struct oq_check_options *options = work->options;
    if ((options->reference != NULL && !open_model(&work->reference, &work->reference_signature,
                                                   options->reference, &work->arena, error)) ||
        !open_model(&work->candidate, &work->candidate_signature, options->candidate, &work->arena,
                    error))
        return false;
    struct oq_check *check = work->check;
    check->default_relative = oq_default_tolerance_of(work->candidate);
    return (work->reference == NULL ||
            oq_needs_find(&check->reference_needs, work->reference->proto, &check->arena, error)) &&
           oq_needs_find(&check->candidate_needs, work->candidate->proto, &check->arena, error);
}

/* The model that says what goes in. */
static const struct oq_signature *first_signature(const struct work *work)
{
    return work->reference != NULL ? &work->reference_signature : &work->candidate_signature;
}

static bool check_models(const struct work *work, onnxq_error *error)
{
    const struct oq_signature *a = &work->reference_signature, *b = &work->candidate_signature;
    const struct oq_check_options *options = work->options;
    if (work->reference == NULL)
        return true;
    if (!oq_signature_check_same(b, a, error)) {
        oq_error_file(error, options->candidate);
        return false;
    }
    for (size_t i = 0; i < a->n_outputs; i++) {
        if (oq_parameter_find(b->outputs, b->n_outputs, a->outputs[i].name) != NULL)
            continue;
        oq_fail(error, ONNXQ_ERROR_INPUT, "the models differ: output '%s' of %s is none of %s",
                a->outputs[i].name, options->reference, options->candidate);
        return oq_signature_hint_output(b, a->outputs[i].name, error);
    }
    return true;
}

/* --- what goes in ------------------------------------------------------------------ */

static bool make_feed(struct work *work, onnxq_error *error)
{
    const onnxq_model *models[] = {work->reference, work->candidate};
    bool has_reference = work->reference != NULL;
    if (!oq_feed_make(&work->sets, has_reference ? models : models + 1, has_reference ? 2 : 1,
                      first_signature(work), &work->feed, error))
        return false;
    return work->sets.count > 0 ||
           oq_fail(error, ONNXQ_ERROR_OPTION, "there are no inputs to run the model with");
}

/* The candidate has to be able to carry the same state as the reference. */
static bool read_feedback(struct work *work, onnxq_error *error)
{
    const struct oq_check_options *options = work->options;
    size_t n = options->n_feedback;
    work->feedback = oq_arena_array(&work->arena, n + 1, sizeof(*work->feedback));
    if (work->feedback == NULL)
        return oq_arena_fail(&work->arena, error);
    work->setup.inputs.feedback = work->feedback;
    return oq_feedback_parse(work->feedback, options->feedback, n, &work->candidate_signature,
                             error) &&
           (work->reference == NULL || oq_feedback_parse(work->feedback, options->feedback, n,
                                                         &work->reference_signature, error));
}

static bool make_inputs(struct work *work, onnxq_error *error)
{
    return make_feed(work, error) &&
           oq_feedback_start(work->feedback, work->setup.inputs.n_feedback, first_signature(work),
                             &work->feed.draw, &work->sets.list[0], error);
}

static bool prepare_inputs(struct work *work, onnxq_error *error)
{
    const struct oq_check_options *options = work->options;
    work->feed = options->feed;
    work->setup.inputs = (struct oq_run_inputs){
        .sets = &work->sets, .n_feedback = options->n_feedback, .mask = options->mask};
    return oq_signature_check_mask(first_signature(work), work->options->mask, error) &&
           read_feedback(work, error) && make_inputs(work, error);
}

/* --- what is compared ---------------------------------------------------------------- */

static bool init_output(struct oq_check *check, struct oq_check_output *output, const char *name,
                        onnxq_error *error)
{
    output->name = oq_arena_strdup(&check->arena, name);
    output->runs = oq_arena_array(&check->arena, check->n_runs, sizeof(*output->runs));
    return (output->name != NULL && output->runs != NULL) || oq_arena_fail(&check->arena, error);
}

/* In the order of the model; of stored outputs those that are there. */
static bool init_outputs(struct work *work, onnxq_error *error)
{
    struct oq_check *check = work->check;
    const struct oq_signature *signature = first_signature(work);
    size_t n_all = signature->n_outputs;
    work->outputs = oq_arena_array(&work->arena, n_all + 1, sizeof(*work->outputs));
    check->outputs = oq_arena_array(&check->arena, n_all + 1, sizeof(*check->outputs));
    if (work->outputs == NULL || check->outputs == NULL)
        return oq_arena_fail(&check->arena, error);
    for (size_t i = 0; i < n_all; i++) {
        const char *name = signature->outputs[i].name;
        if (work->reference == NULL && oq_arrays_find(&work->stored[0], name) == NULL)
            continue;
        work->outputs[check->n_outputs] = name;
        if (!init_output(check, &check->outputs[check->n_outputs++], name, error))
            return false;
    }
    return check->n_outputs > 0 || oq_fail(error, ONNXQ_ERROR_INPUT, "there are no outputs");
}

static bool list_extra_outputs(struct work *work, onnxq_error *error)
{
    struct oq_check *check = work->check;
    const struct oq_signature *from = &work->candidate_signature;
    check->extra_outputs = oq_arena_array(&check->arena, from->n_outputs + 1, sizeof(char *));
    if (check->extra_outputs == NULL)
        return oq_arena_fail(&check->arena, error);
    for (size_t i = 0; i < from->n_outputs; i++) {
        bool compared = false;
        for (size_t k = 0; k < check->n_outputs && !compared; k++)
            compared = strcmp(check->outputs[k].name, from->outputs[i].name) == 0;
        if (compared)
            continue;
        const char *name = oq_arena_strdup(&check->arena, from->outputs[i].name);
        if (name == NULL)
            return oq_arena_fail(&check->arena, error);
        check->extra_outputs[check->n_extra_outputs++] = name;
    }
    return true;
}

static bool list_labels(struct work *work, onnxq_error *error)
{
    struct oq_check *check = work->check;
    check->n_runs = work->sets.count;
    check->labels = oq_arena_array(&check->arena, check->n_runs, sizeof(char *));
    for (size_t i = 0; i < check->n_runs && check->labels != NULL; i++) {
        check->labels[i] = oq_arena_strdup(&check->arena, work->sets.list[i].label);
        if (check->labels[i] == NULL)
            return oq_arena_fail(&check->arena, error);
    }
    return check->labels != NULL || oq_arena_fail(&check->arena, error);
}

static bool read_stored(struct work *work, onnxq_error *error)
{
    work->stored = calloc(work->sets.count, sizeof(*work->stored));
    if (work->stored == NULL)
        return oq_fail_memory(error);
    return work->reference != NULL ||
           oq_expected_read(work->stored, work->options->expected, &work->sets,
                            &work->candidate_signature, error);
}

/* --- the runs --------------------------------------------------------------------------- */

/* What the candidate has to give as output number i. */
static const struct oq_array *find_stored(const struct work *work, size_t run, size_t i)
{
    return work->reference != NULL ? &work->stored[run].list[i]
                                   : oq_arrays_find(&work->stored[run], work->outputs[i]);
}

/* A mask that says nothing about any output would be an option without effect. */
static bool check_mask(const struct work *work, onnxq_error *error)
{
    const struct oq_check *check = work->check;
    bool is_used = check->mask == NULL;
    for (size_t i = 0; i < check->n_outputs; i++)
        is_used = is_used || check->outputs[i].is_masked;
    return is_used || oq_fail(error, ONNXQ_ERROR_OPTION,
                              "--mask: no output begins with the axes of input '%s'", check->mask);
}

static bool compare_outputs(void *data, size_t run, struct oq_arrays *outputs, onnxq_error *error)
{
    struct work *work = data;
    for (size_t i = 0; i < work->check->n_outputs; i++) {
        if (!oq_pair_compare(work->check, &work->check->outputs[i], run, find_stored(work, run, i),
                             &outputs->list[i], oq_run_inputs_mask(&work->setup.inputs, run),
                             error))
            return false;
    }
    oq_arrays_fini(&work->stored[run]);
    return true;
}

static bool run_both(struct work *work, struct oq_runs *runs, onnxq_error *error)
{
    const struct oq_check_options *options = work->options;
    return (work->reference == NULL ||
            oq_runs_do(runs, options->reference, oq_runs_keep, work->stored, error)) &&
           oq_runs_do(runs, options->candidate, compare_outputs, work, error);
}

/* As if nothing had been run, with other inputs. */
static bool start_again(struct work *work, onnxq_error *error)
{
    struct oq_check *check = work->check;
    for (size_t i = 0; i < check->n_runs; i++)
        oq_arrays_fini(&work->stored[i]);
    for (size_t i = 0; i < check->n_outputs; i++) {
        struct oq_check_output *output = &check->outputs[i];
        memset(output->runs, 0, check->n_runs * sizeof(*output->runs));
        *output = (struct oq_check_output){.name = output->name, .runs = output->runs};
    }
    oq_input_sets_fini(&work->sets);
    return make_inputs(work, error);
}

/* Padding that is compared with the rest says little, and often fails. */
static bool note_padding(struct work *work, onnxq_error *error)
{
    struct oq_check *check = work->check;
    const struct oq_arrays *inputs = &work->sets.list[0].inputs;
    for (size_t i = 0; i < inputs->count && check->mask == NULL; i++) {
        bool covers = false;
        for (size_t k = 0; k < check->n_outputs && !covers; k++) {
            const struct oq_check_shape *shape = &check->outputs[k].runs[0].candidate;
            covers = oq_mask_fits(&inputs->list[i], shape->dims, shape->n_dims);
        }
        if (!covers || !oq_shows_padding(&inputs->list[i]))
            continue;
        check->padding = oq_arena_strdup(&check->arena, inputs->list[i].name);
        return check->padding != NULL || oq_arena_fail(&check->arena, error);
    }
    return true;
}

/* What is told of the inputs. */
static bool note_inputs(struct work *work, onnxq_error *error)
{
    struct oq_check *check = work->check;
    const struct oq_arrays *inputs = &work->sets.list[0].inputs;
    check->inputs = oq_arena_array(&check->arena, inputs->count + 1, sizeof(*check->inputs));
    check->sizes = oq_arena_strdup(&check->arena, work->sets.sizes != NULL ? work->sets.sizes : "");
    check->n_tries = work->feed.draw.tried + 1;
    if (check->inputs == NULL || check->sizes == NULL)
        return oq_arena_fail(&check->arena, error);
    for (; check->n_inputs < inputs->count; check->n_inputs++) {
        struct oq_check_input *input = &check->inputs[check->n_inputs];
        const struct oq_array *array = &inputs->list[check->n_inputs];
        input->name = oq_arena_strdup(&check->arena, array->name);
        if (input->name == NULL)
            return oq_arena_fail(&check->arena, error);
        if (!oq_check_note_shape(check, &input->shape, array, error))
            return false;
    }
    return true;
}

static bool run_models(struct work *work, onnxq_error *error)
{
    onnxq_error first;
    struct oq_runs runs = {
        .setup = &work->setup, .outputs = work->outputs, .n_outputs = work->check->n_outputs};
    while (!run_both(work, &runs, error)) {
        if (!runs.engine_failed || !oq_feed_try_others(&work->feed, &work->sets, &first, error))
            return false;
        if (!start_again(work, error)) {
            *error = first;
            return false;
        }
    }
    return note_inputs(work, error) && note_padding(work, error) && check_mask(work, error);
}

/* --- the whole ---------------------------------------------------------------------------- */

static void set_up(struct work *work)
{
    const struct oq_check_options *options = work->options;
    work->setup.engine = options->engine;
    work->setup.session = options->session;
    work->setup.progress = options->progress;
    work->setup.progress_data = options->progress_data;
}

static bool describe_engine(struct work *work, onnxq_error *error)
{
    struct oq_check *check = work->check;
    check->engine_version =
        oq_arena_strdup(&check->arena, oq_engine_version(work->options->engine));
    return check->engine_version != NULL || oq_arena_fail(&check->arena, error);
}

static bool measure_layers(struct work *work, onnxq_error *error)
{
    struct oq_check *check = work->check;
    if (work->options->layers)
        check->layers =
            oq_layers_create(work->reference, work->candidate, &work->setup, false, error);
    return check->layers != NULL || !work->options->layers;
}

static void fini_work(struct work *work)
{
    for (size_t i = 0; i < work->sets.count && work->stored != NULL; i++)
        oq_arrays_fini(&work->stored[i]);
    free(work->stored);
    oq_input_sets_fini(&work->sets);
    onnxq_model_close(work->reference);
    onnxq_model_close(work->candidate);
    oq_arena_fini(&work->arena);
}

static struct oq_check *init_check(const struct oq_check_options *options, onnxq_error *error)
{
    struct oq_check *check = calloc(1, sizeof(*check));
    if (check == NULL) {
        oq_fail_memory(error);
        return NULL;
    }
    oq_arena_init(&check->arena, OQ_STRUCTURE_BUDGET);
    check->reference = options->reference;
    check->candidate = options->candidate;
    check->expected = options->expected;
    check->mask = options->mask;
    check->inputs_are_random = options->feed.n_paths == 0;
    check->seed = options->feed.draw.seed;
    return check;
}

struct oq_check *oq_check_create(const struct oq_check_options *options, onnxq_error *error)
{
    struct work work = {.options = options, .check = init_check(options, error)};
    if (work.check == NULL)
        return NULL;
    oq_arena_init(&work.arena, OQ_STRUCTURE_BUDGET);
    set_up(&work);
    bool ok = describe_engine(&work, error) && open_models(&work, error) &&
              check_models(&work, error) && prepare_inputs(&work, error) &&
              list_labels(&work, error) && read_stored(&work, error) &&
              init_outputs(&work, error) && list_extra_outputs(&work, error) &&
              run_models(&work, error) && measure_layers(&work, error) &&
              oq_verdict_make(work.check, options->tolerances, error);
    fini_work(&work);
    if (ok)
        return work.check;
    oq_check_destroy(work.check);
    return NULL;
}

void oq_check_destroy(struct oq_check *check)
{
    if (check == NULL)
        return;
    oq_layers_destroy(check->layers);
    oq_arena_fini(&check->arena);
    free(check);
}
