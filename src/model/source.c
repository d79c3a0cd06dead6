/* Finds sources through chains of rearranging operators, and reads their elements. */
#include "model/source.h"

#include "base/checked.h"
#include "model/model.h"
#include "wire/data_type.h"

/* Longer chains of constant operators than exporters write; bounds the recursion. */
#define MAX_CHAIN 32

/* Nodes and stretches that are handled for one value: concatenations of concatenations grow fast.
 */
#define MAX_STEPS 1024

/* Dimensions and axes that are read from constants. */
#define MAX_RANK OQ_MAX_RANK

bool oq_source_from_tensor(struct oq_source *source, const struct oq_tensor *tensor,
                           struct oq_arena *arena)
{
    struct oq_span *span = oq_arena_alloc(arena, sizeof(*span));
    if (span == NULL)
        return false;
    *span = (struct oq_span){tensor, 0, tensor->nelem};
    *source = (struct oq_source){.spans = span,
                                 .n_spans = 1,
                                 .data_type = tensor->proto->data_type,
                                 .dtype = tensor->dtype,
                                 .dims = tensor->dims,
                                 .n_dims = tensor->n_dims,
                                 .nelem = tensor->nelem,
                                 .nbytes = tensor->nbytes};
    return true;
}

static void multiply(const struct oq_source *source, uint64_t first, size_t count, float *x)
{
    const uint64_t row = oq_nelem(source->dims, 1, source->n_dims);
    for (size_t done = 0; done < count;) {
        const uint64_t at = first + done;
        const size_t run = (size_t)oq_min_u64(count - done, row - at % row);
        for (size_t i = 0; i < run; i++)
            x[done + i] *= source->factors[at / row];
        done += run;
    }
}

static bool read_spans(const struct oq_source *source, uint64_t first, size_t count, float *dst,
                       void *scratch, onnxq_error *error)
{
    for (size_t i = 0; i < source->n_spans && count > 0; i++) {
        const struct oq_span *span = &source->spans[i];
        if (first >= span->nelem) {
            first -= span->nelem;
            continue;
        }
        size_t part = (size_t)oq_min_u64(count, span->nelem - first);
        if (!oq_tensor_read_floats(span->tensor, span->first + first, part, dst, scratch, error)) {
            oq_error_place(error, "initializer \"%s\"", span->tensor->name);
            return false;
        }
        first = 0;
        dst += part;
        count -= part;
    }
    return true;
}

bool oq_source_read_floats(const struct oq_source *source, uint64_t first, size_t count, float *dst,
                           void *scratch, onnxq_error *error)
{
    if (!read_spans(source, first, count, dst, scratch, error))
        return false;
    if (source->factors != NULL)
        multiply(source, first, count, dst);
    return true;
}

bool oq_source_next(struct oq_piece *piece, onnxq_error *error)
{
    const uint64_t most = OQ_READ_MAX_NELEM / piece->unit * piece->unit;
    piece->first += piece->n;
    piece->n = (size_t)oq_min_u64(most, piece->source->nelem - piece->first);
    piece->failed = piece->n > 0 && !oq_source_read_floats(piece->source, piece->first, piece->n,
                                                           piece->x, piece->scratch, error);
    return piece->n > 0 && !piece->failed;
}

/* --- evaluation --- */

struct finder {
    const struct onnxq_model *model;
    struct oq_arena *arena;
    bool inputs_are_frozen;
    onnxq_error *error;
    int depth;
    size_t steps;
};

/* What became of a step. OTHER is no failure: the value is simply not of this kind. */
enum outcome { FOUND, OTHER, FAILED };

static enum outcome out_of_memory(struct finder *finder)
{
    oq_arena_fail(finder->arena, finder->error);
    return FAILED;
}

static bool take_steps(struct finder *finder, size_t n)
{
    if (n > MAX_STEPS - finder->steps)
        return false;
    finder->steps += n;
    return true;
}

static enum outcome find(struct finder *finder, const struct oq_graph *graph, const char *name,
                         struct oq_source *source);

/* A short list of integers that is constant: axes, starts, a shape. */
static enum outcome find_int64s(struct finder *finder, const struct oq_graph *graph,
                                const char *name, int64_t *values, size_t *n)
{
    struct oq_source source;
    enum outcome outcome = find(finder, graph, name, &source);
    if (outcome != FOUND)
        return outcome;
    bool usable = source.n_spans == 1 && source.nelem <= MAX_RANK && source.spans[0].first == 0 &&
                  source.spans[0].nelem == source.spans[0].tensor->nelem && !source.transposed;
    if (!usable || !oq_tensor_is_integer(source.spans[0].tensor))
        return OTHER;
    *n = (size_t)source.nelem;
    return oq_tensor_read_int64s(source.spans[0].tensor, values, finder->error) ? FOUND : FAILED;
}

/* The same from an attribute (older opsets) or input number `input` (newer ones). */
static enum outcome find_parameter(struct finder *finder, const struct oq_graph *graph,
                                   const Oq__Pb__NodeProto *node, const char *attribute_name,
                                   size_t input, int64_t *values, size_t *n, bool *given)
{
    const Oq__Pb__AttributeProto *attribute = oq_node_attribute(node, attribute_name);
    *n = 0;
    *given = true;
    if (attribute != NULL) {
        if (attribute->n_ints > MAX_RANK)
            return OTHER;
        *n = attribute->n_ints;
        if (*n > 0)
            memcpy(values, attribute->ints, *n * sizeof(*values));
        return FOUND;
    }
    if (input < node->n_input && node->input[input][0] != '\0')
        return find_int64s(finder, graph, node->input[input], values, n);
    *given = false;
    return FOUND;
}

static enum outcome set_dims(struct finder *finder, struct oq_source *source, const int64_t *dims,
                             size_t n_dims)
{
    int64_t *copy = oq_arena_array(finder->arena, n_dims + 1, sizeof(*copy));
    uint64_t nelem = 1;
    if (copy == NULL)
        return out_of_memory(finder);
    for (size_t i = 0; i < n_dims; i++) {
        copy[i] = dims[i];
        if (dims[i] < 0 || !oq_mul_u64(nelem, (uint64_t)dims[i], &nelem))
            return OTHER;
    }
    if (nelem != source->nelem)
        return OTHER;
    source->dims = copy;
    source->n_dims = n_dims;
    return FOUND;
}

static bool contains(const int64_t *axes, size_t n, size_t rank, size_t axis)
{
    for (size_t i = 0; i < n; i++)
        if ((axes[i] < 0 ? axes[i] + (int64_t)rank : axes[i]) == (int64_t)axis)
            return true;
    return false;
}

/*
 * Squeeze (1, 11, 13): drops dimensions of 1, all of them where no axes are given. What an
 * empty list means is open: ONNX Runtime 1.31 takes it for none when it runs the node, and
 * for a list that drops nothing when it infers shapes.
 */
static enum outcome squeeze(struct finder *finder, const struct oq_graph *graph,
                            const Oq__Pb__NodeProto *node, struct oq_source *source)
{
    int64_t axes[MAX_RANK], dims[MAX_RANK];
    size_t n_axes, n = 0;
    bool given;
    enum outcome outcome = find_parameter(finder, graph, node, "axes", 1, axes, &n_axes, &given);
    if (outcome != FOUND)
        return outcome;
    if (given && n_axes == 0)
        return OTHER;
    for (size_t i = 0; i < source->n_dims; i++) {
        bool drop = given ? contains(axes, n_axes, source->n_dims, i) : source->dims[i] == 1;
        if (!drop)
            dims[n++] = source->dims[i];
    }
    return set_dims(finder, source, dims, n);
}

/* Unsqueeze (1, 11, 13): inserts dimensions of 1; axes count in the result. */
static enum outcome unsqueeze(struct finder *finder, const struct oq_graph *graph,
                              const Oq__Pb__NodeProto *node, struct oq_source *source)
{
    int64_t axes[MAX_RANK], dims[MAX_RANK];
    size_t n_axes, taken = 0;
    bool given;
    enum outcome outcome = find_parameter(finder, graph, node, "axes", 1, axes, &n_axes, &given);
    if (outcome != FOUND)
        return outcome;
    size_t rank = source->n_dims + n_axes;
    if (rank > MAX_RANK)
        return OTHER;
    for (size_t i = 0; i < rank; i++) {
        bool inserted = contains(axes, n_axes, rank, i);
        if (!inserted && taken == source->n_dims)
            return OTHER;
        dims[i] = inserted ? 1 : source->dims[taken++];
    }
    return set_dims(finder, source, dims, rank);
}

/* Reshape (5, 13, 14): 0 keeps a dimension (unless allowzero), one -1 takes what is left. */
static enum outcome reshape(struct finder *finder, const struct oq_graph *graph,
                            const Oq__Pb__NodeProto *node, struct oq_source *source)
{
    int64_t dims[MAX_RANK];
    size_t n, unknown = MAX_RANK;
    uint64_t known = 1;
    bool given;
    enum outcome outcome = find_parameter(finder, graph, node, "shape", 1, dims, &n, &given);
    if (outcome != FOUND || !given)
        return outcome == FOUND ? OTHER : outcome;
    for (size_t i = 0; i < n; i++) {
        if (dims[i] == 0 && oq_node_int(node, "allowzero", 0) == 0 && i < source->n_dims)
            dims[i] = source->dims[i];
        if (dims[i] == -1 && unknown == MAX_RANK)
            unknown = i;
        else if (dims[i] < 0 || !oq_mul_u64(known, (uint64_t)dims[i], &known))
            return OTHER;
    }
    if (unknown < MAX_RANK)
        dims[unknown] = known == 0 ? 0 : (int64_t)(source->nelem / known);
    return set_dims(finder, source, dims, n);
}

/* Flatten (1, 9, 11, 13): a matrix, cut before `axis`. */
static enum outcome flatten(struct finder *finder, const Oq__Pb__NodeProto *node,
                            struct oq_source *source)
{
    int64_t axis = oq_node_int(node, "axis", 1);
    int64_t dims[2] = {1, 1};
    axis += axis < 0 ? (int64_t)source->n_dims : 0;
    /* Without elements, the other dimensions may be of any size. */
    if (axis < 0 || axis > (int64_t)source->n_dims || source->nelem == 0)
        return OTHER;
    for (size_t i = 0; i < source->n_dims; i++)
        dims[(int64_t)i < axis ? 0 : 1] *= source->dims[i]; /* their product is nelem: it fits */
    return set_dims(finder, source, dims, 2);
}

/* Transpose (1, 13): of a matrix; other permutations only where they move nothing but ones. */
static enum outcome transpose(struct finder *finder, const Oq__Pb__NodeProto *node,
                              struct oq_source *source)
{
    const Oq__Pb__AttributeProto *perm = oq_node_attribute(node, "perm");
    int64_t dims[MAX_RANK], last = -1;
    bool seen[MAX_RANK] = {false}, in_order = true;
    size_t n = source->n_dims;
    if (perm != NULL && perm->n_ints != n)
        return OTHER;
    for (size_t i = 0; i < n; i++) {
        int64_t from = perm == NULL ? (int64_t)(n - 1 - i) : perm->ints[i];
        if (from < 0 || from >= (int64_t)n || seen[from])
            return OTHER;
        seen[from] = true;
        dims[i] = source->dims[from];
        if (dims[i] == 1)
            continue;
        in_order &= from > last;
        last = from;
    }
    if (in_order)
        return set_dims(finder, source, dims, n);
    if (n != 2)
        return OTHER;
    source->transposed = !source->transposed;
    return FOUND;
}

/* All dimensions before `axis` are 1: what lies along it is one stretch of elements. */
static bool is_leading(const struct oq_source *source, size_t axis)
{
    for (size_t i = 0; i < axis; i++)
        if (source->dims[i] != 1)
            return false;
    return true;
}

static uint64_t elements_behind(const struct oq_source *source, size_t axis)
{
    uint64_t n = 1;
    for (size_t i = axis + 1; i < source->n_dims; i++)
        n *= (uint64_t)source->dims[i];
    return n;
}

/* Elements [first, first + nelem) of a source as a list of spans of its own. */
static enum outcome cut(struct finder *finder, struct oq_source *source, uint64_t first,
                        uint64_t nelem)
{
    size_t n = 0;
    if (!take_steps(finder, source->n_spans))
        return OTHER;
    struct oq_span *spans = oq_arena_array(finder->arena, source->n_spans + 1, sizeof(*spans));
    if (spans == NULL)
        return out_of_memory(finder);
    source->nelem = nelem;
    for (size_t i = 0; i < source->n_spans && nelem > 0; i++) {
        struct oq_span span = source->spans[i];
        if (first >= span.nelem) {
            first -= span.nelem;
            continue;
        }
        span.first += first;
        span.nelem = oq_min_u64(span.nelem - first, nelem);
        nelem -= span.nelem;
        first = 0;
        spans[n++] = span;
    }
    source->spans = spans;
    source->n_spans = n;
    return FOUND;
}

static int64_t clamp_index(int64_t index, int64_t size)
{
    if (index < 0)
        index = index < -size ? 0 : index + size;
    return index > size ? size : index;
}

/* Slice (1, 10, 11, 13): forward, without gaps, along the first axis that is not 1. */
static enum outcome slice(struct finder *finder, const struct oq_graph *graph,
                          const Oq__Pb__NodeProto *node, struct oq_source *source)
{
    int64_t starts[MAX_RANK], ends[MAX_RANK], axes[MAX_RANK], steps[MAX_RANK], dims[MAX_RANK];
    size_t n, n_ends, n_axes, n_steps;
    bool given, has_axes, has_steps;
    enum outcome outcome = find_parameter(finder, graph, node, "starts", 1, starts, &n, &given);
    if (outcome == FOUND)
        outcome = find_parameter(finder, graph, node, "ends", 2, ends, &n_ends, &given);
    if (outcome == FOUND)
        outcome = find_parameter(finder, graph, node, "axes", 3, axes, &n_axes, &has_axes);
    if (outcome == FOUND)
        outcome = find_parameter(finder, graph, node, "steps", 4, steps, &n_steps, &has_steps);
    if (outcome != FOUND)
        return outcome;
    bool one_axis = n == 1 && n_ends == 1 && (!has_axes || n_axes == 1) &&
                    (!has_steps || (n_steps == 1 && steps[0] == 1));
    int64_t axis = has_axes && one_axis ? axes[0] : 0;
    axis += axis < 0 ? (int64_t)source->n_dims : 0;
    if (!one_axis || axis < 0 || axis >= (int64_t)source->n_dims ||
        !is_leading(source, (size_t)axis))
        return OTHER;
    int64_t start = clamp_index(starts[0], source->dims[axis]);
    int64_t end = clamp_index(ends[0], source->dims[axis]);
    int64_t count = end > start ? end - start : 0;
    uint64_t step = elements_behind(source, (size_t)axis);
    memcpy(dims, source->dims, source->n_dims * sizeof(*dims));
    dims[axis] = count;
    outcome = cut(finder, source, (uint64_t)start * step, (uint64_t)count * step);
    return outcome == FOUND ? set_dims(finder, source, dims, source->n_dims) : outcome;
}

/* A list of spans of its own, which grows. */
struct spans {
    struct oq_span *list;
    size_t count, capacity;
};

static enum outcome append_spans(struct finder *finder, struct spans *spans,
                                 const struct oq_source *source)
{
    if (!take_steps(finder, source->n_spans))
        return OTHER;
    for (size_t i = 0; i < source->n_spans; i++) {
        if (!oq_arena_grow(finder->arena, &spans->list, spans->count, &spans->capacity,
                           sizeof(*spans->list)))
            return out_of_memory(finder);
        spans->list[spans->count++] = source->spans[i];
    }
    return FOUND;
}

/* Puts another source behind this one along `axis`; the spans are the caller's business. */
static enum outcome append(struct finder *finder, struct oq_source *source,
                           const struct oq_source *next, size_t axis)
{
    int64_t dims[MAX_RANK];
    if (next->n_dims != source->n_dims || next->transposed || !is_leading(next, axis) ||
        elements_behind(next, axis) != elements_behind(source, axis) ||
        next->data_type != source->data_type)
        return OTHER;
    source->nelem += next->nelem;
    memcpy(dims, source->dims, source->n_dims * sizeof(*dims));
    if (__builtin_add_overflow(dims[axis], next->dims[axis], &dims[axis]))
        return OTHER;
    return set_dims(finder, source, dims, source->n_dims);
}

/* Concat (1, 4, 11, 13): along the first axis that is not 1. */
static enum outcome concat(struct finder *finder, const struct oq_graph *graph,
                           const Oq__Pb__NodeProto *node, struct oq_source *source)
{
    int64_t axis = oq_node_int(node, "axis", 1);
    axis += axis < 0 ? (int64_t)source->n_dims : 0;
    if (axis < 0 || axis >= (int64_t)source->n_dims || !is_leading(source, (size_t)axis))
        return OTHER;
    struct spans spans = {0};
    enum outcome outcome = append_spans(finder, &spans, source);
    for (size_t i = 1; outcome == FOUND && i < node->n_input; i++) {
        struct oq_source next;
        outcome = find(finder, graph, node->input[i], &next);
        if (outcome == FOUND)
            outcome = append_spans(finder, &spans, &next);
        if (outcome == FOUND)
            outcome = append(finder, source, &next, (size_t)axis);
    }
    source->spans = spans.list;
    source->n_spans = spans.count;
    return outcome;
}

/* Cast (6, 9, 13, 19, 21): to float32, which every float type here is read as. */
static enum outcome cast(const Oq__Pb__NodeProto *node, struct oq_source *source)
{
    int32_t float32 = OQ_TYPE(FLOAT);
    if (oq_node_int(node, "to", 0) != float32 || source->dtype == NULL || !source->dtype->is_float)
        return OTHER;
    source->data_type = float32;
    source->dtype = oq_dtype_find(float32);
    return FOUND;
}

static const char *const seen_through[] = {"Cast",  "Concat",  "Flatten",   "Identity", "Reshape",
                                           "Slice", "Squeeze", "Transpose", "Unsqueeze"};

bool oq_source_sees_through(const Oq__Pb__NodeProto *node)
{
    for (size_t i = 0; i < sizeof(seen_through) / sizeof(seen_through[0]); i++)
        if (oq_node_is(node, "", seen_through[i]))
            return node->n_input > 0 && node->n_output == 1;
    return false;
}

static enum outcome apply(struct finder *finder, const struct oq_graph *graph,
                          const Oq__Pb__NodeProto *node, struct oq_source *source)
{
    const char *op_type = node->op_type;
    if (strcmp(op_type, "Identity") == 0)
        return FOUND;
    if (strcmp(op_type, "Cast") == 0)
        return cast(node, source);
    if (source->n_dims > MAX_RANK)
        return OTHER;
    if (strcmp(op_type, "Transpose") == 0)
        return transpose(finder, node, source);
    if (source->transposed) /* what is stored is not in the order that these see */
        return OTHER;
    if (strcmp(op_type, "Squeeze") == 0)
        return squeeze(finder, graph, node, source);
    if (strcmp(op_type, "Unsqueeze") == 0)
        return unsqueeze(finder, graph, node, source);
    if (strcmp(op_type, "Flatten") == 0)
        return flatten(finder, node, source);
    if (strcmp(op_type, "Reshape") == 0)
        return reshape(finder, graph, node, source);
    return strcmp(op_type, "Slice") == 0 ? slice(finder, graph, node, source)
                                         : concat(finder, graph, node, source);
}

static enum outcome find_node(struct finder *finder, const struct oq_value *value,
                              struct oq_source *source)
{
    const Oq__Pb__NodeProto *node = value->graph->proto->node[value->index];
    const Oq__Pb__TensorProto *proto = oq_value_tensor(value);
    if (proto != NULL)
        return oq_source_from_tensor(source, oq_model_tensor(finder->model, proto), finder->arena)
                   ? FOUND
                   : out_of_memory(finder);
    if (!oq_source_sees_through(node) || finder->depth == MAX_CHAIN || finder->steps++ == MAX_STEPS)
        return OTHER;
    finder->depth++;
    enum outcome outcome = find(finder, value->graph, node->input[0], source);
    if (outcome == FOUND)
        outcome = apply(finder, value->graph, node, source);
    finder->depth--;
    return outcome;
}

/* Recursion goes no deeper than MAX_CHAIN nodes. */
static enum outcome find(struct finder *finder, const struct oq_graph *graph, const char *name,
                         struct oq_source *source)
{
    const struct oq_value *value = oq_graph_find(graph, name);
    if (value == NULL)
        return OTHER;
    if (value->origin == OQ_ORIGIN_NODE)
        return find_node(finder, value, source);
    if (value->origin != OQ_ORIGIN_INITIALIZER ||
        (value->is_graph_input && !finder->inputs_are_frozen))
        return OTHER;
    const Oq__Pb__TensorProto *proto = value->graph->proto->initializer[value->index];
    return oq_source_from_tensor(source, oq_model_tensor(finder->model, proto), finder->arena)
               ? FOUND
               : out_of_memory(finder);
}

bool oq_source_find(struct oq_source *source, const struct onnxq_model *model,
                    const struct oq_graph *graph, const char *name, bool inputs_are_frozen,
                    struct oq_arena *arena, bool *found, onnxq_error *error)
{
    struct finder finder = {model, arena, inputs_are_frozen, error, 0, 0};
    enum outcome outcome = find(&finder, graph, name, source);
    *found = outcome == FOUND;
    if (*found && source->dtype != NULL &&
        !oq_dtype_nbytes(source->dtype, source->nelem, &source->nbytes))
        *found = false;
    return outcome != FAILED;
}
