/* Which models are derived, and the operators that stand for others. */
#include "quantize/expand/expand.h"

#include "wire/data_type.h"

/* --- for expanders --- */

bool oq_expand_find_weight(struct oq_expander *expander, const Oq__Pb__NodeProto *node, size_t k,
                           struct oq_source *weight)
{
    bool found;
    if (k >= node->n_input || oq_graph_find(expander->graph, node->input[k]) == NULL)
        return false;
    if (!oq_source_find(weight, expander->base, expander->graph, node->input[k],
                        expander->options->freeze_inputs, expander->edit.arena, &found,
                        expander->edit.error)) {
        expander->edit.failed = true;
        return false;
    }
    if (!found || weight->dtype == NULL || !weight->dtype->is_float || weight->n_dims < 2 ||
        weight->n_dims > OQ_MAX_RANK || weight->nelem < expander->options->min_product)
        return false;
    if (weight->transposed) {
        int64_t *dims = oq_edit_allocate(&expander->edit, 2, sizeof(*dims));
        if (dims == NULL)
            return false;
        dims[0] = weight->dims[1];
        dims[1] = weight->dims[0];
        weight->dims = dims;
    }
    return true;
}

const char *oq_expand_constant(struct oq_expander *expander, const char *base, const int64_t *ints,
                               size_t n_ints, const float *number)
{
    struct oq_edit *edit = &expander->edit;
    struct oq_edit_graph *graph = edit->current;
    Oq__Pb__TensorProto *tensor = oq_edit_allocate(edit, 1, sizeof(*tensor));
    int64_t *dims = oq_edit_allocate(edit, 1, sizeof(*dims));
    void *values = number != NULL ? oq_edit_allocate(edit, 1, sizeof(*number))
                                  : oq_edit_allocate(edit, n_ints, sizeof(*ints));
    const char *name = oq_edit_name(edit, base, "");
    if (edit->failed || !oq_arena_grow(edit->arena, &graph->tensors, graph->n_tensors,
                                       &graph->tensors_capacity, sizeof(Oq__Pb__TensorProto *))) {
        edit->failed = true;
        return NULL;
    }
    oq__pb__tensor_proto__init(tensor);
    tensor->name = oq_edit_text(name);
    tensor->has_data_type = true;
    if (number != NULL) {
        tensor->data_type = OQ_TYPE(FLOAT);
        tensor->float_data = memcpy(values, number, sizeof(*number));
        tensor->n_float_data = 1;
    } else {
        dims[0] = (int64_t)n_ints;
        tensor->data_type = OQ_TYPE(INT64);
        tensor->dims = dims;
        tensor->n_dims = 1;
        tensor->int64_data = memcpy(values, ints, n_ints * sizeof(*ints));
        tensor->n_int64_data = n_ints;
    }
    graph->tensors[graph->n_tensors++] = tensor;
    edit->failed |= !oq_note_added(expander->notes, edit->arena, tensor);
    return name;
}

void oq_expand_replace(const Oq__Pb__NodeProto *node, Oq__Pb__NodeProto *by)
{
    if (by != NULL)
        by->name = node->name;
}

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
                oq_model_change_fn change, const struct oq_expand_options *options,
                onnxq_error *error)
{
    expanded[*n] = oq_model_derive(*model, change, options, error);
    if (expanded[*n] == NULL)
        return false;
    *model = expanded[(*n)++];
    return true;
}

bool oq_expand(const onnxq_model *model, const struct oq_expand_options *options,
               onnxq_model *expanded[OQ_MAX_EXPANSIONS], size_t *n, onnxq_error *error)
{
    bool has_calls = false;
    *n = 0;
    if (!oq_expand_finds_calls(model, options, &has_calls, error) ||
        (has_calls && !add(&model, expanded, n, oq_expand_calls, options, error)))
        return false;
    return !options->products || !has_expandable(model) ||
           add(&model, expanded, n, expand_products, options, error);
}
