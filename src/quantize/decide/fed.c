/*
 * What a product takes: inputs of the model, as callers give them, where nothing but operators
 * that hand features on one by one stands between. The catalogue says which do: what rearranges,
 * what meets others element by element, what sums up or averages within a channel. All of that
 * leaves features of unlike size what they are.
 *
 * Where a network puts features beside what it has computed (Concat), or adds them to it, those
 * rows of the weight that they meet are found: intervals of the product's inputs go back with the
 * values.
 */
#include "operators/operators.h"
#include "quantize/analyze/axis.h"
#include "quantize/analyze/fate.h"
#include "quantize/decide/steps.h"
#include "quantize/decide/view.h"

/* Each is looked at once; what has more than some inputs and nodes is no such thing. */
#define MAX_PARTS  96
#define MAX_VISITS 256

/* A value as [first, end) of the product's inputs, along its axis; of no place where both are 0. */
struct part {
    const struct oq_value *value;
    unsigned axis;
    uint64_t first, end;
    bool is_joined; /* element by element with another: a mask, it may be, that all of them share */
};

struct fed_walk {
    const onnxq_plan *plan;
    struct part parts[MAX_PARTS];
    size_t n, n_visits;
    bool is_full, meets_input, meets_other;
    struct oq_fed *fed;
};

static void visit(struct fed_walk *walk, const struct part *part)
{
    walk->is_full |= ++walk->n_visits > MAX_VISITS;
    walk->meets_other |= part->value == NULL;
    if (part->value == NULL || walk->is_full)
        return;
    for (size_t i = 0; i < walk->n; i++) {
        const struct part *known = &walk->parts[i];
        if (known->value == part->value && known->axis == part->axis &&
            known->first == part->first && known->end == part->end &&
            known->is_joined == part->is_joined)
            return;
    }
    if (walk->n == MAX_PARTS)
        walk->is_full = true;
    else
        walk->parts[walk->n++] = *part;
}

/* --- which inputs of a node come out again --- */

/* True or false, which is no feature: it says which of them count. */
static bool is_mask(const struct oq_operator *op)
{
    const enum oq_operator_id id = oq_operator_id(op);
    return oq_operator_has(op, OQ_COMPARES) || id == OQ_ONNX_IsInf || id == OQ_ONNX_IsNaN;
}

static bool hands_on(const Oq__Pb__NodeProto *node, size_t input)
{
    const struct oq_operator *op = oq_operator_of(node);
    const bool is_elementwise =
        oq_operator_has(op, OQ_SAME_SHAPE) || oq_operator_has(op, OQ_BROADCASTS);
    if (oq_operator_has(op, OQ_HAS_BODIES) || oq_node_input(node, input)[0] == '\0')
        return false;
    switch (oq_operator_role(op, input)) {
    case OQ_PASSED:
    case OQ_CHOSEN:
    case OQ_ELEMENT:
        return true;
    case OQ_DIVISOR:
    case OQ_EXACT:
    case OQ_UNBOUNDED:
        return is_elementwise || (oq_operator_has(op, OQ_BY_CHANNEL) && input == 0);
    case OQ_WEIGHT: /* of one: a sum, a diagonal, a Transpose */
        return oq_operator_id(op) == OQ_ONNX_Einsum && node->n_input == 1;
    default:
        return input == 0 &&
               (oq_operator_has(op, OQ_BY_CHANNEL) || oq_node_is(node, "ai.onnx.ml", "Imputer") ||
                oq_node_is(node, "ai.onnx.ml", "Scaler"));
    }
}

static bool is_activation(const struct fed_walk *walk, const struct part *part, size_t input)
{
    const Oq__Pb__NodeProto *node = oq_value_node(part->value);
    const struct oq_value *value = oq_graph_find(part->value->graph, node->input[input]);
    return hands_on(node, input) && (value == NULL || !oq_fate_is_constant(walk->plan, value));
}

/* --- Concat --- */

static void visit_place(struct fed_walk *walk, const struct part *all, size_t input, uint64_t first,
                        uint64_t end)
{
    struct part part = *all;
    part.value = oq_graph_find(all->value->graph, oq_node_input(oq_value_node(all->value), input));
    part.first = first;
    part.end = end;
    visit(walk, &part);
}

/* Of one that is put together itself, the sum. */
static uint64_t size_of(struct fed_walk *walk, const struct part *all, size_t input)
{
    const struct oq_value *value =
        oq_graph_find(all->value->graph, oq_node_input(oq_value_node(all->value), input));
    const Oq__Pb__NodeProto *node = value == NULL ? NULL : oq_value_node(value);
    const uint64_t most = all->end - all->first;
    uint64_t sum = value == NULL ? 0 : oq_axis_size(walk->plan, value, all->axis);
    if (sum > 0 || node == NULL || oq_operator_id_of(node) != OQ_ONNX_Concat ||
        node->n_input > MAX_PARTS || oq_axis_of_concat(walk->plan, value) != all->axis)
        return sum;
    for (size_t i = 0; i < node->n_input; i++) {
        const struct oq_value *part = oq_graph_find(value->graph, node->input[i]);
        const uint64_t size = part == NULL ? 0 : oq_axis_size(walk->plan, part, all->axis);
        walk->is_full |= ++walk->n_visits > MAX_VISITS;
        if (size == 0 || size > most - sum || walk->is_full)
            return 0;
        sum += size;
    }
    return sum;
}

/* From both ends, as far as sizes are known; one that is not is what the others leave. */
static void split(struct fed_walk *walk, const struct part *all)
{
    const size_t n = oq_value_node(all->value)->n_input;
    uint64_t first = all->first, end = all->end, size;
    size_t i = 0, last = n;
    for (; i < last && (size = size_of(walk, all, i)) > 0 && size <= end - first; first += size)
        visit_place(walk, all, i++, first, first + size);
    for (; last > i && (size = size_of(walk, all, last - 1)) > 0 && size <= end - first;
         end -= size)
        visit_place(walk, all, --last, end - size, end);
    for (size_t k = i; k < last; k++)
        visit_place(walk, all, k, last - i == 1 ? first : 0, last - i == 1 ? end : 0);
}

/* --- back from a value --- */

static void step_back(struct fed_walk *walk, const struct part *all)
{
    const Oq__Pb__NodeProto *node = oq_value_node(all->value);
    const bool is_concat = oq_operator_id_of(node) == OQ_ONNX_Concat;
    walk->is_full |= node->n_input > MAX_PARTS;
    if (walk->is_full)
        return;
    const unsigned axis = is_concat && all->end > 0 ? oq_axis_of_concat(walk->plan, all->value) : 0;
    struct part part = *all;
    size_t n = 0, n_handed = 0;
    if (is_mask(oq_operator_of(node)))
        return;
    if (axis > 0 && axis == all->axis) {
        split(walk, all);
        return;
    }
    if (is_concat && (axis == 0 || all->axis == 0))
        part.first = part.end = 0;
    for (size_t i = 0; i < node->n_input; i++) {
        n_handed += hands_on(node, i);
        n += is_activation(walk, all, i);
    }
    part.is_joined |= n > 1 && !is_concat;
    walk->meets_other |= n_handed == 0;
    for (size_t i = 0; i < node->n_input; i++) {
        part.value = oq_graph_find(all->value->graph, node->input[i]);
        part.axis = oq_axis_before(walk->plan, all->value, all->axis, i);
        if (hands_on(node, i))
            visit(walk, &part);
    }
}

/* What a Scan goes through, outside; its states come back from inside. */
static void step_out(struct fed_walk *walk, const struct part *inner)
{
    const struct oq_graph *body = inner->value->graph;
    const Oq__Pb__NodeProto *node = body->parent->proto->node[body->node];
    const int64_t n_scanned = oq_node_int(node, "num_scan_inputs", 0);
    const size_t n = node->n_input;
    struct part part = *inner;
    if (oq_operator_id_of(node) != OQ_ONNX_Scan || n != body->proto->n_input || n_scanned < 0 ||
        inner->value->index + (uint64_t)n_scanned < n ||
        oq_node_attribute(node, "scan_input_axes") != NULL) {
        walk->meets_other = true;
        return;
    }
    part.value = oq_graph_find(body->parent, node->input[inner->value->index]);
    visit(walk, &part);
}

static void add_rows(struct oq_fed *fed, uint64_t first, uint64_t end)
{
    if (fed->n < OQ_MAX_FED)
        fed->rows[fed->n++] = (struct oq_fed_rows){first, end};
}

static void look_at(struct fed_walk *walk, const struct part *part)
{
    const struct oq_value *value = part->value;
    if (oq_fate_is_constant(walk->plan, value))
        return;
    if (value->origin == OQ_ORIGIN_NODE) {
        step_back(walk, part);
    } else if (value->origin != OQ_ORIGIN_INPUT) {
        walk->meets_other = true;
    } else if (value->graph->parent != NULL) {
        step_out(walk, part);
    } else {
        walk->meets_input = true;
        if (part->end > 0 && (!part->is_joined || oq_axis_size(walk->plan, value, part->axis) ==
                                                      part->end - part->first))
            add_rows(walk->fed, part->first, part->end);
    }
}

/* --- the product --- */

static void walk_back(const onnxq_plan *plan, const struct part *part, struct oq_fed *fed)
{
    struct fed_walk walk = {.plan = plan, .fed = fed};
    *fed = (struct oq_fed){.n = 0};
    visit(&walk, part);
    for (size_t i = 0; i < walk.n; i++)
        look_at(&walk, &walk.parts[i]);
    if (walk.is_full || walk.meets_other || !walk.meets_input)
        return;
    *fed = (struct oq_fed){.n = 1, .is_all = true, .rows = {{0, part->end}}};
}

/* What was found last is asked for again: of the same site, and of others on the same values. */
static const struct oq_fed *find_fed(const onnxq_plan *plan, const struct oq_site *site,
                                     uint64_t n_inputs)
{
    const char *activation = oq_node_input(site->node, site->input == 0 ? 1 : 0);
    struct oq_sides sides;
    oq_sides_find(site, &sides);
    const struct part part = {
        .value = oq_graph_find(site->graph, activation), .axis = sides.axis, .end = n_inputs};
    struct oq_fed_before *before = plan->fed_before;
    if (before->value == NULL || before->value != part.value || before->axis != part.axis ||
        (before->n_inputs != n_inputs && n_inputs > 0))
        walk_back(plan, &part, &before->fed);
    else
        return &before->fed;
    before->value = part.value;
    before->axis = part.axis;
    before->n_inputs = n_inputs;
    return &before->fed;
}

void oq_site_find_fed(const onnxq_plan *plan, const struct oq_site *site, uint64_t n_inputs,
                      struct oq_fed *fed)
{
    *fed = *find_fed(plan, site, n_inputs);
}

bool oq_site_is_fed(const onnxq_plan *plan, const struct oq_site *site)
{
    return find_fed(plan, site, 0)->is_all;
}
