/*
 * From opset 7, 8 or 9 to 10. Slice has its limits in inputs there, and Upsample is called Resize;
 * others only take more types or have new attributes, but for those that are refused.
 */
#include "edit/raise.h"

static bool is_used(const Oq__Pb__NodeProto *node, size_t output)
{
    return node->n_output > output && node->output[output][0] != '\0';
}

static bool is_refused(const Oq__Pb__NodeProto *node)
{
    switch (oq_operator_id_of(node)) {
    case OQ_ONNX_BatchNormalization: /* spatial left in version 9 */
        return oq_node_int(node, "spatial", 1) != 1;
    case OQ_ONNX_Dropout: /* the mask is bool from version 10 on */
        return is_used(node, 1);
    case OQ_ONNX_Scan: /* other inputs from version 9 on */
    case OQ_ONNX_TopK: /* k is an input from version 10 on */
        return true;
    case OQ_ONNX_Upsample: /* version 7 has its factors in an attribute */
        return node->n_input < 2 && oq_node_attribute(node, "scales") == NULL;
    default:
        return false;
    }
}

const Oq__Pb__NodeProto *oq_raise_refuses(const onnxq_model *model)
{
    for (size_t g = 0; g < model->graphs.count; g++) {
        const Oq__Pb__GraphProto *graph = model->graphs.list[g]->proto;
        for (size_t i = 0; i < graph->n_node; i++)
            if (is_refused(graph->node[i]))
                return graph->node[i];
    }
    return NULL;
}

static bool set_inputs(struct oq_edit *edit, Oq__Pb__NodeProto *node, const char *const *names,
                       size_t n)
{
    char **inputs = oq_edit_allocate(edit, n, sizeof(*inputs));
    for (size_t i = 0; inputs != NULL && i < n; i++)
        inputs[i] = oq_edit_text(names[i]);
    if (inputs == NULL || edit->failed)
        return false;
    node->input = inputs;
    node->n_input = n;
    return true;
}

static bool raise_slice(struct oq_edit *edit, Oq__Pb__NodeProto *node)
{
    const Oq__Pb__AttributeProto *starts = oq_node_attribute(node, "starts");
    const Oq__Pb__AttributeProto *ends = oq_node_attribute(node, "ends");
    const Oq__Pb__AttributeProto *axes = oq_node_attribute(node, "axes");
    if (starts == NULL || ends == NULL || node->n_input != 1)
        return true; /* no Slice of any version */
    const char *const inputs[] = {
        node->input[0], oq_edit_int64s(edit, "starts", starts->ints, starts->n_ints),
        oq_edit_int64s(edit, "ends", ends->ints, ends->n_ints),
        axes == NULL ? NULL : oq_edit_int64s(edit, "axes", axes->ints, axes->n_ints)};
    node->n_attribute = 0; /* it has no others */
    return set_inputs(edit, node, inputs, axes == NULL ? 3 : 4);
}

static bool raise_upsample(struct oq_edit *edit, Oq__Pb__NodeProto *node)
{
    static char resize[] = "Resize";
    const Oq__Pb__AttributeProto *scales = oq_node_attribute(node, "scales");
    node->op_type = resize;
    if (node->n_input >= 2 || scales == NULL)
        return true;
    const int64_t n = (int64_t)scales->n_floats;
    const char *const inputs[] = {node->input[0],
                                  oq_edit_floats(edit, "scales", &n, 1, scales->floats)};
    oq_edit_copy_attributes(edit, node, node, "scales");
    return set_inputs(edit, node, inputs, 2);
}

static bool raise_node(struct oq_edit *edit, Oq__Pb__NodeProto *node)
{
    switch (oq_operator_id_of(node)) {
    case OQ_ONNX_Slice:
        return raise_slice(edit, node);
    case OQ_ONNX_Upsample:
        return raise_upsample(edit, node);
    default:
        return true;
    }
}

bool oq_raise(struct oq_edit *edit)
{
    Oq__Pb__ModelProto *model = edit->draft->proto;
    for (size_t g = 0; g < edit->graphs->count; g++) {
        const Oq__Pb__GraphProto *graph = edit->states[g].proto;
        oq_edit_enter(edit, g);
        for (size_t i = 0; i < graph->n_node; i++)
            if (!raise_node(edit, graph->node[i]))
                return false;
    }
    for (size_t i = 0; i < model->n_opset_import; i++)
        if (oq_domain(model->opset_import[i]->domain)[0] == '\0') {
            model->opset_import[i]->has_version = true;
            model->opset_import[i]->version = OQ_OPSET_RAISED;
        }
    return true;
}
