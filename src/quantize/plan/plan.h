/*
 * What is decided before anything is written: every constant of the model, its
 * uses, and how each weight that is quantized will be stored.
 */
#ifndef OQ_QUANTIZE_PLAN_PLAN_H
#define OQ_QUANTIZE_PLAN_PLAN_H

#include "base/answer.h"
#include "base/strmap.h"
#include "edit/draft.h"
#include "kernels/kernels.h"
#include "model/model.h"
#include "model/source.h"
#include "quantize/expand/expand.h"
#include "quantize/numbers/blocks.h"
#include "quantize/numbers/layout.h"
#include "quantize/numbers/pairs.h"
#include "quantize/numbers/rounded.h"

struct oq_activations;
struct oq_rule;
struct oq_rewrite;

/* The ordinary numbers of a channel: how many, and their octaves above OQ_ORDINARY_MIN together. */
struct oq_level {
    uint64_t count, octaves;
};

/* The ranges of a weight for one way to share scales, then its scales. */
struct oq_ranges {
    struct oq_constant *constant;
    const struct oq_source *source; /* of the constant */
    int axis;                       /* of the channels, -1: one scale per tensor */
    size_t batch_axes;
    struct oq_layout layout;
    uint64_t n_scales;
    int32_t *lo, *hi;             /* keys, [n_scales] */
    struct oq_level *levels;      /* [n_scales]: of the numbers times 2^lift */
    int lift;                     /* 0: they are ordinary as they are */
    struct oq_blocks *blocks;     /* NULL: the scales are not those of blocks */
    struct oq_blocks_found found; /* of blocks, instead of all other numbers */
    bool is_4_bits;               /* integers that lie two in a byte */
    bool symmetric;               /* around 0, which is in the middle */
    onnxq_reduce_range reduce;
    struct oq_pairs pairs;      /* for PAIRS, */
    int32_t *pair_lo, *pair_hi; /* and keys of half the sums of neighbours, [n_scales] */
    bool is_measured, are_pairs_measured;
    float *scale;           /* [n_scales] */
    bool has_unscaled;      /* channels, not of zeros, that are too small for a scale */
    bool has_steps;         /* the scales are those of the model's own integers */
    struct oq_ranges *next; /* of the same constant */
};

/*
 * What integers that are only folded have besides, as it costs nothing at run time. The weight is
 * seen as [rows, kernels, kernel]; one of the first two axes is that of the channels, the other
 * that of the inputs.
 */
struct oq_refinement {
    uint64_t rows, kernels, kernel;
    int axis;           /* of the channels: 0 or 1, */
    bool is_grouped;    /* or both: each kernel has a scale */
    bool keeps_sums;    /* of kernels, */
    bool keeps_row;     /* and of all kernels of a row */
    bool is_unwanted;   /* uses of the weight see it in different ways */
    float *input_scale; /* [inputs] by which scales are multiplied; NULL: 1 */
};

/*
 * What a normalization gives is divided by a factor for each channel in front of a product, and the
 * rows of its weight are multiplied by it; see smooth.c.
 */
struct oq_norm {
    const struct oq_constant *gamma, *beta;                /* beta: or NULL */
    size_t gamma_node, gamma_input, beta_node, beta_input; /* that take them */
    bool has_one_reader; /* so that gamma and beta may take the factors, too */
    const char *output;  /* what its result is called then, set by the rewrite */
};

/* What was chosen for the activation of a product, one for all that want the same: see
 * onnxq_choice.
 */
struct oq_channel_choice {
    const float *divisors; /* [n] */
    size_t n;
    const uint32_t *columns; /* [n_columns] */
    size_t n_columns;
    struct oq_channel_choice *next;
};

struct oq_smoothing {
    const struct oq_constant *weight;
    const struct oq_channel_choice *channels; /* that were chosen; NULL: by what follows */
    const float *rows;                        /* [channels->n_columns, N] of the weight, or NULL */
    const struct oq_constant *first, *bias;   /* of a product in between, or NULL */
    const struct oq_constant *gamma, *beta;   /* of the normalization, */
    float *gamma_values, *beta_values;        /* and their numbers, [n]; of an estimate 0 */
    float *factor;                            /* [n]; 0 where the channel is none of the integers */
    size_t n;
    double gain; /* what is left of the squares of errors, as expected */
    struct oq_smoothing *next;
};

/* A weight as integers of 8 bits or 4, or of 16 where it is only folded. */
struct oq_quantized {
    struct oq_ranges *ranges;
    struct oq_blocks *blocks;                /* NULL: the scales are those of the ranges */
    const struct oq_rounded_weight *rounded; /* its integers, where they were chosen beforehand */
    size_t n_dims;   /* that are stored: the model's without some of 1 at the end */
    bool is_wide;    /* int16 */
    bool transposed; /* [N, K] in the model, [K, N] in the output */
    bool is_unsigned;
    float qmin, qmax;
    const float *scale;                   /* [n_scales] */
    float *zero_point;                    /* [n_scales] */
    struct oq_refinement *refinement;     /* or NULL */
    const char *name;                     /* of the new initializer, set by the rewrite */
    const char *zero_point_name;          /* likewise */
    size_t n_products;                    /* sites that an integer operator computes with it */
    const struct oq_smoothing *smoothing; /* of what it is multiplied with, or NULL; */
    size_t n_smoothed;                    /* so many of the products have it */
    uint64_t beside_nbytes;               /* what all sites together have beside the integers */
    double claim;              /* on each tensor that it needs, for each byte; see balance.c */
    const char *refusal;       /* why it is not worth its place, or NULL; see balance.c */
    struct oq_quantized *next; /* of the same constant */
};

struct oq_site {
    const struct oq_constant *constant;
    const struct oq_graph
        *graph; /* that holds the node; NULL: not in a graph that is looked into */
    const Oq__Pb__NodeProto *node; /* NULL: no node uses it here */
    size_t node_index, input;
    const char *op_type, *domain; /* of the file's node; or what uses it instead of one, and "" */
    const struct oq_node_origin
        *origin;                  /* what its node stands for, or the call that it is in, or NULL */
    const struct oq_rule *rule;   /* NULL: none for this operator, or not this input */
    const onnxq_options *options; /* that hold for it: the plan's, or as options.choices has it */
    const struct oq_channel_choice *channels; /* chosen for its activation, or NULL */
    bool is_chosen_float;
    const struct oq_import *import; /* that the weight is taken from, or NULL, */
    const char *import_refusal;     /* and why from none, where there is a checkpoint */
    const char *structure;  /* "", or what structured.c has found; NULL: it has not looked; */
    bool is_beyond_16_bits; /* and that such are not enough */
    onnxq_action action;
    const char *form;
    const char *reason;
    const char *screened;           /* why it is kept, whatever is decided of others, or NULL */
    const char *needs_floats;       /* why its node computes with floats, likewise */
    struct oq_quantized *quantized; /* how the weight is stored, where it is not kept */
    const struct oq_site *through;  /* a chain of operators leads to this site, which takes over */
    const char *refusal; /* why integers for it would not make the file smaller, or NULL */
    /* what the rule chose */
    int axis;
    size_t batch_axes;
    size_t n_dims; /* to store for integer operators, see oq_quantized */
    bool transposed, is_unsigned, symmetric;
    bool is_rewritten;             /* kept, but not as it was: `reason` says what becomes of it */
    bool is_multiplied;            /* with qdq: folded all the same, not behind DequantizeLinear */
    float factor;                  /* that its scales are multiplied by; 0: none, or 0 */
    uint64_t beside_nbytes;        /* that the rule writes beside integers, scales, zero points */
    bool is_beside_optional;       /* the rule does without these where they are 0 */
    struct oq_norm *norm;          /* that takes the factors of smoothing; NULL: a Mul does */
    struct oq_block_choice blocks; /* form OQ_BLOCKS_NONE: a scale for each channel */
    /* Writes the nodes that replace the site's node; only for ONNXQ_DYNAMIC. */
    bool (*emit)(struct oq_rewrite *rewrite, const struct oq_site *site);
};

static inline uint64_t oq_refinement_n_inputs(const struct oq_refinement *refinement)
{
    return refinement->axis == 0 ? refinement->kernels : refinement->rows;
}

/* The scale of a kernel: the float that the graph itself multiplies integers by. */
static inline float oq_refined_scale(const struct oq_quantized *quantized, uint64_t row,
                                     uint64_t kernel)
{
    const struct oq_refinement *refinement = quantized->refinement;
    if (refinement->is_grouped)
        return quantized->scale[row * refinement->kernels + kernel];
    float scale = quantized->scale[refinement->axis == 0 ? row : kernel];
    if (refinement->input_scale != NULL)
        scale *= refinement->input_scale[refinement->axis == 0 ? kernel : row];
    return scale;
}

/* How much of what rows or columns have beside what is common to them is lost, as a part of all. */
struct oq_hidden {
    bool is_measured;
    double lost_in_4_bits, lost_in_8_bits, lost_in_16_bits;
    double offset;       /* that have more in common than they differ by */
    double lost_by_size; /* in 16 bits, of what counts by its own size: see fate.h, small results */
};

/* What is known of a weight, at the latest once it is measured; the later the stricter. */
enum oq_need {
    OQ_NEEDS_NOTHING,
    OQ_NEEDS_FOLDING, /* no integer operator takes it */
    OQ_NEEDS_16_BITS, /* folded */
    OQ_NEEDS_FLOAT
};

/* Why a node computes with floats, or NULL, and what is enough for its weight then. */
enum oq_enough { OQ_ANY_BITS, OQ_16_BITS, OQ_FLOAT };
struct oq_objection {
    const char *reason;
    enum oq_enough enough;
};

/*
 * Inputs of a product that are inputs of the model: intervals, which may overlap. `is_all`: nothing
 * but constants is beside them.
 */
#define OQ_MAX_FED 32
struct oq_fed {
    struct oq_fed_rows {
        uint64_t first, end;
    } rows[OQ_MAX_FED];
    size_t n;
    bool is_all;
};

/* What fed.c found last, and for which values. */
struct oq_fed_before {
    const struct oq_value *value; /* NULL: nothing yet */
    unsigned axis;
    uint64_t n_inputs; /* 0: only whether it is all of them */
    struct oq_fed fed;
};

/* What features.c has seen of a weight, which holds for all sites that look at it like this one. */
struct oq_seen_weight {
    const struct oq_site *site; /* NULL: it has not looked */
    struct oq_objection inputs;
    const double *norms; /* of its outputs, or NULL */
};

/*
 * A constant value: a tensor of the model, or what a chain of operators makes
 * of tensors (a derived one).
 */
struct oq_constant {
    const struct oq_tensor *tensor; /* NULL: derived */
    struct oq_source source;
    const char *name;
    const struct oq_value *value;   /* NULL: in an attribute, or in a local function */
    const struct oq_graph *graph;   /* where what replaces it goes; NULL where value is */
    const struct oq_stored *floats; /* of the checkpoint, which it has for its own; or NULL */
    struct oq_constant *twin;       /* a derived one with the same source, which stands for both */
    struct oq_constant *equal;      /* a tensor with the same bytes, which stands for both */
    struct oq_constant *derived, *next_derived; /* those that start with this tensor */
    struct oq_site *sites;
    size_t n_sites;
    struct oq_seen_weight seen[6];  /* by how sites look at it, see features.c */
    struct oq_ranges *ranges;       /* list */
    struct oq_ranges *idle_ranges;  /* list: an earlier round wanted them */
    struct oq_quantized *quantized; /* list */
    struct oq_quantized *fold;      /* what the folded uses share, or NULL */
    uint64_t nbytes_after;          /* of what replaces it */
    bool is_folded;                 /* it, or what its integers stand for */
    bool is_static;                 /* computed with integers of known ranges: DequantizeLinear */
    bool is_smoothed;               /* the factors of its source are those of smoothing */
    bool is_multiplied;             /* with qdq: some use of it takes no DequantizeLinear */
    bool is_ambiguous;              /* its name is another value in a body, or around one */
    bool is_named;                  /* from outside the graph, see oq_value */
    bool is_recurrent;              /* what is made with it comes back as input */
    bool is_element;                /* each number matters by itself, and 8 bits will not do */
    struct oq_hidden spread;        /* where what its elements have in common is taken off */
    enum oq_need need;              /* what its uses or its numbers ask for, */
    const char *need_reason;        /* and why */
};

/* What is known of a node. */
struct oq_node_sites {
    struct oq_site **of_input;  /* [n_input]: NULL where that is no constant */
    enum oq_answer makes_scale; /* its output is a scale of integers; see existing.c */
};

/* A QuantizeLinear that gives the integers of the DequantizeLinear before it. */
struct oq_round_trip {
    const struct oq_graph *graph;
    size_t dequantize, quantize; /* nodes */
};

/* A QuantizeLinear of a constant, and what it gives. */
struct oq_constant_quantizer {
    const struct oq_graph *graph;
    size_t node;
    struct oq_quantized *quantized;
};

struct onnxq_plan {
    struct oq_arena arena;
    struct oq_read_room *room; /* see oq_plan_read_room() */
    struct oq_arena sources;   /* of derived constants */
    struct oq_arena computed;  /* numbers of the weights that the model computes */
    struct oq_arena round;     /* what one round of decisions takes: the next one starts it anew */
    const onnxq_model *model;  /* as it is looked at, which may be the last of `expanded` */
    onnxq_model *expanded[OQ_MAX_EXPANSIONS];
    size_t n_expanded;
    struct oq_expand_options expand_options;
    onnxq_options options;        /* without its pointers */
    int target;                   /* N of options.target_ort, 1.N, or 0 */
    struct oq_rounding *rounding; /* integers that were chosen beforehand, or NULL; its own */
    bool is_estimate;             /* made without a look at the weights */
    bool freeze_inputs;           /* initializers leave the graph's inputs */
    struct oq_strmap functions;   /* local ones, by oq_function_key() without an overload */

    struct oq_constant *constants; /* [model->n_tensors] by ordinal, then derived ones */
    size_t n_constants;
    struct oq_node_sites **nodes;     /* [graphs][nodes] */
    struct oq_constant **derived;     /* [values of the model]: what a value is, where it is one */
    struct oq_fates *fates;           /* of values, see fate.h */
    struct oq_fed_before *fed_before; /* see fed.c */
    const struct oq_site ***products; /* [graphs][nodes]: what replaces that node, or NULL */
    onnxq_weight *weights;            /* [n_weights]: the same for the caller */
    size_t n_weights;
    struct oq_channel_choice *channels; /* list */
    struct oq_smoothing *smoothings;    /* list */
    struct oq_activations *activations; /* NULL: the method leaves them float; see activations/ */
    struct oq_round_trip *round_trips;  /* [n_round_trips]: these leave */
    size_t n_round_trips, round_trips_capacity;
    struct oq_constant_quantizer *quantizers; /* [n_quantizers]: their integers are stored */
    size_t n_quantizers, quantizers_capacity;
    const onnxq_checkpoint *checkpoint; /* options.weights_from, or NULL */
    onnxq_import *imports;              /* [n_imports]: what becomes of its modules */
    size_t n_imports;
    onnxq_summary summary;

    struct oq_draft draft; /* the output; without a structure where nothing is quantized */
};

/* To read weights with, one piece after the other. What is not read with takes no memory. */
struct oq_read_room {
    unsigned char scratch[OQ_READ_SCRATCH_NBYTES];
    float x[OQ_READ_MAX_NELEM];
};

/* One for all steps that make a plan; NULL: memory is out, which its arena remembers. */
struct oq_read_room *oq_plan_read_room(onnxq_plan *plan);

/* The constant behind a name in graph, derived ones included, or NULL. */
struct oq_constant *oq_plan_constant(const onnxq_plan *plan, const struct oq_graph *graph,
                                     const char *name);

/*
 * The axes that a node names, as attribute or, from opset 13 or 18 on, as input 1; none: n is 0.
 * False: unknown.
 */
bool oq_plan_read_axes(const onnxq_plan *plan, const struct oq_graph *graph,
                       const Oq__Pb__NodeProto *node, int64_t axes[OQ_READ_MAX_INTEGERS],
                       size_t *n);

/*
 * A derived constant goes by the name of the tensor that it starts with, a computed one by that of
 * the largest that it is computed of: users know that one.
 */
const char *oq_constant_label(const onnxq_plan *plan, const struct oq_constant *constant);

/* True where callers or training may give the graph another value instead, or a name has two. */
bool oq_plan_is_overridable(const onnxq_plan *plan, const struct oq_constant *constant);

/* The site that is input number `input` of that node, or NULL; and of the same node as `site`. */
struct oq_site *oq_plan_site(const onnxq_plan *plan, const struct oq_graph *graph, size_t node,
                             size_t input);
struct oq_site *oq_plan_sibling(const onnxq_plan *plan, const struct oq_site *site, size_t input);

/* quantize_graph.c: the draft of the output. */
bool oq_plan_rewrite(onnxq_plan *plan, onnxq_error *error);

#endif
