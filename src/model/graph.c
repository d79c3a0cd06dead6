/* Builds the index of values and uses of all graphs. */
#include "model/graph.h"

#include <string.h>

static const char *text_or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

bool oq_node_is(const Oq__Pb__NodeProto *node, const char *domain, const char *op_type)
{
    return strcmp(text_or_empty(node->op_type), op_type) == 0 &&
           strcmp(oq_domain(node->domain), domain) == 0;
}

bool oq_node_is_any(const Oq__Pb__NodeProto *node, const char *const *op_types)
{
    while (*op_types != NULL && !oq_node_is(node, "", *op_types))
        op_types++;
    return *op_types != NULL;
}

const char *oq_node_input(const Oq__Pb__NodeProto *node, size_t k)
{
    return k < node->n_input ? node->input[k] : "";
}

/* The length keeps "a", "bc" from "ab", "c". */
char *oq_weight_key(struct oq_arena *arena, const char *label, const char *weight)
{
    return oq_arena_printf(arena, "%zu:%s%s", strlen(label), label, weight);
}

const char *oq_node_label(const Oq__Pb__NodeProto *node)
{
    if (node->name != NULL && node->name[0] != '\0')
        return node->name;
    return node->n_output > 0 ? node->output[0] : "";
}

const Oq__Pb__AttributeProto *oq_node_attribute(const Oq__Pb__NodeProto *node, const char *name)
{
    for (size_t i = 0; i < node->n_attribute; i++)
        if (strcmp(text_or_empty(node->attribute[i]->name), name) == 0)
            return node->attribute[i];
    return NULL;
}

/*
 * True where it is of that type and holds a value of its own. Writers of proto3 leave out a value
 * of 0, so that the type decides; files older than IR version 2 have none.
 */
static bool is_of_type(const Oq__Pb__AttributeProto *attribute,
                       Oq__Pb__AttributeProto__AttributeType type, protobuf_c_boolean has_value)
{
    bool has_type = attribute->has_type &&
                    attribute->type != OQ__PB__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__UNDEFINED;
    if (attribute->ref_attr_name != NULL && attribute->ref_attr_name[0] != '\0')
        return false; /* who calls the function says it */
    return has_type ? attribute->type == type : has_value;
}

bool oq_attribute_int(const Oq__Pb__AttributeProto *attribute, int64_t *value)
{
    if (attribute == NULL ||
        !is_of_type(attribute, OQ__PB__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT, attribute->has_i))
        return false;
    *value = attribute->has_i ? attribute->i : 0;
    return true;
}

int64_t oq_node_int(const Oq__Pb__NodeProto *node, const char *name, int64_t otherwise)
{
    int64_t value;
    return oq_attribute_int(oq_node_attribute(node, name), &value) ? value : otherwise;
}

float oq_node_float(const Oq__Pb__NodeProto *node, const char *name, float otherwise)
{
    const Oq__Pb__AttributeProto *attribute = oq_node_attribute(node, name);
    if (attribute == NULL ||
        !is_of_type(attribute, OQ__PB__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT, attribute->has_f))
        return otherwise;
    return attribute->has_f ? attribute->f : 0;
}

struct oq_value *oq_graph_find(const struct oq_graph *graph, const char *name)
{
    struct oq_value *value = NULL;
    if (name == NULL || name[0] == '\0')
        return NULL;
    for (; graph != NULL && value == NULL; graph = graph->parent)
        value = oq_strmap_find(&graph->values, name);
    return value;
}

const Oq__Pb__NodeProto *oq_value_node(const struct oq_value *value)
{
    bool is_made = value != NULL && value->origin == OQ_ORIGIN_NODE;
    return is_made ? value->graph->proto->node[value->index] : NULL;
}

const Oq__Pb__TensorProto *oq_value_tensor(const struct oq_value *value)
{
    const Oq__Pb__NodeProto *node = oq_value_node(value);
    if (value->origin == OQ_ORIGIN_INITIALIZER)
        return value->graph->proto->initializer[value->index];
    const Oq__Pb__AttributeProto *attribute =
        node != NULL && oq_node_is(node, "", "Constant") ? oq_node_attribute(node, "value") : NULL;
    return attribute == NULL ? NULL : attribute->t;
}

int oq_graph_rank(const struct oq_graph *graph, const char *name)
{
    const struct oq_value *value = oq_graph_find(graph, name);
    const Oq__Pb__TypeProto *type = value == NULL ? NULL : value->type;
    if (type == NULL || type->value_case != OQ__PB__TYPE_PROTO__VALUE_TENSOR_TYPE ||
        type->tensor_type->shape == NULL || type->tensor_type->shape->n_dim > OQ_MAX_RANK)
        return -1;
    return (int)type->tensor_type->shape->n_dim;
}

bool oq_value_is_hiding(const struct oq_value *value)
{
    return oq_graph_find(value->graph->parent, value->name) != NULL;
}

struct builder {
    struct oq_graphs *graphs;
    struct oq_arena *arena;
    onnxq_error *error;
};

static bool add_graph(struct builder *builder, const Oq__Pb__GraphProto *proto,
                      const struct oq_graph *parent, size_t node)
{
    struct oq_graphs *graphs = builder->graphs;
    struct oq_graph *graph = oq_arena_alloc(builder->arena, sizeof(*graph));
    if (graph == NULL || !oq_arena_grow(builder->arena, &graphs->list, graphs->count,
                                        &graphs->capacity, sizeof(*graphs->list)))
        return oq_arena_fail(builder->arena, builder->error);
    graph->proto = proto;
    graph->ordinal = graphs->count;
    graph->parent = parent;
    graph->node = node;
    graph->name = text_or_empty(proto->name);
    oq_strmap_init(&graph->values, builder->arena);
    graphs->list[graphs->count++] = graph;
    return true;
}

static bool define(struct builder *builder, struct oq_graph *graph, const char *name,
                   enum oq_origin origin, size_t index)
{
    if (name == NULL || name[0] == '\0')
        return true;
    void **place = oq_strmap_place(&graph->values, name);
    if (place == NULL)
        return oq_arena_fail(builder->arena, builder->error);
    struct oq_value *value = *place;
    if (value == NULL) {
        value = oq_arena_alloc(builder->arena, sizeof(*value));
        if (value == NULL)
            return oq_arena_fail(builder->arena, builder->error);
        *value = (struct oq_value){.name = name,
                                   .graph = graph,
                                   .origin = origin,
                                   .index = index,
                                   .ordinal = builder->graphs->n_values++,
                                   .is_graph_input = origin == OQ_ORIGIN_INPUT};
        *place = value;
        return true;
    }
    bool is_default = value->origin == OQ_ORIGIN_INPUT &&
                      (origin == OQ_ORIGIN_INITIALIZER || origin == OQ_ORIGIN_SPARSE);
    if (!is_default) {
        oq_fail(builder->error, ONNXQ_ERROR_INPUT, "value \"%s\" is defined twice, expected once",
                name);
        oq_error_place(builder->error, "graph \"%s\"", graph->name);
        return false;
    }
    value->origin = origin;
    value->index = index;
    return true;
}

static void declare(struct oq_graph *graph, Oq__Pb__ValueInfoProto *const *infos, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct oq_value *value =
            infos[i]->name == NULL ? NULL : oq_strmap_find(&graph->values, infos[i]->name);
        if (value != NULL && infos[i]->type != NULL)
            value->type = infos[i]->type;
    }
}

static size_t count_definitions(const Oq__Pb__GraphProto *proto)
{
    size_t count = proto->n_input + proto->n_initializer + proto->n_sparse_initializer;
    for (size_t i = 0; i < proto->n_node; i++)
        count += proto->node[i]->n_output;
    return count;
}

static bool define_all(struct builder *builder, struct oq_graph *graph)
{
    const Oq__Pb__GraphProto *proto = graph->proto;
    if (!oq_strmap_reserve(&graph->values, count_definitions(proto)))
        return oq_arena_fail(builder->arena, builder->error);
    for (size_t i = 0; i < proto->n_input; i++)
        if (!define(builder, graph, proto->input[i]->name, OQ_ORIGIN_INPUT, i))
            return false;
    for (size_t i = 0; i < proto->n_initializer; i++)
        if (!define(builder, graph, proto->initializer[i]->name, OQ_ORIGIN_INITIALIZER, i))
            return false;
    for (size_t i = 0; i < proto->n_sparse_initializer; i++) {
        const Oq__Pb__TensorProto *values = proto->sparse_initializer[i]->values;
        if (values != NULL && !define(builder, graph, values->name, OQ_ORIGIN_SPARSE, i))
            return false;
    }
    for (size_t i = 0; i < proto->n_node; i++)
        for (size_t k = 0; k < proto->node[i]->n_output; k++)
            if (!define(builder, graph, proto->node[i]->output[k], OQ_ORIGIN_NODE, i))
                return false;
    declare(graph, proto->input, proto->n_input);
    declare(graph, proto->value_info, proto->n_value_info);
    declare(graph, proto->output, proto->n_output);
    return true;
}

static bool add_use(struct builder *builder, const struct oq_graph *graph, const char *name,
                    size_t node, size_t input)
{
    struct oq_value *value = oq_graph_find(graph, name);
    if (value == NULL)
        return true; /* an input that is left out, or a model that its engine will refuse */
    struct oq_use *use = oq_arena_alloc(builder->arena, sizeof(*use));
    if (use == NULL)
        return oq_arena_fail(builder->arena, builder->error);
    *use = (struct oq_use){graph, node, input, NULL};
    if (value->last_use == NULL)
        value->uses = use;
    else
        value->last_use->next = use;
    value->last_use = use;
    value->n_uses++;
    value->is_graph_output |= node == OQ_NO_NODE;
    return true;
}

static bool add_uses(struct builder *builder, const struct oq_graph *graph)
{
    const Oq__Pb__GraphProto *proto = graph->proto;
    for (size_t i = 0; i < proto->n_node; i++)
        for (size_t k = 0; k < proto->node[i]->n_input; k++)
            if (!add_use(builder, graph, proto->node[i]->input[k], i, k))
                return false;
    for (size_t i = 0; i < proto->n_output; i++)
        if (!add_use(builder, graph, proto->output[i]->name, OQ_NO_NODE, i))
            return false;
    return true;
}

/* An annotation is about a tensor, and names others as its scale and zero point. */
static void note_annotations(const struct oq_graph *graph)
{
    const Oq__Pb__GraphProto *proto = graph->proto;
    for (size_t i = 0; i < proto->n_quantization_annotation; i++) {
        const Oq__Pb__TensorAnnotation *annotation = proto->quantization_annotation[i];
        struct oq_value *value = oq_graph_find(graph, annotation->tensor_name);
        if (value != NULL)
            value->is_annotated = true;
        for (size_t k = 0; k < annotation->n_quant_parameter_tensor_names; k++) {
            value = oq_graph_find(graph, annotation->quant_parameter_tensor_names[k]->value);
            if (value != NULL)
                value->is_named = true;
        }
    }
}

static bool add_children(struct builder *builder, const struct oq_graph *graph)
{
    for (size_t i = 0; i < graph->proto->n_node; i++) {
        const Oq__Pb__NodeProto *node = graph->proto->node[i];
        for (size_t k = 0; k < node->n_attribute; k++) {
            const Oq__Pb__AttributeProto *attribute = node->attribute[k];
            if (attribute->g != NULL && !add_graph(builder, attribute->g, graph, i))
                return false;
            for (size_t j = 0; j < attribute->n_graphs; j++)
                if (!add_graph(builder, attribute->graphs[j], graph, i))
                    return false;
        }
    }
    return true;
}

bool oq_graphs_init(struct oq_graphs *graphs, const Oq__Pb__GraphProto *main,
                    struct oq_arena *arena, onnxq_error *error)
{
    struct builder builder = {graphs, arena, error};
    *graphs = (struct oq_graphs){0};
    if (!add_graph(&builder, main, NULL, 0))
        return false;
    /* The list grows while it is walked: breadth first, without recursion. */
    for (size_t i = 0; i < graphs->count; i++)
        if (!define_all(&builder, graphs->list[i]) || !add_children(&builder, graphs->list[i]))
            return false;
    for (size_t i = 0; i < graphs->count; i++)
        if (!add_uses(&builder, graphs->list[i]))
            return false;
    for (size_t i = 0; i < graphs->count; i++)
        note_annotations(graphs->list[i]);
    return true;
}

static Oq__Pb__ValueInfoProto **make_infos(char **names, size_t n, struct oq_arena *arena)
{
    Oq__Pb__ValueInfoProto **list = oq_arena_array(arena, n + 1, sizeof(*list));
    Oq__Pb__ValueInfoProto *infos = oq_arena_array(arena, n + 1, sizeof(*infos));
    if (list == NULL || infos == NULL)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        oq__pb__value_info_proto__init(&infos[i]);
        infos[i].name = names[i];
        list[i] = &infos[i];
    }
    return list;
}

Oq__Pb__GraphProto *oq_graph_of_function(const Oq__Pb__FunctionProto *function,
                                         struct oq_arena *arena)
{
    Oq__Pb__GraphProto *graph = oq_arena_alloc(arena, sizeof(*graph));
    if (graph == NULL)
        return NULL;
    oq__pb__graph_proto__init(graph);
    graph->name = function->name;
    graph->n_node = function->n_node;
    graph->node = function->node;
    graph->n_input = function->n_input;
    graph->input = make_infos(function->input, function->n_input, arena);
    graph->n_output = function->n_output;
    graph->output = make_infos(function->output, function->n_output, arena);
    return graph->input == NULL || graph->output == NULL ? NULL : graph;
}
