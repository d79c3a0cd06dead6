/*
 * Inputs in two parts: one that the search looks at, and one that judges what it has found. Sets
 * are told apart, or the rows of the only set where all of its arrays have as many.
 */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "inputs/random.h"
#include "tune/tuning.h"

/* Rows of one set that are run together. */
#define ROWS_OF_SET 8

/* --- rows ------------------------------------------------------------------------- */

/* Rows that all arrays have and the model leaves open, or 0. */
static int64_t count_rows(const struct oq_signature *signature, const struct oq_input_set *set)
{
    int64_t rows = 0;
    for (size_t i = 0; i < set->inputs.count; i++) {
        const struct oq_array *array = &set->inputs.list[i];
        const struct oq_parameter *input =
            oq_parameter_find(signature->inputs, signature->n_inputs, array->name);
        bool is_open =
            input != NULL && (!input->has_rank || (input->n_dims > 0 && input->dims[0].size < 0));
        if (!is_open || array->n_dims == 0 || array->nelem == 0 || !oq_array_is_numeric(array) ||
            array->nbytes % (uint64_t)array->dims[0] != 0 || (rows != 0 && array->dims[0] != rows))
            return 0;
        rows = array->dims[0];
    }
    return rows;
}

static bool add_rows(struct oq_input_set *part, const struct oq_array *array, int64_t first,
                     int64_t count, onnxq_error *error)
{
    int64_t *dims = malloc(array->n_dims * sizeof(*dims));
    struct oq_array *copy = dims != NULL ? oq_arrays_add(&part->inputs, error) : NULL;
    if (dims == NULL)
        return oq_fail_memory(error);
    memcpy(dims, array->dims, array->n_dims * sizeof(*dims));
    dims[0] = count;
    bool ok = copy != NULL &&
              oq_array_init(copy, array->name, array->data_type, dims, array->n_dims, error);
    uint64_t row = array->nbytes / (uint64_t)array->dims[0];
    if (ok)
        memcpy(copy->data, (const char *)array->data + (uint64_t)first * row,
               (size_t)((uint64_t)count * row));
    free(dims);
    return ok;
}

/* The only set becomes many, of some rows each. */
static bool split_rows(struct oq_tuning *tuning, int64_t rows, onnxq_error *error)
{
    struct oq_input_sets parts = {0};
    const struct oq_input_set *set = &tuning->all.list[0];
    /* At least four sets, so that there is something to hold back. */
    int64_t size = rows / 4 < ROWS_OF_SET ? rows / 4 : ROWS_OF_SET;
    size = size < 1 ? 1 : size;
    bool ok = true;
    for (int64_t first = 0; ok && first < rows; first += size) {
        int64_t count = rows - first < size ? rows - first : size;
        struct oq_input_set *part = oq_input_sets_add(&parts, set->label, error);
        ok = part != NULL;
        for (size_t i = 0; ok && i < set->inputs.count; i++)
            ok = add_rows(part, &set->inputs.list[i], first, count, error);
    }
    parts.sizes = tuning->all.sizes;
    tuning->all.sizes = NULL;
    oq_input_sets_fini(&tuning->all);
    tuning->all = parts;
    return ok;
}

/* --- two parts ---------------------------------------------------------------------- */

static void shuffle(struct oq_input_sets *sets, uint64_t seed)
{
    struct oq_random random;
    oq_random_init(&random, seed, 0, "the order of inputs");
    for (size_t i = sets->count; i > 1; i--) {
        size_t k = (size_t)oq_random_integer(&random, 0, (int64_t)i - 1);
        struct oq_input_set swap = sets->list[i - 1];
        sets->list[i - 1] = sets->list[k];
        sets->list[k] = swap;
    }
}

static bool move_sets(struct oq_input_sets *to, struct oq_input_sets *from, size_t count,
                      onnxq_error *error)
{
    to->list = calloc(count + 1, sizeof(*to->list));
    if (to->list == NULL)
        return oq_fail_memory(error);
    to->capacity = count + 1;
    for (; to->count < count; to->count++)
        to->list[to->count] = from->list[--from->count];
    return true;
}

static bool divide(struct oq_tuning *tuning, onnxq_error *error)
{
    struct oq_input_sets *all = &tuning->all;
    size_t n_unseen = (size_t)((double)all->count * tuning->options->held_back + 0.5);
    if (all->count > 1 && n_unseen == 0 && tuning->options->held_back > 0)
        n_unseen = 1;
    if (n_unseen >= all->count)
        n_unseen = all->count - 1;
    shuffle(all, tuning->options->feed.draw.seed);
    return move_sets(&tuning->unseen, all, n_unseen, error) &&
           move_sets(&tuning->search, all, all->count, error);
}

static bool make_sets(struct oq_tuning *tuning, const struct oq_feed_options *feed,
                      onnxq_error *error)
{
    const onnxq_model *models[] = {tuning->options->model};
    oq_input_sets_fini(&tuning->all);
    oq_input_sets_fini(&tuning->search);
    oq_input_sets_fini(&tuning->unseen);
    tuning->all = tuning->search = tuning->unseen = (struct oq_input_sets){0};
    if (!oq_feed_make(&tuning->all, models, 1, &tuning->signature, feed, error))
        return false;
    if (tuning->all.count == 0)
        return oq_fail(error, ONNXQ_ERROR_OPTION, "there are no inputs to run the model with");
    int64_t rows =
        tuning->all.count == 1 ? count_rows(&tuning->signature, &tuning->all.list[0]) : 0;
    if (rows > 1 && !split_rows(tuning, rows, error))
        return false;
    return divide(tuning, error);
}

/* --- what the float model makes of them --------------------------------------------- */

static bool tell(void *data, const char *model, uint64_t n_done, uint64_t n_runs)
{
    (void)model;
    return oq_tuning_tell(data, "inputs", n_done, n_runs);
}

static bool run_float(struct oq_tuning *tuning, const struct oq_input_sets *sets,
                      struct oq_arrays **outputs, bool *engine_failed, onnxq_error *error)
{
    const struct oq_run_setup setup = {.engine = tuning->options->engine,
                                       .session = tuning->options->session,
                                       .inputs = {.sets = sets},
                                       .progress = tell,
                                       .progress_data = tuning};
    struct oq_runs runs = {
        .setup = &setup, .outputs = tuning->outputs, .n_outputs = tuning->signature.n_outputs};
    for (size_t i = 0; *outputs != NULL && i < sets->count; i++)
        oq_arrays_fini(&(*outputs)[i]);
    free(*outputs);
    *outputs = calloc(sets->count + 1, sizeof(**outputs));
    if (*outputs == NULL)
        return oq_fail_memory(error);
    bool ok = sets->count == 0 ||
              oq_runs_do(&runs, tuning->options->model->file.path, oq_runs_keep, *outputs, error);
    *engine_failed = runs.engine_failed;
    return ok;
}

static bool name_outputs(struct oq_tuning *tuning, onnxq_error *error)
{
    const struct oq_signature *signature = &tuning->signature;
    tuning->outputs =
        oq_arena_array(&tuning->arena, signature->n_outputs + 1, sizeof(*tuning->outputs));
    if (tuning->outputs == NULL)
        return oq_arena_fail(&tuning->arena, error);
    for (size_t i = 0; i < signature->n_outputs; i++)
        tuning->outputs[i] = signature->outputs[i].name;
    return true;
}

/* Padding that is judged with the rest is often what stands in the way. */
static const struct oq_array *find_padding(const struct oq_tuning *tuning)
{
    if (tuning->options->mask != NULL)
        return NULL;
    for (size_t i = 0; i < tuning->search.count; i++) {
        const struct oq_arrays *inputs = &tuning->search.list[i].inputs;
        for (size_t k = 0; k < inputs->count; k++)
            for (size_t m = 0; m < tuning->search_outputs[i].count; m++) {
                const struct oq_array *output = &tuning->search_outputs[i].list[m];
                if (oq_mask_fits(&inputs->list[k], output->dims, output->n_dims) &&
                    oq_shows_padding(&inputs->list[k]))
                    return &inputs->list[k];
            }
    }
    return NULL;
}

bool oq_tuning_make_inputs(struct oq_tuning *tuning, onnxq_error *error)
{
    struct oq_feed_options feed = tuning->options->feed;
    struct oq_tune *tune = tuning->tune;
    onnxq_error first;
    bool engine_failed = false;
    if (!oq_signature_init(&tuning->signature, tuning->options->model, &tuning->arena, error) ||
        !oq_signature_check_mask(&tuning->signature, tuning->options->mask, error) ||
        !name_outputs(tuning, error) || !make_sets(tuning, &feed, error))
        return false;
    while (!run_float(tuning, &tuning->search, &tuning->search_outputs, &engine_failed, error)) {
        if (!engine_failed || !oq_feed_try_others(&feed, &tuning->all, &first, error))
            return false;
        if (!make_sets(tuning, &feed, error)) {
            *error = first;
            return false;
        }
    }
    tune->inputs_are_random = feed.n_paths == 0;
    tune->n_search = tuning->search.count;
    tune->n_unseen = tuning->unseen.count;
    const struct oq_array *padding = find_padding(tuning);
    if (padding != NULL)
        tune->padding = oq_arena_strdup(&tune->arena, padding->name);
    if (tuning->all.sizes != NULL)
        tune->sizes = oq_arena_strdup(&tune->arena, tuning->all.sizes);
    return run_float(tuning, &tuning->unseen, &tuning->unseen_outputs, &engine_failed, error);
}
