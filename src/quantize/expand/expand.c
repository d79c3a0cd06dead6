/* Which models are derived, and the operators that stand for others. */
#include "quantize/expand/expand.h"

/* --- operators --- */

bool oq_expand_takes(const struct oq_operator *op, size_t input)
{
    switch (oq_operator_id(op)) {
    case OQ_ONNX_Einsum:
    case OQ_MS_FusedGemm:
    case OQ_MS_FusedMatMul:
    case OQ_MS_TransposeMatMul:
        return input < 2;
    default:
        return false;
    }
}

static bool is_expandable(const Oq__Pb__NodeProto *node)
{
    return node->n_input >= 2 && node->n_output == 1 && oq_expand_takes(oq_operator_of(node), 1);
}

static bool has_expandable(const onnxq_model *model)
{
    for (size_t g = 0; g < model->graphs.count; g++)
        for (size_t i = 0; i < model->graphs.list[g]->proto->n_node; i++)
            if (is_expandable(model->graphs.list[g]->proto->node[i]))
                return true;
    return false;
}

static bool expand_node(struct oq_expander *expander, const Oq__Pb__NodeProto *node)
{
    return is_expandable(node) &&
           (oq_expand_einsum(expander, node) || oq_expand_fused_matmul(expander, node) ||
            oq_expand_fused_gemm(expander, node));
}

/* All that stands for a node is known as that node, or as what that comes from. */
static void note_origins(struct oq_expander *expander, const Oq__Pb__NodeProto *node, size_t first)
{
    const struct oq_edit_graph *state = expander->edit.current;
    const struct oq_node_origin *earlier = oq_model_origin(expander->base, node);
    struct oq_node_origin origin = {
        .label = oq_node_label(node), .op_type = node->op_type, .domain = oq_domain(node->domain)};
    if (earlier != NULL)
        origin = *earlier;
    for (size_t i = first; i < state->n_nodes; i++) {
        origin.node = state->nodes[i];
        expander->edit.failed |= !oq_note_origin(expander->notes, expander->edit.arena, &origin);
    }
}

static void expand_graph(struct oq_expander *expander, size_t g)
{
    struct oq_edit *edit = &expander->edit;
    const struct oq_edit_graph *state = &edit->states[g];
    expander->graph = expander->base->graphs.list[g];
    oq_edit_enter(edit, g);
    for (size_t i = 0; i < state->proto->n_node && !edit->failed; i++) {
        const size_t first = state->n_nodes;
        if (expand_node(expander, expander->graph->proto->node[i]))
            note_origins(expander, expander->graph->proto->node[i], first);
        else
            oq_edit_keep(edit, state->proto->node[i]);
    }
}

static bool expand_products(const onnxq_model *base, const void *context, Oq__Pb__ModelProto *proto,
                            struct oq_arena *arena, struct oq_notes *notes, onnxq_error *error)
{
    struct oq_draft draft = {.model = base, .arena = arena, .proto = proto};
    struct oq_expander expander = {.base = base, .options = context, .notes = notes};
    const int64_t ir_version = proto->ir_version;
    if (!oq_edit_init(&expander.edit, &draft, false, error))
        return false;
    for (size_t g = 0; g < base->graphs.count; g++)
        expand_graph(&expander, g);
    if (expander.edit.failed)
        return error->status == ONNXQ_OK ? oq_arena_fail(arena, error) : false;
    if (!oq_edit_finish(&expander.edit))
        return false;
    proto->ir_version = ir_version; /* what initializers mean stays as it is */
    return true;
}

/* --- models --- */

static bool add(const onnxq_model **model, onnxq_model *expanded[OQ_MAX_EXPANSIONS], size_t *n,
                oq_model_change_fn change, const void *context, onnxq_error *error)
{
    expanded[*n] = oq_model_derive(*model, change, context, error);
    if (expanded[*n] == NULL)
        return false;
    *model = expanded[(*n)++];
    return true;
}

bool oq_expand(const onnxq_model *model, const struct oq_expand_options *options,
               struct oq_arena *arena, onnxq_model *expanded[OQ_MAX_EXPANSIONS], size_t *n,
               onnxq_error *error)
{
    const struct oq_computed *computed;
    bool has_calls = false;
    *n = 0;
    if (!oq_expand_finds_calls(model, options, &has_calls, error) ||
        (has_calls && !add(&model, expanded, n, oq_expand_calls, options, error)) ||
        !oq_expand_find_computed(model, options, arena, &computed, error) ||
        (computed != NULL && !add(&model, expanded, n, oq_expand_place_computed, computed, error)))
        return false;
    return !options->products || !has_expandable(model) ||
           add(&model, expanded, n, expand_products, options, error);
}
