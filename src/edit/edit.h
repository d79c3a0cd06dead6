/*
 * Changing a draft: new names that clash with nothing, nodes, initializers, and
 * the removal of what has lost its last user.
 *
 * Nodes are written graph by graph, in order: oq_edit_enter(), then
 * oq_edit_keep() for each node that stays and oq_edit_node() for new ones; after
 * the last graph oq_edit_sweep() and oq_edit_finish().
 */
#ifndef OQ_EDIT_EDIT_H
#define OQ_EDIT_EDIT_H

#include "edit/draft.h"

/* A graph of the output while it is made. */
struct oq_edit_graph {
    Oq__Pb__GraphProto *proto;
    size_t ordinal;
    Oq__Pb__NodeProto **nodes;
    size_t n_nodes, nodes_capacity;
    Oq__Pb__TensorProto **tensors; /* new initializers */
    size_t n_tensors, tensors_capacity;
    Oq__Pb__ValueInfoProto **value_infos; /* new ones */
    size_t n_value_infos, value_infos_capacity;
    struct oq_strmap typed;   /* names whose type the model declares */
    struct oq_strmap made;    /* what has been made once for all, see oq_edit_made() */
    struct oq_strmap dropped; /* names of initializers and values that leave */
    bool drop_dim_names;      /* inner values lose the names of their open dimensions */
};

struct oq_edit {
    struct oq_draft *draft;
    struct oq_arena *arena;
    onnxq_error *error;
    bool failed;                      /* memory ran out somewhere; reported at the end */
    bool uses_standard, uses_contrib; /* a node of ai.onnx, or com.microsoft, was written */
    bool freeze_inputs;               /* no initializer stays a graph input */
    bool keeps_unused;                /* what had no user in the first place stays */
    int32_t integer_type;             /* that QuantizeLinear of com.microsoft gives; 0: uint8 */

    struct oq_strmap value_names, node_names; /* all that are taken, over the whole model */
    unsigned untried;               /* 0, what these map to until numbers are tried behind a name */
    const struct oq_graphs *graphs; /* of the model, which the draft begins as a copy of */
    size_t *n_left;                 /* [graphs->n_values] uses that are left */
    size_t n_unused; /* constants that left and had no user in the first place, and their bytes */
    uint64_t nbytes_unused;
    /* Known at the end: inputs of the main graph that left, and annotations of tensors that did. */
    const char **inputs;
    size_t n_inputs, inputs_capacity;
    size_t n_annotations;
    struct oq_edit_graph *states;  /* [graphs->count] */
    struct oq_edit_graph *current; /* that nodes are added to */
};

/* Memory of the draft; NULL marks the edit as failed. */
void *oq_edit_allocate(struct oq_edit *edit, size_t count, size_t size);

/* A copy of a list of n pointers, and one more of them. */
void *oq_edit_appended(struct oq_edit *edit, void *list, size_t n, void *item);

/* The draft has just been set up. `error` is kept for the whole edit. */
bool oq_edit_init(struct oq_edit *edit, struct oq_draft *draft, bool freeze_inputs,
                  onnxq_error *error);

/* From here on nodes go to graph number `ordinal`. */
void oq_edit_enter(struct oq_edit *edit, size_t ordinal);

/* An initializer or Constant leaves; `remade`: a node gives its name another value. */
bool oq_edit_drop(struct oq_edit *edit, size_t ordinal, const char *name, bool remade);
bool oq_edit_is_dropped(const struct oq_edit *edit, size_t ordinal, const char *name);

/* Puts the new lists in place. */
bool oq_edit_finish(struct oq_edit *edit);

/* Sets an entry of metadata_props, replacing one that an earlier run has left. */
bool oq_edit_set_metadata(struct oq_edit *edit, char *key, char *value);

/*
 * sweep.c: drops nodes that had users and have none any more, and constants without users,
 * whether they ever had some or not. What callers may set, or what annotations or training
 * information name, stays.
 */
bool oq_edit_sweep(struct oq_edit *edit);

/* --- nodes.c --- */

/* protobuf-c has no const strings; nothing writes through these. */
static inline char *oq_edit_text(const char *constant)
{
    return (char *)(uintptr_t)constant;
}

/* A fresh name made of base and suffix. */
const char *oq_edit_name(struct oq_edit *edit, const char *base, const char *suffix);

/* A node that stays. */
bool oq_edit_keep(struct oq_edit *edit, Oq__Pb__NodeProto *node);

/*
 * Adds a node to the current graph. inputs and outputs end with NULL; "" is an
 * input that is left out. The node's name is made from `label` and the
 * operator. Returns NULL when memory is out; then and for NULL among earlier
 * results the edit has failed, which is reported at its end.
 */
Oq__Pb__NodeProto *oq_edit_node(struct oq_edit *edit, const char *domain, const char *op_type,
                                const char *label, const char *const *inputs,
                                const char *const *outputs);

/* Nothing where node is NULL. */
void oq_edit_add_int(struct oq_edit *edit, Oq__Pb__NodeProto *node, const char *name,
                     int64_t value);
void oq_edit_add_float(struct oq_edit *edit, Oq__Pb__NodeProto *node, const char *name,
                       float value);

/* Gives `node` the attributes of `from`, but for the one called `without` (NULL: all). */
void oq_edit_copy_attributes(struct oq_edit *edit, Oq__Pb__NodeProto *node,
                             const Oq__Pb__NodeProto *from, const char *without);

/*
 * What an earlier node of the current graph has made of the value `name`, by
 * `kind` of result; or NULL, and *place to remember it (NULL: memory is out).
 */
void *oq_edit_made(struct oq_edit *edit, const char *kind, const char *name, void ***place);

/*
 * output = value with its axes in the order of perm; the same as a new value
 * called name and suffix, one for all consumers in a graph (a suffix stands
 * for one order); and a matrix transposed that way.
 */
bool oq_edit_permute(struct oq_edit *edit, const char *label, const char *value,
                     const int64_t *perm, size_t rank, const char *output);
const char *oq_edit_permuted(struct oq_edit *edit, const char *name, const char *suffix,
                             const int64_t *perm, size_t rank);
const char *oq_edit_transpose(struct oq_edit *edit, const char *name);

/* The value as a matrix: the first axis, and all others. */
const char *oq_edit_flattened(struct oq_edit *edit, const char *name);

/* output = value as data_type. */
void oq_edit_cast(struct oq_edit *edit, const char *label, const char *value, int32_t data_type,
                  const char *output);

/* name as float32: itself, or one Cast for all consumers in a graph; transposed on request. */
const char *oq_edit_float_input(struct oq_edit *edit, const char *name, bool transposed,
                                int32_t data_type);

/* Adds a node that computes in float32 and gives `output` in data_type, with a Cast if need be. */
bool oq_edit_float_output(struct oq_edit *edit, const char *domain, const char *op_type,
                          const char *label, const char *const *inputs, int32_t data_type,
                          const char *output);

/* A new initializer of `graph` made by a recipe; returns its name. */
const char *oq_edit_tensor(struct oq_edit *edit, struct oq_edit_graph *graph, const char *name,
                           int32_t data_type, const int64_t *dims, size_t n_dims,
                           const struct oq_recipe *recipe);

/* The same for numbers in memory, which are copied. */
const char *oq_edit_floats(struct oq_edit *edit, const char *base, const int64_t *dims,
                           size_t n_dims, const float *values);
const char *oq_edit_int64s(struct oq_edit *edit, const char *base, const int64_t *values, size_t n);

#endif
