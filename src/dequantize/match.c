/* Steps from a value to its producer or only user, and constants on the way. */
#include <float.h>
#include <math.h>

#include "base/checked.h"
#include "dequantize/undo.h"
#include "wire/data_type.h"

#define DOUBLE OQ_TYPE(DOUBLE)

/* --- the model --- */

struct oq_place oq_producer(const struct oq_graph *graph, const char *name)
{
    const struct oq_value *value = oq_graph_find(graph, name);
    if (value == NULL || value->origin != OQ_ORIGIN_NODE)
        return (struct oq_place){0};
    return (struct oq_place){value->graph, value->index, value->graph->proto->node[value->index]};
}

struct oq_place oq_producer_of(const struct oq_graph *graph, const char *name, const char *op_type)
{
    struct oq_place place = oq_producer(graph, name);
    if (place.node != NULL && !oq_node_is(place.node, "", op_type))
        place.node = NULL;
    return place;
}

struct oq_place oq_producer_behind(const struct oq_place *place, size_t input, const char *op_type)
{
    if (place->node == NULL)
        return *place;
    return oq_producer_of(place->graph, oq_node_input(place->node, input), op_type);
}

struct oq_place oq_only_user(const struct oq_graph *graph, const char *name)
{
    const struct oq_value *value = oq_graph_find(graph, name);
    if (value == NULL || value->n_uses != 1 || value->is_graph_output ||
        value->uses->graph != graph)
        return (struct oq_place){0};
    return (struct oq_place){graph, value->uses->node, graph->proto->node[value->uses->node]};
}

bool oq_is_same_value(const struct oq_graph *graph, const char *name,
                      const struct oq_graph *other_graph, const char *other_name)
{
    const struct oq_value *value = oq_graph_find(graph, name);
    return value != NULL && value == oq_graph_find(other_graph, other_name);
}

bool oq_undo_constant(onnxq_dequantization *undo, const struct oq_graph *graph, const char *name,
                      struct oq_constant_value *constant)
{
    struct oq_source source;
    bool found;
    if (!oq_source_find(&source, undo->model, graph, name, undo->freeze_inputs, &undo->arena,
                        &found, undo->error)) {
        undo->failed = true;
        return false;
    }
    if (!found || source.n_spans != 1 || source.factors != NULL || source.spans[0].first != 0 ||
        source.spans[0].nelem != source.spans[0].tensor->nelem ||
        source.nelem != source.spans[0].nelem)
        return false;
    *constant = (struct oq_constant_value){source.spans[0].tensor, source.dims,
                                           source.n_dims,          source.transposed,
                                           source.data_type,       oq_graph_find(graph, name)};
    return true;
}

bool oq_undo_number(onnxq_dequantization *undo, const struct oq_graph *graph, const char *name,
                    float *value, struct oq_integer_type *type)
{
    struct oq_constant_value constant;
    struct oq_shared shared = {0};
    int32_t integer;
    if (!oq_undo_constant(undo, graph, name, &constant) || constant.tensor->nelem != 1 ||
        oq_shared_set(&shared, constant.tensor) != NULL || shared.is_integer != (type != NULL))
        return false;
    if (!oq_shared_read(&shared, 0, 1, value, &integer, undo->scratch, undo->error)) {
        undo->failed = true;
        return false;
    }
    if (type != NULL)
        *type = shared.type;
    return true;
}

enum oq_outcome oq_leave(onnxq_dequantization *undo, const struct oq_match *match,
                         const char *reason)
{
    undo->reasons[match->subject.graph->ordinal][match->subject.index] = reason;
    return OQ_LEFT;
}

void oq_undo_claim(onnxq_dequantization *undo, const struct oq_place *place)
{
    struct oq_match **match = &undo->matches[place->graph->ordinal][place->index];
    undo->n_matches -= *match != NULL;
    *match = NULL;
    undo->claimed[place->graph->ordinal][place->index] = true;
}

/* --- weights --- */

static const char *out_of_memory(onnxq_dequantization *undo)
{
    undo->failed = true;
    oq_arena_fail(&undo->arena, undo->error);
    return "out of memory";
}

/*
 * The value that is the tensor itself, before what reshapes it. Its name may mean
 * something else here: a body hides it, or a Constant's tensor is called so as well.
 */
static const struct oq_value *find_tensor(const struct oq_graph *graph,
                                          const struct oq_constant_value *constant)
{
    const struct oq_value *value = oq_graph_find(graph, constant->tensor->name);
    while (value != NULL &&
           (value->origin != OQ_ORIGIN_INITIALIZER ||
            value->graph->proto->initializer[value->index] != constant->tensor->proto))
        value = oq_graph_find(value->graph->parent, value->name);
    return value != NULL ? value : constant->value;
}

const char *oq_undo_weight(onnxq_dequantization *undo, const struct oq_graph *graph,
                           const char *name, struct oq_weight **weight,
                           struct oq_constant_value *integers)
{
    if (!oq_undo_constant(undo, graph, name, integers))
        return "its weight is no constant";
    *weight = oq_arena_alloc(&undo->arena, sizeof(**weight));
    if (*weight == NULL)
        return out_of_memory(undo);
    (*weight)->graph = integers->value->graph;
    (*weight)->integers = find_tensor(graph, integers);
    return oq_weight_set_values(*weight, integers->tensor, integers->dims, integers->n_dims);
}

/* The shape with which numbers meet the weight as it is stored; at most 8 dimensions and 2. */
struct match_shape {
    int64_t dims[OQ_WEIGHT_MAX_RANK + 2];
    size_t n_dims;
};

static bool set_shape(struct match_shape *shape, const struct oq_constant_value *constant)
{
    if (constant->n_dims > OQ_WEIGHT_MAX_RANK || constant->transposed)
        return false;
    shape->n_dims = constant->n_dims;
    for (size_t i = 0; i < shape->n_dims; i++)
        shape->dims[i] = constant->dims[i];
    return true;
}

/* [.., 1, N] against [.., K, N]; stored the other way round, both change places. */
static bool turn_columns(struct match_shape *shape, const struct oq_weight *weight, bool transposed)
{
    if (shape->n_dims > weight->n_axes || weight->n_axes < 2)
        return false;
    if (shape->n_dims >= 2 && shape->dims[shape->n_dims - 2] != 1)
        return false;
    if (!transposed || shape->n_dims == 0)
        return true;
    if (shape->n_dims == 1)
        shape->n_dims = 2;
    else
        shape->dims[shape->n_dims - 2] = shape->dims[shape->n_dims - 1];
    shape->dims[shape->n_dims - 1] = 1;
    return true;
}

/* A vector [n] along an axis of several: [n, 1, ..]. */
static bool turn_vector(struct match_shape *shape, const struct oq_weight *weight, size_t axis)
{
    if (shape->n_dims == 0 || (shape->n_dims == 1 && shape->dims[0] == 1)) {
        shape->n_dims = 0;
        return true;
    }
    if (shape->n_dims != 1 || axis >= weight->n_axes)
        return false;
    shape->n_dims = weight->n_axes - axis;
    for (size_t i = 1; i < shape->n_dims; i++)
        shape->dims[i] = 1;
    return true;
}

static const char *spread_numbers(struct oq_shared *shared, const struct oq_weight *weight,
                                  const struct oq_constant_value *integers,
                                  const struct oq_constant_value *constant, struct oq_spread spread)
{
    struct match_shape shape;
    const char *reason = oq_shared_set(shared, constant->tensor);
    bool fits = set_shape(&shape, constant);
    if (reason != NULL)
        return reason;
    if (fits && spread.kind == OQ_SPREAD_COLUMNS)
        fits = turn_columns(&shape, weight, integers->transposed);
    else if (fits && integers->transposed)
        fits = shape.n_dims == 0;
    if (fits && spread.kind == OQ_SPREAD_AXIS)
        fits = turn_vector(&shape, weight, spread.axis);
    if (fits && spread.kind == OQ_SPREAD_BLOCKS)
        fits = shape.n_dims == weight->n_axes && spread.axis < weight->n_axes && spread.block > 0;
    if (!fits)
        return "its scales or zero points do not fit its weight";
    const bool blocks = spread.kind == OQ_SPREAD_BLOCKS;
    return oq_shared_spread(shared, weight, shape.dims, shape.n_dims, spread.axis,
                            blocks ? spread.block : 1);
}

const char *oq_undo_float_scale(onnxq_dequantization *undo, const struct oq_match *match,
                                struct oq_weight *weight, struct oq_constant_value *constant)
{
    if (!oq_undo_constant(undo, match->place.graph, oq_node_input(match->place.node, 2), constant))
        return "its scale is no constant";
    if (oq_shared_set(&weight->scale, constant->tensor) != NULL || weight->scale.is_integer ||
        constant->data_type == DOUBLE)
        return "its scale is not float32, float16 or bfloat16";
    return NULL;
}

const char *oq_undo_scale(onnxq_dequantization *undo, const struct oq_graph *graph,
                          struct oq_weight *weight, const struct oq_constant_value *integers,
                          const char *name, struct oq_spread spread, int32_t *data_type)
{
    struct oq_constant_value constant;
    if (!oq_undo_constant(undo, graph, name, &constant))
        return "its scale is no constant";
    *data_type = constant.data_type;
    if (constant.tensor->dtype == NULL || !constant.tensor->dtype->is_float || *data_type == DOUBLE)
        return "its scale is not float32, float16 or bfloat16";
    return spread_numbers(&weight->scale, weight, integers, &constant, spread);
}

const char *oq_undo_factor(onnxq_dequantization *undo, const struct oq_graph *graph,
                           struct oq_weight *weight, const struct oq_constant_value *integers,
                           const char *name, int32_t data_type)
{
    const struct oq_spread broadcast = {OQ_SPREAD_BROADCAST, 0, 1};
    struct oq_constant_value constant;
    if (!oq_undo_constant(undo, graph, name, &constant))
        return "its scale is no constant";
    if (constant.data_type != data_type)
        return "its scales are of different types";
    return spread_numbers(&weight->factor, weight, integers, &constant, broadcast);
}

/* *zero: the integers of that tensor all are. */
static bool are_zero(onnxq_dequantization *undo, const struct oq_tensor *tensor, bool *zero)
{
    int32_t *q = (int32_t *)(void *)oq_recipe_floats(undo->scratch);
    struct oq_integer_type type;
    *zero = tensor->dtype != NULL && oq_tensor_integer_type(tensor, &type);
    for (uint64_t done = 0; *zero && done < tensor->nelem; done += OQ_READ_MAX_NELEM) {
        size_t n = (size_t)oq_min_u64(OQ_READ_MAX_NELEM, tensor->nelem - done);
        if (!oq_tensor_read_integers(tensor, type, done, n, q, undo->scratch, undo->error)) {
            oq_error_place(undo->error, "initializer \"%s\"", tensor->name);
            return false;
        }
        for (size_t i = 0; *zero && i < n; i++)
            *zero = q[i] == 0;
    }
    return true;
}

/* For int32, which must not have any other, and whose sums would not be exact. */
static const char *check_zeros(onnxq_dequantization *undo, const struct oq_tensor *tensor)
{
    enum oq_answer *is_zero = &undo->tensors[tensor->ordinal].is_zero;
    bool zero;
    if (*is_zero == OQ_NOT_ASKED) {
        if (!are_zero(undo, tensor, &zero)) {
            undo->failed = true;
            return "not readable";
        }
        *is_zero = zero ? OQ_YES : OQ_NO;
    }
    return *is_zero == OQ_YES ? NULL : "int32 with a zero point";
}

const char *oq_undo_zero_point(onnxq_dequantization *undo, const struct oq_graph *graph,
                               struct oq_weight *weight, const struct oq_constant_value *integers,
                               const char *name, struct oq_spread spread)
{
    struct oq_constant_value constant;
    if (name[0] == '\0')
        return NULL;
    if (!oq_undo_constant(undo, graph, name, &constant))
        return "its zero point is no constant";
    const char *reason = weight->type.nbits == 32 ? check_zeros(undo, constant.tensor) : NULL;
    if (reason != NULL || weight->type.nbits == 32)
        return reason;
    return spread_numbers(&weight->zero_point, weight, integers, &constant, spread);
}

/* --- what is stored --- */

/*
 * Float16 has steps of 2^-24 below 2^-14: of scales under four of them, and of a range that ends
 * below, the integers would not come back. Numbers below 2^-40 are as good as 0 beside others.
 */
#define HALF_LEAST_SCALE  0x1p-22f
#define HALF_LEAST_RANGE  0x1p-14f
#define HALF_LEAST_NUMBER (2 * HALF_LEAST_SCALE)
#define HALF_NEGLIGIBLE   0x1p-40f
#define HALF_LARGEST      65504.0F

/* Of some numbers, those that are 0 left out; infinity for what is no number. */
struct sizes {
    float least, largest;
};

/* What the weight stands for; what is negligible is left out as well. */
static struct sizes find_numbers(onnxq_dequantization *undo, const struct oq_weight *weight)
{
    struct oq_weight as_float = *weight;
    struct sizes sizes = {INFINITY, 0};
    float x[4096];
    as_float.data_type = OQ_TYPE(FLOAT);
    const struct oq_recipe recipe = oq_weight_recipe(&as_float);
    for (uint64_t done = 0, n; done < recipe.nbytes; done += n) {
        n = oq_min_u64(sizeof(x), recipe.nbytes - done);
        if (!recipe.produce(recipe.source, done, (size_t)n, (uint8_t *)x, undo->scratch,
                            undo->error)) {
            undo->failed = true;
            return sizes;
        }
        for (size_t i = 0; i < n / sizeof(*x); i++) {
            float size = x[i] < 0 ? -x[i] : x[i];
            size = size <= FLT_MAX ? size : INFINITY;
            sizes.largest = size > sizes.largest ? size : sizes.largest;
            sizes.least = size >= HALF_NEGLIGIBLE && size < sizes.least ? size : sizes.least;
        }
    }
    return sizes;
}

/* A channel of zeros may have any scale. */
static bool has_lost_numbers(onnxq_dequantization *undo, const struct oq_weight *weight)
{
    const struct sizes sizes = find_numbers(undo, weight);
    return undo->failed || sizes.least < HALF_LEAST_NUMBER ||
           (sizes.largest > 0 && sizes.largest < HALF_LEAST_NUMBER);
}

/* What the scales are multiplied by: the least, but for 0, and the largest; 1 where it is nothing.
 */
static bool find_factors(onnxq_dequantization *undo, const struct oq_shared *factor, float *least,
                         float *largest)
{
    enum { PART = 16 << 10 };
    float *x = oq_recipe_floats(undo->scratch);
    *least = *largest = 1;
    for (uint64_t done = 0; factor->tensor != NULL && done < factor->nelem; done += PART) {
        size_t n = (size_t)oq_min_u64(PART, factor->nelem - done);
        if (!oq_shared_read(factor, done, n, x, NULL, undo->scratch, undo->error)) {
            undo->failed = true;
            return false;
        }
        for (size_t i = 0; i < n; i++) {
            float size = x[i] < 0 ? -x[i] : x[i];
            *least = size > 0 && size < *least ? size : *least;
            *largest = size <= *largest ? *largest : size; /* NaN as well */
        }
    }
    return true;
}

static void note_scale(struct sizes *sizes, float scale)
{
    float size = scale < 0 ? -scale : scale;
    size = size <= FLT_MAX ? size : INFINITY;
    sizes->least = size > 0 && size < sizes->least ? size : sizes->least;
    sizes->largest = size > sizes->largest ? size : sizes->largest;
}

static bool find_scales(onnxq_dequantization *undo, const struct oq_weight *weight,
                        struct sizes *sizes)
{
    enum { PART = 16 << 10 };
    float *x = oq_recipe_floats(undo->scratch);
    float least, largest;
    *sizes = (struct sizes){INFINITY, 0};
    if (!find_factors(undo, &weight->factor, &least, &largest))
        return false;
    for (uint64_t done = 0; done < weight->scale.nelem; done += PART) {
        size_t n = (size_t)oq_min_u64(PART, weight->scale.nelem - done);
        if (!oq_shared_read(&weight->scale, done, n, x, NULL, undo->scratch, undo->error)) {
            undo->failed = true;
            return false;
        }
        for (size_t i = 0; i < n; i++) {
            note_scale(sizes, x[i] * least);
            note_scale(sizes, x[i] * largest);
        }
    }
    return true;
}

static float count_steps(const struct oq_weight *weight)
{
    return weight->table != NULL ? 1 : (float)((uint64_t)1 << weight->type.nbits);
}

static bool has_float_zero_points(const struct oq_weight *weight)
{
    return weight->zero_point.tensor != NULL && !weight->zero_point.is_integer;
}

/* Whether float16 holds what the weight stands for. */
static bool fits_half(onnxq_dequantization *undo, const struct oq_weight *weight,
                      const struct sizes *sizes)
{
    const float steps = count_steps(weight);
    if (has_float_zero_points(weight) || !(sizes->largest * steps <= HALF_LARGEST))
        return false;
    const bool may_be_too_small =
        sizes->least < HALF_LEAST_SCALE && sizes->least * steps / 2 < HALF_LEAST_RANGE;
    return !may_be_too_small || !has_lost_numbers(undo, weight);
}

/* False: some number is not finite in the type that the model has it in. Engines may multiply by
 * what does not fit it: MatMulNBits of float16 computes with float32. */
static bool is_finite(onnxq_dequantization *undo, const struct oq_weight *weight,
                      const struct sizes *sizes)
{
    const float most = weight->value_type == OQ_TYPE(FLOAT16) ? HALF_LARGEST : FLT_MAX;
    if (!has_float_zero_points(weight) && sizes->largest * count_steps(weight) <= most)
        return true;
    return find_numbers(undo, weight).largest <= most;
}

/* Weights of the same integers that are compared; real models have one or two. */
#define MAX_COMPARED 16

/* An equal one that was found before, or NULL; false on failure. */
static bool find_equal(onnxq_dequantization *undo, const struct oq_weight *weight,
                       struct oq_weight **found)
{
    struct oq_weight *other = undo->tensors[weight->values->ordinal].weights;
    bool equal = false;
    for (size_t n = 0; other != NULL && n < MAX_COMPARED; other = other->next, n++) {
        if (!oq_weight_equal(other, weight, undo->scratch, &equal, undo->error))
            return false;
        if (equal)
            break;
    }
    *found = equal ? other : NULL;
    return true;
}

static void add_to_list(struct oq_known_tensor *values, struct oq_weight *weight)
{
    if (values->last_weight == NULL)
        values->weights = weight;
    else
        values->last_weight->next = weight;
    values->last_weight = weight;
}

/* One number is enough where all are the same. */
static bool collapse(onnxq_dequantization *undo, struct oq_shared *shared)
{
    if (shared->tensor == NULL || shared->nelem < 2)
        return true;
    enum oq_answer *is_uniform = &undo->tensors[shared->tensor->ordinal].is_uniform;
    bool uniform = false;
    if (*is_uniform == OQ_NOT_ASKED) {
        if (!oq_shared_is_uniform(shared, undo->scratch, &uniform, undo->error))
            return false;
        *is_uniform = uniform ? OQ_YES : OQ_NO;
    }
    if (*is_uniform == OQ_YES)
        oq_shared_collapse(shared);
    return true;
}

const char *oq_undo_add_weight(onnxq_dequantization *undo, struct oq_match *match,
                               struct oq_weight *weight, const int64_t *dims, size_t n_dims,
                               int32_t value_type)
{
    weight->n_dims = n_dims;
    for (size_t i = 0; i < n_dims; i++)
        weight->dims[i] = dims[i];
    weight->value_type = weight->data_type = value_type;
    if (!collapse(undo, &weight->scale) || !collapse(undo, &weight->zero_point) ||
        !collapse(undo, &weight->factor)) {
        undo->failed = true;
        return "not readable";
    }
    if (!oq_weight_settle(weight))
        return "its weight is too large";
    struct oq_weight **place = &match->weights[match->n_weights++];
    if (!find_equal(undo, weight, place)) {
        undo->failed = true;
        return "not readable";
    }
    if (*place != NULL)
        return NULL;
    struct sizes sizes;
    if (!find_scales(undo, weight, &sizes))
        return "not readable";
    if (!is_finite(undo, weight, &sizes))
        return "its integers stand for numbers that its type does not hold";
    const bool is_wide = value_type == OQ_TYPE(FLOAT) || value_type == DOUBLE;
    if (undo->options.float_type == ONNXQ_FLOAT16 && is_wide && fits_half(undo, weight, &sizes))
        weight->data_type = OQ_TYPE(FLOAT16);
    add_to_list(&undo->tensors[weight->values->ordinal], weight);
    *place = weight;
    return NULL;
}

const char *oq_undo_columns(onnxq_dequantization *undo, const struct oq_graph *graph,
                            struct oq_weight *weight, const struct oq_constant_value *integers,
                            const char *scale, const char *zero_point)
{
    const struct oq_spread columns = {OQ_SPREAD_COLUMNS, 0, 1};
    int32_t data_type;
    const char *reason = oq_undo_scale(undo, graph, weight, integers, scale, columns, &data_type);
    if (reason == NULL && data_type != OQ_TYPE(FLOAT))
        reason = "its scale is not float32";
    return reason != NULL ? reason
                          : oq_undo_zero_point(undo, graph, weight, integers, zero_point, columns);
}

const char *oq_undo_matrix(onnxq_dequantization *undo, struct oq_match *match,
                           const struct oq_graph *graph, const char *name, const char *scale,
                           const char *zero_point)
{
    struct oq_constant_value integers;
    struct oq_weight *weight;
    const char *reason = oq_undo_weight(undo, graph, name, &weight, &integers);
    if (reason == NULL && integers.n_dims < 2)
        reason = "its weight is a vector";
    if (reason == NULL)
        reason = oq_undo_columns(undo, graph, weight, &integers, scale, zero_point);
    if (reason != NULL)
        return reason;
    match->turn = integers.transposed;
    return oq_undo_add_weight(undo, match, weight, integers.dims, integers.n_dims, OQ_TYPE(FLOAT));
}

/* --- all nodes --- */

static bool remember(onnxq_dequantization *undo, const struct oq_match *match)
{
    struct oq_match *copy = oq_arena_alloc(&undo->arena, sizeof(*copy));
    if (copy == NULL)
        return oq_arena_fail(&undo->arena, undo->error);
    *copy = *match;
    undo->matches[match->place.graph->ordinal][match->place.index] = copy;
    undo->n_matches++;
    return true;
}

static bool match_node(onnxq_dequantization *undo, const struct oq_graph *graph, size_t index)
{
    const Oq__Pb__NodeProto *node = graph->proto->node[index];
    const enum oq_operator_id op = oq_operator_id_of(node);
    for (const struct oq_form *const *form = oq_forms; *form != NULL; form++) {
        if (undo->claimed[graph->ordinal][index] || op != (*form)->op || node->n_output == 0)
            continue;
        const struct oq_place place = {graph, index, node};
        struct oq_match match = {.form = *form, .place = place, .subject = place, .bias = ""};
        enum oq_outcome outcome = (*form)->match(undo, &match);
        if (undo->failed || (outcome == OQ_MATCH && !remember(undo, &match)))
            return false;
        if (outcome != OQ_NO_MATCH)
            return true;
    }
    return true;
}

static bool allocate(onnxq_dequantization *undo)
{
    const struct oq_graphs *graphs = &undo->model->graphs;
    struct oq_arena *arena = &undo->arena;
    undo->scratch = oq_arena_alloc(arena, OQ_RECIPE_SCRATCH_NBYTES);
    undo->tensors = oq_arena_array(arena, undo->model->n_tensors + 1, sizeof(*undo->tensors));
    undo->cast_by_all = oq_arena_array(arena, graphs->n_values + 1, sizeof(*undo->cast_by_all));
    undo->matches = oq_arena_array(arena, graphs->count, sizeof(*undo->matches));
    undo->reasons = oq_arena_array(arena, graphs->count, sizeof(*undo->reasons));
    undo->claimed = oq_arena_array(arena, graphs->count, sizeof(*undo->claimed));
    undo->aliases = oq_arena_array(arena, graphs->count, sizeof(*undo->aliases));
    if (undo->scratch == NULL || undo->tensors == NULL || undo->cast_by_all == NULL ||
        undo->matches == NULL || undo->reasons == NULL || undo->claimed == NULL ||
        undo->aliases == NULL)
        return false;
    for (size_t g = 0; g < graphs->count; g++) {
        size_t n = graphs->list[g]->proto->n_node + 1;
        undo->matches[g] = oq_arena_array(arena, n, sizeof(**undo->matches));
        undo->reasons[g] = oq_arena_array(arena, n, sizeof(**undo->reasons));
        undo->claimed[g] = oq_arena_array(arena, n, sizeof(**undo->claimed));
        oq_strmap_init(&undo->aliases[g], arena);
        if (undo->matches[g] == NULL || undo->reasons[g] == NULL || undo->claimed[g] == NULL)
            return false;
    }
    return true;
}

bool oq_undo_match(onnxq_dequantization *undo)
{
    const struct oq_graphs *graphs = &undo->model->graphs;
    undo->freeze_inputs = undo->options.freeze_inputs || oq_model_lists_initializers(undo->model);
    if (!allocate(undo))
        return oq_arena_fail(&undo->arena, undo->error);
    for (size_t g = 0; g < graphs->count; g++)
        for (size_t i = 0; i < graphs->list[g]->proto->n_node; i++)
            if (!match_node(undo, graphs->list[g], i))
                return false;
    return true;
}
