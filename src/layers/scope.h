/*
 * The main graph of a model as the search for sites sees it: which values are
 * known before it runs, and which ones the bodies of a node read.
 */
#ifndef OQ_LAYERS_SCOPE_H
#define OQ_LAYERS_SCOPE_H

#include "model/model.h"

struct oq_name_list {
    const char **list;
    size_t count, capacity;
};

struct oq_scope {
    const onnxq_model *model;
    const struct oq_graph *graph; /* the main one */
    bool *is_constant;            /* [nodes]: computed from constants only */
    struct oq_name_list *outer;   /* [nodes]: what its bodies read of the main graph, use by use */
    size_t *owners;               /* [graphs]: node of the main graph that a body belongs to */
};

bool oq_scope_init(struct oq_scope *scope, const onnxq_model *model, struct oq_arena *arena,
                   onnxq_error *error);

/* Appends a name; false when memory is out. */
bool oq_name_list_add(struct oq_name_list *names, const char *name, struct oq_arena *arena);

/* The value of that name in the main graph, or NULL. */
const struct oq_value *oq_scope_find(const struct oq_scope *scope, const char *name);
bool oq_scope_is_constant(const struct oq_scope *scope, const struct oq_value *value);

/* The tensor that a value is: an initializer, or that of a Constant node; else NULL. */
const Oq__Pb__TensorProto *oq_scope_tensor(const struct oq_scope *scope,
                                           const struct oq_value *value);

/* Everything that a node reads: its inputs, then what its bodies read. "" is none. */
size_t oq_scope_n_reads(const struct oq_scope *scope, size_t node);
const char *oq_scope_read(const struct oq_scope *scope, size_t node, size_t k);

#endif
