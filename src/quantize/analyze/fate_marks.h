/* What becomes of values, as it is kept while a plan is made; and what nodes hand back of it. */
#ifndef OQ_QUANTIZE_ANALYZE_FATE_MARKS_H
#define OQ_QUANTIZE_ANALYZE_FATE_MARKS_H

#include "quantize/analyze/fate.h"

enum oq_fate_mark {
    /* Rounding is not harmless. */
    OQ_MARK_HARMED = 1,
    /* Its elements meet others one by one. */
    OQ_MARK_ELEMENTWISE = 2,
    /* A zero gives infinity, also where other factors are activations. */
    OQ_MARK_ZEROED = 4 | OQ_MARK_HARMED,
    /* The same, but harmless where rounding makes no zero of what was none. */
    OQ_MARK_DIVIDES = 8,
    /* What is off by anything may be another integer, also behind a product. */
    OQ_MARK_CUT = 16 | OQ_MARK_HARMED,
    /* Or a coordinate: off by the same, a small one is as wrong as a large; */
    OQ_MARK_ANGLE = 32 | OQ_MARK_HARMED,
    /* and the weight of the product that makes it wants 16 bits. */
    OQ_MARK_FINE = 64,
    /* A constant whose elements meet those of activations one by one. */
    OQ_MARK_MET = 128,
    /* A constant: what all of it has in common is taken off behind it. */
    OQ_MARK_CENTERED = 256,
    /* A root is taken of it: steep at zero, and below it is NaN. */
    OQ_MARK_ROOTED = 512,
    /* A divisor, or a logarithm is taken of it, also as a power: of a weight, what its products
     * are; it wants 16 bits. */
    OQ_MARK_SMALL = 1024,
    /* Softmax takes it, or what asks for the largest, as a term of a sum. */
    OQ_MARK_SCORED = 2048,
    /* As OQ_MARK_MET, in sums and distances. */
    OQ_MARK_TERM = 4096
};

struct oq_fate {
    const Oq__Pb__NodeProto *node; /* of OQ_MARK_HARMED and OQ_MARK_DIVIDES: where, */
    enum oq_role role;             /* and as what */
    uint16_t marks;                /* of enum oq_fate_mark */
    bool is_constant;
    const Oq__Pb__NodeProto *root; /* of OQ_MARK_ROOTED: where */
    const Oq__Pb__NodeProto
        *norm;       /* of a tensor: whose norms divide; the node that does, or NULL */
    uint32_t apart;  /* axes, bit by bit, that such norms do not sum up over */
    uint32_t output; /* of a node with bodies: its number */
};

struct oq_node_facts {
    const struct oq_fate *harm; /* of an output, where it is OQ_MARK_HARMED or OQ_MARK_DIVIDES */
    uint32_t n_variable;        /* inputs that are not constant */
    uint16_t marks;             /* of all outputs; nodes with bodies have none */
};

struct oq_fates {
    const onnxq_plan *plan;
    struct oq_fate *of;             /* [values], by ordinal */
    struct oq_node_facts *nodes;    /* of all graphs, one after another */
    size_t *first_node;             /* [graphs] */
    const struct oq_graph **bodies; /* [graphs] by node, that with most outputs first */
    bool is_local[OQ_N_OPERATORS];  /* the model has a function of that name */
};

static inline struct oq_node_facts *oq_fate_facts(const struct oq_fates *fates,
                                                  const struct oq_graph *graph, size_t node)
{
    return &fates->nodes[fates->first_node[graph->ordinal] + node];
}

static inline struct oq_fate *oq_fate_of(const struct oq_fates *fates, const struct oq_graph *graph,
                                         const char *name)
{
    const struct oq_value *value = oq_graph_find(graph, name);
    return value == NULL ? NULL : &fates->of[value->ordinal];
}

static inline bool oq_fate_has_bodies(const Oq__Pb__NodeProto *node)
{
    return oq_operator_has(oq_operator_of(node), OQ_HAS_BODIES);
}

static inline bool oq_mark_harms(unsigned marks)
{
    return (marks & (OQ_MARK_HARMED | OQ_MARK_DIVIDES)) != 0;
}

/* --- fate_nodes.c --- */

/* The operator, unless a function of the model has its name. */
const struct oq_operator *oq_fate_operator(const struct oq_fates *fates,
                                           const Oq__Pb__NodeProto *node);

/* What an input is to this node, which may depend on its attributes and other inputs. */
enum oq_role oq_fate_role(const struct oq_fates *fates, const struct oq_graph *graph, size_t node,
                          size_t input);

/* What a mark of the output of a node without bodies is for an input; 0: nothing. */
enum oq_fate_mark oq_fate_handed_on(const struct oq_fates *fates, const struct oq_graph *graph,
                                    size_t node, size_t input, enum oq_fate_mark mark);

/* The norms that the node gives divide: their tensor, and axes that they do not sum up over. */
void oq_fate_note_norm(struct oq_fates *fates, const struct oq_graph *graph, size_t node,
                       const Oq__Pb__NodeProto *divides);

/* A root, also a power that may be no integer; and what is steep at the end of what it takes. */
bool oq_fate_is_root(const struct oq_fates *fates, const struct oq_graph *graph,
                     const Oq__Pb__NodeProto *node);
bool oq_fate_ends_steeply(const Oq__Pb__NodeProto *node);
bool oq_fate_is_magnitude(const struct oq_graph *graph, const Oq__Pb__NodeProto *node);

#endif
