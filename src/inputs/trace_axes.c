/* What operators ask of the size of an axis, and where the axis is afterwards. */
#include "inputs/trace_visit.h"

#include "inputs/window.h"

/* Scan had a batch in front of what it scans until then. */
#define OQ_OPSET_SCAN_AXES 9

static bool at_end(const struct oq_trace_state *state)
{
    return state->place == state->rank - 1;
}

/* It has exactly that size; 1 is broadcast and says nothing. */
static void require_size(const struct oq_visit *visit, int64_t size)
{
    if (size > 1)
        oq_visit_restrict_size(visit, size, size);
}

/* The same axis in another place. */
static void push_axis(const struct oq_visit *visit, int64_t place, int64_t rank)
{
    struct oq_trace_state state = *visit->state;
    state.place = (int)place;
    state.rank = (int)rank;
    oq_visit_push(visit, state);
}

/* Shapes meet at their ends: what lies across is 1, or the same size. */
static void meet(const struct oq_visit *visit)
{
    const struct oq_trace_state *state = visit->state;
    int rank = state->rank, first = visit->id == OQ_ONNX_Where ? 1 : 0;
    for (size_t i = (size_t)first; i < visit->node->n_input && i < 3; i++) {
        struct oq_shape other;
        if (i == visit->input || !oq_visit_shape(visit, i, &other))
            continue;
        require_size(visit, other.rank < state->rank - state->place
                                ? -1
                                : other.dims[other.rank - (state->rank - state->place)]);
        rank = other.rank > rank ? other.rank : rank;
    }
    push_axis(visit, state->place + rank - state->rank, rank);
}

static void transpose(const struct oq_visit *visit)
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
static bool mark_axes(const struct oq_visit *visit, bool *marked, int *n_marked)
{
    int64_t axes[OQ_READ_MAX_INTEGERS];
    size_t n;
    oq_trace_charge(visit->trace, OQ_STEPS_A_SHAPE / 4);
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

static void unsqueeze(const struct oq_visit *visit)
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
static void squeeze(const struct oq_visit *visit)
{
    bool marked[OQ_MAX_RANK] = {false};
    int n, place = visit->state->place;
    if (!mark_axes(visit, marked, &n) || n == 0) /* no axes: see source.c */
        return;
    if (marked[place]) {
        if (visit->graph->parent == NULL)
            oq_visit_restrict_size(visit, 1, 1);
        return;
    }
    for (int i = 0; i < visit->state->place; i++)
        place -= marked[i];
    push_axis(visit, place, visit->state->rank - n);
}

static void concat(const struct oq_visit *visit)
{
    int64_t axis = oq_node_int(visit->node, "axis", 1);
    axis += axis < 0 ? visit->state->rank : 0;
    if (axis != visit->state->place)
        oq_visit_push(visit, *visit->state);
}

/* Elements [start, end) of a shape become the output, where the one at hand is among them. */
static void push_part(const struct oq_visit *visit, int64_t start, int64_t end)
{
    struct oq_trace_state state = *visit->state;
    if (state.place < start || state.place >= end || state.scale != 1)
        return;
    state.kind = end - start == 1 ? OQ_TRACED_VALUES : OQ_TRACED_ELEMENT;
    state.place -= (int)start;
    state.rank = (int)(end - start);
    oq_visit_push(visit, state);
}

static void take_shape(const struct oq_visit *visit)
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
static void pad(const struct oq_visit *visit)
{
    int64_t pads[OQ_READ_MAX_INTEGERS];
    size_t n, place = (size_t)visit->state->place, rank = (size_t)visit->state->rank;
    struct oq_trace_state state = *visit->state;
    oq_trace_charge(visit->trace, OQ_STEPS_A_SHAPE);
    bool is_known =
        oq_node_input(visit->node, 3)[0] == '\0' &&
        oq_known_parameter(visit->trace->model, visit->graph, visit->node, "pads", 1, pads, &n) &&
        n == 2 * rank && stretch(&state, pads[place], 1) && stretch(&state, pads[place + rank], 1);
    if (!is_known)
        state.scale = 0;
    oq_visit_push(visit, state);
}

/* A window moves along it: there are as many elements as it has places. */
static void slide(const struct oq_visit *visit)
{
    struct oq_trace_state state = *visit->state;
    bool is_known = oq_node_attribute(visit->node, "kernel_shape") != NULL;
    struct oq_window window;
    if (state.place >= 2 &&
        oq_window_read(&window, visit->node, (size_t)state.place - 2,
                       is_known ? -1 : oq_visit_size(visit, 1, state.place)) &&
        stretch(&state, window.shift, window.stride))
        oq_visit_push(visit, state);
}

static void convolve(const struct oq_visit *visit)
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
    channels = oq_visit_size(visit, 1, transposed ? 0 : 1);
    if (transposed)
        require_size(visit, channels);
    else if (channels > 0 && group > 0 && !__builtin_mul_overflow(channels, group, &channels))
        oq_visit_restrict_size(visit, channels, channels);
}

static void multiply(const struct oq_visit *visit)
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
            oq_visit_push(visit, *state);
        return;
    }
    if (oq_visit_shape(visit, left ? 1 : 0, &other))
        require_size(visit, oq_shape_size(&other, other.rank < 2         ? -1
                                                  : left != other_turned ? -2
                                                                         : -1));
}

static void multiply_blocks(const struct oq_visit *visit)
{
    if (at_end(visit->state))
        require_size(visit, oq_node_int(visit->node, "K", -1));
    else
        oq_visit_push(visit, *visit->state);
}

/* Input [seq, batch, K] and the states [directions, batch, hidden]. */
static void recur(const struct oq_visit *visit)
{
    int turned = visit->id == OQ_MS_DynamicQuantizeLSTM;
    bool is_state = visit->input == 5 || visit->input == 6;
    int along = oq_node_int(visit->node, "layout", 0) != 0;
    if (visit->state->rank != 3 || (visit->input != 0 && !is_state))
        return;
    visit->trace->demand->is_time |= visit->input == 0 && visit->state->place == along;
    if (visit->state->place == 2) /* [directions, gates * hidden, K], or the last two turned */
        require_size(visit, oq_visit_size(visit, is_state ? 2 : 1, turned ? 1 : 2));
    else if (is_state && visit->state->place == 0)
        require_size(visit, oq_visit_size(visit, 1, 0));
}

/* The last inputs are taken apart, an element along an axis in each step. */
static void scan(const struct oq_visit *visit)
{
    const Oq__Pb__AttributeProto *axes = oq_node_attribute(visit->node, "scan_input_axes");
    int64_t n_scanned = oq_node_int(visit->node, "num_scan_inputs", 0);
    if (n_scanned <= 0 || (uint64_t)n_scanned > visit->node->n_input)
        return;
    size_t n_states = visit->node->n_input - (size_t)n_scanned;
    if (visit->input < n_states)
        return;
    size_t number = visit->input - n_states;
    int64_t axis = visit->trace->model->opset < OQ_OPSET_SCAN_AXES; /* behind a batch */
    if (axes != NULL && number < axes->n_ints)
        axis = axes->ints[number];
    axis += axis < 0 ? visit->state->rank : 0;
    visit->trace->demand->is_time |= axis == visit->state->place;
}

/* Rows that are gathered keep the order of their indices. */
static void gather_by(const struct oq_visit *visit)
{
    struct oq_shape table;
    const char *attribute = visit->id == OQ_ONNX_Gather ? "axis" : "gather_axis";
    int64_t axis = oq_node_int(visit->node, attribute, 0);
    if (!oq_visit_shape(visit, 0, &table))
        return;
    axis += axis < 0 ? table.rank : 0;
    int rank = table.rank + visit->state->rank - 1;
    if (axis >= 0 && axis < table.rank && rank <= OQ_MAX_RANK)
        push_axis(visit, axis + visit->state->place, rank);
}

/* What is counted up along the axis ends at its size at most. */
static void count_up(const struct oq_visit *visit)
{
    int64_t axis;
    if (!oq_visit_integer(visit, 1, &axis))
        return;
    axis += axis < 0 ? visit->state->rank : 0;
    if (axis == visit->state->place && visit->state->scale == 1)
        oq_visit_push(visit, oq_trace_values_state(1, visit->state->offset));
}

static void embed(const struct oq_visit *visit)
{
    int64_t rows = oq_visit_size(visit, 3, 0);
    if (visit->state->place == 1 && rows > 0)
        oq_visit_restrict_size(visit, 0, rows);
}

/* A mask over words. */
static void choose_words(const struct oq_visit *visit)
{
    if (at_end(visit->state))
        require_size(visit, oq_visit_vocabulary(visit));
}

static const struct axis_rule {
    enum oq_operator_id id;
    int input; /* -1: any */
    void (*follow)(const struct oq_visit *visit);
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
    {OQ_ONNX_Scan, -1, scan},
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

void oq_visit_axis(const struct oq_visit *visit)
{
    const struct oq_operator *op = &oq_operators[visit->id];
    if (visit->input == 0 && oq_operator_has(op, OQ_SAME_SHAPE))
        oq_visit_push(visit, *visit->state);
    else if (oq_operator_has(op, OQ_BROADCASTS))
        meet(visit);
    for (size_t i = 0; i < sizeof(axis_rules) / sizeof(axis_rules[0]); i++) {
        const struct axis_rule *rule = &axis_rules[i];
        if (rule->id == visit->id && (rule->input < 0 || (size_t)rule->input == visit->input))
            rule->follow(visit);
    }
}

/* --- an element of a shape -------------------------------------------------- */

static void slice_shape(const struct oq_visit *visit)
{
    int64_t starts[OQ_READ_MAX_INTEGERS], ends[OQ_READ_MAX_INTEGERS];
    size_t n_starts, n_ends;
    const onnxq_model *model = visit->trace->model;
    oq_trace_charge(visit->trace, OQ_STEPS_A_SHAPE);
    if (!oq_known_parameter(model, visit->graph, visit->node, "starts", 1, starts, &n_starts) ||
        !oq_known_parameter(model, visit->graph, visit->node, "ends", 2, ends, &n_ends) ||
        n_starts != 1 || n_ends != 1)
        return;
    int64_t rank = visit->state->rank, start = starts[0], end = ends[0];
    start = start < 0 ? start + rank : start;
    end = end < 0 ? end + rank : end > rank ? rank : end;
    push_part(visit, start, end);
}

void oq_visit_element(const struct oq_visit *visit)
{
    int64_t index;
    if (visit->input != 0)
        return;
    if (visit->id == OQ_ONNX_Cast || visit->id == OQ_ONNX_Identity)
        oq_visit_push(visit, *visit->state);
    else if (visit->id == OQ_ONNX_Slice)
        slice_shape(visit);
    else if (visit->id == OQ_ONNX_Gather && oq_visit_integer(visit, 1, &index) &&
             (index == visit->state->place || index + visit->state->rank == visit->state->place))
        oq_visit_push(visit, oq_trace_values_state(1, visit->state->offset));
}
