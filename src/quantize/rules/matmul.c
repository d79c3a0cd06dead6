/*
 * MatMul (ai.onnx, 1, 9, 13): Y = A . B as numpy.matmul has it, with a constant B or A.
 */
#include "quantize/rules/product.h"

static bool is_weight(size_t input)
{
    return input < 2;
}

/* Scales [B.., 1, N] broadcast along with a product of matrices, not with that of a vector. */
static bool is_matrix(const struct oq_site *site)
{
    return oq_graph_rank(site->graph, site->node->input[0]) >= 2;
}

static const char *refuse_batches(const onnxq_plan *plan, const struct oq_site *site)
{
    if (site->constant->source.n_dims == 2)
        return NULL;
    if (site->options->method == ONNXQ_METHOD_BLOCKS)
        return "no operator takes batches of matrices in blocks";
    if (plan->model->opset < OQ_OPSET_DYNAMIC_QUANTIZE_LINEAR)
        return "batches of matrices need opset 11";
    /* Measured: zero points per channel make ONNX Runtime fail at run time. */
    if (!plan->options.symmetric && plan->options.per_channel)
        return "batches of matrices with zero points per channel do not run";
    if (!is_matrix(site))
        return "batches of matrices, and the other factor is not known to be a matrix";
    return NULL;
}

static void decide(const onnxq_plan *plan, struct oq_site *site)
{
    const struct oq_source *weight = &site->constant->source;
    int rank = (int)weight->n_dims;
    if (site->node->n_input < 2) {
        oq_site_keep(site, "the node lacks inputs");
        return;
    }
    if (rank < 2) {
        oq_site_fold(site, -1, 0, "a vector");
        return;
    }
    if (site->input == 0) {
        oq_matmul_left_decide(plan, site);
        return;
    }
    /* The columns: the last axis, unless a Transpose lies between the tensor and here. */
    int axis = weight->transposed ? rank - 2 : rank - 1;
    int other = weight->transposed ? rank - 1 : rank - 2;
    const char *refusal = oq_matmul_refuses(plan, site, weight->dims[other], weight->dims[axis], 0);
    if (refusal == NULL)
        refusal = refuse_batches(plan, site);
    if (refusal != NULL)
        oq_site_fold(site, axis, (size_t)rank - 2, refusal);
    else
        oq_site_dynamic(site, axis, (size_t)rank - 2, weight->transposed, oq_matmul_form(plan));
    oq_matmul_choose_blocks(site);
}

static bool emit(struct oq_rewrite *rewrite, const struct oq_site *site)
{
    const struct oq_source *weight = &site->constant->source;
    int64_t *dims = oq_arena_array(rewrite->edit->arena, weight->n_dims, sizeof(*dims));
    if (dims == NULL)
        return oq_arena_fail(rewrite->edit->arena, rewrite->edit->error);
    /* [N] for a matrix, [B.., 1, N] for batches: broadcasts along with the product. */
    memcpy(dims, weight->dims, weight->n_dims * sizeof(*dims));
    dims[weight->n_dims - 1] = weight->dims[site->axis];
    dims[weight->n_dims - 2] = 1;
    size_t skip = weight->n_dims == 2 ? 1 : 0;
    const struct oq_matmul matmul = {.activation = site->node->input[0],
                                     .output = site->node->output[0],
                                     .scale_dims = dims + skip,
                                     .n_scale_dims = weight->n_dims - skip,
                                     .factor = 1,
                                     .output_type = weight->data_type};
    return oq_matmul_emit(rewrite, site, &matmul);
}

const struct oq_rule oq_rule_matmul = {.op = OQ_ONNX_MatMul,
                                       .is_weight = is_weight,
                                       .takes_transposed = 1 << 0 | 1 << 1,
                                       .decide = decide,
                                       .is_product = true,
                                       .takes_one_scale = true,
                                       .emit = emit};
