/*
 * What stands beside a checkpoint about how it was quantized: quantize_config.json (AutoGPTQ,
 * GPTQModel), quant_config.json (AutoAWQ), or "quantization_config" of config.json (transformers).
 */
#ifndef OQ_CHECKPOINT_QUANTIZATION_H
#define OQ_CHECKPOINT_QUANTIZATION_H

#include "base/arena.h"

enum oq_packing {
    OQ_PACKING_UNKNOWN, /* nothing says so */
    OQ_PACKING_GPTQ,    /* AutoGPTQ's first format: one less than the zero point is stored */
    OQ_PACKING_GPTQ_V2, /* the zero point itself is */
    OQ_PACKING_AWQ      /* AutoAWQ's, for GEMM kernels: columns interleaved */
};

struct oq_quantization {
    const char *path;        /* of the file that says so; NULL: there is none */
    enum oq_packing packing; /* GPTQ also where the file does not tell it from V2 */
    int64_t bits;            /* 0: not said */
    int64_t group_size;      /* elements that share a scale; -1: all of a column; 0: not said */
    bool is_symmetric;       /* zero points are all in the middle */
    bool has_exceptions;     /* some modules have other bits or groups */
};

/*
 * Looks in the folder (a path that ends in a slash, or ""); where nothing is, nothing is known.
 * A kind of quantization that is none of the above is an error.
 */
bool oq_quantization_find(struct oq_quantization *quantization, const char *folder,
                          struct oq_arena *arena, onnxq_error *error);

#endif
