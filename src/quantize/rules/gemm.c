/*
 * Gemm (ai.onnx, 7, 9, 11, 13): Y = alpha * A' . B' + beta * C, where A' and B'
 * are A and B or their transposes and C broadcasts to Y.
 *
 * alpha goes into the scales, a transposed B is stored the other way round, A
 * is transposed by a node, and beta * C becomes the bias.
 */
#include "quantize/rules/matmul.h"
#include "quantize/rules/rules_table.h"

#include <math.h>

static bool is_weight(size_t input)
{
    return input < 3; /* C is most often a vector, but may be a matrix */
}

static void decide(const onnxq_plan *plan, struct oq_site *site)
{
    const struct oq_source *weight = &site->constant->source;
    const Oq__Pb__NodeProto *node = site->node;
    if (site->input == 2 && oq_node_float(node, "beta", 1) == 0) {
        oq_site_keep(site, "beta is 0");
        return;
    }
    if (site->input == 2) {
        oq_rule_any.decide(plan, site);
        return;
    }
    if (node->n_input < 2 || weight->n_dims != 2) {
        oq_site_keep(site, "Gemm takes two matrices");
        return;
    }
    if (site->input == 0) {
        oq_site_fold(site, oq_node_int(node, "transA", 0) != 0 ? 1 : 0, 0, "the left factor");
        return;
    }
    bool transposed = (oq_node_int(node, "transB", 0) != 0) != weight->transposed;
    int axis = transposed ? 0 : 1;
    const char *refusal =
        oq_matmul_refuses(plan, site, weight->dims[1 - axis], weight->dims[axis], 0);
    if (refusal == NULL && !isfinite(oq_node_float(node, "alpha", 1)))
        refusal = "alpha is not finite";
    if (refusal != NULL)
        oq_site_fold(site, axis, 0, refusal);
    else
        oq_site_dynamic(site, axis, 0, transposed, oq_matmul_form(plan));
}

/* True where C is constant and broadcasts from one row: [], [1], [N], [1, 1] or [1, N]. */
static bool is_row(const struct oq_source *c, int64_t n)
{
    if (c->n_dims > 2 || (c->n_dims == 2 && c->dims[0] != 1))
        return false;
    return c->nelem == 1 || (c->n_dims > 0 && c->dims[c->n_dims - 1] == n && c->nelem > 0);
}

/* beta * C as a new initializer [N]. C has at most n elements. */
static const char *make_bias_row(struct oq_rewrite *rewrite, struct oq_constant *c, int64_t n,
                                 float beta)
{
    float *row = oq_arena_array(rewrite->edit->arena, (size_t)n, sizeof(*row));
    void *scratch = oq_arena_alloc(rewrite->edit->arena, OQ_READ_SCRATCH_NBYTES);
    size_t nelem = (size_t)c->source.nelem;
    if (row == NULL || scratch == NULL) {
        oq_arena_fail(rewrite->edit->arena, rewrite->edit->error);
        return NULL;
    }
    for (size_t done = 0; done < nelem;) {
        size_t part = nelem - done < OQ_READ_MAX_NELEM ? nelem - done : OQ_READ_MAX_NELEM;
        if (!oq_source_read_floats(&c->source, done, part, row + done, scratch,
                                   rewrite->edit->error))
            return NULL;
        done += part;
    }
    for (size_t i = (size_t)n; i-- > 0;)
        row[i] = beta * row[nelem == 1 ? 0 : i];
    return oq_rewrite_bias(rewrite, c, row, n);
}

/* A bias that a following Add takes: beta * C in float32, computed by the graph. */
static const char *make_bias_node(struct oq_rewrite *rewrite, const struct oq_site *site,
                                  float beta)
{
    const char *c = site->node->input[2];
    const char *label = oq_node_label(site->node);
    c = oq_edit_float_input(rewrite->edit, c, false, site->constant->source.data_type);
    if (beta == 1 || c == NULL)
        return c;
    const char *scaled = oq_edit_name(rewrite->edit, c, "_scaled");
    const char *inputs[] = {c, oq_edit_floats(rewrite->edit, "beta", NULL, 0, &beta), NULL};
    const char *outputs[] = {scaled, NULL};
    oq_edit_node(rewrite->edit, "", "Mul", label, inputs, outputs);
    return scaled;
}

static bool emit(struct oq_rewrite *rewrite, const struct oq_site *site)
{
    const Oq__Pb__NodeProto *node = site->node;
    const struct oq_source *weight = &site->constant->source;
    int32_t data_type = weight->data_type;
    int64_t n = weight->dims[site->axis];
    float beta = oq_node_float(node, "beta", 1);
    const char *c_name = node->n_input > 2 && beta != 0 ? node->input[2] : "";
    struct oq_constant *c = oq_plan_constant(rewrite->plan, site->graph, c_name);
    struct oq_matmul matmul = {.activation = node->input[0],
                               .transposed = oq_node_int(node, "transA", 0) != 0,
                               .output = node->output[0],
                               .scale_dims = &n,
                               .n_scale_dims = 1,
                               .factor = oq_node_float(node, "alpha", 1),
                               .output_type = data_type};
    if (c_name[0] == '\0')
        return oq_matmul_emit(rewrite, site, &matmul);

    bool as_is = c != NULL && c->source.n_dims == 1 && c->source.nelem == (uint64_t)n &&
                 beta == 1 && data_type == OQ__PB__TENSOR_PROTO__DATA_TYPE__FLOAT;
    if (as_is) {
        matmul.bias = c_name;
    } else if (c != NULL && c->source.dtype != NULL && c->source.dtype->is_float &&
               is_row(&c->source, n)) {
        matmul.bias = make_bias_row(rewrite, c, n, beta);
        if (matmul.bias == NULL)
            return false;
    }
    if (matmul.bias != NULL)
        return oq_matmul_emit(rewrite, site, &matmul);

    /* Not a row: added behind the product, in the model's own type. */
    const char *bias = make_bias_node(rewrite, site, beta);
    const char *product = oq_edit_name(rewrite->edit, matmul.output, "_product");
    const char *inputs[] = {product, bias, NULL};
    matmul.output = product;
    matmul.output_type = OQ__PB__TENSOR_PROTO__DATA_TYPE__FLOAT;
    return oq_matmul_emit(rewrite, site, &matmul) &&
           oq_edit_float_output(rewrite->edit, "", "Add", oq_node_label(node), inputs, data_type,
                                node->output[0]);
}

const struct oq_rule oq_rule_gemm = {.domain = "",
                                     .op_type = "Gemm",
                                     .is_weight = is_weight,
                                     .decide = decide,
                                     .is_product = true,
                                     .emit = emit};
