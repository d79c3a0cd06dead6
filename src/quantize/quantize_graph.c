/* Applies a plan to a copy of the model's structure. */
#include "quantize/write/rewrite.h"

#include "base/option_values.h"
#include "edit/raise.h"
#include "model/needs.h"
#include "quantize/activations/activations.h"
#include "quantize/rules/rules.h"
#include "quantize/plan/plan.h"

static bool rewrite_nodes(struct oq_rewrite *rewrite, size_t ordinal)
{
    struct oq_edit *edit = rewrite->edit;
    const Oq__Pb__GraphProto *graph = edit->states[ordinal].proto;
    oq_edit_enter(edit, ordinal);
    for (size_t i = 0; i < graph->n_node; i++) {
        const struct oq_site *site = rewrite->plan->products[ordinal][i];
        bool ok = site != NULL ? site->emit(rewrite, site)
                  : ordinal == 0 && oq_activations_change(rewrite->plan, i)
                      ? oq_activations_write(rewrite, i)
                      : oq_edit_keep(edit, graph->node[i]);
        if (!ok)
            return false;
    }
    return true;
}

static void leave_out(struct oq_site *site)
{
    site->action = ONNXQ_DROP;
    site->form = "left out";
}

/* Constants that a folded one replaces leave, as do those without users. */
static bool drop_constants(struct oq_rewrite *rewrite)
{
    onnxq_plan *plan = rewrite->plan;
    for (size_t i = 0; i < plan->model->n_tensors; i++) {
        const struct oq_constant *constant = &plan->constants[i];
        if (constant->fold != NULL &&
            !oq_edit_drop(rewrite->edit, constant->value->graph->ordinal, constant->name, true))
            return false;
    }
    if (!oq_edit_sweep(rewrite->edit))
        return false;
    for (size_t i = 0; i < plan->model->n_tensors; i++) {
        struct oq_constant *constant = &plan->constants[i];
        bool dropped =
            constant->value != NULL &&
            oq_edit_is_dropped(rewrite->edit, constant->value->graph->ordinal, constant->name);
        if (!dropped)
            constant->nbytes_after += constant->tensor->nbytes;
        else if (constant->value->n_uses == 0)
            leave_out(&constant->sites[0]);
    }
    plan->summary.n_unused = rewrite->edit->n_unused;
    plan->summary.nbytes_unused = rewrite->edit->nbytes_unused;
    return true;
}

/* Another tool's: with them, a range may stand for a Relu that this tool has dropped. */
static bool has_ranges_of_others(const onnxq_model *model)
{
    const char *settings = oq_model_settings(model);
    if (settings != NULL && strncmp(settings, "method=static ", strlen("method=static ")) == 0)
        return strstr(settings, OQ_RANGES_OF_OTHERS) != NULL;
    for (size_t g = 0; g < model->graphs.count; g++)
        for (size_t i = 0; i < model->graphs.list[g]->proto->n_node; i++)
            if (oq_node_is(model->graphs.list[g]->proto->node[i], "", "QuantizeLinear"))
                return true;
    return false;
}

/* What it takes to make the same file again; nothing that differs from run to run. */
static bool add_provenance(struct oq_rewrite *rewrite)
{
    static char version_key[] = "onnxq.version", settings_key[] = "onnxq.settings";
    static char version[] = ONNXQ_VERSION_STRING;
    static const char *const conv_names[] = {OQ_CONV_VALUES(OQ_VALUE_NAME)};
    static const char *const reduce_names[] = {OQ_REDUCE_RANGE_VALUES(OQ_VALUE_NAME)};
    static const char *const method_names[] = {OQ_METHOD_VALUES(OQ_VALUE_NAME)};
    static const char *const type_names[] = {OQ_WEIGHT_TYPE_VALUES(OQ_VALUE_NAME)};
    static const char *const bits_names[] = {OQ_BITS_VALUES(OQ_VALUE_NAME)};
    const onnxq_options *options = &rewrite->plan->options;
    char *settings = oq_arena_printf(
        rewrite->edit->arena,
        "method=%s weight_type=%s per_channel=%d symmetric=%d reduce_range=%s conv=%s "
        "fold_bits=%u force_integer=%d min_elements=%llu bits=%s block_size=%d%s%s",
        method_names[options->method], type_names[options->weight_type], options->per_channel,
        oq_is_symmetric(options, options->bits == ONNXQ_BITS_4),
        reduce_names[options->reduce_range], conv_names[options->conv], options->fold_bits,
        options->force_integer, (unsigned long long)options->min_elements,
        bits_names[options->bits], options->block_size, options->join_norms ? " join_norms=1" : "",
        options->no_smooth ? " no_smooth=1" : "");
    static const char *const range_names[] = {OQ_RANGE_METHOD_VALUES(OQ_VALUE_NAME)};
    if (settings != NULL && options->method == ONNXQ_METHOD_STATIC)
        settings =
            oq_arena_printf(rewrite->edit->arena, "%s range_method=%s percentile=%g%s", settings,
                            range_names[options->range_method], options->percentile,
                            has_ranges_of_others(rewrite->plan->model) ? OQ_RANGES_OF_OTHERS : "");
    if (settings != NULL && options->activation_bits != 8)
        settings = oq_arena_printf(rewrite->edit->arena, "%s activation_bits=%u", settings,
                                   options->activation_bits);
    if (settings != NULL && options->qdq_standard)
        settings = oq_arena_printf(rewrite->edit->arena, "%s qdq_standard=1", settings);
    if (settings != NULL && options->method == ONNXQ_METHOD_BLOCKS)
        settings = oq_arena_printf(rewrite->edit->arena, "%s accuracy_level=%d", settings,
                                   options->accuracy_level);
    if (settings != NULL && rewrite->plan->checkpoint != NULL)
        settings = oq_arena_printf(rewrite->edit->arena, "%s weights_from=%s", settings,
                                   rewrite->plan->checkpoint->info.format);
    if (settings != NULL && rewrite->plan->target != 0)
        settings = oq_arena_printf(rewrite->edit->arena, "%s target_ort=1.%d", settings,
                                   rewrite->plan->target);
    if (settings == NULL)
        return oq_arena_fail(rewrite->edit->arena, rewrite->edit->error);
    return oq_edit_set_metadata(rewrite->edit, version_key, version) &&
           oq_edit_set_metadata(rewrite->edit, settings_key, settings);
}

/*
 * Exporters stamp models with the newest version of the format that they know, whatever is in
 * them. What came with later ones is functions of one name, and types that have opsets of their
 * own.
 */
static void lower_ir_version(struct oq_rewrite *rewrite)
{
    Oq__Pb__ModelProto *model = rewrite->edit->draft->proto;
    const int target = rewrite->plan->target;
    for (size_t i = 0; i < model->n_functions; i++)
        if (model->functions[i]->overload != NULL && model->functions[i]->overload[0] != '\0')
            return;
    if (target != 0 && model->ir_version > oq_engine_ir_version(target))
        model->ir_version = oq_engine_ir_version(target);
}

static bool rewrite_all(struct oq_rewrite *rewrite)
{
    onnxq_plan *plan = rewrite->plan;
    oq_strmap_init(&rewrite->companions, rewrite->edit->arena);
    oq_strmap_init(&rewrite->scalars, rewrite->edit->arena);
    if (plan->activations != NULL && plan->activations->opset != plan->model->opset &&
        !oq_raise(rewrite->edit))
        return false;
    oq_rewrite_round_trips(rewrite);
    if (!oq_rewrite_constant_quantizers(rewrite))
        return false;
    if (!oq_rewrite_import_floats(rewrite))
        return false;
    oq_rewrite_norms(rewrite);
    if (!oq_rewrite_smooth_norms(rewrite))
        return false;
    for (size_t i = 0; i < plan->n_constants; i++) /* they come first in their graph */
        if (plan->constants[i].fold != NULL &&
            !oq_activations_take_integers(plan, &plan->constants[i]) &&
            !oq_rewrite_fold(rewrite, &plan->constants[i]))
            return false;
    if (!oq_activations_write_floats(rewrite))
        return false;
    for (size_t g = 0; g < rewrite->edit->graphs->count; g++)
        if (!rewrite_nodes(rewrite, g))
            return false;
    lower_ir_version(rewrite);
    bool ok = drop_constants(rewrite) && add_provenance(rewrite) && oq_edit_finish(rewrite->edit);
    plan->summary.n_annotations_removed = rewrite->edit->n_annotations;
    plan->summary.inputs_removed = rewrite->edit->inputs;
    plan->summary.n_inputs_removed = rewrite->edit->n_inputs;
    return ok;
}

static bool has_work(const onnxq_plan *plan)
{
    if (plan->n_round_trips > 0 || plan->n_quantizers > 0)
        return true;
    for (size_t i = 0; i < plan->n_constants; i++)
        if (plan->constants[i].quantized != NULL)
            return true;
    return false;
}

bool oq_plan_rewrite(onnxq_plan *plan, onnxq_error *error)
{
    struct oq_edit edit;
    struct oq_rewrite rewrite = {.plan = plan, .edit = &edit};
    plan->draft = (struct oq_draft){.model = plan->model, .arena = &plan->arena};
    if (!has_work(plan)) {
        for (size_t i = 0; i < plan->model->n_tensors; i++)
            plan->constants[i].nbytes_after = plan->constants[i].tensor->nbytes;
        return true;
    }
    bool ok = oq_draft_init(&plan->draft, plan->model, &plan->arena, error) &&
              oq_edit_init(&edit, &plan->draft, plan->freeze_inputs, error) &&
              rewrite_all(&rewrite);
    /* Some steps have no result of their own and leave what went wrong in the error. */
    return (ok && !edit.failed && error->status == ONNXQ_OK) || oq_arena_fail(&plan->arena, error);
}
