/*
 * Finding what is quantized: the nodes that a form recognizes, what has to be
 * known of each to write the float nodes, and the tools with which forms look
 * at the model.
 */
#ifndef OQ_DEQUANTIZE_UNDO_H
#define OQ_DEQUANTIZE_UNDO_H

#include "base/answer.h"
#include "dequantize/weight.h"
#include "edit/edit.h"
#include "model/source.h"

struct oq_form;

/* A constant, as it is stored. */
struct oq_constant_value {
    const struct oq_tensor *tensor;
    const int64_t *dims;
    size_t n_dims;
    bool transposed;   /* a matrix; the value is the transpose of what is stored */
    int32_t data_type; /* behind a Cast the value's, not that of what is stored */
    const struct oq_value *value;
};

/* A node in its graph. */
struct oq_place {
    const struct oq_graph *graph;
    size_t index;
    const Oq__Pb__NodeProto *node; /* NULL: none */
};

/* What a form has found: a node, and maybe those before it, that become float. */
struct oq_match {
    const struct oq_form *form;
    struct oq_place place;   /* the node that is replaced; others go when nobody needs them */
    struct oq_place subject; /* the one that users know: it is named in reports */
    struct oq_weight *weights[2];
    size_t n_weights;
    const char *activation;          /* what is multiplied or passed on, or indices */
    const char *factor;              /* another activation that it is multiplied by, or NULL */
    const char *bias;                /* or "" */
    int64_t axis;                    /* of Gather */
    bool turn;                       /* a Transpose comes between weight and node */
    const Oq__Pb__NodeProto *turned; /* a Transpose that the activation goes through, or NULL */
    bool is_left;                    /* the weight is the left factor */
    bool passes;                     /* the activation itself takes the place of the output */
    bool cuts;                       /* what lay beyond a range passes from now on */
    bool clips;                      /* within these bounds: */
    float lo, hi;
    float ratio; /* that the activation is multiplied by, or 0 */
    int32_t value_type;
};

/* What is known of a tensor: nodes may share it, and ask. */
struct oq_known_tensor {
    struct oq_weight *weights, *last_weight; /* those of these integers, in order */
    enum oq_answer is_uniform, is_zero;      /* all numbers are the same, or 0 */
    bool is_counted;                         /* its bytes are in an entry */
};

struct onnxq_dequantization {
    struct oq_arena arena;
    const onnxq_model *model;
    onnxq_dequantize_options options;
    bool freeze_inputs;
    onnxq_error *error; /* of the call at hand */
    bool failed;
    void *scratch; /* OQ_RECIPE_SCRATCH_NBYTES */

    struct oq_match ***matches;      /* [graphs][nodes], at their place; NULL: none */
    const char ***reasons;           /* [graphs][nodes], at their subject: why it stays, or NULL */
    struct oq_known_tensor *tensors; /* [tensors] */
    enum oq_answer *cast_by_all;     /* [values]: see folded.c */
    size_t n_matches;
    bool **claimed;            /* [graphs][nodes]: part of what another node is the end of */
    struct oq_strmap *aliases; /* [graphs]: value -> name that takes its place */

    struct oq_narrowed *narrowed; /* weights that are float already */
    size_t n_narrowed, narrowed_capacity;

    onnxq_dequantized *entries;
    size_t n_entries, entries_capacity;
    onnxq_dequantized_form *forms;
    size_t n_forms;
    onnxq_dequantize_summary summary;

    struct oq_draft draft;
};

enum oq_outcome {
    OQ_NO_MATCH,
    OQ_MATCH,
    OQ_LEFT, /* recognized, but it has to stay; the reason was recorded */
};

/* The form whose nodes are constants throughout. */
#define OQ_FOLDED "folded"

struct oq_form {
    const char *name;
    enum oq_operator_id op; /* of the node that is asked about */
    enum oq_outcome (*match)(onnxq_dequantization *undo, struct oq_match *match);
    bool (*emit)(onnxq_dequantization *undo, struct oq_edit *edit, const struct oq_match *match);
};

/* The forms that a node may have, in order; ends with NULL. */
extern const struct oq_form *const oq_forms[];

/* Why a node of that operator stays where no form has said it; NULL: it is not quantized. */
const char *oq_quantized_reason(const Oq__Pb__NodeProto *node);

/* --- looking at the model --- */

/* The node that makes a value; .node is NULL where it is an input or a constant. */
struct oq_place oq_producer(const struct oq_graph *graph, const char *name);

/* The same where it is of that operator of ai.onnx, else .node is NULL. */
struct oq_place oq_producer_of(const struct oq_graph *graph, const char *name, const char *op_type);

/* The same for input number `input` of a node; that of none has none. */
struct oq_place oq_producer_behind(const struct oq_place *place, size_t input, const char *op_type);

/* The only use of a value, by a node of the same graph; .node is NULL where it is none. */
struct oq_place oq_only_user(const struct oq_graph *graph, const char *name);

/* True where both names are one value. */
bool oq_is_same_value(const struct oq_graph *graph, const char *name,
                      const struct oq_graph *other_graph, const char *other_name);

/* All of one tensor, maybe reshaped; false where it is no such constant, and after failures. */
bool oq_undo_constant(onnxq_dequantization *undo, const struct oq_graph *graph, const char *name,
                      struct oq_constant_value *constant);

/* Input 2 of MatMulNBits and the like: floats, by which the weight is multiplied. NULL, or why not.
 */
const char *oq_undo_float_scale(onnxq_dequantization *undo, const struct oq_match *match,
                                struct oq_weight *weight, struct oq_constant_value *constant);

/* A constant of one number: an integer where its type is asked for, else a float. */
bool oq_undo_number(onnxq_dequantization *undo, const struct oq_graph *graph, const char *name,
                    float *value, struct oq_integer_type *type);

/*
 * The activation that was quantized to these three when the model ran, or NULL;
 * seen from `graph`.
 */
const char *oq_undo_activation(onnxq_dequantization *undo, const struct oq_graph *graph,
                               const char *quantized, const char *scale, const char *zero_point);

/* The node is part of the match at hand and is not replaced by itself. */
void oq_undo_claim(onnxq_dequantization *undo, const struct oq_place *place);

/* Records why a node stays. */
enum oq_outcome oq_leave(onnxq_dequantization *undo, const struct oq_match *match,
                         const char *reason);

/* --- weights; each returns NULL or the reason why not --- */

/* A new weight of the integers that `name` stands for. */
const char *oq_undo_weight(onnxq_dequantization *undo, const struct oq_graph *graph,
                           const char *name, struct oq_weight **weight,
                           struct oq_constant_value *integers);

/* How numbers belong to a weight. */
struct oq_spread {
    enum oq_spread_kind {
        OQ_SPREAD_BROADCAST, /* as numpy does */
        OQ_SPREAD_COLUMNS,   /* the same; the factor of a product: nothing may differ along K */
        OQ_SPREAD_AXIS,      /* a number, or a vector along an axis */
        OQ_SPREAD_BLOCKS     /* one for each `block` along an axis */
    } kind;
    size_t axis;
    uint64_t block;
};

/* Scales (floats of that type), and zero points (integers; "" is 0). */
const char *oq_undo_scale(onnxq_dequantization *undo, const struct oq_graph *graph,
                          struct oq_weight *weight, const struct oq_constant_value *integers,
                          const char *name, struct oq_spread spread, int32_t *data_type);
/* Floats of that type with which the scales are multiplied first. */
const char *oq_undo_factor(onnxq_dequantization *undo, const struct oq_graph *graph,
                           struct oq_weight *weight, const struct oq_constant_value *integers,
                           const char *name, int32_t data_type);
const char *oq_undo_zero_point(onnxq_dequantization *undo, const struct oq_graph *graph,
                               struct oq_weight *weight, const struct oq_constant_value *integers,
                               const char *name, struct oq_spread spread);

/*
 * Completes the weight as result of shape dims in value_type, and adds it to the
 * match; one that exists already takes its place.
 */
const char *oq_undo_add_weight(onnxq_dequantization *undo, struct oq_match *match,
                               struct oq_weight *weight, const int64_t *dims, size_t n_dims,
                               int32_t value_type);

/* Scales of float32 for the columns of a matrix, and zero points likewise. */
const char *oq_undo_columns(onnxq_dequantization *undo, const struct oq_graph *graph,
                            struct oq_weight *weight, const struct oq_constant_value *integers,
                            const char *scale, const char *zero_point);

/* Input `name` of a product as a weight of two or more dimensions with scales for its columns. */
const char *oq_undo_matrix(onnxq_dequantization *undo, struct oq_match *match,
                           const struct oq_graph *graph, const char *name, const char *scale,
                           const char *zero_point);

/* --- writing --- */

/* output = activation . weight [+ bias]; with a second weight, rows of that for activation */
bool oq_undo_emit_product(onnxq_dequantization *undo, struct oq_edit *edit,
                          const struct oq_match *match);

/* The name of a weight, transposed where the match says so. */
const char *oq_undo_weight_name(struct oq_edit *edit, const struct oq_match *match, size_t number);

/* Users of the replaced node's output take `name` instead. */
bool oq_undo_alias(onnxq_dequantization *undo, struct oq_edit *edit, const struct oq_match *match,
                   const char *name);

/* --- the steps --- */

/* match.c: fills matches, weights and reasons. */
bool oq_undo_match(onnxq_dequantization *undo);

/* narrow.c: weights that are float already, where they are to be narrower; and what is written. */
bool oq_undo_find_floats(onnxq_dequantization *undo);
bool oq_undo_narrow_floats(onnxq_dequantization *undo, struct oq_edit *edit);

/* entries.c: one more in the list for the caller. */
bool oq_undo_add_entry(onnxq_dequantization *undo, const onnxq_dequantized *entry);

/* dequantize_graph.c: makes the draft. */
bool oq_undo_rewrite(onnxq_dequantization *undo);

/* entries.c: what has become of every quantized node. `edit` NULL: all stay. */
bool oq_undo_describe(onnxq_dequantization *undo, const struct oq_edit *edit);

#endif
