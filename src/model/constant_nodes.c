/*
 * Constant nodes hold a tensor as attribute "value", or since opset 12 plain numbers as
 * value_float, value_floats, value_int or value_ints. The latter become the former, so that
 * whoever looks for constants finds all of them.
 */
#include "model/constant_nodes.h"

#include <string.h>

#include "model/graph.h"
#include "wire/message.h"
#include "wire/data_type.h"

#define INT64     OQ_TYPE(INT64)
#define MIN_OPSET 12 /* that has these attributes */

/* Numbers of an attribute, where they are in memory; 0 of them: none that are meant here. */
struct constant_numbers {
    int32_t data_type;
    bool is_list;
    size_t count;
    void *data;
};

static struct constant_numbers numbers_of(Oq__Pb__AttributeProto *attribute)
{
    const char *name = attribute->name == NULL ? "" : attribute->name;
    /* 0 may be left out where the type is there. */
    const bool is_float = attribute->type == OQ__PB__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT;
    const bool is_int = attribute->type == OQ__PB__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
    if (strcmp(name, "value_float") == 0)
        return (struct constant_numbers){OQ_TYPE(FLOAT), false, attribute->has_f || is_float,
                                         &attribute->f};
    if (strcmp(name, "value_floats") == 0)
        return (struct constant_numbers){OQ_TYPE(FLOAT), true, attribute->n_floats,
                                         attribute->floats};
    if (strcmp(name, "value_int") == 0)
        return (struct constant_numbers){INT64, false, attribute->has_i || is_int, &attribute->i};
    if (strcmp(name, "value_ints") == 0)
        return (struct constant_numbers){INT64, true, attribute->n_ints, attribute->ints};
    return (struct constant_numbers){0};
}

/* The numbers stay where they are. */
static Oq__Pb__TensorProto *make_tensor(struct oq_arena *arena,
                                        const struct constant_numbers *numbers)
{
    Oq__Pb__TensorProto *tensor = oq_arena_alloc(arena, sizeof(*tensor));
    int64_t *dims = oq_arena_alloc(arena, sizeof(*dims));
    if (tensor == NULL || dims == NULL)
        return NULL;
    oq__pb__tensor_proto__init(tensor);
    *dims = (int64_t)numbers->count;
    tensor->dims = dims;
    tensor->n_dims = numbers->is_list ? 1 : 0;
    tensor->has_data_type = true;
    tensor->data_type = numbers->data_type;
    if (numbers->data_type == OQ_TYPE(FLOAT)) {
        tensor->float_data = numbers->data;
        tensor->n_float_data = numbers->count;
    } else {
        tensor->int64_data = numbers->data;
        tensor->n_int64_data = numbers->count;
    }
    return tensor;
}

static bool make_value(struct oq_arena *arena, Oq__Pb__AttributeProto *attribute,
                       const struct constant_numbers *numbers)
{
    static char name[] = "value";
    Oq__Pb__TensorProto *tensor = make_tensor(arena, numbers);
    if (tensor == NULL)
        return false;
    attribute->name = name;
    attribute->has_type = true;
    attribute->type = OQ__PB__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR;
    attribute->t = tensor;
    attribute->has_f = attribute->has_i = false;
    attribute->n_floats = attribute->n_ints = 0;
    return true;
}

static bool is_meant(const Oq__Pb__NodeProto *node)
{
    return oq_node_is(node, "", "Constant") && node->n_attribute == 1 &&
           node->attribute[0]->t == NULL &&
           (node->attribute[0]->ref_attr_name == NULL ||
            node->attribute[0]->ref_attr_name[0] == '\0');
}

static bool normalize(void *context, const struct oq_message_path *path, onnxq_error *error)
{
    struct oq_arena *arena = context;
    const Oq__Pb__NodeProto *node = (const Oq__Pb__NodeProto *)path->message;
    if (!is_meant(node))
        return true;
    const struct constant_numbers numbers = numbers_of(node->attribute[0]);
    return numbers.count == 0 || make_value(arena, node->attribute[0], &numbers) ||
           oq_arena_fail(arena, error);
}

bool oq_constant_nodes_normalize(Oq__Pb__ModelProto *model, int64_t opset, struct oq_arena *arena,
                                 onnxq_error *error)
{
    return opset < MIN_OPSET || model->graph == NULL ||
           oq_message_visit(&model->graph->base, &oq__pb__node_proto__descriptor, normalize, arena,
                            error);
}
