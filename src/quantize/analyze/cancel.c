/*
 * Products whose large terms take each other away behind them, so that what is left is nothing but
 * what rounding has done to the terms. That needs two values that were made of the same one:
 *
 * - the square of a distance, written out: x^2 - 2 x.w + w^2, for points that are near;
 * - a product that what it was made of is taken off, or another product of the same: what a filter
 *   leaves of a picture, one blur less another, what a projection leaves of a vector, what moves
 *   when its inputs do;
 * - a polynomial: powers of one number, summed up with coefficients;
 * - the square of a product, taken off something in front of a root, a logarithm or a division: the
 *   variance that a Gaussian process is left with.
 */
#include "quantize/analyze/fate.h"

#include "base/checked.h"

/* Nodes between a product and the sum, or between the sum and what else goes in. */
#define MAX_STEPS 6

/* The same with what is written around integers, four nodes for each at most. */
#define MAX_WALKED (4 * MAX_STEPS)

static const struct oq_value *input_of(const struct oq_value *value, size_t input)
{
    const Oq__Pb__NodeProto *node = oq_value_node(value);
    return node == NULL ? NULL : oq_graph_find(value->graph, oq_node_input(node, input));
}

static bool is_constant(const onnxq_plan *plan, const struct oq_value *value)
{
    return value != NULL && oq_fate_is_constant(plan, value);
}

/* Of two factors, one of which may be a constant. */
static bool is_product(const Oq__Pb__NodeProto *node)
{
    const struct oq_operator *op = oq_operator_of(node);
    return OQ_NODE_IS(node, "Conv", "Einsum") ||
           (oq_operator_role(op, 0) == OQ_WEIGHT && oq_operator_role(op, 1) == OQ_WEIGHT);
}

bool oq_node_is_around_integers(const Oq__Pb__NodeProto *node)
{
    return OQ_NODE_IS(node, "QuantizeLinear", "DequantizeLinear") ||
           (oq_node_is(node, "", "Sum") && node->n_input == 1);
}

/* Element by element with one number, or rearranged: what is behind is in front. */
static bool hands_on(const onnxq_plan *plan, const struct oq_graph *graph,
                     const Oq__Pb__NodeProto *node, const struct oq_value **made_of)
{
    const enum oq_role role = oq_operator_role(oq_operator_of(node), 0);
    const struct oq_value *left = oq_graph_find(graph, oq_node_input(node, 0));
    const struct oq_value *right = oq_graph_find(graph, oq_node_input(node, 1));
    *made_of = left;
    if (oq_node_is(node, "", "Concat")) /* of several */
        return false;
    if (role == OQ_PASSED || OQ_NODE_IS(node, "Cast", "Neg", "Identity", "Clip") ||
        oq_node_is_around_integers(node))
        return true;
    if (!OQ_NODE_IS(node, "Add", "Sub", "Mul", "Div"))
        return false;
    if (!is_constant(plan, right))
        *made_of = right;
    return is_constant(plan, left) != is_constant(plan, right);
}

/* What a value was made of by such nodes. */
static const struct oq_value *find_base(const onnxq_plan *plan, const struct oq_value *value)
{
    const struct oq_value *made_of;
    for (unsigned i = 0, walked = 0; i < MAX_STEPS && walked < MAX_WALKED && value != NULL;
         walked++) {
        const Oq__Pb__NodeProto *node = oq_value_node(value);
        if (node == NULL || !hands_on(plan, value->graph, node, &made_of))
            break;
        i += !oq_node_is_around_integers(node);
        value = made_of;
    }
    return value;
}

/* The activation of a product with a constant, or NULL. */
static const struct oq_value *find_activation(const onnxq_plan *plan, const struct oq_value *value)
{
    const Oq__Pb__NodeProto *node = oq_value_node(value);
    if (node == NULL || !is_product(node))
        return NULL;
    const struct oq_value *left = input_of(value, 0), *right = input_of(value, 1);
    if (is_constant(plan, left) == is_constant(plan, right))
        return NULL;
    return find_base(plan, is_constant(plan, left) ? right : left);
}

/* x . x or x^2, in any way to write it. */
static const struct oq_value *find_squared(const struct oq_value *value)
{
    const Oq__Pb__NodeProto *node = value == NULL ? NULL : oq_value_node(value);
    if (node == NULL)
        return NULL;
    return oq_node_is_square(node) ? input_of(value, 0) : NULL;
}

/* The value that squares are summed up of by the node that makes a value, or NULL. */
static const struct oq_value *find_summed(const onnxq_plan *plan, const struct oq_value *value)
{
    const Oq__Pb__NodeProto *node = value == NULL ? NULL : oq_value_node(value);
    if (node == NULL)
        return NULL;
    if (OQ_NODE_IS(node, "ReduceSumSquare", "ReduceL2"))
        return input_of(value, 0);
    if (OQ_NODE_IS(node, "ReduceSum", "ReduceMean"))
        return find_squared(input_of(value, 0));
    if (oq_node_is(node, "", "Einsum") && input_of(value, 0) == input_of(value, 1))
        return input_of(value, 0);
    return is_product(node) ? find_squared(find_activation(plan, value)) : NULL; /* with ones */
}

/* The same where the norm may be squared again. */
static const struct oq_value *find_normed(const onnxq_plan *plan, const struct oq_value *value)
{
    const struct oq_value *summed = find_summed(plan, value);
    if (summed == NULL)
        summed = find_summed(plan, find_squared(value));
    return find_base(plan, summed);
}

/* One after the other: an encoder, a decoder. */
#define MAX_PRODUCTS 3

/* x is a product of base, or a product of such, or base itself. */
static bool comes_from(const onnxq_plan *plan, const struct oq_value *x,
                       const struct oq_value *base)
{
    for (unsigned i = 0; i < MAX_PRODUCTS && x != NULL && x != base; i++)
        x = find_activation(plan, x);
    return x == base;
}

/* value is base, and something added to it or taken off it. */
static bool is_moved(const onnxq_plan *plan, const struct oq_value *value,
                     const struct oq_value *base)
{
    const Oq__Pb__NodeProto *node = value == NULL ? NULL : oq_value_node(value);
    return node != NULL && OQ_NODE_IS(node, "Add", "Sub") &&
           (find_base(plan, input_of(value, 0)) == base ||
            find_base(plan, input_of(value, 1)) == base);
}

/* `other` goes into a sum with a product of x. */
static bool cancels_with(const onnxq_plan *plan, const struct oq_value *other,
                         const struct oq_value *x, bool is_difference)
{
    const struct oq_value *base = find_base(plan, other);
    if (base == NULL)
        return false;
    if (find_normed(plan, base) == x)
        return true;
    const struct oq_value *beside = find_activation(plan, base);
    return is_difference &&
           (comes_from(plan, x, base) || beside == x || is_moved(plan, beside, x) ||
            (beside != NULL && is_moved(plan, x, beside)));
}

static const Oq__Pb__NodeProto *user_of(const struct oq_use *use)
{
    return use->node == OQ_NO_NODE ? NULL : use->graph->proto->node[use->node];
}

/* A product with a constant: what it gives is one of the same values. */
static bool multiplies(const onnxq_plan *plan, const Oq__Pb__NodeProto *node,
                       const struct oq_use *use)
{
    return is_product(node) && use->input < 2 &&
           is_constant(plan, oq_graph_find(use->graph, oq_node_input(node, 1 - use->input)));
}

/* A value that goes on from a node that hands on, or is another product; NULL: there is none. */
static const struct oq_value *find_next(const onnxq_plan *plan, const struct oq_value *value)
{
    const struct oq_value *made_of;
    for (const struct oq_use *use = value->uses; use != NULL; use = use->next) {
        const Oq__Pb__NodeProto *node = user_of(use);
        if (node == NULL || node->n_output == 0)
            continue;
        if ((hands_on(plan, use->graph, node, &made_of) && made_of == value) ||
            multiplies(plan, node, use))
            return oq_graph_find(use->graph, node->output[0]);
    }
    return NULL;
}

/* is_norm: the value is the sum of the squares of x itself, of which any product is taken off. */
static bool is_cancelled(const onnxq_plan *plan, const struct oq_value *value,
                         const struct oq_value *x, bool is_norm)
{
    for (const struct oq_use *use = value->uses; use != NULL; use = use->next) {
        const Oq__Pb__NodeProto *node = user_of(use);
        if (node == NULL || !OQ_NODE_IS(node, "Add", "Sub") || use->input > 1)
            continue;
        const struct oq_value *other =
            oq_graph_find(use->graph, oq_node_input(node, 1 - use->input));
        const bool is_difference = is_norm || oq_node_is(node, "", "Sub");
        if (!is_constant(plan, other) && cancels_with(plan, other, x, is_difference))
            return true;
    }
    return false;
}

/* Exponents that are constant, and more than one. */
static bool are_powers(const onnxq_plan *plan, const struct oq_value *x)
{
    const Oq__Pb__NodeProto *node = oq_value_node(x);
    if (node == NULL || !oq_node_is(node, "", "Pow"))
        return false;
    const struct oq_constant *exponents = oq_plan_constant(plan, x->graph, oq_node_input(node, 1));
    return exponents != NULL && exponents->source.nelem > 1;
}

/* More than a value, its square and ones no distance is made of. */
#define MAX_JOINED 8

/* A Concat of a value and the sum of its squares: the product with it is a distance. */
static bool holds_its_norm(const onnxq_plan *plan, const struct oq_value *x)
{
    const Oq__Pb__NodeProto *node = oq_value_node(x);
    if (node == NULL || !oq_node_is(node, "", "Concat") || node->n_input > MAX_JOINED)
        return false;
    for (size_t i = 0; i < node->n_input; i++) {
        const struct oq_value *normed = find_normed(plan, find_base(plan, input_of(x, i)));
        for (size_t k = 0; normed != NULL && k < node->n_input; k++)
            if (find_base(plan, input_of(x, k)) == normed)
                return true;
    }
    return false;
}

/* x . W x, or the square of W x, which is `value`; NULL: that is not summed up. */
static const struct oq_value *find_form(const onnxq_plan *plan, const struct oq_value *value,
                                        const struct oq_value *x)
{
    for (const struct oq_use *use = value->uses; use != NULL; use = use->next) {
        const Oq__Pb__NodeProto *node = user_of(use);
        if (node == NULL || node->n_output == 0)
            continue;
        const struct oq_value *made = oq_graph_find(use->graph, node->output[0]);
        if (made == NULL || oq_node_is(node, "", "ReduceSumSquare"))
            return made;
        const struct oq_value *other =
            oq_graph_find(use->graph, oq_node_input(node, use->input == 0 ? 1 : 0));
        const bool is_form = oq_node_is(node, "", "Mul") && find_base(plan, other) == x;
        for (const struct oq_use *next = made->uses; next != NULL; next = next->next) {
            const Oq__Pb__NodeProto *sum = user_of(next);
            if ((is_form || oq_node_is_square(node)) && sum != NULL && sum->n_output > 0 &&
                oq_node_is(sum, "", "ReduceSum"))
                return oq_graph_find(next->graph, sum->output[0]);
        }
    }
    return NULL;
}

/* Behind which what is left of a difference is the worse the smaller it is. */
static bool is_steep(const Oq__Pb__NodeProto *node, size_t input)
{
    return OQ_NODE_IS(node, "Sqrt", "Log", "Reciprocal", "Pow") ||
           (oq_node_is(node, "", "Div") && input == 1);
}

/* A number less the form: how far the way has come. */
enum progress { ADDED, NEGATED, TAKEN_OFF };

/* What a node hands on of a value on that way, or NULL. */
static const struct oq_value *follow(const onnxq_plan *plan, const struct oq_use *use,
                                     const struct oq_value *value, enum progress *progress)
{
    const Oq__Pb__NodeProto *node = user_of(use);
    const struct oq_value *made_of;
    if (node->n_output == 0)
        return NULL;
    if (*progress != TAKEN_OFF && ((oq_node_is(node, "", "Sub") && use->input == 1) ||
                                   (*progress == NEGATED && oq_node_is(node, "", "Add"))))
        *progress = TAKEN_OFF;
    else if (hands_on(plan, use->graph, node, &made_of) && made_of == value)
        *progress =
            *progress == ADDED && OQ_NODE_IS(node, "Neg", "Mul", "Div") ? NEGATED : *progress;
    else if (*progress != TAKEN_OFF || !OQ_NODE_IS(node, "Max", "Relu", "Abs", "Clip"))
        return NULL;
    return oq_graph_find(use->graph, node->output[0]);
}

static bool is_variance(const onnxq_plan *plan, const struct oq_value *product,
                        const struct oq_value *x)
{
    const struct oq_value *value = find_form(plan, product, x), *next;
    enum progress progress = ADDED;
    for (unsigned i = 0; i < 2 * MAX_STEPS && value != NULL; i++, value = next) {
        next = NULL;
        for (const struct oq_use *use = value->uses; use != NULL; use = use->next) {
            if (user_of(use) == NULL)
                continue;
            if (progress == TAKEN_OFF && is_steep(user_of(use), use->input))
                return true;
            if (next == NULL)
                next = follow(plan, use, value, &progress);
        }
    }
    return false;
}

const char *oq_fate_cancels(const onnxq_plan *plan, const struct oq_site *site, bool *is_unlike)
{
    *is_unlike = false;
    if (!is_product(site->node) || site->node->n_output == 0)
        return NULL;
    const struct oq_value *value = oq_graph_find(site->graph, site->node->output[0]);
    const struct oq_value *x = value == NULL ? NULL : find_activation(plan, value);
    if (x == NULL)
        return NULL;
    *is_unlike = is_variance(plan, value, x);
    if (*is_unlike)
        return "its square is taken off something, and what is left is steep in small results";
    if (are_powers(plan, x))
        return "its inputs are powers of one: large terms take each other away";
    *is_unlike = holds_its_norm(plan, x);
    if (*is_unlike)
        return "its inputs are some and their squares: large terms take each other away";
    const struct oq_value *squared = find_squared(x);
    const struct oq_value *of = squared == NULL ? x : find_base(plan, squared);
    for (unsigned i = 0, walked = 0; i < MAX_STEPS && walked < MAX_WALKED && value != NULL;
         walked++, value = find_next(plan, value)) {
        if (is_cancelled(plan, value, of, squared != NULL))
            return "what it is made of is taken off its product";
        i += walked > 0 && oq_node_is_around_integers(oq_value_node(value)) ? 0 : 1;
    }
    return NULL;
}
