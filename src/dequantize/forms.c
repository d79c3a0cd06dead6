#include "dequantize/forms/forms_table.h"

const struct oq_form *const oq_forms[] = {&oq_form_pair,
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

static const char unknown[] = "there is no float form of it here";
static const char pattern[] = "it is not in a pattern that is known here";

static const struct {
    const char *domain, *op_type, *reason;
} quantized[] = {
    {"", "MatMulInteger", pattern},
    {"", "ConvInteger", pattern},
    {"com.microsoft", "MatMulIntegerToFloat", pattern},
    {"com.microsoft", "MatMulInteger16", pattern},
    {"com.microsoft", "MulInteger", pattern},
    {"com.microsoft", "ReduceSumInteger", pattern},
    {"", "DequantizeLinear", pattern},
    {"com.microsoft", "DequantizeLinear", pattern},
    {"com.microsoft", "MatMulFpQ4", unknown},
    {"com.microsoft", "MatMulNBitsQkv", unknown},
    {"com.microsoft", "MatMulNBitsMlp", unknown},
    {"com.microsoft", "MatMulBlockQuantizedFp8Weight", unknown},
    {"com.microsoft", "MatMulBlockQuantizedFp4Weight", unknown},
    {"com.microsoft", "QAttention", unknown},
    {"com.microsoft", "QEmbedLayerNormalization", unknown},
    {"com.microsoft", "QGemm", "its activations are integers, with scales from calibration"},
    {"com.microsoft", "QMoE", unknown},
};

static bool begins_with(const char *text, const char *start)
{
    return text != NULL && strncmp(text, start, strlen(start)) == 0;
}

const char *oq_quantized_reason(const Oq__Pb__NodeProto *node)
{
    for (size_t i = 0; i < sizeof(quantized) / sizeof(quantized[0]); i++)
        if (oq_node_is(node, quantized[i].domain, quantized[i].op_type))
            return quantized[i].reason;
    const char *domain = oq_domain(node->domain);
    bool is_known = domain[0] == '\0' || strcmp(domain, "com.microsoft") == 0;
    if (is_known && begins_with(node->op_type, "QLinear"))
        return "its activations are integers, with scales from calibration";
    return is_known && begins_with(node->op_type, "QOrdered") ? unknown : NULL;
}
