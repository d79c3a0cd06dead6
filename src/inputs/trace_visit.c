/* What operators do with a value that is traced: look around, hand it on, ask something of it. */
#include "inputs/trace_visit.h"

void oq_visit_push(const struct oq_visit *visit, struct oq_trace_state state)
{
    if (visit->node->n_output > 0)
        oq_trace_push(visit->trace, visit->graph, visit->node->output[0], state);
}

/* --- looking around --------------------------------------------------------- */

void oq_trace_charge(struct oq_trace *trace, size_t steps)
{
    trace->steps -= trace->steps < steps ? trace->steps : steps;
}

bool oq_visit_shape(const struct oq_visit *visit, size_t input, struct oq_shape *shape)
{
    const char *name = oq_node_input(visit->node, input);
    if (name[0] == '\0' || visit->trace->steps == 0)
        return false;
    oq_trace_charge(visit->trace, OQ_STEPS_A_SHAPE);
    return oq_known_shape(visit->trace->model, visit->trace->sizes, visit->graph, name, shape);
}

int64_t oq_visit_size(const struct oq_visit *visit, size_t input, int64_t axis)
{
    struct oq_shape shape;
    return oq_visit_shape(visit, input, &shape) ? oq_shape_size(&shape, axis) : -1;
}

bool oq_visit_integer(const struct oq_visit *visit, size_t input, int64_t *value)
{
    const char *name = oq_node_input(visit->node, input);
    if (name[0] == '\0' || visit->trace->steps == 0)
        return false;
    oq_trace_charge(visit->trace, OQ_STEPS_A_SHAPE / 4);
    return oq_known_integer(visit->trace->model, visit->graph, name, value);
}

bool oq_visit_number(const struct oq_visit *visit, size_t input, double *value)
{
    const char *name = oq_node_input(visit->node, input);
    if (name[0] == '\0' || visit->trace->steps == 0)
        return false;
    oq_trace_charge(visit->trace, OQ_STEPS_A_SHAPE / 4);
    return oq_known_number(visit->trace->model, visit->graph, name, value);
}

const struct oq_graph *oq_visit_body(const struct oq_visit *visit, const char *name)
{
    const Oq__Pb__AttributeProto *body = oq_node_attribute(visit->node, name);
    const struct oq_graphs *graphs = &visit->trace->model->graphs;
    oq_trace_charge(visit->trace, graphs->count + visit->node->n_attribute);
    for (size_t i = 0; body != NULL && i < graphs->count; i++) {
        if (graphs->list[i]->proto == body->g)
            return graphs->list[i];
    }
    return NULL;
}

int64_t oq_visit_vocabulary(const struct oq_visit *visit)
{
    int64_t size = oq_node_int(visit->node, "vocab_size", -1);
    const struct oq_graph *decoder = oq_visit_body(visit, "decoder");
    struct oq_shape logits;
    if (size > 0 || decoder == NULL || decoder->proto->n_output == 0)
        return size;
    oq_trace_charge(visit->trace, OQ_STEPS_A_SHAPE);
    return oq_known_shape(visit->trace->model, visit->trace->sizes, decoder,
                          decoder->proto->output[0]->name, &logits)
               ? oq_shape_size(&logits, -1)
               : -1;
}

/* --- asking ----------------------------------------------------------------- */

static int64_t divide_down(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

void oq_trace_restrict(struct oq_trace *trace, int64_t lo, int64_t hi)
{
    struct oq_demand *demand = trace->demand;
    demand->is_bounded = true;
    demand->lo = lo > demand->lo ? lo : demand->lo;
    demand->hi = hi < demand->hi ? hi : demand->hi;
}

void oq_visit_restrict_values(const struct oq_visit *visit, int64_t hi)
{
    const struct oq_trace_state *state = visit->state;
    int64_t above, below;
    if (__builtin_sub_overflow(hi, state->offset, &above) ||
        __builtin_sub_overflow((int64_t)0, state->offset, &below))
        return;
    int64_t lo = visit->trace->is_axis ? 0 : divide_down(below, state->scale);
    lo += !visit->trace->is_axis && below % state->scale != 0;
    oq_trace_restrict(visit->trace, lo > 0 ? lo : 0, divide_down(above, state->scale));
}

void oq_visit_restrict_size(const struct oq_visit *visit, int64_t lo, int64_t hi)
{
    const struct oq_trace_state *state = visit->state;
    struct oq_demand *demand = visit->trace->demand;
    if (state->scale == 0 || __builtin_mul_overflow(lo, state->scale, &lo) ||
        __builtin_mul_overflow(hi, state->scale, &hi) ||
        __builtin_add_overflow(hi, state->scale - 1, &hi) ||
        __builtin_sub_overflow(lo, state->offset, &lo) ||
        __builtin_sub_overflow(hi, state->offset, &hi))
        return;
    oq_trace_restrict(visit->trace, lo, hi);
    demand->step = state->scale > demand->step ? state->scale : demand->step;
}
