/* Pairs outputs with the inputs that they become, by names and types. */
#include "run/feedback.h"

#include <stdlib.h>
#include <string.h>

/* --- what was asked for ------------------------------------------------------- */

/* The output that a spec begins with; names may hold '=' themselves. */
static const struct oq_parameter *find_output(const struct oq_signature *signature,
                                              const char *spec)
{
    for (size_t i = 0; i < signature->n_outputs; i++) {
        const char *name = signature->outputs[i].name;
        size_t length = strlen(name);
        if (strncmp(spec, name, length) == 0 && spec[length] == '=')
            return &signature->outputs[i];
    }
    return NULL;
}

static bool fail_output(const struct oq_signature *signature, const char *spec, onnxq_error *error)
{
    const char *equals = strrchr(spec, '=');
    if (equals == NULL)
        return oq_fail(error, ONNXQ_ERROR_OPTION, "--feedback: '%s' is no OUTPUT=INPUT", spec);
    char name[256];
    snprintf(name, sizeof(name), "%.*s", (int)(equals - spec < 255 ? equals - spec : 255), spec);
    oq_fail(error, ONNXQ_ERROR_OPTION, "--feedback: there is no output '%s'", name);
    return oq_signature_hint_output(signature, name, error);
}

static bool agree(const struct oq_parameter *output, const struct oq_parameter *input)
{
    if (output->data_type != input->data_type || input->data_type == 0)
        return false;
    if (!output->has_rank || !input->has_rank)
        return true;
    bool same = output->n_dims == input->n_dims;
    for (size_t i = 0; same && i < input->n_dims; i++) {
        int64_t a = output->dims[i].size, b = input->dims[i].size;
        same = a < 0 || b < 0 || a == b;
    }
    return same;
}

static bool parse(struct oq_feedback *feedback, const char *spec,
                  const struct oq_signature *signature, onnxq_error *error)
{
    const struct oq_parameter *output = find_output(signature, spec);
    if (output == NULL)
        return fail_output(signature, spec, error);
    const char *name = spec + strlen(output->name) + 1;
    struct oq_parameter *input = oq_parameter_find(signature->inputs, signature->n_inputs, name);
    if (input == NULL) {
        oq_fail(error, ONNXQ_ERROR_OPTION, "--feedback: there is no input '%s'", name);
        return oq_signature_hint_input(signature, name, error);
    }
    if (!agree(output, input)) {
        char from[160], to[160];
        oq_parameter_describe(output, from, sizeof(from));
        oq_parameter_describe(input, to, sizeof(to));
        return oq_fail(error, ONNXQ_ERROR_OPTION, "--feedback: %s is %s, but %s is %s",
                       output->name, from, input->name, to);
    }
    *feedback = (struct oq_feedback){output->name, input->name};
    input->has_default = true;
    return true;
}

bool oq_feedback_parse(struct oq_feedback *feedback, const char *const *specs, size_t n_specs,
                       const struct oq_signature *signature, onnxq_error *error)
{
    for (size_t f = 0; f < n_specs; f++) {
        if (!parse(&feedback[f], specs[f], signature, error))
            return false;
        for (size_t k = 0; k < f; k++) {
            if (strcmp(feedback[k].input, feedback[f].input) == 0)
                return oq_fail(error, ONNXQ_ERROR_OPTION, "--feedback: input '%s' has two outputs",
                               feedback[f].input);
        }
    }
    return true;
}

/* --- the first state ----------------------------------------------------------- */

static bool find_in_set(const char *dim, const struct oq_signature *signature,
                        const struct oq_input_set *set, int64_t *size)
{
    for (size_t i = 0; i < signature->n_inputs; i++) {
        const struct oq_parameter *input = &signature->inputs[i];
        const struct oq_array *array = oq_arrays_find(&set->inputs, input->name);
        if (array == NULL || array->n_dims != input->n_dims)
            continue;
        for (size_t k = 0; k < input->n_dims; k++) {
            if (strcmp(input->dims[k].name, dim) == 0) {
                *size = array->dims[k];
                return true;
            }
        }
    }
    return false;
}

static int64_t resolve(const struct oq_dim *dim, const struct oq_signature *signature,
                       const struct oq_draw_options *draw, const struct oq_input_set *set)
{
    int64_t size;
    if (dim->size >= 0)
        return dim->size;
    if (dim->name[0] != '\0' && find_in_set(dim->name, signature, set, &size))
        return size;
    for (size_t i = 0; i < draw->n_dims; i++) {
        if (strcmp(draw->dims[i].name, dim->name) == 0)
            return draw->dims[i].size;
    }
    return 1;
}

static bool add_zeros(const struct oq_parameter *input, const struct oq_signature *signature,
                      const struct oq_draw_options *draw, struct oq_input_set *set,
                      onnxq_error *error)
{
    int64_t *dims = calloc(input->n_dims + 1, sizeof(*dims));
    if (dims == NULL)
        return oq_fail_memory(error);
    for (size_t k = 0; k < input->n_dims; k++)
        dims[k] = resolve(&input->dims[k], signature, draw, set);
    struct oq_array *array = oq_arrays_add(&set->inputs, error);
    bool ok = array != NULL &&
              oq_array_init(array, input->name, input->data_type, dims, input->n_dims, error);
    free(dims);
    if (!ok)
        oq_error_place(error, "input '%s'", input->name);
    return ok;
}

bool oq_feedback_start(const struct oq_feedback *feedback, size_t n_feedback,
                       const struct oq_signature *signature, const struct oq_draw_options *draw,
                       struct oq_input_set *set, onnxq_error *error)
{
    for (size_t f = 0; f < n_feedback; f++) {
        if (oq_arrays_find(&set->inputs, feedback[f].input) != NULL)
            continue;
        const struct oq_parameter *input =
            oq_parameter_find(signature->inputs, signature->n_inputs, feedback[f].input);
        if (!input->has_rank)
            return oq_fail(error, ONNXQ_ERROR_OPTION,
                           "--feedback: the shape of input '%s' is not known, so the inputs have "
                           "to hold its first value",
                           input->name);
        if (!add_zeros(input, signature, draw, set, error))
            return false;
    }
    return true;
}
