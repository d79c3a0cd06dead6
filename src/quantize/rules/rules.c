/* The table of rules, and what decide() of all of them ends with. */
#include "quantize/rules/rules.h"

#include "base/checked.h"
#include "base/option_values.h"

static const struct oq_rule *const rules[] = {
    &oq_rule_attention, &oq_rule_conv, &oq_rule_conv_transpose, &oq_rule_gather,
    &oq_rule_gemm,      &oq_rule_lstm, &oq_rule_matmul,
};

const struct oq_rule *oq_rule_find(const struct oq_operator *op)
{
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (rules[i]->op == oq_operator_id(op))
            return rules[i];
    bool is_known = op->name[0] != '\0' && strcmp(op->domain, "ai.onnx.ml") != 0;
    bool folds = is_known && !oq_operator_has(op, OQ_QUANTIZED);
    return folds ? &oq_rule_any : NULL;
}

/* Measured (docs/decisions.md): 4 bits need their small blocks, 8 are as good in large ones. */
#define DEFAULT_BLOCK_OF_8_BITS 128
#define LEAST_BLOCK             16
#define DEFAULT_BLOCK_OF_4_BITS 32

void oq_site_fold(struct oq_site *site, int axis, size_t batch_axes, const char *reason)
{
    site->action = ONNXQ_FOLD;
    site->blocks.form = OQ_BLOCKS_NONE;
    site->beside_nbytes = 0;
    site->form = site->is_unsigned ? "uint8 folded at load" : "int8 folded at load";
    site->reason = reason;
    site->axis = axis;
    site->batch_axes = batch_axes;
}

void oq_site_dynamic(struct oq_site *site, int axis, size_t batch_axes, bool transposed,
                     const char *form)
{
    site->action = ONNXQ_DYNAMIC;
    site->form = form;
    site->axis = axis;
    site->batch_axes = batch_axes;
    site->transposed = transposed;
    site->emit = site->rule->emit;
}

/* Of a line of `n` elements: whole blocks, and a float32 as the scale of each. */
static uint64_t size_of_line(uint64_t n, uint64_t block)
{
    return oq_divide_up_u64(n, block) * (block + sizeof(float));
}

/*
 * Smaller blocks where more than an eighth of the usual ones would be padding, and that is less.
 * The rows of tables have none, and take what suits the product with the same weight.
 */
static uint64_t default_block(onnxq_bits bits, uint64_t n, bool is_padded)
{
    if (bits != ONNXQ_BITS_8)
        return DEFAULT_BLOCK_OF_4_BITS;
    uint64_t best = DEFAULT_BLOCK_OF_8_BITS;
    if (oq_divide_up_u64(n, best) * best - n <= n / 8)
        return best;
    for (uint64_t block = best / 2; block >= LEAST_BLOCK; block /= 2)
        if (size_of_line(n, block) < size_of_line(n, best))
            best = block;
    return is_padded || n % best == 0 ? best : DEFAULT_BLOCK_OF_8_BITS;
}

void oq_site_blocks(struct oq_site *site, enum oq_block_form layout, int axis, const char *form)
{
    const onnxq_options *options = site->options;
    const uint64_t n = (uint64_t)site->constant->source.dims[axis];
    site->blocks = (struct oq_block_choice){
        .form = layout,
        .axis = axis,
        .bits = options->bits,
        .size = options->block_size != 0
                    ? (uint64_t)options->block_size
                    : default_block(options->bits, n, layout != OQ_BLOCKS_LINES),
        .symmetric = oq_is_symmetric(options, options->bits == ONNXQ_BITS_4)};
    if (site->import != NULL) {
        site->blocks.import = site->import;
        site->blocks.size = site->import->block_size;
        site->blocks.symmetric = !site->import->has_zero_points;
    }
    site->form = form;
}

void oq_site_keep(struct oq_site *site, const char *reason)
{
    site->action = ONNXQ_KEEP;
    site->is_rewritten = false;
    site->form = "";
    site->reason = reason;
}

/*
 * Below these sizes the integer form was measured slower than float in ONNX
 * Runtime 1.31 for one row of activations (docs/decisions.md): quantizing the
 * activation and scaling the result cost more than the product saves. The same
 * of elements is OQ_MIN_DYNAMIC_NELEM.
 */
#define MIN_DYNAMIC_K 128

/* Every product is at most 255 * 255 for uint8 and 255 * 128 for int8; their sum must fit. */
#define MAX_DYNAMIC_K (INT32_MAX / (255 * 255))

const char *oq_matmul_refuses(const onnxq_plan *plan, const struct oq_site *site, int64_t k,
                              int64_t n, size_t activation_input)
{
    if (k * n < OQ_MIN_DYNAMIC_NELEM && !site->options->force_integer)
        return "not faster in integers under 65536 elements";
    if (k < MIN_DYNAMIC_K && !site->options->force_integer)
        return "not faster in integers under 128 rows";
    return oq_integers_refuse(plan, site, k, activation_input);
}

const char *oq_integers_refuse(const onnxq_plan *plan, const struct oq_site *site, int64_t k,
                               size_t activation_input)
{
    if (k > MAX_DYNAMIC_K && site->options->method != ONNXQ_METHOD_BLOCKS)
        return "sums over more than 33025 rows can overflow int32";
    if (oq_plan_constant(plan, site->graph, site->node->input[activation_input]) != NULL)
        return "both inputs are constant";
    return NULL;
}
