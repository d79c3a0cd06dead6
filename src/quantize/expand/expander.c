/* What those that write operators out share. */
#include "quantize/expand/expander.h"

#include "wire/data_type.h"

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
