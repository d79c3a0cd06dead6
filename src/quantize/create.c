/* A plan from options to result: every step in order, then what is said of each weight. */
#include "quantize/plan/plan.h"

#include <stdlib.h>

#include "base/checked.h"
#include "base/option_values.h"
#include "model/cycles.h"
#include "model/needs.h"
#include "ranges/plan_file.h"
#include "quantize/activations/activations.h"
#include "quantize/analyze/existing.h"
#include "quantize/analyze/fate.h"
#include "quantize/rounded_plan.h"
#include "quantize/rules/rules.h"
#include "quantize/decide/selector.h"
#include "quantize/decide/steps.h"
#include "quantize/write/rewrite.h"

void onnxq_options_init(onnxq_options *options)
{
    *options = (onnxq_options){.struct_size = sizeof(*options),
                               .per_channel = true,
                               .symmetric = -1,
                               .accuracy_level = 4,
                               .activation_bits = 8,
                               .min_elements = 1024,
                               .subgraphs = true,
                               .output.sync = true};
}

static bool check_block_size(const onnxq_options *options, onnxq_error *error)
{
    static const int sizes[] = {0, OQ_BLOCK_SIZE_VALUES(OQ_VALUE)};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        if (options->block_size == sizes[i])
            return true;
    return oq_fail(error, ONNXQ_ERROR_OPTION, "block size %d is none of 16, 32, 64, 128 and 256",
                   options->block_size);
}

/* An option without effect is an error: whoever gave it expects one. */
static bool check_effects(const onnxq_options *options, onnxq_error *error)
{
    bool blocks = options->method == ONNXQ_METHOD_BLOCKS, qdq = options->method == ONNXQ_METHOD_QDQ;
    bool is_static = options->method == ONNXQ_METHOD_STATIC;
    bool dynamic = options->method == ONNXQ_METHOD_DYNAMIC;
    bool is_4_bits = options->bits != ONNXQ_BITS_8;
    bool in_blocks = blocks || options->block_size != 0; /* of what follows, qdq only */
    bool is_unsigned = options->weight_type == ONNXQ_WEIGHT_UINT8;
    const struct {
        bool fails;
        const char *message, *hint;
    } checks[] = {
        {!dynamic && !is_static && options->n_choices > 0,
         "forms of single weights have no effect with this method",
         "they go with options.method=dynamic or options.method=static"},
        {is_4_bits && !blocks && !qdq, "fewer than 8 bits need another method",
         "options.bits goes with options.method=blocks or options.method=qdq"},
        {options->block_size != 0 && !blocks && !qdq, "a block size needs another method",
         "options.block_size goes with options.method=blocks or options.method=qdq"},
        {options->bits == ONNXQ_BITS_NF4 && qdq, "DequantizeLinear knows no nf4",
         "options.bits=nf4 goes with options.method=blocks"},
        {!dynamic && (options->conv == ONNXQ_CONV_INTEGER || options->conv == ONNXQ_CONV_MATMUL),
         "options.conv=integer and options.conv=matmul have no effect with this method",
         "they go with options.method=dynamic"},
        {is_static && options->ranges == NULL, "this method needs the ranges of activations",
         "inputs (-i) give them, or options.ranges has what onnxq calibrate wrote"},
        {!is_static && options->ranges != NULL, "options.ranges has no effect with this method",
         "it goes with options.method=static"},
        {!is_static && options->range_method != ONNXQ_RANGE_MINMAX,
         "options.range_method has no effect with this method",
         "it goes with options.method=static"},
        {!is_static && options->activation_bits != 8,
         "options.activation_bits has no effect with this method",
         "it goes with options.method=static"},
        {!is_static && options->qdq_standard,
         "options.qdq_standard=true has no effect with this method",
         "it goes with options.method=static"},
        {options->range_method != ONNXQ_RANGE_PERCENTILE && options->percentile != 0,
         "options.percentile has no effect on other ranges",
         "it goes with options.range_method=percentile"},
        {is_static && is_unsigned, "options.weight_type=uint8 has no effect with this method", ""},
        {is_static && !options->symmetric, "options.symmetric=false has no effect with this method",
         ""},
        {!dynamic && !blocks && !is_static && options->force_integer,
         "options.force_integer=true has no effect with this method",
         "it goes with options.method=dynamic or options.method=blocks"},
        {!dynamic && options->no_smooth, "options.no_smooth=true has no effect with this method",
         "it goes with options.method=dynamic"},
        {!dynamic && !blocks && !is_static && options->join_norms,
         "options.join_norms=true has no effect with this method",
         "it goes with options.method=dynamic or options.method=blocks"},
        {in_blocks && !options->per_channel, "options.per_channel=false has no effect on blocks",
         "every block has a scale of its own"},
        {options->reduce_range != ONNXQ_REDUCE_NONE && !dynamic && !is_static,
         "reduce-range concerns integer products: method dynamic or static", ""},
        {options->reduce_range == ONNXQ_REDUCE_PAIRS && !options->symmetric,
         "reduce-range pairs takes symmetric weights", ""},
        {(blocks || is_4_bits) && is_unsigned,
         "options.weight_type=uint8 has no effect on blocks or fewer than 8 bits",
         "options.symmetric=false stores zero points"},
        {options->accuracy_level != 4 && (!blocks || options->bits == ONNXQ_BITS_NF4) &&
             options->weights_from == NULL,
         "options.accuracy_level has no effect without MatMulNBits",
         "it goes with options.method=blocks and options.bits=8 or 4"},
        {options->bits == ONNXQ_BITS_NF4 && !options->symmetric,
         "options.symmetric=false has no effect on nf4", "its values are symmetric"},
    };
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        if (checks[i].fails) {
            oq_fail(error, ONNXQ_ERROR_OPTION, "%s", checks[i].message);
            oq_error_hint(error, "%s", checks[i].hint);
            return false;
        }
    }
    return true;
}

/* A checkpoint has its own bits, groups and zero points. */
static bool check_weights_from(const onnxq_options *options, onnxq_error *error)
{
    onnxq_options usual;
    onnxq_options_init(&usual);
    const struct {
        bool fails;
        const char *name;
    } checks[] = {
        {options->method != usual.method && options->method != ONNXQ_METHOD_BLOCKS, "method"},
        {options->bits != usual.bits, "bits"},
        {options->block_size != usual.block_size, "block_size"},
        {options->weight_type != usual.weight_type, "weight_type"},
        {options->per_channel != usual.per_channel, "per_channel"},
        {options->symmetric != usual.symmetric, "symmetric"},
        {options->reduce_range != usual.reduce_range, "reduce_range"},
        {options->conv != usual.conv, "conv"},
        {options->fold_bits != usual.fold_bits, "fold_bits"},
        {options->force_integer, "force_integer"},
        {options->no_smooth, "no_smooth"},
        {options->ranges != NULL, "ranges"},
        {options->n_choices > 0, "choices"},
        {options->plan != NULL, "plan"},
    };
    for (size_t i = 0; options->weights_from != NULL && i < sizeof(checks) / sizeof(checks[0]); i++)
        if (checks[i].fails) {
            oq_fail(error, ONNXQ_ERROR_OPTION, "options.%s has no effect with options.weights_from",
                    checks[i].name);
            oq_error_hint(error, "what is taken stays as it is, and all else stays float");
            return false;
        }
    return true;
}

/* --- the engine that has to run it --- */

enum { ANY = -1, EIGHT = ONNXQ_BITS_8, FOUR = ONNXQ_BITS_4, IN_BLOCKS = 1 };

static const struct needy_method {
    onnxq_method method;
    int bits, blocks;
    int minor;
    const char *what, *instead;
} needy_methods[] = {
#define METHOD(method, bits, blocks, minor, what, instead)                                         \
    {ONNXQ_METHOD_##method, bits, blocks, minor, what, instead},
#include "operators/engines.h"
};

/* Lines that ask for less come first: the last one that holds asks for the most. */
static bool check_method(const onnxq_options *options, int target, onnxq_error *error)
{
    for (size_t i = sizeof(needy_methods) / sizeof(needy_methods[0]); i > 0; i--) {
        const struct needy_method *needy = &needy_methods[i - 1];
        if (needy->method != options->method || needy->minor <= target ||
            (needy->bits != ANY && needy->bits != (int)options->bits) ||
            (needy->blocks == IN_BLOCKS && options->block_size == 0))
            continue;
        oq_fail(error, ONNXQ_ERROR_OPTION,
                "%s needs ONNX Runtime %s or later, options.target_ort is 1.%d", needy->what,
                oq_engine_text(needy->minor).text, target);
        oq_error_hint(error, "%s", needy->instead);
        return false;
    }
    return true;
}

static bool check_target(const onnxq_options *options, onnxq_error *error)
{
    if (options->target_ort == NULL)
        return true;
    const int minor = oq_engine_minor(options->target_ort);
    if (minor < 0)
        return oq_fail(error, ONNXQ_ERROR_OPTION,
                       "options.target_ort is '%.20s', expected a version such as 1.17",
                       options->target_ort);
    if (minor < OQ_OLDEST_ENGINE)
        return oq_fail(error, ONNXQ_ERROR_OPTION,
                       "options.target_ort is %.20s, the oldest that onnxq knows is 1.%d",
                       options->target_ort, OQ_OLDEST_ENGINE);
    return check_method(options, minor, error);
}

/* The model, or what has become of it, in the oldest engine that has to run it. */
static bool check_needs(onnxq_plan *plan, const Oq__Pb__ModelProto *proto, bool is_output,
                        onnxq_error *error)
{
    struct oq_engine_needs needs;
    if (plan->target == 0 || proto == NULL)
        return true;
    if (!oq_needs_find(&needs, proto, &plan->arena, error))
        return false;
    for (size_t i = 0; i < needs.count; i++) {
        const struct oq_engine_need *need = &needs.list[i];
        if (need->minor <= plan->target || (need->is_format && !is_output))
            continue;
        return oq_fail(error, ONNXQ_ERROR_OPTION,
                       "the %s needs ONNX Runtime %s or later (%s), options.target_ort is 1.%d",
                       is_output ? "output" : "model", oq_engine_text(need->minor).text, need->what,
                       plan->target);
    }
    return true;
}

/* Less than half of a range is none: 0.999 was meant as a part. */
static bool is_percentile(double percentile)
{
    return percentile == 0 || (percentile >= 50 && percentile <= 100);
}

/* Those that are numbers here, whatever bindings and the command take them for. */
static bool check_values(const onnxq_options *options, onnxq_error *error)
{
    const struct {
        bool is_known;
        const char *name;
    } checks[] = {
        {(unsigned)options->method <= ONNXQ_METHOD_STATIC, "method"},
        {options->symmetric >= -1 && options->symmetric <= 1, "symmetric"},
        {(unsigned)options->accuracy_level <= 4, "accuracy_level"},
        {(unsigned)options->weight_type <= ONNXQ_WEIGHT_UINT8, "weight_type"},
        {(unsigned)options->reduce_range <= ONNXQ_REDUCE_PAIRS, "reduce_range"},
        {(unsigned)options->conv <= ONNXQ_CONV_MATMUL, "conv"},
        {options->fold_bits == 0 || options->fold_bits == 8 || options->fold_bits == 16,
         "fold_bits"},
        {(unsigned)options->output.external_data <= ONNXQ_EXTERNAL_NEVER, "external_data"},
        {(unsigned)options->range_method <= ONNXQ_RANGE_MSE, "range_method"},
        {options->activation_bits == 8 || options->activation_bits == 16, "activation_bits"},
        {(unsigned)options->bits <= ONNXQ_BITS_NF4, "bits"},
    };
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
        if (!checks[i].is_known)
            return oq_fail(error, ONNXQ_ERROR_OPTION, "options.%s has a value out of range",
                           checks[i].name);
    return is_percentile(options->percentile) ||
           oq_fail(error, ONNXQ_ERROR_OPTION,
                   "options.percentile is %g, expected 50 to 100, as 99.99", options->percentile);
}

static bool check_options(const onnxq_options *options, onnxq_error *error)
{
    if (options->struct_size != sizeof(*options))
        return oq_fail(error, ONNXQ_ERROR_OPTION,
                       "options were not set up with onnxq_options_init()");
    if (!check_values(options, error))
        return false;
    if (options->plan != NULL && options->n_choices > 0)
        return oq_fail(error, ONNXQ_ERROR_OPTION,
                       "options.plan and options.choices cannot be combined");
    const onnxq_options resolved = oq_plan_file_resolve(options);
    return check_block_size(&resolved, error) && check_weights_from(options, error) &&
           check_effects(&resolved, error) && check_target(&resolved, error);
}

onnxq_status onnxq_options_check(const onnxq_options *options, onnxq_error *error)
{
    onnxq_error ignored;
    error = oq_error_start(error, &ignored);
    if (options != NULL)
        check_options(options, error);
    return error->status;
}

/* --- for the caller --- */

/*
 * What a user wants to know of a site: its own, or for a chain of operators the
 * sites that it leads to.
 */
static bool is_described(const struct oq_constant *constant, const struct oq_site *site)
{
    if (site->constant == constant) /* the chain's end says more than its start */
        return site->through == NULL || constant->derived == NULL;
    return site->action == ONNXQ_DYNAMIC;
}

static size_t count_sites(const struct oq_constant *constant)
{
    size_t n = constant->n_sites;
    for (const struct oq_constant *d = constant->derived; d != NULL; d = d->next_derived)
        n += d->n_sites;
    return n;
}

static void describe_sites(const struct oq_constant *constant, const struct oq_constant *sites_of,
                           onnxq_use *uses, onnxq_weight *weight)
{
    for (size_t i = 0; i < sites_of->n_sites; i++) {
        const struct oq_site *site = &sites_of->sites[i];
        if (!is_described(constant, site))
            continue;
        const bool is_rewritten = site->action == ONNXQ_KEEP && site->is_rewritten;
        uses[weight->n_uses++] =
            (onnxq_use){.graph = site->graph == NULL ? "" : site->graph->name,
                        .node = site->node == NULL ? "" : oq_node_label(site->node),
                        .op_type = site->op_type,
                        .domain = site->domain,
                        .input = site->input,
                        .action = is_rewritten ? ONNXQ_REWRITE : site->action,
                        .form = site->form,
                        .reason = site->reason};
        if (weight->action == ONNXQ_KEEP || site->action == ONNXQ_DYNAMIC)
            weight->action = site->action; /* REWRITE only where all are: is_rewritten() */
    }
}

static bool is_rewritten(const onnxq_weight *weight)
{
    for (size_t i = 0; i < weight->n_uses; i++)
        if (weight->uses[i].action != ONNXQ_REWRITE)
            return false;
    return weight->n_uses > 0;
}

static bool was_quantized(const struct oq_constant *constant)
{
    for (size_t i = 0; i < constant->n_sites; i++)
        if (oq_existing_weight(&constant->sites[i]) != NULL)
            return true;
    return false;
}

static bool describe_uses(onnxq_plan *plan, const struct oq_constant *constant,
                          onnxq_weight *weight, onnxq_error *error)
{
    onnxq_use *uses = oq_arena_array(&plan->arena, count_sites(constant), sizeof(*uses));
    if (uses == NULL)
        return oq_arena_fail(&plan->arena, error);
    for (const struct oq_constant *d = constant->derived; d != NULL; d = d->next_derived)
        describe_sites(constant, d, uses, weight);
    describe_sites(constant, constant, uses, weight);
    weight->uses = uses;
    if (is_rewritten(weight))
        weight->action = ONNXQ_REWRITE;
    return true;
}

/* The integers of a weight, or those of what a chain of operators has made of it. */
static const struct oq_quantized *find_quantized(const struct oq_constant *constant)
{
    if (constant->quantized != NULL)
        return constant->quantized;
    for (size_t i = 0; i < constant->n_sites; i++) {
        const struct oq_site *site = &constant->sites[i];
        if (site->through != NULL || site->quantized != NULL)
            return site->through != NULL ? site->through->quantized : site->quantized;
    }
    return NULL;
}

static void describe_integers(const struct oq_quantized *quantized, onnxq_weight *weight)
{
    weight->channel_axis = -1;
    if (quantized == NULL)
        return;
    const struct oq_blocks *blocks = quantized->blocks;
    weight->bits = quantized->is_wide ? 16 : quantized->ranges->is_4_bits ? 4 : 8;
    weight->n_scales = quantized->ranges->n_scales;
    weight->channel_axis = quantized->ranges->axis;
    if (quantized->refinement != NULL && quantized->refinement->input_scale != NULL)
        weight->n_input_scales = oq_refinement_n_inputs(quantized->refinement);
    if (blocks == NULL)
        return;
    weight->bits = 8 / oq_blocks_per_byte(blocks);
    weight->n_scales = blocks->n_scales;
    weight->channel_axis = blocks->choice.axis;
    weight->block_size = blocks->choice.size;
}

/* What replaces a derived constant is put down to the tensor that it starts with. */
static void charge_derived(onnxq_plan *plan)
{
    for (size_t i = plan->model->n_tensors; i < plan->n_constants; i++) {
        const struct oq_constant *derived = &plan->constants[i];
        if (derived->source.n_spans > 0)
            plan->constants[derived->source.spans[0].tensor->ordinal].nbytes_after +=
                derived->nbytes_after;
    }
}

static void count_weight(onnxq_plan *plan, const onnxq_weight *weight)
{
    onnxq_summary *summary = &plan->summary;
    summary->n_weights++;
    summary->n_quantized_before += weight->quantized_before;
    summary->nbytes_quantized_before += weight->quantized_before ? weight->nbytes : 0;
    summary->n_quantized += weight->action == ONNXQ_DYNAMIC || weight->action == ONNXQ_FOLD;
    summary->weight_nbytes_before += weight->nbytes;
    summary->weight_nbytes_after += weight->nbytes_after;
}

static void set_tensor(onnxq_weight *weight, const char *name, const struct oq_tensor *tensor)
{
    *weight = (onnxq_weight){.struct_size = sizeof(*weight),
                             .name = name,
                             .dtype = tensor->dtype == NULL ? "unknown" : tensor->dtype->name,
                             .dims = tensor->dims,
                             .n_dims = tensor->n_dims,
                             .nelem = tensor->nelem,
                             .nbytes = tensor->nbytes};
}

/* Constants that another one was computed of, and that left with it: what it is, they are. */
static bool describe_others(onnxq_plan *plan, const struct oq_made *made,
                            const onnxq_weight *computed, onnxq_error *error)
{
    for (size_t i = 0; made != NULL && i < made->n_others; i++) {
        const struct oq_value *value = made->others[i].value;
        const struct oq_use *use = value->uses;
        const Oq__Pb__NodeProto *node = use->graph->proto->node[use->node];
        const bool is_float = made->others[i].tensor->dtype->is_float;
        const char *words = oq_arena_printf(&plan->arena, "computed into %s", computed->name);
        onnxq_use *described = oq_arena_alloc(&plan->arena, sizeof(*described));
        onnxq_weight *weight = &plan->weights[plan->n_weights++];
        if (described == NULL || words == NULL)
            return oq_arena_fail(&plan->arena, error);
        set_tensor(weight, value->name, made->others[i].tensor);
        *described = (onnxq_use){.graph = use->graph->name,
                                 .node = oq_node_label(node),
                                 .op_type = node->op_type,
                                 .domain = oq_domain(node->domain),
                                 .input = use->input,
                                 .action = is_float ? computed->action : ONNXQ_KEEP,
                                 .form = words,
                                 .reason = words};
        weight->uses = described;
        weight->n_uses = 1;
        weight->action = described->action;
        weight->channel_axis = -1;
        count_weight(plan, weight);
    }
    return true;
}

static size_t count_weights(const onnxq_plan *plan)
{
    size_t n = plan->model->n_tensors;
    for (size_t i = 0; i < plan->model->n_tensors; i++)
        n += plan->model->tensors[i].made == NULL ? 0 : plan->model->tensors[i].made->n_others;
    return n;
}

static bool describe(onnxq_plan *plan, onnxq_error *error)
{
    plan->weights = oq_arena_array(&plan->arena, count_weights(plan) + 1, sizeof(*plan->weights));
    if (plan->weights == NULL)
        return oq_arena_fail(&plan->arena, error);
    charge_derived(plan);
    for (size_t i = 0; i < plan->model->n_tensors; i++) {
        const struct oq_constant *constant = &plan->constants[i];
        const struct oq_tensor *tensor = constant->tensor;
        if (tensor->is_added)
            continue;
        onnxq_weight *weight = &plan->weights[plan->n_weights++];
        set_tensor(weight, oq_constant_label(plan, constant),
                   tensor->made == NULL ? tensor : tensor->made->base);
        weight->nbytes_after = constant->nbytes_after;
        describe_integers(find_quantized(constant), weight);
        if (!describe_uses(plan, constant, weight, error))
            return false;
        weight->quantized_before = was_quantized(constant);
        count_weight(plan, weight);
        if (!describe_others(plan, tensor->made, weight, error))
            return false;
    }
    return true;
}

static bool summarize(onnxq_plan *plan, onnxq_error *error)
{
    struct oq_draft_sizes sizes;
    if (!oq_draft_measure(&plan->draft, &plan->options.output, &sizes, error))
        return false;
    plan->summary.n_round_trips_removed = plan->n_round_trips;
    plan->summary.nbytes_before = sizes.before;
    plan->summary.nbytes_after = sizes.after;
    plan->summary.external_nbytes_after = sizes.external_after;
    return true;
}

static bool find_ranges(onnxq_plan *plan, onnxq_error *error)
{
    if (!plan->is_estimate)
        return oq_plan_measure(plan, error) && oq_plan_measure_spread(plan, error);
    oq_plan_assume_ranges(plan);
    return true;
}

/* What a chain of weights that object to each other's ways may take; a hostile one ends here. */
#define MAX_ROUNDS 8

/* Decides by the rules, measures what they chose, and again where the numbers object to it. */
static bool decide(onnxq_plan *plan, onnxq_error *error)
{
    for (unsigned round = 1;; round++) {
        if (!oq_plan_decide(plan, error) || !oq_plan_smooth(plan, error) ||
            !find_ranges(plan, error))
            return false;
        oq_plan_scale(plan);
        if (!oq_plan_object(plan, round >= MAX_ROUNDS)) {
            oq_activations_scale(plan);
            return true;
        }
    }
}

/* What the rounding says holds from here on: nothing decides anew. */
static bool rewrite(onnxq_plan *plan, onnxq_error *error)
{
    oq_plan_use_rounding(plan);
    return oq_plan_rewrite(plan, error);
}

static bool make_plan(onnxq_plan *plan, const onnxq_options *given,
                      const struct oq_selection *selection, onnxq_error *error)
{
    return check_needs(plan, plan->model->proto, false, error) && oq_plan_collect(plan, error) &&
           oq_plan_apply_choices(plan, given, error) && oq_plan_find_imports(plan, given, error) &&
           oq_fates_find(plan, error) && oq_plan_screen(plan, selection, error) &&
           oq_activations_find(plan, error) && decide(plan, error) &&
           oq_plan_measure_imports(plan, error) && oq_plan_find_round_trips(plan, error) &&
           oq_plan_widen(plan, error) && oq_plan_refine(plan, error) &&
           oq_activations_correct(plan, error) && oq_plan_find_constant_quantizers(plan, error) &&
           rewrite(plan, error) && check_needs(plan, plan->draft.proto, true, error) &&
           describe(plan, error) && summarize(plan, error);
}

/*
 * Functions are written out wherever a weight meets one; operators that stand for a product only
 * where products are done in integers.
 */
static bool expand(onnxq_plan *plan, onnxq_error *error)
{
    const onnxq_options *options = &plan->options;
    plan->expand_options = (struct oq_expand_options){
        .min_weight = options->min_elements,
        .min_product = options->force_integer ? options->min_elements : OQ_MIN_DYNAMIC_NELEM,
        .freeze_inputs = options->freeze_inputs || oq_model_lists_initializers(plan->model),
        .products = options->method == ONNXQ_METHOD_DYNAMIC ||
                    options->method == ONNXQ_METHOD_BLOCKS ||
                    options->method == ONNXQ_METHOD_STATIC};
    if (!oq_expand(plan->model, &plan->expand_options, &plan->computed, plan->expanded,
                   &plan->n_expanded, error))
        return false;
    if (plan->n_expanded > 0)
        plan->model = plan->expanded[plan->n_expanded - 1];
    return true;
}

/* What is taken goes into blocks, wherever they would pay; nothing else changes. */
static void take_checkpoint(onnxq_plan *plan)
{
    onnxq_options *options = &plan->options;
    if (options->weights_from == NULL)
        return;
    plan->checkpoint = oq_checkpoint_share(options->weights_from);
    options->weights_from = NULL;
    options->method = ONNXQ_METHOD_BLOCKS;
    options->fold_bits = 8;
    options->force_integer = true;
}

/* The rounding stays the caller's after a failure. */
static onnxq_plan *create(const onnxq_model *model, const onnxq_options *given, bool is_estimate,
                          struct oq_rounding *rounding, onnxq_error *error)
{
    onnxq_error ignored;
    onnxq_options resolved;
    onnxq_options_init(&resolved);
    given = given == NULL ? &resolved : given;
    error = oq_error_start(error, &ignored);
    if (!check_options(given, error) ||
        (given->plan != NULL && !oq_plan_file_check(given->plan, model, error)))
        return NULL;
    resolved = oq_plan_file_resolve(given);
    const onnxq_options *options = &resolved;
    onnxq_plan *plan = calloc(1, sizeof(*plan));
    struct oq_selection *selection = NULL;
    bool ok = plan != NULL || oq_fail_memory(error);
    if (ok) {
        oq_arena_init(&plan->arena, oq_model_budget(model));
        oq_arena_init(&plan->sources, oq_model_budget(model));
        oq_arena_init(&plan->round, oq_model_budget(model));
        oq_arena_init(&plan->computed, SIZE_MAX);
        plan->model = model;
        plan->options = *options;
        plan->options.choices = NULL;
        plan->options.plan = NULL;
        take_checkpoint(plan);
        plan->target = options->target_ort == NULL ? 0 : oq_engine_minor(options->target_ort);
        plan->is_estimate = is_estimate;
        plan->rounding = rounding;
        plan->summary.struct_size = sizeof(plan->summary);
        ok = (is_estimate || oq_refuse_cycles(model, error)) && expand(plan, error);
    }
    if (ok)
        selection = oq_selection_create(options, plan->model, error);
    ok = selection != NULL && make_plan(plan, options, selection, error);
    if (plan != NULL) {
        free(plan->room);
        plan->room = NULL;
        plan->options.selectors = NULL;
        plan->options.op_types = plan->options.exclude_op_types = NULL;
        plan->options.ranges = NULL;
        plan->options.target_ort = NULL;
    }
    oq_selection_destroy(selection);
    if (ok)
        return plan;
    oq_error_file(error, model->file.path);
    if (plan != NULL)
        plan->rounding = NULL;
    onnxq_plan_destroy(plan);
    return NULL;
}

onnxq_plan *onnxq_plan_create(const onnxq_model *model, const onnxq_options *options,
                              onnxq_error *error)
{
    return create(model, options, false, NULL, error);
}

onnxq_plan *oq_plan_create_rounded(const onnxq_model *model, const onnxq_options *options,
                                   struct oq_rounding *rounding, onnxq_error *error)
{
    onnxq_plan *plan = create(model, options, false, rounding, error);
    if (plan == NULL)
        oq_rounding_destroy(rounding);
    return plan;
}

onnxq_plan *onnxq_plan_estimate(const onnxq_model *model, const onnxq_options *options,
                                onnxq_error *error)
{
    return create(model, options, true, NULL, error);
}

void onnxq_plan_destroy(onnxq_plan *plan)
{
    if (plan == NULL)
        return;
    free(plan->room);
    oq_draft_fini(&plan->draft);
    oq_rounding_destroy(plan->rounding);
    onnxq_checkpoint_close((onnxq_checkpoint *)(uintptr_t)plan->checkpoint);
    oq_arena_fini(&plan->sources);
    oq_arena_fini(&plan->round);
    oq_arena_fini(&plan->arena);
    while (plan->n_expanded > 0)
        onnxq_model_close(plan->expanded[--plan->n_expanded]);
    oq_arena_fini(&plan->computed);
    free(plan);
}

size_t onnxq_plan_import_count(const onnxq_plan *plan)
{
    return plan->n_imports;
}

const onnxq_import *onnxq_plan_get_import(const onnxq_plan *plan, size_t index)
{
    return &plan->imports[index];
}

size_t onnxq_plan_count(const onnxq_plan *plan)
{
    return plan->n_weights;
}

const onnxq_weight *onnxq_plan_get(const onnxq_plan *plan, size_t index)
{
    return &plan->weights[index];
}

const onnxq_summary *onnxq_plan_get_summary(const onnxq_plan *plan)
{
    return &plan->summary;
}

onnxq_status onnxq_plan_get_output_size(const onnxq_plan *plan, const char *path,
                                        uint64_t *model_nbytes, uint64_t *external_nbytes,
                                        onnxq_error *error)
{
    return oq_draft_get_size(&plan->draft, &plan->options.output, path, model_nbytes,
                             external_nbytes, error);
}

onnxq_status onnxq_plan_write(const onnxq_plan *plan, const char *path, onnxq_error *error)
{
    onnxq_error ignored;
    if (!plan->is_estimate)
        return oq_draft_write(&plan->draft, &plan->options.output, "no weight to quantize", path,
                              error);
    error = oq_error_start(error, &ignored);
    oq_fail(error, ONNXQ_ERROR_OPTION,
            "the plan is an estimate, expected one of onnxq_plan_create()");
    return error->status;
}

onnxq_status onnxq_quantize_file(const char *input, const char *output,
                                 const onnxq_options *options, onnxq_error *error)
{
    onnxq_error ignored;
    error = error == NULL ? &ignored : error;
    onnxq_model *model = onnxq_model_open(input, error);
    onnxq_plan *plan = model == NULL ? NULL : onnxq_plan_create(model, options, error);
    onnxq_status status = plan == NULL ? error->status : onnxq_plan_write(plan, output, error);
    onnxq_plan_destroy(plan);
    onnxq_model_close(model);
    return status;
}
