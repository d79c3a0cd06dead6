/* Weights in blocks whose integers were chosen beforehand are written as those say. */
#include "quantize/decide/steps.h"

void oq_plan_use_rounding(onnxq_plan *plan)
{
    for (size_t i = 0; plan->rounding != NULL && i < plan->n_constants; i++) {
        struct oq_constant *constant = &plan->constants[i];
        for (size_t k = 0; k < constant->n_sites; k++) {
            struct oq_site *site = &constant->sites[k];
            struct oq_quantized *quantized = site->quantized;
            if (site->action != ONNXQ_DYNAMIC || quantized == NULL || quantized->blocks == NULL)
                continue;
            quantized->rounded = oq_rounding_find(plan->rounding, quantized->ranges->constant->name,
                                                  quantized->blocks);
            if (quantized->rounded != NULL)
                site->reason = quantized->rounded->how;
        }
    }
}
