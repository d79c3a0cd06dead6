/*
 * What needs which version of ONNX Runtime, 1.N: a line each. Data only, and the one place that
 * knows it; who includes it defines what it takes of
 *
 *     OPSET(domain, version, n)              an operator set, and those before it
 *     IR(version, n)                         a version of the format, likewise
 *     TENSOR(type, n)                        any tensor of that type
 *     FORM(domain, name, detail, value, n, words)     nodes; words follow the name
 *     METHOD(method, bits, blocks, n, what, instead)  options of onnxq, where no form tells
 *
 * detail   enum oq_form_detail in model/needs.h: what a node has to have for the line to hold
 * bits     EIGHT, FOUR or ANY; blocks: IN_BLOCKS, or ANY
 * instead  what runs in older ones
 *
 * n is the first version from which on such a model loads; a version before it may load it and
 * compute something else. tests/engines has a model for each line and holds both.
 * `cmake --build DIR --target engines_doc` writes docs/engines.md.
 */
#ifndef OPSET
#define OPSET(...)
#endif
#ifndef IR
#define IR(...)
#endif
#ifndef TENSOR
#define TENSOR(...)
#endif
#ifndef FORM
#define FORM(...)
#endif
#ifndef METHOD
#define METHOD(...)
#endif
/* clang-format off */
OPSET(ONNX, 19, 16)
OPSET(ONNX, 20, 17)
OPSET(ONNX, 21, 18)
OPSET(ONNX, 22, 21)
OPSET(ONNX, 23, 23)
OPSET(ONNX, 24, 24)
OPSET(ONNX, 25, 24)
OPSET(ONNX, 26, 25)
OPSET(ONNX, 27, 32)
OPSET(ONNX, 28, 32)
OPSET(ML, 3, 16)
OPSET(ML, 4, 17)
OPSET(ML, 5, 18)

IR(9, 16)
IR(10, 18)
IR(11, 23)
IR(12, 24)
IR(13, 24)
IR(14, 32)

TENSOR(UINT4, 19)
TENSOR(INT4, 19)
TENSOR(UINT2, 24)
TENSOR(INT2, 24)

FORM(ONNX, DequantizeLinear,                  OPSET,     28, 33, " in opset 28")
FORM(ONNX, QLinearMatMul,                     OPSET,     21, 20, " in opset 21")
FORM(ONNX, QuantizeLinear,                    OPSET,     23, 24, " in opset 23")
FORM(ONNX, QuantizeLinear,                    OPSET,     28, 33, " in opset 28")
FORM(MS,   BranchwiseRMSNorm,                 ANY,        0, 31, "")
FORM(MS,   CausalConvWithState,               ANY,        0, 25, "")
FORM(MS,   ConvStateReplay,                   ANY,        0, 32, "")
FORM(MS,   DequantizeLinear,                  TYPE,       6, 17, " of int32")
FORM(MS,   DequantizeLinear,                  TYPE,       5, 17, " of int16")
FORM(MS,   DequantizeLinear,                  TYPE,       4, 17, " of uint16")
FORM(MS,   DynamicSparseAttention,            ANY,        0, 31, "")
FORM(MS,   DynamicTimeWarping,                ANY,        0, 17, "")
FORM(MS,   EPContext,                         ANY,        0, 17, "")
FORM(MS,   EngramGate,                        ANY,        0, 30, "")
FORM(MS,   GatedAdd,                          ANY,        0, 29, "")
FORM(MS,   GatedDeltaNet,                     ANY,        0, 30, "")
FORM(MS,   GatedDeltaNetStateReplay,          ANY,        0, 32, "")
FORM(MS,   GatedRMSNorm,                      ANY,        0, 29, "")
FORM(MS,   GatherBlockQuantized,              ANY,        0, 20, "")
FORM(MS,   GatherBlockQuantized,              HAS_BITS,   0, 23, " with bits")
FORM(MS,   GatherBlockQuantized,              BITS,       2, 27, " with 2 bits")
FORM(MS,   GatherPacked,                      ANY,        0, 32, "")
FORM(MS,   GemmFloat8,                        ANY,        0, 17, "")
FORM(MS,   GemmaRotaryEmbedding,              ANY,        0, 18, "")
FORM(MS,   HyperConnectionLowRankMix,         ANY,        0, 32, "")
FORM(MS,   HyperConnectionPostMix,            ANY,        0, 31, "")
FORM(MS,   HyperConnectionPreMix,             ANY,        0, 31, "")
FORM(MS,   LinearAttention,                   ANY,        0, 25, "")
FORM(MS,   LinearAttentionGate,               ANY,        0, 29, "")
FORM(MS,   MRotaryEmbedding,                  ANY,        0, 29, "")
FORM(MS,   Mamba2Verify,                      ANY,        0, 32, "")
FORM(MS,   MatMulBlockQuantizedFp4Weight,     ANY,        0, 29, "")
FORM(MS,   MatMulBlockQuantizedFp8Weight,     ANY,        0, 29, "")
FORM(MS,   MatMulNBits,                       HAS_LEVEL,  0, 17, " with accuracy_level")
FORM(MS,   MatMulNBits,                       INPUT,      4, 18, " with g_idx")
FORM(MS,   MatMulNBits,                       INPUT,      5, 19, " with a bias")
FORM(MS,   MatMulNBits,                       BITS,       2, 24, " with 2 bits")
FORM(MS,   MatMulNBits,                       BITS,       8, 22, " with 8 bits")
FORM(MS,   MatMulNBitsMlp,                    ANY,        0, 27, "")
FORM(MS,   MatMulNBitsQLoRA,                  ANY,        0, 32, "")
FORM(MS,   MatMulNBitsQkv,                    ANY,        0, 27, "")
FORM(MS,   MatMulPacked,                      ANY,        0, 32, "")
FORM(MS,   MoE,                               ANY,        0, 17, "")
FORM(MS,   MoEGroupRouter,                    ANY,        0, 32, "")
FORM(MS,   MoEPacked,                         ANY,        0, 32, "")
FORM(MS,   NGramHashMapping,                  ANY,        0, 30, "")
FORM(MS,   PackedSparseAttentionIndexer,      ANY,        0, 31, "")
FORM(MS,   PackedSparseAttentionIndexerMerge, ANY,        0, 32, "")
FORM(MS,   PagedAttention,                    ANY,        0, 23, "")
FORM(MS,   QMoE,                              ANY,        0, 18, "")
FORM(MS,   RMSNormRotary,                     ANY,        0, 32, "")
FORM(MS,   RouterGateUpProj,                  ANY,        0, 32, "")
FORM(MS,   ScaledSiLU,                        ANY,        0, 31, "")
FORM(MS,   SparseAttention,                   ANY,        0, 18, "")
FORM(MS,   SparseAttentionIndexer,            ANY,        0, 31, "")
FORM(MS,   SparsePagedAttention,              ANY,        0, 31, "")
FORM(MS,   SpeculativePrefixCommit,           ANY,        0, 32, "")
FORM(MS,   SwiGLU,                            ANY,        0, 32, "")
FORM(MS,   UnfoldTensor,                      ANY,        0, 17, "")
FORM(MS,   VarlenCausalConvWithState,         ANY,        0, 30, "")
FORM(MS,   VarlenNGramHashMapping,            ANY,        0, 31, "")
FORM(MS,   WhisperBeamSearch,                 ANY,        0, 17, "")

METHOD(QDQ,    EIGHT, ANY,       17, "method qdq", "options.method=weights runs in all of them")
METHOD(QDQ,    FOUR,  ANY,       19, "method qdq with 4 bits", "options.bits=8 needs 1.17")
METHOD(QDQ,    ANY,   IN_BLOCKS, 20, "method qdq in blocks", "options.block_size=0 needs 1.17")
METHOD(BLOCKS, EIGHT, ANY,       22, "method blocks with 8 bits", "options.bits=4 needs 1.17")
METHOD(BLOCKS, FOUR,  ANY,       17, "method blocks with 4 bits", "options.bits=nf4 runs in all of them")
/* clang-format on */
#undef OPSET
#undef IR
#undef TENSOR
#undef FORM
#undef METHOD
