/* What a rule has chosen, as the method has it. */
#include "quantize/rules/rules.h"
#include "quantize/decide/steps.h"

bool oq_site_stores_4_bits(const struct oq_site *site)
{
    const onnxq_options *options = site->options;
    return options->method == ONNXQ_METHOD_QDQ && options->bits != ONNXQ_BITS_8 &&
           site->constant->need != OQ_NEEDS_16_BITS &&
           !site->is_multiplied; /* Cast takes 4 bits from ONNX Runtime 1.23 on */
}

/* What takes a weight in blocks, with their size; what takes none has it folded. */
static void decide_blocks(struct oq_site *site)
{
    if (site->blocks.form == OQ_BLOCKS_NONE)
        oq_site_fold(site, site->axis, site->batch_axes,
                     site->reason != NULL && site->reason[0] != '\0'
                         ? site->reason
                         : "no operator takes it in blocks");
}

/* "MatMulNBits, 4 bits in blocks of 32" */
static const char *describe_form(onnxq_plan *plan, const struct oq_site *site)
{
    static const char *const bits[] = {"8 bits", "4 bits", "nf4"};
    if (site->import != NULL)
        return oq_arena_printf(&plan->round, "%s, %u bits in blocks of %llu", site->form,
                               site->import->numbers.module->bits,
                               (unsigned long long)site->blocks.size);
    if (site->blocks.form != OQ_BLOCKS_NONE)
        return oq_arena_printf(&plan->round, "%s, %s in blocks of %llu", site->form,
                               bits[site->blocks.bits], (unsigned long long)site->blocks.size);
    if (oq_site_stores_4_bits(site))
        return oq_arena_printf(&plan->round, "%s, %s", site->form, bits[site->options->bits]);
    return site->form;
}

void oq_plan_apply_method(onnxq_plan *plan, struct oq_site *site)
{
    if (site->action == ONNXQ_KEEP)
        return;
    const onnxq_method method = site->options->method;
    if (method == ONNXQ_METHOD_QDQ)
        oq_plan_decide_qdq(plan, site);
    else if (method == ONNXQ_METHOD_WEIGHTS)
        oq_site_fold(site, site->axis, site->batch_axes, NULL);
    else if (method == ONNXQ_METHOD_BLOCKS)
        decide_blocks(site);
    if (site->action != ONNXQ_KEEP)
        site->form = describe_form(plan, site);
}
