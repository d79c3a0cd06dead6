/*
 * A checkpoint of PyTorch whose linear layers were quantized by GPTQ or AWQ: its files, and a
 * module for each layer. Modules are checked when it is opened; their numbers stay in the files.
 */
#ifndef OQ_CHECKPOINT_CHECKPOINT_H
#define OQ_CHECKPOINT_CHECKPOINT_H

#include "base/strmap.h"
#include "checkpoint/quantization.h"
#include "checkpoint/safetensors.h"

/*
 * y = x . W, with W of [rows, columns] as integers q of `bits` bits; rows of a group share, in each
 * column, a scale s and a zero point z: W = (q - z) * s. Integers are packed in int32, the first
 * one in the lowest bits:
 *
 *     GPTQ   qweight [rows * bits / 32, columns], down the columns;
 *            qzeros [groups, columns * bits / 32], along the rows, z - 1, or z in the second
 * format; scales [groups, columns]; g_idx [rows]: the group of each row, where it is there AWQ
 * qweight [rows, columns / 8], qzeros [groups, columns / 8], along the rows, eight columns in the
 * order 0, 2, 4, 6, 1, 3, 5, 7; scales [groups, columns]
 *
 * Sources: AutoGPTQ and GPTQModel, nn_modules/qlinear (both formats, g_idx, "checkpoint_format");
 * AutoAWQ, awq/modules/linear/gemm.py; vLLM, model_executor/layers/quantization (gptq.py, awq.py;
 * pull request 26092 for the second format).
 */
struct oq_module {
    const char *name;
    enum oq_packing packing;
    unsigned bits;
    uint64_t rows, columns;
    uint64_t group_size, n_groups; /* rows of a group; the last one may have less */
    const struct oq_stored *weight, *zeros, *scales;
    const struct oq_stored *groups; /* g_idx, or NULL */
    const char *refusal;            /* why MatMulNBits cannot have it, or NULL */
};

struct onnxq_checkpoint {
    struct oq_arena arena;
    size_t n_users; /* changed by atomic operations only */
    struct oq_file **files;
    size_t n_files, files_capacity;
    struct oq_stored_list stored;
    struct oq_strmap by_name; /* of stored */
    struct oq_quantization quantization;
    struct oq_module *modules;
    size_t n_modules, modules_capacity;
    onnxq_checkpoint_info info;
};

/* One more user; each of them closes it. */
const onnxq_checkpoint *oq_checkpoint_share(const onnxq_checkpoint *checkpoint);

/* modules.c: finds and checks the modules among what is stored. */
bool oq_checkpoint_find_modules(onnxq_checkpoint *checkpoint, onnxq_error *error);

#endif
