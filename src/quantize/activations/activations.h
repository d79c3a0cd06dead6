/*
 * Which values of a model engines keep in 8 bits from one operator to the next
 * (ONNXQ_METHOD_STATIC), with which scales and zero points, and how that is
 * written: QuantizeLinear and DequantizeLinear around operators, which engines
 * make integer operators of.
 *
 * Values are those of the main graph. Bodies of If, Loop and Scan stay float.
 */
#ifndef OQ_QUANTIZE_ACTIVATIONS_ACTIVATIONS_H
#define OQ_QUANTIZE_ACTIVATIONS_ACTIVATIONS_H

#include "quantize/plan/plan.h"
#include "quantize/write/rewrite.h"

/* What an operator does with integers, where an engine computes with them. */
enum oq_carry {
    OQ_CARRY_NONE,    /* takes none */
    OQ_CARRY_PRODUCT, /* multiplies them with those of a constant weight */
    OQ_CARRY_MAP,     /* other integers, with a scale of their own */
    OQ_CARRY_JOIN,    /* of many inputs, each with a scale of its own */
    OQ_CARRY_PASS,    /* the same integers, at other places or fewer of them */
    OQ_CARRY_SCALE,   /* leaves: the same integers with another scale */
    OQ_CARRY_HARD,    /* written in parts: Add, Clip and a scale, and Mul of a hard swish */
    OQ_CARRY_CLAMP,   /* nothing, where what is cut off is outside the range of integers */
    OQ_CARRY_FOLDED   /* leaves: the weight before it is multiplied by it */
};

/* A hard sigmoid that the model writes in parts: gates.c. */
struct oq_gate {
    size_t sum, clip, product, last; /* nodes; product: OQ_NO_NODE where it is no hard swish */
    const struct oq_value *x;
    float alpha, beta; /* of HardSigmoid */
};

/* A node of the main graph. */
struct oq_carrier {
    enum oq_carry carry;
    bool is_integer;                       /* decided: computed with integers */
    const char *reason;                    /* why it is not, or "" */
    const struct oq_value *input, *output; /* output: behind what is folded into it */
    /* of a product */
    const char *refusal; /* why it is never computed with integers, or NULL */
    size_t n_channels;
    int channel_axis;     /* of the weight */
    const float *factors; /* that are folded into it */
    float *bias;          /* [n_channels], likewise */
    bool has_bias, has_folded;
    bool gives_floats; /* of a kernel of one point: nothing takes its result as integers */
    float low, high;   /* of a clamp */
    float factor;      /* of a scale: above 0; of the slope of a hard sigmoid */
    float shift; /* that x gets before it is cut off: clip(x + shift, 0, 1 / factor) * factor */
    const struct oq_gate *gate; /* that it is a part of */
};

/* A value of the main graph. */
struct oq_carried {
    bool has_range;
    float low, high;
    const char *refusal;            /* why it has none */
    const struct oq_value *like;    /* the value whose scale and zero point it has; NULL: its own */
    const struct oq_carrier *maker; /* the node that makes it of integers, or NULL */
    bool is_carried;                /* as integers, between such nodes */
    float scale;
    int zero_point;
    const char *scale_name, *zero_point_name, *float_name, *integers; /* set by the rewrite */
};

/* The integers that values become. */
struct oq_integer_form {
    int32_t data_type;
    size_t width; /* in bytes */
    int low, high;
    bool is_symmetric; /* the zero point is 0 */
};

struct oq_activations {
    struct oq_integer_form form;
    struct oq_carrier *carriers; /* [nodes of the main graph] */
    struct oq_carried *values;   /* [values of the model] */
    size_t n_nodes;
    int64_t opset; /* of the output */
};

/* Reads ranges, and folds what follows a product into it. Sets plan->activations. */
bool oq_activations_find(onnxq_plan *plan, onnxq_error *error);

/* Once in each round of decisions: which nodes compute with integers. */
void oq_activations_decide(onnxq_plan *plan);

/* True where it decides on that site, and has: the weights of such a node, and its constants. */
bool oq_activations_decide_site(onnxq_plan *plan, struct oq_site *site);

/* Why a product's weight is not taken as integers, where nothing else was said of its site. */
void oq_activations_explain(const onnxq_plan *plan, struct oq_site *site);

/* The same where all that is not taken stays as it is. */
const char *oq_activations_refusal(const onnxq_plan *plan, const struct oq_site *site);

/* After the last round: scales and zero points of values, and room for biases. */
void oq_activations_scale(onnxq_plan *plan);

/* correct.c, once integers are known: biases take back what rounding weights adds on average. */
bool oq_activations_correct(const onnxq_plan *plan, onnxq_error *error);

/* True where node number `index` of the main graph is not what it was; written, then. */
bool oq_activations_change(const onnxq_plan *plan, size_t index);
bool oq_activations_write(struct oq_rewrite *rewrite, size_t index);

/* True where all that read a weight take its integers themselves: nobody needs it as floats. */
bool oq_activations_take_integers(const onnxq_plan *plan, const struct oq_constant *constant);

/* Weights that are neither quantized nor what they were. */
bool oq_activations_write_floats(struct oq_rewrite *rewrite);

/* --- between the files of this room --- */

/* carriers.c: what the operator of a node does; NONE where its attributes or inputs forbid it. */
bool oq_carrier_init(onnxq_plan *plan, size_t index, struct oq_carrier *carrier,
                     onnxq_error *error);

/* The value that a name means, if it is one of the main graph; its record; NULL for no value. */
const struct oq_value *oq_main_value(const onnxq_plan *plan, const char *name);
struct oq_carried *oq_carried_of(const onnxq_plan *plan, const struct oq_value *value);

/* The record that has scale and zero point of a value. */
struct oq_carried *oq_carried_root(const onnxq_plan *plan, const struct oq_value *value);

/* A product's site of its weight, or NULL. */
struct oq_site *oq_product_site(const onnxq_plan *plan, size_t index);

/*
 * constants.c: the elements of a small constant of float32, in the arena; *values is NULL where
 * the name is none. False on failure.
 */
#define OQ_SMALL_CONSTANT_NELEM ((uint64_t)64 << 10)
const struct oq_constant *oq_find_small_constant(const onnxq_plan *plan, const char *name);
bool oq_small_constant(onnxq_plan *plan, const char *name, const float **values,
                       const struct oq_source **source, onnxq_error *error);

/* carry.c: the inputs of a node that are computed with: those of Add, or the first one. */
size_t oq_count_operands(const Oq__Pb__NodeProto *node);

/* worth.c: takes the convolutions back that are faster in floats; true where there are some. */
bool oq_activations_weigh(onnxq_plan *plan);

/* Whether a convolution can be the product of matrices that gives floats from integers. */
bool oq_can_give_floats(const onnxq_plan *plan, size_t index);

/* products.c: weight and bias of a product; what makes it impossible in `refusal`. */
bool oq_product_init(onnxq_plan *plan, size_t index, onnxq_error *error);

/* value_scales.c: of what a hard sigmoid has cut off, before it is multiplied by its slope. */
float oq_hard_scale(const onnxq_plan *plan, const struct oq_carrier *carrier);

/* Its scale, and the integers of numbers with it: n times form.width bytes. */
float oq_quantize_operand(const struct oq_integer_form *form, const float *values, size_t n,
                          int *zero_point, void *integers);
void oq_store_integer(const struct oq_integer_form *form, int value, void *integers, size_t index);

/* needed.c: ranges hold no more than what users of a value look at. */
bool oq_ranges_cut(onnxq_plan *plan, onnxq_error *error);

/* The same file: x + number; *x stays NULL where the node is none. */
bool oq_find_sum(onnxq_plan *plan, const Oq__Pb__NodeProto *node, const struct oq_value **x,
                 float *number, onnxq_error *error);

/* gates.c: hard sigmoids in parts; that of a node, where all of it stays float; what it becomes. */
bool oq_gates_find(onnxq_plan *plan, onnxq_error *error);
const struct oq_gate *oq_float_gate_of(const onnxq_plan *plan, size_t index);
bool oq_gate_write(struct oq_rewrite *rewrite, size_t index);

/* folds.c: what follows a product and can be folded into it. */
bool oq_products_fold(onnxq_plan *plan, onnxq_error *error);

#endif
