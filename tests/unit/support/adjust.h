/* Changes to options that rows of tables name. */
#ifndef SUPPORT_ADJUST_H
#define SUPPORT_ADJUST_H

#include <onnxq/onnxq.h>

typedef void (*adjust_fn)(onnxq_options *options);

#define ADJUST(name, statement)                                                                    \
    static inline void adjust_##name(onnxq_options *options)                                       \
    {                                                                                              \
        statement;                                                                                 \
    }

ADJUST(weights, options->method = ONNXQ_METHOD_WEIGHTS)
ADJUST(qdq, options->method = ONNXQ_METHOD_QDQ)
ADJUST(qdq_fold_8_bits, options->method = ONNXQ_METHOD_QDQ; options->fold_bits = 8)
ADJUST(qdq_asymmetric, options->method = ONNXQ_METHOD_QDQ; options->symmetric = false)
ADJUST(qdq_uint8, options->method = ONNXQ_METHOD_QDQ; options->weight_type = ONNXQ_WEIGHT_UINT8)
ADJUST(qdq_per_tensor, options->method = ONNXQ_METHOD_QDQ; options->per_channel = false)
ADJUST(blocks, options->method = ONNXQ_METHOD_BLOCKS)
ADJUST(blocks_4_for_1_18, adjust_blocks(options); options->bits = ONNXQ_BITS_4;
       options->target_ort = "1.18")
ADJUST(for_1_29, options->target_ort = "1.29.0")
ADJUST(for_1_30, options->target_ort = "1.30")
ADJUST(qdq_for_1_19, options->method = ONNXQ_METHOD_QDQ; options->target_ort = "1.19")
ADJUST(qdq_for_1_20, options->method = ONNXQ_METHOD_QDQ; options->target_ort = "1.20")
ADJUST(blocks_asymmetric, adjust_blocks(options); options->symmetric = false)
ADJUST(blocks_of_16, adjust_blocks(options); options->block_size = 16)
ADJUST(blocks_4, adjust_blocks(options); options->bits = ONNXQ_BITS_4; options->symmetric = true)
ADJUST(blocks_4_of_level_1, adjust_blocks(options); options->bits = ONNXQ_BITS_4;
       options->accuracy_level = 1)
ADJUST(blocks_4_asymmetric, adjust_blocks_4(options); options->symmetric = false)
ADJUST(blocks_4_of_16, adjust_blocks_4(options); options->block_size = 16)
ADJUST(blocks_4_of_256, adjust_blocks_4(options); options->block_size = 256)
ADJUST(blocks_force_integer, adjust_blocks(options); options->force_integer = true)
ADJUST(nf4, adjust_blocks(options); options->bits = ONNXQ_BITS_NF4)
ADJUST(nf4_of_64, adjust_nf4(options); options->block_size = 64)
ADJUST(qdq_4, options->method = ONNXQ_METHOD_QDQ; options->bits = ONNXQ_BITS_4;
       options->symmetric = true)
ADJUST(qdq_4_asymmetric, adjust_qdq_4(options); options->symmetric = false)
ADJUST(qdq_4_per_tensor, adjust_qdq_4(options); options->per_channel = false)
ADJUST(qdq_of_32, options->method = ONNXQ_METHOD_QDQ; options->block_size = 32)
ADJUST(qdq_of_32_asymmetric, adjust_qdq_of_32(options); options->symmetric = false)
ADJUST(qdq_of_32_uint8, adjust_qdq_of_32(options); options->weight_type = ONNXQ_WEIGHT_UINT8)
ADJUST(qdq_4_of_32, adjust_qdq_4(options); options->block_size = 32)
ADJUST(qdq_4_of_32_asymmetric, adjust_qdq_4_of_32(options); options->symmetric = false)
ADJUST(join_norms, options->join_norms = true)
ADJUST(asymmetric, options->symmetric = false)
ADJUST(per_tensor, options->per_channel = false)
ADJUST(per_tensor_asymmetric, options->per_channel = false; options->symmetric = false)
ADJUST(uint8, options->weight_type = ONNXQ_WEIGHT_UINT8)
ADJUST(conv_integer, options->conv = ONNXQ_CONV_INTEGER)
ADJUST(conv_integer_asymmetric, options->conv = ONNXQ_CONV_INTEGER; options->symmetric = false)
ADJUST(conv_integer_per_tensor, options->conv = ONNXQ_CONV_INTEGER; options->per_channel = false)
ADJUST(conv_matmul, options->conv = ONNXQ_CONV_MATMUL)
ADJUST(conv_matmul_forced, options->conv = ONNXQ_CONV_MATMUL; options->force_integer = true)
ADJUST(conv_skip, options->conv = ONNXQ_CONV_SKIP)
ADJUST(freeze_inputs, options->freeze_inputs = true)
ADJUST(fold_16_bits, options->fold_bits = 16)
ADJUST(fold_8_bits, options->fold_bits = 8)
ADJUST(force_integer, options->force_integer = true)
ADJUST(uint8_forced, adjust_uint8(options); options->force_integer = true)
ADJUST(per_tensor_forced, adjust_per_tensor(options); options->force_integer = true)
ADJUST(no_subgraphs, options->subgraphs = false)
ADJUST(external_always, options->output.external_data = ONNXQ_EXTERNAL_ALWAYS)
ADJUST(external_never, options->output.external_data = ONNXQ_EXTERNAL_NEVER)

#endif
