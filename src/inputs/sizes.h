/* Sizes for the dimensions of inputs that the model leaves open. */
#ifndef OQ_INPUTS_SIZES_H
#define OQ_INPUTS_SIZES_H

#include "inputs/signature.h"
#include "inputs/trace.h"

struct oq_sizes {
    struct oq_strmap by_name; /* of open dimensions: name, or "INPUT:AXIS" -> int64_t */
    int64_t **dims;           /* of each input of the signature; NULL: it has a default */
    size_t *ranks;
    const char *chosen; /* "--dim seq=16 --dim x:2=224", as far as there is room in a line; or "" */
    bool has_others;    /* a size was chosen that is usual, and no more */
};

/*
 * Settings first, then what the models' nodes ask for, then what is usual for
 * a dimension of that name and place. Everything lives in the arena.
 */
bool oq_sizes_choose(struct oq_sizes *sizes, const struct oq_signature *signature,
                     const struct oq_draw_options *options, struct oq_trace *traces,
                     size_t n_traces, struct oq_arena *arena, onnxq_error *error);

#endif
