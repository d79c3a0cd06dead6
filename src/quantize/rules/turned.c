/* Writes the Transposes around a product. */
#include "quantize/rules/turned.h"

bool oq_turned_emit(struct oq_rewrite *rewrite, const struct oq_site *site,
                    const struct oq_matmul *matmul, const struct oq_turn *turn)
{
    struct oq_edit *edit = rewrite->edit;
    struct oq_activation x =
        oq_rewrite_activation(rewrite, matmul->activation, false, site->constant->source.data_type);
    struct oq_matmul product = *matmul;
    product.output = oq_edit_name(edit, matmul->output, "_turned");
    if (turn->there != NULL)
        x.quantized = oq_edit_permuted(edit, x.quantized, turn->suffix, turn->there, turn->rank);
    return oq_matmul_emit_product(rewrite, site, &product, &x) &&
           oq_edit_permute(edit, oq_node_label(site->node), product.output, turn->back, turn->rank,
                           matmul->output);
}
