/*
 * Activations whose channels are made alike in front of a product, as smooth.c has decided: by the
 * normalization itself where nothing else reads what it gives, else by a Mul.
 */
#include "quantize/write/rewrite.h"

/* Of what is made once for all products that want it. */
static const void *owner_of(const struct oq_smoothing *smoothing)
{
    return smoothing->channels != NULL ? (const void *)smoothing->channels : smoothing;
}

/* x divided by the factors, or 1 where x is NULL: once in each graph. What is no integer is 0. */
static const char *divide(struct oq_rewrite *rewrite, const struct oq_smoothing *smoothing,
                          struct oq_constant *owner, const float *x, const char *kind)
{
    const int64_t n = (int64_t)smoothing->n, graph = (int64_t)rewrite->edit->current->ordinal;
    void **made = oq_rewrite_companion(rewrite, owner_of(smoothing), kind, &graph, 1, 1);
    if (made == NULL || *made != NULL)
        return made == NULL ? NULL : *made;
    float *values = oq_edit_allocate(rewrite->edit, smoothing->n, sizeof(*values));
    const char *name = oq_arena_printf(rewrite->edit->arena, "%s_smooth", owner->name);
    for (size_t i = 0; values != NULL && i < smoothing->n && !rewrite->plan->is_estimate; i++)
        values[i] = smoothing->factor[i] == 0 ? 0 : (x == NULL ? 1 : x[i]) / smoothing->factor[i];
    if (values == NULL || name == NULL)
        return NULL;
    owner->nbytes_after += smoothing->n * sizeof(*values);
    *made = oq_edit_text(oq_edit_floats(rewrite->edit, name, &n, 1, values));
    return *made;
}

/* Where that of a value of the current graph is kept. */
static void **place_of(struct oq_rewrite *rewrite, const struct oq_smoothing *smoothing,
                       const char *kind, const char *name)
{
    const int64_t graph = (int64_t)rewrite->edit->current->ordinal;
    const char *key = oq_arena_printf(rewrite->edit->arena, "%s %s", kind, name);
    return key == NULL ? NULL
                       : oq_rewrite_companion(rewrite, owner_of(smoothing), key, &graph, 1, 1);
}

const char *oq_rewrite_smooth(struct oq_rewrite *rewrite, const struct oq_site *site,
                              const char *name)
{
    const struct oq_quantized *q = site->quantized;
    if (q->smoothing == NULL)
        return name;
    if (site->norm != NULL)
        return site->norm->output;
    void **made = place_of(rewrite, q->smoothing, "smooth", name);
    if (made == NULL || *made != NULL)
        return made == NULL ? NULL : *made;
    const char *factor = divide(rewrite, q->smoothing, q->ranges->constant, NULL, "smoothing");
    const char *smooth = oq_edit_name(rewrite->edit, name, "_smooth");
    const char *inputs[] = {name, factor, NULL};
    const char *outputs[] = {smooth, NULL};
    oq_edit_node(rewrite->edit, "", "Mul", oq_node_label(site->node), inputs, outputs);
    *made = oq_edit_text(smooth);
    return smooth;
}

/* --- columns beside the integers --- */

static bool set_input(Oq__Pb__NodeProto *node, size_t input, const char *name)
{
    node->input[input] = oq_edit_text(name);
    return name != NULL;
}

/* Those channels of the value, once for all products that leave the same ones out. */
static const char *gather_columns(struct oq_rewrite *rewrite, const struct oq_site *site,
                                  const char *name)
{
    struct oq_edit *edit = rewrite->edit;
    const struct oq_channel_choice *channels = site->quantized->smoothing->channels;
    void **made = place_of(rewrite, site->quantized->smoothing, "columns", name);
    if (made == NULL || *made != NULL)
        return made == NULL ? NULL : *made;
    int64_t *numbers = oq_edit_allocate(edit, channels->n_columns, sizeof(*numbers));
    for (size_t i = 0; numbers != NULL && i < channels->n_columns; i++)
        numbers[i] = channels->columns[i];
    if (numbers == NULL)
        return NULL;
    const char *columns = oq_edit_name(edit, name, "_columns");
    const char *inputs[] = {name, oq_edit_int64s(edit, "columns", numbers, channels->n_columns),
                            NULL};
    const char *outputs[] = {columns, NULL};
    Oq__Pb__NodeProto *node =
        oq_edit_node(edit, "", "Gather", oq_node_label(site->node), inputs, outputs);
    oq_edit_add_int(edit, node, "axis", -1);
    *made = oq_edit_text(columns);
    return columns;
}

/* The rows of the weight that they are multiplied by, once in each graph. */
static const char *add_rows(struct oq_rewrite *rewrite, const struct oq_quantized *q)
{
    struct oq_constant *owner = q->ranges->constant;
    const int64_t graph = (int64_t)rewrite->edit->current->ordinal;
    const int64_t dims[] = {(int64_t)q->smoothing->channels->n_columns, owner->source.dims[1]};
    void **made = oq_rewrite_companion(rewrite, q->smoothing, "rows", &graph, 1, 1);
    if (made == NULL || *made != NULL)
        return made == NULL ? NULL : *made;
    const char *name = oq_arena_printf(rewrite->edit->arena, "%s_columns", owner->name);
    if (name == NULL)
        return NULL;
    owner->nbytes_after += (uint64_t)dims[0] * (uint64_t)dims[1] * sizeof(float);
    *made = oq_edit_text(oq_edit_floats(rewrite->edit, name, dims, 2, q->smoothing->rows));
    return *made;
}

/*
 * The Add of a bias that alone reads the product, or NULL. ONNX Runtime puts the bias into the
 * integer product, and an operator behind it stays alone, only where the columns come after it.
 */
static Oq__Pb__NodeProto *find_bias(const struct oq_rewrite *rewrite, const struct oq_site *site,
                                    size_t *bias)
{
    const struct oq_value *product = oq_graph_find(site->graph, site->node->output[0]);
    const struct oq_use *use = product == NULL ? NULL : product->uses;
    if (use == NULL || product->n_uses != 1 || product->is_graph_output || product->is_named ||
        use->graph != site->graph)
        return NULL;
    Oq__Pb__NodeProto *add = rewrite->edit->current->proto->node[use->node];
    if (!oq_node_is(add, "", "Add") || add->n_input != 2)
        return NULL;
    *bias = 1 - use->input;
    const struct oq_value *other = oq_graph_find(site->graph, add->input[*bias]);
    return other != NULL && other->origin == OQ_ORIGIN_INITIALIZER ? add : NULL;
}

/* integers + bias, under a name of its own; that of the product leaves. */
static const char *add_bias(struct oq_rewrite *rewrite, const struct oq_site *site,
                            const char *integers, const char *bias)
{
    struct oq_edit *edit = rewrite->edit;
    const char *product = site->node->output[0];
    const char *biased = oq_edit_name(edit, product, "_biased");
    const char *terms[] = {integers, bias, NULL};
    const char *sum[] = {biased, NULL};
    oq_edit_node(edit, "", "Add", oq_node_label(site->node), terms, sum);
    return oq_edit_drop(edit, edit->current->ordinal, product, false) ? biased : NULL;
}

const char *oq_rewrite_beside_columns(struct oq_rewrite *rewrite, const struct oq_site *site,
                                      const char *output)
{
    const struct oq_smoothing *smoothing = site->quantized->smoothing;
    bool has_columns = smoothing != NULL && smoothing->rows != NULL;
    return has_columns ? oq_edit_name(rewrite->edit, output, "_integers") : output;
}

bool oq_rewrite_columns(struct oq_rewrite *rewrite, const struct oq_site *site, const char *name,
                        const char *beside, const char *output)
{
    struct oq_edit *edit = rewrite->edit;
    const char *label = oq_node_label(site->node);
    size_t bias;
    if (beside == output)
        return true;
    const char *product = oq_edit_name(edit, output, "_columns");
    const char *inputs[] = {gather_columns(rewrite, site, name), add_rows(rewrite, site->quantized),
                            NULL};
    const char *outputs[] = {product, NULL};
    oq_edit_node(edit, "", "MatMul", label, inputs, outputs);
    Oq__Pb__NodeProto *add = find_bias(rewrite, site, &bias);
    if (add != NULL)
        return set_input(add, 1 - bias, add_bias(rewrite, site, beside, add->input[bias])) &&
               set_input(add, bias, product) && !edit->failed;
    const char *terms[] = {beside, product, NULL};
    const char *sum[] = {output, NULL};
    oq_edit_node(edit, "", "Add", label, terms, sum);
    return !edit->failed;
}

/* --- by the normalization --- */

/* What the node gives is another value from here on: it has a name of its own. */
static const char *rename_output(struct oq_rewrite *rewrite, Oq__Pb__NodeProto *node)
{
    const char *name = node->output[0];
    if (!oq_edit_drop(rewrite->edit, rewrite->edit->current->ordinal, name, false))
        return NULL;
    const char *renamed = oq_edit_name(rewrite->edit, name, "_smooth");
    node->output[0] = oq_edit_text(renamed);
    return renamed;
}

static bool smooth_norm(struct oq_rewrite *rewrite, const struct oq_smoothing *smoothing,
                        struct oq_norm *norm)
{
    Oq__Pb__GraphProto *graph = rewrite->edit->current->proto;
    Oq__Pb__NodeProto *scales = graph->node[norm->gamma_node], *adds = graph->node[norm->beta_node];
    struct oq_constant *gamma = (struct oq_constant *)(uintptr_t)norm->gamma;
    struct oq_constant *beta = (struct oq_constant *)(uintptr_t)norm->beta;
    bool ok = set_input(scales, norm->gamma_input,
                        divide(rewrite, smoothing, gamma, smoothing->gamma_values, "gamma")) &&
              (beta == NULL ||
               set_input(adds, norm->beta_input,
                         divide(rewrite, smoothing, beta, smoothing->beta_values, "beta")));
    if (ok && scales != adds)
        ok = set_input(adds, 1 - norm->beta_input, rename_output(rewrite, scales));
    norm->output = ok ? rename_output(rewrite, adds) : NULL;
    return norm->output != NULL;
}

bool oq_rewrite_smooth_norms(struct oq_rewrite *rewrite)
{
    const onnxq_plan *plan = rewrite->plan;
    for (size_t i = 0; i < plan->n_constants; i++)
        for (size_t k = 0; k < plan->constants[i].n_sites; k++) {
            const struct oq_site *site = &plan->constants[i].sites[k];
            if (site->norm == NULL || site->quantized->smoothing == NULL)
                continue;
            oq_edit_enter(rewrite->edit, site->graph->ordinal);
            if (!smooth_norm(rewrite, site->quantized->smoothing, site->norm))
                return false;
        }
    return true;
}
