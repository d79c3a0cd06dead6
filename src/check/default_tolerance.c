/*
 * Finds the coarsest steps that a model computes with: what it says of itself where onnxq has made
 * it, else what its operators take. The tolerances are those of the table in docs/decisions.md
 * (tools/tolerances.py): right models of a kind are below, and as far below as there was reason to.
 */
#include "check/default_tolerance.h"

#include <string.h>

enum coarseness { FLOATS, EIGHT_BITS, ONE_SCALE, FIXED_RANGES, FOUR_BITS, UNDONE, N_KINDS };

static const struct oq_default_tolerance defaults[N_KINDS] = {
    [FLOATS] = {0.3, "floats"},
    [EIGHT_BITS] = {0.3, "8 bits"},
    [ONE_SCALE] = {0.5, "one scale per weight"},
    [FIXED_RANGES] = {0.5, "activations in fixed ranges"},
    [FOUR_BITS] = {0.5, "4 bits"},
    [UNDONE] = {0.5, "what was quantized once"}, /* nobody knows to how many bits */
};

static enum coarseness coarser(enum coarseness a, enum coarseness b)
{
    return a > b ? a : b;
}

/* --- what onnxq has noted ------------------------------------------------------ */

static enum coarseness of_settings(const char *settings)
{
    if (strstr(settings, " bits=4 ") != NULL || strstr(settings, " bits=nf4 ") != NULL)
        return FOUR_BITS;
    if (strncmp(settings, "method=static ", strlen("method=static ")) == 0)
        return FIXED_RANGES;
    if (strncmp(settings, "dequantize ", strlen("dequantize ")) == 0)
        return UNDONE;
    return strstr(settings, " per_channel=0 ") != NULL ? ONE_SCALE : EIGHT_BITS;
}

/* --- what its operators take --------------------------------------------------- */

/* Input number `rank` of those with that role, or NULL. */
static const char *find_input(const Oq__Pb__NodeProto *node, enum oq_role role, size_t rank)
{
    const struct oq_operator *op = oq_operator_of(node);
    size_t n = 0;
    for (size_t i = 0; i < node->n_input; i++)
        if (oq_operator_role(op, i) == role && n++ == rank)
            return node->input[i];
    return NULL;
}

static const struct oq_tensor *find_tensor(const onnxq_model *model, const struct oq_graph *graph,
                                           const char *name)
{
    const struct oq_value *value = name == NULL ? NULL : oq_graph_find(graph, name);
    const Oq__Pb__TensorProto *proto = value == NULL ? NULL : oq_value_tensor(value);
    return proto == NULL ? NULL : oq_model_tensor(model, proto);
}

static bool has_narrow_blocks(const Oq__Pb__NodeProto *node)
{
    static const enum oq_operator_id in_blocks[] = {OQ_MS_GatherBlockQuantized, OQ_MS_MatMulNBits};
    enum oq_operator_id id = oq_operator_id_of(node);
    for (size_t i = 0; i < sizeof(in_blocks) / sizeof(in_blocks[0]); i++)
        if (id == in_blocks[i])
            return oq_node_int(node, "bits", 4) < 8;
    return id == OQ_MS_MatMulBnb4;
}

/* Scales where the operator has them, else zero points: those are as many, or left out. */
static bool has_one_scale(const onnxq_model *model, const struct oq_graph *graph,
                          const Oq__Pb__NodeProto *node, size_t rank)
{
    const char *name = find_input(node, OQ_SCALE, rank);
    if (name == NULL)
        name = find_input(node, OQ_ZERO_POINT, rank);
    const struct oq_tensor *tensor = find_tensor(model, graph, name);
    return tensor != NULL && tensor->nelem == 1;
}

static enum coarseness of_weights(const onnxq_model *model, const struct oq_graph *graph,
                                  const Oq__Pb__NodeProto *node, bool is_noted)
{
    enum coarseness found = EIGHT_BITS;
    const char *name;
    for (size_t i = 0; (name = find_input(node, OQ_INTEGERS, i)) != NULL; i++) {
        const struct oq_tensor *weight = find_tensor(model, graph, name);
        if (weight == NULL || weight->dtype == NULL || weight->n_dims < 2)
            continue;
        if (weight->dtype->nbits < 8)
            return FOUR_BITS;
        if (!is_noted && has_one_scale(model, graph, node, i))
            found = ONE_SCALE;
    }
    return found;
}

static enum coarseness of_node(const onnxq_model *model, const struct oq_graph *graph,
                               const Oq__Pb__NodeProto *node, bool is_noted)
{
    enum oq_operator_id id = oq_operator_id_of(node);
    if (has_narrow_blocks(node))
        return FOUR_BITS;
    if (id == OQ_ONNX_QuantizeLinear || id == OQ_MS_QuantizeLinear)
        return FIXED_RANGES;
    return oq_operator_has(oq_operator_of(node), OQ_QUANTIZED)
               ? of_weights(model, graph, node, is_noted)
               : FLOATS;
}

struct oq_default_tolerance oq_default_tolerance_of(const onnxq_model *candidate)
{
    const char *settings = oq_model_settings(candidate);
    enum coarseness found = settings == NULL ? FLOATS : of_settings(settings);
    for (size_t g = 0; g < candidate->graphs.count; g++) {
        const struct oq_graph *graph = candidate->graphs.list[g];
        for (size_t i = 0; i < graph->proto->n_node; i++)
            found =
                coarser(found, of_node(candidate, graph, graph->proto->node[i], settings != NULL));
    }
    return defaults[found];
}
