/*
 * Which convolutions are worth integers. What one takes in float and in integers is estimated from
 * its sizes, which the ranges tell, and so is what it takes to get from one to the other; the
 * cheapest division of all nodes into both is a minimum cut.
 *
 * The numbers are picoseconds of one core with AVX512-VNNI, of single convolutions in ONNX Runtime
 * 1.31 (tools/static.py --convolutions; docs/decisions.md has what comes of them). Processors with
 * slower integers only move what is far from being worth it.
 */
#include "quantize/activations/activations.h"

#include "base/checked.h"
#include "base/min_cut.h"
#include "ranges/calibrated.h"

struct conv_sizes {
    uint64_t pixels;          /* of the output */
    uint64_t taps, rows;      /* of a kernel */
    uint64_t inputs, outputs; /* channels of a group; of all of them */
    uint64_t groups;
    uint64_t in, out; /* elements */
};

#define MOST ((uint64_t)1 << 56)

static uint64_t times(uint64_t a, uint64_t b)
{
    uint64_t product;
    return oq_mul_u64(a, b, &product) && product < MOST ? product : MOST;
}

/* Lanes of a vector of 32 bits each: channels are taken in so many at once. */
#define LANES 16

static uint64_t round_up(uint64_t channels)
{
    return (channels + LANES - 1) / LANES * LANES;
}

static bool is_depthwise(const struct conv_sizes *conv)
{
    return conv->groups > 1 && conv->inputs == 1 && conv->outputs == conv->groups;
}

/*
 * Pixels under a kernel are copied, row by row, for a product; that of few outputs does not fill a
 * vector. Depthwise convolutions are computed as they lie, where their channels fill vectors.
 */
static uint64_t time_of_integers(const struct conv_sizes *conv)
{
    const uint64_t rows = times(conv->pixels, conv->rows);
    const uint64_t taps = times(conv->out, conv->taps), sums = times(taps, conv->inputs);
    const uint64_t ends = times(conv->out, 150) + times(conv->pixels, 2000);
    if (is_depthwise(conv))
        return conv->outputs % LANES == 0
                   ? times(times(conv->pixels, conv->taps), 1000) + times(taps, 42)
                   : times(taps, 150);
    if (conv->groups > 1)
        return times(times(rows, conv->groups), 13500) + times(sums, 3) + ends;
    const uint64_t copied = conv->taps == 1 ? 0 : conv->inputs % 4 == 0 ? 3000 : 9000;
    const uint64_t unfilled = conv->outputs < LANES ? times(sums / conv->outputs, 200) : 0;
    return times(rows, copied) + unfilled + times(sums, 3) + ends;
}

/* Channels lie in blocks as wide as a vector, but not in groups that are narrower than that. */
static uint64_t time_of_floats(const struct conv_sizes *conv)
{
    const uint64_t outputs = times(conv->pixels, round_up(conv->outputs));
    if (is_depthwise(conv))
        return conv->outputs % 4 == 0 ? times(times(outputs, conv->taps), 20) + times(conv->in, 100)
                                      : times(times(conv->out, conv->taps), 280);
    if (conv->groups > 1 && conv->inputs % LANES != 0)
        return times(conv->out, 5000) + times(conv->in, 250);
    const bool is_narrow = conv->inputs < LANES;
    const uint64_t inputs = is_narrow ? conv->inputs : round_up(conv->inputs);
    return times(times(times(outputs, conv->taps), inputs), is_narrow ? 13 : 12) +
           times(conv->out, 100);
}

/*
 * What integers save of other operators, for each element of the result; below 0: what they cost.
 * In float, what follows a convolution at once is computed with it.
 */
static int64_t find_saved(const Oq__Pb__NodeProto *node, const struct oq_carrier *carrier)
{
    if (carrier->carry == OQ_CARRY_CLAMP)
        return 350; /* the range does it */
    if (carrier->carry == OQ_CARRY_SCALE)
        return 300;
    switch (oq_operator_id_of(node)) {
    case OQ_ONNX_Add:
    case OQ_ONNX_Concat:
        return 100;
    case OQ_ONNX_Sigmoid:
        return -150;
    case OQ_ONNX_LeakyRelu:
        return -300;
    case OQ_ONNX_HardSwish:
    case OQ_ONNX_Resize:
        return -500;
    default:
        return 0;
    }
}

/* With the transposition, as integers have channels last; of an element, and of the nodes at all.
 */
#define TIME_OF_QUANTIZING   900
#define TIME_OF_DEQUANTIZING 700
#define TIME_OF_BLOCKING     700 /* of what is dequantized, for a convolution of floats */
#define TIME_OF_NODES        INT64_C(14000000)

/* Of one tensor; bounded, so that no sum of times overflows. */
static int64_t nelem_of(const onnxq_plan *plan, const struct oq_value *value)
{
    const struct oq_range_stats *stats = oq_ranges_find(plan->options.ranges, value->name);
    return stats == NULL || stats->n_tensors == 0
               ? 0
               : (int64_t)oq_min_u64(stats->count / stats->n_tensors, (uint64_t)1 << 40);
}

static bool find_sizes(const onnxq_plan *plan, size_t index, struct conv_sizes *conv)
{
    const struct oq_carrier *carrier = &plan->activations->carriers[index];
    const struct oq_site *site = oq_product_site(plan, index);
    const struct oq_source *weight = &site->constant->source;
    const int64_t groups = oq_node_int(site->node, "group", 1);
    *conv = (struct conv_sizes){.taps = oq_nelem(weight->dims, 2, weight->n_dims),
                                .rows = oq_nelem(weight->dims, 2, weight->n_dims - 1),
                                .inputs = (uint64_t)weight->dims[1],
                                .outputs = carrier->n_channels,
                                .groups = groups > 0 ? (uint64_t)groups : 1,
                                .in = (uint64_t)nelem_of(plan, carrier->input),
                                .out = (uint64_t)nelem_of(plan, carrier->output)};
    conv->pixels = conv->out / conv->outputs;
    return conv->in > 0 && conv->out > 0;
}

/* --- the graph of what hangs together --- */

struct worth {
    const onnxq_plan *plan;
    struct oq_min_cut cut; /* first side: integers. Nodes, and two for each value */
    bool *is_seen;         /* [values] */
};

static size_t count_nodes(const struct worth *worth)
{
    return worth->plan->activations->n_nodes;
}

/* On the first side where all who take the value as integers are; on the second where none is. */
static size_t find_all(const struct worth *worth, const struct oq_value *value)
{
    return count_nodes(worth) + 2 * value->ordinal;
}

static size_t find_any(const struct worth *worth, const struct oq_value *value)
{
    return find_all(worth, value) + 1;
}

static const struct oq_carrier *find_user(const onnxq_plan *plan, const struct oq_use *use)
{
    if (use->node == OQ_NO_NODE || use->graph->parent != NULL)
        return NULL;
    const struct oq_carrier *user = &plan->activations->carriers[use->node];
    return user->is_integer ? user : NULL;
}

/* A clamp that goes with the product before it. */
static bool is_absorbed(const struct oq_carrier *maker, const struct oq_carrier *user,
                        const struct oq_value *value)
{
    return maker != NULL && maker->carry == OQ_CARRY_PRODUCT && user != NULL &&
           user->carry == OQ_CARRY_CLAMP && value->n_uses == 1;
}

static bool is_convolution(const onnxq_plan *plan, size_t index)
{
    const struct oq_carrier *carrier = &plan->activations->carriers[index];
    return carrier->is_integer && carrier->carry == OQ_CARRY_PRODUCT &&
           oq_node_is(plan->model->proto->graph->node[index], "", "Conv");
}

static void add_use(struct worth *worth, const struct oq_value *value, const struct oq_use *use,
                    size_t made_by)
{
    struct oq_min_cut *cut = &worth->cut;
    if (find_user(worth->plan, use) == NULL) {
        oq_min_cut_prefer(cut, find_all(worth, value), -OQ_CUT_NEVER);
        return;
    }
    oq_min_cut_add(cut, use->node, find_any(worth, value), OQ_CUT_NEVER);
    if (made_by != OQ_NO_NODE)
        oq_min_cut_add(cut, find_all(worth, value), use->node, OQ_CUT_NEVER);
    if (made_by != OQ_NO_NODE && is_convolution(worth->plan, use->node))
        oq_min_cut_add(cut, made_by, use->node, nelem_of(worth->plan, value) * TIME_OF_BLOCKING);
}

static void add_value(struct worth *worth, const struct oq_value *value)
{
    const struct oq_activations *activations = worth->plan->activations;
    const struct oq_carrier *maker = oq_carried_of(worth->plan, value)->maker;
    const int64_t nelem = nelem_of(worth->plan, value);
    const size_t made_by = maker == NULL ? OQ_NO_NODE : (size_t)(maker - activations->carriers);
    struct oq_min_cut *cut = &worth->cut;
    if (worth->is_seen[value->ordinal])
        return;
    worth->is_seen[value->ordinal] = true;
    if (value->n_uses == 1 && is_absorbed(maker, find_user(worth->plan, value->uses), value)) {
        oq_min_cut_add(cut, made_by, value->uses->node, OQ_CUT_NEVER);
        oq_min_cut_add(cut, value->uses->node, made_by, OQ_CUT_NEVER);
        return;
    }
    for (const struct oq_use *use = value->uses; use != NULL; use = use->next)
        add_use(worth, value, use, made_by);
    if (value->is_graph_output)
        oq_min_cut_prefer(cut, find_all(worth, value), -OQ_CUT_NEVER);
    if (maker == NULL) {
        oq_min_cut_prefer(cut, find_any(worth, value), -nelem * TIME_OF_QUANTIZING - TIME_OF_NODES);
        return;
    }
    oq_min_cut_add(cut, find_any(worth, value), made_by,
                   nelem * TIME_OF_QUANTIZING + TIME_OF_NODES);
    oq_min_cut_add(cut, made_by, find_all(worth, value),
                   nelem * TIME_OF_DEQUANTIZING + TIME_OF_NODES);
}

/* What integers save of a node, or cost it. */
static int64_t find_gain(const onnxq_plan *plan, size_t index)
{
    const struct oq_carrier *carrier = &plan->activations->carriers[index];
    const Oq__Pb__NodeProto *node = plan->model->proto->graph->node[index];
    struct conv_sizes conv;
    if (is_convolution(plan, index)) {
        if (oq_product_site(plan, index)->options->force_integer || !find_sizes(plan, index, &conv))
            return OQ_CUT_NEVER;
        return (int64_t)time_of_floats(&conv) - (int64_t)time_of_integers(&conv);
    }
    if (is_absorbed(oq_carried_of(plan, carrier->input)->maker, carrier, carrier->input))
        return 0;
    return nelem_of(plan, carrier->output) * find_saved(node, carrier);
}

static void add_node(struct worth *worth, size_t index)
{
    const onnxq_plan *plan = worth->plan;
    const struct oq_carrier *carrier = &plan->activations->carriers[index];
    const Oq__Pb__NodeProto *node = plan->model->proto->graph->node[index];
    if (!carrier->is_integer)
        return;
    for (size_t i = 0; i < oq_count_operands(node); i++) {
        const struct oq_value *value = oq_main_value(plan, node->input[i]);
        if (value != NULL && value->origin != OQ_ORIGIN_INITIALIZER)
            add_value(worth, value);
    }
    add_value(worth, carrier->output);
    oq_min_cut_prefer(&worth->cut, index, find_gain(plan, index));
}

static size_t count_arcs(const onnxq_plan *plan)
{
    size_t n = 0;
    for (size_t i = 0; i < plan->activations->n_nodes; i++)
        n += 3 * plan->model->proto->graph->node[i]->n_input + 2;
    return n;
}

bool oq_activations_weigh(onnxq_plan *plan)
{
    const struct oq_activations *activations = plan->activations;
    const size_t n_values = plan->model->graphs.n_values;
    struct worth worth = {.plan = plan};
    bool changed = false;
    if (plan->options.qdq_standard || plan->options.activation_bits != 8 ||
        plan->options.force_integer)
        return false;
    worth.is_seen = oq_arena_array(&plan->round, n_values + 1, sizeof(*worth.is_seen));
    if (worth.is_seen == NULL || !oq_min_cut_init(&worth.cut, activations->n_nodes + 2 * n_values,
                                                  count_arcs(plan), &plan->round))
        return false; /* the round fails, then */
    for (size_t i = 0; i < activations->n_nodes; i++)
        add_node(&worth, i);
    if (!oq_min_cut_solve(&worth.cut))
        return false;
    for (size_t i = 0; i < activations->n_nodes; i++) {
        struct oq_carrier *carrier = &activations->carriers[i];
        if (!is_convolution(plan, i) || worth.cut.is_first[i])
            continue;
        carrier->is_integer = false;
        carrier->reason = "integers are no faster at its sizes";
        changed = true;
    }
    return changed;
}
