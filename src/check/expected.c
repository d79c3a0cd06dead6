/* Finds and reads stored outputs, one set for each set of inputs. */
#include "check/expected.h"

#include <string.h>

static bool bind_array(struct oq_array *array, const struct oq_signature *signature,
                       onnxq_error *error)
{
    if (oq_parameter_find(signature->outputs, signature->n_outputs, array->name) != NULL)
        return true;
    size_t position;
    bool has_position = oq_position_read(array->name, &position);
    if (has_position && position < signature->n_outputs)
        return oq_array_rename(array, signature->outputs[position].name, error);
    if (has_position)
        oq_fail(error, ONNXQ_ERROR_INPUT, "there is an output number %zu, but the model has %zu",
                position, signature->n_outputs);
    else
        oq_fail(error, ONNXQ_ERROR_INPUT, "the model has no output '%s'", array->name);
    return oq_signature_hint_output(signature, array->name, error);
}

static bool bind_arrays(const struct oq_arrays *arrays, const struct oq_signature *signature,
                        onnxq_error *error)
{
    for (size_t i = 0; i < arrays->count; i++) {
        if (!bind_array(&arrays->list[i], signature, error))
            return false;
        for (size_t k = 0; k < i; k++) {
            if (strcmp(arrays->list[k].name, arrays->list[i].name) == 0)
                return oq_fail(error, ONNXQ_ERROR_INPUT, "output '%s' is there twice",
                               arrays->list[i].name);
        }
    }
    return true;
}

/* Takes a set's arrays: its outputs, or where it has none what else there is. */
static bool take(struct oq_arrays *stored, struct oq_input_set *set, bool outputs_only,
                 const struct oq_signature *signature, onnxq_error *error)
{
    struct oq_arrays *from = set->outputs.count > 0 || outputs_only ? &set->outputs : &set->inputs;
    *stored = *from;
    *from = (struct oq_arrays){0};
    bool ok = bind_arrays(stored, signature, error);
    if (ok && stored->count == 0)
        ok = oq_fail(error, ONNXQ_ERROR_INPUT, "there are no outputs");
    if (!ok)
        oq_error_file(error, set->label);
    return ok;
}

static bool read_files(struct oq_arrays *stored, const char *path, size_t n_runs,
                       const struct oq_signature *signature, onnxq_error *error)
{
    struct oq_input_sets sets = {0};
    bool ok = oq_input_sets_read(&sets, path, error);
    if (ok && sets.count != n_runs) {
        ok = oq_fail(error, ONNXQ_ERROR_INPUT, "%zu sets of outputs, but %zu of inputs", sets.count,
                     n_runs);
        oq_error_file(error, path);
    }
    for (size_t i = 0; ok && i < n_runs; i++)
        ok = take(&stored[i], &sets.list[i], false, signature, error);
    oq_input_sets_fini(&sets);
    return ok;
}

static bool take_from_inputs(struct oq_arrays *stored, struct oq_input_sets *sets,
                             const struct oq_signature *signature, onnxq_error *error)
{
    for (size_t i = 0; i < sets->count; i++) {
        if (sets->list[i].outputs.count == 0) {
            oq_fail(error, ONNXQ_ERROR_OPTION, "there is nothing to compare with");
            oq_error_hint(error, "a REFERENCE model, --expected FILE, or --inputs with outputs "
                                 "(test_data_set_0)");
            return false;
        }
        if (!take(&stored[i], &sets->list[i], true, signature, error))
            return false;
    }
    return true;
}

/* Every run has the outputs of the first. */
static bool check_uniform(const struct oq_arrays *stored, const struct oq_input_sets *sets,
                          onnxq_error *error)
{
    for (size_t i = 1; i < sets->count; i++) {
        bool same = stored[i].count == stored[0].count;
        for (size_t k = 0; same && k < stored[0].count; k++)
            same = oq_arrays_find(&stored[i], stored[0].list[k].name) != NULL;
        if (!same)
            return oq_fail(error, ONNXQ_ERROR_INPUT, "%s and %s hold different outputs",
                           sets->list[0].label, sets->list[i].label);
    }
    return true;
}

bool oq_expected_read(struct oq_arrays *stored, const char *path, struct oq_input_sets *sets,
                      const struct oq_signature *signature, onnxq_error *error)
{
    bool ok = path != NULL ? read_files(stored, path, sets->count, signature, error)
                           : take_from_inputs(stored, sets, signature, error);
    return ok && check_uniform(stored, sets, error);
}
