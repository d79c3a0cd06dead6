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

/* Longer chains than exporters write. */
#define MAX_STEPS 16

/* A QuantizeLinear that might be replaced. Those of one tensor are a list. */
struct quantizer_candidate {
    struct oq_constant_quantizer quantizer;
    struct oq_site *site; /* of the tensor, that leads to it */
    bool is_stored;       /* the first with these integers */
    struct quantizer_candidate *next;
};

struct quantizer_finder {
    onnxq_plan *plan;
    struct oq_arena *arena;
    struct quantizer_candidate **of_tensor; /* [n_tensors] */
    void *scratch;                          /* OQ_RECIPE_SCRATCH_NBYTES */
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

/* Numbers of a scale or a zero point. */
struct quantizer_numbers {
    const struct oq_tensor *tensor; /* they are its elements, in order; NULL: something else */
    int32_t data_type;
};

/* Exporters share equal ones by Identity, and cast zero points. */
static struct quantizer_numbers find_numbers(const onnxq_plan *plan, const struct oq_graph *graph,
                                             const char *name)
{
    struct quantizer_numbers numbers = {0};
    for (size_t i = 0; i < MAX_STEPS; i++) {
        const struct oq_constant *constant = find_constant(plan, graph, name);
        const struct oq_value *value = oq_graph_find(graph, name);
        const Oq__Pb__NodeProto *node = oq_value_node(value);
        if (constant != NULL) {
            numbers.tensor = constant->tensor;
            if (numbers.data_type == 0)
                numbers.data_type = constant->tensor->proto->data_type;
            return numbers;
        }
        const bool is_cast = node != NULL && oq_node_is(node, "", "Cast");
        if (node == NULL || node->n_input == 0 || (is_cast && numbers.data_type != 0) ||
            (!is_cast && !OQ_NODE_IS(node, "Identity", "Reshape", "Squeeze", "Unsqueeze")))
            return numbers;
        if (is_cast)
            numbers.data_type = (int32_t)oq_node_int(node, "to", 0);
        graph = value->graph;
        name = node->input[0];
    }
    return numbers;
}

/*
 * The only way from a tensor to the value, through nodes that rearrange it for nobody else: the
 * tensor's site, or NULL.
 */
static struct oq_site *find_way(const onnxq_plan *plan, const struct oq_graph *graph, size_t index)
{
    for (size_t i = 0; i < MAX_STEPS; i++) {
        const char *name = graph->proto->node[index]->input[0];
        const struct oq_value *value = oq_graph_find(graph, name);
        const Oq__Pb__NodeProto *node = oq_value_node(value);
        if (find_constant(plan, graph, name) != NULL)
            return oq_plan_site(plan, graph, index, 0);
        if (node == NULL || value->n_uses != 1 || value->is_named || value->is_graph_output ||
            !oq_source_sees_through(node) || oq_node_is(node, "", "Concat"))
            return NULL;
        graph = value->graph;
        index = value->index;
    }
    return NULL;
}

/* Type of the integers of such a node, or 0. */
static int32_t find_type(const Oq__Pb__NodeProto *node, const struct quantizer_numbers *zero_point)
{
    int64_t type = oq_node_int(node, "output_dtype", 0);
    if (zero_point->tensor != NULL)
        type = zero_point->data_type;
    else if (type == 0)
        type = OQ_TYPE(UINT8);
    return type == OQ_TYPE(UINT8) || type == OQ_TYPE(INT8) ? (int32_t)type : 0;
}

/* Of numbers and scales of one type; what float16 stands for is float32. */
static bool has_float_types(const struct oq_source *source, const struct quantizer_numbers *scale,
                            int64_t precision)
{
    const struct oq_dtype *stored = source->spans->tensor->dtype;
    return (source->data_type == OQ_TYPE(FLOAT) || source->data_type == OQ_TYPE(FLOAT16)) &&
           stored != NULL && stored->is_float && scale->data_type == source->data_type &&
           scale->tensor->proto->data_type == source->data_type &&
           (precision == 0 || precision == OQ_TYPE(FLOAT));
}

/* Engines divide in float32, by one number or by one for each index of an axis. */
static bool is_plain(const struct oq_source *source, const Oq__Pb__NodeProto *node,
                     const struct quantizer_numbers *scale, int *axis)
{
    const int64_t rank = (int64_t)source->n_dims;
    const struct oq_span *span = source->spans;
    int64_t wanted = oq_node_int(node, "axis", 1);
    wanted += wanted < 0 ? rank : 0;
    wanted = source->transposed ? 1 - wanted : wanted;
    *axis = scale->tensor->nelem == 1 ? -1 : (int)wanted;
    bool fits = *axis == -1 || (wanted >= 0 && wanted < rank &&
                                scale->tensor->nelem == (uint64_t)source->dims[wanted]);
    return fits && source->n_spans == 1 && span->nelem == span->tensor->nelem &&
           source->factors == NULL && source->nelem > 0 &&
           has_float_types(source, scale, oq_node_int(node, "precision", 0)) &&
           scale->tensor->nelem <= OQ_READ_MAX_NELEM && oq_node_int(node, "block_size", 0) == 0;
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

/* Of 64 bits there are few. */
static bool read_integers(struct quantizer_finder *finder, const struct oq_tensor *tensor,
                          int32_t *integers, bool *usable)
{
    struct oq_integer_type type;
    int64_t few[OQ_READ_MAX_INTEGERS];
    if (oq_tensor_integer_type(tensor, &type))
        return oq_tensor_read_integers(tensor, type, 0, (size_t)tensor->nelem, integers,
                                       finder->scratch, finder->error);
    *usable &= oq_tensor_is_integer(tensor) && tensor->nelem <= OQ_READ_MAX_INTEGERS;
    if (!*usable)
        return true;
    if (!oq_tensor_read_int64s(tensor, few, finder->error))
        return false;
    for (uint64_t i = 0; i < tensor->nelem; i++)
        integers[i] = few[i] < -128 || few[i] > 255 ? INT32_MAX : (int32_t)few[i];
    return true;
}

/* What a Cast to the type of the integers leaves as it is. */
static bool read_zero_points(struct quantizer_finder *finder, const struct oq_tensor *tensor,
                             struct oq_quantized *quantized, bool *usable)
{
    const uint64_t n = quantized->ranges->n_scales;
    int32_t *integers = (int32_t *)(void *)oq_recipe_floats(finder->scratch);
    quantized->zero_point = oq_arena_array(&finder->plan->arena, (size_t)n, sizeof(float));
    if (quantized->zero_point == NULL)
        return oq_arena_fail(&finder->plan->arena, finder->error);
    if (tensor == NULL)
        return true;
    *usable &= tensor->nelem == n;
    if (*usable && !read_integers(finder, tensor, integers, usable))
        return false;
    for (uint64_t i = 0; *usable && i < n; i++) {
        quantized->zero_point[i] = (float)integers[i];
        *usable &= quantized->zero_point[i] >= quantized->qmin &&
                   quantized->zero_point[i] <= quantized->qmax;
    }
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

static struct oq_quantized *make_quantized(onnxq_plan *plan, struct oq_constant *constant,
                                           const struct oq_source *source, int axis,
                                           int32_t data_type)
{
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
                                       .transposed = source->transposed && axis <= 0,
                                       .is_unsigned = is_unsigned,
                                       .qmin = is_unsigned ? 0 : -128,
                                       .qmax = is_unsigned ? 255 : 127};
    return quantized;
}

static bool is_same(const struct oq_quantized *a, const struct oq_quantized *b)
{
    const struct oq_source *x = a->ranges->source, *y = b->ranges->source;
    const uint64_t n = a->ranges->n_scales;
    return a->is_unsigned == b->is_unsigned && a->transposed == b->transposed &&
           a->ranges->axis == b->ranges->axis && n == b->ranges->n_scales && a->scale != NULL &&
           b->scale != NULL && x->n_dims == y->n_dims &&
           memcmp(x->dims, y->dims, x->n_dims * sizeof(*x->dims)) == 0 &&
           memcmp(a->scale, b->scale, (size_t)n * sizeof(float)) == 0 &&
           memcmp(a->zero_point, b->zero_point, (size_t)n * sizeof(float)) == 0;
}

/* Integers that are there already are taken: a layer that is called twice has two nodes. */
static bool add_candidate(struct quantizer_finder *finder, const struct oq_graph *graph,
                          size_t index, struct oq_site *site, struct oq_quantized *quantized)
{
    struct quantizer_candidate *candidate = oq_arena_alloc(finder->arena, sizeof(*candidate));
    struct quantizer_candidate **list = &finder->of_tensor[site->constant->tensor->ordinal];
    const struct quantizer_candidate *same = *list;
    if (candidate == NULL)
        return oq_arena_fail(finder->arena, finder->error);
    while (same != NULL && !is_same(same->quantizer.quantized, quantized))
        same = same->next;
    if (same != NULL)
        quantized = same->quantizer.quantized;
    *candidate = (struct quantizer_candidate){{graph, index, quantized}, site, same == NULL, *list};
    *list = candidate;
    return true;
}

static bool look_at(struct quantizer_finder *finder, const struct oq_graph *graph, size_t index)
{
    onnxq_plan *plan = finder->plan;
    const Oq__Pb__NodeProto *node = graph->proto->node[index];
    if (!oq_node_is(node, "", "QuantizeLinear") || node->n_input < 2 || node->n_output != 1)
        return true;
    const struct quantizer_numbers scale = find_numbers(plan, graph, node->input[1]);
    const char *zero_name = oq_node_input(node, 2);
    const struct quantizer_numbers zero_point = find_numbers(plan, graph, zero_name);
    struct oq_site *site = find_way(plan, graph, index);
    const int32_t type = find_type(node, &zero_point);
    bool usable = false;
    int axis;
    if (site == NULL || scale.tensor == NULL || type == 0 ||
        (zero_point.tensor == NULL && zero_name[0] != '\0'))
        return true;
    struct oq_source *source = oq_arena_alloc(&plan->sources, sizeof(*source));
    if (source == NULL)
        return oq_arena_fail(&plan->sources, finder->error);
    if (!oq_source_find(source, plan->model, graph, node->input[0], plan->freeze_inputs,
                        &plan->sources, &usable, finder->error))
        return false;
    if (!usable || source->nelem < plan->options.min_elements ||
        !is_plain(source, node, &scale, &axis))
        return true;
    struct oq_constant *constant = &plan->constants[source->spans[0].tensor->ordinal];
    const bool is_seen = finder->of_tensor[constant->tensor->ordinal] != NULL; /* all of it */
    struct oq_quantized *quantized = make_quantized(plan, constant, source, axis, type);
    if (quantized == NULL)
        return oq_arena_fail(&plan->arena, finder->error);
    if (!read_scales(finder, scale.tensor, quantized, &usable) ||
        !read_zero_points(finder, zero_point.tensor, quantized, &usable) ||
        (!is_seen && !has_no_nan(finder, source, &usable)))
        return false;
    return !usable || add_candidate(finder, graph, index, site, quantized);
}

/* Where somebody else needs the floats, integers beside them are no gain. */
static bool pays(const struct quantizer_candidate *list, const struct oq_constant *constant)
{
    size_t n = 0, n_stored = 0;
    for (const struct quantizer_candidate *at = list; at != NULL; at = at->next) {
        n++;
        n_stored += at->is_stored;
    }
    return n == constant->n_sites && n_stored * 8 < constant->tensor->dtype->nbits;
}

static bool add(struct quantizer_finder *finder, const struct quantizer_candidate *candidate)
{
    onnxq_plan *plan = finder->plan;
    struct oq_site *site = candidate->site;
    if (!oq_arena_grow(&plan->arena, &plan->quantizers, plan->n_quantizers,
                       &plan->quantizers_capacity, sizeof(*plan->quantizers)))
        return oq_arena_fail(&plan->arena, finder->error);
    plan->quantizers[plan->n_quantizers++] = candidate->quantizer;
    site->action = ONNXQ_FOLD;
    site->form = "its integers, as QuantizeLinear makes them";
    site->reason = "";
    site->quantized = candidate->quantizer.quantized;
    return true;
}

static bool add_all(struct quantizer_finder *finder)
{
    for (size_t i = 0; finder->of_tensor != NULL && i < finder->plan->model->n_tensors; i++) {
        const struct quantizer_candidate *list = finder->of_tensor[i];
        bool is_wanted = list != NULL && pays(list, &finder->plan->constants[i]);
        for (; is_wanted && list != NULL; list = list->next)
            if (!add(finder, list))
                return false;
    }
    return true;
}

bool oq_plan_find_constant_quantizers(onnxq_plan *plan, onnxq_error *error)
{
    const struct oq_graphs *graphs = &plan->model->graphs;
    struct oq_arena arena;
    oq_arena_init(&arena, SIZE_MAX);
    struct quantizer_finder finder = {.plan = plan, .arena = &arena, .error = error};
    finder.scratch = oq_arena_alloc(&arena, OQ_RECIPE_SCRATCH_NBYTES);
    finder.of_tensor =
        oq_arena_array(&arena, plan->model->n_tensors + 1, sizeof(*finder.of_tensor));
    bool ok = (finder.scratch != NULL && finder.of_tensor != NULL) || oq_fail_memory(error);
    for (size_t g = 0; ok && g < graphs->count; g++) {
        bool is_wanted = graphs->list[g]->parent == NULL || plan->options.subgraphs;
        for (size_t i = 0; ok && is_wanted && i < graphs->list[g]->proto->n_node; i++)
            ok = look_at(&finder, graphs->list[g], i);
    }
    ok = ok && add_all(&finder);
    oq_arena_fini(&arena);
    return ok;
}

/* --- replacing them --- */

/*
 * Uses of the result take the initializer; what is left is an Identity, which the sweep removes
 * unless somebody still needs the name. Integers that are stored as the floats lie, with scales
 * that are then along another axis, are transposed by a node.
 */
static bool replace(struct oq_rewrite *rewrite, const struct oq_constant_quantizer *quantizer)
{
    static char identity[] = "Identity", transpose[] = "Transpose";
    const bool turns =
        quantizer->quantized->ranges->source->transposed && !quantizer->quantized->transposed;
    struct oq_edit *edit = rewrite->edit;
    const struct oq_graph *graph = edit->graphs->list[quantizer->graph->ordinal];
    Oq__Pb__NodeProto *node = edit->states[graph->ordinal].proto->node[quantizer->node];
    const struct oq_value *value = oq_graph_find(graph, node->output[0]);
    char *integers = oq_edit_text(oq_rewrite_integers(rewrite, quantizer->quantized));
    if (integers == NULL)
        return false;
    for (const struct oq_use *use = turns || value == NULL ? NULL : value->uses; use != NULL;
         use = use->next)
        if (use->node != OQ_NO_NODE)
            edit->states[use->graph->ordinal].proto->node[use->node]->input[use->input] = integers;
    node->op_type = turns ? transpose : identity;
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
