/* What has become of every quantized node, for the caller. */
#include "dequantize/undo.h"

bool oq_undo_add_entry(onnxq_dequantization *undo, const onnxq_dequantized *entry)
{
    if (!oq_arena_grow(&undo->arena, &undo->entries, undo->n_entries, &undo->entries_capacity,
                       sizeof(*undo->entries)))
        return oq_arena_fail(&undo->arena, undo->error);
    undo->entries[undo->n_entries++] = *entry;
    return true;
}

static onnxq_dequantized describe_node(const struct oq_graph *graph, const Oq__Pb__NodeProto *node)
{
    return (onnxq_dequantized){.struct_size = sizeof(onnxq_dequantized),
                               .graph = graph == NULL ? "" : graph->name,
                               .node = oq_node_label(node),
                               .op_type = node->op_type == NULL ? "" : node->op_type,
                               .domain = oq_domain(node->domain),
                               .form = "",
                               .reason = "",
                               .weight = "",
                               .dtype = ""};
}

static uint64_t count_tensor(onnxq_dequantization *undo, const struct oq_tensor *tensor)
{
    if (tensor == NULL || undo->tensors[tensor->ordinal].is_counted)
        return 0;
    undo->tensors[tensor->ordinal].is_counted = true;
    return tensor->nbytes;
}

static bool add_match(onnxq_dequantization *undo, const struct oq_match *match)
{
    onnxq_dequantized entry = describe_node(match->subject.graph, match->subject.node);
    entry.form = match->form->name;
    for (size_t i = 0; i < match->n_weights; i++) {
        struct oq_weight *weight = match->weights[i];
        if (i == 0) {
            entry.weight = weight->integers->name;
            entry.dtype = oq_dtype_find(weight->data_type)->name;
            entry.dims = weight->dims;
            entry.n_dims = weight->n_dims;
        }
        entry.nbytes += count_tensor(undo, weight->values) +
                        count_tensor(undo, weight->scale.tensor) +
                        count_tensor(undo, weight->factor.tensor) +
                        count_tensor(undo, weight->zero_point.tensor);
        entry.nbytes_after += weight->counted ? 0 : oq_weight_recipe(weight).nbytes;
        weight->counted = true;
    }
    undo->summary.n_dequantized++;
    return oq_undo_add_entry(undo, &entry);
}

static bool add_left(onnxq_dequantization *undo, const struct oq_graph *graph,
                     const Oq__Pb__NodeProto *node, const char *reason)
{
    onnxq_dequantized entry = describe_node(graph, node);
    entry.reason = reason;
    undo->summary.n_left++;
    return oq_undo_add_entry(undo, &entry);
}

/* What others needed as well, or what no form has recognized. */
static bool is_still_there(const struct oq_edit *edit, const struct oq_graph *graph,
                           const Oq__Pb__NodeProto *node)
{
    return edit == NULL || node->n_output == 0 ||
           !oq_edit_is_dropped(edit, graph->ordinal, node->output[0]);
}

static bool describe_graph(onnxq_dequantization *undo, const struct oq_edit *edit,
                           const struct oq_graph *graph)
{
    const size_t g = graph->ordinal;
    for (size_t i = 0; i < graph->proto->n_node; i++) {
        const Oq__Pb__NodeProto *node = graph->proto->node[i];
        const struct oq_match *match = undo->matches[g][i];
        if (match != NULL && !add_match(undo, match))
            return false;
        const char *reason = undo->reasons[g][i];
        if (reason == NULL)
            reason = oq_quantized_reason(node);
        if (match == NULL && reason != NULL && is_still_there(edit, graph, node) &&
            !add_left(undo, graph, node, reason))
            return false;
    }
    return true;
}

static bool describe_functions(onnxq_dequantization *undo)
{
    const Oq__Pb__ModelProto *model = undo->model->proto;
    for (size_t f = 0; f < model->n_functions; f++)
        for (size_t i = 0; i < model->functions[f]->n_node; i++) {
            const Oq__Pb__NodeProto *node = model->functions[f]->node[i];
            if (oq_quantized_reason(node) != NULL &&
                !add_left(undo, NULL, node, "it is in a local function"))
                return false;
        }
    return true;
}

static bool sum_up_forms(onnxq_dequantization *undo)
{
    size_t n = 0;
    while (oq_forms[n] != NULL)
        n++;
    undo->forms = oq_arena_array(&undo->arena, n, sizeof(*undo->forms));
    if (undo->forms == NULL)
        return oq_arena_fail(&undo->arena, undo->error);
    for (size_t i = 0; i < undo->n_entries; i++) {
        const onnxq_dequantized *entry = &undo->entries[i];
        size_t f = 0;
        if (entry->form[0] == '\0')
            continue;
        while (f < undo->n_forms && strcmp(undo->forms[f].form, entry->form) != 0)
            f++;
        undo->n_forms += f == undo->n_forms;
        undo->forms[f].struct_size = sizeof(undo->forms[f]);
        undo->forms[f].form = entry->form;
        undo->forms[f].is_folded = strcmp(entry->form, OQ_FOLDED) == 0;
        undo->forms[f].count++;
        undo->forms[f].nbytes += entry->nbytes;
        undo->forms[f].nbytes_after += entry->nbytes_after;
    }
    return true;
}

bool oq_undo_describe(onnxq_dequantization *undo, const struct oq_edit *edit)
{
    for (size_t g = 0; g < undo->model->graphs.count; g++)
        if (!describe_graph(undo, edit, undo->model->graphs.list[g]))
            return false;
    return describe_functions(undo) && sum_up_forms(undo);
}
