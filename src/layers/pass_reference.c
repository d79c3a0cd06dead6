/* The first pass: the reference runs, and gives the values of all sites and what they read. */
#include "layers/batch.h"

/* Names of values that the model computes. */
static const char **computed_names(struct oq_batch *batch, size_t *n, onnxq_error *error)
{
    const char **names = oq_arena_array(&batch->arena, batch->n_values + 1, sizeof(*names));
    *n = 0;
    for (size_t i = 0; names != NULL && i < batch->n_values; i++)
        if (!batch->values[i]->is_input)
            names[(*n)++] = batch->values[i]->name;
    if (names == NULL)
        oq_batch_fail(batch, error);
    return names;
}

/* A value that is no tensor is no failure: the sites that need it are not measured. */
static bool keep_output(const struct oq_session *session, size_t number,
                        struct oq_batch_value *value, struct oq_array *array, onnxq_error *error)
{
    if (oq_session_get_output(session, number, array, error))
        return true;
    oq_array_fini(array);
    if (error->status != ONNXQ_ERROR_INPUT)
        return false;
    oq_error_init(error);
    value->lacking = "it has values that are no tensors";
    return true;
}

static bool keep_input(const struct oq_runner *runner, struct oq_batch_value *value,
                       struct oq_array *array, onnxq_error *error)
{
    const struct oq_array *input = oq_runner_find_input(runner, value->name);
    if (input != NULL)
        return oq_array_copy(array, input, error);
    value->lacking = "it reads an input that is not given";
    return true;
}

static bool keep_references(struct oq_batch *batch, const struct oq_runner *runner, size_t run,
                            onnxq_error *error)
{
    struct oq_array *arrays = batch->references + run * batch->n_values;
    size_t number = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < batch->n_values; i++) {
        struct oq_batch_value *value = batch->values[i];
        ok = value->is_input ? keep_input(runner, value, &arrays[i], error)
                             : keep_output(runner->session, number++, value, &arrays[i], error);
    }
    return ok;
}

bool oq_pass_reference(struct oq_batch *batch, onnxq_error *error)
{
    struct oq_runner runner = {0};
    size_t n;
    const char **names = computed_names(batch, &n, error);
    if (names == NULL)
        return false;
    struct oq_session *session = oq_batch_open(batch, batch->group->reference, names, n, error);
    bool ok = oq_runner_init(&runner, &batch->group->setup->inputs, session, names, n,
                             &batch->group->reference_state, error);
    for (size_t run = 0; ok && run < batch->count; run++)
        ok = oq_runner_put_set(&runner, batch->first + run, error) &&
             oq_runner_run(&runner, error) && keep_references(batch, &runner, run, error) &&
             oq_runner_carry(&runner, error) &&
             oq_batch_advance(batch, batch->group->n_layers, error);
    oq_runner_fini(&runner);
    return ok;
}
