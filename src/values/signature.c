#include "values/signature.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* --- reading the model ------------------------------------------------------ */

static bool read_dims(struct oq_parameter *parameter, const Oq__Pb__TensorShapeProto *shape,
                      struct oq_arena *arena)
{
    if (shape == NULL)
        return true;
    parameter->has_rank = true;
    parameter->n_dims = shape->n_dim;
    parameter->dims = oq_arena_array(arena, shape->n_dim + 1, sizeof(*parameter->dims));
    if (parameter->dims == NULL)
        return false;
    for (size_t i = 0; i < shape->n_dim; i++) {
        const Oq__Pb__TensorShapeProto__Dimension *dim = shape->dim[i];
        parameter->dims[i] = (struct oq_dim){.size = -1, .name = ""};
        /* Keras and older exporters write -1 for a size that is not known. */
        if (dim->value_case == OQ__PB__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE &&
            dim->dim_value >= 0)
            parameter->dims[i].size = dim->dim_value;
        if (dim->value_case == OQ__PB__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM &&
            dim->dim_param != NULL)
            parameter->dims[i].name = dim->dim_param;
    }
    return true;
}

static bool read_tensor(struct oq_parameter *parameter, const Oq__Pb__TypeProto__Tensor *tensor,
                        struct oq_arena *arena)
{
    if (tensor == NULL || !tensor->has_elem_type || tensor->elem_type == 0)
        return true;
    parameter->kind = "tensor";
    parameter->data_type = tensor->elem_type;
    return read_dims(parameter, tensor->shape, arena);
}

static bool read_type(struct oq_parameter *parameter, const Oq__Pb__TypeProto *type,
                      struct oq_arena *arena)
{
    parameter->kind = "unknown type";
    if (type == NULL)
        return true;
    switch (type->value_case) {
    case OQ__PB__TYPE_PROTO__VALUE_TENSOR_TYPE:
        return read_tensor(parameter, type->tensor_type, arena);
    case OQ__PB__TYPE_PROTO__VALUE_SEQUENCE_TYPE:
        parameter->kind = "sequence";
        return true;
    case OQ__PB__TYPE_PROTO__VALUE_MAP_TYPE:
        parameter->kind = "map";
        return true;
    case OQ__PB__TYPE_PROTO__VALUE_OPTIONAL_TYPE:
        parameter->kind = "optional";
        return true;
    case OQ__PB__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE:
        parameter->kind = "sparse tensor";
        return true;
    default:
        return true;
    }
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

/* --- words ------------------------------------------------------------------ */

struct words {
    char *text;
    size_t used, capacity;
};

static void put(struct words *words, const char *format, ...) OQ_PRINTF(2, 3);

static void put(struct words *words, const char *format, ...)
{
    va_list args;
    if (words->used >= words->capacity)
        return;
    va_start(args, format);
    int n = vsnprintf(words->text + words->used, words->capacity - words->used, format, args);
    va_end(args);
    words->used += n > 0 ? (size_t)n : 0;
}

static void put_dim(struct words *words, const struct oq_dim *dim)
{
    if (dim->size >= 0)
        put(words, "%" PRId64, dim->size);
    else
        put(words, "%s", dim->name[0] != '\0' ? dim->name : "?");
}

void oq_parameter_describe(const struct oq_parameter *parameter, char *text, size_t capacity)
{
    struct words words = {.text = text, .capacity = capacity};
    const struct oq_dtype *dtype = oq_dtype_find(parameter->data_type);
    if (capacity > 0)
        text[0] = '\0';
    if (parameter->data_type == 0) {
        put(&words, "%s", parameter->kind);
        return;
    }
    if (dtype != NULL)
        put(&words, "%s [", dtype->name);
    else
        put(&words, "type %" PRId32 " [", parameter->data_type);
    for (size_t i = 0; i < parameter->n_dims && words.used < capacity; i++) {
        put(&words, "%s", i > 0 ? "," : "");
        put_dim(&words, &parameter->dims[i]);
    }
    put(&words, "%s]", parameter->has_rank ? "" : "...");
}
