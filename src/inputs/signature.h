/*
 * What a model takes and returns, as its file declares it, and values that fit.
 */
#ifndef OQ_INPUTS_SIGNATURE_H
#define OQ_INPUTS_SIGNATURE_H

#include "base/arena.h"
#include "model/model.h"
#include "arrays/input_files.h"

struct oq_dim {
    int64_t size;     /* -1: not known before the model runs */
    const char *name; /* of a symbolic dimension, or "" */
};

struct oq_parameter {
    const char *name;
    int32_t data_type;             /* TensorProto.DataType; 0: no tensor, `kind` says what */
    const char *kind;              /* as oq_type_kind() has it */
    const Oq__Pb__TypeProto *type; /* that the model declares, or NULL */
    bool has_rank;
    struct oq_dim *dims;
    size_t n_dims;
    bool has_default; /* an initializer of that name: callers may leave it out */
};

/* Everything lives in the model or in the arena. */
struct oq_signature {
    struct oq_parameter *inputs;
    size_t n_inputs;
    struct oq_parameter *outputs;
    size_t n_outputs;
};

bool oq_signature_init(struct oq_signature *signature, const onnxq_model *model,
                       struct oq_arena *arena, onnxq_error *error);

/* "float32 [batch,3,224,?]"; "float32 [...]" where the rank is not known; "sequence" */
void oq_parameter_describe(const struct oq_parameter *parameter, char *text, size_t capacity);

/* The one of that name, or NULL. */
struct oq_parameter *oq_parameter_find(struct oq_parameter *parameters, size_t count,
                                       const char *name);

/* Adds as a hint the nearest name, and all that there are. Return false. */
bool oq_signature_hint_input(const struct oq_signature *signature, const char *name,
                             onnxq_error *error);
bool oq_signature_hint_output(const struct oq_signature *signature, const char *name,
                              onnxq_error *error);

/*
 * Whether a model that takes `signature` can be given what `first` takes: the
 * same names of the same types; what only one of them has, has a default there.
 */
bool oq_signature_check_same(const struct oq_signature *signature, const struct oq_signature *first,
                             onnxq_error *error);

/* Whether the mask of options, where there is one, is an input. */
bool oq_signature_check_mask(const struct oq_signature *signature, const char *mask,
                             onnxq_error *error);

/*
 * Gives the arrays "#N" of a set the name of input number N (outputs likewise;
 * those without a default are counted first) and checks that each input without
 * a default is there once, that none is there that the model does not know (with
 * the nearest name as a hint), and that types, ranks and known dims agree; one
 * symbolic dim has one size. An integer or float array of another width is
 * converted where that loses nothing; float64, which numpy makes of Python's
 * numbers, is rounded. Expected outputs keep their types.
 */
bool oq_signature_bind(const struct oq_signature *signature, struct oq_input_set *set,
                       onnxq_error *error);

/* "batch=4"; "images:0=4" is a dimension by input and axis */
struct oq_dim_setting {
    const char *name;
    int64_t size;
};

/* "token=0:30521": lowest and highest value of an input. */
struct oq_range_setting {
    const char *name;
    double lo, hi;
};

/* The usual sizes of open dimensions, and others where an engine does not run with these. */
#define OQ_DRAW_TRIES 10

struct oq_draw_options {
    const struct oq_dim_setting *dims;
    size_t n_dims;
    const struct oq_range_setting *ranges;
    size_t n_ranges;
    uint64_t seed;
    uint64_t max_nbytes; /* of all inputs of a set; 0: 2 GB */
    unsigned tried;      /* sizes that did not do, below OQ_DRAW_TRIES */
};

/*
 * Adds a set with a value for each input without a default, drawn at random
 * from what the model itself says: known dims as they are, symbolic ones by
 * their setting or a usual size, token ids below the number of rows of the
 * table that gathers them, masks of ones. The same model, options and number of
 * the set give the same bits on every machine. Settings that name nothing in
 * the model are an error, with the nearest name as a hint. The label is "random inputs N".
 * The list's `sizes` and `has_others` are those of this set.
 * n_models models take the same inputs (a reference and what was made of it):
 * a range is what all of them can take; the signature is that of the first.
 */
bool oq_draw_inputs(const onnxq_model *const *models, size_t n_models,
                    const struct oq_signature *signature, const struct oq_draw_options *options,
                    struct oq_input_sets *sets, onnxq_error *error);

#endif
