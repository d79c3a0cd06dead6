/* Follows an input or one of its axes forward, with a worklist. */
#include "inputs/trace.h"

#include <string.h>

#include "model/type_text.h"
#include "inputs/known.h"
#include "inputs/window.h"

/*
 * Uses that are looked at in one model. Real inputs have a few hundred before
 * every path has come to an operator that computes; what looks at a constant
 * behind operators counts for more, as it takes more.
 */
#define MAX_STEPS     ((size_t)1 << 20)
#define STEPS_A_SHAPE 256

/* What is written behind a prompt: a sentence. Where its length is not known, it is no longer. */
#define NEW_TOKENS  16
#define LONG_PROMPT 128

enum kind {
    VALUES, /* elements are scale * x + offset, or some of them are */
    AXIS,   /* the size of axis `place` of `rank` is the one that is traced */
    ELEMENT /* element `place` of a vector is that size */
};

struct oq_trace_state {
    const struct oq_value *value;
    enum kind kind;
    int place, rank;
    int64_t scale, offset; /* scale is 1 or more; of AXIS, the axis has (size + offset) / scale
                              elements, rounded down, or 0: nobody knows; of ELEMENT it is 1 */
};

struct oq_trace_seen {
    const struct oq_value *value;
    uint32_t number;
    enum kind kind;
};

/* A use of a value, with what is known of the value. */
struct visit {
    struct oq_trace *trace;
    const struct oq_trace_state *state;
    const struct oq_graph *graph;
    const Oq__Pb__NodeProto *node;
    enum oq_operator_id id;
    size_t input;
};

void oq_trace_init(struct oq_trace *trace, const onnxq_model *model, struct oq_arena *arena)
{
    *trace = (struct oq_trace){.model = model, .arena = arena, .steps = MAX_STEPS};
}

/* --- what was there already ------------------------------------------------- */

static size_t slot_of(const struct oq_trace_seen *seen, size_t capacity,
                      const struct oq_value *value, enum kind kind)
{
    size_t i = ((uintptr_t)value / sizeof(void *) * 0x9e3779b1u + kind) & (capacity - 1);
    while (seen[i].value != NULL && (seen[i].value != value || seen[i].kind != kind))
        i = (i + 1) & (capacity - 1);
    return i;
}

static bool grow_seen(struct oq_trace *trace)
{
    size_t capacity = trace->seen_capacity == 0 ? 64 : 2 * trace->seen_capacity;
    struct oq_trace_seen *seen = oq_arena_array(trace->arena, capacity, sizeof(*seen));
    if (seen == NULL)
        return false;
    for (size_t i = 0; i < trace->seen_capacity; i++) {
        const struct oq_trace_seen *old = &trace->seen[i];
        if (old->value != NULL)
            seen[slot_of(seen, capacity, old->value, old->kind)] = *old;
    }
    trace->seen = seen;
    trace->seen_capacity = capacity;
    return true;
}

/* True the first time in what is traced now; false, too, when memory is used up. */
static bool is_new(struct oq_trace *trace, const struct oq_value *value, enum kind kind)
{
    if (2 * trace->n_seen >= trace->seen_capacity && !grow_seen(trace))
        return false;
    struct oq_trace_seen *seen =
        &trace->seen[slot_of(trace->seen, trace->seen_capacity, value, kind)];
    if (seen->value != NULL && seen->number == trace->number)
        return false;
    trace->n_seen += seen->value == NULL;
    *seen = (struct oq_trace_seen){value, trace->number, kind};
    return true;
}

static void push(struct oq_trace *trace, const struct oq_graph *graph, const char *name,
                 struct oq_trace_state state)
{
    state.value = oq_graph_find(graph, name);
    if (state.value == NULL || !is_new(trace, state.value, state.kind) ||
        !oq_arena_grow(trace->arena, &trace->queue, trace->count, &trace->capacity,
                       sizeof(*trace->queue)))
        return;
    trace->queue[trace->count++] = state;
}

/* The first output of the node is that. */
static void push_output(const struct visit *visit, struct oq_trace_state state)
{
    if (visit->node->n_output > 0)
        push(visit->trace, visit->graph, visit->node->output[0], state);
}

static struct oq_trace_state values_state(int64_t scale, int64_t offset)
{
    return (struct oq_trace_state){.kind = VALUES, .scale = scale, .offset = offset};
}

static struct oq_trace_state place_state(enum kind kind, int64_t place, int64_t rank)
{
    return (struct oq_trace_state){
        .kind = kind, .place = (int)place, .rank = (int)rank, .scale = 1};
}

/* The same axis in another place. */
static void push_axis(const struct visit *visit, int64_t place, int64_t rank)
{
    struct oq_trace_state state = *visit->state;
    state.place = (int)place;
    state.rank = (int)rank;
    push_output(visit, state);
}

/* --- constants -------------------------------------------------------------- */

static void charge(struct oq_trace *trace, size_t steps)
{
    trace->steps -= trace->steps < steps ? trace->steps : steps;
}

static bool shape_of(const struct visit *visit, size_t input, struct oq_shape *shape)
{
    const char *name = oq_node_input(visit->node, input);
    if (name[0] == '\0' || visit->trace->steps == 0)
        return false;
    charge(visit->trace, STEPS_A_SHAPE);
    return oq_known_shape(visit->trace->model, visit->trace->sizes, visit->graph, name, shape);
}

/* Size of an axis of another input, -1: not known. */
static int64_t size_of(const struct visit *visit, size_t input, int64_t axis)
{
    struct oq_shape shape;
    return shape_of(visit, input, &shape) ? oq_shape_size(&shape, axis) : -1;
}

static bool integer_at(const struct visit *visit, size_t input, int64_t *value)
{
    const char *name = oq_node_input(visit->node, input);
    if (name[0] == '\0' || visit->trace->steps == 0)
        return false;
    charge(visit->trace, STEPS_A_SHAPE / 4);
    return oq_known_integer(visit->trace->model, visit->graph, name, value);
}

/* --- demands ---------------------------------------------------------------- */

static int64_t divide_down(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* What is traced has to lie in [lo, hi] as it is. */
static void restrict_to(struct oq_trace *trace, int64_t lo, int64_t hi)
{
    struct oq_demand *demand = trace->demand;
    demand->is_bounded = true;
    demand->lo = lo > demand->lo ? lo : demand->lo;
    demand->hi = hi < demand->hi ? hi : demand->hi;
}

/* The values of the state have to lie in [0, hi]. */
static void restrict_values(const struct visit *visit, int64_t hi)
{
    const struct oq_trace_state *state = visit->state;
    int64_t above, below;
    if (__builtin_sub_overflow(hi, state->offset, &above) ||
        __builtin_sub_overflow((int64_t)0, state->offset, &below))
        return;
    int64_t lo = visit->trace->is_axis ? 0 : divide_down(below, state->scale);
    lo += !visit->trace->is_axis && below % state->scale != 0;
    restrict_to(visit->trace, lo > 0 ? lo : 0, divide_down(above, state->scale));
}

/* The values are indices into an axis of that size. */
static void restrict_index(const struct visit *visit, int64_t size)
{
    if (size > 0)
        restrict_values(visit, size - 1);
    else if (!visit->trace->is_axis) /* whatever the size will be, there is a first one */
        restrict_values(visit, 0);
}

/* The axis of the state has a size in [lo, hi], which small windows leave some freedom. */
static void restrict_size(const struct visit *visit, int64_t lo, int64_t hi)
{
    const struct oq_trace_state *state = visit->state;
    struct oq_demand *demand = visit->trace->demand;
    if (state->scale == 0 || __builtin_mul_overflow(lo, state->scale, &lo) ||
        __builtin_mul_overflow(hi, state->scale, &hi) ||
        __builtin_add_overflow(hi, state->scale - 1, &hi) ||
        __builtin_sub_overflow(lo, state->offset, &lo) ||
        __builtin_sub_overflow(hi, state->offset, &hi))
        return;
    restrict_to(visit->trace, lo, hi);
    demand->step = state->scale > demand->step ? state->scale : demand->step;
}

/* It has exactly that size; 1 is broadcast and says nothing. */
static void require_size(const struct visit *visit, int64_t size)
{
    if (size > 1)
        restrict_size(visit, size, size);
}

/* --- values: operators that give a meaning to an input ---------------------- */

static void index_any(const struct visit *visit, size_t table)
{
    struct oq_shape shape;
    int64_t smallest = -1;
    if (!shape_of(visit, table, &shape))
        shape.rank = 0;
    for (int i = 0; i < shape.rank; i++) {
        if (i == 0 || shape.dims[i] < smallest)
            smallest = shape.dims[i];
    }
    restrict_index(visit, smallest);
}

static const struct oq_graph *find_body(struct oq_trace *trace, const Oq__Pb__NodeProto *node,
                                        const char *name)
{
    const Oq__Pb__AttributeProto *body = oq_node_attribute(node, name);
    charge(trace, trace->model->graphs.count + node->n_attribute);
    for (size_t i = 0; body != NULL && i < trace->model->graphs.count; i++) {
        if (trace->model->graphs.list[i]->proto == body->g)
            return trace->model->graphs.list[i];
    }
    return NULL;
}

/* Words that a search for a text chooses from: told, or the logits of its decoder; -1: unknown. */
static int64_t vocabulary_of(const struct visit *visit)
{
    int64_t size = oq_node_int(visit->node, "vocab_size", -1);
    const struct oq_graph *decoder = find_body(visit->trace, visit->node, "decoder");
    struct oq_shape logits;
    if (size > 0 || decoder == NULL || decoder->proto->n_output == 0)
        return size;
    charge(visit->trace, STEPS_A_SHAPE);
    return oq_known_shape(visit->trace->model, visit->trace->sizes, decoder,
                          decoder->proto->output[0]->name, &logits)
               ? oq_shape_size(&logits, -1)
               : -1;
}

/* Speech goes where text goes, as floats. */
static bool is_of_floats(const struct oq_value *value)
{
    const Oq__Pb__TensorShapeProto *shape;
    int32_t data_type;
    const struct oq_dtype *dtype =
        oq_type_tensor(value->type, &data_type, &shape) ? oq_dtype_find(data_type) : NULL;
    return dtype != NULL && dtype->is_float;
}

static void apply_range(const struct visit *visit, const struct oq_range *range)
{
    int64_t axis = range->attribute != NULL
                       ? oq_node_int(visit->node, range->attribute, range->axis)
                       : range->axis;
    int64_t size;
    switch (range->kind) {
    case OQ_RANGE_INDEX:
        restrict_index(visit, size_of(visit, range->table, axis));
        break;
    case OQ_RANGE_INDEX_ANY:
        index_any(visit, range->table);
        break;
    case OQ_RANGE_CLASS:
        restrict_index(visit, integer_at(visit, range->table, &size) ? size : 4);
        break;
    case OQ_RANGE_LENGTH:
    case OQ_RANGE_LENGTHS:
        size = size_of(visit, range->table, axis);
        restrict_to(visit->trace, 1, size > 1 ? size : 1);
        break;
    case OQ_RANGE_TOKEN:
        size = vocabulary_of(visit);
        if (size > 0 && !is_of_floats(visit->state->value))
            restrict_values(visit, size - 1);
        break;
    case OQ_RANGE_LONGER:
        size = size_of(visit, range->table, axis);
        size = size >= 0 && size < INT32_MAX ? size : LONG_PROMPT;
        restrict_to(visit->trace, size + NEW_TOKENS, size + NEW_TOKENS);
        break;
    case OQ_RANGE_BETWEEN:
        restrict_to(visit->trace, range->low, range->high);
        break;
    }
}

/* What the input is to its operator. */
static void apply_role(const struct visit *visit, enum oq_role role)
{
    struct oq_demand *demand = visit->trace->demand;
    bool is_input = visit->state->value->origin == OQ_ORIGIN_INPUT;
    demand->is_mask |= role == OQ_MASK;
    demand->is_divisor |= role == OQ_DIVISOR;
    demand->is_shape |= is_input && visit->input == 1 && visit->id == OQ_ONNX_Reshape;
    if (role == OQ_AXES) {
        demand->is_axes |= is_input;
        restrict_to(visit->trace, 0, 0);
    }
}

/* --- values: operators that hand them on ------------------------------------ */

static void note_constant(const struct visit *visit)
{
    struct oq_demand *demand = visit->trace->demand;
    int64_t value;
    if (demand->has_constant || visit->id != OQ_ONNX_Equal ||
        !integer_at(visit, 1 - visit->input, &value) || visit->state->scale != 1 ||
        __builtin_sub_overflow(value, visit->state->offset, &value))
        return;
    demand->has_constant = true;
    demand->constant = value;
}

/* Add, Sub, Mul, Div of something: what a constant does to the values is followed. */
static void compute(const struct visit *visit)
{
    struct oq_trace_state state = *visit->state;
    int64_t value = 0;
    bool is_add = visit->id == OQ_ONNX_Add, is_mul = visit->id == OQ_ONNX_Mul;
    bool is_sub = visit->id == OQ_ONNX_Sub;
    if (visit->input > 1)
        return;
    bool known = integer_at(visit, 1 - visit->input, &value);
    visit->trace->demand->is_mask |= !known && (is_mul || is_sub);
    if (!is_add && !is_mul && visit->input == 1)
        return;
    bool fits = true;
    if (known && is_add)
        fits = !__builtin_add_overflow(state.offset, value, &state.offset);
    else if (known && is_sub)
        fits = !__builtin_sub_overflow(state.offset, value, &state.offset);
    else if (known && is_mul)
        fits = value > 0 && !__builtin_mul_overflow(state.scale, value, &state.scale) &&
               !__builtin_mul_overflow(state.offset, value, &state.offset);
    if (fits)
        push_output(visit, state);
}

/* Input number k of the node is input number k of a body. */
static void enter_body(const struct visit *visit, const char *name)
{
    const struct oq_graph *body = find_body(visit->trace, visit->node, name);
    if (body != NULL && visit->input < body->proto->n_input)
        push(visit->trace, body, body->proto->input[visit->input]->name, *visit->state);
}

static bool casts_to_float(const struct visit *visit)
{
    const struct oq_dtype *dtype = oq_dtype_find((int32_t)oq_node_int(visit->node, "to", 0));
    return visit->id == OQ_ONNX_Cast && dtype != NULL && dtype->is_float;
}

static void move(const struct visit *visit)
{
    visit->trace->demand->is_mask |= casts_to_float(visit);
    push_output(visit, *visit->state);
}

/* The last element of 0, 1, ... is one less than where it ends. */
static void enumerate(const struct visit *visit)
{
    struct oq_trace_state state = *visit->state;
    if (!__builtin_sub_overflow(state.offset, (int64_t)1, &state.offset))
        push_output(visit, state);
}

/* A size at which a constant is cut: it has to be that long. */
static void cut(const struct visit *visit)
{
    int64_t axis = 0;
    if (oq_node_input(visit->node, 3)[0] != '\0' && !integer_at(visit, 3, &axis))
        return;
    int64_t size = size_of(visit, 0, axis);
    if (size > 0)
        restrict_values(visit, size);
}

static void split(const struct visit *visit)
{
    charge(visit->trace, visit->node->n_output);
    for (size_t i = 0; i < visit->node->n_output; i++)
        push(visit->trace, visit->graph, visit->node->output[i], *visit->state);
}

/* Some or all of its elements, wherever they go, or whole numbers that stay what they are. */
static bool is_moved(const struct visit *visit, enum oq_role role)
{
    return role == OQ_PASSED || role == OQ_CHOSEN ||
           (visit->input == 0 && oq_operator_has(&oq_operators[visit->id], OQ_KEEPS_WHOLE));
}

static void follow_values(const struct visit *visit, enum oq_role role)
{
    switch (visit->id) {
    case OQ_ONNX_Add:
    case OQ_ONNX_Div:
    case OQ_ONNX_Mul:
    case OQ_ONNX_Sub:
        compute(visit);
        break;
    case OQ_ONNX_Loop:
    case OQ_ONNX_Scan:
        enter_body(visit, "body");
        break;
    case OQ_MS_BeamSearch:
    case OQ_MS_GreedySearch:
    case OQ_MS_Sampling:
        if (visit->input == 0)
            enter_body(visit, oq_node_attribute(visit->node, "encoder") ? "encoder" : "decoder");
        break;
    case OQ_ONNX_Range:
        if (visit->input == 1)
            enumerate(visit);
        break;
    case OQ_ONNX_Split:
        if (visit->input == 0)
            split(visit);
        break;
    default:
        if (is_moved(visit, role))
            move(visit);
    }
}

static void visit_values(const struct visit *visit)
{
    const struct oq_range *range = oq_operator_range(visit->id, visit->input);
    enum oq_role role = oq_operator_role(&oq_operators[visit->id], visit->input);
    struct oq_demand *demand = visit->trace->demand;
    bool is_axis = visit->trace->is_axis;
    if (is_axis && visit->input == 2 && visit->id == OQ_ONNX_Slice)
        cut(visit);
    else if (range != NULL && (!is_axis || range->kind == OQ_RANGE_INDEX))
        apply_range(visit, range);
    if (!is_axis)
        apply_role(visit, role);
    if (oq_operator_has(&oq_operators[visit->id], OQ_COMPARES)) {
        demand->is_mask = true;
        note_constant(visit);
    }
    demand->is_mask |= visit->input == 0 && visit->id == OQ_ONNX_Where;
    follow_values(visit, role);
}

/* --- the size of an axis ---------------------------------------------------- */

static int64_t at_end(const struct oq_trace_state *state)
{
    return state->place == state->rank - 1;
}

/* Shapes meet at their ends: what lies across is 1, or the same size. */
static void meet(const struct visit *visit)
{
    const struct oq_trace_state *state = visit->state;
    int rank = state->rank, first = visit->id == OQ_ONNX_Where ? 1 : 0;
    for (size_t i = (size_t)first; i < visit->node->n_input && i < 3; i++) {
        struct oq_shape other;
        if (i == visit->input || !shape_of(visit, i, &other))
            continue;
        require_size(visit, other.rank < state->rank - state->place
                                ? -1
                                : other.dims[other.rank - (state->rank - state->place)]);
        rank = other.rank > rank ? other.rank : rank;
    }
    push_axis(visit, state->place + rank - state->rank, rank);
}

static void transpose(const struct visit *visit)
{
    const Oq__Pb__AttributeProto *perm = oq_node_attribute(visit->node, "perm");
    int rank = visit->state->rank, place = rank - 1 - visit->state->place;
    if (perm != NULL && perm->n_ints != (size_t)rank)
        return;
    for (int i = 0; perm != NULL && i < rank; i++) {
        if (perm->ints[i] == visit->state->place)
            place = i;
    }
    push_axis(visit, place, rank);
}

/* Which of `rank` axes are in a list; false where the list does not fit. */
static bool mark_axes(const struct visit *visit, bool *marked, int *n_marked)
{
    int64_t axes[OQ_READ_MAX_INTEGERS];
    size_t n;
    charge(visit->trace, STEPS_A_SHAPE / 4);
    if (!oq_known_parameter(visit->trace->model, visit->graph, visit->node, "axes", 1, axes, &n))
        return false;
    bool adds = visit->id == OQ_ONNX_Unsqueeze;
    int rank = visit->state->rank + (adds ? (int)n : 0);
    if (rank > OQ_MAX_RANK)
        return false;
    *n_marked = (int)n;
    for (size_t i = 0; i < n; i++) {
        int64_t axis = axes[i] + (axes[i] < 0 ? rank : 0);
        if (axis < 0 || axis >= rank || marked[axis])
            return false;
        marked[axis] = true;
    }
    return true;
}

static void unsqueeze(const struct visit *visit)
{
    bool marked[OQ_MAX_RANK] = {false};
    int n, place = 0;
    if (!mark_axes(visit, marked, &n))
        return;
    for (int left = visit->state->place; left > 0 || marked[place]; place++)
        left -= !marked[place];
    push_axis(visit, place, visit->state->rank + n);
}

/* What is taken away has size 1; in a body perhaps only where it has. */
static void squeeze(const struct visit *visit)
{
    bool marked[OQ_MAX_RANK] = {false};
    int n, place = visit->state->place;
    if (!mark_axes(visit, marked, &n) || n == 0) /* no axes: see source.c */
        return;
    if (marked[place]) {
        if (visit->graph->parent == NULL)
            restrict_size(visit, 1, 1);
        return;
    }
    for (int i = 0; i < visit->state->place; i++)
        place -= marked[i];
    push_axis(visit, place, visit->state->rank - n);
}

static void concat(const struct visit *visit)
{
    int64_t axis = oq_node_int(visit->node, "axis", 1);
    axis += axis < 0 ? visit->state->rank : 0;
    if (axis != visit->state->place)
        push_output(visit, *visit->state);
}

/* Elements [start, end) of a shape become the output, where the one at hand is among them. */
static void push_part(const struct visit *visit, int64_t start, int64_t end)
{
    struct oq_trace_state state = *visit->state;
    if (state.place < start || state.place >= end || state.scale != 1)
        return;
    state.kind = end - start == 1 ? VALUES : ELEMENT;
    state.place -= (int)start;
    state.rank = (int)(end - start);
    push_output(visit, state);
}

static void take_shape(const struct visit *visit)
{
    int64_t rank = visit->state->rank, start = oq_node_int(visit->node, "start", 0);
    int64_t end = oq_node_int(visit->node, "end", rank);
    start = start < 0 ? start + rank : start;
    end = end < 0 ? end + rank : end;
    start = start < 0 ? 0 : start;
    end = end > rank ? rank : end;
    push_part(visit, start, end);
}

/* The axis becomes (elements + shift) / stride long. */
static bool stretch(struct oq_trace_state *state, int64_t shift, int64_t stride)
{
    return !__builtin_mul_overflow(shift, state->scale, &shift) &&
           !__builtin_add_overflow(state->offset, shift, &state->offset) &&
           !__builtin_mul_overflow(state->scale, stride, &state->scale);
}

/* More at both ends. */
static void pad(const struct visit *visit)
{
    int64_t pads[OQ_READ_MAX_INTEGERS];
    size_t n, place = (size_t)visit->state->place, rank = (size_t)visit->state->rank;
    struct oq_trace_state state = *visit->state;
    charge(visit->trace, STEPS_A_SHAPE);
    bool is_known =
        oq_node_input(visit->node, 3)[0] == '\0' &&
        oq_known_parameter(visit->trace->model, visit->graph, visit->node, "pads", 1, pads, &n) &&
        n == 2 * rank && stretch(&state, pads[place], 1) && stretch(&state, pads[place + rank], 1);
    if (!is_known)
        state.scale = 0;
    push_output(visit, state);
}

/* A window moves along it: there are as many elements as it has places. */
static void slide(const struct visit *visit)
{
    struct oq_trace_state state = *visit->state;
    bool is_known = oq_node_attribute(visit->node, "kernel_shape") != NULL;
    struct oq_window window;
    if (state.place >= 2 &&
        oq_window_read(&window, visit->node, (size_t)state.place - 2,
                       is_known ? -1 : size_of(visit, 1, state.place)) &&
        stretch(&state, window.shift, window.stride))
        push_output(visit, state);
}

static void convolve(const struct visit *visit)
{
    bool transposed = visit->id == OQ_ONNX_ConvTranspose;
    int64_t group = oq_node_int(visit->node, "group", 1), channels;
    if (visit->state->place >= 2) {
        visit->trace->demand->is_convolved = true;
        if (!transposed)
            slide(visit);
    }
    if (visit->state->place != 1)
        return;
    channels = size_of(visit, 1, transposed ? 0 : 1);
    if (transposed)
        require_size(visit, channels);
    else if (channels > 0 && group > 0 && !__builtin_mul_overflow(channels, group, &channels))
        restrict_size(visit, channels, channels);
}

static void multiply(const struct visit *visit)
{
    const struct oq_trace_state *state = visit->state;
    bool left = visit->input == 0;
    bool turned = oq_node_int(visit->node, left ? "transA" : "transB", 0) != 0;
    bool other_turned = oq_node_int(visit->node, left ? "transB" : "transA", 0) != 0;
    int inner = left != turned ? state->rank - 1 : state->rank - 2;
    struct oq_shape other;
    if (visit->input > 1 || state->rank < 2)
        return;
    if (state->place != inner) {
        if (!turned)
            push_output(visit, *state);
        return;
    }
    if (shape_of(visit, left ? 1 : 0, &other))
        require_size(visit, oq_shape_size(&other, other.rank < 2         ? -1
                                                  : left != other_turned ? -2
                                                                         : -1));
}

static void multiply_blocks(const struct visit *visit)
{
    if (at_end(visit->state))
        require_size(visit, oq_node_int(visit->node, "K", -1));
    else
        push_output(visit, *visit->state);
}

/* Input [seq, batch, K] and the states [directions, batch, hidden]. */
static void recur(const struct visit *visit)
{
    int turned = visit->id == OQ_MS_DynamicQuantizeLSTM;
    bool is_state = visit->input == 5 || visit->input == 6;
    if (visit->state->rank != 3 || (visit->input != 0 && !is_state))
        return;
    if (visit->state->place == 2) /* [directions, gates * hidden, K], or the last two turned */
        require_size(visit, size_of(visit, is_state ? 2 : 1, turned ? 1 : 2));
    else if (is_state && visit->state->place == 0)
        require_size(visit, size_of(visit, 1, 0));
}

/* Rows that are gathered keep the order of their indices. */
static void gather_by(const struct visit *visit)
{
    struct oq_shape table;
    const char *attribute = visit->id == OQ_ONNX_Gather ? "axis" : "gather_axis";
    int64_t axis = oq_node_int(visit->node, attribute, 0);
    if (!shape_of(visit, 0, &table))
        return;
    axis += axis < 0 ? table.rank : 0;
    int rank = table.rank + visit->state->rank - 1;
    if (axis >= 0 && axis < table.rank && rank <= OQ_MAX_RANK)
        push_axis(visit, axis + visit->state->place, rank);
}

/* What is counted up along the axis ends at its size at most. */
static void count_up(const struct visit *visit)
{
    int64_t axis;
    if (!integer_at(visit, 1, &axis))
        return;
    axis += axis < 0 ? visit->state->rank : 0;
    if (axis == visit->state->place && visit->state->scale == 1)
        push_output(visit, values_state(1, visit->state->offset));
}

static void embed(const struct visit *visit)
{
    int64_t rows = size_of(visit, 3, 0);
    if (visit->state->place == 1 && rows > 0)
        restrict_size(visit, 0, rows);
}

/* A mask over words. */
static void choose_words(const struct visit *visit)
{
    if (at_end(visit->state))
        require_size(visit, vocabulary_of(visit));
}

static const struct axis_rule {
    enum oq_operator_id id;
    int input; /* -1: any */
    void (*follow)(const struct visit *visit);
} axis_rules[] = {
    {OQ_ONNX_Transpose, 0, transpose},
    {OQ_ONNX_Unsqueeze, 0, unsqueeze},
    {OQ_ONNX_Squeeze, 0, squeeze},
    {OQ_ONNX_Concat, -1, concat},
    {OQ_ONNX_Shape, 0, take_shape},
    {OQ_ONNX_Conv, 0, convolve},
    {OQ_ONNX_ConvInteger, 0, convolve},
    {OQ_ONNX_AveragePool, 0, slide},
    {OQ_ONNX_LpPool, 0, slide},
    {OQ_ONNX_MaxPool, 0, slide},
    {OQ_ONNX_Pad, 0, pad},
    {OQ_ONNX_ConvTranspose, 0, convolve},
    {OQ_ONNX_MatMul, -1, multiply},
    {OQ_ONNX_MatMulInteger, -1, multiply},
    {OQ_ONNX_Gemm, -1, multiply},
    {OQ_MS_DynamicQuantizeMatMul, -1, multiply},
    {OQ_MS_FusedMatMul, -1, multiply},
    {OQ_MS_MatMulIntegerToFloat, -1, multiply},
    {OQ_MS_MatMulNBits, 0, multiply_blocks},
    {OQ_MS_MatMulBnb4, 0, multiply_blocks},
    {OQ_ONNX_LSTM, -1, recur},
    {OQ_ONNX_GRU, -1, recur},
    {OQ_ONNX_RNN, -1, recur},
    {OQ_MS_DynamicQuantizeLSTM, -1, recur},
    {OQ_ONNX_Gather, 1, gather_by},
    {OQ_MS_GatherBlockQuantized, 1, gather_by},
    {OQ_ONNX_CumSum, 0, count_up},
    {OQ_MS_EmbedLayerNormalization, 0, embed},
    {OQ_MS_QEmbedLayerNormalization, 0, embed},
    {OQ_MS_BeamSearch, 7, choose_words},
    {OQ_MS_BeamSearch, 8, choose_words},
    {OQ_MS_GreedySearch, 4, choose_words},
    {OQ_MS_GreedySearch, 5, choose_words},
    {OQ_MS_Sampling, 4, choose_words},
    {OQ_MS_Sampling, 5, choose_words},
    {OQ_MS_Sampling, 7, choose_words},
    {OQ_MS_WhisperBeamSearch, 7, choose_words},
    {OQ_MS_WhisperBeamSearch, 8, choose_words},
};

static void visit_axis(const struct visit *visit)
{
    const struct oq_operator *op = &oq_operators[visit->id];
    if (visit->input == 0 && oq_operator_has(op, OQ_SAME_SHAPE))
        push_output(visit, *visit->state);
    else if (oq_operator_has(op, OQ_BROADCASTS))
        meet(visit);
    for (size_t i = 0; i < sizeof(axis_rules) / sizeof(axis_rules[0]); i++) {
        const struct axis_rule *rule = &axis_rules[i];
        if (rule->id == visit->id && (rule->input < 0 || (size_t)rule->input == visit->input))
            rule->follow(visit);
    }
}

/* --- an element of a shape -------------------------------------------------- */

static void slice_shape(const struct visit *visit)
{
    int64_t starts[OQ_READ_MAX_INTEGERS], ends[OQ_READ_MAX_INTEGERS];
    size_t n_starts, n_ends;
    const onnxq_model *model = visit->trace->model;
    charge(visit->trace, STEPS_A_SHAPE);
    if (!oq_known_parameter(model, visit->graph, visit->node, "starts", 1, starts, &n_starts) ||
        !oq_known_parameter(model, visit->graph, visit->node, "ends", 2, ends, &n_ends) ||
        n_starts != 1 || n_ends != 1)
        return;
    int64_t rank = visit->state->rank, start = starts[0], end = ends[0];
    start = start < 0 ? start + rank : start;
    end = end < 0 ? end + rank : end > rank ? rank : end;
    push_part(visit, start, end);
}

static void visit_element(const struct visit *visit)
{
    int64_t index;
    if (visit->input != 0)
        return;
    if (visit->id == OQ_ONNX_Cast || visit->id == OQ_ONNX_Identity)
        push_output(visit, *visit->state);
    else if (visit->id == OQ_ONNX_Slice)
        slice_shape(visit);
    else if (visit->id == OQ_ONNX_Gather && integer_at(visit, 1, &index) &&
             (index == visit->state->place || index + visit->state->rank == visit->state->place))
        push_output(visit, values_state(1, visit->state->offset));
}

/* --- the walk --------------------------------------------------------------- */

static void visit_use(struct oq_trace *trace, const struct oq_trace_state *state,
                      const struct oq_use *use)
{
    if (use->node == OQ_NO_NODE)
        return;
    const Oq__Pb__NodeProto *node = use->graph->proto->node[use->node];
    struct visit visit = {trace, state, use->graph, node, oq_operator_id_of(node), use->input};
    charge(trace, node->n_attribute); /* which are searched by name */
    if (state->kind == VALUES)
        visit_values(&visit);
    else if (state->kind == AXIS)
        visit_axis(&visit);
    else
        visit_element(&visit);
}

static void walk(struct oq_trace *trace)
{
    for (size_t i = 0; i < trace->count; i++) {
        struct oq_trace_state state = trace->queue[i]; /* the queue moves when it grows */
        for (const struct oq_use *use = state.value->uses; use != NULL; use = use->next) {
            if (trace->steps == 0)
                return;
            trace->steps--;
            visit_use(trace, &state, use);
        }
    }
}

static void begin(struct oq_trace *trace, const char *input, struct oq_trace_state state,
                  struct oq_demand *demand)
{
    trace->number++;
    trace->count = 0;
    trace->demand = demand;
    push(trace, trace->model->graphs.list[0], input, state);
    walk(trace);
}

void oq_trace_values(struct oq_trace *trace, const char *input, struct oq_demand *demand)
{
    trace->is_axis = false;
    begin(trace, input, values_state(1, 0), demand);
}

void oq_trace_axis(struct oq_trace *trace, const char *input, size_t axis, size_t rank,
                   struct oq_demand *demand)
{
    if (rank > OQ_MAX_RANK)
        return;
    trace->is_axis = true;
    begin(trace, input, place_state(AXIS, (int64_t)axis, (int64_t)rank), demand);
}
