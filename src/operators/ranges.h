/*
 * What integers at an input have to be, where its letter in list.h does not say
 * it: a line each, sorted as list.h is. Data only; who includes it defines
 *
 *     IN_TABLE(domain, name, input, kind, table, axis, attribute)
 *     BETWEEN(domain, name, input, low, high)
 *
 * IN_TABLE  they are bound by the size of input `table` along an axis: the one that `attribute`
 *           names, and `axis` where it does not or is NULL. kind: enum oq_range_kind in operators.h
 * BETWEEN   from low to high works with any shapes: 1 of everything, from the beginning
 */
/* clang-format off */
BETWEEN(ONNX, BitShift,                 1, 0, 7)
BETWEEN(ONNX, Compress,                 1, 1, 1)
BETWEEN(ONNX, ConstantOfShape,          0, 1, 1)
BETWEEN(ONNX, CumProd,                  1, 0, 0)
BETWEEN(ONNX, CumSum,                   1, 0, 0)
BETWEEN(ONNX, Dropout,                  1, 0, 0)
BETWEEN(ONNX, Dropout,                  2, 0, 0)
BETWEEN(ONNX, Expand,                   1, 1, 1)
IN_TABLE(ONNX, GRU,                     4, LENGTH,    0, 0, NULL)
IN_TABLE(ONNX, Gather,                  1, INDEX,     0, 0, "axis")
IN_TABLE(ONNX, GatherElements,          1, INDEX,     0, 0, "axis")
IN_TABLE(ONNX, GatherND,                1, INDEX_ANY, 0, 0, NULL)
BETWEEN(ONNX, If,                       0, 1, 1)
IN_TABLE(ONNX, LSTM,                    4, LENGTH,    0, 0, NULL)
BETWEEN(ONNX, Loop,                     0, 1, 4)
BETWEEN(ONNX, Loop,                     1, 1, 1)
BETWEEN(ONNX, NonMaxSuppression,        2, 1, 16)
IN_TABLE(ONNX, OneHot,                  0, CLASS,     1, 0, NULL)
BETWEEN(ONNX, OneHot,                   1, 4, 4)
BETWEEN(ONNX, Pad,                      1, 0, 0)
IN_TABLE(ONNX, RNN,                     4, LENGTH,    0, 0, NULL)
BETWEEN(ONNX, Range,                    0, 0, 0)
BETWEEN(ONNX, Range,                    1, 1, 16)
BETWEEN(ONNX, Range,                    2, 1, 1)
BETWEEN(ONNX, Reshape,                  1, 1, 1)
BETWEEN(ONNX, Resize,                   2, 1, 1)
BETWEEN(ONNX, Resize,                   3, 1, 1)
IN_TABLE(ONNX, ReverseSequence,         1, LENGTHS,   0, 0, "time_axis")
IN_TABLE(ONNX, RotaryEmbedding,         3, INDEX,     1, 0, NULL)
BETWEEN(ONNX, STFT,                     1, 4, 4)
BETWEEN(ONNX, STFT,                     3, 4, 4)
IN_TABLE(ONNX, Scatter,                 1, INDEX,     0, 0, "axis")
IN_TABLE(ONNX, ScatterElements,         1, INDEX,     0, 0, "axis")
IN_TABLE(ONNX, ScatterND,               1, INDEX_ANY, 0, 0, NULL)
BETWEEN(ONNX, SequenceAt,               1, 0, 0)
BETWEEN(ONNX, Slice,                    1, 0, 0)
BETWEEN(ONNX, Slice,                    2, 1, 1)
BETWEEN(ONNX, Slice,                    4, 1, 1)
BETWEEN(ONNX, Split,                    1, 1, 1)
BETWEEN(ONNX, SplitToSequence,          1, 1, 1)
BETWEEN(ONNX, TensorScatter,            2, 0, 0)
BETWEEN(ONNX, Tile,                     1, 1, 1)
BETWEEN(ONNX, TopK,                     1, 1, 1)
BETWEEN(ONNX, Trilu,                    1, 0, 0)
BETWEEN(ONNX, Upsample,                 1, 1, 1)
IN_TABLE(ML, ArrayFeatureExtractor,     1, INDEX,     0, -1, NULL)
IN_TABLE(MS, DynamicQuantizeLSTM,       4, LENGTH,    0, 0, NULL)
IN_TABLE(MS, EmbedLayerNormalization,   0, INDEX,     2, 0, NULL)
IN_TABLE(MS, EmbedLayerNormalization,   1, INDEX,     4, 0, NULL)
IN_TABLE(MS, EmbedLayerNormalization,   8, INDEX,     3, 0, NULL)
IN_TABLE(MS, GatherBlockQuantized,      1, INDEX,     0, 0, "gather_axis")
IN_TABLE(MS, QEmbedLayerNormalization,  0, INDEX,     2, 0, NULL)
IN_TABLE(MS, QEmbedLayerNormalization,  1, INDEX,     4, 0, NULL)
IN_TABLE(MS, RotaryEmbedding,           1, INDEX,     2, 0, NULL)
/* clang-format on */
#undef IN_TABLE
#undef BETWEEN
