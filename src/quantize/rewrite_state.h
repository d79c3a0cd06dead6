/* What rewrite.c (which steers) and build.c (which writes nodes and tensors) share. */
#ifndef OQ_QUANTIZE_REWRITE_STATE_H
#define OQ_QUANTIZE_REWRITE_STATE_H

#include "quantize/rewrite.h"

/* A graph of the output while it is made. */
struct oq_rewrite_graph {
    Oq__Pb__GraphProto *proto;
    const struct oq_site **sites; /* [n_node of the input]: what replaces that node, or NULL */
    Oq__Pb__NodeProto **nodes;
    size_t n_nodes, nodes_capacity;
    Oq__Pb__TensorProto **tensors; /* new initializers */
    size_t n_tensors, tensors_capacity;
    Oq__Pb__ValueInfoProto **value_infos; /* new ones */
    size_t n_value_infos, value_infos_capacity;
    struct oq_strmap typed;        /* names whose type the model declares */
    struct oq_strmap activations;  /* name of a float32 value -> struct oq_activation */
    struct oq_strmap float_inputs; /* name of a value -> char *, its float32 form */
    struct oq_strmap transposed;   /* name of a value -> char *, its transposed form */
    struct oq_strmap dropped;      /* names of constants that leave */
};

bool oq_rewrite_push_node(struct oq_rewrite *rewrite, Oq__Pb__NodeProto *node);

/* A new initializer of `graph` made by a recipe; returns its name. */
const char *oq_rewrite_tensor(struct oq_rewrite *rewrite, struct oq_rewrite_graph *graph,
                              const char *name, int32_t data_type, const int64_t *dims,
                              size_t n_dims, const struct oq_recipe *recipe);

/* Integers of a weight, its scales and zero points in the form in which they are folded. */
bool oq_rewrite_fold(struct oq_rewrite *rewrite, struct oq_constant *constant);

#endif
