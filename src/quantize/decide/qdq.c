/*
 * Weights behind DequantizeLinear, in a form that ONNX Runtime of every version
 * takes. Engines move DequantizeLinear through the graph and make operators of
 * integers of what they meet; tests/engines has what was measured.
 */
#include <math.h>

#include "base/checked.h"
#include "base/option_values.h"
#include "model/needs.h"
#include "operators/operators.h"
#include "quantize/analyze/fate.h"
#include "quantize/rules/rules.h"
#include "quantize/decide/steps.h"
#include "quantize/decide/view.h"
#include "wire/data_type.h"

/* Its kernel was left at that of opset 10 for two versions of ONNX Runtime. */
#define OPSET_QLINEAR_MATMUL 21

/* --- what stands around the weight --- */

/* Inputs and nodes in front of them that are looked at; rearranging chains are short. */
#define MAX_LOOKS 32

static bool only_rearranges(const Oq__Pb__NodeProto *node)
{
    enum oq_role role = oq_operator_role(oq_operator_of(node), 0);
    return node->n_input > 0 && (role == OQ_PASSED || role == OQ_CHOSEN);
}

static bool is_stored(const struct oq_value *value)
{
    const Oq__Pb__NodeProto *node = oq_value_node(value);
    return value != NULL && (value->origin == OQ_ORIGIN_INITIALIZER ||
                             (node != NULL && oq_node_is(node, "", "Constant")));
}

/* What the value is made of, with operators in front that engines look through; NULL: unknown. */
static const struct oq_value *find_origin(const struct oq_graph *graph, const char *name,
                                          unsigned *looks)
{
    const struct oq_value *value = oq_graph_find(graph, name);
    while (value != NULL && (*looks)++ < MAX_LOOKS) {
        const Oq__Pb__NodeProto *node = oq_value_node(value);
        if (node == NULL || !only_rearranges(node))
            return value;
        value = oq_graph_find(value->graph, node->input[0]);
    }
    return NULL;
}

/* DequantizeLinear makes it; of stored integers that is a weight of a model quantized already. */
static bool is_dequantized(const struct oq_value *value, bool is_weight)
{
    const Oq__Pb__NodeProto *node = oq_value_node(value);
    return node != NULL && node->n_input > 0 && oq_node_is(node, "", "DequantizeLinear") &&
           is_stored(oq_graph_find(value->graph, node->input[0])) == is_weight;
}

/* The model computes in integers here: engines take the weight's for the same operator. */
static bool meets_integers(const struct oq_graph *graph, const Oq__Pb__NodeProto *node,
                           size_t input)
{
    unsigned looks = 0;
    for (size_t i = 0; i < node->n_input && looks < MAX_LOOKS; i++)
        if (i != input && is_dequantized(find_origin(graph, node->input[i], &looks), false))
            return true;
    return false;
}

/* Engines leave it where it is: behind it are floats. */
static bool gathers(const Oq__Pb__NodeProto *node)
{
    return oq_node_is(node, "", "Gather");
}

/* Two weights of uint8 make a MatMul of integers by themselves. */
static bool multiplies_weights(const struct oq_graph *graph, const Oq__Pb__NodeProto *node,
                               size_t input)
{
    unsigned looks = 0;
    if (!oq_node_is(node, "", "MatMul") || node->n_input != 2 || input > 1)
        return false;
    const char *name = node->input[1 - input];
    const Oq__Pb__NodeProto *maker = oq_value_node(oq_graph_find(graph, name));
    if (maker != NULL && gathers(maker))
        return false;
    const struct oq_value *other = find_origin(graph, name, &looks);
    return is_stored(other) || is_dequantized(other, true);
}

/*
 * Engines may leave the node out, or move it to the other side of DequantizeLinear: it only
 * rearranges, or does nothing (* 1, + 0 ..).
 */
static bool may_vanish(const struct oq_graph *graph, const Oq__Pb__NodeProto *node, size_t input)
{
    enum oq_role role = oq_operator_role(oq_operator_of(node), input);
    bool vanishes = node->n_output > 0 && !gathers(node) &&
                    (role == OQ_PASSED || role == OQ_CHOSEN || role == OQ_ELEMENT);
    for (size_t i = 0; vanishes && role == OQ_ELEMENT && i < node->n_input; i++)
        vanishes = i == input || is_stored(oq_graph_find(graph, node->input[i]));
    return vanishes;
}

/* Some user of the value, or of what may vanish behind it, computes in integers. */
static bool leads_to_integers(const struct oq_site *site, const struct oq_graph *graph,
                              const char *name, unsigned *looks)
{
    const struct oq_value *value = oq_graph_find(graph, name);
    const struct oq_use *use = value == NULL ? NULL : value->uses;
    for (; use != NULL; use = use->next) {
        if (use->node == OQ_NO_NODE)
            continue;
        if ((*looks)++ >= MAX_LOOKS)
            return true; /* perhaps */
        const Oq__Pb__NodeProto *node = use->graph->proto->node[use->node];
        if (meets_integers(use->graph, node, use->input) ||
            (site->is_unsigned && multiplies_weights(use->graph, node, use->input)) ||
            (may_vanish(use->graph, node, use->input) &&
             leads_to_integers(site, use->graph, node->output[0], looks)))
            return true;
    }
    return false;
}

static bool is_right_operand_of_add(const struct oq_use *use)
{
    return use->node != OQ_NO_NODE && use->input == 1 &&
           oq_node_is(use->graph->proto->node[use->node], "", "Add");
}

/*
 * Token, position and segment rows are added up: of this and the attention behind
 * it ONNX Runtime makes operators of its own, and from 1.28 on loses what is in
 * front of the position table, but no initializer. Callers give no positions.
 */
static bool is_position_table(const struct oq_site *site)
{
    if (!oq_node_is(site->node, "", "Gather") || site->input != 0)
        return false;
    const struct oq_value *rows = oq_graph_find(site->graph, site->node->output[0]);
    const struct oq_value *positions = oq_graph_find(site->graph, oq_node_input(site->node, 1));
    return rows != NULL && rows->n_uses == 1 && is_right_operand_of_add(rows->uses) &&
           positions != NULL && positions->origin != OQ_ORIGIN_INPUT;
}

/*
 * Where axes of a float16 value are exchanged in front of MatMul, the batch among them, ONNX
 * Runtime 1.31 makes an operator of its own that it crashes on, unless the value is folded.
 */
static bool is_rearranged_half(const struct oq_site *site)
{
    const struct oq_source *source = &site->constant->source;
    bool keeps_batch = oq_node_is(site->node, "", "Transpose") && source->n_dims < 3;
    return source->data_type == OQ_TYPE(FLOAT16) && !keeps_batch &&
           oq_source_sees_through(site->node);
}

/* Nodes between the weight and the product that the engine looks through. */
#define MAX_TURNS 4

static bool is_turned_in(const struct oq_graph *graph, const Oq__Pb__NodeProto *node,
                         bool is_turned, unsigned depth, unsigned *looks)
{
    is_turned |= oq_node_is(node, "", "Transpose");
    if (depth == MAX_TURNS || node->n_output != 1 ||
        !(oq_source_sees_through(node) || oq_node_is(node, "", "Cast")))
        return false;
    const struct oq_value *value = oq_graph_find(graph, node->output[0]);
    for (const struct oq_use *use = value == NULL ? NULL : value->uses; use != NULL;
         use = use->next) {
        const Oq__Pb__NodeProto *user =
            use->node == OQ_NO_NODE ? NULL : use->graph->proto->node[use->node];
        if ((*looks)++ >= MAX_LOOKS)
            return true; /* perhaps */
        if (user == NULL || use->input != 0)
            continue;
        if ((is_turned && oq_node_is(user, "", "MatMul") &&
             oq_graph_rank(use->graph, oq_node_input(user, 1)) < 2) ||
            is_turned_in(use->graph, user, is_turned, depth + 1, looks))
            return true;
    }
    return false;
}

/*
 * ONNX Runtime (1.16 to 1.32) joins a Transpose to the MatMul behind it, and multiplies a matrix
 * that is turned and a vector wrongly. What is folded is turned before that.
 */
static bool is_turned_for_vector(const struct oq_site *site)
{
    unsigned looks = 0;
    return is_turned_in(site->graph, site->node, false, 0, &looks);
}

static bool is_among_integers(const struct oq_site *site)
{
    unsigned looks = 0;
    return meets_integers(site->graph, site->node, site->input) ||
           (may_vanish(site->graph, site->node, site->input) &&
            leads_to_integers(site, site->graph, site->node->output[0], &looks));
}

/* Engines make QLinearMatMul of it, which old ones have in older opsets only. */
static bool makes_missing_product(const onnxq_plan *plan, const struct oq_site *site)
{
    return plan->model->opset >= OPSET_QLINEAR_MATMUL &&
           oq_engine_refuses(plan->target, OQ_ONNX_QLinearMatMul, OQ_FORM_OPSET,
                             OPSET_QLINEAR_MATMUL) != NULL &&
           (oq_node_is(site->node, "", "MatMul") ||
            may_vanish(site->graph, site->node, site->input)) &&
           is_among_integers(site);
}

/* One scale leaves 1/8 of what 8 bits have to matrices or kernels that are as small. */
#define LEAST_OF_PARTS 0.125

/* Of n parts of one size, by the first numbers of each, as many as are read at once. */
static bool are_unlike(onnxq_plan *plan, const struct oq_source *source, uint64_t n, uint64_t some)
{
    const uint64_t size = source->nelem / n;
    some = oq_min_u64(some, OQ_READ_MAX_NELEM);
    struct oq_read_room *room = oq_plan_read_room(plan);
    double least = INFINITY, most = 0;
    onnxq_error ignored; /* who measures all of it says so */
    for (uint64_t i = 0; room != NULL && i < n; i++) {
        if (!oq_source_read_floats(source, i * size, (size_t)some, room->x, room->scratch,
                                   &ignored))
            return false;
        const double square = oq_sum_squares(room->x, some, 1);
        least = square > 0 ? fmin(least, square) : least;
        most = fmax(most, square);
    }
    return least < most * LEAST_OF_PARTS * LEAST_OF_PARTS;
}

/* Matrices of unlike size, as of experts: DequantizeLinear has one axis. */
static bool multiplies_unlike_matrices(onnxq_plan *plan, const struct oq_site *site)
{
    const struct oq_source *source = &site->constant->source;
    if (plan->is_estimate || plan->options.block_size != 0 ||
        !oq_node_is(site->node, "", "MatMul") || source->n_dims < 3 || source->nelem == 0)
        return false;
    const uint64_t size =
        (uint64_t)source->dims[source->n_dims - 2] * (uint64_t)source->dims[source->n_dims - 1];
    return source->nelem > size && are_unlike(plan, source, source->nelem / size,
                                              (uint64_t)source->dims[source->n_dims - 1]);
}

/* Kernels of unlike size, as what follows them is folded into them: no axis before version 13. */
static bool convolves_unlike_channels(onnxq_plan *plan, const struct oq_site *site)
{
    const struct oq_source *source = &site->constant->source;
    if (plan->is_estimate || !plan->options.per_channel ||
        plan->model->opset >= OQ_OPSET_DEQUANTIZE_AXIS || !oq_node_is(site->node, "", "Conv") ||
        source->n_dims < 3 || source->nelem == 0 || is_among_integers(site))
        return false;
    const uint64_t n = (uint64_t)source->dims[0];
    return are_unlike(plan, source, n, source->nelem / n);
}

bool oq_site_is_multiplied(onnxq_plan *plan, const struct oq_site *site)
{
    return site->node != NULL &&
           (is_position_table(site) || is_rearranged_half(site) || is_turned_for_vector(site) ||
            makes_missing_product(plan, site) || multiplies_unlike_matrices(plan, site) ||
            convolves_unlike_channels(plan, site));
}

/* --- what it is stored as --- */

/*
 * Integer operators of ONNX Runtime up to 1.31 take a scale for each channel in
 * Conv, in Gemm and at the right of a MatMul of matrices. Two weights of uint8 make
 * a MatMul of integers by themselves.
 */
static bool takes_one_scale(const struct oq_site *site, bool among_integers)
{
    if (oq_node_is(site->node, "", "MatMul"))
        return (among_integers || site->is_unsigned) &&
               (site->input == 0 || site->constant->source.n_dims > 2);
    if (may_vanish(site->graph, site->node, site->input))
        return among_integers;
    return among_integers && !oq_node_is(site->node, "", "Conv") &&
           !oq_node_is(site->node, "", "ConvTranspose") && !oq_node_is(site->node, "", "Gemm");
}

/*
 * Blocks go along the axis over which products are summed: the first one that
 * is neither that of the channels nor one of batches, in all rules there are.
 */
static int find_block_axis(const struct oq_site *site)
{
    int rank = (int)site->constant->source.n_dims;
    for (int axis = (int)site->batch_axes; axis < rank; axis++)
        if (axis != site->axis)
            return axis;
    return -1;
}

/*
 * An axis that is shorter than a block has a scale for each channel. So has a
 * vector that is one block: ONNX Runtime takes one scale for that of a tensor.
 * And so has what is divided by norms.
 */
static void choose_blocks(const onnxq_plan *plan, struct oq_site *site, int axis)
{
    const onnxq_options *options = &plan->options;
    const struct oq_source *source = &site->constant->source;
    if (options->block_size == 0 || axis < 0 || source->dims[axis] < options->block_size ||
        oq_fate_has_norms(plan, site->constant) ||
        (source->n_dims == 1 && source->dims[0] == options->block_size))
        return;
    oq_site_blocks(site, OQ_BLOCKS_ORIGINAL, axis, site->form);
    site->blocks.is_unsigned = options->bits == ONNXQ_BITS_8
                                   ? options->weight_type == ONNXQ_WEIGHT_UINT8
                                   : !site->blocks.symmetric;
}

static const char *refuse(onnxq_plan *plan)
{
    const onnxq_options *options = &plan->options;
    int64_t opset = plan->model->opset;
    bool wants_blocks = options->block_size != 0 || options->bits != ONNXQ_BITS_8;
    if (wants_blocks && opset < OQ_OPSET_DEQUANTIZE_BLOCKS)
        return oq_arena_printf(&plan->round, "%s need opset %d, the model has %lld",
                               options->block_size != 0 ? "blocks" : "4 bits",
                               OQ_OPSET_DEQUANTIZE_BLOCKS, (long long)opset);
    return opset < OQ_OPSET_DEQUANTIZE_LINEAR ? "DequantizeLinear needs opset 10" : NULL;
}

/* DequantizeLinear takes one axis, and none before version 13. */
void oq_plan_decide_qdq(onnxq_plan *plan, struct oq_site *site)
{
    const char *refusal = refuse(plan);
    if (refusal != NULL) {
        oq_site_keep(site, refusal);
        return;
    }
    int block_axis = find_block_axis(site);
    bool among_integers = plan->options.bits == ONNXQ_BITS_8 && is_among_integers(site);
    site->is_multiplied = site->constant->is_multiplied;
    bool has_axis = site->is_multiplied || plan->model->opset >= OQ_OPSET_DEQUANTIZE_AXIS;
    bool one_scale = !has_axis || takes_one_scale(site, among_integers);
    const bool keeps_batch =
        site->is_multiplied && !one_scale && oq_node_is(site->node, "", "MatMul");
    oq_site_fold(site, one_scale ? -1 : site->axis, keeps_batch ? site->batch_axes : 0, NULL);
    if (site->is_multiplied)
        return;
    site->form = has_axis ? "DequantizeLinear" : "DequantizeLinear, one scale";
    if (plan->options.bits != ONNXQ_BITS_8) {
        site->symmetric = oq_is_symmetric(&plan->options, true);
        site->is_unsigned = !site->symmetric;
    }
    /* Conv of integers takes one zero point, up to 1.27; a symmetric weight has one. */
    site->symmetric |= among_integers && oq_node_is(site->node, "", "Conv");
    if (!among_integers)
        choose_blocks(plan, site, block_axis);
}
