/*
 * Nodes that compute with integers, as engines recognize them:
 *
 *     x -> QuantizeLinear -> DequantizeLinear -> node -> QuantizeLinear -> DequantizeLinear -> y
 *
 * with weights and biases behind DequantizeLinear of their own. A value that such a node gives
 * keeps its name behind the second pair, so that its users stay as they are.
 */
#include "quantize/activations/activations.h"
#include "quantize/rules/product.h"
#include "wire/data_type.h"

#include <math.h>

#include "base/checked.h"

/* An initializer; what it weighs is put down to `owner`, if there is one. */
static const char *add_numbers(struct oq_rewrite *rewrite, struct oq_constant *owner,
                               const char *base, const char *suffix, int32_t data_type,
                               const int64_t *dims, size_t n_dims, size_t width,
                               const void *numbers)
{
    struct oq_edit *edit = rewrite->edit;
    const size_t nbytes = (size_t)oq_nelem(dims, 0, n_dims) * width;
    if (owner != NULL)
        owner->nbytes_after += nbytes;
    void *copy = oq_edit_allocate(edit, nbytes, 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, numbers, nbytes);
    const struct oq_recipe recipe = oq_recipe_bytes(copy, nbytes);
    return oq_edit_tensor(edit, edit->current, oq_edit_name(edit, base, suffix), data_type, dims,
                          n_dims, &recipe);
}

/* A node of QuantizeLinear or DequantizeLinear; axis -1: none. */
static void add_node(struct oq_rewrite *rewrite, const char *op_type, const char *label,
                     const char *input, const char *scale, const char *zero_point, int axis,
                     const char *output)
{
    const char *inputs[] = {input, scale, zero_point, NULL};
    const char *outputs[] = {output, NULL};
    rewrite->edit->integer_type = rewrite->plan->activations->form.data_type;
    Oq__Pb__NodeProto *node = oq_edit_node(rewrite->edit, oq_rewrite_qdq_domain(rewrite->plan),
                                           op_type, label, inputs, outputs);
    if (axis >= 0)
        oq_edit_add_int(rewrite->edit, node, "axis", axis);
}

/* --- values --- */

/* An integer as values have them. */
static const char *add_integer(struct oq_rewrite *rewrite, struct oq_constant *owner,
                               const char *base, const char *suffix, int value)
{
    const struct oq_integer_form *form = &rewrite->plan->activations->form;
    uint16_t integer;
    oq_store_integer(form, value, &integer, 0);
    return add_numbers(rewrite, owner, base, suffix, form->data_type, NULL, 0, form->width,
                       &integer);
}

static void name_scale(struct oq_rewrite *rewrite, struct oq_carried *root, const char *name)
{
    if (root->scale_name != NULL)
        return;
    root->scale_name = add_numbers(rewrite, NULL, name, "_scale", OQ_TYPE(FLOAT), NULL, 0,
                                   sizeof(float), &root->scale);
    root->zero_point_name = add_integer(rewrite, NULL, name, "_zero_point", root->zero_point);
}

/* Whether anybody takes the value behind DequantizeLinear: further scales do not, nor do products
 * that give floats. */
static bool is_taken(const onnxq_plan *plan, const struct oq_value *value)
{
    for (const struct oq_use *use = value->uses; use != NULL; use = use->next) {
        const struct oq_carrier *user = use->node == OQ_NO_NODE || use->graph->parent != NULL
                                            ? NULL
                                            : &plan->activations->carriers[use->node];
        if (user == NULL || !user->is_integer ||
            (user->carry != OQ_CARRY_SCALE && !user->gives_floats))
            return true;
    }
    return false;
}

/* output = x, rounded to the integers of `value`; no output, no DequantizeLinear. */
static void write_pair(struct oq_rewrite *rewrite, const struct oq_value *value, const char *x,
                       const char *output)
{
    struct oq_carried *root = oq_carried_root(rewrite->plan, value);
    const char *integers = oq_edit_name(rewrite->edit, value->name, "_quantized");
    oq_carried_of(rewrite->plan, value)->integers = integers;
    name_scale(rewrite, root, value->name);
    add_node(rewrite, "QuantizeLinear", value->name, x, root->scale_name, root->zero_point_name, -1,
             integers);
    if (output != NULL)
        add_node(rewrite, "DequantizeLinear", value->name, integers, root->scale_name,
                 root->zero_point_name, -1, output);
}

static bool is_weighted(const Oq__Pb__NodeProto *node)
{
    const enum oq_operator_id op = oq_operator_id_of(node);
    return op == OQ_ONNX_Conv || op == OQ_ONNX_ConvTranspose || op == OQ_ONNX_Gemm ||
           op == OQ_ONNX_MatMul;
}

/* A product, or a clamp of one, which engines take together. */
static bool is_product(const onnxq_plan *plan, const struct oq_value *value)
{
    const Oq__Pb__NodeProto *node = oq_value_node(value);
    if (node != NULL && OQ_NODE_IS(node, "Relu", "Clip"))
        node = oq_value_node(oq_main_value(plan, node->input[0]));
    return node != NULL && is_weighted(node);
}

static bool is_pool(const struct oq_value *value)
{
    const Oq__Pb__NodeProto *node = oq_value_node(value);
    return node != NULL && oq_node_is(node, "", "MaxPool");
}

/* A Sum of one: engines move nothing across it. */
static void write_sum(struct oq_rewrite *rewrite, const struct oq_value *value, const char *x,
                      const char *output)
{
    const char *inputs[] = {x, NULL}, *outputs[] = {output, NULL};
    oq_edit_node(rewrite->edit, "", "Sum", value->name, inputs, outputs);
}

/*
 * A product that is to stay float: between DequantizeLinear and QuantizeLinear ONNX Runtime
 * would quantize it all the same, with one scale for its weight. MaxPool it would take to the other
 * side of QuantizeLinear, to integers with channels first, for which it is 30 times slower. A Sum
 * of one stands between.
 */
static const char *protect(struct oq_rewrite *rewrite, const struct oq_value *value)
{
    if (!is_product(rewrite->plan, value) && !is_pool(value))
        return value->name;
    const char *sum = oq_edit_name(rewrite->edit, value->name, "_float");
    write_sum(rewrite, value, value->name, sum);
    return sum;
}

/* The integers of what it takes, with a scale of their own. */
static bool write_scale(struct oq_rewrite *rewrite, const struct oq_carrier *carrier)
{
    const struct oq_value *value = carrier->output;
    struct oq_carried *carried = oq_carried_of(rewrite->plan, value);
    carried->integers = oq_carried_of(rewrite->plan, carrier->input)->integers;
    if (!is_taken(rewrite->plan, value))
        return true;
    name_scale(rewrite, carried, value->name);
    add_node(rewrite, "DequantizeLinear", value->name, carried->integers, carried->scale_name,
             carried->zero_point_name, -1, value->name);
    return !rewrite->edit->failed;
}

/* Its integers; of a float value QuantizeLinear, once. */
static const char *take_integers(struct oq_rewrite *rewrite, const struct oq_value *value)
{
    struct oq_carried *carried = oq_carried_of(rewrite->plan, value);
    if (carried->maker == NULL && carried->integers == NULL)
        write_pair(rewrite, value, protect(rewrite, value), NULL);
    return carried->integers;
}

/* A float value as nodes with integers take it. Once for all of them. */
static const char *take_value(struct oq_rewrite *rewrite, const struct oq_value *value)
{
    struct oq_carried *carried = oq_carried_of(rewrite->plan, value);
    if (carried->maker != NULL)
        return value->name;
    if (carried->float_name == NULL) {
        const char *integers = take_integers(rewrite, value);
        carried->float_name = oq_edit_name(rewrite->edit, value->name, "_dequantized");
        add_node(rewrite, "DequantizeLinear", value->name, integers, carried->scale_name,
                 carried->zero_point_name, -1, carried->float_name);
    }
    return carried->float_name;
}

/* --- constant operands --- */

/* A constant that is added or multiplied, with a scale of its own. */
static const char *take_constant(struct oq_rewrite *rewrite, const char *name)
{
    struct oq_edit *edit = rewrite->edit;
    const float *values;
    const struct oq_source *source;
    const struct oq_integer_form *form = &rewrite->plan->activations->form;
    int zero_point;
    void **place;
    const char *made = oq_edit_made(edit, "operand", name, &place);
    if (made != NULL || place == NULL)
        return made;
    if (!oq_small_constant(rewrite->plan, name, &values, &source, edit->error) || values == NULL)
        return NULL;
    struct oq_constant *owner = oq_plan_constant(rewrite->plan, edit->graphs->list[0], name);
    const size_t n = (size_t)source->nelem;
    void *integers = oq_edit_allocate(edit, n, form->width);
    if (integers == NULL)
        return NULL;
    const float scale = oq_quantize_operand(form, values, n, &zero_point, integers);
    made = oq_edit_name(edit, name, "_dequantized");
    *place = oq_edit_text(made);
    add_node(
        rewrite, "DequantizeLinear", name,
        add_numbers(rewrite, owner, name, "_quantized", form->data_type, source->dims,
                    source->n_dims, form->width, integers),
        add_numbers(rewrite, owner, name, "_scale", OQ_TYPE(FLOAT), NULL, 0, sizeof(float), &scale),
        add_integer(rewrite, owner, name, "_zero_point", zero_point), -1, made);
    return made;
}

/* --- HardSigmoid and HardSwish in parts --- */

/* A number as an operand: the last of the integers. */
static const char *take_number(struct oq_rewrite *rewrite, const char *base, float number)
{
    const int integer = rewrite->plan->activations->form.high;
    const float scale = number / (float)integer;
    const char *name = oq_edit_name(rewrite->edit, base, "_shift_dequantized");
    add_node(rewrite, "DequantizeLinear", base, add_integer(rewrite, NULL, base, "_shift", integer),
             add_numbers(rewrite, NULL, base, "_shift_scale", OQ_TYPE(FLOAT), NULL, 0,
                         sizeof(float), &scale),
             add_integer(rewrite, NULL, base, "_shift_zero_point", 0), -1, name);
    return name;
}

#define CLIP_INPUTS 11 /* opset from which on the bounds of Clip are inputs */

static const char *write_clip(struct oq_rewrite *rewrite, const char *base, const char *x,
                              float high)
{
    struct oq_edit *edit = rewrite->edit;
    const float low = 0;
    const bool has_inputs = rewrite->plan->activations->opset >= CLIP_INPUTS;
    const char *name = oq_edit_name(edit, base, "_clipped");
    const char *inputs[] = {x, has_inputs ? oq_edit_floats(edit, "clip_min", NULL, 0, &low) : NULL,
                            has_inputs ? oq_edit_floats(edit, "clip_max", NULL, 0, &high) : NULL,
                            NULL};
    const char *outputs[] = {name, NULL};
    Oq__Pb__NodeProto *node = oq_edit_node(edit, "", "Clip", base, inputs, outputs);
    if (!has_inputs) {
        oq_edit_add_float(edit, node, "min", low);
        oq_edit_add_float(edit, node, "max", high);
    }
    return name;
}

/* output = the hard sigmoid of x: clip(x + shift, 0, 1 / slope), integers with the slope in their
 * scale. */
static void write_hard_sigmoid(struct oq_rewrite *rewrite, const struct oq_carrier *carrier,
                               const char *x, const char *output)
{
    const char *base = carrier->output->name;
    const char *sum = oq_edit_name(rewrite->edit, base, "_shifted");
    const char *integers = oq_edit_name(rewrite->edit, base, "_hard_quantized");
    const char *inputs[] = {x, take_number(rewrite, base, carrier->shift), NULL};
    const char *outputs[] = {sum, NULL};
    const float scale = oq_hard_scale(rewrite->plan, carrier), scaled = scale * carrier->factor;
    oq_edit_node(rewrite->edit, "", "Add", base, inputs, outputs);
    const char *zero_point = add_integer(rewrite, NULL, base, "_hard_zero_point", 0);
    add_node(rewrite, "QuantizeLinear", base, write_clip(rewrite, base, sum, 1 / carrier->factor),
             add_numbers(rewrite, NULL, base, "_hard_scale", OQ_TYPE(FLOAT), NULL, 0, sizeof(float),
                         &scale),
             zero_point, -1, integers);
    add_node(rewrite, "DequantizeLinear", base, integers,
             add_numbers(rewrite, NULL, base, "_hard_scaled", OQ_TYPE(FLOAT), NULL, 0,
                         sizeof(float), &scaled),
             zero_point, -1, output);
    oq_carried_of(rewrite->plan, carrier->output)->integers = integers;
}

static bool write_hard(struct oq_rewrite *rewrite, const struct oq_carrier *carrier,
                       const Oq__Pb__NodeProto *node)
{
    struct oq_edit *edit = rewrite->edit;
    const char *x = take_value(rewrite, carrier->input), *name = carrier->output->name;
    if (oq_node_is(node, "", "HardSigmoid")) {
        write_hard_sigmoid(rewrite, carrier, x, name);
        return !edit->failed;
    }
    const char *factor = oq_edit_name(edit, name, "_hard_sigmoid");
    const char *product = oq_edit_name(edit, name, "_float");
    const char *inputs[] = {x, factor, NULL};
    const char *outputs[] = {product, NULL};
    write_hard_sigmoid(rewrite, carrier, x, factor);
    oq_edit_node(edit, "", "Mul", name, inputs, outputs);
    write_pair(rewrite, carrier->output, product,
               is_taken(rewrite->plan, carrier->output) ? name : NULL);
    return !edit->failed;
}

/* --- products --- */

/* The model's bias, or the weight where it has none. */
static struct oq_constant *bias_owner(const struct oq_rewrite *rewrite, const struct oq_site *site)
{
    struct oq_constant *bias =
        oq_plan_constant(rewrite->plan, site->graph, oq_node_input(site->node, 2));
    return bias != NULL ? bias : (struct oq_constant *)(uintptr_t)site->constant;
}

/* int32 in steps of x_scale * w_scale: engines take no others. */
static const char *write_bias(struct oq_rewrite *rewrite, const struct oq_carrier *product,
                              const struct oq_site *site)
{
    struct oq_edit *edit = rewrite->edit;
    const struct oq_ranges *ranges = site->quantized->ranges;
    const float x_scale = oq_carried_root(rewrite->plan, product->input)->scale;
    const size_t n = product->n_channels;
    const int64_t n_scales = (int64_t)ranges->n_scales, n_channels = (int64_t)n;
    float *scale = oq_edit_allocate(edit, (size_t)n_scales, sizeof(*scale));
    int32_t *bias = oq_edit_allocate(edit, n, sizeof(*bias));
    const int32_t *zeros = oq_edit_allocate(edit, (size_t)n_scales, sizeof(*zeros));
    if (scale == NULL || bias == NULL || zeros == NULL)
        return NULL;
    for (size_t i = 0; i < (size_t)n_scales; i++)
        scale[i] = x_scale * ranges->scale[i];
    for (size_t i = 0; i < n; i++)
        bias[i] = (int32_t)rint((double)product->bias[i] / (double)scale[n_scales == 1 ? 0 : i]);
    struct oq_constant *owner = bias_owner(rewrite, site);
    const char *base = oq_node_input(site->node, 2);
    base = base[0] != '\0' ? base : oq_edit_name(edit, site->node->output[0], "_bias");
    const size_t n_dims = ranges->axis < 0 ? 0 : 1;
    const char *name = oq_edit_name(edit, base, "_dequantized");
    add_node(rewrite, "DequantizeLinear", base,
             add_numbers(rewrite, owner, base, "_quantized", OQ_TYPE(INT32), &n_channels, 1,
                         sizeof(*bias), bias),
             add_numbers(rewrite, owner, base, "_scale", OQ_TYPE(FLOAT), &n_scales, n_dims,
                         sizeof(*scale), scale),
             add_numbers(rewrite, owner, base, "_zero_point", OQ_TYPE(INT32), &n_scales, n_dims,
                         sizeof(*zeros), zeros),
             n_dims == 0 ? -1 : 0, name);
    return name;
}

static bool set_input(struct oq_rewrite *rewrite, Oq__Pb__NodeProto *node, size_t index,
                      const char *name)
{
    char **inputs = node->input;
    if (name == NULL)
        return !(rewrite->edit->failed = true);
    if (index >= node->n_input) {
        static char none[] = "";
        inputs = oq_edit_allocate(rewrite->edit, index + 1, sizeof(*inputs));
        if (inputs == NULL)
            return false;
        for (size_t i = 0; i <= index; i++)
            inputs[i] = i < node->n_input ? node->input[i] : none;
        node->n_input = index + 1;
    }
    inputs[index] = oq_edit_text(name);
    node->input = inputs;
    return true;
}

static bool set_bias(struct oq_rewrite *rewrite, Oq__Pb__NodeProto *node,
                     const struct oq_carrier *product, const struct oq_site *site)
{
    const int64_t n = (int64_t)product->n_channels;
    if (!product->has_bias)
        return true;
    const bool is_standard = rewrite->plan->options.qdq_standard;
    if (product->is_integer && !is_standard)
        return set_input(rewrite, node, 2, write_bias(rewrite, product, site));
    return (!product->has_folded && !product->is_integer) ||
           set_input(rewrite, node, 2,
                     oq_rewrite_bias(rewrite, bias_owner(rewrite, site), product->bias, n));
}

/*
 * Integers in, floats out: nothing is rounded behind it. A Conv that engines take as one of
 * integers has to give integers, too; a product of matrices has not.
 */
static bool write_to_float(struct oq_rewrite *rewrite, const struct oq_carrier *product,
                           const struct oq_site *site)
{
    struct oq_edit *edit = rewrite->edit;
    const struct oq_value *x = product->input;
    const struct oq_carried *root = oq_carried_root(rewrite->plan, x);
    const struct oq_ranges *ranges = site->quantized->ranges;
    const int64_t n = (int64_t)product->n_channels, n_scales = (int64_t)ranges->n_scales;
    const size_t rank = site->constant->source.n_dims;
    const char *name = product->output->name, *label = oq_node_label(site->node);
    int64_t there[OQ_MAX_RANK], back[OQ_MAX_RANK];
    oq_channels_last(rank, there, back);
    const char *matrix = oq_edit_flattened(edit, oq_rewrite_integers(rewrite, site->quantized));
    const char *turned = oq_edit_name(edit, name, "_turned");
    const char *bias = product->has_bias
                           ? oq_rewrite_bias(rewrite, bias_owner(rewrite, site), product->bias, n)
                           : NULL;
    const char *x_turned =
        oq_edit_permuted(edit, take_integers(rewrite, x), "_channels_last", there, rank);
    const char *inputs[] = {x_turned,
                            oq_edit_transpose(edit, matrix),
                            root->scale_name,
                            oq_rewrite_scale(rewrite, site, &n_scales, ranges->axis < 0 ? 0 : 1, 1),
                            root->zero_point_name,
                            "",
                            bias,
                            NULL};
    const char *outputs[] = {turned, NULL};
    oq_edit_node(edit, "com.microsoft", "MatMulIntegerToFloat", label, inputs, outputs);
    return oq_edit_permute(edit, label, turned, back, rank, name);
}

bool oq_activations_take_integers(const onnxq_plan *plan, const struct oq_constant *constant)
{
    if (plan->activations == NULL || !constant->is_static)
        return false;
    for (size_t i = 0; i < constant->n_sites; i++) {
        const struct oq_site *site = &constant->sites[i];
        if (site->graph == NULL || site->graph->parent != NULL || site->node == NULL ||
            site->input != 1 || !plan->activations->carriers[site->node_index].gives_floats)
            return false;
    }
    return true;
}

/* --- nodes --- */

static bool set_inputs(struct oq_rewrite *rewrite, Oq__Pb__NodeProto *node,
                       const struct oq_carrier *carrier)
{
    const size_t n = oq_count_operands(node);
    for (size_t i = 0; carrier->is_integer && i < n; i++) {
        const struct oq_value *value = oq_main_value(rewrite->plan, node->input[i]);
        bool is_constant = oq_find_small_constant(rewrite->plan, node->input[i]) != NULL;
        const char *name =
            is_constant ? take_constant(rewrite, node->input[i]) : take_value(rewrite, value);
        if (!set_input(rewrite, node, i, name))
            return false;
    }
    return true;
}

static bool is_taken_by_body(const struct oq_value *value)
{
    const struct oq_use *use = value->uses;
    while (use != NULL && use->graph->parent == NULL)
        use = use->next;
    return use != NULL;
}

/* Longer chains may begin with integers. */
#define MAX_MOVES 32

/* What a float node gives that only moves elements, of integers that come before. */
static bool is_moved(const onnxq_plan *plan, const struct oq_carrier *carrier)
{
    const struct oq_carrier *carriers = plan->activations->carriers;
    for (size_t i = 0; i < MAX_MOVES; i++) {
        if (carrier->carry != OQ_CARRY_PASS || carrier->is_integer)
            return false;
        const struct oq_value *value = carrier->input;
        if (oq_carried_of(plan, value)->is_carried)
            return true;
        if (value->origin != OQ_ORIGIN_NODE)
            return false;
        carrier = &carriers[value->index];
    }
    return true;
}

/*
 * ONNX Runtime (to 1.32) takes DequantizeLinear to the other side of what only moves elements, and
 * crashes where a body of If, Loop or Scan takes the result. A Sum of one stands between.
 */
static bool is_moved_into_body(const onnxq_plan *plan, const struct oq_carrier *carrier)
{
    return carrier->carry == OQ_CARRY_PASS && is_taken_by_body(carrier->output) &&
           is_moved(plan, carrier);
}

bool oq_activations_change(const onnxq_plan *plan, size_t index)
{
    const struct oq_activations *activations = plan->activations;
    if (activations == NULL)
        return false;
    const struct oq_carrier *carrier = &activations->carriers[index];
    return carrier->is_integer || carrier->has_folded || carrier->carry == OQ_CARRY_FOLDED ||
           oq_float_gate_of(plan, index) != NULL || is_moved_into_body(plan, carrier);
}

bool oq_activations_write(struct oq_rewrite *rewrite, size_t index)
{
    struct oq_edit *edit = rewrite->edit;
    const struct oq_carrier *carrier = &rewrite->plan->activations->carriers[index];
    Oq__Pb__NodeProto *node = edit->states[0].proto->node[index];
    if (carrier->carry == OQ_CARRY_FOLDED)
        return true;
    if (oq_float_gate_of(rewrite->plan, index) != NULL)
        return oq_gate_write(rewrite, index);
    if (carrier->is_integer && carrier->carry == OQ_CARRY_SCALE)
        return write_scale(rewrite, carrier);
    if (carrier->is_integer && carrier->carry == OQ_CARRY_HARD)
        return write_hard(rewrite, carrier, node);
    if (carrier->is_integer && carrier->gives_floats)
        return (!carrier->has_folded || oq_edit_drop(edit, 0, node->output[0], false)) &&
               write_to_float(rewrite, carrier, oq_product_site(rewrite->plan, index));
    if (!set_inputs(rewrite, node, carrier) ||
        (carrier->carry == OQ_CARRY_PRODUCT &&
         !set_bias(rewrite, node, carrier, oq_product_site(rewrite->plan, index))))
        return false;
    if (carrier->has_folded && !oq_edit_drop(edit, 0, node->output[0], false))
        return false;
    node->output[0] = oq_edit_text(carrier->output->name);
    const struct oq_carried *carried = oq_carried_of(rewrite->plan, carrier->output);
    const bool is_protected = is_moved_into_body(rewrite->plan, carrier);
    if (!is_protected && (!carrier->is_integer || !carried->is_carried))
        return oq_edit_keep(edit, node);
    node->output[0] = oq_edit_text(oq_edit_name(edit, carrier->output->name, "_float"));
    if (!oq_edit_keep(edit, node))
        return false;
    if (is_protected) {
        write_sum(rewrite, carrier->output, node->output[0], carrier->output->name);
        return !edit->failed;
    }
    write_pair(rewrite, carrier->output, node->output[0],
               is_taken(rewrite->plan, carrier->output) ? carrier->output->name : NULL);
    return !edit->failed;
}

/* --- weights that stay float --- */

static bool produce_floats(const void *source, uint64_t first, size_t count, uint8_t *dst,
                           void *scratch, onnxq_error *error)
{
    float *x = oq_recipe_floats(scratch);
    while (count > 0) {
        const size_t skip = (size_t)(first % sizeof(float));
        const size_t part =
            (size_t)oq_min_u64(count, (OQ_READ_MAX_NELEM - 1) * sizeof(float) - skip);
        const size_t n = (skip + part + sizeof(float) - 1) / sizeof(float);
        if (!oq_source_read_floats(source, first / sizeof(float), n, x, scratch, error))
            return false;
        memcpy(dst, (const uint8_t *)x + skip, part);
        first += part;
        dst += part;
        count -= part;
    }
    return true;
}

static bool write_floats(struct oq_rewrite *rewrite, struct oq_constant *constant)
{
    const struct oq_source *source = &constant->source;
    const struct oq_recipe recipe = {source->nbytes, produce_floats, source};
    constant->nbytes_after += source->nbytes;
    oq_edit_enter(rewrite->edit, 0);
    return oq_edit_drop(rewrite->edit, 0, constant->name, true) &&
           oq_edit_tensor(rewrite->edit, rewrite->edit->current, constant->name, OQ_TYPE(FLOAT),
                          source->dims, source->n_dims, &recipe) != NULL;
}

bool oq_activations_write_floats(struct oq_rewrite *rewrite)
{
    const struct oq_activations *activations = rewrite->plan->activations;
    for (size_t i = 0; activations != NULL && i < activations->n_nodes; i++) {
        if (!activations->carriers[i].has_folded)
            continue;
        struct oq_constant *constant =
            (struct oq_constant *)(uintptr_t)oq_product_site(rewrite->plan, i)->constant;
        if (constant->fold == NULL && !write_floats(rewrite, constant))
            return false;
    }
    return true;
}
