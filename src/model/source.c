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

/* Rows of matrices that columns are cut out of, for one value. */
#define MAX_ROWS 32768

/* Shorter stretches than this one on average take more room than what they are about. */
#define MIN_STRETCH 8

/*
 * Stretches and factors of a source, and what part of their arena all sources may fill that have
 * more: a few nodes can ask for very many. What finds no room is a value like any other.
 */
#define SMALL_NBYTES 4096
#define PARTS        8

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
    const uint64_t n = source->factor_nelem;
    uint64_t channel = first / n % source->n_factors, left = n - first % n;
    for (size_t done = 0; done < count; left = n) {
        const size_t run = (size_t)oq_min_u64(count - done, left);
        for (size_t i = 0; i < run; i++)
            x[done + i] *= source->factors[channel];
        channel = channel + 1 == source->n_factors ? 0 : channel + 1;
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

bool oq_source_read_many(const struct oq_source *source, uint64_t first, uint64_t count, float *dst,
                         void *scratch, onnxq_error *error)
{
    for (uint64_t done = 0, some; done < count; done += some) {
        some = oq_min_u64(count - done, OQ_READ_MAX_NELEM);
        if (!oq_source_read_floats(source, first + done, (size_t)some, dst + done, scratch, error))
            return false;
    }
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
    size_t steps, rows;
    void *scratch; /* to read elements, once it is needed */
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

/* A list of spans of its own, which grows. */
struct spans {
    struct oq_span *list;
    size_t count, capacity;
};

static enum outcome append_span(struct finder *finder, struct spans *spans,
                                const struct oq_span *span)
{
    if (!oq_arena_grow(finder->arena, &spans->list, spans->count, &spans->capacity,
                       sizeof(*spans->list)))
        return out_of_memory(finder);
    spans->list[spans->count++] = *span;
    return FOUND;
}

/* A place in a list of spans, which moves forward. */
struct place {
    const struct oq_span *span;
    uint64_t start; /* of the span, in elements of the source */
};

/* Elements [first, first + nelem), behind those that the place has passed. */
static enum outcome append_stretch(struct finder *finder, struct spans *spans, struct place *place,
                                   uint64_t first, uint64_t nelem)
{
    enum outcome outcome = FOUND;
    while (outcome == FOUND && nelem > 0) {
        if (first >= place->start + place->span->nelem) {
            place->start += place->span->nelem;
            place->span++;
            continue;
        }
        struct oq_span span = *place->span;
        span.first += first - place->start;
        span.nelem = oq_min_u64(place->start + span.nelem - first, nelem);
        first += span.nelem;
        nelem -= span.nelem;
        outcome = append_span(finder, spans, &span);
    }
    return outcome;
}

/*
 * Axes change places, but for the last ones of `unit` elements: those stretches of one tensor in
 * another order. dims: of the result; perm: where its axes are.
 */
static enum outcome permute(struct finder *finder, struct oq_source *source, const int64_t *perm,
                            const int64_t *dims, uint64_t unit)
{
    const size_t n = source->n_dims;
    const uint64_t count = unit == 0 ? 0 : source->nelem / unit;
    int64_t strides[MAX_RANK];
    struct spans spans = {0};
    enum outcome outcome = FOUND;
    if (source->n_spans != 1 || source->factors != NULL || unit < MIN_STRETCH ||
        count > MAX_ROWS - finder->rows)
        return OTHER;
    finder->rows += count;
    for (size_t i = 0; i < n; i++)
        strides[i] = (int64_t)elements_behind(source, (size_t)perm[i]);
    for (uint64_t i = 0; outcome == FOUND && i < count; i++) {
        struct oq_span span = {source->spans->tensor, source->spans->first, unit};
        uint64_t rest = i * unit;
        for (size_t axis = n; axis-- > 0; rest /= (uint64_t)dims[axis])
            span.first += rest % (uint64_t)dims[axis] * (uint64_t)strides[axis];
        outcome = append_span(finder, &spans, &span);
    }
    source->spans = spans.list;
    source->n_spans = spans.count;
    return outcome == FOUND ? set_dims(finder, source, dims, n) : outcome;
}

/* Elements of the last axes that stay where they are. */
static uint64_t count_in_place(const int64_t *perm, const int64_t *dims, size_t n)
{
    uint64_t unit = 1;
    while (n > 0 && perm[n - 1] == (int64_t)n - 1)
        unit *= (uint64_t)dims[--n];
    return unit;
}

/* Transpose (1, 13): of a matrix, or of more axes where the last one stays. */
static enum outcome transpose(struct finder *finder, const Oq__Pb__NodeProto *node,
                              struct oq_source *source)
{
    const Oq__Pb__AttributeProto *attribute = oq_node_attribute(node, "perm");
    int64_t dims[MAX_RANK], perm[MAX_RANK], last = -1;
    bool seen[MAX_RANK] = {false}, in_order = true;
    size_t n = source->n_dims;
    if (attribute != NULL && attribute->n_ints != n)
        return OTHER;
    for (size_t i = 0; i < n; i++) {
        int64_t from = attribute == NULL ? (int64_t)(n - 1 - i) : attribute->ints[i];
        if (from < 0 || from >= (int64_t)n || seen[from])
            return OTHER;
        seen[from] = true;
        perm[i] = from;
        dims[i] = source->dims[from];
        if (dims[i] == 1)
            continue;
        in_order &= from > last;
        last = from;
    }
    if (in_order)
        return set_dims(finder, source, dims, n);
    if (n == 2) {
        source->transposed = !source->transposed;
        return FOUND;
    }
    return n > 0 && perm[n - 1] == (int64_t)n - 1
               ? permute(finder, source, perm, dims, count_in_place(perm, dims, n))
               : OTHER;
}

/* Keeps [start, start + count) of an axis of what is stored. */
static enum outcome cut(struct finder *finder, struct oq_source *source, size_t axis, int64_t start,
                        int64_t count)
{
    const uint64_t behind = elements_behind(source, axis);
    const uint64_t row = behind * (uint64_t)source->dims[axis];
    const uint64_t rows = row == 0 || count == 0 ? 0 : source->nelem / row;
    const bool is_whole = count == source->dims[axis];
    struct spans spans = {0};
    struct place place = {source->spans, 0};
    int64_t dims[MAX_RANK];
    enum outcome outcome = FOUND;
    if (is_whole)
        return FOUND;
    if (source->factors != NULL || !take_steps(finder, source->n_spans < 2 ? 1 : source->n_spans) ||
        rows > MAX_ROWS - finder->rows)
        return OTHER;
    finder->rows += rows;
    for (uint64_t i = 0; outcome == FOUND && i < rows; i++)
        outcome = append_stretch(finder, &spans, &place, i * row + (uint64_t)start * behind,
                                 (uint64_t)count * behind);
    memcpy(dims, source->dims, source->n_dims * sizeof(*dims));
    dims[axis] = count;
    source->spans = spans.list;
    source->n_spans = spans.count;
    source->nelem = rows * (uint64_t)count * behind;
    return outcome == FOUND ? set_dims(finder, source, dims, source->n_dims) : outcome;
}

/* The axis of what is stored that is that axis of the value; false where there is none. */
static bool find_stored_axis(const struct oq_source *source, int64_t axis, size_t *stored)
{
    const int64_t rank = (int64_t)source->n_dims;
    axis += axis < 0 ? rank : 0;
    *stored = (size_t)(source->transposed ? 1 - axis : axis);
    return axis >= 0 && axis < rank;
}

static int64_t clamp_index(int64_t index, int64_t size)
{
    if (index < 0)
        index = index < -size ? 0 : index + size;
    return index > size ? size : index;
}

/* Slice (1, 10, 11, 13): forward, without gaps, along one axis. */
static enum outcome slice(struct finder *finder, const struct oq_graph *graph,
                          const Oq__Pb__NodeProto *node, struct oq_source *source)
{
    int64_t starts[MAX_RANK], ends[MAX_RANK], axes[MAX_RANK], steps[MAX_RANK];
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
    size_t axis;
    if (!one_axis || !find_stored_axis(source, has_axes ? axes[0] : 0, &axis))
        return OTHER;
    int64_t start = clamp_index(starts[0], source->dims[axis]);
    int64_t end = clamp_index(ends[0], source->dims[axis]);
    return cut(finder, source, axis, start, end > start ? end - start : 0);
}

/* Gather (1, 11, 13) by one index: a layer, or an expert, of those in one tensor. */
static enum outcome gather(struct finder *finder, const struct oq_graph *graph,
                           const Oq__Pb__NodeProto *node, struct oq_source *source)
{
    struct oq_source indices;
    int64_t index[MAX_RANK], dims[MAX_RANK];
    size_t n, axis, n_dims = 0;
    enum outcome outcome = find(finder, graph, node->input[1], &indices);
    if (outcome == FOUND)
        outcome = find_int64s(finder, graph, node->input[1], index, &n);
    if (outcome != FOUND)
        return outcome;
    if (n != 1 || indices.n_dims > 1 || source->transposed ||
        !find_stored_axis(source, oq_node_int(node, "axis", 0), &axis))
        return OTHER;
    index[0] += index[0] < 0 ? source->dims[axis] : 0;
    if (index[0] < 0 || index[0] >= source->dims[axis])
        return OTHER;
    outcome = cut(finder, source, axis, index[0], 1);
    for (size_t i = 0; i < source->n_dims; i++)
        if (i != axis || indices.n_dims == 1)
            dims[n_dims++] = source->dims[i];
    return outcome == FOUND ? set_dims(finder, source, dims, n_dims) : outcome;
}

/* Split into parts of one size (where they do not fit, the last one is smaller): its place. */
static enum outcome find_even_part(const Oq__Pb__NodeProto *node, size_t output, int64_t size,
                                   int64_t *start, int64_t *count)
{
    const int64_t n = oq_node_int(node, "num_outputs", (int64_t)node->n_output);
    if (n < 1 || (size_t)n != node->n_output || n > size)
        return OTHER;
    const int64_t part = (size + n - 1) / n;
    *start = part * (int64_t)output;
    *count = size - *start < part ? size - *start : part;
    return *count > 0 ? FOUND : OTHER;
}

/* Split (1, 2, 11, 13, 18): output number `output` of it. */
static enum outcome split(struct finder *finder, const struct oq_graph *graph,
                          const Oq__Pb__NodeProto *node, size_t output, struct oq_source *source)
{
    int64_t sizes[MAX_RANK], start = 0, count = 0, total = 0;
    size_t axis, n;
    bool given;
    enum outcome outcome = find_parameter(finder, graph, node, "split", 1, sizes, &n, &given);
    if (outcome != FOUND || !find_stored_axis(source, oq_node_int(node, "axis", 0), &axis))
        return outcome == FOUND ? OTHER : outcome;
    for (size_t i = 0; given && i < n; i++) {
        if (sizes[i] < 0 || sizes[i] > source->dims[axis] - total)
            return OTHER;
        start = i == output ? total : start;
        total += sizes[i];
    }
    if (given && (n != node->n_output || total != source->dims[axis]))
        return OTHER;
    count = given ? sizes[output] : 0;
    if (!given)
        outcome = find_even_part(node, output, source->dims[axis], &start, &count);
    return outcome == FOUND ? cut(finder, source, axis, start, count) : outcome;
}

static enum outcome append_spans(struct finder *finder, struct spans *spans,
                                 const struct oq_source *source)
{
    if (!take_steps(finder, source->n_spans))
        return OTHER;
    for (size_t i = 0; i < source->n_spans; i++)
        if (append_span(finder, spans, &source->spans[i]) != FOUND)
            return FAILED;
    return FOUND;
}

/* Puts another source behind this one along `axis`; the spans are the caller's business. */
static enum outcome append(struct finder *finder, struct oq_source *source,
                           const struct oq_source *next, size_t axis)
{
    int64_t dims[MAX_RANK];
    if (next->n_dims != source->n_dims || next->transposed || next->factors != NULL ||
        next->data_type != source->data_type)
        return OTHER;
    for (size_t i = 0; i < source->n_dims; i++)
        if (i != axis && next->dims[i] != source->dims[i])
            return OTHER;
    source->nelem += next->nelem;
    memcpy(dims, source->dims, source->n_dims * sizeof(*dims));
    if (__builtin_add_overflow(dims[axis], next->dims[axis], &dims[axis]))
        return OTHER;
    return set_dims(finder, source, dims, source->n_dims);
}

/* Parts that are put together along an axis behind others. */
#define MAX_PARTS 16

/* A stretch of each in turn: rows of matrices that lie side by side. */
static enum outcome join_rows(struct finder *finder, const struct oq_source *parts, size_t n,
                              size_t axis, struct spans *spans)
{
    struct place places[MAX_PARTS];
    enum outcome outcome = FOUND;
    uint64_t rows = 1, nelem = 0;
    for (size_t i = 0; i < axis; i++)
        rows *= (uint64_t)parts->dims[i];
    for (size_t i = 0; i < n; i++)
        nelem += parts[i].nelem;
    if (n == 0 || rows == 0 || rows > (MAX_ROWS - finder->rows) / n ||
        nelem / (rows * n) < MIN_STRETCH)
        return OTHER;
    finder->rows += rows * n;
    for (size_t i = 0; i < n; i++)
        places[i] = (struct place){parts[i].spans, 0};
    for (uint64_t row = 0; row < rows; row++)
        for (size_t i = 0; outcome == FOUND && i < n; i++) {
            const uint64_t width = parts[i].nelem / rows;
            outcome = append_stretch(finder, spans, &places[i], row * width, width);
        }
    return outcome;
}

/* Concat (1, 4, 11, 13): one behind the other, or rows that lie side by side. */
static enum outcome concat(struct finder *finder, const struct oq_graph *graph,
                           const Oq__Pb__NodeProto *node, struct oq_source *source)
{
    int64_t axis = oq_node_int(node, "axis", 1);
    axis += axis < 0 ? (int64_t)source->n_dims : 0;
    if (axis < 0 || axis >= (int64_t)source->n_dims || source->factors != NULL)
        return OTHER;
    const bool is_behind = is_leading(source, (size_t)axis);
    if (!is_behind && (node->n_input > MAX_PARTS || source->nelem == 0))
        return OTHER;
    struct oq_source parts[MAX_PARTS] = {*source};
    struct spans spans = {0};
    enum outcome outcome = is_behind ? append_spans(finder, &spans, source) : FOUND;
    for (size_t i = 1; outcome == FOUND && i < node->n_input; i++) {
        struct oq_source *next = &parts[is_behind ? 0 : i];
        outcome = find(finder, graph, node->input[i], next);
        if (outcome == FOUND && is_behind)
            outcome = append_spans(finder, &spans, next);
        if (outcome == FOUND)
            outcome = append(finder, source, next, (size_t)axis);
    }
    if (outcome == FOUND && !is_behind)
        outcome = join_rows(finder, parts, node->n_input, (size_t)axis, &spans);
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

bool oq_source_may_make(const Oq__Pb__NodeProto *node)
{
    return oq_source_sees_through(node) || (node->n_input > 0 && oq_node_is(node, "", "Split")) ||
           (node->n_input == 2 && node->n_output == 1 && OQ_NODE_IS(node, "Gather", "Mul", "Div"));
}

static size_t find_output(const Oq__Pb__NodeProto *node, const char *name)
{
    size_t i = 0;
    while (i < node->n_output && strcmp(node->output[i], name) != 0)
        i++;
    return i;
}

static enum outcome apply(struct finder *finder, const struct oq_graph *graph,
                          const Oq__Pb__NodeProto *node, const char *output,
                          struct oq_source *source)
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
    if (strcmp(op_type, "Slice") == 0)
        return slice(finder, graph, node, source);
    if (strcmp(op_type, "Split") == 0)
        return split(finder, graph, node, find_output(node, output), source);
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
    if (strcmp(op_type, "Gather") == 0)
        return gather(finder, graph, node, source);
    return concat(finder, graph, node, source);
}

/* --- products with constants --- */

/* Numbers that a weight is multiplied by, or divided: one for all, or one for each channel. */
#define MAX_FACTORS 65536

struct factor_list {
    const int64_t *dims;
    size_t n_dims, n;
    float *x;
};

static bool find_scratch(struct finder *finder)
{
    if (finder->scratch == NULL)
        finder->scratch = oq_arena_alloc(finder->arena, OQ_READ_SCRATCH_NBYTES);
    return finder->scratch != NULL;
}

static enum outcome read_numbers(struct finder *finder, const struct oq_source *source,
                                 struct factor_list *numbers)
{
    if (source->dtype == NULL || source->data_type != OQ_TYPE(FLOAT) || source->transposed ||
        source->nelem == 0 || source->nelem > MAX_FACTORS)
        return OTHER;
    numbers->dims = source->dims;
    numbers->n_dims = source->n_dims;
    numbers->n = (size_t)source->nelem;
    numbers->x = oq_arena_array(finder->arena, numbers->n, sizeof(*numbers->x));
    if (numbers->x == NULL || !find_scratch(finder))
        return out_of_memory(finder);
    for (size_t done = 0, part; done < numbers->n; done += part) {
        part = (size_t)oq_min_u64(numbers->n - done, OQ_READ_MAX_NELEM);
        if (!oq_source_read_floats(source, done, part, numbers->x + done, finder->scratch,
                                   finder->error))
            return FAILED;
    }
    return FOUND;
}

/* The axis of the value along which the numbers lie, as they broadcast to it; -1: one for all. */
static bool find_axis(const struct oq_source *source, const struct factor_list *numbers, int *axis)
{
    const size_t rank = source->n_dims;
    *axis = -1;
    if (numbers->n_dims > rank)
        return false;
    for (size_t i = 0; i < numbers->n_dims; i++) {
        const size_t of_value = rank - numbers->n_dims + i;
        const size_t stored = source->transposed ? 1 - of_value : of_value;
        if (numbers->dims[i] == 1)
            continue;
        if (*axis >= 0 || numbers->dims[i] != source->dims[stored])
            return false;
        *axis = (int)stored;
    }
    return true;
}

static enum outcome multiply_source(struct finder *finder, struct oq_source *source,
                                    const struct factor_list *numbers)
{
    int axis;
    if (source->n_dims > MAX_RANK || source->data_type != OQ_TYPE(FLOAT) ||
        !find_axis(source, numbers, &axis))
        return OTHER;
    const uint64_t nelem = axis < 0 ? source->nelem : elements_behind(source, (size_t)axis);
    const bool is_new = source->factors == NULL;
    const bool is_same =
        !is_new && nelem == source->factor_nelem && numbers->n == source->n_factors;
    if (nelem == 0 || (!is_new && axis >= 0 && !is_same))
        return OTHER;
    const size_t n = is_new ? numbers->n : (size_t)source->n_factors;
    float *factors = oq_arena_array(finder->arena, n, sizeof(*factors));
    if (factors == NULL)
        return out_of_memory(finder);
    for (size_t i = 0; i < n; i++)
        factors[i] = (is_new ? 1 : source->factors[i]) * numbers->x[axis < 0 ? 0 : i];
    source->factors = factors;
    if (is_new) {
        source->factor_nelem = nelem;
        source->n_factors = n;
    }
    return FOUND;
}

/* The two factors of a Mul or Div: the larger constant is the weight, the other one numbers. */
static enum outcome find_factors(struct finder *finder, const struct oq_graph *graph,
                                 const Oq__Pb__NodeProto *node, struct oq_source *weight,
                                 struct factor_list *numbers)
{
    struct oq_source sources[2] = {{0}};
    for (size_t i = 0; i < 2; i++) {
        enum outcome outcome = find(finder, graph, node->input[i], &sources[i]);
        if (outcome != FOUND)
            return outcome;
    }
    const size_t of = oq_node_is(node, "", "Div") || sources[0].nelem >= sources[1].nelem ? 0 : 1;
    *weight = sources[of];
    return read_numbers(finder, &sources[1 - of], numbers);
}

/* Mul, Div (7, 13, 14). */
static enum outcome scale(struct finder *finder, const struct oq_graph *graph,
                          const Oq__Pb__NodeProto *node, struct oq_source *source)
{
    struct factor_list numbers = {0};
    enum outcome outcome = find_factors(finder, graph, node, source, &numbers);
    for (size_t i = 0; oq_node_is(node, "", "Div") && outcome == FOUND && i < numbers.n; i++)
        numbers.x[i] = 1 / numbers.x[i];
    return outcome == FOUND ? multiply_source(finder, source, &numbers) : outcome;
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
    if (!oq_source_may_make(node) || finder->depth == MAX_CHAIN || !take_steps(finder, 1))
        return OTHER;
    finder->depth++;
    bool scales = OQ_NODE_IS(node, "Mul", "Div");
    enum outcome outcome = scales ? scale(finder, value->graph, node, source)
                                  : find(finder, value->graph, node->input[0], source);
    if (outcome == FOUND && !scales)
        outcome = apply(finder, value->graph, node, value->name, source);
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

static bool copy_array(struct oq_arena *arena, const void *from, size_t nbytes, void *pointer)
{
    void *copy = oq_arena_alloc(arena, nbytes);
    if (copy != NULL && nbytes > 0)
        memcpy(copy, from, nbytes);
    memcpy(pointer, &copy, sizeof(copy)); /* the address of a typed pointer */
    return copy != NULL;
}

/* Moves what was found out of the arena of the search. */
static bool keep(struct oq_source *source, struct oq_arena *arena, bool *found, onnxq_error *error)
{
    const size_t spans_nbytes = source->n_spans * sizeof(*source->spans);
    const size_t factors_nbytes = (size_t)source->n_factors * sizeof(*source->factors);
    const size_t nbytes = spans_nbytes + factors_nbytes;
    *found = nbytes <= SMALL_NBYTES || nbytes + arena->allocated <= arena->budget / PARTS;
    if (!*found)
        return true;
    const bool ok =
        copy_array(arena, source->spans, spans_nbytes, &source->spans) &&
        copy_array(arena, source->dims, source->n_dims * sizeof(*source->dims), &source->dims) &&
        (source->factors == NULL ||
         copy_array(arena, source->factors, factors_nbytes, &source->factors));
    return ok || oq_arena_fail(arena, error);
}

bool oq_source_find(struct oq_source *source, const struct onnxq_model *model,
                    const struct oq_graph *graph, const char *name, bool inputs_are_frozen,
                    struct oq_arena *arena, bool *found, onnxq_error *error)
{
    struct oq_arena scratch;
    struct finder finder = {
        .model = model, .arena = &scratch, .inputs_are_frozen = inputs_are_frozen, .error = error};
    oq_arena_init(&scratch, arena->budget);
    enum outcome outcome = find(&finder, graph, name, source);
    *found = outcome == FOUND && (source->dtype == NULL ||
                                  oq_dtype_nbytes(source->dtype, source->nelem, &source->nbytes));
    const bool ok = outcome != FAILED && (!*found || keep(source, arena, found, error));
    oq_arena_fini(&scratch);
    return ok;
}
