/* Looks up shapes and short constants of a graph. */
#include "inputs/known.h"

#include <stdio.h>

#include "model/source.h"
#include "model/type_text.h"

/* Nodes between a weight and its use: casts, scales, transposes. Also bounds the recursion. */
#define MAX_CHAIN 16

/* What the search for one constant may take: a table in more than a hundred pieces is not found. */
#define SEARCH_BUDGET ((size_t)256 << 10)

static bool find_source(const onnxq_model *model, const struct oq_graph *graph, const char *name,
                        struct oq_arena *arena, struct oq_source *source, onnxq_error *ignored)
{
    bool found;
    oq_error_init(ignored);
    return oq_source_find(source, model, graph, name, true, arena, &found, ignored) && found;
}

static bool shape_from_source(const onnxq_model *model, const struct oq_graph *graph,
                              const char *name, struct oq_arena *arena, struct oq_shape *shape)
{
    struct oq_source source;
    onnxq_error ignored;
    if (!find_source(model, graph, name, arena, &source, &ignored) || source.n_dims > OQ_MAX_RANK)
        return false;
    shape->rank = (int)source.n_dims;
    for (int i = 0; i < shape->rank; i++)
        shape->dims[i] = source.dims[source.transposed ? shape->rank - 1 - i : i];
    return true;
}

static bool shape_of_constant(const onnxq_model *model, const struct oq_graph *graph,
                              const char *name, struct oq_shape *shape)
{
    struct oq_arena arena;
    oq_arena_init(&arena, SEARCH_BUDGET);
    bool found = shape_from_source(model, graph, name, &arena, shape);
    oq_arena_fini(&arena);
    return found;
}

/* Of an open dimension: by its name, or where it is one of an input by its place. */
static int64_t size_by_name(const struct oq_value *value, int axis, const char *name,
                            const struct oq_strmap *sizes)
{
    char place[256];
    const int64_t *size = NULL;
    if (name[0] != '\0')
        size = oq_strmap_find(sizes, name);
    else if (value->origin == OQ_ORIGIN_INPUT && value->graph->parent == NULL &&
             snprintf(place, sizeof(place), "%s:%d", value->name, axis) < (int)sizeof(place))
        size = oq_strmap_find(sizes, place);
    return size != NULL ? *size : -1;
}

static bool shape_from_type(const struct oq_value *value, const struct oq_strmap *sizes,
                            struct oq_shape *shape)
{
    shape->rank = oq_graph_rank(value->graph, value->name);
    for (int i = 0; i < shape->rank; i++) {
        const char *name;
        shape->dims[i] = oq_dim_size(value->type->tensor_type->shape->dim[i], &name);
        if (shape->dims[i] < 0 && sizes != NULL)
            shape->dims[i] = size_by_name(value, i, name, sizes);
    }
    return shape->rank >= 0;
}

/* Operators of a quantized weight: input 0 has the shape of the output. */
static bool keeps_shape(const Oq__Pb__NodeProto *node)
{
    static const char *const names[] = {"Add",
                                        "Cast",
                                        "DequantizeLinear",
                                        "Identity",
                                        "Mul",
                                        "QuantizeLinear",
                                        "Sub",
                                        "DynamicQuantizeLinear"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (oq_node_is(node, "", names[i]))
            return true;
    }
    return oq_node_is(node, "com.microsoft", "DequantizeLinear");
}

static bool transpose(const Oq__Pb__NodeProto *node, struct oq_shape *shape)
{
    const Oq__Pb__AttributeProto *perm = oq_node_attribute(node, "perm");
    struct oq_shape before = *shape;
    if (perm != NULL && perm->n_ints != (size_t)shape->rank)
        return false;
    for (int i = 0; i < shape->rank; i++) {
        int64_t from = perm != NULL ? perm->ints[i] : shape->rank - 1 - i;
        if (from < 0 || from >= shape->rank)
            return false;
        shape->dims[i] = before.dims[from];
    }
    return true;
}

static bool find_shape(const onnxq_model *model, const struct oq_strmap *sizes,
                       const struct oq_graph *graph, const char *name, int depth,
                       struct oq_shape *shape)
{
    const struct oq_value *value = oq_graph_find(graph, name);
    if (value == NULL)
        return false;
    if (shape_of_constant(model, graph, name, shape))
        return true;
    const Oq__Pb__NodeProto *node = oq_value_node(value);
    if (node != NULL && depth < MAX_CHAIN && node->n_input > 0) {
        bool turns = oq_node_is(node, "", "Transpose");
        if ((turns || keeps_shape(node)) &&
            find_shape(model, sizes, value->graph, node->input[0], depth + 1, shape))
            return !turns || transpose(node, shape);
    }
    return shape_from_type(value, sizes, shape);
}

bool oq_known_shape(const onnxq_model *model, const struct oq_strmap *sizes,
                    const struct oq_graph *graph, const char *name, struct oq_shape *shape)
{
    return find_shape(model, sizes, graph, name, 0, shape);
}

int64_t oq_shape_size(const struct oq_shape *shape, int64_t axis)
{
    axis += axis < 0 ? shape->rank : 0;
    return axis >= 0 && axis < shape->rank ? shape->dims[axis] : -1;
}

static bool read_integers(const onnxq_model *model, const struct oq_graph *graph, const char *name,
                          struct oq_arena *arena, int64_t *values, size_t *n)
{
    struct oq_source source;
    onnxq_error ignored;
    if (!find_source(model, graph, name, arena, &source, &ignored) || source.n_spans != 1 ||
        source.factors != NULL || source.nelem > OQ_READ_MAX_INTEGERS || source.transposed)
        return false;
    const struct oq_tensor *tensor = source.spans[0].tensor;
    *n = (size_t)source.nelem;
    return source.spans[0].first == 0 && tensor->nelem == source.nelem &&
           oq_tensor_is_integer(tensor) && oq_tensor_read_int64s(tensor, values, &ignored);
}

/* Elements of an integer constant of at most OQ_READ_MAX_INTEGERS. */
static bool known_integers(const onnxq_model *model, const struct oq_graph *graph, const char *name,
                           int64_t *values, size_t *n)
{
    struct oq_arena arena;
    oq_arena_init(&arena, SEARCH_BUDGET);
    bool found = read_integers(model, graph, name, &arena, values, n);
    oq_arena_fini(&arena);
    return found;
}

bool oq_known_integer(const onnxq_model *model, const struct oq_graph *graph, const char *name,
                      int64_t *value)
{
    int64_t values[OQ_READ_MAX_INTEGERS];
    size_t n;
    if (!known_integers(model, graph, name, values, &n) || n != 1)
        return false;
    *value = values[0];
    return true;
}

static bool read_float(const onnxq_model *model, const struct oq_graph *graph, const char *name,
                       struct oq_arena *arena, float *number)
{
    struct oq_source source;
    onnxq_error ignored;
    if (!find_source(model, graph, name, arena, &source, &ignored) || source.n_spans != 1 ||
        source.factors != NULL || source.nelem != 1)
        return false;
    const struct oq_tensor *tensor = source.spans[0].tensor;
    void *scratch = oq_arena_alloc(arena, OQ_READ_SCRATCH_NBYTES);
    return scratch != NULL && tensor->dtype != NULL && tensor->dtype->is_float &&
           oq_tensor_read_floats(tensor, source.spans[0].first, 1, number, scratch, &ignored);
}

bool oq_known_number(const onnxq_model *model, const struct oq_graph *graph, const char *name,
                     double *value)
{
    struct oq_arena arena;
    int64_t integer;
    float number;
    if (oq_known_integer(model, graph, name, &integer)) {
        *value = (double)integer;
        return true;
    }
    oq_arena_init(&arena, SEARCH_BUDGET + OQ_READ_SCRATCH_NBYTES);
    bool found = read_float(model, graph, name, &arena, &number);
    oq_arena_fini(&arena);
    if (found)
        *value = (double)number;
    return found;
}

bool oq_known_parameter(const onnxq_model *model, const struct oq_graph *graph,
                        const Oq__Pb__NodeProto *node, const char *attribute_name, size_t input,
                        int64_t *values, size_t *n)
{
    const Oq__Pb__AttributeProto *attribute = oq_node_attribute(node, attribute_name);
    if (attribute == NULL)
        return known_integers(model, graph, oq_node_input(node, input), values, n);
    if (attribute->n_ints > OQ_READ_MAX_INTEGERS)
        return false;
    *n = attribute->n_ints;
    for (size_t i = 0; i < *n; i++)
        values[i] = attribute->ints[i];
    return true;
}
