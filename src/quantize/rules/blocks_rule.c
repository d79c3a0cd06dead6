/*
 * Operators of com.microsoft that take weights in blocks with scales of their
 * own: MatMulNBits and MatMulBnb4 for MatMul and Gemm, GatherBlockQuantized for
 * Gather. The arithmetic on activations is the engine's business: accuracy
 * level 4 lets it take 8-bit integers for them, per row and block.
 */
#include "model/needs.h"
#include "quantize/rules/product.h"
#include "wire/data_type.h"

#define NF4 1 /* quant_type of MatMulBnb4 */

/* Its input in MatMulNBits. */
#define MATMUL_NBITS_BIAS 5

/* The engine's name for what is written, with float32 around it as float32 is what it is best at.
 */
static Oq__Pb__NodeProto *emit_node(struct oq_rewrite *rewrite, const struct oq_site *site,
                                    const char *op_type, const char *const *inputs,
                                    int32_t output_type, const char *output)
{
    struct oq_edit *edit = rewrite->edit;
    const char *label = oq_node_label(site->node);
    const char *value = output_type == OQ_TYPE(FLOAT) ? output : oq_edit_name(edit, output, "_f32");
    const char *outputs[] = {value, NULL};
    Oq__Pb__NodeProto *node = oq_edit_node(edit, "com.microsoft", op_type, label, inputs, outputs);
    if (output_type != OQ_TYPE(FLOAT))
        oq_edit_cast(edit, label, value, output_type, output);
    return node;
}

static unsigned count_bits(const struct oq_blocks *blocks)
{
    return 8 / oq_blocks_per_byte(blocks);
}

/* --- MatMul, Gemm --- */

void oq_matmul_choose_blocks(struct oq_site *site)
{
    if (site->options->method != ONNXQ_METHOD_BLOCKS || site->action != ONNXQ_DYNAMIC)
        return;
    if (site->options->bits == ONNXQ_BITS_NF4)
        oq_site_blocks(site, OQ_BLOCKS_FLAT, 1 - site->axis, "MatMulBnb4");
    else
        oq_site_blocks(site, OQ_BLOCKS_PADDED, 1 - site->axis, "MatMulNBits");
}

/* MatMulBnb4 has no bias of its own, and MatMulNBits has none in old engines. */
static bool takes_bias(const onnxq_plan *plan, bool is_nf4)
{
    return !is_nf4 && oq_engine_refuses(plan->target, OQ_MS_MatMulNBits, OQ_FORM_INPUT,
                                        MATMUL_NBITS_BIAS) == NULL;
}

/* The product, then a sum. */
static Oq__Pb__NodeProto *emit_biased(struct oq_rewrite *rewrite, const struct oq_site *site,
                                      const struct oq_matmul *matmul, const char *op_type,
                                      const char *const *inputs)
{
    const char *product = oq_edit_name(rewrite->edit, matmul->output, "_product");
    const char *add_inputs[] = {product, matmul->bias, NULL};
    Oq__Pb__NodeProto *node = emit_node(rewrite, site, op_type, inputs, OQ_TYPE(FLOAT), product);
    oq_edit_float_output(rewrite->edit, "", "Add", oq_node_label(site->node), add_inputs,
                         matmul->output_type, matmul->output);
    return node;
}

/* The order of an import's rows, once for all weights that have the same. */
static const char *add_order(struct oq_rewrite *rewrite, const struct oq_site *site)
{
    struct oq_edit *edit = rewrite->edit;
    const struct oq_unpack *numbers = &site->import->numbers;
    const int64_t n = (int64_t)numbers->module->rows;
    const struct oq_recipe recipe =
        oq_recipe_bytes(numbers->order, (uint64_t)n * sizeof(*numbers->order));
    void **place = oq_rewrite_companion(rewrite, numbers->order, "order", NULL, 0, 1);
    if (place == NULL || *place != NULL)
        return place == NULL ? NULL : *place;
    site->quantized->ranges->constant->nbytes_after += recipe.nbytes;
    *place =
        oq_edit_text(oq_edit_tensor(edit, &edit->states[0], oq_edit_name(edit, "input_order", ""),
                                    OQ_TYPE(INT32), &n, 1, &recipe));
    return *place;
}

/* Inputs in the order of an import's rows, once for all products that take them so. */
static const char *gather_inputs(struct oq_rewrite *rewrite, const struct oq_site *site,
                                 const char *x)
{
    struct oq_edit *edit = rewrite->edit;
    const char *order = add_order(rewrite, site);
    const char *kind = order == NULL ? NULL : oq_arena_printf(edit->arena, "gathered %s", order);
    void **place = NULL;
    const char *made = kind == NULL ? NULL : oq_edit_made(edit, kind, x, &place);
    if (made != NULL || place == NULL)
        return made;
    made = oq_edit_name(edit, x, "_ordered");
    *place = oq_edit_text(made);
    const char *inputs[] = {x, order, NULL}, *outputs[] = {made, NULL};
    Oq__Pb__NodeProto *node =
        oq_edit_node(edit, "", "Gather", oq_node_label(site->node), inputs, outputs);
    oq_edit_add_int(edit, node, "axis", -1);
    return made;
}

bool oq_matmul_emit_blocks(struct oq_rewrite *rewrite, const struct oq_site *site,
                           const struct oq_matmul *matmul)
{
    struct oq_edit *edit = rewrite->edit;
    const struct oq_source *weight = &site->constant->source;
    const struct oq_blocks *blocks = site->quantized->blocks;
    bool is_nf4 = blocks->choice.form == OQ_BLOCKS_FLAT;
    struct oq_rewrite_blocks names =
        oq_rewrite_blocks(rewrite, site->quantized, site->blocks.form, matmul->factor);
    const char *x =
        oq_edit_float_input(edit, matmul->activation, matmul->transposed, weight->data_type);
    if (site->import != NULL && site->import->numbers.order != NULL)
        x = gather_inputs(rewrite, site, x);
    const char *op_type = is_nf4 ? "MatMulBnb4" : "MatMulNBits";
    const bool is_sum = matmul->bias != NULL && !takes_bias(rewrite->plan, is_nf4);
    const char *inputs[] = {x,
                            names.integers,
                            names.scales,
                            is_nf4 ? NULL : names.zero_points,
                            "",
                            is_sum ? NULL : matmul->bias,
                            NULL};
    Oq__Pb__NodeProto *node =
        is_sum ? emit_biased(rewrite, site, matmul, op_type, inputs)
               : emit_node(rewrite, site, op_type, inputs, matmul->output_type, matmul->output);
    oq_edit_add_int(edit, node, "K", weight->dims[1 - site->axis]);
    oq_edit_add_int(edit, node, "N", weight->dims[site->axis]);
    oq_edit_add_int(edit, node, "block_size", (int64_t)blocks->choice.size);
    if (is_nf4) {
        oq_edit_add_int(edit, node, "quant_type", NF4);
    } else {
        oq_edit_add_int(edit, node, "bits", count_bits(blocks));
        oq_edit_add_int(edit, node, "accuracy_level", rewrite->plan->options.accuracy_level);
    }
    return !edit->failed;
}

/* --- Gather --- */

static bool emit_gather(struct oq_rewrite *rewrite, const struct oq_site *site)
{
    const Oq__Pb__NodeProto *node = site->node;
    const struct oq_blocks *blocks = site->quantized->blocks;
    struct oq_rewrite_blocks names =
        oq_rewrite_blocks(rewrite, site->quantized, site->blocks.form, 1);
    const char *inputs[] = {names.integers, node->input[1], names.scales, names.zero_points, NULL};
    Oq__Pb__NodeProto *gather = emit_node(rewrite, site, "GatherBlockQuantized", inputs,
                                          site->constant->source.data_type, node->output[0]);
    oq_edit_add_int(rewrite->edit, gather, "gather_axis", site->axis);
    oq_edit_add_int(rewrite->edit, gather, "quantize_axis", blocks->choice.axis);
    oq_edit_add_int(rewrite->edit, gather, "block_size", (int64_t)blocks->choice.size);
    oq_edit_add_int(rewrite->edit, gather, "bits", count_bits(blocks));
    return !rewrite->edit->failed;
}

void oq_gather_choose_blocks(const onnxq_plan *plan, struct oq_site *site)
{
    const struct oq_source *table = &site->constant->source;
    bool is_4_bits = site->options->bits != ONNXQ_BITS_8;
    if (site->options->method != ONNXQ_METHOD_BLOCKS || site->action != ONNXQ_DYNAMIC)
        return;
    const char *refusal =
        oq_engine_refuses(plan->target, OQ_MS_GatherBlockQuantized, OQ_FORM_HAS_BITS, 0);
    if (refusal != NULL) {
        oq_site_fold(site, site->axis, 0, refusal);
    } else if (site->axis != 0) {
        oq_site_fold(site, site->axis, 0, "GatherBlockQuantized gathers along axis 0");
    } else if (is_4_bits && table->dims[table->n_dims - 1] % 2 != 0) {
        oq_site_fold(site, site->axis, 0,
                     "GatherBlockQuantized takes 4 bits in rows of even length");
    } else {
        oq_site_blocks(site, OQ_BLOCKS_LINES, (int)table->n_dims - 1, "GatherBlockQuantized");
        site->blocks.bits = is_4_bits ? ONNXQ_BITS_4 : ONNXQ_BITS_8;
        site->emit = emit_gather;
    }
}
