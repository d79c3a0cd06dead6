/* Types of values as text, and whether they agree. */
#include "model/type_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"
#include "model/dtype.h"

const char *oq_type_kind(const Oq__Pb__TypeProto *type)
{
    if (type == NULL)
        return "";
    switch (type->value_case) {
    case OQ__PB__TYPE_PROTO__VALUE_TENSOR_TYPE:
        return "tensor";
    case OQ__PB__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE:
        return "sparse tensor";
    case OQ__PB__TYPE_PROTO__VALUE_SEQUENCE_TYPE:
        return "sequence";
    case OQ__PB__TYPE_PROTO__VALUE_MAP_TYPE:
        return "map";
    case OQ__PB__TYPE_PROTO__VALUE_OPTIONAL_TYPE:
        return "optional";
    case OQ__PB__TYPE_PROTO__VALUE_OPAQUE_TYPE:
        return "opaque";
    default:
        return "";
    }
}

bool oq_type_tensor(const Oq__Pb__TypeProto *type, int32_t *data_type,
                    const Oq__Pb__TensorShapeProto **shape)
{
    bool is_dense = type != NULL && type->value_case == OQ__PB__TYPE_PROTO__VALUE_TENSOR_TYPE;
    bool is_sparse =
        type != NULL && type->value_case == OQ__PB__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE;
    if (is_dense && type->tensor_type != NULL) {
        *data_type = type->tensor_type->elem_type;
        *shape = type->tensor_type->shape;
    } else if (is_sparse && type->sparse_tensor_type != NULL) {
        *data_type = type->sparse_tensor_type->elem_type;
        *shape = type->sparse_tensor_type->shape;
    } else {
        return false;
    }
    return true;
}

int64_t oq_dim_size(const Oq__Pb__TensorShapeProto__Dimension *dim, const char **name)
{
    *name = "";
    if (dim->value_case == OQ__PB__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM &&
        dim->dim_param != NULL)
        *name = dim->dim_param;
    bool is_known = dim->value_case == OQ__PB__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE &&
                    dim->dim_value >= 0;
    return is_known ? dim->dim_value : -1;
}

/* --- text --- */

struct text {
    char *dst;
    size_t capacity, length;
};

static void append(struct text *text, const char *format, ...) OQ_PRINTF(2, 3);
static void append(struct text *text, const char *format, ...)
{
    bool fits = text->length < text->capacity;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(fits ? text->dst + text->length : NULL,
                      fits ? text->capacity - text->length : 0, format, args);
    va_end(args);
    text->length += n > 0 ? (size_t)n : 0;
}

static void append_data_type(struct text *text, int32_t data_type)
{
    const struct oq_dtype *dtype = oq_dtype_find(data_type);
    if (dtype != NULL)
        append(text, "%s", dtype->name);
    else
        append(text, "type %" PRId32, data_type);
}

static void append_shape(struct text *text, const Oq__Pb__TensorShapeProto *shape)
{
    for (size_t i = 0; i < shape->n_dim; i++) {
        const char *name;
        int64_t size = oq_dim_size(shape->dim[i], &name);
        append(text, "%s", i > 0 ? "," : "");
        if (size >= 0)
            append(text, "%" PRId64, size);
        else
            append(text, "%s", name[0] != '\0' ? name : "?");
    }
}

static void append_tensor(struct text *text, int32_t data_type,
                          const Oq__Pb__TensorShapeProto *shape)
{
    append_data_type(text, data_type);
    append(text, " [");
    if (shape == NULL)
        append(text, "...");
    else
        append_shape(text, shape);
    append(text, "]");
}

static void append_opaque(struct text *text, const Oq__Pb__TypeProto__Opaque *opaque)
{
    const char *domain = opaque == NULL || opaque->domain == NULL ? "" : opaque->domain;
    const char *name = opaque == NULL || opaque->name == NULL ? "" : opaque->name;
    append(text, "opaque %s%s%s", domain, domain[0] != '\0' ? "." : "", name);
}

/* Appends what a container says of itself; returns the type that it holds, NULL: there is none. */
static const Oq__Pb__TypeProto *append_container(struct text *text, const Oq__Pb__TypeProto *type)
{
    switch (type->value_case) {
    case OQ__PB__TYPE_PROTO__VALUE_SEQUENCE_TYPE:
        append(text, "sequence of ");
        return type->sequence_type == NULL ? NULL : type->sequence_type->elem_type;
    case OQ__PB__TYPE_PROTO__VALUE_OPTIONAL_TYPE:
        append(text, "optional ");
        return type->optional_type == NULL ? NULL : type->optional_type->elem_type;
    case OQ__PB__TYPE_PROTO__VALUE_MAP_TYPE:
        append(text, "map ");
        append_data_type(text, type->map_type == NULL ? 0 : type->map_type->key_type);
        append(text, " -> ");
        return type->map_type == NULL ? NULL : type->map_type->value_type;
    default:
        return NULL;
    }
}

static bool is_container(const Oq__Pb__TypeProto *type)
{
    return type != NULL && (type->value_case == OQ__PB__TYPE_PROTO__VALUE_SEQUENCE_TYPE ||
                            type->value_case == OQ__PB__TYPE_PROTO__VALUE_OPTIONAL_TYPE ||
                            type->value_case == OQ__PB__TYPE_PROTO__VALUE_MAP_TYPE);
}

size_t oq_type_text(const Oq__Pb__TypeProto *type, char *dst, size_t capacity)
{
    struct text text = {dst, capacity, 0};
    int32_t data_type;
    const Oq__Pb__TensorShapeProto *shape;
    while (is_container(type))
        type = append_container(&text, type);
    if (oq_type_tensor(type, &data_type, &shape)) {
        append(&text, "%s",
               type->value_case == OQ__PB__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE ? "sparse " : "");
        append_tensor(&text, data_type, shape);
    } else if (type != NULL && type->value_case == OQ__PB__TYPE_PROTO__VALUE_OPAQUE_TYPE) {
        append_opaque(&text, type->opaque_type);
    } else {
        append(&text, "no type");
    }
    return text.length;
}
