/* What a rule has chosen, as the method has it. */
#include "quantize/rules.h"

bool oq_plan_stores_4_bits(const onnxq_options *options)
{
    return options->method == ONNXQ_METHOD_QDQ && options->bits != ONNXQ_BITS_8;
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

/* An axis that is shorter than a block has a scale for each channel. */
static void choose_qdq_blocks(const onnxq_plan *plan, struct oq_site *site, int axis)
{
    const onnxq_options *options = &plan->options;
    if (options->block_size == 0 || axis < 0 ||
        site->constant->source.dims[axis] < options->block_size)
        return;
    oq_site_blocks(plan, site, OQ_BLOCKS_ORIGINAL, axis, NULL);
    site->blocks.is_unsigned = options->bits == ONNXQ_BITS_8
                                   ? options->weight_type == ONNXQ_WEIGHT_UINT8
                                   : !options->symmetric;
}

/*
 * Measured: ONNX Runtime 1.31 fuses DequantizeLinear of uint8 on both sides of a
 * MatMul into an operator that takes one scale for the left one and for batches
 * of matrices, and fails if there are more.
 */
static bool takes_one_scale(const struct oq_site *site)
{
    return site->is_unsigned && oq_node_is(site->node, "", "MatMul") &&
           (site->input == 0 || site->constant->source.n_dims > 2);
}

/* DequantizeLinear takes one axis, and none before version 13. */
static void decide_qdq(onnxq_plan *plan, struct oq_site *site)
{
    int64_t opset = plan->model->opset;
    bool wants_blocks = plan->options.block_size != 0 || plan->options.bits != ONNXQ_BITS_8;
    if (wants_blocks && opset < OQ_OPSET_DEQUANTIZE_BLOCKS) {
        oq_site_keep(site, oq_arena_printf(&plan->arena, "%s need opset %d, the model has %lld",
                                           plan->options.block_size != 0 ? "blocks" : "4 bits",
                                           OQ_OPSET_DEQUANTIZE_BLOCKS, (long long)opset));
        return;
    }
    if (opset < OQ_OPSET_DEQUANTIZE_LINEAR) {
        oq_site_keep(site, "DequantizeLinear needs opset 10");
        return;
    }
    bool one_scale = opset < OQ_OPSET_DEQUANTIZE_AXIS || takes_one_scale(site);
    int block_axis = find_block_axis(site);
    oq_site_fold(site, one_scale ? -1 : site->axis, 0, NULL);
    choose_qdq_blocks(plan, site, block_axis);
    site->form = "DequantizeLinear";
    if (oq_plan_stores_4_bits(&plan->options))
        site->is_unsigned = !plan->options.symmetric;
}

/* What takes a weight in blocks, with their size; what takes none has it folded. */
static void decide_blocks(struct oq_site *site)
{
    if (site->blocks.form == OQ_BLOCKS_NONE)
        oq_site_fold(site, site->axis, site->batch_axes,
                     site->reason != NULL && site->reason[0] != '\0'
                         ? site->reason
                         : "no operator takes it in blocks");
}

/* "MatMulNBits, 4 bits in blocks of 32" */
static const char *describe_form(onnxq_plan *plan, const struct oq_site *site)
{
    static const char *const bits[] = {"8 bits", "4 bits", "nf4"};
    if (site->blocks.form != OQ_BLOCKS_NONE)
        return oq_arena_printf(&plan->arena, "%s, %s in blocks of %llu", site->form,
                               bits[site->blocks.bits], (unsigned long long)site->blocks.size);
    if (oq_plan_stores_4_bits(&plan->options))
        return oq_arena_printf(&plan->arena, "%s, %s", site->form, bits[plan->options.bits]);
    return site->form;
}

void oq_plan_apply_method(onnxq_plan *plan, struct oq_site *site)
{
    if (site->action == ONNXQ_KEEP)
        return;
    if (plan->options.method == ONNXQ_METHOD_QDQ)
        decide_qdq(plan, site);
    else if (plan->options.method == ONNXQ_METHOD_WEIGHTS)
        oq_site_fold(site, site->axis, site->batch_axes, NULL);
    else if (plan->options.method == ONNXQ_METHOD_BLOCKS)
        decide_blocks(site);
    if (site->action != ONNXQ_KEEP)
        site->form = describe_form(plan, site);
}
