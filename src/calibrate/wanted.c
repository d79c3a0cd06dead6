/* Goes through the main graph: what is computed from inputs and may be float32. */
#include "calibrate/wanted.h"

#include <string.h>

#include "wire/data_type.h"

struct wanted_finder {
    const onnxq_model *model;
    const struct oq_graph *graph;
    struct oq_wanted_list *wanted;
    size_t capacity;
    bool *is_constant; /* by ordinal of the value */
    struct oq_arena *arena;
};

/* --- what it cannot be -------------------------------------------------------------- */

static bool is_declared_otherwise(const struct oq_value *value)
{
    const Oq__Pb__TypeProto *type = value->type;
    if (type == NULL || type->value_case == OQ__PB__TYPE_PROTO__VALUE__NOT_SET)
        return false;
    return type->value_case != OQ__PB__TYPE_PROTO__VALUE_TENSOR_TYPE ||
           (type->tensor_type->elem_type != OQ_TYPE(FLOAT) &&
            type->tensor_type->elem_type != OQ_TYPE(UNDEFINED));
}

/* Operators whose results are integers, strings, sequences or may be anything. */
static bool gives_no_floats(const Oq__Pb__NodeProto *node)
{
    const struct oq_operator *op = oq_operator_of(node);
    if (oq_operator_has(op, OQ_COMPARES) || oq_operator_has(op, OQ_QUANTIZED) ||
        oq_operator_has(op, OQ_HAS_BODIES) || strcmp(op->domain, "ai.onnx.ml") == 0)
        return true;
    switch (oq_operator_id(op)) {
    case OQ_ONNX_ArgMax:
    case OQ_ONNX_ArgMin:
    case OQ_ONNX_NonMaxSuppression:
    case OQ_ONNX_NonZero:
    case OQ_ONNX_Optional:
    case OQ_ONNX_OptionalGetElement:
    case OQ_ONNX_OptionalHasElement:
    case OQ_ONNX_SequenceConstruct:
    case OQ_ONNX_SequenceEmpty:
    case OQ_ONNX_SequenceErase:
    case OQ_ONNX_SequenceInsert:
    case OQ_ONNX_SequenceLength:
    case OQ_ONNX_RegexFullMatch:
    case OQ_ONNX_Shape:
    case OQ_ONNX_Size:
    case OQ_ONNX_SplitToSequence:
    case OQ_ONNX_StringConcat:
    case OQ_ONNX_StringNormalizer:
    case OQ_ONNX_StringSplit:
    case OQ_UNKNOWN_OPERATOR:
        return true;
    default:
        return false;
    }
}

/* --- constants ------------------------------------------------------------------------- */

/* Chance makes something new of constants. */
static bool is_random(const Oq__Pb__NodeProto *node)
{
    const char *name = oq_operator_of(node)->name;
    return strncmp(name, "Random", 6) == 0 || strcmp(name, "Bernoulli") == 0 ||
           strcmp(name, "Multinomial") == 0 || strcmp(name, "Dropout") == 0;
}

static bool makes_constants(const struct wanted_finder *finder, const Oq__Pb__NodeProto *node)
{
    if (oq_node_is(node, "", "Constant"))
        return true;
    if (node->n_input == 0 || is_random(node) ||
        oq_operator_has(oq_operator_of(node), OQ_HAS_BODIES))
        return false;
    for (size_t k = 0; k < node->n_input; k++) {
        const struct oq_value *value = oq_graph_find(finder->graph, oq_node_input(node, k));
        if (value != NULL && !finder->is_constant[value->ordinal])
            return false;
    }
    return true;
}

/* --- channels ---------------------------------------------------------------------------- */

/* Operators on images have the channels at axis 1, whatever the rank. */
static bool has_channels_first(const Oq__Pb__NodeProto *node)
{
    switch (oq_operator_id_of(node)) {
    case OQ_ONNX_Conv:
    case OQ_ONNX_ConvTranspose:
    case OQ_ONNX_BatchNormalization:
    case OQ_ONNX_InstanceNormalization:
    case OQ_ONNX_MaxPool:
    case OQ_ONNX_AveragePool:
    case OQ_ONNX_GlobalAveragePool:
    case OQ_ONNX_GlobalMaxPool:
        return true;
    default:
        return false;
    }
}

static int find_axis(const struct wanted_finder *finder, const struct oq_value *value)
{
    if (value->origin == OQ_ORIGIN_NODE && has_channels_first(oq_value_node(value)))
        return 1;
    for (const struct oq_use *use = value->uses; use != NULL; use = use->next)
        if (use->graph == finder->graph && use->node != OQ_NO_NODE && use->input == 0 &&
            has_channels_first(finder->graph->proto->node[use->node]))
            return 1;
    return oq_graph_rank(finder->graph, value->name) >= 4 ? 1 : -1;
}

/* --- the list ------------------------------------------------------------------------------ */

static bool add(struct wanted_finder *finder, const struct oq_value *value)
{
    struct oq_wanted_list *wanted = finder->wanted;
    if (!oq_arena_grow(finder->arena, &wanted->list, wanted->count, &finder->capacity,
                       sizeof(*wanted->list)))
        return false;
    wanted->list[wanted->count++] =
        (struct oq_wanted){.name = value->name,
                           .is_input = value->origin == OQ_ORIGIN_INPUT,
                           .node = value->origin == OQ_ORIGIN_NODE ? value->index : 0,
                           .axis = find_axis(finder, value)};
    return true;
}

static bool add_inputs(struct wanted_finder *finder)
{
    const Oq__Pb__GraphProto *proto = finder->graph->proto;
    for (size_t i = 0; i < proto->n_input; i++) {
        const struct oq_value *value = oq_graph_find(finder->graph, proto->input[i]->name);
        if (value == NULL)
            continue;
        if (value->origin != OQ_ORIGIN_INPUT)
            finder->is_constant[value->ordinal] = true;
        else if (!is_declared_otherwise(value) && !add(finder, value))
            return false;
    }
    return true;
}

static void note_initializers(struct wanted_finder *finder)
{
    const Oq__Pb__GraphProto *proto = finder->graph->proto;
    for (size_t i = 0; i < proto->n_initializer + proto->n_sparse_initializer; i++) {
        const char *name = i < proto->n_initializer
                               ? proto->initializer[i]->name
                               : proto->sparse_initializer[i - proto->n_initializer]->values->name;
        const struct oq_value *value = oq_graph_find(finder->graph, name != NULL ? name : "");
        if (value != NULL)
            finder->is_constant[value->ordinal] = true;
    }
}

static bool add_outputs(struct wanted_finder *finder, const Oq__Pb__NodeProto *node)
{
    bool is_constant = makes_constants(finder, node), no_floats = gives_no_floats(node);
    for (size_t k = 0; k < node->n_output; k++) {
        const struct oq_value *value = oq_graph_find(finder->graph, node->output[k]);
        if (value == NULL)
            continue;
        finder->is_constant[value->ordinal] = is_constant;
        /* What an operator may give is asked where the model does not declare it. */
        bool is_out = value->type != NULL ? is_declared_otherwise(value) : no_floats;
        if (!is_constant && !is_out && !add(finder, value))
            return false;
    }
    return true;
}

/* Uses in bodies are those of the node that has them: the nearest one in the main graph. */
static size_t reader_of(const struct oq_use *use)
{
    size_t node = use->node;
    for (const struct oq_graph *graph = use->graph; graph->parent != NULL; graph = graph->parent)
        node = graph->node;
    return node;
}

static bool is_sorted(const struct wanted_finder *finder)
{
    const Oq__Pb__GraphProto *proto = finder->graph->proto;
    for (size_t i = 0; i < proto->n_node; i++) {
        for (size_t k = 0; k < proto->node[i]->n_output; k++) {
            const struct oq_value *value = oq_graph_find(finder->graph, proto->node[i]->output[k]);
            for (const struct oq_use *use = value != NULL ? value->uses : NULL; use != NULL;
                 use = use->next)
                if (reader_of(use) <= i)
                    return false;
        }
    }
    return true;
}

bool oq_wanted_find(struct oq_wanted_list *wanted, const onnxq_model *model, struct oq_arena *arena,
                    onnxq_error *error)
{
    struct wanted_finder finder = {
        .model = model,
        .graph = model->graphs.list[0],
        .wanted = wanted,
        .is_constant = oq_arena_array(arena, model->graphs.n_values + 1, sizeof(bool)),
        .arena = arena};
    *wanted = (struct oq_wanted_list){0};
    bool ok = finder.is_constant != NULL;
    if (ok) {
        note_initializers(&finder);
        ok = add_inputs(&finder);
    }
    for (size_t i = 0; ok && i < finder.graph->proto->n_node; i++)
        ok = add_outputs(&finder, finder.graph->proto->node[i]);
    wanted->is_sorted = ok && is_sorted(&finder);
    return ok || oq_arena_fail(arena, error);
}
