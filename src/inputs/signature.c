/* Reads what a model declares, and checks arrays against it. */
#include "inputs/signature.h"

#include <string.h>

#include "base/nearest.h"
#include "model/type_text.h"

static bool read_dims(struct oq_parameter *parameter, const Oq__Pb__TensorShapeProto *shape,
                      struct oq_arena *arena)
{
    if (shape == NULL)
        return true;
    parameter->has_rank = true;
    parameter->n_dims = shape->n_dim;
    parameter->dims = oq_arena_array(arena, shape->n_dim + 1, sizeof(*parameter->dims));
    for (size_t i = 0; parameter->dims != NULL && i < shape->n_dim; i++)
        parameter->dims[i].size = oq_dim_size(shape->dim[i], &parameter->dims[i].name);
    return parameter->dims != NULL;
}

static bool read_type(struct oq_parameter *parameter, const Oq__Pb__TypeProto *type,
                      struct oq_arena *arena)
{
    const Oq__Pb__TensorShapeProto *shape;
    int32_t data_type;
    parameter->type = type;
    parameter->kind = oq_type_kind(type);
    if (strcmp(parameter->kind, "tensor") != 0 || !oq_type_tensor(type, &data_type, &shape))
        return true;
    parameter->data_type = data_type;
    return read_dims(parameter, shape, arena);
}

static bool has_default(const onnxq_model *model, const char *name)
{
    const struct oq_value *value = oq_graph_find(model->graphs.list[0], name);
    return value != NULL &&
           (value->origin == OQ_ORIGIN_INITIALIZER || value->origin == OQ_ORIGIN_SPARSE);
}

static struct oq_parameter *read_parameters(Oq__Pb__ValueInfoProto *const *infos, size_t n,
                                            struct oq_arena *arena)
{
    struct oq_parameter *parameters = oq_arena_array(arena, n + 1, sizeof(*parameters));
    for (size_t i = 0; parameters != NULL && i < n; i++) {
        parameters[i].name = infos[i]->name != NULL ? infos[i]->name : "";
        if (!read_type(&parameters[i], infos[i]->type, arena))
            return NULL;
    }
    return parameters;
}

/* Nobody could give it a value. */
static bool check_names(const struct oq_signature *signature, onnxq_error *error)
{
    for (size_t i = 0; i < signature->n_inputs; i++)
        if (signature->inputs[i].name[0] == '\0')
            return oq_fail(error, ONNXQ_ERROR_INPUT, "input number %zu has no name", i);
    return true;
}

bool oq_signature_init(struct oq_signature *signature, const onnxq_model *model,
                       struct oq_arena *arena, onnxq_error *error)
{
    const Oq__Pb__GraphProto *graph = model->graphs.list[0]->proto;
    *signature = (struct oq_signature){.n_inputs = graph->n_input, .n_outputs = graph->n_output};
    signature->inputs = read_parameters(graph->input, graph->n_input, arena);
    signature->outputs = read_parameters(graph->output, graph->n_output, arena);
    if (signature->inputs == NULL || signature->outputs == NULL)
        return oq_arena_fail(arena, error);
    for (size_t i = 0; i < signature->n_inputs; i++)
        signature->inputs[i].has_default = has_default(model, signature->inputs[i].name);
    return check_names(signature, error);
}

void oq_parameter_describe(const struct oq_parameter *parameter, char *text, size_t capacity)
{
    oq_type_text(parameter->type, text, capacity);
}

struct oq_parameter *oq_parameter_find(struct oq_parameter *parameters, size_t count,
                                       const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(parameters[i].name, name) == 0)
            return &parameters[i];
    }
    return NULL;
}

static bool hint(const struct oq_parameter *parameters, size_t count, const char *name,
                 const char *there_is, onnxq_error *error)
{
    struct oq_nearest nearest = {.wanted = name};
    for (size_t i = 0; i < count; i++)
        if (!parameters[i].has_default) /* weights are no inputs to a caller */
            oq_nearest_offer(&nearest, parameters[i].name);
    oq_nearest_hint_all(&nearest, there_is, error);
    return false;
}

bool oq_signature_hint_input(const struct oq_signature *signature, const char *name,
                             onnxq_error *error)
{
    return hint(signature->inputs, signature->n_inputs, name, "it takes", error);
}

bool oq_signature_hint_output(const struct oq_signature *signature, const char *name,
                              onnxq_error *error)
{
    return hint(signature->outputs, signature->n_outputs, name, "it gives", error);
}

bool oq_signature_check_mask(const struct oq_signature *signature, const char *mask,
                             onnxq_error *error)
{
    if (mask == NULL || oq_parameter_find(signature->inputs, signature->n_inputs, mask) != NULL)
        return true;
    oq_fail(error, ONNXQ_ERROR_OPTION, "options.mask: the model has no input '%s'", mask);
    return oq_signature_hint_input(signature, mask, error);
}

/* --- the same inputs --- */

/* Says of which input, and offers another name. Returns false. */
static bool add_input(onnxq_error *error, const char *name, const struct oq_signature *other)
{
    oq_error_place(error, "input \"%s\"", name);
    return oq_signature_hint_input(other, name, error);
}

static bool check_parameter(const struct oq_parameter *input, const struct oq_parameter *first,
                            onnxq_error *error)
{
    char text[160], first_text[160];
    bool same_rank = !input->has_rank || !first->has_rank || input->n_dims == first->n_dims;
    if (input->data_type == first->data_type && same_rank)
        return true;
    oq_parameter_describe(input, text, sizeof(text));
    oq_parameter_describe(first, first_text, sizeof(first_text));
    oq_fail(error, ONNXQ_ERROR_INPUT, "this model takes %s, the first one %s", text, first_text);
    oq_error_place(error, "input \"%s\"", input->name);
    return false;
}

static bool check_taken(const struct oq_signature *signature, const struct oq_parameter *wanted,
                        onnxq_error *error)
{
    const struct oq_parameter *input =
        oq_parameter_find(signature->inputs, signature->n_inputs, wanted->name);
    if (input != NULL)
        return check_parameter(input, wanted, error);
    if (wanted->has_default)
        return true;
    oq_fail(error, ONNXQ_ERROR_INPUT, "the first model takes it, this one does not");
    return add_input(error, wanted->name, signature);
}

static bool check_known(const struct oq_signature *first, const struct oq_parameter *input,
                        onnxq_error *error)
{
    if (input->has_default ||
        oq_parameter_find(first->inputs, first->n_inputs, input->name) != NULL)
        return true;
    oq_fail(error, ONNXQ_ERROR_INPUT, "this model takes it, the first one does not");
    return add_input(error, input->name, first);
}

bool oq_signature_check_same(const struct oq_signature *signature, const struct oq_signature *first,
                             onnxq_error *error)
{
    for (size_t i = 0; i < first->n_inputs; i++) {
        if (!check_taken(signature, &first->inputs[i], error))
            return false;
    }
    for (size_t i = 0; i < signature->n_inputs; i++) {
        if (!check_known(first, &signature->inputs[i], error))
            return false;
    }
    return true;
}
