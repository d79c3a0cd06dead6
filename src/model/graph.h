/*
 * Who makes and who uses each value, scope by scope. Subgraphs (bodies of If,
 * Loop, Scan) see the values of the graphs around them.
 */
#ifndef OQ_MODEL_GRAPH_H
#define OQ_MODEL_GRAPH_H

#include "base/strmap.h"
#include "operators/operators.h"

struct oq_graph;

/* One use of a value: an input of a node, or an output of a graph. */
struct oq_use {
    const struct oq_graph *graph;
    size_t node; /* OQ_NO_NODE: the graph returns the value as output number `input` */
    size_t input;
    const struct oq_use *next; /* in the order in which they were found */
};

#define OQ_NO_NODE SIZE_MAX

enum oq_origin { OQ_ORIGIN_INPUT, OQ_ORIGIN_INITIALIZER, OQ_ORIGIN_SPARSE, OQ_ORIGIN_NODE };

struct oq_value {
    const char *name;
    const struct oq_graph *graph; /* where it is defined */
    enum oq_origin origin;
    size_t index;                  /* of the input, initializer or node */
    size_t ordinal;                /* its number among the values of all graphs */
    const Oq__Pb__TypeProto *type; /* that the model declares, or NULL */
    bool is_graph_input;           /* an initializer that is one too is a default value */
    bool is_graph_output;          /* of any graph */
    bool is_named;     /* by training information, or as scale or zero point in an annotation */
    bool is_annotated; /* a quantization_annotation says something of it */
    const struct oq_use *uses;
    struct oq_use *last_use;
    size_t n_uses;
};

struct oq_graph {
    const Oq__Pb__GraphProto *proto;
    size_t ordinal;                /* 0 is the main graph; a parent comes before its children */
    const struct oq_graph *parent; /* NULL: the main graph */
    size_t node;                   /* of the parent, whose body this is */
    const char *name;              /* never NULL */
    struct oq_strmap values;       /* name -> struct oq_value, those defined here */
};

struct oq_graphs {
    struct oq_graph **list;
    size_t count, capacity;
    size_t n_values; /* of all graphs */
};

/*
 * Indexes the main graph and all graphs in it. A name that is defined twice in
 * one graph is an error.
 */
bool oq_graphs_init(struct oq_graphs *graphs, const Oq__Pb__GraphProto *main,
                    struct oq_arena *arena, onnxq_error *error);

/* The function as a graph whose inputs have no types; NULL: memory is out. */
Oq__Pb__GraphProto *oq_graph_of_function(const Oq__Pb__FunctionProto *function,
                                         struct oq_arena *arena);

/* The value that `name` means in graph, or NULL ("" means none). */
struct oq_value *oq_graph_find(const struct oq_graph *graph, const char *name);

/* The tensor that a value is: an initializer, or that of a Constant node; NULL for others. */
const Oq__Pb__TensorProto *oq_value_tensor(const struct oq_value *value);

/* The node that makes a value; NULL where none does, or for no value. */
const Oq__Pb__NodeProto *oq_value_node(const struct oq_value *value);

/* More dimensions than any real tensor has. */
#define OQ_MAX_RANK 32

/* Rank of the value `name` as graph declares it; -1 where it does not, or above OQ_MAX_RANK. */
int oq_graph_rank(const struct oq_graph *graph, const char *name);

/* True where a graph around the value's own has a value of the same name. */
bool oq_value_is_hiding(const struct oq_value *value);

/* The attribute with that name, or NULL. */
const Oq__Pb__AttributeProto *oq_node_attribute(const Oq__Pb__NodeProto *node, const char *name);

/* False where it is NULL, no integer, or one that refers to an attribute of a function. */
bool oq_attribute_int(const Oq__Pb__AttributeProto *attribute, int64_t *value);

/* What a node's attribute says, 0 included that writers leave out; else `otherwise`. */
int64_t oq_node_int(const Oq__Pb__NodeProto *node, const char *name, int64_t otherwise);
float oq_node_float(const Oq__Pb__NodeProto *node, const char *name, float otherwise);

/* Name and domain compared; "ai.onnx" is the same domain as "". */
bool oq_node_is(const Oq__Pb__NodeProto *node, const char *domain, const char *op_type);

/* OQ_NODE_IS(node, "Add", "Sub"): one of these operators of ai.onnx. */
#define OQ_NODE_IS(node, ...) oq_node_is_any(node, (const char *const[]){__VA_ARGS__, NULL})
bool oq_node_is_any(const Oq__Pb__NodeProto *node, const char *const *op_types);

/* Input number k, or "" where it is left out. */
const char *oq_node_input(const Oq__Pb__NodeProto *node, size_t k);

/* The node's name, or that of its first output, or "". */
const char *oq_node_label(const Oq__Pb__NodeProto *node);

/* A text for the uses of a weight by a node of that label, which no other pair has; NULL: memory is
 * out. */
char *oq_weight_key(struct oq_arena *arena, const char *label, const char *weight);

#endif
