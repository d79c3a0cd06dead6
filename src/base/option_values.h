/*
 * The names of options' values, in the order in which people are shown them: of
 * the command line, and of what a model that was quantized says of it. X(name, value).
 */
#ifndef OQ_BASE_OPTION_VALUES_H
#define OQ_BASE_OPTION_VALUES_H

#include <onnxq/onnxq.h>

/* Forms of single weights: enum onnxq_form up to its last. */
#define OQ_N_PLAIN_FORMS (ONNXQ_FORM_BLOCKS_4 + 1)

#define OQ_METHOD_VALUES(X)                                                                        \
    X("dynamic", ONNXQ_METHOD_DYNAMIC)                                                             \
    X("weights", ONNXQ_METHOD_WEIGHTS)                                                             \
    X("qdq", ONNXQ_METHOD_QDQ)                                                                     \
    X("blocks", ONNXQ_METHOD_BLOCKS)                                                               \
    X("static", ONNXQ_METHOD_STATIC)

#define OQ_RANGE_METHOD_VALUES(X)                                                                  \
    X("minmax", ONNXQ_RANGE_MINMAX)                                                                \
    X("entropy", ONNXQ_RANGE_ENTROPY)                                                              \
    X("percentile", ONNXQ_RANGE_PERCENTILE)                                                        \
    X("mse", ONNXQ_RANGE_MSE)

#define OQ_WEIGHT_TYPE_VALUES(X)                                                                   \
    X("int8", ONNXQ_WEIGHT_INT8)                                                                   \
    X("uint8", ONNXQ_WEIGHT_UINT8)

#define OQ_REDUCE_RANGE_VALUES(X)                                                                  \
    X("bits", ONNXQ_REDUCE_BITS)                                                                   \
    X("pairs", ONNXQ_REDUCE_PAIRS)                                                                 \
    X("none", ONNXQ_REDUCE_NONE)

#define OQ_BITS_VALUES(X)                                                                          \
    X("8", ONNXQ_BITS_8)                                                                           \
    X("4", ONNXQ_BITS_4)                                                                           \
    X("nf4", ONNXQ_BITS_NF4)

/* Other names that are understood: what they are called elsewhere. */
#define OQ_BITS_ALIASES(X)                                                                         \
    X("int8", ONNXQ_BITS_8)                                                                        \
    X("int4", ONNXQ_BITS_4)

#define OQ_WEIGHT_TYPE_ALIASES(X)                                                                  \
    X("QInt8", ONNXQ_WEIGHT_INT8)                                                                  \
    X("QUInt8", ONNXQ_WEIGHT_UINT8)                                                                \
    X("QuantType.QInt8", ONNXQ_WEIGHT_INT8)                                                        \
    X("QuantType.QUInt8", ONNXQ_WEIGHT_UINT8)

#define OQ_BLOCK_SIZE_VALUES(X)                                                                    \
    X("16", 16)                                                                                    \
    X("32", 32)                                                                                    \
    X("64", 64)                                                                                    \
    X("128", 128)                                                                                  \
    X("256", 256)

#define OQ_ACCURACY_LEVEL_VALUES(X)                                                                \
    X("0", 0)                                                                                      \
    X("1", 1)                                                                                      \
    X("2", 2)                                                                                      \
    X("3", 3)                                                                                      \
    X("4", 4)

#define OQ_CONV_VALUES(X)                                                                          \
    X("fold", ONNXQ_CONV_FOLD)                                                                     \
    X("integer", ONNXQ_CONV_INTEGER)                                                               \
    X("matmul", ONNXQ_CONV_MATMUL)                                                                 \
    X("skip", ONNXQ_CONV_SKIP)

#define OQ_EXTERNAL_DATA_VALUES(X)                                                                 \
    X("auto", ONNXQ_EXTERNAL_AUTO)                                                                 \
    X("always", ONNXQ_EXTERNAL_ALWAYS)                                                             \
    X("never", ONNXQ_EXTERNAL_NEVER)

#define OQ_FLOAT_TYPE_VALUES(X)                                                                    \
    X("float32", ONNXQ_FLOAT32)                                                                    \
    X("float16", ONNXQ_FLOAT16)

/* What symmetric stands for where it is left out, of 4 bits and of others. */
static inline bool oq_is_symmetric(const onnxq_options *options, bool is_4_bits)
{
    return options->symmetric < 0 ? !is_4_bits : options->symmetric != 0;
}

/* For an array of names by value, and for one of values. */
#define OQ_VALUE_NAME(name, value) [value] = name,
#define OQ_VALUE(name, value)      value,

#endif
