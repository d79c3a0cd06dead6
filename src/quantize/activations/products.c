/*
 * What is multiplied by a constant weight: Conv, Gemm and MatMul. Their weights are
 * int8, symmetric, with a scale for each output channel; biases are constants that become int32.
 */
#include "quantize/activations/activations.h"
#include "quantize/rules/product.h"
#include "wire/data_type.h"
#include "quantize/rules/rules.h"

#include <math.h>

/* Every product is at most 255 * 127, and their sum is int32, with a bias beside it. Engines that
 * multiply 16 bits have wider sums, or floats. */
#define MAX_SUMMANDS 33025

struct oq_site *oq_product_site(const onnxq_plan *plan, size_t index)
{
    return oq_plan_site(plan, plan->model->graphs.list[0], index, 1);
}

static bool multiplies_plainly(const Oq__Pb__NodeProto *node)
{
    return oq_node_float(node, "alpha", 1) == 1 && oq_node_float(node, "beta", 1) == 1 &&
           oq_node_int(node, "transA", 0) == 0;
}

static const char *refuse_weight(const struct oq_site *site)
{
    const struct oq_constant *constant = site->constant;
    if (constant->tensor == NULL)
        return "its weight is made of others";
    if (constant->n_sites != 1)
        return "its weight is used elsewhere, too";
    if (constant->source.data_type != OQ_TYPE(FLOAT))
        return "its weight is not float32";
    return constant->source.nelem == 0 ? "its weight has no elements" : NULL;
}

/* Sets how channels lie. */
static const char *refuse_shape(struct oq_carrier *product, const struct oq_site *site,
                                const onnxq_options *options)
{
    const struct oq_source *weight = &site->constant->source;
    bool is_conv = oq_node_is(site->node, "", "Conv");
    if (is_conv ? weight->n_dims < 3 : weight->n_dims != 2)
        return "its weight is no matrix";
    if (oq_node_is(site->node, "", "Gemm") && !multiplies_plainly(site->node))
        return "it transposes its input, or scales";
    product->channel_axis = is_conv || oq_node_int(site->node, "transB", 0) != 0 ? 0 : 1;
    product->n_channels = (size_t)weight->dims[product->channel_axis];
    if (options->activation_bits == 8 && weight->nelem / product->n_channels > MAX_SUMMANDS)
        return "sums over more than 33025 products can overflow int32";
    return product->n_channels > OQ_SMALL_CONSTANT_NELEM ? "too many channels" : NULL;
}

static bool read_bias(onnxq_plan *plan, const Oq__Pb__NodeProto *node, struct oq_carrier *product,
                      onnxq_error *error)
{
    const char *name = oq_node_input(node, 2);
    const float *values = NULL;
    const struct oq_source *source;
    product->bias = oq_arena_array(&plan->arena, product->n_channels, sizeof(float));
    if (product->bias == NULL)
        return oq_arena_fail(&plan->arena, error);
    if (name[0] == '\0')
        return true;
    if (!oq_small_constant(plan, name, &values, &source, error))
        return false;
    const size_t n = product->n_channels;
    bool fits = values != NULL && source->nelem == n && source->n_dims > 0 &&
                (size_t)source->dims[source->n_dims - 1] == n;
    for (size_t i = 0; fits && i < n; i++) {
        product->bias[i] = values[i];
        fits = isfinite(values[i]);
    }
    product->has_bias = fits;
    if (!fits)
        product->refusal = "its bias is no constant vector of finite numbers";
    return true;
}

bool oq_product_init(onnxq_plan *plan, size_t index, onnxq_error *error)
{
    struct oq_carrier *product = &plan->activations->carriers[index];
    const struct oq_site *site = oq_product_site(plan, index);
    const Oq__Pb__NodeProto *node = plan->model->proto->graph->node[index];
    if (site == NULL) {
        product->carry = OQ_CARRY_NONE; /* of two activations */
        return true;
    }
    if (oq_plan_constant(plan, site->graph, node->input[0]) != NULL)
        product->refusal = "both inputs are constant";
    if (product->refusal == NULL)
        product->refusal = site->screened;
    if (product->refusal == NULL && site->options->method != plan->options.method)
        product->refusal = "another form was chosen";
    if (product->refusal == NULL)
        product->refusal = refuse_weight(site);
    if (product->refusal == NULL)
        product->refusal = refuse_shape(product, site, &plan->options);
    return product->refusal != NULL || read_bias(plan, node, product, error);
}

/*
 * What a scale stands behind is left out: the way back finds the activation where
 * integers and product have the same one.
 */
bool oq_can_give_floats(const onnxq_plan *plan, size_t index)
{
    const struct oq_activations *activations = plan->activations;
    const struct oq_carrier *product = &activations->carriers[index];
    const struct oq_site *site = oq_product_site(plan, index);
    const struct oq_carrier *maker = oq_carried_of(plan, product->input)->maker;
    return oq_node_is(site->node, "", "Conv") && site->constant->source.n_dims <= OQ_MAX_RANK &&
           oq_is_pointwise(site) && activations->form.width == 1 && !plan->options.qdq_standard &&
           (maker == NULL || (maker->carry != OQ_CARRY_SCALE && maker->carry != OQ_CARRY_HARD));
}
