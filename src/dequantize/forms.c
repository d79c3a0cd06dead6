/* The table of forms, and which nodes quantization has made. */
#include "dequantize/forms/forms_table.h"

const struct oq_form *const oq_forms[] = {&oq_form_pair,
                                          &oq_form_pair_contrib,
                                          &oq_form_dequantized_rows,
                                          &oq_form_dequantize_linear,
                                          &oq_form_dequantize_linear_contrib,
                                          &oq_form_matmul_integer,
                                          &oq_form_conv_integer,
                                          &oq_form_turned_product,
                                          &oq_form_dynamic_quantize_matmul,
                                          &oq_form_matmul_integer_to_float,
                                          &oq_form_lstm,
                                          &oq_form_attention,
                                          &oq_form_gather_block_quantized,
                                          &oq_form_rows,
                                          &oq_form_cast_rows,
                                          &oq_form_folded,
                                          &oq_form_cast_folded,
                                          &oq_form_matmul_nbits,
                                          &oq_form_matmul_bnb4,
                                          NULL};

const char *oq_quantized_reason(const Oq__Pb__NodeProto *node)
{
    return oq_operator_of(node)->stays;
}
