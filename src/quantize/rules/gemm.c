/*
 * Gemm (ai.onnx, 7, 9, 11, 13): Y = alpha * A' . B' + beta * C, where A' and B'
 * are A and B or their transposes and C broadcasts to Y.
 *
 * alpha goes into the scales, a transposed B is stored the other way round, A
 * is transposed by a node, and beta * C becomes the bias.
 */
#include "quantize/rules/product.h"
#include "wire/data_type.h"

#include <math.h>

static bool emit_left(struct oq_rewrite *rewrite, const struct oq_site *site);

static bool is_weight(size_t input)
{
    return input < 3; /* C is most often a vector, but may be a matrix */
}

static void decide_left(const onnxq_plan *plan, struct oq_site *site)
{
    const Oq__Pb__NodeProto *node = site->node;
    bool is_turned = (oq_node_int(node, "transA", 0) != 0) != site->constant->source.transposed;
    const char *refusal = isfinite(oq_node_float(node, "alpha", 1)) ? NULL : "alpha is not finite";
    oq_left_decide(plan, site, is_turned, refusal, emit_left);
    site->factor = oq_node_float(node, "alpha", 1);
}

/* True where C is constant and broadcasts from one row: [], [1], [N], [1, 1] or [1, N]. */
static bool is_row(const struct oq_source *c, int64_t n)
{
    if (c->n_dims > 2 || (c->n_dims == 2 && c->dims[0] != 1))
        return false;
    return c->nelem == 1 || (c->n_dims > 0 && c->dims[c->n_dims - 1] == n && c->nelem > 0);
}

/* What the bias is when the product of B is written. */
enum bias { NO_BIAS, BIAS_AS_IS, BIAS_ROW /* beta * C in a new initializer */, BIAS_SUM };

static enum bias find_possible_bias(const onnxq_plan *plan, const struct oq_site *site)
{
    const Oq__Pb__NodeProto *node = site->node;
    const char *name = oq_node_input(node, 2);
    float beta = oq_node_float(node, "beta", 1);
    int64_t n = site->constant->source.dims[site->axis];
    if (name[0] == '\0' || beta == 0)
        return NO_BIAS;
    const struct oq_constant *constant = oq_plan_constant(plan, site->graph, name);
    if (constant == NULL || site->input == 0)
        return BIAS_SUM;
    const struct oq_source *c = &constant->source;
    if (beta == 1 && c->n_dims == 1 && c->nelem == (uint64_t)n &&
        site->constant->source.data_type == OQ_TYPE(FLOAT))
        return BIAS_AS_IS;
    bool is_known = !oq_plan_is_overridable(plan, constant) && c->dtype != NULL;
    return is_known && c->dtype->is_float && is_row(c, n) ? BIAS_ROW : BIAS_SUM;
}

/* C is added where a row beside the weight's integers would be what makes them no smaller. */
static enum bias find_bias(const onnxq_plan *plan, const struct oq_site *site)
{
    const enum bias bias = find_possible_bias(plan, site);
    return bias == BIAS_ROW && site->beside_nbytes == 0 ? BIAS_SUM : bias;
}

/*
 * A is transposed by a node. Where a Gemm made A, ONNX Runtime (to 1.32) makes one node of both,
 * and does not find A any more where the model returns it, too.
 */
static const struct oq_value *find_risk(const struct oq_site *site)
{
    const struct oq_value *a = oq_graph_find(site->graph, site->node->input[0]);
    const Oq__Pb__NodeProto *maker = oq_value_node(a);
    bool is_lost = oq_node_int(site->node, "transA", 0) != 0 && maker != NULL &&
                   a->is_graph_output && oq_node_is(maker, "", "Gemm");
    return is_lost ? a : NULL;
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
        decide_left(plan, site);
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
    site->factor = oq_node_float(node, "alpha", 1);
    if (site->action == ONNXQ_DYNAMIC && find_possible_bias(plan, site) == BIAS_ROW) {
        site->beside_nbytes = (uint64_t)weight->dims[axis] * sizeof(float);
        site->is_beside_optional = true;
    }
    oq_matmul_choose_blocks(site);
}

static bool releases(const onnxq_plan *plan, const struct oq_site *site, size_t input)
{
    enum bias bias = input == 2 ? find_bias(plan, site) : BIAS_AS_IS;
    return bias == NO_BIAS || bias == BIAS_ROW;
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
    if (!oq_source_read_many(&c->source, 0, nelem, row, scratch, rewrite->edit->error))
        return NULL;
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

/* A C that is not a row is added behind the product, in the model's own type. */
static bool emit_sum(struct oq_rewrite *rewrite, const struct oq_site *site,
                     const struct oq_matmul *matmul, float beta,
                     bool (*emit_product)(struct oq_rewrite *, const struct oq_site *,
                                          const struct oq_matmul *))
{
    const char *bias = make_bias_node(rewrite, site, beta);
    struct oq_matmul product = *matmul;
    product.output = oq_edit_name(rewrite->edit, matmul->output, "_product");
    product.output_type = OQ_TYPE(FLOAT);
    const char *inputs[] = {product.output, bias, NULL};
    return emit_product(rewrite, site, &product) &&
           oq_edit_float_output(rewrite->edit, "", "Add", oq_node_label(site->node), inputs,
                                matmul->output_type, matmul->output);
}

static bool emit(struct oq_rewrite *rewrite, const struct oq_site *site)
{
    const Oq__Pb__NodeProto *node = site->node;
    const struct oq_source *weight = &site->constant->source;
    int32_t data_type = weight->data_type;
    int64_t n = weight->dims[site->axis];
    float beta = oq_node_float(node, "beta", 1);
    enum bias bias = find_bias(rewrite->plan, site);
    struct oq_matmul matmul = {.activation = node->input[0],
                               .transposed = oq_node_int(node, "transA", 0) != 0,
                               .output = node->output[0],
                               .scale_dims = &n,
                               .n_scale_dims = 1,
                               .factor = oq_node_float(node, "alpha", 1),
                               .output_type = data_type};
    if (bias == BIAS_SUM)
        return emit_sum(rewrite, site, &matmul, beta, oq_matmul_emit);
    if (bias == BIAS_AS_IS)
        matmul.bias = node->input[2];
    else if (bias == BIAS_ROW)
        matmul.bias = make_bias_row(
            rewrite, oq_plan_constant(rewrite->plan, site->graph, node->input[2]), n, beta);
    return (bias != BIAS_ROW || matmul.bias != NULL) && oq_matmul_emit(rewrite, site, &matmul);
}

static bool emit_left_product(struct oq_rewrite *rewrite, const struct oq_site *site,
                              const struct oq_matmul *matmul)
{
    return oq_left_emit(rewrite, site, matmul, 2);
}

/* With A as the weight; C is always added behind the product. */
static bool emit_left(struct oq_rewrite *rewrite, const struct oq_site *site)
{
    const Oq__Pb__NodeProto *node = site->node;
    const struct oq_source *weight = &site->constant->source;
    float beta = oq_node_float(node, "beta", 1);
    const struct oq_matmul matmul = {.activation = node->input[1],
                                     .transposed = oq_node_int(node, "transB", 0) != 0,
                                     .output = node->output[0],
                                     .scale_dims = &weight->dims[site->axis],
                                     .n_scale_dims = 1,
                                     .factor = oq_node_float(node, "alpha", 1),
                                     .output_type = weight->data_type};
    return find_bias(rewrite->plan, site) == BIAS_SUM
               ? emit_sum(rewrite, site, &matmul, beta, emit_left_product)
               : emit_left_product(rewrite, site, &matmul);
}

const struct oq_rule oq_rule_gemm = {.op = OQ_ONNX_Gemm,
                                     .is_weight = is_weight,
                                     .takes_transposed = 1 << 0 | 1 << 1,
                                     .decide = decide,
                                     .is_product = true,
                                     .takes_one_scale = true,
                                     .releases = releases,
                                     .find_risk = find_risk,
                                     .emit = emit};
