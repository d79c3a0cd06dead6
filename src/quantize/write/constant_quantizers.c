/*
 * QuantizeLinear of a constant, as exports of quantization-aware training have it in front of
 * DequantizeLinear: the integers that it gives are stored in place of the floats.
 */
#include <float.h>
#include <math.h>

#include "base/checked.h"
#include "quantize/write/rewrite.h"
#include "wire/data_type.h"

/* --- finding them --- */

struct quantizer_finder {
    onnxq_plan *plan;
    void *scratch; /* OQ_RECIPE_SCRATCH_NBYTES */
    onnxq_error *error;
};

/* A whole tensor that no caller overrides, or NULL. */
static struct oq_constant *find_constant(const onnxq_plan *plan, const struct oq_graph *graph,
                                         const char *name)
{
    struct oq_constant *constant = oq_plan_constant(plan, graph, name);
    bool is_tensor = constant != NULL && constant->tensor != NULL && constant->value != NULL &&
                     constant->tensor->dtype != NULL && !oq_plan_is_overridable(plan, constant);
    return is_tensor ? constant : NULL;
}

/* Type of the integers of such a node, or 0. */
static int32_t find_type(const Oq__Pb__NodeProto *node, const struct oq_constant *zero_point)
{
    int64_t type = oq_node_int(node, "output_dtype", 0);
    if (zero_point != NULL)
        type = zero_point->tensor->proto->data_type;
    else if (type == 0)
        type = OQ_TYPE(UINT8);
    return type == OQ_TYPE(UINT8) || type == OQ_TYPE(INT8) ? (int32_t)type : 0;
}

/* Engines divide in float32, by one number or by one for each index of an axis. */
static bool is_plain(const struct oq_source *source, const Oq__Pb__NodeProto *node,
                     const struct oq_tensor *scale, int *axis)
{
    const int64_t rank = (int64_t)source->n_dims, precision = oq_node_int(node, "precision", 0);
    int64_t wanted = oq_node_int(node, "axis", 1);
    wanted += wanted < 0 ? rank : 0;
    *axis = scale->nelem == 1 ? -1 : (int)wanted;
    bool fits = scale->nelem == 1 || (scale->n_dims == 1 && wanted >= 0 && wanted < rank &&
                                      scale->dims[0] == source->dims[wanted]);
    return fits && source->data_type == OQ_TYPE(FLOAT) && source->nelem > 0 &&
           scale->proto->data_type == OQ_TYPE(FLOAT) && scale->nelem <= OQ_READ_MAX_NELEM &&
           (precision == 0 || precision == OQ_TYPE(FLOAT)) &&
           oq_node_int(node, "block_size", 0) == 0;
}

/* Numbers that can be divided by with one rounding. */
static bool read_scales(struct quantizer_finder *finder, const struct oq_tensor *scale,
                        struct oq_quantized *quantized, bool *usable)
{
    float *values = oq_arena_array(&finder->plan->arena, (size_t)scale->nelem, sizeof(*values));
    if (values == NULL)
        return oq_arena_fail(&finder->plan->arena, finder->error);
    quantized->scale = values;
    if (!oq_tensor_read_floats(scale, 0, (size_t)scale->nelem, values, finder->scratch,
                               finder->error))
        return false;
    for (uint64_t i = 0; i < scale->nelem; i++)
        *usable &= values[i] >= FLT_MIN && values[i] <= FLT_MAX;
    return true;
}

static bool read_zero_points(struct quantizer_finder *finder, const struct oq_constant *zero_point,
                             struct oq_quantized *quantized, bool *usable)
{
    const uint64_t n = quantized->ranges->n_scales;
    const struct oq_integer_type type = {8, !quantized->is_unsigned, false};
    int32_t *integers = (int32_t *)(void *)oq_recipe_floats(finder->scratch);
    quantized->zero_point = oq_arena_array(&finder->plan->arena, (size_t)n, sizeof(float));
    if (quantized->zero_point == NULL)
        return oq_arena_fail(&finder->plan->arena, finder->error);
    if (zero_point == NULL)
        return true;
    *usable &= zero_point->tensor->nelem == n;
    if (!*usable)
        return true;
    if (!oq_tensor_read_integers(zero_point->tensor, type, 0, (size_t)n, integers, finder->scratch,
                                 finder->error))
        return false;
    for (uint64_t i = 0; i < n; i++)
        quantized->zero_point[i] = (float)integers[i];
    return true;
}

/* Engines do not agree on the integer of NaN. */
static bool has_no_nan(struct quantizer_finder *finder, const struct oq_source *source,
                       bool *usable)
{
    struct oq_piece piece = {.source = source,
                             .x = oq_recipe_floats(finder->scratch),
                             .scratch = finder->scratch,
                             .unit = 1};
    while (*usable && !finder->plan->is_estimate && oq_source_next(&piece, finder->error))
        for (size_t i = 0; i < piece.n; i++)
            *usable &= !isnan(piece.x[i]);
    return !piece.failed;
}

static struct oq_quantized *make_quantized(onnxq_plan *plan, struct oq_constant *constant, int axis,
                                           int32_t data_type)
{
    const struct oq_source *source = &constant->source;
    struct oq_quantized *quantized = oq_arena_alloc(&plan->arena, sizeof(*quantized));
    struct oq_ranges *ranges = oq_arena_alloc(&plan->arena, sizeof(*ranges));
    if (quantized == NULL || ranges == NULL)
        return NULL;
    const bool is_unsigned = data_type == OQ_TYPE(UINT8);
    *ranges = (struct oq_ranges){.constant = constant,
                                 .source = source,
                                 .axis = axis,
                                 .layout = oq_layout_make(source->dims, source->n_dims, axis, 0)};
    ranges->n_scales = oq_layout_n_scales(&ranges->layout);
    *quantized = (struct oq_quantized){.ranges = ranges,
                                       .n_dims = source->n_dims,
                                       .is_unsigned = is_unsigned,
                                       .qmin = is_unsigned ? 0 : -128,
                                       .qmax = is_unsigned ? 255 : 127};
    return quantized;
}

static bool add(onnxq_plan *plan, const struct oq_graph *graph, size_t index,
                struct oq_quantized *quantized)
{
    struct oq_site *site = oq_plan_site(plan, graph, index, 0);
    if (!oq_arena_grow(&plan->arena, &plan->quantizers, plan->n_quantizers,
                       &plan->quantizers_capacity, sizeof(*plan->quantizers)))
        return false;
    plan->quantizers[plan->n_quantizers++] =
        (struct oq_constant_quantizer){graph, index, quantized};
    site->action = ONNXQ_FOLD;
    site->form = "its integers, as QuantizeLinear makes them";
    site->reason = "";
    site->quantized = quantized;
    return true;
}

static bool look_at(struct quantizer_finder *finder, const struct oq_graph *graph, size_t index)
{
    onnxq_plan *plan = finder->plan;
    const Oq__Pb__NodeProto *node = graph->proto->node[index];
    if (!oq_node_is(node, "", "QuantizeLinear") || node->n_input < 2 || node->n_output != 1 ||
        oq_plan_site(plan, graph, index, 0) == NULL)
        return true;
    struct oq_constant *constant = find_constant(plan, graph, node->input[0]);
    const struct oq_constant *scale = find_constant(plan, graph, node->input[1]);
    const char *zero_name = oq_node_input(node, 2);
    const struct oq_constant *zero_point = find_constant(plan, graph, zero_name);
    int axis;
    /* Where somebody else needs the floats, integers beside them are no gain. */
    if (constant == NULL || scale == NULL || (zero_point == NULL && zero_name[0] != '\0') ||
        constant->n_sites != 1 || constant->source.nelem < plan->options.min_elements ||
        find_type(node, zero_point) == 0 ||
        !is_plain(&constant->source, node, scale->tensor, &axis))
        return true;
    struct oq_quantized *quantized =
        make_quantized(plan, constant, axis, find_type(node, zero_point));
    bool usable = true;
    if (quantized == NULL)
        return oq_arena_fail(&plan->arena, finder->error);
    if (!read_scales(finder, scale->tensor, quantized, &usable) ||
        !read_zero_points(finder, zero_point, quantized, &usable) ||
        !has_no_nan(finder, &constant->source, &usable))
        return false;
    return !usable || add(plan, graph, index, quantized) ||
           oq_arena_fail(&plan->arena, finder->error);
}

bool oq_plan_find_constant_quantizers(onnxq_plan *plan, onnxq_error *error)
{
    const struct oq_graphs *graphs = &plan->model->graphs;
    struct oq_arena arena;
    oq_arena_init(&arena, SIZE_MAX);
    struct quantizer_finder finder = {.plan = plan, .error = error};
    finder.scratch = oq_arena_alloc(&arena, OQ_RECIPE_SCRATCH_NBYTES);
    bool ok = finder.scratch != NULL || oq_fail_memory(error);
    for (size_t g = 0; ok && g < graphs->count; g++) {
        bool is_wanted = graphs->list[g]->parent == NULL || plan->options.subgraphs;
        for (size_t i = 0; ok && is_wanted && i < graphs->list[g]->proto->n_node; i++)
            ok = look_at(&finder, graphs->list[g], i);
    }
    oq_arena_fini(&arena);
    return ok;
}

/* --- replacing them --- */

/*
 * Uses of the result take the initializer; what is left is an Identity, which the sweep removes
 * unless somebody still needs the name.
 */
static bool replace(struct oq_rewrite *rewrite, const struct oq_constant_quantizer *quantizer)
{
    static char identity[] = "Identity";
    struct oq_edit *edit = rewrite->edit;
    const struct oq_graph *graph = edit->graphs->list[quantizer->graph->ordinal];
    Oq__Pb__NodeProto *node = edit->states[graph->ordinal].proto->node[quantizer->node];
    const struct oq_value *value = oq_graph_find(graph, node->output[0]);
    char *integers = oq_edit_text(oq_rewrite_integers(rewrite, quantizer->quantized));
    if (integers == NULL)
        return false;
    for (const struct oq_use *use = value == NULL ? NULL : value->uses; use != NULL;
         use = use->next)
        if (use->node != OQ_NO_NODE)
            edit->states[use->graph->ordinal].proto->node[use->node]->input[use->input] = integers;
    node->op_type = identity;
    node->input[0] = integers;
    node->n_input = 1;
    node->n_attribute = 0;
    return true;
}

bool oq_rewrite_constant_quantizers(struct oq_rewrite *rewrite)
{
    for (size_t i = 0; i < rewrite->plan->n_quantizers; i++)
        if (!replace(rewrite, &rewrite->plan->quantizers[i]))
            return false;
    return true;
}
