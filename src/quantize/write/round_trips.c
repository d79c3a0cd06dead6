/*
 * DequantizeLinear -> QuantizeLinear with one scale and zero point gives the
 * integers that went in: (q - z) * s / s is within 65535 * 2^-23 of q - z as
 * long as s is a normal number. What uses the result takes the integers.
 */
#include <float.h>
#include <math.h>

#include "base/checked.h"
#include "quantize/write/rewrite.h"
#include "wire/data_type.h"

/* --- finding them --- */

struct round_trip_finder {
    onnxq_plan *plan;
    struct oq_arena arena;
    enum oq_answer *are_normal; /* [tensors], as scales */
    struct oq_strmap compared;  /* "tensor tensor" -> enum oq_answer: they are equal */
    onnxq_error *error;
};

static const Oq__Pb__NodeProto *find_dequantize(const struct oq_graph *graph,
                                                const Oq__Pb__NodeProto *quantize, size_t *index)
{
    const struct oq_value *value = oq_graph_find(graph, quantize->input[0]);
    if (value == NULL || value->origin != OQ_ORIGIN_NODE || value->graph != graph)
        return NULL;
    const Oq__Pb__NodeProto *node = graph->proto->node[value->index];
    *index = value->index;
    return oq_node_is(node, "", "DequantizeLinear") && node->n_input >= 2 ? node : NULL;
}

/* A tensor that no caller overrides, or NULL. */
static const struct oq_tensor *find_tensor(const onnxq_plan *plan, const struct oq_graph *graph,
                                           const char *name)
{
    const struct oq_constant *constant = oq_plan_constant(plan, graph, name);
    if (constant == NULL || constant->tensor == NULL || constant->value == NULL ||
        constant->tensor->dtype == NULL || oq_plan_is_overridable(plan, constant))
        return NULL;
    return constant->tensor;
}

/* *same: the elements are equal, as far as it shows without decoding them. */
static bool compare(const struct oq_tensor *a, const struct oq_tensor *b, bool *same,
                    onnxq_error *error)
{
    *same = a->proto->data_type == b->proto->data_type && a->nelem == b->nelem &&
            (a->nelem == 1 || (a->n_dims == b->n_dims &&
                               memcmp(a->dims, b->dims, a->n_dims * sizeof(*a->dims)) == 0));
    if (a->contiguous && b->contiguous)
        return oq_file_compare(a->file, a->offset, b->file, b->offset, *same ? a->nbytes : 0, same,
                               error);
    *same &= a->contiguous == b->contiguous && a->nfragments == b->nfragments;
    for (uint32_t i = 0; *same && i < a->nfragments; i++) {
        const struct oq_fragment *left = &a->fragments[i], *right = &b->fragments[i];
        *same = left->field == right->field && left->tagged == right->tagged &&
                left->nbytes == right->nbytes;
        if (!oq_file_compare(a->file, left->offset, b->file, right->offset,
                             *same ? left->nbytes : 0, same, error))
            return false;
    }
    return true;
}

/* The same of tensors that other nodes may have, too: they are read once. */
static bool same_elements(struct round_trip_finder *finder, const struct oq_tensor *a,
                          const struct oq_tensor *b, bool *same)
{
    static enum oq_answer yes = OQ_YES, no = OQ_NO;
    *same = a == b;
    if (*same)
        return true;
    char *key = oq_arena_printf(&finder->arena, "%zu %zu", (size_t)a->ordinal, (size_t)b->ordinal);
    void **place = key == NULL ? NULL : oq_strmap_place(&finder->compared, key);
    if (place == NULL)
        return oq_arena_fail(&finder->arena, finder->error);
    if (*place != NULL)
        *same = *place == &yes;
    else if (!compare(a, b, same, finder->error))
        return false;
    *place = *same ? &yes : &no;
    return true;
}

/* *normal: all are normal numbers, and a step times 65535 is one as well. */
static bool check_scales(const struct oq_tensor *scale, bool *normal, onnxq_error *error)
{
    float values[256];
    void *scratch = NULL;
    struct oq_arena arena;
    oq_arena_init(&arena, SIZE_MAX);
    *normal = scale->proto->data_type == OQ_TYPE(FLOAT);
    bool ok = !*normal || (scratch = oq_arena_alloc(&arena, OQ_READ_SCRATCH_NBYTES)) != NULL ||
              oq_fail_memory(error);
    for (uint64_t done = 0; ok && *normal && done < scale->nelem; done += 256) {
        size_t n = (size_t)oq_min_u64(scale->nelem - done, 256);
        ok = oq_tensor_read_floats(scale, done, n, values, scratch, error);
        for (size_t i = 0; ok && i < n; i++)
            *normal &= fabsf(values[i]) >= FLT_MIN && fabsf(values[i]) <= FLT_MAX / 65536;
    }
    oq_arena_fini(&arena);
    return ok;
}

static bool scales_are_normal(struct round_trip_finder *finder, const struct oq_tensor *scale,
                              bool *normal)
{
    enum oq_answer *answer = &finder->are_normal[scale->ordinal];
    if (*answer == OQ_NOT_ASKED) {
        if (!check_scales(scale, normal, finder->error))
            return false;
        *answer = *normal ? OQ_YES : OQ_NO;
    }
    *normal = *answer == OQ_YES;
    return true;
}

/* float8 rounds; int32 is wider than the 24 bits of a float. */
static bool is_integer_type(int32_t data_type)
{
    const struct oq_dtype *dtype = oq_dtype_find(data_type);
    return dtype != NULL && dtype->is_integer && dtype->nbits >= 4 && dtype->nbits <= 16;
}

/* Attributes with which both compute the same in float32. */
static bool attributes_agree(const Oq__Pb__NodeProto *dequantize, const Oq__Pb__NodeProto *quantize,
                             const struct oq_tensor *scale)
{
    const int64_t float32 = OQ_TYPE(FLOAT);
    int64_t type = oq_node_int(dequantize, "output_dtype", 0);
    int64_t precision = oq_node_int(quantize, "precision", 0);
    return (scale->nelem == 1 ||
            oq_node_int(dequantize, "axis", 1) == oq_node_int(quantize, "axis", 1)) &&
           oq_node_int(dequantize, "block_size", 0) == oq_node_int(quantize, "block_size", 0) &&
           (type == 0 || type == float32) && (precision == 0 || precision == float32);
}

/* Type of a value that is known without inference, or 0. */
static int32_t find_type(const onnxq_plan *plan, const struct oq_graph *graph, const char *name)
{
    const struct oq_tensor *tensor = find_tensor(plan, graph, name);
    const struct oq_value *value = oq_graph_find(graph, name);
    if (tensor != NULL)
        return tensor->proto->data_type;
    if (value == NULL || value->origin != OQ_ORIGIN_INPUT)
        return 0;
    const Oq__Pb__TypeProto *type = value->graph->proto->input[value->index]->type;
    bool is_tensor = type != NULL && type->value_case == OQ__PB__TYPE_PROTO__VALUE_TENSOR_TYPE &&
                     type->tensor_type != NULL;
    return is_tensor ? type->tensor_type->elem_type : 0;
}

/* Both give uint8 a zero point of 0 where they have none. */
static bool zero_points_agree(struct round_trip_finder *finder, const struct oq_graph *graph,
                              const Oq__Pb__NodeProto *dequantize,
                              const Oq__Pb__NodeProto *quantize, bool *agree)
{
    const onnxq_plan *plan = finder->plan;
    const char *left = oq_node_input(dequantize, 2), *right = oq_node_input(quantize, 2);
    const struct oq_tensor *a = find_tensor(plan, graph, left),
                           *b = find_tensor(plan, graph, right);
    *agree = false;
    if (left[0] == '\0' && right[0] == '\0') {
        const int32_t uint8 = OQ_TYPE(UINT8);
        int64_t type = oq_node_int(quantize, "output_dtype", 0);
        *agree =
            (type == 0 || type == uint8) && find_type(plan, graph, dequantize->input[0]) == uint8;
        return true;
    }
    if (a == NULL || b == NULL || !is_integer_type(a->proto->data_type))
        return true;
    return same_elements(finder, a, b, agree);
}

static bool is_round_trip(struct round_trip_finder *finder, const struct oq_graph *graph,
                          const Oq__Pb__NodeProto *dequantize, const Oq__Pb__NodeProto *quantize,
                          bool *found)
{
    const onnxq_plan *plan = finder->plan;
    const struct oq_tensor *a = find_tensor(plan, graph, oq_node_input(dequantize, 1));
    const struct oq_tensor *b = find_tensor(plan, graph, oq_node_input(quantize, 1));
    *found = a != NULL && b != NULL && attributes_agree(dequantize, quantize, a);
    if (!*found)
        return true;
    return same_elements(finder, a, b, found) &&
           (!*found || zero_points_agree(finder, graph, dequantize, quantize, found)) &&
           (!*found || scales_are_normal(finder, a, found));
}

static bool look_at(struct round_trip_finder *finder, const struct oq_graph *graph, size_t index)
{
    onnxq_plan *plan = finder->plan;
    const Oq__Pb__NodeProto *quantize = graph->proto->node[index];
    struct oq_round_trip pair = {.graph = graph, .quantize = index};
    bool found = false;
    if (!oq_node_is(quantize, "", "QuantizeLinear") || quantize->n_input < 2 ||
        quantize->n_output != 1)
        return true;
    const struct oq_value *value = oq_graph_find(graph, quantize->output[0]);
    const Oq__Pb__NodeProto *dequantize = find_dequantize(graph, quantize, &pair.dequantize);
    if (dequantize == NULL || value == NULL || value->n_uses == 0)
        return true;
    if (!is_round_trip(finder, graph, dequantize, quantize, &found))
        return false;
    if (!found)
        return true;
    if (!oq_arena_grow(&plan->arena, &plan->round_trips, plan->n_round_trips,
                       &plan->round_trips_capacity, sizeof(*plan->round_trips)))
        return oq_arena_fail(&plan->arena, finder->error);
    plan->round_trips[plan->n_round_trips++] = pair;
    return true;
}

static bool find_all(struct round_trip_finder *finder)
{
    const struct oq_graphs *graphs = &finder->plan->model->graphs;
    for (size_t g = 0; g < graphs->count; g++) {
        const struct oq_graph *graph = graphs->list[g];
        for (size_t i = 0; i < graph->proto->n_node; i++)
            if (!(graph->parent != NULL && !finder->plan->options.subgraphs) &&
                !look_at(finder, graph, i))
                return false;
    }
    return true;
}

bool oq_plan_find_round_trips(onnxq_plan *plan, onnxq_error *error)
{
    struct round_trip_finder finder = {.plan = plan, .error = error};
    if (plan->options.method != ONNXQ_METHOD_QDQ)
        return true;
    oq_arena_init(&finder.arena, plan->arena.budget);
    oq_strmap_init(&finder.compared, &finder.arena);
    finder.are_normal =
        oq_arena_array(&finder.arena, plan->model->n_tensors + 1, sizeof(*finder.are_normal));
    bool ok = finder.are_normal != NULL ? find_all(&finder) : oq_arena_fail(&finder.arena, error);
    oq_arena_fini(&finder.arena);
    return ok;
}

/* --- removing them --- */

/*
 * Uses of the result take the integers; what is left is an Identity, which the
 * sweep removes unless somebody still needs the name.
 */
void oq_rewrite_round_trips(struct oq_rewrite *rewrite)
{
    static char identity[] = "Identity";
    for (size_t i = 0; i < rewrite->plan->n_round_trips; i++) {
        const struct oq_round_trip *pair = &rewrite->plan->round_trips[i];
        size_t ordinal = pair->graph->ordinal;
        const struct oq_graph *graph = rewrite->edit->graphs->list[ordinal];
        Oq__Pb__GraphProto *proto = rewrite->edit->states[ordinal].proto;
        Oq__Pb__NodeProto *quantize = proto->node[pair->quantize];
        char *integers = proto->node[pair->dequantize]->input[0];
        const struct oq_value *value = oq_graph_find(graph, quantize->output[0]);
        const struct oq_value *source = oq_graph_find(graph, integers);
        for (const struct oq_use *use = value->uses; use != NULL; use = use->next)
            if (use->node != OQ_NO_NODE && oq_graph_find(use->graph, integers) == source)
                rewrite->edit->states[use->graph->ordinal]
                    .proto->node[use->node]
                    ->input[use->input] = integers;
        quantize->op_type = identity;
        quantize->input[0] = integers;
        quantize->n_input = 1;
        quantize->n_attribute = 0;
    }
}
