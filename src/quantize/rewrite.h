/*
 * The tools with which rules write nodes: new names that clash with nothing,
 * nodes, initializers, and the quantized form of an activation that all its
 * consumers share.
 */
#ifndef OQ_QUANTIZE_REWRITE_H
#define OQ_QUANTIZE_REWRITE_H

#include "quantize/plan.h"

/* The operators before which a model needs this opset of ai.onnx. */
#define OQ_OPSET_BROADCAST               7 /* Mul with numpy's broadcasting */
#define OQ_OPSET_DEQUANTIZE_LINEAR       10
#define OQ_OPSET_DYNAMIC_QUANTIZE_LINEAR 11 /* and all of 10: MatMulInteger, ConvInteger */
#define OQ_OPSET_DEQUANTIZE_AXIS         13 /* scales along an axis */

struct oq_rewrite_graph;

struct oq_rewrite {
    onnxq_plan *plan;
    struct oq_arena *arena;
    onnxq_error *error;
    bool failed;       /* memory ran out somewhere; reported at the end */
    bool uses_contrib; /* a node of com.microsoft was written */

    struct oq_strmap value_names, node_names; /* all that are taken, over the whole model */
    struct oq_graphs graphs;                  /* of the copy that is rewritten */
    struct oq_rewrite_graph *states;          /* [graphs.count] */
    struct oq_rewrite_graph *current;         /* that nodes are added to */
};

/*
 * Adds a node to the graph that is being rewritten. inputs and outputs end
 * with NULL; "" is an input that is left out. The node's name is made from
 * `label` and the operator. Returns NULL when memory is out; then and for NULL
 * among earlier results the rewrite has failed, which is reported at its end.
 */
Oq__Pb__NodeProto *oq_rewrite_node(struct oq_rewrite *rewrite, const char *domain,
                                   const char *op_type, const char *label,
                                   const char *const *inputs, const char *const *outputs);

/* Nothing where node is NULL. */
void oq_rewrite_add_int(struct oq_rewrite *rewrite, Oq__Pb__NodeProto *node, const char *name,
                        int64_t value);
void oq_rewrite_add_ints(struct oq_rewrite *rewrite, Oq__Pb__NodeProto *node, const char *name,
                         const int64_t *values, size_t n);

/* Gives `node` the attributes of `from`, but for the one called `without` (NULL: all). */
void oq_rewrite_copy_attributes(struct oq_rewrite *rewrite, Oq__Pb__NodeProto *node,
                                const Oq__Pb__NodeProto *from, const char *without);

/* A fresh name made of base and suffix. */
const char *oq_rewrite_name(struct oq_rewrite *rewrite, const char *base, const char *suffix);

/* The integers of a site's weight, as an initializer where the weight is defined. */
const char *oq_rewrite_weight(struct oq_rewrite *rewrite, const struct oq_site *site);

/* Its zero point, or "" where it is 0 and may be left out. */
const char *oq_rewrite_zero_point(struct oq_rewrite *rewrite, const struct oq_site *site);

/*
 * Its scales times `factor`, of shape dims. Where there is one scale per
 * tensor, it is repeated to fill dims.
 */
const char *oq_rewrite_scale(struct oq_rewrite *rewrite, const struct oq_site *site,
                             const int64_t *dims, size_t n_dims, float factor);

/*
 * Scales and zero points as float32 that broadcast over the weight itself: of
 * the weight's rank, or a scalar (n_dims 0). No name: the zero point is 0.
 */
struct oq_rewrite_values {
    const char *name;
    size_t n_dims;
};
struct oq_rewrite_values oq_rewrite_float_scale(struct oq_rewrite *rewrite,
                                                const struct oq_quantized *quantized);
struct oq_rewrite_values oq_rewrite_float_zero_point(struct oq_rewrite *rewrite,
                                                     const struct oq_quantized *quantized);

/* value as float32, and value - subtrahend, under fresh names. */
const char *oq_rewrite_cast(struct oq_rewrite *rewrite, const char *label, const char *value);
const char *oq_rewrite_subtract(struct oq_rewrite *rewrite, const char *label, const char *value,
                                const char *subtrahend);

/* A new float32 initializer in the current graph, accounted to `owner` (may be NULL). */
const char *oq_rewrite_floats(struct oq_rewrite *rewrite, struct oq_constant *owner,
                              const char *base, const int64_t *dims, size_t n_dims,
                              const float *values);
const char *oq_rewrite_int8s(struct oq_rewrite *rewrite, const struct oq_site *site,
                             const char *suffix, const int64_t *dims, size_t n_dims,
                             const int8_t *values);
const char *oq_rewrite_int64s(struct oq_rewrite *rewrite, const char *base, const int64_t *values,
                              size_t n);

/* An activation in 8 bits: DynamicQuantizeLinear, one for all consumers in a graph. */
struct oq_activation {
    const char *quantized, *scale, *zero_point;
};
struct oq_activation oq_rewrite_activation(struct oq_rewrite *rewrite, const char *name,
                                           bool transposed, int32_t data_type);

/* name as float32: itself, or one Cast for all consumers in a graph; transposed on request. */
const char *oq_rewrite_float_input(struct oq_rewrite *rewrite, const char *name, bool transposed,
                                   int32_t data_type);

/* Adds a node that computes in float32 and gives `output` in data_type, with a Cast if need be. */
bool oq_rewrite_float_output(struct oq_rewrite *rewrite, const char *domain, const char *op_type,
                             const char *label, const char *const *inputs, int32_t data_type,
                             const char *output);

/*
 * output = Cast(int32_value) * (activation scale * weight scale) [+ bias], in
 * data_type; bias is float32 where given. The order of operands is the one
 * that ONNX Runtime fuses.
 */
bool oq_rewrite_dequantize(struct oq_rewrite *rewrite, const char *label, const char *int32_value,
                           const char *activation_scale, const char *weight_scale, const char *bias,
                           int32_t data_type, const char *output);

#endif
