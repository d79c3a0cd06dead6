/* What the checks of a model share: what is known of its values, and the list of problems. */
#ifndef OQ_VALIDATE_CHECKER_H
#define OQ_VALIDATE_CHECKER_H

#include "model/model.h"

/* What is known of a value. */
struct oq_fact {
    int32_t data_type;              /* TensorProto.DataType; 0: not known, or not a tensor */
    const struct oq_tensor *tensor; /* of a constant, else NULL */
};

struct oq_checker {
    const onnxq_model *model;
    struct oq_arena *arena;
    onnxq_error *error; /* of the check itself; problems are no errors */
    onnxq_problem *problems;
    size_t n_found;
    onnxq_problem *warnings; /* no more than ONNXQ_MAX_PROBLEMS are kept */
    size_t n_warnings;
    bool is_local[OQ_N_OPERATORS]; /* a function of the model has that name */
    struct oq_strmap functions;    /* "domain:name:overload" -> struct local_function */

    /* Names that were seen -> the last graph, or node, that has them. */
    struct oq_strmap node_names, attribute_names;

    /* Of the main graph or a local function, with all bodies in it. */
    struct oq_strmap imports; /* domain -> Oq__Pb__OperatorSetIdProto */
    struct oq_fact *facts;    /* by ordinal of the value */
};

/* Where a problem is. */
struct oq_problem_place {
    const struct oq_graph *graph;  /* NULL: the model */
    const Oq__Pb__NodeProto *node; /* NULL: the graph */
};

/* `value` is the name of the value concerned, or "". */
void oq_problem(struct oq_checker *checker, const struct oq_problem_place *place, const char *value,
                const char *format, ...) OQ_PRINTF(4, 5);

/* The same about the model as a whole, where it may well be right. */
void oq_warn(struct oq_checker *checker, const char *format, ...) OQ_PRINTF(2, 3);

/* Fields that a message lacks are NULL. */
static inline const char *oq_text_or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

/* What is known of the value `name` in graph; of none, or an unknown one, nothing. */
struct oq_fact oq_fact_of(const struct oq_checker *checker, const struct oq_graph *graph,
                          const char *name);

/* "float32", or "an unknown type". */
const char *oq_type_name(int32_t data_type);

/* --- check_versions.c --- */

/* Versions of the format and of operator sets that are newer than what is known of them. */
void oq_check_versions(struct oq_checker *checker);

/* --- check_nodes.c --- */

/* Makes checker->functions. */
bool oq_note_functions(struct oq_checker *checker);

/* A node whose operator may be any; `version` is that of its domain. */
void oq_check_node(struct oq_checker *checker, const struct oq_problem_place *place,
                   int64_t version);

/* --- check_operators.c --- */

/*
 * An operator that is known by name: its version, arity and attributes, and the
 * types of what goes in, as far as they are known. Leaves the types of what
 * comes out in the facts. `version` is that of the operator's domain.
 */
void oq_check_operator(struct oq_checker *checker, const struct oq_problem_place *place,
                       int64_t version);

/* True for operators of which more is checked than what holds for all. */
bool oq_knows_operator(enum oq_operator_id id);

/* True where the operator of that version cannot do without input number `input`. */
bool oq_needs_input(enum oq_operator_id id, int64_t version, size_t input);

/* --- check_sparse.c --- */

/* The sparse initializers of a graph. */
void oq_check_sparse(struct oq_checker *checker, const struct oq_graph *graph);

/* --- check_operands.c: constant operands that have to fit each other --- */

typedef void (*oq_operands_fn)(struct oq_checker *checker, const struct oq_problem_place *place,
                               int64_t version);
void oq_check_linear(struct oq_checker *checker, const struct oq_problem_place *place,
                     int64_t version);
void oq_check_lstm(struct oq_checker *checker, const struct oq_problem_place *place,
                   int64_t version);
void oq_check_nbits(struct oq_checker *checker, const struct oq_problem_place *place,
                    int64_t version);
void oq_check_bnb4(struct oq_checker *checker, const struct oq_problem_place *place,
                   int64_t version);
void oq_check_gather_blocks(struct oq_checker *checker, const struct oq_problem_place *place,
                            int64_t version);

/* Inputs that hold one number, or one for each channel of the constant input `weight`. */
struct oq_channels {
    unsigned weight;
    bool axis_is_first; /* channels lie along the first axis, not along the last one */
    unsigned operands[4];
};
void oq_check_channels(struct oq_checker *checker, const struct oq_problem_place *place,
                       const struct oq_channels *channels);

#endif
