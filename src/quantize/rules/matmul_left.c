/* MatMul and Gemm whose first factor is the constant. */
#include "quantize/rules/product.h"

/*
 * With one column in X, smaller ones were measured slower than float (docs/decisions.md):
 * the Transposes come on top of what a product with the weight on the right costs.
 */
#define MIN_LEFT_NELEM 131072

static const char *refuse(const onnxq_plan *plan, const struct oq_site *site, int64_t k, int64_t m)
{
    if (plan->model->opset < OQ_OPSET_DYNAMIC_QUANTIZE_LINEAR)
        return "a constant on the left needs opset 11";
    const char *refusal = oq_matmul_refuses(plan, site, k, m, 1);
    if (refusal == NULL && k * m < MIN_LEFT_NELEM && !site->options->force_integer)
        refusal = "not faster in integers under 131072 elements on the left";
    return refusal;
}

void oq_left_decide(const onnxq_plan *plan, struct oq_site *site, bool is_turned,
                    const char *objection,
                    bool (*emit)(struct oq_rewrite *rewrite, const struct oq_site *site))
{
    const int64_t *dims = site->constant->source.dims;
    int axis = is_turned ? 1 : 0;
    const char *refusal = refuse(plan, site, dims[1 - axis], dims[axis]);
    if (refusal == NULL)
        refusal = objection;
    if (refusal != NULL) {
        oq_site_fold(site, axis, 0, refusal);
        return;
    }
    oq_site_dynamic(site, axis, 0, !is_turned, "MatMulInteger");
    site->emit = emit;
}

bool oq_left_emit(struct oq_rewrite *rewrite, const struct oq_site *site,
                  const struct oq_matmul *matmul, size_t rank)
{
    int64_t perm[OQ_MAX_RANK];
    for (size_t i = 0; i < rank; i++)
        perm[i] = (int64_t)i;
    perm[rank - 1] = (int64_t)rank - 2;
    perm[rank - 2] = (int64_t)rank - 1;
    const struct oq_turn turn = {.suffix = "_transposed",
                                 .there = matmul->transposed ? NULL : perm,
                                 .back = perm,
                                 .rank = rank};
    return oq_turned_emit(rewrite, site, matmul, &turn);
}

/* --- MatMul --- */

/* W is a matrix, so that Y has the rank of X. */
static int find_rank(const struct oq_site *site)
{
    int rank = oq_graph_rank(site->graph, site->node->input[1]);
    return rank >= 0 ? rank : oq_graph_rank(site->graph, site->node->output[0]);
}

static bool emit_matmul(struct oq_rewrite *rewrite, const struct oq_site *site)
{
    const struct oq_source *weight = &site->constant->source;
    const struct oq_matmul matmul = {.activation = site->node->input[1],
                                     .output = site->node->output[0],
                                     .scale_dims = &weight->dims[site->axis],
                                     .n_scale_dims = 1,
                                     .factor = 1,
                                     .output_type = weight->data_type};
    int rank = find_rank(site);
    /* A vector is the same on either side. */
    return rank == 1 ? oq_matmul_emit(rewrite, site, &matmul)
                     : oq_left_emit(rewrite, site, &matmul, (size_t)rank);
}

void oq_matmul_left_decide(const onnxq_plan *plan, struct oq_site *site)
{
    const struct oq_source *weight = &site->constant->source;
    int rank = (int)weight->n_dims;
    if (rank != 2) {
        oq_site_fold(site, rank - 2, (size_t)rank - 2, "batches of matrices on the left");
        return;
    }
    const char *objection =
        find_rank(site) < 1 ? "the rank of the other factor is not known" : NULL;
    oq_left_decide(plan, site, weight->transposed, objection, emit_matmul);
}
