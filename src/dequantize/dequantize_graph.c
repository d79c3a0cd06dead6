/* Applies what was found to a copy of the model's structure. */
#include "dequantize/undo.h"

/* --- weights --- */

/* Endings that quantizers give the names of integers. */
static const char *const endings[] = {"_quantized", "_quant", "_Q2", "_Q4", "_Q8", "_bnb4"};

/* The name of a weight without such an ending; another ending where it has none. */
static const char *make_name(struct oq_edit *edit, const char *integers)
{
    const size_t n = strlen(integers);
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        const size_t k = strlen(endings[i]);
        if (n > k && strcmp(integers + n - k, endings[i]) == 0)
            return oq_edit_name(edit, oq_arena_printf(edit->arena, "%.*s", (int)(n - k), integers),
                                "");
    }
    return oq_edit_name(edit, integers, "_float");
}

/*
 * An initializer where the integers are, so that bodies see it as they saw
 * those. Where it is stored in another type than the model computes with, a
 * Cast gives it back.
 */
static bool write_weight(struct oq_edit *edit, struct oq_weight *weight)
{
    struct oq_edit_graph *graph = &edit->states[weight->graph->ordinal];
    const struct oq_recipe recipe = oq_weight_recipe(weight);
    weight->name =
        weight->wanted != NULL ? weight->wanted : make_name(edit, weight->integers->name);
    if (weight->data_type == weight->value_type)
        return oq_edit_tensor(edit, graph, weight->name, weight->data_type, weight->dims,
                              weight->n_dims, &recipe) != NULL;
    oq_edit_enter(edit, weight->graph->ordinal);
    const char *stored = oq_edit_tensor(edit, graph, oq_edit_name(edit, weight->name, "_float16"),
                                        weight->data_type, weight->dims, weight->n_dims, &recipe);
    oq_edit_cast(edit, weight->name, stored, weight->value_type, weight->name);
    return !edit->failed;
}

static bool write_weights(const onnxq_dequantization *undo, struct oq_edit *edit)
{
    for (size_t i = 0; i < undo->model->n_tensors; i++)
        for (struct oq_weight *weight = undo->tensors[i].weights; weight != NULL;
             weight = weight->next)
            if (weight->used && !write_weight(edit, weight))
                return false;
    return true;
}

const char *oq_undo_weight_name(struct oq_edit *edit, const struct oq_match *match, size_t number)
{
    const char *name = match->weights[number]->name;
    return match->turn && number == 0 ? oq_edit_transpose(edit, name) : name;
}

/* --- nodes --- */

/* What was done to its integers is done to the activation itself. */
static const char *turn_activation(struct oq_edit *edit, const struct oq_match *match)
{
    const char *turned = oq_edit_name(edit, match->activation, "_transposed");
    const char *inputs[] = {match->activation, NULL};
    const char *outputs[] = {turned, NULL};
    oq_edit_copy_attributes(edit,
                            oq_edit_node(edit, "", "Transpose", match->activation, inputs, outputs),
                            match->turned, NULL);
    return turned;
}

/* The activation itself, or the rows of a table that it is the indices of. */
static const char *find_activation(struct oq_edit *edit, const struct oq_match *match)
{
    if (match->turned != NULL)
        return turn_activation(edit, match);
    if (match->n_weights < 2)
        return match->activation;
    const char *table = match->weights[1]->name;
    const char *rows = oq_edit_name(edit, table, "_rows");
    const char *inputs[] = {table, match->activation, NULL};
    const char *outputs[] = {rows, NULL};
    Oq__Pb__NodeProto *node = oq_edit_node(edit, "", "Gather", table, inputs, outputs);
    oq_edit_add_int(edit, node, "axis", match->axis);
    return rows;
}

bool oq_undo_emit_product(onnxq_dequantization *undo, struct oq_edit *edit,
                          const struct oq_match *match)
{
    const char *label = oq_node_label(match->subject.node), *output = match->place.node->output[0];
    const char *product = match->bias[0] == '\0' ? output : oq_edit_name(edit, output, "_product");
    const char *factor =
        match->factor != NULL ? match->factor : oq_undo_weight_name(edit, match, 0);
    const char *inputs[] = {find_activation(edit, match), factor, NULL};
    const char *outputs[] = {product, NULL};
    (void)undo;
    oq_edit_node(edit, "", "MatMul", label, inputs, outputs);
    if (match->bias[0] != '\0') {
        const char *add_inputs[] = {product, match->bias, NULL};
        const char *add_outputs[] = {output, NULL};
        oq_edit_node(edit, "", "Add", label, add_inputs, add_outputs);
    }
    return !edit->failed;
}

static bool write_nodes(onnxq_dequantization *undo, struct oq_edit *edit, size_t ordinal)
{
    const Oq__Pb__GraphProto *graph = edit->states[ordinal].proto;
    oq_edit_enter(edit, ordinal);
    for (size_t i = 0; i < graph->n_node; i++) {
        const struct oq_match *match = undo->matches[ordinal][i];
        bool ok = match == NULL ? oq_edit_keep(edit, graph->node[i])
                                : match->form->emit(undo, edit, match);
        if (!ok)
            return false;
    }
    return true;
}

/* --- values that others take the place of --- */

bool oq_undo_alias(onnxq_dequantization *undo, struct oq_edit *edit, const struct oq_match *match,
                   const char *name)
{
    const char *output = match->place.node->output[0];
    const size_t ordinal = match->place.graph->ordinal;
    void **place = oq_strmap_place(&undo->aliases[ordinal], output);
    if (place == NULL)
        return oq_arena_fail(&undo->arena, undo->error);
    *place = oq_edit_text(name);
    return oq_edit_drop(edit, ordinal, output, false);
}

/* What takes the place of `name` as graph sees it, or NULL; *where is the graph that defines it. */
static char *find_alias(const onnxq_dequantization *undo, const struct oq_graph *graph,
                        const char *name, const struct oq_graph **where)
{
    const struct oq_value *value = oq_graph_find(graph, name);
    if (value == NULL)
        return NULL;
    *where = value->graph;
    return oq_strmap_find(&undo->aliases[value->graph->ordinal], name);
}

static void shorten(const onnxq_dequantization *undo, const struct oq_graph *graph,
                    const char *name, char *target)
{
    void **place = oq_strmap_place(&undo->aliases[graph->ordinal], name);
    if (place != NULL)
        *place = target;
}

/*
 * A value may pass on to one that itself passes on, no further than there are
 * nodes. Each walk halves the way of the next one: a long chain takes no longer
 * than its nodes, and a ring, which no valid model has, ends as a name that
 * passes on to itself.
 */
static char *resolve(const onnxq_dequantization *undo, const struct oq_graph *graph, char *name)
{
    const struct oq_graph *where = NULL, *next_where = NULL;
    for (size_t steps = 0; steps <= undo->n_matches; steps++) {
        char *next = find_alias(undo, graph, name, &where);
        if (next == NULL || strcmp(next, name) == 0)
            return name;
        char *after = find_alias(undo, graph, next, &next_where);
        if (after == NULL)
            return next;
        if (where == next_where)
            shorten(undo, where, name, after);
        name = after;
    }
    return name;
}

static void resolve_aliases(const onnxq_dequantization *undo, const struct oq_edit *edit)
{
    for (size_t g = 0; g < edit->graphs->count; g++) {
        const struct oq_edit_graph *state = &edit->states[g];
        for (size_t i = 0; i < state->n_nodes; i++)
            for (size_t k = 0; k < state->nodes[i]->n_input; k++)
                state->nodes[i]->input[k] =
                    resolve(undo, edit->graphs->list[g], state->nodes[i]->input[k]);
    }
}

/* --- the model --- */

static bool uses_contrib(const Oq__Pb__NodeProto *const *nodes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(oq_domain(nodes[i]->domain), "com.microsoft") == 0)
            return true;
    return false;
}

/* Other engines may refuse a model that imports what they do not know: not without need. */
static void drop_import(const struct oq_edit *edit)
{
    Oq__Pb__ModelProto *model = edit->draft->proto;
    size_t n = 0;
    for (size_t g = 0; g < edit->graphs->count; g++)
        if (uses_contrib((const Oq__Pb__NodeProto *const *)edit->states[g].nodes,
                         edit->states[g].n_nodes))
            return;
    if (model->n_functions > 0)
        return;
    for (size_t i = 0; i < model->n_opset_import; i++)
        if (strcmp(oq_domain(model->opset_import[i]->domain), "com.microsoft") != 0)
            model->opset_import[n++] = model->opset_import[i];
    model->n_opset_import = n;
}

/* What the model was quantized with is no longer true of it. */
static bool add_provenance(const onnxq_dequantization *undo, struct oq_edit *edit)
{
    static char version_key[] = "onnxq.version", settings_key[] = "onnxq.settings";
    static char version[] = ONNXQ_VERSION_STRING;
    static char settings[2][40] = {"dequantize float_type=float32",
                                   "dequantize float_type=float16"};
    return oq_edit_set_metadata(edit, version_key, version) &&
           oq_edit_set_metadata(edit, settings_key,
                                settings[undo->options.float_type == ONNXQ_FLOAT16]);
}

/*
 * A stretch of a transposed weight takes a little of each of its rows: the longer the
 * stretches, the fewer reads. Measured, 4 MB write a 4-bit weight twice as fast as 1 MB.
 */
#define TRANSPOSED_JOB_NBYTES ((size_t)4 << 20)

static void mark_weight(onnxq_dequantization *undo, struct oq_weight *weight)
{
    weight->used = true;
    if (weight->transposed)
        undo->draft.job_nbytes = TRANSPOSED_JOB_NBYTES;
}

static void mark_used(onnxq_dequantization *undo)
{
    const struct oq_graphs *graphs = &undo->model->graphs;
    for (size_t g = 0; g < graphs->count; g++)
        for (size_t i = 0; i < graphs->list[g]->proto->n_node; i++) {
            const struct oq_match *match = undo->matches[g][i];
            for (size_t k = 0; match != NULL && k < match->n_weights; k++)
                mark_weight(undo, match->weights[k]);
        }
}

static bool rewrite(onnxq_dequantization *undo, struct oq_edit *edit)
{
    mark_used(undo);
    if (!write_weights(undo, edit) || !oq_undo_narrow_floats(undo, edit))
        return false;
    for (size_t g = 0; g < edit->graphs->count; g++)
        if (!write_nodes(undo, edit, g))
            return false;
    resolve_aliases(undo, edit);
    if (edit->failed || !oq_edit_sweep(edit))
        return false;
    undo->summary.n_unused = edit->n_unused;
    undo->summary.nbytes_unused = edit->nbytes_unused;
    drop_import(edit);
    bool ok = add_provenance(undo, edit) && oq_undo_describe(undo, edit) && oq_edit_finish(edit);
    undo->summary.n_annotations_removed = edit->n_annotations;
    undo->summary.inputs_removed = edit->inputs;
    undo->summary.n_inputs_removed = edit->n_inputs;
    return ok;
}

bool oq_undo_rewrite(onnxq_dequantization *undo)
{
    struct oq_edit edit;
    undo->draft = (struct oq_draft){.model = undo->model, .arena = &undo->arena};
    if (undo->n_matches == 0 && undo->n_narrowed == 0)
        return oq_undo_describe(undo, NULL);
    bool ok = oq_draft_init(&undo->draft, undo->model, &undo->arena, undo->error) &&
              oq_edit_init(&edit, &undo->draft, undo->freeze_inputs, undo->error) &&
              rewrite(undo, &edit);
    return (ok && !edit.failed && undo->error->status == ONNXQ_OK) ||
           oq_arena_fail(&undo->arena, undo->error);
}
