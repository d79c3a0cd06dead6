/*
 * onnxq.h - dynamic INT8 quantization of ONNX models
 *
 * The whole life of a quantization is three objects:
 *
 *     onnxq_model  what is in the file        onnxq_model_open()
 *     onnxq_plan   one decision per weight    onnxq_plan_create()
 *     the output   the plan, carried out      onnxq_plan_write()
 *
 * or one call, onnxq_quantize_file(). The way back is onnxq_dequantize_file(),
 * or an onnxq_dequantization for those who want to know what becomes of what.
 * An onnxq_inspection is what a model says of itself.
 *
 * Conventions, valid for every function here:
 *
 *  - The library never prints, never exits, never aborts and never reads the
 *    environment. A failure is a status plus a filled-in onnxq_error.
 *  - `error` may be NULL where the caller does not want the details. It is
 *    caller-owned, fixed-size and needs no release.
 *  - `options` may be NULL: the defaults. So may the sizes that a function fills
 *    in: the caller does not want them. Other pointers are NULL only where that
 *    is said.
 *  - Structs begin with struct_size: it is set by an ..._init() where the caller
 *    owns them, and by the library in what it hands out. A later version adds
 *    fields at the end, and struct_size says which there are. Those without it
 *    stand in lists and stay as they are.
 *  - What is handed out, structs and strings, belongs to the object that it was
 *    asked from and lives until that is closed. Names come from the file as they are: they may hold
 *    any byte but NUL, so escape them before they reach a terminal
 *    (onnxq_escape()).
 *  - Messages, hints and reasons name options as options.FIELD=VALUE, with the
 *    words of the command line for values; what is made for people to read, the
 *    reports, has the command's flags.
 *  - Sizes are in bytes (`nbytes`) or elements (`nelem`).
 *  - A model and a plan are immutable once made: any number of threads may
 *    read the same object. One object must not be closed while it is used.
 */
#ifndef ONNXQ_ONNXQ_H
#define ONNXQ_ONNXQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ONNXQ_VERSION_MAJOR  0
#define ONNXQ_VERSION_MINOR  1
#define ONNXQ_VERSION_PATCH  0
#define ONNXQ_VERSION_STRING "0.1.0"

#if defined(__GNUC__)
#define ONNXQ_API __attribute__((visibility("default")))
#else
#define ONNXQ_API
#endif

/* The version of the library that is loaded, "MAJOR.MINOR.PATCH". */
ONNXQ_API const char *onnxq_version(void);

/* --- errors -------------------------------------------------------------- */

/* The values are also the exit codes of the command line. */
typedef enum onnxq_status {
    ONNXQ_OK = 0,
    ONNXQ_ERROR_OPTION = 2,     /* an option's value, or a selector that matches nothing */
    ONNXQ_ERROR_INPUT = 3,      /* input unreadable, or not a valid model */
    ONNXQ_ERROR_OUTPUT = 4,     /* output cannot be written */
    ONNXQ_NOTHING_TO_DO = 5,    /* no weight to quantize; nothing was written */
    ONNXQ_ERROR_ENGINE = 6,     /* ONNX Runtime not found or not usable (the command only) */
    ONNXQ_ERROR_MEMORY = 71,    /* out of memory, or over the structure budget */
    ONNXQ_ERROR_INTERNAL = 70,  /* a bug in onnxq: please report it */
    ONNXQ_ERROR_CANCELLED = 130 /* the progress callback asked to stop */
} onnxq_status;

#define ONNXQ_NO_OFFSET UINT64_MAX

/* Where and why. The first cause wins: a later failure during cleanup never replaces it. */
typedef struct onnxq_error {
    onnxq_status status;
    int sys_errno;     /* errno of the system call that failed, or 0 */
    uint64_t offset;   /* byte offset in `file`, or ONNXQ_NO_OFFSET */
    char file[512];    /* the file concerned, or "" */
    char place[256];   /* the place in the model, such as `initializer "w"`, or "" */
    char message[512]; /* what was found and what was expected; never empty on failure */
    char hint[256];    /* what to do about it, or "" */
} onnxq_error;

/*
 * Writes the error as users see it, `FILE: place: message (at byte N)`, into
 * dst[0..capacity), always NUL-terminated and free of control characters.
 * Returns the length that the whole text has, as snprintf() does.
 */
ONNXQ_API size_t onnxq_error_format(const onnxq_error *error, char *dst, size_t capacity);

/*
 * Copies src with control characters, invalid UTF-8 and backslashes written as
 * \n, \t, \\ or \xHH into dst[0..capacity), NUL-terminated. Returns the length
 * that the whole text has, as snprintf() does.
 */
ONNXQ_API size_t onnxq_escape(const char *src, char *dst, size_t capacity);

/* --- options ------------------------------------------------------------- */

typedef enum onnxq_weight_type { ONNXQ_WEIGHT_INT8 = 0, ONNXQ_WEIGHT_UINT8 = 1 } onnxq_weight_type;

/*
 * x86 processors without VNNI add two products u8 x s8 in 16 bits with
 * saturation. BITS keeps weights within 7 bits so that the sum always fits.
 * PAIRS takes for each channel the finest scale at which it does: half the
 * rounding error of BITS or little more. It needs symmetric weights. Both
 * concern only weights that are multiplied as integers.
 */
typedef enum onnxq_reduce_range {
    ONNXQ_REDUCE_NONE = 0,
    ONNXQ_REDUCE_BITS = 1,
    ONNXQ_REDUCE_PAIRS = 2
} onnxq_reduce_range;

/* What becomes of the weights. */
typedef enum onnxq_method {
    ONNXQ_METHOD_DYNAMIC = 0, /* integer operators with dynamically quantized activations */
    ONNXQ_METHOD_WEIGHTS = 1, /* int8 in the file, folded to float when the model is loaded */
    ONNXQ_METHOD_QDQ = 2,     /* int8 with DequantizeLinear: plain ONNX, for any engine */
    ONNXQ_METHOD_BLOCKS = 3,  /* operators of com.microsoft that take weights in blocks */
    ONNXQ_METHOD_STATIC = 4   /* integer operators with activations of known ranges, from one to
                                 the next; the rest as with DYNAMIC. Needs `ranges` */
} onnxq_method;

/* Bits of a weight; other than 8 with ONNXQ_METHOD_BLOCKS, and 4 with ONNXQ_METHOD_QDQ. */
typedef enum onnxq_bits {
    ONNXQ_BITS_8 = 0,
    ONNXQ_BITS_4 = 1,
    ONNXQ_BITS_NF4 = 2 /* 4 bits that stand for the quantiles of a normal distribution */
} onnxq_bits;

/* How the weights of Conv are stored and computed. */
typedef enum onnxq_conv {
    ONNXQ_CONV_FOLD = 0,    /* int8 in the file, folded to float when the model is loaded */
    ONNXQ_CONV_INTEGER = 1, /* ConvInteger: for engines that run it fast */
    ONNXQ_CONV_SKIP = 2,    /* stays float */
    ONNXQ_CONV_MATMUL = 3   /* MatMulInteger where the kernel is a single point, else as FOLD */
} onnxq_conv;

typedef enum onnxq_external_data {
    ONNXQ_EXTERNAL_AUTO = 0, /* a side file when the input had one or the output would pass 2 GB */
    ONNXQ_EXTERNAL_ALWAYS = 1,
    ONNXQ_EXTERNAL_NEVER = 2
} onnxq_external_data;

typedef enum onnxq_syntax { ONNXQ_GLOB = 0, ONNXQ_REGEX = 1, ONNXQ_EXACT = 2 } onnxq_syntax;

/*
 * Selects sites by node name or weight name, as they are in the input. A glob
 * (`*`, `?`, `[...]`) matches the whole name, a POSIX extended regular
 * expression any part of it, and an exact one is the name. With at least one include only what an
 * include matches is quantized; what an exclude matches never is.
 */
typedef struct onnxq_selector {
    bool exclude;
    onnxq_syntax syntax;
    const char *pattern;
} onnxq_selector;

/* How one weight is stored and computed in one use, whatever is decided for others. */
typedef enum onnxq_form {
    ONNXQ_FORM_FLOAT = 0,    /* as it is */
    ONNXQ_FORM_FOLDED = 1,   /* 8 bits in the file, folded to float when the model is loaded */
    ONNXQ_FORM_INTEGERS = 2, /* an integer operator, also where float was measured faster;
                                with ONNXQ_METHOD_STATIC one of known ranges where it can be */
    ONNXQ_FORM_BLOCKS_8 = 3, /* as with ONNXQ_METHOD_BLOCKS */
    ONNXQ_FORM_BLOCKS_4 = 4  /* likewise, with 4 bits */
} onnxq_form;

/*
 * A form for the uses of a weight by a node. What a form does not allow, or what it would make
 * wrong, is folded or stays float as it is without a choice, with the reason in the plan.
 */
typedef struct onnxq_choice {
    const char *node;   /* its name, or its first output where it has none, as in onnxq_use */
    const char *weight; /* its name */
    onnxq_form form;
    /*
     * Of ONNXQ_FORM_INTEGERS, where the node is a MatMul that multiplies x [.., K] by a weight
     * [K, N]: what x is divided by before it becomes integers, channel by channel, and rows of the
     * weight are multiplied by (positive numbers; NULL: as without a choice, or nothing where there
     * are columns); and the channels that are multiplied as floats, beside the integers, in
     * ascending order. Copied.
     */
    const float *divisors; /* [n_divisors]: K of them */
    size_t n_divisors;
    const uint32_t *columns; /* [n_columns], each below K */
    size_t n_columns;
} onnxq_choice;

typedef enum onnxq_phase { ONNXQ_PHASE_MEASURE = 0, ONNXQ_PHASE_WRITE = 1 } onnxq_phase;

/*
 * Called from the thread that called the library, every few MB. done and total
 * are bytes of the phase. Returning false stops the call with
 * ONNXQ_ERROR_CANCELLED and leaves nothing behind.
 */
typedef bool (*onnxq_progress_fn)(void *data, onnxq_phase phase, uint64_t done, uint64_t total);

/* How an output is written, whatever it is made of. */
typedef struct onnxq_output_options {
    onnxq_external_data external_data;
    bool sync;          /* fsync before the rename (default) */
    bool keep_existing; /* an output that exists is an error, not replaced */
    bool force;         /* a side file is written over a file that is none of this output */
    bool allow_noop;    /* nothing to do: copy the input byte for byte */
    bool hub_side_file; /* a side file is called OUT_data, as on the Hub, and not OUT.data */
    unsigned threads;   /* 0: one per processor. The result does not depend on it. */
    onnxq_progress_fn progress;
    void *progress_data;
} onnxq_output_options;

/* Ranges of the values that a model computes; `onnxq calibrate` makes their files. */
typedef struct onnxq_ranges onnxq_ranges;

/* Choices that were measured, and ranges where they need them, of one model; docs/tuning.md. */
typedef struct onnxq_plan_file onnxq_plan_file;

/* Weights that another tool has quantized, by GPTQ or AWQ. */
typedef struct onnxq_checkpoint onnxq_checkpoint;

/* How a range that is quantized is chosen from the numbers that calibration saw. */
typedef enum onnxq_range_method {
    ONNXQ_RANGE_MINMAX = 0,     /* all of them */
    ONNXQ_RANGE_ENTROPY = 1,    /* least divergence (Kullback and Leibler) of the distribution */
    ONNXQ_RANGE_PERCENTILE = 2, /* so many percent of them, as many cut off above as below */
    ONNXQ_RANGE_MSE = 3         /* least squared error */
} onnxq_range_method;

/* All pointers are borrowed for the duration of the call. */
typedef struct onnxq_options {
    size_t struct_size; /* sizeof(onnxq_options), set by onnxq_options_init() */
    onnxq_method method;
    onnxq_weight_type weight_type;
    bool per_channel; /* a scale per output channel (default), or one per tensor */
    /*
     * 1: zero point in the middle; 0: fitted to the range; -1 (default): fitted to that of what
     * has 4 bits, in the middle elsewhere.
     */
    int symmetric;
    onnxq_reduce_range reduce_range;
    onnxq_conv conv;
    onnxq_bits bits;
    /*
     * Elements with a scale of their own: 16, 32, 64, 128 or 256. 0 is what the method
     * has: 128 for 8 bits and 32 for 4 with ONNXQ_METHOD_BLOCKS, channels with
     * ONNXQ_METHOD_QDQ.
     */
    int block_size;
    unsigned fold_bits; /* of folded weights: 8, 16, or 0: 8, but 16 for those of recurrent models
                           of which a typical number keeps less than 3.5 of 8 bits (default);
                           16: rows of tables, too, are folded */
    uint64_t min_elements;       /* smaller weights stay as they are; default 1024 */
    const char *const *op_types; /* only these, such as "MatMul"; NULL: all that have a rule */
    size_t n_op_types;
    const char *const *exclude_op_types;
    size_t n_exclude_op_types;
    const onnxq_selector *selectors;
    size_t n_selectors;
    const onnxq_choice *choices; /* with ONNXQ_METHOD_DYNAMIC or STATIC; a later one goes before an
                                    earlier one */
    size_t n_choices;
    const onnxq_plan_file *plan; /* what tune has found, in the place of choices; or NULL */
    bool allow_unmatched; /* a selector, operator type or choice that matches nothing is no error */
    /*
     * Of MatMulNBits: in what activations are multiplied, 1 float32, 2 float16, 3 bfloat16, 4 int8
     * by rows and blocks (default), 0 as the engine likes.
     */
    int accuracy_level;
    bool force_integer;         /* integer operators also where float was measured faster */
    bool freeze_inputs;         /* take weights that are graph inputs with a default value, too */
    bool subgraphs;             /* look into If, Loop and Scan bodies (default) */
    const onnxq_ranges *ranges; /* of the activations, for methods that quantize those beforehand */
    onnxq_range_method range_method;
    double percentile; /* with ONNXQ_RANGE_PERCENTILE: 50 to 100; 0: 99.99 */
    /*
     * Of activations, with ONNXQ_METHOD_STATIC: 8 (default) or 16. Those of 16 are uint16 between
     * QuantizeLinear and DequantizeLinear of opset 21, or of com.microsoft below: for engines that
     * multiply them. ONNX Runtime's CPU provider computes with floats between them.
     */
    unsigned activation_bits;
    /*
     * With ONNXQ_METHOD_STATIC, for other engines than ONNX Runtime: QuantizeLinear and
     * DequantizeLinear of ai.onnx alone, from opset 13 on (21 with activation_bits=16); int8
     * (int16) activations with zero point 0; float32 biases; what is no Conv, Gemm or MatMul keeps
     * its weights, and every one of these is taken whose input has a range.
     */
    bool qdq_standard;
    /*
     * Add and LayerNormalization behind an integer product stay as they are, and so do the
     * names of open dimensions of inner values: ONNX Runtime joins them. That is faster in its
     * versions 1.27 to 1.29 and on GPUs; by default it is kept from it.
     */
    bool join_norms;
    /*
     * The oldest ONNX Runtime that has to run the output, such as "1.17": only forms that it runs
     * are written, a newer IR version that nothing needs is lowered, and before 1.30 join_norms is
     * on. A model or a method that needs a later one is an error. NULL: see docs/engines.md.
     */
    const char *target_ort;
    /* With ONNXQ_METHOD_DYNAMIC: channels that a normalization makes large stay as they are. */
    bool no_smooth;
    /*
     * Takes the integers, scales and zero points of a checkpoint, as they are, into MatMulNBits,
     * and leaves all other weights float; float initializers that it has under their names and in
     * their shapes get its numbers. method may be BLOCKS, and what says how weights are rounded has
     * its default. A module that matches no weight is no error (see onnxq_import), but where none
     * does, unless allow_unmatched. A plan keeps the checkpoint open for itself.
     */
    const onnxq_checkpoint *weights_from;
    onnxq_output_options output;
} onnxq_options;

ONNXQ_API void onnxq_options_init(onnxq_options *options);

/*
 * ONNXQ_ERROR_OPTION where a value is out of range or an option would have no
 * effect on what the others ask for. onnxq_plan_create() checks this as well;
 * names and patterns are checked there only, as they take a model.
 */
ONNXQ_API onnxq_status onnxq_options_check(const onnxq_options *options, onnxq_error *error);

/* --- by name, for other languages ----------------------------------------- */

/*
 * Options and errors without their layout. Those of onnxq_options_new() own
 * what they point to, and only those may be set by name: value is a word of the
 * command line, "true" or "false", or a number; name is that of a field of
 * onnxq_options or onnxq_output_options. op_types and exclude_op_types take one
 * operator a call and add it; so do include, exclude (globs), include_regex,
 * exclude_regex, include_name and exclude_name for one selector; ranges, plan and
 * weights_from take the path of a file, which is read. NULL is out of memory.
 */
ONNXQ_API onnxq_options *onnxq_options_new(void);
ONNXQ_API void onnxq_options_free(onnxq_options *options); /* NULL is fine */
ONNXQ_API onnxq_status onnxq_options_set(onnxq_options *options, const char *name,
                                         const char *value, onnxq_error *error);
ONNXQ_API void onnxq_options_set_progress(onnxq_options *options, onnxq_progress_fn progress,
                                          void *data);
/* The names that onnxq_options_set() knows, by index from 0; NULL behind the last. */
ONNXQ_API const char *onnxq_options_name(size_t index);

ONNXQ_API onnxq_error *onnxq_error_new(void);
ONNXQ_API void onnxq_error_free(onnxq_error *error); /* NULL is fine */
ONNXQ_API onnxq_status onnxq_error_get_status(const onnxq_error *error);
ONNXQ_API uint64_t onnxq_error_get_offset(const onnxq_error *error); /* or ONNXQ_NO_OFFSET */
/* "file", "place", "message" or "hint"; NULL for other names. */
ONNXQ_API const char *onnxq_error_get(const onnxq_error *error, const char *name);

/* --- scales --------------------------------------------------------------- */

/*
 * What a weight w of dims [d0, d1, ..] becomes: as many integers q, and for each
 * part of it that shares them a scale s (float32, not 0, in the unit of w) and a
 * zero point z (of the type of q), so that w is about (q - z) * s, as
 * DequantizeLinear of ONNX says:
 *
 *     q = min(max(round(w / s) + z, qmin), qmax)
 *
 * in float32, with ties to the even neighbour. The parts are the whole weight,
 * with n_scales == 1; per channel, all w[.., c, ..] with one index c of
 * channel_axis (in a stack of matrices, of one of them); in blocks, block_size
 * elements that follow each other along channel_axis, the last ones fewer. With
 * the smallest and the largest number of a part, lo and hi, 0 taken as one of
 * them, and its largest absolute one, m = max(-lo, hi):
 *
 *     8 bits, symmetric            s = m / 127, z = 0, q in -127..127;
 *                                  uint8, ONNXQ_METHOD_BLOCKS: z = 128, q in 1..255
 *     8 bits, not symmetric        s = (hi - lo) / 255, z = round(qmin - lo / s),
 *                                  q in -128..127; those two: 0..255
 *     ONNXQ_REDUCE_BITS            the same with 64 for 127 and 127 for 255
 *     ONNXQ_REDUCE_PAIRS           s = max(m / 127, p / 64): the larger half p of
 *                                  a sum of two neighbours of one sign that are
 *                                  multiplied together
 *     4 bits, symmetric            s = max(-lo / 8, hi / 7), z = 0, q in -8..7;
 *                                  ONNXQ_METHOD_BLOCKS: s = e / -8, where e is the
 *                                  number with |e| == m, z = 8, q in 0..15
 *     4 bits, not symmetric        s = (hi - lo) / 15, z = round(qmin - lo / s),
 *                                  q in -8..7; ONNXQ_METHOD_BLOCKS: 0..15
 *     ONNXQ_BITS_NF4               s = m; q numbers the nearest to w / s of the 16
 *                                  quantiles of NF4
 *     16 bits, folded only         s = m / 32767, z = 0, q in -32767..32767
 *
 * 0 is always exact. Where s would be no normal float32 number, it is the smallest
 * other one of the weight, or 2^-23; where (q - z) * s would be infinite, s is the
 * next smaller with which it is not.
 *
 * A weight that is only folded may have n_input_scales as well, r <= 1 for each
 * input channel: w is then about (q - z) * s * r, and w / r stands for w above. Its
 * q may be the second nearest, less than a step away, so that sums are kept.
 *
 * ONNXQ_METHOD_DYNAMIC quantizes activations x with 8 bits, not symmetric, uint8,
 * one s for the whole tensor, each time the model runs (DynamicQuantizeLinear).
 * ONNXQ_METHOD_STATIC has s = (hi - lo) / 255 and z = round(-lo / s) in the model, of
 * the ranges that it is given; weights have a larger s where a bias, in steps of
 * both, would not fit into int32.
 *
 * Sources: QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear of the ONNX
 * operators; Jacob et al., "Quantization and Training of Neural Networks for
 * Efficient Integer-Arithmetic-Only Inference", 2018 (arXiv:1712.05877); NF4:
 * Dettmers et al., "QLoRA", 2023 (arXiv:2305.14314).
 */

/* --- model --------------------------------------------------------------- */

typedef struct onnxq_model onnxq_model;

typedef struct onnxq_model_info {
    size_t struct_size;
    int64_t ir_version;
    int64_t opset;             /* version of the ai.onnx domain, 0 where it is not imported */
    const char *producer_name; /* never NULL */
    const char *producer_version;
    uint64_t file_nbytes;     /* the model file itself */
    uint64_t external_nbytes; /* all its side files */
    size_t n_nodes;           /* subgraphs included */
    size_t n_initializers;
} onnxq_model_info;

/*
 * Reads the structure of a model; weights stay in the file. Peak memory is a
 * small multiple of the structure's size, whatever the weights weigh. Side
 * files are looked for in the folder of `path` and are opened here.
 * Returns NULL on failure. The caller closes the model.
 */
ONNXQ_API onnxq_model *onnxq_model_open(const char *path, onnxq_error *error);
ONNXQ_API void onnxq_model_close(onnxq_model *model); /* NULL is fine */
ONNXQ_API const onnxq_model_info *onnxq_model_get_info(const onnxq_model *model);

/* --- files of ranges and of plans ------------------------------------------ */

/*
 * Reads what `onnxq tune --save-plan` has written. Returns NULL on failure. It is immutable; the
 * caller closes it, after the last plan that is made with it. onnxq_plan_create() refuses one of
 * another model.
 */
ONNXQ_API onnxq_plan_file *onnxq_plan_file_open(const char *path, onnxq_error *error);
ONNXQ_API void onnxq_plan_file_close(onnxq_plan_file *file); /* NULL is fine */

/*
 * Reads a file of ranges; docs/ranges.md describes it. Returns NULL on failure.
 * The caller closes them. They are immutable but for onnxq_ranges_merge().
 */
ONNXQ_API onnxq_ranges *onnxq_ranges_open(const char *path, onnxq_error *error);
ONNXQ_API void onnxq_ranges_close(onnxq_ranges *ranges); /* NULL is fine */

/*
 * Adds what other runs of the same model have seen; ONNXQ_ERROR_INPUT where it
 * was another model. After a failure `ranges` may have some of it and should be closed.
 */
ONNXQ_API onnxq_status onnxq_ranges_merge(onnxq_ranges *ranges, const onnxq_ranges *other,
                                          onnxq_error *error);

/* --- checkpoints ----------------------------------------------------------- */

typedef struct onnxq_checkpoint_info {
    size_t struct_size;
    const char *format;  /* "gptq", "gptq_v2" or "awq", */
    unsigned bits;       /* and the bits and rows of a group of the first module */
    uint64_t group_size; /* that share scales in each column */
    size_t n_modules;
} onnxq_checkpoint_info;

/*
 * Reads the headers of a checkpoint of PyTorch whose linear layers GPTQ or AWQ has quantized: a
 * file of safetensors, the index of several (model.safetensors.index.json), or the folder that
 * has one of them as `model`. What stands beside it in quantize_config.json, quant_config.json or
 * config.json has to agree. Numbers stay in the files until they are written. docs/importing.md
 * has the formats and where they are from. Returns NULL on failure. The caller closes it.
 */
ONNXQ_API onnxq_checkpoint *onnxq_checkpoint_open(const char *path, onnxq_error *error);
ONNXQ_API void onnxq_checkpoint_close(onnxq_checkpoint *checkpoint); /* NULL is fine */
ONNXQ_API const onnxq_checkpoint_info *
onnxq_checkpoint_get_info(const onnxq_checkpoint *checkpoint);

/* --- plan ---------------------------------------------------------------- */

typedef enum onnxq_action {
    ONNXQ_KEEP = 0,    /* stays as it is; `reason` says why */
    ONNXQ_DYNAMIC = 1, /* an operator that takes the integers; `form` names it */
    ONNXQ_FOLD = 2,    /* stored as int8, turned back into float by the graph itself */
    ONNXQ_DROP = 3,    /* leaves, as nothing uses it; only where something else is quantized */
    ONNXQ_REWRITE = 4  /* leaves: part of other numbers, for all its uses; `reason` says of which */
} onnxq_action;

/* One use of a weight: input number `input` of a node. */
typedef struct onnxq_use {
    const char *graph;   /* name of the (sub)graph that holds the node */
    const char *node;    /* name of the node, or of its first output where it has none */
    const char *op_type; /* "graph output" where the graph returns it, "unused" for no use at all */
    const char *domain;  /* "" is ai.onnx */
    size_t input;
    onnxq_action action;
    const char *form;   /* the operator that computes it, such as "MatMulInteger", or "" */
    const char *reason; /* why it was kept or not made dynamic, how inputs had it rounded, or "" */
} onnxq_use;

/* One constant of the model, each listed once, in file order. */
typedef struct onnxq_weight {
    size_t struct_size;
    const char *name;
    const char *dtype; /* "float32", "int64", ... */
    const int64_t *dims;
    size_t n_dims;
    uint64_t nelem;
    uint64_t nbytes;       /* in the input */
    uint64_t nbytes_after; /* all that replaces it, scales and zero points included */
    uint64_t n_scales;     /* 0 where it is kept */
    uint64_t
        n_input_scales;    /* that those are multiplied by, a scale for each input channel; or 0 */
    int channel_axis;      /* axis of the scales in `dims`, or -1 for one scale per tensor */
    unsigned bits;         /* of an integer: 8, 4 or 16, or 2 of a checkpoint; 0 where it is kept */
    uint64_t block_size;   /* elements along channel_axis that share a scale; 0: no blocks */
    onnxq_action action;   /* KEEP where no use of it is quantized, DROP where it has none */
    bool quantized_before; /* integers that an earlier quantization has made; they are kept */
    const onnxq_use *uses;
    size_t n_uses;
} onnxq_weight;

typedef struct onnxq_plan onnxq_plan;

typedef struct onnxq_summary {
    size_t struct_size;
    size_t n_weights, n_quantized;
    size_t n_quantized_before; /* by an earlier quantization; they are kept */
    uint64_t nbytes_quantized_before;
    /* Model and side files; after: under the name model.onnx, see onnxq_plan_get_output_size(). */
    uint64_t nbytes_before, nbytes_after;
    uint64_t weight_nbytes_before, weight_nbytes_after; /* constants only */
    uint64_t external_nbytes_after;                     /* side file, 0: none */
    size_t n_round_trips_removed; /* DequantizeLinear -> QuantizeLinear that changed nothing */
    size_t n_unused;              /* constants that nothing uses, which leave, */
    uint64_t nbytes_unused;       /* and their bytes */
    size_t n_undecided; /* of onnxq_plan_estimate(): their values say if they take 8 bits or 16 */
    size_t n_annotations_removed;      /* quantization_annotation of tensors that left */
    const char *const *inputs_removed; /* graph inputs that left: their weights are no defaults */
    size_t n_inputs_removed;           /* that callers may override any more */
    size_t n_imported_floats;          /* initializers with the numbers of options.weights_from */
} onnxq_summary;

/*
 * Decides for every weight and measures the ranges of those that will be
 * quantized (one read of the weights). The plan borrows the model and copies
 * what it needs of the options. Returns NULL on failure.
 * A model without anything to quantize gives a plan with n_quantized == 0 and
 * n_round_trips_removed == 0 in its summary.
 */
ONNXQ_API onnxq_plan *onnxq_plan_create(const onnxq_model *model, const onnxq_options *options,
                                        onnxq_error *error);

/*
 * The same plan without a look at the weights: in milliseconds, whatever they
 * weigh. It differs where values decide: a weight that holds NaN or infinity
 * is planned as if it did not, and with fold_bits 0 those of recurrent models
 * are folded with 8 bits (n_undecided counts them). Its sizes are those of the
 * real plan wherever values do not decide. It cannot be written:
 * onnxq_plan_write() fails with ONNXQ_ERROR_OPTION.
 */
ONNXQ_API onnxq_plan *onnxq_plan_estimate(const onnxq_model *model, const onnxq_options *options,
                                          onnxq_error *error);
ONNXQ_API void onnxq_plan_destroy(onnxq_plan *plan); /* NULL is fine */
ONNXQ_API size_t onnxq_plan_count(const onnxq_plan *plan);
ONNXQ_API const onnxq_weight *onnxq_plan_get(const onnxq_plan *plan,
                                             size_t index); /* index < count */
ONNXQ_API const onnxq_summary *onnxq_plan_get_summary(const onnxq_plan *plan);

/* What becomes of a module of options.weights_from. */
typedef struct onnxq_import {
    size_t struct_size;
    const char *module; /* such as "model.layers.0.self_attn.q_proj" */
    const char *weight; /* of the model, that it replaces or would have, or "" */
    const char *reason; /* why it is not taken, or "" */
    const char *format; /* "gptq", "gptq_v2", as its zero points are stored, or "awq" */
    unsigned bits;
    uint64_t rows, columns, group_size; /* rows are its inputs */
    bool is_reordered; /* groups are of rows that do not follow each other: inputs are gathered */
    /*
     * |W - W'| / |W|, of the float weight W and what the integers stand for, W'; less than 0 where
     * it is not known. AWQ also scales rows and columns, but never turns a sign.
     */
    double distance;
    bool is_suspect; /* another model: signs differ that have 40 % of all |W|, or more */
} onnxq_import;

/* The modules of the checkpoint in its order; none without one. */
ONNXQ_API size_t onnxq_plan_import_count(const onnxq_plan *plan);
ONNXQ_API const onnxq_import *onnxq_plan_get_import(const onnxq_plan *plan,
                                                    size_t index); /* index < count */

/*
 * What onnxq_plan_write() would write under that name: bytes of the model file
 * and of its side file (0: none). Fails where the output cannot be written in
 * the form that the options ask for.
 */
ONNXQ_API onnxq_status onnxq_plan_get_output_size(const onnxq_plan *plan, const char *path,
                                                  uint64_t *model_nbytes, uint64_t *external_nbytes,
                                                  onnxq_error *error);

/*
 * Carries the plan out. The output appears under its name only when it is
 * complete: a side file first, then the model by rename. path "-" writes
 * standard output. Returns ONNXQ_NOTHING_TO_DO where the plan quantizes
 * nothing, unless allow_noop was set.
 * The same model and options give the same bytes, with any number of threads.
 * One call at a time for one plan.
 */
ONNXQ_API onnxq_status onnxq_plan_write(const onnxq_plan *plan, const char *path,
                                        onnxq_error *error);

/* Open, plan and write in one call. */
ONNXQ_API onnxq_status onnxq_quantize_file(const char *input, const char *output,
                                           const onnxq_options *options, onnxq_error *error);

/* --- the way back to float ------------------------------------------------ */

typedef enum onnxq_float_type { ONNXQ_FLOAT32 = 0, ONNXQ_FLOAT16 = 1 } onnxq_float_type;

/* All pointers are borrowed for the duration of the call. */
typedef struct onnxq_dequantize_options {
    size_t struct_size; /* sizeof, set by onnxq_dequantize_options_init() */
    /*
     * How weights are stored that the model computes with as float32; FLOAT16
     * puts a Cast behind each, which engines fold. Weights whose users take
     * float16 or bfloat16 are stored as that.
     */
    onnxq_float_type float_type;
    bool freeze_inputs; /* take weights that are graph inputs with a default value, too */
    bool keep_ranges;   /* a Clip takes the place of each pair that may cut off values */
    /*
     * With FLOAT16: initializers of 1024 elements and more that are float32 already are stored
     * that way, too, where float16 has the range and the bits, and quantizing with 8 bits would
     * be harmless (no indices, thresholds or angles); their form is "float32".
     */
    bool narrow_floats;
    onnxq_output_options output;
} onnxq_dequantize_options;

ONNXQ_API void onnxq_dequantize_options_init(onnxq_dequantize_options *options);

/* One quantized node of the input, or one that makes a weight out of integers. */
typedef struct onnxq_dequantized {
    size_t struct_size;
    const char *graph; /* name of the (sub)graph that holds the node */
    const char *node;  /* name of the node, or of its first output where it has none */
    const char *op_type;
    const char *domain;  /* "" is ai.onnx */
    const char *form;    /* what has been undone, such as "MatMulNBits"; "": it stays */
    const char *reason;  /* why it stays, or "" */
    const char *weight;  /* name of its integers, or "" where it has none */
    const char *dtype;   /* that they become, or "" */
    const int64_t *dims; /* likewise */
    size_t n_dims;
    uint64_t nbytes;       /* integers, scales and zero points; of shared ones at the first use */
    uint64_t nbytes_after; /* what replaces them, likewise */
} onnxq_dequantized;

/* The nodes of one form together. */
typedef struct onnxq_dequantized_form {
    size_t struct_size;
    const char *form;
    size_t count;
    uint64_t nbytes, nbytes_after;
    bool is_folded; /* made of constants only: tools that compute those make it float again */
} onnxq_dequantized_form;

typedef struct onnxq_dequantize_summary {
    size_t struct_size;
    size_t n_dequantized, n_left; /* nodes */
    /* Model and side files; after: under the name model.onnx. */
    uint64_t nbytes_before, nbytes_after;
    uint64_t external_nbytes_after; /* side file, 0: none */
    size_t n_unused;                /* constants that nothing uses, which leave, */
    uint64_t nbytes_unused;         /* and their bytes */
    size_t n_annotations_removed;   /* as in onnxq_summary, and these */
    const char *const *inputs_removed;
    size_t n_inputs_removed;
    size_t n_ranges_removed; /* of QuantizeLinear: values beyond them are no longer cut off */
} onnxq_dequantize_summary;

typedef struct onnxq_dequantization onnxq_dequantization;

/*
 * Finds out what is quantized in a model and how it becomes float again; reads
 * scales where it has to compare them. Borrows the model. NULL on failure. A
 * model without anything that can be undone gives one with n_dequantized == 0.
 */
ONNXQ_API onnxq_dequantization *onnxq_dequantization_create(const onnxq_model *model,
                                                            const onnxq_dequantize_options *options,
                                                            onnxq_error *error);
ONNXQ_API void
onnxq_dequantization_destroy(onnxq_dequantization *dequantization); /* NULL is fine */

/* All quantized nodes in the order of the model, those that stay included. */
ONNXQ_API size_t onnxq_dequantization_count(const onnxq_dequantization *dequantization);
ONNXQ_API const onnxq_dequantized *
onnxq_dequantization_get(const onnxq_dequantization *dequantization, size_t index);
ONNXQ_API const onnxq_dequantize_summary *
onnxq_dequantization_get_summary(const onnxq_dequantization *dequantization);

/* As onnxq_plan_get_output_size() and onnxq_plan_write(). */
ONNXQ_API onnxq_status onnxq_dequantization_get_output_size(
    const onnxq_dequantization *dequantization, const char *path, uint64_t *model_nbytes,
    uint64_t *external_nbytes, onnxq_error *error);
ONNXQ_API onnxq_status onnxq_dequantization_write(const onnxq_dequantization *dequantization,
                                                  const char *path, onnxq_error *error);

/* The forms that occur. */
ONNXQ_API size_t onnxq_dequantization_form_count(const onnxq_dequantization *dequantization);
ONNXQ_API const onnxq_dequantized_form *
onnxq_dequantization_get_form(const onnxq_dequantization *dequantization, size_t index);

/* Open, find out and write in one call. */
ONNXQ_API onnxq_status onnxq_dequantize_file(const char *input, const char *output,
                                             const onnxq_dequantize_options *options,
                                             onnxq_error *error);

/* --- inspection ------------------------------------------------------------ */

typedef struct onnxq_opset {
    const char *domain; /* "" is ai.onnx */
    int64_t version;
} onnxq_opset;

typedef struct onnxq_metadata {
    const char *key, *value;
} onnxq_metadata;

typedef struct onnxq_dim {
    int64_t size;     /* -1: not fixed */
    const char *name; /* symbol of one that is not fixed, or "" */
} onnxq_dim;

/* An input or output of the model, as it is declared. */
typedef struct onnxq_parameter {
    const char *name;
    const char *type; /* such as "float32 [batch,3,224,224]" or "sequence of int64 []" */
    const char *kind; /* "tensor", "sparse tensor", "sequence", "map", "optional", "opaque" or "" */
    const char *dtype; /* of the elements of a tensor, sparse or not; else "" */
    bool has_rank;     /* of a tensor: its dims are declared */
    const onnxq_dim *dims;
    size_t n_dims;
    bool has_default; /* an input that callers may leave out: an initializer has its name */
} onnxq_parameter;

/* How often an operator occurs. */
typedef struct onnxq_operator_count {
    const char *domain; /* "" is ai.onnx */
    const char *op_type;
    size_t n_nodes;        /* in the graph and its subgraphs */
    size_t n_in_functions; /* in the bodies of local functions */
} onnxq_operator_count;

/* An operator that the model itself defines. */
typedef struct onnxq_function {
    const char *domain, *name;
    size_t n_nodes; /* of its body, subgraphs included */
} onnxq_function;

/* What no ONNX Runtime before a version runs, as far as onnxq knows: docs/engines.md. */
typedef struct onnxq_requirement {
    const char *ort;  /* the least version, such as "1.22" */
    const char *what; /* such as "MatMulNBits with 8 bits" or "opset 21" */
} onnxq_requirement;

/*
 * What a model says of itself. Its weights are what onnxq_plan_estimate()
 * lists, with what would become of them.
 */
typedef struct onnxq_inspection {
    size_t struct_size;
    const onnxq_model_info *info;
    int64_t model_version;
    const char *domain, *doc, *graph; /* of the model, its text, and the graph's name; never NULL */
    const onnxq_opset *opsets;
    size_t n_opsets;
    const onnxq_metadata *metadata;
    size_t n_metadata;
    const onnxq_parameter *inputs, *outputs; /* in the order of the model */
    size_t n_inputs, n_outputs;
    const onnxq_operator_count *operators; /* most frequent first */
    size_t n_operators;
    const onnxq_function *functions;
    size_t n_functions;
    size_t n_nodes_in_functions; /* which info.n_nodes is without */
    size_t n_subgraphs;          /* bodies of If, Loop and Scan */
    size_t n_external_files;
    const onnxq_requirement *requirements; /* latest version first; none: 1.16 will do, as far as
                                              the format and its operators tell */
    size_t n_requirements;
} onnxq_inspection;

/* Reads no weights; borrows the model. NULL on failure. */
ONNXQ_API onnxq_inspection *onnxq_inspection_create(const onnxq_model *model, onnxq_error *error);
ONNXQ_API void onnxq_inspection_destroy(onnxq_inspection *inspection); /* NULL is fine */

/* --- validation ------------------------------------------------------------ */

/* Something in a model that no engine should have to cope with. */
typedef struct onnxq_problem {
    const char *graph;   /* name of the (sub)graph or local function, or "" */
    const char *node;    /* name of the node, or of its first output; "": it is not a node's */
    const char *op_type; /* of the node, or "" */
    const char *value;   /* name of the value concerned, or "" */
    const char *message; /* what was found and what was expected */
} onnxq_problem;

#define ONNXQ_MAX_PROBLEMS 100

typedef struct onnxq_validation {
    size_t struct_size;
    const onnxq_problem *problems; /* the first ones, at most ONNXQ_MAX_PROBLEMS, in file order */
    size_t n_problems;
    size_t n_found;                /* with those that are not listed; 0: the model is valid */
    const onnxq_problem *warnings; /* what may be right, but that onnxq cannot tell: versions that
                                      are newer than what it knows */
    size_t n_warnings;
} onnxq_validation;

/*
 * Looks at the whole structure of a model: every value is made once, and before
 * it is used; operators are imported in a version that has them; types, shapes
 * and attributes of quantizing operators fit together as far as constants and
 * declared types tell. It infers no shapes and knows the schemas of those
 * operators only: docs/report.md has the list. Borrows the model. NULL on
 * failure; a problem that is found is none.
 */
ONNXQ_API onnxq_validation *onnxq_validation_create(const onnxq_model *model, onnxq_error *error);
ONNXQ_API void onnxq_validation_destroy(onnxq_validation *validation); /* NULL is fine */

/* --- report -------------------------------------------------------------- */

/* Summary table, a line per operator type, as `onnxq quantize` prints it. */
ONNXQ_API void onnxq_report_table(const onnxq_plan *plan, FILE *stream);
/* A line for every weight with what is done and why. */
ONNXQ_API void onnxq_report_weights(const onnxq_plan *plan, FILE *stream);
/*
 * The whole plan as one JSON object; docs/report.md describes it. `input` and
 * `output` are quoted as they are; either may be NULL. What was written to the
 * stream can be checked with ferror().
 */
ONNXQ_API void onnxq_report_json(const onnxq_plan *plan, const char *input, const char *output,
                                 FILE *stream);

/* The same for the way back: a line per form, a line per node, one JSON object. */
ONNXQ_API void onnxq_report_dequantization_table(const onnxq_dequantization *dequantization,
                                                 FILE *stream);
ONNXQ_API void onnxq_report_dequantization_nodes(const onnxq_dequantization *dequantization,
                                                 FILE *stream);
ONNXQ_API void onnxq_report_dequantization_json(const onnxq_dequantization *dequantization,
                                                const char *input, const char *output,
                                                FILE *stream);

/* How much of an inspection is shown, and how. */
typedef struct onnxq_inspection_style {
    unsigned detail; /* 0: the ten largest weights, small ones summed up, long texts cut; 1: fifty;
                        2: all */
    bool unicode;    /* bars of block elements in UTF-8; else of '#' */
} onnxq_inspection_style;

/*
 * The sections of `onnxq inspect` for people, and one JSON object with all of
 * it. The plan (an estimate is enough) has the weights, the dequantization what
 * is quantized already; what is NULL is left out, and in JSON null. The
 * validation, which only JSON has, may be NULL as well.
 */
ONNXQ_API void onnxq_report_inspection(const onnxq_inspection *inspection, const onnxq_plan *plan,
                                       const onnxq_dequantization *dequantization,
                                       const onnxq_inspection_style *style, FILE *stream);
ONNXQ_API void onnxq_report_inspection_json(const onnxq_inspection *inspection,
                                            const onnxq_plan *plan,
                                            const onnxq_dequantization *dequantization,
                                            const onnxq_validation *validation, const char *input,
                                            FILE *stream);

/* "valid", or how many problems there are and a line for each that is listed. */
ONNXQ_API void onnxq_report_validation(const onnxq_validation *validation, FILE *stream);

#ifdef __cplusplus
}
#endif
#endif /* ONNXQ_ONNXQ_H */
