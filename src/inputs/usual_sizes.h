/* What sizes of open dimensions are usual, and what else is tried. */
#ifndef OQ_INPUTS_USUAL_SIZES_H
#define OQ_INPUTS_USUAL_SIZES_H

#include "inputs/sizes.h"

/* A dimension without a size. */
struct oq_symbol {
    const char *name;                 /* "": it has none, and stands for itself */
    const struct oq_parameter *input; /* where it was seen first; NULL: in a formula only */
    size_t axis;
    struct oq_demand demand;
    bool is_set, is_chosen;
    bool is_formula; /* its size follows from those of others */
    int64_t size;
};

struct oq_size_chooser {
    struct oq_arena *arena;
    onnxq_error *error;
    const struct oq_signature *signature;
    struct oq_symbol **list;
    size_t count, capacity;
    struct oq_strmap by_name;     /* name -> struct oq_symbol */
    struct oq_symbol ***of_input; /* symbol of each dimension, NULL: it has a size */
    int64_t fixed_length;         /* axis 1 of an input of integers that has one, -1: none */
    const struct oq_symbol *past, *sequence; /* the first of these */
    unsigned tried;                          /* as in the options */
    bool has_others;
};

/* True where the name holds one of the words, all in lower case; words end with NULL. */
bool oq_name_has(const char *name, const char *const *words);

/* What the name of a dimension says: of what was seen before, of that and the rest, of the rest. */
bool oq_is_past(const char *name);
bool oq_is_total(const char *name);
bool oq_is_sequence(const char *name);

bool oq_is_float_parameter(const struct oq_parameter *input);

/* The size that has its turn when so many were tried; one that the symbol's demand allows. */
int64_t oq_usual_size(const struct oq_size_chooser *chooser, const struct oq_symbol *symbol,
                      unsigned tried);

#endif
