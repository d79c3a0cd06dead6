/*
 * Activations whose channels are made alike in front of a product, as smooth.c has decided: by the
 * normalization itself where nothing else reads what it gives, else by a Mul.
 */
#include "quantize/write/rewrite.h"

/* x divided by the factors, or 1 where x is NULL: once in each graph. */
static const char *divide(struct oq_rewrite *rewrite, const struct oq_smoothing *smoothing,
                          struct oq_constant *owner, const float *x, const char *kind)
{
    const int64_t n = (int64_t)smoothing->n, graph = (int64_t)rewrite->edit->current->ordinal;
    void **made = oq_rewrite_companion(rewrite, smoothing, kind, &graph, 1, 1);
    if (made == NULL || *made != NULL)
        return made == NULL ? NULL : *made;
    float *values = oq_edit_allocate(rewrite->edit, smoothing->n, sizeof(*values));
    const char *name = oq_arena_printf(rewrite->edit->arena, "%s_smooth", owner->name);
    for (size_t i = 0; values != NULL && i < smoothing->n; i++)
        values[i] =
            (x == NULL ? 1 : x[i]) / (rewrite->plan->is_estimate ? 1 : smoothing->factor[i]);
    if (values == NULL || name == NULL)
        return NULL;
    owner->nbytes_after += smoothing->n * sizeof(*values);
    *made = oq_edit_text(oq_edit_floats(rewrite->edit, name, &n, 1, values));
    return *made;
}

const char *oq_rewrite_smooth(struct oq_rewrite *rewrite, const struct oq_site *site,
                              const char *name)
{
    const struct oq_quantized *q = site->quantized;
    if (q->smoothing == NULL)
        return name;
    if (site->norm != NULL)
        return site->norm->output;
    const char *factor = divide(rewrite, q->smoothing, q->ranges->constant, NULL, "smoothing");
    const char *smooth = oq_edit_name(rewrite->edit, name, "_smooth");
    const char *inputs[] = {name, factor, NULL};
    const char *outputs[] = {smooth, NULL};
    oq_edit_node(rewrite->edit, "", "Mul", oq_node_label(site->node), inputs, outputs);
    return smooth;
}

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

static bool set_input(Oq__Pb__NodeProto *node, size_t input, const char *name)
{
    node->input[input] = oq_edit_text(name);
    return name != NULL;
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
