/*
 * Decides which nodes compute with integers. Products do, where their input and output have ranges;
 * what lies between them does, so that values stay integers; what follows the last of
 * them does not: it would only round.
 */
#include "quantize/activations/activations.h"

#include <math.h>

#include "edit/raise.h"
#include "quantize/analyze/axis.h"
#include "quantize/analyze/existing.h"
#include "quantize/rules/rules.h"
#include "ranges/calibrated.h"
#include "wire/data_type.h"

/* --- setting up --- */

static void read_range(onnxq_plan *plan, const struct oq_value *value)
{
    const onnxq_options *options = &plan->options;
    struct oq_carried *carried = oq_carried_of(plan, value);
    const struct oq_range_rule rule = {.method = options->range_method,
                                       .percentile = options->percentile,
                                       .bits = options->activation_bits,
                                       .symmetric = options->qdq_standard};
    const struct oq_range_stats *stats = oq_ranges_find(options->ranges, value->name);
    if (stats == NULL)
        carried->refusal = "has no range";
    else if (stats->n_nan + stats->n_infinite > 0)
        carried->refusal = "was NaN or infinite";
    else if (!oq_range_of(stats, &rule, &carried->low, &carried->high))
        carried->refusal = "was never reached";
    else if (carried->low == carried->high)
        carried->refusal = "was always 0";
    else
        carried->has_range = true;
}

/* Of what a node computes with, and of what it gives. */
static void visit_values(onnxq_plan *plan, size_t index,
                         void (*visit)(onnxq_plan *plan, const struct oq_value *value))
{
    const Oq__Pb__NodeProto *node = plan->model->proto->graph->node[index];
    for (size_t i = 0; i < oq_count_operands(node); i++) {
        const struct oq_value *value = oq_main_value(plan, node->input[i]);
        if (value != NULL)
            visit(plan, value);
    }
    visit(plan, plan->activations->carriers[index].output);
}

/*
 * Engines make integer operators of DequantizeLinear wherever two of them meet, and not all of
 * these run: what comes quantized in part stays as it came.
 */
static bool is_quantized_in_part(const onnxq_plan *plan)
{
    const Oq__Pb__GraphProto *graph = plan->model->proto->graph;
    for (size_t i = 0; i < graph->n_node; i++) {
        const enum oq_operator_id op = oq_operator_id_of(graph->node[i]);
        if (op == OQ_ONNX_DequantizeLinear || op == OQ_MS_DequantizeLinear)
            return true;
    }
    return false;
}

/* Of an earlier run, maybe over the model that the ranges are of. */
static bool has_integers(const onnxq_plan *plan)
{
    for (size_t i = 0; i < plan->n_constants; i++)
        for (size_t k = 0; k < plan->constants[i].n_sites; k++)
            if (oq_existing_weight(&plan->constants[i].sites[k]) != NULL)
                return true;
    return false;
}

/* Why no product of the model is taken, or NULL; false where the ranges are a mistake. */
static bool find_refusal(const onnxq_plan *plan, const char **refusal, onnxq_error *error)
{
    const bool may_differ = has_integers(plan);
    onnxq_error ignored;
    oq_error_init(&ignored);
    *refusal = is_quantized_in_part(plan) ? "the model has DequantizeLinear already" : NULL;
    if (oq_ranges_check(plan->options.ranges, oq_model_of_file(plan->model),
                        may_differ ? &ignored : error))
        return true;
    if (*refusal == NULL)
        *refusal = "the ranges are of the model before it was quantized in part";
    return may_differ;
}

/* --- ranges of Softmax --- */

static bool is_softmax(const struct oq_value *value)
{
    const Oq__Pb__NodeProto *node = oq_value_node(value);
    return node != NULL && oq_node_is(node, "", "Softmax");
}

/* From here on axis is what Softmax sums up over, and not where that begins. */
#define OPSET_SOFTMAX_AXIS 13

/* How many numbers it makes sum up to 1, at least. */
static uint64_t count_shares(const onnxq_plan *plan, const struct oq_value *softmax)
{
    const int64_t axis = plan->model->opset < OPSET_SOFTMAX_AXIS
                             ? -1
                             : oq_node_int(oq_value_node(softmax), "axis", -1);
    const uint64_t n = oq_axis_size(plan, softmax, oq_axis_of_attribute(plan, softmax, axis));
    return n == 0 ? 1 : n;
}

/*
 * ONNX Runtime (1.31) computes Softmax of 8 bits in integers of 32, which overflow where its
 * steps are finer than a 148th (e to the fifth) of equal shares: results are anything then.
 */
#define MOST_STEPS_OF_SHARE 147

static void widen_softmax(onnxq_plan *plan, const struct oq_value *value)
{
    const struct oq_integer_form *form = &plan->activations->form;
    struct oq_carried *carried = oq_carried_of(plan, value);
    if (form->width != 1 || !carried->has_range || !is_softmax(value))
        return;
    const int steps = form->is_symmetric ? form->high : form->high - form->low;
    const float least = (float)steps / MOST_STEPS_OF_SHARE / (float)count_shares(plan, value);
    carried->high = fmaxf(carried->high, least);
}

static void widen_softmaxes(onnxq_plan *plan)
{
    for (size_t i = 0; i < plan->activations->n_nodes; i++)
        if (plan->activations->carriers[i].carry != OQ_CARRY_NONE)
            visit_values(plan, i, widen_softmax);
}

/*
 * Few numbers that are far larger than all others make the steps of 8 bits coarse: rounding moves
 * the others by more than this part of the root mean square (docs/decisions.md).
 */
#define MOST_ROUNDED 0.05

static void refuse_coarse(onnxq_plan *plan, const struct oq_value *value)
{
    struct oq_carried *carried = oq_carried_of(plan, value);
    if (!carried->has_range)
        return;
    const struct oq_range_stats *stats = oq_ranges_find(plan->options.ranges, value->name);
    const double step = ((double)carried->high - (double)carried->low) / UINT8_MAX;
    if (step / sqrt(12) <= MOST_ROUNDED * oq_range_size(stats, carried->low, carried->high))
        return;
    carried->has_range = false;
    carried->refusal = "has few numbers far larger than the others, for which 8 bits are coarse";
}

/* Of ranges that are cut. Where all is to be integer, it is. */
static void refuse_coarse_values(onnxq_plan *plan)
{
    const onnxq_options *options = &plan->options;
    if (options->qdq_standard || options->force_integer || options->activation_bits != 8)
        return;
    for (size_t i = 0; i < plan->activations->n_nodes; i++)
        if (plan->activations->carriers[i].carry != OQ_CARRY_NONE)
            visit_values(plan, i, refuse_coarse);
}

static bool init_carriers(onnxq_plan *plan, const char *refusal, onnxq_error *error)
{
    struct oq_activations *activations = plan->activations;
    for (size_t i = 0; i < activations->n_nodes; i++) {
        struct oq_carrier *carrier = &activations->carriers[i];
        if (!oq_carrier_init(plan, i, carrier, error))
            return false;
        if (carrier->carry == OQ_CARRY_NONE)
            continue;
        visit_values(plan, i, read_range);
        carrier->refusal = refusal;
        if (carrier->carry == OQ_CARRY_PRODUCT && !oq_product_init(plan, i, error))
            return false;
    }
    return true;
}

static void choose_form(onnxq_plan *plan)
{
    const bool is_wide = plan->options.activation_bits == 16;
    plan->activations->form =
        plan->options.qdq_standard
            ? (is_wide ? (struct oq_integer_form){OQ_TYPE(INT16), 2, INT16_MIN, INT16_MAX, true}
                       : (struct oq_integer_form){OQ_TYPE(INT8), 1, INT8_MIN, INT8_MAX, true})
            : (is_wide ? (struct oq_integer_form){OQ_TYPE(UINT16), 2, 0, UINT16_MAX, false}
                       : (struct oq_integer_form){OQ_TYPE(UINT8), 1, 0, UINT8_MAX, false});
}

/* Scales by channel in ai.onnx, and integers of 16 bits. */
static bool check_standard(const onnxq_plan *plan, onnxq_error *error)
{
    const bool is_wide = plan->options.activation_bits == 16;
    const int least = is_wide ? OQ_OPSET_DEQUANTIZE_INT16 : OQ_OPSET_DEQUANTIZE_AXIS;
    if (!plan->options.qdq_standard || plan->model->opset >= least)
        return true;
    oq_error_hint(error, "onnx.version_converter.convert_version(model, %d) may raise it", least);
    return oq_fail(error, ONNXQ_ERROR_INPUT,
                   "options.qdq_standard=true needs opset %d%s, the model has %lld", least,
                   is_wide ? " for 16 bits" : "", (long long)plan->model->opset);
}

/* QuantizeLinear and what engines make of it begin with opset 10. */
static bool choose_opset(onnxq_plan *plan, onnxq_error *error)
{
    const onnxq_model *model = plan->model;
    const Oq__Pb__NodeProto *node;
    plan->activations->opset = model->opset;
    if (model->opset < OQ_OPSET_RAISED_FROM || model->opset >= OQ_OPSET_RAISED)
        return true;
    if ((node = oq_raise_refuses(model)) != NULL) {
        oq_error_hint(error, "onnx.version_converter.convert_version(model, 13) may raise it");
        return oq_fail(error, ONNXQ_ERROR_INPUT,
                       "method static needs opset %d, the model has %lld, and %s \"%s\" is another "
                       "operator there",
                       OQ_OPSET_RAISED, (long long)model->opset, node->op_type,
                       oq_node_label(node));
    }
    plan->activations->opset = OQ_OPSET_RAISED;
    return true;
}

static bool has_products(const onnxq_plan *plan)
{
    for (size_t i = 0; i < plan->n_constants; i++)
        for (size_t k = 0; k < plan->constants[i].n_sites; k++) {
            const struct oq_site *site = &plan->constants[i].sites[k];
            if (site->graph != NULL && site->rule != NULL && site->rule->is_product &&
                site->input < 2 && site->screened == NULL)
                return true;
        }
    return false;
}

bool oq_activations_find(onnxq_plan *plan, onnxq_error *error)
{
    const onnxq_model *model = plan->model;
    if (plan->options.method != ONNXQ_METHOD_STATIC)
        return true;
    if (!has_products(plan))
        return true; /* quantized already, or never to be: whatever the ranges are of */
    const char *refusal;
    if (!find_refusal(plan, &refusal, error))
        return false;
    struct oq_activations *activations = oq_arena_alloc(&plan->arena, sizeof(*activations));
    if (activations == NULL)
        return oq_arena_fail(&plan->arena, error);
    plan->activations = activations;
    activations->n_nodes = model->proto->graph->n_node;
    activations->carriers =
        oq_arena_array(&plan->arena, activations->n_nodes + 1, sizeof(*activations->carriers));
    activations->values =
        oq_arena_array(&plan->arena, model->graphs.n_values + 1, sizeof(*activations->values));
    if (activations->carriers == NULL || activations->values == NULL)
        return oq_arena_fail(&plan->arena, error);
    choose_form(plan);
    if (!check_standard(plan, error) || !choose_opset(plan, error) ||
        !init_carriers(plan, refusal, error) || !oq_products_fold(plan, error) ||
        !oq_ranges_cut(plan, error) || !oq_gates_find(plan, error))
        return false;
    widen_softmaxes(plan);
    refuse_coarse_values(plan);
    return true;
}

/* --- what a node needs --- */

static const char *tell(onnxq_plan *plan, const struct oq_value *value, const char *what)
{
    const char *text = oq_arena_printf(&plan->round, "\"%s\" %s", value->name, what);
    return text == NULL ? "" : text;
}

static struct oq_carrier *carrier_of(const onnxq_plan *plan, size_t index)
{
    return &plan->activations->carriers[index];
}

/* The clamp that takes a value and is the only one to do so; it vanishes with it. */
static const struct oq_carrier *find_clamp(const onnxq_plan *plan, const struct oq_value *value)
{
    const struct oq_use *use = value->uses;
    if (value->n_uses != 1 || value->is_graph_output || use->node == OQ_NO_NODE ||
        use->graph->parent != NULL)
        return NULL;
    const struct oq_carrier *user = carrier_of(plan, use->node);
    return user->carry == OQ_CARRY_CLAMP && user->is_integer ? user : NULL;
}

/* A value that a node takes as integers: it has a range, or the one it is like. */
static bool is_ranged(const onnxq_plan *plan, const struct oq_value *value)
{
    return oq_carried_root(plan, value)->has_range;
}

static const char *refuse_value(onnxq_plan *plan, const struct oq_value *value)
{
    const struct oq_carried *root = oq_carried_root(plan, value);
    return root->has_range
               ? NULL
               : tell(plan, value, root->refusal != NULL ? root->refusal : "has no range");
}

/* What a node gives, to which what follows may belong. */
static const struct oq_value *find_result(const onnxq_plan *plan, const struct oq_carrier *carrier)
{
    const struct oq_carrier *clamp =
        carrier->carry == OQ_CARRY_PASS || carrier->carry == OQ_CARRY_SCALE ||
                carrier->carry == OQ_CARRY_HARD || is_softmax(carrier->output)
            ? NULL
            : find_clamp(plan, carrier->output);
    return clamp == NULL ? carrier->output : clamp->output;
}

/* --- what is put together --- */

/*
 * Inputs that differ so much in range share one scale in the result, in which the smaller ones
 * have four bits left or less: boxes and scores of a detector, an image of 0 to 255 beside what a
 * network has made of it.
 */
#define LEAST_BITS 4

/* Values that are looked at, where one Concat takes another. */
#define MAX_JOINED 32

struct joined {
    const struct oq_value *values[MAX_JOINED];
    size_t n;
    float least, most; /* of the widths of their ranges */
};

static void add_joined(struct joined *joined, const struct oq_value *value)
{
    for (size_t i = 0; i < joined->n; i++)
        if (joined->values[i] == value)
            return;
    if (value != NULL && joined->n < MAX_JOINED)
        joined->values[joined->n++] = value;
}

/* Back through what leaves values as they are, to those that were put together. */
static void look_behind(const onnxq_plan *plan, struct joined *joined, const struct oq_value *value)
{
    const Oq__Pb__NodeProto *node = value->graph->parent == NULL ? oq_value_node(value) : NULL;
    const struct oq_carrier *carrier = node == NULL ? NULL : carrier_of(plan, value->index);
    if (carrier != NULL && carrier->carry == OQ_CARRY_JOIN) {
        for (size_t i = 0; i < node->n_input; i++)
            add_joined(joined, oq_main_value(plan, node->input[i]));
    } else if (carrier != NULL &&
               (carrier->carry == OQ_CARRY_PASS ||
                (carrier->carry == OQ_CARRY_CLAMP && !isfinite(carrier->high)))) {
        add_joined(joined, carrier->input);
    } else {
        const struct oq_carried *root = oq_carried_root(plan, value);
        const float width = root->high - root->low;
        joined->least = root->has_range ? fminf(joined->least, width) : joined->least;
        joined->most = root->has_range ? fmaxf(joined->most, width) : joined->most;
    }
}

static const char *refuse_joined(const onnxq_plan *plan, const struct oq_value *value)
{
    struct joined joined = {.least = INFINITY};
    add_joined(&joined, value);
    for (size_t i = 0; i < joined.n; i++)
        look_behind(plan, &joined, joined.values[i]);
    return joined.most > ldexpf(joined.least, (int)plan->options.activation_bits - LEAST_BITS)
               ? "its inputs have ranges that do not fit together"
               : NULL;
}

/* --- products --- */

static bool is_convolution(const onnxq_plan *plan, size_t index)
{
    return oq_node_is(plan->model->proto->graph->node[index], "", "Conv");
}

static const char *refuse_product(onnxq_plan *plan, size_t index)
{
    const struct oq_carrier *product = carrier_of(plan, index);
    const struct oq_site *site = oq_product_site(plan, index);
    if (product->refusal != NULL)
        return product->refusal;
    if (site->constant->need != OQ_NEEDS_NOTHING)
        return site->constant->need_reason;
    const char *refusal = site->needs_floats;
    if (refusal == NULL)
        refusal = refuse_value(plan, product->input);
    if (refusal == NULL)
        refusal = refuse_joined(plan, product->input);
    if (refusal == NULL && !plan->options.qdq_standard && !is_convolution(plan, index) &&
        oq_carried_of(plan, product->input)->maker == NULL)
        refusal = "its input is no integer anyway";
    return refusal;
}

/* --- all kinds --- */

static const char *refuse_operands(onnxq_plan *plan, size_t index)
{
    const Oq__Pb__NodeProto *node = plan->model->proto->graph->node[index];
    bool any_made = false;
    for (size_t i = 0; i < oq_count_operands(node); i++) {
        const struct oq_value *value = oq_main_value(plan, node->input[i]);
        if (oq_find_small_constant(plan, node->input[i]) != NULL)
            continue;
        if (value == NULL || value->origin == OQ_ORIGIN_INITIALIZER)
            return "an input is a constant that has no range";
        const char *refusal = refuse_value(plan, value);
        if (refusal != NULL)
            return refusal;
        any_made |= oq_carried_of(plan, value)->maker != NULL;
    }
    return any_made ? NULL : "its inputs are no integers anyway";
}

static bool is_taken_by_integers(const onnxq_plan *plan, const struct oq_value *value)
{
    for (const struct oq_use *use = value->uses; use != NULL; use = use->next)
        if (use->node != OQ_NO_NODE && use->graph->parent == NULL &&
            carrier_of(plan, use->node)->is_integer)
            return true;
    return false;
}

static const char *refuse_tail(const onnxq_plan *plan, const struct oq_carrier *carrier)
{
    if (carrier->carry == OQ_CARRY_PRODUCT)
        return NULL;
    if (carrier->carry == OQ_CARRY_CLAMP) {
        const struct oq_carrier *maker = oq_carried_of(plan, carrier->input)->maker;
        if (maker != NULL && maker->carry == OQ_CARRY_PRODUCT)
            return NULL; /* vanishes anyway */
    }
    return is_taken_by_integers(plan, carrier->output) ? NULL
                                                       : "nothing behind it computes with integers";
}

static const char *refuse_node(onnxq_plan *plan, size_t index)
{
    const struct oq_carrier *carrier = carrier_of(plan, index);
    const char *refusal = carrier->carry == OQ_CARRY_PRODUCT ? refuse_product(plan, index)
                                                             : refuse_operands(plan, index);
    if (refusal == NULL && carrier->carry == OQ_CARRY_JOIN)
        refusal = refuse_joined(plan, carrier->output);
    if (refusal == NULL)
        refusal = refuse_tail(plan, carrier);
    /* What is no convolution may give floats. */
    if (refusal == NULL && (carrier->carry != OQ_CARRY_PRODUCT || is_convolution(plan, index)) &&
        !is_ranged(plan, find_result(plan, carrier)))
        refusal = refuse_value(plan, find_result(plan, carrier));
    return refusal;
}

/* --- rounds --- */

static void mark_made(const onnxq_plan *plan, const struct oq_carrier *carrier)
{
    struct oq_carried *made = oq_carried_of(plan, carrier->output);
    made->maker = carrier->is_integer ? carrier : NULL;
    made->like = carrier->is_integer && carrier->carry == OQ_CARRY_PASS ? carrier->input : NULL;
}

static bool review(onnxq_plan *plan, size_t index)
{
    struct oq_carrier *carrier = carrier_of(plan, index);
    if (!carrier->is_integer)
        return false;
    const char *refusal = refuse_node(plan, index);
    if (refusal == NULL)
        return false;
    carrier->is_integer = false;
    carrier->reason = refusal;
    mark_made(plan, carrier);
    return true;
}

/* There and back, so that chains in either direction take one round. */
static bool review_all(onnxq_plan *plan)
{
    const size_t n = plan->activations->n_nodes;
    bool changed = false;
    for (size_t i = 0; i < n; i++)
        changed |= review(plan, i);
    for (size_t i = n; i > 0; i--)
        changed |= review(plan, i - 1);
    return changed;
}

/* Enough for real models; what changes its mind more often is left to floats, but for products. */
#define MAX_ROUNDS 64

static void give_up(onnxq_plan *plan)
{
    for (size_t i = 0; i < plan->activations->n_nodes; i++) {
        struct oq_carrier *carrier = carrier_of(plan, i);
        if (!carrier->is_integer || carrier->carry == OQ_CARRY_PRODUCT)
            continue;
        carrier->is_integer = false;
        carrier->reason = "too many nodes depend on each other";
        mark_made(plan, carrier);
    }
}

static void review_until_settled(onnxq_plan *plan)
{
    size_t rounds = 0;
    while (review_all(plan))
        if (++rounds == MAX_ROUNDS)
            give_up(plan);
}

/* Convolutions give integers, but for those that can give floats; of the others those that are
 * taken as such. */
static void settle_values(onnxq_plan *plan)
{
    for (size_t i = 0; i < plan->activations->n_nodes; i++) {
        struct oq_carrier *carrier = carrier_of(plan, i);
        if (!carrier->is_integer)
            continue;
        const bool vanishes = find_result(plan, carrier) != carrier->output;
        const bool is_taken = is_taken_by_integers(plan, carrier->output);
        carrier->gives_floats = carrier->carry == OQ_CARRY_PRODUCT && !vanishes && !is_taken &&
                                oq_can_give_floats(plan, i);
        oq_carried_of(plan, carrier->output)->is_carried =
            !vanishes && !carrier->gives_floats &&
            (is_convolution(plan, i) || carrier->carry != OQ_CARRY_PRODUCT || is_taken);
    }
}

void oq_activations_decide(onnxq_plan *plan)
{
    struct oq_activations *activations = plan->activations;
    if (activations == NULL)
        return;
    for (size_t i = 0; i < activations->n_nodes; i++) {
        struct oq_carrier *carrier = &activations->carriers[i];
        carrier->is_integer = carrier->carry != OQ_CARRY_NONE && carrier->carry != OQ_CARRY_FOLDED;
        carrier->gives_floats = false;
        carrier->reason = "";
        if (!carrier->is_integer)
            continue;
        oq_carried_of(plan, carrier->output)->is_carried = false;
        mark_made(plan, carrier);
    }
    review_until_settled(plan);
    if (oq_activations_weigh(plan)) {
        for (size_t i = 0; i < activations->n_nodes; i++)
            if (activations->carriers[i].carry == OQ_CARRY_PRODUCT)
                mark_made(plan, &activations->carriers[i]);
        review_until_settled(plan);
    }
    settle_values(plan);
}

/* --- what becomes of constants --- */

static const char *find_part(const onnxq_plan *plan, const struct oq_site *site)
{
    const struct oq_carrier *carrier = carrier_of(plan, site->node_index);
    if (carrier->carry == OQ_CARRY_FOLDED)
        return "folded into the weight before it";
    if (oq_float_gate_of(plan, site->node_index) != NULL)
        return "a part of HardSigmoid";
    if (carrier->is_integer && carrier->carry == OQ_CARRY_SCALE)
        return "a factor of the scale behind it";
    if (carrier->carry == OQ_CARRY_PRODUCT && site->input == 2 &&
        (carrier->is_integer || carrier->has_folded))
        return carrier->is_integer && !plan->options.qdq_standard
                   ? "int32, in steps of weight and activation"
                   : "folded into the product";
    if (carrier->is_integer && carrier->carry != OQ_CARRY_PRODUCT &&
        site->input < oq_count_operands(site->node))
        return plan->activations->form.width == 1 ? "an operand in 8 bits of its own"
                                                  : "an operand in 16 bits of its own";
    return NULL;
}

bool oq_activations_decide_site(onnxq_plan *plan, struct oq_site *site)
{
    struct oq_constant *constant = (struct oq_constant *)(uintptr_t)site->constant;
    if (plan->activations == NULL || site->graph == NULL || site->graph->parent != NULL ||
        site->node == NULL)
        return false;
    const struct oq_carrier *carrier = carrier_of(plan, site->node_index);
    const char *part = find_part(plan, site);
    if (part != NULL) {
        oq_site_keep(site, part);
        site->is_rewritten = true;
    }
    if (part != NULL || carrier->carry != OQ_CARRY_PRODUCT || site->input != 1)
        return part != NULL;
    if (!carrier->is_integer)
        return false;
    oq_site_fold(site, carrier->channel_axis, 0, "");
    site->form = plan->activations->form.width == 1 ? "8-bit activations" : "16-bit activations";
    site->n_dims = constant->source.n_dims;
    site->symmetric = true;
    site->is_unsigned = false;
    constant->is_static = true;
    return true;
}

const char *oq_activations_refusal(const onnxq_plan *plan, const struct oq_site *site)
{
    if (plan->activations != NULL && site->graph->parent == NULL && site->input == 1) {
        const struct oq_carrier *carrier = carrier_of(plan, site->node_index);
        if (carrier->carry == OQ_CARRY_PRODUCT)
            return carrier->reason;
    }
    return "weights of Conv, Gemm and MatMul are quantized";
}

void oq_activations_explain(const onnxq_plan *plan, struct oq_site *site)
{
    if (plan->activations == NULL || site->graph->parent != NULL || site->input != 1)
        return;
    const struct oq_carrier *carrier = carrier_of(plan, site->node_index);
    bool is_left = carrier->carry == OQ_CARRY_PRODUCT && !carrier->is_integer;
    if (is_left && site->action == ONNXQ_FOLD && site->reason[0] == '\0')
        site->reason = carrier->reason;
}
